//! Rounds of the beacon, and the original's three bodies about them.
//!
//! The original's clients read exactly one field of `/epoch`, `/round` and `/seed`; the field's
//! name and type are theirs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{
    Millis, Round, Seed, Signed,
    merkle::InclusionProof,
    round::{RoundOpening, SeenHead},
};

use crate::encoded::{Base64, RootHashText, SeedText};

/// A round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundView {
    /// Its number.
    #[schemars(with = "u64")]
    pub round: Round,
    /// When the beacon opened it, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub opened_ms: Millis,
    /// Its seed.
    #[schemars(with = "SeedText")]
    pub seed: Seed,
    /// The beacon's statement, which proves the seed.
    pub statement: Base64,
}

impl From<&Signed<RoundOpening>> for RoundView {
    fn from(statement: &Signed<RoundOpening>) -> Self {
        Self {
            round: statement.body.round,
            opened_ms: statement.body.opened,
            seed: statement.body.seed,
            statement: statement.into(),
        }
    }
}

/// A page of rounds, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RoundList {
    /// The rounds.
    pub rounds: Vec<RoundView>,
    /// Where the next page begins (`from`); absent when this page ends with the newest round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub next: Option<Round>,
}

/// One event of `GET /v1/rounds/stream`: its SSE name is [`RoundEvent::NAME`], its id the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundEvent {
    /// The round.
    #[serde(flatten)]
    pub view: RoundView,
    /// What the round's statement holds of the log that was asked for with `heads_of`; absent if
    /// the beacon had not seen that log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_head: Option<SeenHeadView>,
}

impl RoundEvent {
    /// The event's SSE name.
    pub const NAME: &'static str = "round";
}

/// Proof of how far a node's log had come when a round opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenHeadView {
    /// The [`SeenHead`], in CBOR: the leaf.
    pub leaf: Base64,
    /// That the leaf stands in the round's tree of heads.
    #[schemars(with = "InclusionText")]
    pub proof: InclusionProof,
}

impl SeenHeadView {
    /// The view of a head and its proof.
    pub fn new(seen: &SeenHead, proof: InclusionProof) -> Self {
        Self { leaf: wire::encoding::to_bytes(seen).into(), proof }
    }
}

/// The workers that a round names, from which the next one draws: `GET /v1/rounds/{round}/workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RosterView {
    /// The round.
    #[schemars(with = "u64")]
    pub round: Round,
    /// The workers' admission statements, sorted by node: the leaves of the round's tree of workers.
    pub admissions: Vec<Base64>,
}

/// How `wire`'s inclusion proof looks in JSON.
#[derive(JsonSchema)]
#[schemars(rename = "InclusionProof")]
#[expect(dead_code, reason = "it is the schema of a type of another crate")]
pub(crate) struct InclusionText {
    /// The leaf's number.
    index: u64,
    /// The hashes from the leaf up.
    hashes: Vec<RootHashText>,
}

/// `GET /epoch`, as the original answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochView {
    /// How long a round lasts, in ms.
    pub epoch: u64,
}

/// `GET /round`, as the original answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundNumber {
    /// The newest round.
    #[schemars(with = "u64")]
    pub round: Round,
}

/// `GET /seed`, as the original answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedView {
    /// The newest round's seed.
    #[schemars(with = "SeedText")]
    pub seed: Seed,
}

#[cfg(test)]
mod tests {
    use wire::{
        NetworkId, NodeKey, StatementHash,
        key::StatementSigner as _,
        merkle::{MemoryTree, TreeHead},
    };

    use super::*;

    #[test]
    fn the_original_reads_these_bodies() {
        let text = |value: &dyn erased::ToJson| value.to_json();
        assert_eq!(text(&EpochView { epoch: 30_000 }), r#"{"epoch":30000}"#);
        assert_eq!(text(&RoundNumber { round: Round(7) }), r#"{"round":7}"#);
        let seed = SeedView { seed: Seed([0xab; 32]) };
        assert_eq!(text(&seed), format!(r#"{{"seed":"{}"}}"#, "ab".repeat(32)));
    }

    mod erased {
        pub(super) trait ToJson {
            fn to_json(&self) -> String;
        }
        impl<T: serde::Serialize> ToJson for T {
            fn to_json(&self) -> String {
                serde_json::to_string(self).expect("JSON")
            }
        }
    }

    #[test]
    fn a_round_event_reads_back_and_matches_its_schema() {
        let key = NodeKey::from_secret([1; 32]);
        let (network, previous) = (NetworkId([2; 32]), StatementHash([3; 32]));
        let (seed, proof) = wire::round::prove_seed(&network, &key, &Seed([4; 32]), Round(1));
        let seen = SeenHead { node: key.id(), head: TreeHead::EMPTY };
        let heads = MemoryTree::from_leaf_hashes([seen.leaf_hash(), [9; 32]]);
        let opening = RoundOpening {
            round: Round(1),
            opened: Millis(5),
            previous,
            seed,
            proof,
            workers: TreeHead::EMPTY,
            heads: heads.head(),
        };
        let statement = Signed::sign(network, &key, opening);
        let inclusion = heads.inclusion(0).expect("there are two leaves");
        let event = RoundEvent {
            view: RoundView::from(&statement),
            seen_head: Some(SeenHeadView::new(&seen, inclusion)),
        };
        let value = serde_json::to_value(&event).expect("JSON");
        assert_eq!(serde_json::from_value::<RoundEvent>(value.clone()).expect("ours"), event);
        let schema = schemars::schema_for!(InclusionText);
        let declared =
            schema.get("properties").and_then(|fields| fields.as_object()).expect("fields");
        let sent = value["seen_head"]["proof"].as_object().expect("an object");
        assert_eq!(declared.keys().collect::<Vec<_>>(), sent.keys().collect::<Vec<_>>());
    }
}
