//! The life of one child: get ready, read one job, run it, write its end.
//!
//! Invariant: between the fork and the first byte of the job the whole jail is put on; after the result nothing runs. A child
//! that cannot get ready says why and runs nothing.

use crate::ffi::{Answer, Context, Engine, Handle};
use crate::frame::{FromChild, Request};
use crate::host::Probe;
use crate::jail::{self, Jail};
use crate::job::{Fault, FaultKind, Job, Outcome};
use crate::unix;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};

/// Makes the script's world; see the file.
const PRELUDE: &str = include_str!("prelude.js");

/// The domain of the hash that makes `Math.random`'s state of a job's seed, so that scripts never see the seed itself.
const RANDOM_DOMAIN: &[u8] = b"quorate/sandbox/random/v1";

/// Runs in a forked child, whose descriptor 0 is the job socket, until its end.
pub fn live(engine: &Engine, jail: &Jail, probe: Option<Probe>) -> ! {
    let mut socket = unix::job_descriptor();
    let prepared = prepare(engine, jail);
    let (mut world, landlock) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            let _ = socket.write_all(&FromChild::Unusable { reason }.encode());
            unix::exit_now(1);
        }
    };
    let ready = FromChild::Ready { cpu_us: unix::own_cpu_us(), landlock };
    let Some(job) = socket.write_all(&ready.encode()).ok().and_then(|()| read_job(&mut socket))
    else {
        // The host is gone or has no more use for this child.
        unix::exit_now(0);
    };
    let (outcome, logs) = match probe.and_then(|probe| probe(&job.source)) {
        Some(found) => (Outcome::Value(found), Vec::new()),
        None => world.run(&job),
    };
    let done = FromChild::Done { cpu_us: unix::own_cpu_us(), outcome, logs };
    let _ = socket.write_all(&done.encode());
    unix::exit_now(0)
}

fn prepare<'engine>(
    engine: &'engine Engine,
    jail: &Jail,
) -> Result<(World<'engine>, bool), String> {
    let landlock = jail::confine().map_err(|error| chain(&error))?;
    let world = World::new(engine)?;
    jail.lock().map_err(|error| chain(&error))?;
    Ok((world, landlock))
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn read_job(socket: &mut File) -> Option<Job> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).ok()?;
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    socket.read_exact(&mut body).ok()?;
    Some(Request::decode(&body).ok()?.job)
}

/// An isolate after the prelude.
struct World<'engine> {
    context: Context<'engine>,
    /// The prelude's one function.
    control: Handle,
    /// An array for the arguments of the first call. Made before any script can change what arrays do.
    arguments: Handle,
}

impl<'engine> World<'engine> {
    fn new(engine: &'engine Engine) -> Result<Self, String> {
        let mut context = engine.context();
        let control = handle(context.eval(PRELUDE))?;
        let arguments = handle(context.eval("[]"))?;
        Ok(Self { context, control, arguments })
    }

    fn run(&mut self, job: &Job) -> (Outcome, Vec<String>) {
        let result = self.run_to_text(job);
        // However V8 ended what ran then (an error without a reason, a promise job without a trace), this is why.
        if self.context.heap_limit_reached() {
            return (Outcome::Fault(Fault::memory_limit(job.limits.memory_mib)), Vec::new());
        }
        match result {
            Ok(text) => read_outcome(&text, job),
            Err(fault) => (Outcome::Fault(fault), Vec::new()),
        }
    }

