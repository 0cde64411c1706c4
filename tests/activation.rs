//! Every activation protocol of the registry: agreement with plaintext, cost equal to the meter,
//! uniformity of what each party receives, and failure on hostile messages.

mod harness;

use harness::*;
use longhaul::crypto::Seed;
use longhaul::link::{Endpoint, Party, Phase, run_parties};
use longhaul::protocol::activation::{ActivationSpec, Family, PROTOCOLS, ProtocolEntry, Setting, Settings};
use longhaul::protocol::ot::OtExtension;
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

fn run(entry: &ProtocolEntry, spec: &ActivationSpec, seed: u64) -> (Vec<u64>, LayerRun) {
    let seed = Seed::from_u64(seed);
    let y = inputs(spec.elements, seed);
    let client_share = seed.derive("client share").prg().words(spec.elements);
    let run = run_layer(entry, spec, &y, &client_share, seed, &wan()).unwrap_or_else(|e| panic!("{}: {e}", entry.id));
    (y, run)
}

/// The layer with every value of each setting that the protocol takes, one at a time.
fn with_settings(entry: &ProtocolEntry, elements: usize) -> Vec<ActivationSpec> {
    let mut all = vec![Settings::default()];
    for setting in entry.settings {
        let width = |width| Settings { width: Some(width), ot: None };
        match setting {
            Setting::WireBits => all.extend([40, 48].map(width)),
            // The inputs need 37 bits and a sign.
            Setting::Width => all.extend([38, 39, 48, 63].map(width)),
            Setting::Ot => {
                all.extend(OtExtension::ALL.iter().map(|(_, ot)| Settings { width: None, ot: Some(*ot) }));
            }
        }
    }
    all.into_iter().map(|settings| ActivationSpec { settings, ..spec(entry, elements) }).collect()
}

/// Ideal functionality: the opened result is the function of the input, up to the stated tolerance.
fn assert_activation(entry: &ProtocolEntry, spec: &ActivationSpec, seed: u64) {
    let (y, run) = run(entry, spec, seed);
    let unit = (-(FRAC_BITS as f64)).exp2();
    for (i, (y, actual)) in y.iter().zip(opened(&run)).enumerate() {
        let x = longhaul::ring::decode(*y, spec.input_bits);
        let expected = spec.function.eval(x);
        let error = (actual - expected).abs() / unit;
        assert!(
            error <= entry.tolerance_ulp,
            "{} {:?} seed {seed}: element {i}: f({x}) = {expected}, got {actual}: {error} units off",
            entry.id,
            spec.settings,
        );
    }
}

#[test]
fn results_agree_with_plaintext() {
    for entry in PROTOCOLS {
        for n in [0, 1, 7, 64, 65, 3000, 100_000] {
            assert_activation(entry, &spec(entry, n), n as u64);
        }
    }
}

#[test]
fn results_agree_with_plaintext_under_every_setting() {
    for entry in PROTOCOLS {
        for n in [1, 65, 600] {
            with_settings(entry, n).iter().for_each(|spec| assert_activation(entry, spec, n as u64));
        }
    }
}

#[test]
fn relu_without_truncation_agrees_with_plaintext() {
    // What a max pool compares has the scale of its result.
    for entry in PROTOCOLS.iter().filter(|entry| entry.family == Family::Relu) {
        for spec in with_settings(entry, 100) {
            let spec = ActivationSpec { output_bits: spec.input_bits, ..spec };
            let (y, run) = run(entry, &spec, 9);
            let opened: Vec<i64> = run.server.iter().zip(&run.client).map(|(s, c)| s.wrapping_add(*c) as i64).collect();
            for (y, opened) in y.into_iter().zip(opened) {
                assert_eq!(opened, (y as i64).max(0), "{} {:?}", entry.id, spec.settings);
            }
        }
    }
}

