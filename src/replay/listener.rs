//! What a caller receives: RTP packets become one unbroken line of 20 ms frames. A packet's place is its timestamp, so that
//! jitter and reordering leave no trace; what is missing is silence, and is known to be missing. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::wire::rtp::RtpPacket;
use crate::words::media::{Codec, FRAME, FRAME_SAMPLES};

use super::coding::VoiceDecoder;

/// A packet that is missing is waited for this long.
const PATIENCE: Duration = Duration::from_millis(60);

/// A jump of the timestamp larger than this (1 s) is a new beginning, not a gap.
const GAP_MAX: i32 = 8_000;

/// When nothing comes for this long, silence goes on by the clock. (Some lost packets in a row are no silence.)
const SILENCE_AFTER: Duration = Duration::from_millis(200);

/// Packets held until a missing one comes.
const HELD_MAX: usize = 16;

/// One frame of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardFrame {
    /// When it was heard.
    pub at: Duration,
    pub samples: [i16; FRAME_SAMPLES],
    /// All of it was lost on the way: what was sent is not known. (Nothing sent is not this: that is silence.)
    pub missing: bool,
}

/// What came in, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineMeasures {
    pub packets: u64,
    /// Never came, by the sequence numbers.
    pub lost: u64,
    /// Came twice, or after their time.
    pub late: u64,
    /// Of a payload type that was not agreed on, or no RTP at all.
    pub strange: u64,
    /// The longest time between two packets.
    pub largest_gap: Duration,
}

/// A packet before its turn.
#[derive(Debug)]
struct HeldPacket {
    came_at: Duration,
    codec: Codec,
    payload: Box<[u8]>,
}

/// One caller's side of what comes in.
#[derive(Debug)]
pub struct Listener {
    codec: Codec,
    payload_type: u8,
    ssrc: Option<u32>,
    /// The timestamp that the line has reached.
    next: Option<u32>,
    held: BTreeMap<u32, HeldPacket>,
    decoder: VoiceDecoder,
    /// Samples that are no whole frame yet.
    rest: Vec<i16>,
    /// How many of the last samples of `rest` stand for lost ones.
    rest_missing: usize,
    frames: Vec<HeardFrame>,
    began_at: Option<Duration>,
    /// When the last frame was heard.
    heard_to: Option<Duration>,
    last_arrival: Option<Duration>,
    highest_sequence: Option<u16>,
    expected: u64,
    accepted: u64,
    measures: LineMeasures,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener::new()
    }
}

impl Listener {
    pub fn new() -> Listener {
        Listener {
            codec: Codec::Pcmu,
            payload_type: Codec::Pcmu.payload_type(),
            ssrc: None,
            next: None,
            held: BTreeMap::new(),
            decoder: VoiceDecoder::default(),
            rest: Vec::new(),
            rest_missing: 0,
            frames: Vec::new(),
            began_at: None,
            heard_to: None,
            last_arrival: None,
            highest_sequence: None,
            expected: 0,
            accepted: 0,
            measures: LineMeasures::default(),
        }
    }

    /// What to expect. Frames begin with the first call of this.
    pub fn negotiate(&mut self, now: Duration, codec: Codec, payload_type: u8) {
        (self.codec, self.payload_type) = (codec, payload_type);
        self.begin(now);
    }

    fn begin(&mut self, now: Duration) {
        self.began_at.get_or_insert(now);
        self.heard_to.get_or_insert(now);
    }

    pub fn handle_packet(&mut self, now: Duration, datagram: &[u8]) {
        let Ok(rtp) = RtpPacket::parse(datagram) else {
            self.measures.strange = self.measures.strange.saturating_add(1);
            return;
        };
        let Some(codec) = self.codec_of(rtp.payload_type) else {
            self.measures.strange = self.measures.strange.saturating_add(1);
            return;
        };
        if let Some(last) = self.last_arrival {
            self.measures.largest_gap = self.measures.largest_gap.max(now.saturating_sub(last));
        }
        self.last_arrival = Some(now);
        self.begin(now);
        self.measures.packets = self.measures.packets.saturating_add(1);
        if self.ssrc != Some(rtp.ssrc) {
            self.ssrc = Some(rtp.ssrc);
            self.begin_anew(now);
            self.highest_sequence = None;
        }
        self.count(rtp.sequence);
        let ahead = self.next.map_or(0, |next| rtp.timestamp.wrapping_sub(next) as i32);
        if ahead < 0 && ahead > -GAP_MAX {
            self.measures.late = self.measures.late.saturating_add(1);
            return;
        }
        if !(0..=GAP_MAX).contains(&ahead) {
            self.begin_anew(now);
        }
        self.next.get_or_insert(rtp.timestamp);
        let packet = HeldPacket { came_at: now, codec, payload: rtp.payload.into() };
        if self.held.insert(rtp.timestamp, packet).is_some() {
            self.measures.late = self.measures.late.saturating_add(1);
        }
        self.advance(now);
    }

