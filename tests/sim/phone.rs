//! A telephone: SIP in octets of its own making, RTP, and keys in every way that there is. It knows nothing of the server
//! but what comes over the wire.

mod voice;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use anteroom::wire::sip::{HeaderName, Message, Method, Request, Response};
use anteroom::wire::telephone_event::TelephoneEvent;
use anteroom::words::media::Law;
use anteroom::words::secret::Digit;

use super::plan::{Keys, PhonePlan};
use super::sounds;

const T1_US: u64 = 500_000;
const T2_US: u64 = 4_000_000;
const GIVE_UP_US: u64 = 64 * T1_US;
const EVENT_TYPE: u8 = 101;
pub const SERVER: &str = "198.51.100.1:5060";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Idle,
    Calling,
    Up,
    /// BYE or CANCEL is sent.
    Ending,
    Over,
    /// He vanished: nothing is sent or answered any more.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Both,
    SendOnly,
    Inactive,
}

/// A request of ours without a final answer.
struct Pending {
    branch: String,
    sequence: u32,
    method: &'static str,
    bytes: String,
    resend_at: Option<u64>,
    interval: u64,
    give_up_at: u64,
    wants: Option<Direction>,
    key: Option<usize>,
}

struct Pressing {
    key: char,
    started: u32,
    elapsed: u64,
    hold: u64,
    ends_left: u32,
}

/// A key that went down.
#[derive(Debug, Clone, Copy)]
pub struct Pressed {
    pub at: u64,
    pub key: char,
    /// An INFO that was refused, or a key that went under with the call.
    pub void: bool,
}

pub struct Phone {
    pub number: usize,
    pub plan: PhonePlan,
    pub state: State,
    pub talking: bool,
    pub direction: Direction,
    pub sip: SocketAddr,
    /// Where his packets come from.
    pub rtp: SocketAddr,
    /// Where his SDP says that he is.
    pub described: SocketAddr,
    /// All that this telephone was ever reached by.
    pub addresses: Vec<SocketAddr>,
    /// Where the server's SDP says that it listens.
    pub server_rtp: Option<SocketAddr>,
    pub calls: u32,
    pub call_id: String,
    pub pressed: Vec<Pressed>,
    pub connection: u64,
    /// Finals that the initial INVITE got.
    pub answered: Option<u16>,
    from_tag: String,
    to_tag: String,
    target: String,
    sequence: u32,
    branches: u32,
    cancel_wanted: bool,
    pending: Vec<Pending>,
    acks: BTreeMap<(u32, String), String>,
    refresh_at: Option<u64>,
    queue: VecDeque<(char, u64)>,
    pressing: Option<Pressing>,
    gap: u64,
    info_open: bool,
    rtp_sequence: u16,
    rtp_timestamp: u32,
    ssrc: u32,
    out: Vec<String>,
}

impl Phone {
    pub fn new(number: usize, plan: PhonePlan) -> Phone {
        let host = 10 + number;
        let rtp: SocketAddr = format!("192.0.2.{host}:4000").parse().unwrap();
        let described = if plan.translated { format!("10.0.0.{host}:7000").parse().unwrap() } else { rtp };
        Phone {
            number,
            state: State::Idle,
            talking: false,
            direction: Direction::Both,
            sip: format!("192.0.2.{host}:5060").parse().unwrap(),
            rtp,
            described,
            addresses: vec![rtp, described],
            server_rtp: None,
            calls: 0,
            call_id: String::new(),
            pressed: Vec::new(),
            connection: 0,
            answered: None,
            from_tag: String::new(),
            to_tag: String::new(),
            target: String::new(),
            sequence: 0,
            branches: 0,
            cancel_wanted: false,
            pending: Vec::new(),
            acks: BTreeMap::new(),
            refresh_at: None,
            queue: VecDeque::new(),
            pressing: None,
            gap: 0,
            info_open: false,
            rtp_sequence: 65_500,
            rtp_timestamp: 7_000 * number as u32,
            ssrc: 0xA000 + number as u32,
            out: Vec::new(),
            plan,
        }
    }

    pub fn law(&self) -> Law {
        if self.plan.a_law { Law::A } else { Law::Mu }
    }

    /// A source that the SDP does not name is learned with the fifth packet of a stream, and his begins with a key.
    pub fn is_learned_by_keys(&self) -> bool {
        self.rtp != self.described && self.plan.suppresses_silence
    }

