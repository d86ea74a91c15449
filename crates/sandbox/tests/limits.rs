//! Every limit ends the script and nothing else.

mod support;

use sandbox::{FaultKind, Limits, Outcome, Sandbox};
use support::{config, expression, fault_of, job, run, start, value};

/// The children of a process that are not zombies.
fn children_of(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

#[tokio::test]
async fn every_endless_script_ends_at_its_deadline() {
    let sandbox = start().await;
    for source in [
        "while (true);",
        "mainFunction = () => { while (true); }",
        "mainFunction = () => { for (;;) { try { while (true); } finally { continue } } }",
        "mainFunction = async () => { while (true) await 0 }",
        "(async () => { while (true) await 0 })(); mainFunction = () => 1",
        "mainFunction = () => { (async () => { while (true) await 0 })(); return 1 }",
        "mainFunction = () => /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "mainFunction = () => ({ get a() { while (true); } })",
        "mainFunction = () => ({ toJSON() { while (true); } })",
        "mainFunction = () => ({ then() { while (true); } })",
        "mainFunction = () => new Proxy([], { get(t, k) { return k === 'length' ? 1e15 : k === 'toJSON' ? undefined : { toJSON() { while (true); } } } })",
        "mainFunction = () => { throw { get message() { while (true); } } }",
        "mainFunction = () => { console.log({ toJSON() { while (true); } }) }",
        "mainFunction = () => 2n ** (2n ** 29n) % 7n === (3n ** (2n ** 26n)) ",
        "mainFunction = () => { const a = []; a.length = 4e9; a.sort(() => 0).indexOf(7); while (true); }",
    ] {
        let mut endless = job(source, "null");
        endless.limits.wall_ms = 300;
        let fault = fault_of(sandbox.run(endless).await.unwrap(), source);
        assert_eq!(fault.kind, FaultKind::TimeLimit, "{source}: {}", fault.message);
        assert_eq!(fault.message, "the script ran longer than 300 ms");
    }
    assert_eq!(expression(&sandbox, "1 + 1").await, "2");
    sandbox.stop().await;
}

#[tokio::test]
async fn no_process_of_a_job_outlives_its_answer() {
    let sandbox =
        Sandbox::start(sandbox::SandboxConfig { ready_children: 1, ..config() }).await.unwrap();
    let host = sandbox.host_process().await.unwrap();
    let mut endless = job("while (true);", "null");
    endless.limits.wall_ms = 200;
    let (one, two) = tokio::join!(sandbox.run(endless.clone()), sandbox.run(endless));
    for finished in [one, two] {
        assert_eq!(fault_of(finished.unwrap(), "loop").kind, FaultKind::TimeLimit);
    }
    // What is left are idle children: none of them uses the processor.
    for child in children_of(host) {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{child}/stat")) else {
            continue;
        };
        let ticks: u64 =
            stat.rsplit(") ").next().unwrap().split(' ').nth(11).unwrap().parse().unwrap();
        assert!(ticks < 15, "a child used {ticks} ticks of user time");
    }
    assert!(children_of(host).len() <= 3);
    sandbox.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{host}")).exists());
}

