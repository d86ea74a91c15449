//! Tests of the reader: each fault of the reference, each limit, and bytes of any kind.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::swift::{
    samples,
    writing::{self, Secrets},
};

fn object(domain: &str) -> Value {
    let text = writing::write_list(&[&samples::node(domain)], Secrets::All);
    serde_json::from_str::<Vec<Value>>(&text).expect("JSON").remove(0)
}

fn list(value: &Value) -> NodeList {
    read_list(value.to_string().as_bytes()).expect("a list")
}

/// The reason why the only bad element is refused, as it is logged.
fn refusal(element: Value) -> String {
    let list = list(&json!([object("a.test"), element, object("b.test")]));
    let domains: Vec<&str> = list.nodes.iter().map(|node| node.domain.as_str()).collect();
    assert_eq!((domains, list.refused), (vec!["a.test", "b.test"], 1));
    list.refusals[0].to_string()
}

fn with(field: &str, value: Value) -> Value {
    let mut object = object("x.test");
    object[field] = value;
    object
}

#[test]
fn a_list_of_an_empty_object_is_refused_not_a_panic() {
    let list = list(&json!([{}]));
    assert_eq!((list.nodes.len(), list.refused), (0, 1));
    assert_eq!(list.refusals[0].to_string(), "node 0: domain: missing");
}

#[test]
fn a_missing_field_is_refused_not_a_panic() {
    for field in [
        "network",
        "domain",
        "created",
        "starts",
        "expires",
        "role",
        "secrets",
        "scrambler",
        "cookieDomain",
    ] {
        let mut element = object("x.test");
        element.as_object_mut().expect("an object").remove(field);
        let reason = refusal(element);
        assert!(reason.ends_with(&format!("{field}: missing")), "{reason}");
        for wrong in [Value::Null, json!(true), json!({})] {
            let reason = refusal(with(field, wrong));
            assert!(reason.contains(&format!("{field}: expected")), "{reason}");
        }
    }
}

#[test]
fn an_element_that_is_no_object_costs_only_itself() {
    for element in [Value::Null, json!(1), json!("x"), json!([])] {
        assert_eq!(refusal(element), "node 1: expected an object");
    }
}

#[test]
fn a_bad_secret_costs_only_its_node() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let time = "2026-01-01T00:00:00Z";
    for (secret, reason) in [
        (Value::Null, "secrets: expected objects"),
        (json!({ "timeStamp": time }), "key: missing"),
        (json!({ "key": key }), "timeStamp: missing"),
        (json!({ "key": null, "timeStamp": time }), "key: expected a string"),
        (json!({ "key": "AAAA", "timeStamp": time }), "key: crypto/aes: invalid key size 3"),
        (
            json!({ "key": format!("{key}="), "timeStamp": time }),
            "key: illegal base64 data at input byte 43",
        ),
        (
            json!({ "key": key, "timeStamp": "today" }),
            "timeStamp: expected YYYY-MM-DDThh:mm:ss[.fraction] and Z or an offset",
        ),
    ] {
        assert_eq!(
            refusal(with("secrets", json!([secret]))),
            format!("node 1 (\"x.test\"): {reason}")
        );
    }
}

#[test]
fn a_bad_scrambler_is_refused_not_a_nil_dereference() {
    assert!(refusal(with("scrambler", json!("x"))).contains("scrambler: illegal base64"));
}

#[test]
fn roles_are_cut_to_whole_numbers() {
    for (number, role) in [
        (json!(1.9), SwiftRole::Storage),
        (json!(-0.5), SwiftRole::Access),
        (json!(2), SwiftRole::Share),
        (json!(9), SwiftRole::Other(9)),
        (json!(-1), SwiftRole::Other(-1)),
    ] {
        assert_eq!(list(&json!([with("role", number)])).nodes[0].role, role);
    }
    assert!(refusal(with("role", json!(1e300))).contains("role: no role has the number"));
}

#[test]
fn hostile_domains_are_refused() {
    for domain in ["", "a.test/..", "user@a.test", "a.test\r\nX: y", "a test", "a:99999"] {
        assert!(
            refusal(with("domain", json!(domain))).contains("domain: expected host"),
            "{domain}"
        );
    }
}

#[test]
fn texts_and_elements_have_limits() {
    assert!(refusal(with("network", json!("n".repeat(300)))).contains("network: at most"));
    assert!(refusal(with("created", json!("2".repeat(36)))).contains("created: at most 35"));
    let secrets = vec![object("a.test")["secrets"][0].clone(); MAX_SECRETS + 1];
    assert!(refusal(with("secrets", json!(secrets))).contains("secrets: at most 16, got 17"));
    assert!(
        refusal(with("extra", json!("x".repeat(MAX_NODE_BYTES)))).contains("at most 8192 bytes")
    );
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    assert!(refusal(with("extra", deep)).contains("recursion limit"));
}

#[test]
fn an_unknown_field_is_ignored() {
    assert_eq!(list(&json!([with("extra", json!([1, { "a": null }]))])).nodes.len(), 1);
}

#[test]
fn lists_have_limits_on_count_and_bytes() {
    let full = format!("[{}]", vec!["1"; MAX_NODES].join(","));
    let list = read_list(full.as_bytes()).expect("not too many");
    assert_eq!((list.refused, list.refusals.len()), (MAX_NODES, MAX_REFUSALS));
    let more = format!("[{}]", vec!["1"; MAX_NODES + 1].join(","));
    assert_eq!(read_list(more.as_bytes()), Err(ListError::TooMany));
    let long = " ".repeat(MAX_LIST_BYTES + 1);
    assert_eq!(read_list(long.as_bytes()), Err(ListError::TooLong(MAX_LIST_BYTES + 1)));
}

#[test]
fn a_store_file_files_each_node_under_its_domain() {
    let file = json!({ "a.test": object("a.test"), "b.test": object("c.test"), "d.test": 1 });
    let list = read_store_file(file.to_string().as_bytes()).expect("a file");
    assert_eq!(list.nodes.len(), 1);
    let reasons: Vec<String> = list.refusals.iter().map(Refusal::to_string).collect();
    let reason = "node 1 (\"c.test\"): domain: filed under \"b.test\"";
    assert_eq!(reasons, [reason, "node 2 (\"d.test\"): expected an object"]);
    assert_eq!(read_store_file(b""), Ok(NodeList::default()));
    assert!(read_store_file(b"[]").is_err() && read_store_file(b"{").is_err());
    assert!(read_list(b"{}").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("2026-01-02T03:04:05Z")),
    ];
    let field = prop_oneof![
        Just("domain".to_owned()),
        Just("secrets".to_owned()),
        Just("role".to_owned()),
        Just("created".to_owned()),
        Just("key".to_owned()),
        ".{0,5}",
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(field.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_list(&bytes);
        let _ = read_store_file(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<SwiftTime>();
    }

    #[test]
    fn arbitrary_json_never_panics_and_counts_each_element(values in prop::collection::vec(any_json(), 0..6)) {
        let list = list(&Value::from(values.clone()));
        prop_assert_eq!(list.nodes.len() + list.refused, values.len());
    }

    #[test]
    fn one_changed_field_never_costs_the_others(
        field in prop::sample::select(vec!["network", "domain", "created", "starts", "role", "secrets", "scrambler"]),
        value in any_json(),
    ) {
        let list = list(&json!([object("a.test"), with(field, value), object("b.test")]));
        prop_assert!(list.nodes.len() >= 2);
    }
}
