//! What is in a recording. Sounds that the server plays are found by comparing with the files themselves, since G.711
//! and G.722 change them by little; voices are tones, found by Goertzel.

use anteroom::media::resample::downsampled;
use std::f64::consts::TAU;
use std::path::Path;
use std::time::Duration;

pub const RATE_HZ: u32 = 8000;

/// What is judged at once: 100 ms.
const WINDOW: usize = 800;

/// Of a sound's first second so much is looked for, its loudest part: 200 ms.
const CHUNK: usize = 1600;

/// How alike two sounds are that are the same: 1 is equal, 0 is unlike. What G.711 has carried is at 0.999, also as a chime
/// beside a voice above 0.97; the two chimes are at 0.77 with each other, different words below 0.57.
const ALIKE: f64 = 0.9;

/// Below this a window is silence: 40 dB under full scale.
const SILENCE: f64 = 0.01 * 0.01;

/// A tone at a quarter of full scale.
pub fn tone(hz: f64, rate_hz: u32, time: Duration) -> impl Iterator<Item = i16> {
    let samples = (time.as_secs_f64() * f64::from(rate_hz)) as u32;
    (0..samples).map(move |at| ((f64::from(at) * TAU * hz / f64::from(rate_hz)).sin() * 8192.0) as i16)
}

/// What somebody heard.
pub struct Recording {
    samples: Vec<f64>,
}

impl Recording {
    /// At 8 kHz, at 16 of what G.722 has carried, or at 48 with two equal channels of Opus: what is below 4 kHz is kept.
    pub fn read(path: &Path) -> Recording {
        let mut file = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let hound::WavSpec { sample_rate, channels, .. } = file.spec();
        let mut samples: Vec<i16> = file.samples().map(Result::unwrap).collect();
        match (sample_rate / RATE_HZ, channels) {
            (1, 1) => {}
            (2, 1) => samples = downsampled(&samples),
            // What Opus carries has no more than 8 kHz here, so a mean of three folds nothing back.
            (6, 2) => {
                let mean = |six: &[i16]| (six.iter().map(|&sample| i32::from(sample)).sum::<i32>() / 6) as i16;
                samples = downsampled(&samples.chunks_exact(6).map(mean).collect::<Vec<_>>());
            }
            _ => panic!("{} has {sample_rate} Hz and {channels} channels", path.display()),
        }
        Recording { samples: samples.into_iter().map(|sample| f64::from(sample) / 32768.0).collect() }
    }

    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(RATE_HZ)
    }

    /// One of the server's own sounds, by its file below `audio/`.
    pub fn of_server(file: &str) -> Recording {
        Recording::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("audio").join(file))
    }

    /// When in this recording `sound` begins, in seconds. It may have been interrupted after its first second.
    pub fn find(&self, sound: &Recording) -> Option<f64> {
        let beginning = &sound.samples[..sound.samples.len().min(RATE_HZ as usize)];
        let chunks = beginning.windows(CHUNK).step_by(80).enumerate();
        let (number, chunk) = chunks.max_by(|(_, left), (_, right)| energy(left).total_cmp(&energy(right)))?;
        let at = position(&self.samples, chunk)?;
        Some((at as f64 - (number * 80) as f64) / f64::from(RATE_HZ))
    }

    /// The same without this tone, so that what is beside it can be found.
    pub fn without_tone(&self, hz: f64) -> Recording {
        /// How near the poles are to the zeros: a notch of some 50 Hz.
        const R: f64 = 0.98;
        let turn = 2.0 * (TAU * hz / f64::from(RATE_HZ)).cos();
        let (mut heard, mut left) = ([0.0; 2], [0.0; 2]);
        let notch = |sample: &f64| {
            let out = sample - turn * heard[0] + heard[1] + R * turn * left[0] - R * R * left[1];
            (heard, left) = ([*sample, heard[0]], [out, left[0]]);
            out
        };
        Recording { samples: self.samples.iter().map(notch).collect() }
    }

    /// Whether what is heard `at` this second is out of `sound`, wherever in it.
    pub fn is_out_of(&self, at: f64, sound: &Recording) -> bool {
        let start = (at * f64::from(RATE_HZ)) as usize;
        position(&sound.samples, &self.samples[start..start + CHUNK]).is_some()
    }

    /// How much of each 100 ms is this tone: 1 all, 0 nothing. Silence has no tone.
    pub fn tone_shares(&self, hz: f64) -> Vec<f64> {
        self.samples.chunks_exact(WINDOW).map(|window| tone_share(window, hz)).collect()
    }

    /// Whether each 100 ms is silence.
    pub fn silences(&self) -> Vec<bool> {
        self.samples.chunks_exact(WINDOW).map(|window| energy(window) / WINDOW as f64 <= SILENCE).collect()
    }
}

/// The second at which window `number` begins.
pub fn seconds_of(number: usize) -> f64 {
    (number * WINDOW) as f64 / f64::from(RATE_HZ)
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).sum()
}

fn tone_share(window: &[f64], hz: f64) -> f64 {
    let all = energy(window);
    if all / window.len() as f64 <= SILENCE {
        return 0.0;
    }
    // Goertzel's recurrence.
    let step = TAU * hz / f64::from(RATE_HZ);
    let (mut last, mut before) = (0.0, 0.0);
    for sample in window {
        (last, before) = (sample + 2.0 * step.cos() * last - before, last);
    }
    let power = last * last + before * before - 2.0 * step.cos() * last * before;
    // A sine of amplitude a has the energy a²·n/2 and the power a²·n²/4.
    power * 2.0 / (window.len() as f64 * all)
}

/// Where `part` is in `whole`: where their normalized cross-correlation is greatest, if that is high.
fn position(whole: &[f64], part: &[f64]) -> Option<usize> {
    let part_energy = energy(part);
    let mut energy_here = energy(whole.get(..part.len())?);
    let mut best = (ALIKE, None);
    for (at, here) in whole.windows(part.len()).enumerate() {
        if at > 0 {
            energy_here += here[part.len() - 1].powi(2) - whole[at - 1].powi(2);
        }
        if energy_here < part_energy * 0.25 || energy_here > part_energy * 4.0 {
            continue;
        }
        let product: f64 = here.iter().zip(part).map(|(left, right)| left * right).sum();
        let alike = product / (energy_here * part_energy).sqrt();
        if alike > best.0 {
            best = (alike, Some(at));
        }
    }
    best.1
}
