//! The parts of a certificate, and its one rendering as JSON.
//!
//! Invariant: a certificate has one rendering, byte for byte. What people read in it (`summary`) is
//! derived from the signed parts and rendered with them, so it cannot say anything else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use wire::{
    Body, NetworkId, NodeId, Signed, StatementError,
    compute::{
        Agreement, Commit, Draw, DrawOpening, Execution, Outcome, Received, Request, Reveal, Tally,
        Widening,
    },
    encoding::{self, EncodingError},
    merkle::InclusionProof,
    network::{Admission, Genesis, GenesisError},
    round::RoundOpening,
};

/// The name of the format.
pub const FORMAT: &str = "quorate/certificate/v1";

/// The longest certificate that is read, in bytes: the largest committee, each with its own result
/// of the largest size, in base64.
pub const MAX_CERTIFICATE_BYTES: usize = 32 * 1024 * 1024;

/// All parts of a certificate; each statement's signature verifies, nothing else is checked yet.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The network's genesis.
    pub genesis: Genesis,
    /// Who opens the rounds.
    pub beacon: Signed<Admission>,
    /// Who collected the results.
    pub relay: Signed<Admission>,
    /// What was asked.
    pub request: Request,
    /// The script, where it is known and shown.
    pub code: Option<String>,
    /// When the relay had the request.
    pub received: Signed<Received>,
    /// The rounds, in order: those that decided draws, the one before each, and a few before the
    /// first.
    pub rounds: Vec<Signed<RoundOpening>>,
    /// The draws, in order; the last one agreed.
    pub attempts: Vec<AttemptParts>,
    /// What was agreed on.
    pub agreement: Signed<Agreement>,
}

/// One draw of a request.
#[derive(Debug, Clone)]
pub struct AttemptParts {
    /// Why it was this round.
    pub opening: DrawOpening,
    /// Which draws and commits count.
    pub tally: Signed<Tally>,
    /// Those who were drawn, by node.
    pub workers: Vec<WorkerParts>,
    /// That it ended without an agreement; the last one has none.
    pub widening: Option<Signed<Widening>>,
}

/// One drawn worker.
#[derive(Debug, Clone)]
pub struct WorkerParts {
    /// The operator's word that it belongs to the network.
    pub admission: Signed<Admission>,
    /// That it stood on the roster before the seed was known.
    pub roster_proof: InclusionProof,
    /// That it was drawn.
    pub draw: Signed<Draw>,
    /// What it committed to.
    pub commit: Option<Signed<Commit>>,
    /// What that was.
    pub reveal: Option<Signed<Reveal>>,
}

/// Why a file is not a rendering of parts.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Too long.
    #[error("a certificate has at most {MAX_CERTIFICATE_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// Not the JSON of a certificate.
    #[error("not a certificate: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("format: expected {FORMAT:?}, got {0:?}")]
    Format(String),
    /// A part is not base64.
    #[error("{what}: not base64")]
    Base64 {
        /// Which part.
        what: &'static str,
    },
    /// A part is not what it should be.
    #[error("{what}: {source}")]
    Encoding {
        /// Which part.
        what: &'static str,
        /// Why.
        source: EncodingError,
    },
    /// A statement does not verify.
    #[error("{what}: {source}")]
    Statement {
        /// Which part.
        what: &'static str,
        /// Why.
        source: StatementError,
    },
    /// The genesis is not one.
    #[error("genesis: {0}")]
    Genesis(#[from] GenesisError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<Summary> {
    format: String,
    summary: Summary,
    genesis: String,
    beacon: String,
    relay: String,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    code: Option<String>,
    received: String,
    rounds: Vec<String>,
    attempts: Vec<AttemptFile>,
    agreement: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptFile {
    opening: String,
    tally: String,
    workers: Vec<WorkerFile>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    widening: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerFile {
    admission: String,
    roster_proof: String,
    draw: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reveal: Option<String>,
}

/// What a certificate says, for people.
#[derive(Serialize)]
struct Summary<'a> {
    network: &'a str,
    network_id: NetworkId,
    request: wire::RequestId,
    uri: &'a str,
    code: Option<wire::CodeHash>,
    params: serde_json::Value,
    #[serde(flatten)]
    outcome: OutcomeView,
    engine: &'a str,
    committee: u16,
    quorum: u16,
    agreeing: usize,
    dissenting: usize,
    silent: usize,
    relay: &'a str,
    beacon: &'a str,
    attempts: Vec<AttemptSummary<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeView {
    Result(serde_json::Value),
    ResultStart(String),
    Fault(wire::compute::Fault),
}

impl From<&Outcome> for OutcomeView {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Value(value) => Self::Result(value.to_value()),
            Outcome::Fault(fault) => Self::Fault(fault.clone()),
        }
    }
}

