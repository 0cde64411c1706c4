//! `gmw-msb`: the strongest multi-round ReLU we know how to build with a dealer. It costs one round trip per layer.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(w-2)`, only the low `w = width` bits count) to shares
//! mod 2^64 of `max(y, 0)` (scale `output_bits`), truncated by `t` to the floor or one above.
//!
//! Source: longhaul's own. After Patra, Schneider, Suresh, Yalame, *ABY2.0*, USENIX Security 2021: every wire has a
//! public masked value, and an AND of any fan-in costs one opening, for dealt products of masks. New here:
//!
//! 1. The parties open `Y = y + 2^(w-2) + r` first, so that the comparison is one of a *public* value with the dealt
//!    `r`. The first level of its tree is local (`boolean::comparison`), and `w - t - 1` bits decide
//!    (`boolean::masked_relu`); the server, which knows `Y` before it says anything, sends its shares along.
//! 2. The second level takes all digits at once: the position of the first difference is found by testing sums of
//!    "unequal" bits for zero, `1 + 2 + .. + K` table entries for `K` digits instead of `2^K` products.
//! 3. The dealt tables of the zero tests hold the multiplexer's operand (`boolean::zero_test`). So the sign is
//!    never shared as a bit, and bit conversion and multiplication cost no message.
//!
//! ```text
//! offline  dealer -> both    keys; to the client also: unit vectors, tau, tau R, R, tables of the zero tests
//!          client -> server  y_c + r_c
//! online   server -> client  y_s + r_s + 2^(w-2), its shares of the masked codes
//!          client -> server  its shares of the masked codes
//! ```
//!
//! The client has its result after the first message, so the next linear layer's message leaves with its codes: in a
//! network a layer has two rounds, as with the one-round protocols.
//!
//! Security: semi-honest, non-colluding dealer, perfect but for the dealer's streams. The halves of `Y` are masked by
//! `r_c` and `r_s`, each unknown to the other party and uniform mod `2^w`. Every code is opened once, under its own
//! dealt mask, uniform mod the code's `2^s`; the party's share of that mask hides its share of the code, too. All else
//! is local; dealt tables are uniform at each party, as the other's share is.
//!
//! Cost for n activations, `K` digits of `k_i` bits from the top, `s_i = ceil(log2(i + 1))` bits per code, `s` their
//! sum: online 2 rounds, `ceil(n (w + s) / 8)` bytes down, `ceil(n s / 8)` up; offline `ceil(n w / 8)` up; dealer 16
//! bytes to the server, `16 + n D` to the client with `D = sum s_K max(2^k_i, 8) / 8 + 24 + (16 + c) sum (2^s_i - 1)`,
//! `c = ceil((64 - w + t) / 8)`. `K` minimizes `D`:
//!
//! | w, t | bits | K | s | online bytes | D |
//! |---|---|---|---|---|---|
//! | 64, 16 | 47 | 7 | 17 | 12.25 | 942 |
//! | 64, 0 | 63 | 9 | 25 | 14.25 | 1640 |
//! | 40, 16 | 23 | 3 | 5 | 6.25 | 331 |
//! | 32, 12 | 19 | 3 | 5 | 5.25 | 242 |
//!
//! Alternatives for w = 64, t = 16, chosen by time, then by the dealer's bytes. Rounds include the next linear layer's
//! message, bytes do not; seconds are for 65,536 activations at 100 ms round trip and 100 Mbit/s.
//!
//! | second level | rounds | bytes | dealer | s |
//! |---|---|---|---|---|
//! | zero tests with payload, K = 7 (this one) | 2 | 12.25 | 942 | 0.16 |
//! | the same, K = 6 / 5 / 4 | 2 | 11.5 / 10.75 / 10 | 1,056 / 1,746 / 5,652 | 0.16 / 0.16 / 0.15 |
//! | AND of fan-in 8 on XOR shares of 6-bit digits, then the sign opened | 4 | 12 | 150 | 0.26 |
//! | two levels of fan-in 4 on 4-bit digits, then the sign opened | 4 | 15.25 | 80 | 0.28 |
//! | ABY2.0 as published: 5 rounds, 422 bit | 6 | 53 | O(kappa) | 0.58 |
//! | `gmw`: 9 rounds | 10 | 464 | 144 | 2.9 |
//! | CrypTFlow2 (no dealer): 8 rounds, 9,344 bit | 9 | 1,168 | 0 | 6.6 |
//!
//! Rabbit (Makri, Rotaru, Vercauteren, Wagh, FC 2021) also compares an opened value with dealt bits, by a tree of
//! Beaver ANDs: logarithmic rounds. Comparison by function secret sharing has these rounds and 16 bytes, for keys of
//! about 1 KB to each party and an AES call per bit; here tables go to one party and are only looked up.

