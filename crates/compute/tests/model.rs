//! The relay's and the workers' machines together, in a network that delays, repeats and loses
//! messages, with crashes at any moment and with workers that lie.
//!
//! An [`Action`] becomes events of the machines; their effects are carried out as a shell would: all
//! records of a batch first, then the rest. A crash falls before a batch's records, or between them
//! and the rest. After each action the named invariants below are checked; at the end the network
//! heals, nothing crashes any more, and what an honest majority was drawn for must be agreed on.
//!
//! Three rules of the shell are part of the model: it never submits a request that has ended (the
//! stored ending is the answer), after a restart it restores everything unfinished before anything
//! else, and in the healed network it sends again what was lost.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use compute::{
    Ending, Record, Relay, RelayEffect, RelayEvent, RelayLimits, StoredAttempt, StoredRequest,
    StoredWork, Worker, WorkerEffect, WorkerEvent,
};
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use wire::{
    Attempt, Body, CodeHash, Millis, NetworkId, NodeId, NodeKey, Nonce, RequestId, Round, Seed,
    Signed, StatementHash,
    agreement::required_votes,
    compute::{
        Agreement, Commit, Draw, Execution, Outcome, Receipt, Received, Request, Reveal, Tally,
        Threshold, Widening, script_seed, verify_draw,
    },
    json::CanonicalJson,
    key::StatementSigner as _,
};

const NETWORK: NetworkId = NetworkId([9; 32]);
const START: Millis = Millis(1_000_000);
const LIMITS: RelayLimits = RelayLimits {
    open_requests: 3,
    commit_window_ms: 300,
    reveal_window_ms: 200,
    // The fourth draw takes everybody, whatever the committee: 1 << 3 > MOST_WORKERS.
    attempts: 4,
};
const MOST_WORKERS: usize = 7;

/// How a worker behaves, all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Honest,
    /// Says what all liars of this kind say.
    LiesTogether,
    /// Says what nobody else says, and something new each time its script runs.
    LiesAlone,
    /// Signs a second commit and further reveals.
    Equivocates,
    /// Reveals what its commit does not open to.
    Mismatches,
    /// Sends its reveal together with its commit.
    RevealsEarly,
    NeverReveals,
    NeverCommits,
    NeverAnswers,
}

impl Conduct {
    /// Whether it may say something else than what came out.
    fn lies(self) -> bool {
        use Conduct::*;
        matches!(self, LiesTogether | LiesAlone | Equivocates | Mismatches)
    }

    /// Whether it says just what its machine says, whatever its scripts give.
    fn keeps_to_protocol(self) -> bool {
        use Conduct::*;
        !matches!(self, Equivocates | Mismatches | RevealsEarly)
    }
}

/// When a process dies while it carries out a batch of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    No,
    /// Nothing of the batch happens.
    BeforePersist,
    /// The records are stored; nothing else happens.
    AfterPersist,
}

#[derive(Debug, Clone)]
enum Action {
    Submit {
        committee: u16,
        above_half: u16,
        deadline_ms: u64,
        nonce: u8,
    },
    /// A client asks again for the request that it asked for before.
    SubmitAgain(usize),
    /// One message arrives, whichever.
    Deliver(usize, Crash),
    /// Messages arrive in order, and scripts end, for a while; some are lost, some arrive twice, by
    /// the bits of these numbers.
    Flow {
        messages: usize,
        lost: u16,
        twice: u16,
    },
    Duplicate(usize),
    Drop(usize),
    /// Everything on its way is lost.
    DropAll,
    /// A worker's oldest script ends.
    Finish(usize, Crash),
    /// The draw window of a draw ends with the answers that came.
    CloseDraw(usize, Crash),
    /// Time passes; the timers may run late.
    Wait {
        duration_ms: u64,
        run_timers: Option<Crash>,
    },
    CrashRelay,
    /// The relay is restarted, and then nothing reaches it for a while.
    Outage(u64),
    CrashWorker(usize),
}

#[derive(Debug, Clone)]
enum Message {
    Offer { to: usize, request: Request, attempt: Attempt, opener: StatementHash },
    Answer(Signed<Draw>),
    Commit(Signed<Commit>),
    Receipt { to: usize, receipt: Signed<Receipt> },
    Tally { to: usize, tally: Signed<Tally> },
    Reveal(Signed<Reveal>),
}

/// A draw that is open at the relay; stands in for the `placement` machine.
struct OpenDraw {
    committee: u16,
    opener: StatementHash,
    answers: BTreeMap<NodeId, Signed<Draw>>,
}

/// What the relay stored about one request.
struct Life {
    request: Request,
    received: Signed<Received>,
    attempts: BTreeMap<Attempt, StoredAttempt>,
    receipts: BTreeMap<StatementHash, Signed<Receipt>>,
    endings: Vec<Ending>,
}

impl Life {
    fn tally(&self, attempt: Attempt) -> Option<&Signed<Tally>> {
        self.attempts.get(&attempt)?.tally.as_ref()
    }

    /// The statement that opened an attempt.
    fn opener(&self, attempt: Attempt) -> Option<StatementHash> {
        match attempt.0.checked_sub(1) {
            None => Some(self.received.hash()),
            Some(before) => {
                self.attempts.get(&Attempt(before))?.widening.as_ref().map(Signed::hash)
            }
        }
    }

    fn stored(&self) -> StoredRequest {
        let last = self.attempts.keys().next_back();
        let attempts = (0..=last.map_or(0, |last| last.0))
            .map(|attempt| self.attempts.get(&Attempt(attempt)).cloned())
            .map(Option::unwrap_or_default)
            .collect();
        StoredRequest { request: self.request.clone(), received: self.received.clone(), attempts }
    }
}

