//! The shipped sounds, in the binary: it runs from any folder with nothing beside it.

use crate::words::prompt::{Chime, Prompt};

/// A match without a wildcard: a prompt that gets a name must get a recording.
macro_rules! recordings {
    ($folder:literal, $of:ty, $name:expr, $($variant:ident => $file:literal),+ $(,)?) => {{
        type Of = $of;
        match $name {
            $(Of::$variant => include_bytes!(concat!("../../audio/", $folder, "/", $file, ".wav")).as_slice()),+
        }
    }};
}

/// The prompt's WAV file.
pub fn prompt(prompt: Prompt) -> &'static [u8] {
    recordings! { "en", Prompt, prompt,
        Welcome => "welcome",
        EnterConferenceId => "enter-conference-id",
        ConferenceIdInvalid => "conference-id-invalid",
        OrganizerQuestion => "organizer-question",
        EnterPin => "enter-pin",
        PinInvalid => "pin-invalid",
        TooManyTries => "too-many-tries",
        PleaseWaitForOrganizer => "please-wait-for-organizer",
        PleaseWaitForAdmission => "please-wait-for-admission",
        Patience => "patience",
        PleaseHold => "please-hold",
        CannotCheck => "cannot-check",
        Goodbye => "goodbye",
        YouAreMuted => "you-are-muted",
        YouAreUnmuted => "you-are-unmuted",
        MeetingEnded => "meeting-ended",
        MeetingLocked => "meeting-locked",
        MeetingFull => "meeting-full",
    }
}

/// The chime's WAV file.
pub fn chime(chime: Chime) -> &'static [u8] {
    recordings! { "tones", Chime, chime, Entry => "entry", Exit => "exit" }
}

/// The hold music's WAV file.
pub fn hold_music() -> &'static [u8] {
    include_bytes!("../../audio/hold/quiet-hours.wav")
}
