//! The mix of one meeting: the sum of who speaks, for each speaker without himself, and never more than the line carries.
//!
//! ```text
//!   sum = a + b + c              32 bits: 65,536 speakers at full scale don't overflow it
//!   a hears sum − a              exactly what a put in is taken out again: nobody hears himself
//!   all who only listen hear sum, limited and encoded once per codec
//! ```
//!
//! Where somebody in the meeting hears 16 kHz (G.722, Opus) there is a second sum at that rate; every voice is put into both, as it
//! came into the one and resampled into the other. Nobody loses by it: who has 8 kHz hears the same as without.
//!
//! When nobody has spoken for a second noise comes up, so soft that nobody listens to it (−68 dB of full scale): the line is
//! not dead. Beside a voice it would be heard as a worse line (PESQ falls by 0.3), so then there is none.

use crate::wire::{g711, g722, opus};
use crate::words::media::{FRAME_SAMPLES, Law, WIDE_FRAME_SAMPLES};

/// One frame of linear voice at 8 kHz.
pub type Samples = [i16; FRAME_SAMPLES];
/// One frame of linear voice at 16 kHz.
pub type WideSamples = [i16; WIDE_FRAME_SAMPLES];
/// One frame of encoded voice.
pub type Codes = [u8; FRAME_SAMPLES];

/// Up to here, 3 dB below full scale, the limiter leaves the voice alone.
const KNEE: f32 = 23_170.0;
/// What the limiter approaches and never passes.
const CEILING: f32 = 32_124.0;

/// The limiter turns down within this part of a frame (2 ms), and up again by 0.5 dB a frame.
const TURNS_DOWN_IN: usize = 10;
const TURNS_UP_BY: f32 = 1.06;

/// The last sample of a voice that ends in the middle of a sound dies away over this part of a frame: 5 ms.
const TAIL: usize = 4;

/// After so many frames in which nobody spoke the noise begins, and after so many more it is as loud as it gets.
const NOISE_AFTER: u32 = 50;
const NOISE_RISES_IN: u32 = 50;

/// Noise, of which each frame is a piece from anywhere.
static NOISE: [i16; NOISE_SAMPLES] = noise();
const NOISE_SAMPLES: usize = 4_096 + WIDE_FRAME_SAMPLES;

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

/// The last sample of a voice, at both rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastSample {
    pub narrow: i16,
    pub wide: i16,
}

/// One frame of one meeting.
pub struct Mixer {
    narrow: Sum<FRAME_SAMPLES>,
    wide: Sum<WIDE_FRAME_SAMPLES>,
    /// Somebody hears 16 kHz.
    is_wide: bool,
    speakers: usize,
    /// In a row in which nobody spoke.
    silent_frames: u32,
    /// Where in [`NOISE`] a frame begins.
    random: u32,
    /// What all listeners of a law get, by [`Law::index`], once one of them has asked.
    encoded: [Option<Codes>; Law::ALL.len()],
    /// What all listeners of G.722 get, once one of them has asked, and the encoder before and after it.
    g722: Option<Codes>,
    encoder_before: g722::Encoder,
    encoder: g722::Encoder,
    /// What all listeners of Opus get, from the first on.
    opus: Option<Box<OpusListeners>>,
}

struct OpusListeners {
    encoder: opus::Encoder,
    packet: [u8; opus::SENT_BYTES_MAX],
    /// Of `packet`, once one of them has asked.
    length: Option<usize>,
    /// What they heard in the frame before.
    before: WideSamples,
}

/// What all who listen to a meeting in G.722 hear in one frame.
pub struct SharedG722<'a> {
    pub samples: &'a WideSamples,
    pub codes: &'a Codes,
    /// An encoder in the first state makes these codes of these samples, and is in the second then.
    pub before: &'a g722::Encoder,
    pub after: &'a g722::Encoder,
}

impl OpusListeners {
    fn new(encoder: opus::Encoder) -> Box<OpusListeners> {
        let packet = [0; opus::SENT_BYTES_MAX];
        Box::new(OpusListeners { encoder, packet, length: None, before: [0; WIDE_FRAME_SAMPLES] })
    }
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer {
            narrow: Sum::default(),
            wide: Sum::default(),
            is_wide: false,
            speakers: 0,
            silent_frames: 0,
            random: 0x9E37_79B9,
            encoded: [None; Law::ALL.len()],
            g722: None,
            encoder_before: g722::Encoder::default(),
            encoder: g722::Encoder::default(),
            opus: None,
        }
    }
}