struct RelaySide {
    machine: Relay,
    key: Arc<NodeKey>,
    store: BTreeMap<RequestId, Life>,
    draws: BTreeMap<Place, OpenDraw>,
}

/// A script that runs.
struct Run {
    id: RequestId,
    attempt: Attempt,
    script_seed: [u8; 32],
}

struct WorkerSide {
    machine: Worker,
    key: Arc<NodeKey>,
    conduct: Conduct,
    store: BTreeMap<Place, StoredWork>,
    runs: VecDeque<Run>,
}

/// One attempt of one request.
type Place = (RequestId, Attempt);
/// A statement's kind, signer and position: where only one thing may be said.
type SaidAt = (&'static str, NodeId, Vec<u8>);

/// An accusation by the relay.
struct Conflict {
    worker: NodeId,
    first: Arc<[u8]>,
    second: Arc<[u8]>,
}

/// Everything that anybody ever said or did, over all crashes.
#[derive(Default)]
struct History {
    /// What the relay and workers that keep to the protocol said at each place.
    places: BTreeMap<SaidAt, StatementHash>,
    /// What they said there besides.
    said_twice: Vec<String>,
    commits: BTreeMap<StatementHash, Signed<Commit>>,
    reveals: BTreeMap<StatementHash, Signed<Reveal>>,
    /// Their reveals sent before a tally counted their commit.
    premature: Vec<Signed<Reveal>>,
    conflicts: Vec<Conflict>,
    omitted: Vec<NodeId>,
    ended: BTreeMap<RequestId, usize>,
    /// Openers under which a draw was opened.
    openers: BTreeMap<Place, BTreeSet<StatementHash>>,
}

impl History {
    /// Notes a statement of the relay, or of a worker that keeps to the protocol.
    fn note<B: Body<Signer = NodeId>>(&mut self, kind: &'static str, statement: &Signed<B>) {
        let Some(position) = statement.body.position() else {
            return;
        };
        let place = (kind, statement.signer, position);
        let first = *self.places.entry(place).or_insert(statement.hash());
        if first != statement.hash() {
            self.said_twice.push(format!("{statement:?}"));
        }
    }
}

/// One crash in a run without any other, and a worker that nothing reaches the relay from since.
#[derive(Debug, Clone, Copy)]
struct Fault {
    batch: u64,
    crash: Crash,
    cut_off: Option<usize>,
}

struct Model {
    now: Millis,
    relay: RelaySide,
    workers: Vec<WorkerSide>,
    in_flight: VecDeque<Message>,
    submitted: Vec<Request>,
    history: History,
    /// How many different lies were told.
    lies: u32,
    /// When the relay's timers last ran to their end.
    timers_ran: Millis,
    /// Batches of effects that were carried out.
    batches: u64,
    fault: Option<Fault>,
    /// Draws that were concluded in the healed network, when, and who was drawn.
    drawn_when_healed: Option<BTreeMap<Place, (Millis, Vec<NodeId>)>>,
}

/// The seed that decides a draw; only the opener fixes it.
fn seed_of(opener: StatementHash) -> Seed {
    Seed(opener.0)
}

fn round_of(attempt: Attempt) -> Round {
    Round(u64::from(attempt.0) + 1)
}

fn says(value: &str) -> Execution {
    Execution {
        engine: "model".to_owned(),
        code: Some(CodeHash::of(b"script")),
        outcome: Outcome::Value(CanonicalJson::from_value(&value).expect("JSON")),
    }
}

/// What a script that runs with this seed gives.
fn truth(script_seed: &[u8; 32]) -> Execution {
    says(&format!("{script_seed:02x?}"))
}

impl Model {
    fn new(conducts: &[Conduct]) -> Self {
        let key = Arc::new(NodeKey::from_secret([1; 32]));
        let relay = RelaySide {
            machine: Relay::new(NETWORK, key.clone(), LIMITS),
            key,
            store: BTreeMap::new(),
            draws: BTreeMap::new(),
        };
        let worker = |(number, conduct): (u8, &Conduct)| {
            let key = Arc::new(NodeKey::from_secret([number; 32]));
            WorkerSide {
                machine: Worker::new(NETWORK, key.clone()),
                key,
                conduct: *conduct,
                store: BTreeMap::new(),
                runs: VecDeque::new(),
            }
        };
        Self {
            now: START,
            relay,
            workers: (100..).zip(conducts).map(worker).collect(),
            in_flight: VecDeque::new(),
            submitted: Vec::new(),
            history: History::default(),
            lies: 0,
            timers_ran: START,
            batches: 0,
            fault: None,
            drawn_when_healed: None,
        }
    }

    fn worker_index(&self, node: &NodeId) -> usize {
        let found = self.workers.iter().position(|worker| worker.key.id() == *node);
        found.expect("only workers of this network speak")
    }

    fn conduct_of(&self, node: &NodeId) -> Conduct {
        self.workers[self.worker_index(node)].conduct
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Submit { committee, above_half, deadline_ms, nonce } => {
                let request = Request {
                    uri: "http://127.0.0.1/script".to_owned(),
                    code: None,
                    params: CanonicalJson::from_text("{}").expect("JSON"),
                    committee,
                    quorum: (committee / 2 + 1 + above_half).min(committee),
                    deadline: self.now.plus(deadline_ms),
                    nonce: Nonce([nonce; 16]),
                };
                assert_eq!(request.check(), Ok(()));
                self.submitted.push(request.clone());
                self.submit(request);
            }
            Action::SubmitAgain(which) => {
                if let Some(index) = which.checked_rem(self.submitted.len()) {
                    self.submit(self.submitted[index].clone());
                }
            }
            Action::Deliver(which, crash) => {
                if let Some(index) = which.checked_rem(self.in_flight.len()) {
                    let message = self.in_flight.remove(index).expect("below the length");
                    self.deliver(message, crash);
                }
            }
            Action::Flow { messages, lost, twice } => {
                for number in 0..messages {
                    self.finish_all();
                    let Some(message) = self.in_flight.pop_front() else {
                        return;
                    };
                    let bit = 1 << (number % 16);
                    if twice & bit != 0 {
                        self.in_flight.push_back(message.clone());
                    }
                    if lost & bit == 0 {
                        self.deliver(message, Crash::No);
                    }
                }
            }
            Action::Duplicate(which) => {
                if let Some(index) = which.checked_rem(self.in_flight.len()) {
                    let message = self.in_flight[index].clone();
                    self.in_flight.push_back(message);
                }
            }
            Action::Drop(which) => {
                if let Some(index) = which.checked_rem(self.in_flight.len()) {
                    self.in_flight.remove(index);
                }
            }
            Action::DropAll => self.in_flight.clear(),
            Action::Finish(which, crash) => self.finish(which % self.workers.len(), crash),
            Action::CloseDraw(which, crash) => {
                if let Some(index) = which.checked_rem(self.relay.draws.len()) {
                    let place = *self.relay.draws.keys().nth(index).expect("below");
                    self.conclude_draw(place, crash);
                }
            }
            Action::Wait { duration_ms, run_timers } => {
                self.now = self.now.plus(duration_ms);
                if let Some(crash) = run_timers {
                    self.run_timers(crash);
                }
            }
            Action::CrashRelay => self.restart_relay(),
            Action::Outage(duration_ms) => {
                self.restart_relay();
                self.in_flight.clear();
                self.now = self.now.plus(duration_ms);
                self.run_timers(Crash::No);
            }
            Action::CrashWorker(which) => self.restart_worker(which % self.workers.len()),
        }
    }

    fn submit(&mut self, request: Request) {
        let life = self.relay.store.get(&request.id());
        if life.is_some_and(|life| !life.endings.is_empty()) {
            return;
        }
        let event = RelayEvent::Submit(request);
        self.tell_relay(event, Crash::No);
    }

    fn tell_relay(&mut self, event: RelayEvent, crash: Crash) {
        self.relay.machine.handle(event, self.now);
        self.carry_out_relay(crash);
    }

    fn tell_worker(&mut self, index: usize, event: WorkerEvent, crash: Crash) {
        self.workers[index].machine.handle(event, self.now);
        self.carry_out_worker(index, crash);
    }

    fn deliver(&mut self, message: Message, crash: Crash) {
        match message {
            Message::Answer(Signed { signer, .. })
            | Message::Commit(Signed { signer, .. })
            | Message::Reveal(Signed { signer, .. })
                if self.is_cut_off(&signer) => {}
            Message::Offer { to, request, attempt, opener } => {
                let population = self.workers.len() as u64;
                let round = round_of(attempt);
                let event = WorkerEvent::Offered {
                    threshold: Threshold::of(request.committee, attempt, population),
                    request,
                    relay: self.relay.key.id(),
                    attempt,
                    round,
                    seed: seed_of(opener),
                    opened: Millis(round.0 * 1_000),
                };
                self.tell_worker(to, event, crash);
            }
            Message::Answer(draw) => {
                let place = (draw.body.request, draw.body.attempt);
                let Some(open) = self.relay.draws.get_mut(&place) else {
                    return;
                };
                open.answers.insert(draw.signer, draw);
                if open.answers.len() == self.workers.len() {
                    self.conclude_draw(place, crash);
                }
            }
            Message::Commit(commit) => self.tell_relay(RelayEvent::Commit(commit), crash),
            Message::Reveal(reveal) => self.tell_relay(RelayEvent::Reveal(reveal), crash),
            Message::Receipt { to, receipt } => {
                self.tell_worker(to, WorkerEvent::Receipt(receipt), crash);
            }
            Message::Tally { to, tally } => {
                self.tell_worker(to, WorkerEvent::Tally(tally), crash);
            }
        }
    }

    /// The oracle in place of `placement`: checks the answers' proofs, keeps those who were drawn.
    fn conclude_draw(&mut self, place: Place, crash: Crash) {
        let (request, attempt) = place;
        let open = self.relay.draws.remove(&place).expect("an open draw");
        let population = self.workers.len() as u64;
        let threshold = Threshold::of(open.committee, attempt, population);
        let is_drawn = |draw: &Signed<Draw>| {
            let key = self.workers[self.worker_index(&draw.signer)].key.vrf_public();
            let seed = seed_of(open.opener);
            let proof = &draw.body.proof;
            let output = verify_draw(&NETWORK, &draw.signer, &key, &request, attempt, &seed, proof);
            threshold.admits(&output.expect("nobody forges proofs here"))
        };
        let drawn: Vec<_> = open.answers.into_values().filter(is_drawn).collect();
        let round = round_of(attempt);
        if let Some(healed) = &mut self.drawn_when_healed {
            let workers = drawn.iter().map(|draw| draw.signer).collect();
            healed.insert(place, (self.now, workers));
        }
        let event = RelayEvent::Drawn { request, attempt, round, population, drawn };
        self.tell_relay(event, crash);
    }

    fn run_timers(&mut self, crash: Crash) {
        self.relay.machine.handle_timeout(self.now);
        self.carry_out_relay(crash);
        if crash != Crash::BeforePersist {
            self.timers_ran = self.now;
        }
        for index in 0..self.workers.len() {
            self.workers[index].machine.handle_timeout(self.now);
            self.carry_out_worker(index, Crash::No);
        }
    }

    fn finish(&mut self, index: usize, crash: Crash) {
        let worker = &mut self.workers[index];
        let Some(run) = worker.runs.pop_front() else {
            return;
        };
        let execution = match worker.conduct {
            Conduct::LiesTogether => says("lie"),
            Conduct::LiesAlone => {
                self.lies += 1;
                says(&format!("lie {}", self.lies))
            }
            _ => truth(&run.script_seed),
        };
        let event = WorkerEvent::Executed { request: run.id, attempt: run.attempt, execution };
        self.tell_worker(index, event, crash);
    }

    fn finish_all(&mut self) {
        for index in 0..self.workers.len() {
            while !self.workers[index].runs.is_empty() {
                self.finish(index, Crash::No);
            }
        }
    }

    /// How a batch ends: as the action says, or as the fault does whose turn it is.
    fn next_batch(&mut self, crash: Crash) -> Crash {
        self.batches += 1;
        let planned = self.fault.filter(|fault| fault.batch == self.batches);
        planned.map_or(crash, |fault| fault.crash)
    }

    /// Whether the sender of a message is cut off from the relay.
    fn is_cut_off(&self, sender: &NodeId) -> bool {
        let since = self.fault.filter(|fault| fault.batch <= self.batches);
        let cut_off = since.and_then(|fault| fault.cut_off);
        cut_off.is_some_and(|index| self.workers[index].key.id() == *sender)
    }

    fn carry_out_relay(&mut self, crash: Crash) {
        let crash = self.next_batch(crash);
        let machine = &mut self.relay.machine;
        let batch: Vec<_> = std::iter::from_fn(|| machine.next_effect()).collect();
        if crash == Crash::BeforePersist {
            return self.restart_relay();
        }
        for effect in &batch {
            if let RelayEffect::Persist(record) = effect {
                self.store(record);
            }
        }
        if crash == Crash::AfterPersist {
            return self.restart_relay();
        }
        for effect in batch {
            self.carry_out_relay_effect(effect);
        }
    }

    fn carry_out_relay_effect(&mut self, effect: RelayEffect) {
        match effect {
            RelayEffect::OpenDraw { request, attempt, committee, opener } => {
                let place = (request, attempt);
                let openers = self.history.openers.entry(place).or_default();
                openers.insert(opener);
                let answers = BTreeMap::new();
                let draw = OpenDraw { committee, opener, answers };
                self.relay.draws.insert(place, draw);
                self.offer(place);
            }
            RelayEffect::Receipt(receipt) => {
                let hash = &receipt.body.statement;
                let commit = self.history.commits.get(hash).map(|commit| commit.signer);
                let reveal = self.history.reveals.get(hash).map(|reveal| reveal.signer);
                let signer = commit.or(reveal).expect("a receipt is for what was said");
                let to = self.worker_index(&signer);
                self.in_flight.push_back(Message::Receipt { to, receipt });
            }
            RelayEffect::Tallied(tally) => self.spread(&tally),
            RelayEffect::Conflict { worker, first, second } => {
                self.history.conflicts.push(Conflict { worker, first, second })
            }
            RelayEffect::Ended { request, .. } => {
                self.relay.draws.retain(|(open, _), _| *open != request);
                *self.history.ended.entry(request).or_default() += 1;
            }
            RelayEffect::Persist(_)
            | RelayEffect::Accepted(_)
            | RelayEffect::Rejected { .. }
            | RelayEffect::Refused { .. } => {}
        }
    }

    fn offer(&mut self, place: Place) {
        let opener = self.relay.draws[&place].opener;
        let request = &self.relay.store[&place.0].request;
        for to in 0..self.workers.len() {
            self.in_flight.push_back(Message::Offer {
                to,
                request: request.clone(),
                attempt: place.1,
                opener,
            });
        }
    }

    fn spread(&mut self, tally: &Signed<Tally>) {
        for to in 0..self.workers.len() {
            let tally = tally.clone();
            self.in_flight.push_back(Message::Tally { to, tally });
        }
    }

    /// Stores a record, as idempotently as a database with unique keys.
    fn store(&mut self, record: &Record) {
        fn open<B: Body>(bytes: &[u8]) -> Signed<B> {
            Signed::open(&NETWORK, bytes).expect("what is stored verifies")
        }
        fn push<B: Body>(list: &mut Vec<Signed<B>>, statement: Signed<B>) {
            if !list.contains(&statement) {
                list.push(statement);
            }
        }
        match record {
            Record::Request { request, received } => {
                self.history.note(Received::KIND, received);
                let life = Life {
                    request: request.clone(),
                    received: received.clone(),
                    attempts: BTreeMap::new(),
                    receipts: BTreeMap::new(),
                    endings: Vec::new(),
                };
                let before = self.relay.store.insert(request.id(), life);
                assert!(before.is_none(), "a request is new once");
            }
            Record::Statement { request, attempt, kind, signer, bytes, own } => {
                assert_eq!(*own, *signer == self.relay.key.id());
                let life = self.relay.store.get_mut(request).expect("stored before");
                let stored = life.attempts.entry(*attempt).or_default();
                stored.population = self.workers.len() as u64;
                match *kind {
                    Draw::KIND => push(&mut stored.drawn, open(bytes)),
                    Commit::KIND => push(&mut stored.commits, open(bytes)),
                    Reveal::KIND => push(&mut stored.reveals, open(bytes)),
                    Tally::KIND => {
                        let tally = open(bytes);
                        self.history.note(Tally::KIND, &tally);
                        stored.tally = Some(tally);
                    }
                    Widening::KIND => {
                        let widening = open(bytes);
                        self.history.note(Widening::KIND, &widening);
                        stored.widening = Some(widening);
                    }
                    Receipt::KIND => {
                        let receipt: Signed<Receipt> = open(bytes);
                        life.receipts.insert(receipt.hash(), receipt);
                    }
                    other => panic!("nobody restores a {other}"),
                }
            }
            Record::End { request, ending, .. } => {
                match ending {
                    Ending::Agreed(agreement) => self.history.note("ending", agreement),
                    Ending::Failed(failure) => self.history.note("ending", failure),
                }
                let life = self.relay.store.get_mut(request).expect("stored before");
                life.endings.push(ending.clone());
            }
        }
    }

    fn restart_relay(&mut self) {
        let key = self.relay.key.clone();
        self.relay.machine = Relay::new(NETWORK, key, LIMITS);
        self.relay.draws.clear();
        let unfinished = |life: &&Life| life.endings.is_empty();
        for life in self.relay.store.values().filter(unfinished) {
            let event = RelayEvent::Restore(life.stored());
            self.relay.machine.handle(event, self.now);
        }
        self.carry_out_relay(Crash::No);
    }

    fn carry_out_worker(&mut self, index: usize, crash: Crash) {
        let crash = self.next_batch(crash);
        let worker = &mut self.workers[index];
        let batch: Vec<_> = std::iter::from_fn(|| worker.machine.next_effect()).collect();
        if crash == Crash::BeforePersist {
            return self.restart_worker(index);
        }
        for effect in &batch {
            if let WorkerEffect::Persist(work) = effect {
                let place = (work.request, work.attempt);
                let stored = worker.store.entry(place).or_insert_with(|| work.clone());
                if stored.commit != work.commit {
                    let event = WorkerEvent::Restore(stored.clone());
                    return self.tell_worker(index, event, Crash::No);
                }
            }
        }
        if crash == Crash::AfterPersist {
            return self.restart_worker(index);
        }
        for effect in batch {
            self.carry_out_worker_effect(index, effect);
        }
    }

    fn carry_out_worker_effect(&mut self, index: usize, effect: WorkerEffect) {
        let worker = &mut self.workers[index];
        let conduct = worker.conduct;
        match effect {
            WorkerEffect::Answer { draw, .. } => {
                if conduct.keeps_to_protocol() {
                    self.history.note(Draw::KIND, &draw);
                }
                if conduct != Conduct::NeverAnswers {
                    self.in_flight.push_back(Message::Answer(draw));
                }
            }
            WorkerEffect::Execute { id, attempt, script_seed, .. } => {
                worker.runs.push_back(Run { id, attempt, script_seed })
            }
            WorkerEffect::Persist(_) => {}
            WorkerEffect::Commit { commit, .. } => {
                let place = (commit.body.request, commit.body.attempt);
                let own = worker.store[&place].reveal.clone();
                match conduct {
                    Conduct::NeverCommits => {}
                    Conduct::Equivocates => {
                        let second = self.second_commit(index, &commit);
                        self.say_commit(index, commit);
                        self.say_commit(index, second);
                    }
                    Conduct::RevealsEarly => {
                        self.say_commit(index, commit);
                        self.say_reveal(index, own);
                    }
                    _ => self.say_commit(index, commit),
                }
            }
            WorkerEffect::Reveal { reveal, .. } => match conduct {
                Conduct::NeverReveals => {}
                Conduct::Mismatches => {
                    let lie = self.other_reveal(index, &reveal, reveal.body.commit);
                    self.say_reveal(index, lie);
                }
                Conduct::Equivocates => {
                    let place = (reveal.body.request, reveal.body.attempt);
                    let commit = self.workers[index].store[&place].commit.clone();
                    let second = self.second_commit(index, &commit);
                    for basis in [commit.hash(), second.hash()] {
                        let lie = self.other_reveal(index, &reveal, basis);
                        self.say_reveal(index, lie);
                    }
                    self.say_reveal(index, reveal);
                }
                _ => self.say_reveal(index, reveal),
            },
            WorkerEffect::Omitted { relay, .. } => self.history.omitted.push(relay),
            WorkerEffect::Finish { request, attempt } => {
                worker.store.remove(&(request, attempt));
            }
        }
    }

    /// What an equivocating worker also commits to.
    fn second_commit(&self, index: usize, commit: &Signed<Commit>) -> Signed<Commit> {
        let worker = &self.workers[index];
        let place = (commit.body.request, commit.body.attempt);
        let salt = &worker.store[&place].reveal.body.salt;
        let body = Commit {
            commitment: says("lie").commitment(&commit.body.draw, salt),
            ..commit.body.clone()
        };
        Signed::sign(NETWORK, &*worker.key, body)
    }

    /// A reveal of a lie, built on this commit.
    fn other_reveal(
        &self,
        index: usize,
        reveal: &Signed<Reveal>,
        commit: StatementHash,
    ) -> Signed<Reveal> {
        let body = Reveal { execution: says("lie"), commit, ..reveal.body.clone() };
        Signed::sign(NETWORK, &*self.workers[index].key, body)
    }

    fn say_commit(&mut self, index: usize, commit: Signed<Commit>) {
        if self.workers[index].conduct.keeps_to_protocol() {
            self.history.note(Commit::KIND, &commit);
        }
        self.history.commits.insert(commit.hash(), commit.clone());
        self.in_flight.push_back(Message::Commit(commit));
    }

    fn say_reveal(&mut self, index: usize, reveal: Signed<Reveal>) {
        if self.workers[index].conduct.keeps_to_protocol() {
            self.history.note(Reveal::KIND, &reveal);
            let life = &self.relay.store[&reveal.body.request];
            let tally = life.tally(reveal.body.attempt);
            let counted =
                tally.is_some_and(|tally| tally.body.commits.contains(&reveal.body.commit));
            if !counted {
                self.history.premature.push(reveal.clone());
            }
        }
        self.history.reveals.insert(reveal.hash(), reveal.clone());
        self.in_flight.push_back(Message::Reveal(reveal));
    }

    fn restart_worker(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.machine = Worker::new(NETWORK, worker.key.clone());
        worker.runs.clear();
        for work in worker.store.values() {
            let event = WorkerEvent::Restore(work.clone());
            worker.machine.handle(event, self.now);
        }
        self.carry_out_worker(index, Crash::No);
    }

    /// The network heals: what was lost is sent again, everything arrives, nothing crashes.
    fn heal(&mut self) {
        self.drawn_when_healed = Some(BTreeMap::new());
        let open: Vec<_> = self.relay.draws.keys().copied().collect();
        for place in open {
            self.offer(place);
        }
        let tallies: Vec<_> = self
            .relay
            .store
            .values()
            .filter(|life| life.endings.is_empty())
            .flat_map(|life| life.attempts.values())
            .filter_map(|attempt| attempt.tally.clone())
            .collect();
        for tally in &tallies {
            self.spread(tally);
        }
        self.run_until_idle();
    }

    /// Everything arrives and every timer runs, until no request is open.
    fn run_until_idle(&mut self) {
        for _ in 0..10_000 {
            self.finish_all();
            if let Some(message) = self.in_flight.pop_front() {
                self.deliver(message, Crash::No);
            } else if let Some(place) = self.relay.draws.keys().next() {
                self.conclude_draw(*place, Crash::No);
            } else if let Some(due) = self.relay.machine.next_timeout() {
                self.now = self.now.max(due);
                self.run_timers(Crash::No);
            } else {
                return;
            }
        }
        panic!("the network does not come to rest");
    }

    /// What every worker should say in an attempt.
    fn truth_of(&self, request: RequestId, attempt: Attempt) -> Execution {
        let opener = self.relay.store[&request].opener(attempt);
        let seed = seed_of(opener.expect("the attempt was opened"));
        truth(&script_seed(&request, attempt, &seed))
    }
}

