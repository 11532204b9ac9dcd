//! The filter that splits 16 kHz into two bands of 8 kHz each, and the one that joins them again (ITU-T G.722, sections
//! 3.1 and 4.4): 24 taps in two phases of twelve. Both together delay by 22 samples.
//!
//! A block is filtered at once, each phase in a line of its own: so the compiler makes vector instructions of it.

use super::band::limited;

/// So many pairs of samples are filtered at once: 20 ms.
pub const BLOCK: usize = 160;

/// So many pairs before the present one a filter remembers.
pub const PAST: usize = 11;

/// Both filters have these taps; the phase of a pair's first sample takes them oldest first.
const TAPS: [i16; PAST + 1] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
const TAPS_REVERSED: [i16; PAST + 1] = [-11, 53, -156, 362, -805, 3876, 951, -210, 32, 12, -11, 3];

/// One band, or one phase, of a block.
pub type Row = [i16; BLOCK];

/// What a filter remembers: the last pairs, by phase, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    phases: [[i16; PAST]; 2],
}

impl Memory {
    /// Splits a block of samples (the transmit filter). What two bands can't hold is limited, as by ITU-T's own software.
    pub fn split(&mut self, samples: &[i16], low: &mut Row, high: &mut Row) {
        let phases = phases(samples);
        let [first, second] = self.filtered(&phases);
        for (((low, high), first), second) in low.iter_mut().zip(high).zip(first).zip(second) {
            *low = limited((second + first) >> 14) as i16;
            *high = limited((second - first) >> 14) as i16;
        }
        self.advance(&phases, samples.len() / 2);
    }

    /// Joins two bands (the receive filter) to as many samples as there is room for, a block at most.
    pub fn join(&mut self, low: &Row, high: &Row, samples: &mut [i16]) {
        let phases = phases_of_bands(low, high);
        let [first, second] = self.filtered(&phases);
        let (pairs, _) = samples.as_chunks_mut::<2>();
        for ((pair, first), second) in pairs.iter_mut().zip(first).zip(second) {
            *pair = [second, first].map(|sum| (sum >> 11).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
        self.advance(&phases, pairs.len());
    }

    /// So many pairs of two bands were made that nobody wants joined.
    pub fn pass_bands(&mut self, low: &Row, high: &Row, count: usize) {
        self.advance(&phases_of_bands(low, high), count);
    }

    /// A block of samples was made that nobody wants split.
    pub fn pass(&mut self, samples: &[i16]) {
        self.advance(&phases(samples), samples.len() / 2);
    }

    /// Both phases' sums for each pair of a block.
    #[inline]
    fn filtered(&self, phases: &[Row; 2]) -> [[i32; BLOCK]; 2] {
        let [first, second] = phases;
        let [first_past, second_past] = &self.phases;
        [sums(&line(first_past, first), &TAPS), sums(&line(second_past, second), &TAPS_REVERSED)]
    }

    /// Forgets all but the last of these pairs, of which there are `count`.
    #[inline]
    fn advance(&mut self, phases: &[Row; 2], count: usize) {
        for (past, row) in self.phases.iter_mut().zip(phases) {
            let line = line(past, row);
            past.copy_from_slice(&line[count.min(BLOCK)..][..PAST]);
        }
    }
}

#[inline]
fn phases(samples: &[i16]) -> [Row; 2] {
    let mut phases = [[0; BLOCK]; 2];
    let [first, second] = &mut phases;
    let (pairs, _) = samples.as_chunks::<2>();
    for ((first, second), pair) in first.iter_mut().zip(second).zip(pairs) {
        [*first, *second] = *pair;
    }
    phases
}

/// Sum and difference. Neither can overflow: a band's samples have 15 bits.
#[inline]
fn phases_of_bands(low: &Row, high: &Row) -> [Row; 2] {
    let mut phases = [[0; BLOCK]; 2];
    let [first, second] = &mut phases;
    for (((first, second), low), high) in first.iter_mut().zip(second).zip(low).zip(high) {
        *first = low.wrapping_add(*high);
        *second = low.wrapping_sub(*high);
    }
    phases
}

#[inline]
fn line(past: &[i16; PAST], row: &Row) -> [i16; PAST + BLOCK] {
    let mut line = [0; PAST + BLOCK];
    let (before, block) = line.split_at_mut(PAST);
    before.copy_from_slice(past);
    block.copy_from_slice(row);
    line
}

/// One phase. Eight sums at a time stay in registers while the taps go over them.
#[inline]
fn sums(line: &[i16; PAST + BLOCK], taps: &[i16; PAST + 1]) -> [i32; BLOCK] {
    let mut sums = [0; BLOCK];
    let (eights, _) = sums.as_chunks_mut::<8>();
    for (eight, line) in eights.iter_mut().zip(line.windows(PAST + 8).step_by(8)) {
        for (tap, samples) in taps.iter().zip(line.windows(8)) {
            for (sum, sample) in eight.iter_mut().zip(samples) {
                *sum += i32::from(*sample) * i32::from(*tap);
            }
        }
    }
    sums
}
