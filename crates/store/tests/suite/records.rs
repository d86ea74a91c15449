//! Checkpoints, rounds, code, settings, admissions, small values.

use store::{MAX_META_BYTES, StoreError};
use wire::{
    CodeHash, Millis, NodeId, RootHash, Round, checkpoint::SignedCheckpoint, merkle::TreeHead,
};

use crate::fixture::{Blocking as _, Fixture, NETWORK, node_key, received, round};

#[test]
fn the_own_checkpoint_is_of_this_tree_and_never_goes_back() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert_eq!(store.see(|reader| reader.latest_checkpoint()), None);
    let heads: Vec<TreeHead> = (0..3)
        .map(|number| {
            store.put(move |transaction| {
                transaction.append(&received(number), "received")?;
                transaction.log_head()
            })
        })
        .collect();
    let put = |head: TreeHead, note: String| {
        store.write_blocking(move |transaction| transaction.put_checkpoint(&head, &note))
    };
    let note = |head| SignedCheckpoint::sign(&NETWORK, &node_key(), head).note().to_owned();
    put(heads[1], note(heads[1])).expect("stored");
    put(heads[1], format!("{}cosigned", note(heads[1]))).expect("the same size again");
    put(heads[2], note(heads[2])).expect("stored");
    let stale = put(heads[1], note(heads[1]));
    assert!(matches!(stale, Err(StoreError::Stale { stored: 3, got: 2, .. })));
    for wrong in
        [TreeHead { root: RootHash([1; 32]), ..heads[2] }, TreeHead { size: 4, ..heads[2] }]
    {
        assert!(matches!(put(wrong, note(wrong)), Err(StoreError::Mismatch { .. })));
    }
    drop(store);
    let stored = fixture.open().see(|reader| reader.latest_checkpoint()).expect("there");
    assert_eq!((stored.head, stored.note), (heads[2], note(heads[2])));
}

#[test]
fn a_witnessed_head_is_replaced_only_by_who_knew_it() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let log = NodeId([5; 32]);
    let head = |size, root| TreeHead { size, root: RootHash([root; 32]) };
    let put = |previous: TreeHead, head: TreeHead, time| {
        store.write_blocking(move |transaction| {
            transaction.put_witnessed(&log, &previous, &head, "note", Millis(time))
        })
    };
    assert_eq!(store.see(|reader| reader.witnessed(&log)), None);
    put(TreeHead::EMPTY, head(4, 1), 1).expect("first");
    let stale = put(TreeHead::EMPTY, head(5, 2), 2);
    let expected = TreeHead::EMPTY;
    assert!(matches!(stale, Err(StoreError::StaleWitness { node, stored, expected: e })
        if node == log && stored == head(4, 1) && e == expected));
    assert!(put(head(4, 9), head(5, 2), 2).is_err());
    assert!(matches!(put(head(4, 1), head(3, 1), 2), Err(StoreError::Stale { .. })));
    assert!(matches!(put(head(4, 1), head(4, 2), 2), Err(StoreError::Conflict { .. })));
    put(head(4, 1), head(4, 1), 3).expect("the same again, later");
    put(head(4, 1), head(9, 3), 4).expect("larger");
    let stored = store.see(|reader| reader.witnessed(&log)).expect("there");
    assert_eq!((stored.head, &*stored.note, stored.time), (head(9, 3), "note", Millis(4)));
    assert_eq!(store.see(|reader| reader.witnessed(&NodeId([6; 32]))), None);
}

