//! What may stand in a source file, and how long it may be.
//!
//! Rules about code look at the text without comments and literals, so that a comment may say `SystemTime`. Rules about what a
//! clone must not hold look at the whole text of every file. The needles of those rules are put together with `concat!`, because
//! this file is searched like every other.

use super::rust::{blank, find_word, is_word, paths};
use super::table::{EMPTY_NAMES, WHY_EMPTY_NAME, is_pure};
use super::{Finding, SourceFile};

/// Paths that a pure crate does not name; also none below them.
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "rand",
    "getrandom",
];

/// Names that a pure crate does not use, whatever they were imported from.
const IMPURE_NAMES: &[&str] = &[
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "OsRng",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
];

/// Where printing is the purpose. Everything else returns values or uses `tracing`.
const PRINTING: &[(&str, &str)] = &[
    ("crates/quorate/", "the command line"),
    ("crates/sandbox/src/host.rs", "a process whose standard error its parent reads"),
    ("crates/sim/src/main.rs", "a program for people"),
    ("xtask/", "a program for people"),
];

const PRINT_MACROS: &[&str] = &["print", "println", "eprint", "eprintln"];

const BANNED_MACROS: &[(&str, &str)] = &[
    ("todo", "unfinished code is not committed"),
    ("unimplemented", "unfinished code is not committed"),
    ("dbg", "it is for debugging"),
];

/// A file's length above which it is split by idea.
const MAX_LINES: usize = 500;

/// Files that stay longer than `MAX_LINES`, with the reason.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "crates/compute/tests/model.rs",
        "the model, its actions and its invariants are read against each other",
    ),
    ("crates/compute/tests/refusals.rs", "one short test for each refusal, on one bench"),
];

const WHY_PURE: &str = "a pure crate gets time, chance and I/O from its caller";
const WHY_LEAK: &str = "it exists on the machine of its author only";

/// Checks one file by all rules that apply to it.
pub fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = leaks(file);
    findings.extend(unfinished(file));
    if !file.path.ends_with(".rs") {
        return findings;
    }
    let code = blank(&file.text);
    findings.extend(ignored_tests(file, &code));
    findings.extend(length(file));
    findings.extend(empty_names(file, &code));
    if file.path.contains("/src/") {
        findings.extend(opening(file));
        findings.extend(macros(file, &code));
        if is_of_pure_crate(&file.path) {
            findings.extend(impurities(file, &code));
        }
    }
    findings
}

fn is_of_pure_crate(path: &str) -> bool {
    let below_crates = path.strip_prefix("crates/");
    let name = below_crates.and_then(|path| path.split('/').next());
    name.is_some_and(is_pure)
}

/// Checks that every exception is still needed, so that the tables stay true.
pub fn check_allowances(files: &[SourceFile]) -> Vec<Finding> {
    stale_allowances(files, LONG_FILES)
}

fn stale_allowances(files: &[SourceFile], allowed: &[(&str, &str)]) -> Vec<Finding> {
    let is_long = |path: &str| {
        files.iter().any(|file| file.path == path && file.text.lines().count() > MAX_LINES)
    };
    let stale = allowed.iter().filter(|(path, _)| !is_long(path));
    let why = "take it out of the table of xtask/src/tidy/source.rs";
    stale.map(|(path, _)| Finding::new(path, 1, "no longer too long", why)).collect()
}

fn opening(file: &SourceFile) -> Option<Finding> {
    let why = "a file opens with what it is and the invariant that it keeps";
    let is_open = file.text.starts_with("//!");
    (!is_open).then(|| Finding::new(&file.path, 1, "no `//!` on the first line", why))
}

fn length(file: &SourceFile) -> Option<Finding> {
    let is_allowed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    let lines = file.text.lines().count();
    let why = "split it by idea, or give it a line with the reason in xtask/src/tidy/source.rs";
    (lines > MAX_LINES && !is_allowed).then(|| {
        Finding::new(&file.path, lines, format!("{lines} lines, {MAX_LINES} are allowed"), why)
    })
}

fn empty_names(file: &SourceFile, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let words: Vec<&str> = line.split(|c| !is_word(c)).collect();
        for pair in words.windows(2) {
            if pair[0] == "mod" && EMPTY_NAMES.contains(&pair[1]) {
                let what = format!("module `{}`", pair[1]);
                findings.push(Finding::new(&file.path, index + 1, what, WHY_EMPTY_NAME));
            }
        }
    }
    findings
}

