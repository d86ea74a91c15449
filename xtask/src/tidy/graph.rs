//! Which crate may use which, and what else it may depend on: the rules of `table.rs` applied to manifests.
//!
//! Invariants: rooms never use rooms; a pure crate cannot reach I/O, clocks or randomness through its dependencies. Dependencies
//! of tests are free. Build dependencies count like normal ones.

use super::table::{CrateRule, EMPTY_NAMES, IMPURE_DEPENDENCIES, WHY_EMPTY_NAME, rule_of};
use super::{Finding, SourceFile};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// A crate of the workspace, as `cargo metadata` describes it.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, from the workspace's root.
    pub manifest: String,
    /// Its dependencies of every kind.
    pub dependencies: Vec<Dependency>,
}

/// One dependency of a crate.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// Whether only tests, examples and benchmarks see it.
    pub is_dev: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a dependency comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A directory of the workspace.
    Workspace,
    /// The registry crates.io.
    CratesIo,
    /// A directory elsewhere, a git repository or another registry, as cargo names it.
    Elsewhere(String),
}

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Reads `cargo metadata --no-deps`.
pub fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let root = metadata["workspace_root"].as_str();
    let root = Path::new(root.context("cargo metadata names no workspace")?);
    let packages = metadata["packages"].as_array();
    let packages = packages.context("cargo metadata lists no packages")?;
    packages.iter().map(|value| package(value, root)).collect()
}

fn package(value: &Value, root: &Path) -> Result<Package> {
    let name = value["name"].as_str().context("a package without name")?;
    let manifest = value["manifest_path"].as_str();
    let manifest = Path::new(manifest.context("a package without manifest")?);
    let relative = manifest.strip_prefix(root).unwrap_or(manifest);
    let dependencies = value["dependencies"].as_array();
    let dependencies = dependencies.context("a package without list of dependencies")?;
    Ok(Package {
        name: name.to_owned(),
        manifest: relative.to_string_lossy().replace('\\', "/"),
        dependencies: dependencies
            .iter()
            .map(|value| dependency(value, root))
            .collect::<Result<_>>()?,
    })
}

fn dependency(value: &Value, root: &Path) -> Result<Dependency> {
    let name = value["name"].as_str();
    let origin = match (value["path"].as_str(), value["source"].as_str()) {
        (Some(path), _) if Path::new(path).starts_with(root) => Origin::Workspace,
        (Some(path), _) => Origin::Elsewhere(path.to_owned()),
        (None, Some(CRATES_IO)) => Origin::CratesIo,
        (None, source) => Origin::Elsewhere(source.unwrap_or("nowhere").to_owned()),
    };
    Ok(Dependency {
        name: name.context("a dependency without name")?.to_owned(),
        is_dev: value["kind"].as_str() == Some("dev"),
        origin,
    })
}

/// Checks names, origins and direct dependencies. `files` are where the lines of findings are looked up.
pub fn check(packages: &[Package], files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let file = files.iter().find(|file| file.path == package.manifest);
        let text = file.map_or("", |file| file.text.as_str());
        check_name(package, text, &mut findings);
        let Some(rule) = rule_of(&package.name) else {
            continue;
        };
        for dependency in &package.dependencies {
            if let Some((what, why)) = forbidden(rule, dependency) {
                let line = line_of_dependency(text, &dependency.name);
                findings.push(Finding::new(&package.manifest, line, what, why));
            }
        }
    }
    findings
}

fn check_name(package: &Package, text: &str, findings: &mut Vec<Finding>) {
    let Package { name, manifest, .. } = package;
    let line = line_of_key(text, "name");
    let mut report = |what: String, why| findings.push(Finding::new(manifest, line, what, why));
    if EMPTY_NAMES.contains(&name.as_str()) {
        report(format!("crate `{name}`"), WHY_EMPTY_NAME);
    }
    if rule_of(name).is_none() {
        report(
            format!("crate `{name}` is unknown"),
            "a new crate needs a line in the table of xtask/src/tidy/table.rs that says what it may use",
        );
    }
    let folder = Path::new(manifest).parent().and_then(Path::file_name);
    if folder.is_none_or(|folder| folder != name.as_str()) {
        report(
            format!("crate `{name}` stands in another folder"),
            "folder and crate have one name",
        );
    }
}

