//! Checkpoints of nodes' logs (C2SP `tlog-checkpoint` signed notes) and the cosignatures of those
//! who witness them (C2SP `tlog-cosignature`, `cosignature/v1`).
//!
//! A node's log, and the node as a witness, go by one name made of its network and key, so a
//! checkpoint says whose it is and cannot be shown as another's.

use std::collections::BTreeSet;

use signed_note::{Note, Signature as NoteSignature, Signer, Verifier, VerifierList};
use tlog_tiles::{checkpoint::Checkpoint as CheckpointText, tlog};

use crate::{
    id::{NetworkId, NodeId, RootHash, Signature},
    key::{NodeKey, StatementSigner as _, verify_bytes},
    merkle::{MAX_TREE_SIZE, TreeHead},
};

/// The longest note that is read: a checkpoint with a hundred cosignatures.
pub const MAX_NOTE_BYTES: usize = 32 * 1024;

/// Signature type of a log's own signature (C2SP `signed-note`).
const TYPE_ED25519: u8 = 0x01;
/// Signature type of a witness' timestamped cosignature (C2SP `tlog-cosignature`).
const TYPE_COSIGNATURE: u8 = 0x04;

/// Why a note is not an acceptable checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note is too long, not UTF-8, or not in the form of a signed note.
    #[error("not a C2SP signed note: {0}")]
    Note(String),
    /// The note's text is no checkpoint.
    #[error("the note is not a C2SP tlog-checkpoint")]
    Checkpoint,
    /// The checkpoint is another log's.
    #[error("the checkpoint is of log {got:?}, expected {expected:?}")]
    Origin {
        /// The name of the log that was expected.
        expected: String,
        /// The name in the checkpoint.
        got: String,
    },
    /// The tree is larger than any.
    #[error("the checkpoint's size {0} is over the limit {MAX_TREE_SIZE}")]
    Size(u64),
    /// The log's own signature is missing or wrong, or a known witness' cosignature is wrong.
    #[error("the checkpoint's signatures do not verify: {0}")]
    Signature(String),
}

/// The name of a node's log, and of the node as a witness.
pub fn log_name(network: &NetworkId, node: &NodeId) -> String {
    format!("quorate/{}/{node}", hex::encode(&network.0[..8]))
}

/// The verifier key by which C2SP tools know the log.
pub fn verifier_key(network: &NetworkId, node: &NodeId) -> Option<String> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(&node.0).ok()?;
    Some(signed_note::new_ed25519_verifier_key(&log_name(network, node), &key))
}

fn key_id(name: &str, signature_type: u8, node: &NodeId) -> u32 {
    let mut typed_key = vec![signature_type];
    typed_key.extend_from_slice(&node.0);
    signed_note::key_id(name, &typed_key)
}

/// Signs a note as a log.
struct LogSigner<'a> {
    name: String,
    key: &'a NodeKey,
}

impl Signer for LogSigner<'_> {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        key_id(&self.name, TYPE_ED25519, &self.key.id())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.sign_bytes(message).0.to_vec())
    }
}

/// A log's own signature in a note.
struct LogSignature {
    name: String,
    node: NodeId,
}

impl Verifier for LogSignature {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        key_id(&self.name, TYPE_ED25519, &self.node)
    }
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|bytes| verify_bytes(&self.node, message, &Signature(bytes)))
    }
}

/// A witness' signature in a note.
struct WitnessSignature {
    name: String,
    node: NodeId,
}

fn cosigned_message(time_s: u64, text: &[u8]) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {time_s}\n").into_bytes();
    message.extend_from_slice(text);
    message
}

fn split_cosignature(signature: &[u8]) -> Option<(u64, Signature)> {
    let (time, signature) = signature.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*time), Signature(signature.try_into().ok()?)))
}

impl Verifier for WitnessSignature {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        key_id(&self.name, TYPE_COSIGNATURE, &self.node)
    }
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        split_cosignature(signature).is_some_and(|(time_s, signature)| {
            verify_bytes(&self.node, &cosigned_message(time_s, message), &signature)
        })
    }
}

/// That a witness saw a checkpoint consistent with all it saw of that log before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness.
    pub witness: NodeId,
    /// When, in seconds since the Unix epoch, by the witness' clock.
    pub time_s: u64,
}

/// A checkpoint whose log signature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Whose log.
    pub log: NodeId,
    /// The tree that it commits to.
    pub head: TreeHead,
    /// The valid cosignatures of known witnesses.
    pub cosignatures: Vec<Cosignature>,
    note: String,
}

impl SignedCheckpoint {
    /// Signs the head of the node's own log.
    pub fn sign(network: &NetworkId, key: &NodeKey, head: TreeHead) -> Self {
        let log = key.id();
        let name = log_name(network, &log);
        let text = CheckpointText::new(&name, head.size, tlog::Hash(head.root.0), "")
            .expect("a log name is not empty");
        let mut note = Note::new(&text.to_bytes(), &[]).expect("a checkpoint is a note");
        note.add_sigs(&[&LogSigner { name, key }]).expect("a log name is a key name");
        let note = String::from_utf8(note.to_bytes()).expect("a note is UTF-8");
        Self { log, head, cosignatures: Vec::new(), note }
    }

