//! `longhaul inspect`: what a network is made of, and what each protocol will cost on it, before anything runs.

use super::{Failure, Format, list};
use comfy_table::CellAlignment;
use longhaul::nn::arch::{self, Options, Pool, Shortcut};
use longhaul::nn::graph::{Graph, Op};
use longhaul::nn::onnx;
use longhaul::nn::secure::{Method, Slot, lower};
use longhaul::nn::weights::Zeros;
use longhaul::protocol::activation::{Family, PROTOCOLS, ProtocolEntry};
use longhaul::protocol::{Function, Polynomial};
use longhaul::report::human_bytes;
use longhaul::scenario::PoolChoice;
use serde::Serialize;
use std::path::Path;

/// Show a network's layers, sizes and activation slots, and each protocol's bytes and rounds on it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul inspect resnet50\n  longhaul inspect vgg16 --classes 100 --pool max\n  longhaul inspect resnet20 --format json\n  longhaul inspect model.onnx"
)]
pub struct Args {
    /// A built-in architecture (see `longhaul list models`), or an .onnx file
    model: String,
    /// Number of logits, if not the architecture's own; a file has its own
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    classes: Option<u32>,
    /// Kind of pooling, for an architecture that has the choice
    #[arg(long, value_parser = ["average", "max"])]
    pool: Option<String>,
    /// Kind of shortcuts, for an architecture that has the choice
    #[arg(long, value_parser = ["A", "B"])]
    shortcut: Option<String>,
    /// Fractional bits of the fixed-point format
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=20))]
    frac_bits: u32,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Serialize)]
struct Report {
    model: String,
    input: String,
    classes: u64,
    /// Of the layers shown, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'static str>,
    parameters: u64,
    activation_layers: u64,
    activations: u64,
    layers: Vec<Layer>,
    protocols: Vec<Prediction>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    kind: &'static str,
    /// Height, width, channels of the result.
    shape: [usize; 3],
    parameters: u64,
    /// Number of the activation slot, as scenarios count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<usize>,
    /// What the slot computes unless a scenario replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
}

/// One query with every slot under one protocol; polynomials of degree 4.
#[derive(Serialize)]
struct Prediction {
    protocol: &'static str,
    /// The pooling predicted for, where there is a choice: that of the protocol's family unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'static str>,
    /// Why the protocol cannot run on the network; the costs are then absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    cost: Option<PredictedCost>,
}

#[derive(Serialize)]
struct PredictedCost {
    online_rounds: u32,
    online_bytes_up: u64,
    online_bytes_down: u64,
    offline_bytes_up: u64,
    offline_bytes_down: u64,
    setup_bytes_up: u64,
    setup_bytes_down: u64,
    dealer_bytes_server: u64,
    dealer_bytes_client: u64,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let networks = networks(args)?;
    let (pool, graph) = &networks[0];
    let report = Report {
        model: args.model.clone(),
        input: show(graph.input_shape().h, graph.input_shape().w, graph.input_shape().c),
        classes: graph.classes() as u64,
        parameters: graph.parameters() as u64,
        activation_layers: graph.activation_layers() as u64,
        activations: graph.activations() as u64,
        pool: pool.map(|pool| pool.name()),
        layers: layers(graph),
        protocols: PROTOCOLS.iter().map(|entry| predict(&networks, entry, args.frac_bits)).collect(),
    };
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Table => tables(&report),
    };
    Ok(super::print(&text)?)
}

/// The network, with its pooling where there is a choice; unless the user made it, once with averages and once with
/// maxima.
type Networks = Vec<(Option<Pool>, Graph)>;

fn networks(args: &Args) -> Result<Networks, Failure> {
    let path = Path::new(&args.model);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        return Ok(vec![(None, imported(args)?)]);
    }
    let Some(architecture) = arch::find(&args.model) else {
        let ids: Vec<_> = arch::all().iter().map(|architecture| architecture.id).collect();
        let error = match path.exists() {
            true => anyhow::anyhow!("{}: the name of a network's file must end in .onnx", args.model),
            false => anyhow::anyhow!("there is no architecture \"{}\"; known: {}", args.model, ids.join(", ")),
        };
        return Err(Failure::bad_input(error));
    };
    let pool = args.pool.as_deref().and_then(|name| Pool::ALL.into_iter().find(|pool| pool.name() == name));
    let shortcut = args.shortcut.as_deref().and_then(|name| Shortcut::ALL.into_iter().find(|s| s.name() == name));
    let refused = [
        ("pool", pool.is_some_and(|pool| !architecture.pools.contains(&pool))),
        ("shortcut", shortcut.is_some_and(|shortcut| !architecture.shortcuts.contains(&shortcut))),
    ];
    if let Some((option, _)) = refused.into_iter().find(|(_, refused)| *refused) {
        let error = anyhow::anyhow!("\"{}\" has no such choice of --{option}; see `longhaul list models`", args.model);
        return Err(Failure::bad_input(error));
    }
    let pools = match (pool, architecture.pools) {
        (Some(pool), _) => vec![Some(pool)],
        (None, []) => vec![None],
        (None, pools) => pools.iter().copied().map(Some).collect(),
    };
    let network = |pool: Option<Pool>| {
        let options = Options {
            classes: args.classes.map(|classes| classes as usize),
            pool: pool.unwrap_or_default(),
            shortcut: shortcut.or(architecture.shortcuts.first().copied()).unwrap_or_default(),
        };
        Ok((pool, (architecture.build)(&options, &mut Zeros)?))
    };
    pools.into_iter().map(network).collect()
}

