//! What a caller sends: his voice and his key presses, as one RTP stream with a packet each 20 ms. Pure: each
//! [`Mouth::tick`] is the next 20 ms.
//!
//! ```text
//! one key of 70 ms by telephone-event, then 50 ms of nothing (each column is one tick; ▷ marker, ■ end):
//!
//! voice    V  V  .  .  .  .  V  V      timestamp runs on by 160 each tick
//! event          ▷  e  e  ■■■          timestamp is that of the key's begin; duration 160, 320, 480, 560
//! ```

use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use super::coding::VoiceEncoder;
use super::keys::{KeyFaults, KeyMethod, KeyPresses};
use super::recorded::RecordedEvents;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader};
use crate::wire::telephone_event::TelephoneEvent;
use crate::words::media::{Codec, FRAME_SAMPLES, NegotiatedMedia};
use crate::words::secret::Digit;

/// Peak of a caller's tone: −16 dB of full scale, the level of speech. Several of them fit in one mix.
const TONE_AMPLITUDE: f32 = 5_000.0;

/// Peak of each of the two tones of a key: some −9 dBm0 in sum (ITU-T Q.24 has telephones send −7 to −9).
const KEY_AMPLITUDE: f32 = 5_500.0;

/// What telephone-events say of their power, in −dBm0.
const EVENT_VOLUME: u8 = 10;

/// RFC 4733 section 2.5.1.4: the end is sent three times.
const END_PACKETS: usize = 3;

/// The longest duration that an event's 16 bits hold; what is longer goes on in a new segment (section 2.5.1.3).
const SEGMENT: u32 = 0xFFFF;

/// The samples of a voice.
#[derive(Debug, Clone)]
pub enum Voice {
    Silence,
    /// No packets.
    Nothing,
    Tone {
        hz: u32,
    },
    /// Once, then silence.
    Recording(Arc<[i16]>),
}

/// A key press to be sent by SIP INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoKey {
    pub content_type: &'static str,
    /// Holds the key: never to be printed.
    pub body: Bytes,
}

impl InfoKey {
    fn new(method: KeyMethod, key: Digit, duration: Duration) -> Option<InfoKey> {
        match method {
            KeyMethod::InfoRelay => Some(InfoKey {
                content_type: "application/dtmf-relay",
                body: format!("Signal={}\r\nDuration={}\r\n", key.expose(), duration.as_millis()).into(),
            }),
            KeyMethod::Info => {
                Some(InfoKey { content_type: "application/dtmf", body: key.expose().to_string().into() })
            }
            KeyMethod::Rfc4733 | KeyMethod::InBand => None,
        }
    }
}

/// What the other side agreed to receive.
#[derive(Debug, Clone, Copy)]
struct Wire {
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
    sends: bool,
}

/// Keys being pressed, one after the other.
#[derive(Debug)]
struct Pressing {
    presses: KeyPresses,
    /// Samples since the first press began.
    position: u32,
    /// The RTP timestamp of the first press.
    begin: u32,
    /// Packets of the event that goes on, from its first.
    event_packets: u32,
}

/// Recorded events being sent.
#[derive(Debug)]
struct Recorded {
    events: Arc<RecordedEvents>,
    elapsed: Duration,
    sent: usize,
    first_sequence: u16,
    first_timestamp: u32,
}

/// One caller's side of the RTP stream.
#[derive(Debug)]
pub struct Mouth {
    wire: Option<Wire>,
    encoder: VoiceEncoder,
    voice: Voice,
    /// Samples of the voice so far.
    said: usize,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// The next voice packet begins a talkspurt.
    marker: bool,
    pressing: VecDeque<Pressing>,
    recorded: Option<Recorded>,
    info: VecDeque<InfoKey>,
    /// A packet that lets the next one pass.
    held: Option<Vec<u8>>,
    out: VecDeque<Vec<u8>>,
}

impl Mouth {
    /// `random` makes SSRC, first sequence number and timestamp.
    pub fn new(random: &mut StdRng, voice: Voice) -> Mouth {
        let (ssrc, sequence, timestamp) = (random.next_u32(), random.random(), random.next_u32());
        Mouth {
            wire: None,
            encoder: VoiceEncoder::default(),
            voice,
            said: 0,
            ssrc,
            sequence,
            timestamp,
            marker: true,
            pressing: VecDeque::new(),
            recorded: None,
            info: VecDeque::new(),
            held: None,
            out: VecDeque::new(),
        }
    }

    pub fn negotiate(&mut self, media: &NegotiatedMedia) {
        self.wire = Some(Wire {
            codec: media.codec,
            payload_type: media.payload_type,
            telephone_event: media.telephone_event,
            sends: media.direction.sends(),
        });
    }

    pub fn say(&mut self, voice: Voice) {
        (self.voice, self.said) = (voice, 0);
    }

    pub fn press(&mut self, presses: KeyPresses) {
        self.pressing.push_back(Pressing { presses, position: 0, begin: 0, event_packets: 0 });
    }

