//! Attacks on the chain of rounds.

use super::*;

/// One worker more than needed, so that rounds can be edited: the chain with round 3 as `edit` leaves
/// it, and what follows from it.
fn with_round_3(world: &World, edit: impl FnOnce(&mut RoundOpening)) -> Parts {
    let mut run = Run::new(world, &request(5, 3), 2, 2);
    run.open_round_with(world.roster(), edit);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &all_say("3"));
    run.parts(Round(2), vec![attempt], &says("3"))
}

#[test]
fn a_seed_that_does_not_follow_is_refused() {
    let world = World::new(5);
    accepted(with_round_3(&world, |_| {}));
    let other_seed = with_round_3(&world, |round| round.seed = Seed([1; 32]));
    assert_refused!(other_seed, CertificateError::Chain(DrawError::Seed { round: Round(3), .. }));
    let other_proof = with_round_3(&world, |round| round.proof.0[0] ^= 1);
    assert_refused!(other_proof, CertificateError::Chain(DrawError::Seed { round: Round(3), .. }));
    // A VRF output of the beacon's, but not over the seed before.
    let other_input = with_round_3(&world, |round| {
        (round.seed, round.proof) =
            prove_seed(&world.network, &world.beacon.key, &Seed([1; 32]), Round(3));
    });
    assert_refused!(other_input, CertificateError::Chain(DrawError::Seed { round: Round(3), .. }));
}

#[test]
fn a_first_round_that_does_not_follow_from_the_genesis_is_refused() {
    let world = World::new(3);
    let mut run = Run::new(&world, &request(3, 2), 0, 0);
    run.open_round_with(world.roster(), |round| round.previous = StatementHash([1; 32]));
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &all_say("3"));
    let parts = run.parts(Round(1), vec![attempt], &says("3"));
    assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("genesis"));
}

#[test]
fn a_fork_of_the_chain_is_refused() {
    let world = World::new(5);
    let fork = with_round_3(&world, |round| round.previous = StatementHash([1; 32]));
    assert_refused!(fork, CertificateError::Chain(DrawError::NotConsecutive { got: Round(3), .. }));
    // The deciding round of the chain, the one before from a fork in which the relay had not logged.
    let mut parts = honest(&world);
    let forked = Run::new(&world, &request(5, 3), 3, 1);
    parts.rounds[1] = forked.dated(Round(3)).statement.clone();
    assert_refused!(parts, CertificateError::Chain(DrawError::NotConsecutive { .. }));
}

#[test]
fn a_round_that_the_beacon_did_not_sign_is_refused() {
    let world = World::new(5);
    for position in [0, 1, 2] {
        let mut parts = honest(&world);
        let body = parts.rounds[position].body.clone();
        parts.rounds[position] = world.relay.sign(body);
        let error = refused(parts);
        let (not_beacon, other) = (
            matches!(error, CertificateError::Chain(DrawError::NotBeacon(_))),
            matches!(error, CertificateError::Chain(DrawError::NotConsecutive { .. })),
        );
        assert!(not_beacon || other, "{position}: {error:?}");
    }
}

#[test]
fn a_round_that_stands_alone_is_the_beacons_too() {
    let world = World::new(5);
    let mut parts = honest(&world);
    let mut run = Run::new(&world, &request(5, 3), 1, 0);
    let first = run.rounds.remove(0).statement;
    let stray = RoundOpening { round: Round(0), ..first.body };
    for round in [Round(0), Round(1)] {
        let body = RoundOpening { round, ..stray.clone() };
        parts.rounds.insert(0, world.workers[0].sign(body));
        let error = refused(parts.clone());
        assert!(
            matches!(
                error,
                CertificateError::Chain(DrawError::NotBeacon(_)) | CertificateError::Mismatch(_)
            ),
            "{error:?}"
        );
        parts.rounds.remove(0);
    }
    // Of rounds between gaps too.
    let (run, attempts) = three_attempts(&world);
    let mut parts = run.parts(Round(1), attempts, &says("3"));
    parts
        .rounds
        .retain(|round| ![2, 4].contains(&round.body.round.0) || round.body.round == Round(4));
    let position =
        parts.rounds.iter().position(|round| round.body.round == Round(1)).expect("there");
    let mut body = parts.rounds[position].body.clone();
    body.round = Round(2);
    parts.rounds[position] = world.relay.sign(body);
    parts.rounds.remove(1);
    assert_refused!(parts, CertificateError::Chain(DrawError::NotBeacon(Round(2))));
}

/// Round 0 is before itself: with no beacon at all, one statement could be both rounds of a draw, its
/// tree of heads holding the relay's log twice.
#[test]
fn a_draw_in_round_0_without_any_beacon_is_refused() {
    let world = World::new(5);
    let relay = world.relay.id();
    let request = request(5, 3);
    // Two workers of five; the attacker's roster holds nobody else.
    let accomplices: Vec<&Node> = world.workers.iter().take(3).collect();
    let mut run = Run::new(&world, &request, 0, 0);
    let opener = run.received.hash();
    run.append(opener);
    let heads = [
        SeenHead { node: relay, head: TreeHead::EMPTY },
        SeenHead { node: relay, head: run.log.head() },
    ];
    let tree = MemoryTree::from_leaf_hashes(heads.iter().map(SeenHead::leaf_hash));
    let roster = Roster::new(accomplices.iter().map(|worker| worker.admission.clone()));
    let body = RoundOpening {
        round: Round(0),
        opened: CREATED,
        previous: StatementHash([0; 32]),
        seed: Seed([5; 32]),
        proof: VrfProof([0; 80]),
        workers: roster.head(),
        heads: tree.head(),
    };
    for signer in [&world.workers[0], &world.beacon] {
        let statement = signer.sign(body.clone());
        run.rounds = vec![network::Dated {
            statement,
            heads: SeenHeads::new(heads),
            workers: Roster::new(accomplices.iter().map(|worker| worker.admission.clone())),
        }];
        let opening = wire::compute::DrawOpening {
            opener_proof: run.log.inclusion(0).expect("there"),
            head: heads[1],
            head_proof: tree.inclusion(1).expect("there"),
            previous_head: heads[0],
            previous_head_proof: tree.inclusion(0).expect("there"),
        };
        let lie = [Vote::Says(says("666"))];
        let attempt = run.attempt_of(Attempt(0), Round(0), opening, &[0, 1, 2], &lie);
        let parts = run.parts(Round(0), vec![attempt], &says("666"));
        assert_refused!(parts, CertificateError::Mismatch(_) | CertificateError::Chain(_));
    }
}

#[test]
fn a_missing_round_is_refused() {
    let world = World::new(5);
    for position in [1, 2] {
        let mut parts = honest(&world);
        parts.rounds.remove(position);
        assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("is missing"));
    }
    let mut parts = honest(&world);
    parts.rounds.clear();
    assert_refused!(parts, CertificateError::Mismatch("rounds: there is none"));
}

#[test]
fn rounds_out_of_order_or_twice_are_refused() {
    let world = World::new(5);
    let mut parts = honest(&world);
    parts.rounds.swap(0, 1);
    assert_refused!(parts, CertificateError::Mismatch("rounds: not in order"));
    let mut parts = honest(&world);
    let last = parts.rounds.last().cloned().expect("rounds");
    parts.rounds.push(last);
    assert_refused!(parts, CertificateError::Mismatch("rounds: not in order"));
}
