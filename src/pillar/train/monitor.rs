//! What the passes of a run saw.

/// Sums what passes saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Sum of penalties.
    pub penalty: f64,
    /// Pre-activations outside.
    pub outside: f64,
    /// Largest magnitude.
    pub max_abs: f64,
}

impl Seen {
    /// Takes in `[penalty, outside, largest]`.
    pub(super) fn add(&mut self, values: &[f32]) {
        self.penalty += f64::from(values[0]);
        self.outside += f64::from(values[1]);
        self.max_abs = self.max_abs.max(f64::from(values[2]));
    }
}
