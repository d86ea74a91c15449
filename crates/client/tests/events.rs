//! Streams that break off, repeat and skip; and a whole run.

mod server;

use std::sync::{Arc, Mutex};

use api::{
    Code, Problem, RequestEvent, RequestState, RequestSubmit, RequestView, problem,
    submit::majority,
};
use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use client::{Client, ClientError};
use wire::{Attempt, Millis, RequestId, compute::FailureReason};

use server::serve;

const ID: RequestId = RequestId([7; 32]);

/// What the handlers of a test saw, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    /// Notes something and gives how much was noted before.
    fn note(&self, what: impl Into<String>) -> usize {
        let mut seen = self.0.lock().expect("no handler panics");
        seen.push(what.into());
        seen.len() - 1
    }

    /// All that was noted.
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no handler panics").clone()
    }
}

fn received() -> RequestEvent {
    RequestEvent::Received {
        request: ID,
        received_ms: Millis(1),
        deadline_ms: Millis(2),
        committee: 3,
        quorum: 2,
    }
}

fn widened(attempt: u32) -> RequestEvent {
    RequestEvent::Widened { attempt: Attempt(attempt), reason: "none drawn".to_owned() }
}

fn failed() -> RequestEvent {
    RequestEvent::Failed { reason: FailureReason::NoQuorum, detail: "none drawn".to_owned() }
}

fn agreed() -> RequestEvent {
    RequestEvent::Agreed {
        attempt: Attempt(1),
        result: Some(serde_json::json!(3)),
        fault: None,
        code: None,
        agreeing: Vec::new(),
        dissenting: Vec::new(),
        silent: Vec::new(),
        agreed_ms: 40,
        open_to_agreed_ms: None,
        certificate: format!("/v1/requests/{ID}/certificate"),
    }
}

fn written(number: u64, event: &RequestEvent) -> String {
    let data = serde_json::to_string(event).expect("JSON");
    format!("id: {number}\r\nevent: {}\r\ndata: {data}\r\n\r\n", event.name())
}

/// Answers the n-th call with the n-th body, then with the last one; notes `Last-Event-ID`.
fn streaming(seen: &Seen, bodies: Vec<String>) -> axum::routing::MethodRouter {
    let seen = seen.clone();
    get(move |headers: HeaderMap| async move {
        let last =
            headers.get("last-event-id").map_or("none", |value| value.to_str().expect("text"));
        let call = seen.note(last);
        let body = bodies[call.min(bodies.len() - 1)].clone();
        ([(header::CONTENT_TYPE, "text/event-stream")], body)
    })
}

async fn collect(
    bodies: Vec<String>,
) -> (Vec<String>, Vec<(u64, RequestEvent)>, Option<ClientError>) {
    let seen = Seen::default();
    let router = Router::new().route("/v1/requests/{id}/events", streaming(&seen, bodies));
    let server = serve(router).await;
    let mut events = Client::new(&server.url).expect("an address").events(ID, None);
    let (mut got, mut error) = (Vec::new(), None);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => got.push(event),
            Err(reason) => error = Some(reason),
        }
    }
    (seen.all(), got, error)
}

