//! The shape of a scenario file: one struct per table, its fields the keys. Never read, only described.
#![allow(dead_code, reason = "the fields exist for their names, types and descriptions")]

use schemars::JsonSchema;

/// A name: up to 64 of `A-Z a-z 0-9 - _ . +`, beginning with a letter or digit.
#[derive(JsonSchema)]
struct Name(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$"))] String);

/// An activation protocol, see `longhaul list protocols`.
#[derive(JsonSchema)]
struct Protocol(String);

/// A built-in architecture, see `longhaul list models`.
#[derive(JsonSchema)]
struct Arch(String);

/// How a link delays messages.
#[derive(JsonSchema)]
struct LinkModel(String);

/// A link that has a name, see `longhaul list links`.
#[derive(JsonSchema)]
struct PresetName(String);

/// A polynomial in place of ReLU.
#[derive(JsonSchema)]
struct PolynomialName(String);

/// How oblivious transfers are extended.
#[derive(JsonSchema)]
struct Ot(String);

/// A duration with its unit: ns, us, ms or s.
#[derive(JsonSchema)]
struct Time(
    #[schemars(
        regex(pattern = r"^\s*[0-9]+(\.[0-9]+)?\s*(s|ms|us|µs|μs|ns)\s*$"),
        extend("examples" = ["100 ms", "0.25 ms"])
    )]
    String,
);

/// Bits per second: bit/s, kbit/s, Mbit/s or Gbit/s; or "unlimited".
#[derive(JsonSchema)]
struct Rate(
    #[schemars(
        regex(pattern = r"^\s*(unlimited|(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*[kMG]?bit/s)\s*$"),
        extend("examples" = ["100 Mbit/s", "10 Gbit/s", "unlimited"])
    )]
    String,
);

/// A size with its unit: B, KB (1000), KiB (1024) and so on.
#[derive(JsonSchema)]
struct Size(
    #[schemars(
        regex(pattern = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[KMGT]i?B)\s*$"),
        extend("examples" = ["64 MiB", "1448 B"])
    )]
    String,
);

/// A size above zero.
#[derive(JsonSchema)]
struct SizeAboveZero(
    #[schemars(
        regex(pattern = r"^\s*(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?\s*(B|[KMGT]i?B)\s*$"),
        extend("examples" = ["64 MiB", "1448 B"])
    )]
    String,
);

/// What one call of `longhaul run` measures: every model with every protocol over every link.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "longhaul scenario", extend("allOf" = [
    {
        "if": { "properties": { "clock": { "const": "wall" } }, "required": ["clock"] },
        "then": { "properties": { "compute": { "const": "measured" }, "compute_scale": { "const": 1 } } }
    },
    {
        "if": { "properties": { "compute": { "const": "none" } }, "required": ["compute"] },
        "then": { "properties": { "compute_scale": { "const": 1 } } }
    },
    {
        "if": { "required": ["auto"] },
        "then": { "properties": { "repetitions": { "const": "auto" } }, "required": ["repetitions"] }
    },
    {
        "if": { "required": ["speedup"] },
        "then": { "properties": { "protocol": { "minItems": 2 } } }
    }
]))]
pub(super) struct Scenario {
    /// Names the results folder and the `scenario` column.
    name: Name,
    /// All weights, images, masks and labels follow from it.
    #[schemars(extend("default" = 1))]
    seed: Option<u64>,
    /// Counted runs of each cell and image; or "auto": until the intervals are narrow, see `[auto]`.
    #[schemars(extend("default" = 5))]
    repetitions: Option<Repetitions>,
    /// When automatic repetitions end; with `repetitions = "auto"` only.
    auto: Option<AutoTable>,
    /// Uncounted runs of each cell and image before the counted ones.
    #[schemars(range(max = 1_000_000), extend("default" = 1))]
    warmup: Option<u32>,
    /// "virtual": nobody waits for the emulated link; "wall": really wait for messages.
    #[schemars(extend("default" = "virtual"))]
    clock: Option<Clock>,
    /// "none": computing takes no time, and two runs are equal in every bit (virtual clock only).
    #[schemars(extend("default" = "measured"))]
    compute: Option<Compute>,
    /// Factor on computing time: 2.0 is a machine half as fast.
    #[schemars(extend("exclusiveMinimum" = 0, "default" = 1.0))]
    compute_scale: Option<f64>,
    /// Whether large layers are computed and sent in chunks where the protocol allows.
    #[schemars(extend("default" = true))]
    stream: Option<bool>,
    /// Fixed-point format.
    fixed_point: Option<FixedPointTable>,
    /// The images.
    input: Option<InputTable>,
    /// The networks.
    #[schemars(length(min = 1))]
    model: Vec<ModelTable>,
    /// The activation protocols: the columns of the comparison.
    #[schemars(length(min = 1))]
    protocol: Vec<ProtocolTable>,
    /// The links between client and server.
    #[schemars(length(min = 1))]
    link: Vec<LinkTable>,
    /// What the speedup table compares.
    speedup: Option<SpeedupTable>,
    /// Limits on memory; they change no virtual time.
    memory: Option<MemoryTable>,
}

