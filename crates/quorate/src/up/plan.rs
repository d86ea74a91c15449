//! What stands before any process: folder, keys, ports, the network's file.
//!
//! Invariant: the network's file names every node at the port whose socket is held here, by its
//! newest admission; nothing that an earlier start admitted is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use node::{
    files::{self, NetworkFile},
    time::now,
};
use wire::{
    NodeId, NodeKey, OperatorKey, Signed,
    key::StatementSigner as _,
    network::{Admission, Genesis, Role, Settings},
};

use super::ports;
use crate::{
    exit::{Exit, OrExit as _, failure},
    settings,
    target::NETWORK_FILE,
};

/// The name of the networks that `quorate up` makes.
const NETWORK_NAME: &str = "local";
/// How long an admission holds, in ms: ten years, longer than anybody tries a network out.
const ADMITTED_MS: u64 = 10 * 365 * 24 * 3_600 * 1_000;
/// An admission that ends within this time is renewed, in ms: a month.
const RENEWED_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// A network that is ready to be started.
pub struct Plan {
    /// Its folder.
    pub folder: PathBuf,
    /// Its file.
    pub network: NetworkFile,
    /// Who admits nodes and signs settings.
    pub operator: OperatorKey,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// Held as long as the network runs.
    lock: File,
}

/// One node.
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its folder.
    pub folder: PathBuf,
    /// Where it listens.
    pub domain: String,
    /// The socket.
    pub listener: TcpListener,
}

impl Plan {
    /// Makes or takes up the network in a folder.
    pub fn make(folder: &Path, workers: u16, period_ms: Option<u64>) -> Result<Self> {
        files::make_private_folder(folder)?;
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let lock = lock(&folder)?;
        let operator = files::operator_key(&folder.join("operator.key"))?;
        let path = folder.join(NETWORK_FILE);
        let mut network = match path.exists() {
            true => NetworkFile::read(&path)?,
            false => new_network(&operator, period_ms)?,
        };
        if !network.genesis.operators.contains(&operator.id()) {
            let message = format!("{}: operator.key is not the network's", folder.display());
            return Err(failure(Exit::BadInput, message));
        }
        let nodes = place(&folder, workers, &mut network, &operator)?;
        network.write(&path)?;
        Ok(Self { folder, network, operator, nodes, lock })
    }

