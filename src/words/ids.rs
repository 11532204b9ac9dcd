//! The keys by which the layers name things to each other. A key is never reused while the process runs, so an answer
//! that comes late for something that is gone finds nothing and falls on the floor.

use std::fmt;
use std::str::FromStr;

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

key!(
    /// One caller's visit, from INVITE to the last packet. Its leg (the media side) has the same key.
    CallKey, "call-"
);
key!(
    /// One INVITE usage in a SIP dialog.
    SessionKey, "session-"
);
key!(
    /// One running occurrence of a meeting.
    MeetingKey, "meeting-"
);
key!(
    /// One question to the credential store.
    LookupKey, "lookup-"
);
key!(
    /// One list of prompts played to one caller.
    PlaybackKey, "playback-"
);
key!(
    /// What a conference ID leads to: the store's row, which stays the same when its conference ID is reset.
    ConferenceKey, "conference-"
);
key!(
    /// A user of the credential store.
    UserKey, "user-"
);

/// Exactly seven digits, dialled by every caller of a meeting. An address, not a secret: it may be logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConferenceId([u8; ConferenceId::DIGITS]);

/// The text was not seven decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conference ID is exactly {} digits", ConferenceId::DIGITS)]
pub struct NotAConferenceId;

impl ConferenceId {
    pub const DIGITS: usize = 7;

    pub fn as_str(&self) -> &str {
        // The constructor admits ASCII digits only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As people read it aloud: `123 4567`.
    pub fn spaced(&self) -> String {
        let (head, tail) = self.as_str().split_at(3);
        format!("{head} {tail}")
    }
}

impl FromStr for ConferenceId {
    type Err = NotAConferenceId;

    fn from_str(text: &str) -> Result<Self, NotAConferenceId> {
        let digits: [u8; Self::DIGITS] = text.as_bytes().try_into().map_err(|_| NotAConferenceId)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(NotAConferenceId) }
    }
}

impl fmt::Display for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
