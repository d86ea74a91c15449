//! Keeping up with the network: admissions and settings are fetched from the beacon, verified, and
//! taken in if they are newer.

use std::{sync::Arc, time::Duration};

use api::{NodeList, SettingsView};
use client::ClientError;
use wire::{NodeId, Signed, network::Role};

use crate::{http::chain, members::Members, peers::Peers, time::now};

/// How often the beacon is asked.
const EVERY: Duration = Duration::from_secs(2);
/// The longest list of nodes that is read, in bytes: ten thousand nodes.
const MAX_NODES_BYTES: usize = 16 * 1024 * 1024;
/// The longest settings document that is read, in bytes.
const MAX_SETTINGS_BYTES: usize = 64 * 1024;

/// Keeps up for ever.
pub(crate) async fn keep_up(members: Arc<Members>, peers: Arc<Peers>, own: NodeId) {
    loop {
        if let Err(error) = once(&members, &peers, own).await {
            tracing::debug!(error = chain(&error), "the beacon's directory is not reached");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn once(members: &Members, peers: &Peers, own: NodeId) -> Result<(), ClientError> {
    let snapshot = members.snapshot();
    let Some(beacon) = snapshot.first(Role::Beacon, now()).filter(|it| it.body.node != own) else {
        return Ok(());
    };
    let client = peers.client(&beacon.body)?;
    let network = members.network();
    let nodes: NodeList = client.get_json("/v1/nodes", MAX_NODES_BYTES).await?;
    for bytes in &nodes.admissions {
        let Ok(admission) = Signed::open(&network, bytes.as_bytes()) else { continue };
        match members.admit(admission).await {
            Ok(false) => {}
            Ok(true) => tracing::info!("an admission was taken from the beacon"),
            Err(error) => tracing::debug!(error = chain(&error), "an admission is not taken"),
        }
    }
    let settings: SettingsView = client.get_json("/v1/settings", MAX_SETTINGS_BYTES).await?;
    if let Some(bytes) = &settings.statement
        && let Ok(document) = Signed::open(&network, bytes.as_bytes())
    {
        match members.apply_settings(document).await {
            Ok(false) => {}
            Ok(true) => tracing::info!(version = settings.version, "settings were applied"),
            Err(error) => tracing::debug!(error = chain(&error), "settings are not applied"),
        }
    }
    Ok(())
}
