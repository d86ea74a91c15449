//! Failures of whole groups, which only closures with access to the SQL can provoke.

use wire::{NetworkId, NodeId};

use super::*;
use crate::{connection, file, owner::Owner};

fn writer(folder: &std::path::Path) -> Writer {
    let path = folder.join("store.db");
    let owner = Owner { network: NetworkId([1; 32]), node: NodeId([2; 32]) };
    let lock = file::prepare(&path).expect("lock");
    let connection = connection::open_writer(&path, &owner).expect("open");
    Writer::new(Reader::new(connection, owner), lock).expect("writer")
}

type Closure = Box<dyn FnOnce(&mut Transaction<'_>) -> Result<u64, StoreError> + Send>;

/// Runs all writes as one group; their answers.
fn run_group(writer: &mut Writer, writes: Vec<Closure>) -> Vec<Result<u64, StoreError>> {
    let (jobs, answers): (Vec<_>, Vec<_>) = writes.into_iter().map(job).unzip();
    let mut jobs = jobs.into_iter();
    let first = jobs.next().expect("at least one");
    writer.group(first, || jobs.next());
    // A write that the group did not take is dropped with its reply.
    let answer = |mut answer: Answer<u64>| answer.try_recv().unwrap_or(Err(StoreError::Closed));
    answers.into_iter().map(answer).collect()
}

fn leaf(number: u8) -> Closure {
    Box::new(move |transaction| transaction.append_leaf(&[number], "test"))
}

fn failing(sql: &'static str) -> Closure {
    Box::new(move |transaction| {
        transaction.connection().execute_batch(sql)?;
        Ok(0)
    })
}

#[test]
fn a_failing_write_takes_back_its_own_changes_only() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = writer(folder.path());
    let refused: Closure = Box::new(|transaction| {
        transaction.append_leaf(b"gone", "test")?;
        Err(StoreError::Closed)
    });
    let panics: Closure = Box::new(|transaction| {
        transaction.append_leaf(b"gone too", "test")?;
        panic!("on purpose")
    });
    let answers = run_group(&mut writer, vec![leaf(0), refused, panics, leaf(1)]);
    assert!(matches!(answers[0], Ok(0)));
    assert!(matches!(answers[1], Err(StoreError::Closed)));
    assert!(matches!(&answers[2], Err(StoreError::Panicked(text)) if text == "on purpose"));
    assert!(matches!(answers[3], Ok(1)));
    let head = writer.frontier.as_ref().expect("loaded").head();
    assert_eq!(head, writer.reader.log_head().expect("head"));
    assert_eq!(head.size, 2);
}

#[test]
fn a_failing_commit_is_told_to_all_and_leaves_nothing() {
    // A reference that is checked at the commit only, and a transaction that ends in the middle.
    let dangling = "PRAGMA defer_foreign_keys = ON; INSERT INTO request_statement VALUES \
        (zeroblob(32), 0, 0, 'draw', zeroblob(32), x'00', zeroblob(32))";
    for cause in [dangling, "ROLLBACK"] {
        let folder = tempfile::tempdir().expect("folder");
        let mut writer = writer(folder.path());
        assert!(matches!(run_group(&mut writer, vec![leaf(0)])[..], [Ok(0)]));
        let answers = run_group(&mut writer, vec![leaf(1), failing(cause), leaf(2)]);
        // A transaction that was abandoned takes in no more writes.
        let told = |answer: &Result<u64, StoreError>| matches!(answer, Err(StoreError::Commit(_)));
        let count = if cause == "ROLLBACK" { 2 } else { 3 };
        assert!(answers[..count].iter().all(told), "{answers:?}");
        assert_eq!(writer.reader.log_head().expect("head").size, 1, "{cause}");
        assert!(matches!(run_group(&mut writer, vec![leaf(3)])[..], [Ok(1)]), "{cause}");
        let head = writer.frontier.as_ref().expect("loaded").head();
        assert_eq!(head, writer.reader.log_head().expect("head"));
    }
}
