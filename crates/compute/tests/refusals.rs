//! The relay's machine, one rule at a time: each refusal, early commits, and what is never given a
//! receipt.

use std::sync::Arc;

use compute::{Ending, Record, Refusal, Relay, RelayEffect, RelayEvent, RelayLimits};
use wire::{
    Attempt, Body, CodeHash, Millis, NetworkId, NodeId, NodeKey, Nonce, RequestId, Round, Salt,
    Signed, StatementHash, VrfProof,
    compute::{Commit, Draw, Execution, FailureReason, Outcome, Request, Reveal},
    json::CanonicalJson,
    key::StatementSigner as _,
};

const NETWORK: NetworkId = NetworkId([9; 32]);
const NOW: Millis = Millis(1_000_000);
const SALT: Salt = Salt([5; 32]);
const LIMITS: RelayLimits =
    RelayLimits { open_requests: 2, commit_window_ms: 300, reveal_window_ms: 200, attempts: 2 };

/// A relay with what came out of it, and workers that speak by hand.
struct Bench {
    relay: Relay,
    workers: Vec<NodeKey>,
}

impl Bench {
    fn new(workers: u16) -> Self {
        let worker = |number: u16| {
            let mut secret = [7; 32];
            secret[..2].copy_from_slice(&number.to_be_bytes());
            NodeKey::from_secret(secret)
        };
        let key = Arc::new(NodeKey::from_secret([1; 32]));
        Self {
            relay: Relay::new(NETWORK, key, LIMITS),
            workers: (0..workers).map(worker).collect(),
        }
    }

    fn tell(&mut self, event: RelayEvent) -> Vec<RelayEffect> {
        self.tell_at(event, NOW)
    }

    fn tell_at(&mut self, event: RelayEvent, now: Millis) -> Vec<RelayEffect> {
        self.relay.handle(event, now);
        self.effects()
    }

    fn time_passes_until(&mut self, now: Millis) -> Vec<RelayEffect> {
        self.relay.handle_timeout(now);
        self.effects()
    }

    fn effects(&mut self) -> Vec<RelayEffect> {
        std::iter::from_fn(|| self.relay.next_effect()).collect()
    }

    fn submit(&mut self, request: &Request) -> RequestId {
        let effects = self.tell(RelayEvent::Submit(request.clone()));
        let id = request.id();
        let accepted = |effect: &RelayEffect| matches!(effect, RelayEffect::Accepted(accepted) if *accepted == id);
        assert!(effects.iter().any(accepted), "{effects:?}");
        id
    }

    fn draw(&self, worker: usize, request: RequestId, attempt: Attempt) -> Signed<Draw> {
        let draw = Draw { request, attempt, round: Round(3), proof: VrfProof([0; 80]) };
        Signed::sign(NETWORK, &self.workers[worker], draw)
    }

    fn commit(&self, worker: usize, request: RequestId, value: &str) -> Signed<Commit> {
        let commit = Commit {
            request,
            attempt: Attempt(0),
            draw: self.draw(worker, request, Attempt(0)).hash(),
            commitment: says(value)
                .commitment(&self.draw(worker, request, Attempt(0)).hash(), &SALT),
        };
        Signed::sign(NETWORK, &self.workers[worker], commit)
    }

    /// A reveal of `value` for the commit to `committed`.
    fn reveal(
        &self,
        worker: usize,
        request: RequestId,
        committed: &str,
        value: &str,
    ) -> Signed<Reveal> {
        let reveal = Reveal {
            request,
            attempt: Attempt(0),
            commit: self.commit(worker, request, committed).hash(),
            salt: SALT,
            execution: says(value),
        };
        Signed::sign(NETWORK, &self.workers[worker], reveal)
    }

    /// The first draw ends with the first `count` workers.
    fn drawn(&mut self, request: RequestId, count: usize) -> Vec<RelayEffect> {
        let attempt = Attempt(0);
        let drawn = (0..count).map(|worker| self.draw(worker, request, attempt)).collect();
        self.tell(RelayEvent::Drawn { request, attempt, round: Round(3), population: 3, drawn })
    }

