//! The certificate of a compute result: everything that shows, to anyone and offline, that drawn
//! workers agree on it.
//!
//! Invariant: a [`Certificate`] that exists holds. Making one at the relay and reading one from a
//! file go through the same checks, so a relay cannot hand out one that a verifier would refuse.

use std::collections::BTreeMap;

use wire::{
    Attempt, CodeHash, Millis, NetworkId, NodeId, Round, Signed, StatementHash,
    agreement::Verdict,
    compute::{Execution, Outcome, RequestError},
    network::{Admission, NetworkError, Role},
    round::RoundOpening,
};

use crate::{
    draw::{CheckedDraw, DrawContext, DrawError, Opener, check_link, check_opening},
    record::{AttemptParts, FormatError, MAX_CERTIFICATE_BYTES, Parts},
    votes::{agreement_in_words, check_agreement, check_votes, check_widening, check_worker_draw},
};

/// Why a certificate is refused.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file is no certificate, or a statement in it does not verify.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file differs from the one rendering of what it holds.
    #[error(
        "line {line}: differs from the one rendering of the signed parts: expected {expected:?}"
    )]
    NotCanonical {
        /// The first line that differs, from 1.
        line: usize,
        /// What it should say.
        expected: String,
    },
    /// Another network than the one that was asked for.
    #[error("network: the certificate is of {got}, expected {expected}")]
    Network {
        /// What was asked for.
        expected: NetworkId,
        /// What the certificate is of.
        got: NetworkId,
    },
    /// A node's admission does not hold.
    #[error("the admission of {name}: {source}")]
    Admission {
        /// The node's name.
        name: String,
        /// Why.
        source: NetworkError,
    },
    /// A node does not hold the role that it acts in.
    #[error("{name} is not admitted as {role}")]
    Role {
        /// The node's name.
        name: String,
        /// The role.
        role: Role,
    },
    /// A node's admission was not in force.
    #[error("the admission of {name} was not in force when round {round} opened")]
    NotCurrent {
        /// The node's name.
        name: String,
        /// The round.
        round: Round,
    },
    /// The request is out of its limits.
    #[error("the request: {0}")]
    Request(#[from] RequestError),
    /// The rounds or the draw do not hold.
    #[error("attempt {}: {source}", attempt.0)]
    Draw {
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        source: DrawError,
    },
    /// The chain of rounds does not hold.
    #[error("the chain of rounds: {0}")]
    Chain(DrawError),
    /// A worker's part does not hold.
    #[error("attempt {}: worker {worker}: {reason}", attempt.0)]
    Worker {
        /// Which attempt.
        attempt: Attempt,
        /// The worker's name.
        worker: String,
        /// Why.
        reason: &'static str,
    },
    /// The parts do not belong together.
    #[error("{0}")]
    Mismatch(&'static str),
    /// The result is not what the workers agreed on.
    #[error("attempt {}: {reason}", attempt.0)]
    Agreement {
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        reason: &'static str,
    },
    /// The script is not the one that ran.
    #[error("code: the script shown has hash {got}, the workers ran {expected}")]
    Code {
        /// What ran.
        expected: String,
        /// What is shown.
        got: CodeHash,
    },
}

/// A certificate that holds.
#[derive(Debug, Clone)]
pub struct Certificate {
    parts: Parts,
    json: Vec<u8>,
    checks: Vec<String>,
}

impl Certificate {
    /// Checks the parts and makes a certificate of them.
    pub fn new(parts: Parts) -> Result<Self, CertificateError> {
        let mut checks = Vec::new();
        check(&parts, &mut checks)?;
        let json = parts.to_json();
        if json.len() > MAX_CERTIFICATE_BYTES {
            return Err(FormatError::TooLong(json.len()).into());
        }
        Ok(Self { parts, json, checks })
    }

    /// Reads a certificate and checks all of it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Self::new(Parts::from_json(bytes)?)?;
        if certificate.json != bytes {
            return Err(first_difference(&certificate.json, bytes));
        }
        Ok(certificate)
    }

    /// Checks that it is of the network that the reader trusts.
    pub fn expect_network(&self, expected: &NetworkId) -> Result<(), CertificateError> {
        let got = self.network();
        let error = CertificateError::Network { expected: *expected, got };
        (got == *expected).then_some(()).ok_or(error)
    }

    /// The network whose operators vouch for the nodes.
    pub fn network(&self) -> NetworkId {
        self.parts.genesis.id()
    }

    /// The rendering.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What was checked, in words.
    pub fn checks(&self) -> &[String] {
        &self.checks
    }

    /// What was agreed on.
    pub fn execution(&self) -> &Execution {
        &self.parts.agreement.body.execution
    }
}

