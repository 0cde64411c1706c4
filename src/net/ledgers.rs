//! What a party recorded, as JSON for the client, who makes the results.
//!
//! Counts, times and digests of what was sent; no content. A peer may lie about its own times and counts, so everything is
//! checked that could break the program, and nothing is believed that concerns the client's own clock.

use super::tls::printable;
use crate::link::{AccountTotals, Act, Event, Ledger, Mark, Party, Phase, Sent};
use crate::units::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Phase, layer, receiver, bytes, depth, time.
    messages: Vec<(u8, u32, u8, u64, u32, u64)>,
    /// Phase, layer, time.
    marks: Vec<(u8, u32, u64)>,
    /// Phase, layer, computed, act, the other party, bytes.
    events: Vec<(u8, u32, u64, u8, u8, u64)>,
    /// By phase: time and computing.
    accounts: [(u64, u64); 3],
    /// Phase, receiver, digest.
    digests: Vec<(u8, u8, String)>,
    /// Phase, sender, times.
    received: Vec<(u8, u8, Vec<u64>)>,
}

/// As JSON.
pub(crate) fn encode(ledger: &Ledger) -> Vec<u8> {
    let event = |event: &Event| {
        let (act, party, bytes) = match event.act {
            Act::Leave => (0, 0, 0),
            Act::Send { to, bytes } => (1, to as u8, bytes),
            Act::Receive { from } => (2, from as u8, 0),
        };
        (event.phase as u8, event.layer, event.compute.0, act, party, bytes)
    };
    let record = Record {
        messages: ledger
            .messages
            .iter()
            .map(|sent| (sent.phase as u8, sent.layer, sent.to as u8, sent.bytes, sent.depth, sent.sent_at.0))
            .collect(),
        marks: ledger.marks.iter().map(|mark| (mark.phase as u8, mark.layer, mark.now.0)).collect(),
        events: ledger.events.iter().map(event).collect(),
        accounts: ledger.accounts.map(|account| (account.now.0, account.compute.0)),
        digests: ledger
            .digests
            .iter()
            .map(|((phase, to), digest)| (*phase as u8, *to as u8, digest.to_hex().to_string()))
            .collect(),
        received: ledger
            .received
            .iter()
            .map(|((phase, from), times)| (*phase as u8, *from as u8, times.iter().map(|time| time.0).collect()))
            .collect(),
    };
    serde_json::to_vec(&record).expect("lists of numbers and text")
}

/// What a peer's ledger can hold at most.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Layers of the execution.
    pub layers: usize,
    /// Bytes that the party sends, all phases.
    pub bytes: u64,
    /// How long the session took.
    pub time: Nanos,
}

/// The ledger of `party`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode(json: &[u8], party: Party, bounds: Bounds) -> Result<Ledger, String> {
    let record: Record = serde_json::from_slice(json).map_err(|error| printable(&error.to_string()))?;
    bounds.check(&record)?;
    let layers = bounds.layers;
    let phase = |number: u8| Phase::ALL.get(usize::from(number)).copied().ok_or("there is no such phase");
    let other = |number: u8| {
        let other = Party::ALL.get(usize::from(number)).copied().filter(|other| *other != party);
        other.ok_or("there is no such peer")
    };
    let layer = |layer: u32| if (layer as usize) < layers { Ok(layer) } else { Err("there is no such layer") };
    let mut ledger = Ledger::default();
    for (in_phase, in_layer, to, bytes, depth, sent_at) in record.messages {
        let (phase, layer, to, sent_at) = (phase(in_phase)?, layer(in_layer)?, other(to)?, Nanos(sent_at));
        let traffic = ledger.sent.entry((phase, layer, to)).or_default();
        traffic.bytes = traffic.bytes.checked_add(bytes).ok_or("more bytes than can be counted")?;
        traffic.messages += 1;
        traffic.depth = traffic.depth.max(depth);
        ledger.messages.push(Sent { phase, layer, to, bytes, depth, sent_at, arrives_at: sent_at });
    }
    for (in_phase, in_layer, now) in record.marks {
        ledger.marks.push(Mark { phase: phase(in_phase)?, layer: layer(in_layer)?, now: Nanos(now), events: 0 });
    }
    for (in_phase, in_layer, compute, act, party, bytes) in record.events {
        let act = match act {
            0 => Act::Leave,
            1 => Act::Send { to: other(party)?, bytes },
            2 => Act::Receive { from: other(party)? },
            _ => return Err("there is no such act".to_string()),
        };
        ledger.events.push(Event { phase: phase(in_phase)?, layer: layer(in_layer)?, compute: Nanos(compute), act });
    }
    let account = |(now, compute)| AccountTotals { now: Nanos(now), floor: Nanos(0), compute: Nanos(compute) };
    ledger.accounts = record.accounts.map(account);
    for (in_phase, to, digest) in record.digests {
        let digest = blake3::Hash::from_hex(digest).map_err(|_| "a digest is none")?;
        ledger.digests.insert((phase(in_phase)?, other(to)?), digest);
    }
    for (in_phase, from, times) in record.received {
        ledger.received.insert((phase(in_phase)?, other(from)?), times.into_iter().map(Nanos).collect());
    }
    Ok(ledger)
}

fn total(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(0, u64::checked_add)
}

