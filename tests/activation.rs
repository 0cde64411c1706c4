//! Every activation protocol of the registry: agreement with plaintext, cost equal to the meter,
//! uniformity of what each party receives, and failure on hostile messages.

mod harness;

use harness::*;
use longhaul::crypto::Seed;
use longhaul::link::{Endpoint, Party, Phase, run_parties};
use longhaul::protocol::activation::{ActivationSpec, PROTOCOLS, ProtocolEntry};
use longhaul::protocol::{Dealer, MaterialStore, ProtocolError, Session};

/// Edge values of an activation's input at scale `2 f`: zero, units in the last place, one, range ends.
fn inputs(n: usize, seed: Seed) -> Vec<u64> {
    let one = 1i64 << (2 * FRAC_BITS);
    let edges = [
        0,
        1,
        -1,
        (1 << FRAC_BITS) - 1,
        1 << FRAC_BITS,
        -(1 << FRAC_BITS),
        one,
        -one,
        5 * one,
        -5 * one,
        8 * one - 1,
        -8 * one,
    ];
    let random = seed.derive("inputs").prg().words::<i64>(n).into_iter().map(|w| w % (8 * one));
    edges.into_iter().chain(random).take(n).map(|y| y as u64).collect()
}

fn run(entry: &ProtocolEntry, n: usize, seed: u64) -> (Vec<u64>, LayerRun) {
    let seed = Seed::from_u64(seed);
    let y = inputs(n, seed);
    let client_share = seed.derive("client share").prg().words(n);
    let run = run_layer(entry, &spec(entry, n), &y, &client_share, seed, &wan())
        .unwrap_or_else(|e| panic!("{}: {e}", entry.id));
    (y, run)
}

/// Ideal functionality: the opened result is the function of the input, up to the stated tolerance.
fn assert_activation(entry: &ProtocolEntry, n: usize, seed: u64) {
    let function = function_for(entry);
    let (y, run) = run(entry, n, seed);
    let unit = (-(FRAC_BITS as f64)).exp2();
    for (i, (y, actual)) in y.iter().zip(opened(&run)).enumerate() {
        let x = longhaul::ring::decode(*y, 2 * FRAC_BITS);
        let error = (actual - function.eval(x)).abs() / unit;
        assert!(
            error <= entry.tolerance_ulp,
            "{} seed {seed}: element {i}: f({x}) = {}, got {actual}: {error} units off",
            entry.id,
            function.eval(x)
        );
    }
}

#[test]
fn results_agree_with_plaintext() {
    for entry in PROTOCOLS {
        for n in [0, 1, 7, 64, 65, 3000] {
            assert_activation(entry, n, n as u64);
        }
    }
}

#[test]
fn results_agree_at_the_ends_of_the_range() {
    // |y| < 2^62: 2^29.99 at scale 32. ReLU protocols must be exact there; polynomials overflow by nature.
    for entry in PROTOCOLS.iter().filter(|entry| function_for(entry) == longhaul::protocol::Function::Relu) {
        let y: Vec<u64> = [(1i64 << 62) - 1, -(1i64 << 62) + 1, 1 << 61, -(1 << 61)].map(|y| y as u64).to_vec();
        let run = run_layer(entry, &spec(entry, 4), &y, &[5, u64::MAX, 1 << 63, 0], Seed::from_u64(3), &wan()).unwrap();
        for (y, actual) in y.iter().zip(opened(&run)) {
            let expected = longhaul::ring::decode(*y, 2 * FRAC_BITS).max(0.0);
            assert!((actual - expected).abs() <= entry.tolerance_ulp / 65536.0, "{}: {expected} {actual}", entry.id);
        }
    }
}

#[test]
fn declared_costs_equal_the_meter() {
    for entry in PROTOCOLS {
        for n in [1, 7, 64, 65, 1025] {
            let (_, run) = run(entry, n, 1);
            assert_eq!(metered(&run), entry.protocol.cost(&spec(entry, n)), "{} with n = {n}", entry.id);
        }
    }
}

#[test]
fn what_a_party_receives_is_uniform() {
    // One fixed input and one fixed sharing: all randomness in what is received must come from the masks.
    let n = 48;
    for entry in PROTOCOLS {
        let mut streams = std::collections::BTreeMap::<_, Vec<u8>>::new();
        for seed in 0..100 {
            let link = longhaul::link::LinkConfig { capture: true, ..wan() };
            let run =
                run_layer(entry, &spec(entry, n), &vec![3 << 31; n], &vec![1 << 40; n], Seed::from_u64(seed), &link)
                    .unwrap();
            for (by, from) in
                [(Party::Server, Party::Client), (Party::Client, Party::Server), (Party::Client, Party::Dealer)]
            {
                for phase in [Phase::Offline, Phase::Online] {
                    streams.entry((by, from, phase)).or_default().extend(received(&run, by, from, phase));
                }
            }
        }
        for ((by, from, phase), bytes) in streams.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let sigmas = chi_square_sigmas(bytes.into_iter());
            assert!(
                sigmas.abs() < 6.0,
                "{}: what the {by} receives from the {from} {phase} is {sigmas:.1} sigmas from uniform",
                entry.id
            );
        }
    }
}

