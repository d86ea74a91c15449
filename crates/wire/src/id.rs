//! Newtypes for every id, digest and index, so that two of them cannot be swapped.
//!
//! All 32-byte ids print as 64 lower-case hex digits, parse from exactly that, and are CBOR byte
//! strings of exactly 32 bytes.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Decoder, Encode, Encoder, data::Type};
use sha2::{Digest as _, Sha256};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {digits} lower-case hex digits, got {got:?}")]
pub struct IdError {
    /// The kind of id that was expected.
    pub what: &'static str,
    /// The number of hex digits that it has.
    pub digits: usize,
    /// The start of what was given, 80 characters at most.
    pub got: String,
}

/// Decodes exactly `N` bytes from a definite CBOR byte string.
pub(crate) fn decode_fixed<const N: usize>(
    decoder: &mut Decoder<'_>,
) -> Result<[u8; N], minicbor::decode::Error> {
    if decoder.datatype()? != Type::Bytes {
        return Err(minicbor::decode::Error::message("expected a byte string"));
    }
    decoder
        .bytes()?
        .try_into()
        .map_err(|_| minicbor::decode::Error::message("byte string of a wrong length"))
}

/// Parses exactly `N` bytes of lower-case hex.
pub(crate) fn parse_hex<const N: usize>(
    what: &'static str,
    text: &str,
) -> Result<[u8; N], IdError> {
    let error = || IdError { what, digits: 2 * N, got: text.chars().take(80).collect() };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(error());
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| error())?;
    Ok(bytes)
}

/// Defines a fixed-size byte newtype with its text, CBOR and serde forms.
macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $length:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The first eight hex digits, for logs and tables.
            pub fn short(&self) -> String {
                hex::encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex($what, text).map(Self)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(
                decoder: &mut Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                decode_fixed(decoder).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use bytes_newtype;

bytes_newtype! {
    /// A network: the SHA-256 of its genesis record. Everything signed names it, so that nothing
    /// signed in one network can be shown in another.
    NetworkId, 32, "a network id"
}
bytes_newtype! {
    /// A node: its Ed25519 identity key.
    NodeId, 32, "a node id"
}
bytes_newtype! {
    /// An operator: the Ed25519 key that admits nodes and signs settings.
    OperatorId, 32, "an operator id"
}
bytes_newtype! {
    /// A node's VRF key (RFC 9381), apart from its identity key.
    VrfPublicKey, 32, "a VRF key"
}
bytes_newtype! {
    /// A node's X25519 key, to which secrets for it are sealed.
    SealingPublicKey, 32, "a sealing key"
}
bytes_newtype! {
    /// A VRF proof: gamma, c, s.
    VrfProof, 80, "a VRF proof"
}
bytes_newtype! {
    /// An Ed25519 signature.
    Signature, 64, "a signature"
}
bytes_newtype! {
    /// The hash of a whole statement as it stands in a log: its RFC 6962 leaf hash.
    StatementHash, 32, "a statement hash"
}
bytes_newtype! {
    /// The root of an RFC 6962 tree.
    RootHash, 32, "a root hash"
}
bytes_newtype! {
    /// A compute request: the hash of its canonical form.
    RequestId, 32, "a request id"
}
bytes_newtype! {
    /// The SHA-256 of a script's bytes.
    CodeHash, 32, "a code hash"
}
bytes_newtype! {
    /// A worker's commitment to a result that it has not shown yet.
    Commitment, 32, "a commitment"
}
bytes_newtype! {
    /// The random value that belongs to a round.
    Seed, 32, "a seed"
}
bytes_newtype! {
    /// What hides a committed result until it is revealed.
    Salt, 32, "a salt"
}
bytes_newtype! {
    /// What tells two otherwise equal requests apart.
    Nonce, 16, "a nonce"
}

impl CodeHash {
    /// The hash of a script.
    pub fn of(source: &[u8]) -> Self {
        Self(Sha256::digest(source).into())
    }
}

/// A period of the beacon, counted from 1; round 0 is the genesis itself.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Round(#[n(0)] pub u64);

impl Round {
    /// The round after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The round before this one; that of round 0 is round 0.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment: milliseconds since the Unix epoch, UTC.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Millis(#[n(0)] pub u64);

impl Millis {
    /// This moment and `duration_ms` more.
    pub fn plus(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// How many milliseconds `earlier` lies back; 0 when it does not.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Which draw of a request this is: 0, then one more each time the draw is widened.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Attempt(#[n(0)] pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_only_their_own_text() {
        let id = NodeId([0xab; 32]);
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        for bad in ["", "ab", &"AB".repeat(32), &"ab".repeat(33), &"zz".repeat(32)] {
            let error = bad.parse::<NodeId>().expect_err("must be refused");
            assert!(error.to_string().contains("a node id must be 64"), "{error}");
        }
    }
}