/// The network of a file, which leaves no choices.
fn imported(args: &Args) -> Result<Graph, Failure> {
    if let Some(option) =
        [("pool", &args.pool), ("shortcut", &args.shortcut)].iter().find(|(_, option)| option.is_some())
    {
        let error = anyhow::anyhow!("{}: an ONNX file leaves no choice of --{}; remove it", args.model, option.0);
        return Err(Failure::bad_input(error));
    }
    let graph = onnx::load(Path::new(&args.model)).map_err(Failure::bad_input)?;
    match args.classes {
        Some(classes) if classes as usize != graph.classes() => {
            let actual = graph.classes();
            let error = anyhow::anyhow!("{} has {actual} logits, not {classes}; remove --classes", args.model);
            Err(Failure::bad_input(error))
        }
        _ => Ok(graph),
    }
}

fn layers(graph: &Graph) -> Vec<Layer> {
    let layer = |node: &longhaul::nn::graph::Node| Layer {
        name: node.name.clone(),
        kind: node.op.kind(),
        shape: [node.shape.h, node.shape.w, node.shape.c],
        parameters: node.op.parameters() as u64,
        slot: match node.op {
            Op::Activation { slot, .. } => Some(slot),
            _ => None,
        },
        function: match &node.op {
            Op::Activation { function: Function::Relu, .. } => Some("relu".to_string()),
            Op::Activation { function: Function::Relu6, .. } => Some("relu6".to_string()),
            Op::Activation { function: Function::Polynomial(polynomial), .. } => {
                Some(format!("polynomial, degree {}", polynomial.degree()))
            }
            _ => None,
        },
    };
    graph.nodes.iter().map(layer).collect()
}

/// The protocol in every slot: a polynomial one keeps the network's polynomials.
fn predict(networks: &Networks, entry: &'static ProtocolEntry, frac_bits: u32) -> Prediction {
    let of_family = Some(PoolChoice::Family.under(entry.family));
    let (pool, graph) = networks.iter().find(|(pool, _)| *pool == of_family).unwrap_or(&networks[0]);
    let method = Method { entry, settings: Default::default() };
    let function = |native: Function| match (entry.family, native) {
        (Family::Polynomial, Function::Relu | Function::Relu6) => {
            Function::Polynomial(Polynomial::named("relu-d4").expect("a polynomial of the table"))
        }
        (_, native) => native,
    };
    let slots: Vec<Slot> =
        graph.functions().into_iter().map(|native| Slot { function: function(native), method }).collect();
    let cost = lower(graph, &slots, frac_bits).map(|plan| plan.predicted_cost());
    Prediction {
        protocol: entry.id,
        pool: pool.map(|pool| pool.name()),
        refused: cost.as_ref().err().map(ToString::to_string),
        cost: cost.ok().map(|cost| PredictedCost {
            online_rounds: cost.online.rounds,
            online_bytes_up: cost.online.up,
            online_bytes_down: cost.online.down,
            offline_bytes_up: cost.offline.up,
            offline_bytes_down: cost.offline.down,
            setup_bytes_up: cost.setup.up,
            setup_bytes_down: cost.setup.down,
            dealer_bytes_server: cost.dealer_server,
            dealer_bytes_client: cost.dealer_client,
        }),
    }
}

fn show(h: usize, w: usize, c: usize) -> String {
    format!("{h}x{w}x{c}")
}

fn tables(report: &Report) -> String {
    let mut layers = list::table(&["layer", "kind", "result", "parameters", "slot", "function"]);
    for layer in &report.layers {
        let [h, w, c] = layer.shape;
        let parameters = if layer.parameters == 0 { String::new() } else { layer.parameters.to_string() };
        let function = layer.function.clone().unwrap_or_default();
        let slot = layer.slot.map_or(String::new(), |slot| slot.to_string());
        layers.add_row([layer.name.clone(), layer.kind.to_string(), show(h, w, c), parameters, slot, function]);
    }
    let mut costs = list::table(&[
        "protocol",
        "pool",
        "rounds",
        "online up / down",
        "offline up / down",
        "dealer",
        "setup up / down",
    ]);
    for prediction in &report.protocols {
        let Some(cost) = &prediction.cost else {
            costs.add_row([prediction.protocol, prediction.pool.unwrap_or_default(), "-", "cannot", "", "", ""]);
            continue;
        };
        let both = |up, down| format!("{} / {}", human_bytes(up), human_bytes(down));
        costs.add_row([
            prediction.protocol.to_string(),
            prediction.pool.unwrap_or_default().to_string(),
            cost.online_rounds.to_string(),
            both(cost.online_bytes_up, cost.online_bytes_down),
            both(cost.offline_bytes_up, cost.offline_bytes_down),
            human_bytes(cost.dealer_bytes_server + cost.dealer_bytes_client),
            both(cost.setup_bytes_up, cost.setup_bytes_down),
        ]);
    }
    for table in [&mut layers, &mut costs] {
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    }
    let refusals = report.protocols.iter().filter_map(|prediction| {
        prediction.refused.as_ref().map(|reason| format!("\n{}: {reason}", prediction.protocol))
    });
    let refusals: String = refusals.collect();
    let pool = report.pool.map_or(String::new(), |pool| format!(", pooling by {pool}"));
    format!(
        "{}: {} parameters, {} activation layers, {} activations, input {}, {} classes{pool}\n{layers}\n\n\
         Predicted for one query with one protocol in every slot, from declared costs (polynomials: the network's own, relu-d4 for its ReLUs):\n{costs}{refusals}",
        report.model, report.parameters, report.activation_layers, report.activations, report.input, report.classes
    )
}
