//! A node being put together: each role adds its tasks, endpoints and conditions of being ready.

use std::{sync::Arc, time::Instant};

use axum::{Router, extract::DefaultBodyLimit};
use sandbox::{EngineFiles, Sandbox, SandboxConfig};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use wire::{key::StatementSigner as _, network::Role};

use crate::{
    beacon::{BeaconDesk, HEAD_QUEUE},
    desk::{Desk, ReadinessProbe},
    evidence::EvidenceKeeper,
    http::{Failure, MAX_BODY_BYTES, Stop, as_problem},
    log_keeper::LogKeeper,
    members::Members,
    metrics::Metrics,
    peers::Peers,
    relay::{self, RelayDesk, RelayParts, RelayTask},
    rounds::RoundFollower,
    serve::{HostCommand, Node, Opened, ServeError},
    sync,
    time::now,
    witness::Witness,
    worker::{self, Runner, WorkerParts, WorkerTask, follow_relays},
};

/// A node being put together.
pub(crate) struct Build {
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
    pub(crate) fn new(opened: Opened) -> Self {
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

    pub(crate) fn has(&self, role: Role) -> bool {
        self.opened.roles.contains(role)
    }

    fn add(&mut self, routes: Router) {
        self.router = std::mem::take(&mut self.router).merge(routes);
    }

    /// What every node does.
    pub(crate) fn base(&mut self) {
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

    pub(crate) async fn beacon(&mut self) -> Result<(), ServeError> {
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

    pub(crate) async fn relay(&mut self) -> Result<(), ServeError> {
        let (store, own) = (self.opened.store.clone(), self.opened.key.id());
        let (members, peers) = (Arc::clone(&self.opened.members), Arc::clone(&self.peers));
        let follower = RoundFollower::new(store.clone(), Arc::clone(&members), peers, own);
        let (inputs, taken) = mpsc::channel(relay::INPUT_QUEUE);
        let desk = Arc::new(RelayDesk {
            store: store.clone(),
            own,
            rounds: Arc::clone(&follower),
            evidence: Arc::clone(&self.evidence),
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

    pub(crate) async fn worker(
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

    pub(crate) fn finish(mut self, listener: TcpListener) -> Node {
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
