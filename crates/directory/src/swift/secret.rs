//! Keys that nodes share, and secrets: a key with the date by which the keys of a node are ordered.
//!
//! Invariants: a key has 16, 24 or 32 bytes; it is erased when dropped and never printed.

use std::fmt;

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::SwiftTime;

/// The longest key text that is read: 43 characters are a key of 32 bytes; Go ignores line ends
/// among them, of which nobody needs more than these.
pub const MAX_KEY_TEXT_BYTES: usize = 64;

/// Go does not check that the unused bits of the last character are zero.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Why a text is not a key. The words are Go's where Go has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A byte is not of the URL alphabet, or the text ends within a group.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// The key has another length than AES keys have.
    #[error("crypto/aes: invalid key size {0}")]
    Size(usize),
    /// The text is too long for any key.
    #[error("a key has at most {MAX_KEY_TEXT_BYTES} characters, got {0}")]
    Text(usize),
}

/// A key of AES-128, AES-192 or AES-256.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// A new key; nodes are given keys of 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Reads base64 of the URL alphabet without padding, as Go does: line ends are ignored and the
    /// last character's unused bits may be set.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_TEXT_BYTES {
            return Err(KeyError::Text(text.len()));
        }
        let is_line_end = |byte: u8| byte == b'\r' || byte == b'\n';
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if let Some(at) = text.bytes().position(|byte| !is_known(byte) && !is_line_end(byte)) {
            return Err(KeyError::Base64(at));
        }
        let mut dense = Zeroizing::new(Vec::with_capacity(text.len()));
        dense.extend(text.bytes().filter(|byte| !is_line_end(*byte)));
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_TEXT_BYTES));
        let end = text.len().saturating_sub(1);
        LENIENT.decode_vec(dense.as_slice(), &mut bytes).map_err(|_| KeyError::Base64(end))?;
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes)),
            length => Err(KeyError::Size(length)),
        }
    }

    /// The canonical text: for 32 bytes, 43 characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(LENIENT.encode(self.0.as_slice()))
    }

    /// The key itself, for the cipher.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} bits)", self.0.len() * 8)
    }
}

/// A secret that a node shares with all who may talk to it or as it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// When it was made; the oldest is the one that a node's peers surely know.
    pub time_stamp: SwiftTime,
    /// The key.
    pub key: SecretKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    #[test]
    fn a_key_is_never_printed() {
        let key = SecretKey::parse(KEY).expect("a key");
        let secret = Secret { time_stamp: SwiftTime::ZERO, key };
        let printed = format!("{secret:?}");
        assert!(printed.contains("SecretKey(256 bits)") && !printed.contains("AAEC"), "{printed}");
    }

    #[test]
    fn line_ends_and_spare_bits_are_ignored_and_written_canonically() {
        let plain = SecretKey::parse(KEY).expect("a key");
        let split = SecretKey::parse(&format!("{}\r\n{}\n", &KEY[..9], &KEY[9..])).expect("a key");
        let spare = SecretKey::parse(&KEY.replace("Hh8", "Hh9")).expect("a key");
        assert_eq!((&split, &spare), (&plain, &plain));
        assert_eq!(spare.to_text().as_str(), KEY);
        assert_eq!(SecretKey::new(&std::array::from_fn(|index| index as u8)), plain);
    }

    #[test]
    fn other_alphabets_padding_and_lengths_are_refused() {
        for (text, error) in [
            ("AA+A", KeyError::Base64(2)),
            ("AAA=", KeyError::Base64(3)),
            ("AAAAA", KeyError::Base64(4)),
            ("", KeyError::Size(0)),
            ("AAAA", KeyError::Size(3)),
        ] {
            assert_eq!(SecretKey::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(SecretKey::parse(&"A".repeat(65)), Err(KeyError::Text(65)));
    }
}
