//! A whole network in memory, from fixed keys: operator, beacon, relay and workers, the chain of
//! rounds, the relay's log, and the run of a request. Honest by default; every step is apart, so
//! that a test can take another one where an attacker would.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part of it")]

use verify::record::{AttemptParts, Parts, WorkerParts};
use wire::{
    Attempt, Body, CodeHash, Millis, NetworkId, NodeId, NodeKey, Nonce, OperatorKey, Round, Salt,
    Seed, Signed, StatementHash,
    agreement::required_votes,
    compute::{
        Agreement, Commit, Draw, DrawOpening, Execution, FailureReason, Fault, Outcome, Received,
        Request, Reveal, Tally, Threshold, Widening, prove_draw,
    },
    json::CanonicalJson,
    key::StatementSigner as _,
    merkle::{MemoryTree, TreeHead, head_of, prove_inclusion},
    network::{Admission, Genesis, Role},
    round::{Roster, RoundOpening, SeenHead, SeenHeads, prove_seed},
};

pub mod stage;

/// When the networks were made.
pub const CREATED: Millis = Millis(1_000_000);
/// The time between rounds.
pub const PERIOD_MS: u64 = 1_000;
/// The script that honest workers run.
pub const SCRIPT: &str = "mainFunction = ({ a, b }) => a + b;";

/// A node with its keys.
pub struct Node {
    pub key: NodeKey,
    pub admission: Signed<Admission>,
}

impl Node {
    pub fn id(&self) -> NodeId {
        self.key.id()
    }

    pub fn sign<B: Body<Signer = NodeId>>(&self, body: B) -> Signed<B> {
        Signed::sign(self.admission.network, &self.key, body)
    }
}

/// A network.
pub struct World {
    pub operator: OperatorKey,
    pub genesis: Genesis,
    pub network: NetworkId,
    pub beacon: Node,
    pub relay: Node,
    /// By node id.
    pub workers: Vec<Node>,
}

pub fn admission(key: &NodeKey, name: &str, role: Role) -> Admission {
    Admission {
        node: key.id(),
        vrf: key.vrf_public(),
        sealing: key.sealing_public(),
        name: name.to_owned(),
        domain: format!("{name}.test:443"),
        roles: [role].into_iter().collect(),
        starts: CREATED,
        expires: CREATED.plus(1_000 * PERIOD_MS),
        generation: 1,
    }
}

impl World {
    pub fn new(workers: u8) -> Self {
        Self::with("test", workers, |_| {})
    }

    /// A network of this name, whose operator admits the nodes as `edit` leaves them.
    pub fn with(name: &str, workers: u8, edit: impl Fn(&mut Admission)) -> Self {
        let operator = OperatorKey::from_secret([9; 32]);
        let genesis = Genesis::new(name, vec![operator.id()], CREATED).expect("valid");
        let network = genesis.id();
        let node = |secret: u8, name: &str, role| {
            let key = NodeKey::from_secret([secret; 32]);
            let mut body = admission(&key, name, role);
            edit(&mut body);
            let admission = Signed::sign(network, &operator, body);
            Node { key, admission }
        };
        let worker = |number| node(16 + number, &format!("worker-{number}"), Role::Worker);
        let mut workers: Vec<Node> = (0..workers).map(worker).collect();
        workers.sort_by_key(Node::id);
        Self {
            beacon: node(1, "beacon", Role::Beacon),
            relay: node(2, "relay", Role::Relay),
            workers,
            operator,
            genesis,
            network,
        }
    }

    pub fn admit(&self, body: Admission) -> Signed<Admission> {
        Signed::sign(self.network, &self.operator, body)
    }

    pub fn roster(&self) -> Roster {
        Roster::new(self.workers.iter().map(|worker| worker.admission.clone()))
    }

    /// The seed of a round; no round can have another one.
    pub fn seed(&self, round: Round) -> Seed {
        (1..=round.0).fold(self.genesis.seed(), |seed, number| {
            prove_seed(&self.network, &self.beacon.key, &seed, Round(number)).0
        })
    }

    /// The workers that a request's draw in `round` falls on.
    pub fn drawn(&self, request: &Request, attempt: Attempt, round: Round) -> Vec<usize> {
        let (id, seed) = (request.id(), self.seed(round));
        let threshold = Threshold::of(request.committee, attempt, self.workers.len() as u64);
        let is_drawn = |worker: &usize| {
            let key = &self.workers[*worker].key;
            threshold.admits(&prove_draw(&self.network, key, &id, attempt, &seed).0)
        };
        (0..self.workers.len()).filter(is_drawn).collect()
    }

