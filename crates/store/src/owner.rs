//! Whose database it is, and whose statements it may hold.
//!
//! Invariant: the network and the node of a database are written once, in the transaction that
//! makes its tables, and never change.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use wire::{NetworkId, NodeId, statement::Envelope};

use crate::StoreError;

const NETWORK: &str = "identity/network";
const NODE: &str = "identity/node";
/// Names in the meta table that begin so are this file's.
pub(crate) const RESERVED_PREFIX: &str = "identity/";

/// The node of which this is the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) network: NetworkId,
    pub(crate) node: NodeId,
}

impl Owner {
    pub(crate) fn store(&self, connection: &Connection) -> Result<(), StoreError> {
        for (name, value) in [(NETWORK, self.network.0), (NODE, self.node.0)] {
            connection
                .execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", params![name, value])?;
        }
        Ok(())
    }

    pub(crate) fn load(connection: &Connection, path: &Path) -> Result<Self, StoreError> {
        let read = |name: &str| -> Result<[u8; 32], StoreError> {
            let value = connection
                .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
                .optional()?;
            value.ok_or_else(|| StoreError::NotAStore { path: path.to_owned() })
        };
        Ok(Self { network: NetworkId(read(NETWORK)?), node: NodeId(read(NODE)?) })
    }

    /// Refuses the database of somebody else.
    pub(crate) fn check(&self, connection: &Connection, path: &Path) -> Result<(), StoreError> {
        let stored = Self::load(connection, path)?;
        if stored.network != self.network {
            let (stored, given) = (stored.network, self.network);
            return Err(StoreError::OtherNetwork { stored, given });
        }
        if stored.node != self.node {
            let (stored, given) = (stored.node, self.node);
            return Err(StoreError::OtherNode { stored, given });
        }
        Ok(())
    }

    /// Reads a statement of this network. Its signature is not looked at: whoever stores a
    /// statement made it or has checked it.
    pub(crate) fn envelope(&self, bytes: &[u8]) -> Result<Envelope, StoreError> {
        let envelope = Envelope::from_bytes(bytes)?;
        expect("network", &self.network.to_string(), &envelope.network.to_string())?;
        Ok(envelope)
    }

    /// Reads a statement of this node, of one kind.
    pub(crate) fn own_statement(&self, bytes: &[u8], kind: &str) -> Result<Envelope, StoreError> {
        let envelope = self.envelope(bytes)?;
        expect("signer", &self.node.to_string(), &envelope.signer_hex())?;
        expect("kind", kind, &envelope.kind)?;
        Ok(envelope)
    }
}

/// Refuses a statement whose field `what` is not as expected.
pub(crate) fn expect(what: &'static str, expected: &str, got: &str) -> Result<(), StoreError> {
    if expected == got {
        return Ok(());
    }
    let got = got.chars().take(80).collect();
    Err(StoreError::NotOurs { what, expected: expected.to_owned(), got })
}
