//! One fixed world: keys from constant secrets, and one value of everything that has a byte form.
//!
//! The golden vectors are made of it, the decoders' tests mutate it. Nothing here is random, so the
//! bytes may only change when the wire format does.

use wire::{
    Attempt, Body, CodeHash, Millis, NetworkId, NodeKey, Nonce, OperatorKey, Round, Salt, Signed,
    StatementHash,
    checkpoint::SignedCheckpoint,
    compute::{
        Agreement, Commit, Draw, DrawOpening, Execution, Failure, FailureReason, Fault, Offer,
        Outcome, Receipt, Received, Request, Reveal, Tally, Widening, prove_draw,
    },
    credential::{self, Call},
    json::CanonicalJson,
    key::StatementSigner as _,
    merkle::{MemoryTree, TreeHead, leaf_hash},
    network::{Admission, Genesis, Role, Settings},
    round::{Roster, RoundOpening, SeenHead, SeenHeads, prove_seed},
    seal,
};

/// When the world's credential is made.
pub const CREDENTIAL_TIME: Millis = Millis(1_700_000_010_000);
/// When the world's checkpoint is cosigned, in seconds.
pub const COSIGNED_S: u64 = 1_700_000_011;
/// The place to which the world's secrets are sealed.
pub const SEAL_PLACE: &[u8] = b"golden place";
/// The world's secret.
pub const SECRET: &[u8] = b"golden secret";
/// The key of the world's storage.
pub const REST_KEY: [u8; 32] = [0x44; 32];
/// The body of the credential's call.
const CALL_BODY: &[u8] = b"{}";

/// One of everything.
pub struct World {
    pub network: NetworkId,
    pub genesis: Genesis,
    pub operator: OperatorKey,
    pub beacon: NodeKey,
    pub relay: NodeKey,
    pub worker: NodeKey,
    pub admission: Signed<Admission>,
    pub settings: Signed<Settings>,
    pub previous_round: Signed<RoundOpening>,
    pub round: Signed<RoundOpening>,
    pub request: Request,
    pub received: Signed<Received>,
    pub draw: Signed<Draw>,
    pub salt: Salt,
    pub value: Execution,
    pub fault: Execution,
    pub commit: Signed<Commit>,
    pub reveal_value: Signed<Reveal>,
    pub reveal_fault: Signed<Reveal>,
    pub receipt: Signed<Receipt>,
    pub tally: Signed<Tally>,
    pub widening: Signed<Widening>,
    pub agreement: Signed<Agreement>,
    pub failure: Signed<Failure>,
    pub offer: Offer,
    pub seen_head: SeenHead,
    pub checkpoint: SignedCheckpoint,
    pub cosignature: String,
    pub cosigned: SignedCheckpoint,
    pub credential: String,
    pub sealed: Vec<u8>,
    pub at_rest: Vec<u8>,
}

