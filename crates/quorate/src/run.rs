//! `quorate run`: a script is run by drawn workers, and the result printed once it is verified.

use std::path::PathBuf;

use anyhow::Result;
use api::RequestSubmit;
use serde::Serialize;
use wire::CodeHash;

use crate::{
    exit::{Exit, failure},
    job::{self, Ended, Vote},
    output,
    progress::Progress,
    target::TargetArgs,
    values::{self, DurationMs, Param, Source},
};

const EXAMPLES: &str = "\
Examples:
  quorate run examples/circle_area.js --param radius=5
  quorate run https://example.org/price.js --params '{\"pair\":\"ab\"}' --committee 5 --quorum 4
  quorate run 3f5a…(64 hex digits) --param a=1 --param b=2 --certificate sum.json

The result is printed as JSON, and only after its certificate was verified on this machine.
Exit codes: 3 no quorum, 4 disagreement, 5 expired, 6 not acceptable, 7 the script faulted,
8 the certificate is refused, 9 the relay is not reached.";

/// Runs a script on drawn workers and prints the agreed result.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// A script's file (stored at the relay first), its http(s) address, or its hash in the relay's
    /// store
    #[arg(value_name = "FILE|URL|HASH")]
    source: Source,
    /// A parameter; the value is JSON if it can be read as such, else a string
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE")]
    param: Vec<Param>,
    /// All parameters as one JSON value, or @FILE that holds it
    #[arg(long, value_name = "JSON|@FILE")]
    params: Option<String>,
    /// The SHA-256 that the script behind an address must have
    #[arg(long, value_name = "HASH")]
    sha256: Option<CodeHash>,
    /// How many workers are drawn, as the expected number: 1 to 128, 3 by default
    #[arg(long, value_name = "N")]
    committee: Option<u16>,
    /// How many must agree: more than half of the committee, which is the default
    #[arg(long, value_name = "N")]
    quorum: Option<u16>,
    /// How long the answer is of use, such as 500ms, 10s or 2m; 10s by default
    #[arg(long, value_name = "TIME")]
    deadline: Option<DurationMs>,
    /// Writes the certificate to this file
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Makes a repeated command the same request
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Says nothing while it runs
    #[arg(long, short)]
    quiet: bool,
    /// Prints the whole request as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    network: wire::NetworkId,
    #[serde(flatten)]
    view: &'a api::RequestView,
    votes: Vec<Vote>,
    verified: bool,
    certificate_file: Option<&'a PathBuf>,
}

/// Runs the command.
pub async fn run(args: RunArgs) -> Result<()> {
    let params = values::params(args.params.as_deref(), &args.param)?;
    // A script that cannot be sent is told before anybody is asked.
    let script = match &args.source {
        Source::File(path) => Some(values::read_script(path)?),
        Source::Stored(_) | Source::Url(_) => None,
    };
    let target = args.target.connect().await?;
    let progress = Progress::new(args.quiet || args.json);
    let (uri, code) = match (&args.source, &script) {
        (Source::Url(uri), _) => (Some(uri.clone()), args.sha256),
        (Source::Stored(hash), _) => (None, Some(*hash)),
        (Source::File(_), script) => {
            progress.doing("storing the script");
            let source = script.as_deref().unwrap_or_default();
            (None, Some(target.client.put_code(source.as_bytes()).await?.hash))
        }
    };
    if let (Some(expected), Some(got)) = (args.sha256, code)
        && expected != got
    {
        return Err(failure(
            Exit::BadInput,
            format!("--sha256: the script has {got}, not {expected}"),
        ));
    }
    let submit = RequestSubmit {
        uri,
        code,
        params,
        committee: args.committee,
        quorum: args.quorum,
        deadline_ms: args.deadline.map(|DurationMs(ms)| ms),
    };
    let key = args.idempotency_key.clone().unwrap_or_else(job::new_key);
    let ended = job::execute(&target.client, &target.network, &submit, &key, &progress).await?;
    drop(progress);
    report(&args, target.network, &ended)
}

fn report(args: &RunArgs, network: wire::NetworkId, ended: &Ended) -> Result<()> {
    let written = args.certificate.as_ref().filter(|_| ended.certificate.is_some());
    if let Some(path) = written {
        ended.write_certificate(path)?;
    }
    if args.json {
        output::json(&Report {
            network,
            view: &ended.view,
            votes: ended.votes(),
            verified: ended.certificate.is_some(),
            certificate_file: written,
        })?;
    }
    let value = ended.value()?;
    if !args.json {
        output::data(value)?;
    }
    Ok(())
}
