//! SWIFT's node storage: what a node speaks that shares a network or a store with the Go reference
//! (swift-go 0.1.6), without the reference's faults.
//!
//! Invariants: whatever stands in a [`SwiftNode`] can be sent to a Go peer without harm; nothing a
//! peer sends makes a reader panic, fill the memory or run without end; time, nonces and jitter are
//! arguments.
//!
//! A request goes one way: bytes ([`envelope`]) become a list ([`json`]) of records ([`record`]),
//! the machine of share nodes ([`sharing`]) collects the lists of all stores, [`merge`] makes the
//! immutable view of them which everyone reads, and the machine of [`alive`] says who of it answers.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `record.rs` | the record of a node, its domain and role |
//! | `time.rs` | dates, exactly as Go reads them |
//! | `secret.rs` | keys that nodes share, and secrets with their dates |
//! | `json.rs` | reading lists and store files, element by element |
//! | `writing.rs` | writing them as Go does |
//! | `envelope.rs` | zlib and AES-GCM around everything nodes say, and the scrambler |
//! | `registration.rs` | from a form to a record |
//! | `merge.rs` | several stores become one view: the storage manager |
//! | `selection.rs` | the questions that the storage manager answers |
//! | `home.rs` | which storage node keeps an address's values |
//! | `sharing.rs` | the machine that asks share nodes, recursively |
//! | `sharing/event.rs` | its events and effects |
//! | `peer.rs` | what the machine remembers of one share node |
//! | `serving.rs` | what our own nodes answer to peers |
//! | `alive.rs` | the machine that verifies who is alive |
//! | `challenge.rs` | both sides of one alive check |

pub mod alive;
pub mod challenge;
pub mod envelope;
pub mod home;
pub mod json;
pub mod merge;
mod peer;
pub mod record;
pub mod registration;
pub mod secret;
pub mod selection;
pub mod serving;
pub mod sharing;
pub mod time;
pub mod writing;

pub use record::{NodeFields, SwiftDomain, SwiftNode, SwiftRole};
pub use secret::{Secret, SecretKey};
pub use time::SwiftTime;

/// The start of a foreign text, short enough for a log line.
fn excerpt(text: &str) -> String {
    /// Enough to recognise a domain or a date by.
    const MAX_EXCERPT_CHARS: usize = 80;
    text.chars().take(MAX_EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod samples;
