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
//! Packets of Opus tell of the packet before them, too, should that be lost. To have the next packet when one is due takes a frame
//! more of delay, so that is waited for while packets are being lost.
//!
//! A telephone that sends nothing in silence may say what its silence sounds like (comfort noise, RFC 3389): from there to
//! the next voice is noise of that level, and no loss.

use std::time::{Duration, Instant};

use crate::wire::g722::LevelMeter;
use crate::words::media::{Codec, FRAME, FRAME_SAMPLES};

use super::comfort_noise::ComfortNoise;
use super::jitter::{Insertion, JitterBuffer, Stretch, Unit, steps_ahead};
use super::level::{self, Thresholds};
use super::received_frame::{Gap, PacketPart, ReceivedFrame};

/// Time in the stream is counted in steps of 1/8000 s, which for most codecs is the RTP clock.
const STEPS_PER_MS: i32 = 8;
const STEPS_PER_SECOND: u32 = 8_000;
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

/// For so long after a packet was lost there is a frame more of delay for the next that is: 10 s.
const LOSS_REMEMBERED_TICKS: u32 = 500;

/// Packets that are no voice and are remembered: of a key that is held for 5 s.
const OTHERS_MAX: u16 = 250;

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
    codec: Codec,
    buffer: JitterBuffer,
    /// A timestamp of the peer's, and the same in steps, where his clock is another.
    same: Option<(u32, u32)>,
    position: Option<Position>,
    margins: Margins,
    /// Frames in a row that were silent or missing, and that were not.
    silent_frames: u32,
    voiced_frames: u32,
    /// Since a packet was lost.
    ticks_without_loss: u32,
    noise: Option<ComfortNoise>,
    meter: LevelMeter,
    delay_ms_max: u32,
}

struct Position {
    /// Of the sample that the next tick begins with.
    next_timestamp: u32,
    /// Of the latest packet that came.
    newest_sequence: u16,
    /// Of the last packet that was played from, and where that ends.
    played_sequence: u16,
    played_to: Option<u32>,
    /// Packets that came and are no voice (keys), of which the numbers will be missing between two that are played.
    others: u16,
    /// Something was played since the position was set; before that, silence is no loss.
    playing: bool,
}

impl Position {
    /// So many packets between the one that was played last and this one have not come. Less than nothing: it is an older one.
    fn missing_before(&self, sequence: u16) -> i16 {
        let between = sequence.wrapping_sub(self.played_sequence).wrapping_sub(1) as i16;
        if between > 0 { between.saturating_sub(self.others as i16).max(0) } else { between }
    }

    fn play(&mut self, sequence: u16) {
        let between = sequence.wrapping_sub(self.played_sequence).saturating_sub(1);
        self.others = self.others.saturating_sub(between);
        self.played_sequence = sequence;
        self.playing = true;
    }

    /// The peer has said that he is silent from before this timestamp on, and nothing of his that is newer was played.
    fn is_silent_at(&self, timestamp: u32, noise: Option<&ComfortNoise>) -> bool {
        noise.is_some_and(|noise| {
            steps_ahead(timestamp, noise.timestamp) >= 0
                && self.played_sequence.wrapping_sub(noise.sequence) as i16 <= 0
        })
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
            codec: Codec::Pcmu,
            buffer: JitterBuffer::new(Unit::Octets),
            same: None,
            position: None,
            margins: Margins::NONE,
            silent_frames: 0,
            voiced_frames: 0,
            ticks_without_loss: LOSS_REMEMBERED_TICKS,
            noise: None,
            meter: LevelMeter::default(),
            delay_ms_max: 0,
        }
    }
}

impl Playout {
    /// Forgets the stream; what comes is in this codec from now on.
    pub fn negotiate(&mut self, codec: Codec) {
        self.codec = codec;
        let unit = if codec == Codec::Opus { Unit::Packets } else { Unit::Octets };
        if unit != self.buffer.unit() {
            self.buffer = JitterBuffer::new(unit);
        }
        self.reset();
    }

