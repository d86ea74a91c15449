//! Which node is asked, and in which network.
//!
//! Invariant: every answer is checked against one network. Its id comes from `--network`, from the
//! folder of `quorate up`, or, where nothing is known yet, from the node itself, and then that is said.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use client::Client;
use node::files::NetworkFile;
use wire::NetworkId;

use crate::{
    exit::{Exit, failure},
    output,
};

/// Where `quorate up` keeps its network by default.
pub const DEFAULT_DATA: &str = "./quorate-data";
/// The file with the relay's address in such a folder.
pub const RELAY_URL_FILE: &str = "relay.url";
/// The network's file in such a folder.
pub const NETWORK_FILE: &str = "network.json";

/// Which node is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct TargetArgs {
    /// The relay or other node to ask; by default the one of the network that `quorate up` runs in
    /// ./quorate-data
    #[arg(long, visible_alias = "node", env = "QUORATE_RELAY", value_name = "URL")]
    relay: Option<String>,
    /// The network that the answers must be of; by default the one of ./quorate-data, or what the
    /// node says
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
}

/// A node, and the network whose statements are taken from it.
pub struct Target {
    /// The node.
    pub client: Client,
    /// Its address.
    pub url: String,
    /// The network.
    pub network: NetworkId,
}

impl TargetArgs {
    /// Finds the node and the network.
    pub async fn connect(&self) -> Result<Target> {
        let local = Path::new(DEFAULT_DATA);
        let (url, local_network) = match &self.relay {
            Some(url) => (with_scheme(url), None),
            None => (url_of(local)?, NetworkFile::read(&local.join(NETWORK_FILE)).ok()),
        };
        let client = Client::new(&url)?;
        let known = self.network.or_else(|| local_network.map(|file| file.genesis.id()));
        let network = match known {
            Some(network) => network,
            None => {
                let network = client.node().await?.network;
                output::talk(&format!(
                    "network {network}, as the node itself says; --network {network} makes sure"
                ));
                network
            }
        };
        Ok(Target { client: client.in_network(network), url, network })
    }
}

fn url_of(data: &Path) -> Result<String> {
    let path = data.join(RELAY_URL_FILE);
    if !path.exists() {
        let message = format!(
            "no relay is known: give --relay URL or QUORATE_RELAY, or start a network with `quorate up` \
             (which writes {})",
            path.display()
        );
        return Err(failure(Exit::Usage, message));
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// An address as people write it: without a scheme it is http.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// The address of a node by its domain.
pub fn url_of_domain(domain: &str) -> String {
    format!("http://{domain}")
}
