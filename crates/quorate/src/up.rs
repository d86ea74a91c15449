//! `quorate up`: a whole network on this machine, and its first verified result.
//!
//! Each node is a process of its own with a folder of its own; this process holds their listening
//! sockets, so that a node that comes back has its port, and their standard input, so that none
//! outlives it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `plan.rs` | folder, keys, ports, the network's file |
//! | `ports.rs` | listening sockets: the earlier ports where they are free |
//! | `fleet.rs`, `keeper.rs` | the processes: started, watched, started again, stopped |
//! | `network.rs` | the running network: ready or not |
//! | `first.rs` | the first request and how it is told |

pub mod first;
mod fleet;
mod keeper;
pub mod network;
mod plan;
mod ports;

use std::{path::PathBuf, time::Instant};

use anyhow::Result;

use crate::{
    exit, output, serve,
    target::DEFAULT_DATA,
    up::{
        first::FirstJob,
        network::{Network, NetworkOptions},
    },
    values::Param,
};

const EXAMPLES: &str = "\
Examples:
  quorate up
  quorate up --workers 9 --data /tmp/net --script examples/simple_addition.js --param a=1 --param b=2
  quorate up --once --json | jq .result

The network keeps its keys, statements and certificates in its folder and goes on from there the next
time. `quorate run` in the same directory finds it.";

/// Runs a whole network on this machine: a beacon, a relay and workers, one process each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct UpArgs {
    /// The network's folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// How many workers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    workers: u16,
    /// How long a round lasts; 1000 by default, and later what the network's settings say
    #[arg(long, value_name = "MS")]
    period_ms: Option<u64>,
    /// The script that is run first: an example by default
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// A parameter of the script; the value is JSON if it can be read as such, else a string
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE")]
    param: Vec<Param>,
    /// Stops everything after the first result
    #[arg(long)]
    once: bool,
    /// Prints the first result as one JSON object
    #[arg(long)]
    json: bool,
    /// Ends when standard input does: with the process that started this one
    #[arg(long, hide = true)]
    exit_with_parent: bool,
    /// How a worker behaves, such as worker-1=lies
    #[cfg(feature = "adversary")]
    #[arg(long, hide = true, value_name = "NODE=CONDUCT")]
    conduct: Vec<String>,
}

impl UpArgs {
    fn options(&self) -> NetworkOptions {
        NetworkOptions {
            data: self.data.clone(),
            workers: self.workers,
            period_ms: self.period_ms,
            #[cfg(feature = "adversary")]
            conduct: self.conduct.clone(),
        }
    }
}

/// Runs the command.
pub async fn run(args: UpArgs) -> Result<()> {
    let began = Instant::now();
    let job = FirstJob::new(args.script.as_ref(), &args.param)?;
    let signal = serve::stop_signal()?;
    let parent = args.exit_with_parent.then(serve::when_stdin_ends);
    let stop = async move {
        let parent = async move {
            match parent {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signal => {}
            () = parent => {}
        }
    };
    tokio::pin!(stop);
    let network = tokio::select! {
        network = Network::start(args.options()) => network?,
        // Nothing was promised yet: what was started ends with this process.
        () = &mut stop => return Ok(()),
    };
    let result = tokio::select! {
        told = job.run(&network, began, args.json) => told,
        () = &mut stop => {
            network.stop().await;
            return Ok(());
        }
    };
    if args.once {
        network.stop().await;
        return result;
    }
    if let Err(error) = result {
        // The network is up all the same.
        exit::report(&error);
    }
    output::talk("Ctrl-C stops everything.");
    stop.await;
    network.stop().await;
    output::talk("stopped");
    Ok(())
}
