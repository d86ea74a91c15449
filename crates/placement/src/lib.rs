//! Where a thing goes. Today *drawn*: which workers run a request, by sortition that anyone can
//! check and nobody can steer.
//!
//! Pure: time is an argument, nothing is random.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `drawn.rs` | the machine that opens draws and takes the workers' answers |
//! | `pace.rs` | how many draws are under way at once |
//! | `rounds.rs` | the rounds that the machine knows, and which of them decides a draw |

mod drawn;
mod pace;
mod rounds;

pub use drawn::{DrawRefusal, Drawn, DrawnEffect, DrawnEvent, Opened};
pub use rounds::RoundView;
