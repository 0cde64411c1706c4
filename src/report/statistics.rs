//! Statistics of a cell: medians, percentiles, and bootstrap intervals.
//!
//! Everything is a pure function of the samples and a seed, and does not depend on their order.

use crate::units::Nanos;
use hdrhistogram::Histogram;
use std::collections::HashMap;

const RESAMPLES: usize = 1000;
/// Positions of the 2.5 % and 97.5 % points among the sorted resamples.
const LOW_INDEX: usize = RESAMPLES * 25 / 1000;
const HIGH_INDEX: usize = RESAMPLES - 1 - LOW_INDEX;
const HISTOGRAM_DIGITS: u8 = 4;

/// A 95 % interval, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval<T> {
    /// Lower end.
    pub low: T,
    /// Upper end.
    pub high: T,
}

/// Times of repetitions of one thing.
///
/// Keeps every sample (for the exact median) and a histogram with four significant digits (for
/// percentiles). The histogram takes up to a few MiB, so build one `Latencies` at a time rather
/// than one per layer.
#[derive(Clone, Debug)]
pub struct Latencies {
    samples: Vec<Nanos>,
    histogram: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies::new()
    }
}

impl FromIterator<Nanos> for Latencies {
    fn from_iter<I: IntoIterator<Item = Nanos>>(times: I) -> Self {
        let mut latencies = Latencies::new();
        for time in times {
            latencies.record(time);
        }
        latencies
    }
}

impl Latencies {
    /// No samples yet.
    pub fn new() -> Self {
        let histogram = Histogram::new(HISTOGRAM_DIGITS).expect("four digits is a supported precision");
        Latencies { samples: Vec::new(), histogram }
    }

    /// Adds one sample.
    pub fn record(&mut self, time: Nanos) {
        self.samples.push(time);
        self.histogram.record(time.0).expect("a resizing histogram covers every u64");
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Latencies) {
        self.samples.extend_from_slice(&other.samples);
        self.histogram.add(&other.histogram).expect("a resizing histogram covers every u64");
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The exact median; of an even number of samples the mean of the middle two, rounded down.
    /// `None` without samples.
    pub fn median(&self) -> Option<Nanos> {
        median(&mut self.nanoseconds(), midpoint).map(Nanos)
    }

    /// The 95th percentile to four digits, never above the largest sample. `None` without samples.
    pub fn p95(&self) -> Option<Nanos> {
        self.quantile(0.95)
    }

    /// The smallest recorded time that a share of at least `q` (0 to 1) does not exceed, to four significant digits.
    pub fn quantile(&self, q: f64) -> Option<Nanos> {
        Some(Nanos(self.histogram.value_at_quantile(q)).min(self.max()?))
    }

    /// The largest sample, exactly: the histogram knows it to four digits only. `None` without samples.
    pub fn max(&self) -> Option<Nanos> {
        self.samples.iter().max().copied()
    }

    /// The histogram behind the quantiles.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The 95 % percentile-bootstrap interval of the median. `None` for fewer than two samples.
    pub fn median_interval(&self, seed: u64) -> Option<Interval<Nanos>> {
        let interval = bootstrap(self.nanoseconds(), seed, |resample| median(resample, midpoint))?;
        Some(Interval { low: Nanos(interval.low), high: Nanos(interval.high) })
    }

    fn nanoseconds(&self) -> Vec<u64> {
        self.samples.iter().map(|time| time.0).collect()
    }
}

/// Half the width of the 95 % interval of the median, relative to the median. `None` for fewer than two samples.
pub fn relative_half_width(times: &Latencies) -> Option<f64> {
    let interval = times.median_interval(1)?;
    let half_width = (interval.high.0 - interval.low.0) as f64 / 2.0;
    Some(if half_width == 0.0 { 0.0 } else { half_width / times.median()?.0 as f64 })
}

/// Wilson's 95 % interval of a share, `successes` out of `trials` (at least one): unlike the textbook's it stays within
/// 0 and 1 and means something for few trials. Wilson, JASA 1927.
pub fn wilson_interval(successes: u64, trials: u64) -> Interval<f64> {
    /// 97.5 % point of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    let (n, share) = (trials as f64, successes as f64 / trials as f64);
    let shrink = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / shrink;
    let half_width = Z / shrink * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half_width).max(0.0), high: (centre + half_width).min(1.0) }
}

/// Identifies a run within its cell: repetition, then image.
pub type RunId = (u32, u32);

