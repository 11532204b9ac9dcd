//! A telephone for tests: the library's own SIP endpoint as caller, and its RTP, over plain sockets. Each caller has a
//! thread of its own, so that his call goes on while the test does something else to the server.
//!
//! He sends a packet of silence each 20 ms, as a telephone does, and in between the keys that he is told to press.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anteroom::sip::{
    Command, EndReason, Endpoint, EndpointConfig, Flow, HangUpReason, LocalMedia, OutgoingInvite, SipEvent, TrunkTable,
};
use anteroom::wire::g711;
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use anteroom::wire::telephone_event::TelephoneEvent;
use anteroom::words::ids::SessionKey;
use anteroom::words::media::{Codec, Direction, FRAME, FRAME_SAMPLES, Law, NegotiatedMedia};
use anteroom::words::secret::Digit;
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

/// Long enough for anything that should happen at once, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// How long a key is held, and the pause behind it, in packets of 20 ms.
const KEY_PACKETS: u16 = 3;
const PAUSE_PACKETS: usize = 3;

/// RFC 4733 section 2.5.1.4: the last packet of an event is sent three times.
const END_PACKETS: usize = 3;

/// More packets than a click or a pause between two words has.
const SURE_PACKETS: u64 = 10;

/// Of a sample: silence, encoded and mixed, stays far below; everything that is meant to be heard is far above.
const LOUD: u16 = 1_000;

/// Two INFOs of one caller are this far apart, as his fingers are.
const INFO_EVERY: Duration = Duration::from_millis(120);

/// What is dialled, and from where.
pub struct Dial {
    /// The caller's address; its ports are free ones.
    pub source: IpAddr,
    /// Where his voice comes from and goes to: at some trunks that is another machine.
    pub voice: IpAddr,
    pub to: String,
    /// User part of From.
    pub from: String,
    pub telephone_event: bool,
    /// `false`: he sends no voice until he is told to.
    pub speaks: bool,
}

impl Dial {
    pub fn from(source: &str) -> Dial {
        Dial {
            source: source.parse().unwrap(),
            voice: source.parse().unwrap(),
            to: "8000".to_owned(),
            from: "caller".to_owned(),
            telephone_event: true,
            speaks: true,
        }
    }
}

/// A caller and his call. Dropping him hangs up.
pub struct Caller {
    shared: Arc<Shared>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    pub sip: SocketAddr,
    /// The RTP address that his INVITE names.
    pub rtp: SocketAddr,
}

/// Where his RTP stream stands: what somebody would have to guess who speaks in his name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

#[derive(Default)]
struct State {
    media: Option<NegotiatedMedia>,
    is_established: bool,
    ended: Option<EndReason>,
    reinvites: Vec<u16>,
    /// RTP packets received, by their source.
    heard: BTreeMap<SocketAddr, u64>,
    /// The last packet's SSRC, sequence number and timestamp.
    last_heard: Option<(u32, u16, u32)>,
    frames_missed: u64,
    /// Packets with something to hear in them, and those without since the last one.
    loud: u64,
    quiet: u64,
    invites_sent: u32,
    orders_open: usize,
    stream: Stream,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

enum Order {
    Press(Vec<Digit>),
    PressSoon(Vec<Digit>),
    Info(Vec<Digit>),
    Speak(bool),
    Talk(bool),
    /// Another RTP socket; told to the server by re-INVITE or not at all.
    Move(UdpSocket, bool),
    /// re-INVITE without a change.
    Reinvite,
    /// A datagram on the RTP way, whatever it is.
    Datagram(Vec<u8>),
    HangUp,
}

impl Caller {
    pub fn call(server: SocketAddr, source: &str) -> Caller {
        Caller::dial(server, Dial::from(source))
    }

