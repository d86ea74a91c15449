//! A job and what becomes of it.
//!
//! Invariant: everything in an [`Outcome`] is the same on every honest node with the same engine: fault messages hold no
//! addresses, process ids or measured times. Measured things (`cpu_us`, `wall_us`) stay beside the outcome.

/// The longest source. Scripts come over the network; 1 MiB of text is far beyond what anyone writes by hand.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;
/// The longest parameters, as JSON text.
pub const MAX_PARAMS_BYTES: usize = 1 << 20;
/// The longest fault message, in bytes; it is signed and stored by every node.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// The deepest result: readers of JSON (serde_json among them) refuse nesting beyond 128, so a deeper value could be
/// signed but not read back.
pub const MAX_DEPTH: u32 = 100;

/// What one job may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from the job's arrival in a ready child to its end, in milliseconds: 1 to [`Limits::MAX_WALL_MS`].
    pub wall_ms: u32,
    /// Memory beyond that of an idle child, in MiB: [`Limits::MIN_MEMORY_MIB`] to [`Limits::MAX_MEMORY_MIB`].
    pub memory_mib: u32,
    /// The result's JSON text, in bytes: up to [`Limits::MAX_OUTPUT_BYTES`].
    pub output_bytes: u32,
    /// All captured console output, in bytes: up to [`Limits::MAX_LOG_BYTES`]. What is beyond is cut, with a note.
    pub log_bytes: u32,
}

impl Limits {
    /// A child occupies one of few places while it runs; a minute is the longest a node lends one.
    pub const MAX_WALL_MS: u32 = 60_000;
    /// V8 needs about this much for itself before a script notices.
    pub const MIN_MEMORY_MIB: u32 = 16;
    /// V8's own heap ends at a few GiB; above 1 GiB one job could starve a small node.
    pub const MAX_MEMORY_MIB: u32 = 1024;
    /// A result is stored, signed and sent to every selected node.
    pub const MAX_OUTPUT_BYTES: u32 = 4 << 20;
    /// Logs are for people.
    pub const MAX_LOG_BYTES: u32 = 256 << 10;
}

impl Default for Limits {
    fn default() -> Self {
        Self { wall_ms: 2_000, memory_mib: 128, output_bytes: 256 << 10, log_bytes: 16 << 10 }
    }
}

/// One script to run once.
#[derive(Debug, Clone)]
pub struct Job {
    /// A classic script which defines the global `mainFunction`; at most [`MAX_SOURCE_BYTES`].
    pub source: String,
    /// The argument of `mainFunction`, as JSON text; at most [`MAX_PARAMS_BYTES`].
    pub params: String,
    /// Seeds `Math.random`.
    pub seed: [u8; 32],
    /// The constant time that `Date` shows, in milliseconds since 1970; at most 8.64e15, the end of JavaScript's time.
    pub now_ms: u64,
    /// What it may use.
    pub limits: Limits,
}

/// Why a job is not run at all. Every one is the caller's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The source is too long.
    #[error("the source has {bytes} bytes; at most {MAX_SOURCE_BYTES} are allowed")]
    SourceTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The parameters are too long.
    #[error("the parameters have {bytes} bytes; at most {MAX_PARAMS_BYTES} are allowed")]
    ParamsTooLong {
        /// Their length.
        bytes: usize,
    },
    /// The parameters are not JSON.
    #[error("the parameters are not JSON: {reason}")]
    ParamsNotJson {
        /// The parser's reason.
        reason: String,
    },
    /// A limit is outside its bounds.
    #[error("the limit {name} is {value}; it must be {least} to {most}")]
    LimitOutOfBounds {
        /// The limit's field name.
        name: &'static str,
        /// What was asked for.
        value: u32,
        /// The least value.
        least: u32,
        /// The greatest value.
        most: u32,
    },
    /// The shown time is beyond what `Date` can hold.
    #[error("the time {now_ms} is beyond the last one that a script's Date can hold")]
    TimeOutOfBounds {
        /// What was asked for.
        now_ms: u64,
    },
}

/// The last millisecond of JavaScript's time (ECMA-262, 21.4.1.1).
const MAX_TIME_MS: u64 = 8_640_000_000_000_000;

impl Job {
    /// Whether this job is within all hard bounds.
    pub fn check(&self) -> Result<(), JobError> {
        if self.source.len() > MAX_SOURCE_BYTES {
            return Err(JobError::SourceTooLong { bytes: self.source.len() });
        }
        if self.params.len() > MAX_PARAMS_BYTES {
            return Err(JobError::ParamsTooLong { bytes: self.params.len() });
        }
        if self.now_ms > MAX_TIME_MS {
            return Err(JobError::TimeOutOfBounds { now_ms: self.now_ms });
        }
        let bounds = [
            ("wall_ms", self.limits.wall_ms, 1, Limits::MAX_WALL_MS),
            ("memory_mib", self.limits.memory_mib, Limits::MIN_MEMORY_MIB, Limits::MAX_MEMORY_MIB),
            ("output_bytes", self.limits.output_bytes, 0, Limits::MAX_OUTPUT_BYTES),
            ("log_bytes", self.limits.log_bytes, 0, Limits::MAX_LOG_BYTES),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(JobError::LimitOutOfBounds { name, value, least, most });
            }
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&self.params)
            .map_err(|error| JobError::ParamsNotJson { reason: error.to_string() })?;
        Ok(())
    }
}