    /// The request with the first nonce whose draw in `round` is as wanted.
    pub fn request_drawn(
        &self,
        request: &Request,
        round: Round,
        wanted: impl Fn(&[usize]) -> bool,
    ) -> Request {
        let with = |nonce: u8| Request { nonce: Nonce([nonce; 16]), ..request.clone() };
        let good = |request: &Request| wanted(&self.drawn(request, Attempt(0), round));
        let found = (0..u8::MAX).map(with).find(good);
        found.expect("one of 255 draws is as wanted")
    }
}

pub fn request(committee: u16, quorum: u16) -> Request {
    Request {
        uri: "https://code.test/sum.js".to_owned(),
        code: None,
        params: CanonicalJson::from_text(r#"{"a":1,"b":2}"#).expect("JSON"),
        committee,
        quorum,
        deadline: CREATED.plus(900 * PERIOD_MS),
        nonce: Nonce([7; 16]),
    }
}

/// An execution of the script with this value.
pub fn says(value: &str) -> Execution {
    Execution {
        engine: "v8/14.4".to_owned(),
        code: Some(CodeHash::of(SCRIPT.as_bytes())),
        outcome: Outcome::Value(CanonicalJson::from_text(value).expect("JSON")),
    }
}

/// An execution of the script that ended with a fault.
pub fn faults(kind: &str) -> Execution {
    let (kind, message) = (kind.to_owned(), "at line 1".to_owned());
    Execution { outcome: Outcome::Fault(Fault { kind, message }), ..says("0") }
}

/// What a drawn worker does.
#[derive(Debug, Clone)]
pub enum Vote {
    /// Commits and reveals.
    Says(Execution),
    /// Commits and shows nothing.
    Silent(Execution),
    /// Answers the draw and no more.
    Idle,
}

/// A round with what it commits to.
pub struct Dated {
    pub statement: Signed<RoundOpening>,
    pub heads: SeenHeads,
    pub workers: Roster,
}

/// The run of one request.
pub struct Run<'w> {
    pub world: &'w World,
    pub request: Request,
    pub received: Signed<Received>,
    pub log: MemoryTree,
    pub rounds: Vec<Dated>,
}

impl<'w> Run<'w> {
    /// After `lead` rounds, with `logged` entries in the relay's log, the relay has the request; it
    /// does not stand in the log yet.
    pub fn new(world: &'w World, request: &Request, lead: u64, logged: u64) -> Self {
        let received = world
            .relay
            .sign(Received { request: request.id(), received: CREATED.plus(lead * PERIOD_MS + 1) });
        let mut run = Self {
            world,
            request: request.clone(),
            received,
            log: MemoryTree::default(),
            rounds: Vec::new(),
        };
        for entry in 0..logged {
            run.append(StatementHash([u8::try_from(entry).expect("few"); 32]));
        }
        for _ in 0..lead {
            run.open_round();
        }
        run
    }

    pub fn append(&mut self, statement: StatementHash) -> u64 {
        self.log.push(statement.0);
        self.log.size() - 1
    }

    pub fn open_round(&mut self) -> Round {
        self.open_round_with(self.world.roster(), |_| {})
    }

    /// The beacon opens the next round, with this roster, as `edit` leaves it.
    pub fn open_round_with(
        &mut self,
        workers: Roster,
        edit: impl FnOnce(&mut RoundOpening),
    ) -> Round {
        let world = self.world;
        let (round, previous_seed, previous) = match self.rounds.last() {
            Some(last) => {
                let body = &last.statement.body;
                (body.round.next(), body.seed, last.statement.hash())
            }
            None => (Round(1), world.genesis.seed(), StatementHash(world.network.0)),
        };
        let seen = |node, head| SeenHead { node, head };
        let heads = SeenHeads::new([
            seen(world.relay.id(), self.log.head()),
            seen(NodeId([0; 32]), TreeHead::EMPTY),
            seen(NodeId([255; 32]), TreeHead::EMPTY),
        ]);
        let (seed, proof) = prove_seed(&world.network, &world.beacon.key, &previous_seed, round);
        let mut body = RoundOpening {
            round,
            opened: CREATED.plus(round.0 * PERIOD_MS),
            previous,
            seed,
            proof,
            workers: workers.head(),
            heads: heads.head(),
        };
        edit(&mut body);
        let round = body.round;
        let statement = world.beacon.sign(body);
        self.rounds.push(Dated { statement, heads, workers });
        round
    }

