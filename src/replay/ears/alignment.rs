//! One sound laid over what comes from the line, at one exact place; and whether it is still the same sound.

use std::sync::Arc;

use super::library::{QUIET, Reference};
use super::lowband::LOW_FRAME;

/// How alike the line and the sound must be over the whole anchor for the sound to be recognized. Through G.711 the
/// sound itself has 0.99; two prompts by the same voice that begin with the same words have up to 0.65.
pub const RECOGNIZED: f32 = 0.8;

/// A first hint that is worth a closer look: between two samples of the low band the likeness falls to about this.
pub const HINT: f32 = 0.5;

/// How alike they must remain. Short stretches vary more, and something else may be mixed in.
const STILL_THE_SAME: f32 = 0.5;

/// So much of the sound's energy (or, where it pauses, of the time) must have come for a likeness to mean something:
/// the rest may have been lost on the way.
const KNOWN_MIN: f32 = 0.4;

/// Stretch over which likeness is measured while a sound goes on: 80 ms.
const STRETCH: usize = 4 * LOW_FRAME;

/// A sound that was unlike for so many frames on end (0.3 s) is over: a machine that stood still for a moment is no end.
const UNLIKE_FRAMES: u32 = 15;

/// A sound that slipped is looked for within so many frames (0.5 s), and by a longer stretch (0.16 s).
const SLIP_FRAMES: i64 = 25;
const SLIP_STRETCH: usize = 8 * LOW_FRAME;

/// The newest low-band samples of the line. A place is the number of samples since the call's first.
#[derive(Debug, Default)]
pub struct LowHistory {
    samples: Vec<f32>,
    /// For each sample whether it was lost on the way.
    missing: Vec<bool>,
    begin: i64,
}

impl LowHistory {
    /// Samples that are kept at least: 4 s, so that the beginning of a piece of music can be traced back.
    const KEPT: usize = 8_192;

    pub fn push(&mut self, frame: &[f32], missing: bool) {
        self.samples.extend_from_slice(frame);
        self.missing.resize(self.samples.len(), missing);
        if self.samples.len() >= 2 * Self::KEPT {
            let surplus = self.samples.len().saturating_sub(Self::KEPT);
            self.samples.drain(..surplus);
            self.missing.drain(..surplus);
            self.begin = self.begin.saturating_add(i64::try_from(surplus).unwrap_or(0));
        }
    }

    /// The place behind the newest sample.
    pub fn end(&self) -> i64 {
        self.begin.saturating_add(i64::try_from(self.samples.len()).unwrap_or(0))
    }

    /// `None` where not all of it is there.
    pub fn get(&self, from: i64, len: usize) -> Option<&[f32]> {
        let from = usize::try_from(from.checked_sub(self.begin)?).ok()?;
        self.samples.get(from..from.checked_add(len)?)
    }

    /// The same stretch, `None` for what was lost on the way.
    fn known(&self, from: i64, len: usize) -> Option<impl Iterator<Item = Option<f32>> + '_> {
        let line = self.get(from, len)?;
        let from = usize::try_from(from.checked_sub(self.begin)?).ok()?;
        let missing = self.missing.get(from..from.checked_add(len)?)?;
        Some(line.iter().zip(missing).map(|(x, missing)| (!missing).then_some(*x)))
    }
}

/// Likeness over one stretch, and whether there was anything to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Likeness {
    /// Normalized correlation, −1 to 1.
    correlation: f32,
    line_is_quiet: bool,
    sound_is_quiet: bool,
    /// Too much was lost on the way to say.
    unknown: bool,
}

/// A sound at a place of the line.
#[derive(Debug, Clone)]
pub struct Alignment {
    reference: Arc<Reference>,
    /// Place on the line where the sound's first sample lies. Before the call's begin where music was entered midway.
    origin: i64,
    /// Line samples (0 to 3) between the low band's grid and the sound's.
    phase: usize,
}

impl Alignment {
    /// Lays the sound closely over the line: its place `from_sound` at the line's place `near`, give or take two samples
    /// and at the best phase. `None` where it is not that sound.
    pub fn recognize(
        reference: &Arc<Reference>,
        history: &LowHistory,
        near: i64,
        from_sound: usize,
        len: usize,
    ) -> Option<(Alignment, f32)> {
        let from_sound = i64::try_from(from_sound).ok()?;
        let mut best: Option<(Alignment, f32)> = None;
        for shift in -2..=2 {
            for phase in 0..4 {
                let origin = near.saturating_add(shift).saturating_sub(from_sound);
                let alignment = Alignment { reference: reference.clone(), origin, phase };
                let Some(found) = alignment.likeness(history, near.saturating_add(shift), len) else { continue };
                if !found.unknown
                    && found.correlation >= RECOGNIZED
                    && best.as_ref().is_none_or(|(_, least)| found.correlation > *least)
                {
                    best = Some((alignment, found.correlation));
                }
            }
        }
        best
    }

    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// The line's place at which the sound's place lies.
    pub fn line_place(&self, sound_place: usize) -> i64 {
        self.origin.saturating_add(i64::try_from(sound_place).unwrap_or(i64::MAX))
    }

