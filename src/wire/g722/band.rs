//! Both bands' ADPCM: quantizers whose steps grow and shrink with what they code, and predictors of two poles and six
//! zeroes that learn from signs alone (ITU-T G.722, sections 3 and 4, and the block names of section 6.2).
//!
//! Encoder and decoder run the same [`Running::learn`] on the same codes. So a decoder's state follows its encoder's, and
//! both forget how they began: every coefficient leaks.
//!
//! Samples of a band have 15 bits (±16384) at 8 kHz. The bands differ in their quantizers alone; all else is done for both side
//! by side, the low band's word first. What the standard limits to 16 bits is limited here where it can come to that: a difference
//! is below 12,500, its double below 25,000, and so no product of one with a coefficient reaches 32,768.
//!
//! An encoder can't begin a sample before it has learned from the one before it. So what makes it quick is a short way from a
//! prediction to the next: all that a difference could be is worked out while the sample is still on its way.

use super::qmf::Pair;
use super::tables::{
    CLASS_STEPS, COARSE_LEVELS, FINE_DECISIONS, HIGH_CODES, HIGH_DECISION, HIGH_LEVELS, HIGH_STEPS, LOW_AT_SCALE,
    LOW_CODES, LOW_LEVELS, LOW_STEPS, SCALE,
};
use crate::words::lanes::Lanes;

/// One octave of a logarithmic scale factor.
pub const OCTAVE: i32 = 2_048;

/// The low band's scale factor starts two octaves above the high band's.
const LOW_SCALE_OFFSET: i32 = 2 * OCTAVE;

/// The highest logarithmic scale factors (blocks LOGSCL and LOGSCH).
pub const LOW_LOG_MAX: i32 = 18_432;
pub const HIGH_LOG_MAX: i32 = 22_528;

/// What a band's sample can be (block LIMIT).
pub const BAND_MIN: i16 = -16_384;
pub const BAND_MAX: i16 = 16_383;

/// What both ends of a line hold for their bands. Of each two the first is the low band's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bands {
    /// The predictors' zeroes, and the last six differences that they weigh (doubled, newest first).
    zeroes: [[i16; 6]; 2],
    differences: [[i16; 6]; 2],
    /// The predictors' first and second poles, and the last two reconstructed samples (doubled, newest first).
    poles: [Pair; 2],
    reconstructed: [Pair; 2],
    /// The signs (0 or −1) of the last two samples that the zeroes alone make.
    signs: [Pair; 2],
    /// The predictions of the next samples, and the zeroes' part of them.
    predicted: Pair,
    predicted_by_zeroes: Pair,
    /// The scale factors of the quantizers, as logarithms.
    log_scales: Pair,
}

/// How the low band's logarithmic scale factor moves on with a code (block LOGSCL). The two lowest bits don't count, so that a
/// line may steal them (modes 2 and 3).
#[inline]
fn next_low_log(log_scale: i32, code: u8) -> i32 {
    next_log(log_scale, LOW_STEPS[usize::from(code >> 2 & 0x0F)], LOW_LOG_MAX)
}

/// The high band's (block LOGSCH).
#[inline]
fn next_high_log(log_scale: i32, code: u8) -> i32 {
    next_log(log_scale, HIGH_STEPS[usize::from(code & 3)], HIGH_LOG_MAX)
}

#[inline]
fn next_log(log_scale: i32, step: i16, max: i32) -> i32 {
    (((log_scale * 127) >> 7) + i32::from(step)).clamp(0, max)
}

/// The scale factor of a logarithmic one (block SCALEH). Both bands' end at the same height; the mask is larger than any
/// index, and the table fills it.
#[inline]
fn scale(log_scale: i32) -> i32 {
    i32::from(SCALE[(log_scale >> 6) as usize & 511])
}

impl Bands {
    /// The codes of as many pairs of samples as there are.
    pub fn encode(&mut self, samples: &[Pair], codes: &mut [u8]) {
        let mut running = Running::of(self);
        for (code, &samples) in codes.iter_mut().zip(samples) {
            *code = running.encode(samples);
        }
        running.rest(self);
    }

    /// The samples of codes.
    pub fn decode(&mut self, codes: &[u8], samples: &mut [Pair]) {
        let mut running = Running::of(self);
        for (samples, &code) in samples.iter_mut().zip(codes) {
            *samples = running.decode(code);
        }
        running.rest(self);
    }

    /// As if these samples had been encoded and their codes had come; and then they are what the codes say.
    pub fn follow(&mut self, samples: &mut [Pair]) {
        let mut running = Running::of(self);
        for samples in samples {
            let (code, ..) = running.quantize(*samples);
            *samples = running.decode(code);
        }
        running.rest(self);
    }

    /// Goes back half the way to the scales that were before.
    pub fn scale_towards(&mut self, before: &Bands) {
        for (log_scale, &before) in self.log_scales.iter_mut().zip(&before.log_scales) {
            *log_scale = ((i32::from(*log_scale) + i32::from(before)) / 2) as i16;
        }
    }
}

