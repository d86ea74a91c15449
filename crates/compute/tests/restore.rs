//! The relay's machine after a restart: in each phase it goes on from what was stored, and what had
//! a receipt still counts.

use std::sync::Arc;

use compute::{Ending, Relay, RelayEffect, RelayEvent, RelayLimits, StoredAttempt, StoredRequest};
use wire::{
    Attempt, Body, Millis, NetworkId, NodeKey, Nonce, Round, Salt, Signed, StatementHash, VrfProof,
    compute::{
        Commit, Draw, Execution, FailureReason, Outcome, Received, Request, Reveal, Tally, Widening,
    },
    json::CanonicalJson,
};

const NETWORK: NetworkId = NetworkId([9; 32]);
const NOW: Millis = Millis(1_000_000);
const SALT: Salt = Salt([5; 32]);
const LIMITS: RelayLimits =
    RelayLimits { open_requests: 2, commit_window_ms: 300, reveal_window_ms: 200, attempts: 2 };

/// What three workers said in attempt 0.
struct Said {
    draws: Vec<Signed<Draw>>,
    commits: Vec<Signed<Commit>>,
    reveals: Vec<Signed<Reveal>>,
    tally: Signed<Tally>,
}

fn key() -> Arc<NodeKey> {
    Arc::new(NodeKey::from_secret([1; 32]))
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

fn received() -> Signed<Received> {
    let received = Received { request: request().id(), received: NOW };
    Signed::sign(NETWORK, &*key(), received)
}

fn said() -> Said {
    let (request, attempt) = (request().id(), Attempt(0));
    let execution = Execution {
        engine: "bench".to_owned(),
        code: None,
        outcome: Outcome::Value(CanonicalJson::from_text("1").expect("JSON")),
    };
    let (mut draws, mut commits, mut reveals) = (Vec::new(), Vec::new(), Vec::new());
    for number in 10..13 {
        let worker = NodeKey::from_secret([number; 32]);
        let draw = Draw { request, attempt, round: Round(3), proof: VrfProof([0; 80]) };
        let draw = Signed::sign(NETWORK, &worker, draw);
        let commitment = execution.commitment(&draw.hash(), &SALT);
        let commit = Commit { request, attempt, draw: draw.hash(), commitment };
        let commit = Signed::sign(NETWORK, &worker, commit);
        let execution = execution.clone();
        let reveal = Reveal { request, attempt, commit: commit.hash(), salt: SALT, execution };
        reveals.push(Signed::sign(NETWORK, &worker, reveal));
        draws.push(draw);
        commits.push(commit);
    }
    let tally = Tally {
        request,
        attempt,
        round: Round(3),
        population: 3,
        drawn: sorted_hashes(&draws),
        commits: sorted_hashes(&commits),
    };
    let tally = Signed::sign(NETWORK, &*key(), tally);
    Said { draws, commits, reveals, tally }
}

fn widening_of(tally: &Signed<Tally>, reveals: Vec<StatementHash>) -> Signed<Widening> {
    let Tally { request, attempt, round, .. } = tally.body;
    let (tally, reason) = (tally.hash(), FailureReason::NoQuorum);
    let widening = Widening { request, attempt, round, tally, reveals, reason };
    Signed::sign(NETWORK, &*key(), widening)
}

fn sorted_hashes<B: Body>(statements: &[Signed<B>]) -> Vec<StatementHash> {
    let mut hashes: Vec<_> = statements.iter().map(Signed::hash).collect();
    hashes.sort_unstable();
    hashes
}

fn restored(attempts: Vec<StoredAttempt>) -> (Relay, Vec<RelayEffect>) {
    let mut relay = Relay::new(NETWORK, key(), LIMITS);
    let stored = StoredRequest { request: request(), received: received(), attempts };
    relay.handle(RelayEvent::Restore(stored), NOW);
    let effects = effects(&mut relay);
    (relay, effects)
}

fn effects(relay: &mut Relay) -> Vec<RelayEffect> {
    std::iter::from_fn(|| relay.next_effect()).collect()
}

fn tally_in(effects: &[RelayEffect]) -> Option<&Signed<Tally>> {
    effects.iter().find_map(|effect| match effect {
        RelayEffect::Tallied(tally) => Some(tally),
        _ => None,
    })
}

fn ending_in(effects: &[RelayEffect]) -> Option<&Ending> {
    effects.iter().find_map(|effect| match effect {
        RelayEffect::Ended { ending, .. } => Some(ending),
        _ => None,
    })
}

fn opened_in(effects: &[RelayEffect]) -> Option<(Attempt, StatementHash)> {
    effects.iter().find_map(|effect| match effect {
        RelayEffect::OpenDraw { attempt, opener, .. } => Some((*attempt, *opener)),
        _ => None,
    })
}

#[test]
fn while_drawing_the_draw_is_opened_again_by_the_same_statement() {
    for attempts in [Vec::new(), vec![StoredAttempt::default()]] {
        let (relay, effects) = restored(attempts);
        assert_eq!(effects.len(), 1, "{effects:?}");
        assert_eq!(opened_in(&effects), Some((Attempt(0), received().hash())));
        assert_eq!(relay.next_timeout(), Some(request().deadline));
    }
}

#[test]
fn a_later_draw_is_opened_again_by_the_widening_before_it() {
    let said = said();
    let widening = widening_of(&said.tally, Vec::new());
    let first = StoredAttempt {
        population: 3,
        drawn: said.draws.clone(),
        tally: Some(said.tally.clone()),
        widening: Some(widening.clone()),
        ..StoredAttempt::default()
    };
    // Whether or not anything of the next one is stored.
    for attempts in [vec![first.clone()], vec![first, StoredAttempt::default()]] {
        let (_, effects) = restored(attempts);
        assert_eq!(opened_in(&effects), Some((Attempt(1), widening.hash())));
    }
}

#[test]
fn while_committing_the_stored_commits_count() {
    let said = said();
    let attempt = StoredAttempt {
        population: 3,
        drawn: said.draws.clone(),
        commits: said.commits[..2].to_vec(),
        ..StoredAttempt::default()
    };
    let (mut relay, effects) = restored(vec![attempt.clone()]);
    assert!(effects.is_empty(), "{effects:?}");
    relay.handle(RelayEvent::Commit(said.commits[2].clone()), NOW);
    let effects = self::effects(&mut relay);
    assert_eq!(tally_in(&effects), Some(&said.tally));

    let (mut relay, _) = restored(vec![attempt]);
    relay.handle_timeout(NOW.plus(LIMITS.commit_window_ms));
    let effects = self::effects(&mut relay);
    let tally = tally_in(&effects).expect("the window has passed");
    assert_eq!(tally.body.commits, sorted_hashes(&said.commits[..2]));
}

#[test]
fn while_revealing_the_tally_is_told_again_and_the_stored_reveals_count() {
    let said = said();
    let attempt = StoredAttempt {
        population: 3,
        drawn: said.draws.clone(),
        commits: said.commits.clone(),
        tally: Some(said.tally.clone()),
        reveals: said.reveals[..2].to_vec(),
        widening: None,
    };
    let (mut relay, effects) = restored(vec![attempt]);
    assert_eq!(effects.len(), 1, "{effects:?}");
    assert_eq!(tally_in(&effects), Some(&said.tally));
    relay.handle_timeout(NOW.plus(LIMITS.reveal_window_ms));
    let effects = self::effects(&mut relay);
    let Some(Ending::Agreed(agreement)) = ending_in(&effects) else {
        panic!("two of three agree: {effects:?}");
    };
    assert_eq!(agreement.body.agreeing, sorted_hashes(&said.reveals[..2]));
    assert_eq!(agreement.body.silent, [said.reveals[2].signer]);
}

#[test]
fn what_is_complete_goes_on_at_once() {
    let said = said();
    let attempt = StoredAttempt {
        population: 3,
        drawn: said.draws.clone(),
        commits: said.commits.clone(),
        tally: Some(said.tally.clone()),
        reveals: said.reveals.clone(),
        widening: None,
    };
    let (relay, effects) = restored(vec![attempt]);
    assert!(matches!(ending_in(&effects), Some(Ending::Agreed(_))), "{effects:?}");
    assert_eq!(relay.open_requests(), 0);
    assert_eq!(relay.next_timeout(), None);
}

/// The relay died between the tally of too few and the draw that it opens.
#[test]
fn a_tally_of_too_few_opens_the_next_draw() {
    let said = said();
    let tally = Tally { commits: vec![said.commits[0].hash()], ..said.tally.body.clone() };
    let tally = Signed::sign(NETWORK, &*key(), tally);
    let attempt = StoredAttempt {
        population: 3,
        drawn: said.draws.clone(),
        commits: said.commits[..1].to_vec(),
        tally: Some(tally.clone()),
        ..StoredAttempt::default()
    };
    let (mut relay, _) = restored(vec![attempt]);
    relay.handle_timeout(NOW);
    let effects = effects(&mut relay);
    let widening = widening_of(&tally, Vec::new());
    assert_eq!(opened_in(&effects), Some((Attempt(1), widening.hash())));
}

#[test]
fn what_expired_meanwhile_fails() {
    let mut relay = Relay::new(NETWORK, key(), LIMITS);
    let attempts = vec![StoredAttempt { drawn: said().draws, ..StoredAttempt::default() }];
    let stored = StoredRequest { request: request(), received: received(), attempts };
    let late = request().deadline.plus(1);
    relay.handle(RelayEvent::Restore(stored), late);
    assert_eq!(relay.next_timeout(), Some(request().deadline));
    relay.handle_timeout(late);
    let effects = effects(&mut relay);
    assert!(matches!(ending_in(&effects), Some(Ending::Failed(_))), "{effects:?}");
}
