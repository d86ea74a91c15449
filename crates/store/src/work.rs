//! Compute work as a drawn worker keeps it.
//!
//! Invariant: a worker has one commit and one reveal per request and attempt. Who comes with another
//! gets back the stored ones, and sends those: a worker that sent two would be convicted.

use rusqlite::{Row, params};
use wire::{Attempt, Millis, NodeId, RequestId};

use crate::{Reader, StoreError, Transaction, reader::integer};

/// Work that a worker was drawn for.
#[derive(Debug, Clone, Copy)]
pub struct NewWork {
    /// The request.
    pub request: RequestId,
    /// Which draw of it.
    pub attempt: Attempt,
    /// Whose request it is.
    pub relay: NodeId,
    /// When it is of no use any more.
    pub deadline: Millis,
    /// When the work was taken on.
    pub created: Millis,
}

/// Work as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The request.
    pub request: RequestId,
    /// Which draw of it.
    pub attempt: Attempt,
    /// Whose request it is.
    pub relay: NodeId,
    /// When it is of no use any more.
    pub deadline: Millis,
    /// The commit and the reveal, once the script has run; the reveal is a secret until the tally.
    pub commit_and_reveal: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether nothing is left to do.
    pub done: bool,
    /// When the work was taken on.
    pub created: Millis,
}

fn work(row: &Row<'_>) -> rusqlite::Result<Work> {
    let commit: Option<Vec<u8>> = row.get("commit_statement")?;
    let reveal: Option<Vec<u8>> = row.get("reveal_statement")?;
    Ok(Work {
        request: RequestId(row.get("request")?),
        attempt: Attempt(row.get("attempt")?),
        relay: NodeId(row.get("relay")?),
        deadline: Millis(row.get("deadline_ms")?),
        commit_and_reveal: commit.zip(reveal),
        done: row.get("done")?,
        created: Millis(row.get("created_ms")?),
    })
}

const SELECT: &str = "SELECT request, attempt, relay, deadline_ms, commit_statement,
    reveal_statement, done, created_ms FROM work";

fn not_found(request: &RequestId, attempt: Attempt) -> StoreError {
    StoreError::NotFound { what: "work", key: format!("{request}, attempt {}", attempt.0) }
}

impl Transaction<'_> {
    /// Takes on work, before it is begun; what is stored for its request and attempt, which is the
    /// older one if there was one.
    pub fn put_work(&mut self, new: &NewWork) -> Result<Work, StoreError> {
        self.execute(
            "INSERT INTO work (request, attempt, relay, deadline_ms, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (request, attempt) DO NOTHING",
            params![
                new.request.0,
                new.attempt.0,
                new.relay.0,
                integer("a time", new.deadline.0)?,
                integer("a time", new.created.0)?
            ],
        )?;
        let stored = self.work(&new.request, new.attempt)?;
        stored.ok_or_else(|| not_found(&new.request, new.attempt))
    }

    /// Stores the commit and the reveal of work that was taken on, before either is sent. Returns
    /// what is stored: the older ones if there were some. The caller sends those.
    pub fn put_work_commit(
        &mut self,
        request: &RequestId,
        attempt: Attempt,
        commit: &[u8],
        reveal: &[u8],
    ) -> Result<Work, StoreError> {
        self.execute(
            "UPDATE work SET commit_statement = ?3, reveal_statement = ?4
             WHERE request = ?1 AND attempt = ?2 AND commit_statement IS NULL",
            params![request.0, attempt.0, commit, reveal],
        )?;
        self.work(request, attempt)?.ok_or_else(|| not_found(request, attempt))
    }

    /// Nothing is left to do: the result was shown, or the request has ended.
    pub fn finish_work(&mut self, request: &RequestId, attempt: Attempt) -> Result<(), StoreError> {
        let found = self.execute(
            "UPDATE work SET done = 1 WHERE request = ?1 AND attempt = ?2",
            params![request.0, attempt.0],
        )?;
        if found == 0 { Err(not_found(request, attempt)) } else { Ok(()) }
    }

    /// Forgets finished work that was taken on before a moment; how much is gone. The caller picks a
    /// moment so old that the deadlines of all such requests have passed: a worker that is asked
    /// again for what it forgot could commit a second time.
    pub fn prune_work(&mut self, before: Millis) -> Result<u64, StoreError> {
        let before = integer("a time", before.0)?;
        let sql = "DELETE FROM work WHERE done = 1 AND created_ms < ?1";
        Ok(self.execute(sql, [before])? as u64)
    }
}

impl Reader {
    /// The work for one attempt of a request.
    pub fn work(&self, request: &RequestId, attempt: Attempt) -> Result<Option<Work>, StoreError> {
        let sql = format!("{SELECT} WHERE request = ?1 AND attempt = ?2");
        self.one(&sql, params![request.0, attempt.0], work)
    }

    /// All work that is not finished, oldest first: what a worker takes up again after a start.
    pub fn unfinished_work(&self) -> Result<Vec<Work>, StoreError> {
        let sql = format!("{SELECT} WHERE done = 0 ORDER BY created_ms, request, attempt");
        self.all(&sql, [], work)
    }
}
