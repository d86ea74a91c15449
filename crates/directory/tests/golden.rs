//! Everything that was recorded of the Go reference and is this crate's business, in both directions.

use std::{collections::BTreeMap, sync::Arc};

use directory::swift::{
    NodeFields, Secret, SecretKey, SwiftNode, SwiftRole, SwiftTime, challenge, envelope, home,
    json,
    merge::{Manager, Origin, StoreContents},
    registration::{Circumstances, Form, register},
    writing::{Secrets, write_list, write_store_file},
};
use serde_json::Value;
use wire::Millis;

const MOST: usize = 1 << 20;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/directory.json")).expect("JSON")
}

fn cases(value: &Value) -> &Vec<Value> {
    value.as_array().expect("cases")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hex")
}

fn secret(value: &Value) -> Secret {
    Secret { time_stamp: SwiftTime::ZERO, key: SecretKey::parse(text(value)).expect("a key") }
}

fn node(domain: &str) -> NodeFields {
    NodeFields {
        network: "net1".to_owned(),
        domain: domain.parse().expect("a domain"),
        created: SwiftTime::ZERO,
        starts: SwiftTime::ZERO,
        expires: SwiftTime::ZERO,
        role: SwiftRole::Storage,
        secrets: Vec::new(),
        scrambler: None,
        cookie_domain: String::new(),
    }
}

fn refs(nodes: &[SwiftNode]) -> Vec<&SwiftNode> {
    nodes.iter().collect()
}

#[test]
fn envelopes_of_go_open_and_ours_open_again() {
    for case in cases(&vectors()["encode"]) {
        let plain = match case["plain_hex"].as_str() {
            Some(plain) => hex::decode(plain).expect("hex"),
            None => b"0123456789abcdef".repeat(4_375),
        };
        let secrets = [secret(&case["secret"])];
        let opened = envelope::decode(&secrets, &bytes(&case["wire_hex"]), MOST).expect("opens");
        assert_eq!(opened.as_slice(), plain, "{}", case["id"]);
        let iv = bytes(&case["iv_hex"]).try_into().expect("12 bytes");
        for key in [None, Some(&secrets[0].key)] {
            let secrets = if key.is_some() { &secrets[..] } else { &[] };
            let again = envelope::decode(secrets, &envelope::encode(key, iv, &plain), MOST);
            assert_eq!(again.expect("opens").as_slice(), plain, "{}", case["id"]);
        }
    }
}

#[test]
fn broken_envelopes_are_refused_in_the_words_of_go() {
    for case in cases(&vectors()["decode"]) {
        let secrets: Vec<Secret> = cases(&case["secrets"]).iter().map(secret).collect();
        let opened = envelope::decode(&secrets, &bytes(&case["wire_hex"]), MOST);
        // The one departure: Go tries its first secret only, so that secrets cannot rotate.
        if case["id"] == "two-secrets-encrypted-with-second" {
            assert_eq!(opened.expect("opens").as_slice(), b"hello");
            continue;
        }
        match (opened, case["result"]["error"].as_str()) {
            (Ok(plain), None) => {
                assert_eq!(plain.as_slice(), bytes(&case["result"]["ok"]["plain_hex"]));
            }
            (Err(error), Some(expected)) => assert_eq!(error.to_string(), expected),
            (opened, expected) => panic!("{}: {opened:?}, Go {expected:?}", case["id"]),
        }
    }
}

#[test]
fn keys_are_read_as_go_reads_them() {
    for case in cases(&vectors()["secret_parse"]) {
        let read = SecretKey::parse(text(&case["key"])).map_err(|error| error.to_string());
        let expected = case["result"]["error"].as_str();
        assert_eq!(read.err().as_deref(), expected, "{}", case["key"]);
    }
}

