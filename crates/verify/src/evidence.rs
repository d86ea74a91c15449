//! Statements that cannot all be honest, and the verdict over them.
//!
//! Invariant: only the accused's own signatures convict it. Every rule names two or more statements
//! of which at least one is the accused's and which no honest run, crash, restart or replay of it
//! can produce, whatever other parties signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use wire::{
    Attempt, Body, NetworkId, NodeId, RequestId, Signed, StatementError, StatementHash,
    checkpoint::{CheckpointError, SignedCheckpoint},
    compute::{Agreement, Commit, Failure, Receipt, Received, Reveal, Tally, Widening},
    network::{Admission, Genesis, GenesisError, NetworkError},
    round::RoundOpening,
    statement::Envelope,
};

/// The name of the format.
pub const FORMAT: &str = "quorate/evidence/v1";

/// The longest evidence that is read, in bytes: a few of the longest statements in base64.
pub const MAX_EVIDENCE_BYTES: usize = 4 * 1024 * 1024;

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Two different statements of one kind for one position. Statements: the two. Draws are left
    /// out: a draw does not name its seed, so a forked beacon gets two of one honest worker.
    TwoStatements,
    /// A reveal that does not open the commitment it names. Statements: commit, reveal.
    FalseReveal,
    /// A tally without a commit that has a receipt. Statements: commit, receipt, tally.
    OmittedCommit,
    /// An agreement, or a widening, without a reveal of its attempt that has a receipt. Statements:
    /// reveal, receipt, agreement or widening.
    OmittedReveal,
    /// An agreement and a failure for one request. Statements: agreement, failure.
    TwoEndings,
    /// Two checkpoints of one log with one size and two roots. Notes: the two.
    TwoHistories,
}

impl Rule {
    /// What an honest node does, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::TwoStatements => "signs one statement for one position",
            Self::FalseReveal => "reveals what it committed to",
            Self::OmittedCommit => "counts every commit that it gave a receipt for",
            Self::OmittedReveal => "counts every reveal that it gave a receipt for",
            Self::TwoEndings => "ends a request once",
            Self::TwoHistories => "has one history in its log",
        }
    }
}

/// Who broke what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The convicted node.
    pub accused: NodeId,
    /// Its name.
    pub name: String,
    /// What it broke.
    pub rule: Rule,
    /// Why, in words.
    pub reason: String,
}

/// Why evidence is refused; nobody is convicted then.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Too long.
    #[error("evidence has at most {MAX_EVIDENCE_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// Not the JSON of evidence.
    #[error("not evidence: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("format: expected {FORMAT:?}, got {0:?}")]
    Format(String),
    /// A part is not base64.
    #[error("{0}: not base64")]
    Base64(&'static str),
    /// The genesis is not one.
    #[error("genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// A statement does not verify.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A checkpoint does not verify.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The accused's admission does not hold.
    #[error("the admission of the accused: {0}")]
    Admission(#[from] NetworkError),
    /// The statements do not prove what the rule says.
    #[error("proves nothing: {0}")]
    ProvesNothing(&'static str),
    /// The file differs from the one rendering of what it holds.
    #[error("differs from the one rendering of its signed parts")]
    NotCanonical,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    verdict: serde_json::Value,
    rule: Rule,
    genesis: String,
    admission: String,
    statements: Vec<String>,
}

/// Evidence that convicts.
#[derive(Debug, Clone)]
pub struct Evidence {
    genesis: Genesis,
    admission: Signed<Admission>,
    rule: Rule,
    statements: Vec<Vec<u8>>,
    verdict: Verdict,
}

impl Evidence {
    /// Evidence against the admitted node; refused if it does not convict.
    pub fn new(
        genesis: Genesis,
        admission: Signed<Admission>,
        rule: Rule,
        statements: Vec<Vec<u8>>,
    ) -> Result<Self, EvidenceError> {
        genesis.check_operator(&admission)?;
        admission.body.check()?;
        let reason = judge(&genesis.id(), &admission, rule, &statements)?;
        let (accused, name) = (admission.body.node, admission.body.name.clone());
        let verdict = Verdict { accused, name, rule, reason };
        Ok(Self { genesis, admission, rule, statements, verdict })
    }

    /// Reads evidence and judges it anew.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(EvidenceError::TooLong(bytes.len()));
        }
        let file: File = serde_json::from_slice(bytes)?;
        if file.format != FORMAT {
            return Err(EvidenceError::Format(file.format.chars().take(80).collect()));
        }
        let decode =
            |what, text: &str| STANDARD.decode(text).map_err(|_| EvidenceError::Base64(what));
        let genesis = Genesis::open(&decode("genesis", &file.genesis)?)?;
        let admission = Signed::open(&genesis.id(), &decode("admission", &file.admission)?)?;
        let statements = file.statements.iter().map(|text| decode("statements", text));
        let statements = statements.collect::<Result<_, _>>()?;
        let evidence = Self::new(genesis, admission, file.rule, statements)?;
        if evidence.to_json() != bytes {
            return Err(EvidenceError::NotCanonical);
        }
        Ok(evidence)
    }

    /// The one rendering.
    pub fn to_json(&self) -> Vec<u8> {
        let file = File {
            format: FORMAT.to_owned(),
            verdict: serde_json::to_value(&self.verdict).expect("a verdict is JSON"),
            rule: self.rule,
            genesis: STANDARD.encode(self.genesis.bytes()),
            admission: STANDARD.encode(self.admission.bytes()),
            statements: self.statements.iter().map(|bytes| STANDARD.encode(bytes)).collect(),
        };
        let mut json = serde_json::to_vec_pretty(&file).expect("evidence is JSON");
        json.push(b'\n');
        json
    }

    /// Who broke what.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The network whose operators vouch for the accused.
    pub fn network(&self) -> NetworkId {
        self.genesis.id()
    }
}

