//! The shipped sounds, in the binary: it runs from any folder with nothing beside it.

use crate::words::prompt::{Chime, Prompt};

/// A match without a wildcard: a prompt that gets a name must get a recording.
macro_rules! recordings {
    ($folder:literal, $of:ty, $name:expr, $($variant:ident => $file:literal),+ $(,)?) => {{
        type Of = $of;
        match $name {
            $(Of::$variant => Shipped {
                at_8_khz: include_bytes!(concat!("../../audio/", $folder, "/", $file, ".wav")),
                at_16_khz: include_bytes!(concat!("../../audio/", $folder, "/16k/", $file, ".wav")),
            }),+
        }
    }};
}

/// The WAV files of one sound.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    pub at_8_khz: &'static [u8],
    pub at_16_khz: &'static [u8],
}

/// A prompt.
pub fn prompt(prompt: Prompt) -> Shipped {
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

/// A chime.
pub fn chime(chime: Chime) -> Shipped {
    recordings! { "tones", Chime, chime, Entry => "entry", Exit => "exit" }
}

/// The hold music.
pub fn hold_music() -> Shipped {
    Shipped {
        at_8_khz: include_bytes!("../../audio/hold/quiet-hours.wav"),
        at_16_khz: include_bytes!("../../audio/hold/16k/quiet-hours.wav"),
    }
}
