//! Correlated OT extension over a session: one interface for every construction.
//!
//! Each transfer `j` gives the sender `q_j` and the receiver `t_j = q_j ^ c_j delta` for its choice bit `c_j`.

use super::base::{BaseSender, POINT_BYTES};
use super::ferret::{self, FerretReceiver, FerretSender};
use super::iknp::{self, BASE_OTS, IknpReceiver, IknpSender};
use super::softspoken::{self, PendingSender, SoftSpokenReceiver, SoftSpokenSender, sums_bytes};
use crate::crypto::Block;
use crate::protocol::{PhaseCost, ProtocolError, Session};

/// Which construction extends the base transfers. Bytes per transfer and setup differ, the outputs do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub enum OtExtension {
    /// Ishai, Kilian, Nissim, Petrank 2003: 16 bytes per transfer.
    #[serde(rename = "iknp")]
    Iknp,
    /// Roy 2022 over the field of 4 elements: 8 bytes per transfer.
    #[serde(rename = "softspoken-2")]
    SoftSpoken2,
    /// Roy 2022 over the field of 16 elements: 4 bytes per transfer.
    #[serde(rename = "softspoken-4")]
    SoftSpoken4,
    /// Roy 2022 over the field of 256 elements: 2 bytes per transfer.
    #[default]
    #[serde(rename = "softspoken-8")]
    SoftSpoken8,
    /// Silent OT after Yang et al. 2020, from SoftSpokenOT: an eighth of a byte per transfer, and trees.
    #[serde(rename = "ferret")]
    Ferret,
}

impl OtExtension {
    /// Every construction, with the name a scenario uses.
    pub const ALL: &[(&'static str, OtExtension)] = &[
        ("iknp", OtExtension::Iknp),
        ("softspoken-2", OtExtension::SoftSpoken2),
        ("softspoken-4", OtExtension::SoftSpoken4),
        ("softspoken-8", OtExtension::SoftSpoken8),
        ("ferret", OtExtension::Ferret),
    ];

    /// The name a scenario uses.
    pub fn name(self) -> &'static str {
        let entry = Self::ALL.iter().find(|(_, extension)| *extension == self);
        entry.expect("every construction is in the list").0
    }

    /// Bits of a group of SoftSpokenOT.
    fn group_bits(self) -> Option<usize> {
        match self {
            OtExtension::Iknp => None,
            OtExtension::SoftSpoken2 => Some(2),
            OtExtension::SoftSpoken4 => Some(4),
            OtExtension::SoftSpoken8 | OtExtension::Ferret => Some(8),
        }
    }

    /// Setup of the party that will be the extension's sender (`up` is what the extension's receiver sends). Call
    /// [`OtExtension::receiver`] at the other party.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    pub fn sender(self, session: &mut Session) -> Result<Box<dyn CotSender>, ProtocolError> {
        let mut rng = session.rng("base OT");
        let point = session.recv(POINT_BYTES)?;
        let Some(k) = self.group_bits() else {
            let (sender, points) = IknpSender::from_base(&mut rng, &point)?;
            session.send(points)?;
            return Ok(Box::new(sender));
        };
        let (sender, points) = PendingSender::from_base(k, &mut rng, &point)?;
        session.send(points)?;
        let mut sender = sender.finish(&session.recv(sums_bytes(k))?)?;
        if self == OtExtension::Ferret {
            let q = CotSender::extend(&mut sender, session, ferret::BOOTSTRAP)?;
            return Ok(Box::new(FerretSender::new(sender.delta(), q)));
        }
        Ok(Box::new(sender))
    }

    /// Setup of the party that will be the extension's receiver.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    pub fn receiver(self, session: &mut Session) -> Result<Box<dyn CotReceiver>, ProtocolError> {
        let mut rng = session.rng("base OT");
        let (base, point) = BaseSender::new(&mut rng);
        session.send(point.to_vec())?;
        let points = session.recv(BASE_OTS * POINT_BYTES)?;
        let Some(k) = self.group_bits() else {
            return Ok(Box::new(IknpReceiver::from_base(base, &points)?));
        };
        let (mut receiver, sums) = SoftSpokenReceiver::from_base(k, base, &points)?;
        session.send(sums)?;
        if self == OtExtension::Ferret {
            let choices = session.rng("silent OT").words::<u64>(ferret::BOOTSTRAP / 64);
            let t = CotReceiver::extend(&mut receiver, session, &choices)?;
            return Ok(Box::new(FerretReceiver::new(&choices, t)));
        }
        Ok(Box::new(receiver))
    }

    /// What the setup costs; `up` from the extension's receiver to its sender.
    pub fn setup_cost(self) -> PhaseCost {
        let base = PhaseCost { rounds: 2, up: POINT_BYTES as u64, down: (POINT_BYTES * BASE_OTS) as u64 };
        let trees = self.group_bits().map(|k| PhaseCost { rounds: 1, up: sums_bytes(k) as u64, down: 0 });
        let bootstrap = match self {
            // In one go with the sums.
            OtExtension::Ferret => PhaseCost { up: 2 * ferret::BOOTSTRAP as u64, ..PhaseCost::default() },
            _ => PhaseCost::default(),
        };
        base + trees.unwrap_or_default() + bootstrap
    }

    /// What [`CotSender::reserve`] of `n` transfers and then `n` transfers cost in all; `up` from the extension's receiver.
    pub fn cost(self, n: u64) -> PhaseCost {
        if self == OtExtension::Ferret {
            return ferret::cost(n);
        }
        PhaseCost { rounds: 1, up: 16 * n / self.group_bits().unwrap_or(1) as u64, down: 0 }
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
        let message = session.recv(iknp::transfer_message_bytes(n))?;
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

impl CotSender for SoftSpokenSender {
    fn delta(&self) -> Block {
        self.delta()
    }

    fn extend(&mut self, session: &mut Session, n: usize) -> Result<Vec<Block>, ProtocolError> {
        let message = session.recv(softspoken::transfer_message_bytes(self.group_bits(), n))?;
        Ok(SoftSpokenSender::extend(self, n, &message)?)
    }
}

impl CotReceiver for SoftSpokenReceiver {
    fn extend(&mut self, session: &mut Session, choices: &[u64]) -> Result<Vec<Block>, ProtocolError> {
        let (message, t) = SoftSpokenReceiver::extend(self, choices);
        session.send(message)?;
        Ok(t)
    }
}
