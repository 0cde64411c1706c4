//! Activation protocols: one file per id, one line each in [`PROTOCOLS`].
//!
//! Each turns shares of `y` (scale `input_bits`) into shares of `function(y)` (scale `output_bits`),
//! truncation included. The client's share of `y` is known offline (see [`super::linear`]).
//!
//! # A protocol of one's own
//!
//! This is `examples/own_protocol.rs`, complete; the part above `main` is what a file of this folder holds.
//!
//! ```
#![doc = include_str!("../../../examples/own_protocol.rs")]
//! ```

mod beaver_poly;
mod espn;
mod espn_reference;
mod fss;
mod fused;
mod gc;
mod gmw;
mod gmw_msb;
mod honeybadger;
mod millionaire;
mod powers;
mod settings;

pub use espn::Evaluator as EspnEvaluator;
pub use fused::Evaluator as FusedEvaluator;
pub use settings::{Setting, Settings};

use super::{Cost, Dealer, Function, ProtocolError, Session};

/// Every activation protocol.
#[rustfmt::skip] // One line each, so that two new protocols do not meet in one line.
pub static PROTOCOLS: &[ProtocolEntry] = &[
    fused::ENTRY,
    espn::ENTRY,
    espn_reference::ENTRY,
    honeybadger::ENTRY,
    beaver_poly::ENTRY,
    fss::ENTRY,
    gmw_msb::ENTRY,
    gmw::ENTRY,
    millionaire::ENTRY,
    gc::GC,
    gc::GC_THREE_HALVES,
    gc::GC_ONLINE,
];

/// The activation protocol with this id.
pub fn find(id: &str) -> Option<&'static ProtocolEntry> {
    PROTOCOLS.iter().find(|entry| entry.id == id)
}

/// Which functions a protocol computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Polynomials.
    Polynomial,
    /// ReLU.
    Relu,
}

/// A registered protocol.
pub struct ProtocolEntry {
    /// The `id = "..."` of a scenario.
    pub id: &'static str,
    /// What it computes.
    pub family: Family,
    /// One line for people.
    pub summary: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Whether its activations need the trusted dealer (linear layers always do).
    pub dealer: bool,
    /// Whether the result is the function of the fixed-point input up to truncation's last place; a
    /// polynomial is exact when it computes its polynomial so.
    pub exact: bool,
    /// Largest difference to the function of the real input that a test accepts, in units of `2^-output_bits`,
    /// for inputs of magnitude up to 8.
    pub tolerance_ulp: f64,
    /// What a scenario may set.
    pub settings: &'static [Setting],
    /// The protocol itself.
    pub protocol: &'static dyn ActivationProtocol,
}

/// One activation layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationSpec {
    /// What it computes.
    pub function: Function,
    /// Elements.
    pub elements: usize,
    /// Fractional bits of the shares that go in.
    pub input_bits: u32,
    /// Fractional bits of the shares that come out.
    pub output_bits: u32,
    /// What the scenario sets.
    pub settings: Settings,
}

impl ActivationSpec {
    /// Bits to truncate.
    pub fn shift(&self) -> u32 {
        self.input_bits - self.output_bits
    }

    /// The input must be below `2^range_bits` in magnitude.
    pub fn range_bits(&self) -> u32 {
        self.settings.width() - 2
    }
}

/// What the ReLU family supports.
fn relu_only(spec: &ActivationSpec) -> Result<(), String> {
    match spec.function {
        Function::Relu => Ok(()),
        Function::Polynomial(_) => Err(
            "the protocol computes ReLU and the network wants a polynomial here; give the slot a polynomial protocol"
                .into(),
        ),
        Function::Relu6 => Err("the protocol computes ReLU; ReLU6 is made of two".into()),
    }
}

/// A protocol, without state.
pub trait ActivationProtocol: Sync {
    /// Whether this layer can be computed; otherwise what would have to change.
    ///
    /// # Errors
    /// A sentence for the user.
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String>;

    /// What one layer costs, exactly; `setup` is what a session pays once.
    fn cost(&self, spec: &ActivationSpec) -> Cost;

    /// In layers of how many elements, at least, a large layer may be cut so that one is on its way while the next is computed: for
    /// protocols whose online messages all go from the server to the client. `None`: the layer is one exchange.
    fn chunk(&self) -> Option<usize> {
        None
    }

    /// What a layer costs that was cut into `chunks`, exactly.
    fn cost_of_chunks(&self, chunks: &[ActivationSpec]) -> Cost {
        let sum = |total: Cost, chunk: &ActivationSpec| total.beside(self.cost(chunk));
        chunks.iter().fold(Cost::default(), sum)
    }

    /// Setup of the server and the client: what all layers of a session share.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn setup(&self, session: &mut Session, settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError>;

    /// The dealer's part of one layer, offline.
    ///
    /// # Errors
    /// A failed channel.
    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError>;
}

/// A protocol within a session.
pub trait Activator: Send {
    /// Offline, before the chunks of a layer: what would cost a round per chunk if it were left to each. Of each chunk
    /// [`preprocess`](Self::preprocess) is then called in order. `client_share` is that of the whole layer.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn begin(
        &mut self,
        _session: &mut Session,
        _chunks: &[ActivationSpec],
        _client_share: &[u64],
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    /// Offline work of one layer. `client_share` is the client's share of `y`, empty at the server.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError>;
}

/// The correlated randomness of one layer. Using it consumes it, so that using it twice does not compile:
///
/// ```compile_fail,E0382
/// # use longhaul::protocol::{ProtocolError, Session, activation::Material};
/// fn twice(material: Box<dyn Material>, session: &mut Session, share: Vec<u64>) -> Result<(), ProtocolError> {
///     material.online(session, share.clone())?;
///     material.online(session, share)?;
///     Ok(())
/// }
/// ```
///
/// Once is fine:
///
/// ```
/// # use longhaul::protocol::{ProtocolError, Session, activation::Material};
/// fn once(material: Box<dyn Material>, session: &mut Session, share: Vec<u64>) -> Result<(), ProtocolError> {
///     material.online(session, share)?;
///     Ok(())
/// }
/// ```
pub trait Material: Send {
    /// Online work of one layer: `share` is the party's share of `y`; returns its share of the result.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    fn online(self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError>;
}
