//! The text of the scenario: what is written, and why each line is there.

use super::Network;
use longhaul::nn::arch::{Options, Pool, Shortcut};
use longhaul::nn::graph::Graph;
use longhaul::nn::secure::{Method, Slot, lower};
use longhaul::nn::weights::Zeros;
use longhaul::protocol::activation::{self, Family};
use longhaul::protocol::{Function, Polynomial};
use longhaul::scenario::PoolChoice;
use std::path::Path;

/// The protocols of a first comparison, and what to know about them.
const PROTOCOLS: [(&str, &str); 4] = [
    ("fused", "a polynomial in place of every ReLU, one message a layer"),
    ("gc", "exact ReLU in a garbled circuit: few rounds, many bytes, no dealer"),
    ("gmw", "exact ReLU on shared bits: many rounds, fewer bytes"),
    ("fss", "exact ReLU from the dealer's keys: one round, few bytes online, many offline"),
];
/// So many of them are compared unless the user says otherwise.
const COMPARED: usize = 2;

/// A scenario called `name`, to be kept in `file`.
///
/// # Errors
/// No protocol that it could compare can run on the network.
pub fn scenario(name: &str, file: &Path, network: &Network, graph: &Graph) -> anyhow::Result<String> {
    let file = file.display();
    let model = model(network, graph);
    let protocols = protocols(network, graph)?;
    Ok(format!(
        r##"#:schema scenario.schema.json
# The line above makes editors with a TOML language server (VS Code: Even Better TOML; others: taplo or tombi) complete
# and check this file, once the schema lies beside it:
#
#     longhaul schema > scenario.schema.json
#
#     longhaul run {file} --dry-run     what would run, with predicted times
#     longhaul run {file}               runs it; results in results/{name}/

name = "{name}"
seed = 1                  # the same seed gives the same weights, images, masks and bytes
repetitions = 5           # counted runs of each model, protocol and link
# repetitions = "auto"    # as many as it takes, see [auto]
warmup = 1                # runs before those, not counted
clock = "virtual"         # nobody waits for the emulated link
# clock = "wall"          # really wait
compute = "measured"      # computing takes the time that it took
# compute = "none"        # only the link counts; two runs are equal in every bit
# compute_scale = 2.0     # a machine half as fast

# With repetitions = "auto": when enough has been measured.
# [auto]
# within = 0.02           # the 95 % interval is within 2 % of the median ...
# budget = "120 s"        # ... or this much time went by for a model and link

[fixed_point]
frac_bits = 16            # numbers are multiples of 2^-16

[input]
dataset = "random"        # drawn from the seed: times, bytes and rounds are those of real images
# dataset = "cifar10"     # the binary version; labels come with it
# path = "cifar-10-batches-bin"   # looked for beside this file, in --data DIR and in $LONGHAUL_DATA
# split = "test"
images = 1                # each repetition runs every image

{model}
{protocols}
# Links: a name, a latency, a rate. "up" is client to server, "down" server to client.
[[link]]
name = "lan"
rtt = "0.25 ms"           # there and back
bandwidth = "10 Gbit/s"   # of each direction

[[link]]
name = "wan"
rtt = "100 ms"
# latency = "50 ms"       # one way, instead of rtt
bandwidth = "100 Mbit/s"
# up = "20 Mbit/s"        # instead of bandwidth, both
# down = "100 Mbit/s"
# packet_payload = "1448 B"    # packets, and what each adds on the wire
# packet_overhead = "78 B"

{speedup}[memory]
in_flight = "64 MiB"      # unread bytes after which a sender waits; never shows in virtual time
material = "1 GiB"        # correlated randomness a party keeps in memory; more goes to a temporary file
"##,
        protocols = protocols.text,
        speedup = speedup(&protocols.running),
    ))
}

fn speedup(running: &[String]) -> String {
    match running {
        [subject, _, ..] => format!(
            "# What the speedup table compares: the subject with every other protocol, unless baselines lists some.\n\
             [speedup]\nsubject = \"{subject}\"\n\n"
        ),
        _ => String::new(),
    }
}

