//! The host: one thread that starts V8 once, keeps a few jailed children ready, and gives each job one of them.
//!
//! Invariants:
//! - The host never runs a script and never waits for a child: it reads what children wrote, and kills at the deadline.
//! - Every accepted job is answered exactly once, whatever its child does.
//! - A fault which needed a kill is reported after the child has been reaped, so a reported job has no process left.
//! - When the node's end of the socket closes, or the host dies, no child survives (closed socket, then parent-death signal).

use crate::child;
use crate::engine::EngineId;
use crate::ffi::Engine;
use crate::frame::{self, FromChild, FromHost, MAX_FRAME_BYTES, Request};
use crate::jail::Jail;
use crate::job::{Fault, Outcome};
use crate::post_mortem::post_mortem;
use crate::slot::{Child, End, Running, State};
use crate::unix::{self, Fork, Received};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The variables through which the client tells the host its settings. They are gone before V8 starts.
pub(crate) const LIBRARY_VARIABLE: &str = "QUORATE_SANDBOX_LIBRARY";
pub(crate) const ICU_VARIABLE: &str = "QUORATE_SANDBOX_ICU";
pub(crate) const READY_VARIABLE: &str = "QUORATE_SANDBOX_READY";

/// What V8 and the C library see as environment: one time zone, one language.
const ENVIRONMENT: &[(&str, &str)] =
    &[("TZ", "UTC"), ("LANG", "en_US.UTF-8"), ("LC_ALL", "en_US.UTF-8")];

/// A child takes 5 ms to get ready; one which takes this long never will.
const PREPARATION: Duration = Duration::from_secs(20);
/// So many failed preparations in a row are no accident: the host gives up and says why.
const FAILED_PREPARATIONS: u32 = 5;
/// Memory beyond the heap limit before the kernel refuses more: V8's young generation and compiled code, so that an ordinary heap
/// ends with V8's own clean report.
const MEMORY_SLACK_BYTES: u64 = 64 << 20;
/// Most jobs are shorter. Forking and getting ready takes as much processor time as such a job ten times over, and would take it
/// from the job on a machine with few cores.
const REFILL_DELAY: Duration = Duration::from_millis(3);
/// V8's last words are one line.
const LAST_WORDS_BYTES: usize = 4096;
/// A child that took a job and does not read it is broken.
const HAND_OVER: Duration = Duration::from_secs(2);

/// What a test host does in the jailed child instead of a script: the source in, JSON text out, or none to run the script.
pub type Probe = fn(&str) -> Option<String>;

/// The main function of the host process, which [`crate::Sandbox::start`] executes. Call it before any thread exists; standard
/// input is the node's socket.
pub fn host_main() -> ExitCode {
    host_main_with_probe(None)
}

/// [`host_main`] for tests of the jail: `probe` runs inside it.
#[doc(hidden)]
pub fn host_main_with_probe(probe: Option<Probe>) -> ExitCode {
    let node = match unix::take_standard_input() {
        Ok(node) => node,
        Err(error) => {
            eprintln!("sandbox host: standard input is no socket: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut host = match Host::start(node, probe) {
        Ok(host) => host,
        Err((node, reason)) => {
            let _ = unix::send_some(&node, &FromHost::Fatal { reason }.encode());
            return ExitCode::FAILURE;
        }
    };
    let result = host.serve();
    host.kill_all();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = unix::send_some(&host.node, &FromHost::Fatal { reason }.encode());
            ExitCode::FAILURE
        }
    }
}

struct Host {
    engine: Engine,
    engine_id: EngineId,
    jail: Jail,
    probe: Option<Probe>,
    ready_target: usize,
    node: OwnedFd,
    signals: OwnedFd,
    /// Bytes from the node that are not yet a whole message.
    incoming: Vec<u8>,
    /// Bytes for the node that did not fit into the socket. Bounded by the jobs that the node has in flight.
    outgoing: VecDeque<u8>,
    /// Jobs without a child. Bounded by the node's `max_parallel`.
    waiting: VecDeque<Request>,
    children: Vec<Child>,
    failed_preparations: u32,
    said_hello: bool,
    node_gone: bool,
}

