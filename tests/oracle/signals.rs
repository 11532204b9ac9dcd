//! DTMF as a telephone network would bring it: 8 kHz, companded to µ-law, with what lines do to it.

use std::f64::consts::TAU;

use anteroom::wire::g711;
use anteroom::words::media::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub const KEYS: &str = "0123456789*#ABCD";

/// Peak of a sine of 0 dBm0: the highest µ-law level, 32124, is +3.17 dBm0.
const PEAK_0_DBM0: f64 = 22_301.0;

/// How keys are pressed, and what happens to their tones on the way.
#[derive(Clone)]
pub struct Keys {
    pub on_ms: f64,
    pub off_ms: f64,
    pub low_dbm0: f64,
    pub high_dbm0: f64,
    /// Off the nominal frequency, as a part of it.
    pub low_shift: f64,
    pub high_shift: f64,
    /// Power of both tones over that of white noise.
    pub signal_to_noise_db: Option<f64>,
    /// Where in each press the tones are away, and for how long.
    pub break_at_ms: f64,
    pub break_ms: f64,
    pub echo: Option<Echo>,
    /// Is heard besides, as long as the keys last (linear samples, repeated).
    pub background: Vec<f64>,
}

#[derive(Clone, Copy)]
pub struct Echo {
    pub delay_ms: f64,
    pub level_db: f64,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            on_ms: 50.0,
            off_ms: 50.0,
            low_dbm0: -10.0,
            high_dbm0: -10.0,
            low_shift: 0.0,
            high_shift: 0.0,
            signal_to_noise_db: None,
            break_at_ms: 0.0,
            break_ms: 0.0,
            echo: None,
            background: Vec::new(),
        }
    }
}

impl Keys {
    /// The keys of `sequence` one after another, as decoded from a µ-law line. The first begins anywhere in a frame,
    /// and each with any phase.
    pub fn samples(&self, sequence: &str, seed: u64) -> Vec<i16> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut signal = vec![0.0; random.random_range(400..800)];
        let (low_peak, high_peak) = (peak(self.low_dbm0), peak(self.high_dbm0));
        for key in sequence.chars() {
            let (low, high) = frequencies(key);
            let (low, high) = (low * (1.0 + self.low_shift), high * (1.0 + self.high_shift));
            let (low_phase, high_phase): (f64, f64) = (random.random(), random.random());
            let away = samples_in(self.break_at_ms)..samples_in(self.break_at_ms + self.break_ms);
            signal.extend((0..samples_in(self.on_ms)).map(|n| {
                let t = n as f64 / 8000.0;
                let tones =
                    low_peak * (TAU * (low * t + low_phase)).sin() + high_peak * (TAU * (high * t + high_phase)).sin();
                if away.contains(&n) { 0.0 } else { tones }
            }));
            signal.extend(std::iter::repeat_n(0.0, samples_in(self.off_ms)));
        }
        signal.extend([0.0; 1600]);

        if let Some(echo) = self.echo {
            let (delay, gain) = (samples_in(echo.delay_ms), amplitude(echo.level_db));
            let direct = signal.clone();
            for (sample, earlier) in signal.iter_mut().skip(delay).zip(&direct) {
                *sample += gain * earlier;
            }
        }
        if let Some(ratio) = self.signal_to_noise_db {
            let power = (low_peak.powi(2) + high_peak.powi(2)) / 2.0;
            let sigma = power.sqrt() / amplitude(ratio);
            for sample in &mut signal {
                *sample += sigma * gaussian(&mut random);
            }
        }
        let start = random.random_range(0..self.background.len().max(1));
        for (sample, other) in signal.iter_mut().zip(self.background.iter().cycle().skip(start)) {
            *sample += other;
        }
        companded(&signal)
    }
}

/// The sum of sines of these frequencies and levels (Hz, dBm0), as decoded from a µ-law line.
pub fn sines(parts: &[(f64, f64)], milliseconds: f64) -> Vec<i16> {
    let at = |n: usize| parts.iter().map(|(hertz, dbm0)| peak(*dbm0) * (TAU * hertz * n as f64 / 8000.0).sin()).sum();
    companded(&(0..samples_in(milliseconds)).map(at).collect::<Vec<f64>>())
}

/// What a µ-law line makes of a signal.
pub fn companded(signal: &[f64]) -> Vec<i16> {
    let line = |sample: &f64| {
        let linear = sample.round().clamp(-32768.0, 32767.0) as i16;
        g711::decode(Law::Mu, g711::encode(Law::Mu, linear))
    };
    signal.iter().map(line).collect()
}

pub fn amplitude(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

fn peak(dbm0: f64) -> f64 {
    PEAK_0_DBM0 * amplitude(dbm0)
}

fn samples_in(milliseconds: f64) -> usize {
    (milliseconds * 8.0).round() as usize
}

fn frequencies(key: char) -> (f64, f64) {
    const ROWS: [(&str, f64); 4] = [("123A", 697.0), ("456B", 770.0), ("789C", 852.0), ("*0#D", 941.0)];
    const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let of = |(keys, low): (&str, f64)| keys.find(key).map(|column| (low, COLUMNS[column]));
    ROWS.into_iter().find_map(of).expect("a key of the keypad")
}

fn gaussian(random: &mut StdRng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}
