//! One function per decoder of bytes from outside: it may refuse, it may not panic, and what it
//! takes is the only form of what it took.
//!
//! The property tests of `decode.rs` and the fuzzers of `/fuzz` call the same functions.

use std::sync::OnceLock;

use minicbor::{Decode, Encode};
use wire::{
    Body, Millis, NetworkId, NodeId, NodeKey, RootHash, Signed,
    checkpoint::SignedCheckpoint,
    compute::{
        Agreement, Commit, Draw, Execution, Failure, Offer, Receipt, Received, Request, Reveal,
        Tally, Widening,
    },
    credential::{self, Call},
    encoding,
    json::CanonicalJson,
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Admission, Genesis, Settings},
    round::{RoundOpening, SeenHead},
    seal,
    statement::Envelope,
    tile::Tile,
};

/// Whether a decoder took the bytes; what it took has been checked.
pub type Taken = bool;

/// A statement's envelope, the statement as each kind, and the bytes as a body of each kind.
pub fn statement(bytes: &[u8]) -> Taken {
    let envelope = Envelope::from_bytes(bytes);
    if let Ok(envelope) = &envelope {
        assert_eq!(encoding::to_bytes(envelope), bytes);
        let _ = envelope.signer_hex();
    }
    // The envelope's own network, so that the signature is reached.
    let network = envelope.as_ref().map_or(NetworkId([0; 32]), |envelope| envelope.network);
    let taken = [
        body::<Admission>(&network, bytes),
        body::<Settings>(&network, bytes),
        body::<RoundOpening>(&network, bytes),
        body::<Received>(&network, bytes),
        body::<Draw>(&network, bytes),
        body::<Commit>(&network, bytes),
        body::<Reveal>(&network, bytes),
        body::<Receipt>(&network, bytes),
        body::<Tally>(&network, bytes),
        body::<Agreement>(&network, bytes),
        body::<Failure>(&network, bytes),
        body::<Widening>(&network, bytes),
    ];
    if let Some(admission) = value::<Admission>(bytes) {
        let _ = admission.check();
    }
    if let Some(settings) = value::<Settings>(bytes) {
        let _ = settings.check();
    }
    envelope.is_ok() || taken.contains(&true)
}

fn body<B: Body>(network: &NetworkId, bytes: &[u8]) -> Taken {
    if let Ok(trusted) = Signed::<B>::open_trusted(bytes) {
        assert_eq!(**trusted.bytes(), *bytes);
    }
    if let Ok(opened) = Signed::<B>::open(network, bytes) {
        assert_eq!(**opened.bytes(), *bytes);
        return true;
    }
    let body = value::<B>(bytes);
    if let Some(body) = &body {
        let _ = body.position();
    }
    body.is_some()
}

/// The value of deterministic CBOR, which is its only form.
fn value<T: Encode<()> + for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Option<T> {
    let value = encoding::from_bytes::<T>("a value", bytes).ok()?;
    assert_eq!(encoding::to_bytes(&value), bytes);
    Some(value)
}

/// A genesis.
pub fn genesis(bytes: &[u8]) -> Taken {
    let Ok(genesis) = Genesis::open(bytes) else {
        return false;
    };
    assert_eq!(genesis.bytes(), bytes);
    let again = Genesis::new(&genesis.name, genesis.operators.clone(), genesis.created);
    assert_eq!(again.as_ref(), Ok(&genesis));
    true
}

/// An offer, and what it is made of.
pub fn offer(bytes: &[u8]) -> Taken {
    let parts = [
        value::<Request>(bytes).is_some(),
        value::<Execution>(bytes).is_some(),
        value::<SeenHead>(bytes).is_some(),
    ];
    let Some(offer) = value::<Offer>(bytes) else {
        return parts.contains(&true);
    };
    let _ = offer.request.check();
    let _ = offer.request.id();
    let _ = offer.opening.head.leaf_hash();
    true
}

/// A checkpoint's note, and a line of cosignature.
pub fn checkpoint(bytes: &[u8]) -> Taken {
    static WORLD: OnceLock<(NetworkId, NodeId, NodeId, SignedCheckpoint)> = OnceLock::new();
    let (network, log, witness, known) = WORLD.get_or_init(|| {
        // The golden vectors' network and keys, so that their notes are taken.
        let seed = include_str!("../golden.json");
        let mark = "\"network-id\": \"";
        let start = seed.find(mark).expect("a golden vector") + mark.len();
        let network = seed[start..start + 64].parse().expect("a network id");
        let [beacon, relay] = [0x11, 0x12].map(|number| NodeKey::from_secret([number; 32]));
        let head = TreeHead { size: 5, root: RootHash([8; 32]) };
        let checkpoint = SignedCheckpoint::sign(&network, &relay, head);
        (network, relay.id(), beacon.id(), checkpoint)
    });
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let cosigned = known.with_cosignature(network, witness, text);
    if let Ok(cosigned) = &cosigned {
        assert_eq!(cosigned.head, known.head);
    }
    let Ok(opened) = SignedCheckpoint::open(network, log, &[*witness], text) else {
        return cosigned.is_ok();
    };
    assert_eq!(opened.note(), text);
    assert_eq!(opened.log, *log);
    let again = SignedCheckpoint::open(network, log, &[*witness], opened.note());
    assert_eq!(again.as_ref(), Ok(&opened));
    true
}

/// Canonical JSON, of which certificates are made.
pub fn certificate_json(bytes: &[u8]) -> Taken {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(canonical) = CanonicalJson::from_text(text) else {
        let refused = CanonicalJson::from_canonical(text.to_owned());
        assert!(refused.is_err(), "canonical, and yet not JSON");
        return false;
    };
    let again = CanonicalJson::from_text(canonical.as_str());
    assert_eq!(again.as_ref(), Ok(&canonical), "canonical form is idempotent");
    let strict = CanonicalJson::from_canonical(canonical.as_str().to_owned());
    assert_eq!(strict.as_ref(), Ok(&canonical));
    let taken_as_is = CanonicalJson::from_canonical(text.to_owned()).is_ok();
    assert_eq!(taken_as_is, canonical.as_str() == text);
    let value = CanonicalJson::from_value(&canonical.to_value());
    assert_eq!(value.as_ref(), Ok(&canonical), "its value is the same value");
    let cbor = encoding::to_bytes(&canonical);
    assert_eq!(value_of(&cbor), Some(canonical));
    true
}

fn value_of(cbor: &[u8]) -> Option<CanonicalJson> {
    value::<CanonicalJson>(cbor)
}

/// The path of a tile.
pub fn tile_path(bytes: &[u8]) -> Taken {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(tile) = Tile::from_path(text) else {
        return false;
    };
    assert_eq!(tile.path(), text);
    assert_eq!(Tile::from_path(&tile.path()), Ok(tile));
    true
}

/// A credential's header, for the golden call.
pub fn credential_header(bytes: &[u8], call: &Call<'_>, now: Millis) -> Taken {
    std::str::from_utf8(bytes).is_ok_and(|header| credential::check(header, call, now).is_ok())
}

/// A sealed box, or a secret at rest.
pub fn sealed_box(bytes: &[u8], key: &NodeKey, rest_key: &[u8; 32], place: &[u8]) -> Taken {
    let opened = seal::open_sealed(key, place, bytes);
    let decrypted = seal::decrypt_at_rest(rest_key, place, bytes);
    opened.is_ok() || decrypted.is_ok()
}
