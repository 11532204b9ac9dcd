//! Callers with real RTP on both sides of a plane, under virtual time.

use super::*;
use crate::media::source::Sounds;
use crate::wire::g711;
use crate::wire::rtcp::ReceivedRtcp;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use crate::words::ids::PlaybackKey;
use crate::words::media::{Codec, Direction, NegotiatedMedia};
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
        let header = self.header(self.codec.static_payload_type(), false);
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
            payload_type: codec.static_payload_type(),
            telephone_event: Some(EVENT_TYPE),
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
        self.command(PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media });
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
                    assert_eq!(packet.payload_type, caller.codec.static_payload_type());
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

#[test]
fn who_waits_hears_music_and_nobody_hears_him() {
    let mut world = World::new();
    let waits = world.call(Some(400.0));
    let (a, b) = (world.call(Some(1_000.0)), world.call(None));
    world.background(waits, Background::Music);
    world.admit(&[a, b]);
    world.ticks(50);
    assert!(world.callers[waits].hears(MUSIC_HZ, 40));
    assert!(!world.callers[waits].hears(1_000.0, 40) && !world.callers[waits].hears(400.0, 40));
    assert!(world.callers[b].hears(1_000.0, 40));
    assert!(!world.callers[b].hears(400.0, 40) && !world.callers[b].hears(MUSIC_HZ, 40));
    assert!(world.callers[a].hears_nothing(40), "a hears himself");
}

#[test]
fn everybody_hears_the_others_in_his_own_codec_and_never_himself() {
    let mut world = World::new();
    let tones = [400.0, 700.0, 1_000.0, 1_900.0];
    let talkers: Vec<usize> = tones.map(|hz| world.call(Some(hz))).into();
    let listeners = [world.call(None), world.call(None), world.call(None), world.call(None)];
    let other_meeting = world.call(Some(2_600.0));
    world.admit(&[talkers.clone(), listeners.to_vec()].concat());
    world.background(other_meeting, Background::Meeting(MeetingKey(2)));
    world.ticks(40);
    for (&caller, own) in talkers.iter().zip(tones) {
        for hz in tones {
            assert_eq!(world.callers[caller].hears(hz, 30), hz != own, "{own} Hz of {hz} Hz");
        }
    }
    for caller in listeners {
        assert!(tones.iter().all(|&hz| world.callers[caller].hears(hz, 30)));
        assert!(!world.callers[caller].hears(2_600.0, 30));
    }
    assert!(world.callers[other_meeting].hears_nothing(30));
    // Two who only listen, with the same codec, got the very same packets.
    assert_eq!(world.callers[listeners[0]].heard[30 * 160..], world.callers[listeners[2]].heard[30 * 160..]);
}

#[test]
fn a_whole_lobby_is_in_the_mix_from_the_next_tick_on() {
    let mut world = World::new();
    let organizer = world.call(Some(1_000.0));
    let lobby: Vec<usize> = (0..20).map(|_| world.call(None)).collect();
    for &caller in &lobby {
        world.background(caller, Background::Music);
    }
    world.play(lobby[3], 9, &[Prompt::Patience]);
    world.ticks(4);
    world.admit(&[&[organizer][..], &lobby].concat());
    world.ticks(2);
    for &caller in &lobby {
        assert!(world.callers[caller].hears(1_000.0, 1), "the second frame is the meeting's");
        world.callers[caller].heard.drain(..5 * 160);
        assert!(!world.callers[caller].hears(MUSIC_HZ, 1) && !world.callers[caller].hears(PROMPT_HZ, 1));
    }
    world.ticks(20);
    let finished = |event: &PlaneEvent| matches!(event, PlaneEvent::PlaybackFinished { .. });
    assert!(!world.events.iter().any(finished), "the prompt was cut");
}

