//! The scalar function an activation layer computes, and polynomials with fixed-point coefficients.

use serde::Serialize;

/// A polynomial `sum c_k x^k` with coefficients in units of `2^-precision_bits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// `min(max(x, 0), 6)`. Protocols do not compute it: networks are lowered to `relu(x) - relu(x - 6)`.
    Relu6,
    /// A polynomial.
    Polynomial(Polynomial),
}

/// A polynomial with a name that scenarios can use; see [`Polynomial::NAMED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedPolynomial {
    /// The name, for example `relu-d4`.
    pub name: &'static str,
    /// Integer coefficients, constant first.
    pub coefficients: &'static [i64],
    /// Fractional bits of the coefficients.
    pub precision_bits: u32,
    /// Where it comes from, in one line.
    pub about: &'static str,
}

/// Why a list of numbers is no polynomial an activation can use.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PolynomialError {
    /// No coefficients.
    #[error("the list of coefficients is empty")]
    Empty,
    /// Too many coefficients.
    #[error("degree {actual} is more than {limit}", limit = Polynomial::MAX_DEGREE)]
    Degree {
        /// The degree asked for.
        actual: usize,
    },
    /// NaN, infinite, or too large to be meant.
    #[error("the coefficient {value} of x^{power} is not a number within +-{limit}", limit = Polynomial::MAX_COEFFICIENT)]
    Coefficient {
        /// Which coefficient.
        power: usize,
        /// What it is.
        value: f64,
    },
    /// Nothing is left above the constant once the coefficients are rounded.
    #[error("every coefficient above the constant is 0 at {precision_bits} fractional bits")]
    Constant {
        /// Fractional bits of the coefficients.
        precision_bits: u32,
    },
}

impl Polynomial {
    /// The largest degree accepted.
    pub const MAX_DEGREE: usize = 8;
    /// The largest magnitude of a coefficient accepted.
    pub const MAX_COEFFICIENT: f64 = 65536.0;
    /// Fractional bits of explicit coefficients unless stated.
    pub const DEFAULT_PRECISION_BITS: u32 = 16;

    /// The polynomials with a name. Add one here and every scenario can use it.
    pub const NAMED: &[NamedPolynomial] = &[
        NamedPolynomial {
            name: "relu-d2",
            // Exactly 15/32 + x/2 + 3/32 x^2: x/2 plus the Legendre projection of |x|/2.
            coefficients: &[480, 512, 96],
            precision_bits: 10,
            about: "least-squares fit of ReLU on [-5, 5], degree 2",
        },
        NamedPolynomial {
            name: "relu-d4",
            coefficients: &[322, 512, 160, 0, -3],
            precision_bits: 10,
            about: "ReLU on [-5, 5], degree 4 (Diaa et al., USENIX Security 2024, published code)",
        },
    ];

    /// The polynomial called `name` in [`Polynomial::NAMED`].
    pub fn named(name: &str) -> Option<Self> {
        let entry = Self::NAMED.iter().find(|entry| entry.name == name)?;
        Some(Polynomial { coefficients: entry.coefficients.to_vec(), precision_bits: entry.precision_bits })
    }

    /// Rounds `coefficients`, constant first, to the nearest multiples of `2^-precision_bits`.
    ///
    /// High coefficients that are zero once rounded are dropped.
    ///
    /// # Errors
    ///
    /// An empty list, a degree above [`Self::MAX_DEGREE`], a coefficient that is not finite or
    /// above [`Self::MAX_COEFFICIENT`], or a constant.
    ///
    /// # Panics
    ///
    /// If `precision_bits` is above 40, where coefficients might no longer fit.
    pub fn from_floats(coefficients: &[f64], precision_bits: u32) -> Result<Self, PolynomialError> {
        assert!(precision_bits <= 40, "coefficients must fit in 64 bits");
        if coefficients.is_empty() {
            return Err(PolynomialError::Empty);
        }
        if coefficients.len() > Self::MAX_DEGREE + 1 {
            let actual = coefficients.len() - 1;
            return Err(PolynomialError::Degree { actual });
        }
        let unusable = |c: &f64| !(c.is_finite() && c.abs() <= Self::MAX_COEFFICIENT);
        if let Some(power) = coefficients.iter().position(unusable) {
            let value = coefficients[power];
            return Err(PolynomialError::Coefficient { power, value });
        }
        let unit = f64::from(precision_bits).exp2();
        let mut rounded: Vec<i64> = (coefficients.iter()).map(|c| (c * unit).round() as i64).collect();
        rounded.truncate(rounded.iter().rposition(|&c| c != 0).map_or(0, |d| d + 1));
        if rounded.len() < 2 {
            return Err(PolynomialError::Constant { precision_bits });
        }
        Ok(Polynomial { coefficients: rounded, precision_bits })
    }

