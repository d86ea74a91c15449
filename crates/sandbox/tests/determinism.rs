//! Two runs of one job are equal; time and entropy come from the job alone.

mod support;

use sandbox::Outcome;
use support::{NOW_MS, expression, job, start, value};

#[tokio::test]
async fn every_way_to_the_clock_shows_the_same_instant() {
    let sandbox = start().await;
    let now = NOW_MS.to_string();
    for source in [
        "Date.now()",
        "+new Date()",
        "new Date().getTime()",
        "Date.parse(new Date().toISOString())",
        "+new (class extends Date {})()",
        "new (class extends Date { constructor(...a) { super(...a) } })().getTime()",
        "+new (new Date(0).constructor)()",
        "+new (Date.prototype.constructor)()",
        "+Reflect.construct(Date, [])",
        "+Reflect.construct(Date, [], class {}).constructor.length || Date.now()",
        "Object.getPrototypeOf(Date) === Function.prototype ? Date.now() : 'leak'",
        "+new (Object.getPrototypeOf(class extends Date {}))()",
        "+new (Object.getPrototypeOf(new Date()).constructor)()",
        "+new (Function('return Date')())()",
        "+new ((0, eval)('Date'))()",
        "new Date(Date()).getTime() + 678",
        "new Date(Date.call({})).getTime() + 678",
        "Date.UTC(2026, 0, 2, 3, 4, 5, 678)",
        "(structuredClone => Date.now())()",
    ] {
        assert_eq!(expression(&sandbox, source).await, now, "{source}");
    }
    for (source, shown) in [
        ("Date()", "\"Fri Jan 02 2026 03:04:05 GMT+0000 (Coordinated Universal Time)\""),
        ("new Intl.DateTimeFormat().format()", "\"1/2/2026\""),
        (
            "new Intl.DateTimeFormat('en', {dateStyle: 'short', timeStyle: 'long'}).format(undefined)",
            "\"1/2/26, 3:04:05 AM UTC\"",
        ),
        ("new Intl.DateTimeFormat().formatToParts().map((p) => p.value).join('')", "\"1/2/2026\""),
        (
            "Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, 'format').get.call(new Intl.DateTimeFormat())()",
            "\"1/2/2026\"",
        ),
        ("Object.create(new Intl.DateTimeFormat()) instanceof Intl.DateTimeFormat", "true"),
        ("((f) => f.format === f.format)(new Intl.DateTimeFormat())", "true"),
        ("new Intl.DateTimeFormat().format(0)", "\"1/1/1970\""),
        ("new Date().toLocaleString()", "\"1/2/2026, 3:04:05 AM\""),
        ("new Date(0).getTimezoneOffset()", "0"),
        ("Intl.DateTimeFormat().resolvedOptions().timeZone", "\"UTC\""),
        ("Intl.DateTimeFormat().resolvedOptions().locale", "\"en-US\""),
        ("(1234.5).toLocaleString()", "\"1,234.5\""),
        ("new Date(2020, 1).toISOString()", "\"2020-02-01T00:00:00.000Z\""),
        ("new Date(7) instanceof Date && Date.length === 7 && Date.name === 'Date'", "true"),
    ] {
        assert_eq!(expression(&sandbox, source).await, shown, "{source}");
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn nothing_else_tells_time_entropy_or_the_machine() {
    let sandbox = start().await;
    let names = "mainFunction = () => Object.getOwnPropertyNames(globalThis).sort()";
    let names: Vec<String> = serde_json::from_str(&value(&sandbox, names).await).unwrap();
    for gone in [
        "SharedArrayBuffer",
        "Atomics",
        "WeakRef",
        "FinalizationRegistry",
        "Temporal",
        "WebAssembly",
        "performance",
        "crypto",
        "process",
        "require",
        "fetch",
        "setTimeout",
        "Deno",
        "gc",
        "d8",
        "print",
        "read",
        "load",
        "Worker",
        "ShadowRealm",
        "queueMicrotask",
        "structuredClone",
    ] {
        assert!(!names.iter().any(|name| name == gone), "{gone} is reachable");
    }
    for source in [
        "console.time.constructor('return typeof process')()",
        "typeof Date.prototype.toTemporalInstant",
    ] {
        assert_eq!(expression(&sandbox, source).await, "\"undefined\"", "{source}");
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn equal_jobs_are_equal_and_other_seeds_differ() {
    let source = "
        mainFunction = async () => {
            let depth = 0; const dive = () => { depth += 1; dive() }; try { dive() } catch {}
            const big = Array.from({length: 2000}, () => Math.random()).sort();
            const shuffled = [...'abcdefgh'].sort(() => Math.random() - 0.5).join('');
            return [Math.random(), Math.random(), depth, big[7], shuffled, Math.sin(1e22), Math.pow(1.1, 100.5), Math.tan(0.3),
                Object.keys({b: 1, a: 2}), new Set([3, 1, 2]).size, [10, 9, 1].sort(), 'é'.localeCompare('f'), new Error('x').stack,
                (123456.789).toLocaleString('de'), [...new Intl.Segmenter('en', {granularity: 'word'}).segment('a b')].length];
        }";
    let one = start().await;
    let other = start().await;
    let mut values = Vec::new();
    for sandbox in [&one, &one, &other] {
        values.push(sandbox.run(job(source, "null")).await.unwrap().outcome);
    }
    assert!(matches!(&values[0], Outcome::Value(_)), "{:?}", values[0]);
    assert_eq!(values[0], values[1]);
    assert_eq!(values[0], values[2]);
    let mut seeded = job(source, "null");
    seeded.seed[31] ^= 1;
    assert_ne!(one.run(seeded).await.unwrap().outcome, values[0]);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn random_numbers_are_spread() {
    let sandbox = start().await;
    let source = "mainFunction = () => { let n = 1e5, sum = 0, low = 0; for (let i = 0; i < n; i++) { const r = Math.random();
        if (!(r >= 0 && r < 1)) return 'outside'; sum += r; if (r < 0.25) low += 1 } return [Math.abs(sum / n - 0.5) < 0.01, Math.abs(low / n - 0.25) < 0.01] }";
    assert_eq!(value(&sandbox, source).await, "[true,true]");
    sandbox.stop().await;
}
