//! Moments of one channel, and the scale and shift that give it the wanted ones.

/// A shortcut with at least this variance leaves the residual branch only [`SMALL_BRANCH`].
const LARGE_SHORTCUT: f64 = 0.9;
/// Variance of the residual branch beside a shortcut that is already large.
const SMALL_BRANCH: f64 = 0.1;
/// A channel with less variance is constant; scaling it would only amplify rounding.
const CONSTANT: f64 = 1e-12;

/// `scale x + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: f64,
    pub(super) shift: f64,
}

impl Affine {
    /// Gives the first tensor zero mean and this variance.
    pub(super) fn standardising(moments: &Moments, variance: f64) -> Affine {
        let scale = if moments.is_constant() { 1.0 } else { (variance / moments.variance[0]).sqrt() };
        Affine { scale, shift: -scale * moments.mean[0] }
    }
}

/// The adjustment of the branch (0) after which its sum with the shortcut (1) has zero mean and unit
/// variance: the positive root of `v0 s^2 + 2 cov s + v1 = 1`.
pub(super) fn fit_branch(moments: &Moments) -> Affine {
    let [branch, shortcut] = moments.variance;
    let scale = if moments.is_constant() {
        1.0
    } else if shortcut >= LARGE_SHORTCUT {
        (SMALL_BRANCH / branch).sqrt()
    } else {
        let covariance = moments.covariance;
        let root = (covariance * covariance + branch * (1.0 - shortcut)).sqrt();
        (root - covariance) / branch
    };
    Affine { scale, shift: -(moments.mean[1] + scale * moments.mean[0]) }
}

/// Means, variances and covariance of two tensors over one channel's pixels in all images.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) mean: [f64; 2],
    pub(super) variance: [f64; 2],
    pub(super) covariance: f64,
}

impl Moments {
    /// Whether the first tensor does not vary, so that scaling would only amplify rounding.
    pub(super) fn is_constant(&self) -> bool {
        self.variance[0] < CONSTANT
    }

    /// Of channel `channel` of tensors with `channels` channels, an entry per image.
    pub(super) fn of(a: &[Vec<f64>], b: &[Vec<f64>], channels: usize, channel: usize) -> Moments {
        let pick = |batch: &[Vec<f64>]| -> Vec<f64> {
            let pixels = batch.iter().flat_map(|image| image.chunks_exact(channels));
            pixels.map(|pixel| pixel[channel]).collect()
        };
        let (a, b) = (pick(a), pick(b));
        let count = a.len() as f64;
        let mean = [&a, &b].map(|v| v.iter().sum::<f64>() / count);
        let product = |x: &[f64], y: &[f64], m: [f64; 2]| {
            let terms = x.iter().zip(y).map(|(x, y)| (x - m[0]) * (y - m[1]));
            terms.sum::<f64>() / count
        };
        Moments {
            mean,
            variance: [product(&a, &a, [mean[0]; 2]), product(&b, &b, [mean[1]; 2])],
            covariance: product(&a, &b, mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_by_hand() {
        // Channel 1 of two pixels in each of two images: 1, 3, 5, 7 beside 2, 2, 0, 0.
        let a = [vec![9.0, 1.0, 9.0, 3.0], vec![9.0, 5.0, 9.0, 7.0]];
        let b = [vec![9.0, 2.0, 9.0, 2.0], vec![9.0, 0.0, 9.0, 0.0]];
        let moments = Moments::of(&a, &b, 2, 1);
        assert_eq!(moments.mean, [4.0, 1.0]);
        assert_eq!(moments.variance, [5.0, 1.0]);
        assert_eq!(moments.covariance, -2.0);
        assert!(Moments::of(&a, &b, 2, 0).is_constant());
    }

    #[test]
    fn the_quadratic_gives_unit_variance() {
        let moments = Moments { mean: [2.0, 0.25], variance: [4.0, 0.5], covariance: -0.75 };
        let Affine { scale, shift } = fit_branch(&moments);
        let sum = 4.0 * scale * scale + 2.0 * -0.75 * scale + 0.5;
        assert!((sum - 1.0).abs() < 1e-12 && scale > 0.0, "{scale}");
        assert!((scale * 2.0 + shift + 0.25).abs() < 1e-12);
        let large = Moments { variance: [4.0, 1.7], ..moments };
        let expected = (SMALL_BRANCH / 4.0).sqrt();
        assert_eq!(fit_branch(&large).scale, expected);
    }
}
