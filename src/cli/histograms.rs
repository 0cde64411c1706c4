//! `longhaul run --hgrm`: online times as the percentile files that HdrHistogram's plotter and tools read.

use anyhow::Context;
use longhaul::report::Latencies;
use longhaul::run::CellTimes;
use std::fmt::Write;
use std::path::Path;

/// Ticks per halving of the distance to 100 %, as HdrHistogram's own tools write.
const TICKS: u32 = 5;
const NANOS_PER_MS: f64 = 1e6;

/// Writes `online.hgrm` and a file per layer into a folder for each cell.
pub fn write(folder: &Path, cells: &[CellTimes]) -> anyhow::Result<()> {
    for cell in cells.iter().filter(|cell| !cell.online.is_empty()) {
        let place = cell.cell.iter().fold(folder.to_owned(), |place, part| place.join(file_name(part)));
        std::fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
        let layers = cell.layers.iter().enumerate();
        let layers = layers.map(|(index, (name, times))| (format!("{index:03}-{}", file_name(name)), times));
        for (name, times) in layers.chain([("online".to_string(), &cell.online)]) {
            let path = place.join(name + ".hgrm");
            std::fs::write(&path, percentiles(&times.iter().copied().collect()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// A name that no file system refuses.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let text: String = name.chars().map(plain).collect();
    text.trim_start_matches('.').to_string()
}

/// The percentile distribution in milliseconds.
fn percentiles(times: &Latencies) -> String {
    let histogram = times.histogram();
    let largest = times.max().map_or(0, |time| time.0);
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for value in histogram.iter_quantiles(TICKS) {
        let milliseconds = value.value_iterated_to().min(largest) as f64 / NANOS_PER_MS;
        let quantile = value.quantile_iterated_to();
        let below = histogram.count_between(0, value.value_iterated_to());
        let row = match quantile < 1.0 {
            true => {
                writeln!(text, "{milliseconds:>12.6} {quantile:>14.12} {below:>10} {:>14.2}", 1.0 / (1.0 - quantile))
            }
            false => writeln!(text, "{milliseconds:>12.6} {quantile:>14.12} {below:>10} {:>14}", "inf"),
        };
        row.expect("a string takes everything");
    }
    let ms = |nanos: f64| nanos / NANOS_PER_MS;
    writeln!(
        text,
        "#[Mean    = {:>12.6}, StdDeviation   = {:>12.6}]\n#[Max     = {:>12.6}, Total count    = {:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]",
        ms(histogram.mean()),
        ms(histogram.stdev()),
        ms(largest as f64),
        histogram.len(),
        histogram.buckets(),
        histogram.distinct_values() / usize::from(histogram.buckets()).max(1)
    )
    .expect("a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul::units::Nanos;

    #[test]
    fn a_distribution_ends_with_its_largest_value_and_everything() {
        let times: Latencies = (1..=100).map(|i| Nanos(i * 1_000_000)).collect();
        let text = percentiles(&times);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
        let half = rows.iter().find(|row| row.get(1) == Some(&"0.500000000000")).expect("the median");
        assert!(half[0].starts_with("50.0") && half[2] == "50" && half[3] == "2.00", "{half:?}");
        let last = rows.iter().rfind(|row| row.last() == Some(&"inf")).expect("a last row");
        assert_eq!(last[..3], ["100.000000", "1.000000000000", "100"]);
        assert!(text.contains("Total count    =          100"), "{text}");
    }

    #[test]
    fn names_are_safe() {
        assert_eq!(file_name("a/b c"), "a_b_c");
        assert_eq!(file_name("../x"), "_x");
    }
}
