//! The prompts by name. Their texts are in `audio/en/manifest.toml`, their voices beside it.

macro_rules! prompts {
    ($($name:ident = $key:literal),+ $(,)?) => {
        /// One recorded sentence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Prompt {
            $($name),+
        }

        impl Prompt {
            pub const ALL: &[Prompt] = &[$(Prompt::$name),+];

            /// The key in the manifest, and the name of the file without `.wav`.
            pub fn key(self) -> &'static str {
                match self {
                    $(Prompt::$name => $key),+
                }
            }
        }
    };
}

prompts! {
    Welcome = "welcome",
    EnterConferenceId = "enter-conference-id",
    ConferenceIdInvalid = "conference-id-invalid",
    OrganizerQuestion = "organizer-question",
    EnterPin = "enter-pin",
    PinInvalid = "pin-invalid",
    TooManyTries = "too-many-tries",
    PleaseWaitForOrganizer = "please-wait-for-organizer",
    PleaseWaitForAdmission = "please-wait-for-admission",
    Patience = "patience",
    PleaseHold = "please-hold",
    CannotCheck = "cannot-check",
    Goodbye = "goodbye",
    YouAreMuted = "you-are-muted",
    YouAreUnmuted = "you-are-unmuted",
    MeetingEnded = "meeting-ended",
    MeetingLocked = "meeting-locked",
    MeetingFull = "meeting-full",
}

/// What a meeting hears when somebody comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chime {
    Entry,
    Exit,
}

impl Chime {
    pub const ALL: [Chime; 2] = [Chime::Entry, Chime::Exit];

    /// The name of the file in `audio/tones` without `.wav`.
    pub fn key(self) -> &'static str {
        match self {
            Chime::Entry => "entry",
            Chime::Exit => "exit",
        }
    }
}
