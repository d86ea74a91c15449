//! Real networks for tests: `quorate up` and its nodes as processes, in a folder of their own.
//!
//! Invariant: nothing outlives a test. `up` ends when the pipe that a [`Network`] holds does, and its
//! nodes end with it, also when the test is killed.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test.
pub const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

/// What network to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many workers.
    pub workers: usize,
    /// How long a round lasts, in ms.
    pub period_ms: u64,
    /// How workers behave, by name: needs the feature `adversary`.
    pub conduct: Vec<(String, String)>,
    /// Further arguments of `up`.
    pub arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: 3, period_ms: 200, conduct: Vec::new(), arguments: Vec::new() }
    }
}

/// The program with a clean environment.
pub fn quorate() -> Command {
    let mut command = Command::new(QUORATE);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("QUORATE_") && name != "QUORATE_ENGINE_DIR" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as JSON.
pub fn json(output: &Output) -> Value {
    let text = stdout(output);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text:?}: {}", stderr(output)))
}

/// Checks an exit code; the message shows what was said.
#[track_caller]
pub fn expect_code(output: &Output, code: i32) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), stderr(output));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
}

/// Asks until the answer is there.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process runs; one that has ended and was not yet looked at does not.
pub fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("not 0");
    kill_process(pid, signal).expect("the process is there");
}

/// A running network.
pub struct Network {
    folder: Option<tempfile::TempDir>,
    data: PathBuf,
    options: Options,
    up: Child,
    stdin: Option<ChildStdin>,
    /// What `up --json` printed.
    pub first: Value,
}

impl Network {
    /// Starts a network in a new folder and waits for its first result.
    pub fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("network");
        let mut network = Self::start_in(&data, options);
        network.folder = Some(folder);
        network
    }

    /// Starts or takes up the network in a folder, which is left behind.
    pub fn start_in(data: &Path, options: Options) -> Self {
        let mut command = quorate();
        command.args(["up", "--json", "--exit-with-parent", "--data"]).arg(data);
        command.args(["--workers", &options.workers.to_string()]);
        command.args(["--period-ms", &options.period_ms.to_string()]);
        for (name, conduct) in &options.conduct {
            command.arg("--conduct").arg(format!("{name}={conduct}"));
        }
        command.args(&options.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut up = command.spawn().expect("quorate starts");
        let stdin = up.stdin.take();
        let mut line = String::new();
        let out = up.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a first line");
        let first = serde_json::from_str(&line).unwrap_or_else(|error| {
            let status = up.wait();
            panic!("`up` gave no first result: {error}: {line:?} ({status:?})")
        });
        Self { folder: None, data: data.to_owned(), options, up, stdin, first }
    }

    /// The network's folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The network's id.
    pub fn id(&self) -> String {
        self.first["network"].as_str().expect("an id").to_owned()
    }

    /// The relay's address.
    pub fn relay(&self) -> String {
        self.first["relay"].as_str().expect("an address").to_owned()
    }

    /// The process id of `up` itself.
    pub fn up_pid(&self) -> u32 {
        self.up.id()
    }

    /// The process ids of the nodes, by name, as they are now.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let Ok(text) = fs::read_to_string(self.data.join("pids.json")) else {
            return BTreeMap::new();
        };
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let nodes = value["nodes"].as_object().expect("nodes");
        nodes
            .iter()
            .map(|(name, pid)| (name.clone(), pid.as_u64().expect("an id") as u32))
            .collect()
    }

    /// The address of a node, by its admission.
    pub fn url(&self, name: &str) -> String {
        let list = json(&self.run(&["node", "list", "--json"]));
        let nodes = list.as_array().expect("nodes");
        let found = nodes.iter().find(|node| node["name"] == name).expect("the node");
        format!("http://{}", found["domain"].as_str().expect("a domain"))
    }

    /// The program, asking this network.
    pub fn command(&self) -> Command {
        let mut command = quorate();
        command.env("QUORATE_RELAY", self.relay());
        command
    }

    /// Runs a command against this network.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("quorate runs")
    }

    /// Kills a node with SIGKILL; `up` will start it again.
    pub fn kill(&self, name: &str) {
        signal(self.pids()[name], Signal::KILL);
    }

    /// Kills a node with SIGKILL, and waits until a new process of it is ready.
    pub fn kill_and_restart(&self, name: &str) {
        let before = self.pids()[name];
        let url = self.url_of_file(name);
        signal(before, Signal::KILL);
        wait_for("a new process", || self.pids().get(name).filter(|pid| **pid != before).copied());
        wait_for("its readiness", || ready(&url).then_some(()));
    }

    /// The address of a node as its own folder's log tells it: also while the relay is away.
    fn url_of_file(&self, name: &str) -> String {
        let log = fs::read_to_string(self.data.join(name).join("log.txt")).expect("a log");
        let line =
            log.lines().rev().find(|line| line.contains("address=Some(")).expect("its address");
        let address = line.split("address=Some(").nth(1).and_then(|rest| rest.split(')').next());
        format!("http://{}", address.expect("its address"))
    }

    /// Asks `up` to stop, waits for it, and checks that no node is left.
    pub fn stop(mut self) {
        let pids = self.pids();
        assert!(!pids.is_empty(), "nodes run");
        signal(self.up.id(), Signal::TERM);
        let status = self.up.wait().expect("it ends");
        assert!(status.success(), "{status}");
        for (name, pid) in pids {
            assert!(!is_running(pid), "{name} is left");
        }
        assert!(!self.data.join("relay.url").exists() && !self.data.join("pids.json").exists());
    }

    /// Kills `up` itself with SIGKILL, and waits until all its nodes are gone.
    pub fn kill_up(mut self) {
        let pids = self.pids();
        signal(self.up.id(), Signal::KILL);
        self.up.wait().expect("it ends");
        for (name, pid) in pids {
            wait_for(&format!("{name} to end"), || (!is_running(pid)).then_some(()));
        }
    }

    /// The options that it was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Either it is gone already, or it ends now.
        let _ = self.up.wait();
    }
}

/// Whether a node says that it is ready: one request by hand, so that no client is trusted.
pub fn ready(url: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let address = url.trim_start_matches("http://");
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
