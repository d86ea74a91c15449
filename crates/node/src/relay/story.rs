//! A request as people see it: its events and its view.
//!
//! Invariant: both are a function of what the relay stored, in the order in which it stored it, so
//! they are the same live and read again later.

use std::collections::BTreeMap;

use api::{
    AttemptView, FailureView, FaultView, RequestEvent, RequestState, RequestView, RevealView,
    WorkerRef,
};
use wire::{
    Attempt, Millis, NodeId, Round, Signed, StatementHash,
    agreement::required_votes,
    compute::{
        Agreement, Commit, Draw, Execution, Failure, FailureReason, Outcome, Request, Reveal, Tally,
    },
};

/// What a round contributes: when it opened, and of how many workers it draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundFacts {
    pub opened: Millis,
    pub population: u64,
}

/// One thing that the relay stored.
#[derive(Debug)]
pub(crate) enum Told {
    Draw(Signed<Draw>),
    Commit(Signed<Commit>),
    Tally(Signed<Tally>),
    Reveal(Signed<Reveal>),
    Agreed(Signed<Agreement>, Millis),
    Failed(Signed<Failure>),
}

/// A request's story so far.
#[derive(Debug)]
pub(crate) struct Story {
    request: Request,
    pub view: RequestView,
    pub events: Vec<RequestEvent>,
    /// Who said what in the last attempt.
    reveals: BTreeMap<StatementHash, WorkerRef>,
    executions: BTreeMap<NodeId, Execution>,
    opened: Option<Millis>,
}

fn value_and_fault(outcome: &Outcome) -> (Option<serde_json::Value>, Option<FaultView>) {
    match outcome {
        Outcome::Value(value) => (Some(value.to_value()), None),
        Outcome::Fault(fault) => (None, Some(FaultView::from(fault))),
    }
}

impl Story {
    pub(crate) fn new(request: &Request, received: Millis) -> Self {
        let id = request.id();
        let view = RequestView {
            id,
            state: RequestState::Received,
            uri: request.uri.clone(),
            code: request.code,
            params: request.params.to_value(),
            committee: request.committee,
            quorum: request.quorum,
            deadline_ms: request.deadline,
            received_ms: received,
            attempts: Vec::new(),
            result: None,
            fault: None,
            failure: None,
            agreed_ms: None,
            open_to_agreed_ms: None,
            certificate: None,
        };
        let event = RequestEvent::Received {
            request: id,
            received_ms: received,
            deadline_ms: request.deadline,
            committee: request.committee,
            quorum: request.quorum,
        };
        Self {
            request: request.clone(),
            view,
            events: vec![event],
            reveals: BTreeMap::new(),
            executions: BTreeMap::new(),
            opened: None,
        }
    }

    /// Adds what was stored. `name` names a node, `facts` knows a round.
    pub(crate) fn add(
        &mut self,
        told: Told,
        name: &dyn Fn(&NodeId) -> String,
        facts: &dyn Fn(Round) -> Option<RoundFacts>,
    ) {
        let worker = |id: NodeId| WorkerRef { id, name: name(&id) };
        match told {
            Told::Draw(draw) => {
                let (attempt, worker) = (draw.body.attempt, worker(draw.signer));
                self.attempt(attempt, draw.body.round, facts).drawn.push(worker.clone());
                self.view.state = RequestState::Drawn;
                self.events.push(RequestEvent::Drawn { attempt, worker, drawn: true });
            }
            Told::Commit(commit) => {
                let (attempt, worker) = (commit.body.attempt, worker(commit.signer));
                if let Some(view) = self.view.attempts.last_mut() {
                    view.committed.push(worker.clone());
                }
                self.events.push(RequestEvent::Committed { attempt, worker });
            }
            Told::Tally(tally) => {
                let body = &tally.body;
                let view = self.attempt(body.attempt, body.round, facts);
                view.missing = view.committed.clone();
                self.view.state = RequestState::Committed;
                self.events.push(RequestEvent::Tallied {
                    attempt: body.attempt,
                    drawn: body.drawn.len() as u64,
                    committed: body.commits.len() as u64,
                });
            }
            Told::Reveal(reveal) => self.revealed(&reveal, worker(reveal.signer)),
            Told::Agreed(agreement, ended) => self.agreed(&agreement.body, ended),
            Told::Failed(failure) => self.failed(&failure.body),
        }
    }

