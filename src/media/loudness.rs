//! How loud a caller is, and the gain that brings him to where all others are.
//!
//! Telephones and voices differ by 20 dB. Each caller's speech is brought towards the loudness of the prompts and the music,
//! slowly and by so much at most, and only while he speaks: in silence nothing moves, so that nobody's noise is pulled up.
//!
//! ```text
//!   power of his speech (some 2 s) ──▶ gain wanted, −12 to +9 dB ──▶ gain, 6 dB a second down and 3 dB up
//!   what is 12 dB softer than that: the end of a word, or the noise between two
//! ```

use super::mixer::Samples;

/// The level of speech that is wanted: −22 dB of full scale, as the prompts have it (`audio/README.md`).
const WANTED: f32 = 2_600.0;

/// The most and the least that is done to a voice. What would need more is a broken telephone, and its noise would come up
/// with it.
const GAIN_MAX: f32 = 2.82;
const GAIN_MIN: f32 = 0.25;

/// What is softer than this (−46 dB), or than his speech by this (12 dB, as a part of its power), is no speech.
const SPEECH_AT: f32 = 160.0;
const BESIDE_SPEECH: f32 = 1.0 / 16.0;

/// Who is so soft beside what he was that it counts as no speech any more is another speaker on the same telephone: the mean
/// falls to him, 10 dB in four minutes.
const FORGETS_BY: f32 = 0.9998;

/// What is expected of a caller until he has spoken: −30 dB, so that soft speech counts as such too.
const EXPECTED: f32 = 1_036.0;

/// Frames of speech that the mean goes over: 2 s. And those that must be there before anything is changed: a second.
const MEAN_FRAMES: u32 = 100;
const KNOWN_AFTER: u32 = 50;

/// Per frame of speech: 0.06 dB up, 0.12 dB down.
const RISES_BY: f32 = 1.007;
const FALLS_BY: f32 = 0.986;

/// Within 2.5 dB of what is wanted nothing is changed: it would hardly be heard, and voice that passes as it came loses
/// nothing to a second coding.
const NEAR_ENOUGH: f32 = 1.33;

/// How fast the level that the floor goes by falls behind the voice: 0.6 dB a frame, 30 dB a second.
const LEVEL_FALLS_BY: f32 = 0.933;

/// One caller's loudness.
#[derive(Debug)]
pub struct Loudness {
    /// Mean square of his speech, and of how many frames; no more than [`MEAN_FRAMES`] count.
    power: f32,
    frames: u32,
    gain: f32,
    /// Highest of the last frames, after the gain.
    level: f32,
}

impl Default for Loudness {
    fn default() -> Loudness {
        Loudness { power: EXPECTED * EXPECTED, frames: 0, gain: 1.0, level: 0.0 }
    }
}

impl Loudness {
    /// Takes a frame of his voice.
    pub fn heard(&mut self, voice: &Samples) {
        // Of whole numbers, eight of them at once: a sum of fractions may not be taken in another order.
        let square: u64 = voice.iter().map(|&sample| u64::from(i32::from(sample).unsigned_abs().pow(2))).sum();
        let square = square as f32 / voice.len() as f32;
        if square >= (self.power * BESIDE_SPEECH).max(SPEECH_AT * SPEECH_AT) {
            self.frames = (self.frames + 1).min(MEAN_FRAMES);
            self.power += (square - self.power) / self.frames as f32;
        } else if square >= SPEECH_AT * SPEECH_AT {
            self.power *= FORGETS_BY;
        }
        if square >= self.power * BESIDE_SPEECH && self.frames >= KNOWN_AFTER {
            let wanted = (WANTED / self.power.sqrt()).clamp(GAIN_MIN, GAIN_MAX);
            if wanted > self.gain * NEAR_ENOUGH {
                self.gain = (self.gain * RISES_BY).min(GAIN_MAX);
            } else if wanted * NEAR_ENOUGH < self.gain {
                self.gain = (self.gain * FALLS_BY).max(GAIN_MIN);
            }
        }
        self.level = (square.sqrt() * self.gain).max(self.level * LEVEL_FALLS_BY);
    }

    /// By how much his voice is to be multiplied.
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// How loud he is now.
    pub fn level(&self) -> f32 {
        self.level
    }
}

/// Multiplies a frame, going from one gain to the other. What would be beyond 16 bits stays at their end.
pub fn amplify(voice: &mut [i16], from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    // In parts of 2²⁰, and of 2¹² where it is multiplied: a gain below 16 and a sample fit in 32 bits.
    let [from, to] = [from, to].map(|gain| (gain * 1_048_576.0) as i32);
    let step = (to - from) / voice.len().max(1) as i32;
    for (at, sample) in (0i32..).zip(voice.iter_mut()) {
        let amplified = (i32::from(*sample) * ((from + step * at) >> 8)) >> 12;
        *sample = amplified.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    /// Two seconds of a syllable each 200 ms, then one of silence with some noise in it; loudness in the last round.
    fn speak(loudness: &mut Loudness, amplitude: f32, seconds: usize) -> f32 {
        let (mut square, mut frames) = (0.0, 0);
        for frame in 0..seconds * 50 {
            let speaks = frame % 150 < 100 && frame % 10 < 7;
            let amplitude = if speaks { amplitude } else { 30.0 };
            let voice = std::array::from_fn(|at| (amplitude * (TAU * 200.0 * at as f32 / 8_000.0).sin()) as i16);
            loudness.heard(&voice);
            if speaks && frame + 500 > seconds * 50 {
                square += (amplitude * loudness.gain()).powi(2) / 2.0;
                frames += 1;
            }
        }
        (square / frames as f32).sqrt()
    }

    #[test]
    fn loud_and_soft_callers_come_to_one_loudness() {
        for amplitude in [1_400.0, 2_500.0, 4_000.0, 9_000.0, 14_000.0] {
            let level = speak(&mut Loudness::default(), amplitude, 30);
            let apart = 20.0 * (level / WANTED).log10();
            assert!(apart.abs() < 3.0, "{amplitude}: {apart} dB off");
        }
    }

    #[test]
    fn the_gain_is_bounded_and_slow() {
        let mut loudness = Loudness::default();
        speak(&mut loudness, 30_000.0, 60);
        assert!((GAIN_MIN..GAIN_MIN * NEAR_ENOUGH).contains(&loudness.gain()));
        speak(&mut loudness, 9_000.0, 60);
        let before = loudness.gain();
        speak(&mut loudness, 4_000.0, 3);
        let rose = loudness.gain() / before;
        assert!((1.02..1.55).contains(&rose), "by {rose} in two seconds of speech");
        let mut soft = Loudness::default();
        speak(&mut soft, 300.0, 120);
        assert!(soft.gain() > GAIN_MAX / NEAR_ENOUGH && soft.gain() <= GAIN_MAX);
    }

    #[test]
    fn silence_and_noise_change_nothing() {
        let mut loudness = Loudness::default();
        speak(&mut loudness, 2_000.0, 30);
        let before = loudness.gain();
        for frame in 0..1_000i32 {
            loudness.heard(&std::array::from_fn(|at| ((at as i32 * 7_919 + frame * 31) % 1_000 - 500) as i16));
        }
        assert_eq!(loudness.gain(), before);
    }

    #[test]
    fn the_loudest_voice_does_not_wrap() {
        let mut voice = [i16::MIN; 160];
        amplify(&mut voice, 1.0, 2.5);
        assert!(voice.iter().all(|&sample| sample == i16::MIN));
    }
}
