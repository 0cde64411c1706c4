//! The schema: one struct per CSV file, its fields in column order.
//!
//! Every time is held as [`Nanos`] and written as seconds with nine decimals. `up` is client to
//! server, `down` is server to client. An empty cell means "not measured".

use super::encoding;
use crate::units::Nanos;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// A row of one of the CSV files.
pub trait Record: Serialize + DeserializeOwned {
    /// Name of the file inside the results folder.
    const FILE: &'static str;
    /// The header, in order.
    const COLUMNS: &'static [&'static str];
    /// How many of them the first version wrote; the later ones are empty in its files.
    const FIRST_COLUMNS: usize;
}

/// Declares a record and derives its header from the field names, so that they cannot differ. What was `added` after the
/// first version is optional, so that files of earlier versions can be read.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident in $file:literal {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
        $(added { $($(#[$later_meta:meta])* $later:ident: $later_type:ty,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            $($($(#[$later_meta])* pub $later: $later_type,)*)?
        }

        impl Record for $name {
            const FILE: &'static str = $file;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field),)* $($(stringify!($later),)*)?];
            const FIRST_COLUMNS: usize = [$(stringify!($field)),*].len();
        }
    };
}

record! {
    /// A row of `accuracy.csv`: a model under a protocol on labelled images. Shares are from 0 to 1, with Wilson's 95 %
    /// intervals.
    AccuracyRecord in "accuracy.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Protocol name.
        protocol: String,
        /// Link name.
        link: String,
        /// Images evaluated.
        images: u64,
        /// Share that the plaintext network with ReLU labels correctly.
        #[serde(with = "encoding::float")]
        relu_accuracy: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        relu_accuracy_low: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        relu_accuracy_high: f64,
        /// Share that the plaintext network with the protocol's activations labels correctly.
        #[serde(with = "encoding::float")]
        plain_accuracy: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        plain_accuracy_low: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        plain_accuracy_high: f64,
        /// Share labelled correctly under the protocol.
        #[serde(with = "encoding::float")]
        private_accuracy: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        private_accuracy_low: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        private_accuracy_high: f64,
        /// Share of images on which the protocol finds the class that the plaintext network finds.
        #[serde(with = "encoding::float")]
        agreement: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        agreement_low: f64,
        /// Its interval.
        #[serde(with = "encoding::float")]
        agreement_high: f64,
        /// Largest difference of a logit from the plaintext network.
        #[serde(with = "encoding::float")]
        max_abs_error: f64,
        /// Pre-activations beyond this magnitude count as outside; empty if no activation is a polynomial.
        #[serde(with = "encoding::optional_float")]
        range: Option<f64>,
        /// Share of the polynomials' pre-activations outside the range, in the plaintext network.
        #[serde(with = "encoding::optional_float")]
        outside_share: Option<f64>,
        /// Pre-activations outside what the ring can hold, in the plaintext network.
        overflowed_activations: u64,
        /// Activations whose result was off by more than any rounding; empty if nobody looked.
        wrapped_activations: Option<u64>,
        /// Images that one execution carries.
        batch: u64,
        /// Median online time of such an execution, divided by its images.
        #[serde(with = "encoding::seconds")]
        online_amortised_s: Nanos,
        /// Median online time of an image that travels alone; empty if none did.
        #[serde(with = "encoding::optional_seconds")]
        online_single_s: Option<Nanos>,
        /// Median offline time of an execution, divided by its images.
        #[serde(with = "encoding::seconds")]
        offline_amortised_s: Nanos,
        /// Median offline time of an image that travels alone; empty if none did.
        #[serde(with = "encoding::optional_seconds")]
        offline_single_s: Option<Nanos>,
        /// Online bytes an image, client to server.
        online_bytes_up: u64,
        /// Online bytes an image, server to client.
        online_bytes_down: u64,
    }
}

