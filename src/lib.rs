//! # Anteroom: the code map
//!
//! Callers reach Anteroom over SIP, an attendant takes a conference ID and the leader PIN, they wait in the meeting's
//! lobby with hold music, and when the organizer authenticates the meeting starts with the whole lobby in it. This is
//! the way a datagram takes through the code, and the way a voice takes back.
//!
//! ```text
//!  control plane (one tokio task)                          media plane (one plain thread per core)
//!  ──────────────────────────────                          ───────────────────────────────────────
//!  SIP datagram or stream                                  RTP datagram
//!     │  net::sip_udp, net::sip_tcp                           │  net::media_loop, net::udp_drain
//!     ▼                                                       ▼
//!  wire::sip        bytes → message                        wire::rtp        bytes → packet
//!     ▼                                                       ▼
//!  sip              transaction → dialog → session         media::leg       source, sequence, loss
//!     ▼                                                       ▼
//!  engine           session ↔ attendant ↔ meeting ◀─digit─ media::dtmf      events, INFO, tones → one digit a press
//!     ▼                                                       ▼
//!  attendant        digits → entry → question to store     media::playout   jitter buffer, concealment
//!     ▼                                                       ▼
//!  meeting          lobby and meeting, one machine ─admit▶ media::mixer     sum, mix-minus, limiter
//!     ▼                                                       ▼
//!  credentials      conference IDs, PINs, budgets          media::sender    prompt, music or mix → RTP datagram
//! ```
//!
//! ## Layers, and the rule
//!
//! | layer | modules | may know |
//! | --- | --- | --- |
//! | 4 the shell | [`credentials`] [`mail`] [`net`] [`observe`] [`admin`] [`web`] [`config`] [`server`] [`replay`] [`cli`] | everything below; sockets, clock, store, process |
//! | 3 | [`engine`] | all cores; still pure |
//! | 2 the cores | [`sip`] [`attendant`] [`meeting`] [`media`] | wire and words, never each other |
//! | 1 | [`wire`] | words |
//! | 0 | [`words`] | nothing |
//!
//! Imports run downward only. Layers 0 to 3 are pure: no socket, clock, thread, lock, async or global random source; time
//! and randomness come in as arguments, and what is to be done comes out as values. `tests/structure.rs` holds both.
//!
//! Every core has one shape: `handle_…(now, input)`, then `poll_…()` until it is empty, and `poll_timeout()` for when it
//! wants [`handle_timeout`](engine::Engine::handle_timeout).
//!
//! ## What always holds
//!
//! - Nobody in a lobby hears or is heard; no caller hears another meeting. *Who is in* is decided in one place,
//!   [`meeting::Room`], and only its `Admit` effect becomes the media plane's
//!   [`Admit`](media::PlaneCommand::Admit): one command takes a whole lobby in between two ticks.
//! - A meeting starts only by a right PIN, a policy that needs none, or an authenticated start.
//! - The store is an effect: asked with a key, answered late or never; an answer for what is gone falls on the floor.
//! - A digit or PIN is a [`words::secret`] type and has no way into a log line.
//! - Everything that can grow has a bound with a reason, in [`words::limits`] or beside its one use.
//! - Nothing on a packet's way allocates, locks, or wakes a task (`tests/allocations.rs`).

pub mod admin;
pub mod attendant;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod engine;
pub mod mail;
pub mod media;
pub mod meeting;
pub mod net;
pub mod observe;
pub mod replay;
pub mod server;
pub mod sip;
pub mod web;
pub mod wire;
pub mod words;
