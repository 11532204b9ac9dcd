//! Nothing on a packet's way allocates: not while callers wait, speak, press keys or lose packets, in a lobby or a meeting.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anteroom::media::{Background, Plane, PlaneCommand, PlaneEvent, PlaneSettings, Sounds};
use anteroom::net::udp_drain::{Clocks, UdpDrain, stamp_arrivals};
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader};
use anteroom::wire::{g711, opus};
use anteroom::words::ids::{CallKey, MeetingKey, PlaybackKey};
use anteroom::words::media::{Codec, Direction, FRAME, FromPeer, Law, NegotiatedMedia};
use anteroom::words::prompt::{Chime, Prompt};
use rand::SeedableRng;
use rand::rngs::StdRng;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged; the count is a plain cell of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_in(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const CALLS: u64 = 24;
const PACKET_BYTES: usize = HEADER_BYTES + opus::SENT_BYTES_MAX;

fn address(call: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, call as u8], 4_000))
}

/// Every eighth has Opus, where it is built in.
fn codec(call: u64) -> Codec {
    if opus::IS_BUILT_IN && call % 8 == 7 { Codec::Opus } else { Codec::PREFERRED[call as usize % 3] }
}

/// A packet of Opus: noise.
fn opus_packet() -> &'static [u8] {
    static PACKET: OnceLock<Vec<u8>> = OnceLock::new();
    PACKET.get_or_init(|| {
        let mut packet = vec![0; opus::SENT_BYTES_MAX];
        let samples: Vec<i16> = (0..320).map(|at| (at * 7_919 % 8_000) as i16 - 4_000).collect();
        let encoder = opus::Encoder::for_voice(opus::BITS_PER_SECOND);
        let length = encoder.map_or(0, |mut encoder| encoder.encode(&samples, &mut packet));
        packet.truncate(length);
        packet
    })
}

/// What a caller sends in one frame, if anything: voice, noise, a key tone, or a telephone-event.
fn datagram(call: u64, frame: u32, out: &mut [u8; PACKET_BYTES]) -> Option<usize> {
    let (codec, is_event) = (codec(call), call % 6 == 5 && frame % 50 < 10);
    // A tenth of the packets is lost.
    if (u64::from(frame) * 31 + call * 17).is_multiple_of(10) {
        return None;
    }
    let payload_type = if is_event { 101 } else { codec.payload_type() };
    let timestamp = codec.clock_rate() / 50 * if is_event { frame / 50 * 50 } else { frame };
    let header = RtpHeader { payload_type, marker: false, sequence: frame as u16, timestamp, ssrc: call as u32 };
    header.write(out.first_chunk_mut::<HEADER_BYTES>()?);
    if is_event {
        let duration = (frame % 50 + 1) * 160;
        out[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&[5, 10, (duration >> 8) as u8, duration as u8]);
        return Some(HEADER_BYTES + 4);
    }
    if codec == Codec::Opus {
        let packet = opus_packet();
        out[HEADER_BYTES..][..packet.len()].copy_from_slice(packet);
        return Some(HEADER_BYTES + packet.len());
    }
    for (at, octet) in out[HEADER_BYTES..172].iter_mut().enumerate() {
        let time = (frame as usize * 160 + at) as f32 / 8000.0 * std::f32::consts::TAU;
        let sample = match call % 6 {
            0 => 6000.0 * (time * (200.0 + 30.0 * call as f32)).sin(),
            1 if frame % 10 < 5 => 4000.0 * (time * 770.0).sin() + 4000.0 * (time * 1209.0).sin(),
            _ => 40.0 * (time * 50.0).sin(),
        };
        // To G.722 it is a noise.
        *octet = g711::encode(codec.law().unwrap_or(Law::Mu), sample as i16);
    }
    Some(172)
}

#[test]
fn ticks_and_packets_allocate_nothing() {
    let start = Instant::now();
    opus_packet();
    let sounds = Sounds::new(|_| vec![1000; 16_000], |_| vec![2000; 3_000], &[500; 80_000]);
    let mut plane = Plane::new(start, Arc::new(sounds), PlaneSettings::default(), StdRng::seed_from_u64(1));
    for number in 0..CALLS {
        let call = CallKey(number);
        let codec = codec(number);
        let remote = address(number);
        let media = NegotiatedMedia {
            remote_rtp: remote,
            remote_rtcp: SocketAddr::new(remote.ip(), 4_001),
            codec,
            payload_type: codec.payload_type(),
            bits_per_second_max: None,
            telephone_event: (number % 3 == 2).then_some(101),
            from_peer: FromPeer {
                voice: codec.payload_type(),
                events: (number % 3 == 2).then_some((101, codec.clock_rate())),
            },
            direction: Direction::SendRecv,
        };
        let background =
            if number < CALLS / 2 { Background::Music } else { Background::Meeting(MeetingKey(number % 3)) };
        plane.handle_command(start, PlaneCommand::Open { call });
        plane.handle_command(
            start,
            PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media: media.into() },
        );
        plane.handle_command(start, PlaneCommand::Background { call, background });
    }
    let (mut sent, mut digits, mut finished) = (0usize, 0usize, 0usize);
    let mut run = |plane: &mut Plane, frames: std::ops::Range<u32>| {
        let mut octets = [0; PACKET_BYTES];
        for frame in frames {
            for number in 0..CALLS {
                let slot = plane.slot_of(CallKey(number)).unwrap();
                if let Some(length) = datagram(number, frame, &mut octets) {
                    let at = plane.next_tick_at() - FRAME / 3;
                    plane.handle_rtp(slot, address(number), at, &octets[..length]);
                }
            }
            plane.tick(&mut |_, _, _, _| sent += 1);
            while let Some(event) = plane.poll_event() {
                digits += usize::from(matches!(event, PlaneEvent::Digit { .. }));
                finished += usize::from(matches!(event, PlaneEvent::PlaybackFinished { .. }));
            }
        }
    };
    // From the very first packet on.
    assert_eq!(allocations_in(|| run(&mut plane, 0..1_000)), 0);
    for number in 0..CALLS {
        let prompts = [Prompt::Welcome, Prompt::EnterPin].into();
        plane.handle_command(start, PlaneCommand::Play { call: CallKey(number), playback: PlaybackKey(1), prompts });
        plane.handle_command(start, PlaneCommand::Chime { meeting: MeetingKey(number % 3), chime: Chime::Exit });
    }
    assert_eq!(allocations_in(|| run(&mut plane, 1_000..2_000)), 0);
    // The lobby goes in.
    let calls = (0..CALLS).map(CallKey).collect();
    plane.handle_command(start, PlaneCommand::Admit { meeting: MeetingKey(1), calls });
    assert_eq!(allocations_in(|| run(&mut plane, 2_000..4_000)), 0);
    assert!(sent > 90_000 && digits > 100 && finished == CALLS as usize, "{sent} {digits} {finished}");
}

#[test]
fn reading_a_socket_allocates_nothing() {
    let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    ours.set_nonblocking(true).unwrap();
    stamp_arrivals(&ours).unwrap();
    let to = ours.local_addr().unwrap();
    let mut drain = UdpDrain::default();
    let mut read = 0;
    let allocated = allocations_in(|| {
        for _ in 0..100 {
            theirs.send_to(&[7; 172], to).unwrap();
            drain.drain(&ours, &Clocks::read(), 16, |_, _, datagram| {
                read += datagram.len();
                true
            });
        }
    });
    assert_eq!((allocated, read), (0, 17_200));
}
