//! A node's files: its secret, the network it belongs to.
//!
//! Files are written whole or not at all (a temporary file, then a rename); secrets are readable by
//! their owner only.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use wire::{
    NodeKey, OperatorKey, Signed,
    network::{Admission, Genesis, Settings},
};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system says no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError::Io { action, path: path.to_owned(), source }
}

fn content_error(path: &Path, reason: impl ToString) -> FileError {
    FileError::Content { path: path.to_owned(), reason: reason.to_string() }
}

/// Writes a file whole or not at all, with these permissions.
pub fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io_error("write", path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

/// Makes a folder that only its owner reads, with those above it.
pub fn make_private_folder(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(io_error("make", path))
}

/// 32 random bytes of the operating system.
pub fn random_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("the operating system gives random bytes");
    secret
}

fn read_secret(path: &Path) -> Result<[u8; 32], FileError> {
    let text = fs::read_to_string(path).map_err(io_error("read", path))?;
    let hex = text.trim();
    let mut secret = [0; 32];
    let good = hex.len() == 64
        && secret.iter_mut().enumerate().all(|(index, byte)| {
            u8::from_str_radix(&hex[2 * index..2 * index + 2], 16)
                .map(|value| *byte = value)
                .is_ok()
        });
    good.then_some(secret)
        .ok_or_else(|| content_error(path, "expected 64 hex digits, a secret key"))
}

fn read_or_make_secret(path: &Path) -> Result<[u8; 32], FileError> {
    if path.exists() {
        return read_secret(path);
    }
    let secret = random_secret();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    write_atomically(path, format!("{hex}\n").as_bytes(), 0o600)?;
    Ok(secret)
}

/// The node key in a file, made there if there is none.
pub fn node_key(path: &Path) -> Result<NodeKey, FileError> {
    read_or_make_secret(path).map(NodeKey::from_secret)
}

/// The operator key in a file, made there if there is none.
pub fn operator_key(path: &Path) -> Result<OperatorKey, FileError> {
    read_or_make_secret(path).map(OperatorKey::from_secret)
}

/// The operator key in a file that must be there.
pub fn existing_operator_key(path: &Path) -> Result<OperatorKey, FileError> {
    read_secret(path).map(OperatorKey::from_secret)
}

/// What an operator hands to a node: the network and who belongs to it.
#[derive(Debug, Clone)]
pub struct NetworkFile {
    /// The genesis.
    pub genesis: Genesis,
    /// The admissions that are known.
    pub admissions: Vec<Signed<Admission>>,
    /// The settings in force, if an operator signed any.
    pub settings: Option<Signed<Settings>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkText {
    format: String,
    /// For people; the genesis counts.
    name: String,
    id: wire::NetworkId,
    genesis: String,
    admissions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<String>,
}

const NETWORK_FORMAT: &str = "quorate/network/v1";

impl NetworkFile {
    /// Reads and checks a network file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = fs::read(path).map_err(io_error("read", path))?;
        Self::from_json(&text).map_err(|reason| content_error(path, reason))
    }

    fn from_json(json: &[u8]) -> Result<Self, String> {
        let text: NetworkText = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if text.format != NETWORK_FORMAT {
            return Err(format!("format: expected {NETWORK_FORMAT:?}, got {:?}", text.format));
        }
        let decode = |what: &str, text: &str| {
            STANDARD.decode(text).map_err(|error| format!("{what}: not base64: {error}"))
        };
        let genesis = Genesis::open(&decode("genesis", &text.genesis)?)
            .map_err(|error| format!("genesis: {error}"))?;
        let network = genesis.id();
        if network != text.id {
            return Err(format!("id: the genesis has id {network}"));
        }
        let admission = |text: &String| {
            Signed::open(&network, &decode("admissions", text)?)
                .map_err(|error| format!("admissions: {error}"))
        };
        let settings = |text: &String| {
            Signed::open(&network, &decode("settings", text)?)
                .map_err(|error| format!("settings: {error}"))
        };
        Ok(Self {
            admissions: text.admissions.iter().map(admission).collect::<Result<_, _>>()?,
            settings: text.settings.as_ref().map(settings).transpose()?,
            genesis,
        })
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let text = NetworkText {
            format: NETWORK_FORMAT.to_owned(),
            name: self.genesis.name.clone(),
            id: self.genesis.id(),
            genesis: STANDARD.encode(self.genesis.bytes()),
            admissions: self
                .admissions
                .iter()
                .map(|known| STANDARD.encode(known.bytes()))
                .collect(),
            settings: self.settings.as_ref().map(|known| STANDARD.encode(known.bytes())),
        };
        let mut json = serde_json::to_vec_pretty(&text).expect("a network is JSON");
        json.push(b'\n');
        write_atomically(path, &json, 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use wire::{Millis, key::StatementSigner as _};

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.key");
        let first = node_key(&path).expect("made").id();
        assert_eq!(node_key(&path).expect("read").id(), first);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "zz").expect("written");
        let error = node_key(&path).err().expect("not a key").to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }

    #[test]
    fn a_network_file_is_read_back_and_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("network.json");
        let operator = OperatorKey::from_secret([1; 32]);
        let genesis = Genesis::new("local", vec![operator.id()], Millis(5)).expect("valid");
        let settings =
            Signed::sign(genesis.id(), &operator, Settings { version: 1, ..Settings::default() });
        let file = NetworkFile { genesis, admissions: Vec::new(), settings: Some(settings) };
        file.write(&path).expect("written");
        let read = NetworkFile::read(&path).expect("read");
        assert_eq!((read.genesis, read.settings), (file.genesis, file.settings));
        let text = fs::read_to_string(&path).expect("text").replace("local", "other");
        fs::write(&path, text.replacen("\"id\": \"", "\"id\": \"00", 1)).expect("written");
        assert!(NetworkFile::read(&path).is_err());
    }
}
