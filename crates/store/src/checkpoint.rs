//! Checkpoints: the node's own latest one, and the last one of each log that it witnesses.
//!
//! Invariants: the own checkpoint is of this log's tree and never goes back; a witnessed head is
//! replaced only by who knew it, and never by a smaller one or by another of the same size.

use rusqlite::{Row, params};
use wire::{Millis, NodeId, RootHash, merkle::TreeHead};

use crate::{Reader, StoreError, Transaction, reader::integer};

/// The node's own checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The tree that it commits to.
    pub head: TreeHead,
    /// The signed note, with the cosignatures that were there when it was stored.
    pub note: String,
}

/// The last checkpoint of another node's log that this node cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// The tree that it commits to.
    pub head: TreeHead,
    /// The signed note.
    pub note: String,
    /// When this node cosigned it.
    pub time: Millis,
}

fn head(row: &Row<'_>) -> rusqlite::Result<TreeHead> {
    Ok(TreeHead { size: row.get("size")?, root: RootHash(row.get("root")?) })
}

impl Transaction<'_> {
    /// Stores the node's signed checkpoint. One of the same size replaces the stored note, which is
    /// how cosignatures come in; a smaller one is refused.
    pub fn put_checkpoint(&mut self, head: &TreeHead, note: &str) -> Result<(), StoreError> {
        if let Some(stored) = self.latest_checkpoint()?
            && head.size < stored.head.size
        {
            let (stored, got) = (stored.head.size, head.size);
            return Err(StoreError::Stale { what: "the checkpoint", stored, got });
        }
        if self.log_head_at(head.size)? != Some(*head) {
            return Err(StoreError::Mismatch { what: "the tree", key: head.root.to_string() });
        }
        self.execute("DELETE FROM checkpoint", [])?;
        self.execute(
            "INSERT INTO checkpoint (size, root, note) VALUES (?1, ?2, ?3)",
            params![head.size, head.root.0, note],
        )?;
        Ok(())
    }

    /// Stores what this node is about to cosign of another's log. `previous` is the head that `head`
    /// was found consistent with, [`TreeHead::EMPTY`] for a log not seen before.
    pub fn put_witnessed(
        &mut self,
        node: &NodeId,
        previous: &TreeHead,
        head: &TreeHead,
        note: &str,
        time: Millis,
    ) -> Result<(), StoreError> {
        let stored = self.witnessed(node)?.map_or(TreeHead::EMPTY, |witnessed| witnessed.head);
        if stored != *previous {
            return Err(StoreError::StaleWitness { node: *node, stored, expected: *previous });
        }
        if head.size < stored.size {
            let (stored, got) = (stored.size, head.size);
            return Err(StoreError::Stale { what: "the witnessed head", stored, got });
        }
        if head.size == stored.size && head.root != stored.root {
            return Err(StoreError::Conflict { what: "witnessed head", key: node.to_string() });
        }
        self.execute(
            "INSERT INTO witnessed (node, size, root, note, time_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (node) DO UPDATE SET size = excluded.size, root = excluded.root,
                 note = excluded.note, time_ms = excluded.time_ms",
            params![
                node.0,
                integer("a tree size", head.size)?,
                head.root.0,
                note,
                integer("a time", time.0)?
            ],
        )?;
        Ok(())
    }
}

impl Reader {
    /// The node's own latest checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.one("SELECT size, root, note FROM checkpoint", [], |row| {
            Ok(StoredCheckpoint { head: head(row)?, note: row.get("note")? })
        })
    }

    /// The last checkpoint of `node`'s log that this node cosigned.
    pub fn witnessed(&self, node: &NodeId) -> Result<Option<Witnessed>, StoreError> {
        let sql = "SELECT size, root, note, time_ms FROM witnessed WHERE node = ?1";
        self.one(sql, [node.0], |row| {
            let time = Millis(row.get("time_ms")?);
            Ok(Witnessed { head: head(row)?, note: row.get("note")?, time })
        })
    }
}
