//! The only crate that knows a database: what a node keeps, and the promise that it is kept.
//!
//! Promises:
//! - When [`Store::write`] returns `Ok`, the data survives the end of the process and of the
//!   machine. When it returns `Err`, none of that closure's changes are stored.
//! - Where an actor may say one thing only (a log position, a round, a commit, a checkpoint that it
//!   witnessed), the store keeps the first and refuses, or hands back, every other.
//! - A database belongs to one node of one network, and one process writes to it at a time.
//!
//! All writes go through one thread, which commits those that wait together: one `fsync` for the
//! group. Reads run beside it, each on one unchanging view of the database.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `store.rs` | [`Store`]: opening, reading, writing, closing |
//! | `writer.rs` | the writer thread: group commit |
//! | `reader.rs` | [`Reader`], the pool of reading connections |
//! | `transaction.rs` | [`Transaction`], what a writing closure gets |
//! | `connection.rs` | how a connection is set up; the versions of the schema |
//! | `file.rs` | file modes and the lock |
//! | `owner.rs` | whose database it is; whose statements it may hold |
//! | `log.rs`, `tile.rs` | the node's Merkle log, its proofs and tiles |
//! | `frontier.rs` | the right edge of the log's tree, in memory |
//! | `checkpoint.rs` | the node's own checkpoint, and those that it witnessed |
//! | `rounds.rs` | the beacon's rounds |
//! | `relay.rs`, `relay/` | compute requests, as their relay keeps them |
//! | `work.rs` | compute work, as a drawn worker keeps it |
//! | `code.rs` | scripts by their hash |
//! | `settings.rs`, `directory.rs`, `meta.rs` | settings, admissions, small named values |
//! | `evidence.rs` | evidence files |
//! | `fsck.rs`, `fsck/` | checking a database against itself |
//! | `error.rs` | [`StoreError`] |

mod checkpoint;
mod code;
mod connection;
mod directory;
mod error;
mod evidence;
mod file;
mod frontier;
mod fsck;
mod log;
mod meta;
mod owner;
mod reader;
mod relay;
mod rounds;
mod settings;
mod store;
mod tile;
mod transaction;
mod work;
mod writer;

pub use checkpoint::{StoredCheckpoint, Witnessed};
pub use code::StoredCode;
pub use directory::StoredAdmission;
pub use error::StoreError;
pub use evidence::{EvidenceCursor, NewEvidence, StoredEvidence};
pub use fsck::{FsckReport, fsck};
pub use log::{LogEntry, MAX_ENTRY_BYTES};
pub use meta::MAX_META_BYTES;
pub use reader::{MAX_PAGE_ROWS, Reader};
pub use relay::{
    NewRequest, OpenRequest, PutRequest, RequestCounts, RequestCursor, RequestState,
    RequestStatement, StoredRequest,
};
pub use rounds::StoredRound;
pub use settings::StoredSettings;
pub use store::Store;
pub use transaction::Transaction;
pub use work::{NewWork, Work};