record! {
    /// A row of `sweep.csv`: one recorded execution, timed anew at one point of a grid of links.
    SweepRecord in "sweep.csv" {
        /// Model name.
        model: String,
        /// Protocol name.
        protocol: String,
        /// Link model.
        link_model: String,
        /// Round-trip time of the link.
        #[serde(with = "encoding::seconds")]
        rtt_s: Nanos,
        /// Rate of each direction, Mbit/s.
        #[serde(with = "encoding::float")]
        mbit: f64,
        /// Until the client has its logits.
        #[serde(with = "encoding::seconds")]
        online_s: Nanos,
        /// The same, were computing free.
        #[serde(with = "encoding::seconds")]
        online_floor_s: Nanos,
        /// What must be done before, for each query.
        #[serde(with = "encoding::seconds")]
        offline_s: Nanos,
    }
}

record! {
    /// A row of `break-even.csv`: where, at one round-trip time, the subject stops being the faster one.
    BreakEvenRecord in "break-even.csv" {
        /// Model name.
        model: String,
        /// The protocol that is asked about.
        subject: String,
        /// The protocol it is compared with.
        baseline: String,
        /// Link model.
        link_model: String,
        /// Round-trip time of the link.
        #[serde(with = "encoding::seconds")]
        rtt_s: Nanos,
        /// Where both take the same time, Mbit/s, between two points of the grid; empty if one of them wins at every bandwidth.
        #[serde(with = "encoding::optional_float")]
        break_even_mbit: Option<f64>,
        /// Which of the two is faster at the lowest bandwidth.
        faster_below: String,
        /// Which of the two is faster at the highest bandwidth.
        faster_above: String,
    }
}

record! {
    /// A row of `predictions.csv`: one image under one protocol.
    PredictionRecord in "predictions.csv" {
        /// Model name.
        model: String,
        /// Protocol name.
        protocol: String,
        /// Index of the image in the data set, from 0.
        image: u64,
        /// Its class.
        label: u32,
        /// The class that the plaintext network with ReLU finds.
        relu_prediction: u32,
        /// The class that the plaintext network with the protocol's activations finds.
        plain_prediction: u32,
        /// The class found under the protocol.
        private_prediction: u32,
        /// Largest difference of a logit from the plaintext network; empty if it is not finite.
        #[serde(with = "encoding::float")]
        max_abs_error: f64,
    }
}

/// Names one (model, protocol, link) combination of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Scenario name.
    pub scenario: String,
    /// Model name.
    pub model: String,
    /// Protocol id.
    pub protocol: String,
    /// Link name.
    pub link: String,
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CellKey { scenario, model, protocol, link } = self;
        write!(f, "{scenario}: {model}, {protocol}, {link}")
    }
}

