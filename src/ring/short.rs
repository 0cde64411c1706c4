//! Convolutions with the [`Scheme`]s: fewer multiplications than the definition has.
//!
//! Tile rows are worked off in groups that stay in the cache. For a group: copy its input rows with their padding, form
//! the differences of rows, then those of pixels; every pair of tap sums is a matrix of weights that all places with this
//! pair are multiplied by (the kernels' [`Pass`], one tap); then sum the products along rows and along columns.

use super::conv::{LANES, Pass, split_channels};
use super::linear::Kernels;
use super::scheme::{Scheme, TERMS};
use super::words::Words;
use super::{ConvShape, LinearShape};
use multiversion::multiversion;
use std::cell::RefCell;
use std::ops::Range;

/// What the buffers of a group should occupy, about: the L2 cache.
const GROUP_BYTES: usize = 1 << 20;

/// Every group reads all the weights: they may be this much larger than its buffers.
const WEIGHTS_PER_GROUP: usize = 8;

/// What forming the differences and sums costs per element of a place, in multiply-adds (measured).
const SUMS_COST: usize = 8;

#[derive(Clone)]
pub(super) struct ShortConv {
    shape: ConvShape,
    scheme_y: &'static Scheme,
    scheme_x: &'static Scheme,
    /// Output channels and how many vectors they are.
    blocks: Vec<(Range<usize>, usize)>,
    /// `[tap sum y][tap sum x]`, each `[block][in_c][vectors][LANES]`; channels past the end are zero.
    weights: Vec<Words>,
}

/// The buffers of a group. They are kept per thread: fresh memory would cost as much as the arithmetic of a small layer.
#[derive(Default)]
struct Scratch {
    /// Padded input rows, differences of rows, differences of pixels.
    source: Vec<u64>,
    /// Where the row of each place begins in `source`.
    starts: Vec<u32>,
    /// `[place][out_c]`: the products.
    products: Vec<u64>,
    /// `[place y][out_w][out_c]`: summed along rows.
    columns: Vec<u64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The products that some outputs along one axis need: for each product of the scheme in turn, one place per tile.
struct Places {
    /// By product: its first place.
    first: Vec<usize>,
    /// By product: in how many tiles, from the first on, an output needs it.
    tiles: Vec<usize>,
    /// By tap sum: its places.
    of_sum: Vec<Range<usize>>,
}

impl Places {
    fn new(scheme: &Scheme, outputs: usize) -> Places {
        let mut places = Places { first: Vec::new(), tiles: Vec::new(), of_sum: vec![0..0; scheme.tap_sums.len()] };
        let mut next = 0;
        for product in scheme.products {
            let tiles = outputs.saturating_sub(product.outputs[0]).div_ceil(scheme.outputs);
            let of_sum = &mut places.of_sum[product.tap_sum];
            if of_sum.start == of_sum.end {
                of_sum.start = next;
            }
            places.first.push(next);
            places.tiles.push(tiles);
            next += tiles;
            of_sum.end = next;
        }
        places
    }

    fn len(&self) -> usize {
        self.first.last().map_or(0, |first| first + self.tiles.last().copied().unwrap_or(0))
    }
}

/// The index of a pair of places: pairs with the same tap sums are adjacent, rows of them in order.
fn pair(y: &Places, x: &Places, (sum_y, place_y): (usize, usize), (sum_x, place_x): (usize, usize)) -> usize {
    let (rows, columns) = (&y.of_sum[sum_y], &x.of_sum[sum_x]);
    rows.start * x.len()
        + columns.start * rows.len()
        + (place_y - rows.start) * columns.len()
        + (place_x - columns.start)
}

impl ShortConv {
    /// Whether there is a scheme for the shape that saves more multiplications than its sums cost.
    pub fn saves(shape: &ConvShape) -> bool {
        let s = shape;
        let (Some(scheme_y), Some(scheme_x)) = (Scheme::find(s.kernel_h, s.stride), Scheme::find(s.kernel_w, s.stride))
        else {
            return false;
        };
        let places = Places::new(scheme_y, s.out_h()).len() * Places::new(scheme_x, s.out_w()).len();
        let saved = (s.out_h() * s.out_w() * s.kernel_h * s.kernel_w).saturating_sub(places) * s.in_c * s.out_c;
        saved > places * (s.in_c + s.out_c) * SUMS_COST
    }

