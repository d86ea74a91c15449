//! What a relay and its workers exchange.
//!
//! A worker follows `GET /v1/work` and answers each event with a signed statement, for which it
//! gets a signed receipt: after that, the relay cannot leave the statement out unnoticed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Attempt, RequestId};

use crate::encoded::{Base64, RequestIdText};

/// A signed statement: to a relay, or an operator's to any node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementSubmit {
    /// The statement.
    pub statement: Base64,
}

/// The relay took a worker's statement in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    /// The relay's statement that says so. An answer to a draw gets none: its proof speaks for itself,
    /// and only commits and reveals can be left out of what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Base64>,
}

/// One event of `GET /v1/work`: its SSE name is its tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WorkEvent {
    /// Draw, and run and commit if drawn.
    Draw {
        /// The offer, in CBOR: the request, and why it is this round that decides.
        offer: Base64,
    },
    /// Commits are closed: reveal.
    Tally {
        /// The request.
        #[schemars(with = "RequestIdText")]
        request: RequestId,
        /// Which draw of it.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// The relay's tally statement.
        tally: Base64,
    },
    /// The request has ended: whatever still runs for it may be stopped.
    Ended {
        /// The request.
        #[schemars(with = "RequestIdText")]
        request: RequestId,
        /// The relay's statement of agreement or failure.
        statement: Base64,
    },
}

impl WorkEvent {
    /// Every event's name.
    pub const NAMES: &'static [&'static str] = &["draw", "tally", "ended"];

    /// The event's SSE name, which is its tag.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draw { .. } => "draw",
            Self::Tally { .. } => "tally",
            Self::Ended { .. } => "ended",
        }
    }
}
