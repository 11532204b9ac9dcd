//! The sounds that can be recognized, prepared once and shared by all ears.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fft::{Complex, Fft};
use super::lowband::{DECIMATION, LOW_RATE, LowPass};
use crate::replay::sound::Sound;
use crate::replay::wav::{self, WavError};

/// A sound is recognized by its first 0.6 s (or all of it, where it is shorter): by then no two prompts are alike.
pub const ANCHOR: usize = LOW_RATE * 6 / 10;

/// Points of the correlation that looks for anchors: the anchor, and room for more than 0.4 s of new samples.
pub const ANCHOR_BLOCK_LOG2: u32 = 11;

/// Points of the correlation that looks for a place in the music.
pub const LOOP_BLOCK_LOG2: u32 = 13;

/// What is quieter than this (about −52 dB of full scale in the low band) is a pause, not a sound.
pub const QUIET: f32 = 80.0;

/// A file can't be recognized if it is shorter than this (0.25 s) or has nothing in the low band.
const SHORTEST: usize = LOW_RATE / 4;

/// One sound to recognize.
#[derive(Debug)]
pub struct Reference {
    pub sound: Sound,
    /// Low-passed at 8 kHz, so that it can be laid over the line at any of the four phases of the low band.
    smooth: Vec<f32>,
    /// Low-band place of the first and the last sample that is no pause.
    pub first_loud: usize,
    pub last_loud: usize,
    /// It repeats for ever, and is heard from any place on.
    pub looped: bool,
}

impl Reference {
    fn new(sound: Sound, samples: &[i16], looped: bool) -> Option<Reference> {
        let mut smooth = Vec::with_capacity(samples.len());
        LowPass::new().filter(samples, 1, &mut smooth);
        let low_samples = smooth.len() / DECIMATION;
        // Where it begins for the ear: past the fade-in, where it is as loud as a tenth of its peak.
        let peak = smooth.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        let loud = |level: f32| {
            let is_loud = move |x: &&[f32]| x.iter().any(|x| x.abs() > level);
            let first = smooth.chunks_exact(DECIMATION).position(|x| is_loud(&x));
            let last = smooth.chunks_exact(DECIMATION).rposition(|x| is_loud(&x));
            first.zip(last)
        };
        let (first_loud, _) = loud((peak * 0.1).max(QUIET))?;
        let (_, last_loud) = loud(QUIET)?;
        let usable = last_loud.saturating_sub(first_loud) >= SHORTEST && low_samples > last_loud;
        usable.then_some(Reference { sound, smooth, first_loud, last_loud, looped })
    }

    /// Low-band samples.
    pub fn low_len(&self) -> usize {
        self.smooth.len() / DECIMATION
    }

    /// The sample at a place of the low band, `phase` (0 to 3) line samples later. Outside there is silence; a loop goes
    /// round.
    pub fn at(&self, place: i64, phase: usize) -> f32 {
        let length = i64::try_from(self.low_len()).unwrap_or(i64::MAX).max(1);
        let place = if self.looped { place.rem_euclid(length) } else { place };
        let index = usize::try_from(place).ok().and_then(|place| place.checked_mul(DECIMATION));
        index.and_then(|index| self.smooth.get(index.saturating_add(phase))).copied().unwrap_or(0.0)
    }

    /// Low-band samples of the anchor, which begins at `first_loud`.
    pub fn anchor_len(&self) -> usize {
        self.last_loud.saturating_sub(self.first_loud).clamp(SHORTEST, ANCHOR)
    }
}

/// Two anchors in one spectrum: one inverse transform gives both correlations, in its real and its imaginary part.
#[derive(Debug)]
pub struct AnchorPair {
    pub first: usize,
    pub second: Option<usize>,
    pub spectrum: Vec<Complex>,
}

/// Two stretches of a loop in one spectrum.
#[derive(Debug, Clone)]
pub struct LoopPair {
    pub reference: usize,
    /// Low-band places where the stretches begin.
    pub begins: [usize; 2],
    pub spectrum: Vec<Complex>,
    /// One over the strength of the anchor-long stretch at each place behind the begins.
    pub weights: [Vec<f32>; 2],
}

/// All sounds that can be recognized.
#[derive(Debug, Clone)]
pub struct SoundLibrary {
    references: Vec<Arc<Reference>>,
    /// Energy of each reference's anchor.
    anchor_energies: Vec<f32>,
    by_sound: BTreeMap<Sound, usize>,
    loops: Vec<LoopPair>,
    pub anchor_fft: Fft,
    pub loop_fft: Fft,
}

/// Why the library can't be had from a folder.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("{}: {what}", path.display())]
    Folder { path: PathBuf, what: std::io::Error },
    #[error("{}: {what}", path.display())]
    File { path: PathBuf, what: WavError },
    #[error("{}: too short or too quiet to be recognized", path.display())]
    Unrecognizable { path: PathBuf },
}

impl Default for SoundLibrary {
    fn default() -> SoundLibrary {
        SoundLibrary {
            references: Vec::new(),
            anchor_energies: Vec::new(),
            by_sound: BTreeMap::new(),
            loops: Vec::new(),
            anchor_fft: Fft::new(ANCHOR_BLOCK_LOG2),
            loop_fft: Fft::new(LOOP_BLOCK_LOG2),
        }
    }
}

