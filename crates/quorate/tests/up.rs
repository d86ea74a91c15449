//! `quorate up` with real processes: the first result, what is left behind, what comes back.

mod harness;

use std::{fs, process::Output};

use harness::{Network, Options, QUORATE, expect_code, is_running, json, quorate, stderr, stdout};

/// Verifies a file with a copy of the program in a folder where nothing else is.
fn verify_elsewhere(content: &[u8], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("q");
    fs::copy(QUORATE, &program).expect("copied");
    fs::write(folder.path().join("certificate.json"), content).expect("written");
    std::process::Command::new(&program)
        .env_clear()
        .current_dir(folder.path())
        .args(["verify", "certificate.json"])
        .args(arguments)
        .output()
        .expect("it runs")
}

#[test]
fn once_gives_a_result_whose_certificate_holds_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("network");
    let mut up = quorate();
    up.args(["up", "--once", "--json", "--workers", "4", "--period-ms", "200", "--data"])
        .arg(&data);
    let output = up.output().expect("it runs");
    expect_code(&output, 0);
    let first = json(&output);
    assert_eq!(first["result"], 78.539_816_339_744_83);
    assert_eq!(first["drawn"].as_array().map(Vec::len), first["votes"].as_array().map(Vec::len));
    assert!(first["agreed_ms"].is_u64() && first["open_to_agreed_ms"].is_u64(), "{first}");
    let path = first["certificate"].as_str().expect("a path");
    assert!(path.starts_with('/'), "{path}");
    let (content, id) =
        (fs::read(path).expect("a file"), first["network"].as_str().expect("an id"));

    let good = verify_elsewhere(&content, &["--network", id, "--json"]);
    expect_code(&good, 0);
    assert_eq!(json(&good)["result"], first["result"]);
    let other = verify_elsewhere(&content, &["--network", &"00".repeat(32)]);
    expect_code(&other, 8);
    assert!(stderr(&other).contains(id), "{}", stderr(&other));

    // Bytes all over the file, each changed alone.
    for at in (0..content.len()).step_by(content.len() / 40) {
        let mut changed = content.clone();
        changed[at] ^= 1;
        let refused = verify_elsewhere(&changed, &[]);
        expect_code(&refused, 8);
        assert!(stdout(&refused).is_empty() && stderr(&refused).contains("refused"));
    }
    assert!(!data.join("pids.json").exists() && !data.join("relay.url").exists());
}

#[test]
fn a_network_is_taken_up_again_with_its_ports_and_its_past() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("network");
    let first = Network::start_in(&data, Options::default());
    let (id, relay, request) = (first.id(), first.relay(), first.first["request"].clone());
    let busy = quorate().args(["up", "--once", "--data"]).arg(&data).output().expect("it runs");
    expect_code(&busy, 6);
    assert!(stderr(&busy).contains("another `quorate up`"), "{}", stderr(&busy));
    first.stop();

    let again = Network::start_in(&data, Options::default());
    assert_eq!((again.id(), again.relay()), (id, relay));
    assert_ne!(again.first["request"], request, "a new request");
    again.stop();
    let whole = quorate().arg("fsck").arg(&data).output().expect("it runs");
    expect_code(&whole, 0);
}

#[test]
fn a_killed_node_comes_back_and_a_killed_up_leaves_nothing() {
    let network = Network::start(Options::default());
    let before = network.pids();
    assert_eq!(before.len(), 5);
    for name in ["worker-1", "relay", "beacon"] {
        network.kill_and_restart(name);
        assert!(!is_running(before[name]));
        let output = network.run(&[
            "run",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/simple_addition.js"),
            "-p",
            "a=1",
            "-p",
            "b=2",
            "--deadline",
            "1m",
        ]);
        expect_code(&output, 0);
        assert_eq!(stdout(&output), "3\n");
    }
    network.kill_up();
}

#[test]
fn a_missing_engine_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("network");
    let mut up = quorate();
    up.args(["up", "--once", "--data"]).arg(&data).env("QUORATE_ENGINE_DIR", folder.path());
    let output = up.output().expect("it runs");
    expect_code(&output, 1);
    assert!(stderr(&output).contains("./dev engine"), "{}", stderr(&output));
    assert!(!data.exists());
}
