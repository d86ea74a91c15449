//! A relay's eyes on the beacon: checks every round, stores what it needs of it, hands it on.
//!
//! Invariant: rounds reach the relay's task in order, each checked against the one before, with the
//! roster whose root it names and the proof of how far this relay's log was seen; and stored.

use std::{sync::Arc, time::Duration};

use api::{RoundEvent, round::RosterView};
use client::{ClientError, PeerClient};
use clock::{FollowError, Follower};
use placement::RoundView;
use store::{Store, StoreError};
use tokio::sync::{mpsc, watch};
use wire::{
    Millis, NodeId, Round, Signed, StatementError,
    encoding::{self, EncodingError},
    merkle::{InclusionProof, MerkleError, verify_inclusion},
    network::{Admission, Role},
    round::{Roster, RoundOpening, SeenHead},
};

use crate::{
    beacon::{KEPT_ROUNDS, PRUNE_EVERY, encode_roster, stored_roster},
    http::chain,
    members::Members,
    peers::Peers,
    time::now,
};

/// How long to wait before the beacon is asked again after something failed.
const RETRY: Duration = Duration::from_millis(300);
/// The longest roster that is read, in bytes: ten thousand workers.
const MAX_ROSTER_BYTES: usize = 8 * 1024 * 1024;

/// Follows the beacon for one relay.
pub struct RoundFollower {
    store: Store,
    members: Arc<Members>,
    peers: Arc<Peers>,
    own: NodeId,
    newest: watch::Sender<Option<(Round, Millis, bool)>>,
}

