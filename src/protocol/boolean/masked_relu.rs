//! ReLU with truncation of a masked opening: the local computing of `gmw-msb`, without messages.
//!
//! `w` is the width, `t` the shift, `m = w - t`. For `|y| < 2^(w-2)` and a mask `r` uniform in `Z_2^w` the parties know
//! `Y = y + 2^(w-2) + r mod 2^w`. With `U = (Y >> t) - 2^(m-2) mod 2^m` and `R = r >> t`, the signed `m`-bit number
//! `x = U - R mod 2^m` is `floor(y / 2^t) + {0, 1}` (as in `masked_open`), and `max(x, 0)` is the result: where
//! `x` and `y` differ in sign, `x` is zero. So only `m` bits decide.
//!
//! Let `alpha` and `tau` be the top bits of `U` and `R`, `sigma = 1 - 2 tau`, and `borrow` whether the rest of `U`
//! is smaller than the rest of `R`. The sign of `x` is `alpha ^ tau ^ borrow`, so `b = [x >= 0]` is
//! `tau + sigma borrow` if `alpha = 1`, and one minus that otherwise. If `b = 1`, over the integers
//!
//! * `alpha = 1`: `x = U - R`;
//! * `alpha = 0`: `x = U - R + 2^m tau`, and then `tau = borrow`.
//!
//! As `U` is public, shares of `b x` are linear in shares of `tau`, `tau R`, `R` (dealt) and of `borrow` times
//! `sigma`, `sigma R`, `2^m tau`: the payload of the zero tests. No multiplication is left for the parties.

use super::{BitReader, BitWriter, Comparison, Payload, ZeroTest};

/// What all activations of a layer have in common.
#[derive(Clone, Debug)]
pub struct MaskedRelu {
    width: u32,
    shift: u32,
    /// Of all but the top of the bits that the shift leaves.
    comparison: Comparison,
}

impl MaskedRelu {
    /// ReLU of `width`-bit inputs that truncates by `shift`.
    ///
    /// # Panics
    /// If `width` is above 64 or `shift` above `width - 2`.
    pub fn new(width: u32, shift: u32) -> MaskedRelu {
        assert!(width <= 64 && shift + 2 <= width, "a shift of {shift} leaves no bits of {width}");
        let bits = width - shift;
        let comparison = Comparison::cheapest(bits - 1, ZeroTest::entry_bytes(short_bytes(bits)));
        MaskedRelu { width, shift, comparison }
    }

    /// Bits of an opened `Y`.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// `m`, the bits that the shift leaves.
    fn bits(&self) -> u32 {
        self.width - self.shift
    }

    /// `2^(width - 2)`: makes the bounded `y` non-negative before masking.
    pub fn offset(&self) -> u64 {
        1 << (self.width - 2)
    }

    /// Codes that are opened per activation.
    pub fn codes(&self) -> usize {
        self.comparison.digits().len()
    }

    /// Their bits.
    pub fn opened_bits(&self) -> u32 {
        self.comparison.opened_bits()
    }

    /// Dealt bytes per activation.
    pub fn dealt_bytes(&self) -> usize {
        self.vector_bytes() + self.table_bytes()
    }

    /// The first of them, which [`MaskedRelu::add_codes`] reads.
    pub fn vector_bytes(&self) -> usize {
        self.comparison.table_bytes()
    }

    /// The rest, which [`MaskedRelu::select`] reads.
    pub fn table_bytes(&self) -> usize {
        size_of::<Base>() + self.zero_test().table_bytes()
    }

