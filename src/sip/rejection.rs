//! Why a request is refused: the status, what goes with it, and the words for the log.

use bytes::Bytes;

use super::body::{ACCEPTED, BodyFault};
use super::common::ALLOW;
use super::offer_answer::Unacceptable;
use super::session_timer::IntervalTooSmall;
use crate::wire::sip::{HeaderName, Warning};

/// Who warns (RFC 3261 section 20.43 takes a pseudonym): our address says nothing to anybody.
const WARNING_AGENT: &str = "anteroom";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub status: u16,
    pub why: String,
    pub headers: Vec<(HeaderName, Bytes)>,
}

impl Rejection {
    pub fn new(status: u16, why: impl Into<String>) -> Rejection {
        Rejection { status, why: why.into(), headers: Vec::new() }
    }

    pub fn with(mut self, name: HeaderName, value: impl Into<Bytes>) -> Rejection {
        self.headers.push((name, value.into()));
        self
    }

    pub fn method_not_allowed(method: &str) -> Rejection {
        Rejection::new(405, format!("{method} is not spoken here")).with(HeaderName::Allow, ALLOW)
    }

    pub fn no_such_dialog() -> Rejection {
        Rejection::new(481, "no such call")
    }

    pub fn unavailable(retry_after_s: u32, why: &str) -> Rejection {
        Rejection::new(503, why).with(HeaderName::RetryAfter, retry_after_s.to_string())
    }

    /// RFC 3261 section 14.2: try again after a moment between 0 and 10 s.
    pub fn overlapping(retry_after_s: u32) -> Rejection {
        Rejection::new(500, "an earlier INVITE has no final answer yet")
            .with(HeaderName::RetryAfter, retry_after_s.to_string())
    }

    pub fn out_of_order() -> Rejection {
        Rejection::new(500, "CSeq is not above the last one of this dialog")
    }

    pub fn request_pending() -> Rejection {
        Rejection::new(491, "another offer is on its way")
    }
}

impl From<Unacceptable> for Rejection {
    fn from(offer: Unacceptable) -> Rejection {
        let warning = Warning { code: offer.code, agent: WARNING_AGENT.to_owned(), text: offer.why.clone() };
        Rejection::new(488, offer.why).with(HeaderName::Warning, warning.to_bytes())
    }
}

impl From<BodyFault> for Rejection {
    fn from(fault: BodyFault) -> Rejection {
        match fault {
            BodyFault::MediaType => {
                Rejection::new(415, "the body is no session description").with(HeaderName::Accept, ACCEPTED)
            }
            BodyFault::Encoding => {
                Rejection::new(415, "the body is encoded").with(HeaderName::AcceptEncoding, "identity")
            }
            BodyFault::NoContentType => Rejection::new(400, "a body without Content-Type"),
            BodyFault::Multipart => Rejection::new(400, "malformed multipart body"),
        }
    }
}

impl From<IntervalTooSmall> for Rejection {
    fn from(interval: IntervalTooSmall) -> Rejection {
        Rejection::new(422, "the session interval is too small").with(HeaderName::MinSe, interval.min_s.to_string())
    }
}