    /// `d`, the index of the last coefficient.
    pub fn degree(&self) -> usize {
        self.coefficients.len().saturating_sub(1)
    }

    /// The value at `x` in floating point.
    pub fn eval(&self, x: f64) -> f64 {
        let unit = (-(self.precision_bits as f64)).exp2();
        self.coefficients.iter().rev().fold(0.0, |acc, &c| acc * x + c as f64 * unit)
    }
}

impl Function {
    /// The value at `x` in floating point.
    pub fn eval(&self, x: f64) -> f64 {
        match self {
            Function::Relu => x.max(0.0),
            Function::Relu6 => x.clamp(0.0, 6.0),
            Function::Polynomial(p) => p.eval(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Polynomial {
        Polynomial::named(name).expect("a named polynomial")
    }

    #[test]
    fn named_polynomials_have_their_values() {
        // 322/1024 = 0.314453125; at 2: + 1 + 0.625 - 48/1024; at -5: - 2.5 + 3.90625 - 1875/1024.
        let d4 = named("relu-d4");
        assert_eq!(d4.degree(), 4);
        assert_eq!(d4.eval(0.0), 0.314453125);
        assert_eq!(d4.eval(2.0), 0.314453125 + 1.0 + 0.625 - 0.046875);
        assert_eq!(d4.eval(-5.0), 0.314453125 - 2.5 + 3.90625 - 1.8310546875);
        // 15/32 + x/2 + 3/32 x^2.
        let d2 = named("relu-d2");
        assert_eq!(d2.eval(0.0), 0.46875);
        assert_eq!(d2.eval(2.0), 0.46875 + 1.0 + 0.375);
        assert_eq!(d2.eval(-5.0), 0.46875 - 2.5 + 2.34375);
        assert_eq!(Polynomial::named("relu"), None);
    }

    #[test]
    fn relu_d2_is_the_least_squares_fit() {
        // The residual of a least-squares fit is orthogonal to 1, x and x^2 (midpoint rule).
        let polynomial = named("relu-d2");
        let steps = 100_000;
        let mut moments = [0.0; 3];
        for i in 0..steps {
            let x = -5.0 + 10.0 * (f64::from(i) + 0.5) / f64::from(steps);
            let residual = polynomial.eval(x) - Function::Relu.eval(x);
            for (k, moment) in moments.iter_mut().enumerate() {
                *moment += residual * x.powi(k as i32) * 10.0 / f64::from(steps);
            }
        }
        assert!(moments.iter().all(|m| m.abs() < 1e-6), "{moments:?}");
    }

    #[test]
    fn named_polynomials_are_well_formed() {
        for entry in Polynomial::NAMED {
            let unit = (-f64::from(entry.precision_bits)).exp2();
            let floats: Vec<_> = (entry.coefficients.iter()).map(|&c| c as f64 * unit).collect();
            let rounded = Polynomial::from_floats(&floats, entry.precision_bits);
            assert_eq!(rounded, Ok(named(entry.name)));
            let error = |x: f64| (named(entry.name).eval(x) - x.max(0.0)).abs();
            let worst = (-50..=50).map(|i| error(f64::from(i) / 10.0));
            assert!(worst.fold(0.0, f64::max) < 0.5, "{}", entry.name);
        }
    }

    #[test]
    fn floats_are_rounded_to_the_precision() {
        let p = Polynomial::from_floats(&[0.1992, 0.5002, 0.1997, 1e-9], 20).expect("usable");
        // 0.1992 * 2^20 = 208876.34, 0.5002 * 2^20 = 524497.72, 0.1997 * 2^20 = 209400.63.
        assert_eq!(p.coefficients, [208_876, 524_498, 209_401]);
        let p = Polynomial::from_floats(&[0.0, 0.75, -0.25], 1).expect("usable");
        assert_eq!(p.coefficients, [0, 2, -1], "halves round away from zero");
    }

    #[test]
    fn unusable_lists_are_named() {
        let error = |coefficients: &[f64]| {
            let result = Polynomial::from_floats(coefficients, 10);
            result.expect_err("unusable").to_string()
        };
        assert_eq!(error(&[]), "the list of coefficients is empty");
        assert_eq!(error(&[1.0; 10]), "degree 9 is more than 8");
        assert_eq!(error(&[0.0, f64::NAN]), "the coefficient NaN of x^1 is not a number within +-65536");
        assert_eq!(error(&[1e9, 1.0]), "the coefficient 1000000000 of x^0 is not a number within +-65536");
        let constant = "every coefficient above the constant is 0 at 10 fractional bits";
        assert_eq!(error(&[0.0, 0.0]), constant);
        assert_eq!(error(&[0.5, 1e-4]), constant);
    }
}
