//! Finds DTMF tones in voice.
//!
//! ```text
//!              frame ── quiet? ──────────────────────────────────────────────► nothing (most frames)
//!                │
//!             screen: is at least 45 % of the power at one row and one column?
//!                │ yes: that pair is the candidate
//!                ▼
//!  slots of 2.5 ms  ▁▃▇██████████████▇▃▁   level, phase and share of power of the pair in each
//!                     └── 12 slots ─┘
//!                         confirm: steady, loud and pure enough, both frequencies right ──► pressed
//!                                                                                            │
//!                         10 slots below half of its level ◄── released ── key is down ◄─────┘
//! ```
//!
//! The screen is cheap and lets through what might be a key; it is the slots that decide. Length is where telephone
//! speech and DTMF differ most, and where the limits are narrow: 23 ms of tone is nothing, 40 ms is a key; a break of
//! 10 ms is none, a pause of 40 ms parts two keys. So length is measured in steps of 2.5 ms, by level. Frequency is
//! measured by how the phase moves on from slot to slot, which is exact to about 1 Hz in 30 ms where a filter bank would
//! see no nearer than 30.
//!
//! The limits are those of ITU-T Q.24 (the column of AT&T's), with some room on our side.

use crate::words::media::FRAME_SAMPLES;
use crate::words::secret::Digit;

use super::goertzel::{self, FREQUENCIES, GROUP, Phasor, SAMPLE_RATE, SLOT_HOP, SLOT_WINDOW, Slot, WINDOW_SUM};

/// Peak of a sine of 0 dBm0 on the 16-bit scale of `wire::g711`.
const PEAK_0_DBM0: f32 = 22_300.0;

/// Each tone's lowest level: −40 dBm0. Q.24 wants −25 taken and −55 refused.
const PEAK_MIN: f32 = PEAK_0_DBM0 * 0.01;

/// The mean square below which a frame can't be filled by two tones of the lowest level (a little less than theirs).
const QUIET: f32 = 0.8 * PEAK_MIN * PEAK_MIN;

/// The share of a frame's power that the candidate must have. A tone that lasts 40 ms fills one whole frame at least,
/// and has there this much even at 3 dB of signal to noise; one frame of speech in a hundred does, too.
const SCREEN_SHARE: f32 = 0.45;

/// Slots in which the tones must be there: 12 are passed by a tone of 32 ms, and never by one of 26 ms.
const CONFIRM_SLOTS: usize = 12;

/// Slots in a break inside those (12.5 ms): Q.24 has a break of 10 ms not end a digit.
const BREAK_SLOTS: usize = 5;

/// Slots without the tones that end a press: 25 ms. More than one lost packet, and less than the shortest pause (40 ms).
const RELEASE_SLOTS: usize = 10;

/// A slot has the tone when the tone's power is above this part of its full power: -6 dB. At half its level the middle
/// of a slot is at the tone's edge; and an echo 10 dB down does not fill a pause.
const SLOT_HAS_TONE: f32 = 0.25;

/// Off the nominal frequency, as a part of it: 1.5 % must be accepted, 3.5 % refused.
const DEVIATION_MAX: f32 = 0.025;

/// Power of the low tone over the high one, at most: 10 dB (8 dB must be accepted).
const NORMAL_TWIST_MAX: f32 = 10.0;

/// Power of the high tone over the low one, at most: 6 dB (4 dB must be accepted; an echo can add 2 dB).
const REVERSE_TWIST_MAX: f32 = 3.98;

/// The part of all power that two steady tones must have over the 30 ms that confirm a press. 0.91 is left at 10 dB of
/// signal to noise and 0.86 at 8 dB. In 2.5 hours of prompts in five languages the first false digit comes at 0.7.
const SHARE_MIN: f32 = 0.8;

/// What that part must be higher for each unit of squared deviation. Telephones are off by a few tenths of a percent,
/// the harmonics of a voice by anything: so who is further off must be purer. Both tones off by 1.5 % must have 0.91.
const SHARE_FOR_DEVIATION: f32 = 250.0;

/// Slots in which a tone must be there at the end of a frame for the frame to be withheld from the mix. A wrong guess
/// costs 20 ms of speech: about once in an hour of it.
const PRESENT_SLOTS: usize = 4;

/// After a press, a tone below this part of its power (-6 dB) is an echo of it or of one before, for so many frames
/// (half a second): keys of one telephone are equally loud.
const ECHO_POWER: f32 = 0.25;
const ECHO_FRAMES: u32 = 25;

