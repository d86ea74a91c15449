//! The machine that asks share nodes for their nodes, and the share nodes among those, and so on.
//!
//! A round reads the stores again, asks the share nodes that they name, then level by level those
//! that the answers name, and ends with a new view. Within a level all are asked side by side; a
//! level begins when the one before is complete, so that the order of answers changes nothing.
//!
//! Invariants: a share node is asked once per round, so rounds end, whatever graph the share nodes
//! make; a round lasts at most one timeout per [`SharingOptions::max_parallel`] share nodes of a
//! level; the limit of stores ends the asking with a warning and never fails the round; a store or a
//! share node that fails keeps what it last said, with its age; the readers' view is replaced, never
//! changed. An earlier `now` counts as the latest.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
};

use wire::Millis;

mod event;

pub use event::{AskId, SharingEffect, SharingEvent, SharingOptions, SharingWarning, StoreReading};

use super::{
    SwiftDomain, SwiftNode, SwiftRole, SwiftTime, envelope, json,
    merge::{Manager, Origin, StoreContents},
    peer::{Peer, spread},
};

/// How far ahead of our clock another operator's may be, for `created` to be believed.
pub const MAX_SKEW_MS: u64 = 24 * 3_600_000;

#[derive(Debug)]
struct OpenAsk {
    node: Arc<SwiftNode>,
    deadline: Millis,
}

/// A round that asks.
#[derive(Debug, Default)]
struct Round {
    is_forced: bool,
    depth: usize,
    /// Whom the round has reached, asked or not.
    visited: BTreeSet<SwiftDomain>,
    waiting: VecDeque<Arc<SwiftNode>>,
    open: BTreeMap<AskId, OpenAsk>,
}

#[derive(Debug)]
enum Phase {
    Idle { next_round: Millis },
    Reading { deadline: Millis },
    Asking(Round),
}

/// The machine.
#[derive(Debug)]
pub struct Sharing {
    options: SharingOptions,
    now: Millis,
    phase: Phase,
    is_forced: bool,
    jitter: u64,
    last_ask: u64,
    own: Vec<StoreContents>,
    peers: BTreeMap<SwiftDomain, Peer>,
    effects: VecDeque<SharingEffect>,
}

