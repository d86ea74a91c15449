//! What a worker checks before it answers an offer: the relay that shows it may be anybody's.

mod network;

use network::{CREATED, Node, PERIOD_MS, Run, Vote, World, request, says, tally, widen};
use verify::draw::{CheckedDraw, DrawError, check_offer};
use wire::{
    Attempt, NodeKey, Nonce, Round, Seed, Signed, StatementError,
    compute::{FailureReason, Offer, Received, Request, Threshold, Widening},
    merkle::TreeHead,
    round::RoundOpening,
};

/// The offer of a first attempt, and of a second one after it.
fn offers(world: &World) -> [Offer; 2] {
    let mut run = Run::new(world, &request(5, 3), 3, 2);
    let received = run.received.clone();
    let mut first = run.attempt(Attempt(0), received.hash(), &[Vote::Idle]);
    let opener = widen(world, &run.request, &mut first);
    let widening = first.widening.clone().expect("just made");
    let second = run.attempt(Attempt(1), opener, &[Vote::Says(says("3"))]);
    let offer = |attempt, opener: &[u8], round: Round, opening| Offer {
        request: run.request.clone(),
        attempt,
        opener: opener.to_vec(),
        previous_round: run.dated(round.previous()).statement.bytes().to_vec(),
        round: run.dated(round).statement.bytes().to_vec(),
        opening,
    };
    [
        offer(Attempt(0), received.bytes(), Round(4), first.opening),
        offer(Attempt(1), widening.bytes(), Round(5), second.opening),
    ]
}

fn check(world: &World, relay: &Node, offer: &Offer) -> Result<CheckedDraw, DrawError> {
    check_offer(&world.network, &world.beacon.admission.body, &relay.id(), offer)
}

#[test]
fn honest_offers_are_accepted() {
    let world = World::new(12);
    let [first, second] = offers(&world);
    let expected = |attempt, round| CheckedDraw {
        round,
        seed: world.seed(round),
        opened: CREATED.plus(round.0 * PERIOD_MS),
        population: 12,
        threshold: Threshold::of(5, attempt, 12),
    };
    assert_eq!(check(&world, &world.relay, &first), Ok(expected(Attempt(0), Round(4))));
    assert_eq!(check(&world, &world.relay, &second), Ok(expected(Attempt(1), Round(5))));
}

#[test]
fn offers_that_do_not_fit_together_are_refused() {
    let world = World::new(5);
    let [first, second] = offers(&world);
    let other = Request { nonce: Nonce([8; 16]), ..first.request.clone() };
    let swapped = |edit: &dyn Fn(&mut Offer)| {
        let mut offer = second.clone();
        edit(&mut offer);
        check(&world, &world.relay, &offer).expect_err("refused")
    };
    let not_this = |attempt| DrawError::Opener(Attempt(attempt));
    assert_eq!(swapped(&|offer| offer.request = other.clone()), not_this(1));
    assert_eq!(swapped(&|offer| offer.attempt = Attempt(2)), not_this(2));
    let error = swapped(&|offer| offer.attempt = Attempt(0));
    assert!(matches!(error, DrawError::Statement(StatementError::Kind { .. })), "{error:?}");
    let error = swapped(&|offer| offer.opener.clone_from(&first.opener));
    assert!(matches!(error, DrawError::Statement(StatementError::Kind { .. })), "{error:?}");
    let error = swapped(&|offer| offer.round.clone_from(&first.round));
    assert!(matches!(error, DrawError::NotConsecutive { .. }), "{error:?}");
    let error = swapped(&|offer| offer.opening.clone_from(&first.opening));
    assert!(matches!(error, DrawError::Proof { .. }), "{error:?}");
    let error = swapped(&|offer| offer.opening.previous_head.head = TreeHead::EMPTY);
    assert!(matches!(error, DrawError::Proof { .. }), "{error:?}");
    let error = swapped(&|offer| offer.request.quorum = 1);
    assert!(matches!(error, DrawError::Request(_)), "{error:?}");
    let error = swapped(&|offer| offer.opener.truncate(9));
    assert!(matches!(error, DrawError::Statement(StatementError::Encoding(_))), "{error:?}");
}

