//! RFC 6962 trees: heads, inclusion and consistency, over the hash math of `tlog_tiles`.
//!
//! Sizes and proof lengths are bounded before any recursion sees them, so no input from outside
//! reaches an assertion of that crate.

use minicbor::{Decode, Encode};
use tlog_tiles::tlog;

use crate::id::{IdError, RootHash, bytes_newtype, decode_fixed, parse_hex};
use minicbor::{Decoder, Encoder};
use std::{fmt, str::FromStr};

/// The largest tree: far more statements than a node can ever sign, and far from any overflow.
pub const MAX_TREE_SIZE: u64 = 1 << 48;

/// The longest proof of a tree of that size.
const MAX_PROOF_HASHES: usize = 64;

bytes_newtype! {
    /// One hash of a Merkle proof.
    ProofHash, 32, "a proof hash"
}

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    tlog::record_hash(leaf).0
}

/// A tree at one size.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
pub struct TreeHead {
    /// The number of leaves.
    #[n(0)]
    pub size: u64,
    /// The root over them.
    #[n(1)]
    pub root: RootHash,
}

impl TreeHead {
    /// The head of the tree without leaves.
    pub const EMPTY: Self = Self { size: 0, root: RootHash(tlog::EMPTY_HASH.0) };
}

/// That a leaf stands at an index of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct InclusionProof {
    /// Where the leaf stands.
    #[n(0)]
    pub index: u64,
    /// The hashes beside its path, from the leaf up.
    #[n(1)]
    pub hashes: Vec<ProofHash>,
}

/// That one tree is the beginning of another.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct ConsistencyProof {
    /// The hashes, in RFC 6962's order; none when the older tree is empty or both are equal.
    #[n(0)]
    pub hashes: Vec<ProofHash>,
}

/// Why a Merkle proof is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// A size is over the limit, or the sizes do not fit each other.
    #[error(
        "tree sizes out of range: at most {MAX_TREE_SIZE}, an index below its size, an older size not above a newer"
    )]
    Size,
    /// The hashes do not lead to the root.
    #[error("the Merkle proof does not lead to the tree's root")]
    Invalid,
}

fn to_tlog(hashes: &[ProofHash]) -> Result<Vec<tlog::Hash>, MerkleError> {
    if hashes.len() > MAX_PROOF_HASHES {
        return Err(MerkleError::Invalid);
    }
    Ok(hashes.iter().map(|hash| tlog::Hash(hash.0)).collect())
}

fn from_tlog(hashes: Vec<tlog::Hash>) -> Vec<ProofHash> {
    hashes.into_iter().map(|hash| ProofHash(hash.0)).collect()
}

/// Checks that the leaf with hash `leaf` stands in `head`'s tree where the proof says.
pub fn verify_inclusion(
    head: &TreeHead,
    proof: &InclusionProof,
    leaf: &[u8; 32],
) -> Result<(), MerkleError> {
    if head.size > MAX_TREE_SIZE || proof.index >= head.size {
        return Err(MerkleError::Size);
    }
    let hashes = to_tlog(&proof.hashes)?;
    tlog::check_record(&hashes, head.size, tlog::Hash(head.root.0), proof.index, tlog::Hash(*leaf))
        .map_err(|_| MerkleError::Invalid)
}

/// Checks that `older` is the beginning of `newer`.
pub fn verify_consistency(
    older: &TreeHead,
    newer: &TreeHead,
    proof: &ConsistencyProof,
) -> Result<(), MerkleError> {
    if newer.size > MAX_TREE_SIZE || older.size > newer.size {
        return Err(MerkleError::Size);
    }
    if older.size == 0 || older.size == newer.size {
        let same =
            older.size == 0 && older.root == TreeHead::EMPTY.root || older.root == newer.root;
        return if same && proof.hashes.is_empty() { Ok(()) } else { Err(MerkleError::Invalid) };
    }
    let hashes = to_tlog(&proof.hashes)?;
    tlog::check_tree(
        &hashes,
        newer.size,
        tlog::Hash(newer.root.0),
        older.size,
        tlog::Hash(older.root.0),
    )
    .map_err(|_| MerkleError::Invalid)
}

/// Where the hash of the complete subtree `n` at `level` is stored (`tlog_tiles` numbering).
pub fn stored_index(level: u8, n: u64) -> u64 {
    tlog::stored_hash_index(level, n)
}

/// Reads stored hashes by index; what a log's store offers.
pub trait StoredHashes {
    /// Why reading failed.
    type Error;
    /// The hashes at these indexes, in their order.
    fn read(&self, indexes: &[u64]) -> Result<Vec<[u8; 32]>, Self::Error>;
}

/// Carries the store's own error around `tlog_tiles`' closed error type.
struct Reader<'a, S: StoredHashes> {
    hashes: &'a S,
    error: std::cell::RefCell<Option<S::Error>>,
}

impl<S: StoredHashes> tlog::HashReader for Reader<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        match self.hashes.read(indexes) {
            Ok(hashes) => Ok(hashes.into_iter().map(tlog::Hash).collect()),
            Err(error) => {
                *self.error.borrow_mut() = Some(error);
                Err(tlog::Error::IndexesNotInTree)
            }
        }
    }
}

