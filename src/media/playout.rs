//! Which 20 ms of the received voice are due now, and how long a packet waits for that.
//!
//! The position moves on by one frame per tick. A packet's *margin* is the time between its arrival and the tick that plays
//! it; the smallest margin of the last seconds says how much delay the network needs, and the delay follows it:
//!
//! ```text
//!   tick k            tick k+1           tick k+2
//!     |                  |                  |                   |──margin──|
//!     |        arrived ──┼──── margin ────► played              arrival    tick that plays it
//!
//!   smallest margin   under 3 ms:    one frame of silence is played twice        (20 ms more delay)
//!                     over 27 ms:    one frame of silence is left out            (20 ms less)
//!   nothing was there in time, and then it comes:  the position steps back to it (as much more delay as it was late)
//!   packets come late, and one is missing:         it is waited for, concealed meanwhile  (20 ms more delay)
//! ```
//!
//! So nothing is inserted into or cut out of speech, but where a packet was late and its place was concealed already. The
//! same rule takes up the drift between the peer's clock and ours. With no jitter a packet waits 3 to 27 ms, of which up
//! to 20 are the distance between its arrival and the tick.
//!
//! Who makes no pause for five seconds (music, a noisy line) is shortened all the same: two frames become one where the
//! voice repeats itself ([`Playout::should_be_shortened`]).
//!
//! A telephone that sends nothing in silence may say what its silence sounds like (comfort noise, RFC 3389): from there to
//! the next voice is noise of that level, and no loss.

use std::time::{Duration, Instant};

use crate::wire::g711;
use crate::wire::g722::LevelMeter;
use crate::words::media::{Codec, FRAME, FRAME_SAMPLES, Law};

use super::jitter::{Insertion, JitterBuffer, PACKET_BYTES_MAX, PACKET_BYTES_MIN, Stretch, steps_ahead};
use super::level::{self, Thresholds};
use super::mixer::Codes;

/// Steps of the RTP clock in a millisecond (8 kHz).
const STEPS_PER_MS: i32 = 8;
const FRAME_STEPS: i32 = FRAME_SAMPLES as i32;
const FRAME_MS: i32 = FRAME.as_millis() as i32;

/// The most that is ever waited for the network, in milliseconds. What comes later than this is lost; what waits longer is
/// cut down at once.
pub const DELAY_MAX_MS: i32 = 200;

/// The margin that has to be there: what our own threads and the clocks' granularity can take of it.
const MARGIN_WANTED_MS: i32 = 3;

/// A frame is left out when this much of the margin is still there afterwards.
const MARGIN_AFTER_SHRINKING_MS: i32 = MARGIN_WANTED_MS + 4;

/// A first packet that would be played this soon waits for the tick after.
const FIRST_MARGIN_MS: i32 = 8;

/// The smallest margin is remembered for between one and two of these: 5 to 10 s.
const WINDOW_TICKS: u32 = 250;

/// With a smallest margin of so much a frame can be left out.
const TOO_MUCH_MS: i32 = FRAME_MS + MARGIN_AFTER_SHRINKING_MS;

/// Silence must last this long before a frame of it is left out: two key presses must stay apart.
const SILENCE_BEFORE_SHRINKING: u32 = 5;

/// After so many frames without a pause, 5 s, voice is shortened where it repeats itself; after twice as many anywhere.
const NO_PAUSE: u32 = 250;

/// The loudest comfort noise that is believed, in decibels under overload. What is louder is no background.
const COMFORT_NOISE_LOUDEST: u8 = 30;

/// Holes in one frame that are kept apart. With packets of 10 ms and more there are two at most; whoever sends shreds
/// gets the rest of his frame concealed.
const GAPS: usize = 4;

/// One frame of received voice, still encoded, and where it has holes.
pub struct ReceivedFrame {
    pub codes: Codes,
    /// The largest magnitude of what is there (see [`level::peak`]); 0 for nothing.
    pub peak: u8,
    gaps: [Gap; GAPS],
    gap_count: usize,
}