impl Host {
    fn start(node: OwnedFd, probe: Option<Probe>) -> Result<Self, (OwnedFd, String)> {
        let library = std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from);
        let icu = std::env::var_os(ICU_VARIABLE).map(PathBuf::from);
        let ready_target =
            std::env::var(READY_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        unix::replace_environment(ENVIRONMENT);
        let load = |library: Option<PathBuf>| -> Result<(Engine, Jail, OwnedFd), String> {
            let library = library.ok_or("the host was started without an engine")?;
            let engine = Engine::load_pinned(&library, icu.as_deref())?;
            let jail = Jail::compile().map_err(|error| child::chain(&error))?;
            let signals = unix::child_signals().map_err(|error| child::chain(&error))?;
            Ok((engine, jail, signals))
        };
        let (engine, jail, signals) = match load(library) {
            Ok(parts) => parts,
            Err(reason) => return Err((node, reason)),
        };
        let engine_id = EngineId::of(engine.v8_version(), icu.is_some());
        Ok(Self {
            engine,
            engine_id,
            jail,
            probe,
            ready_target,
            node,
            signals,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            waiting: VecDeque::new(),
            children: Vec::new(),
            failed_preparations: 0,
            said_hello: false,
            node_gone: false,
        })
    }

    /// The loop. Order: the dead are reaped first (their jobs are answered), then new jobs are handed over, then the pool is
    /// filled, then all wait.
    fn serve(&mut self) -> Result<(), String> {
        loop {
            self.reap();
            self.hand_over();
            self.fill_pool()?;
            self.flush();
            if self.node_gone {
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn wait(&mut self) -> Result<(), String> {
        let mut descriptors: Vec<(RawFd, bool)> = vec![
            (self.node.as_raw_fd(), !self.outgoing.is_empty()),
            (self.signals.as_raw_fd(), false),
        ];
        let watched: Vec<usize> = (0..self.children.len())
            .filter(|index| !matches!(self.children[*index].state, State::Ending(_)))
            .collect();
        descriptors
            .extend(watched.iter().map(|index| (self.children[*index].socket.as_raw_fd(), false)));
        let next = self.children.iter().filter_map(|child| match &child.state {
            State::Preparing { until } | State::Running(Running { until, .. }) => Some(*until),
            State::Ready { .. } | State::Ending(_) => None,
        });
        let timeout = next
            .chain(self.refill_time())
            .min()
            .map(|until| until.saturating_duration_since(Instant::now()));
        let happened = unix::wait(&descriptors, timeout).map_err(|error| child::chain(&error))?;
        if happened[0] {
            self.read_node()?;
        }
        if happened[1] {
            // One byte of the record is enough to know; `reap` asks the kernel itself.
            unix::drain_pipe(&self.signals, 16 * size_of::<libc::signalfd_siginfo>());
        }
        for (position, index) in watched.iter().enumerate() {
            if happened[position + 2] {
                self.read_child(*index)?;
            }
        }
        self.enforce_deadlines();
        Ok(())
    }

    fn read_node(&mut self) -> Result<(), String> {
        if let Received::Closed = unix::receive(&self.node, &mut self.incoming, 2 * MAX_FRAME_BYTES)
        {
            self.node_gone = true;
            return Ok(());
        }
        while let Some(body) = frame::take(&mut self.incoming).map_err(|error| error.to_string())? {
            self.waiting.push_back(Request::decode(&body).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    fn read_child(&mut self, index: usize) -> Result<(), String> {
        let child = &mut self.children[index];
        let closed = matches!(
            unix::receive(&child.socket, &mut child.incoming, MAX_FRAME_BYTES + 4),
            Received::Closed
        );
        let message = match frame::take(&mut child.incoming) {
            Ok(Some(body)) => FromChild::decode(&body).ok(),
            Ok(None) if !closed => return Ok(()),
            Ok(None) | Err(_) => None,
        };
        let state = std::mem::replace(&mut child.state, State::Ending(None));
        match (state, message) {
            (State::Preparing { .. }, Some(FromChild::Ready { cpu_us, landlock })) => {
                child.state = State::Ready { base_cpu_us: cpu_us };
                self.failed_preparations = 0;
                if !self.said_hello {
                    self.said_hello = true;
                    self.send(&FromHost::Hello { engine_id: self.engine_id.to_string(), landlock });
                }
            }
            (State::Preparing { .. }, Some(FromChild::Unusable { reason })) => {
                unix::kill(child.process);
                self.preparation_failed(&reason)?;
            }
            (State::Preparing { .. }, _) => {
                unix::kill(child.process);
                let words = unix::drain_pipe(&child.last_words, LAST_WORDS_BYTES);
                let reason = format!(
                    "a child died while it got ready: {}",
                    String::from_utf8_lossy(&words).trim()
                );
                self.preparation_failed(&reason)?;
            }
            (State::Running(running), Some(FromChild::Done { cpu_us, outcome, logs })) => {
                unix::kill(child.process);
                let cpu_us = cpu_us.saturating_sub(running.base_cpu_us);
                self.answer(&running, running.started.elapsed(), cpu_us, outcome, logs);
            }
            (State::Running(running), _) => {
                unix::kill(child.process);
                let wall = running.started.elapsed();
                child.state = State::Ending(Some((running, End::Itself { wall })));
            }
            (State::Ready { .. } | State::Ending(_), _) => unix::kill(child.process),
        }
        Ok(())
    }

    fn preparation_failed(&mut self, reason: &str) -> Result<(), String> {
        self.failed_preparations += 1;
        if self.failed_preparations >= FAILED_PREPARATIONS {
            Err(reason.to_owned())
        } else {
            Ok(())
        }
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        for child in &mut self.children {
            let over = match &child.state {
                State::Preparing { until } | State::Running(Running { until, .. }) => *until <= now,
                State::Ready { .. } | State::Ending(_) => false,
            };
            if !over {
                continue;
            }
            unix::kill(child.process);
            child.state = match std::mem::replace(&mut child.state, State::Ending(None)) {
                State::Running(running) => {
                    let wall = running.started.elapsed();
                    State::Ending(Some((running, End::Deadline { wall })))
                }
                _ => {
                    self.failed_preparations += 1;
                    State::Ending(None)
                }
            };
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = unix::reap() {
            let Some(index) = self.children.iter().position(|child| child.process == ended.process)
            else {
                continue;
            };
            let mut child = self.children.swap_remove(index);
            let (running, end) = match child.state {
                State::Ending(Some(owed)) => owed,
                // Dead before its last message was read, or before its silence was noticed.
                State::Running(running) => {
                    unix::receive(&child.socket, &mut child.incoming, MAX_FRAME_BYTES + 4);
                    let wall = running.started.elapsed();
                    let message = frame::take(&mut child.incoming)
                        .ok()
                        .flatten()
                        .map(|body| FromChild::decode(&body));
                    if let Some(Ok(FromChild::Done { cpu_us, outcome, logs })) = message {
                        let cpu_us = cpu_us.saturating_sub(running.base_cpu_us);
                        self.answer(&running, wall, cpu_us, outcome, logs);
                        continue;
                    }
                    (running, End::Itself { wall })
                }
                State::Preparing { .. } => {
                    self.failed_preparations += 1;
                    continue;
                }
                State::Ready { .. } | State::Ending(None) => continue,
            };
            let cpu_us = ended.cpu_us.saturating_sub(running.base_cpu_us);
            let (wall, fault) = match end {
                End::Deadline { wall } => {
                    (wall, Fault::time_limit(running.request.job.limits.wall_ms))
                }
                End::Itself { wall } => {
                    let words = unix::drain_pipe(&child.last_words, LAST_WORDS_BYTES);
                    (
                        wall,
                        post_mortem(
                            &ended,
                            &String::from_utf8_lossy(&words),
                            running.request.job.limits.memory_mib,
                        ),
                    )
                }
            };
            self.answer(&running, wall, cpu_us, Outcome::Fault(fault), Vec::new());
        }
    }

    fn hand_over(&mut self) {
        while !self.waiting.is_empty() {
            let Some(child) =
                self.children.iter_mut().find(|child| matches!(child.state, State::Ready { .. }))
            else {
                return;
            };
            let State::Ready { base_cpu_us } = child.state else {
                return;
            };
            let Some(request) = self.waiting.pop_front() else {
                return;
            };
            match give(child, &request) {
                Ok(()) => {
                    let started = Instant::now();
                    let until =
                        started + Duration::from_millis(u64::from(request.job.limits.wall_ms));
                    child.state = State::Running(Running { request, base_cpu_us, started, until });
                }
                Err(_) => {
                    // It died while it waited; the job has not begun.
                    unix::kill(child.process);
                    child.state = State::Ending(None);
                    self.waiting.push_front(request);
                }
            }
        }
    }

    /// Forks at most one child, so that a job that arrives meanwhile waits for one fork at most.
    fn fill_pool(&mut self) -> Result<(), String> {
        if self.failed_preparations >= FAILED_PREPARATIONS {
            return Err("children die while they get ready".into());
        }
        if self.refill_time().is_some_and(|time| time <= Instant::now()) {
            let child =
                self.fork_child().map_err(|error| format!("a child cannot be started: {error}"))?;
            self.children.push(child);
        }
        Ok(())
    }

    /// When the pool wants its next child, if it wants one: at once while a job waits or no child is left, else when the job that
    /// took the last one has had a moment to itself.
    fn refill_time(&self) -> Option<Instant> {
        let idle =
            |child: &&Child| matches!(child.state, State::Preparing { .. } | State::Ready { .. });
        let idle = self.children.iter().filter(idle).count();
        let now = Instant::now();
        if idle >= self.ready_target.max(1) + self.waiting.len() {
            return None;
        }
        if idle <= self.waiting.len() {
            return Some(now);
        }
        let starts = self.children.iter().filter_map(|child| match &child.state {
            State::Running(running) => Some(running.started),
            _ => None,
        });
        Some(starts.max().map_or(now, |started| started + REFILL_DELAY))
    }

    fn fork_child(&self) -> std::io::Result<Child> {
        let (ours, theirs) = UnixStream::pair()?;
        // A ready child reads its job at once; a longer wait means that it is broken, and must not hold up the host.
        ours.set_write_timeout(Some(HAND_OVER))?;
        let (last_words, errors) = unix::pipe()?;
        let host = std::process::id() as libc::pid_t;
        match unix::fork()? {
            Fork::Parent { child: process } => Ok(Child {
                process,
                socket: ours.into(),
                last_words,
                incoming: Vec::new(),
                state: State::Preparing { until: Instant::now() + PREPARATION },
            }),
            Fork::Child => {
                let kept = unix::die_with_parent(host)
                    .and_then(|()| unix::keep_only(theirs.as_raw_fd(), errors.as_raw_fd()));
                if kept.is_err() {
                    unix::exit_now(1);
                }
                child::live(&self.engine, &self.jail, self.probe)
            }
        }
    }

    fn answer(
        &mut self,
        running: &Running,
        wall: Duration,
        cpu_us: u64,
        outcome: Outcome,
        logs: Vec<String>,
    ) {
        let wall_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        self.send(&FromHost::Finished { id: running.request.id, cpu_us, wall_us, outcome, logs });
    }

    fn send(&mut self, message: &FromHost) {
        self.outgoing.extend(message.encode());
        self.flush();
    }

    fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            match unix::send_some(&self.node, self.outgoing.as_slices().0) {
                Ok(0) => return,
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(_) => {
                    self.node_gone = true;
                    return;
                }
            }
        }
    }

    fn kill_all(&mut self) {
        for child in &self.children {
            unix::kill(child.process);
        }
        unix::reap_all();
    }
}

/// Gives a job to a ready child, with its memory limit. The limit counts from what an idle child has: V8 reserves 512 MiB of
/// writable address space for compiled code, which is counted but not used.
fn give(child: &Child, request: &Request) -> std::io::Result<()> {
    let allowed = (u64::from(request.job.limits.memory_mib) << 20) + MEMORY_SLACK_BYTES;
    unix::limit_data_of(child.process, unix::data_bytes_of(child.process)? + allowed)?;
    unix::send_all(&child.socket, &request.encode())
}
