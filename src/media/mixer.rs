//! The mix of one meeting: the sum of who speaks, for each speaker without himself, and never more than the line carries.
//!
//! ```text
//!   sum = a + b + c              32 bits: 65,536 speakers at full scale don't overflow it
//!   a hears sum − a              exactly what a put in is taken out again: nobody hears himself
//!   all who only listen hear sum, limited and encoded once per codec
//! ```
//!
//! When nobody has spoken for a second noise comes up, so soft that nobody listens to it (−68 dB of full scale): the line is
//! not dead. Beside a voice it would be heard as a worse line (PESQ falls by 0.3), so then there is none.

use crate::wire::g711;
use crate::words::media::{Codec, FRAME_SAMPLES};

/// One frame of linear voice.
pub type Samples = [i16; FRAME_SAMPLES];
/// One frame of encoded voice.
pub type Codes = [u8; FRAME_SAMPLES];

/// Up to here, 3 dB below full scale, the limiter leaves the voice alone.
const KNEE: f32 = 23_170.0;
/// What the limiter approaches and never passes.
const CEILING: f32 = 32_124.0;

/// The limiter turns down within so many samples (2 ms), and up again by 0.5 dB a frame.
const TURNS_DOWN_IN: usize = 16;
const TURNS_UP_BY: f32 = 1.06;

/// The last sample of a voice that ends in the middle of a sound dies away over so many: 5 ms.
const TAIL: i32 = 40;

/// After so many frames in which nobody spoke the noise begins, and after so many more it is as loud as it gets.
const NOISE_AFTER: u32 = 50;
const NOISE_RISES_IN: u32 = 50;

/// Noise of half a second, of which each frame is a piece from anywhere.
static NOISE: [i16; NOISE_SAMPLES] = noise();
const NOISE_SAMPLES: usize = 4_096 + FRAME_SAMPLES;

/// Each sample is the sum of two that lie beside each other: soft in the treble, as the noise of a room. 30 at most.
const fn noise() -> [i16; NOISE_SAMPLES] {
    let mut samples = [0; NOISE_SAMPLES];
    let (mut random, mut before) = (0x2545_F491u32, 0i16);
    let mut at = 0;
    while at < NOISE_SAMPLES {
        random = stirred(random);
        let next = (random % 31) as i16 - 15;
        samples[at] = next + before;
        before = next;
        at += 1;
    }
    samples
}

/// The next number of a xorshift generator (Marsaglia); good enough for noise.
const fn stirred(mut random: u32) -> u32 {
    random ^= random << 13;
    random ^= random >> 17;
    random ^ random << 5
}

/// The sum of one frame.
pub struct Mixer {
    sum: [i32; FRAME_SAMPLES],
    speakers: usize,
    /// In a row in which nobody spoke.
    silent_frames: u32,
    /// Where in [`NOISE`] a frame begins.
    random: u32,
    /// The limiter's gain at the beginning and at the end of the frame.
    gain_before: f32,
    gain: f32,
    shared: Samples,
    /// What all listeners of a codec get, by [`Codec::index`], once one of them has asked.
    encoded: [Option<Codes>; Codec::ALL.len()],
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer {
            sum: [0; FRAME_SAMPLES],
            speakers: 0,
            silent_frames: 0,
            random: 0x9E37_79B9,
            gain_before: 1.0,
            gain: 1.0,
            shared: [0; FRAME_SAMPLES],
            encoded: [None; Codec::ALL.len()],
        }
    }
}

impl Mixer {
    /// A new frame begins, with nobody in it.
    pub fn clear(&mut self) {
        self.sum = [0; FRAME_SAMPLES];
        self.silent_frames = if self.speakers > 0 { 0 } else { self.silent_frames.saturating_add(1) };
        self.speakers = 0;
        if let Some(since) = self.silent_frames.checked_sub(NOISE_AFTER) {
            self.add_noise(since.min(NOISE_RISES_IN) as i32);
        }
        self.encoded = [None; Codec::ALL.len()];
    }

    fn add_noise(&mut self, loudness: i32) {
        self.random = stirred(self.random);
        let from = self.random as usize % (NOISE_SAMPLES - FRAME_SAMPLES);
        for (sum, &noise) in self.sum.iter_mut().zip(NOISE.iter().skip(from)) {
            *sum = i32::from(noise) * loudness / NOISE_RISES_IN as i32;
        }
    }

    pub fn add(&mut self, voice: &Samples) {
        for (sum, &sample) in self.sum.iter_mut().zip(voice) {
            *sum += i32::from(sample);
        }
        self.speakers += 1;
    }

