//! The log: appends, proofs and tiles against a tree in memory.

use store::{MAX_ENTRY_BYTES, Store, StoreError};
use wire::{
    NetworkId, NodeKey, Signed, StatementHash,
    compute::Received,
    merkle::{self, InclusionProof, MemoryTree, StoredHashes as _, TreeHead, leaf_hash},
    tile::{Tile, TileKind},
};

use crate::fixture::{Blocking as _, Fixture, NETWORK, received};

fn append_all(store: &Store, numbers: std::ops::Range<u64>) -> MemoryTree {
    let mut tree =
        MemoryTree::from_leaf_hashes((0..numbers.start).map(|n| leaf_hash(&received(n))));
    let entries: Vec<Vec<u8>> = numbers.map(received).collect();
    entries.iter().for_each(|bytes| tree.push(leaf_hash(bytes)));
    store.put(move |transaction| {
        for bytes in &entries {
            transaction.append(bytes, "received")?;
        }
        Ok(())
    });
    tree
}

#[test]
fn the_same_statement_stands_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert_eq!(store.see(|reader| reader.log_head()), TreeHead::EMPTY);
    for (number, index) in [(5, 0), (6, 1), (5, 0), (7, 2), (6, 1)] {
        let at = store.put(move |transaction| transaction.append(&received(number), "received"));
        assert_eq!(at, index);
    }
    let hash = StatementHash(leaf_hash(&received(6)));
    assert_eq!(store.see(|reader| reader.index_of(&hash)), Some(1));
    assert_eq!(store.see(|reader| reader.index_of(&StatementHash([0; 32]))), None);
    let entry = store.see(|reader| reader.entry(1)).expect("there");
    assert_eq!((entry.index, entry.hash, &*entry.kind), (1, hash, "received"));
    assert_eq!(entry.bytes, received(6));
    assert_eq!(store.see(|reader| reader.entry(3)), None);
    let far = store.read_blocking(|reader| reader.entry(u64::MAX));
    assert!(matches!(far, Err(StoreError::OutOfRange { .. })));
}

#[test]
fn only_this_nodes_statements_that_fit_are_taken() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let append = |bytes: Vec<u8>, kind: &'static str| {
        store.write_blocking(move |transaction| transaction.append(&bytes, kind))
    };
    let body = Signed::<Received>::open(&NETWORK, &received(1)).expect("ours").body;
    let stranger = NodeKey::from_secret([66; 32]);
    let theirs = Signed::sign(NETWORK, &stranger, body.clone()).bytes().to_vec();
    let refused = append(theirs, "received");
    assert!(matches!(refused, Err(StoreError::NotOurs { what: "signer", .. })));
    let key = crate::fixture::node_key();
    let elsewhere = Signed::sign(NetworkId([8; 32]), &key, body).bytes().to_vec();
    let refused = append(elsewhere, "received");
    assert!(matches!(refused, Err(StoreError::NotOurs { what: "network", .. })));
    let refused = append(received(1), "draw");
    assert!(matches!(refused, Err(StoreError::NotOurs { what: "kind", .. })));
    assert!(matches!(append(b"junk".to_vec(), "received"), Err(StoreError::Statement(_))));

    // The longest entry is taken, and one byte more is not.
    let of_length = |total: usize| {
        let long = |message| {
            let failure = wire::compute::Fault { kind: "threw".to_owned(), message };
            let outcome = wire::compute::Outcome::Fault(failure);
            let execution = wire::compute::Execution { engine: String::new(), code: None, outcome };
            crate::fixture::sign(wire::compute::Reveal {
                request: wire::RequestId([0; 32]),
                attempt: wire::Attempt(0),
                commit: StatementHash([0; 32]),
                salt: wire::Salt([0; 32]),
                execution,
            })
        };
        let frame = long("x".repeat(60_000)).len() - 60_000;
        long("x".repeat(total - frame))
    };
    let longest = of_length(MAX_ENTRY_BYTES);
    assert_eq!(longest.len(), MAX_ENTRY_BYTES);
    assert_eq!(append(longest.clone(), "reveal").expect("fits"), 0);
    let refused = append(vec![0; MAX_ENTRY_BYTES + 1], "reveal").expect_err("too long");
    assert!(matches!(refused, StoreError::EntryTooLong { got: 65_536 }), "{refused}");
    assert_eq!(store.see(|reader| reader.log_size()), 1);
    let tile = Tile { kind: TileKind::Entries, index: 0, width: 1 };
    let bundle = store.see(|reader| reader.tile(tile, 1)).expect("there");
    assert_eq!((&bundle[..2], &bundle[2..]), (&[0xff, 0xff][..], &longest[..]));
}

