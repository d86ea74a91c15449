//! The machine that opens draws and takes the workers' answers.
//!
//! A draw waits for the round that decides it, is then announced to every worker of the roster, and
//! ends when all have answered or the window has passed. Each worker answers with a VRF proof that
//! shows by itself whether it was drawn: nobody has to be asked who is in, and nobody can choose.
//!
//! Invariants: a draw ends once; whoever counts as drawn stands in the roster that was fixed before
//! the seed, with a proof that verifies and a number below the threshold.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use wire::{
    Attempt, Millis, NetworkId, NodeId, RequestId, Round, Seed, Signed, StatementHash,
    compute::{Draw, Threshold, expected_committee, verify_draw},
    round::Roster,
};

use crate::{
    pace::Pace,
    rounds::{RoundView, Rounds},
};

/// What happens to the draws.
#[derive(Debug)]
pub enum DrawnEvent {
    /// A request wants workers; the statement that says so stands in the log at `log_index`.
    Open {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The expected committee of the first attempt.
        committee: u16,
        /// The statement that opened the attempt.
        opener: StatementHash,
        /// Where it stands in the relay's log.
        log_index: u64,
    },
    /// A round opened; rounds come in order.
    Round(RoundView),
    /// A worker answered.
    Answer(Signed<Draw>),
    /// The request ended; whether well, with an agreement.
    Abandon {
        /// The request.
        request: RequestId,
        /// Whether it was agreed on.
        agreed: bool,
    },
    /// A worker that was drawn did not commit in time: fewer draws at once.
    Late,
    /// The time that workers have to answer changed.
    Window(u64),
}

/// A draw that was opened: what a worker has to be shown.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The request.
    pub request: RequestId,
    /// Which draw of it.
    pub attempt: Attempt,
    /// The statement that opened the attempt.
    pub opener: StatementHash,
    /// Where it stands in the relay's log.
    pub log_index: u64,
    /// The round before the deciding one.
    pub before: RoundView,
    /// The deciding round.
    pub decides: RoundView,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawRefusal {
    /// No such draw is open: not yet, not any more, or it never was.
    #[error("this draw is not open")]
    NotOpen,
    /// The answer names another round.
    #[error("the draw is decided by round {0}")]
    OtherRound(Round),
    /// The worker was not on the roster when the seed became known.
    #[error("the worker is not on the roster of this draw")]
    NotOnRoster,
    /// The proof does not verify.
    #[error("the VRF proof does not verify for this draw")]
    Proof,
}

/// What the draws want done.
#[derive(Debug)]
pub enum DrawnEffect {
    /// Tell every worker.
    Announce(Opened),
    /// An answer was taken in.
    Answered {
        /// The answer.
        statement: StatementHash,
    },
    /// An answer does not count.
    Refused {
        /// The answer.
        statement: StatementHash,
        /// Why.
        refusal: DrawRefusal,
    },
    /// The draw ended.
    Concluded {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The round that decided it.
        round: Round,
        /// How many workers it was made of.
        population: u64,
        /// The answers of those who were drawn, by worker.
        drawn: Vec<Signed<Draw>>,
    },
}

/// A draw that waits for its round, or, once that has opened, for its turn.
struct Waiting {
    attempt: Attempt,
    committee: u16,
    opener: StatementHash,
    log_index: u64,
}

struct Open {
    attempt: Attempt,
    round: Round,
    seed: Seed,
    threshold: Threshold,
    roster: Arc<Roster>,
    /// All answers; `true` for those who were drawn.
    answers: BTreeMap<NodeId, (Signed<Draw>, bool)>,
    closes: Millis,
}

/// The draws of one relay.
pub struct Drawn {
    network: NetworkId,
    window_ms: u64,
    rounds: Rounds,
    pace: Pace,
    waiting: BTreeMap<RequestId, Waiting>,
    /// Those whose round has not opened, or whose turn has not come, in the order of the log.
    turns: BTreeSet<(u64, RequestId)>,
    open: BTreeMap<RequestId, Open>,
    /// The jobs that each request takes of the budget, from its draw to its end.
    under_way: BTreeMap<RequestId, u64>,
    timers: BTreeSet<(Millis, RequestId)>,
    effects: VecDeque<DrawnEffect>,
}

