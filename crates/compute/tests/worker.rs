//! The worker's machine, one rule at a time: whose tally it believes, what it says after a restart,
//! when it accuses.

use std::sync::Arc;

use compute::{StoredWork, Worker, WorkerEffect, WorkerEvent};
use wire::{
    Attempt, CodeHash, Millis, NetworkId, NodeId, NodeKey, Nonce, Round, Seed, Signed,
    StatementHash,
    compute::{Commit, Execution, Outcome, Receipt, Request, Tally, Threshold},
    json::CanonicalJson,
    key::StatementSigner as _,
};

const NETWORK: NetworkId = NetworkId([9; 32]);
const NOW: Millis = Millis(1_000_000);
const ATTEMPT: Attempt = Attempt(0);

struct Bench {
    worker: Worker,
    key: Arc<NodeKey>,
    relay: NodeKey,
    stranger: NodeKey,
}

impl Bench {
    fn new() -> Self {
        let key = Arc::new(NodeKey::from_secret([1; 32]));
        Self {
            worker: Worker::new(NETWORK, key.clone()),
            key,
            relay: NodeKey::from_secret([2; 32]),
            stranger: NodeKey::from_secret([3; 32]),
        }
    }

    fn tell(&mut self, event: WorkerEvent) -> Vec<WorkerEffect> {
        self.worker.handle(event, NOW);
        std::iter::from_fn(|| self.worker.next_effect()).collect()
    }

    /// Everybody is drawn.
    fn offered(&mut self, by: NodeId) -> Vec<WorkerEffect> {
        self.tell(WorkerEvent::Offered {
            request: request(),
            relay: by,
            attempt: ATTEMPT,
            round: Round(3),
            seed: Seed([4; 32]),
            opened: NOW,
            threshold: Threshold::ALL,
        })
    }

    /// The worker is drawn, runs the script and commits.
    fn committed(&mut self) -> StoredWork {
        self.offered(self.relay.id());
        let effects = self.tell(executed("a"));
        let [WorkerEffect::Persist(work), WorkerEffect::Commit { relay, commit }] = &effects[..]
        else {
            panic!("it stores, then commits: {effects:?}");
        };
        assert_eq!((*relay, commit), (self.relay.id(), &work.commit));
        work.clone()
    }

    fn restart(&mut self, work: &StoredWork) -> Vec<WorkerEffect> {
        self.worker = Worker::new(NETWORK, self.key.clone());
        self.tell(WorkerEvent::Restore(work.clone()))
    }
}

fn request() -> Request {
    Request {
        uri: "http://127.0.0.1/script".to_owned(),
        code: None,
        params: CanonicalJson::from_text("{}").expect("JSON"),
        committee: 3,
        quorum: 2,
        deadline: NOW.plus(10_000),
        nonce: Nonce([0; 16]),
    }
}

fn executed(value: &str) -> WorkerEvent {
    let execution = Execution {
        engine: "bench".to_owned(),
        code: Some(CodeHash::of(b"script")),
        outcome: Outcome::Value(CanonicalJson::from_value(&value).expect("JSON")),
    };
    WorkerEvent::Executed { request: request().id(), attempt: ATTEMPT, execution }
}

fn tally(by: &NodeKey, commits: &[StatementHash]) -> Signed<Tally> {
    let tally = Tally {
        request: request().id(),
        attempt: ATTEMPT,
        round: Round(3),
        population: 3,
        drawn: Vec::new(),
        commits: commits.to_vec(),
    };
    Signed::sign(NETWORK, by, tally)
}

fn receipt(by: &NodeKey, commit: &Signed<Commit>) -> Signed<Receipt> {
    let receipt = Receipt { request: request().id(), attempt: ATTEMPT, statement: commit.hash() };
    Signed::sign(NETWORK, by, receipt)
}

fn reveals(effects: &[WorkerEffect]) -> Vec<NodeId> {
    let to = |effect: &WorkerEffect| match effect {
        WorkerEffect::Reveal { relay, .. } => Some(*relay),
        _ => None,
    };
    effects.iter().filter_map(to).collect()
}

#[test]
fn it_reveals_to_its_relay_once_the_tally_counts_it() {
    let mut bench = Bench::new();
    let work = bench.committed();
    let hash = work.commit.hash();
    let without = tally(&bench.relay, &[StatementHash([0; 32])]);
    assert!(reveals(&bench.tell(WorkerEvent::Tally(without))).is_empty());
    let strange = tally(&bench.stranger, &[hash]);
    assert!(bench.tell(WorkerEvent::Tally(strange)).is_empty());
    let right = tally(&bench.relay, &[StatementHash([0; 32]), hash]);
    let effects = bench.tell(WorkerEvent::Tally(right));
    let [WorkerEffect::Reveal { relay, reveal }] = &effects[..] else {
        panic!("it reveals: {effects:?}");
    };
    assert_eq!((*relay, reveal), (bench.relay.id(), &work.reveal));
}

#[test]
fn a_tally_that_came_before_the_restart_is_not_needed_twice() {
    let mut bench = Bench::new();
    let work = bench.committed();
    let effects = bench.restart(&work);
    let [WorkerEffect::Commit { commit, .. }] = &effects[..] else {
        panic!("it says its commit again: {effects:?}");
    };
    assert_eq!(commit, &work.commit);
    let right = tally(&bench.relay, &[work.commit.hash()]);
    assert_eq!(reveals(&bench.tell(WorkerEvent::Tally(right))), [bench.relay.id()]);
}

