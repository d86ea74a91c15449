//! The network's clock: numbered rounds, each with a seed that nobody could foresee.
//!
//! Pure: time is an argument, keys are held, nothing is random. The [`Beacon`] opens rounds, a
//! [`Follower`] checks them and keeps to one chain, [`CurrentSettings`] keeps to the newest version.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `beacon.rs` | the machine that opens rounds |
//! | `follower.rs` | the machine that checks them |
//! | `settings.rs` | versioned, operator-signed parameters |

mod beacon;
mod follower;
mod settings;

pub use beacon::{Beacon, BeaconEffect, BeaconEvent, OpenedRound};
pub use follower::{FollowError, Follower};
pub use settings::{CurrentSettings, SettingsError};
