//! `quorate completions` and `quorate man`: made from the commands themselves.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Cli, output};

/// Prints the completions of a shell.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes the man pages.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder, such as ~/.local/share/man/man1
    dir: PathBuf,
}

/// Prints completions.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "quorate", &mut script);
    output::bytes(&script)
}

/// Writes man pages.
pub fn man(args: &ManArgs) -> Result<()> {
    let dir = args.dir.display();
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {dir}"))?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("cannot write man pages to {dir}"))?;
    output::talk(&format!("man pages written to {dir}"));
    Ok(())
}
