//! Graphs that the built-in architectures do not contain: additions of all kinds, pools of all kinds, layers in chunks.

use crate::harness::wan;
use crate::{FRAC_BITS, assert_close, execute, functions, network_tolerance, slots};
use longhaul::nn::builder::GraphBuilder;
use longhaul::nn::data::random_images;
use longhaul::nn::graph::{Graph, Op, TensorShape};
use longhaul::nn::plain;
use longhaul::nn::secure::lower;
use longhaul::protocol::activation::{self, Family, PROTOCOLS};
use longhaul::ring::{ConvShape, LinearShape};

/// Weights of a linear layer: a fixed pattern without symmetry, small enough for fixed point.
pub fn linear(shape: LinearShape) -> Op {
    let scale = 1.0 / (shape.weights() as f32).sqrt();
    let weights = (0..shape.weights()).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect();
    let channels = match shape {
        LinearShape::Conv2d(conv) => conv.out_c,
        LinearShape::Dense { outputs, .. } => outputs,
    };
    Op::Linear { shape, weights, bias: (0..channels).map(|i| i as f32 / 10.0 - 0.2).collect() }
}

pub fn conv(input: TensorShape, out_c: usize, kernel: usize, stride: usize, pad: usize) -> Op {
    linear(LinearShape::Conv2d(ConvShape {
        in_h: input.h,
        in_w: input.w,
        in_c: input.c,
        out_c,
        kernel_h: kernel,
        kernel_w: kernel,
        stride,
        padding: [pad; 4],
    }))
}

/// Two convolutions and a projection reading one tensor, additions of convolutions, an activation and the image.
pub fn small_residual_network() -> Graph {
    let mut builder = GraphBuilder::new(TensorShape { h: 8, w: 8, c: 4 });
    let input = builder.input();
    let stem = builder.push("stem", conv(builder.shape(input), 4, 3, 1, 1), &[input]).unwrap();
    let with_image = builder.push("plus image", Op::Add, &[stem, input]).unwrap();
    let x = builder.activation("act0", with_image).unwrap();
    let shape = builder.shape(x);
    let main = builder.push("conv1", conv(shape, 6, 3, 2, 1), &[x]).unwrap();
    let shortcut = builder.push("projection", conv(shape, 6, 1, 2, 0), &[x]).unwrap();
    let sum = builder.push("sum", Op::Add, &[main, shortcut]).unwrap();
    let y = builder.activation("act1", sum).unwrap();
    let branch = builder.push("conv2", conv(builder.shape(y), 6, 3, 1, 1), &[y]).unwrap();
    let sum = builder.push("identity", Op::Add, &[branch, y]).unwrap();
    let z = builder.activation("act2", sum).unwrap();
    let pooled = builder.push("pool", Op::GlobalAvgPool, &[z]).unwrap();
    let flat = builder.push("flat", Op::Flatten, &[pooled]).unwrap();
    builder.push("fc", linear(LinearShape::Dense { inputs: 6, outputs: 5 }), &[flat]).unwrap();
    builder.finish().unwrap()
}

/// Pooling before the activation, twice between activations, by three, with padding, two convolutions in a row, and no
/// linear layer at the end.
fn pooling_network() -> Graph {
    let mut builder = GraphBuilder::new(TensorShape { h: 13, w: 13, c: 3 });
    let input = builder.input();
    let pooled = builder.push("pool of the image", Op::AvgPool { kernel: 2, stride: 1, padding: 0 }, &[input]).unwrap();
    let first = builder.push("conv0", conv(builder.shape(pooled), 5, 1, 1, 0), &[pooled]).unwrap();
    let before = builder.push("pool before", Op::AvgPool { kernel: 3, stride: 3, padding: 0 }, &[first]).unwrap();
    let x = builder.activation("act0", before).unwrap();
    let third = builder.push("conv2", conv(builder.shape(x), 4, 3, 1, 1), &[x]).unwrap();
    let fourth = builder.push("conv3", conv(builder.shape(third), 4, 1, 1, 0), &[third]).unwrap();
    let y = builder.activation("act1", fourth).unwrap();
    let pooled = builder.push("pool a", Op::AvgPool { kernel: 3, stride: 2, padding: 1 }, &[y]).unwrap();
    let pooled = builder.push("pool b", Op::AvgPool { kernel: 2, stride: 2, padding: 0 }, &[pooled]).unwrap();
    builder.push("flat", Op::Flatten, &[pooled]).unwrap();
    builder.finish().unwrap()
}