    fn commits(&mut self, worker: usize, request: RequestId, value: &str) -> Vec<RelayEffect> {
        let commit = self.commit(worker, request, value);
        self.tell(RelayEvent::Commit(commit))
    }

    fn reveals(
        &mut self,
        worker: usize,
        request: RequestId,
        committed: &str,
        value: &str,
    ) -> Vec<RelayEffect> {
        let reveal = self.reveal(worker, request, committed, value);
        self.tell(RelayEvent::Reveal(reveal))
    }

    /// A request whose commits of the first three workers are closed.
    fn tallied(&mut self) -> RequestId {
        let id = self.submit(&request(3, 2));
        self.drawn(id, 3);
        for worker in 0..3 {
            let effects = self.commits(worker, id, "a");
            assert_eq!(receipts(&effects).len(), 1);
            assert_eq!(tallies(&effects), usize::from(worker == 2));
        }
        id
    }
}

fn request(committee: u16, quorum: u16) -> Request {
    let request = Request {
        uri: "http://127.0.0.1/script".to_owned(),
        code: None,
        params: CanonicalJson::from_text("{}").expect("JSON"),
        committee,
        quorum,
        deadline: NOW.plus(10_000),
        nonce: Nonce([0; 16]),
    };
    assert_eq!(request.check(), Ok(()));
    request
}

fn says(value: &str) -> Execution {
    Execution {
        engine: "bench".to_owned(),
        code: Some(CodeHash::of(b"script")),
        outcome: Outcome::Value(CanonicalJson::from_value(&value).expect("JSON")),
    }
}

fn receipts(effects: &[RelayEffect]) -> Vec<StatementHash> {
    let receipt = |effect: &RelayEffect| match effect {
        RelayEffect::Receipt(receipt) => Some(receipt.body.statement),
        _ => None,
    };
    effects.iter().filter_map(receipt).collect()
}

fn refused(effects: &[RelayEffect]) -> Vec<(StatementHash, Refusal)> {
    let refused = |effect: &RelayEffect| match effect {
        RelayEffect::Refused { statement, refusal } => Some((*statement, *refusal)),
        _ => None,
    };
    effects.iter().filter_map(refused).collect()
}

fn refusals(effects: &[RelayEffect]) -> Vec<Refusal> {
    refused(effects).into_iter().map(|(_, refusal)| refusal).collect()
}

fn tallies(effects: &[RelayEffect]) -> usize {
    let is_tally = |effect: &&RelayEffect| matches!(effect, RelayEffect::Tallied(_));
    effects.iter().filter(is_tally).count()
}

/// Who is accused, and the two statements that say so.
type Accusation = (NodeId, Arc<[u8]>, Arc<[u8]>);

