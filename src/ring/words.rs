//! Ring elements in as few bytes as they need: what a layer at batch 1 reads of its weights is often what it takes.

use std::ops::Range;

/// A type that ring elements are stored in.
pub(super) trait Word: Copy + Send + Sync {
    /// The element, the sign extended.
    fn widen(self) -> u64;
}

impl Word for i16 {
    #[inline(always)]
    fn widen(self) -> u64 {
        i64::from(self) as u64
    }
}

impl Word for i32 {
    #[inline(always)]
    fn widen(self) -> u64 {
        i64::from(self) as u64
    }
}

impl Word for u64 {
    #[inline(always)]
    fn widen(self) -> u64 {
        self
    }
}

/// Ring elements, all in the narrowest of three widths that holds each of them as a signed number. Fixed-point weights
/// fit 16 bits or nearly so; shares and masked weights need all 64.
#[derive(Clone)]
pub enum Words {
    /// All within `i16`.
    Quarter(Vec<i16>),
    /// All within `i32`.
    Half(Vec<i32>),
    /// Anything.
    Full(Vec<u64>),
}

/// Used as often as this, a weight's bytes are read faster than its multiplications run, and widening it costs more (8 %
/// of the time) than it saves.
const WIDENING_PAYS: usize = 24;

/// Part of [`Words`].
#[derive(Clone, Copy)]
pub(super) enum WordSlice<'a> {
    Quarter(&'a [i16]),
    Half(&'a [i32]),
    Full(&'a [u64]),
}

impl Words {
    /// Stores `elements` as narrow as they all fit.
    pub fn new(elements: Vec<u64>) -> Words {
        let narrowest = |least: i64, most: i64| elements.iter().all(|&word| (least..=most).contains(&(word as i64)));
        if narrowest(i16::MIN.into(), i16::MAX.into()) {
            Words::Quarter(elements.iter().map(|&word| word as i16).collect())
        } else if narrowest(i32::MIN.into(), i32::MAX.into()) {
            Words::Half(elements.iter().map(|&word| word as i32).collect())
        } else {
            Words::Full(elements)
        }
    }

    /// Stores weights that each application uses `uses` times each: narrow if that saves time.
    pub(super) fn for_uses(elements: Vec<u64>, uses: usize) -> Words {
        if uses < WIDENING_PAYS { Words::new(elements) } else { Words::Full(elements) }
    }

    /// The elements at full width.
    pub fn widened(&self) -> Vec<u64> {
        match self {
            Words::Quarter(words) => words.iter().map(|word| word.widen()).collect(),
            Words::Half(words) => words.iter().map(|word| word.widen()).collect(),
            Words::Full(words) => words.clone(),
        }
    }

    /// Bytes of all elements.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Words::Quarter(words) => size_of_val(&words[..]),
            Words::Half(words) => size_of_val(&words[..]),
            Words::Full(words) => size_of_val(&words[..]),
        }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> WordSlice<'_> {
        match self {
            Words::Quarter(words) => WordSlice::Quarter(&words[range]),
            Words::Half(words) => WordSlice::Half(&words[range]),
            Words::Full(words) => WordSlice::Full(&words[range]),
        }
    }
}

/// Runs a kernel that is generic over the width on a [`WordSlice`].
macro_rules! with_width {
    ($slice:expr, $words:ident => $body:expr) => {
        match $slice {
            $crate::ring::words::WordSlice::Quarter($words) => $body,
            $crate::ring::words::WordSlice::Half($words) => $body,
            $crate::ring::words::WordSlice::Full($words) => $body,
        }
    };
}
pub(super) use with_width;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_width_that_holds_all() {
        for (largest, width) in [(0x7FFF, 2), (0x8000, 4), (0x7FFF_FFFF, 4), (0x8000_0000, 8)] {
            for elements in [vec![0, largest], vec![1, !largest]] {
                let words = Words::new(elements.clone());
                assert_eq!(words.bytes(), 2 * width, "{largest:#x}");
                assert_eq!(words.widened(), elements);
            }
        }
    }
}
