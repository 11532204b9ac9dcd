//! The names of sounds in a fixture: what a caller says, and what he must or must not hear.
//!
//! ```text
//! heard:  silence  sound  music  prompt:KEY  chime:KEY  tone:HZ  wav:PATH  caller:NAME
//! said:   silence  nothing  tone:HZ  wav:PATH
//! ```

use std::fmt;
use std::str::FromStr;

/// Tones that a telephone line carries.
const TONE_HZ_MIN: u32 = 200;
const TONE_HZ_MAX: u32 = 3_600;

/// Something that can be listened for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sound {
    /// Nothing audible, or no packets at all.
    Silence,
    /// Anything that is not silence.
    Anything,
    /// The hold music, from any point on.
    Music,
    /// A recorded sentence by its key (`welcome`).
    Prompt(String),
    /// A short sound of a meeting by its key (`entry`).
    Chime(String),
    /// A steady tone.
    Tone { hz: u32 },
    /// A file of the tester's own, played from its start. Relative to the fixture.
    Wav(String),
    /// The voice of another caller of the same fixture. It stands for that caller's tone.
    Caller(String),
}

/// The text names no sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASound {
    #[error(
        "{0:?} is not something that can be heard: write silence, sound, music, prompt:KEY, chime:KEY, tone:HZ, \
         wav:PATH or caller:NAME"
    )]
    Heard(String),
    #[error("{0:?} is not something that can be said: write silence, nothing, tone:HZ or wav:PATH")]
    Said(String),
    #[error("{0:?}: a tone is a whole number of Hz from {TONE_HZ_MIN} to {TONE_HZ_MAX}")]
    Tone(String),
}

impl FromStr for Sound {
    type Err = NotASound;

    fn from_str(text: &str) -> Result<Sound, NotASound> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match (kind, name) {
            ("silence", "") => Ok(Sound::Silence),
            ("sound", "") => Ok(Sound::Anything),
            ("music", "") => Ok(Sound::Music),
            ("tone", hz) => Ok(Sound::Tone { hz: tone_hz(text, hz)? }),
            ("prompt", key) if !key.is_empty() => Ok(Sound::Prompt(key.to_owned())),
            ("chime", key) if !key.is_empty() => Ok(Sound::Chime(key.to_owned())),
            ("wav", path) if !path.is_empty() => Ok(Sound::Wav(path.to_owned())),
            ("caller", name) if !name.is_empty() => Ok(Sound::Caller(name.to_owned())),
            _ => Err(NotASound::Heard(text.to_owned())),
        }
    }
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sound::Silence => f.write_str("silence"),
            Sound::Anything => f.write_str("sound"),
            Sound::Music => f.write_str("music"),
            Sound::Prompt(key) => write!(f, "prompt:{key}"),
            Sound::Chime(key) => write!(f, "chime:{key}"),
            Sound::Tone { hz } => write!(f, "tone:{hz}"),
            Sound::Wav(path) => write!(f, "wav:{path}"),
            Sound::Caller(name) => write!(f, "caller:{name}"),
        }
    }
}

/// What a caller says, until he says something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speech {
    /// Packets without a sound in them.
    Silence,
    /// No packets.
    Nothing,
    /// A steady tone, by which the others know him.
    Tone { hz: u32 },
    /// A file, once. Relative to the fixture.
    Wav(String),
}

impl FromStr for Speech {
    type Err = NotASound;

    fn from_str(text: &str) -> Result<Speech, NotASound> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("silence", "") => Ok(Speech::Silence),
            ("nothing", "") => Ok(Speech::Nothing),
            ("tone", hz) => Ok(Speech::Tone { hz: tone_hz(text, hz)? }),
            ("wav", path) if !path.is_empty() => Ok(Speech::Wav(path.to_owned())),
            _ => Err(NotASound::Said(text.to_owned())),
        }
    }
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speech::Silence => f.write_str("silence"),
            Speech::Nothing => f.write_str("nothing"),
            Speech::Tone { hz } => write!(f, "tone:{hz}"),
            Speech::Wav(path) => write!(f, "wav:{path}"),
        }
    }
}

fn tone_hz(text: &str, hz: &str) -> Result<u32, NotASound> {
    hz.parse()
        .ok()
        .filter(|hz| (TONE_HZ_MIN..=TONE_HZ_MAX).contains(hz))
        .ok_or_else(|| NotASound::Tone(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written_back() {
        for text in
            ["silence", "sound", "music", "prompt:welcome", "chime:entry", "tone:1140", "wav:a/b.wav", "caller:Anna"]
        {
            assert_eq!(text.parse::<Sound>().unwrap().to_string(), text);
        }
        for text in ["silence", "nothing", "tone:440", "wav:voices/anna.wav"] {
            assert_eq!(text.parse::<Speech>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_names_say_what_is_allowed() {
        for text in ["", "musik", "prompt:", "silence:now", "prompt", "caller:"] {
            let error = text.parse::<Sound>().unwrap_err().to_string();
            assert!(error.contains("prompt:KEY"), "{error}");
        }
        for text in ["tone:", "tone:4000", "tone:12", "tone:4k"] {
            assert!(matches!(text.parse::<Sound>(), Err(NotASound::Tone(_))), "{text}");
            assert!(matches!(text.parse::<Speech>(), Err(NotASound::Tone(_))), "{text}");
        }
        assert!(matches!("music".parse::<Speech>(), Err(NotASound::Said(_))));
    }
}
