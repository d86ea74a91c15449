//! Requests of `a + b` through a whole network, at several concurrencies.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use api::{Json, RequestEvent, RequestSubmit};
use client::Client;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use wire::{CodeHash, json::CanonicalJson};

use super::{
    baseline::{self, Part},
    figures::{Figures, Machine},
};
use crate::{
    job, output,
    progress::Progress,
    up::network::{Network, NetworkOptions},
};

/// The script that is measured.
pub const SCRIPT: &str = "function mainFunction(params) { return params.a + params.b; }\n";

const EXAMPLES: &str = "\
Examples:
  quorate bench compute
  quorate bench compute --requests 1000 --concurrency 1,16,64 --period-ms 100 --json

A request waits for the next round, so received-to-agreed holds about half a period; the time since the
round opened is what the network itself takes. All nodes share this machine.";

/// What is measured.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ComputeArgs {
    /// How many requests at each concurrency
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// How many requests are open at once: a list
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u32).range(1..=4_096))]
    concurrency: Vec<u32>,
    /// How many workers are drawn, as the expected number
    #[arg(long, value_name = "N", default_value_t = 3)]
    committee: u16,
    /// How many must agree
    #[arg(long, value_name = "N", default_value_t = 2)]
    quorum: u16,
    /// How many workers there are
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    workers: u16,
    /// How long a round lasts
    #[arg(long, value_name = "MS", default_value_t = 200)]
    period_ms: u64,
    /// Where the network's folder is made, which is removed at the end: the disk that is measured
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What one concurrency came to.
#[derive(Debug, Serialize)]
struct Level {
    concurrency: u32,
    agreed: usize,
    failed: usize,
    requests_per_s: f64,
    received_to_agreed_ms: Option<Figures>,
    open_to_agreed_ms: Option<Figures>,
}

/// One request, as the relay measured it, in ms.
struct Measured {
    agreed_ms: f64,
    open_to_agreed_ms: Option<f64>,
}

/// Runs the command.
pub async fn run(args: ComputeArgs) -> Result<()> {
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("cannot make a folder")?;
    let before = Machine::now();
    let options = NetworkOptions {
        data: folder.path().join("network"),
        workers: args.workers,
        period_ms: Some(args.period_ms),
        #[cfg(feature = "adversary")]
        conduct: Vec::new(),
    };
    let progress = Progress::new(args.json);
    progress.doing("starting the network");
    let began = Instant::now();
    let network = Network::start(options).await?;
    progress.line(&format!(
        "network of {} workers ready after {:.1} s",
        args.workers,
        began.elapsed().as_secs_f64()
    ));
    let measured = levels(&args, &network, &progress).await;
    network.stop().await;
    let levels = measured?;
    progress.doing("measuring the parts");
    let parts = baseline::measure(folder.path()).await?;
    drop(progress);
    let after = Machine::now();
    if args.json {
        return output::json(&json!({
            "machine": after,
            "load_before": before.load,
            "committee": args.committee, "quorum": args.quorum, "workers": args.workers,
            "period_ms": args.period_ms, "requests": args.requests,
            "levels": levels,
            "parts_us": parts,
        }));
    }
    tell(&args, &before, &after, &levels, &parts)
}

async fn levels(args: &ComputeArgs, network: &Network, progress: &Progress) -> Result<Vec<Level>> {
    let client = &network.relay.client;
    let code = client.put_code(SCRIPT.as_bytes()).await?.hash;
    // One request that counts for nothing: connections are opened, caches filled, and its
    // certificate shows that what is measured is the real thing.
    let submit = submission(args, code, 0)?;
    let quiet = Progress::new(true);
    let ended =
        job::execute(client, &network.relay.network, &submit, &job::new_key(), &quiet).await?;
    ensure!(ended.value()? == "1", "0 + 1 is {}", ended.value()?);
    let mut levels = Vec::new();
    for concurrency in &args.concurrency {
        progress.doing("measuring requests");
        let level = level(args, client, code, *concurrency).await?;
        progress.line(&format!(
            "{concurrency} at once: {} agreed, {} failed",
            level.agreed, level.failed
        ));
        levels.push(level);
    }
    Ok(levels)
}

