//! What a relay's requests want done. Effects are carried out in order; all `Persist` of a batch in
//! one transaction before anything else of it.

use std::sync::Arc;

use wire::{
    Attempt, Millis, NodeId, RequestId, Signed, StatementHash,
    compute::{Agreement, Failure, Receipt, Received, Request, Tally},
};

/// An effect of the relay's machine.
#[derive(Debug, Clone)]
pub enum RelayEffect {
    /// Store this.
    Persist(Record),
    /// The request is durable: the client may be told.
    Accepted(RequestId),
    /// The request is not taken.
    Rejected {
        /// The request.
        request: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// Draw workers; the opener stands in this relay's log.
    OpenDraw {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The expected committee of the first attempt.
        committee: u16,
        /// The statement that opens it.
        opener: StatementHash,
    },
    /// A worker's statement was taken in and is durable: give the worker its receipt.
    Receipt(Signed<Receipt>),
    /// A worker's statement is not taken.
    Refused {
        /// The statement.
        statement: StatementHash,
        /// Why.
        refusal: Refusal,
    },
    /// Commits are closed: tell the workers, who now reveal.
    Tallied(Signed<Tally>),
    /// Two statements of one worker that cannot both be honest.
    Conflict {
        /// The worker.
        worker: NodeId,
        /// The one that came first.
        first: Arc<[u8]>,
        /// The one that contradicts it.
        second: Arc<[u8]>,
    },
    /// The request ended.
    Ended {
        /// The request.
        request: RequestId,
        /// How.
        ending: Ending,
    },
}

/// What a relay stores.
#[derive(Debug, Clone)]
pub enum Record {
    /// A new request, with the relay's own statement, which goes in the log.
    Request {
        /// The request.
        request: Request,
        /// The relay's word.
        received: Signed<Received>,
    },
    /// A statement of an attempt.
    Statement {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The statement's kind.
        kind: &'static str,
        /// Who signed it.
        signer: NodeId,
        /// The statement.
        bytes: Arc<[u8]>,
        /// Whether it is the relay's own and goes in its log.
        own: bool,
    },
    /// The end of a request, with the relay's own statement, which goes in the log.
    End {
        /// The request.
        request: RequestId,
        /// How.
        ending: Ending,
        /// How many attempts it had.
        attempts: u32,
        /// When.
        ended: Millis,
    },
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Enough workers agree.
    Agreed(Signed<Agreement>),
    /// They do not, or not in time.
    Failed(Signed<Failure>),
}

/// Why something is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The deadline has passed.
    #[error("deadline: it has passed")]
    DeadlinePassed,
    /// As many requests are open as this relay takes.
    #[error("this relay has {0} open requests, its limit")]
    Busy(usize),
    /// There is no such open request.
    #[error("the request is not open at this relay")]
    NotOpen,
    /// The request is at another attempt.
    #[error("the request is at attempt {}", .0.0)]
    OtherAttempt(Attempt),
    /// Commits are closed.
    #[error("commits of this attempt are closed")]
    Closed,
    /// Commits are not closed yet; nobody may reveal.
    #[error("commits of this attempt are still open: reveal after the tally")]
    TooEarly,
    /// The worker was not drawn, or its commit does not count.
    #[error("the worker is not among those that count in this attempt")]
    NotCounted,
    /// The commit names another draw, or the reveal another commit.
    #[error("the statement does not build on the one that counts")]
    OtherBasis,
    /// A part of the execution is over its limit, so no agreement could hold it.
    #[error("the result, the fault or the engine's name is over its limit")]
    TooLarge,
    /// The worker has said something else at this place; that is evidence against it.
    #[error("contradicts the worker's earlier statement; both are kept as evidence")]
    Contradiction,
}
