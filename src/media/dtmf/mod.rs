//! DTMF: the keys a caller presses, whichever way they arrive.
//!
//! ```text
//!   RTP telephone-event ──► events ──────────┐
//!   SIP INFO ────────────────────────────────┼──► merge ──► one digit per key press
//!   decoded voice ────────► tones ───────────┘
//!                           (goertzel)  └──► this frame holds a tone: it never enters the mix
//! ```
//!
//! [`DtmfReceiver`] holds what one leg needs of it.

pub mod events;
mod goertzel;
pub mod merge;
pub mod tones;

use std::time::{Duration, Instant};

use crate::wire::rtp::RtpPacket;
use crate::words::media::DigitMethod;
use crate::words::secret::Digit;

use events::EventReceiver;
use merge::DigitMerger;
use tones::ToneDetector;

/// So long after an event packet that says "down", frames are withheld: a gateway that makes an event of a tone lets
/// its first 20 to 40 ms through, and they may still lie in the jitter buffer. Two packets can be lost meanwhile.
const EVENT_BLANKS: Duration = Duration::from_millis(100);

/// All that listens for one caller's keys.
#[derive(Default)]
pub struct DtmfReceiver {
    events: EventReceiver,
    tones: ToneDetector,
    merger: DigitMerger,
    blank_until: Option<Instant>,
}

/// What one frame of a caller's voice holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameSighting {
    /// A key press that no other way has reported.
    pub pressed: Option<Digit>,
    /// Nobody else should hear this frame: it holds a tone, or comes while the peer sends a key as an event. A tone's
    /// first milliseconds (up to 20) can lie in the frame before, so whoever mixes keeps one frame back.
    pub blank: bool,
}

impl DtmfReceiver {
    pub fn new() -> DtmfReceiver {
        DtmfReceiver::default()
    }

    /// The clock of the events from now on, in Hz.
    pub fn negotiate(&mut self, clock_rate: u32) {
        self.events.negotiate(clock_rate);
    }

    /// Takes a packet of the payload type agreed for `telephone-event`, as soon as it comes: not through the jitter
    /// buffer. `Some` for a press that no other way has reported.
    pub fn handle_event(&mut self, now: Instant, packet: &RtpPacket<'_>) -> Option<Digit> {
        let sighting = self.events.handle(packet);
        let pressed = sighting.pressed.and_then(|digit| self.merger.handle(now, DigitMethod::Event, digit));
        if let Some(digit) = sighting.held {
            self.merger.held(now, DigitMethod::Event, digit);
            self.blank_until = Some(now + EVENT_BLANKS);
        }
        pressed
    }

    /// Takes a key of a SIP INFO. `Some` for a press that no other way has reported.
    pub fn handle_info(&mut self, now: Instant, digit: Digit) -> Option<Digit> {
        self.merger.handle(now, DigitMethod::Info, digit)
    }

    /// Takes the next 20 ms of decoded voice, 160 samples at 8 kHz, in the order in which they are played. It must get
    /// every frame, also a concealed or silent one: the length of tones and pauses is counted in frames.
    pub fn handle_frame(&mut self, now: Instant, frame: &[i16]) -> FrameSighting {
        let sighting = self.tones.process(frame);
        let pressed = sighting.pressed.and_then(|digit| self.merger.handle(now, DigitMethod::InBand, digit));
        if let Some(digit) = sighting.held {
            self.merger.held(now, DigitMethod::InBand, digit);
        }
        let event_is_down = self.blank_until.is_some_and(|until| now < until);
        FrameSighting { pressed, blank: sighting.tone_present || event_is_down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::telephone_event::TelephoneEvent;
    use crate::words::media::{FRAME, FRAME_SAMPLES};
    use std::f64::consts::TAU;

    /// Key 5: 770 and 1336 Hz.
    fn tone(frame: usize) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|n| {
            let t = (frame * FRAME_SAMPLES + n) as f64 / 8000.0;
            (5000.0 * (TAU * 770.0 * t).sin() + 5000.0 * (TAU * 1336.0 * t).sin()) as i16
        })
    }

    #[test]
    fn a_press_that_comes_as_event_tone_and_info_is_one_digit() {
        let (start, mut dtmf) = (Instant::now(), DtmfReceiver::new());
        let mut digits = Vec::new();
        for frame in 0..30usize {
            let now = start + FRAME * frame as u32;
            if (3..8).contains(&frame) {
                let duration = (frame as u16 - 2) * 160;
                let payload = TelephoneEvent { event: 5, end: frame == 7, volume: 10, duration }.write();
                let sequence = frame as u16;
                let packet = RtpPacket {
                    payload_type: 101,
                    marker: false,
                    sequence,
                    timestamp: 480,
                    ssrc: 9,
                    payload: &payload,
                };
                digits.extend(dtmf.handle_event(now, &packet));
            }
            let voice = if (5..10).contains(&frame) { tone(frame) } else { [0; FRAME_SAMPLES] };
            let sighting = dtmf.handle_frame(now, &voice);
            digits.extend(sighting.pressed);
            if (3..10).contains(&frame) {
                assert!(sighting.blank, "frame {frame}");
            }
            if !(3..15).contains(&frame) {
                assert!(!sighting.blank, "frame {frame}");
            }
            if frame == 12 {
                digits.extend(dtmf.handle_info(now, Digit::from_char('5').unwrap()));
            }
        }
        assert_eq!(digits, [Digit::from_char('5').unwrap()]);
    }

    #[test]
    fn the_same_key_twice_is_two_digits_by_the_clock_of_the_events() {
        let (start, mut dtmf) = (Instant::now(), DtmfReceiver::new());
        dtmf.negotiate(8_000);
        let mut digits = 0;
        let mut sequence = 0;
        // Down for 100 ms, up for 100 ms, down again; all ends of the first are lost.
        for (begins_ms, timestamp) in [(0u64, 8_000u32), (200, 9_600)] {
            for step in 1..=5u16 {
                let payload = TelephoneEvent { event: 5, end: false, volume: 10, duration: step * 160 }.write();
                sequence += 1;
                let packet =
                    RtpPacket { payload_type: 101, marker: step == 1, sequence, timestamp, ssrc: 9, payload: &payload };
                let now = start + Duration::from_millis(begins_ms + 20 * u64::from(step));
                digits += usize::from(dtmf.handle_event(now, &packet).is_some());
            }
        }
        assert_eq!(digits, 2);
    }
}