fn judge(
    network: &NetworkId,
    admission: &Signed<Admission>,
    rule: Rule,
    statements: &[Vec<u8>],
) -> Result<String, EvidenceError> {
    let accused = &admission.body.node;
    match (rule, statements) {
        (Rule::TwoStatements, [first, second]) => two_statements(network, accused, first, second),
        (Rule::FalseReveal, [commit, reveal]) => false_reveal(network, accused, commit, reveal),
        (Rule::OmittedCommit, [commit, receipt, tally]) => {
            omitted_commit(network, accused, commit, receipt, tally)
        }
        (Rule::OmittedReveal, [reveal, receipt, end]) => {
            omitted_reveal(network, accused, reveal, receipt, end)
        }
        (Rule::TwoEndings, [agreement, failure]) => {
            two_endings(network, accused, agreement, failure)
        }
        (Rule::TwoHistories, [first, second]) => two_histories(network, accused, first, second),
        _ => Err(EvidenceError::ProvesNothing("another number of statements than the rule takes")),
    }
}

fn proves(holds: bool, otherwise: &'static str) -> Result<(), EvidenceError> {
    holds.then_some(()).ok_or(EvidenceError::ProvesNothing(otherwise))
}

const NOT_THE_ACCUSED: &str = "not signed by the accused";

fn two_statements(
    network: &NetworkId,
    accused: &NodeId,
    first: &[u8],
    second: &[u8],
) -> Result<String, EvidenceError> {
    fn judge_kind<B: Body<Signer = NodeId>>(
        network: &NetworkId,
        accused: &NodeId,
        first: &[u8],
        second: &[u8],
    ) -> Result<String, EvidenceError> {
        let (first, second) =
            (Signed::<B>::open(network, first)?, Signed::<B>::open(network, second)?);
        proves(first.signer == *accused && second.signer == *accused, NOT_THE_ACCUSED)?;
        proves(first.body.position().is_some(), "statements of this kind have no position")?;
        proves(first.body.position() == second.body.position(), "the positions differ")?;
        proves(first != second, "the statements are the same")?;
        let (one, other) = (first.hash(), second.hash());
        Ok(format!("signed two {} statements for one position: {one} and {other}", B::KIND))
    }
    let judge = match Envelope::from_bytes(first)?.kind.as_str() {
        RoundOpening::KIND => judge_kind::<RoundOpening>,
        Received::KIND => judge_kind::<Received>,
        Commit::KIND => judge_kind::<Commit>,
        Reveal::KIND => judge_kind::<Reveal>,
        Tally::KIND => judge_kind::<Tally>,
        Agreement::KIND => judge_kind::<Agreement>,
        Failure::KIND => judge_kind::<Failure>,
        Widening::KIND => judge_kind::<Widening>,
        _ => {
            return Err(EvidenceError::ProvesNothing("statements of this kind have no position"));
        }
    };
    judge(network, accused, first, second)
}

fn false_reveal(
    network: &NetworkId,
    accused: &NodeId,
    commit: &[u8],
    reveal: &[u8],
) -> Result<String, EvidenceError> {
    let commit = Signed::<Commit>::open(network, commit)?;
    let reveal = Signed::<Reveal>::open(network, reveal)?;
    proves(commit.signer == *accused && reveal.signer == *accused, NOT_THE_ACCUSED)?;
    proves(reveal.body.commit == commit.hash(), "the reveal names another commit")?;
    let opens = reveal.body.execution.commitment(&commit.body.draw, &reveal.body.salt)
        == commit.body.commitment;
    proves(!opens, "the reveal opens the commitment")?;
    Ok(format!("its reveal {} does not open its commit {}", reveal.hash(), commit.hash()))
}

