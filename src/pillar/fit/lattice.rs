//! The closest vector of a lattice whose coordinates are bounded.
//!
//! Householder's QR turns the least-squares problem into a triangular one, whose rows are decided from the last to the
//! first: each choice of the coefficients from `k` on fixes that part of the sum, and a partial sum above the best whole
//! one is not followed further (Schnorr and Euchner, *Lattice Basis Reduction*, Mathematical Programming 66, 1994,
//! section 3: candidates of one row in the order of their distance, so that the first too far ends the row). With the
//! powers in rising order the diagonal grows with the power on any range that activations have, so the first descent is
//! nearly the best and little is left to rule out.

/// Partial solutions after which the search gives up: about a minute.
const MOST_NODES: u64 = 2_000_000_000;

/// The integers that are best.
#[derive(Debug, PartialEq)]
pub(super) struct Solution {
    pub integers: Vec<i64>,
    /// Partial solutions that were looked at.
    pub nodes: u64,
}

/// The integers `c`, `|c_k| <= bound`, for which `sum over rows of (row . c - value)^2` is least.
///
/// # Errors
/// The number of steps after which the search gave up.
pub(super) fn closest(rows: &[Vec<f64>], values: &[f64], bound: i64) -> Result<Solution, u64> {
    let (triangle, projected) = triangular(rows, values);
    let count = projected.len();
    let mut search = Search { triangle, projected, bound, best: None, least: f64::INFINITY, nodes: 0 };
    if !search.descend(count, &mut vec![0; count], 0.0) {
        return Err(search.nodes);
    }
    let integers = search.best.expect("the first descent always ends in a solution");
    Ok(Solution { integers, nodes: search.nodes })
}

/// `R` and the first entries of `Q^T values`, by Householder reflections.
fn triangular(rows: &[Vec<f64>], values: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let columns = rows[0].len();
    let mut rows: Vec<Vec<f64>> = rows.iter().zip(values).map(|(row, &v)| [row.as_slice(), &[v]].concat()).collect();
    for k in 0..columns {
        let norm = rows[k..].iter().map(|row| row[k] * row[k]).sum::<f64>().sqrt();
        let sign = if rows[k][k] > 0.0 { -1.0 } else { 1.0 };
        let mut reflector: Vec<f64> = rows[k..].iter().map(|row| row[k]).collect();
        reflector[0] -= sign * norm;
        let square: f64 = reflector.iter().map(|v| v * v).sum();
        for column in k..=columns {
            let dot: f64 = reflector.iter().zip(&rows[k..]).map(|(v, row)| v * row[column]).sum();
            for (v, row) in reflector.iter().zip(&mut rows[k..]) {
                row[column] -= 2.0 * dot / square * v;
            }
        }
    }
    let projected = rows[..columns].iter().map(|row| row[columns]).collect();
    let triangle = rows.into_iter().take(columns).map(|mut row| {
        row.truncate(columns);
        row
    });
    (triangle.collect(), projected)
}

struct Search {
    triangle: Vec<Vec<f64>>,
    projected: Vec<f64>,
    bound: i64,
    best: Option<Vec<i64>>,
    least: f64,
    nodes: u64,
}

impl Search {
    /// Decides the rows below `level`, the others being decided at the cost of `partial`; false if it gave up.
    fn descend(&mut self, level: usize, integers: &mut Vec<i64>, partial: f64) -> bool {
        let Some(row) = level.checked_sub(1) else {
            if partial < self.least {
                self.least = partial;
                self.best = Some(integers.clone());
            }
            return true;
        };
        let decided: f64 = (level..integers.len()).map(|j| self.triangle[row][j] * integers[j] as f64).sum();
        let diagonal = self.triangle[row][row];
        let rest = self.projected[row] - decided;
        let centre = (rest / diagonal).clamp(-(self.bound as f64), self.bound as f64);
        let nearest = centre.round() as i64;
        // Outwards on both sides, the nearer one next.
        let (mut below, mut above) = (nearest, nearest + 1);
        loop {
            let down = (below >= -self.bound).then_some(rest - diagonal * below as f64);
            let up = (above <= self.bound).then_some(rest - diagonal * above as f64);
            let (candidate, error) = match (down, up) {
                (Some(down), Some(up)) if down.abs() <= up.abs() => (below, down),
                (_, Some(up)) => (above, up),
                (Some(down), None) => (below, down),
                (None, None) => return true,
            };
            let cost = partial + error * error;
            if cost >= self.least {
                return true;
            }
            self.nodes += 1;
            if self.nodes > MOST_NODES {
                return false;
            }
            integers[row] = candidate;
            if !self.descend(row, integers, cost) {
                return false;
            }
            if candidate == below { below -= 1 } else { above += 1 }
        }
    }
}
