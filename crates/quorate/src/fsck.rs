//! `quorate fsck`: databases checked against themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    exit::{Exit, OrExit as _, failure},
    output,
};

/// A node's database in its folder.
const DATABASE: &str = "node.db";

/// Checks the databases of nodes, also while they run.
#[derive(Debug, clap::Args)]
pub struct FsckArgs {
    /// A node's folder, a folder of `quorate up`, or a database
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. What is found ends it with 1.
pub fn run(args: &FsckArgs) -> Result<()> {
    let databases = databases(&args.data).or_exit(Exit::BadInput)?;
    if databases.is_empty() {
        let message = format!("{}: no {DATABASE} here or one level below", args.data.display());
        return Err(failure(Exit::BadInput, message));
    }
    let (mut found, mut reports) = (0, Vec::new());
    for path in &databases {
        let report = store::fsck(path).with_context(|| path.display().to_string())?;
        found += report.findings.len();
        if args.json {
            reports.push(json!({
                "database": path,
                "entries": report.entries,
                "root": report.head.root,
                "findings": report.findings,
            }));
            continue;
        }
        let (shown, entries) = (path.display(), report.entries);
        let verdict = if report.is_clean() { "whole" } else { "DAMAGED" };
        output::data(&format!(
            "{shown}: {verdict}, {entries} log entries, root {}",
            report.head.root
        ))?;
        for finding in &report.findings {
            output::data(&format!("  {finding}"))?;
        }
    }
    if args.json {
        output::json(&reports)?;
    }
    match found {
        0 => Ok(()),
        found => Err(failure(Exit::Failed, format!("{found} finding(s)"))),
    }
}

fn databases(data: &Path) -> Result<Vec<PathBuf>> {
    if data.is_file() {
        return Ok(vec![data.to_owned()]);
    }
    if data.join(DATABASE).is_file() {
        return Ok(vec![data.join(DATABASE)]);
    }
    let entries = fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))?;
    let below = entries.filter_map(|entry| Some(entry.ok()?.path().join(DATABASE)));
    let mut found: Vec<PathBuf> = below.filter(|path| path.is_file()).collect();
    found.sort();
    Ok(found)
}
