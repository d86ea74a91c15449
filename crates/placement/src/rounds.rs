//! The rounds that a relay knows, and which of them decides a draw.
//!
//! Invariant: a draw is decided by the first round whose beacon had seen the statement that opened
//! it, and by no other; the round before proves that it is the first.

use std::{collections::BTreeMap, sync::Arc};

use wire::{
    Round, Signed,
    merkle::InclusionProof,
    round::{Roster, RoundOpening, SeenHead},
};

/// The most rounds kept: above the longest deadline (300 s) in the shortest rounds (100 ms).
const MAX_ROUNDS: usize = 4_096;

/// A round as a relay sees it.
#[derive(Debug, Clone)]
pub struct RoundView {
    /// The statement.
    pub statement: Signed<RoundOpening>,
    /// How far this relay's log had come, with the proof; absent before the beacon knew the relay.
    pub own_head: Option<(SeenHead, InclusionProof)>,
    /// The workers that the *next* round draws from.
    pub workers: Arc<Roster>,
}

/// The latest rounds, by number.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    views: BTreeMap<Round, RoundView>,
}

impl Rounds {
    pub(crate) fn insert(&mut self, view: RoundView) {
        self.views.insert(view.statement.body.round, view);
        if self.views.len() > MAX_ROUNDS {
            self.views.pop_first();
        }
    }

    fn covers(view: &RoundView, log_index: u64) -> Option<bool> {
        view.own_head.as_ref().map(|(seen, _)| seen.head.size > log_index)
    }

    /// How far the newest round had seen this relay's log: what is not below waits for a round.
    pub(crate) fn seen_size(&self) -> u64 {
        let newest = self.views.values().next_back();
        newest.and_then(|view| view.own_head.as_ref()).map_or(0, |(seen, _)| seen.head.size)
    }

    /// The round before and the round that decides a draw opened by the log entry at `log_index`.
    pub(crate) fn deciding(&self, log_index: u64) -> Option<(&RoundView, &RoundView)> {
        // What the beacon has seen of a log only grows, so the rounds that cover the entry are the
        // newest ones; usually that is one.
        let mut newest_first = self.views.values().rev();
        let mut first: Option<&RoundView> = None;
        let before = newest_first.find(|view| {
            let covers = Self::covers(view, log_index) == Some(true);
            if covers {
                first = Some(view);
            }
            !covers
        })?;
        let first = first?;
        let follows = before.statement.body.round.next() == first.statement.body.round;
        let proves = Self::covers(before, log_index) == Some(false);
        (follows && proves).then_some((before, first))
    }
}
