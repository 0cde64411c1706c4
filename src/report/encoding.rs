//! How values look in a cell of a CSV file: exact decimal seconds, shortest floats, hex digests.
//!
//! Every submodule is a pair for serde's `with`. An empty cell always means "not measured".

use crate::units::Nanos;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds with exactly nine decimals, without passing through a float.
fn print_seconds(time: Nanos) -> String {
    format!("{}.{:09}", time.0 / NANOS_PER_SECOND, time.0 % NANOS_PER_SECOND)
}

/// Reads what [`print_seconds`] writes; fewer decimals are accepted, a sign or an exponent is not.
fn parse_seconds(text: &str) -> Option<Nanos> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let fraction: u64 = format!("{decimals:0<9}").parse().ok()?;
    let seconds: u64 = whole.parse().ok()?;
    let nanos = seconds.checked_mul(NANOS_PER_SECOND)?;
    nanos.checked_add(fraction).map(Nanos)
}

fn seconds_or_error<E: serde::de::Error>(text: &str) -> Result<Nanos, E> {
    parse_seconds(text).ok_or_else(|| {
        E::custom(format!("expected seconds with at most nine decimals, such as 1.250000000, found {text:?}"))
    })
}

fn finite_or_error<E: serde::de::Error>(value: f64) -> Result<f64, E> {
    if value.is_finite() { Ok(value) } else { Err(E::custom(format!("expected a finite number, found {value}"))) }
}

/// A [`Nanos`] as decimal seconds.
pub(super) mod seconds {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print_seconds(*time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        seconds_or_error(&String::deserialize(deserializer)?)
    }
}

/// An `Option<Nanos>` as decimal seconds or an empty cell.
pub(super) mod optional_seconds {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Option<Nanos>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => seconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Nanos>, D::Error> {
        Option::<String>::deserialize(deserializer)?.map(|text| seconds_or_error(&text)).transpose()
    }
}

/// An `f64` in its shortest form without an exponent; NaN and infinities are an empty cell, which
/// reads back as NaN.
pub(super) mod float {
    use super::*;

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        optional_float::serialize(&Some(*value), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(optional_float::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// An `Option<f64>` in its shortest form without an exponent, or an empty cell.
pub(super) mod optional_float {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) if value.is_finite() => serializer.serialize_str(&value.to_string()),
            _ => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<f64>::deserialize(deserializer)?.map(finite_or_error).transpose()
    }
}

/// A BLAKE3 digest as 64 lower-case hexadecimal digits.
pub(super) mod digest {
    use super::*;
    use blake3::Hash;

    pub fn serialize<S: Serializer>(digest: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.to_hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::from_hex(&text).map_err(|_| D::Error::custom(format!("expected 64 hexadecimal digits, found {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_over_the_whole_range() {
        for (nanos, text) in [
            (0, "0.000000000"),
            (1, "0.000000001"),
            (999_999_999, "0.999999999"),
            (1_000_000_000, "1.000000000"),
            // 2^53 + 1 nanoseconds: the first value that a float could not hold.
            (9_007_199_254_740_993, "9007199.254740993"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(print_seconds(Nanos(nanos)), text);
            assert_eq!(parse_seconds(text), Some(Nanos(nanos)), "{text}");
        }
        assert_eq!(parse_seconds("2.5"), Some(Nanos(2_500_000_000)));
        assert_eq!(parse_seconds("2"), Some(Nanos(2_000_000_000)));
    }

    #[test]
    fn what_is_not_decimal_seconds_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1.0",
            "+1.0",
            "1e3",
            "1.0000000001",
            "1.5s",
            "NaN",
            "18446744073.709551616",
            "99999999999999999999.0",
        ] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
    }
}
