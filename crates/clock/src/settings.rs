//! The network's parameters as an operator signed them.
//!
//! Invariant: the version only grows, and every document that was applied is an operator's and
//! within its ranges.

use wire::{
    Signed,
    network::{Genesis, NetworkError, Settings},
};

/// Why a settings document is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The signer is no operator, or a value is out of its range.
    #[error(transparent)]
    Record(#[from] NetworkError),
    /// A document of this or a later version is in force.
    #[error("version: {got} is not above {current}, which is in force")]
    Stale {
        /// The version in force.
        current: u64,
        /// The version that was given.
        got: u64,
    },
}

/// The settings in force.
#[derive(Debug, Clone, Default)]
pub struct CurrentSettings {
    statement: Option<Signed<Settings>>,
    defaults: Settings,
}

impl CurrentSettings {
    /// The parameters: the document's, or the defaults (version 0) while there is none.
    pub fn values(&self) -> &Settings {
        self.statement.as_ref().map_or(&self.defaults, |statement| &statement.body)
    }

    /// The document in force.
    pub fn statement(&self) -> Option<&Signed<Settings>> {
        self.statement.as_ref()
    }

    /// Applies a document; `false` if it is the one in force.
    pub fn apply(
        &mut self,
        genesis: &Genesis,
        document: Signed<Settings>,
    ) -> Result<bool, SettingsError> {
        genesis.check_operator(&document)?;
        document.body.check()?;
        if self.statement.as_ref() == Some(&document) {
            return Ok(false);
        }
        let (current, got) = (self.values().version, document.body.version);
        if got <= current {
            return Err(SettingsError::Stale { current, got });
        }
        self.statement = Some(document);
        Ok(true)
    }
}
