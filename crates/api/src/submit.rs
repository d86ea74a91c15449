//! What a client asks to be run, and its way to a [`Request`] that a room may see.
//!
//! Two bodies lead there: `POST /v1/requests` and the original's `POST /request`. Both end in the
//! same checks; a [`Request`] made here has every field in its range and a deadline ahead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{
    CodeHash, Millis, Nonce, RequestId,
    compute::{MAX_COMMITTEE, MAX_PARAMS_BYTES, MAX_URI_BYTES, Request, RequestError},
};

use crate::{
    encoded::{self, CodeHashText, Json, RequestIdText},
    error::Code,
    problem::Problem,
    request::{FailureView, FaultView},
};

/// The committee of a request that names none: the smallest that survives one bad worker.
pub const DEFAULT_COMMITTEE: u16 = 3;
/// How long a request that does not say may take, in ms.
pub const DEFAULT_DEADLINE_MS: u64 = 10_000;
/// How long a request may take, in ms: a relay holds its state in memory for so long.
pub const MAX_DEADLINE_MS: u64 = 300_000;
/// How long `POST /request` waits for the result, in ms: the original's time.
pub const COMPAT_WAIT_MS: u64 = 30_000;

/// The least quorum of a committee, and the default: more than half of it.
pub fn majority(committee: u16) -> u16 {
    committee / 2 + 1
}

/// A script to run: `POST /v1/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSubmit {
    /// Where the script is: an http or https address. May be left out when `code` names a script of
    /// this node's code store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_URI_BYTES))]
    pub uri: Option<String>,
    /// The SHA-256 that the script must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CodeHashText>")]
    pub code: Option<CodeHash>,
    /// What the script is called with: any JSON value; absent, the empty object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_json")]
    pub params: Option<Json>,
    /// How many workers are drawn, as the expected number; absent, 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_COMMITTEE))]
    pub committee: Option<u16>,
    /// How many must agree: more than half of the committee, at most all of it; absent, the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_COMMITTEE))]
    pub quorum: Option<u16>,
    /// How long the answer is of use, in ms from its arrival; absent, 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_DEADLINE_MS))]
    pub deadline_ms: Option<u64>,
}

/// Reads parameters that may be absent, where `null` is a value like any other.
fn present_json<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl RequestSubmit {
    /// The request that this asks for at `now`. `stored_uri` gives the address of a script of the
    /// node's own code store, `None` if it is not there; `nonce` tells equal requests apart.
    pub fn into_request(
        self,
        now: Millis,
        nonce: Nonce,
        stored_uri: impl FnOnce(&CodeHash) -> Option<String>,
    ) -> Result<Request, Problem> {
        let uri = match (self.uri, &self.code) {
            (Some(uri), _) => uri,
            (None, Some(hash)) => stored_uri(hash).ok_or_else(|| {
                let detail = format!("code: {hash} is not in this node's code store, and no uri");
                Problem::invalid_field("code", detail)
            })?,
            (None, None) => {
                let detail = "uri: the script's address, or code: the hash of a stored script";
                return Err(Problem::invalid_field("uri", detail));
            }
        };
        let deadline_ms = self.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS);
        if !(1..=MAX_DEADLINE_MS).contains(&deadline_ms) {
            let problem =
                Problem::invalid_field("deadline_ms", format!("deadline_ms: got {deadline_ms}"));
            return Err(problem.with_limit(format!("1 to {MAX_DEADLINE_MS} ms")));
        }
        let committee = self.committee.unwrap_or(DEFAULT_COMMITTEE);
        checked(Request {
            uri,
            code: self.code,
            params: self.params.unwrap_or_else(Json::empty_object).0,
            committee,
            quorum: self.quorum.unwrap_or_else(|| majority(committee)),
            deadline: now.plus(deadline_ms),
            nonce,
        })
    }
}

/// Checks what `wire` checks, and that workers can fetch the address.
fn checked(request: Request) -> Result<Request, Problem> {
    request.check().map_err(|error| {
        let (field, limit) = match &error {
            RequestError::Uri(_) => ("uri", format!("1 to {MAX_URI_BYTES} bytes")),
            RequestError::Params(_) => {
                ("params", format!("{MAX_PARAMS_BYTES} bytes of canonical JSON"))
            }
            RequestError::Committee(_) => ("committee", format!("1 to {MAX_COMMITTEE}")),
            RequestError::Quorum { least, committee, .. } => {
                ("quorum", format!("{least} to {committee}"))
            }
        };
        Problem::invalid_field(field, error.to_string()).with_limit(limit)
    })?;
    let lower: String = request.uri.chars().take(8).collect::<String>().to_ascii_lowercase();
    if !(lower.starts_with("https://") || lower.starts_with("http://")) {
        let detail = "uri: expected an address that begins with https:// or http://";
        return Err(Problem::invalid_field("uri", detail));
    }
    Ok(request)
}

