//! The commands that need no network, and those that do not find one.

mod harness;

use std::{fs, os::unix::fs::PermissionsExt as _};

use harness::{expect_code, json, quorate, stderr, stdout};

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    for arguments in [
        &["fly"][..],
        &["run"],
        &["run", "a.js", "--param", "x"],
        &["run", "a.js", "--deadline", "soon"],
    ] {
        let output = quorate().args(arguments).output().expect("it runs");
        expect_code(&output, 2);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere =
        quorate().current_dir(folder.path()).args(["node", "list"]).output().expect("it runs");
    expect_code(&nowhere, 2);
    assert!(stderr(&nowhere).contains("quorate up"), "{}", stderr(&nowhere));
}

#[test]
fn a_relay_that_is_not_there_ends_with_9() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let output = quorate().args(["node", "list", "--relay", &address]).output().expect("it runs");
    expect_code(&output, 9);
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    let output = quorate().args(["node", "list", "--relay", "http://"]).output().expect("it runs");
    expect_code(&output, 6);
}

#[test]
fn what_is_no_certificate_is_refused_and_what_is_no_file_is_bad_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.json");
    for content in [
        &b"\xff"[..],
        b"",
        b"{}",
        b"{\"format\":\"quorate/certificate/v1\"}",
        b"{\"format\":\"x\"}",
    ] {
        fs::write(&path, content).expect("written");
        let output = quorate().arg("verify").arg(&path).output().expect("it runs");
        expect_code(&output, 8);
        let output = quorate().arg("verify").arg(&path).arg("--json").output().expect("it runs");
        assert_eq!(json(&output)["valid"], false);
    }
    let output = quorate().args(["verify", "/nonexistent.json"]).output().expect("it runs");
    expect_code(&output, 6);
}

#[test]
fn keys_are_made_once_and_their_secret_is_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.key");
    let run = |arguments: &[&str]| {
        quorate().arg("keys").args(arguments).arg(&path).output().expect("it runs")
    };
    let made = run(&["new", "node", "--json"]);
    expect_code(&made, 0);
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    expect_code(&run(&["new", "node"]), 6);
    let shown = run(&["show", "--json"]);
    assert_eq!(json(&shown)[0], json(&made));
    let secret = fs::read_to_string(&path).expect("a secret");
    assert!(!stdout(&shown).contains(secret.trim()));
    fs::write(&path, "no key").expect("written");
    expect_code(&run(&["show"]), 6);
    fs::remove_file(&path).expect("removed");
    expect_code(&run(&["show"]), 6);
    assert!(!path.exists(), "nothing is made by looking");
}

#[test]
fn a_configuration_is_put_together_and_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.toml");
    fs::write(&path, "data = \"/d\"\nnetwork = \"/n\"\nqueued_jobs = 1\n").expect("written");
    let mut command = quorate();
    command.args([
        "serve",
        "--print-config",
        "--set",
        "queued_jobs=7",
        "--listen",
        "127.0.0.1:9",
        "--config",
    ]);
    let output = command.arg(&path).env("QUORATE_DATA", "/e").output().expect("it runs");
    expect_code(&output, 0);
    let text = stdout(&output);
    for line in ["data = \"/e\"", "queued_jobs = 7", "listen = \"127.0.0.1:9\""] {
        assert!(text.contains(line), "{text}");
    }
    let output = quorate()
        .args(["serve", "--print-config", "--set", "speed=7", "--config"])
        .arg(&path)
        .output();
    expect_code(&output.expect("it runs"), 6);
}

#[test]
fn completions_and_man_pages_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = quorate().args(["completions", "bash"]).output().expect("it runs");
    expect_code(&output, 0);
    assert!(stdout(&output).contains("_quorate"));
    let output = quorate().arg("man").arg(folder.path()).output().expect("it runs");
    expect_code(&output, 0);
    assert!(folder.path().join("quorate-run.1").exists());
    let empty = quorate().arg("fsck").arg(folder.path()).output().expect("it runs");
    expect_code(&empty, 6);
}
