//! `[[link]]`: the links the parties talk over.

use std::path::Path;

use serde::Serialize;

use super::catalogue::{Catalogue, KnownLinkModel};
use super::error::{ScenarioError, Source};
use super::presets::{LINK_PRESETS, LinkPreset};
use super::sections::LINK;
use super::table::{Names, Table};
use crate::units::{BitRate, Bytes, Nanos};

/// A link between client and server.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// Messages arrive up to this much later, in order all the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter: Nanos,
    /// For models that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// How the connection over a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Transport {
    /// Segments that a fresh connection sends before the first acknowledgement.
    pub initial_window: u64,
    /// The most unacknowledged bytes.
    pub max_window: Bytes,
    /// Bytes that wait before the link; one more segment is lost. `None`: any number.
    pub queue: Option<Bytes>,
    /// Whether idleness closes the window.
    pub idle_restart: bool,
    /// Whether the connection knows the path when a phase begins.
    pub warm: bool,
    /// Probability that a segment is lost.
    pub loss: f64,
}

/// What only models with a transport have.
pub(super) const TRANSPORT_KEYS: [&str; 6] = ["initial_window", "max_window", "queue", "idle_restart", "warm", "loss"];

fn is_zero(time: &Nanos) -> bool {
    *time == Nanos(0)
}

const DEFAULT_MODEL: &str = "ideal";

pub(super) fn read(top: &Table<'_>, catalogue: &Catalogue) -> Result<Vec<Link>, ScenarioError> {
    let mut names = Names::default();
    let mut link = |table: &Table<'_>| {
        let at = table.require("name", "name = \"wan\"")?;
        let name = at.label()?;
        names.claim(name, &at)?;
        let preset = preset(table)?;
        let model = model(table, catalogue)?;
        let (up, down) = rates(table, preset)?;
        let (packet_payload, packet_overhead) = packets(table)?;
        let jitter = table.read("jitter", preset.map_or(Nanos(0), |preset| preset.jitter), |value| value.quantity())?;
        Ok(Link {
            name: name.to_owned(),
            model: model.id.to_owned(),
            latency: latency(table, preset)?,
            up,
            down,
            packet_payload,
            packet_overhead,
            jitter,
            transport: transport(table, model, preset)?,
        })
    };
    let tables = top.entries("link", &LINK)?;
    tables.iter().map(&mut link).collect()
}

/// A link in one line: the keys of `[[link]]` without quotes, `rtt=100 ms, bandwidth=100 Mbit/s, model=tcp`; a word alone is a
/// preset: `satellite, model=tcp`. Its name is the line.
///
/// # Errors
/// As for a scenario; places are those in the `[[link]]` that the line stands for, which the error shows.
pub fn parse_link(line: &str, catalogue: &Catalogue) -> Result<Link, ScenarioError> {
    let mut text = String::from("[[link]]\nname = \"link\"\n");
    for item in line.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (key, value) = item.split_once('=').map_or(("preset", item), |(key, value)| (key.trim(), value.trim()));
        let is_bare = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
        let value = if is_bare { value.to_owned() } else { format!("{:?}", value.trim_matches('"')) };
        text.push_str(&format!("{key} = {value}\n"));
    }
    let source = Source { file: Path::new("link"), text: &text };
    let document = source.document()?;
    let links = read(&Table::document(source, &document)?, catalogue)?;
    let mut links = links.into_iter();
    let link = links.next().expect("the text has one");
    Ok(Link { name: line.trim().to_owned(), ..link })
}

