//! The promises of `write` and `read`: durable, whole, apart from each other.

use std::sync::mpsc;

use store::StoreError;

use crate::fixture::{Blocking as _, Fixture, received};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_are_all_there_after_a_reopen() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let writes: Vec<_> = (0..100_u64)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let bytes = received(number);
                let write = store.write(move |transaction| transaction.append(&bytes, "received"));
                (number, write.await.expect("durable"))
            })
        })
        .collect();
    let mut indexes = Vec::new();
    for write in writes {
        indexes.push(write.await.expect("no panic"));
    }
    store.close().await.expect("closed");
    let store = fixture.open();
    let mut seen: Vec<u64> = indexes.iter().map(|(_, index)| *index).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    for (number, index) in indexes {
        let entry = store.read(move |reader| reader.entry(index)).await.expect("read");
        assert_eq!(entry.expect("there").bytes, received(number));
    }
}

/// Holds the writer up until all writes are waiting, so that they are one group.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_write_of_a_group_fails_alone() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (go, wait) = mpsc::channel::<()>();
    let (begun, first_runs) = mpsc::channel();
    let first = tokio::spawn({
        let store = store.clone();
        async move {
            let held = move |transaction: &mut store::Transaction<'_>| {
                begun.send(()).expect("told");
                wait.recv().expect("released");
                transaction.append(&received(0), "received")
            };
            store.write(held).await
        }
    });
    tokio::task::block_in_place(|| first_runs.recv().expect("begun"));
    let write = |number: u64| {
        let store = store.clone();
        async move {
            let work = move |transaction: &mut store::Transaction<'_>| {
                let index = transaction.append(&received(number), "received")?;
                match number % 3 {
                    1 => Err(StoreError::Closed),
                    2 => panic!("write {number} panics"),
                    _ => Ok(index),
                }
            };
            store.write(work).await
        }
    };
    let mut writes: Vec<_> = (1..=9).map(|number| Box::pin(write(number))).collect();
    for write in &mut writes {
        // One poll puts the write in the queue, which is longer than this test.
        let waker = std::task::Waker::noop();
        assert!(write.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    go.send(()).expect("released");
    assert_eq!(first.await.expect("no panic").expect("durable"), 0);
    let mut kept = vec![received(0)];
    for (number, write) in (1..).zip(writes) {
        match (number % 3, write.await) {
            (1, Err(StoreError::Closed)) => {}
            (2, Err(StoreError::Panicked(text))) => {
                assert_eq!(text, format!("write {number} panics"))
            }
            (0, Ok(index)) => {
                assert_eq!(index, kept.len() as u64);
                kept.push(received(number));
            }
            (_, other) => panic!("write {number}: {other:?}"),
        }
    }
    store.close().await.expect("closed");
    let store = fixture.open();
    for (index, bytes) in (0..).zip(&kept) {
        assert_eq!(&store.see(|reader| reader.entry(index)).expect("there").bytes, bytes);
    }
    assert_eq!(store.see(|reader| reader.log_size()), kept.len() as u64);
    drop(store);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn a_reader_sees_one_state_and_its_panic_is_its_own() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.put(|transaction| transaction.put_meta("test", b"old"));
    let (before, after) = store.see(|reader| {
        let before = reader.meta("test")?;
        store.put(|transaction| transaction.put_meta("test", b"new"));
        Ok((before, reader.meta("test")?))
    });
    assert_eq!((before.as_deref(), after.as_deref()), (Some(&b"old"[..]), Some(&b"old"[..])));
    let panicked = store.read_blocking(|_| -> Result<(), StoreError> { panic!("on purpose") });
    assert!(matches!(panicked, Err(StoreError::Panicked(text)) if text == "on purpose"));
    assert_eq!(store.see(|reader| reader.meta("test")).as_deref(), Some(&b"new"[..]));
}

#[test]
fn the_last_clone_may_be_dropped_by_the_writer_itself() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let held = store.clone();
    let (go, wait) = mpsc::channel::<()>();
    let (done, ended) = mpsc::channel();
    let write = std::thread::spawn(move || {
        let work = move |_: &mut store::Transaction<'_>| {
            wait.recv().expect("released");
            drop(held);
            done.send(()).expect("told");
            Ok(())
        };
        // The caller's own clone is gone before the closure's.
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async move {
            let mut write = Box::pin(async move { store.write(work).await });
            let waker = std::task::Waker::noop();
            assert!(write.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        });
    });
    write.join().expect("no panic");
    go.send(()).expect("released");
    ended.recv().expect("the writer went on");
}