    /// Sends the INVITE.
    pub fn dial(server: SocketAddr, dial: Dial) -> Caller {
        let socket = UdpSocket::bind((dial.source, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(4))).unwrap();
        let sip = socket.local_addr().unwrap();
        let (rtp, _rtcp) = media_sockets(dial.voice);
        let rtp_address = rtp.local_addr().unwrap();
        let media = LocalMedia {
            rtp: rtp_address,
            codecs: Law::ALL.map(Codec::from).to_vec(),
            telephone_event: dial.telephone_event,
            direction: Direction::SendRecv,
        };
        let config = EndpointConfig { trunks: TrunkTable::open(), ..EndpointConfig::default() };
        let mut endpoint = Endpoint::new(config, StdRng::try_from_rng(&mut SysRng).unwrap());
        let call = OutgoingInvite {
            flow: Flow::udp(sip, server),
            target: format!("sip:{}@{server}", dial.to),
            from: format!("sip:{}@{}", dial.from, dial.source),
            from_display: None,
            asserted_identity: None,
            media: media.clone(),
            offer: true,
            headers: Vec::new(),
        };
        let session = endpoint.invite(Instant::now(), call).unwrap();
        let shared = Arc::new(Shared::default());
        let (orders, inbox) = channel();
        let telephone = Telephone {
            endpoint,
            session,
            socket,
            flow: Flow::udp(sip, server),
            local: media,
            rtp,
            _rtcp,
            speaks: dial.speaks,
            talks: false,
            keys: VecDeque::new(),
            infos: VecDeque::new(),
            info_at: Instant::now(),
            stream: Stream { ssrc: rand::random(), sequence: rand::random(), timestamp: rand::random() },
            shared: shared.clone(),
        };
        let thread = std::thread::spawn(move || telephone.run(&inbox));
        Caller { shared, orders, thread: Some(thread), sip, rtp: rtp_address }
    }

    /// The server's answer: where it wants the voice.
    pub fn server_rtp(&self) -> SocketAddr {
        self.wait("the answer", SOON, |state| state.media.as_ref().map(|media| media.remote_rtp))
    }

    /// The payload type of telephone-event that was agreed on.
    pub fn event_payload_type(&self) -> u8 {
        self.wait("the answer", SOON, |state| state.media.as_ref().and_then(|media| media.telephone_event))
    }

    #[track_caller]
    pub fn wait_established(&self) {
        self.wait("the call is up", SOON, |state| state.is_established.then_some(()));
    }

    #[track_caller]
    pub fn wait_ended(&self, within: Duration) -> EndReason {
        self.wait("the call ends", within, |state| state.ended.clone())
    }

    pub fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// How often the INVITE was sent: once, where the answer came within T1 (500 ms).
    pub fn invites_sent(&self) -> u32 {
        self.lock().invites_sent
    }

    /// RTP packets received so far, whoever sent them.
    pub fn heard(&self) -> u64 {
        self.lock().heard.values().sum()
    }

    /// Frames of 20 ms that the server's stream lacks so far: packets that did not come, and times that it left out.
    pub fn frames_missed(&self) -> u64 {
        self.lock().frames_missed
    }

    /// Where RTP came from.
    pub fn heard_from(&self) -> Vec<SocketAddr> {
        self.lock().heard.keys().copied().collect()
    }

    /// Waits for this many further RTP packets.
    pub fn wait_heard(&self, more: u64) {
        let before = self.heard();
        self.wait("RTP packets", SOON, |state| (state.heard.values().sum::<u64>() >= before + more).then_some(()));
    }

    pub fn stream(&self) -> Stream {
        self.lock().stream
    }

    /// Presses keys as telephone-events, and waits until they are sent.
    pub fn press(&self, keys: &str) {
        self.carry_out(Order::Press(digits(keys)));
    }

    /// Presses keys as telephone-events once he is on the line, and does not wait for it.
    pub fn press_soon(&self, keys: &str) {
        self.orders.send(Order::PressSoon(digits(keys))).unwrap();
    }

    /// Presses keys as SIP INFO (`application/dtmf-relay`), and waits until they are sent.
    pub fn press_by_info(&self, keys: &str) {
        self.carry_out(Order::Info(digits(keys)));
    }

    pub fn speak(&self, speaks: bool) {
        self.carry_out(Order::Speak(speaks));
    }