#[test]
fn dates_are_read_as_go_reads_them() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("vectors/go_dates.json")).expect("JSON");
    for case in &cases {
        let date = text(&case["text"]);
        let read = date.parse::<SwiftTime>().ok().map(|time| time.to_string());
        // Go cuts a fraction of more than nine digits since 1.18; older Go and we refuse it.
        let expected = if date.contains(".1234567890") { None } else { case["utc"].as_str() };
        assert_eq!(read.as_deref(), expected, "{date}");
    }
}

#[test]
fn lists_and_store_files_of_go_are_written_back_to_the_same_bytes() {
    let vectors = vectors();
    let compact = text(&vectors["nodes_json_compact"]);
    let list = json::read_list(compact.as_bytes()).expect("a list");
    assert_eq!((list.nodes.len(), list.refused), (5, 0));
    assert_eq!(write_list(&refs(&list.nodes), Secrets::All).as_str(), compact);
    let file = text(&vectors["nodes_local_file"]);
    let list = json::read_store_file(file.as_bytes()).expect("a file");
    assert_eq!((list.nodes.len(), list.refused), (5, 0));
    assert_eq!(write_store_file(&refs(&list.nodes), Secrets::All).as_str(), file);
}

#[test]
fn a_share_answer_of_go_is_read() {
    let vectors = vectors();
    let case = &vectors["share_response_fixed"];
    let wire = bytes(&case["wire_hex"]);
    let plain = envelope::decode(&[secret(&case["secret"])], &wire, MOST).expect("opens");
    assert_eq!(plain.as_slice(), text(&case["json"]).as_bytes());
    let latest = "2026-01-03T00:00:00Z".parse().expect("a date");
    let list = json::read_answer(&plain, latest).expect("a list");
    for (node, parsed) in list.nodes.iter().zip(cases(&case["parsed"])) {
        let (domain, role, created) = (&node.domain, node.role.number(), node.created);
        let got = format!("{domain} role={role} secrets=1 created={created}");
        assert_eq!(
            got.replace("nosecret.test role=1 secrets=1", "nosecret.test role=1 secrets=0"),
            text(parsed)
        );
    }
    assert_eq!(list.nodes.len(), 5);
    for case in cases(&vectors["share_captured_go_client"]) {
        let wire = bytes(&case["response_body_hex"]);
        let plain = envelope::decode(&[secret(&case["secret"])], &wire, MOST).expect("opens");
        assert_eq!(plain.as_slice(), text(&case["json"]).as_bytes());
        let list = json::read_list(&plain).expect("a list");
        assert!(list.refused == 0 && !list.nodes.is_empty());
    }
}

#[test]
fn records_that_go_panics_at_are_refused_and_those_it_reads_are_read() {
    for case in cases(&vectors()["node_json_decode"]) {
        let list =
            json::read_list(format!("[{}]", text(&case["json"])).as_bytes()).expect("a list");
        let is_good = case["result"]["ok"].is_object();
        let id = text(&case["id"]);
        // Go takes an empty domain when there is no scrambler; nobody could ever ask such a node.
        if id == "empty-domain-no-scrambler" {
            assert_eq!(
                list.refusals[0].to_string(),
                "node 0: domain: expected host or host:port, got \"\""
                    .replace("node 0:", "node 0 (\"\"):")
            );
            continue;
        }
        assert_eq!(list.nodes.len() == 1, is_good, "{id}: {:?}", list.refusals);
        if !is_good {
            continue;
        }
        let expected = text(&case["result"]["ok"]["remarshalled"]);
        let written = write_list(&refs(&list.nodes), Secrets::All);
        match id {
            // Go keeps the last of several secrets; we keep all.
            "two-secrets" => assert_eq!(list.nodes[0].secrets.len(), 2),
            // Go keeps offsets; we write UTC.
            "date-offset" => assert_eq!(
                written.as_str(),
                format!(
                    "[{}]",
                    expected.replace("2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05Z")
                )
            ),
            _ => assert_eq!(written.as_str(), format!("[{expected}]"), "{id}"),
        }
    }
}