fn first_difference(rendered: &[u8], given: &[u8]) -> CertificateError {
    let rendered = String::from_utf8_lossy(rendered);
    let given = String::from_utf8_lossy(given);
    let mut given_lines = given.split('\n');
    for (number, expected) in rendered.split('\n').enumerate() {
        if given_lines.next() != Some(expected) {
            let expected = expected.chars().take(120).collect();
            return CertificateError::NotCanonical { line: number + 1, expected };
        }
    }
    let line = rendered.split('\n').count();
    CertificateError::NotCanonical { line, expected: "the end".to_owned() }
}

fn check(parts: &Parts, checks: &mut Vec<String>) -> Result<(), CertificateError> {
    let network = parts.genesis.id();
    check_networks(parts)?;
    check_admission(parts, &parts.beacon, Role::Beacon)?;
    check_admission(parts, &parts.relay, Role::Relay)?;
    checks.push(format!(
        "network {:?} ({network}): {} operator key(s) vouch for beacon {:?}, relay {:?} and every worker below",
        parts.genesis.name,
        parts.genesis.operators.len(),
        parts.beacon.body.name,
        parts.relay.body.name,
    ));
    let id = check_request(parts)?;
    checks.push(format!(
        "request {id}: expected committee {}, quorum {}; received and logged by {:?} before the first draw",
        parts.request.committee, parts.request.quorum, parts.relay.body.name
    ));
    let rounds = check_rounds(parts, checks)?;
    let mut opener = Opener { statement: parts.received.hash(), after: Round(0) };
    let last = parts.attempts.len().checked_sub(1);
    let last = last.ok_or(CertificateError::Mismatch("attempts: there is none"))?;
    for (number, attempt_parts) in parts.attempts.iter().enumerate() {
        let attempt = Attempt(u32::try_from(number).expect("a file is not that long"));
        let draw = check_draw(parts, &rounds, attempt, &opener, attempt_parts)?;
        let verdict = check_votes(parts, attempt, attempt_parts, &draw)?;
        let count = attempt_parts.workers.len();
        checks.push(format!(
            "draw {number} in round {}: {count} of {} workers drawn, each with its VRF proof below the threshold, on the roster before the seed was known",
            draw.round, draw.population
        ));
        if number < last {
            let reason = "it agreed, and the relay drew again";
            let open = !matches!(verdict, Verdict::Agreed(_));
            open.then_some(()).ok_or(CertificateError::Agreement { attempt, reason })?;
            let widening = check_widening(parts, attempt, attempt_parts, &draw, &verdict)?;
            opener = Opener { statement: widening, after: draw.round };
        } else {
            let reason = "it is the last one, and was widened";
            let last = attempt_parts.widening.is_none();
            last.then_some(()).ok_or(CertificateError::Agreement { attempt, reason })?;
            check_agreement(parts, attempt, attempt_parts, &verdict)?;
            checks.push(agreement_in_words(parts));
        }
    }
    check_code(parts, checks)
}

