//! Attacks with nodes that are not what they should be, and with other networks.

use super::*;

#[test]
fn a_node_that_no_operator_admitted_is_refused() {
    let world = World::new(5);
    let stranger = OperatorKey::from_secret([66; 32]);
    let by_stranger =
        |node: &Node| Signed::sign(world.network, &stranger, node.admission.body.clone());
    let refused_for = |parts: Parts, name: &str| {
        assert_refused!(parts, CertificateError::Admission { name: got, source: NetworkError::NotOperator(_) } if got == name);
    };
    let parts = honest(&world);
    refused_for(Parts { beacon: by_stranger(&world.beacon), ..parts.clone() }, "beacon");
    refused_for(Parts { relay: by_stranger(&world.relay), ..parts.clone() }, "relay");
    let mut by_nobody = parts;
    let name = world.workers[0].admission.body.name.clone();
    by_nobody.attempts[0].workers[0].admission = by_stranger(&world.workers[0]);
    refused_for(by_nobody, &name);
}

#[test]
fn an_admission_with_a_bad_field_is_refused() {
    for (edit, expected) in [
        ((|body| body.name = "Relay One".to_owned()) as fn(&mut wire::network::Admission), "name"),
        (|body| body.domain = "nowhere".to_owned(), "domain"),
        (|body| body.expires = body.starts, "expires"),
        (|body| body.roles = wire::network::Roles::default(), "roles"),
    ] {
        let world = World::with("test", 3, |body| {
            if body.name == "relay" {
                edit(body);
            }
        });
        let parts = agreed(&world, &request(3, 2), &all_say("3"));
        assert_refused!(parts, CertificateError::Admission { source, .. } if source.to_string().starts_with(expected));
    }
}

#[test]
fn a_node_outside_its_period_is_refused() {
    for name in ["beacon", "relay", "worker-0"] {
        // The draw is decided by round 4; its roster was fixed by round 3.
        let in_force = |starts: Millis, expires: Millis| {
            let world = World::with("test", 3, |body| {
                if body.name == name {
                    (body.starts, body.expires) = (starts, expires);
                }
            });
            agreed(&world, &request(3, 2), &all_say("3"))
        };
        let at = |round: u64| CREATED.plus(round * PERIOD_MS);
        accepted(in_force(at(0), at(5)));
        for (starts, expires) in [(at(0), at(3)), (at(5), at(9))] {
            assert_refused!(in_force(starts, expires), CertificateError::NotCurrent { name: got, .. } if got == name);
        }
    }
}

#[test]
fn a_node_without_its_role_is_refused() {
    for (name, role) in
        [("beacon", Role::Beacon), ("relay", Role::Relay), ("worker-0", Role::Worker)]
    {
        let world = World::with("test", 3, |body| {
            if body.name == name {
                body.roles = Role::ALL.into_iter().filter(|other| *other != role).collect();
            }
        });
        let parts = agreed(&world, &request(3, 2), &all_say("3"));
        assert_refused!(parts, CertificateError::Role { name: got, role: got_role } if got == name && *got_role == role);
    }
}

#[test]
fn nodes_in_each_others_places_are_refused() {
    let world = World::new(5);
    let parts = honest(&world);
    let other = world.admit(admission(&NodeKey::from_secret([3; 32]), "other", Role::Relay));
    assert_refused!(
        Parts { relay: other, ..parts.clone() },
        CertificateError::Mismatch("received: is not signed by the relay")
    );
    let received = world.workers[0].sign(parts.received.body.clone());
    assert_refused!(
        Parts { received, ..parts.clone() },
        CertificateError::Mismatch("received: is not signed by the relay")
    );
    let agreement = world.workers[0].sign(parts.agreement.body.clone());
    assert_refused!(
        Parts { agreement, ..parts.clone() },
        CertificateError::Mismatch("agreement: is not signed by the relay")
    );
    let mut other_tally = parts.clone();
    other_tally.attempts[0].tally = world.workers[0].sign(parts.attempts[0].tally.body.clone());
    agree_again(&world, &mut other_tally);
    assert_refused!(
        other_tally,
        CertificateError::Agreement { reason: "the tally is another one's", .. }
    );
    let other = world.admit(admission(&NodeKey::from_secret([3; 32]), "other", Role::Beacon));
    assert_refused!(
        Parts { beacon: other, ..parts },
        CertificateError::Chain(DrawError::NotBeacon(_))
    );
}

/// The same keys in two networks: nothing said in one counts in the other.
#[test]
fn statements_of_another_network_are_refused() {
    let (world, other) = (World::new(3), World::with("other", 3, |_| {}));
    let (parts, theirs) = (
        agreed(&world, &request(3, 2), &all_say("3")),
        agreed(&other, &request(3, 2), &all_say("3")),
    );
    let swapped: [fn(&mut Parts, &Parts); 11] = [
        |parts, theirs| parts.beacon = theirs.beacon.clone(),
        |parts, theirs| parts.relay = theirs.relay.clone(),
        |parts, theirs| parts.received = theirs.received.clone(),
        |parts, theirs| parts.rounds[0] = theirs.rounds[0].clone(),
        |parts, theirs| parts.agreement = theirs.agreement.clone(),
        |parts, theirs| parts.attempts[0].tally = theirs.attempts[0].tally.clone(),
        |parts, theirs| {
            parts.attempts[0].workers[0].admission = theirs.attempts[0].workers[0].admission.clone()
        },
        |parts, theirs| {
            parts.attempts[0].workers[0].draw = theirs.attempts[0].workers[0].draw.clone()
        },
        |parts, theirs| {
            parts.attempts[0].workers[0].commit = theirs.attempts[0].workers[0].commit.clone()
        },
        |parts, theirs| {
            parts.attempts[0].workers[0].reveal = theirs.attempts[0].workers[0].reveal.clone()
        },
        |parts, theirs| parts.genesis = theirs.genesis.clone(),
    ];
    for (number, swap) in swapped.into_iter().enumerate() {
        let mut mixed = parts.clone();
        swap(&mut mixed, &theirs);
        let error = Certificate::from_json(&mixed.to_json()).expect_err("mixed");
        let expected = matches!(
            error,
            CertificateError::Format(FormatError::Statement {
                source: StatementError::Network { .. },
                ..
            })
        );
        assert!(expected, "{number}: {error:?}");
        assert!(Certificate::new(mixed).is_err(), "{number}: made of two networks");
    }
}