record! {
    /// A row of `runs.csv`: one repetition of one cell on one image.
    RunRecord in "runs.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Protocol id.
        protocol: String,
        /// Link name.
        link: String,
        /// Counted repetition, from 0.
        repetition: u32,
        /// Index of the image, from 0.
        image: u32,
        /// From the client having its image to the client having the logits.
        #[serde(with = "encoding::seconds")]
        online_s: Nanos,
        /// Input-independent work of this query.
        #[serde(with = "encoding::seconds")]
        offline_s: Nanos,
        /// What the online transcript needs on this link if computing were free.
        #[serde(with = "encoding::seconds")]
        online_floor_s: Nanos,
        /// Computing time of the server online; empty when `compute = "none"`.
        #[serde(with = "encoding::optional_seconds")]
        online_server_compute_s: Option<Nanos>,
        /// Computing time of the client online; empty when `compute = "none"`.
        #[serde(with = "encoding::optional_seconds")]
        online_client_compute_s: Option<Nanos>,
        /// Causal depth of the online phase.
        online_rounds: u64,
        /// Online bytes, client to server.
        online_bytes_up: u64,
        /// Online bytes, server to client.
        online_bytes_down: u64,
        /// Causal depth of the offline phase.
        offline_rounds: u64,
        /// Offline bytes, client to server.
        offline_bytes_up: u64,
        /// Offline bytes, server to client.
        offline_bytes_down: u64,
        /// Work done once per model and pair.
        #[serde(with = "encoding::seconds")]
        setup_s: Nanos,
        /// Setup bytes, client to server.
        setup_bytes_up: u64,
        /// Setup bytes, server to client.
        setup_bytes_down: u64,
        /// What the dealer sent to the server for this query.
        dealer_bytes_server: u64,
        /// What the dealer sent to the client for this query.
        dealer_bytes_client: u64,
        /// The class in the data set; empty for generated images.
        label: Option<u32>,
        /// The class found under the protocol.
        prediction: Option<u32>,
        /// The class found by the plaintext floating-point network; empty where the client does not have it.
        reference_prediction: Option<u32>,
        /// Largest difference of a logit from the plaintext network; NaN if not measured.
        #[serde(with = "encoding::float")]
        max_abs_error: f64,
        /// Pre-activations outside what the ring can hold, in the plaintext run.
        overflowed_activations: u64,
        /// Digest of every byte on the wire.
        #[serde(with = "encoding::digest")]
        transcript_blake3: blake3::Hash,
        /// Activations whose result was off by more than any rounding; empty if nobody looked.
        wrapped_activations: Option<u64>,
        /// Kind of pooling, `average` or `max`, where the architecture leaves the choice.
        pool: Option<String>,
    }
    added {
        /// Online messages, client to server.
        online_messages_up: Option<u64>,
        /// Online messages, server to client.
        online_messages_down: Option<u64>,
        /// Offline messages, client to server.
        offline_messages_up: Option<u64>,
        /// Offline messages, server to client.
        offline_messages_down: Option<u64>,
        /// What the offline transcript needs on this link if computing were free.
        #[serde(with = "encoding::optional_seconds")]
        offline_floor_s: Option<Nanos>,
        /// Processor time of server, client and dealer together offline; empty when `compute = "none"`.
        #[serde(with = "encoding::optional_seconds")]
        offline_compute_s: Option<Nanos>,
        /// What a fixed piece of work took in this process just before the run: how fast the machine was. Empty when
        /// `compute = "none"`.
        #[serde(with = "encoding::optional_seconds")]
        calibration_s: Option<Nanos>,
    }
}

record! {
    /// A row of `layers.csv`: one layer of one cell, over its repetitions.
    LayerRecord in "layers.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Protocol id.
        protocol: String,
        /// Link name.
        link: String,
        /// Position in the network, from 0.
        layer: u32,
        /// Name in the model, for example `layer1.0.conv1`.
        name: String,
        /// Kind of layer, for example `linear` or `activation`.
        kind: String,
        /// Elements of the result.
        elements: u64,
        /// Median online time.
        #[serde(with = "encoding::seconds")]
        online_s_median: Nanos,
        /// 95th percentile of the online time.
        #[serde(with = "encoding::seconds")]
        online_s_p95: Nanos,
        /// Median offline time.
        #[serde(with = "encoding::optional_seconds")]
        offline_s_median: Option<Nanos>,
        /// Rounds this layer added online.
        online_rounds: u64,
        /// Rounds this layer added offline.
        offline_rounds: u64,
        /// Online bytes, client to server.
        online_bytes_up: u64,
        /// Online bytes, server to client.
        online_bytes_down: u64,
        /// Offline bytes, client to server.
        offline_bytes_up: u64,
        /// Offline bytes, server to client.
        offline_bytes_down: u64,
        /// Server computing on the critical path of the run with the median online time. This and the next three
        /// columns, summed over all layers, are that run's online time.
        #[serde(with = "encoding::seconds")]
        online_path_server_s: Nanos,
        /// Client computing on that path.
        #[serde(with = "encoding::seconds")]
        online_path_client_s: Nanos,
        /// Propagation of this layer's messages on that path.
        #[serde(with = "encoding::seconds")]
        online_path_latency_s: Nanos,
        /// This layer's messages passing at the link's rate on that path.
        #[serde(with = "encoding::seconds")]
        online_path_bandwidth_s: Nanos,
    }
    added {
        /// Median online time, from a histogram with four significant digits, as are the next two.
        #[serde(with = "encoding::optional_seconds")]
        online_s_p50: Option<Nanos>,
        /// 90th percentile of the online time.
        #[serde(with = "encoding::optional_seconds")]
        online_s_p90: Option<Nanos>,
        /// 99th percentile of the online time.
        #[serde(with = "encoding::optional_seconds")]
        online_s_p99: Option<Nanos>,
    }
}