fn conflicts(effects: &[RelayEffect]) -> Vec<Accusation> {
    let conflict = |effect: &RelayEffect| match effect {
        RelayEffect::Conflict { worker, first, second } => {
            Some((*worker, first.clone(), second.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(conflict).collect()
}

fn endings(effects: &[RelayEffect]) -> Vec<Ending> {
    let ending = |effect: &RelayEffect| match effect {
        RelayEffect::Ended { ending, .. } => Some(ending.clone()),
        _ => None,
    };
    effects.iter().filter_map(ending).collect()
}

fn persisted(effects: &[RelayEffect], wanted: &str) -> usize {
    let is_wanted = |effect: &&RelayEffect| match effect {
        RelayEffect::Persist(Record::Statement { kind, .. }) => *kind == wanted,
        _ => false,
    };
    effects.iter().filter(is_wanted).count()
}

/// The only effect is this refusal, and nothing is stored.
#[track_caller]
fn assert_only_refused(effects: &[RelayEffect], expected: Refusal) {
    assert_eq!(refusals(effects), [expected]);
    assert_eq!(effects.len(), 1, "{effects:?}");
}

#[track_caller]
fn assert_rejected(effects: &[RelayEffect], expected: Refusal) {
    let [RelayEffect::Rejected { refusal, .. }] = effects else {
        panic!("not one rejection: {effects:?}");
    };
    assert_eq!(*refusal, expected);
}

#[test]
fn deadline_passed() {
    let mut bench = Bench::new(0);
    let request = request(3, 2);
    let event = RelayEvent::Submit(request.clone());
    let effects = bench.tell_at(event, request.deadline);
    assert_rejected(&effects, Refusal::DeadlinePassed);
    assert_eq!(bench.relay.open_requests(), 0);
}

#[test]
fn busy_with_requests() {
    let mut bench = Bench::new(0);
    let other = |number| Request { nonce: Nonce([number; 16]), ..request(3, 2) };
    bench.submit(&other(1));
    bench.submit(&other(2));
    let effects = bench.tell(RelayEvent::Submit(other(3)));
    assert_rejected(&effects, Refusal::Busy(LIMITS.open_requests));
    // One that is open already is no further one.
    let effects = bench.tell(RelayEvent::Submit(other(2)));
    assert!(matches!(effects[..], [RelayEffect::Accepted(_)]), "{effects:?}");
}

#[test]
fn busy_with_early_commits() {
    let held = 1_024;
    let mut bench = Bench::new(held + 1);
    let id = bench.submit(&request(3, 2));
    for worker in 0..usize::from(held) {
        assert_eq!(bench.commits(worker, id, "a").len(), 0, "held without a word");
    }
    let effects = bench.commits(usize::from(held), id, "a");
    assert_only_refused(&effects, Refusal::Busy(usize::from(held)));
    assert_eq!(bench.commits(0, id, "a").len(), 0, "one that is held may come again");
}

#[test]
fn not_open() {
    let mut bench = Bench::new(1);
    let id = request(3, 2).id();
    assert_only_refused(&bench.commits(0, id, "a"), Refusal::NotOpen);
    assert_only_refused(&bench.reveals(0, id, "a", "a"), Refusal::NotOpen);
}

#[test]
fn other_attempt() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    let later = Commit { attempt: Attempt(1), ..bench.commit(0, id, "a").body };
    let later = Signed::sign(NETWORK, &bench.workers[0], later);
    let effects = bench.tell(RelayEvent::Commit(later));
    assert_only_refused(&effects, Refusal::OtherAttempt(Attempt(0)));
    // Too few are drawn, so the next attempt opens at once.
    bench.drawn(id, 1);
    let effects = bench.commits(0, id, "a");
    assert_only_refused(&effects, Refusal::OtherAttempt(Attempt(1)));
    let effects = bench.reveals(0, id, "a", "a");
    assert_only_refused(&effects, Refusal::OtherAttempt(Attempt(1)));
}

#[test]
fn closed() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    bench.drawn(id, 3);
    bench.commits(0, id, "a");
    bench.commits(1, id, "a");
    let effects = bench.time_passes_until(NOW.plus(LIMITS.commit_window_ms));
    assert_eq!(tallies(&effects), 1);
    assert_only_refused(&bench.commits(2, id, "a"), Refusal::Closed);
    // One that counts gets its receipt again.
    let effects = bench.commits(1, id, "a");
    assert_eq!(receipts(&effects), [bench.commit(1, id, "a").hash()]);
}

#[test]
fn too_early() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    assert_only_refused(&bench.reveals(0, id, "a", "a"), Refusal::TooEarly);
    bench.drawn(id, 3);
    bench.commits(0, id, "a");
    assert_only_refused(&bench.reveals(0, id, "a", "a"), Refusal::TooEarly);
}

#[test]
fn not_counted() {
    let mut bench = Bench::new(4);
    let id = bench.submit(&request(3, 2));
    bench.drawn(id, 3);
    assert_only_refused(&bench.commits(3, id, "a"), Refusal::NotCounted);
    bench.commits(0, id, "a");
    bench.commits(1, id, "a");
    bench.time_passes_until(NOW.plus(LIMITS.commit_window_ms));
    for silent in [2, 3] {
        let effects = bench.reveals(silent, id, "a", "a");
        assert_only_refused(&effects, Refusal::NotCounted);
    }
}

#[test]
fn a_reveal_that_no_agreement_could_hold() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    bench.drawn(id, 3);
    let value = "x".repeat(wire::compute::MAX_RESULT_BYTES);
    for worker in 0..3 {
        bench.commits(worker, id, &value);
    }
    assert_only_refused(&bench.reveals(0, id, &value, &value), Refusal::TooLarge);
    assert_only_refused(&bench.reveals(0, id, &value, &value), Refusal::TooLarge);
}

