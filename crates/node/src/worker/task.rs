//! The task that drives `compute::Worker`.
//!
//! Invariant: a commit is stored, with what it hides, before it is sent; what was stored first for a
//! request and attempt is what is sent, whatever a second run would say.

use std::{convert::Infallible, sync::Arc, time::Duration};

use client::ClientError;
use compute::{StoredWork, Worker, WorkerEffect, WorkerEvent};
use store::{NewWork, Store, StoreError};
use tokio::sync::mpsc;
use verify::Rule;
use wire::{
    Attempt, Body, Millis, NodeId, NodeKey, RequestId, Signed,
    compute::{Commit, Draw, Request, Reveal},
};

use super::run::Runner;
use crate::{
    evidence::EvidenceKeeper,
    http::chain,
    log_keeper::LogKeeper,
    members::Members,
    metrics::Metrics,
    peers::Peers,
    time::{now, sleep_until},
};

/// The waits between tries to reach a relay, in ms; then the relay tells all again when it is back.
const RETRY_MS: [u64; 5] = [20, 100, 300, 1_000, 2_000];

/// The worker's task.
pub(crate) struct WorkerTask {
    worker: Worker,
    parts: WorkerParts,
    events: mpsc::Sender<WorkerEvent>,
    own: NodeId,
}

/// What the task works with.
#[derive(Clone)]
pub(crate) struct WorkerParts {
    pub store: Store,
    pub key: Arc<NodeKey>,
    pub members: Arc<Members>,
    pub peers: Arc<Peers>,
    pub log: Arc<LogKeeper>,
    pub evidence: Arc<EvidenceKeeper>,
    pub metrics: Arc<Metrics>,
    pub runner: Arc<Runner>,
    #[cfg(feature = "adversary")]
    pub conduct: crate::adversary::Conduct,
}

impl WorkerTask {
    /// Takes up what is stored; `events` leads back to the task. Blocks.
    pub(crate) fn open(
        parts: WorkerParts,
        events: mpsc::Sender<WorkerEvent>,
    ) -> Result<Self, StoreError> {
        use wire::key::StatementSigner as _;
        let network = parts.members.network();
        let mut worker = Worker::new(network, Arc::clone(&parts.key));
        let stored = parts.store.read_blocking(|reader| reader.unfinished_work())?;
        for work in stored {
            if let Some(work) = stored_work(&work)? {
                worker.handle(WorkerEvent::Restore(work), now());
            }
        }
        let own = parts.key.id();
        Ok(Self { worker, parts, events, own })
    }

