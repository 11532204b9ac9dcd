//! Keys that come as SIP INFO, the way of many gateways from before RFC 4733 was everywhere.
//!
//! ```text
//!   Content-Type: application/dtmf-relay        Content-Type: application/dtmf
//!
//!   Signal=5                                    5
//!   Duration=160
//! ```
//!
//! The bodies hold what a caller types, PINs among it: they are read here and go no further.

use crate::wire::sip::MediaType;
use crate::words::secret::Digit;

/// How long a key was pressed where the INFO does not say it: the usual value of gateways.
const DURATION_MS_DEFAULT: u32 = 160;

/// No key press is longer for us.
const DURATION_MS_MAX: u32 = 10_000;

/// What the body of an INFO says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InfoBody {
    Digit {
        digit: Digit,
        duration_ms: u32,
    },
    /// A well-formed signal that is no key (hook flash, for one).
    OtherSignal,
    /// Not what its content type promises.
    Malformed,
}

/// The types whose bodies are read here, for an Accept header.
pub(super) const ACCEPTED: &str = "application/dtmf-relay, application/dtmf";

/// Whether INFO bodies of this type are read here.
pub(super) fn is_read(media_type: &MediaType) -> bool {
    ACCEPTED.split(", ").any(|name| media_type.is(name))
}

/// Reads either form, since gateways mix them up: `Signal=5` lines, or the bare key.
pub(super) fn read(body: &[u8]) -> InfoBody {
    let Ok(text) = std::str::from_utf8(body) else {
        return InfoBody::Malformed;
    };
    let mut signal = None;
    let mut duration_ms = DURATION_MS_DEFAULT;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if name.eq_ignore_ascii_case("signal") => signal = signal.or(Some(value)),
            Some((name, value)) if name.eq_ignore_ascii_case("duration") => {
                duration_ms = value.parse().unwrap_or(DURATION_MS_DEFAULT).min(DURATION_MS_MAX);
            }
            Some(_) => {}
            None => signal = signal.or(Some(line)),
        }
    }
    match signal {
        None => InfoBody::Malformed,
        Some(signal) => match key_of(signal) {
            Some(digit) => InfoBody::Digit { digit, duration_ms },
            None if is_other_signal(signal) => InfoBody::OtherSignal,
            None => InfoBody::Malformed,
        },
    }
}

/// One character is the key itself; two digits are the event code (10 is star, 11 is pound).
fn key_of(signal: &str) -> Option<Digit> {
    let mut characters = signal.chars();
    match (characters.next(), characters.next()) {
        (Some(key), None) => Digit::from_char(key),
        (Some(_), Some(_)) => signal.parse().ok().and_then(Digit::from_event_code),
        _ => None,
    }
}

fn is_other_signal(signal: &str) -> bool {
    signal.parse::<u8>().is_ok() || ["flash", "hf", "!"].iter().any(|name| signal.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(key: char, duration_ms: u32) -> InfoBody {
        InfoBody::Digit { digit: Digit::from_char(key).unwrap(), duration_ms }
    }

    #[test]
    fn keys_are_read_as_gateways_write_them() {
        let cases: [(&[u8], InfoBody); 12] = [
            (b"Signal=5\r\nDuration=160\r\n", digit('5', 160)),
            (b"Signal= 5\r\nDuration= 250\r\n", digit('5', 250)),
            (b"signal=#\nduration=100", digit('#', 100)),
            (b"Signal=10\r\nDuration=90", digit('*', 90)),
            (b"Signal=11", digit('#', 160)),
            (b"Signal=*\r\nDuration=4294967296", digit('*', 160)),
            (b"Signal=a\r\nDuration=999999", digit('A', 10_000)),
            (b"7", digit('7', 160)),
            (b" 7 \r\n", digit('7', 160)),
            (b"d=7\r\n8", digit('8', 160)),
            (b"Signal=flash", InfoBody::OtherSignal),
            (b"Signal=16", InfoBody::OtherSignal),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body), expected, "{:?}", String::from_utf8_lossy(body));
        }
        for wrong in
            [&b""[..], b"\r\n", b"Duration=3", b"Signal=", b"Signal=hello", b"Signal=-1", b"\xff\xfe", b"12345"]
        {
            assert_eq!(read(wrong), InfoBody::Malformed, "{:?}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn only_the_two_types_are_read() {
        let reads = |text: &str| is_read(&MediaType::parse(text.as_bytes()).unwrap());
        assert!(reads("Application/DTMF-Relay;x=y") && reads("application/dtmf"));
        assert!(!reads("application/dtmf-relays") && !reads("text/dtmf"));
    }
}
