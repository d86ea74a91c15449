//! Workers that lie, for tests only: this file is compiled with the feature `adversary`, which no
//! release has.

use wire::{
    NodeId, Signed,
    compute::{Execution, Reveal},
};

use crate::worker::WorkerParts;

/// How a worker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conduct {
    /// As it should.
    #[default]
    Honest,
    /// Every result is a lie.
    Lies,
    /// It signs a second, different reveal for every job.
    AnswersTwice,
}

impl std::str::FromStr for Conduct {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "honest" => Ok(Self::Honest),
            "lies" => Ok(Self::Lies),
            "answers-twice" => Ok(Self::AnswersTwice),
            _ => Err(format!("expected honest, lies or answers-twice, got {text:?}")),
        }
    }
}

impl Conduct {
    pub(crate) fn change(self, execution: Execution) -> Execution {
        match self {
            Self::Lies => crate::worker::lie(&execution),
            Self::Honest | Self::AnswersTwice => execution,
        }
    }

    pub(crate) fn before_reveal(self, parts: &WorkerParts, relay: NodeId, reveal: &Signed<Reveal>) {
        if self != Self::AnswersTwice {
            return;
        }
        let second =
            Reveal { execution: crate::worker::lie(&reveal.body.execution), ..reveal.body.clone() };
        let second = Signed::sign(reveal.network, &*parts.key, second);
        let parts = parts.clone();
        tokio::spawn(async move {
            let snapshot = parts.members.snapshot();
            if let Some(admission) = snapshot.node(&relay)
                && let Ok(client) = parts.peers.client(&admission.body)
            {
                // After the honest one, which is on its way.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                let _ = client.post_work("/v1/work/reveal", &second).await;
            }
        });
    }
}