/// Else a stranger that offers the request a second time could draw the result out of the worker
/// before its own relay has closed the commits, and hand it to somebody who copies.
#[test]
fn a_stranger_cannot_take_over_work_that_was_restored() {
    let mut bench = Bench::new();
    let work = bench.committed();
    bench.restart(&work);
    let stranger = bench.stranger.id();
    bench.offered(stranger);
    let strange = tally(&bench.stranger, &[work.commit.hash()]);
    assert!(reveals(&bench.tell(WorkerEvent::Tally(strange))).is_empty());
    let right = tally(&bench.relay, &[work.commit.hash()]);
    assert_eq!(reveals(&bench.tell(WorkerEvent::Tally(right))), [bench.relay.id()]);
}

#[test]
fn a_tally_survives_an_offer_that_is_repeated_after_a_restart() {
    let mut bench = Bench::new();
    let work = bench.committed();
    bench.restart(&work);
    let leaves_out = tally(&bench.relay, &[]);
    bench.tell(WorkerEvent::Tally(leaves_out));
    bench.offered(bench.relay.id());
    let receipt = receipt(&bench.relay, &work.commit);
    let effects = bench.tell(WorkerEvent::Receipt(receipt));
    assert!(matches!(effects[..], [WorkerEffect::Omitted { .. }]), "{effects:?}");
}

#[test]
fn an_offer_that_is_repeated_is_answered_the_same_and_runs_nothing() {
    let mut bench = Bench::new();
    let relay = bench.relay.id();
    let first = bench.offered(relay);
    let [WorkerEffect::Answer { draw, .. }, WorkerEffect::Execute { .. }] = &first[..] else {
        panic!("it answers and runs the script: {first:?}");
    };
    let again = bench.offered(relay);
    let [WorkerEffect::Answer { draw: same, .. }] = &again[..] else {
        panic!("it answers, and the script runs already: {again:?}");
    };
    assert_eq!(draw, same);
}

/// A script that gives something else after a restart must not become a second commit.
#[test]
fn what_was_committed_is_not_run_again_after_a_restart() {
    let mut bench = Bench::new();
    let work = bench.committed();
    bench.restart(&work);
    let effects = bench.offered(bench.relay.id());
    let runs = |effect: &WorkerEffect| matches!(effect, WorkerEffect::Execute { .. });
    assert!(!effects.iter().any(runs), "{effects:?}");
    for effect in effects {
        if let WorkerEffect::Commit { commit, .. } = effect {
            assert_eq!(commit, work.commit);
        }
    }
    assert!(bench.tell(executed("b")).is_empty());
}

#[test]
fn leaving_out_an_acknowledged_commit_convicts_the_relay() {
    for receipt_first in [true, false] {
        let mut bench = Bench::new();
        let work = bench.committed();
        let receipt = receipt(&bench.relay, &work.commit);
        let tally = tally(&bench.relay, &[]);
        let mut events = [WorkerEvent::Receipt(receipt.clone()), WorkerEvent::Tally(tally.clone())];
        if !receipt_first {
            events.reverse();
        }
        let [first, second] = events;
        assert!(bench.tell(first).is_empty());
        let effects = bench.tell(second);
        let [WorkerEffect::Omitted { relay, commit, receipt: acknowledged, tally: against }] =
            &effects[..]
        else {
            panic!("it accuses: {effects:?}");
        };
        assert_eq!((*relay, commit), (bench.relay.id(), &work.commit));
        assert_eq!((acknowledged, against), (&receipt, &tally));
    }
}

#[test]
fn a_receipt_or_tally_of_a_stranger_accuses_nobody() {
    let mut bench = Bench::new();
    let work = bench.committed();
    let strange = receipt(&bench.stranger, &work.commit);
    let empty = tally(&bench.relay, &[]);
    assert!(bench.tell(WorkerEvent::Receipt(strange)).is_empty());
    assert!(bench.tell(WorkerEvent::Tally(empty)).is_empty(), "no receipt, no accusation");
}

#[test]
fn work_is_forgotten_some_time_after_its_deadline() {
    let mut bench = Bench::new();
    let work = bench.committed();
    let forgotten = bench.worker.next_timeout().expect("there is work");
    assert!(forgotten > request().deadline);
    bench.worker.handle_timeout(Millis(forgotten.0 - 1));
    assert_eq!(bench.worker.next_timeout(), Some(forgotten));
    assert!(bench.worker.next_effect().is_none());
    bench.worker.handle_timeout(forgotten);
    let effects: Vec<_> = std::iter::from_fn(|| bench.worker.next_effect()).collect();
    let [WorkerEffect::Finish { request, attempt }] = effects[..] else {
        panic!("it is not to be restored any more: {effects:?}");
    };
    assert_eq!((request, attempt), (work.request, work.attempt));
    assert_eq!(bench.worker.next_timeout(), None);
    assert!(bench.tell(executed("a")).is_empty());
}

#[test]
fn an_offer_past_its_deadline_is_not_answered() {
    let mut bench = Bench::new();
    bench.worker.handle(
        WorkerEvent::Offered {
            request: request(),
            relay: bench.relay.id(),
            attempt: ATTEMPT,
            round: Round(3),
            seed: Seed([4; 32]),
            opened: NOW,
            threshold: Threshold::ALL,
        },
        request().deadline,
    );
    assert!(bench.worker.next_effect().is_none());
}
