//! The code store: scripts under the hash of their bytes.
//!
//! A script's bytes are a raw body both ways. Whoever reads one checks the hash that it asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{CodeHash, Millis};

use crate::encoded::CodeHashText;

/// The media type of a script.
pub const MEDIA_TYPE: &str = "text/javascript";

/// A script has been stored: `POST /v1/code`. Storing it again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeStored {
    /// The hash of its bytes.
    #[schemars(with = "CodeHashText")]
    pub hash: CodeHash,
    /// The address under which workers find it, for a request's `uri`.
    pub uri: String,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// A script of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeView {
    /// The hash of its bytes.
    #[schemars(with = "CodeHashText")]
    pub hash: CodeHash,
    /// Its length, in bytes.
    pub bytes: u64,
    /// When it was first stored, in ms since the Unix epoch.
    #[schemars(with = "u64")]
    pub stored_ms: Millis,
}

/// A page of the code store, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CodeList {
    /// The scripts.
    pub code: Vec<CodeView>,
    /// Where the next page begins (`cursor`); absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
