//! `quorate keys`: secrets of nodes and operators, of which only ids are ever shown.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use wire::key::StatementSigner as _;

use crate::{
    exit::{Exit, OrExit as _, failure},
    output,
};

/// Keys of nodes and operators
#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Makes a key in a new file that only its owner can read, and prints its id
    New {
        /// Whose key
        kind: Kind,
        /// The file, which must not exist
        file: PathBuf,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints the ids of a key, never the secret
    Show {
        /// The file
        file: PathBuf,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A node: it signs statements and is drawn
    Node,
    /// An operator: it admits nodes and signs settings
    Operator,
}

/// Runs the command.
pub fn run(command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::New { kind, file, json } => {
            if file.exists() {
                let message = format!("{} exists; a key is never overwritten", file.display());
                return Err(failure(Exit::BadInput, message));
            }
            let ids = match kind {
                Kind::Node => node_ids(file)?,
                Kind::Operator => operator_ids(file)?,
            };
            show(&[ids], *json)
        }
        KeysCommand::Show { file, json } => {
            // A secret does not know its use, and each use has an id of its own.
            node::files::existing_operator_key(file).or_exit(Exit::BadInput)?;
            show(&[node_ids(file)?, operator_ids(file)?], *json)
        }
    }
}

fn node_ids(file: &Path) -> Result<Value> {
    let key = node::files::node_key(file)?;
    Ok(json!({
        "use": "node",
        "id": key.id(),
        "vrf": key.vrf_public(),
        "sealing": key.sealing_public(),
    }))
}

fn operator_ids(file: &Path) -> Result<Value> {
    let key = node::files::operator_key(file)?;
    Ok(json!({ "use": "operator", "id": key.id() }))
}

fn show(ids: &[Value], as_json: bool) -> Result<()> {
    if as_json {
        return if let [one] = ids { output::json(one) } else { output::json(&ids) };
    }
    for known in ids {
        let text = |name: &str| known[name].as_str().map(str::to_owned);
        let use_ = text("use").unwrap_or_default();
        for name in ["id", "vrf", "sealing"] {
            if let Some(value) = text(name) {
                output::data(&format!("{use_:8} {name:7} {value}"))?;
            }
        }
    }
    Ok(())
}