#[test]
fn no_change_of_what_is_heard_makes_a_step() {
    let mut world = World::new();
    let caller = world.call(None);
    let speaker = world.call(Some(500.0));
    world.background(speaker, Background::Meeting(MEETING));
    world.background(caller, Background::Music);
    world.ticks(7);
    world.play(caller, 1, &[Prompt::Welcome]);
    world.ticks(3);
    world.command(PlaneCommand::StopPlayback { call: world.key(caller) });
    world.ticks(5);
    world.admit(&[caller]);
    world.ticks(5);
    world.play(caller, 2, &[Prompt::YouAreMuted, Prompt::Goodbye]);
    world.ticks(30);
    world.background(caller, Background::Silence);
    world.ticks(5);
    let heard = &world.callers[caller].heard;
    let step = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    // 5000 at 900 Hz moves by 3,430 at most from one sample to the next.
    assert!(step < 3_700, "{step}");
}

#[test]
fn prompts_play_once_in_front_of_the_background_and_say_when_they_end() {
    let mut world = World::new();
    let caller = world.call(None);
    world.background(caller, Background::Music);
    world.play(caller, 5, &[Prompt::Welcome, Prompt::EnterPin]);
    world.ticks(20);
    assert!(world.callers[caller].hears(PROMPT_HZ, 18) && !world.callers[caller].hears(MUSIC_HZ, 18));
    let finished = |world: &World| {
        world.events.iter().filter(|event| matches!(event, PlaneEvent::PlaybackFinished { .. })).count()
    };
    assert_eq!(finished(&world), 0);
    world.ticks(1);
    let playback = PlaybackKey(5);
    assert!(world.events.contains(&PlaneEvent::PlaybackFinished { call: world.key(caller), playback }));
    world.ticks(20);
    assert!(world.callers[caller].hears(MUSIC_HZ, 18));
    // Stopped and replaced ones end without a word.
    world.play(caller, 6, &[Prompt::Welcome]);
    world.ticks(2);
    world.play(caller, 7, &[Prompt::Welcome]);
    world.ticks(2);
    world.command(PlaneCommand::StopPlayback { call: world.key(caller) });
    world.ticks(40);
    assert!(world.callers[caller].hears(MUSIC_HZ, 30));
    assert_eq!(finished(&world), 1);
    // Nothing to play is finished at once.
    world.play(caller, 8, &[]);
    world.ticks(1);
    assert_eq!(finished(&world), 2);
}

#[test]
fn nothing_is_sent_or_played_before_the_media_is_negotiated() {
    let mut world = World::new();
    let call = CallKey(99);
    world.command(PlaneCommand::Open { call });
    world.command(PlaneCommand::Play { call, playback: PlaybackKey(1), prompts: [Prompt::Welcome].into() });
    world.ticks(30);
    assert_eq!((world.astray, world.events.len()), (0, 0));
}

#[test]
fn who_is_muted_or_has_us_on_hold_is_not_heard() {
    let mut world = World::new();
    let (talker, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[talker, listener]);
    world.ticks(20);
    world.command(PlaneCommand::Mute { call: world.key(talker), muted: true });
    world.ticks(20);
    assert!(world.callers[listener].hears_nothing(18));
    world.command(PlaneCommand::Mute { call: world.key(talker), muted: false });
    world.ticks(20);
    assert!(world.callers[listener].hears(1_000.0, 18));
    // The peer sends only: music of his telephone system.
    let sent = world.callers[talker].packets.len();
    let media = world.media(talker, Direction::RecvOnly);
    world.command(PlaneCommand::Negotiate { call: world.key(talker), signalled_from: media.remote_rtp.ip(), media });
    world.ticks(20);
    assert!(world.callers[listener].hears_nothing(18));
    assert_eq!(world.callers[talker].packets.len(), sent, "and nothing is sent to him");
    let media = world.media(talker, Direction::SendRecv);
    world.command(PlaneCommand::Negotiate { call: world.key(talker), signalled_from: media.remote_rtp.ip(), media });
    world.ticks(20);
    assert!(world.callers[listener].hears(1_000.0, 18));
    let [before, after] = world.callers[talker].packets[sent - 1..=sent] else { panic!() };
    assert_eq!(after.0, before.0.wrapping_add(1), "no sequence number is left out");
    assert_eq!(after.1.wrapping_sub(before.1), 21 * 160, "but time went on");
    assert!(after.2, "marked as the start of a talkspurt");
}

