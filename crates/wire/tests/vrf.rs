//! The VRF against RFC 9381's own vectors, and against proofs and keys that it must refuse.

use std::sync::LazyLock;

use curve25519_dalek::{Scalar, constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use proptest::prelude::*;
use wire::{
    VrfProof, VrfPublicKey,
    vrf::{VrfError, VrfOutput, VrfSecretKey, verify},
};

/// One example of RFC 9381, B.3, in hex.
struct Example {
    number: u8,
    secret: &'static str,
    public: &'static str,
    alpha: &'static str,
    pi: &'static str,
    beta: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        number: 16,
        secret: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        public: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        alpha: "",
        pi: "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
        beta: "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
    },
    Example {
        number: 17,
        secret: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        public: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        alpha: "72",
        pi: "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
        beta: "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
    },
    Example {
        number: 18,
        secret: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        public: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        alpha: "af82",
        pi: "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
        beta: "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f",
    },
];

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let mut bytes = [0; N];
    hex::decode_to_slice(hex, &mut bytes).expect("hex of this length");
    bytes
}

#[test]
fn rfc_9381_examples() {
    for example in EXAMPLES {
        let number = example.number;
        let key = VrfSecretKey::from_seed(&bytes(example.secret));
        let public = VrfPublicKey(bytes(example.public));
        assert_eq!(key.public(), public, "example {number}: PK");
        let alpha = hex::decode(example.alpha).expect("hex");
        let (output, proof) = key.prove(&alpha);
        assert_eq!(hex::encode(proof.0), example.pi, "example {number}: pi");
        assert_eq!(hex::encode(output.0), example.beta, "example {number}: beta");
        assert_eq!(verify(&public, &alpha, &proof), Ok(output), "example {number}");
    }
}

static KEY: LazyLock<VrfSecretKey> = LazyLock::new(|| VrfSecretKey::from_seed(&[7; 32]));
const ALPHA: &[u8] = b"alpha";

#[test]
fn every_flipped_bit_of_a_proof_is_refused() {
    let (output, proof) = KEY.prove(ALPHA);
    assert_eq!(verify(&KEY.public(), ALPHA, &proof), Ok(output));
    for bit in 0..proof.0.len() * 8 {
        let mut changed = proof;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        let result = verify(&KEY.public(), ALPHA, &changed);
        assert!(result.is_err(), "bit {bit}");
    }
}

#[test]
fn every_flipped_bit_of_a_key_is_refused() {
    let (_, proof) = KEY.prove(ALPHA);
    for bit in 0..256 {
        let mut changed = KEY.public();
        changed.0[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&changed, ALPHA, &proof).is_err(), "bit {bit}");
    }
}

/// The sum of two little-endian numbers; `None` if it has more than 256 bits.
fn sum(one: &[u8; 32], other: &[u8; 32]) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    let mut carry = 0_u16;
    for (index, byte) in sum.iter_mut().enumerate() {
        let value = u16::from(one[index]) + u16::from(other[index]) + carry;
        *byte = (value & 0xff) as u8;
        carry = value >> 8;
    }
    (carry == 0).then_some(sum)
}

#[test]
fn a_scalar_that_is_not_reduced_is_refused() {
    let mut order = (-Scalar::ONE).to_bytes();
    order[0] += 1;
    let (_, proof) = KEY.prove(ALPHA);
    let mut s: [u8; 32] = proof.0[48..].try_into().expect("32 bytes");
    let mut tried = 0;
    while let Some(larger) = sum(&s, &order) {
        assert_eq!(
            Scalar::from_bytes_mod_order(larger),
            Scalar::from_bytes_mod_order(s),
            "the same scalar"
        );
        s = larger;
        let mut changed = proof;
        changed.0[48..].copy_from_slice(&s);
        assert_eq!(verify(&KEY.public(), ALPHA, &changed), Err(VrfError::Malformed));
        tried += 1;
    }
    assert!(tried >= 15, "s + q up to s + 15 q have 256 bits");
}

/// The encodings of y = 0 to 18 as y + p, which have 255 bits, with both signs of x.
fn unreduced_points() -> impl Iterator<Item = [u8; 32]> {
    (0..19_u8).flat_map(|y| {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xed + y;
        bytes[31] = 0x7f;
        let mut negative = bytes;
        negative[31] |= 0x80;
        [bytes, negative]
    })
}

