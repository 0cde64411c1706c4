//! `gmw-msb`.
use super::{
    ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings, relu_only,
};
use crate::link::Party;
use crate::protocol::boolean::{BitReader, BitWriter, Comparison, Payload, ZeroTest};
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
        let (n, layer) = (spec.elements as u64, Layer::new(spec));
        let codes = u64::from(layer.comparison.opened_bits());
        let width = u64::from(layer.width);
        Cost {
            offline: PhaseCost { rounds: 2, up: (width * n).div_ceil(8), down: 0 },
            online: PhaseCost { rounds: 2, up: (codes * n).div_ceil(8), down: ((width + codes) * n).div_ceil(8) },
            dealer_server: 16,
            dealer_client: 16 + layer.dealt_bytes() as u64 * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(GmwMsb))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let layer = Layer::new(spec);
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        dealer.send::<u8>(Party::Server, Some(server_key), &[])?;
        dealer.send::<u8>(Party::Client, Some(client_key), &[])?;
        let mut r = server.words::<u64>(spec.elements);
        add_into(&mut r, &client.words(spec.elements));
        for r in r.chunks(CHUNK) {
            let n = r.len();
            let secrets: Vec<u64> = r.iter().map(|r| (r & low_bits(layer.width)) >> layer.shift).collect();
            let mut masks = server.words::<u8>(layer.codes() * n);
            let theirs = client.words::<u8>(layer.codes() * n);
            masks.iter_mut().zip(theirs).for_each(|(mask, theirs)| *mask = mask.wrapping_add(theirs));
            let mut message = server.words::<u8>(layer.dealt_bytes() * n);
            let (vectors, rest) = message.split_at_mut(layer.comparison.table_bytes() * n);
            let (bases, tables) = rest.split_at_mut(size_of::<Base>() * n);
            layer.comparison.deal(&secrets, vectors);
            for (share, &secret) in bases.as_chunks_mut().0.iter_mut().zip(&secrets) {
                *share = (layer.base(secret) - Base::from_bytes(share)).to_bytes();
            }
            let payloads: Vec<Payload> = secrets.iter().map(|&secret| layer.base(secret).payload(1)).collect();
            layer.zero_test().deal(&masks, &payloads, tables);
            dealer.send(Party::Client, None, &message)?;
        }
        Ok(())
    }
}