/// A number, or "auto".
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Repetitions {
    Fixed(#[schemars(range(min = 1, max = 1_000_000))] u32),
    Automatic(Automatic),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Automatic {
    Auto,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Clock {
    Virtual,
    Wall,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Compute {
    Measured,
    None,
}

/// When automatic repetitions end: all protocols of a model and link get the same number.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AutoTable {
    /// Half-width of the 95 % interval of the median online time, relative to the median.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1, "default" = 0.02))]
    within: Option<f64>,
    /// Real time after which a model and link gets no further repetition.
    #[schemars(extend("default" = "120 s"))]
    budget: Option<Time>,
    /// Fewest repetitions.
    #[schemars(range(min = 2, max = 1_000_000), extend("default" = 5))]
    least: Option<u32>,
    /// Most repetitions.
    #[schemars(range(min = 2, max = 1_000_000), extend("default" = 1000))]
    most: Option<u32>,
}

/// Fixed-point format.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FixedPointTable {
    /// Fractional bits of weights, images and activations.
    #[schemars(range(min = 8, max = 20), extend("default" = 16))]
    frac_bits: Option<u32>,
}

/// The images every cell is run on.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "if" = { "properties": { "dataset": { "const": "cifar10" } }, "required": ["dataset"] },
    "then" = {
        "if": { "properties": { "split": { "const": "train" } }, "required": ["split"] },
        "then": { "properties": { "images": { "maximum": 50_000 } } },
        "else": { "properties": { "images": { "maximum": 10_000 } } }
    },
    "else" = {
        "properties": { "path": false, "split": false },
        "if": { "properties": { "dataset": { "const": "samples" } }, "required": ["dataset"] },
        "then": { "properties": { "images": { "maximum": 10 } } }
    }
))]
pub(super) struct InputTable {
    /// "random": drawn from the seed, without labels; "samples": the ten drawings that come with longhaul.
    #[schemars(extend("default" = "random"))]
    dataset: Option<Dataset>,
    /// Folder of CIFAR-10's binary version, looked for beside the scenario, in --data and in $LONGHAUL_DATA.
    #[schemars(extend("default" = "cifar-10-batches-bin"))]
    path: Option<String>,
    /// Which part of the data set.
    #[schemars(extend("default" = "test"))]
    split: Option<Split>,
    /// How many images, from the first on; each repetition runs every one.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1))]
    images: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Dataset {
    Random,
    Samples,
    Cifar10,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Split {
    Test,
    Train,
}

/// A network with its weights: a built-in architecture (`arch`) or an ONNX file (`onnx`).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "if" = { "required": ["onnx"] },
    "then" = { "properties": { "arch": false, "weights": false, "classes": false, "pool": false, "shortcut": false } },
    "else" = { "required": ["arch"] }
))]
pub(super) struct ModelTable {
    /// What results call it; unique. The arch or the file's name unless given.
    name: Option<Name>,
    /// A built-in architecture.
    arch: Option<Arch>,
    /// An ONNX file, which brings its weights and activations.
    #[schemars(regex(pattern = r"\.onnx$"))]
    onnx: Option<String>,
    /// "random", "trained" (comes with longhaul, for some architectures), a .safetensors file with PyTorch's tensor names, or one for each family of protocols.
    #[schemars(extend("default" = "random"))]
    weights: Option<Weights>,
    /// What is done to pixels in [0, 1] first.
    normalize: Option<Normalize>,
    /// Number of logits, if not the architecture's own.
    #[schemars(range(min = 1, max = 100_000))]
    classes: Option<u32>,
    /// "family": maxima under protocols of ReLU, averages under those of polynomials.
    #[schemars(extend("default" = "family"))]
    pool: Option<Pool>,
    /// Residual shortcuts: zero channels, or a 1x1 convolution.
    shortcut: Option<Shortcut>,
    /// Names of the `[[protocol]]`s that it runs with; all unless given.
    #[schemars(length(min = 1))]
    protocols: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Weights {
    One(#[schemars(regex(pattern = r"^(random|trained)$|\.safetensors$"))] String),
    Families(WeightsTable),
}

/// A network trained with polynomials, and its twin trained with ReLU.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WeightsTable {
    /// Under protocols of polynomials: a .safetensors file.
    #[schemars(regex(pattern = r"\.safetensors$"))]
    polynomial: String,
    /// Under protocols that compute ReLU: a .safetensors file.
    #[schemars(regex(pattern = r"\.safetensors$"))]
    relu: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Pool {
    Average,
    Max,
    Family,
}

#[derive(JsonSchema)]
enum Shortcut {
    A,
    B,
}

/// Normalisation of the pixels: none, constants with a name, or constants.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Normalize {
    Named(NamedNormalize),
    Custom(NormalizeTable),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum NamedNormalize {
    None,
    Imagenet,
    Cifar10,
}

/// `(x - mean) / std` per channel: red, green, blue.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NormalizeTable {
    /// Mean per channel.
    mean: [f64; 3],
    /// Standard deviation per channel, above zero.
    #[schemars(extend("items" = { "type": "number", "exclusiveMinimum": 0 }))]
    std: [f64; 3],
}

/// An activation protocol: a column of the comparison.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ProtocolTable {
    /// What results call it; unique. The id unless given.
    name: Option<Name>,
    /// The protocol.
    id: Protocol,
    #[schemars(flatten)]
    choice: Choice,
    /// Other choices for some activation slots; the last one that fits a slot holds.
    #[schemars(length(min = 1))]
    slots: Option<Vec<SlotsTable>>,
}

