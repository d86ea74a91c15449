//! What a script is and what its value becomes.

mod support;

use sandbox::{FaultKind, JobError, Limits, Outcome, SandboxError};
use support::{assert_fault, expression, fault, job, run, start, value};

#[tokio::test]
async fn main_function_may_be_defined_in_any_way() {
    let sandbox = start().await;
    for source in [
        "mainFunction = (p) => p.a + p.b",
        "mainFunction = async (p) => p.a + p.b",
        "function mainFunction(p) { return p.a + p.b }",
        "async function mainFunction({a, b}) { await null; return a + b }",
        "const mainFunction = (p) => p.a + p.b",
        "let mainFunction = function (p) { return Promise.resolve(p.a + p.b) }",
        "var mainFunction = (p) => p.a + p.b",
        "globalThis.mainFunction = (p) => ({ then(done) { done(p.a + p.b) } })",
        "'use strict'; const mainFunction = (p) => p.a + p.b; // the last line is a comment",
    ] {
        assert_eq!(
            run(&sandbox, source, r#"{"a":3,"b":5}"#).await.outcome,
            Outcome::Value("8".into()),
            "{source}"
        );
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn values_of_every_kind_are_kept() {
    let sandbox = start().await;
    for (source, json) in [
        ("0", "0"),
        ("-0", "0"),
        ("false", "false"),
        ("true", "true"),
        ("''", r#""""#),
        ("null", "null"),
        ("1e21", "1e+21"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("5e-324", "5e-324"),
        ("[]", "[]"),
        ("({})", "{}"),
        ("[1, 'a', null, [true], {b: 2}]", r#"[1,"a",null,[true],{"b":2}]"#),
        ("({b: 1, a: undefined, c: {d: []}})", r#"{"b":1,"c":{"d":[]}}"#),
        ("({2: 'x', 1: 'y', z: 'w'})", r#"{"1":"y","2":"x","z":"w"}"#),
        (r#"'a\n\u0000\u2028😀"\\'"#, "\"a\\n\\u0000\u{2028}😀\\\"\\\\\""),
        ("new Date()", r#""2026-01-02T03:04:05.678Z""#),
        ("({toJSON(key) { return ['hook', key] }})", r#"["hook",""]"#),
        ("[{toJSON(key) { return key }}]", r#"["0"]"#),
        ("new Number(7)", "7"),
        ("[new String('s'), new Boolean(false)]", r#"["s",false]"#),
        ("new Map([[1, 2]])", "{}"),
        ("Object.create(null, {x: {value: 1, enumerable: true}})", r#"{"x":1}"#),
        ("new (class { constructor() { this.a = 1 } get b() { return 2 } })", r#"{"a":1}"#),
        ("new Proxy([1, 2], {})", "[1,2]"),
        ("[1,,3].filter(() => true)", "[1,3]"),
        ("({__proto__: null, ['__proto__']: 1})", r#"{"__proto__":1}"#),
        ("(BigInt.prototype.toJSON = function () { return String(this) }, [12n])", r#"["12"]"#),
        ("Symbol.iterator in [] && 'yes'", r#""yes""#),
    ] {
        assert_eq!(expression(&sandbox, source).await, json, "{source}");
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn what_json_cannot_hold_is_a_fault_with_its_path() {
    let sandbox = start().await;
    for (source, message) in [
        ("undefined", "the value at $ is undefined"),
        ("NaN", "the value at $ is NaN"),
        ("({a: [1, 2, NaN]})", "the value at $.a[2] is NaN"),
        ("[-Infinity]", "the value at $[0] is -Infinity"),
        ("({a: {'b c': Infinity}})", "the value at $.a[\"b c\"] is Infinity"),
        ("({f() {}})", "the value at $.f is a function"),
        ("[Symbol('s')]", "the value at $[0] is a symbol"),
        ("({n: 1n})", "the value at $.n is a BigInt"),
        ("[1, undefined]", "the value at $[1] is undefined"),
        ("[1,,3]", "the value at $[1] is undefined"),
        ("'\\ud800'", "the value at $ is a string with a lone surrogate"),
        ("({'\\udc00': 1})", "the value at $ is under a key with a lone surrogate"),
        ("new Number(NaN)", "the value at $ is NaN"),
        ("((a) => (a.b = {c: [a]}, a))({})", "the value at $.b.c[0] is part of a cycle"),
        ("((a) => (a.push(a), a))([])", "the value at $[0] is part of a cycle"),
        ("({toJSON() { return undefined }})", "the value at $ is undefined"),
    ] {
        assert_fault(
            &sandbox,
            &format!("mainFunction = () => ({source})"),
            FaultKind::NotJson,
            message,
        )
        .await;
    }
    let deep = fault(
        &sandbox,
        "mainFunction = () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a }",
    )
    .await;
    assert_eq!(deep.kind, FaultKind::NotJson);
    assert!(deep.message.ends_with("is nested deeper than 100 levels"), "{}", deep.message);
    assert_eq!(
        value(
            &sandbox,
            "mainFunction = () => { let a = 1; for (let i = 0; i < 100; i++) a = [a]; return a }"
        )
        .await
        .len(),
        201
    );
    // The same object twice is no cycle.
    assert_eq!(expression(&sandbox, "((a) => [a, a])({})").await, "[{},{}]");
    sandbox.stop().await;
}

#[tokio::test]
async fn faults_of_scripts_say_what_happened() {
    let sandbox = start().await;
    use FaultKind::{NeverSettles, NoMainFunction, Syntax, Threw};
    let never = "the promise of mainFunction can never settle: nothing is left to run";
    let none = "the script defines no function named mainFunction";
    for (source, kind, message) in [
        ("mainFunction = (", Syntax, "SyntaxError: Unexpected end of input (line 1)"),
        (
            "let a = 1;\nlet a = 2",
            Syntax,
            "SyntaxError: Identifier 'a' has already been declared (line 2)",
        ),
        ("", NoMainFunction, none),
        ("mainFunction = 5", NoMainFunction, none),
        ("(() => { const mainFunction = () => 1 })()", NoMainFunction, none),
        ("\nthrow new TypeError('at the top')", Threw, "TypeError: at the top (line 2)"),
        ("mainFunction = () => { throw new Error('no') }", Threw, "Error: no"),
        (
            "mainFunction = async () => { await 0; throw new RangeError('later') }",
            Threw,
            "RangeError: later",
        ),
        ("mainFunction = () => { throw 'text' }", Threw, "text"),
        ("mainFunction = () => { throw undefined }", Threw, "undefined"),
        ("mainFunction = () => { throw Symbol('s') }", Threw, "Symbol(s)"),
        ("mainFunction = () => { throw {} }", Threw, "an object without a message was thrown"),
        (
            "mainFunction = () => { throw { get message() { throw 1 } } }",
            Threw,
            "a value that cannot be described was thrown",
        ),
        ("mainFunction = () => Promise.reject(null)", Threw, "null"),
        (
            "mainFunction = () => ({ get a() { throw new Error('getter') } })",
            Threw,
            "Error: getter",
        ),
        ("mainFunction = () => ({ toJSON() { throw new Error('hook') } })", Threw, "Error: hook"),
        (
            "mainFunction = () => null.x",
            Threw,
            "TypeError: Cannot read properties of null (reading 'x')",
        ),
        ("mainFunction = () => fetch('http://x')", Threw, "ReferenceError: fetch is not defined"),
        (
            "mainFunction = function f() { return f() + 1 }",
            Threw,
            "RangeError: Maximum call stack size exceeded",
        ),
        ("mainFunction = () => new Promise(() => {})", NeverSettles, never),
        ("mainFunction = () => ({ then() {} })", NeverSettles, never),
        ("mainFunction = () => import('x')", Threw, "Error: Not supported"),
    ] {
        assert_fault(&sandbox, source, kind, message).await;
    }
    let long = fault(&sandbox, "mainFunction = () => { throw new Error('é'.repeat(1e6)) }").await;
    assert!(long.message.len() <= 1024 && long.message.len() > 1000);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_console_is_captured_and_bounded() {
    let sandbox = start().await;
    let source = "console.log('one', 2, {a: [3]}, null); console.error('bad\\nnews'); console.debug(undefined, 1n, Symbol('s'));
        mainFunction = () => { console.warn(new Error('e').message); console.log('\\ud800'); return 1 }";
    let logs = run(&sandbox, source, "null").await.logs;
    assert_eq!(
        logs,
        [
            "one 2 {\"a\":[3]} null",
            "error: bad\nnews",
            "debug: undefined 1 Symbol(s)",
            "warn: e",
            "\u{fffd}"
        ]
    );
    let thrown = run(
        &sandbox,
        "mainFunction = () => { console.log('before'); throw new Error('no') }",
        "null",
    )
    .await;
    assert_eq!(thrown.logs[0], "before");
    assert!(
        thrown.logs[1].starts_with("uncaught: Error: no\n    at mainFunction"),
        "{:?}",
        thrown.logs
    );
    let mut endless = job(
        "mainFunction = () => { for (let i = 0; i < 1e5; i++) console.log('line ' + i); return 1 }",
        "null",
    );
    endless.limits.log_bytes = 1000;
    let finished = sandbox.run(endless).await.unwrap();
    assert_eq!(finished.outcome, Outcome::Value("1".into()));
    assert!(finished.logs.iter().map(String::len).sum::<usize>() < 1100);
    assert_eq!(finished.logs.last().unwrap(), "(the log ends here: its limit is 1000 bytes)");
    sandbox.stop().await;
}

#[tokio::test]
async fn scripts_cannot_tamper_with_the_judge() {
    let sandbox = start().await;
    let tamper = "
        const bad = () => { throw new Error('tampered') };
        for (const object of [Array.prototype, Object.prototype, String.prototype, Function.prototype, Promise, Promise.prototype,
            Reflect, JSON, Object, Number.prototype, RegExp.prototype, Map.prototype, WeakMap.prototype, Math, Array, Error]) {
            for (const key of Reflect.ownKeys(object)) {
                const now = Reflect.getOwnPropertyDescriptor(object, key);
                if (!now.configurable || key === 'constructor') continue;
                Object.defineProperty(object, key, { get: () => bad, set: bad, configurable: true });
            }
            if (object === Object.prototype) continue;
        }
        ";
    // Object.defineProperty itself goes half way; what is left must do no harm either.
    let source = format!(
        "try {{ {tamper} }} catch {{}} globalThis.eval = 5; const mainFunction = (p) => p;"
    );
    assert_eq!(
        run(&sandbox, &source, "[1,2.5,\"s\",[true,null]]").await.outcome,
        Outcome::Value("[1,2.5,\"s\",[true,null]]".into())
    );
    let setters = "
        Object.defineProperty(Array.prototype, '0', { set() { throw 1 }, get() { return 'stolen' } });
        Object.defineProperty(Object.prototype, 'value', { get() { return 'stolen' } });
        Object.defineProperty(Object.prototype, 'get', { value: () => 'stolen' });
        Array.prototype[Symbol.iterator] = () => { throw 2 };
        Promise.prototype.then = () => { throw 3 };
        Promise.resolve = () => { throw 4 };
        JSON.stringify = () => '\"forged\"';
        mainFunction = async () => ({ a: [1, 'x'], n: Math.random() < 1, d: Date.now() > 0 })";
    assert_eq!(value(&sandbox, setters).await, r#"{"a":[1,"x"],"n":true,"d":true}"#);
    // Stack traces give away neither functions nor arguments of the prelude.
    let frames = "
        Error.prepareStackTrace = (_, frames) => frames.map((frame) => [typeof frame.getFunction(), typeof frame.getThis()].join());
        mainFunction = () => new Set(new Error('x').stack.slice(1)).size === 1 ? new Error('x').stack[1] : 'several'";
    assert_eq!(value(&sandbox, frames).await, r#""undefined,undefined""#);
    let caller =
        "mainFunction = function f() { try { return f.caller === null } catch { return true } }";
    assert_eq!(value(&sandbox, caller).await, "true");
    sandbox.stop().await;
}

#[tokio::test]
async fn hard_bounds_are_refused_before_they_reach_the_host() {
    let sandbox = start().await;
    let refused = sandbox.run(job("1", "{")).await.unwrap_err();
    assert!(matches!(refused, SandboxError::Refused(JobError::ParamsNotJson { .. })), "{refused}");
    let refused = sandbox.run(job(&" ".repeat((1 << 20) + 1), "null")).await.unwrap_err();
    assert!(matches!(refused, SandboxError::Refused(JobError::SourceTooLong { .. })), "{refused}");
    // The longest allowed ones work.
    let mut longest = job(
        &format!("mainFunction = (p) => p.length //{}", " ".repeat((1 << 20) - 34)),
        &format!("\"{}\"", "x".repeat((1 << 20) - 2)),
    );
    longest.limits = Limits { wall_ms: 30_000, ..Limits::default() };
    assert_eq!(
        sandbox.run(longest).await.unwrap().outcome,
        Outcome::Value(((1 << 20) - 2).to_string())
    );
    sandbox.stop().await;
}
