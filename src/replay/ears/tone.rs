//! Steady tones, by which callers know each other: the Goertzel algorithm over the newest 100 ms, beside what is a little
//! higher and lower. Several tones at once are each found.

use std::collections::VecDeque;
use std::f32::consts::TAU;

use crate::words::media::FRAME_SAMPLES;

/// 100 ms: with this window (Hann) two tones 40 Hz apart don't disturb each other.
pub const WINDOW: usize = 5 * FRAME_SAMPLES;

/// How far off the tone its neighbourhood is looked at.
const BESIDE_HZ: f32 = 40.0;

/// The tone is stronger than its neighbourhood by this (as amplitude: 10 dB). Speech and music rarely are.
const PROMINENCE: f32 = 3.2;

/// The weakest tone that counts, as peak amplitude: −50 dB of full scale.
const AMPLITUDE_MIN: f32 = 100.0;

/// A tone stands still. From frame to frame it changes by less than this factor (as amplitude: 3 dB), as a note of music
/// that is struck and fades does not for long.
const STEADINESS: f32 = 1.41;

/// Frames until a tone counts as begun (0.2 s: a vowel is not held as level as that), and as over.
const FRAMES_TO_BEGIN: u32 = 10;
const FRAMES_TO_END: u32 = 4;

/// Listens for one tone.
#[derive(Debug)]
pub struct ToneEar {
    coefficients: [f32; 3],
    amplitude_before: f32,
    present: u32,
    absent: u32,
    sounding: bool,
}

/// A tone began or ended so many frames ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToneChange {
    Began { frames_ago: u32 },
    Over { frames_ago: u32 },
}

impl ToneEar {
    pub fn new(hz: u32) -> ToneEar {
        let coefficient = |hz: f32| 2.0 * (TAU * hz / 8_000.0).cos();
        let hz = hz as f32;
        ToneEar {
            coefficients: [hz, hz - BESIDE_HZ, hz + BESIDE_HZ].map(coefficient),
            amplitude_before: 0.0,
            present: 0,
            absent: 0,
            sounding: false,
        }
    }

    /// `windowed` is the newest [`WINDOW`] of samples, Hann-weighted.
    pub fn listen(&mut self, windowed: &[f32]) -> Option<ToneChange> {
        let [amplitude, below, above] = self.coefficients.map(|coefficient| goertzel(windowed, coefficient));
        let prominent = amplitude >= AMPLITUDE_MIN && amplitude >= PROMINENCE * below.max(above);
        let steady = amplitude < self.amplitude_before * STEADINESS && amplitude * STEADINESS > self.amplitude_before;
        self.amplitude_before = amplitude;
        // Once it sounds, a change of level (another voice in the limiter) does not end it.
        if prominent && (steady || self.sounding) {
            self.present = self.present.saturating_add(1);
            self.absent = 0;
        } else {
            self.absent = self.absent.saturating_add(1);
            if !self.sounding {
                self.present = 0;
            }
        }
        if !self.sounding && self.present >= FRAMES_TO_BEGIN {
            self.sounding = true;
            return Some(ToneChange::Began { frames_ago: FRAMES_TO_BEGIN });
        }
        if self.sounding && self.absent >= FRAMES_TO_END {
            self.sounding = false;
            self.present = 0;
            // The window still holds the tone's end when it is first missed.
            return Some(ToneChange::Over { frames_ago: FRAMES_TO_END.saturating_add(1) });
        }
        None
    }
}

/// Peak amplitude of one frequency in a Hann-weighted window.
fn goertzel(windowed: &[f32], coefficient: f32) -> f32 {
    let (mut last, mut before) = (0f32, 0f32);
    for x in windowed {
        let next = x + coefficient * last - before;
        (before, last) = (last, next);
    }
    let power = last * last + before * before - coefficient * last * before;
    // The window halves the sum, and each of the two spectral lines has half of the amplitude.
    4.0 * power.max(0.0).sqrt() / windowed.len().max(1) as f32
}

/// The newest samples, weighted for all tone ears at once.
#[derive(Debug)]
pub struct ToneWindow {
    samples: VecDeque<i16>,
    hann: Vec<f32>,
    windowed: Vec<f32>,
}

impl Default for ToneWindow {
    fn default() -> ToneWindow {
        ToneWindow::new()
    }
}

impl ToneWindow {
    pub fn new() -> ToneWindow {
        let hann = (0..WINDOW).map(|n| 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / WINDOW as f32).cos()).collect();
        ToneWindow { samples: std::iter::repeat_n(0, WINDOW).collect(), hann, windowed: Vec::with_capacity(WINDOW) }
    }

    pub fn push(&mut self, frame: &[i16]) -> &[f32] {
        self.samples.extend(frame);
        let surplus = self.samples.len().saturating_sub(WINDOW);
        self.samples.drain(..surplus);
        self.windowed.clear();
        self.windowed.extend(self.samples.iter().zip(&self.hann).map(|(x, weight)| f32::from(*x) * weight));
        &self.windowed
    }
}
