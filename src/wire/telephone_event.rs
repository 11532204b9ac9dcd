//! The payload of RFC 4733: one named event in four octets (section 2.3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     event     |E|R|  volume   |           duration            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;

use crate::words::secret::Digit;

/// What one packet says about one event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The event code; 0 to 15 are the keys (section 3.2, table 3).
    pub event: u8,
    /// The E bit: the event is over, and `duration` is its whole length.
    pub end: bool,
    /// Power of the tone as −dBm0, 0 to 63.
    pub volume: u8,
    /// Length so far, in units of the RTP clock.
    pub duration: u16,
}

impl TelephoneEvent {
    pub const BYTES: usize = 4;

    /// `None` for a payload shorter than one event.
    ///
    /// What follows the first event is not looked at. Section 2.5.1.5 lets a sender pack events into one packet that
    /// follow each other without a gap, as modem signals do; between two keys there always is one.
    pub fn parse(payload: &[u8]) -> Option<TelephoneEvent> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        Some(TelephoneEvent {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F, // the R bit is ignored by receivers (section 2.3.3)
            duration: u16::from_be_bytes([high, low]),
        })
    }

    pub fn write(self) -> [u8; TelephoneEvent::BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume.min(63), high, low]
    }

    /// The key, where the event is one.
    pub fn digit(self) -> Option<Digit> {
        Digit::from_event_code(self.event)
    }
}

/// Without the event code, which is a typed key.
impl fmt::Debug for TelephoneEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TelephoneEvent");
        shown.field("end", &self.end).field("volume", &self.volume).field("duration", &self.duration);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for event in [0, 9, 11, 15, 16, 255] {
            for (end, volume, duration) in [(false, 10, 160), (true, 0, 0xFFFF), (true, 63, 0)] {
                let written = TelephoneEvent { event, end, volume, duration };
                assert_eq!(TelephoneEvent::parse(&written.write()), Some(written));
            }
        }
    }

    #[test]
    fn the_octets_are_those_of_the_rfc() {
        // Digit 1 at −10 dBm0, ended after 1,600 units: 10000000b | 10, 0x0640.
        assert_eq!(
            TelephoneEvent { event: 1, end: true, volume: 10, duration: 1600 }.write(),
            [0x01, 0x8A, 0x06, 0x40]
        );
    }

    #[test]
    fn the_reserved_bit_and_what_follows_are_ignored() {
        let event = TelephoneEvent::parse(&[5, 0x40 | 20, 0, 160, 6, 0, 0, 160]).unwrap();
        assert_eq!(event, TelephoneEvent { event: 5, end: false, volume: 20, duration: 160 });
        assert_eq!(event.digit(), Digit::from_char('5'));
    }

    #[test]
    fn less_than_an_event_is_none() {
        for short in [&[][..], &[1], &[1, 2, 3]] {
            assert_eq!(TelephoneEvent::parse(short), None);
        }
    }

    #[test]
    fn no_key_in_debug_output() {
        let seven = TelephoneEvent { event: 7, end: false, volume: 10, duration: 320 };
        assert!(!format!("{seven:?}").contains('7'));
    }
}
