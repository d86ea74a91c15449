//! What all endpoints share: problems as answers, bodies parsed strictly, streams.
//!
//! Invariant: an error of ours leaves the node as `application/problem+json` from the one table, its
//! cause in the log and not in the answer.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body as HttpBody, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response, sse},
};
use client::ClientError;
use futures_util::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};
use store::StoreError;
use tokio::sync::watch;
use wire::{Body, NetworkId, Signed};

use api::{Code, Problem, StatementSubmit, endpoint::KEEP_ALIVE_MS, log::TLOG_SIZE_MEDIA_TYPE};

/// A problem on its way out.
#[derive(Debug)]
pub(crate) struct Failure(pub Problem);

pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} here"))
    }

    /// A defect of ours: the cause goes in the log.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(error), "an endpoint failed");
        Self::new(Code::Internal, "the node could not do this; its log says why")
    }
}

/// An error with all its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = StatusCode::from_u16(problem.status()).expect("the table holds statuses");
        let body = serde_json::to_vec(&problem).expect("a problem is JSON");
        let media_type = HeaderValue::from_static(api::problem::MEDIA_TYPE);
        let mut response = (status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        if let Some(seconds) = problem.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON answer.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let body = serde_json::to_vec(body).expect("answers are JSON");
    let media_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, media_type)], body).into_response()
}

pub(crate) fn ok<T: Serialize>(body: &T) -> Response {
    json(StatusCode::OK, body)
}

/// Checks the media type of a JSON body and parses it.
pub(crate) fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Answer<T> {
    require_media_type(headers, "application/json")?;
    Ok(api::input::parse_json(body)?)
}

/// Checks that the body has this media type; a body without one is taken for it.
pub(crate) fn require_media_type(headers: &HeaderMap, expected: &str) -> Answer<()> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let given = given.to_str().unwrap_or("?");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = format!("Content-Type: expected {expected}, got {given:?}");
    Err(Failure::new(Code::UnsupportedMediaType, detail))
}

/// Reads a header's text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Answer<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Failure::new(Code::BadRequest, format!("{name}: expected visible ASCII characters"))
    })?;
    Ok(Some(text))
}

/// Opens the statement in a body.
pub(crate) fn statement<B: Body>(
    network: &NetworkId,
    headers: &HeaderMap,
    body: &Bytes,
) -> Answer<Signed<B>> {
    let submit: StatementSubmit = parse(headers, body)?;
    let opened = Signed::open(network, submit.statement.as_bytes());
    let not_verified = |error: wire::StatementError| {
        Failure(Problem::new(Code::NotVerified, error.to_string()).with_field("statement"))
    };
    opened.map_err(not_verified)
}

/// A value from a path or a query.
pub(crate) fn parameter<T: std::str::FromStr>(name: &str, text: &str) -> Answer<T>
where
    T::Err: std::fmt::Display,
{
    let problem = |error: T::Err| {
        Failure(Problem::new(Code::BadRequest, format!("{name}: {error}")).with_field(name))
    };
    text.parse().map_err(problem)
}

/// Tells streams, which would go on for ever, that the node stops.
#[derive(Debug, Clone)]
pub(crate) struct Stop(pub watch::Receiver<bool>);

/// A stream of events that tells proxies and clients that it lives, and ends when the node stops.
pub(crate) fn event_stream<S>(stop: &Stop, events: S) -> Response
where
    S: futures_util::Stream<Item = sse::Event> + Send + 'static,
{
    let Stop(mut stop) = stop.clone();
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let events = events.map(Ok::<_, Infallible>).take_until(Box::pin(stopped));
    let alive = sse::KeepAlive::new().interval(Duration::from_millis(KEEP_ALIVE_MS / 2));
    let mut response = sse::Sse::new(events).keep_alive(alive).into_response();
    // Proxies must pass events on at once.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// An event in JSON.
pub(crate) fn json_event(name: &str, id: u64, data: &impl Serialize) -> sse::Event {
    let data = serde_json::to_string(data).expect("events are JSON");
    sse::Event::default().event(name).id(id.to_string()).data(data)
}

/// The longest refusal of the HTTP library that is quoted.
const MAX_REFUSAL_BYTES: usize = 2_000;

/// What the HTTP library refuses by itself (a body over the limit, a path or query that it cannot
/// read) becomes a problem of the table as well.
pub(crate) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type == api::problem::MEDIA_TYPE || media_type == TLOG_SIZE_MEDIA_TYPE {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        status if status.is_server_error() => Code::Internal,
        _ => Code::BadRequest,
    };
    let body: HttpBody = response.into_body();
    let refusal = to_bytes(body, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let problem = Problem::new(code, String::from_utf8_lossy(&refusal));
    let problem = match code {
        Code::BodyTooLarge => problem.with_limit(format!("{} bytes", MAX_BODY_BYTES)),
        _ => problem,
    };
    Failure(problem).into_response()
}

/// The longest body that is read at all; endpoints have narrower limits of their own.
pub(crate) const MAX_BODY_BYTES: usize = {
    let limits = [
        api::input::MAX_STATEMENT_BODY_BYTES,
        api::input::MAX_CODE_BODY_BYTES,
        api::input::MAX_SUBMIT_BYTES,
        api::input::MAX_WITNESS_BODY_BYTES,
    ];
    let (mut most, mut index) = (0, 0);
    while index < limits.len() {
        if limits[index] > most {
            most = limits[index];
        }
        index += 1;
    }
    most
};
