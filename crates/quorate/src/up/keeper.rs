//! One node's process: started, watched, started again when it dies, stopped with the others.
//!
//! The socket stays open here while the process is away, so callers wait instead of being refused,
//! and nobody else gets the port.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use command_fds::{CommandFdExt as _, FdMapping};
use tokio::{
    process::{Child, ChildStdin},
    sync::{mpsc, watch},
};

use super::{fleet::Pids, plan::NodePlan};
use crate::output::talk;

/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(5);
/// A node that died more often than [`MAX_DEATHS`] times within this time is left alone.
const WINDOW: Duration = Duration::from_secs(60);
/// How often a node may die within [`WINDOW`].
const MAX_DEATHS: usize = 5;
/// The wait before the first new start, which doubles with each death within [`WINDOW`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Where the first socket that is handed over stands (sd_listen_fds).
const FIRST_SOCKET: i32 = 3;
/// A log longer than this is put aside when the node starts, in bytes.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the end of a log is shown, in bytes.
const TAIL_BYTES: u64 = 4 * 1024;

/// A node that ended before the network was ready.
pub struct EarlyEnd {
    /// Its name.
    pub name: String,
    /// How it ended, or why it did not start.
    pub how: String,
    /// Its log.
    pub log: PathBuf,
}

/// Keeps one node running.
pub struct Keeper {
    /// The node.
    pub node: NodePlan,
    /// This program.
    pub program: PathBuf,
    /// The network's file.
    pub network: PathBuf,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Where its process id stands.
    pub pids: Arc<Pids>,
    /// Becomes true when all nodes shall stop.
    pub stop: watch::Receiver<bool>,
    /// Becomes true once the network was ready: from then on a node that dies is started again.
    pub ready: watch::Receiver<bool>,
    /// Takes an end before that.
    pub early: mpsc::Sender<EarlyEnd>,
}

impl Keeper {
    /// Keeps the node running until it shall stop.
    pub async fn run(mut self) {
        let mut deaths = VecDeque::new();
        loop {
            let how = match self.start() {
                Ok((child, stdin)) => match self.watch(child, stdin).await {
                    Some(status) => status.to_string(),
                    None => return,
                },
                Err(error) => format!("{error:#}"),
            };
            if !*self.ready.borrow() {
                let (name, log) = (self.node.name.clone(), self.log());
                // Nobody listens once another node was first.
                let _ = self.early.send(EarlyEnd { name, how, log }).await;
                return;
            }
            let Some(wait) = next_wait(&mut deaths, Instant::now()) else {
                talk(&format!(
                    "{} ended ({how}), {MAX_DEATHS} times within a minute: it is left alone; its log: {}",
                    self.node.name,
                    self.log().display()
                ));
                return;
            };
            talk(&format!("{} ended ({how}); it is started again", self.node.name));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = told_to_stop(&mut self.stop) => return,
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.node.folder.join("log.txt")
    }

    fn start(&self) -> Result<(Child, ChildStdin)> {
        let log = open_log(&self.log())?;
        let socket = FdMapping {
            parent_fd: OwnedFd::from(self.node.listener.try_clone().context("the node's socket")?),
            child_fd: FIRST_SOCKET,
        };
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--exit-with-parent", "--data"])
            .arg(&self.node.folder)
            .arg("--network")
            .arg(&self.network)
            .args(&self.arguments)
            .env("LISTEN_FDS", "1")
            // The child's process id is not known before it is there; without it, the socket is for
            // whoever gets the variable.
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("QUORATE_LISTEN")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("the node's log")?)
            .stderr(log)
            // Ctrl-C is for this process, which stops the nodes in order.
            .process_group(0)
            .fd_mappings(vec![socket])
            .context("the node's socket cannot be handed over")?;
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let program = self.program.display();
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let stdin = child.stdin.take().context("a pipe was asked for")?;
        if let Some(pid) = child.id() {
            self.pids.set(&self.node.name, Some(pid));
        }
        Ok((child, stdin))
    }

    /// Waits for the process to end, or stops it; `None` if it was stopped.
    async fn watch(&mut self, mut child: Child, stdin: ChildStdin) -> Option<ExitStatus> {
        let ended = tokio::select! {
            status = child.wait() => status.ok(),
            () = told_to_stop(&mut self.stop) => {
                drop(stdin);
                if tokio::time::timeout(STOP, child.wait()).await.is_err() {
                    talk(&format!("{} does not stop; it is killed", self.node.name));
                    // It may have ended in this moment.
                    let _ = child.kill().await;
                }
                None
            }
        };
        self.pids.set(&self.node.name, None);
        ended
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // Nobody is left to tell it: that is an end as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How long to wait before a new start; `None` if there were too many.
fn next_wait(deaths: &mut VecDeque<Instant>, now: Instant) -> Option<Duration> {
    while deaths.front().is_some_and(|death| now.duration_since(*death) > WINDOW) {
        deaths.pop_front();
    }
    let before = u32::try_from(deaths.len()).unwrap_or(u32::MAX);
    deaths.push_back(now);
    (deaths.len() <= MAX_DEATHS).then(|| FIRST_WAIT * 2_u32.saturating_pow(before))
}

fn open_log(path: &Path) -> Result<File> {
    let show = || format!("cannot write {}", path.display());
    if fs::metadata(path).is_ok_and(|known| known.len() > MAX_LOG_BYTES) {
        fs::rename(path, path.with_extension("old.txt")).with_context(show)?;
    }
    File::options().create(true).append(true).open(path).with_context(show)
}

/// The last lines of a log.
pub fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_too_many_deaths_end_it() {
        let (mut deaths, start) = (VecDeque::new(), Instant::now());
        let mut waits = Vec::new();
        while let Some(wait) = next_wait(&mut deaths, start) {
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600]);
        let later = start + WINDOW + Duration::from_secs(1);
        assert_eq!(next_wait(&mut deaths, later), Some(FIRST_WAIT), "old deaths are forgiven");
    }
}
