//! Small named values: what a role remembers that needs no table of its own.

use rusqlite::params;

use crate::{Reader, StoreError, Transaction, owner::RESERVED_PREFIX};

/// The longest value, in bytes: more belongs in a table that can be paged and pruned.
pub const MAX_META_BYTES: usize = 64 * 1024;

impl Transaction<'_> {
    /// Stores a value under a name, which must be a constant of the caller's and not begin with
    /// `identity/`.
    pub fn put_meta(&mut self, name: &'static str, value: &[u8]) -> Result<(), StoreError> {
        assert!(!name.starts_with(RESERVED_PREFIX), "{name} is the store's own");
        if value.len() > MAX_META_BYTES {
            return Err(StoreError::MetaTooLong { name, got: value.len() });
        }
        self.execute(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![name, value],
        )?;
        Ok(())
    }
}

impl Reader {
    /// The value under a name.
    pub fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
    }
}