/// The median of per-run ratios, with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedRatio {
    /// Median of the ratios.
    pub median: f64,
    /// Its 95 % bootstrap interval; `None` for a single pair.
    pub interval: Option<Interval<f64>>,
    /// Pairs found.
    pub pairs: usize,
}

/// Divides each time of `baseline` by the time of `subject` with the same id.
///
/// Runs without a partner are left out. `None` if no pair remains or if a subject's time is 0.
/// Ids must be unique on each side.
pub fn paired_ratio(baseline: &[(RunId, Nanos)], subject: &[(RunId, Nanos)], seed: u64) -> Option<PairedRatio> {
    let subject: HashMap<RunId, Nanos> = subject.iter().copied().collect();
    let ratios: Vec<f64> = baseline
        .iter()
        .filter_map(|(id, time)| Some((time, subject.get(id)?)))
        .map(|(above, below)| above.0 as f64 / below.0 as f64)
        .collect();
    if ratios.iter().any(|ratio| !ratio.is_finite()) {
        return None;
    }
    let pairs = ratios.len();
    let mean = |a: f64, b: f64| (a + b) / 2.0;
    Some(PairedRatio {
        median: median(&mut ratios.clone(), mean)?,
        interval: bootstrap(ratios, seed, |resample| median(resample, mean)),
        pairs,
    })
}

/// Times of one thing and of a fixed piece of work that ran beside it, in any common unit.
#[derive(Clone, Copy, Debug)]
pub struct Calibrated<'a> {
    /// Samples of the thing.
    pub times: &'a [f64],
    /// Samples of the fixed work; need not be as many.
    pub calibrations: &'a [f64],
}

/// A ratio of calibrated times, with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibratedRatio {
    /// Candidate over baseline, each the lower quartile of its times over that of its calibrations.
    pub ratio: f64,
    /// Its 95 % percentile-bootstrap interval.
    pub interval: Interval<f64>,
}

/// Compares calibrated times by their lower quartiles: other work on the machine only ever adds time, so what the fast
/// quarter of the runs took says more than the median, and more calmly than the single fastest. All four samples are
/// independent, and all are resampled.
///
/// `None` for fewer than two samples of a kind, or if one is not finite and above 0.
pub fn calibrated_ratio(baseline: Calibrated, candidate: Calibrated, seed: u64) -> Option<CalibratedRatio> {
    let samples = [candidate.times, baseline.calibrations, baseline.times, candidate.calibrations];
    let usable = |samples: &[f64]| samples.len() >= 2 && samples.iter().all(|x| x.is_finite() && *x > 0.0);
    if !samples.iter().all(|samples| usable(samples)) {
        return None;
    }
    let ratio = |[above, unit_below, below, unit_above]: [f64; 4]| (above * unit_below) / (below * unit_above);
    // Each draws from its own numbers: equal samples must not move together.
    let seeds = [0, 1, 2, 3].map(|index| seed.wrapping_mul(4).wrapping_add(index));
    let draws: [Vec<f64>; 4] = std::array::from_fn(|i| resampled(&sorted(samples[i]), seeds[i], lower_quartile));
    let mut ratios: Vec<f64> = (0..RESAMPLES).map(|i| ratio(draws.each_ref().map(|draws| draws[i]))).collect();
    sort(&mut ratios);
    Some(CalibratedRatio {
        ratio: ratio(samples.map(|samples| lower_quartile(&mut samples.to_vec()))),
        interval: Interval { low: ratios[LOW_INDEX], high: ratios[HIGH_INDEX] },
    })
}

/// The sample that a quarter of them, rounded down, lies below. Reorders them; there must be one, and none is NaN.
pub fn lower_quartile(samples: &mut [f64]) -> f64 {
    let (_, quartile, _) = samples.select_nth_unstable_by(samples.len() / 4, f64::total_cmp);
    *quartile
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut samples = samples.to_vec();
    sort(&mut samples);
    samples
}

fn midpoint(low: u64, high: u64) -> u64 {
    low + (high - low) / 2
}

/// Sorts `values` and returns the middle one, or `mean(low, high)` of the middle two.
fn median<T: PartialOrd + Copy>(values: &mut [T], mean: impl Fn(T, T) -> T) -> Option<T> {
    sort(values);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        return Some(values[middle]);
    }
    let low = values.get(middle.checked_sub(1)?)?;
    Some(mean(*low, values[middle]))
}

