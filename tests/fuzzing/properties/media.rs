//! RTP, RTCP, telephone-events, and a media plane as a whole.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anteroom::media::dtmf::events::{EventReceiver, EventSighting};
use anteroom::media::plane::Stream;
use anteroom::media::{Background, Plane, PlaneCommand, PlaneEvent, PlaneSettings, Sounds};
use anteroom::wire::g722::{Decoder, Encoder, LevelMeter};
use anteroom::wire::rtcp::{REPORT_BLOCKS_MAX, REPORT_BYTES_MAX, ReceivedRtcp, Report};
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use anteroom::wire::telephone_event::TelephoneEvent;
use anteroom::words::ids::{CallKey, MeetingKey, PlaybackKey};
use anteroom::words::media::{Codec, Direction, FRAME, FRAME_SAMPLES, FromPeer, NegotiatedMedia};
use anteroom::words::prompt::{Chime, Prompt};
use anteroom::words::secret::Digit;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::script::Script;

/// A packet that is read, written without its extras, reads the same.
pub fn rtp(bytes: &[u8]) {
    let Ok(read) = RtpPacket::parse(bytes) else { return };
    let RtpPacket { payload_type, marker, sequence, timestamp, ssrc, payload } = read;
    assert!(payload.len() + HEADER_BYTES <= bytes.len());
    let mut header = [0; HEADER_BYTES];
    RtpHeader { payload_type, marker, sequence, timestamp, ssrc }.write(&mut header);
    let written = [&header[..], payload].concat();
    let again = RtpPacket::parse(&written).expect("what is written can be read");
    let all = |packet: &RtpPacket<'_>| {
        (packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc, packet.payload.to_vec())
    };
    assert_eq!(all(&again), all(&read));
    if let Some(event) = TelephoneEvent::parse(payload) {
        let written = event.write();
        assert_eq!(TelephoneEvent::parse(&written).expect("what is written can be read").write(), written);
        assert!(!format!("{event:?}").contains("Digit("), "a key in debug output");
    }
}

/// What is read can be said again in a report of ours, and that reads the same.
pub fn rtcp(bytes: &[u8]) {
    let Ok(read) = ReceivedRtcp::parse(bytes) else { return };
    assert!(read.blocks().len() <= REPORT_BLOCKS_MAX);
    for block in read.blocks() {
        assert_eq!(read.block_about(block.ssrc).map(|found| found.ssrc), Some(block.ssrc));
    }
    let block = read.blocks().first().copied();
    let report = Report { ssrc: read.ssrc, sender: read.sender, block, cname: "anteroom", bye: read.bye };
    let mut written = [0; REPORT_BYTES_MAX];
    let length = report.write(&mut written);
    let again = ReceivedRtcp::parse(&written[..length]).expect("what is written can be read");
    assert_eq!((again.ssrc, again.sender, again.bye), (read.ssrc, read.sender, read.bye));
    assert_eq!(again.blocks().first().copied(), block);
}

/// However packets of events come: a digit is the one that its packet names, the same packet never presses twice, and
/// what is no key presses none.
pub fn telephone_events(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut receiver = EventReceiver::default();
    let (mut sequence, mut timestamp, mut ssrc) = (u16::MAX - 3, u32::MAX - 900, 1);
    while !script.is_over() {
        let flags = script.byte();
        sequence = sequence.wrapping_add(if flags & 1 == 0 { 1 } else { script.two() });
        timestamp = match flags & 6 {
            0 | 2 => timestamp,
            4 => timestamp.wrapping_add(u32::from(script.two())),
            _ => timestamp.wrapping_sub(u32::from(script.two())),
        };
        ssrc ^= u32::from(flags & 8 != 0);
        let payload =
            [script.byte() & if flags & 16 == 0 { 15 } else { 255 }, script.byte(), script.byte(), script.byte()];
        let payload = &payload[..if flags & 0xE0 == 0xE0 { 3 } else { 4 }];
        let packet = RtpPacket { payload_type: 101, marker: flags & 32 != 0, sequence, timestamp, ssrc, payload };
        let named = TelephoneEvent::parse(payload).and_then(TelephoneEvent::digit);
        let told = receiver.handle(&packet);
        match named {
            None => assert_eq!(told, EventSighting::default()),
            Some(_) => assert!([told.pressed, told.held].into_iter().flatten().all(|digit| Some(digit) == named)),
        }
        assert_eq!(receiver.handle(&packet).pressed, None, "the same packet again");
    }
}

/// Any octets are codes of G.722; what they say can be said again, whatever was concealed or skipped between.
pub fn g722(bytes: &[u8]) {
    let (mut decoder, mut encoder, mut meter) = (Decoder::default(), Encoder::default(), LevelMeter::default());
    for payload in bytes.chunks(160) {
        let (mut samples, mut codes) = ([0; 320], [0; 160]);
        assert_eq!(decoder.decode(payload, &mut samples), payload.len());
        assert_eq!(encoder.encode(&samples, &mut codes), 160);
        assert!(meter.peak(payload) >= 0);
        match payload[0] & 7 {
            0 => decoder.follow(&samples[..usize::from(payload[0])]),
            1 => decoder.skip(payload),
            _ => {}
        }
    }
}

