//! Attempts to convict somebody who is not guilty.

use super::*;

#[test]
fn one_statement_twice_convicts_nobody() {
    let world = World::new(2);
    let worker = &world.workers[0];
    let commit = bytes(&commit_to(worker, Attempt(0), "3"));
    let statements = vec![commit.clone(), commit];
    proves_nothing(&world, worker, Rule::TwoStatements, statements, "are the same");
    let note = checkpoint(&world, &world.relay, 7, 1);
    let statements = vec![note.clone(), note];
    proves_nothing(&world, &world.relay, Rule::TwoHistories, statements, "same root");
}

#[test]
fn statements_of_two_signers_convict_nobody() {
    let world = World::new(2);
    let (first, second) = (&world.workers[0], &world.workers[1]);
    let statements =
        vec![bytes(&commit_to(first, Attempt(0), "3")), bytes(&commit_to(second, Attempt(0), "4"))];
    for accused in [first, second, &world.relay] {
        proves_nothing(&world, accused, Rule::TwoStatements, statements.clone(), "by the accused");
    }
}

#[test]
fn different_positions_or_kinds_convict_nobody() {
    let world = World::new(2);
    let worker = &world.workers[0];
    let commit = commit_to(worker, Attempt(0), "3");
    let other_attempt = bytes(&commit_to(worker, Attempt(1), "4"));
    let statements = vec![bytes(&commit), other_attempt];
    proves_nothing(&world, worker, Rule::TwoStatements, statements, "positions differ");
    let statements = vec![bytes(&commit), bytes(&reveal_of(worker, &commit, "3"))];
    let error = judge(&world, worker, Rule::TwoStatements, statements).expect_err("two kinds");
    assert!(matches!(error, EvidenceError::Statement(StatementError::Kind { .. })), "{error:?}");
    // An attempt's tally, and the end of the request: a relay signs both.
    let statements = vec![
        bytes(&tally_with(&world.relay, Attempt(0), vec![])),
        bytes(&tally_with(&world.relay, Attempt(1), vec![])),
    ];
    proves_nothing(&world, &world.relay, Rule::TwoStatements, statements, "positions differ");
}

#[test]
fn statements_without_a_position_convict_nobody() {
    let world = World::new(2);
    let relay = &world.relay;
    let receipts =
        [1, 2].map(|number| bytes(&receipt_for(relay, Attempt(0), StatementHash([number; 32]))));
    proves_nothing(&world, relay, Rule::TwoStatements, receipts.to_vec(), "have no position");
    // What operators sign convicts no node, even one whose key is an operator's.
    let settings = [1, 2].map(|period_ms| {
        let body = Settings { version: 1, period_ms: 1_000 * period_ms, ..Settings::default() };
        bytes(&Signed::sign(world.network, &world.operator, body))
    });
    proves_nothing(&world, relay, Rule::TwoStatements, settings.to_vec(), "have no position");
    let admissions = [1, 2].map(|port| {
        let domain = format!("relay.test:{port}");
        bytes(&world.admit(Admission { domain, ..relay.admission.body.clone() }))
    });
    proves_nothing(&world, relay, Rule::TwoStatements, admissions.to_vec(), "have no position");
}

/// A beacon that forks its chain, and a relay with it, get two draws of one round out of an honest
/// worker, as a draw does not name its seed.
#[test]
fn two_draws_of_one_round_convict_nobody() {
    let world = World::new(1);
    let mut stage = Stage::new(2, 2);
    let worker = stage.world.workers[0].id();
    stage.submit(0);
    stage.open_round();
    for position in 0..2 {
        stage.trap(Trap::Fork, position);
    }
    stage.crash_worker(0);
    stage.deliver_all();
    let draws: Vec<Vec<u8>> = stage
        .of_kind::<Draw>()
        .into_iter()
        .filter(|draw| Signed::<Draw>::open(&world.network, draw).expect("said").signer == worker)
        .collect();
    assert_eq!(draws.len(), 2, "the trap works");
    let (first, second) = (
        Signed::<Draw>::open(&world.network, &draws[0]).expect("said"),
        Signed::<Draw>::open(&world.network, &draws[1]).expect("said"),
    );
    assert_eq!((first.body.attempt, first.body.round), (second.body.attempt, second.body.round));
    let accused = &stage.world.workers[0];
    proves_nothing(&stage.world, accused, Rule::TwoStatements, draws, "have no position");
}

