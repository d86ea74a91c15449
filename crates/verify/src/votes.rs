//! What the drawn workers of an attempt said: each draw, commit and reveal, the tally over them, and
//! the agreement.
//!
//! Invariant: a vote counts only if the worker was drawn, committed before anything was shown, and
//! revealed what it had committed to.

use wire::{
    Attempt, NetworkId, NodeId, Signed, StatementHash,
    agreement::{Verdict, decide, required_votes},
    compute::{Commit, Draw, FailureReason, Outcome, Reveal, verify_draw},
    merkle::verify_inclusion,
    round::RoundOpening,
};

use crate::{
    certificate::CertificateError,
    draw::CheckedDraw,
    record::{AttemptParts, Parts, WorkerParts},
};

pub(crate) fn check_worker_draw(
    network: &NetworkId,
    parts: &Parts,
    draw: &CheckedDraw,
    attempt: Attempt,
    worker: &WorkerParts,
    before: &Signed<RoundOpening>,
) -> Result<(), &'static str> {
    let id = parts.request.id();
    let admission = &worker.admission;
    verify_inclusion(&before.body.workers, &worker.roster_proof, &admission.hash().0)
        .map_err(|_| "did not stand on the roster when the seed became known")?;
    let said = &worker.draw.body;
    let belongs = worker.draw.signer == admission.body.node
        && (said.request, said.attempt, said.round) == (id, attempt, draw.round);
    belongs.then_some(()).ok_or("the draw is another one's")?;
    let output = verify_draw(
        network,
        &worker.draw.signer,
        &admission.body.vrf,
        &id,
        attempt,
        &draw.seed,
        &said.proof,
    )
    .map_err(|_| "the VRF proof of the draw does not verify")?;
    draw.threshold.admits(&output).then_some(()).ok_or("was not drawn")?;
    if let Some(commit) = &worker.commit {
        check_commit(commit, &worker.draw)?;
    }
    if let Some(reveal) = &worker.reveal {
        let commit = worker.commit.as_ref().ok_or("revealed without a commit")?;
        check_reveal(reveal, commit)?;
    }
    Ok(())
}

fn check_commit(commit: &Signed<Commit>, draw: &Signed<Draw>) -> Result<(), &'static str> {
    let (said, basis) = (&commit.body, &draw.body);
    let belongs = commit.signer == draw.signer
        && said.draw == draw.hash()
        && (said.request, said.attempt) == (basis.request, basis.attempt);
    belongs.then_some(()).ok_or("the commit does not build on the draw")
}

fn check_reveal(reveal: &Signed<Reveal>, commit: &Signed<Commit>) -> Result<(), &'static str> {
    let (said, basis) = (&reveal.body, &commit.body);
    let belongs = reveal.signer == commit.signer
        && said.commit == commit.hash()
        && (said.request, said.attempt) == (basis.request, basis.attempt);
    belongs.then_some(()).ok_or("the reveal does not build on the commit")?;
    let opens = said.execution.commitment(&basis.draw, &said.salt) == basis.commitment;
    opens.then_some(()).ok_or("the reveal does not open the commitment")
}

/// Checks that the tally names exactly the draws and commits shown, and decides over the reveals.
pub(crate) fn check_votes(
    parts: &Parts,
    attempt: Attempt,
    attempt_parts: &AttemptParts,
    draw: &CheckedDraw,
) -> Result<Verdict, CertificateError> {
    let AttemptParts { tally, workers, .. } = attempt_parts;
    let said = &tally.body;
    let id = parts.request.id();
    let belongs = tally.signer == parts.relay.body.node
        && (said.request, said.attempt, said.round, said.population)
            == (id, attempt, draw.round, draw.population);
    let drawn = sorted(workers.iter().map(|worker| worker.draw.hash()));
    let commits =
        sorted(workers.iter().filter_map(|worker| worker.commit.as_ref().map(Signed::hash)));
    let rules = [
        (belongs, "the tally is another one's"),
        (said.drawn == drawn, "the tally names other draws than those shown"),
        (said.commits == commits, "the tally names other commits than those shown"),
    ];
    for (holds, reason) in rules {
        holds.then_some(()).ok_or(CertificateError::Agreement { attempt, reason })?;
    }
    let reveals = workers.iter().filter_map(|worker| worker.reveal.as_ref());
    let executions = reveals.map(|reveal| &reveal.body.execution);
    let required = required_votes(&parts.request, attempt, draw.population);
    Ok(decide(executions, commits.len(), required))
}

