//! What is printed: data on standard output, talk on standard error.
//!
//! Texts of scripts and other nodes can hold anything; control characters among them never reach a
//! terminal.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Prints a line of data. A reader that has gone away is no error.
pub fn data(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let shown = if out.is_terminal() { plain(text) } else { text.to_owned() };
    written(writeln!(out, "{shown}").and_then(|()| out.flush()))
}

/// Prints bytes as they are.
pub fn bytes(content: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(content).and_then(|()| out.flush()))
}

/// Prints one JSON document in one line.
pub fn json(value: &impl Serialize) -> Result<()> {
    data(&serde_json::to_string(value).context("an answer is not JSON")?)
}

fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Says something to whoever looks.
pub fn talk(text: &str) {
    // Nobody may be there to hear that nobody hears.
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

/// A text without control characters, which could make a terminal say anything.
pub fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// The beginning of a text.
pub fn excerpt(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Prints rows under their heads, each column as wide as it needs to be.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(heads[column].chars().count())
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    data(&line(heads.to_vec()))?;
    for row in rows {
        data(&line(row.iter().map(String::as_str).collect()))?;
    }
    Ok(())
}

/// How long ago a moment was, for people.
pub fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => "just now".to_owned(),
        1_000..120_000 => format!("{} s ago", ms / 1_000),
        120_000..7_200_000 => format!("{} min ago", ms / 60_000),
        _ => format!("{} h ago", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_is_left() {
        assert_eq!(plain("a\u{1b}[2J\u{9b}\nb\u{7f}"), "a\u{fffd}[2J\u{fffd}\nb\u{fffd}");
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!((excerpt("äöü", 2), excerpt("äöü", 3)), ("äö…".to_owned(), "äöü".to_owned()));
    }
}
