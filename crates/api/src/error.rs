//! `Code`: the one table of errors.
//!
//! Each error has a stable word, an HTTP status, and says what a caller may do next: whether the
//! same call may succeed later, and whether this one is certain to have changed nothing. A new
//! error is a new line of the table below; nothing else names a status.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The page that describes every error, relative to the project's root.
pub const DOCUMENTATION: &str = "docs/errors.md";

/// Why a word is not an error's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no error has the code {0:?}")]
pub struct CodeError(String);

/// Defines the codes and the columns of their table.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal, retryable: $retryable:literal,
        side_effect_free: $free:literal, $title:literal;)+) => {
        /// What went wrong, as a machine reads it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Whether the same call may succeed later. One that is not
            /// [side-effect free](Self::is_side_effect_free) is repeated with its idempotency key.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)+ }
            }

            /// Whether the call is certain to have changed nothing.
            pub const fn is_side_effect_free(self) -> bool {
                match self { $(Self::$name => $free,)+ }
            }

            /// What a person reads first.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    /// The call is malformed: a path parameter, a query, a header.
    BadRequest = "bad_request", 400, retryable: false, side_effect_free: true,
        "The call is malformed";
    /// The body is not JSON, or holds a key twice.
    BadJson = "bad_json", 400, retryable: false, side_effect_free: true,
        "The body is not I-JSON (RFC 7493)";
    /// The body has a field that this endpoint does not know; `field` names it.
    UnknownField = "unknown_field", 422, retryable: false, side_effect_free: true,
        "The body has an unknown field";
    /// A field is missing, of a wrong type or out of its range; `field` and `limit` say which.
    InvalidField = "invalid_field", 422, retryable: false, side_effect_free: true,
        "A field is not acceptable";
    /// The body is longer than this endpoint reads; `limit` says how long it may be.
    BodyTooLarge = "body_too_large", 413, retryable: false, side_effect_free: true,
        "The body is too large";
    /// The body's media type is not the one of this endpoint.
    UnsupportedMediaType = "unsupported_media_type", 415, retryable: false, side_effect_free: true,
        "The body has another media type than this endpoint reads";
    /// The call needs a node's credential, and has none or one that is not valid.
    Unauthorized = "unauthorized", 401, retryable: false, side_effect_free: true,
        "The call needs a node's credential";
    /// The caller is known, and may not do this.
    Forbidden = "forbidden", 403, retryable: false, side_effect_free: true,
        "The caller may not do this";
    /// There is no such thing, or no such path.
    NotFound = "not_found", 404, retryable: false, side_effect_free: true,
        "There is no such thing here";
    /// The path exists and does not know this method.
    MethodNotAllowed = "method_not_allowed", 405, retryable: false, side_effect_free: true,
        "The path does not know this method";
    /// The call contradicts something that is there already.
    Conflict = "conflict", 409, retryable: false, side_effect_free: true,
        "The call contradicts what is there";
    /// The idempotency key was used before, with another body.
    IdempotencyConflict = "idempotency_conflict", 422, retryable: false, side_effect_free: true,
        "The idempotency key belongs to another call";
    /// The call's own deadline lies in the past.
    DeadlinePassed = "deadline_passed", 422, retryable: false, side_effect_free: true,
        "The deadline has passed";
    /// The caller is over its share; `retry_after_s` says when to come back.
    TooManyRequests = "too_many_requests", 429, retryable: true, side_effect_free: true,
        "Too many requests";
    /// The node cannot do this now, and refused before it began.
    Unavailable = "unavailable", 503, retryable: true, side_effect_free: true,
        "The node cannot do this at the moment";
    /// The node is starting or stopping.
    NotReady = "not_ready", 503, retryable: true, side_effect_free: true,
        "The node is not ready";
    /// The node does not hold the role that this takes; `holder` names one that does.
    WrongRole = "wrong_role", 421, retryable: false, side_effect_free: true,
        "This node does not hold the role for this call";
    /// The statement is older than what is known: a version, a generation, an attempt that is over.
    Stale = "stale", 409, retryable: false, side_effect_free: true,
        "The statement is older than what is known";
    /// A witness has seen another size of the log than the call names; the body is that size.
    WitnessConflict = "witness_conflict", 409, retryable: true, side_effect_free: true,
        "The witness has seen another size of this log";
    /// A proof, a signature or a statement does not verify.
    NotVerified = "not_verified", 422, retryable: false, side_effect_free: true,
        "A proof or signature does not verify";
    /// A defect of the node, or a failure of what it stands on.
    Internal = "internal", 500, retryable: true, side_effect_free: false,
        "The node failed";
}

impl Code {
    /// Where the error is described: a URI reference, also the `type` of its problem document.
    pub fn documentation(self) -> String {
        format!("{DOCUMENTATION}#{}", self.as_str())
    }

    /// Whether the answer says when to come back (`Retry-After`).
    pub const fn has_retry_after(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Unavailable | Self::NotReady)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let found = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        found.ok_or_else(|| CodeError(text.chars().take(80).collect()))
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        json_schema!({ "type": "string", "enum": words, "description": "The error's stable word." })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_its_own_and_reads_back() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.as_str().bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
            assert!((400..600).contains(&code.status()), "{code}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}");
        }
        assert!("".parse::<Code>().is_err() && "Internal".parse::<Code>().is_err());
    }

    #[test]
    fn what_a_caller_may_do_is_consistent() {
        for code in Code::ALL.iter().copied() {
            let by_the_caller = code.status() < 500;
            assert!(
                !by_the_caller || code.is_side_effect_free(),
                "{code}: refused, yet has effects"
            );
            assert!(!code.has_retry_after() || code.is_retryable(), "{code}: retry, yet useless");
        }
    }

    #[test]
    fn every_error_is_documented() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            let heading = format!("\n## {}\n", code.as_str());
            let row = format!("(#{}) | {} |", code.as_str(), code.status());
            assert!(page.contains(&heading) && page.contains(&row), "{code}");
        }
    }
}
