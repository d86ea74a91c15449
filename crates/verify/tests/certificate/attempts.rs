//! Attacks on the request and the order of its attempts.

use wire::compute::{FailureReason, Widening};

use super::*;

#[test]
fn a_request_changed_after_the_fact_is_refused() {
    let world = World::new(5);
    let parts = honest(&world);
    let base = parts.request.clone();
    let changed = [
        Request { committee: 4, ..base.clone() },
        Request { quorum: 4, ..base.clone() },
        Request { uri: "https://evil.test/".to_owned(), ..base.clone() },
        Request { params: CanonicalJson::from_text("{}").expect("JSON"), ..base.clone() },
        Request { deadline: Millis(u64::MAX), ..base.clone() },
        Request { nonce: Nonce([0; 16]), ..base.clone() },
        Request { code: Some(CodeHash::of(SCRIPT.as_bytes())), ..base },
    ];
    for request in changed {
        let parts = Parts { request, ..parts.clone() };
        assert_refused!(parts, CertificateError::Mismatch("received: is about another request"));
    }
}

#[test]
fn a_request_out_of_its_limits_is_refused() {
    let world = World::new(5);
    for (committee, quorum) in [(0, 0), (1, 0), (4, 2), (5, 2), (5, 6), (129, 65)] {
        let parts = agreed(&world, &request(committee, quorum), &all_say("3"));
        assert_refused!(parts, CertificateError::Request(_));
    }
}

/// Said to be of the second attempt, whose threshold is twice as high, without a first one.
#[test]
fn an_attempt_without_the_ones_before_is_refused() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() < 2);
    let mut run = Run::new(&world, &request, 3, 2);
    let opener = run.received.hash();
    let second = run.attempt(Attempt(1), opener, &all_say("3"));
    let parts = run.parts(Round(2), vec![second], &says("3"));
    assert!(parts.attempts[0].workers.len() >= 2);
    assert_refused!(parts, CertificateError::Worker { reason: "the draw is another one's", .. });
}

#[test]
fn attempts_out_of_order_or_left_out_are_refused() {
    let world = World::new(5);
    let (run, attempts) = three_attempts(&world);
    let orders: [&[usize]; 5] = [&[1, 0, 2], &[0, 2], &[2], &[1, 2], &[0, 1, 2, 2]];
    for order in orders {
        let shown = order.iter().map(|attempt| attempts[*attempt].clone()).collect();
        let error = refused(run.parts(Round(1), shown, &says("3")));
        assert!(
            matches!(
                error,
                CertificateError::Draw { .. }
                    | CertificateError::Worker { .. }
                    | CertificateError::Agreement { .. }
            ),
            "{order:?}: {error:?}"
        );
    }
    let mut parts = run.parts(Round(1), attempts, &says("3"));
    parts.attempts.clear();
    assert_refused!(parts, CertificateError::Mismatch("attempts: there is none"));
}

#[test]
fn the_end_of_an_attempt_must_be_shown_as_it_was() {
    let world = World::new(5);
    let (run, attempts) = three_attempts(&world);
    accepted(run.parts(Round(1), attempts.clone(), &says("3")));
    let edits: [(&str, Edit<Widening>); 5] = [
        ("other reveals", |widening| widening.reveals.truncate(1)),
        ("another reason", |widening| widening.reason = FailureReason::NoQuorum),
        ("another tally", |widening| widening.tally.0[0] ^= 1),
        ("another one's", |widening| widening.request.0[0] ^= 1),
        ("another one's", |widening| widening.round.0 += 1),
    ];
    for (why, edit) in edits {
        let mut parts = run.parts(Round(1), attempts.clone(), &says("3"));
        let mut body = parts.attempts[0].widening.take().expect("it was widened").body;
        edit(&mut body);
        parts.attempts[0].widening = Some(world.relay.sign(body));
        assert_refused!(parts, CertificateError::Agreement { attempt: Attempt(0), reason } if reason.contains(why));
    }
    let mut parts = run.parts(Round(1), attempts.clone(), &says("3"));
    parts.attempts[1].widening = None;
    assert_refused!(parts, CertificateError::Agreement { attempt: Attempt(1), reason } if reason.contains("no widening"));
    let mut parts = run.parts(Round(1), attempts, &says("3"));
    widen(&world, &run.request, &mut parts.attempts[2]);
    assert_refused!(parts, CertificateError::Agreement { attempt: Attempt(2), reason } if reason.contains("last one"));
}

/// An empty tally says nothing that needs the seed: the relay signs it before the round, logs it with
/// the request, and has every attempt, up to the one that draws everybody, decided by one round.
#[test]
fn attempts_decided_by_one_round_are_refused() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() < 2);
    let mut run = Run::new(&world, &request, 3, 2);
    let round = Round(4);
    let mut openers = vec![run.received.hash()];
    let mut tallies = Vec::new();
    for attempt in 0..2 {
        let empty = tally(&world, &request, Attempt(attempt), round, &[]);
        let widening = world.relay.sign(Widening {
            request: request.id(),
            attempt: Attempt(attempt),
            round,
            tally: empty.hash(),
            reveals: Vec::new(),
            reason: FailureReason::NoQuorum,
        });
        openers.push(widening.hash());
        tallies.push((empty, widening));
    }
    let indexes: Vec<u64> = openers.iter().map(|opener| run.append(*opener)).collect();
    assert_eq!(run.open_round(), round);
    let opening = |attempt: usize| run.opening(indexes[attempt], Round(3), round);
    let mut attempts: Vec<AttemptParts> = tallies
        .into_iter()
        .enumerate()
        .map(|(number, (tally, widening))| AttemptParts {
            opening: opening(number),
            tally,
            workers: Vec::new(),
            widening: Some(widening),
        })
        .collect();
    attempts.push(run.attempt_of(
        Attempt(2),
        round,
        opening(2),
        &[0, 1],
        &[Vote::Says(says("666"))],
    ));
    let parts = run.parts(Round(2), attempts, &says("666"));
    assert_refused!(
        parts,
        CertificateError::Draw { attempt: Attempt(1), source: DrawError::NotAfter { .. } }
    );
}