    /// A tone that is no key instead of silence; or silence again.
    pub fn talk(&self, talks: bool) {
        self.carry_out(Order::Talk(talks));
    }

    /// Waits until he hears something: music, a prompt, or somebody.
    #[track_caller]
    pub fn wait_sound(&self) {
        let before = self.lock().loud;
        self.wait("something to hear", SOON, |state| (state.loud >= before + SURE_PACKETS).then_some(()));
    }

    /// Waits until he has heard nothing for a while: no music, no prompt, nobody.
    #[track_caller]
    pub fn wait_silence(&self) {
        self.wait("silence", SOON, |state| (state.quiet >= 3 * SURE_PACKETS).then_some(()));
    }

    /// Sends something on the RTP way besides his voice, as soon as he comes to it.
    pub fn send_datagram(&self, datagram: Vec<u8>) {
        self.orders.send(Order::Datagram(datagram)).unwrap();
    }

    /// Goes on from another RTP port, and says so by re-INVITE or not. Returns the new address.
    pub fn move_rtp(&mut self, tell: bool) -> SocketAddr {
        let (rtp, _) = media_sockets(self.rtp.ip());
        self.rtp = rtp.local_addr().unwrap();
        self.carry_out(Order::Move(rtp, tell));
        self.rtp
    }

    /// Sends a re-INVITE in which nothing has changed, as session timers do, and waits for its answer.
    pub fn reinvite(&self) -> u16 {
        let before = self.lock().reinvites.len();
        self.carry_out(Order::Reinvite);
        self.wait_reinvite(before)
    }

    /// The final status of the re-INVITE after the first `before` ones.
    pub fn wait_reinvite(&self, before: usize) -> u16 {
        self.wait("the re-INVITE is answered", SOON, |state| state.reinvites.get(before).copied())
    }

    pub fn hang_up(&self) {
        self.carry_out(Order::HangUp);
    }

