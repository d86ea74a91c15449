//! A request as it stands: who was drawn, who committed, who said what, and the end.
//!
//! Each state names what the relay has promised: `received` is durable, `drawn` knows its workers,
//! `committed` has closed the commits (no result may be copied any more), `revealed` has results,
//! `agreed` has a certificate, `failed` says why. A request only moves forward, but for a wider
//! draw, which takes it back to `received` under the next attempt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{
    Attempt, CodeHash, Millis, NodeId, RequestId, Round,
    compute::{FailureReason, Fault},
};

use crate::encoded::{self, CodeHashText, Json, NodeIdText, RequestIdText};

/// Where a request stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// The relay has it, durably.
    Received,
    /// Workers have been drawn and run the script.
    Drawn,
    /// Commits are closed.
    Committed,
    /// Results have been shown.
    Revealed,
    /// A quorum of them is equal; there is a certificate.
    Agreed,
    /// It ended without an agreement.
    Failed,
}

impl RequestState {
    /// The state's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Drawn => "drawn",
            Self::Committed => "committed",
            Self::Revealed => "revealed",
            Self::Agreed => "agreed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Agreed | Self::Failed)
    }
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct WorkerRef {
    /// The node.
    #[schemars(with = "NodeIdText")]
    pub id: NodeId,
    /// What people call it.
    pub name: String,
}

/// Why a script gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    /// A stable word: `syntax`, `threw`, `time_limit` and so on.
    pub kind: String,
    /// The message.
    pub message: String,
}

impl From<&Fault> for FaultView {
    fn from(fault: &Fault) -> Self {
        Self { kind: fault.kind.clone(), message: fault.message.clone() }
    }
}

/// Why a request ended without an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureView {
    /// A stable word.
    #[schemars(with = "FailureWord")]
    pub reason: FailureReason,
    /// What happened, in a sentence.
    pub detail: String,
}

/// How [`FailureReason`] looks in a schema.
#[derive(JsonSchema)]
#[schemars(rename = "FailureReason", rename_all = "snake_case")]
#[expect(dead_code, reason = "it is the schema of a type of another crate")]
pub(crate) enum FailureWord {
    /// The deadline passed.
    Expired,
    /// Too few workers were drawn, committed or revealed in every attempt.
    NoQuorum,
    /// Enough workers answered, and no quorum of them said the same.
    Disagreement,
}

/// What one worker says came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevealView {
    /// The worker.
    pub worker: WorkerRef,
    /// The value that the script returned; either this or `fault` is there.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "encoded::present"
    )]
    #[schemars(with = "Json")]
    pub value: Option<serde_json::Value>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultView>,
    /// The hash of the script that ran; absent if it could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CodeHashText>")]
    pub code: Option<CodeHash>,
    /// The engine with its version.
    pub engine: String,
    /// Whether it says the same as the agreement; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
}

/// One draw of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Its number, from 0.
    #[schemars(with = "u32")]
    pub attempt: Attempt,
    /// The round that decided; absent while it is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub round: Option<Round>,
    /// From how many workers was drawn; absent while the round is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<u64>,
    /// Who was drawn.
    pub drawn: Vec<WorkerRef>,
    /// Who committed to a result.
    pub committed: Vec<WorkerRef>,
    /// Who showed which result.
    pub revealed: Vec<RevealView>,
    /// Who was drawn, and has not shown a result.
    pub missing: Vec<WorkerRef>,
}

/// A request: `GET /v1/requests/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    /// The request.
    #[schemars(with = "RequestIdText")]
    pub id: RequestId,
    /// Where it stands.
    pub state: RequestState,
    /// Where the script is.
    pub uri: String,
    /// The hash that the script must have, where the client pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CodeHashText>")]
    pub code: Option<CodeHash>,
    /// What the script is called with.
    #[schemars(with = "Json")]
    pub params: serde_json::Value,
    /// How many workers are drawn, as the expected number.
    pub committee: u16,
    /// How many must agree.
    pub quorum: u16,
    /// When the answer is of no use any more, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub deadline_ms: Millis,
    /// When the relay received it, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub received_ms: Millis,
    /// Its draws, in order.
    pub attempts: Vec<AttemptView>,
    /// What the workers agreed on, of any type; `null` is a result too.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "encoded::present"
    )]
    #[schemars(with = "Json")]
    pub result: Option<serde_json::Value>,
    /// Why the script gave no value, where the workers agreed on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultView>,
    /// Why it ended without an agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// How long it took from received to agreed, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_ms: Option<u64>,
    /// How long it took from the opening of its last draw's round to agreed, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_to_agreed_ms: Option<u64>,
    /// The path of its certificate, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// A page of requests, newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct RequestList {
    /// The requests.
    pub requests: Vec<RequestView>,
    /// Where the next page begins (`cursor`); absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_schemas_agree_with_the_types() {
        use RequestState::{Agreed, Committed, Drawn, Failed, Received, Revealed};
        for state in [Received, Drawn, Committed, Revealed, Agreed, Failed] {
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
        }
        use FailureReason::{Disagreement, Expired, NoQuorum};
        let schema = serde_json::to_string(&schemars::schema_for!(FailureWord)).expect("JSON");
        for reason in [Expired, NoQuorum, Disagreement] {
            assert_eq!(serde_json::to_value(reason).expect("JSON"), reason.as_str());
            assert!(schema.contains(&format!("{:?}", reason.as_str())), "{schema}");
        }
    }

    #[test]
    fn falsy_values_are_values() {
        let worker = WorkerRef { id: NodeId([1; 32]), name: "w".to_owned() };
        for value in [serde_json::json!(null), serde_json::json!(0), serde_json::json!("")] {
            let view = RevealView {
                worker: worker.clone(),
                value: Some(value),
                fault: None,
                code: None,
                engine: "v8".to_owned(),
                agrees: None,
            };
            let text = serde_json::to_string(&view).expect("JSON");
            assert_eq!(serde_json::from_str::<RevealView>(&text).expect(&text), view);
        }
    }
}
