//! An endpoint with one raw peer, who writes his messages by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::sip::*;
use anteroom::wire::sdp::SessionDescription;
use anteroom::wire::sip::{HeaderName, Message, Method, Request, Response};
use anteroom::words::ids::SessionKey;
use anteroom::words::media::{Codec, Direction};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const OURS: &str = "192.0.2.1:5060";
pub const THEIRS: &str = "192.0.2.9:5060";

/// 64·T1: everything is forgotten after this.
pub const FORGOTTEN: Duration = Duration::from_secs(33);

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn config() -> EndpointConfig {
    EndpointConfig { trunks: TrunkTable::open(), server_header: Some("Anteroom".into()), ..EndpointConfig::default() }
}

pub fn local_media() -> LocalMedia {
    LocalMedia {
        rtp: address("192.0.2.1:20000"),
        codecs: vec![Codec::Pcmu, Codec::Pcma, Codec::G722],
        telephone_event: true,
        direction: Direction::SendRecv,
    }
}

/// The offer of an ordinary telephone.
pub const OFFER: &str = "v=0\r\no=caller 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
                         m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";

pub struct Peer {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub flow: Flow,
    pub call_id: String,
    pub from_tag: String,
    pub branch: u32,
    /// The endpoint's tag, once it has answered.
    pub to_tag: String,
    pub events: Vec<SipEvent>,
}

impl Peer {
    pub fn new() -> Peer {
        Peer::with(config())
    }

    pub fn with(config: EndpointConfig) -> Peer {
        Peer {
            endpoint: Endpoint::new(config, StdRng::seed_from_u64(7)),
            now: Instant::now(),
            flow: Flow::udp(address(OURS), address(THEIRS)),
            call_id: "call-1".into(),
            from_tag: "theirs".into(),
            branch: 0,
            to_tag: String::new(),
            events: Vec::new(),
        }
    }

    /// A request of the peer's in a new branch; `extra` are header lines.
    pub fn request(&mut self, method: &str, cseq: u32, extra: &[&str], body: &str) -> String {
        self.branch += 1;
        self.request_in_branch(method, cseq, self.branch, extra, body)
    }