    fn carry_out(&self, order: Order) {
        let mut state = self.lock();
        let open_before = state.orders_open;
        state.orders_open += 1;
        self.orders.send(order).unwrap();
        drop(state);
        self.wait("an order is carried out", SOON, |state| (state.orders_open <= open_before).then_some(()));
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, within: Duration, is: impl Fn(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(value) = is(&state) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = &state.ended;
            assert!(!left.is_zero(), "waited {within:?} in vain for: {what} (the call's end: {ended:?})");
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    /// Also after a test has failed while it looked: its failure is to be the only one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::HangUp);
        let (gone, _) = channel();
        self.orders = gone;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the caller's thread owns.
struct Telephone {
    endpoint: Endpoint,
    session: SessionKey,
    socket: UdpSocket,
    flow: Flow,
    local: LocalMedia,
    rtp: UdpSocket,
    _rtcp: UdpSocket,
    speaks: bool,
    talks: bool,
    keys: VecDeque<KeyPacket>,
    infos: VecDeque<Digit>,
    info_at: Instant,
    stream: Stream,
    shared: Arc<Shared>,
}

/// What takes the place of voice in one packet.
enum KeyPacket {
    Event { event: TelephoneEvent, is_first: bool, steps_back: u32 },
    Pause,
}

impl Telephone {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut next_frame = Instant::now();
        let mut waiting = 0;
        let mut leaves_by = None;
        self.transmit();
        loop {
            let now = Instant::now();
            loop {
                match orders.try_recv() {
                    Ok(order) => {
                        waiting += 1;
                        self.carry_out(now, order);
                    }
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                        // Time for the goodbye, not for its every repetition.
                        leaves_by.get_or_insert(now + Duration::from_secs(2));
                        break;
                    }
                }
            }
            self.receive(now);
            if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
                self.endpoint.handle_timeout(now);
            }
            if now >= next_frame {
                next_frame = (next_frame + FRAME).max(now - 5 * FRAME);
                self.send_frame();
            }
            if let Some(&digit) = self.infos.front().filter(|_| now >= self.info_at) {
                self.infos.pop_front();
                self.info_at = now + INFO_EVERY;
                let body = Bytes::from(format!("Signal={}\r\nDuration=160\r\n", digit.expose()));
                let content_type = "application/dtmf-relay".to_owned();
                self.command(now, Command::Info { session: self.session, content_type, body });
            }
            self.transmit();
            self.tell(&mut waiting);
            if leaves_by.is_some_and(|by| now >= by || self.endpoint.counts().sessions == 0) {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Instant, order: Order) {
        match order {
            Order::Press(digits) | Order::PressSoon(digits) => {
                digits.into_iter().for_each(|digit| self.queue_key(digit));
            }
            Order::Info(digits) => self.infos.extend(digits),
            Order::Speak(speaks) => self.speaks = speaks,
            Order::Talk(talks) => self.talks = talks,
            Order::Move(rtp, tell) => {
                self.rtp = rtp;
                if tell {
                    self.local.rtp = self.rtp.local_addr().unwrap();
                    self.command(now, Command::Reinvite { session: self.session, media: self.local.clone() });
                }
            }
            Order::Reinvite => {
                self.command(now, Command::Reinvite { session: self.session, media: self.local.clone() });
            }
            Order::Datagram(datagram) => self.send_rtp(&datagram),
            Order::HangUp => {
                // It may have ended already.
                let command = Command::HangUp { session: self.session, reason: HangUpReason::Normal };
                let _ = self.endpoint.handle_command(now, command);
            }
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        self.endpoint.handle_command(now, command).unwrap();
    }

    fn queue_key(&mut self, digit: Digit) {
        let step = FRAME_SAMPLES as u16;
        let event =
            |packets: u16, end| TelephoneEvent { event: digit.event_code(), end, volume: 10, duration: packets * step };
        for packets in 1..=KEY_PACKETS {
            let steps_back = u32::from(packets) - 1;
            self.keys.push_back(KeyPacket::Event { event: event(packets, false), is_first: packets == 1, steps_back });
        }
        for end in 0..END_PACKETS {
            let steps_back = u32::from(KEY_PACKETS) + end as u32;
            self.keys.push_back(KeyPacket::Event { event: event(KEY_PACKETS, true), is_first: false, steps_back });
        }
        self.keys.extend((0..PAUSE_PACKETS).map(|_| KeyPacket::Pause));
    }

    fn send_frame(&mut self) {
        let step = FRAME_SAMPLES as u32;
        let state = self.shared.lock();
        let Some(media) = state.media.clone() else { return };
        drop(state);
        self.stream.timestamp = self.stream.timestamp.wrapping_add(step);
        let key = self.keys.pop_front();
        if key.is_none() && !self.speaks {
            return;
        }
        self.stream.sequence = self.stream.sequence.wrapping_add(1);
        let mut header = RtpHeader {
            payload_type: media.payload_type,
            marker: false,
            sequence: self.stream.sequence,
            timestamp: self.stream.timestamp,
            ssrc: self.stream.ssrc,
        };
        let first = self.stream.timestamp;
        let voice: Vec<u8> = (0..step)
            .map(|at| match self.talks {
                true => (6_000.0 * (f64::from(first.wrapping_add(at) % 80_000) * 0.3).sin()) as i16,
                false => 0,
            })
            .map(|sample| g711::encode(media.codec.law().unwrap(), sample))
            .collect();
        let datagram = match key {
            Some(KeyPacket::Event { event, is_first, steps_back }) => {
                header.payload_type = media.telephone_event.expect("no telephone-event was agreed on");
                header.marker = is_first;
                header.timestamp = header.timestamp.wrapping_sub(steps_back * step);
                rtp_packet(header, &event.write())
            }
            _ => rtp_packet(header, &voice),
        };
        self.send_rtp(&datagram);
    }

    fn send_rtp(&self, datagram: &[u8]) {
        if let Some(media) = &self.shared.lock().media {
            // The server may have closed its port by now.
            let _ = self.rtp.send_to(datagram, media.remote_rtp);
        }
    }

    fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 65_535];
        // The first one waits for some milliseconds, which is this thread's rest.
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            if source == self.flow.remote {
                self.endpoint.handle_message(now, &self.flow, Bytes::copy_from_slice(&buffer[..length]));
            }
            if now.elapsed() > FRAME {
                break;
            }
        }
        let mut heard = Vec::new();
        while let Ok((length, source)) = self.rtp.recv_from(&mut buffer) {
            let packet = RtpPacket::parse(&buffer[..length]).ok();
            let law = packet.as_ref().and_then(|packet| law_of(packet.payload_type));
            let codes = packet.as_ref().zip(law).map_or(&[][..], |(packet, _)| packet.payload);
            let loud = law.is_some_and(|law| codes.iter().any(|&code| g711::decode(law, code).unsigned_abs() > LOUD));
            heard.push((source, packet.map(|packet| (packet.ssrc, packet.sequence, packet.timestamp)), loud));
        }
        if !heard.is_empty() {
            let mut state = self.shared.lock();
            for (source, packet, loud) in heard {
                *state.heard.entry(source).or_default() += 1;
                (state.loud, state.quiet) = if loud { (state.loud + 1, 0) } else { (state.loud, state.quiet + 1) };
                let last = std::mem::replace(&mut state.last_heard, packet);
                if let (Some(last), Some(packet)) = (last, packet)
                    && last.0 == packet.0
                {
                    let packets = u64::from(packet.1.wrapping_sub(last.1));
                    let frames = u64::from(packet.2.wrapping_sub(last.2)) / FRAME_SAMPLES as u64;
                    state.frames_missed += packets.max(frames).saturating_sub(1);
                }
            }
            self.shared.changed.notify_all();
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if transmit.bytes.starts_with(b"INVITE ") {
                self.shared.lock().invites_sent += 1;
            }
            let _ = self.socket.send_to(&transmit.bytes, transmit.flow.remote);
        }
    }

