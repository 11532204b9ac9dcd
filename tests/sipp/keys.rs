//! Keys by INFO and by RFC 4733, up to the meeting. What is typed must not be found in the log, at whatever level.

use std::time::Duration;

use crate::sipp::Sipp;
use crate::support::{Organizer, Server};

const SOON: Duration = Duration::from_secs(10);

/// PINs so long that they are in no time stamp or port by chance.
fn server_with_organizer(name: &str) -> (Server, Organizer) {
    let server = Server::start(name, &[]);
    assert!(server.command(&["settings", "set", "pin_length", "12"]).status.success());
    let organizer = server.enable("anna@example.com");
    assert_eq!(organizer.pin.len(), 12);
    (server, organizer)
}

/// How a key is sent as INFO.
#[derive(Clone, Copy)]
pub enum Info {
    DtmfRelay,
    Dtmf,
}

/// Types `keys`, `pause` after each; `,` is 400 ms of nothing.
pub fn type_keys(mut sipp: Sipp, by: Info, keys: &str) -> Sipp {
    let mut keys = keys.chars().peekable();
    while let Some(key) = keys.next() {
        let mut pause_ms = 60;
        while keys.next_if_eq(&',').is_some() {
            pause_ms += 400;
        }
        let (media_type, body) = match by {
            Info::DtmfRelay => ("application/dtmf-relay", format!("Signal={key}\n      Duration=160")),
            Info::Dtmf => ("application/dtmf", key.to_string()),
        };
        sipp = sipp.row(&[("type", media_type), ("body", &body), ("pause_ms", &pause_ms.to_string())]);
    }
    sipp
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_meeting_starts_by_keys_that_come_as_dtmf_relay() {
    hold_meeting("sipp-info-relay", Info::Dtmf, Info::DtmfRelay);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_meeting_starts_by_keys_that_come_as_bare_dtmf() {
    hold_meeting("sipp-info-dtmf", Info::DtmfRelay, Info::Dtmf);
}

/// One enters the conference ID, the organizer enters it and the PIN: the meeting starts, with both in it.
fn hold_meeting(name: &str, participant: Info, leader: Info) {
    let (server, organizer) = server_with_organizer(name);
    let keys = organizer.conference_id.clone();
    let comes = type_keys(Sipp::new(&server, "info"), participant, &keys).lasting(Duration::from_secs(6)).start();
    server.wait_for_line("entered a conference ID that exists", SOON);
    let keys = format!("{},*,{}#", organizer.conference_id, organizer.pin);
    let starts = type_keys(Sipp::new(&server, "info"), leader, &keys).lasting(Duration::from_millis(1000)).run();
    let typed = organizer.conference_id.len() + 1 + organizer.pin.len() + 1;
    assert_eq!(starts.answers(200, "INFO").len(), typed);
    comes.finish();
    assert_meeting_was_held(&server, &organizer);
}

fn assert_meeting_was_held(server: &Server, organizer: &Organizer) {
    let records = server.wait_for_records(2, SOON);
    let leaders = records.iter().filter(|record| record["leader"] == true).count();
    assert_eq!((records.len(), leaders), (2, 1), "{records:?}");
    for record in &records {
        assert_eq!(record["reached"], "meeting", "{record}");
        assert_eq!(record["conference_id"], organizer.conference_id.as_str());
        assert_eq!(record["organizer"], organizer.identity.as_str());
        assert_eq!(record["ended"], "caller_hung_up");
    }
    server.wait_for_line("the meeting starts, by the leader's PIN", SOON);
    assert_eq!(server.metric("anteroom_meetings_started_total"), 1.0);
    assert_eq!(server.metric("anteroom_pins_wrong_total"), 0.0);
    server.assert_keys_unlogged(&[&organizer.pin]);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn wrong_keys_are_in_no_log_either() {
    let (server, organizer) = server_with_organizer("sipp-wrong-keys");
    let (wrong_id, wrong_pin) = ("0918273", "918273645546");
    // Without # the next digits would be taken for slips of the finger behind a complete conference ID.
    let keys = format!("{wrong_id}#,{},*,{wrong_pin}#", organizer.conference_id);
    type_keys(Sipp::new(&server, "info"), Info::DtmfRelay, &keys).lasting(Duration::from_millis(1000)).run();
    server.wait_for_line("entered a conference ID that leads nowhere", SOON);
    server.wait_for_line("entered a wrong PIN", SOON);
    server.assert_keys_unlogged(&[wrong_id, wrong_pin, &organizer.pin]);
    let record = &server.wait_for_records(1, SOON)[0];
    let text = record.to_string();
    assert!(!text.contains(wrong_id) && !text.contains(wrong_pin), "{text}");
}

/// SIPp plays recorded packets by a raw socket.
const CAP_NET_RAW: u64 = 1 << 13;

fn may_play_packets() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & CAP_NET_RAW != 0
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_meeting_starts_by_keys_that_sipp_plays_as_rfc_4733_packets() {
    if !may_play_packets() {
        eprintln!("not run: SIPp plays packets as root only (CAP_NET_RAW)");
        return;
    }
    let (server, organizer) = server_with_organizer("sipp-rfc4733");
    let keys = format!("{},*,{}#", organizer.conference_id, organizer.pin);
    let packets = recording(&keys);
    // 20 ms of each packet: the pause lasts as long as the recording.
    let lasting = packets.1 + Duration::from_millis(1500);
    Sipp::new(&server, "rfc4733").file("keys.pcap", packets.0).lasting(lasting).run();
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!((&record["reached"], &record["leader"]), (&"meeting".into(), &true.into()), "{record}");
    server.wait_for_line("the meeting starts, by the leader's PIN", SOON);
    server.assert_keys_unlogged(&[&organizer.pin]);
}

/// A pcap file of RFC 4733 packets, as a recorder on the wire would have written it, and how long it takes: each key for
/// 100 ms in a packet each 20 ms, then its last packet three times; `,` is 400 ms of nothing.
fn recording(keys: &str) -> (Vec<u8>, Duration) {
    /// Samples in 20 ms.
    const STEP: u32 = 160;
    let mut file = Vec::new();
    // The header of a pcap file in this machine's byte order: version 2.4, Ethernet.
    file.extend(0xA1B2_C3D4_u32.to_ne_bytes());
    file.extend([2_u16, 4].into_iter().flat_map(u16::to_ne_bytes));
    file.extend([0_u32, 0, 65_535, 1].into_iter().flat_map(u32::to_ne_bytes));
    let (mut sequence, mut at_ms, mut timestamp) = (1_u16, 0_u32, 1000_u32);
    for key in keys.chars() {
        let Some(event) = "0123456789*#".find(key) else {
            at_ms += 400;
            timestamp += 400 * 8;
            continue;
        };
        for number in 0..8_u32 {
            let is_end = number >= 5;
            let duration = (number + 1).min(6) * STEP;
            let mut packet = vec![0x80, 101 | if number == 0 { 0x80 } else { 0 }];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend(0x0A0B_0C0D_u32.to_be_bytes());
            packet.extend([u8::try_from(event).unwrap(), if is_end { 0x8A } else { 0x0A }]);
            packet.extend(u16::try_from(duration).unwrap().to_be_bytes());
            record_packet(&mut file, at_ms, &packet);
            sequence += 1;
            // The three last ones go out at once.
            at_ms += if is_end && number < 7 { 0 } else { 20 };
        }
        at_ms += 60;
        timestamp += 12 * STEP;
    }
    (file, Duration::from_millis(u64::from(at_ms)))
}

/// One record: times and lengths, then Ethernet, IPv4 and UDP around `packet`. SIPp takes the payload and makes addresses
/// of its own.
fn record_packet(file: &mut Vec<u8>, at_ms: u32, packet: &[u8]) {
    let udp_length = u16::try_from(8 + packet.len()).unwrap();
    let length = u32::from(udp_length) + 14 + 20;
    file.extend([at_ms / 1000, at_ms % 1000 * 1000, length, length].into_iter().flat_map(u32::to_ne_bytes));
    file.extend([0; 12]);
    file.extend([0x08, 0x00]);
    file.extend([0x45, 0]);
    file.extend((udp_length + 20).to_be_bytes());
    file.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    file.extend([10_000_u16, 10_000, udp_length, 0].into_iter().flat_map(u16::to_be_bytes));
    file.extend(packet);
}
