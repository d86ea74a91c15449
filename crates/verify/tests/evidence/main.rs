//! Evidence: what is guilty by each rule is convicted, no byte of the file can be changed, and an
//! honest node is convicted by nothing that it said, whatever others add to it.

mod file;
mod framing;
mod machines;
#[path = "../network/mod.rs"]
mod network;

use network::{
    Node, Run, World, says,
    stage::{Stage, Trap},
};
use proptest::{prelude::*, test_runner::Config};
use verify::{Evidence, EvidenceError, Rule, evidence::MAX_EVIDENCE_BYTES};
use wire::{
    Attempt, Body, Commitment, Millis, NodeKey, OperatorKey, RequestId, RootHash, Round, Salt,
    Signed, StatementError, StatementHash,
    checkpoint::{CheckpointError, SignedCheckpoint},
    compute::{Agreement, Commit, Draw, Failure, FailureReason, Receipt, Received, Reveal, Tally},
    key::StatementSigner as _,
    merkle::TreeHead,
    network::{Admission, NetworkError, Settings},
};

const RULES: [Rule; 6] = [
    Rule::TwoStatements,
    Rule::FalseReveal,
    Rule::OmittedCommit,
    Rule::OmittedReveal,
    Rule::TwoEndings,
    Rule::TwoHistories,
];

const REQUEST: RequestId = RequestId([3; 32]);

fn bytes<B: Body>(statement: &Signed<B>) -> Vec<u8> {
    statement.bytes().to_vec()
}

fn judge(
    world: &World,
    accused: &Node,
    rule: Rule,
    statements: Vec<Vec<u8>>,
) -> Result<Evidence, EvidenceError> {
    let admission = accused.admission.clone();
    Evidence::new(world.genesis.clone(), admission, rule, statements)
}

/// Convicted, and its file says the same to whoever reads it.
fn convicted(world: &World, accused: &Node, rule: Rule, statements: Vec<Vec<u8>>) -> Evidence {
    let evidence = judge(world, accused, rule, statements).expect("guilty");
    let read = Evidence::from_json(&evidence.to_json()).expect("its own rendering");
    assert_eq!(read.to_json(), evidence.to_json());
    assert_eq!(read.verdict(), evidence.verdict());
    assert_eq!(read.verdict().accused, accused.id());
    assert_eq!(read.verdict().rule, rule);
    assert_eq!(read.network(), world.network);
    evidence
}

fn proves_nothing(world: &World, accused: &Node, rule: Rule, statements: Vec<Vec<u8>>, why: &str) {
    let error = judge(world, accused, rule, statements).expect_err("nobody is guilty");
    let reason = matches!(&error, EvidenceError::ProvesNothing(reason) if reason.contains(why));
    assert!(reason, "expected {why:?}, got {error:?}");
}

fn commit_to(node: &Node, attempt: Attempt, value: &str) -> Signed<Commit> {
    node.sign(Commit {
        request: REQUEST,
        attempt,
        draw: StatementHash([4; 32]),
        commitment: says(value).commitment(&StatementHash([4; 32]), &Salt([5; 32])),
    })
}

fn reveal_of(node: &Node, commit: &Signed<Commit>, value: &str) -> Signed<Reveal> {
    node.sign(Reveal {
        request: commit.body.request,
        attempt: commit.body.attempt,
        commit: commit.hash(),
        salt: Salt([5; 32]),
        execution: says(value),
    })
}

fn receipt_for(node: &Node, attempt: Attempt, statement: StatementHash) -> Signed<Receipt> {
    node.sign(Receipt { request: REQUEST, attempt, statement })
}

fn tally_with(node: &Node, attempt: Attempt, commits: Vec<StatementHash>) -> Signed<Tally> {
    node.sign(Tally {
        request: REQUEST,
        attempt,
        round: Round(4),
        population: 5,
        drawn: Vec::new(),
        commits,
    })
}

fn agreement_with(
    node: &Node,
    attempt: Attempt,
    agreeing: Vec<StatementHash>,
    dissenting: Vec<StatementHash>,
) -> Signed<Agreement> {
    node.sign(Agreement {
        request: REQUEST,
        attempt,
        tally: StatementHash([6; 32]),
        execution: says("3"),
        agreeing,
        dissenting,
        silent: Vec::new(),
    })
}

fn failure_of(node: &Node, request: RequestId) -> Signed<Failure> {
    node.sign(Failure { request, reason: FailureReason::NoQuorum, attempts: 1 })
}

fn checkpoint(world: &World, node: &Node, size: u64, root: u8) -> Vec<u8> {
    let root = RootHash([root; 32]);
    let head = TreeHead { size, root };
    let signed = SignedCheckpoint::sign(&world.network, &node.key, head);
    signed.note().as_bytes().to_vec()
}