fn preset(table: &Table<'_>) -> Result<Option<&'static LinkPreset>, ScenarioError> {
    let words: Vec<_> = LINK_PRESETS.iter().map(|preset| (preset.id, preset)).collect();
    table.read("preset", None, |value| value.word(&words).map(Some))
}

fn model(table: &Table<'_>, catalogue: &Catalogue) -> Result<KnownLinkModel, ScenarioError> {
    let known: Vec<_> = catalogue.link_models.iter().map(|model| (model.id, *model)).collect();
    match table.get("model") {
        Some(value) => value.word(&known),
        None => Ok(KnownLinkModel { id: DEFAULT_MODEL, transport: false }),
    }
}

fn latency(table: &Table<'_>, preset: Option<&LinkPreset>) -> Result<Nanos, ScenarioError> {
    if let Some(value) = table.get("latency") {
        if table.get("rtt").is_some() {
            return Err(value.error("stands beside rtt", "write either rtt or latency: the latency is half the rtt"));
        }
        return value.quantity();
    }
    let value = match (table.get("rtt"), preset) {
        (None, Some(preset)) => return Ok(preset.latency),
        (Some(value), _) => value,
        (None, None) => table.require("rtt", "rtt = \"100 ms\"")?,
    };
    let Nanos(rtt) = value.quantity()?;
    if rtt % 2 != 0 {
        return Err(value.error(
            format!("{rtt} ns cannot be halved: each way takes half the round trip"),
            format!("write \"{} ns\" or \"{} ns\"", rtt - 1, rtt.saturating_add(1)),
        ));
    }
    Ok(Nanos(rtt / 2))
}

fn rates(table: &Table<'_>, preset: Option<&LinkPreset>) -> Result<(BitRate, BitRate), ScenarioError> {
    if let Some(value) = table.get("bandwidth") {
        if let Some(key) = ["up", "down"].iter().find(|key| table.get(key).is_some()) {
            return Err(value
                .error(format!("stands beside {key}"), "write either bandwidth, for both directions, or up and down"));
        }
        let both = rate(table, "bandwidth", None)?;
        return Ok((both, both));
    }
    if preset.is_none() && table.get("up").is_none() && table.get("down").is_none() {
        return Err(
            table.missing("bandwidth", "add for example bandwidth = \"100 Mbit/s\" (or \"unlimited\"), or up and down")
        );
    }
    let up = rate(table, "up", preset.map(|preset| preset.up))?;
    Ok((up, rate(table, "down", preset.map(|preset| preset.down))?))
}

fn rate(table: &Table<'_>, key: &str, preset: Option<BitRate>) -> Result<BitRate, ScenarioError> {
    let value = match (table.get(key), preset) {
        (None, Some(preset)) => return Ok(preset),
        _ => table.require(key, &format!("{key} = \"100 Mbit/s\""))?,
    };
    match value.quantity()? {
        BitRate(0) => {
            Err(value.error("nothing would ever arrive at this rate", "write a rate above 0, or \"unlimited\""))
        }
        rate => Ok(rate),
    }
}

fn transport(
    table: &Table<'_>,
    model: KnownLinkModel,
    preset: Option<&LinkPreset>,
) -> Result<Option<Transport>, ScenarioError> {
    if !model.transport {
        return match TRANSPORT_KEYS.iter().find_map(|key| table.get(key)) {
            Some(value) => {
                Err(value
                    .error(format!("has no meaning for model \"{}\"", model.id), "remove it, or add model = \"tcp\""))
            }
            None => Ok(None),
        };
    }
    let max_window = table.read("max_window", Bytes(6 << 20), |value| match value.quantity()? {
        Bytes(0) => Err(value.error("no segment fits", "write for example \"6 MiB\"")),
        bytes => Ok(bytes),
    })?;
    let loss = table.read("loss", preset.map_or(0.0, |preset| preset.loss), |value| match value.float()? {
        loss if (0.0..=0.5).contains(&loss) => Ok(loss),
        loss => Err(value.error(format!("{loss} is out of range"), "write a probability from 0 to 0.5: 0.001")),
    })?;
    Ok(Some(Transport {
        initial_window: table.read("initial_window", 10, |value| value.integer(1..=1000))?,
        max_window,
        queue: table.read("queue", None, |value| value.quantity().map(Some))?,
        idle_restart: table.read("idle_restart", true, |value| value.boolean())?,
        warm: table.read("warm", false, |value| value.boolean())?,
        loss,
    }))
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
