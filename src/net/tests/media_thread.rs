//! Real sockets on loopback, in real time: what the plane's own tests can't see.

use super::*;
use crate::media::Background;
use crate::wire::g711;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use crate::words::ids::{MeetingKey, PlaybackKey};
use crate::words::media::{Codec, Direction, FRAME, FromPeer, Law, NegotiatedMedia};
use crate::words::prompt::Prompt;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MEETING: MeetingKey = MeetingKey(7);
// Both are levels of µ-law.
const MUSIC: i16 = 4_092;
const VOICE: i16 = 7_932;

fn start(threads: usize) -> MediaThreads {
    // Each test has its own ports; other programs may have some of them.
    static NEXT: AtomicU16 = AtomicU16::new(42_000);
    let first = NEXT.fetch_add(200, Ordering::Relaxed);
    let settings =
        MediaThreadsSettings { threads: Some(threads), ports: first..=first + 199, plane: PlaneSettings::default() };
    let sounds = Sounds::new(|_| vec![1_000; 800], |_| vec![0; 160], &[MUSIC; 8_000]);
    MediaThreads::start(settings, Arc::new(sounds), StdRng::seed_from_u64(3)).unwrap()
}

/// A caller who sends one loud sample value, or silence, and remembers the last he heard.
struct Peer {
    call: CallKey,
    socket: UdpSocket,
    server: SocketAddr,
    says: i16,
    frame: u32,
    heard: Vec<i16>,
    sequences: Vec<u16>,
}

impl Peer {
    fn new(media: &mut MediaThreads, number: u64, says: i16) -> Peer {
        let call = CallKey(number);
        let server = media.open_leg(call, LOOPBACK).unwrap();
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let peer = Peer { call, socket, server, says, frame: 0, heard: Vec::new(), sequences: Vec::new() };
        peer.negotiate(media, peer.socket.local_addr().unwrap());
        peer
    }

    fn negotiate(&self, media: &mut MediaThreads, remote_rtp: SocketAddr) {
        let agreed = NegotiatedMedia {
            remote_rtp,
            remote_rtcp: SocketAddr::new(remote_rtp.ip(), 9),
            codec: Codec::Pcmu,
            payload_type: 0,
            bits_per_second_max: None,
            telephone_event: Some(101),
            from_peer: FromPeer { voice: 0, events: Some((101, 8_000)) },
            direction: Direction::SendRecv,
        };
        media.command(PlaneCommand::Negotiate {
            call: self.call,
            signalled_from: agreed.remote_rtp.ip(),
            media: agreed.into(),
        });
    }

    fn exchange(&mut self) {
        let mut datagram = [0; 172];
        let header = RtpHeader {
            payload_type: 0,
            marker: false,
            sequence: self.frame as u16,
            timestamp: self.frame * 160,
            ssrc: 1,
        };
        header.write(datagram.first_chunk_mut::<HEADER_BYTES>().unwrap());
        datagram[HEADER_BYTES..].fill(g711::encode(Law::Mu, self.says));
        self.frame += 1;
        self.socket.send_to(&datagram, self.server).unwrap();
        let mut buffer = [0; 2048];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            assert_eq!(source, self.server);
            let packet = RtpPacket::parse(&buffer[..length]).unwrap();
            self.sequences.push(packet.sequence);
            self.heard.push(g711::decode(Law::Mu, packet.payload[80]));
        }
    }
}

fn exchange(peers: &mut [&mut Peer], seconds: f32) {
    let start = Instant::now();
    for frame in 0..(seconds * 50.0) as u32 {
        for peer in peers.iter_mut() {
            peer.exchange();
        }
        std::thread::sleep((start + FRAME * (frame + 1)).saturating_duration_since(Instant::now()));
    }
}

