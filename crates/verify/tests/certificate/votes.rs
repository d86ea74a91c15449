//! Attacks on the tally, the votes, the agreement and the code.

use super::*;

#[test]
fn draws_and_commits_are_those_of_the_tally() {
    let world = World::new(5);
    // The tally leaves a commit out that is shown, or a draw.
    let short = |edit: fn(&mut Tally)| {
        let mut parts = honest(&world);
        let mut body = parts.attempts[0].tally.body.clone();
        edit(&mut body);
        parts.attempts[0].tally = world.relay.sign(body);
        agree_again(&world, &mut parts);
        refused(parts)
    };
    let edits: [(Edit<Tally>, &str); 6] = [
        (|tally| tally.commits.truncate(4), "other commits"),
        (|tally| tally.commits.push(StatementHash([255; 32])), "other commits"),
        (|tally| tally.commits.reverse(), "other commits"),
        (|tally| tally.drawn.truncate(4), "other draws"),
        (|tally| tally.drawn.push(StatementHash([255; 32])), "other draws"),
        (|tally| tally.attempt = Attempt(1), "another one's"),
    ];
    for (edit, expected) in edits {
        let error = short(edit);
        assert!(
            matches!(error, CertificateError::Agreement { reason, .. } if reason.contains(expected)),
            "{error:?}"
        );
    }
    // The tally names what is not shown: a dissenter is hidden, its commit or all of it.
    let votes = [Vote::Says(says("4")), Vote::Says(says("3"))];
    let mut hidden = agreed(&world, &request(5, 3), &votes);
    hidden.attempts[0].workers.remove(0);
    agree_again(&world, &mut hidden);
    assert_refused!(hidden, CertificateError::Agreement { reason, .. } if reason.contains("other draws"));
    let mut hidden = agreed(&world, &request(5, 3), &votes);
    (hidden.attempts[0].workers[0].commit, hidden.attempts[0].workers[0].reveal) = (None, None);
    agree_again(&world, &mut hidden);
    assert_refused!(hidden, CertificateError::Agreement { reason, .. } if reason.contains("other commits"));
}

#[test]
fn the_round_of_the_tally_is_the_draws() {
    let world = World::new(5);
    let mut parts = honest(&world);
    let mut body = parts.attempts[0].tally.body.clone();
    body.round = Round(3);
    parts.attempts[0].tally = world.relay.sign(body);
    agree_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Draw { .. });
}

/// Changes the first worker's commit or reveal; the relay goes along.
fn with_vote(world: &World, edit: impl FnOnce(&Node, &mut Commit, &mut Reveal)) -> Parts {
    let mut parts = honest(world);
    let (node, worker) = (&world.workers[0], &mut parts.attempts[0].workers[0]);
    let mut commit = worker.commit.as_ref().expect("there").body.clone();
    let mut reveal = worker.reveal.as_ref().expect("there").body.clone();
    let named = reveal.commit;
    edit(node, &mut commit, &mut reveal);
    let commit = node.sign(commit);
    if reveal.commit == named {
        reveal.commit = commit.hash();
    }
    (worker.commit, worker.reveal) = (Some(commit), Some(node.sign(reveal)));
    sign_again(world, &mut parts);
    parts
}

#[test]
fn each_vote_builds_on_the_one_before() {
    let world = World::new(5);
    accepted(with_vote(&world, |_, _, _| {}));
    let edits: [(EditVote, &str); 9] = [
        (|_, _, reveal| reveal.execution = says("4"), "does not open"),
        (|_, _, reveal| reveal.salt.0[0] ^= 1, "does not open"),
        (|_, commit, _| commit.commitment.0[0] ^= 1, "does not open"),
        (|_, commit, _| commit.draw.0[0] ^= 1, "build on the draw"),
        (|_, commit, _| commit.attempt = Attempt(1), "build on the draw"),
        (|_, commit, _| commit.request.0[0] ^= 1, "build on the draw"),
        (|_, _, reveal| reveal.commit.0[0] ^= 1, "build on the commit"),
        (|_, _, reveal| reveal.attempt = Attempt(1), "build on the commit"),
        (|_, _, reveal| reveal.request.0[0] ^= 1, "build on the commit"),
    ];
    for (edit, expected) in edits {
        let parts = with_vote(&world, edit);
        assert_refused!(parts, CertificateError::Worker { reason, .. } if reason.contains(expected));
    }
    let mut parts = honest(&world);
    parts.attempts[0].workers[0].commit = None;
    sign_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Worker { reason: "revealed without a commit", .. });
}

