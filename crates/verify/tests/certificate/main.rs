//! Certificates: honest ones hold and read back; no byte of one can be changed; and whoever holds the
//! relay's key and less than a quorum of workers' keys gets none accepted for a draw or a value that
//! is not so.

mod accomplices;
mod attempts;
mod drawn;
mod file;
mod honest;
#[path = "../network/mod.rs"]
mod network;
mod nodes;
mod opening;
mod rounds;
mod votes;

use network::{
    CREATED, Node, PERIOD_MS, Run, SCRIPT, Vote, World, admission, agree_again, agreed, agreement,
    faults, request, says, sign_again, tally, vote_for, widen,
};
use verify::{
    Certificate, CertificateError,
    draw::DrawError,
    record::{AttemptParts, FormatError, MAX_CERTIFICATE_BYTES, Parts},
};
use wire::{
    Attempt, CodeHash, Millis, NodeKey, Nonce, OperatorKey, Round, Seed, Signed, StatementError,
    StatementHash, VrfProof,
    compute::{Commit, Draw, Execution, Received, Request, Reveal, Tally, prove_draw},
    json::CanonicalJson,
    merkle::{MemoryTree, TreeHead},
    network::{NetworkError, Role},
    round::{Roster, RoundOpening, SeenHead, SeenHeads, prove_seed},
};

/// A change of a statement's body before it is signed.
type Edit<Body> = fn(&mut Body);
/// A change of what a worker commits to and reveals.
type EditVote = fn(&Node, &mut Commit, &mut Reveal);

fn all_say(value: &str) -> [Vote; 1] {
    [Vote::Says(says(value))]
}

/// Five workers, all drawn, all say 3.
fn honest(world: &World) -> Parts {
    agreed(world, &request(5, 3), &all_say("3"))
}

fn accepted(parts: Parts) -> Certificate {
    let made = Certificate::new(parts).expect("honest");
    let read = Certificate::from_json(made.json()).expect("its own rendering");
    assert_eq!(read.json(), made.json());
    assert_eq!(read.checks(), made.checks());
    assert_eq!(read.execution(), made.execution());
    made
}

/// Refused when it is made and when it is read, and in the same words.
fn refused(parts: Parts) -> CertificateError {
    let read = Certificate::from_json(&parts.to_json()).expect_err("a false certificate was read");
    let made = Certificate::new(parts).expect_err("a false certificate was made");
    assert_eq!(read.to_string(), made.to_string());
    made
}

macro_rules! assert_refused {
    ($parts:expr, $pattern:pat $(if $guard:expr)?) => {
        let error = refused($parts);
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
    };
}
use assert_refused;

/// Attempt 0 disagrees, nobody commits in attempt 1, attempt 2 agrees.
fn three_attempts(world: &World) -> (Run<'_>, Vec<AttemptParts>) {
    let mut run = Run::new(world, &request(5, 3), 4, 2);
    let votes = ["1", "2", "3", "4", "5"].map(|value| Vote::Says(says(value)));
    let opener = run.received.hash();
    let mut first = run.attempt(Attempt(0), opener, &votes);
    let opener = widen(world, &run.request, &mut first);
    run.open_round();
    run.open_round();
    let mut second = run.attempt(Attempt(1), opener, &[Vote::Idle]);
    let opener = widen(world, &run.request, &mut second);
    run.open_round();
    let third = run.attempt(Attempt(2), opener, &all_say("3"));
    (run, vec![first, second, third])
}
