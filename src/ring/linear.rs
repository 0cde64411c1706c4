//! Linear maps on Z_2^64: `output = W * input`, every operation wrapping mod 2^64.
//!
//! Weights are arbitrary ring elements (shares and masked weights are full-width), packed once
//! and applied many times. The kernel is chosen at run time from what the processor offers; all
//! kernels read the same packing and give the same result, bit for bit.

use super::conv::{PackedConv, Pass};
use super::short::ShortConv;
use super::words::{WordSlice, Words};
use super::{LinearShape, tile_portable};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// The weights of one linear map, rearranged for the kernels.
#[derive(Clone)]
pub struct PackedWeights {
    shape: LinearShape,
    packed: Packed,
}

#[derive(Clone)]
enum Packed {
    Conv(PackedConv),
    Short(ShortConv),
    /// `[outputs][inputs]`, as given: each output is the dot product of a row and the input.
    Dense(Words),
}

impl PackedWeights {
    /// Packs `weights`, in [`LinearShape`]'s order: `[kernel_h][kernel_w][in_c][out_c]` for a
    /// convolution, `[outputs][inputs]` for a dense layer.
    ///
    /// # Panics
    /// If `weights` is not `shape.weights()` long, or if the kernel or stride of a convolution is
    /// zero or its kernel does not fit the padded input.
    pub fn pack(shape: &LinearShape, weights: &[u64]) -> PackedWeights {
        let packed = match shape {
            LinearShape::Conv2d(conv) => {
                conv.check(weights.len());
                let short = ShortConv::saves(conv).then(|| ShortConv::pack(conv, weights)).flatten();
                match short.filter(ShortConv::fits) {
                    Some(short) => Packed::Short(short),
                    None => Packed::Conv(PackedConv::pack(conv, weights)),
                }
            }
            LinearShape::Dense { inputs, outputs } => {
                assert_eq!(weights.len(), inputs * outputs, "weights of {shape:?}");
                Packed::Dense(Words::new(weights.to_vec()))
            }
        };
        PackedWeights { shape: *shape, packed }
    }

    /// The shape the weights were packed for.
    pub fn shape(&self) -> &LinearShape {
        &self.shape
    }

    /// `output = W * input` with the fastest kernel of this processor. `input` and `output` are
    /// NHWC for a convolution; `output` is overwritten.
    ///
    /// # Panics
    /// If `input` or `output` does not have the shape's length.
    pub fn apply(&self, input: &[u64], output: &mut [u64]) {
        self.apply_with(Kernels::fastest(), input, output);
    }

    /// Begins `W * input` in parts.
    pub fn start(&self) -> Product<'_> {
        Product { weights: self, padded: None, output: vec![0; self.shape.outputs()], done: 0 }
    }

    /// The same as [`apply`](Self::apply) with the portable kernel.
    ///
    /// # Panics
    /// If `input` or `output` does not have the shape's length.
    pub fn apply_portable(&self, input: &[u64], output: &mut [u64]) {
        self.apply_with(&tile_portable::KERNELS, input, output);
    }

    fn apply_with(&self, kernels: &Kernels, input: &[u64], output: &mut [u64]) {
        assert_eq!(input.len(), self.shape.inputs(), "input of {:?}", self.shape);
        assert_eq!(output.len(), self.shape.outputs(), "output of {:?}", self.shape);
        match &self.packed {
            Packed::Conv(conv) => conv.apply(kernels, input, output),
            Packed::Short(short) => short.apply(kernels, input, output),
            Packed::Dense(weights) => (kernels.dense)(weights.slice(0..self.shape.weights()), input, output),
        }
    }
}

/// A product whose rows are computed in order, as they are asked for. A row is an output pixel of a convolution or an
/// output of a dense layer.
pub struct Product<'a> {
    weights: &'a PackedWeights,
    /// The padded copy of the input, where the kernel reads one.
    padded: Option<Vec<u64>>,
    output: Vec<u64>,
    /// Rows computed so far.
    done: usize,
}

