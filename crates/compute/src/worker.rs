//! The worker's machine: answers draws, runs what it was drawn for, commits, then reveals.
//!
//! Invariants: one commit and one reveal per request and attempt, the stored ones after a restart;
//! no reveal before the relay's tally counts this worker's commit.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use wire::{
    Attempt, Millis, NetworkId, NodeId, NodeKey, RequestId, Round, Salt, Seed, Signed,
    compute::{
        Commit, Draw, Execution, Receipt, Request, Reveal, Tally, Threshold, prove_draw,
        script_seed,
    },
};

/// What happens to a worker.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A relay opened a draw, and the offer's proofs have been checked.
    Offered {
        /// The request.
        request: Request,
        /// Who offers it.
        relay: NodeId,
        /// Which draw of it.
        attempt: Attempt,
        /// The round that decides.
        round: Round,
        /// Its seed.
        seed: Seed,
        /// When it opened: the time that the script sees.
        opened: Millis,
        /// The threshold for this attempt and roster.
        threshold: Threshold,
    },
    /// After a restart: work that had been committed to.
    Restore(StoredWork),
    /// The script ended.
    Executed {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// What came out.
        execution: Execution,
    },
    /// The relay acknowledged a statement.
    Receipt(Signed<Receipt>),
    /// The relay closed commits.
    Tally(Signed<Tally>),
}

/// Work that a worker has committed to, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredWork {
    /// The request.
    pub request: RequestId,
    /// Which draw of it.
    pub attempt: Attempt,
    /// Whose request it is.
    pub relay: NodeId,
    /// When it is of no use any more.
    pub deadline: Millis,
    /// The commit.
    pub commit: Signed<Commit>,
    /// The reveal that opens it.
    pub reveal: Signed<Reveal>,
}

/// What a worker wants done, in this order.
#[derive(Debug, Clone)]
pub enum WorkerEffect {
    /// Send the answer to a draw.
    Answer {
        /// To whom.
        relay: NodeId,
        /// The answer.
        draw: Signed<Draw>,
    },
    /// Run the script.
    Execute {
        /// The request.
        request: Request,
        /// Its id.
        id: RequestId,
        /// Which draw of it.
        attempt: Attempt,
        /// The seed of the script's randomness.
        script_seed: [u8; 32],
        /// The time that the script sees.
        opened: Millis,
    },
    /// Store the work. If another commit is stored for its place, feed the stored one back with
    /// [`WorkerEvent::Restore`] and do not go on with this one.
    Persist(StoredWork),
    /// Send the commit, which is stored.
    Commit {
        /// To whom.
        relay: NodeId,
        /// The commit.
        commit: Signed<Commit>,
    },
    /// Send the reveal, which is stored.
    Reveal {
        /// To whom.
        relay: NodeId,
        /// The reveal.
        reveal: Signed<Reveal>,
    },
    /// Nothing is left to do for this work: it need not be taken up after a restart.
    Finish {
        /// The request.
        request: RequestId,
        /// Which draw of it.
        attempt: Attempt,
    },
    /// The relay left a commit out of its tally although it had acknowledged it.
    Omitted {
        /// The relay.
        relay: NodeId,
        /// The commit.
        commit: Signed<Commit>,
        /// That the relay acknowledged it.
        receipt: Signed<Receipt>,
        /// What it left it out of.
        tally: Signed<Tally>,
    },
}

struct Task {
    relay: NodeId,
    deadline: Millis,
    draw: Option<Signed<Draw>>,
    work: Option<StoredWork>,
    receipt: Option<Signed<Receipt>>,
    tally: Option<Signed<Tally>>,
}

impl Task {
    fn new(relay: NodeId, deadline: Millis) -> Self {
        Self { relay, deadline, draw: None, work: None, receipt: None, tally: None }
    }
}

/// The work of one worker.
pub struct Worker {
    network: NetworkId,
    key: Arc<NodeKey>,
    tasks: BTreeMap<(RequestId, Attempt), Task>,
    effects: VecDeque<WorkerEffect>,
}

/// How long after its deadline a task is remembered, so that a late tally still finds it.
const KEEP_AFTER_DEADLINE_MS: u64 = 60_000;

impl Worker {
    /// A worker without work.
    pub fn new(network: NetworkId, key: Arc<NodeKey>) -> Self {
        Self { network, key, tasks: BTreeMap::new(), effects: VecDeque::new() }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: WorkerEvent, now: Millis) {
        match event {
            WorkerEvent::Offered { request, relay, attempt, round, seed, opened, threshold } => {
                if let Some((id, place)) = self.may_take(&request, attempt, now) {
                    let (output, proof) = prove_draw(&self.network, &self.key, &id, attempt, &seed);
                    let draw = self.sign(Draw { request: id, attempt, round, proof });
                    let answer = WorkerEffect::Answer { relay, draw: draw.clone() };
                    self.effects.push_back(answer);
                    if threshold.admits(&output) {
                        let script_seed = script_seed(&id, attempt, &seed);
                        let deadline = request.deadline;
                        let execute =
                            WorkerEffect::Execute { request, id, attempt, script_seed, opened };
                        self.take(place, relay, deadline, draw, execute);
                    }
                }
            }
            WorkerEvent::Restore(work) => {
                let task = self.tasks.entry((work.request, work.attempt)).or_insert_with(|| Task {
                    relay: work.relay,
                    deadline: work.deadline,
                    draw: None,
                    work: None,
                    receipt: None,
                    tally: None,
                });
                task.work = Some(work.clone());
                let (relay, commit) = (work.relay, work.commit.clone());
                self.effects.push_back(WorkerEffect::Commit { relay, commit });
                self.reveal_if_tallied(&(work.request, work.attempt));
            }
            WorkerEvent::Executed { request, attempt, execution } => {
                self.executed(request, attempt, execution);
            }
            WorkerEvent::Receipt(receipt) => {
                let place = (receipt.body.request, receipt.body.attempt);
                let Some(task) = self.tasks.get_mut(&place) else {
                    return;
                };
                let is_commit = task
                    .work
                    .as_ref()
                    .is_some_and(|work| work.commit.hash() == receipt.body.statement);
                if receipt.signer == task.relay && is_commit {
                    task.receipt = Some(receipt);
                    self.accuse_if_omitted(&place);
                }
            }
            WorkerEvent::Tally(tally) => {
                let place = (tally.body.request, tally.body.attempt);
                let Some(task) = self.tasks.get_mut(&place) else {
                    return;
                };
                if tally.signer != task.relay {
                    return;
                }
                task.tally = Some(tally);
                self.reveal_if_tallied(&place);
                self.accuse_if_omitted(&place);
            }
        }
    }

