//! The functions that polynomials stand in for.

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `max(x, 0)`.
    Relu,
    /// `x Phi(x)`, `Phi` being the normal distribution (Hendrycks and Gimpel, arXiv 1606.08415).
    Gelu,
    /// `x sigmoid(x)` (Elfwing et al., *Neural Networks* 107, 2018).
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl Target {
    /// Every function by name.
    pub const ALL: [(&'static str, Target); 4] =
        [("relu", Target::Relu), ("gelu", Target::Gelu), ("silu", Target::Silu), ("sigmoid", Target::Sigmoid)];

    /// The value at `x`.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            Target::Relu => x.max(0.0),
            Target::Gelu => x * normal(x),
            Target::Silu => x * sigmoid(x),
            Target::Sigmoid => sigmoid(x),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The distribution function of the normal distribution, by its power series around 0 and, far out, by the continued
/// fraction of its tail (Abramowitz and Stegun, 26.2.10 and 26.2.14).
fn normal(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x.abs() > 6.0 {
        let fraction = (1..=40).rev().fold(x.abs(), |fraction, k| x.abs() + f64::from(k) / fraction);
        let tail = density / fraction;
        return if x > 0.0 { 1.0 - tail } else { tail };
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + density * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_tables() {
        let close = |actual: f64, expected: f64| assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
        close(normal(1.0), 0.841_344_746_068_542_9);
        close(normal(-2.5), 0.006_209_665_325_776_132);
        close(normal(6.5), 1.0 - 4.016_000_583_859_12e-11);
        close(normal(5.999_999) - normal(6.000_001), -2e-6 * 6.075_882_849_823_286e-9);
        close(Target::Gelu.eval(-1.0), -0.158_655_253_931_457_05);
        close(Target::Silu.eval(2.0), 1.761_594_155_955_765);
        close(Target::Sigmoid.eval(0.0), 0.5);
        assert_eq!((Target::Relu.eval(-3.0), Target::Relu.eval(3.0)), (0.0, 3.0));
    }
}
