//! What every test here needs: a sandbox on the real engine. A machine without the engine fails these tests, with the error that
//! says how to get it.
#![allow(dead_code)]

use sandbox::{
    EngineFiles, Fault, FaultKind, Finished, Job, Limits, Outcome, Sandbox, SandboxConfig,
};

/// 2026-01-02T03:04:05.678Z.
pub const NOW_MS: u64 = 1_767_323_045_678;

pub fn config() -> SandboxConfig {
    let engine = EngineFiles::locate(
        std::env::var_os("QUORATE_ENGINE_DIR").map(std::path::PathBuf::from).as_deref().or(Some(
            // Test binaries may be built into a target directory outside of the clone.
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .canonicalize()
                .unwrap()
                .join("../../.engine"),
        )),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    SandboxConfig {
        program: env!("CARGO_BIN_EXE_sandbox-test-host").into(),
        arguments: Vec::new(),
        engine,
        ready_children: 2,
        max_parallel: 2,
        queue: 1000,
    }
}

pub async fn start() -> Sandbox {
    Sandbox::start(config()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A job with generous time, so that a loaded machine changes no outcome.
pub fn job(source: &str, params: &str) -> Job {
    Job {
        source: source.into(),
        params: params.into(),
        seed: [1; 32],
        now_ms: NOW_MS,
        limits: Limits { wall_ms: 60_000, ..Limits::default() },
    }
}

pub async fn run(sandbox: &Sandbox, source: &str, params: &str) -> Finished {
    sandbox.run(job(source, params)).await.unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The value of a script that must have one.
pub async fn value(sandbox: &Sandbox, source: &str) -> String {
    match run(sandbox, source, "null").await.outcome {
        Outcome::Value(json) => json,
        Outcome::Fault(fault) => panic!("{source}: {fault:?}"),
    }
}

/// The value of an expression.
pub async fn expression(sandbox: &Sandbox, expression: &str) -> String {
    value(sandbox, &format!("mainFunction = async () => {{ return ({expression}); }}")).await
}

/// The fault of a script that must have one.
pub async fn fault(sandbox: &Sandbox, source: &str) -> Fault {
    fault_of(
        sandbox.run(job(source, "null")).await.unwrap_or_else(|error| panic!("{source}: {error}")),
        source,
    )
}

pub fn fault_of(finished: Finished, source: &str) -> Fault {
    match finished.outcome {
        Outcome::Fault(fault) => fault,
        Outcome::Value(json) => panic!("{source}: {json}"),
    }
}

pub async fn assert_fault(sandbox: &Sandbox, source: &str, kind: FaultKind, message: &str) {
    let fault = fault(sandbox, source).await;
    assert_eq!((fault.kind, fault.message.as_str()), (kind, message), "{source}");
}
