//! What comes out of the mouth, packet by packet.

use rand::SeedableRng;

use super::super::keys::parse_keys;
use super::*;
use crate::wire::g711;
use crate::wire::rtp::RtpPacket;
use crate::words::media::{Direction, FromPeer, Law};

const EVENT_TYPE: u8 = 101;

fn mouth(voice: Voice) -> Mouth {
    let mut mouth = Mouth::new(&mut StdRng::seed_from_u64(7), voice);
    mouth.negotiate(&NegotiatedMedia {
        remote_rtp: "192.0.2.1:4000".parse().unwrap(),
        remote_rtcp: "192.0.2.1:4001".parse().unwrap(),
        codec: Codec::Pcmu,
        payload_type: 0,
        bits_per_second_max: None,
        telephone_event: Some(EVENT_TYPE),
        from_peer: FromPeer { voice: 0, events: Some((EVENT_TYPE, 8_000)) },
        direction: Direction::SendRecv,
    });
    mouth
}

fn presses(keys: &str, methods: &[KeyMethod], on_ms: u64, off_ms: u64) -> KeyPresses {
    KeyPresses {
        keys: parse_keys(keys).unwrap(),
        methods: methods.to_vec(),
        on: Duration::from_millis(on_ms),
        off: Duration::from_millis(off_ms),
        faults: KeyFaults::default(),
    }
}

/// An owned packet with the tick in which it was sent.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    tick: usize,
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Sent {
    fn event(&self) -> TelephoneEvent {
        TelephoneEvent::parse(&self.payload).unwrap()
    }
}

fn run(mouth: &mut Mouth, ticks: usize) -> Vec<Sent> {
    let mut sent = Vec::new();
    for tick in 0..ticks {
        mouth.tick();
        while let Some(packet) = mouth.poll_packet() {
            let rtp = RtpPacket::parse(&packet).unwrap();
            sent.push(Sent {
                tick,
                payload_type: rtp.payload_type,
                marker: rtp.marker,
                sequence: rtp.sequence,
                timestamp: rtp.timestamp,
                payload: rtp.payload.to_vec(),
            });
        }
    }
    sent
}

fn events(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|packet| packet.payload_type == EVENT_TYPE).collect()
}

#[test]
fn a_silent_caller_still_sends_a_packet_each_tick() {
    let sent = run(&mut mouth(Voice::Silence), 5);
    assert_eq!(sent.len(), 5);
    assert!(sent[0].marker && !sent[1].marker);
    for (before, after) in sent.iter().zip(&sent[1..]) {
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(160));
    }
    assert!(run(&mut mouth(Voice::Nothing), 5).is_empty());
}