use super::{
    ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings, relu_only,
};
use crate::link::Party;
use crate::protocol::boolean::{BitReader, BitWriter, MaskedRelu};
use crate::protocol::linear::add_into;
use crate::protocol::{Cost, Dealer, Kept, PhaseCost, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "gmw-msb",
    family: Family::Relu,
    summary: "ReLU by a comparison with unbounded fan-in and dealt tables: one round trip a layer",
    source: "longhaul; after ABY2.0 (USENIX Security 2021)",
    dealer: true,
    exact: true,
    tolerance_ulp: 1.0,
    settings: &[Setting::Width],
    protocol: &GmwMsb,
};

/// Activations per message, and per piece of material that is kept; a multiple of 8, so that whole bytes are sent.
const CHUNK: usize = 1024;

struct GmwMsb;

impl ActivationProtocol for GmwMsb {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(spec)?;
        let (shift, range) = (spec.shift(), spec.range_bits());
        if shift > range {
            return Err(format!(
                "`gmw-msb` truncates by {shift} bits values below 2^{range} (width - 2), which leaves none; \
                 set width to {} or more",
                shift + 2
            ));
        }
        Ok(())
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let (n, relu) = (spec.elements as u64, masked_relu(spec));
        let codes = u64::from(relu.opened_bits());
        let width = u64::from(relu.width());
        Cost {
            offline: PhaseCost { rounds: 2, up: (width * n).div_ceil(8), down: 0 },
            online: PhaseCost { rounds: 2, up: (codes * n).div_ceil(8), down: ((width + codes) * n).div_ceil(8) },
            dealer_server: 16,
            dealer_client: 16 + relu.dealt_bytes() as u64 * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(GmwMsb))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let relu = masked_relu(spec);
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        dealer.send::<u8>(Party::Server, Some(server_key), &[])?;
        dealer.send::<u8>(Party::Client, Some(client_key), &[])?;
        let mut r = server.words::<u64>(spec.elements);
        add_into(&mut r, &client.words(spec.elements));
        for r in r.chunks(CHUNK) {
            let mut masks = server.words::<u8>(relu.codes() * r.len());
            let theirs = client.words::<u8>(relu.codes() * r.len());
            masks.iter_mut().zip(theirs).for_each(|(mask, theirs)| *mask = mask.wrapping_add(theirs));
            let mut message = server.words::<u8>(relu.dealt_bytes() * r.len());
            relu.deal(r, &masks, &mut message);
            dealer.send(Party::Client, None, &message)?;
        }
        Ok(())
    }
}

fn masked_relu(spec: &ActivationSpec) -> MaskedRelu {
    MaskedRelu::new(spec.settings.width(), spec.shift())
}

struct GmwMsbMaterial {
    relu: MaskedRelu,
    /// The party's share of what masks `y`.
    r: Vec<u64>,
    /// The peer's half of the opening: the client's at the server, nothing at the client.
    received: Vec<u8>,
    chunks: Vec<Chunk>,
}

struct Chunk {
    /// Shares of the masks of the codes, digit by digit.
    masks: Vec<u8>,
    vectors: Kept,
    /// What [`MaskedRelu::select`] reads.
    tables: Kept,
}