#[test]
fn a_stranger_is_neither_heard_nor_sent_to() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(300);
    let stranger = SocketAddr::from(([198, 51, 100, 7], 9_999));
    let slot = world.callers[caller].slot;
    let mut forged = Caller::new(50, Some(2_000.0), usize::MAX);
    for ssrc in [forged.ssrc, world.callers[caller].ssrc] {
        forged.ssrc = ssrc;
        for _ in 0..100 {
            let datagram = forged.voice();
            world.plane.handle_rtp(slot, stranger, world.plane.next_tick_at(), &datagram);
            world.tick();
        }
    }
    assert!(world.callers[listener].hears(1_000.0, 90) && !world.callers[listener].hears(2_000.0, 90));
    assert_eq!(world.astray, 0, "RTP Bleed");
    world.command(PlaneCommand::Close { call: world.key(caller) });
    world.ticks(1);
    let closed = world.events.iter().find_map(|event| match event {
        PlaneEvent::Closed { statistics, .. } => Some(*statistics),
        _ => None,
    });
    let statistics = closed.unwrap();
    assert_eq!((statistics.packets_refused, statistics.packets_received, statistics.packets_lost), (200, 501, 0));
}

#[test]
fn a_caller_behind_address_translation_is_learned() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    let mut media = world.media(caller, Direction::SendRecv);
    media.remote_rtp = SocketAddr::from(([10, 0, 0, 5], 4_000));
    media.remote_rtcp = SocketAddr::from(([10, 0, 0, 5], 4_001));
    let signalled_from = world.callers[caller].address.ip();
    world.command(PlaneCommand::Negotiate { call: world.key(caller), signalled_from, media });
    world.admit(&[caller, listener]);
    world.ticks(600);
    let (call, source) = (world.key(caller), world.callers[caller].address);
    assert!(world.events.contains(&PlaneEvent::SourceBound { call, source, as_agreed: false }));
    assert!(world.callers[listener].hears(1_000.0, 50));
    // His fifth packet makes a stream of them. What was sent before went to the address of his SDP, and nowhere.
    assert_eq!(world.callers[caller].packets.len(), 596);
    assert!(!world.callers[caller].reports.is_empty(), "RTCP goes beside it");
}