#[test]
fn a_round_has_one_statement_for_ever() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let put = |number: u64, seed: u8| {
        store.write_blocking(move |transaction| {
            transaction.put_round(Round(number), &round(Round(number), seed), b"heads")
        })
    };
    assert_eq!(store.see(|reader| reader.latest_round()), None);
    for number in [3, 1, 2, 4, 5] {
        put(number, 1).expect("new");
        put(number, 1).expect("the same again");
        let conflict = put(number, 2).expect_err("another");
        assert!(matches!(&conflict, StoreError::Conflict { .. }), "{conflict}");
        assert!(conflict.to_string().contains(&format!("round {number}")), "{conflict}");
    }
    let stored = store.see(|reader| reader.round(Round(3))).expect("there");
    assert_eq!(stored.statement, round(Round(3), 1));
    assert_eq!(&*stored.heads, b"heads");
    let numbers = |first, limit| {
        let rounds = store.see(|reader| reader.rounds_from(Round(first), limit));
        rounds.iter().map(|round| round.round.0).collect::<Vec<_>>()
    };
    assert_eq!((numbers(2, 2), numbers(4, 9), numbers(6, 9)), (vec![2, 3], vec![4, 5], vec![]));
    assert_eq!(store.put(|transaction| transaction.prune_rounds(9)), 0);
    assert_eq!(store.put(|transaction| transaction.prune_rounds(2)), 3);
    assert_eq!(numbers(0, 9), [4, 5]);
    // What was pruned cannot come back in another form.
    assert!(matches!(put(3, 2), Err(StoreError::Stale { stored: 3, got: 3, .. })));
    assert_eq!(store.put(|transaction| transaction.prune_rounds(0)), 1);
    assert_eq!(store.see(|reader| reader.latest_round()).expect("kept").round, Round(5));
    assert!(matches!(put(u64::MAX, 1), Err(StoreError::OutOfRange { .. })));
}

#[test]
fn code_has_its_hash_and_stays_within_the_limit() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let put = |hash: CodeHash, bytes: Vec<u8>, time| {
        store.write_blocking(move |transaction| {
            transaction.put_code(&hash, &bytes, Millis(time), 25)
        })
    };
    let scripts: Vec<Vec<u8>> = (0..3).map(|number| vec![b'a' + number; 10]).collect();
    let hashes: Vec<CodeHash> = scripts.iter().map(|script| CodeHash::of(script)).collect();
    assert!(put(hashes[0], scripts[0].clone(), 1).expect("new"));
    assert!(!put(hashes[0], scripts[0].clone(), 2).expect("known"));
    assert!(put(hashes[1], scripts[1].clone(), 3).expect("new"));
    let full = put(hashes[2], scripts[2].clone(), 4);
    assert!(matches!(full, Err(StoreError::CodeFull { limit: 25, used: 20, got: 10 })));
    assert!(matches!(put(hashes[2], scripts[1].clone(), 4), Err(StoreError::Mismatch { .. })));
    let long = vec![0; wire::compute::MAX_CODE_BYTES + 1];
    let refused = put(CodeHash::of(&long), long, 4);
    assert!(matches!(refused, Err(StoreError::CodeTooLong { .. })));
    assert_eq!(store.see(|reader| reader.code(&hashes[1])), Some(scripts[1].clone()));
    assert_eq!(store.see(|reader| reader.code(&hashes[2])), None);
    assert_eq!(store.see(|reader| reader.code_bytes()), 20);
    let all = store.see(|reader| reader.list_code(None, 9));
    let mut sorted = hashes[..2].to_vec();
    sorted.sort_unstable();
    assert_eq!(all.iter().map(|code| code.hash).collect::<Vec<_>>(), sorted);
    assert!(all.iter().all(|code| code.size == 10));
    let first = all.iter().find(|code| code.hash == hashes[0]).expect("listed");
    assert_eq!(first.added, Millis(1));
    let rest = store.see(|reader| reader.list_code(Some(&sorted[0]), 9));
    assert_eq!(rest, all[1..]);
    assert_eq!(store.see(|reader| reader.list_code(None, 1)), all[..1]);
}

#[test]
fn settings_only_go_forward() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let put = |version, bytes: &'static [u8]| {
        store.write_blocking(move |transaction| transaction.put_settings(version, bytes))
    };
    assert_eq!(store.see(|reader| reader.settings()), None);
    put(2, b"two").expect("first");
    for version in [1, 2] {
        let stale = put(version, b"other").expect_err("stale");
        assert!(matches!(stale, StoreError::Stale { stored: 2, got, .. } if got == version));
        assert!(
            stale.to_string().contains(&format!("version {version} is not above the stored 2"))
        );
    }
    put(5, b"five").expect("higher");
    let stored = store.see(|reader| reader.settings()).expect("there");
    assert_eq!((stored.version, &*stored.bytes), (5, &b"five"[..]));
}

