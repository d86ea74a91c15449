//! How many draws are under way at once: as many as the workers keep up with.
//!
//! A relay that opened every draw at once would have all workers run scripts while nobody answers
//! draws any more; late answers would widen the draws, and wider draws would make it worse. So the
//! jobs under way have a budget, as data on its way has in TCP: it grows by a job with each one that
//! ends well, and is halved when workers are late.
//!
//! Invariant: one draw can always be under way, whatever the budget; a request never waits for ever.

use wire::Millis;

/// Jobs for each worker that the budget begins with.
const FIRST_JOBS_PER_WORKER: u64 = 4;
/// Jobs for each worker beyond which a queue only grows.
const MOST_JOBS_PER_WORKER: u64 = 64;
/// The budget is halved at most once in so long, as many are late for one reason, in ms.
const CUT_EVERY_MS: u64 = 1_000;

/// The budget of jobs and what is used of it.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Not known before the first draw tells how many workers there are.
    budget: Option<u64>,
    used: u64,
    last_cut: Millis,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { budget: None, used: 0, last_cut: Millis(0) }
    }

    /// Takes `jobs` of the budget, of which there are `population` workers to do them, if there is
    /// room.
    pub(crate) fn take(&mut self, jobs: u64, population: u64) -> bool {
        let first = FIRST_JOBS_PER_WORKER.saturating_mul(population);
        let most = MOST_JOBS_PER_WORKER.saturating_mul(population);
        let budget = *self.budget.get_or_insert(first);
        let budget = budget.clamp(population.max(1), most.max(1));
        self.budget = Some(budget);
        let fits = self.used == 0 || self.used + jobs <= budget;
        if fits {
            self.used += jobs;
        }
        fits
    }

    /// Gives `jobs` back.
    pub(crate) fn give_back(&mut self, jobs: u64) {
        self.used = self.used.checked_sub(jobs).expect("what is given back was taken");
    }

    /// A draw came to its end in time.
    pub(crate) fn went_well(&mut self) {
        if let Some(budget) = &mut self.budget {
            *budget = budget.saturating_add(1);
        }
    }

    /// Workers were late.
    pub(crate) fn was_late(&mut self, now: Millis) {
        if now.since(self.last_cut) < CUT_EVERY_MS {
            return;
        }
        self.last_cut = now;
        if let Some(budget) = &mut self.budget {
            *budget /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many draws of three jobs fit at once.
    fn room(pace: &mut Pace) -> u64 {
        let mut count = 0;
        while pace.take(3, 5) {
            count += 1;
        }
        (0..count).for_each(|_| pace.give_back(3));
        count
    }

    #[test]
    fn the_budget_grows_by_ones_and_shrinks_by_halves() {
        let mut pace = Pace::new();
        assert_eq!(room(&mut pace), 6, "4 jobs for each of 5 workers");
        (0..10).for_each(|_| pace.went_well());
        assert_eq!(room(&mut pace), 10);
        pace.was_late(Millis(5_000));
        pace.was_late(Millis(5_001));
        assert_eq!(room(&mut pace), 5, "cut once");
        for second in 6..30 {
            pace.was_late(Millis(second * 1_000));
        }
        assert_eq!(room(&mut pace), 1, "a job for each worker at least");
        (0..10_000).for_each(|_| pace.went_well());
        assert_eq!(room(&mut pace), 106, "64 for each worker at most");
    }

    #[test]
    fn one_draw_is_always_possible() {
        let mut pace = Pace::new();
        assert!(pace.take(100, 0));
        assert!(!pace.take(1, 0));
        pace.give_back(100);
        assert!(pace.take(100, 5));
    }
}