    /// The next thing to do.
    pub fn next_effect(&mut self) -> Option<WorkerEffect> {
        self.effects.pop_front()
    }

    /// When the oldest task can be forgotten.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.tasks.values().map(|task| task.deadline.plus(KEEP_AFTER_DEADLINE_MS)).min()
    }

    /// Forgets tasks whose deadline lies far enough back.
    pub fn handle_timeout(&mut self, now: Millis) {
        let is_over = |task: &Task| task.deadline.plus(KEEP_AFTER_DEADLINE_MS) <= now;
        for ((request, attempt), _) in self.tasks.extract_if(.., |_, task| is_over(task)) {
            self.effects.push_back(WorkerEffect::Finish { request, attempt });
        }
    }

    /// Whether an offer is to be answered anew. One that was answered is answered the same again:
    /// the relay was restarted.
    fn may_take(
        &mut self,
        request: &Request,
        attempt: Attempt,
        now: Millis,
    ) -> Option<(RequestId, (RequestId, Attempt))> {
        if request.deadline <= now {
            return None;
        }
        let id = request.id();
        let Some(task) = self.tasks.get(&(id, attempt)) else {
            return Some((id, (id, attempt)));
        };
        let Some(draw) = task.draw.clone() else {
            return Some((id, (id, attempt)));
        };
        self.effects.push_back(WorkerEffect::Answer { relay: task.relay, draw });
        if let Some(work) = &task.work {
            let (relay, commit) = (work.relay, work.commit.clone());
            self.effects.push_back(WorkerEffect::Commit { relay, commit });
        }
        None
    }

    /// Takes on what the worker was drawn for, and runs it unless that was done before a restart.
    fn take(
        &mut self,
        place: (RequestId, Attempt),
        relay: NodeId,
        deadline: Millis,
        draw: Signed<Draw>,
        execute: WorkerEffect,
    ) {
        let task = self.tasks.entry(place).or_insert_with(|| Task::new(relay, deadline));
        task.draw = Some(draw);
        match &task.work {
            Some(work) => {
                let (relay, commit) = (work.relay, work.commit.clone());
                self.effects.push_back(WorkerEffect::Commit { relay, commit });
            }
            None => self.effects.push_back(execute),
        }
    }

    fn executed(&mut self, request: RequestId, attempt: Attempt, execution: Execution) {
        let place = (request, attempt);
        let Some(task) = self.tasks.get(&place) else {
            return;
        };
        let (Some(draw), None) = (&task.draw, &task.work) else {
            return;
        };
        let salt = self.salt(&place);
        let commitment = execution.commitment(&draw.hash(), &salt);
        let commit = self.sign(Commit { request, attempt, draw: draw.hash(), commitment });
        let reveal = self.sign(Reveal { request, attempt, commit: commit.hash(), salt, execution });
        let (relay, deadline) = (task.relay, task.deadline);
        let work = StoredWork { request, attempt, relay, deadline, commit: commit.clone(), reveal };
        self.tasks.get_mut(&place).expect("just looked up").work = Some(work.clone());
        self.effects.push_back(WorkerEffect::Persist(work));
        self.effects.push_back(WorkerEffect::Commit { relay, commit });
        self.reveal_if_tallied(&place);
    }

    fn reveal_if_tallied(&mut self, place: &(RequestId, Attempt)) {
        let task = &self.tasks[place];
        let (Some(work), Some(tally)) = (&task.work, &task.tally) else {
            return;
        };
        if tally.body.commits.contains(&work.commit.hash()) {
            let (relay, reveal) = (task.relay, work.reveal.clone());
            self.effects.push_back(WorkerEffect::Reveal { relay, reveal });
        }
    }

    fn accuse_if_omitted(&mut self, place: &(RequestId, Attempt)) {
        let task = &self.tasks[place];
        let (Some(work), Some(receipt), Some(tally)) = (&task.work, &task.receipt, &task.tally)
        else {
            return;
        };
        if !tally.body.commits.contains(&receipt.body.statement) {
            self.effects.push_back(WorkerEffect::Omitted {
                relay: task.relay,
                commit: work.commit.clone(),
                receipt: receipt.clone(),
                tally: tally.clone(),
            });
        }
    }

    /// Unforeseeable to others, and the same after a restart, so that the same execution gives the
    /// same commit.
    fn salt(&self, (request, attempt): &(RequestId, Attempt)) -> Salt {
        Salt(*self.key.derived_secret(&format!("quorate/v1/salt/{request}/{}", attempt.0)))
    }

    fn sign<B: wire::Body<Signer = NodeId>>(&self, body: B) -> Signed<B> {
        Signed::sign(self.network, &*self.key, body)
    }
}
