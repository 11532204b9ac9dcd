//! Prompts, music and chimes: from the binary, or from an operator's files in their place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hound::{SampleFormat, WavReader};

use crate::media::source::Recording;
use crate::media::{Sounds, resample};
use crate::words::prompt::{Chime, Prompt};

use super::audio_embedded::{self as embedded, Shipped};

/// Where an operator's own files are. What is `None`, and every file that a folder does not have, comes from the binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioSettings {
    /// A folder with `welcome.wav` and so on: single prompts, or all of them.
    pub prompts: Option<PathBuf>,
    /// One WAV file.
    pub hold_music: Option<PathBuf>,
    /// A folder with `entry.wav` and `exit.wav`, or one of them.
    pub tones: Option<PathBuf>,
}

/// The longest recording that is taken: hold music for half an hour. Each second takes 80 kB of memory.
const SECONDS_MAX: usize = 30 * 60;

/// The rates that are taken, in Hz. What is there at one of them only is resampled to the other.
const NARROW: u32 = 8_000;
const WIDE: u32 = 16_000;

/// What is wrong with a sound, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    #[error("{file} can't be read: {error}")]
    Unreadable { file: PathBuf, error: io::Error },
    #[error(
        "{file} is not a WAV file that can be played ({what}): convert it with `sox INPUT -r 16000 -c 1 -b 16 {file}`"
    )]
    Odd { file: PathBuf, what: String },
    #[error("{setting}: there is none of {expected} in {folder}")]
    NothingThere { setting: &'static str, folder: PathBuf, expected: String },
}

/// Loads everything that can be played, and encodes it in G.711. [`Sounds::encode`] is left to whoever has the time.
pub fn load(settings: &AudioSettings) -> Result<Arc<Sounds>, AudioError> {
    let prompt_keys = Prompt::ALL.iter().map(|prompt| prompt.key());
    let chime_keys = Chime::ALL.iter().map(|chime| chime.key());
    let prompts = own_files("audio.prompts", settings.prompts.as_deref(), prompt_keys)?;
    let tones = own_files("audio.tones", settings.tones.as_deref(), chime_keys)?;

    let mut recordings = HashMap::new();
    for &prompt in Prompt::ALL {
        let key = prompt.key();
        recordings.insert(key, read(prompts.get(key), embedded::prompt(prompt))?);
    }
    for chime in Chime::ALL {
        let key = chime.key();
        recordings.insert(key, read(tones.get(key), embedded::chime(chime))?);
    }
    let music = read(settings.hold_music.as_ref(), embedded::hold_music())?.in_whole_frames();
    let of = |key: &str| recordings.get(key).cloned().unwrap_or_default();
    Ok(Arc::new(Sounds::of(|prompt| of(prompt.key()), |chime| of(chime.key()), &music)))
}

/// The samples of a shipped prompt at 8 kHz, for tools that have to recognize it.
pub fn shipped_prompt(prompt: Prompt) -> Vec<i16> {
    shipped(embedded::prompt(prompt))
}

/// The same at 16 kHz.
pub fn shipped_wide_prompt(prompt: Prompt) -> Vec<i16> {
    shipped_wide(embedded::prompt(prompt))
}

/// The samples of a shipped chime.
pub fn shipped_chime(chime: Chime) -> Vec<i16> {
    shipped(embedded::chime(chime))
}

/// The samples of the shipped hold music.
pub fn shipped_hold_music() -> Vec<i16> {
    shipped(embedded::hold_music())
}

/// The same at 16 kHz.
pub fn shipped_wide_hold_music() -> Vec<i16> {
    shipped_wide(embedded::hold_music())
}

fn shipped_wide(sound: Shipped) -> Vec<i16> {
    decode(sound.at_16_khz).map(|(_, samples)| samples).unwrap_or_default()
}

fn shipped(sound: Shipped) -> Vec<i16> {
    // A test reads them all; there is nothing that an operator could do about one that can't be read.
    decode(sound.at_8_khz).map(|(_, samples)| samples).unwrap_or_default()
}

