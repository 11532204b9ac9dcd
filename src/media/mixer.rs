//! The mix of one meeting: the sum of who speaks, for each speaker without himself, and never more than the line carries.
//!
//! ```text
//!   sum = a + b + c            32 bits: 65,536 speakers at full scale don't overflow it
//!   a hears sum − a            exactly what a put in is taken out again: nobody hears himself
//!   all who only listen hear sum, limited and encoded once per codec
//! ```

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

/// The sum of one frame.
pub struct Mixer {
    sum: [i32; FRAME_SAMPLES],
    speakers: usize,
    shared: Samples,
    /// What all listeners of a codec get, by [`Codec::index`], once one of them has asked.
    encoded: [Option<Codes>; Codec::ALL.len()],
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer { sum: [0; FRAME_SAMPLES], speakers: 0, shared: [0; FRAME_SAMPLES], encoded: [None; Codec::ALL.len()] }
    }
}

impl Mixer {
    /// A new frame begins, with nobody in it.
    pub fn clear(&mut self) {
        if self.speakers > 0 {
            self.sum = [0; FRAME_SAMPLES];
            self.speakers = 0;
        }
        self.encoded = [None; Codec::ALL.len()];
    }

    pub fn add(&mut self, voice: &Samples) {
        for (sum, &sample) in self.sum.iter_mut().zip(voice) {
            *sum += i32::from(sample);
        }
        self.speakers += 1;
    }

    /// Everybody is in: makes what all who only listen hear.
    pub fn finish(&mut self) {
        if self.speakers == 0 {
            self.shared = [0; FRAME_SAMPLES];
        } else {
            limit(&self.sum, &mut self.shared);
        }
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
        if self.speakers <= 1 {
            *out = [0; FRAME_SAMPLES];
            return;
        }
        let mut others = [0i32; FRAME_SAMPLES];
        for ((other, &sum), &sample) in others.iter_mut().zip(&self.sum).zip(own) {
            *other = sum - i32::from(sample);
        }
        limit(&others, out);
    }
}

/// Brings a sum into 16 bits. Below the knee nothing changes; above it the voice is bent towards the ceiling without a
/// corner, so that several who shout at once are distorted softly and never wrap round.
fn limit(sum: &[i32; FRAME_SAMPLES], out: &mut Samples) {
    let peak = sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    if peak as f32 <= KNEE {
        for (out, &sample) in out.iter_mut().zip(sum) {
            *out = sample as i16;
        }
        return;
    }
    const ROOM: f32 = CEILING - KNEE;
    for (out, &sample) in out.iter_mut().zip(sum) {
        let sample = sample as f32;
        let over = (sample.abs() - KNEE).max(0.0);
        let bent = KNEE.min(sample.abs()) + over * ROOM / (over + ROOM);
        *out = bent.copysign(sample) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn who_speaks_alone_hears_silence() {
        let mut mixer = Mixer::default();
        mixer.add(&tone(3000.0, 0.2));
        mixer.finish();
        let mut heard = [1; FRAME_SAMPLES];
        mixer.without(&tone(3000.0, 0.2), &mut heard);
        assert_eq!(heard, [0; FRAME_SAMPLES]);
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
            // Louder in is never softer out.
            let mut pairs: Vec<_> = expected.iter().zip(mixer.shared()).collect();
            pairs.sort();
            assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        }
    }
}
