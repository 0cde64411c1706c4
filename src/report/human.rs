//! Quantities rounded for reading: three significant digits and a unit. KB = 1000.

use crate::units::Nanos;

/// `812 ns`, `1.25 ms`, `98.7 s`, `12.0 min`, `3.50 h`.
pub fn time(time: Nanos) -> String {
    const UNITS: [(f64, &str); 6] = [
        (1.0, "ns"),
        (1e3, "us"),
        (1e6, "ms"),
        (1e9, "s"),
        (600e9, "min"), // from ten minutes on
        (7200e9, "h"),  // from two hours on
    ];
    let (from, unit) = largest(time.0, &UNITS);
    let divisor = match unit {
        "min" => 60e9,
        "h" => 3600e9,
        _ => from,
    };
    quantity(time.0, divisor, unit)
}

/// `800 B`, `64.0 KB`, `1.50 MB`, `24.0 GB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(f64, &str); 5] = [(1.0, "B"), (1e3, "KB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")];
    let (divisor, unit) = largest(bytes, &UNITS);
    quantity(bytes, divisor, unit)
}

/// `1.25`, `12.5`, `125`, `1250`.
pub(super) fn three_digits(value: f64) -> String {
    // Limits are where rounding would add a digit: 9.995 prints as 10.0, not as 10.00.
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$}")
}

/// The last unit whose start `value`, once rounded to three digits, has reached.
fn largest(value: u64, units: &[(f64, &'static str)]) -> (f64, &'static str) {
    let reached = |from: f64| value as f64 >= from * 0.9995;
    let found = units.iter().rev().find(|(from, _)| reached(*from));
    *found.unwrap_or(&units[0])
}

fn quantity(value: u64, divisor: f64, unit: &str) -> String {
    if divisor == 1.0 {
        return format!("{value} {unit}");
    }
    format!("{} {unit}", three_digits(value as f64 / divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (125_000, "125 us"),
            (999_499, "999 us"),
            (999_500, "1.00 ms"),
            (9_994_999, "9.99 ms"),
            (9_995_000, "10.0 ms"),
            (2_100_000_000, "2.10 s"),
            (599_000_000_000, "599 s"),
            (600_000_000_000, "10.0 min"),
            (5_400_000_000_000, "90.0 min"),
            (7_200_000_000_000, "2.00 h"),
        ] {
            assert_eq!(time(Nanos(nanos)), text);
        }
    }

    #[test]
    fn sizes_count_in_thousands() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (64_000, "64.0 KB"),
            (999_499, "999 KB"),
            (999_500, "1.00 MB"),
            (23_456_000_000, "23.5 GB"),
            (1_500_000_000_000_000, "1500 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }
}