impl Mixer {
    /// A new frame begins, with nobody in it.
    pub fn clear(&mut self) {
        self.narrow.clear();
        if let Some(opus) = &mut self.opus {
            opus.length = None;
            opus.before = self.wide.shared;
        }
        if std::mem::take(&mut self.is_wide) {
            self.wide.clear();
        }
        self.silent_frames = if self.speakers > 0 { 0 } else { self.silent_frames.saturating_add(1) };
        self.speakers = 0;
        self.encoded = [None; Law::ALL.len()];
        self.g722 = None;
    }

    /// Somebody hears this frame at 16 kHz. To be said before anybody is put in.
    pub fn widen(&mut self) {
        self.is_wide = true;
    }

    /// Whether a voice has to be put in at 16 kHz, too.
    pub fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// A voice at 8 kHz; each is put in at both rates where [`Mixer::is_wide`].
    pub fn add(&mut self, voice: &Samples) {
        self.narrow.add(voice);
        self.speakers += 1;
    }

    /// The same voice at 16 kHz.
    pub fn add_wide(&mut self, voice: &WideSamples) {
        self.wide.add(voice);
    }

    /// A voice has ended with this sample, maybe in the middle of a word: it dies away, so that there is no step.
    pub fn add_tail(&mut self, last: LastSample) {
        self.narrow.add(&tail(last.narrow));
        if self.is_wide {
            self.wide.add(&tail(last.wide));
        }
    }

    /// Everybody is in: makes what all who only listen hear.
    pub fn finish(&mut self) {
        if self.speakers == 0
            && let Some(since) = self.silent_frames.checked_sub(NOISE_AFTER)
        {
            self.random = stirred(self.random);
            let noise = NOISE.get(self.random as usize % (NOISE_SAMPLES - WIDE_FRAME_SAMPLES)..).unwrap_or_default();
            let loudness = since.min(NOISE_RISES_IN) as i32;
            self.narrow.add_noise(noise, loudness);
            if self.is_wide {
                self.wide.add_noise(noise, loudness);
            }
        }
        self.narrow.finish();
        if self.is_wide {
            self.wide.finish();
        }
    }

    /// What a listener hears, linear. After [`Mixer::finish`].
    pub fn shared(&self) -> &Samples {
        &self.narrow.shared
    }

    /// What a listener hears, encoded: made for the first who asks, and the same for all others.
    pub fn shared_codes(&mut self, law: Law) -> &Codes {
        let Mixer { encoded, narrow, .. } = self;
        let [mu, a] = encoded;
        let slot = match law {
            Law::Mu => mu,
            Law::A => a,
        };
        slot.get_or_insert_with(|| {
            let mut codes = [0; FRAME_SAMPLES];
            g711::encode_into(law, &narrow.shared, &mut codes);
            codes
        })
    }

    /// What somebody hears who put `own` into this frame.
    pub fn without(&self, own: &Samples, out: &mut Samples) {
        self.narrow.without(own, out);
    }

    /// What a listener hears at 16 kHz.
    pub fn wide_shared(&self) -> &WideSamples {
        &self.wide.shared
    }

    /// What a listener of G.722 hears: encoded for the first who asks. A frame that nobody asks for is not encoded, and who
    /// asks for the next finds an encoder that has not heard it.
    pub fn shared_g722(&mut self) -> SharedG722<'_> {
        let Mixer { wide, g722, encoder_before, encoder, .. } = self;
        let codes = g722.get_or_insert_with(|| {
            let mut codes = [0; FRAME_SAMPLES];
            encoder_before.clone_from(encoder);
            encoder.encode(&wide.shared, &mut codes);
            codes
        });
        SharedG722 { samples: &wide.shared, codes, before: encoder_before, after: encoder }
    }

    /// The first who has Opus is there. Allocates, so it is done before he hears anything.
    pub fn make_opus(&mut self) {
        if self.opus.is_none() {
            self.opus = opus::Encoder::for_voice(opus::BITS_PER_SECOND).map(OpusListeners::new);
        }
    }

    /// What a listener of Opus hears: a packet, made for the first who asks. Empty before [`Mixer::make_opus`].
    pub fn shared_opus(&mut self) -> &[u8] {
        let Mixer { wide, opus, .. } = self;
        let Some(OpusListeners { encoder, packet, length, .. }) = opus.as_deref_mut() else { return &[] };
        let length = *length.get_or_insert_with(|| encoder.encode(&wide.shared, packet));
        packet.get(..length).unwrap_or_default()
    }

    /// What a listener heard in the frame before, where there are some with Opus; silence otherwise.
    pub fn wide_shared_before(&self) -> &WideSamples {
        self.opus.as_ref().map_or(&[0; WIDE_FRAME_SAMPLES], |opus| &opus.before)
    }

    /// What somebody hears at 16 kHz who put `own` into this frame.
    pub fn wide_without(&self, own: &WideSamples, out: &mut WideSamples) {
        self.wide.without(own, out);
    }
}

