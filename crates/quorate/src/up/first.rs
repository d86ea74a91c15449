//! The first request of a network, and how its result is told.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use api::{Json, RequestSubmit};
use serde::Serialize;
use serde_json::{Value, json};
use wire::{NetworkId, RequestId, compute::Outcome, json::CanonicalJson};

use super::network::Network;
use crate::{
    job::{self, Ended, Vote},
    output::{self, data},
    progress::Progress,
    values::{self, Param},
};

/// What is run when no script is given.
const EXAMPLE: &str = include_str!("../../../../examples/circle_area.js");
/// With these parameters.
const EXAMPLE_PARAMS: &str = "{\"radius\":5}";
/// How long the first request may take, in ms: a machine that is busy starting things is slow.
const DEADLINE_MS: u64 = 60_000;
/// How many hex digits of a request's id name its certificate.
const NAME_DIGITS: usize = 16;

/// The first request.
pub struct FirstJob {
    script: String,
    params: Option<Json>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    outcome: serde_json::Map<String, Value>,
    certificate: PathBuf,
    drawn: Vec<String>,
    votes: Vec<Vote>,
    agreed_ms: Option<u64>,
    open_to_agreed_ms: Option<u64>,
    /// From the start of this program to the verified result.
    total_ms: u64,
    request: RequestId,
    network: NetworkId,
    relay: String,
}

impl FirstJob {
    /// Reads the script and the parameters.
    pub fn new(script: Option<&PathBuf>, params: &[Param]) -> Result<Self> {
        let given = values::params(None, params)?;
        Ok(match script {
            Some(path) => Self { script: values::read_script(path)?, params: given },
            None => {
                let example = || CanonicalJson::from_text(EXAMPLE_PARAMS).map(Json);
                let params = given.map_or_else(example, Ok).context("the example's parameters")?;
                Self { script: EXAMPLE.to_owned(), params: Some(params) }
            }
        })
    }

    /// Runs it, writes the certificate and tells the result.
    pub async fn run(&self, network: &Network, began: Instant, as_json: bool) -> Result<()> {
        let relay = &network.relay;
        let progress = Progress::new(as_json);
        let stored = relay.client.put_code(self.script.as_bytes()).await?;
        let submit = RequestSubmit {
            uri: Some(stored.uri),
            code: Some(stored.hash),
            params: self.params.clone(),
            deadline_ms: Some(DEADLINE_MS),
            ..RequestSubmit::default()
        };
        let key = job::new_key();
        let ended = job::execute(&relay.client, &relay.network, &submit, &key, &progress).await?;
        drop(progress);
        let name = &ended.view.id.to_string()[..NAME_DIGITS];
        let path = network.certificates()?.join(format!("{name}.json"));
        if ended.certificate.is_some() {
            ended.write_certificate(&path)?;
            let total_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let report = report(network, &ended, path, total_ms);
            if as_json {
                output::json(&report)?;
            } else {
                tell(network, &ended, &report)?;
            }
        }
        ended.value().map(drop)
    }
}

fn report(network: &Network, ended: &Ended, certificate: PathBuf, total_ms: u64) -> Report {
    let votes = ended.votes();
    let outcome = ended.certificate.as_ref().map(|known| &known.execution().outcome);
    let outcome = match outcome {
        Some(Outcome::Value(value)) => json!({ "result": value.to_value() }),
        Some(Outcome::Fault(fault)) => json!({ "fault": fault }),
        None => json!({}),
    };
    Report {
        outcome: outcome.as_object().cloned().unwrap_or_default(),
        certificate,
        drawn: votes.iter().map(|vote| vote.name.clone()).collect(),
        votes,
        agreed_ms: ended.view.agreed_ms,
        open_to_agreed_ms: ended.view.open_to_agreed_ms,
        total_ms,
        request: ended.view.id,
        network: network.relay.network,
        relay: network.relay.url.clone(),
    }
}

fn tell(network: &Network, ended: &Ended, report: &Report) -> Result<()> {
    data("")?;
    let rows: Vec<_> =
        network.nodes.iter().map(|(name, domain)| vec![name.clone(), domain.clone()]).collect();
    output::table(&["NODE", "ADDRESS"], &rows)?;
    data("")?;
    let voted: Vec<String> =
        report.votes.iter().map(|vote| format!("{} {}", vote.name, vote.vote)).collect();
    let execution = ended.certificate.as_ref().map(verify::Certificate::execution);
    let result = match execution.map(|execution| &execution.outcome) {
        Some(Outcome::Value(value)) => value.as_str().to_owned(),
        Some(Outcome::Fault(fault)) => {
            format!("none: the script faulted ({}): {}", fault.kind, fault.message)
        }
        None => "none".to_owned(),
    };
    let code = execution.and_then(|execution| execution.code);
    let ms = |time: Option<u64>| time.map_or_else(|| "?".to_owned(), |ms| format!("{ms} ms"));
    let took = format!(
        "{} from received to agreed, {} of it since the round opened; {} ms since the start",
        ms(report.agreed_ms),
        ms(report.open_to_agreed_ms),
        report.total_ms
    );
    let certificate = report.certificate.display();
    for (name, value) in [
        ("request", report.request.to_string()),
        ("drawn", report.drawn.join(", ")),
        ("votes", voted.join(", ")),
        ("result", result),
        ("code", code.map_or_else(|| "none".to_owned(), |code| code.to_string())),
        ("took", took),
        ("certificate", format!("{certificate} (verified)")),
    ] {
        data(&format!("{name:12} {value}"))?;
    }
    data("")?;
    data(&format!(
        "Verify it anywhere:  quorate verify {certificate} --network {}",
        report.network
    ))?;
    data(&format!("Run your own:        quorate run FILE --relay {}", report.relay))
}
