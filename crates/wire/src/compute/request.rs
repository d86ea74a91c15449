//! What a client asks for, and the relay's word that it has it.

use minicbor::{Decode, Encode};

use super::{MAX_COMMITTEE, MAX_PARAMS_BYTES, MAX_URI_BYTES};
use crate::{
    encoding,
    id::{CodeHash, Millis, NodeId, Nonce, RequestId},
    json::CanonicalJson,
    network::tagged_hash,
    statement::Body,
};

/// Why a request is not acceptable; names the field and its limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The address is empty or too long.
    #[error("uri: 1 to {MAX_URI_BYTES} bytes, got {0}")]
    Uri(usize),
    /// The parameters are too long.
    #[error("params: at most {MAX_PARAMS_BYTES} bytes of canonical JSON, got {0}")]
    Params(usize),
    /// The committee is out of range.
    #[error("committee: 1 to {MAX_COMMITTEE}, got {0}")]
    Committee(u16),
    /// The quorum is out of range.
    #[error(
        "quorum: more than half of the committee and at most all of it ({least} to {committee}), got {got}"
    )]
    Quorum {
        /// The least quorum for this committee.
        least: u16,
        /// The committee.
        committee: u16,
        /// The quorum that was given.
        got: u16,
    },
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Where the script is: an http or https address.
    #[n(0)]
    pub uri: String,
    /// The hash that the script must have, where the client pins it.
    #[n(1)]
    pub code: Option<CodeHash>,
    /// What the script is called with.
    #[n(2)]
    pub params: CanonicalJson,
    /// How many workers are drawn, as the expected number.
    #[n(3)]
    pub committee: u16,
    /// How many must agree.
    #[n(4)]
    pub quorum: u16,
    /// When the answer is of no use any more.
    #[n(5)]
    pub deadline: Millis,
    /// Tells equal requests apart.
    #[n(6)]
    pub nonce: Nonce,
}

impl Request {
    /// Checks every field but the deadline, which needs a clock.
    pub fn check(&self) -> Result<(), RequestError> {
        if !(1..=MAX_URI_BYTES).contains(&self.uri.len()) {
            return Err(RequestError::Uri(self.uri.len()));
        }
        if self.params.as_str().len() > MAX_PARAMS_BYTES {
            return Err(RequestError::Params(self.params.as_str().len()));
        }
        if !(1..=MAX_COMMITTEE).contains(&self.committee) {
            return Err(RequestError::Committee(self.committee));
        }
        let least = self.committee / 2 + 1;
        if !(least..=self.committee).contains(&self.quorum) {
            let (committee, got) = (self.committee, self.quorum);
            return Err(RequestError::Quorum { least, committee, got });
        }
        Ok(())
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        RequestId(tagged_hash("request", &[&encoding::to_bytes(self)]))
    }
}

/// The relay's word that it has the request, durably.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Received {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// When, by the relay's clock.
    #[n(1)]
    pub received: Millis,
}

impl Body for Received {
    const KIND: &'static str = "received";
    type Signer = NodeId;
    fn position(&self) -> Option<Vec<u8>> {
        Some(encoding::to_bytes(&self.request))
    }
}