    pub fn dated(&self, round: Round) -> &Dated {
        let found = self.rounds.iter().find(|dated| dated.statement.body.round == round);
        found.expect("an opened round")
    }

    /// What shows that log entry `index` was covered in `decides` and not in `before`.
    pub fn opening(&self, index: u64, before: Round, decides: Round) -> DrawOpening {
        let relay = self.world.relay.id();
        let of = |round| self.dated(round).heads.of(&relay).expect("a known relay");
        let (head, head_proof) = of(decides);
        let (previous_head, previous_head_proof) = of(before);
        let size = head.head.size.max(index + 1);
        let Ok(opener_proof) = prove_inclusion(size, index, &self.log);
        DrawOpening { opener_proof, head, head_proof, previous_head, previous_head_proof }
    }

    /// What one worker shows.
    pub fn worker(
        &self,
        worker: usize,
        attempt: Attempt,
        round: Round,
        vote: &Vote,
    ) -> WorkerParts {
        let node = &self.world.workers[worker];
        let seed = &self.dated(round).statement.body.seed;
        let request = self.request.id();
        let (_, proof) = prove_draw(&self.world.network, &node.key, &request, attempt, seed);
        let draw = node.sign(Draw { request, attempt, round, proof });
        let roster = &self.dated(round.previous()).workers;
        let member = roster.member(&node.id());
        let (admission, roster_proof) = match member {
            Some((admission, proof)) => (admission.clone(), proof),
            None => {
                let (_, proof) = roster.member(&roster.members()[0].body.node).expect("first");
                (node.admission.clone(), proof)
            }
        };
        let mut parts = WorkerParts { admission, roster_proof, draw, commit: None, reveal: None };
        match vote {
            Vote::Idle => {}
            Vote::Silent(execution) => {
                vote_for(node, &mut parts, execution);
                parts.reveal = None;
            }
            Vote::Says(execution) => vote_for(node, &mut parts, execution),
        }
        parts
    }

    /// The opener goes in the log, a round covers it, and the drawn vote; those that have no vote of
    /// their own vote as the last one does.
    pub fn attempt(
        &mut self,
        attempt: Attempt,
        opener: StatementHash,
        votes: &[Vote],
    ) -> AttemptParts {
        let index = self.append(opener);
        let round = self.open_round();
        let opening = self.opening(index, round.previous(), round);
        let drawn = self.world.drawn(&self.request, attempt, round);
        self.attempt_of(attempt, round, opening, &drawn, votes)
    }

    /// An attempt in which these workers show something.
    pub fn attempt_of(
        &self,
        attempt: Attempt,
        round: Round,
        opening: DrawOpening,
        workers: &[usize],
        votes: &[Vote],
    ) -> AttemptParts {
        let votes = votes.iter().chain(std::iter::repeat(votes.last().expect("a vote")));
        let voted = workers.iter().zip(votes);
        let workers: Vec<WorkerParts> =
            voted.map(|(worker, vote)| self.worker(*worker, attempt, round, vote)).collect();
        let tally = tally(self.world, &self.request, attempt, round, &workers);
        AttemptParts { opening, tally, workers, widening: None }
    }

    /// All parts, with the rounds from `first` on; the relay says that `execution` was agreed on.
    pub fn parts(&self, first: Round, attempts: Vec<AttemptParts>, execution: &Execution) -> Parts {
        let world = self.world;
        let rounds = self.rounds.iter().map(|dated| dated.statement.clone());
        let agreement = agreement(world, &self.request, &attempts, execution);
        Parts {
            genesis: world.genesis.clone(),
            beacon: world.beacon.admission.clone(),
            relay: world.relay.admission.clone(),
            request: self.request.clone(),
            code: None,
            received: self.received.clone(),
            rounds: rounds.filter(|round| round.body.round >= first).collect(),
            attempts,
            agreement,
        }
    }
}

