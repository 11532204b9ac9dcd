//! Who speaks: the gate in front of decoding and mixing.
//!
//! Most callers are silent most of the time, and in a lobby nobody need be heard. A G.711 code tells its magnitude without
//! being decoded, so a silent frame costs one pass over 160 octets and no more. Those of G.722 tell it by how their quantizers
//! have adapted ([`g722::LevelMeter`](crate::wire::g722::LevelMeter)); it is given on A-law's scale.

use crate::wire::g711;
use crate::words::media::{Codec, Law};

/// A frame with a peak of this much opens the gate: −40 dB of full scale. Line noise (−50 dBm0 and less) stays below; so
/// does nothing that a person says into a telephone.
const OPENS_AT: i16 = 320;

/// An open gate stays open while peaks reach this much, so that the soft end of a word is not cut.
const STAYS_OPEN_AT: i16 = 160;

/// How long the gate stays open after the last peak. Pauses between words are shorter; it is also long enough for every
/// silence that the tone detector has to see between two key presses.
pub const HANGOVER_FRAMES: u8 = 15;

/// The magnitude part of a code: 0 is the smallest of its law, 127 the largest, in rising order.
///
/// ITU-T G.711 inverts µ-law codes wholly and every second bit of A-law codes; the first bit is the sign.
#[inline]
fn magnitude(law: Law, code: u8) -> u8 {
    match law {
        Law::Mu => !code & 0x7F,
        Law::A => (code ^ 0x55) & 0x7F,
    }
}

/// The largest magnitude of some codes; 0 for none.
#[inline]
pub fn peak(law: Law, codes: &[u8]) -> u8 {
    // One loop per law, with nothing in it but the magnitude: the compiler makes vector instructions of it.
    match law {
        Law::Mu => codes.iter().map(|&code| !code & 0x7F).max().unwrap_or(0),
        Law::A => codes.iter().map(|&code| (code ^ 0x55) & 0x7F).max().unwrap_or(0),
    }
}

/// The magnitude of a peak that was measured otherwise, on the scale of [`scale_of`] a codec that is not G.711.
pub fn magnitude_of(amplitude: i16) -> u8 {
    magnitude(Law::A, g711::encode(Law::A, amplitude))
}

/// On which law's scale the magnitudes of a codec are.
fn scale_of(codec: Codec) -> Law {
    codec.law().unwrap_or(Law::A)
}

/// The smallest magnitude that decodes to at least `amplitude`.
fn smallest_of(law: Law, amplitude: i16) -> u8 {
    (0..=u8::MAX)
        .filter(|&code| g711::decode(law, code) >= amplitude)
        .map(|code| magnitude(law, code))
        .min()
        .unwrap_or(0x7F)
}

/// The gate's thresholds as magnitudes of one codec.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    opens_at: u8,
    stays_open_at: u8,
}

impl Thresholds {
    pub fn of(codec: Codec) -> Thresholds {
        let law = scale_of(codec);
        // Of a word that begins softly less is to be seen there; and noise of -50 dBm0 reads 255.
        let opens_at = if codec == Codec::G722 { OPENS_AT * 4 / 5 } else { OPENS_AT };
        Thresholds { opens_at: smallest_of(law, opens_at), stays_open_at: smallest_of(law, STAYS_OPEN_AT) }
    }

    /// Whether a frame with this peak would leave a closed gate closed.
    #[inline]
    pub fn is_quiet(&self, peak: u8) -> bool {
        peak < self.opens_at
    }
}

/// Whether somebody speaks, frame by frame.
#[derive(Debug, Default)]
pub struct TalkGate {
    frames_left: u8,
}

impl TalkGate {
    /// Something loud was there a moment ago.
    pub fn is_open(&self) -> bool {
        self.frames_left > 0
    }

    /// Takes the peak of the next frame; `true`: the frame is to be heard.
    #[inline]
    pub fn passes(&mut self, thresholds: &Thresholds, peak: u8) -> bool {
        let threshold = if self.frames_left == 0 { thresholds.opens_at } else { thresholds.stays_open_at };
        if peak >= threshold {
            self.frames_left = HANGOVER_FRAMES;
            return true;
        }
        let open = self.frames_left > 0;
        self.frames_left = self.frames_left.saturating_sub(1);
        open
    }
}

/// So many frames in a row must be heard before it is said that somebody talks: 60 ms, longer than a click on the line.
const TURN_BEGINS_FRAMES: u8 = 3;

