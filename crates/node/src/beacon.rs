//! The beacon's shell: drives `clock::Beacon`, stores each round, then shows it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use clock::{Beacon, BeaconEffect, BeaconEvent, OpenedRound};
use serde::Deserialize;
use store::{Store, StoreError, StoredRound};
use tokio::sync::{mpsc, watch};
use wire::{
    Body as _, NodeId, NodeKey, Round, Signed, encoding,
    network::{Admission, Role},
    round::{Roster, RoundOpening, SeenHead, SeenHeads},
};

use crate::{
    http::{Answer, Failure, Stop, event_stream, header_text, json_event, ok, parameter},
    log_keeper::LogKeeper,
    members::Members,
    time::{now, sleep_until},
};
use api::{
    EpochView, RoundEvent, RoundList, RoundNumber, RoundView, SeedView,
    input::{LAST_EVENT_ID, page_limit},
    round::{RosterView, SeenHeadView},
};

/// Rounds that a beacon keeps, and a relay beside those that certificates need: a relay that was down finds those that its open requests need
/// (300 s in the shortest rounds), and an auditor the last hours; all are in the log for ever.
pub(crate) const KEPT_ROUNDS: u64 = 20_000;
/// Rounds are pruned once in so many.
pub(crate) const PRUNE_EVERY: u64 = 1_000;
/// The most rounds that are read at once for a stream.
const STREAM_PAGE: usize = 100;
/// The most heads that wait for the beacon's task; a witness call waits for room.
pub(crate) const HEAD_QUEUE: usize = 1_024;

/// What the beacon shows.
pub struct BeaconDesk {
    store: Store,
    members: Arc<Members>,
    latest: watch::Sender<Option<Arc<OpenedRound>>>,
    stop: Stop,
}

/// A stored round as it was opened.
fn opened_round(
    desk: &BeaconDesk,
    reader: &store::Reader,
    stored: &StoredRound,
) -> Result<OpenedRound, StoreError> {
    let network = desk.members.network();
    let damaged = |what: String| StoreError::Damaged(format!("round {}: {what}", stored.round));
    let statement = Signed::<RoundOpening>::open(&network, &stored.statement)
        .map_err(|error| damaged(error.to_string()))?;
    let heads: Vec<SeenHead> =
        encoding::from_bytes("heads", &stored.heads).map_err(|error| damaged(error.to_string()))?;
    let workers = stored_roster(&network, reader, &statement)?;
    Ok(OpenedRound { statement, heads: Arc::new(SeenHeads::new(heads)), workers })
}

/// The roster that a round commits to, as it is stored.
pub(crate) fn stored_roster(
    network: &wire::NetworkId,
    reader: &store::Reader,
    statement: &Signed<RoundOpening>,
) -> Result<Arc<Roster>, StoreError> {
    let root = statement.body.workers.root;
    let damaged = |what: String| StoreError::Damaged(format!("roster {root}: {what}"));
    let bytes = reader.roster(&root)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    decode_roster(network, &bytes).map_err(damaged)
}

/// The bytes in which a roster is stored.
pub(crate) fn encode_roster(roster: &Roster) -> Vec<u8> {
    let members: Vec<minicbor::bytes::ByteVec> =
        roster.members().iter().map(|known| known.bytes().to_vec().into()).collect();
    encoding::to_bytes(&members)
}

fn decode_roster(network: &wire::NetworkId, bytes: &[u8]) -> Result<Arc<Roster>, String> {
    let members: Vec<minicbor::bytes::ByteVec> =
        encoding::from_bytes("a roster", bytes).map_err(|error| error.to_string())?;
    let admissions = members.iter().map(|bytes| Signed::<Admission>::open(network, bytes));
    let admissions: Vec<_> =
        admissions.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok(Arc::new(Roster::new(admissions)))
}

impl BeaconDesk {
    /// Takes up the chain that is stored. Blocks.
    pub(crate) fn open(
        store: Store,
        members: Arc<Members>,
        stop: Stop,
    ) -> Result<Arc<Self>, StoreError> {
        let desk = Self { store, members, latest: watch::Sender::new(None), stop };
        let last = desk.store.read_blocking(|reader| {
            let stored = reader.latest_round()?;
            stored.map(|stored| opened_round(&desk, reader, &stored)).transpose()
        })?;
        desk.latest.send_replace(last.map(Arc::new));
        Ok(Arc::new(desk))
    }

    /// Whether a round is open.
    pub fn is_open(&self) -> bool {
        self.latest.borrow().is_some()
    }

