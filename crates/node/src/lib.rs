//! A node: its roles, one task per room, HTTP; the only place where rooms meet.
//!
//! Each role is a task that owns its machines and talks to the others by channels. Whatever a
//! machine wants stored is stored before anything is sent; if the store fails, the node stops.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `serve.rs`, `build.rs` | [`Node`]: putting together, serving and stopping all of it |
//! | `config.rs`, `files.rs` | configuration; keys and the network file |
//! | `members.rs`, `sync.rs` | who belongs to the network, which settings hold |
//! | `peers.rs` | clients for the other nodes |
//! | `log_keeper.rs`, `witness.rs` | the node's log; the others' logs |
//! | `evidence.rs` | evidence that was found |
//! | `beacon.rs`, `rounds.rs` | opening rounds; following them |
//! | `relay/`, `worker/` | the two sides of compute |
//! | `desk.rs`, `http.rs`, `metrics.rs` | what every node answers, how, and what it counts |
//! | `time.rs` | the clock |

#[cfg(feature = "adversary")]
pub mod adversary;
mod beacon;
mod build;
pub mod config;
mod desk;
mod evidence;
pub mod files;
mod http;
mod log_keeper;
mod members;
mod metrics;
mod peers;
mod relay;
mod rounds;
mod serve;
mod sync;
pub mod time;
mod witness;
mod worker;

pub use config::{ConfigError, NodeConfig};
pub use members::MemberError;
pub use metrics::Metrics;
pub use relay::TaskError;
pub use serve::{HostCommand, Node, ServeError};