fn sorted(hashes: impl Iterator<Item = StatementHash>) -> Vec<StatementHash> {
    let mut hashes: Vec<_> = hashes.collect();
    hashes.sort_unstable();
    hashes
}

/// Checks that the relay ended an attempt with all that is shown of it; what opens the next one.
pub(crate) fn check_widening(
    parts: &Parts,
    attempt: Attempt,
    attempt_parts: &AttemptParts,
    draw: &CheckedDraw,
    verdict: &Verdict,
) -> Result<StatementHash, CertificateError> {
    let error = |reason| CertificateError::Agreement { attempt, reason };
    let widening = attempt_parts.widening.as_ref();
    let widening = widening.ok_or(error("it is not the last one, and no widening is shown"))?;
    let said = &widening.body;
    let reveals = attempt_parts.workers.iter().filter_map(|worker| worker.reveal.as_ref());
    let reason = match verdict {
        Verdict::Disagreement => FailureReason::Disagreement,
        Verdict::NoQuorum | Verdict::Agreed(_) => FailureReason::NoQuorum,
    };
    let belongs = widening.signer == parts.relay.body.node
        && (said.request, said.attempt, said.round) == (parts.request.id(), attempt, draw.round);
    let rules = [
        (belongs, "the widening is another one's"),
        (said.tally == attempt_parts.tally.hash(), "the widening builds on another tally"),
        (
            said.reveals == sorted(reveals.map(Signed::hash)),
            "the widening names other reveals than those shown",
        ),
        (said.reason == reason, "the widening gives another reason than the votes"),
    ];
    for (holds, reason) in rules {
        holds.then_some(()).ok_or(error(reason))?;
    }
    Ok(widening.hash())
}

pub(crate) fn check_agreement(
    parts: &Parts,
    attempt: Attempt,
    attempt_parts: &AttemptParts,
    verdict: &Verdict,
) -> Result<(), CertificateError> {
    let said = &parts.agreement.body;
    let reveals = || attempt_parts.workers.iter().filter_map(|worker| worker.reveal.as_ref());
    let agrees = |reveal: &&Signed<Reveal>| reveal.body.execution == said.execution;
    let agreeing = sorted(reveals().filter(agrees).map(Signed::hash));
    let dissenting = sorted(reveals().filter(|reveal| !agrees(reveal)).map(Signed::hash));
    let silent: Vec<NodeId> = attempt_parts
        .workers
        .iter()
        .filter(|worker| worker.commit.is_some() && worker.reveal.is_none())
        .map(|worker| worker.admission.body.node)
        .collect();
    let agreed = matches!(verdict, Verdict::Agreed(execution) if *execution == said.execution);
    let rules = [
        (said.attempt == attempt, "the agreement is of another attempt"),
        (said.tally == attempt_parts.tally.hash(), "the agreement builds on another tally"),
        (agreed, "no quorum of the reveals says what the agreement says"),
        (said.agreeing == agreeing, "the agreement names other agreeing reveals than those shown"),
        (said.dissenting == dissenting, "the agreement names other dissents than those shown"),
        (said.silent == silent, "the agreement names other silent workers than those shown"),
    ];
    for (holds, reason) in rules {
        holds.then_some(()).ok_or(CertificateError::Agreement { attempt, reason })?;
    }
    Ok(())
}

pub(crate) fn agreement_in_words(parts: &Parts) -> String {
    let said = &parts.agreement.body;
    let what = match &said.execution.outcome {
        Outcome::Value(value) => {
            let text: String = value.as_str().chars().take(200).collect();
            format!("the result {text}")
        }
        Outcome::Fault(fault) => format!("the fault {:?}", fault.kind),
    };
    format!(
        "agreement: {} signed reveal(s), each opening a commitment made before any was shown, say {what} (quorum {}); {} dissent(s), {} silent",
        said.agreeing.len(),
        parts.request.quorum,
        said.dissenting.len(),
        said.silent.len(),
    )
}
