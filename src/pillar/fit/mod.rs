//! Polynomials fitted under quantisation: the integers that are best, not the best real numbers rounded.
//!
//! Diaa et al., section 4.1: over a grid on `[-range, range]`, choose integers `c_k`, `|c_k| <= 2^(p-1)`, that minimise
//! `sum over x of (sum_k c_k x^k - trunc(2^p f(x)))^2`. The authors hand this to a general solver for mixed-integer
//! programs; it is a closest-vector problem in as many dimensions as there are coefficients, which `lattice.rs` solves
//! exactly in milliseconds.

mod lattice;
mod target;

pub use target::Target;

/// Distance of grid points unless stated, as the authors have it.
pub const DEFAULT_STEP: f64 = 0.01;
/// Most points of a grid.
const MOST_POINTS: f64 = 1e6;

/// What is fitted, on what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// The function.
    pub target: Target,
    /// Of the polynomial, 1 to 9.
    pub degree: usize,
    /// The grid spans `[-range, range]`.
    pub range: f64,
    /// Fractional bits of the coefficients, 1 to 30.
    pub precision_bits: u32,
    /// Distance of grid points; the range is a multiple of it or nearly so.
    pub step: f64,
}

/// The best polynomial.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Coefficients in units of `2^-precision_bits`, constant first; as many as the degree asks for.
    pub integers: Vec<i64>,
    /// Fractional bits.
    pub precision_bits: u32,
    /// The sum that was minimised, in squared units of `2^-precision_bits`.
    pub objective: f64,
    /// Partial solutions that were looked at to prove that no other is better.
    pub nodes: u64,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A number is unusable.
    #[error("{0}")]
    Problem(String),
    /// The proof takes too long.
    #[error(
        "no polynomial was proven best within {nodes} steps: on [-{range}, {range}] the powers up to x^{degree} are \
         too much alike; lower the degree or the precision, or widen the range"
    )]
    TooHard {
        /// Steps taken.
        nodes: u64,
        /// Half the width of the grid.
        range: f64,
        /// Degree asked for.
        degree: usize,
    },
}

impl Fit {
    /// The coefficients as numbers, constant first.
    pub fn coefficients(&self) -> Vec<f64> {
        let unit = (-f64::from(self.precision_bits)).exp2();
        self.integers.iter().map(|&c| c as f64 * unit).collect()
    }
}

impl Problem {
    /// The largest degree.
    pub const MAX_DEGREE: usize = 9;

    /// The best polynomial there is.
    ///
    /// # Errors
    /// If a number is out of range, or the best cannot be proven within a minute or so.
    pub fn solve(&self) -> Result<Fit, FitError> {
        self.check()?;
        let points = self.grid();
        let values: Vec<f64> = points.iter().map(|&x| self.quantised(x)).collect();
        let bound = 1i64 << (self.precision_bits - 1);
        let (mut integers, mut nodes) = (vec![0; self.degree + 1], 0);
        // The grid is symmetric, so even and odd powers are orthogonal on it and are two problems of half the size.
        for parity in 0..2 {
            let powers: Vec<usize> = (parity..=self.degree).step_by(2).collect();
            let row = |&x: &f64| powers.iter().map(|&k| x.powi(k as i32)).collect();
            let rows: Vec<Vec<f64>> = points.iter().map(row).collect();
            let solution = lattice::closest(&rows, &values, bound);
            let too_hard = |nodes| FitError::TooHard { nodes, range: self.range, degree: self.degree };
            let solution = solution.map_err(too_hard)?;
            nodes += solution.nodes;
            powers.iter().zip(solution.integers).for_each(|(&k, c)| integers[k] = c);
        }
        let objective = self.objective(&integers);
        Ok(Fit { integers, precision_bits: self.precision_bits, objective, nodes })
    }

    /// The sum that is minimised, for any integer coefficients, constant first.
    pub fn objective(&self, integers: &[i64]) -> f64 {
        let error = |x: f64| integers.iter().rev().fold(0.0, |sum, &c| sum * x + c as f64) - self.quantised(x);
        self.grid().into_iter().map(|x| error(x).powi(2)).sum()
    }

    /// The points, both ends included.
    pub fn grid(&self) -> Vec<f64> {
        let intervals = (2.0 * self.range / self.step).round() as usize;
        (0..=intervals).map(|i| self.range * (2.0 * i as f64 - intervals as f64) / intervals as f64).collect()
    }

