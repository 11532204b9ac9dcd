//! The filter that splits 16 kHz into two bands of 8 kHz each, and the one that joins them again (ITU-T G.722, sections
//! 3.1 and 4.4): 24 taps. Both together delay by 22 samples.
//!
//! Both are one: what comes in are pairs (two samples, or one of each band), what leaves are pairs too, and each half of these
//! is a sum over the last twelve pairs, with taps of its own.
//!
//! ```text
//!   split:   low = second + first      high = second − first       first, second: the phases' sums
//!   join:    first = second phase of (low − high), second = first phase of (low + high)
//! ```

use super::band::{BAND_MAX, BAND_MIN};
use crate::words::lanes::{Lanes, Sums};

/// So many pairs of samples are filtered at once: 20 ms.
pub const BLOCK: usize = 160;

/// So many pairs before the present one a filter remembers.
pub const PAST: usize = 11;

/// The taps; the phase of a pair's first sample takes them oldest first, the other's last first.
const TAPS: [i16; PAST + 1] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Two samples that follow each other; or one of the low and one of the high band.
pub type Pair = [i16; 2];

/// The pairs of a block.
pub type Pairs = [Pair; BLOCK];

/// What a filter remembers: the last pairs, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    pairs: [Pair; PAST],
}

/// The taps of what leaves first and second, for each pair.
type PairTaps = [[Pair; PAST + 1]; 2];

static SPLIT: PairTaps = {
    let mut taps = [[[0; 2]; PAST + 1]; 2];
    let mut at = 0;
    while at <= PAST {
        taps[0][at] = [TAPS[at], TAPS[PAST - at]];
        taps[1][at] = [-TAPS[at], TAPS[PAST - at]];
        at += 1;
    }
    taps
};

static JOIN: PairTaps = {
    let mut taps = [[[0; 2]; PAST + 1]; 2];
    let mut at = 0;
    while at <= PAST {
        taps[0][at] = [TAPS[PAST - at], -TAPS[PAST - at]];
        taps[1][at] = [TAPS[at], TAPS[at]];
        at += 1;
    }
    taps
};

impl Memory {
    /// Splits samples into pairs of both bands (the transmit filter), a block at most. What two bands can't hold is limited, as by
    /// ITU-T's own software.
    pub fn split(&mut self, samples: &[Pair], bands: &mut Pairs) {
        self.filter::<14>(samples, &SPLIT, bands);
        for band in bands.as_flattened_mut() {
            *band = (*band).clamp(BAND_MIN, BAND_MAX);
        }
    }

    /// Joins pairs of both bands (the receive filter) to samples: so many, a block at most.
    pub fn join(&mut self, bands: &[Pair], samples: &mut Pairs) {
        self.filter::<11>(bands, &JOIN, samples);
    }

    /// Remembers pairs that nobody wants filtered.
    pub fn pass(&mut self, pairs: &[Pair]) {
        let new = pairs.len().min(PAST);
        self.pairs.copy_within(new.., 0);
        self.pairs[PAST - new..].copy_from_slice(&pairs[pairs.len() - new..]);
    }

    #[inline]
    fn filter<const BITS: i32>(&mut self, pairs: &[Pair], taps: &PairTaps, out: &mut Pairs) {
        let line = self.line(pairs);
        let (fours, _) = out.as_chunks_mut::<4>();
        for (four, window) in fours.iter_mut().zip(line.windows(PAST + 4).step_by(4)) {
            let [mut first, mut second] = [Sums::all(0); 2];
            for ((pairs, &first_taps), &second_taps) in window.windows(4).zip(&taps[0]).zip(&taps[1]) {
                let Some(pairs) = pairs.as_flattened().first_chunk() else { continue };
                let pairs = Lanes::new(*pairs);
                first = first.plus(pairs.sums_of_products(Lanes::all_pairs(first_taps)));
                second = second.plus(pairs.sums_of_products(Lanes::all_pairs(second_taps)));
            }
            four.as_flattened_mut().copy_from_slice(&first.words_by_turns::<BITS>(second).words());
        }
        self.pass(pairs);
    }

    /// What was remembered and what is new: a block at most.
    #[inline]
    fn line(&self, pairs: &[Pair]) -> [Pair; PAST + BLOCK] {
        let mut line = [[0; 2]; PAST + BLOCK];
        let (before, block) = line.split_at_mut(PAST);
        before.copy_from_slice(&self.pairs);
        for (place, &pair) in block.iter_mut().zip(pairs) {
            *place = pair;
        }
        line
    }
}
