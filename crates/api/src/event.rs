//! What happens to a request, as the stream `GET /v1/requests/{id}/events`.
//!
//! An event's SSE name is its tag, its SSE id its number within the request, from 1. The events of
//! a request are the same whenever they are read: a stream that broke off is taken up behind
//! `Last-Event-ID`, nothing is lost and nothing comes twice. `agreed` or `failed` is the last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Attempt, CodeHash, Millis, RequestId, Round, compute::FailureReason};

use crate::{
    encoded::{self, CodeHashText, Json, RequestIdText},
    request::{FailureWord, FaultView, WorkerRef},
};

/// One thing that happened to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RequestEvent {
    /// The relay has it, durably.
    Received {
        /// The request.
        #[schemars(with = "RequestIdText")]
        request: RequestId,
        /// When, in ms since the Unix epoch.
        #[schemars(with = "u64")]
        received_ms: Millis,
        /// When the answer is of no use any more, in ms since the Unix epoch.
        #[schemars(with = "u64")]
        deadline_ms: Millis,
        /// How many workers are drawn, as the expected number.
        committee: u16,
        /// How many must agree.
        quorum: u16,
    },
    /// The round whose seed decides has opened.
    RoundOpened {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// The round.
        #[schemars(with = "u64")]
        round: Round,
        /// From how many workers is drawn.
        population: u64,
    },
    /// A worker answered the draw.
    Drawn {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// The worker.
        worker: WorkerRef,
        /// Whether it was drawn.
        drawn: bool,
    },
    /// A drawn worker committed to a result.
    Committed {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// The worker.
        worker: WorkerRef,
    },
    /// Commits are closed.
    Tallied {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// How many were drawn.
        drawn: u64,
        /// How many of them committed.
        committed: u64,
    },
    /// A worker showed its result.
    Revealed {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// The worker.
        worker: WorkerRef,
        /// The value that the script returned; either this or `fault` is there.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "encoded::present"
        )]
        #[schemars(with = "Json")]
        value: Option<serde_json::Value>,
        /// Why there is no value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultView>,
        /// The hash of the script that ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<CodeHashText>")]
        code: Option<CodeHash>,
    },
    /// A draw gave no quorum; the next one is wider.
    Widened {
        /// The draw that comes now.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// Why, in a sentence.
        reason: String,
    },
    /// A quorum agrees. The last event.
    Agreed {
        /// Which draw.
        #[schemars(with = "u32")]
        attempt: Attempt,
        /// What the workers agreed on; either this or `fault` is there.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "encoded::present"
        )]
        #[schemars(with = "Json")]
        result: Option<serde_json::Value>,
        /// That the script gives no value, and why, where they agreed on that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultView>,
        /// The hash of the script that ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<CodeHashText>")]
        code: Option<CodeHash>,
        /// Who says so.
        agreeing: Vec<WorkerRef>,
        /// Who says otherwise.
        dissenting: Vec<WorkerRef>,
        /// Who committed and showed nothing.
        silent: Vec<WorkerRef>,
        /// How long it took from received to agreed, in ms.
        agreed_ms: u64,
        /// How long it took from the opening of the draw's round to agreed, in ms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_to_agreed_ms: Option<u64>,
        /// The path of the certificate.
        certificate: String,
    },
    /// It ended without an agreement. The last event.
    Failed {
        /// A stable word.
        #[schemars(with = "FailureWord")]
        reason: FailureReason,
        /// What happened, in a sentence.
        detail: String,
    },
}

impl RequestEvent {
    /// Every event's name, in the order in which they come.
    pub const NAMES: &'static [&'static str] = &[
        "received",
        "round_opened",
        "drawn",
        "committed",
        "tallied",
        "revealed",
        "widened",
        "agreed",
        "failed",
    ];

    /// The event's SSE name, which is its tag.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::RoundOpened { .. } => "round_opened",
            Self::Drawn { .. } => "drawn",
            Self::Committed { .. } => "committed",
            Self::Tallied { .. } => "tallied",
            Self::Revealed { .. } => "revealed",
            Self::Widened { .. } => "widened",
            Self::Agreed { .. } => "agreed",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether it is the request's last event.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Agreed { .. } | Self::Failed { .. })
    }
}

#[cfg(test)]
mod tests {
    use wire::NodeId;

    use super::*;

    #[test]
    fn an_events_name_is_its_tag_and_it_reads_back() {
        let worker = || WorkerRef { id: NodeId([1; 32]), name: "w".to_owned() };
        let (attempt, id, now) = (Attempt(1), RequestId([2; 32]), Millis(3));
        let events = [
            RequestEvent::Received {
                request: id,
                received_ms: now,
                deadline_ms: now,
                committee: 3,
                quorum: 2,
            },
            RequestEvent::RoundOpened { attempt, round: Round(4), population: 9 },
            RequestEvent::Drawn { attempt, worker: worker(), drawn: false },
            RequestEvent::Committed { attempt, worker: worker() },
            RequestEvent::Tallied { attempt, drawn: 3, committed: 2 },
            RequestEvent::Revealed {
                attempt,
                worker: worker(),
                value: Some(serde_json::Value::Null),
                fault: None,
                code: Some(CodeHash([5; 32])),
            },
            RequestEvent::Widened { attempt, reason: "none drawn".to_owned() },
            RequestEvent::Agreed {
                attempt,
                result: Some(serde_json::json!({"a": [0.1, "b"]})),
                fault: None,
                code: None,
                agreeing: vec![worker()],
                dissenting: Vec::new(),
                silent: Vec::new(),
                agreed_ms: 40,
                open_to_agreed_ms: None,
                certificate: "/v1/requests/x/certificate".to_owned(),
            },
            RequestEvent::Failed { reason: FailureReason::NoQuorum, detail: "x".to_owned() },
        ];
        let names: Vec<&str> = events.iter().map(RequestEvent::name).collect();
        assert_eq!(names, RequestEvent::NAMES);
        for event in events {
            let value = serde_json::to_value(&event).expect("JSON");
            assert_eq!(value["event"], event.name());
            assert_eq!(serde_json::from_value::<RequestEvent>(value).expect("ours"), event);
        }
    }
}
