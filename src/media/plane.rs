//! Every leg and meeting of one media thread.
//!
//! ```text
//!   each 20 ms:  what was received since   handle_rtp, handle_rtcp
//!                tick:  1. every leg listens: jitter buffer, keys, and who speaks asks for the floor of his meeting;
//!                          who is in none speaks, too: one packet
//!                       2. every meeting gives its floor, and the voices of those who have it are summed
//!                       3. who is in a meeting speaks
//!
//!                       in the order of the slots, so that a leg more or less changes nobody's timing
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use crate::wire::rtcp::REPORT_BYTES_MAX;
use crate::words::ids::{CallKey, MeetingKey};
use crate::words::media::{Codec, DigitMethod, FRAME, FRAME_SAMPLES, WIDE_FRAME_SAMPLES};
use crate::words::prompt::Chime;

use super::floor::Floor;
use super::leg::Leg;
use super::mixer::{LastSample, Mixer};
use super::received_frame::ReceivedFrame;
use super::sender::PACKET_BYTES_MAX;
use super::{Background, PlaneCommand, PlaneEvent, Sounds};

/// Events that wait for control. Digits beyond it are dropped: who floods keys loses keys. What control must know to keep
/// its books comes once per command or leg, and is never dropped.
const EVENTS_MAX: usize = 4_096;

/// Chimes that sound in one meeting at once. More at the same time say nothing more.
const CHIMES_MAX: usize = 2;

/// Which of a leg's two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Rtp,
    Rtcp,
}

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaneSettings {
    /// Without a packet for this long, although the peer should send, [`PlaneEvent::MediaSilent`] is told.
    pub media_silent_after: Duration,
    /// So many of those who speak at once in a meeting are heard: the loudest. [`TALKERS_MAX`](super::floor::TALKERS_MAX)
    /// at most.
    pub talkers: usize,
}

impl Default for PlaneSettings {
    fn default() -> PlaneSettings {
        PlaneSettings { media_silent_after: Duration::from_secs(30), talkers: 4 }
    }
}

/// All legs and meetings of one media thread.
pub struct Plane {
    sounds: Arc<Sounds>,
    silent_after_frames: u32,
    talkers: usize,
    random: StdRng,
    /// The clock of sender reports counts from here.
    epoch: Instant,
    next_tick_at: Instant,
    slots: Vec<Option<Seat>>,
    free_slots: Vec<usize>,
    slots_by_call: HashMap<CallKey, usize>,
    meetings: Vec<Option<Meeting>>,
    meetings_by_key: HashMap<MeetingKey, usize>,
    events: VecDeque<PlaneEvent>,
    events_dropped: u64,
    /// Legs, in the tick that goes on.
    closed: usize,
    // Scratch space.
    frame: ReceivedFrame,
    packet: [u8; PACKET_BYTES_MAX],
    report: [u8; REPORT_BYTES_MAX],
}

struct Seat {
    leg: Box<Leg>,
    /// Where the meeting is that is the leg's background.
    meeting: Option<usize>,
    closing: bool,
}

struct Meeting {
    key: MeetingKey,
    members: usize,
    floor: Floor,
    mixer: Mixer,
    chimes: [Option<(Chime, usize)>; CHIMES_MAX],
}

impl Plane {
    /// `now`: the first tick is due one frame later.
    pub fn new(now: Instant, sounds: Arc<Sounds>, settings: PlaneSettings, random: StdRng) -> Plane {
        let silent_after = settings.media_silent_after.as_millis() / FRAME.as_millis();
        Plane {
            sounds,
            silent_after_frames: u32::try_from(silent_after).unwrap_or(u32::MAX).max(1),
            talkers: settings.talkers,
            random,
            epoch: now,
            next_tick_at: now + FRAME,
            slots: Vec::new(),
            free_slots: Vec::new(),
            slots_by_call: HashMap::new(),
            meetings: Vec::new(),
            meetings_by_key: HashMap::new(),
            events: VecDeque::with_capacity(EVENTS_MAX),
            events_dropped: 0,
            closed: 0,
            frame: ReceivedFrame::default(),
            packet: [0; PACKET_BYTES_MAX],
            report: [0; REPORT_BYTES_MAX],
        }
    }

    pub fn handle_command(&mut self, now: Instant, command: PlaneCommand) {
        match command {
            PlaneCommand::Open { call } => self.open(call),
            PlaneCommand::Admit { meeting, calls } => {
                for call in calls {
                    let background = Background::Meeting(meeting);
                    self.handle_call_command(now, call, PlaneCommand::Background { call, background });
                }
            }
            PlaneCommand::Chime { meeting, chime } => self.chime(meeting, chime),
            PlaneCommand::Negotiate { call, .. }
            | PlaneCommand::Background { call, .. }
            | PlaneCommand::Play { call, .. }
            | PlaneCommand::StopPlayback { call }
            | PlaneCommand::InfoDigit { call, .. }
            | PlaneCommand::Mute { call, .. }
            | PlaneCommand::Close { call } => self.handle_call_command(now, call, command),
            PlaneCommand::Survey => self.survey(),
            // Which thread a leg lives on is not the plane's business.
            PlaneCommand::Gather { .. } => {}
        }
    }

