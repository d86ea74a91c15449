//! [`Node`]: starting, serving and stopping all of a node's parts.
//!
//! Invariant: the node serves only after its store has been opened and its machines restored; it
//! stops as one when any of its tasks fails.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, serve::ListenerExt as _};
use sandbox::{EngineError, Sandbox, SandboxError};
use store::{Store, StoreError};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use wire::{NodeId, key::StatementSigner as _, network::Role};

use crate::{
    build::Build,
    config::NodeConfig,
    files::{self, FileError, NetworkFile},
    members::{MemberError, Members},
    relay::TaskError,
};

/// How long open connections may go on once the node was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a node does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store cannot be opened, or failed.
    #[error("the node's store")]
    Store(#[from] StoreError),
    /// The network file or what is stored of it does not hold.
    #[error("the network's records")]
    Members(#[from] MemberError),
    /// The node is not in the network file.
    #[error("no operator has admitted this node ({0}): its network file must hold its admission")]
    NotAdmitted(NodeId),
    /// The engine is not there.
    #[error("a worker needs the JavaScript engine")]
    Engine(#[from] EngineError),
    /// The sandbox does not start.
    #[error("the sandbox does not start")]
    Sandbox(#[from] SandboxError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The relay's task ended.
    #[error("the relay stopped")]
    Relay(#[from] TaskError),
    /// A task panicked: a defect of ours.
    #[error("a task of the node failed")]
    Task(#[from] tokio::task::JoinError),
    /// Serving failed.
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
}

/// How to start the sandbox's host process: this very program, with hidden arguments.
#[derive(Debug, Clone)]
pub struct HostCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A node that is ready to serve.
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) tasks: JoinSet<Result<(), ServeError>>,
    pub(crate) store: Store,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) stopping: watch::Sender<bool>,
}

impl Node {
    /// Opens everything. `listener` is a socket that was handed over; without one, the configured
    /// address or the domain's port is listened on.
    pub async fn start(
        config: NodeConfig,
        host: HostCommand,
        listener: Option<TcpListener>,
        #[cfg(feature = "adversary")] conduct: crate::adversary::Conduct,
    ) -> Result<Self, ServeError> {
        let opened = tokio::task::spawn_blocking(move || Opened::open(config));
        let opened = opened.await??;
        let listener = match listener {
            Some(listener) => listener,
            None => opened.listen().await?,
        };
        let mut build = Build::new(opened);
        build.base();
        if build.has(Role::Beacon) {
            build.beacon().await?;
        }
        if build.has(Role::Relay) {
            build.relay().await?;
        }
        if build.has(Role::Worker) {
            let worker = build.worker(
                host,
                #[cfg(feature = "adversary")]
                conduct,
            );
            worker.await?;
        }
        Ok(build.finish(listener))
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` is ready or a task fails; then drains and closes.
    pub async fn serve(
        mut self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let mut graceful = self.stopping.subscribe();
        // A small event must not wait for the acknowledgement of the one before it.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
        let server = axum::serve(listener, self.router).with_graceful_shutdown(async move {
            let _ = graceful.wait_for(|stop| *stop).await;
        });
        let mut server = tokio::spawn(server.into_future());
        let result = tokio::select! {
            () = stop => Ok(()),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(result)) => result,
                Some(Err(error)) => Err(error.into()),
                None => Ok(()),
            },
            ended = &mut server => match ended {
                Ok(result) => result.map_err(ServeError::Serve),
                Err(error) => Err(error.into()),
            },
        };
        self.stopping.send_replace(true);
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            server.abort();
        }
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        self.store.close().await?;
        result
    }
}

/// What is opened before anything runs.
pub(crate) struct Opened {
    pub(crate) config: NodeConfig,
    pub(crate) store: Store,
    pub(crate) key: Arc<wire::NodeKey>,
    pub(crate) members: Arc<Members>,
    pub(crate) roles: wire::network::Roles,
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Opened {
    fn open(config: NodeConfig) -> Result<Self, ServeError> {
        files::make_private_folder(&config.data)?;
        let file = NetworkFile::read(&config.network)?;
        let key = Arc::new(files::node_key(&config.data.join("node.key"))?);
        let store = Store::open(config.data.join("node.db"), file.genesis.id(), key.id())?;
        let members = Arc::new(Members::open(store.clone(), file)?);
        let snapshot = members.snapshot();
        let admission = snapshot.node(&key.id()).ok_or(ServeError::NotAdmitted(key.id()))?;
        let body = &admission.body;
        let (roles, name) = (body.roles, body.name.clone());
        let port = body.domain.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.expect("an admitted domain has a port");
        Ok(Self { config, store, key, members, roles, name, port })
    }

    async fn listen(&self) -> Result<TcpListener, ServeError> {
        let every = SocketAddr::from(([0, 0, 0, 0], self.port));
        let address = self.config.listen.unwrap_or(every);
        let error = |source| ServeError::Listen { address: address.to_string(), source };
        TcpListener::bind(address).await.map_err(error)
    }
}