    /// A voice has ended with this sample, maybe in the middle of a word: it dies away, so that there is no step.
    pub fn add_tail(&mut self, last: i16) {
        for (sum, sample) in self.sum.iter_mut().zip(tail(last)) {
            *sum += i32::from(sample);
        }
    }

    /// Everybody is in: makes what all who only listen hear.
    pub fn finish(&mut self) {
        self.gain_before = self.gain;
        let peak = peak(&self.sum);
        let wanted = if peak > KNEE { KNEE / peak } else { 1.0 };
        self.gain = wanted.min(self.gain * TURNS_UP_BY);
        limit(&self.sum, peak, self.gain_before, self.gain, &mut self.shared);
    }

    /// What a listener hears, linear. After [`Mixer::finish`].
    pub fn shared(&self) -> &Samples {
        &self.shared
    }

    /// What a listener hears, encoded: made for the first who asks, and the same for all others.
    pub fn shared_codes(&mut self, codec: Codec) -> &Codes {
        let Mixer { encoded, shared, .. } = self;
        let [pcmu, pcma] = encoded;
        let slot = match codec {
            Codec::Pcmu => pcmu,
            Codec::Pcma => pcma,
        };
        slot.get_or_insert_with(|| {
            let mut codes = [0; FRAME_SAMPLES];
            g711::encode_into(codec, shared, &mut codes);
            codes
        })
    }

    /// What somebody hears who put `own` into this frame.
    pub fn without(&self, own: &Samples, out: &mut Samples) {
        let mut others = [0i32; FRAME_SAMPLES];
        for ((other, &sum), &sample) in others.iter_mut().zip(&self.sum).zip(own) {
            *other = sum - i32::from(sample);
        }
        limit(&others, peak(&others), self.gain_before, self.gain, out);
    }
}

/// How a voice dies away that has ended with this sample.
pub fn tail(last: i16) -> Samples {
    let mut samples = [0; FRAME_SAMPLES];
    for (left, sample) in (0..TAIL).rev().zip(&mut samples) {
        *sample = (i32::from(last) * left / TAIL) as i16;
    }
    samples
}

fn peak(sum: &[i32; FRAME_SAMPLES]) -> f32 {
    sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0) as f32
}