    fn handle_call_command(&mut self, now: Instant, call: CallKey, command: PlaneCommand) {
        let Some(slot) = self.slot_of(call) else { return };
        let Some(seat) = self.slots.get_mut(slot).and_then(Option::as_mut).filter(|seat| !seat.closing) else { return };
        match command {
            PlaneCommand::Negotiate { media, signalled_from, .. } => {
                seat.leg.negotiate(now, *media, signalled_from, &mut self.random);
                self.make_codecs(slot);
            }
            PlaneCommand::Play { playback, prompts, .. } => seat.leg.play(playback, prompts),
            PlaneCommand::StopPlayback { .. } => seat.leg.stop_playback(),
            PlaneCommand::Mute { muted, .. } => seat.leg.mute(muted),
            PlaneCommand::Background { background, .. } => {
                seat.leg.set_background(background);
                self.join_background(slot);
            }
            PlaneCommand::InfoDigit { digit, .. } => {
                if let Some(digit) = seat.leg.handle_info_digit(now, digit) {
                    self.tell(PlaneEvent::Digit { call, digit, method: DigitMethod::Info });
                }
            }
            PlaneCommand::Close { .. } => {
                seat.closing = true;
                seat.leg.set_background(Background::Silence);
                self.join_background(slot);
            }
            PlaneCommand::Open { .. }
            | PlaneCommand::Gather { .. }
            | PlaneCommand::Admit { .. }
            | PlaneCommand::Chime { .. }
            | PlaneCommand::Survey => {}
        }
    }

    fn survey(&mut self) {
        let legs = self.slots.iter_mut().flatten().filter(|seat| !seat.closing).map(|seat| seat.leg.survey()).collect();
        self.events.push_back(PlaneEvent::Survey { legs });
    }

    // Legs that come and go.

    fn open(&mut self, call: CallKey) {
        if !self.slots_by_call.contains_key(&call) {
            let leg = Box::new(Leg::new(call, &mut self.random));
            self.seat(leg);
        }
    }