impl Product<'_> {
    /// Rows `rows` of the product with `input`, which is the same in every call. The rows up to their end that are missing
    /// are computed, and a few more where that is faster.
    ///
    /// # Panics
    /// If `input` does not have the shape's length, or the rows do not exist.
    pub fn rows(&mut self, input: &[u64], rows: Range<usize>) -> &[u64] {
        let shape = &self.weights.shape;
        assert_eq!(input.len(), shape.inputs(), "input of {shape:?}");
        let row_len = match shape {
            LinearShape::Conv2d(conv) => conv.out_c,
            LinearShape::Dense { .. } => 1,
        };
        let output_rows = self.output.len() / row_len;
        assert!(rows.start <= rows.end && rows.end <= output_rows, "rows {rows:?} of {shape:?}");
        let kernels = Kernels::fastest();
        while self.done < rows.end {
            let done = self.done;
            self.done = match &self.weights.packed {
                Packed::Short(short) => (done + short.group_pixels()).min(output_rows),
                _ => rows.end,
            };
            let output = &mut self.output[done * row_len..self.done * row_len];
            match &self.weights.packed {
                Packed::Conv(conv) => {
                    if done == 0 {
                        self.padded = conv.padded(input);
                    }
                    conv.apply_rows(kernels, self.padded.as_deref().unwrap_or(input), done..rows.end, output);
                }
                Packed::Short(short) => short.apply_group(kernels, input, done..self.done, output),
                Packed::Dense(weights) => {
                    let inputs = input.len();
                    (kernels.dense)(weights.slice(done * inputs..rows.end * inputs), input, output);
                }
            }
        }
        &self.output[rows.start * row_len..rows.end * row_len]
    }
}

/// Shows the shape only: weights are secret.
impl fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedWeights").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// The inner loops for one instruction set. To add one: a `tile_*` module and a line in
/// [`Kernels::available`].
pub(super) struct Kernels {
    pub(super) name: &'static str,
    /// One [`Pass`] over all output pixels; the second argument is the whole output.
    pub(super) conv_pass: fn(&Pass<'_>, &mut [u64]),
    /// `(weights, input, output)`: `output[o] = sum_i weights[o * inputs + i] * input[i]`.
    pub(super) dense: fn(WordSlice<'_>, &[u64], &mut [u64]),
}

impl Kernels {
    /// What this processor can run, best first; the portable kernels are always there.
    pub(super) fn available() -> Vec<&'static Kernels> {
        let mut list: Vec<&'static Kernels> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            list.extend(super::tile_avx512::kernels());
            list.extend(super::tile_avx2::kernels());
        }
        list.push(&tile_portable::KERNELS);
        list
    }

    fn fastest() -> &'static Kernels {
        static FASTEST: OnceLock<&'static Kernels> = OnceLock::new();
        FASTEST.get_or_init(|| Kernels::available()[0])
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConvShape;
    use super::*;
    use proptest::prelude::*;

    /// The definition, index by index.
    fn naive(shape: &LinearShape, weights: &[u64], input: &[u64]) -> Vec<u64> {
        let mut output = vec![0u64; shape.outputs()];
        match *shape {
            LinearShape::Dense { inputs, outputs } => {
                for o in 0..outputs {
                    for i in 0..inputs {
                        let product = weights[o * inputs + i].wrapping_mul(input[i]);
                        output[o] = output[o].wrapping_add(product);
                    }
                }
            }
            LinearShape::Conv2d(c) => {
                for (pixel, out) in output.chunks_exact_mut(c.out_c).enumerate() {
                    let (oy, ox) = (pixel / c.out_w(), pixel % c.out_w());
                    for ky in 0..c.kernel_h {
                        for kx in 0..c.kernel_w {
                            let y = (oy * c.stride + ky).wrapping_sub(c.padding[0]);
                            let x = (ox * c.stride + kx).wrapping_sub(c.padding[1]);
                            if y >= c.in_h || x >= c.in_w {
                                continue;
                            }
                            for ci in 0..c.in_c {
                                let a = input[(y * c.in_w + x) * c.in_c + ci];
                                let row = ((ky * c.kernel_w + kx) * c.in_c + ci) * c.out_c;
                                for (co, o) in out.iter_mut().enumerate() {
                                    *o = o.wrapping_add(a.wrapping_mul(weights[row + co]));
                                }
                            }
                        }
                    }
                }
            }
        }
        output
    }