impl Drawn {
    /// No draws yet; workers have `window_ms` to answer.
    pub fn new(network: NetworkId, window_ms: u64) -> Self {
        Self {
            network,
            window_ms,
            rounds: Rounds::default(),
            pace: Pace::new(),
            waiting: BTreeMap::new(),
            turns: BTreeSet::new(),
            open: BTreeMap::new(),
            under_way: BTreeMap::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: DrawnEvent, now: Millis) {
        match event {
            DrawnEvent::Open { request, attempt, committee, opener, log_index } => {
                self.abandon(&request);
                self.waiting.insert(request, Waiting { attempt, committee, opener, log_index });
                self.turns.insert((log_index, request));
                self.open_in_turn(now);
            }
            DrawnEvent::Round(view) => {
                self.rounds.insert(view);
                self.open_in_turn(now);
            }
            DrawnEvent::Answer(draw) => {
                let statement = draw.hash();
                if let Err(refusal) = self.answer(draw) {
                    self.effects.push_back(DrawnEffect::Refused { statement, refusal });
                }
            }
            DrawnEvent::Abandon { request, agreed } => {
                self.abandon(&request);
                if agreed {
                    self.pace.went_well();
                }
                self.open_in_turn(now);
            }
            DrawnEvent::Late => self.pace.was_late(now),
            DrawnEvent::Window(window_ms) => self.window_ms = window_ms,
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<DrawnEffect> {
        self.effects.pop_front()
    }

    /// When the next window passes.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends the draws whose window has passed.
    pub fn handle_timeout(&mut self, now: Millis) {
        while let Some((at, request)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            self.pace.was_late(now);
            self.conclude(&request);
        }
    }

    fn abandon(&mut self, request: &RequestId) {
        if let Some(waiting) = self.waiting.remove(request) {
            self.turns.remove(&(waiting.log_index, *request));
        }
        if let Some(jobs) = self.under_way.remove(request) {
            self.pace.give_back(jobs);
        }
        if let Some(open) = self.open.remove(request) {
            self.timers.remove(&(open.closes, *request));
        }
    }

    /// Opens the draws whose round has opened, in the order of the log, while the budget lasts. A
    /// draw that waits for its turn is decided by the same round as before.
    fn open_in_turn(&mut self, now: Millis) {
        let seen_size = self.rounds.seen_size();
        let mut next = (0, RequestId([0; 32]));
        while let Some((log_index, request)) = self.turns.range(next..).next().copied() {
            if log_index >= seen_size {
                return;
            }
            next = (log_index + 1, RequestId([0; 32]));
            // A round that was missed proves nothing; who waits for it does not hold up the others.
            let Some((before, decides)) = self.rounds.deciding(log_index) else { continue };
            let waiting = &self.waiting[&request];
            let (committee, attempt) = (waiting.committee, waiting.attempt);
            let roster = Arc::clone(&before.workers);
            let population = roster.head().size;
            let jobs = expected_committee(committee, attempt, population);
            if !self.pace.take(jobs, population) {
                return;
            }
            let open = Open {
                attempt,
                round: decides.statement.body.round,
                seed: decides.statement.body.seed,
                threshold: Threshold::of(committee, attempt, population),
                roster,
                answers: BTreeMap::new(),
                closes: now.plus(self.window_ms),
            };
            self.effects.push_back(DrawnEffect::Announce(Opened {
                request,
                attempt,
                opener: waiting.opener,
                log_index,
                before: before.clone(),
                decides: decides.clone(),
            }));
            self.turns.remove(&(log_index, request));
            self.waiting.remove(&request);
            self.under_way.insert(request, jobs);
            self.timers.insert((open.closes, request));
            let nobody = open.roster.members().is_empty();
            self.open.insert(request, open);
            if nobody {
                self.conclude(&request);
            }
        }
    }

    fn answer(&mut self, draw: Signed<Draw>) -> Result<(), DrawRefusal> {
        let body = &draw.body;
        let (request, worker) = (body.request, draw.signer);
        let open = self.open.get_mut(&request).ok_or(DrawRefusal::NotOpen)?;
        if body.attempt != open.attempt {
            return Err(DrawRefusal::NotOpen);
        }
        if body.round != open.round {
            return Err(DrawRefusal::OtherRound(open.round));
        }
        let (statement, attempt) = (draw.hash(), open.attempt);
        if !open.answers.contains_key(&worker) {
            let (admission, _) = open.roster.member(&worker).ok_or(DrawRefusal::NotOnRoster)?;
            let key = &admission.body.vrf;
            let output = verify_draw(
                &self.network,
                &worker,
                key,
                &request,
                attempt,
                &open.seed,
                &body.proof,
            )
            .map_err(|_| DrawRefusal::Proof)?;
            let drawn = open.threshold.admits(&output);
            open.answers.insert(worker, (draw, drawn));
        }
        let complete = open.answers.len() == open.roster.members().len();
        self.effects.push_back(DrawnEffect::Answered { statement });
        if complete {
            self.conclude(&request);
        }
        Ok(())
    }

    fn conclude(&mut self, request: &RequestId) {
        let open = self.open.remove(request).expect("only open draws have timers and answers");
        self.timers.remove(&(open.closes, *request));
        let answers = open.answers.into_values();
        self.effects.push_back(DrawnEffect::Concluded {
            request: *request,
            attempt: open.attempt,
            round: open.round,
            population: open.roster.head().size,
            drawn: answers.filter_map(|(draw, drawn)| drawn.then_some(draw)).collect(),
        });
    }
}
