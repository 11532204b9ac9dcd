//! Finds known sounds in the low band. Prompts, chimes and files begin at their begin: their anchors are looked for all the
//! time, in blocks (overlap-save correlation). Music may be entered anywhere: a whole round is searched for the newest
//! stretch, now and then, while something unexplained is to be heard. What is found is followed at its place, which costs
//! next to nothing.

use std::sync::Arc;

use super::alignment::{Alignment, HINT, LowHistory, Track, TrackState};
use super::fft::Complex;
use super::library::{ANCHOR, AnchorPair, QUIET, SoundLibrary};
use super::lowband::{LOW_RATE, rms};

/// Anchors are looked for each 0.2 s.
const STEP: i64 = 400;

/// A search through the music waits this long (0.2 s) after the first one failed, then twice as long each time,
const RETRY_FIRST: i64 = 400;

/// up to 3 s: what is unexplained for long is the talk of a meeting.
const RETRY_MAX: i64 = 6_000;

/// Samples at the newest end of a block that are left to the next one, so that a find can be laid over the line closely.
const MARGIN: usize = 8;

/// A sound began, or is over. Places are low-band samples of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Began { reference: usize, at: i64 },
    Over { reference: usize, at: i64, whole: bool },
}

/// Listens for some sounds of a library.
#[derive(Debug)]
pub struct Recognizer {
    library: Arc<SoundLibrary>,
    anchors: Vec<AnchorPair>,
    /// The longest of the anchors: no block needs to begin earlier.
    longest_anchor: usize,
    searches_music: bool,
    tracks: Vec<(usize, Track)>,
    /// Up to where each reference's last anchor reached: what repeats in itself is not found twice.
    taken: Vec<(usize, i64)>,
    next_block: i64,
    next_search: i64,
    retry: i64,
    was_quiet: bool,
    block: Vec<Complex>,
    work: Vec<Complex>,
    energies: Vec<f64>,
}

impl Recognizer {
    /// `references` are indices of the library.
    pub fn new(library: Arc<SoundLibrary>, references: &[usize]) -> Recognizer {
        let reference = |index: &usize| library.reference(*index).cloned();
        let (loops, anchored): (Vec<_>, Vec<_>) =
            references.iter().copied().partition(|index| reference(index).is_some_and(|each| each.looped));
        let longest_anchor = anchored.iter().filter_map(reference).map(|each| each.anchor_len()).max().unwrap_or(0);
        Recognizer {
            anchors: library.anchor_pairs(&anchored),
            longest_anchor,
            searches_music: !loops.is_empty(),
            library,
            tracks: Vec::new(),
            taken: Vec::new(),
            next_block: STEP,
            next_search: i64::try_from(ANCHOR).unwrap_or(0),
            retry: RETRY_FIRST,
            was_quiet: true,
            block: Vec::new(),
            work: Vec::new(),
            energies: Vec::new(),
        }
    }

    /// To be called after each frame.
    pub fn listen(&mut self, history: &LowHistory, found: &mut Vec<Found>) {
        self.follow(history, found);
        while history.end() >= self.next_block {
            self.next_block = self.next_block.saturating_add(STEP);
            if !self.anchors.is_empty() {
                self.look_for_anchors(history, found);
            }
        }
        if self.searches_music {
            self.look_for_music(history, found);
        }
    }

    fn follow(&mut self, history: &LowHistory, found: &mut Vec<Found>) {
        let before = self.tracks.len();
        self.tracks.retain_mut(|(reference, track)| match track.follow(history) {
            TrackState::Going => true,
            TrackState::Over { at, whole } => {
                found.push(Found::Over { reference: *reference, at, whole });
                false
            }
        });
        if self.tracks.len() < before {
            self.search_soon(history);
        }
    }

    /// Something changed: the next 0.6 s may be music.
    fn search_soon(&mut self, history: &LowHistory) {
        self.retry = RETRY_FIRST;
        self.next_search = history.end().saturating_add(i64::try_from(ANCHOR).unwrap_or(0));
    }

    fn is_tracked(&self, reference: usize) -> bool {
        self.tracks.iter().any(|(tracked, _)| *tracked == reference)
    }