// The invariants.

/// (a) Nothing ends twice; what is past its deadline has ended once timers have run.
fn every_request_ends_once(model: &Model) -> TestCaseResult {
    for (id, life) in &model.relay.store {
        prop_assert!(life.endings.len() <= 1, "{id} ended twice: {:?}", life.endings);
        let told = model.history.ended.get(id).copied().unwrap_or_default();
        prop_assert!(told <= life.endings.len(), "{id}: told, and not stored");
        if life.request.deadline <= model.timers_ran {
            prop_assert_eq!(life.endings.len(), 1, "{} is past its deadline", id);
        }
    }
    Ok(())
}

/// (b) What is agreed on was revealed by a quorum that is also most of those who committed; and it
/// is the truth where less than half of them lie.
fn an_agreement_has_a_majority(model: &Model) -> TestCaseResult {
    for (id, life) in &model.relay.store {
        for ending in &life.endings {
            let Ending::Agreed(agreement) = ending else {
                continue;
            };
            let Agreement { request, attempt, tally, execution, agreeing, dissenting, silent } =
                &agreement.body;
            prop_assert_eq!(request, id);
            let stored = life.tally(*attempt).expect("an agreement has a tally");
            prop_assert_eq!(&stored.hash(), tally);
            let counted = &stored.body.commits;
            let mut spoke = BTreeSet::new();
            for (hashes, agrees) in [(agreeing, true), (dissenting, false)] {
                prop_assert!(hashes.is_sorted());
                for hash in hashes {
                    let reveal = &model.history.reveals[hash];
                    let body = &reveal.body;
                    prop_assert!(spoke.insert(reveal.signer), "one reveal for each worker");
                    prop_assert!(counted.contains(&body.commit));
                    let commit = &model.history.commits[&body.commit];
                    prop_assert_eq!(commit.signer, reveal.signer);
                    let opens = body.execution.commitment(&commit.body.draw, &body.salt);
                    prop_assert_eq!(opens, commit.body.commitment);
                    prop_assert_eq!(body.execution == *execution, agrees);
                }
            }
            let population = model.workers.len() as u64;
            let required = required_votes(&life.request, *attempt, population);
            prop_assert!(agreeing.len() >= required);
            prop_assert!(2 * agreeing.len() > counted.len());
            let committed: BTreeSet<_> =
                counted.iter().map(|hash| model.history.commits[hash].signer).collect();
            prop_assert_eq!(committed.len(), counted.len(), "one commit for each worker");
            let quiet: BTreeSet<_> = committed.difference(&spoke).copied().collect();
            prop_assert_eq!(&quiet, &silent.iter().copied().collect());
            let lies = |worker: &&NodeId| model.conduct_of(worker).lies();
            if 2 * committed.iter().filter(lies).count() < counted.len() {
                prop_assert_eq!(execution, &model.truth_of(*id, *attempt));
            }
        }
    }
    Ok(())
}

