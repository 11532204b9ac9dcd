//! Layer 3: the one place that knows all the cores. A call is a session (SIP), an attendant and a seat in a meeting; the
//! engine takes what one of them says and tells it to the others. Still pure: inputs and time go in, outputs come out.
//!
//! ```text
//!   SIP message ──▶ endpoint ──SipEvent──▶ ┌────────┐ ──Input──▶ attendant ──Effect──▶ ┐
//!   PlaneEvent ──────────────────────────▶ │ engine │ ──Input──▶ room ───────Effect──▶ ├─▶ Output, Transmit
//!   store's answer ──────────────────────▶ └────────┘ ──Command─▶ endpoint ───────────▶ ┘
//!                                               ▲                                       │
//!                                               └────────── effects for a neighbour ◀───┘
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`engine`] | inputs, and the loop that settles their consequences |
//! | [`live`] | meetings from outside: what goes on, and what an operator does about it |
//! | [`call`] | one caller's path and what its record must say |
//! | [`routes`] | which effect of one core is which input of another |
//! | [`deadlines`] | the next timer of any call or room, without scanning them |

pub mod call;
pub mod deadlines;
#[allow(clippy::module_inception, reason = "the module's main idea has the module's name")]
pub mod engine;
pub mod live;
mod routes;

pub use engine::{Counts, Engine, EngineSettings, Origin, Output};
pub use live::{CallOverview, CallState, LiveCommand, LiveDone, LiveRefusal, MeetingOverview};

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod tests;
