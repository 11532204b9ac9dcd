//! Keys as a telephone sends them: RFC 4733 events, one packet each 20 ms, in the place of the voice.
//!
//! ```text
//!  one key, 180 ms:   begin  more  more  end  end  end  voice voice voice
//!  marker             x
//!  duration (units)   160    320   480   640  640  640
//!  RTP timestamp      ─────────── that of its begin ──────────
//! ```

use std::collections::VecDeque;

use anteroom::wire::telephone_event::TelephoneEvent;
use anteroom::words::media::FRAME_SAMPLES;
use anteroom::words::secret::Digit;

/// −dBm0.
const VOLUME: u8 = 10;
const UPDATES: u16 = 3;
const ENDS: u16 = 3;
const PAUSE: u32 = 3;

/// Something that a caller does with his keypad.
#[derive(Debug, Clone, Copy)]
enum Step {
    Press(Digit),
    /// In frames.
    Wait(u32),
}

/// What is still to be typed.
#[derive(Debug, Clone, Default)]
pub struct Typing {
    steps: VecDeque<Step>,
    pressed: Option<Press>,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    digit: Digit,
    rtp_timestamp: u32,
    packets_sent: u16,
}

/// One packet of a key.
pub struct KeyPacket {
    /// That of the event's begin.
    pub rtp_timestamp: u32,
    /// The first packet of the key.
    pub begins: bool,
    pub payload: [u8; TelephoneEvent::BYTES],
}

impl Typing {
    pub fn wait(mut self, frames: u32) -> Typing {
        self.steps.push_back(Step::Wait(frames));
        self
    }

    /// Characters that are on no keypad are passed over.
    pub fn press(mut self, keys: &str) -> Typing {
        for digit in keys.chars().filter_map(Digit::from_char) {
            self.steps.push_back(Step::Press(digit));
            self.steps.push_back(Step::Wait(PAUSE));
        }
        self
    }

    /// What this frame brings; `None`: voice.
    pub fn next(&mut self, rtp_timestamp: u32) -> Option<KeyPacket> {
        let press = match self.pressed.take() {
            Some(press) => press,
            None => match self.steps.front_mut()? {
                Step::Wait(frames) => {
                    *frames -= 1;
                    if *frames == 0 {
                        self.steps.pop_front();
                    }
                    return None;
                }
                Step::Press(digit) => {
                    let press = Press { digit: *digit, rtp_timestamp, packets_sent: 0 };
                    self.steps.pop_front();
                    press
                }
            },
        };
        let sent = press.packets_sent + 1;
        if sent < UPDATES + ENDS {
            self.pressed = Some(Press { packets_sent: sent, ..press });
        }
        let event = TelephoneEvent {
            event: press.digit.event_code(),
            end: sent > UPDATES,
            volume: VOLUME,
            duration: sent.min(UPDATES + 1) * FRAME_SAMPLES as u16,
        };
        Some(KeyPacket { rtp_timestamp: press.rtp_timestamp, begins: sent == 1, payload: event.write() })
    }
}
