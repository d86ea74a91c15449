//! What is remembered of one share node over all rounds.
//!
//! Invariants: a failure never costs the last good answer, whose age is kept with it; the more
//! failures in a row, the longer the share node is left alone, up to a limit.

use std::sync::Arc;

use wire::Millis;

use super::{SwiftDomain, SwiftNode, merge::Origin, merge::StoreContents, sharing::SharingOptions};

/// The last answer that could be read.
#[derive(Debug, Clone)]
struct GoodAnswer {
    nodes: Vec<Arc<SwiftNode>>,
    at: Millis,
}

/// A share node that was asked or will be.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    good: Option<GoodAnswer>,
    failures: u32,
    next_ask: Millis,
}

impl Peer {
    /// It answered: it need not be asked again before most of the interval is over.
    pub fn answered(&mut self, nodes: Vec<SwiftNode>, now: Millis, options: &SharingOptions) {
        let nodes = nodes.into_iter().map(Arc::new).collect();
        self.good = Some(GoodAnswer { nodes, at: now });
        self.failures = 0;
        self.next_ask = now.plus(options.refresh_ms / 2);
    }

    /// It did not, or nonsense.
    pub fn failed(&mut self, now: Millis, jitter: u64, options: &SharingOptions) {
        self.next_ask =
            now.plus(back_off(self.failures, options.back_off_ms, options.max_back_off_ms, jitter));
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether it is asked in a round at `now`; when the round is forced, only its failures count.
    pub fn is_due(&self, now: Millis, is_forced: bool) -> bool {
        self.next_ask <= now || (is_forced && self.failures == 0)
    }

    /// When it is asked again after failures.
    pub fn retry_at(&self) -> Option<Millis> {
        (self.failures > 0).then_some(self.next_ask)
    }

    /// When it last gave a good answer.
    pub fn good_since(&self) -> Option<Millis> {
        self.good.as_ref().map(|good| good.at)
    }

    /// Its last good answer as a volatile store, unless it is too old.
    pub fn store(&self, domain: &SwiftDomain, now: Millis, keep_ms: u64) -> Option<StoreContents> {
        let good = self.good.as_ref().filter(|good| now.since(good.at) <= keep_ms)?;
        Some(StoreContents {
            name: format!("v-{domain}"),
            origin: Origin::Shared(domain.clone()),
            heard_at: good.at,
            nodes: good.nodes.clone(),
        })
    }
}

/// Twice as long after each failure, at most `most_ms`, and up to a tenth more by `jitter`, so that
/// nodes which failed together are not asked together.
pub(super) fn back_off(failures: u32, base_ms: u64, most_ms: u64, jitter: u64) -> u64 {
    let doubled = base_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    spread(doubled.min(most_ms), jitter)
}

/// The duration and up to a tenth of it more.
pub(super) fn spread(duration_ms: u64, jitter: u64) -> u64 {
    duration_ms.saturating_add(jitter % (duration_ms / 10).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_limit_and_spreads_by_a_tenth() {
        let waits: Vec<u64> = (0..5).map(|failures| back_off(failures, 100, 1_000, 0)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000]);
        assert_eq!(back_off(u32::MAX, 100, 1_000, 0), 1_000);
        assert_eq!((back_off(0, 100, 1_000, 10), back_off(0, 100, 1_000, 11)), (110, 100));
        assert_eq!(spread(0, u64::MAX), 0);
        assert!(spread(u64::MAX, u64::MAX) == u64::MAX);
    }
}
