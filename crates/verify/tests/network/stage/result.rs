//! The certificates that come out, and all that was said.

use super::*;

impl Stage {
    // ---- what came of it ----

    /// The certificates of all requests that agreed.
    pub fn certificates(&self) -> Vec<Parts> {
        let agreed = self.requests.values().filter_map(|known| match &known.ending {
            Some(Ending::Agreed(agreement)) => Some((&known.stored, agreement)),
            _ => None,
        });
        agreed.map(|(stored, agreement)| self.parts(stored, agreement)).collect()
    }

    fn parts(&self, stored: &StoredRequest, agreement: &Signed<Agreement>) -> Parts {
        let mut opener = stored.received.hash();
        let mut attempts = Vec::new();
        let (mut first, mut last) = (Round(u64::MAX), Round(0));
        for attempt in &stored.attempts[..=agreement.body.attempt.0 as usize] {
            let tally = attempt.tally.clone().expect("it ended");
            let round = tally.body.round;
            (first, last) = (first.min(round.previous()), last.max(round));
            let position = usize::try_from(round.0 - 1).expect("few");
            let (before, decides) = (self.view(position - 1), self.view(position));
            attempts.push(AttemptParts {
                opening: opening(&self.log, self.positions[&opener], &before, &decides),
                workers: workers(attempt, &before.workers),
                tally,
                widening: attempt.widening.clone(),
            });
            opener = attempt.widening.as_ref().map_or(opener, Signed::hash);
        }
        let rounds = self.rounds.iter().map(|round| round.statement.clone());
        Parts {
            genesis: self.world.genesis.clone(),
            beacon: self.world.beacon.admission.clone(),
            relay: self.world.relay.admission.clone(),
            request: stored.request.clone(),
            code: None,
            received: stored.received.clone(),
            rounds: rounds.filter(|round| (first..=last).contains(&round.body.round)).collect(),
            attempts,
            agreement: agreement.clone(),
        }
    }

    /// Everything that was said of one kind.
    pub fn of_kind<B: Body>(&self) -> Vec<Vec<u8>> {
        self.said.get(B::KIND).into_iter().flatten().cloned().collect()
    }
}

pub(super) fn opening(
    log: &MemoryTree,
    index: u64,
    before: &RoundView,
    decides: &RoundView,
) -> DrawOpening {
    let (head, head_proof) = decides.own_head.clone().expect("a known relay");
    let (previous_head, previous_head_proof) = before.own_head.clone().expect("a known relay");
    let Ok(opener_proof) = prove_inclusion(head.head.size, index, log);
    DrawOpening { opener_proof, head, head_proof, previous_head, previous_head_proof }
}

fn workers(attempt: &StoredAttempt, roster: &Roster) -> Vec<WorkerParts> {
    let tally = attempt.tally.as_ref().expect("it ended");
    let counted = &tally.body.commits;
    assert_eq!(tally.body.drawn, sorted(attempt.drawn.iter().map(Signed::hash)));
    let mut drawn: Vec<&Signed<Draw>> = attempt.drawn.iter().collect();
    drawn.sort_by_key(|draw| draw.signer);
    let parts = drawn.into_iter().map(|draw| {
        let (admission, roster_proof) = roster.member(&draw.signer).expect("on the roster");
        let commits = attempt.commits.iter().filter(|commit| commit.signer == draw.signer);
        let commit = commits.clone().find(|commit| counted.contains(&commit.hash()));
        let reveal = attempt.reveals.iter().find(|reveal| reveal.signer == draw.signer);
        WorkerParts {
            admission: admission.clone(),
            roster_proof,
            draw: draw.clone(),
            commit: commit.cloned(),
            reveal: reveal.cloned(),
        }
    });
    parts.collect()
}