    /// Runs until the store fails.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<WorkerEvent>,
    ) -> Result<Infallible, StoreError> {
        self.settle().await?;
        loop {
            tokio::select! {
                Some(event) = inputs.recv() => self.worker.handle(event, now()),
                () = sleep_until(self.worker.next_timeout()) => {
                    self.worker.handle_timeout(now());
                }
            }
            self.settle().await?;
        }
    }

    async fn finish(&self, request: RequestId, attempt: Attempt) -> Result<(), StoreError> {
        /// Finished work is kept for a day, for those who look into what a worker said.
        const KEEP_MS: u64 = 24 * 3_600_000;
        let before = Millis(now().0.saturating_sub(KEEP_MS));
        let finished = self.parts.store.write(move |transaction| {
            if transaction.work(&request, attempt)?.is_some() {
                transaction.finish_work(&request, attempt)?;
            }
            transaction.prune_work(before)
        });
        finished.await.map(|_| ())
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        while let Some(effect) = self.worker.next_effect() {
            match effect {
                WorkerEffect::Answer { relay, draw } => self.answer(relay, draw),
                WorkerEffect::Execute { request, id, attempt, script_seed, opened } => {
                    self.execute(request, id, attempt, script_seed, opened);
                }
                WorkerEffect::Persist(work) => {
                    // The commit that follows in the queue may be sent only if it is the stored one.
                    if !self.persist(&work).await? {
                        let _ = self.worker.next_effect();
                    }
                }
                WorkerEffect::Commit { relay, commit } => {
                    self.post("/v1/work/commit", relay, commit);
                }
                WorkerEffect::Reveal { relay, reveal } => {
                    #[cfg(feature = "adversary")]
                    self.parts.conduct.before_reveal(&self.parts, relay, &reveal);
                    self.post("/v1/work/reveal", relay, reveal);
                }
                WorkerEffect::Finish { request, attempt } => self.finish(request, attempt).await?,
                WorkerEffect::Omitted { relay, commit, receipt, tally } => {
                    let statements = [commit.bytes(), receipt.bytes(), tally.bytes()]
                        .map(|bytes| bytes.to_vec());
                    let found =
                        self.parts.evidence.found(&relay, Rule::OmittedCommit, statements.into());
                    found.await;
                }
            }
        }
        Ok(())
    }

    /// Sends an answer to a draw. It follows from key and seed, so it need not be stored first; it
    /// goes in the log like every statement.
    fn answer(&self, relay: NodeId, draw: Signed<Draw>) {
        Metrics::count(&self.parts.metrics.draws_answered);
        let (store, log, bytes) =
            (self.parts.store.clone(), Arc::clone(&self.parts.log), draw.bytes().clone());
        tokio::spawn(async move {
            let logged =
                store.write(move |transaction| transaction.append(&bytes, Draw::KIND)).await;
            match logged {
                Ok(_) => log.grew(),
                Err(error) => tracing::error!(%error, "a draw could not be logged"),
            }
        });
        self.post("/v1/work/draw", relay, draw);
    }

    fn execute(
        &self,
        request: Request,
        id: RequestId,
        attempt: Attempt,
        script_seed: [u8; 32],
        opened: Millis,
    ) {
        let (parts, events) = (self.parts.clone(), self.events.clone());
        tokio::spawn(async move {
            let left = Duration::from_millis(request.deadline.since(now()));
            let run = parts.runner.run(&request, script_seed, opened);
            match tokio::time::timeout(left, run).await {
                Ok(Ok(execution)) => {
                    #[cfg(feature = "adversary")]
                    let execution = parts.conduct.change(execution);
                    let executed = WorkerEvent::Executed { request: id, attempt, execution };
                    // The task is gone only when the node is.
                    let _ = events.send(executed).await;
                }
                Ok(Err(error)) => {
                    tracing::warn!(request = %id, error = chain(&error), "a script could not be run");
                }
                Err(_) => {
                    tracing::info!(request = %id, "the deadline passed before the script ended")
                }
            }
        });
    }

    /// Stores work; `false` if other work is stored for its place, which is then taken up instead.
    async fn persist(&mut self, work: &StoredWork) -> Result<bool, StoreError> {
        let (new, created) = (work.clone(), now());
        let written = self.parts.store.write(move |transaction| {
            transaction.put_work(&NewWork {
                request: new.request,
                attempt: new.attempt,
                relay: new.relay,
                deadline: new.deadline,
                created,
            })?;
            let (commit, reveal) = (new.commit.bytes(), new.reveal.bytes());
            let stored = transaction.put_work_commit(&new.request, new.attempt, commit, reveal)?;
            if let Some((commit, reveal)) = &stored.commit_and_reveal {
                transaction.append(commit, Commit::KIND)?;
                transaction.append(reveal, Reveal::KIND)?;
            }
            Ok(stored)
        });
        let stored = written.await?;
        self.parts.log.grew();
        let stored = stored_work(&stored)?
            .ok_or_else(|| StoreError::Damaged("work was stored without its commit".to_owned()))?;
        if stored.commit == work.commit {
            return Ok(true);
        }
        self.worker.handle(WorkerEvent::Restore(stored), now());
        Ok(false)
    }

    /// Sends a statement until the relay has taken or refused it.
    fn post<B: Body<Signer = NodeId> + Send + Sync + 'static>(
        &self,
        path: &'static str,
        relay: NodeId,
        statement: Signed<B>,
    ) {
        let (parts, events, own) = (self.parts.clone(), self.events.clone(), self.own);
        tokio::spawn(async move {
            for wait_ms in RETRY_MS {
                let snapshot = parts.members.snapshot();
                let Some(admission) = snapshot.node(&relay) else { return };
                let posted = match parts.peers.client(&admission.body) {
                    Ok(client) => client.post_work(path, &statement).await,
                    Err(error) => Err(error),
                };
                match posted {
                    Ok(receipt) => {
                        parts.members.saw(relay);
                        if let Some(receipt) = receipt {
                            let _ = events.send(WorkerEvent::Receipt(receipt)).await;
                        }
                        return;
                    }
                    Err(ClientError::Problem(problem)) if !problem.is_retryable() => {
                        let kind = B::KIND;
                        tracing::debug!(node = %own.short(), kind, %problem, "the relay refuses");
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(error = chain(&error), "the relay is not reached");
                    }
                }
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        });
    }
}

fn stored_work(work: &store::Work) -> Result<Option<StoredWork>, StoreError> {
    let Some((commit, reveal)) = &work.commit_and_reveal else { return Ok(None) };
    let damaged =
        |error: String| StoreError::Damaged(format!("work for request {}: {error}", work.request));
    Ok(Some(StoredWork {
        request: work.request,
        attempt: work.attempt,
        relay: work.relay,
        deadline: work.deadline,
        commit: Signed::open_trusted(commit).map_err(|error| damaged(error.to_string()))?,
        reveal: Signed::open_trusted(reveal).map_err(|error| damaged(error.to_string()))?,
    }))
}