fn omitted_commit(
    network: &NetworkId,
    accused: &NodeId,
    commit: &[u8],
    receipt: &[u8],
    tally: &[u8],
) -> Result<String, EvidenceError> {
    let commit = Signed::<Commit>::open(network, commit)?;
    let receipt = Signed::<Receipt>::open(network, receipt)?;
    let tally = Signed::<Tally>::open(network, tally)?;
    proves(receipt.signer == *accused && tally.signer == *accused, NOT_THE_ACCUSED)?;
    proves(receipt.body.statement == commit.hash(), "the receipt is for another statement")?;
    let places =
        [(receipt.body.request, receipt.body.attempt), (tally.body.request, tally.body.attempt)];
    let same = places.iter().all(|place| *place == (commit.body.request, commit.body.attempt));
    proves(same, "the statements are about different attempts")?;
    proves(!tally.body.commits.contains(&commit.hash()), "the tally counts the commit")?;
    Ok(format!(
        "gave a receipt for commit {} and left it out of tally {}",
        commit.hash(),
        tally.hash()
    ))
}

/// How an attempt ended: with an agreement or with a wider draw.
struct AttemptEnd {
    kind: &'static str,
    signer: NodeId,
    hash: StatementHash,
    request: RequestId,
    attempt: Attempt,
    reveals: Vec<StatementHash>,
}

impl AttemptEnd {
    fn open(network: &NetworkId, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if Envelope::from_bytes(bytes)?.kind == Widening::KIND {
            let end = Signed::<Widening>::open(network, bytes)?;
            let (signer, hash) = (end.signer, end.hash());
            let Widening { request, attempt, reveals, .. } = end.body;
            return Ok(Self { kind: Widening::KIND, signer, hash, request, attempt, reveals });
        }
        let end = Signed::<Agreement>::open(network, bytes)?;
        let (signer, hash) = (end.signer, end.hash());
        let Agreement { request, attempt, agreeing, dissenting, .. } = end.body;
        let reveals = [agreeing, dissenting].concat();
        Ok(Self { kind: Agreement::KIND, signer, hash, request, attempt, reveals })
    }
}

fn omitted_reveal(
    network: &NetworkId,
    accused: &NodeId,
    reveal: &[u8],
    receipt: &[u8],
    end: &[u8],
) -> Result<String, EvidenceError> {
    let reveal = Signed::<Reveal>::open(network, reveal)?;
    let receipt = Signed::<Receipt>::open(network, receipt)?;
    let end = AttemptEnd::open(network, end)?;
    proves(receipt.signer == *accused && end.signer == *accused, NOT_THE_ACCUSED)?;
    proves(receipt.body.statement == reveal.hash(), "the receipt is for another statement")?;
    let places = [(receipt.body.request, receipt.body.attempt), (end.request, end.attempt)];
    let same = places.iter().all(|place| *place == (reveal.body.request, reveal.body.attempt));
    proves(same, "the statements are about different attempts")?;
    proves(!end.reveals.contains(&reveal.hash()), "the end of the attempt counts the reveal")?;
    let (kind, hash) = (end.kind, end.hash);
    Ok(format!("gave a receipt for reveal {} and left it out of {kind} {hash}", reveal.hash()))
}

fn two_endings(
    network: &NetworkId,
    accused: &NodeId,
    agreement: &[u8],
    failure: &[u8],
) -> Result<String, EvidenceError> {
    let agreement = Signed::<Agreement>::open(network, agreement)?;
    let failure = Signed::<Failure>::open(network, failure)?;
    proves(agreement.signer == *accused && failure.signer == *accused, NOT_THE_ACCUSED)?;
    let same = agreement.body.request == failure.body.request;
    proves(same, "the statements are about different requests")?;
    Ok(format!("ended request {} both agreed and failed", failure.body.request))
}

fn two_histories(
    network: &NetworkId,
    accused: &NodeId,
    first: &[u8],
    second: &[u8],
) -> Result<String, EvidenceError> {
    let text = |note: &[u8]| -> Result<String, EvidenceError> {
        String::from_utf8(note.to_vec())
            .map_err(|_| EvidenceError::ProvesNothing("a checkpoint is not UTF-8"))
    };
    let first = SignedCheckpoint::open(network, accused, &[], &text(first)?)?.head;
    let second = SignedCheckpoint::open(network, accused, &[], &text(second)?)?.head;
    proves(first.size == second.size, "the checkpoints have different sizes")?;
    proves(first.root != second.root, "the checkpoints have the same root")?;
    Ok(format!("signed two checkpoints of size {}: {} and {}", first.size, first.root, second.root))
}
