//! What can go wrong when a node is asked, and whether asking again makes sense.

use std::time::Duration;

use api::Problem;
use wire::{CodeHash, StatementError, checkpoint::CheckpointError};

use crate::sse::SseError;

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the node is not one.
    #[error("{url:?} is not a node's address: {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No answer came, or it broke off.
    #[error("no answer from {url}")]
    Transport {
        /// What was called.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The node refused, and said why.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// An answer with an error status, and without a problem document: often from a proxy.
    #[error("{url} answered with status {status}: {excerpt:?}")]
    Status {
        /// What was called.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// The answer is not what this endpoint answers.
    #[error("{url}: {what}")]
    Protocol {
        /// What was called.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The stream of events is not one.
    #[error("{url} does not send server-sent events")]
    Events {
        /// What was called.
        url: String,
        /// Why.
        source: SseError,
    },
    /// A stream broke off before its last event: the node went away, or a proxy cut it.
    #[error("the stream from {url} ended early")]
    Ended {
        /// What was called.
        url: String,
    },
    /// Nothing was heard for too long.
    #[error("{url} has been silent for {} ms", waited.as_millis())]
    Silent {
        /// What was called.
        url: String,
        /// For how long.
        waited: Duration,
    },
    /// The node answered, and the answer is not true.
    #[error("{url}: the answer does not verify")]
    Verification {
        /// What was called.
        url: String,
        /// Why.
        source: VerificationError,
    },
}

impl ClientError {
    /// Whether the same call may succeed later. One that changes something is repeated with its
    /// idempotency key.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { source, .. } => !(source.is_builder() || source.is_redirect()),
            Self::Problem(problem) => problem.is_retryable(),
            // What proxies say of a node that is away or busy.
            Self::Status { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
            Self::Ended { .. } | Self::Silent { .. } => true,
            Self::Address { .. }
            | Self::Protocol { .. }
            | Self::Events { .. }
            | Self::Verification { .. } => false,
        }
    }

    /// How long the node asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) => problem.retry_after_s.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// Why an answer is not true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// A script is not the one that was asked for.
    #[error("the script's hash is {got}, asked was for {expected}")]
    Code {
        /// What was asked for.
        expected: CodeHash,
        /// What came.
        got: CodeHash,
    },
    /// A statement does not verify.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A checkpoint does not verify.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A statement is signed by another than the one who should have.
    #[error("the {kind} statement is signed by {got}, expected {expected}")]
    Signer {
        /// The statement's kind.
        kind: &'static str,
        /// Who should have signed.
        expected: String,
        /// Who did.
        got: String,
    },
    /// A field says something else than the statement beside it, or than what was asked for.
    #[error("{field} is {got}, expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should say.
        expected: String,
        /// What it says.
        got: String,
    },
}
