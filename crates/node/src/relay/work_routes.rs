//! The relay's endpoints for workers: what they are asked, and what they say.
//!
//! Invariant: only admitted workers with a valid credential are heard, each only for itself.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, Method},
    response::{Response, sse},
    routing::{get, post},
};
use tokio::sync::{broadcast::error::RecvError, oneshot};
use verify::Rule;
use wire::{
    Attempt, Body, NodeId, RequestId, Signed,
    compute::{Commit, Draw, Reveal},
    credential::{self, Call},
    network::Role,
};

use super::{
    RelayDesk,
    task::{Declined, Input, StatementReply},
};
use crate::{
    http::{Answer, Failure, event_stream, header_text, ok, statement},
    time::now,
};
use api::{Code, ReceiptView};
use compute::Refusal;
use placement::DrawRefusal;

pub(super) fn routes(desk: &Arc<RelayDesk>) -> Router {
    Router::new()
        .route("/v1/work", get(work))
        .route("/v1/work/draw", post(draw))
        .route("/v1/work/commit", post(commit))
        .route("/v1/work/reveal", post(reveal))
        .with_state(Arc::clone(desk))
}

type Desk = State<Arc<RelayDesk>>;

impl RelayDesk {
    /// The worker that makes a call.
    fn caller(
        &self,
        method: &Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Answer<NodeId> {
        let header = header_text(headers, credential::HEADER)?;
        let header = header.ok_or_else(|| {
            Failure::new(Code::Unauthorized, format!("{}: missing", credential::HEADER))
        })?;
        let network = self.members.network();
        let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
        let call =
            Call { network: &network, callee: &self.own, method: method.as_str(), path, body };
        let caller = credential::check(header, &call, now())
            .map_err(|error| Failure::new(Code::Unauthorized, error.to_string()))?;
        let snapshot = self.members.snapshot();
        let is_worker = snapshot.node(&caller).is_some_and(|known| {
            known.body.roles.contains(Role::Worker) && known.body.is_current(now())
        });
        if !is_worker {
            return Err(Failure::new(Code::Forbidden, "the caller is no current worker"));
        }
        self.members.saw(caller);
        Ok(caller)
    }

    async fn take<B: Body<Signer = NodeId>>(
        &self,
        (method, uri, headers, body): (Method, axum::http::Uri, HeaderMap, Bytes),
        place: impl FnOnce(&B) -> (RequestId, Attempt),
        input: impl FnOnce(Signed<B>, StatementReply) -> Input,
    ) -> Answer<Response> {
        let caller = self.caller(&method, &uri, &headers, &body)?;
        let statement = statement::<B>(&self.members.network(), &headers, &body)?;
        if statement.signer != caller {
            let detail = "the statement is signed by another node than the caller";
            return Err(Failure::new(Code::Forbidden, detail));
        }
        let (request, attempt) = place(&statement.body);
        let late = Late { request, attempt, statement: statement.clone() };
        let (reply, answer) = oneshot::channel();
        let stopping = || Failure::new(Code::NotReady, "the relay is stopping");
        self.inputs.send(input(statement, reply)).await.map_err(|_| stopping())?;
        match answer.await.map_err(|_| stopping())? {
            Ok(receipt) => Ok(ok(&ReceiptView { receipt: receipt.as_ref().map(Into::into) })),
            Err(reason) => {
                if is_late(reason) {
                    self.compare_with_stored(&late).await;
                }
                Err(declined(reason))
            }
        }
    }

    /// A statement that came too late to count may still contradict what its signer said in time.
    async fn compare_with_stored<B: Body<Signer = NodeId>>(&self, late: &Late<B>) {
        let Late { request, attempt, statement } = late;
        let (id, number, kind, signer) = (*request, *attempt, B::KIND, statement.signer);
        let read = self.store.read(move |reader| {
            let stored = reader.request_statements(&id)?;
            let mut same_place = stored.into_iter().filter(|stored| {
                stored.kind == kind && stored.signer == signer && stored.attempt == number
            });
            Ok(same_place.next().map(|stored| stored.bytes))
        });
        match read.await {
            Ok(Some(first)) if *first != **statement.bytes() => {
                let both = vec![first, statement.bytes().to_vec()];
                self.evidence.found(&signer, Rule::TwoStatements, both).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a late statement could not be compared"),
        }
    }
}

/// A worker's statement that may have come too late.
struct Late<B: Body> {
    request: RequestId,
    attempt: Attempt,
    statement: Signed<B>,
}

/// Whether a statement is not taken because its request or attempt is past the point.
fn is_late(reason: Declined) -> bool {
    let Declined::Work(refusal) = reason else { return false };
    matches!(refusal, Refusal::NotOpen | Refusal::OtherAttempt(_) | Refusal::Closed)
}

fn declined(declined: Declined) -> Failure {
    let (code, detail) = match declined {
        Declined::Draw(refusal) => {
            let code = match refusal {
                DrawRefusal::NotOpen | DrawRefusal::OtherRound(_) => Code::Stale,
                DrawRefusal::NotOnRoster => Code::Forbidden,
                DrawRefusal::Proof => Code::NotVerified,
            };
            (code, refusal.to_string())
        }
        Declined::Work(refusal) => {
            let code = match refusal {
                Refusal::NotOpen | Refusal::OtherAttempt(_) | Refusal::Closed => Code::Stale,
                Refusal::NotCounted => Code::Forbidden,
                Refusal::Busy(_) => Code::TooManyRequests,
                Refusal::DeadlinePassed => Code::DeadlinePassed,
                Refusal::TooLarge => Code::BodyTooLarge,
                Refusal::TooEarly | Refusal::OtherBasis | Refusal::Contradiction => Code::Conflict,
            };
            (code, refusal.to_string())
        }
    };
    Failure::new(code, detail)
}

async fn work(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Answer<Response> {
    desk.caller(&method, &uri, &headers, b"")?;
    let (open, receiver) = desk.hub.follow();
    let state = (VecDeque::from(open), receiver, 0_u64);
    let stream = futures_util::stream::unfold(state, |(mut open, mut receiver, sent)| async move {
        let message = match open.pop_front() {
            Some(message) => message,
            None => match receiver.recv().await {
                Ok(message) => message,
                // Who fell behind comes back and is told all again.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            },
        };
        let event = sse::Event::default()
            .event(message.name)
            .id((sent + 1).to_string())
            .data(&message.json);
        Some((event, (open, receiver, sent + 1)))
    });
    Ok(event_stream(&desk.stop, stream))
}

async fn draw(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let place = |said: &Draw| (said.request, said.attempt);
    desk.take((method, uri, headers, body), place, Input::Draw).await
}

async fn commit(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let place = |said: &Commit| (said.request, said.attempt);
    desk.take((method, uri, headers, body), place, Input::Commit).await
}

async fn reveal(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let place = |said: &Reveal| (said.request, said.attempt);
    desk.take((method, uri, headers, body), place, Input::Reveal).await
}
