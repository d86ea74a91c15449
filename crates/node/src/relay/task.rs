//! The task that drives `compute::Relay` and `placement::Drawn`.
//!
//! Invariants: one task owns both machines; whatever they want stored is stored, in one transaction
//! per batch, before anything is told to anybody; if the store fails, the node stops.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

use compute::{Ending, Record, Refusal, Relay, RelayEffect, RelayEvent, RelayLimits};
use placement::{DrawRefusal, Drawn, DrawnEffect, DrawnEvent, Opened, RoundView};
use store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use verify::Rule;
use wire::{
    Body as _, Millis, NodeId, NodeKey, RequestId, Round, Signed, StatementHash,
    agreement::required_votes,
    compute::{Commit, Draw, DrawOpening, Offer, Receipt, Request, Reveal, Tally},
    encoding,
    network::Settings,
};

use super::{
    hub::WorkHub,
    records::store_record,
    restore::restore,
    stories::Stories,
    story::{RoundFacts, Told},
};
use crate::{
    evidence::EvidenceKeeper,
    log_keeper::LogKeeper,
    members::Members,
    metrics::Metrics,
    rounds::RoundFollower,
    time::{now, sleep_until},
};
use api::WorkEvent;

/// The most inputs taken in before their records are stored: a batch shares one write to disk.
const BATCH: usize = 256;
/// Rounds whose facts are kept for stories; more than any open request needs.
const KEPT_FACTS: usize = 4_096;
/// The way there and back that is added to a script's time before commits close, in ms.
const COMMIT_GRACE_MS: u64 = 1_000;

/// Why a worker's statement was not taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Declined {
    Draw(DrawRefusal),
    Work(Refusal),
}

/// What a worker is answered: the receipt of a commit or reveal, nothing for a draw.
type StatementResult = Result<Option<Signed<Receipt>>, Declined>;

pub(crate) type StatementReply = oneshot::Sender<StatementResult>;

/// What the endpoints hand to the task.
#[derive(Debug)]
pub(crate) enum Input {
    Submit { request: Request, key: Option<String>, reply: oneshot::Sender<Result<(), Refusal>> },
    Draw(Signed<Draw>, StatementReply),
    Commit(Signed<Commit>, StatementReply),
    Reveal(Signed<Reveal>, StatementReply),
}

/// Why the task ended.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The store failed: nothing can be promised any more.
    #[error("the relay's store failed")]
    Store(#[from] StoreError),
}

/// The relay's task.
pub(crate) struct RelayTask {
    relay: Relay,
    drawn: Drawn,
    store: Store,
    members: Arc<Members>,
    log: Arc<LogKeeper>,
    evidence: Arc<EvidenceKeeper>,
    metrics: Arc<Metrics>,
    hub: Arc<WorkHub>,
    stories: Arc<Stories>,
    open_requests: usize,
    keys: HashMap<RequestId, String>,
    submits: HashMap<RequestId, Vec<oneshot::Sender<Result<(), Refusal>>>>,
    replies: HashMap<StatementHash, Vec<StatementReply>>,
    requests: HashMap<RequestId, Request>,
    facts: BTreeMap<Round, RoundFacts>,
}

/// What a batch stores, and what follows once it is stored.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    then: Vec<RelayEffect>,
    announced: Vec<Opened>,
    replies: Vec<(StatementHash, StatementResult)>,
}

fn limits(settings: &Settings, open_requests: usize) -> RelayLimits {
    RelayLimits {
        open_requests,
        commit_window_ms: settings.script_time_ms + COMMIT_GRACE_MS,
        reveal_window_ms: settings.reveal_window_ms,
        attempts: u32::try_from(settings.max_attempts).unwrap_or(u32::MAX),
    }
}

pub(crate) struct RelayParts {
    pub store: Store,
    pub key: Arc<NodeKey>,
    pub members: Arc<Members>,
    pub log: Arc<LogKeeper>,
    pub evidence: Arc<EvidenceKeeper>,
    pub metrics: Arc<Metrics>,
    pub hub: Arc<WorkHub>,
    pub stories: Arc<Stories>,
    pub open_requests: usize,
}

