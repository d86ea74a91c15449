//! `quorate bench`: what was measured here and now, and nothing else.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `compute.rs` | requests through a whole network |
//! | `baseline.rs` | the parts that a request is made of, each by itself |
//! | `figures.rs` | medians, percentiles, the machine |

mod baseline;
mod compute;
mod figures;

use anyhow::Result;

/// Measuring
#[derive(Debug, clap::Subcommand)]
pub enum BenchCommand {
    /// Measures requests of `a + b` through a network that is started for it, and the parts that
    /// such a request is made of
    Compute(compute::ComputeArgs),
}

/// Runs the command.
pub async fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Compute(args) => compute::run(args).await,
    }
}
