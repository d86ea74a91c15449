//! The relay's endpoints for clients: scripts, requests, certificates.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::StoreError;
use tokio::sync::oneshot;
use wire::{CodeHash, Nonce, RequestId, compute::Request, encoding};

use super::{RelayDesk, certificate, stories::Live, task::Input};
use crate::{
    http::{
        Answer, Failure, event_stream, header_text, json, json_event, ok, parameter, parse,
        require_media_type,
    },
    time::now,
};
use api::{
    Code, CodeList, CodeStored, CodeView, CompatAnswer, CompatSubmit, RequestList, RequestSubmit,
    RequestView,
    input::{IDEMPOTENCY_KEY, IdempotencyKey, LAST_EVENT_ID, page_limit},
    submit::COMPAT_WAIT_MS,
};
use compute::Refusal;

pub(super) fn routes(desk: &Arc<RelayDesk>) -> Router {
    Router::new()
        .route("/v1/code", post(put_code).get(list_code))
        .route("/v1/code/{hash}", get(code))
        .route("/v1/requests", post(submit).get(requests))
        .route("/v1/requests/{id}", get(request))
        .route("/v1/requests/{id}/events", get(events))
        .route("/v1/requests/{id}/certificate", get(certificate_file))
        .route("/request", post(compat_submit))
        .with_state(Arc::clone(desk))
}

type Desk = State<Arc<RelayDesk>>;

impl RelayDesk {
    /// The address of a script in this relay's own store.
    fn code_uri(&self, hash: &CodeHash) -> Answer<String> {
        let snapshot = self.members.snapshot();
        let own = snapshot.node(&self.own).ok_or_else(|| {
            Failure::new(Code::NotReady, "no operator has admitted this node yet")
        })?;
        Ok(format!("http://{}/v1/code/{hash}", own.body.domain))
    }

    async fn take_in(&self, request: Request, key: Option<String>) -> Answer<RequestId> {
        // A relay that the beacon has not seen could not prove which round decides.
        if !matches!(self.rounds.newest(), Some((_, _, true))) {
            let detail = "the beacon has not seen this relay's log yet";
            let problem = api::Problem::new(Code::NotReady, detail);
            return Err(Failure(problem.with_retry_after(1)));
        }
        let (id, (reply, answer)) = (request.id(), oneshot::channel());
        let stopping = || Failure::new(Code::NotReady, "the relay is stopping");
        let input = Input::Submit { request, key, reply };
        self.inputs.send(input).await.map_err(|_| stopping())?;
        match answer.await.map_err(|_| stopping())? {
            Ok(()) => Ok(id),
            Err(Refusal::DeadlinePassed) => {
                Err(Failure::new(Code::DeadlinePassed, "deadline: it has passed"))
            }
            Err(refusal) => {
                let problem = api::Problem::new(Code::TooManyRequests, refusal.to_string());
                Err(Failure(problem.with_retry_after(1)))
            }
        }
    }

    async fn story(&self, id: &str) -> Answer<Arc<Live>> {
        let id: RequestId = parameter("id", id)?;
        let live = self.stories.of(id).await?;
        live.ok_or_else(|| Failure::not_found("request of that id"))
    }
}