/// A file names one network; parts in memory could be of several.
fn check_networks(parts: &Parts) -> Result<(), CertificateError> {
    let network = parts.genesis.id();
    let singles = [
        parts.beacon.network,
        parts.relay.network,
        parts.received.network,
        parts.agreement.network,
    ];
    let rounds = parts.rounds.iter().map(|round| round.network);
    let tallies = parts.attempts.iter().map(|attempt| attempt.tally.network);
    let workers = parts.attempts.iter().flat_map(|attempt| &attempt.workers);
    let votes = workers.flat_map(|worker| {
        let commit = worker.commit.as_ref().map(|commit| commit.network);
        let reveal = worker.reveal.as_ref().map(|reveal| reveal.network);
        let drawn = [worker.admission.network, worker.draw.network];
        drawn.into_iter().chain(commit).chain(reveal)
    });
    let mut all = singles.into_iter().chain(rounds).chain(tallies).chain(votes);
    let reason = "a statement belongs to another network than the genesis";
    all.all(|of| of == network).then_some(()).ok_or(CertificateError::Mismatch(reason))
}

fn check_admission(
    parts: &Parts,
    admission: &Signed<Admission>,
    role: Role,
) -> Result<(), CertificateError> {
    let name = || admission.body.name.chars().take(80).collect::<String>();
    let record = parts.genesis.check_operator(admission).and_then(|()| admission.body.check());
    record.map_err(|source| CertificateError::Admission { name: name(), source })?;
    let holds = admission.body.roles.contains(role);
    holds.then_some(()).ok_or_else(|| CertificateError::Role { name: name(), role })
}

fn check_current(
    admission: &Signed<Admission>,
    opened: Millis,
    round: Round,
) -> Result<(), CertificateError> {
    let error = || CertificateError::NotCurrent { name: admission.body.name.clone(), round };
    admission.body.is_current(opened).then_some(()).ok_or_else(error)
}

fn check_request(parts: &Parts) -> Result<wire::RequestId, CertificateError> {
    parts.request.check()?;
    let id = parts.request.id();
    let received = &parts.received;
    let agreement = &parts.agreement;
    let relay = parts.relay.body.node;
    let rules = [
        (received.body.request == id, "received: is about another request"),
        (received.signer == relay, "received: is not signed by the relay"),
        (agreement.body.request == id, "agreement: is about another request"),
        (agreement.signer == relay, "agreement: is not signed by the relay"),
        (
            received.body.received < parts.request.deadline,
            "received: the deadline had passed when the request was received",
        ),
    ];
    for (holds, reason) in rules {
        holds.then_some(()).ok_or(CertificateError::Mismatch(reason))?;
    }
    Ok(id)
}

type RoundsByNumber<'a> = BTreeMap<Round, &'a Signed<RoundOpening>>;

fn check_rounds<'a>(
    parts: &'a Parts,
    checks: &mut Vec<String>,
) -> Result<RoundsByNumber<'a>, CertificateError> {
    let network = parts.genesis.id();
    let beacon = &parts.beacon.body;
    let (mut links, mut gaps) = (0, 0);
    let sorted = parts.rounds.windows(2).all(|pair| pair[0].body.round < pair[1].body.round);
    sorted.then_some(()).ok_or(CertificateError::Mismatch("rounds: not in order"))?;
    for pair in parts.rounds.windows(2) {
        if pair[1].body.round == pair[0].body.round.next() {
            check_link(&network, beacon, &pair[0], &pair[1]).map_err(CertificateError::Chain)?;
            links += 1;
        } else {
            gaps += 1;
        }
    }
    let (Some(first), Some(last)) = (parts.rounds.first(), parts.rounds.last()) else {
        return Err(CertificateError::Mismatch("rounds: there is none"));
    };
    // Round 0 is the genesis, which nobody signs; it would be the round before itself.
    (first.body.round > Round(0))
        .then_some(())
        .ok_or(CertificateError::Mismatch("rounds: they begin with 1"))?;
    for round in &parts.rounds {
        if round.signer != beacon.node {
            return Err(CertificateError::Chain(DrawError::NotBeacon(round.body.round)));
        }
        check_current(&parts.beacon, round.body.opened, round.body.round)?;
    }
    let mut from = format!("from round {}, which the beacon signed", first.body.round);
    if first.body.round == Round(1) {
        let seed = parts.genesis.seed();
        let body = &first.body;
        let good = body.previous == StatementHash(network.0)
            && first.signer == beacon.node
            && wire::round::verify_seed(
                &network,
                &beacon.vrf,
                &seed,
                body.round,
                &body.seed,
                &body.proof,
            )
            .is_ok();
        let reason = "rounds: round 1 does not follow from the genesis";
        good.then_some(()).ok_or(CertificateError::Mismatch(reason))?;
        links += 1;
        "from the genesis".clone_into(&mut from);
    }
    let behind_gaps = match gaps {
        0 => String::new(),
        _ => format!("; behind each of {gaps} gap(s) from a round which the beacon signed"),
    };
    checks.push(format!(
        "seed chain: {links} VRF link(s) {from}, up to round {}{behind_gaps}",
        last.body.round
    ));
    Ok(parts.rounds.iter().map(|round| (round.body.round, round)).collect())
}

