//! Several stores become one view: what SWIFT calls the storage manager.
//!
//! Invariants: a [`Manager`] never changes; it is the same for any order of the same stores; of the
//! records of one domain the newest `created` wins, but what others share never replaces a record
//! of our own stores, so that no share node can take over a domain which we have registered.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use wire::Millis;

use super::{
    SwiftDomain, SwiftNode,
    writing::{self, Secrets},
};

/// Where the records of a store come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// One of our own, into which nodes can be set.
    Writable,
    /// One of our own, which is only read.
    ReadOnly,
    /// A volatile store: what this share node answered.
    Shared(SwiftDomain),
}

/// What one store holds.
#[derive(Debug, Clone)]
pub struct StoreContents {
    /// Its name; no two of a manager's stores share one.
    pub name: String,
    /// Where its records come from.
    pub origin: Origin,
    /// When it was read, or when the share node answered.
    pub heard_at: Millis,
    /// The records, in any order; of several for one domain the newest counts.
    pub nodes: Vec<Arc<SwiftNode>>,
}

impl StoreContents {
    /// Whether it is one of our own.
    pub fn is_own(&self) -> bool {
        !matches!(self.origin, Origin::Shared(_))
    }
}

/// Who said a record, and when: what an operator asks first about a wrong one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The store's name.
    pub store: String,
    /// The share node that said it, if it is not from our own stores.
    pub shared_by: Option<SwiftDomain>,
    /// When it was read or said.
    pub heard_at: Millis,
}

/// A record of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub node: Arc<SwiftNode>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// All stores as seen at one moment: SWIFT's storage manager. `selection.rs` has its questions.
#[derive(Debug, Clone, Default)]
pub struct Manager {
    pub(super) stores: Vec<StoreContents>,
    pub(super) by_domain: BTreeMap<SwiftDomain, Entry>,
}

impl Manager {
    /// Merges the stores.
    pub fn build(mut stores: Vec<StoreContents>) -> Self {
        stores.sort_by(|a, b| a.name.cmp(&b.name));
        let mut winners: BTreeMap<SwiftDomain, (&StoreContents, &Arc<SwiftNode>)> = BTreeMap::new();
        for store in &stores {
            for node in &store.nodes {
                let challenger = (store, node);
                let winner = winners.entry(node.domain.clone()).or_insert(challenger);
                if precedence(challenger, *winner).is_gt() {
                    *winner = challenger;
                }
            }
        }
        let entry = |(store, node): (&StoreContents, &Arc<SwiftNode>)| {
            let shared_by = match &store.origin {
                Origin::Shared(by) => Some(by.clone()),
                Origin::Writable | Origin::ReadOnly => None,
            };
            let store = store.name.clone();
            (store, shared_by, Arc::clone(node))
        };
        let by_domain = winners
            .into_iter()
            .map(|(domain, winner)| {
                let heard_at = winner.0.heard_at;
                let (store, shared_by, node) = entry(winner);
                let provenance = Provenance { store, shared_by, heard_at };
                (domain, Entry { node, provenance })
            })
            .collect();
        Self { stores, by_domain }
    }
}

/// Our own before others', newer before older. What is left are two records of one moment: the
/// store's name decides, then the text of the record, so that no order of arrival can.
fn precedence(
    (store, node): (&StoreContents, &Arc<SwiftNode>),
    (other_store, other): (&StoreContents, &Arc<SwiftNode>),
) -> Ordering {
    let text = |node: &SwiftNode| writing::write_list(&[node], Secrets::All);
    store
        .is_own()
        .cmp(&other_store.is_own())
        .then(node.created.cmp(&other.created))
        .then_with(|| other_store.name.cmp(&store.name))
        .then_with(|| if node == other { Ordering::Equal } else { text(node).cmp(&text(other)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::swift::{SwiftTime, samples};

    fn store(name: &str, origin: Origin, nodes: Vec<SwiftNode>) -> StoreContents {
        let nodes = nodes.into_iter().map(Arc::new).collect();
        StoreContents { name: name.to_owned(), origin, heard_at: Millis(name.len() as u64), nodes }
    }

    fn shared(by: &str, nodes: Vec<SwiftNode>) -> StoreContents {
        store(&format!("v-{by}"), Origin::Shared(by.parse().expect("a domain")), nodes)
    }

    fn made(domain: &str, day: u32, network: &str) -> SwiftNode {
        samples::changed(domain, |fields| {
            fields.created = SwiftTime::ZERO.plus_days(day).expect("early");
            fields.network = network.to_owned();
        })
    }

    fn winner(stores: Vec<StoreContents>) -> (String, Provenance) {
        let manager = Manager::build(stores);
        let entry = &manager.by_domain[&"a.test".parse().expect("a domain")];
        (entry.node.network.clone(), entry.provenance.clone())
    }

    #[test]
    fn the_newest_record_of_a_domain_wins() {
        let stores = |first, second| {
            vec![
                store("one", Origin::Writable, vec![made("a.test", first, "first")]),
                store("two", Origin::ReadOnly, vec![made("a.test", second, "second")]),
            ]
        };
        assert_eq!(winner(stores(1, 2)).0, "second");
        assert_eq!(winner(stores(2, 1)).0, "first");
        assert_eq!(winner(stores(1, 1)).0, "first");
        let (_, provenance) = winner(vec![
            shared("s.test", vec![made("a.test", 1, "first")]),
            shared("share.test", vec![made("a.test", 2, "second")]),
        ]);
        let by = "share.test".parse().expect("a domain");
        let heard_at = Millis(12);
        assert_eq!(
            provenance,
            Provenance { store: "v-share.test".into(), shared_by: Some(by), heard_at }
        );
    }

    #[test]
    fn what_others_share_never_replaces_our_own() {
        let own = store("own", Origin::ReadOnly, vec![made("a.test", 1, "own")]);
        let foreign = shared("s.test", vec![made("a.test", 9, "foreign")]);
        let (network, provenance) = winner(vec![own, foreign]);
        assert_eq!((network.as_str(), provenance.shared_by), ("own", None));
    }

    proptest! {
        #[test]
        fn any_order_of_stores_gives_the_same_view(
            records in prop::collection::vec((0_usize..5, 0_usize..3, 0_u32..3, 0_usize..3), 0..24),
            keys in prop::collection::vec(any::<u64>(), 5),
        ) {
            let mut stores: Vec<StoreContents> = (0..5).map(|index| match index {
                0 => store("own-0", Origin::Writable, Vec::new()),
                1 => store("own-1", Origin::ReadOnly, Vec::new()),
                _ => shared(&format!("s{index}.test"), Vec::new()),
            }).collect();
            for (index, domain, day, network) in &records {
                let node = made(["a.test", "b.test", "c.test"][*domain], *day, ["x", "y", "z"][*network]);
                stores[*index].nodes.push(Arc::new(node));
            }
            let expected = Manager::build(stores.clone()).by_domain;
            for (domain, entry) in &expected {
                let all = stores.iter().flat_map(|store| {
                    store.nodes.iter().filter(|node| node.domain == *domain).map(|node| (store.is_own(), node.created))
                });
                let is_own = entry.provenance.shared_by.is_none();
                prop_assert_eq!(all.max(), Some((is_own, entry.node.created)));
            }
            let mut shuffled: Vec<(u64, StoreContents)> = keys.into_iter().zip(stores).collect();
            shuffled.sort_by_key(|(key, _)| *key);
            let stores = shuffled.into_iter().map(|(_, mut store)| { store.nodes.reverse(); store }).collect();
            prop_assert_eq!(Manager::build(stores).by_domain, expected);
        }
    }
}