/// A job that was run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The value or the fault: the same on every node with the same engine (time and memory faults excepted).
    pub outcome: Outcome,
    /// What the script wrote to its console, oldest first.
    pub logs: Vec<String>,
    /// Processor time of the job, in microseconds, without the preparation of its child.
    pub cpu_us: u64,
    /// Time between the job's hand-over to its child and the result, in microseconds.
    pub wall_us: u64,
}

/// What a script came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The value of `mainFunction` as JSON text, as `JSON.stringify` writes it.
    Value(String),
    /// The script has no value.
    Fault(Fault),
}

/// Why a script has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind, for programs.
    pub kind: FaultKind,
    /// The reason, for people; at most [`MAX_MESSAGE_BYTES`].
    pub message: String,
}

impl Fault {
    /// A fault whose message is cut to [`MAX_MESSAGE_BYTES`].
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_BYTES {
            let end = (0..=MAX_MESSAGE_BYTES)
                .rev()
                .find(|end| message.is_char_boundary(*end))
                .unwrap_or(0);
            message.truncate(end);
        }
        Self { kind, message }
    }

    pub(crate) fn time_limit(wall_ms: u32) -> Self {
        Self::new(FaultKind::TimeLimit, format!("the script ran longer than {wall_ms} ms"))
    }

    pub(crate) fn memory_limit(memory_mib: u32) -> Self {
        Self::new(
            FaultKind::MemoryLimit,
            format!("the script used more than {memory_mib} MiB of memory"),
        )
    }

    pub(crate) fn output_limit(output_bytes: u32) -> Self {
        Self::new(
            FaultKind::OutputLimit,
            format!("the value is longer than {output_bytes} bytes of JSON"),
        )
    }
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The source is not a script.
    Syntax,
    /// The script defines no function `mainFunction`.
    NoMainFunction,
    /// The script threw, or its promise was rejected. A too deep recursion is one of these: a RangeError, as in JavaScript.
    Threw,
    /// The promise of `mainFunction` can never settle: nothing is left to run.
    NeverSettles,
    /// The deadline passed.
    TimeLimit,
    /// The memory limit was reached.
    MemoryLimit,
    /// The value has no exact JSON form.
    NotJson,
    /// The value's JSON text is too long.
    OutputLimit,
    /// The child died in a way that is none of the above.
    Crashed,
}

impl FaultKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Syntax,
        Self::NoMainFunction,
        Self::Threw,
        Self::NeverSettles,
        Self::TimeLimit,
        Self::MemoryLimit,
        Self::NotJson,
        Self::OutputLimit,
        Self::Crashed,
    ];

    /// The stable word for statements, metrics and clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::NoMainFunction => "no_main_function",
            Self::Threw => "threw",
            Self::NeverSettles => "never_settles",
            Self::TimeLimit => "time_limit",
            Self::MemoryLimit => "memory_limit",
            Self::NotJson => "not_json",
            Self::OutputLimit => "output_limit",
            Self::Crashed => "crashed",
        }
    }

    /// The kind of a word that [`Self::as_str`] gives.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_word() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::parse(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        let fault = Fault::new(FaultKind::Threw, "é".repeat(1000));
        assert_eq!(fault.message.len(), MAX_MESSAGE_BYTES);
        assert!(
            Fault::new(FaultKind::Threw, format!("a{}", "é".repeat(1000))).message.len()
                < MAX_MESSAGE_BYTES
        );
    }

    #[test]
    fn hard_bounds_are_typed_errors() {
        let job = Job {
            source: String::new(),
            params: "null".into(),
            seed: [0; 32],
            now_ms: 0,
            limits: Limits::default(),
        };
        assert_eq!(job.check(), Ok(()));
        let long = Job { source: " ".repeat(MAX_SOURCE_BYTES + 1), ..job.clone() };
        assert!(matches!(long.check(), Err(JobError::SourceTooLong { .. })));
        let long = Job { params: " ".repeat(MAX_PARAMS_BYTES + 1), ..job.clone() };
        assert!(matches!(long.check(), Err(JobError::ParamsTooLong { .. })));
        let broken = Job { params: "{".into(), ..job.clone() };
        assert!(matches!(broken.check(), Err(JobError::ParamsNotJson { .. })));
        let endless = Job { limits: Limits { wall_ms: 0, ..Limits::default() }, ..job.clone() };
        assert!(matches!(endless.check(), Err(JobError::LimitOutOfBounds { name: "wall_ms", .. })));
        let late = Job { now_ms: u64::MAX, ..job };
        assert!(matches!(late.check(), Err(JobError::TimeOutOfBounds { .. })));
    }
}
