//! Secrets: a node keeps one 32-byte secret, and each use has a key of its own derived from it.
//!
//! The identity key (Ed25519), the VRF key and the sealing key (X25519) are never the same scalar:
//! a signature and a VRF proof under one scalar could be played against each other. Secrets are
//! wiped when dropped and have no `Debug`, so they cannot reach a log.

use ed25519_dalek::{Signer as _, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    id::{NodeId, OperatorId, SealingPublicKey, Signature, VrfPublicKey},
    vrf::VrfSecretKey,
};

/// A public key that signs statements of one party.
pub trait SignerId: Copy + Eq + Ord + std::fmt::Display + std::fmt::Debug {
    /// The key's bytes.
    fn key_bytes(&self) -> &[u8; 32];
    /// The id of key bytes.
    fn from_key_bytes(bytes: [u8; 32]) -> Self;
}

impl SignerId for NodeId {
    fn key_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    fn from_key_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl SignerId for OperatorId {
    fn key_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    fn from_key_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A secret key that signs as an `Id`.
pub trait StatementSigner<Id: SignerId> {
    /// The public half.
    fn id(&self) -> Id;
    /// The Ed25519 signature of bytes that already carry their domain.
    fn sign_bytes(&self, message: &[u8]) -> Signature;
}

/// Whether `signature` is `signer`'s Ed25519 signature of `message`; strict (no small-order keys,
/// no malleable encodings).
pub fn verify_bytes(signer: &impl SignerId, message: &[u8], signature: &Signature) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(signer.key_bytes()).is_ok_and(|key| {
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    })
}

fn derive(secret: &[u8; 32], use_: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(use_.as_bytes(), key.as_mut())
        .expect("32 bytes are within HKDF's limit");
    key
}

/// All keys of one node.
#[derive(ZeroizeOnDrop)]
pub struct NodeKey {
    secret: [u8; 32],
    signing: SigningKey,
    vrf: VrfSecretKey,
    sealing: x25519_dalek::StaticSecret,
}

impl NodeKey {
    /// The keys of a node's secret, which must be 32 random bytes.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self {
            signing: SigningKey::from_bytes(&derive(&secret, "quorate/v1/identity")),
            vrf: VrfSecretKey::from_seed(&derive(&secret, "quorate/v1/vrf")),
            sealing: x25519_dalek::StaticSecret::from(*derive(&secret, "quorate/v1/sealing")),
            secret,
        }
    }

    /// The VRF key.
    pub fn vrf(&self) -> &VrfSecretKey {
        &self.vrf
    }

    /// The VRF key's public half.
    pub fn vrf_public(&self) -> VrfPublicKey {
        self.vrf.public()
    }

    /// The sealing key's public half.
    pub fn sealing_public(&self) -> SealingPublicKey {
        SealingPublicKey(x25519_dalek::PublicKey::from(&self.sealing).to_bytes())
    }

    pub(crate) fn sealing(&self) -> &x25519_dalek::StaticSecret {
        &self.sealing
    }

    /// A further secret of this node for `use_`, which must be a constant of the caller's.
    pub fn derived_secret(&self, use_: &str) -> Zeroizing<[u8; 32]> {
        derive(&self.secret, use_)
    }
}

impl StatementSigner<NodeId> for NodeKey {
    fn id(&self) -> NodeId {
        NodeId(self.signing.verifying_key().to_bytes())
    }
    fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
    }
}

/// An operator's key: it admits nodes and signs settings.
#[derive(ZeroizeOnDrop)]
pub struct OperatorKey {
    signing: SigningKey,
}

impl OperatorKey {
    /// The key of an operator's secret, which must be 32 random bytes.
    pub fn from_secret(mut secret: [u8; 32]) -> Self {
        let key = Self { signing: SigningKey::from_bytes(&derive(&secret, "quorate/v1/operator")) };
        secret.zeroize();
        key
    }
}

impl StatementSigner<OperatorId> for OperatorKey {
    fn id(&self) -> OperatorId {
        OperatorId(self.signing.verifying_key().to_bytes())
    }
    fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_a_key_of_its_own() {
        let node = NodeKey::from_secret([7; 32]);
        let operator = OperatorKey::from_secret([7; 32]);
        let keys = [node.id().0, node.vrf_public().0, node.sealing_public().0, operator.id().0];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key), "key {index} stands twice");
        }
    }

    #[test]
    fn a_changed_message_or_signature_does_not_verify() {
        let key = NodeKey::from_secret([1; 32]);
        let signature = key.sign_bytes(b"message");
        assert!(verify_bytes(&key.id(), b"message", &signature));
        assert!(!verify_bytes(&key.id(), b"massage", &signature));
        let mut other = signature;
        other.0[63] ^= 1;
        assert!(!verify_bytes(&key.id(), b"message", &other));
    }
}
