//! The node's side: starts the host process, hands it jobs, starts it again when it dies.
//!
//! Invariants:
//! - At most `max_parallel` jobs are with the host and at most `queue` wait here; one more is refused at once ([`SandboxError::Busy`]).
//! - A job whose host died is run again once, by a new host. Running twice is harmless: a job has no effects but its result.
//! - A caller that stops waiting keeps its place occupied until its job has ended, so abandoned jobs count as well.

use crate::engine::{EngineFiles, EngineId};
use crate::frame::{self, FromHost, Request};
use crate::host::{ICU_VARIABLE, LIBRARY_VARIABLE, READY_VARIABLE};
use crate::job::{Finished, Job, JobError};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// How long a host may take until its first child is ready; 0.1 s is usual.
const START: Duration = Duration::from_secs(30);
/// How long a host may take to end after its socket closed.
const STOP: Duration = Duration::from_secs(5);
/// A job is given to at most so many hosts.
const ATTEMPTS: usize = 2;

/// How to start a sandbox.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program to execute as host: the `quorate` binary itself.
    pub program: PathBuf,
    /// Its arguments, which make it call [`crate::host_main`].
    pub arguments: Vec<String>,
    /// The checked engine.
    pub engine: EngineFiles,
    /// Children kept ready, 1 or more. Each costs about 2 MiB; as many as jobs usually arrive together.
    pub ready_children: usize,
    /// Jobs that run at the same time, 1 or more. The number of cores lent to jobs.
    pub max_parallel: usize,
    /// Jobs that wait beyond those.
    pub queue: usize,
}

/// Why a job has no end, or a sandbox no start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The job is outside the hard bounds; it was not run.
    #[error("the job is refused: {0}")]
    Refused(#[from] JobError),
    /// All places are taken and the queue is full; it was not run. Try again later.
    #[error("the sandbox is busy: {max_parallel} jobs run and {queue} wait")]
    Busy {
        /// The places.
        max_parallel: usize,
        /// The length of the queue.
        queue: usize,
    },
    /// The host process could not be started.
    #[error("the sandbox host {} cannot be started", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The host started but cannot work; its reason.
    #[error("the sandbox host cannot work: {reason}")]
    HostUnusable {
        /// What it said.
        reason: String,
    },
    /// The host died under this job, twice. The next job starts a new host; try again.
    #[error("the sandbox host died while it ran the job")]
    HostDied,
    /// The sandbox was stopped.
    #[error("the sandbox is stopped")]
    Stopped,
}

impl SandboxError {
    /// Whether the same job may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::HostDied)
    }
}

/// What protects the machine from children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JailReport {
    /// System-call filters. Always on: a child without them does not run.
    pub seccomp: bool,
    /// Landlock (files, TCP): on where the kernel has it.
    pub landlock: bool,
}

/// A running sandbox. Clones share it.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    config: SandboxConfig,
    engine_id: EngineId,
    jail: JailReport,
    next_id: AtomicU64,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    host: tokio::sync::Mutex<Slot>,
}

/// The current host, which may have died.
enum Slot {
    Host(Arc<Host>),
    Stopped,
}

/// One host process. Dropping it closes its socket, whereupon it ends with its children.
struct Host {
    process: Option<u32>,
    /// Whole messages for the host, written by a task of its own: a caller that is dropped half way must not leave half a message
    /// before the next one. Bounded by the places. `None` once the sandbox is stopped.
    outgoing: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    pending: Arc<Pending>,
    /// Becomes true when the process has been reaped.
    ended: watch::Receiver<bool>,
}

/// Jobs in flight; `None` when the host is dead, so that no job can be added after the last look.
struct Pending(Mutex<Option<HashMap<u64, Waiter>>>);