    fn zero_test(&self) -> ZeroTest<'_> {
        ZeroTest { comparison: &self.comparison, short_bytes: short_bytes(self.bits()) }
    }

    /// The dealer's part for masks `r` of the inputs and `masks` of the codes: `tables` comes as the server's
    /// uniform share, [`MaskedRelu::dealt_bytes`] per activation, and becomes the client's.
    pub fn deal(&self, r: &[u64], masks: &[u8], tables: &mut [u8]) {
        let secrets: Vec<u64> = r.iter().map(|r| (r & low_bits(self.width)) >> self.shift).collect();
        let (vectors, rest) = tables.split_at_mut(self.vector_bytes() * r.len());
        let (bases, tables) = rest.split_at_mut(size_of::<Base>() * r.len());
        self.comparison.deal(&secrets, vectors);
        let values = secrets.iter().map(|&secret| Base::new(secret, self.bits()));
        for (share, value) in bases.as_chunks_mut().0.iter_mut().zip(values.clone()) {
            *share = value.minus(Base::from_bytes(share)).to_bytes();
        }
        let payloads: Vec<Payload> = values.map(|value| value.payload(1)).collect();
        self.zero_test().deal(masks, &payloads, tables);
    }

    /// `U` from `Y`, which counts mod `2^width`.
    pub fn public(&self, opened: impl Iterator<Item = u64>) -> Vec<u64> {
        let (quarter, bits) = (self.offset() >> self.shift, low_bits(self.bits()));
        opened.map(|y| ((y & low_bits(self.width)) >> self.shift).wrapping_sub(quarter) & bits).collect()
    }

    /// Adds the party's share of the codes to `codes`, which comes with its share of the masks: a byte each, digit
    /// by digit.
    pub fn add_codes(&self, server: bool, public: &[u64], vectors: &[u8], codes: &mut [u8]) {
        self.comparison.add_codes(server, public, vectors, codes);
    }

    /// Appends the codes to a message.
    pub(crate) fn pack_codes(&self, codes: &[u8], n: usize, writer: &mut BitWriter) {
        for (digit, codes) in self.comparison.digits().iter().zip(codes.chunks_exact(n)) {
            writer.extend(codes.iter().map(|&code| code.into()), digit.code_bits);
        }
    }

    /// Adds the peer's codes from its message: the opened codes.
    pub(crate) fn open_codes(&self, codes: &mut [u8], n: usize, reader: &mut BitReader) {
        for (digit, codes) in self.comparison.digits().iter().zip(codes.chunks_exact_mut(n)) {
            for code in codes {
                *code = code.wrapping_add(reader.next(digit.code_bits) as u8);
            }
        }
    }

    /// The party's shares of the results, from the opened codes.
    pub fn select(&self, server: bool, public: &[u64], opened: &[u8], tables: &[u8], output: &mut [u64]) {
        let one = u64::from(server);
        let (bases, tables) = tables.split_at(size_of::<Base>() * public.len());
        let bases: Vec<Base> = bases.as_chunks().0.iter().map(Base::from_bytes).collect();
        let payloads: Vec<Payload> = bases.iter().map(|base| base.payload(one)).collect();
        let mut sums = vec![[0; 3]; public.len()];
        self.zero_test().add(opened, &payloads, tables, &mut sums);
        for (((output, &u), base), [sign, product, wrap]) in output.iter_mut().zip(public).zip(&bases).zip(sums) {
            let (bit, product) = (base.tau.wrapping_add(sign), base.tau_secret.wrapping_add(product));
            *output = if u >> (self.bits() - 1) == 1 {
                bit.wrapping_mul(u).wrapping_sub(product)
            } else {
                let wrapped = wrap.checked_shl(self.bits()).unwrap_or(0);
                let linear = one.wrapping_sub(bit).wrapping_mul(u).wrapping_sub(base.secret);
                linear.wrapping_add(product).wrapping_add(wrapped)
            };
        }
    }
}