/// Averages of nine pixels that two linear layers read, that a linear layer and an addition read, and of 25 before the
/// last layer: the linear layers take what is left of the division.
fn dividing_network() -> Graph {
    let mut builder = GraphBuilder::new(TensorShape { h: 15, w: 15, c: 3 });
    let input = builder.input();
    let stem = builder.push("stem", conv(builder.shape(input), 4, 3, 1, 1), &[input]).unwrap();
    let x = builder.activation("act0", stem).unwrap();
    let pool = Op::AvgPool { kernel: 3, stride: 3, padding: 0 };
    let pooled = builder.push("pool of two readers", pool.clone(), &[x]).unwrap();
    let main = builder.push("conv1", conv(builder.shape(pooled), 6, 3, 1, 1), &[pooled]).unwrap();
    let shortcut = builder.push("projection", conv(builder.shape(pooled), 6, 1, 1, 0), &[pooled]).unwrap();
    let sum = builder.push("sum", Op::Add, &[main, shortcut]).unwrap();
    let y = builder.activation("act1", sum).unwrap();
    let same = Op::AvgPool { kernel: 3, stride: 1, padding: 1 };
    let smooth = builder.push("pool of mixed readers", same, &[y]).unwrap();
    let branch = builder.push("conv2", conv(builder.shape(smooth), 6, 1, 1, 0), &[smooth]).unwrap();
    let sum = builder.push("sum with pool", Op::Add, &[branch, smooth]).unwrap();
    let z = builder.activation("act2", sum).unwrap();
    let pooled = builder.push("global", Op::GlobalAvgPool, &[z]).unwrap();
    let flat = builder.push("flat", Op::Flatten, &[pooled]).unwrap();
    builder.push("fc", linear(LinearShape::Dense { inputs: 6, outputs: 5 }), &[flat]).unwrap();
    builder.finish().unwrap()
}

/// A convolution and a dense layer whose outputs go in several chunks, each with a bias of its own per element.
fn chunked_network() -> Graph {
    let mut builder = GraphBuilder::new(TensorShape { h: 32, w: 32, c: 3 });
    let wide = |builder: &mut GraphBuilder, name: &str, mut op: Op, input| {
        let Op::Linear { shape, bias, .. } = &mut op else { unreachable!("made linear") };
        *bias = (0..shape.outputs()).map(|i| (i * 29 % 97) as f32 / 50.0 - 1.0).collect();
        let wide = builder.push(name, op, &[input]).unwrap();
        assert!(builder.shape(wide).elements() > 8192, "more than a chunk");
        builder.activation(&format!("{name} act"), wide).unwrap()
    };
    let input = builder.input();
    let x = wide(&mut builder, "conv", conv(TensorShape { h: 32, w: 32, c: 3 }, 12, 3, 1, 1), input);
    let pooled = builder.push("pool", Op::AvgPool { kernel: 16, stride: 16, padding: 0 }, &[x]).unwrap();
    let flat = builder.push("flat", Op::Flatten, &[pooled]).unwrap();
    let y = wide(&mut builder, "dense", linear(LinearShape::Dense { inputs: 48, outputs: 9000 }), flat);
    builder.push("fc", linear(LinearShape::Dense { inputs: 9000, outputs: 4 }), &[y]).unwrap();
    builder.finish().unwrap()
}

