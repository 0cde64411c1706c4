//! `fss` at narrower widths: results, bytes, and the opened values' distribution.

mod harness;

use harness::*;
use longhaul::crypto::Seed;
use longhaul::link::{LinkConfig, Party, Phase};
use longhaul::protocol::activation::{ActivationSpec, ProtocolEntry, Settings, find};

fn fss(elements: usize, width: u32, input_bits: u32) -> (&'static ProtocolEntry, ActivationSpec) {
    let entry = find("fss").unwrap();
    let settings = Settings { width: Some(width), ..Settings::default() };
    (entry, ActivationSpec { input_bits, settings, ..spec(entry, elements) })
}

#[test]
fn narrow_rings_cost_less_and_compute_the_same() {
    for (width, input_bits) in [(48, 32), (41, 32), (33, 32), (64, 16), (40, 16)] {
        // More than one chunk of the dealer's messages; several that are not full.
        for n in [1, 1500] {
            let (entry, spec) = fss(n, width, input_bits);
            let seed = Seed::from_u64(width as u64);
            let end = (1i64 << (width - 2)) - 1;
            let edges = [end, -end, 0, 1, -1, 1 << 16, -(1 << 16)];
            let random = seed.derive("y").prg().words::<i64>(n).into_iter().map(|y| y % end);
            let y: Vec<u64> = edges.into_iter().chain(random).take(n).map(|y| y as u64).collect();
            let run = run_layer(entry, &spec, &y, &seed.derive("c").prg().words(n), seed, &wan()).unwrap();
            for (i, (y, (s, c))) in y.iter().zip(run.server.iter().zip(&run.client)).enumerate() {
                let error = s.wrapping_add(*c).wrapping_sub(((*y as i64).max(0) >> spec.shift()) as u64);
                assert!(error <= u64::from(spec.shift() > 0 && *y as i64 > 0), "width {width}: element {i}: {error}");
            }
            let [server, client, dealer] = &run.ledgers;
            let cost = entry.protocol.cost(&spec);
            assert_eq!(server.bytes(Phase::Online, Party::Client), cost.online.down);
            assert_eq!(client.bytes(Phase::Offline, Party::Server), cost.offline.up);
            assert_eq!(dealer.bytes(Phase::Offline, Party::Server), cost.dealer_server);
            assert_eq!(dealer.bytes(Phase::Offline, Party::Client), cost.dealer_client);
            assert_eq!(cost.online.down, (width as u64 * n as u64).div_ceil(8));
        }
    }
}

#[test]
fn the_header_states_the_bytes_of_an_activation() {
    for (width, server, client) in [(64, 1504, 1536), (48, 992, 1024)] {
        let (entry, spec) = fss(1, width, 32);
        let cost = entry.protocol.cost(&spec);
        assert_eq!((cost.dealer_server, cost.dealer_client), (32 + server, 32 + client));
    }
}

#[test]
fn opened_values_are_uniform_in_their_width() {
    let link = LinkConfig { capture: true, ..wan() };
    let (entry, spec) = fss(16, 48, 32);
    let mut opened = Vec::new();
    for seed in 0..100 {
        let run = run_layer(entry, &spec, &[3 << 31; 16], &[1 << 40; 16], Seed::from_u64(seed), &link).unwrap();
        let half = |by, from, phase| {
            let bytes = received(&run, by, from, phase);
            let word = |half: &[u8]| half.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
            bytes.chunks_exact(6).map(word).collect::<Vec<u64>>()
        };
        let up = half(Party::Server, Party::Client, Phase::Offline);
        let down = half(Party::Client, Party::Server, Phase::Online);
        assert_eq!((up.len(), down.len()), (16, 16));
        opened.extend(up.iter().zip(down).flat_map(|(up, down)| up.wrapping_add(down).to_le_bytes()[..6].to_vec()));
    }
    let sigmas = chi_square_sigmas(opened.into_iter());
    assert!(sigmas.abs() < 6.0, "{sigmas:.1} sigmas from uniform");
}
