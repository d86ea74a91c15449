//! A relay with accomplices: what a quorum of them, chosen by the relay, cannot reach.

use super::network::{
    self, Run, Vote, World, admission, request, says, sign_again, tally, vote_for,
};
use verify::{Certificate, record::AttemptParts};
use wire::{
    Attempt, NodeKey, Round,
    compute::{Draw, prove_draw},
    network::Role,
};

fn lie() -> [Vote; 1] {
    [Vote::Says(says("666"))]
}

/// A relay that hears nobody but its accomplices lets attempts pass until everybody is drawn: then it
/// takes most of the network, and not just a quorum.
#[test]
fn a_wider_draw_takes_more_than_a_quorum_of_accomplices() {
    let world = World::new(12);
    let accomplices = [0, 1];
    let mut run = Run::new(&world, &request(3, 2), 3, 2);
    let mut opener = run.received.hash();
    let mut attempts = Vec::new();
    for attempt in [Attempt(0), Attempt(1)] {
        let index = run.append(opener);
        let round = run.open_round();
        let tally = tally(&world, &run.request, attempt, round, &[]);
        let opening = run.opening(index, round.previous(), round);
        let mut parts = AttemptParts { opening, tally, workers: Vec::new(), widening: None };
        opener = network::widen(&world, &run.request, &mut parts);
        attempts.push(parts);
    }
    let index = run.append(opener);
    let round = run.open_round();
    let opening = run.opening(index, round.previous(), round);
    attempts.push(run.attempt_of(Attempt(2), round, opening, &accomplices, &lie()));
    let refused = Certificate::new(run.parts(Round(3), attempts, &says("666")));
    let error = refused.expect_err("two of twelve, and the relay").to_string();
    assert!(error.contains("no quorum of the reveals"), "{error}");
}

/// Nobody shows that it holds the VRF key it is admitted with; but a draw is made for a node, so nodes
/// that share a key are not drawn together by the one proof.
#[test]
fn nodes_with_one_vrf_key_are_drawn_apart() {
    let shared = NodeKey::from_secret([77; 32]);
    let copies = ["worker-0", "worker-1"];
    let world = World::with("test", 12, |body| {
        if copies.contains(&body.name.as_str()) {
            body.vrf = admission(&shared, "shared", Role::Worker).vrf;
        }
    });
    let is_copy =
        |worker: &usize| copies.contains(&world.workers[*worker].admission.body.name.as_str());
    let copies: Vec<usize> = (0..12).filter(is_copy).collect();
    // The requester grinds nothing here: it asks until the one key is drawn.
    let drawn_with = |number: u8| {
        let nonce = wire::Nonce([number; 16]);
        let request = wire::compute::Request { nonce, ..request(3, 2) };
        let mut run = Run::new(&world, &request, 3, 2);
        let index = run.append(run.received.hash());
        let round = run.open_round();
        let opening = run.opening(index, round.previous(), round);
        let mut attempt = run.attempt_of(Attempt(0), round, opening, &copies, &lie());
        let (id, seed) = (request.id(), world.seed(round));
        let (_, proof) = prove_draw(&world.network, &shared, &id, Attempt(0), &seed);
        for (worker, number) in attempt.workers.iter_mut().zip(&copies) {
            let node = &world.workers[*number];
            worker.draw = node.sign(Draw { proof, ..worker.draw.body.clone() });
            vote_for(node, worker, &says("666"));
        }
        let mut parts = run.parts(Round(3), vec![attempt], &says("666"));
        sign_again(&world, &mut parts);
        Certificate::new(parts)
    };
    assert!((0..32).all(|number| drawn_with(number).is_err()));
}

/// One who gets to see a commitment before the tally (from the relay) and commits to it as well cannot
/// reveal what the other reveals: a commitment belongs to one draw.
#[test]
fn a_copied_commitment_is_refused() {
    let world = World::new(3);
    let mut parts = network::agreed(&world, &request(3, 2), &[Vote::Says(says("3"))]);
    let copied = parts.attempts[0].workers[0].clone();
    let (commit, reveal) = (copied.commit.expect("there"), copied.reveal.expect("there"));
    let lazy = &mut parts.attempts[0].workers[1];
    let mut own_commit = commit.body.clone();
    own_commit.draw = lazy.draw.hash();
    let own_commit = world.workers[1].sign(own_commit);
    let mut own_reveal = reveal.body.clone();
    own_reveal.commit = own_commit.hash();
    (lazy.commit, lazy.reveal) = (Some(own_commit), Some(world.workers[1].sign(own_reveal)));
    sign_again(&world, &mut parts);
    let error = Certificate::new(parts).expect_err("copied").to_string();
    assert!(error.contains("does not open the commitment"), "{error}");
}
