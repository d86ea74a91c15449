//! The questions that the storage manager answers, under Rust names; SWIFT's names stand in the docs.
//!
//! Invariant: nothing that has not started, has expired or is not alive is ever selected or shared.
//! Who is alive is not part of the view: callers pass what [`super::alive::Alive`] knows.

use std::collections::BTreeSet;

use super::{
    SwiftDomain, SwiftNode, SwiftRole, SwiftTime,
    merge::{Entry, Manager, Origin, StoreContents},
};

/// Which nodes a share answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareScope<'a> {
    /// Those of all networks, as the reference does.
    AllNetworks,
    /// Those of one network: usually the share node's own.
    Network(&'a str),
}

/// Why there is no access node. The words are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessNodeError {
    /// The network has none.
    #[error("no access nodes for network '{0}'")]
    NoneKnown(String),
    /// It has some, of which none can be used now.
    #[error("no access node for network '{0}'")]
    NoneUsable(String),
}

/// Why nodes cannot be set. The words are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There are none to set.
    #[error("supply some nodes to set")]
    NoNodes,
    /// No store can be written.
    #[error("no writable stores found")]
    NoWritableStore,
    /// Several can, and none is named.
    #[error("multiple writable stores available, please select a store from the following: '{0}'")]
    StoreNeeded(String),
    /// None that can be written has the name.
    #[error("no writable stores by the name of '{0}' found")]
    UnknownStore(String),
}

/// What is to be written where: the shell does it, then has the stores read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPlan {
    /// The store's name.
    pub store: String,
    /// The records.
    pub nodes: Vec<SwiftNode>,
    /// Those of their domains that the view knows already: `SetNode`'s second result.
    pub updates: BTreeSet<SwiftDomain>,
}

impl Manager {
    /// `getNode`: the record of a domain, current or not, with its provenance.
    pub fn node(&self, domain: &SwiftDomain) -> Option<&Entry> {
        self.by_domain.get(domain)
    }

    /// `getNode` by a Host header, which must match byte for byte.
    pub fn node_of_host(&self, host: &str) -> Option<&Entry> {
        host.parse().ok().and_then(|domain| self.node(&domain))
    }

