//! The machine that checks rounds.
//!
//! Invariant: every round that it accepted belongs to one chain, whose seeds follow from each other
//! by the beacon's VRF. It joins the chain at the first round that it is shown, as the beacon's
//! signature and log vouch for what was before.

use wire::{
    NetworkId, NodeId, Round, Seed, Signed, StatementHash, VrfPublicKey,
    round::{RoundOpening, verify_seed},
    vrf::VrfError,
};

/// Why a round is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// It is not the beacon's.
    #[error("round {round} is signed by {got}, not by the beacon {expected}")]
    Signer {
        /// The round.
        round: Round,
        /// The beacon.
        expected: NodeId,
        /// Who signed.
        got: NodeId,
    },
    /// Rounds are missing before it; fetch them first.
    #[error("round {got} does not follow round {last}")]
    Gap {
        /// The last accepted round.
        last: Round,
        /// The round that was shown.
        got: Round,
    },
    /// It was known, or lies further back.
    #[error("round {got} is not after round {last}")]
    Old {
        /// The last accepted round.
        last: Round,
        /// The round that was shown.
        got: Round,
    },
    /// It builds on another round than the one that was accepted: the beacon showed two histories.
    #[error("round {0} builds on another round before it")]
    Fork(Round),
    /// Its seed does not follow.
    #[error("the seed of round {round}: {source}")]
    Seed {
        /// The round.
        round: Round,
        /// Why.
        source: VrfError,
    },
}

/// Follows a beacon.
#[derive(Debug, Clone)]
pub struct Follower {
    network: NetworkId,
    beacon: NodeId,
    key: VrfPublicKey,
    last: Option<(Round, Seed, StatementHash)>,
}

impl Follower {
    /// Follows from the genesis when `genesis_seed` is given, else from the first round shown.
    pub fn new(
        network: NetworkId,
        beacon: NodeId,
        key: VrfPublicKey,
        genesis_seed: Option<Seed>,
    ) -> Self {
        let last = genesis_seed.map(|seed| (Round(0), seed, StatementHash(network.0)));
        Self { network, beacon, key, last }
    }

    /// The last accepted round.
    pub fn last(&self) -> Option<Round> {
        self.last.map(|last| last.0)
    }

    /// Checks a round and makes it the last one.
    pub fn accept(&mut self, statement: &Signed<RoundOpening>) -> Result<(), FollowError> {
        let body = &statement.body;
        if statement.signer != self.beacon {
            let (expected, got) = (self.beacon, statement.signer);
            return Err(FollowError::Signer { round: body.round, expected, got });
        }
        if let Some((last, seed, hash)) = self.last {
            if body.round <= last {
                return Err(FollowError::Old { last, got: body.round });
            }
            if body.round != last.next() {
                return Err(FollowError::Gap { last, got: body.round });
            }
            if body.previous != hash {
                return Err(FollowError::Fork(body.round));
            }
            verify_seed(&self.network, &self.key, &seed, body.round, &body.seed, &body.proof)
                .map_err(|source| FollowError::Seed { round: body.round, source })?;
        }
        self.last = Some((body.round, body.seed, statement.hash()));
        Ok(())
    }
}
