//! What pure crates reach through others.
//!
//! The lock file knows what really is built. It does not know which features of a crate are whose, so this may see more than one
//! crate alone would build, and never less.

use super::Finding;
use super::graph::{Dependency, Origin, Package};
use super::table::{IMPURE_ANYWHERE, is_pure};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the pure ones of `packages` by the text of `Cargo.lock`.
pub fn check(packages: &[Package], lock: &str) -> Vec<Finding> {
    let graph = locked_dependencies(lock);
    let mut findings = Vec::new();
    for package in packages {
        if !is_pure(&package.name) {
            continue;
        }
        let outside = |d: &&Dependency| !d.is_dev && d.origin == Origin::CratesIo;
        for start in package.dependencies.iter().filter(outside) {
            if let Some(way) = way_to_impure(&start.name, &graph) {
                findings.push(Finding::new(
                    &package.manifest,
                    1,
                    format!("`{}` is pure and reaches {way}", package.name),
                    "a pure crate must build without a runtime, a socket or a database",
                ));
            }
        }
    }
    findings
}

/// From a crate's name to those of its dependencies. Versions are merged, which can only see more.
fn locked_dependencies(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
            graph.entry(name).or_default();
        } else if let Some(entry) = line.strip_prefix(" \"") {
            let end = entry.find([' ', '"']).unwrap_or(entry.len());
            graph.entry(name).or_default().insert(&entry[..end]);
        }
    }
    graph
}

/// The way from `start` to the first impure crate, as `a -> b -> c`.
fn way_to_impure(start: &str, graph: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(start.to_owned(), start.to_owned())];
    while let Some((name, way)) = open.pop() {
        if IMPURE_ANYWHERE.contains(&name.as_str()) {
            return Some(way);
        }
        for next in graph.get(name.as_str()).into_iter().flatten() {
            if seen.insert(*next) {
                open.push(((*next).to_owned(), format!("{way} -> {next}")));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_shows_what_is_reached_through_others() {
        let lock = "[[package]]\nname = \"bytes_of\"\nversion = \"1.0.0\"\ndependencies = [\n \"middle 2.0.0\",\n]\n\n\
                    [[package]]\nname = \"middle\"\nversion = \"2.0.0\"\ndependencies = [\n \"tokio\",\n]\n";
        let mut package = Package {
            name: "wire".to_owned(),
            manifest: "crates/wire/Cargo.toml".to_owned(),
            dependencies: vec![Dependency {
                name: "bytes_of".to_owned(),
                is_dev: false,
                origin: Origin::CratesIo,
            }],
        };
        let findings = check(std::slice::from_ref(&package), lock);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.ends_with("bytes_of -> middle -> tokio"));
        package.dependencies[0].is_dev = true;
        assert_eq!(check(&[package], lock), []);
    }
}
