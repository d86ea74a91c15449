//! What a compute request's parties say: request, draw, commitment, result, tally, agreement.
//!
//! The way of a request: the relay *received* it, each worker answers the *draw*, those drawn run
//! the script and *commit* to what came out, the relay closes the commits with a *tally*, the
//! workers *reveal*, the relay states the *agreement*, a *widening* of the draw, or the *failure*. Each names what it builds
//! on by hash, so a verifier can walk back from the end.

mod draw;
mod request;
mod vote;

pub use draw::{
    Draw, DrawOpening, Offer, Threshold, expected_committee, prove_draw, script_seed, verify_draw,
};
pub use request::{Received, Request, RequestError};
pub use vote::{
    Agreement, Commit, Execution, Failure, FailureReason, Fault, Outcome, Receipt, Reveal, Tally,
    Widening,
};

/// The longest address of a script, in bytes.
pub const MAX_URI_BYTES: usize = 2_048;
/// The longest canonical parameters, in bytes.
pub const MAX_PARAMS_BYTES: usize = 64 * 1024;
/// The longest script, in bytes.
pub const MAX_CODE_BYTES: usize = 256 * 1024;
/// The longest canonical result, in bytes: an agreement holds it beside the lists of the largest
/// committee, and must still be a statement.
pub const MAX_RESULT_BYTES: usize = 48 * 1024;
/// The longest message of a fault, in bytes.
pub const MAX_FAULT_BYTES: usize = 1_024;
/// The largest committee: what a relay can collect and a statement can list.
pub const MAX_COMMITTEE: u16 = 128;
/// The largest committee to which further attempts widen the draw: a tally lists the draws and
/// commits of all, and chance may add some, in one statement.
pub const MAX_EXPECTED: u64 = 256;
/// The longest name of an engine, in bytes.
pub const MAX_ENGINE_BYTES: usize = 128;
/// The longest word of a fault, in bytes.
pub const MAX_FAULT_KIND_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, Millis, Nonce, json::CanonicalJson, vrf::VrfOutput};

    #[test]
    fn thresholds_widen_up_to_everybody() {
        assert_eq!(Threshold::of(3, Attempt(0), 6), Threshold(1 << 63));
        assert_eq!(Threshold::of(3, Attempt(0), 12), Threshold(1 << 62));
        assert_eq!(Threshold::of(3, Attempt(1), 12), Threshold(1 << 63));
        assert_eq!(Threshold::of(3, Attempt(2), 12), Threshold::ALL);
        assert_eq!(Threshold::of(128, Attempt(u32::MAX), u64::MAX >> 1).0 >> 60, 0);
        assert!(Threshold::ALL.admits(&VrfOutput([0xff; 64])));
        assert!(!Threshold(0).admits(&VrfOutput([0; 64])));
    }

    #[test]
    fn requests_name_the_field_and_its_limit() {
        let good = Request {
            uri: "http://127.0.0.1:1/v1/code/x".to_owned(),
            code: None,
            params: CanonicalJson::from_text("{}").expect("JSON"),
            committee: 3,
            quorum: 2,
            deadline: Millis(1),
            nonce: Nonce([0; 16]),
        };
        assert_eq!(good.check(), Ok(()));
        for (quorum, committee) in [(1, 3), (4, 3), (1, 2), (0, 1)] {
            let bad = Request { quorum, committee, ..good.clone() };
            assert!(
                matches!(bad.check(), Err(RequestError::Quorum { .. })),
                "{quorum} of {committee}"
            );
        }
        let bad = Request { committee: 0, ..good.clone() };
        assert_eq!(bad.check(), Err(RequestError::Committee(0)));
        let other = Request { nonce: Nonce([1; 16]), ..good.clone() };
        assert_ne!(good.id(), other.id());
    }
}
