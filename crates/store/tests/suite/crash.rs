//! What was acknowledged is there after the process was killed, and the database is whole.
//!
//! This shows that nothing is answered before it is handed to the operating system, and that a half
//! written group disappears as a whole. It cannot show that `fsync` reached the disk.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use store::Store;
use wire::merkle::leaf_hash;

use crate::fixture::{Fixture, NETWORK, node, received};

const PATH: &str = "STORE_CRASH_PATH";
const FIRST: &str = "STORE_CRASH_FIRST";

/// Writers of the child that run side by side, so that groups have several members.
const WRITERS: u64 = 8;
/// How often the child is killed.
const KILLS: u64 = 10;

/// The child: appends without end and says so each time that it was acknowledged.
fn child_that_appends(path: PathBuf) {
    let first: u64 = std::env::var(FIRST).expect("a number").parse().expect("a number");
    let store = Store::open(path, NETWORK, node()).expect("open");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            std::thread::spawn(move || {
                for number in (first + writer..).step_by(WRITERS as usize) {
                    let append = move |transaction: &mut store::Transaction<'_>| {
                        transaction.append(&received(number), "received")
                    };
                    let index = store.write_blocking(append).expect("durable");
                    // One call per line, past the test harness: a line is whole or not there.
                    let line = format!("ack {number} {index}\n");
                    std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("it never ends");
    }
}

/// Runs the child until it has acknowledged `count` appends and kills it; all acknowledged ones.
fn run_and_kill(fixture: &Fixture, first: u64, count: u64) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "crash::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(PATH, fixture.path())
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = Vec::new();
    for line in lines {
        let line = line.expect("text");
        // The harness ends its own first line late, so the first acknowledgement may follow on it.
        let Some((_, numbers)) = line.rsplit_once("ack ") else {
            continue;
        };
        let Some((number, index)) = numbers.split_once(' ') else {
            continue;
        };
        acknowledged.push((number.parse().expect("number"), index.parse().expect("index")));
        if acknowledged.len() as u64 == count {
            child.kill().expect("killed");
        }
    }
    let status = child.wait().expect("ended");
    assert!(!status.success() && acknowledged.len() as u64 >= count, "killed, not ended: {status}");
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = std::env::var_os(PATH) {
        return child_that_appends(path.into());
    }
    let fixture = Fixture::new();
    let mut acknowledged: Vec<(u64, u64)> = Vec::new();
    for kill in 0..KILLS {
        // Another number each time; where in a commit it hits is up to the machine.
        let count = 1 + kill * 53 % 170;
        acknowledged.extend(run_and_kill(&fixture, kill * 1_000_000, count));
        assert_eq!(fixture.findings(), [""; 0], "as the kill left it");
        let store = Store::open(fixture.path(), NETWORK, node()).expect("the lock is gone");
        for (number, index) in &acknowledged {
            let entry = store.read_blocking(|reader| reader.entry(*index)).expect("read");
            let entry = entry.unwrap_or_else(|| panic!("entry {index} was acknowledged"));
            assert_eq!(entry.hash.0, leaf_hash(&received(*number)));
        }
        drop(store);
        assert_eq!(fixture.findings(), [""; 0], "after a start");
    }
}
