//! RTP and RTCP of others on a call's ports. Who finds a port must not be sent the call's voice (RTP Bleed), nor be heard
//! in it, nor press keys in it.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anteroom::wire::rtp::RtpHeader;
use anteroom::wire::telephone_event::TelephoneEvent;
use anteroom::words::secret::Digit;

use super::caller::{Caller, Dial, SOON, Stream, rtp_packet};
use super::raw::*;
use super::support::{Organizer, Server};

/// For how long after a negotiation another source than the agreed one may be learned, with something on top.
const WINDOW: Duration = Duration::from_secs(6);

/// What somebody else can send who knows the call's port, and even the stream that goes there.
fn voice(stream: Stream, ahead: u16, payload_type: u8) -> Vec<u8> {
    let header = RtpHeader {
        payload_type,
        marker: false,
        sequence: stream.sequence.wrapping_add(ahead),
        timestamp: stream.timestamp.wrapping_add(160 * u32::from(ahead)),
        ssrc: stream.ssrc,
    };
    rtp_packet(header, &[0x10; 160])
}

/// A conference ID and #, as telephone-events of this stream.
fn keys(stream: Stream, payload_type: u8, keys: &str) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut sequence = stream.sequence;
    for (number, key) in keys.chars().enumerate() {
        let event = Digit::from_char(key).unwrap().event_code();
        for (duration, end) in [(160, false), (320, false), (480, true), (480, true), (480, true)] {
            sequence = sequence.wrapping_add(1);
            let timestamp = stream.timestamp.wrapping_add(1_600 * (number as u32 + 1));
            let header = RtpHeader { payload_type, marker: duration == 160, sequence, timestamp, ssrc: stream.ssrc };
            packets.push(rtp_packet(header, &TelephoneEvent { event, end, volume: 10, duration }.write()));
        }
    }
    packets
}

fn rtcp_of(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}

/// RTCP BYE in the caller's name.
fn rtcp_bye(ssrc: u32) -> Vec<u8> {
    let ssrc = ssrc.to_be_bytes();
    [&[0x80, 201, 0, 1][..], &ssrc, &[0x81, 203, 0, 1], &ssrc].concat()
}

/// Everything that a third address can try, at once: nothing comes back to it.
fn attack(attacker: &Plug, caller: &Caller, organizer: &Organizer) {
    let (rtp, stream, event_type) = (caller.server_rtp(), caller.stream(), caller.event_payload_type());
    for stream in [stream, Stream { ssrc: stream.ssrc ^ 1, ..stream }] {
        for ahead in 1..20 {
            attacker.send_to(voice(stream, ahead, 0), rtp);
        }
        for packet in keys(stream, event_type, &organizer.conference_id) {
            attacker.send_to(packet, rtp);
        }
        attacker.send_to(rtcp_bye(stream.ssrc), rtcp_of(rtp));
        attacker.send_to(voice(stream, 1, 0), rtcp_of(rtp));
    }
    attacker.send_to(b"who is there?", rtp);
}

/// The caller's call is what it was: he is sent voice, he is heard, and no key but his own was counted.
fn assert_untouched(server: &Server, caller: &Caller, attacker: &Plug) {
    caller.wait_heard(15);
    assert!(!caller.has_ended());
    assert_eq!(caller.heard_from(), [caller.server_rtp()]);
    assert!(attacker.drain().is_empty(), "the attacker was sent something");
    let log = server.log_text();
    assert!(!log.contains("entered a"), "keys of an attacker were counted: {log}");
}

fn start(name: &str, network: &str) -> (Server, Organizer) {
    let listen = format!("sip.listen={network}.1:0");
    // Long times, so that the log has nothing of the caller's but what he does.
    let server = Server::start(name, &[&listen, "attendant.prompt_repeat_s=60", "log.level=debug"]);
    let organizer = server.enable("anna@example.com");
    (server, organizer)
}

#[test]
fn a_third_address_gets_nothing_and_changes_nothing() {
    let (mut server, organizer) = start("bleed", "127.70.0");
    let attacker = Plug::new("127.70.0.3", server.sip);
    let caller = Caller::call(server.sip, "127.70.0.2");
    caller.wait_established();
    caller.wait_heard(10);
    server.wait_for_line("voice comes from the agreed address", SOON);

    // The source is known: within the window in which it might have been learned …
    attack(&attacker, &caller, &organizer);
    assert_untouched(&server, &caller, &attacker);
    // … after a negotiation that changes nothing, as session timers and hold make it …
    assert_eq!(caller.reinvite(), 200);
    attack(&attacker, &caller, &organizer);
    assert_untouched(&server, &caller, &attacker);
    // … and long afterwards.
    std::thread::sleep(WINDOW);
    attack(&attacker, &caller, &organizer);
    assert_untouched(&server, &caller, &attacker);

    // His own keys count, before and behind all this.
    caller.press(&organizer.conference_id);
    server.wait_for_line("entered a conference ID that exists", SOON);
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_never_panicked(&mut server);
}