/// Max pooling of the image with padding, of pre-activations, of activations, and with odd and large windows.
pub fn max_pooling_network() -> Graph {
    let mut builder = GraphBuilder::new(TensorShape { h: 15, w: 14, c: 3 });
    let input = builder.input();
    let pool = |kernel, stride, padding| Op::MaxPool { kernel, stride, padding };
    let image = builder.push("pool of the image", pool(3, 2, 1), &[input]).unwrap();
    let first = builder.push("conv0", conv(builder.shape(image), 4, 3, 1, 1), &[image]).unwrap();
    let before = builder.push("pool before", pool(2, 1, 0), &[first]).unwrap();
    let x = builder.activation("act0", before).unwrap();
    let second = builder.push("conv1", conv(builder.shape(x), 4, 1, 1, 0), &[x]).unwrap();
    let y = builder.activation("act1", second).unwrap();
    let after = builder.push("pool after", pool(4, 3, 2), &[y]).unwrap();
    let same = builder.push("pool of one", pool(1, 1, 0), &[after]).unwrap();
    let flat = builder.push("flat", Op::Flatten, &[same]).unwrap();
    let inputs = builder.shape(flat).elements();
    builder.push("fc", linear(LinearShape::Dense { inputs, outputs: 5 }), &[flat]).unwrap();
    builder.finish().unwrap()
}

#[test]
fn max_pooling_agrees_with_plaintext_under_every_relu_protocol() {
    let graph = max_pooling_network();
    for entry in PROTOCOLS.iter().filter(|entry| entry.family == Family::Relu) {
        for image in random_images(graph.input_shape(), 5, 3) {
            let (_, measured) = execute(&graph, entry, &image.pixels, 2, &wan(), 1 << 30);
            let expected = plain::forward(&graph, &image.pixels, &functions(entry, &graph), f64::INFINITY).logits;
            assert_close(&measured.logits, &expected, 2e-3, entry.id);
        }
    }
}

#[test]
fn a_max_pool_is_a_tree_of_comparisons() {
    // 3 x 3 with stride 2 on 7 x 7 x 2, padded: three candidates in two levels, for 7 x 4 x 2 values along the rows and
    // then for 4 x 4 x 2 along the columns.
    let mut builder = GraphBuilder::new(TensorShape { h: 7, w: 7, c: 2 });
    let pool = Op::MaxPool { kernel: 3, stride: 2, padding: 1 };
    let pooled = builder.push("pool", pool, &[0]).unwrap();
    let flat = builder.push("flat", Op::Flatten, &[pooled]).unwrap();
    let shape = LinearShape::Dense { inputs: 32, outputs: 3 };
    let linear = Op::Linear { shape, weights: vec![0.5; 96], bias: vec![0.0; 3] };
    let linear = builder.push("linear", linear, &[flat]).unwrap();
    builder.activation("act", linear).unwrap();
    let graph = builder.finish().unwrap();
    let plan = lower(&graph, &slots(activation::find("gmw").unwrap(), &graph), FRAC_BITS).unwrap();
    let sizes: Vec<_> = plan.activation_costs().map(|(spec, _)| (spec.elements, spec.shift())).collect();
    assert_eq!(sizes, [(56, 0), (56, 0), (32, 0), (32, 0), (3, 16)]);
}

#[test]
fn polynomials_cannot_pool_by_maximum() {
    let graph = max_pooling_network();
    let entry = activation::find("fused").unwrap();
    let refused = lower(&graph, &slots(entry, &graph), FRAC_BITS);
    let message = refused.err().unwrap().to_string();
    assert!(
        message.starts_with("pool of the image: max pooling compares, which no protocol of this cell does"),
        "{message}"
    );
}

#[test]
fn graphs_of_other_shapes_agree_with_plaintext() {
    let graphs = [
        ("residual", small_residual_network()),
        ("pooling", pooling_network()),
        ("dividing", dividing_network()),
        ("chunked", chunked_network()),
    ];
    for (name, graph) in graphs {
        for entry in PROTOCOLS {
            for image in random_images(graph.input_shape(), 5, 3) {
                let (_, measured) = execute(&graph, entry, &image.pixels, 2, &wan(), 1 << 30);
                let expected = plain::forward(&graph, &image.pixels, &functions(entry, &graph), f64::INFINITY).logits;
                assert_close(
                    &measured.logits,
                    &expected,
                    network_tolerance(entry, 2e-3),
                    &format!("{name} with {}", entry.id),
                );
            }
        }
    }
}