/// What a relay stores of a round beside its statement.
type OwnHead = Option<(SeenHead, InclusionProof)>;

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("cannot follow the beacon")]
    Client(#[from] ClientError),
    #[error("the stream of rounds ended")]
    Ended,
    #[error("the network has no beacon")]
    NoBeacon,
    #[error("a statement of the beacon does not verify")]
    Statement(#[from] StatementError),
    #[error("the beacon's round is not accepted")]
    Follow(#[from] FollowError),
    #[error("what the beacon saw of this log is malformed")]
    Head(#[from] EncodingError),
    #[error("what the beacon saw of this log does not stand in its round")]
    Proof(#[from] MerkleError),
    #[error("the roster of round {0} is not the one that the round names")]
    Roster(Round),
    #[error("cannot store a round")]
    Store(#[from] StoreError),
    #[error("the relay's task has ended")]
    Stopped,
}

impl RoundFollower {
    /// Follows with what is stored.
    pub fn new(store: Store, members: Arc<Members>, peers: Arc<Peers>, own: NodeId) -> Arc<Self> {
        Arc::new(Self { store, members, peers, own, newest: watch::Sender::new(None) })
    }

    /// The newest round, when it came, and whether the beacon knows this relay's log.
    pub fn newest(&self) -> Option<(Round, Millis, bool)> {
        *self.newest.borrow()
    }

    /// The stored rounds that open requests may need, in order. Blocks.
    pub fn stored(&self, least: Round) -> Result<Vec<RoundView>, StoreError> {
        let network = self.members.network();
        self.store.read_blocking(|reader| {
            let (mut views, mut from) = (Vec::new(), least);
            loop {
                let page = reader.rounds_from(from, store::MAX_PAGE_ROWS)?;
                let Some(last) = page.last() else { return Ok(views) };
                from = last.round.next();
                for stored in &page {
                    views.push(view_of(&network, reader, stored)?);
                }
            }
        })
    }

    /// Follows the beacon for ever, handing each new round on.
    pub async fn run(self: Arc<Self>, rounds: mpsc::Sender<RoundView>) {
        loop {
            match self.follow(&rounds).await {
                RoundError::Stopped => return,
                error => tracing::warn!(error = chain(&error), "rounds are interrupted"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn follow(&self, rounds: &mpsc::Sender<RoundView>) -> RoundError {
        match self.follow_until_error(rounds).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn follow_until_error(
        &self,
        rounds: &mpsc::Sender<RoundView>,
    ) -> Result<std::convert::Infallible, RoundError> {
        let network = self.members.network();
        let snapshot = self.members.snapshot();
        let beacon = snapshot.first(Role::Beacon, now()).ok_or(RoundError::NoBeacon)?;
        let client = self.peers.client(&beacon.body)?;
        let stored = self.store.read(|reader| reader.latest_round()).await?;
        let mut follower = Follower::new(network, beacon.body.node, beacon.body.vrf, None);
        let mut last = None;
        if let Some(stored) = stored {
            follower.accept(&Signed::open(&network, &stored.statement)?)?;
            last = Some(stored.round);
        }
        let mut events = client.round_events(Some(self.own), last);
        let mut roster: Option<Arc<Roster>> = None;
        loop {
            let (_, event) = events.next().await.ok_or(RoundError::Ended)??;
            self.members.saw(beacon.body.node);
            let statement =
                Signed::<RoundOpening>::open(&network, event.view.statement.as_bytes())?;
            match follower.accept(&statement) {
                Ok(()) => {}
                // The beacon no longer keeps the rounds between: join its chain anew.
                Err(FollowError::Gap { .. }) => {
                    follower = Follower::new(network, beacon.body.node, beacon.body.vrf, None);
                    follower.accept(&statement)?;
                }
                Err(error) => return Err(error.into()),
            }
            let own_head = self.own_head(&statement, &event)?;
            let workers = match roster.take() {
                Some(known) if known.head() == statement.body.workers => known,
                _ => self.fetch_roster(&client, &statement).await?,
            };
            roster = Some(Arc::clone(&workers));
            let view = RoundView { statement, own_head, workers };
            self.keep(&view).await?;
            let known = view.own_head.is_some();
            self.newest.send_replace(Some((view.statement.body.round, now(), known)));
            rounds.send(view).await.map_err(|_| RoundError::Stopped)?;
        }
    }

    fn own_head(
        &self,
        statement: &Signed<RoundOpening>,
        event: &RoundEvent,
    ) -> Result<OwnHead, RoundError> {
        let Some(shown) = &event.seen_head else { return Ok(None) };
        let seen: SeenHead = encoding::from_bytes("a seen head", shown.leaf.as_bytes())?;
        verify_inclusion(&statement.body.heads, &shown.proof, &seen.leaf_hash())?;
        Ok((seen.node == self.own).then(|| (seen, shown.proof.clone())))
    }

    async fn fetch_roster(
        &self,
        client: &PeerClient,
        statement: &Signed<RoundOpening>,
    ) -> Result<Arc<Roster>, RoundError> {
        let network = self.members.network();
        let round = statement.body.round;
        let path = format!("/v1/rounds/{round}/workers");
        let view: RosterView = client.get_json(&path, MAX_ROSTER_BYTES).await?;
        let admissions = view
            .admissions
            .iter()
            .map(|bytes| Signed::<Admission>::open(&network, bytes.as_bytes()));
        let roster = Roster::new(admissions.collect::<Result<Vec<_>, _>>()?);
        if roster.head() != statement.body.workers {
            return Err(RoundError::Roster(round));
        }
        Ok(Arc::new(roster))
    }

    async fn keep(&self, view: &RoundView) -> Result<(), StoreError> {
        let (statement, roster) = (view.statement.clone(), Arc::clone(&view.workers));
        let own_head = encoding::to_bytes(&view.own_head);
        let stored = self.store.write(move |transaction| {
            let round = statement.body.round;
            transaction.put_roster(&roster.head().root, &encode_roster(&roster))?;
            transaction.put_round(round, statement.bytes(), &own_head)?;
            if round.0.is_multiple_of(PRUNE_EVERY) {
                transaction.prune_rounds(KEPT_ROUNDS)?;
            }
            Ok(())
        });
        stored.await
    }
}

/// A round as a relay stored it.
pub(crate) fn view_of(
    network: &wire::NetworkId,
    reader: &store::Reader,
    stored: &store::StoredRound,
) -> Result<RoundView, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("round {}: {what}", stored.round));
    let statement = Signed::<RoundOpening>::open_trusted(&stored.statement)
        .map_err(|error| damaged(error.to_string()))?;
    let own_head: OwnHead = encoding::from_bytes("an own head", &stored.heads)
        .map_err(|error| damaged(error.to_string()))?;
    let workers = stored_roster(network, reader, &statement)?;
    Ok(RoundView { statement, own_head, workers })
}
