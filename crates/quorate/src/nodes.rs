//! `quorate node`: the nodes of a network, and their logs.

use anyhow::{Context as _, Result};
use api::{NodeView, WitnessView};
use client::Client;
use serde_json::json;

use crate::{
    exit::{Exit, failure},
    output,
    target::{Target, TargetArgs, url_of_domain},
};

/// The nodes of a network
#[derive(Debug, clap::Subcommand)]
pub enum NodeCommand {
    /// Lists the nodes, as the one that is asked sees them; each equal to its operator's admission
    List(Common),
    /// Shows one node
    Show(Named),
    /// Shows the head of a node's log and who witnesses it; checkpoint and cosignatures are verified
    Log(Named),
}

/// What is asked, and how the answer looks.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// The same, about one node.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The node's name, or its id
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub async fn run(command: NodeCommand) -> Result<()> {
    match command {
        NodeCommand::List(common) => list(&common).await,
        NodeCommand::Show(named) => show(&named).await,
        NodeCommand::Log(named) => log(&named).await,
    }
}

async fn list(common: &Common) -> Result<()> {
    let target = common.target.connect().await?;
    let list = target.client.nodes().await?;
    if common.json {
        return output::json(&list.nodes);
    }
    let mut nodes = list.nodes;
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let row = |node: &NodeView| {
        let alive = if node.alive { "yes" } else { "no" };
        vec![node.name.clone(), roles(node), node.domain.clone(), alive.to_owned(), last_seen(node)]
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    output::table(&["NAME", "ROLES", "DOMAIN", "ALIVE", "LAST SEEN"], &rows)
}

fn roles(node: &NodeView) -> String {
    node.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

fn last_seen(node: &NodeView) -> String {
    let now = node::time::now();
    node.last_seen_ms.map_or_else(|| "never".to_owned(), |seen| output::ago(now.since(seen)))
}

async fn find(target: &Target, name: &str) -> Result<NodeView> {
    let nodes = target.client.nodes().await?.nodes;
    let found = nodes.into_iter().find(|node| node.name == name || node.id.to_string() == name);
    found.ok_or_else(|| {
        failure(Exit::BadInput, format!("no node of the network is called {name:?}"))
    })
}

/// Asks the node itself.
fn client_of(target: &Target, node: &NodeView) -> Result<Client> {
    Ok(Client::new(&url_of_domain(&node.domain))?.in_network(target.network))
}

async fn show(named: &Named) -> Result<()> {
    let target = named.common.target.connect().await?;
    let node = find(&target, &named.name).await?;
    let own = client_of(&target, &node)?.node().await;
    if named.common.json {
        return output::json(&json!({ "node": node, "says": own.ok() }));
    }
    let mut rows = vec![
        ("name", node.name.clone()),
        ("id", node.id.to_string()),
        ("roles", roles(&node)),
        ("domain", node.domain.clone()),
        ("admission", format!("generation {}", node.generation)),
        ("alive", if node.alive { "yes".to_owned() } else { "no".to_owned() }),
        ("last seen", last_seen(&node)),
    ];
    match own {
        Ok(own) => {
            rows.push(("version", own.version));
            rows.extend(own.engine.map(|engine| ("engine", engine)));
        }
        Err(error) => output::talk(&format!("{} itself does not answer: {error}", node.name)),
    }
    for (name, value) in rows {
        output::data(&format!("{name:10} {value}"))?;
    }
    Ok(())
}

async fn log(named: &Named) -> Result<()> {
    let target = named.common.target.connect().await?;
    let node = find(&target, &named.name).await?;
    let view = client_of(&target, &node)?.log().await?;
    if view.node != node.id {
        let message = format!("{} answers for {}, not for {}", node.domain, view.node, node.id);
        return Err(failure(Exit::Refused, message));
    }
    if named.common.json {
        return output::json(&view);
    }
    for (name, value) in [
        ("log", format!("{} ({})", view.name, view.origin)),
        ("size", format!("{} statement(s)", view.size)),
        ("root", view.root.to_string()),
        ("key", view.verifier_key.clone()),
    ] {
        output::data(&format!("{name:10} {value}"))?;
    }
    let now_s = node::time::now().0 / 1_000;
    let witness = |witness: &WitnessView| {
        let age = output::ago(now_s.saturating_sub(witness.time_s) * 1_000);
        format!("{:10} {} cosigned {age}", "witness", witness.name)
    };
    for line in view.witnesses.iter().map(witness) {
        output::data(&line)?;
    }
    let count = view.witnesses.len();
    output::data(&format!("The checkpoint's signature and {count} cosignature(s) verify."))
        .context("the log's head")
}
