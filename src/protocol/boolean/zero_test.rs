//! Shares of `payload` where an opened code is zero, and of nothing elsewhere.
//!
//! A code `E` in `Z_2^s` was opened under the dealt mask `mu`: all know `e = E + mu`. The dealer shares a table of
//! `2^s` entries that is `payload` at `mu` and zero elsewhere; its entry `e` is the result, without a message. The
//! payload is shared as well, so the last entry is what the others leave of it and need not be dealt.

use super::{Comparison, Digit};

/// What is shared for one value: two words, and an integer of [`ZeroTest::short_bytes`] bytes.
pub type Payload = [u64; 3];

/// The tests of all codes of a comparison, whose results are added up.
#[derive(Clone, Debug)]
pub struct ZeroTest<'a> {
    /// What the codes belong to.
    pub comparison: &'a Comparison,
    /// Bytes of the third component, which is an integer mod `256^short_bytes`; at most 8.
    pub short_bytes: usize,
}

impl ZeroTest<'_> {
    /// Bytes of one entry.
    pub fn entry_bytes(short_bytes: usize) -> usize {
        2 * 8 + short_bytes
    }

    /// Dealt bytes of one value.
    pub fn table_bytes(&self) -> usize {
        self.comparison.entries() * Self::entry_bytes(self.short_bytes)
    }

    /// The dealer's part: `tables` comes as the server's uniform share and becomes the client's.
    ///
    /// `masks` and `tables` go digit by digit, as the codes do.
    pub fn deal(&self, masks: &[u8], payloads: &[Payload], tables: &mut [u8]) {
        match self.short_bytes {
            0 => self.deal_entries::<16>(masks, payloads, tables),
            1 => self.deal_entries::<17>(masks, payloads, tables),
            2 => self.deal_entries::<18>(masks, payloads, tables),
            3 => self.deal_entries::<19>(masks, payloads, tables),
            4 => self.deal_entries::<20>(masks, payloads, tables),
            5 => self.deal_entries::<21>(masks, payloads, tables),
            6 => self.deal_entries::<22>(masks, payloads, tables),
            7 => self.deal_entries::<23>(masks, payloads, tables),
            _ => self.deal_entries::<24>(masks, payloads, tables),
        }
    }

    fn deal_entries<const N: usize>(&self, masks: &[u8], payloads: &[Payload], tables: &mut [u8]) {
        let mut rest = tables;
        for (digit, masks) in self.comparison.digits().iter().zip(masks.chunks_exact(payloads.len().max(1))) {
            let (tables, after) = rest.split_at_mut(payloads.len() * digit.entries() * N);
            rest = after;
            for ((entries, payload), mask) in tables.chunks_exact_mut(digit.entries() * N).zip(payloads).zip(masks) {
                let place = usize::from(*mask) & digit.entries();
                for (i, entry) in entries.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                    let value = if i == place { *payload } else { [0; 3] };
                    *entry = bytes(subtract(value, components(entry)));
                }
            }
        }
    }

    /// A party's part: adds to `sums` its share of every value's payload where one of its opened codes is zero.
    ///
    /// `payloads` are its shares of the payloads. The third component of a sum counts mod `256^short_bytes` only.
    pub fn add(&self, opened: &[u8], payloads: &[Payload], tables: &[u8], sums: &mut [Payload]) {
        match self.short_bytes {
            0 => self.add_entries::<16>(opened, payloads, tables, sums),
            1 => self.add_entries::<17>(opened, payloads, tables, sums),
            2 => self.add_entries::<18>(opened, payloads, tables, sums),
            3 => self.add_entries::<19>(opened, payloads, tables, sums),
            4 => self.add_entries::<20>(opened, payloads, tables, sums),
            5 => self.add_entries::<21>(opened, payloads, tables, sums),
            6 => self.add_entries::<22>(opened, payloads, tables, sums),
            7 => self.add_entries::<23>(opened, payloads, tables, sums),
            _ => self.add_entries::<24>(opened, payloads, tables, sums),
        }
    }

    fn add_entries<const N: usize>(&self, opened: &[u8], payloads: &[Payload], tables: &[u8], sums: &mut [Payload]) {
        let mut rest = tables;
        for (digit, opened) in self.comparison.digits().iter().zip(opened.chunks_exact(payloads.len().max(1))) {
            let (tables, after) = rest.split_at(payloads.len() * digit.entries() * N);
            rest = after;
            let tables = tables.chunks_exact(digit.entries() * N);
            for (((sum, opened), payload), entries) in sums.iter_mut().zip(opened).zip(payloads).zip(tables) {
                *sum = add(*sum, entry::<N>(*digit, *opened, *payload, entries));
            }
        }
    }
}

