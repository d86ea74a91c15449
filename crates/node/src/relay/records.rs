//! How the relay's records are stored: own statements in the log, all of them with their request.

use std::collections::HashMap;

use compute::{Ending, Record};
use store::{NewRequest, StoreError};
use wire::{
    Body as _, RequestId, Round, Signed,
    compute::Tally,
    compute::{Agreement, Failure, Received},
    encoding,
};

/// Stores one record; `keys` are the idempotency keys of new requests.
pub(super) fn store_record(
    transaction: &mut store::Transaction<'_>,
    record: &Record,
    keys: &HashMap<RequestId, String>,
) -> Result<(), StoreError> {
    match record {
        Record::Request { request, received } => {
            let id = request.id();
            if transaction.request(&id)?.is_some() {
                // To sign for one request twice would convict this relay.
                let key = id.to_string();
                return Err(StoreError::Conflict { what: "request", key });
            }
            let log_index = transaction.append(received.bytes(), Received::KIND)?;
            transaction.put_request(&NewRequest {
                id,
                bytes: &encoding::to_bytes(request),
                received: received.body.received,
                log_index,
                idempotency_key: keys.get(&id).map(String::as_str),
            })?;
        }
        Record::Statement { request, attempt, kind, bytes, own, .. } => {
            if *own {
                transaction.append(bytes, kind)?;
            }
            transaction.add_request_statement(request, *attempt, bytes)?;
        }
        Record::End { request, ending, attempts, ended } => {
            let (state, kind, bytes) = match ending {
                Ending::Agreed(agreement) => {
                    (store::RequestState::Agreed, Agreement::KIND, agreement.bytes())
                }
                Ending::Failed(failure) => {
                    (store::RequestState::Failed, Failure::KIND, failure.bytes())
                }
            };
            transaction.append(bytes, kind)?;
            if let Ending::Agreed(_) = ending {
                keep_rounds(transaction, request)?;
            }
            transaction.finish_request(request, state, bytes, *ended, *attempts)?;
        }
    }
    Ok(())
}

/// Keeps the rounds that the request's certificate will show.
fn keep_rounds(
    transaction: &mut store::Transaction<'_>,
    request: &RequestId,
) -> Result<(), StoreError> {
    let mut first = None;
    for statement in transaction.request_statements(request)? {
        if statement.kind == Tally::KIND {
            let tally = Signed::<Tally>::open_trusted(&statement.bytes)
                .map_err(|error| StoreError::Damaged(format!("request {request}: {error}")))?;
            let round = tally.body.round;
            first.get_or_insert(round);
            transaction.keep_round(round)?;
            transaction.keep_round(round.previous())?;
        }
    }
    if let Some(first) = first {
        for back in 2..=super::certificate::LINKS + 1 {
            transaction.keep_round(Round(first.0.saturating_sub(back)))?;
        }
    }
    Ok(())
}
