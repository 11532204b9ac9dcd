//! Layer 2: a meeting and its lobby, one state machine (DESIGN sections 1 and 2). Pure: arrivals, departures, starts and
//! time go in, effects come out. That "the meeting has started" and "the caller waits" live in one place is the point:
//! nobody is left behind with music.
//!
//! - [`roster`]: who is here, and where: waiting or in.
//! - [`room`]: who is let in when, and when it ends.
//! - [`interface`]: what goes in, what comes out, and every timer and bound.

pub mod interface;
pub mod room;
pub mod roster;

pub use interface::{Effect, EndReason, Input, LeaderLeaves, Rules, Settings, Starter, Timer, WaitsFor};
pub use room::Room;

#[cfg(test)]
mod tests;