    fn tell(&mut self, waiting: &mut usize) {
        let mut state = self.shared.lock();
        let mut is_new = false;
        while let Some(event) = self.endpoint.poll_event() {
            is_new = true;
            match event {
                SipEvent::MediaAgreed { media, .. } => state.media = Some(media),
                SipEvent::Established { .. } => state.is_established = true,
                SipEvent::ReinviteAnswered { status, .. } => state.reinvites.push(status),
                SipEvent::Ended { reason, .. } => state.ended = Some(reason),
                _ => {}
            }
        }
        state.stream = self.stream;
        if *waiting > 0 && self.keys.is_empty() && self.infos.is_empty() {
            state.orders_open = state.orders_open.saturating_sub(*waiting);
            *waiting = 0;
            is_new = true;
        }
        if is_new {
            self.shared.changed.notify_all();
        }
    }
}

fn law_of(payload_type: u8) -> Option<Law> {
    Law::ALL.into_iter().find(|&law| Codec::from(law).payload_type() == payload_type)
}

/// One RTP packet as bytes.
pub fn rtp_packet(header: RtpHeader, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; HEADER_BYTES];
    header.write(&mut out);
    [&out[..], payload].concat()
}

fn digits(keys: &str) -> Vec<Digit> {
    keys.chars().map(|key| Digit::from_char(key).unwrap()).collect()
}

/// RTP on an even port and RTCP on the next one, both non-blocking.
fn media_sockets(address: IpAddr) -> (UdpSocket, UdpSocket) {
    let mut spare = Vec::new();
    for _ in 0..1000 {
        let rtp = UdpSocket::bind((address, 0)).unwrap();
        let port = rtp.local_addr().unwrap().port();
        if port.is_multiple_of(2) {
            match UdpSocket::bind((address, port + 1)) {
                Ok(rtcp) => {
                    rtp.set_nonblocking(true).unwrap();
                    rtcp.set_nonblocking(true).unwrap();
                    return (rtp, rtcp);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
        }
        spare.push(rtp);
    }
    panic!("no two neighbouring ports are free");
}
