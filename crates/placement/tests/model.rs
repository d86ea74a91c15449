//! Draws under random rounds, answers and losses, and the statistics of sortition.

use std::{collections::BTreeMap, sync::Arc};

use placement::{DrawRefusal, Drawn, DrawnEffect, DrawnEvent, RoundView};
use proptest::prelude::*;
use wire::{
    Attempt, Millis, NetworkId, NodeId, NodeKey, OperatorKey, RequestId, RootHash, Round, Seed,
    Signed, StatementHash, VrfProof,
    compute::{Draw, Threshold, prove_draw},
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Admission, Role},
    round::{Roster, RoundOpening, SeenHead, SeenHeads},
};

const NETWORK: NetworkId = NetworkId([7; 32]);
const RELAY: NodeId = NodeId([8; 32]);
const WINDOW_MS: u64 = 500;

fn worker_key(number: u8) -> NodeKey {
    NodeKey::from_secret([number; 32])
}

fn roster(count: u8) -> Arc<Roster> {
    let operator = OperatorKey::from_secret([9; 32]);
    Arc::new(Roster::new((0..count).map(|number| {
        let key = worker_key(number);
        let admission = Admission {
            node: key.id(),
            vrf: key.vrf_public(),
            sealing: key.sealing_public(),
            name: format!("worker-{number}"),
            domain: format!("localhost:{}", 1000 + u16::from(number)),
            roles: [Role::Worker].into_iter().collect(),
            starts: Millis(0),
            expires: Millis(u64::MAX),
            generation: 1,
        };
        Signed::sign(NETWORK, &operator, admission)
    })))
}

fn view(round: u64, log_size: Option<u64>, workers: &Arc<Roster>) -> RoundView {
    let seen = |size| SeenHead { node: RELAY, head: TreeHead { size, root: RootHash([1; 32]) } };
    let heads = SeenHeads::new(log_size.map(seen));
    let beacon = NodeKey::from_secret([100; 32]);
    let body = RoundOpening {
        round: Round(round),
        opened: Millis(round),
        previous: StatementHash([0; 32]),
        seed: Seed([u8::try_from(round % 256).expect("small"); 32]),
        proof: VrfProof([0; 80]),
        workers: workers.head(),
        heads: heads.head(),
    };
    RoundView {
        statement: Signed::sign(NETWORK, &beacon, body),
        own_head: heads.of(&RELAY),
        workers: Arc::clone(workers),
    }
}

fn answer(number: u8, request: RequestId, attempt: Attempt, view: &RoundView) -> Signed<Draw> {
    let key = worker_key(number);
    let body = &view.statement.body;
    let (_, proof) = prove_draw(&NETWORK, &key, &request, attempt, &body.seed);
    Signed::sign(NETWORK, &key, Draw { request, attempt, round: body.round, proof })
}

fn open(request: RequestId, attempt: Attempt, committee: u16, log_index: u64) -> DrawnEvent {
    DrawnEvent::Open { request, attempt, committee, opener: StatementHash([3; 32]), log_index }
}

fn effects(machine: &mut Drawn) -> Vec<DrawnEffect> {
    std::iter::from_fn(|| machine.next_effect()).collect()
}

#[test]
fn the_first_covering_round_decides() {
    let workers = roster(4);
    let request = RequestId([1; 32]);
    let mut machine = Drawn::new(NETWORK, WINDOW_MS);
    machine.handle(DrawnEvent::Round(view(1, None, &workers)), Millis(0));
    machine.handle(open(request, Attempt(0), 2, 5), Millis(0));
    for (round, size) in [(2, 0), (3, 5)] {
        machine.handle(DrawnEvent::Round(view(round, Some(size), &workers)), Millis(0));
        assert!(effects(&mut machine).is_empty(), "round {round} does not cover entry 5");
    }
    machine.handle(DrawnEvent::Round(view(4, Some(6), &workers)), Millis(0));
    let announced = effects(&mut machine);
    let [DrawnEffect::Announce(opened)] = announced.as_slice() else { panic!("{announced:?}") };
    assert_eq!(opened.decides.statement.body.round, Round(4));
    assert_eq!(opened.before.statement.body.round, Round(3));
    // After a restart the same round decides, however many have passed since.
    let mut restarted = Drawn::new(NETWORK, WINDOW_MS);
    for (round, size) in [(2, 0), (3, 5), (4, 6), (5, 9), (6, 20)] {
        restarted.handle(DrawnEvent::Round(view(round, Some(size), &workers)), Millis(0));
    }
    restarted.handle(open(request, Attempt(0), 2, 5), Millis(0));
    let announced = effects(&mut restarted);
    let [DrawnEffect::Announce(again)] = announced.as_slice() else { panic!("{announced:?}") };
    assert_eq!(again.decides.statement, opened.decides.statement);
    // A round that cannot prove to be the first one decides nothing.
    let mut late = Drawn::new(NETWORK, WINDOW_MS);
    late.handle(DrawnEvent::Round(view(5, Some(9), &workers)), Millis(0));
    late.handle(open(request, Attempt(0), 2, 5), Millis(0));
    assert!(effects(&mut late).is_empty());
}

