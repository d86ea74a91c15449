//! A running network of this machine: started, ready, stopped.

use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use client::Client;
use sandbox::EngineFiles;
use wire::{NetworkId, network::Role};

use super::{
    fleet::Fleet,
    keeper::{EarlyEnd, tail},
    plan::{self, Plan},
};
use crate::{
    exit::{Exit, failure},
    http::Http,
    output::talk,
    settings,
    target::{NETWORK_FILE, RELAY_URL_FILE, Target, url_of_domain},
};

/// How long the nodes may take to be ready, on a slow machine.
const READY: Duration = Duration::from_secs(60);
/// How often they are asked.
const ASK: Duration = Duration::from_millis(20);
/// How long to wait for a round that names every worker; where one is missing, the first draw is
/// only smaller.
const NAMED: Duration = Duration::from_secs(10);

/// What network to run.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Its folder.
    pub data: PathBuf,
    /// How many workers.
    pub workers: u16,
    /// How long a round lasts, in ms.
    pub period_ms: Option<u64>,
    /// How workers behave: `name=conduct`.
    #[cfg(feature = "adversary")]
    pub conduct: Vec<String>,
}

impl NetworkOptions {
    fn arguments(&self, name: &str) -> Vec<String> {
        #[cfg(feature = "adversary")]
        for (node, conduct) in self.conduct.iter().filter_map(|text| text.split_once('=')) {
            if node == name {
                return vec!["--conduct".to_owned(), conduct.to_owned()];
            }
        }
        let _ = (self, name);
        Vec::new()
    }
}

/// A network that runs.
pub struct Network {
    /// Its folder.
    pub folder: PathBuf,
    /// Its relay.
    pub relay: Target,
    /// Every node's name and domain.
    pub nodes: Vec<(String, String)>,
    fleet: Fleet,
    _lock: File,
}

impl Network {
    /// Starts all nodes and waits until they are ready.
    pub async fn start(options: NetworkOptions) -> Result<Self> {
        // Without it no worker starts: said before anything is made.
        tokio::task::spawn_blocking(|| EngineFiles::locate(None)).await??;
        let (data, workers, period_ms) = (options.data.clone(), options.workers, options.period_ms);
        let plan = tokio::task::spawn_blocking(move || Plan::make(&data, workers, period_ms));
        let (folder, file, operator, nodes, lock) = plan.await??.into_parts();
        let named: Vec<_> =
            nodes.iter().map(|node| (node.name.clone(), node.domain.clone())).collect();
        let domain = |role| {
            let holder = nodes.iter().find(|node| node.role == role);
            holder.map(|node| url_of_domain(&node.domain)).context("a role without node")
        };
        let (beacon, relay) = (domain(Role::Beacon)?, domain(Role::Relay)?);
        let id = file.genesis.id();
        let mut fleet = Fleet::start(&folder, &folder.join(NETWORK_FILE), nodes, |name| {
            options.arguments(name)
        })?;
        let relay = Target { client: Client::new(&relay)?.in_network(id), url: relay, network: id };
        let ready = tokio::select! {
            ready = all_ready(&named, &beacon, id, usize::from(workers)) => ready,
            early = fleet.early_end() => Err(told(&early)),
        };
        if let Err(error) = ready {
            fleet.stop().await;
            return Err(error);
        }
        fleet.is_ready();
        let network = Self { folder, relay, nodes: named, fleet, _lock: lock };
        if let Err(error) = network.finish_start(&operator, period_ms).await {
            network.stop().await;
            return Err(error);
        }
        Ok(network)
    }

    /// Changes the period if another one is asked for than is in force; says where the relay is.
    async fn finish_start(
        &self,
        operator: &wire::OperatorKey,
        period_ms: Option<u64>,
    ) -> Result<()> {
        if let Some(period_ms) = period_ms {
            let current = settings::of_view(&self.relay.client.settings().await?);
            if current.period_ms != period_ms {
                let mut next = wire::network::Settings { version: current.version + 1, ..current };
                next.period_ms = period_ms;
                if let Err(error) = next.check() {
                    return Err(failure(Exit::BadInput, format!("--period-ms: {error}")));
                }
                settings::deliver(&self.relay, operator, &next).await?;
            }
        }
        let url = self.folder.join(RELAY_URL_FILE);
        node::files::write_atomically(&url, format!("{}\n", self.relay.url).as_bytes(), 0o644)?;
        Ok(())
    }

    /// Where certificates are kept.
    pub fn certificates(&self) -> Result<PathBuf> {
        plan::certificates(&self.folder)
    }

    /// Stops all nodes.
    pub async fn stop(self) {
        // Nobody shall be sent to a relay that is gone.
        let _ = fs::remove_file(self.folder.join(RELAY_URL_FILE));
        self.fleet.stop().await;
    }
}

fn told(early: &EarlyEnd) -> anyhow::Error {
    let EarlyEnd { name, how, log } = early;
    talk(&format!("--- the end of {} ---\n{}---", log.display(), tail(log)));
    anyhow::anyhow!("{name} ended before the network was ready ({how})")
}

async fn all_ready(
    nodes: &[(String, String)],
    beacon: &str,
    id: NetworkId,
    workers: usize,
) -> Result<()> {
    let (http, began) = (Http::new()?, Instant::now());
    for (name, domain) in nodes {
        let base = url_of_domain(domain);
        while let Err(error) = http.ready(&base).await {
            if began.elapsed() > READY {
                let message = format!("{name} was not ready within {} s", READY.as_secs());
                return Err(anyhow::Error::from(error).context(message));
            }
            tokio::time::sleep(ASK).await;
        }
    }
    let (client, began) = (Client::new(beacon)?.in_network(id), Instant::now());
    while began.elapsed() < NAMED {
        let newest = client.rounds(None, 1).await?.rounds.pop();
        if let Some(newest) = newest
            && http.roster(beacon, newest.round).await? >= workers
        {
            break;
        }
        tokio::time::sleep(ASK).await;
    }
    Ok(())
}