    fn look_for_anchors(&mut self, history: &LowHistory, found: &mut Vec<Found>) {
        let size = self.library.anchor_fft.size();
        // The newest block; before the call there was silence.
        let begin = history.end().saturating_sub(i64::try_from(size).unwrap_or(0));
        self.block.clear();
        for n in 0..size {
            let place = begin.saturating_add(i64::try_from(n).unwrap_or(0));
            let x = history.get(place, 1).and_then(|x| x.first()).copied().unwrap_or(0.0);
            self.block.push(Complex::real(x));
        }
        let recent = self.longest_anchor.saturating_add(2 * MARGIN).saturating_add(usize::try_from(STEP).unwrap_or(0));
        let newest = self.block.get(size.saturating_sub(recent)..).unwrap_or_default();
        if newest.iter().all(|x| x.re.abs() < QUIET) {
            return;
        }
        running_energies(&self.block, &mut self.energies);
        let mut spectrum = std::mem::take(&mut self.block);
        self.library.anchor_fft.forward(&mut spectrum);
        let mut begun: Vec<(usize, Alignment, f32)> = Vec::new();
        for pair in &self.anchors {
            let wanted = |index: &usize| !self.is_tracked(*index);
            let (first, second) = (Some(pair.first).filter(wanted), pair.second.filter(wanted));
            if first.is_none() && second.is_none() {
                continue;
            }
            self.work.clear();
            self.work.extend(spectrum.iter().zip(&pair.spectrum).map(|(x, r)| *x * *r));
            self.library.anchor_fft.inverse(&mut self.work);
            for (index, part) in [(first, real as fn(&Complex) -> f32), (second, imaginary)] {
                if let Some((index, alignment, likeness)) =
                    index.and_then(|index| self.best_anchor(history, begin, index, part))
                {
                    begun.push((index, alignment, likeness));
                }
            }
        }
        self.block = spectrum;
        // Two sounds that begin alike: the one that is more alike it is.
        begun.sort_by(|(_, _, left), (_, _, right)| right.total_cmp(left));
        let mut last_begin: Option<i64> = None;
        for (index, alignment, _) in begun {
            let Some(reference) = self.library.reference(index).cloned() else { continue };
            let at = alignment.line_place(reference.first_loud);
            if last_begin.is_some_and(|other| other.abs_diff(at) < STEP.unsigned_abs()) {
                continue;
            }
            last_begin = Some(at);
            found.push(Found::Began { reference: index, at: alignment.line_place(0).max(0) });
            let heard_to = alignment.line_place(reference.first_loud.saturating_add(reference.anchor_len()));
            self.taken.retain(|(taken, _)| *taken != index);
            self.taken.push((index, heard_to));
            self.tracks.push((index, Track::new(alignment, heard_to)));
        }
        self.follow(history, found);
    }

    /// The best place of one anchor among those that came whole with this step.
    fn best_anchor(
        &self,
        history: &LowHistory,
        begin: i64,
        index: usize,
        part: fn(&Complex) -> f32,
    ) -> Option<(usize, Alignment, f32)> {
        let reference = self.library.reference(index)?;
        let len = reference.anchor_len();
        let size = self.work.len();
        let last = size.checked_sub(len.saturating_add(MARGIN))?;
        let taken = self.taken.iter().find(|(taken, _)| *taken == index).map_or(0, |(_, to)| to.saturating_sub(begin));
        let first = last.saturating_sub(usize::try_from(STEP).unwrap_or(0)).max(usize::try_from(taken).unwrap_or(0));
        let scale = 1.0 / size as f32;
        let anchor_energy = self.library.anchor_energy(index);
        let mut best: Option<(usize, f32)> = None;
        for lag in first..last {
            let product = part(self.work.get(lag)?) * scale;
            let energy = stretch_energy(&self.energies, lag, len)?;
            if energy < QUIET * QUIET * len as f32 {
                continue;
            }
            let correlation = product / (energy * anchor_energy).sqrt().max(1.0);
            if correlation >= HINT && best.is_none_or(|(_, most)| correlation > most) {
                best = Some((lag, correlation));
            }
        }
        let near = begin.saturating_add(i64::try_from(best?.0).ok()?);
        let (alignment, likeness) = Alignment::recognize(reference, history, near, reference.first_loud, len)?;
        Some((index, alignment, likeness))
    }

