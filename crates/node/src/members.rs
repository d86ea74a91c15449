//! Who belongs to the network and which settings hold, as this node knows them now.
//!
//! Readers take a snapshot without a lock; changes are checked, stored, and then shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use clock::{CurrentSettings, SettingsError};
use directory::{AdmitError, Directory, Liveness, Snapshot};
use store::{Store, StoreError};
use tokio::sync::watch;
use wire::{
    Millis, NetworkId, NodeId, Signed,
    network::{Admission, Role, Settings},
};

use crate::{files::NetworkFile, time::now};

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The admission is not taken.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The settings are not applied.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It could not be stored.
    #[error("cannot store the change")]
    Store(#[from] StoreError),
}

struct Inner {
    directory: Directory,
    settings: CurrentSettings,
    liveness: Liveness,
}

/// The network as a node knows it.
pub struct Members {
    store: Store,
    inner: Mutex<Inner>,
    /// Orders changes: what is stored last is shown last.
    changes: tokio::sync::Mutex<()>,
    snapshot: ArcSwap<Snapshot>,
    settings: ArcSwap<CurrentSettings>,
    changed: watch::Sender<u64>,
}

impl Members {
    /// The network of a file, with what was stored since. Blocks.
    pub fn open(store: Store, file: NetworkFile) -> Result<Self, MemberError> {
        let mut directory = Directory::new(file.genesis.clone());
        let mut settings = CurrentSettings::default();
        let network = file.genesis.id();
        let (stored, stored_settings) =
            store.read_blocking(|reader| Ok((reader.admissions()?, reader.settings()?)))?;
        let open_stored = |bytes: &[u8]| {
            Signed::<Admission>::open(&network, bytes)
                .map_err(|error| StoreError::Damaged(format!("an admission: {error}")))
        };
        for admission in &stored {
            directory.admit(open_stored(&admission.bytes)?)?;
        }
        // Names and domains may move between nodes; the file is an operator's later word, in which
        // older ones are no error.
        let mut newer = Vec::new();
        for admission in file.admissions {
            match directory.admit(admission.clone()) {
                Ok(true) => newer.push(admission),
                Ok(false) | Err(AdmitError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(stored) = stored_settings {
            let document = Signed::open(&network, &stored.bytes)
                .map_err(|error| StoreError::Damaged(format!("the settings: {error}")))?;
            settings.apply(&file.genesis, document)?;
        }
        let mut newer_settings = None;
        if let Some(document) = file.settings {
            match settings.apply(&file.genesis, document.clone()) {
                Ok(true) => newer_settings = Some(document),
                Ok(false) | Err(SettingsError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        store.write_blocking(move |transaction| {
            for known in &newer {
                transaction.put_admission(
                    &known.body.node,
                    known.body.generation,
                    known.bytes(),
                )?;
            }
            newer_settings.map_or(Ok(()), |document| {
                transaction.put_settings(document.body.version, document.bytes())
            })
        })?;
        Ok(Self {
            store,
            snapshot: ArcSwap::from_pointee(directory.snapshot()),
            settings: ArcSwap::from_pointee(settings.clone()),
            inner: Mutex::new(Inner { directory, settings, liveness: Liveness::default() }),
            changes: tokio::sync::Mutex::new(()),
            changed: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        *self.snapshot.load().network()
    }

    /// The nodes as they are known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<CurrentSettings> {
        self.settings.load_full()
    }

    /// Grows with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes an admission in; `false` if it was known.
    pub async fn admit(&self, admission: Signed<Admission>) -> Result<bool, MemberError> {
        let _order = self.changes.lock().await;
        let mut directory = self.lock().directory.clone();
        if !directory.admit(admission.clone())? {
            return Ok(false);
        }
        let stored = move |transaction: &mut store::Transaction<'_>| {
            let body = &admission.body;
            transaction.put_admission(&body.node, body.generation, admission.bytes())
        };
        self.store.write(stored).await?;
        self.snapshot.store(Arc::new(directory.snapshot()));
        self.lock().directory = directory;
        self.changed.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// Applies a settings document; `false` if it is the one in force.
    pub async fn apply_settings(&self, document: Signed<Settings>) -> Result<bool, MemberError> {
        let _order = self.changes.lock().await;
        let mut settings = self.lock().settings.clone();
        if !settings.apply(self.snapshot.load().genesis(), document.clone())? {
            return Ok(false);
        }
        let stored = move |transaction: &mut store::Transaction<'_>| {
            transaction.put_settings(document.body.version, document.bytes())
        };
        self.store.write(stored).await?;
        self.settings.store(Arc::new(settings.clone()));
        self.lock().settings = settings;
        self.changed.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// A node called with a valid credential or checkpoint, or answered.
    pub fn saw(&self, node: NodeId) {
        self.lock().liveness.saw(node, now());
    }

    /// When a node was last heard of, and whether it counts as alive.
    pub fn liveness(&self, node: &NodeId, now: Millis) -> (bool, Option<Millis>) {
        let alive_ms = self.settings.load().values().alive_ms;
        let inner = self.lock();
        (inner.liveness.is_alive(node, now, alive_ms), inner.liveness.last_seen(node))
    }

    /// The current and living nodes of a role, by id.
    pub fn alive(&self, role: Role, now: Millis) -> Vec<Signed<Admission>> {
        let snapshot = self.snapshot();
        let alive_ms = self.settings.load().values().alive_ms;
        let inner = self.lock();
        let lives =
            |known: &&Signed<Admission>| inner.liveness.is_alive(&known.body.node, now, alive_ms);
        snapshot.current(role, now).filter(lives).cloned().collect()
    }
}