record! {
    /// A row of `summary.csv`: one cell over its runs.
    SummaryRecord in "summary.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Protocol id.
        protocol: String,
        /// Link name.
        link: String,
        /// Runs counted.
        n: u64,
        /// Median online time.
        #[serde(with = "encoding::seconds")]
        online_s_median: Nanos,
        /// 95th percentile of the online time.
        #[serde(with = "encoding::seconds")]
        online_s_p95: Nanos,
        /// Lower end of the 95 % interval of the median; empty for a single run.
        #[serde(with = "encoding::optional_seconds")]
        online_s_ci_low: Option<Nanos>,
        /// Upper end of the 95 % interval of the median; empty for a single run.
        #[serde(with = "encoding::optional_seconds")]
        online_s_ci_high: Option<Nanos>,
        /// Median offline time.
        #[serde(with = "encoding::seconds")]
        offline_s_median: Nanos,
        /// Median of offline plus online.
        #[serde(with = "encoding::seconds")]
        total_s_median: Nanos,
        /// Median online floor.
        #[serde(with = "encoding::seconds")]
        online_floor_s: Nanos,
        /// Median computing time of the server online.
        #[serde(with = "encoding::optional_seconds")]
        online_server_compute_s_median: Option<Nanos>,
        /// Median computing time of the client online.
        #[serde(with = "encoding::optional_seconds")]
        online_client_compute_s_median: Option<Nanos>,
        /// Causal depth of the online phase.
        online_rounds: u64,
        /// Online bytes, client to server.
        online_bytes_up: u64,
        /// Online bytes, server to client.
        online_bytes_down: u64,
        /// Causal depth of the offline phase.
        offline_rounds: u64,
        /// Offline bytes, client to server.
        offline_bytes_up: u64,
        /// Offline bytes, server to client.
        offline_bytes_down: u64,
        /// Median setup time.
        #[serde(with = "encoding::seconds")]
        setup_s_median: Nanos,
        /// Setup bytes, client to server.
        setup_bytes_up: u64,
        /// Setup bytes, server to client.
        setup_bytes_down: u64,
        /// What the dealer sent to the server for one query.
        dealer_bytes_server: u64,
        /// What the dealer sent to the client for one query.
        dealer_bytes_client: u64,
        /// Distinct images.
        images: u64,
        /// Runs, out of `n`, with a prediction; the others left the ring's range.
        predictions: u64,
        /// Runs, out of `predictions`, whose prediction equals the reference prediction.
        agreements: u64,
        /// Largest of the runs with a prediction.
        #[serde(with = "encoding::float")]
        max_abs_error: f64,
        /// Sum over the distinct images.
        overflowed_activations: u64,
        /// Sum over all runs; empty if nobody looked.
        wrapped_activations: Option<u64>,
        /// Kind of pooling, `average` or `max`, where the architecture leaves the choice.
        pool: Option<String>,
    }
    added {
        /// Lower end of the 95 % interval of the median of offline plus online; empty for a single run.
        #[serde(with = "encoding::optional_seconds")]
        total_s_ci_low: Option<Nanos>,
        /// Upper end of that interval.
        #[serde(with = "encoding::optional_seconds")]
        total_s_ci_high: Option<Nanos>,
        /// Runs with a label and a prediction.
        labelled: Option<u64>,
        /// Runs, out of `labelled`, whose prediction is the label.
        correct: Option<u64>,
        /// Online messages, client to server.
        online_messages_up: Option<u64>,
        /// Online messages, server to client.
        online_messages_down: Option<u64>,
        /// Offline messages, client to server.
        offline_messages_up: Option<u64>,
        /// Offline messages, server to client.
        offline_messages_down: Option<u64>,
        /// Median offline floor.
        #[serde(with = "encoding::optional_seconds")]
        offline_floor_s: Option<Nanos>,
        /// Median processor time of server, client and dealer together offline.
        #[serde(with = "encoding::optional_seconds")]
        offline_compute_s_median: Option<Nanos>,
        /// Median of the calibration.
        #[serde(with = "encoding::optional_seconds")]
        calibration_s_median: Option<Nanos>,
    }
}

