//! What two parties must agree on byte for byte, and the one place where an algorithm is named.
//!
//! Everything here is a pure function of its arguments: no clock, no sockets, no randomness of its
//! own. A value that exists has been checked: a [`statement::Signed`] carries a signature that
//! verifies, an id has its length, a [`json::CanonicalJson`] is canonical.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `id.rs` | newtypes for every id, digest and index |
//! | `encoding.rs` | deterministic CBOR (RFC 8949, 4.2): one value, one byte string |
//! | `key.rs` | a node's secret and the three keys derived from it; the operator's key |
//! | `statement.rs` | signed statements, the only thing a node can be held to |
//! | `network.rs` | genesis, admissions of nodes, settings |
//! | `round.rs` | the beacon's rounds and the seed chain |
//! | `compute.rs` | requests, draws, commits, reveals, tallies, agreements |
//! | `agreement.rs` | which executions agree |
//! | `merkle.rs` | RFC 6962 trees: heads, inclusion, consistency |
//! | `checkpoint.rs` | C2SP checkpoints and cosignatures |
//! | `tile.rs` | C2SP tile coordinates |
//! | `vrf.rs` | RFC 9381 ECVRF-EDWARDS25519-SHA512-TAI |
//! | `seal.rs` | encryption of a secret to a node, or at rest |
//! | `json.rs` | canonical JSON (RFC 8785) |
//! | `credential.rs` | what a node shows when it calls another one |

pub mod agreement;
pub mod checkpoint;
pub mod compute;
pub mod credential;
pub mod encoding;
pub mod id;
pub mod json;
pub mod key;
pub mod merkle;
pub mod network;
pub mod round;
pub mod seal;
pub mod statement;
pub mod tile;
pub mod vrf;

pub use id::*;
pub use key::{NodeKey, OperatorKey};
pub use statement::{Body, Signed, StatementError};
