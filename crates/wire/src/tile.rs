//! C2SP `tlog-tiles` coordinates: which 256 hashes, or which 256 entries, a path names.
//!
//! Only the one canonical path of a tile is accepted.

/// Hashes, or entries, in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The highest level a tree of `merkle::MAX_TREE_SIZE` leaves can reach.
const MAX_LEVEL: u8 = 6;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes at tree level `8 * level`.
    Hashes {
        /// 0 for leaf hashes.
        level: u8,
    },
    /// The log's entries themselves.
    Entries,
}

/// A tile: which hashes, from `index * 256` on, `width` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Hashes of a level, or entries.
    pub kind: TileKind,
    /// The tile's number within its level.
    pub index: u64,
    /// 1 to 256.
    pub width: u64,
}

/// Why a path names no tile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a tile path: expected <level 0..=6 or \"entries\">/<number>[.p/<width 1..=255>] (C2SP tlog-tiles), got {0:?}"
)]
pub struct TilePathError(String);

impl Tile {
    /// The path below `/tile/`.
    pub fn path(&self) -> String {
        let kind = match self.kind {
            TileKind::Hashes { level } => level.to_string(),
            TileKind::Entries => "entries".to_owned(),
        };
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let partial =
            if self.width == TILE_WIDTH { String::new() } else { format!(".p/{}", self.width) };
        format!("{kind}/{number}{partial}")
    }

    /// The tile that a path below `/tile/` names.
    pub fn from_path(path: &str) -> Result<Self, TilePathError> {
        let error = || TilePathError(path.chars().take(80).collect());
        let (number_path, width) = match path.split_once(".p/") {
            Some((number_path, width)) => (number_path, width.parse().map_err(|_| error())?),
            None => (path, TILE_WIDTH),
        };
        let (kind, digits) = number_path.split_once('/').ok_or_else(error)?;
        let kind = if kind == "entries" {
            TileKind::Entries
        } else {
            TileKind::Hashes { level: kind.parse().map_err(|_| error())? }
        };
        if matches!(kind, TileKind::Hashes { level } if level > MAX_LEVEL) {
            return Err(error());
        }
        let mut index = 0_u64;
        for part in digits.split('/') {
            let value: u64 = part.trim_start_matches('x').parse().map_err(|_| error())?;
            index = index
                .checked_mul(1000)
                .and_then(|index| index.checked_add(value))
                .ok_or_else(error)?;
        }
        let tile = Self { kind, index, width };
        let in_range = (1..=TILE_WIDTH).contains(&width) && index < crate::merkle::MAX_TREE_SIZE;
        if in_range && tile.path() == path { Ok(tile) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_canonical_both_ways() {
        let tile = Tile { kind: TileKind::Hashes { level: 1 }, index: 1_234_067, width: 8 };
        assert_eq!(tile.path(), "1/x001/x234/067.p/8");
        for path in ["0/000", "entries/001.p/255", "1/x001/x234/067.p/8", "6/000.p/1"] {
            assert_eq!(Tile::from_path(path).expect(path).path(), path);
        }
        for path in [
            "",
            "0",
            "0/0",
            "0/000.p/0",
            "0/000.p/256",
            "64/000",
            "7/000",
            "entries/x000/001",
            "0/000/",
            "data/000",
            "0/-01",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert!(Tile::from_path(path).is_err(), "{path}");
        }
    }
}