    /// The lock, which must be held as long as the network runs.
    pub fn into_parts(self) -> (PathBuf, NetworkFile, OperatorKey, Vec<NodePlan>, File) {
        (self.folder, self.network, self.operator, self.nodes, self.lock)
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("up.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another `quorate up` runs in {}", folder.display());
            Err(failure(Exit::BadInput, message))
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn new_network(operator: &OperatorKey, period_ms: Option<u64>) -> Result<NetworkFile> {
    let genesis = Genesis::new(NETWORK_NAME, vec![operator.id()], now())?;
    let mut values = Settings { version: 1, ..Settings::default() };
    values.period_ms = period_ms.unwrap_or(values.period_ms);
    values.check().context("--period-ms").or_exit(Exit::BadInput)?;
    let settings = settings::sign(genesis.id(), operator, &values);
    Ok(NetworkFile { genesis, admissions: Vec::new(), settings: Some(settings) })
}

/// A node before it has a port.
struct Placed {
    name: String,
    role: Role,
    folder: PathBuf,
    key: NodeKey,
    earlier: Option<Signed<Admission>>,
    listener: Option<TcpListener>,
}

/// Gives every node its key, its port and, where something changed, a new admission.
fn place(
    folder: &Path,
    workers: u16,
    network: &mut NetworkFile,
    operator: &OperatorKey,
) -> Result<Vec<NodePlan>> {
    let newest = newest(&network.admissions);
    let workers = (1..=workers).map(|number| (format!("worker-{number}"), Role::Worker));
    let all = [("beacon".to_owned(), Role::Beacon), ("relay".to_owned(), Role::Relay)];
    let mut placed = Vec::new();
    for (name, role) in all.into_iter().chain(workers) {
        let folder = folder.join(&name);
        files::make_private_folder(&folder)?;
        let key = files::node_key(&folder.join("node.key"))?;
        let earlier = newest.get(&key.id()).cloned();
        // Every earlier port is asked for before any new one, which could be one of them.
        let listener = earlier.as_ref().and_then(|known| ports::earlier(&known.body.domain));
        placed.push(Placed { name, role, folder, key, earlier, listener });
    }
    let taken: BTreeSet<String> = newest.values().map(|known| known.body.domain.clone()).collect();
    let mut nodes = Vec::new();
    for node in placed {
        let (plan, admission) = settle(node, &taken, network, operator)?;
        if let Some(admission) = admission {
            let id = admission.body.node;
            network.admissions.retain(|known| known.body.node != id);
            network.admissions.push(admission);
        }
        nodes.push(plan);
    }
    Ok(nodes)
}

fn newest(admissions: &[Signed<Admission>]) -> BTreeMap<NodeId, Signed<Admission>> {
    let mut newest: BTreeMap<NodeId, Signed<Admission>> = BTreeMap::new();
    for known in admissions {
        let slot = newest.entry(known.body.node).or_insert_with(|| known.clone());
        if slot.body.generation < known.body.generation {
            *slot = known.clone();
        }
    }
    newest
}

fn settle(
    node: Placed,
    taken: &BTreeSet<String>,
    network: &NetworkFile,
    operator: &OperatorKey,
) -> Result<(NodePlan, Option<Signed<Admission>>)> {
    let Placed { name, role, folder, key, earlier, listener } = node;
    let (listener, domain) = match (listener, &earlier) {
        (Some(listener), Some(known)) => (listener, known.body.domain.clone()),
        _ => ports::fresh(taken)?,
    };
    let time = now();
    let wanted = Admission {
        node: key.id(),
        vrf: key.vrf_public(),
        sealing: key.sealing_public(),
        name: name.clone(),
        domain: domain.clone(),
        roles: [role].into_iter().collect(),
        // What the node signed so far stays within its admission.
        starts: earlier.as_ref().map_or(time, |known| known.body.starts),
        expires: time.plus(ADMITTED_MS),
        generation: earlier.as_ref().map_or(1, |known| known.body.generation + 1),
    };
    let plan = NodePlan { name, role, folder, domain, listener };
    let holds = |known: &Signed<Admission>| {
        let (expires, generation) = (known.body.expires, known.body.generation);
        expires > time.plus(RENEWED_MS)
            && known.body == Admission { expires, generation, ..wanted.clone() }
    };
    if earlier.as_ref().is_some_and(holds) {
        return Ok((plan, None));
    }
    Ok((plan, Some(Signed::sign(network.genesis.id(), operator, wanted))))
}

/// Makes the folder of the certificates.
pub fn certificates(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("certificates");
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admissions(plan: &Plan) -> Vec<(String, u64, String)> {
        let body = |known: &Signed<Admission>| {
            (known.body.name.clone(), known.body.generation, known.body.domain.clone())
        };
        let mut all: Vec<_> = plan.network.admissions.iter().map(body).collect();
        all.sort();
        all
    }

    #[test]
    fn a_network_is_taken_up_where_it_was_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Plan::make(folder.path(), 2, Some(250)).expect("made");
        let settings = first.network.settings.as_ref().expect("signed");
        assert_eq!((settings.body.version, settings.body.period_ms), (1, 250));
        let (id, before) = (first.network.genesis.id(), admissions(&first));
        assert_eq!(before.len(), 4);
        let error = Plan::make(folder.path(), 2, None).err().expect("in use");
        assert!(error.to_string().contains("another"), "{error}");
        drop(first);
        let again = Plan::make(folder.path(), 3, None).expect("taken up");
        assert_eq!(again.network.genesis.id(), id);
        let after = admissions(&again);
        assert_eq!((after.len(), &after[..4]), (5, &before[..]), "only worker-3 is new");
    }

    #[test]
    fn a_port_that_is_taken_gives_a_new_generation() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Plan::make(folder.path(), 1, None).expect("made");
        let before = admissions(&first);
        let squatter = first.nodes[2].listener.try_clone().expect("a second handle keeps the port");
        drop(first);
        let again = Plan::make(folder.path(), 1, None).expect("made");
        drop(squatter);
        let after = admissions(&again);
        assert_eq!(after[..2], before[..2]);
        assert_eq!((after[2].1, &after[2].0), (2, &before[2].0));
        assert_ne!(after[2].2, before[2].2);
        assert_eq!(again.nodes[2].domain, after[2].2);
    }

    #[test]
    fn a_period_out_of_range_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Plan::make(folder.path(), 1, Some(1)).err().expect("too short");
        assert_eq!(Exit::of(&error), Exit::BadInput);
        assert!(format!("{error:#}").contains("period_ms"), "{error:#}");
    }
}