    /// Forgets the stream, as when another begins.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.same = None;
        self.position = None;
        self.margins = Margins::NONE;
        (self.silent_frames, self.voiced_frames) = (0, 0);
        self.ticks_without_loss = LOSS_REMEMBERED_TICKS;
        self.noise = None;
        self.meter = LevelMeter::default();
    }

    /// A timestamp of the peer's in steps: from one to the next, since either can wrap.
    fn in_steps(&mut self, timestamp: u32) -> u32 {
        let units_per_step = (self.codec.clock_rate() / STEPS_PER_SECOND).max(1) as i32;
        if units_per_step == 1 {
            return timestamp;
        }
        let (before, steps_before) = self.same.unwrap_or((timestamp, timestamp / units_per_step as u32));
        let steps = steps_before.wrapping_add((steps_ahead(timestamp, before) / units_per_step) as u32);
        self.same = Some((timestamp, steps));
        steps
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
        let Some(steps) = self.buffer.steps_of(payload) else { return Arrival::NotVoice };
        let packet = Packet { sequence, timestamp: self.in_steps(timestamp), payload, steps };
        let timestamp = packet.timestamp;
        let Some(position) = &mut self.position else {
            self.begin_at(timestamp, sequence, milliseconds_until(next_tick_at, received_at));
            return self.keep(received_at, next_tick_at, packet);
        };
        let is_newest = (sequence.wrapping_sub(position.newest_sequence) as i16) > 0;
        if is_newest {
            position.newest_sequence = sequence;
        }

        const DELAY_MAX_STEPS: i32 = DELAY_MAX_MS * STEPS_PER_MS;
        let ahead = steps_ahead(timestamp, position.next_timestamp);
        let again = position.played_to.is_some_and(|end| steps_ahead(end, timestamp) > 0);
        if again && ahead >= -DELAY_MAX_STEPS && self.buffer.unit() == Unit::Packets {
            // It is decoded whole, even if all but its end has been played.
            return Arrival::Duplicate;
        }
        if ahead.saturating_add(steps as i32) > 0 && ahead <= DELAY_MAX_STEPS {
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
        self.keep(received_at, next_tick_at, packet)
    }

    /// Another packet of the same stream has come, which is no voice: its number is not missing.
    pub fn handle_other(&mut self, sequence: u16) {
        let Some(position) = &mut self.position else { return };
        if (sequence.wrapping_sub(position.newest_sequence) as i16) > 0 {
            position.newest_sequence = sequence;
            position.others = (position.others + 1).min(OTHERS_MAX);
        }
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
        let timestamp = follows.map_or(timestamp, |before| before.timestamp);
        self.noise = Some(ComfortNoise::new(sequence, timestamp, level));
    }

    /// The position begins with this packet: in the coming tick, or one later when that would be too close.
    fn begin_at(&mut self, timestamp: u32, sequence: u16, margin_ms: i32) {
        let frame_before = if margin_ms < FIRST_MARGIN_MS { FRAME_SAMPLES as u32 } else { 0 };
        self.position = Some(Position {
            next_timestamp: timestamp.wrapping_sub(frame_before),
            newest_sequence: sequence,
            played_sequence: sequence.wrapping_sub(1),
            played_to: None,
            others: 0,
            playing: false,
        });
        self.buffer.clear();
        self.margins = Margins::NONE;
    }

    fn keep(&mut self, received_at: Instant, next_tick_at: Instant, packet: Packet<'_>) -> Arrival {
        let Some(position) = &self.position else { return Arrival::Late };
        let Packet { sequence, timestamp, payload, steps } = packet;
        let ahead = steps_ahead(timestamp, position.next_timestamp);
        match self.buffer.insert(sequence, timestamp, payload, steps) {
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
    pub fn pull(&mut self, thresholds: &Thresholds, frame: &mut ReceivedFrame) -> bool {
        if self.position.is_none() {
            return false;
        }
        self.margins.tick();
        self.ticks_without_loss = self.ticks_without_loss.saturating_add(1);

        let in_silence = self.silent_frames > 0;
        let wanted = MARGIN_WANTED_MS + self.wait_for_next_ms();
        if in_silence && self.margins.smallest().is_some_and(|margin| margin < wanted) && self.may_grow() {
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

        self.read(thresholds, frame);
        let long_silence = self.silent_frames > SILENCE_BEFORE_SHRINKING;
        if long_silence && self.waits_too_much() {
            self.margins.shift(-FRAME_MS);
            self.read(thresholds, frame);
        }
        true
    }

    /// What the packet behind the one that is due is waited for, should this one be lost.
    fn wait_for_next_ms(&self) -> i32 {
        let helps = self.buffer.unit() == Unit::Packets && self.ticks_without_loss < LOSS_REMEMBERED_TICKS;
        if helps { FRAME_MS } else { 0 }
    }

    fn waits_too_much(&self) -> bool {
        self.margins.smallest_proven().is_some_and(|margin| margin >= TOO_MUCH_MS + self.wait_for_next_ms())
    }

    /// Whether the frame that was pulled last is quiet, where that is not seen before it is decoded.
    pub fn decoded(&mut self, quiet: bool) {
        if self.buffer.unit() == Unit::Packets {
            self.judge(quiet);
        }
    }

    fn judge(&mut self, quiet: bool) {
        (self.silent_frames, self.voiced_frames) =
            if quiet { (self.silent_frames.saturating_add(1), 0) } else { (0, self.voiced_frames.saturating_add(1)) };
    }

    /// More waits than the network needs, and the peer makes no pause in which it could be left out: the frame that was
    /// just pulled and the next should be made one. `repeats_itself`: it would hardly be heard.
    pub fn should_be_shortened(&self, repeats_itself: impl FnOnce() -> bool) -> bool {
        self.voiced_frames > NO_PAUSE
            && self.waits_too_much()
            && self.has_frame()
            && (self.voiced_frames > 2 * NO_PAUSE || repeats_itself())
    }

    /// The next frame, within the same tick.
    pub fn pull_one_more(&mut self, thresholds: &Thresholds, frame: &mut ReceivedFrame) {
        self.margins.shift(-FRAME_MS);
        self.read(thresholds, frame);
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
            Stretch::Gap { next_sequence, .. } => position.missing_before(next_sequence) != 0,
            Stretch::End => true,
        };
        none && !position.is_silent_at(position.next_timestamp, self.noise.as_ref())
    }

    fn may_grow(&self) -> bool {
        let Some(position) = &self.position else { return false };
        self.buffer.steps_waiting(position.next_timestamp) < (DELAY_MAX_MS - FRAME_MS) * STEPS_PER_MS
    }

    /// Reads one frame at the position, and moves it on.
    fn read(&mut self, thresholds: &Thresholds, frame: &mut ReceivedFrame) {
        let Playout { codec, position, noise, buffer, meter, ticks_without_loss, .. } = self;
        let Some(position) = position else { return };
        let unit = buffer.unit();
        frame.clear();
        let mut at = 0;
        while at < FRAME_SAMPLES {
            let left = FRAME_SAMPLES - at;
            let timestamp = position.next_timestamp.wrapping_add(at as u32);
            match buffer.read(timestamp) {
                Stretch::Codes { chunk, from, steps, sequence } => {
                    // A chunk is never empty, and never read behind its end.
                    let length = left.min(steps).max(1);
                    if unit == Unit::Packets {
                        frame.add_packet(PacketPart { start: at, length, from, sequence }, chunk);
                    } else {
                        let codes = chunk.get(from..from + length).unwrap_or_default();
                        frame.peak = frame.peak.max(peak(*codec, codes, meter));
                        if let Some(out) = frame.codes.get_mut(at..at + codes.len()) {
                            out.copy_from_slice(codes);
                        }
                    }
                    if position.playing && position.missing_before(sequence) > 0 {
                        *ticks_without_loss = 0;
                    }
                    position.play(sequence);
                    position.played_to = Some(timestamp.wrapping_add(steps as u32));
                    at += length;
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
                Stretch::Gap { steps, next, next_sequence } => {
                    let length = left.min(steps as usize);
                    // Nothing was sent in between: the peer suppresses silence (RFC 3551 section 4.1).
                    let lost = position.playing && position.missing_before(next_sequence) != 0;
                    frame.add_gap(Gap { start: at, length, lost });
                    if lost && unit == Unit::Packets && length == steps as usize {
                        frame.set_behind(next);
                    }
                    at += length;
                }
                Stretch::End => {
                    frame.add_gap(Gap { start: at, length: left, lost: position.playing });
                    at = FRAME_SAMPLES;
                }
            }
        }
        position.next_timestamp = position.next_timestamp.wrapping_add(FRAME_SAMPLES as u32);
        if unit == Unit::Octets {
            let quiet = thresholds.is_quiet(frame.peak);
            self.judge(quiet);
        }
    }
}

/// A packet of voice that has come.
struct Packet<'a> {
    sequence: u16,
    /// In steps.
    timestamp: u32,
    payload: &'a [u8],
    steps: u32,
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
