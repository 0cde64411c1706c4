//! `longhaul list`: what scenarios can name.

use super::{Failure, Format};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use longhaul::nn::arch::{self, Architecture, Options, Pool, Shortcut};
use longhaul::nn::weights::Zeros;
use longhaul::protocol::activation::{ActivationSpec, Family, PROTOCOLS, ProtocolEntry};
use longhaul::protocol::{Function, Polynomial};
use longhaul::report::plain_table;
use longhaul::scenario::{LINK_PRESETS, LinkPreset};
use longhaul::units::Nanos;
use serde::Serialize;

/// List the protocols, the models or the links that a scenario can name
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul list protocols\n  longhaul list models --format json\n  longhaul list links"
)]
pub struct Args {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Activation protocols: `[[protocol]] id = "..."`
    Protocols,
    /// Built-in architectures: `[[model]] arch = "..."`
    Models,
    /// Links that have a name: `[[link]] preset = "..."`
    Links,
}

#[derive(Serialize)]
struct LinkRow {
    id: &'static str,
    rtt: String,
    up: String,
    down: String,
    jitter: String,
    loss: f64,
    summary: &'static str,
}

#[derive(Serialize)]
struct ProtocolRow {
    id: &'static str,
    family: &'static str,
    rounds: u32,
    online_bytes_per_activation: f64,
    offline_bytes_per_activation: f64,
    dealer: bool,
    exact: bool,
    settings: Vec<&'static str>,
    summary: &'static str,
    source: &'static str,
}

#[derive(Serialize)]
struct ModelRow {
    id: &'static str,
    parameters: u64,
    activation_layers: u64,
    activations: u64,
    input: String,
    classes: u64,
    pools: Vec<&'static str>,
    shortcuts: Vec<&'static str>,
    summary: &'static str,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let text = match (args.what, args.format) {
        (What::Protocols, Format::Json) => serde_json::to_string_pretty(&protocols())?,
        (What::Protocols, Format::Table) => protocol_table(),
        (What::Models, Format::Json) => serde_json::to_string_pretty(&models()?)?,
        (What::Models, Format::Table) => model_table()?,
        (What::Links, Format::Json) => serde_json::to_string_pretty(&links())?,
        (What::Links, Format::Table) => link_table(),
    };
    Ok(super::print(&text)?)
}

fn protocols() -> Vec<ProtocolRow> {
    PROTOCOLS.iter().map(protocol_row).collect()
}

/// Declared costs per activation of a large layer at 16 fractional bits; polynomials of degree 4. Offline counts the
/// messages between the parties and the dealer's.
fn protocol_row(entry: &'static ProtocolEntry) -> ProtocolRow {
    let elements = 1 << 20;
    let function = match entry.family {
        Family::Relu => Function::Relu,
        Family::Polynomial => Function::Polynomial(Polynomial::named("relu-d4").expect("a polynomial of the table")),
    };
    let cost = entry.protocol.cost(&ActivationSpec {
        function,
        elements,
        input_bits: 32,
        output_bits: 16,
        settings: Default::default(),
    });
    let per_activation = |bytes: u64| (bytes as f64 / elements as f64 * 100.0).round() / 100.0;
    ProtocolRow {
        id: entry.id,
        family: match entry.family {
            Family::Relu => "relu",
            Family::Polynomial => "polynomial",
        },
        rounds: cost.online.rounds,
        online_bytes_per_activation: per_activation(cost.online.up + cost.online.down),
        offline_bytes_per_activation: per_activation(
            cost.offline.up + cost.offline.down + cost.dealer_server + cost.dealer_client,
        ),
        dealer: entry.dealer,
        exact: entry.exact,
        settings: entry.settings.iter().map(|setting| setting.key()).collect(),
        summary: entry.summary,
        source: entry.source,
    }
}