struct Waiter {
    answer: oneshot::Sender<Finished>,
    /// Given back when the job has ended, even if nobody waits for its answer.
    _place: OwnedSemaphorePermit,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiter>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandbox {
    /// Starts the host and waits until its first child is ready.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let (host, engine_id, jail) = Host::start(&config).await?;
        let places = config.max_parallel.max(1);
        let shared = Shared {
            engine_id,
            jail,
            next_id: AtomicU64::new(1),
            admitted: Arc::new(Semaphore::new(places + config.queue)),
            running: Arc::new(Semaphore::new(places)),
            host: tokio::sync::Mutex::new(Slot::Host(Arc::new(host))),
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs one job to its end. A faulty script is an `Ok` with a fault as its outcome.
    pub async fn run(&self, job: Job) -> Result<Finished, SandboxError> {
        job.check()?;
        let shared = &self.shared;
        let busy = || SandboxError::Busy {
            max_parallel: shared.config.max_parallel.max(1),
            queue: shared.config.queue,
        };
        let _admission = Arc::clone(&shared.admitted).try_acquire_owned().map_err(|_| busy())?;
        let mut request = Request { id: 0, job };
        for _ in 0..ATTEMPTS {
            let place = Arc::clone(&shared.running)
                .acquire_owned()
                .await
                .map_err(|_| SandboxError::Stopped)?;
            request.id = shared.next_id.fetch_add(1, Ordering::Relaxed);
            let host = self.host().await?;
            if let Some(finished) = host.run(&request, place).await {
                return Ok(finished);
            }
        }
        Err(SandboxError::HostDied)
    }

    /// The engine of every result, for result statements.
    pub fn engine_id(&self) -> EngineId {
        self.shared.engine_id.clone()
    }

    /// What protects the machine from children.
    pub fn jail_report(&self) -> JailReport {
        self.shared.jail
    }

    /// The process id of the current host, if it lives; for diagnostics.
    pub async fn host_process(&self) -> Option<u32> {
        match &*self.shared.host.lock().await {
            Slot::Host(host) if host.is_alive() => host.process,
            Slot::Host(_) | Slot::Stopped => None,
        }
    }

    /// Ends the host and all jobs, and waits until the process is gone. Jobs of other clones end with an error.
    pub async fn stop(self) {
        self.shared.running.close();
        let slot = std::mem::replace(&mut *self.shared.host.lock().await, Slot::Stopped);
        if let Slot::Host(host) = slot {
            drop(host.outgoing.lock().unwrap_or_else(PoisonError::into_inner).take());
            let mut ended = host.ended.clone();
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// The living host; a new one if the last has died.
    async fn host(&self) -> Result<Arc<Host>, SandboxError> {
        let mut slot = self.shared.host.lock().await;
        match &*slot {
            Slot::Stopped => return Err(SandboxError::Stopped),
            Slot::Host(host) if host.is_alive() => return Ok(Arc::clone(host)),
            Slot::Host(_) => {}
        }
        let (host, engine_id, _) = Host::start(&self.shared.config).await?;
        if engine_id != self.shared.engine_id {
            let reason = format!("its engine is now {engine_id} and was {}", self.shared.engine_id);
            return Err(SandboxError::HostUnusable { reason });
        }
        let host = Arc::new(host);
        *slot = Slot::Host(Arc::clone(&host));
        Ok(host)
    }
}

impl Host {
    async fn start(config: &SandboxConfig) -> Result<(Self, EngineId, JailReport), SandboxError> {
        let spawn_error = |source| SandboxError::Spawn { program: config.program.clone(), source };
        let (ours, mut process) = spawn(config).map_err(spawn_error)?;
        let (mut reader, writer) = ours.into_split();
        let mut buffer = Vec::new();
        let first = match tokio::time::timeout(START, next_message(&mut reader, &mut buffer)).await
        {
            Ok(Ok(Some(message))) => message,
            Ok(_) => FromHost::Fatal { reason: "it ended without a word".into() },
            Err(_) => {
                FromHost::Fatal { reason: format!("it was not ready after {} s", START.as_secs()) }
            }
        };
        let (engine_id, landlock) = match first {
            FromHost::Hello { engine_id, landlock } => (EngineId::from_host(engine_id), landlock),
            FromHost::Fatal { reason } => return Err(SandboxError::HostUnusable { reason }),
            FromHost::Finished { .. } => {
                return Err(SandboxError::HostUnusable { reason: "it answered nobody".into() });
            }
        };
        let pending = Arc::new(Pending(Mutex::new(Some(HashMap::new()))));
        let (report_end, ended) = watch::channel(false);
        let id = process.id();
        let pending_of_reader = Arc::clone(&pending);
        tokio::spawn(async move {
            read_answers(&mut reader, &mut buffer, &pending_of_reader).await;
            // Dropped waiters wake their callers, who try again with a new host.
            drop(pending_of_reader.lock().take());
            if tokio::time::timeout(STOP, process.wait()).await.is_err() {
                let _ = process.kill().await;
            }
            report_end.send_replace(true);
        });
        let (outgoing, messages) = mpsc::unbounded_channel();
        tokio::spawn(write_messages(writer, messages));
        let host = Self { process: id, outgoing: Mutex::new(Some(outgoing)), pending, ended };
        Ok((host, engine_id, JailReport { seccomp: true, landlock }))
    }

    fn is_alive(&self) -> bool {
        self.pending.lock().is_some()
    }

    /// `None` when the host died first.
    async fn run(&self, request: &Request, place: OwnedSemaphorePermit) -> Option<Finished> {
        let (answer, answered) = oneshot::channel();
        self.pending.lock().as_mut()?.insert(request.id, Waiter { answer, _place: place });
        let sent = match &*self.outgoing.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(outgoing) => outgoing.send(request.encode()).is_ok(),
            None => false,
        };
        if !sent {
            self.pending.lock().as_mut()?.remove(&request.id);
            return None;
        }
        answered.await.ok()
    }
}

fn spawn(config: &SandboxConfig) -> io::Result<(UnixStream, Child)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(&config.program);
    command
        .args(&config.arguments)
        .env_clear()
        .env(LIBRARY_VARIABLE, config.engine.library())
        .env(READY_VARIABLE, config.ready_children.max(1).to_string())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .current_dir("/")
        .kill_on_drop(true);
    if let Some(icu) = config.engine.icu() {
        command.env(ICU_VARIABLE, icu);
    }
    let process = command.spawn()?;
    Ok((UnixStream::from_std(ours)?, process))
}

/// Until the sandbox is dropped or stopped, or the host is gone. The end of the task closes the socket's writing side.
async fn write_messages(
    mut writer: OwnedWriteHalf,
    mut messages: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    while let Some(message) = messages.recv().await {
        if writer.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// Until the host is gone or talks nonsense.
async fn read_answers(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>, pending: &Pending) {
    while let Ok(Some(FromHost::Finished { id, cpu_us, wall_us, outcome, logs })) =
        next_message(reader, buffer).await
    {
        let waiter = pending.lock().as_mut().and_then(|waiters| waiters.remove(&id));
        if let Some(waiter) = waiter {
            // Nobody may be waiting any more.
            let _ = waiter.answer.send(Finished { outcome, logs, cpu_us, wall_us });
        }
    }
}

/// The next message, or `None` at the end.
async fn next_message(
    reader: &mut OwnedReadHalf,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<FromHost>> {
    let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        if let Some(body) = frame::take(buffer).map_err(malformed)? {
            return FromHost::decode(&body).map(Some).map_err(malformed);
        }
        if reader.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