#[tokio::test]
async fn a_broken_stream_goes_on_without_loss_or_repetition() {
    let half = written(3, &widened(2));
    let bodies = vec![
        // Breaks off inside of event 3.
        format!(
            ": hello\nretry: 1\n\n{}{}{}",
            written(1, &received()),
            written(2, &widened(1)),
            &half[..30]
        ),
        // Repeats event 2, and knows an event that this client does not.
        format!("{}{}id: 4\nevent: later\ndata: {{}}\n\n", written(2, &widened(1)), half),
        // What comes behind the last event is not read.
        format!("{}{}", written(5, &failed()), written(6, &widened(9))),
    ];
    let (calls, events, error) = collect(bodies).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(calls, ["none", "2", "4"]);
    let expected = [(1, received()), (2, widened(1)), (3, widened(2)), (5, failed())];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_gap_or_an_event_without_number_is_an_error() {
    let gap = format!("{}{}", written(1, &received()), written(3, &failed()));
    let (_, events, error) = collect(vec![gap]).await;
    assert_eq!(events.len(), 1);
    assert!(error.expect("a gap").to_string().contains("event 3 comes where event 2 is due"));
    let (_, _, error) = collect(vec!["data: {}\n\n".to_owned()]).await;
    assert!(matches!(error, Some(ClientError::Protocol { .. })), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_brings_nothing_ends_with_an_error() {
    let (calls, events, error) = collect(vec!["retry: 1\n\n".to_owned()]).await;
    assert!(events.is_empty());
    assert_eq!(calls.len(), 8);
    let error = error.expect("it ended");
    assert!(matches!(error, ClientError::Ended { .. }) && error.is_retryable());
}

#[tokio::test]
async fn no_content_ends_a_stream_and_a_refusal_is_told() {
    let router =
        Router::new().route("/v1/requests/{id}/events", get(|| async { StatusCode::NO_CONTENT }));
    let server = serve(router).await;
    let mut events = Client::new(&server.url).expect("an address").events(ID, Some(3));
    assert!(events.next().await.is_none());

    let server = serve(Router::new()).await;
    let mut events = Client::new(&server.url).expect("an address").events(ID, None);
    let error = events.next().await.expect("an error").expect_err("not found");
    assert!(matches!(error, ClientError::Status { status: 404, .. }));
    assert!(events.next().await.is_none());
}

fn view(submit: &RequestSubmit, state: RequestState) -> RequestView {
    let committee = submit.committee.unwrap_or(3);
    RequestView {
        id: ID,
        state,
        uri: submit.uri.clone().expect("given"),
        code: None,
        params: submit.params.as_ref().map_or(serde_json::json!({}), |params| params.0.to_value()),
        committee,
        quorum: majority(committee),
        deadline_ms: Millis(2),
        received_ms: Millis(1),
        attempts: Vec::new(),
        result: None,
        fault: None,
        failure: None,
        agreed_ms: None,
        open_to_agreed_ms: None,
        certificate: None,
    }
}

fn busy_once(seen: &Seen, headers: &HeaderMap) -> Option<Response> {
    let key = headers["idempotency-key"].to_str().expect("text");
    let problem = Problem::new(Code::NotReady, "starting").with_retry_after(0);
    let body = serde_json::to_vec(&problem).expect("JSON");
    let kind = [(header::CONTENT_TYPE, problem::MEDIA_TYPE)];
    (seen.note(key) == 0).then(|| (StatusCode::SERVICE_UNAVAILABLE, kind, body).into_response())
}

fn relay(seen: &Seen, submit: &RequestSubmit, last: RequestEvent, state: RequestState) -> Router {
    let (keys, ended) = (seen.clone(), view(submit, state));
    let events = format!("{}{}", written(1, &received()), written(2, &last));
    Router::new()
        .route(
            "/v1/requests",
            post(move |headers: HeaderMap, Json(submit): Json<RequestSubmit>| async move {
                let accepted =
                    || (StatusCode::ACCEPTED, Json(view(&submit, RequestState::Received)));
                busy_once(&keys, &headers).unwrap_or_else(|| accepted().into_response())
            }),
        )
        .route("/v1/requests/{id}", get(move || async move { Json(ended) }))
        .route("/v1/requests/{id}/events", streaming(&Seen::default(), vec![events]))
        .route("/v1/requests/{id}/certificate", get(|| async { "{}" }))
}

#[tokio::test]
async fn a_run_submits_surely_follows_and_brings_the_certificate() {
    let submit = RequestSubmit {
        uri: Some("https://a/b.js".to_owned()),
        params: Some(serde_json::from_str(r#"{"b":1.5e3,"a":[0.1,"é"]}"#).expect("JSON")),
        ..RequestSubmit::default()
    };
    let seen = Seen::default();
    let server = serve(relay(&seen, &submit, agreed(), RequestState::Agreed)).await;
    let client = Client::new(&server.url).expect("an address");
    let mut names = Vec::new();
    let completed =
        client.run(&submit, "key-1", |number, event| names.push((number, event.name()))).await;
    let completed = completed.expect("agreed");
    assert_eq!(completed.certificate.as_deref(), Some(&b"{}"[..]));
    assert_eq!(names, [(1, "received"), (2, "agreed")]);
    assert_eq!(seen.all(), ["key-1", "key-1"]);

    let server = serve(relay(&Seen::default(), &submit, failed(), RequestState::Failed)).await;
    let client = Client::new(&server.url).expect("an address");
    let completed = client.run(&submit, "key-2", |_, _| {}).await.expect("failed, and known");
    assert_eq!((completed.view.state, completed.certificate), (RequestState::Failed, None));
}

#[tokio::test]
async fn a_node_that_takes_another_request_is_found_out() {
    let submit =
        RequestSubmit { uri: Some("https://a/b.js".to_owned()), ..RequestSubmit::default() };
    let mut other = view(&submit, RequestState::Received);
    other.params = serde_json::json!({"a": 1});
    let router = Router::new().route("/v1/requests", post(move || async move { Json(other) }));
    let server = serve(router).await;
    let client = Client::new(&server.url).expect("an address");
    let error = client.submit(&submit, None).await.expect_err("another");
    assert!(matches!(error, ClientError::Verification { .. }), "{error:?}");
}