    /// `getNodes`: the nodes of a network that have not expired, by domain, from all stores.
    pub fn nodes<'a>(
        &'a self,
        network: &'a str,
        now: SwiftTime,
    ) -> impl Iterator<Item = &'a Entry> {
        self.all_nodes()
            .filter(move |entry| entry.node.network == network && !entry.node.has_expired(now))
    }

    /// `getAllNodes`: every node of every network, by domain, each once.
    pub fn all_nodes(&self) -> impl Iterator<Item = &Entry> {
        self.by_domain.values()
    }

    /// `getAllActiveNodes`: those that have started, have not expired and are alive.
    pub fn all_active_nodes(
        &self,
        now: SwiftTime,
        is_alive: impl Fn(&SwiftDomain) -> bool,
    ) -> impl Iterator<Item = &Entry> {
        self.all_nodes()
            .filter(move |entry| entry.node.is_current(now) && is_alive(&entry.node.domain))
    }

    /// The nodes that can take part in an operation of a network: active ones of a role.
    pub fn selectable<'a>(
        &'a self,
        network: &'a str,
        role: SwiftRole,
        now: SwiftTime,
        is_alive: impl Fn(&SwiftDomain) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Entry> {
        self.all_active_nodes(now, is_alive)
            .filter(move |entry| entry.node.network == network && entry.node.role == role)
    }

    /// What a share node answers: active nodes, by domain.
    pub fn shareable(
        &self,
        scope: ShareScope<'_>,
        now: SwiftTime,
        is_alive: impl Fn(&SwiftDomain) -> bool,
    ) -> Vec<&SwiftNode> {
        self.all_active_nodes(now, is_alive)
            .map(|entry| &*entry.node)
            .filter(|node| match scope {
                ShareScope::AllNetworks => true,
                ShareScope::Network(network) => node.network == network,
            })
            .collect()
    }

    /// `GetAccessNode`: a random access node of a network that can be used; `chance` is any number,
    /// all of them equally likely.
    pub fn access_node(
        &self,
        network: &str,
        now: SwiftTime,
        is_alive: impl Fn(&SwiftDomain) -> bool,
        chance: u64,
    ) -> Result<&SwiftNode, AccessNodeError> {
        let is_usable =
            |entry: &&Entry| entry.node.network == network && entry.node.role == SwiftRole::Access;
        let usable: Vec<&Entry> = self.all_active_nodes(now, is_alive).filter(is_usable).collect();
        if let Some(last) = (usable.len() as u64).checked_sub(1) {
            return Ok(&usable[(chance % (last + 1)) as usize].node);
        }
        let is_known = self.nodes(network, now).any(|entry| entry.node.role == SwiftRole::Access);
        let network = super::excerpt(network);
        Err(match is_known {
            true => AccessNodeError::NoneUsable(network),
            false => AccessNodeError::NoneKnown(network),
        })
    }

    /// `getStores`: all stores, by name.
    pub fn stores(&self) -> &[StoreContents] {
        &self.stores
    }

    /// `GetStoreNames`: the stores that can be written, by name.
    pub fn store_names(&self) -> Vec<&str> {
        let writable = self.stores.iter().filter(|store| store.origin == Origin::Writable);
        writable.map(|store| store.name.as_str()).collect()
    }

    /// `SetNode` and `setNodes`: where the records are to be written. Without a name (or with an
    /// empty one) it is the one writable store. They are seen once the stores have been read again.
    pub fn plan_set(
        &self,
        store: Option<&str>,
        nodes: Vec<SwiftNode>,
    ) -> Result<SetPlan, SetError> {
        if nodes.is_empty() {
            return Err(SetError::NoNodes);
        }
        let store = choose_store(&self.store_names(), store)?.to_owned();
        let known = |node: &&SwiftNode| self.by_domain.contains_key(&node.domain);
        let updates = nodes.iter().filter(known).map(|node| node.domain.clone()).collect();
        Ok(SetPlan { store, nodes, updates })
    }
}

