//! What stands in HTTP bodies: the types, the one table of errors, the table of endpoints, and the
//! OpenAPI document made of them.
//!
//! Everything here is pure: no sockets, no clock, no HTTP library. What a caller sends is parsed
//! strictly (an unknown field is an error, and names itself); what a node answers is read
//! leniently, so that an older client understands a newer node.
//!
//! Nothing that stands in such a body is a proof. Where it matters, a body carries the signed
//! statement in base64, and whoever relies on it verifies that.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `error.rs` | `Code`: every error with its word, status and what a caller may do |
//! | `problem.rs` | `Problem`: an error as it is sent (RFC 9457) |
//! | `input.rs` | bodies and headers of callers, parsed strictly; their limits |
//! | `encoded.rs` | bytes and JSON inside of JSON; the schemas of ids |
//! | `node.rs` | nodes, health, settings |
//! | `round.rs` | rounds, and the original's `/epoch`, `/round`, `/seed` |
//! | `log.rs` | a node's log, and evidence |
//! | `code.rs` | the code store |
//! | `submit.rs` | what a client asks to be run, and its way to a `wire` request |
//! | `request.rs` | a request as it stands |
//! | `event.rs` | what happens to a request, as a stream |
//! | `work.rs` | what a relay and its workers exchange |
//! | `endpoint.rs`, `endpoint/table.rs` | every endpoint |
//! | `openapi.rs` | the OpenAPI 3.1 document |

pub mod code;
pub mod encoded;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod input;
pub mod log;
pub mod node;
pub mod openapi;
pub mod problem;
pub mod request;
pub mod round;
pub mod submit;
pub mod work;

pub use code::{CodeList, CodeStored, CodeView};
pub use encoded::{Base64, Json};
pub use endpoint::{ENDPOINTS, Endpoint};
pub use error::Code;
pub use event::RequestEvent;
pub use log::{EvidenceList, EvidenceView, LogView, WitnessView};
pub use node::{Health, NodeInfo, NodeList, NodeView, Readiness, SettingsView};
pub use problem::Problem;
pub use request::{
    AttemptView, FailureView, FaultView, RequestList, RequestState, RequestView, RevealView,
    WorkerRef,
};
pub use round::{EpochView, RoundEvent, RoundList, RoundNumber, RoundView, SeedView};
pub use submit::{CompatAnswer, CompatSubmit, RequestSubmit};
pub use work::{ReceiptView, StatementSubmit, WorkEvent};
