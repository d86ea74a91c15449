//! Attacks on the request and the order of its attempts.

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
        openers.push(empty.hash());
        tallies.push(empty);
    }
    let indexes: Vec<u64> = openers.iter().map(|opener| run.append(*opener)).collect();
    assert_eq!(run.open_round(), round);
    let opening = |attempt: usize| run.opening(indexes[attempt], Round(3), round);
    let mut attempts: Vec<AttemptParts> = tallies
        .into_iter()
        .enumerate()
        .map(|(number, tally)| AttemptParts {
            opening: opening(number),
            tally,
            workers: Vec::new(),
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
