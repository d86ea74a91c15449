//! Tests of registration: the rules of the form, and the reference's faults that are not repeated.

use proptest::prelude::*;

use super::*;
use crate::swift::samples::time;

const AROUND: Circumstances<'static> = Circumstances {
    host: "127.0.0.4:47181",
    now: SwiftTime::ZERO,
    is_known: false,
    writable: &["Local Storage"],
    fresh_secret: &[1; 32],
    fresh_scrambler: &[2; 32],
};

fn around() -> Circumstances<'static> {
    Circumstances { now: time("2026-11-21T06:26:46.5Z"), ..AROUND }
}

fn form<'a>(pairs: &[(&'a str, &'a str)]) -> Form<'a> {
    Form::from_pairs([("network", "testnet")].into_iter().chain(pairs.iter().copied()))
}

fn node(pairs: &[(&str, &str)]) -> SwiftNode {
    register(&form(pairs), &around()).expect("a good form").node
}

fn faults(form: Form<'_>, around: Circumstances<'_>) -> Vec<String> {
    register(&form, &around).expect_err("refused").iter().map(FormError::to_string).collect()
}

fn fault(pairs: &[(&str, &str)]) -> String {
    faults(form(pairs), around()).join("; ")
}

#[test]
fn defaults_are_those_of_the_reference() {
    let node = node(&[]);
    assert_eq!(node.domain.as_str(), "127.0.0.4:47181");
    assert_eq!(node.cookie_domain, "127.0.0.4:47181");
    assert_eq!(node.role, SwiftRole::Storage);
    assert_eq!(node.created, time("2026-11-21T06:26:46.5Z"));
    assert_eq!(node.starts, time("2026-11-22T06:26:46.5Z"));
    assert_eq!(node.expires, time("2027-02-21T06:26:46.5Z"));
    assert!(node.secrets.is_empty() && node.scrambler.is_none());
}

#[test]
fn a_form_says_everything_else() {
    let node = node(&[
        ("role", "2"),
        ("expires", "2029-12-31"),
        ("starts", "2027-01-01T10:30"),
        ("secret", "true"),
        ("scramble", "yes"),
        ("cookieDomain", "test"),
        ("network", "a second value"),
    ]);
    assert_eq!((node.network.as_str(), node.role), ("testnet", SwiftRole::Share));
    assert_eq!(node.expires, time("2029-12-31T00:00:00Z"));
    assert_eq!(node.starts, time("2027-01-01T10:30:00Z"));
    assert_eq!(node.first_secret().map(|secret| &secret.key), Some(&SecretKey::new(&[1; 32])));
    assert_eq!(node.scrambler, Some(SecretKey::new(&[2; 32])));
    assert_eq!(node.cookie_domain, "test");
}

#[test]
fn the_words_of_the_reference_name_the_faults() {
    let network = |text| faults(Form { network: text, ..Form::default() }, around());
    assert_eq!(network(None), ["network: Network must be longer than 3 characters"]);
    assert_eq!(network(Some("abc")), ["network: Network must be longer than 3 characters"]);
    let long = "a".repeat(21);
    assert_eq!(network(Some(&long)), ["network: Network can not be longer than 20 characters"]);
    assert_eq!(fault(&[("role", "3")]), "role: Role '3' invalid");
    assert_eq!(fault(&[("role", "x")]), "role: strconv.Atoi: parsing \"x\": invalid syntax");
    assert_eq!(fault(&[("expires", "2020-01-01")]), "expires: Expiry date must be in the future");
    assert_eq!(
        fault(&[("store", "nope")]),
        "store: no writable stores by the name of 'nope' found"
    );
}

#[test]
fn a_bad_start_stops_the_registration() {
    assert!(fault(&[("starts", "tomorrow")]).starts_with("starts: expected"));
    assert_eq!(fault(&[("starts", "2026-02-30T00:00")]), "starts: day out of range");
}

#[test]
fn a_ticked_check_box_is_a_yes() {
    let node = node(&[("secret", "on"), ("scramble", "on")]);
    assert!(node.first_secret().is_some() && node.scrambler.is_some());
    assert!(fault(&[("secret", "maybe")]).starts_with("secret: expected"));
}

#[test]
fn a_known_domain_is_refused_not_replaced() {
    let known = Circumstances { is_known: true, ..around() };
    let expected = "domain: Node '127.0.0.4:47181' is already registered";
    assert_eq!(faults(form(&[]), known), [expected]);
}

#[test]
fn a_hostile_host_or_cookie_domain_is_refused() {
    for host in ["", "a b", "a.test/x", "user@a.test", "a:0"] {
        let errors =
            faults(form(&[("cookieDomain", "a.test")]), Circumstances { host, ..around() });
        assert!(errors.len() == 1 && errors[0].starts_with("domain: "), "{errors:?}");
    }
    assert!(fault(&[("cookieDomain", "a; Path=/")]).starts_with("cookieDomain: "));
    let network = Form { network: Some("net\r\n1"), ..Form::default() };
    assert!(faults(network, around())[0].starts_with("network: control characters"));
}

#[test]
fn a_node_that_expires_before_it_starts_is_refused() {
    let period = "starts: Start date must be before the expiry date";
    assert_eq!(fault(&[("expires", "2026-11-22")]), period);
    assert_eq!(fault(&[("expires", "2027-01-01"), ("starts", "2027-01-01T00:00")]), period);
    assert_eq!(
        node(&[("expires", "2026-11-22"), ("starts", "2026-11-21T07:00")]).network,
        "testnet"
    );
}

#[test]
fn all_faults_are_named_at_once() {
    let errors = faults(
        Form { role: Some("9"), starts: Some("x"), ..Form::default() },
        Circumstances { host: "", writable: &[], ..around() },
    );
    let fields: Vec<&str> = errors.iter().filter_map(|error| error.split(':').next()).collect();
    assert_eq!(fields, ["domain", "network", "role", "starts", "store"]);
}

proptest! {
    #[test]
    fn no_form_panics_and_no_faulty_form_makes_a_record(
        values in prop::collection::vec(prop::option::of(".{0,24}"), 8),
        host in ".{0,12}",
    ) {
        let value = |index: usize| values[index].as_deref();
        let form = Form {
            network: value(0), role: value(1), expires: value(2), starts: value(3),
            secret: value(4), scramble: value(5), cookie_domain: value(6), store: value(7),
        };
        match register(&form, &Circumstances { host: &host, ..around() }) {
            Ok(made) => prop_assert!(made.node.starts < made.node.expires),
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