#[test]
fn a_key_is_a_digit_and_is_heard_by_nobody() {
    let mut world = World::new();
    let (caller, listener) = (world.call(None), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(10);
    let event_at = world.callers[caller].timestamp;
    for step in 0..8u16 {
        let marker = step == 0;
        let mut datagram = world.callers[caller].header(EVENT_TYPE, marker).to_vec();
        datagram[4..8].copy_from_slice(&event_at.to_be_bytes());
        let end = if step >= 5 { 0x80 } else { 0 };
        let [high, low] = (160 * (step + 1).min(6)).to_be_bytes();
        datagram.extend([5, end | 10, high, low]);
        world.receive(caller, &datagram);
        world.quiet_tick();
        world.callers[caller].timestamp += 160;
    }
    world.ticks(10);
    assert_eq!(world.digits(), [(world.key(caller), '5', DigitMethod::Event)]);
    world.command(PlaneCommand::InfoDigit {
        call: world.key(listener),
        digit: Digit::from_char('7').unwrap(),
        duration_ms: 100,
    });
    world.ticks(1);
    assert_eq!(world.digits().last(), Some(&(world.key(listener), '7', DigitMethod::Info)));
    assert!(world.callers[listener].hears_nothing(25));
}

#[test]
fn tones_in_the_voice_are_digits_and_are_heard_by_nobody() {
    for telephone_event in [Some(EVENT_TYPE), None] {
        let mut world = World::new();
        let (caller, listener) = (world.call(None), world.call(None));
        let media = NegotiatedMedia { telephone_event, ..world.media(caller, Direction::SendRecv) };
        world.command(PlaneCommand::Negotiate {
            call: world.key(caller),
            signalled_from: media.remote_rtp.ip(),
            media,
        });
        world.admit(&[caller, listener]);
        world.ticks(10);
        // The tone of a 4, from the middle of one frame to the middle of another.
        for frame in 0..6 {
            let samples = (0..160).map(|at| {
                let at = frame * 160 + at;
                let sounds = (100..800).contains(&at);
                let phase = |hz: f32| (TAU * hz * at as f32 / 8000.0).sin();
                if sounds { (4_000.0 * phase(770.0) + 4_000.0 * phase(1_209.0)) as i16 } else { 0 }
            });
            let codec = world.callers[caller].codec;
            let payload: Vec<u8> = samples.map(|sample| g711::encode(codec.law().unwrap(), sample)).collect();
            let mut datagram = world.callers[caller].header(codec.static_payload_type(), false).to_vec();
            datagram.extend(payload);
            world.receive(caller, &datagram);
            world.callers[caller].timestamp += 160;
            world.quiet_tick();
        }
        world.ticks(20);
        assert_eq!(world.digits(), [(world.key(caller), '4', DigitMethod::InBand)]);
        let loud = world.callers[listener].heard.iter().filter(|sample| sample.abs() > 300).count();
        // Its first milliseconds, and 5 ms in which the last of them dies away.
        let allowed = if telephone_event.is_some() { 100 } else { 0 };
        assert!(loud <= allowed, "{loud} samples of the tone were let through");
    }
}

#[test]
fn a_chime_is_heard_by_all_over_what_is_said() {
    let mut world = World::new();
    let (talker, listener, waits) = (world.call(Some(1_000.0)), world.call(None), world.call(None));
    world.background(waits, Background::Music);
    world.admit(&[talker, listener]);
    world.ticks(20);
    for _ in 0..5 {
        world.command(PlaneCommand::Chime { meeting: MEETING, chime: Chime::Entry });
    }
    world.ticks(10);
    assert!(world.callers[talker].hears(CHIME_HZ, 9) && !world.callers[talker].hears(1_000.0, 9));
    assert!(world.callers[listener].hears(CHIME_HZ, 9) && world.callers[listener].hears(1_000.0, 9));
    assert!(!world.callers[waits].hears(CHIME_HZ, 9));
    assert!(amplitude(&world.callers[talker].heard[22 * 160..28 * 160], CHIME_HZ) < 6_000.0, "five at once are one");
    world.ticks(10);
    assert!(world.callers[talker].hears_nothing(9));
}

#[test]
fn a_closed_leg_says_goodbye_and_leaves_nothing() {
    let mut world = World::new();
    let (caller, other) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, other]);
    world.ticks(10);
    for caller in [caller, other] {
        world.command(PlaneCommand::Close { call: world.key(caller) });
        world.command(PlaneCommand::Close { call: world.key(caller) });
        world.play(caller, 1, &[Prompt::Goodbye]);
    }
    world.ticks(3);
    for caller in [caller, other] {
        assert!(world.callers[caller].reports.last().is_some_and(|report| report.bye));
        assert_eq!(world.callers[caller].packets.len(), 10);
        let call = world.key(caller);
        let closed = |event: &&PlaneEvent| matches!(event, PlaneEvent::Closed { call: closed, .. } if *closed == call);
        assert_eq!(world.events.iter().filter(closed).count(), 1);
    }
    let Plane { slots_by_call, meetings_by_key, meetings, .. } = &world.plane;
    assert!(slots_by_call.is_empty() && meetings_by_key.is_empty() && meetings.iter().all(Option::is_none));
    assert_eq!(world.plane.legs(), 0);
    world.call(None);
    assert_eq!(world.plane.slots.len(), 2, "a slot is used again");
}

#[test]
fn a_leg_moves_with_all_it_has() {
    let mut world = World::new();
    let (caller, other) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, other]);
    world.play(caller, 3, &[Prompt::YouAreMuted]);
    world.ticks(5);
    let call = world.key(caller);
    let leg = world.plane.take_leg(call).unwrap();
    assert_eq!((world.plane.slot_of(call), world.plane.legs()), (None, 1));
    assert_eq!(world.plane.meetings[0].as_ref().unwrap().members, 1);
    assert!(world.plane.take_leg(call).is_none());
    world.callers[caller].slot = world.plane.insert_leg(leg);
    world.ticks(15);
    assert!(world.events.iter().any(|event| matches!(event, PlaneEvent::PlaybackFinished { .. })));
    assert!(world.callers[other].hears(1_000.0, 8) && world.callers[caller].hears_nothing(4));
    let packets = &world.callers[caller].packets;
    assert!(packets.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)), "one stream of packets");
}

