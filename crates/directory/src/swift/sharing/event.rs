//! What goes into the machine of share nodes, and what comes out.

use std::{collections::BTreeSet, sync::Arc};

use wire::Millis;

use super::super::{SwiftDomain, SwiftNode, json::Refusal, merge::Manager};

/// How share nodes are asked.
#[derive(Debug, Clone)]
pub struct SharingOptions {
    /// From the end of a round to the next, in ms (`storageManagerRefreshMinutes`).
    pub refresh_ms: u64,
    /// How long an answer, or the reading of the stores, may take, in ms.
    pub timeout_ms: u64,
    /// The most stores, volatile ones included (`maxStores`).
    pub max_stores: usize,
    /// The longest way from our own stores to a share node: 1 are those that our stores name.
    pub max_depth: usize,
    /// The most share nodes that are asked at once.
    pub max_parallel: usize,
    /// The wait after a first failure, in ms.
    pub back_off_ms: u64,
    /// The longest wait, in ms.
    pub max_back_off_ms: u64,
    /// How long the last good answer of a silent share node is believed, in ms.
    pub keep_ms: u64,
    /// The domains that this process serves, which are not asked.
    pub served: BTreeSet<SwiftDomain>,
}

impl Default for SharingOptions {
    fn default() -> Self {
        Self {
            refresh_ms: 30 * 60_000,
            timeout_ms: 15_000,
            max_stores: 100,
            max_depth: 8,
            max_parallel: 8,
            back_off_ms: 60_000,
            max_back_off_ms: 6 * 3_600_000,
            keep_ms: 7 * 24 * 3_600_000,
            served: BTreeSet::new(),
        }
    }
}

/// Names one question, so that a late answer is not taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// What one of our own stores gave when it was read.
#[derive(Debug, Clone)]
pub struct StoreReading {
    /// Its name.
    pub name: String,
    /// Whether nodes can be set in it.
    pub is_writable: bool,
    /// Its records, or why there are none.
    pub nodes: Result<Vec<SwiftNode>, String>,
}

/// What happens to the machine. Every `jitter` is any number, all equally likely.
#[derive(Debug, Clone)]
pub enum SharingEvent {
    /// Somebody wants a round now: an operator, or a node was set.
    Refresh,
    /// All own stores were read, in the order of their configuration.
    StoresRead {
        /// One for each store that is configured.
        readings: Vec<StoreReading>,
        /// Spreads the next round.
        jitter: u64,
    },
    /// A share node answered.
    Answered {
        /// Which question.
        ask: AskId,
        /// The HTTP status.
        status: u16,
        /// The body; the shell reads no more than [`super::super::envelope::MAX_ENVELOPE_BYTES`].
        body: Vec<u8>,
        /// Spreads the next question if the answer is bad.
        jitter: u64,
    },
    /// A share node could not be asked.
    Failed {
        /// Which question.
        ask: AskId,
        /// Why, for the log.
        reason: String,
        /// Spreads the next question.
        jitter: u64,
    },
}

/// What the shell is to do.
#[derive(Debug, Clone)]
pub enum SharingEffect {
    /// Read all own stores again, and say so by [`SharingEvent::StoresRead`].
    ReadStores,
    /// GET `/swift/api/v1/share` of the domain.
    Ask {
        /// Which question.
        ask: AskId,
        /// Whom.
        domain: SwiftDomain,
        /// When its time is over.
        deadline: Millis,
    },
    /// Give readers this view.
    View(Arc<Manager>),
    /// Log and count this.
    Warn(SharingWarning),
}

/// What an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharingWarning {
    /// The limit of stores is reached: these share nodes are not asked.
    #[error("max number of stores {max_stores} reached, not polled: {unasked:?}")]
    StoreLimit {
        /// The limit.
        max_stores: usize,
        /// Who is not asked.
        unasked: Vec<SwiftDomain>,
    },
    /// The limit of depth is reached: these share nodes are not asked.
    #[error("max depth {max_depth} reached, not polled: {unasked:?}")]
    DepthLimit {
        /// The limit.
        max_depth: usize,
        /// Who is not asked.
        unasked: Vec<SwiftDomain>,
    },
    /// One of our own stores could not be read; what it last held still counts.
    #[error("store {name:?} not read: {reason}")]
    Store {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The stores were not read in time; what they last held still counts.
    #[error("stores not read in time")]
    StoresLate,
    /// A share node gave no good answer; what it last said still counts for a while.
    #[error("share node '{domain}': {reason}")]
    ShareNode {
        /// Which.
        domain: SwiftDomain,
        /// Why.
        reason: String,
        /// When it last gave a good answer.
        good_since: Option<Millis>,
    },
    /// A share node's answer is good but for some elements.
    #[error("share node '{domain}': {refused} nodes refused")]
    Refused {
        /// Which.
        domain: SwiftDomain,
        /// How many.
        refused: usize,
        /// The first of them.
        first: Vec<Refusal>,
    },
}