/// The bands while they run. Of the lanes the first two count, but for the zeroes and their differences, of which six do.
struct Running {
    zeroes: [Lanes; 2],
    differences: [Lanes; 2],
    poles: [Lanes; 2],
    reconstructed: [Lanes; 2],
    signs: [Lanes; 2],
    predicted: Lanes,
    predicted_by_zeroes: Lanes,
    /// As logarithms and as they are.
    log_scales: [i32; 2],
    scales: [i32; 2],
}

/// What both ends learn from a code: how far the samples are from their predictions.
struct Learned {
    /// The low band's in all lanes.
    low: Lanes,
    /// The high band's in the second.
    high: Lanes,
}

impl Running {
    fn of(bands: &Bands) -> Running {
        let six = |[a, b, c, d, e, f]: [i16; 6]| Lanes::new([a, b, c, d, e, f, 0, 0]);
        let mut running = Running {
            zeroes: bands.zeroes.map(six),
            differences: bands.differences.map(six),
            poles: bands.poles.map(Lanes::pair),
            reconstructed: bands.reconstructed.map(Lanes::pair),
            signs: bands.signs.map(Lanes::pair),
            predicted: Lanes::pair(bands.predicted),
            predicted_by_zeroes: Lanes::pair(bands.predicted_by_zeroes),
            log_scales: [0; 2],
            scales: [0; 2],
        };
        let [low, high] = bands.log_scales;
        running.scale_by(low.into(), high.into());
        running
    }

    fn rest(&self, bands: &mut Bands) {
        let six = |lanes: Lanes| {
            let [a, b, c, d, e, f, ..] = lanes.words();
            [a, b, c, d, e, f]
        };
        *bands = Bands {
            zeroes: self.zeroes.map(six),
            differences: self.differences.map(six),
            poles: self.poles.map(Lanes::first_pair),
            reconstructed: self.reconstructed.map(Lanes::first_pair),
            signs: self.signs.map(Lanes::first_pair),
            predicted: self.predicted.first_pair(),
            predicted_by_zeroes: self.predicted_by_zeroes.first_pair(),
            log_scales: self.log_scales.map(|log_scale| log_scale as i16),
        };
    }

    /// Block 3, but for how the logarithms came to be.
    #[inline]
    fn scale_by(&mut self, low_log: i32, high_log: i32) {
        self.log_scales = [low_log, high_log];
        self.scales = [scale(low_log + LOW_SCALE_OFFSET), scale(high_log)];
    }

    /// Blocks 1 to 4: the code of a pair of samples.
    #[inline]
    fn encode(&mut self, samples: Pair) -> u8 {
        let (code, class, learned) = self.quantize(samples);
        let [low, high] = self.log_scales;
        // By the class, which is known before the code.
        self.scale_by(next_log(low, CLASS_STEPS[class], LOW_LOG_MAX), next_high_log(high, code >> 6));
        self.learn(&learned);
        code
    }

    /// The samples of a code: blocks 5 and 6 of the low band, 5 of the high one, and what they learn.
    #[inline]
    fn decode(&mut self, code: u8) -> Pair {
        let (low_code, high_code) = (code & 0x3F, code >> 6);
        let [low_scale, high_scale] = self.scales;
        let difference = |scale: i32, level: i16| ((scale * i32::from(level)) >> 15) as i16;
        let low = difference(low_scale, LOW_LEVELS[usize::from(low_code)]);
        let low_learned = difference(low_scale, COARSE_LEVELS[usize::from(low_code >> 2)]);
        let high = difference(high_scale, HIGH_LEVELS[usize::from(high_code)]);
        let samples = self.predicted.plus_limited(Lanes::pair([low, high]));
        let samples = samples.limited(Lanes::all(BAND_MIN), Lanes::all(BAND_MAX));
        let [low_log, high_log] = self.log_scales;
        self.scale_by(next_low_log(low_log, low_code), next_high_log(high_log, high_code));
        self.learn(&Learned { low: Lanes::all(low_learned), high: Lanes::pair([0, high]) });
        samples.first_pair()
    }