fn macros(file: &SourceFile, code: &str) -> Vec<Finding> {
    let may_print = PRINTING.iter().any(|(place, _)| file.path.starts_with(place));
    let why_print = "only the programs print; other crates return values or use `tracing`";
    let printing = PRINT_MACROS.iter().filter(|_| !may_print).map(|name| (*name, why_print));
    let banned: Vec<_> = BANNED_MACROS.iter().copied().chain(printing).collect();
    on_lines(file, code, |line| {
        let mut found = Vec::new();
        for (name, why) in &banned {
            let at = find_word(line, name);
            if at.is_some_and(|at| line[at + name.len()..].starts_with('!')) {
                found.push((format!("`{name}!`"), *why));
            }
        }
        found
    })
}

fn ignored_tests(file: &SourceFile, code: &str) -> Vec<Finding> {
    on_lines(file, code, |line| {
        let dense: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let is_ignored = dense.contains("#[ignore]") || dense.contains("#[ignore=");
        let why = "a test that does not run proves nothing; mend it or take it out";
        is_ignored.then(|| ("an ignored test".to_owned(), why)).into_iter().collect()
    })
}

fn impurities(file: &SourceFile, code: &str) -> Vec<Finding> {
    let mut findings = on_lines(file, code, |line| {
        let used = IMPURE_NAMES.iter().filter(|name| find_word(line, name).is_some());
        used.map(|name| (format!("`{name}`"), WHY_PURE)).collect()
    });
    for (line, path) in paths(code) {
        let below = |banned: &str| {
            path.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        if IMPURE_PATHS.iter().any(|banned| below(banned)) {
            findings.push(Finding::new(&file.path, line, format!("`{path}`"), WHY_PURE));
        }
    }
    findings
}

fn unfinished(file: &SourceFile) -> Vec<Finding> {
    on_lines(file, &file.text, |line| {
        let marks = [concat!("FIX", "ME"), concat!("XX", "X")];
        let used = marks.into_iter().filter(|mark| find_word(line, mark).is_some());
        used.map(|mark| {
            (format!("`{mark}`"), "unfinished work is done or written down as an issue")
        })
        .collect()
    })
}

/// Places of the machine on which this was written, in any file.
fn leaks(file: &SourceFile) -> Vec<Finding> {
    let shared = concat!("../", "shared");
    let work = concat!("/wo", "rk/");
    let library = concat!(".lib", "rary");
    on_lines(file, &file.text, |line| {
        let mut found = Vec::new();
        if line.contains(shared) {
            found.push((format!("`{shared}`"), WHY_LEAK));
        }
        // As the start of a path: `/v1` and a variable may stand before the same text in a URL.
        let starts_path = |at: usize| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "_-.}~*".contains(c))
        };
        if line.match_indices(work).any(|(at, _)| starts_path(at)) {
            found.push((format!("`{work}`"), WHY_LEAK));
        }
        // As a directory: a method may have the same name.
        let is_directory = |at: usize| {
            let before = line[..at].chars().next_back();
            let after = line[at + library.len()..].chars().next();
            after == Some('/') || before.is_some_and(|c| "/\"'`".contains(c))
        };
        if line.match_indices(library).any(|(at, _)| is_directory(at)) {
            found.push((format!("`{library}`"), WHY_LEAK));
        }
        found
    })
}

