//! Attacks on who was drawn.

use super::*;

/// A worker that is admitted once the seed is known: its key could be chosen to fit.
#[test]
fn a_worker_that_came_after_the_seed_is_refused() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 2, 2);
    let early = || Roster::new(world.workers.iter().take(4).map(|worker| worker.admission.clone()));
    run.open_round_with(early(), |_| {});
    let opener = run.received.hash();
    let index = run.append(opener);
    let round = run.open_round();
    let opening = run.opening(index, Round(3), round);
    let late = |proof| {
        let mut attempt =
            run.attempt_of(Attempt(0), round, opening.clone(), &[0, 1, 2, 3, 4], &all_say("3"));
        attempt.workers[4].roster_proof = proof;
        run.parts(Round(2), vec![attempt], &says("3"))
    };
    let id = world.workers[4].id();
    let proofs = [
        world.roster().member(&id).expect("there").1,
        early().member(&world.workers[3].id()).expect("there").1,
    ];
    for proof in proofs {
        assert_refused!(late(proof), CertificateError::Worker { reason, .. } if reason.contains("roster"));
    }
}

#[test]
fn a_worker_above_the_threshold_is_refused() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() == 3);
    let mut run = Run::new(&world, &request, 3, 2);
    let index = run.append(run.received.hash());
    let round = run.open_round();
    let opening = run.opening(index, Round(3), round);
    let drawn = world.drawn(&request, Attempt(0), round);
    for worker in (0..12).filter(|worker| !drawn.contains(worker)) {
        let mut shown = drawn.clone();
        shown.push(worker);
        shown.sort_unstable();
        let attempt = run.attempt_of(Attempt(0), round, opening.clone(), &shown, &all_say("3"));
        let parts = run.parts(Round(2), vec![attempt], &says("3"));
        assert_refused!(parts, CertificateError::Worker { reason: "was not drawn", .. });
    }
}

/// Changes the draw of the first worker, which then votes on it, as everybody else votes.
fn with_draw(world: &World, edit: impl FnOnce(&mut Draw)) -> Parts {
    let mut parts = honest(world);
    let worker = &mut parts.attempts[0].workers[0];
    let mut body = worker.draw.body.clone();
    edit(&mut body);
    worker.draw = world.workers[0].sign(body);
    vote_for(&world.workers[0], worker, &says("3"));
    sign_again(world, &mut parts);
    parts
}

#[test]
fn the_draw_proof_of_another_worker_request_or_attempt_is_refused() {
    let world = World::new(5);
    accepted(with_draw(&world, |_| {}));
    let (network, id, seed) = (&world.network, request(5, 3).id(), world.seed(Round(4)));
    let key = &world.workers[0].key;
    let other = Request { nonce: Nonce([8; 16]), ..request(5, 3) };
    let proofs = [
        prove_draw(network, &world.workers[1].key, &id, Attempt(0), &seed).1,
        prove_draw(network, key, &other.id(), Attempt(0), &seed).1,
        prove_draw(network, key, &id, Attempt(1), &seed).1,
        prove_draw(network, key, &id, Attempt(0), &world.seed(Round(3))).1,
        prove_draw(&World::with("other", 0, |_| {}).network, key, &id, Attempt(0), &seed).1,
        VrfProof([0; 80]),
    ];
    for proof in proofs {
        let parts = with_draw(&world, |draw| draw.proof = proof);
        assert_refused!(
            parts,
            CertificateError::Worker { reason: "the VRF proof of the draw does not verify", .. }
        );
    }
    let edits: [fn(&mut Draw); 3] = [
        |draw| draw.request.0[0] ^= 1,
        |draw| draw.attempt = Attempt(1),
        |draw| draw.round = Round(3),
    ];
    for edit in edits {
        let error = refused(with_draw(&world, edit));
        assert!(
            matches!(error, CertificateError::Worker { reason: "the draw is another one's", .. }),
            "{error:?}"
        );
    }
    // A draw signed by another worker.
    let mut parts = honest(&world);
    parts.attempts[0].workers[0].draw = parts.attempts[0].workers[1].draw.clone();
    sign_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Worker { reason: "the draw is another one's", .. });
}

/// Two workers whose operator mixed up their VRF keys: neither can show a draw.
#[test]
fn swapped_vrf_keys_are_refused() {
    let keys = World::new(2);
    let (first, second) = (keys.workers[0].id(), keys.workers[1].id());
    let (first_vrf, second_vrf) =
        (keys.workers[0].key.vrf_public(), keys.workers[1].key.vrf_public());
    let world = World::with("test", 2, |admission| {
        if admission.node == first {
            admission.vrf = second_vrf;
        } else if admission.node == second {
            admission.vrf = first_vrf;
        }
    });
    let parts = agreed(&world, &request(2, 2), &all_say("3"));
    assert_refused!(
        parts,
        CertificateError::Worker { reason: "the VRF proof of the draw does not verify", .. }
    );
    // An older admission of a worker's, with another VRF key, does not stand on the roster.
    let world = World::new(5);
    let mut parts = honest(&world);
    let older = wire::network::Admission {
        vrf: NodeKey::from_secret([77; 32]).vrf_public(),
        generation: 0,
        ..world.workers[0].admission.body.clone()
    };
    parts.attempts[0].workers[0].admission = world.admit(older);
    assert_refused!(parts, CertificateError::Worker { reason, .. } if reason.contains("roster"));
}

/// A proof against a smaller roster would make the population smaller and the threshold higher.
#[test]
fn a_roster_of_the_relays_own_is_refused() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() < 2);
    let mut run = Run::new(&world, &request, 3, 2);
    let index = run.append(run.received.hash());
    let round = run.open_round();
    let opening = run.opening(index, Round(3), round);
    let mut attempt = run.attempt_of(Attempt(0), round, opening, &[0, 1, 2], &all_say("3"));
    let small = Roster::new(world.workers.iter().take(3).map(|worker| worker.admission.clone()));
    for (number, worker) in attempt.workers.iter_mut().enumerate() {
        worker.roster_proof = small.member(&world.workers[number].id()).expect("there").1;
    }
    let parts = run.parts(Round(2), vec![attempt], &says("3"));
    assert_refused!(parts, CertificateError::Worker { reason, .. } if reason.contains("roster"));
}

#[test]
fn a_worker_that_stands_twice_is_refused() {
    let world = World::new(5);
    let mut parts = honest(&world);
    let twice = parts.attempts[0].workers[0].clone();
    parts.attempts[0].workers.insert(0, twice);
    sign_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("stands twice"));
    let mut parts = honest(&world);
    parts.attempts[0].workers.swap(0, 1);
    sign_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("out of order"));
}
