//! Facts: what happened, as the engine tells it to whoever watches (log, metrics, call records). No fact holds a digit or
//! a PIN; a *wrong* conference ID is not told either, since it may be a PIN typed too early.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::ids::{CallKey, ConferenceId, MeetingKey};
use super::media::{Codec, Direction, LegStatistics};

/// One fact.
#[derive(Debug, Clone)]
pub enum Event {
    /// An INVITE that became a call. What stands here names the call in every later line.
    CallArrived { call: CallKey, caller: Caller },
    /// A request that never became a call, and why.
    RequestRefused {
        source: SocketAddr,
        method: String,
        status: Option<u16>,
        caller: String,
        called: String,
        why: String,
        /// Like ones that were not told since the last one.
        suppressed: u64,
    },
    /// A step of one call's story.
    Call { call: CallKey, fact: CallFact },
    /// A step of one meeting's story.
    Meeting { meeting: MeetingKey, fact: MeetingFact },
    /// The last line of a call.
    CallEnded(Box<CallRecord>),
}

/// Who calls whom, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller's number or user name, as the From header gives it.
    pub number: String,
    /// The number that was dialled.
    pub called: String,
    pub sip_call_id: String,
    /// The trunk that brought the call.
    pub trunk: Arc<str>,
    pub source: SocketAddr,
}

/// The steps of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallFact {
    /// 200 sent with this codec; `telephone_event`: keys come as RFC 4733 events.
    Answered {
        codec: Codec,
        telephone_event: bool,
        remote_rtp: SocketAddr,
    },
    /// ACK seen; the attendant begins.
    Established,
    /// The first RTP packet came from there; not `as_agreed`: from another address than the SDP named (a router
    /// translates), and we send there.
    VoiceFrom {
        source: SocketAddr,
        as_agreed: bool,
    },
    /// A re-INVITE or UPDATE changed the media.
    MediaChanged {
        codec: Codec,
        direction: Direction,
        remote_rtp: SocketAddr,
    },
    ConferenceFound {
        conference_id: ConferenceId,
        organizer: String,
    },
    /// `tries_left` of this call.
    ConferenceUnknown {
        tries_left: u32,
    },
    /// Nothing, or too few digits, were typed in time.
    EntryTimedOut,
    /// The trunk vouches that the caller is the organizer: no PIN is asked for.
    OrganizerByIdentity,
    OrganizerAsked,
    PinAsked,
    PinRight,
    PinWrong {
        tries_left: u32,
    },
    /// No further PIN is taken in this call: its own tries, or a budget across calls, are used up.
    PinTriesUsedUp,
    /// The store has not answered yet; the caller was asked to hold.
    StoreSlow,
    /// The store did not answer in time; the caller was told so.
    StoreUnavailable,
    /// In the lobby, with music: the meeting has not started.
    WaitsForStart {
        meeting: MeetingKey,
    },
    /// In the lobby, with music: somebody in the meeting must let him in.
    AwaitsAdmission {
        meeting: MeetingKey,
    },
    EnteredMeeting {
        meeting: MeetingKey,
        leader: bool,
    },
    /// The organizer authenticated inside a meeting that had started.
    BecameLeader,
    Muted,
    Unmuted,
    /// His voice is heard in the meeting now, or no longer is.
    Talking(bool),
    /// The end of a prompt was never reported; the attendant went on without it.
    PlaybackLost,
    /// Nothing was received on the leg for the time that the settings name.
    MediaSilent,
    /// We end the call.
    HangingUp {
        why: EndCause,
    },
}

/// The steps of a meeting.
#[derive(Debug, Clone, PartialEq)]
pub enum MeetingFact {
    /// Its first caller waits or is in, or a user starts it before anybody calls.
    Opened {
        conference_id: ConferenceId,
        organizer: String,
    },
    Started {
        by: StartedBy,
        admitted: usize,
    },
    Locked(bool),
    /// All but the leaders, of whom `changed` were not so before.
    AllMuted {
        muted: bool,
        changed: usize,
    },
    Ended {
        why: MeetingEnd,
    },
    /// The last one in it left, or nobody came. Who waits, or comes, waits for a new start.
    Over,
    /// Nobody is left, in the meeting or in its lobby.
    Closed,
}

/// What let a meeting start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    LeaderPin,
    /// Its organizer lets anonymous callers start it.
    AnonymousCaller,
    /// A call whose identity its trunk vouches for.
    VouchedCall,
    /// An authenticated user through the API or the console.
    AuthenticatedUser,
}

/// Why a meeting ended for those in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingEnd {
    /// The leader left and did not return within the grace time.
    LeaderLeft,
    /// Nobody authenticated was left for the time that the settings name.
    NobodyAuthenticated,
    /// A leader or an administrator ended it.
    Ended,
    /// Its organizer was disabled, or it was cancelled: who waited would wait in vain.
    Withdrawn,
}

/// Why a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// The caller hung up.
    CallerHungUp,
    /// The caller gave up before the answer was complete (CANCEL).
    CallerCancelled,
    /// The 200 was never acknowledged within 64·T1.
    NoAck,
    /// The session timer of RFC 4028 ran out: the caller vanished.
    SessionExpired,
    /// The TCP connection was lost and the peer can't be reached.
    TransportLost,
    /// Nothing was received for the time that the settings name.
    MediaSilent,
    /// Three conference IDs that lead nowhere, or no entry at all.
    ConferenceTriesUsedUp,
    NothingEntered,
    LobbyTimedOut,
    MeetingEnded(MeetingEnd),
    MeetingFull,
    /// A leader or an administrator removed the caller.
    Removed,
    ShuttingDown,
    /// We refused the INVITE with this status.
    Refused {
        status: u16,
        why: String,
    },
    /// Something failed on our side; the text says what.
    Failed {
        why: String,
    },
}

impl EndCause {
    /// One token for metrics' labels and records.
    pub fn token(&self) -> &'static str {
        match self {
            EndCause::CallerHungUp => "caller_hung_up",
            EndCause::CallerCancelled => "caller_cancelled",
            EndCause::NoAck => "no_ack",
            EndCause::SessionExpired => "session_expired",
            EndCause::TransportLost => "transport_lost",
            EndCause::MediaSilent => "media_silent",
            EndCause::ConferenceTriesUsedUp => "conference_tries_used_up",
            EndCause::NothingEntered => "nothing_entered",
            EndCause::LobbyTimedOut => "lobby_timed_out",
            EndCause::MeetingEnded(_) => "meeting_ended",
            EndCause::MeetingFull => "meeting_full",
            EndCause::Removed => "removed",
            EndCause::ShuttingDown => "shutting_down",
            EndCause::Refused { .. } => "refused",
            EndCause::Failed { .. } => "failed",
        }
    }
}

/// The farthest that a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Never answered.
    Nothing,
    Attendant,
    Lobby,
    Meeting,
}

impl Reached {
    pub fn token(self) -> &'static str {
        match self {
            Reached::Nothing => "nothing",
            Reached::Attendant => "attendant",
            Reached::Lobby => "lobby",
            Reached::Meeting => "meeting",
        }
    }
}

/// One call, whole, once it is over.
#[derive(Debug, Clone)]
pub struct CallRecord {
    pub call: CallKey,
    pub caller: Caller,
    pub arrived_at: Instant,
    pub answered_at: Option<Instant>,
    pub ended_at: Instant,
    pub reached: Reached,
    pub conference_id: Option<ConferenceId>,
    pub organizer: Option<String>,
    pub meeting: Option<MeetingKey>,
    pub leader: bool,
    pub end: EndCause,
    pub statistics: LegStatistics,
}