impl RelayTask {
    /// Takes up what is stored. Blocks.
    pub(crate) fn open(parts: RelayParts, follower: &RoundFollower) -> Result<Self, TaskError> {
        let network = parts.members.network();
        let settings = parts.members.settings();
        let settings = settings.values();
        let relay = Relay::new(network, parts.key, limits(settings, parts.open_requests));
        let drawn = Drawn::new(network, settings.draw_window_ms);
        let mut task = Self {
            relay,
            drawn,
            store: parts.store,
            members: parts.members,
            log: parts.log,
            evidence: parts.evidence,
            metrics: parts.metrics,
            hub: parts.hub,
            stories: parts.stories,
            open_requests: parts.open_requests,
            keys: HashMap::new(),
            submits: HashMap::new(),
            replies: HashMap::new(),
            requests: HashMap::new(),
            facts: BTreeMap::new(),
        };
        let newest = task.store.read_blocking(|reader| reader.latest_round())?;
        let newest = newest.map_or(Round(0), |round| round.round);
        let least = Round(newest.0.saturating_sub(KEPT_FACTS as u64));
        for view in follower.stored(least)? {
            task.know_round(&view);
            task.drawn.handle(DrawnEvent::Round(view), now());
        }
        let stories = Arc::clone(&task.stories);
        let open = task.store.read_blocking(|reader| {
            let open = reader.open_requests()?;
            let both = |stored: &store::OpenRequest| {
                Ok((restore(reader, stored)?, stories.read(reader, &stored.request)?))
            };
            open.iter().map(both).collect::<Result<Vec<_>, StoreError>>()
        })?;
        for (stored, story) in open {
            let id = stored.request.id();
            tracing::info!(request = %id, "an open request is taken up again");
            task.requests.insert(id, stored.request.clone());
            task.stories.resume(id, story);
            task.relay.handle(RelayEvent::Restore(stored), now());
        }
        Ok(task)
    }

