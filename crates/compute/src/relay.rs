//! The relay's machine: takes requests in, collects what drawn workers say, states the agreement.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use wire::{
    Attempt, Body, Millis, NetworkId, NodeId, NodeKey, RequestId, Round, Signed, StatementHash,
    agreement::{Verdict, decide, required_votes},
    compute::{
        Agreement, Commit, Draw, Execution, Failure, FailureReason, Receipt, Received, Request,
        Reveal, Tally, Widening,
    },
};

use crate::{
    effect::{Ending, Record, Refusal, RelayEffect},
    event::{About, RelayEvent, StoredRequest},
    job::{Job, Phase, Taken, sorted_hashes, split_by},
};

/// A relay's limits, most of them from the network's settings.
#[derive(Debug, Clone, Copy)]
pub struct RelayLimits {
    /// The most requests open at once; a further one is refused, so that those taken are served.
    pub open_requests: usize,
    /// How long drawn workers have to commit, in ms: the script's time and the way there and back.
    pub commit_window_ms: u64,
    /// How long they have to reveal, in ms.
    pub reveal_window_ms: u64,
    /// How many draws a request gets.
    pub attempts: u32,
}

/// The requests of one relay.
pub struct Relay {
    network: NetworkId,
    key: Arc<NodeKey>,
    limits: RelayLimits,
    jobs: BTreeMap<RequestId, Job>,
    timers: BTreeSet<(Millis, RequestId)>,
    effects: VecDeque<RelayEffect>,
}

