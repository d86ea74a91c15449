//! Bodies and headers of callers: parsed strictly, and every refusal says what to change.
//!
//! A body becomes a type that is right, or a [`Problem`] that names the field. The limits of all
//! bodies stand here; a node checks them before it reads.

use serde::de::DeserializeOwned;
use wire::{
    checkpoint::MAX_NOTE_BYTES,
    compute::{MAX_CODE_BYTES, MAX_PARAMS_BYTES, MAX_URI_BYTES},
    statement::MAX_STATEMENT_BYTES,
};

use crate::{error::Code, problem::Problem};

/// The header that makes a repeated call the same call.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest idempotency key: four UUIDs.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 144;

/// The header by which a stream goes on where it broke off (WHATWG HTML, 9.2).
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The longest request: its parameters may be written with white space and escapes, so three times
/// their canonical limit, and the other fields.
pub const MAX_SUBMIT_BYTES: usize = 3 * MAX_PARAMS_BYTES + MAX_URI_BYTES + 2_048;
/// The longest statement in JSON: base64 is a third longer, and 64 bytes for what is around it.
pub const MAX_STATEMENT_BODY_BYTES: usize = MAX_STATEMENT_BYTES.div_ceil(3) * 4 + 64;
/// The longest script.
pub const MAX_CODE_BODY_BYTES: usize = MAX_CODE_BYTES;
/// The longest call to a witness: a checkpoint, and a proof of at most 63 lines of base64 (C2SP
/// `tlog-witness`) behind a line with the old size.
pub const MAX_WITNESS_BODY_BYTES: usize = MAX_NOTE_BYTES + 64 * 64;

/// The most entries of one page of a list: a page of the largest stays within a megabyte.
pub const MAX_PAGE: u32 = 500;
/// The entries of a page for which no limit is given.
pub const DEFAULT_PAGE: u32 = 50;

/// Reads a body. Says whether it is no JSON at all, or which field is unknown or not acceptable.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        problem_of(&field, error.inner())
    })?;
    deserializer.end().map_err(|error| problem_of(".", &error))?;
    Ok(value)
}

fn problem_of(field: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        return Problem::new(Code::BadJson, text);
    }
    // serde has no other way to tell an unknown field than its message.
    let named = |prefix: &str| {
        let name = text.strip_prefix(prefix)?.split('`').next()?;
        Some(name.to_owned())
    };
    if let Some(name) = named("unknown field `") {
        return Problem::new(Code::UnknownField, text).with_field(&name);
    }
    let field = named("missing field `").unwrap_or_else(|| field.to_owned());
    Problem::invalid_field(&field, text)
}

/// A key that a client chose for one call, so that repeating the call does not repeat its effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a header's value: visible ASCII, not too long.
    pub fn parse(value: &str) -> Result<Self, Problem> {
        let good = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_graphic());
        let problem = || {
            let detail = "Idempotency-Key: expected visible ASCII characters without spaces";
            let problem = Problem::new(Code::BadRequest, detail);
            problem.with_limit(format!("1 to {MAX_IDEMPOTENCY_KEY_BYTES} bytes"))
        };
        good.then(|| Self(value.to_owned())).ok_or_else(problem)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the `limit` of a list; absent, it is [`DEFAULT_PAGE`].
pub fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(DEFAULT_PAGE),
        Some(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::invalid_field("limit", format!("limit: got {limit}"))
            .with_limit(format!("1 to {MAX_PAGE}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submit::RequestSubmit;

    fn refused(body: &str) -> (Code, Option<Box<str>>) {
        let problem = parse_json::<RequestSubmit>(body.as_bytes()).expect_err(body);
        (problem.code, problem.field)
    }

    #[test]
    fn a_refusal_names_the_field() {
        let field = |name: &str| Some(Box::from(name));
        assert_eq!(refused("{"), (Code::BadJson, None));
        assert_eq!(refused("{} {}"), (Code::BadJson, None));
        assert_eq!(refused(r#"{"uri":"x","deadlin":1}"#), (Code::UnknownField, field("deadlin")));
        assert_eq!(refused(r#"{"uri":1}"#), (Code::InvalidField, field("uri")));
        assert_eq!(refused(r#"{"code":"zz"}"#), (Code::InvalidField, field("code")));
        assert_eq!(refused(r#"{"committee":-1}"#), (Code::InvalidField, field("committee")));
        assert_eq!(refused(r#"{"params":{"a":1,"a":1}}"#), (Code::InvalidField, field("params")));
    }

    #[test]
    fn keys_and_pages_have_limits() {
        assert!(IdempotencyKey::parse("order-17").is_ok());
        for bad in ["", "a b", "ä", &"x".repeat(MAX_IDEMPOTENCY_KEY_BYTES + 1)] {
            assert_eq!(IdempotencyKey::parse(bad).expect_err(bad).code, Code::BadRequest);
        }
        assert_eq!(page_limit(None), Ok(DEFAULT_PAGE));
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(MAX_PAGE + 1)).is_err());
    }
}