/// (c) What has a receipt counts: a commit in its tally, a reveal in the agreement or the widening of
/// its attempt.
fn what_has_a_receipt_counts(model: &Model) -> TestCaseResult {
    for (id, life) in &model.relay.store {
        for receipt in life.receipts.values() {
            let Receipt { request, attempt, statement } = receipt.body;
            prop_assert_eq!(request, *id);
            if model.history.commits.contains_key(&statement) {
                if let Some(tally) = life.tally(attempt) {
                    let counts = tally.body.commits.contains(&statement);
                    prop_assert!(counts, "a commit has a receipt and is not in the tally");
                }
                continue;
            }
            let reveal = model.history.reveals.get(&statement);
            prop_assert!(reveal.is_some(), "a receipt for what was never said");
            for ending in &life.endings {
                if let Ending::Agreed(agreement) = ending
                    && agreement.body.attempt == attempt
                {
                    let body = &agreement.body;
                    let counts =
                        body.agreeing.contains(&statement) || body.dissenting.contains(&statement);
                    prop_assert!(counts, "a reveal has a receipt and is not in the agreement");
                }
            }
            let widening = life.attempts.get(&attempt).and_then(|stored| stored.widening.as_ref());
            if let Some(widening) = widening {
                let counts = widening.body.reveals.contains(&statement);
                prop_assert!(counts, "a reveal has a receipt and is not in the widening");
            }
        }
    }
    Ok(())
}