    pub fn press_recorded(&mut self, events: Arc<RecordedEvents>) {
        self.recorded = Some(Recorded {
            events,
            elapsed: Duration::ZERO,
            sent: 0,
            first_sequence: self.sequence,
            first_timestamp: self.timestamp,
        });
    }

    /// Whether keys remain to be pressed.
    pub fn is_pressing(&self) -> bool {
        !self.pressing.is_empty() || self.recorded.is_some()
    }

    /// Whether a recording remains to be said.
    pub fn is_talking(&self) -> bool {
        matches!(&self.voice, Voice::Recording(samples) if self.said < samples.len())
    }

    /// The next 20 ms. What they send is polled afterwards.
    pub fn tick(&mut self) {
        let mut frame = self.voice_frame();
        let mut sent_event = false;
        if self.recorded.is_some() {
            sent_event = self.tick_recorded();
        } else if let Some(mut pressing) = self.pressing.pop_front() {
            sent_event = self.tick_press(&mut pressing, &mut frame);
            let length = samples_of(pressing.presses.duration());
            pressing.position = pressing.position.saturating_add(frame_samples());
            if pressing.position < length {
                self.pressing.push_front(pressing);
            }
        }
        let keys_in_voice =
            self.pressing.front().is_some_and(|pressing| pressing.presses.methods.contains(&KeyMethod::InBand));
        if let Some(wire) = self.wire
            && wire.sends
            && (!matches!(self.voice, Voice::Nothing) || keys_in_voice)
            && (!sent_event || keys_in_voice)
        {
            let payload = self.encoder.frame(wire.codec, &frame);
            let marker = std::mem::replace(&mut self.marker, false);
            let packet = self.packet(wire.payload_type, marker, self.timestamp, &payload);
            self.out.push_back(packet);
        } else {
            self.marker = true;
        }
        self.timestamp = self.timestamp.wrapping_add(frame_samples());
    }

    /// The next RTP packet to send.
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// The next key to send by SIP INFO.
    pub fn poll_info(&mut self) -> Option<InfoKey> {
        self.info.pop_front()
    }

    fn voice_frame(&mut self) -> [i16; FRAME_SAMPLES] {
        let mut frame = [0i16; FRAME_SAMPLES];
        match &self.voice {
            Voice::Silence | Voice::Nothing => {}
            Voice::Tone { hz } => {
                for (n, sample) in frame.iter_mut().enumerate() {
                    *sample = (TONE_AMPLITUDE * sine(*hz, self.said.wrapping_add(n))) as i16;
                }
            }
            Voice::Recording(samples) => {
                let rest = samples.get(self.said..).unwrap_or_default();
                frame.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            }
        }
        self.said = self.said.saturating_add(FRAME_SAMPLES);
        frame
    }

    /// Whether telephone-events were sent, or would have been but for their faults.
    fn tick_press(&mut self, pressing: &mut Pressing, frame: &mut [i16; FRAME_SAMPLES]) -> bool {
        if pressing.position == 0 {
            pressing.begin = self.timestamp;
        }
        let (on, off) = (samples_of(pressing.presses.on), samples_of(pressing.presses.off));
        let cycle = on.saturating_add(off).max(1);
        let (tick_begin, tick_end) = (pressing.position, pressing.position.saturating_add(frame_samples()));
        let methods = pressing.presses.methods.clone();
        let mut sent_event = false;
        for (index, key) in pressing.presses.keys.clone().into_iter().enumerate() {
            let key_begin = cycle.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            let key_end = key_begin.saturating_add(on);
            if key_end <= tick_begin || key_begin >= tick_end {
                continue;
            }
            let starts = key_begin >= tick_begin;
            if starts {
                pressing.event_packets = 0;
                let on_time = pressing.presses.on;
                self.info.extend(methods.iter().filter_map(|method| InfoKey::new(*method, key, on_time)));
            }
            if methods.contains(&KeyMethod::InBand) {
                let (row, column) = key_tones(key);
                for (n, sample) in (tick_begin..tick_end).zip(frame.iter_mut()) {
                    if (key_begin..key_end).contains(&n) {
                        let at = usize::try_from(n).unwrap_or(0);
                        *sample = (KEY_AMPLITUDE * (sine(row, at) + sine(column, at))) as i16;
                    }
                }
            }
            if methods.contains(&KeyMethod::Rfc4733) {
                self.tick_event(pressing, key, key_begin, key_end, tick_end);
                sent_event = true;
            }
        }
        sent_event
    }