    pub fn request_in_branch(&self, method: &str, cseq: u32, branch: u32, extra: &[&str], body: &str) -> String {
        let (call_id, from_tag) = (&self.call_id, &self.from_tag);
        let to_tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let transport = self.flow.transport.name();
        let mut text = format!(
            "{method} sip:8000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.9:5060;branch=z9hG4bK-{branch}\r\n\
             Max-Forwards: 70\r\nFrom: \"Anna B\" <sip:anna@example.com>;tag={from_tag}\r\n\
             To: <sip:8000@192.0.2.1>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        );
        if !extra.iter().any(|line| line.starts_with("Contact:")) {
            text += "Contact: <sip:anna@192.0.2.9:5060>\r\n";
        }
        for line in extra.iter().filter(|line| !line.is_empty()) {
            text += line;
            text += "\r\n";
        }
        if !body.is_empty() && !extra.iter().any(|line| line.starts_with("Content-Type:")) {
            text += "Content-Type: application/sdp\r\n";
        }
        text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// Hands the endpoint a message; gives back what it sends at once.
    pub fn send(&mut self, text: impl AsRef<[u8]>) -> Vec<Message> {
        let flow = self.flow;
        self.endpoint.handle_message(self.now, &flow, Bytes::copy_from_slice(text.as_ref()));
        self.drain()
    }

    /// As `send`, where one response is expected.
    pub fn ask(&mut self, text: impl AsRef<[u8]>) -> Response {
        response(self.send(text))
    }

    pub fn command(&mut self, command: Command) -> Vec<Message> {
        self.endpoint.handle_command(self.now, command).unwrap();
        self.drain()
    }

    pub fn drain(&mut self) -> Vec<Message> {
        self.drain_transmits().into_iter().map(|transmit| Message::parse(&transmit.bytes).unwrap()).collect()
    }

    pub fn drain_transmits(&mut self) -> Vec<Transmit> {
        self.events.extend(std::iter::from_fn(|| self.endpoint.poll_event()));
        std::iter::from_fn(|| self.endpoint.poll_transmit()).collect()
    }

    /// Lets time pass, deadline by deadline; gives back what was sent, each with the time since the start.
    pub fn wait(&mut self, duration: Duration) -> Vec<(Duration, Message)> {
        let start = self.now;
        let end = start + duration;
        let mut sent = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.endpoint.handle_timeout(at);
            sent.extend(self.drain().into_iter().map(|message| (at - start, message)));
        }
        self.now = end;
        sent
    }

    /// The events since the last time this was asked.
    pub fn events(&mut self) -> Vec<SipEvent> {
        self.drain();
        std::mem::take(&mut self.events)
    }

    /// Sends an INVITE with this body; gives back the session that it became.
    pub fn invite(&mut self, extra: &[&str], body: &str) -> SessionKey {
        let invite = self.request("INVITE", 1, extra, body);
        let trying = self.ask(invite);
        assert_eq!(trying.status, 100);
        match self.events().as_slice() {
            [SipEvent::Incoming { session, .. }] => *session,
            other => panic!("{other:?}"),
        }
    }

    /// Accepts; gives back the 200 and remembers its tag.
    pub fn accept(&mut self, session: SessionKey) -> Response {
        let ok = response(self.command(Command::Accept { session, media: local_media() }));
        assert_eq!(ok.status, 200);
        self.to_tag = tag_of(&ok);
        ok
    }

    pub fn ack(&mut self, cseq: u32, body: &str) -> Vec<Message> {
        let ack = self.request("ACK", cseq, &[], body);
        self.send(ack)
    }

    /// A call that is up, and its session. Its events are taken out.
    pub fn up(extra: &[&str], config: EndpointConfig) -> (Peer, SessionKey) {
        let mut peer = Peer::with(config);
        let session = peer.invite(extra, OFFER);
        peer.accept(session);
        assert!(peer.ack(1, "").is_empty());
        assert!(matches!(peer.events()[..], [SipEvent::MediaAgreed { .. }, SipEvent::Established { .. }]));
        (peer, session)
    }

    /// Answers a request of the endpoint's.
    pub fn answer(&mut self, request: &Request, status: u16, extra: &[(HeaderName, &str)], body: &str) -> Vec<Message> {
        let mut response = Response::answering(&request.headers, status, Some("theirs"));
        if request.method == Method::Invite {
            response.headers.push(HeaderName::Contact, "<sip:anna@192.0.2.9:5060>");
        }
        for (name, value) in extra {
            response.headers.push(name.clone(), value.to_string());
        }
        if !body.is_empty() {
            response.headers.push(HeaderName::ContentType, "application/sdp");
            response.body = Bytes::copy_from_slice(body.as_bytes());
        }
        self.send(response.write())
    }

    /// After 64·T1 nothing is left.
    pub fn assert_forgotten(&mut self) {
        self.wait(FORGOTTEN);
        assert_eq!(self.endpoint.counts(), Counts::default());
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

pub fn response(mut messages: Vec<Message>) -> Response {
    assert_eq!(messages.len(), 1, "{messages:?}");
    match messages.remove(0) {
        Message::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

pub fn request(mut messages: Vec<Message>) -> Request {
    assert_eq!(messages.len(), 1, "{messages:?}");
    match messages.remove(0) {
        Message::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

pub fn tag_of(response: &Response) -> String {
    String::from_utf8(response.headers.to().unwrap().tag().unwrap().to_vec()).unwrap()
}

pub fn header(headers: &anteroom::wire::sip::Headers, name: HeaderName) -> String {
    headers.get(&name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

pub fn sdp(body: &[u8]) -> SessionDescription {
    SessionDescription::parse(body).unwrap()
}

pub fn ended(events: &[SipEvent]) -> Vec<EndReason> {
    let reason = |event: &SipEvent| match event {
        SipEvent::Ended { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}
