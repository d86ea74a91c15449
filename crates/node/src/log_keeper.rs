//! The node's own log: its checkpoint, who witnesses it, and its endpoints.
//!
//! Invariant: a checkpoint is only signed for a head whose statements are durable, and a size has
//! one root, so this node can never be shown to have two histories.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use client::{ClientError, WitnessAnswer};
use store::{Store, StoreError};
use tokio::sync::watch;
use wire::{
    NodeId, NodeKey, Signed,
    checkpoint::{self, SignedCheckpoint},
    key::StatementSigner as _,
    merkle::ConsistencyProof,
    network::{Admission, Role},
    tile::Tile,
};

use crate::{
    http::{Answer, Failure, ok},
    members::Members,
    peers::Peers,
    time::now,
};
use api::{LogView, WitnessView};

/// How often cosignatures are gathered while the log grows: often enough that a split view is
/// noticed at once, seldom enough to cost nothing.
const GATHER_EVERY: Duration = Duration::from_secs(2);
/// The most witnesses asked for one log; a few honest ones are enough, and a hundred cosignatures
/// would not fit in a note.
const MAX_WITNESSES: usize = 16;
/// The longest wait for one witness, so that a slow one delays nobody for long.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(3);

/// The log of one node.
pub struct LogKeeper {
    store: Store,
    key: Arc<NodeKey>,
    members: Arc<Members>,
    peers: Arc<Peers>,
    grown: watch::Sender<u64>,
    published: Mutex<Option<SignedCheckpoint>>,
    /// The size that each witness has seen.
    seen: Mutex<BTreeMap<NodeId, u64>>,
}

impl LogKeeper {
    /// The log in a store.
    pub fn new(
        store: Store,
        key: Arc<NodeKey>,
        members: Arc<Members>,
        peers: Arc<Peers>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            key,
            members,
            peers,
            grown: watch::Sender::new(0),
            published: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// Statements were appended.
    pub fn grew(&self) {
        self.grown.send_modify(|count| *count += 1);
    }

    /// Signs the checkpoint of the log as it is stored now.
    pub async fn sign_checkpoint(&self) -> Result<SignedCheckpoint, StoreError> {
        let head = self.store.read(|reader| reader.log_head()).await?;
        Ok(SignedCheckpoint::sign(&self.members.network(), &self.key, head))
    }

    /// The newest checkpoint that was shown to witnesses, with their cosignatures.
    async fn published(&self) -> Result<SignedCheckpoint, StoreError> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match published {
            Some(checkpoint) => Ok(checkpoint),
            None => self.sign_checkpoint().await,
        }
    }

    /// Shows a checkpoint to a witness; the cosignature line.
    async fn show(
        &self,
        witness: &Admission,
        checkpoint: &SignedCheckpoint,
    ) -> Result<String, ShowError> {
        let client = self.peers.client(witness)?;
        // The second try starts from the size that the witness says it has seen.
        for _ in 0..2 {
            let old = self.seen_by(&witness.node);
            let size = checkpoint.head.size;
            if old > size {
                return Err(ShowError::Ahead { seen: old, size });
            }
            let proof = self.store.read(move |reader| reader.consistency(old, size)).await?;
            let proof = proof.unwrap_or_default();
            let body = witness_body(old, &proof, checkpoint);
            let answer = tokio::time::timeout(WITNESS_TIMEOUT, client.add_checkpoint(&body)).await;
            let new = match answer.map_err(|_| ShowError::Slow)?? {
                WitnessAnswer::Cosigned(line) => {
                    self.remember(witness.node, size);
                    return Ok(line);
                }
                WitnessAnswer::Seen(size) => size,
            };
            self.remember(witness.node, new);
        }
        Err(ShowError::Moving)
    }

