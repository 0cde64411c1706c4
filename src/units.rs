//! Quantities with units: durations, rates and sizes, parsed and printed exactly.
//!
//! Numbers are decimal and never pass through floating point: `"0.25 ms"` is 250,000 ns, and what
//! is no whole number of nanoseconds, bits per second or bytes is an error. Printing chooses a unit
//! in which the value is exact, so `text.parse()` gives back what `to_string()` was called on.
//!
//! ```
//! use longhaul::units::{BitRate, Bytes, Nanos};
//!
//! assert_eq!("0.25 ms".parse(), Ok(Nanos(250_000)));
//! assert_eq!("100 Mbit/s".parse(), Ok(BitRate(100_000_000)));
//! assert_eq!("64 MiB".parse(), Ok(Bytes(64 << 20)));
//! let error = "100 Mbps".parse::<BitRate>().unwrap_err();
//! assert_eq!(error.to_string(), r#""Mbps" is not a unit of rate; write "100 Mbit/s""#);
//! ```

mod quantity;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use quantity::QuantityError;
use quantity::{Kind, decimal_text, parse, split, whole_text};

/// A duration or an instant on a virtual clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// A transmission rate in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl BitRate {
    /// No limit: sending takes no time. Written `"unlimited"`.
    pub const UNLIMITED: BitRate = BitRate(u64::MAX);
}

/// A quantity that is written as a number and a unit.
pub trait Quantity: FromStr<Err = QuantityError> + fmt::Display {
    /// A well-formed example, for messages: `100 ms`.
    const EXAMPLE: &'static str;
}

const TIME: Kind = Kind {
    what: "time",
    grain: "nanosecond",
    grains: "nanoseconds",
    example_unit: "ms",
    example: Nanos::EXAMPLE,
    units: &[("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)],
    // U+00B5 micro sign and U+03BC Greek mu look the same; both are read as us.
    also_read: &[("\u{b5}s", "us"), ("\u{3bc}s", "us")],
    meant: &[
        ("sec", "s"),
        ("secs", "s"),
        ("second", "s"),
        ("seconds", "s"),
        ("msec", "ms"),
        ("msecs", "ms"),
        ("millis", "ms"),
        ("milliseconds", "ms"),
        ("usec", "us"),
        ("micros", "us"),
        ("microseconds", "us"),
        ("nanos", "ns"),
        ("nanoseconds", "ns"),
    ],
};

const RATE: Kind = Kind {
    what: "rate",
    grain: "bit per second",
    grains: "bits per second",
    example_unit: "Mbit/s",
    example: BitRate::EXAMPLE,
    units: &[("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)],
    also_read: &[],
    meant: &[
        ("bps", "bit/s"),
        ("kbps", "kbit/s"),
        ("mbps", "Mbit/s"),
        ("gbps", "Gbit/s"),
        ("b/s", "bit/s"),
        ("kb/s", "kbit/s"),
        ("mb/s", "Mbit/s"),
        ("gb/s", "Gbit/s"),
        ("bit", "bit/s"),
        ("kbit", "kbit/s"),
        ("mbit", "Mbit/s"),
        ("gbit", "Gbit/s"),
        ("bits/s", "bit/s"),
        ("kbits/s", "kbit/s"),
        ("mbits/s", "Mbit/s"),
        ("gbits/s", "Gbit/s"),
        ("k", "kbit/s"),
        ("m", "Mbit/s"),
        ("g", "Gbit/s"),
    ],
};

/// Units of bytes per second, in bits per second: not accepted, only recognised.
const BYTE_RATES: Kind = Kind {
    units: &[
        ("B/s", 8),
        ("kB/s", 8_000),
        ("KB/s", 8_000),
        ("MB/s", 8_000_000),
        ("GB/s", 8_000_000_000),
        ("KiB/s", 8 << 10),
        ("MiB/s", 8 << 20),
        ("GiB/s", 8 << 30),
        ("Bps", 8),
        ("KBps", 8_000),
        ("MBps", 8_000_000),
        ("GBps", 8_000_000_000),
    ],
    meant: &[],
    ..RATE
};

const SIZE: Kind = Kind {
    what: "size",
    grain: "byte",
    grains: "bytes",
    example_unit: "MiB",
    example: Bytes::EXAMPLE,
    units: &[
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
        ("B", 1),
    ],
    also_read: &[],
    meant: &[("byte", "B"), ("bytes", "B"), ("k", "KiB"), ("m", "MiB"), ("g", "GiB"), ("t", "TiB")],
};

impl Quantity for Nanos {
    const EXAMPLE: &'static str = "100 ms";
}

impl Quantity for BitRate {
    const EXAMPLE: &'static str = "100 Mbit/s";
}

impl Quantity for Bytes {
    const EXAMPLE: &'static str = "64 MiB";
}

impl FromStr for Nanos {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, &TIME).map(Nanos)
    }
}

impl FromStr for BitRate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "unlimited" {
            return Ok(BitRate::UNLIMITED);
        }
        let (_, unit) = split(text);
        if BYTE_RATES.units.iter().any(|(name, _)| *name == unit) {
            let bits = parse(text, &BYTE_RATES).map(BitRate)?;
            return Err(QuantityError {
                message: format!("\"{unit}\" counts bytes, but rates are in bits per second"),
                remedy: format!("write \"{bits}\""),
            });
        }
        match parse(text, &RATE)? {
            u64::MAX => Err(QuantityError::too_large(text, &RATE)),
            bits => Ok(BitRate(bits)),
        }
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, &SIZE).map(Bytes)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&decimal_text(self.0, &TIME))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BitRate::UNLIMITED => f.pad("unlimited"),
            BitRate(bits) => f.pad(&decimal_text(bits, &RATE)),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&whole_text(self.0, &SIZE))
    }
}

/// Serialises the types as the strings they are written as.
macro_rules! serialise_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serialise_as_text!(Nanos, BitRate, Bytes);

#[cfg(test)]
mod tests;
