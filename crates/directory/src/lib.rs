//! The directory: who belongs to a network, and which of them are alive.
//!
//! Every other part reads a [`Snapshot`], which never changes; a new one takes its place. Pure: time
//! is an argument.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `snapshot.rs` | the nodes of a network as seen at one moment |
//! | `liveness.rs` | when each node was last heard of |

mod liveness;
mod snapshot;

pub use liveness::Liveness;
pub use snapshot::{AdmitError, Directory, Snapshot};
