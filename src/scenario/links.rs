//! `[[link]]`: the links the parties talk over.

use serde::Serialize;

use super::catalogue::Catalogue;
use super::error::ScenarioError;
use super::sections::LINK;
use super::table::{Names, Table};
use crate::units::{BitRate, Bytes, Nanos};

/// A link between client and server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What results call it; unique.
    pub name: String,
    /// Id of a link model.
    pub model: String,
    /// One way: half the round-trip time.
    pub latency: Nanos,
    /// Client to server; above zero, maybe [`BitRate::UNLIMITED`].
    pub up: BitRate,
    /// Server to client; above zero, maybe [`BitRate::UNLIMITED`].
    pub down: BitRate,
    /// The most bytes of a message that one packet carries, above zero; `None`: no packets.
    pub packet_payload: Option<Bytes>,
    /// Bytes of headers that every packet adds; zero without packets.
    pub packet_overhead: Bytes,
}

const DEFAULT_MODEL: &str = "ideal";

pub(super) fn read(top: &Table<'_>, catalogue: &Catalogue) -> Result<Vec<Link>, ScenarioError> {
    let mut names = Names::default();
    let mut link = |table: &Table<'_>| {
        let at = table.require("name", "name = \"wan\"")?;
        let name = at.label()?;
        names.claim(name, &at)?;
        let (up, down) = rates(table)?;
        let (packet_payload, packet_overhead) = packets(table)?;
        Ok(Link {
            name: name.to_owned(),
            model: model(table, catalogue)?,
            latency: latency(table)?,
            up,
            down,
            packet_payload,
            packet_overhead,
        })
    };
    let tables = top.entries("link", &LINK)?;
    tables.iter().map(&mut link).collect()
}

fn model(table: &Table<'_>, catalogue: &Catalogue) -> Result<String, ScenarioError> {
    let Some(value) = table.get("model") else {
        return Ok(DEFAULT_MODEL.to_owned());
    };
    let model = value.text()?;
    if !catalogue.link_models.contains(&model) {
        return Err(value.unknown_word(model, &catalogue.link_models));
    }
    Ok(model.to_owned())
}

fn latency(table: &Table<'_>) -> Result<Nanos, ScenarioError> {
    if let Some(value) = table.get("latency") {
        if table.get("rtt").is_some() {
            return Err(value.error("stands beside rtt", "write either rtt or latency: the latency is half the rtt"));
        }
        return value.quantity();
    }
    let value = table.require("rtt", "rtt = \"100 ms\"")?;
    let Nanos(rtt) = value.quantity()?;
    if rtt % 2 != 0 {
        return Err(value.error(
            format!("{rtt} ns cannot be halved: each way takes half the round trip"),
            format!("write \"{} ns\" or \"{} ns\"", rtt - 1, rtt.saturating_add(1)),
        ));
    }
    Ok(Nanos(rtt / 2))
}

fn rates(table: &Table<'_>) -> Result<(BitRate, BitRate), ScenarioError> {
    if let Some(value) = table.get("bandwidth") {
        if let Some(key) = ["up", "down"].iter().find(|key| table.get(key).is_some()) {
            return Err(value
                .error(format!("stands beside {key}"), "write either bandwidth, for both directions, or up and down"));
        }
        let both = rate(table, "bandwidth")?;
        return Ok((both, both));
    }
    match (table.get("up"), table.get("down")) {
        (None, None) => {
            Err(table
                .missing("bandwidth", "add for example bandwidth = \"100 Mbit/s\" (or \"unlimited\"), or up and down"))
        }
        _ => Ok((rate(table, "up")?, rate(table, "down")?)),
    }
}

fn rate(table: &Table<'_>, key: &str) -> Result<BitRate, ScenarioError> {
    let value = table.require(key, &format!("{key} = \"100 Mbit/s\""))?;
    match value.quantity()? {
        BitRate(0) => {
            Err(value.error("nothing would ever arrive at this rate", "write a rate above 0, or \"unlimited\""))
        }
        rate => Ok(rate),
    }
}

fn packets(table: &Table<'_>) -> Result<(Option<Bytes>, Bytes), ScenarioError> {
    let overhead = table.get("packet_overhead");
    let Some(payload) = table.get("packet_payload") else {
        return match overhead {
            Some(value) => {
                Err(value.error("stands without packet_payload", "add for example packet_payload = \"1448 B\""))
            }
            None => Ok((None, Bytes(0))),
        };
    };
    let bytes: Bytes = payload.quantity()?;
    if bytes == Bytes(0) {
        return Err(payload.error("a packet must carry something", "write for example \"1448 B\""));
    }
    let overhead = overhead.map_or(Ok(Bytes(0)), |value| value.quantity())?;
    Ok((Some(bytes), overhead))
}
