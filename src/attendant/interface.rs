//! What goes into an [`Attendant`](super::Attendant) and what comes out of it; its timers and bounds.

use std::fmt;
use std::time::Duration;

use super::keypad::{Command, KeypadTable};
use crate::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use crate::words::ids::{ConferenceId, ConferenceKey, LookupKey, PlaybackKey};
use crate::words::prompt::Prompt;
use crate::words::secret::{Digit, Secret};

/// Every timer and bound of the caller's journey. The default is what DESIGN section 1 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Conference IDs a call may try.
    pub conference_id_tries: u32,
    /// PINs a call may try, at whatever points of it.
    pub pin_tries: u32,
    /// The fewest and the most digits a PIN has. What is shorter is wrong without asking the store.
    pub pin_digits_min: usize,
    pub pin_digits_max: usize,
    /// Nothing for so long after a digit ends the entry, just as `#` does.
    pub between_digits: Duration,
    /// A `#` that follows an entry which was complete without it is swallowed for so long.
    pub swallow_pound: Duration,
    /// A digit that follows a complete entry as quickly as this is a slip of the same entry (a key that bounced, an
    /// eighth digit), not the start of another.
    pub overrun: Duration,
    /// Nothing for so long after a prompt has been heard plays it again.
    pub silence: Duration,
    /// So often is "Please enter your conference ID" played again into silence; then "Goodbye".
    pub conference_id_repeats: u32,
    /// So often is "Please enter your PIN" played again into silence; then back to the lobby.
    pub pin_repeats: u32,
    /// Who has entered no right conference ID by then, however busy his keypad was, hears "Goodbye".
    pub conference_id_within: Duration,
    /// How long the organizer question waits for `*` after it has been heard.
    pub organizer_question: Duration,
    /// A store that has not answered by then: "Please hold."
    pub hold_after: Duration,
    /// From "Please hold" until "We can't check your entry just now."
    pub give_up_after: Duration,
    /// From an answer that the store is away until it is asked again.
    pub ask_again_after: Duration,
    /// A playback of which the end is not reported by then is taken as ended: no caller is stuck behind a lost report.
    pub playback_max: Duration,
    /// Which keys do what in the meeting.
    pub keypad: KeypadTable,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            conference_id_tries: 3,
            pin_tries: 3,
            pin_digits_min: 4,
            pin_digits_max: 12,
            between_digits: Duration::from_secs(5),
            swallow_pound: Duration::from_secs(2),
            overrun: Duration::from_secs(1),
            silence: Duration::from_secs(10),
            conference_id_repeats: 3,
            pin_repeats: 1,
            conference_id_within: Duration::from_secs(10 * 60),
            organizer_question: Duration::from_secs(5),
            hold_after: Duration::from_secs(1),
            give_up_after: Duration::from_secs(5),
            ask_again_after: Duration::from_secs(1),
            playback_max: Duration::from_secs(60),
            keypad: KeypadTable::default(),
        }
    }
}

/// What happens to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The call stands and its media flows: the journey begins.
    Answered,
    /// One key press, whichever way it came.
    Digit(Digit),
    /// The playback was heard to its end (not: was stopped or replaced).
    PlaybackFinished(PlaybackKey),
    /// The store's answer to [`Question::Conference`].
    Conference(LookupKey, ConferenceAnswer),
    /// The store's answer to [`Question::Pin`].
    Pin(LookupKey, PinAnswer),
    /// The meeting gave him a seat in its lobby, or changed what he waits for, or sent him back from the meeting.
    Waits(WaitsFor),
    /// He is in the meeting, and the media already plays it to him: music and prompts are cut.
    Admitted,
    /// No seat is left.
    MeetingFull,
    /// Time for a word of patience.
    Patience,
    /// He has waited as long as the lobby lets anybody wait; his seat is gone.
    LobbyTimedOut,
    /// The meeting is over for him; his seat is gone.
    MeetingEnded,
    /// Somebody has removed him from wherever he is; a seat that he had is gone.
    Removed,
    /// The meeting muted or unmuted him.
    Muted(bool),
}

