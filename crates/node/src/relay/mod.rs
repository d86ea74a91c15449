//! The relay's shell: takes requests, draws workers, collects what they say, shows the result.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `task.rs` | the task that drives `compute::Relay` and `placement::Drawn` |
//! | `records.rs` | how its records are stored |
//! | `restore.rs` | open requests as they were stored |
//! | `hub.rs` | what workers are told, and told again when they come back |
//! | `story.rs` | a request as people see it: its events and its view |
//! | `stories.rs` | the stories of all requests, live or from the store |
//! | `certificate.rs` | certificates, made from what is stored |
//! | `routes.rs`, `work_routes.rs` | the endpoints for clients and for workers |

mod certificate;
mod hub;
mod records;
mod restore;
mod routes;
mod stories;
mod story;
mod task;
mod work_routes;

use std::sync::Arc;

use store::Store;
use tokio::sync::mpsc;

use crate::{evidence::EvidenceKeeper, http::Stop, members::Members, rounds::RoundFollower};

pub use task::TaskError;
pub(crate) use task::{RelayParts, RelayTask};

/// The most inputs that wait for the relay's task; more wait at their connection.
pub(crate) const INPUT_QUEUE: usize = 4_096;

/// What the relay's endpoints answer from.
pub(crate) struct RelayDesk {
    pub store: Store,
    pub members: Arc<Members>,
    pub own: wire::NodeId,
    pub rounds: Arc<RoundFollower>,
    pub evidence: Arc<EvidenceKeeper>,
    pub hub: Arc<hub::WorkHub>,
    pub stories: Arc<stories::Stories>,
    pub inputs: mpsc::Sender<task::Input>,
    /// Orders submissions that carry an idempotency key, so that a key is looked up and used as one.
    pub keyed: tokio::sync::Mutex<()>,
    pub code_store_bytes: u64,
    pub stop: Stop,
}

impl RelayDesk {
    pub(crate) fn new_hub() -> Arc<hub::WorkHub> {
        Arc::new(hub::WorkHub::new())
    }

    pub(crate) fn new_stories(store: Store, members: Arc<Members>) -> Arc<stories::Stories> {
        Arc::new(stories::Stories::new(store, members))
    }

    pub(crate) fn routes(self: &Arc<Self>) -> axum::Router {
        routes::routes(self).merge(work_routes::routes(self))
    }
}
