//! What the endpoint tells.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::flow::Flow;
use crate::words::ids::SessionKey;
use crate::words::media::NegotiatedMedia;
use crate::words::secret::Digit;

/// A fact about a session, or about a request that did not become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SipEvent {
    /// An INVITE passed every check and got its 100. It waits for Ring, Accept or Reject.
    Incoming { session: SessionKey, call: IncomingCall },
    /// UAC: a provisional answer above 100.
    Progress { session: SessionKey, status: u16 },
    /// Offer and answer agreed: first, and whenever something changed.
    MediaAgreed { session: SessionKey, media: NegotiatedMedia },
    /// The ACK was seen (UAS), or the 200 was seen and its ACK sent (UAC).
    Established { session: SessionKey },
    /// A key pressed by SIP INFO. The body it came in goes no further.
    InfoDigit { session: SessionKey, digit: Digit, duration_ms: u32 },
    /// The final answer to our re-INVITE or UPDATE; 408 where none came.
    ReinviteAnswered { session: SessionKey, status: u16 },
    /// The final answer to our OPTIONS; 408 where none came.
    OptionsAnswered { session: SessionKey, status: u16 },
    /// Exactly once for each session that `Incoming` announced or `invite` made; nothing follows for it.
    Ended { session: SessionKey, reason: EndReason },
    /// A request that was refused before it became a session: one line for the log.
    Refused(RefusedRequest),
}

/// What an INVITE says about itself. Text is lossy UTF-8 and bounded; none of it is proven unless the trunk vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingCall {
    pub flow: Flow,
    /// The name of the trunk that it came from.
    pub trunk: Arc<str>,
    /// User part of From (or the number of a `tel:` URI); its host where there is no user.
    pub caller: String,
    /// Display name of From; empty where there is none.
    pub caller_display: String,
    /// User part of the Request-URI (or the number of a `tel:` URI).
    pub called: String,
    pub sip_call_id: String,
    /// P-Asserted-Identity as `user@host`, only where the trunk vouches for what it sends (RFC 3325).
    pub asserted_identity: Option<String>,
    /// Whether the INVITE carried an offer.
    pub offer: bool,
    /// Where the offer wants the voice sent to: our RTP address has to be of the same family.
    pub peer_rtp: Option<IpAddr>,
}

/// A refused request, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    pub flow: Flow,
    /// As it stood in the request line, bounded.
    pub method: String,
    /// What it was answered with; `None` where nothing was sent (an answer larger than the question, a silent policy).
    pub status: Option<u16>,
    pub caller: Option<String>,
    pub called: Option<String>,
    pub sip_call_id: Option<String>,
    /// What was wrong, in words; nothing of a body.
    pub why: String,
    /// How many like it were not told since the last one that was.
    pub suppressed: u64,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The peer sent BYE.
    RemoteBye,
    /// The caller gave up before we answered.
    Cancelled,
    /// Our 200 was never acknowledged in 64·T1 (RFC 3261 section 13.3.1.4).
    NoAck,
    /// Nobody refreshed the session in time (RFC 4028 section 10).
    SessionTimerExpired,
    /// The TCP connection broke before the call was set up.
    TransportLost,
    /// We hung up.
    LocalBye,
    /// UAS: we answered the INVITE with this status.
    Rejected { status: u16 },
    /// UAC: the peer answered our INVITE with this status.
    Refused { status: u16, reason: String },
    /// UAC: no final answer came.
    NoAnswer,
    /// The ACK's answer (or the 200's) was missing or useless.
    NoCommonMedia { why: String },
    /// The peer does not know the dialog any more, or did not answer a request in it (RFC 3261 section 12.2.1.2).
    DialogGone { status: u16 },
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::RemoteBye => f.write_str("the caller hung up"),
            EndReason::Cancelled => f.write_str("the caller gave up before the answer"),
            EndReason::NoAck => f.write_str("no ACK came for our 200"),
            EndReason::SessionTimerExpired => f.write_str("the session timer ran out"),
            EndReason::TransportLost => f.write_str("the connection broke"),
            EndReason::LocalBye => f.write_str("we hung up"),
            EndReason::Rejected { status } => write!(f, "rejected with {status}"),
            EndReason::Refused { status, reason } => write!(f, "refused with {status} {reason}"),
            EndReason::NoAnswer => f.write_str("no answer came"),
            EndReason::NoCommonMedia { why } => write!(f, "no common media: {why}"),
            EndReason::DialogGone { status } => write!(f, "the peer lost the dialog ({status})"),
        }
    }
}
