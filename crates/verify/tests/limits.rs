//! What a certificate does *not* show: each test has a relay and fewer workers than most of the
//! network get a value of theirs accepted, by a gap in the protocol that no check of the file alone
//! can close. A test here that fails because the certificate is refused is good news: the gap was
//! closed where it is, in the statements; move the test to `certificate/`.

mod network;

use network::{Run, Vote, World, request, says, widen};
use verify::{Certificate, Evidence, Rule};
use wire::{Attempt, Round, compute::Receipt};

fn lie() -> [Vote; 1] {
    [Vote::Says(says("666"))]
}

/// Reveals that the relay took in an attempt that it then calls failed are missed by nobody who has
/// the file alone. Each of those workers holds a receipt, though, and with it the relay is convicted.
#[test]
fn an_attempt_whose_reveals_the_relay_hides_counts_as_failed() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() >= 3);
    let mut run = Run::new(&world, &request, 3, 2);
    let opener = run.received.hash();
    let mut honest = run.attempt(Attempt(0), opener, &[Vote::Says(says("3"))]);
    let mut hidden = None;
    for worker in &mut honest.workers {
        hidden = worker.reveal.take();
    }
    let opener = widen(&world, &run.request, &mut honest);
    let second = run.attempt(Attempt(1), opener, &lie());
    let widening = honest.widening.clone().expect("just made");
    let certificate = Certificate::new(run.parts(Round(3), vec![honest, second], &says("666")));
    assert!(certificate.is_ok());
    // The file alone does not show it; but the relay gave a receipt for what it hides.
    let (reveal, relay) = (hidden.expect("there"), &world.relay);
    let (request, attempt, statement) = (run.request.id(), Attempt(0), reveal.hash());
    let receipt = relay.sign(Receipt { request, attempt, statement });
    let statements = [reveal.bytes(), receipt.bytes(), widening.bytes()].map(|it| it.to_vec());
    let admission = relay.admission.clone();
    let genesis = world.genesis.clone();
    let evidence =
        Evidence::new(genesis, admission, Rule::OmittedReveal, statements.into()).expect("guilty");
    assert_eq!(evidence.verdict().accused, relay.id());
}

/// The relay logs one statement twice, the second time when it has seen the seed that the first one
/// led to. That the index shown is the first is not proved; an honest log holds a statement once.
#[test]
fn a_request_that_is_logged_twice_is_drawn_in_either_round() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let first = run.append(run.received.hash());
    let early = run.open_round();
    let second = run.append(run.received.hash());
    let late = run.open_round();
    for (index, round) in [(first, early), (second, late)] {
        let opening = run.opening(index, round.previous(), round);
        let votes = [Vote::Says(says("3"))];
        let attempt = run.attempt_of(Attempt(0), round, opening, &[0, 1, 2], &votes);
        let certificate = Certificate::new(run.parts(Round(3), vec![attempt], &says("3")));
        assert!(certificate.is_ok(), "{round}");
    }
}
