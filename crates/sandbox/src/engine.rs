//! Finds V8 (`libmini_racer.so` and its ICU data) and pins it by SHA-256.
//!
//! Invariant: an [`EngineFiles`] names files whose bytes were the pinned ones when it was made. The C interface has no stable
//! ABI, so another build of the library is not an older engine but undefined behaviour; and a result can only be compared with
//! another node's when both engines are the same, so the id of the engine goes into every result statement.
//!
//! The hash is checked here, once per start of the node, before the host process exists (about 0.2 s for 74 MB). The host trusts
//! its parent's choice and only compares V8's own version string: whoever can replace the file in between can replace the node.

use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The package, in the Python index, that carries the library.
pub const ENGINE_PACKAGE: &str = "mini-racer";
/// The pinned version of [`ENGINE_PACKAGE`].
pub const ENGINE_VERSION: &str = "0.14.1";
/// The V8 inside it, as the library reports it.
pub const V8_VERSION: &str = "14.4.258.23";
/// The library's file name in an engine directory.
pub const LIBRARY_FILE: &str = "libmini_racer.so";
/// The ICU data's file name in an engine directory.
pub const ICU_FILE: &str = "icudtl.dat";
/// The environment variable that names an engine directory.
pub const ENGINE_DIR_VARIABLE: &str = "QUORATE_ENGINE_DIR";

/// How far above the executable `.engine/` is looked for: `target/<triple>/release/deps` is four levels deep in a clone.
const PARENT_LEVELS: usize = 5;

/// SHA-256 of the library in the manylinux_2_27 wheels of the pinned version.
#[cfg(target_arch = "x86_64")]
const LIBRARY_SHA256: Option<&str> =
    Some("21fb369a8886aed593e3d130f400d17422338b91a60c8e3829ad21de0a5cac65");
#[cfg(target_arch = "aarch64")]
const LIBRARY_SHA256: Option<&str> =
    Some("3a6d9e2e53aff02b8c396b9a2a9589e49aeab80afbfcd630bf1963ffd7ab6787");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const LIBRARY_SHA256: Option<&str> = None;

/// SHA-256 of the ICU data, the same file on every architecture.
const ICU_SHA256: &str = "1cf67874b5a87a8363a86fb3f81e3cbbed54d389062dab8fb52308d5cf8c8612";

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No directory on the search path holds the library.
    #[error(
        "the JavaScript engine is not installed: {LIBRARY_FILE} of {ENGINE_PACKAGE} {ENGINE_VERSION} was looked for in {}. \
         In a clone run `./dev engine`; elsewhere put {LIBRARY_FILE} and {ICU_FILE} of that package's wheel into one of these \
         directories, or name their directory in {ENGINE_DIR_VARIABLE}",
        list(.searched)
    )]
    Missing {
        /// The directories that were tried, in order.
        searched: Vec<PathBuf>,
    },
    /// A file is there, but is not the pinned one.
    #[error("{} is not the pinned engine ({ENGINE_PACKAGE} {ENGINE_VERSION}): its SHA-256 is {found}, {expected} is required", .path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The hash that this build accepts.
        expected: &'static str,
        /// The hash of the file.
        found: String,
    },
    /// A file is there and cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// There is no pinned engine for this processor.
    #[error("there is no pinned JavaScript engine for this processor; x86_64 and aarch64 have one")]
    UnknownProcessor,
}

fn list(directories: &[PathBuf]) -> String {
    directories
        .iter()
        .map(|directory| directory.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The engine's files, checked against their pins.
#[derive(Debug, Clone)]
pub struct EngineFiles {
    library: PathBuf,
    icu: Option<PathBuf>,
}

impl EngineFiles {
    /// Looks in `configured` (and nowhere else when it is given), else in `QUORATE_ENGINE_DIR` (likewise), `.engine/` beside or
    /// up to five levels above the executable, `~/.local/share/quorate/engine` and `/usr/lib/quorate/engine`. Reads and hashes
    /// the files: blocking, about 0.2 s.
    pub fn locate(configured: Option<&Path>) -> Result<Self, EngineError> {
        let searched = search_path(configured);
        match searched.iter().find(|directory| directory.join(LIBRARY_FILE).is_file()) {
            Some(directory) => Self::check(directory),
            None => Err(EngineError::Missing { searched }),
        }
    }

    /// The library.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The ICU data. Without it `Intl` knows less, so the engine's id says so.
    pub fn icu(&self) -> Option<&Path> {
        self.icu.as_deref()
    }

    fn check(directory: &Path) -> Result<Self, EngineError> {
        let library = directory.join(LIBRARY_FILE);
        require_hash(&library, LIBRARY_SHA256.ok_or(EngineError::UnknownProcessor)?)?;
        let icu = directory.join(ICU_FILE);
        let icu = if icu.exists() {
            require_hash(&icu, ICU_SHA256)?;
            Some(icu)
        } else {
            None
        };
        Ok(Self { library, icu })
    }
}

fn search_path(configured: Option<&Path>) -> Vec<PathBuf> {
    if let Some(directory) = configured {
        return vec![directory.to_path_buf()];
    }
    if let Some(directory) = std::env::var_os(ENGINE_DIR_VARIABLE).filter(|value| !value.is_empty())
    {
        return vec![PathBuf::from(directory)];
    }
    let mut directories = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        directories.extend(
            program
                .ancestors()
                .skip(1)
                .take(PARENT_LEVELS + 1)
                .map(|parent| parent.join(".engine")),
        );
    }
    if let Some(home) = std::env::var_os("HOME").filter(|value| !value.is_empty()) {
        directories.push(PathBuf::from(home).join(".local/share/quorate/engine"));
    }
    directories.push(PathBuf::from("/usr/lib/quorate/engine"));
    directories
}

fn require_hash(path: &Path, expected: &'static str) -> Result<(), EngineError> {
    let found = hash_file(path)
        .map_err(|source| EngineError::Unreadable { path: path.to_path_buf(), source })?;
    if found == expected {
        Ok(())
    } else {
        Err(EngineError::WrongHash { path: path.to_path_buf(), expected, found })
    }
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => {
                return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
            }
            length => hasher.update(&block[..length]),
        }
    }
}

/// The engine that a host runs, as it goes into result statements: `mini_racer/0.14.1+v8/14.4.258.23`. Results of different ids
/// are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EngineId(String);

impl EngineId {
    /// The id of a host whose V8 reports `v8_version`.
    pub(crate) fn of(v8_version: &str, has_icu: bool) -> Self {
        let suffix = if has_icu { "" } else { "-noicu" };
        Self(format!("mini_racer/{ENGINE_VERSION}+v8/{v8_version}{suffix}"))
    }

    pub(crate) fn from_host(text: String) -> Self {
        Self(text)
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_engine_names_the_command_and_the_directory() {
        let error =
            EngineFiles::locate(Some(Path::new("/nonexistent/engine"))).unwrap_err().to_string();
        assert!(error.contains("./dev engine") && error.contains("/nonexistent/engine"), "{error}");
    }

    #[test]
    fn another_library_is_refused_with_both_hashes() {
        let directory =
            std::env::temp_dir().join(format!("quorate-sandbox-engine-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(LIBRARY_FILE), b"not V8").unwrap();
        let error = EngineFiles::locate(Some(&directory)).unwrap_err();
        std::fs::remove_dir_all(&directory).unwrap();
        let EngineError::WrongHash { found, expected, .. } = &error else { panic!("{error}") };
        assert!(
            error.to_string().contains(found.as_str()) && error.to_string().contains(expected),
            "{error}"
        );
    }
}