#[tokio::test]
async fn memory_bombs_end_their_own_process_only() {
    let sandbox = start().await;
    let host = sandbox.host_process().await;
    for source in [
        "mainFunction = () => { let a = [1]; while (true) a = a.concat(a) }",
        "mainFunction = () => { const a = []; while (true) a.push(new Array(1000).fill(a.length)) }",
        "mainFunction = () => { const m = new Map(); for (let i = 0;; i++) m.set(i, { i }) }",
        "mainFunction = () => new Array(3e8).fill(0).length",
        "mainFunction = () => { const a = []; let s = 'x'; while (true) { s = (s + a.length).repeat(2).slice(0, 1e6); a.push([...s].join('-')) } }",
        "mainFunction = async () => { const a = []; while (true) { a.push({}, new Array(100).fill({})); if (a.length % 1000 === 0) await 0 } }",
        "const a = []; while (true) a.push(new Array(1000).fill(1))",
        "(async () => { const a = []; while (true) { a.push(new Array(1000).fill({})); await 0 } })(); mainFunction = () => 1",
        "mainFunction = () => ({ toJSON() { const a = []; while (true) a.push([a.length]) } })",
        "mainFunction = () => { const a = []; while (true) { try { while (true) a.push(new Array(1000).fill(1.5)) } catch {} } }",
        "let o = {}; for (let i = 0;; i++) o['key' + i] = { i }",
        "mainFunction = () => { let f = () => 0; while (true) { const g = f; f = () => g() } }",
        "mainFunction = () => { const big = '1+'.repeat(200000) + '1'; const all = []; while (true) all.push(new Function('return ' + all.length + '+' + big)) }",
    ] {
        let fault = fault_of(run(&sandbox, source, "null").await, source);
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::MemoryLimit, "the script used more than 128 MiB of memory"),
            "{source}"
        );
        assert_eq!(expression(&sandbox, "1 + 1").await, "2", "after {source}");
    }
    // These are errors that a script sees.
    for source in [
        "mainFunction = () => { const a = []; while (true) a.push(new ArrayBuffer(1 << 24)) }",
        "mainFunction = () => { const a = []; while (true) a.push(new Uint8Array(1 << 24).fill(1)) }",
        "mainFunction = () => { let s = 'x'; while (true) s += s }",
        "mainFunction = () => new Array(-1)",
    ] {
        let fault = fault_of(run(&sandbox, source, "null").await, source);
        assert_eq!(fault.kind, FaultKind::Threw, "{source}: {}", fault.message);
        assert!(fault.message.starts_with("RangeError: "), "{source}: {}", fault.message);
        assert_eq!(expression(&sandbox, "1 + 1").await, "2", "after {source}");
    }
    assert_eq!(sandbox.host_process().await, host, "the host survived all of them");
    sandbox.stop().await;
}

#[tokio::test]
async fn memory_within_the_limit_is_there() {
    let sandbox = start().await;
    let source = "mainFunction = () => { const a = []; for (let i = 0; i < 200000; i++) a.push({ i, s: 'item ' + i }); return a.length }";
    assert_eq!(value(&sandbox, source).await, "200000");
    assert_eq!(
        value(&sandbox, "mainFunction = () => new Uint8Array(100 << 20).fill(1).length").await,
        "104857600"
    );
    let mut large = job(
        "mainFunction = () => { const a = []; for (let i = 0; i < 6; i++) a.push(new Array(1e7).fill(i)); return a.length }",
        "null",
    );
    large.limits.memory_mib = 1024;
    assert_eq!(sandbox.run(large).await.unwrap().outcome, Outcome::Value("6".into()));
    let mut small = job("mainFunction = (p) => p", "[1,2,3]");
    small.limits.memory_mib = Limits::MIN_MEMORY_MIB;
    assert_eq!(sandbox.run(small).await.unwrap().outcome, Outcome::Value("[1,2,3]".into()));
    sandbox.stop().await;
}

#[tokio::test]
async fn output_is_bounded_in_bytes() {
    let sandbox = start().await;
    let sized = |source: &str, output_bytes| {
        let mut job = job(source, "null");
        job.limits.output_bytes = output_bytes;
        job
    };
    let exact = sandbox.run(sized("mainFunction = () => 'x'.repeat(98)", 100)).await.unwrap();
    assert!(matches!(exact.outcome, Outcome::Value(json) if json.len() == 100));
    for source in [
        "mainFunction = () => 'x'.repeat(99)",
        "mainFunction = () => 'é'.repeat(60)",
        "mainFunction = () => Array(1000).fill(1)",
        "mainFunction = () => 'x'.repeat(5e8)",
        "mainFunction = () => new Proxy([], { get: (t, k) => k === 'length' ? 1e15 : k === 'toJSON' ? undefined : 1 })",
        "mainFunction = () => { const a = []; a[4e9] = 1; return Array(100).fill(a.length) }",
    ] {
        let fault = fault_of(sandbox.run(sized(source, 100)).await.unwrap(), source);
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::OutputLimit, "the value is longer than 100 bytes of JSON"),
            "{source}"
        );
    }
    let largest = sandbox
        .run(sized("mainFunction = () => 'x'.repeat(4 * 1048576 - 2)", Limits::MAX_OUTPUT_BYTES))
        .await
        .unwrap();
    assert!(matches!(largest.outcome, Outcome::Value(json) if json.len() == 4 << 20));
    sandbox.stop().await;
}