    /// Whether reading the sums of taps takes less time than the definition's multiplications would: memory delivers
    /// about as many bytes a cycle as a core does multiplications.
    pub fn fits(&self) -> bool {
        self.weight_bytes() as u64 <= LinearShape::Conv2d(self.shape).macs()
    }

    /// Packs the weights, if there is a scheme for the shape.
    pub fn pack(shape: &ConvShape, weights: &[u64]) -> Option<ShortConv> {
        let s = *shape;
        let scheme_y = Scheme::find(s.kernel_h, s.stride)?;
        let scheme_x = Scheme::find(s.kernel_w, s.stride)?;
        let blocks: Vec<_> = split_channels(s.out_c).collect();
        let width: usize = blocks.iter().map(|(_, vectors)| vectors * LANES).sum();
        let matrix = s.in_c * s.out_c;
        let places = Places::new(scheme_y, s.out_h()).len() * Places::new(scheme_x, s.out_w()).len();
        let uses = places / (scheme_y.tap_sums.len() * scheme_x.tap_sums.len());
        let mut sum = vec![0u64; matrix];
        let mut packed = Vec::new();
        for taps_y in scheme_y.tap_sums {
            for taps_x in scheme_x.tap_sums {
                sum.fill(0);
                for ky in *taps_y {
                    for kx in *taps_x {
                        let tap = &weights[(ky * s.kernel_w + kx) * matrix..][..matrix];
                        sum.iter_mut().zip(tap).for_each(|(sum, w)| *sum = sum.wrapping_add(*w));
                    }
                }
                let mut words = Vec::with_capacity(s.in_c * width);
                for (channels, vectors) in &blocks {
                    for row in sum.chunks_exact(s.out_c) {
                        words.extend_from_slice(&row[channels.clone()]);
                        words.extend(std::iter::repeat_n(0, vectors * LANES - channels.len()));
                    }
                }
                packed.push(Words::for_uses(words, uses));
            }
        }
        let weights = packed;
        Some(ShortConv { shape: s, scheme_y, scheme_x, blocks, weights })
    }

    fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Words::bytes).sum()
    }

    /// The whole convolution.
    pub fn apply(&self, kernels: &Kernels, input: &[u64], output: &mut [u64]) {
        let mut done = 0;
        for output in output.chunks_mut(self.group_pixels() * self.shape.out_c) {
            let pixels = done..done + output.len() / self.shape.out_c;
            done = pixels.end;
            self.apply_group(kernels, input, pixels, output);
        }
    }

    /// Output pixels of a group; the last one may have fewer.
    pub fn group_pixels(&self) -> usize {
        let s = &self.shape;
        let places = self.scheme_y.products.len() * Places::new(self.scheme_x, s.out_w()).len();
        let tile_row = places * (s.in_c + s.out_c) * size_of::<u64>();
        let tile_rows = s.out_h().div_ceil(self.scheme_y.outputs);
        let bytes = GROUP_BYTES.max(self.weight_bytes() / WEIGHTS_PER_GROUP);
        let groups = tile_rows.div_ceil((bytes / tile_row).max(1));
        tile_rows.div_ceil(groups) * self.scheme_y.outputs * s.out_w()
    }

    /// The output pixels of one group; `output` holds only those.
    pub fn apply_group(&self, kernels: &Kernels, input: &[u64], pixels: Range<usize>, output: &mut [u64]) {
        let rows = pixels.start / self.shape.out_w()..pixels.end / self.shape.out_w();
        let y = Places::new(self.scheme_y, rows.len());
        let x = Places::new(self.scheme_x, self.shape.out_w());
        SCRATCH.with_borrow_mut(|scratch| {
            self.gather(input, rows, &y, &x, scratch);
            self.multiply(kernels, &y, &x, scratch);
            self.sum(&y, &x, scratch, output);
        });
    }

    /// Fills `source` and `starts`.
    fn gather(&self, input: &[u64], rows: Range<usize>, y: &Places, x: &Places, scratch: &mut Scratch) {
        let s = &self.shape;
        let tiles_y = rows.len().div_ceil(self.scheme_y.outputs);
        let tiles_x = s.out_w().div_ceil(self.scheme_x.outputs);
        let padded_rows = (tiles_y - 1) * self.scheme_y.step() + self.scheme_y.inputs;
        let row_len = ((tiles_x - 1) * self.scheme_x.step() + self.scheme_x.inputs) * s.in_c;
        let differing = |scheme: &Scheme, places: &Places| -> usize {
            let pairs = scheme.products.iter().zip(&places.tiles);
            pairs.filter(|(product, _)| !product.minus.is_empty()).map(|(_, tiles)| tiles).sum()
        };
        let row_differences = differing(self.scheme_y, y);
        let pixel_differences = differing(self.scheme_x, x);
        let needed = (padded_rows + row_differences) * row_len + y.len() * pixel_differences * s.in_c;
        let source = sized(&mut scratch.source, needed);
        let starts = sized(&mut scratch.starts, y.len() * x.len());
        assert!(u32::try_from(needed).is_ok(), "a group of {s:?} is too large");

        copy_padded(s, input, rows.start * s.stride, &mut source[..padded_rows * row_len], row_len);
        let mut end = padded_rows * row_len;
        for (product, (first, tiles)) in self.scheme_y.products.iter().zip(y.first.iter().zip(&y.tiles)) {
            for tile in 0..*tiles {
                let (done, rest) = source.split_at_mut(end);
                let padded_row = |input: usize| (tile * self.scheme_y.step() + input) * row_len;
                let mut row = padded_row(product.plus);
                if let Some(minus) = pair_of(product.minus) {
                    subtract(&mut rest[..row_len], done, row, minus.map(|input| input.map(padded_row)), 1, 0);
                    row = end;
                    end += row_len;
                }
                self.gather_pixels(
                    source,
                    &mut end,
                    row,
                    x,
                    |column| pair(y, x, (product.tap_sum, first + tile), column),
                    starts,
                );
            }
        }
        debug_assert_eq!(end, needed);
    }

    /// The places of one row of `source`, their differences of pixels appended at `end`.
    fn gather_pixels(
        &self,
        source: &mut [u64],
        end: &mut usize,
        row: usize,
        x: &Places,
        index: impl Fn((usize, usize)) -> usize,
        starts: &mut [u32],
    ) {
        let in_c = self.shape.in_c;
        let step = self.scheme_x.step() * in_c;
        for (product, (&first, &tiles)) in self.scheme_x.products.iter().zip(x.first.iter().zip(&x.tiles)) {
            if tiles == 0 {
                continue;
            }
            let pixel = |input: usize| row + input * in_c;
            let (start, step) = match pair_of(product.minus) {
                None => (pixel(product.plus), step),
                Some(minus) => {
                    let (done, rest) = source.split_at_mut(*end);
                    let out = &mut rest[..tiles * in_c];
                    subtract(out, done, pixel(product.plus), minus.map(|input| input.map(pixel)), tiles, step);
                    *end += tiles * in_c;
                    (*end - tiles * in_c, in_c)
                }
            };
            let places = &mut starts[index((product.tap_sum, first))..][..tiles];
            for (tile, place) in places.iter_mut().enumerate() {
                *place = (start + tile * step) as u32;
            }
        }
    }

    /// Fills `products`.
    fn multiply(&self, kernels: &Kernels, y: &Places, x: &Places, scratch: &mut Scratch) {
        let (in_c, out_c) = (self.shape.in_c, self.shape.out_c);
        let products = sized(&mut scratch.products, y.len() * x.len() * out_c);
        let mut matrices = self.weights.iter();
        for (sum_y, rows) in y.of_sum.iter().enumerate() {
            for ((sum_x, columns), matrix) in x.of_sum.iter().enumerate().zip(&mut matrices) {
                let first = pair(y, x, (sum_y, rows.start), (sum_x, columns.start));
                let places = first..first + rows.len() * columns.len();
                if places.is_empty() {
                    continue;
                }
                let mut weights = 0;
                for (channels, vectors) in &self.blocks {
                    let from = weights;
                    weights += in_c * vectors * LANES;
                    let pass = Pass::dense_rows(
                        &scratch.source,
                        &scratch.starts[places.clone()],
                        in_c,
                        matrix.slice(from..weights),
                        out_c,
                        (channels.clone(), *vectors),
                    );
                    (kernels.conv_pass)(&pass, &mut products[places.start * out_c..places.end * out_c]);
                }
            }
        }
    }

    /// Sums `products` to `output`.
    fn sum(&self, y: &Places, x: &Places, scratch: &mut Scratch, output: &mut [u64]) {
        let (out_w, out_c) = (self.shape.out_w(), self.shape.out_c);
        let row_len = out_w * out_c;
        let columns = sized(&mut scratch.columns, y.len() * row_len);
        let outputs_x = self.scheme_x.outputs;
        for (product, (first, tiles)) in self.scheme_y.products.iter().zip(y.first.iter().zip(&y.tiles)) {
            for place in *first..first + tiles {
                let row = &mut columns[place * row_len..][..row_len];
                for output in 0..outputs_x.min(out_w) {
                    let terms = self.scheme_x.terms(output).map(|p| {
                        let at = (self.scheme_x.products[p].tap_sum, x.first[p]);
                        &scratch.products[pair(y, x, (product.tap_sum, place), at) * out_c..]
                    });
                    sum_terms(&mut row[output * out_c..], terms, out_c, outputs_x * out_c);
                }
            }
        }
        for (row, out) in output.chunks_exact_mut(row_len).enumerate() {
            let (tile, output) = (row / self.scheme_y.outputs, row % self.scheme_y.outputs);
            let terms = self.scheme_y.terms(output).map(|p| &columns[(y.first[p] + tile) * row_len..]);
            sum_terms(out, terms, row_len, row_len);
        }
    }
}