#[test]
fn a_true_reveal_or_one_of_another_commit_convicts_nobody() {
    let world = World::new(2);
    let (worker, other) = (&world.workers[0], &world.workers[1]);
    let commit = commit_to(worker, Attempt(0), "3");
    let statements = vec![bytes(&commit), bytes(&reveal_of(worker, &commit, "3"))];
    proves_nothing(&world, worker, Rule::FalseReveal, statements, "opens the commitment");
    let next = commit_to(worker, Attempt(1), "4");
    let statements = vec![bytes(&commit), bytes(&reveal_of(worker, &next, "4"))];
    proves_nothing(&world, worker, Rule::FalseReveal, statements, "another commit");
    // Somebody else reveals something on the worker's commit, or the worker on somebody else's.
    let statements = vec![bytes(&commit), bytes(&reveal_of(other, &commit, "4"))];
    for accused in [worker, other] {
        proves_nothing(&world, accused, Rule::FalseReveal, statements.clone(), "by the accused");
    }
}

#[test]
fn an_omitted_commit_needs_its_own_receipt_and_tally() {
    let world = World::new(2);
    let (relay, worker, other) = (&world.relay, &world.workers[0], &world.workers[1]);
    let commit = commit_to(worker, Attempt(0), "3");
    let reveal = reveal_of(worker, &commit, "3");
    let receipt = receipt_for(relay, Attempt(0), commit.hash());
    let tally = tally_with(relay, Attempt(0), vec![]);
    let case =
        |commit: &Signed<Commit>, receipt: &Signed<Receipt>, tally: &Signed<Tally>, why: &str| {
            let statements = vec![bytes(commit), bytes(receipt), bytes(tally)];
            proves_nothing(&world, relay, Rule::OmittedCommit, statements, why);
        };
    let counted = tally_with(relay, Attempt(0), vec![commit.hash()]);
    case(&commit, &receipt, &counted, "counts the commit");
    let next_tally = tally_with(relay, Attempt(1), vec![]);
    case(&commit, &receipt, &next_tally, "different attempts");
    let of_reveal = receipt_for(relay, Attempt(0), reveal.hash());
    case(&commit, &of_reveal, &tally, "another statement");
    let of_other = receipt_for(relay, Attempt(0), commit_to(other, Attempt(0), "3").hash());
    case(&commit, &of_other, &tally, "another statement");
    // A receipt that says another attempt, for a commit of this one.
    case(&commit, &receipt_for(relay, Attempt(1), commit.hash()), &tally, "different attempts");
    let elsewhere = worker.sign(Commit { request: RequestId([9; 32]), ..commit.body.clone() });
    let its_receipt = receipt_for(relay, Attempt(0), elsewhere.hash());
    case(&elsewhere, &its_receipt, &tally, "different attempts");
    // Another relay's receipt or tally.
    let by_other = receipt_for(other, Attempt(0), commit.hash());
    case(&commit, &by_other, &tally, "by the accused");
    case(&commit, &receipt, &tally_with(other, Attempt(0), vec![]), "by the accused");
    // A reveal in the commit's place: the relay did count it, elsewhere.
    let statements = vec![bytes(&reveal), bytes(&of_reveal), bytes(&tally)];
    let error = judge(&world, relay, Rule::OmittedCommit, statements).expect_err("a reveal");
    assert!(matches!(error, EvidenceError::Statement(StatementError::Kind { .. })), "{error:?}");
}