#[test]
fn a_point_that_is_not_reduced_is_refused() {
    let (_, proof) = KEY.prove(ALPHA);
    let mut on_curve = 0;
    for bytes in unreduced_points() {
        // The curve library itself takes them, which is what is to be caught.
        on_curve += usize::from(CompressedEdwardsY(bytes).decompress().is_some());
        assert_eq!(verify(&VrfPublicKey(bytes), ALPHA, &proof), Err(VrfError::Key));
        let mut changed = proof;
        changed.0[..32].copy_from_slice(&bytes);
        assert_eq!(verify(&KEY.public(), ALPHA, &changed), Err(VrfError::Malformed));
    }
    assert!(on_curve > 10, "about half of them are points: {on_curve}");
}

#[test]
fn a_key_of_small_order_is_refused() {
    let (_, proof) = KEY.prove(ALPHA);
    for point in EIGHT_TORSION {
        let key = VrfPublicKey(point.compress().0);
        assert_eq!(verify(&key, ALPHA, &proof), Err(VrfError::Key), "{key}");
    }
    // x = 0 has no sign: y = 1 and y = -1 with the sign bit are not encodings of anything.
    for mut bytes in [EIGHT_TORSION[0], EIGHT_TORSION[4]].map(|point| point.compress().0) {
        bytes[31] |= 0x80;
        assert_eq!(verify(&VrfPublicKey(bytes), ALPHA, &proof), Err(VrfError::Key));
    }
}

/// With a key of small order anybody could make proofs; the refusal is what stops this one.
#[test]
fn a_proof_made_for_a_key_of_small_order_does_not_verify() {
    let identity = EIGHT_TORSION[0].compress().0;
    for s in 0..64_u64 {
        let mut proof = [0; 80];
        proof[..32].copy_from_slice(&identity);
        proof[48..].copy_from_slice(&Scalar::from(s).to_bytes());
        let result = verify(&VrfPublicKey(identity), ALPHA, &VrfProof(proof));
        assert_eq!(result, Err(VrfError::Key));
    }
}

/// Gamma with a component of small order has the same output, so it must not be a second proof.
#[test]
fn gamma_moved_by_a_small_order_point_is_refused() {
    let (_, proof) = KEY.prove(ALPHA);
    let gamma = CompressedEdwardsY(proof.0[..32].try_into().expect("32 bytes"))
        .decompress()
        .expect("a point");
    for point in &EIGHT_TORSION[1..] {
        let mut changed = proof;
        changed.0[..32].copy_from_slice(&(gamma + point).compress().0);
        let result: Result<VrfOutput, VrfError> = verify(&KEY.public(), ALPHA, &changed);
        assert_eq!(result, Err(VrfError::Invalid));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_is_for_one_key_and_one_input(
        seed: [u8; 32], other_seed: [u8; 32],
        alpha in prop::collection::vec(any::<u8>(), 0..100),
        other_alpha in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let [key, other] = [seed, other_seed].map(|seed| VrfSecretKey::from_seed(&seed));
        let (output, proof) = key.prove(&alpha);
        prop_assert_eq!(key.prove(&alpha), (output, proof), "deterministic");
        prop_assert_eq!(verify(&key.public(), &alpha, &proof), Ok(output));
        if seed != other_seed {
            prop_assert_eq!(verify(&other.public(), &alpha, &proof), Err(VrfError::Invalid));
            prop_assert_ne!(other.prove(&alpha).0, output);
        }
        if alpha != other_alpha {
            prop_assert_eq!(verify(&key.public(), &other_alpha, &proof), Err(VrfError::Invalid));
            prop_assert_ne!(key.prove(&other_alpha).0, output);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_proof(key: [u8; 32], proof in prop::collection::vec(any::<u8>(), 80)) {
        let proof = VrfProof(proof.try_into().expect("80 bytes"));
        prop_assert!(verify(&VrfPublicKey(key), ALPHA, &proof).is_err());
        prop_assert!(verify(&KEY.public(), ALPHA, &proof).is_err());
    }
}
