//! The online phase of `millionaire`.

use super::leaves::{ReceiverLeaves, SenderLeaves};
use super::products::sign;
use super::{Layer, bit, pack};
use crate::protocol::activation::Material;
use crate::protocol::boolean::{Triples, xor_into};
use crate::protocol::{ProtocolError, Session};

pub(super) struct ServerMaterial {
    pub layer: Layer,
    pub leaves: SenderLeaves,
    pub triples: Triples,
    /// What masks the sign bit of the server's share, and the server's share of `mu m_c 2^(w-t)`, if that is needed.
    pub mu: Vec<u64>,
    pub mu_sign: Vec<u64>,
    /// The server's half of the random bit, and what masks its half of the value.
    pub beta: Vec<u64>,
    pub rho: Vec<u64>,
    /// Shares of `beta rho`, `beta`, and `beta` times the client's half, for each `epsilon`.
    pub beta_rho: Vec<u64>,
    pub beta_shares: Vec<u64>,
    pub beta_client: Vec<Vec<u64>>,
}

impl ServerMaterial {
    /// For a layer without activations.
    pub fn empty(layer: Layer, leaves: SenderLeaves) -> ServerMaterial {
        let [mu, mu_sign, beta, rho, beta_rho, beta_shares] = [const { Vec::new() }; 6];
        let (triples, beta_client) = (Triples::from_parts(Vec::new(), Vec::new(), Vec::new()), Vec::new());
        ServerMaterial { layer, leaves, triples, mu, mu_sign, beta, rho, beta_rho, beta_shares, beta_client }
    }
}

impl Material for ServerMaterial {
    fn online(mut self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let layer = self.layer;
        if layer.n == 0 {
            return Ok(share);
        }
        let signs = pack(share.iter().map(|share| layer.sign(*share)));
        let mut epsilon = signs.clone();
        xor_into(&mut epsilon, &self.mu);
        let half = |(i, share): (usize, &u64)| match layer.lifts() {
            true => layer.truncated(*share).wrapping_add(sign(bit(&epsilon, i)).wrapping_mul(self.mu_sign[i])),
            false => layer.truncated(*share),
        };
        let halves: Vec<u64> = share.iter().enumerate().map(half).collect();
        let delta: Vec<u64> = halves.iter().zip(&self.rho).map(|(half, rho)| half.wrapping_sub(*rho)).collect();
        let mut message = bytemuck::cast_slice(&self.leaves.messages(layer, &share)).to_vec();
        message.extend_from_slice(bytemuck::cast_slice(&delta));
        if layer.lifts() {
            message.extend_from_slice(bytemuck::cast_slice(&epsilon));
        }
        session.send(message)?;
        let SenderLeaves { less, equal, .. } = self.leaves;
        let mut b = layer.tree().less(session, less, equal, &mut self.triples)?;
        xor_into(&mut b, &signs);
        let e = open(session, b.iter().map(|b| !b).collect(), &self.beta)?;
        let output = |i: usize| {
            let set = if layer.lifts() { bit(&epsilon, i) as usize } else { 0 };
            let products = self.beta_shares[i]
                .wrapping_mul(delta[i])
                .wrapping_add(self.beta_rho[i])
                .wrapping_add(self.beta_client[set][i]);
            let e = bit(&e, i);
            e.wrapping_mul(halves[i]).wrapping_add(sign(e).wrapping_mul(products))
        };
        Ok((0..layer.n).map(output).collect())
    }
}

pub(super) struct ClientMaterial {
    pub layer: Layer,
    pub leaves: ReceiverLeaves,
    pub triples: Triples,
    /// The sign bits of the client's share.
    pub signs: Vec<u64>,
    /// The client's half of the random bit.
    pub beta: Vec<u64>,
    /// Shares of `beta rho`, `beta`, and `beta` times the client's half, for each `epsilon`.
    pub beta_rho: Vec<u64>,
    pub beta_shares: Vec<u64>,
    pub beta_client: Vec<Vec<u64>>,
    /// The client's half of the value, for each `epsilon`.
    pub halves: Vec<Vec<u64>>,
}

impl ClientMaterial {
    /// For a layer without activations.
    pub fn empty(layer: Layer, leaves: ReceiverLeaves) -> ClientMaterial {
        let [signs, beta, beta_rho, beta_shares] = [const { Vec::new() }; 4];
        let [beta_client, halves] = [const { Vec::new() }; 2];
        let triples = Triples::from_parts(Vec::new(), Vec::new(), Vec::new());
        ClientMaterial { layer, leaves, triples, signs, beta, beta_rho, beta_shares, beta_client, halves }
    }
}

impl Material for ClientMaterial {
    fn online(mut self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let layer = self.layer;
        if layer.n == 0 {
            return Ok(share);
        }
        let (digit_bytes, delta_bytes) = (4 * layer.n * layer.digits(), 8 * layer.n);
        let epsilon_bytes = if layer.lifts() { 8 * layer.words() } else { 0 };
        let message = session.recv(digit_bytes + delta_bytes + epsilon_bytes)?;
        let (digits, rest) = message.split_at(digit_bytes);
        let (delta, epsilon) = rest.split_at(delta_bytes);
        let digits: Vec<u32> = bytemuck::allocation::pod_collect_to_vec(digits);
        let delta: Vec<u64> = bytemuck::allocation::pod_collect_to_vec(delta);
        let epsilon: Vec<u64> = bytemuck::allocation::pod_collect_to_vec(epsilon);
        let [less, equal] = self.leaves.open(layer, &digits);
        let mut b = layer.tree().less(session, less, equal, &mut self.triples)?;
        xor_into(&mut b, &self.signs);
        let e = open(session, b, &self.beta)?;
        let output = |i: usize| {
            let set = if layer.lifts() { bit(&epsilon, i) as usize } else { 0 };
            let products = self.beta_shares[i]
                .wrapping_mul(delta[i])
                .wrapping_add(self.beta_rho[i])
                .wrapping_add(self.beta_client[set][i]);
            let e = bit(&e, i);
            e.wrapping_mul(self.halves[set][i]).wrapping_add(sign(e).wrapping_mul(products))
        };
        Ok((0..layer.n).map(output).collect())
    }
}

/// `bits ^ mask` of both parties.
fn open(session: &mut Session, mut bits: Vec<u64>, mask: &[u64]) -> Result<Vec<u64>, ProtocolError> {
    xor_into(&mut bits, mask);
    let theirs = session.exchange_words(&bits)?;
    xor_into(&mut bits, &theirs);
    Ok(bits)
}
