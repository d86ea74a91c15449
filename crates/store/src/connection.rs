//! How a connection is set up, and the versions of the schema.
//!
//! Invariant: a connection that leaves this file has write-ahead logging, syncs every commit
//! (`synchronous = FULL`), enforces references, and stands at the last version of the schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{StoreError, owner::Owner};

/// One script per version, in order; a script that was released never changes.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001.sql")];

/// "Quor": marks the file as a database of this program.
const APPLICATION_ID: i64 = 0x5175_6f72;

/// How long to wait for a lock that a tool like `sqlite3` may hold for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this size after a burst, in bytes.
const JOURNAL_LIMIT_BYTES: i64 = 64 * 1024 * 1024;

/// Room for every statement of this crate, so that none is parsed twice.
const STATEMENT_CACHE: usize = 128;

fn last_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("few versions")
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The version of the schema; 0 in an empty file. Refuses what another program, or a later version
/// of this one, has made.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let not_a_store = || StoreError::NotAStore { path: path.to_owned() };
    let application = match pragma(connection, "application_id") {
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) =>
        {
            return Err(not_a_store());
        }
        other => other?,
    };
    let found = pragma(connection, "user_version")?;
    let objects: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, found, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > last_version() => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: last_version() })
        }
        (APPLICATION_ID, 1.., _) => Ok(found),
        _ => Err(not_a_store()),
    }
}

/// Opens the database for writing, makes or brings forward its tables, and checks its owner.
pub(crate) fn open_writer(path: &Path, owner: &Owner) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let found = version(&connection, path)?;
    if found > 0 {
        owner.check(&connection, path)?;
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let source = std::io::ErrorKind::Unsupported.into();
        return Err(StoreError::io("use write-ahead logging on", path)(source));
    }
    connection.pragma_update(None, "synchronous", "full")?;
    // Like the journal mode, this pragma answers with a row.
    connection
        .pragma_update_and_check(None, "journal_size_limit", JOURNAL_LIMIT_BYTES, |_| Ok(()))?;
    if found < last_version() {
        migrate(&connection, found, owner)?;
    }
    Ok(connection)
}

/// All missing versions in one transaction: after a crash the file has the old version or the last.
fn migrate(connection: &Connection, found: i64, owner: &Owner) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let done = usize::try_from(found).expect("checked to be at most the number of versions");
    for script in &MIGRATIONS[done..] {
        transaction.execute_batch(script)?;
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        owner.store(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", last_version())?;
    Ok(transaction.commit()?)
}

/// Opens a database that a writer has prepared, for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a database that nobody may have prepared, for reading only, and says whose it is.
pub(crate) fn open_foreign(path: &Path) -> Result<(Connection, Owner), StoreError> {
    std::fs::metadata(path).map_err(StoreError::io("read", path))?;
    let connection = open_reader(path)?;
    if version(&connection, path)? < last_version() {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    let owner = Owner::load(&connection, path)?;
    Ok((connection, owner))
}
