//! Workers that lie, among real processes: the feature `adversary` only.
#![cfg(feature = "adversary")]

mod harness;

use std::path::Path;

use api::{Json, RequestSubmit};
use client::Client;
use harness::{Network, Options, expect_code, json};
use verify::Certificate;
use wire::{compute::Outcome, json::CanonicalJson};

#[test]
fn a_liar_is_outvoted_and_its_vote_is_shown() {
    let conduct = vec![("worker-1".to_owned(), "lies".to_owned())];
    let network = Network::start(Options { workers: 4, conduct, ..Options::default() });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/simple_addition.js");
    let script = script.to_str().expect("UTF-8");
    // As many as there are, so the liar is drawn.
    let everybody = ["--committee", "4", "--quorum", "3", "--deadline", "1m", "--json"];
    let mut run = network.command();
    run.args(["run", script, "-p", "a=1", "-p", "b=2"]).args(everybody);
    let output = run.output().expect("it runs");
    expect_code(&output, 0);
    let view = json(&output);
    assert_eq!(view["result"], 3);
    let votes = view["votes"].as_array().expect("votes");
    for vote in votes {
        let expected = if vote["name"] == "worker-1" { "dissents" } else { "agrees" };
        assert_eq!(vote["vote"], expected, "{vote}");
    }
    assert_eq!(votes.len(), 4, "{view}");
    network.stop();
}

/// Runs `a + b` so many times, eight at once; each request's number and its certificate.
fn certificates(network: &Network, count: u32, committee: u16) -> Vec<(u32, Certificate)> {
    let id = network.id().parse().expect("an id");
    let client = Client::new(&network.relay()).expect("an address").in_network(id);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let source = b"function mainFunction(p) { return p.a + p.b; }";
        let code = client.put_code(source).await.expect("stored").hash;
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..8 {
            let client = client.clone();
            tasks.spawn(async move {
                let mut done = Vec::new();
                for number in (lane..count).step_by(8) {
                    let params = serde_json::json!({"a": number, "b": 1_000});
                    let params = CanonicalJson::from_value(&params).expect("JSON");
                    let submit = RequestSubmit {
                        code: Some(code),
                        params: Some(Json(params)),
                        committee: Some(committee),
                        deadline_ms: Some(120_000),
                        ..RequestSubmit::default()
                    };
                    let key = format!("request-{number}");
                    let completed = client.run(&submit, &key, |_, _| {}).await.expect("it ends");
                    let certificate = completed.certificate.unwrap_or_else(|| {
                        panic!("request {number} is not agreed: {:?}", completed.view)
                    });
                    let certificate = Certificate::from_json(&certificate).expect("it holds");
                    done.push((number, certificate));
                }
                done
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    })
}

#[test]
fn two_hundred_requests_with_a_liar_are_all_right_and_each_lie_is_on_record() {
    let conduct = vec![("worker-1".to_owned(), "lies".to_owned())];
    let options = Options { workers: 5, period_ms: 100, conduct, ..Options::default() };
    let network = Network::start(options);
    let mut lies = 0;
    for (number, certificate) in certificates(&network, 200, 3) {
        let agreed = &certificate.execution().outcome;
        let expected = CanonicalJson::from_value(&(number + 1_000)).expect("JSON");
        assert_eq!(*agreed, Outcome::Value(expected), "request {number}");
        for attempt in &certificate.parts().attempts {
            for worker in &attempt.workers {
                let Some(reveal) = &worker.reveal else { continue };
                let lied = reveal.body.execution != *certificate.execution();
                let is_liar = worker.admission.body.name == "worker-1";
                assert_eq!(lied, is_liar, "request {number}: {}", worker.admission.body.name);
                // In an attempt that agreed, the lie is named among the dissents.
                let last = certificate.parts().agreement.body.attempt == reveal.body.attempt;
                let named = certificate.parts().agreement.body.dissenting.contains(&reveal.hash());
                assert_eq!(named, lied && last, "request {number}");
                lies += u32::from(lied);
            }
        }
    }
    // It is drawn three times in five.
    assert!((60..=200).contains(&lies), "{lies} lies on record");
    network.stop();
}

#[test]
fn a_worker_that_answers_twice_is_convicted_and_nobody_else_is() {
    let conduct = vec![("worker-2".to_owned(), "answers-twice".to_owned())];
    let options = Options { workers: 3, conduct, ..Options::default() };
    let network = Network::start(options);
    certificates(&network, 16, 3);
    let list = harness::wait_for("evidence", || {
        let list = json(&network.run(&["evidence", "list", "--json"]));
        let list = list["evidence"].as_array().cloned().unwrap_or_default();
        (!list.is_empty()).then_some(list)
    });
    let folder = tempfile::tempdir().expect("a folder");
    for evidence in list {
        assert_eq!(evidence["name"], "worker-2", "{evidence}");
        // Which of its two reveals came first decides which rule it broke.
        let rules = ["two_statements", "false_reveal"];
        assert!(rules.contains(&evidence["rule"].as_str().expect("a rule")), "{evidence}");
        let id = evidence["id"].as_str().expect("an id");
        let file = network.run(&["evidence", "get", id]);
        expect_code(&file, 0);
        let path = folder.path().join("evidence.json");
        std::fs::write(&path, &file.stdout).expect("written");
        let path = path.to_str().expect("UTF-8");
        expect_code(&network.run(&["verify", path, "--network", &network.id()]), 0);
    }
    network.stop();
}
