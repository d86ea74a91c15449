//! Certificates, made from what is stored.
//!
//! Invariant: a certificate that leaves this relay was checked by the same rules by which others
//! check it.

use std::collections::BTreeMap;

use directory::Snapshot;
use store::{Reader, StoreError, StoredRequest};
use verify::{
    Certificate, CertificateError,
    record::{AttemptParts, Parts, WorkerParts},
};
use wire::{
    Body as _, NetworkId, NodeId, Round, Signed, StatementHash,
    compute::{Agreement, Commit, Draw, DrawOpening, Received, Request, Reveal, Tally, Widening},
    encoding,
    network::Role,
};

use crate::rounds::view_of;

/// Rounds shown before the first that decides: so many links of the seed chain are checked besides
/// those of the draws.
pub(super) const LINKS: u64 = 8;
/// The longest script that a certificate shows, in bytes.
const MAX_SHOWN_CODE_BYTES: usize = 64 * 1024;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    #[error("cannot read what the certificate is made of")]
    Store(#[from] StoreError),
    #[error("the certificate that this relay would give out does not hold")]
    Refused(#[from] CertificateError),
    #[error("{0} is not stored any more")]
    Missing(String),
}

#[derive(Default)]
struct StoredVotes {
    draws: BTreeMap<NodeId, Signed<Draw>>,
    commits: BTreeMap<NodeId, Signed<Commit>>,
    reveals: BTreeMap<NodeId, Signed<Reveal>>,
    tally: Option<Signed<Tally>>,
    widening: Option<Signed<Widening>>,
}

/// The certificate of an agreed request.
pub(crate) fn make(
    reader: &Reader,
    snapshot: &Snapshot,
    own: &NodeId,
    stored: &StoredRequest,
) -> Result<Certificate, MakeError> {
    let network = snapshot.network();
    let missing = |what: &str| MakeError::Missing(what.to_owned());
    let damaged = |error: &dyn std::fmt::Display| {
        MakeError::Store(StoreError::Damaged(format!("request {}: {error}", stored.id)))
    };
    let request: Request =
        encoding::from_bytes("a request", &stored.bytes).map_err(|error| damaged(&error))?;
    let received = reader.entry(stored.log_index)?.ok_or_else(|| missing("the receipt"))?;
    let received = Signed::<Received>::open_trusted(&received.bytes).map_err(|e| damaged(&e))?;
    let agreement = stored.final_statement.as_ref().ok_or_else(|| missing("the agreement"))?;
    let agreement = Signed::<Agreement>::open_trusted(agreement).map_err(|e| damaged(&e))?;
    let votes = read_votes(reader, stored).map_err(|error| damaged(&error))?;
    let mut rounds = BTreeMap::new();
    let mut attempts = Vec::new();
    let mut opener = received.hash();
    for votes in votes {
        let tally = votes.tally.clone().ok_or_else(|| missing("a tally"))?;
        let next_opener = votes.widening.as_ref().map_or(opener, Signed::hash);
        attempts.push(attempt_parts(reader, network, &opener, votes, tally, &mut rounds)?);
        opener = next_opener;
    }
    add_links(reader, &mut rounds)?;
    let code = agreement.body.execution.code.map(|hash| reader.code(&hash)).transpose()?.flatten();
    let code = code.filter(|bytes| bytes.len() <= MAX_SHOWN_CODE_BYTES);
    let beacon = rounds.values().next().map(|round| round.signer);
    let admission = |role: Role, node: Option<NodeId>| {
        let admission = node.and_then(|node| snapshot.node(&node));
        admission.cloned().ok_or_else(|| missing(&format!("the {role}'s admission")))
    };
    let parts = Parts {
        genesis: snapshot.genesis().clone(),
        beacon: admission(Role::Beacon, beacon)?,
        relay: admission(Role::Relay, Some(*own))?,
        request,
        code: code.and_then(|bytes| String::from_utf8(bytes).ok()),
        received,
        rounds: rounds.into_values().collect(),
        attempts,
        agreement,
    };
    Ok(Certificate::new(parts)?)
}

fn read_votes(
    reader: &Reader,
    stored: &StoredRequest,
) -> Result<Vec<StoredVotes>, Box<dyn std::error::Error>> {
    let mut attempts: Vec<StoredVotes> = Vec::new();
    for statement in reader.request_statements(&stored.id)? {
        let number = usize::try_from(statement.attempt.0)?;
        if attempts.len() <= number {
            attempts.resize_with(number + 1, StoredVotes::default);
        }
        let (votes, bytes) = (&mut attempts[number], &statement.bytes);
        match statement.kind.as_str() {
            Draw::KIND => {
                votes.draws.insert(statement.signer, Signed::open_trusted(bytes)?);
            }
            Commit::KIND => {
                votes.commits.insert(statement.signer, Signed::open_trusted(bytes)?);
            }
            Reveal::KIND => {
                votes.reveals.insert(statement.signer, Signed::open_trusted(bytes)?);
            }
            Tally::KIND => votes.tally = Some(Signed::open_trusted(bytes)?),
            Widening::KIND => votes.widening = Some(Signed::open_trusted(bytes)?),
            _ => {}
        }
    }
    Ok(attempts)
}

type Rounds = BTreeMap<Round, Signed<wire::round::RoundOpening>>;

fn attempt_parts(
    reader: &Reader,
    network: &NetworkId,
    opener: &StatementHash,
    mut votes: StoredVotes,
    tally: Signed<Tally>,
    rounds: &mut Rounds,
) -> Result<AttemptParts, MakeError> {
    let round = tally.body.round;
    let view = |round: Round| -> Result<placement::RoundView, MakeError> {
        let missing = || MakeError::Missing(format!("round {round}"));
        let stored = reader.round(round)?.ok_or_else(missing)?;
        Ok(view_of(network, reader, &stored)?)
    };
    let (before, decides) = (view(round.previous())?, view(round)?);
    let missing = |what: &str| MakeError::Missing(format!("{what} of round {round}"));
    let (head, head_proof) = decides.own_head.ok_or_else(|| missing("the seen head"))?;
    let (previous_head, previous_head_proof) =
        before.own_head.ok_or_else(|| missing("the head seen before"))?;
    let index = reader.index_of(opener)?.ok_or_else(|| missing("the opening statement"))?;
    let opener_proof =
        reader.inclusion(index, head.head.size)?.ok_or_else(|| missing("the log's proof"))?;
    let mut workers = Vec::new();
    for (node, draw) in std::mem::take(&mut votes.draws) {
        let member = before.workers.member(&node);
        let (admission, roster_proof) = member.ok_or_else(|| missing("a worker on the roster"))?;
        workers.push(WorkerParts {
            admission: admission.clone(),
            roster_proof,
            draw,
            commit: votes.commits.remove(&node),
            reveal: votes.reveals.remove(&node),
        });
    }
    rounds.insert(round.previous(), before.statement);
    rounds.insert(round, decides.statement);
    let opening =
        DrawOpening { opener_proof, head, head_proof, previous_head, previous_head_proof };
    Ok(AttemptParts { opening, tally, workers, widening: votes.widening })
}

fn add_links(reader: &Reader, rounds: &mut Rounds) -> Result<(), MakeError> {
    let Some(first) = rounds.keys().next().copied() else { return Ok(()) };
    for back in 1..=LINKS {
        let Some(number) = first.0.checked_sub(back).filter(|number| *number > 0) else { break };
        let Some(stored) = reader.round(Round(number))? else { break };
        let statement = Signed::open_trusted(&stored.statement)
            .map_err(|error| StoreError::Damaged(error.to_string()))?;
        rounds.insert(Round(number), statement);
    }
    Ok(())
}
