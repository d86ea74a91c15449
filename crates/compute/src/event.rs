//! What happens to a relay's requests.

use wire::{
    Attempt, NodeId, RequestId, Round, Signed,
    compute::{Commit, Draw, Received, Request, Reveal, Tally, Widening},
};

/// An event of the relay's machine.
#[derive(Debug)]
pub enum RelayEvent {
    /// A client asks; the request's fields have been checked, and the store does not hold a request of
    /// this id that has ended: the machine forgets those, and would sign for it a second time.
    Submit(Request),
    /// After a restart: a request that had not ended.
    Restore(StoredRequest),
    /// A draw ended.
    Drawn {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The round that decided it.
        round: Round,
        /// Of how many workers it was made.
        population: u64,
        /// The answers of those who were drawn.
        drawn: Vec<Signed<Draw>>,
    },
    /// A worker committed.
    Commit(Signed<Commit>),
    /// A worker revealed.
    Reveal(Signed<Reveal>),
}

/// A request as it was stored.
#[derive(Debug, Clone)]
pub struct StoredRequest {
    /// The request.
    pub request: Request,
    /// The relay's word that it has it.
    pub received: Signed<Received>,
    /// What was stored of its attempts, in order.
    pub attempts: Vec<StoredAttempt>,
}

/// An attempt as it was stored.
#[derive(Debug, Clone, Default)]
pub struct StoredAttempt {
    /// Of how many workers the draw was made; 0 while it had not ended.
    pub population: u64,
    /// The answers of those who were drawn; empty while the draw had not ended.
    pub drawn: Vec<Signed<Draw>>,
    /// The commits that have receipts.
    pub commits: Vec<Signed<Commit>>,
    /// The tally, if commits were closed.
    pub tally: Option<Signed<Tally>>,
    /// The reveals that have receipts.
    pub reveals: Vec<Signed<Reveal>>,
    /// The relay's word that it ended without an agreement, if it did.
    pub widening: Option<Signed<Widening>>,
}

/// A worker's statement about a request, in either form.
pub(crate) struct About {
    pub request: RequestId,
    pub attempt: Attempt,
    pub worker: NodeId,
}