fn wait_for(media: &mut MediaThreads, what: impl Fn(&PlaneEvent) -> bool) -> PlaneEvent {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        match media.try_next_event() {
            Some(event) if what(&event) => return event,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    panic!("the event did not come");
}

#[test]
fn callers_on_two_threads_meet_and_no_packet_is_lost_on_the_way() {
    let mut media = start(2);
    let mut a = Peer::new(&mut media, 1, VOICE);
    let mut b = Peer::new(&mut media, 2, 0);
    let mut c = Peer::new(&mut media, 3, 0);
    for peer in [&a, &b, &c] {
        media.command(PlaneCommand::Background { call: peer.call, background: Background::Music });
    }
    exchange(&mut [&mut a, &mut b, &mut c], 0.5);
    for peer in [&a, &b, &c] {
        assert_eq!(peer.heard.last(), Some(&MUSIC));
    }
    assert_ne!(media.router.station_of(a.call), media.router.station_of(b.call));
    for peer in [&b, &a] {
        media.command(PlaneCommand::Gather { call: peer.call, meeting: MEETING });
    }
    // The third was not gathered: to be admitted is enough.
    media.command(PlaneCommand::Admit { meeting: MEETING, calls: [a.call, b.call, c.call].into() });
    exchange(&mut [&mut a, &mut b, &mut c], 1.0);
    assert!(a.heard.last().unwrap().abs() < 10, "a hears himself");
    assert_eq!((b.heard.last(), c.heard.last()), (Some(&VOICE), Some(&VOICE)));
    for peer in [&a, &b, &c] {
        assert!(peer.sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    }
    let legs = media.router.legs();
    assert_eq!(legs.iter().sum::<usize>(), 3);
    assert!(legs.contains(&3), "all three live on one thread: {legs:?}");

    for peer in [&a, &b, &c] {
        media.command(PlaneCommand::Close { call: peer.call });
    }
    for _ in 0..3 {
        wait_for(&mut media, |event| matches!(event, PlaneEvent::Closed { .. }));
    }
    assert_eq!(media.router.booked(), (0, 0));
    assert_eq!(media.router.legs().iter().sum::<usize>(), 0);
    assert_eq!(media.ports.free(), media.ports.pairs());
}

#[test]
fn a_leg_that_is_sent_round_in_haste_arrives_and_obeys() {
    let mut media = start(3);
    let mut peers: Vec<Peer> = (1..=9).map(|number| Peer::new(&mut media, number, 0)).collect();
    peers[8].says = VOICE;
    for round in 0..20 {
        for peer in &peers {
            let meeting = MeetingKey((peer.call.0 + round) % 3 + 1);
            media.command(PlaneCommand::Gather { call: peer.call, meeting });
        }
    }
    let calls = peers.iter().map(|peer| peer.call).collect();
    media.command(PlaneCommand::Admit { meeting: MEETING, calls });
    exchange(&mut peers.iter_mut().collect::<Vec<_>>(), 1.0);
    for peer in &peers[..8] {
        assert_eq!(peer.heard.last(), Some(&VOICE), "{}", peer.call);
    }
}

#[test]
fn events_come_up_and_ports_are_free_after_closed() {
    let mut media = start(1);
    let mut peer = Peer::new(&mut media, 1, 0);
    let playback = PlaybackKey(4);
    media.command(PlaneCommand::Play { call: peer.call, playback, prompts: [Prompt::Welcome].into() });
    exchange(&mut [&mut peer], 0.3);
    let source = peer.socket.local_addr().unwrap();
    let bound = wait_for(&mut media, |event| matches!(event, PlaneEvent::SourceBound { .. }));
    assert_eq!(bound, PlaneEvent::SourceBound { call: peer.call, source, as_agreed: true });
    wait_for(&mut media, |event| *event == PlaneEvent::PlaybackFinished { call: peer.call, playback });
    media.command(PlaneCommand::Close { call: peer.call });
    let closed = wait_for(&mut media, |event| matches!(event, PlaneEvent::Closed { .. }));
    let PlaneEvent::Closed { statistics, .. } = closed else { panic!() };
    assert!(statistics.packets_received >= 10 && statistics.packets_sent >= 10, "{statistics:?}");
    UdpSocket::bind(peer.server).expect("the socket is closed before its port is free");
}

#[test]
fn a_changed_address_is_followed_and_a_stranger_gets_nothing() {
    let mut media = start(1);
    let mut peer = Peer::new(&mut media, 1, 0);
    media.command(PlaneCommand::Background { call: peer.call, background: Background::Music });
    exchange(&mut [&mut peer], 0.4);
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    stranger.set_nonblocking(true).unwrap();
    for _ in 0..10 {
        stranger.send_to(&[0x80; 172], peer.server).unwrap();
        exchange(&mut [&mut peer], 0.04);
    }
    assert!(stranger.recv(&mut [0; 200]).is_err());
    // The peer goes on from another port.
    let moved = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    moved.set_nonblocking(true).unwrap();
    peer.negotiate(&mut media, moved.local_addr().unwrap());
    std::thread::sleep(Duration::from_millis(60));
    let old = std::mem::replace(&mut peer.socket, moved);
    while old.recv(&mut [0; 200]).is_ok() {}
    let heard = peer.heard.len();
    exchange(&mut [&mut peer], 0.5);
    assert!(peer.heard.len() >= heard + 15, "{}", peer.heard.len() - heard);
    assert!(old.recv(&mut [0; 200]).is_err(), "the old address hears nothing more");
}

#[test]
fn when_ports_are_used_up_the_call_is_refused_with_the_reason() {
    let mut media = start(1);
    let opened = (0..).take_while(|&number| media.open_leg(CallKey(number), LOOPBACK).is_ok()).count();
    assert!((90..=100).contains(&opened), "{opened}");
    let error = media.open_leg(CallKey(1_000), LOOPBACK).unwrap_err();
    assert!(error.to_string().contains("rtp.ports") || error.to_string().contains("127.0.0.1"), "{error}");
    let elsewhere = media.open_leg(CallKey(1_001), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert!(elsewhere.is_err());
    assert_eq!(media.counters().ports_free, (media.ports.pairs() - opened) as u64);
}

#[test]
fn commands_for_nobody_do_nothing_and_stop_ends_all() {
    let mut media = start(2);
    let call = CallKey(404);
    media.command(PlaneCommand::Close { call });
    media.command(PlaneCommand::Gather { call, meeting: MEETING });
    media.command(PlaneCommand::Admit { meeting: MEETING, calls: [call].into() });
    media.command(PlaneCommand::Chime { meeting: MEETING, chime: crate::words::prompt::Chime::Exit });
    assert_eq!(media.router.booked(), (0, 0));
    media.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(media.next_event()), None);
    assert!(media.counters().ticks > 0 || media.counters().ticks_skipped == 0);
}