#[test]
fn results_agree_at_the_ends_of_the_range() {
    // |y| < 2^62: 2^29.99 at scale 32. ReLU protocols must be exact there; polynomials overflow by nature.
    for entry in PROTOCOLS.iter().filter(|entry| entry.family == Family::Relu) {
        for spec in with_settings(entry, 4) {
            let end = 1i64 << spec.range_bits();
            let y = [end - 1, -end + 1, end / 2, -end / 2].map(|y| y as u64);
            let run = run_layer(entry, &spec, &y, &[5, u64::MAX, 1 << 63, 0], Seed::from_u64(3), &wan()).unwrap();
            for (y, actual) in y.iter().zip(opened(&run)) {
                let expected = longhaul::ring::decode(*y, 2 * FRAC_BITS).max(0.0);
                let error = (actual - expected).abs();
                assert!(error <= entry.tolerance_ulp / 65536.0, "{} {:?}: {error}", entry.id, spec.settings);
            }
        }
    }
}

#[test]
fn only_the_low_bits_of_a_narrow_input_matter() {
    for entry in PROTOCOLS.iter().filter(|entry| entry.settings.contains(&Setting::Width)) {
        for (width, input_bits) in [(24, 16), (32, 28), (37, 32), (40, 16), (40, 32), (63, 32), (64, 16)] {
            let settings = Settings { width: Some(width), ..Settings::default() };
            let spec = ActivationSpec { input_bits, settings, ..spec(entry, 200) };
            let bound = 1i64 << spec.range_bits();
            let mut prg = Seed::from_u64(width.into()).prg();
            let mut y: Vec<i64> = prg.words::<i64>(200).into_iter().map(|y| y % bound).collect();
            y[..7].copy_from_slice(&[0, 1, -1, bound - 1, 1 - bound, 1 << spec.shift(), -1 << spec.shift()]);
            // Anything may stand above the width.
            let wide = |(y, noise): (&i64, u64)| (*y as u64).wrapping_add(noise.checked_shl(width).unwrap_or(0));
            let input: Vec<u64> = y.iter().zip(prg.words::<u64>(200)).map(wide).collect();
            let client = prg.words::<u64>(200);
            let run = run_layer(entry, &spec, &input, &client, Seed::from_u64(9), &wan()).unwrap();
            for ((y, server), client) in y.iter().zip(&run.server).zip(&run.client) {
                let result = server.wrapping_add(*client) as i64;
                let error = (result - (y.max(&0) >> spec.shift())).abs();
                assert!(error <= 1, "{} width {width}, {input_bits} bits: relu({y}) is {result}", entry.id);
            }
            assert_eq!(metered(&run), entry.protocol.cost(&spec), "{} width {width}", entry.id);
        }
    }
}

#[test]
fn declared_costs_equal_the_meter() {
    for entry in PROTOCOLS {
        for spec in [1, 7, 64, 65, 1025].into_iter().flat_map(|n| with_settings(entry, n)) {
            let (_, run) = run(entry, &spec, 1);
            assert_eq!(
                metered(&run),
                entry.protocol.cost(&spec),
                "{} with {} of {:?}",
                entry.id,
                spec.elements,
                spec.settings
            );
        }
    }
}

