//! The commands.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::{
    bench::BenchCommand,
    code::{self, CodeCommand},
    evidence::{self, EvidenceCommand},
    exit, fsck,
    keys::{self, KeysCommand},
    manual,
    nodes::{self, NodeCommand},
    run, serve,
    settings::{self, SettingsCommand},
    up, verify,
};

/// How long what still runs in the background may go on once a command is done.
const BACKGROUND: Duration = Duration::from_secs(2);

/// Multi-node services that answer for what they do.
///
/// `quorate up` runs a whole network on this machine; `quorate run` has it run a script; `quorate
/// verify` checks the result's certificate, anywhere and without asking anybody.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_long_help = exit::help(), propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpArgs),
    Run(run::RunArgs),
    Verify(verify::VerifyArgs),
    #[command(subcommand)]
    Node(NodeCommand),
    #[command(subcommand)]
    Settings(SettingsCommand),
    #[command(subcommand)]
    Code(CodeCommand),
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    #[command(subcommand)]
    Keys(KeysCommand),
    Serve(serve::ServeArgs),
    Fsck(fsck::FsckArgs),
    #[command(subcommand)]
    Bench(BenchCommand),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Reads the command line and does what it says.
pub fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Up(args) => block_on(up::run(args)),
        Command::Run(args) => block_on(run::run(args)),
        Command::Verify(args) => verify::run(&args),
        Command::Node(command) => block_on(nodes::run(command)),
        Command::Settings(command) => block_on(settings::run(command)),
        Command::Code(command) => block_on(code::run(command)),
        Command::Evidence(command) => block_on(evidence::run(command)),
        Command::Keys(command) => keys::run(&command),
        Command::Serve(args) => serve::run(&args),
        Command::Fsck(args) => fsck::run(&args),
        Command::Bench(command) => block_on(crate::bench::run(command)),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(BACKGROUND);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
