//! What a client makes of answers: refusals, limits, lies.

mod server;

use api::{
    Code, LogView, NodeList, NodeView, Problem, RoundView, SettingsView, WitnessView, problem,
};
use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use client::{Client, ClientError, VerificationError};
use wire::{
    CodeHash, Millis, NetworkId, NodeKey, OperatorKey, RootHash, Round, Seed, Signed,
    StatementHash,
    checkpoint::{self, SignedCheckpoint},
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Admission, Role, Settings},
    round::RoundOpening,
};

use server::serve;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const NETWORK: NetworkId = NetworkId([9; 32]);

fn refuse(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status()).expect("a status");
    (
        status,
        [(header::CONTENT_TYPE, problem::MEDIA_TYPE)],
        serde_json::to_vec(&problem).expect("JSON"),
    )
        .into_response()
}

async fn client(router: Router) -> (server::Server, Client) {
    let server = serve(router).await;
    let client = Client::new(&format!("{}/", server.url)).expect("an address");
    (server, client)
}

#[tokio::test]
async fn a_refusal_is_the_nodes_problem_or_a_bare_status() {
    let busy = Problem::new(Code::Unavailable, "full").with_retry_after(7);
    let sent = busy.clone();
    let router = Router::new()
        .route("/v1/node", get(move || async move { refuse(sent) }))
        .route("/v1/settings", get(|| async { (StatusCode::BAD_GATEWAY, "<html>no</html>") }))
        .route("/v1/nodes", get(|| async { axum::response::Redirect::temporary("/v1/node") }))
        .route("/v1/log", get(|| async { "not JSON" }));
    let (server, client) = client(router).await;

    let error = client.node().await.expect_err("refused");
    assert!(error.is_retryable());
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(7));
    assert!(matches!(error, ClientError::Problem(problem) if problem == busy));

    let error = client.settings().await.expect_err("refused");
    assert!(error.is_retryable());
    assert!(
        matches!(error, ClientError::Status { status: 502, excerpt, .. } if excerpt.contains("no"))
    );

    let error = client.nodes().await.expect_err("redirected");
    assert!(matches!(error, ClientError::Status { status: 307, .. }), "{error:?}");

    let error = client.log().await.expect_err("not JSON");
    assert!(matches!(&error, ClientError::Protocol { .. }) && !error.is_retryable());

    drop(server);
    let error =
        Client::new("http://127.0.0.1:1").expect("an address").node().await.expect_err("nobody");
    assert!(matches!(&error, ClientError::Transport { .. }) && error.is_retryable());
}

