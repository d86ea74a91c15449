//! The log's part of `fsck`: the whole tree again from the entries, in one pass and little memory.
//!
//! The stored hashes are numbered in the order in which they are made, so both tables are walked
//! side by side.

use rusqlite::Rows;
use wire::merkle::{self, TreeHead};

use super::Check;
use crate::{StoreError, frontier::Frontier};

/// The hashes of the log in order, and which one comes next.
struct StoredRows<'a> {
    rows: Rows<'a>,
    ahead: Option<(u64, [u8; 32])>,
}

impl<'a> StoredRows<'a> {
    fn new(rows: Rows<'a>) -> Result<Self, StoreError> {
        let mut stored = Self { rows, ahead: None };
        stored.advance()?;
        Ok(stored)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        let row = self.rows.next()?;
        self.ahead = row.map(|row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?))).transpose()?;
        Ok(())
    }

    /// The hash at `index`, if it is there.
    fn take(&mut self, index: u64) -> Result<Option<[u8; 32]>, StoreError> {
        match self.ahead {
            Some((there, hash)) if there == index => {
                self.advance()?;
                Ok(Some(hash))
            }
            _ => Ok(None),
        }
    }
}

impl Check<'_> {
    /// Checks all entries and hashes, and that the tree has the checkpoint's head at its size; the
    /// head that the entries give. It ends at the first entry that is missing: behind it nothing has
    /// a place.
    pub(super) fn log(&mut self, checkpoint: Option<TreeHead>) -> Result<TreeHead, StoreError> {
        let connection = self.reader.connection();
        let mut entries =
            connection.prepare("SELECT idx, kind, hash, bytes FROM log_entry ORDER BY idx")?;
        let mut entries = entries.query([])?;
        let mut hashes = connection.prepare("SELECT idx, hash FROM log_hash ORDER BY idx")?;
        let mut hashes = StoredRows::new(hashes.query([])?)?;
        let mut frontier = Frontier::default();
        self.compare_checkpoint(&frontier, checkpoint);
        while let Some(row) = entries.next()? {
            let (index, kind): (u64, String) = (row.get(0)?, row.get(1)?);
            let (leaf, bytes): ([u8; 32], Vec<u8>) = (row.get(2)?, row.get(3)?);
            if index != frontier.size() {
                self.found(format!("log entry {} is missing", frontier.size()));
                return Ok(frontier.head());
            }
            self.entry(index, &kind, &leaf, &bytes);
            // The tree goes on with the entry's stored hash, so that damaged bytes are one finding.
            for (stored_index, hash) in (merkle::stored_index(0, index)..).zip(frontier.push(&leaf))
            {
                match hashes.take(stored_index)? {
                    Some(stored) if stored == hash => {}
                    Some(_) => self.found(format!(
                        "hash {stored_index} of the log is not what the entries give"
                    )),
                    None => self.found(format!("hash {stored_index} of the log is missing")),
                }
            }
            self.compare_checkpoint(&frontier, checkpoint);
        }
        if let Some((index, _)) = hashes.ahead {
            self.found(format!("hash {index} of the log, or its entry, has no place in the tree"));
        }
        let head = frontier.head();
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > head.size) {
            let (signed, entries) = (checkpoint.size, head.size);
            self.found(format!("the checkpoint is of {signed} entries, the log has {entries}"));
        }
        Ok(head)
    }

    fn entry(&mut self, index: u64, kind: &str, leaf: &[u8; 32], bytes: &[u8]) {
        if merkle::leaf_hash(bytes) != *leaf {
            self.found(format!("log entry {index}: its bytes do not have its hash"));
        }
        let result = self.reader.owner().own_statement(bytes, kind);
        self.expect(format_args!("log entry {index}"), result);
    }

    fn compare_checkpoint(&mut self, frontier: &Frontier, checkpoint: Option<TreeHead>) {
        let Some(checkpoint) = checkpoint.filter(|head| head.size == frontier.size()) else {
            return;
        };
        if frontier.head() != checkpoint {
            let size = checkpoint.size;
            self.found(format!("the checkpoint of {size} entries has another root than the log"));
        }
    }
}
