//! Our kernels against burn's own operations: values, gradients and what is recorded.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};

use super::super::backend::{
    Activated, ActivationSpec, Curve, Normed, Penalty, TrainBackend, generic_activation, generic_batch_norm,
    generic_conv,
};
use crate::nn::seeded::Uniform;
use crate::protocol::Polynomial;
use crate::ring::ConvShape;

type B = Autodiff<Flex>;

fn random(label: &str, count: usize, scale: f64) -> Vec<f32> {
    Uniform::new(5, label).draw(count).into_iter().map(|u| ((2.0 * u - 1.0) * scale) as f32).collect()
}

fn leaf<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Default::default()).require_grad()
}

fn values<const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().to_vec().unwrap()
}

fn gradient<const D: usize>(
    tensor: &Tensor<B, D>,
    gradients: &<B as burn::tensor::backend::AutodiffBackend>::Gradients,
) -> Vec<f32> {
    tensor.grad(gradients).expect("it takes part").into_data().to_vec().unwrap()
}

/// Equal within the rounding of sums in another order.
fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let size = theirs.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 2e-5 * size.max(1e-3), "{what}: {a} for {b} at {index}, size {size}");
    }
}

#[test]
fn convolutions() {
    let cases = [
        // Whole tiles, tiles of every size, channels that fill no vector, strides, a projection, no padding.
        ConvShape::same(32, 3, 16, 3, 1),
        ConvShape::same(13, 16, 32, 3, 1),
        ConvShape::same(7, 5, 10, 3, 1),
        ConvShape::same(16, 16, 32, 3, 2),
        ConvShape::same(9, 24, 17, 3, 2),
        ConvShape { padding: [0; 4], ..ConvShape::same(8, 32, 64, 1, 2) },
        ConvShape { padding: [0; 4], ..ConvShape::same(8, 4, 3, 3, 1) },
        ConvShape { kernel_h: 5, padding: [2, 1, 2, 1], ..ConvShape::same(6, 8, 16, 3, 1) },
    ];
    for shape in cases {
        let weights = shape.kernel_h * shape.kernel_w * shape.in_c * shape.out_c;
        let dims = [3, shape.in_h, shape.in_w, shape.in_c];
        let run = |ours: bool| {
            let x = leaf(&random("x", dims.iter().product(), 1.0), dims);
            let w = leaf(&random("w", weights, 1.0), [weights]);
            let b = leaf(&random("b", shape.out_c, 1.0), [shape.out_c]);
            let conv = if ours { B::conv } else { generic_conv::<B> };
            let y = conv(&shape, x.clone(), w.clone(), b.clone());
            let dims = y.dims();
            let towards = leaf(&random("towards", dims.iter().product(), 1.0), dims).detach();
            let gradients = (y.clone() * towards).sum().backward();
            let gradients = [gradient(&x, &gradients), gradient(&w, &gradients), gradient(&b, &gradients)];
            (values(y), gradients)
        };
        let ((y, ours), (expected, theirs)) = (run(true), run(false));
        assert_close(&y, &expected, &format!("{shape:?}"));
        for ((ours, theirs), what) in ours.iter().zip(&theirs).zip(["input", "weights", "bias"]) {
            assert_close(ours, theirs, &format!("gradient of {what}, {shape:?}"));
        }
        // The inner backend, which tests run on, computes the same.
        let x = Tensor::<Flex, 4>::from_data(
            TensorData::new(random("x", dims.iter().product(), 1.0), dims),
            &Default::default(),
        );
        let vector =
            |label, count| Tensor::<Flex, 1>::from_floats(random(label, count, 1.0).as_slice(), &Default::default());
        let inner = Flex::conv(&shape, x, vector("w", weights), vector("b", shape.out_c));
        assert_eq!(inner.into_data().to_vec::<f32>().unwrap(), y);
    }
}

#[test]
fn batch_norms() {
    for channels in [3, 16, 40] {
        let dims = [4, 6, 5, channels];
        let run = |ours: bool| {
            // Mean 2 and more: not centred.
            let x: Vec<f32> = random("x", dims.iter().product(), 1.5).into_iter().map(|v| v + 2.0).collect();
            let x = leaf(&x, dims);
            let gamma = leaf(&random("gamma", channels, 2.0), [channels]);
            let beta = leaf(&random("beta", channels, 1.0), [channels]);
            let norm = if ours { B::batch_norm } else { generic_batch_norm::<B> };
            let Normed { y, mean, variance } = norm(x.clone(), gamma.clone(), beta.clone(), 1e-5);
            let towards = leaf(&random("towards", dims.iter().product(), 1.0), dims).detach();
            let gradients = (y.clone() * towards).sum().backward();
            [
                values(y),
                values(mean),
                values(variance),
                gradient(&x, &gradients),
                gradient(&gamma, &gradients),
                gradient(&beta, &gradients),
            ]
        };
        let names = ["output", "mean", "variance", "gradient of input", "gradient of gamma", "gradient of beta"];
        for ((ours, theirs), name) in run(true).iter().zip(&run(false)).zip(names) {
            assert_close(ours, theirs, &format!("{name}, {channels} channels"));
        }
    }
}

#[test]
fn activations_with_clipping_and_penalty() {
    let polynomial = Curve::of(&Polynomial::named("relu-d4").unwrap());
    let penalty = |power| Some(Penalty { range: 4.0, power, weight: 0.01 });
    for (curve, clip, penalty) in [
        (Curve::Relu, false, None),
        (Curve::Relu, false, penalty(2)),
        (polynomial.clone(), false, None),
        (polynomial.clone(), true, None),
        (polynomial.clone(), true, penalty(4)),
        (polynomial, true, penalty(10)),
    ] {
        let spec = ActivationSpec { curve, range: 5.0, clip, penalty };
        // 105 elements an image: six vectors and a rest.
        let dims = [3, 5, 7, 3];
        let run = |ours: bool| {
            let x = leaf(&random("x", dims.iter().product(), 7.0), dims);
            let activation = if ours { B::activation } else { generic_activation::<B> };
            let Activated { y, seen, loss } = activation(x.clone(), &spec);
            assert!(!ours || loss.is_none(), "ours adds the penalty's gradient by itself");
            let towards = leaf(&random("towards", dims.iter().product(), 1.0), dims).detach();
            let sum = (y.clone() * towards).sum();
            let gradients = loss.into_iter().fold(sum, |sum, loss| sum + loss).backward();
            [values(y), values(seen), gradient(&x, &gradients)]
        };
        for ((ours, theirs), name) in run(true).iter().zip(&run(false)).zip(["output", "seen", "gradient"]) {
            assert_close(ours, theirs, &format!("{name}, {spec:?}"));
        }
    }
}

#[test]
fn not_a_number_is_seen() {
    let spec = ActivationSpec { curve: Curve::Relu, range: 5.0, clip: false, penalty: None };
    let seen = |x: &[f32]| {
        let Activated { seen, .. } = B::activation(leaf(x, [1, 1, 1, x.len()]), &spec);
        values(seen)
    };
    assert_eq!(seen(&[1.0, -6.0, 5.0]), [0.0, 1.0, 6.0]);
    assert_eq!(seen(&[1.0, f32::NAN, 5.0])[2], f32::INFINITY);
}
