//! [`Node`]: starting, serving and stopping all of a node's parts.
//!
//! Invariant: the node serves only after its store has been opened and its machines restored; it
//! stops as one when any of its tasks fails.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::DefaultBodyLimit};
use sandbox::{EngineError, EngineFiles, Sandbox, SandboxConfig, SandboxError};
use store::{Store, StoreError};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use wire::{NodeId, key::StatementSigner as _, network::Role};

use crate::{
    beacon::{BeaconDesk, HEAD_QUEUE},
    config::NodeConfig,
    desk::{Desk, ReadinessProbe},
    evidence::EvidenceKeeper,
    files::{self, FileError, NetworkFile},
    http::{Failure, MAX_BODY_BYTES, Stop, as_problem},
    log_keeper::LogKeeper,
    members::{MemberError, Members},
    metrics::Metrics,
    peers::Peers,
    relay::{self, RelayDesk, RelayParts, RelayTask, TaskError},
    rounds::RoundFollower,
    sync,
    time::now,
    witness::Witness,
    worker::{self, Runner, WorkerParts, WorkerTask, follow_relays},
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
    id: NodeId,
    name: String,
    listener: TcpListener,
    router: Router,
    tasks: JoinSet<Result<(), ServeError>>,
    store: Store,
    sandbox: Option<Sandbox>,
    stopping: watch::Sender<bool>,
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
        let server = axum::serve(self.listener, self.router).with_graceful_shutdown(async move {
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
struct Opened {
    config: NodeConfig,
    store: Store,
    key: Arc<wire::NodeKey>,
    members: Arc<Members>,
    roles: wire::network::Roles,
    name: String,
    port: u16,
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

/// A node being put together.
struct Build {
    opened: Opened,
    peers: Arc<Peers>,
    log: Arc<LogKeeper>,
    evidence: Arc<EvidenceKeeper>,
    metrics: Arc<Metrics>,
    router: Router,
    tasks: JoinSet<Result<(), ServeError>>,
    probes: Vec<ReadinessProbe>,
    heads: Option<mpsc::Sender<wire::round::SeenHead>>,
    engine: Option<String>,
    sandbox: Option<Sandbox>,
    stopping: watch::Sender<bool>,
}

impl Build {
    fn new(opened: Opened) -> Self {
        let network = opened.members.network();
        let peers = Arc::new(Peers::new(network, Arc::clone(&opened.key)));
        let log = LogKeeper::new(
            opened.store.clone(),
            Arc::clone(&opened.key),
            Arc::clone(&opened.members),
            Arc::clone(&peers),
        );
        let evidence = EvidenceKeeper::new(opened.store.clone(), Arc::clone(&opened.members));
        Self {
            opened,
            peers,
            log,
            evidence,
            metrics: Arc::default(),
            router: Router::new(),
            tasks: JoinSet::new(),
            probes: Vec::new(),
            heads: None,
            engine: None,
            sandbox: None,
            stopping: watch::Sender::new(false),
        }
    }

    fn has(&self, role: Role) -> bool {
        self.opened.roles.contains(role)
    }

    fn add(&mut self, routes: Router) {
        self.router = std::mem::take(&mut self.router).merge(routes);
    }

    /// What every node does.
    fn base(&mut self) {
        self.add(self.log.routes());
        self.add(self.evidence.routes());
        let own = self.opened.key.id();
        let (members, peers) = (Arc::clone(&self.opened.members), Arc::clone(&self.peers));
        self.tasks.spawn(async move {
            sync::keep_up(members, peers, own).await;
            Ok(())
        });
        let gather = Arc::clone(&self.log).gather();
        self.tasks.spawn(async move {
            gather.await;
            Ok(())
        });
        let feed = Arc::clone(&self.log).feed_beacon(self.has(Role::Relay));
        self.tasks.spawn(async move {
            feed.await;
            Ok(())
        });
    }

    async fn beacon(&mut self) -> Result<(), ServeError> {
        let (store, members) = (self.opened.store.clone(), Arc::clone(&self.opened.members));
        let stop = Stop(self.stopping.subscribe());
        let desk = tokio::task::spawn_blocking(move || BeaconDesk::open(store, members, stop));
        let desk = desk.await??;
        let (heads, seen) = mpsc::channel(HEAD_QUEUE);
        self.heads = Some(heads);
        self.add(desk.routes());
        let probe = Arc::clone(&desk);
        self.probes.push((
            "rounds",
            Box::new(move || match probe.is_open() {
                true => Ok("a round is open".to_owned()),
                false => Err("no round has been opened yet".to_owned()),
            }),
        ));
        let (key, log) = (Arc::clone(&self.opened.key), Arc::clone(&self.log));
        self.tasks.spawn(async move {
            let never = desk.run(key, log, seen).await?;
            match never {}
        });
        Ok(())
    }

    async fn relay(&mut self) -> Result<(), ServeError> {
        let (store, own) = (self.opened.store.clone(), self.opened.key.id());
        let (members, peers) = (Arc::clone(&self.opened.members), Arc::clone(&self.peers));
        let follower = RoundFollower::new(store.clone(), Arc::clone(&members), peers, own);
        let (inputs, taken) = mpsc::channel(relay::INPUT_QUEUE);
        let desk = Arc::new(RelayDesk {
            store: store.clone(),
            own,
            rounds: Arc::clone(&follower),
            hub: RelayDesk::new_hub(),
            stories: RelayDesk::new_stories(store.clone(), Arc::clone(&members)),
            inputs,
            keyed: tokio::sync::Mutex::default(),
            code_store_bytes: self.opened.config.code_store_bytes,
            stop: Stop(self.stopping.subscribe()),
            members: Arc::clone(&members),
        });
        let parts = RelayParts {
            store,
            key: Arc::clone(&self.opened.key),
            members,
            log: Arc::clone(&self.log),
            evidence: Arc::clone(&self.evidence),
            metrics: Arc::clone(&self.metrics),
            hub: Arc::clone(&desk.hub),
            stories: Arc::clone(&desk.stories),
            open_requests: self.opened.config.open_requests,
        };
        let for_open = Arc::clone(&follower);
        let task = tokio::task::spawn_blocking(move || RelayTask::open(parts, &for_open)).await??;
        // A round is small, and the relay's task takes it before anything else.
        let (rounds, opened) = mpsc::channel(16);
        self.add(desk.routes());
        let probe = Arc::clone(&follower);
        self.probes.push((
            "dated",
            Box::new(move || match probe.newest() {
                Some((round, _, true)) => Ok(format!("round {round} has seen this relay's log")),
                Some((round, _, false)) => {
                    Err(format!("round {round} has not seen this relay's log"))
                }
                None => Err("no round has come from the beacon yet".to_owned()),
            }),
        ));
        self.tasks.spawn(async move {
            follower.run(rounds).await;
            Ok(())
        });
        self.tasks.spawn(async move {
            let never = task.run(taken, opened).await?;
            match never {}
        });
        Ok(())
    }

    async fn worker(
        &mut self,
        host: HostCommand,
        #[cfg(feature = "adversary")] conduct: crate::adversary::Conduct,
    ) -> Result<(), ServeError> {
        let configured = self.opened.config.engine.clone();
        let engine =
            tokio::task::spawn_blocking(move || EngineFiles::locate(configured.as_deref()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = self.opened.config.parallel_jobs.unwrap_or(cores).max(1);
        let sandbox = Sandbox::start(SandboxConfig {
            program: host.program,
            arguments: host.arguments,
            engine: engine.await??,
            ready_children: parallel + 1,
            max_parallel: parallel,
            queue: self.opened.config.queued_jobs,
        });
        let sandbox = sandbox.await?;
        self.engine = Some(sandbox.engine_id().as_str().to_owned());
        self.sandbox = Some(sandbox.clone());
        let members = Arc::clone(&self.opened.members);
        let fetch_private = self.opened.config.fetch_private;
        let metrics = Arc::clone(&self.metrics);
        let runner = Arc::new(Runner::new(Arc::clone(&members), metrics, sandbox, fetch_private)?);
        let parts = WorkerParts {
            store: self.opened.store.clone(),
            key: Arc::clone(&self.opened.key),
            members: Arc::clone(&members),
            peers: Arc::clone(&self.peers),
            log: Arc::clone(&self.log),
            evidence: Arc::clone(&self.evidence),
            metrics: Arc::clone(&self.metrics),
            runner,
            #[cfg(feature = "adversary")]
            conduct,
        };
        let (events, inputs) = mpsc::channel(worker::INPUT_QUEUE);
        let for_task = events.clone();
        let task = tokio::task::spawn_blocking(move || WorkerTask::open(parts, for_task)).await??;
        let peers = Arc::clone(&self.peers);
        self.tasks.spawn(async move {
            follow_relays(members, peers, events).await;
            Ok(())
        });
        self.tasks.spawn(async move {
            let never = task.run(inputs).await?;
            match never {}
        });
        Ok(())
    }

    fn finish(mut self, listener: TcpListener) -> Node {
        let witness = Witness::new(
            self.opened.store.clone(),
            Arc::clone(&self.opened.key),
            Arc::clone(&self.opened.members),
            Arc::clone(&self.evidence),
            self.heads.take(),
        );
        self.add(witness.routes());
        let members = Arc::clone(&self.opened.members);
        let own = self.opened.key.id();
        let admitted = Arc::clone(&members);
        self.probes.push((
            "admission",
            Box::new(move || {
                let snapshot = admitted.snapshot();
                match snapshot.node(&own) {
                    Some(known) if known.body.is_current(now()) => Ok("it is in force".to_owned()),
                    _ => Err("it has not started or has expired".to_owned()),
                }
            }),
        ));
        let desk = Arc::new(Desk {
            members: Arc::clone(&members),
            own,
            engine: self.engine.take(),
            metrics: Arc::clone(&self.metrics),
            started: Instant::now(),
            probes: std::mem::take(&mut self.probes),
        });
        self.add(desk.routes());
        let router = self
            .router
            .fallback(move |uri: axum::http::Uri| unknown_path(Arc::clone(&members), uri))
            .method_not_allowed_fallback(|| async {
                Failure::new(api::Code::MethodNotAllowed, "see the API's document for its methods")
            })
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(axum::middleware::map_response(as_problem));
        Node {
            id: own,
            name: self.opened.name,
            listener,
            router,
            tasks: self.tasks,
            store: self.opened.store,
            sandbox: self.sandbox,
            stopping: self.stopping,
        }
    }
}

/// A path of another role is told apart from one that does not exist.
async fn unknown_path(members: Arc<Members>, uri: axum::http::Uri) -> Failure {
    let path = uri.path();
    let of_role = api::ENDPOINTS.iter().find(|endpoint| {
        let mut given = path.split('/');
        let same = endpoint
            .path
            .split('/')
            .all(|part| given.next().is_some_and(|given| part.starts_with('{') || part == given));
        same && given.next().is_none() && !endpoint.roles.is_empty()
    });
    let Some(endpoint) = of_role else { return Failure::not_found("such path") };
    let role = endpoint.roles[0];
    let detail = format!("{path} is answered by nodes with the role {role}");
    let problem = api::Problem::new(api::Code::WrongRole, detail);
    let snapshot = members.snapshot();
    let holder = snapshot.first(role, now());
    Failure(match holder {
        Some(holder) => problem.with_holder(&holder.body.domain),
        None => problem,
    })
}