/// The files of a folder that replace shipped ones, by their keys.
fn own_files<'a>(
    setting: &'static str,
    folder: Option<&Path>,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Result<HashMap<&'a str, PathBuf>, AudioError> {
    let Some(folder) = folder else { return Ok(HashMap::new()) };
    let unreadable = |error| AudioError::Unreadable { file: folder.to_owned(), error };
    std::fs::read_dir(folder).map_err(unreadable)?;
    let file = |key: &'a str| (key, folder.join(key).with_extension("wav"));
    let found: HashMap<_, _> = keys.clone().map(file).filter(|(_, path)| path.exists()).collect();
    if found.is_empty() {
        let expected = keys.map(|key| format!("{key}.wav")).collect::<Vec<_>>().join(", ");
        return Err(AudioError::NothingThere { setting, folder: folder.to_owned(), expected });
    }
    Ok(found)
}

fn read(own: Option<&PathBuf>, shipped: Shipped) -> Result<Recording, AudioError> {
    let Some(path) = own else {
        let odd = |what| AudioError::Odd { file: "a shipped sound".into(), what };
        let (_, narrow) = decode(shipped.at_8_khz).map_err(odd)?;
        let (_, wide) = decode(shipped.at_16_khz).map_err(odd)?;
        return Ok(Recording::at_both_rates(narrow, wide));
    };
    let file = File::open(path).map_err(|error| AudioError::Unreadable { file: path.clone(), error })?;
    let (rate, samples) = decode(BufReader::new(file)).map_err(|what| AudioError::Odd { file: path.clone(), what })?;
    Ok(if rate == WIDE {
        Recording::at_both_rates(resample::downsampled(&samples), samples)
    } else {
        Recording::at_8_khz(samples)
    })
}