    /// Blocks QUANTL and QUANTH: the code, the low band's class, and what is learned from both.
    #[inline]
    fn quantize(&self, samples: Pair) -> (u8, usize, Learned) {
        let differences = Lanes::pair(samples).minus_limited(self.predicted);
        // The magnitude as the quantizers take it: −1 counts as 0, so that both signs have as many steps.
        let signs = differences.shifted_right::<15>();
        let magnitudes = differences.xor(signs);

        // The low band: first which of eight classes it is, from which both ends learn. By how much more each class teaches than
        // the one before it is known, and those that are reached are summed up.
        let [low_log, _] = self.log_scales;
        let at_scale = &LOW_AT_SCALE[(low_log >> 6) as usize];
        let [scale, below, up, up_or_down] =
            [at_scale.scale, at_scale.below, at_scale.up, at_scale.up_or_down].map(Lanes::new);
        let magnitude = magnitudes.spread_first();
        let reached = magnitude.above(below);
        let class = reached.set_at_first() & 7;
        let low = up.xor(up_or_down.and(signs.spread_first())).and(reached).sum_everywhere();
        // Then which of the class's four codes.
        let below = Lanes::new(FINE_DECISIONS[class]).unsigned_product_16(scale).minus(Lanes::all(1));
        let in_class = magnitude.above(below).set_at_first().min(3);

        // The high band has one decision value.
        let [_, high_scale] = self.scales;
        let decision = ((HIGH_DECISION * high_scale) >> 12) as i16;
        let outer = magnitudes.above(Lanes::pair([0, decision - 1]));
        let [outer_level, inner_level] = [HIGH_LEVELS[2], HIGH_LEVELS[3]];
        let level = Lanes::all(inner_level).xor(Lanes::all(inner_level ^ outer_level).and(outer)).opposite_where(signs);
        let high = Lanes::pair([0, high_scale as i16]).product_15(level);

        let [low_sign, high_sign] = signs.first_two_are_negative().map(usize::from);
        let [_, outer] = outer.first_two_are_negative().map(usize::from);
        let code = HIGH_CODES[high_sign << 1 | outer] << 6 | LOW_CODES[low_sign][class * 4 + in_class];
        (code, class, Learned { low, high })
    }

    /// Block 4: the predictors learn, and make the next predictions.
    #[inline]
    fn learn(&mut self, &Learned { low, high }: &Learned) {
        let differences = low.and(Lanes::pair([-1, 0])).or(high);

        // PARREC, RECONS
        let sign = self.predicted_by_zeroes.plus_limited(differences).shifted_right::<15>();
        let reconstructed = self.predicted.plus_limited(differences);

        // UPPOL2, UPPOL1: the poles move by the signs of what the zeroes make, and stay where the filter is stable.
        let zero = Lanes::all(0);
        let [sign_1, sign_2] = self.signs;
        let [pole_1, pole_2] = self.poles;
        let (unlike_1, unlike_2) = (sign.xor(sign_1), sign.xor(sign_2)); // 0 or −1
        // A 128th of four times the first pole, which has 16 bits before it is divided.
        let pulled = zero.minus(pole_1.limited(Lanes::all(-8_191), Lanes::all(8_191)));
        let pull = pulled.opposite_where(unlike_1).shifted_right::<5>();
        let leaked_2 = pole_2.plus(pole_2.product_16(Lanes::all(-512)));
        let new_2 = pull.plus(Lanes::all(128).opposite_where(unlike_2)).plus(leaked_2);
        let new_2 = new_2.limited(Lanes::all(-12_288), Lanes::all(12_288));
        let bound = Lanes::all(15_360).minus(new_2);
        let leaked_1 = pole_1.plus(pole_1.product_16(Lanes::all(-256)));
        let new_1 = Lanes::all(192).opposite_where(unlike_1).plus(leaked_1).limited(zero.minus(bound), bound);
        self.poles = [new_1, new_2];
        self.signs = [sign, sign_1];

        // UPZERO: each zero by whether its difference had the sign of this one.
        let step = |difference: Lanes| difference.limited(Lanes::all(-1), Lanes::all(1)).shifted_left::<7>();
        let steps = [step(low), step(high.spread_second())];
        let doubled = differences.plus(differences);
        let newest = [doubled.and(Lanes::pair([-1, 0])), doubled.down_by_one()];
        let mut products = [zero; 2];
        for band in 0..2 {
            let (zeroes, earlier) = (self.zeroes[band], self.differences[band]);
            let leaked = zeroes.plus(zeroes.product_16(Lanes::all(-256)));
            self.zeroes[band] = leaked.plus_limited(steps[band].opposite_where(earlier.shifted_right::<15>()));
            self.differences[band] = earlier.up_by_one().or(newest[band]);
            products[band] = self.zeroes[band].product_15(self.differences[band]);
        }

        // FILTEP, FILTEZ, PREDIC. The zeroes' sum is limited at each step, the oldest first.
        self.reconstructed = [reconstructed.plus_limited(reconstructed), self.reconstructed[0]];
        let by_poles = new_1.product_15(self.reconstructed[0]).plus_limited(new_2.product_15(self.reconstructed[1]));
        let [low, high] = products;
        let (newer, older) = (low.first_by_turns(high), low.last_by_turns(high));
        let by_zeroes = older.pairs_down::<1>().plus_limited(older).plus_limited(newer.pairs_down::<3>());
        let by_zeroes =
            by_zeroes.plus_limited(newer.pairs_down::<2>()).plus_limited(newer.pairs_down::<1>()).plus_limited(newer);
        self.predicted_by_zeroes = by_zeroes;
        self.predicted = by_poles.plus_limited(by_zeroes);
    }
}