    /// SplitMix64 from `seed`, with small and extreme values mixed in.
    fn values(seed: u64, n: usize) -> Vec<u64> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                z ^= z >> 31;
                match z % 16 {
                    0 => u64::MAX,
                    1 => 1 << 63,
                    2 => 0xFFFF_FFFF,
                    3 => 1 << 32,
                    4 => 0,
                    _ => z,
                }
            })
            .collect()
    }

    /// Every kernel of this processor, the two public entries included, agrees with the definition.
    fn assert_all_kernels(shape: &LinearShape, weights: &[u64], input: &[u64]) {
        let expected = naive(shape, weights, input);
        let packed = PackedWeights::pack(shape, weights);
        assert_eq!(packed.shape(), shape);
        let mut output = vec![0xDEAD_BEEF; expected.len()];
        for kernels in Kernels::available() {
            output.fill(0xDEAD_BEEF);
            packed.apply_with(kernels, input, &mut output);
            assert_eq!(output, expected, "{kernels:?} on {shape:?}");
        }
        output.fill(0xDEAD_BEEF);
        packed.apply(input, &mut output);
        assert_eq!(output, expected, "apply on {shape:?}");
        output.fill(0xDEAD_BEEF);
        packed.apply_portable(input, &mut output);
        assert_eq!(output, expected, "apply_portable on {shape:?}");
    }

    fn assert_random_weights(shape: &LinearShape, seed: u64) {
        let weights = values(seed, shape.weights());
        let input = values(seed ^ 0xA5A5, shape.inputs());
        assert_all_kernels(shape, &weights, &input);
        // The widths of fixed-point weights.
        for bits in [32, 16] {
            let narrow: Vec<u64> = weights.iter().map(|&w| ((w as i64) >> (64 - bits)) as u64).collect();
            assert_all_kernels(shape, &narrow, &input);
        }
    }

    #[test]
    fn table_of_convolutions() {
        // in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, [top, left, bottom, right]
        type Row = (usize, usize, usize, usize, usize, usize, usize, [usize; 4]);
        let table: [Row; 19] = [
            (32, 32, 3, 16, 3, 3, 1, [1; 4]),      // ResNet-20 first layer
            (32, 32, 16, 16, 3, 3, 1, [1; 4]),     // ResNet-20
            (32, 32, 16, 32, 3, 3, 2, [1; 4]),     // ... between its stages
            (32, 32, 16, 32, 1, 1, 2, [0; 4]),     // ... and the shortcut
            (8, 8, 64, 64, 3, 3, 1, [1; 4]),       // ResNet-20 last stage
            (8, 8, 64, 16, 1, 1, 1, [0; 4]),       // MiniONN 1x1
            (4, 4, 256, 40, 3, 3, 1, [1; 4]),      // weights of several passes
            (12, 12, 1, 5, 5, 5, 1, [0; 4]),       // one channel in, LeNet-like
            (9, 7, 5, 10, 5, 5, 1, [2; 4]),        // ten channels out
            (6, 6, 8, 10, 3, 3, 2, [0, 0, 1, 1]),  // asymmetric, TensorFlow's "same"
            (7, 5, 4, 24, 3, 2, 2, [2, 0, 0, 1]),  // asymmetric everything
            (2, 2, 9, 17, 5, 5, 1, [2, 2, 2, 2]),  // kernel larger than the input
            (1, 1, 12, 33, 3, 3, 1, [1; 4]),       // one pixel in, one out
            (3, 3, 2, 7, 3, 3, 3, [0; 4]),         // one pixel out
            (5, 6, 1, 1, 1, 1, 1, [0; 4]),         // scalar map
            (4, 4, 3, 8, 1, 1, 1, [2; 4]),         // 1x1 reading only padding at the rim
            (16, 16, 3, 64, 7, 7, 2, [3; 4]),      // ImageNet stem
            (3, 40, 8, 72, 1, 3, 1, [0, 1, 0, 1]), // nine vectors: three blocks
            (1, 1, 20_000, 32, 1, 1, 1, [0; 4]),   // one tap larger than a chunk
        ];
        for (i, &(in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, padding)) in table.iter().enumerate() {
            let conv = ConvShape { in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, padding };
            assert_random_weights(&LinearShape::Conv2d(conv), i as u64);
        }
    }

    #[test]
    fn a_product_in_parts_is_the_whole() {
        let conv = |size, channels, stride| {
            let (kernel_h, kernel_w, padding) = (3, 3, [1; 4]);
            let (in_h, in_w, in_c, out_c) = (size, size, channels, channels);
            LinearShape::Conv2d(ConvShape { in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, padding })
        };
        let dense = LinearShape::Dense { inputs: 50, outputs: 40 };
        for (shape, part) in [(conv(9, 5, 1), 7), (conv(32, 64, 1), 48), (conv(32, 64, 2), 100), (dense, 9)] {
            let packed = PackedWeights::pack(&shape, &values(1, shape.weights()));
            let input = values(2, shape.inputs());
            let mut whole = vec![0; shape.outputs()];
            packed.apply(&input, &mut whole);
            let rows = match shape {
                LinearShape::Conv2d(conv) => conv.out_h() * conv.out_w(),
                LinearShape::Dense { outputs, .. } => outputs,
            };
            let mut product = packed.start();
            let starts = (0..rows).step_by(part);
            let parts: Vec<u64> =
                starts.flat_map(|row| product.rows(&input, row..rows.min(row + part)).to_vec()).collect();
            assert_eq!(parts, whole, "{shape:?}");
        }
    }

    #[test]
    fn table_of_dense_layers() {
        for (inputs, outputs) in [(1, 1), (64, 10), (1024, 10), (7, 3), (8, 4), (13, 5), (100, 9), (513, 16), (0, 4)] {
            assert_random_weights(&LinearShape::Dense { inputs, outputs }, inputs as u64);
        }
    }

    #[test]
    fn wraps_around() {
        // 2^32 * 2^32 = 0; (-1)(-1) = 1, nine times; 2^63 * 3 = 2^63.
        let shape = LinearShape::Dense { inputs: 9, outputs: 1 };
        for (weight, input, expected) in [
            (1u64 << 32, 1u64 << 32, 0u64),
            (u64::MAX, u64::MAX, 9),
            (1 << 63, 3, 1 << 63),
            (0xFFFF_FFFF, 0x1_0000_0001, 9u64.wrapping_mul(u64::MAX)),
        ] {
            let packed = PackedWeights::pack(&shape, &[weight; 9]);
            for kernels in Kernels::available() {
                let mut output = [7];
                packed.apply_with(kernels, &[input; 9], &mut output);
                assert_eq!(output, [expected], "{kernels:?}: 9 * {weight:#x} * {input:#x}");
            }
        }
        let conv = LinearShape::Conv2d(ConvShape::same(5, 3, 9, 3, 1));
        assert_all_kernels(&conv, &vec![u64::MAX; conv.weights()], &[u64::MAX; 75]);
    }

    #[test]
    #[should_panic(expected = "weights of")]
    fn wrong_number_of_weights_is_refused() {
        let shape = LinearShape::Dense { inputs: 3, outputs: 2 };
        PackedWeights::pack(&shape, &[0; 5]);
    }

    #[test]
    #[should_panic(expected = "input of")]
    fn wrong_input_length_is_refused() {
        let shape = LinearShape::Dense { inputs: 3, outputs: 2 };
        PackedWeights::pack(&shape, &[0; 6]).apply(&[0; 4], &mut [0; 2]);
    }

    fn conv_shapes() -> impl Strategy<Value = LinearShape> {
        let image = (1..12usize, 1..12usize, 1..20usize, 1..70usize);
        let kernel = (1..6usize, 1..6usize, 1..4usize, prop::array::uniform4(0..4usize));
        (image, kernel).prop_filter_map(
            "the kernel fits the padded input",
            |((in_h, in_w, in_c, out_c), (kernel_h, kernel_w, stride, padding))| {
                let fits = kernel_h <= in_h + padding[0] + padding[2] && kernel_w <= in_w + padding[1] + padding[3];
                fits.then_some(LinearShape::Conv2d(ConvShape {
                    in_h,
                    in_w,
                    in_c,
                    out_c,
                    kernel_h,
                    kernel_w,
                    stride,
                    padding,
                }))
            },
        )
    }

    proptest! {
        #[test]
        fn convolutions_agree(shape in conv_shapes(), seed: u64) {
            assert_random_weights(&shape, seed);
        }

        #[test]
        fn dense_layers_agree(inputs in 1..200usize, outputs in 1..40usize, seed: u64) {
            assert_random_weights(&LinearShape::Dense { inputs, outputs }, seed);
        }
    }
}
