//! What is on the wire: a kind, what belongs to it, and for messages their bytes.
//!
//! | kind | then |
//! |---|---|
//! | 0 message | phase `u8`, causal depth `u32`, length `u64`, the bytes |
//! | 1 barrier | phase `u8` |
//! | 2 padding | length `u64`, as many bytes that mean nothing |
//! | 3 heartbeat | |
//! | 4 failed | length `u32`, why, in UTF-8 |
//! | 5 ledger | length `u64`, JSON |
//! | 6 control | length `u32`, JSON |
//! | 7 ping | a number `u64` |
//! | 8 pong | the number of the ping |
//! | 9 bye | |
//!
//! All numbers are little-endian. Long bodies are handed on in pieces of at most 1 MiB: a length alone costs no memory.

use crate::link::Phase;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio_util::codec::Decoder;

/// Largest piece of a body.
pub(super) const PIECE: usize = 1 << 20;

/// Longest control frame, and longest reason of a failure.
const MOST_TEXT: usize = 64 << 10;

/// One frame, or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A message begins; its bytes follow in pieces.
    Message { phase: Phase, depth: u32, length: u64 },
    /// The next bytes of a message or a ledger.
    Piece(Bytes),
    /// The sender has entered a phase.
    Barrier(Phase),
    /// So many bytes of padding were read and dropped.
    Padding(u64),
    /// The sender is alive.
    Heartbeat,
    /// The sender has failed.
    Failed(String),
    /// A ledger begins; its bytes follow in pieces.
    Ledger { length: u64 },
    /// JSON of the handshake.
    Control(Bytes),
    /// To be answered at once.
    Ping(u64),
    /// The answer.
    Pong(u64),
    /// Nothing more will come.
    Bye,
}

impl Frame {
    /// A message's header.
    pub fn message(phase: Phase, depth: u32, length: u64) -> Vec<u8> {
        let mut out = vec![0, phase as u8];
        out.extend(depth.to_le_bytes());
        out.extend(length.to_le_bytes());
        out
    }

    /// A barrier.
    pub fn barrier(phase: Phase) -> Vec<u8> {
        vec![1, phase as u8]
    }

    /// The header of padding.
    pub fn padding(length: u64) -> Vec<u8> {
        [&[2][..], &length.to_le_bytes()].concat()
    }

    /// A heartbeat.
    pub fn heartbeat() -> Vec<u8> {
        vec![3]
    }

    /// A failure.
    pub fn failed(cause: &str) -> Vec<u8> {
        text(4, &cause.chars().take(2000).collect::<String>().into_bytes())
    }

    /// The header of a ledger.
    pub fn ledger(length: u64) -> Vec<u8> {
        [&[5][..], &length.to_le_bytes()].concat()
    }

    /// A part of the handshake.
    ///
    /// # Panics
    /// If it is longer than 64 KiB.
    pub fn control(json: &[u8]) -> Vec<u8> {
        assert!(json.len() <= MOST_TEXT);
        text(6, json)
    }

    /// A ping.
    pub fn ping(number: u64) -> Vec<u8> {
        [&[7][..], &number.to_le_bytes()].concat()
    }

    /// A pong.
    pub fn pong(number: u64) -> Vec<u8> {
        [&[8][..], &number.to_le_bytes()].concat()
    }

    /// The end.
    pub fn bye() -> Vec<u8> {
        vec![9]
    }
}

fn text(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

/// Takes frames off a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    /// Of the body being read: what is left of it, and whether it is padding.
    body: Option<(u64, bool)>,
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, io::Error> {
        if let Some((left, is_padding)) = self.body {
            let here = left.min(source.len() as u64).min(PIECE as u64);
            if here == 0 {
                return Ok(None);
            }
            self.body = (left > here).then_some((left - here, is_padding));
            let piece = source.split_to(here as usize);
            return Ok(Some(if is_padding { Frame::Padding(here) } else { Frame::Piece(piece.freeze()) }));
        }
        let Some(&kind) = source.first() else { return Ok(None) };
        let header = match kind {
            0 => 14,
            1 => 2,
            2 | 5 | 7 | 8 => 9,
            3 | 9 => 1,
            4 | 6 => 5,
            _ => return Err(invalid(format!("there is no frame of kind {kind}"))),
        };
        if source.len() < header {
            return Ok(None);
        }
        if matches!(kind, 4 | 6) {
            return self.text(kind, source);
        }
        let mut fields = source.split_to(header);
        fields.advance(1);
        Ok(Some(match kind {
            0 => {
                let (phase, depth, length) = (phase(fields.get_u8())?, fields.get_u32_le(), fields.get_u64_le());
                self.body = (length > 0).then_some((length, false));
                Frame::Message { phase, depth, length }
            }
            1 => Frame::Barrier(phase(fields.get_u8())?),
            2 => {
                let length = fields.get_u64_le();
                self.body = (length > 0).then_some((length, true));
                Frame::Padding(0)
            }
            3 => Frame::Heartbeat,
            5 => {
                let length = fields.get_u64_le();
                self.body = (length > 0).then_some((length, false));
                Frame::Ledger { length }
            }
            7 => Frame::Ping(fields.get_u64_le()),
            8 => Frame::Pong(fields.get_u64_le()),
            _ => Frame::Bye,
        }))
    }
}

