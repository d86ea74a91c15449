//! Bytes and JSON inside of JSON, and how ids look in schemas.
//!
//! Bytes are base64 with padding (RFC 4648, 4), of which only the one canonical text is read. JSON
//! that will be signed is kept as canonical JSON from the moment it is read, so a key that stands
//! twice is refused instead of dropped.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;
use wire::json::CanonicalJson;

/// Bytes, as base64 text.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Base64(pub Vec<u8>);

impl Base64 {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Base64 {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl<B: wire::Body> From<&wire::Signed<B>> for Base64 {
    fn from(statement: &wire::Signed<B>) -> Self {
        Self(statement.bytes().to_vec())
    }
}

impl fmt::Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(|error| D::Error::custom(format!("not base64: {error}")))
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

/// Any JSON value, in canonical form (RFC 8785).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(pub CanonicalJson);

impl Json {
    /// The empty object.
    pub fn empty_object() -> Self {
        Self(CanonicalJson::from_text("{}").expect("it is JSON"))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.0.as_str()).expect("canonical JSON is JSON");
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        CanonicalJson::from_text(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any JSON value (I-JSON, RFC 7493)." })
    }
}

/// Reads a field that may be absent, where `null` is a value like any other.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// Roles as their words.
pub(crate) mod role_words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
    use wire::network::{Role, Roles};

    pub(crate) fn serialize<S: Serializer>(
        roles: &Roles,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        roles.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Roles, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        let roles: Result<Roles, _> = words.iter().map(|word| word.parse::<Role>()).collect();
        roles.map_err(D::Error::custom)
    }
}

/// How a role looks in a schema.
pub(crate) struct RoleWord;

impl JsonSchema for RoleWord {
    fn schema_name() -> Cow<'static, str> {
        "Role".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = wire::network::Role::ALL.map(wire::network::Role::as_str);
        json_schema!({ "type": "string", "enum": words, "description": "What a node does." })
    }
}

/// Defines how `wire`'s ids look in schemas: `#[schemars(with = "encoded::NodeIdText")]`.
macro_rules! hex_schemas {
    ($($marker:ident = $name:literal, $digits:literal, $description:literal;)+) => {$(
        pub(crate) struct $marker;

        impl JsonSchema for $marker {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^[0-9a-f]{", $digits, "}$"),
                    "description": $description,
                })
            }
        }
    )+};
}

hex_schemas! {
    NetworkIdText = "NetworkId", "64", "A network: the SHA-256 of its genesis record, in hex.";
    NodeIdText = "NodeId", "64", "A node: its Ed25519 identity key, in hex.";
    RequestIdText = "RequestId", "64", "A request: the hash of its canonical form, in hex.";
    CodeHashText = "CodeHash", "64", "The SHA-256 of a script's bytes, in hex.";
    StatementHashText = "StatementHash", "64", "The RFC 6962 leaf hash of a statement, in hex.";
    RootHashText = "RootHash", "64", "A hash of an RFC 6962 tree, in hex.";
    SeedText = "Seed", "64", "The random value that belongs to a round, in hex.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_base64_is_read() {
        let text = serde_json::to_string(&Base64(vec![0xfb, 0xff, 1, 2])).expect("JSON");
        assert_eq!(text, r#""+/8BAg==""#);
        assert_eq!(serde_json::from_str::<Base64>(&text).expect("ours").0, [0xfb, 0xff, 1, 2]);
        for bad in [r#""+/8BAg""#, r#""-_8BAg==""#, r#""+/8BAh==""#, r#""+/8B Ag==""#, "1"] {
            assert!(serde_json::from_str::<Base64>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_in_json_is_canonical_and_refuses_a_key_twice() {
        let json: Json = serde_json::from_str(r#" {"b": 1.0, "a": [null]} "#).expect("JSON");
        assert_eq!(serde_json::to_string(&json).expect("JSON"), r#"{"a":[null],"b":1}"#);
        assert!(serde_json::from_str::<Json>(r#"{"a":1,"a":2}"#).is_err());
    }
}
