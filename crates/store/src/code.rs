//! Scripts by their hash.
//!
//! Invariant: what is stored under a hash has that hash. Together the scripts stay within the limit
//! that the caller sets.

use rusqlite::params;
use wire::{CodeHash, Millis};

use crate::{
    Reader, StoreError, Transaction,
    reader::{integer, page_rows},
};

pub(crate) use wire::compute::MAX_CODE_BYTES;

/// A script, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredCode {
    /// Its hash.
    pub hash: CodeHash,
    /// Its length in bytes.
    pub size: u64,
    /// When it was stored.
    pub added: Millis,
}

impl Transaction<'_> {
    /// Stores a script under its hash, unless all scripts together would be longer than
    /// `limit_bytes`. Whether it is new.
    pub fn put_code(
        &mut self,
        hash: &CodeHash,
        bytes: &[u8],
        added: Millis,
        limit_bytes: u64,
    ) -> Result<bool, StoreError> {
        if bytes.len() > MAX_CODE_BYTES {
            return Err(StoreError::CodeTooLong { hash: *hash, got: bytes.len() });
        }
        if CodeHash::of(bytes) != *hash {
            return Err(StoreError::Mismatch { what: "the code hash", key: hash.to_string() });
        }
        let known = self.one("SELECT 1 FROM code WHERE hash = ?1", [hash.0], |_| Ok(()))?;
        if known.is_some() {
            return Ok(false);
        }
        let (used, got) = (self.code_bytes()?, bytes.len() as u64);
        if used + got > limit_bytes {
            return Err(StoreError::CodeFull { limit: limit_bytes, used, got });
        }
        self.execute(
            "INSERT INTO code (hash, bytes, size, added_ms) VALUES (?1, ?2, ?3, ?4)",
            params![hash.0, bytes, got, integer("a time", added.0)?],
        )?;
        Ok(true)
    }
}

impl Reader {
    /// A script.
    pub fn code(&self, hash: &CodeHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM code WHERE hash = ?1", [hash.0], |row| row.get(0))
    }

    /// How long all scripts are together, in bytes.
    pub fn code_bytes(&self) -> Result<u64, StoreError> {
        let total = self.one("SELECT COALESCE(SUM(size), 0) FROM code", [], |row| row.get(0))?;
        Ok(total.unwrap_or(0))
    }

    /// The scripts behind `after`, by hash, at most `limit`.
    pub fn list_code(
        &self,
        after: Option<&CodeHash>,
        limit: usize,
    ) -> Result<Vec<StoredCode>, StoreError> {
        // Every hash is behind the empty one.
        let after: &[u8] = after.map_or(&[], |hash| hash.as_bytes());
        self.all(
            "SELECT hash, size, added_ms FROM code WHERE hash > ?1 ORDER BY hash LIMIT ?2",
            params![after, page_rows(limit)],
            |row| {
                let (hash, added) = (CodeHash(row.get(0)?), Millis(row.get(2)?));
                Ok(StoredCode { hash, size: row.get(1)?, added })
            },
        )
    }
}