impl Codec {
    fn text(&mut self, kind: u8, source: &mut BytesMut) -> Result<Option<Frame>, io::Error> {
        let length = u32::from_le_bytes(source[1..5].try_into().expect("four bytes")) as usize;
        if length > MOST_TEXT {
            return Err(invalid(format!("a text of {length} bytes is too long")));
        }
        if source.len() < 5 + length {
            return Ok(None);
        }
        source.advance(5);
        let bytes = source.split_to(length).freeze();
        Ok(Some(match kind {
            4 => Frame::Failed(String::from_utf8_lossy(&bytes).into_owned()),
            _ => Frame::Control(bytes),
        }))
    }
}

fn phase(byte: u8) -> Result<Phase, io::Error> {
    Phase::ALL.get(usize::from(byte)).copied().ok_or_else(|| invalid(format!("there is no phase {byte}")))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that `bytes` hold, given to the decoder in parts that end at `cuts`.
    fn decoded(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Frame>, io::Error> {
        let (mut codec, mut buffer, mut frames) = (Codec::default(), BytesMut::new(), Vec::new());
        let mut start = 0;
        for end in cuts.iter().copied().chain([bytes.len()]) {
            buffer.extend_from_slice(&bytes[start..end]);
            start = end;
            while let Some(frame) = codec.decode(&mut buffer)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// Joins pieces and padding that the cuts divided.
    fn joined(frames: Vec<Frame>) -> Vec<Frame> {
        let mut out: Vec<Frame> = Vec::new();
        for frame in frames {
            match (out.last_mut(), frame) {
                (Some(Frame::Piece(before)), Frame::Piece(next)) => {
                    *before = [&before[..], &next[..]].concat().into();
                }
                (Some(Frame::Padding(before)), Frame::Padding(next)) => *before += next,
                (_, frame) => out.push(frame),
            }
        }
        out
    }

    fn session() -> (Vec<u8>, Vec<Frame>) {
        let body = vec![7u8; 3000];
        let bytes = [
            Frame::control(b"{}"),
            Frame::barrier(Phase::Setup),
            Frame::message(Phase::Setup, 3, 3000),
            body.clone(),
            Frame::message(Phase::Offline, 4, 0),
            Frame::heartbeat(),
            Frame::padding(500),
            vec![9; 500],
            Frame::ping(11),
            Frame::pong(11),
            Frame::ledger(2),
            b"[]".to_vec(),
            Frame::failed("no\u{1f}"),
            Frame::bye(),
        ];
        let frames = vec![
            Frame::Control(Bytes::from_static(b"{}")),
            Frame::Barrier(Phase::Setup),
            Frame::Message { phase: Phase::Setup, depth: 3, length: 3000 },
            Frame::Piece(body.into()),
            Frame::Message { phase: Phase::Offline, depth: 4, length: 0 },
            Frame::Heartbeat,
            Frame::Padding(500),
            Frame::Ping(11),
            Frame::Pong(11),
            Frame::Ledger { length: 2 },
            Frame::Piece(Bytes::from_static(b"[]")),
            Frame::Failed("no\u{1f}".into()),
            Frame::Bye,
        ];
        (bytes.concat(), frames)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cuts(mut cuts in prop::collection::vec(0usize..3500, 0..40)) {
            let (bytes, frames) = session();
            cuts.sort_unstable();
            prop_assert_eq!(joined(decoded(&bytes, &cuts).unwrap()), frames);
        }

        #[test]
        fn hostile_bytes_never_panic_nor_ask_for_memory(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frames) = decoded(&bytes, &[]) {
                let held: usize = frames.iter().map(|frame| match frame {
                    Frame::Piece(piece) => piece.len(),
                    Frame::Control(text) => text.len(),
                    _ => 0,
                }).sum();
                prop_assert!(held <= bytes.len());
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for (bytes, said) in [
            (vec![10], "no frame of kind 10"),
            (vec![1, 3], "no phase 3"),
            (vec![6, 0, 0, 0, 1], "too long"),
            (vec![0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "no phase 9"),
        ] {
            let error = decoded(&bytes, &[]).expect_err("an error").to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_long_body_comes_in_bounded_pieces() {
        let mut bytes = Frame::message(Phase::Online, 1, 3 << 20);
        bytes.resize(bytes.len() + (3 << 20), 1);
        let frames = decoded(&bytes, &[]).unwrap();
        assert_eq!(frames.len(), 4);
        assert!(frames[1..].iter().all(|frame| matches!(frame, Frame::Piece(piece) if piece.len() == PIECE)));
    }
}
