//! The commands against one running network, with real processes.

mod harness;

use std::{fs, path::Path, process::Output};

use harness::{Network, Options, expect_code, json, stderr, stdout, wait_for};

/// Runs a script that is written for it.
fn run_script(network: &Network, folder: &Path, script: &[u8], arguments: &[&str]) -> Output {
    let path = folder.join("script.js");
    fs::write(&path, script).expect("written");
    let mut command = network.command();
    command.arg("run").arg(&path).args(arguments).output().expect("it runs")
}

const SUM: &[u8] = b"function mainFunction(p) { return p.a + p.b; }";

// One network for all: starting it takes longer than everything that is asked of it.
#[test]
fn the_commands_do_what_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = Network::start(Options { workers: 4, ..Options::default() });
    results_are_verified_and_printed(&network, folder.path());
    faults_and_failures_have_codes_of_their_own(&network, folder.path());
    bad_input_is_refused_with_field_and_limit(&network, folder.path());
    nodes_and_logs_are_shown(&network);
    settings_are_signed_and_taken(&network, folder.path());
    scripts_are_stored_and_given_back(&network, folder.path());
    network.stop();
}

fn results_are_verified_and_printed(network: &Network, folder: &Path) {
    let certificate = folder.join("sum.json");
    let path = certificate.to_str().expect("UTF-8");
    let output =
        run_script(network, folder, SUM, &["-p", "a=2", "-p", "b=0.5", "--certificate", path]);
    expect_code(&output, 0);
    assert_eq!(stdout(&output), "2.5\n");
    let told = stderr(&output);
    assert!(told.contains("is drawn") && told.contains("agreed:"), "{told}");
    expect_code(&network.run(&["verify", path, "--network", &network.id()]), 0);

    let whole =
        run_script(network, folder, SUM, &["--params", "{\"a\":\"x\",\"b\":\"y\"}", "--json"]);
    let view = json(&whole);
    assert_eq!(
        (&view["result"], &view["state"], &view["verified"]),
        (&"xy".into(), &"agreed".into(), &true.into())
    );
    assert!(!stderr(&whole).contains("drawn"), "quiet: {}", stderr(&whole));

    // The same key is the same request, also by the script's hash.
    let hash = view["code"].as_str().expect("a hash");
    let same =
        ["run", hash, "--params", "{\"a\":1,\"b\":1}", "--json", "--idempotency-key", "test-key"];
    let (one, other) = (json(&network.run(&same)), json(&network.run(&same)));
    assert_eq!(one["id"], other["id"]);
    assert_eq!(one["result"], 2);
    let conflict = network.run(&[
        "run",
        hash,
        "--params",
        "{\"a\":1,\"b\":3}",
        "--idempotency-key",
        "test-key",
    ]);
    expect_code(&conflict, 6);

    let other_network =
        network.run(&["run", hash, "--params", "{\"a\":1,\"b\":1}", "--network", &"ab".repeat(32)]);
    expect_code(&other_network, 8);
    assert!(stdout(&other_network).is_empty());
}

fn faults_and_failures_have_codes_of_their_own(network: &Network, folder: &Path) {
    let throws = b"function mainFunction() { throw new Error('no luck'); }";
    let output = run_script(network, folder, throws, &[]);
    expect_code(&output, 7);
    assert!(
        stderr(&output).contains("no luck") && stdout(&output).is_empty(),
        "{}",
        stderr(&output)
    );
    let fault = json(&run_script(network, folder, throws, &["--json"]));
    assert_eq!((&fault["state"], &fault["verified"]), (&"agreed".into(), &true.into()));
    expect_code(&run_script(network, folder, b"no script at all {", &[]), 7);

    // There are not as many workers as have to agree.
    let never = ["--committee", "60", "--quorum", "60", "--deadline", "2s"];
    let output = run_script(network, folder, SUM, &never);
    assert!(matches!(output.status.code(), Some(3 | 5)), "{}", stderr(&output));
    assert!(stderr(&output).contains("failed ("), "{}", stderr(&output));
}

