//! One loop, without its thread: nothing passes but what a test does. Its next tick is a minute away.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::AtomicU16;
use std::sync::mpsc::sync_channel;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::Receiver as EventReceiver;

use super::*;
use crate::media::{PlaneCommand, PlaneSettings, Sounds};
use crate::net::ports::open_pair;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader};
use crate::words::ids::CallKey;
use crate::words::media::{Codec, Direction, FromPeer, NegotiatedMedia};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const EVENT: u8 = 101;

struct Bench {
    media: MediaLoop,
    events: EventReceiver<PlaneEvent>,
}

impl Bench {
    fn new() -> Bench {
        let sounds = Sounds::new(|_| vec![0; 160], |_| vec![0; 160], &[0; 160]);
        let start = Instant::now() + Duration::from_secs(60);
        let plane = Plane::new(start, Arc::new(sounds), PlaneSettings::default(), StdRng::seed_from_u64(5));
        let (_, commands) = sync_channel(1);
        let (event_sender, events) = tokio::sync::mpsc::channel(64);
        let counters = Arc::new(ThreadCounters::default());
        Bench { media: MediaLoop::new(plane, commands, Vec::new(), event_sender, counters), events }
    }

    fn open(&mut self, call: u64) -> Phone {
        // Each test has its own ports; other programs may have some of them.
        static NEXT: AtomicU16 = AtomicU16::new(46_000);
        let call = CallKey(call);
        let port = || NEXT.fetch_add(2, Ordering::Relaxed);
        let sockets = (0..100).find_map(|_| open_pair(LOOPBACK, port()).ok()).unwrap();
        let server = sockets.rtp.local_addr().unwrap();
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let remote_rtp = socket.local_addr().unwrap();
        let media = NegotiatedMedia {
            remote_rtp,
            remote_rtcp: remote_rtp,
            codec: Codec::Pcmu,
            payload_type: 0,
            bits_per_second_max: None,
            telephone_event: Some(EVENT),
            from_peer: FromPeer { voice: 0, events: Some((EVENT, 8_000)) },
            direction: Direction::SendRecv,
        };
        self.media.handle_message(Message::Open { call, sockets: LegSockets::new(sockets) });
        let negotiated = PlaneCommand::Negotiate { call, media: media.into(), signalled_from: LOOPBACK };
        self.media.handle_message(Message::Plane(negotiated));
        Phone { socket, server, sequence: 0 }
    }

    fn tick(&mut self) -> Vec<char> {
        self.media.tick();
        self.media.give_events();
        self.told()
    }

    /// The keys that control was told of.
    fn told(&mut self) -> Vec<char> {
        let mut keys = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let PlaneEvent::Digit { digit, .. } = event {
                keys.push(digit.expose());
            }
        }
        keys
    }
}

struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    sequence: u16,
}

impl Phone {
    /// The first packet of this key's event (RFC 4733 section 2.3).
    fn press(&mut self, key: u8) {
        self.send(EVENT, true, &[key, 10, 0, 160]);
    }

    fn speak(&mut self) {
        self.send(0, false, &[0xff; 160]);
    }

    fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8]) {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 1_600;
        let header = RtpHeader { payload_type, marker, sequence: self.sequence, timestamp, ssrc: 9 };
        let mut datagram = vec![0; HEADER_BYTES];
        header.write(datagram.first_chunk_mut().unwrap());
        datagram.extend(payload);
        self.socket.send_to(&datagram, self.server).unwrap();
    }
}

#[test]
fn who_dials_is_heard_before_the_next_tick() {
    let mut bench = Bench::new();
    let mut phone = bench.open(1);
    assert!(!bench.media.take_early(), "nobody dials");
    phone.press(4);
    assert_eq!(bench.tick(), ['4']);
    phone.press(2);
    assert!(bench.media.take_early());
    bench.media.give_events();
    assert_eq!(bench.told(), ['2']);
    phone.press(7);
    phone.press(11);
    bench.media.take_early();
    bench.media.take_early();
    bench.media.give_events();
    assert_eq!(bench.told(), ['7', '#']);
    // What was read early is not missing in the tick, and nothing is told twice.
    assert!(bench.tick().is_empty());
}

#[test]
fn a_flood_of_who_dials_does_not_hold_the_loop() {
    let mut bench = Bench::new();
    let (mut phone, mut other) = (bench.open(1), bench.open(2));
    phone.press(4);
    assert_eq!(bench.tick(), ['4']);
    (0..100).for_each(|_| phone.speak());
    other.press(1);
    let looks = (0..EARLY_LOOKS_PER_TICK).filter(|_| bench.media.take_early()).count();
    assert_eq!(looks, EARLY_LOOKS_PER_TICK);
    bench.media.give_events();
    assert!(bench.told().is_empty(), "the other one has not dialled: his key comes with the tick");
    assert_eq!(bench.tick(), ['1']);
}

#[test]
fn a_call_that_has_ended_while_it_dialled_is_waited_for_no_longer() {
    let mut bench = Bench::new();
    let mut phone = bench.open(1);
    phone.press(4);
    assert_eq!(bench.tick(), ['4']);
    bench.media.handle_message(Message::Plane(PlaneCommand::Close { call: CallKey(1) }));
    bench.tick();
    phone.press(5);
    assert!(!bench.media.take_early());
    assert!(bench.told().is_empty());
}