async fn put_code(State(desk): Desk, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    require_media_type(&headers, api::code::MEDIA_TYPE)?;
    if body.is_empty() || std::str::from_utf8(&body).is_err() {
        return Err(Failure::new(Code::BadRequest, "a script is UTF-8 text of at least one byte"));
    }
    let hash = CodeHash::of(&body);
    let (bytes, limit) = (body.len() as u64, desk.code_store_bytes);
    let put = desk.store.write(move |transaction| transaction.put_code(&hash, &body, now(), limit));
    match put.await {
        Ok(_) => {}
        Err(error @ StoreError::CodeFull { .. }) => {
            return Err(Failure::new(Code::Unavailable, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    let uri = desk.code_uri(&hash)?;
    Ok(json(StatusCode::CREATED, &CodeStored { hash, uri, bytes }))
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list_code(State(desk): Desk, Query(page): Query<Page>) -> Answer<Response> {
    let limit = page_limit(page.limit)? as usize;
    let after = page.cursor.map(|text| parameter::<CodeHash>("cursor", &text)).transpose()?;
    let stored = desk.store.read(move |reader| reader.list_code(after.as_ref(), limit)).await?;
    let next = (stored.len() == limit).then(|| stored.last().map(|last| last.hash.to_string()));
    let view = |stored: &store::StoredCode| CodeView {
        hash: stored.hash,
        bytes: stored.size,
        stored_ms: stored.added,
    };
    Ok(ok(&CodeList { code: stored.iter().map(view).collect(), next: next.flatten() }))
}

async fn code(State(desk): Desk, Path(hash): Path<String>) -> Answer<Response> {
    let hash: CodeHash = parameter("hash", &hash)?;
    let bytes = desk.store.read(move |reader| reader.code(&hash)).await?;
    let bytes = bytes.ok_or_else(|| Failure::not_found("script of that hash"))?;
    let headers = [
        (header::CONTENT_TYPE, api::code::MEDIA_TYPE),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

/// What tells equal requests apart: chance, or the client's key.
fn nonce(key: Option<&IdempotencyKey>) -> Nonce {
    match key {
        None => {
            let mut nonce = [0; 16];
            getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
            Nonce(nonce)
        }
        Some(key) => {
            let digest = Sha256::digest(format!("quorate/v1/idempotency-key\n{}", key.as_str()));
            Nonce(digest[..16].try_into().expect("16 of 32 bytes"))
        }
    }
}

async fn submit(State(desk): Desk, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let submit: RequestSubmit = parse(&headers, &body)?;
    let key = header_text(&headers, IDEMPOTENCY_KEY)?.map(IdempotencyKey::parse).transpose()?;
    let known_code = match submit.code {
        Some(hash) if submit.uri.is_none() => {
            desk.store.read(move |reader| reader.code(&hash)).await?.is_some()
        }
        _ => false,
    };
    let own_uri = |hash: &CodeHash| known_code.then(|| desk.code_uri(hash).ok()).flatten();
    let request = submit.into_request(now(), nonce(key.as_ref()), own_uri)?;
    let _order = match &key {
        Some(_) => Some(desk.keyed.lock().await),
        None => None,
    };
    let id = match &key {
        Some(key) => match known_by_key(&desk, key, &request).await? {
            Some(id) => id,
            None => desk.take_in(request, Some(key.as_str().to_owned())).await?,
        },
        None => desk.take_in(request, None).await?,
    };
    let live = desk.stories.of(id).await?;
    let live = live.ok_or_else(|| Failure::not_found("request of that id"))?;
    let view = live.story().view.clone();
    Ok(json(StatusCode::ACCEPTED, &view))
}

/// The request that a key stands for already; it must ask for the same.
async fn known_by_key(
    desk: &RelayDesk,
    key: &IdempotencyKey,
    request: &Request,
) -> Answer<Option<RequestId>> {
    let key = key.as_str().to_owned();
    let stored = desk.store.read(move |reader| reader.request_by_key(&key)).await?;
    let Some(stored) = stored else { return Ok(None) };
    let known: Request = encoding::from_bytes("a request", &stored.bytes)
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    // The deadline is counted from each call's arrival.
    let same = Request { deadline: known.deadline, ..request.clone() } == known;
    let conflict = || {
        let detail = "Idempotency-Key: it stands for a request with other fields";
        Failure::new(Code::IdempotencyConflict, detail)
    };
    same.then_some(Some(stored.id)).ok_or_else(conflict)
}

async fn requests(State(desk): Desk, Query(page): Query<Page>) -> Answer<Response> {
    let limit = page_limit(page.limit)? as usize;
    let before = page.cursor.map(|text| parameter("cursor", &text)).transpose()?;
    let stories = Arc::clone(&desk.stories);
    let read = desk.store.read(move |reader| {
        let stored = reader.list_requests(before, limit)?;
        let next =
            (stored.len() == limit).then(|| stored.last().map(|last| last.cursor.to_string()));
        let view = |stored| stories.read(reader, stored).map(|story| story.view);
        let views: Result<Vec<RequestView>, StoreError> = stored.iter().map(view).collect();
        Ok(RequestList { requests: views?, next: next.flatten() })
    });
    Ok(ok(&read.await?))
}

async fn request(State(desk): Desk, Path(id): Path<String>) -> Answer<Response> {
    let live = desk.story(&id).await?;
    let view = live.story().view.clone();
    Ok(ok(&view))
}

async fn events(State(desk): Desk, Path(id): Path<String>, headers: HeaderMap) -> Answer<Response> {
    let live = desk.story(&id).await?;
    let after = header_text(&headers, LAST_EVENT_ID)?;
    let after: Option<usize> = after.map(|text| parameter(LAST_EVENT_ID, text)).transpose()?;
    let count = live.count();
    let state = (live, count, after.unwrap_or(0));
    let stream = futures_util::stream::unfold(state, |(live, mut count, shown)| async move {
        loop {
            let (next, over) = {
                let story = live.story();
                let next = story
                    .events
                    .get(shown)
                    .map(|event| json_event(event.name(), shown as u64 + 1, event));
                (next, story.is_over())
            };
            if let Some(event) = next {
                return Some((event, (live, count, shown + 1)));
            }
            if over {
                return None;
            }
            count.changed().await.ok()?;
        }
    });
    Ok(event_stream(&desk.stop, stream))
}

async fn certificate_file(State(desk): Desk, Path(id): Path<String>) -> Answer<Response> {
    let id: RequestId = parameter("id", &id)?;
    let (snapshot, own) = (desk.members.snapshot(), desk.own);
    let read = desk.store.read(move |reader| {
        let stored = reader.request(&id)?;
        Ok(stored.map(|stored| {
            let made = (stored.state == store::RequestState::Agreed)
                .then(|| certificate::make(reader, &snapshot, &own, &stored));
            made.transpose()
        }))
    });
    let made = read.await?.ok_or_else(|| Failure::not_found("request of that id"))?;
    let certificate = made.map_err(|error| Failure::internal(&error))?;
    let not_agreed = "the request has not ended in an agreement: there is no certificate";
    let certificate = certificate.ok_or_else(|| Failure::new(Code::Conflict, not_agreed))?;
    let headers = [(header::CONTENT_TYPE, "application/json")];
    Ok((headers, certificate.json().to_vec()).into_response())
}

async fn compat_submit(State(desk): Desk, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let submit: CompatSubmit = parse(&headers, &body)?;
    let request = submit.into_request(now(), nonce(None))?;
    let id = desk.take_in(request, None).await?;
    let live = desk.stories.of(id).await?;
    let live = live.ok_or_else(|| Failure::not_found("request of that id"))?;
    let mut count = live.count();
    let over = async {
        while !live.story().is_over() {
            if count.changed().await.is_err() {
                return;
            }
        }
    };
    // Whether it ended in time shows in the story.
    let _ = tokio::time::timeout(Duration::from_millis(COMPAT_WAIT_MS), over).await;
    let view = live.story().view.clone();
    let answer = CompatAnswer { id, result: view.result, fault: view.fault, failure: view.failure };
    Ok(ok(&answer))
}
