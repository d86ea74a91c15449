//! The machine that knows which nodes are alive.
//!
//! Passive verification: every successful call to a node counts. Active verification: a node of
//! which nothing was heard for an interval is sent a challenge.
//!
//! Invariants: what is known of a node survives new views of the same domain; a sign of life is
//! never undone by a challenge that was sent before it; nodes that fail can hold at most half of the
//! slots, so that none of them delays one that works; nobody is asked before its start or after its
//! expiry. An earlier `now` counts as the latest.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use wire::Millis;

use super::{
    SwiftDomain, SwiftNode, SwiftTime,
    challenge::{self, NONCE_BYTES},
    envelope::IV_BYTES,
    peer::{back_off, spread},
};

/// How nodes are polled.
#[derive(Debug, Clone)]
pub struct AliveOptions {
    /// How long after its last sign of life a node is polled, in ms (`alivePollingSeconds`).
    pub interval_ms: u64,
    /// How long an answer may take, in ms.
    pub timeout_ms: u64,
    /// The longest wait between two polls of a node that fails, in ms.
    pub max_back_off_ms: u64,
    /// The most polls at once, at least 2: one for nodes that work, one for those that fail.
    pub max_parallel: usize,
    /// The domains that this process serves: they are alive as long as it is, and not polled.
    pub served: BTreeSet<SwiftDomain>,
}

impl Default for AliveOptions {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            timeout_ms: 5_000,
            max_back_off_ms: 10 * 60_000,
            max_parallel: 32,
            served: BTreeSet::new(),
        }
    }
}

/// Names one poll, so that a late answer is not taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollId(pub u64);

/// The randomness of one poll, from the system's source.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// What must come back.
    pub nonce: [u8; NONCE_BYTES],
    /// The envelope's vector: never the same twice for one key.
    pub iv: [u8; IV_BYTES],
    /// Spreads the next poll.
    pub jitter: u64,
}

/// What happens to the machine.
#[derive(Debug, Clone)]
pub enum AliveEvent {
    /// A new view: these are all nodes. Those it does not name are forgotten.
    Nodes(Vec<Arc<SwiftNode>>),
    /// A call to the node succeeded, for whatever reason it was made, or the node called and has
    /// proved that it is the one.
    Accessed(SwiftDomain),
    /// A poll was answered.
    Answered {
        /// Which.
        poll: PollId,
        /// The HTTP status.
        status: u16,
        /// The body; the shell reads no more than one byte above [`NONCE_BYTES`].
        body: Vec<u8>,
    },
    /// A poll failed in transport.
    Failed {
        /// Which.
        poll: PollId,
    },
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliveEffect {
    /// POST the body to `/swift/api/v1/alive` of the domain.
    Poll {
        /// Which.
        poll: PollId,
        /// Whom.
        domain: SwiftDomain,
        /// The challenge in its envelope.
        body: Vec<u8>,
        /// When its time is over.
        deadline: Millis,
    },
    /// A node is alive that was not, or the other way round: log and count it.
    Changed {
        /// Which.
        domain: SwiftDomain,
        /// What it is now.
        is_alive: bool,
    },
}

/// What is known of one node.
#[derive(Debug, Clone)]
struct Known {
    node: Arc<SwiftNode>,
    /// The reference's flag and time of the same names.
    is_alive: bool,
    accessed: Option<Millis>,
    failures: u32,
    /// The first moment at which it may be polled, past or future.
    starts: Millis,
    next_poll: Millis,
    jitter: u64,
    open: Option<PollId>,
}

#[derive(Debug, Clone)]
struct OpenPoll {
    domain: SwiftDomain,
    nonce: [u8; NONCE_BYTES],
    sent: Millis,
    deadline: Millis,
    /// Which kind of slot it holds.
    is_suspect: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Alive {
    options: AliveOptions,
    now: Millis,
    nodes: BTreeMap<SwiftDomain, Known>,
    open: BTreeMap<PollId, OpenPoll>,
    last_poll: u64,
    effects: VecDeque<AliveEffect>,
}

impl Alive {
    /// A machine that knows no nodes.
    pub fn new(options: AliveOptions, now: Millis) -> Self {
        let (nodes, open) = (BTreeMap::new(), BTreeMap::new());
        Self { options, now, nodes, open, last_poll: 0, effects: VecDeque::new() }
    }

    /// Whether the last verification of the node succeeded.
    pub fn is_alive(&self, domain: &SwiftDomain) -> bool {
        self.options.served.contains(domain)
            || self.nodes.get(domain).is_some_and(|known| known.is_alive)
    }

    /// The last sign of life of the node.
    pub fn accessed(&self, domain: &SwiftDomain) -> Option<Millis> {
        self.nodes.get(domain).and_then(|known| known.accessed)
    }

    /// All that are alive: what readers are given beside a view.
    pub fn alive(&self) -> BTreeSet<SwiftDomain> {
        let alive = self.nodes.iter().filter(|(_, known)| known.is_alive);
        alive.map(|(domain, _)| domain).chain(&self.options.served).cloned().collect()
    }

