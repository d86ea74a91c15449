//! Compute requests as their relay keeps them, with every statement that was made about them.
//!
//! Invariants: a request has one end; an idempotency key belongs to one request for ever; the
//! statements of a request keep the order in which they came, each once.

use std::{fmt, str::FromStr};

use wire::{Millis, RequestId};

mod requests;
mod statements;

pub(crate) use requests::{final_kind, is_request};
pub use statements::{OpenRequest, RequestStatement};

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestState {
    /// Not at its end.
    Open,
    /// A quorum agreed.
    Agreed,
    /// It ended without an agreement.
    Failed,
}

impl RequestState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Agreed => "agreed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a list of requests goes on: behind the request that has this cursor. Requests that come
/// meanwhile do not move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestCursor(i64);

impl fmt::Display for RequestCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RequestCursor {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A request that a relay takes.
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    /// Its id.
    pub id: RequestId,
    /// Its canonical bytes, of which the id is the hash.
    pub bytes: &'a [u8],
    /// When it came.
    pub received: Millis,
    /// Where the relay's `received` statement stands in its log.
    pub log_index: u64,
    /// The client's key, by which a repeated call is the same request.
    pub idempotency_key: Option<&'a str>,
}

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// Its id.
    pub id: RequestId,
    /// Its place in lists.
    pub cursor: RequestCursor,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// When it came.
    pub received: Millis,
    /// Where the relay's `received` statement stands in its log.
    pub log_index: u64,
    /// How far it has come.
    pub state: RequestState,
    /// How many draws it had, once it has ended.
    pub attempts: u32,
    /// When it ended.
    pub finished: Option<Millis>,
    /// The client's key.
    pub idempotency_key: Option<String>,
    /// The relay's last word: the agreement or the failure.
    pub final_statement: Option<Vec<u8>>,
}

/// What became of a request that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutRequest {
    /// It is stored now.
    New(StoredRequest),
    /// It was stored before, and nothing changed.
    Known(StoredRequest),
}

/// How many requests are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts {
    /// Not at their end.
    pub open: u64,
    /// Agreed.
    pub agreed: u64,
    /// Failed.
    pub failed: u64,
}
