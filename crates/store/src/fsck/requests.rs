//! `fsck` of compute: requests and the statements about them on the relay's side, work on the
//! worker's.

use wire::{
    Body as _, NodeId, RequestId,
    compute::{Commit, Received, Reveal},
    merkle,
};

use super::Check;
use crate::{
    RequestState, StoreError,
    relay::{final_kind, is_request},
};

impl Check<'_> {
    pub(super) fn requests(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT r.id, r.bytes, r.state, r.final, e.kind
            FROM request r LEFT JOIN log_entry e ON e.idx = r.log_index ORDER BY r.sequence";
        let mut statement = self.reader.connection().prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = RequestId(row.get(0)?);
            let state: RequestState = row.get(2)?;
            let (last, kind): (Option<Vec<u8>>, Option<String>) = (row.get(3)?, row.get(4)?);
            if !is_request(&id, &row.get::<_, Vec<u8>>(1)?) {
                self.found(format!("request {id}: its bytes are not the request of that id"));
            }
            if kind.as_deref() != Some(Received::KIND) {
                self.found(format!(
                    "request {id}: the log has no receipt of it where it names one"
                ));
            }
            if let (Some(kind), Some(bytes)) = (final_kind(state), last) {
                let result = self.owner().own_statement(&bytes, kind);
                self.expect(format_args!("the end of request {id}"), result);
            }
        }
        Ok(())
    }

    pub(super) fn statements_of_requests(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT request, sequence, kind, signer, hash, bytes FROM request_statement
            ORDER BY request, sequence";
        let mut statement = self.reader.connection().prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut expected: Option<(RequestId, u64)> = None;
        while let Some(row) = rows.next()? {
            let (id, sequence) = (RequestId(row.get(0)?), row.get::<_, u64>(1)?);
            let (kind, signer): (String, NodeId) = (row.get(2)?, NodeId(row.get(3)?));
            let (hash, bytes): ([u8; 32], Vec<u8>) = (row.get(4)?, row.get(5)?);
            let what = format!("statement {sequence} of request {id}");
            let next = expected.filter(|(request, _)| *request == id).map_or(0, |(_, next)| next);
            if sequence != next {
                self.found(format!("{what}: statement {next} is missing before it"));
            }
            expected = Some((id, sequence + 1));
            if merkle::leaf_hash(&bytes) != hash {
                self.found(format!("{what}: its bytes do not have its hash"));
            }
            let envelope = self.owner().envelope(&bytes);
            if let Ok(envelope) = &envelope
                && (envelope.kind != kind || envelope.signer_hex() != signer.to_string())
            {
                self.found(format!("{what}: it has another kind or signer than its row"));
            }
            self.expect(what, envelope);
        }
        Ok(())
    }

    pub(super) fn work(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT request, attempt, commit_statement, reveal_statement
            FROM work ORDER BY request, attempt";
        let mut statement = self.reader.connection().prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, attempt) = (RequestId(row.get(0)?), row.get::<_, u32>(1)?);
            let what = format!("work on request {id}, attempt {attempt}");
            for (column, kind) in [(2, Commit::KIND), (3, Reveal::KIND)] {
                if let Some(bytes) = row.get::<_, Option<Vec<u8>>>(column)? {
                    let result = self.owner().own_statement(&bytes, kind);
                    self.expect(format_args!("{what}, its {kind}"), result);
                }
            }
        }
        Ok(())
    }
}
