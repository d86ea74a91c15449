//! [`Client`]: what anybody may ask of a node.

use api::{
    CodeList, CodeStored, EvidenceList, LogView, NodeInfo, NodeList, RequestEvent, RequestList,
    RequestSubmit, RequestView, RoundEvent, RoundList, RoundView, SettingsView, code,
    endpoint::JSON, input::IDEMPOTENCY_KEY,
};
use reqwest::Method;
use serde::de::DeserializeOwned;
use wire::{CodeHash, NetworkId, NodeId, RequestId, Round, StatementHash, compute::MAX_CODE_BYTES};

use crate::{
    check::{self, same},
    error::{ClientError, VerificationError},
    stream::EventStream,
    transport::{
        CALL_TIMEOUT, Incoming, MAX_LARGE_BYTES, MAX_NODES_BYTES, MAX_SMALL_BYTES,
        MAX_STATEMENT_BYTES, Outgoing, Transport, untrue,
    },
};

/// A node, as anybody may ask it. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Transport,
    network: Option<NetworkId>,
}

impl Client {
    /// The node at `base_url`, such as `https://node.example.org` or `http://127.0.0.1:8080`.
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(base_url, None)?, network: None })
    }

    /// This client, which takes statements and nodes of `network` only.
    #[must_use]
    pub fn in_network(self, network: NetworkId) -> Self {
        Self { network: Some(network), ..self }
    }

    /// The node that answers.
    pub async fn node(&self) -> Result<NodeInfo, ClientError> {
        let info: NodeInfo = self.read("/v1/node", &[], MAX_SMALL_BYTES).await?;
        if let Some(network) = &self.network {
            self.verified("/v1/node", same("network", &info.network, network))?;
        }
        Ok(info)
    }

    /// All nodes, each equal to its admission.
    pub async fn nodes(&self) -> Result<NodeList, ClientError> {
        let list = self.read("/v1/nodes", &[], MAX_NODES_BYTES).await?;
        self.verified("/v1/nodes", check::nodes(self.network.as_ref(), &list))?;
        Ok(list)
    }

    /// The network's settings, equal to their statement.
    pub async fn settings(&self) -> Result<SettingsView, ClientError> {
        let view = self.read("/v1/settings", &[], MAX_SMALL_BYTES).await?;
        self.verified("/v1/settings", check::settings(self.network.as_ref(), &view))?;
        Ok(view)
    }

    /// At most `limit` rounds from `from` on, in order; without `from`, the newest.
    pub async fn rounds(&self, from: Option<Round>, limit: u32) -> Result<RoundList, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(from.map(|from| ("from", from.to_string())));
        let list: RoundList = self.read("/v1/rounds", &query, MAX_LARGE_BYTES).await?;
        for view in &list.rounds {
            self.verified("/v1/rounds", check::round(self.network.as_ref(), view))?;
        }
        Ok(list)
    }

    /// One round.
    pub async fn round(&self, round: Round) -> Result<RoundView, ClientError> {
        let path = format!("/v1/rounds/{round}");
        let view: RoundView = self.read(&path, &[], MAX_STATEMENT_BYTES).await?;
        self.verified(&path, same("round", &view.round, &round))?;
        self.verified(&path, check::round(self.network.as_ref(), &view))?;
        Ok(view)
    }

    /// Each round as it opens, behind round `last`. Whoever relies on an event gives its view to
    /// [`check::round`].
    pub fn round_events(
        &self,
        heads_of: Option<NodeId>,
        last: Option<Round>,
    ) -> EventStream<RoundEvent> {
        let query: Vec<_> =
            heads_of.map(|node| ("heads_of", node.to_string())).into_iter().collect();
        let url = self.transport.url("/v1/rounds/stream", &query);
        EventStream::new(self.transport.clone(), url, last.map(|round| round.0))
    }

    /// The node's log. Equal to its checkpoint if this client [knows its network](Self::in_network).
    pub async fn log(&self) -> Result<LogView, ClientError> {
        let view = self.read("/v1/log", &[], MAX_SMALL_BYTES).await?;
        if let Some(network) = &self.network {
            self.verified("/v1/log", check::log(network, &view))?;
        }
        Ok(view)
    }

    /// Stores a script.
    pub async fn put_code(&self, source: &[u8]) -> Result<CodeStored, ClientError> {
        let outgoing = Outgoing {
            body: source.to_vec(),
            content_type: Some(code::MEDIA_TYPE),
            headers: Vec::new(),
        };
        let stored: CodeStored = self.post("/v1/code", &outgoing, MAX_SMALL_BYTES).await?;
        self.verified("/v1/code", check_code(source, stored.hash))?;
        Ok(stored)
    }

    /// The scripts of the code store, newest first.
    pub async fn code_list(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<CodeList, ClientError> {
        self.read("/v1/code", &page(cursor, limit), MAX_SMALL_BYTES).await
    }

    /// A script: the bytes that have this hash.
    pub async fn code(&self, hash: CodeHash) -> Result<Vec<u8>, ClientError> {
        let path = format!("/v1/code/{hash}");
        let source = self.fetch(&path, &[]).await?.bytes(MAX_CODE_BYTES).await?;
        self.verified(&path, check_code(&source, hash))?;
        Ok(source)
    }

    /// Asks for a script to be run. Repeating the call with the same key and body gives the same
    /// request; without a key it gives a new one.
    pub async fn submit(
        &self,
        submit: &RequestSubmit,
        idempotency_key: Option<&str>,
    ) -> Result<RequestView, ClientError> {
        let body = serde_json::to_vec(submit).expect("a submission is JSON");
        let key = idempotency_key.map(|key| (IDEMPOTENCY_KEY, key.to_owned()));
        let outgoing =
            Outgoing { body, content_type: Some(JSON), headers: key.into_iter().collect() };
        let view: RequestView = self.post("/v1/requests", &outgoing, MAX_LARGE_BYTES).await?;
        self.verified("/v1/requests", check_submitted(submit, &view))?;
        Ok(view)
    }

    /// A request as it stands.
    pub async fn request(&self, id: RequestId) -> Result<RequestView, ClientError> {
        let path = format!("/v1/requests/{id}");
        let view: RequestView = self.read(&path, &[], MAX_LARGE_BYTES).await?;
        self.verified(&path, same("id", &view.id, &id))?;
        Ok(view)
    }

    /// Requests, newest first.
    pub async fn requests(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<RequestList, ClientError> {
        self.read("/v1/requests", &page(cursor, limit), MAX_LARGE_BYTES).await
    }

    /// What happens to a request, from its beginning or behind event `last`, to its end.
    pub fn events(&self, id: RequestId, last: Option<u64>) -> EventStream<RequestEvent> {
        let url = self.transport.url(&format!("/v1/requests/{id}/events"), &[]);
        EventStream::new(self.transport.clone(), url, last)
    }

    /// The certificate of an agreed request: bytes for `verify`, which are not checked here.
    pub async fn certificate(&self, id: RequestId) -> Result<Vec<u8>, ClientError> {
        let path = format!("/v1/requests/{id}/certificate");
        self.fetch(&path, &[]).await?.bytes(MAX_LARGE_BYTES).await
    }

    /// Evidence against nodes, newest first.
    pub async fn evidence_list(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<EvidenceList, ClientError> {
        self.read("/v1/evidence", &page(cursor, limit), MAX_LARGE_BYTES).await
    }

    /// The file of an evidence: bytes for `verify`, which are not checked here.
    pub async fn evidence(&self, id: StatementHash) -> Result<Vec<u8>, ClientError> {
        self.fetch(&format!("/v1/evidence/{id}"), &[]).await?.bytes(MAX_LARGE_BYTES).await
    }

    async fn fetch(&self, path: &str, query: &[(&str, String)]) -> Result<Incoming, ClientError> {
        let url = self.transport.url(path, query);
        self.transport.call(Method::GET, url, &Outgoing::default(), Some(CALL_TIMEOUT)).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        max_bytes: usize,
    ) -> Result<T, ClientError> {
        self.fetch(path, query).await?.json(max_bytes).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        outgoing: &Outgoing,
        max_bytes: usize,
    ) -> Result<T, ClientError> {
        let url = self.transport.url(path, &[]);
        let incoming = self.transport.call(Method::POST, url, outgoing, Some(CALL_TIMEOUT)).await?;
        incoming.json(max_bytes).await
    }

    pub(crate) fn verified<T>(
        &self,
        path: &str,
        result: Result<T, VerificationError>,
    ) -> Result<T, ClientError> {
        result.map_err(untrue(&self.transport.url(path, &[])))
    }
}

fn page(cursor: Option<&str>, limit: u32) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", limit.to_string())];
    query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    query
}

fn check_code(source: &[u8], expected: CodeHash) -> Result<(), VerificationError> {
    let got = CodeHash::of(source);
    if got == expected { Ok(()) } else { Err(VerificationError::Code { expected, got }) }
}

/// That a node took what was sent, and nothing else.
fn check_submitted(submit: &RequestSubmit, view: &RequestView) -> Result<(), VerificationError> {
    if let Some(uri) = &submit.uri {
        same("uri", &view.uri, uri)?;
    }
    let hash =
        |code: &Option<CodeHash>| code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    same("code", &hash(&view.code), &hash(&submit.code))?;
    let committee = submit.committee.unwrap_or(api::submit::DEFAULT_COMMITTEE);
    same("committee", &view.committee, &committee)?;
    same(
        "quorum",
        &view.quorum,
        &submit.quorum.unwrap_or_else(|| api::submit::majority(committee)),
    )?;
    let params = wire::json::CanonicalJson::from_value(&view.params)
        .map_or_else(|error| error.to_string(), |params| params.to_string());
    let sent = submit.params.clone().unwrap_or_else(api::Json::empty_object);
    same("params", &params, &sent.0.to_string())
}