fn low_bits(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// What all activations of a layer have in common.
struct Layer {
    width: u32,
    shift: u32,
    /// Of the `width - shift - 1` bits below the top one.
    comparison: Comparison,
}

impl Layer {
    fn new(spec: &ActivationSpec) -> Layer {
        let (width, shift) = (spec.settings.width(), spec.shift());
        let bits = width - shift;
        let comparison = Comparison::cheapest(bits - 1, ZeroTest::entry_bytes(short_bytes(bits)));
        Layer { width, shift, comparison }
    }

    /// `m`, the bits that the shift leaves.
    fn bits(&self) -> u32 {
        self.width - self.shift
    }

    /// `2^(width - 2)`: makes the bounded `y` non-negative before masking.
    fn offset(&self) -> u64 {
        1 << (self.width - 2)
    }

    fn zero_test(&self) -> ZeroTest<'_> {
        ZeroTest { comparison: &self.comparison, short_bytes: short_bytes(self.bits()) }
    }

    fn codes(&self) -> usize {
        self.comparison.digits().len()
    }

    fn dealt_bytes(&self) -> usize {
        self.comparison.table_bytes() + size_of::<Base>() + self.zero_test().table_bytes()
    }

    /// Bytes of `n` activations' codes.
    fn code_bytes(&self, n: usize) -> usize {
        (self.comparison.opened_bits() as usize * n).div_ceil(8)
    }

    fn base(&self, secret: u64) -> Base {
        let top = secret >> (self.bits() - 1);
        Base { top, top_secret: top * secret, secret }
    }

    /// `U`, from the opened `Y`.
    fn public(&self, opened: &[u64]) -> Vec<u64> {
        let quarter = self.offset() >> self.shift;
        opened.iter().map(|y| (y >> self.shift).wrapping_sub(quarter) & low_bits(self.bits())).collect()
    }

    /// Appends the codes, which come digit by digit, a byte each.
    fn pack_codes(&self, codes: &[u8], n: usize, writer: &mut BitWriter) {
        for (digit, codes) in self.comparison.digits().iter().zip(codes.chunks_exact(n)) {
            writer.extend(codes.iter().map(|&code| code.into()), digit.code_bits);
        }
    }

    /// Adds the peer's codes: what is left are the opened ones.
    fn open_codes(&self, codes: &mut [u8], n: usize, reader: &mut BitReader) {
        for (digit, codes) in self.comparison.digits().iter().zip(codes.chunks_exact_mut(n)) {
            for code in codes {
                *code = code.wrapping_add(reader.next(digit.code_bits) as u8);
            }
        }
    }

    /// Step 5: the party's shares of the results. `bases_and_tables` is the material's second part.
    fn select(&self, server: bool, public: &[u64], opened: &[u8], bases_and_tables: &[u8], output: &mut [u64]) {
        let one = u64::from(server);
        let (bases, tables) = bases_and_tables.split_at(size_of::<Base>() * public.len());
        let bases: Vec<Base> = bases.as_chunks().0.iter().map(Base::from_bytes).collect();
        let payloads: Vec<Payload> = bases.iter().map(|base| base.payload(one)).collect();
        let mut sums = vec![[0; 3]; public.len()];
        self.zero_test().add(opened, &payloads, tables, &mut sums);
        for (((output, &u), base), [sign, product, wrap]) in output.iter_mut().zip(public).zip(&bases).zip(sums) {
            let (bit, product) = (base.top.wrapping_add(sign), base.top_secret.wrapping_add(product));
            *output = if u >> (self.bits() - 1) == 1 {
                bit.wrapping_mul(u).wrapping_sub(product)
            } else {
                let wrapped = wrap.checked_shl(self.bits()).unwrap_or(0);
                let linear = one.wrapping_sub(bit).wrapping_mul(u).wrapping_sub(base.secret);
                linear.wrapping_add(product).wrapping_add(wrapped)
            };
        }
    }
}

/// Bytes that hold the bits of the ring above the `bits` compared ones.
fn short_bytes(bits: u32) -> usize {
    (64 - bits).div_ceil(8) as usize
}

/// The secret `R`, its top bit `tau`, and their product, in the clear or as shares.
struct Base {
    top: u64,
    top_secret: u64,
    secret: u64,
}

impl Base {
    fn from_bytes(bytes: &[u8; size_of::<Base>()]) -> Base {
        let [top, top_secret, secret] = bytemuck::pod_read_unaligned(bytes);
        Base { top, top_secret, secret }
    }

    fn to_bytes(&self) -> [u8; size_of::<Base>()] {
        bytemuck::cast([self.top, self.top_secret, self.secret])
    }

    /// `(sigma, sigma R, tau)` with `sigma = 1 - 2 tau`; `one` is a share of 1.
    fn payload(&self, one: u64) -> Payload {
        let less_twice = |a: u64, b: u64| a.wrapping_sub(b.wrapping_mul(2));
        [less_twice(one, self.top), less_twice(self.secret, self.top_secret), self.top]
    }
}

impl std::ops::Sub for Base {
    type Output = Base;
    fn sub(self, other: Base) -> Base {
        Base {
            top: self.top.wrapping_sub(other.top),
            top_secret: self.top_secret.wrapping_sub(other.top_secret),
            secret: self.secret.wrapping_sub(other.secret),
        }
    }
}

struct GmwMsbMaterial {
    layer: Layer,
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
    /// [`Base`]s, then the tables of the zero tests.
    bases_and_tables: Kept,
}

