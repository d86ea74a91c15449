//! This node as a witness of the others' logs (C2SP `tlog-witness`).
//!
//! Invariant: a checkpoint is cosigned only if it continues the last one that was cosigned, which is
//! durable before the cosignature leaves; so no log can show two histories to those who ask for this
//! witness. Two checkpoints of one size with two roots become evidence.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use store::{Store, StoreError};
use tokio::sync::mpsc;
use verify::Rule;
use wire::{
    NodeKey,
    checkpoint::{SignedCheckpoint, log_name},
    merkle::{ConsistencyProof, ProofHash, TreeHead, verify_consistency},
    round::SeenHead,
};

use crate::{
    evidence::EvidenceKeeper,
    http::{Answer, Failure, require_media_type},
    members::Members,
    time::now,
};
use api::Code;

/// A node as a witness.
pub struct Witness {
    store: Store,
    key: Arc<NodeKey>,
    members: Arc<Members>,
    evidence: Arc<EvidenceKeeper>,
    /// Where a beacon hears of heads.
    heads: Option<mpsc::Sender<SeenHead>>,
}

impl Witness {
    /// A witness; a beacon is told of every head on `heads`.
    pub fn new(
        store: Store,
        key: Arc<NodeKey>,
        members: Arc<Members>,
        evidence: Arc<EvidenceKeeper>,
        heads: Option<mpsc::Sender<SeenHead>>,
    ) -> Arc<Self> {
        Arc::new(Self { store, key, members, evidence, heads })
    }

    /// The endpoint.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().route("/add-checkpoint", post(add_checkpoint)).with_state(Arc::clone(self))
    }
}

struct Call<'a> {
    old_size: u64,
    proof: ConsistencyProof,
    note: &'a str,
}

fn parse(body: &str) -> Option<Call<'_>> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let old = lines.next()?.strip_prefix("old ")?;
    let old_size: u64 = old.parse().ok()?;
    if old_size.to_string() != old {
        return None;
    }
    let hash = |line: &str| Some(ProofHash(STANDARD.decode(line).ok()?.try_into().ok()?));
    let hashes = lines.map(hash).collect::<Option<Vec<_>>>()?;
    Some(Call { old_size, proof: ConsistencyProof { hashes }, note })
}

async fn add_checkpoint(
    State(witness): State<Arc<Witness>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    require_media_type(&headers, "text/plain")?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Failure::new(Code::BadRequest, "the body is not UTF-8"))?;
    let malformed = "expected \"old <size>\", the lines of a proof, an empty line and a checkpoint";
    let call = parse(text).ok_or_else(|| Failure::new(Code::BadRequest, malformed))?;
    let network = witness.members.network();
    let snapshot = witness.members.snapshot();
    let origin = call.note.lines().next().unwrap_or_default();
    // The name ends in the node's key; the whole of it is compared.
    let node = origin.rsplit('/').next().and_then(|key| key.parse().ok());
    let log = node
        .and_then(|node| snapshot.node(&node))
        .filter(|known| log_name(&network, &known.body.node) == origin)
        .ok_or_else(|| Failure::not_found("log of that name in this network"))?;
    let log = log.body.node;
    let checkpoint = SignedCheckpoint::open(&network, &log, &[], call.note)
        .map_err(|error| Failure::new(Code::Forbidden, error.to_string()))?;
    if call.old_size > checkpoint.head.size {
        let detail = format!("old: {} is over the checkpoint's size", call.old_size);
        return Err(Failure::new(Code::BadRequest, detail));
    }
    witness.members.saw(log);
    let stored = witness.store.read(move |reader| reader.witnessed(&log)).await?;
    let (seen, seen_note) =
        stored.map_or((TreeHead::EMPTY, None), |stored| (stored.head, Some(stored.note)));
    if seen.size == checkpoint.head.size && seen.root != checkpoint.head.root {
        if let Some(first) = seen_note {
            let notes = vec![first.into_bytes(), call.note.as_bytes().to_vec()];
            witness.evidence.found(&log, Rule::TwoHistories, notes).await;
        }
        let detail = "another root was seen for this size: two histories of one log";
        return Err(Failure::new(Code::WitnessConflict, detail));
    }
    if call.old_size != seen.size {
        return Ok(seen_size(seen.size));
    }
    verify_consistency(&seen, &checkpoint.head, &call.proof)
        .map_err(|error| Failure::new(Code::NotVerified, error.to_string()))?;
    if checkpoint.head.size > seen.size {
        let (head, note, time) = (checkpoint.head, call.note.to_owned(), now());
        let put = witness
            .store
            .write(move |transaction| transaction.put_witnessed(&log, &seen, &head, &note, time));
        match put.await {
            Ok(()) => {}
            // Another call was faster: the caller starts again from what that one showed.
            Err(StoreError::StaleWitness { .. }) => {
                let stored = witness.store.read(move |reader| reader.witnessed(&log)).await?;
                return Ok(seen_size(stored.map_or(0, |stored| stored.head.size)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(heads) = &witness.heads {
        // The beacon's queue is drained at once; if it is gone, so is the node.
        let _ = heads.send(SeenHead { node: log, head: checkpoint.head }).await;
    }
    let line = checkpoint.cosign(&network, &witness.key, now().0 / 1_000);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response())
}

/// What the witness has seen, as C2SP `tlog-witness` says it.
fn seen_size(size: u64) -> Response {
    let media_type = [(header::CONTENT_TYPE, api::log::TLOG_SIZE_MEDIA_TYPE)];
    (StatusCode::CONFLICT, media_type, format!("{size}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_written_and_nothing_else() {
        let hash = STANDARD.encode([7; 32]);
        let body = format!("old 5\n{hash}\n{hash}\n\nnote\ntext\n");
        let call = parse(&body).expect("well-formed");
        assert_eq!((call.old_size, call.proof.hashes.len(), call.note), (5, 2, "note\ntext\n"));
        for bad in ["", "old 5\n", "old 05\n\nx", "old -1\n\nx", "new 5\n\nx", "old 5\nzz\n\nx"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }
}