#[test]
fn admissions_only_go_forward() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let put = |node: u8, generation, bytes: &'static [u8]| {
        store.write_blocking(move |transaction| {
            transaction.put_admission(&NodeId([node; 32]), generation, bytes)
        })
    };
    assert!(put(2, 1, b"one").expect("new"));
    assert!(!put(2, 1, b"one").expect("the same again"));
    assert!(matches!(put(2, 1, b"other"), Err(StoreError::Conflict { .. })));
    assert!(put(2, 3, b"three").expect("higher"));
    assert!(matches!(put(2, 2, b"two"), Err(StoreError::Stale { stored: 3, got: 2, .. })));
    assert!(put(1, 1, b"first").expect("another node"));
    let all = store.see(|reader| reader.admissions());
    let listed: Vec<_> = all.iter().map(|a| (a.node.0[0], a.generation, &*a.bytes)).collect();
    assert_eq!(listed, [(1, 1, &b"first"[..]), (2, 3, &b"three"[..])]);
    assert_eq!(store.see(|reader| reader.admission(&NodeId([1; 32]))).as_ref(), all.first());
    assert_eq!(store.see(|reader| reader.admission(&NodeId([3; 32]))), None);
}

#[test]
fn small_values_are_small_and_not_the_stores_own() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let put = |name, length| {
        store.write_blocking(move |transaction| transaction.put_meta(name, &vec![1; length]))
    };
    assert_eq!(store.see(|reader| reader.meta("a")), None);
    put("a", 3).expect("new");
    put("a", MAX_META_BYTES).expect("replaced");
    assert!(matches!(put("a", MAX_META_BYTES + 1), Err(StoreError::MetaTooLong { name: "a", .. })));
    assert_eq!(store.see(|reader| reader.meta("a")).map(|value| value.len()), Some(MAX_META_BYTES));
    assert!(matches!(put("identity/node", 32), Err(StoreError::Panicked(_))));
    drop(store);
    fixture.open();
}

#[test]
fn rosters_and_evidence_are_kept_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let root = wire::RootHash([1; 32]);
    for bytes in [b"first".as_slice(), b"second"] {
        store
            .write_blocking(move |transaction| transaction.put_roster(&root, bytes))
            .expect("stored");
    }
    let kept = store.see(|reader| reader.roster(&root));
    assert_eq!(kept.as_deref(), Some(b"first".as_slice()));
    let put = |number: u8| {
        let new = move |transaction: &mut store::Transaction<'_>| {
            transaction.put_evidence(&store::NewEvidence {
                id: wire::StatementHash([number; 32]),
                accused: NodeId([9; 32]),
                bytes: &[number],
                found: Millis(u64::from(number)),
            })
        };
        store.write_blocking(new).expect("stored")
    };
    assert!(put(1) && put(2) && put(3) && !put(2));
    let first = store.see(|reader| reader.list_evidence(None, 2));
    let ids: Vec<u8> = first.iter().map(|evidence| evidence.id.0[0]).collect();
    assert_eq!(ids, [3, 2]);
    let rest = store.see(|reader| reader.list_evidence(Some(first[1].cursor), 2));
    assert_eq!(rest.iter().map(|evidence| evidence.id.0[0]).collect::<Vec<_>>(), [1]);
    let file = store.see(|reader| reader.evidence(&wire::StatementHash([2; 32])));
    assert_eq!(file, Some(vec![2]));
}

#[test]
fn a_kept_round_is_not_pruned() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let gone = store.write_blocking(|transaction| {
        for number in 1..=10 {
            transaction.put_round(Round(number), &round(Round(number), 1), b"")?;
        }
        transaction.keep_round(Round(3))?;
        transaction.keep_round(Round(3))?;
        transaction.prune_rounds(2)
    });
    assert_eq!(gone.expect("pruned"), 7);
    let rounds = store.see(|reader| reader.rounds_from(Round(0), 100));
    assert_eq!(rounds.iter().map(|round| round.round.0).collect::<Vec<_>>(), [3, 9, 10]);
}
