//! Work on the worker's side: one commit per attempt, whatever happens.

use store::{NewWork, Store, StoreError, Work};
use wire::{Attempt, Millis, NodeId, RequestId};

use crate::fixture::{Blocking as _, Fixture, commit, request_number, reveal};

fn take(store: &Store, number: u64, attempt: u32, created: u64) -> Work {
    store.put(move |transaction| {
        let (request, _) = request_number(number);
        transaction.put_work(&NewWork {
            request,
            attempt: Attempt(attempt),
            relay: NodeId([7; 32]),
            deadline: Millis(9),
            created: Millis(created),
        })
    })
}

fn put_commit(store: &Store, id: RequestId, salt: u8) -> Result<Work, StoreError> {
    store.write_blocking(move |transaction| {
        let attempt = Attempt(0);
        let (commit, reveal) = (commit(id, attempt, salt), reveal(id, attempt, salt));
        transaction.put_work_commit(&id, attempt, &commit, &reveal)
    })
}

#[test]
fn the_first_commit_stands() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let taken = take(&store, 1, 0, 5);
    let id = taken.request;
    assert_eq!((taken.created, taken.done, &taken.commit_and_reveal), (Millis(5), false, &None));
    assert_eq!((taken.relay, taken.deadline), (NodeId([7; 32]), Millis(9)));
    assert_eq!(take(&store, 1, 0, 6), taken, "the older one stands");
    let first = put_commit(&store, id, 1).expect("stored");
    let expected = (commit(id, Attempt(0), 1), reveal(id, Attempt(0), 1));
    assert_eq!(first.commit_and_reveal, Some(expected));
    assert_eq!(put_commit(&store, id, 2).expect("the stored one"), first);
    drop(store);
    let store = fixture.open();
    assert_eq!(put_commit(&store, id, 3).expect("the stored one"), first);
    assert_eq!(store.see(|reader| reader.work(&id, Attempt(0))), Some(first));
    assert_eq!(store.see(|reader| reader.work(&id, Attempt(1))), None);
    let unknown = put_commit(&store, request_number(9).0, 1);
    assert!(matches!(unknown, Err(StoreError::NotFound { what: "work", .. })));
}

#[test]
fn unfinished_work_comes_back_and_finished_work_can_go() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let id = |number| request_number(number).0;
    for (number, attempt, created) in [(1, 0, 30), (1, 1, 10), (2, 0, 20)] {
        take(&store, number, attempt, created);
    }
    put_commit(&store, id(2), 1).expect("stored");
    drop(store);
    let store = fixture.open();
    let unfinished = || {
        let work = store.see(|reader| reader.unfinished_work());
        work.iter().map(|work| (work.request, work.attempt.0)).collect::<Vec<_>>()
    };
    assert_eq!(unfinished(), [(id(1), 1), (id(2), 0), (id(1), 0)]);
    let finish = |number, attempt| {
        let id = id(number);
        store.write_blocking(move |transaction| transaction.finish_work(&id, Attempt(attempt)))
    };
    for (number, attempt) in [(2, 0), (1, 0), (1, 0)] {
        finish(number, attempt).expect("finished, also twice");
    }
    assert!(matches!(finish(9, 0), Err(StoreError::NotFound { .. })));
    assert_eq!(unfinished(), [(id(1), 1)]);
    // Only finished work goes, and only what is older.
    assert_eq!(store.put(|transaction| transaction.prune_work(Millis(30))), 1);
    assert_eq!(store.see(|reader| reader.work(&id(2), Attempt(0))), None);
    assert!(store.see(|reader| reader.work(&id(1), Attempt(0))).expect("kept").done);
    assert_eq!(unfinished(), [(id(1), 1)]);
}
