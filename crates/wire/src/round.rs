//! The beacon's rounds: a chain of VRF outputs that anyone can check and nobody else can predict.
//!
//! `seed(r) = first 32 bytes of VRF(beacon, "quorate/v1/seed\n" || network || seed(r-1) || r)`.
//! A round's statement also fixes, *before the next seed is known*, which workers the next round
//! draws from (`workers`) and how far each relay's log has come (`heads`): so neither keys nor
//! requests can be chosen to fit a seed.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::{
    encoding,
    id::{Millis, NetworkId, NodeId, Round, Seed, StatementHash, VrfProof, VrfPublicKey},
    key::NodeKey,
    merkle::{InclusionProof, MemoryTree, TreeHead, leaf_hash},
    network::Admission,
    statement::{Body, Signed},
    vrf::{self, VrfError},
};

/// The statement that opens a round.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoundOpening {
    /// The round.
    #[n(0)]
    pub round: Round,
    /// When the beacon opened it, by its clock.
    #[n(1)]
    pub opened: Millis,
    /// The statement of the round before; for round 1 the network's id.
    #[n(2)]
    pub previous: StatementHash,
    /// The round's seed.
    #[n(3)]
    pub seed: Seed,
    /// The proof of the seed.
    #[n(4)]
    pub proof: VrfProof,
    /// The workers of which the *next* round's draws are made: a tree over their admissions'
    /// hashes, sorted by node id.
    #[n(5)]
    pub workers: TreeHead,
    /// What the beacon has seen of the relays' logs: a tree over [`SeenHead`]s, sorted by node id.
    #[n(6)]
    pub heads: TreeHead,
}

impl Body for RoundOpening {
    const KIND: &'static str = "round";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&self.round))
    }
}

/// How far a node's log had come when a round opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SeenHead {
    /// Whose log.
    #[n(0)]
    pub node: NodeId,
    /// Its head.
    #[n(1)]
    pub head: TreeHead,
}

impl SeenHead {
    /// The hash of this head as a leaf of the round's tree of heads.
    pub fn leaf_hash(&self) -> [u8; 32] {
        leaf_hash(&encoding::to_bytes(self))
    }
}

fn seed_input(network: &NetworkId, previous: &Seed, round: Round) -> Vec<u8> {
    let mut input = b"quorate/v1/seed\n".to_vec();
    input.extend_from_slice(&network.0);
    input.extend_from_slice(&previous.0);
    input.extend_from_slice(&round.0.to_be_bytes());
    input
}

/// The seed of `round`, with its proof.
pub fn prove_seed(
    network: &NetworkId,
    key: &NodeKey,
    previous: &Seed,
    round: Round,
) -> (Seed, VrfProof) {
    let (output, proof) = key.vrf().prove(&seed_input(network, previous, round));
    (Seed(output.0[..32].try_into().expect("half of 64 bytes")), proof)
}

/// Checks that `seed` follows `previous` in `round` of the beacon with this VRF key.
pub fn verify_seed(
    network: &NetworkId,
    beacon: &VrfPublicKey,
    previous: &Seed,
    round: Round,
    seed: &Seed,
    proof: &VrfProof,
) -> Result<(), VrfError> {
    let output = vrf::verify(beacon, &seed_input(network, previous, round), proof)?;
    if output.0[..32] == seed.0 { Ok(()) } else { Err(VrfError::Invalid) }
}

/// The workers of which a round's draws are made, sorted by node id.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    members: Vec<Signed<Admission>>,
    tree: MemoryTree,
}

impl Roster {
    /// The roster of these workers; of two admissions of one node the last one counts.
    pub fn new(admissions: impl IntoIterator<Item = Signed<Admission>>) -> Self {
        let by_node: BTreeMap<NodeId, Signed<Admission>> =
            admissions.into_iter().map(|known| (known.body.node, known)).collect();
        let members: Vec<_> = by_node.into_values().collect();
        let tree = MemoryTree::from_leaf_hashes(members.iter().map(|known| known.hash().0));
        Self { members, tree }
    }

    /// The workers, by id.
    pub fn members(&self) -> &[Signed<Admission>] {
        &self.members
    }

    /// What the round commits to.
    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// A worker's admission, with the proof that it stands in the roster.
    pub fn member(&self, node: &NodeId) -> Option<(&Signed<Admission>, InclusionProof)> {
        let index = self.members.binary_search_by_key(node, |known| known.body.node).ok()?;
        Some((&self.members[index], self.tree.inclusion(index as u64)?))
    }
}

/// How far each relay's log had come when a round opened, sorted by node id.
#[derive(Debug, Clone, Default)]
pub struct SeenHeads {
    heads: Vec<SeenHead>,
    tree: MemoryTree,
}

impl SeenHeads {
    /// The list of these heads; of two of one node the last one counts.
    pub fn new(heads: impl IntoIterator<Item = SeenHead>) -> Self {
        let by_node: BTreeMap<NodeId, SeenHead> =
            heads.into_iter().map(|seen| (seen.node, seen)).collect();
        let heads: Vec<_> = by_node.into_values().collect();
        let tree = MemoryTree::from_leaf_hashes(heads.iter().map(SeenHead::leaf_hash));
        Self { heads, tree }
    }

    /// The heads, by node.
    pub fn as_slice(&self) -> &[SeenHead] {
        &self.heads
    }

    /// What the round commits to.
    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// A node's head, with the proof that it stands in the list.
    pub fn of(&self, node: &NodeId) -> Option<(SeenHead, InclusionProof)> {
        let index = self.heads.binary_search_by_key(node, |seen| seen.node).ok()?;
        Some((self.heads[index], self.tree.inclusion(index as u64)?))
    }
}
