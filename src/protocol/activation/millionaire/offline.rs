//! The offline phase of `millionaire`: both parties' transfers, triples and products.

use super::leaves::{ReceiverLeaves, SenderLeaves, choices};
use super::online::{ClientMaterial, ServerMaterial};
use super::products::{chosen, correct, corrected, pairs, sign};
use super::{CHUNK, DIGIT_BITS, Layer, PadHashes, bit, pack};
use crate::protocol::activation::{ActivationSpec, Activator, Material};
use crate::protocol::boolean::Triples;
use crate::protocol::ot::random::{RandomOtReceiver, RandomOtSender};
use crate::protocol::ot::{CotReceiver, CotSender};
use crate::protocol::{ProtocolError, Session};

/// Words of transfers that are extended and hashed at a time.
const WORDS: usize = 1024;

pub(super) struct Server {
    /// Transfers with the client's choices.
    pub sender: Box<dyn CotSender>,
    /// Transfers with the server's choices.
    pub receiver: Box<dyn CotReceiver>,
    pub hashes: PadHashes,
}

pub(super) struct Client {
    pub receiver: Box<dyn CotReceiver>,
    pub sender: Box<dyn CotSender>,
    pub hashes: PadHashes,
}

impl Activator for Server {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let layer = Layer::new(spec);
        let (n, words) = (layer.n, layer.words());
        let mut rng = session.rng("millionaire");
        let mut leaves = SenderLeaves::new(layer, &mut rng);
        if n == 0 {
            return Ok(Box::new(ServerMaterial::empty(layer, leaves)));
        }
        self.sender.reserve(session, layer.transfers_to_client())?;
        self.receiver.reserve(session, 64 * words)?;
        for (_, size) in layer.chunks() {
            leaves.extend(&self.send_random(session, size * layer.digits(), DIGIT_BITS)?);
        }
        let triples = self.triples(session, layer.triples())?;
        let bits = self.send_random(session, 64 * words, 1)?;
        let (mu, beta) = (rng.words::<u64>(words), rng.words::<u64>(words));
        // rho is whatever makes the pads' difference (1 - 2 beta_s) rho.
        let differences = pairs(&bits, 0).into_iter().take(n);
        let (mut rho, mut beta_rho) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for (i, [p0, p1]) in differences.enumerate() {
            let value = sign(bit(&beta, i)).wrapping_mul(p1.wrapping_sub(p0));
            rho.push(value);
            beta_rho.push(bit(&beta, i).wrapping_mul(value).wrapping_sub(p0));
        }
        let products = pairs(&bits, 1).into_iter().take(n).enumerate().map(|(i, pads)| {
            let (share, correction) = correct(pads, sign(bit(&beta, i)));
            (bit(&beta, i).wrapping_add(share), correction)
        });
        let (beta_shares, mut corrections): (Vec<u64>, Vec<u64>) = products.unzip();
        let mut mu_sign = Vec::new();
        if layer.lifts() {
            let signs = self.send_random(session, 64 * words, 1)?;
            let products = pairs(&signs, 0).into_iter().take(n).enumerate();
            let products = products.map(|(i, pads)| correct(pads, bit(&mu, i).wrapping_mul(layer.lift())));
            let (shares, more): (Vec<u64>, Vec<u64>) = products.unzip();
            corrections.extend(more);
            mu_sign = shares;
        }
        session.send_words(&corrections)?;
        let t = self.receiver.extend(session, &beta)?;
        let ots = RandomOtReceiver::new(&mut self.hashes[1], &beta, &t, 1);
        let sets = if layer.lifts() { 2 } else { 1 };
        let corrections = session.recv_words(sets * n)?;
        let beta_client = (0..sets).map(|set| {
            let pads = chosen(&ots, set).into_iter().zip(&corrections[set * n..]).take(n).enumerate();
            pads.map(|(i, (pad, correction))| corrected(bit(&beta, i), pad, *correction)).collect()
        });
        let beta_client = beta_client.collect();
        Ok(Box::new(ServerMaterial {
            layer,
            leaves,
            triples,
            mu,
            mu_sign,
            beta,
            rho,
            beta_rho,
            beta_shares,
            beta_client,
        }))
    }
}

impl Server {
    fn send_random(&mut self, session: &mut Session, n: usize, bits: usize) -> Result<RandomOtSender, ProtocolError> {
        RandomOtSender::prepare(session, self.sender.as_mut(), &mut self.hashes[0], n, bits)
    }

    /// Triples `(a_s + a_c) (b_s + b_c)`: the cross terms are an OT each, whose pads' difference is the server's factor.
    fn triples(&mut self, session: &mut Session, words: usize) -> Result<Triples, ProtocolError> {
        let [mut a, mut b, mut c] = [const { Vec::new() }; 3];
        for first in (0..words).step_by(WORDS) {
            let n = 64 * WORDS.min(words - first);
            let with_a = pairs(&self.send_random(session, n, 1)?, 0);
            let with_b = pairs(&self.send_random(session, n, 1)?, 0);
            let difference = |pads: &[[u64; 2]]| pack(pads.iter().map(|[p0, p1]| (p0 ^ p1) & 1));
            let zeros = |pads: &[[u64; 2]]| pack(pads.iter().map(|[p0, _]| p0 & 1));
            let (own_a, own_b) = (difference(&with_b), difference(&with_a));
            let own_c = own_a.iter().zip(&own_b).zip(zeros(&with_a).into_iter().zip(zeros(&with_b)));
            c.extend(own_c.map(|((a, b), (x, y))| a & b ^ x ^ y));
            a.extend(own_a);
            b.extend(own_b);
        }
        Ok(Triples::from_parts(a, b, c))
    }
}

