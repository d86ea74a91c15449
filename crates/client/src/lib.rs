//! The Rust SDK: calls a node and checks what it answers.
//!
//! Every answer has a limit and a time. Every view is compared with the signed statement that it
//! carries, every script with its hash, every answer with the question: what does not fit comes
//! back as [`ClientError::Verification`], never as a value. Whether the *signer* was entitled to
//! say it (is that key the beacon's, is that quorum drawn) takes the network's history, and is the
//! work of `verify` on the bytes that this crate hands out.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `client.rs` | [`Client`]: what anybody may ask of a node |
//! | `run.rs` | [`Client::run`]: submit, follow, certificate |
//! | `peer.rs` | [`PeerClient`]: what one node asks of another, with its credential |
//! | `stream.rs` | [`EventStream`]: events that survive a broken connection |
//! | `sse.rs` | the parser of server-sent events |
//! | `check.rs` | whether a view says what its statement says |
//! | `transport.rs` | one HTTP call, bounded in bytes and time |
//! | `error.rs` | what can go wrong |

pub mod check;
mod client;
mod error;
mod peer;
mod run;
pub mod sse;
mod stream;
pub mod transport;

pub use client::Client;
pub use error::{ClientError, VerificationError};
pub use peer::{PeerClient, WitnessAnswer};
pub use run::Completed;
pub use stream::{EventStream, Numbering, StreamEvent};