    /// Reads `log`'s checkpoint, checks the log's signature and, of the cosignatures, those of
    /// `witnesses`; those of others are kept in the note and not believed.
    pub fn open(
        network: &NetworkId,
        log: &NodeId,
        witnesses: &[NodeId],
        note: &str,
    ) -> Result<Self, CheckpointError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::Note(format!("over {MAX_NOTE_BYTES} bytes")));
        }
        let parsed = Note::from_bytes(note.as_bytes())
            .map_err(|error| CheckpointError::Note(error.to_string()))?;
        let text =
            CheckpointText::from_bytes(parsed.text()).map_err(|_| CheckpointError::Checkpoint)?;
        let expected = log_name(network, log);
        if text.origin() != expected {
            return Err(CheckpointError::Origin {
                expected,
                got: text.origin().chars().take(120).collect(),
            });
        }
        if text.size() > MAX_TREE_SIZE {
            return Err(CheckpointError::Size(text.size()));
        }
        let log_signature = LogSignature { name: expected, node: *log };
        let log_key = (log_signature.name.clone(), log_signature.key_id());
        let mut verifiers: Vec<Box<dyn Verifier>> = vec![Box::new(log_signature)];
        let mut witness_keys = Vec::new();
        for witness in witnesses.iter().collect::<BTreeSet<_>>() {
            let verifier = WitnessSignature { name: log_name(network, witness), node: *witness };
            witness_keys.push(((verifier.name.clone(), verifier.key_id()), *witness));
            verifiers.push(Box::new(verifier));
        }
        let (verified, _) = parsed
            .verify(&VerifierList::new(verifiers))
            .map_err(|error| CheckpointError::Signature(error.to_string()))?;
        let signed = |(name, id): &(String, u32)| {
            verified.iter().find(|signature| signature.name() == name && signature.id() == *id)
        };
        if signed(&log_key).is_none() {
            return Err(CheckpointError::Signature(
                "the log's own signature is missing".to_owned(),
            ));
        }
        let mut cosignatures = Vec::new();
        for (key, witness) in &witness_keys {
            if let Some((time_s, _)) =
                signed(key).and_then(|signature| split_cosignature(signature.signature()))
            {
                cosignatures.push(Cosignature { witness: *witness, time_s });
            }
        }
        let head = TreeHead { size: text.size(), root: RootHash(text.hash().0) };
        Ok(Self { log: *log, head, cosignatures, note: note.to_owned() })
    }

    /// The signed note, with every cosignature that it holds.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The signature line by which `key`'s node witnesses this checkpoint at `time_s`.
    pub fn cosign(&self, network: &NetworkId, key: &NodeKey, time_s: u64) -> String {
        let witness = key.id();
        let name = log_name(network, &witness);
        let note = Note::from_bytes(self.note.as_bytes()).expect("it was read or made as a note");
        let signature = key.sign_bytes(&cosigned_message(time_s, note.text()));
        let mut bytes = time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&signature.0);
        let id = key_id(&name, TYPE_COSIGNATURE, &witness);
        let line = NoteSignature::new(name, id, bytes).expect("a log name is a key name");
        String::from_utf8(line.to_bytes()).expect("a signature line is UTF-8")
    }

    /// This checkpoint with one more witness' line, which must verify.
    pub fn with_cosignature(
        &self,
        network: &NetworkId,
        witness: &NodeId,
        line: &str,
    ) -> Result<Self, CheckpointError> {
        let name = log_name(network, witness);
        let id = key_id(&name, TYPE_COSIGNATURE, witness);
        let mut note = String::new();
        for kept in self.note.lines() {
            let replaced = NoteSignature::from_bytes(kept.as_bytes())
                .is_ok_and(|signature| signature.name() == name && signature.id() == id);
            if !replaced {
                note.push_str(kept);
                note.push('\n');
            }
        }
        note.push_str(line.trim_end_matches('\n'));
        note.push('\n');
        let mut witnesses: Vec<NodeId> =
            self.cosignatures.iter().map(|known| known.witness).collect();
        if !witnesses.contains(witness) {
            witnesses.push(*witness);
        }
        let opened = Self::open(network, &self.log, &witnesses, &note)?;
        if opened.head != self.head
            || !opened.cosignatures.iter().any(|known| known.witness == *witness)
        {
            return Err(CheckpointError::Signature(format!("not a cosignature of {name}")));
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_collects_cosignatures_and_refuses_others() {
        let network = NetworkId([3; 32]);
        let keys: Vec<NodeKey> = (0..3).map(|number| NodeKey::from_secret([number; 32])).collect();
        let head = TreeHead { size: 5, root: RootHash([8; 32]) };
        let checkpoint = SignedCheckpoint::sign(&network, &keys[0], head);
        let line = checkpoint.cosign(&network, &keys[1], 1_700_000_000);
        let cosigned = checkpoint.with_cosignature(&network, &keys[1].id(), &line).expect("valid");
        let later = checkpoint.cosign(&network, &keys[1], 1_700_000_009);
        let cosigned = cosigned.with_cosignature(&network, &keys[1].id(), &later).expect("valid");
        let expected = Cosignature { witness: keys[1].id(), time_s: 1_700_000_009 };
        assert_eq!(cosigned.cosignatures, [expected]);
        let known: Vec<NodeId> = keys.iter().map(|key| key.id()).collect();
        let opened = SignedCheckpoint::open(&network, &known[0], &known, cosigned.note());
        assert_eq!(opened.as_ref(), Ok(&cosigned));
        assert!(checkpoint.with_cosignature(&network, &keys[2].id(), &line).is_err());
        assert!(SignedCheckpoint::open(&network, &known[1], &known, cosigned.note()).is_err());
        let grown = cosigned.note().replacen("\n5\n", "\n6\n", 1);
        let error =
            SignedCheckpoint::open(&network, &known[0], &known, &grown).expect_err("forged");
        assert!(matches!(error, CheckpointError::Signature(_)), "{error}");
    }
}
