//! Attacks on the round that decides a draw.

use super::*;

/// The relay logs the request, lets a round cover it, does not like the draw and takes the next.
#[test]
fn a_later_round_than_the_first_that_covered_the_request_is_refused() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let index = run.append(run.received.hash());
    let (first, second) = (run.open_round(), run.open_round());
    let opening = run.opening(index, first, second);
    let attempt = run.attempt_of(Attempt(0), second, opening, &[0, 1, 2, 3, 4], &all_say("3"));
    let parts = run.parts(Round(2), vec![attempt], &says("3"));
    assert_refused!(parts, CertificateError::Draw { source: DrawError::NotFirst(round), .. } if *round == first);
}

/// The same, with the head of the round before the first, which did not cover the request.
#[test]
fn the_head_of_an_older_round_is_refused() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let index = run.append(run.received.hash());
    let (first, second) = (run.open_round(), run.open_round());
    let mut opening = run.opening(index, first, second);
    let older = run.opening(index, first.previous(), second);
    opening.previous_head = older.previous_head;
    for proof in [&older.previous_head_proof, &opening.previous_head_proof.clone()] {
        opening.previous_head_proof = proof.clone();
        let attempt =
            run.attempt_of(Attempt(0), second, opening.clone(), &[0, 1, 2, 3, 4], &all_say("3"));
        let parts = run.parts(Round(2), vec![attempt], &says("3"));
        assert_refused!(parts, CertificateError::Draw { source: DrawError::Proof { what, .. }, .. } if what.contains("round before"));
    }
}

/// The round before the deciding one, taken from the relay's wish: the request stood in no log then.
#[test]
fn an_earlier_round_than_the_first_that_covered_the_request_is_refused() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let index = run.append(run.received.hash());
    let covered = run.open_round();
    let mut opening = run.opening(index, Round(2), Round(3));
    opening.opener_proof = run.opening(index, Round(3), covered).opener_proof;
    let attempt = run.attempt_of(Attempt(0), Round(3), opening, &[0, 1, 2, 3, 4], &all_say("3"));
    let parts = run.parts(Round(2), vec![attempt], &says("3"));
    assert_refused!(parts, CertificateError::Draw { source: DrawError::Proof { what, .. }, .. } if what.contains("opening statement"));
}

#[test]
fn the_log_of_another_node_is_refused() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let index = run.append(run.received.hash());
    let round = run.open_round();
    let opening = run.opening(index, round.previous(), round);
    let (other, proof) = run.dated(round).heads.of(&wire::NodeId([0; 32])).expect("known");
    let attempt = |opening| run.attempt_of(Attempt(0), round, opening, &[0, 1, 2], &all_say("3"));
    let mut previous = opening.clone();
    (previous.previous_head, previous.previous_head_proof) = (other, proof.clone());
    let mut current = opening.clone();
    (current.head, current.head_proof) = (other, proof);
    // A head under the relay's name that the beacon never saw.
    let mut renamed = opening;
    renamed.previous_head.head = TreeHead::EMPTY;
    for (opening, expected) in [(previous, true), (current, true), (renamed, false)] {
        let parts = run.parts(Round(2), vec![attempt(opening)], &says("3"));
        let error = refused(parts);
        let CertificateError::Draw { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source == DrawError::OtherLog, expected, "{source:?}");
    }
}

#[test]
fn the_opener_of_another_request_is_refused() {
    let world = World::new(5);
    let other = Request { nonce: Nonce([8; 16]), ..request(5, 3) };
    let theirs = Run::new(&world, &other, 3, 2).received;
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    // An entry of the log that is not this request's, and was covered in a nicer round.
    let index = run.append(theirs.hash());
    let round = run.open_round();
    let opening = run.opening(index, round.previous(), round);
    let attempt = run.attempt_of(Attempt(0), round, opening, &[0, 1, 2, 3, 4], &all_say("3"));
    let mut parts = run.parts(Round(2), vec![attempt], &says("3"));
    assert_refused!(parts.clone(), CertificateError::Draw { source: DrawError::Proof { .. }, .. });
    parts.received = theirs;
    assert_refused!(parts, CertificateError::Mismatch("received: is about another request"));
}

#[test]
fn a_request_received_after_its_deadline_is_refused() {
    let world = World::new(5);
    let request = request(5, 3);
    let mut run = Run::new(&world, &request, 3, 2);
    for late in [0, 1] {
        run.received = world
            .relay
            .sign(Received { request: request.id(), received: request.deadline.plus(late) });
        let opener = run.received.hash();
        let attempt = run.attempt(Attempt(0), opener, &all_say("3"));
        let parts = run.parts(Round(2), vec![attempt], &says("3"));
        assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("deadline"));
    }
}
