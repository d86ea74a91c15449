//! Signed statements: the only thing a node can be held to.
//!
//! A statement is its kind, the network, the signer, a body in deterministic CBOR and an Ed25519
//! signature over `quorate/v1/<kind>\n` followed by the CBOR array `[network, signer, body]`. Its
//! wire form, which is also its leaf in the signer's log, is the CBOR array
//! `[kind, network, signer, body, signature]` with the body as a byte string.
//!
//! Invariant: a [`Signed`] that exists verifies; it can only be made by signing or by
//! [`Signed::open`].

use std::{fmt, sync::Arc};

use minicbor::{Decode, Encode, bytes::ByteVec};

use crate::{
    encoding::{self, EncodingError},
    id::{NetworkId, Signature, StatementHash},
    key::{SignerId, StatementSigner, verify_bytes},
    merkle,
};

/// The longest statement, in bytes: what an entry of a C2SP `tlog-tiles` bundle can hold.
pub const MAX_STATEMENT_BYTES: usize = 65_535;

/// The content of one kind of statement.
pub trait Body: Encode<()> + for<'b> Decode<'b, ()> + Clone + fmt::Debug {
    /// The kind's name, `[a-z-]+`, as it stands in `quorate/v1/<kind>`.
    const KIND: &'static str;
    /// Who signs such statements.
    type Signer: SignerId;

    /// Where the statement stands among its signer's: two different statements of one kind, signer
    /// and position convict the signer. `None` where a signer may say several things.
    fn position(&self) -> Option<Vec<u8>>;
}

/// Why bytes are not a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The bytes are longer than any statement.
    #[error("a statement has at most {MAX_STATEMENT_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// The bytes are not the CBOR of a statement.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Another kind of statement was expected.
    #[error("expected a statement of kind {expected}, got kind {got:?}")]
    Kind {
        /// The kind that was expected.
        expected: &'static str,
        /// The kind that the statement names.
        got: String,
    },
    /// The statement belongs to another network.
    #[error("the {kind} statement belongs to network {got}, expected {expected}")]
    Network {
        /// The statement's kind.
        kind: String,
        /// The network that was expected.
        expected: NetworkId,
        /// The network that the statement names.
        got: NetworkId,
    },
    /// The signature is not the signer's.
    #[error("the signature of the {kind} statement by {signer} does not verify")]
    Signature {
        /// The statement's kind.
        kind: String,
        /// The key that the statement names, in hex.
        signer: String,
    },
}

/// A statement whose kind and signature have not been looked at; for logs, which hold all kinds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// The kind's name.
    #[n(0)]
    pub kind: String,
    /// The network that the statement belongs to.
    #[n(1)]
    pub network: NetworkId,
    #[n(2)]
    signer: ByteVec,
    #[n(3)]
    body: ByteVec,
    #[n(4)]
    signature: Signature,
}

impl Envelope {
    /// Reads an envelope; nothing of what it says is believed yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError::TooLong(bytes.len()));
        }
        Ok(encoding::from_bytes("a statement", bytes)?)
    }

    /// The signer's key in hex, as the envelope names it.
    pub fn signer_hex(&self) -> String {
        hex::encode(&*self.signer)
    }
}

fn signed_message(kind: &str, network: &NetworkId, signer: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let mut message = format!("quorate/v1/{kind}\n").into_bytes();
    let mut encoder = minicbor::Encoder::new(&mut message);
    let written = encoder
        .array(3)
        .and_then(|encoder| encoder.bytes(&network.0))
        .and_then(|encoder| encoder.bytes(signer))
        .and_then(|encoder| encoder.bytes(body))
        .map(|_| ());
    written.expect("encoding to memory cannot fail");
    message
}

/// A statement whose signature verifies.
#[derive(Clone)]
pub struct Signed<B: Body> {
    /// The network that it belongs to.
    pub network: NetworkId,
    /// Who signed it.
    pub signer: B::Signer,
    /// What it says.
    pub body: B,
    bytes: Arc<[u8]>,
    hash: StatementHash,
}

impl<B: Body> Signed<B> {
    /// Signs a body. Ed25519 is deterministic, so the same body gives the same statement.
    pub fn sign(network: NetworkId, key: &impl StatementSigner<B::Signer>, body: B) -> Self {
        let signer = key.id();
        let body_bytes = encoding::to_bytes(&body);
        let message = signed_message(B::KIND, &network, signer.key_bytes(), &body_bytes);
        let envelope = Envelope {
            kind: B::KIND.to_owned(),
            network,
            signer: signer.key_bytes().to_vec().into(),
            body: body_bytes.into(),
            signature: key.sign_bytes(&message),
        };
        Self::assemble(network, signer, body, encoding::to_bytes(&envelope))
    }

    /// Reads a statement and checks kind, network and signature.
    pub fn open(network: &NetworkId, bytes: &[u8]) -> Result<Self, StatementError> {
        let envelope = Envelope::from_bytes(bytes)?;
        if envelope.kind != B::KIND {
            return Err(StatementError::Kind {
                expected: B::KIND,
                got: envelope.kind.chars().take(80).collect(),
            });
        }
        if envelope.network != *network {
            return Err(StatementError::Network {
                kind: envelope.kind,
                expected: *network,
                got: envelope.network,
            });
        }
        let bad_signature = || StatementError::Signature {
            kind: B::KIND.to_owned(),
            signer: envelope.signer_hex(),
        };
        let key: [u8; 32] = envelope.signer.as_slice().try_into().map_err(|_| bad_signature())?;
        let signer = B::Signer::from_key_bytes(key);
        let message = signed_message(B::KIND, network, &key, &envelope.body);
        if !verify_bytes(&signer, &message, &envelope.signature) {
            return Err(bad_signature());
        }
        let body = encoding::from_bytes(B::KIND, &envelope.body)?;
        Ok(Self::assemble(*network, signer, body, bytes.to_vec()))
    }

    /// Reads a statement from the node's own store, which verified before it was stored: its form and
    /// kind are checked, its signature and network are not.
    pub fn open_trusted(bytes: &[u8]) -> Result<Self, StatementError> {
        let envelope = Envelope::from_bytes(bytes)?;
        if envelope.kind != B::KIND {
            let got = envelope.kind.chars().take(80).collect();
            return Err(StatementError::Kind { expected: B::KIND, got });
        }
        let key = envelope.signer.as_slice().try_into();
        let key: [u8; 32] = key.map_err(|_| StatementError::Signature {
            kind: B::KIND.to_owned(),
            signer: envelope.signer_hex(),
        })?;
        let body = encoding::from_bytes(B::KIND, &envelope.body)?;
        let signer = B::Signer::from_key_bytes(key);
        Ok(Self::assemble(envelope.network, signer, body, bytes.to_vec()))
    }

    fn assemble(network: NetworkId, signer: B::Signer, body: B, bytes: Vec<u8>) -> Self {
        let hash = StatementHash(merkle::leaf_hash(&bytes));
        Self { network, signer, body, bytes: bytes.into(), hash }
    }

    /// The wire form, which is also the leaf in the signer's log.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The hash by which other statements name this one.
    pub fn hash(&self) -> StatementHash {
        self.hash
    }
}

impl<B: Body> PartialEq for Signed<B> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<B: Body> Eq for Signed<B> {}

impl<B: Body> fmt::Debug for Signed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(B::KIND)
            .field("signer", &self.signer)
            .field("body", &self.body)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}