/// What convicts the relay or the first worker by each rule.
fn guilty(world: &World) -> Vec<(&Node, Rule, Vec<Vec<u8>>)> {
    let (relay, worker) = (&world.relay, &world.workers[0]);
    let commit = commit_to(worker, Attempt(0), "3");
    let reveal = reveal_of(worker, &commit, "3");
    let two_commits = [commit_to(worker, Attempt(0), "4"), commit.clone()];
    let omitted_commit = vec![
        bytes(&commit),
        bytes(&receipt_for(relay, Attempt(0), commit.hash())),
        bytes(&tally_with(relay, Attempt(0), vec![])),
    ];
    let omitted_reveal = vec![
        bytes(&reveal),
        bytes(&receipt_for(relay, Attempt(0), reveal.hash())),
        bytes(&agreement_with(relay, Attempt(0), vec![], vec![])),
    ];
    let two_histories = vec![checkpoint(world, relay, 7, 1), checkpoint(world, relay, 7, 2)];
    let two_endings = vec![
        bytes(&agreement_with(relay, Attempt(0), vec![], vec![])),
        bytes(&failure_of(relay, REQUEST)),
    ];
    let false_reveal = vec![bytes(&commit), bytes(&reveal_of(worker, &commit, "4"))];
    vec![
        (worker, Rule::TwoStatements, two_commits.iter().map(bytes).collect()),
        (worker, Rule::FalseReveal, false_reveal),
        (relay, Rule::OmittedCommit, omitted_commit),
        (relay, Rule::OmittedReveal, omitted_reveal),
        (relay, Rule::TwoEndings, two_endings),
        (relay, Rule::TwoHistories, two_histories),
    ]
}

#[test]
fn each_rule_convicts_the_guilty() {
    let world = World::new(2);
    for ((accused, rule, statements), expected) in guilty(&world).into_iter().zip(RULES) {
        assert_eq!(rule, expected);
        let evidence = convicted(&world, accused, rule, statements);
        assert_eq!(evidence.verdict().name, accused.admission.body.name);
    }
}

#[test]
fn two_statements_of_every_kind_with_a_position_convict() {
    let world = World::new(2);
    let (beacon, relay, worker) = (&world.beacon, &world.relay, &world.workers[0]);
    let rounds = |workers: usize| {
        let mut run = Run::new(&world, &network::request(2, 2), 2, 0);
        let roster = world.workers.iter().take(workers).map(|node| node.admission.clone());
        run.open_round_with(wire::round::Roster::new(roster), |_| {});
        bytes(&run.dated(Round(3)).statement)
    };
    let received = |at| bytes(&relay.sign(Received { request: REQUEST, received: Millis(at) }));
    let failure = |attempts| {
        bytes(&relay.sign(Failure { request: REQUEST, reason: FailureReason::NoQuorum, attempts }))
    };
    let commit = commit_to(worker, Attempt(0), "3");
    let pairs = [
        (beacon, rounds(1), rounds(2)),
        (relay, received(1), received(2)),
        (worker, bytes(&commit), bytes(&commit_to(worker, Attempt(0), "4"))),
        (worker, bytes(&reveal_of(worker, &commit, "3")), bytes(&reveal_of(worker, &commit, "4"))),
        (
            relay,
            bytes(&tally_with(relay, Attempt(0), vec![])),
            bytes(&tally_with(relay, Attempt(0), vec![commit.hash()])),
        ),
        (
            relay,
            bytes(&agreement_with(relay, Attempt(0), vec![], vec![])),
            bytes(&agreement_with(relay, Attempt(1), vec![], vec![])),
        ),
        (relay, failure(1), failure(2)),
    ];
    for (accused, first, second) in pairs {
        let both = vec![first.clone(), second.clone()];
        convicted(&world, accused, Rule::TwoStatements, both);
        convicted(&world, accused, Rule::TwoStatements, vec![second, first]);
    }
}

#[test]
fn a_dissent_left_out_convicts_and_one_that_is_named_does_not() {
    let world = World::new(2);
    let (relay, worker) = (&world.relay, &world.workers[0]);
    let commit = commit_to(worker, Attempt(0), "4");
    let reveal = reveal_of(worker, &commit, "4");
    let receipt = receipt_for(relay, Attempt(0), reveal.hash());
    let with = |agreeing: Vec<_>, dissenting: Vec<_>| {
        let agreement = agreement_with(relay, Attempt(0), agreeing, dissenting);
        vec![bytes(&reveal), bytes(&receipt), bytes(&agreement)]
    };
    let other = StatementHash([1; 32]);
    convicted(&world, relay, Rule::OmittedReveal, with(vec![other], vec![other]));
    for (agreeing, dissenting) in
        [(vec![reveal.hash()], vec![]), (vec![other], vec![reveal.hash()])]
    {
        let statements = with(agreeing, dissenting);
        proves_nothing(&world, relay, Rule::OmittedReveal, statements, "counts the reveal");
    }
}

#[test]
fn endings_of_two_requests_or_two_relays_prove_nothing() {
    let world = World::new(1);
    let (relay, other) = (&world.relay, &world.workers[0]);
    let agreement = bytes(&agreement_with(relay, Attempt(0), vec![], vec![]));
    let elsewhere = bytes(&failure_of(relay, RequestId([99; 32])));
    let both = vec![agreement.clone(), elsewhere];
    proves_nothing(&world, relay, Rule::TwoEndings, both, "different requests");
    let both = vec![agreement, bytes(&failure_of(other, REQUEST))];
    proves_nothing(&world, relay, Rule::TwoEndings, both, "not signed by the accused");
}
