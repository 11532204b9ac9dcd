//! What the credential store answers to the two questions a caller can raise.

use super::ids::{ConferenceKey, UserKey};

/// Who is let in from the lobby when, once the meeting has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LobbyPolicy {
    /// A started meeting takes everybody in.
    #[default]
    Open,
    /// Each caller waits until somebody in the meeting admits him.
    WaitForAdmission,
}

/// What a meeting hears when somebody comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announcements {
    /// A chime each.
    #[default]
    Tones,
    Off,
}

/// What the attendant and the meeting need to know about a conference ID that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conference {
    pub key: ConferenceKey,
    pub organizer: UserKey,
    /// The organizer's identity (`anna@example.com`), for the log and for calls that a trunk vouches for.
    pub organizer_identity: String,
    /// Its first caller starts it; nobody is asked for a PIN.
    pub allow_anonymous_start: bool,
    pub lobby_policy: LobbyPolicy,
    pub announcements: Announcements,
}

/// The answer to "what does this conference ID lead to?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConferenceAnswer {
    Found(Conference),
    Unknown,
    /// Unknown, and this caller's budget of wrong conference IDs is used up: the call gets no further try. (A right
    /// conference ID is found whatever the budget: joining a lobby is never blocked.)
    UnknownAndOutOfTries,
    /// The store did not answer, or not in time.
    Unavailable,
}

/// The answer to "does this PIN open this meeting?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinAnswer {
    Right,
    Wrong,
    /// Not looked at: a budget is used up. The caller goes on to the lobby as a participant.
    OutOfTries,
    /// The store did not answer, or not in time. Nothing is admitted unchecked.
    Unavailable,
}
