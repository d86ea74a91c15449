//! One HTTP call, bounded in bytes and time.
//!
//! Redirects are not followed: a node answers where it is asked, and a credential is for one
//! address. What an error status means is decided here, once.

use std::{sync::Arc, time::Duration};

use api::{Problem, endpoint, problem};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;
use wire::{
    Millis, NetworkId, NodeId, NodeKey,
    credential::{self, Call},
};

use crate::error::{ClientError, VerificationError};

/// How long a connection may take to open: a node in reach answers within a round trip.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take, with its answer: the largest answer on a slow line.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream may be silent: three of the signs of life that a node sends.
pub const SILENCE_TIMEOUT: Duration = Duration::from_millis(3 * endpoint::KEEP_ALIVE_MS);

/// The longest answer that describes one thing: a node, settings, a stored script, a problem.
pub const MAX_SMALL_BYTES: usize = 256 * 1024;
/// The longest answer with a statement: its base64 and what stands around it.
pub const MAX_STATEMENT_BYTES: usize = 2 * api::input::MAX_STATEMENT_BODY_BYTES;
/// The longest list of nodes: a hundred thousand with their admissions.
pub const MAX_NODES_BYTES: usize = 128 * 1024 * 1024;
/// The longest request, list or certificate: a full committee's largest results, in base64 with
/// their proofs.
pub const MAX_LARGE_BYTES: usize = 32 * 1024 * 1024;

/// How much of an unexpected body an error shows, in characters.
const EXCERPT_CHARS: usize = 200;

/// Who calls as a node, and which node.
#[derive(Clone)]
pub(crate) struct Caller {
    pub network: NetworkId,
    pub key: Arc<NodeKey>,
    pub callee: NodeId,
    pub clock: fn() -> Millis,
}

/// A node's address, and how it is called.
#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    caller: Option<Caller>,
}

/// What is sent beside method and path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub body: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
}

/// An answer with a status of success, its body yet unread.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub url: String,
    response: Response,
}

impl Transport {
    /// The node at `base_url`: http or https, without query.
    pub fn new(base_url: &str, caller: Option<Caller>) -> Result<Self, ClientError> {
        let error = |reason| ClientError::Address { url: base_url.to_owned(), reason };
        let mut base = Url::parse(base_url).map_err(|_| error("not a URL"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(error("expected http:// or https://"));
        }
        if base.query().is_some() || base.fragment().is_some() || !base.username().is_empty() {
            return Err(error("expected no user, query or fragment"));
        }
        // The credential covers the path as the node sees it, and a prefix may be cut off on the way.
        if caller.is_some() && base.path() != "/" {
            return Err(error("expected no path: nodes call each other directly"));
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        // A proxy of the environment is for what lies outside, not for nodes and this machine.
        let is_local = base
            .host_str()
            .is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127."));
        if is_local || caller.is_some() {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|source| ClientError::Transport { url: base_url.to_owned(), source })?;
        Ok(Self { http, base, caller })
    }

    /// The address of a path with its query.
    pub fn url(&self, path: &str, query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Calls, and gives the answer if it is one of success. Without `timeout`, only opening the
    /// connection is limited in time, and reading is the caller's.
    pub async fn call(
        &self,
        method: Method,
        url: Url,
        outgoing: &Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Incoming, ClientError> {
        let shown = url.to_string();
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(content_type) = outgoing.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        for (name, value) in &outgoing.headers {
            let bad = || ClientError::Protocol {
                url: shown.clone(),
                what: format!("the header {name} cannot be {value:?}"),
            };
            let value = HeaderValue::from_str(value).map_err(|_| bad())?;
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some(caller) = &self.caller {
            request = request
                .header(credential::HEADER, caller.credential(&method, &url, &outgoing.body));
        }
        let response = request
            .header(ACCEPT, "*/*")
            .body(outgoing.body.clone())
            .send()
            .await
            .map_err(|source| ClientError::Transport { url: shown.clone(), source })?;
        let incoming = Incoming { url: shown, response };
        if incoming.response.status().is_success() {
            Ok(incoming)
        } else {
            Err(incoming.refusal().await)
        }
    }
}

impl Caller {
    fn credential(&self, method: &Method, url: &Url, body: &[u8]) -> String {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let call = Call {
            network: &self.network,
            callee: &self.callee,
            method: method.as_str(),
            path: &path,
            body,
        };
        credential::make(&self.key, &call, (self.clock)())
    }
}

impl Incoming {
    /// The media type, without parameters.
    pub fn media_type(&self) -> &str {
        let value = self.response.headers().get(CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim()
    }

    /// Whether the answer says that there is nothing.
    pub fn is_no_content(&self) -> bool {
        self.response.status() == StatusCode::NO_CONTENT
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|source| ClientError::Transport { url: self.url.clone(), source })
    }

    /// The whole body, at most `max_bytes`.
    pub async fn bytes(mut self, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
        let too_long = |url: &str| ClientError::Protocol {
            url: url.to_owned(),
            what: format!("the answer is longer than {max_bytes} bytes"),
        };
        let announced = self.response.content_length().unwrap_or_default();
        if announced > max_bytes as u64 {
            return Err(too_long(&self.url));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            let chunk = chunk.as_ref();
            if body.len() + chunk.len() > max_bytes {
                return Err(too_long(&self.url));
            }
            body.extend_from_slice(chunk);
        }
        Ok(body)
    }

    /// The body as JSON.
    pub async fn json<T: DeserializeOwned>(self, max_bytes: usize) -> Result<T, ClientError> {
        let url = self.url.clone();
        let body = self.bytes(max_bytes).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol {
            url,
            what: format!("not the JSON of this endpoint: {error}"),
        })
    }

    /// What an error status means.
    async fn refusal(self) -> ClientError {
        let (url, status) = (self.url.clone(), self.response.status().as_u16());
        let is_problem = self.media_type() == problem::MEDIA_TYPE;
        let body = match self.bytes(MAX_SMALL_BYTES).await {
            Ok(body) => body,
            Err(error @ ClientError::Transport { .. }) => return error,
            Err(_) => Vec::new(),
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem && problem.status() == status => {
                ClientError::Problem(problem)
            }
            _ => {
                let excerpt = String::from_utf8_lossy(&body).chars().take(EXCERPT_CHARS).collect();
                ClientError::Status { url, status, excerpt }
            }
        }
    }
}

/// Turns what a check found into an error about `url`.
pub(crate) fn untrue(url: &Url) -> impl Fn(VerificationError) -> ClientError + use<> {
    let url = url.to_string();
    move |source| ClientError::Verification { url: url.clone(), source }
}
