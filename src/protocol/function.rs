//! The scalar function an activation layer computes, and polynomials with fixed-point coefficients.

/// A polynomial `sum c_k x^k` with coefficients in units of `2^-precision_bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polynomial {
    /// Integer coefficients, constant first; the last one is not zero unless the degree is zero.
    pub coefficients: Vec<i64>,
    /// Fractional bits of the coefficients.
    pub precision_bits: u32,
}

/// What an activation layer computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// A polynomial.
    Polynomial(Polynomial),
}

impl Polynomial {
    /// `d`, the index of the last coefficient.
    pub fn degree(&self) -> usize {
        self.coefficients.len().saturating_sub(1)
    }

    /// The value at `x` in floating point.
    pub fn eval(&self, x: f64) -> f64 {
        let unit = (-(self.precision_bits as f64)).exp2();
        self.coefficients
            .iter()
            .rev()
            .fold(0.0, |acc, &c| acc * x + c as f64 * unit)
    }
}

impl Function {
    /// The value at `x` in floating point.
    pub fn eval(&self, x: f64) -> f64 {
        match self {
            Function::Relu => x.max(0.0),
            Function::Polynomial(p) => p.eval(x),
        }
    }
}