#[test]
fn an_event_has_one_timestamp_a_marker_growing_length_and_three_ends() {
    let mut mouth = mouth(Voice::Silence);
    run(&mut mouth, 2);
    mouth.press(presses("5", &[KeyMethod::Rfc4733], 70, 50));
    let sent = run(&mut mouth, 8);
    let events = events(&sent);
    let lengths: Vec<_> =
        events.iter().map(|packet| (packet.tick, packet.event().duration, packet.event().end)).collect();
    assert_eq!(
        lengths,
        [(0, 160, false), (1, 320, false), (2, 480, false), (3, 560, true), (3, 560, true), (3, 560, true)]
    );
    assert!(events.iter().all(|packet| packet.timestamp == events[0].timestamp && packet.event().event == 5));
    assert_eq!(events.iter().filter(|packet| packet.marker).count(), 1);
    assert!(events[0].marker);
    // Voice pauses meanwhile, and the clock runs on.
    let voice: Vec<_> = sent.iter().filter(|packet| packet.payload_type == 0).collect();
    assert_eq!(voice.iter().map(|packet| packet.tick).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert_eq!(voice[0].timestamp, events[0].timestamp.wrapping_add(4 * 160));
    let sequences: Vec<_> = sent.iter().map(|packet| packet.sequence.wrapping_sub(sent[0].sequence)).collect();
    assert_eq!(sequences, (0..10).collect::<Vec<_>>());
    assert!(!mouth.is_pressing());
}

#[test]
fn two_presses_of_one_key_have_two_timestamps() {
    let mut mouth = mouth(Voice::Silence);
    mouth.press(presses("77", &[KeyMethod::Rfc4733], 50, 50));
    let sent = run(&mut mouth, 12);
    let mut begins: Vec<_> = events(&sent).iter().map(|packet| packet.timestamp).collect();
    begins.dedup();
    assert_eq!(begins.len(), 2);
    assert_eq!(begins[1].wrapping_sub(begins[0]), 800);
    assert!(events(&sent).iter().filter(|packet| packet.event().end).all(|packet| packet.event().duration == 400));
}

#[test]
fn faults_lose_and_repeat_what_they_say() {
    let pressed = |change: fn(&mut KeyFaults)| {
        let mut mouth = mouth(Voice::Nothing);
        let mut presses = presses("1", &[KeyMethod::Rfc4733], 80, 40);
        change(&mut presses.faults);
        mouth.press(presses);
        run(&mut mouth, 8)
    };
    let whole = pressed(|_| {});
    assert_eq!(whole.len(), 6);
    let without_start = pressed(|faults| faults.drop_start = 2);
    assert_eq!(without_start, whole[2..]);
    let without_end = pressed(|faults| faults.drop_end = true);
    assert_eq!(without_end, whole[..3]);
    let without_marker = pressed(|faults| faults.drop_marker = true);
    assert!(without_marker.len() == 6 && without_marker.iter().all(|packet| !packet.marker));
    let doubled = pressed(|faults| faults.duplicates = 1);
    assert_eq!(doubled.len(), 12);
    assert!(doubled.chunks(2).all(|pair| pair[0].sequence == pair[1].sequence));
    let reordered = pressed(|faults| faults.reorder = true);
    let order: Vec<_> = reordered.iter().map(|packet| packet.sequence.wrapping_sub(whole[0].sequence)).collect();
    assert_eq!(order, [1, 0, 3, 2, 5, 4]);
}

#[test]
fn a_press_that_outlasts_its_field_goes_on_in_a_new_segment() {
    let mut mouth = mouth(Voice::Nothing);
    mouth.press(presses("1", &[KeyMethod::Rfc4733], 10_000, 40));
    let sent = run(&mut mouth, 510);
    let begin = sent[0].timestamp;
    let second: Vec<_> = sent.iter().filter(|packet| packet.timestamp != begin).collect();
    assert!(second.iter().all(|packet| packet.timestamp == begin.wrapping_add(0xFFFF) && !packet.marker));
    let closing = sent.iter().rfind(|packet| packet.timestamp == begin).unwrap();
    assert_eq!((closing.event().duration, closing.event().end), (0xFFFF, false));
    let last = sent.last().unwrap().event();
    assert_eq!((u32::from(last.duration), last.end), (80_000 - 0xFFFF, true));
}

#[test]
fn in_band_keys_are_two_tones_of_exact_length_in_the_voice() {
    let mut mouth = mouth(Voice::Tone { hz: 1_140 });
    mouth.press(presses("1", &[KeyMethod::InBand], 50, 30));
    let sent = run(&mut mouth, 4);
    let samples: Vec<f32> =
        sent.iter().flat_map(|packet| &packet.payload).map(|code| f32::from(g711::decode(Law::Mu, *code))).collect();
    let level = |hz: f32, range: std::ops::Range<usize>| {
        let (mut re, mut im) = (0f32, 0f32);
        for n in range.clone() {
            let angle = TAU * hz * n as f32 / 8_000.0;
            re += samples[n] * angle.cos();
            im += samples[n] * angle.sin();
        }
        2.0 * (re * re + im * im).sqrt() / range.len() as f32
    };
    for hz in [697.0, 1_209.0] {
        assert!((level(hz, 0..400) - KEY_AMPLITUDE).abs() < 600.0, "{hz}");
        assert!(level(hz, 400..640) < 900.0, "{hz}");
    }
    assert!((level(1_140.0, 400..640) - TONE_AMPLITUDE).abs() < 300.0);
}

#[test]
fn info_bodies_are_as_the_two_content_types_want_them() {
    let mut mouth = mouth(Voice::Silence);
    mouth.press(presses("4#", &[KeyMethod::InfoRelay], 100, 100));
    let relayed: Vec<_> = (0..20)
        .filter_map(|_| {
            mouth.tick();
            mouth.poll_info()
        })
        .collect();
    let bodies: Vec<_> = relayed.iter().map(|info| (info.content_type, &info.body[..])).collect();
    assert_eq!(
        bodies,
        [
            ("application/dtmf-relay", &b"Signal=4\r\nDuration=100\r\n"[..]),
            ("application/dtmf-relay", &b"Signal=#\r\nDuration=100\r\n"[..]),
        ]
    );
    mouth.press(presses("9", &[KeyMethod::Info], 100, 100));
    mouth.tick();
    assert_eq!(
        mouth.poll_info().unwrap(),
        InfoKey { content_type: "application/dtmf", body: Bytes::from_static(b"9") }
    );
}

#[test]
fn one_press_can_go_every_way_at_once() {
    let mut mouth = mouth(Voice::Silence);
    mouth.press(presses("3", &[KeyMethod::Rfc4733, KeyMethod::InBand, KeyMethod::Info], 60, 40));
    let sent = run(&mut mouth, 5);
    assert_eq!(sent.iter().filter(|packet| packet.payload_type == 0).count(), 5);
    assert_eq!(events(&sent).len(), 5);
    assert!(mouth.poll_info().is_some());
}

#[test]
fn a_recording_is_said_once() {
    let samples: Arc<[i16]> = vec![1_000; 400].into();
    let mut whole = mouth(Voice::Recording(samples));
    assert!(whole.is_talking());
    let sent = run(&mut whole, 4);
    assert!(!whole.is_talking());
    assert!(sent[2].payload[..80].iter().all(|code| *code == sent[0].payload[0]));
    assert!(sent[3].payload.iter().all(|code| *code == g711::silence(Law::Mu)));
}

#[test]
fn on_hold_nothing_is_sent_but_the_keys_go_on() {
    let mut mouth = mouth(Voice::Silence);
    mouth.wire = mouth.wire.map(|wire| Wire { sends: false, ..wire });
    mouth.press(presses("12", &[KeyMethod::Rfc4733], 40, 40));
    assert!(run(&mut mouth, 10).is_empty());
    assert!(!mouth.is_pressing());
}
