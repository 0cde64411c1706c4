//! Shapes of the linear maps, shared by the ring kernels, the protocols and the networks.
//!
//! Tensors are `[height][width][channels]` (NHWC with N = 1); convolution weights are
//! `[kernel_h][kernel_w][in_channels][out_channels]`, dense weights `[outputs][inputs]`.

/// A two-dimensional convolution, groups = 1, dilation = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Input height in pixels.
    pub in_h: usize,
    /// Input width in pixels.
    pub in_w: usize,
    /// Input channels.
    pub in_c: usize,
    /// Output channels.
    pub out_c: usize,
    /// Kernel height.
    pub kernel_h: usize,
    /// Kernel width.
    pub kernel_w: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Zero padding: top, left, bottom, right.
    pub padding: [usize; 4],
}

/// A linear map without bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinearShape {
    /// A convolution.
    Conv2d(ConvShape),
    /// A fully connected layer.
    Dense {
        /// Input length.
        inputs: usize,
        /// Output length.
        outputs: usize,
    },
}

impl ConvShape {
    /// A square `kernel` on a square image of `size` pixels a side, padded so that stride 1 keeps the size.
    pub fn same(size: usize, in_c: usize, out_c: usize, kernel: usize, stride: usize) -> ConvShape {
        ConvShape {
            in_h: size,
            in_w: size,
            in_c,
            out_c,
            kernel_h: kernel,
            kernel_w: kernel,
            stride,
            padding: [kernel / 2; 4],
        }
    }

    /// Panics if the kernel or stride is zero, the kernel does not fit the padded input, or there are not as many
    /// `weights` as the shape has.
    pub(super) fn check(&self, weights: usize) {
        assert!(
            self.stride > 0
                && (1..=self.in_h + self.padding[0] + self.padding[2]).contains(&self.kernel_h)
                && (1..=self.in_w + self.padding[1] + self.padding[3]).contains(&self.kernel_w),
            "stride and kernel must be positive and the kernel fit the padded input: {self:?}"
        );
        assert_eq!(weights, self.kernel_h * self.kernel_w * self.in_c * self.out_c, "weights of {self:?}");
    }

    /// Output height in pixels.
    pub fn out_h(&self) -> usize {
        (self.in_h + self.padding[0] + self.padding[2] - self.kernel_h) / self.stride + 1
    }

    /// Output width in pixels.
    pub fn out_w(&self) -> usize {
        (self.in_w + self.padding[1] + self.padding[3] - self.kernel_w) / self.stride + 1
    }
}

impl LinearShape {
    /// Input elements.
    pub fn inputs(&self) -> usize {
        match self {
            LinearShape::Conv2d(c) => c.in_h * c.in_w * c.in_c,
            LinearShape::Dense { inputs, .. } => *inputs,
        }
    }

    /// Output elements.
    pub fn outputs(&self) -> usize {
        match self {
            LinearShape::Conv2d(c) => c.out_h() * c.out_w() * c.out_c,
            LinearShape::Dense { outputs, .. } => *outputs,
        }
    }

    /// Output channels; of a dense layer, outputs.
    pub fn channels(&self) -> usize {
        match self {
            LinearShape::Conv2d(c) => c.out_c,
            LinearShape::Dense { outputs, .. } => *outputs,
        }
    }

    /// Weights (no bias).
    pub fn weights(&self) -> usize {
        match self {
            LinearShape::Conv2d(c) => c.kernel_h * c.kernel_w * c.in_c * c.out_c,
            LinearShape::Dense { inputs, outputs } => inputs * outputs,
        }
    }

    /// Multiply-adds of one application, padding included.
    pub fn macs(&self) -> u64 {
        match self {
            LinearShape::Conv2d(c) => (c.out_h() * c.out_w() * self.weights()) as u64,
            LinearShape::Dense { .. } => self.weights() as u64,
        }
    }
}