/// Another choice for some activation slots.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SlotsTable {
    /// Slots by number, from 0 (`longhaul inspect` shows them), or by what the network was trained with.
    at: At,
    /// The protocol.
    id: Protocol,
    #[schemars(flatten)]
    choice: Choice,
}

/// What is set about a protocol.
#[derive(JsonSchema)]
#[schemars(extend("dependentSchemas" = {
    "precision_bits": { "required": ["polynomial"], "properties": { "polynomial": { "type": "array" } } }
}))]
struct Choice {
    /// What a polynomial protocol computes in place of ReLU.
    #[schemars(extend("default" = "relu-d4"))]
    polynomial: Option<PolynomialOrName>,
    /// Fractional bits that listed coefficients are rounded to.
    #[schemars(range(min = 1, max = 30), extend("default" = 16))]
    precision_bits: Option<u32>,
    /// Bits of the opened values, in whole bytes; inputs must be below 2^(wire_bits - 2 - 2 frac_bits).
    #[schemars(range(min = 8, max = 64), extend("multipleOf" = 8, "default" = 64))]
    wire_bits: Option<u32>,
    /// Bits of the ring in which inputs are compared; inputs must be below 2^(width - 2 - 2 frac_bits).
    #[schemars(range(min = 8, max = 64), extend("default" = 64))]
    width: Option<u32>,
    /// How oblivious transfers are extended.
    #[schemars(extend("default" = "softspoken-8"))]
    ot: Option<Ot>,
}