fn low_bits(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Bytes for the bits of the ring above the lowest `bits`: where `2^bits tau` lies.
fn short_bytes(bits: u32) -> usize {
    (64 - bits).div_ceil(8) as usize
}

/// `tau`, `tau R` and `R`, in the clear or a share.
struct Base {
    tau: u64,
    tau_secret: u64,
    secret: u64,
}

impl Base {
    fn new(secret: u64, bits: u32) -> Base {
        let tau = secret >> (bits - 1);
        Base { tau, tau_secret: tau * secret, secret }
    }

    fn from_bytes(bytes: &[u8; size_of::<Base>()]) -> Base {
        let [tau, tau_secret, secret] = bytemuck::pod_read_unaligned(bytes);
        Base { tau, tau_secret, secret }
    }

    fn to_bytes(&self) -> [u8; size_of::<Base>()] {
        bytemuck::cast([self.tau, self.tau_secret, self.secret])
    }

    fn minus(&self, other: Base) -> Base {
        Base {
            tau: self.tau.wrapping_sub(other.tau),
            tau_secret: self.tau_secret.wrapping_sub(other.tau_secret),
            secret: self.secret.wrapping_sub(other.secret),
        }
    }

    /// `(sigma, sigma R, tau)`; `one` is a share of 1.
    fn payload(&self, one: u64) -> Payload {
        let less_twice = |a: u64, b: u64| a.wrapping_sub(b.wrapping_mul(2));
        [less_twice(one, self.tau), less_twice(self.secret, self.tau_secret), self.tau]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    /// Both parties' computing for inputs `y` under masks `r`; the results' sums.
    fn opened_results(relu: &MaskedRelu, y: &[i64], r: &[u64]) -> Vec<u64> {
        let n = y.len();
        let mut prg = Seed::from_u64(5).prg();
        let server: Vec<u8> = prg.words(n * relu.dealt_bytes());
        let masks: Vec<u8> = prg.words(n * relu.codes());
        let mut client = server.clone();
        relu.deal(r, &masks, &mut client);
        let opened = y.iter().zip(r).map(|(&y, r)| (y as u64).wrapping_add(relu.offset()).wrapping_add(*r));
        let public = relu.public(opened);
        let mut codes = masks;
        let vector_bytes = n * relu.vector_bytes();
        relu.add_codes(true, &public, &server[..vector_bytes], &mut codes);
        relu.add_codes(false, &public, &client[..vector_bytes], &mut codes);
        let (mut sum, mut share) = (vec![0; n], vec![0; n]);
        relu.select(true, &public, &codes, &server[vector_bytes..], &mut sum);
        relu.select(false, &public, &codes, &client[vector_bytes..], &mut share);
        sum.iter_mut().zip(share).for_each(|(sum, share)| *sum = sum.wrapping_add(share));
        sum
    }

    fn assert_relu(relu: &MaskedRelu, y: &[i64], r: &[u64]) {
        for ((y, r), result) in y.iter().zip(r).zip(opened_results(relu, y, r)) {
            let error = result.wrapping_sub(y.max(&0).unsigned_abs() >> relu.shift);
            let allowed = u64::from(relu.shift > 0 && *y > 0);
            assert!(error <= allowed, "{} - {}: relu({y}) under {r} is {result}", relu.width, relu.shift);
        }
    }

    #[test]
    fn all_inputs_under_all_masks_of_small_widths() {
        for width in 3..=8u32 {
            for shift in 0..=width - 2 {
                let bound = 1i64 << (width - 2);
                let (y, r): (Vec<i64>, Vec<u64>) =
                    (1 - bound..bound).flat_map(|y| (0..1 << width).map(move |r| (y, r))).unzip();
                assert_relu(&MaskedRelu::new(width, shift), &y, &r);
            }
        }
    }

    #[test]
    fn edge_values_of_every_width_and_shift() {
        for width in 8..=64u32 {
            let bound = 1i64 << (width - 2);
            let top = 1u64 << (width - 1);
            for shift in [0, 1, 2, 12, 16, width / 2, width - 3, width - 2].into_iter().filter(|s| s + 2 <= width) {
                let unit = 1i64 << shift;
                let mut y = vec![0, 1, -1, bound - 1, 1 - bound, bound / 2, -bound / 2];
                y.extend(
                    [unit - 1, unit, unit + 1, 1 - unit, -unit, -unit - 1].into_iter().filter(|y| y.abs() < bound),
                );
                let mut r = vec![0, 1, u64::MAX, top, top - 1, top + 1, top / 2, top / 2 - 1];
                r.extend(Seed::from_u64(width.into()).prg().words::<u64>(8));
                let (y, r): (Vec<i64>, Vec<u64>) = y.iter().flat_map(|&y| r.iter().map(move |&r| (y, r))).unzip();
                assert_relu(&MaskedRelu::new(width, shift), &y, &r);
            }
        }
    }

    #[test]
    fn dealt_bytes_stay_moderate() {
        let dealt = |width, shift| {
            let relu = MaskedRelu::new(width, shift);
            (relu.codes(), relu.opened_bits(), relu.dealt_bytes())
        };
        assert_eq!(dealt(64, 16), (7, 17, 942));
        for (width, shift) in [(64, 0), (64, 12), (40, 16), (40, 0), (37, 12), (32, 12)] {
            println!("{width} {shift} {:?}", dealt(width, shift));
        }
    }
}
