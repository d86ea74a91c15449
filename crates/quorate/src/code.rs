//! `quorate code`: the scripts of a relay's store.

use std::path::PathBuf;

use anyhow::Result;
use wire::CodeHash;

use crate::{output, target::TargetArgs, values};

/// The scripts of a relay's store
#[derive(Debug, clap::Subcommand)]
pub enum CodeCommand {
    /// Stores a script and prints its hash
    Put {
        /// The script
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Prints a script, which has the hash that was asked for
    Get {
        /// Its hash: 64 hex digits
        hash: CodeHash,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Lists the scripts, newest first
    List {
        /// The most that are listed
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        #[command(flatten)]
        common: Common,
    },
}

/// What most commands here take.
#[derive(Debug, clap::Args)]
pub struct Common {
    #[command(flatten)]
    target: TargetArgs,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(command: CodeCommand) -> Result<()> {
    match command {
        CodeCommand::Put { file, common } => {
            let script = values::read_script(&file)?;
            let target = common.target.connect().await?;
            let stored = target.client.put_code(script.as_bytes()).await?;
            if common.json { output::json(&stored) } else { output::data(&stored.hash.to_string()) }
        }
        CodeCommand::Get { hash, target } => {
            let target = target.connect().await?;
            output::bytes(&target.client.code(hash).await?)
        }
        CodeCommand::List { limit, common } => {
            let target = common.target.connect().await?;
            let list = target.client.code_list(None, limit).await?;
            if common.json {
                return output::json(&list);
            }
            let now = node::time::now();
            let row = |code: &api::CodeView| {
                let age = output::ago(now.since(code.stored_ms));
                vec![code.hash.to_string(), code.bytes.to_string(), age]
            };
            let rows: Vec<_> = list.code.iter().map(row).collect();
            output::table(&["HASH", "BYTES", "STORED"], &rows)
        }
    }
}
