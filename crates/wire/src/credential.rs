//! What a node shows when it calls another one: proof of its key, for this one call.
//!
//! The signature covers the callee, the method, the path with its query, the body and the time, so
//! that a credential is worthless for another call, at another node, or later.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::{
    encoding,
    id::{Millis, NetworkId, NodeId, Signature},
    key::{NodeKey, StatementSigner as _, verify_bytes},
};

/// The header that carries a credential.
pub const HEADER: &str = "quorate-credential";

/// How far the clocks of two nodes may differ, and so how long a credential lasts, in ms.
pub const MAX_SKEW_MS: u64 = 60_000;

/// One call, as both sides see it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The network.
    pub network: &'a NetworkId,
    /// The node that is called.
    pub callee: &'a NodeId,
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Call<'_> {
    fn message(&self, caller: &NodeId, time: Millis) -> Vec<u8> {
        let body: [u8; 32] = Sha256::digest(self.body).into();
        let fields = (self.network, self.callee, caller, time, self.method, self.path);
        let mut message = b"quorate/v1/credential\n".to_vec();
        message.extend_from_slice(&encoding::to_bytes(&fields));
        message.extend_from_slice(&body);
        message
    }
}

/// Why a credential is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The header is not a credential.
    #[error("{HEADER}: not a credential")]
    Malformed,
    /// It was made too long ago, or in the future.
    #[error("{HEADER}: made {0} ms away from this node's clock, at most {MAX_SKEW_MS}")]
    Time(u64),
    /// The signature is not the caller's for this call.
    #[error("{HEADER}: the signature does not verify for this call")]
    Signature,
}

#[derive(Encode, Decode)]
struct Header {
    #[n(0)]
    caller: NodeId,
    #[n(1)]
    time: Millis,
    #[n(2)]
    signature: Signature,
}

/// The header's value for a call made at `now`.
pub fn make(key: &NodeKey, call: &Call<'_>, now: Millis) -> String {
    let caller = key.id();
    let signature = key.sign_bytes(&call.message(&caller, now));
    URL_SAFE_NO_PAD.encode(encoding::to_bytes(&Header { caller, time: now, signature }))
}

/// Who makes the call, by its header.
pub fn check(header: &str, call: &Call<'_>, now: Millis) -> Result<NodeId, CredentialError> {
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| CredentialError::Malformed)?;
    let header: Header =
        encoding::from_bytes("a credential", &bytes).map_err(|_| CredentialError::Malformed)?;
    let skew_ms = now.0.abs_diff(header.time.0);
    if skew_ms > MAX_SKEW_MS {
        return Err(CredentialError::Time(skew_ms));
    }
    let message = call.message(&header.caller, header.time);
    if !verify_bytes(&header.caller, &message, &header.signature) {
        return Err(CredentialError::Signature);
    }
    Ok(header.caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_for_one_call() {
        let key = NodeKey::from_secret([1; 32]);
        let (network, callee, other) = (NetworkId([2; 32]), NodeId([3; 32]), NodeId([4; 32]));
        let call =
            Call { network: &network, callee: &callee, method: "POST", path: "/a?b=1", body: b"x" };
        let now = Millis(1_000_000);
        let header = make(&key, &call, now);
        assert_eq!(check(&header, &call, now.plus(MAX_SKEW_MS)), Ok(key.id()));
        let late = now.plus(MAX_SKEW_MS + 1);
        assert_eq!(check(&header, &call, late), Err(CredentialError::Time(MAX_SKEW_MS + 1)));
        let wrong = [
            Call { callee: &other, ..call },
            Call { method: "GET", ..call },
            Call { path: "/a?b=2", ..call },
            Call { body: b"y", ..call },
        ];
        for call in wrong {
            assert_eq!(check(&header, &call, now), Err(CredentialError::Signature), "{call:?}");
        }
        assert_eq!(check("!", &call, now), Err(CredentialError::Malformed));
    }
}
