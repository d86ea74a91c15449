//! Which executions agree.
//!
//! Invariant: two different executions can never both be agreed on, whatever the quorum, because the
//! agreed one also has more than half of all who committed. The relay decides by this rule, and
//! whoever checks a certificate decides again.

use std::collections::BTreeMap;

use crate::{compute::Execution, encoding};

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

/// Decides over the revealed executions of an attempt to which `committed` workers had committed.
pub fn decide<'a>(
    executions: impl Iterator<Item = &'a Execution>,
    committed: usize,
    quorum: u16,
) -> Verdict {
    let mut votes: BTreeMap<Vec<u8>, (usize, &Execution)> = BTreeMap::new();
    let mut revealed = 0;
    for execution in executions {
        revealed += 1;
        votes.entry(encoding::to_bytes(execution)).or_insert((0, execution)).0 += 1;
    }
    let most = votes.into_values().max_by_key(|(count, _)| *count);
    match most {
        Some((count, execution)) if count >= usize::from(quorum) && 2 * count > committed => {
            Verdict::Agreed(execution.clone())
        }
        _ if revealed >= usize::from(quorum) => Verdict::Disagreement,
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
        let cases: [(&[u32], usize, u16, Verdict); 8] = [
            (&[1, 1, 2], 3, 2, Verdict::Agreed(says(1))),
            (&[1, 1], 3, 2, Verdict::Agreed(says(1))),
            (&[1, 1, 2, 2], 4, 2, Verdict::Disagreement),
            (&[1, 1], 4, 2, Verdict::Disagreement),
            (&[1, 2, 3], 3, 2, Verdict::Disagreement),
            (&[1], 3, 2, Verdict::NoQuorum),
            (&[], 0, 1, Verdict::NoQuorum),
            (&[1, 1, 1, 2, 2], 5, 3, Verdict::Agreed(says(1))),
        ];
        for (values, committed, quorum, expected) in cases {
            let executions: Vec<Execution> = values.iter().copied().map(says).collect();
            assert_eq!(decide(executions.iter(), committed, quorum), expected, "{values:?}");
        }
    }
}
