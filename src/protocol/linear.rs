//! Linear layers with server-known weights (DELPHI, Mishra et al., USENIX Security 2020, section 4, with a
//! dealer in place of homomorphic encryption).
//!
//! Functionality: shares of `x` in, shares of `W x + b` out, with the client's output share known offline.
//!
//! | step | phase | message | bytes |
//! |---|---|---|---|
//! | mask of the weights, once | setup | dealer -> server: key of a uniform `A` | 16 |
//! | | setup | server -> client: `D = W - A` | 8 a weight |
//! | mask of the input | offline | dealer -> client: key of a uniform `r` | 16 |
//! | shares of `A r` | offline | dealer -> server: key of `v`; dealer -> client: `A r - v` | 16; 8 an output |
//! | masked input | online | client -> server: `x_c - r` | 8 an input |
//!
//! The client's output share is `u = (A r - v) + D r`, so that `u + v = W r`; the server's is `W (x - r) + v + b`.
//!
//! Security: semi-honest; the dealer is trusted to be non-colluding and sees neither weights nor images.
//! `D` is uniform to the client (which knows `A r - v`, masked by `v`), `x_c - r` is uniform to the server.
//! `r` is fresh for every tensor and query; `A` is fixed per model and used with fresh `r` and `v`.
//!
//! Several linear layers that read the same tensor share one mask and one message. Several inputs, one after the other, go
//! through a layer with one message of each kind; the mask then covers them all.

use super::{Dealer, ProtocolError, Session};
use crate::link::Party;
use crate::ring::{LinearShape, PackedWeights, Product};
use std::ops::Range;

/// Dealer, setup: draws the mask `A` of one layer's weights.
///
/// # Errors
/// A failed channel.
pub fn deal_weights(dealer: &mut Dealer, shape: &LinearShape) -> Result<PackedWeights, ProtocolError> {
    let (key, mut prg) = dealer.key();
    dealer.send::<u64>(Party::Server, Some(key), &[])?;
    Ok(PackedWeights::pack(shape, &prg.words(shape.weights())))
}

/// Server, setup: sends the masked weights of one layer.
///
/// # Errors
/// A failed channel.
pub fn send_masked_weights(session: &mut Session, weights: &[u64]) -> Result<(), ProtocolError> {
    let mut masked = session.recv_dealt(16)?.prg().words::<u64>(weights.len());
    for (a, w) in masked.iter_mut().zip(weights) {
        *a = w.wrapping_sub(*a);
    }
    session.send_words(&masked)?;
    Ok(())
}

/// Client, setup: receives the masked weights `D` of one layer.
///
/// # Errors
/// A failed channel.
pub fn recv_masked_weights(session: &mut Session, shape: &LinearShape) -> Result<PackedWeights, ProtocolError> {
    Ok(PackedWeights::pack(shape, &session.recv_words(shape.weights())?))
}

/// Dealer, offline: draws the mask `r` of a tensor of `n` elements.
///
/// # Errors
/// A failed channel.
pub fn deal_mask(dealer: &mut Dealer, n: usize) -> Result<Vec<u64>, ProtocolError> {
    let (key, mut prg) = dealer.key();
    dealer.send::<u64>(Party::Client, Some(key), &[])?;
    Ok(prg.words(n))
}

/// Client, offline: receives the mask `r` of a tensor of `n` elements.
///
/// # Errors
/// A failed channel.
pub fn recv_mask(session: &mut Session, n: usize) -> Result<Vec<u64>, ProtocolError> {
    Ok(session.recv_dealt(16)?.prg().words(n))
}

/// Dealer, offline: hands out shares of `A r`.
///
/// # Errors
/// A failed channel.
pub fn deal_product(dealer: &mut Dealer, a: &PackedWeights, r: &[u64]) -> Result<(), ProtocolError> {
    let (key, mut prg) = dealer.key();
    let mut product = apply_each(a, r);
    let v = prg.words::<u64>(product.len());
    for (p, v) in product.iter_mut().zip(v) {
        *p = p.wrapping_sub(v);
    }
    dealer.send::<u64>(Party::Server, Some(key), &[])?;
    dealer.send(Party::Client, None, &product)?;
    Ok(())
}

/// Server, offline: its share `v` of `W r`.
///
/// # Errors
/// A failed channel.
pub fn server_product(session: &mut Session, outputs: usize) -> Result<Vec<u64>, ProtocolError> {
    Ok(session.recv_dealt(16)?.prg().words(outputs))
}

/// Client, offline: its share `u` of `W r`, which is its share of the layer's output.
///
/// # Errors
/// A failed channel.
pub fn client_product(
    session: &mut Session,
    masked_weights: &PackedWeights,
    r: &[u64],
) -> Result<Vec<u64>, ProtocolError> {
    let outputs = r.len() / masked_weights.shape().inputs() * masked_weights.shape().outputs();
    let dealt = session.recv_dealt(outputs * 8)?.words::<u64>(outputs);
    let mut u = apply_each(masked_weights, r);
    add_into(&mut u, &dealt);
    Ok(u)
}

/// Online: the client sends `x_c - r` and keeps `r` as its share; the server's share becomes `x - r`.
/// `share` is the party's share of `x`; returns the server's new share (the client's is `r`).
///
/// # Errors
/// A failed channel.
pub fn remask(session: &mut Session, mut share: Vec<u64>, r: &[u64]) -> Result<Vec<u64>, ProtocolError> {
    if session.is_server() {
        let masked = session.recv_words(share.len())?;
        add_into(&mut share, &masked);
        return Ok(share);
    }
    for (x, r) in share.iter_mut().zip(r) {
        *x = x.wrapping_sub(*r);
    }
    session.send_words(&share)?;
    Ok(Vec::new())
}

/// Server, online: `W (x - r) + v + b`, the bias repeated over pixels.
pub fn server_apply(weights: &PackedWeights, bias: &[u64], masked: &[u64], v: &[u64]) -> Vec<u64> {
    let mut output = apply_each(weights, masked);
    add_share_and_bias(&mut output, v, bias);
    output
}

/// The layer, without bias, of one or several inputs.
fn apply_each(weights: &PackedWeights, inputs: &[u64]) -> Vec<u64> {
    let shape = weights.shape();
    let mut outputs = vec![0; inputs.len() / shape.inputs() * shape.outputs()];
    for (input, output) in inputs.chunks_exact(shape.inputs()).zip(outputs.chunks_exact_mut(shape.outputs())) {
        weights.apply(input, output);
    }
    outputs
}

/// Server, online: the same for some rows (pixels of a convolution, outputs of a dense layer), `v` and, of a dense layer, `bias` being
/// those of the rows. `product` is the layer's, and the calls go through the rows in order.
pub fn server_apply_rows(
    product: &mut Product<'_>,
    bias: &[u64],
    masked: &[u64],
    rows: Range<usize>,
    v: &[u64],
) -> Vec<u64> {
    let mut output = product.rows(masked, rows).to_vec();
    add_share_and_bias(&mut output, v, bias);
    output
}

fn add_share_and_bias(output: &mut [u64], v: &[u64], bias: &[u64]) {
    for (pixel, v) in output.chunks_exact_mut(bias.len()).zip(v.chunks_exact(bias.len())) {
        for ((y, v), b) in pixel.iter_mut().zip(v).zip(bias) {
            *y = y.wrapping_add(*v).wrapping_add(*b);
        }
    }
}

/// `a += b` in the ring.
pub fn add_into(a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = a.wrapping_add(*b);
    }
}