    fn seat(&mut self, leg: Box<Leg>) -> usize {
        let call = leg.call();
        let seat = Seat { leg, meeting: None, closing: false };
        let slot = match self.free_slots.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(seat);
        }
        self.slots_by_call.insert(call, slot);
        slot
    }

    /// Where the call's leg is: the number that `handle_rtp`, `handle_rtcp` and `tick` speak of. It is given to another
    /// leg after this one has closed or moved.
    pub fn slot_of(&self, call: CallKey) -> Option<usize> {
        self.slots_by_call.get(&call).copied()
    }

    pub fn has_leg(&self, slot: usize) -> bool {
        matches!(self.slots.get(slot), Some(Some(_)))
    }

    /// Takes a leg out, for another plane. `None`: it isn't here, or it is closing (and will be told of as closed here).
    pub fn take_leg(&mut self, call: CallKey) -> Option<Box<Leg>> {
        let slot = self.slot_of(call)?;
        let seat = self.slots.get_mut(slot)?;
        if seat.as_ref().is_none_or(|seat| seat.closing) {
            return None;
        }
        let Seat { leg, meeting, .. } = seat.take()?;
        self.leave(meeting);
        self.slots_by_call.remove(&call);
        self.free_slots.push(slot);
        Some(leg)
    }

    /// Takes a leg in, and into the meeting that is its background. Returns its slot.
    pub fn insert_leg(&mut self, leg: Box<Leg>) -> usize {
        let slot = self.seat(leg);
        self.join_background(slot);
        slot
    }

    /// Makes the leg a member of the meeting that is its background, and of no other.
    fn join_background(&mut self, slot: usize) {
        let Some(seat) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let left = seat.meeting.take();
        let background = seat.leg.background();
        if let Background::Meeting(key) = background {
            let index = match self.meetings_by_key.get(&key) {
                Some(&index) => index,
                None => self.add_meeting(key),
            };
            let seat = self.slots.get_mut(slot).and_then(Option::as_mut);
            if let (Some(Some(meeting)), Some(seat)) = (self.meetings.get_mut(index), seat) {
                meeting.members += 1;
                seat.meeting = Some(index);
            }
        }
        self.leave(left);
        self.make_codecs(slot);
    }

    /// Sees to it that the meeting has what it needs for the leg's codec.
    fn make_codecs(&mut self, slot: usize) {
        let Some(Seat { leg, meeting, .. }) = self.slots.get(slot).and_then(Option::as_ref) else { return };
        let meeting = meeting.and_then(|index| self.meetings.get_mut(index)).and_then(Option::as_mut);
        if let (Some(meeting), Some(Codec::Opus)) = (meeting, leg.codec()) {
            meeting.mixer.make_opus();
        }
    }

    fn add_meeting(&mut self, key: MeetingKey) -> usize {
        let floor = Floor::new(self.talkers);
        let meeting = Meeting { key, members: 0, floor, mixer: Mixer::default(), chimes: [None; CHIMES_MAX] };
        let index = match self.meetings.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.meetings.push(None);
                self.meetings.len() - 1
            }
        };
        if let Some(place) = self.meetings.get_mut(index) {
            *place = Some(meeting);
        }
        self.meetings_by_key.insert(key, index);
        index
    }

    fn leave(&mut self, meeting: Option<usize>) {
        let Some(place) = meeting.and_then(|index| self.meetings.get_mut(index)) else { return };
        let Some(meeting) = place else { return };
        meeting.members = meeting.members.saturating_sub(1);
        if meeting.members == 0 {
            self.meetings_by_key.remove(&meeting.key);
            *place = None;
        }
    }

    fn chime(&mut self, meeting: MeetingKey, chime: Chime) {
        let meeting = self.meetings_by_key.get(&meeting).and_then(|&index| self.meetings.get_mut(index));
        let Some(Some(meeting)) = meeting else { return };
        // Several who come in the same tick are one chime.
        if meeting.chimes.contains(&Some((chime, 0))) {
            return;
        }
        if let Some(free) = meeting.chimes.iter_mut().find(|place| place.is_none()) {
            *free = Some((chime, 0));
        }
    }

    // Datagrams.

    /// The source that the leg listens to, once no other can take its place: its socket may be connected to it.
    pub fn settled_source(&self, slot: usize) -> Option<SocketAddr> {
        self.slots.get(slot)?.as_ref()?.leg.settled_source(self.next_tick_at)
    }

    /// Takes a datagram that came on the leg's RTP port. `true`: the leg has nothing for the coming tick yet, and what
    /// else waits in its socket should be read before it.
    pub fn handle_rtp(&mut self, slot: usize, source: SocketAddr, received_at: Instant, datagram: &[u8]) -> bool {
        let Some(Some(seat)) = self.slots.get_mut(slot) else { return false };
        let call = seat.leg.call();
        let received = seat.leg.handle_rtp(source, received_at, self.next_tick_at, datagram);
        if seat.closing {
            return false;
        }
        let hungry = seat.leg.is_hungry();
        if let Some((source, as_agreed)) = received.bound {
            self.tell(PlaneEvent::SourceBound { call, source, as_agreed });
        }
        if let Some(digit) = received.digit {
            self.tell(PlaneEvent::Digit { call, digit, method: DigitMethod::Event });
        }
        hungry
    }

    pub fn handle_rtcp(&mut self, slot: usize, source: SocketAddr, received_at: Instant, datagram: &[u8]) {
        if let Some(Some(seat)) = self.slots.get_mut(slot) {
            seat.leg.handle_rtcp(source, received_at, datagram);
        }
    }

    // Time.

    /// When the next tick is due.
    pub fn next_tick_at(&self) -> Instant {
        self.next_tick_at
    }

    /// One frame for every leg, due at [`Plane::next_tick_at`]. `out` sends: slot, stream, destination, datagram. Returns
    /// how many legs were closed in it.
    pub fn tick(&mut self, out: &mut impl FnMut(usize, Stream, SocketAddr, &[u8])) -> usize {
        for slot in 0..self.slots.len() {
            self.take_turn(slot, out);
        }
        self.finish_tick(out)
    }

    /// What of the coming tick one leg can do by itself: it listens; and who is in no meeting speaks. [`Plane::tick`] in parts,
    /// for who brings each leg what came for it just before: then all of a leg is looked at once, and is in the processor's
    /// cache meanwhile. Once for each slot, in their order, and then [`Plane::finish_tick`].
    pub fn take_turn(&mut self, slot: usize, out: &mut impl FnMut(usize, Stream, SocketAddr, &[u8])) {
        self.listen(slot);
        if self.slots.get(slot).and_then(Option::as_ref).is_some_and(|seat| seat.meeting.is_none()) {
            self.speak(slot, out);
        }
    }

    /// The meetings are mixed, and who is in one speaks. Returns how many legs were closed in this tick.
    pub fn finish_tick(&mut self, out: &mut impl FnMut(usize, Stream, SocketAddr, &[u8])) -> usize {
        self.mix();
        for slot in 0..self.slots.len() {
            if self.slots.get(slot).and_then(Option::as_ref).is_some_and(|seat| seat.meeting.is_some()) {
                self.speak(slot, out);
            }
        }
        for meeting in self.meetings.iter_mut().flatten() {
            meeting.mixer.clear();
        }
        self.next_tick_at += FRAME;
        std::mem::take(&mut self.closed)
    }

    /// After a stall: this many ticks are left out. Nothing is sent for them; what was received for them is not heard.
    pub fn skip(&mut self, ticks: u32) {
        self.next_tick_at += FRAME * ticks;
        for seat in self.slots.iter_mut().flatten() {
            seat.leg.skip(ticks);
        }
    }

    fn listen(&mut self, slot: usize) {
        let now = self.next_tick_at;
        let Some(Some(seat)) = self.slots.get_mut(slot) else { return };
        let pressed = seat.leg.listen(now, &mut self.frame);
        let meeting = seat.meeting.and_then(|index| self.meetings.get_mut(index)).and_then(Option::as_mut);
        let (asks, turned) = seat.leg.asks_for_the_floor(meeting.is_some());
        if let Some(meeting) = meeting {
            if let Some(level) = asks {
                meeting.floor.ask(slot, level);
            }
            if seat.leg.codec().is_some_and(Codec::is_wide) {
                meeting.mixer.widen();
            }
        }
        let call = seat.leg.call();
        let silent = seat.leg.frames_without_packet() == self.silent_after_frames;
        if seat.closing {
            return;
        }
        if let Some(digit) = pressed {
            self.tell(PlaneEvent::Digit { call, digit, method: DigitMethod::InBand });
        }
        if let Some(talking) = turned {
            self.tell(PlaneEvent::Talking { call, talking });
        }
        if silent {
            self.tell(PlaneEvent::MediaSilent { call });
        }
    }

    fn mix(&mut self) {
        let Plane { meetings, slots, sounds, .. } = self;
        for meeting in meetings.iter_mut().flatten() {
            let Meeting { floor, mixer, chimes, .. } = meeting;
            floor.settle(mixer);
            floor.for_each(|slot| {
                let seat = slots.get_mut(slot).and_then(Option::as_mut);
                seat.map_or_else(LastSample::default, |seat| seat.leg.put_into(mixer))
            });
            for place in chimes {
                if let Some((chime, cursor)) = *place {
                    let mut samples = [0; FRAME_SAMPLES];
                    let next = sounds.chime_frame(chime, cursor, &mut samples);
                    mixer.add(&samples);
                    if mixer.is_wide() {
                        let mut samples = [0; WIDE_FRAME_SAMPLES];
                        sounds.wide_chime_frame(chime, cursor, &mut samples);
                        mixer.add_wide(&samples);
                    }
                    *place = next.map(|cursor| (chime, cursor));
                }
            }
            mixer.finish();
        }
    }

    fn speak(&mut self, slot: usize, out: &mut impl FnMut(usize, Stream, SocketAddr, &[u8])) {
        let now = self.next_tick_at;
        let clock = now.saturating_duration_since(self.epoch);
        let Plane { slots, meetings, sounds, random, events, packet, report, .. } = self;
        let Some(place) = slots.get_mut(slot) else { return };
        let Some(Seat { leg, meeting, closing }) = place else { return };
        let call = leg.call();
        if *closing {
            if let Some((length, destination)) = leg.farewell(now, clock, report) {
                out(slot, Stream::Rtcp, destination, report.get(..length).unwrap_or_default());
            }
            let statistics = leg.statistics();
            *place = None;
            self.slots_by_call.remove(&call);
            self.free_slots.push(slot);
            events.push_back(PlaneEvent::Closed { call, statistics });
            self.closed += 1;
            return;
        }
        let meeting = meeting.and_then(|index| meetings.get_mut(index)).and_then(Option::as_mut);
        let (sent, finished) = leg.speak(sounds, meeting.map(|meeting| &mut meeting.mixer), packet);
        if let Some((length, destination)) = sent {
            out(slot, Stream::Rtp, destination, packet.get(..length).unwrap_or_default());
        }
        if let Some((length, destination)) = leg.report(now, clock, random, report) {
            out(slot, Stream::Rtcp, destination, report.get(..length).unwrap_or_default());
        }
        if let Some(playback) = finished {
            events.push_back(PlaneEvent::PlaybackFinished { call, playback });
        }
    }

    // What control is told.

    pub fn poll_event(&mut self) -> Option<PlaneEvent> {
        self.events.pop_front()
    }

    /// Events that were dropped because control did not take them.
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    pub fn legs(&self) -> usize {
        self.slots.len() - self.free_slots.len()
    }

    fn tell(&mut self, event: PlaneEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.events_dropped += 1;
        }
    }
}

#[cfg(test)]
#[path = "tests/plane.rs"]
mod tests;
