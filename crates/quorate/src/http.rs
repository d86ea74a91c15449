//! Three calls that the SDK does not have: whether a node is ready, new settings, and from how many
//! workers the next round draws.

use std::time::Duration;

use anyhow::{Context as _, Result};
use api::{Problem, SettingsView, StatementSubmit, round::RosterView};
use client::ClientError;
use reqwest::header::CONTENT_TYPE;
use wire::{Round, Signed, network::Settings};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls nodes.
pub struct Http(reqwest::Client);

impl Http {
    /// A caller.
    pub fn new() -> Result<Self> {
        let builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
        Ok(Self(builder.build().context("the HTTP client cannot be made")?))
    }

    /// Whether the node at `base` does what its roles say.
    pub async fn ready(&self, base: &str) -> Result<(), ClientError> {
        self.answer(self.0.get(format!("{base}/readyz")), base).await.map(drop)
    }

    /// How many workers a round of the beacon at `base` names: the next one draws from them.
    pub async fn roster(&self, base: &str, round: Round) -> Result<usize> {
        let body =
            self.answer(self.0.get(format!("{base}/v1/rounds/{round}/workers")), base).await?;
        let roster: RosterView = serde_json::from_slice(&body)
            .with_context(|| format!("{base}: not the workers of a round"))?;
        Ok(roster.admissions.len())
    }

    /// Gives a node new settings.
    pub async fn put_settings(
        &self,
        base: &str,
        settings: &Signed<Settings>,
    ) -> Result<SettingsView> {
        let body = serde_json::to_vec(&StatementSubmit { statement: settings.into() })?;
        let call = self.0.put(format!("{base}/v1/settings"));
        let body =
            self.answer(call.header(CONTENT_TYPE, "application/json").body(body), base).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("{base}: not the answer to new settings"))
    }

    async fn answer(
        &self,
        call: reqwest::RequestBuilder,
        base: &str,
    ) -> Result<Vec<u8>, ClientError> {
        let failed = |source| ClientError::Transport { url: base.to_owned(), source };
        let response = call.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.into(),
            Err(_) => ClientError::Status {
                url: base.to_owned(),
                status: status.as_u16(),
                excerpt: String::from_utf8_lossy(&body).chars().take(200).collect(),
            },
        })
    }
}
