//! The beacon's rounds, as the beacon made them or a follower fetched them.
//!
//! Invariant: a round has one statement for ever. Pruned rounds are remembered by their limit, so
//! that a round that is gone cannot be made a second time.

use rusqlite::{Row, params};
use wire::{RootHash, Round};

use crate::{
    Reader, StoreError, Transaction,
    reader::{integer, page_rows},
};

/// The meta value under which the first round that was not pruned stands.
const FIRST_KEPT: &str = "rounds/first-kept";

/// A round with what its statement commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRound {
    /// The round.
    pub round: Round,
    /// The beacon's statement.
    pub statement: Vec<u8>,
    /// What the beacon had seen of relays' logs, as its keeper encodes it.
    pub heads: Vec<u8>,
}

fn stored_round(row: &Row<'_>) -> rusqlite::Result<StoredRound> {
    Ok(StoredRound {
        round: Round(row.get("round")?),
        statement: row.get("statement")?,
        heads: row.get("heads")?,
    })
}

const SELECT: &str = "SELECT round, statement, heads FROM round";

impl Transaction<'_> {
    /// Stores a round once and for all. The same again changes nothing; anything else for a round
    /// that is stored, or was, is refused.
    pub fn put_round(
        &mut self,
        round: Round,
        statement: &[u8],
        heads: &[u8],
    ) -> Result<(), StoreError> {
        let number = integer("a round", round.0)?;
        if let Some(stored) = self.round(round)? {
            let same = (&*stored.statement, &*stored.heads) == (statement, heads);
            let conflict =
                StoreError::Conflict { what: "statement", key: format!("round {round}") };
            return if same { Ok(()) } else { Err(conflict) };
        }
        let first_kept = self.first_kept_round()?;
        if round < first_kept {
            let stored = first_kept.previous().0;
            return Err(StoreError::Stale { what: "the round", stored, got: round.0 });
        }
        self.execute(
            "INSERT INTO round (round, statement, heads) VALUES (?1, ?2, ?3)",
            params![number, statement, heads],
        )?;
        Ok(())
    }

    /// Stores the workers that rounds name by the root over them.
    pub fn put_roster(&mut self, root: &RootHash, bytes: &[u8]) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO roster (root, bytes) VALUES (?1, ?2) ON CONFLICT (root) DO NOTHING",
            params![root.0, bytes],
        )?;
        Ok(())
    }

    /// Keeps a round from being pruned: something that is stored is proved by it.
    pub fn keep_round(&mut self, round: Round) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO kept_round (round) VALUES (?1) ON CONFLICT (round) DO NOTHING",
            [integer("a round", round.0)?],
        )?;
        Ok(())
    }

    /// Forgets all but the newest `keep` rounds and those that were [kept](Self::keep_round), and
    /// never the newest; how many are gone.
    pub fn prune_rounds(&mut self, keep: u64) -> Result<u64, StoreError> {
        let skipped = integer("a number of rounds", keep.max(1) - 1)?;
        let oldest_kept = self.one(
            "SELECT round FROM round ORDER BY round DESC LIMIT 1 OFFSET ?1",
            [skipped],
            |row| Ok(Round(row.get(0)?)),
        )?;
        let Some(first) = oldest_kept else {
            return Ok(0);
        };
        let gone = self.execute(
            "DELETE FROM round WHERE round < ?1 AND round NOT IN (SELECT round FROM kept_round)",
            [first.0],
        )?;
        if gone > 0 {
            self.put_meta(FIRST_KEPT, &first.0.to_be_bytes())?;
        }
        Ok(gone as u64)
    }
}

impl Reader {
    /// The workers that rounds name by the root over them.
    pub fn roster(&self, root: &RootHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM roster WHERE root = ?1", [root.0], |row| row.get(0))
    }

    /// A round.
    pub fn round(&self, round: Round) -> Result<Option<StoredRound>, StoreError> {
        let number = integer("a round", round.0)?;
        self.one(&format!("{SELECT} WHERE round = ?1"), [number], stored_round)
    }

    /// The newest round.
    pub fn latest_round(&self) -> Result<Option<StoredRound>, StoreError> {
        self.one(&format!("{SELECT} ORDER BY round DESC LIMIT 1"), [], stored_round)
    }

    /// The rounds from `first` on, oldest first, at most `limit`.
    pub fn rounds_from(&self, first: Round, limit: usize) -> Result<Vec<StoredRound>, StoreError> {
        let number = integer("a round", first.0)?;
        let sql = format!("{SELECT} WHERE round >= ?1 ORDER BY round LIMIT ?2");
        self.all(&sql, [number, page_rows(limit)], stored_round)
    }

    /// The first round that was not pruned; round 0 before the first pruning.
    fn first_kept_round(&self) -> Result<Round, StoreError> {
        let Some(bytes) = self.meta(FIRST_KEPT)? else {
            return Ok(Round(0));
        };
        let bytes = bytes.try_into();
        let bytes = bytes.map_err(|_| StoreError::Damaged(format!("{FIRST_KEPT} is no number")))?;
        Ok(Round(u64::from_be_bytes(bytes)))
    }
}
