//! Exit codes, and how errors are told.
//!
//! Invariant: every way in which a command ends has one code, and this file is the only one that
//! knows numbers.

use std::{error::Error, fmt, process::ExitCode};

use api::Problem;
use client::ClientError;
use verify::{CertificateError, EvidenceError};

use crate::output;

/// Defines the codes, their numbers and what they mean in one place.
macro_rules! exits {
    ($($name:ident = $number:literal, $meaning:literal;)+) => {
        /// How a command ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $number,)+
        }

        impl Exit {
            /// Every code with its number and meaning.
            pub const TABLE: &'static [(Self, u8, &'static str)] =
                &[$((Self::$name, $number, $meaning),)+];
        }
    };
}

exits! {
    Done = 0, "it was done";
    Failed = 1, "it failed, for a reason that no other code names";
    Usage = 2, "the command line is not understood";
    NoQuorum = 3, "too few workers were drawn or answered";
    Disagreement = 4, "enough workers answered, and no quorum of them said the same";
    Expired = 5, "the deadline passed";
    BadInput = 6, "what was given is not acceptable: a file, a parameter, a field that a node refuses";
    Fault = 7, "the workers agree that the script gives no value: it threw, took too long, does not parse";
    Refused = 8, "a certificate, evidence or an answer does not verify";
    Unreachable = 9, "a node does not answer, or cannot do this now: try again later";
}

impl Exit {
    /// The code of an error: the first of its causes that has one.
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Failed)
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(Coded { exit, .. }) = cause.downcast_ref() {
            return Some(*exit);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return Some(Self::of_client(error));
        }
        if cause.is::<CertificateError>() || cause.is::<EvidenceError>() {
            return Some(Self::Refused);
        }
        cause.is::<node::ConfigError>().then_some(Self::BadInput)
    }

    fn of_client(error: &ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => Self::of_problem(problem),
            ClientError::Verification { .. } => Self::Refused,
            ClientError::Address { .. } => Self::BadInput,
            error if error.is_retryable() => Self::Unreachable,
            _ => Self::Failed,
        }
    }

    fn of_problem(problem: &Problem) -> Self {
        use api::Code::{Conflict, Forbidden, Internal, Stale, Unauthorized};
        match problem.code {
            Internal | Unauthorized | Forbidden | Stale | Conflict => Self::Failed,
            code if code.is_retryable() => Self::Unreachable,
            _ => Self::BadInput,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table for `--help`.
pub fn help() -> String {
    let line = |(_, number, meaning): &(Exit, u8, &str)| format!("  {number}  {meaning}\n");
    let lines: String = Exit::TABLE.iter().map(line).collect();
    format!("Exit codes:\n{lines}")
}

/// An error with the exit code that it stands for. Reads like the error itself.
#[derive(Debug)]
struct Coded {
    exit: Exit,
    inner: anyhow::Error,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Error for Coded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source()
    }
}

/// An error that ends the command with this code.
pub fn failure(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Coded { exit, inner: anyhow::Error::msg(message.into()) }.into()
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The same result, whose error ends the command with this code.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| Coded { exit, inner: error.into() }.into())
    }
}

/// Tells an error with all its causes, and field and limit where a node named them.
pub fn report(error: &anyhow::Error) {
    output::talk(&described(error));
}

/// An error with all its causes in one line; a node's field and limit in lines of their own.
pub fn described(error: &anyhow::Error) -> String {
    let mut text = String::from("error: ");
    let mut last = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        // Some errors show their cause in their own text as well.
        if !last.is_empty() && last.ends_with(&said) {
            continue;
        }
        if !last.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&said);
        last = said;
    }
    if let Some(problem) = error.chain().find_map(problem_of) {
        let parts =
            [("field", &problem.field), ("limit", &problem.limit), ("ask", &problem.holder)];
        for (name, part) in parts {
            if let Some(part) = part {
                text.push_str(&format!("\n  {name}: {part}"));
            }
        }
    }
    text
}

fn problem_of<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a Problem> {
    let inside = cause.downcast_ref::<Coded>().and_then(|coded| coded.inner.downcast_ref());
    match cause.downcast_ref::<ClientError>().or(inside) {
        Some(ClientError::Problem(problem)) => Some(problem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn of(error: impl Into<anyhow::Error>) -> Exit {
        Exit::of(&error.into().context("while something was done"))
    }

    #[test]
    fn every_number_stands_once_and_in_the_manual() {
        let manual = include_str!("../../../docs/cli.md");
        for (index, (exit, number, meaning)) in Exit::TABLE.iter().enumerate() {
            assert_eq!((index, *exit as u8), (usize::from(*number), *number));
            assert!(manual.contains(&format!("| {number} | {meaning} |")), "{number}");
        }
    }

    #[test]
    fn an_error_has_the_code_of_its_cause() {
        assert_eq!(of(anyhow::anyhow!("x")), Exit::Failed);
        assert_eq!(of(failure(Exit::Expired, "late")), Exit::Expired);
        let io: Result<(), _> = Err(std::io::Error::other("x"));
        assert_eq!(
            of(io.context("a file").or_exit(Exit::BadInput).expect_err("x")),
            Exit::BadInput
        );
        let problem = |code| ClientError::Problem(Problem::new(code, "x"));
        assert_eq!(of(problem(api::Code::InvalidField)), Exit::BadInput);
        assert_eq!(of(problem(api::Code::NotReady)), Exit::Unreachable);
        assert_eq!(of(problem(api::Code::Stale)), Exit::Failed);
        assert_eq!(of(ClientError::Ended { url: String::new() }), Exit::Unreachable);
        assert_eq!(of(CertificateError::Mismatch("x")), Exit::Refused);
    }

    #[test]
    fn a_report_holds_every_cause_field_and_limit() {
        let problem = Problem::invalid_field("quorum", "quorum: got 9").with_limit("2 to 3");
        let error = anyhow::Error::from(ClientError::Problem(problem)).context("submitting");
        let text = described(&error);
        for part in
            ["error: submitting: ", "quorum: got 9", "\n  field: quorum", "\n  limit: 2 to 3"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(described(&failure(Exit::Fault, "it threw")), "error: it threw");
    }
}