impl Bounds {
    /// Nothing that follows can overflow or take for ever.
    fn check(&self, record: &Record) -> Result<(), String> {
        let sent = total(record.messages.iter().map(|message| message.3)).ok_or("more bytes than can be counted")?;
        if sent > self.bytes {
            return Err(format!("{sent} bytes were sent, where the protocols send {}", self.bytes));
        }
        let sends = record.events.iter().filter(|event| event.3 == 1).map(|event| (event.0, event.1, event.4, event.5));
        if !sends.eq(record.messages.iter().map(|message| (message.0, message.1, message.2, message.3))) {
            return Err("what was done and what was sent differ".to_string());
        }
        let computed = total(record.events.iter().map(|event| event.2)).unwrap_or(u64::MAX);
        let accounts = record.accounts.iter().flat_map(|(now, computed)| [*now, *computed]);
        let sent_at = record.messages.iter().map(|message| message.5);
        let marks = record.marks.iter().map(|mark| mark.2);
        let received = record.received.iter().flat_map(|(_, _, times)| times.iter().copied());
        // Processor time is measured apart from real time.
        let most = 2 * self.time.0;
        match accounts.chain(sent_at).chain(marks).chain(received).chain([computed]).all(|time| time <= most) {
            true => Ok(()),
            false => Err("its times are longer than the session was".to_string()),
        }
    }
}

/// Tells the senders' ledgers when their messages arrived, on the receivers' clocks.
pub(crate) fn match_arrivals(ledgers: &mut [Ledger; 3]) {
    let received: Vec<_> = ledgers.iter().map(|ledger| ledger.received.clone()).collect();
    for (from, ledger) in Party::ALL.into_iter().zip(ledgers) {
        let mut seen: BTreeMap<(Phase, Party), usize> = BTreeMap::new();
        for sent in &mut ledger.messages {
            let place = seen.entry((sent.phase, sent.to)).or_default();
            let times = received[sent.to as usize].get(&(sent.phase, from));
            sent.arrives_at = times.and_then(|times| times.get(*place)).copied().unwrap_or(sent.sent_at);
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        let (phase, layer, to) = (Phase::Online, 1, Party::Client);
        ledger.sent.insert((phase, layer, to), crate::link::Traffic { bytes: 30, messages: 2, depth: 4 });
        for (bytes, sent_at) in [(10, Nanos(5)), (20, Nanos(6))] {
            ledger.messages.push(Sent { phase, layer, to, bytes, depth: 4, sent_at, arrives_at: sent_at });
            ledger.events.push(Event { phase, layer, compute: Nanos(1), act: Act::Send { to, bytes } });
        }
        ledger.events.push(Event { phase, layer, compute: Nanos(2), act: Act::Receive { from: Party::Dealer } });
        ledger.events.push(Event { phase, layer, compute: Nanos(3), act: Act::Leave });
        ledger.marks.push(Mark { phase, layer, now: Nanos(9), events: 0 });
        ledger.accounts[2] = AccountTotals { now: Nanos(9), floor: Nanos(0), compute: Nanos(7) };
        ledger.digests.insert((phase, to), blake3::hash(b"x"));
        ledger.received.insert((phase, Party::Dealer), vec![Nanos(8)]);
        ledger
    }

    fn bounds(layers: usize) -> Bounds {
        Bounds { layers, bytes: 30, time: Nanos(10) }
    }

    #[test]
    fn a_ledger_comes_back() {
        let there = ledger();
        let back = decode(&encode(&there), Party::Server, bounds(2)).expect("a ledger");
        assert_eq!((back.sent, back.messages, back.marks), (there.sent, there.messages, there.marks));
        assert_eq!((back.events, back.accounts, back.digests), (there.events, there.accounts, there.digests));
        assert_eq!(back.received, there.received);
    }

    #[test]
    fn what_would_break_the_client_is_refused() {
        let json = encode(&ledger());
        assert!(decode(&json, Party::Server, bounds(1)).expect_err("refused").contains("no such layer"));
        assert!(decode(&json, Party::Client, bounds(2)).expect_err("refused").contains("no such peer"));
        let text = String::from_utf8(json).expect("JSON");
        for (from, to) in [("[2,1,9]", "[3,1,9]"), ("[2,1,1,10,4,5]", "[2,1,1,18446744073709551615,4,5]")] {
            assert!(text.contains(from));
            assert!(decode(text.replace(from, to).as_bytes(), Party::Server, bounds(2)).is_err(), "{to}");
        }
        let less = Bounds { bytes: 29, ..bounds(2) };
        assert!(decode(text.as_bytes(), Party::Server, less).expect_err("refused").contains("30 bytes were sent"));
        let shorter = Bounds { time: Nanos(4), ..bounds(2) };
        assert!(
            decode(text.as_bytes(), Party::Server, shorter).expect_err("refused").contains("longer than the session")
        );
        assert!(decode(b"{}", Party::Server, bounds(2)).is_err());
    }

    #[test]
    fn arrivals_are_the_receivers() {
        let mut ledgers = [ledger(), Ledger::default(), Ledger::default()];
        ledgers[1].received.insert((Phase::Online, Party::Server), vec![Nanos(50), Nanos(60)]);
        match_arrivals(&mut ledgers);
        let times: Vec<u64> = ledgers[0].messages.iter().map(|sent| sent.arrives_at.0).collect();
        assert_eq!(times, [50, 60]);
    }
}
