//! Taking, ending and listing requests.

use rusqlite::{
    Row, params,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use wire::{
    Body as _, Millis, RequestId,
    compute::{Agreement, Failure, Request},
    encoding,
};

use super::{NewRequest, PutRequest, RequestCounts, RequestCursor, RequestState, StoredRequest};
use crate::{
    Reader, StoreError, Transaction,
    reader::{integer, page_rows},
};

impl FromSql for RequestState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let states = [Self::Open, Self::Agreed, Self::Failed];
        let word = value.as_str()?;
        states.into_iter().find(|state| state.as_str() == word).ok_or(FromSqlError::InvalidType)
    }
}

fn stored_request(row: &Row<'_>) -> rusqlite::Result<StoredRequest> {
    Ok(StoredRequest {
        id: RequestId(row.get("id")?),
        cursor: RequestCursor(row.get("sequence")?),
        bytes: row.get("bytes")?,
        received: Millis(row.get("received_ms")?),
        log_index: row.get("log_index")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        finished: row.get::<_, Option<u64>>("finished_ms")?.map(Millis),
        idempotency_key: row.get("idempotency_key")?,
        final_statement: row.get("final")?,
    })
}

const SELECT: &str = "SELECT sequence, id, bytes, received_ms, log_index, state, attempts,
    finished_ms, idempotency_key, final FROM request";

/// Whether `bytes` are the request with this id.
pub(crate) fn is_request(id: &RequestId, bytes: &[u8]) -> bool {
    encoding::from_bytes::<Request>("a request", bytes).is_ok_and(|request| request.id() == *id)
}

/// The kind of the statement with which a request ends in a state.
pub(crate) fn final_kind(state: RequestState) -> Option<&'static str> {
    match state {
        RequestState::Open => None,
        RequestState::Agreed => Some(Agreement::KIND),
        RequestState::Failed => Some(Failure::KIND),
    }
}

impl Transaction<'_> {
    /// Takes a request whose `received` statement was appended before. A request that is known, by
    /// its id or by its key, is handed back as it is stored; a key that belongs to another request
    /// is a conflict. Who appended a *new* `received` statement for a known request must let the
    /// transaction fail.
    pub fn put_request(&mut self, new: &NewRequest<'_>) -> Result<PutRequest, StoreError> {
        if !is_request(&new.id, new.bytes) {
            return Err(StoreError::Mismatch { what: "request", key: new.id.to_string() });
        }
        if let Some(key) = new.idempotency_key
            && let Some(stored) = self.request_by_key(key)?
            && stored.id != new.id
        {
            let key = format!("idempotency key {key:?}");
            return Err(StoreError::Conflict { what: "request", key });
        }
        if let Some(stored) = self.request(&new.id)? {
            return Ok(PutRequest::Known(stored));
        }
        self.execute(
            "INSERT INTO request
                 (id, bytes, received_ms, log_index, state, attempts, idempotency_key)
             VALUES (?1, ?2, ?3, ?4, 'open', 0, ?5)",
            params![
                new.id.0,
                new.bytes,
                integer("a time", new.received.0)?,
                integer("a log index", new.log_index)?,
                new.idempotency_key
            ],
        )?;
        let stored = self.request(&new.id)?;
        let stored =
            stored.ok_or_else(|| StoreError::Damaged("a new row is missing".to_owned()))?;
        Ok(PutRequest::New(stored))
    }

    /// Ends a request with the relay's last word on it. The same end again changes nothing; another
    /// one is a conflict. `state` must not be open.
    pub fn finish_request(
        &mut self,
        id: &RequestId,
        state: RequestState,
        final_statement: &[u8],
        finished: Millis,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let kind = final_kind(state).expect("a request ends agreed or failed");
        self.owner().own_statement(final_statement, kind)?;
        let not_found = || StoreError::NotFound { what: "request", key: id.to_string() };
        let stored = self.request(id)?.ok_or_else(not_found)?;
        if stored.state != RequestState::Open {
            let same = stored.final_statement.as_deref() == Some(final_statement);
            let conflict = StoreError::Conflict { what: "end", key: format!("request {id}") };
            return if same { Ok(()) } else { Err(conflict) };
        }
        self.execute(
            "UPDATE request SET state = ?2, final = ?3, finished_ms = ?4, attempts = ?5
             WHERE id = ?1",
            params![
                id.0,
                state.as_str(),
                final_statement,
                integer("a time", finished.0)?,
                attempts
            ],
        )?;
        Ok(())
    }
}

impl Reader {
    /// A request.
    pub fn request(&self, id: &RequestId) -> Result<Option<StoredRequest>, StoreError> {
        self.one(&format!("{SELECT} WHERE id = ?1"), [id.0], stored_request)
    }

    /// The request that a client's idempotency key belongs to.
    pub fn request_by_key(&self, key: &str) -> Result<Option<StoredRequest>, StoreError> {
        self.one(&format!("{SELECT} WHERE idempotency_key = ?1"), [key], stored_request)
    }

    /// Requests before a cursor, newest first, at most `limit`; from the newest on without one.
    pub fn list_requests(
        &self,
        before: Option<RequestCursor>,
        limit: usize,
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let before = before.map_or(i64::MAX, |cursor| cursor.0);
        let sql = format!("{SELECT} WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2");
        self.all(&sql, [before, page_rows(limit)], stored_request)
    }

    /// How many requests there are in each state.
    pub fn request_counts(&self) -> Result<RequestCounts, StoreError> {
        let sql = "SELECT state, COUNT(*) FROM request GROUP BY state";
        let mut counts = RequestCounts::default();
        for (state, count) in self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))? {
            match state {
                RequestState::Open => counts.open = count,
                RequestState::Agreed => counts.agreed = count,
                RequestState::Failed => counts.failed = count,
            }
        }
        Ok(counts)
    }

    pub(super) fn has_request(&self, id: &RequestId) -> Result<bool, StoreError> {
        let found = self.one("SELECT 1 FROM request WHERE id = ?1", [id.0], |_| Ok(()))?;
        Ok(found.is_some())
    }

    pub(super) fn requests_in_open_state(&self) -> Result<Vec<StoredRequest>, StoreError> {
        self.all(&format!("{SELECT} WHERE state = 'open' ORDER BY sequence"), [], stored_request)
    }
}
