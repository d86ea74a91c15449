//! A node's log and who witnesses it; evidence against nodes.
//!
//! The checkpoint is the C2SP note itself: its signatures, not this body, say what the log holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Millis, NodeId, RootHash, StatementHash};

use crate::encoded::{NodeIdText, RootHashText, StatementHashText};

/// The media type of a witness' answer that names the size it has seen (C2SP `tlog-witness`).
pub const TLOG_SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// The log of the node that answers: `GET /v1/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogView {
    /// Whose log.
    #[schemars(with = "NodeIdText")]
    pub node: NodeId,
    /// What people call that node.
    pub name: String,
    /// The log's name in checkpoints.
    pub origin: String,
    /// The number of statements.
    pub size: u64,
    /// The root of the tree over them.
    #[schemars(with = "RootHashText")]
    pub root: RootHash,
    /// The key by which C2SP tools know the log.
    pub verifier_key: String,
    /// The newest checkpoint: a C2SP signed note with its cosignatures.
    pub checkpoint: String,
    /// Who cosigned that checkpoint.
    pub witnesses: Vec<WitnessView>,
}

/// A node that cosigned a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WitnessView {
    /// The witness.
    #[schemars(with = "NodeIdText")]
    pub node: NodeId,
    /// What people call it.
    pub name: String,
    /// When it cosigned, by its clock, in seconds since the Unix epoch.
    pub time_s: u64,
}

/// Statements that cannot all be honest, and whom they convict. The file behind
/// `GET /v1/evidence/{id}` proves it; this is its summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// The evidence, by the hash of its file.
    #[schemars(with = "StatementHashText")]
    pub id: StatementHash,
    /// The node that it convicts.
    #[schemars(with = "NodeIdText")]
    pub node: NodeId,
    /// What people call that node.
    pub name: String,
    /// The rule that it broke: a stable word.
    pub rule: String,
    /// What happened, in a sentence.
    pub summary: String,
    /// When the node that answers found or received it, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub found_ms: Millis,
}

/// A page of evidence, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceList {
    /// The evidence.
    pub evidence: Vec<EvidenceView>,
    /// Where the next page begins (`cursor`); absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
