//! The band in which sounds are compared: below 900 Hz, at 2000 samples a second. Four times less to compute than the
//! line's own rate, and enough to tell two sentences of one voice apart. Tones above it (the voices of callers, best
//! from 1100 Hz up) don't disturb the comparison.

/// Samples of the line for each one of the low band.
pub const DECIMATION: usize = 4;

/// Low-band samples in one second.
pub const LOW_RATE: usize = 2_000;

/// Low-band samples in one frame of 20 ms.
pub const LOW_FRAME: usize = 40;

const TAPS: usize = 49;
const CUT_OFF_HZ: f32 = 900.0;

/// A low-pass filter (windowed sinc, Hamming) that keeps its state between frames.
#[derive(Debug, Clone)]
pub struct LowPass {
    taps: Vec<f32>,
    /// The last samples of the frame before, in front of the next frame.
    line: Vec<f32>,
}

impl Default for LowPass {
    fn default() -> LowPass {
        LowPass::new()
    }
}

impl LowPass {
    pub fn new() -> LowPass {
        let middle = (TAPS / 2) as f32;
        let turn = std::f32::consts::TAU * CUT_OFF_HZ / 8_000.0;
        let mut taps: Vec<f32> = (0..TAPS)
            .map(|n| {
                let t = n as f32 - middle;
                let sinc = if t == 0.0 { turn } else { (turn * t).sin() / t };
                let window = 0.54 - 0.46 * (std::f32::consts::TAU * n as f32 / (TAPS - 1) as f32).cos();
                sinc * window
            })
            .collect();
        let sum: f32 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        LowPass { taps, line: vec![0.0; TAPS - 1] }
    }

    /// Filters `samples` and gives every `step`-th of the result, beginning with the first.
    pub fn filter(&mut self, samples: &[i16], step: usize, out: &mut Vec<f32>) {
        self.line.extend(samples.iter().map(|sample| f32::from(*sample)));
        let outputs = self.line.windows(TAPS).step_by(step.max(1));
        out.extend(outputs.map(|window| window.iter().zip(&self.taps).map(|(x, tap)| x * tap).sum::<f32>()));
        self.line.drain(..samples.len());
    }
}

/// The root of the mean square; 0 of nothing.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32) -> Vec<i16> {
        (0..8_000).map(|n| (10_000.0 * (std::f32::consts::TAU * hz * n as f32 / 8_000.0).sin()) as i16).collect()
    }

    #[test]
    fn the_band_is_kept_and_what_lies_above_is_not() {
        for (hz, lowest, highest) in
            [(400.0, 0.98, 1.02), (640.0, 0.95, 1.02), (1_140.0, 0.0, 0.02), (3_000.0, 0.0, 0.01)]
        {
            let mut out = Vec::new();
            LowPass::new().filter(&tone(hz), DECIMATION, &mut out);
            assert_eq!(out.len(), LOW_RATE);
            let gain = rms(&out[40..]) / (10_000.0 / 2f32.sqrt());
            assert!((lowest..highest).contains(&gain), "{hz}: {gain}");
        }
    }

    #[test]
    fn frames_give_the_same_as_the_whole() {
        let samples = tone(317.0);
        let (mut whole, mut framed) = (Vec::new(), Vec::new());
        LowPass::new().filter(&samples, DECIMATION, &mut whole);
        let mut filter = LowPass::new();
        samples.chunks(160).for_each(|frame| filter.filter(frame, DECIMATION, &mut framed));
        assert_eq!(whole, framed);
    }
}
