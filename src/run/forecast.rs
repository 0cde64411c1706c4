//! How long the rest of a run will take, from what it took so far.

use std::collections::HashMap;
use std::time::Duration;

/// A model and a protocol by their indices: their executions take about equally long on every link, unless the clock is
/// the wall's.
pub(super) type Kind = (usize, usize, Option<usize>);

/// Executions done and left, by kind.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    kinds: HashMap<Kind, Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    done: u64,
    took: Duration,
    left: u64,
}

impl Forecast {
    /// There will be `count` more executions of `kind`.
    pub(super) fn plan(&mut self, kind: Kind, count: u64) {
        self.kinds.entry(kind).or_default().left += count;
    }

    /// `count` of the planned executions of `kind` will not be made.
    pub(super) fn drop(&mut self, kind: Kind, count: u64) {
        let progress = self.kinds.entry(kind).or_default();
        progress.left = progress.left.saturating_sub(count);
    }

    /// One of the planned executions of `kind` is done.
    pub(super) fn done(&mut self, kind: Kind, took: Duration) {
        let progress = self.kinds.entry(kind).or_default();
        progress.done += 1;
        progress.took += took;
        progress.left = progress.left.saturating_sub(1);
    }

    /// Executions planned and not done.
    pub(super) fn executions(&self) -> u64 {
        self.kinds.values().map(|progress| progress.left).sum()
    }

    /// Time for the rest: each kind at its own mean, kinds not seen yet at the mean of all. `None` before the first.
    pub(super) fn time(&self) -> Option<Duration> {
        let done: u64 = self.kinds.values().map(|progress| progress.done).sum();
        let took: Duration = self.kinds.values().map(|progress| progress.took).sum();
        let mean = |took: Duration, done: u64| took.as_secs_f64() / done as f64;
        let overall = (done > 0).then(|| mean(took, done))?;
        let seconds = self.kinds.values().map(|progress| {
            let each = if progress.done > 0 { mean(progress.took, progress.done) } else { overall };
            each * progress.left as f64
        });
        Some(Duration::from_secs_f64(seconds.sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_counts_at_its_own_speed() {
        let (slow, fast, unseen) = ((0, 0, None), (0, 1, None), (1, 0, None));
        let mut forecast = Forecast::default();
        [slow, fast, unseen].into_iter().for_each(|kind| forecast.plan(kind, 3));
        assert_eq!(forecast.time(), None);
        forecast.done(slow, Duration::from_secs(10));
        forecast.done(fast, Duration::from_secs(2));
        assert_eq!(forecast.executions(), 2 + 2 + 3);
        // 2 at 10 s, 2 at 2 s, and 3 at their mean of 6 s.
        assert_eq!(forecast.time(), Some(Duration::from_secs(20 + 4 + 18)));
        forecast.drop(unseen, 3);
        assert_eq!(forecast.time(), Some(Duration::from_secs(24)));
    }
}
