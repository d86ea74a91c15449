//! `fsck` finds each kind of damage and nothing in a whole database.

use store::{NewRequest, NewWork, RequestState};
use wire::{
    Attempt, CodeHash, Millis, NodeId, NodeKey, OperatorKey, Round, Signed,
    checkpoint::SignedCheckpoint,
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Admission, Role, Settings},
};

use crate::fixture::{
    Blocking as _, Fixture, NETWORK, commit, draw, failure, node_key, received, request_number,
    reveal, round,
};

/// A database with a row in every table.
fn full() -> Fixture {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.put(|transaction| {
        for number in 0..10 {
            transaction.append(&received(number), "received")?;
        }
        let head = transaction.log_head()?;
        let note = SignedCheckpoint::sign(&NETWORK, &node_key(), head);
        transaction.put_checkpoint(&head, note.note())?;
        transaction.append(&received(10), "received")?;
        let other = NodeKey::from_secret([9; 32]);
        let theirs = SignedCheckpoint::sign(&NETWORK, &other, head);
        let (id, empty) = (other.id(), TreeHead::EMPTY);
        transaction.put_witnessed(&id, &empty, &head, theirs.note(), Millis(1))?;
        transaction.put_round(Round(1), &round(Round(1), 1), b"")?;
        let (id, bytes) = request_number(3);
        transaction.put_request(&NewRequest {
            id,
            bytes: &bytes,
            received: Millis(1),
            log_index: 3,
            idempotency_key: None,
        })?;
        for worker in [50, 60] {
            transaction.add_request_statement(&id, Attempt(0), &draw(id, worker))?;
        }
        let last = failure(id, 1);
        transaction.finish_request(&id, RequestState::Failed, &last, Millis(2), 1)?;
        let attempt = Attempt(0);
        transaction.put_work(&NewWork {
            request: id,
            attempt,
            relay: NodeId([7; 32]),
            deadline: Millis(9),
            created: Millis(1),
        })?;
        let (commit, reveal) = (commit(id, attempt, 1), reveal(id, attempt, 1));
        transaction.put_work_commit(&id, attempt, &commit, &reveal)?;
        transaction.put_code(&CodeHash::of(b"code"), b"code", Millis(1), 100)?;
        let operator = OperatorKey::from_secret([2; 32]);
        let settings =
            Signed::sign(NETWORK, &operator, Settings { version: 1, ..Settings::default() });
        transaction.put_settings(1, settings.bytes())?;
        let admission = Admission {
            node: other.id(),
            vrf: other.vrf_public(),
            sealing: other.sealing_public(),
            name: "other".to_owned(),
            domain: "localhost:1".to_owned(),
            roles: [Role::Worker].into_iter().collect(),
            starts: Millis(0),
            expires: Millis(1),
            generation: 1,
        };
        let admission = Signed::sign(NETWORK, &operator, admission);
        transaction.put_admission(&other.id(), 1, admission.bytes())?;
        Ok(())
    });
    fixture
}

