//! `Problem`: an error as it is sent (RFC 9457, `application/problem+json`).
//!
//! A [`Problem`] keeps only what is particular; title, status and `retryable` are written from the
//! code's line in the table and not believed when read, so an answer cannot contradict the table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::error::Code;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The longest `detail`, in characters: enough for any of ours, and a caller's input that is quoted
/// in it cannot flood a log.
pub const MAX_DETAIL_CHARS: usize = 2_000;

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(into = "Document", from = "Document")]
#[error("{} ({code}): {detail}", code.title())]
pub struct Problem {
    /// The error.
    pub code: Code,
    /// What exactly is wrong this time, and what to do.
    pub detail: String,
    /// The field that is not acceptable, by its path in the body.
    pub field: Option<Box<str>>,
    /// The limit that was passed, with its unit.
    pub limit: Option<Box<str>>,
    /// A node that holds the role for this call: host:port.
    pub holder: Option<Box<str>>,
    /// When to come back, in seconds; also in the header `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// The call, by the id under which the node logged it.
    pub instance: Option<Box<str>>,
}

impl Problem {
    /// A problem of this code; `detail` says what exactly is wrong.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL_CHARS) {
            detail.truncate(end);
        }
        Self {
            code,
            detail,
            field: None,
            limit: None,
            holder: None,
            retry_after_s: None,
            instance: None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }

    /// That a field is not acceptable.
    pub fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidField, detail).with_field(field)
    }

    /// This problem, with the field that is not acceptable.
    #[must_use]
    pub fn with_field(self, field: &str) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// This problem, with the limit that was passed.
    #[must_use]
    pub fn with_limit(self, limit: impl ToString) -> Self {
        Self { limit: Some(limit.to_string().into()), ..self }
    }

    /// This problem, with the node that could do it.
    #[must_use]
    pub fn with_holder(self, domain: &str) -> Self {
        Self { holder: Some(domain.into()), ..self }
    }

    /// This problem, with the time to wait.
    #[must_use]
    pub fn with_retry_after(self, retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..self }
    }

    /// This problem, with the id of the call.
    #[must_use]
    pub fn with_instance(self, instance: &str) -> Self {
        Self { instance: Some(instance.into()), ..self }
    }
}

/// The members of the document (RFC 9457, 3), of which the code decides the first ones.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Document {
    /// Where the error is described: a URI reference.
    #[serde(rename = "type")]
    kind: String,
    /// What a person reads first.
    title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What exactly is wrong this time, and what to do.
    detail: String,
    /// The error's stable word.
    code: Code,
    /// Whether the same call may succeed later.
    retryable: bool,
    /// The field that is not acceptable, by its path in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<Box<str>>,
    /// The limit that was passed, with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Box<str>>,
    /// A node that holds the role for this call: host:port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Box<str>>,
    /// When to come back, in seconds; also in the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// The call, by the id under which the node logged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<Box<str>>,
}

impl From<Problem> for Document {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, field, limit, holder, retry_after_s, instance } = problem;
        Self {
            kind: code.documentation(),
            title: code.title().to_owned(),
            status: code.status(),
            detail,
            code,
            retryable: code.is_retryable(),
            field,
            limit,
            holder,
            retry_after_s,
            instance,
        }
    }
}

impl From<Document> for Problem {
    fn from(document: Document) -> Self {
        let Document { code, detail, field, limit, holder, retry_after_s, instance, .. } = document;
        Self { field, limit, holder, retry_after_s, instance, ..Self::new(code, detail) }
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        Document::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Document::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_back_and_keeps_to_the_table() {
        for code in Code::ALL {
            let problem = Problem::new(*code, "detail")
                .with_limit(7)
                .with_holder("a:1")
                .with_retry_after(2)
                .with_instance("x");
            let text = serde_json::to_string(&problem).expect("a problem is JSON");
            assert_eq!(serde_json::from_str::<Problem>(&text).expect(&text), problem);
            let value = serde_json::to_value(&problem).expect("JSON");
            assert_eq!(value["status"], code.status());
            assert_eq!(value["retryable"], code.is_retryable());
        }
        let text =
            serde_json::to_string(&Problem::new(Code::NotFound, "no node ab")).expect("JSON");
        let expected = concat!(
            r#"{"type":"docs/errors.md#not_found","title":"There is no such thing here","#,
            r#""status":404,"detail":"no node ab","code":"not_found","retryable":false}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let problem = Problem::new(Code::BadRequest, "ä".repeat(MAX_DETAIL_CHARS + 1));
        assert_eq!(problem.detail.chars().count(), MAX_DETAIL_CHARS);
    }
}
