//! The server against baresip: people with a softphone enter digits, wait, and talk; what each of them heard is recorded
//! by his own telephone and judged here.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`phone`] | one person's baresip: what he presses, and what he heard |
//! | [`listening`] | what is in a recording: a known sound, a tone, silence |
//! | [`conversations`] | the journeys |

#[path = "../support/mod.rs"]
mod support;

mod conversations;
mod listening;
mod phone;
