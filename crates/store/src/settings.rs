//! The network's settings in force.
//!
//! Invariant: their version only grows, so an operator's old document cannot be brought back.

use rusqlite::params;

use crate::{Reader, StoreError, Transaction, reader::integer};

/// The settings statement in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSettings {
    /// The version that it states.
    pub version: u64,
    /// The statement.
    pub bytes: Vec<u8>,
}

impl Transaction<'_> {
    /// Stores settings whose version is above the stored one's.
    pub fn put_settings(&mut self, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(stored) = self.settings()?
            && version <= stored.version
        {
            let (stored, got) = (stored.version, version);
            return Err(StoreError::Stale { what: "the settings' version", stored, got });
        }
        self.execute("DELETE FROM settings", [])?;
        self.execute(
            "INSERT INTO settings (version, bytes) VALUES (?1, ?2)",
            params![integer("a version of settings", version)?, bytes],
        )?;
        Ok(())
    }
}

impl Reader {
    /// The settings in force.
    pub fn settings(&self) -> Result<Option<StoredSettings>, StoreError> {
        self.one("SELECT version, bytes FROM settings", [], |row| {
            Ok(StoredSettings { version: row.get(0)?, bytes: row.get(1)? })
        })
    }
}