#[test]
fn whole_lists_are_refused_where_go_refuses_them() {
    for case in cases(&vectors()["share_list_decode"]) {
        let read = json::read_list(text(&case["json"]).as_bytes());
        assert_eq!(read.is_err(), case["result"]["error"].is_string(), "{}", case["json"]);
        if let Ok(list) = read {
            assert!(list.nodes.is_empty(), "what Go counts as a node or dies of is none");
        }
    }
}

#[test]
fn names_are_scrambled_as_go_scrambles_them() {
    for case in cases(&vectors()["scramble"]) {
        let scrambler = Some(SecretKey::parse(text(&case["scrambler"])).expect("a key"));
        let node = SwiftNode::new(NodeFields { scrambler, ..node(text(&case["domain"])) });
        let node = node.expect("a record");
        let scrambled = envelope::scramble(&node, text(&case["input"])).expect("short");
        assert_eq!(scrambled, text(&case["scrambled"]));
        let back = envelope::unscramble(&node, &scrambled).expect("opens");
        assert_eq!(back, text(&case["unscrambled"]));
    }
}

#[test]
fn secrets_are_ordered_as_go_orders_them() {
    let vectors = vectors();
    let sorted = cases(&vectors["sort_secrets"]["after_sort"]);
    let dates = sorted.iter().map(|date| SwiftTime::parse_date(text(date)).expect("a date"));
    let dates: Vec<SwiftTime> = dates.collect();
    let key = SecretKey::new(&[1; 32]);
    let secrets = dates.iter().rev().map(|date| Secret { time_stamp: *date, key: key.clone() });
    let fields = NodeFields { secrets: secrets.collect(), ..node("a.test") };
    let node = SwiftNode::new(fields).expect("a record");
    let order: Vec<SwiftTime> = node.secrets.iter().map(|secret| secret.time_stamp).collect();
    assert_eq!(order, dates);
    let used = SwiftTime::parse_date(text(&vectors["sort_secrets"]["used_for_encrypt"]));
    assert_eq!(node.first_secret().map(|secret| secret.time_stamp), used.ok());
}

#[test]
fn challenges_of_go_are_answered() {
    for case in cases(&vectors()["alive_captured_from_go_client"]) {
        let body = bytes(&case["request_body_hex"]);
        let answer = challenge::answer(&[secret(&case["secret"])], &body).expect("opens");
        assert_eq!(answer.as_slice(), bytes(&case["expected_response_body_hex"]));
        let nonce = bytes(&case["nonce_hex"]).try_into().expect("32 bytes");
        assert!(challenge::is_proof(&nonce, 200, &answer));
    }
}

/// The nodes of the live server whose traffic was recorded.
fn live_nodes(vectors: &Value) -> BTreeMap<String, SwiftNode> {
    let file = vectors["http_server_captures"]["nodes_file"].to_string();
    let list = json::read_store_file(file.as_bytes()).expect("a file");
    assert_eq!((list.nodes.len(), list.refused), (5, 0));
    list.nodes.into_iter().map(|node| (node.domain.to_string(), node)).collect()
}

fn header<'a>(case: &'a Value, name: &str) -> &'a str {
    let mut lines = text(&case["request_head"]).lines();
    lines.find_map(|line| line.strip_prefix(name)).expect("the header")
}

#[test]
fn recorded_alive_checks_are_answered_as_the_live_server_did() {
    let vectors = vectors();
    let nodes = live_nodes(&vectors);
    let mut seen = 0;
    for case in cases(&vectors["http_server_captures"]["cases"]) {
        let id = text(&case["id"]);
        let Some(node) = nodes.get(header(case, "Host: ")) else { continue };
        if !id.starts_with("alive_") {
            continue;
        }
        seen += 1;
        let answer = challenge::answer(&node.secrets, &bytes(&case["request_body_hex"]));
        let recorded = bytes(&case["response_body_hex"]);
        if text(&case["response_head"]).starts_with("HTTP/1.1 200") {
            match recorded.len() {
                32 => assert_eq!(answer.expect("answered").as_slice(), recorded, "{id}"),
                // What makes the reference a decryption oracle.
                _ => assert_eq!(answer, Err(challenge::ChallengeError::NotANonce), "{id}"),
            }
        } else {
            let error = answer.expect_err("refused").to_string();
            assert_eq!(format!("{error}\n").as_bytes(), recorded, "{id}");
        }
    }
    assert!(seen >= 9, "{seen}");
}