/// The share of entry `opened`.
#[inline(always)]
fn entry<const N: usize>(digit: Digit, opened: u8, payload: Payload, entries: &[u8]) -> Payload {
    let entries = entries.as_chunks::<N>().0;
    match entries.get(usize::from(opened) & digit.entries()) {
        Some(entry) => components(entry),
        None => entries.iter().fold(payload, |left, entry| subtract(left, components(entry))),
    }
}

#[inline(always)]
fn components<const N: usize>(entry: &[u8; N]) -> Payload {
    let mut short = [0; 8];
    short[..N - 16].copy_from_slice(&entry[16..]);
    let word = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
    [word(0), word(8), u64::from_le_bytes(short)]
}

#[inline(always)]
fn bytes<const N: usize>([first, second, short]: Payload) -> [u8; N] {
    let mut entry = [0; N];
    entry[..8].copy_from_slice(&first.to_le_bytes());
    entry[8..16].copy_from_slice(&second.to_le_bytes());
    entry[16..].copy_from_slice(&short.to_le_bytes()[..N - 16]);
    entry
}

fn add(a: Payload, b: Payload) -> Payload {
    std::array::from_fn(|i| a[i].wrapping_add(b[i]))
}

fn subtract(a: Payload, b: Payload) -> Payload {
    std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    /// Every code under every mask, for every length of the third component.
    #[test]
    fn the_payload_comes_where_a_code_is_zero() {
        let comparison = Comparison::with_digits(9, 9);
        for short_bytes in 0..=8 {
            let test = ZeroTest { comparison: &comparison, short_bytes };
            let kept = if short_bytes == 0 { 0 } else { u64::MAX >> (64 - 8 * short_bytes) };
            for zero_digit in 0..=9 {
                let n = 16 * 15;
                let mut prg = Seed::from_u64(zero_digit as u64).prg();
                let server: Vec<u8> = prg.words(n * test.table_bytes());
                let (payloads, server_payloads) = (prg.words::<Payload>(n), prg.words::<Payload>(n));
                let client_payloads: Vec<Payload> =
                    payloads.iter().zip(&server_payloads).map(|(payload, share)| subtract(*payload, *share)).collect();
                // Value i has mask i % 16; its code is zero at `zero_digit` and 1 + i / 16 elsewhere.
                let masks: Vec<u8> = (0..9).flat_map(|_| (0..n).map(|i| i as u8 % 16)).collect();
                let codes = comparison.digits().iter().enumerate().flat_map(|(at, digit)| {
                    let other = move |i: usize| 1 + (i / 16) % digit.entries();
                    (0..n).map(move |i| if at == zero_digit { 0 } else { other(i) as u8 })
                });
                let opened: Vec<u8> = codes.zip(&masks).map(|(code, mask)| code.wrapping_add(*mask)).collect();
                let mut client = server.clone();
                test.deal(&masks, &payloads, &mut client);
                let mut sums = vec![[0; 3]; n];
                test.add(&opened, &server_payloads, &server, &mut sums);
                test.add(&opened, &client_payloads, &client, &mut sums);
                for (payload, [first, second, short]) in payloads.iter().zip(sums) {
                    let expected = if zero_digit < 9 { *payload } else { [0; 3] };
                    assert_eq!([first, second, short & kept], [expected[0], expected[1], expected[2] & kept]);
                }
            }
        }
    }
}
