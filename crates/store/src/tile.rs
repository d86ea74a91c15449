//! The log as C2SP `tlog-tiles`: 256 hashes, or 256 entries, at a time.
//!
//! Invariant: a tile of one name and width has the same bytes for ever, so it can be cached.

use wire::{
    merkle::{self, StoredHashes as _},
    tile::{TILE_WIDTH, Tile, TileKind},
};

use crate::{Reader, StoreError};

/// The levels of the tree that one level of tiles spans: 256 is 2^8.
const LEVELS_PER_TILE: u32 = 8;

impl Reader {
    /// The bytes of a tile of the tree of `size`: its hashes one after the other, or its entries,
    /// each behind its length in 16 bits. `None` if the tree, or the log, does not reach that far.
    pub fn tile(&self, tile: Tile, size: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let level = match tile.kind {
            TileKind::Hashes { level } => u32::from(level),
            TileKind::Entries => 0,
        };
        // What the tree has at this level; a level past the top has nothing.
        let there = size.checked_shr(LEVELS_PER_TILE * level).unwrap_or(0);
        let Some(start) = tile.index.checked_mul(TILE_WIDTH) else {
            return Ok(None);
        };
        let reached = there.checked_sub(start).is_some_and(|rest| tile.width <= rest);
        let known = (1..=TILE_WIDTH).contains(&tile.width) && size <= self.log_size()?;
        if !(reached && known) {
            return Ok(None);
        }
        let numbers = start..start + tile.width;
        let bytes = match tile.kind {
            TileKind::Hashes { level } => {
                let tree_level = level * LEVELS_PER_TILE as u8;
                let indexes: Vec<u64> =
                    numbers.map(|number| merkle::stored_index(tree_level, number)).collect();
                self.read(&indexes)?.concat()
            }
            TileKind::Entries => self.entry_bundle(numbers)?,
        };
        Ok(Some(bytes))
    }

    fn entry_bundle(&self, indexes: std::ops::Range<u64>) -> Result<Vec<u8>, StoreError> {
        let entries = self.all(
            "SELECT bytes FROM log_entry WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
            [indexes.start, indexes.end],
            |row| row.get::<_, Vec<u8>>(0),
        )?;
        if entries.len() as u64 != indexes.end - indexes.start {
            let which = format!("entries {} to {} have a gap", indexes.start, indexes.end);
            return Err(StoreError::Damaged(which));
        }
        let mut bundle = Vec::new();
        for entry in entries {
            let length = u16::try_from(entry.len());
            let length = length.map_err(|_| StoreError::EntryTooLong { got: entry.len() })?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&entry);
        }
        Ok(bundle)
    }
}