/// The 95 % percentile interval of `statistic` over resamples of `values` with replacement.
fn bootstrap<T: PartialOrd + Copy>(
    mut values: Vec<T>,
    seed: u64,
    statistic: impl Fn(&mut [T]) -> Option<T>,
) -> Option<Interval<T>> {
    if values.len() < 2 {
        return None;
    }
    // The order of arrival must not matter: a resumed run may record cells in another order.
    sort(&mut values);
    let mut estimates = resampled(&values, seed, statistic).into_iter().collect::<Option<Vec<T>>>()?;
    sort(&mut estimates);
    Some(Interval { low: estimates[LOW_INDEX], high: estimates[HIGH_INDEX] })
}

/// `statistic` of every resample of `values` with replacement, in the order drawn.
fn resampled<T: Copy, S>(values: &[T], seed: u64, statistic: impl Fn(&mut [T]) -> S) -> Vec<S> {
    let mut random = SplitMix64(seed);
    let mut resample = values.to_vec();
    let mut estimate = || {
        resample.fill_with(|| values[random.below(values.len())]);
        statistic(&mut resample)
    };
    (0..RESAMPLES).map(|_| estimate()).collect()
}

fn sort<T: PartialOrd>(values: &mut [T]) {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).expect("times and finite ratios have an order"));
}