fn model(network: &Network, graph: &Graph) -> String {
    let counts = format!("{} activation layers, {} activations", graph.activation_layers(), graph.activations());
    let header = format!("# The network: {counts}. Add a [[model]] for every further one.\n[[model]]\n");
    let own = match network {
        Network::Onnx(path) => [
            line(&format!("onnx = {}", toml::Value::from(path.as_str())), "beside this file, or in --data DIR"),
            line("# protocols = [\"fused\"]", "run it with some of the protocols only"),
        ]
        .concat(),
        Network::Arch(architecture) => {
            let offered = |key: &str, values: Vec<&str>| match values.first() {
                Some(first) => line(&format!("# {key} = \"{first}\""), &format!("of: {}", values.join(", "))),
                None => String::new(),
            };
            [
                line(
                    &format!("arch = \"{}\"", architecture.id),
                    "see `longhaul list models`; or onnx = \"network.onnx\"",
                ),
                line("weights = \"random\"", "costs depend on the network's shape, not on its weights"),
                line("# weights = \"trained.safetensors\"", "with PyTorch's names of the tensors"),
                line(
                    &format!("# classes = {}", architecture.classes),
                    "number of logits, if not the architecture's own",
                ),
                offered("pool", architecture.pools.iter().map(Pool::name).collect()),
                offered("shortcut", architecture.shortcuts.iter().map(Shortcut::name).collect()),
            ]
            .concat()
        }
    };
    let normalize = line("normalize = \"none\"", "pixels stay in [0, 1]; or \"cifar10\", \"imagenet\"")
        + &line("# normalize = { mean = [0.5, 0.5, 0.5], std = [0.25, 0.25, 0.25] }", "red, green, blue");
    header + &own + &normalize
}

/// A line with its comment, in the column of the others.
fn line(code: &str, comment: &str) -> String {
    format!("{code:<25} # {comment}\n")
}

struct Protocols {
    text: String,
    /// The names of those that are compared.
    running: Vec<String>,
}

/// Those that can run on the network; the others stand there as comments, with the reason where there is one.
fn protocols(network: &Network, graph: &Graph) -> anyhow::Result<Protocols> {
    let native = |wanted: fn(&Function) -> bool| graph.functions().iter().any(wanted);
    let polynomials = native(|function| matches!(function, Function::Polynomial(_)));
    if polynomials && native(|function| !matches!(function, Function::Polynomial(_))) {
        return Ok(hybrids());
    }
    let mut protocols = Protocols {
        text: "# Ways to compute the activations: `longhaul list protocols` names the others.\n".into(),
        running: Vec::new(),
    };
    let (mut refused, mut spare) = (String::new(), String::new());
    for (id, about) in PROTOCOLS {
        let section = format!("[[protocol]]\n{}", line(&format!("id = \"{id}\""), about));
        match refusal(id, network, graph) {
            Some(reason) => refused += &format!("# `{id}` cannot run on this network: {reason}.\n"),
            None if protocols.running.len() == COMPARED => {
                spare += &format!("# {}\n", section.replace("\nid", "\n# id"))
            }
            None => {
                protocols.text += &section;
                if id == "fused" && !polynomials {
                    protocols.text += &line("polynomial = \"relu-d4\"", "degree 4");
                    protocols.text += &line("# polynomial = [0.1992, 0.5002, 0.1997]", "your own, constant first");
                }
                protocols.text.push('\n');
                protocols.running.push(id.to_string());
            }
        }
    }
    if protocols.running.is_empty() {
        anyhow::bail!("no protocol of a first comparison can run on the network:\n{}", refused.trim_end());
    }
    if protocols.running.len() == COMPARED && protocols.running[0] == "fused" {
        spare += "# Polynomials but in the first activation slot (`longhaul inspect` numbers them):\n\
                  # [[protocol]]\n# name = \"hybrid\"\n# id = \"fused\"\n# [[protocol.slots]]\n# at = [0]\n# id = \"gc\"\n\n";
    }
    if !refused.is_empty() {
        refused.push('\n');
    }
    protocols.text += &(refused + &spare);
    Ok(protocols)
}

/// For a network with polynomials and ReLUs: each kind under a protocol of its own.
fn hybrids() -> Protocols {
    let mut text = String::from("# The network has polynomials and ReLUs: a protocol for either kind.\n");
    let mut running = Vec::new();
    for id in ["gc", "fss"] {
        let name = format!("fused+{id}");
        text += &[
            format!("[[protocol]]\nname = \"{name}\"\n"),
            line("id = \"fused\"", "the network's polynomials"),
            format!("[[protocol.slots]]\n{}", line("at = \"relu\"", "ReLU, ReLU6 and max pools; or numbers: [0, 3]")),
            format!("id = \"{id}\"\n\n"),
        ]
        .concat();
        running.push(name);
    }
    Protocols { text, running }
}

