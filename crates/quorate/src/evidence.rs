//! `quorate evidence`: what convicts nodes, as a node of the network holds it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use verify::Evidence;
use wire::StatementHash;

use crate::{output, target::TargetArgs};

/// What convicts nodes
#[derive(Debug, clap::Subcommand)]
pub enum EvidenceCommand {
    /// Lists the evidence that a node holds, newest first
    List {
        /// The most that is listed
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Prints JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Fetches evidence, judges it anew, and prints its file
    Get {
        /// The evidence: 64 hex digits
        id: StatementHash,
        /// Writes it to this file instead
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Runs the command.
pub async fn run(command: EvidenceCommand) -> Result<()> {
    match command {
        EvidenceCommand::List { limit, json, target } => {
            let target = target.connect().await?;
            let list = target.client.evidence_list(None, limit).await?;
            if json {
                return output::json(&list);
            }
            let row = |known: &api::EvidenceView| {
                vec![
                    known.name.clone(),
                    known.rule.clone(),
                    known.id.to_string(),
                    known.summary.clone(),
                ]
            };
            let rows: Vec<_> = list.evidence.iter().map(row).collect();
            output::table(&["NODE", "RULE", "EVIDENCE", "WHAT HAPPENED"], &rows)
        }
        EvidenceCommand::Get { id, output: file, target } => {
            let target = target.connect().await?;
            let bytes = target.client.evidence(id).await?;
            let evidence = Evidence::from_json(&bytes).context("the evidence is refused")?;
            let network = evidence.network();
            if network != target.network {
                let expected = target.network;
                return Err(verify::CertificateError::Network { expected, got: network }.into());
            }
            let verdict = evidence.verdict();
            output::talk(&format!("{} is convicted: {}", verdict.name, verdict.reason));
            match file {
                Some(path) => Ok(node::files::write_atomically(&path, &bytes, 0o644)?),
                None => output::bytes(&bytes),
            }
        }
    }
}