#[test]
fn after_a_stall_timestamps_tell_the_truth_and_the_voice_is_not_late() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(20);
    // The thread wakes ten ticks late, and leaves them out before it reads its sockets.
    let due = world.plane.next_tick_at();
    world.plane.skip(10);
    for late in 0..10 {
        for caller in [caller, listener] {
            let datagram = world.callers[caller].voice();
            let Caller { slot, address, .. } = world.callers[caller];
            world.plane.handle_rtp(slot, address, due + late * FRAME - FRAME / 2, &datagram);
        }
    }
    world.ticks(20);
    let [.., before, after] = world.callers[listener].packets[..=20] else { panic!() };
    assert_eq!((after.0, after.1), (before.0.wrapping_add(1), before.1.wrapping_add(11 * 160)));
    assert!(after.2);
    assert!(world.callers[listener].hears(1_000.0, 18));
    world.command(PlaneCommand::Close { call: world.key(caller) });
    world.ticks(1);
    let PlaneEvent::Closed { statistics, .. } = world.events.last().unwrap() else { panic!() };
    assert!(statistics.delay_ms_max <= 60, "{} ms", statistics.delay_ms_max);
}

#[test]
fn reports_tell_the_peer_what_we_sent_and_lost() {
    let mut world = World::new();
    let caller = world.call(Some(1_000.0));
    for tick in 0..2_000 {
        if tick % 10 == 0 {
            world.callers[caller].voice();
            world.quiet_tick();
        } else {
            world.tick();
        }
    }
    let caller = &world.callers[caller];
    assert!((5..=16).contains(&caller.reports.len()), "{} in 40 s", caller.reports.len());
    let report = caller.reports.last().unwrap();
    let block = report.block_about(caller.ssrc).unwrap();
    assert!((20..=30).contains(&block.fraction_lost), "{} of 256", block.fraction_lost);
    assert!(report.sender.unwrap().packets > 1_500 && !report.bye);
}

#[test]
fn a_silent_line_is_told_once_per_silence() {
    let mut world = World::new();
    world.call(None);
    let silent =
        |world: &World| world.events.iter().filter(|event| matches!(event, PlaneEvent::MediaSilent { .. })).count();
    world.ticks(2_000);
    assert_eq!(silent(&world), 0);
    for expected in [1, 2] {
        for _ in 0..4_000 {
            world.quiet_tick();
        }
        assert_eq!(silent(&world), expected);
        world.ticks(10);
    }
    // On hold nothing is expected.
    let media = world.media(0, Direction::Inactive);
    world.command(PlaneCommand::Negotiate { call: world.key(0), signalled_from: media.remote_rtp.ip(), media });
    for _ in 0..4_000 {
        world.quiet_tick();
    }
    assert_eq!(silent(&world), 2);
}

#[test]
fn every_caller_gets_one_packet_each_tick_whatever_happens_to_others() {
    let mut world = World::new();
    let steady = world.call(None);
    let mut random = StdRng::seed_from_u64(5);
    for tick in 0..500u64 {
        let call = CallKey(1_000 + random.random_range(0..20));
        let command = match random.random_range(0..9) {
            0 => PlaneCommand::Open { call },
            1 => {
                let media = world.media(steady, Direction::SendRecv);
                PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media }
            }
            2 => PlaneCommand::Background { call, background: Background::Music },
            3 => PlaneCommand::Admit { meeting: MeetingKey(random.random_range(0..3)), calls: [call].into() },
            4 => PlaneCommand::Play { call, playback: PlaybackKey(tick), prompts: [Prompt::Goodbye].into() },
            5 => PlaneCommand::StopPlayback { call },
            6 => PlaneCommand::Chime { meeting: MeetingKey(random.random_range(0..3)), chime: Chime::Exit },
            7 => PlaneCommand::Gather { call, meeting: MEETING },
            _ => PlaneCommand::Close { call },
        };
        world.command(command);
        for slot in 0..25 {
            let mut datagram = [0; 172];
            random.fill_bytes(&mut datagram);
            datagram[0] = 0x80;
            datagram[1] &= 0x08;
            let source = SocketAddr::from(([192, 0, 2, random.random_range(0..4)], 4_000));
            if slot != world.callers[steady].slot {
                let at = world.plane.next_tick_at();
                world.plane.handle_rtp(slot, source, at, &datagram[..random.random_range(0..173)]);
                world.plane.handle_rtcp(slot, source, at, &datagram[..random.random_range(0..173)]);
            }
        }
        world.tick();
        assert_eq!(world.callers[steady].packets.len() as u64, tick + 1);
    }
    let members: usize = world.plane.meetings.iter().flatten().map(|meeting| meeting.members).sum();
    let seated = world.plane.slots.iter().flatten().filter(|seat| seat.meeting.is_some()).count();
    assert_eq!(members, seated);
}

