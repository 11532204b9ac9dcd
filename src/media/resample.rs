//! Between 8 and 16 kHz: for meetings in which some callers hear up to 7 kHz and others up to 3.4.
//!
//! ```text
//!   8 kHz    x0      x1      x2          up:    every second sample is x, delayed; those between are interpolated
//!   16 kHz   y0  y1  y2  y3  y4  y5      down:  what lies above 4 kHz is taken out, and every second sample is left
//! ```
//!
//! One half-band filter does both: of its taps every second one is zero but that in the middle, so that a sample costs
//! [`SIDE`] multiplications. It is linear in phase, and delays voice by 1.5 ms. Measured: flat within 0.05 dB up to 3,400 Hz,
//! and 60 dB down from 4,600 Hz on.

use crate::words::lanes::{Lanes, Sums};
use crate::words::media::{FRAME_SAMPLES, WIDE_FRAME_SAMPLES};

/// The taps that are not zero, without the one in the middle.
const SIDE: usize = 24;

/// At 8 kHz: so many samples are remembered.
const MEMORY: usize = SIDE - 1;

/// Where the tap in the middle is, in samples of 8 kHz.
const MIDDLE: usize = SIDE / 2;

/// Kaiser's window with β = 5.65: 60 dB.
const BETA: f64 = 5.65;

/// The filter's taps beside the middle one, which is [`ONE`]: a sinc with zeroes each second sample, under Kaiser's window. By
/// pairs, as they are multiplied.
static TAPS: [[i16; 2]; SIDE / 2] = taps();

/// So that four sums of full scale still have 32 bits: the magnitudes of the taps are 1.9 together.
const ONE: i16 = 1 << ONE_BITS;
const ONE_BITS: i32 = 14;
const HALF: i16 = ONE / 2;

const fn taps() -> [[i16; 2]; SIDE / 2] {
    let mut exact = [0.0; SIDE];
    let mut at = 0;
    let mut sum = 0.0;
    while at < SIDE {
        // At 16 kHz these are the odd distances from the middle: ±1, ±3, …
        let distance = (2 * at) as f64 - (SIDE - 1) as f64;
        let place = distance / SIDE as f64;
        let sign = if (((distance.abs() as usize) - 1) / 2).is_multiple_of(2) { 1.0 } else { -1.0 };
        let sinc = sign * 2.0 / (std::f64::consts::PI * distance.abs());
        exact[at] = sinc * bessel(BETA * square_root(1.0 - place * place)) / bessel(BETA);
        sum += exact[at];
        at += 1;
    }
    let mut taps = [[0; 2]; SIDE / 2];
    let mut left = ONE;
    at = 0;
    while at < SIDE {
        let tap = exact[at] / sum * ONE as f64;
        taps[at / 2][at % 2] = (tap + if tap < 0.0 { -0.5 } else { 0.5 }) as i16;
        left -= taps[at / 2][at % 2];
        at += 1;
    }
    // What is constant passes as it is: what rounding left is in the two largest.
    taps[SIDE / 4 - 1][1] += left / 2;
    taps[SIDE / 4][0] += left / 2;
    taps
}

/// The modified Bessel function of order zero, by its series.
const fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 40.0 {
        term *= (x / (2.0 * n)) * (x / (2.0 * n));
        sum += term;
        n += 1.0;
    }
    sum
}

/// Newton's way: `f64::sqrt` can't be had at compile time.
const fn square_root(x: f64) -> f64 {
    let mut root = 1.0;
    let mut round = 0;
    while round < 60 {
        root = (root + x / root) / 2.0;
        round += 1;
    }
    root
}

/// 8 to 16 kHz, frame by frame.
#[derive(Debug, Clone)]
pub struct Upsampler {
    memory: [i16; MEMORY],
}

/// 16 to 8 kHz, frame by frame.
#[derive(Debug, Clone)]
pub struct Downsampler {
    /// Every second sample: those between two that are left, and those that are left themselves.
    between: [i16; MEMORY],
    left: [i16; MIDDLE],
}

impl Default for Upsampler {
    fn default() -> Upsampler {
        Upsampler { memory: [0; MEMORY] }
    }
}

impl Default for Downsampler {
    fn default() -> Downsampler {
        Downsampler { between: [0; MEMORY], left: [0; MIDDLE] }
    }
}

