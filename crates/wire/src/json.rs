//! Canonical JSON (RFC 8785): equal values have equal bytes, so that results can be compared.
//!
//! Input must be I-JSON (RFC 7493): no key twice, no lone surrogate, no number beyond a double.
//! Numbers are IEEE doubles and print as ECMAScript prints them; keys are sorted by UTF-16 units.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Why a text is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not I-JSON (RFC 7493): {0}")]
pub struct JsonError(String);

/// A JSON text in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalJson(String);

impl CanonicalJson {
    /// Brings any JSON text into canonical form.
    pub fn from_text(text: &str) -> Result<Self, JsonError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| JsonError(error.to_string()))?;
        let mut canonical = String::with_capacity(text.len());
        write_value(&mut canonical, &value);
        Ok(Self(canonical))
    }

    /// Accepts a text only if it is canonical already.
    pub fn from_canonical(text: String) -> Result<Self, JsonError> {
        let canonical = Self::from_text(&text)?;
        if canonical.0 != text {
            return Err(JsonError("not in canonical form (RFC 8785)".to_owned()));
        }
        Ok(canonical)
    }

    /// The canonical form of a value.
    pub fn from_value(value: &impl serde::Serialize) -> Result<Self, JsonError> {
        let text = serde_json::to_string(value).map_err(|error| JsonError(error.to_string()))?;
        Self::from_text(&text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, for further use as JSON.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).expect("canonical JSON is JSON")
    }
}

impl fmt::Display for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C> Encode<C> for CanonicalJson {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for CanonicalJson {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let text = decoder.str()?.to_owned();
        Self::from_canonical(text)
            .map_err(|error| minicbor::decode::Error::message(error.to_string()))
    }
}

enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Self>),
    /// By the key's UTF-16 units, in which RFC 8785 sorts.
    Object(BTreeMap<Vec<u16>, (String, Self)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles (RFC 8785, 3.2.2.3)")]
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles (RFC 8785, 3.2.2.3)")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() {
            Ok(Value::Number(value))
        } else {
            Err(E::custom("number out of range"))
        }
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            let units = key.encode_utf16().collect();
            if let Some((key, _)) = members.insert(units, (key, value)) {
                return Err(de::Error::custom(format!("key {key:?} stands twice")));
            }
        }
        Ok(Value::Object(members))
    }
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        // ECMAScript prints negative zero as "0".
        Value::Number(value) if *value == 0.0 => out.push('0'),
        Value::Number(value) => out.push_str(ryu_js::Buffer::new().format_finite(*value)),
        Value::String(value) => write_string(out, value),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, value)) in members.values().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

/// RFC 8785, 3.2.2.2: only what must be escaped is, and in the shortest way.
fn write_string(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        let escaped: Cow<'static, str> = match character {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\u{8}' => "\\b".into(),
            '\u{c}' => "\\f".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            control if control < ' ' => format!("\\u{:04x}", u32::from(control)).into(),
            plain => {
                out.push(plain);
                continue;
            }
        };
        out.push_str(&escaped);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        CanonicalJson::from_text(text).expect(text).to_string()
    }

    #[test]
    fn rfc_8785_examples() {
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical(text), expected);
        let keys = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        assert_eq!(
            canonical(keys),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
        assert_eq!(
            canonical("[-0, -0.0, 1e21, 1e20, 9007199254740993]"),
            "[0,0,1e+21,100000000000000000000,9007199254740992]"
        );
    }

    #[test]
    fn what_is_not_i_json_is_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#""\ud800""#, "1e400", "NaN", "", "[1,]", "{} {}"] {
            assert!(CanonicalJson::from_text(text).is_err(), "{text}");
        }
        assert!(CanonicalJson::from_text(&"[".repeat(100_000)).is_err());
        assert!(CanonicalJson::from_canonical("1.0".to_owned()).is_err());
    }
}
