//! [`Client::run`]: submit, follow to the end, fetch the certificate.

use std::time::Duration;

use api::{RequestEvent, RequestState, RequestSubmit, RequestView};

use crate::{check::same, client::Client, error::ClientError};

/// How often a submission is tried: its idempotency key makes them one.
const SUBMIT_TRIES: u32 = 3;
/// The wait between two tries, in ms, when the node asks for none.
const SUBMIT_WAIT_MS: u64 = 500;
/// The longest wait between two tries, whatever the node asks for, in ms.
const MAX_SUBMIT_WAIT_MS: u64 = 10_000;
/// How long after its deadline a request may still be without an end, in ms: a relay states the
/// failure at once, and connections take their time to come back.
const GRACE_MS: u64 = 30_000;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Completed {
    /// The request: agreed or failed.
    pub view: RequestView,
    /// The certificate of an agreed request: bytes for `verify`, which are not checked here.
    pub certificate: Option<Vec<u8>>,
}

impl Client {
    /// Asks for a script to be run, waits for the end and fetches the certificate. `on_event` sees
    /// each event once, in order. The key makes a repeated submission the same request: choose a
    /// new one for each thing that is to be done.
    pub async fn run(
        &self,
        submit: &RequestSubmit,
        idempotency_key: &str,
        mut on_event: impl FnMut(u64, &RequestEvent),
    ) -> Result<Completed, ClientError> {
        let submitted = self.submit_surely(submit, idempotency_key).await?;
        let deadline_ms = submit.deadline_ms.unwrap_or(api::submit::DEFAULT_DEADLINE_MS);
        let limit = Duration::from_millis(deadline_ms.saturating_add(GRACE_MS));
        let path = format!("/v1/requests/{}", submitted.id);
        let mut events = self.events(submitted.id, None);
        let follow = async {
            while let Some(event) = events.next().await {
                let (number, event) = event?;
                if let RequestEvent::Received { request, .. } = &event {
                    self.verified(&path, same("request", request, &submitted.id))?;
                }
                on_event(number, &event);
            }
            Ok::<(), ClientError>(())
        };
        match tokio::time::timeout(limit, follow).await {
            Ok(followed) => followed?,
            Err(_) => {
                let url = self.transport.url(&path, &[]).to_string();
                return Err(ClientError::Silent { url, waited: limit });
            }
        }
        let view = self.request(submitted.id).await?;
        let certificate = match view.state {
            RequestState::Agreed => Some(self.certificate(view.id).await?),
            RequestState::Failed => None,
            state => {
                let url = self.transport.url(&path, &[]).to_string();
                let what = format!("the events have ended, and the request is {}", state.as_str());
                return Err(ClientError::Protocol { url, what });
            }
        };
        Ok(Completed { view, certificate })
    }

    async fn submit_surely(
        &self,
        submit: &RequestSubmit,
        key: &str,
    ) -> Result<RequestView, ClientError> {
        let mut tries = 1;
        loop {
            match self.submit(submit, Some(key)).await {
                Err(error) if error.is_retryable() && tries < SUBMIT_TRIES => {
                    let asked =
                        error.retry_after().unwrap_or(Duration::from_millis(SUBMIT_WAIT_MS));
                    tokio::time::sleep(asked.min(Duration::from_millis(MAX_SUBMIT_WAIT_MS))).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}