impl Upsampler {
    pub fn frame(&mut self, voice: &[i16; FRAME_SAMPLES]) -> [i16; WIDE_FRAME_SAMPLES] {
        let line = remembered(&mut self.memory, voice, FRAME_SAMPLES);
        let (delayed, _) = line.get(MIDDLE..).unwrap_or_default().as_chunks();
        let mut out = [0; WIDE_FRAME_SAMPLES];
        let (eights, _) = out.as_chunks_mut::<8>();
        for ((pair, &same), [first, last]) in eights.chunks_exact_mut(2).zip(delayed).zip(filtered(&line, HALF)) {
            let (between, same) = (first.words::<ONE_BITS>(last), Lanes::new(same));
            if let [first, last] = pair {
                *first = between.first_by_turns(same).words();
                *last = between.last_by_turns(same).words();
            }
        }
        out
    }
}

impl Downsampler {
    pub fn frame(&mut self, voice: &[i16; WIDE_FRAME_SAMPLES]) -> [i16; FRAME_SAMPLES] {
        self.part(voice)
    }

    /// Less than a frame: half as many samples come back, and nothing of meaning behind them.
    pub fn part(&mut self, voice: &[i16]) -> [i16; FRAME_SAMPLES] {
        let count = (voice.len() / 2).min(FRAME_SAMPLES);
        let (mut between, mut left) = ([0; FRAME_SAMPLES], [0; MIDDLE + FRAME_SAMPLES]);
        if let Some(before) = left.first_chunk_mut() {
            *before = self.left;
        }
        let (pairs, _) = voice.as_chunks();
        for ((&[first, second], between), left) in pairs.iter().zip(&mut between).zip(left.iter_mut().skip(MIDDLE)) {
            (*between, *left) = (first, second);
        }
        let line = remembered(&mut self.between, &between, count);
        let mut out = [0; FRAME_SAMPLES];
        let (eights, _) = out.as_chunks_mut();
        let (same, _) = left.as_chunks();
        // Half of both, so rounded by a whole one.
        for ((eight, &same), sums) in eights.iter_mut().zip(same).zip(filtered(&line, ONE)) {
            let [first, last] = plus(sums, Lanes::new(same), Lanes::all(0), [ONE, 0]);
            *eight = first.words::<{ ONE_BITS + 1 }>(last).words();
        }
        if let Some(last) = left.get(count..).and_then(<[i16]>::first_chunk) {
            self.left = *last;
        }
        out
    }
}

/// What was remembered and what is new, in one line; and the end of it is remembered. So much is new.
fn remembered(memory: &mut [i16; MEMORY], new: &[i16; FRAME_SAMPLES], count: usize) -> [i16; MEMORY + FRAME_SAMPLES] {
    let mut line = [0; MEMORY + FRAME_SAMPLES];
    let (before, behind) = line.split_at_mut(MEMORY);
    before.copy_from_slice(memory);
    behind.copy_from_slice(new);
    if let Some(last) = line.get(count..).and_then(<[i16]>::first_chunk) {
        *memory = *last;
    }
    line
}

/// The filter's sums, eight by eight, and to each of them this.
fn filtered(line: &[i16; MEMORY + FRAME_SAMPLES], rounding: i16) -> impl Iterator<Item = [Sums; 2]> {
    line.array_windows::<{ MEMORY + 8 }>().step_by(8).map(move |window| {
        let mut sums = [Sums::all(rounding.into()); 2];
        let mut eights = window.array_windows().map(|&eight| Lanes::new(eight));
        for &taps in &TAPS {
            if let (Some(first), Some(second)) = (eights.next(), eights.next()) {
                sums = plus(sums, first, second, taps);
            }
        }
        sums
    })
}

/// Adds eight samples by one tap, and eight by another.
#[inline]
fn plus([first, last]: [Sums; 2], one: Lanes, other: Lanes, taps: [i16; 2]) -> [Sums; 2] {
    let taps = Lanes::all_pairs(taps);
    let (one, other) = (one.first_by_turns(other), one.last_by_turns(other));
    [first.plus(one.sums_of_products(taps)), last.plus(other.sums_of_products(taps))]
}

/// A whole recording at 16 kHz. It is delayed by no more than a sample: the filter's delay is taken off its beginning.
pub fn upsampled(recording: &[i16]) -> Vec<i16> {
    let mut upsampler = Upsampler::default();
    let frames = framed(recording, MIDDLE);
    let wide: Vec<i16> = frames.flat_map(|frame| upsampler.frame(&frame)).collect();
    wide.into_iter().skip(2 * MIDDLE - 1).take(2 * recording.len()).collect()
}