impl Activator for Client {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let layer = Layer::new(spec);
        let (n, words) = (layer.n, layer.words());
        let mut leaves = ReceiverLeaves::default();
        if n == 0 {
            return Ok(Box::new(ClientMaterial::empty(layer, leaves)));
        }
        let mut rng = session.rng("millionaire");
        self.receiver.reserve(session, layer.transfers_to_client())?;
        self.sender.reserve(session, 64 * words)?;
        for shares in client_share.chunks(CHUNK) {
            // a = 2^(w-1) - 1 - y_c': all compared bits flipped.
            let numbers: Vec<u64> = shares.iter().map(|share| !share).collect();
            let ots = self.receive(session, &choices(layer, &numbers), shares.len() * layer.digits(), DIGIT_BITS)?;
            leaves.extend(&ots);
        }
        let triples = self.triples(session, rng.words(layer.triples()), rng.words(layer.triples()))?;
        let beta = rng.words::<u64>(words);
        let bits = self.receive(session, &beta, 64 * words, 1)?;
        let signs = pack(client_share.iter().map(|share| layer.sign(*share)));
        let sign_ots = match layer.lifts() {
            true => Some(self.receive(session, &signs, 64 * words, 1)?),
            false => None,
        };
        let corrections = session.recv_words(if layer.lifts() { 2 * n } else { n })?;
        let beta_rho = chosen(&bits, 0);
        let pads = chosen(&bits, 1).into_iter().zip(&corrections).take(n).enumerate();
        let beta_shares = pads.map(|(i, (pad, correction))| corrected(bit(&beta, i), pad, *correction)).collect();
        // The client's half of the truncated value, for epsilon = 0 and for epsilon = 1.
        let mut halves = vec![client_share.iter().map(|share| layer.truncated(*share)).collect::<Vec<u64>>()];
        if let Some(ots) = sign_ots {
            let own = halves.swap_remove(0);
            let pads = chosen(&ots, 0).into_iter().zip(&corrections[n..]).enumerate();
            let mu_sign: Vec<u64> =
                pads.map(|(i, (pad, correction))| corrected(bit(&signs, i), pad, *correction)).collect();
            let lifted = |i: usize| bit(&signs, i).wrapping_mul(layer.lift());
            halves.push((0..n).map(|i| own[i].wrapping_add(mu_sign[i])).collect());
            halves.push((0..n).map(|i| own[i].wrapping_add(lifted(i)).wrapping_sub(mu_sign[i])).collect());
        }
        let q = self.sender.extend(session, 64 * words)?;
        let ots = RandomOtSender::new(&mut self.hashes[1], self.sender.delta(), &q, 1);
        let (mut corrections, mut beta_client) = (Vec::new(), Vec::new());
        for (set, half) in halves.iter().enumerate() {
            let products = pairs(&ots, set).into_iter().zip(half).enumerate().map(|(i, (pads, half))| {
                let (share, correction) = correct(pads, sign(bit(&beta, i)).wrapping_mul(*half));
                (bit(&beta, i).wrapping_mul(*half).wrapping_add(share), correction)
            });
            let (shares, more): (Vec<u64>, Vec<u64>) = products.unzip();
            corrections.extend(more);
            beta_client.push(shares);
        }
        session.send_words(&corrections)?;
        Ok(Box::new(ClientMaterial { layer, leaves, triples, signs, beta, beta_rho, beta_shares, halves, beta_client }))
    }
}

impl Client {
    fn receive(
        &mut self,
        session: &mut Session,
        choices: &[u64],
        n: usize,
        bits: usize,
    ) -> Result<RandomOtReceiver, ProtocolError> {
        let t = self.receiver.extend(session, choices)?;
        Ok(RandomOtReceiver::new(&mut self.hashes[0], choices, &t[..n * bits], bits))
    }

    fn triples(&mut self, session: &mut Session, a: Vec<u64>, b: Vec<u64>) -> Result<Triples, ProtocolError> {
        let mut c = Vec::with_capacity(a.len());
        for (a, b) in a.chunks(WORDS).zip(b.chunks(WORDS)) {
            let with_a = self.receive(session, a, 64 * a.len(), 1)?;
            let with_b = self.receive(session, b, 64 * b.len(), 1)?;
            let bits = |ots: &RandomOtReceiver| pack(ots.pads().map(|(_, pad)| pad.0 as u64 & 1));
            let products = a.iter().zip(b).zip(bits(&with_a).into_iter().zip(bits(&with_b)));
            c.extend(products.map(|((a, b), (x, y))| a & b ^ x ^ y));
        }
        Ok(Triples::from_parts(a, b, c))
    }
}
