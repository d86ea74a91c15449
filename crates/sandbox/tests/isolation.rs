//! Jobs do not meet, children have no doors, and the death of a process costs nobody an answer.

mod support;

use sandbox::{FaultKind, Outcome, Sandbox, SandboxConfig, SandboxError};
use support::{config, expression, job, run, start, value};

#[tokio::test]
async fn nothing_of_a_job_reaches_the_next() {
    let sandbox = start().await;
    let first = "globalThis.leak = 1; Object.prototype.leak = 2; Array.prototype.map = null; var mainFunction = () => 'first'";
    assert_eq!(value(&sandbox, first).await, "\"first\"");
    for _ in 0..4 {
        assert_eq!(
            expression(&sandbox, "[typeof leak, typeof {}.leak, [1].map(String)[0]]").await,
            r#"["undefined","undefined","1"]"#
        );
        let none = run(&sandbox, "", "null").await.outcome;
        assert!(matches!(none, Outcome::Fault(fault) if fault.kind == FaultKind::NoMainFunction));
    }
    let escape = "mainFunction = () => console.constructor.constructor('return process')()";
    let Outcome::Fault(fault) = run(&sandbox, escape, "null").await.outcome else {
        panic!("a process was found")
    };
    assert_eq!(fault.message, "ReferenceError: process is not defined");
    sandbox.stop().await;
}

#[tokio::test]
async fn the_jail_has_no_open_door() {
    let sandbox = start().await;
    assert!(sandbox.jail_report().seccomp);
    assert_eq!(run(&sandbox, "//probe nothing", "null").await.outcome, Outcome::Value("0".into()));
    let refused = libc::EPERM.to_string();
    for door in ["open", "create", "fork", "clone3", "tgkill", "prctl", "prlimit"] {
        assert_eq!(
            run(&sandbox, &format!("//probe {door}"), "null").await.outcome,
            Outcome::Value(refused.clone()),
            "{door}"
        );
    }
    for door in [
        "socket",
        "socket_unix",
        "connect",
        "execve",
        "kill",
        "ptrace",
        "dup",
        "unshare",
        "io_uring",
        "memfd",
    ] {
        let Outcome::Fault(fault) = run(&sandbox, &format!("//probe {door}"), "null").await.outcome
        else {
            panic!("{door} is open")
        };
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::Crashed, "the script's process tried what the jail forbids"),
            "{door}"
        );
    }
    assert!(!std::path::Path::new("/tmp/escaped").exists());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_killed_host_is_replaced_and_its_children_die() {
    let sandbox = start().await;
    for _ in 0..3 {
        let host = sandbox.host_process().await.expect("a host runs");
        let children =
            std::fs::read_to_string(format!("/proc/{host}/task/{host}/children")).unwrap();
        // One job is in flight when the host dies; it is run again by the next host.
        let busy = job(
            "mainFunction = () => { for (let i = 0, s = 0; i < 3e8; i++) s += i; return 'done' }",
            "null",
        );
        let running = tokio::spawn({
            let sandbox = sandbox.clone();
            async move { sandbox.run(busy).await }
        });
        tokio::task::yield_now().await;
        // SAFETY: the process is our own child.
        assert_eq!(unsafe { libc::kill(host as i32, libc::SIGKILL) }, 0);
        assert_eq!(running.await.unwrap().unwrap().outcome, Outcome::Value("\"done\"".into()));
        assert_eq!(expression(&sandbox, "6 * 7").await, "42");
        assert_ne!(sandbox.host_process().await, Some(host));
        for child in children.split_whitespace() {
            while std::path::Path::new(&format!("/proc/{child}")).exists() {
                let status =
                    std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                if status.contains(") Z ") || status.is_empty() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn many_parallel_jobs_get_their_own_answers() {
    let sandbox = Sandbox::start(SandboxConfig { max_parallel: 8, ready_children: 4, ..config() })
        .await
        .unwrap();
    let jobs: Vec<_> = (0..200)
        .map(|number| {
            let sandbox = sandbox.clone();
            tokio::spawn(async move {
                let source = match number % 4 {
                    0 => "mainFunction = async (p) => p * 2",
                    1 => "mainFunction = (p) => { let s = 0; for (let i = 0; i < 1e5; i++) s += i; return p * 2 }",
                    2 => "const mainFunction = async (p) => { for (let i = 0; i < 100; i++) await i; return p * 2 }",
                    _ => "mainFunction = (p) => { throw new Error(p * 2) }",
                };
                (number, sandbox.run(job(source, &number.to_string())).await.unwrap().outcome)
            })
        })
        .collect();
    for running in jobs {
        let (number, outcome) = running.await.unwrap();
        match outcome {
            Outcome::Value(json) => assert_eq!(json, (number * 2).to_string()),
            Outcome::Fault(fault) => {
                assert_eq!((number % 4, fault.message), (3, format!("Error: {}", number * 2)))
            }
        }
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_full_queue_says_so_and_abandoned_jobs_give_their_places_back() {
    let sandbox =
        Sandbox::start(SandboxConfig { max_parallel: 1, queue: 1, ..config() }).await.unwrap();
    let mut slow = job("while (true);", "null");
    slow.limits.wall_ms = 1_000;
    let (one, two, three) = tokio::join!(
        sandbox.run(slow.clone()),
        sandbox.run(slow.clone()),
        sandbox.run(slow.clone())
    );
    assert!(one.is_ok() && two.is_ok());
    let busy = three.unwrap_err();
    assert!(
        matches!(busy, SandboxError::Busy { max_parallel: 1, queue: 1 }) && busy.is_retryable(),
        "{busy}"
    );
    // A caller that gives up does not break the stream of messages or lose the place.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(1), sandbox.run(slow)).await;
    assert_eq!(expression(&sandbox, "1").await, "1");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_stopped_sandbox_leaves_no_process() {
    let sandbox = start().await;
    let host = sandbox.host_process().await.unwrap();
    let clone = sandbox.clone();
    sandbox.stop().await;
    assert!(!std::path::Path::new(&format!("/proc/{host}")).exists());
    assert!(matches!(clone.run(job("1", "1")).await, Err(SandboxError::Stopped)));
    assert_eq!(clone.engine_id().as_str(), "mini_racer/0.14.1+v8/14.4.258.23");
}

#[tokio::test]
async fn a_host_that_cannot_work_says_why() {
    let missing =
        Sandbox::start(SandboxConfig { program: "/nonexistent/quorate".into(), ..config() }).await;
    assert!(matches!(missing, Err(SandboxError::Spawn { .. })));
    let silent = Sandbox::start(SandboxConfig { program: "/bin/true".into(), ..config() }).await;
    assert!(matches!(silent, Err(SandboxError::HostUnusable { .. })));
}
