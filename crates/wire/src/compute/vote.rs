//! What drawn workers say came out, and what the relay makes of it.

use minicbor::{Decode, Encode};

use super::{MAX_ENGINE_BYTES, MAX_FAULT_BYTES, MAX_FAULT_KIND_BYTES, MAX_RESULT_BYTES};
use crate::{
    encoding,
    id::{Attempt, CodeHash, Commitment, NodeId, RequestId, Round, Salt, StatementHash},
    json::CanonicalJson,
    network::tagged_hash,
    statement::Body,
};

/// Why a script gave no value. Part of what workers agree on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct Fault {
    /// A stable word: `syntax`, `threw`, `time_limit` and so on.
    #[n(0)]
    pub kind: String,
    /// The message, the same on every worker.
    #[n(1)]
    pub message: String,
}

/// What came out of a script.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The value it returned.
    #[n(0)]
    Value(#[n(0)] CanonicalJson),
    /// Why there is none.
    #[n(1)]
    Fault(#[n(0)] Fault),
}

/// What a worker says came out, and what it ran. Only equal ones agree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Execution {
    /// The engine with its version.
    #[n(0)]
    pub engine: String,
    /// The hash of the script that ran; absent if it could not be had.
    #[n(1)]
    pub code: Option<CodeHash>,
    /// What came out.
    #[n(2)]
    pub outcome: Outcome,
}

impl Execution {
    /// The commitment that hides this execution behind `salt`; it belongs to one draw, so that
    /// nobody can commit to what another one committed to.
    pub fn commitment(&self, draw: &StatementHash, salt: &Salt) -> Commitment {
        Commitment(tagged_hash("commitment", &[&draw.0, &salt.0, &encoding::to_bytes(self)]))
    }

    /// Whether every part is within its limit, so that an agreement can hold it.
    pub fn is_within_limits(&self) -> bool {
        let outcome_fits = match &self.outcome {
            Outcome::Value(value) => value.as_str().len() <= MAX_RESULT_BYTES,
            Outcome::Fault(fault) => {
                fault.kind.len() <= MAX_FAULT_KIND_BYTES && fault.message.len() <= MAX_FAULT_BYTES
            }
        };
        self.engine.len() <= MAX_ENGINE_BYTES && outcome_fits
    }
}

/// A drawn worker's commitment to its execution.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The worker's draw.
    #[n(2)]
    pub draw: StatementHash,
    /// The commitment.
    #[n(3)]
    pub commitment: Commitment,
}

impl Body for Commit {
    const KIND: &'static str = "commit";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&(self.request, self.attempt)))
    }
}

/// What a worker had committed to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Reveal {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The worker's commit.
    #[n(2)]
    pub commit: StatementHash,
    /// What hid the execution.
    #[n(3)]
    pub salt: Salt,
    /// The execution.
    #[n(4)]
    pub execution: Execution,
}

impl Body for Reveal {
    const KIND: &'static str = "reveal";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&(self.request, self.attempt)))
    }
}

/// The relay's word that it took a worker's statement in before the tally or the end: leaving it
/// out afterwards convicts the relay.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The worker's draw, commit or reveal.
    #[n(2)]
    pub statement: StatementHash,
}

impl Body for Receipt {
    const KIND: &'static str = "receipt";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The relay closes the commits of an attempt; from here on results may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Tally {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Which draw of it.
    #[n(1)]
    pub attempt: Attempt,
    /// The round that the draw was made in.
    #[n(2)]
    pub round: Round,
    /// Of how many workers the draw was made.
    #[n(3)]
    pub population: u64,
    /// The draws of all workers that were drawn, sorted.
    #[n(4)]
    pub drawn: Vec<StatementHash>,
    /// Their commits, sorted.
    #[n(5)]
    pub commits: Vec<StatementHash>,
}

impl Body for Tally {
    const KIND: &'static str = "tally";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&(self.request, self.attempt)))
    }
}

/// The relay's word that an attempt ended without an agreement, and what it had been shown: this opens
/// the next, wider draw. A reveal with a receipt that is not named convicts it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Widening {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// The attempt that ended.
    #[n(1)]
    pub attempt: Attempt,
    /// The round that decided it; the next one is decided by a later round.
    #[n(2)]
    pub round: Round,
    /// Its tally.
    #[n(3)]
    pub tally: StatementHash,
    /// The reveals that it got, sorted.
    #[n(4)]
    pub reveals: Vec<StatementHash>,
    /// Why they were not enough.
    #[n(5)]
    pub reason: FailureReason,
}

impl Body for Widening {
    const KIND: &'static str = "widening";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&(self.request, self.attempt)))
    }
}

/// The relay's word that enough workers agree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Agreement {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// The draw that agreed.
    #[n(1)]
    pub attempt: Attempt,
    /// That draw's tally.
    #[n(2)]
    pub tally: StatementHash,
    /// What was agreed on.
    #[n(3)]
    pub execution: Execution,
    /// The reveals that say so, sorted.
    #[n(4)]
    pub agreeing: Vec<StatementHash>,
    /// The reveals that say otherwise, sorted.
    #[n(5)]
    pub dissenting: Vec<StatementHash>,
    /// The committed workers that showed nothing, sorted.
    #[n(6)]
    pub silent: Vec<NodeId>,
}

impl Body for Agreement {
    const KIND: &'static str = "agreement";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&self.request))
    }
}

/// Why a request failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The deadline passed.
    #[n(0)]
    Expired,
    /// Too few workers were drawn, committed or revealed in every attempt.
    #[n(1)]
    NoQuorum,
    /// Enough workers answered, and no quorum of them said the same.
    #[n(2)]
    Disagreement,
}

impl FailureReason {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NoQuorum => "no_quorum",
            Self::Disagreement => "disagreement",
        }
    }
}

/// The relay's word that a request ended without an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Why.
    #[n(1)]
    pub reason: FailureReason,
    /// How many draws it had.
    #[n(2)]
    pub attempts: u32,
}

impl Body for Failure {
    const KIND: &'static str = "failure";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&self.request))
    }
}