#[test]
fn output_shares_are_uniform() {
    // Each party's share alone says nothing about the result. Local truncation leaves shares that do not fill the ring
    // (the published protocols do that): there the low five bytes must be uniform, which hide all but 2^-20 of a result
    // below 2^20.
    for entry in PROTOCOLS {
        let (mut server, mut client) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let run = run_layer(entry, &spec(entry, 48), &[3 << 31; 48], &[1 << 40; 48], Seed::from_u64(seed), &wan())
                .unwrap();
            let bytes = if entry.exact { 8 } else { 5 };
            server.extend(run.server.iter().flat_map(|w| w.to_le_bytes().into_iter().take(bytes)));
            client.extend(run.client.iter().flat_map(|w| w.to_le_bytes().into_iter().take(bytes)));
        }
        for (party, bytes) in [("server", server), ("client", client)] {
            let sigmas = chi_square_sigmas(bytes.into_iter());
            assert!(sigmas.abs() < 6.0, "{}: the {party}'s output share is {sigmas:.1} sigmas from uniform", entry.id);
        }
    }
}

#[test]
fn masks_differ_between_seeds_and_layers_repeat_under_one_seed() {
    for entry in PROTOCOLS {
        let digests = |seed| run(entry, 9, seed).1.ledgers.map(|ledger| ledger.digests);
        assert_eq!(digests(4), digests(4), "{}", entry.id);
        assert_ne!(digests(4), digests(5), "{}", entry.id);
    }
}

#[test]
fn a_peer_that_sends_the_wrong_length_is_an_error_and_nobody_hangs() {
    for entry in PROTOCOLS {
        let spec = spec(entry, 5);
        let cost = entry.protocol.cost(&spec);
        let phases = [(Phase::Setup, cost.setup), (Phase::Offline, cost.offline), (Phase::Online, cost.online)];
        // The first phase in which the server expects something from the client.
        let (phase, _) = phases.into_iter().find(|(_, cost)| cost.up > 0).unwrap();
        let seed = Seed::from_u64(1);
        let failure = run_parties(
            &wan(),
            |endpoint| server_part(endpoint, entry, &spec, seed),
            |endpoint| {
                endpoint.enter(phase, 0)?;
                endpoint.send(Party::Server, vec![7])?;
                // Whatever the server says then is not read: it must have stopped.
                endpoint.recv(Party::Server, 0).map(drop).map_err(ProtocolError::from)
            },
            |endpoint| {
                let mut dealer = Dealer::new(endpoint, seed);
                dealer.enter(Phase::Offline, 0)?;
                entry.protocol.deal(&mut dealer, &spec)
            },
        )
        .unwrap_err()
        .to_string();
        let blamed = failure.starts_with(&format!("server: message from the client in the {phase} phase"));
        assert!(blamed && failure.contains("got 1"), "{}: {failure}", entry.id);
    }
}

fn server_part(
    endpoint: &mut Endpoint,
    entry: &ProtocolEntry,
    spec: &ActivationSpec,
    seed: Seed,
) -> Result<(), ProtocolError> {
    let mut session = Session::new(endpoint, seed, MaterialStore::new(1 << 20));
    let mut activator = entry.protocol.setup(&mut session, &spec.settings)?;
    session.enter(Phase::Offline, 0)?;
    let material = activator.preprocess(&mut session, spec, &[])?;
    session.enter(Phase::Online, 0)?;
    material.online(&mut session, vec![0; spec.elements]).map(drop)
}

/// What the two received halves open to, by round: `fused` one sum, `gmw` eight XORs and a sum.
#[test]
fn opened_values_are_uniform() {
    let link = longhaul::link::LinkConfig { capture: true, ..wan() };
    let (mut opened, mut bits) = (std::collections::BTreeMap::<_, Vec<u8>>::new(), [0u64; 2]);
    for (id, seed) in ["fused", "gmw"].into_iter().flat_map(|id| (0..200).map(move |seed| (id, seed))) {
        let entry = longhaul::protocol::activation::find(id).unwrap();
        let run = run_layer(entry, &spec(entry, 8), &[3 << 31; 8], &[1 << 40; 8], Seed::from_u64(seed), &link).unwrap();
        let halves = |by: Party, from| run.captured[by as usize].iter().filter(move |message| message.from == from);
        let pairs = halves(Party::Server, Party::Client).zip(halves(Party::Client, Party::Server));
        for (round, (up, down)) in pairs.enumerate() {
            let words = up.bytes.chunks_exact(8).zip(down.bytes.chunks_exact(8));
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            let sum = id == "fused" || round == 8;
            for (up, down) in words.map(|(up, down)| (word(up), word(down))) {
                let value = if sum { up.wrapping_add(down) } else { up ^ down };
                opened.entry((id, round)).or_default().extend(value.to_le_bytes());
                // Round 7 of `gmw` opens one bit that hides the sign: the lowest.
                bits[(value & 1) as usize] += u64::from(id == "gmw" && round == 7);
            }
        }
    }
    assert_eq!(opened.len(), 1 + 9);
    for ((id, round), bytes) in opened {
        let sigmas = chi_square_sigmas(bytes.into_iter());
        assert!(sigmas.abs() < 6.0, "{id}: what round {round} opens is {sigmas:.1} sigmas from uniform");
    }
    let [zeros, ones] = bits.map(|count| count as f64);
    assert!((zeros - ones).abs() < 6.0 * (zeros + ones).sqrt() && zeros + ones == 1600.0, "sign masks: {bits:?}");
}
