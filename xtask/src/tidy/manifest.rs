//! What each manifest inherits from the workspace: one version, edition and licence, and one set of lints.
//!
//! `cargo metadata` shows values and not whether they were inherited, so this reads the manifest's lines. It understands tables
//! and one key per line, which is all that our manifests use.

use super::Finding;
use super::graph::Package;

/// What every `[package]` inherits.
const INHERITED: &[&str] = &["version", "edition", "license"];

/// Crates that set their own lints.
const OWN_LINTS: &[(&str, &str)] =
    &[("sandbox", "calls V8's C interface and the kernel, so it needs unsafe code")];

/// Checks one manifest.
pub fn check(package: &Package, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in INHERITED {
        if !inherits(text, "package", key) {
            let line = line_of_table(text, "package");
            let what = format!("`{key}` does not come from the workspace");
            let why = "all crates have one version, edition and licence";
            findings.push(Finding::new(&package.manifest, line, what, why));
        }
    }
    let has_own_lints = OWN_LINTS.iter().any(|(name, _)| *name == package.name);
    if !has_own_lints
        && !entries(text, "lints").any(|(key, value)| key == "workspace" && value == "true")
    {
        let line = line_of_table(text, "lints");
        let what = "`[lints]` does not come from the workspace";
        let why = "without it the crate is not linted";
        findings.push(Finding::new(&package.manifest, line, what, why));
    }
    findings
}

fn inherits(text: &str, table: &str, key: &str) -> bool {
    entries(text, table).any(|(found, value)| {
        let short = found.strip_suffix(".workspace").map(str::trim_end);
        short == Some(key) && value == "true"
            || found == key && value.replace(' ', "") == "{workspace=true}"
    })
}

/// The keys and values of one table.
fn entries<'a>(text: &'a str, table: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let lines = text.lines().map(without_comment);
    let body = lines.skip_while(move |line| !is_header(line, table)).skip(1);
    body.take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
}

fn is_header(line: &str, table: &str) -> bool {
    line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) == Some(table)
}

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or(line).trim()
}

fn line_of_table(text: &str, table: &str) -> usize {
    let at = text.lines().position(|line| is_header(without_comment(line), table));
    at.map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"wire\"\nversion.workspace = true # one version\n\
                        edition = { workspace = true }\nlicense.workspace = true\n\n[lints]\nworkspace = true\n";

    fn whats(name: &str, text: &str) -> Vec<String> {
        let package = Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            dependencies: Vec::new(),
        };
        let findings = check(&package, text);
        findings.iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    #[test]
    fn both_ways_to_inherit_are_understood() {
        assert_eq!(whats("wire", GOOD), [""; 0]);
    }

    #[test]
    fn a_value_of_its_own_is_a_finding_with_the_table_s_line() {
        let text = format!(
            "# a comment\n{}",
            GOOD.replace("version.workspace = true", "version = \"1.0.0\"")
        );
        assert_eq!(whats("wire", &text), ["2: `version` does not come from the workspace"]);
    }

    #[test]
    fn a_commented_line_inherits_nothing() {
        let text = GOOD.replace("license.workspace", "# license.workspace");
        assert_eq!(whats("wire", &text).len(), 1);
    }

    #[test]
    fn another_table_s_key_does_not_count() {
        let text = GOOD.replace("[lints]\n", "[badges]\n");
        assert_eq!(whats("wire", &text), ["1: `[lints]` does not come from the workspace"]);
    }

    #[test]
    fn own_lints_need_a_line_in_the_table() {
        let text =
            GOOD.replace("[lints]\nworkspace = true", "[lints.rust]\nmissing_docs = \"warn\"");
        assert_eq!(whats("wire", &text).len(), 1);
        assert_eq!(whats("sandbox", &text), [""; 0]);
    }
}
