//! Honest runs: accepted, read back, and their words are true.

use super::*;

#[test]
fn honest_runs_are_accepted_and_read_back() {
    let world = World::new(5);
    let (says_3, says_4) = (Vote::Says(says("3")), Vote::Says(says("4")));
    let silent = Vote::Silent(says("3"));
    let runs: [&[Vote]; 5] = [
        std::slice::from_ref(&says_3),
        &[says_3.clone(), says_4, says_3.clone()],
        &[silent.clone(), says_3.clone()],
        &[silent, Vote::Idle, says_3.clone()],
        &[Vote::Idle, Vote::Idle, says_3.clone()],
    ];
    for votes in runs {
        let certificate = accepted(agreed(&world, &request(5, 3), votes));
        assert_eq!(certificate.execution(), &says("3"), "{votes:?}");
        assert_eq!(certificate.network(), world.network);
    }
}

#[test]
fn a_fault_can_be_agreed_on() {
    let world = World::new(3);
    let fault = faults("threw");
    let mut run = Run::new(&world, &request(3, 2), 2, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(fault.clone())]);
    let certificate = accepted(run.parts(Round(1), vec![attempt], &fault));
    assert!(certificate.checks().iter().any(|line| line.contains("the fault \"threw\"")));
}

#[test]
fn a_script_that_could_not_be_had_is_a_fault_without_code() {
    let world = World::new(3);
    let fault = Execution { code: None, ..faults("no_code") };
    let pinned = Request { code: Some(CodeHash([1; 32])), ..request(3, 2) };
    let mut run = Run::new(&world, &pinned, 2, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(fault.clone())]);
    accepted(run.parts(Round(1), vec![attempt], &fault));
}

#[test]
fn the_request_may_be_the_first_entry_of_the_log() {
    let world = World::new(1);
    let mut run = Run::new(&world, &request(1, 1), 1, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &all_say("3"));
    assert_eq!(attempt.opening.opener_proof.index, 0);
    accepted(run.parts(Round(1), vec![attempt], &says("3")));
}

#[test]
fn earlier_attempts_and_a_long_chain_are_accepted() {
    let world = World::new(5);
    let (run, attempts) = three_attempts(&world);
    let from_genesis = accepted(run.parts(Round(1), attempts.clone(), &says("3")));
    let chain = &from_genesis.checks()[2];
    assert!(chain.contains("10 VRF link(s) from the genesis, up to round 10"), "{chain}");
    let later = accepted(run.parts(Round(4), attempts.clone(), &says("3")));
    let chain = &later.checks()[2];
    assert!(chain.contains("6 VRF link(s) from round 4, which the beacon signed"), "{chain}");
    assert!(!chain.contains("gap"), "{chain}");
    // Only the rounds that decide, and those before them: the words do not hide the gap.
    let mut sparse = run.parts(Round(1), attempts, &says("3"));
    sparse.rounds.retain(|round| ![2, 3, 6].contains(&round.body.round.0));
    let sparse = accepted(sparse);
    let chain = &sparse.checks()[2];
    assert!(chain.contains("2 gap(s)"), "{chain}");
}

#[test]
fn workers_that_were_not_drawn_do_not_stand_in_it() {
    let world = World::new(12);
    let request = world.request_drawn(&request(3, 2), Round(4), |drawn| drawn.len() == 4);
    let certificate = accepted(agreed(&world, &request, &all_say("3")));
    assert!(
        certificate.checks()[3].contains("4 of 12 workers drawn"),
        "{:?}",
        certificate.checks()
    );
}

#[test]
fn it_says_what_was_checked() {
    let world = World::new(3);
    let pinned = Request { code: Some(CodeHash::of(SCRIPT.as_bytes())), ..request(3, 2) };
    let votes = [Vote::Says(says("3")), Vote::Silent(says("3")), Vote::Says(says("3"))];
    let mut parts = agreed(&world, &pinned, &votes);
    parts.code = Some(SCRIPT.to_owned());
    let (network, id) = (world.network, pinned.id());
    let code = CodeHash::of(SCRIPT.as_bytes());
    let expected = [
        format!("network \"test\" ({network}): 1 operator key(s) vouch for beacon \"beacon\", relay \"relay\" and every worker below"),
        format!("request {id}: expected committee 3, quorum 2; received and logged by \"relay\" before the first draw"),
        "seed chain: 2 VRF link(s) from round 2, which the beacon signed, up to round 4".to_owned(),
        "draw 0 in round 4: 3 of 3 workers drawn, each with its VRF proof below the threshold, on the roster before the seed was known".to_owned(),
        "agreement: 2 signed reveal(s), each opening a commitment made before any was shown, say the result 3 (quorum 2); 0 dissent(s), 1 silent".to_owned(),
        format!("code: every agreeing worker ran {code}, which the request pinned; the script shown has this hash; engine v8/14.4"),
    ];
    assert_eq!(accepted(parts).checks(), expected);
}

