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
use wire::{
    Body, NodeId, Signed,
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
        input: impl FnOnce(Signed<B>, StatementReply) -> Input,
    ) -> Answer<Response> {
        let caller = self.caller(&method, &uri, &headers, &body)?;
        let statement = statement::<B>(&self.members.network(), &headers, &body)?;
        if statement.signer != caller {
            let detail = "the statement is signed by another node than the caller";
            return Err(Failure::new(Code::Forbidden, detail));
        }
        let (reply, answer) = oneshot::channel();
        let stopping = || Failure::new(Code::NotReady, "the relay is stopping");
        self.inputs.send(input(statement, reply)).await.map_err(|_| stopping())?;
        let receipt = answer.await.map_err(|_| stopping())?.map_err(declined)?;
        Ok(ok(&ReceiptView { receipt: receipt.as_ref().map(Into::into) }))
    }
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
    desk.take::<Draw>((method, uri, headers, body), Input::Draw).await
}

async fn commit(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    desk.take::<Commit>((method, uri, headers, body), Input::Commit).await
}

async fn reveal(
    State(desk): Desk,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    desk.take::<Reveal>((method, uri, headers, body), Input::Reveal).await
}
