//! A number and a unit, exactly: the grammar that durations, rates and sizes share.

use std::fmt::Write;

/// Why a quantity could not be read, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct QuantityError {
    /// What is wrong with the text.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// One kind of quantity: its units, and what people write when they mean one of them.
pub(super) struct Kind {
    /// `time`, `rate`, `size`.
    pub what: &'static str,
    /// The smallest amount there is.
    pub grain: &'static str,
    /// The same, plural.
    pub grains: &'static str,
    /// The unit to suggest for a bare number.
    pub example_unit: &'static str,
    /// A whole example.
    pub example: &'static str,
    /// Units and their size in grains; in printing order, largest first.
    pub units: &'static [(&'static str, u64)],
    /// Other spellings that are read.
    pub also_read: &'static [(&'static str, &'static str)],
    /// Lower-case spellings that are not read but whose intention is clear.
    pub meant: &'static [(&'static str, &'static str)],
}

impl Kind {
    fn size_of(&self, unit: &str) -> Option<u64> {
        let same = |spelling: &&(&str, &str)| spelling.0 == unit;
        let unit = self.also_read.iter().find(same).map_or(unit, |s| s.1);
        let known = self.units.iter().find(|known| known.0 == unit);
        known.map(|known| known.1)
    }

    /// The unit that `unit` was probably meant to be.
    fn meant(&self, unit: &str) -> Option<&'static str> {
        let other_case = |known: &&(&str, u64)| known.0.eq_ignore_ascii_case(unit);
        let meant = |spelling: &&(&str, &str)| spelling.0.eq_ignore_ascii_case(unit);
        (self.meant.iter().find(meant).map(|s| s.1)).or_else(|| self.units.iter().find(other_case).map(|known| known.0))
    }

    fn unit_names(&self) -> String {
        let names: Vec<_> = self.units.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

impl QuantityError {
    fn malformed(text: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{text}\" is not a number and a unit of {}", kind.what),
            remedy: format!("write for example \"{}\"", kind.example),
        }
    }

    fn no_unit(text: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{text}\" has no unit"),
            remedy: format!("write for example \"{} {}\"", text.trim(), kind.example_unit),
        }
    }

    fn unknown_unit(number: &str, unit: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{unit}\" is not a unit of {}", kind.what),
            remedy: match kind.meant(unit) {
                Some(meant) => format!("write \"{number} {meant}\""),
                None => format!("the units are {}", kind.unit_names()),
            },
        }
    }

    fn negative(text: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{text}\" is negative"),
            remedy: format!("write a {} that is zero or more", kind.what),
        }
    }

    fn too_fine(text: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{text}\" is not a whole number of {}", kind.grains),
            remedy: format!("round it to a multiple of one {}", kind.grain),
        }
    }

    /// The value does not fit in 64 bits.
    pub(super) fn too_large(text: &str, kind: &Kind) -> Self {
        QuantityError {
            message: format!("\"{text}\" is too large"),
            remedy: format!("write for example \"{}\"", kind.example),
        }
    }
}

/// The leading number and the trimmed rest.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (number, unit) = text.split_at(text.len() - number.len());
    (number, unit.trim())
}

/// Grains in `text`, a decimal number and a unit of `kind`.
pub(super) fn parse(text: &str, kind: &Kind) -> Result<u64, QuantityError> {
    let (number, unit) = split(text);
    if let Some(positive) = unit.strip_prefix('-').filter(|_| number.is_empty())
        && Decimal::parse(split(positive).0).is_some()
    {
        return Err(QuantityError::negative(text, kind));
    }
    let decimal = Decimal::parse(number).ok_or_else(|| QuantityError::malformed(text, kind))?;
    if unit.is_empty() {
        return Err(QuantityError::no_unit(text, kind));
    }
    if !unit.chars().next().is_some_and(char::is_alphabetic) {
        return Err(QuantityError::malformed(text, kind));
    }
    let unknown = || QuantityError::unknown_unit(number, unit, kind);
    let grains = kind.size_of(unit).ok_or_else(unknown)?;
    let scale = decimal.scale();
    let scaled =
        (decimal.digits.checked_mul(u128::from(grains))).ok_or_else(|| QuantityError::too_large(text, kind))?;
    if scaled % scale != 0 {
        return Err(QuantityError::too_fine(text, kind));
    }
    u64::try_from(scaled / scale).map_err(|_| QuantityError::too_large(text, kind))
}

/// A non-negative decimal number, exactly `digits / 10^places`.
struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// More digits than any quantity needs, and few enough that nothing overflows while reading.
    const MAX_DIGITS: usize = 36;

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.is_empty() || !digits_only(whole) || !digits_only(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if whole.len() + fraction.len() > Self::MAX_DIGITS {
            return None;
        }
        Some(Decimal { digits: format!("{whole}{fraction}").parse().ok()?, places: fraction.len() as u32 })
    }

    fn scale(&self) -> u128 {
        10u128.pow(self.places)
    }
}

/// `value` as a decimal in the largest unit it reaches; exact, since `kind` has powers of ten only.
pub(super) fn decimal_text(value: u64, kind: &Kind) -> String {
    let reached = kind.units.iter().find(|(_, grains)| *grains <= value);
    let &(unit, grains) = reached.unwrap_or(&kind.units[kind.units.len() - 1]);
    let mut text = (value / grains).to_string();
    if !value.is_multiple_of(grains) {
        let places = grains.ilog10() as usize;
        let fraction = format!("{:0places$}", value % grains);
        write!(text, ".{}", fraction.trim_end_matches('0')).expect("writing to a string");
    }
    format!("{text} {unit}")
}

/// `value` in the first unit of `kind` that divides it.
pub(super) fn whole_text(value: u64, kind: &Kind) -> String {
    let divides = |(_, grains): &&(&str, u64)| value != 0 && value.is_multiple_of(*grains);
    let first = kind.units.iter().find(divides);
    let &(unit, grains) = first.unwrap_or(&kind.units[kind.units.len() - 1]);
    format!("{} {unit}", value / grains)
}