/// The most that is shown of what a single worker says, in bytes: a dissenter chooses it, and
/// rendered for people it grows with its depth.
const MAX_SAYS_BYTES: usize = 256;

impl OutcomeView {
    fn start_of(outcome: &Outcome) -> Self {
        let start = |text: &str| text.chars().take(MAX_SAYS_BYTES).collect::<String>();
        match outcome {
            Outcome::Value(value) if value.as_str().len() <= MAX_SAYS_BYTES => outcome.into(),
            Outcome::Value(value) => Self::ResultStart(start(value.as_str())),
            Outcome::Fault(fault) => Self::Fault(wire::compute::Fault {
                kind: start(&fault.kind),
                message: start(&fault.message),
            }),
        }
    }
}

#[derive(Serialize)]
struct AttemptSummary<'a> {
    round: wire::Round,
    drawn: Vec<WorkerSummary<'a>>,
}

#[derive(Serialize)]
struct WorkerSummary<'a> {
    name: &'a str,
    node: NodeId,
    vote: &'static str,
    #[serde(flatten)]
    says: Option<OutcomeView>,
}

fn statement<B: Body>(
    what: &'static str,
    network: &NetworkId,
    text: &str,
) -> Result<Signed<B>, FormatError> {
    let bytes = STANDARD.decode(text).map_err(|_| FormatError::Base64 { what })?;
    Signed::open(network, &bytes).map_err(|source| FormatError::Statement { what, source })
}

fn value<T>(what: &'static str, text: &str) -> Result<T, FormatError>
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let bytes = STANDARD.decode(text).map_err(|_| FormatError::Base64 { what })?;
    encoding::from_bytes(what, &bytes).map_err(|source| FormatError::Encoding { what, source })
}

fn shown<B: Body>(statement: &Signed<B>) -> String {
    STANDARD.encode(statement.bytes())
}