fn on_lines(
    file: &SourceFile,
    text: &str,
    mut rule: impl FnMut(&str) -> Vec<(String, &'static str)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (what, why) in rule(line) {
            findings.push(Finding::new(&file.path, index + 1, what, why));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// What `check` finds, as `line: what`.
    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&file(path, text));
        findings.iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    const PURE: &str = "crates/clock/src/beacon.rs";
    const SHELL: &str = "crates/node/src/task.rs";

    #[test]
    fn a_source_file_opens_with_its_purpose() {
        assert_eq!(found(SHELL, "use a;\n"), ["1: no `//!` on the first line"]);
        assert_eq!(found(SHELL, "//! A task.\n"), [""; 0]);
        assert_eq!(found("crates/node/tests/model.rs", "use a;\n"), [""; 0]);
    }

    #[test]
    fn a_pure_crate_names_no_clock_file_or_socket() {
        let text = "//! x\nuse std::{\n    fs,\n    time::{Duration, Instant},\n};\nfn f() { std::thread::spawn(g); rand::random() }\n\
                    use std::net::{IpAddr, TcpStream};\n";
        assert_eq!(
            found(PURE, text),
            [
                "4: `Instant`",
                "7: `TcpStream`",
                "3: `std::fs`",
                "6: `std::thread::spawn`",
                "6: `rand::random`"
            ]
        );
        assert_eq!(found(SHELL, text), [""; 0]);
    }

    #[test]
    fn a_pure_crate_may_speak_of_a_clock_and_use_addresses() {
        let text = "//! x\n// No SystemTime and no std::fs here.\nuse std::net::IpAddr;\nuse std::{fmt, io};\nlet operand::x = 1;\n";
        assert_eq!(found(PURE, text), [""; 0]);
    }

    #[test]
    fn unfinished_and_debugging_macros_are_found_everywhere_in_src() {
        let text = "//! x\nfn f() { todo!() }\nfn g() { dbg!(1); unimplemented!() }\n// dbg!\nlet s = \"todo!\"; my_todo!();\n";
        assert_eq!(found(SHELL, text), ["2: `todo!`", "3: `unimplemented!`", "3: `dbg!`"]);
    }

    #[test]
    fn only_programs_print() {
        let text = "//! x\nfn f() { println!(); eprint!() }\n";
        assert_eq!(found(SHELL, text), ["2: `println!`", "2: `eprint!`"]);
        for path in [
            "crates/quorate/src/main.rs",
            "crates/sandbox/src/host.rs",
            "crates/sandbox/examples/measure.rs",
            "xtask/src/main.rs",
        ] {
            assert_eq!(found(path, text), [""; 0], "{path}");
        }
    }

    #[test]
    fn no_test_is_ignored() {
        let text =
            "#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n// #[ignore]\n#[ignored]\n";
        assert_eq!(
            found("crates/node/tests/a.rs", text),
            ["1: an ignored test", "3: an ignored test"]
        );
    }

    #[test]
    fn a_long_file_is_a_finding() {
        let lines = "//\n".repeat(MAX_LINES);
        assert_eq!(found("crates/node/tests/a.rs", &lines), [""; 0]);
        let findings = found("crates/node/tests/a.rs", &format!("{lines}//\n"));
        assert_eq!(findings, ["501: 501 lines, 500 are allowed"]);
    }

    #[test]
    fn an_allowance_that_is_not_needed_is_a_finding() {
        let long = file("a.rs", &"//\n".repeat(MAX_LINES + 1));
        let short = file("b.rs", "//\n");
        let allowed = [("a.rs", "reason"), ("b.rs", "reason"), ("gone.rs", "reason")];
        let stale = stale_allowances(&[long, short], &allowed);
        let paths: Vec<&str> = stale.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["b.rs", "gone.rs"]);
    }

    #[test]
    fn modules_with_empty_names_are_found_in_code_only() {
        let text = "//! mod util;\npub mod helpers;\nmod types {}\nmod type_names;\n";
        assert_eq!(found(SHELL, text), ["2: module `helpers`", "3: module `types`"]);
    }

    #[test]
    fn marks_of_unfinished_work_are_found_in_every_file() {
        let mark = concat!("FIX", "ME");
        assert_eq!(
            found("README.md", &format!("a\n{mark}: b\nA{mark}\n")),
            [format!("2: `{mark}`")]
        );
    }

    #[test]
    fn places_of_one_machine_are_found() {
        let work = concat!("/wo", "rk/");
        let library = concat!(".lib", "rary");
        assert_eq!(found("dev", &format!("cd {work}x\n")), [format!("1: `{work}`")]);
        assert_eq!(found("a.md", &format!("see `{library}/x`\n")), [format!("1: `{library}`")]);
        assert_eq!(found("a.md", &format!("see ../../{}shared\n", "../")).len(), 1);
        assert_eq!(found("a.md", &format!("GET /v1{work}draw and {{base}}{work}x\n")), [""; 0]);
        assert_eq!(found("tests/a.rs", &format!("engine{library}()\n    {library}()\n")), [""; 0]);
    }
}