/// Why the protocol cannot compute all activations of the network; polynomials stand in for ReLU.
fn refusal(id: &str, network: &Network, graph: &Graph) -> Option<String> {
    let entry = activation::find(id).expect("an id of the registry");
    let rebuilt = match network {
        Network::Arch(architecture) if !architecture.pools.is_empty() => {
            let pool = PoolChoice::Family.under(entry.family);
            let options =
                Options { pool, shortcut: architecture.shortcuts.first().copied().unwrap_or_default(), classes: None };
            Some((architecture.build)(&options, &mut Zeros).expect("built before with other options"))
        }
        _ => None,
    };
    let graph = rebuilt.as_ref().unwrap_or(graph);
    let method = Method { entry, settings: Default::default() };
    let function = |native: Function| match (entry.family, native) {
        (Family::Polynomial, Function::Relu | Function::Relu6) => {
            Function::Polynomial(Polynomial::named("relu-d4").expect("a polynomial of the table"))
        }
        (_, native) => native,
    };
    let slots: Vec<_> = graph.functions().into_iter().map(|f| Slot { function: function(f), method }).collect();
    lower(graph, &slots, 16).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul::nn::arch;
    use longhaul::run::catalogue;
    use longhaul::scenario::{self, Scenario, ScenarioError, SearchPath};

    fn of_arch(id: &str) -> String {
        let architecture = arch::find(id).expect("an id of the registry");
        let graph = (architecture.build)(&Options::default(), &mut Zeros).expect("a network");
        super::scenario("x", Path::new("x.toml"), &Network::Arch(architecture), &graph).expect("runs")
    }

    fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        scenario::parse(text, Path::new("x.toml"), &SearchPath::default(), &catalogue())
    }

    #[test]
    fn every_architecture_has_a_scenario_of_two_protocols_and_two_links() {
        for architecture in arch::all() {
            let scenario = parse(&of_arch(architecture.id)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((scenario.protocols.len(), scenario.links.len()), (2, 2), "{}", architecture.id);
            assert_eq!(scenario.models[0].name, architecture.id);
        }
    }

    /// Each alternative in place of the line that it stands below, if that has the same key.
    #[test]
    fn every_alternative_is_a_line_that_could_be_used() {
        let mut tried = 0;
        for id in ["minionn", "vgg16", "resnet20"] {
            let text = of_arch(id);
            let lines: Vec<&str> = text.lines().collect();
            let key = |line: &str| line.trim_start_matches("# ").split(" = ").next().map(str::to_owned);
            for (at, comment) in lines.iter().enumerate() {
                let Some(code) = comment.strip_prefix("# ").filter(|code| {
                    code.split(" = ").nth(1).is_some() && !code.split(" = ").next().unwrap_or("").contains(' ')
                }) else {
                    continue;
                };
                let alone = ["within", "budget", "path", "split", "up", "down", "packet_overhead", "name", "id", "at"];
                if alone.iter().any(|start| code.starts_with(&format!("{start} = "))) {
                    continue;
                }
                let replaced =
                    |line: &&str| key(line) == key(code) || (code.starts_with("latency") && line.starts_with("rtt"));
                let before = lines[..at].iter().rposition(|line| replaced(line) && !line.starts_with('#'));
                let mut lines = lines.clone();
                lines[at] = code;
                if let Some(before) = before.filter(|before| at - before <= 3) {
                    lines.remove(before);
                }
                tried += 1;
                if let Err(error) = parse(&lines.join("\n")) {
                    assert!(error.message.starts_with("there is no "), "a missing file at most: {error}");
                }
            }
        }
        assert!(tried > 25, "{tried}");
    }

    #[test]
    fn the_commented_sections_can_be_used() {
        let text = of_arch("minionn");
        let automatic = text
            .replace("repetitions = 5 ", "# ")
            .replace("# repetitions = ", "repetitions = ")
            .replace("# [auto]", "[auto]")
            .replace("# within", "within")
            .replace("# budget", "budget");
        assert!(matches!(parse(&automatic).expect("valid").repetitions, scenario::Repetitions::Auto(_)));
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(code) if ["[[protocol", "id = ", "name = ", "at = "].iter().any(|start| code.starts_with(start)) => {
                code
            }
            _ => line,
        });
        let scenario = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> = scenario.protocols.iter().map(|protocol| protocol.name.as_str()).collect();
        assert_eq!(names, ["fused", "gc", "gmw", "fss", "hybrid"]);
    }
}
