//! That a draw was decided by the one right round.
//!
//! Invariant: an accepted draw was opened by a statement about this very request that the beacon had
//! dated before it showed the deciding seed, and no earlier round could have decided it.

use wire::{
    Attempt, Millis, NetworkId, NodeId, RequestId, Round, Seed, Signed, StatementError,
    StatementHash,
    compute::{DrawOpening, Offer, Received, RequestError, Threshold, Widening},
    merkle::{MerkleError, verify_inclusion},
    network::{Admission, Role},
    round::{RoundOpening, verify_seed},
    vrf::VrfError,
};

/// Why a draw is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A statement in it does not verify.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The request is out of its limits.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A round is signed by somebody else than the beacon.
    #[error("round {0} is not signed by the beacon")]
    NotBeacon(Round),
    /// The two rounds do not follow each other.
    #[error("round {got} does not follow round {before}")]
    NotConsecutive {
        /// The round before.
        before: Round,
        /// The deciding round.
        got: Round,
    },
    /// The deciding round's seed does not follow.
    #[error("the seed of round {round} does not follow: {source}")]
    Seed {
        /// The round.
        round: Round,
        /// Why.
        source: VrfError,
    },
    /// What opened the draw is about another request or attempt, or by another relay.
    #[error("the statement that opened attempt {} is not this relay's about this request", .0.0)]
    Opener(Attempt),
    /// A head is another relay's.
    #[error("the dated log is not this relay's")]
    OtherLog,
    /// A Merkle proof does not hold.
    #[error("{what}: {source}")]
    Proof {
        /// What it should prove.
        what: &'static str,
        /// Why it does not.
        source: MerkleError,
    },
    /// The statement was dated before: an earlier round decides.
    #[error("round {0} had covered the statement already; this is not the first round that did")]
    NotFirst(Round),
    /// The attempt before was decided by this round or a later one: its tally was signed before
    /// anybody could have been drawn.
    #[error("round {got} does not come after round {before}, which decided the attempt before")]
    NotAfter {
        /// The round that decided the attempt before.
        before: Round,
        /// The deciding round.
        got: Round,
    },
}

/// What opened a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opener {
    /// The statement in the relay's log.
    pub statement: StatementHash,
    /// The round that decided the attempt before, round 0 when there is none; only a later one can
    /// decide.
    pub after: Round,
}

/// A draw whose round is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedDraw {
    /// The deciding round.
    pub round: Round,
    /// Its seed.
    pub seed: Seed,
    /// When it opened.
    pub opened: Millis,
    /// How many workers it draws from.
    pub population: u64,
    /// The threshold below which a worker is drawn.
    pub threshold: Threshold,
}

/// What a draw is checked against.
#[derive(Debug, Clone, Copy)]
pub struct DrawContext<'a> {
    /// The network.
    pub network: &'a NetworkId,
    /// The beacon.
    pub beacon: &'a Admission,
    /// The relay.
    pub relay: &'a NodeId,
    /// The request's expected committee.
    pub committee: u16,
    /// Which draw of it.
    pub attempt: Attempt,
}

/// Checks that `decides` follows `before` in the beacon's chain.
pub fn check_link(
    network: &NetworkId,
    beacon: &Admission,
    before: &Signed<RoundOpening>,
    decides: &Signed<RoundOpening>,
) -> Result<(), DrawError> {
    let (old, new) = (&before.body, &decides.body);
    for round in [before, decides] {
        if round.signer != beacon.node || !beacon.roles.contains(Role::Beacon) {
            return Err(DrawError::NotBeacon(round.body.round));
        }
    }
    if new.round.0.checked_sub(1) != Some(old.round.0) || new.previous != before.hash() {
        return Err(DrawError::NotConsecutive { before: old.round, got: new.round });
    }
    verify_seed(network, &beacon.vrf, &old.seed, new.round, &new.seed, &new.proof)
        .map_err(|source| DrawError::Seed { round: new.round, source })
}

/// Checks that a draw opened by `opener` is decided by `decides`, which follows
/// `before` (see [`check_link`]).
pub fn check_opening(
    context: &DrawContext<'_>,
    opener: &Opener,
    opening: &DrawOpening,
    before: &Signed<RoundOpening>,
    decides: &Signed<RoundOpening>,
) -> Result<CheckedDraw, DrawError> {
    let (old, new) = (&before.body, &decides.body);
    if new.round <= opener.after {
        let (before, got) = (opener.after, new.round);
        return Err(DrawError::NotAfter { before, got });
    }
    if opening.head.node != *context.relay || opening.previous_head.node != *context.relay {
        return Err(DrawError::OtherLog);
    }
    let proofs = [
        (
            "the relay's head in the round",
            &new.heads,
            &opening.head_proof,
            opening.head.leaf_hash(),
        ),
        (
            "the relay's head in the round before",
            &old.heads,
            &opening.previous_head_proof,
            opening.previous_head.leaf_hash(),
        ),
        (
            "the opening statement in the relay's log",
            &opening.head.head,
            &opening.opener_proof,
            opener.statement.0,
        ),
    ];
    for (what, head, proof, leaf) in proofs {
        verify_inclusion(head, proof, &leaf).map_err(|source| DrawError::Proof { what, source })?;
    }
    if opening.previous_head.head.size > opening.opener_proof.index {
        return Err(DrawError::NotFirst(old.round));
    }
    let population = old.workers.size;
    Ok(CheckedDraw {
        round: new.round,
        seed: new.seed,
        opened: new.opened,
        population,
        threshold: Threshold::of(context.committee, context.attempt, population),
    })
}

/// Checks that a statement opens `attempt` of a request at `relay`.
pub fn check_opener(
    network: &NetworkId,
    relay: &NodeId,
    request: &RequestId,
    attempt: Attempt,
    opener: &[u8],
) -> Result<Opener, DrawError> {
    let (signer, about, opens, statement, after) = if attempt == Attempt(0) {
        let received = Signed::<Received>::open(network, opener)?;
        (received.signer, received.body.request, Attempt(0), received.hash(), Round(0))
    } else {
        let widening = Signed::<Widening>::open(network, opener)?;
        let opens = Attempt(widening.body.attempt.0.saturating_add(1));
        let (hash, round) = (widening.hash(), widening.body.round);
        (widening.signer, widening.body.request, opens, hash, round)
    };
    let good = signer == *relay && about == *request && opens == attempt;
    good.then_some(Opener { statement, after }).ok_or(DrawError::Opener(attempt))
}

/// Checks all that a relay shows a worker; the beacon and the relay come from the worker's own
/// directory.
pub fn check_offer(
    network: &NetworkId,
    beacon: &Admission,
    relay: &NodeId,
    offer: &Offer,
) -> Result<CheckedDraw, DrawError> {
    offer.request.check()?;
    let before = Signed::open(network, &offer.previous_round)?;
    let decides = Signed::open(network, &offer.round)?;
    check_link(network, beacon, &before, &decides)?;
    let request = offer.request.id();
    let opener = check_opener(network, relay, &request, offer.attempt, &offer.opener)?;
    let (committee, attempt) = (offer.request.committee, offer.attempt);
    let context = DrawContext { network, beacon, relay, committee, attempt };
    check_opening(&context, &opener, &offer.opening, &before, &decides)
}
