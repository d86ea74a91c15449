//! `cargo xtask tidy`: the rules of the code that neither the compiler nor clippy knows.
//!
//! Every rule is a function from texts to findings, so that its tests need no files. This file reads the workspace and hands
//! each rule what it looks at.
//!
//! | file | rules |
//! | --- | --- |
//! | `table.rs` | the table of crates |
//! | `graph.rs` | which crate may use which, what a pure crate may depend on, names, sources of dependencies |
//! | `lock.rs` | what a pure crate reaches through others |
//! | `manifest.rs` | what each manifest inherits from the workspace |
//! | `source.rs` | what may stand in a source file, and how long it may be |
//! | `rust.rs` | Rust text without its comments and literals: what `source.rs` searches |

mod graph;
mod lock;
mod manifest;
mod rust;
mod source;
mod table;

use anyhow::{Context, Result};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the workspace's root.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why it must not be.
    pub why: &'static str,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, why: &'static str) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), why }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, why } = self;
        write!(formatter, "{path}:{line}: {what}: {why}")
    }
}

/// Directories that hold no source of ours, wherever they stand.
const SKIPPED_DIRECTORIES: &[&str] = &[".git", ".engine", "target", "node_modules"];

/// Checks the workspace that `cargo metadata` describes.
pub fn run(metadata: &serde_json::Value) -> Result<ExitCode> {
    let root = metadata["workspace_root"].as_str();
    let root = Path::new(root.context("cargo metadata names no workspace")?);
    let packages = graph::packages(metadata)?;
    let files = read_texts(root)?;

    let lock = files.iter().find(|file| file.path == "Cargo.lock");
    let mut findings = graph::check(&packages, &files);
    if let Some(lock) = lock {
        findings.extend(lock::check(&packages, &lock.text));
    }
    for package in &packages {
        if let Some(file) = files.iter().find(|file| file.path == package.manifest) {
            findings.extend(manifest::check(package, &file.text));
        }
    }
    for file in &files {
        findings.extend(source::check(file));
    }
    findings.extend(source::check_allowances(&files));

    findings.sort();
    findings.dedup();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(ExitCode::SUCCESS),
        count => {
            eprintln!("tidy: {count} found");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A text file of the workspace.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its path from the workspace's root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Every file under `root` that is UTF-8, in the order of their paths. Symbolic links are not followed.
fn read_texts(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        for entry in entries {
            let entry = entry.with_context(|| directory.display().to_string())?;
            let path = entry.path();
            let kind = entry.file_type().with_context(|| path.display().to_string())?;
            if kind.is_dir() {
                let name = entry.file_name();
                if !SKIPPED_DIRECTORIES.iter().any(|skipped| name == *skipped) {
                    open.push(path);
                }
            } else if kind.is_file() {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                if let Ok(text) = String::from_utf8(bytes) {
                    let relative = path.strip_prefix(root).unwrap_or(&path);
                    let path = relative.to_string_lossy().replace('\\', "/");
                    files.push(SourceFile { path, text });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_path_line_what_why() {
        let finding = Finding::new("crates/wire/src/id.rs", 7, "`dbg!`", "it is for debugging");
        assert_eq!(finding.to_string(), "crates/wire/src/id.rs:7: `dbg!`: it is for debugging");
    }

    #[test]
    fn texts_are_read_in_order_and_without_build_products() {
        let root = std::env::temp_dir().join(format!("quorate-tidy-{}", std::process::id()));
        fs::create_dir_all(root.join("b/target")).unwrap();
        fs::create_dir_all(root.join(".ci")).unwrap();
        fs::write(root.join("b/z.rs"), "//! z").unwrap();
        fs::write(root.join("b/target/made.rs"), "made").unwrap();
        fs::write(root.join(".ci/run"), "#!").unwrap();
        fs::write(root.join("a.bin"), [0xff, 0xfe]).unwrap();
        let files = read_texts(&root);
        fs::remove_dir_all(&root).unwrap();
        let paths: Vec<String> = files.unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [".ci/run", "b/z.rs"]);
    }
}