/// The sum at one rate, of frames of so many samples.
struct Sum<const N: usize> {
    sum: [i32; N],
    /// The limiter's gain at the beginning and at the end of the frame.
    gain_before: f32,
    gain: f32,
    shared: [i16; N],
}

impl<const N: usize> Default for Sum<N> {
    fn default() -> Sum<N> {
        Sum { sum: [0; N], gain_before: 1.0, gain: 1.0, shared: [0; N] }
    }
}

impl<const N: usize> Sum<N> {
    fn clear(&mut self) {
        self.sum = [0; N];
    }

    fn add(&mut self, voice: &[i16; N]) {
        for (sum, &sample) in self.sum.iter_mut().zip(voice) {
            *sum += i32::from(sample);
        }
    }

    fn add_noise(&mut self, noise: &[i16], loudness: i32) {
        for (sum, &noise) in self.sum.iter_mut().zip(noise) {
            *sum += i32::from(noise) * loudness / NOISE_RISES_IN as i32;
        }
    }

    fn finish(&mut self) {
        self.gain_before = self.gain;
        let peak = peak(&self.sum);
        let wanted = if peak > KNEE { KNEE / peak } else { 1.0 };
        self.gain = wanted.min(self.gain * TURNS_UP_BY);
        limit(&self.sum, peak, self.gain_before, self.gain, &mut self.shared);
    }

    fn without(&self, own: &[i16; N], out: &mut [i16; N]) {
        let mut others = [0i32; N];
        for ((other, &sum), &sample) in others.iter_mut().zip(&self.sum).zip(own) {
            *other = sum - i32::from(sample);
        }
        limit(&others, peak(&others), self.gain_before, self.gain, out);
    }
}

/// How a voice dies away that has ended with this sample.
pub fn tail<const N: usize>(last: i16) -> [i16; N] {
    let mut samples = [0; N];
    let length = (N / TAIL) as i32;
    for (left, sample) in (0..length).rev().zip(&mut samples) {
        *sample = (i32::from(last) * left / length) as i16;
    }
    samples
}

fn peak(sum: &[i32]) -> f32 {
    sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0) as f32
}

/// Brings a sum into 16 bits. All of the frame is turned down together, which is heard as softer and not as distorted; only
/// what the gain has not reached yet is bent towards the ceiling, without a corner, and never wraps round.
fn limit<const N: usize>(sum: &[i32; N], peak: f32, gain_before: f32, gain: f32, out: &mut [i16; N]) {
    let steady = gain_before == 1.0 && gain == 1.0;
    if steady && peak <= KNEE {
        for (out, &sample) in out.iter_mut().zip(sum) {
            *out = sample as i16;
        }
        return;
    }
    const ROOM: f32 = CEILING - KNEE;
    let turns_in = if gain < gain_before { N / TURNS_DOWN_IN } else { N };
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
        let loud = *mixer.shared_codes(Law::A);
        mixer.clear();
        mixer.finish();
        for law in Law::ALL {
            assert_eq!(mixer.shared_codes(law), &[g711::silence(law); FRAME_SAMPLES]);
        }
        assert_ne!(loud, *mixer.shared_codes(Law::A));
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
            let mut pairs: Vec<_> = expected.iter().zip(mixer.shared()).skip(FRAME_SAMPLES / TURNS_DOWN_IN).collect();
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
        mixer.add_tail(LastSample { narrow: 12_000, wide: 0 });
        mixer.finish();
        assert!(12_000 - mixer.shared()[0] < 400);
        assert!(mixer.shared().windows(2).all(|pair| (pair[1] - pair[0]).abs() < 400));
        assert_eq!(mixer.shared()[40..], [0; 120]);
    }
}
