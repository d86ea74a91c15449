//! `quorate settings`: the parameters of a network, which an operator signs.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use api::SettingsView;
use serde_json::json;
use wire::{NetworkId, OperatorKey, Signed, network::Settings};

use crate::{
    exit::{Exit, OrExit as _, failure},
    http::Http,
    output,
    target::{Target, TargetArgs, url_of_domain},
    values::Setting,
};

/// The parameters of a network
#[derive(Debug, clap::Subcommand)]
pub enum SettingsCommand {
    /// Shows the settings in force
    Show {
        /// Prints JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Changes settings: signs the next version and gives it to every node
    Set(SetArgs),
}

/// What is changed, and who signs.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// What to change, such as period_ms=500
    #[arg(required = true, value_name = "NAME=NUMBER")]
    changes: Vec<Setting>,
    /// The operator's key
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// Shows what would change, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// What a node said to new settings.
pub struct Delivery {
    /// The node's name.
    pub name: String,
    /// Whether it took them.
    pub result: Result<()>,
}

/// Runs the command.
pub async fn run(command: SettingsCommand) -> Result<()> {
    match command {
        SettingsCommand::Show { json, target } => {
            let view = target.connect().await?.client.settings().await?;
            if json { output::json(&view) } else { show(&view) }
        }
        SettingsCommand::Set(args) => set(args).await,
    }
}

fn show(view: &SettingsView) -> Result<()> {
    let by = if view.statement.is_some() { "signed by an operator" } else { "the defaults" };
    output::data(&format!("version {} ({by})", view.version))?;
    let row = |(name, least, most, default): &(&str, u64, u64, u64)| {
        let value = view.values.get(*name).copied().unwrap_or_default();
        vec![
            (*name).to_owned(),
            value.to_string(),
            format!("{least} to {most}"),
            default.to_string(),
        ]
    };
    let rows: Vec<_> = Settings::FIELDS.iter().map(row).collect();
    output::table(&["SETTING", "VALUE", "RANGE", "DEFAULT"], &rows)
}

/// The settings of a view.
pub fn of_view(view: &SettingsView) -> Settings {
    let mut settings = Settings { version: view.version, ..Settings::default() };
    for (name, value) in &view.values {
        settings.set(name, *value);
    }
    settings
}

/// The next version of settings, with these changes.
fn changed(current: &Settings, changes: &[Setting]) -> Result<Settings> {
    let mut next = Settings { version: current.version + 1, ..current.clone() };
    for Setting { name, value } in changes {
        if !next.set(name, *value) {
            let known: Vec<&str> = Settings::FIELDS.iter().map(|(name, ..)| *name).collect();
            let message =
                format!("{name}: there is no such setting; there are {}", known.join(", "));
            return Err(failure(Exit::BadInput, message));
        }
    }
    next.check().or_exit(Exit::BadInput)?;
    Ok(next)
}

async fn set(args: SetArgs) -> Result<()> {
    let key = node::files::existing_operator_key(&args.operator_key).or_exit(Exit::BadInput)?;
    let target = args.target.connect().await?;
    let current = of_view(&target.client.settings().await?);
    let next = changed(&current, &args.changes)?;
    if (Settings { version: current.version, ..next.clone() }) == current {
        output::talk(&format!("version {} says so already: nothing changes", current.version));
        return Ok(());
    }
    if !args.json {
        let (from, to) = (SettingsView::unsigned(&current), SettingsView::unsigned(&next));
        for (name, value) in &to.values {
            let before = from.values.get(name).copied().unwrap_or_default();
            if before != *value {
                output::data(&format!("{name}: {before} -> {value}"))?;
            }
        }
    }
    if args.dry_run {
        output::talk(&format!("version {} would follow; nothing was changed", next.version));
        return if args.json { output::json(&SettingsView::unsigned(&next)) } else { Ok(()) };
    }
    let deliveries = deliver(&target, &key, &next).await?;
    tell(&args, &next, &deliveries)
}

fn tell(args: &SetArgs, next: &Settings, deliveries: &[Delivery]) -> Result<()> {
    let failed = deliveries.iter().filter(|delivery| delivery.result.is_err()).count();
    if args.json {
        let said = deliveries.iter().map(|delivery| {
            let refused = delivery.result.as_ref().err().map(|error| format!("{error:#}"));
            json!({ "node": delivery.name, "took": refused.is_none(), "reason": refused })
        });
        let said: Vec<_> = said.collect();
        output::json(&json!({ "version": next.version, "nodes": said }))?;
    } else {
        for delivery in deliveries {
            output::data(&match &delivery.result {
                Ok(()) => format!("{}: version {} is in force", delivery.name, next.version),
                Err(error) => format!("{}: not taken: {error:#}", delivery.name),
            })?;
        }
    }
    match deliveries.len() {
        all if failed == all => {
            let refusal = deliveries.iter().find_map(|delivery| delivery.result.as_ref().err());
            let exit = refusal.map_or(Exit::Failed, Exit::of);
            Err(failure(exit, "no node took the settings"))
        }
        _ if failed > 0 => {
            output::talk(&format!(
                "{failed} node(s) take them from the beacon once they are reached"
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Signs settings and gives them to every node of the network.
pub async fn deliver(target: &Target, key: &OperatorKey, next: &Settings) -> Result<Vec<Delivery>> {
    let signed = sign(target.network, key, next);
    let nodes = target.client.nodes().await.context("cannot list the nodes")?.nodes;
    let http = Http::new()?;
    let mut deliveries = Vec::new();
    for node in nodes {
        let result = http.put_settings(&url_of_domain(&node.domain), &signed).await.map(drop);
        deliveries.push(Delivery { name: node.name, result });
    }
    deliveries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(deliveries)
}

/// Signs settings.
pub fn sign(network: NetworkId, key: &OperatorKey, settings: &Settings) -> Signed<Settings> {
    Signed::sign(network, key, settings.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_next_version_within_its_ranges() {
        let current = Settings { version: 4, ..Settings::default() };
        let change = |text: &str| changed(&current, &[text.parse().expect(text)]);
        let next = change("period_ms=500").expect("in range");
        assert_eq!((next.version, next.period_ms, next.alive_ms), (5, 500, current.alive_ms));
        for text in ["period_ms=1", "period=500"] {
            let error = change(text).expect_err("not acceptable");
            assert_eq!(Exit::of(&error), Exit::BadInput, "{error:#}");
        }
        assert_eq!(of_view(&SettingsView::unsigned(&next)), next);
    }
}
