//! The right edge of the log's tree, in memory: the roots of its complete subtrees, largest first.
//!
//! They are all that an append and the tree's head read, so the writer does not go to the tables for
//! them. Invariant: the subtrees are those of the ones of `size` in binary, so their number is the
//! number of ones.

use std::convert::Infallible;

use wire::merkle::{self, StoredHashes, TreeHead};

/// A complete subtree: where its root is stored, and the root.
#[derive(Debug, Clone, Copy)]
struct Subtree {
    stored_index: u64,
    root: [u8; 32],
}

/// The complete subtrees of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frontier {
    size: u64,
    subtrees: Vec<Subtree>,
}

/// The stored indexes of the complete subtrees of a tree, largest first.
fn subtree_indexes(size: u64) -> Vec<u64> {
    let levels = (0..u64::BITS as u8).rev().filter(|level| size >> level & 1 == 1);
    // Left of the subtree at a level lie the larger ones: all ones of `size` above that level.
    levels.map(|level| merkle::stored_index(level, (size >> level) - 1)).collect()
}

impl Frontier {
    /// The frontier of the stored tree of `size` leaves.
    pub(crate) fn load<S: StoredHashes>(size: u64, hashes: &S) -> Result<Self, S::Error> {
        let indexes = subtree_indexes(size);
        let roots = hashes.read(&indexes)?;
        let subtrees = indexes
            .into_iter()
            .zip(roots)
            .map(|(stored_index, root)| Subtree { stored_index, root })
            .collect();
        Ok(Self { size, subtrees })
    }

    /// The number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The tree's head.
    pub(crate) fn head(&self) -> TreeHead {
        let Ok(head) = merkle::head_of(self.size, self);
        head
    }

    /// Appends a leaf; the hashes are to be stored from `stored_index(0, old size)` on.
    pub(crate) fn push(&mut self, leaf: &[u8; 32]) -> Vec<[u8; 32]> {
        let Ok(hashes) = merkle::hashes_to_store(self.size, leaf, self);
        let level = hashes.len() - 1;
        // The new leaf completes one subtree per level, each with one that was here.
        self.subtrees.truncate(self.subtrees.len() - level);
        let level_bits = u8::try_from(level).expect("a tree has fewer than 64 levels");
        let stored_index = merkle::stored_index(level_bits, self.size >> level);
        self.subtrees.push(Subtree { stored_index, root: hashes[level] });
        self.size += 1;
        hashes
    }
}

impl StoredHashes for Frontier {
    type Error = Infallible;
    fn read(&self, indexes: &[u64]) -> Result<Vec<[u8; 32]>, Infallible> {
        let root = |index: &u64| {
            let found = self.subtrees.iter().find(|subtree| subtree.stored_index == *index);
            found.expect("appending reads complete subtrees only").root
        };
        Ok(indexes.iter().map(root).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::merkle::{MemoryTree, leaf_hash};

    #[test]
    fn it_gives_the_hashes_and_heads_of_the_whole_tree() {
        let (mut frontier, mut tree, mut stored) =
            (Frontier::default(), MemoryTree::default(), Vec::new());
        for number in 0_u64..300 {
            let leaf = leaf_hash(&number.to_be_bytes());
            assert_eq!(stored.len() as u64, merkle::stored_index(0, number));
            stored.extend(frontier.push(&leaf));
            tree.push(leaf);
            assert_eq!(frontier.head(), tree.head());
            assert_eq!(frontier.subtrees.len() as u32, frontier.size().count_ones());
            let Ok(loaded) = Frontier::load(number + 1, &tree);
            assert_eq!(loaded.head(), tree.head());
        }
        let indexes: Vec<u64> = (0..stored.len() as u64).collect();
        assert_eq!(tree.read(&indexes), Ok(stored));
    }
}