    /// What he sends now.
    pub fn take_out(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }

    // ---- SIP ------------------------------------------------------------------------------------------------------

    pub fn dial(&mut self, now: u64, asserted: Option<&str>) {
        self.calls += 1;
        self.call_id = format!("call-{}-of-{}", self.calls, self.number);
        self.from_tag = format!("f{}x{}", self.number, self.calls);
        self.to_tag.clear();
        self.target = "sip:8000@198.51.100.1".into();
        self.sequence = 0;
        self.state = State::Calling;
        (self.talking, self.direction, self.cancel_wanted) = (false, Direction::Both, false);
        (self.server_rtp, self.answered, self.refresh_at) = (None, None, None);
        self.pending.clear();
        self.acks.clear();
        self.queue.clear();
        self.pressed.clear();
        (self.pressing, self.gap, self.info_open) = (None, 0, false);
        self.ssrc = self.ssrc.wrapping_add(0x1_0000);
        let mut extra = String::new();
        if let Some(who) = asserted {
            extra += &format!("P-Asserted-Identity: <sip:{who}>\r\n");
        }
        let sdp = if self.plan.offers { self.sdp(Direction::Both) } else { String::new() };
        self.request(now, "INVITE", &extra, &sdp, None);
    }

    pub fn cancel(&mut self, now: u64) {
        if self.state == State::Calling && !self.cancel_wanted {
            self.cancel_wanted = true;
            self.try_cancel(now);
        }
    }

    fn try_cancel(&mut self, now: u64) {
        // Section 9.1: not before a provisional answer.
        let Some(invite) = self.pending.iter().find(|pending| pending.method == "INVITE") else { return };
        if invite.resend_at.is_some() || self.pending.iter().any(|pending| pending.method == "CANCEL") {
            return;
        }
        let (branch, sequence) = (invite.branch.clone(), invite.sequence);
        let bytes = self.text("CANCEL", sequence, &branch, "", "");
        self.send_pending(now, Pending::new(now, "CANCEL", branch, sequence, bytes));
    }

    pub fn hang_up(&mut self, now: u64) {
        match self.state {
            State::Calling => self.cancel(now),
            State::Up => {
                self.state = State::Ending;
                self.request(now, "BYE", "", "", None);
            }
            _ => {}
        }
    }

    pub fn vanish(&mut self) {
        if self.state != State::Idle {
            self.state = State::Gone;
            self.pending.clear();
        }
    }

    pub fn reinvite(&mut self, now: u64, direction: Direction) {
        if self.state == State::Up {
            let sdp = self.sdp(direction);
            self.request(now, "INVITE", "", &sdp, Some(direction));
        }
    }

    pub fn reinvite_without_offer(&mut self, now: u64) {
        if self.state == State::Up {
            self.request(now, "INVITE", "", "", Some(Direction::Both));
        }
    }

    pub fn ask(&mut self, now: u64) {
        if self.state == State::Up {
            self.request(now, "OPTIONS", "", "", None);
        }
    }

    /// Another address and port, from now on; `described`: his SDP will say so too.
    pub fn move_rtp(&mut self, described: bool) {
        let port = 4_000 + 10 * self.addresses.len() as u16;
        self.rtp.set_port(port);
        if described {
            self.described = self.rtp;
        }
        self.addresses.push(self.rtp);
    }

    fn request(&mut self, now: u64, method: &'static str, extra: &str, body: &str, wants: Option<Direction>) {
        self.sequence += 1;
        self.branches += 1;
        let branch = format!("z9hG4bK-{}-{}", self.number, self.branches);
        let bytes = self.text(method, self.sequence, &branch, extra, body);
        let mut pending = Pending::new(now, method, branch, self.sequence, bytes);
        pending.wants = wants;
        if method == "INFO" {
            pending.key = Some(self.pressed.len() - 1);
            self.info_open = true;
        }
        self.send_pending(now, pending);
    }

    fn send_pending(&mut self, _now: u64, mut pending: Pending) {
        if self.plan.tcp {
            pending.resend_at = (pending.method == "INVITE").then_some(u64::MAX);
        }
        self.out.push(pending.bytes.clone());
        self.pending.push(pending);
    }