    fn look_for_music(&mut self, history: &LowHistory, found: &mut Vec<Found>) {
        let anchor = i64::try_from(ANCHOR).unwrap_or(0);
        let from = history.end().saturating_sub(anchor).saturating_sub(2);
        let Some(newest) = history.get(from, ANCHOR) else { return };
        let last_tenth = newest.get(ANCHOR.saturating_sub(LOW_RATE / 10)..).unwrap_or_default();
        let is_quiet = rms(last_tenth) < QUIET;
        if is_quiet != self.was_quiet {
            self.was_quiet = is_quiet;
            self.search_soon(history);
        }
        if is_quiet || history.end() < self.next_search || !self.tracks.is_empty() {
            return;
        }
        match self.search_loops(history, from) {
            Some((index, alignment)) => {
                let at = alignment.beginning(history, from);
                found.push(Found::Began { reference: index, at });
                self.tracks.push((index, Track::new(alignment, from.saturating_add(anchor))));
            }
            None => {
                self.next_search = history.end().saturating_add(self.retry);
                self.retry = self.retry.saturating_mul(2).min(RETRY_MAX);
            }
        }
    }

    /// Looks through all of the music for the stretch of the line that begins at `from`.
    fn search_loops(&mut self, history: &LowHistory, from: i64) -> Option<(usize, Alignment)> {
        let stretch = history.get(from, ANCHOR)?;
        let stretch_energy: f32 = stretch.iter().map(|x| x * x).sum();
        let size = self.library.loop_fft.size();
        let mut spectrum: Vec<Complex> = stretch.iter().map(|x| Complex::real(*x)).collect();
        spectrum.resize(size, Complex::ZERO);
        self.library.loop_fft.forward(&mut spectrum);
        let mut best: Vec<LoopPlace> = Vec::new();
        let scale = 1.0 / (size as f32 * stretch_energy.sqrt().max(1.0));
        for pair in self.library.loops() {
            self.work.clear();
            self.work.extend(pair.spectrum.iter().zip(&spectrum).map(|(r, x)| *r * x.conjugate()));
            self.library.loop_fft.inverse(&mut self.work);
            for ((begin, weights), part) in
                pair.begins.iter().zip(&pair.weights).zip([real as fn(&Complex) -> f32, imaginary])
            {
                for (lag, (point, weight)) in self.work.iter().zip(weights).enumerate() {
                    let correlation = part(point) * weight * scale;
                    if correlation >= HINT {
                        let place = begin.saturating_add(lag);
                        keep_best(&mut best, LoopPlace { reference: pair.reference, place, correlation });
                    }
                }
            }
        }
        let closely = best.iter().filter_map(|found| {
            let reference = self.library.reference(found.reference)?;
            let (alignment, likeness) = Alignment::recognize(reference, history, from, found.place, ANCHOR)?;
            Some((found.reference, alignment, likeness))
        });
        let (index, alignment, _) = closely.max_by(|(_, _, left), (_, _, right)| left.total_cmp(right))?;
        Some((index, alignment))
    }
}

/// A place in the music that is like the line.
#[derive(Debug, Clone, Copy)]
struct LoopPlace {
    reference: usize,
    place: usize,
    correlation: f32,
}

/// Music repeats itself: so many of its places are looked at closely.
const LOOP_PLACES: usize = 6;

/// Keeps the best places, one of each neighbourhood.
fn keep_best(best: &mut Vec<LoopPlace>, found: LoopPlace) {
    let neighbour =
        |known: &&mut LoopPlace| known.reference == found.reference && known.place.abs_diff(found.place) < 8;
    if let Some(known) = best.iter_mut().find(neighbour) {
        if found.correlation > known.correlation {
            *known = found;
        }
        return;
    }
    if best.len() < LOOP_PLACES {
        best.push(found);
    } else if let Some(least) = best.iter_mut().min_by(|left, right| left.correlation.total_cmp(&right.correlation))
        && found.correlation > least.correlation
    {
        *least = found;
    }
}

fn real(x: &Complex) -> f32 {
    x.re
}

fn imaginary(x: &Complex) -> f32 {
    x.im
}

/// Energy from the block's begin up to each place.
fn running_energies(block: &[Complex], energies: &mut Vec<f64>) {
    energies.clear();
    energies.push(0.0);
    let mut sum = 0f64;
    for x in block {
        sum += f64::from(x.re) * f64::from(x.re);
        energies.push(sum);
    }
}

fn stretch_energy(energies: &[f64], from: usize, len: usize) -> Option<f32> {
    Some((energies.get(from.checked_add(len)?)? - energies.get(from)?) as f32)
}
