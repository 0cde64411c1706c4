//! The first words of a connection: who means which execution.
//!
//! Whoever connects says a [`Hello`]; the other side answers whether it takes part. A party takes part only if version,
//! scenario and shape of the network are the same on both sides: two programs that disagree would otherwise find out by a
//! wrong result.

use super::NetError;
use super::frame::Frame;
use super::tls::printable;
use crate::link::Party;
use serde::{Deserialize, Serialize};

/// Version of what is on the wire.
const WIRE_VERSION: u32 = 2;

/// Names one execution among a party's sessions: random, made by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session([u8; 16]);

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The program's version.
    pub longhaul: String,
    /// The wire's version.
    pub wire: u32,
    pub session: Session,
    pub purpose: Purpose,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// One execution.
    Query(Offer),
    /// A second connection of the session, for its online phase.
    Online,
    /// The link is to be measured.
    Probe,
}

/// Which execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// Digest of the scenario.
    pub scenario: String,
    /// Digest of the plan: every shape, scale and step.
    pub plan: String,
    /// Names of the cell.
    pub model: String,
    pub protocol: String,
    pub link: String,
    /// Whether the online phase gets a connection of its own.
    pub fresh: bool,
    /// After how long the client gives up a peer of which it hears nothing, ms.
    pub silence_ms: u64,
    /// Bytes of padding that server and client send each other before the online phase.
    pub warm_up: u64,
    /// Insecure: the randomness follows from the scenario's seed, this round and this image.
    pub seeded: Option<(u32, usize)>,
}

/// What the other side says to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Accepted,
    Refused { reason: String },
}

impl Session {
    /// A new one.
    pub fn random() -> Session {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        Session(bytes)
    }
}

impl Serialize for Session {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Session, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = match text.len() {
            32 => u128::from_str_radix(&text, 16).ok(),
            _ => None,
        };
        number.map(|number| Session(number.to_be_bytes())).ok_or_else(|| serde::de::Error::custom("no session"))
    }
}

impl Hello {
    /// One of this version.
    pub fn new(session: Session, purpose: Purpose) -> Hello {
        Hello { longhaul: env!("CARGO_PKG_VERSION").to_owned(), wire: WIRE_VERSION, session, purpose }
    }

    /// As a frame.
    pub fn encode(&self) -> Vec<u8> {
        Frame::control(&serde_json::to_vec(self).expect("no maps with keys that are no text"))
    }

    /// # Errors
    /// What to tell the other side.
    pub fn decode(json: &[u8]) -> Result<Hello, String> {
        let value: serde_json::Value = serde_json::from_slice(json).map_err(|_| "its first words are no JSON")?;
        // The versions first: of another one nothing else need make sense.
        let version = value["longhaul"].as_str().unwrap_or("unknown");
        let own = env!("CARGO_PKG_VERSION");
        if version != own || value["wire"] != WIRE_VERSION {
            return Err(format!(
                "version {}, wire {}, does not fit version {own}, wire {WIRE_VERSION}; run the same version on all machines",
                printable(version),
                value["wire"],
            ));
        }
        serde_json::from_value(value).map_err(|error| format!("its first words make no sense: {error}"))
    }
}

impl Answer {
    /// As a frame.
    pub fn encode(&self) -> Vec<u8> {
        let answer = match self {
            Answer::Accepted => Answer::Accepted,
            // It may quote what the other side said, at length.
            Answer::Refused { reason } => Answer::Refused { reason: printable(reason) },
        };
        Frame::control(&serde_json::to_vec(&answer).expect("no maps"))
    }

    /// # Errors
    /// [`NetError::Nonsense`].
    pub fn decode(peer: Party, json: &[u8]) -> Result<Answer, NetError> {
        let wrong = |error: serde_json::Error| NetError::Nonsense {
            peer: peer.to_string(),
            cause: printable(&error.to_string()),
        };
        serde_json::from_slice(json).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hellos_come_back_and_other_versions_are_told_apart() {
        let offer = Offer {
            scenario: "ab".into(),
            plan: "cd".into(),
            model: "m".into(),
            protocol: "p".into(),
            link: "l".into(),
            fresh: true,
            silence_ms: 60_000,
            warm_up: 5,
            seeded: Some((1, 2)),
        };
        for purpose in [Purpose::Query(offer), Purpose::Online, Purpose::Probe] {
            let hello = Hello::new(Session::random(), purpose);
            assert_eq!(Hello::decode(&hello.encode()[5..]), Ok(hello));
        }
        let other = r#"{"longhaul":"9.0.0","wire":7,"something":"new"}"#;
        let said = Hello::decode(other.as_bytes()).expect_err("another version");
        assert!(said.contains("version 9.0.0, wire 7, does not fit"), "{said}");
        let strange =
            format!(r#"{{"longhaul":"{}","wire":{WIRE_VERSION},"session":"xyz"}}"#, env!("CARGO_PKG_VERSION"));
        assert!(Hello::decode(strange.as_bytes()).expect_err("no session").contains("no session"));
        assert!(Hello::decode(b"GET / HTTP/1.1").is_err());
    }
}