    fn text(&self, method: &str, sequence: u32, branch: &str, extra: &str, body: &str) -> String {
        let Phone { sip, call_id, from_tag, target, number, .. } = self;
        let to_tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let transport = if self.plan.tcp { "TCP" } else { "UDP" };
        let timer = if self.plan.session_timer { "Supported: timer\r\nSession-Expires: 100\r\n" } else { "" };
        let timer = if matches!(method, "INVITE" | "UPDATE") { timer } else { "" };
        let content = match (body.is_empty(), method) {
            (true, _) => "",
            (false, "INFO") => "Content-Type: application/dtmf-relay\r\n",
            _ => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {sip};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:+493010{number}@192.0.2.{}>;tag={from_tag}\r\nTo: <sip:8000@198.51.100.1>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {sequence} {method}\r\nContact: <sip:{number}@{sip};transport={}>\r\n{timer}{extra}\
             {content}Content-Length: {}\r\n\r\n{body}",
            10 + number,
            transport.to_lowercase(),
            body.len()
        )
    }

    fn sdp(&self, direction: Direction) -> String {
        let (ip, port) = (self.described.ip(), self.described.port());
        let events = matches!(self.plan.keys, Keys::Events | Keys::EventsAndTones);
        let (types, event) = match (self.plan.a_law, events) {
            (true, true) => ("8 101", "a=rtpmap:101 telephone-event/8000\r\n"),
            (false, true) => ("0 101", "a=rtpmap:101 telephone-event/8000\r\n"),
            (true, false) => ("8", ""),
            (false, false) => ("0", ""),
        };
        let direction = match direction {
            Direction::Both => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::Inactive => "inactive",
        };
        format!(
            "v=0\r\no=- {0} {1} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {types}\r\n\
             {event}a={direction}\r\n",
            self.number, self.sequence
        )
    }

    /// When [`Phone::handle_timeout`] is wanted.
    pub fn next_timeout(&self) -> Option<u64> {
        let pending = self.pending.iter().map(|pending| pending.resend_at.unwrap_or(u64::MAX).min(pending.give_up_at));
        pending.chain(self.refresh_at).min()
    }

