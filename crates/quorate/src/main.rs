//! The program `quorate`: argument parsing, output, exit codes.
//!
//! Data goes to standard output, talk to standard error; `--json` makes the data one JSON document.
//! What ends a command decides its exit code, by the one table of `exit.rs`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `args.rs` | the commands |
//! | `exit.rs` | exit codes, and how errors are told |
//! | `output.rs`, `progress.rs` | what is printed; what is told meanwhile |
//! | `values.rs` | parameters, durations, what to run: as people write them |
//! | `target.rs`, `http.rs` | which node is asked, in which network; calls that the SDK does not have |
//! | `job.rs` | one request, from submission to the verified result |
//! | `run.rs`, `verify.rs`, `code.rs`, `evidence.rs` | running scripts; certificates, scripts, evidence |
//! | `nodes.rs`, `settings.rs`, `keys.rs`, `fsck.rs` | looking after a network |
//! | `serve.rs` | one node |
//! | `up.rs`, `up/` | a whole network on this machine |
//! | `bench.rs`, `bench/` | measuring |
//! | `manual.rs` | completions and man pages |

mod args;
mod bench;
mod code;
mod evidence;
mod exit;
mod fsck;
mod http;
mod job;
mod keys;
mod manual;
mod nodes;
mod output;
mod progress;
mod run;
mod serve;
mod settings;
mod target;
mod up;
mod values;
mod verify;

use std::process::ExitCode;

/// The hidden first argument that makes this process the host of a sandbox.
const SANDBOX_ARGUMENT: &str = "__sandbox";

fn main() -> ExitCode {
    // The host forks, so nothing may have started a thread before it.
    if std::env::args_os().nth(1).is_some_and(|first| first == SANDBOX_ARGUMENT) {
        return sandbox::host_main();
    }
    match args::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            exit::report(&error);
            exit::Exit::of(&error).into()
        }
    }
}

/// How this program is started as the host of a sandbox.
fn host_command() -> anyhow::Result<node::HostCommand> {
    use anyhow::Context as _;
    let program = std::env::current_exe().context("this program's own file cannot be found")?;
    Ok(node::HostCommand { program, arguments: vec![SANDBOX_ARGUMENT.to_owned()] })
}