impl SoundLibrary {
    /// The sounds of a folder as they are shipped: `en/*.wav` are the prompts, `hold/*.wav` is music, `tones/*.wav` are the
    /// chimes; the keys are the files' names. A folder that is missing has no sounds.
    pub fn from_folder(folder: &Path, language: &str) -> Result<SoundLibrary, LibraryError> {
        let mut library = SoundLibrary::default();
        for (inner, kind) in
            [(language, Sound::Prompt as fn(String) -> Sound), ("tones", Sound::Chime), ("hold", |_| Sound::Music)]
        {
            for path in wav_files(&folder.join(inner))? {
                let key = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                let samples = wav::read_8khz(&path).map_err(|what| LibraryError::File { path: path.clone(), what })?;
                if !library.add(kind(key), &samples) {
                    return Err(LibraryError::Unrecognizable { path });
                }
            }
        }
        Ok(library)
    }

    /// Adds one sound (prompt, chime, wav, or a piece of music; 8 kHz). `false` for one that is too short or too quiet to
    /// be recognized.
    pub fn add(&mut self, sound: Sound, samples: &[i16]) -> bool {
        let looped = sound == Sound::Music;
        let Some(reference) = Reference::new(sound.clone(), samples, looped) else { return false };
        let index = self.references.len();
        if looped {
            self.index_loop(index, &reference);
        }
        let anchor = anchor_samples(&reference);
        self.anchor_energies.push(anchor.map(|x| x * x).sum());
        self.by_sound.entry(sound).or_insert(index);
        self.references.push(Arc::new(reference));
        true
    }

    /// Stretches overlap by one anchor, so that an anchor is whole in one of them wherever it lies.
    fn index_loop(&mut self, index: usize, reference: &Reference) {
        let block = self.loop_fft.size();
        let step = block.saturating_sub(ANCHOR).max(1);
        let begins: Vec<usize> = (0..reference.low_len()).step_by(step).collect();
        for pair in begins.chunks(2) {
            let (first, second) =
                (pair.first().copied().unwrap_or(0), pair.get(1).or(pair.first()).copied().unwrap_or(0));
            let sample = |begin: usize, n: usize| reference.at(i64::try_from(begin.saturating_add(n)).unwrap_or(0), 0);
            let mut spectrum: Vec<Complex> =
                (0..block).map(|n| Complex { re: sample(first, n), im: sample(second, n) }).collect();
            self.loop_fft.forward(&mut spectrum);
            let weights = [first, second].map(|begin| {
                let energy = |n: usize| f64::from(sample(begin, n)).powi(2);
                let mut sum: f64 = (0..ANCHOR).map(energy).sum();
                let weights = (0..step).map(|lag| {
                    let weight = 1.0 / sum.max(1.0).sqrt();
                    sum += energy(lag.saturating_add(ANCHOR)) - energy(lag);
                    weight as f32
                });
                weights.collect()
            });
            self.loops.push(LoopPair { reference: index, begins: [first, second], spectrum, weights });
        }
    }

    pub fn reference(&self, index: usize) -> Option<&Arc<Reference>> {
        self.references.get(index)
    }

    pub fn anchor_energy(&self, index: usize) -> f32 {
        self.anchor_energies.get(index).copied().unwrap_or(0.0)
    }

    /// Everything that is one sound: several pieces of music are all `music`.
    pub fn find(&self, sound: &Sound) -> Vec<usize> {
        self.references.iter().enumerate().filter(|(_, each)| each.sound == *sound).map(|(index, _)| index).collect()
    }

    pub fn knows(&self, sound: &Sound) -> bool {
        self.by_sound.contains_key(sound)
    }

    /// The names of all sounds, for messages.
    pub fn sounds(&self) -> impl Iterator<Item = &Sound> {
        self.by_sound.keys()
    }

    pub fn loops(&self) -> &[LoopPair] {
        &self.loops
    }

    /// The spectra by which the anchors of these references are looked for.
    pub fn anchor_pairs(&self, references: &[usize]) -> Vec<AnchorPair> {
        let pairs = references.chunks(2).filter_map(|pair| {
            let (first, second) = (*pair.first()?, pair.get(1).copied());
            let one = self.anchor_spectrum(first)?;
            let spectrum = match second.and_then(|second| self.anchor_spectrum(second)) {
                Some(other) => one.iter().zip(&other).map(|(a, b)| *a + b.times_i()).collect(),
                None => one,
            };
            Some(AnchorPair { first, second, spectrum })
        });
        pairs.collect()
    }

    /// The conjugate spectrum of one anchor, zeros behind it.
    fn anchor_spectrum(&self, index: usize) -> Option<Vec<Complex>> {
        let reference = self.references.get(index)?;
        let mut spectrum: Vec<Complex> = anchor_samples(reference).map(Complex::real).collect();
        spectrum.resize(self.anchor_fft.size(), Complex::ZERO);
        self.anchor_fft.forward(&mut spectrum);
        Some(spectrum.into_iter().map(Complex::conjugate).collect())
    }
}

fn anchor_samples(reference: &Reference) -> impl Iterator<Item = f32> + '_ {
    let begin = reference.first_loud;
    (begin..begin.saturating_add(reference.anchor_len()))
        .map(|place| reference.at(i64::try_from(place).unwrap_or(i64::MAX), 0))
}

/// In the order of their names, so that runs are alike.
fn wav_files(folder: &Path) -> Result<Vec<PathBuf>, LibraryError> {
    let wrong = |what| LibraryError::Folder { path: folder.to_owned(), what };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "wav") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
