//! Requests on the relay's side.

use store::{
    NewRequest, PutRequest, RequestCounts, RequestState, Store, StoreError, StoredRequest,
};
use wire::{Attempt, Millis, NodeKey, RequestId, key::StatementSigner as _};

use crate::fixture::{Blocking as _, Fixture, draw, failure, received, request_number};

/// Takes a request as a relay does: one transaction for the statement and the row.
fn take(store: &Store, number: u64, key: Option<&'static str>) -> Result<PutRequest, StoreError> {
    store.write_blocking(move |transaction| {
        let (id, bytes) = request_number(number);
        let log_index = transaction.append(&received(number), "received")?;
        transaction.put_request(&NewRequest {
            id,
            bytes: &bytes,
            received: Millis(number),
            log_index,
            idempotency_key: key,
        })
    })
}

fn take_new(store: &Store, number: u64, key: Option<&'static str>) -> StoredRequest {
    match take(store, number, key).expect("stored") {
        PutRequest::New(stored) => stored,
        PutRequest::Known(stored) => panic!("known: {stored:?}"),
    }
}

fn fail(store: &Store, id: RequestId, attempts: u32) -> Result<(), StoreError> {
    store.write_blocking(move |transaction| {
        let last = failure(id, attempts);
        transaction.finish_request(&id, RequestState::Failed, &last, Millis(99), attempts)
    })
}

#[test]
fn a_request_is_taken_once_and_a_key_is_its_for_ever() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let first = take_new(&store, 1, Some("key"));
    assert_eq!((first.id, &first.bytes), (request_number(1).0, &request_number(1).1));
    assert_eq!((first.received, first.log_index), (Millis(1), 0));
    assert_eq!((first.state, first.attempts, first.finished), (RequestState::Open, 0, None));
    for key in [Some("key"), Some("another key"), None] {
        assert_eq!(take(&store, 1, key).expect("known"), PutRequest::Known(first.clone()));
    }
    let conflict = take(&store, 2, Some("key")).expect_err("the key is taken");
    assert!(matches!(conflict, StoreError::Conflict { what: "request", .. }), "{conflict}");
    // The refused request left no statement either.
    assert_eq!(store.see(|reader| reader.log_size()), 1);
    let second = take_new(&store, 2, None);
    assert_eq!(store.see(|reader| reader.request(&second.id)), Some(second.clone()));
    assert_eq!(store.see(|reader| reader.request_by_key("key")), Some(first));
    assert_eq!(store.see(|reader| reader.request_by_key("another key")), None);
    let wrong = store.write_blocking(move |transaction| {
        let bytes = request_number(4).1;
        let (id, received, log_index) = (second.id, Millis(1), 0);
        transaction.put_request(&NewRequest {
            id,
            bytes: &bytes,
            received,
            log_index,
            idempotency_key: None,
        })
    });
    assert!(matches!(wrong, Err(StoreError::Mismatch { .. })));
}

#[test]
fn a_request_names_its_statement_in_the_log() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (id, bytes) = request_number(1);
    let dangling = store.write_blocking(move |transaction| {
        let (received, idempotency_key) = (Millis(1), None);
        transaction.put_request(&NewRequest {
            id,
            bytes: &bytes,
            received,
            log_index: 5,
            idempotency_key,
        })
    });
    assert!(matches!(dangling, Err(StoreError::Sqlite(_))));
    assert_eq!(store.see(|reader| reader.request(&id)), None);
}

