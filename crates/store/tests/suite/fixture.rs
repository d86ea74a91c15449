//! A node with a database in a folder of its own, and statements to put in it.

use std::path::PathBuf;

use store::{Reader, Store, StoreError, Transaction};
use wire::{
    Attempt, Body, Commitment, Millis, NetworkId, NodeId, NodeKey, Nonce, RequestId, Round, Seed,
    Signed, StatementHash, VrfProof,
    compute::{
        Commit, Draw, Execution, Failure, FailureReason, Outcome, Received, Request, Reveal,
    },
    json::CanonicalJson,
    key::StatementSigner as _,
    merkle::TreeHead,
    round::RoundOpening,
};

pub const NETWORK: NetworkId = NetworkId([7; 32]);

pub fn node_key() -> NodeKey {
    NodeKey::from_secret([1; 32])
}

pub fn node() -> NodeId {
    node_key().id()
}

/// A folder with a database; the folder goes when this is dropped.
pub struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("node").join("store.db")
    }

    pub fn open(&self) -> Store {
        Store::open(self.path(), NETWORK, node()).expect("open")
    }

    /// Another way into the database, to damage it.
    pub fn sql(&self, script: &str) {
        let connection = rusqlite::Connection::open(self.path()).expect("open");
        connection.execute_batch(script).expect(script);
    }

    /// The findings of `fsck`, after the given damage.
    pub fn findings(&self) -> Vec<String> {
        store::fsck(self.path()).expect("fsck").findings
    }
}

/// Shorter calls for tests, which all block.
pub trait Blocking {
    fn put<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T;
    fn see<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> T;
}

impl Blocking for Store {
    fn put<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.write_blocking(work).expect("write")
    }
    fn see<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> T {
        self.read_blocking(work).expect("read")
    }
}

pub fn sign<B: Body<Signer = NodeId>>(body: B) -> Vec<u8> {
    Signed::sign(NETWORK, &node_key(), body).bytes().to_vec()
}

pub fn request_number(number: u64) -> (RequestId, Vec<u8>) {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    let request = Request {
        uri: "https://example.org/add.js".to_owned(),
        code: None,
        params: CanonicalJson::from_text("[1,2]").expect("JSON"),
        committee: 3,
        quorum: 2,
        deadline: Millis(60_000),
        nonce: Nonce(nonce),
    };
    (request.id(), wire::encoding::to_bytes(&request))
}

/// The statement that stands for entry `number` in tests of the log; different for each number.
pub fn received(number: u64) -> Vec<u8> {
    sign(Received { request: request_number(number).0, received: Millis(number) })
}

pub fn commit(request: RequestId, attempt: Attempt, salt: u8) -> Vec<u8> {
    let draw = StatementHash([0; 32]);
    sign(Commit { request, attempt, draw, commitment: Commitment([salt; 32]) })
}

pub fn reveal(request: RequestId, attempt: Attempt, salt: u8) -> Vec<u8> {
    let outcome = Outcome::Value(CanonicalJson::from_text("3").expect("JSON"));
    let execution = Execution { engine: "test".to_owned(), code: None, outcome };
    let (commit, salt) = (StatementHash([0; 32]), wire::Salt([salt; 32]));
    sign(Reveal { request, attempt, commit, salt, execution })
}

/// A worker's draw, signed by another node.
pub fn draw(request: RequestId, worker: u8) -> Vec<u8> {
    let key = NodeKey::from_secret([worker; 32]);
    let body = Draw { request, attempt: Attempt(0), round: Round(1), proof: VrfProof([0; 80]) };
    Signed::sign(NETWORK, &key, body).bytes().to_vec()
}

pub fn failure(request: RequestId, attempts: u32) -> Vec<u8> {
    sign(Failure { request, reason: FailureReason::Expired, attempts })
}

pub fn round(round: Round, seed: u8) -> Vec<u8> {
    sign(RoundOpening {
        round,
        opened: Millis(round.0),
        previous: StatementHash([0; 32]),
        seed: Seed([seed; 32]),
        proof: VrfProof([0; 80]),
        workers: TreeHead::EMPTY,
        heads: TreeHead::EMPTY,
    })
}