/// (d) Over all crashes the relay, and who keeps to the protocol, says one thing at each place.
fn nobody_says_two_things(model: &Model) -> TestCaseResult {
    let twice = &model.history.said_twice;
    prop_assert!(twice.is_empty(), "said besides: {twice:#?}");
    for ((id, attempt), openers) in &model.history.openers {
        prop_assert!(openers.len() == 1, "{id}, {attempt:?} was opened by several");
        let opener = model.relay.store[id].opener(*attempt);
        prop_assert_eq!(openers.first().copied(), opener);
    }
    Ok(())
}

/// (e) Nobody who keeps to the protocol shows a result before the tally that counts it.
fn no_reveal_before_its_tally(model: &Model) -> TestCaseResult {
    let premature = &model.history.premature;
    prop_assert!(premature.is_empty(), "too early: {premature:#?}");
    Ok(())
}

/// (f) Nobody honest is accused, and each accusation's evidence stands by itself.
fn only_the_guilty_are_accused(model: &Model) -> TestCaseResult {
    let omitted = &model.history.omitted;
    prop_assert!(omitted.is_empty(), "the honest relay is accused: {omitted:?}");
    for Conflict { worker, first, second } in &model.history.conflicts {
        let conduct = model.conduct_of(worker);
        let guilty = matches!(conduct, Conduct::Equivocates | Conduct::Mismatches);
        prop_assert!(guilty, "{worker} is accused, whose conduct is {conduct:?}");
        prop_assert!(first != second);
        let commits = [first, second].map(|bytes| Signed::<Commit>::open(&NETWORK, bytes).ok());
        let reveals = [first, second].map(|bytes| Signed::<Reveal>::open(&NETWORK, bytes).ok());
        match (commits, reveals) {
            ([Some(one), Some(other)], _) => {
                prop_assert_eq!([one.signer, other.signer], [*worker; 2]);
                prop_assert_eq!(one.body.position(), other.body.position());
            }
            (_, [Some(one), Some(other)]) => {
                prop_assert_eq!([one.signer, other.signer], [*worker; 2]);
                prop_assert_eq!(one.body.position(), other.body.position());
            }
            ([Some(commit), None], [None, Some(reveal)]) => {
                prop_assert_eq!([commit.signer, reveal.signer], [*worker; 2]);
                prop_assert_eq!(reveal.body.commit, commit.hash());
                let opens = reveal.body.execution.commitment(&commit.body.draw, &reveal.body.salt);
                prop_assert_ne!(opens, commit.body.commitment);
            }
            other => prop_assert!(false, "no evidence: {other:?}"),
        }
    }
    Ok(())
}

