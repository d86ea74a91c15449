//! The node's log: its statements in order, under an RFC 6962 tree.
//!
//! Invariants: entries are numbered from 0 without a gap and never change; a statement stands in the
//! log once; the hash of every complete subtree is stored with the entry that completes it. Entries
//! are this node's statements and nothing else.

use rusqlite::{OptionalExtension as _, params};
use wire::{
    StatementHash,
    merkle::{self, ConsistencyProof, InclusionProof, StoredHashes, TreeHead},
};

use crate::{Reader, StoreError, Transaction, frontier::Frontier, reader::integer};

/// The longest entry, in bytes: a C2SP entry tile writes lengths in 16 bits.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// A statement in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands, from 0.
    pub index: u64,
    /// The statement's kind.
    pub kind: String,
    /// The statement's hash.
    pub hash: StatementHash,
    /// The statement.
    pub bytes: Vec<u8>,
}

impl Transaction<'_> {
    /// Appends a statement of this node, or finds it where it stands already; its index.
    pub fn append(&mut self, bytes: &[u8], kind: &str) -> Result<u64, StoreError> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(StoreError::EntryTooLong { got: bytes.len() });
        }
        self.owner().own_statement(bytes, kind)?;
        self.append_leaf(bytes, kind)
    }

    /// Appends bytes that were looked at.
    pub(crate) fn append_leaf(&mut self, bytes: &[u8], kind: &str) -> Result<u64, StoreError> {
        let leaf = merkle::leaf_hash(bytes);
        if let Some(index) = self.index_of(&StatementHash(leaf))? {
            return Ok(index);
        }
        let index = self.frontier.size();
        self.execute(
            "INSERT INTO log_entry (idx, kind, hash, bytes) VALUES (?1, ?2, ?3, ?4)",
            params![index, kind, leaf, bytes],
        )?;
        let hashes = self.frontier.push(&leaf);
        for (stored_index, hash) in (merkle::stored_index(0, index)..).zip(hashes) {
            self.execute(
                "INSERT INTO log_hash (idx, hash) VALUES (?1, ?2)",
                params![stored_index, hash],
            )?;
        }
        Ok(index)
    }

    /// The head of the log, with what this transaction appended; from memory.
    pub fn log_head(&self) -> Result<TreeHead, StoreError> {
        Ok(self.frontier.head())
    }
}

impl Reader {
    /// The number of entries.
    pub fn log_size(&self) -> Result<u64, StoreError> {
        let size = "SELECT COALESCE(MAX(idx) + 1, 0) FROM log_entry";
        Ok(self.one(size, [], |row| row.get(0))?.unwrap_or(0))
    }

    /// The head of the log.
    pub fn log_head(&self) -> Result<TreeHead, StoreError> {
        merkle::head_of(self.log_size()?, self)
    }

    /// The head that the log had at `size`; `None` past its end.
    pub fn log_head_at(&self, size: u64) -> Result<Option<TreeHead>, StoreError> {
        let known = size <= self.log_size()?;
        known.then(|| merkle::head_of(size, self)).transpose()
    }

    /// The proof that entry `index` stands in the tree of `size`; `None` if it does not, or if the
    /// log is not that long.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Option<InclusionProof>, StoreError> {
        let known = index < size && size <= self.log_size()?;
        known.then(|| merkle::prove_inclusion(size, index, self)).transpose()
    }

    /// The proof that the tree of `older` begins the tree of `newer`; `None` if `older` is the
    /// larger, or if the log is not that long.
    pub fn consistency(
        &self,
        older: u64,
        newer: u64,
    ) -> Result<Option<ConsistencyProof>, StoreError> {
        let known = older <= newer && newer <= self.log_size()?;
        known.then(|| merkle::prove_consistency(older, newer, self)).transpose()
    }

    /// Where a statement stands in the log.
    pub fn index_of(&self, hash: &StatementHash) -> Result<Option<u64>, StoreError> {
        self.one("SELECT idx FROM log_entry WHERE hash = ?1", [hash.0], |row| row.get(0))
    }

    /// The entry at an index.
    pub fn entry(&self, index: u64) -> Result<Option<LogEntry>, StoreError> {
        self.one(
            "SELECT kind, hash, bytes FROM log_entry WHERE idx = ?1",
            [integer("a log index", index)?],
            |row| {
                let (kind, hash, bytes) = (row.get(0)?, StatementHash(row.get(1)?), row.get(2)?);
                Ok(LogEntry { index, kind, hash, bytes })
            },
        )
    }

    pub(crate) fn load_frontier(&self) -> Result<Frontier, StoreError> {
        Frontier::load(self.log_size()?, self)
    }
}

impl StoredHashes for Reader {
    type Error = StoreError;
    fn read(&self, indexes: &[u64]) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT hash FROM log_hash WHERE idx = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut read = |index: &u64| {
            let hash = statement.query_row([index], |row| row.get(0)).optional()?;
            hash.ok_or_else(|| StoreError::Damaged(format!("hash {index} of the log is missing")))
        };
        indexes.iter().map(&mut read).collect()
    }
}
