//! Callers with real RTP on both sides of a plane, under virtual time; what they hear, send and get stands in `plane/`.

#[path = "plane/control.rs"]
mod control;
#[path = "plane/hearing.rs"]
mod hearing;
#[path = "plane/packets.rs"]
mod packets;

use super::*;
use crate::media::source::Sounds;
use crate::wire::g711;
use crate::wire::rtcp::ReceivedRtcp;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use crate::words::ids::PlaybackKey;
use crate::words::media::{Codec, Direction, FromPeer, NegotiatedMedia};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;
use rand::{Rng, RngExt, SeedableRng};
use std::f32::consts::TAU;

const MUSIC_HZ: f32 = 600.0;
const PROMPT_HZ: f32 = 900.0;
const CHIME_HZ: f32 = 2_300.0;
const EVENT_TYPE: u8 = 101;
const MEETING: MeetingKey = MeetingKey(1);

fn tone(hz: f32, from: usize, samples: usize) -> Vec<i16> {
    (from..from + samples).map(|at| (5000.0 * (TAU * hz * at as f32 / 8000.0).sin()) as i16).collect()
}

/// How much of a tone is in some samples: its amplitude.
fn amplitude(samples: &[i16], hz: f32) -> f32 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, &sample) in samples.iter().enumerate() {
        let phase = TAU * hz * at as f32 / 8000.0;
        real += f32::from(sample) * phase.cos();
        imaginary += f32::from(sample) * phase.sin();
    }
    2.0 * real.hypot(imaginary) / samples.len() as f32
}

struct Caller {
    call: CallKey,
    slot: usize,
    address: SocketAddr,
    codec: Codec,
    /// What he says, if anything.
    hz: Option<f32>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    heard: Vec<i16>,
    packets: Vec<(u16, u32, bool)>,
    reports: Vec<ReceivedRtcp>,
}

impl Caller {
    fn new(number: usize, hz: Option<f32>, slot: usize) -> Caller {
        Caller {
            call: CallKey(number as u64 + 1),
            slot,
            address: SocketAddr::from(([192, 0, 2, number as u8], 4_000)),
            codec: Codec::ALL[number % 2],
            hz,
            sequence: 65_500,
            timestamp: 8_000,
            ssrc: number as u32 + 77,
            heard: Vec::new(),
            packets: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// Of the last `frames` frames that he heard.
    fn hears(&self, hz: f32, frames: usize) -> bool {
        amplitude(&self.heard[self.heard.len() - frames * 160..], hz) > 1_000.0
    }

    fn hears_nothing(&self, frames: usize) -> bool {
        self.heard[self.heard.len() - frames * 160..].iter().all(|sample| sample.abs() < 40)
    }

    fn header(&mut self, payload_type: u8, marker: bool) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let (sequence, timestamp, ssrc) = (self.sequence, self.timestamp, self.ssrc);
        RtpHeader { payload_type, marker, sequence, timestamp, ssrc }.write(&mut out);
        self.sequence = self.sequence.wrapping_add(1);
        out
    }

    fn voice(&mut self) -> Vec<u8> {
        let samples = match self.hz {
            Some(hz) => tone(hz, self.timestamp as usize, 160),
            None => vec![0; 160],
        };
        let law = self.codec.law().unwrap();
        let header = self.header(self.codec.payload_type(), false);
        self.timestamp += 160;
        header.into_iter().chain(samples.into_iter().map(|sample| g711::encode(law, sample))).collect()
    }
}

struct World {
    plane: Plane,
    callers: Vec<Caller>,
    events: Vec<PlaneEvent>,
    /// What went to addresses that are no caller's.
    astray: usize,
}

impl World {
    fn new() -> World {
        let music = tone(MUSIC_HZ, 0, 8_000);
        let sounds = Sounds::new(|_| tone(PROMPT_HZ, 0, 1_600), |_| tone(CHIME_HZ, 0, 1_600), &music);
        let plane = Plane::new(Instant::now(), Arc::new(sounds), PlaneSettings::default(), StdRng::seed_from_u64(1));
        World { plane, callers: Vec::new(), events: Vec::new(), astray: 0 }
    }