    /// Opens rounds until the store fails.
    pub async fn run(
        self: Arc<Self>,
        key: Arc<NodeKey>,
        log: Arc<LogKeeper>,
        mut heads: mpsc::Receiver<SeenHead>,
    ) -> Result<Infallible, StoreError> {
        let network = self.members.network();
        let genesis_seed = self.members.snapshot().genesis().seed();
        let last = self.latest.borrow().as_deref().cloned();
        let mut period_ms = self.members.settings().values().period_ms;
        let mut beacon = Beacon::new(network, genesis_seed, key, period_ms, last, now());
        let mut changes = self.members.changes();
        changes.mark_changed();
        let mut roster = Arc::new(Roster::default());
        loop {
            tokio::select! {
                biased;
                Some(seen) = heads.recv() => beacon.handle(BeaconEvent::Head(seen), now()),
                Ok(()) = changes.changed() => {
                    let relays = self.members.snapshot();
                    let relays = relays.current(Role::Relay, now()).map(|known| known.body.node);
                    beacon.handle(BeaconEvent::Relays(relays.collect()), now());
                    let current_ms = self.members.settings().values().period_ms;
                    if current_ms != period_ms {
                        period_ms = current_ms;
                        beacon.handle(BeaconEvent::Period(period_ms), now());
                    }
                }
                () = sleep_until(beacon.next_timeout()) => {
                    let alive = self.members.alive(Role::Worker, now());
                    if alive != roster.members() {
                        roster = Arc::new(Roster::new(alive));
                        beacon.handle(BeaconEvent::Workers(Arc::clone(&roster)), now());
                    }
                    beacon.handle_timeout(now());
                }
            }
            while let Some(BeaconEffect::Publish(round)) = beacon.next_effect() {
                self.publish(round, &log).await?;
            }
        }
    }

    async fn publish(&self, round: OpenedRound, log: &LogKeeper) -> Result<(), StoreError> {
        let (statement, roster) = (round.statement.clone(), Arc::clone(&round.workers));
        let heads = encoding::to_bytes(&round.heads.as_slice().to_vec());
        let stored = self.store.write(move |transaction| {
            let number = statement.body.round;
            transaction.put_roster(&roster.head().root, &encode_roster(&roster))?;
            transaction.put_round(number, statement.bytes(), &heads)?;
            transaction.append(statement.bytes(), RoundOpening::KIND)?;
            if number.0.is_multiple_of(PRUNE_EVERY) {
                transaction.prune_rounds(KEPT_ROUNDS)?;
            }
            Ok(())
        });
        stored.await?;
        tracing::debug!(round = round.statement.body.round.0, "round opened");
        self.latest.send_replace(Some(Arc::new(round)));
        log.grew();
        Ok(())
    }

    fn newest(&self) -> Answer<Arc<OpenedRound>> {
        let newest = self.latest.borrow().clone();
        newest.ok_or_else(|| Failure::new(api::Code::NotReady, "no round has been opened yet"))
    }

    async fn round(
        self: &Arc<Self>,
        number: Round,
    ) -> Result<Option<Arc<OpenedRound>>, StoreError> {
        let newest = self.latest.borrow().clone();
        if let Some(newest) = newest.filter(|newest| newest.statement.body.round == number) {
            return Ok(Some(newest));
        }
        let desk = Arc::clone(self);
        let read = self.store.read(move |reader| {
            let stored = reader.round(number)?;
            stored.map(|stored| opened_round(&desk, reader, &stored).map(Arc::new)).transpose()
        });
        read.await
    }

    /// The endpoints.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/epoch", get(epoch))
            .route("/round", get(round_number))
            .route("/seed", get(seed))
            .route("/v1/rounds", get(rounds))
            .route("/v1/rounds/stream", get(stream))
            .route("/v1/rounds/{round}", get(round))
            .route("/v1/rounds/{round}/workers", get(workers))
            .with_state(Arc::clone(self))
    }
}

type Desk = State<Arc<BeaconDesk>>;

async fn epoch(State(desk): Desk) -> Response {
    ok(&EpochView { epoch: desk.members.settings().values().period_ms })
}

async fn round_number(State(desk): Desk) -> Answer<Response> {
    Ok(ok(&RoundNumber { round: desk.newest()?.statement.body.round }))
}

async fn seed(State(desk): Desk) -> Answer<Response> {
    Ok(ok(&SeedView { seed: desk.newest()?.statement.body.seed }))
}

