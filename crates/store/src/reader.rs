//! Reading: one connection as its users see it, and the pool that lends connections out.
//!
//! Invariant: everything that one closure reads comes from one state of the database, however many
//! writes are committed meanwhile.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use tokio::sync::Semaphore;

use crate::{StoreError, connection, owner::Owner};

/// How many closures read at one time; more would only wait for the same disk and cores.
const READERS: usize = 4;

/// The most rows that one page of a list has, whatever the caller asks for.
pub const MAX_PAGE_ROWS: usize = 1_000;

/// One view of the database. Each file of this crate adds what it can read.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    owner: Owner,
}

impl Reader {
    pub(crate) fn new(connection: Connection, owner: Owner) -> Self {
        Self { connection, owner }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The first row of a query, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, map).optional()?)
    }

    /// All rows of a query.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, map)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

/// The database's form of a number from outside.
pub(crate) fn integer(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::OutOfRange { what, got: value })
}

/// The database's form of a page's length.
pub(crate) fn page_rows(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE_ROWS)).expect("a small number")
}

/// What a panic said.
pub(crate) fn panic_error(panic: Box<dyn std::any::Any + Send>) -> StoreError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    StoreError::Panicked(text.unwrap_or_else(|| "without a message".to_owned()))
}

/// Reading connections that are not in use.
#[derive(Debug)]
pub(crate) struct ReaderPool {
    path: PathBuf,
    owner: Owner,
    /// `None` once the store is closed.
    idle: Mutex<Option<Vec<Reader>>>,
    permits: Arc<Semaphore>,
}

impl ReaderPool {
    pub(crate) fn new(path: PathBuf, owner: Owner) -> Self {
        let permits = Arc::new(Semaphore::new(READERS));
        Self { path, owner, idle: Mutex::new(Some(Vec::new())), permits }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Reader>>> {
        // The list is whole between any two of its operations, so a panic elsewhere leaves it good.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a connection to `read`, waiting for nobody.
    pub(crate) fn run<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lent = self.idle().as_mut().ok_or(StoreError::Closed)?.pop();
        let reader = match lent {
            Some(reader) => reader,
            None => Reader::new(connection::open_reader(&self.path)?, self.owner),
        };
        reader.connection.execute_batch("BEGIN")?;
        let result = catch_unwind(AssertUnwindSafe(|| read(&reader)));
        reader.connection.execute_batch("ROLLBACK")?;
        if let Some(idle) = self.idle().as_mut().filter(|idle| idle.len() < READERS) {
            idle.push(reader);
        }
        result.unwrap_or_else(|panic| Err(panic_error(panic)))
    }

    /// Lends a connection to `read` on a blocking thread of tokio; waits while all are lent.
    pub(crate) async fn run_on<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pool.run(read)
        });
        // The task catches its panics, so it can only be cancelled, when the runtime shuts down.
        task.await.map_err(|_| StoreError::Closed)?
    }

    /// Refuses all further reads; those under way come to their end.
    pub(crate) fn close(&self) {
        self.permits.close();
        *self.idle() = None;
    }
}