/// A vote of a worker that was not drawn, signed over by one that was, or the other way round.
#[test]
fn the_vote_of_another_worker_is_refused() {
    let world = World::new(5);
    let mut parts = honest(&world);
    let other = parts.attempts[0].workers[1].clone();
    parts.attempts[0].workers[0].reveal = other.reveal;
    sign_again(&world, &mut parts);
    assert_refused!(parts.clone(), CertificateError::Worker { reason, .. } if reason.contains("build on the commit"));
    parts.attempts[0].workers[0].commit = other.commit;
    sign_again(&world, &mut parts);
    assert_refused!(parts, CertificateError::Worker { reason, .. } if reason.contains("build on the draw"));
}

#[test]
fn a_value_that_only_a_minority_said_is_refused() {
    let world = World::new(5);
    let votes = [Vote::Says(says("666")), Vote::Says(says("666")), Vote::Says(says("3"))];
    let mut parts = agreed(&world, &request(5, 3), &votes);
    parts.agreement = agreement(&world, &parts.request, &parts.attempts, &says("666"));
    assert_refused!(parts, CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
    // A value that nobody said.
    let mut parts = agreed(&world, &request(5, 3), &votes);
    parts.agreement = agreement(&world, &parts.request, &parts.attempts, &says("42"));
    assert_refused!(parts, CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
    // The agreed value, but from another engine or another script.
    let other_engine = Execution { engine: "v8/99".to_owned(), ..says("3") };
    let other_code = Execution { code: Some(CodeHash([1; 32])), ..says("3") };
    for execution in [other_engine, other_code] {
        let mut parts = honest(&world);
        parts.agreement = agreement(&world, &parts.request, &parts.attempts, &execution);
        assert_refused!(parts, CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
    }
}

/// Two of three workers are a quorum of the request; four committed, so they are not most of them.
#[test]
fn a_quorum_that_is_not_most_of_the_commits_is_refused() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() == 4);
    let lie = Vote::Says(says("3"));
    for rest in [Vote::Silent(says("5")), Vote::Says(says("5"))] {
        let parts = agreed(&world, &request, &[lie.clone(), lie.clone(), rest]);
        assert_refused!(parts, CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
    }
    // Without their commits they would be; that is what receipts are for.
    accepted(agreed(&world, &request, &[lie.clone(), lie, Vote::Idle]));
}

#[test]
fn too_few_reveals_are_refused() {
    let world = World::new(5);
    let votes = [Vote::Says(says("3")), Vote::Says(says("3")), Vote::Idle];
    assert_refused!(agreed(&world, &request(5, 3), &votes), CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
    let parts = agreed(&world, &request(5, 3), &[Vote::Idle]);
    assert_refused!(parts, CertificateError::Agreement { reason, .. } if reason.contains("no quorum"));
}

#[test]
fn the_agreement_names_everybody_that_the_tally_counted() {
    let world = World::new(5);
    let votes = [Vote::Says(says("4")), Vote::Silent(says("3")), Vote::Says(says("3"))];
    let with = |edit: fn(&mut wire::compute::Agreement)| {
        let mut parts = agreed(&world, &request(5, 3), &votes);
        let mut body = parts.agreement.body.clone();
        edit(&mut body);
        parts.agreement = world.relay.sign(body);
        refused(parts)
    };
    let edits: [(Edit<wire::compute::Agreement>, &str); 9] = [
        (|said| said.dissenting.clear(), "other dissents"),
        (|said| said.dissenting.push(StatementHash([255; 32])), "other dissents"),
        (|said| said.silent.clear(), "other silent"),
        (|said| said.silent.push(wire::NodeId([255; 32])), "other silent"),
        (|said| said.agreeing.truncate(2), "other agreeing"),
        (|said| said.agreeing.extend(said.agreeing.clone()), "other agreeing"),
        (|said| said.agreeing.reverse(), "other agreeing"),
        (|said| said.tally = StatementHash([1; 32]), "another tally"),
        (|said| said.attempt = Attempt(1), "another attempt"),
    ];
    for (edit, expected) in edits {
        let error = with(edit);
        assert!(
            matches!(error, CertificateError::Agreement { reason, .. } if reason.contains(expected)),
            "{error:?}"
        );
    }
    let mut parts = agreed(&world, &request(5, 3), &votes);
    let mut body = parts.agreement.body.clone();
    body.request.0[0] ^= 1;
    parts.agreement = world.relay.sign(body);
    assert_refused!(parts, CertificateError::Mismatch("agreement: is about another request"));
}

/// The relay did not like what was agreed on and drew again.
#[test]
fn an_earlier_attempt_that_agreed_cannot_be_passed_over() {
    let world = World::new(5);
    let mut run = Run::new(&world, &request(5, 3), 3, 2);
    let opener = run.received.hash();
    let mut first = run.attempt(Attempt(0), opener, &all_say("3"));
    let opener = widen(&world, &run.request, &mut first);
    let second = run.attempt(Attempt(1), opener, &[Vote::Says(says("666"))]);
    let attempts = vec![first, second];
    let parts = run.parts(Round(2), attempts.clone(), &says("666"));
    assert_refused!(parts, CertificateError::Agreement { attempt: Attempt(0), reason } if reason.contains("drew again"));
    // Nor can the second draw be shown behind a first one that is another's.
    let mut parts = run.parts(Round(2), attempts, &says("666"));
    for worker in &mut parts.attempts[0].workers {
        (worker.commit, worker.reveal) = (None, None);
    }
    assert_refused!(parts.clone(), CertificateError::Agreement { attempt: Attempt(0), .. });
    let empty = tally(&world, &parts.request, Attempt(0), Round(4), &parts.attempts[0].workers);
    parts.attempts[0].tally = empty;
    widen(&world, &parts.request.clone(), &mut parts.attempts[0]);
    assert_refused!(
        parts,
        CertificateError::Draw { attempt: Attempt(1), source: DrawError::Proof { .. } }
    );
}

#[test]
fn the_code_is_the_one_that_ran() {
    let world = World::new(3);
    let mut parts = agreed(&world, &request(3, 2), &all_say("3"));
    parts.code = Some("mainFunction = () => 666;".to_owned());
    assert_refused!(parts, CertificateError::Code { .. });
    let pinned = Request { code: Some(CodeHash([1; 32])), ..request(3, 2) };
    let parts = agreed(&world, &pinned, &all_say("3"));
    assert_refused!(parts, CertificateError::Mismatch(reason) if reason.contains("pinned"));
    // No code ran, and yet one is shown.
    let fault = Execution { code: None, ..faults("no_code") };
    let mut run = Run::new(&world, &request(3, 2), 3, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(fault.clone())]);
    let mut parts = run.parts(Round(2), vec![attempt], &fault);
    parts.code = Some(SCRIPT.to_owned());
    assert_refused!(parts, CertificateError::Code { .. });
}

/// A value without any script would get around a pinned hash.
#[test]
fn a_value_without_a_script_is_refused() {
    let world = World::new(3);
    let pinned = Request { code: Some(CodeHash([1; 32])), ..request(3, 2) };
    let execution = Execution { code: None, ..says("666") };
    let mut run = Run::new(&world, &pinned, 3, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(execution.clone())]);
    let parts = run.parts(Round(2), vec![attempt], &execution);
    assert_refused!(parts, CertificateError::Mismatch(reason) if reason.starts_with("code: "));
}
