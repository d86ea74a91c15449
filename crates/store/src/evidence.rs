//! Evidence files by their hash, in the order in which they were found.
//!
//! The store does not judge them: who puts evidence has judged it.

use std::{fmt, str::FromStr};

use rusqlite::params;
use wire::{Millis, NodeId, StatementHash};

use crate::{
    Reader, StoreError, Transaction,
    reader::{integer, page_rows},
};

/// Evidence to keep.
#[derive(Debug, Clone, Copy)]
pub struct NewEvidence<'a> {
    /// The hash of its file.
    pub id: StatementHash,
    /// The node that it convicts.
    pub accused: NodeId,
    /// The file.
    pub bytes: &'a [u8],
    /// When it was found.
    pub found: Millis,
}

/// Evidence as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvidence {
    /// Its place in lists.
    pub cursor: EvidenceCursor,
    /// The hash of its file.
    pub id: StatementHash,
    /// The node that it convicts.
    pub accused: NodeId,
    /// The file.
    pub bytes: Vec<u8>,
    /// When it was found.
    pub found: Millis,
}

/// Where a list of evidence goes on: behind the one that has this cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EvidenceCursor(i64);

impl fmt::Display for EvidenceCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EvidenceCursor {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Transaction<'_> {
    /// Keeps evidence; whether it is new.
    pub fn put_evidence(&mut self, new: &NewEvidence<'_>) -> Result<bool, StoreError> {
        let added = self.execute(
            "INSERT INTO evidence (id, accused, bytes, found_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO NOTHING",
            params![new.id.0, new.accused.0, new.bytes, integer("a time", new.found.0)?],
        )?;
        Ok(added > 0)
    }
}

impl Reader {
    /// The file of an evidence.
    pub fn evidence(&self, id: &StatementHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM evidence WHERE id = ?1", [id.0], |row| row.get(0))
    }

    /// Evidence before a cursor, newest first, at most `limit`; from the newest on without one.
    pub fn list_evidence(
        &self,
        before: Option<EvidenceCursor>,
        limit: usize,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        let before = before.map_or(i64::MAX, |cursor| cursor.0);
        self.all(
            "SELECT sequence, id, accused, bytes, found_ms FROM evidence
             WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2",
            [before, page_rows(limit)],
            |row| {
                Ok(StoredEvidence {
                    cursor: EvidenceCursor(row.get(0)?),
                    id: StatementHash(row.get(1)?),
                    accused: NodeId(row.get(2)?),
                    bytes: row.get(3)?,
                    found: Millis(row.get(4)?),
                })
            },
        )
    }
}
