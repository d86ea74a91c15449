//! The worker's shell: follows the relays, draws, runs scripts, commits, reveals.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `task.rs` | the task that drives `compute::Worker` |
//! | `follow.rs` | the streams of offers from the relays, checked |
//! | `fetch.rs` | scripts by address, with limits and without reaching into private networks |
//! | `run.rs` | a script to its execution |

mod fetch;
mod follow;
mod run;
mod task;

pub(crate) use follow::follow_relays;
pub(crate) use run::Runner;
#[cfg(feature = "adversary")]
pub(crate) use run::lie;
pub(crate) use task::{WorkerParts, WorkerTask};

/// The most inputs that wait for the worker's task.
pub(crate) const INPUT_QUEUE: usize = 4_096;