    fn seen_by(&self, witness: &NodeId) -> u64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(witness).copied().unwrap_or(0)
    }

    fn remember(&self, witness: NodeId, size: u64) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(witness, size);
    }

    /// Shows the log to the beacon: at once when it grows if `eager`, and often enough to count as
    /// alive. The beacon dates relays' logs this way, and knows by it who lives.
    pub async fn feed_beacon(self: Arc<Self>, eager: bool) {
        let mut grown = self.grown.subscribe();
        loop {
            let beacon = self.members.snapshot().first(Role::Beacon, now()).cloned();
            if let Some(beacon) = beacon.filter(|beacon| beacon.body.node != self.key.id()) {
                grown.mark_unchanged();
                let fed = async {
                    let checkpoint = self.sign_checkpoint().await?;
                    self.show(&beacon.body, &checkpoint).await
                };
                match fed.await {
                    Ok(_) => self.members.saw(beacon.body.node),
                    Err(error) => tracing::debug!(%error, "the beacon was not shown the log"),
                }
            }
            let beat = Duration::from_millis(self.members.settings().values().alive_ms / 4);
            if eager {
                let _ = tokio::time::timeout(beat, grown.changed()).await;
            } else {
                tokio::time::sleep(beat).await;
            }
        }
    }

    /// Gathers cosignatures while the log grows.
    pub async fn gather(self: Arc<Self>) {
        let mut grown = self.grown.subscribe();
        grown.mark_changed();
        loop {
            if grown.changed().await.is_err() {
                return;
            }
            match self.gather_once().await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "the log could not be read"),
            }
            tokio::time::sleep(GATHER_EVERY).await;
        }
    }

    async fn gather_once(&self) -> Result<(), StoreError> {
        let own = self.key.id();
        let network = self.members.network();
        let snapshot = self.members.snapshot();
        let mut witnesses: Vec<&Signed<Admission>> = snapshot
            .nodes()
            .filter(|known| known.body.node != own && known.body.is_current(now()))
            .collect();
        // Each log has other witnesses, so that the work is spread.
        witnesses.sort_by_key(|known| {
            let pair = [own.0, known.body.node.0].concat();
            wire::merkle::leaf_hash(&pair)
        });
        witnesses.truncate(MAX_WITNESSES);
        let mut checkpoint = self.sign_checkpoint().await?;
        let shown = witnesses.iter().map(|witness| self.show(&witness.body, &checkpoint));
        let answers = futures_util::future::join_all(shown).await;
        for (witness, answer) in witnesses.iter().zip(answers) {
            let cosigned = match answer {
                Ok(line) => checkpoint
                    .with_cosignature(&network, &witness.body.node, &line)
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match cosigned {
                Ok(cosigned) => {
                    self.members.saw(witness.body.node);
                    checkpoint = cosigned;
                }
                Err(error) => {
                    tracing::debug!(witness = witness.body.name, error, "no cosignature");
                }
            }
        }
        let (head, note) = (checkpoint.head, checkpoint.note().to_owned());
        let stored = self.store.write(move |transaction| transaction.put_checkpoint(&head, &note));
        stored.await?;
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint);
        Ok(())
    }

    /// The endpoints.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/checkpoint", get(get_checkpoint))
            .route("/tile/{*path}", get(get_tile))
            .route("/v1/log", get(get_log))
            .with_state(Arc::clone(self))
    }
}

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
enum ShowError {
    #[error("cannot call the witness")]
    Client(#[from] ClientError),
    #[error("cannot read the log")]
    Store(#[from] StoreError),
    #[error("the witness did not answer in {} s", WITNESS_TIMEOUT.as_secs())]
    Slow,
    #[error("the witness has seen {seen} statements of this log, of which {size} are here")]
    Ahead { seen: u64, size: u64 },
    #[error("the witness names another size each time")]
    Moving,
}

/// C2SP `tlog-witness`: the old size, the proof, an empty line, the checkpoint.
fn witness_body(old: u64, proof: &ConsistencyProof, checkpoint: &SignedCheckpoint) -> String {
    let mut body = format!("old {old}\n");
    for hash in &proof.hashes {
        body.push_str(&STANDARD.encode(hash.0));
        body.push('\n');
    }
    body.push('\n');
    body.push_str(checkpoint.note());
    body
}

async fn get_checkpoint(State(log): State<Arc<LogKeeper>>) -> Answer<Response> {
    let note = log.published().await?.note().to_owned();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

async fn get_tile(State(log): State<Arc<LogKeeper>>, Path(path): Path<String>) -> Answer<Response> {
    let tile = Tile::from_path(&path)
        .map_err(|error| Failure::new(api::Code::NotFound, error.to_string()))?;
    let size = log.published().await?.head.size;
    let bytes = log.store.read(move |reader| reader.tile(tile, size)).await?;
    let bytes = bytes.ok_or_else(|| Failure::not_found("such tile in the published tree"))?;
    // A tile never changes: whoever has it need not ask again.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

async fn get_log(State(log): State<Arc<LogKeeper>>) -> Answer<Response> {
    let checkpoint = log.published().await?;
    let (network, own) = (log.members.network(), log.key.id());
    let snapshot = log.members.snapshot();
    let name = |node: &NodeId| {
        snapshot.node(node).map_or_else(|| node.short(), |known| known.body.name.clone())
    };
    let witnesses = checkpoint.cosignatures.iter().map(|cosignature| WitnessView {
        node: cosignature.witness,
        name: name(&cosignature.witness),
        time_s: cosignature.time_s,
    });
    Ok(ok(&LogView {
        node: own,
        name: name(&own),
        origin: checkpoint::log_name(&network, &own),
        size: checkpoint.head.size,
        root: checkpoint.head.root,
        verifier_key: checkpoint::verifier_key(&network, &own).unwrap_or_default(),
        checkpoint: checkpoint.note().to_owned(),
        witnesses: witnesses.collect(),
    }))
}
