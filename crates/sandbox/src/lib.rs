//! Runs untrusted JavaScript in real V8, one short-lived jailed process per job.
//!
//! ```text
//! node (tokio)            host (one thread, exec'd)          child (one job, then dead)
//! client::Sandbox --unix socket--> host_main --fork--> isolate + prelude, jail, job, result
//!                                    |  deadline -> SIGKILL
//!                                    |  RLIMIT_DATA before the job
//! ```
//!
//! Invariants:
//! - A script's result depends only on its source, parameters, seed, shown time and the engine id: no clock, no entropy, no
//!   network, no files, no state of another job.
//! - No script outlives its deadline: the host kills its process, whatever the script does.
//! - What a script can break is its own process. The host answers every job, and the next job starts in a fresh child.
//! - The jail (seccomp) is on before the first byte of a script is read; a child that cannot put it on runs nothing.
//!
//! Files: [`engine`] finds and pins V8; [`job`] says what runs and what comes back; [`client`] is the async side; [`host_main`]
//! is the forking process; `child` runs one job; `prelude.js` makes the script's world deterministic and judges its result;
//! `jail`, `ffi` and `unix` hold all unsafe code; `frame` is the wire between the three processes.

pub mod client;
pub mod engine;
pub mod job;

mod child;
mod ffi;
mod frame;
mod host;
mod jail;
mod post_mortem;
mod slot;
mod unix;

pub use client::{JailReport, Sandbox, SandboxConfig, SandboxError};
pub use engine::{EngineError, EngineFiles, EngineId};
pub use host::{Probe, host_main, host_main_with_probe};
pub use job::{Fault, FaultKind, Finished, Job, JobError, Limits, Outcome};