record! {
    /// A row of `speedup.csv`: how much longer, or how much more, a baseline needs than the subject.
    ///
    /// Every ratio is baseline / subject and empty where the subject's value is 0.
    SpeedupRecord in "speedup.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Link name.
        link: String,
        /// Protocol id in the denominator.
        subject: String,
        /// Protocol id in the numerator.
        baseline: String,
        /// Median ratio of the online times of runs with the same repetition and image.
        #[serde(with = "encoding::optional_float")]
        online_speedup: Option<f64>,
        /// Lower end of its 95 % interval; empty for a single pair.
        #[serde(with = "encoding::optional_float")]
        online_speedup_low: Option<f64>,
        /// Upper end of its 95 % interval; empty for a single pair.
        #[serde(with = "encoding::optional_float")]
        online_speedup_high: Option<f64>,
        /// Median ratio of offline plus online.
        #[serde(with = "encoding::optional_float")]
        total_speedup: Option<f64>,
        /// Ratio of the online bytes, both directions together.
        #[serde(with = "encoding::optional_float")]
        bytes_ratio: Option<f64>,
        /// Ratio of the online rounds.
        #[serde(with = "encoding::optional_float")]
        rounds_ratio: Option<f64>,
    }
    added {
        /// Lower end of the 95 % interval of `total_speedup`; empty for a single pair.
        #[serde(with = "encoding::optional_float")]
        total_speedup_low: Option<f64>,
        /// Upper end of that interval.
        #[serde(with = "encoding::optional_float")]
        total_speedup_high: Option<f64>,
    }
}

record! {
    /// A row of `messages.csv`: messages of one inference, the first counted run of its cell. Many alike (same phase,
    /// direction, layer and round) share a row.
    MessageRecord in "messages.csv" {
        /// Scenario name.
        scenario: String,
        /// Model name.
        model: String,
        /// Protocol id.
        protocol: String,
        /// Link name.
        link: String,
        /// `setup`, `offline` or `online`; each has a clock of its own.
        phase: String,
        /// `server`, `client` or `dealer`.
        from: String,
        /// `server` or `client`.
        to: String,
        /// The layer they were sent for, as in `layers.csv`.
        layer: u32,
        /// Name of the layer.
        name: String,
        /// Kind of the layer.
        kind: String,
        /// How many.
        messages: u64,
        /// Payload, all of them.
        bytes: u64,
        /// Causal depth: one more than that of the deepest message their sender had received in the phase.
        round: u32,
        /// When the sender let go of the first.
        #[serde(with = "encoding::seconds")]
        sent_s: Nanos,
        /// When the last byte of the last reached the receiver.
        #[serde(with = "encoding::seconds")]
        arrives_s: Nanos,
    }
}

/// The cell of a row.
macro_rules! belongs_to_a_cell {
    ($($record:ident)*) => {
        $(impl $record {
            /// The cell this row belongs to.
            pub fn cell(&self) -> CellKey {
                CellKey {
                    scenario: self.scenario.clone(),
                    model: self.model.clone(),
                    protocol: self.protocol.clone(),
                    link: self.link.clone(),
                }
            }
        })*
    };
}

belongs_to_a_cell!(RunRecord LayerRecord SummaryRecord MessageRecord);

impl RunRecord {
    /// The columns that must not vary over the repetitions of a cell, with their values.
    pub fn exact_columns(&self) -> [(&'static str, u64); 10] {
        [
            ("online_rounds", self.online_rounds),
            ("online_bytes_up", self.online_bytes_up),
            ("online_bytes_down", self.online_bytes_down),
            ("offline_rounds", self.offline_rounds),
            ("offline_bytes_up", self.offline_bytes_up),
            ("offline_bytes_down", self.offline_bytes_down),
            ("setup_bytes_up", self.setup_bytes_up),
            ("setup_bytes_down", self.setup_bytes_down),
            ("dealer_bytes_server", self.dealer_bytes_server),
            ("dealer_bytes_client", self.dealer_bytes_client),
        ]
    }
}
