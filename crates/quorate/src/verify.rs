//! `quorate verify`: checks a certificate or evidence, offline.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;
use verify::{
    Certificate, CertificateError, Evidence,
    record::{FORMAT as CERTIFICATE_FORMAT, MAX_CERTIFICATE_BYTES},
};
use wire::{NetworkId, compute::Outcome};

use crate::{
    exit::{Exit, OrExit as _, failure},
    output, values,
};

const EXAMPLES: &str = "\
Examples:
  quorate verify certificate.json --network 9c51…(64 hex digits)
  quorate verify evidence.json --json

Nothing but the file is needed: no node is asked, no other file is read. A certificate proves what the
nodes of *its* network agreed on: without --network, compare the network's id with one that you trust.";

/// Checks a certificate or evidence, offline.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// The certificate or evidence
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network that it must be of
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
    /// Prints the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What was found to hold.
struct Found {
    network: NetworkId,
    /// What was checked, in words.
    checks: Vec<String>,
    /// What it comes to, in words.
    sum: String,
    /// The same for programs.
    facts: serde_json::Value,
}

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<()> {
    let bytes =
        values::read_file(&args.file, MAX_CERTIFICATE_BYTES as u64).or_exit(Exit::BadInput)?;
    let found = match check(&bytes, args.network.as_ref()) {
        Ok(found) => found,
        Err(error) => {
            if args.json {
                let reason = format!("{error:#}");
                output::json(&json!({ "valid": false, "reason": reason }))?;
            }
            return Err(error.context(format!("{} is refused", args.file.display())))
                .or_exit(Exit::Refused);
        }
    };
    if args.json {
        let mut report = json!({ "valid": true, "network": found.network, "checks": found.checks });
        if let (Some(report), serde_json::Value::Object(facts)) =
            (report.as_object_mut(), found.facts)
        {
            report.insert("network_expected".to_owned(), args.network.is_some().into());
            report.extend(facts);
        }
        return output::json(&report);
    }
    for check in &found.checks {
        output::data(&format!("ok  {check}"))?;
    }
    output::data(&found.sum)?;
    if args.network.is_none() {
        output::talk(&format!(
            "It is of network {}: compare that with the one that you trust, or give --network.",
            found.network
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Tagged {
    format: String,
}

fn check(bytes: &[u8], network: Option<&NetworkId>) -> Result<Found> {
    let tagged: Tagged =
        serde_json::from_slice(bytes).context("neither a certificate nor evidence")?;
    match tagged.format.as_str() {
        CERTIFICATE_FORMAT => certificate(bytes, network),
        verify::evidence::FORMAT => evidence(bytes, network),
        other => {
            let got = output::excerpt(other, 80);
            let message = format!("format: neither a certificate's nor an evidence's: {got:?}");
            Err(failure(Exit::Refused, message))
        }
    }
}

fn certificate(bytes: &[u8], network: Option<&NetworkId>) -> Result<Found> {
    let certificate = Certificate::from_json(bytes)?;
    if let Some(network) = network {
        certificate.expect_network(network)?;
    }
    let execution = certificate.execution();
    let (what, key, value) = match &execution.outcome {
        Outcome::Value(value) => {
            (format!("the result is {}", value.as_str()), "result", value.to_value())
        }
        Outcome::Fault(fault) => (
            format!("the script has no result ({}: {})", fault.kind, fault.message),
            "fault",
            serde_json::to_value(fault)?,
        ),
    };
    let facts = json!({
        "format": CERTIFICATE_FORMAT,
        "request": certificate.parts().request.id(),
        "code": execution.code,
        "engine": execution.engine,
        key: value,
    });
    Ok(Found {
        network: certificate.network(),
        checks: certificate.checks().to_vec(),
        sum: format!("The certificate holds: {what}."),
        facts,
    })
}

fn evidence(bytes: &[u8], network: Option<&NetworkId>) -> Result<Found> {
    let evidence = Evidence::from_json(bytes)?;
    let got = evidence.network();
    if let Some(expected) = network.filter(|expected| **expected != got) {
        return Err(CertificateError::Network { expected: *expected, got }.into());
    }
    let verdict = evidence.verdict();
    let rule = verdict.rule.in_words();
    Ok(Found {
        network: got,
        checks: vec![
            format!(
                "network {got}: an operator vouches for {} ({})",
                verdict.name, verdict.accused
            ),
            format!("rule: an honest node {rule}"),
            format!("statements: {}", verdict.reason),
        ],
        sum: format!("The evidence holds: {} is convicted.", verdict.name),
        facts: json!({ "format": verify::evidence::FORMAT, "verdict": verdict }),
    })
}