/// A hole in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    pub start: usize,
    pub length: usize,
    /// A packet is missing. Otherwise the peer sent none, since there was nothing to hear.
    pub lost: bool,
}

impl Default for ReceivedFrame {
    fn default() -> ReceivedFrame {
        ReceivedFrame { codes: [0; FRAME_SAMPLES], peak: 0, gaps: [Gap::default(); GAPS], gap_count: 0 }
    }
}

impl ReceivedFrame {
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.get(..self.gap_count).unwrap_or_default()
    }

    /// Nothing of the frame is there.
    fn set_empty(&mut self, lost: bool) {
        self.peak = 0;
        self.gap_count = 0;
        self.add_gap(Gap { start: 0, length: FRAME_SAMPLES, lost });
    }

    fn add_gap(&mut self, gap: Gap) {
        if let Some(place) = self.gaps.get_mut(self.gap_count) {
            *place = gap;
            self.gap_count += 1;
        } else if let Some(last) = self.gaps.last_mut() {
            last.length = FRAME_SAMPLES - last.start;
        }
    }
}

/// What became of a received packet of voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Kept,
    /// Its time had passed.
    Late,
    Duplicate,
    /// Too short or too long for voice.
    NotVoice,
}

/// One leg's jitter buffer and position.
pub struct Playout {
    buffer: JitterBuffer,
    position: Option<Position>,
    margins: Margins,
    /// Frames in a row that were silent or missing, and that were not.
    silent_frames: u32,
    voiced_frames: u32,
    noise: Option<ComfortNoise>,
    meter: LevelMeter,
    delay_ms_max: u32,
}

struct Position {
    /// Of the sample that the next tick begins with.
    next_timestamp: u32,
    /// Of the latest packet that came.
    newest_sequence: u16,
    /// Of the last packet that was played from.
    played_sequence: u16,
    /// Something was played since the position was set; before that, silence is no loss.
    playing: bool,
}

impl Position {
    /// The peer has said that he is silent from before this timestamp on, and nothing of his that is newer was played.
    fn is_silent_at(&self, timestamp: u32, noise: Option<&ComfortNoise>) -> bool {
        noise.is_some_and(|noise| {
            steps_ahead(timestamp, noise.timestamp) >= 0
                && self.played_sequence.wrapping_sub(noise.sequence) as i16 <= 0
        })
    }
}

/// What the peer's silence sounds like, as he said last.
#[derive(Debug, Clone, Copy)]
struct ComfortNoise {
    /// Where the silence began.
    timestamp: u32,
    sequence: u16,
    /// The samples are between this and its negative.
    amplitude: i16,
    random: u32,
}

impl ComfortNoise {
    fn fill(&mut self, law: Law, codes: &mut [u8]) {
        for code in codes {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (self.random >> 16) as i16;
            *code = g711::encode(law, ((i32::from(uniform) * i32::from(self.amplitude)) >> 15) as i16);
        }
    }
}

/// The smallest margin lately, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Margins {
    current: i32,
    previous: i32,
    ticks: u32,
}

impl Margins {
    const NONE: Margins = Margins { current: i32::MAX, previous: i32::MAX, ticks: 0 };

    fn smallest(&self) -> Option<i32> {
        let smallest = self.current.min(self.previous);
        (smallest != i32::MAX).then_some(smallest)
    }

    /// From a whole window at least: a decision to wait less needs evidence.
    fn smallest_proven(&self) -> Option<i32> {
        if self.previous == i32::MAX { None } else { self.smallest() }
    }

