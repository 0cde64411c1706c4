//! A protocol of one's own: a polynomial of degree 2 from one opening, run by two real parties over an emulated link.
//!
//!     cargo run --release --example own_protocol
//!
//! To make it one that scenarios can name, put the part above `main` into `src/protocol/activation/<id>.rs` and its entry
//! into the list in `src/protocol/activation/mod.rs`. Nothing else: the command line, the cost predictions and every test
//! of agreement, cost, uniformity and transcripts go through that list.
//!
//! Functionality: shares of `y` (scale `input_bits`) to shares of `c0 + c1 x + c2 x^2` (scale `f = output_bits`).
//!
//! 1. Offline the dealer deals shares of a uniform `r` and of `r^2`. Both parties truncate their shares of `y` to shares
//!    of `z`, scale `f`. The client's share is known then, so it sends `z_c - r_c`.
//! 2. Online the server sends `z_s - r_s`. Both know `E = z - r`, which `r` hides.
//! 3. `z^2 = E^2 + 2 E r + r^2` is linear in what is shared, and so is the polynomial. It is truncated to scale `f`.
//!
//! Shares are truncated each by itself, which fails for about one in `2^18` activations at `|x| < 8`: good enough to show,
//! and the reason why `fused` does it otherwise.

use longhaul::crypto::{Prg, Seed};
use longhaul::link::{ClockMode, ComputeMode, LinkConfig, LinkParameters, Party, Phase, find_model, run_parties};
use longhaul::protocol::activation::{
    ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings,
};
use longhaul::protocol::{Cost, Dealer, Function, MaterialStore, PhaseCost, Polynomial, ProtocolError, Session};
use longhaul::ring;
use longhaul::units::{BitRate, Nanos};

static ENTRY: ProtocolEntry = ProtocolEntry {
    id: "square",
    family: Family::Polynomial,
    summary: "degree 2 in one round from a dealt mask and its square",
    source: "Beaver, CRYPTO 1991, with one factor",
    dealer: true,
    exact: false,
    // A unit lost of z counts up to 2.5 times, and one is lost of the result.
    tolerance_ulp: 4.0,
    settings: &[],
    protocol: &Square,
};

struct Square;

impl ActivationProtocol for Square {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        match &spec.function {
            Function::Polynomial(polynomial) if polynomial.coefficients.len() == 3 => Ok(()),
            _ => Err("the protocol computes polynomials of degree 2".into()),
        }
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let bytes = 8 * spec.elements as u64;
        Cost {
            offline: PhaseCost { rounds: 2, up: bytes, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: bytes },
            dealer_server: 16,
            dealer_client: 16 + bytes,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Square))
    }

    /// All shares but the client's of `r^2` are expanded from keys of 16 bytes.
    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let n = spec.elements;
        let (server_r, client_r): (Vec<u64>, Vec<u64>) = (server.words(n), client.words(n));
        let mut correction: Vec<u64> = server.words(n);
        for ((square, a), b) in correction.iter_mut().zip(&server_r).zip(&client_r) {
            let r = a.wrapping_add(*b);
            *square = r.wrapping_mul(r).wrapping_sub(*square);
        }
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &correction)?;
        Ok(())
    }
}

/// Correlated randomness of one layer: `online` takes it by value, so that it cannot be used twice.
struct SquareMaterial {
    spec: ActivationSpec,
    /// This party's shares of `r` and `r^2`.
    r: Vec<u64>,
    r_squared: Vec<u64>,
    /// `z_c - r_c`, at both parties.
    client_half: Vec<u64>,
}

impl Activator for Square {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let n = spec.elements;
        let (r, r_squared, client_half): (Vec<u64>, Vec<u64>, Vec<u64>);
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            (r, r_squared) = (own.words(n), own.words(n));
            client_half = session.recv_words(n)?;
        } else {
            let mut dealt = session.recv_dealt(16 + 8 * n)?;
            (r, r_squared) = (dealt.prg().words(n), dealt.words(n));
            client_half = half_of_the_opening(session, spec, client_share, &r);
            session.send_words(&client_half)?;
        }
        Ok(Box::new(SquareMaterial { spec: spec.clone(), r, r_squared, client_half }))
    }
}

/// This party's `z - r`.
fn half_of_the_opening(session: &Session, spec: &ActivationSpec, share: &[u64], r: &[u64]) -> Vec<u64> {
    let z = share.iter().map(|y| truncated(session, *y, spec.shift()));
    z.zip(r).map(|(z, r)| z.wrapping_sub(*r)).collect()
}

/// Local truncation (SecureML): the server rounds its share down, the client the negative of its own.
fn truncated(session: &Session, share: u64, bits: u32) -> u64 {
    let down = |word: u64| ((word as i64) >> bits) as u64;
    if session.is_server() { down(share) } else { down(share.wrapping_neg()).wrapping_neg() }
}