#[test]
fn an_omitted_reveal_needs_its_own_receipt_and_agreement() {
    let world = World::new(2);
    let (relay, worker, other) = (&world.relay, &world.workers[0], &world.workers[1]);
    let commit = commit_to(worker, Attempt(0), "3");
    let reveal = reveal_of(worker, &commit, "3");
    let receipt = receipt_for(relay, Attempt(0), reveal.hash());
    let agreement = agreement_with(relay, Attempt(0), vec![], vec![]);
    let case = |receipt: &Signed<Receipt>, agreement: &Signed<Agreement>, why: &str| {
        let statements = vec![bytes(&reveal), bytes(receipt), bytes(agreement)];
        proves_nothing(&world, relay, Rule::OmittedReveal, statements, why);
    };
    // A request whose first attempt did not agree: its reveals stand in no agreement.
    let later = agreement_with(relay, Attempt(1), vec![], vec![]);
    case(&receipt, &later, "different attempts");
    case(&receipt_for(relay, Attempt(1), reveal.hash()), &later, "different attempts");
    case(&receipt_for(relay, Attempt(0), commit.hash()), &agreement, "another statement");
    case(&receipt_for(other, Attempt(0), reveal.hash()), &agreement, "by the accused");
    case(&receipt, &agreement_with(other, Attempt(0), vec![], vec![]), "by the accused");
    let mut body = agreement.body.clone();
    body.request = RequestId([9; 32]);
    case(&receipt, &relay.sign(body), "different attempts");
    // A commit in the reveal's place.
    let of_commit = receipt_for(relay, Attempt(0), commit.hash());
    let statements = vec![bytes(&commit), bytes(&of_commit), bytes(&agreement)];
    let error = judge(&world, relay, Rule::OmittedReveal, statements).expect_err("a commit");
    assert!(matches!(error, EvidenceError::Statement(StatementError::Kind { .. })), "{error:?}");
}

#[test]
fn a_log_that_grew_convicts_nobody() {
    let world = World::new(2);
    let relay = &world.relay;
    let statements = vec![checkpoint(&world, relay, 7, 1), checkpoint(&world, relay, 8, 2)];
    proves_nothing(&world, relay, Rule::TwoHistories, statements, "different sizes");
    let statements = vec![checkpoint(&world, relay, 7, 1), checkpoint(&world, &world.beacon, 7, 2)];
    for accused in [relay, &world.beacon] {
        let error =
            judge(&world, accused, Rule::TwoHistories, statements.clone()).expect_err("two logs");
        assert!(
            matches!(error, EvidenceError::Checkpoint(CheckpointError::Origin { .. })),
            "{error:?}"
        );
    }
    // A checkpoint under the relay's name, with another's signature or none.
    let note = String::from_utf8(checkpoint(&world, relay, 7, 1)).expect("UTF-8");
    let forged = note.replacen("\n7\n", "\n9\n", 1);
    let unsigned = note.split("\n\n").next().expect("text").to_owned() + "\n\n";
    let head = TreeHead { size: 7, root: RootHash([2; 32]) };
    let witnessed = SignedCheckpoint::sign(&world.network, &relay.key, head);
    let line = witnessed.cosign(&world.network, &world.beacon.key, 1);
    let cosigned_only = unsigned.clone() + &line;
    let longer = String::from_utf8(checkpoint(&world, relay, 9, 3)).expect("UTF-8");
    for false_note in [forged, unsigned, cosigned_only] {
        for other in [&note, &longer] {
            let statements = vec![false_note.clone().into_bytes(), other.clone().into_bytes()];
            let error = judge(&world, relay, Rule::TwoHistories, statements).expect_err("forged");
            assert!(matches!(error, EvidenceError::Checkpoint(_)), "{error:?}");
        }
    }
    let statements = vec![vec![0xff, 0xfe], note.into_bytes()];
    proves_nothing(&world, relay, Rule::TwoHistories, statements, "UTF-8");
}

#[test]
fn the_accused_is_who_an_operator_admitted() {
    let world = World::new(2);
    let stranger = OperatorKey::from_secret([66; 32]);
    for (accused, rule, statements) in guilty(&world) {
        // Another node's admission.
        let other = &world.workers[1];
        let error = judge(&world, other, rule, statements.clone()).expect_err("another node");
        assert!(
            matches!(error, EvidenceError::ProvesNothing(_) | EvidenceError::Checkpoint(_)),
            "{error:?}"
        );
        // The right node, admitted by nobody.
        let body = accused.admission.body.clone();
        let by_stranger = Signed::sign(world.network, &stranger, body.clone());
        let made = Evidence::new(world.genesis.clone(), by_stranger, rule, statements.clone());
        let error = made.expect_err("a stranger's admission");
        assert!(
            matches!(error, EvidenceError::Admission(NetworkError::NotOperator(_))),
            "{error:?}"
        );
        // Under a name that no node can have.
        let renamed = world.admit(Admission { name: "The Relay".to_owned(), ..body });
        let made = Evidence::new(world.genesis.clone(), renamed, rule, statements);
        assert!(matches!(made, Err(EvidenceError::Admission(NetworkError::Name { .. }))));
    }
}

