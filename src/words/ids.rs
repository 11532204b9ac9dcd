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

        impl FromStr for $name {
            type Err = NotAKey;

            /// As it is written in logs, or the number alone.
            fn from_str(text: &str) -> Result<Self, NotAKey> {
                let number = text.strip_prefix($prefix).unwrap_or(text);
                // No sign, no space: one key is written in one way.
                let is_plain = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
                let number = number.parse().ok().filter(|_| is_plain);
                number.map(Self).ok_or(NotAKey { example: concat!($prefix, "17") })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// The text was no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as {example}")]
pub struct NotAKey {
    example: &'static str,
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

    /// As people read it aloud: `123 456 7`.
    pub fn spaced(&self) -> String {
        let groups = self.0.chunks(3).map(|group| std::str::from_utf8(group).unwrap_or_default());
        groups.collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        assert_eq!(CallKey(17).to_string().parse(), Ok(CallKey(17)));
        assert_eq!("17".parse(), Ok(MeetingKey(17)));
        assert_eq!(serde_json::to_string(&MeetingKey(3)).unwrap(), "\"meeting-3\"");
        for wrong in ["", "call-", "meeting-3", "call-+3", "call- 3", "99999999999999999999"] {
            let error = wrong.parse::<CallKey>().unwrap_err();
            assert_eq!(error.to_string(), "write it as call-17", "{wrong:?}");
        }
    }
}
