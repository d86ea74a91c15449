//! Statements in, verdicts out: what anyone can check offline, without server code.
//!
//! Invariant: what is accepted was checked down to the operators' keys in the genesis; what is
//! refused comes with the reason; an honest node is never convicted, whatever others signed.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `draw.rs` | that a draw was decided by the one right round |
//! | `certificate.rs` | the certificate of a compute result: reading, checking |
//! | `votes.rs` | what the drawn workers said, and whether they agree |
//! | `record.rs` | the parts of a certificate, and its one rendering as JSON |
//! | `evidence.rs` | statements that cannot all be honest, and the verdict over them |

pub mod certificate;
pub mod draw;
pub mod evidence;
pub mod record;
mod votes;

pub use certificate::{Certificate, CertificateError};
pub use evidence::{Evidence, EvidenceError, Rule, Verdict};