#[test]
fn a_recorded_share_answer_of_a_node_without_secrets_is_read() {
    let vectors = vectors();
    let nodes = live_nodes(&vectors);
    let all = cases(&vectors["http_server_captures"]["cases"]);
    let case = all.iter().find(|case| case["id"] == "share_plain").expect("recorded");
    let secrets = &nodes[header(case, "Host: ")].secrets;
    let plain = envelope::decode(secrets, &bytes(&case["response_body_hex"]), MOST).expect("opens");
    let list = json::read_list(&plain).expect("a list");
    assert!(!list.nodes.is_empty() && list.refused == 0);
    assert_eq!(write_list(&refs(&list.nodes), Secrets::All).as_bytes(), plain.as_slice());
}

#[test]
fn recorded_registrations_fail_in_the_same_words() {
    let vectors = vectors();
    let mut seen = 0;
    for case in cases(&vectors["http_server_captures"]["cases"]) {
        let id = text(&case["id"]);
        let head = text(&case["request_head"]);
        let Some(query) = head.strip_prefix("GET /swift/register?") else { continue };
        let query = query.split(' ').next().expect("a query");
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let around = Circumstances {
            host: header(case, "Host: "),
            now: "2026-11-21T06:26:46Z".parse().expect("a date"),
            is_known: id == "reg_already",
            writable: &["Local Storage"],
            fresh_secret: &[1; 32],
            fresh_scrambler: &[2; 32],
        };
        let made = register(&Form::from_pairs(pairs), &around);
        seen += 1;
        let message = case["html_messages"]
            .get(1)
            .map(|message| text(message).replace("&#34;", "\"").replace("&#39;", "'"));
        match (made, message) {
            (Err(faults), Some(message)) => {
                assert_eq!(faults[0].fault.to_string(), message, "{id}")
            }
            (Err(_), None) => assert_eq!(id, "reg_already"),
            (Ok(made), message) => panic!("{id}: {made:?}, Go {message:?}"),
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn home_nodes_are_those_of_go() {
    let vectors = vectors();
    for case in cases(&vectors["hash"]) {
        assert_eq!(home::hash(text(&case["input"])).to_string(), text(&case["hash"]));
    }
    for case in cases(&vectors["remote_addr"]) {
        let address =
            home::browser_address(text(&case["x_forwarded_for"]), text(&case["remote_addr"]));
        assert_eq!(address, Some(text(&case["address"])));
        assert_eq!(address.map(home::hash), text(&case["hash"]).parse().ok());
    }
    let names = cases(&vectors["home_node"]["nodes_in_hash_order"]);
    let expires = "2030-01-01T00:00:00Z".parse().expect("a date");
    let nodes = names.iter().map(|name| {
        let fields = NodeFields { expires, ..node(text(name)) };
        Arc::new(SwiftNode::new(fields).expect("a record"))
    });
    let (name, nodes) = ("own".to_owned(), nodes.collect());
    let store = StoreContents { name, origin: Origin::Writable, heard_at: Millis(0), nodes };
    let manager = Manager::build(vec![store]);
    for case in cases(&vectors["home_node"]["cases"]) {
        let home = manager.home_node("net1", text(&case["remote_addr"]), SwiftTime::ZERO);
        assert_eq!(home.map(|node| node.domain.as_str()), case["home"].as_str());
    }
}
