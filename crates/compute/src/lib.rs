//! The life of a compute request, at the relay and at the worker.
//!
//! ```text
//! relay:   received -> drawing -> committing -> revealing -> agreed
//!              ^          |            |            |    \-> failed
//!              |          +- too few --+- no quorum-+  (the widening opens the next draw)
//! worker:  offered -> executing -> committed -> revealed
//! ```
//!
//! Invariants:
//! - what was persisted comes before what is sent: effects are in that order;
//! - no worker reveals before the relay has signed which commits count, so nobody can copy;
//! - every commit that has a receipt stands in its tally, every reveal that has one stands in the
//!   agreement or in the widening that ended its attempt, over crashes too;
//! - an agreement has a quorum *and* more than half of those who committed;
//! - a request ends exactly once.
//!
//! Pure: time is an argument, keys are held, nothing is random.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `relay.rs` | the relay's machine |
//! | `job.rs` | one request at the relay: its phases |
//! | `worker.rs` | the worker's machine |
//! | `event.rs`, `effect.rs` | what goes in and what comes out of the relay's machine |

mod effect;
mod event;
mod job;
mod relay;
mod worker;

pub use effect::{Ending, Record, Refusal, RelayEffect};
pub use event::{RelayEvent, StoredAttempt, StoredRequest};
pub use relay::{Relay, RelayLimits};
pub use worker::{StoredWork, Worker, WorkerEffect, WorkerEvent};
