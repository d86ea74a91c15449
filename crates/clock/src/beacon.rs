//! The machine that opens rounds.
//!
//! Invariants: round numbers grow by one; a round's statement is handed out once, to be stored and
//! then published, and after a restart the chain goes on from the stored one; a relay's head never
//! goes back. A beacon that was down skips time, never numbers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use wire::{
    Millis, NetworkId, NodeId, NodeKey, Round, Seed, Signed, StatementHash,
    merkle::TreeHead,
    round::{Roster, RoundOpening, SeenHead, SeenHeads, prove_seed},
};

/// A round with all that its statement commits to.
#[derive(Debug, Clone)]
pub struct OpenedRound {
    /// The statement.
    pub statement: Signed<RoundOpening>,
    /// What `heads` commits to.
    pub heads: Arc<SeenHeads>,
    /// What `workers` commits to.
    pub workers: Arc<Roster>,
}

/// What happens to a beacon.
#[derive(Debug)]
pub enum BeaconEvent {
    /// A relay's log was seen at a head that is consistent with all before.
    Head(SeenHead),
    /// The relays whose logs are dated.
    Relays(Vec<NodeId>),
    /// The workers that the next round commits to, and the one after it draws from.
    Workers(Arc<Roster>),
    /// The time between rounds changed.
    Period(u64),
}

/// What a beacon wants done.
#[derive(Debug)]
pub enum BeaconEffect {
    /// Store the round, then publish it.
    Publish(OpenedRound),
}

/// Opens rounds.
pub struct Beacon {
    network: NetworkId,
    key: Arc<NodeKey>,
    period_ms: u64,
    last: (Round, Seed, StatementHash),
    next_at: Millis,
    heads: BTreeMap<NodeId, TreeHead>,
    workers: Arc<Roster>,
    effects: VecDeque<BeaconEffect>,
}

impl Beacon {
    /// A beacon that goes on from the last stored round, or from the genesis.
    pub fn new(
        network: NetworkId,
        genesis_seed: Seed,
        key: Arc<NodeKey>,
        period_ms: u64,
        last: Option<OpenedRound>,
        now: Millis,
    ) -> Self {
        let (last, next_at, heads, workers) = match last {
            None => {
                let genesis = (Round(0), genesis_seed, StatementHash(network.0));
                (genesis, now, BTreeMap::new(), Arc::default())
            }
            Some(round) => {
                let body = &round.statement.body;
                let heads =
                    round.heads.as_slice().iter().map(|seen| (seen.node, seen.head)).collect();
                let last = (body.round, body.seed, round.statement.hash());
                (last, body.opened.plus(period_ms).max(now), heads, round.workers)
            }
        };
        let effects = VecDeque::new();
        Self { network, key, period_ms, last, next_at, heads, workers, effects }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: BeaconEvent, now: Millis) {
        match event {
            BeaconEvent::Head(seen) => {
                let known = self.heads.get_mut(&seen.node);
                if let Some(head) = known.filter(|head| seen.head.size > head.size) {
                    *head = seen.head;
                }
            }
            BeaconEvent::Relays(relays) => {
                for relay in relays {
                    self.heads.entry(relay).or_insert(TreeHead::EMPTY);
                }
            }
            BeaconEvent::Workers(workers) => self.workers = workers,
            BeaconEvent::Period(period_ms) => {
                self.period_ms = period_ms;
                self.next_at = self.next_at.min(now.plus(period_ms));
            }
        }
    }

    /// When the next round opens.
    pub fn next_timeout(&self) -> Option<Millis> {
        Some(self.next_at)
    }

    /// Opens the next round if it is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        if now < self.next_at {
            return;
        }
        let round = self.last.0.next();
        let (seed, proof) = prove_seed(&self.network, &self.key, &self.last.1, round);
        let heads = self.heads.iter().map(|(node, head)| SeenHead { node: *node, head: *head });
        let heads = Arc::new(SeenHeads::new(heads));
        let body = RoundOpening {
            round,
            opened: now,
            previous: self.last.2,
            seed,
            proof,
            workers: self.workers.head(),
            heads: heads.head(),
        };
        let statement = Signed::sign(self.network, &*self.key, body);
        self.last = (round, seed, statement.hash());
        // Rounds keep to their beat; one that could not be met is dropped, not caught up.
        self.next_at = self.next_at.plus(self.period_ms).max(now.plus(self.period_ms / 2));
        let workers = Arc::clone(&self.workers);
        self.effects.push_back(BeaconEffect::Publish(OpenedRound { statement, heads, workers }));
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<BeaconEffect> {
        self.effects.pop_front()
    }
}