#[tokio::test]
async fn a_problem_document_under_another_status_is_not_believed() {
    let router = Router::new().route(
        "/v1/node",
        get(|| async {
            let body = serde_json::to_vec(&Problem::new(Code::Unavailable, "x")).expect("JSON");
            (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, problem::MEDIA_TYPE)], body)
        }),
    );
    let (_server, client) = client(router).await;
    let error = client.node().await.expect_err("refused");
    assert!(matches!(error, ClientError::Status { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_has_a_limit_announced_or_not() {
    let long = vec![b' '; client::transport::MAX_SMALL_BYTES + 1];
    let router = Router::new().route("/v1/node", get(move || async move { long }));
    let (_server, announcing) = client(router).await;
    let address = unannounced(client::transport::MAX_SMALL_BYTES + 1).await;
    let silent = Client::new(&address).expect("an address");
    for client in [announcing, silent] {
        let error = client.node().await.expect_err("too long");
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}

/// Answers one call with so many bytes, whose number the client learns only from their end.
async fn unannounced(length: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut call = Vec::new();
        while !call.ends_with(b"\r\n\r\n") {
            call.push(socket.read_u8().await.expect("a call"));
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.expect("head");
        // The client hangs up once it has had enough.
        let _ = socket.write_all(&vec![b' '; length]).await;
    });
    format!("http://{address}")
}

#[tokio::test]
async fn only_the_script_that_was_asked_for_is_returned() {
    let source = "mainFunction = async ({a, b}) => a + b";
    let router = Router::new().route("/v1/code/{hash}", get(move || async move { source }));
    let (_server, client) = client(router).await;
    let hash = CodeHash::of(source.as_bytes());
    assert_eq!(client.code(hash).await.expect("it is"), source.as_bytes());
    let other = CodeHash::of(b"another");
    let error = client.code(other).await.expect_err("it is not");
    let expected = VerificationError::Code { expected: other, got: hash };
    assert!(matches!(error, ClientError::Verification { source, .. } if source == expected));
}

#[tokio::test]
async fn a_view_says_what_its_statement_says() {
    let key = NodeKey::from_secret([1; 32]);
    let (seed, proof) = wire::round::prove_seed(&NETWORK, &key, &Seed([2; 32]), Round(3));
    let opening = RoundOpening {
        round: Round(3),
        opened: Millis(4),
        previous: StatementHash([5; 32]),
        seed,
        proof,
        workers: TreeHead::EMPTY,
        heads: TreeHead::EMPTY,
    };
    let honest = RoundView::from(&Signed::sign(NETWORK, &key, opening));
    let lying = RoundView { seed: Seed([6; 32]), ..honest.clone() };
    let operator = OperatorKey::from_secret([7; 32]);
    let settings = Settings { version: 1, ..Settings::default() };
    let mut changed = SettingsView::signed(&Signed::sign(NETWORK, &operator, settings));
    changed.values.insert("max_attempts".to_owned(), 1);

    let (first, second) = (honest.clone(), lying);
    let router = Router::new()
        .route("/v1/rounds/3", get(move || async move { Json(first) }))
        .route("/v1/rounds/4", get(move || async move { Json(second) }))
        .route("/v1/settings", get(move || async move { Json(changed) }));
    let (_server, client) = client(router).await;

    assert_eq!(client.round(Round(3)).await.expect("honest"), honest);
    let field_of = |error| match error {
        ClientError::Verification { source: VerificationError::Field { field, .. }, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field_of(client.round(Round(4)).await.expect_err("another round")), "round");
    assert_eq!(field_of(client.settings().await.expect_err("changed")), "settings");

    let elsewhere = client.clone().in_network(NetworkId([8; 32]));
    let error = elsewhere.round(Round(3)).await.expect_err("of another network");
    let is_statement =
        |source: &VerificationError| matches!(source, VerificationError::Statement(_));
    assert!(matches!(&error, ClientError::Verification { source, .. } if is_statement(source)));
}

#[tokio::test]
async fn nodes_and_logs_are_those_of_their_signatures() {
    let (node, operator) = (NodeKey::from_secret([1; 32]), OperatorKey::from_secret([7; 32]));
    let admission = Admission {
        node: node.id(),
        vrf: node.vrf_public(),
        sealing: node.sealing_public(),
        name: "relay-1".to_owned(),
        domain: "127.0.0.1:1".to_owned(),
        roles: [Role::Relay].into_iter().collect(),
        starts: Millis(1),
        expires: Millis(2),
        generation: 1,
    };
    let view = NodeView::of(&admission, true, None);
    let admissions = vec![(&Signed::sign(NETWORK, &operator, admission)).into()];
    let honest_nodes = NodeList { nodes: vec![view.clone()], admissions: admissions.clone() };
    let moved = NodeView { domain: "127.0.0.1:2".to_owned(), ..view };
    let lying_nodes = NodeList { nodes: vec![moved], admissions };

    let head = TreeHead { size: 5, root: RootHash([8; 32]) };
    let checkpoint = SignedCheckpoint::sign(&NETWORK, &node, head);
    let honest_log = LogView {
        node: node.id(),
        name: "relay-1".to_owned(),
        origin: checkpoint::log_name(&NETWORK, &node.id()),
        size: head.size,
        root: head.root,
        verifier_key: checkpoint::verifier_key(&NETWORK, &node.id()).expect("a key"),
        checkpoint: checkpoint.note().to_owned(),
        witnesses: Vec::new(),
    };
    let lying_log = LogView { size: 6, ..honest_log.clone() };
    let unwitnessed = WitnessView { node: idle_witness(), name: "w".to_owned(), time_s: 1 };
    let boasting_log = LogView { witnesses: vec![unwitnessed], ..honest_log.clone() };

    let answering = |nodes: NodeList, log: LogView| {
        Router::new()
            .route("/v1/nodes", get(move || async move { Json(nodes) }))
            .route("/v1/log", get(move || async move { Json(log) }))
    };
    let (_honest, asked) = client(answering(honest_nodes.clone(), honest_log.clone())).await;
    let asked = asked.in_network(NETWORK);
    assert_eq!(asked.nodes().await.expect("honest"), honest_nodes);
    assert_eq!(asked.log().await.expect("honest"), honest_log);
    for log in [lying_log, boasting_log] {
        let (_lying, asked) = client(answering(lying_nodes.clone(), log)).await;
        let asked = asked.in_network(NETWORK);
        let error = asked.nodes().await.expect_err("another domain");
        assert!(matches!(error, ClientError::Verification { .. }), "{error:?}");
        let error = asked.log().await.expect_err("another size, a witness that never was");
        assert!(matches!(error, ClientError::Verification { .. }), "{error:?}");
    }
}

/// A node that has cosigned nothing.
fn idle_witness() -> wire::NodeId {
    NodeKey::from_secret([2; 32]).id()
}

#[test]
fn what_is_no_address_is_refused() {
    for url in ["", "node:1", "ftp://a", "http://u@a", "http://a/?b", "http://a/#b"] {
        assert!(matches!(Client::new(url), Err(ClientError::Address { .. })), "{url}");
    }
}