/// What a seat in the lobby waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// The meeting has not started.
    Start,
    /// The meeting runs, and somebody in it must let him in; it is locked, or takes nobody in unasked.
    Admission { locked: bool },
}

/// What the engine does for the attendant. In the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Play to this caller alone, in front of the background and in place of what was being played.
    Play { playback: PlaybackKey, prompts: Box<[Prompt]> },
    /// Barge-in: stop what is being played.
    StopPlayback,
    /// What he hears when nothing is played to him. (The meeting's sound is the meeting's business.)
    Background(Background),
    /// Ask the store. The answer comes back with the same key, or never.
    Lookup { lookup: LookupKey, question: Question },
    /// Take a seat in this conference's meeting. Always the last effect of its input; the meeting answers with
    /// [`Input::Waits`], [`Input::Admitted`] or [`Input::MeetingFull`].
    Arrive {
        conference: Conference,
        /// The call itself is the organizer's: its trunk vouches for his identity.
        leader: bool,
    },
    /// The PIN was right: in the meeting he is a leader. Always the last effect of its input.
    Authenticated { conference: ConferenceKey },
    /// A keypad command in the meeting, of those that this caller may give.
    Command(Command),
    /// BYE. Always the last effect of a call.
    HangUp(HangUpReason),
    /// A fact for the log.
    Note(Note),
}

/// The caller's background while he is in no meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Background {
    Silence,
    Music,
}

/// A question to the credential store. What was typed does not print.
#[derive(Clone, PartialEq, Eq)]
pub enum Question {
    /// What does this conference ID lead to? Redacted as well: people type PINs there.
    Conference { id: ConferenceId },
    /// Does this PIN open this meeting?
    Pin { conference: ConferenceKey, pin: Secret },
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Conference { .. } => f.write_str("Conference(***)"),
            Question::Pin { conference, .. } => write!(f, "Pin({conference}, ***)"),
        }
    }
}

/// Why the attendant ends a call, for the call record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HangUpReason {
    /// Every conference ID he tried was wrong.
    NoValidConferenceId,
    /// He entered nothing.
    NothingEntered,
    MeetingFull,
    LobbyTimedOut,
    MeetingEnded,
    Removed,
}

/// What the log of a call tells, so that it reads as its story. No digit of a PIN or of a wrong conference ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The entry was a conference ID. (The only one that may be printed.)
    ConferenceIdRight {
        id: ConferenceId,
        conference: ConferenceKey,
    },
    ConferenceIdWrong {
        tries_left: u32,
    },
    /// The trunk vouches that the caller is the organizer.
    OrganizerByIdentity,
    AskedWhetherOrganizer,
    AskedForPin,
    PinRight,
    PinWrong {
        tries_left: u32,
    },
    /// He may try no more: by his own tries, or by a budget of the store's.
    PinTriesUsedUp,
    /// Nothing was entered, the prompt is played again.
    NothingEntered,
    /// The store has not answered yet: he is told to hold.
    StoreSlow,
    /// The store is away: he is asked to try again.
    StoreUnavailable,
    WaitsInLobby(WaitsFor),
    InMeeting,
    Muted(bool),
    Patience,
    /// The end of a playback was never reported.
    PlaybackLost,
}

/// Why [`Attendant::handle_timeout`](super::Attendant::handle_timeout) is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The caller has entered nothing, or answers the organizer question with silence.
    Silence,
    /// The entry has ended by a pause.
    BetweenDigits,
    /// The store is slow.
    Hold,
    /// The store said that it is away: ask again.
    AskAgain,
    /// The store has had its time.
    GiveUp,
    /// A playback's end should have been reported long ago.
    Playback,
    /// The call has had its time to enter a right conference ID.
    NoConferenceId,
}