/// Steele, Lea and Flood's generator (OOPSLA 2014): resampling needs speed and a seed, not secrecy.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An index below `bound`; its bias, `bound / 2^64`, is far below what a resample can show.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        // Newcombe, Statistics in Medicine 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611.
        for ((successes, trials), (low, high)) in
            [((81, 263), (0.2553, 0.3662)), ((0, 20), (0.0, 0.1611)), ((20, 20), (0.8389, 1.0))]
        {
            let interval = wilson_interval(successes, trials);
            assert!((interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5, "{interval:?}");
        }
    }

    fn latencies(nanos: &[u64]) -> Latencies {
        nanos.iter().copied().map(Nanos).collect()
    }

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(latencies(&[]).median(), None);
        assert_eq!(latencies(&[7]).median(), Some(Nanos(7)));
        assert_eq!(latencies(&[9, 1, 5]).median(), Some(Nanos(5)));
        // Middle two of 1 2 5 100 are 2 and 5: 3.5, rounded down.
        assert_eq!(latencies(&[100, 2, 5, 1]).median(), Some(Nanos(3)));
        let top = latencies(&[u64::MAX, u64::MAX - 2]);
        assert_eq!(top.median(), Some(Nanos(u64::MAX - 1)), "no overflow");
    }

    #[test]
    fn p95_is_the_19th_of_20_and_never_above_the_largest() {
        assert_eq!(latencies(&[]).p95(), None);
        // 1 to 20 ms: ceil(0.95 * 20) = 19; four digits leave 1 part in 10,000.
        let twenty: Latencies = (1..=20).map(|i| Nanos(i * 1_000_000)).collect();
        let p95 = twenty.p95().unwrap().0;
        assert!((19_000_000..19_001_900).contains(&p95), "{p95}");
        // The bucket of this value ends above it.
        let odd = 123_456_789;
        let plain = latencies(&[odd]);
        assert!(plain.histogram.value_at_quantile(0.95) > odd);
        assert_eq!(plain.p95(), Some(Nanos(odd)));
        assert_eq!(latencies(&[0]).p95(), Some(Nanos(0)));
    }

    #[test]
    fn merging_equals_recording_everything() {
        let mut left = latencies(&[5, 40_000_000_000]);
        left.merge(&latencies(&[7, 1]));
        let all = latencies(&[1, 5, 7, 40_000_000_000]);
        assert_eq!(left.len(), 4);
        assert_eq!(left.median(), all.median());
        assert_eq!(left.p95(), all.p95());
        assert_eq!(left.median_interval(3), all.median_interval(3));
    }

    #[test]
    fn intervals_are_seeded_ordered_and_empty_for_one_sample() {
        assert_eq!(latencies(&[]).median_interval(1), None);
        assert_eq!(latencies(&[5]).median_interval(1), None);
        let equal = latencies(&[5, 5, 5]).median_interval(1).unwrap();
        assert_eq!((equal.low, equal.high), (Nanos(5), Nanos(5)));
        // Of two samples a resample is {a, a}, {b, b} (a quarter each) or {a, b}: the ends are a, b.
        let two = latencies(&[10, 30]).median_interval(1).unwrap();
        assert_eq!((two.low, two.high), (Nanos(10), Nanos(30)));

        let forth: Vec<u64> = (0..40).map(|i| i * i * 1000).collect();
        let back: Vec<u64> = forth.iter().rev().copied().collect();
        let interval = latencies(&forth).median_interval(9).unwrap();
        assert_eq!(latencies(&back).median_interval(9), Some(interval));
        let median = latencies(&forth).median().unwrap();
        assert!(interval.low < median && median < interval.high);
    }

    #[test]
    fn the_interval_covers_the_true_median_about_95_times_in_100() {
        // 400 experiments of 31 draws, uniform on [0, 2^20): true median 2^19.
        let mut random = SplitMix64(2024);
        let covered = (0..400)
            .filter(|&experiment| {
                let draws: Latencies = (0..31).map(|_| Nanos(random.next() >> 44)).collect();
                let interval = draws.median_interval(experiment).unwrap();
                (interval.low..=interval.high).contains(&Nanos(1 << 19))
            })
            .count();
        // Standard deviation 4.4 about 380; the percentile bootstrap is slightly off nominal.
        assert!((364..=394).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn ratios_pair_runs_by_repetition_and_image() {
        let baseline = [
            ((0, 0), Nanos(20)),
            ((1, 0), Nanos(90)),
            ((2, 0), Nanos(40)),
            ((9, 9), Nanos(1)), // no partner
        ];
        let subject = [
            ((2, 0), Nanos(10)), // ratio 4
            ((1, 0), Nanos(30)), // ratio 3
            ((0, 0), Nanos(10)), // ratio 2
            ((7, 0), Nanos(5)),  // no partner
        ];
        let ratio = paired_ratio(&baseline, &subject, 1).unwrap();
        assert_eq!((ratio.median, ratio.pairs), (3.0, 3));
        // A median of 2 needs two draws of 2 among three: 7 in 27, so both ends are reached.
        let interval = ratio.interval.unwrap();
        assert_eq!((interval.low, interval.high), (2.0, 4.0));

        let single = paired_ratio(&baseline[..1], &subject, 1).unwrap();
        assert_eq!((single.median, single.interval), (2.0, None));
        assert_eq!(paired_ratio(&baseline, &[], 1), None);
        let zero = [((0, 0), Nanos(0))];
        assert_eq!(paired_ratio(&baseline, &zero, 1), None, "nothing over zero");
    }

    #[test]
    fn calibrated_ratios_compare_lower_quartiles() {
        let side = |times| Calibrated { times, calibrations: &[2.0, 2.0] };
        // Of three samples the least, of four the second: 9 and 14.
        let ratio = calibrated_ratio(side(&[9.0, 10.0, 11.0]), side(&[16.0, 15.0, 14.0, 13.0]), 1).unwrap();
        assert_eq!(ratio.ratio, 14.0 / 9.0);
        // The second of four draws is 16 for 13 in 256, the least of three is 9 for 19 in 27: both in 3.6 % of the
        // resamples. Below 13 / 10 lie 13 / 11 and 14 / 11, together 2.5 %: the end is one of the three.
        assert_eq!(ratio.interval.high, 16.0 / 9.0);
        assert!([13.0 / 11.0, 14.0 / 11.0, 13.0 / 10.0].contains(&ratio.interval.low), "{:?}", ratio.interval);
        let slow_machine = Calibrated { times: &[18.0, 18.0], calibrations: &[4.0, 4.0] };
        let still = calibrated_ratio(side(&[9.0, 9.0]), slow_machine, 1).unwrap();
        assert_eq!((still.ratio, still.interval), (1.0, Interval { low: 1.0, high: 1.0 }));
        for times in [&[1.0][..], &[1.0, 0.0], &[f64::NAN, 1.0]] {
            assert_eq!(calibrated_ratio(side(times), side(&[1.0, 2.0]), 1), None);
            assert_eq!(
                calibrated_ratio(side(&[1.0, 2.0]), Calibrated { times: &[1.0, 2.0], calibrations: times }, 1),
                None
            );
        }
    }

    #[test]
    fn equal_sides_are_rarely_told_apart() {
        let mut random = SplitMix64(7);
        let mut side = |n: usize| (0..n).map(|_| 100.0 + (random.next() >> 60) as f64).collect::<Vec<f64>>();
        let outside = (0..400)
            .filter(|&experiment| {
                let (times, calibrations) = ([side(9), side(9)], [side(30), side(30)]);
                let [one, other] = [0, 1].map(|i| Calibrated { times: &times[i], calibrations: &calibrations[i] });
                let Interval { low, high } = calibrated_ratio(one, other, experiment).unwrap().interval;
                low > 1.0 || high < 1.0
            })
            .count();
        // The nominal 20 and what the percentile bootstrap of nine samples is off.
        assert!((1..=32).contains(&outside), "{outside} of 400");
    }
}
