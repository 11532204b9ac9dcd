//! The server against SIPp, as another implementation's caller, scenario by scenario: what SIPp must see on the wire, and
//! what the server's log, call records and figures must say of it.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`sipp`] | runs SIPp with a scenario of `scenarios/` |
//! | [`calls`] | how calls begin and end |
//! | [`in_call`] | what changes in a call: hold, new addresses, late offers, session timers |
//! | [`keys`] | keys by INFO and by RFC 4733, up to the meeting |
//! | [`refusals`] | what is refused, and how it is explained |
//! | [`load`] | many calls, too many calls, and the end of the server |

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod in_call;
mod keys;
mod load;
mod refusals;
mod sipp;