#[test]
fn strangers_other_rounds_and_false_proofs_are_refused() {
    let workers = roster(3);
    let request = RequestId([1; 32]);
    let mut machine = Drawn::new(NETWORK, WINDOW_MS);
    let (before, decides) = (view(1, Some(0), &workers), view(2, Some(1), &workers));
    machine.handle(DrawnEvent::Round(before.clone()), Millis(0));
    machine.handle(open(request, Attempt(0), 3, 0), Millis(0));
    let early = answer(0, request, Attempt(0), &decides);
    machine.handle(DrawnEvent::Answer(early), Millis(0));
    machine.handle(DrawnEvent::Round(decides.clone()), Millis(0));
    machine.handle(DrawnEvent::Answer(answer(0, request, Attempt(1), &decides)), Millis(0));
    machine.handle(DrawnEvent::Answer(answer(0, request, Attempt(0), &before)), Millis(0));
    machine.handle(DrawnEvent::Answer(answer(9, request, Attempt(0), &decides)), Millis(0));
    let mut borrowed = answer(1, request, Attempt(0), &decides).body;
    borrowed.round = Round(2);
    let forged = Signed::sign(NETWORK, &worker_key(0), borrowed);
    machine.handle(DrawnEvent::Answer(forged), Millis(0));
    let refusals: Vec<DrawRefusal> = effects(&mut machine)
        .into_iter()
        .filter_map(|effect| match effect {
            DrawnEffect::Refused { refusal, .. } => Some(refusal),
            _ => None,
        })
        .collect();
    let expected = [
        DrawRefusal::NotOpen,
        DrawRefusal::NotOpen,
        DrawRefusal::OtherRound(Round(2)),
        DrawRefusal::NotOnRoster,
        DrawRefusal::Proof,
    ];
    assert_eq!(refusals, expected);
}

proptest! {
    /// Whatever part of the workers answers, in whatever order and however often: each draw ends
    /// exactly once, by the last answer or by the window, with exactly those who were drawn.
    #[test]
    fn every_draw_ends_once(
        population in 1_u8..12,
        committee in 1_u16..8,
        attempt in 0_u32..4,
        answers in prop::collection::vec(0_u8..12, 0..40),
    ) {
        let workers = roster(population);
        let request = RequestId([2; 32]);
        let attempt = Attempt(attempt);
        let mut machine = Drawn::new(NETWORK, WINDOW_MS);
        let decides = view(2, Some(1), &workers);
        machine.handle(DrawnEvent::Round(view(1, Some(0), &workers)), Millis(0));
        machine.handle(open(request, attempt, committee, 0), Millis(0));
        machine.handle(DrawnEvent::Round(decides.clone()), Millis(0));
        let threshold = Threshold::of(committee, attempt, u64::from(population));
        let mut expected = BTreeMap::new();
        for number in answers.iter().filter(|number| **number < population) {
            if expected.len() == usize::from(population) {
                break;
            }
            machine.handle(DrawnEvent::Answer(answer(*number, request, attempt, &decides)), Millis(1));
            let key = worker_key(*number);
            let seed = &decides.statement.body.seed;
            let (output, _) = prove_draw(&NETWORK, &key, &request, attempt, seed);
            expected.insert(key.id(), threshold.admits(&output));
        }
        let early = expected.len() == usize::from(population);
        prop_assert_eq!(machine.next_timeout().is_none(), early);
        machine.handle_timeout(Millis(WINDOW_MS - 1));
        machine.handle_timeout(Millis(WINDOW_MS));
        machine.handle_timeout(Millis(WINDOW_MS * 2));
        let ends: Vec<Vec<NodeId>> = effects(&mut machine)
            .into_iter()
            .filter_map(|effect| match effect {
                DrawnEffect::Concluded { drawn, .. } => Some(drawn.iter().map(|draw| draw.signer).collect()),
                _ => None,
            })
            .collect();
        let drawn: Vec<NodeId> =
            expected.into_iter().filter_map(|(node, drawn)| drawn.then_some(node)).collect();
        prop_assert_eq!(ends, vec![drawn]);
    }
}

