//! Key presses as a fixture orders them: which keys, by which way, how long, and with which damage on their way.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::words::secret::Digit;

/// Keys of one step. Longer than any entry there is; a fixture that needs more has more steps.
pub const KEYS_PER_STEP: usize = 64;

/// A way that a key press travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyMethod {
    /// RTP telephone-events.
    Rfc4733,
    /// SIP INFO with `application/dtmf-relay`.
    InfoRelay,
    /// SIP INFO with `application/dtmf`.
    Info,
    /// The two tones, in the voice.
    InBand,
}

impl KeyMethod {
    pub const ALL: [KeyMethod; 4] = [KeyMethod::Rfc4733, KeyMethod::InfoRelay, KeyMethod::Info, KeyMethod::InBand];

    pub fn name(self) -> &'static str {
        match self {
            KeyMethod::Rfc4733 => "rfc4733",
            KeyMethod::InfoRelay => "info-relay",
            KeyMethod::Info => "info",
            KeyMethod::InBand => "inband",
        }
    }
}

impl FromStr for KeyMethod {
    type Err = NotKeys;

    fn from_str(text: &str) -> Result<KeyMethod, NotKeys> {
        KeyMethod::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| NotKeys::Method(text.to_owned()))
    }
}

impl fmt::Display for KeyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to the telephone-events of each press on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyFaults {
    /// So many packets at the start of each event are lost (the first carries the marker).
    pub drop_start: u32,
    /// All end packets of each event are lost.
    pub drop_end: bool,
    /// The marker bit is never set.
    pub drop_marker: bool,
    /// Each packet comes so many times more.
    pub duplicates: u32,
    /// Each two neighbouring packets of an event change places.
    pub reorder: bool,
}

/// One step's key presses. What is pressed never leaves by `Debug` or `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPresses {
    pub keys: Vec<Digit>,
    /// One way, or several at once (a gateway that sends events and leaves the tones in).
    pub methods: Vec<KeyMethod>,
    pub on: Duration,
    /// Silence after each press, also after the last.
    pub off: Duration,
    pub faults: KeyFaults,
}

/// The text is not what stands for keys, or for a way to press them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKeys {
    #[error("there are keys that no telephone has: 0 to 9, *, # and A to D exist (spaces are skipped)")]
    Key,
    #[error("no key to press")]
    Empty,
    #[error("more than {KEYS_PER_STEP} keys in one step")]
    TooMany,
    #[error("{0:?} is no way to press keys: write rfc4733, info-relay, info or inband")]
    Method(String),
}

/// Reads `1234567#`. Spaces are skipped, so that a conference ID can be written as it is read.
pub fn parse_keys(text: &str) -> Result<Vec<Digit>, NotKeys> {
    let keys = text
        .chars()
        .filter(|key| !key.is_whitespace())
        .map(|key| Digit::from_char(key).ok_or(NotKeys::Key))
        .collect::<Result<Vec<_>, _>>()?;
    match keys.len() {
        0 => Err(NotKeys::Empty),
        1..=KEYS_PER_STEP => Ok(keys),
        _ => Err(NotKeys::TooMany),
    }
}

impl KeyPresses {
    /// How long the whole step takes.
    pub fn duration(&self) -> Duration {
        let presses = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.on.saturating_add(self.off).saturating_mul(presses)
    }
}

/// `* + 5 keys + #`: what a reader needs to follow the story, and nothing that opens a meeting.
impl fmt::Display for KeyPresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let mut run = 0usize;
        let close_run = |run: &mut usize, parts: &mut Vec<String>| match std::mem::take(run) {
            0 => {}
            1 => parts.push("1 key".to_owned()),
            count => parts.push(format!("{count} keys")),
        };
        for key in &self.keys {
            if *key == Digit::STAR || *key == Digit::POUND {
                close_run(&mut run, &mut parts);
                parts.push(key.expose().to_string());
            } else {
                run = run.saturating_add(1);
            }
        }
        close_run(&mut run, &mut parts);
        f.write_str(&parts.join(" + "))?;
        let methods: Vec<_> = self.methods.iter().map(|method| method.name()).collect();
        write!(f, " by {}", methods.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presses(keys: &str) -> KeyPresses {
        KeyPresses {
            keys: parse_keys(keys).unwrap(),
            methods: vec![KeyMethod::Rfc4733],
            on: Duration::from_millis(60),
            off: Duration::from_millis(40),
            faults: KeyFaults::default(),
        }
    }

    #[test]
    fn the_story_is_told_without_the_digits() {
        for (keys, told) in [
            ("123 4567#", "7 keys + # by rfc4733"),
            ("*80909#", "* + 5 keys + # by rfc4733"),
            ("*", "* by rfc4733"),
            ("*6", "* + 1 key by rfc4733"),
            ("5*4", "1 key + * + 1 key by rfc4733"),
        ] {
            let presses = presses(keys);
            assert_eq!(presses.to_string(), told);
            let debug = format!("{presses:?}");
            assert!(!debug.contains("80909") && !debug.contains("Digit(8)"), "{debug}");
        }
    }

    #[test]
    fn a_step_lasts_as_long_as_its_presses() {
        assert_eq!(presses("1234567#").duration(), Duration::from_millis(800));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in ["12x4", "１２", "12-3"] {
            let error = parse_keys(text).unwrap_err();
            assert_eq!(error, NotKeys::Key);
            assert!(!error.to_string().contains(text));
        }
        assert_eq!(parse_keys(" "), Err(NotKeys::Empty));
        assert_eq!(parse_keys(&"1".repeat(65)), Err(NotKeys::TooMany));
        assert!("rfc2833".parse::<KeyMethod>().unwrap_err().to_string().contains("info-relay"));
    }
}