/// Frames in which the screen may lose a candidate that is not yet confirmed.
const CANDIDATE_MISSES_MAX: u32 = 1;

/// The frames that are kept: the new one, the one before (a tone begins there), and one into which its windows reach.
const HISTORY: usize = 3 * FRAME_SAMPLES;

/// Finds the tones of one leg's decoded voice.
pub struct ToneDetector {
    /// The last frames, oldest first.
    history: [i16; HISTORY],
    candidate: Option<Candidate>,
    press: Option<Press>,
    /// The press before, as long as its echo can come.
    echo: Option<Echo>,
}

/// What one frame told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ToneSighting {
    /// A press not reported before: 30 to 55 ms after it began.
    pub pressed: Option<Digit>,
    /// The key that is down at the end of this frame, once it was reported.
    pub held: Option<Digit>,
    /// A tone is in this frame, be it long enough for a digit or not. True at the latest for the first frame that is
    /// all tone; the tone's first milliseconds can lie in the frame before.
    pub tone_present: bool,
}

impl Default for ToneDetector {
    fn default() -> ToneDetector {
        ToneDetector { history: [0; HISTORY], candidate: None, press: None, echo: None }
    }
}

impl ToneDetector {
    /// Takes the next 20 ms of voice, [`FRAME_SAMPLES`] samples at 8 kHz. A shorter frame is filled with silence, and
    /// what a longer one has too many is left out.
    pub fn process(&mut self, frame: &[i16]) -> ToneSighting {
        self.remember(frame);
        let was_down = self.press.is_some();
        self.follow_press();
        self.choose_candidate();
        let pressed = self.follow_candidate();
        self.forget_echo();
        ToneSighting {
            pressed,
            held: self.press.as_ref().and_then(|press| press.pair.digit()),
            tone_present: was_down || self.press.is_some() || self.candidate.as_ref().is_some_and(Candidate::is_tone),
        }
    }

    fn remember(&mut self, frame: &[i16]) {
        self.history.copy_within(FRAME_SAMPLES.., 0);
        if let Some(newest) = self.history.last_chunk_mut::<FRAME_SAMPLES>() {
            let length = frame.len().min(FRAME_SAMPLES);
            newest[..length].copy_from_slice(&frame[..length]);
            newest[length..].fill(0);
        }
    }

    /// Is the key still down?
    fn follow_press(&mut self) {
        let Some(press) = &mut self.press else { return };
        for slot in slots(&self.history, press.pair, 1) {
            if press.release(&slot) {
                self.echo = Some(Echo { power: press.low + press.high, frames_left: ECHO_FRAMES });
                self.press = None;
                return;
            }
        }
    }

    fn choose_candidate(&mut self) {
        let seen = self.history.last_chunk().and_then(screen);
        match (seen, &mut self.candidate) {
            (Some(pair), _) if self.press.as_ref().is_some_and(|press| press.pair == pair) => self.candidate = None,
            (Some(pair), Some(candidate)) if candidate.pair == pair => candidate.misses = 0,
            (Some(pair), _) => self.candidate = Some(Candidate::new(pair)),
            (None, Some(candidate)) if candidate.misses < CANDIDATE_MISSES_MAX => candidate.misses += 1,
            (None, _) => self.candidate = None,
        }
    }

    /// Has the candidate become a key?
    fn follow_candidate(&mut self) -> Option<Digit> {
        let candidate = self.candidate.as_mut()?;
        // A new candidate may have begun in the frame before.
        let frames = if candidate.is_new() { 2 } else { 1 };
        for slot in slots(&self.history, candidate.pair, frames) {
            let Some(tones) = candidate.confirm(slot) else { continue };
            if self.echo.as_ref().is_some_and(|echo| echo.is(&tones)) {
                continue;
            }
            let press = Press { pair: candidate.pair, low: tones.low.power, high: tones.high.power, slots_without: 0 };
            self.press = Some(press);
            let digit = candidate.pair.digit();
            self.candidate = None;
            return digit;
        }
        None
    }

    fn forget_echo(&mut self) {
        if let Some(echo) = &mut self.echo {
            echo.frames_left = echo.frames_left.saturating_sub(1);
            if echo.frames_left == 0 {
                self.echo = None;
            }
        }
    }
}

/// A row and a column of the keypad, as indexes of [`FREQUENCIES`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    low: usize,
    high: usize,
}

