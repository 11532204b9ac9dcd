//! One band's ADPCM: a quantizer whose steps grow and shrink with what it codes, and a predictor of two poles and six
//! zeroes that learns from signs alone (ITU-T G.722, sections 3 and 4, and the block names of section 6.2).
//!
//! Encoder and decoder run the same [`Band::adapt`] on the same codes. So a decoder's state follows its encoder's, and
//! both forget how they began: every coefficient leaks.
//!
//! Samples of a band have 15 bits (±16384) at 8 kHz. All arithmetic is on 32 bits with the standard's own limits of 16, so
//! nothing can overflow.

use std::marker::PhantomData;

use super::tables::{
    COARSE_LEVELS, HIGH_CODES, HIGH_DECISION, HIGH_LEVELS, HIGH_STEPS, LOW_CODES, LOW_DECISIONS, LOW_LEVELS, LOW_STEPS,
    SCALE,
};

/// One octave of a logarithmic scale factor.
pub const OCTAVE: i32 = 2_048;

/// The low band's scale factor starts two octaves above the high band's.
const LOW_SCALE_OFFSET: i32 = 2 * OCTAVE;

/// What the two bands differ in: their codes, and how the scale moves on with them.
pub trait Quantizer: Copy {
    /// The code of a difference from the prediction.
    fn code(difference: i32, scale: i32) -> u8;
    /// What a code stands for, in 1/32768 of the scale; and what both ends learn from it.
    fn level(code: u8) -> i16;
    fn level_learned(code: u8) -> i16;
    /// How the logarithmic scale factor moves on with a code, and its highest (blocks LOGSCL and LOGSCH).
    fn step(code: u8) -> i16;
    const LOG_MAX: i32;
    /// The scale factor of a logarithmic one.
    fn scale(log_scale: i32) -> i32;

    #[inline]
    fn next_log(log_scale: i32, code: u8) -> i32 {
        (((log_scale * 127) >> 7) + i32::from(Self::step(code))).clamp(0, Self::LOG_MAX)
    }
}

/// The low band's, with 6 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Low;

/// The high band's, with 2 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct High;

/// What both ends of a line hold for one band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band<Q> {
    quantizer: PhantomData<Q>,
    /// The predictor's zeroes, and the last six differences that they weigh (doubled, newest first).
    zeroes: [i16; 6],
    differences: [i16; 6],
    /// The predictor's poles, and the last two reconstructed samples (doubled, newest first).
    poles: [i32; 2],
    reconstructed: [i32; 2],
    /// The signs (0 or −1) of the last two samples that the zeroes alone make.
    signs: [i32; 2],
    /// The prediction of the next sample, and the zeroes' part of it.
    predicted: i32,
    predicted_by_zeroes: i32,
    /// The scale factor of the quantizer, as a logarithm and as it is.
    log_scale: i32,
    scale: i32,
}

impl<Q: Quantizer> Default for Band<Q> {
    /// At rest.
    fn default() -> Band<Q> {
        Band {
            quantizer: PhantomData,
            zeroes: [0; 6],
            differences: [0; 6],
            poles: [0; 2],
            reconstructed: [0; 2],
            signs: [0; 2],
            predicted: 0,
            predicted_by_zeroes: 0,
            log_scale: 0,
            scale: Q::scale(0),
        }
    }
}

impl Quantizer for Low {
    const LOG_MAX: i32 = 18_432;

    /// Block QUANTL. Every decision value is compared at once: eight a vector instruction, and no branch to mispredict.
    #[inline]
    fn code(difference: i32, scale: i32) -> u8 {
        let (magnitude, scale) = (magnitude(difference) as i16, scale as u16);
        let mut reached = 0;
        for decision in LOW_DECISIONS {
            reached += u16::from(magnitude >= ((u32::from(decision) * u32::from(scale)) >> 16) as i16);
        }
        LOW_CODES[usize::from(difference < 0)][usize::from(reached.min(31))]
    }

    #[inline]
    fn level(code: u8) -> i16 {
        LOW_LEVELS[usize::from(code & 0x3F)]
    }

    /// The two lowest bits of a code don't count here, so that a line may steal them (modes 2 and 3).
    #[inline]
    fn level_learned(code: u8) -> i16 {
        COARSE_LEVELS[usize::from(code >> 2 & 0x0F)]
    }

    /// Nor do they count here.
    #[inline]
    fn step(code: u8) -> i16 {
        LOW_STEPS[usize::from(code >> 2 & 0x0F)]
    }

    /// Block SCALEL.
    #[inline]
    fn scale(log_scale: i32) -> i32 {
        High::scale(log_scale + LOW_SCALE_OFFSET)
    }
}

impl Quantizer for High {
    const LOG_MAX: i32 = 22_528;

    /// Block QUANTH.
    #[inline]
    fn code(difference: i32, scale: i32) -> u8 {
        let outer = magnitude(difference) >= (HIGH_DECISION * scale) >> 12;
        HIGH_CODES[usize::from(difference < 0) << 1 | usize::from(outer)]
    }

