//! Deterministic CBOR (RFC 8949, 4.2): one value has one byte string, and no other is accepted.
//!
//! Decoding encodes again and compares, so long integers, indefinite lengths, unknown trailing
//! fields and bytes behind the value are all refused by one rule, whatever the decoder would allow.

use minicbor::{Decode, Encode};

/// Why bytes are not the deterministic CBOR of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// The bytes are not a value of this type.
    #[error("not valid CBOR for {what}: {reason}")]
    Malformed {
        /// The type that was expected.
        what: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The bytes are a value of this type in another than its deterministic form.
    #[error("the CBOR of {what} is not deterministic (RFC 8949, 4.2)")]
    NotDeterministic {
        /// The type that was expected.
        what: &'static str,
    },
}

/// The deterministic bytes of a value.
pub fn to_bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding to memory cannot fail")
}

/// The value of deterministic bytes; `what` names its type in errors.
pub fn from_bytes<T>(what: &'static str, bytes: &[u8]) -> Result<T, EncodingError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let value: T = minicbor::decode(bytes)
        .map_err(|error| EncodingError::Malformed { what, reason: error.to_string() })?;
    if to_bytes(&value) != bytes {
        return Err(EncodingError::NotDeterministic { what });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_form_is_accepted() {
        assert_eq!(from_bytes::<u64>("number", &[0x17]), Ok(23));
        let longer = from_bytes::<u64>("number", &[0x18, 0x17]);
        assert_eq!(longer, Err(EncodingError::NotDeterministic { what: "number" }));
        let trailing = from_bytes::<u64>("number", &[0x17, 0x00]);
        assert_eq!(trailing, Err(EncodingError::NotDeterministic { what: "number" }));
        let indefinite = from_bytes::<Vec<u64>>("list", &[0x9f, 0x01, 0xff]);
        assert_eq!(indefinite, Err(EncodingError::NotDeterministic { what: "list" }));
    }
}