fn submission(args: &ComputeArgs, code: CodeHash, number: u32) -> Result<RequestSubmit> {
    Ok(RequestSubmit {
        code: Some(code),
        params: Some(Json(CanonicalJson::from_value(&json!({ "a": number, "b": 1 }))?)),
        committee: Some(args.committee),
        quorum: Some(args.quorum),
        deadline_ms: Some(60_000),
        uri: None,
    })
}

async fn level(
    args: &ComputeArgs,
    client: &Client,
    code: CodeHash,
    concurrency: u32,
) -> Result<Level> {
    let places = Arc::new(Semaphore::new(concurrency as usize));
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..args.requests {
        let submit = submission(args, code, number)?;
        let client = client.clone();
        let place = Arc::clone(&places).acquire_owned().await?;
        running.spawn(async move {
            let measured = one(&client, &submit, number).await;
            drop(place);
            measured
        });
    }
    let (mut all, mut first_error) = (Vec::new(), None);
    while let Some(ended) = running.join_next().await {
        match ended? {
            Ok(measured) => all.push(measured),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    if let Some(error) = first_error {
        output::talk(&format!("a request failed: {error:#}"));
    }
    Ok(Level {
        concurrency,
        agreed: all.len(),
        failed: args.requests as usize - all.len(),
        requests_per_s: all.len() as f64 / seconds,
        received_to_agreed_ms: Figures::of(all.iter().map(|one| one.agreed_ms).collect()),
        open_to_agreed_ms: Figures::of(
            all.iter().filter_map(|one| one.open_to_agreed_ms).collect(),
        ),
    })
}

/// Submits one request and follows it to its end.
async fn one(client: &Client, submit: &RequestSubmit, number: u32) -> Result<Measured> {
    let view = client.submit(submit, None).await?;
    let mut events = client.events(view.id, None);
    while let Some(event) = events.next().await {
        match event?.1 {
            RequestEvent::Agreed { result, agreed_ms, open_to_agreed_ms, .. } => {
                ensure!(result == Some(json!(number + 1)), "{number} + 1 is {result:?}");
                return Ok(Measured {
                    agreed_ms: agreed_ms as f64,
                    open_to_agreed_ms: open_to_agreed_ms.map(|ms| ms as f64),
                });
            }
            RequestEvent::Failed { reason, detail } => bail!("{}: {detail}", reason.as_str()),
            _ => {}
        }
    }
    bail!("the events ended without a result")
}

fn tell(
    args: &ComputeArgs,
    before: &Machine,
    after: &Machine,
    levels: &[Level],
    parts: &[Part],
) -> Result<()> {
    let build =
        if after.optimised { "release" } else { "debug (figures of a debug build mean little)" };
    output::data(&format!(
        "{}, {} core(s), load {} before and {} after, {build} build",
        after.processor, after.cores, before.load, after.load
    ))?;
    output::data(&format!(
        "a + b, {} requests each, committee {}, quorum {}, {} workers, rounds of {} ms, all on this machine\n",
        args.requests, args.committee, args.quorum, args.workers, args.period_ms
    ))?;
    let ms = |figures: &Option<Figures>| match figures {
        Some(known) => [format!("{:.0}", known.median), format!("{:.0}", known.p99)],
        None => ["-".to_owned(), "-".to_owned()],
    };
    let row = |level: &Level| {
        let mut row =
            vec![level.concurrency.to_string(), level.agreed.to_string(), level.failed.to_string()];
        row.push(format!("{:.1}", level.requests_per_s));
        row.extend(ms(&level.received_to_agreed_ms));
        row.extend(ms(&level.open_to_agreed_ms));
        row
    };
    let rows: Vec<_> = levels.iter().map(row).collect();
    let heads = [
        "AT ONCE",
        "AGREED",
        "FAILED",
        "PER S",
        "RECEIVED TO AGREED ms",
        "p99",
        "ROUND OPEN TO AGREED ms",
        "p99",
    ];
    output::table(&heads, &rows)?;
    output::data("")?;
    let row = |part: &Part| {
        vec![part.what.to_owned(), format!("{:.0}", part.us.median), format!("{:.0}", part.us.p99)]
    };
    let rows: Vec<_> = parts.iter().map(row).collect();
    output::table(&["PART, BY ITSELF", "MEDIAN us", "p99"], &rows)
}
