//! The real machines of a network in one place: they speak through a pool of messages that a test
//! delivers, repeats or loses, crash at any moment, and come back from what they had stored. The
//! last worker lies; a second relay and a forked beacon try to trap the honest ones. All that honest
//! nodes said is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clock::{Beacon, BeaconEffect, BeaconEvent, OpenedRound};
use compute::{
    Ending, Record, Relay, RelayEffect, RelayEvent, RelayLimits, StoredAttempt, StoredRequest,
    StoredWork, Worker, WorkerEffect, WorkerEvent,
};
use placement::{Drawn, DrawnEffect, DrawnEvent, RoundView};
use verify::{
    draw::check_offer,
    record::{AttemptParts, Parts, WorkerParts},
};
use wire::{
    Attempt, Body, Commitment, Millis, NodeId, NodeKey, RequestId, Round, Salt, Signed,
    StatementHash,
    checkpoint::SignedCheckpoint,
    compute::{
        Agreement, Commit, Draw, DrawOpening, Offer, Receipt, Request, Reveal, Tally, Threshold,
    },
    key::StatementSigner as _,
    merkle::{MemoryTree, prove_inclusion},
    round::{Roster, SeenHead},
};

use super::{CREATED, PERIOD_MS, World, request, says, sorted};

mod result;
mod shell;
mod trap;

pub use trap::Trap;

const WINDOW_MS: u64 = 500;
const LIMITS: RelayLimits = RelayLimits {
    open_requests: 8,
    commit_window_ms: WINDOW_MS,
    reveal_window_ms: WINDOW_MS,
    attempts: 3,
};

/// A message on its way.
#[derive(Debug, Clone)]
pub enum Message {
    Offer(usize, Box<Offer>),
    Execute(usize, RequestId, Attempt),
    Draw(Signed<Draw>),
    Commit(Signed<Commit>),
    Reveal(Signed<Reveal>),
    Receipt(Signed<Receipt>),
    Tally(Signed<Tally>),
}

struct Stored {
    stored: StoredRequest,
    ending: Option<Ending>,
}

/// The network.
pub struct Stage {
    pub world: World,
    /// Another relay, which nobody has to believe.
    pub stranger: Arc<NodeKey>,
    keys: Vec<Arc<NodeKey>>,
    relay_key: Arc<NodeKey>,
    now: Millis,
    beacon: Beacon,
    rounds: Vec<OpenedRound>,
    relay: Relay,
    drawn: Drawn,
    requests: BTreeMap<RequestId, Stored>,
    log: MemoryTree,
    positions: BTreeMap<StatementHash, u64>,
    workers: Vec<Worker>,
    work: Vec<BTreeMap<(RequestId, Attempt), StoredWork>>,
    pub pool: Vec<Message>,
    /// What was said, by kind; each once.
    pub said: BTreeMap<&'static str, BTreeSet<Vec<u8>>>,
    pub checkpoints: BTreeSet<String>,
}

fn key(secret: u8) -> Arc<NodeKey> {
    Arc::new(NodeKey::from_secret([secret; 32]))
}

impl Stage {
    /// `workers` workers, the last of them the liar's; the beacon has opened `lead` rounds.
    pub fn new(workers: u8, lead: u64) -> Self {
        let world = World::new(workers);
        let mut keys: Vec<_> = (0..workers).map(|number| key(16 + number)).collect();
        keys.sort_by_key(|key| key.id());
        let network = world.network;
        let (beacon_key, relay_key) = (key(1), key(2));
        let seed = world.genesis.seed();
        let mut beacon = Beacon::new(network, seed, beacon_key, PERIOD_MS, None, CREATED);
        beacon.handle(BeaconEvent::Relays(vec![relay_key.id()]), CREATED);
        beacon.handle(BeaconEvent::Workers(Arc::new(world.roster())), CREATED);
        let machine = |key: &Arc<NodeKey>| Worker::new(network, Arc::clone(key));
        let mut stage = Self {
            stranger: key(3),
            now: CREATED,
            beacon,
            rounds: Vec::new(),
            relay: Relay::new(network, Arc::clone(&relay_key), LIMITS),
            drawn: Drawn::new(network, WINDOW_MS),
            requests: BTreeMap::new(),
            log: MemoryTree::default(),
            positions: BTreeMap::new(),
            workers: keys.iter().map(machine).collect(),
            work: vec![BTreeMap::new(); keys.len()],
            pool: Vec::new(),
            said: BTreeMap::new(),
            checkpoints: BTreeSet::new(),
            world,
            keys,
            relay_key,
        };
        for _ in 0..lead {
            stage.open_round();
        }
        stage
    }