/// The first `len` elements of a buffer that grows and never shrinks; what they hold is old.
fn sized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// None, one, or two inputs to subtract.
fn pair_of(minus: &[usize]) -> Option<[Option<usize>; 2]> {
    (!minus.is_empty()).then(|| [minus.first().copied(), minus.get(1).copied()])
}

/// Input rows from padded row `first` on, with their padding; rows of `padded` are `row_len` long.
fn copy_padded(s: &ConvShape, input: &[u64], first: usize, padded: &mut [u64], row_len: usize) {
    let left = s.padding[1] * s.in_c;
    let len = (s.in_w * s.in_c).min(row_len.saturating_sub(left));
    for (i, row) in padded.chunks_exact_mut(row_len).enumerate() {
        // Wraps to a huge coordinate above the image.
        let y = (first + i).wrapping_sub(s.padding[0]);
        if y >= s.in_h || len == 0 {
            row.fill(0);
            continue;
        }
        row[..left].fill(0);
        row[left..left + len].copy_from_slice(&input[y * s.in_w * s.in_c..][..len]);
        row[left + len..].fill(0);
    }
}

/// `out = from[plus..] - from[minus..] (- from[minus..])`, in `count` equal pieces that lie `step` apart in `from`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn subtract(out: &mut [u64], from: &[u64], plus: usize, minus: [Option<usize>; 2], count: usize, step: usize) {
    let len = out.len() / count;
    let [Some(first), second] = minus else { unreachable!("something is subtracted") };
    for (i, out) in out.chunks_exact_mut(len).enumerate() {
        let a = &from[plus + i * step..][..len];
        let b = &from[first + i * step..][..len];
        match second {
            Some(second) => {
                let c = &from[second + i * step..][..len];
                for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
                    *out = a.wrapping_sub(*b).wrapping_sub(*c);
                }
            }
            None => {
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = a.wrapping_sub(*b);
                }
            }
        }
    }
}

