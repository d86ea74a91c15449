//! What can go wrong in the store. A refusal (`Conflict`, `Stale`, ...) is the caller's to act on;
//! all else is the disk's, the database's or a bug's.

use std::{path::PathBuf, sync::Arc};

use wire::{CodeHash, NetworkId, NodeId, StatementError, merkle::TreeHead};

use crate::{code::MAX_CODE_BYTES, log::MAX_ENTRY_BYTES, meta::MAX_META_BYTES};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database engine failed.
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The group of writes that this one was in could not be committed; none of them is stored.
    #[error("the group of writes could not be committed, none of it is stored")]
    Commit(#[source] Arc<StoreError>),
    /// The engine gave up a whole transaction in the middle: disk full, or an I/O error.
    #[error("the database abandoned the transaction")]
    Abandoned,
    /// A file or folder could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process, or another `Store`, has the database open for writing.
    #[error("the database is in use: {} is locked", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The database was written by a later version of the program.
    #[error("{} has version {found}, this program knows versions up to {known}: use a newer program", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// The file is a database of something else, or its identity is missing.
    #[error("{} is not a database of this program", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another network.
    #[error("the database belongs to network {stored}, not {given}")]
    OtherNetwork {
        /// Whose it is.
        stored: NetworkId,
        /// Who opens it.
        given: NetworkId,
    },
    /// The database belongs to another node.
    #[error("the database belongs to node {stored}, not {given}")]
    OtherNode {
        /// Whose it is.
        stored: NodeId,
        /// Who opens it.
        given: NodeId,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A closure given to the store panicked; its changes are rolled back.
    #[error("a closure in the store panicked: {0}")]
    Panicked(String),
    /// The statement does not fit an entry of a C2SP tile.
    #[error("a log entry has at most {MAX_ENTRY_BYTES} bytes (C2SP tlog-tiles), got {got}")]
    EntryTooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// The bytes are not a statement.
    #[error("not a statement that can be stored")]
    Statement(#[from] StatementError),
    /// The statement is not of the network, node or kind that its place in the store asks for.
    #[error("expected {what} {expected}, the statement has {got}")]
    NotOurs {
        /// Which field of the statement.
        what: &'static str,
        /// What it has to be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A value does not have the hash or id under which it was to be stored.
    #[error("{what} {key} does not belong to the bytes given for it")]
    Mismatch {
        /// What it is.
        what: &'static str,
        /// Its id or hash.
        key: String,
    },
    /// Something else is stored in this place already, for good.
    #[error("another {what} is already stored for {key}")]
    Conflict {
        /// What it is.
        what: &'static str,
        /// Its place.
        key: String,
    },
    /// Something newer is stored.
    #[error("{what} {got} is not above the stored {stored}")]
    Stale {
        /// What it is.
        what: &'static str,
        /// The stored version, generation, size or round.
        stored: u64,
        /// The given one.
        got: u64,
    },
    /// The last witnessed head of a log is not the one that the caller had checked against.
    #[error("the last witnessed head of {node} has size {}, expected size {}", stored.size, expected.size)]
    StaleWitness {
        /// Whose log.
        node: NodeId,
        /// The stored head.
        stored: TreeHead,
        /// The head that the caller took for the stored one.
        expected: TreeHead,
    },
    /// There is nothing of that name.
    #[error("there is no {what} {key}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        key: String,
    },
    /// A script is too long.
    #[error("a script has at most {MAX_CODE_BYTES} bytes, {hash} has {got}")]
    CodeTooLong {
        /// The script.
        hash: CodeHash,
        /// Its length in bytes.
        got: usize,
    },
    /// The code store is full.
    #[error("the code store is full: {used} of {limit} bytes used, {got} more do not fit")]
    CodeFull {
        /// The limit in bytes.
        limit: u64,
        /// How much is used.
        used: u64,
        /// The length of the script that does not fit.
        got: u64,
    },
    /// A small named value is not small.
    #[error("the value {name} has at most {MAX_META_BYTES} bytes, got {got}")]
    MetaTooLong {
        /// The value's name.
        name: &'static str,
        /// Its length in bytes.
        got: usize,
    },
    /// A number is larger than the database can hold.
    #[error("{what} {got} is over the limit of 2^63 - 1")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The number.
        got: u64,
    },
    /// What is stored contradicts itself; `fsck` says more.
    #[error("the database is damaged: {0}; run fsck")]
    Damaged(String),
}

impl StoreError {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
