//! Checking a database against itself: every hash again from the bytes, every reference, every
//! statement's form, and that the signed checkpoint is of the tree that the entries make.
//!
//! It only reads, on one state of the database, so it can run beside the node that writes. It does
//! not check the signature of each log entry: an entry that changed is found by its hash, and a log
//! that changed by the signature of its checkpoint.

use std::{fmt::Display, path::Path};

use wire::{
    merkle::TreeHead,
    network::{Admission, Settings},
    round::RoundOpening,
};

use crate::{Reader, StoreError, connection, owner::Owner};

mod log;
mod records;
mod requests;

/// The most findings that are told one by one: a database with more is lost, and a list without end
/// helps nobody.
const MAX_FINDINGS: usize = 100;

/// What `fsck` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsckReport {
    /// The number of entries in the log.
    pub entries: u64,
    /// The head that the entries give.
    pub head: TreeHead,
    /// What is wrong, one sentence each; none if the database is whole.
    pub findings: Vec<String>,
}

impl FsckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks the database at `path`, whoever's it is. What is wrong is in the report; an error means
/// that there is no database of this program to check.
pub fn fsck(path: impl AsRef<Path>) -> Result<FsckReport, StoreError> {
    let (connection, owner) = connection::open_foreign(path.as_ref())?;
    let reader = Reader::new(connection, owner);
    reader.connection().execute_batch("BEGIN")?;
    let mut check = Check { reader: &reader, findings: Vec::new(), more: 0 };
    check.part("the pages", Check::engine);
    let checkpoint = check.part("the checkpoint", Check::own_checkpoint).flatten();
    let head = check.part("the log", |check| check.log(checkpoint)).unwrap_or(TreeHead::EMPTY);
    check.part("the witnessed heads", Check::witnessed);
    check.part("the requests", Check::requests);
    check.part("the statements about requests", Check::statements_of_requests);
    check.part("the work", Check::work);
    check.part("the rounds", |check| {
        check.records("round", "statement", |r: &RoundOpening| r.round.0)
    });
    check.part("the settings", |check| check.records("version", "bytes", |s: &Settings| s.version));
    check.part("the admissions", |check| {
        check.records("generation", "bytes", |a: &Admission| a.generation)
    });
    check.part("the scripts", Check::scripts);
    Ok(FsckReport { entries: head.size, head, findings: check.into_findings() })
}

/// A check under way.
struct Check<'a> {
    reader: &'a Reader,
    findings: Vec<String>,
    more: usize,
}

impl Check<'_> {
    fn found(&mut self, finding: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding.into());
        } else {
            self.more += 1;
        }
    }

    /// Notes that `what` is not as it must be, with the reason.
    fn expect<T>(&mut self, what: impl Display, result: Result<T, StoreError>) {
        if let Err(error) = result {
            self.found(format!("{what}: {}", chain(&error)));
        }
    }

    /// Runs one part of the check; a part that cannot be read to its end is a finding too.
    fn part<T>(
        &mut self,
        what: &str,
        check: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Option<T> {
        let result = check(self);
        result.map_err(|error| self.found(format!("{what}: {}", chain(&error)))).ok()
    }

    fn into_findings(mut self) -> Vec<String> {
        if self.more > 0 {
            self.findings.push(format!("and {} more", self.more));
        }
        self.findings
    }

    fn owner(&self) -> Owner {
        *self.reader.owner()
    }

    /// What SQLite itself can tell: pages, indexes, types, references.
    fn engine(&mut self) -> Result<(), StoreError> {
        let answers =
            self.reader.all("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?;
        for answer in answers.into_iter().filter(|answer| answer != "ok") {
            self.found(format!("SQLite: {answer}"));
        }
        let dangling = self.reader.all("PRAGMA foreign_key_check", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?))
        })?;
        for (table, row, parent) in dangling {
            let row = row.unwrap_or_default();
            self.found(format!("row {row} of {table} names a row of {parent} that is missing"));
        }
        Ok(())
    }
}

/// An error with all its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
