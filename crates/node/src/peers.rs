//! Clients for the other nodes, made once per node and address.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use client::{ClientError, PeerClient};
use wire::{NetworkId, NodeId, NodeKey, network::Admission};

use crate::time::now;

/// The clients of one node.
pub struct Peers {
    network: NetworkId,
    key: Arc<NodeKey>,
    clients: Mutex<BTreeMap<NodeId, (String, PeerClient)>>,
}

impl Peers {
    /// No clients yet; calls carry `key`'s credential.
    pub fn new(network: NetworkId, key: Arc<NodeKey>) -> Self {
        Self { network, key, clients: Mutex::default() }
    }

    /// The client for an admitted node; a new one when its domain has changed.
    pub fn client(&self, admission: &Admission) -> Result<PeerClient, ClientError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((domain, client)) = clients.get(&admission.node)
            && *domain == admission.domain
        {
            return Ok(client.clone());
        }
        let url = format!("http://{}", admission.domain);
        let client =
            PeerClient::new(self.network, Arc::clone(&self.key), admission.node, &url, now)?;
        clients.insert(admission.node, (admission.domain.clone(), client.clone()));
        Ok(client)
    }
}
