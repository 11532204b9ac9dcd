//! Layer 2: the auto attendant, which leads one caller from "Welcome." to a meeting (DESIGN section 1). Pure: keys,
//! answers and time go in, effects come out.
//!
//! ```text
//!             known, seat taken                          * within 5 s
//!  conference ID ──────────────► organizer? ──────────────────────────────► PIN ──► right: the meeting starts
//!   │  ▲  │                       │ silence                                 │ ▲
//!   │  └──┘ unknown, 3 tries      ▼                        * at any time    │ │
//!   ▼                           lobby ◄─────────────────────────────────────┴─┘ wrong, 3 tries; silence
//!  Goodbye                        │ admitted, from wherever he is
//!                                 ▼
//!                              meeting (keypad)
//! ```
//!
//! - [`collector`]: key presses → one entry (a conference ID, a PIN).
//! - [`keypad`]: key presses in the meeting → commands.
//! - [`attendant`]: the state, its inputs, timers and key presses.
//!   - `asking`: the conference ID, the PIN, how often, and what each answer leads to.
//!   - `seated`: the lobby, the meeting, the end.
//! - `checking`: one question to the store, which may be quick, slow or away.
//! - [`interface`]: what goes in, what comes out, and every timer and bound.

mod asking;
#[allow(clippy::module_inception, reason = "the module's main idea has the module's name")]
pub mod attendant;
mod checking;
pub mod collector;
pub mod interface;
pub mod keypad;
mod seated;

pub use attendant::Attendant;
pub use interface::{Background, Effect, HangUpReason, Input, Note, Question, Settings, Timer, WaitsFor};

#[cfg(test)]
mod tests;