fn check_draw(
    parts: &Parts,
    rounds: &RoundsByNumber<'_>,
    attempt: Attempt,
    opener: &Opener,
    attempt_parts: &AttemptParts,
) -> Result<CheckedDraw, CertificateError> {
    let network = &parts.genesis.id();
    let (beacon, relay) = (&parts.beacon.body, &parts.relay.body.node);
    let tally = &attempt_parts.tally;
    let missing = CertificateError::Mismatch("rounds: one that decides a draw is missing");
    let (Some(decides), Some(before)) =
        (rounds.get(&tally.body.round), rounds.get(&tally.body.round.previous()))
    else {
        return Err(missing);
    };
    let committee = parts.request.committee;
    let context = DrawContext { network, beacon, relay, committee, attempt };
    let draw = check_opening(&context, opener, &attempt_parts.opening, before, decides)
        .map_err(|source| CertificateError::Draw { attempt, source })?;
    check_current(&parts.relay, decides.body.opened, draw.round)?;
    let mut previous: Option<NodeId> = None;
    for worker in &attempt_parts.workers {
        check_admission(parts, &worker.admission, Role::Worker)?;
        check_current(&worker.admission, before.body.opened, draw.round)?;
        let node = worker.admission.body.node;
        if previous.is_some_and(|previous| previous >= node) {
            return Err(CertificateError::Mismatch("workers: one stands twice, or out of order"));
        }
        previous = Some(node);
        check_worker_draw(network, parts, &draw, attempt, worker, before).map_err(|reason| {
            let worker = worker.admission.body.name.clone();
            CertificateError::Worker { attempt, worker, reason }
        })?;
    }
    Ok(draw)
}

fn check_code(parts: &Parts, checks: &mut Vec<String>) -> Result<(), CertificateError> {
    let agreed = &parts.agreement.body.execution;
    let ran = agreed.code;
    if ran.is_none() && matches!(agreed.outcome, Outcome::Value(_)) {
        let reason = "code: a value, and no script that gave it";
        return Err(CertificateError::Mismatch(reason));
    }
    if let (Some(pinned), Some(ran)) = (parts.request.code, ran) {
        let reason = "code: the workers ran another script than the request pinned";
        (pinned == ran).then_some(()).ok_or(CertificateError::Mismatch(reason))?;
    }
    if let Some(source) = &parts.code {
        let got = CodeHash::of(source.as_bytes());
        if ran != Some(got) {
            let expected = ran.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
            return Err(CertificateError::Code { expected, got });
        }
    }
    let pinned = if parts.request.code.is_some() { ", which the request pinned" } else { "" };
    let shown = if parts.code.is_some() { "; the script shown has this hash" } else { "" };
    let engine = &agreed.engine;
    checks.push(match ran {
        Some(hash) => {
            format!("code: every agreeing worker ran {hash}{pinned}{shown}; engine {engine}")
        }
        None => {
            format!("code: the script could not be had, say the agreeing workers; engine {engine}")
        }
    });
    Ok(())
}
