//! Short correlations with fewer multiplications and no division (Karatsuba's and Toom's idea, transposed).
//!
//! Along one axis a convolution is `y[i] = sum_t w[t] x[stride * i + t]`. A scheme computes a tile of outputs as sums of
//! products, each of a sum of taps and a difference of inputs:
//!
//! * three outputs of three taps with 6 products instead of 9. With `p = x1 (w0 + w1)`, `q = x2 (w0 + w2)`,
//!   `r = x3 (w1 + w2)`: `y0 = (x0 - x1 - x2) w0 + p + q`, `y1 = (x2 - x1 - x3) w1 + p + r`,
//!   `y2 = (x4 - x2 - x3) w2 + q + r`;
//! * at stride 2, two outputs of three taps with 5 products instead of 6: the even inputs meet two taps, where
//!   `p = x2 (w0 + w2)`, `y0 = (x0 - x2) w0 + p`, `y1 = (x4 - x2) w2 + p`, and the odd ones the third.
//!
//! Over integers mod 2^64 nothing can be halved, so that Winograd's filters with fewer products still are not available.
//! In two dimensions the schemes nest: 36 products for 81, 25 for 36.

/// How the outputs of one tile along one axis come about.
pub(super) struct Scheme {
    /// Distance of outputs, in inputs.
    pub stride: usize,
    /// Outputs of a tile.
    pub outputs: usize,
    /// Inputs under a tile.
    pub inputs: usize,
    /// The sums of taps that occur.
    pub tap_sums: &'static [&'static [usize]],
    /// In the order of their `tap_sum`.
    pub products: &'static [Product],
}

/// A sum of taps times a difference of inputs.
pub(super) struct Product {
    /// Index in [`Scheme::tap_sums`].
    pub tap_sum: usize,
    /// The input that is added.
    pub plus: usize,
    /// The inputs that are subtracted from it: none, one or two.
    pub minus: &'static [usize],
    /// The outputs of the tile that the product is a term of. Each output has [`TERMS`] in all.
    pub outputs: &'static [usize],
}

/// Products that an output is the sum of, in every scheme.
pub(super) const TERMS: usize = 3;

const fn product(tap_sum: usize, plus: usize, minus: &'static [usize], outputs: &'static [usize]) -> Product {
    Product { tap_sum, plus, minus, outputs }
}

static THREE_TAPS: Scheme = Scheme {
    stride: 1,
    outputs: 3,
    inputs: 5,
    tap_sums: &[&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]],
    products: &[
        product(0, 0, &[1, 2], &[0]),
        product(1, 2, &[1, 3], &[1]),
        product(2, 4, &[2, 3], &[2]),
        product(3, 1, &[], &[0, 1]),
        product(4, 2, &[], &[0, 2]),
        product(5, 3, &[], &[1, 2]),
    ],
};

static THREE_TAPS_STRIDE_2: Scheme = Scheme {
    stride: 2,
    outputs: 2,
    inputs: 5,
    tap_sums: &[&[0], &[1], &[2], &[0, 2]],
    products: &[
        product(0, 0, &[2], &[0]),
        product(1, 1, &[], &[0]),
        product(1, 3, &[], &[1]),
        product(2, 4, &[2], &[1]),
        product(3, 2, &[], &[0, 1]),
    ],
};

impl Scheme {
    /// The scheme for a kernel of `taps` at `stride`, if there is one.
    pub fn find(taps: usize, stride: usize) -> Option<&'static Scheme> {
        match (taps, stride) {
            (3, 1) => Some(&THREE_TAPS),
            (3, 2) => Some(&THREE_TAPS_STRIDE_2),
            _ => None,
        }
    }

    /// Inputs from one tile to the next.
    pub fn step(&self) -> usize {
        self.outputs * self.stride
    }

    /// The products that output `output` of a tile is the sum of.
    pub fn terms(&self, output: usize) -> [usize; TERMS] {
        let mut terms = (0..self.products.len()).filter(|&p| self.products[p].outputs.contains(&output));
        std::array::from_fn(|_| terms.next().expect("every output has this many terms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_is_its_correlation() {
        for stride in [1, 2] {
            let scheme = Scheme::find(3, stride).unwrap();
            for output in 0..scheme.outputs {
                // Coefficients of w[tap] x[input].
                let mut found = vec![[0i32; 3]; scheme.inputs];
                let terms = scheme.terms(output);
                for p in terms {
                    let product = &scheme.products[p];
                    for &tap in scheme.tap_sums[product.tap_sum] {
                        found[product.plus][tap] += 1;
                        product.minus.iter().for_each(|&input| found[input][tap] -= 1);
                    }
                }
                for (input, taps) in found.iter().enumerate() {
                    for (tap, &coefficient) in taps.iter().enumerate() {
                        let expected = i32::from(input == output * stride + tap);
                        assert_eq!(coefficient, expected, "stride {stride}, output {output}, x{input} w{tap}");
                    }
                }
                let all = scheme.products.iter().filter(|product| product.outputs.contains(&output)).count();
                assert_eq!(all, TERMS);
            }
            assert!(scheme.products.is_sorted_by_key(|product| product.tap_sum));
            assert!(scheme.products.iter().all(|product| product.minus.len() <= 2));
        }
    }
}
