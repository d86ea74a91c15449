//! Measures appends on the disk of a folder: `cargo run --release -p store --example measure FOLDER`.
//!
//! Prints appends per second with 1, 8, 64 and 256 concurrent writers, and the time of a single
//! write, which is a commit with its `fsync`.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use store::Store;
use wire::{
    Millis, NetworkId, NodeKey, RequestId, Signed, compute::Received, key::StatementSigner as _,
};

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(4);

fn say(line: std::fmt::Arguments<'_>) {
    writeln!(io::stdout(), "{line}").expect("somebody reads");
}

fn statement(key: &NodeKey, network: NetworkId, number: u64) -> Vec<u8> {
    let mut request = [0; 32];
    request[..8].copy_from_slice(&number.to_be_bytes());
    let body = Received { request: RequestId(request), received: Millis(number) };
    Signed::sign(network, key, body).bytes().to_vec()
}

/// Appends with so many writers until the time is over; how long each write took.
async fn run(store: &Store, key: &NodeKey, network: NetworkId, writers: u64) -> Vec<Duration> {
    // Signing is not what is measured: every writer gets its statements beforehand.
    let per_writer = 20_000 / writers;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let first = (writers << 40) + (writer << 20);
            let statements: Vec<_> =
                (first..first + per_writer).map(|number| statement(key, network, number)).collect();
            (store.clone(), statements)
        })
        .collect();
    let start = Instant::now();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|(store, statements)| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                for bytes in statements {
                    let begun = Instant::now();
                    if start.elapsed() > TIME {
                        break;
                    }
                    let append =
                        store.write(move |transaction| transaction.append(&bytes, "received"));
                    append.await.expect("durable");
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    let per_second = times.len() as f64 / elapsed.as_secs_f64();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    say(format_args!(
        "{writers:4} writers: {per_second:9.0} appends/s, p50 {:?}, p99 {:?}",
        at(50),
        at(99)
    ));
    times
}

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).expect("usage: measure FOLDER");
    let path = std::path::Path::new(&folder).join("measure.db");
    let (key, network) = (NodeKey::from_secret([1; 32]), NetworkId([1; 32]));
    let store = Store::open(&path, network, key.id()).expect("open");
    for writers in [1, 8, 64, 256] {
        run(&store, &key, network, writers).await;
    }
    let begun = Instant::now();
    store.close().await.expect("closed");
    say(format_args!("close: {:?}", begun.elapsed()));
    let begun = Instant::now();
    let report = store::fsck(&path).expect("fsck");
    say(format_args!(
        "fsck of {} entries: {:?}, {:?}",
        report.entries,
        begun.elapsed(),
        report.findings
    ));
}