async fn round(State(desk): Desk, Path(number): Path<String>) -> Answer<Response> {
    let number = Round(parameter("round", &number)?);
    let found = desk.round(number).await?;
    let found = found.ok_or_else(|| Failure::not_found("round of that number"))?;
    Ok(ok(&RoundView::from(&found.statement)))
}

async fn workers(State(desk): Desk, Path(number): Path<String>) -> Answer<Response> {
    let number = Round(parameter("round", &number)?);
    let found = desk.round(number).await?;
    let found = found.ok_or_else(|| Failure::not_found("round of that number"))?;
    let admissions = found.workers.members().iter().map(Into::into).collect();
    Ok(ok(&RosterView { round: number, admissions }))
}

#[derive(Deserialize)]
struct Page {
    from: Option<String>,
    limit: Option<u32>,
}

async fn rounds(State(desk): Desk, Query(page): Query<Page>) -> Answer<Response> {
    let limit = u64::from(page_limit(page.limit)?);
    let newest = desk.newest()?.statement.body.round;
    let from = match page.from {
        Some(text) => Round(parameter("from", &text)?),
        None => Round((newest.0 + 1).saturating_sub(limit)),
    };
    let count = usize::try_from(limit).expect("a page is small");
    let stored = desk.store.read(move |reader| reader.rounds_from(from, count)).await?;
    let network = desk.members.network();
    let mut views = Vec::with_capacity(stored.len());
    for round in &stored {
        let statement = Signed::<RoundOpening>::open(&network, &round.statement)
            .map_err(|error| StoreError::Damaged(error.to_string()))?;
        views.push(RoundView::from(&statement));
    }
    let next = views.last().map(|last| last.round.next()).filter(|next| *next <= newest);
    Ok(ok(&RoundList { rounds: views, next }))
}

#[derive(Deserialize)]
struct StreamQuery {
    heads_of: Option<String>,
}

/// Where a stream of rounds stands.
struct Follow {
    desk: Arc<BeaconDesk>,
    heads_of: Option<NodeId>,
    next: Round,
    latest: watch::Receiver<Option<Arc<OpenedRound>>>,
    ahead: VecDeque<Arc<OpenedRound>>,
}

async fn stream(
    State(desk): Desk,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let heads_of = query.heads_of.map(|text| parameter("heads_of", &text)).transpose()?;
    let after = header_text(&headers, LAST_EVENT_ID)?;
    let after: Option<u64> = after.map(|text| parameter(LAST_EVENT_ID, text)).transpose()?;
    let newest = desk.latest.borrow().as_ref().map_or(Round(0), |round| round.statement.body.round);
    let next = after.map_or(newest, |after| Round(after).next());
    let (latest, ahead) = (desk.latest.subscribe(), VecDeque::new());
    let stop = desk.stop.clone();
    let follow = Follow { desk, heads_of, next, latest, ahead };
    let events = futures_util::stream::unfold(follow, |mut follow| async move {
        let round = follow.next_round().await?;
        let body = &round.statement.body;
        let seen = follow.heads_of.and_then(|node| round.heads.of(&node));
        let event = RoundEvent {
            view: RoundView::from(&round.statement),
            seen_head: seen.map(|(seen, proof)| SeenHeadView::new(&seen, proof)),
        };
        follow.next = body.round.next();
        Some((json_event(RoundEvent::NAME, body.round.0, &event), follow))
    });
    Ok(event_stream(&stop, events))
}

impl Follow {
    /// The next round, from memory if it is the newest, else from the store; `None` when the node
    /// stops.
    async fn next_round(&mut self) -> Option<Arc<OpenedRound>> {
        loop {
            if let Some(round) = self.ahead.pop_front() {
                return Some(round);
            }
            let newest = self.latest.borrow_and_update().clone();
            if let Some(newest) = newest
                && newest.statement.body.round >= self.next
            {
                if newest.statement.body.round == self.next {
                    return Some(newest);
                }
                let (desk, next) = (Arc::clone(&self.desk), self.next);
                let read = self.desk.store.read(move |reader| {
                    let stored = reader.rounds_from(next, STREAM_PAGE)?;
                    stored.iter().map(|stored| opened_round(&desk, reader, stored)).collect()
                });
                let rounds: Vec<OpenedRound> = read.await.ok()?;
                if rounds.is_empty() {
                    return None;
                }
                self.ahead.extend(rounds.into_iter().map(Arc::new));
                continue;
            }
            self.latest.changed().await.ok()?;
        }
    }
}
