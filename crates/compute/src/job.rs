//! One request at the relay: its phases, and what counts in each.

use std::collections::BTreeMap;

use wire::{
    Attempt, Millis, NodeId, RequestId, Round, Signed, StatementHash,
    compute::{Commit, Draw, Execution, FailureReason, Request, Reveal, Tally},
};

use crate::effect::Refusal;

/// Where an attempt stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The draw has not ended. Commits may come early, as a worker starts once it knows that it was
    /// drawn; they are held, without receipts.
    Drawing { early: BTreeMap<NodeId, Signed<Commit>> },
    /// Those drawn run the script.
    Committing {
        round: Round,
        population: u64,
        drawn: BTreeMap<NodeId, Signed<Draw>>,
        commits: BTreeMap<NodeId, Signed<Commit>>,
        closes: Millis,
    },
    /// Commits are closed.
    Revealing {
        tally: Signed<Tally>,
        commits: BTreeMap<NodeId, Signed<Commit>>,
        reveals: BTreeMap<NodeId, Signed<Reveal>>,
        /// Those whose reveal does not open their commitment: evidence, and not waited for.
        faulty: BTreeMap<NodeId, Signed<Reveal>>,
        closes: Millis,
    },
}

/// The most early commits held for one request, so that a flood costs only itself.
const MAX_EARLY_COMMITS: usize = 1_024;

/// A request that has not ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub request: Request,
    pub id: RequestId,
    pub attempt: Attempt,
    pub phase: Phase,
    /// Why the attempt before was not enough.
    pub last_reason: FailureReason,
    /// The timer that stands in the relay's table.
    pub timer: Millis,
}

/// What came of a worker's commit or reveal.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is new and counts; `complete` when it was the last one awaited.
    New { complete: bool },
    /// It was known: the receipt is due again.
    Known,
    /// It waits for the draw to end.
    Held,
    /// It is not taken.
    Refused(Refusal),
    /// It contradicts what the worker said before.
    Contradicts { first: std::sync::Arc<[u8]>, complete: bool },
}

impl Job {
    /// When the phase ends by itself, or the whole request does.
    pub fn due(&self) -> Millis {
        let phase_ends = match &self.phase {
            Phase::Drawing { .. } => self.request.deadline,
            Phase::Committing { closes, .. } | Phase::Revealing { closes, .. } => *closes,
        };
        phase_ends.min(self.request.deadline)
    }

    pub fn take_commit(&mut self, commit: &Signed<Commit>) -> Taken {
        match &mut self.phase {
            Phase::Drawing { early } => {
                if early.len() >= MAX_EARLY_COMMITS && !early.contains_key(&commit.signer) {
                    return Taken::Refused(Refusal::Busy(MAX_EARLY_COMMITS));
                }
                match early.insert(commit.signer, commit.clone()) {
                    Some(first) if first != *commit => {
                        let bytes = first.bytes().clone();
                        early.insert(commit.signer, first);
                        Taken::Contradicts { first: bytes, complete: false }
                    }
                    _ => Taken::Held,
                }
            }
            Phase::Committing { drawn, commits, .. } => {
                let Some(draw) = drawn.get(&commit.signer) else {
                    return Taken::Refused(Refusal::NotCounted);
                };
                if let Some(first) = commits.get(&commit.signer) {
                    return known_or_contradiction(first, commit);
                }
                if commit.body.draw != draw.hash() {
                    return Taken::Refused(Refusal::OtherBasis);
                }
                commits.insert(commit.signer, commit.clone());
                Taken::New { complete: commits.len() == drawn.len() }
            }
            Phase::Revealing { commits, .. } => match commits.get(&commit.signer) {
                Some(first) => known_or_contradiction(first, commit),
                None => Taken::Refused(Refusal::Closed),
            },
        }
    }

    pub fn take_reveal(&mut self, reveal: &Signed<Reveal>) -> Taken {
        let Phase::Revealing { commits, reveals, faulty, .. } = &mut self.phase else {
            return Taken::Refused(Refusal::TooEarly);
        };
        let Some(commit) = commits.get(&reveal.signer) else {
            return Taken::Refused(Refusal::NotCounted);
        };
        if let Some(first) = reveals.get(&reveal.signer) {
            return known_or_contradiction(first, reveal);
        }
        if let Some(first) = faulty.get(&reveal.signer) {
            // It never counts, so it never gets a receipt, however often it comes.
            return match known_or_contradiction(first, reveal) {
                Taken::Known => Taken::Refused(Refusal::Contradiction),
                taken => taken,
            };
        }
        let body = &reveal.body;
        if body.commit != commit.hash() {
            return Taken::Refused(Refusal::OtherBasis);
        }
        if body.execution.commitment(&commit.body.draw, &body.salt) != commit.body.commitment {
            let first = commit.bytes().clone();
            faulty.insert(reveal.signer, reveal.clone());
            let complete = reveals.len() + faulty.len() == commits.len();
            return Taken::Contradicts { first, complete };
        }
        if !body.execution.is_within_limits() {
            return Taken::Refused(Refusal::TooLarge);
        }
        reveals.insert(reveal.signer, reveal.clone());
        Taken::New { complete: reveals.len() + faulty.len() == commits.len() }
    }
}

fn known_or_contradiction<B: wire::Body>(first: &Signed<B>, second: &Signed<B>) -> Taken {
    if first == second {
        Taken::Known
    } else {
        Taken::Contradicts { first: first.bytes().clone(), complete: false }
    }
}

/// The hashes of statements, sorted.
pub(crate) fn sorted_hashes<'a, B: wire::Body + 'a>(
    statements: impl Iterator<Item = &'a Signed<B>>,
) -> Vec<StatementHash> {
    let mut hashes: Vec<StatementHash> = statements.map(Signed::hash).collect();
    hashes.sort_unstable();
    hashes
}

/// The reveals that say `execution`, and those that say otherwise; each sorted.
pub(crate) fn split_by(
    reveals: &BTreeMap<NodeId, Signed<Reveal>>,
    execution: &Execution,
) -> (Vec<StatementHash>, Vec<StatementHash>) {
    let agrees = |reveal: &&Signed<Reveal>| reveal.body.execution == *execution;
    (
        sorted_hashes(reveals.values().filter(agrees)),
        sorted_hashes(reveals.values().filter(|reveal| !agrees(reveal))),
    )
}
