//! Nodes, their health, and the network's settings.
//!
//! A [`NodeView`] is for people and dashboards. Who relies on a node's keys or roles reads the
//! operator-signed admissions beside it.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use wire::{
    Millis, NetworkId, NodeId, Signed,
    network::{Admission, Roles, Settings},
};

use crate::encoded::{self, Base64, NetworkIdText, NodeIdText, RoleWord};

/// The node that answers: `GET /v1/node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeInfo {
    /// The network.
    #[schemars(with = "NetworkIdText")]
    pub network: NetworkId,
    /// The network's name.
    pub network_name: String,
    /// The node.
    #[schemars(with = "NodeIdText")]
    pub id: NodeId,
    /// What people call the node.
    pub name: String,
    /// What it does.
    #[serde(with = "encoded::role_words")]
    #[schemars(with = "Vec<RoleWord>")]
    pub roles: Roles,
    /// The program's version.
    pub version: String,
    /// A worker's engine, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}

/// A node of the network, as the one that answers sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// The node.
    #[schemars(with = "NodeIdText")]
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// Where it listens: host:port.
    pub domain: String,
    /// What it does.
    #[serde(with = "encoded::role_words")]
    #[schemars(with = "Vec<RoleWord>")]
    pub roles: Roles,
    /// From when on it may be used, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub starts_ms: Millis,
    /// From when on it may not, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub expires_ms: Millis,
    /// The number of its admission; the highest counts.
    pub generation: u64,
    /// Whether it has lately been seen.
    pub alive: bool,
    /// When it was last seen, in ms since the Unix epoch; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub last_seen_ms: Option<Millis>,
}

impl NodeView {
    /// The view of an admitted node.
    pub fn of(admission: &Admission, alive: bool, last_seen_ms: Option<Millis>) -> Self {
        Self {
            id: admission.node,
            name: admission.name.clone(),
            domain: admission.domain.clone(),
            roles: admission.roles,
            starts_ms: admission.starts,
            expires_ms: admission.expires,
            generation: admission.generation,
            alive,
            last_seen_ms,
        }
    }
}

/// All nodes: `GET /v1/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeList {
    /// The nodes, sorted by id.
    pub nodes: Vec<NodeView>,
    /// Their admission statements, in the same order.
    pub admissions: Vec<Base64>,
}

/// That the process runs: `GET /healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Always `ok`: who cannot say so does not answer.
    pub status: String,
    /// How long the process has been running, in ms.
    pub uptime_ms: u64,
}

/// That the node does what its roles say: `GET /readyz`. While it does not, the answer is the
/// problem `not_ready`, whose detail names the checks that fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Every check, sorted by name.
    pub checks: Vec<ReadinessCheck>,
}

/// One condition of being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadinessCheck {
    /// What is checked: `store`, `beacon`, `engine`.
    pub name: String,
    /// Whether it holds.
    pub ready: bool,
    /// Why, or why not.
    pub detail: String,
}

/// The network's settings: `GET /v1/settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsView {
    /// Grows with each change; 0 while no operator has signed any.
    pub version: u64,
    /// The values, by name.
    #[serde(flatten)]
    #[schemars(with = "SettingsValues")]
    pub values: BTreeMap<String, u64>,
    /// The operator's statement; absent while the defaults hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Base64>,
}

impl SettingsView {
    /// The view of settings that an operator signed.
    pub fn signed(statement: &Signed<Settings>) -> Self {
        Self { statement: Some(statement.into()), ..Self::unsigned(&statement.body) }
    }

    /// The view of settings that nobody signed.
    pub fn unsigned(settings: &Settings) -> Self {
        let value = serde_json::to_value(settings).expect("settings are JSON");
        let named = |(name, ..): &(&str, u64, u64, u64)| {
            let number = value[*name].as_u64().expect("a setting is a whole number");
            ((*name).to_owned(), number)
        };
        let values = Settings::FIELDS.iter().map(named).collect();
        Self { version: settings.version, values, statement: None }
    }
}

/// The schema of [`SettingsView::values`]: every setting with its range and default.
struct SettingsValues;

impl JsonSchema for SettingsValues {
    fn schema_name() -> Cow<'static, str> {
        "SettingsValues".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let fields = Settings::FIELDS.iter().map(|(name, least, most, default)| {
            let range = serde_json::json!({
                "type": "integer", "minimum": least, "maximum": most, "default": default,
            });
            ((*name).to_owned(), range)
        });
        let properties: serde_json::Map<String, serde_json::Value> = fields.collect();
        json_schema!({ "type": "object", "properties": properties })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_show_every_value_and_read_back() {
        let view = SettingsView::unsigned(&Settings::default());
        let text = serde_json::to_string(&view).expect("JSON");
        assert_eq!(serde_json::from_str::<SettingsView>(&text).expect(&text), view);
        assert_eq!(view.values.len(), Settings::FIELDS.len());
        assert_eq!(view.values["period_ms"], 1_000);
        assert!(text.starts_with(r#"{"version":0,"#), "{text}");
    }

    #[test]
    fn roles_are_words_and_an_unknown_one_is_refused() {
        let key = wire::NodeKey::from_secret([1; 32]);
        let admission = Admission {
            node: wire::key::StatementSigner::id(&key),
            vrf: key.vrf_public(),
            sealing: key.sealing_public(),
            name: "worker-1".to_owned(),
            domain: "127.0.0.1:1".to_owned(),
            roles: [wire::network::Role::Worker, wire::network::Role::Relay].into_iter().collect(),
            starts: Millis(1),
            expires: Millis(2),
            generation: 3,
        };
        let view = NodeView::of(&admission, true, None);
        let text = serde_json::to_string(&view).expect("JSON");
        assert!(text.contains(r#""roles":["relay","worker"]"#), "{text}");
        assert_eq!(serde_json::from_str::<NodeView>(&text).expect(&text), view);
        let unknown = text.replace("relay", "rely");
        assert!(serde_json::from_str::<NodeView>(&unknown).is_err());
    }
}
