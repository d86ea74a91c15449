//! The writer thread: it takes all writes that wait, runs them in one transaction, commits once and
//! only then answers.
//!
//! Invariants:
//! - nobody is told `Ok` before the commit that holds his changes is on disk;
//! - a write that fails or panics takes back its own changes (a savepoint) and nobody else's;
//! - when the commit fails, everybody in the group is told so, also those whose own answer was a
//!   refusal: it may have rested on a change that is gone;
//! - the frontier in memory is that of the tables between any two writes, or it is read again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Reader, StoreError, Transaction, file::FileLock, frontier::Frontier, reader::panic_error,
};

/// How many writes may wait. Who comes when the queue is full waits outside of it: the limit bounds
/// memory, not the number of callers.
pub(crate) const QUEUE: usize = 1_024;

/// The most writes in one commit, so that the first of them does not wait for an endless stream.
const GROUP: usize = 256;

/// A write on its way through the writer: first it runs, and after the commit it answers.
pub(crate) trait Job: Send {
    /// Runs the write; whether its changes are to be kept.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;
    /// Tells the caller its own result, or what became of the group.
    fn answer(self: Box<Self>, group: Result<(), Arc<StoreError>>);
}

/// The caller's end of a write.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

struct Write<F, T> {
    /// Taken when it runs.
    work: Option<F>,
    /// There once it has run.
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// A write, and where its answer will come.
pub(crate) fn job<T, F>(work: F) -> (Box<dyn Job>, Answer<T>)
where
    T: Send + 'static,
    F: FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Write { work: Some(work), result: None, reply }), answer)
}

impl<T, F> Job for Write<F, T>
where
    T: Send,
    F: FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        let work = self.work.take().expect("a write runs once");
        // Whatever the closure leaves half done in the transaction, the savepoint takes back.
        let result = catch_unwind(AssertUnwindSafe(|| work(transaction)));
        let result = result.unwrap_or_else(|panic| Err(panic_error(panic)));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, group: Result<(), Arc<StoreError>>) {
        let result = match group {
            Ok(()) => self.result.expect("a group that is committed has run"),
            Err(error) => Err(StoreError::Commit(error)),
        };
        // A caller that went away does not want to know; its write stands all the same.
        let _ = self.reply.send(result);
    }
}

/// What the writer thread owns. Fields drop in order: the lock goes last.
pub(crate) struct Writer {
    reader: Reader,
    /// `None` after a failure, until it is read again.
    frontier: Option<Frontier>,
    _lock: FileLock,
}

impl Writer {
    pub(crate) fn new(reader: Reader, lock: FileLock) -> Result<Self, StoreError> {
        let frontier = Some(reader.load_frontier()?);
        Ok(Self { reader, frontier, _lock: lock })
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = queue.blocking_recv() {
            self.group(first, || queue.try_recv().ok());
        }
    }

    fn group(&mut self, first: Box<dyn Job>, next: impl FnMut() -> Option<Box<dyn Job>>) {
        let mut group = Vec::new();
        let outcome = self.commit_group(first, next, &mut group).map_err(Arc::new);
        if outcome.is_err() {
            self.frontier = None;
            if !self.reader.connection().is_autocommit() {
                // If this fails too, the next group cannot begin and is told so.
                let _ = self.execute("ROLLBACK");
            }
        }
        for job in group {
            job.answer(outcome.clone());
        }
    }

    /// Runs `first` and all that `next` gives in one transaction. Every job that was taken is in
    /// `group` afterwards, also on failure.
    fn commit_group(
        &mut self,
        first: Box<dyn Job>,
        mut next: impl FnMut() -> Option<Box<dyn Job>>,
        group: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        group.push(first);
        self.execute("BEGIN IMMEDIATE")?;
        if self.frontier.is_none() {
            self.frontier = Some(self.reader.load_frontier()?);
        }
        loop {
            let job = group.last_mut().expect("one was just put in");
            Self::run_one(&self.reader, self.frontier.as_mut().expect("just loaded"), &mut **job)?;
            if group.len() == GROUP {
                break;
            }
            match next() {
                Some(job) => group.push(job),
                None => break,
            }
        }
        self.execute("COMMIT")
    }

    fn run_one(
        reader: &Reader,
        frontier: &mut Frontier,
        job: &mut dyn Job,
    ) -> Result<(), StoreError> {
        let before = frontier.clone();
        execute(reader, "SAVEPOINT write")?;
        let keep = job.run(&mut Transaction::new(reader, frontier));
        if reader.connection().is_autocommit() {
            return Err(StoreError::Abandoned);
        }
        if !keep {
            *frontier = before;
            execute(reader, "ROLLBACK TO write")?;
        }
        execute(reader, "RELEASE write")
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        execute(&self.reader, sql)
    }
}

fn execute(reader: &Reader, sql: &str) -> Result<(), StoreError> {
    reader.connection().prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests;