/// The head that the log had at `size`.
pub fn head_at(log: &MemoryTree, size: u64) -> TreeHead {
    let Ok(head) = head_of(size, log);
    head
}

/// The worker commits to an execution and reveals it, on the draw that it shows.
pub fn vote_for(node: &Node, parts: &mut WorkerParts, execution: &Execution) {
    let (request, attempt) = (parts.draw.body.request, parts.draw.body.attempt);
    let salt = Salt(node.id().0);
    let commit = node.sign(Commit {
        request,
        attempt,
        draw: parts.draw.hash(),
        commitment: execution.commitment(&parts.draw.hash(), &salt),
    });
    parts.reveal = Some(node.sign(Reveal {
        request,
        attempt,
        commit: commit.hash(),
        salt,
        execution: execution.clone(),
    }));
    parts.commit = Some(commit);
}

pub fn sorted(hashes: impl Iterator<Item = StatementHash>) -> Vec<StatementHash> {
    let mut hashes: Vec<_> = hashes.collect();
    hashes.sort_unstable();
    hashes
}

/// The tally of what these workers show.
pub fn tally(
    world: &World,
    request: &Request,
    attempt: Attempt,
    round: Round,
    workers: &[WorkerParts],
) -> Signed<Tally> {
    let commits = workers.iter().filter_map(|worker| worker.commit.as_ref());
    world.relay.sign(Tally {
        request: request.id(),
        attempt,
        round,
        population: world.workers.len() as u64,
        drawn: sorted(workers.iter().map(|worker| worker.draw.hash())),
        commits: sorted(commits.map(Signed::hash)),
    })
}

/// The relay ends an attempt without an agreement; what opens the next one.
pub fn widen(world: &World, request: &Request, parts: &mut AttemptParts) -> StatementHash {
    let reveals = || parts.workers.iter().filter_map(|worker| worker.reveal.as_ref());
    let tally = &parts.tally;
    let required = required_votes(request, tally.body.attempt, tally.body.population);
    let reason = if reveals().count() >= required {
        FailureReason::Disagreement
    } else {
        FailureReason::NoQuorum
    };
    let widening = world.relay.sign(Widening {
        request: request.id(),
        attempt: tally.body.attempt,
        round: tally.body.round,
        tally: tally.hash(),
        reveals: sorted(reveals().map(Signed::hash)),
        reason,
    });
    let hash = widening.hash();
    parts.widening = Some(widening);
    hash
}

/// The relay's word that the last attempt agreed on `execution`.
pub fn agreement(
    world: &World,
    request: &Request,
    attempts: &[AttemptParts],
    execution: &Execution,
) -> Signed<Agreement> {
    let last = attempts.last().expect("an attempt");
    let reveals = || last.workers.iter().filter_map(|worker| worker.reveal.as_ref());
    let agrees = |reveal: &&Signed<Reveal>| reveal.body.execution == *execution;
    let silent =
        last.workers.iter().filter(|worker| worker.commit.is_some() && worker.reveal.is_none());
    world.relay.sign(Agreement {
        request: request.id(),
        attempt: last.tally.body.attempt,
        tally: last.tally.hash(),
        execution: execution.clone(),
        agreeing: sorted(reveals().filter(agrees).map(Signed::hash)),
        dissenting: sorted(reveals().filter(|reveal| !agrees(reveal)).map(Signed::hash)),
        silent: silent.map(|worker| worker.admission.body.node).collect(),
    })
}

/// A run that agrees on "3" in its first attempt, the drawn voting like this.
pub fn agreed(world: &World, request: &Request, votes: &[Vote]) -> Parts {
    let mut run = Run::new(world, request, 3, 2);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, votes);
    run.parts(Round(2), vec![attempt], &says("3"))
}

/// After a change of the last attempt the relay signs its tally and the agreement anew.
pub fn sign_again(world: &World, parts: &mut Parts) {
    let last = parts.attempts.last_mut().expect("an attempt");
    let (attempt, round) = (last.tally.body.attempt, last.tally.body.round);
    last.tally = tally(world, &parts.request, attempt, round, &last.workers);
    agree_again(world, parts);
}

/// After a change of the last attempt's reveals the relay signs the agreement anew.
pub fn agree_again(world: &World, parts: &mut Parts) {
    let execution = parts.agreement.body.execution.clone();
    parts.agreement = agreement(world, &parts.request, &parts.attempts, &execution);
}