#[test]
fn statements_keep_their_order_each_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let id = take_new(&store, 1, None).id;
    let other = take_new(&store, 2, None).id;
    let add = |request: RequestId, worker: u8| {
        store.write_blocking(move |transaction| {
            transaction.add_request_statement(&request, Attempt(3), &draw(id, worker))
        })
    };
    for (worker, sequence) in [(50, 0), (40, 1), (50, 0), (60, 2), (40, 1)] {
        assert_eq!(add(id, worker).expect("stored"), sequence);
    }
    assert_eq!(add(other, 50).expect("the same about another request"), 0);
    let unknown = add(request_number(9).0, 50);
    assert!(matches!(unknown, Err(StoreError::NotFound { what: "request", .. })));
    let junk = store.write_blocking(move |transaction| {
        transaction.add_request_statement(&id, Attempt(0), b"junk")
    });
    assert!(matches!(junk, Err(StoreError::Statement(_))));
    let stored = store.see(|reader| reader.request_statements(&id));
    assert_eq!(stored.len(), 3);
    for ((sequence, worker), statement) in (0..).zip([50, 40, 60]).zip(&stored) {
        assert_eq!((statement.sequence, statement.attempt), (sequence, Attempt(3)));
        assert_eq!(statement.signer, NodeKey::from_secret([worker; 32]).id());
        assert_eq!((&*statement.kind, &statement.bytes), ("draw", &draw(id, worker)));
        assert_eq!(statement.hash.0, wire::merkle::leaf_hash(&statement.bytes));
    }
}

#[test]
fn a_request_has_one_end() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let id = take_new(&store, 1, None).id;
    fail(&store, id, 2).expect("ended");
    fail(&store, id, 2).expect("the same again");
    assert!(matches!(fail(&store, id, 3), Err(StoreError::Conflict { what: "end", .. })));
    let unknown = fail(&store, request_number(9).0, 1);
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    let wrong_kind = store.write_blocking(move |transaction| {
        let last = failure(id, 2);
        transaction.finish_request(&id, RequestState::Agreed, &last, Millis(99), 2)
    });
    assert!(matches!(wrong_kind, Err(StoreError::NotOurs { what: "kind", .. })));
    let stored = store.see(|reader| reader.request(&id)).expect("there");
    assert_eq!((stored.state, stored.attempts), (RequestState::Failed, 2));
    assert_eq!((stored.finished, stored.final_statement), (Some(Millis(99)), Some(failure(id, 2))));
}

#[test]
fn open_requests_come_back_with_their_statements() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let ids: Vec<RequestId> = (0..4).map(|number| take_new(&store, number, None).id).collect();
    for (request, worker) in [(3, 50), (1, 50), (2, 60), (3, 40)] {
        let id = ids[request];
        store.put(move |transaction| {
            transaction.add_request_statement(&id, Attempt(0), &draw(id, worker))
        });
    }
    fail(&store, ids[1], 1).expect("ended");
    drop(store);
    let store = fixture.open();
    let open = store.see(|reader| reader.open_requests());
    let seen: Vec<_> = open.iter().map(|open| (open.request.id, open.statements.len())).collect();
    assert_eq!(seen, [(ids[0], 0), (ids[2], 1), (ids[3], 2)]);
    assert_eq!(open[2].statements, store.see(|reader| reader.request_statements(&ids[3])));
    let counts = store.see(|reader| reader.request_counts());
    assert_eq!(counts, RequestCounts { open: 3, agreed: 0, failed: 1 });
}

#[test]
fn a_cursor_stays_where_it_is_while_requests_come() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let ids: Vec<RequestId> = (0..5).map(|number| take_new(&store, number, None).id).collect();
    let first = store.see(|reader| reader.list_requests(None, 2));
    take_new(&store, 9, None);
    let cursor = first[1].cursor.to_string().parse().expect("a cursor is a text");
    let second = store.see(|reader| reader.list_requests(Some(cursor), 2));
    let third = store.see(|reader| reader.list_requests(Some(second[1].cursor), 2));
    let end = store.see(|reader| reader.list_requests(Some(third[0].cursor), 2));
    let seen: Vec<_> =
        first.iter().chain(&second).chain(&third).map(|request| request.id).collect();
    assert_eq!(seen, ids.iter().rev().copied().collect::<Vec<_>>());
    assert!(end.is_empty());
}