impl Parts {
    /// Reads the parts of a rendering; it may still differ from the one rendering of these parts.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(FormatError::TooLong(bytes.len()));
        }
        // The summary is compared as text; values in it may be nested deeper than a reader goes.
        let file: File<IgnoredAny> = serde_json::from_slice(bytes)?;
        if file.format != FORMAT {
            return Err(FormatError::Format(file.format.chars().take(80).collect()));
        }
        let genesis_bytes =
            STANDARD.decode(&file.genesis).map_err(|_| FormatError::Base64 { what: "genesis" })?;
        let genesis = Genesis::open(&genesis_bytes)?;
        let network = &genesis.id();
        let rounds = file.rounds.iter().map(|text| statement("rounds", network, text));
        let attempts = file.attempts.iter().map(|attempt| attempt.parts(network));
        Ok(Self {
            beacon: statement("beacon", network, &file.beacon)?,
            relay: statement("relay", network, &file.relay)?,
            request: value("request", &file.request)?,
            code: file.code,
            received: statement("received", network, &file.received)?,
            rounds: rounds.collect::<Result<_, _>>()?,
            attempts: attempts.collect::<Result<_, _>>()?,
            agreement: statement("agreement", network, &file.agreement)?,
            genesis,
        })
    }

    /// The rendering.
    pub fn to_json(&self) -> Vec<u8> {
        let mut summary = serde_json::to_value(self.summary()).expect("a summary is JSON");
        // In one order, whatever features other crates choose for serde_json.
        summary.sort_all_objects();
        let file = File {
            format: FORMAT.to_owned(),
            summary,
            genesis: STANDARD.encode(self.genesis.bytes()),
            beacon: shown(&self.beacon),
            relay: shown(&self.relay),
            request: STANDARD.encode(encoding::to_bytes(&self.request)),
            code: self.code.clone(),
            received: shown(&self.received),
            rounds: self.rounds.iter().map(shown).collect(),
            attempts: self.attempts.iter().map(AttemptFile::of).collect(),
            agreement: shown(&self.agreement),
        };
        let mut json = serde_json::to_vec_pretty(&file).expect("a certificate is JSON");
        json.push(b'\n');
        json
    }

    fn summary(&self) -> Summary<'_> {
        let agreed = &self.agreement.body;
        Summary {
            network: &self.genesis.name,
            network_id: self.genesis.id(),
            request: agreed.request,
            uri: &self.request.uri,
            code: agreed.execution.code,
            params: self.request.params.to_value(),
            outcome: OutcomeView::from(&agreed.execution.outcome),
            engine: &agreed.execution.engine,
            committee: self.request.committee,
            quorum: self.request.quorum,
            agreeing: agreed.agreeing.len(),
            dissenting: agreed.dissenting.len(),
            silent: agreed.silent.len(),
            relay: &self.relay.body.name,
            beacon: &self.beacon.body.name,
            attempts: self
                .attempts
                .iter()
                .map(|attempt| AttemptSummary {
                    round: attempt.tally.body.round,
                    drawn: attempt
                        .workers
                        .iter()
                        .map(|worker| worker.summary(&agreed.execution))
                        .collect(),
                })
                .collect(),
        }
    }
}

impl WorkerParts {
    fn summary(&self, agreed: &Execution) -> WorkerSummary<'_> {
        let execution = self.reveal.as_ref().map(|reveal| &reveal.body.execution);
        WorkerSummary {
            name: &self.admission.body.name,
            node: self.admission.body.node,
            vote: match execution {
                Some(execution) if execution == agreed => "agrees",
                Some(_) => "dissents",
                None => "silent",
            },
            says: execution.map(|execution| OutcomeView::start_of(&execution.outcome)),
        }
    }
}

impl AttemptFile {
    fn of(attempt: &AttemptParts) -> Self {
        let workers = attempt.workers.iter().map(|worker| WorkerFile {
            admission: shown(&worker.admission),
            roster_proof: STANDARD.encode(encoding::to_bytes(&worker.roster_proof)),
            draw: shown(&worker.draw),
            commit: worker.commit.as_ref().map(shown),
            reveal: worker.reveal.as_ref().map(shown),
        });
        Self {
            opening: STANDARD.encode(encoding::to_bytes(&attempt.opening)),
            tally: shown(&attempt.tally),
            workers: workers.collect(),
            widening: attempt.widening.as_ref().map(shown),
        }
    }

    fn parts(&self, network: &NetworkId) -> Result<AttemptParts, FormatError> {
        let worker = |worker: &WorkerFile| -> Result<WorkerParts, FormatError> {
            let commit = worker.commit.as_deref().map(|text| statement("commit", network, text));
            let reveal = worker.reveal.as_deref().map(|text| statement("reveal", network, text));
            Ok(WorkerParts {
                admission: statement("admission", network, &worker.admission)?,
                roster_proof: value("roster_proof", &worker.roster_proof)?,
                draw: statement("draw", network, &worker.draw)?,
                commit: commit.transpose()?,
                reveal: reveal.transpose()?,
            })
        };
        Ok(AttemptParts {
            opening: value("opening", &self.opening)?,
            tally: statement("tally", network, &self.tally)?,
            workers: self.workers.iter().map(worker).collect::<Result<_, _>>()?,
            widening: self
                .widening
                .as_deref()
                .map(|text| statement("widening", network, text))
                .transpose()?,
        })
    }
}