    /// Runs until the store fails.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut rounds: mpsc::Receiver<RoundView>,
    ) -> Result<Infallible, TaskError> {
        let mut changes = self.members.changes();
        self.settle().await?;
        loop {
            let relay_due = self.relay.next_timeout();
            let due = match (relay_due, self.drawn.next_timeout()) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            tokio::select! {
                biased;
                Some(view) = rounds.recv() => {
                    self.know_round(&view);
                    self.drawn.handle(DrawnEvent::Round(view), now());
                }
                Some(input) = inputs.recv() => {
                    self.take(input);
                    for _ in 1..BATCH {
                        let Ok(input) = inputs.try_recv() else { break };
                        self.take(input);
                    }
                }
                () = sleep_until(due) => {}
                Ok(()) = changes.changed() => {
                    let settings = self.members.settings();
                    self.relay.set_limits(limits(settings.values(), self.open_requests));
                    let window = DrawnEvent::Window(settings.values().draw_window_ms);
                    self.drawn.handle(window, now());
                }
            }
            self.relay.handle_timeout(now());
            self.drawn.handle_timeout(now());
            self.settle().await?;
        }
    }

    fn know_round(&mut self, view: &RoundView) {
        let body = &view.statement.body;
        // The next round draws from the workers that this one names.
        let next = RoundFacts { opened: Millis(0), population: body.workers.size };
        self.facts.entry(body.round.next()).or_insert(next).population = body.workers.size;
        self.facts.entry(body.round).or_insert(next).opened = body.opened;
        while self.facts.len() > KEPT_FACTS {
            self.facts.pop_first();
        }
    }

    fn take(&mut self, input: Input) {
        let time = now();
        match input {
            Input::Submit { request, key, reply } => {
                let id = request.id();
                if let Some(key) = key {
                    self.keys.insert(id, key);
                }
                self.submits.entry(id).or_default().push(reply);
                self.requests.insert(id, request.clone());
                self.relay.handle(RelayEvent::Submit(request), time);
            }
            Input::Draw(draw, reply) => {
                self.replies.entry(draw.hash()).or_default().push(reply);
                self.drawn.handle(DrawnEvent::Answer(draw), time);
            }
            Input::Commit(commit, reply) => {
                self.replies.entry(commit.hash()).or_default().push(reply);
                self.relay.handle(RelayEvent::Commit(commit), time);
            }
            Input::Reveal(reveal, reply) => {
                self.replies.entry(reveal.hash()).or_default().push(reply);
                self.relay.handle(RelayEvent::Reveal(reveal), time);
            }
        }
    }

    /// Carries out what the machines want, until they want nothing more.
    async fn settle(&mut self) -> Result<(), TaskError> {
        loop {
            let batch = self.drain();
            let nothing = batch.records.is_empty()
                && batch.then.is_empty()
                && batch.announced.is_empty()
                && batch.replies.is_empty();
            if nothing {
                self.metrics
                    .requests_open
                    .store(self.relay.open_requests() as u64, Ordering::Relaxed);
                return Ok(());
            }
            let openers = self.persist(&batch).await?;
            self.tell_stories(batch.records);
            for (statement, result) in batch.replies {
                self.reply(statement, &result);
            }
            for effect in batch.then {
                self.carry_out(effect, &openers).await;
            }
            self.announce(batch.announced).await?;
        }
    }

    /// Takes all effects of both machines; a draw that ended goes from one to the other.
    fn drain(&mut self) -> Batch {
        let mut batch = Batch::default();
        loop {
            if let Some(effect) = self.relay.next_effect() {
                match effect {
                    RelayEffect::Persist(record) => batch.records.push(record),
                    effect => batch.then.push(effect),
                }
            } else if let Some(effect) = self.drawn.next_effect() {
                match effect {
                    DrawnEffect::Announce(opened) => batch.announced.push(opened),
                    DrawnEffect::Answered { statement } => {
                        batch.replies.push((statement, Ok(None)));
                    }
                    DrawnEffect::Refused { statement, refusal } => {
                        batch.replies.push((statement, Err(Declined::Draw(refusal))));
                    }
                    DrawnEffect::Concluded { request, attempt, round, population, drawn } => {
                        let event =
                            RelayEvent::Drawn { request, attempt, round, population, drawn };
                        self.relay.handle(event, now());
                    }
                }
            } else {
                return batch;
            }
        }
    }

    /// Stores a batch's records in one transaction; where the openers of its draws stand in the log.
    async fn persist(&mut self, batch: &Batch) -> Result<HashMap<StatementHash, u64>, TaskError> {
        let openers: Vec<StatementHash> = batch
            .then
            .iter()
            .filter_map(|effect| match effect {
                RelayEffect::OpenDraw { opener, .. } => Some(*opener),
                _ => None,
            })
            .collect();
        if batch.records.is_empty() && openers.is_empty() {
            return Ok(HashMap::new());
        }
        let records = batch.records.clone();
        let mut keys = HashMap::new();
        for record in &records {
            if let Record::Request { request, .. } = record {
                let id = request.id();
                if let Some(key) = self.keys.remove(&id) {
                    keys.insert(id, key);
                }
            }
        }
        let written = self.store.write(move |transaction| {
            for record in &records {
                store_record(transaction, record, &keys)?;
            }
            let mut indexes = HashMap::new();
            for opener in openers {
                let index = transaction.index_of(&opener)?.ok_or_else(|| {
                    StoreError::Damaged(format!("the log lacks the statement {opener}"))
                })?;
                indexes.insert(opener, index);
            }
            Ok(indexes)
        });
        let indexes = written.await?;
        self.log.grew();
        Ok(indexes)
    }

    fn tell_stories(&self, records: Vec<Record>) {
        let facts = |round: Round| self.facts.get(&round).copied();
        for record in records {
            let (request, told) = match record {
                Record::Request { request, received } => {
                    Metrics::count(&self.metrics.requests_received);
                    self.stories.begin(&request, received.body.received);
                    continue;
                }
                Record::Statement { request, kind, bytes, .. } => {
                    let told = match kind {
                        Draw::KIND => Signed::open_trusted(&bytes).map(Told::Draw),
                        Commit::KIND => Signed::open_trusted(&bytes).map(Told::Commit),
                        Tally::KIND => Signed::open_trusted(&bytes).map(Told::Tally),
                        Reveal::KIND => Signed::open_trusted(&bytes).map(Told::Reveal),
                        _ => continue,
                    };
                    (request, told.expect("it was a statement before it was stored"))
                }
                Record::End { request, ending: Ending::Agreed(agreement), ended, .. } => {
                    Metrics::count(&self.metrics.requests_agreed);
                    let dissents = agreement.body.dissenting.len() as u64;
                    self.metrics.dissents.fetch_add(dissents, Ordering::Relaxed);
                    (request, Told::Agreed(agreement, ended))
                }
                Record::End { request, ending: Ending::Failed(failure), .. } => {
                    Metrics::count(&self.metrics.requests_failed);
                    (request, Told::Failed(failure))
                }
            };
            self.stories.add(&request, told, &facts);
        }
    }

    fn reply(&mut self, statement: StatementHash, result: &StatementResult) {
        for reply in self.replies.remove(&statement).unwrap_or_default() {
            // Who asked may have gone.
            let _ = reply.send(result.clone());
        }
    }

    async fn carry_out(&mut self, effect: RelayEffect, openers: &HashMap<StatementHash, u64>) {
        match effect {
            RelayEffect::Persist(_) => unreachable!("records were taken out"),
            RelayEffect::Accepted(id) => self.answer_submit(id, Ok(())),
            RelayEffect::Rejected { request, refusal } => {
                self.requests.remove(&request);
                self.keys.remove(&request);
                self.answer_submit(request, Err(refusal));
            }
            RelayEffect::OpenDraw { request, attempt, committee, opener } => {
                let log_index = openers[&opener];
                let open = DrawnEvent::Open { request, attempt, committee, opener, log_index };
                self.drawn.handle(open, now());
            }
            RelayEffect::Receipt(receipt) => {
                self.reply(receipt.body.statement, &Ok(Some(receipt)));
            }
            RelayEffect::Refused { statement, refusal } => {
                self.reply(statement, &Err(Declined::Work(refusal)));
            }
            RelayEffect::Tallied(tally) => {
                let (request, attempt) = (tally.body.request, tally.body.attempt);
                let required = self
                    .requests
                    .get(&request)
                    .map_or(0, |known| required_votes(known, attempt, tally.body.population));
                // Too few by chance is no sign of haste; drawn and not heard of is.
                let (drawn, commits) = (tally.body.drawn.len(), tally.body.commits.len());
                if drawn >= required && commits < drawn {
                    self.drawn.handle(DrawnEvent::Late, now());
                }
                let tally = (&tally).into();
                self.hub.tell(request, &WorkEvent::Tally { request, attempt, tally });
            }
            RelayEffect::Conflict { worker, first, second } => {
                Metrics::count(&self.metrics.conflicts);
                self.accuse(worker, &first, &second).await;
            }
            RelayEffect::Ended { request, ending } => {
                self.requests.remove(&request);
                let agreed = matches!(ending, Ending::Agreed(_));
                self.drawn.handle(DrawnEvent::Abandon { request, agreed }, now());
                let statement = match &ending {
                    Ending::Agreed(agreement) => agreement.into(),
                    Ending::Failed(failure) => failure.into(),
                };
                self.hub.tell(request, &WorkEvent::Ended { request, statement });
            }
        }
    }

    fn answer_submit(&mut self, id: RequestId, result: Result<(), Refusal>) {
        for reply in self.submits.remove(&id).unwrap_or_default() {
            let _ = reply.send(result);
        }
    }

    /// Two statements of one kind for one place, or a reveal that does not open its commit.
    async fn accuse(&self, worker: NodeId, first: &[u8], second: &[u8]) {
        let kind =
            |bytes: &[u8]| wire::statement::Envelope::from_bytes(bytes).ok().map(|it| it.kind);
        let rule =
            if kind(first) == kind(second) { Rule::TwoStatements } else { Rule::FalseReveal };
        self.evidence.found(&worker, rule, vec![first.to_vec(), second.to_vec()]).await;
    }

    /// Shows draws to the workers, with the proofs that they check.
    async fn announce(&mut self, opened: Vec<Opened>) -> Result<(), TaskError> {
        for opened in opened {
            let Some(request) = self.requests.get(&opened.request).cloned() else { continue };
            let (log_index, opener) = (opened.log_index, opened.opener);
            let (Some((head, head_proof)), Some((previous_head, previous_head_proof))) =
                (opened.decides.own_head.clone(), opened.before.own_head.clone())
            else {
                unreachable!("a round decides only with both heads");
            };
            let size = head.head.size;
            let read = self.store.read(move |reader| {
                let missing = || StoreError::Damaged(format!("the log lacks entry {log_index}"));
                let entry = reader.entry(log_index)?.ok_or_else(missing)?;
                let proof = reader.inclusion(log_index, size)?.ok_or_else(missing)?;
                Ok((entry.bytes, proof))
            });
            let (opener_bytes, opener_proof) = read.await?;
            debug_assert_eq!(wire::merkle::leaf_hash(&opener_bytes), opener.0);
            let offer = Offer {
                request,
                attempt: opened.attempt,
                opener: opener_bytes,
                previous_round: opened.before.statement.bytes().to_vec(),
                round: opened.decides.statement.bytes().to_vec(),
                opening: DrawOpening {
                    opener_proof,
                    head,
                    head_proof,
                    previous_head,
                    previous_head_proof,
                },
            };
            let offer = encoding::to_bytes(&offer).into();
            self.hub.tell(opened.request, &WorkEvent::Draw { offer });
        }
        Ok(())
    }
}