/// A whole recording at 8 kHz, not delayed.
pub fn downsampled(recording: &[i16]) -> Vec<i16> {
    let mut downsampler = Downsampler::default();
    let frames = framed(recording, 2 * MIDDLE);
    let narrow: Vec<i16> = frames.flat_map(|frame| downsampler.frame(&frame)).collect();
    narrow.into_iter().skip(MIDDLE).take(recording.len() / 2).collect()
}

/// Whole frames, with silence behind the end for what the filter still holds then.
fn framed<const N: usize>(recording: &[i16], behind: usize) -> impl Iterator<Item = [i16; N]> {
    let frames = (recording.len() + behind).div_ceil(N);
    (0..frames).map(move |frame| {
        let mut samples = [0; N];
        for (place, &sample) in samples.iter_mut().zip(recording.get(frame * N..).unwrap_or_default()) {
            *place = sample;
        }
        samples
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn sine<const N: usize>(hz: f64, rate: f64, frame: usize) -> [i16; N] {
        std::array::from_fn(|at| (10_000.0 * (TAU * hz * (frame * N + at) as f64 / rate).sin()) as i16)
    }

    /// The part of a frequency in samples, beside the amplitude of [`sine`], in dB.
    fn part(samples: &[i16], hz: f64, rate: f64) -> f64 {
        let wave = |shift: f64| -> f64 {
            let value = |(at, &sample): (usize, &i16)| f64::from(sample) * (TAU * hz * at as f64 / rate + shift).sin();
            samples.iter().enumerate().map(value).sum()
        };
        20.0 * (wave(0.0).hypot(wave(TAU / 4.0)) * 2.0 / samples.len() as f64 / 10_000.0).log10()
    }

    fn up(hz: f64) -> Vec<i16> {
        let mut upsampler = Upsampler::default();
        (0..50).flat_map(|frame| upsampler.frame(&sine(hz, 8_000.0, frame))).skip(320).collect()
    }

    fn down(hz: f64) -> Vec<i16> {
        let mut downsampler = Downsampler::default();
        (0..50).flat_map(|frame| downsampler.frame(&sine(hz, 16_000.0, frame))).skip(160).collect()
    }

    #[test]
    fn the_band_of_the_telephone_passes_as_it_is() {
        for hz in [50.0, 300.0, 1_000.0, 2_500.0, 3_000.0, 3_400.0] {
            let (up, down) = (part(&up(hz), hz, 16_000.0), part(&down(hz), hz, 8_000.0));
            assert!(up.abs() < 0.05 && down.abs() < 0.05, "{hz} Hz: {up} dB up, {down} dB down");
        }
    }

    #[test]
    fn what_is_mirrored_is_60_db_down() {
        for hz in [300.0, 1_000.0, 3_000.0, 3_400.0] {
            let mirrored = part(&up(hz), 8_000.0 - hz, 16_000.0);
            assert!(mirrored < -60.0, "{hz} Hz up: {mirrored} dB");
        }
        for hz in [4_600.0, 5_000.0, 6_000.0, 7_500.0] {
            let mirrored = part(&down(hz), 8_000.0 - hz, 8_000.0);
            assert!(mirrored < -60.0, "{hz} Hz down: {mirrored} dB");
        }
    }

    #[test]
    fn parts_are_as_good_as_frames() {
        let voice: [i16; 320] = sine(700.0, 16_000.0, 3);
        let (mut whole, mut parts) = (Downsampler::default(), Downsampler::default());
        for _ in 0..3 {
            let expected = whole.frame(&voice);
            let mut found = Vec::new();
            for part in [&voice[..160], &voice[160..166], &voice[166..]] {
                found.extend_from_slice(&parts.part(part)[..part.len() / 2]);
            }
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_recording_keeps_its_time() {
        let click =
            |at: usize, length: usize| -> Vec<i16> { (0..length).map(|n| if n == at { 20_000 } else { 0 }).collect() };
        let loudest = |samples: &[i16]| (0..samples.len()).max_by_key(|&at| samples[at]).unwrap();
        let wide = upsampled(&click(500, 1_000));
        assert_eq!((wide.len(), loudest(&wide)), (2_000, 1_000));
        let narrow = downsampled(&click(1_001, 2_000));
        assert_eq!((narrow.len(), loudest(&narrow)), (1_000, 500));
    }
}