fn bad_input_is_refused_with_field_and_limit(network: &Network, folder: &Path) {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
    fs::write(folder.join("large.json"), &large).expect("written");
    let large = format!("@{}", folder.join("large.json").display());
    let cases: [(&[&str], &str, &str); 5] = [
        (&["--params", &large], "params", "65536 bytes"),
        (&["--deadline", "0s"], "deadline_ms", "1 to 300000 ms"),
        (&["--committee", "0"], "committee", "1 to 128"),
        (&["--committee", "3", "--quorum", "1"], "quorum", "2 to 3"),
        (&["--committee", "200"], "committee", "1 to 128"),
    ];
    for (arguments, field, limit) in cases {
        let output = run_script(network, folder, SUM, arguments);
        expect_code(&output, 6);
        let told = stderr(&output);
        assert!(
            told.contains(&format!("field: {field}")) && told.contains(&format!("limit: {limit}")),
            "{told}"
        );
    }
    let scripts: [(&[u8], &str); 3] = [
        (b"\xff\xfe", "not UTF-8"),
        (b"", "at least one byte"),
        (&[b' '; 300_000], "at most 262144 bytes"),
    ];
    for (script, why) in scripts {
        let output = run_script(network, folder, script, &[]);
        expect_code(&output, 6);
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
    expect_code(&network.run(&["run", "/nonexistent.js"]), 6);
    expect_code(&network.run(&["run", "ftp://example.org/a.js"]), 6);
    expect_code(&network.run(&["run", &"00".repeat(32)]), 6);
    expect_code(&network.run(&["run", "a.js", "--committee", "many"]), 2);
}

fn nodes_and_logs_are_shown(network: &Network) {
    let list = network.run(&["node", "list"]);
    expect_code(&list, 0);
    let text = stdout(&list);
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("worker-4") && text.starts_with("NAME"), "{text}");
    let shown = json(&network.run(&["node", "show", "worker-2", "--json"]));
    assert!(
        shown["says"]["engine"].as_str().is_some_and(|engine| engine.contains("v8")),
        "{shown}"
    );
    expect_code(&network.run(&["node", "show", "nobody"]), 6);
    // Witnesses are asked every other second.
    let log = wait_for("a witness", || {
        let view = json(&network.run(&["node", "log", "relay", "--json"]));
        view["witnesses"].as_array().is_some_and(|witnesses| !witnesses.is_empty()).then_some(view)
    });
    assert!(log["size"].as_u64().is_some_and(|size| size > 0), "{log}");
    let text = stdout(&network.run(&["node", "log", "relay"]));
    assert!(text.contains("cosigned") && text.contains("verify."), "{text}");
    let empty = json(&network.run(&["evidence", "list", "--json"]));
    assert_eq!(empty["evidence"].as_array().map(Vec::len), Some(0), "honest nodes: {empty}");
}

fn settings_are_signed_and_taken(network: &Network, folder: &Path) {
    let key = network.data().join("operator.key");
    let key = key.to_str().expect("UTF-8");
    let set = |arguments: &[&str], key: &str| {
        let mut command = network.command();
        command.args(["settings", "set", "--operator-key", key]).args(arguments);
        command.output().expect("it runs")
    };
    let version = || json(&network.run(&["settings", "show", "--json"]))["version"].as_u64();
    assert_eq!(version(), Some(1));
    let dry = set(&["script_time_ms=1500", "--dry-run"], key);
    expect_code(&dry, 0);
    assert!(stdout(&dry).contains("2000 -> 1500"), "{}", stdout(&dry));
    assert_eq!(version(), Some(1));
    expect_code(&set(&["script_time_ms=1"], key), 6);
    expect_code(&set(&["speed=1"], key), 6);

    let stranger = folder.join("stranger.key");
    let stranger = stranger.to_str().expect("UTF-8");
    expect_code(&network.run(&["keys", "new", "operator", stranger]), 0);
    expect_code(&set(&["script_time_ms=1500"], stranger), 1);
    assert_eq!(version(), Some(1));

    let taken = json(&set(&["script_time_ms=1500", "--json"], key));
    let nodes = taken["nodes"].as_array().expect("nodes");
    assert!(nodes.len() == 6 && nodes.iter().all(|node| node["took"] == true), "{taken}");
    assert_eq!(version(), Some(2));
}

fn scripts_are_stored_and_given_back(network: &Network, folder: &Path) {
    let path = folder.join("stored.js");
    fs::write(&path, SUM).expect("written");
    let output = network.run(&["code", "put", path.to_str().expect("UTF-8")]);
    expect_code(&output, 0);
    let hash = stdout(&output).trim().to_owned();
    assert_eq!(network.run(&["code", "get", &hash]).stdout, SUM);
    assert!(stdout(&network.run(&["code", "list"])).contains(&hash));
    expect_code(&network.run(&["code", "get", &"00".repeat(32)]), 6);
}
