//! The nodes of a network as seen at one moment.
//!
//! Invariants: every admission is signed by an operator of the network's genesis; a node's highest
//! generation counts; no two nodes share a name or a domain.

use std::{collections::BTreeMap, sync::Arc};

use wire::{
    Millis, NetworkId, NodeId, Signed,
    network::{Admission, Genesis, NetworkError, Role},
};

/// Why an admission is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// A field is out of its range, or the signer is no operator.
    #[error(transparent)]
    Record(#[from] NetworkError),
    /// It belongs to another network.
    #[error("network: the admission is for {0}")]
    Network(NetworkId),
    /// Another node has the name or the domain.
    #[error("{field}: {value:?} belongs to node {holder}")]
    Taken {
        /// `name` or `domain`.
        field: &'static str,
        /// The name or domain.
        value: String,
        /// Who has it.
        holder: NodeId,
    },
    /// The node has an admission of this or a later generation.
    #[error("generation: {got} is not above {stored}, which node {node} has")]
    Stale {
        /// The node.
        node: NodeId,
        /// The generation that was given.
        got: u64,
        /// The generation that the node has.
        stored: u64,
    },
}

/// What is known of a network's nodes; snapshots are taken of it.
#[derive(Debug, Clone)]
pub struct Directory {
    genesis: Arc<Genesis>,
    network: NetworkId,
    admissions: BTreeMap<NodeId, Signed<Admission>>,
}

impl Directory {
    /// The directory of a network without nodes.
    pub fn new(genesis: Genesis) -> Self {
        let network = genesis.id();
        Self { genesis: Arc::new(genesis), network, admissions: BTreeMap::new() }
    }

    /// Takes an admission in; `false` if it was known.
    pub fn admit(&mut self, admission: Signed<Admission>) -> Result<bool, AdmitError> {
        if admission.network != self.network {
            return Err(AdmitError::Network(admission.network));
        }
        self.genesis.check_operator(&admission)?;
        let body = &admission.body;
        body.check()?;
        if let Some(stored) = self.admissions.get(&body.node) {
            if *stored == admission {
                return Ok(false);
            }
            if stored.body.generation >= body.generation {
                let (got, stored) = (body.generation, stored.body.generation);
                return Err(AdmitError::Stale { node: body.node, got, stored });
            }
        }
        for other in self.admissions.values().map(|known| &known.body) {
            if other.node == body.node {
                continue;
            }
            for (field, theirs, ours) in
                [("name", &other.name, &body.name), ("domain", &other.domain, &body.domain)]
            {
                if theirs == ours {
                    return Err(AdmitError::Taken {
                        field,
                        value: ours.clone(),
                        holder: other.node,
                    });
                }
            }
        }
        self.admissions.insert(body.node, admission);
        Ok(true)
    }

    /// The directory as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let by_name = self
            .admissions
            .values()
            .map(|known| (known.body.name.clone(), known.body.node))
            .collect();
        Snapshot {
            genesis: Arc::clone(&self.genesis),
            network: self.network,
            admissions: self.admissions.clone(),
            by_name,
        }
    }
}

/// The nodes of a network at one moment; never changes.
#[derive(Debug, Clone)]
pub struct Snapshot {
    genesis: Arc<Genesis>,
    network: NetworkId,
    admissions: BTreeMap<NodeId, Signed<Admission>>,
    by_name: BTreeMap<String, NodeId>,
}

impl Snapshot {
    /// The network's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// A node's admission.
    pub fn node(&self, id: &NodeId) -> Option<&Signed<Admission>> {
        self.admissions.get(id)
    }

    /// The node of a name.
    pub fn by_name(&self, name: &str) -> Option<&Signed<Admission>> {
        self.by_name.get(name).and_then(|id| self.admissions.get(id))
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Signed<Admission>> {
        self.admissions.values()
    }

    /// The nodes of a role that have started and not expired, by id.
    pub fn current(&self, role: Role, now: Millis) -> impl Iterator<Item = &Signed<Admission>> {
        self.nodes()
            .filter(move |known| known.body.roles.contains(role) && known.body.is_current(now))
    }

    /// The first current node of a role: the beacon, in a network that has one.
    pub fn first(&self, role: Role, now: Millis) -> Option<&Signed<Admission>> {
        self.current(role, now).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{NodeKey, OperatorKey, key::StatementSigner as _};

    fn admission(number: u8, name: &str, port: u16, generation: u64) -> Admission {
        let key = NodeKey::from_secret([number; 32]);
        Admission {
            node: key.id(),
            vrf: key.vrf_public(),
            sealing: key.sealing_public(),
            name: name.to_owned(),
            domain: format!("localhost:{port}"),
            roles: [Role::Worker].into_iter().collect(),
            starts: Millis(10),
            expires: Millis(20),
            generation,
        }
    }

    #[test]
    fn admissions_are_checked_and_the_latest_counts() {
        let operator = OperatorKey::from_secret([9; 32]);
        let stranger = OperatorKey::from_secret([8; 32]);
        let genesis = Genesis::new("test", vec![operator.id()], Millis(1)).expect("valid");
        let network = genesis.id();
        let mut directory = Directory::new(genesis);
        let first = Signed::sign(network, &operator, admission(1, "one", 1, 1));
        assert_eq!(directory.admit(first.clone()), Ok(true));
        assert_eq!(directory.admit(first), Ok(false));
        let moved = Signed::sign(network, &operator, admission(1, "one", 5, 1));
        assert!(matches!(directory.admit(moved), Err(AdmitError::Stale { got: 1, stored: 1, .. })));
        let newer = Signed::sign(network, &operator, admission(1, "one", 5, 2));
        assert_eq!(directory.admit(newer), Ok(true));
        for (name, port, field) in [("one", 2, "name"), ("two", 5, "domain")] {
            let taken = Signed::sign(network, &operator, admission(2, name, port, 1));
            let error = directory.admit(taken).expect_err("taken");
            assert!(matches!(error, AdmitError::Taken { field: got, .. } if got == field));
        }
        let strange = Signed::sign(network, &stranger, admission(3, "three", 3, 1));
        assert!(matches!(
            directory.admit(strange),
            Err(AdmitError::Record(NetworkError::NotOperator(_)))
        ));
        let elsewhere = Signed::sign(NetworkId([0; 32]), &operator, admission(3, "three", 3, 1));
        assert!(matches!(directory.admit(elsewhere), Err(AdmitError::Network(_))));
        let snapshot = directory.snapshot();
        assert_eq!(snapshot.by_name("one").map(|known| known.body.generation), Some(2));
        for (now, count) in [(9, 0), (10, 1), (19, 1), (20, 0)] {
            assert_eq!(snapshot.current(Role::Worker, Millis(now)).count(), count, "at {now}");
        }
    }
}
