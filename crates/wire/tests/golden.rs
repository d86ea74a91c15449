//! Golden bytes: everything that two parties must agree on, made from fixed keys and fields, equals
//! the checked-in `golden.json` and is read back from there.
//!
//! `QUORATE_BLESS=1 cargo test -p wire --test golden` writes the file and the fuzzers' seed corpus
//! anew; the diff is then a change of the wire format, to be looked at as such.

#[allow(dead_code, reason = "each test of this crate uses its part of the world")]
mod samples;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use samples::{COSIGNED_S, CREDENTIAL_TIME, REST_KEY, SEAL_PLACE, SECRET, World, world};
use wire::{
    Attempt, Body, NetworkId, Signature, Signed, StatementError,
    checkpoint::{Cosignature, SignedCheckpoint, log_name, verifier_key},
    compute::{
        Agreement, Commit, Draw, Failure, Offer, Receipt, Received, Request, Reveal, Tally,
        Widening, script_seed, verify_draw,
    },
    credential,
    encoding::{self, EncodingError},
    key::{StatementSigner as _, verify_bytes},
    network::{Admission, Genesis, Settings},
    round::{RoundOpening, SeenHead, verify_seed},
    seal,
    statement::Envelope,
};

/// The name of a vector and its bytes in hex, or its text.
type Vectors = BTreeMap<String, String>;

fn golden_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.json")
}

fn corpus_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn bless() -> bool {
    std::env::var_os("QUORATE_BLESS").is_some_and(|value| value == "1")
}

fn made(world: &World) -> Vectors {
    let network = &world.network;
    let id = world.request.id();
    let seed = &world.round.body.seed;
    let mut vectors = Vectors::new();
    let mut put = |name: &str, text: String| {
        let before = vectors.insert(name.to_owned(), text);
        assert_eq!(before, None, "{name} stands twice");
    };
    put("genesis", hex::encode(world.genesis.bytes()));
    put("network-id", network.to_string());
    put("seed-zero", world.genesis.seed().to_string());
    put("operator-id", world.operator.id().to_string());
    put("node-id", world.worker.id().to_string());
    put("vrf-key", world.worker.vrf_public().to_string());
    put("sealing-key", world.worker.sealing_public().to_string());
    for (name, _, bytes) in world.statements() {
        put(&format!("statement/{name}"), hex::encode(bytes));
    }
    put("statement-hash/draw", world.draw.hash().to_string());
    put("request", hex::encode(encoding::to_bytes(&world.request)));
    put("request-id", id.to_string());
    put("execution/value", hex::encode(encoding::to_bytes(&world.value)));
    put("execution/fault", hex::encode(encoding::to_bytes(&world.fault)));
    put("commitment/value", world.value.commitment(&world.draw.hash(), &world.salt).to_string());
    put("commitment/fault", world.fault.commitment(&world.draw.hash(), &world.salt).to_string());
    put("script-seed", hex::encode(script_seed(&id, Attempt(1), seed)));
    put("offer", hex::encode(encoding::to_bytes(&world.offer)));
    put("credential", world.credential.clone());
    put("log-name", log_name(network, &world.relay.id()));
    put("verifier-key", verifier_key(network, &world.relay.id()).expect("a good key"));
    put("checkpoint", world.checkpoint.note().to_owned());
    put("cosignature", world.cosignature.clone());
    put("checkpoint-cosigned", world.cosigned.note().to_owned());
    put("seal", hex::encode(&world.sealed));
    put("at-rest", hex::encode(&world.at_rest));
    put("head-leaf", hex::encode(encoding::to_bytes(&world.seen_head)));
    put("head-leaf-hash", hex::encode(world.seen_head.leaf_hash()));
    vectors
}

/// The checked-in vectors; blessed first, once, where that is asked for.
fn stored() -> &'static Vectors {
    static STORED: OnceLock<Vectors> = OnceLock::new();
    STORED.get_or_init(|| {
        if bless() {
            let text = serde_json::to_string_pretty(&made(&world())).expect("texts are JSON");
            fs::write(golden_path(), text + "\n").expect("golden.json can be written");
        }
        let text = fs::read_to_string(golden_path()).expect("golden.json is checked in");
        serde_json::from_str(&text).expect("golden.json maps names to texts")
    })
}