    fn command(&mut self, command: PlaneCommand) {
        self.plane.handle_command(self.plane.next_tick_at(), command);
    }

    fn media(&self, caller: usize, direction: Direction) -> NegotiatedMedia {
        let Caller { address, codec, .. } = self.callers[caller];
        NegotiatedMedia {
            remote_rtp: address,
            remote_rtcp: SocketAddr::new(address.ip(), address.port() + 1),
            codec,
            payload_type: codec.payload_type(),
            bits_per_second_max: None,
            telephone_event: Some(EVENT_TYPE),
            from_peer: FromPeer { voice: codec.payload_type(), events: Some((EVENT_TYPE, codec.clock_rate())) },
            direction,
        }
    }

    /// A caller who speaks a tone, or is silent.
    fn call(&mut self, hz: Option<f32>) -> usize {
        let number = self.callers.len();
        let call = CallKey(number as u64 + 1);
        self.command(PlaneCommand::Open { call });
        let slot = self.plane.slot_of(call).unwrap();
        let caller = Caller::new(number, hz, slot);
        self.callers.push(caller);
        let media = self.media(number, Direction::SendRecv);
        self.command(PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media: media.into() });
        number
    }

    fn key(&self, caller: usize) -> CallKey {
        self.callers[caller].call
    }

    fn admit(&mut self, callers: &[usize]) {
        let calls = callers.iter().map(|&caller| self.key(caller)).collect();
        self.command(PlaneCommand::Admit { meeting: MEETING, calls });
    }

    fn background(&mut self, caller: usize, background: Background) {
        self.command(PlaneCommand::Background { call: self.key(caller), background });
    }

    fn play(&mut self, caller: usize, playback: u64, prompts: &[Prompt]) {
        let call = self.key(caller);
        self.command(PlaneCommand::Play { call, playback: PlaybackKey(playback), prompts: prompts.into() });
    }

    fn receive(&mut self, caller: usize, datagram: &[u8]) {
        let at = self.plane.next_tick_at() - Duration::from_millis(10);
        let Caller { slot, address, .. } = self.callers[caller];
        self.plane.handle_rtp(slot, address, at, datagram);
    }

    fn tick(&mut self) {
        for caller in 0..self.callers.len() {
            let datagram = self.callers[caller].voice();
            self.receive(caller, &datagram);
        }
        self.quiet_tick();
    }

    /// Nobody sends anything.
    fn quiet_tick(&mut self) {
        let World { plane, callers, astray, .. } = self;
        plane.tick(&mut |slot, stream, destination, datagram| {
            let Some(caller) = callers.iter_mut().find(|caller| caller.slot == slot) else { return };
            let rtcp = SocketAddr::new(caller.address.ip(), caller.address.port() + 1);
            match stream {
                Stream::Rtp if destination == caller.address => {
                    let packet = RtpPacket::parse(datagram).unwrap();
                    assert_eq!(packet.payload_type, caller.codec.payload_type());
                    caller.packets.push((packet.sequence, packet.timestamp, packet.marker));
                    let law = caller.codec.law().unwrap();
                    caller.heard.extend(packet.payload.iter().map(|&code| g711::decode(law, code)));
                }
                Stream::Rtcp if destination == rtcp => caller.reports.push(ReceivedRtcp::parse(datagram).unwrap()),
                _ => *astray += 1,
            }
        });
        while let Some(event) = self.plane.poll_event() {
            self.events.push(event);
        }
    }

    fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
        }
    }

    fn digits(&self) -> Vec<(CallKey, char, DigitMethod)> {
        let digit = |event: &PlaneEvent| match event {
            PlaneEvent::Digit { call, digit, method } => Some((*call, digit.expose(), *method)),
            _ => None,
        };
        self.events.iter().filter_map(digit).collect()
    }
}
