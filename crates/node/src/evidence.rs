//! Evidence that this node found or was shown: judged, kept, and given to whoever asks.
//!
//! Invariant: only what convicts is kept; an attempt that proves nothing is dropped with a warning.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;
use store::{NewEvidence, Store};
use verify::{Evidence, Rule};
use wire::{NodeId, StatementHash, merkle::leaf_hash};

use crate::{
    http::{Answer, Failure, ok, parameter},
    members::Members,
    time::now,
};
use api::{EvidenceList, EvidenceView};

/// Where a node keeps evidence.
pub struct EvidenceKeeper {
    store: Store,
    members: Arc<Members>,
}

impl EvidenceKeeper {
    /// The evidence in a store.
    pub fn new(store: Store, members: Arc<Members>) -> Arc<Self> {
        Arc::new(Self { store, members })
    }

    /// Judges statements against a node, and keeps them if they convict it.
    pub async fn found(&self, accused: &NodeId, rule: Rule, statements: Vec<Vec<u8>>) {
        let snapshot = self.members.snapshot();
        let Some(admission) = snapshot.node(accused).cloned() else { return };
        let genesis = snapshot.genesis().clone();
        let evidence = match Evidence::new(genesis, admission, rule, statements) {
            Ok(evidence) => evidence,
            Err(error) => {
                tracing::warn!(accused = %accused, %error, "what looked like a fault proves nothing");
                return;
            }
        };
        let verdict = evidence.verdict().clone();
        tracing::warn!(accused = verdict.name, rule = ?verdict.rule, reason = verdict.reason, "evidence");
        let json = evidence.to_json();
        let kept = self.store.write(move |transaction| {
            transaction.put_evidence(&NewEvidence {
                id: StatementHash(leaf_hash(&json)),
                accused: verdict.accused,
                bytes: &json,
                found: now(),
            })
        });
        if let Err(error) = kept.await {
            tracing::error!(%error, "evidence could not be stored");
        }
    }

    /// The endpoints.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v1/evidence", get(list))
            .route("/v1/evidence/{id}", get(file))
            .with_state(Arc::clone(self))
    }
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list(
    State(keeper): State<Arc<EvidenceKeeper>>,
    Query(page): Query<Page>,
) -> Answer<Response> {
    let limit = api::input::page_limit(page.limit)? as usize;
    let cursor = page.cursor.map(|text| parameter("cursor", &text)).transpose()?;
    let stored = keeper.store.read(move |reader| reader.list_evidence(cursor, limit)).await?;
    let next = (stored.len() == limit).then(|| stored.last().map(|last| last.cursor.to_string()));
    let view = |stored: &store::StoredEvidence| {
        // What is stored was judged; judging again names it.
        let verdict = Evidence::from_json(&stored.bytes).ok()?.verdict().clone();
        let rule = serde_json::to_value(verdict.rule).ok()?;
        Some(EvidenceView {
            id: stored.id,
            node: verdict.accused,
            name: verdict.name,
            rule: rule.as_str()?.to_owned(),
            summary: verdict.reason,
            found_ms: stored.found,
        })
    };
    let evidence = stored.iter().filter_map(view).collect();
    Ok(ok(&EvidenceList { evidence, next: next.flatten() }))
}

async fn file(
    State(keeper): State<Arc<EvidenceKeeper>>,
    Path(id): Path<String>,
) -> Answer<Response> {
    let id = parameter("id", &id)?;
    let bytes = keeper.store.read(move |reader| reader.evidence(&id)).await?;
    let bytes = bytes.ok_or_else(|| Failure::not_found("evidence of that id"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}
