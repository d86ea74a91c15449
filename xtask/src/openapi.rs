//! `docs/openapi.json`: written from the code, so that a change of the HTTP interface shows as a diff of that file.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

const FILE: &str = "docs/openapi.json";
/// How many differing lines `--check` prints: enough to see what changed, not the whole document after an insertion.
const SHOWN_LINES: usize = 10;

/// Writes the file.
pub fn write(root: &Path) -> Result<ExitCode> {
    let path = root.join(FILE);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    fs::write(&path, document()?).with_context(|| path.display().to_string())?;
    println!("{FILE} written");
    Ok(ExitCode::SUCCESS)
}

/// Compares the file with the code.
pub fn check(root: &Path) -> Result<ExitCode> {
    let path = root.join(FILE);
    let stored = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("{FILE} is missing; `cargo xtask openapi` writes it");
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let Some(difference) = difference(&stored, &document()?) else {
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!(
        "{FILE} is not what the code says (- file, + code); `cargo xtask openapi` writes it:"
    );
    eprint!("{difference}");
    Ok(ExitCode::FAILURE)
}

fn document() -> Result<String> {
    Ok(serde_json::to_string_pretty(&api::openapi::document())? + "\n")
}

/// The first lines of the first place where two texts differ, or nothing when they are equal.
fn difference(stored: &str, wanted: &str) -> Option<String> {
    if stored == wanted {
        return None;
    }
    let old: Vec<&str> = stored.lines().collect();
    let new: Vec<&str> = wanted.lines().collect();
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = (&old[start..], &new[start..]);
    let tail = rest.0.iter().rev().zip(rest.1.iter().rev());
    let same_at_end = tail.take_while(|(a, b)| a == b).count();

    let mut text = format!("{FILE}:{}:\n", start + 1);
    for (sign, lines) in [('-', rest.0), ('+', rest.1)] {
        let lines = &lines[..lines.len() - same_at_end];
        for line in lines.iter().take(SHOWN_LINES) {
            text += &format!("{sign}{line}\n");
        }
        if lines.len() > SHOWN_LINES {
            text += &format!("{sign}... and {} more lines\n", lines.len() - SHOWN_LINES);
        }
    }
    if old == new {
        text += "(only the line ends differ)\n";
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_do_not_differ() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn an_inserted_line_shows_alone() {
        let shown = difference("a\nc\n", "a\nb\nc\n").unwrap();
        assert_eq!(shown, "docs/openapi.json:2:\n+b\n");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let wanted: String = (0..30).map(|n| format!("{n}\n")).collect();
        let shown = difference("", &wanted).unwrap();
        assert!(shown.contains("+9\n") && !shown.contains("+10\n"), "{shown}");
        assert!(shown.contains("+... and 20 more lines"), "{shown}");
    }

    #[test]
    fn a_missing_last_line_end_is_a_difference() {
        assert!(difference("a", "a\n").unwrap().contains("line ends"));
    }

    #[test]
    fn the_document_is_stable_json_and_ends_its_last_line() {
        let text = document().unwrap();
        assert_eq!(text, document().unwrap());
        assert!(text.ends_with("}\n") && !text.ends_with("\n\n"));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(parsed["openapi"].is_string());
    }
}