    /// The view of an attempt, begun if it is a new one.
    fn attempt(
        &mut self,
        attempt: Attempt,
        round: Round,
        facts: &dyn Fn(Round) -> Option<RoundFacts>,
    ) -> &mut AttemptView {
        let begun = self.view.attempts.last().is_some_and(|last| last.attempt == attempt);
        if !begun {
            if let Some(before) = self.view.attempts.last() {
                let reason = self.why_not_enough(before);
                self.events.push(RequestEvent::Widened { attempt, reason });
            }
            let facts = facts(round);
            let population = facts.map(|facts| facts.population);
            self.opened = facts.map(|facts| facts.opened);
            self.reveals.clear();
            self.executions.clear();
            self.view.attempts.push(AttemptView {
                attempt,
                round: Some(round),
                population,
                drawn: Vec::new(),
                committed: Vec::new(),
                revealed: Vec::new(),
                missing: Vec::new(),
            });
            let population = population.unwrap_or(0);
            self.events.push(RequestEvent::RoundOpened { attempt, round, population });
        }
        self.view.attempts.last_mut().expect("begun above")
    }

    fn why_not_enough(&self, attempt: &AttemptView) -> String {
        let population = attempt.population.unwrap_or(0);
        let required = required_votes(&self.request, attempt.attempt, population);
        let counts = [
            (attempt.drawn.len(), "were drawn"),
            (attempt.committed.len(), "committed in time"),
            (attempt.revealed.len(), "revealed in time"),
        ];
        let few = counts.into_iter().find(|(count, _)| *count < required);
        match few {
            Some((count, what)) => format!("{count} workers {what}, and it takes {required}"),
            None => format!("no {required} of those drawn, and no majority of them, said the same"),
        }
    }

    fn revealed(&mut self, reveal: &Signed<Reveal>, worker: WorkerRef) {
        let (attempt, execution) = (reveal.body.attempt, &reveal.body.execution);
        let (value, fault) = value_and_fault(&execution.outcome);
        if let Some(view) = self.view.attempts.last_mut() {
            view.missing.retain(|missing| missing.id != worker.id);
            view.revealed.push(RevealView {
                worker: worker.clone(),
                value: value.clone(),
                fault: fault.clone(),
                code: execution.code,
                engine: execution.engine.clone(),
                agrees: None,
            });
        }
        self.reveals.insert(reveal.hash(), worker.clone());
        self.executions.insert(worker.id, execution.clone());
        self.view.state = RequestState::Revealed;
        let code = execution.code;
        self.events.push(RequestEvent::Revealed { attempt, worker, value, fault, code });
    }

    fn agreed(&mut self, agreement: &Agreement, ended: Millis) {
        let (result, fault) = value_and_fault(&agreement.execution.outcome);
        let workers = |hashes: &[StatementHash]| -> Vec<WorkerRef> {
            hashes.iter().filter_map(|hash| self.reveals.get(hash).cloned()).collect()
        };
        let (agreeing, dissenting) = (workers(&agreement.agreeing), workers(&agreement.dissenting));
        let mut silent = Vec::new();
        if let Some(view) = self.view.attempts.last_mut() {
            for revealed in &mut view.revealed {
                let says = self.executions.get(&revealed.worker.id);
                revealed.agrees = Some(says == Some(&agreement.execution));
            }
            silent.clone_from(&view.missing);
        }
        let agreed_ms = ended.since(self.view.received_ms);
        let open_to_agreed_ms = self.opened.map(|opened| ended.since(opened));
        let certificate = format!("/v1/requests/{}/certificate", self.view.id);
        self.view.state = RequestState::Agreed;
        self.view.result.clone_from(&result);
        self.view.fault.clone_from(&fault);
        self.view.agreed_ms = Some(agreed_ms);
        self.view.open_to_agreed_ms = open_to_agreed_ms;
        self.view.certificate = Some(certificate.clone());
        self.events.push(RequestEvent::Agreed {
            attempt: agreement.attempt,
            result,
            fault,
            code: agreement.execution.code,
            agreeing,
            dissenting,
            silent,
            agreed_ms,
            open_to_agreed_ms,
            certificate,
        });
    }

    fn failed(&mut self, failure: &Failure) {
        let last = self.view.attempts.last();
        let last_words = last.map_or_else(
            || "no draw was decided before".to_owned(),
            |attempt| self.why_not_enough(attempt),
        );
        let attempts = failure.attempts;
        let detail = match failure.reason {
            FailureReason::Expired => {
                format!("the deadline passed in draw {attempts}; {last_words}")
            }
            FailureReason::NoQuorum => format!("after {attempts} draws: {last_words}"),
            FailureReason::Disagreement => {
                format!(
                    "after {attempts} draws the workers still said different things; {last_words}"
                )
            }
        };
        let reason = failure.reason;
        self.view.state = RequestState::Failed;
        self.view.failure = Some(FailureView { reason, detail: detail.clone() });
        self.events.push(RequestEvent::Failed { reason, detail });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.view.state.is_final()
    }
}
