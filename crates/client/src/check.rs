//! Whether a view says what the signed statement beside it says.
//!
//! A view is convenient and unsigned; the statement is what a node can be held to. These checks
//! make them one: behind them, the view may be read. Who was entitled to sign is not asked here.

use std::fmt::Display;

use api::{Base64, LogView, NodeList, NodeView, RoundView, SettingsView};
use wire::{
    Body, NetworkId, NodeId, Signed,
    checkpoint::SignedCheckpoint,
    network::{Admission, Settings},
    round::RoundOpening,
    statement::Envelope,
};

use crate::error::VerificationError;

type Checked<T> = Result<T, VerificationError>;

/// That two things are equal.
pub(crate) fn same<T: PartialEq + Display>(
    field: &'static str,
    got: &T,
    expected: &T,
) -> Checked<()> {
    if got == expected {
        return Ok(());
    }
    Err(VerificationError::Field { field, expected: expected.to_string(), got: got.to_string() })
}

/// Opens a statement of `network`; without one, of the network that it names itself.
pub fn open<B: Body>(network: Option<&NetworkId>, statement: &Base64) -> Checked<Signed<B>> {
    let network = match network {
        Some(network) => *network,
        None => Envelope::from_bytes(statement.as_bytes())?.network,
    };
    Ok(Signed::open(&network, statement.as_bytes())?)
}

/// Opens a statement that only `signer` may have made.
pub fn open_signed_by<B: Body<Signer = NodeId>>(
    network: &NetworkId,
    signer: &NodeId,
    statement: &Base64,
) -> Checked<Signed<B>> {
    let signed: Signed<B> = open(Some(network), statement)?;
    if signed.signer != *signer {
        let (expected, got) = (signer.to_string(), signed.signer.to_string());
        return Err(VerificationError::Signer { kind: B::KIND, expected, got });
    }
    Ok(signed)
}

/// A round's view against its statement.
pub fn round(network: Option<&NetworkId>, view: &RoundView) -> Checked<Signed<RoundOpening>> {
    let signed: Signed<RoundOpening> = open(network, &view.statement)?;
    same("round", &view.round, &signed.body.round)?;
    same("opened_ms", &view.opened_ms.0, &signed.body.opened.0)?;
    same("seed", &view.seed, &signed.body.seed)?;
    Ok(signed)
}

/// Every node of a list against its admission.
pub fn nodes(network: Option<&NetworkId>, list: &NodeList) -> Checked<Vec<Signed<Admission>>> {
    same("admissions", &list.admissions.len(), &list.nodes.len())?;
    let pairs = list.nodes.iter().zip(&list.admissions);
    pairs.map(|(view, statement)| node(network, view, statement)).collect()
}

fn node(
    network: Option<&NetworkId>,
    view: &NodeView,
    statement: &Base64,
) -> Checked<Signed<Admission>> {
    let signed: Signed<Admission> = open(network, statement)?;
    let admission = &signed.body;
    same("id", &view.id, &admission.node)?;
    same("name", &view.name, &admission.name)?;
    same("domain", &view.domain, &admission.domain)?;
    same("starts_ms", &view.starts_ms.0, &admission.starts.0)?;
    same("expires_ms", &view.expires_ms.0, &admission.expires.0)?;
    same("generation", &view.generation, &admission.generation)?;
    let words = |roles: wire::network::Roles| {
        roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
    };
    same("roles", &words(view.roles), &words(admission.roles))?;
    Ok(signed)
}

/// The settings' view against its statement; `None` while nobody has signed any.
pub fn settings(
    network: Option<&NetworkId>,
    view: &SettingsView,
) -> Checked<Option<Signed<Settings>>> {
    let (expected, signed) = match &view.statement {
        Some(statement) => {
            let signed: Signed<Settings> = open(network, statement)?;
            (SettingsView::signed(&signed), Some(signed))
        }
        None => (SettingsView::unsigned(&Settings::default()), None),
    };
    same("version", &view.version, &expected.version)?;
    for (name, _, _, _) in Settings::FIELDS {
        let text = |view: &SettingsView| match view.values.get(*name) {
            Some(value) => format!("{name} = {value}"),
            None => format!("{name} absent"),
        };
        same("settings", &text(view), &text(&expected))?;
    }
    Ok(signed)
}

/// The log's view against its checkpoint, as far as the log's own signature goes.
pub fn log(network: &NetworkId, view: &LogView) -> Checked<SignedCheckpoint> {
    let witnesses: Vec<NodeId> = view.witnesses.iter().map(|witness| witness.node).collect();
    let checkpoint = SignedCheckpoint::open(network, &view.node, &witnesses, &view.checkpoint)?;
    let origin = wire::checkpoint::log_name(network, &view.node);
    same("origin", &view.origin, &origin)?;
    same("size", &view.size, &checkpoint.head.size)?;
    same("root", &view.root, &checkpoint.head.root)?;
    let key = wire::checkpoint::verifier_key(network, &view.node).unwrap_or_default();
    same("verifier_key", &view.verifier_key, &key)?;
    for witness in &view.witnesses {
        let found = checkpoint.cosignatures.iter().find(|known| known.witness == witness.node);
        let time = found.map_or_else(|| "none".to_owned(), |found| found.time_s.to_string());
        same("witnesses", &witness.time_s.to_string(), &time)?;
    }
    Ok(checkpoint)
}