/// The writable store of a name, or the only one.
pub(super) fn choose_store<'a>(
    writable: &[&'a str],
    name: Option<&str>,
) -> Result<&'a str, SetError> {
    match (name.filter(|name| !name.is_empty()), writable) {
        (_, []) => Err(SetError::NoWritableStore),
        (None, [only]) => Ok(only),
        (None, several) => Err(SetError::StoreNeeded(several.join(", "))),
        (Some(name), several) => several
            .iter()
            .find(|store| **store == name)
            .copied()
            .ok_or_else(|| SetError::UnknownStore(super::excerpt(name))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wire::Millis;

    use super::*;
    use crate::swift::samples;

    fn store(name: &str, origin: Origin, nodes: Vec<SwiftNode>) -> StoreContents {
        let nodes = nodes.into_iter().map(Arc::new).collect();
        StoreContents { name: name.to_owned(), origin, heard_at: samples::NOW, nodes }
    }

    fn now() -> SwiftTime {
        SwiftTime::from_millis(samples::NOW)
    }

    fn manager() -> Manager {
        let access = |domain| samples::changed(domain, |fields| fields.role = SwiftRole::Access);
        let future = samples::time("2029-01-01T00:00:00Z");
        let past = samples::time("2026-06-01T00:00:00Z");
        Manager::build(vec![
            store(
                "Local Storage",
                Origin::Writable,
                vec![
                    samples::node("a.test"),
                    access("x.test"),
                    samples::changed("expired.test", |fields| fields.expires = past),
                    samples::changed("later.test", |fields| fields.starts = future),
                    samples::changed("zero.test", |fields| fields.starts = SwiftTime::ZERO),
                    samples::changed("other.test", |fields| fields.network = "net2".to_owned()),
                ],
            ),
            store(
                "v-s.test",
                Origin::Shared("s.test".parse().expect("a domain")),
                vec![access("y.test"), samples::node("a.test")],
            ),
        ])
    }

    fn domains<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<&'a str> {
        entries.map(|entry| entry.node.domain.as_str()).collect()
    }

    #[test]
    fn a_network_is_found_in_all_stores_and_each_node_once() {
        let manager = manager();
        let found = ["a.test", "later.test", "x.test", "y.test", "zero.test"];
        assert_eq!(domains(manager.nodes("net1", now())), found);
        assert_eq!(domains(manager.nodes("unknown", now())), [""; 0]);
        assert_eq!(manager.all_nodes().count(), 7);
    }

    #[test]
    fn only_started_unexpired_and_alive_nodes_are_selected() {
        let manager = manager();
        let alive = |domain: &SwiftDomain| domain.as_str() != "zero.test";
        let active = ["a.test", "other.test", "x.test", "y.test"];
        assert_eq!(domains(manager.all_active_nodes(now(), alive)), active);
        assert_eq!(
            domains(manager.selectable("net1", SwiftRole::Storage, now(), alive)),
            ["a.test"]
        );
        assert_eq!(
            domains(manager.selectable("net1", SwiftRole::Storage, now(), |_| false)),
            [""; 0]
        );
    }

    #[test]
    fn an_expired_node_is_not_shared_but_found_by_its_domain() {
        let manager = manager();
        let shared = manager.shareable(ShareScope::AllNetworks, now(), |_| true);
        assert!(shared.iter().all(|node| node.domain.as_str() != "expired.test"));
        assert_eq!(shared.len(), 5);
        assert_eq!(manager.shareable(ShareScope::Network("net2"), now(), |_| true).len(), 1);
        assert!(manager.node_of_host("expired.test").is_some());
        assert!(manager.node_of_host("EXPIRED.test").is_none());
        assert!(manager.node_of_host("no host").is_none());
    }

    #[test]
    fn an_access_node_is_drawn_among_the_usable() {
        let manager = manager();
        let drawn = |chance| manager.access_node("net1", now(), |_| true, chance);
        let domain = |chance| drawn(chance).map(|node| node.domain.to_string());
        assert_eq!(domain(0), Ok("x.test".to_owned()));
        assert_eq!(domain(u64::MAX), Ok("y.test".to_owned()));
        let error = manager.access_node("net1", now(), |_| false, 0).expect_err("none alive");
        assert_eq!(error.to_string(), "no access node for network 'net1'");
        let error = manager.access_node("net2", now(), |_| true, 0).expect_err("none known");
        assert_eq!(error.to_string(), "no access nodes for network 'net2'");
    }

    #[test]
    fn nodes_are_set_in_the_one_writable_store_or_the_named_one() {
        let nodes = || vec![samples::node("a.test"), samples::node("new.test")];
        let plan = manager().plan_set(Some(""), nodes()).expect("one store");
        assert_eq!(plan.store, "Local Storage");
        assert_eq!(plan.updates, BTreeSet::from(["a.test".parse().expect("a domain")]));
        let both = ["A", "B"].map(|name| store(name, Origin::Writable, Vec::new()));
        let both = Manager::build(both.to_vec());
        assert_eq!(both.store_names(), ["A", "B"]);
        let refused = |manager: &Manager, store, nodes| {
            manager.plan_set(store, nodes).expect_err("refused").to_string()
        };
        assert_eq!(refused(&both, None, Vec::new()), "supply some nodes to set");
        let choose =
            "multiple writable stores available, please select a store from the following: 'A, B'";
        assert_eq!(refused(&both, None, nodes()), choose);
        assert_eq!(
            refused(&both, Some("v-0"), nodes()),
            "no writable stores by the name of 'v-0' found"
        );
        assert_eq!(refused(&Manager::default(), None, nodes()), "no writable stores found");
        assert_eq!(both.stores()[0].heard_at, Millis(samples::NOW.0));
    }
}