impl Sharing {
    /// A machine whose first round begins at `now`.
    pub fn new(options: SharingOptions, now: Millis) -> Self {
        Self {
            options,
            now,
            phase: Phase::Idle { next_round: now },
            is_forced: false,
            jitter: 0,
            last_ask: 0,
            own: Vec::new(),
            peers: BTreeMap::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes one event in.
    pub fn handle(&mut self, event: SharingEvent, now: Millis) {
        self.now = self.now.max(now);
        match event {
            SharingEvent::Refresh => {
                self.is_forced = true;
                if let Phase::Idle { next_round } = &mut self.phase {
                    *next_round = self.now;
                }
            }
            SharingEvent::StoresRead { readings, jitter } => {
                self.jitter = jitter;
                if matches!(self.phase, Phase::Reading { .. }) {
                    self.take_readings(readings);
                    self.begin_round();
                }
            }
            SharingEvent::Answered { ask, status, body, jitter } => {
                if let Some(node) = self.close(ask) {
                    self.take_answer(&node, status, &body, jitter);
                    self.advance();
                }
            }
            SharingEvent::Failed { ask, reason, jitter } => {
                if let Some(node) = self.close(ask) {
                    self.take_failure(&node.domain, reason, jitter);
                    self.advance();
                }
            }
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<SharingEffect> {
        self.effects.pop_front()
    }

    /// When something happens by itself.
    pub fn next_timeout(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Idle { next_round } => Some(*next_round),
            Phase::Reading { deadline } => Some(*deadline),
            Phase::Asking(round) => round.open.values().map(|ask| ask.deadline).min(),
        }
    }

    /// Begins a round, or gives up on those whose time is over.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.now = self.now.max(now);
        match &mut self.phase {
            Phase::Idle { next_round } if *next_round <= self.now => {
                let deadline = self.now.plus(self.options.timeout_ms);
                self.phase = Phase::Reading { deadline };
                self.effects.push_back(SharingEffect::ReadStores);
            }
            Phase::Reading { deadline } if *deadline <= self.now => {
                self.warn(SharingWarning::StoresLate);
                self.begin_round();
            }
            Phase::Asking(round) => {
                let late: Vec<OpenAsk> = round
                    .open
                    .extract_if(.., |_, ask| ask.deadline <= self.now)
                    .map(|(_, ask)| ask)
                    .collect();
                for ask in late {
                    self.take_failure(
                        &ask.node.domain,
                        "no answer in time".to_owned(),
                        self.jitter,
                    );
                }
                self.advance();
            }
            _ => {}
        }
    }

    /// A store that cannot be read keeps what it last held; one that is no longer named is gone.
    fn take_readings(&mut self, readings: Vec<StoreReading>) {
        let mut last: BTreeMap<String, StoreContents> =
            mem::take(&mut self.own).into_iter().map(|store| (store.name.clone(), store)).collect();
        for StoreReading { name, is_writable, nodes } in readings {
            let origin = if is_writable { Origin::Writable } else { Origin::ReadOnly };
            let known = last.remove(&name);
            let (nodes, heard_at) = match nodes {
                Ok(nodes) => (nodes.into_iter().map(Arc::new).collect(), self.now),
                Err(reason) => {
                    self.warn(SharingWarning::Store { name: name.clone(), reason });
                    known.map_or((Vec::new(), self.now), |known| (known.nodes, known.heard_at))
                }
            };
            self.own.push(StoreContents { name, origin, heard_at, nodes });
        }
    }

    /// Readers see what the stores hold now, and what share nodes said before, without waiting.
    fn begin_round(&mut self) {
        let known: BTreeSet<SwiftDomain> = self.peers.keys().cloned().collect();
        self.show(&known);
        let is_forced = mem::take(&mut self.is_forced);
        self.phase = Phase::Asking(Round { is_forced, ..Round::default() });
        self.advance();
    }

    fn show(&mut self, peers: &BTreeSet<SwiftDomain>) {
        let manager = Arc::new(Manager::build(self.stores(peers)));
        self.effects.push_back(SharingEffect::View(manager));
    }

    fn stores(&self, peers: &BTreeSet<SwiftDomain>) -> Vec<StoreContents> {
        let volatile = peers.iter().filter_map(|domain| {
            self.peers.get(domain)?.store(domain, self.now, self.options.keep_ms)
        });
        self.own.iter().cloned().chain(volatile).collect()
    }

    /// Asks whoever may be asked now; goes on to the next level, or ends the round.
    fn advance(&mut self) {
        let Phase::Asking(round) = &mut self.phase else { return };
        let mut round = mem::take(round);
        while round.open.is_empty() && round.waiting.is_empty() {
            if !self.next_level(&mut round) {
                self.end_round(&round);
                return;
            }
        }
        while round.open.len() < self.options.max_parallel.max(1) {
            let Some(node) = round.waiting.pop_front() else { break };
            self.last_ask += 1;
            let (ask, deadline) = (AskId(self.last_ask), self.now.plus(self.options.timeout_ms));
            let domain = node.domain.clone();
            round.open.insert(ask, OpenAsk { node, deadline });
            self.effects.push_back(SharingEffect::Ask { ask, domain, deadline });
        }
        self.phase = Phase::Asking(round);
    }

    /// Finds the share nodes that the round has not reached; `false` if there are none, or if a
    /// limit forbids to go on. A share node takes a store's place whether it answers or not, so
    /// that an outage does not change who else is asked.
    fn next_level(&mut self, round: &mut Round) -> bool {
        let now = SwiftTime::from_millis(self.now);
        let view = Manager::build(self.stores(&round.visited));
        let is_new = |node: &SwiftNode| {
            node.role == SwiftRole::Share
                && node.is_current(now)
                && !round.visited.contains(&node.domain)
                && !self.options.served.contains(&node.domain)
        };
        let mut level: Vec<Arc<SwiftNode>> = view
            .all_nodes()
            .filter(|entry| is_new(&entry.node))
            .map(|entry| Arc::clone(&entry.node))
            .collect();
        let domains =
            |nodes: &[Arc<SwiftNode>]| nodes.iter().map(|node| node.domain.clone()).collect();
        if level.is_empty() {
            return false;
        }
        round.depth += 1;
        let SharingOptions { max_stores, max_depth, .. } = self.options;
        if round.depth > max_depth {
            self.warn(SharingWarning::DepthLimit { max_depth, unasked: domains(&level) });
            return false;
        }
        let room = max_stores.saturating_sub(self.own.len() + round.visited.len());
        if level.len() > room {
            let unasked = domains(&level.split_off(room));
            self.warn(SharingWarning::StoreLimit { max_stores, unasked });
        }
        let is_empty = level.is_empty();
        for node in level {
            round.visited.insert(node.domain.clone());
            let peer = self.peers.entry(node.domain.clone()).or_default();
            if peer.is_due(self.now, round.is_forced) {
                round.waiting.push_back(node);
            }
        }
        !is_empty
    }

    /// Share nodes that nobody names any more are forgotten with all that they said.
    fn end_round(&mut self, round: &Round) {
        self.peers.retain(|domain, _| round.visited.contains(domain));
        self.show(&round.visited);
        let regular = self.now.plus(spread(self.options.refresh_ms, self.jitter));
        let retry = self.peers.values().filter_map(Peer::retry_at).min();
        let earliest = self.now.plus(self.options.back_off_ms.min(self.options.refresh_ms));
        let next_round = match self.is_forced {
            true => self.now,
            false => retry.map_or(regular, |retry| retry.max(earliest).min(regular)),
        };
        self.phase = Phase::Idle { next_round };
    }

    /// The node that was asked, if the question is still open.
    fn close(&mut self, ask: AskId) -> Option<Arc<SwiftNode>> {
        let Phase::Asking(round) = &mut self.phase else { return None };
        round.open.remove(&ask).map(|open| open.node)
    }

    fn take_answer(&mut self, node: &SwiftNode, status: u16, body: &[u8], jitter: u64) {
        let domain = &node.domain;
        if !(200..300).contains(&status) {
            return self.take_failure(domain, format!("status {status}"), jitter);
        }
        let latest = SwiftTime::from_millis(self.now.plus(MAX_SKEW_MS));
        let list = envelope::decode(&node.secrets, body, json::MAX_LIST_BYTES)
            .map_err(|error| error.to_string())
            .and_then(|plain| json::read_answer(&plain, latest).map_err(|error| error.to_string()));
        match list {
            Err(reason) => self.take_failure(domain, reason, jitter),
            Ok(list) => {
                if list.refused > 0 {
                    let (refused, first) = (list.refused, list.refusals);
                    self.warn(SharingWarning::Refused { domain: domain.clone(), refused, first });
                }
                let peer = self.peers.entry(domain.clone()).or_default();
                peer.answered(list.nodes, self.now, &self.options);
            }
        }
    }

    fn take_failure(&mut self, domain: &SwiftDomain, reason: String, jitter: u64) {
        let peer = self.peers.entry(domain.clone()).or_default();
        peer.failed(self.now, jitter, &self.options);
        let good_since = peer.good_since();
        self.warn(SharingWarning::ShareNode { domain: domain.clone(), reason, good_since });
    }

    fn warn(&mut self, warning: SharingWarning) {
        self.effects.push_back(SharingEffect::Warn(warning));
    }
}

#[cfg(test)]
#[path = "sharing/tests.rs"]
mod tests;
