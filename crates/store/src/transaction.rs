//! What a writing closure gets: everything that can be read, as it stands inside the transaction,
//! and everything that can be written.

use std::ops::Deref;

use rusqlite::Params;

use crate::{Reader, StoreError, frontier::Frontier};

/// A part of a group of writes. Each file of this crate adds what it can write; what can be read
/// comes from [`Reader`].
pub struct Transaction<'a> {
    reader: &'a Reader,
    pub(crate) frontier: &'a mut Frontier,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(reader: &'a Reader, frontier: &'a mut Frontier) -> Self {
        Self { reader, frontier }
    }

    /// Runs one statement; the number of rows that it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.connection().prepare_cached(sql)?.execute(params)?)
    }
}

impl Deref for Transaction<'_> {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        self.reader
    }
}
