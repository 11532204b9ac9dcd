//! What the engine, or a tool, asks the endpoint to do.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use super::flow::Flow;
use crate::words::ids::SessionKey;
use crate::words::media::{Codec, Direction};

/// Our side of the media, from which an offer or an answer is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive RTP; RTCP is received on the port above.
    pub rtp: SocketAddr,
    /// What we can speak, in our order (an answer follows the offer's order).
    pub codecs: Vec<Codec>,
    pub telephone_event: bool,
    /// What we want. An answer never says more than the offer allows.
    pub direction: Direction,
}

/// One order for one session.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// UAS: 180.
    Ring { session: SessionKey },
    /// UAS: 200, with the answer to the INVITE's offer or, where it had none, with our offer.
    Accept { session: SessionKey, media: LocalMedia },
    /// UAS: a final answer that is no success.
    Reject { session: SessionKey, refusal: Refusal },
    /// Ends the session whatever its state: BYE, or (not answered yet) 480, or (we call) CANCEL. `Ended` follows at once.
    HangUp { session: SessionKey, reason: HangUpReason },
    /// UAC: CANCEL as soon as it may be sent. `Ended` follows with the INVITE's final answer.
    Cancel { session: SessionKey },
    /// INFO in the dialog; its body is never logged.
    Info { session: SessionKey, content_type: String, body: Bytes },
    /// re-INVITE with a new offer (hold, another address). `ReinviteAnswered` follows.
    Reinvite { session: SessionKey, media: LocalMedia },
    /// re-INVITE without an offer: the peer offers in its 200, and we answer in the ACK with `media`.
    ReinviteWithoutOffer { session: SessionKey, media: LocalMedia },
    /// UPDATE with a new offer (RFC 3311). `ReinviteAnswered` follows.
    Update { session: SessionKey, media: LocalMedia },
    /// OPTIONS in the dialog.
    Options { session: SessionKey },
}

impl Command {
    /// The session it is for.
    pub fn session(&self) -> SessionKey {
        match self {
            Command::Ring { session }
            | Command::Accept { session, .. }
            | Command::Reject { session, .. }
            | Command::HangUp { session, .. }
            | Command::Cancel { session }
            | Command::Info { session, .. }
            | Command::Reinvite { session, .. }
            | Command::ReinviteWithoutOffer { session, .. }
            | Command::Update { session, .. }
            | Command::Options { session } => *session,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Command::Ring { .. } => "ring",
            Command::Accept { .. } => "accept",
            Command::Reject { .. } => "reject",
            Command::HangUp { .. } => "hang up",
            Command::Cancel { .. } => "cancel",
            Command::Info { .. } => "INFO",
            Command::Reinvite { .. } => "re-INVITE",
            Command::ReinviteWithoutOffer { .. } => "re-INVITE without offer",
            Command::Update { .. } => "UPDATE",
            Command::Options { .. } => "OPTIONS",
        }
    }
}

/// The name and the session only: an INFO's body is what somebody typed.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.session())
    }
}

/// Why a call is turned away after it was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 486.
    Busy,
    /// 480.
    Unavailable,
    /// 404: nobody is reached by that number.
    NotFound,
    /// 403.
    Forbidden,
    /// 603.
    Declined,
    /// 500: ours is the fault.
    InternalError,
    /// 503 with Retry-After: no port, no room.
    Full { retry_after_s: u32 },
}

impl Refusal {
    pub fn status(self) -> u16 {
        match self {
            Refusal::Busy => 486,
            Refusal::Unavailable => 480,
            Refusal::NotFound => 404,
            Refusal::Forbidden => 403,
            Refusal::Declined => 603,
            Refusal::InternalError => 500,
            Refusal::Full { .. } => 503,
        }
    }
}

/// What a BYE of ours says in its Reason header (RFC 3326, with the causes of ITU-T Q.850).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUpReason {
    /// 16, normal call clearing.
    Normal,
    /// 41, temporary failure: the process ends.
    Shutdown,
    /// 102, recovery on timer expiry: nothing was received for too long.
    NoMedia,
    /// 38, network out of order: ours is the fault.
    Failure,
}

/// A call that we make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingInvite {
    /// How to get there. The shell has resolved the name, and opened the connection where it is TCP.
    pub flow: Flow,
    /// The Request-URI and To: `sip:8000@192.0.2.1:5060`.
    pub target: String,
    /// From: `sip:tester@192.0.2.7`, with an optional display name.
    pub from: String,
    pub from_display: Option<String>,
    /// P-Asserted-Identity (RFC 3325), a URI, where the tool plays a trunk that vouches.
    pub asserted_identity: Option<String>,
    pub media: LocalMedia,
    /// `false`: INVITE without SDP; the peer offers in its 200, and we answer in the ACK.
    pub offer: bool,
    /// Further headers as name and value, for tools.
    pub headers: Vec<(String, String)>,
}

/// Why a command was not carried out. Nothing was sent, nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It ended, or was never there: the answer to a question that crossed with a BYE.
    #[error("no such session")]
    NoSuchSession,
    #[error("the session can't do that now: {0}")]
    WrongState(&'static str),
    /// UAS: our media does not fit the offer. The INVITE was answered with 488, `Ended` follows.
    #[error("no common media: {0}")]
    NoCommonMedia(String),
    #[error("not a usable value: {0}")]
    BadValue(String),
    #[error("full")]
    Full,
}