    /// To be called each 20 ms: gives up on what is missing, and fills in silence when nothing comes.
    pub fn handle_tick(&mut self, now: Duration) {
        self.advance(now);
        let (Some(mut heard_to), Some(last)) = (self.heard_to, self.last_arrival.or(self.began_at)) else { return };
        if !self.held.is_empty() || now < last.saturating_add(SILENCE_AFTER) {
            return;
        }
        // What comes next has its own beginning.
        self.next = None;
        while heard_to.saturating_add(FRAME) <= now {
            let mut frame = [0; FRAME_SAMPLES];
            frame.iter_mut().zip(self.rest.drain(..)).for_each(|(to, from)| *to = from);
            self.frames.push(HeardFrame { at: heard_to, samples: frame, missing: false });
            heard_to = heard_to.saturating_add(FRAME);
        }
        self.heard_to = Some(heard_to);
    }

    /// The frames since the last call.
    pub fn take_frames(&mut self) -> Vec<HeardFrame> {
        std::mem::take(&mut self.frames)
    }

    pub fn measures(&self) -> LineMeasures {
        LineMeasures { lost: self.expected.saturating_sub(self.accepted), ..self.measures }
    }

    fn codec_of(&self, payload_type: u8) -> Option<Codec> {
        if payload_type == self.payload_type {
            return Some(self.codec);
        }
        // Another one may be sent at any time as well: all were offered.
        Codec::PREFERRED.into_iter().find(|codec| codec.payload_type() == payload_type)
    }

    fn count(&mut self, sequence: u16) {
        match self.highest_sequence {
            None => {
                self.highest_sequence = Some(sequence);
                self.expected = self.expected.saturating_add(1);
            }
            Some(highest) => {
                let ahead = sequence.wrapping_sub(highest) as i16;
                if ahead > 0 {
                    self.highest_sequence = Some(sequence);
                    self.expected = self.expected.saturating_add(u64::from(ahead.unsigned_abs()));
                }
            }
        }
        self.accepted = self.accepted.saturating_add(1);
    }

    fn begin_anew(&mut self, now: Duration) {
        self.flush(now);
        self.next = None;
    }

    /// Everything that is held, with silence between.
    fn flush(&mut self, now: Duration) {
        while !self.held.is_empty() {
            self.fill_gap(now);
            self.take_in_order(now);
        }
    }

    fn advance(&mut self, now: Duration) {
        self.take_in_order(now);
        let waited_enough =
            |held: &BTreeMap<u32, HeldPacket>| held.values().any(|packet| packet.came_at + PATIENCE <= now);
        while !self.held.is_empty() && (waited_enough(&self.held) || self.held.len() > HELD_MAX) {
            self.fill_gap(now);
            self.take_in_order(now);
        }
    }

    /// The held packet that is nearest ahead. The map's own order fails where timestamps wrap.
    fn nearest(&self) -> Option<(u32, u32)> {
        let next = self.next?;
        self.held.keys().map(|timestamp| (timestamp.wrapping_sub(next), *timestamp)).min()
    }

    fn take_in_order(&mut self, now: Duration) {
        while let Some((0, timestamp)) = self.nearest() {
            let Some(HeldPacket { codec, payload, .. }) = self.held.remove(&timestamp) else { return };
            let samples = self.decoder.packet(codec, &payload);
            self.next = Some(timestamp.wrapping_add(u32::try_from(samples.len()).unwrap_or(0)));
            self.append(now, &samples, false);
            // Packets that overlap what was just taken are late.
            let next = self.next.unwrap_or(0);
            self.held.retain(|timestamp, _| (timestamp.wrapping_sub(next) as i32) >= 0);
        }
    }

    fn fill_gap(&mut self, now: Duration) {
        if let Some((gap, timestamp)) = self.nearest() {
            let silence = vec![0; usize::try_from(gap).unwrap_or(0).min(GAP_MAX.unsigned_abs() as usize)];
            self.append(now, &silence, true);
            self.next = Some(timestamp);
        }
    }