    /// The packets of one event for one tick: its present length, or three times its end.
    fn tick_event(&mut self, pressing: &mut Pressing, key: Digit, key_begin: u32, key_end: u32, tick_end: u32) {
        let Some(payload_type) = self.wire.filter(|wire| wire.sends).and_then(|wire| wire.telephone_event) else {
            return;
        };
        let faults = pressing.presses.faults;
        let end = key_end <= tick_end;
        let length = key_end.min(tick_end).saturating_sub(key_begin);
        // The segments before this one, of the full length each (RFC 4733 section 2.5.1.3).
        let segment = length.saturating_sub(1) / SEGMENT;
        let segment_begin = segment.saturating_mul(SEGMENT);
        let duration = u16::try_from(length.saturating_sub(segment_begin)).unwrap_or(u16::MAX);
        let key_timestamp = pressing.begin.wrapping_add(key_begin);
        let timestamp = key_timestamp.wrapping_add(segment_begin);
        let before = length.saturating_sub(frame_samples());
        if segment > 0 && before < segment_begin {
            // The segment that is full by now is closed by its full length, without an end.
            let closed = timestamp.wrapping_sub(SEGMENT);
            let event =
                TelephoneEvent { event: key.event_code(), end: false, volume: EVENT_VOLUME, duration: u16::MAX };
            self.event_packet(payload_type, false, closed, event, faults, pressing);
        }
        let event = TelephoneEvent { event: key.event_code(), end, volume: EVENT_VOLUME, duration };
        let marker = pressing.event_packets == 0 && !faults.drop_marker;
        for _ in 0..if end { END_PACKETS } else { 1 } {
            let marker = marker && pressing.event_packets == 0;
            self.event_packet(payload_type, marker, timestamp, event, faults, pressing);
        }
        if end && let Some(held) = self.held.take() {
            self.out.push_back(held);
        }
    }

    fn event_packet(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        event: TelephoneEvent,
        faults: KeyFaults,
        pressing: &mut Pressing,
    ) {
        let packet = self.packet(payload_type, marker, timestamp, &event.write());
        let number = pressing.event_packets;
        pressing.event_packets = number.saturating_add(1);
        if number < faults.drop_start || (faults.drop_end && event.end) {
            return;
        }
        for _ in 0..=faults.duplicates {
            if !faults.reorder {
                self.out.push_back(packet.clone());
            } else if let Some(held) = self.held.take() {
                self.out.push_back(packet.clone());
                self.out.push_back(held);
            } else {
                self.held = Some(packet.clone());
            }
        }
    }

    fn tick_recorded(&mut self) -> bool {
        let Some(mut recorded) = self.recorded.take() else { return false };
        let payload_type = self.wire.filter(|wire| wire.sends).and_then(|wire| wire.telephone_event);
        let until = recorded.elapsed.saturating_add(crate::words::media::FRAME);
        while let Some(packet) = recorded.events.packets().get(recorded.sent).filter(|packet| packet.at < until) {
            recorded.sent = recorded.sent.saturating_add(1);
            if let Some(payload_type) = payload_type {
                let header = RtpHeader {
                    payload_type,
                    marker: packet.marker,
                    sequence: recorded.first_sequence.wrapping_add(packet.sequence_offset),
                    timestamp: recorded.first_timestamp.wrapping_add(packet.timestamp_offset),
                    ssrc: self.ssrc,
                };
                self.out.push_back(datagram(header, &packet.event.write()));
            }
        }
        recorded.elapsed = until;
        if recorded.sent < recorded.events.packets().len() {
            self.recorded = Some(recorded);
        } else {
            let steps = recorded.events.packets().iter().map(|packet| packet.sequence_offset).max().unwrap_or(0);
            self.sequence = recorded.first_sequence.wrapping_add(steps).wrapping_add(1);
        }
        true
    }

    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        datagram(RtpHeader { payload_type, marker, sequence, timestamp, ssrc: self.ssrc }, payload)
    }
}

fn datagram(header: RtpHeader, payload: &[u8]) -> Vec<u8> {
    let mut octets = [0u8; HEADER_BYTES];
    header.write(&mut octets);
    [&octets[..], payload].concat()
}

fn frame_samples() -> u32 {
    u32::try_from(FRAME_SAMPLES).unwrap_or(u32::MAX)
}

fn samples_of(span: Duration) -> u32 {
    u32::try_from(span.as_millis().saturating_mul(8)).unwrap_or(u32::MAX)
}

fn sine(hz: u32, sample: usize) -> f32 {
    // Whole turns are taken out first: a float would lose the phase of a long tone.
    let phase = (sample as u64).wrapping_mul(u64::from(hz)) % 8_000;
    (TAU * phase as f32 / 8_000.0).sin()
}

/// ITU-T Q.23: row and column of a key, in Hz.
fn key_tones(key: Digit) -> (u32, u32) {
    const ROWS: [u32; 4] = [697, 770, 852, 941];
    const COLUMNS: [u32; 4] = [1_209, 1_336, 1_477, 1_633];
    let place = "123A456B789C*0#D".find(key.expose()).unwrap_or(0);
    let tone = |tones: [u32; 4], index: usize| tones.get(index).copied().unwrap_or(0);
    (tone(ROWS, place / 4), tone(COLUMNS, place % 4))
}

#[cfg(test)]
#[path = "mouth_tests.rs"]
mod tests;
