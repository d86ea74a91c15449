//! Project automation: `cargo xtask <command>`.
//!
//! Only what needs the code itself stands here. Setting up a machine and the order of the checks is in the script `dev`.

mod openapi;
mod tidy;

use anyhow::{Context, Result, bail};
use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
Usage: cargo xtask <command>

  tidy               check the rules that neither the compiler nor clippy knows
  openapi            write docs/openapi.json from the code
  openapi --check    fail if docs/openapi.json is not what the code says
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => tidy::run(&metadata()?),
        ["openapi"] => openapi::write(&root(&metadata()?)?),
        ["openapi", "--check"] => openapi::check(&root(&metadata()?)?),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// What cargo knows of the workspace of the current directory, without resolving (so without network and lock file).
fn metadata() -> Result<serde_json::Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata wrote no JSON")
}

fn root(metadata: &serde_json::Value) -> Result<PathBuf> {
    let root = metadata["workspace_root"].as_str();
    Ok(root.context("cargo metadata names no workspace")?.into())
}
