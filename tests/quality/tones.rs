//! Tones: made, and found again in what is heard.

use std::f64::consts::TAU;

/// Some at once, each of this amplitude.
pub fn tones(hz: &[f64], amplitude: f64, rate: f64, seconds: f64) -> Vec<i16> {
    let sample = |at: usize| hz.iter().map(|hz| amplitude * (TAU * hz * at as f64 / rate).sin()).sum::<f64>() as i16;
    (0..(seconds * rate) as usize).map(sample).collect()
}

/// The amplitude of a tone in some samples.
pub fn part(samples: &[i16], hz: f64, rate: f64) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, &sample) in samples.iter().enumerate() {
        let phase = TAU * hz * at as f64 / rate;
        real += f64::from(sample) * phase.cos();
        imaginary += f64::from(sample) * phase.sin();
    }
    2.0 * real.hypot(imaginary) / samples.len() as f64
}
