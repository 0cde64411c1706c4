//! Trace files: what the parties of one execution did, compact and versioned.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `longhaul` |
//! | 4 | version, little endian: 1 |
//! | 4 | length of the header |
//! | | header: [`TraceHeader`] as JSON |
//! | | the events of server, client and dealer: their number, then each |
//! | 32 | BLAKE3 of everything before |
//!
//! An event is a byte (bits 0-1: leave, send, receive; 2-3: phase; 4-5: the other party), its layer, what was computed before
//! it in ns, and with a message that is sent its bytes. Numbers are LEB128.

use super::{Act, Event, Party, Phase};
use crate::units::Nanos;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"longhaul";
const VERSION: u32 = 1;
const DIGEST: usize = 32;

/// What was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceHeader {
    /// The program's version.
    pub longhaul: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's digest.
    pub scenario_digest: String,
    /// Model.
    pub model: String,
    /// Protocol.
    pub protocol: String,
    /// The link it ran over.
    pub link: String,
    /// Counted repetition, from 0.
    pub repetition: u32,
    /// Image, from 0.
    pub image: usize,
    /// Processor.
    pub cpu: String,
    /// Names of the layers that events refer to.
    pub layers: Vec<String>,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What was executed.
    pub header: TraceHeader,
    /// What server, client and dealer did.
    pub events: [Vec<Event>; 3],
}

/// Why bytes are no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Something else.
    #[error("this is no trace; `longhaul run --trace` writes them")]
    Magic,
    /// Of another version of the format.
    #[error("version {0} of the trace format; this program reads version {VERSION}")]
    Version(u32),
    /// Changed or cut off.
    #[error("the trace is damaged: its digest does not match")]
    Digest,
    /// The digest is right, the content is not.
    #[error("the trace is malformed: {0}")]
    Malformed(String),
}

impl Trace {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).expect("strings and numbers are JSON");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        for events in &self.events {
            write_number(&mut bytes, events.len() as u64);
            events.iter().for_each(|event| write_event(&mut bytes, event));
        }
        let digest = blake3::hash(&bytes);
        bytes.extend(digest.as_bytes());
        bytes
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn decode(bytes: &[u8]) -> Result<Trace, TraceError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(TraceError::Magic)?;
        let version = u32::from_le_bytes(take(&mut rest).ok_or(TraceError::Digest)?);
        if version != VERSION {
            return Err(TraceError::Version(version));
        }
        let content = bytes.len().checked_sub(DIGEST).ok_or(TraceError::Digest)?;
        let (content, digest) = bytes.split_at(content);
        if blake3::hash(content).as_bytes() != digest {
            return Err(TraceError::Digest);
        }
        let mut rest = &content[MAGIC.len() + 4..];
        let malformed = |what: &str| TraceError::Malformed(what.to_owned());
        let length = u32::from_le_bytes(take(&mut rest).ok_or_else(|| malformed("no header"))?) as usize;
        let (header, mut rest) = rest.split_at_checked(length).ok_or_else(|| malformed("no header"))?;
        let header: TraceHeader =
            serde_json::from_slice(header).map_err(|error| TraceError::Malformed(format!("header: {error}")))?;
        let mut events: [Vec<Event>; 3] = Default::default();
        for party in Party::ALL {
            let count = read_number(&mut rest).ok_or_else(|| malformed("no events"))?;
            for index in 0..count {
                let event = read_event(party, &mut rest);
                events[party.index()].push(event.ok_or_else(|| malformed(&format!("{party}, event {index}")))?);
            }
        }
        if !rest.is_empty() {
            return Err(malformed("something follows the events"));
        }
        Ok(Trace { header, events })
    }
}

fn write_event(bytes: &mut Vec<u8>, event: &Event) {
    let (act, other) = match event.act {
        Act::Leave => (0, 0),
        Act::Send { to, .. } => (1, to.index()),
        Act::Receive { from } => (2, from.index()),
    };
    bytes.push(act | (event.phase.index() as u8) << 2 | (other as u8) << 4);
    write_number(bytes, u64::from(event.layer));
    write_number(bytes, event.compute.0);
    if let Act::Send { bytes: payload, .. } = event.act {
        write_number(bytes, payload);
    }
}

/// An event of `me`; `None` if it is none.
fn read_event(me: Party, rest: &mut &[u8]) -> Option<Event> {
    let [kind] = take(rest)?;
    let phase = *Phase::ALL.get(usize::from(kind >> 2 & 3))?;
    let other = *Party::ALL.get(usize::from(kind >> 4))?;
    let layer = u32::try_from(read_number(rest)?).ok()?;
    let compute = Nanos(read_number(rest)?);
    let act = match kind & 3 {
        0 => Act::Leave,
        1 => Act::Send { to: other, bytes: read_number(rest)? },
        2 => Act::Receive { from: other },
        _ => return None,
    };
    (act == Act::Leave || other != me).then_some(Event { phase, layer, compute, act })
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> TraceHeader {
        TraceHeader {
            longhaul: "0.1.0".into(),
            scenario: "s".into(),
            scenario_digest: "d".into(),
            model: "m".into(),
            protocol: "p".into(),
            link: "l".into(),
            repetition: 1,
            image: 2,
            cpu: "c".into(),
            layers: vec!["conv1".into()],
        }
    }

    fn event(me: Party) -> impl Strategy<Value = Event> {
        let other = prop::sample::select(Party::ALL.into_iter().filter(|p| *p != me).collect::<Vec<_>>());
        let act = (0..3, other, any::<u64>()).prop_map(|(act, other, bytes)| match act {
            0 => Act::Leave,
            1 => Act::Send { to: other, bytes },
            _ => Act::Receive { from: other },
        });
        let phase = prop::sample::select(Phase::ALL.to_vec());
        (phase, any::<u32>(), any::<u64>(), act).prop_map(|(phase, layer, compute, act)| Event {
            phase,
            layer,
            compute: Nanos(compute),
            act,
        })
    }

    fn trace() -> impl Strategy<Value = Trace> {
        let events = Party::ALL.map(|me| prop::collection::vec(event(me), 0..20));
        events.prop_map(|events| Trace { header: header(), events })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(trace in trace()) {
            prop_assert_eq!(Trace::decode(&trace.encode()), Ok(trace));
        }

        #[test]
        fn damage_is_noticed(trace in trace(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = trace.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(Trace::decode(&bytes).is_err());
            prop_assert!(Trace::decode(&bytes[..at]).is_err());
        }

        /// With a digest that matches: an error, never a panic.
        #[test]
        fn hostile_content_is_refused(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(VERSION.to_le_bytes());
            bytes.extend(content);
            bytes.extend(blake3::hash(&bytes).as_bytes());
            prop_assert!(matches!(Trace::decode(&bytes), Err(TraceError::Malformed(_))));
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(Trace::decode(b"something else"), Err(TraceError::Magic));
        assert_eq!(Trace::decode(b"longhaul\x02\0\0\0"), Err(TraceError::Version(2)));
        assert_eq!(Trace::decode(b"longhaul"), Err(TraceError::Digest));
    }
}