    fn liar(&self) -> usize {
        self.keys.len() - 1
    }

    pub fn is_liar(&self, node: &NodeId) -> bool {
        *node == self.keys[self.liar()].id() || *node == self.stranger.id()
    }

    fn say<B: Body>(&mut self, statement: &Signed<B>) {
        let kind = self.said.entry(B::KIND).or_default();
        kind.insert(statement.bytes().to_vec());
    }

    pub fn submit(&mut self, number: u8) {
        let request = Request {
            nonce: wire::Nonce([number; 16]),
            deadline: CREATED.plus(20 * PERIOD_MS),
            ..request(3, 2)
        };
        // The shell answers for those that have ended from its store.
        if self.requests.get(&request.id()).is_some_and(|known| known.ending.is_some()) {
            return;
        }
        self.relay.handle(RelayEvent::Submit(request), self.now);
        self.carry_out();
    }

    pub fn open_round(&mut self) {
        self.now = self.beacon.next_timeout().expect("rounds go on").max(self.now);
        let head = self.log.head();
        let checkpoint = SignedCheckpoint::sign(&self.world.network, &self.relay_key, head);
        self.checkpoints.insert(checkpoint.note().to_owned());
        let node = self.relay_key.id();
        self.beacon.handle(BeaconEvent::Head(SeenHead { node, head }), self.now);
        self.beacon.handle_timeout(self.now);
        while let Some(BeaconEffect::Publish(round)) = self.beacon.next_effect() {
            self.say(&round.statement);
            self.rounds.push(round);
            let view = self.view(self.rounds.len() - 1);
            self.drawn.handle(DrawnEvent::Round(view), self.now);
        }
        self.pass(0);
    }

    pub fn pass(&mut self, duration_ms: u64) {
        self.now = self.now.plus(duration_ms);
        self.drawn.handle_timeout(self.now);
        self.carry_out();
        self.relay.handle_timeout(self.now);
        for worker in &mut self.workers {
            worker.handle_timeout(self.now);
        }
        self.carry_out();
    }

    pub fn deliver(&mut self, position: usize, keep: bool) {
        if self.pool.is_empty() {
            return;
        }
        let position = position % self.pool.len();
        let message = if keep { self.pool[position].clone() } else { self.pool.remove(position) };
        self.hear(message);
        self.carry_out();
    }

    pub fn deliver_all(&mut self) {
        while !self.pool.is_empty() {
            self.deliver(0, false);
        }
    }

    pub fn lose(&mut self, position: usize) {
        if !self.pool.is_empty() {
            self.pool.remove(position % self.pool.len());
        }
    }

    pub fn crash_relay(&mut self) {
        self.relay = Relay::new(self.world.network, Arc::clone(&self.relay_key), LIMITS);
        self.drawn = Drawn::new(self.world.network, WINDOW_MS);
        for position in 0..self.rounds.len() {
            let view = self.view(position);
            self.drawn.handle(DrawnEvent::Round(view), self.now);
        }
        let open: Vec<StoredRequest> = self
            .requests
            .values()
            .filter(|known| known.ending.is_none())
            .map(|known| known.stored.clone())
            .collect();
        for stored in open {
            self.relay.handle(RelayEvent::Restore(stored), self.now);
        }
        self.carry_out();
    }

    pub fn crash_worker(&mut self, worker: usize) {
        let worker = worker % self.workers.len();
        self.workers[worker] = Worker::new(self.world.network, Arc::clone(&self.keys[worker]));
        for stored in self.work[worker].clone().into_values() {
            self.workers[worker].handle(WorkerEvent::Restore(stored), self.now);
        }
        self.carry_out();
    }

    pub fn crash_beacon(&mut self) {
        let seed = self.world.genesis.seed();
        let last = self.rounds.last().cloned();
        let network = self.world.network;
        self.beacon = Beacon::new(network, seed, key(1), PERIOD_MS, last, self.now);
        let workers = Arc::new(self.world.roster());
        self.beacon.handle(BeaconEvent::Relays(vec![self.relay_key.id()]), self.now);
        self.beacon.handle(BeaconEvent::Workers(workers), self.now);
    }
}