fn forbidden(rule: &CrateRule, dependency: &Dependency) -> Option<(String, &'static str)> {
    let name = dependency.name.as_str();
    if let Origin::Elsewhere(origin) = &dependency.origin {
        return Some((
            format!("`{name}` comes from {origin}"),
            "dependencies come from this workspace or from crates.io, so that a clone builds",
        ));
    }
    if dependency.is_dev {
        return None;
    }
    if dependency.origin == Origin::Workspace && !rule.uses.contains(&name) {
        return Some((
            format!("`{}` uses `{name}`", rule.name),
            "the table of crates in xtask/src/tidy/table.rs does not allow it; rooms meet only in `node` and `sim`",
        ));
    }
    if rule.is_pure && IMPURE_DEPENDENCIES.contains(&name) {
        return Some((
            format!("`{}` is pure and depends on `{name}`", rule.name),
            "time, chance and I/O are the shell's; a pure crate gets them as arguments",
        ));
    }
    None
}

fn line_of_dependency(text: &str, name: &str) -> usize {
    let starts = |line: &str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    let tables = text.lines().position(|line| line.contains("dependencies]"));
    let skipped = tables.unwrap_or(0);
    let after = text.lines().skip(skipped).position(starts);
    after.map_or(1, |at| skipped + at + 1)
}

fn line_of_key(text: &str, key: &str) -> usize {
    let at = text.lines().position(|line| line.starts_with(key));
    at.map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The findings of a workspace at `/w` with one crate and these dependencies, which stand in its manifest from line 4 on.
    fn found(name: &str, dependencies: &[Value]) -> Vec<String> {
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [{
                "name": name,
                "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                "dependencies": dependencies,
            }],
        });
        let packages = packages(&metadata).unwrap();
        let lines = dependencies.iter().filter_map(|d| d["name"].as_str());
        let lines: String = lines.map(|name| format!("{name} = \"1\"\n")).collect();
        let file = SourceFile {
            path: format!("crates/{name}/Cargo.toml"),
            text: format!("[package]\nname = \"{name}\"\n[dependencies]\n{lines}"),
        };
        let findings = check(&packages, &[file]);
        findings.iter().map(Finding::to_string).collect()
    }

    fn of_workspace(name: &str, kind: Option<&str>) -> Value {
        json!({ "name": name, "kind": kind, "path": format!("/w/crates/{name}"), "source": null })
    }

    fn of_registry(name: &str, kind: Option<&str>) -> Value {
        json!({ "name": name, "kind": kind, "source": CRATES_IO })
    }

    #[test]
    fn a_room_may_use_wire_and_no_other_room() {
        assert_eq!(found("compute", &[of_workspace("wire", None)]), [""; 0]);
        let findings = found("compute", &[of_workspace("wire", None), of_workspace("clock", None)]);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].starts_with("crates/compute/Cargo.toml:5: `compute` uses `clock`: "),
            "{findings:?}"
        );
    }

    #[test]
    fn a_build_dependency_counts_and_a_test_dependency_does_not() {
        assert_eq!(found("mail", &[of_workspace("custody", Some("build"))]).len(), 1);
        assert_eq!(found("mail", &[of_workspace("custody", Some("dev"))]).len(), 0);
    }

    #[test]
    fn a_pure_crate_has_no_runtime_outside_of_tests() {
        assert_eq!(found("wire", &[of_registry("tokio", None)]).len(), 1);
        assert_eq!(found("wire", &[of_registry("tokio", Some("dev"))]).len(), 0);
        assert_eq!(found("store", &[of_registry("tokio", None)]).len(), 0);
    }

    #[test]
    fn an_unknown_crate_and_an_empty_name_are_findings() {
        let findings = found("ledgers", &[]);
        assert!(findings[0].contains("Cargo.toml:2: crate `ledgers` is unknown"));
        let findings = found("utils", &[]);
        assert_eq!(findings.len(), 2, "{findings:?}");
    }

    #[test]
    fn a_crate_in_a_folder_of_another_name_is_a_finding() {
        let package = Package {
            name: "wire".to_owned(),
            manifest: "crates/bytes/Cargo.toml".to_owned(),
            dependencies: Vec::new(),
        };
        assert!(check(&[package], &[])[0].what.contains("another folder"));
    }

    #[test]
    fn dependencies_from_elsewhere_are_findings_even_in_tests() {
        let outside = json!({ "name": "wire", "kind": "dev", "path": "/elsewhere/wire" });
        let git = json!({ "name": "x", "kind": null, "source": "git+https://example.org/x" });
        assert_eq!(found("store", &[outside, git]).len(), 2);
    }
}
