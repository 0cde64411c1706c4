//! `gmw-msb`.
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
const CHUNK: usize = 4096;

struct GmwMsb;

impl ActivationProtocol for GmwMsb {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(&ENTRY, spec)?;
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
            let dealt = relu.dealt_bytes() * n;
            let mut vectors =
                if session.is_server() { own.words(dealt) } else { session.recv_dealt(dealt)?.words(dealt) };
            let tables = vectors.split_off(relu.vector_bytes() * n);
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
