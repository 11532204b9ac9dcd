//! What goes into a [`Room`](super::Room) and what comes out of it; its timers and bounds.

use std::time::Duration;

use crate::words::answer::{Announcements, Conference, LobbyPolicy};
use crate::words::ids::CallKey;
use crate::words::limits;
use crate::words::prompt::Chime;

/// What becomes of a meeting that its last leader leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaderLeaves {
    #[default]
    GoesOn,
    /// All are back in the lobby, until a leader comes. (Not where the first caller starts the meeting: it goes on.)
    BackToLobby,
    /// It ends, unless a leader comes back in time.
    EndsAfter(Duration),
}

/// Every timer and bound of a meeting. The default is what DESIGN sections 1 and 2 say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// So many callers may be here, in the lobby and in the meeting together: a start can always take in the whole lobby.
    /// A leader whom his trunk vouches for is never turned away.
    pub seats: usize,
    /// How long a caller may wait in the lobby.
    pub lobby_timeout: Duration,
    /// How often a waiting caller hears a word of patience; zero: never.
    pub patience: Duration,
    /// How long a meeting that needs a leader goes on with nobody authenticated in it.
    pub nobody_authenticated: Duration,
    /// How long a meeting that a user has started stays open with nobody in it.
    pub nobody_came: Duration,
    pub leader_leaves: LeaderLeaves,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seats: limits::CALLS,
            lobby_timeout: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(60),
            nobody_authenticated: Duration::from_secs(90 * 60),
            nobody_came: Duration::from_secs(15 * 60),
            leader_leaves: LeaderLeaves::default(),
        }
    }
}

/// What the organizer decided about his meetings. Comes anew with each arrival, so a change works at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    pub allow_anonymous_start: bool,
    pub lobby_policy: LobbyPolicy,
    pub announcements: Announcements,
}

impl From<&Conference> for Rules {
    fn from(conference: &Conference) -> Rules {
        Rules {
            allow_anonymous_start: conference.allow_anonymous_start,
            lobby_policy: conference.lobby_policy,
            announcements: conference.announcements,
        }
    }
}

/// What happens to the meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A caller takes a seat. `leader`: he is the organizer, by the word of his trunk.
    Arrive {
        call: CallKey,
        leader: bool,
        rules: Rules,
    },
    /// This caller's PIN was right.
    Authenticated {
        call: CallKey,
    },
    /// He hung up, or his call was lost.
    Depart {
        call: CallKey,
    },
    /// An authenticated user starts it by another way (API, console), before anybody calls or while they wait. Callers
    /// who wait to be admitted go on waiting.
    StartByUser {
        identity: String,
        rules: Rules,
    },
    /// `*6`.
    ToggleMute {
        call: CallKey,
    },
    SetMuted {
        call: CallKey,
        muted: bool,
    },
    /// `*4`: mutes everybody but the leaders; or, if all of them are muted, unmutes them.
    ToggleAllMuted,
    /// Mutes or unmutes everybody but the leaders.
    SetAllMuted {
        muted: bool,
    },
    /// Nobody is let in any more without being admitted.
    Lock,
    Unlock,
    /// Let this one in, or all that wait.
    AdmitWaiting {
        call: Option<CallKey>,
    },
    /// End it for all, the lobby included.
    End,
}

/// What a seat in the lobby waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// The meeting has not started.
    Start,
    /// The meeting runs, and somebody in it must let him in; it is locked, or takes nobody in unasked.
    Admission { locked: bool },
}

/// Who or what started a meeting, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// By PIN, or by the word of his trunk.
    Leader(CallKey),
    /// The first caller of a meeting whose organizer allows that.
    Anonymous(CallKey),
    /// Through the API or the console.
    User(String),
}

/// What the engine does for the meeting. In the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The meeting has started: a fact for the log. [`Effect::Admit`] follows where there is anybody to let in.
    Started {
        by: Starter,
    },
    /// These are in the meeting now, all at the same moment (media's atomic admit). The only way in.
    Admit {
        calls: Box<[CallKey]>,
    },
    /// They wait: after their arrival, or because what they wait for changed, or sent back from the meeting (music).
    Wait {
        calls: Box<[CallKey]>,
        waits_for: WaitsFor,
    },
    /// There is no seat for him; he is not in the room.
    Full {
        call: CallKey,
    },
    /// To all that are in.
    Chime(Chime),
    /// A word of patience to one who waits.
    Patience {
        call: CallKey,
    },
    /// He has waited too long, and has lost his seat.
    LobbyTimedOut {
        call: CallKey,
    },
    Muted {
        call: CallKey,
        muted: bool,
    },
    /// All but the leaders were muted or unmuted, of whom so many were not before: a fact for the log.
    /// [`Effect::Muted`] has come for each of them.
    AllMuted {
        muted: bool,
        changed: usize,
    },
    Locked(bool),
    /// It was ended; these were in it or waited, and have no seat any more. (Empty where nobody was.)
    Ended {
        calls: Box<[CallKey]>,
        why: EndReason,
    },
    /// The last one left, or nobody came: the meeting is over, a fact for the log. Those who wait now wait for a start.
    Over,
    /// Nobody is in, and nobody waits: drop the room.
    Vacant,
}

/// Why a meeting was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Somebody ended it for all.
    Ended,
    /// Nobody authenticated was in it for too long.
    NobodyAuthenticated,
    /// The leader left and did not come back in time.
    LeaderLeft,
}

/// Why [`Room::handle_timeout`](super::Room::handle_timeout) is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Before patience: to whom both are due at once, "Goodbye" is said and nothing else.
    LobbyTimeout(CallKey),
    Patience(CallKey),
    NobodyAuthenticated,
    NobodyCame,
    LeaderGrace,
}