impl Activator for GmwMsb {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (n, relu) = (spec.elements, masked_relu(spec));
        let mut own = session.recv_dealt(16)?.prg();
        let r = own.words::<u64>(n);
        let mut chunks = Vec::new();
        for n in r.chunks(CHUNK).map(<[u64]>::len) {
            let masks = own.words(relu.codes() * n);
            let (vector_bytes, table_bytes) = (relu.vector_bytes() * n, relu.table_bytes() * n);
            let (vectors, tables) = if session.is_server() {
                (own.words(vector_bytes), own.words(table_bytes))
            } else {
                let mut dealt = session.recv_dealt(vector_bytes + table_bytes)?;
                (dealt.words(vector_bytes), dealt.words(table_bytes))
            };
            let (vectors, tables) = (session.store().keep(vectors)?, session.store().keep(tables)?);
            chunks.push(Chunk { masks, vectors, tables });
        }
        let half_bytes = (relu.width() as usize * n).div_ceil(8);
        let mut received = Vec::new();
        if n > 0 && session.is_server() {
            received = session.recv(half_bytes)?;
        } else if n > 0 {
            let mut writer = BitWriter::new(relu.width() as usize * n);
            writer.extend(client_share.iter().zip(&r).map(|(y, r)| y.wrapping_add(*r)), relu.width());
            session.send(writer.finish())?;
        }
        Ok(Box::new(GmwMsbMaterial { relu, r, received, chunks }))
    }
}

impl Material for GmwMsbMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        if session.is_server() {
            self.serve(session, &mut share)?
        } else {
            self.answer(session, &mut share)?
        }
        Ok(share)
    }
}

impl GmwMsbMaterial {
    /// The server knows every `Y` at once, so its half of `Y` and its codes go together.
    fn serve(self, session: &mut Session, share: &mut [u64]) -> Result<(), ProtocolError> {
        let relu = &self.relu;
        let mut client_half = BitReader::new(&self.received);
        let mut waiting = Vec::with_capacity(self.chunks.len());
        for ((y, r), chunk) in share.chunks(CHUNK).zip(self.r.chunks(CHUNK)).zip(self.chunks) {
            let n = y.len();
            let half = y.iter().zip(r).map(|(y, r)| y.wrapping_add(*r).wrapping_add(relu.offset()));
            let half: Vec<u64> = half.collect();
            let public = relu.public(half.iter().map(|half| half.wrapping_add(client_half.next(relu.width()))));
            let mut codes = chunk.masks;
            relu.add_codes(true, &public, &chunk.vectors.take()?, &mut codes);
            let mut writer = BitWriter::new((relu.width() + relu.opened_bits()) as usize * n);
            writer.extend(half, relu.width());
            relu.pack_codes(&codes, n, &mut writer);
            session.send(writer.finish())?;
            waiting.push((public, codes, chunk.tables));
        }
        for (output, (public, mut codes, tables)) in share.chunks_mut(CHUNK).zip(waiting) {
            let n = output.len();
            let message = session.recv((relu.opened_bits() as usize * n).div_ceil(8))?;
            relu.open_codes(&mut codes, n, &mut BitReader::new(&message));
            relu.select(true, &public, &codes, &tables.take()?, output);
        }
        Ok(())
    }

    /// The client answers with its codes and is done: nothing comes back.
    fn answer(self, session: &mut Session, share: &mut [u64]) -> Result<(), ProtocolError> {
        let relu = &self.relu;
        for ((output, r), chunk) in share.chunks_mut(CHUNK).zip(self.r.chunks(CHUNK)).zip(self.chunks) {
            let n = output.len();
            let bits = (relu.width() + relu.opened_bits()) as usize * n;
            let message = session.recv(bits.div_ceil(8))?;
            let mut reader = BitReader::new(&message);
            let half = output.iter().zip(r).map(|(y, r)| y.wrapping_add(*r));
            let public = relu.public(half.map(|half| half.wrapping_add(reader.next(relu.width()))));
            let mut codes = chunk.masks;
            relu.add_codes(false, &public, &chunk.vectors.take()?, &mut codes);
            let mut writer = BitWriter::new(relu.opened_bits() as usize * n);
            relu.pack_codes(&codes, n, &mut writer);
            session.send(writer.finish())?;
            relu.open_codes(&mut codes, n, &mut reader);
            relu.select(false, &public, &codes, &chunk.tables.take()?, output);
        }
        Ok(())
    }
}