/// Brings a sum into 16 bits. All of the frame is turned down together, which is heard as softer and not as distorted; only
/// what the gain has not reached yet is bent towards the ceiling, without a corner, and never wraps round.
fn limit(sum: &[i32; FRAME_SAMPLES], peak: f32, gain_before: f32, gain: f32, out: &mut Samples) {
    let steady = gain_before == 1.0 && gain == 1.0;
    if steady && peak <= KNEE {
        for (out, &sample) in out.iter_mut().zip(sum) {
            *out = sample as i16;
        }
        return;
    }
    const ROOM: f32 = CEILING - KNEE;
    let turns_in = if gain < gain_before { TURNS_DOWN_IN } else { FRAME_SAMPLES };
    let step = (gain - gain_before) / turns_in as f32;
    for (at, (out, &sample)) in out.iter_mut().zip(sum).enumerate() {
        let sample = sample as f32 * (gain_before + step * at.min(turns_in) as f32);
        let over = (sample.abs() - KNEE).max(0.0);
        let bent = KNEE.min(sample.abs()) + over * ROOM / (over + ROOM);
        *out = bent.copysign(sample) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loudest that the noise gets.
    const NOISE_PEAK: i16 = 30;

    fn tone(amplitude: f32, step: f32) -> Samples {
        std::array::from_fn(|at| (amplitude * (at as f32 * step).sin()) as i16)
    }

    #[test]
    fn everybody_hears_the_others_and_never_himself() {
        let voices = [tone(3000.0, 0.2), tone(5000.0, 0.31), tone(2000.0, 0.77)];
        let mut mixer = Mixer::default();
        for voice in &voices {
            mixer.add(voice);
        }
        mixer.finish();
        for (own, voice) in voices.iter().enumerate() {
            let mut heard = [0; FRAME_SAMPLES];
            mixer.without(voice, &mut heard);
            for at in 0..FRAME_SAMPLES {
                let others: i16 = (0..3).filter(|&other| other != own).map(|other| voices[other][at]).sum();
                assert_eq!(heard[at], others);
            }
        }
        assert_eq!(mixer.shared()[7], voices.iter().map(|voice| voice[7]).sum::<i16>());
    }

    #[test]
    fn a_silent_meeting_is_no_dead_line_and_beside_a_voice_there_is_no_noise() {
        let mut mixer = Mixer::default();
        let mut heard = [1000; FRAME_SAMPLES];
        for _ in 0..2 {
            for _ in 0..NOISE_AFTER {
                mixer.clear();
                mixer.finish();
                assert_eq!(mixer.shared(), &[0; FRAME_SAMPLES]);
            }
            for _ in 0..1_000 {
                mixer.clear();
                mixer.finish();
                assert!(mixer.shared().iter().all(|sample| sample.abs() <= NOISE_PEAK));
            }
            let power: i32 = mixer.shared().iter().map(|&sample| i32::from(sample).pow(2)).sum();
            assert!((100..220).contains(&(power / FRAME_SAMPLES as i32)), "{power}");
            for frame in 0..3 {
                mixer.clear();
                mixer.add(&tone(3000.0, 0.2));
                mixer.finish();
                mixer.without(&tone(3000.0, 0.2), &mut heard);
                assert!(frame == 0 || heard == [0; FRAME_SAMPLES], "who speaks alone hears nothing");
            }
        }
    }

    #[test]
    fn a_frame_leaves_nothing_behind() {
        let mut mixer = Mixer::default();
        mixer.add(&tone(9000.0, 0.3));
        mixer.finish();
        let loud = *mixer.shared_codes(Codec::Pcma);
        mixer.clear();
        mixer.finish();
        for codec in Codec::ALL {
            assert_eq!(mixer.shared_codes(codec), &[g711::silence(codec); FRAME_SAMPLES]);
        }
        assert_ne!(loud, *mixer.shared_codes(Codec::Pcma));
    }

    #[test]
    fn the_loudest_meeting_is_limited_and_never_wraps() {
        for speakers in [1, 2, 3, 50] {
            let mut mixer = Mixer::default();
            for _ in 0..speakers {
                mixer.add(&tone(32_767.0, 0.05));
            }
            mixer.finish();
            let expected = tone(32_767.0, 0.05);
            for (&out, &one) in mixer.shared().iter().zip(&expected) {
                assert!(out.unsigned_abs() <= CEILING as u16);
                assert!(i32::from(out) * i32::from(one) >= 0, "the sign of {one} became that of {out}");
            }
            // Once it is turned down louder in is never softer out.
            let mut pairs: Vec<_> = expected.iter().zip(mixer.shared()).skip(TURNS_DOWN_IN).collect();
            pairs.sort();
            assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        }
    }

    #[test]
    fn who_shout_at_once_are_turned_down_and_not_distorted() {
        let mut mixer = Mixer::default();
        let voices = [tone(20_000.0, 0.15 * std::f32::consts::PI), tone(20_000.0, 0.35 * std::f32::consts::PI)];
        let part = |samples: &Samples, step: f32| {
            let wave = |shift: f32| -> f32 {
                let sine = |at: usize| (at as f32 * step * std::f32::consts::PI + shift).sin();
                samples.iter().enumerate().map(|(at, &sample)| f32::from(sample) * sine(at)).sum()
            };
            wave(0.0).hypot(wave(std::f32::consts::FRAC_PI_2)) / 80.0
        };
        for frame in 0..10 {
            mixer.clear();
            // Frames of 20 ms, each a whole number of periods of both.
            voices.iter().for_each(|voice| mixer.add(voice));
            mixer.finish();
            if frame > 0 {
                // The products that bending makes: 2a − b and 2b − a.
                let made = part(mixer.shared(), 0.55) + part(mixer.shared(), 0.05);
                assert!(made < 60.0, "{made} in frame {frame}");
                assert!((8_000.0..20_000.0).contains(&part(mixer.shared(), 0.35)));
            }
        }
        // Then one of them alone is as loud as he is within half a second, without a step.
        let soft = tone(2_000.0, 0.2);
        for frame in 0..25 {
            mixer.clear();
            mixer.add(&soft);
            mixer.finish();
            assert!(frame > 0 || mixer.shared()[3].abs() < soft[3].abs());
        }
        assert_eq!(mixer.shared(), &soft);
    }

    #[test]
    fn a_voice_that_is_cut_dies_away_without_a_step() {
        let mut mixer = Mixer::default();
        mixer.clear();
        mixer.add_tail(12_000);
        mixer.finish();
        assert!(12_000 - mixer.shared()[0] < 400);
        assert!(mixer.shared().windows(2).all(|pair| (pair[1] - pair[0]).abs() < 400));
        assert_eq!(mixer.shared()[40..], [0; 120]);
    }
}