/// Before the caller has said a word: what is no RTP of this call, or only a packet or two of it, learns nothing. (A whole
/// stream may be the caller himself behind address translation; but where the agreed address speaks, it is he.)
#[test]
fn a_port_that_waits_for_its_caller_is_not_given_to_the_first_who_knocks() {
    let (mut server, organizer) = start("knock", "127.71.0");
    let attacker = Plug::new("127.71.0.3", server.sip);
    // His voice has another address than his SIP: only so can a source be learned that nobody named.
    let elsewhere = "127.71.0.4".parse().unwrap();
    let caller = Caller::dial(server.sip, Dial { speaks: false, voice: elsewhere, ..Dial::from("127.71.0.2") });
    caller.wait_established();
    caller.wait_heard(5);
    let (rtp, stream) = (caller.server_rtp(), caller.stream());

    attacker.send_to(b"who is there?", rtp);
    attacker.send_to(voice(stream, 1, 18), rtp);
    attacker.send_to(rtcp_bye(stream.ssrc), rtcp_of(rtp));
    // One port after the other is sprayed with a packet or two.
    attacker.send_to(voice(stream, 1, 0), rtp);
    attacker.send_to(voice(stream, 2, 0), rtp);
    assert_untouched(&server, &caller, &attacker);
    // Keys at random do not make a stream either.
    for packet in keys(stream, caller.event_payload_type(), &organizer.conference_id).iter().step_by(3) {
        attacker.send_to(packet, rtp);
    }
    assert_untouched(&server, &caller, &attacker);

    // A stream from elsewhere, at the pace of one, is learned; and loses its place to the agreed address at once.
    for ahead in 1..25 {
        attacker.send_to(voice(stream, 100 + ahead, 0), rtp);
        std::thread::sleep(Duration::from_millis(20));
    }
    server.wait_for_line("voice comes from another address than agreed", SOON);
    caller.speak(true);
    server.wait_for_line("voice comes from the agreed address", SOON);
    caller.wait_heard(5);
    attacker.drain();
    attack(&attacker, &caller, &organizer);
    assert_untouched(&server, &caller, &attacker);
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_never_panicked(&mut server);
}

/// A caller who says nothing yet, and whose SDP names the address that his SIP comes from: nobody else can be he.
#[test]
fn nobody_is_heard_in_the_place_of_a_silent_caller_whose_address_is_known() {
    let (mut server, organizer) = start("silent", "127.76.0");
    let attacker = Plug::new("127.76.0.3", server.sip);
    let caller = Caller::dial(server.sip, Dial { speaks: false, ..Dial::from("127.76.0.2") });
    caller.wait_established();
    caller.wait_heard(5);
    for ahead in 1..50 {
        attacker.send_to(voice(caller.stream(), 100 + ahead, 0), caller.server_rtp());
        std::thread::sleep(Duration::from_millis(20));
    }
    attack(&attacker, &caller, &organizer);
    assert_untouched(&server, &caller, &attacker);
    assert!(!server.log_text().contains("voice comes from"), "a stranger was believed");
    caller.speak(true);
    server.wait_for_line("voice comes from the agreed address", SOON);
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_never_panicked(&mut server);
}

/// A caller whose address changes without a word is not followed, or anybody could be "he"; with a re-INVITE he is.
#[test]
fn another_address_is_learned_after_a_re_invite_only() {
    let (mut server, organizer) = start("moved", "127.72.0");
    let mut caller = Caller::call(server.sip, "127.72.0.2");
    caller.wait_established();
    caller.wait_heard(10);
    server.wait_for_line("voice comes from the agreed address", SOON);

    caller.move_rtp(false);
    let before = caller.heard();
    caller.press(&organizer.conference_id);
    std::thread::sleep(Duration::from_millis(500));
    // A packet that was on its way when the sockets were changed is none that was sent to the new one.
    assert_eq!(caller.heard(), before, "followed without a negotiation");
    assert!(!server.log_text().contains("entered a"), "keys from an address that nobody agreed on");

    caller.move_rtp(true);
    assert_eq!(caller.wait_reinvite(0), 200);
    caller.wait_heard(25);
    caller.press(&organizer.conference_id);
    server.wait_for_line("entered a conference ID that exists", SOON);
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_never_panicked(&mut server);
}

/// After the call its ports belong to nobody: closed to the world, and free to be taken.
#[test]
fn the_ports_of_a_call_are_closed_when_it_is_over() {
    let (mut server, _) = start("ports", "127.73.0");
    let caller = Caller::call(server.sip, "127.73.0.2");
    caller.wait_established();
    caller.wait_heard(5);
    let ports = [caller.server_rtp(), rtcp_of(caller.server_rtp())];
    for port in ports {
        assert!(UdpSocket::bind(port).is_err(), "{port} is the call's");
    }
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_holds_no_call(&server);
    for port in ports {
        let knock = UdpSocket::bind("127.73.0.3:0").unwrap();
        knock.connect(port).unwrap();
        knock.send(&voice(caller.stream(), 1, 0)).unwrap();
        knock.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let began = Instant::now();
        let refused = knock.recv(&mut [0; 10]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{port} after {:?}", began.elapsed());
        UdpSocket::bind(port).unwrap();
    }
    assert_never_panicked(&mut server);
}
