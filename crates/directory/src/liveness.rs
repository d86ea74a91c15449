//! When each node was last heard of. Invariant: a later report is never undone by an earlier one.

use std::collections::BTreeMap;

use wire::{Millis, NodeId};

/// The last sign of life of each node. One entry per admitted node at most: the caller reports only
/// calls whose sender it has authenticated.
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    last_seen: BTreeMap<NodeId, Millis>,
}

impl Liveness {
    /// A node answered, or called with a valid credential, at `now`.
    pub fn saw(&mut self, node: NodeId, now: Millis) {
        let seen = self.last_seen.entry(node).or_insert(now);
        *seen = (*seen).max(now);
    }

    /// When the node was last heard of.
    pub fn last_seen(&self, node: &NodeId) -> Option<Millis> {
        self.last_seen.get(node).copied()
    }

    /// Whether the node was heard of within the last `alive_ms`.
    pub fn is_alive(&self, node: &NodeId, now: Millis, alive_ms: u64) -> bool {
        self.last_seen(node).is_some_and(|seen| now.since(seen) <= alive_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_report_changes_nothing() {
        let node = NodeId([1; 32]);
        let mut liveness = Liveness::default();
        assert!(!liveness.is_alive(&node, Millis(0), 10));
        liveness.saw(node, Millis(100));
        liveness.saw(node, Millis(50));
        assert!(liveness.is_alive(&node, Millis(110), 10));
        assert!(!liveness.is_alive(&node, Millis(111), 10));
    }
}
