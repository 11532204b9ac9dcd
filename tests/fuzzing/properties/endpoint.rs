//! A whole SIP endpoint under messages that nobody meant: it stays upright, within its bounds, and forgets everything.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::sip::*;
use anteroom::words::media::{Codec, Direction};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::script::Script;

/// 64·T1: everything is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(33);

/// Steps of one script; some scripts of this length a second.
const STEPS: usize = 400;

const SESSIONS: usize = 30;
const TRANSACTIONS: usize = 200;

const METHODS: [&str; 9] = ["INVITE", "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS", "PRACK"];

const HEADERS: [&str; 4] = [
    "Supported: timer\r\n",
    "Session-Expires: 1800;refresher=uas\r\n",
    "Record-Route: <sip:192.0.2.50;lr>\r\n",
    "Require: 100rel\r\n",
];

const OFFER: &str = "v=0\r\no=caller 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";

struct Peer {
    endpoint: Endpoint,
    now: Instant,
    flow: Flow,
    call: u8,
    branch: u8,
    to_tag: String,
    sessions: Vec<anteroom::words::ids::SessionKey>,
    last_sent: Bytes,
}

/// The bytes say what the peer sends, what the server decides, and how time passes.
pub fn endpoint(bytes: &[u8]) {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let config = EndpointConfig {
        trunks: TrunkTable::open(),
        max_sessions: SESSIONS,
        max_transactions: TRANSACTIONS,
        ..EndpointConfig::default()
    };
    let mut peer = Peer {
        endpoint: Endpoint::new(config, StdRng::seed_from_u64(7)),
        now: Instant::now(),
        flow: Flow::udp(address("192.0.2.1:5060"), address("192.0.2.9:5060")),
        call: 0,
        branch: 0,
        to_tag: String::new(),
        sessions: Vec::new(),
        last_sent: Bytes::new(),
    };
    let mut script = Script::new(bytes);
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        peer.step(&mut script);
        let counts = peer.endpoint.counts();
        assert!(counts.sessions <= SESSIONS && counts.transactions <= TRANSACTIONS + 100, "{counts:?}");
        assert!(counts.timers <= 1_000, "{counts:?}");
        assert!(peer.endpoint.poll_timeout().is_none_or(|at| at > peer.now), "a timer lies in the past");
    }
    for session in std::mem::take(&mut peer.sessions) {
        let hang_up = Command::HangUp { session, reason: HangUpReason::Normal };
        let _ = peer.endpoint.handle_command(peer.now, hang_up);
    }
    // Whoever was hung up on before its ACK has 64·T1 for that, and our BYE as long again.
    for _ in 0..3 {
        peer.pass(FORGOTTEN);
    }
    assert_eq!(peer.endpoint.counts(), Counts::default());
}

impl Peer {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(9) {
            0..=3 => {
                let request = self.request(script).into_bytes();
                self.receive(changed(request, script));
            }
            4 => {
                let echo = self.last_sent.to_vec();
                self.receive(changed(echo, script));
            }
            5 => self.decide(script),
            6 => {
                let pause = Duration::from_millis(u64::from(script.two()) % 2_000);
                self.pass(pause);
            }
            7 => {
                self.call = script.byte();
                self.to_tag.clear();
            }
            _ => {
                let length = usize::from(script.byte());
                self.receive(script.take(length).to_vec());
            }
        }
    }

    fn request(&mut self, script: &mut Script<'_>) -> String {
        let method = METHODS[script.below(METHODS.len())];
        let (cseq, flags) = (script.byte(), script.byte());
        if flags & 1 == 0 {
            self.branch = self.branch.wrapping_add(1);
        }
        let headers = HEADERS.iter().enumerate().filter(|(bit, _)| flags & (2 << bit) != 0).map(|(_, header)| *header);
        let (content_type, body) = match (method, flags & 0x40) {
            ("INFO", 0) => ("Content-Type: application/dtmf-relay\r\n", "Signal=1\r\nDuration=9\r\n"),
            (_, 0) => ("Content-Type: application/sdp\r\n", OFFER),
            _ => ("", ""),
        };
        let to_tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        format!(
            "{method} sip:8000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-{}\r\n\
             Max-Forwards: 70\r\nFrom: \"Anna B\" <sip:anna@example.com>;tag=theirs\r\nTo: <sip:8000@192.0.2.1>{to_tag}\r\n\
             Call-ID: call-{}\r\nCSeq: {cseq} {method}\r\nContact: <sip:anna@192.0.2.9:5060>\r\n{}{content_type}\
             Content-Length: {}\r\n\r\n{body}",
            self.branch,
            self.call,
            headers.collect::<String>(),
            body.len()
        )
    }

    fn receive(&mut self, bytes: Vec<u8>) {
        let flow = self.flow;
        self.endpoint.handle_message(self.now, &flow, bytes.into());
        self.drain();
    }

    fn decide(&mut self, script: &mut Script<'_>) {
        let Some(session) = self.sessions.get(script.below(self.sessions.len().max(1))).copied() else { return };
        let media = LocalMedia {
            rtp: "192.0.2.1:20000".parse().expect("an address"),
            codecs: Codec::ALL.to_vec(),
            telephone_event: true,
            direction: Direction::SendRecv,
        };
        let command = match script.below(6) {
            0 | 1 => Command::Accept { session, media },
            2 => Command::Reinvite { session, media },
            3 => Command::Update { session, media },
            4 => Command::Options { session },
            _ => Command::HangUp { session, reason: HangUpReason::Normal },
        };
        // What a session can't do at its present point is refused.
        let _ = self.endpoint.handle_command(self.now, command);
        self.drain();
    }

    fn pass(&mut self, pause: Duration) {
        self.now += pause;
        self.endpoint.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let text = String::from_utf8_lossy(&transmit.bytes);
            if let Some(tag) = text.split("To: <sip:8000@192.0.2.1>;tag=").nth(1) {
                self.to_tag = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
            }
            self.last_sent = transmit.bytes;
        }
        while let Some(event) = self.endpoint.poll_event() {
            if let SipEvent::Incoming { session, .. } = event {
                self.sessions.push(session);
                if self.sessions.len() > SESSIONS {
                    self.sessions.remove(0);
                }
            }
        }
    }
}

/// A message with up to three changes, as the script has them.
fn changed(mut bytes: Vec<u8>, script: &mut Script<'_>) -> Vec<u8> {
    for _ in 0..script.below(4) {
        let (at, value) = (usize::from(script.two()) % (bytes.len() + 1), script.byte());
        let end = (at + usize::from(value % 20) + 1).min(bytes.len());
        match script.below(4) {
            0 if at < bytes.len() => bytes[at] = value,
            1 if at < end => drop(bytes.drain(at..end)),
            2 if at < end => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.insert(at, value),
        }
    }
    bytes
}
