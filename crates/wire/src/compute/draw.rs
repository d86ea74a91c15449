//! Who is drawn: thresholds, the workers' answers, and the proof that one round decides.

use minicbor::{Decode, Encode};

use super::{MAX_EXPECTED, Request};
use crate::{
    id::{Attempt, NetworkId, NodeId, RequestId, Round, Seed, VrfProof, VrfPublicKey},
    key::{NodeKey, StatementSigner as _},
    merkle::InclusionProof,
    network::tagged_hash,
    round::SeenHead,
    statement::Body,
    vrf::{self, VrfError, VrfOutput},
};

/// The chance of being drawn, as a share of all 64-bit numbers: drawn if the VRF's number is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(pub u128);

/// How many of `population` workers an attempt draws on average: the request's committee, doubled
/// with each further attempt, up to everybody or [`MAX_EXPECTED`].
pub fn expected_committee(committee: u16, attempt: Attempt, population: u64) -> u64 {
    (u64::from(committee) << attempt.0.min(32)).min(MAX_EXPECTED).min(population)
}

impl Threshold {
    /// Everybody is drawn.
    pub const ALL: Self = Self(1 << 64);

    /// The threshold by which, of `population` workers, `committee` are drawn on average; twice as
    /// many in each further attempt, and everybody once that is not enough.
    ///
    /// Each worker is drawn by itself with chance `expected / population`, so the size of the
    /// committee is binomial, as in Algorand's sortition with one vote per worker.
    pub fn of(committee: u16, attempt: Attempt, population: u64) -> Self {
        let expected = expected_committee(committee, attempt, population);
        if expected >= population {
            return Self::ALL;
        }
        Self((u128::from(expected) << 64) / u128::from(population))
    }

    /// Whether a number is drawn.
    pub fn admits(self, output: &VrfOutput) -> bool {
        u128::from(output.as_u64()) < self.0
    }
}

/// A worker's answer to a draw: the proof shows whether it was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Draw {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The round whose seed decides.
    #[n(2)]
    pub round: Round,
    /// The VRF proof over worker, request, attempt and seed.
    #[n(3)]
    pub proof: VrfProof,
}

impl Body for Draw {
    const KIND: &'static str = "draw";
    type Signer = NodeId;
    /// None: the answer depends on the seed, which it does not name, so a beacon that showed two
    /// seeds for one round would make an honest worker sign two.
    fn position(&self) -> Option<Vec<u8>> {
        None
    }
}

fn draw_input(
    network: &NetworkId,
    worker: &NodeId,
    request: &RequestId,
    attempt: Attempt,
    seed: &Seed,
) -> Vec<u8> {
    let mut input = b"quorate/v1/draw\n".to_vec();
    input.extend_from_slice(&network.0);
    // Two nodes with one VRF key are drawn apart.
    input.extend_from_slice(&worker.0);
    input.extend_from_slice(&request.0);
    input.extend_from_slice(&attempt.0.to_be_bytes());
    input.extend_from_slice(&seed.0);
    input
}

/// A worker's number in a draw, with its proof.
pub fn prove_draw(
    network: &NetworkId,
    key: &NodeKey,
    request: &RequestId,
    attempt: Attempt,
    seed: &Seed,
) -> (VrfOutput, VrfProof) {
    key.vrf().prove(&draw_input(network, &key.id(), request, attempt, seed))
}

/// Checks a worker's proof and gives its number in the draw.
pub fn verify_draw(
    network: &NetworkId,
    worker: &NodeId,
    key: &VrfPublicKey,
    request: &RequestId,
    attempt: Attempt,
    seed: &Seed,
    proof: &VrfProof,
) -> Result<VrfOutput, VrfError> {
    vrf::verify(key, &draw_input(network, worker, request, attempt, seed), proof)
}

/// That the round which decides a draw was the first one to cover what opened the draw.
///
/// An attempt is opened by a statement in the relay's log: the first by *received*, each further one
/// by the *widening* before it. It is drawn in the first round by whose opening the beacon had seen the
/// relay's log with that statement: whoever made the request could not know the seed, and the relay
/// could not wait for a better one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DrawOpening {
    /// That the statement stands in the relay's log at `head`.
    #[n(0)]
    pub opener_proof: InclusionProof,
    /// The relay's log as the beacon saw it when the round opened.
    #[n(1)]
    pub head: SeenHead,
    /// That `head` stands in the round's tree of heads.
    #[n(2)]
    pub head_proof: InclusionProof,
    /// The relay's log as the beacon saw it one round before: still without the statement.
    #[n(3)]
    pub previous_head: SeenHead,
    /// That `previous_head` stands in the tree of heads of the round before.
    #[n(4)]
    pub previous_head_proof: InclusionProof,
}

/// What a relay sends to every worker when a draw opens.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The request.
    #[n(0)]
    pub request: Request,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The statement that opened the attempt: *received*, or the *widening* before.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub opener: Vec<u8>,
    /// The statement of the round before the draw's.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub previous_round: Vec<u8>,
    /// The statement of the draw's round.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub round: Vec<u8>,
    /// Why it is this round.
    #[n(5)]
    pub opening: DrawOpening,
}

/// The seed of a script's clock and randomness: the same for every worker of an attempt.
pub fn script_seed(request: &RequestId, attempt: Attempt, seed: &Seed) -> [u8; 32] {
    tagged_hash("script-seed", &[&request.0, &attempt.0.to_be_bytes(), &seed.0])
}