    fn likeness(&self, history: &LowHistory, from: i64, len: usize) -> Option<Likeness> {
        let line = history.known(from, len)?;
        let (mut product, mut line_energy, mut sound_energy, mut lost_energy) = (0f32, 0f32, 0f32, 0f32);
        let mut known = 0u16;
        let mut place = from.checked_sub(self.origin)?;
        for x in line {
            let r = self.reference.at(place, self.phase);
            match x {
                Some(x) => {
                    product += x * r;
                    line_energy += x * x;
                    sound_energy += r * r;
                    known = known.saturating_add(1);
                }
                None => lost_energy += r * r,
            }
            place = place.saturating_add(1);
        }
        let known = f32::from(known);
        let quiet = QUIET * QUIET * known;
        Some(Likeness {
            correlation: product / (line_energy * sound_energy).sqrt().max(1.0),
            line_is_quiet: line_energy < quiet,
            sound_is_quiet: sound_energy < quiet,
            unknown: known < KNOWN_MIN * len as f32 || sound_energy < KNOWN_MIN * (sound_energy + lost_energy),
        })
    }

    /// The same sound some frames earlier or later, where the line up to `place` is that: a jitter buffer makes its delay
    /// shorter or longer in a pause.
    fn slipped(&self, history: &LowHistory, place: i64) -> Option<Alignment> {
        let frame = i64::try_from(LOW_FRAME).unwrap_or(1);
        let from = place.saturating_sub(i64::try_from(SLIP_STRETCH).unwrap_or(0));
        let shifts = (-SLIP_FRAMES..=SLIP_FRAMES).filter(|frames| *frames != 0);
        let candidates = shifts.filter_map(|frames| {
            let origin = self.origin.saturating_add(frames.saturating_mul(frame));
            let slipped = Alignment { origin, ..self.clone() };
            let found = slipped.likeness(history, from, SLIP_STRETCH)?;
            (!found.unknown && !found.line_is_quiet && found.correlation >= RECOGNIZED)
                .then_some((slipped, found.correlation))
        });
        candidates.max_by(|(_, left), (_, right)| left.total_cmp(right)).map(|(slipped, _)| slipped)
    }

    /// How far back the same sound goes, frame by frame from `place`: for music that was entered midway.
    pub fn beginning(&self, history: &LowHistory, place: i64) -> i64 {
        let step = i64::try_from(LOW_FRAME).unwrap_or(1);
        let (mut beginning, mut looked_at, mut unlike_frames) = (place, place, 0u32);
        while unlike_frames < UNLIKE_FRAMES {
            looked_at = looked_at.saturating_sub(step);
            let Some(found) = self.likeness(history, looked_at, STRETCH) else { break };
            if !found.line_is_quiet && found.correlation >= STILL_THE_SAME {
                beginning = looked_at;
                unlike_frames = 0;
            } else {
                unlike_frames = unlike_frames.saturating_add(1);
            }
        }
        beginning
    }
}

/// A sound that is being heard.
#[derive(Debug)]
pub struct Track {
    alignment: Alignment,
    /// The line up to here was compared.
    compared: i64,
    last_alike: i64,
    unlike_frames: u32,
}

/// What became of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackState {
    Going,
    /// Over at this place of the line, having been heard to its end or not.
    Over {
        at: i64,
        whole: bool,
    },
}

impl Track {
    /// `heard_to` is the line's place up to which it was recognized.
    pub fn new(alignment: Alignment, heard_to: i64) -> Track {
        Track { alignment, compared: heard_to, last_alike: heard_to, unlike_frames: 0 }
    }

    /// Where on the line the sound ends; a loop never does.
    fn end(&self) -> Option<i64> {
        let reference = self.alignment.reference();
        (!reference.looped).then(|| self.alignment.line_place(reference.last_loud))
    }

    /// Compares everything that has come since.
    pub fn follow(&mut self, history: &LowHistory) -> TrackState {
        let step = i64::try_from(LOW_FRAME).unwrap_or(1);
        let stretch = i64::try_from(STRETCH).unwrap_or(1);
        let mut end = self.end();
        loop {
            if let Some(end) = end
                && self.compared >= end
            {
                let whole = self.unlike_frames == 0;
                return TrackState::Over { at: if whole { end } else { self.last_alike }, whole };
            }
            let next = self.compared.saturating_add(step);
            if next > history.end() {
                return TrackState::Going;
            }
            self.compared = next;
            let Some(found) = self.alignment.likeness(history, next.saturating_sub(stretch), STRETCH) else { continue };
            if found.unknown {
                continue;
            }
            let both_pause = found.line_is_quiet && found.sound_is_quiet;
            if both_pause || (!found.line_is_quiet && found.correlation >= STILL_THE_SAME) {
                self.last_alike = next;
                self.unlike_frames = 0;
            } else {
                self.unlike_frames = self.unlike_frames.saturating_add(1);
                if let Some(slipped) = self.alignment.slipped(history, next) {
                    self.alignment = slipped;
                    self.last_alike = next;
                    self.unlike_frames = 0;
                    end = self.end();
                    continue;
                }
                if self.unlike_frames >= UNLIKE_FRAMES {
                    // The stretch reaches back: what made it unlike began up to a stretch before.
                    return TrackState::Over { at: self.last_alike, whole: false };
                }
            }
        }
    }
}
