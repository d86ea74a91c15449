//! Opening and closing: who may, and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use store::{Store, StoreError};
use wire::{NetworkId, NodeId};

use crate::fixture::{Blocking as _, Fixture, NETWORK, node, received};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn files_are_the_owners_alone() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.put(|transaction| transaction.put_meta("test", b"x"));
    let folder = fixture.path().parent().expect("a folder").to_owned();
    assert_eq!(mode(&folder), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().expect("name").to_string_lossy().into_owned());
    }
    assert!(names.len() >= 3, "database, write-ahead log and lock: {names:?}");
}

#[test]
fn one_store_at_a_time() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let error = Store::open(fixture.path(), NETWORK, node()).expect_err("locked");
    assert!(matches!(&error, StoreError::Locked { path } if path.ends_with("store.db.lock")));
    assert!(error.to_string().contains("store.db.lock"), "{error}");
    drop(store);
    fixture.open();
}

#[test]
fn another_network_or_node_is_refused() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let network = NetworkId([8; 32]);
    let error = Store::open(fixture.path(), network, node()).expect_err("network");
    assert!(
        matches!(error, StoreError::OtherNetwork { stored: NETWORK, given } if given == network)
    );
    let error = Store::open(fixture.path(), NETWORK, NodeId([9; 32])).expect_err("node");
    assert!(matches!(error, StoreError::OtherNode { stored, .. } if stored == node()));
    fixture.open();
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    drop(fixture.open());
    fixture.sql("PRAGMA user_version = 99");
    for _ in 0..2 {
        let error = Store::open(fixture.path(), NETWORK, node()).expect_err("newer");
        assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
        assert!(matches!(store::fsck(fixture.path()), Err(StoreError::Newer { .. })));
    }
}

#[test]
fn other_files_are_refused() {
    let fixture = Fixture::new();
    assert!(matches!(store::fsck(fixture.path()), Err(StoreError::Io { .. })));
    std::fs::create_dir(fixture.path().parent().expect("a folder")).expect("folder");
    std::fs::write(fixture.path(), "no database at all, but long enough ".repeat(9)).expect("file");
    let error = Store::open(fixture.path(), NETWORK, node()).expect_err("text");
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    std::fs::remove_file(fixture.path()).expect("file");
    fixture.sql("CREATE TABLE theirs (x)");
    let error = Store::open(fixture.path(), NETWORK, node()).expect_err("another program's");
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
}

#[tokio::test]
async fn closing_finishes_what_was_taken_and_refuses_the_rest() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let other = store.clone();
    let writes: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |transaction| transaction.append(&received(number), "received"))
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await.expect("closed");
    let mut done = 0;
    for write in writes {
        match write.await.expect("no panic") {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, StoreError::Closed), "{error}"),
        }
    }
    assert!(matches!(other.write(|_| Ok(())).await, Err(StoreError::Closed)));
    assert!(matches!(other.read(|_| Ok(())).await, Err(StoreError::Closed)));
    other.close().await.expect("closed twice");
    let size = fixture.open().read(|reader| reader.log_size()).await.expect("size");
    assert_eq!(size, done);
}