    fn append(&mut self, now: Duration, samples: &[i16], missing: bool) {
        // A frame is missing where all of its samples are: the first of it, and everything since.
        let mut begin_missing = if missing { self.rest.len().saturating_sub(self.rest_missing) } else { usize::MAX };
        self.rest_missing = if missing { self.rest_missing.saturating_add(samples.len()) } else { 0 };
        self.rest.extend_from_slice(samples);
        let mut whole = self.rest.chunks_exact(FRAME_SAMPLES);
        for chunk in whole.by_ref() {
            let mut samples = [0; FRAME_SAMPLES];
            samples.copy_from_slice(chunk);
            self.frames.push(HeardFrame { at: now, samples, missing: begin_missing == 0 });
            begin_missing = begin_missing.saturating_sub(FRAME_SAMPLES);
            self.heard_to = Some(now.saturating_add(FRAME));
        }
        let left = whole.remainder().len();
        let taken = self.rest.len().saturating_sub(left);
        self.rest.drain(..taken);
        self.rest_missing = self.rest_missing.min(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::g711;
    use crate::wire::rtp::{HEADER_BYTES, RtpHeader};
    use crate::words::media::Law;

    fn packet(sequence: u16, timestamp: u32, level: i16, samples: usize) -> Vec<u8> {
        let mut header = [0; HEADER_BYTES];
        RtpHeader { payload_type: 0, marker: false, sequence, timestamp, ssrc: 1 }.write(&mut header);
        [&header[..], &vec![g711::encode(Law::Mu, level); samples]].concat()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn listener() -> Listener {
        let mut listener = Listener::new();
        listener.negotiate(ms(0), Codec::Pcmu, 0);
        listener
    }

    fn levels(frames: &[HeardFrame]) -> Vec<i16> {
        frames.iter().map(|frame| frame.samples[80]).collect()
    }

    /// The level that a sample of this strength has after G.711.
    fn coded(level: i16) -> i16 {
        g711::decode(Law::Mu, g711::encode(Law::Mu, level))
    }

    #[test]
    fn order_comes_from_timestamps_and_survives_their_wrap() {
        let mut listener = listener();
        let base = u32::MAX - 200;
        for (arrival, index) in [(0, 0u32), (20, 2), (22, 1), (60, 3)] {
            let level = 1_000 * (index as i16 + 1);
            let timestamp = base.wrapping_add(160 * index);
            listener.handle_packet(ms(arrival), &packet(65_534u16.wrapping_add(index as u16), timestamp, level, 160));
        }
        assert_eq!(levels(&listener.take_frames()), [1_000, 2_000, 3_000, 4_000].map(coded));
        assert_eq!((listener.measures().lost, listener.measures().packets), (0, 4));
    }

    #[test]
    fn a_lost_packet_is_silence_after_a_short_wait() {
        let mut listener = listener();
        listener.handle_packet(ms(0), &packet(0, 0, 1_000, 160));
        listener.handle_packet(ms(40), &packet(2, 320, 3_000, 160));
        assert_eq!(levels(&listener.take_frames()), [coded(1_000)]);
        listener.handle_tick(ms(60));
        assert!(listener.take_frames().is_empty());
        listener.handle_tick(ms(100));
        let frames = listener.take_frames();
        assert_eq!(levels(&frames), [0, coded(3_000)]);
        assert!(frames[0].missing && !frames[1].missing);
        assert_eq!(listener.measures().lost, 1);
        listener.handle_packet(ms(110), &packet(1, 160, 2_000, 160));
        assert_eq!((listener.measures().lost, listener.measures().late), (0, 1));
        assert!(listener.take_frames().is_empty());
    }

    #[test]
    fn silence_goes_on_by_the_clock_while_nothing_comes() {
        let mut listener = listener();
        listener.handle_tick(ms(180));
        assert!(listener.take_frames().is_empty());
        let mut frames = Vec::new();
        for (now, heard) in (200..=500).step_by(20).zip(10..) {
            listener.handle_tick(ms(now));
            frames.extend(listener.take_frames());
            assert_eq!(frames.len(), heard, "no frame waits for others");
        }
        assert_eq!(frames.len(), 25);
        assert_eq!(frames.last().unwrap().at, ms(480));
        assert!(frames.iter().all(|frame| !frame.missing), "nothing was sent, and nothing is missing");
        // Whatever its timestamp, what comes then is next.
        listener.handle_packet(ms(510), &packet(7, 123_456, 1_000, 160));
        assert_eq!(levels(&listener.take_frames()), [coded(1_000)]);
    }

    #[test]
    fn packets_of_other_lengths_become_frames() {
        let mut listener = listener();
        listener.handle_packet(ms(0), &packet(0, 0, 1_000, 80));
        assert!(listener.take_frames().is_empty());
        listener.handle_packet(ms(10), &packet(1, 80, 1_000, 80));
        listener.handle_packet(ms(40), &packet(2, 160, 1_000, 240));
        listener.handle_packet(ms(70), &packet(3, 400, 1_000, 240));
        assert_eq!(levels(&listener.take_frames()), [coded(1_000); 4]);
    }

    #[test]
    fn strangers_and_repetitions_are_counted_and_not_heard() {
        let mut listener = listener();
        listener.handle_packet(ms(0), b"hello");
        let mut event = packet(0, 0, 0, 4);
        event[1] = 101;
        listener.handle_packet(ms(0), &event);
        listener.handle_packet(ms(0), &packet(5, 0, 1_000, 160));
        listener.handle_packet(ms(30), &packet(5, 0, 1_000, 160));
        let measures = listener.measures();
        assert_eq!((measures.strange, measures.late, measures.packets), (2, 1, 2));
        assert_eq!(measures.largest_gap, ms(30));
        assert_eq!(listener.take_frames().len(), 1);
    }
}