#[test]
fn proofs_lead_to_the_heads() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let tree = append_all(&store, 0..21);
    let head = store.see(|reader| reader.log_head());
    assert_eq!(head, tree.head());
    store.see(|reader| {
        for size in 0..=21 {
            let older = reader.log_head_at(size)?.expect("within the log");
            let proof = reader.consistency(size, 21)?.expect("within the log");
            assert_eq!(merkle::verify_consistency(&older, &head, &proof), Ok(()));
            for index in 0..size {
                let proof = reader.inclusion(index, size)?.expect("within the tree");
                let leaf = leaf_hash(&received(index));
                assert_eq!(merkle::verify_inclusion(&older, &proof, &leaf), Ok(()));
                let moved = InclusionProof { index: index ^ 1, ..proof };
                assert!(size == 1 || merkle::verify_inclusion(&older, &moved, &leaf).is_err());
            }
        }
        for (index, size) in [(21, 21), (0, 0), (0, 22), (u64::MAX, u64::MAX)] {
            assert_eq!(reader.inclusion(index, size)?, None);
        }
        for (older, newer) in [(3, 2), (0, 22), (22, 22), (0, u64::MAX)] {
            assert_eq!(reader.consistency(older, newer)?, None);
        }
        assert_eq!(reader.log_head_at(22)?, None);
        Ok(())
    });
    // Inside of a transaction the head is that with its own appends.
    let within = store.put(|transaction| {
        transaction.append(&received(21), "received")?;
        let proof = transaction.inclusion(21, 22)?.expect("just appended");
        Ok((transaction.log_head()?, proof))
    });
    let leaf = leaf_hash(&received(21));
    assert_eq!(merkle::verify_inclusion(&within.0, &within.1, &leaf), Ok(()));
    assert_eq!(store.see(|reader| reader.log_head()), within.0);
}

#[test]
fn tiles_hold_the_trees_hashes_and_the_entries() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let size = 2 * 256 + 70;
    let tree = append_all(&store, 0..size);
    let hashes = |level: u8, numbers: std::ops::Range<u64>| {
        let indexes: Vec<u64> = numbers.map(|n| merkle::stored_index(level, n)).collect();
        let Ok(hashes) = tree.read(&indexes);
        hashes.concat()
    };
    let tile = |kind, index, width, size| {
        store.see(|reader| reader.tile(Tile { kind, index, width }, size))
    };
    let level = |level| TileKind::Hashes { level };
    assert_eq!(tile(level(0), 0, 256, size), Some(hashes(0, 0..256)));
    assert_eq!(tile(level(0), 1, 256, 512), Some(hashes(0, 256..512)));
    assert_eq!(tile(level(0), 2, 70, size), Some(hashes(0, 512..582)));
    assert_eq!(tile(level(0), 2, 9, size), Some(hashes(0, 512..521)));
    assert_eq!(tile(level(1), 0, 2, size), Some(hashes(8, 0..2)));
    assert_eq!(tile(level(1), 0, 1, 511), Some(hashes(8, 0..1)));
    let mut bundle = Vec::new();
    for bytes in (512..582).map(received) {
        bundle.extend_from_slice(&u16::try_from(bytes.len()).expect("short").to_be_bytes());
        bundle.extend_from_slice(&bytes);
    }
    assert_eq!(tile(TileKind::Entries, 2, 70, size), Some(bundle));
    let absent = [
        (level(0), 2, 71, size),
        (level(0), 1, 256, 511),
        (level(0), 2, 70, size + 1),
        (level(0), 3, 1, size),
        (level(0), 0, 0, size),
        (level(0), 0, 257, size),
        (level(0), u64::MAX, 1, size),
        (level(1), 0, 2, 511),
        (level(1), 0, 3, size),
        (level(2), 0, 1, size),
        (level(255), 0, 1, size),
        (TileKind::Entries, 2, 71, size),
        (TileKind::Entries, 1, 256, 511),
    ];
    for (kind, index, width, size) in absent {
        assert_eq!(tile(kind, index, width, size), None, "{kind:?} {index} {width} {size}");
    }
}
