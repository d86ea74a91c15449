//! The statements about a request, in the order in which they came.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use wire::{Attempt, NodeId, RequestId, StatementHash, merkle};

use crate::{Reader, StoreError, StoredRequest, Transaction};

/// A statement about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestStatement {
    /// Its place among the request's statements, from 0.
    pub sequence: u64,
    /// Which draw of the request it belongs to.
    pub attempt: Attempt,
    /// Its kind.
    pub kind: String,
    /// Who signed it.
    pub signer: NodeId,
    /// Its hash.
    pub hash: StatementHash,
    /// The statement.
    pub bytes: Vec<u8>,
}

/// A request that has not ended: what a relay takes up again after a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The request.
    pub request: StoredRequest,
    /// Its statements in order.
    pub statements: Vec<RequestStatement>,
}

fn statement(row: &Row<'_>) -> rusqlite::Result<RequestStatement> {
    Ok(RequestStatement {
        sequence: row.get("sequence")?,
        attempt: Attempt(row.get("attempt")?),
        kind: row.get("kind")?,
        signer: NodeId(row.get("signer")?),
        hash: StatementHash(row.get("hash")?),
        bytes: row.get("bytes")?,
    })
}

const SELECT: &str = "SELECT s.sequence, s.attempt, s.kind, s.signer, s.hash, s.bytes
    FROM request_statement s";

impl Transaction<'_> {
    /// Stores a statement about a request, or finds it stored already; its place. Kind and signer
    /// are read from the statement.
    pub fn add_request_statement(
        &mut self,
        request: &RequestId,
        attempt: Attempt,
        bytes: &[u8],
    ) -> Result<u64, StoreError> {
        let hash = merkle::leaf_hash(bytes);
        let known = self.one(
            "SELECT sequence FROM request_statement WHERE request = ?1 AND hash = ?2",
            params![request.0, hash],
            |row| row.get(0),
        )?;
        if let Some(sequence) = known {
            return Ok(sequence);
        }
        let envelope = self.owner().envelope(bytes)?;
        let signer: NodeId = envelope.signer_hex().parse().map_err(|_| StoreError::NotOurs {
            what: "signer",
            expected: "a node".to_owned(),
            got: envelope.signer_hex(),
        })?;
        if !self.has_request(request)? {
            return Err(StoreError::NotFound { what: "request", key: request.to_string() });
        }
        let next =
            "SELECT COALESCE(MAX(sequence) + 1, 0) FROM request_statement WHERE request = ?1";
        let sequence = self.one(next, [request.0], |row| row.get(0))?.unwrap_or(0_u64);
        self.execute(
            "INSERT INTO request_statement (request, sequence, attempt, kind, signer, bytes, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![request.0, sequence, attempt.0, envelope.kind, signer.0, bytes, hash],
        )?;
        Ok(sequence)
    }
}

impl Reader {
    /// The statements about a request, in order.
    pub fn request_statements(
        &self,
        request: &RequestId,
    ) -> Result<Vec<RequestStatement>, StoreError> {
        let sql = format!("{SELECT} WHERE s.request = ?1 ORDER BY s.sequence");
        self.all(&sql, [request.0], statement)
    }

    /// All requests that have not ended, oldest first, with their statements.
    pub fn open_requests(&self) -> Result<Vec<OpenRequest>, StoreError> {
        let mut statements: BTreeMap<RequestId, Vec<RequestStatement>> = BTreeMap::new();
        let sql = "SELECT s.request, s.sequence, s.attempt, s.kind, s.signer, s.hash, s.bytes
            FROM request_statement s JOIN request r ON r.id = s.request
            WHERE r.state = 'open' ORDER BY s.request, s.sequence";
        for (request, statement) in
            self.all(sql, [], |row| Ok((RequestId(row.get("request")?), statement(row)?)))?
        {
            statements.entry(request).or_default().push(statement);
        }
        let requests = self.requests_in_open_state()?;
        let with_statements = |request: StoredRequest| {
            let statements = statements.remove(&request.id).unwrap_or_default();
            OpenRequest { request, statements }
        };
        Ok(requests.into_iter().map(with_statements).collect())
    }
}
