//! What a caller hears: frames of the line go in, and what begins and ends comes out. Pure: the clock is the frames' own.
//!
//! ```text
//!              ┌─ level ─────────────── silence, sound
//!  20 ms frame ┼─ tone window ───────── tone:HZ            (Goertzel, 100 ms)
//!              └─ low band, 2 kHz ───── prompt, chime, wav (correlation with the first 0.6 s, then followed)
//!                                └───── music              (any place of the loop, then followed)
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | [`library`] | the sounds that can be recognized, prepared once |
//! | [`recognizer`] | finds them |
//! | [`alignment`] | one of them at one place of the line; is it still the same? |
//! | [`tone`] | steady tones |
//! | [`lowband`], [`fft`] | the arithmetic |

pub mod alignment;
pub mod fft;
pub mod library;
pub mod lowband;
pub mod recognizer;
pub mod tone;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use library::{LibraryError, SoundLibrary};

use self::alignment::LowHistory;
use self::lowband::{DECIMATION, LOW_FRAME, LowPass};
use self::recognizer::{Found, Recognizer};
use self::tone::{ToneChange, ToneEar, ToneWindow};
use super::listener::HeardFrame;
use super::sound::Sound;
use crate::words::media::{FRAME, FRAME_SAMPLES};

/// All that can be said of a moment is known this much later: an anchor (0.6 s), the distance of two looks (0.2 s), and for
/// music one search that came too early. Whoever asks "was it heard until now?" must wait as long.
pub const LATENCY: Duration = Duration::from_millis(1_500);

/// A frame below this (−50 dB of full scale) is silent.
const SILENT_RMS: f32 = 100.0;

/// Silence and sound count from so many frames on: a pause between two words is no silence.
const SILENT_FRAMES: u32 = 10;
const LOUD_FRAMES: u32 = 2;

/// Music that begins again within this is the same music.
const SEAM: Duration = Duration::from_millis(100);

/// Frames whose times are kept, to say when it was that something began.
const TIMES_KEPT: usize = 1_000;

/// Something was heard from then until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    /// Unique for these ears; a hearing that is reported again replaces its former self.
    pub number: u32,
    pub sound: Sound,
    pub from: Duration,
    /// `None` while it goes on.
    pub until: Option<Duration>,
    /// It was heard to its end.
    pub whole: bool,
}

/// A sound that can't be listened for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sound} is not known: there are {known}")]
pub struct UnknownSound {
    pub sound: String,
    pub known: String,
}

/// One caller's ears.
#[derive(Debug)]
pub struct Ears {
    library: Arc<SoundLibrary>,
    low_pass: LowPass,
    history: LowHistory,
    recognizer: Recognizer,
    tone_window: ToneWindow,
    tones: Vec<(Sound, ToneEar)>,
    hears_level: bool,
    loud: Option<bool>,
    level_frames: u32,
    /// When each of the newest frames was heard; the last one is frame `frames - 1`.
    times: VecDeque<Duration>,
    frames: u64,
    open: Vec<Hearing>,
    last_music: Option<Hearing>,
    next_number: u32,
    changes: VecDeque<Hearing>,
    low: Vec<f32>,
    found: Vec<Found>,
}

impl Ears {
    /// Ears that listen for these sounds, and for nothing else.
    pub fn new(library: &Arc<SoundLibrary>, listens_for: &[Sound]) -> Result<Ears, UnknownSound> {
        let mut references = Vec::new();
        let mut tones: Vec<(Sound, ToneEar)> = Vec::new();
        let mut hears_level = false;
        for sound in listens_for {
            match sound {
                Sound::Silence | Sound::Anything => hears_level = true,
                Sound::Tone { hz } => {
                    if !tones.iter().any(|(known, _)| known == sound) {
                        tones.push((sound.clone(), ToneEar::new(*hz)));
                    }
                }
                Sound::Music | Sound::Prompt(_) | Sound::Chime(_) | Sound::Wav(_) | Sound::Caller(_) => {
                    if !library.knows(sound) {
                        let known: Vec<_> = library.sounds().map(Sound::to_string).collect();
                        return Err(UnknownSound { sound: sound.to_string(), known: known.join(", ") });
                    }
                    references.extend(library.find(sound));
                }
            }
        }
        references.sort_unstable();
        references.dedup();
        Ok(Ears {
            library: library.clone(),
            low_pass: LowPass::new(),
            history: LowHistory::default(),
            recognizer: Recognizer::new(library.clone(), &references),
            tone_window: ToneWindow::new(),
            tones,
            hears_level,
            loud: None,
            level_frames: 0,
            times: VecDeque::with_capacity(TIMES_KEPT),
            frames: 0,
            open: Vec::new(),
            last_music: None,
            next_number: 0,
            changes: VecDeque::new(),
            low: Vec::new(),
            found: Vec::new(),
        })
    }

    /// The next frame. One that was lost on the way tells nothing: what was being heard goes on. (A tone stands it: its
    /// window is longer than a frame.)
    pub fn hear(&mut self, frame: &HeardFrame) {
        let HeardFrame { at, samples, missing } = frame;
        if self.times.len() >= TIMES_KEPT {
            self.times.pop_front();
        }
        self.times.push_back(*at);
        self.frames = self.frames.saturating_add(1);
        if self.hears_level && !missing {
            self.hear_level(samples);
        }
        self.hear_tones(samples);
        self.low.clear();
        self.low_pass.filter(samples, DECIMATION, &mut self.low);
        self.history.push(&self.low, *missing);
        let mut found = std::mem::take(&mut self.found);
        self.recognizer.listen(&self.history, &mut found);
        for each in found.drain(..) {
            self.take(each);
        }
        self.found = found;
    }

