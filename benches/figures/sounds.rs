//! What the callers say, and by what they know the hold music.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anteroom::media::resample::upsampled;
use anteroom::net::audio::{self, AudioSettings};
use anteroom::wire::{g711, g722};
use anteroom::words::media::{Codec, FRAME_SAMPLES, Law};

use super::Outcome;

/// The repository's recordings.
fn audio() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("audio")
}

/// The 8 kHz recordings of a folder, in the order of their names.
fn recordings(folder: &Path) -> Outcome<Vec<Vec<i16>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    paths.sort();
    paths.iter().map(|path| samples(path)).collect()
}

fn samples(path: &Path) -> Outcome<Vec<i16>> {
    Ok(hound::WavReader::open(path)?.into_samples::<i16>().collect::<Result<_, _>>()?)
}

/// What the benchmark's callers speak, in the order of [`Codec::ALL`].
pub const SPOKEN: [Codec; 3] = [Codec::Pcmu, Codec::Pcma, Codec::G722];

/// Speech in each of [`SPOKEN`]: the shipped prompts, one after the other, with the pauses between sentences that people make.
pub fn speech() -> Outcome<[Vec<u8>; SPOKEN.len()]> {
    const PAUSE_SAMPLES: usize = 3200;
    let mut spoken = Vec::new();
    for prompt in recordings(&audio().join("en"))? {
        spoken.extend(prompt);
        spoken.extend([0; PAUSE_SAMPLES]);
    }
    Ok(SPOKEN.map(|codec| match codec.law() {
        Some(law) => spoken.iter().map(|&sample| g711::encode(law, sample)).collect(),
        None => {
            let mut codes = vec![0; spoken.len()];
            g722::Encoder::default().encode(&upsampled(&spoken), &mut codes);
            codes
        }
    }))
}

/// Every frame that the hold music can be cut into, in both laws; and those that are played of it in G.722.
pub struct HoldMusic {
    frames: HashSet<u64>,
}

impl HoldMusic {
    pub fn load() -> Outcome<HoldMusic> {
        let mut frames = HashSet::new();
        for piece in recordings(&audio().join("hold"))? {
            let looped: Vec<i16> = piece.iter().chain(piece.iter().take(FRAME_SAMPLES)).copied().collect();
            for law in Law::ALL {
                let codes: Vec<u8> = looped.iter().map(|&sample| g711::encode(law, sample)).collect();
                // Silence within the music could as well be a silent meeting.
                let sounding = codes.windows(FRAME_SAMPLES).filter(|frame| frame.iter().any(|code| *code != frame[0]));
                frames.extend(sounding.map(fingerprint));
            }
        }
        // G.722 is no code for each sample: the frames are those that an encoder makes that has heard all before.
        let sounds = audio::load(&AudioSettings::default())?;
        sounds.encode(Codec::G722);
        let mut cursor = 0;
        while let Some(codes) = sounds.next_of_music(&mut cursor).and_then(|place| sounds.g722(place)) {
            frames.insert(fingerprint(codes));
            if cursor == 0 {
                break;
            }
        }
        Ok(HoldMusic { frames })
    }

    pub fn has(&self, frame: &[u8]) -> bool {
        self.frames.contains(&fingerprint(frame))
    }
}

fn fingerprint(frame: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(frame);
    hasher.finish()
}

/// A folder of the shipped prompts cut down to a fifth of a second, so that a lobby is full soon. What is measured is the
/// lobby, not the way into it.
pub fn write_short_prompts(folder: &Path) -> Outcome<()> {
    const SHORT_SAMPLES: u32 = 1600;
    std::fs::create_dir_all(folder)?;
    for name in ["welcome", "enter-conference-id", "organizer-question", "enter-pin", "please-wait-for-organizer"] {
        let file = format!("{name}.wav");
        let mut reader = hound::WavReader::open(audio().join("en").join(&file))?;
        let mut writer = hound::WavWriter::create(folder.join(&file), reader.spec())?;
        for sample in reader.samples::<i16>().take(SHORT_SAMPLES as usize) {
            writer.write_sample(sample?)?;
        }
        writer.finalize()?;
    }
    Ok(())
}