/// (g) The machine holds exactly the requests that have not ended, each with a timer in time.
fn nothing_leaks(model: &Model) -> TestCaseResult {
    let lives = model.relay.store.values();
    let open: Vec<_> = lives.filter(|life| life.endings.is_empty()).collect();
    prop_assert_eq!(model.relay.machine.open_requests(), open.len());
    let first = open.iter().map(|life| life.request.deadline).min();
    let timeout = model.relay.machine.next_timeout();
    prop_assert_eq!(timeout.is_some(), first.is_some());
    prop_assert!(timeout <= first, "no timer before the deadline");
    for (id, _) in model.relay.draws.keys() {
        prop_assert!(model.relay.store[id].endings.is_empty(), "a draw is left over");
    }
    Ok(())
}

fn check(model: &Model) -> TestCaseResult {
    every_request_ends_once(model)?;
    an_agreement_has_a_majority(model)?;
    what_has_a_receipt_counts(model)?;
    nobody_says_two_things(model)?;
    no_reveal_before_its_tally(model)?;
    only_the_guilty_are_accused(model)?;
    nothing_leaks(model)
}

/// (h) In a healed network an honest majority that was drawn in time agrees in time.
fn honest_majorities_agree(model: &Model) -> TestCaseResult {
    let windows_ms = LIMITS.commit_window_ms + LIMITS.reveal_window_ms;
    let healed = model.drawn_when_healed.as_ref().expect("it is healed");
    for ((id, attempt), (at, drawn)) in healed {
        let life = &model.relay.store[id];
        let is_honest = |worker: &&NodeId| model.conduct_of(worker) == Conduct::Honest;
        let honest = drawn.iter().filter(is_honest).count();
        let required = required_votes(&life.request, *attempt, model.workers.len() as u64);
        let enough = honest >= required && 2 * honest > drawn.len();
        let in_time = life.request.deadline > at.plus(windows_ms);
        if enough && in_time {
            let Some(Ending::Agreed(agreement)) = life.endings.first() else {
                prop_assert!(false, "{id} is not agreed on: {:?}", life.endings);
                continue;
            };
            let agreed = agreement.body.attempt;
            prop_assert!(agreed <= *attempt);
            if agreed == *attempt {
                let truth = model.truth_of(*id, *attempt);
                prop_assert_eq!(&agreement.body.execution, &truth);
            }
        }
    }
    Ok(())
}