/// A script to run, as the original's clients ask: `POST /request`. Their further fields are
/// ignored, as the original did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompatSubmit {
    /// Where the script is.
    pub uri: String,
    /// What it is called with; absent, the empty object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_json")]
    pub params: Option<Json>,
    /// When the answer is of no use any more, in ms since the Unix epoch; absent, in 30 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
}

impl CompatSubmit {
    /// The request that this asks for at `now`. A deadline beyond [`MAX_DEADLINE_MS`] is brought
    /// forward instead of refused: the original never looked at it.
    pub fn into_request(self, now: Millis, nonce: Nonce) -> Result<Request, Problem> {
        let deadline = self.deadline.map_or_else(|| now.plus(COMPAT_WAIT_MS), Millis);
        if deadline <= now {
            let detail = format!("deadline: {} ms is {} ms ago", deadline.0, now.since(deadline));
            return Err(Problem::new(Code::DeadlinePassed, detail).with_field("deadline"));
        }
        checked(Request {
            uri: self.uri,
            code: None,
            params: self.params.unwrap_or_else(Json::empty_object).0,
            committee: DEFAULT_COMMITTEE,
            quorum: majority(DEFAULT_COMMITTEE),
            deadline: deadline.min(now.plus(MAX_DEADLINE_MS)),
            nonce,
        })
    }
}

/// The answer to `POST /request`: with the result, or after [`COMPAT_WAIT_MS`] without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompatAnswer {
    /// The request, also under `GET /v1/requests/{id}`.
    #[schemars(with = "RequestIdText")]
    pub id: RequestId,
    /// What the workers agreed on, of any type.
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
    /// Why the workers did not agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000);

    fn request(body: &str) -> Result<Request, Problem> {
        let submit: RequestSubmit = crate::input::parse_json(body.as_bytes())?;
        submit.into_request(NOW, Nonce([1; 16]), |hash| {
            (hash.0[0] == 0xaa).then(|| format!("http://127.0.0.1:1/v1/code/{hash}"))
        })
    }

    #[test]
    fn absent_fields_have_defaults() {
        let made = request(r#"{"uri":"https://a/b.js"}"#).expect("acceptable");
        assert_eq!((made.committee, made.quorum, made.params.as_str()), (3, 2, "{}"));
        assert_eq!(made.deadline, NOW.plus(DEFAULT_DEADLINE_MS));
        let null =
            request(r#"{"uri":"https://a/b.js","params":null,"committee":6}"#).expect("acceptable");
        assert_eq!((null.quorum, null.params.as_str()), (4, "null"));
        let stored = request(&format!(r#"{{"code":"{}"}}"#, "aa".repeat(32))).expect("stored");
        assert!(stored.uri.ends_with(&"aa".repeat(32)));
    }

    #[test]
    fn a_refusal_names_field_and_limit() {
        let cases = [
            ("{}", "uri", None),
            (r#"{"uri":""}"#, "uri", Some("1 to 2048 bytes")),
            (r#"{"uri":"ftp://a"}"#, "uri", None),
            (r#"{"uri":"https://a","committee":129}"#, "committee", Some("1 to 128")),
            (r#"{"uri":"https://a","committee":4,"quorum":2}"#, "quorum", Some("3 to 4")),
            (r#"{"uri":"https://a","deadline_ms":0}"#, "deadline_ms", Some("1 to 300000 ms")),
        ];
        for (body, field, limit) in cases {
            let problem = request(body).expect_err(body);
            assert_eq!(problem.code, Code::InvalidField, "{body}");
            assert_eq!(
                (problem.field.as_deref(), problem.limit.as_deref()),
                (Some(field), limit),
                "{body}"
            );
        }
        let unknown =
            request(&format!(r#"{{"code":"{}"}}"#, "bb".repeat(32))).expect_err("not stored");
        assert_eq!(unknown.field.as_deref(), Some("code"));
    }

    #[test]
    fn the_original_body_is_understood() {
        let body = br#"{"uri":"https://a","params":{"b":1},"deadline":99999999999999,"token":"x"}"#;
        let submit: CompatSubmit = crate::input::parse_json(body).expect("understood");
        let made = submit.clone().into_request(NOW, Nonce([1; 16])).expect("acceptable");
        assert_eq!(made.deadline, NOW.plus(MAX_DEADLINE_MS));
        let late = CompatSubmit { deadline: Some(NOW.0), ..submit };
        let problem = late.into_request(NOW, Nonce([1; 16])).expect_err("over");
        assert_eq!(problem.code, Code::DeadlinePassed);
    }

    #[test]
    fn a_result_of_null_is_a_result() {
        let id = RequestId([1; 32]);
        let result = Some(serde_json::Value::Null);
        let answer = CompatAnswer { id, result, fault: None, failure: None };
        let text = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(text, format!(r#"{{"id":"{id}","result":null}}"#));
        assert_eq!(serde_json::from_str::<CompatAnswer>(&text).expect(&text), answer);
    }
}
