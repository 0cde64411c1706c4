//! The tables of a scenario file and their keys: the one list of what may be written.

/// One kind of table: how its header is written, and the keys it may have.
#[derive(Debug)]
pub(super) struct Section {
    /// `[[link]]`, for messages.
    pub header: &'static str,
    /// Every key.
    pub keys: &'static [&'static str],
}

const TOP_OF_FILE: &str = "the top of the file";

impl Section {
    /// `in [[link]]`, `at the top of the file`.
    pub fn place(&self) -> String {
        match self.header {
            TOP_OF_FILE => format!("at {TOP_OF_FILE}"),
            header => format!("in {header}"),
        }
    }
}

/// What stands before the first table.
pub(super) const TOP: Section = Section {
    header: TOP_OF_FILE,
    keys: &[
        "name",
        "seed",
        "repetitions",
        "auto",
        "warmup",
        "clock",
        "compute",
        "compute_scale",
        "stream",
        "fixed_point",
        "input",
        "model",
        "protocol",
        "link",
        "speedup",
        "memory",
    ],
};
/// When automatic repetitions end.
pub(super) const AUTO: Section = Section { header: "[auto]", keys: &["within", "budget", "least", "most"] };
/// Fixed-point format.
pub(super) const FIXED_POINT: Section = Section { header: "[fixed_point]", keys: &["frac_bits"] };
/// Images.
pub(super) const INPUT: Section = Section { header: "[input]", keys: &["dataset", "path", "split", "images"] };
/// A network.
pub(super) const MODEL: Section = Section {
    header: "[[model]]",
    keys: &["name", "arch", "onnx", "weights", "normalize", "classes", "pool", "shortcut", "protocols"],
};
/// Weights for each family of protocols.
pub(super) const WEIGHTS: Section = Section { header: "weights = { ... }", keys: &["polynomial", "relu"] };
/// Normalisation constants.
pub(super) const NORMALIZE: Section = Section { header: "normalize = { ... }", keys: &["mean", "std"] };
/// An activation protocol.
pub(super) const PROTOCOL: Section = Section {
    header: "[[protocol]]",
    keys: &["name", "id", "polynomial", "precision_bits", "wire_bits", "width", "ot", "slots"],
};
/// Another choice for some activation slots.
pub(super) const SLOTS: Section = Section {
    header: "[[protocol.slots]]",
    keys: &["at", "id", "polynomial", "precision_bits", "wire_bits", "width", "ot"],
};
/// A link.
pub(super) const LINK: Section = Section {
    header: "[[link]]",
    keys: &[
        "name",
        "preset",
        "model",
        "rtt",
        "latency",
        "bandwidth",
        "up",
        "down",
        "packet_payload",
        "packet_overhead",
        "jitter",
        "initial_window",
        "max_window",
        "queue",
        "idle_restart",
        "warm",
        "loss",
    ],
};
/// What the speedup table compares.
pub(super) const SPEEDUP: Section = Section { header: "[speedup]", keys: &["subject", "baselines"] };
/// Limits on memory.
pub(super) const MEMORY: Section = Section { header: "[memory]", keys: &["in_flight", "material"] };

/// All of them.
pub(super) const SECTIONS: [&Section; 12] =
    [&TOP, &AUTO, &FIXED_POINT, &INPUT, &MODEL, &WEIGHTS, &NORMALIZE, &PROTOCOL, &SLOTS, &LINK, &SPEEDUP, &MEMORY];