/// Two legs and their meeting, whatever their callers send and control commands: each tick sends at most one packet of
/// voice to each, no longer than a frame, and both legs end when they are closed.
pub fn plane(bytes: &[u8]) {
    static SOUNDS: OnceLock<Arc<Sounds>> = OnceLock::new();
    let sounds =
        SOUNDS.get_or_init(|| Arc::new(Sounds::new(|_| vec![1_000; 800], |_| vec![2_000; 400], &[500; 1_600])));
    let start = Instant::now();
    let mut plane = Plane::new(start, sounds.clone(), PlaneSettings::default(), StdRng::seed_from_u64(1));
    let calls = [CallKey(0), CallKey(1)];
    for call in calls {
        plane.handle_command(start, PlaneCommand::Open { call });
        plane.handle_command(start, negotiated(call, 0));
    }
    let mut script = Script::new(bytes);
    let mut sequences = [0u16; 2];
    let (mut digits, mut asked, mut closed) = (0, 0, 0);
    while !script.is_over() {
        let which = script.byte();
        let (call, slot) = (calls[usize::from(which & 1)], usize::from(which & 1));
        let source = if which & 2 == 0 { address(call) } else { SocketAddr::from(([198, 51, 100, 9], 9)) };
        let at = plane.next_tick_at() - Duration::from_millis(u64::from(which & 15));
        asked += 1;
        match which >> 4 {
            // Voice and events as they should be, but for their place in the stream.
            0..=5 => {
                let step = script.byte();
                sequences[slot] = sequences[slot].wrapping_add(if step < 200 { 1 } else { script.two() });
                let is_event = which >> 4 == 5;
                let mut header = [0; HEADER_BYTES];
                RtpHeader {
                    payload_type: if is_event { 101 } else { step & 8 },
                    marker: step & 1 == 1,
                    sequence: sequences[slot],
                    timestamp: u32::from(sequences[slot]) * 160,
                    ssrc: 7,
                }
                .write(&mut header);
                let length = if is_event { 4 } else { usize::from(step) };
                let payload = script.take(if is_event { 4 } else { 8 });
                let payload = payload.iter().copied().cycle().take(if payload.is_empty() { 0 } else { length });
                plane.handle_rtp(slot, source, at, &header.into_iter().chain(payload).collect::<Vec<_>>());
            }
            6 | 7 => {
                let length = usize::from(script.byte());
                plane.handle_rtp(slot, source, at, script.take(length));
            }
            8 | 9 => {
                let length = usize::from(script.byte());
                plane.handle_rtcp(slot, source, at, script.take(length));
            }
            10 => plane.handle_command(at, command(call, &mut script)),
            11 if script.byte() == 7 => plane.skip(u32::from(script.byte())),
            _ => {
                let mut sent = [0; 2];
                plane.tick(&mut |slot, stream, _, datagram| {
                    if stream == Stream::Rtp {
                        sent[slot] += 1;
                        assert!(datagram.len() <= HEADER_BYTES + FRAME_SAMPLES);
                    } else {
                        assert!(datagram.len() <= REPORT_BYTES_MAX);
                    }
                });
                assert!(sent.iter().all(|packets| *packets <= 1), "{sent:?} packets in one tick");
            }
        }
        while let Some(event) = plane.poll_event() {
            digits += usize::from(matches!(event, PlaneEvent::Digit { .. }));
        }
        assert!(digits <= asked, "more digits than anything");
    }
    for call in calls {
        plane.handle_command(plane.next_tick_at(), PlaneCommand::Close { call });
    }
    for _ in 0..3 {
        plane.tick(&mut |_, _, _, _| {});
    }
    while let Some(event) = plane.poll_event() {
        closed += usize::from(matches!(event, PlaneEvent::Closed { .. }));
    }
    assert_eq!((closed, plane.legs()), (2, 0));
}

fn address(call: CallKey) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4_000 + 2 * call.0 as u16))
}

fn negotiated(call: CallKey, choice: u8) -> PlaneCommand {
    let remote = address(call);
    PlaneCommand::Negotiate {
        call,
        signalled_from: remote.ip(),
        media: Box::new(NegotiatedMedia {
            remote_rtp: remote,
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
            codec: Codec::ALL[usize::from(choice) % 4],
            payload_type: Codec::ALL[usize::from(choice) % 4].payload_type(),
            bits_per_second_max: None,
            telephone_event: (choice & 2 == 0).then_some(101),
            from_peer: FromPeer {
                voice: Codec::ALL[usize::from(choice) % 4].payload_type(),
                events: (choice & 2 == 0).then_some((101, 8_000)),
            },
            direction: [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
                [usize::from(choice >> 2) % 4],
        }),
    }
}

fn command(call: CallKey, script: &mut Script<'_>) -> PlaneCommand {
    let (kind, value) = (script.below(9), script.byte());
    let meeting = MeetingKey(u64::from(value & 1));
    match kind {
        0 => negotiated(call, value),
        1 => PlaneCommand::Background { call, background: Background::Music },
        2 => PlaneCommand::Background { call, background: Background::Silence },
        3 => {
            let prompts = [Prompt::ALL[usize::from(value) % Prompt::ALL.len()], Prompt::Goodbye].into();
            PlaneCommand::Play { call, playback: PlaybackKey(u64::from(value)), prompts }
        }
        4 => PlaneCommand::StopPlayback { call },
        5 => {
            let digit = Digit::from_char(char::from(b'0' + value % 10)).expect("a digit");
            PlaneCommand::InfoDigit { call, digit, duration_ms: FRAME.as_millis() as u32 * u32::from(value) }
        }
        6 => PlaneCommand::Admit { meeting, calls: [CallKey(0), CallKey(1), CallKey(2)].into() },
        7 => PlaneCommand::Mute { call, muted: value & 1 == 0 },
        _ => PlaneCommand::Chime { meeting, chime: Chime::ALL[usize::from(value) % 2] },
    }
}