#[test]
fn other_basis() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    bench.drawn(id, 3);
    let elsewhere =
        Commit { draw: bench.draw(1, id, Attempt(0)).hash(), ..bench.commit(0, id, "a").body };
    let elsewhere = Signed::sign(NETWORK, &bench.workers[0], elsewhere);
    let effects = bench.tell(RelayEvent::Commit(elsewhere));
    assert_only_refused(&effects, Refusal::OtherBasis);
    for worker in 0..3 {
        bench.commits(worker, id, "a");
    }
    // It reveals what it did not commit to here, in a way that opens.
    assert_only_refused(&bench.reveals(0, id, "b", "b"), Refusal::OtherBasis);
    let effects = bench.reveals(0, id, "a", "a");
    assert_eq!(receipts(&effects).len(), 1, "the right one is still taken");
}

#[test]
fn contradictions_come_with_their_evidence() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    let accused = bench.workers[0].id();
    let bytes = |bench: &Bench, value| bench.commit(0, id, value).bytes().clone();
    let evidence = [(accused, bytes(&bench, "a"), bytes(&bench, "b"))];
    // While the draw is open, while commits are, and when they are closed.
    assert!(bench.commits(0, id, "a").is_empty());
    let early = bench.commits(0, id, "b");
    bench.drawn(id, 3);
    let committing = bench.commits(0, id, "b");
    bench.commits(1, id, "a");
    assert_eq!(tallies(&bench.commits(2, id, "a")), 1);
    let revealing = bench.commits(0, id, "b");
    for effects in [early, committing, revealing] {
        assert_eq!(conflicts(&effects), evidence);
        assert_eq!(refusals(&effects), [Refusal::Contradiction]);
        assert!(receipts(&effects).is_empty());
    }

    let first = bench.reveal(0, id, "a", "a");
    assert_eq!(receipts(&bench.tell(RelayEvent::Reveal(first.clone()))), [first.hash()]);
    let second = bench.reveal(0, id, "a", "b");
    let effects = bench.tell(RelayEvent::Reveal(second.clone()));
    let evidence = [(accused, first.bytes().clone(), second.bytes().clone())];
    assert_eq!(conflicts(&effects), evidence);
    assert_eq!(refusals(&effects), [Refusal::Contradiction]);
}

#[test]
fn a_reveal_that_does_not_open_is_evidence_and_not_waited_for() {
    let mut bench = Bench::new(3);
    let id = bench.tallied();
    bench.reveals(0, id, "a", "a");
    bench.reveals(1, id, "a", "a");
    let faulty = bench.reveal(2, id, "a", "b");
    let commit = bench.commit(2, id, "a");
    let effects = bench.tell(RelayEvent::Reveal(faulty.clone()));
    let accused = bench.workers[2].id();
    let evidence = [(accused, commit.bytes().clone(), faulty.bytes().clone())];
    assert_eq!(conflicts(&effects), evidence);
    assert_eq!(refusals(&effects), [Refusal::Contradiction]);
    assert!(receipts(&effects).is_empty());
    assert_eq!(persisted(&effects, Reveal::KIND), 0);
    let [Ending::Agreed(agreement)] = &endings(&effects)[..] else {
        panic!("nobody else is awaited: {effects:?}");
    };
    assert_eq!(agreement.body.silent, [accused]);
}