fn links() -> Vec<LinkRow> {
    let row = |preset: &LinkPreset| LinkRow {
        id: preset.id,
        rtt: Nanos(2 * preset.latency.0).to_string(),
        up: preset.up.to_string(),
        down: preset.down.to_string(),
        jitter: preset.jitter.to_string(),
        loss: preset.loss,
        summary: preset.summary,
    };
    LINK_PRESETS.iter().map(row).collect()
}

fn link_table() -> String {
    let mut table = plain_table(["preset", "rtt", "up", "down", "jitter", "loss", "what"]);
    for LinkRow { id, rtt, up, down, jitter, loss, summary } in links() {
        table.add_row([id, &rtt, &up, &down, &jitter, &loss.to_string(), summary]);
    }
    let models = longhaul::link::models().iter().map(|model| format!("model = {:?}: {}", model.id, model.summary));
    format!("{}\n\n{}", table.trim_fmt(), models.collect::<Vec<_>>().join("\n"))
}

fn models() -> anyhow::Result<Vec<ModelRow>> {
    arch::all().iter().map(model_row).collect()
}

/// Counted on the network with default options and no weights: shapes do not depend on them.
fn model_row(architecture: &'static Architecture) -> anyhow::Result<ModelRow> {
    let graph = (architecture.build)(&Options::default(), &mut Zeros)?;
    let input = architecture.input;
    Ok(ModelRow {
        id: architecture.id,
        parameters: graph.parameters() as u64,
        activation_layers: graph.activation_layers() as u64,
        activations: graph.activations() as u64,
        input: format!("{}x{}x{}", input.h, input.w, input.c),
        classes: architecture.classes as u64,
        pools: architecture.pools.iter().map(Pool::name).collect(),
        shortcuts: architecture.shortcuts.iter().map(Shortcut::name).collect(),
        summary: architecture.summary,
    })
}

/// The widest a table gets, whatever the terminal: a reader's window, a log, a README.
const MAX_WIDTH: u16 = 110;

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let width = table.width().map_or(MAX_WIDTH, |width| width.min(MAX_WIDTH));
    table
        .set_width(width)
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// Summary, source and settings, a line each.
fn about(row: &ProtocolRow) -> String {
    let takes = if row.settings.is_empty() { String::new() } else { format!("\ntakes {}", row.settings.join(", ")) };
    format!("{}\n{}{takes}", row.summary, row.source)
}

fn protocol_table() -> String {
    let mut table =
        table(&["id", "family", "rounds", "online B", "offline B", "dealer", "exact", "what, and after whom"]);
    for row in protocols() {
        let yes = |flag| if flag { "yes" } else { "no" }.to_string();
        table.add_row([
            row.id.to_string(),
            row.family.into(),
            row.rounds.to_string(),
            row.online_bytes_per_activation.to_string(),
            row.offline_bytes_per_activation.to_string(),
            yes(row.dealer),
            yes(row.exact),
            about(&row),
        ]);
    }
    format!(
        "{table}\nrounds: one way, one layer, online. Bytes: per activation, both directions and the dealer's, without\n\
         the next linear layer; degree 4."
    )
}

/// Summary and what can be chosen, a line each.
fn options(row: &ModelRow) -> String {
    let choices = [("pool", &row.pools), ("shortcut", &row.shortcuts)];
    let offered = choices.into_iter().filter(|(_, values)| !values.is_empty());
    let lines = offered.map(|(what, values)| format!("\n{what}: {}", values.join(", ")));
    row.summary.to_string() + &lines.collect::<String>()
}

fn model_table() -> anyhow::Result<String> {
    let mut table = table(&["id", "parameters", "activation layers", "activations", "input", "classes", "what"]);
    for row in models()? {
        table.add_row([
            row.id.to_string(),
            row.parameters.to_string(),
            row.activation_layers.to_string(),
            row.activations.to_string(),
            row.input.clone(),
            row.classes.to_string(),
            options(&row),
        ]);
    }
    Ok(format!("{table}\nCounts are those of the first options and of as many classes as shown."))
}
