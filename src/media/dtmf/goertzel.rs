//! Measures the power of a signal at the eight DTMF frequencies.
//!
//! Two tools, both at 8 kHz. [`frame_powers`] is Goertzel's recurrence over a whole frame at all eight frequencies: cheap,
//! and good enough to say "this might be a key". [`slot`] is the correlation of a 10 ms window with one pair of
//! frequencies, phase and all, from which level, length and exact frequency of a tone follow.

use crate::words::media::FRAME_SAMPLES;

pub const SAMPLE_RATE: f32 = 8000.0;

/// The low group (rows of the keypad), then the high group (columns), in Hz (ITU-T Q.23).
pub const FREQUENCIES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];

/// Rows, and columns.
pub const GROUP: usize = 4;

/// The recurrence runs over halves of a frame: in 10 ms a tone that is 1.5 % off keeps 82 % of its power, in 20 ms
/// it would keep 42 %.
const HALF: usize = FRAME_SAMPLES / 2;

/// `2 cos ω` of each frequency.
const COEFFICIENTS: [f32; 8] = {
    let mut coefficients = [0.0; 8];
    let mut k = 0;
    while k < 8 {
        coefficients[k] = 2.0 * cosine(FREQUENCIES[k] as f64 / SAMPLE_RATE as f64) as f32;
        k += 1;
    }
    coefficients
};

/// The mean square of the part of a frame that lies at each of the eight frequencies; the two halves are measured
/// apart and averaged.
pub fn frame_powers(frame: &[f32; FRAME_SAMPLES]) -> [f32; 8] {
    // Both halves and all frequencies at once: the recurrence is a chain of dependent operations, and only many chains
    // side by side keep the processor busy.
    let (first, second) = frame.split_at(HALF);
    let (mut a1, mut a2, mut b1, mut b2) = ([0.0f32; 8], [0.0f32; 8], [0.0f32; 8], [0.0f32; 8]);
    for (&a, &b) in first.iter().zip(second) {
        for k in 0..8 {
            let next = COEFFICIENTS[k] * a1[k] + (a - a2[k]);
            a2[k] = a1[k];
            a1[k] = next;
            let next = COEFFICIENTS[k] * b1[k] + (b - b2[k]);
            b2[k] = b1[k];
            b1[k] = next;
        }
    }
    // |X|² of a tone of amplitude A over n samples is (A n / 2)², and its mean square A² / 2.
    const SCALE: f32 = 2.0 / (HALF * HALF) as f32 / 2.0;
    std::array::from_fn(|k| {
        let a = a1[k] * a1[k] + a2[k] * a2[k] - COEFFICIENTS[k] * a1[k] * a2[k];
        let b = b1[k] * b1[k] + b2[k] * b2[k] - COEFFICIENTS[k] * b1[k] * b2[k];
        (a + b) * SCALE
    })
}

/// Samples of one slot's window. With Hann's shape its first zero is at 200 Hz, so that a row and a column don't
/// disturb each other by more than 1 in 40; and a tone's beginning and end lie where its level crosses one half.
pub const SLOT_WINDOW: usize = 80;

/// Samples from one slot to the next: 2.5 ms, the grain in which a tone's length is measured.
pub const SLOT_HOP: usize = 20;

/// The window's shape, and its sum.
const WINDOW: [f32; SLOT_WINDOW] = {
    let mut window = [0.0; SLOT_WINDOW];
    let mut n = 0;
    while n < SLOT_WINDOW {
        window[n] = (0.5 - 0.5 * cosine((n as f64 + 0.5) / SLOT_WINDOW as f64)) as f32;
        n += 1;
    }
    window
};
pub const WINDOW_SUM: f32 = SLOT_WINDOW as f32 / 2.0;

