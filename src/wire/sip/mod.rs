//! SIP messages on the wire (RFC 3261 sections 7, 18.3, 19, 20 and 25).
//!
//! ```text
//!   stream ──► framing ──┐
//!                        ├─► Message::parse ──► Message { method | status, Headers, body } ──► typed values on demand
//!   datagram ────────────┘          └─► ParseError { fault, answer }        Message::write ◄──┘
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `message` | [`Message`], [`Request`], [`Response`], and writing them |
//! | `parse` | [`Message::parse`]: what is accepted, what is refused, and with which status |
//! | `lines` | where header lines begin and end; shared by `parse` and [`framing`], so that the two can't disagree |
//! | [`framing`] | one message's length in a byte stream, and keep-alives (RFC 5626) |
//! | `headers`, `header_name` | the ordered header list, the names and their compact forms |
//! | `method`, `status` | methods and reason phrases |
//! | `uri`, `params` | `sip:`, `sips:`, `tel:` and every other URI; `;name=value` lists |
//! | `name_addr`, `via`, `values` | typed header values |
//! | `scan` | character classes and cuts that all of them share |
//!
//! Text stays bytes: header values that are not UTF-8 are carried through unchanged. Pieces are slices of the received
//! message (`Bytes`), so a value kept for long keeps its whole message in memory: copy the message out of a larger
//! receive buffer before parsing it.

pub mod framing;
mod header_name;
mod headers;
mod lines;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
mod scan;
mod status;
mod uri;
mod values;
mod via;

pub use header_name::HeaderName;
pub use headers::{Header, Headers};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub use parse::{Answer, Fault, HEADER_LINES_MAX, MESSAGE_BYTES_MAX, ParseError, PartialRequest};
pub use scan::ValueError;
pub use status::reason_phrase;
pub use uri::{Host, OtherUri, SipUri, TelUri, Uri};
pub use values::{CSeq, MediaType, Refresher, SessionExpires, Warning, delta_seconds};
pub use via::{Via, ViaTransport};
