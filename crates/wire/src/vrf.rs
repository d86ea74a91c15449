//! RFC 9381 ECVRF-EDWARDS25519-SHA512-TAI: a value that only the key's holder can compute, that
//! anyone can check, and of which there is only one for a key and an input.
//!
//! Decoding is strict: non-canonical points and scalars and keys of small order are refused
//! (RFC 9381, 5.4.5), so a proof cannot be changed into another valid one.

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::ED25519_BASEPOINT_TABLE,
    edwards::CompressedEdwardsY,
    scalar::clamp_integer,
    traits::{IsIdentity, VartimeMultiscalarMul},
};
use sha2::{Digest as _, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::id::{VrfProof, VrfPublicKey};

const SUITE: u8 = 0x03;
const CHALLENGE_BYTES: usize = 16;

/// The 64 bytes of output that belong to a proof (`beta_string`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VrfOutput(pub [u8; 64]);

impl VrfOutput {
    /// The first eight bytes as a big-endian number, uniform over all of `u64`.
    pub fn as_u64(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("eight of 64 bytes"))
    }
}

/// Why a VRF proof is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VrfError {
    /// The public key is no canonical point, or one of small order.
    #[error("the VRF key is not a valid point")]
    Key,
    /// The proof holds a non-canonical point or scalar.
    #[error("the VRF proof is malformed")]
    Malformed,
    /// The proof does not belong to this key and input.
    #[error("the VRF proof does not verify")]
    Invalid,
}

/// A VRF secret key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct VrfSecretKey {
    scalar: Scalar,
    nonce_prefix: [u8; 32],
    #[zeroize(skip)]
    public: VrfPublicKey,
}

impl VrfSecretKey {
    /// The key of a 32-byte seed (RFC 8032, 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut hash: [u8; 64] = Sha512::digest(seed).into();
        let (low, high) = hash.split_at(32);
        let scalar =
            Scalar::from_bytes_mod_order(clamp_integer(low.try_into().expect("half of 64 bytes")));
        let nonce_prefix = high.try_into().expect("half of 64 bytes");
        hash.zeroize();
        let public = VrfPublicKey((ED25519_BASEPOINT_TABLE * &scalar).compress().0);
        Self { scalar, nonce_prefix, public }
    }

    /// The public key.
    pub fn public(&self) -> VrfPublicKey {
        self.public
    }

    /// The output for `alpha` and its proof (RFC 9381, 5.1).
    pub fn prove(&self, alpha: &[u8]) -> (VrfOutput, VrfProof) {
        let h = encode_to_curve(&self.public, alpha);
        let h_bytes = h.compress();
        let gamma = h * self.scalar;
        let mut nonce_hash = Sha512::new();
        nonce_hash.update(self.nonce_prefix);
        nonce_hash.update(h_bytes.as_bytes());
        let mut k = Scalar::from_bytes_mod_order_wide(&nonce_hash.finalize().into());
        let challenge = challenge(
            &self.public.0,
            &[
                h_bytes.0,
                gamma.compress().0,
                (ED25519_BASEPOINT_TABLE * &k).compress().0,
                (h * k).compress().0,
            ],
        );
        let s = k + challenge_scalar(&challenge) * self.scalar;
        k.zeroize();
        let mut proof = [0; 80];
        proof[..32].copy_from_slice(gamma.compress().as_bytes());
        proof[32..48].copy_from_slice(&challenge);
        proof[48..].copy_from_slice(s.as_bytes());
        (output(&gamma), VrfProof(proof))
    }
}

/// Checks a proof and gives the output that it proves (RFC 9381, 5.3).
pub fn verify(key: &VrfPublicKey, alpha: &[u8], proof: &VrfProof) -> Result<VrfOutput, VrfError> {
    let y = canonical_point(&key.0).ok_or(VrfError::Key)?;
    if y.is_small_order() {
        return Err(VrfError::Key);
    }
    let (gamma_bytes, rest) = proof.0.split_at(32);
    let (c_bytes, s_bytes) = rest.split_at(CHALLENGE_BYTES);
    let gamma =
        canonical_point(gamma_bytes.try_into().expect("32 bytes")).ok_or(VrfError::Malformed)?;
    let s =
        Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes.try_into().expect("32 bytes")))
            .ok_or(VrfError::Malformed)?;
    let challenge_given: [u8; CHALLENGE_BYTES] = c_bytes.try_into().expect("16 bytes");
    let c = challenge_scalar(&challenge_given);
    let h = encode_to_curve(key, alpha);
    let u = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-c, &y, &s);
    let v = EdwardsPoint::vartime_multiscalar_mul([s, -c], [h, gamma]);
    let expected =
        challenge(&key.0, &[h.compress().0, gamma.compress().0, u.compress().0, v.compress().0]);
    if expected != challenge_given {
        return Err(VrfError::Invalid);
    }
    Ok(output(&gamma))
}

/// Try-and-increment (RFC 9381, 5.4.1.1), with the public key as salt.
fn encode_to_curve(key: &VrfPublicKey, alpha: &[u8]) -> EdwardsPoint {
    for counter in 0..=u8::MAX {
        let mut hash = Sha512::new();
        hash.update([SUITE, 0x01]);
        hash.update(key.0);
        hash.update(alpha);
        hash.update([counter, 0x00]);
        let digest: [u8; 64] = hash.finalize().into();
        let candidate = digest[..32].try_into().expect("half of 64 bytes");
        if let Some(point) = canonical_point(&candidate) {
            let point = point.mul_by_cofactor();
            if !point.is_identity() {
                return point;
            }
        }
    }
    unreachable!("each of 256 tries fails with probability one half")
}

/// The point of an encoding that is its own canonical form (RFC 8032, 5.1.3).
fn canonical_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress()?;
    (point.compress().0 == *bytes).then_some(point)
}

/// RFC 9381, 5.4.3.
fn challenge(key: &[u8; 32], points: &[[u8; 32]; 4]) -> [u8; CHALLENGE_BYTES] {
    let mut hash = Sha512::new();
    hash.update([SUITE, 0x02]);
    hash.update(key);
    for point in points {
        hash.update(point);
    }
    hash.update([0x00]);
    hash.finalize()[..CHALLENGE_BYTES].try_into().expect("16 of 64 bytes")
}

fn challenge_scalar(challenge: &[u8; CHALLENGE_BYTES]) -> Scalar {
    let mut bytes = [0; 32];
    bytes[..CHALLENGE_BYTES].copy_from_slice(challenge);
    Scalar::from_bytes_mod_order(bytes)
}

/// RFC 9381, 5.2.
fn output(gamma: &EdwardsPoint) -> VrfOutput {
    let mut hash = Sha512::new();
    hash.update([SUITE, 0x03]);
    hash.update(gamma.mul_by_cofactor().compress().as_bytes());
    hash.update([0x00]);
    VrfOutput(hash.finalize().into())
}