impl Pair {
    fn digit(self) -> Option<Digit> {
        const KEYPAD: [[char; GROUP]; GROUP] =
            [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
        let column = self.high.checked_sub(GROUP)?;
        KEYPAD.get(self.low)?.get(column).and_then(|&key| Digit::from_char(key))
    }
}

/// The pair that a frame might be a tone of.
fn screen(frame: &[i16; FRAME_SAMPLES]) -> Option<Pair> {
    let frame: [f32; FRAME_SAMPLES] = frame.map(f32::from);
    let mut squares = [0.0; 8]; // eight sums side by side, so that they become vectors
    for chunk in frame.chunks_exact(squares.len()) {
        for (sum, sample) in squares.iter_mut().zip(chunk) {
            *sum += sample * sample;
        }
    }
    let power = squares.iter().sum::<f32>() / FRAME_SAMPLES as f32;
    if power < QUIET {
        return None;
    }
    let powers = goertzel::frame_powers(&frame);
    let (rows, columns) = powers.split_at(GROUP);
    let ((row, low), (column, high)) = (strongest(rows)?, strongest(columns)?);
    (low + high > SCREEN_SHARE * power).then_some(Pair { low: row, high: GROUP + column })
}

fn strongest(powers: &[f32]) -> Option<(usize, f32)> {
    powers.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// The slots of a pair that end in the last one or two frames, oldest first.
fn slots(history: &[i16; HISTORY], pair: Pair, frames: usize) -> impl Iterator<Item = Slot> {
    let first = HISTORY - frames * FRAME_SAMPLES + SLOT_HOP - SLOT_WINDOW;
    let windows = history.get(first..).unwrap_or_default().windows(SLOT_WINDOW).step_by(SLOT_HOP);
    windows.filter_map(move |window| Some(goertzel::slot(window.first_chunk()?, pair.low, pair.high)))
}

/// A tone that may become a key.
struct Candidate {
    pair: Pair,
    /// The last slots, oldest first; empty ones before the first.
    slots: [Slot; CANDIDATE_SLOTS],
    slot_count: usize,
    /// Frames in a row in which the screen did not see it.
    misses: u32,
}

const CANDIDATE_SLOTS: usize = CONFIRM_SLOTS + BREAK_SLOTS;

impl Candidate {
    fn new(pair: Pair) -> Candidate {
        Candidate { pair, slots: [Slot::default(); CANDIDATE_SLOTS], slot_count: 0, misses: 0 }
    }

    fn is_new(&self) -> bool {
        self.slot_count == 0
    }

    /// Takes the next slot. `Some` when the last slots are the tones of a key.
    fn confirm(&mut self, slot: Slot) -> Option<Tones> {
        self.slots.copy_within(1.., 0);
        *self.slots.last_mut()? = slot;
        self.slot_count += 1;
        if self.slot_count < CONFIRM_SLOTS {
            return None;
        }
        let tones = self.measure(CONFIRM_SLOTS, BREAK_SLOTS)?;
        tones.are_dtmf().then_some(tones)
    }

    /// Are the last slots a tone, be it as short as it may?
    fn is_tone(&self) -> bool {
        self.measure(PRESENT_SLOTS, 0).is_some_and(|tones| tones.are_dtmf())
    }

    /// Measures the tones in the last `count` slots that have them. `None` where there are not so many, or where they
    /// don't follow each other but for a break of `break_max` slots.
    fn measure(&self, count: usize, break_max: usize) -> Option<Tones> {
        let recent = self.slots.get(CANDIDATE_SLOTS - count - break_max..)?;
        let full = |tone: fn(&Slot) -> Phasor| {
            SLOT_HAS_TONE * recent.iter().map(|slot| tone(slot).power()).fold(0.0, f32::max)
        };
        let (low_least, high_least) = (full(|slot| slot.low), full(|slot| slot.high));

        // Slots without the tones stay empty, and so drop out of all sums.
        let mut with_tones = [Slot::default(); CANDIDATE_SLOTS];
        let (mut found, mut without) = (0, 0);
        for (place, slot) in with_tones.iter_mut().zip(recent).rev() {
            if slot.low.power() > low_least && slot.high.power() > high_least {
                *place = *slot;
                found += 1;
                if found == count {
                    break;
                }
            } else {
                without += 1;
                if found == 0 || without > break_max {
                    return None;
                }
            }
        }
        (found == count).then(|| Tones::measure(&with_tones, self.pair, count))
    }
}

/// What a number of slots say of a pair of tones.
struct Tones {
    low: SteadyTone,
    high: SteadyTone,
    /// The part of all power that the two have.
    share: f32,
}

impl Tones {
    fn measure(slots: &[Slot], pair: Pair, count: usize) -> Tones {
        let low = SteadyTone::measure(slots, |slot| slot.low, FREQUENCIES[pair.low], count);
        let high = SteadyTone::measure(slots, |slot| slot.high, FREQUENCIES[pair.high], count);
        let power = slots.iter().map(|slot| slot.power).sum::<f32>() / count as f32;
        Tones { share: 2.0 * (low.power + high.power) / (WINDOW_SUM * power.max(1.0)), low, high }
    }

    fn are_dtmf(&self) -> bool {
        const POWER_MIN: f32 = PEAK_MIN * PEAK_MIN * WINDOW_SUM * WINDOW_SUM / 4.0;
        let (low, high) = (&self.low, &self.high);
        let squared_deviation = low.deviation * low.deviation + high.deviation * high.deviation;
        self.share > SHARE_MIN + SHARE_FOR_DEVIATION * squared_deviation
            && low.power > POWER_MIN
            && high.power > POWER_MIN
            && low.power < NORMAL_TWIST_MAX * high.power
            && high.power < REVERSE_TWIST_MAX * low.power
            && low.deviation.abs() < DEVIATION_MAX
            && high.deviation.abs() < DEVIATION_MAX
    }
}

/// One sine through a number of slots.
struct SteadyTone {
    /// As a slot's phasor has it; of that part only which keeps its frequency, phase and level through all the slots.
    power: f32,
    /// Off the nominal frequency, as a part of it.
    deviation: f32,
}

impl SteadyTone {
    fn measure(slots: &[Slot], tone: fn(&Slot) -> Phasor, nominal: f32, count: usize) -> SteadyTone {
        // How many turns the phase of a tone at the nominal frequency moves on from one slot to the next, and how many
        // more this one does. First from slots that are near to each other, where there is no doubt about whole turns
        // (up to ±100 Hz); then from slots far apart, where noise matters less.
        const NEAR: usize = 2;
        const FAR: usize = 8;
        let nominal_turns = (nominal * SLOT_HOP as f32 / SAMPLE_RATE).fract();
        let turns_over = |distance: usize| {
            let pairs = slots.iter().zip(slots.iter().skip(distance));
            let advance = |(from, to)| tone(to).times(tone(from).conjugate());
            pairs.map(advance).fold(Phasor::default(), Phasor::plus).turns()
        };
        let near = part_of_turn(turns_over(NEAR) - NEAR as f32 * nominal_turns) / NEAR as f32;
        let more_turns = if count > FAR {
            let far = part_of_turn(turns_over(FAR) - FAR as f32 * (nominal_turns + near));
            near + far / FAR as f32
        } else {
            near
        };

        // Turn all slots back into one phase and add them up: what isn't this one sine cancels out.
        let back = Phasor::unit(-part_of_turn(nominal_turns + more_turns));
        let (mut sum, mut turned) = (Phasor::default(), Phasor::unit(0.0));
        for slot in slots {
            sum = sum.plus(tone(slot).times(turned));
            turned = turned.times(back);
        }
        let hertz = more_turns * SAMPLE_RATE / SLOT_HOP as f32;
        let power = sum.power() / (count * count) as f32 / goertzel::slot_response(hertz);
        SteadyTone { power, deviation: hertz / nominal }
    }
}

/// An angle in turns without its whole turns, −0.5 to 0.5.
fn part_of_turn(turns: f32) -> f32 {
    turns - turns.round()
}

/// A key that is down.
struct Press {
    pair: Pair,
    /// Power of each tone, followed slowly.
    low: f32,
    high: f32,
    /// Slots in a row without it.
    slots_without: usize,
}

impl Press {
    /// Takes the next slot, and says whether the key has gone up.
    fn release(&mut self, slot: &Slot) -> bool {
        let (low, high) = (slot.low.power(), slot.high.power());
        if low > SLOT_HAS_TONE * self.low && high > SLOT_HAS_TONE * self.high {
            self.low += (low - self.low) / 16.0;
            self.high += (high - self.high) / 16.0;
            self.slots_without = 0;
        } else {
            self.slots_without += 1;
        }
        self.slots_without >= RELEASE_SLOTS
    }
}

/// What comes back of a press, when the line has an echo longer than [`RELEASE_SLOTS`].
struct Echo {
    /// Of both tones of the press together.
    power: f32,
    frames_left: u32,
}

impl Echo {
    fn is(&self, tones: &Tones) -> bool {
        tones.low.power + tones.high.power < ECHO_POWER * self.power
    }
}
