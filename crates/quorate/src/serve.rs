//! `quorate serve`: one node.
//!
//! A listening socket that was handed over (`LISTEN_FDS`) goes before any address, so that whoever
//! started this process can keep the port while it is down.

use std::{io::Read as _, net::SocketAddr, path::PathBuf, thread};

use anyhow::{Context as _, Result};
use listenfd::ListenFd;
use node::{Node, NodeConfig};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing_subscriber::EnvFilter;

use crate::{output, values::ConfigLine};

/// The environment variable that says what is logged.
const LOG_VARIABLE: &str = "QUORATE_LOG";

const EXAMPLES: &str = "\
Examples:
  quorate serve --config /etc/quorate/node.toml
  quorate serve --data ./worker-7 --network network.json --set queued_jobs=64
  QUORATE_LOG=debug quorate serve --config node.toml --print-config

Flags go over the environment (QUORATE_<KEY>), and both over the file.";

/// Runs one node.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The configuration: TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's folder, with its key and its database
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The network file that an operator gave out
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// The address to listen on; the port of the node's domain by default
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Any other key of the configuration
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<ConfigLine>,
    /// Prints the configuration that holds, and ends
    #[arg(long)]
    print_config: bool,
    /// Ends when standard input does: with the process that started this one
    #[arg(long)]
    exit_with_parent: bool,
    /// How a worker behaves: honest, lies or answers-twice
    #[cfg(feature = "adversary")]
    #[arg(long, hide = true, default_value = "honest")]
    conduct: node::adversary::Conduct,
}

impl ServeArgs {
    fn config(&self) -> Result<NodeConfig> {
        let listen = self.listen.map(|address| address.to_string());
        let paths = [("data", &self.data), ("network", &self.network)];
        let mut flags = self.set.clone();
        for (key, path) in paths {
            if let Some(path) = path {
                let text = path.to_str().with_context(|| format!("--{key}: not UTF-8"))?;
                flags.push(ConfigLine::text(key, text));
            }
        }
        flags.extend(listen.map(|address| ConfigLine::text("listen", &address)));
        let flags: Vec<String> = flags.into_iter().map(|ConfigLine(line)| line).collect();
        let variable = |name: &str| std::env::var(name).ok();
        Ok(NodeConfig::load(self.config.as_deref(), variable, &flags)?)
    }
}

/// Runs the command until it is told to stop. Takes the handed-over socket before any thread starts.
pub fn run(args: &ServeArgs) -> Result<()> {
    let handed = handed_listener()?;
    let config = args.config()?;
    if args.print_config {
        return output::bytes(config.to_toml().as_bytes());
    }
    start_log()?;
    let stdin = args.exit_with_parent.then(when_stdin_ends);
    crate::args::block_on(async move {
        let listener = handed.map(TcpListener::from_std).transpose();
        let node = Node::start(
            config,
            crate::host_command()?,
            listener.context("the socket that was handed over cannot be used")?,
            #[cfg(feature = "adversary")]
            args.conduct,
        );
        let stop = stop_signal()?;
        let node = node.await?;
        tracing::info!(name = node.name(), id = %node.id(), address = ?node.address(), "serving");
        let stop = async move {
            let parent = async move {
                match stdin {
                    Some(ended) => drop(ended.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop => tracing::info!("stopping: a signal came"),
                () = parent => tracing::info!("stopping: the parent has ended"),
            }
        };
        node.serve(stop).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The socket of `LISTEN_FDS`, if there is one; no process that is started later inherits it.
fn handed_listener() -> Result<Option<std::net::TcpListener>> {
    let taken = ListenFd::from_env().take_tcp_listener(0);
    let Some(listener) = taken.context("LISTEN_FDS: not a listening TCP socket")? else {
        return Ok(None);
    };
    // What was handed over stays open over exec; a duplicate made by the standard library does not.
    let own = listener.try_clone().context("the socket that was handed over")?;
    own.set_nonblocking(true).context("the socket that was handed over")?;
    Ok(Some(own))
}

fn start_log() -> Result<()> {
    use std::io::IsTerminal as _;
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).with_context(|| format!("{LOG_VARIABLE}={wanted}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

/// Ready when a process that holds the other end of standard input is gone.
pub fn when_stdin_ends() -> oneshot::Receiver<()> {
    let (ended, when) = oneshot::channel();
    // A thread of its own: a blocked read cannot be cancelled, and must not hold up the end.
    thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while stdin.read(&mut buffer).is_ok_and(|count| count > 0) {}
        // Nobody listens any more once the process stops by itself.
        let _ = ended.send(());
    });
    when
}

/// Ready when this process is told to stop.
pub fn stop_signal() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