fn stored_bytes(name: &str) -> Vec<u8> {
    hex::decode(&stored()[name]).expect("this vector is in hex")
}

#[test]
fn every_byte_is_as_checked_in() {
    let (made, stored) = (made(&world()), stored());
    let names: Vec<_> = made.keys().collect();
    assert_eq!(names, stored.keys().collect::<Vec<_>>());
    for (name, text) in &made {
        assert_eq!(text, &stored[name], "{name}");
    }
}

#[test]
fn the_fuzzers_start_from_the_golden_bytes() {
    let world = world();
    let mut seeds: Vec<(String, Vec<u8>)> = world
        .statements()
        .into_iter()
        .map(|(name, _, bytes)| (format!("statement/{name}"), bytes))
        .collect();
    seeds.push(("offer/offer".to_owned(), encoding::to_bytes(&world.offer)));
    for (name, note) in [
        ("signed", world.checkpoint.note()),
        ("cosigned", world.cosigned.note()),
        ("cosignature", &world.cosignature),
    ] {
        seeds.push((format!("checkpoint/{name}"), note.as_bytes().to_vec()));
    }
    for (name, text) in [
        ("params", world.request.params.as_str()),
        ("numbers", "[333333333.33333329,1E30,4.50,2e-3,1e-27,-0]"),
        ("escapes", r#"{"\u20ac$\u000F\n":"\ud83d\ude00\/","1":[null,true,{}]}"#),
    ] {
        let name = format!("certificate_json/{name}");
        seeds.push((name, text.as_bytes().to_vec()));
    }
    for (name, bytes) in seeds {
        let path = corpus_path().join(&name);
        if bless() {
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("a new folder");
            fs::write(&path, &bytes).expect("the seed can be written");
        }
        assert_eq!(fs::read(&path).expect("the seed is checked in"), bytes, "{name}");
    }
}

#[test]
fn statements_are_read_back() {
    fn opens<B: Body + PartialEq>(name: &str, network: &NetworkId, made: &Signed<B>) {
        let bytes = stored_bytes(&format!("statement/{name}"));
        let opened = Signed::<B>::open(network, &bytes).expect(name);
        assert_eq!(opened.body, made.body, "{name}");
        assert_eq!(opened.signer, made.signer, "{name}");
        assert_eq!(opened.network, *network, "{name}");
        assert_eq!(opened.hash(), made.hash(), "{name}");
        assert_eq!(**opened.bytes(), *bytes, "{name}");
        assert_eq!(Signed::<B>::open_trusted(&bytes).as_ref(), Ok(&opened), "{name}");
    }
    let world = world();
    let network = &world.network;
    opens::<Admission>("admission", network, &world.admission);
    opens::<Settings>("settings", network, &world.settings);
    opens::<RoundOpening>("round", network, &world.round);
    opens::<Received>("received", network, &world.received);
    opens::<Draw>("draw", network, &world.draw);
    opens::<Commit>("commit", network, &world.commit);
    opens::<Reveal>("reveal-value", network, &world.reveal_value);
    opens::<Reveal>("reveal-fault", network, &world.reveal_fault);
    opens::<Receipt>("receipt", network, &world.receipt);
    opens::<Tally>("tally", network, &world.tally);
    opens::<Widening>("widening", network, &world.widening);
    opens::<Agreement>("agreement", network, &world.agreement);
    opens::<Failure>("failure", network, &world.failure);
}

#[test]
fn records_are_read_back() {
    let (world, stored) = (world(), stored());
    assert_eq!(Genesis::open(&stored_bytes("genesis")), Ok(world.genesis));
    let request: Request =
        encoding::from_bytes("a request", &stored_bytes("request")).expect("a request");
    assert_eq!(request, world.request);
    assert_eq!(request.check(), Ok(()));
    assert_eq!(request.id().to_string(), stored["request-id"]);
    let offer: Offer = encoding::from_bytes("an offer", &stored_bytes("offer")).expect("an offer");
    assert_eq!(offer, world.offer);
    for name in ["value", "fault"] {
        let bytes = stored_bytes(&format!("execution/{name}"));
        let execution: wire::compute::Execution =
            encoding::from_bytes("an execution", &bytes).expect(name);
        let commitment = execution.commitment(&world.draw.hash(), &world.salt).to_string();
        assert_eq!(commitment, stored[&format!("commitment/{name}")]);
    }
    let leaf: SeenHead =
        encoding::from_bytes("a head", &stored_bytes("head-leaf")).expect("a head");
    assert_eq!(leaf, world.seen_head);
    assert_eq!(hex::encode(leaf.leaf_hash()), stored["head-leaf-hash"]);
}

#[test]
fn the_worlds_proofs_verify() {
    let world = world();
    let (network, draw) = (&world.network, &world.draw.body);
    let seed = &world.round.body.seed;
    let key = world.worker.vrf_public();
    verify_draw(network, &world.draw.signer, &key, &draw.request, draw.attempt, seed, &draw.proof)
        .expect("drawn");
    let rounds = [
        (world.genesis.seed(), &world.previous_round.body),
        (world.previous_round.body.seed, &world.round.body),
    ];
    for (before, round) in rounds {
        let beacon = world.beacon.vrf_public();
        verify_seed(network, &beacon, &before, round.round, &round.seed, &round.proof)
            .expect("the next seed");
    }
}

#[test]
fn checkpoints_are_read_back() {
    let (world, stored) = (world(), stored());
    let (network, log, witness) = (&world.network, world.relay.id(), world.beacon.id());
    let plain = SignedCheckpoint::open(network, &log, &[witness], &stored["checkpoint"]);
    assert_eq!(plain.as_ref(), Ok(&world.checkpoint));
    let cosigned = plain
        .expect("it opened")
        .with_cosignature(network, &witness, &stored["cosignature"])
        .expect("a good cosignature");
    assert_eq!(cosigned.note(), stored["checkpoint-cosigned"]);
    let expected = Cosignature { witness, time_s: COSIGNED_S };
    assert_eq!(cosigned.cosignatures, [expected]);
    assert_eq!(cosigned.head, world.seen_head.head);
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_refused() {
    let world = world();
    let (log, note) = (world.relay.id(), world.checkpoint.note());
    for bit in 0..note.len() * 8 {
        let mut changed = note.as_bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = String::from_utf8(changed) else {
            continue;
        };
        let result = SignedCheckpoint::open(&world.network, &log, &[], &changed);
        assert!(result.is_err(), "bit {bit}");
    }
}

/// Even the log itself cannot write one head in two ways.
#[test]
fn a_signed_checkpoint_that_is_not_canonical_is_refused() {
    let world = world();
    let (network, log) = (&world.network, world.relay.id());
    let (text, signature) = world.checkpoint.note().split_once("\n\n").expect("a note");
    let (start, _) = signature.rsplit_once(' ').expect("a signature line");
    let signed = |text: &str| {
        let id: [u8; 4] =
            STANDARD.decode(&signature[start.len() + 1..signature.len() - 1]).expect("base64")[..4]
                .try_into()
                .expect("four bytes");
        let new = world.relay.sign_bytes(text.as_bytes()).0;
        let note = format!("{text}\n{start} {}\n", STANDARD.encode([&id[..], &new].concat()));
        SignedCheckpoint::open(network, &log, &[], &note)
    };
    let text = format!("{text}\n");
    assert_eq!(signed(&text).as_ref(), Ok(&world.checkpoint));
    for size in ["03", "+3", " 3", "3 ", "0x3", "-0", ""] {
        let changed = text.replacen("\n3\n", &format!("\n{size}\n"), 1);
        let result = signed(&changed);
        assert!(result.is_err(), "size {size:?}: {result:?}");
    }
}

#[test]
fn secrets_and_credentials_are_read_back() {
    let (world, stored) = (world(), stored());
    let opened = seal::open_sealed(&world.worker, SEAL_PLACE, &stored_bytes("seal"));
    assert_eq!(opened.expect("it opens").as_slice(), SECRET);
    let opened = seal::decrypt_at_rest(&REST_KEY, SEAL_PLACE, &stored_bytes("at-rest"));
    assert_eq!(opened.expect("it opens").as_slice(), SECRET);
    let caller =
        world.with_call(|call| credential::check(&stored["credential"], call, CREDENTIAL_TIME));
    assert_eq!(caller, Ok(world.worker.id()));
}

/// From the node's own store only the signature is believed.
#[test]
fn a_stored_statement_is_still_of_its_kind_and_deterministic() {
    let world = world();
    let bytes = world.commit.bytes();
    let result = Signed::<Reveal>::open_trusted(bytes);
    let refused = matches!(result, Err(StatementError::Kind { .. }));
    assert!(refused, "{result:?}");
    let mut parts = Parts::of(bytes);
    parts.body.push(0);
    let result = Signed::<Commit>::open_trusted(&parts.bytes());
    let refused = matches!(result, Err(StatementError::Encoding(_)));
    assert!(refused, "{result:?}");
    let mut parts = Parts::of(bytes);
    parts.signer.push(0);
    let result = Signed::<Commit>::open_trusted(&parts.bytes());
    let refused = matches!(result, Err(StatementError::Signature { .. }));
    assert!(refused, "{result:?}");
}

/// Opens bytes as whatever kind `kind` names.
fn open_as(kind: &str, network: &NetworkId, bytes: &[u8]) -> Result<(), StatementError> {
    fn open<B: Body>(network: &NetworkId, bytes: &[u8]) -> Result<(), StatementError> {
        Signed::<B>::open(network, bytes).map(|_| ())
    }
    match kind {
        Admission::KIND => open::<Admission>(network, bytes),
        Settings::KIND => open::<Settings>(network, bytes),
        RoundOpening::KIND => open::<RoundOpening>(network, bytes),
        Received::KIND => open::<Received>(network, bytes),
        Draw::KIND => open::<Draw>(network, bytes),
        Commit::KIND => open::<Commit>(network, bytes),
        Reveal::KIND => open::<Reveal>(network, bytes),
        Receipt::KIND => open::<Receipt>(network, bytes),
        Tally::KIND => open::<Tally>(network, bytes),
        Agreement::KIND => open::<Agreement>(network, bytes),
        Failure::KIND => open::<Failure>(network, bytes),
        Widening::KIND => open::<Widening>(network, bytes),
        other => panic!("no such kind: {other}"),
    }
}

#[test]
fn a_flipped_byte_is_refused() {
    let world = world();
    for (name, kind, bytes) in world.statements() {
        assert_eq!(open_as(kind, &world.network, &bytes), Ok(()), "{name}");
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1 << (index % 8);
            let result = open_as(kind, &world.network, &changed);
            assert!(result.is_err(), "{name}, byte {index}");
        }
        assert!(open_as(kind, &world.network, &bytes[1..]).is_err(), "{name}");
        let short = &bytes[..bytes.len() - 1];
        assert!(open_as(kind, &world.network, short).is_err(), "{name}");
        let long = [&bytes[..], &[0]].concat();
        assert!(open_as(kind, &world.network, &long).is_err(), "{name}");
    }
}

#[test]
fn another_network_or_kind_is_refused() {
    let world = world();
    let other = NetworkId([0xee; 32]);
    let statements = world.statements();
    for (name, kind, bytes) in &statements {
        let result = open_as(kind, &other, bytes);
        assert!(
            matches!(&result, Err(StatementError::Network { got, .. }) if *got == world.network),
            "{name}: {result:?}"
        );
        for (_, other_kind, _) in &statements {
            if other_kind == kind {
                continue;
            }
            let result = open_as(other_kind, &world.network, bytes);
            assert!(
                matches!(&result, Err(StatementError::Kind { got, .. }) if got == kind),
                "{name} as {other_kind}: {result:?}"
            );
        }
    }
}

/// A statement taken apart, to be put together wrongly.
struct Parts {
    kind: String,
    network: Vec<u8>,
    signer: Vec<u8>,
    body: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let mut decoder = minicbor::Decoder::new(bytes);
        assert_eq!(decoder.array().expect("an array"), Some(5));
        let kind = decoder.str().expect("kind").to_owned();
        let mut next = || decoder.bytes().expect("bytes").to_vec();
        Self { kind, network: next(), signer: next(), body: next(), signature: next() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        minicbor::Encoder::new(&mut bytes)
            .array(5)
            .and_then(|encoder| encoder.str(&self.kind))
            .and_then(|encoder| encoder.bytes(&self.network))
            .and_then(|encoder| encoder.bytes(&self.signer))
            .and_then(|encoder| encoder.bytes(&self.body))
            .and_then(|encoder| encoder.bytes(&self.signature))
            .expect("to memory");
        bytes
    }

    /// What is signed, as `statement.rs` documents it, written a second time.
    fn message(&self) -> Vec<u8> {
        let mut message = format!("quorate/v1/{}\n", self.kind).into_bytes();
        minicbor::Encoder::new(&mut message)
            .array(3)
            .and_then(|encoder| encoder.bytes(&self.network))
            .and_then(|encoder| encoder.bytes(&self.signer))
            .and_then(|encoder| encoder.bytes(&self.body))
            .expect("to memory");
        message
    }

    /// Signs what stands here with the key whose id stands here.
    fn resign(&mut self, world: &World) {
        let message = self.message();
        let nodes = [&world.beacon, &world.relay, &world.worker];
        let signature = if self.signer == world.operator.id().0 {
            world.operator.sign_bytes(&message)
        } else {
            let node = nodes.into_iter().find(|node| self.signer == node.id().0);
            node.expect("a signer of this world").sign_bytes(&message)
        };
        self.signature = signature.0.to_vec();
    }
}

#[test]
fn a_signature_is_for_one_kind_and_network() {
    let world = world();
    for (name, kind, bytes) in world.statements() {
        let mut parts = Parts::of(&bytes);
        assert_eq!(parts.bytes(), bytes, "{name}");
        let signed = parts.signature.clone();
        parts.resign(&world);
        assert_eq!(parts.signature, signed, "{name}: the documented message is signed");
        for other in [Commit::KIND, Reveal::KIND] {
            if other == kind {
                continue;
            }
            let parts = Parts { kind: other.to_owned(), ..Parts::of(&bytes) };
            let result = open_as(other, &world.network, &parts.bytes());
            let refused = matches!(result, Err(StatementError::Signature { .. }));
            assert!(refused, "{name} as {other}: {result:?}");
        }
        let other = NetworkId([0xee; 32]);
        parts.network = other.0.to_vec();
        let result = open_as(kind, &other, &parts.bytes());
        let refused = matches!(result, Err(StatementError::Signature { .. }));
        assert!(refused, "{name}: {result:?}");
    }
}

#[test]
fn a_signed_body_that_is_not_deterministic_is_refused() {
    let world = world();
    for (name, kind, bytes) in world.statements() {
        let body = Parts::of(&bytes).body;
        let fields = body[0];
        assert_eq!(fields & 0xf0, 0x80, "{name}: a body is a short array");
        let long_header = [&[0x98, fields & 0x0f], &body[1..]].concat();
        let indefinite = [&[0x9f], &body[1..], &[0xff]].concat();
        let one_more_field = [&[fields + 1], &body[1..], &[0xf6]].concat();
        let trailing = [&body[..], &[0x00]].concat();
        for (what, body) in [
            ("long header", long_header),
            ("indefinite length", indefinite),
            ("one more field", one_more_field),
            ("trailing byte", trailing),
        ] {
            let mut parts = Parts { body, ..Parts::of(&bytes) };
            parts.resign(&world);
            let signature = Signature(parts.signature.clone().try_into().expect("64 bytes"));
            let message = parts.message();
            let signer = wire::NodeId(parts.signer.clone().try_into().expect("32 bytes"));
            assert!(verify_bytes(&signer, &message, &signature), "{name}: signed");
            let result = open_as(kind, &world.network, &parts.bytes());
            let expected = StatementError::Encoding(EncodingError::NotDeterministic { what: kind });
            assert_eq!(result, Err(expected), "{name}: {what}");
        }
    }
}

#[test]
fn an_envelope_that_is_not_deterministic_is_refused() {
    let world = world();
    for (name, kind, bytes) in world.statements() {
        let long_header = [&[0x98, 0x05], &bytes[1..]].concat();
        let one_more_field = [&[0x86], &bytes[1..], &[0xf6]].concat();
        for changed in [long_header, one_more_field] {
            let result = open_as(kind, &world.network, &changed);
            let refused = matches!(result, Err(StatementError::Encoding(_)));
            assert!(refused, "{name}: {result:?}");
            assert!(Envelope::from_bytes(&changed).is_err(), "{name}");
        }
    }
}
