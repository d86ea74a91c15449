//! Nodes that are killed, among real processes: a request goes on or ends with a reason, and nothing
//! that was acknowledged is lost.

mod harness;

use std::time::Duration;

use api::{Json, RequestEvent, RequestState, RequestSubmit, RequestView};
use client::Client;
use harness::{Network, Options, expect_code, wait_for};
use verify::Certificate;
use wire::json::CanonicalJson;

/// Busy for a while, so that there is time to be killed; the sum does not depend on it.
const SLOW_SUM: &[u8] = b"function mainFunction(p) {
    let x = 0;
    for (let i = 0; i < 3e7; i++) x = (x + i) % 7;
    return p.a + p.b + (x - x);
}";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn client(network: &Network) -> Client {
    let id = network.id().parse().expect("an id");
    Client::new(&network.relay()).expect("an address").in_network(id)
}

fn sum(a: u32, b: u32, code: wire::CodeHash) -> RequestSubmit {
    let params = CanonicalJson::from_value(&serde_json::json!({"a": a, "b": b})).expect("JSON");
    RequestSubmit {
        code: Some(code),
        params: Some(Json(params)),
        deadline_ms: Some(60_000),
        ..RequestSubmit::default()
    }
}

/// Follows a request to its end, over as many broken connections as there are.
async fn end_of(client: &Client, id: wire::RequestId) -> RequestView {
    for _ in 0..600 {
        if let Ok(view) = client.request(id).await
            && view.state.is_final()
        {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("request {id} has no end");
}

/// Waits until a request's story has such an event.
async fn until(client: &Client, id: wire::RequestId, wanted: impl Fn(&RequestEvent) -> bool) {
    let mut events = client.events(id, None);
    while let Some(event) = events.next().await {
        let (_, event) = event.expect("the relay tells");
        if wanted(&event) {
            return;
        }
        assert!(!event.is_final(), "it ended before: {event:?}");
    }
    panic!("the story ended");
}

async fn check_agreed(client: &Client, network: &Network, view: &RequestView, value: u32) {
    assert_eq!(view.state, RequestState::Agreed, "{view:?}");
    assert_eq!(view.result, Some(value.into()));
    let certificate = client.certificate(view.id).await.expect("a certificate");
    let certificate = Certificate::from_json(&certificate).expect("it holds");
    certificate.expect_network(&network.id().parse().expect("an id")).expect("this network");
}

fn fsck_is_clean(data: &std::path::Path) {
    let output = harness::quorate().arg("fsck").arg(data).output().expect("it runs");
    expect_code(&output, 0);
}

#[test]
fn a_relay_that_is_killed_at_any_step_takes_the_request_up_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("network");
    let network = Network::start_in(&data, Options { workers: 4, ..Options::default() });
    let client = client(&network);
    type Step = fn(&RequestEvent) -> bool;
    let steps: [(&str, Step); 4] = [
        ("received", |event| matches!(event, RequestEvent::Received { .. })),
        ("drawn", |event| matches!(event, RequestEvent::Drawn { .. })),
        ("committed", |event| matches!(event, RequestEvent::Committed { .. })),
        ("tallied", |event| matches!(event, RequestEvent::Tallied { .. })),
    ];
    runtime().block_on(async {
        let code = client.put_code(SLOW_SUM).await.expect("stored").hash;
        for (number, (name, step)) in (1_u32..).zip(steps) {
            let submit = sum(number, 40, code);
            let key = format!("killed-when-{name}");
            let submitted = client.submit(&submit, Some(&key)).await.expect("taken");
            until(&client, submitted.id, step).await;
            tokio::task::block_in_place(|| network.kill_and_restart("relay"));
            let again = client.submit(&submit, Some(&key)).await.expect("known");
            assert_eq!(again.id, submitted.id, "{name}: the same key is the same request");
            let view = end_of(&client, submitted.id).await;
            check_agreed(&client, &network, &view, number + 40).await;
        }
    });
    network.stop();
    fsck_is_clean(&data);
}

#[test]
fn a_worker_that_is_killed_while_it_runs_does_not_stop_the_request() {
    let network = Network::start(Options { workers: 5, ..Options::default() });
    let client = client(&network);
    runtime().block_on(async {
        let code = client.put_code(SLOW_SUM).await.expect("stored").hash;
        for number in 1..=3 {
            let submitted = client.submit(&sum(number, 1, code), None).await.expect("taken");
            let mut events = client.events(submitted.id, None);
            let drawn = loop {
                let (_, event) = events.next().await.expect("goes on").expect("the relay tells");
                if let RequestEvent::Drawn { worker, drawn: true, .. } = event {
                    break worker.name;
                }
            };
            network.kill(&drawn);
            let view = end_of(&client, submitted.id).await;
            check_agreed(&client, &network, &view, number + 1).await;
        }
    });
    network.stop();
}

#[test]
fn the_chain_of_rounds_goes_on_after_the_beacon_was_killed() {
    let network = Network::start(Options { workers: 3, ..Options::default() });
    let client = client(&network);
    let beacon = Client::new(&network.url("beacon")).expect("an address");
    runtime().block_on(async {
        let code = client.put_code(SLOW_SUM).await.expect("stored").hash;
        let newest = || async {
            let rounds = beacon.rounds(None, 1).await.ok()?;
            rounds.rounds.last().map(|round| round.round)
        };
        let before = newest().await.expect("a round");
        let submitted = client.submit(&sum(1, 2, code), None).await.expect("taken");
        tokio::task::block_in_place(|| network.kill_and_restart("beacon"));
        let view = end_of(&client, submitted.id).await;
        check_agreed(&client, &network, &view, 3).await;
        let after = newest().await.expect("a round");
        assert!(after > before, "{after} follows {before}");
    });
    network.stop();
}

#[test]
fn a_worker_that_is_gone_is_drawn_no_more_and_drawn_again_when_it_is_back() {
    // Three at most: `up` starts a node again, so a worker is stopped and not killed here.
    use rustix::process::Signal;
    let network = Network::start(Options { workers: 3, ..Options::default() });
    let beacon = Client::new(&network.url("beacon")).expect("an address");
    let population = || {
        runtime().block_on(async {
            let rounds = beacon.rounds(None, 1).await.ok()?;
            let statement = &rounds.rounds.last()?.statement;
            let id = network.id().parse().expect("an id");
            let round = wire::Signed::<wire::round::RoundOpening>::open(&id, statement.as_bytes());
            Some(round.expect("it verifies").body.workers.size)
        })
    };
    wait_for("all three", || population().filter(|count| *count == 3));
    let pid = network.pids()["worker-2"];
    harness::signal(pid, Signal::STOP);
    wait_for("two are left", || population().filter(|count| *count == 2));
    harness::signal(pid, Signal::CONT);
    wait_for("three again", || population().filter(|count| *count == 3));
    network.stop();
}
