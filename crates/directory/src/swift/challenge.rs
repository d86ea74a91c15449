//! Both sides of one alive check: a nonce goes out in an envelope and comes back in the clear.
//!
//! Invariant: an answer is given for exactly 32 plain bytes. The reference answers for any length,
//! which lets anybody have a share answer decrypted with all secrets of the network in it.

use super::{
    Secret, SecretKey,
    envelope::{self, EnvelopeError, IV_BYTES},
};

/// The bytes of a nonce: what every Go peer sends.
pub const NONCE_BYTES: usize = 32;

/// Why a challenge is not answered: status 400 with this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// The envelope does not open.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// What it holds is no nonce, and may be something that the caller must not see.
    #[error("a challenge has exactly {NONCE_BYTES} bytes")]
    NotANonce,
}

/// The body of an alive check of a node that shares `secret`, or has none.
pub fn challenge(
    secret: Option<&SecretKey>,
    nonce: &[u8; NONCE_BYTES],
    iv: [u8; IV_BYTES],
) -> Vec<u8> {
    envelope::encode(secret, iv, nonce)
}

/// The answer of a node that has these secrets: the nonce, in the clear.
pub fn answer(secrets: &[Secret], body: &[u8]) -> Result<[u8; NONCE_BYTES], ChallengeError> {
    let plain = match envelope::decode(secrets, body, NONCE_BYTES) {
        Err(EnvelopeError::PlainTooLong(_)) => return Err(ChallengeError::NotANonce),
        plain => plain?,
    };
    plain.as_slice().try_into().map_err(|_| ChallengeError::NotANonce)
}

/// Whether an answer proves that the node is alive. The reference does not look at the status;
/// SWIFT's specification wants a success.
pub fn is_proof(nonce: &[u8; NONCE_BYTES], status: u16, body: &[u8]) -> bool {
    (200..300).contains(&status) && body == nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swift::samples;

    const NONCE: [u8; NONCE_BYTES] = [5; NONCE_BYTES];

    #[test]
    fn a_nonce_comes_back() {
        let node = samples::node("a.test");
        let key = node.first_secret().map(|secret| &secret.key);
        let body = challenge(key, &NONCE, [1; IV_BYTES]);
        let back = answer(&node.secrets, &body).expect("opens");
        assert!(is_proof(&NONCE, 200, &back) && is_proof(&NONCE, 204, &back));
        assert!(!is_proof(&NONCE, 400, &back) && !is_proof(&NONCE, 200, &back[..31]));
        assert_eq!(answer(&[], &challenge(None, &NONCE, [1; IV_BYTES])), Ok(NONCE));
    }

    #[test]
    fn the_alive_check_is_no_decryption_oracle() {
        let node = samples::node("share.test");
        let key = node.first_secret().map(|secret| &secret.key);
        for plain in [&b"[]"[..], &[0; 31], &[0; 33], &[0; 70_000]] {
            let body = envelope::encode(key, [1; IV_BYTES], plain);
            assert_eq!(answer(&node.secrets, &body), Err(ChallengeError::NotANonce));
        }
    }
}