/// The rate and the samples of a WAV file of the kind that is played, or what is wrong with it.
fn decode(wav: impl Read) -> Result<(u32, Vec<i16>), String> {
    let reader = WavReader::new(wav).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    let has = [
        (spec.channels != 1).then(|| format!("{} channels instead of one", spec.channels)),
        (![NARROW, WIDE].contains(&spec.sample_rate))
            .then(|| format!("{} Hz instead of {NARROW} or {WIDE}", spec.sample_rate)),
        (spec.sample_format != SampleFormat::Int || spec.bits_per_sample != 16)
            .then(|| format!("{} bits of {:?} instead of 16 of Int", spec.bits_per_sample, spec.sample_format)),
        (reader.len() == 0).then(|| "it is empty".to_owned()),
        (reader.len() as usize > SECONDS_MAX * spec.sample_rate as usize)
            .then(|| format!("longer than {} minutes", SECONDS_MAX / 60)),
    ];
    let odd: Vec<String> = has.into_iter().flatten().collect();
    if !odd.is_empty() {
        return Err(odd.join(", "));
    }
    let samples = reader.into_samples::<i16>().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok((spec.sample_rate, samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::source::Playlist;
    use crate::wire::g711;
    use crate::words::media::{FRAME_SAMPLES, Law, WIDE_FRAME_SAMPLES};
    use hound::{WavSpec, WavWriter};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder that is removed at the end of the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let name = format!("anteroom-audio-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn wav(&self, name: &str, channels: u16, rate: u32, bits: u16, samples: &[i16]) -> PathBuf {
            let path = self.0.join(name);
            let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: SampleFormat::Int };
            let mut writer = WavWriter::create(&path, spec).unwrap();
            for &sample in samples {
                writer.write_sample(if bits == 8 { sample >> 8 } else { sample }).unwrap();
            }
            writer.finalize().unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn first_sample(sounds: &Sounds, prompt: Prompt) -> i16 {
        let place = Playlist::new([prompt].into()).next(sounds).unwrap();
        g711::decode(Law::Mu, sounds.codes(place, Law::Mu).unwrap()[0])
    }

    /// Samples at 8 kHz in the whole hold music.
    fn length_of_music(sounds: &Sounds) -> usize {
        let mut cursor = 0;
        let mut frames = 0;
        while sounds.next_of_music(&mut cursor).is_some() && cursor != 0 {
            frames += 1;
        }
        (frames + 1) * FRAME_SAMPLES
    }

    #[test]
    fn every_shipped_sound_can_be_played() {
        let sounds = load(&AudioSettings::default()).unwrap();
        for &prompt in Prompt::ALL {
            let seconds = shipped_prompt(prompt).len() as f32 / 8000.0;
            assert!((0.3..15.0).contains(&seconds), "{prompt:?}: {seconds} s");
        }
        for chime in Chime::ALL {
            assert!(!shipped_chime(chime).is_empty());
        }
        assert!(shipped_hold_music().len() >= 60 * 8000);
        assert_eq!(length_of_music(&sounds), shipped_hold_music().len());
        for sound in [embedded::hold_music(), embedded::chime(Chime::Entry), embedded::prompt(Prompt::EnterPin)] {
            let (narrow, wide) = (decode(sound.at_8_khz).unwrap(), decode(sound.at_16_khz).unwrap());
            assert_eq!((narrow.0, wide.0), (NARROW, WIDE));
            // The silence at the ends of each is trimmed by its own loudness.
            assert!(wide.1.len().abs_diff(2 * narrow.1.len()) <= WIDE_FRAME_SAMPLES, "the same sound at both rates");
        }
    }

    #[test]
    fn an_operators_file_takes_the_place_of_the_shipped_one() {
        let folder = Folder::new();
        folder.wav("enter-pin.wav", 1, 8000, 16, &[8031; 800]);
        let music = folder.wav("my-music.wav", 1, 8000, 16, &[1000; 800]);
        let settings =
            AudioSettings { prompts: Some(folder.0.clone()), hold_music: Some(music), ..AudioSettings::default() };
        let sounds = load(&settings).unwrap();
        let shipped = load(&AudioSettings::default()).unwrap();
        assert!((first_sample(&sounds, Prompt::EnterPin) - 8031).abs() < 200);
        assert_eq!(first_sample(&sounds, Prompt::Welcome), first_sample(&shipped, Prompt::Welcome));
        assert_eq!(length_of_music(&sounds), 800);
        let wide = folder.wav("wide-music.wav", 1, 16_000, 16, &[1000; 1_600]);
        let wide = load(&AudioSettings { hold_music: Some(wide), ..AudioSettings::default() }).unwrap();
        assert_eq!(length_of_music(&wide), 800);
    }

    #[test]
    fn an_odd_file_is_named_with_what_is_wrong_and_what_to_do() {
        let folder = Folder::new();
        let odd = |name: &str, contents: &dyn Fn() -> PathBuf| {
            let path = contents();
            let error = load(&AudioSettings { hold_music: Some(path), ..AudioSettings::default() }).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name) && !text.contains('\n'), "{text}");
            text
        };
        let text = odd("s.wav", &|| folder.wav("s.wav", 2, 44_100, 16, &[0; 8]));
        assert!(text.contains("2 channels") && text.contains("44100 Hz") && text.contains("sox"), "{text}");
        assert!(odd("e.wav", &|| folder.wav("e.wav", 1, 8000, 16, &[])).contains("empty"));
        assert!(odd("b.wav", &|| folder.wav("b.wav", 1, 8000, 8, &[0; 80])).contains("8 bits"));
        assert!(odd("none.wav", &|| folder.0.join("none.wav")).contains("can't be read"));
        assert!(
            odd("text.wav", &|| {
                let path = folder.0.join("text.wav");
                std::fs::write(&path, "no sound").unwrap();
                path
            })
            .contains("sox")
        );
        let cut = || {
            let path = folder.wav("cut.wav", 1, 8000, 16, &[7; 800]);
            let octets = std::fs::read(&path).unwrap();
            std::fs::write(&path, &octets[..octets.len() - 101]).unwrap();
            path
        };
        odd("cut.wav", &cut);
    }

    #[test]
    fn a_folder_without_a_single_sound_is_a_mistake() {
        let folder = Folder::new();
        let settings = AudioSettings { tones: Some(folder.0.clone()), ..AudioSettings::default() };
        let text = load(&settings).unwrap_err().to_string();
        assert!(text.contains("audio.tones") && text.contains("entry.wav"), "{text}");
        let settings = AudioSettings { prompts: Some(folder.0.join("nowhere")), ..AudioSettings::default() };
        assert!(load(&settings).unwrap_err().to_string().contains("nowhere"));
    }
}