    /// Takes one event in.
    pub fn handle(&mut self, event: AliveEvent, now: Millis) {
        self.now = self.now.max(now);
        match event {
            AliveEvent::Nodes(nodes) => self.take_nodes(nodes),
            AliveEvent::Accessed(domain) => self.succeeded(&domain),
            AliveEvent::Answered { poll, status, body } => {
                let Some(open) = self.close(poll) else { return };
                if challenge::is_proof(&open.nonce, status, &body) {
                    self.succeeded(&open.domain);
                } else {
                    self.failed(&open);
                }
            }
            AliveEvent::Failed { poll } => {
                if let Some(open) = self.close(poll) {
                    self.failed(&open);
                }
            }
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<AliveEffect> {
        self.effects.pop_front()
    }

    /// When somebody is to be polled or a poll's time is over.
    pub fn next_timeout(&self) -> Option<Millis> {
        let deadline = self.open.values().map(|open| open.deadline).min();
        deadline.into_iter().chain(self.due().map(|(at, _)| at)).min()
    }

    /// Gives up on polls whose time is over, then polls whom it is time to poll.
    pub fn handle_timeout(&mut self, now: Millis, chance: &mut dyn FnMut() -> Chance) {
        self.now = self.now.max(now);
        let late: Vec<PollId> = self
            .open
            .iter()
            .filter(|(_, open)| open.deadline <= self.now)
            .map(|(poll, _)| *poll)
            .collect();
        for open in late.into_iter().filter_map(|poll| self.close(poll)).collect::<Vec<_>>() {
            self.failed(&open);
        }
        let time = SwiftTime::from_millis(self.now);
        let is_retired = |known: &Known| known.open.is_none() && known.node.has_expired(time);
        for (domain, known) in self.nodes.extract_if(.., |_, known| is_retired(known)) {
            if known.is_alive {
                self.effects.push_back(AliveEffect::Changed { domain, is_alive: false });
            }
        }
        while let Some((_, domain)) = self.due().filter(|(at, _)| *at <= self.now) {
            self.poll(domain, chance());
        }
    }

    /// Who is next, of those for whom there is a slot: first by time, then by domain.
    fn due(&self) -> Option<(Millis, SwiftDomain)> {
        let most = self.options.max_parallel.max(2);
        let suspects = self.open.values().filter(|open| open.is_suspect).count();
        if self.open.len() >= most {
            return None;
        }
        let has_slot = |known: &Known| known.failures == 0 || suspects < most / 2;
        self.nodes
            .iter()
            .filter(|(_, known)| known.open.is_none() && has_slot(known))
            .map(|(domain, known)| (known.next_poll, domain))
            .min()
            .map(|(at, domain)| (at, domain.clone()))
    }

    fn poll(&mut self, domain: SwiftDomain, chance: Chance) {
        let known = self.nodes.get_mut(&domain).expect("whoever is due is known");
        self.last_poll += 1;
        let poll = PollId(self.last_poll);
        let deadline = self.now.plus(self.options.timeout_ms);
        known.open = Some(poll);
        known.jitter = chance.jitter;
        // The first secret is the one that everybody knows. If it fails, the node may have retired
        // it already: the next poll tries the next.
        let secrets = &known.node.secrets;
        let secret = secrets.get(known.failures as usize % secrets.len().max(1));
        let body = challenge::challenge(secret.map(|secret| &secret.key), &chance.nonce, chance.iv);
        let open = OpenPoll {
            domain: domain.clone(),
            nonce: chance.nonce,
            sent: self.now,
            deadline,
            is_suspect: known.failures > 0,
        };
        self.open.insert(poll, open);
        self.effects.push_back(AliveEffect::Poll { poll, domain, body, deadline });
    }

    fn take_nodes(&mut self, nodes: Vec<Arc<SwiftNode>>) {
        let mut last = std::mem::take(&mut self.nodes);
        let time = SwiftTime::from_millis(self.now);
        for node in nodes {
            if self.options.served.contains(&node.domain) || node.has_expired(time) {
                continue;
            }
            // A millisecond later, because a date has finer parts than a clock here.
            let starts =
                if node.has_started(time) { self.now } else { node.starts.to_millis().plus(1) };
            let domain = node.domain.clone();
            let known = match last.remove(&domain) {
                Some(known) => {
                    let next_poll = known.next_poll.max(starts);
                    Known { node, starts, next_poll, ..known }
                }
                None => Known {
                    node,
                    is_alive: false,
                    accessed: None,
                    failures: 0,
                    starts,
                    next_poll: starts,
                    jitter: 0,
                    open: None,
                },
            };
            self.nodes.insert(domain, known);
        }
        for (domain, known) in last {
            if let Some(poll) = known.open {
                self.open.remove(&poll);
            }
            if known.is_alive {
                self.effects.push_back(AliveEffect::Changed { domain, is_alive: false });
            }
        }
    }

    fn close(&mut self, poll: PollId) -> Option<OpenPoll> {
        let open = self.open.remove(&poll)?;
        if let Some(known) = self.nodes.get_mut(&open.domain) {
            known.open = None;
        }
        Some(open)
    }

    fn succeeded(&mut self, domain: &SwiftDomain) {
        let Some(known) = self.nodes.get_mut(domain) else { return };
        known.accessed = Some(self.now);
        known.failures = 0;
        known.next_poll =
            self.now.plus(spread(self.options.interval_ms, known.jitter)).max(known.starts);
        if !std::mem::replace(&mut known.is_alive, true) {
            let domain = domain.clone();
            self.effects.push_back(AliveEffect::Changed { domain, is_alive: true });
        }
    }

    fn failed(&mut self, open: &OpenPoll) {
        let Some(known) = self.nodes.get_mut(&open.domain) else { return };
        if known.accessed.is_some_and(|accessed| accessed >= open.sent) {
            return;
        }
        let AliveOptions { interval_ms, max_back_off_ms, .. } = self.options;
        let most = max_back_off_ms.max(interval_ms);
        known.next_poll = self.now.plus(back_off(known.failures, interval_ms, most, known.jitter));
        known.failures = known.failures.saturating_add(1);
        if std::mem::replace(&mut known.is_alive, false) {
            let domain = open.domain.clone();
            self.effects.push_back(AliveEffect::Changed { domain, is_alive: false });
        }
    }
}

#[cfg(test)]
#[path = "alive_tests.rs"]
mod tests;
