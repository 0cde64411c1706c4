//! What is odd about the times of a cell, each with a remedy: outliers, a slow start, a drift.

use super::human;
use super::record::RunRecord;
use super::summary::in_cells;
use crate::units::Nanos;

/// Fewest runs that say anything.
const LEAST_RUNS: usize = 5;
/// What is nearer to the median than this share of it disturbs nobody.
const NOTICEABLE: f64 = 0.05;
/// An outlier is so many standard deviations, estimated from the median deviation, away: Iglewicz and Hoaglin's modified
/// z-score with a bound that times, which are never normal, rarely pass.
const OUTLYING: f64 = 10.0;
/// Median deviation times this is the standard deviation of a normal distribution.
const NORMAL: f64 = 1.4826;
/// A trend is one that chance makes once in a thousand runs of the test of Mann and Kendall.
const TREND: f64 = 3.29;

/// Warnings about cells whose online times are odd; a line each.
pub fn oddities(runs: &[RunRecord]) -> Vec<String> {
    in_cells(runs).into_iter().filter_map(|(_, runs)| oddity(&runs)).collect()
}

fn oddity(runs: &[&RunRecord]) -> Option<String> {
    let times: Vec<f64> = runs.iter().map(|run| run.online_s.0 as f64).collect();
    if times.len() < LEAST_RUNS {
        return None;
    }
    let cell = format!("{} / {} / {}", runs[0].model, runs[0].protocol, runs[0].link);
    let middle = median(&times);
    let deviation = NORMAL * median(&times.iter().map(|time| (time - middle).abs()).collect::<Vec<_>>());
    let outlying = |time: &&f64| (**time - middle).abs() > (OUTLYING * deviation).max(NOTICEABLE * middle);
    let outliers: Vec<&f64> = times.iter().filter(outlying).collect();
    let show = |time: f64| human::time(Nanos(time.round() as u64));
    match outliers[..] {
        [first] if *first == times[0] && *first > middle => Some(format!(
            "{cell}: the first counted run took {}, the median is {}: caches or the processor's clock were cold; raise `warmup`",
            show(times[0]),
            show(middle)
        )),
        [_, ..] => {
            let farthest = outliers.iter().fold(middle, |farthest, time| {
                if (**time - middle).abs() > (farthest - middle).abs() { **time } else { farthest }
            });
            Some(format!(
                "{cell}: {} of {} runs are outliers, the farthest took {} where the median is {}: something else was running; \
                 make the machine quieter, or raise `repetitions` (medians bear a few outliers)",
                outliers.len(),
                times.len(),
                show(farthest),
                show(middle)
            ))
        }
        [] => drift(&times).map(|change| {
            format!(
                "{cell}: times drift by {:+.1} % from the first to the last third of the runs: the processor's clock or temperature \
                 changes; raise `warmup`, fix the clock rate, or give the machine a rest",
                100.0 * change
            )
        }),
    }
}

/// The change from the first to the last third, if it is noticeable and the trend is no chance.
fn drift(times: &[f64]) -> Option<f64> {
    let n = times.len() as f64;
    let pairs = (0..times.len()).flat_map(|i| (i + 1..times.len()).map(move |j| (i, j)));
    let score: f64 = pairs
        .map(|(i, j)| (times[j] - times[i]).partial_cmp(&0.0).map_or(0, |order| order as i32))
        .map(f64::from)
        .sum();
    let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let third = times.len() / 3;
    let (first, last) = (median(&times[..third]), median(&times[times.len() - third..]));
    let change = last / first - 1.0;
    (score.abs() > TREND * variance.sqrt() && change.abs() > NOTICEABLE).then_some(change)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::run;

    fn warnings(times_ms: &[u64]) -> Vec<String> {
        let runs = times_ms.iter().zip(0..).map(|(ms, repetition)| run("gc", repetition, *ms));
        oddities(&runs.collect::<Vec<_>>())
    }

    #[test]
    fn even_times_and_small_differences_are_fine() {
        assert!(warnings(&[1000, 1004, 999, 1002, 1001, 1003]).is_empty());
        assert!(warnings(&[1000, 1000, 1000, 1000, 1040]).is_empty(), "4 % disturb nobody");
        assert!(warnings(&[1000, 9000, 1000]).is_empty(), "three runs say nothing");
    }

    #[test]
    fn each_oddity_has_its_remedy() {
        let first = warnings(&[2000, 1000, 1001, 999, 1000, 1002]);
        assert_eq!(first.len(), 1);
        assert!(first[0].starts_with("resnet20 / gc / wan: the first counted run took 2.00 s, the median is 1.00 s"));
        assert!(first[0].contains("raise `warmup`"));
        let later = warnings(&[1000, 1001, 999, 3000, 1000, 1002, 2500]);
        assert!(later[0].contains("2 of 7 runs are outliers, the farthest took 3.00 s"), "{later:?}");
        let drifting: Vec<u64> = (0..20).map(|i| 1000 + 10 * i).collect();
        assert!(warnings(&drifting)[0].contains("drift by +13.7 %"), "{:?}", warnings(&drifting));
        let shuffled: Vec<u64> = (0..20).map(|i| 1000 + 10 * (i * 7 % 20)).collect();
        assert!(warnings(&shuffled).is_empty(), "the same times in another order");
    }
}
