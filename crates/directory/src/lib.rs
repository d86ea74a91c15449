//! The directory: who belongs to a network, and which of them are alive.
//!
//! Every other part reads a [`Snapshot`], which never changes; a new one takes its place. Pure: time
//! is an argument.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `snapshot.rs` | the nodes of a network as seen at one moment |
//! | `liveness.rs` | when each node was last heard of |
//! | `swift.rs` | SWIFT's node storage: records, sharing, alive checks |

mod liveness;
mod snapshot;
pub mod swift;

pub use liveness::Liveness;
pub use snapshot::{AdmitError, Directory, Snapshot};
