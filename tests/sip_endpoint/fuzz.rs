//! Messages that nobody meant: whatever comes, the endpoint stays upright, within its bounds, and forgets it.

use std::time::Duration;

use anteroom::sip::*;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::peer::*;

/// A few bytes replaced, a piece cut out or doubled.
fn mutate(text: &[u8], random: &mut StdRng) -> Vec<u8> {
    const ODD: &[u8] = b"\0\r\n\t ;,:<>\"=@%[]/0129z\x7f\xff";
    let mut bytes = text.to_vec();
    for _ in 0..random.random_range(0..4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..20)).min(bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] = ODD[random.random_range(0..ODD.len())],
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn mutated_messages_break_nothing() {
    let bounds = EndpointConfig { max_sessions: 30, max_transactions: 200, ..config() };
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut peer = Peer::with(bounds.clone());
        let mut sessions = Vec::new();
        for step in 0..1000 {
            if step % 50 == 0 {
                peer.call_id = format!("call-{step}");
                peer.to_tag.clear();
            }
            let methods = ["INVITE", "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS", "PRACK"];
            let method = methods[random.random_range(0..methods.len())];
            let extra =
                ["Supported: timer", "Session-Expires: 1800;refresher=uas", "Record-Route: <sip:192.0.2.50;lr>"];
            let body = if random.random_bool(0.7) { OFFER } else { "" };
            let cseq = random.random_range(1..200);
            let text = match method {
                "INFO" => {
                    peer.request(method, cseq, &["Content-Type: application/dtmf-relay"], "Signal=1\r\nDuration=9\r\n")
                }
                "ACK" | "CANCEL" => peer.request_in_branch(method, 1, peer.branch, &[], body),
                _ => peer.request(method, cseq, &extra[..random.random_range(0..4)], body),
            };
            let bytes = mutate(text.as_bytes(), &mut random);
            let flow = peer.flow;
            peer.endpoint.handle_message(peer.now, &flow, Bytes::from(bytes));
            for transmit in peer.drain_transmits() {
                let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                if let Some(tag) = text.split("To: <sip:8000@192.0.2.1>;tag=").nth(1) {
                    peer.to_tag = tag.chars().take(16).collect();
                }
                // The endpoint's own words come back to it, mutated too.
                if random.random_bool(0.3) {
                    let echo = mutate(&transmit.bytes, &mut random);
                    peer.endpoint.handle_message(peer.now, &flow, Bytes::from(echo));
                }
            }
            for event in peer.events() {
                if let SipEvent::Incoming { session, .. } = event {
                    sessions.push(session);
                    if random.random_bool(0.8) {
                        let _ =
                            peer.endpoint.handle_command(peer.now, Command::Accept { session, media: local_media() });
                    }
                }
            }
            if random.random_bool(0.05) && !sessions.is_empty() {
                let session = sessions[random.random_range(0..sessions.len())];
                let command = match random.random_range(0..3) {
                    0 => Command::Reinvite { session, media: local_media() },
                    1 => Command::Update { session, media: local_media() },
                    _ => Command::Options { session },
                };
                let _ = peer.endpoint.handle_command(peer.now, command);
            }
            peer.drain_transmits();
            let pause = Duration::from_millis(random.random_range(0..400));
            peer.now += pause;
            peer.endpoint.handle_timeout(peer.now);
            peer.drain_transmits();
            let counts = peer.endpoint.counts();
            assert!(counts.sessions <= 30 && counts.transactions <= 300 && counts.timers <= 1000, "{counts:?}");
        }
        for session in sessions {
            let _ = peer.endpoint.handle_command(peer.now, Command::HangUp { session, reason: HangUpReason::Normal });
        }
        // Whoever was hung up on before its ACK has 64·T1 for that, and our BYE as long again.
        for _ in 0..3 {
            peer.now += FORGOTTEN;
            peer.endpoint.handle_timeout(peer.now);
        }
        assert_eq!(peer.endpoint.counts(), Counts::default(), "seed {seed}");
    }
}