#[test]
fn nothing_is_sent_to_an_address_from_which_nobody_has_spoken_or_acknowledged() {
    let mut world = World::new();
    let caller = world.call(None);
    for _ in 0..1_500 {
        world.quiet_tick();
    }
    assert!(world.callers[caller].packets.is_empty() && world.callers[caller].reports.is_empty());
    // The ACK has come: he is played something.
    world.play(caller, 1, &[Prompt::Welcome]);
    for _ in 0..600 {
        world.quiet_tick();
    }
    assert_eq!(world.callers[caller].packets.len(), 600);
    assert!(!world.callers[caller].reports.is_empty());
    // The other one is heard before his ACK comes.
    let early = world.call(None);
    world.ticks(10);
    assert_eq!(world.callers[early].packets.len(), 10);
}

/// Ticks from the first voice until control is told that he talks, or no longer does.
fn ticks_until(world: &mut World, call: CallKey, talking: bool) -> usize {
    let told = PlaneEvent::Talking { call, talking };
    (1..100)
        .find(|_| {
            world.events.clear();
            world.tick();
            world.events.contains(&told)
        })
        .expect("control is told")
}

#[test]
fn who_talks_is_told_within_a_tenth_of_a_second_and_once() {
    let mut world = World::new();
    let (ben, cara) = (world.call(None), world.call(None));
    world.admit(&[ben, cara]);
    world.ticks(20);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })));
    let call = world.key(ben);
    world.callers[ben].hz = Some(400.0);
    // With what a packet waits in the jitter buffer. In ticks of 20 ms.
    assert!(ticks_until(&mut world, call, true) <= 5);
    world.events.clear();
    world.ticks(50);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })), "once");
    world.callers[ben].hz = None;
    let silent_after = ticks_until(&mut world, call, false);
    assert!((20..=40).contains(&silent_after), "{silent_after}: a pause between two words is none");

    // Muted he is not heard, and so does not talk; nor does anybody in a lobby.
    world.command(PlaneCommand::Mute { call, muted: true });
    world.callers[ben].hz = Some(400.0);
    let waits = world.call(Some(700.0));
    world.background(waits, Background::Music);
    world.events.clear();
    world.ticks(50);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })));
    world.command(PlaneCommand::Mute { call, muted: false });
    assert!(ticks_until(&mut world, call, true) <= 5);
    // Back to the lobby: he talks no more, whatever he says.
    world.background(ben, Background::Music);
    ticks_until(&mut world, call, false);
}

#[test]
fn a_survey_says_how_each_leg_does() {
    let mut world = World::new();
    let (loud, quiet) = (world.call(Some(400.0)), world.call(None));
    world.ticks(30);
    world.callers[quiet].sequence += 3;
    world.ticks(20);
    world.events.clear();
    world.command(PlaneCommand::Survey);
    world.tick();
    let PlaneEvent::Survey { legs } = &world.events[0] else { panic!("{:?}", world.events) };
    let of = |caller| legs.iter().find(|leg| leg.call == world.key(caller)).unwrap();
    // 5,000 of 32,768 is -16 dB.
    assert!((-18..=-14).contains(&of(loud).level_db), "{}", of(loud).level_db);
    assert!(of(quiet).level_db < -60, "{}", of(quiet).level_db);
    assert_eq!((of(loud).statistics.packets_lost, of(quiet).statistics.packets_lost), (0, 3));
    assert!((1..=40).contains(&of(loud).delay_ms), "{}", of(loud).delay_ms);
}
