//! The streams of offers from the relays, checked before the machine sees them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use api::WorkEvent;
use client::{ClientError, PeerClient};
use compute::WorkerEvent;
use tokio::{sync::mpsc, task::JoinHandle};
use verify::draw::{DrawError, check_offer};
use wire::{
    NodeId, Signed, StatementError,
    compute::Offer,
    encoding::{self, EncodingError},
    network::Role,
};

use crate::{http::chain, members::Members, peers::Peers, time::now};

/// How long to wait before a relay is followed again after something failed.
const RETRY: Duration = Duration::from_millis(300);
/// How often the list of relays is looked at, besides when it changes.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("cannot follow the relay")]
    Client(#[from] ClientError),
    #[error("the relay's stream ended")]
    Ended,
}

#[derive(Debug, thiserror::Error)]
enum OfferError {
    #[error("the network has no beacon")]
    NoBeacon,
    #[error("the offer is malformed")]
    Encoding(#[from] EncodingError),
    #[error("the offer does not hold")]
    Draw(#[from] DrawError),
    #[error("a statement of the relay does not verify")]
    Statement(#[from] StatementError),
}

/// Follows every current relay of the network, for ever.
pub(crate) async fn follow_relays(
    members: Arc<Members>,
    peers: Arc<Peers>,
    events: mpsc::Sender<WorkerEvent>,
) {
    let mut followed: BTreeMap<NodeId, JoinHandle<()>> = BTreeMap::new();
    let mut changes = members.changes();
    loop {
        let snapshot = members.snapshot();
        let current: Vec<NodeId> =
            snapshot.current(Role::Relay, now()).map(|known| known.body.node).collect();
        followed.retain(|relay, task| {
            let keep = current.contains(relay) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for relay in current {
            if let Entry::Vacant(free) = followed.entry(relay) {
                let (members, peers) = (Arc::clone(&members), Arc::clone(&peers));
                let events = events.clone();
                free.insert(tokio::spawn(follow_for_ever(members, peers, relay, events)));
            }
        }
        let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
    }
}

async fn follow_for_ever(
    members: Arc<Members>,
    peers: Arc<Peers>,
    relay: NodeId,
    events: mpsc::Sender<WorkerEvent>,
) {
    while !events.is_closed() {
        let snapshot = members.snapshot();
        let Some(admission) = snapshot.node(&relay) else { return };
        if let Ok(client) = peers.client(&admission.body) {
            let Err(error) = follow(&members, &client, relay, &events).await;
            let name = &admission.body.name;
            tracing::debug!(relay = name, error = chain(&error), "offers are interrupted");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(
    members: &Members,
    client: &PeerClient,
    relay: NodeId,
    events: &mpsc::Sender<WorkerEvent>,
) -> Result<std::convert::Infallible, FollowError> {
    let mut stream = client.work();
    loop {
        let (_, event) = stream.next().await.ok_or(FollowError::Ended)??;
        members.saw(relay);
        match checked(members, relay, &event) {
            Ok(Some(event)) => events.send(event).await.map_err(|_| FollowError::Ended)?,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(relay = %relay.short(), error = chain(&error), "an offer is refused");
            }
        }
    }
}

fn checked(
    members: &Members,
    relay: NodeId,
    event: &WorkEvent,
) -> Result<Option<WorkerEvent>, OfferError> {
    let network = members.network();
    match event {
        WorkEvent::Draw { offer } => {
            let offer: Offer = encoding::from_bytes("an offer", offer.as_bytes())?;
            let snapshot = members.snapshot();
            let beacon = snapshot.first(Role::Beacon, now()).ok_or(OfferError::NoBeacon)?;
            let draw = check_offer(&network, &beacon.body, &relay, &offer)?;
            Ok(Some(WorkerEvent::Offered {
                request: offer.request,
                relay,
                attempt: offer.attempt,
                round: draw.round,
                seed: draw.seed,
                opened: draw.opened,
                threshold: draw.threshold,
            }))
        }
        WorkEvent::Tally { tally, .. } => {
            let tally = Signed::open(&network, tally.as_bytes())?;
            Ok(Some(WorkerEvent::Tally(tally)))
        }
        WorkEvent::Ended { .. } => Ok(None),
    }
}