/// A burst of requests is drawn in the order of the log, no more at once than the workers keep up
/// with, and all by the one round that covers them.
#[test]
fn a_burst_is_drawn_in_turns() {
    let workers = roster(5);
    let mut machine = Drawn::new(NETWORK, WINDOW_MS);
    let request = |number: u8| RequestId([number; 32]);
    machine.handle(DrawnEvent::Round(view(1, Some(0), &workers)), Millis(0));
    for number in 0..50 {
        let other = request(50 - number);
        machine.handle(open(other, Attempt(0), 3, u64::from(number)), Millis(0));
    }
    machine.handle(DrawnEvent::Round(view(2, Some(50), &workers)), Millis(0));
    let announced = |effects: Vec<DrawnEffect>| -> Vec<(RequestId, Round)> {
        let opened = effects.into_iter().filter_map(|effect| match effect {
            DrawnEffect::Announce(opened) => Some(opened),
            _ => None,
        });
        opened.map(|opened| (opened.request, opened.decides.statement.body.round)).collect()
    };
    let mut under_way = announced(effects(&mut machine));
    assert_eq!(under_way.len(), 6, "4 jobs for each of 5 workers, 3 for each draw");
    for round in 3..10 {
        machine.handle(DrawnEvent::Round(view(round, Some(50), &workers)), Millis(0));
    }
    let mut order = Vec::new();
    while let Some((done, round)) = under_way.first().copied() {
        assert_eq!(round, Round(2), "however long it waited");
        order.push(done);
        under_way.remove(0);
        machine.handle(DrawnEvent::Abandon { request: done, agreed: true }, Millis(0));
        under_way.extend(announced(effects(&mut machine)));
        assert!(under_way.len() <= 40);
    }
    assert_eq!(order, (0..50).map(|number| request(50 - number)).collect::<Vec<_>>());
}

/// Over many seeds the committee has its expected size, every worker is drawn equally often, and a
/// widened draw is about twice as large. The bounds are five standard deviations: this fails by
/// chance about once in a million runs, and the seeds are fixed.
#[test]
fn sortition_is_fair() {
    const DRAWS: u32 = 1_500;
    let keys: Vec<NodeKey> = (0..12).map(worker_key).collect();
    for (attempt, committee) in [(0, 3_u16), (1, 3)] {
        let threshold = Threshold::of(committee, Attempt(attempt), keys.len() as u64);
        let mut drawn_by_worker = vec![0_u32; keys.len()];
        for number in 0..DRAWS {
            let mut request = RequestId([0; 32]);
            request.0[..4].copy_from_slice(&number.to_be_bytes());
            for (worker, key) in keys.iter().enumerate() {
                let seed = Seed([3; 32]);
                let (output, _) = prove_draw(&NETWORK, key, &request, Attempt(attempt), &seed);
                drawn_by_worker[worker] += u32::from(threshold.admits(&output));
            }
        }
        let chance = f64::from(committee << attempt) / 12.0;
        let check = |count: u32, trials: f64| {
            let (mean, deviation) = (trials * chance, (trials * chance * (1.0 - chance)).sqrt());
            assert!(
                (f64::from(count) - mean).abs() < 5.0 * deviation,
                "{count} of {trials} at {chance}"
            );
        };
        for count in &drawn_by_worker {
            check(*count, f64::from(DRAWS));
        }
        check(drawn_by_worker.iter().sum(), f64::from(DRAWS) * 12.0);
    }
}
