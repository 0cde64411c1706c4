//! `longhaul explain`: what one cell does, message by message, and where its time comes from, term by term.

use super::{Failure, Format, source};
use anyhow::anyhow;
use comfy_table::CellAlignment;
use longhaul::report::{
    LayerRecord, MessageRecord, Record, SummaryRecord, human_bytes, human_time, plain_table, read_manifest,
    read_records,
};
use longhaul::run::{self, Filter, PhaseMeasurement, Rehearsal, Selection};
use longhaul::scenario::{Link, Scenario};
use longhaul::units::{BitRate, Nanos};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Explain one cell: its messages layer by layer, and the sum that gives its online time
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul explain resnet20/gc/wan\n  longhaul explain resnet20/fss/wan scenarios/protocols.toml\n  longhaul explain resnet20/fused/lan results/quickstart --messages\n\nThe cell is executed once with computing free; measured times come from the results folder, if there are any."
)]
pub struct Args {
    /// The cell: MODEL/PROTOCOL/LINK; * and ? stand for letters
    cell: Filter,
    /// Scenario file or results folder; without one the built-in quickstart
    file: Option<PathBuf>,
    /// Where weights and data sets are looked for, after the scenario's folder and before $LONGHAUL_DATA
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print every message, too
    #[arg(long)]
    messages: bool,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The online time as a sum.
#[derive(Debug, Serialize)]
struct Sum {
    cell: String,
    rounds: u32,
    one_way_latency_s: f64,
    /// rounds x one-way latency
    latency_s: f64,
    bytes_up: u64,
    /// Empty rate: unlimited.
    up_s: f64,
    bytes_down: u64,
    down_s: f64,
    /// What overlaps, or waits in a queue: floor - the terms above.
    overlap_s: f64,
    floor_s: f64,
    measured: Option<Measured>,
}

/// What a results folder says of the cell.
#[derive(Debug, Serialize)]
struct Measured {
    folder: PathBuf,
    runs: u64,
    online_s: f64,
    /// On the critical path of the median run: what computing the link does not hide.
    server_s: f64,
    client_s: f64,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let folder = args.file.as_deref().filter(|file| file.is_dir());
    let file = folder.map_or(args.file.clone(), |folder| Some(folder.join("scenario.toml")));
    let loaded = source::load(file.as_deref(), args.data.as_deref()).map_err(Failure::bad_input)?;
    let selection = selection(&loaded.scenario, &args.cell).map_err(Failure::bad_input)?;
    let cancel = CancellationToken::new();
    let prepared = run::prepare(&loaded.scenario, &selection, run::Part::Whole, &cancel);
    let prepared = prepared.map_err(|error| Failure::bad_input(loaded.blame(error)))?;
    let rehearsal = prepared.rehearse(&cancel)?;
    let results = folder.map_or_else(|| Path::new("results").join(&loaded.scenario.name), Path::to_owned);
    let measured = measured(&results, &loaded.scenario, &rehearsal.messages[0]);
    let sum = sum(&rehearsal, measured);
    let text = match args.format {
        Format::Json => {
            let mut json = serde_json::json!({ "online": sum });
            if args.messages {
                json["messages"] = super::run::rows(&rehearsal.messages)?;
            }
            serde_json::to_string_pretty(&json)?
        }
        Format::Table => {
            let mut text = sum_text(&sum, rehearsal.link);
            write!(text, "\n{}\n{}", layers(&rehearsal.messages), other_phases(&rehearsal.phases))?;
            if args.messages {
                write!(text, "\n{}", messages(&rehearsal.messages))?;
            }
            text
        }
    };
    Ok(super::print(&text)?)
}

/// Exactly one cell.
fn selection(scenario: &Scenario, cell: &Filter) -> anyhow::Result<Selection> {
    let selection = Selection { filters: vec![cell.clone()], shard: None };
    let units = selection.units(scenario);
    let cells: Vec<String> = units
        .iter()
        .flat_map(|unit| {
            let (model, link) = (&scenario.models[unit.model].name, &scenario.links[unit.link].name);
            unit.protocols.iter().map(move |protocol| format!("{model}/{}/{link}", scenario.protocols[*protocol].name))
        })
        .collect();
    match cells.len() {
        // None: preparing says which names there are.
        0 | 1 => Ok(selection),
        more => Err(anyhow!("{cell} are {more} cells; name one of them: {}", cells.join(", "))),
    }
}

/// The measured times of the cell of `message`, if `folder` has results of the same scenario.
fn measured(folder: &Path, scenario: &Scenario, message: &MessageRecord) -> Option<Measured> {
    let manifest = read_manifest(folder.join("manifest.json")).ok()?;
    (manifest.scenario_digest.to_hex().as_str() == scenario.digest()).then_some(())?;
    let summaries: Vec<SummaryRecord> = read_records(folder.join(SummaryRecord::FILE)).ok()?;
    let same = |model: &str, protocol: &str, link: &str| {
        (model, protocol, link) == (&*message.model, &*message.protocol, &*message.link)
    };
    let summary = summaries.iter().find(|row| same(&row.model, &row.protocol, &row.link))?;
    let layers: Vec<LayerRecord> = read_records(folder.join(LayerRecord::FILE)).unwrap_or_default();
    let rows = || layers.iter().filter(|row| same(&row.model, &row.protocol, &row.link));
    Some(Measured {
        folder: folder.to_owned(),
        runs: summary.n,
        online_s: seconds(summary.online_s_median),
        server_s: rows().map(|row| seconds(row.online_path_server_s)).sum(),
        client_s: rows().map(|row| seconds(row.online_path_client_s)).sum(),
    })
}

fn sum(rehearsal: &Rehearsal, measured: Option<Measured>) -> Sum {
    let Rehearsal { link, phases, messages } = rehearsal;
    let online = &phases[2];
    let latency_s = f64::from(online.rounds) * seconds(link.latency);
    let (up_s, down_s) = (sending(online.bytes_up, link.up), sending(online.bytes_down, link.down));
    let MessageRecord { model, protocol, link: over, .. } = &messages[0];
    Sum {
        cell: format!("{model} / {protocol} / {over}"),
        rounds: online.rounds,
        one_way_latency_s: seconds(link.latency),
        latency_s,
        bytes_up: online.bytes_up,
        up_s,
        bytes_down: online.bytes_down,
        down_s,
        overlap_s: seconds(online.floor) - latency_s - up_s - down_s,
        floor_s: seconds(online.floor),
        measured,
    }
}

fn sending(bytes: u64, rate: BitRate) -> f64 {
    if rate == BitRate::UNLIMITED { 0.0 } else { 8.0 * bytes as f64 / rate.0 as f64 }
}

fn seconds(time: Nanos) -> f64 {
    time.0 as f64 * 1e-9
}

/// A signed time.
fn show(seconds: f64) -> String {
    let time = human_time(Nanos((seconds.abs() * 1e9).round() as u64));
    if seconds < -0.5e-9 { format!("-{time}") } else { time }
}

fn sum_text(sum: &Sum, link: &Link) -> String {
    let mut lines = vec![
        (
            "  rounds (one way) x one-way latency".to_string(),
            format!("{} x {}", sum.rounds, show(sum.one_way_latency_s)),
            show(sum.latency_s),
        ),
        (
            "+ bytes, client to server / rate".to_string(),
            format!("{} / {}", human_bytes(sum.bytes_up), link.up),
            show(sum.up_s),
        ),
        (
            "+ bytes, server to client / rate".to_string(),
            format!("{} / {}", human_bytes(sum.bytes_down), link.down),
            show(sum.down_s),
        ),
        ("+ headers, less what is under way at the same time".to_string(), String::new(), show(sum.overlap_s)),
        ("= floor: if computing took no time".to_string(), String::new(), show(sum.floor_s)),
    ];
    if let Some(measured) = &sum.measured {
        let rest = measured.online_s - sum.floor_s - measured.server_s - measured.client_s;
        lines.extend([
            ("+ server computing that nothing hides".to_string(), String::new(), show(measured.server_s)),
            ("+ client computing that nothing hides".to_string(), String::new(), show(measured.client_s)),
            ("+ less bandwidth, hidden behind that computing".to_string(), String::new(), show(rest)),
            (
                format!("= online, median of {} runs", measured.runs),
                format!("in {}", measured.folder.display()),
                show(measured.online_s),
            ),
        ]);
    }
    let width = |part: fn(&(String, String, String)) -> &String| {
        lines.iter().map(|line| part(line).chars().count()).max().unwrap_or(0)
    };
    let (terms, factors, times) = (width(|line| &line.0), width(|line| &line.1), width(|line| &line.2));
    let mut text = format!("{}: one query, online\n\n", sum.cell);
    for (term, factor, time) in &lines {
        writeln!(text, "{term:<terms$}  {factor:>factors$}  {time:>times$}").expect("a string takes everything");
    }
    if sum.measured.is_none() {
        text += "\nNot measured here yet: `longhaul run` the scenario, and the computing is added.\n";
    }
    text
}

/// Online messages by layer and direction.
fn layers(messages: &[MessageRecord]) -> String {
    let mut table =
        plain_table(["layer", "kind", "direction", "messages", "bytes", "rounds", "first sent", "last arrives"]);
    (1..3).for_each(|column| {
        table.column_mut(column).expect("a column").set_cell_alignment(CellAlignment::Left);
    });
    let online: Vec<&MessageRecord> = messages.iter().filter(|message| message.phase == "online").collect();
    for group in online.chunk_by(|a, b| a.layer == b.layer) {
        let mut directions: Vec<(&str, &str)> = group.iter().map(|message| (&*message.from, &*message.to)).collect();
        directions.dedup();
        directions.sort_by_key(|direction| group.iter().position(|m| (&*m.from, &*m.to) == *direction));
        directions.dedup();
        for (from, to) in directions {
            let sent = || group.iter().filter(|message| (&*message.from, &*message.to) == (from, to));
            let rounds = (sent().map(|m| m.round).min().unwrap_or(0), sent().map(|m| m.round).max().unwrap_or(0));
            table.add_row([
                group[0].name.clone(),
                group[0].kind.clone(),
                format!("{from} to {to}"),
                sent().count().to_string(),
                human_bytes(sent().map(|message| message.bytes).sum()),
                if rounds.0 == rounds.1 { rounds.0.to_string() } else { format!("{} to {}", rounds.0, rounds.1) },
                human_time(sent().map(|message| message.sent_s).min().unwrap_or_default()),
                human_time(sent().map(|message| message.arrives_s).max().unwrap_or_default()),
            ]);
        }
    }
    format!(
        "Messages online, computing free (a layer that streams appears with each of its chunks' turns):\n{}\n",
        table.trim_fmt()
    )
}

fn other_phases(phases: &[PhaseMeasurement; 3]) -> String {
    let line = |what: &str, phase: &PhaseMeasurement| {
        format!(
            "{what}: {} up, {} down, {} from the dealer, {} rounds; {} if computing took no time\n",
            human_bytes(phase.bytes_up),
            human_bytes(phase.bytes_down),
            human_bytes(phase.dealer_server + phase.dealer_client),
            phase.rounds,
            human_time(phase.floor)
        )
    };
    line("Before it, for this query (offline)", &phases[1]) + &line("Once per model and pair (setup)", &phases[0])
}

fn messages(messages: &[MessageRecord]) -> String {
    let mut table = plain_table(["phase", "round", "from", "to", "layer", "bytes", "sent", "arrives"]);
    for message in messages {
        table.add_row([
            message.phase.clone(),
            message.round.to_string(),
            message.from.clone(),
            message.to.clone(),
            message.name.clone(),
            message.bytes.to_string(),
            human_time(message.sent_s),
            human_time(message.arrives_s),
        ]);
    }
    format!("Every message; each phase has a clock of its own:\n{}\n", table.trim_fmt())
}