    fn run_to_text(&mut self, job: &Job) -> Result<String, Fault> {
        let limits = &job.limits;
        let [s0, s1, s2, s3] = random_state(&job.seed);
        let settings = format!(
            r#"{{"now":{},"log":{},"output":{},"s0":{s0},"s1":{s1},"s2":{s2},"s3":{s3}}}"#,
            job.now_ms, limits.log_bytes, limits.output_bytes
        );
        self.context.push(self.arguments, self.context.string(&settings));
        self.context.push(self.arguments, self.context.string(&job.params));
        self.context.set_heap_limit((limits.memory_mib as usize) << 20);
        self.call(job)?;
        match self.context.eval(&job.source) {
            Answer::Text(_) | Answer::Other(_) => {}
            Answer::ParseError(report) => {
                return Err(Fault::new(FaultKind::Syntax, first_line(&report)));
            }
            Answer::Error(report) => return Err(Fault::new(FaultKind::Threw, first_line(&report))),
            Answer::OutOfMemory => return Err(Fault::memory_limit(limits.memory_mib)),
        }
        self.call(job)?;
        match self.call(job)? {
            Answer::Text(text) => Ok(text),
            _ => Err(Fault::new(FaultKind::Crashed, "the result could not be collected")),
        }
    }

    /// One call of the prelude's function.
    fn call(&mut self, job: &Job) -> Result<Answer, Fault> {
        match self.context.call(self.control, self.arguments) {
            Answer::OutOfMemory => Err(Fault::memory_limit(job.limits.memory_mib)),
            Answer::ParseError(report) | Answer::Error(report) => {
                Err(Fault::new(FaultKind::Threw, first_line(&report)))
            }
            answer => Ok(answer),
        }
    }
}

fn handle(answer: Answer) -> Result<Handle, String> {
    match answer {
        Answer::Other(handle) => Ok(handle),
        Answer::ParseError(report) | Answer::Error(report) => {
            Err(format!("the prelude fails: {report}"))
        }
        Answer::Text(_) => Err("the prelude gives a string".into()),
        Answer::OutOfMemory => Err("the prelude runs out of memory".into()),
    }
}

/// V8 reports `<anonymous>:3: TypeError: reason`, then the source line and the stack; the fault is `TypeError: reason (line 3)`.
fn first_line(report: &str) -> String {
    let line = report.lines().next().unwrap_or_default();
    let parts = line.split_once(':').and_then(|(_, rest)| rest.split_once(": "));
    match parts {
        Some((number, reason)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{reason} (line {number})")
        }
        _ => line.to_owned(),
    }
}

fn random_state(seed: &[u8; 32]) -> [u32; 4] {
    let hash = Sha256::new().chain_update(RANDOM_DOMAIN).chain_update(seed).finalize();
    let word = |index: usize| {
        u32::from_le_bytes([hash[index], hash[index + 1], hash[index + 2], hash[index + 3]])
    };
    let state = [word(0), word(4), word(8), word(12)];
    // xoshiro's one forbidden state; no seed with this hash is known.
    if state == [0; 4] { [1, 0, 0, 0] } else { state }
}

/// Reads the prelude's answer: a line with the outcome, then one JSON string per log line.
fn read_outcome(text: &str, job: &Job) -> (Outcome, Vec<String>) {
    let mut lines = text.split('\n');
    let head = lines.next().unwrap_or_default();
    let logs = lines.map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
    let output_bytes = job.limits.output_bytes;
    let outcome = if let Some(json) = head.strip_prefix('V') {
        // The prelude counts UTF-16 units, which are never more than the bytes of UTF-8: it stops early what is far too
        // long, and the exact limit is here.
        if json.len() > output_bytes as usize {
            Outcome::Fault(Fault::output_limit(output_bytes))
        } else {
            Outcome::Value(json.to_owned())
        }
    } else if head == "P" {
        Outcome::Fault(Fault::new(
            FaultKind::NeverSettles,
            "the promise of mainFunction can never settle: nothing is left to run",
        ))
    } else {
        let parts = head.strip_prefix('F').and_then(|rest| rest.split_once(' '));
        let kind = parts.and_then(|(word, _)| FaultKind::parse(word)).unwrap_or(FaultKind::Crashed);
        let message: String =
            parts.and_then(|(_, message)| serde_json::from_str(message).ok()).unwrap_or_default();
        Outcome::Fault(if kind == FaultKind::OutputLimit {
            Fault::output_limit(output_bytes)
        } else {
            Fault::new(kind, message)
        })
    };
    (outcome, logs)
}