/// A polynomial with a name, or its coefficients, constant first.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum PolynomialOrName {
    Named(PolynomialName),
    Listed(#[schemars(length(min = 2, max = 9), inner(range(min = -65536, max = 65536)))] Vec<f64>),
}

/// Activation slots.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum At {
    TrainedWith(TrainedWith),
    Numbers(#[schemars(length(min = 1), inner(range(max = 100_000)))] Vec<u32>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum TrainedWith {
    Relu,
    Polynomial,
}

/// A link between client and server: a latency, and a rate for each direction.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend(
    "if" = { "required": ["bandwidth"] },
    "then" = { "properties": { "up": false, "down": false } },
    "else" = { "anyOf": [{ "required": ["up", "down"] }, { "required": ["preset"] }] },
    "not" = { "required": ["rtt", "latency"] },
    "anyOf" = [{ "required": ["rtt"] }, { "required": ["latency"] }, { "required": ["preset"] }],
    "dependentRequired" = { "packet_overhead": ["packet_payload"] }
))]
pub(super) struct LinkTable {
    /// What results call it; unique.
    name: Name,
    /// Figures under a name, which the keys below replace one by one.
    preset: Option<PresetName>,
    /// How messages are delayed.
    #[schemars(extend("default" = "ideal"))]
    model: Option<LinkModel>,
    /// There and back; or `latency`, one way.
    rtt: Option<Time>,
    /// One way; or `rtt`, there and back.
    latency: Option<Time>,
    /// Of each direction; or `up` and `down`.
    bandwidth: Option<Rate>,
    /// Client to server.
    up: Option<Rate>,
    /// Server to client.
    down: Option<Rate>,
    /// The most payload bytes in a packet; without it there are no packets.
    packet_payload: Option<SizeAboveZero>,
    /// Bytes on the wire beyond a packet's payload.
    packet_overhead: Option<Size>,
    /// Messages arrive up to this much later, in order all the same.
    jitter: Option<Time>,
    /// Segments that a fresh connection sends before the first acknowledgement.
    #[schemars(range(min = 1, max = 1000), extend("default" = 10))]
    initial_window: Option<u64>,
    /// The most unacknowledged bytes.
    #[schemars(extend("default" = "6 MiB"))]
    max_window: Option<SizeAboveZero>,
    /// Bytes that wait before the link; one more segment is lost. Without it there is no limit.
    queue: Option<Size>,
    /// Whether idleness closes the window.
    #[schemars(extend("default" = true))]
    idle_restart: Option<bool>,
    /// Whether the connection knows the path when a phase begins.
    #[schemars(extend("default" = false))]
    warm: Option<bool>,
    /// Probability that a segment is lost.
    #[schemars(range(min = 0, max = 0.5), extend("default" = 0))]
    loss: Option<f64>,
}

/// What the speedup table compares.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SpeedupTable {
    /// Name of the protocol that the others are compared with; the first unless given.
    subject: Option<String>,
    /// Names of the others; all unless given.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    baselines: Option<Vec<String>>,
}

/// Limits on memory.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MemoryTable {
    /// Unread bytes after which a sender waits; never shows in virtual time.
    #[schemars(extend("default" = "64 MiB"))]
    in_flight: Option<SizeAboveZero>,
    /// Correlated randomness a party keeps in memory; more goes to a temporary file.
    #[schemars(extend("default" = "1 GiB"))]
    material: Option<SizeAboveZero>,
}
