//! The admissions of the network's nodes.
//!
//! Invariant: a node's generation only grows, and one generation has one statement.

use rusqlite::{Row, params};
use wire::NodeId;

use crate::{Reader, StoreError, Transaction, reader::integer};

/// A node's admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAdmission {
    /// The node.
    pub node: NodeId,
    /// The generation that the statement names.
    pub generation: u64,
    /// The statement.
    pub bytes: Vec<u8>,
}

fn stored_admission(row: &Row<'_>) -> rusqlite::Result<StoredAdmission> {
    let (node, generation) = (NodeId(row.get("node")?), row.get("generation")?);
    Ok(StoredAdmission { node, generation, bytes: row.get("bytes")? })
}

impl Transaction<'_> {
    /// Stores an admission of a higher generation than the stored one; the same again changes
    /// nothing. Whether anything changed.
    pub fn put_admission(
        &mut self,
        node: &NodeId,
        generation: u64,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        if let Some(stored) = self.admission(node)? {
            if generation == stored.generation && bytes == stored.bytes {
                return Ok(false);
            }
            if generation == stored.generation {
                let key = format!("node {node}, generation {generation}");
                return Err(StoreError::Conflict { what: "admission", key });
            }
            if generation < stored.generation {
                let (stored, got) = (stored.generation, generation);
                return Err(StoreError::Stale { what: "the admission's generation", stored, got });
            }
        }
        self.execute(
            "INSERT INTO admission (node, generation, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (node) DO UPDATE SET generation = excluded.generation,
                 bytes = excluded.bytes",
            params![node.0, integer("a generation", generation)?, bytes],
        )?;
        Ok(true)
    }
}

impl Reader {
    /// A node's admission.
    pub fn admission(&self, node: &NodeId) -> Result<Option<StoredAdmission>, StoreError> {
        let sql = "SELECT node, generation, bytes FROM admission WHERE node = ?1";
        self.one(sql, [node.0], stored_admission)
    }

    /// All admissions, by node.
    pub fn admissions(&self) -> Result<Vec<StoredAdmission>, StoreError> {
        let sql = "SELECT node, generation, bytes FROM admission ORDER BY node";
        self.all(sql, [], stored_admission)
    }
}
