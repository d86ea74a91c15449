//! One request, from submission to the verified result.
//!
//! Invariant: a result leaves this file only with a certificate that holds, is of the expected
//! network, and is about what was asked.

use anyhow::{Context as _, Result};
use api::{RequestSubmit, RequestView};
use client::Client;
use serde::Serialize;
use verify::{Certificate, CertificateError};
use wire::{
    NetworkId,
    compute::{FailureReason, Outcome, Request},
};

use crate::{
    exit::{Exit, OrExit as _, failure},
    progress::Progress,
};

/// A request that has ended, its certificate checked.
pub struct Ended {
    /// The request, as the relay tells it.
    pub view: RequestView,
    /// The certificate, if the workers agreed.
    pub certificate: Option<Certificate>,
}

/// What a drawn worker did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// The worker.
    pub name: String,
    /// `agrees`, `dissents` or `silent`.
    pub vote: &'static str,
}

/// A key that nobody has used.
pub fn new_key() -> String {
    let hex = node::files::random_secret().map(|byte| format!("{byte:02x}")).concat();
    hex[..32].to_owned()
}

/// Runs a request to its end and checks what came out.
pub async fn execute(
    client: &Client,
    network: &NetworkId,
    submit: &RequestSubmit,
    key: &str,
    progress: &Progress,
) -> Result<Ended> {
    progress.doing("submitting");
    let completed = client.run(submit, key, |_, event| progress.event(event)).await?;
    progress.doing("verifying the certificate");
    let view = completed.view;
    let certificate = match completed.certificate {
        Some(bytes) => {
            Some(checked(&bytes, network, submit, &view).context("the certificate is refused")?)
        }
        None => None,
    };
    Ok(Ended { view, certificate })
}

fn checked(
    bytes: &[u8],
    network: &NetworkId,
    submit: &RequestSubmit,
    view: &RequestView,
) -> Result<Certificate> {
    let certificate = Certificate::from_json(bytes)?;
    certificate.expect_network(network)?;
    let request = &certificate.parts().request;
    let same = request.id() == view.id && is_asked(request, submit);
    let other = CertificateError::Mismatch("request: it is about another one than was asked");
    same.then_some(certificate).ok_or_else(|| other.into())
}

/// Whether a request is what was asked for; the relay chooses its nonce and counts its deadline.
fn is_asked(request: &Request, submit: &RequestSubmit) -> bool {
    let committee = submit.committee.unwrap_or(api::submit::DEFAULT_COMMITTEE);
    let quorum = submit.quorum.unwrap_or_else(|| api::submit::majority(committee));
    let params = submit.params.clone().unwrap_or_else(api::Json::empty_object);
    submit.uri.as_ref().is_none_or(|uri| *uri == request.uri)
        && request.code == submit.code
        && request.params == params.0
        && (request.committee, request.quorum) == (committee, quorum)
}

impl Ended {
    /// The agreed value as canonical JSON; an error that says why there is none.
    pub fn value(&self) -> Result<&str> {
        let Some(certificate) = &self.certificate else {
            return Err(self.failure());
        };
        match &certificate.execution().outcome {
            Outcome::Value(value) => Ok(value.as_str()),
            Outcome::Fault(fault) => {
                let message =
                    format!("the workers agree on a fault ({}): {}", fault.kind, fault.message);
                Err(failure(Exit::Fault, message))
            }
        }
    }

    fn failure(&self) -> anyhow::Error {
        let Some(known) = &self.view.failure else {
            return anyhow::anyhow!("the relay says that the request failed, and not why");
        };
        let exit = match known.reason {
            FailureReason::Expired => Exit::Expired,
            FailureReason::NoQuorum => Exit::NoQuorum,
            FailureReason::Disagreement => Exit::Disagreement,
        };
        let (reason, id) = (known.reason.as_str(), self.view.id);
        failure(exit, format!("request {id} failed ({reason}): {}", known.detail))
    }

    /// Whom the last draw chose, and what each did.
    pub fn votes(&self) -> Vec<Vote> {
        let Some(certificate) = &self.certificate else { return Vec::new() };
        let agreed = certificate.execution();
        let workers = certificate.parts().attempts.last().map(|attempt| attempt.workers.iter());
        let vote = |worker: &verify::record::WorkerParts| Vote {
            name: worker.admission.body.name.clone(),
            vote: match &worker.reveal {
                Some(reveal) if reveal.body.execution == *agreed => "agrees",
                Some(_) => "dissents",
                None => "silent",
            },
        };
        workers.into_iter().flatten().map(vote).collect()
    }

    /// Writes the certificate to a file.
    pub fn write_certificate(&self, path: &std::path::Path) -> Result<()> {
        let Some(certificate) = &self.certificate else { return Ok(()) };
        node::files::write_atomically(path, certificate.json(), 0o644).or_exit(Exit::Failed)
    }
}
