//! Open requests as they were stored, in the form that the machine takes up again.

use super::stories::read_facts;
use compute::{StoredAttempt, StoredRequest};
use store::{OpenRequest, StoreError};
use wire::{
    Body as _, Signed,
    compute::{Commit, Draw, Received, Request, Reveal, Tally, Widening},
    encoding,
};

/// Reads a stored request. Its statements were verified when they were taken in.
pub(crate) fn restore(
    reader: &store::Reader,
    stored: &OpenRequest,
) -> Result<StoredRequest, StoreError> {
    let id = stored.request.id;
    let damaged = |what: String| StoreError::Damaged(format!("request {id}: {what}"));
    let request: Request = encoding::from_bytes("a request", &stored.request.bytes)
        .map_err(|error| damaged(error.to_string()))?;
    let entry = reader.entry(stored.request.log_index)?;
    let entry = entry.ok_or_else(|| damaged("its log entry is missing".to_owned()))?;
    let received = Signed::<Received>::open_trusted(&entry.bytes)
        .map_err(|error| damaged(error.to_string()))?;
    let mut attempts: Vec<StoredAttempt> = Vec::new();
    for statement in &stored.statements {
        let number = usize::try_from(statement.attempt.0).expect("attempts are limited");
        if attempts.len() <= number {
            attempts.resize_with(number + 1, StoredAttempt::default);
        }
        let attempt = &mut attempts[number];
        let bytes = &statement.bytes;
        let read = match statement.kind.as_str() {
            Draw::KIND => Signed::open_trusted(bytes).map(|draw| attempt.drawn.push(draw)),
            Commit::KIND => Signed::open_trusted(bytes).map(|commit| attempt.commits.push(commit)),
            Tally::KIND => Signed::open_trusted(bytes).map(|tally| attempt.tally = Some(tally)),
            Widening::KIND => {
                Signed::open_trusted(bytes).map(|widening| attempt.widening = Some(widening))
            }
            Reveal::KIND => Signed::open_trusted(bytes).map(|reveal| attempt.reveals.push(reveal)),
            _ => Ok(()),
        };
        read.map_err(|error| damaged(error.to_string()))?;
    }
    for attempt in &mut attempts {
        if let Some(draw) = attempt.drawn.first() {
            let facts = read_facts(reader, draw.body.round)?;
            attempt.population = facts.map_or(0, |facts| facts.population);
        }
    }
    Ok(StoredRequest { request, received, attempts })
}
