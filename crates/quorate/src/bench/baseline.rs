//! The parts that a request is made of, each measured by itself in this process.

use std::{hint::black_box, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use sandbox::{EngineFiles, Job, Limits, Outcome, Sandbox, SandboxConfig};
use serde::Serialize;
use store::Store;
use wire::{
    Millis, NetworkId, NodeKey, RequestId, Signed,
    compute::Received,
    key::{StatementSigner as _, verify_bytes},
    vrf,
};

use super::{compute::SCRIPT, figures::Figures};

/// How often each part is measured.
const TIMES: u16 = 200;

/// One part: how long it takes, in µs.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What was measured.
    pub what: &'static str,
    /// How long it took, in µs.
    #[serde(flatten)]
    pub us: Figures,
}

/// Measures every part; the store is made in `folder`.
pub async fn measure(folder: &Path) -> Result<Vec<Part>> {
    let mut parts = cryptography()?;
    parts.push(write(folder).await?);
    parts.push(sandbox().await?);
    Ok(parts)
}

fn part(what: &'static str, us: Vec<f64>) -> Result<Part> {
    Ok(Part { what, us: Figures::of(us).context("nothing was measured")? })
}

/// How long each of [`TIMES`] calls takes, in µs.
fn timed<T>(mut call: impl FnMut(u16) -> T) -> Vec<f64> {
    let one = |number| {
        let began = Instant::now();
        black_box(call(number));
        began.elapsed().as_secs_f64() * 1e6
    };
    (0..TIMES).map(one).collect()
}

fn cryptography() -> Result<Vec<Part>> {
    let key = NodeKey::from_secret([7; 32]);
    let input = |number: u16| number.to_be_bytes();
    let (_, proof) = key.vrf().prove(&input(1));
    let signature = key.sign_bytes(&input(1));
    Ok(vec![
        part("VRF proof", timed(|number| key.vrf().prove(&input(number))))?,
        part("VRF verification", timed(|_| vrf::verify(&key.vrf_public(), &input(1), &proof)))?,
        part("Ed25519 signature", timed(|number| key.sign_bytes(&input(number))))?,
        part("Ed25519 verification", timed(|_| verify_bytes(&key.id(), &input(1), &signature)))?,
    ])
}

/// One statement made durable in the log: what a node does before it answers.
async fn write(folder: &Path) -> Result<Part> {
    let (key, network) = (NodeKey::from_secret([7; 32]), NetworkId([7; 32]));
    let path = folder.join("baseline.db");
    let id = key.id();
    let store = tokio::task::spawn_blocking(move || Store::open(path, network, id)).await??;
    let mut us = Vec::new();
    for number in 0..TIMES {
        let mut request = [0; 32];
        request[..2].copy_from_slice(&number.to_be_bytes());
        let body = Received { request: RequestId(request), received: Millis(u64::from(number)) };
        let bytes = Signed::sign(network, &key, body).bytes().to_vec();
        let began = Instant::now();
        store.write(move |transaction| transaction.append(&bytes, "received")).await?;
        us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    store.close().await?;
    part("durable write of a statement", us)
}

/// One job in the sandbox, without any network around it.
async fn sandbox() -> Result<Part> {
    let engine = tokio::task::spawn_blocking(|| EngineFiles::locate(None)).await??;
    let host = crate::host_command()?;
    let config = SandboxConfig {
        program: host.program,
        arguments: host.arguments,
        engine,
        ready_children: 2,
        max_parallel: 1,
        queue: 1,
    };
    let sandbox = Sandbox::start(config).await?;
    let mut us = Vec::new();
    for number in 0..TIMES {
        let job = Job {
            source: SCRIPT.to_owned(),
            params: format!("{{\"a\":{number},\"b\":1}}"),
            seed: [7; 32],
            now_ms: 0,
            limits: Limits::default(),
        };
        let began = Instant::now();
        let finished = sandbox.run(job).await?;
        us.push(began.elapsed().as_secs_f64() * 1e6);
        let expected = Outcome::Value((number + 1).to_string());
        ensure!(finished.outcome == expected, "the sandbox says {:?}", finished.outcome);
    }
    sandbox.stop().await;
    part("sandbox job a + b", us)
}
