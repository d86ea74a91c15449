//! How the liar, another relay and a forked beacon try to get somebody convicted.

use super::*;

/// The salt of reveals that open no commitment.
const FALSE_SALT: Salt = Salt([7; 32]);

/// How the liar, or somebody else who is no honest node, tries to get somebody convicted.
#[derive(Debug, Clone, Copy)]
pub enum Trap {
    /// A second commit for the same place.
    SecondCommit,
    /// A reveal of something else than what was committed to.
    FalseReveal,
    /// A commit and a reveal that were taken from an honest worker and signed again.
    Copy,
    /// Another relay offers the same request.
    OtherRelay,
    /// A forked beacon: the round again, with another seed.
    Fork,
    /// Another relay's tally, which counts what is not there.
    StrangeTally,
    /// Another relay's receipt for whatever the honest one hears.
    StrangeReceipt,
}

impl Stage {
    pub fn trap(&mut self, trap: Trap, position: usize) {
        let network = self.world.network;
        let (liar, stranger) = (Arc::clone(&self.keys[self.liar()]), Arc::clone(&self.stranger));
        let liars = |signer: NodeId| signer == liar.id();
        let suits = |message: &Message| match (trap, message) {
            (Trap::SecondCommit, Message::Commit(commit)) => liars(commit.signer),
            (Trap::FalseReveal, Message::Reveal(reveal)) => {
                liars(reveal.signer) && reveal.body.salt != FALSE_SALT
            }
            (Trap::Copy, Message::Commit(commit)) => !liars(commit.signer),
            (Trap::Copy, Message::Reveal(reveal)) => !liars(reveal.signer),
            (Trap::Fork | Trap::OtherRelay, Message::Offer(..)) => true,
            (Trap::StrangeTally | Trap::StrangeReceipt, Message::Commit(_)) => true,
            _ => false,
        };
        let suitable: Vec<usize> =
            (0..self.pool.len()).filter(|position| suits(&self.pool[*position])).collect();
        let Some(position) = suitable.get(position % suitable.len().max(1)).copied() else {
            return;
        };
        let message = self.pool[position].clone();
        let said = match (trap, message) {
            (Trap::SecondCommit, Message::Commit(commit)) => {
                let body = Commit { commitment: Commitment([7; 32]), ..commit.body };
                Message::Commit(Signed::sign(network, &*liar, body))
            }
            (Trap::FalseReveal, Message::Reveal(reveal)) => {
                let body = Reveal { salt: FALSE_SALT, ..reveal.body };
                // In place of the true one, before all others, and twice.
                self.pool.remove(position);
                let reveal = Signed::sign(network, &*liar, body);
                self.say(&reveal);
                let twice = [Message::Reveal(reveal.clone()), Message::Reveal(reveal)];
                self.pool.splice(0..0, twice);
                return;
            }
            (Trap::Copy, Message::Commit(commit)) => {
                Message::Commit(Signed::sign(network, &*liar, commit.body))
            }
            (Trap::Copy, Message::Reveal(reveal)) => {
                Message::Reveal(Signed::sign(network, &*liar, reveal.body))
            }
            (Trap::Fork, Message::Offer(worker, offer)) => {
                // The machine alone is asked: what checks an offer does not know the whole chain.
                let round = Signed::<wire::round::RoundOpening>::open(&network, &offer.round);
                let round = round.expect("an honest offer").body.round;
                let event = WorkerEvent::Offered {
                    relay: stranger.id(),
                    attempt: offer.attempt,
                    round,
                    seed: wire::Seed([7; 32]),
                    opened: self.now,
                    threshold: Threshold::ALL,
                    request: offer.request,
                };
                self.workers[worker].handle(event, self.now);
                self.carry_out();
                return;
            }
            (Trap::OtherRelay, Message::Offer(worker, offer)) => {
                let event = WorkerEvent::Offered {
                    relay: stranger.id(),
                    attempt: offer.attempt,
                    round: Round(77),
                    seed: wire::Seed([8; 32]),
                    opened: self.now,
                    threshold: Threshold::ALL,
                    request: offer.request,
                };
                self.workers[worker].handle(event, self.now);
                self.carry_out();
                return;
            }
            (Trap::StrangeTally, Message::Commit(commit)) => {
                let body = Tally {
                    request: commit.body.request,
                    attempt: commit.body.attempt,
                    round: Round(77),
                    population: 1,
                    drawn: Vec::new(),
                    commits: vec![commit.hash()],
                };
                Message::Tally(Signed::sign(network, &*stranger, body))
            }
            (Trap::StrangeReceipt, Message::Commit(commit)) => {
                let body = Receipt {
                    request: commit.body.request,
                    attempt: commit.body.attempt,
                    statement: commit.hash(),
                };
                Message::Receipt(Signed::sign(network, &*stranger, body))
            }
            _ => return,
        };
        match &said {
            Message::Commit(statement) => self.say(&statement.clone()),
            Message::Reveal(statement) => self.say(&statement.clone()),
            Message::Tally(statement) => self.say(&statement.clone()),
            Message::Receipt(statement) => self.say(&statement.clone()),
            _ => {}
        }
        self.pool.push(said);
    }
}
