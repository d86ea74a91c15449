//! Measures the sandbox: `cargo build --release -p sandbox --bins && cargo run --release -p sandbox --example measure`.
//!
//! The host program is looked for beside this one, in the target directory.

use sandbox::{EngineFiles, Job, Limits, Outcome, Sandbox, SandboxConfig};
use std::path::Path;
use std::time::Instant;

fn job(source: &str) -> Job {
    Job {
        source: source.into(),
        params: r#"{"a":3,"b":5}"#.into(),
        seed: [3; 32],
        now_ms: 1_767_323_045_678,
        limits: Limits::default(),
    }
}

/// Processor ticks (10 ms each) of a process and of those of its children that were reaped.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let in_clone = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize()?.join("../../.engine");
    let engine = EngineFiles::locate(Some(&in_clone))?;
    println!("locate and hash: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let program = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .expect("examples/ is in the target directory")
        .join("sandbox-test-host");
    let begun = Instant::now();
    let config = SandboxConfig {
        program,
        arguments: Vec::new(),
        engine,
        ready_children: 2,
        max_parallel: 2,
        queue: 10_000,
    };
    let sandbox = Sandbox::start(config).await?;
    println!(
        "start: {:.0} ms; {}; {:?}",
        begun.elapsed().as_secs_f64() * 1e3,
        sandbox.engine_id(),
        sandbox.jail_report()
    );
    let host = sandbox.host_process().await.expect("the host runs");
    let sum = "mainFunction = (p) => p.a + p.b";
    let work = "mainFunction = () => { let s = 0; for (let i = 0; i < 5e6; i++) s = (s * 31 + i) | 0; return s }";
    for (name, source, count) in [("a+b", sum, 1000), ("loop of 5e6", work, 200)] {
        let (mut latencies, mut cpu, before) = (Vec::new(), 0, ticks(host));
        let begun = Instant::now();
        for _ in 0..count {
            let sent = Instant::now();
            let finished = sandbox.run(job(source)).await?;
            assert!(matches!(finished.outcome, Outcome::Value(_)));
            latencies.push(sent.elapsed().as_micros());
            cpu += finished.cpu_us;
        }
        let (wall, spent) = (begun.elapsed().as_secs_f64(), ticks(host) - before);
        latencies.sort_unstable();
        println!(
            "{name}, one after another: p50 {} us, p99 {} us, {:.0} jobs/s; cpu per job: {} us of the job, {} us with fork and set-up",
            latencies[count / 2],
            latencies[count * 99 / 100],
            count as f64 / wall,
            cpu / count as u64,
            spent * 10_000 / count as u64,
        );
        // Paced: the pool is full whenever a job arrives.
        let mut paced = Vec::new();
        for _ in 0..200 {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            let sent = Instant::now();
            sandbox.run(job(source)).await?;
            paced.push(sent.elapsed().as_micros());
        }
        paced.sort_unstable();
        println!("{name}, every 15 ms: p50 {} us, p99 {} us", paced[100], paced[198]);
    }
    let (begun, before) = (Instant::now(), ticks(host));
    let all: Vec<_> = (0..2000)
        .map(|_| {
            let sandbox = sandbox.clone();
            tokio::spawn(
                async move { sandbox.run(job(sum)).await.map(|finished| finished.outcome) },
            )
        })
        .collect();
    for running in all {
        assert_eq!(running.await??, Outcome::Value("8".into()));
    }
    let wall = begun.elapsed().as_secs_f64();
    println!(
        "a+b, two at a time: {:.0} jobs/s, {} us cpu per job in all",
        2000.0 / wall,
        (ticks(host) - before) * 10_000 / 2000
    );
    sandbox.stop().await;
    Ok(())
}