/// The same keys in two networks: whoever says one thing here and another there did nothing wrong.
#[test]
fn statements_of_two_networks_convict_nobody() {
    let (world, other) = (World::new(2), World::with("other", 2, |_| {}));
    let theirs = guilty(&other);
    for ((accused, rule, ours), (_, _, theirs)) in guilty(&world).into_iter().zip(theirs) {
        for position in 0..ours.len() {
            let mut mixed = ours.clone();
            mixed[position].clone_from(&theirs[position]);
            let error = judge(&world, accused, rule, mixed).expect_err("two networks");
            assert!(
                matches!(
                    error,
                    EvidenceError::Statement(StatementError::Network { .. })
                        | EvidenceError::Checkpoint(CheckpointError::Origin { .. })
                ),
                "{error:?}"
            );
        }
        let genesis = other.genesis.clone();
        let made = Evidence::new(genesis, accused.admission.clone(), rule, ours);
        assert!(made.is_err(), "{rule:?}: the genesis of another network");
    }
}

#[test]
fn another_number_of_statements_convicts_nobody() {
    let world = World::new(2);
    for (accused, rule, statements) in guilty(&world) {
        for length in 0..statements.len() {
            let fewer = statements[..length].to_vec();
            proves_nothing(&world, accused, rule, fewer, "number of statements");
        }
        let more = [statements.clone(), statements].concat();
        proves_nothing(&world, accused, rule, more, "number of statements");
    }
}

#[test]
fn what_convicts_by_one_rule_convicts_by_no_other() {
    let world = World::new(2);
    for (accused, rule, statements) in guilty(&world) {
        for other in RULES.into_iter().filter(|other| *other != rule) {
            assert!(
                judge(&world, accused, other, statements.clone()).is_err(),
                "{rule:?} as {other:?}"
            );
        }
        let mut reversed = statements;
        reversed.reverse();
        let symmetric = [Rule::TwoStatements, Rule::TwoHistories].contains(&rule);
        assert_eq!(judge(&world, accused, rule, reversed).is_ok(), symmetric, "{rule:?}");
    }
}

/// A signature of the accused over other bytes than the statement's.
#[test]
fn a_forged_signature_convicts_nobody() {
    let world = World::new(2);
    let accomplice = NodeKey::from_secret([3; 32]);
    for (accused, rule, statements) in guilty(&world) {
        for position in 0..statements.len() {
            let mut forged = statements.clone();
            let last = forged[position].len() - 2;
            forged[position][last] ^= 1;
            let error = judge(&world, accused, rule, forged).expect_err("forged");
            assert!(
                matches!(error, EvidenceError::Statement(_) | EvidenceError::Checkpoint(_)),
                "{error:?}"
            );
        }
    }
    // The accomplice's commit, with the accused named as its signer in the envelope.
    let worker = &world.workers[0];
    let honest = commit_to(worker, Attempt(0), "3");
    let body = Commit { commitment: Commitment([1; 32]), ..honest.body.clone() };
    let signed = Signed::sign(world.network, &accomplice, body);
    let (from, to) = (accomplice.id().0, worker.id().0);
    let mut renamed = bytes(&signed);
    let at = renamed.windows(32).position(|window| window == from).expect("the signer");
    renamed[at..at + 32].copy_from_slice(&to);
    let error = judge(&world, worker, Rule::TwoStatements, vec![bytes(&honest), renamed])
        .expect_err("forged");
    assert!(
        matches!(error, EvidenceError::Statement(StatementError::Signature { .. })),
        "{error:?}"
    );
}