/// Heals the network, lets everything end, then asks for one more thing.
fn live(model: &mut Model) -> TestCaseResult {
    model.heal();
    check(model)?;
    honest_majorities_agree(model)?;
    let committee = 3;
    model.act(Action::Submit { committee, above_half: 0, deadline_ms: 1_000_000, nonce: 0xff });
    model.run_until_idle();
    check(model)?;
    honest_majorities_agree(model)?;
    let last = model.submitted.last().expect("just submitted").id();
    let honest = model.workers.iter().filter(|worker| worker.conduct == Conduct::Honest).count();
    // The last draw takes everybody.
    if honest >= 2 && 2 * honest > model.workers.len() {
        let ending = model.relay.store[&last].endings.first();
        let agreed = matches!(ending, Some(Ending::Agreed(_)));
        prop_assert!(agreed, "an honest majority of all: {ending:?}");
    }
    prop_assert_eq!(model.relay.machine.open_requests(), 0);
    prop_assert_eq!(model.relay.machine.next_timeout(), None);
    Ok(())
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        20 => Just(Crash::No),
        1 => Just(Crash::BeforePersist),
        1 => Just(Crash::AfterPersist),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let any_index = || any::<u16>().prop_map(usize::from);
    let some_bits = || {
        let quarter = (any::<u16>(), any::<u16>()).prop_map(|(one, other)| one & other);
        prop_oneof![2 => Just(0), 1 => quarter]
    };
    let duration_ms = prop_oneof![8 => 0_u64..150, 4 => 0_u64..600, 1 => 50_000_u64..70_000];
    prop_oneof![
        4 => (1_u16..6, 0_u16..2, 1_u64..3_000, any::<u8>()).prop_map(
            |(committee, above_half, deadline_ms, nonce)| Action::Submit {
                committee, above_half, deadline_ms, nonce,
            }
        ),
        1 => any_index().prop_map(Action::SubmitAgain),
        24 => (any_index(), crash()).prop_map(|(which, crash)| Action::Deliver(which, crash)),
        12 => (1_usize..24, some_bits(), some_bits())
            .prop_map(|(messages, lost, twice)| Action::Flow { messages, lost, twice }),
        5 => any_index().prop_map(Action::Duplicate),
        3 => any_index().prop_map(Action::Drop),
        1 => Just(Action::DropAll),
        6 => (any_index(), crash()).prop_map(|(which, crash)| Action::Finish(which, crash)),
        4 => (any_index(), crash()).prop_map(|(which, crash)| Action::CloseDraw(which, crash)),
        4 => (duration_ms, prop::option::weighted(0.8, crash())).prop_map(
            |(duration_ms, run_timers)| Action::Wait { duration_ms, run_timers }
        ),
        2 => Just(Action::CrashRelay),
        2 => (0_u64..600).prop_map(Action::Outage),
        2 => any_index().prop_map(Action::CrashWorker),
    ]
}