/// A receipt for a reveal that the agreement then leaves out would convict the relay.
#[test]
fn a_reveal_that_does_not_open_never_gets_a_receipt() {
    let mut bench = Bench::new(3);
    let id = bench.tallied();
    let faulty = bench.reveal(2, id, "a", "b");
    for time in 0..3 {
        let effects = bench.tell(RelayEvent::Reveal(faulty.clone()));
        assert_eq!(receipts(&effects), [], "shown {time} times before");
        assert_eq!(refusals(&effects), [Refusal::Contradiction]);
    }
}

#[test]
fn early_commits_are_held_and_count_once_the_draw_ends() {
    let mut bench = Bench::new(4);
    let id = bench.submit(&request(3, 2));
    for worker in [0, 3, 0] {
        assert!(bench.commits(worker, id, "a").is_empty(), "held without a receipt");
    }
    let effects = bench.drawn(id, 3);
    assert_eq!(receipts(&effects), [bench.commit(0, id, "a").hash()]);
    assert_eq!(persisted(&effects, Draw::KIND), 3);
    assert_eq!(persisted(&effects, Commit::KIND), 1);
    let not_drawn = bench.commit(3, id, "a").hash();
    assert_eq!(refused(&effects), [(not_drawn, Refusal::NotCounted)]);
    assert_eq!(tallies(&effects), 0);
}

#[test]
fn early_commits_of_all_close_the_commits_at_once() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    for worker in 0..3 {
        bench.commits(worker, id, "a");
    }
    let effects = bench.drawn(id, 3);
    assert_eq!(receipts(&effects).len(), 3);
    assert_eq!(tallies(&effects), 1);
    assert!(refusals(&effects).is_empty());
}

#[test]
fn early_commits_are_refused_when_too_few_are_drawn() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    bench.commits(0, id, "a");
    let effects = bench.drawn(id, 1);
    assert_eq!(refusals(&effects), [Refusal::Closed]);
    assert!(receipts(&effects).is_empty());
    let opens = |effect: &RelayEffect| matches!(effect, RelayEffect::OpenDraw { attempt, .. } if *attempt == Attempt(1));
    assert!(effects.iter().any(opens), "the next draw opens: {effects:?}");
}

#[test]
fn early_commits_are_refused_when_the_request_expires() {
    let mut bench = Bench::new(3);
    let request = request(3, 2);
    let id = bench.submit(&request);
    bench.commits(0, id, "a");
    let effects = bench.time_passes_until(request.deadline);
    assert_eq!(refusals(&effects), [Refusal::NotOpen]);
    let [Ending::Failed(failure)] = &endings(&effects)[..] else {
        panic!("it has ended: {effects:?}");
    };
    assert_eq!(failure.body.reason, FailureReason::Expired);
    assert_eq!(bench.relay.next_timeout(), None);
}

#[test]
fn a_second_answer_to_a_draw_changes_nothing() {
    let mut bench = Bench::new(3);
    let id = bench.submit(&request(3, 2));
    bench.drawn(id, 3);
    assert!(bench.drawn(id, 2).is_empty());
}

/// What workers disagreed on is told, although nobody was drawn after them.
#[test]
fn the_failure_names_the_disagreement() {
    let mut bench = Bench::new(2);
    let id = bench.submit(&request(2, 2));
    bench.drawn(id, 2);
    for (worker, value) in ["a", "b"].into_iter().enumerate() {
        bench.commits(worker, id, value);
    }
    for (worker, value) in ["a", "b"].into_iter().enumerate() {
        bench.reveals(worker, id, value, value);
    }
    let effects = bench.tell(RelayEvent::Drawn {
        request: id,
        attempt: Attempt(1),
        round: Round(4),
        population: 3,
        drawn: Vec::new(),
    });
    let [Ending::Failed(failure)] = &endings(&effects)[..] else {
        panic!("two attempts are all: {effects:?}");
    };
    assert_eq!(failure.body.reason, FailureReason::Disagreement);
    assert_eq!(failure.body.attempts, LIMITS.attempts);
}