impl World {
    /// The call that the world's credential is for.
    pub fn with_call<T>(&self, then: impl FnOnce(&Call<'_>) -> T) -> T {
        then(&Call {
            network: &self.network,
            callee: &self.relay.id(),
            method: "POST",
            path: "/v1/commit?attempt=1",
            body: CALL_BODY,
        })
    }

    /// The bytes of every statement, by a name of its own.
    pub fn statements(&self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        fn entry<B: Body>(
            name: &'static str,
            statement: &Signed<B>,
        ) -> (&'static str, &'static str, Vec<u8>) {
            (name, B::KIND, statement.bytes().to_vec())
        }
        vec![
            entry("admission", &self.admission),
            entry("settings", &self.settings),
            entry("round", &self.round),
            entry("received", &self.received),
            entry("draw", &self.draw),
            entry("commit", &self.commit),
            entry("reveal-value", &self.reveal_value),
            entry("reveal-fault", &self.reveal_fault),
            entry("receipt", &self.receipt),
            entry("tally", &self.tally),
            entry("widening", &self.widening),
            entry("agreement", &self.agreement),
            entry("failure", &self.failure),
        ]
    }
}

/// The world; the same in every run.
pub fn world() -> World {
    let operator = OperatorKey::from_secret([0x01; 32]);
    let second_operator = OperatorKey::from_secret([0x02; 32]);
    let [beacon, relay, worker] =
        [0x11, 0x12, 0x13].map(|number| NodeKey::from_secret([number; 32]));
    let genesis = Genesis::new(
        "golden",
        vec![operator.id(), second_operator.id()],
        Millis(1_700_000_000_000),
    )
    .expect("a good genesis");
    let network = genesis.id();

    let admission = Signed::sign(
        network,
        &operator,
        Admission {
            node: worker.id(),
            vrf: worker.vrf_public(),
            sealing: worker.sealing_public(),
            name: "worker-1".to_owned(),
            domain: "worker-1.example.org:8443".to_owned(),
            roles: [Role::Worker, Role::Shard].into_iter().collect(),
            starts: Millis(1_700_000_001_000),
            expires: Millis(1_800_000_000_000),
            generation: 3,
        },
    );
    let settings = Settings { version: 7, ..Settings::default() };
    let settings = Signed::sign(network, &operator, settings);

    let request = Request {
        uri: "https://example.org/add.js".to_owned(),
        code: Some(CodeHash::of(b"mainFunction = ({a, b}) => a + b")),
        params: CanonicalJson::from_text(r#"{"b":40.5,"a":1.5}"#).expect("JSON"),
        committee: 3,
        quorum: 2,
        deadline: Millis(1_700_000_060_000),
        nonce: Nonce([0x21; 16]),
    };
    let id = request.id();
    let received = Signed::sign(
        network,
        &relay,
        Received { request: id, received: Millis(1_700_000_003_000) },
    );

    // Nobody was drawn in attempt 0, so its widening opens attempt 1, which the world is about.
    let first_tally = Tally {
        request: id,
        attempt: Attempt(0),
        round: Round(1),
        population: 3,
        drawn: Vec::new(),
        commits: Vec::new(),
    };
    let first_tally = Signed::sign(network, &relay, first_tally);
    let widening = Widening {
        request: id,
        attempt: Attempt(0),
        round: Round(1),
        tally: first_tally.hash(),
        reveals: Vec::new(),
        reason: FailureReason::NoQuorum,
    };
    let widening = Signed::sign(network, &relay, widening);
    let opener = widening.clone();
    let older = [leaf_hash(b"an older statement"), received.hash().0];
    let mut log = MemoryTree::from_leaf_hashes(older);
    let head_before = SeenHead { node: relay.id(), head: log.head() };
    log.push(opener.hash().0);
    let seen_head = SeenHead { node: relay.id(), head: log.head() };
    let opener_proof = log.inclusion(2).expect("it was just appended");
    let other_head = SeenHead { node: beacon.id(), head: TreeHead::EMPTY };
    let roster = Roster::new([admission.clone()]);
    let open = |number, previous, seed_before, heads: &SeenHeads| {
        let (seed, proof) = prove_seed(&network, &beacon, &seed_before, Round(number));
        let opening = RoundOpening {
            round: Round(number),
            opened: Millis(1_700_000_003_000 + number * 1_000),
            previous,
            seed,
            proof,
            workers: roster.head(),
            heads: heads.head(),
        };
        Signed::sign(network, &beacon, opening)
    };
    let heads_before = SeenHeads::new([head_before, other_head]);
    let heads = SeenHeads::new([seen_head, other_head]);
    let first = StatementHash(network.0);
    let previous_round = open(1, first, genesis.seed(), &heads_before);
    let seed_before = previous_round.body.seed;
    let round = open(2, previous_round.hash(), seed_before, &heads);
    let proof_in = |heads: &SeenHeads| heads.of(&relay.id()).expect("it is in the list").1;
    let opening = DrawOpening {
        opener_proof,
        head: seen_head,
        head_proof: proof_in(&heads),
        previous_head: head_before,
        previous_head_proof: proof_in(&heads_before),
    };
    let attempt = Attempt(1);
    let offer = Offer {
        request: request.clone(),
        attempt,
        opener: opener.bytes().to_vec(),
        previous_round: previous_round.bytes().to_vec(),
        round: round.bytes().to_vec(),
        opening,
    };

    let (_, proof) = prove_draw(&network, &worker, &id, attempt, &round.body.seed);
    let draw = Signed::sign(
        network,
        &worker,
        Draw { request: id, attempt, round: round.body.round, proof },
    );
    let value = Execution {
        engine: "v8-14.4.258.23".to_owned(),
        code: request.code,
        outcome: Outcome::Value(CanonicalJson::from_text("42").expect("JSON")),
    };
    let fault = Execution {
        engine: "v8-14.4.258.23".to_owned(),
        code: None,
        outcome: Outcome::Fault(Fault {
            kind: "threw".to_owned(),
            message: "Error: no".to_owned(),
        }),
    };
    let salt = Salt([0x31; 32]);
    let commit = |execution: &Execution| {
        let commit = Commit {
            request: id,
            attempt,
            draw: draw.hash(),
            commitment: execution.commitment(&draw.hash(), &salt),
        };
        Signed::sign(network, &worker, commit)
    };
    let reveal = |execution: &Execution| {
        let reveal = Reveal {
            request: id,
            attempt,
            commit: commit(execution).hash(),
            salt,
            execution: execution.clone(),
        };
        Signed::sign(network, &worker, reveal)
    };
    let (commit, reveal_value, reveal_fault) = (commit(&value), reveal(&value), reveal(&fault));
    let receipt = Receipt { request: id, attempt, statement: commit.hash() };
    let tally = Tally {
        request: id,
        attempt,
        round: round.body.round,
        population: 3,
        drawn: vec![draw.hash(), StatementHash([0xff; 32])],
        commits: vec![commit.hash()],
    };
    let receipt = Signed::sign(network, &relay, receipt);
    let tally = Signed::sign(network, &relay, tally);
    let agreement = Agreement {
        request: id,
        attempt,
        tally: tally.hash(),
        execution: value.clone(),
        agreeing: vec![reveal_value.hash()],
        dissenting: vec![reveal_fault.hash()],
        silent: vec![beacon.id()],
    };
    let failure = Failure { request: id, reason: FailureReason::Disagreement, attempts: 2 };
    let agreement = Signed::sign(network, &relay, agreement);
    let failure = Signed::sign(network, &relay, failure);

    let checkpoint = SignedCheckpoint::sign(&network, &relay, seen_head.head);
    let cosignature = checkpoint.cosign(&network, &beacon, COSIGNED_S);
    let cosigned = checkpoint
        .with_cosignature(&network, &beacon.id(), &cosignature)
        .expect("a good cosignature");
    let sealed = seal::seal_to(&worker.sealing_public(), [0x41; 32], SEAL_PLACE, SECRET);
    let at_rest = seal::encrypt_at_rest(&REST_KEY, [0x42; 12], SEAL_PLACE, SECRET);
    let mut world = World {
        network,
        genesis,
        operator,
        beacon,
        relay,
        worker,
        admission,
        settings,
        previous_round,
        round,
        request,
        received,
        draw,
        salt,
        value,
        fault,
        commit,
        reveal_value,
        reveal_fault,
        receipt,
        tally,
        widening,
        agreement,
        failure,
        offer,
        seen_head,
        checkpoint,
        cosignature,
        cosigned,
        credential: String::new(),
        sealed: sealed.expect("sealed"),
        at_rest: at_rest.expect("encrypted"),
    };
    world.credential =
        world.with_call(|call| credential::make(&world.worker, call, CREDENTIAL_TIME));
    world
}