#[test]
fn another_relays_offer_is_refused() {
    let world = World::new(5);
    let [offer, _] = offers(&world);
    // It stands in one relay's log, and another one shows it as its own.
    let thief = &world.workers[0];
    assert_eq!(check(&world, thief, &offer), Err(DrawError::Opener(Attempt(0))));
    let received = Received { request: offer.request.id(), received: CREATED };
    let own = Offer { opener: thief.sign(received).bytes().to_vec(), ..offer.clone() };
    assert_eq!(check(&world, thief, &own), Err(DrawError::OtherLog));
    let error = check(&world, &world.relay, &own).expect_err("not signed by the relay");
    assert_eq!(error, DrawError::Opener(Attempt(0)));
}

/// The end of an attempt that nobody was asked for, in the log before the seed was known.
#[test]
fn a_widening_that_was_signed_before_its_round_opens_nothing() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let early = world.relay.sign(Widening {
        request: run.request.id(),
        attempt: Attempt(0),
        round: Round(4),
        tally: tally(&world, &run.request, Attempt(0), Round(4), &[]).hash(),
        reveals: Vec::new(),
        reason: FailureReason::NoQuorum,
    });
    run.append(run.received.hash());
    let index = run.append(early.hash());
    let round = run.open_round();
    let offer = Offer {
        request: run.request.clone(),
        attempt: Attempt(1),
        opener: early.bytes().to_vec(),
        previous_round: run.dated(Round(3)).statement.bytes().to_vec(),
        round: run.dated(round).statement.bytes().to_vec(),
        opening: run.opening(index, Round(3), round),
    };
    let expected = DrawError::NotAfter { before: Round(4), got: Round(4) };
    assert_eq!(check(&world, &world.relay, &offer), Err(expected));
}

#[test]
fn rounds_that_are_not_the_beacons_or_out_of_range_are_refused() {
    let world = World::new(5);
    let [offer, _] = offers(&world);
    let open = |bytes: &[u8]| Signed::<RoundOpening>::open(&world.network, bytes).expect("honest");
    let (before, decides) = (open(&offer.previous_round).body, open(&offer.round).body);
    let with = |before: &Signed<RoundOpening>, decides: &Signed<RoundOpening>| {
        let previous_round = before.bytes().to_vec();
        let round = decides.bytes().to_vec();
        let offer = Offer { previous_round, round, ..offer.clone() };
        check(&world, &world.relay, &offer).expect_err("refused")
    };
    let stranger = NodeKey::from_secret([3; 32]);
    let forged = |body: &RoundOpening| Signed::sign(world.network, &stranger, body.clone());
    let signed = |body: &RoundOpening| world.beacon.sign(body.clone());
    assert_eq!(with(&forged(&before), &signed(&decides)), DrawError::NotBeacon(Round(3)));
    assert_eq!(with(&signed(&before), &forged(&decides)), DrawError::NotBeacon(Round(4)));
    // The last round that a number can have has none after it, and round 0 none before.
    for (first, second) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (0, 0)] {
        let before = signed(&RoundOpening { round: Round(first), ..before.clone() });
        let previous = before.hash();
        let decides = RoundOpening { round: Round(second), previous, ..decides.clone() };
        let error = with(&before, &signed(&decides));
        assert!(matches!(error, DrawError::NotConsecutive { .. }), "{first}, {second}: {error:?}");
    }
    let other_seed = signed(&RoundOpening { seed: Seed([1; 32]), ..decides });
    let error = with(&signed(&before), &other_seed);
    assert!(matches!(error, DrawError::Seed { round: Round(4), .. }), "{error:?}");
}