/// So many in a row must not be heard before it is said that he does no more. The gate's hangover comes before it.
const TURN_ENDS_FRAMES: u8 = 10;

/// Whose turn it is, for people to see: the gate with the flicker taken out.
#[derive(Debug, Default)]
pub struct Turn {
    talking: bool,
    /// In a row that say otherwise.
    frames: u8,
}

impl Turn {
    /// Takes whether the caller is heard in this frame; says so when that has changed for good.
    #[inline]
    pub fn frame(&mut self, heard: bool) -> Option<bool> {
        if heard == self.talking {
            self.frames = 0;
            return None;
        }
        self.frames += 1;
        let enough = if heard { TURN_BEGINS_FRAMES } else { TURN_ENDS_FRAMES };
        if self.frames < enough {
            return None;
        }
        *self = Turn { talking: heard, frames: 0 };
        Some(heard)
    }
}

/// A magnitude in decibels of full scale; a floor of −90 for silence.
pub fn decibels(codec: Codec, magnitude: u8) -> i8 {
    let law = scale_of(codec);
    let code = match law {
        Law::Mu => !(magnitude & 0x7F),
        Law::A => (magnitude & 0x7F | 0x80) ^ 0x55,
    };
    let amplitude = f32::from(g711::decode(law, code)).abs();
    if magnitude == 0 { -90 } else { (20.0 * (amplitude / 32_768.0).log10()).clamp(-90.0, 0.0) as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_rise_with_the_amplitude() {
        for law in Law::ALL {
            for amplitude in (0..32_000i16).step_by(50) {
                let code = g711::encode(law, amplitude);
                let louder = g711::encode(law, amplitude + 700);
                assert!(magnitude(law, louder) >= magnitude(law, code), "{law:?} at {amplitude}");
                assert_eq!(magnitude(law, code), magnitude(law, code ^ 0x80), "the sign is no part of it");
                assert_eq!(peak(law, &[g711::silence(law), code, louder]), magnitude(law, louder));
            }
        }
    }

    #[test]
    fn a_turn_begins_after_three_frames_and_ends_after_ten() {
        let mut turn = Turn::default();
        assert_eq!([true, true, false, true, true].map(|heard| turn.frame(heard)), [None; 5], "a click");
        assert_eq!(turn.frame(true), Some(true));
        for _ in 1..TURN_ENDS_FRAMES {
            assert_eq!(turn.frame(false), None);
        }
        assert_eq!(turn.frame(true), None, "a pause between two words");
        let ends: Vec<_> = (0..TURN_ENDS_FRAMES).map(|_| turn.frame(false)).collect();
        assert_eq!(ends.iter().flatten().collect::<Vec<_>>(), [&false]);
    }

    #[test]
    fn levels_in_decibels() {
        for (law, codec) in [(Law::Mu, Codec::Pcmu), (Law::A, Codec::Pcma), (Law::A, Codec::G722)] {
            let level = |amplitude: i16| decibels(codec, magnitude(law, g711::encode(law, amplitude)));
            assert_eq!(decibels(codec, 0), -90);
            assert_eq!(level(32_000), 0);
            assert!((-7..=-5).contains(&level(16_384)), "{}", level(16_384));
            assert!((-41..=-39).contains(&level(-328)), "{}", level(-328));
        }
    }

    #[test]
    fn the_gate_opens_at_a_word_and_closes_after_the_hangover() {
        for (law, codec) in [(Law::Mu, Codec::Pcmu), (Law::A, Codec::Pcma), (Law::A, Codec::G722)] {
            let thresholds = Thresholds::of(codec);
            let frame = |amplitude: i16| peak(law, &[g711::silence(law), g711::encode(law, amplitude)]);
            let mut gate = TalkGate::default();
            assert!(!gate.passes(&thresholds, frame(0)));
            assert!(!gate.passes(&thresholds, frame(250)), "line noise");
            assert!(gate.passes(&thresholds, frame(-400)));
            assert!(gate.passes(&thresholds, frame(200)), "the soft end of a word");
            for _ in 0..HANGOVER_FRAMES {
                assert!(gate.passes(&thresholds, frame(0)));
            }
            assert!(!gate.passes(&thresholds, frame(0)));
            assert!(!gate.passes(&thresholds, frame(250)));
        }
    }
}
