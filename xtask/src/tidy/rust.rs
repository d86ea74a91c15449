//! Rust text without its comments and literals, and the names in it.
//!
//! Invariant: blanking keeps every line where it was, so a line of the blanked text is the same line of the file. It is a lexer
//! and not a parser: it knows just enough of Rust's literals to tell code from text.

/// `source` with comments, strings and characters replaced by spaces.
pub fn blank(source: &str) -> String {
    let mut rest = source;
    let mut blanked = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let in_word = blanked.chars().next_back().is_some_and(is_word);
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            '\'' => character(rest).unwrap_or(0),
            'r' | 'b' | 'c' if !in_word => prefixed_literal(rest).unwrap_or(0),
            _ => 0,
        };
        let (gone, kept) = rest.split_at(length);
        blanked.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = kept;
        if length == 0 {
            blanked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    blanked
}

/// The length of the block comment, which may hold others, that `text` starts with.
fn block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string literal that `text` starts with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal that `text` starts with; nothing if it is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next()?;
        return characters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    characters.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

/// The length of a literal with a prefix: `b".."`, `c".."`, `b'.'`, `r".."`, `br#".."#`.
fn prefixed_literal(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'r' | 'b' | 'c'))?;
    let body = &text[prefix..];
    if !text[..prefix].contains('r') {
        return match body.chars().next()? {
            '"' => Some(prefix + string(body)),
            '\'' if &text[..prefix] == "b" => character(body).map(|length| prefix + length),
            _ => None,
        };
    }
    let hashes = body.find(|c| c != '#')?;
    if !body[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = prefix + hashes + 1;
    let length = text[start..].find(&end).map(|at| start + at + end.len());
    Some(length.unwrap_or(text.len()))
}

/// Whether a name may hold `c`.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` as a whole word.
pub fn find_word(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(word).map(|at| from + at) {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
            return Some(at);
        }
        from = at + word.len();
    }
    None
}

/// Every `a::b::c` of blanked text with its line. Trees are opened: `std::{fs, time::Instant}` gives `std::fs` and
/// `std::time::Instant`. Renames keep the name that was imported.
pub fn paths(blanked: &str) -> Vec<(usize, String)> {
    let mut scan = PathScan::default();
    let mut line = 1;
    let mut rest = blanked;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if is_word(c) {
            length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            scan.word(line, &rest[..length]);
        } else if rest.starts_with("::") {
            length = 2;
            scan.path += "::";
        } else if c == '{' {
            scan.open();
        } else if !c.is_whitespace() {
            scan.finish();
            if c == '}' {
                scan.prefixes.pop();
            }
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    scan.finish();
    scan.found
}

#[derive(Default)]
struct PathScan {
    found: Vec<(usize, String)>,
    /// What each open brace puts before the paths in it: a path for a tree, nothing for a block.
    prefixes: Vec<String>,
    path: String,
    line: usize,
}

impl PathScan {
    fn word(&mut self, line: usize, word: &str) {
        if !self.path.ends_with("::") {
            self.finish();
        }
        self.path += word;
        self.line = line;
    }

    fn open(&mut self) {
        let mut prefix = String::new();
        if self.path.ends_with("::") {
            prefix = self.whole();
            self.path.clear();
        }
        self.finish();
        self.prefixes.push(prefix);
    }

    fn finish(&mut self) {
        let whole = self.whole();
        let whole = whole.trim_start_matches("::");
        if !self.path.is_empty() && whole.contains("::") {
            self.found.push((self.line, whole.to_owned()));
        }
        self.path.clear();
    }

    fn whole(&self) -> String {
        let prefix = self.prefixes.last().map_or("", String::as_str);
        format!("{prefix}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go_and_lines_stay() {
        let source = "let a = \"x\\\"\n y\"; // dbg!\n/* one /* two */ one */ b'\\'' '\\u{41}' r#\"q\"q\"# z";
        let blanked = blank(source);
        assert_eq!(blanked.lines().count(), source.lines().count());
        let words: Vec<&str> = blanked.split_whitespace().collect();
        assert_eq!(words, ["let", "a", "=", ";", "z"]);
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        let source = "fn f<'a>(x: &'a str) { r#type(x); var\"s\" }";
        assert_eq!(blank(source), "fn f<'a>(x: &'a str) { r#type(x); var    }");
    }

    #[test]
    fn a_quote_in_a_character_opens_no_string() {
        assert_eq!(blank("('\"', b'\"', x)"), "(   ,     , x)");
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_word("InstantLike Instant", "Instant"), Some(12));
        assert_eq!(find_word("an_instant", "instant"), None);
    }

    #[test]
    fn trees_open_into_paths() {
        let text = "use std::{\n  fs,\n  net::{self, TcpStream},\n};\nfn f() { a::b(c) }";
        let found = paths(text);
        let expected =
            [(2, "std::fs"), (3, "std::net::self"), (3, "std::net::TcpStream"), (5, "a::b")];
        let found: Vec<(usize, &str)> = found.iter().map(|(l, p)| (*l, p.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_block_after_a_path_is_no_tree() {
        let found = paths("impl std::fmt::Display for A { fn x() { B::C } }");
        let names: Vec<&str> = found.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(names, ["std::fmt::Display", "B::C"]);
    }
}
