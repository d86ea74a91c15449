//! The table of crates: which exist, which may use which, which are pure.
//!
//! Invariant: the table is in the order of use, so it has no circle.

/// What a crate may use.
pub struct CrateRule {
    /// Its name.
    pub name: &'static str,
    /// The crates of the workspace that it may use outside of tests.
    pub uses: &'static [&'static str],
    /// Whether it may have no I/O, clock or randomness of its own.
    pub is_pure: bool,
}

const fn pure(name: &'static str, uses: &'static [&'static str]) -> CrateRule {
    CrateRule { name, uses, is_pure: true }
}

const fn shell(name: &'static str, uses: &'static [&'static str]) -> CrateRule {
    CrateRule { name, uses, is_pure: false }
}

/// Every crate that may exist. A new crate gets its line here together with its reason in ARCHITECTURE.md.
const CRATES: &[CrateRule] = &[
    pure("wire", &[]),
    pure("verify", &["wire"]),
    pure("directory", &["wire"]),
    pure("clock", &["wire"]),
    pure("placement", &["wire"]),
    pure("compute", &["wire"]),
    pure("custody", &["wire"]),
    pure("mail", &["wire"]),
    shell("store", &["wire"]),
    shell("sandbox", &[]),
    shell("api", &["wire"]),
    shell("client", &["wire", "verify", "api"]),
    shell(
        "node",
        &[
            "wire",
            "verify",
            "directory",
            "clock",
            "placement",
            "compute",
            "store",
            "sandbox",
            "api",
            "client",
        ],
    ),
    shell("quorate", &["node", "client", "verify", "api", "wire", "store", "sandbox", "directory"]),
    shell(
        "sim",
        &["wire", "verify", "directory", "clock", "placement", "compute", "custody", "mail"],
    ),
    shell("xtask", &["api"]),
];

/// What a pure crate may not depend on directly: runtimes, I/O, clocks, randomness, logging, the operating system.
pub const IMPURE_DEPENDENCIES: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "crossbeam-channel",
    "fastrand",
    "fs-err",
    "futures",
    "getrandom",
    "hyper",
    "landlock",
    "libc",
    "libloading",
    "log",
    "mio",
    "nix",
    "rand",
    "rand_core",
    "rayon",
    "reqwest",
    "rusqlite",
    "rustix",
    "seccompiler",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing",
    "ureq",
];

/// What a pure crate may not even reach through others. Shorter, because cryptography's crates know the traits of randomness and
/// `libc` without using either here.
pub const IMPURE_ANYWHERE: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "mio",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

/// Names that say nothing about what is inside.
pub const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "core", "types", "helpers", "misc"];

/// Why they are banned.
pub const WHY_EMPTY_NAME: &str =
    "a thing used by two rooms is a wire fact, or stands twice until it is understood";

/// The line of a crate.
pub fn rule_of(name: &str) -> Option<&'static CrateRule> {
    CRATES.iter().find(|rule| rule.name == name)
}

/// Whether a crate decides and never acts.
pub fn is_pure(name: &str) -> bool {
    rule_of(name).is_some_and(|rule| rule.is_pure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_closed_and_has_no_circle() {
        for (index, rule) in CRATES.iter().enumerate() {
            for used in rule.uses {
                let at = CRATES.iter().position(|other| other.name == *used);
                let at = at.unwrap_or_else(|| panic!("`{used}` has no line"));
                assert!(at < index, "`{}` stands before `{used}`", rule.name);
            }
        }
    }
}