#[test]
fn what_a_party_receives_is_uniform() {
    // One fixed input and one fixed sharing: all randomness in what is received must come from the masks.
    let n = 48;
    for entry in PROTOCOLS {
        let mut streams = std::collections::BTreeMap::<_, Vec<u8>>::new();
        for seed in 0..170 {
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
    // Each party's share alone says nothing about the result. Local truncation (the published polynomial protocols)
    // leaves shares that add up in the ring without filling it: there the low five bytes must be uniform.
    let unshifted = |spec: &ActivationSpec| ActivationSpec { output_bits: spec.input_bits, ..spec.clone() };
    let cases = PROTOCOLS.iter().flat_map(|entry| {
        let mut specs = with_settings(entry, 48);
        if entry.family == Family::Relu {
            specs.push(unshifted(&specs[0]));
        }
        specs.into_iter().map(move |spec| (entry, spec))
    });
    for (entry, spec) in cases {
        let (mut server, mut client) = (Vec::new(), Vec::new());
        for seed in 0..60 {
            let run = run_layer(entry, &spec, &[3 << 31; 48], &[1 << 40; 48], Seed::from_u64(seed), &wan()).unwrap();
            let bytes = if entry.exact { 8 } else { 5 };
            server.extend(run.server.iter().flat_map(|w| w.to_le_bytes().into_iter().take(bytes)));
            client.extend(run.client.iter().flat_map(|w| w.to_le_bytes().into_iter().take(bytes)));
        }
        for (party, bytes) in [("server", server), ("client", client)] {
            let sigmas = chi_square_sigmas(bytes.into_iter());
            let what = format!("{} {:?} by {} bits", entry.id, spec.settings, spec.shift());
            assert!(sigmas.abs() < 6.0, "{what}: the {party}'s output share is {sigmas:.1} sigmas from uniform");
        }
    }
}

#[test]
fn masks_differ_between_seeds_and_layers_repeat_under_one_seed() {
    for entry in PROTOCOLS {
        let digests = |seed| run(entry, &spec(entry, 9), seed).1.ledgers.map(|ledger| ledger.digests);
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

/// The next `n` values of `bits` bits, least significant bit first.
fn unpack(bytes: &[u8], at: &mut usize, bits: usize, n: usize) -> Vec<u64> {
    let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
    let value = |i: usize| (0..bits).map(|j| bit(*at + i * bits + j) << j).sum();
    let values = (0..n).map(value).collect();
    *at += n * bits;
    values
}

/// What `gmw-msb` opens: the masked input, and per digit a code in `Z_2`, `Z_4` or `Z_8`; all uniform for one fixed input.
#[test]
fn opened_values_of_gmw_msb_are_uniform() {
    let link = longhaul::link::LinkConfig { capture: true, ..wan() };
    let entry = longhaul::protocol::activation::find("gmw-msb").unwrap();
    let (n, code_bits) = (48, [1, 2, 2, 3, 3, 3, 3]);
    let (mut inputs, mut codes) = (Vec::new(), vec![[0u32; 8]; code_bits.len()]);
    for seed in 0..150 {
        let run = run_layer(entry, &spec(entry, n), &vec![3 << 31; n], &vec![1 << 40; n], Seed::from_u64(seed), &link)
            .unwrap();
        let from_client = received(&run, Party::Server, Party::Client, Phase::Offline);
        let [up, down] = [(Party::Server, Party::Client), (Party::Client, Party::Server)]
            .map(|(by, from)| received(&run, by, from, Phase::Online));
        let (mut up_at, mut down_at) = (0, 0);
        let halves = unpack(&from_client, &mut 0, 64, n).into_iter().zip(unpack(&down, &mut down_at, 64, n));
        inputs.extend(halves.flat_map(|(client, server)| client.wrapping_add(server).to_le_bytes()));
        for (counts, bits) in codes.iter_mut().zip(code_bits) {
            let halves = unpack(&up, &mut up_at, bits, n).into_iter().zip(unpack(&down, &mut down_at, bits, n));
            halves.for_each(|(client, server)| counts[((client + server) % (1 << bits)) as usize] += 1);
        }
        assert_eq!((up_at, down_at), (8 * up.len(), 8 * down.len()), "every bit was read");
    }
    let sigmas = chi_square_sigmas(inputs.into_iter());
    assert!(sigmas.abs() < 6.0, "masked inputs are {sigmas:.1} sigmas from uniform");
    for (counts, bits) in codes.iter().zip(code_bits) {
        let (expected, freedom) = ((150 * n) as f64 / f64::from(1 << bits), f64::from((1 << bits) - 1));
        let chi: f64 = counts[..1 << bits].iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        let sigmas = (chi - freedom) / (2.0 * freedom).sqrt();
        assert!(sigmas < 10.0, "codes of {bits} bits are {sigmas:.1} sigmas from uniform: {counts:?}");
    }
}
