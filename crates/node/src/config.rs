//! A node's configuration: one TOML file, of which every key has a default but two.
//!
//! Environment variables (`QUORATE_<KEY>`) go over the file and flags over both; an unknown key is an
//! error that names it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What a node is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Where the node keeps its key and its database.
    pub data: PathBuf,
    /// The network file that an operator gave out.
    pub network: PathBuf,
    /// The address to listen on; the port of the node's domain on every address by default. A socket
    /// that was handed over (`LISTEN_FDS`) goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The folder with the JavaScript engine; searched in the usual places by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<PathBuf>,
    /// How many scripts a worker runs at once; as many as there are cores by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_jobs: Option<usize>,
    /// How many jobs wait at a worker beyond those; more are left to others.
    #[serde(default = "default_queued_jobs")]
    pub queued_jobs: usize,
    /// Whether workers fetch scripts from private and loopback addresses outside the network. Nodes
    /// of the network can always be fetched from.
    #[serde(default)]
    pub fetch_private: bool,
    /// How many requests are open at a relay at once.
    #[serde(default = "default_open_requests")]
    pub open_requests: usize,
    /// How many bytes of scripts a relay stores.
    #[serde(default = "default_code_store_bytes")]
    pub code_store_bytes: u64,
}

fn default_queued_jobs() -> usize {
    1_024
}

fn default_open_requests() -> usize {
    10_000
}

fn default_code_store_bytes() -> u64 {
    256 * 1024 * 1024
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is unknown, missing, or has a wrong value.
    #[error("{origin}: {reason}")]
    Key {
        /// Where the key stands.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The prefix of environment variables.
const VARIABLE_PREFIX: &str = "QUORATE_";

/// The keys that environment variables set.
const VARIABLES: [&str; 9] = [
    "data",
    "network",
    "listen",
    "engine",
    "parallel_jobs",
    "queued_jobs",
    "fetch_private",
    "open_requests",
    "code_store_bytes",
];

impl NodeConfig {
    /// The configuration of a node with its data in `data`; all else by default.
    pub fn new(data: PathBuf, network: PathBuf) -> Self {
        Self {
            data,
            network,
            listen: None,
            engine: None,
            parallel_jobs: None,
            queued_jobs: default_queued_jobs(),
            fetch_private: false,
            open_requests: default_open_requests(),
            code_store_bytes: default_code_store_bytes(),
        }
    }

    /// Reads a file, if one is given, then the environment (`variable` looks one up), then `flags`,
    /// which are lines of TOML.
    pub fn load(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            table = parse(&text, &path.display().to_string())?;
        }
        for key in VARIABLES {
            let name = format!("{VARIABLE_PREFIX}{}", key.to_uppercase());
            if let Some(text) = variable(&name) {
                table.insert(key.to_owned(), loose_value(&text));
            }
        }
        for flag in flags {
            table.extend(parse(flag, "a flag")?);
        }
        let key_error = |error: toml::de::Error| ConfigError::Key {
            origin: file.map_or("configuration".to_owned(), |path| path.display().to_string()),
            reason: error.message().to_owned(),
        };
        table.try_into().map_err(key_error)
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is TOML")
    }
}

fn parse(text: &str, origin: &str) -> Result<toml::Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| ConfigError::Key {
        origin: origin.to_owned(),
        reason: error.to_string(),
    })
}

/// A value without TOML's quotes, as people write environment variables.
fn loose_value(text: &str) -> toml::Value {
    if let Ok(number) = text.parse::<i64>() {
        return toml::Value::Integer(number);
    }
    match text {
        "true" => toml::Value::Boolean(true),
        "false" => toml::Value::Boolean(false),
        _ => toml::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_over_the_environment_over_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.toml");
        let text = "data = \"/d\"\nnetwork = \"/n\"\nqueued_jobs = 1\nopen_requests = 1\n";
        fs::write(&path, text).expect("written");
        let variable = |name: &str| match name {
            "QUORATE_QUEUED_JOBS" | "QUORATE_OPEN_REQUESTS" => Some("2".to_owned()),
            "QUORATE_FETCH_PRIVATE" => Some("true".to_owned()),
            _ => None,
        };
        let flags = ["open_requests = 3".to_owned()];
        let config = NodeConfig::load(Some(&path), variable, &flags).expect("valid");
        let expected = NodeConfig {
            queued_jobs: 2,
            open_requests: 3,
            fetch_private: true,
            ..NodeConfig::new("/d".into(), "/n".into())
        };
        assert_eq!(config, expected);
        fs::write(&path, config.to_toml()).expect("written");
        assert_eq!(NodeConfig::load(Some(&path), |_| None, &[]).expect("valid"), expected);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_value_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.toml");
        for (line, named) in [("datta = 1", "datta"), ("queued_jobs = \"x\"", "queued_jobs")] {
            fs::write(&path, format!("data = \"/d\"\nnetwork = \"/n\"\n{line}\n"))
                .expect("written");
            let error =
                NodeConfig::load(Some(&path), |_| None, &[]).expect_err("wrong").to_string();
            assert!(error.contains(named) || error.contains("expected usize"), "{error}");
        }
        assert!(NodeConfig::load(None, |_| None, &[]).is_err());
    }
}