    /// What began or ended, in the order in which it was noticed.
    pub fn poll_change(&mut self) -> Option<Hearing> {
        self.changes.pop_front()
    }

    fn hear_level(&mut self, frame: &[i16; FRAME_SAMPLES]) {
        let energy: f64 = frame.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let loud = (energy / FRAME_SAMPLES as f64).sqrt() as f32 >= SILENT_RMS;
        let was_loud = self.loud == Some(true);
        if self.loud == Some(loud) {
            self.level_frames = 0;
            return;
        }
        self.level_frames = self.level_frames.saturating_add(1);
        let needed = if loud { LOUD_FRAMES } else { SILENT_FRAMES };
        if self.level_frames >= needed {
            let since = self.frame_time(u64::from(needed));
            self.level_frames = 0;
            self.loud = Some(loud);
            self.close(if was_loud { &Sound::Anything } else { &Sound::Silence }, since, false);
            self.begin(if loud { Sound::Anything } else { Sound::Silence }, since);
        }
    }

    fn hear_tones(&mut self, frame: &[i16; FRAME_SAMPLES]) {
        if self.tones.is_empty() {
            return;
        }
        let windowed = self.tone_window.push(frame);
        let changes: Vec<_> =
            self.tones.iter_mut().filter_map(|(sound, ear)| Some((sound.clone(), ear.listen(windowed)?))).collect();
        for (sound, change) in changes {
            match change {
                ToneChange::Began { frames_ago } => self.begin(sound, self.frame_time(u64::from(frames_ago))),
                ToneChange::Over { frames_ago } => self.close(&sound, self.frame_time(u64::from(frames_ago)), false),
            }
        }
    }

    fn take(&mut self, found: Found) {
        let sound = |index| self.library.reference(index).map(|reference| reference.sound.clone());
        match found {
            Found::Began { reference, at } => {
                if let Some(sound) = sound(reference) {
                    self.begin(sound, self.place_time(at));
                }
            }
            Found::Over { reference, at, whole } => {
                if let Some(sound) = sound(reference) {
                    self.close(&sound, self.place_time(at), whole);
                }
            }
        }
    }

    fn begin(&mut self, sound: Sound, from: Duration) {
        // Music repeats itself, and may be taken for another place of itself until it goes on differently.
        if sound == Sound::Music
            && let Some(mut before) = self.last_music.take()
            && before.until.is_some_and(|until| from <= until.saturating_add(SEAM))
        {
            before.until = None;
            before.from = before.from.min(from);
            self.open.push(before.clone());
            self.changes.push_back(before);
            return;
        }
        let hearing = Hearing { number: self.next_number, sound, from, until: None, whole: false };
        self.next_number = self.next_number.saturating_add(1);
        self.open.push(hearing.clone());
        self.changes.push_back(hearing);
    }

    fn close(&mut self, sound: &Sound, until: Duration, whole: bool) {
        if let Some(index) = self.open.iter().position(|hearing| hearing.sound == *sound) {
            let mut hearing = self.open.swap_remove(index);
            hearing.until = Some(until.max(hearing.from));
            hearing.whole = whole;
            if hearing.sound == Sound::Music {
                self.last_music = Some(hearing.clone());
            }
            self.changes.push_back(hearing);
        }
    }

    /// When the frame was heard that came so many frames ago; the newest is 1 ago.
    fn frame_time(&self, frames_ago: u64) -> Duration {
        let back = usize::try_from(frames_ago).unwrap_or(usize::MAX);
        let index = self.times.len().saturating_sub(back);
        self.times.get(index).or(self.times.back()).copied().unwrap_or_default()
    }

    /// When a place of the low band was heard.
    fn place_time(&self, place: i64) -> Duration {
        let low_frame = i64::try_from(LOW_FRAME).unwrap_or(1);
        let frame = place.div_euclid(low_frame);
        let within = u32::try_from(place.rem_euclid(low_frame)).unwrap_or(0);
        let frames = i64::try_from(self.frames).unwrap_or(i64::MAX);
        let frames_ago = u64::try_from(frames.saturating_sub(frame)).unwrap_or(0);
        let part = FRAME.saturating_mul(within) / u32::try_from(LOW_FRAME).unwrap_or(1);
        self.frame_time(frames_ago).saturating_add(part)
    }
}

/// What was heard in a recording, from all that the library knows and these tones besides: for the report of a failure.
pub fn listen_again(library: &Arc<SoundLibrary>, tones: &[Sound], frames: &[HeardFrame]) -> Vec<Hearing> {
    let everything: Vec<Sound> = library.sounds().chain(tones).chain(&[Sound::Silence]).cloned().collect();
    let Ok(mut ears) = Ears::new(library, &everything) else { return Vec::new() };
    let mut hearings: Vec<Hearing> = Vec::new();
    for frame in frames {
        ears.hear(frame);
        while let Some(change) = ears.poll_change() {
            record(&mut hearings, change);
        }
    }
    hearings.sort_by_key(|hearing| hearing.from);
    hearings
}

/// Puts a change into a list: a hearing that is known is replaced.
pub fn record(hearings: &mut Vec<Hearing>, change: Hearing) {
    match hearings.iter_mut().find(|known| known.number == change.number) {
        Some(known) => *known = change,
        None => hearings.push(change),
    }
}

#[cfg(test)]
pub mod test_sounds;
#[cfg(test)]
mod tests;
