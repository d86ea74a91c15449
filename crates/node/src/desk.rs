//! What every node answers: who it is, whether it is well, who belongs to the network.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use wire::{
    NodeId,
    network::{Admission, Settings},
};

use crate::{
    http::{Answer, Failure, ok, statement},
    members::{MemberError, Members},
    metrics::Metrics,
    time::now,
};
use api::{
    Code, Health, NodeInfo, NodeList, NodeView, Problem, Readiness, SettingsView,
    node::ReadinessCheck,
};
use directory::AdmitError;

/// A condition of being ready: its name, and why it does not hold.
pub(crate) type ReadinessProbe =
    (&'static str, Box<dyn Fn() -> Result<String, String> + Send + Sync>);

/// What every node answers from.
pub(crate) struct Desk {
    pub members: Arc<Members>,
    pub own: NodeId,
    pub engine: Option<String>,
    pub metrics: Arc<Metrics>,
    pub started: Instant,
    pub probes: Vec<ReadinessProbe>,
}

impl Desk {
    pub(crate) fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/healthz", get(health))
            .route("/readyz", get(readiness))
            .route("/metrics", get(metrics))
            .route("/v1/node", get(node))
            .route("/v1/nodes", get(nodes).post(admit))
            .route("/v1/settings", get(settings).put(put_settings))
            .with_state(Arc::clone(self))
    }

    fn node_list(&self) -> NodeList {
        let (snapshot, time) = (self.members.snapshot(), now());
        let view = |admission: &Admission| {
            let own = admission.node == self.own;
            let (alive, last_seen) = self.members.liveness(&admission.node, time);
            NodeView::of(admission, alive || own, if own { Some(time) } else { last_seen })
        };
        NodeList {
            nodes: snapshot.nodes().map(|known| view(&known.body)).collect(),
            admissions: snapshot.nodes().map(Into::into).collect(),
        }
    }
}

type S = State<Arc<Desk>>;

async fn health(State(desk): S) -> Response {
    let uptime_ms = u64::try_from(desk.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    ok(&Health { status: "ok".to_owned(), uptime_ms })
}

async fn readiness(State(desk): S) -> Answer<Response> {
    let check = |(name, probe): &ReadinessProbe| {
        let (ready, detail) = match probe() {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        ReadinessCheck { name: (*name).to_owned(), ready, detail }
    };
    let mut checks: Vec<ReadinessCheck> = desk.probes.iter().map(check).collect();
    checks.sort_by(|one, other| one.name.cmp(&other.name));
    let failing: Vec<String> = checks
        .iter()
        .filter(|check| !check.ready)
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    if failing.is_empty() {
        return Ok(ok(&Readiness { checks }));
    }
    let problem = Problem::new(Code::NotReady, failing.join("; "));
    Err(Failure(problem.with_retry_after(1)))
}

async fn metrics(State(desk): S) -> Response {
    let media_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (media_type, desk.metrics.render()).into_response()
}

async fn node(State(desk): S) -> Answer<Response> {
    let snapshot = desk.members.snapshot();
    let admission = snapshot
        .node(&desk.own)
        .ok_or_else(|| Failure::new(Code::NotReady, "no operator has admitted this node yet"))?;
    Ok(ok(&NodeInfo {
        network: *snapshot.network(),
        network_name: snapshot.genesis().name.clone(),
        id: desk.own,
        name: admission.body.name.clone(),
        roles: admission.body.roles,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: desk.engine.clone(),
    }))
}

async fn nodes(State(desk): S) -> Response {
    ok(&desk.node_list())
}

async fn admit(State(desk): S, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let admission = statement::<Admission>(&desk.members.network(), &headers, &body)?;
    let node = admission.body.node;
    desk.members.admit(admission).await.map_err(refused)?;
    let list = desk.node_list();
    let view = list.nodes.iter().find(|view| view.id == node);
    Ok(ok(view.expect("it was admitted")))
}

async fn settings(State(desk): S) -> Response {
    let settings = desk.members.settings();
    ok(&match settings.statement() {
        Some(statement) => SettingsView::signed(statement),
        None => SettingsView::unsigned(settings.values()),
    })
}

async fn put_settings(State(desk): S, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let document = statement::<Settings>(&desk.members.network(), &headers, &body)?;
    desk.members.apply_settings(document.clone()).await.map_err(refused)?;
    Ok(ok(&SettingsView::signed(&document)))
}

fn refused(error: MemberError) -> Failure {
    use clock::SettingsError;
    use wire::network::NetworkError;
    let code = match &error {
        MemberError::Store(source) => return Failure::internal(source),
        MemberError::Admit(AdmitError::Stale { .. })
        | MemberError::Settings(SettingsError::Stale { .. }) => Code::Stale,
        MemberError::Admit(AdmitError::Taken { .. }) => Code::Conflict,
        MemberError::Admit(AdmitError::Record(NetworkError::NotOperator(_)))
        | MemberError::Settings(SettingsError::Record(NetworkError::NotOperator(_))) => {
            Code::Forbidden
        }
        MemberError::Admit(_) | MemberError::Settings(_) => Code::InvalidField,
    };
    Failure::new(code, error.to_string())
}