impl Material for SquareMaterial {
    fn online(self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let SquareMaterial { spec, r, r_squared, client_half } = *self;
        let server_half = match session.is_server() {
            true => {
                let half = half_of_the_opening(session, &spec, &share, &r);
                session.send_words(&half)?;
                half
            }
            false => session.recv_words(spec.elements)?,
        };
        let Function::Polynomial(Polynomial { coefficients, precision_bits }) = &spec.function else {
            unreachable!("`supports` lets nothing else pass");
        };
        let f = spec.output_bits;
        // c0 and c1 x at the scale of c2 x^2: 2 f + precision_bits.
        let [c0, c1, c2] = [0, 1, 2].map(|k| coefficients[k] as u64);
        let polynomial = |i: usize| {
            let opened = server_half[i].wrapping_add(client_half[i]);
            let public = session.if_server(opened.wrapping_mul(opened));
            let square = public.wrapping_add(opened.wrapping_mul(r[i]).wrapping_mul(2)).wrapping_add(r_squared[i]);
            let z = truncated(session, share[i], spec.shift());
            let sum = c2.wrapping_mul(square).wrapping_add(c1.wrapping_mul(z) << f);
            truncated(session, sum.wrapping_add(session.if_server(c0 << (2 * f))), f + precision_bits)
        };
        Ok((0..spec.elements).map(polynomial).collect())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 0.25 + 0.5 x + 0.125 x^2 for 4,096 values from -8 to 8, as they come out of a linear layer.
    let function = Polynomial { coefficients: vec![256, 512, 128], precision_bits: 10 };
    let spec = ActivationSpec {
        function: Function::Polynomial(function),
        elements: 4096,
        input_bits: 32,
        output_bits: 16,
        settings: Settings::default(),
    };
    ENTRY.protocol.supports(&spec)?;
    let x: Vec<f64> = (0..spec.elements).map(|i| i as f64 / 256.0 - 8.0).collect();
    let client_share: Vec<u64> = Prg::from_key([7; 16]).words(spec.elements);
    let encoded = |x: &f64| ring::encode(*x, spec.input_bits).expect("8 is in the ring's range");
    let server_share: Vec<u64> = x.iter().zip(&client_share).map(|(x, c)| encoded(x).wrapping_sub(*c)).collect();

    // 100 ms there and back, 100 Mbit/s each way. Only the link takes time here: a run repeats to the nanosecond.
    let direction = LinkParameters::new(Nanos(50_000_000), BitRate(100_000_000));
    let link = LinkConfig {
        model: find_model("ideal").expect("registered"),
        up: direction,
        down: direction,
        clock: ClockMode::Virtual,
        compute: ComputeMode::None,
        in_flight_bytes: 1 << 20,
        capture: false,
        cancel: Default::default(),
    };
    let seed = Seed::from_u64(1);
    let party = |endpoint: &mut _, share: Vec<u64>| -> Result<Vec<u64>, ProtocolError> {
        let mut session = Session::new(endpoint, seed, MaterialStore::new(1 << 30));
        let mut activator = ENTRY.protocol.setup(&mut session, &spec.settings)?;
        session.enter(Phase::Offline, 0)?;
        let known: &[u64] = if session.is_server() { &[] } else { &share };
        let material = activator.preprocess(&mut session, &spec, known)?;
        session.enter(Phase::Online, 0)?;
        material.online(&mut session, share)
    };
    let run = run_parties(
        &link,
        |endpoint| party(endpoint, server_share),
        |endpoint| party(endpoint, client_share),
        |endpoint| {
            let mut dealer = Dealer::new(endpoint, seed);
            dealer.enter(Phase::Offline, 0)?;
            ENTRY.protocol.deal(&mut dealer, &spec)
        },
    )?;

    // Against the function in floating point, which the input's and the result's roundings keep away from it.
    let wanted = x.iter().map(|x| 0.25 + 0.5 * x + 0.125 * x * x);
    let opened = run.server.iter().zip(&run.client).map(|(a, b)| ring::decode(a.wrapping_add(*b), spec.output_bits));
    let error = opened.zip(wanted).map(|(is, should)| (is - should).abs()).fold(0.0, f64::max);
    let units = error * f64::from(1 << spec.output_bits);
    println!("largest error: {units:.1} units of 2^-16, {} allowed", ENTRY.tolerance_ulp);
    assert!(units <= ENTRY.tolerance_ulp);

    // The declared cost must be what went over the wire, to the byte.
    let (declared, [server, client, dealer]) = (ENTRY.protocol.cost(&spec), &run.ledgers);
    println!("online: {} rounds, {} bytes down", declared.online.rounds, declared.online.down);
    assert_eq!(server.bytes(Phase::Online, Party::Client), declared.online.down);
    assert_eq!(client.bytes(Phase::Online, Party::Server), declared.online.up);
    assert_eq!(client.bytes(Phase::Offline, Party::Server), declared.offline.up);
    assert_eq!(dealer.bytes(Phase::Offline, Party::Server), declared.dealer_server);
    assert_eq!(dealer.bytes(Phase::Offline, Party::Client), declared.dealer_client);
    assert_eq!(server.depth(Phase::Online).max(client.depth(Phase::Online)), declared.online.rounds);
    Ok(())
}
