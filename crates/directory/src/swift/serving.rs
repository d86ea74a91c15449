//! What a node of ours answers to peers: who belongs to the network, and that it is alive.
//!
//! Invariants: only domains that this process serves are answered for, because a share answer is
//! sealed with the asked node's secret and holds all others: answered for a foreign domain, it would
//! hand them to that domain's operator. An unknown host is refused; the reference crashes at it.

use std::collections::BTreeSet;

use super::{
    SwiftDomain, SwiftNode, SwiftRole, SwiftTime, challenge,
    challenge::{ChallengeError, NONCE_BYTES},
    envelope::{self, IV_BYTES},
    excerpt,
    merge::Manager,
    selection::ShareScope,
    writing::{self, Secrets},
};

/// Why a peer is refused: status 400 with this text. The words are the reference's, or what it
/// meant to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// A share answer was wanted of somebody whom we do not serve.
    #[error("host '{0}' is not a SWIFT node")]
    NotANode(String),
    /// A share answer was wanted of a node of another role.
    #[error("domain '{0}' is not a share node")]
    NotAShareNode(SwiftDomain),
    /// An alive check was for somebody whom we do not serve.
    #[error("no node for '{0}'")]
    NoNode(String),
    /// The challenge is none.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
}

/// Which nodes our share nodes tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharePolicy {
    /// Those of all networks, as the reference does.
    #[default]
    AllNetworks,
    /// Those of the share node's own network.
    OwnNetwork,
}

/// Our side of the peers' calls: a view and the domains that this process serves.
#[derive(Debug, Clone, Copy)]
pub struct Serving<'a> {
    /// The view.
    pub manager: &'a Manager,
    /// The domains that are ours to answer for.
    pub served: &'a BTreeSet<SwiftDomain>,
}

impl<'a> Serving<'a> {
    /// The body of `/swift/api/v1/share`: the active nodes, each with one secret, sealed for those
    /// who know the share node's. `iv` is random.
    pub fn share(
        &self,
        host: &str,
        policy: SharePolicy,
        now: SwiftTime,
        is_alive: impl Fn(&SwiftDomain) -> bool,
        iv: [u8; IV_BYTES],
    ) -> Result<Vec<u8>, ServeError> {
        let node = self.node(host).ok_or_else(|| ServeError::NotANode(excerpt(host)))?;
        if node.role != SwiftRole::Share {
            return Err(ServeError::NotAShareNode(node.domain.clone()));
        }
        let scope = match policy {
            SharePolicy::AllNetworks => ShareScope::AllNetworks,
            SharePolicy::OwnNetwork => ShareScope::Network(&node.network),
        };
        let nodes = self.manager.shareable(scope, now, is_alive);
        let list = writing::write_list(&nodes, Secrets::First);
        Ok(envelope::encode(node.first_secret().map(|secret| &secret.key), iv, list.as_bytes()))
    }

    /// The body of `/swift/api/v1/alive`: the nonce of the challenge.
    pub fn alive(&self, host: &str, body: &[u8]) -> Result<[u8; NONCE_BYTES], ServeError> {
        let node = self.node(host).ok_or_else(|| ServeError::NoNode(excerpt(host)))?;
        Ok(challenge::answer(&node.secrets, body)?)
    }

    fn node(&self, host: &str) -> Option<&'a SwiftNode> {
        let entry = self.manager.node_of_host(host)?;
        self.served.contains(&entry.node.domain).then_some(&*entry.node)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::swift::{
        json,
        merge::{Origin, StoreContents},
        samples::{self, NOW, node, share},
    };

    fn bench<T>(check: impl FnOnce(Serving<'_>) -> T) -> T {
        let nodes = [share("s.test"), share("foreign.test"), node("a.test")].map(Arc::new).to_vec();
        let (name, heard_at) = ("own".to_owned(), NOW);
        let store = StoreContents { name, origin: Origin::Writable, heard_at, nodes };
        let manager = Manager::build(vec![store]);
        let served = ["s.test", "a.test", "unknown.test"];
        let served = served.map(|domain| domain.parse().expect("a domain")).into();
        check(Serving { manager: &manager, served: &served })
    }

    fn shared(host: &str) -> Result<Vec<u8>, String> {
        let now = SwiftTime::from_millis(NOW);
        bench(|serving| serving.share(host, SharePolicy::OwnNetwork, now, |_| true, [1; IV_BYTES]))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_share_answer_opens_with_the_share_node_s_secret() {
        let wire = shared("s.test").expect("answered");
        let plain = envelope::decode(&share("s.test").secrets, &wire, 1 << 20).expect("opens");
        assert_eq!(json::read_list(&plain).expect("a list").nodes.len(), 3);
    }

    #[test]
    fn secrets_are_not_told_for_a_domain_that_we_do_not_serve() {
        for host in ["foreign.test", "unknown.test", "S.TEST", "", "a b"] {
            assert_eq!(shared(host), Err(format!("host '{host}' is not a SWIFT node")));
        }
        assert_eq!(shared("a.test"), Err("domain 'a.test' is not a share node".to_owned()));
    }

    #[test]
    fn an_alive_check_for_an_unknown_host_is_refused_not_a_nil_dereference() {
        let error = bench(|serving| serving.alive("x.test", &[])).expect_err("refused");
        assert_eq!(error.to_string(), "no node for 'x.test'");
        let secret = samples::node("a.test").first_secret().map(|secret| secret.key.clone());
        let body = challenge::challenge(secret.as_ref(), &[7; NONCE_BYTES], [1; IV_BYTES]);
        assert_eq!(bench(|serving| serving.alive("a.test", &body)), Ok([7; NONCE_BYTES]));
    }

    #[test]
    fn a_share_answer_sent_back_as_a_challenge_is_not_opened() {
        let wire = shared("s.test").expect("answered");
        let answer = bench(|serving| serving.alive("s.test", &wire));
        assert_eq!(answer, Err(ChallengeError::NotANonce.into()));
    }
}