impl Activator for GmwMsb {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (n, layer) = (spec.elements, Layer::new(spec));
        let mut own = session.recv_dealt(16)?.prg();
        let r = own.words::<u64>(n);
        let mut chunks = Vec::new();
        for n in r.chunks(CHUNK).map(<[u64]>::len) {
            let masks = own.words(layer.codes() * n);
            let dealt = layer.dealt_bytes() * n;
            let mut vectors = if session.is_server() { own.words(dealt) } else { session.recv_dealt(dealt)?.words(dealt) };
            let bases_and_tables = vectors.split_off(layer.comparison.table_bytes() * n);
            let (vectors, bases_and_tables) = (session.store().keep(vectors)?, session.store().keep(bases_and_tables)?);
            chunks.push(Chunk { masks, vectors, bases_and_tables });
        }
        let half_bytes = (layer.width as usize * n).div_ceil(8);
        let mut received = Vec::new();
        if n > 0 && session.is_server() {
            received = session.recv(half_bytes)?;
        } else if n > 0 {
            let mut writer = BitWriter::new(layer.width as usize * n);
            writer.extend(client_share.iter().zip(&r).map(|(y, r)| y.wrapping_add(*r)), layer.width);
            session.send(writer.finish())?;
        }
        Ok(Box::new(GmwMsbMaterial { layer, r, received, chunks }))
    }
}

impl Material for GmwMsbMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        if session.is_server() { self.serve(session, &mut share)? } else { self.answer(session, &mut share)? }
        Ok(share)
    }
}

impl GmwMsbMaterial {
    /// The server knows every `Y` at once, so its half of `Y` and its codes go together.
    fn serve(self, session: &mut Session, share: &mut [u64]) -> Result<(), ProtocolError> {
        let layer = &self.layer;
        let mut client_half = BitReader::new(&self.received);
        let mut waiting = Vec::with_capacity(self.chunks.len());
        for ((y, r), chunk) in share.chunks(CHUNK).zip(self.r.chunks(CHUNK)).zip(self.chunks) {
            let n = y.len();
            let half = y.iter().zip(r).map(|(y, r)| y.wrapping_add(*r).wrapping_add(layer.offset()));
            let half: Vec<u64> = half.map(|half| half & low_bits(layer.width)).collect();
            let opened: Vec<u64> = half
                .iter()
                .map(|half| half.wrapping_add(client_half.next(layer.width)) & low_bits(layer.width))
                .collect();
            let public = layer.public(&opened);
            let mut codes = chunk.masks;
            layer.comparison.add_codes(true, &public, &chunk.vectors.take()?, &mut codes);
            let mut writer = BitWriter::new((layer.width + layer.comparison.opened_bits()) as usize * n);
            writer.extend(half, layer.width);
            layer.pack_codes(&codes, n, &mut writer);
            session.send(writer.finish())?;
            waiting.push((public, codes, chunk.bases_and_tables));
        }
        for (output, (public, mut codes, bases_and_tables)) in share.chunks_mut(CHUNK).zip(waiting) {
            let n = output.len();
            let message = session.recv(layer.code_bytes(n))?;
            layer.open_codes(&mut codes, n, &mut BitReader::new(&message));
            layer.select(true, &public, &codes, &bases_and_tables.take()?, output);
        }
        Ok(())
    }

    /// The client answers with its codes and is done: nothing comes back.
    fn answer(self, session: &mut Session, share: &mut [u64]) -> Result<(), ProtocolError> {
        let layer = &self.layer;
        for ((output, r), chunk) in share.chunks_mut(CHUNK).zip(self.r.chunks(CHUNK)).zip(self.chunks) {
            let n = output.len();
            let bits = (layer.width + layer.comparison.opened_bits()) as usize * n;
            let message = session.recv(bits.div_ceil(8))?;
            let mut reader = BitReader::new(&message);
            let half = output.iter().zip(r).map(|(y, r)| y.wrapping_add(*r));
            let opened: Vec<u64> =
                half.map(|half| half.wrapping_add(reader.next(layer.width)) & low_bits(layer.width)).collect();
            let public = layer.public(&opened);
            let mut codes = chunk.masks;
            layer.comparison.add_codes(false, &public, &chunk.vectors.take()?, &mut codes);
            let mut writer = BitWriter::new(layer.comparison.opened_bits() as usize * n);
            layer.pack_codes(&codes, n, &mut writer);
            session.send(writer.finish())?;
            layer.open_codes(&mut codes, n, &mut reader);
            layer.select(false, &public, &codes, &chunk.bases_and_tables.take()?, output);
        }
        Ok(())
    }
}
