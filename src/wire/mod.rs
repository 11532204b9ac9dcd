//! Layer 1: bytes ↔ values. Nothing here keeps time, state between calls, or a socket; every parser takes what came from
//! outside and gives a value or an error, and never panics.
//!
//! | module | format |
//! | --- | --- |
//! | [`sip`] | SIP messages (RFC 3261), their typed header values, and stream framing |
//! | [`sdp`] | session descriptions (RFC 8866), as much as offer/answer of voice needs |
//! | [`rtp`], [`rtcp`] | RFC 3550 |
//! | [`telephone_event`] | the payload of RFC 4733 |
//! | [`g711`] | µ-law and A-law (ITU-T G.711) |
//! | [`g722`] | wideband voice in 64 kbit/s (ITU-T G.722); a stream's coders have a state, which is a value like others |
//! | [`opus`] | Opus (RFC 6716), by way of its own library, where the program was built with it |

pub mod g711;
pub mod g722;
pub mod opus;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod telephone_event;