    fn shift(&mut self, by_ms: i32) {
        for margin in [&mut self.current, &mut self.previous] {
            if *margin != i32::MAX {
                *margin = margin.saturating_add(by_ms);
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks >= WINDOW_TICKS {
            *self = Margins { current: i32::MAX, previous: self.current, ticks: 0 };
        }
    }
}

impl Default for Playout {
    fn default() -> Playout {
        Playout {
            buffer: JitterBuffer::default(),
            position: None,
            margins: Margins::NONE,
            silent_frames: 0,
            voiced_frames: 0,
            noise: None,
            meter: LevelMeter::default(),
            delay_ms_max: 0,
        }
    }
}

impl Playout {
    /// Forgets the stream, as when another begins.
    pub fn reset(&mut self) {
        *self = Playout { delay_ms_max: self.delay_ms_max, ..Playout::default() };
    }

    /// The longest that any packet has waited.
    pub fn delay_ms_max(&self) -> u32 {
        self.delay_ms_max
    }

    /// The shortest that a packet has waited lately.
    pub fn delay_ms(&self) -> u32 {
        self.margins.smallest().map_or(0, |margin| u32::try_from(margin).unwrap_or(0))
    }

    /// The frame that is due next is there, or a later one.
    pub fn has_frame(&self) -> bool {
        let Some(position) = &self.position else { return false };
        self.buffer.steps_waiting(position.next_timestamp) >= FRAME_STEPS
    }

    /// Takes a packet of voice. `next_tick_at` is when the next frame is due.
    pub fn handle_packet(
        &mut self,
        received_at: Instant,
        next_tick_at: Instant,
        sequence: u16,
        timestamp: u32,
        payload: &[u8],
    ) -> Arrival {
        if !(PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&payload.len()) {
            return Arrival::NotVoice;
        }
        let Some(position) = &mut self.position else {
            self.begin_at(timestamp, sequence, milliseconds_until(next_tick_at, received_at));
            return self.keep(received_at, next_tick_at, sequence, timestamp, payload);
        };
        let is_newest = (sequence.wrapping_sub(position.newest_sequence) as i16) > 0;
        if is_newest {
            position.newest_sequence = sequence;
        }

        const DELAY_MAX_STEPS: i32 = DELAY_MAX_MS * STEPS_PER_MS;
        let ahead = steps_ahead(timestamp, position.next_timestamp);
        if ahead + payload.len() as i32 > 0 && ahead <= DELAY_MAX_STEPS {
            // In time.
        } else if is_newest && ahead < 0 && margin_ms(received_at, next_tick_at, ahead) >= 0 {
            // It came in time, and was read too late: our thread stalled. That says nothing about the network.
            return Arrival::Late;
        } else if !is_newest {
            self.margins.current = self.margins.current.min((ahead / STEPS_PER_MS).max(-DELAY_MAX_MS));
            return Arrival::Late;
        } else if (-DELAY_MAX_STEPS..0).contains(&ahead) {
            // Late, and nothing newer came: its place and all since was concealed. Go back to it, by whole frames.
            let frames = (-ahead + FRAME_STEPS - 1) / FRAME_STEPS;
            position.next_timestamp = position.next_timestamp.wrapping_sub((frames * FRAME_STEPS) as u32);
            self.margins.shift(frames * FRAME_MS);
        } else {
            // Behind or ahead by more than is ever waited for: the peer's clock jumped, or a stall has ended and all that
            // was held up comes at once. On to the newest.
            self.begin_at(timestamp, sequence, milliseconds_until(next_tick_at, received_at));
        }
        self.keep(received_at, next_tick_at, sequence, timestamp, payload)
    }

    /// Takes a packet that says what silence sounds like (RFC 3389 section 3): its level in the first octet. How the noise is
    /// coloured, which may follow, is not told apart at the level of a silent line. It is made for G.711 only.
    pub fn handle_comfort_noise(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) {
        let (Some(position), Some(&level)) = (&mut self.position, payload.first()) else { return };
        let follows = self.noise.filter(|noise| sequence == noise.sequence.wrapping_add(1));
        let is_newest = (sequence.wrapping_sub(position.newest_sequence) as i16) > 0;
        if !is_newest {
            return;
        }
        position.newest_sequence = sequence;
        let level = f32::from((level & 0x7F).max(COMFORT_NOISE_LOUDEST));
        // Of the power that is told: samples that are evenly distributed reach 1.73 times their root mean square.
        let amplitude = (32_768.0 * 1.732 * 10f32.powf(-level / 20.0)) as i16;
        let timestamp = follows.map_or(timestamp, |before| before.timestamp);
        self.noise = Some(ComfortNoise { timestamp, sequence, amplitude, random: timestamp });
    }

    /// The position begins with this packet: in the coming tick, or one later when that would be too close.
    fn begin_at(&mut self, timestamp: u32, sequence: u16, margin_ms: i32) {
        let frame_before = if margin_ms < FIRST_MARGIN_MS { FRAME_SAMPLES as u32 } else { 0 };
        self.position = Some(Position {
            next_timestamp: timestamp.wrapping_sub(frame_before),
            newest_sequence: sequence,
            played_sequence: sequence.wrapping_sub(1),
            playing: false,
        });
        self.buffer.clear();
        self.margins = Margins::NONE;
    }

    fn keep(
        &mut self,
        received_at: Instant,
        next_tick_at: Instant,
        sequence: u16,
        timestamp: u32,
        payload: &[u8],
    ) -> Arrival {
        let Some(position) = &self.position else { return Arrival::Late };
        let ahead = steps_ahead(timestamp, position.next_timestamp);
        match self.buffer.insert(sequence, timestamp, payload) {
            Insertion::Duplicate => return Arrival::Duplicate,
            Insertion::Overflow => return Arrival::Late,
            Insertion::Stored => {}
        }
        let margin = margin_ms(received_at, next_tick_at, ahead);
        self.margins.current = self.margins.current.min(margin);
        self.delay_ms_max = self.delay_ms_max.max(margin.max(0) as u32);
        Arrival::Kept
    }

    /// The frame that is due, and time moves on by one frame. `false`: nothing has been received yet.
    pub fn pull(&mut self, codec: Codec, thresholds: &Thresholds, frame: &mut ReceivedFrame) -> bool {
        if self.position.is_none() {
            return false;
        }
        self.margins.tick();

        let in_silence = self.silent_frames > 0;
        if in_silence && self.margins.smallest().is_some_and(|margin| margin < MARGIN_WANTED_MS) && self.may_grow() {
            frame.set_empty(false);
            self.margins.shift(FRAME_MS);
            return true;
        }

        let comes_late = self.margins.smallest().is_some_and(|margin| margin < 0);
        if comes_late && !in_silence && self.may_grow() && self.is_missing() {
            // It would be concealed now and thrown away when it comes. So it is waited for.
            frame.set_empty(true);
            self.margins.shift(FRAME_MS);
            return true;
        }

        self.read(codec, thresholds, frame);
        let long_silence = self.silent_frames > SILENCE_BEFORE_SHRINKING;
        if long_silence && self.margins.smallest_proven().is_some_and(|margin| margin >= TOO_MUCH_MS) {
            self.margins.shift(-FRAME_MS);
            self.read(codec, thresholds, frame);
        }
        true
    }

    /// More waits than the network needs, and the peer makes no pause in which it could be left out: the frame that was
    /// just pulled and the next should be made one. `repeats_itself`: it would hardly be heard.
    pub fn should_be_shortened(&self, repeats_itself: impl FnOnce() -> bool) -> bool {
        self.voiced_frames > NO_PAUSE
            && self.margins.smallest_proven().is_some_and(|margin| margin >= TOO_MUCH_MS)
            && self.has_frame()
            && (self.voiced_frames > 2 * NO_PAUSE || repeats_itself())
    }

    /// The next frame, within the same tick.
    pub fn pull_one_more(&mut self, codec: Codec, thresholds: &Thresholds, frame: &mut ReceivedFrame) {
        self.margins.shift(-FRAME_MS);
        self.read(codec, thresholds, frame);
    }

    /// Frames that nobody will hear pass, after a stall of the media thread.
    pub fn skip(&mut self, frames: u32) {
        if let Some(position) = &mut self.position {
            position.next_timestamp = position.next_timestamp.wrapping_add(frames.wrapping_mul(FRAME_SAMPLES as u32));
        }
    }

    /// The first sample of the frame that is due is not there, and nobody said that it need not be.
    fn is_missing(&mut self) -> bool {
        let Some(position) = &self.position else { return false };
        let none = match self.buffer.read(position.next_timestamp) {
            Stretch::Codes { .. } => false,
            Stretch::Gap { next_sequence, .. } => next_sequence != position.played_sequence.wrapping_add(1),
            Stretch::End => true,
        };
        none && !position.is_silent_at(position.next_timestamp, self.noise.as_ref())
    }

    fn may_grow(&self) -> bool {
        let Some(position) = &self.position else { return false };
        self.buffer.steps_waiting(position.next_timestamp) < (DELAY_MAX_MS - FRAME_MS) * STEPS_PER_MS
    }

    /// Reads one frame at the position, and moves it on.
    fn read(&mut self, codec: Codec, thresholds: &Thresholds, frame: &mut ReceivedFrame) {
        let Playout { position, noise, buffer, meter, .. } = self;
        let Some(position) = position else { return };
        frame.gap_count = 0;
        frame.peak = 0;
        let mut at = 0;
        while at < FRAME_SAMPLES {
            let left = FRAME_SAMPLES - at;
            let timestamp = position.next_timestamp.wrapping_add(at as u32);
            match buffer.read(timestamp) {
                Stretch::Codes { codes, sequence } => {
                    let codes = codes.get(..left).unwrap_or(codes);
                    frame.peak = frame.peak.max(peak(codec, codes, meter));
                    if let Some(out) = frame.codes.get_mut(at..at + codes.len()) {
                        out.copy_from_slice(codes);
                    }
                    position.played_sequence = sequence;
                    position.playing = true;
                    // A chunk is never empty, and never read behind its end.
                    at += codes.len().max(1);
                }
                gap @ (Stretch::Gap { .. } | Stretch::End) if position.is_silent_at(timestamp, noise.as_ref()) => {
                    let length = match gap {
                        Stretch::Gap { steps, .. } => left.min(steps as usize),
                        _ => left,
                    };
                    let codes = frame.codes.get_mut(at..at + length);
                    if let (Some(noise), Some(law), Some(codes)) = (noise.as_mut(), codec.law(), codes) {
                        position.played_sequence = noise.sequence;
                        noise.fill(law, codes);
                        frame.peak = frame.peak.max(level::peak(law, codes));
                    }
                    at += length;
                }
                Stretch::Gap { steps, next_sequence } => {
                    let length = left.min(steps as usize);
                    // Nothing was sent in between: the peer suppresses silence (RFC 3551 section 4.1).
                    let none_missing = next_sequence == position.played_sequence.wrapping_add(1);
                    frame.add_gap(Gap { start: at, length, lost: position.playing && !none_missing });
                    at += length;
                }
                Stretch::End => {
                    frame.add_gap(Gap { start: at, length: left, lost: position.playing });
                    at = FRAME_SAMPLES;
                }
            }
        }
        position.next_timestamp = position.next_timestamp.wrapping_add(FRAME_SAMPLES as u32);
        (self.silent_frames, self.voiced_frames) = if thresholds.is_quiet(frame.peak) {
            (self.silent_frames.saturating_add(1), 0)
        } else {
            (0, self.voiced_frames.saturating_add(1))
        };
    }
}

fn peak(codec: Codec, codes: &[u8], meter: &mut LevelMeter) -> u8 {
    codec.law().map_or_else(|| level::magnitude_of(meter.peak(codes)), |law| level::peak(law, codes))
}

/// The time between a packet's arrival and the tick that plays its first sample, `ahead` steps behind that of the coming
/// tick. Negative: when that tick was, the packet had not come.
fn margin_ms(received_at: Instant, next_tick_at: Instant, ahead: i32) -> i32 {
    milliseconds_until(next_tick_at, received_at).saturating_add(ahead.div_euclid(FRAME_STEPS) * FRAME_MS)
}

/// Whole milliseconds from `now` to `then`, rounded down; negative when that has passed.
fn milliseconds_until(then: Instant, now: Instant) -> i32 {
    let whole = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
    match then.checked_duration_since(now) {
        Some(left) => whole(left),
        None => -whole(now - then) - 1,
    }
}

#[cfg(test)]
#[path = "tests/playout.rs"]
mod tests;
