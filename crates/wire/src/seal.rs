//! Encryption of a secret: to a node (sealed box), or at rest under a key.
//!
//! Both are ChaCha20-Poly1305 with the caller's associated data, so a ciphertext moved to another
//! place does not open. To a node: an ephemeral X25519 key, HKDF-SHA256 over both public keys, and a
//! zero nonce, as each key is used once. At rest: the caller's random nonce stands before the
//! ciphertext.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{id::SealingPublicKey, key::NodeKey};

/// Bytes that sealing to a node adds.
pub const SEAL_OVERHEAD_BYTES: usize = 32 + 16;
/// Bytes that encryption at rest adds.
pub const REST_OVERHEAD_BYTES: usize = 12 + 16;

/// The ciphertext does not open: another key, another place, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open with this key at this place")]
pub struct SealError;

fn box_cipher(shared: &[u8; 32], ephemeral: &[u8; 32], recipient: &[u8; 32]) -> ChaCha20Poly1305 {
    let mut salt = ephemeral.to_vec();
    salt.extend_from_slice(recipient);
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(&salt), shared)
        .expand(b"quorate/v1/seal", key.as_mut())
        .expect("32 bytes are within HKDF's limit");
    ChaCha20Poly1305::new(key.as_slice().into())
}

/// Seals `secret` to a node; `ephemeral_secret` must be 32 fresh random bytes.
pub fn seal_to(
    recipient: &SealingPublicKey,
    ephemeral_secret: [u8; 32],
    place: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, SealError> {
    let ephemeral = x25519_dalek::StaticSecret::from(ephemeral_secret);
    let ephemeral_public = x25519_dalek::PublicKey::from(&ephemeral).to_bytes();
    let shared = ephemeral.diffie_hellman(&x25519_dalek::PublicKey::from(recipient.0));
    if !shared.was_contributory() {
        return Err(SealError);
    }
    let cipher = box_cipher(shared.as_bytes(), &ephemeral_public, &recipient.0);
    let sealed = cipher
        .encrypt(&[0; 12].into(), Payload { msg: secret, aad: place })
        .map_err(|_| SealError)?;
    Ok([ephemeral_public.as_slice(), &sealed].concat())
}

/// Opens what was sealed to this node at this place.
pub fn open_sealed(
    key: &NodeKey,
    place: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (ephemeral, ciphertext) = sealed.split_first_chunk::<32>().ok_or(SealError)?;
    let shared = key.sealing().diffie_hellman(&x25519_dalek::PublicKey::from(*ephemeral));
    if !shared.was_contributory() {
        return Err(SealError);
    }
    let cipher = box_cipher(shared.as_bytes(), ephemeral, &key.sealing_public().0);
    cipher
        .decrypt(&[0; 12].into(), Payload { msg: ciphertext, aad: place })
        .map(Zeroizing::new)
        .map_err(|_| SealError)
}

/// Encrypts for storage; `nonce` must be 12 fresh random bytes.
pub fn encrypt_at_rest(
    key: &[u8; 32],
    nonce: [u8; 12],
    place: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, SealError> {
    let sealed = ChaCha20Poly1305::new(key.into())
        .encrypt(&nonce.into(), Payload { msg: secret, aad: place })
        .map_err(|_| SealError)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Decrypts what was stored at this place.
pub fn decrypt_at_rest(
    key: &[u8; 32],
    place: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<12>().ok_or(SealError)?;
    ChaCha20Poly1305::new(key.into())
        .decrypt(nonce.into(), Payload { msg: ciphertext, aad: place })
        .map(Zeroizing::new)
        .map_err(|_| SealError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_only_for_its_node_at_its_place() {
        let key = NodeKey::from_secret([1; 32]);
        let other = NodeKey::from_secret([2; 32]);
        let sealed =
            seal_to(&key.sealing_public(), [9; 32], b"share 1", b"secret").expect("sealed");
        assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD_BYTES);
        assert_eq!(open_sealed(&key, b"share 1", &sealed).expect("opens").as_slice(), b"secret");
        assert_eq!(open_sealed(&other, b"share 1", &sealed), Err(SealError));
        assert_eq!(open_sealed(&key, b"share 2", &sealed), Err(SealError));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open_sealed(&key, b"share 1", &changed), Err(SealError), "byte {index}");
        }
        assert_eq!(seal_to(&SealingPublicKey([0; 32]), [9; 32], b"", b""), Err(SealError));
    }

    #[test]
    fn at_rest_the_place_counts() {
        let sealed = encrypt_at_rest(&[4; 32], [5; 12], b"row 1", b"secret").expect("sealed");
        assert_eq!(
            decrypt_at_rest(&[4; 32], b"row 1", &sealed).expect("opens").as_slice(),
            b"secret"
        );
        assert_eq!(decrypt_at_rest(&[4; 32], b"row 2", &sealed), Err(SealError));
        assert_eq!(decrypt_at_rest(&[4; 32], b"row 1", &sealed[..11]), Err(SealError));
    }
}
