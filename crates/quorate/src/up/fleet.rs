//! All node processes of a network.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    keeper::{EarlyEnd, Keeper},
    plan::NodePlan,
};

/// The process ids of the nodes that run, also in a file, for whoever wants to look at one.
pub struct Pids {
    path: PathBuf,
    known: Mutex<BTreeMap<String, u32>>,
}

impl Pids {
    fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::default() }
    }

    /// Notes a node's process, or that it has none.
    pub fn set(&self, name: &str, pid: Option<u32>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => known.insert(name.to_owned(), pid),
            None => known.remove(name),
        };
        let content = json!({ "up": std::process::id(), "nodes": &*known }).to_string();
        // The file is a convenience: the network runs without it. The lock keeps writers apart.
        let _ = node::files::write_atomically(&self.path, content.as_bytes(), 0o644);
    }
}

/// The running processes. Dropping it kills them; [`Fleet::stop`] stops them in order.
pub struct Fleet {
    keepers: JoinSet<()>,
    stop: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    early: mpsc::Receiver<EarlyEnd>,
    pids: PathBuf,
}

impl Fleet {
    /// Starts a process for every node. `arguments` gives further ones for a node by its name.
    pub fn start(
        folder: &Path,
        network: &Path,
        nodes: Vec<NodePlan>,
        arguments: impl Fn(&str) -> Vec<String>,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let path = folder.join("pids.json");
        let pids = Arc::new(Pids::new(path.clone()));
        let (stop, ready) = (watch::Sender::new(false), watch::Sender::new(false));
        let (early_sender, early) = mpsc::channel(nodes.len().max(1));
        let mut keepers = JoinSet::new();
        for node in nodes {
            let keeper = Keeper {
                arguments: arguments(&node.name),
                node,
                program: program.clone(),
                network: network.to_owned(),
                pids: Arc::clone(&pids),
                stop: stop.subscribe(),
                ready: ready.subscribe(),
                early: early_sender.clone(),
            };
            keepers.spawn(keeper.run());
        }
        Ok(Self { keepers, stop, ready, early, pids: path })
    }

    /// The first node that ends before the network is ready.
    pub async fn early_end(&mut self) -> EarlyEnd {
        match self.early.recv().await {
            Some(early) => early,
            None => std::future::pending().await,
        }
    }

    /// From now on a node that dies is started again.
    pub fn is_ready(&self) {
        self.ready.send_replace(true);
    }

    /// Stops every node and waits for their ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.keepers.join_next().await.is_some() {}
        // It may be gone already.
        let _ = std::fs::remove_file(&self.pids);
    }
}
