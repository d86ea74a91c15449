//! A script to its execution: fetched, run in the sandbox, its result brought into canonical form.

use std::sync::Arc;

use sandbox::{Job, Limits, Outcome as Ran, Sandbox, SandboxError};
use wire::{
    Millis,
    compute::{Execution, Fault, MAX_FAULT_BYTES, MAX_RESULT_BYTES, Outcome, Request},
    json::CanonicalJson,
};

use super::fetch::{FetchError, Fetcher};
use crate::{members::Members, metrics::Metrics};

/// Console output kept of one run, in bytes; it is for this node's log only.
const LOG_BYTES: u32 = 4 * 1024;

/// Runs scripts.
pub(crate) struct Runner {
    members: Arc<Members>,
    metrics: Arc<Metrics>,
    sandbox: Sandbox,
    fetcher: Fetcher,
}

impl Runner {
    pub(crate) fn new(
        members: Arc<Members>,
        metrics: Arc<Metrics>,
        sandbox: Sandbox,
        fetch_private: bool,
    ) -> Result<Self, reqwest::Error> {
        let fetcher = Fetcher::new(Arc::clone(&members), fetch_private)?;
        Ok(Self { members, metrics, sandbox, fetcher })
    }

    /// Runs a request's script. Fails only if this node cannot run it now: then it says nothing.
    pub(crate) async fn run(
        &self,
        request: &Request,
        script_seed: [u8; 32],
        opened: Millis,
    ) -> Result<Execution, SandboxError> {
        let engine = self.sandbox.engine_id().as_str().to_owned();
        let (code, outcome) = match self.fetcher.fetch(&request.uri, request.code).await {
            Ok((hash, source)) => {
                let outcome = self.execute(&source, request, script_seed, opened).await?;
                (Some(hash), outcome)
            }
            Err(error) => (None, unavailable(&error)),
        };
        Metrics::count(&self.metrics.jobs_run);
        if matches!(outcome, Outcome::Fault(_)) {
            Metrics::count(&self.metrics.jobs_faulted);
        }
        Ok(Execution { engine, code, outcome })
    }

    async fn execute(
        &self,
        source: &str,
        request: &Request,
        seed: [u8; 32],
        opened: Millis,
    ) -> Result<Outcome, SandboxError> {
        let settings = self.members.settings();
        let settings = settings.values();
        let limits = Limits {
            wall_ms: u32::try_from(settings.script_time_ms).unwrap_or(Limits::MAX_WALL_MS),
            memory_mib: u32::try_from(settings.script_memory_mib).unwrap_or(Limits::MAX_MEMORY_MIB),
            output_bytes: u32::try_from(MAX_RESULT_BYTES).expect("a result is small"),
            log_bytes: LOG_BYTES,
        };
        let job = Job {
            source: source.to_owned(),
            params: request.params.as_str().to_owned(),
            seed,
            now_ms: opened.0,
            limits,
        };
        let finished = self.sandbox.run(job).await?;
        for line in &finished.logs {
            tracing::debug!(request = %request.id(), line, "console");
        }
        Ok(match finished.outcome {
            Ran::Value(text) => canonical(&text),
            Ran::Fault(fault) => self::fault(fault.kind.as_str(), &fault.message),
        })
    }
}

fn unavailable(error: &FetchError) -> Outcome {
    fault(error.kind(), &error.to_string())
}

fn fault(kind: &str, message: &str) -> Outcome {
    let mut message = message.to_owned();
    while message.len() > MAX_FAULT_BYTES {
        message.pop();
    }
    Outcome::Fault(Fault { kind: kind.to_owned(), message })
}

fn canonical(text: &str) -> Outcome {
    match CanonicalJson::from_text(text) {
        Ok(value) if value.as_str().len() <= MAX_RESULT_BYTES => Outcome::Value(value),
        Ok(_) => fault(
            "output_limit",
            &format!("the result is longer than {MAX_RESULT_BYTES} bytes of canonical JSON"),
        ),
        Err(error) => fault("not_json", &error.to_string()),
    }
}

/// What a worker ran, for tests that change it.
#[cfg(feature = "adversary")]
pub(crate) fn lie(execution: &Execution) -> Execution {
    let value = CanonicalJson::from_text("\"a lie\"").expect("JSON");
    Execution { outcome: Outcome::Value(value), ..execution.clone() }
}