fn with_reader<S: StoredHashes, T>(
    hashes: &S,
    read: impl FnOnce(&Reader<'_, S>) -> Result<T, tlog::Error>,
) -> Result<T, S::Error> {
    let reader = Reader { hashes, error: std::cell::RefCell::new(None) };
    let result = read(&reader);
    match (result, reader.error.into_inner()) {
        (Ok(value), None) => Ok(value),
        (_, Some(error)) => Err(error),
        (Err(error), None) => panic!("sizes are checked by the caller: {error}"),
    }
}

/// The hashes to store when leaf number `index` is appended, to be written from
/// `stored_index(0, index)` on.
pub fn hashes_to_store<S: StoredHashes>(
    index: u64,
    leaf: &[u8; 32],
    hashes: &S,
) -> Result<Vec<[u8; 32]>, S::Error> {
    assert!(index < MAX_TREE_SIZE, "a log ends at {MAX_TREE_SIZE} statements");
    with_reader(hashes, |reader| {
        tlog::stored_hashes_for_record_hash(index, tlog::Hash(*leaf), reader)
    })
    .map(|hashes| hashes.into_iter().map(|hash| hash.0).collect())
}

/// The head of the stored tree at `size`, which must not be more than is stored.
pub fn head_of<S: StoredHashes>(size: u64, hashes: &S) -> Result<TreeHead, S::Error> {
    let root = with_reader(hashes, |reader| tlog::tree_hash(size, reader))?;
    Ok(TreeHead { size, root: RootHash(root.0) })
}

/// The proof that leaf `index` stands in the stored tree of `size > index`.
pub fn prove_inclusion<S: StoredHashes>(
    size: u64,
    index: u64,
    hashes: &S,
) -> Result<InclusionProof, S::Error> {
    assert!(index < size, "the index is checked by the caller");
    let proof = with_reader(hashes, |reader| tlog::prove_record(size, index, reader))?;
    Ok(InclusionProof { index, hashes: from_tlog(proof) })
}

/// The proof that the stored tree of `older` leaves begins that of `newer >= older`.
pub fn prove_consistency<S: StoredHashes>(
    older: u64,
    newer: u64,
    hashes: &S,
) -> Result<ConsistencyProof, S::Error> {
    assert!(older <= newer, "the sizes are checked by the caller");
    if older == 0 || older == newer {
        return Ok(ConsistencyProof::default());
    }
    let proof = with_reader(hashes, |reader| tlog::prove_tree(newer, older, reader))?;
    Ok(ConsistencyProof { hashes: from_tlog(proof) })
}

/// A small tree wholly in memory: the roster of a round, the heads that a beacon saw.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    stored: Vec<[u8; 32]>,
    size: u64,
}

impl StoredHashes for MemoryTree {
    type Error = std::convert::Infallible;
    fn read(&self, indexes: &[u64]) -> Result<Vec<[u8; 32]>, Self::Error> {
        let hash = |index: &u64| self.stored[usize::try_from(*index).expect("in memory")];
        Ok(indexes.iter().map(hash).collect())
    }
}

impl MemoryTree {
    /// The tree over leaves with these hashes.
    pub fn from_leaf_hashes(leaves: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let Ok(hashes) = hashes_to_store(self.size, &leaf, self);
        self.stored.extend(hashes);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The head.
    pub fn head(&self) -> TreeHead {
        let Ok(head) = head_of(self.size, self);
        head
    }

    /// The proof of the leaf at `index`; `None` past the end.
    pub fn inclusion(&self, index: u64) -> Option<InclusionProof> {
        (index < self.size).then(|| {
            let Ok(proof) = prove_inclusion(self.size, index, self);
            proof
        })
    }

    /// The proof that the tree at `older` leaves begins this one; `None` past the end.
    pub fn consistency(&self, older: u64) -> Option<ConsistencyProof> {
        (older <= self.size).then(|| {
            let Ok(proof) = prove_consistency(older, self.size, self);
            proof
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<[u8; 32]> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_is_proved_and_no_other() {
        for size in 1..40 {
            let leaves = leaves(size);
            let tree = MemoryTree::from_leaf_hashes(leaves.iter().copied());
            let head = tree.head();
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.inclusion(index as u64).expect("within the tree");
                assert_eq!(verify_inclusion(&head, &proof, leaf), Ok(()));
                assert!(verify_inclusion(&head, &proof, &[0; 32]).is_err());
                let moved = InclusionProof { index: proof.index ^ 1, ..proof.clone() };
                assert!(size == 1 || verify_inclusion(&head, &moved, leaf).is_err());
            }
        }
    }

    #[test]
    fn growth_is_proved_and_a_rewritten_past_is_not() {
        let mut tree = MemoryTree::default();
        let mut heads = vec![tree.head()];
        for leaf in leaves(30) {
            tree.push(leaf);
            heads.push(tree.head());
            for older in &heads {
                let proof = tree.consistency(older.size).expect("older");
                assert_eq!(verify_consistency(older, &tree.head(), &proof), Ok(()));
                let forged = TreeHead { root: RootHash([9; 32]), ..*older };
                assert!(verify_consistency(&forged, &tree.head(), &proof).is_err());
            }
        }
    }

    #[test]
    fn hostile_sizes_are_refused_without_panic() {
        let head = TreeHead { size: u64::MAX, root: RootHash([0; 32]) };
        let proof = InclusionProof { index: u64::MAX - 1, hashes: vec![ProofHash([0; 32]); 1000] };
        assert_eq!(verify_inclusion(&head, &proof, &[0; 32]), Err(MerkleError::Size));
        let older = TreeHead { size: 5, ..TreeHead::EMPTY };
        let result = verify_consistency(&older, &head, &ConsistencyProof { hashes: proof.hashes });
        assert_eq!(result, Err(MerkleError::Size));
    }
}