/// The damage, and a part of the one finding, or of the first of several.
#[rustfmt::skip]
const DAMAGE: &[(&str, &str)] = &[
    ("UPDATE log_entry SET bytes = CAST(substr(bytes, 1, 90) || x'ff' || substr(bytes, 92) AS BLOB) WHERE idx = 4",
     "log entry 4: its bytes do not have its hash"),
    ("UPDATE log_entry SET hash = zeroblob(32) WHERE idx = 4", "log entry 4: its bytes do not have its hash"),
    ("UPDATE log_entry SET kind = 'draw' WHERE idx = 4", "log entry 4: expected kind draw"),
    ("DELETE FROM log_entry WHERE idx = 4", "log entry 4 is missing"),
    ("DELETE FROM log_entry WHERE idx = 10", "has no place in the tree"),
    ("UPDATE log_hash SET hash = zeroblob(32) WHERE idx = 2", "hash 2 of the log is not what the entries give"),
    ("DELETE FROM log_hash WHERE idx = 2", "hash 2 of the log is missing"),
    ("DELETE FROM log_hash WHERE idx = 18", "hash 18 of the log is missing"),
    ("UPDATE checkpoint SET size = 9", "is of another head than its row"),
    ("UPDATE checkpoint SET note = replace(note, char(10) || '10' || char(10), char(10) || '11' || char(10))", "do not verify"),
    ("UPDATE witnessed SET root = zeroblob(32)", "is of another head than its row"),
    ("UPDATE round SET statement = zeroblob(9)", "round 1: not valid CBOR"),
    ("UPDATE round SET round = 2", "round 2: it states another number"),
    ("UPDATE request SET bytes = zeroblob(9)", "its bytes are not the request of that id"),
    ("UPDATE request SET final = bytes", "the end of request"),
    ("UPDATE request SET log_index = 77", "names a row of log_entry that is missing"),
    ("UPDATE request_statement SET hash = zeroblob(32) WHERE sequence = 1", "its bytes do not have its hash"),
    ("UPDATE request_statement SET kind = 'commit' WHERE sequence = 1", "another kind or signer than its row"),
    ("DELETE FROM request_statement WHERE sequence = 0", "statement 0 is missing before it"),
    ("DELETE FROM request", "names a row of request that is missing"),
    ("UPDATE work SET commit_statement = reveal_statement", "its commit: expected kind commit"),
    ("UPDATE code SET bytes = zeroblob(4)", "its bytes do not have its hash and size"),
    ("UPDATE settings SET version = 7", "settings 7: it states another number"),
    ("UPDATE admission SET bytes = zeroblob(9)", "admission 1: not valid CBOR"),
];

#[test]
fn a_whole_database_has_no_findings_also_while_it_is_open() {
    let fixture = full();
    let store = fixture.open();
    let report = store::fsck(fixture.path()).expect("fsck");
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.entries, report.head), (11, store.see(|reader| reader.log_head())));
}

#[test]
fn every_damage_is_found() {
    for (damage, expected) in DAMAGE {
        let fixture = full();
        fixture.sql(&format!("PRAGMA foreign_keys = OFF; {damage};"));
        let findings = fixture.findings();
        assert!(
            findings.iter().any(|finding| finding.contains(expected)),
            "{damage}: {findings:?}"
        );
        let alone = damage.contains("bytes = CAST") || damage.contains("log_hash");
        assert!(!alone || findings.len() <= 2, "{damage}: {findings:?}");
    }
}

#[test]
fn a_rewritten_log_is_found_by_its_checkpoint() {
    let (fixture, other) = (full(), Fixture::new());
    // A log that is whole in itself, and not the one that was signed.
    let store = other.open();
    store.put(|transaction| {
        for number in 100..111 {
            transaction.append(&received(number), "received")?;
        }
        Ok(())
    });
    drop(store);
    assert_eq!(other.findings(), [""; 0]);
    fixture.sql(&format!(
        "PRAGMA foreign_keys = OFF; ATTACH '{}' AS other;
         DELETE FROM log_entry; INSERT INTO log_entry SELECT * FROM other.log_entry;
         DELETE FROM log_hash; INSERT INTO log_hash SELECT * FROM other.log_hash;",
        other.path().display()
    ));
    let findings = fixture.findings();
    assert_eq!(findings, ["the checkpoint of 10 entries has another root than the log"]);
}

#[test]
fn a_flipped_byte_in_the_file_is_found() {
    let fixture = full();
    let mut file = std::fs::read(fixture.path()).expect("file");
    let entry = received(4);
    let at = file.windows(entry.len()).position(|window| window == entry).expect("stored plainly");
    file[at + 90] ^= 1;
    std::fs::write(fixture.path(), file).expect("file");
    let findings = fixture.findings();
    assert!(findings.iter().any(|finding| finding.contains("log entry 4:")), "{findings:?}");
}
