//! Correlated OT extension over a session: one interface for every construction.
//!
//! Each transfer `j` gives the sender `q_j` and the receiver `t_j = q_j ^ c_j delta` for its choice bit `c_j`.

use super::base::{BaseSender, POINT_BYTES};
use super::iknp::{BASE_OTS, IknpReceiver, IknpSender, transfer_message_bytes};
use crate::crypto::Block;
use crate::protocol::{PhaseCost, ProtocolError, Session};

/// Which construction extends the base transfers. Bytes per transfer and setup differ, the outputs do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtExtension {
    /// Ishai, Kilian, Nissim, Petrank 2003: 16 bytes per transfer.
    #[default]
    Iknp,
}

impl OtExtension {
    /// Every construction, with the name a scenario uses.
    pub const ALL: &[(&'static str, OtExtension)] = &[("iknp", OtExtension::Iknp)];

    /// The name a scenario uses.
    pub fn name(self) -> &'static str {
        let entry = Self::ALL.iter().find(|(_, extension)| *extension == self);
        entry.expect("every construction is in the list").0
    }

    /// Setup of the party that will be the extension's sender (two messages; `up` is what the extension's
    /// receiver sends). Call [`OtExtension::receiver`] at the other party.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    pub fn sender(self, session: &mut Session) -> Result<Box<dyn CotSender>, ProtocolError> {
        let mut rng = session.rng("base OT");
        match self {
            OtExtension::Iknp => {
                let (sender, points) = IknpSender::from_base(&mut rng, &session.recv(POINT_BYTES)?)?;
                session.send(points)?;
                Ok(Box::new(sender))
            }
        }
    }

    /// Setup of the party that will be the extension's receiver.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    pub fn receiver(self, session: &mut Session) -> Result<Box<dyn CotReceiver>, ProtocolError> {
        let mut rng = session.rng("base OT");
        match self {
            OtExtension::Iknp => {
                let (base, point) = BaseSender::new(&mut rng);
                session.send(point.to_vec())?;
                let points = session.recv(BASE_OTS * POINT_BYTES)?;
                Ok(Box::new(IknpReceiver::from_base(base, &points)?))
            }
        }
    }

    /// What the setup costs; `up` from the extension's receiver to its sender.
    pub fn setup_cost(self) -> PhaseCost {
        match self {
            OtExtension::Iknp => PhaseCost { rounds: 2, up: 32, down: 32 * 128 },
        }
    }

    /// What [`CotSender::reserve`] of `n` transfers and then `n` transfers cost in all; `up` from the extension's receiver.
    pub fn cost(self, n: u64) -> PhaseCost {
        match self {
            OtExtension::Iknp => PhaseCost { rounds: 1, up: 16 * n, down: 0 },
        }
    }
}

/// The sender's end.
pub trait CotSender: Send {
    /// The offset between the two values of every transfer; its lowest bit is set.
    fn delta(&self) -> Block;

    /// Makes sure that the next `n` transfers need messages from the receiver only. Both ends call it with the
    /// same `n` at the same point of their protocol.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn reserve(&mut self, session: &mut Session, n: usize) -> Result<(), ProtocolError> {
        let _ = (session, n);
        Ok(())
    }

    /// The next `n` transfers (a multiple of 64): receives the receiver's message and returns `q`.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn extend(&mut self, session: &mut Session, n: usize) -> Result<Vec<Block>, ProtocolError>;
}

/// The receiver's end.
pub trait CotReceiver: Send {
    /// See [`CotSender::reserve`].
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn reserve(&mut self, session: &mut Session, n: usize) -> Result<(), ProtocolError> {
        let _ = (session, n);
        Ok(())
    }

    /// The next `64 choices.len()` transfers: sends one message and returns `t`. The choice of transfer `j` is
    /// bit `j % 64` of word `j / 64`.
    ///
    /// # Errors
    /// A failed channel.
    fn extend(&mut self, session: &mut Session, choices: &[u64]) -> Result<Vec<Block>, ProtocolError>;
}

impl CotSender for IknpSender {
    fn delta(&self) -> Block {
        self.delta()
    }

    fn extend(&mut self, session: &mut Session, n: usize) -> Result<Vec<Block>, ProtocolError> {
        let message = session.recv(transfer_message_bytes(n))?;
        Ok(IknpSender::extend(self, n, &message)?)
    }
}

impl CotReceiver for IknpReceiver {
    fn extend(&mut self, session: &mut Session, choices: &[u64]) -> Result<Vec<Block>, ProtocolError> {
        let (message, t) = IknpReceiver::extend(self, choices);
        session.send(message)?;
        Ok(t)
    }
}