/// For each frequency the window times the cosine, and times the negative sine.
static KERNELS: [[[f32; SLOT_WINDOW]; 2]; 8] = {
    let mut kernels = [[[0.0; SLOT_WINDOW]; 2]; 8];
    let mut k = 0;
    while k < 8 {
        let mut n = 0;
        while n < SLOT_WINDOW {
            let turns = FREQUENCIES[k] as f64 / SAMPLE_RATE as f64 * n as f64;
            kernels[k][0][n] = WINDOW[n] * cosine(turns) as f32;
            kernels[k][1][n] = -WINDOW[n] * cosine(turns - 0.25) as f32;
            n += 1;
        }
        k += 1;
    }
    kernels
};

/// A complex number: level and phase of a tone in one slot, phase counted from the slot's first sample.
#[derive(Clone, Copy, Default)]
pub struct Phasor {
    pub re: f32,
    pub im: f32,
}

impl Phasor {
    /// A phasor of length one; the angle in turns.
    pub fn unit(turns: f32) -> Phasor {
        let (im, re) = (turns * std::f32::consts::TAU).sin_cos();
        Phasor { re, im }
    }

    pub fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    /// The angle in turns, −0.5 to 0.5.
    pub fn turns(self) -> f32 {
        self.im.atan2(self.re) / std::f32::consts::TAU
    }

    pub fn plus(self, other: Phasor) -> Phasor {
        Phasor { re: self.re + other.re, im: self.im + other.im }
    }

    pub fn times(self, other: Phasor) -> Phasor {
        Phasor { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    pub fn conjugate(self) -> Phasor {
        Phasor { re: self.re, im: -self.im }
    }
}

/// What one slot holds of one pair of tones. For a lone tone of amplitude `a`, the phasor's power is
/// `(a · WINDOW_SUM / 2)²` and the signal's `a² · WINDOW_SUM / 2`.
#[derive(Clone, Copy, Default)]
pub struct Slot {
    pub low: Phasor,
    pub high: Phasor,
    /// The windowed power of all that is in the slot.
    pub power: f32,
}

/// Measures one slot at the frequencies `FREQUENCIES[low]` and `FREQUENCIES[high]`.
pub fn slot(samples: &[i16; SLOT_WINDOW], low: usize, high: usize) -> Slot {
    let ([low_re, low_im], [high_re, high_im]) = (&KERNELS[low], &KERNELS[high]);
    // Four sums side by side for each result, so that they become one vector.
    let mut sums = [[0.0f32; 4]; 5];
    for n in (0..SLOT_WINDOW).step_by(4) {
        for lane in 0..4 {
            let x = f32::from(samples[n + lane]);
            sums[0][lane] += x * low_re[n + lane];
            sums[1][lane] += x * low_im[n + lane];
            sums[2][lane] += x * high_re[n + lane];
            sums[3][lane] += x * high_im[n + lane];
            sums[4][lane] += x * x * WINDOW[n + lane];
        }
    }
    let [low_re, low_im, high_re, high_im, power] = sums.map(|lanes| lanes.iter().sum());
    Slot { low: Phasor { re: low_re, im: low_im }, high: Phasor { re: high_re, im: high_im }, power }
}

/// The part of its power that a tone so far off the nominal frequency keeps in a slot (up to about ±60 Hz): the main
/// lobe of Hann's window, by the first terms of its series.
pub fn slot_response(hertz: f32) -> f32 {
    let bins = hertz * SLOT_WINDOW as f32 / SAMPLE_RATE;
    let amplitude = 1.0 - 0.645 * bins * bins;
    (amplitude * amplitude).max(0.25)
}

/// The cosine of an angle in turns, for the tables made at compile time, where `f64::cos` is not to be had.
const fn cosine(turns: f64) -> f64 {
    let turns = turns % 1.0;
    let turns = if turns > 0.5 { turns - 1.0 } else { turns };
    let square = turns * turns * (4.0 * std::f64::consts::PI * std::f64::consts::PI);
    // Taylor's series: at half a turn, the worst place, the 14th term is below 1e-14.
    let (mut sum, mut term, mut n) = (0.0, 1.0, 0);
    while n < 14 {
        sum += term;
        term *= -square / ((2 * n + 1) * (2 * n + 2)) as f64;
        n += 1;
    }
    sum
}