/// The sum of the terms, of `len` elements each time, to every `step`-th element of `out`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn sum_terms(out: &mut [u64], terms: [&[u64]; TERMS], len: usize, step: usize) {
    let [a, b, c] = terms;
    for (i, out) in out.chunks_mut(step).enumerate() {
        let from = i * len;
        let (out, a, b, c) = (&mut out[..len], &a[from..][..len], &b[from..][..len], &c[from..][..len]);
        for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = a.wrapping_add(*b).wrapping_add(*c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::PackedConv;
    use super::super::tile_portable;
    use super::*;
    use proptest::prelude::*;

    /// `n` elements of `bits` bits.
    fn elements(n: usize, mut state: u64, bits: u32) -> Vec<u64> {
        let next = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            ((state ^ (state >> 29)).cast_signed() >> (64 - bits)).cast_unsigned()
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    fn assert_as_defined(shape: &ConvShape, bits: u32) {
        let linear = LinearShape::Conv2d(*shape);
        let (weights, input) = (elements(linear.weights(), 1, bits), elements(linear.inputs(), 2, 64));
        let mut expected = vec![0; linear.outputs()];
        PackedConv::pack(shape, &weights).apply(&tile_portable::KERNELS, &input, &mut expected);
        let short = ShortConv::pack(shape, &weights).unwrap();
        for kernels in Kernels::available() {
            let mut output = vec![0xDEAD_BEEF; expected.len()];
            short.apply(kernels, &input, &mut output);
            assert_eq!(output, expected, "{kernels:?} on {shape:?}");
        }
    }

    #[test]
    fn groups_of_tile_rows_join() {
        let padding = [1; 4];
        for (in_h, in_w, in_c, out_c, stride) in [(33, 31, 40, 24, 1), (56, 56, 16, 40, 2), (32, 32, 64, 64, 1)] {
            let shape = ConvShape { in_h, in_w, in_c, out_c, kernel_h: 3, kernel_w: 3, stride, padding };
            let short = ShortConv::pack(&shape, &vec![1; 9 * in_c * out_c]).unwrap();
            assert!(short.group_pixels() < shape.out_h() * shape.out_w(), "{shape:?} is one group");
            assert_as_defined(&shape, 64);
        }
    }

    #[test]
    fn the_layers_of_the_papers_save_and_the_first_ones_do_not() {
        assert!(ShortConv::saves(&ConvShape::same(32, 64, 64, 3, 1)));
        assert!(ShortConv::saves(&ConvShape::same(4, 512, 512, 3, 1)));
        assert!(ShortConv::saves(&ConvShape::same(56, 128, 128, 3, 2)));
        assert!(!ShortConv::saves(&ConvShape::same(32, 3, 64, 3, 1)));
        assert!(!ShortConv::saves(&ConvShape::same(56, 64, 256, 1, 1)));
        assert!(!ShortConv::saves(&ConvShape::same(224, 3, 64, 7, 2)));
    }

    proptest! {
        #[test]
        fn any_size_padding_and_width_of_weights(
            (in_h, in_w, in_c, out_c) in (1..14usize, 1..14usize, 1..12usize, 1..40usize),
            stride in 1..3usize,
            padding in prop::array::uniform4(0..4usize),
            bits in prop::sample::select(vec![10, 20, 64]),
        ) {
            prop_assume!(in_h + padding[0] + padding[2] >= 3 && in_w + padding[1] + padding[3] >= 3);
            assert_as_defined(&ConvShape { in_h, in_w, in_c, out_c, kernel_h: 3, kernel_w: 3, stride, padding }, bits);
        }
    }
}