impl Relay {
    /// A relay without requests.
    pub fn new(network: NetworkId, key: Arc<NodeKey>, limits: RelayLimits) -> Self {
        Self {
            network,
            key,
            limits,
            jobs: BTreeMap::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Applies new limits; windows that are open keep their end.
    pub fn set_limits(&mut self, limits: RelayLimits) {
        self.limits = limits;
    }

    /// How many requests are open.
    pub fn open_requests(&self) -> usize {
        self.jobs.len()
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: RelayEvent, now: Millis) {
        match event {
            RelayEvent::Submit(request) => self.submit(request, now),
            RelayEvent::Restore(stored) => self.restore(stored, now),
            RelayEvent::Drawn { request, attempt, round, population, drawn } => {
                self.drawn(request, attempt, (round, population), drawn, now);
            }
            RelayEvent::Commit(commit) => self.commit(&commit, now),
            RelayEvent::Reveal(reveal) => self.reveal(&reveal, now),
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<RelayEffect> {
        self.effects.pop_front()
    }

    /// When the next phase or request ends by itself.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends the phases and requests whose time has come.
    pub fn handle_timeout(&mut self, now: Millis) {
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            let job = self.jobs.get(&id).expect("only open requests have timers");
            if job.request.deadline <= now {
                self.fail(id, FailureReason::Expired, now);
            } else if matches!(job.phase, Phase::Committing { .. }) {
                self.close_commits(id, now);
            } else {
                self.conclude(id, now);
            }
        }
    }

    fn submit(&mut self, request: Request, now: Millis) {
        let id = request.id();
        if self.jobs.contains_key(&id) {
            self.effects.push_back(RelayEffect::Accepted(id));
            return;
        }
        let refusal = if request.deadline <= now {
            Some(Refusal::DeadlinePassed)
        } else if self.jobs.len() >= self.limits.open_requests {
            Some(Refusal::Busy(self.limits.open_requests))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.effects.push_back(RelayEffect::Rejected { request: id, refusal });
            return;
        }
        let received = self.sign(Received { request: id, received: now });
        let opener = received.hash();
        let record = Record::Request { request: request.clone(), received };
        self.effects.push_back(RelayEffect::Persist(record));
        self.effects.push_back(RelayEffect::Accepted(id));
        self.open_draw(request, Attempt(0), opener, FailureReason::NoQuorum);
    }

    fn open_draw(
        &mut self,
        request: Request,
        attempt: Attempt,
        opener: StatementHash,
        last_reason: FailureReason,
    ) {
        let committee = request.committee;
        let phase = Phase::Drawing { early: BTreeMap::new() };
        let id = self.insert(request, attempt, phase, last_reason);
        self.effects.push_back(RelayEffect::OpenDraw { request: id, attempt, committee, opener });
    }

    fn insert(
        &mut self,
        request: Request,
        attempt: Attempt,
        phase: Phase,
        last_reason: FailureReason,
    ) -> RequestId {
        let id = request.id();
        let mut job = Job { request, id, attempt, phase, last_reason, timer: Millis(0) };
        job.timer = job.due();
        self.timers.insert((job.timer, id));
        self.jobs.insert(id, job);
        id
    }

    fn restore(&mut self, stored: StoredRequest, now: Millis) {
        let StoredRequest { request, received, mut attempts } = stored;
        // An attempt that was ended is past; the next one may have nothing stored yet.
        let last = attempts.pop_if(|last| last.widening.is_none()).unwrap_or_default();
        let attempt = Attempt(u32::try_from(attempts.len()).expect("attempts are limited"));
        // Told only if this attempt fails too.
        let last_reason = FailureReason::NoQuorum;
        let commits: BTreeMap<_, _> =
            last.commits.into_iter().map(|commit| (commit.signer, commit)).collect();
        let phase = match (last.tally, last.drawn.first()) {
            (Some(tally), _) => {
                let reveals =
                    last.reveals.into_iter().map(|reveal| (reveal.signer, reveal)).collect();
                let required = required_votes(&request, attempt, tally.body.population);
                let enough = commits.len() >= required;
                let window_ms = if enough { self.limits.reveal_window_ms } else { 0 };
                let (faulty, closes) = (BTreeMap::new(), now.plus(window_ms));
                self.effects.push_back(RelayEffect::Tallied(tally.clone()));
                Phase::Revealing { tally, commits, reveals, faulty, closes }
            }
            (None, Some(first)) => {
                let round = first.body.round;
                let drawn = last.drawn.into_iter().map(|draw| (draw.signer, draw)).collect();
                let closes = now.plus(self.limits.commit_window_ms);
                Phase::Committing { round, population: last.population, drawn, commits, closes }
            }
            (None, None) => {
                let widening = attempts.last().and_then(|before| before.widening.as_ref());
                let opener = widening.map_or(received.hash(), Signed::hash);
                self.open_draw(request, attempt, opener, last_reason);
                return;
            }
        };
        let id = self.insert(request, attempt, phase, last_reason);
        self.advance_if_complete(id, now);
    }

    /// After a restore everything awaited may be there already.
    fn advance_if_complete(&mut self, id: RequestId, now: Millis) {
        let complete = match &self.jobs[&id].phase {
            Phase::Drawing { .. } => return,
            Phase::Committing { drawn, commits, .. } => drawn.len() == commits.len(),
            Phase::Revealing { commits, reveals, .. } => commits.len() == reveals.len(),
        };
        match (complete, &self.jobs[&id].phase) {
            (true, Phase::Committing { .. }) => self.close_commits(id, now),
            (true, _) => self.conclude(id, now),
            (false, _) => {}
        }
    }

    fn drawn(
        &mut self,
        id: RequestId,
        attempt: Attempt,
        (round, population): (Round, u64),
        drawn: Vec<Signed<Draw>>,
        now: Millis,
    ) {
        let closes = now.plus(self.limits.commit_window_ms);
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.attempt == attempt) else {
            return;
        };
        let Phase::Drawing { early } = &mut job.phase else {
            return;
        };
        let early = std::mem::take(early);
        for draw in &drawn {
            self.effects.push_back(persist(id, attempt, draw, false));
        }
        let drawn: BTreeMap<_, _> = drawn.into_iter().map(|draw| (draw.signer, draw)).collect();
        let enough = drawn.len() >= required_votes(&job.request, attempt, population);
        job.phase =
            Phase::Committing { round, population, drawn, commits: BTreeMap::new(), closes };
        if !enough {
            for commit in early.into_values() {
                let statement = commit.hash();
                let refusal = Refusal::Closed;
                self.effects.push_back(RelayEffect::Refused { statement, refusal });
            }
            self.close_commits(id, now);
            return;
        }
        self.reset_timer(&id);
        for commit in early.into_values() {
            self.commit(&commit, now);
        }
    }

    fn commit(&mut self, commit: &Signed<Commit>, now: Millis) {
        let body = &commit.body;
        let about = About { request: body.request, attempt: body.attempt, worker: commit.signer };
        let Some(taken) = self.take(&about, commit.hash(), |job| job.take_commit(commit)) else {
            return;
        };
        if self.acknowledge(&about, commit, taken) {
            self.close_commits(about.request, now);
        }
    }

    fn reveal(&mut self, reveal: &Signed<Reveal>, now: Millis) {
        let body = &reveal.body;
        let about = About { request: body.request, attempt: body.attempt, worker: reveal.signer };
        let Some(taken) = self.take(&about, reveal.hash(), |job| job.take_reveal(reveal)) else {
            return;
        };
        if self.acknowledge(&about, reveal, taken) {
            self.conclude(about.request, now);
        }
    }

    /// Finds the request that a statement is about and lets it take the statement in.
    fn take(
        &mut self,
        about: &About,
        statement: StatementHash,
        take: impl FnOnce(&mut Job) -> Taken,
    ) -> Option<Taken> {
        let refusal = match self.jobs.get_mut(&about.request) {
            None => Refusal::NotOpen,
            Some(job) if job.attempt != about.attempt => Refusal::OtherAttempt(job.attempt),
            Some(job) => return Some(take(job)),
        };
        self.effects.push_back(RelayEffect::Refused { statement, refusal });
        None
    }

    /// Answers the worker; whether everything awaited is now there.
    fn acknowledge<B: Body<Signer = NodeId>>(
        &mut self,
        about: &About,
        statement: &Signed<B>,
        taken: Taken,
    ) -> bool {
        let hash = statement.hash();
        let (is_new, complete) = match taken {
            Taken::New { complete } => (true, complete),
            Taken::Known => (false, false),
            Taken::Held => return false,
            Taken::Refused(refusal) => {
                self.effects.push_back(RelayEffect::Refused { statement: hash, refusal });
                return false;
            }
            Taken::Contradicts { first, complete } => {
                let (worker, second) = (about.worker, statement.bytes().clone());
                self.effects.push_back(RelayEffect::Conflict { worker, first, second });
                let refusal = Refusal::Contradiction;
                self.effects.push_back(RelayEffect::Refused { statement: hash, refusal });
                return complete;
            }
        };
        let (request, attempt) = (about.request, about.attempt);
        if is_new {
            self.effects.push_back(persist(request, attempt, statement, false));
        }
        let receipt = self.sign(Receipt { request, attempt, statement: hash });
        self.effects.push_back(persist(request, attempt, &receipt, true));
        self.effects.push_back(RelayEffect::Receipt(receipt));
        complete
    }

    fn close_commits(&mut self, id: RequestId, now: Millis) {
        let reveal_closes = now.plus(self.limits.reveal_window_ms);
        let job = self.jobs.get_mut(&id).expect("the caller looked it up");
        let attempt = job.attempt;
        let Phase::Committing { round, population, drawn, commits, .. } = &mut job.phase else {
            unreachable!("commits close once");
        };
        let commits = std::mem::take(commits);
        let body = Tally {
            request: id,
            attempt,
            round: *round,
            population: *population,
            drawn: sorted_hashes(drawn.values()),
            commits: sorted_hashes(commits.values()),
        };
        let count = commits.len();
        let enough = count >= required_votes(&job.request, attempt, *population);
        let tally = Signed::sign(self.network, &*self.key, body);
        job.phase = Phase::Revealing {
            tally: tally.clone(),
            commits,
            reveals: BTreeMap::new(),
            faulty: BTreeMap::new(),
            closes: reveal_closes,
        };
        self.effects.push_back(persist(id, attempt, &tally, true));
        self.effects.push_back(RelayEffect::Tallied(tally));
        if enough {
            self.reset_timer(&id);
        } else {
            self.conclude(id, now);
        }
    }

    fn conclude(&mut self, id: RequestId, now: Millis) {
        let job = &self.jobs[&id];
        let Phase::Revealing { tally, commits, reveals, .. } = &job.phase else {
            unreachable!("only reveals conclude");
        };
        let required = required_votes(&job.request, job.attempt, tally.body.population);
        let (attempt, round, tally) = (job.attempt, tally.body.round, tally.hash());
        let executions = reveals.values().map(|reveal| &reveal.body.execution);
        let reason = match decide(executions, commits.len(), required) {
            Verdict::Agreed(execution) => {
                let agreement = agreement(id, attempt, tally, execution, commits, reveals);
                let ending = Ending::Agreed(self.sign(agreement));
                self.end(id, ending, now);
                return;
            }
            Verdict::Disagreement => FailureReason::Disagreement,
            Verdict::NoQuorum => FailureReason::NoQuorum,
        };
        // What workers disagreed on tells more than that too few answered the draw after it.
        let told = match job.last_reason {
            FailureReason::Disagreement => FailureReason::Disagreement,
            _ => reason,
        };
        if attempt.0 + 1 >= self.limits.attempts {
            self.fail(id, told, now);
            return;
        }
        let reveals = sorted_hashes(reveals.values());
        let widening = self.sign(Widening { request: id, attempt, round, tally, reveals, reason });
        self.effects.push_back(persist(id, attempt, &widening, true));
        let job = self.remove(&id);
        let next = Attempt(attempt.0 + 1);
        self.open_draw(job.request, next, widening.hash(), told);
    }

    fn fail(&mut self, id: RequestId, reason: FailureReason, now: Millis) {
        let attempts = self.jobs[&id].attempt.0 + 1;
        let failure = self.sign(Failure { request: id, reason, attempts });
        self.end(id, Ending::Failed(failure), now);
    }

    fn end(&mut self, request: RequestId, ending: Ending, ended: Millis) {
        let job = self.remove(&request);
        // Nobody waits for an answer that cannot come any more.
        if let Phase::Drawing { early } = job.phase {
            for commit in early.into_values() {
                let (statement, refusal) = (commit.hash(), Refusal::NotOpen);
                self.effects.push_back(RelayEffect::Refused { statement, refusal });
            }
        }
        let attempts = job.attempt.0 + 1;
        let record = Record::End { request, ending: ending.clone(), attempts, ended };
        self.effects.push_back(RelayEffect::Persist(record));
        self.effects.push_back(RelayEffect::Ended { request, ending });
    }

    fn remove(&mut self, id: &RequestId) -> Job {
        let job = self.jobs.remove(id).expect("the caller looked it up");
        self.timers.remove(&(job.timer, *id));
        job
    }

    fn reset_timer(&mut self, id: &RequestId) {
        let job = self.jobs.get_mut(id).expect("the caller looked it up");
        self.timers.remove(&(job.timer, job.id));
        job.timer = job.due();
        self.timers.insert((job.timer, job.id));
    }

    fn sign<B: Body<Signer = NodeId>>(&self, body: B) -> Signed<B> {
        Signed::sign(self.network, &*self.key, body)
    }
}

fn persist<B: Body<Signer = NodeId>>(
    request: RequestId,
    attempt: Attempt,
    statement: &Signed<B>,
    own: bool,
) -> RelayEffect {
    RelayEffect::Persist(Record::Statement {
        request,
        attempt,
        kind: B::KIND,
        signer: statement.signer,
        bytes: statement.bytes().clone(),
        own,
    })
}

fn agreement(
    request: RequestId,
    attempt: Attempt,
    tally: StatementHash,
    execution: Execution,
    commits: &BTreeMap<NodeId, Signed<Commit>>,
    reveals: &BTreeMap<NodeId, Signed<Reveal>>,
) -> Agreement {
    let (agreeing, dissenting) = split_by(reveals, &execution);
    let silent = commits.keys().filter(|worker| !reveals.contains_key(worker)).copied().collect();
    Agreement { request, attempt, tally, execution, agreeing, dissenting, silent }
}