fn conduct() -> impl Strategy<Value = Conduct> {
    prop_oneof![
        8 => Just(Conduct::Honest),
        2 => Just(Conduct::LiesTogether),
        1 => Just(Conduct::LiesAlone),
        2 => Just(Conduct::Equivocates),
        2 => Just(Conduct::Mismatches),
        1 => Just(Conduct::RevealsEarly),
        1 => Just(Conduct::NeverReveals),
        1 => Just(Conduct::NeverCommits),
        1 => Just(Conduct::NeverAnswers),
    ]
}

fn run(conducts: &[Conduct], actions: Vec<Action>) -> TestCaseResult {
    let mut model = Model::new(conducts);
    for action in actions {
        model.act(action);
        check(&model)?;
    }
    live(&mut model)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn safe_whatever_happens_and_live_when_healed(
        conducts in vec(conduct(), 5..=MOST_WORKERS),
        actions in vec(action(), 1..120),
    ) {
        run(&conducts, actions)?;
    }
}

/// Every place for one crash in a plain run: each batch of the relay and of the workers, before and
/// after its records are stored, with each worker cut off from then on.
#[test]
fn one_crash_anywhere_changes_nothing() {
    let conducts = [Conduct::Honest; 5];
    let run = |fault: Option<Fault>| {
        let mut model = Model::new(&conducts);
        model.fault = fault;
        let submit = Action::Submit { committee: 5, above_half: 0, deadline_ms: 5_000, nonce: 1 };
        model.act(submit);
        // The client asks again: the relay may have died before it had the request.
        model.act(Action::SubmitAgain(0));
        model.run_until_idle();
        if let Err(error) = check(&model) {
            panic!("{fault:?}: {error}");
        }
        let id = model.submitted[0].id();
        let ending = model.relay.store[&id].endings.first();
        assert!(matches!(ending, Some(Ending::Agreed(_))), "{fault:?}: {ending:?}");
        model.batches
    };
    let batches = run(None);
    assert!(batches > 30, "there is something to interrupt: {batches}");
    for batch in 1..=batches {
        for crash in [Crash::BeforePersist, Crash::AfterPersist] {
            for cut_off in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
                run(Some(Fault { batch, crash, cut_off }));
            }
        }
    }
}
