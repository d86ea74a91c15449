//! [`PeerClient`]: what one node asks of another, with its credential.
//!
//! A credential is made anew for every call, also when a stream is opened again. A receipt is
//! returned only if the callee signed it and it names the statement that was sent.

use std::sync::Arc;

use api::{
    ReceiptView, RoundEvent, StatementSubmit, WorkEvent, endpoint::JSON, log::TLOG_SIZE_MEDIA_TYPE,
};
use reqwest::Method;
use serde::de::DeserializeOwned;
use wire::{
    Body, Millis, NetworkId, NodeId, NodeKey, Round, Signed, checkpoint::MAX_NOTE_BYTES,
    compute::Receipt,
};

use crate::{
    check::{self, same},
    error::ClientError,
    stream::{EventStream, StreamEvent},
    transport::{CALL_TIMEOUT, Caller, Incoming, MAX_STATEMENT_BYTES, Outgoing, Transport, untrue},
};

/// Another node of one's own network.
#[derive(Clone)]
pub struct PeerClient {
    transport: Transport,
    network: NetworkId,
    callee: NodeId,
}

/// What a witness says to a checkpoint (C2SP `tlog-witness`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// It cosigned: the signature line, yet to be added with `SignedCheckpoint::with_cosignature`,
    /// which checks it.
    Cosigned(String),
    /// It has seen this size of the log: prove from there.
    Seen(u64),
}

impl PeerClient {
    /// `callee` at `base_url`, such as `http://127.0.0.1:8080`, called as `key`'s node; `clock`
    /// dates the credentials.
    pub fn new(
        network: NetworkId,
        key: Arc<NodeKey>,
        callee: NodeId,
        base_url: &str,
        clock: fn() -> Millis,
    ) -> Result<Self, ClientError> {
        let caller = Caller { network, key, callee, clock };
        Ok(Self { transport: Transport::new(base_url, Some(caller))?, network, callee })
    }

    /// The node that is called.
    pub fn callee(&self) -> NodeId {
        self.callee
    }

    /// The body at `path`, whose query may be part of it, at most `max_bytes`.
    pub async fn get_bytes(&self, path: &str, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
        self.call(Method::GET, path, &Outgoing::default()).await?.bytes(max_bytes).await
    }

    /// The JSON at `path`, whose query may be part of it, at most `max_bytes`.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        max_bytes: usize,
    ) -> Result<T, ClientError> {
        self.call(Method::GET, path, &Outgoing::default()).await?.json(max_bytes).await
    }

    /// Posts a signed statement and reads the answer as JSON.
    pub async fn post_statement<B: Body, T: DeserializeOwned>(
        &self,
        path: &str,
        statement: &Signed<B>,
    ) -> Result<T, ClientError> {
        let submit = StatementSubmit { statement: statement.into() };
        let body = serde_json::to_vec(&submit).expect("a statement is JSON");
        let outgoing = Outgoing { body, content_type: Some(JSON), headers: Vec::new() };
        self.call(Method::POST, path, &outgoing).await?.json(MAX_STATEMENT_BYTES).await
    }

    /// Posts a worker's statement to its relay and gives the relay's receipt for it, if there is one.
    pub async fn post_work<B: Body>(
        &self,
        path: &str,
        statement: &Signed<B>,
    ) -> Result<Option<Signed<Receipt>>, ClientError> {
        let view: ReceiptView = self.post_statement(path, statement).await?;
        let Some(receipt) = &view.receipt else { return Ok(None) };
        let wrong = untrue(&self.transport.url(path, &[]));
        let receipt = check::open_signed_by::<Receipt>(&self.network, &self.callee, receipt);
        let receipt = receipt.map_err(&wrong)?;
        same("receipt", &receipt.body.statement, &statement.hash()).map_err(wrong)?;
        Ok(Some(receipt))
    }

    /// Asks the callee to witness a checkpoint: `body` is as C2SP `tlog-witness` writes it.
    pub async fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, ClientError> {
        let outgoing = Outgoing {
            body: body.as_bytes().to_vec(),
            content_type: Some("text/plain"),
            headers: Vec::new(),
        };
        let url = self.transport.url("/add-checkpoint", &[]).to_string();
        let incoming = match self.call(Method::POST, "/add-checkpoint", &outgoing).await {
            Ok(incoming) => incoming,
            Err(ClientError::Status { status: 409, excerpt, url }) => {
                let size = excerpt.trim_end_matches('\n').parse();
                let what = format!("expected a size ({TLOG_SIZE_MEDIA_TYPE}), got {excerpt:?}");
                return size
                    .map(WitnessAnswer::Seen)
                    .map_err(|_| ClientError::Protocol { url, what });
            }
            Err(error) => return Err(error),
        };
        let line = String::from_utf8(incoming.bytes(MAX_NOTE_BYTES).await?);
        let what = || "expected a signature line, got what is not UTF-8".to_owned();
        line.map(WitnessAnswer::Cosigned).map_err(|_| ClientError::Protocol { url, what: what() })
    }

    /// What the callee, a relay, asks of this worker.
    pub fn work(&self) -> EventStream<WorkEvent> {
        self.events("/v1/work", None)
    }

    /// Each round as the callee, a beacon, opens it, behind round `last`, with what it has seen of
    /// the log of `heads_of`.
    pub fn round_events(
        &self,
        heads_of: Option<NodeId>,
        last: Option<Round>,
    ) -> EventStream<RoundEvent> {
        let path = match heads_of {
            Some(node) => format!("/v1/rounds/stream?heads_of={node}"),
            None => "/v1/rounds/stream".to_owned(),
        };
        self.events(&path, last.map(|round| round.0))
    }

    /// The events at `path`, whose query may be part of it, behind event `last`.
    pub fn events<E: StreamEvent>(&self, path: &str, last: Option<u64>) -> EventStream<E> {
        EventStream::new(self.transport.clone(), self.url(path), last)
    }

    fn url(&self, path: &str) -> reqwest::Url {
        let (path, query) =
            path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.transport.url(path, &[]);
        url.set_query(query);
        url
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        outgoing: &Outgoing,
    ) -> Result<Incoming, ClientError> {
        self.transport.call(method, self.url(path), outgoing, Some(CALL_TIMEOUT)).await
    }
}