#[test]
fn a_reader_names_the_network_that_it_trusts() {
    // Anybody can make a network of their own, with every key in their hand.
    let (world, other) = (World::new(3), World::with("other", 3, |_| {}));
    let certificate =
        accepted(agreed(&other, &request(3, 2), &all_say("4").map(|_| Vote::Says(says("3")))));
    assert!(certificate.expect_network(&other.network).is_ok());
    let error = certificate.expect_network(&world.network).expect_err("another one");
    assert!(matches!(error, CertificateError::Network { .. }), "{error}");
}

#[test]
fn deep_values_read_back() {
    // As deep as canonical JSON goes, in the parameters, in the result and in a minority's dissent.
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(126), close.repeat(126));
    let world = World::new(5);
    let arrays = deep("[", "]");
    let request =
        Request { params: CanonicalJson::from_text(&arrays).expect("JSON"), ..request(5, 3) };
    let dissent = Vote::Says(says(&arrays));
    let votes = [dissent, Vote::Says(says("3"))];
    accepted(agreed(&world, &request, &votes));
    let mut run = Run::new(&world, &request, 3, 2);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(says(&arrays))]);
    accepted(run.parts(Round(2), vec![attempt], &says(&arrays)));
}

#[test]
fn a_minority_cannot_blow_up_the_rendering() {
    // Elements at a great depth: pretty-printed, each takes a line of its own behind its indentation.
    let elements = vec!["1"; 30_000].join(",");
    let wide = format!("{}{elements}{}", "[".repeat(110), "]".repeat(110));
    let world = World::new(9);
    let (liar, honest) = (Vote::Says(says(&wide)), Vote::Says(says("3")));
    let votes = [liar.clone(), liar.clone(), liar.clone(), liar, honest];
    let certificate = accepted(agreed(&world, &request(9, 5), &votes));
    assert!(certificate.json().len() < MAX_CERTIFICATE_BYTES / 32, "{}", certificate.json().len());
}

#[test]
fn none_is_made_that_is_too_long_to_be_read() {
    let elements = vec!["1"; 30_000].join(",");
    let wide = format!("{}{elements}{}", "[".repeat(110), "]".repeat(110));
    let world = World::new(3);
    let request =
        Request { params: CanonicalJson::from_text(&wide).expect("JSON"), ..request(3, 2) };
    // Parameters and result together are within the limit, more than that is refused at once.
    let mut run = Run::new(&world, &request, 3, 2);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(says(&wide))]);
    accepted(run.parts(Round(2), vec![attempt], &says(&wide)));
    let code = "x".repeat(MAX_CERTIFICATE_BYTES);
    let execution = Execution { code: Some(CodeHash::of(code.as_bytes())), ..says("3") };
    let mut run = Run::new(&world, &self::request(3, 2), 3, 2);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &[Vote::Says(execution.clone())]);
    let mut parts = run.parts(Round(2), vec![attempt], &execution);
    parts.code = Some(code);
    assert_refused!(parts, CertificateError::Format(FormatError::TooLong(_)));
}

#[test]
fn what_real_machines_agree_on_is_accepted() {
    let mut stage = network::stage::Stage::new(5, 1);
    stage.submit(0);
    stage.submit(1);
    for _ in 0..12 {
        stage.open_round();
        stage.deliver_all();
        stage.pass(600);
        stage.deliver_all();
    }
    let certificates: Vec<Parts> = stage.certificates();
    assert_eq!(certificates.len(), 2, "both requests agree");
    for parts in certificates {
        accepted(parts);
    }
}
