//! The link between the parties: pure link models, clocks, the channel and its meter.
//!
//! * `model`: `(sent_at, bytes) -> arrives_at`, a state machine per direction; no sleeping, no clock.
//! * `fabric`: carries messages between the parties' threads, decides who runs, bounds memory.
//! * `transport`: what carries messages, in general.
//! * `replay`: the clocks of an execution under another link, from what its parties did.
//! * `simulate`: the same where both directions of a link depend on each other; `retime`: a run's clocks from it.
//! * `trace`: that, as a file.
//! * `endpoint`: what one party holds: its clocks, its meter and its end of every channel.
//! * `path`: what a party's time is made of, along the critical path.
//! * `wait`: waiting until an instant, precise to tens of microseconds.

mod clock;
mod endpoint;
mod error;
mod fabric;
mod ideal;
mod jitter;
mod ledger;
mod model;
mod party;
mod path;
mod replay;
mod retime;
mod run;
mod simulate;
mod tcp;
mod trace;
mod transport;
mod wait;

pub use clock::{ClockMode, ComputeMode};
pub use endpoint::{Captured, Endpoint};
pub use error::LinkError;
pub use ledger::{AccountTotals, Act, Digests, Event, Ledger, Mark, Sent, Traffic};
pub use model::{LinkModel, LinkParameters, ModelEntry, find_model, models};
pub use party::{Party, Phase};
pub use path::{CriticalPath, Spent};
pub use replay::{PhaseClocks, ReplayLink, Schedule, ScheduleError};
pub(crate) use run::run_party;
pub use run::{Execution, LinkConfig, PartyFailure, run_parties};
pub use tcp::TcpParameters;
pub use trace::{Trace, TraceError, TraceHeader};
pub(crate) use transport::{Expected, Message, Transport};
pub use wait::wait_until;