    pub fn handle_timeout(&mut self, now: u64) {
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = Some(now + 50_000_000);
            if self.state == State::Up {
                self.request(now, "UPDATE", "", "", None);
            }
        }
        let mut index = 0;
        while index < self.pending.len() {
            let pending = &mut self.pending[index];
            if pending.give_up_at <= now {
                let given_up = self.pending.remove(index);
                self.finished(now, &given_up, 408);
                continue;
            }
            if pending.resend_at.is_some_and(|at| at <= now) {
                pending.interval *= 2;
                if pending.method != "INVITE" {
                    pending.interval = pending.interval.min(T2_US);
                }
                pending.resend_at = Some(now + pending.interval);
                self.out.push(pending.bytes.clone());
            }
            index += 1;
        }
    }

    pub fn handle_message(&mut self, now: u64, bytes: &Bytes) {
        if self.state == State::Gone {
            return;
        }
        match Message::parse(bytes) {
            Ok(Message::Request(request)) => self.handle_request(now, &request),
            Ok(Message::Response(response)) => self.handle_response(now, &response),
            // What he garbled comes back garbled.
            Err(_) => {}
        }
    }

    fn handle_request(&mut self, _now: u64, request: &Request) {
        let of_this_call = request.headers.call_id().is_ok_and(|id| id[..] == *self.call_id.as_bytes());
        let is_live = of_this_call && matches!(self.state, State::Up | State::Ending);
        let status = match (&request.method, is_live) {
            (Method::Ack, _) => return,
            (_, false) => 481,
            (Method::Bye, true) => {
                self.over();
                200
            }
            (_, true) => 200,
        };
        let mut response = Response::answering(&request.headers, status, Some(&self.from_tag));
        let describes = status == 200 && matches!(request.method, Method::Invite | Method::Update);
        if describes {
            response.headers.push(HeaderName::Contact, format!("<sip:{}@{}>", self.number, self.sip));
            if let Some(expires) = request.headers.get(&HeaderName::SessionExpires) {
                response.headers.push(HeaderName::SessionExpires, expires.clone());
            }
            if request.method == Method::Invite || !request.body.is_empty() {
                response.headers.push(HeaderName::ContentType, "application/sdp");
                response.body = self.sdp(self.direction).into();
            }
        }
        self.out.push(String::from_utf8(response.write().to_vec()).unwrap());
    }

    fn handle_response(&mut self, now: u64, response: &Response) {
        let Ok(cseq) = response.headers.cseq() else { return };
        let Ok(via) = response.headers.top_via() else { return };
        let branch = String::from_utf8_lossy(via.branch().map_or(&b""[..], |branch| branch)).into_owned();
        let Some(index) = self.pending.iter().position(|pending| {
            pending.branch == branch && pending.method == String::from_utf8_lossy(cseq.method.as_str().as_bytes())
        }) else {
            // An answer that comes again is acknowledged again.
            if let Some(ack) = self.acks.get(&(cseq.number, branch)).filter(|_| response.status >= 200) {
                self.out.push(ack.clone());
            }
            return;
        };
        if response.status < 200 {
            let pending = &mut self.pending[index];
            if pending.method == "INVITE" {
                pending.resend_at = None;
                pending.give_up_at = now + 8 * GIVE_UP_US;
                if self.cancel_wanted {
                    self.try_cancel(now);
                }
            }
            return;
        }
        let pending = self.pending.remove(index);
        if pending.method == "INVITE" {
            self.invite_answered(now, response, &pending);
        }
        self.finished(now, &pending, response.status);
    }

    fn invite_answered(&mut self, now: u64, response: &Response, pending: &Pending) {
        let is_ok = response.status < 300;
        if is_ok {
            if let Ok(to) = response.headers.to() {
                self.to_tag = String::from_utf8_lossy(to.tag().expect("a 200 has a tag")).into_owned();
            }
            if let Ok(Some(contact)) = response.headers.contact() {
                self.target = contact.uri.to_string();
            }
            self.read_sdp(&response.body);
        }
        let offered = pending.bytes.contains("m=audio");
        let answer = if is_ok && !offered { self.sdp(Direction::Both) } else { String::new() };
        let branch = if is_ok { format!("{}-ack", pending.branch) } else { pending.branch.clone() };
        let first = self.state == State::Calling;
        let to = self.to_tag.clone();
        if !is_ok && let Ok(tagged) = response.headers.to() {
            // The ACK of a refusal has the tag of the refusal (section 17.1.1.3).
            self.to_tag = String::from_utf8_lossy(tagged.tag().map_or(&b""[..], |tag| tag)).into_owned();
        }
        let ack = self.text("ACK", pending.sequence, &branch, "", &answer);
        self.to_tag = to;
        if !(self.plan.no_ack && is_ok && first) {
            self.out.push(ack.clone());
            self.acks.insert((pending.sequence, pending.branch.clone()), ack);
        }
        if first {
            self.answered = Some(response.status);
            if is_ok {
                self.state = State::Up;
                // An address that the SDP does not name is learned in 80 ms, and nobody presses a key so soon.
                self.gap = if self.rtp != self.described { 20 } else { 0 };
                let refresher = response.headers.get(&HeaderName::SessionExpires);
                if refresher.is_some_and(|text| String::from_utf8_lossy(text).contains("refresher=uac")) {
                    self.refresh_at = Some(now + 50_000_000);
                }
                if self.cancel_wanted {
                    // Both crossed on the way.
                    self.hang_up(now);
                }
            } else {
                self.over();
            }
        } else if is_ok && let Some(direction) = pending.wants {
            self.direction = direction;
        }
    }

    fn read_sdp(&mut self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start).map(str::to_owned));
        if let (Some(address), Some(media)) = (line("c=IN IP4 "), line("m=audio ")) {
            let port: u16 = media.split(' ').next().unwrap().parse().unwrap();
            self.server_rtp = Some(SocketAddr::new(address.trim().parse().unwrap(), port));
        }
    }

    fn finished(&mut self, _now: u64, pending: &Pending, status: u16) {
        if let Some(key) = pending.key {
            self.info_open = false;
            if status != 200 {
                self.pressed[key].void = true;
            }
        }
        let is_lost = matches!(status, 408 | 481);
        if pending.method == "BYE" || (is_lost && pending.method == "INVITE") {
            self.over();
        }
    }

    fn over(&mut self) {
        self.state = State::Over;
        self.pending.retain(|pending| pending.method == "BYE");
        self.refresh_at = None;
        (self.pressing, self.server_rtp) = (None, None);
        self.queue.clear();
    }
}

impl Pending {
    fn new(now: u64, method: &'static str, branch: String, sequence: u32, bytes: String) -> Pending {
        Pending {
            branch,
            sequence,
            method,
            bytes,
            resend_at: Some(now + T1_US),
            interval: T1_US,
            give_up_at: now + GIVE_UP_US,
            wants: None,
            key: None,
        }
    }
}
