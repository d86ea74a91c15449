//! Node to node: credentials that hold for one call, receipts that are checked, witnesses.

mod server;

use std::sync::Arc;

use api::{ReceiptView, StatementSubmit, WorkEvent, log::TLOG_SIZE_MEDIA_TYPE};
use axum::{
    Json, Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    routing::{any, get, post},
};
use client::{ClientError, PeerClient, VerificationError, WitnessAnswer};
use wire::{
    Attempt, Commitment, Millis, NetworkId, NodeId, NodeKey, RequestId, Signed, StatementHash,
    compute::{Commit, Receipt},
    credential::{self, Call},
    key::StatementSigner as _,
};

use server::serve;

const NETWORK: NetworkId = NetworkId([9; 32]);
const NOW: Millis = Millis(1_700_000_000_000);

fn key(number: u8) -> NodeKey {
    NodeKey::from_secret([number; 32])
}

fn peer(url: &str) -> PeerClient {
    PeerClient::new(NETWORK, Arc::new(key(1)), key(2).id(), url, || NOW).expect("an address")
}

fn caller(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<NodeId> {
    let callee = key(2).id();
    let call = Call {
        network: &NETWORK,
        callee: &callee,
        method: method.as_str(),
        path: uri.path_and_query()?.as_str(),
        body,
    };
    credential::check(headers.get(credential::HEADER)?.to_str().ok()?, &call, NOW).ok()
}

#[tokio::test]
async fn every_call_carries_a_credential_that_the_callee_accepts() {
    let who = |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        caller(&method, &uri, &headers, &body).map_or_else(String::new, |caller| caller.to_string())
    };
    let server = serve(Router::new().fallback(any(who))).await;
    let peer = peer(&server.url);
    for path in ["/a", "/a/b?c=d&e=%20f", "/a?", "/ä?ö=ü"] {
        let answer = peer.get_bytes(path, 100).await.expect("answered");
        assert_eq!(answer, key(1).id().to_string().as_bytes(), "{path}");
    }
    let answer = peer.add_checkpoint("old 0\n").await.expect("answered");
    assert_eq!(answer, WitnessAnswer::Cosigned(key(1).id().to_string()));
}

fn commit() -> Signed<Commit> {
    let body = Commit {
        request: RequestId([3; 32]),
        attempt: Attempt(0),
        draw: StatementHash([4; 32]),
        commitment: Commitment([5; 32]),
    };
    Signed::sign(NETWORK, &key(1), body)
}

/// A relay that gives a receipt for what `statement` makes of what it got, signed by `signer`.
fn receiving(signer: u8, statement: fn(StatementHash) -> StatementHash) -> Router {
    let receive = move |Json(submit): Json<StatementSubmit>| async move {
        let commit = Signed::<Commit>::open(&NETWORK, submit.statement.as_bytes()).expect("valid");
        let (request, attempt) = (commit.body.request, commit.body.attempt);
        let body = Receipt { request, attempt, statement: statement(commit.hash()) };
        let receipt = Signed::sign(NETWORK, &key(signer), body);
        Json(ReceiptView { receipt: Some((&receipt).into()) })
    };
    Router::new().route("/v1/work/commit", post(receive))
}

#[tokio::test]
async fn a_receipt_is_the_callees_and_for_this_statement() {
    let statement = commit();
    let server = serve(receiving(2, |hash| hash)).await;
    let receipt =
        peer(&server.url).post_work("/v1/work/commit", &statement).await.expect("a receipt");
    assert_eq!(receipt.map(|receipt| receipt.body.statement), Some(statement.hash()));

    // A draw gets none.
    let none = Router::new()
        .route("/v1/work/draw", post(|| async { Json(ReceiptView { receipt: None }) }));
    let server = serve(none).await;
    let receipt = peer(&server.url).post_work("/v1/work/draw", &statement).await.expect("taken");
    assert_eq!(receipt, None);

    let server = serve(receiving(3, |hash| hash)).await;
    let error =
        peer(&server.url).post_work("/v1/work/commit", &statement).await.expect_err("another's");
    assert!(matches!(
        error,
        ClientError::Verification { source: VerificationError::Signer { .. }, .. }
    ));

    let server = serve(receiving(2, |_| StatementHash([0; 32]))).await;
    let error =
        peer(&server.url).post_work("/v1/work/commit", &statement).await.expect_err("for another");
    assert!(matches!(
        error,
        ClientError::Verification { source: VerificationError::Field { .. }, .. }
    ));
}

#[tokio::test]
async fn a_witness_names_the_size_that_it_has_seen() {
    let seen =
        || async { (StatusCode::CONFLICT, [(header::CONTENT_TYPE, TLOG_SIZE_MEDIA_TYPE)], "17\n") };
    let server = serve(Router::new().route("/add-checkpoint", post(seen))).await;
    assert_eq!(
        peer(&server.url).add_checkpoint("old 3\n").await.expect("answered"),
        WitnessAnswer::Seen(17)
    );
}

#[tokio::test]
async fn work_is_offered_again_on_a_new_connection() {
    let event = WorkEvent::Ended { request: RequestId([1; 32]), statement: vec![1, 2].into() };
    let data = serde_json::to_string(&event).expect("JSON");
    let body = format!("retry: 1\nid: 1\nevent: ended\ndata: {data}\n\n");
    let stream = move |method: Method, uri: Uri, headers: HeaderMap| async move {
        let is_node = caller(&method, &uri, &headers, b"").is_some();
        assert!(!headers.contains_key("last-event-id"), "numbers are the connection's own");
        let status = if is_node { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        (status, [(header::CONTENT_TYPE, "text/event-stream")], body)
    };
    let server = serve(Router::new().route("/v1/work", get(stream))).await;
    let mut work = peer(&server.url).work();
    for _ in 0..2 {
        assert_eq!(work.next().await.expect("an event").expect("work"), (1, event.clone()));
    }
}

#[test]
fn a_prefix_would_break_credentials_and_is_refused() {
    let url = "http://127.0.0.1:1/behind";
    let made = PeerClient::new(NETWORK, Arc::new(key(1)), key(2).id(), url, || NOW);
    assert!(matches!(made, Err(ClientError::Address { .. })));
}
