//! Which executions agree.
//!
//! Invariant: two different executions can never both be agreed on, whatever the quorum, because the
//! agreed one also has more than half of all who committed; and it takes more than half of those that
//! the draw was expected to find, so a relay that hears only a few accomplices gains nothing by
//! drawing wider. The relay decides by this rule, and whoever checks a certificate decides again.

use std::collections::BTreeMap;

use crate::{
    compute::{Execution, Request, expected_committee},
    encoding,
    id::Attempt,
};

/// How many must say the same in an attempt: the request's quorum, and more than half of the
/// expected committee once the draw has been widened.
pub fn required_votes(request: &Request, attempt: Attempt, population: u64) -> usize {
    let expected = expected_committee(request.committee, attempt, population);
    let majority = expected / 2 + 1;
    usize::try_from(majority).unwrap_or(usize::MAX).max(usize::from(request.quorum))
}

/// What the reveals of an attempt amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Enough workers say the same.
    Agreed(Execution),
    /// Enough workers answered, and they do not say the same.
    Disagreement,
    /// Too few workers answered.
    NoQuorum,
}

/// Decides over the revealed executions of an attempt to which `committed` workers had committed and
/// that takes `required` votes.
pub fn decide<'a>(
    executions: impl Iterator<Item = &'a Execution>,
    committed: usize,
    required: usize,
) -> Verdict {
    let mut votes: BTreeMap<Vec<u8>, (usize, &Execution)> = BTreeMap::new();
    let mut revealed = 0;
    for execution in executions {
        revealed += 1;
        votes.entry(encoding::to_bytes(execution)).or_insert((0, execution)).0 += 1;
    }
    let most = votes.into_values().max_by_key(|(count, _)| *count);
    match most {
        Some((count, execution)) if count >= required && 2 * count > committed => {
            Verdict::Agreed(execution.clone())
        }
        _ if revealed >= required => Verdict::Disagreement,
        _ => Verdict::NoQuorum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CodeHash, compute::Outcome, json::CanonicalJson};

    fn says(value: u32) -> Execution {
        Execution {
            engine: "engine".to_owned(),
            code: Some(CodeHash([1; 32])),
            outcome: Outcome::Value(CanonicalJson::from_value(&value).expect("JSON")),
        }
    }

    #[test]
    fn a_quorum_must_also_be_most_of_those_who_committed() {
        let cases: [(&[u32], usize, usize, Verdict); 8] = [
            (&[1, 1, 2], 3, 2, Verdict::Agreed(says(1))),
            (&[1, 1], 3, 2, Verdict::Agreed(says(1))),
            (&[1, 1, 2, 2], 4, 2, Verdict::Disagreement),
            (&[1, 1], 4, 2, Verdict::Disagreement),
            (&[1, 2, 3], 3, 2, Verdict::Disagreement),
            (&[1], 3, 2, Verdict::NoQuorum),
            (&[], 0, 1, Verdict::NoQuorum),
            (&[1, 1, 1, 2, 2], 5, 3, Verdict::Agreed(says(1))),
        ];
        for (values, committed, required, expected) in cases {
            let executions: Vec<Execution> = values.iter().copied().map(says).collect();
            assert_eq!(decide(executions.iter(), committed, required), expected, "{values:?}");
        }
    }

    #[test]
    fn a_wider_draw_takes_more_votes() {
        let request = |committee, quorum| Request {
            uri: "http://a/".to_owned(),
            code: None,
            params: CanonicalJson::from_text("{}").expect("JSON"),
            committee,
            quorum,
            deadline: crate::Millis(0),
            nonce: crate::Nonce([0; 16]),
        };
        for (committee, quorum, attempt, population, votes) in [
            (3, 2, 0, 1_000, 2),
            (3, 3, 0, 1_000, 3),
            (3, 2, 1, 1_000, 4),
            (3, 2, 2, 1_000, 7),
            (3, 2, 2, 5, 3),
            (3, 2, 9, 12, 7),
            (3, 2, 30, 1_000_000, 129),
            (3, 2, 0, 1, 2),
        ] {
            let got = required_votes(&request(committee, quorum), Attempt(attempt), population);
            assert_eq!(got, votes, "{committee} {attempt} {population}");
        }
    }
}