    #[inline]
    fn level(code: u8) -> i16 {
        HIGH_LEVELS[usize::from(code & 3)]
    }

    #[inline]
    fn level_learned(code: u8) -> i16 {
        High::level(code)
    }

    #[inline]
    fn step(code: u8) -> i16 {
        HIGH_STEPS[usize::from(code & 3)]
    }

    /// Block SCALEH. (Both scales end at the same height; the mask is larger than any index, and the table fills it.)
    #[inline]
    fn scale(log_scale: i32) -> i32 {
        i32::from(SCALE[(log_scale >> 6) as usize & 511])
    }
}

impl<Q: Quantizer> Band<Q> {
    /// Blocks 1 to 4: the code of a sample.
    #[inline]
    pub fn encode(&mut self, sample: i32) -> u8 {
        let code = self.code(sample);
        self.learn(code);
        code
    }

    /// What [`Band::encode`] would say; nothing is learned.
    #[inline]
    pub fn code(&self, sample: i32) -> u8 {
        Q::code(saturated(sample - self.predicted), self.scale)
    }

    /// The sample of a code: blocks 5 and 6 of the low band, 5 of the high one, and what they learn.
    #[inline]
    pub fn decode(&mut self, code: u8) -> i32 {
        let difference = (self.scale * i32::from(Q::level(code))) >> 15;
        let sample = limited(saturated(self.predicted + difference));
        self.learn(code);
        sample
    }

    /// Goes back half the way to the scale that was before.
    pub fn scale_towards(&mut self, before: &Band<Q>) {
        self.log_scale = (self.log_scale + before.log_scale) / 2;
        self.scale = Q::scale(self.log_scale);
    }

    /// Blocks 2 to 4.
    #[inline]
    fn learn(&mut self, code: u8) {
        let difference = (self.scale * i32::from(Q::level_learned(code))) >> 15;
        self.log_scale = Q::next_log(self.log_scale, code);
        self.scale = Q::scale(self.log_scale);
        self.adapt(difference);
    }

    /// Block 4: the predictor learns from this difference, and makes the next prediction.
    #[inline]
    fn adapt(&mut self, difference: i32) {
        // PARREC, RECONS
        let by_zeroes = saturated(self.predicted_by_zeroes + difference);
        let reconstructed = saturated(self.predicted + difference);

        // UPPOL2, UPPOL1: the poles move by the signs of what the zeroes make, and stay where the filter is stable.
        let sign = by_zeroes >> 31;
        let [sign_1, sign_2] = self.signs;
        let [pole_1, pole_2] = self.poles;
        let same_1 = 1 | (sign ^ sign_1); // 1 or −1
        let same_2 = 1 | (sign ^ sign_2);
        let pull = saturated(-same_1 * saturated(pole_1 << 2)) >> 7;
        let new_2 = (pull + same_2 * 128 + ((pole_2 * 32_512) >> 15)).clamp(-12_288, 12_288);
        let bound = 15_360 - new_2;
        let new_1 = (same_1 * 192 + ((pole_1 * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [new_1, new_2];
        self.signs = [sign, sign_1];

        // UPZERO: each zero by whether its difference had the sign of this one.
        let step = if difference == 0 { 0 } else { 128 };
        let sign = difference >> 31;
        for (zero, &earlier) in self.zeroes.iter_mut().zip(&self.differences) {
            let same = 1 | (sign ^ (i32::from(earlier) >> 31));
            *zero = saturated(same * step + ((i32::from(*zero) * 32_640) >> 15)) as i16;
        }
        let [d1, d2, d3, d4, d5, _] = self.differences;
        self.differences = [saturated(difference * 2) as i16, d1, d2, d3, d4, d5];

        // FILTEP, FILTEZ, PREDIC. The zeroes' sum is limited at each step, the oldest first.
        self.reconstructed = [saturated(reconstructed * 2), self.reconstructed[0]];
        let by_poles = saturated(product(new_1, self.reconstructed[0]) + product(new_2, self.reconstructed[1]));
        let mut by_zeroes = 0i16;
        for (&zero, &earlier) in self.zeroes.iter().zip(&self.differences).rev() {
            by_zeroes = by_zeroes.saturating_add(product(zero.into(), earlier.into()) as i16);
        }
        self.predicted_by_zeroes = by_zeroes.into();
        self.predicted = saturated(by_poles + self.predicted_by_zeroes);
    }
}

/// What a word of the standard can hold.
#[inline]
fn saturated(word: i32) -> i32 {
    word.clamp(i16::MIN.into(), i16::MAX.into())
}

/// Block LIMIT: what a band's sample can be.
#[inline]
pub fn limited(sample: i32) -> i32 {
    sample.clamp(-16_384, 16_383)
}

#[inline]
fn product(a: i32, b: i32) -> i32 {
    ((a * b) >> 15).min(i16::MAX.into())
}

/// The magnitude as the quantizers take it: −1 counts as 0, so that both signs have as many steps.
#[inline]
fn magnitude(difference: i32) -> i32 {
    difference ^ (difference >> 31)
}