    /// `trunc(2^p f(x))`.
    fn quantised(&self, x: f64) -> f64 {
        (f64::from(self.precision_bits).exp2() * self.target.eval(x)).trunc()
    }

    fn check(&self) -> Result<(), FitError> {
        let intervals = 2.0 * self.range / self.step;
        let rules = [
            (
                (1..=Self::MAX_DEGREE).contains(&self.degree),
                format!("the degree must be from 1 to {}", Self::MAX_DEGREE),
            ),
            ((1..=30).contains(&self.precision_bits), "the precision must be from 1 to 30 bits".to_owned()),
            (
                self.range.is_finite() && self.range > 0.0 && self.range <= 1000.0,
                "the range must be above 0 and at most 1000".to_owned(),
            ),
            (
                self.step > 0.0 && intervals >= 2.0 * self.degree as f64 && intervals <= MOST_POINTS,
                format!(
                    "the step must leave from {} to {MOST_POINTS} points on [-{r}, {r}]",
                    2 * self.degree + 1,
                    r = self.range
                ),
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(FitError::Problem(rule)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(degree: usize, range: f64, precision_bits: u32, step: f64) -> Problem {
        Problem { target: Target::Relu, degree, range, precision_bits, step }
    }

    #[test]
    fn at_least_as_good_as_the_authors() {
        let relu = problem(4, 5.0, 10, 0.01);
        let fit = relu.solve().unwrap();
        // 0.31445312, 0.5, 0.15625, 0, -0.00292969 in units of 2^-10.
        let authors = relu.objective(&[322, 512, 160, 0, -3]);
        assert!(fit.objective <= authors, "{} is above {authors}", fit.objective);
        assert_eq!(fit.objective, relu.objective(&fit.integers));
        assert_eq!(fit.integers[1], 512, "ReLU is x/2 and an even function");
    }

    #[test]
    fn no_integers_are_better() {
        // Everything within the bound, by brute force.
        for target in Target::ALL.map(|(_, target)| target) {
            for (degree, range, precision_bits) in [(1, 2.0, 6), (2, 3.0, 5), (2, 1.0, 6), (3, 2.0, 4), (4, 1.5, 3)] {
                let problem = Problem { target, degree, range, precision_bits, step: range / 10.0 };
                let fit = problem.solve().unwrap();
                let bound = 1i64 << (precision_bits - 1);
                let side = (2 * bound + 1) as usize;
                let mut best = f64::INFINITY;
                for index in 0..side.pow(degree as u32 + 1) {
                    let integers: Vec<i64> =
                        (0..=degree).map(|k| (index / side.pow(k as u32) % side) as i64 - bound).collect();
                    best = best.min(problem.objective(&integers));
                }
                assert!(fit.integers.iter().all(|c| c.abs() <= bound), "{problem:?}: {fit:?}");
                assert!((fit.objective - best).abs() <= 1e-9 * best.max(1.0), "{problem:?}: {fit:?}, best {best}");
            }
        }
    }

    #[test]
    fn no_single_or_double_step_is_better_where_brute_force_is_out_of_reach() {
        for target in Target::ALL.map(|(_, target)| target) {
            for degree in 2..=9 {
                let problem = Problem { target, degree, range: 5.0, precision_bits: 10, step: 0.02 };
                let fit = problem.solve().unwrap();
                for i in 0..=degree {
                    for j in 0..=degree {
                        for (a, b) in [(1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (2, -1), (-2, 1)] {
                            let mut other = fit.integers.clone();
                            other[i] += a;
                            other[j] += b;
                            if other.iter().all(|c| c.abs() <= 512) {
                                let objective = problem.objective(&other);
                                assert!(objective >= fit.objective * (1.0 - 1e-9), "{problem:?}: {other:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn unusable_problems_are_named() {
        let text = |problem: Problem| problem.solve().unwrap_err().to_string();
        assert_eq!(text(problem(10, 5.0, 10, 0.01)), "the degree must be from 1 to 9");
        assert_eq!(text(problem(2, 5.0, 31, 0.01)), "the precision must be from 1 to 30 bits");
        assert!(text(problem(2, f64::NAN, 10, 0.01)).starts_with("the range"));
        assert!(text(problem(2, 5.0, 10, 0.0)).starts_with("the step"));
        assert!(text(problem(4, 5.0, 10, 5.0)).starts_with("the step must leave from 9"));
    }
}
