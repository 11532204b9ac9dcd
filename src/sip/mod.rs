//! Layer 2: SIP (RFC 3261) as a pure state machine. Datagrams and framed messages go in with the time they came; messages
//! to send, events and the next deadline come out. There is no socket, clock, lock or global random source here.
//!
//! ```text
//!  bytes ──> endpoint ──> screening (may this request become a call at all?)
//!              │  │          └─ refused: stateless to strangers, by a transaction to trunks
//!              │  ├─ transaction  retransmissions, absorbed and sent (RFC 3261 §17, RFC 6026)
//!              │  ├─ dialog       tags, CSeq, route set, remote target (RFC 3261 §12)
//!              │  └─ session      the INVITE usage: offer/answer, 200 until ACK, hold, refresh, BYE
//!              │         ├─ offer_answer   RFC 3264
//!              │         └─ session_timer  RFC 4028
//!              └──> SipEvent, Transmit, poll_timeout
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | [`endpoint`] | every input enters here, and finds its transaction and session |
//! | [`flow`], [`config`], [`command`], [`event`] | the words between the endpoint and whoever drives it |
//! | [`trunk`] | whose calls are taken |
//! | `arrival` | a request with what every decision needs, read once |
//! | `screening`, `rejection`, `refusals` | may it be looked at? if not, with which status, and why; counted all, told few |
//! | [`transaction`] | server and client transactions |
//! | `dialog` | one dialog, and the requests of ours in it |
//! | `session` | the INVITE usage: as server, as caller, and in mid-call |
//! | `offer_answer`, `body` | the media that both agree on, and where its description is in a message |
//! | `session_timer` | how long a call lives without a refresh |
//! | `info_digit` | keys that come as INFO |
//! | `load`, [`rate`] | the calls a second and at once that are taken, and who comes first when more are asked for |
//! | [`recent`], [`telling`] | a bounded table; which of many like things are told |
//! | `answer` | what a response takes over from its request, and where it goes |
//! | `common`, `outbox`, [`timers`] | what all of them work with |
//!
//! Invariants, held by `tests/sip_endpoint`:
//! - Each session that was announced ends with one `Ended`, and nothing is told of it afterwards.
//! - 64·T1 after its last message nothing is left of a call: no session, no transaction, no timer.
//! - A source that is in no trunk leaves nothing behind, and gets no answer larger than its question.
//! - Nothing that a peer sends holds more than the bounds of [`EndpointConfig`].

pub mod command;
pub mod config;
pub mod endpoint;
pub mod event;
pub mod flow;
pub mod rate;
pub mod recent;
pub mod telling;
pub mod timers;
pub mod transaction;
pub mod trunk;

mod answer;
mod arrival;
mod body;
mod common;
mod dialog;
mod info_digit;
mod load;
mod offer_answer;
mod outbox;
mod refusals;
mod rejection;
mod screening;
mod session;
mod session_timer;

pub use command::{Command, CommandError, HangUpReason, LocalMedia, OutgoingInvite, Refusal};
pub use config::{Admission, EndpointConfig, Strangers};
pub use endpoint::{Counts, Endpoint};
pub use event::{EndReason, IncomingCall, RefusedRequest, SipEvent};
pub use flow::{Flow, Transmit, Transport};
pub use load::Shed;
pub use refusals::Refusals;
pub use timers::{SessionTimer, Timer};
pub use trunk::{Network, Trunk, TrunkTable};
