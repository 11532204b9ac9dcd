//! A small exchange: it answers, plays prompt 1 and then music, and knows two codes. `*80909#` by anybody takes all callers
//! into one meeting; `9` says prompt 2 and hangs up. Calling 403 is refused with it, 180 rings for ever.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::replay::ears::test_sounds::{babble, tone};
use crate::sip::{Command, Endpoint, EndpointConfig, Flow, HangUpReason, LocalMedia, Refusal, SipEvent, TrunkTable};
use crate::wire::g711;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use crate::wire::telephone_event::TelephoneEvent;
use crate::words::ids::SessionKey;
use crate::words::media::{Codec, Direction, FRAME, FRAME_SAMPLES, Law, NegotiatedMedia};
use crate::words::secret::Digit;

pub struct Exchange {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    sessions: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    pub fn start() -> Exchange {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, sessions) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut floor = Floor::new(socket, sessions.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || floor.run(&stopped));
        Exchange { address, stop, sessions, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody's call is left behind.
    pub fn wait_for_quiet(&self, within: Duration) {
        let end = Instant::now() + within;
        while self.sessions.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < end, "calls were left behind");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Leg {
    rtp: UdpSocket,
    media: Option<NegotiatedMedia>,
    keys: String,
    last_event: Option<u32>,
    /// What he says, for the others.
    said: Option<[i16; FRAME_SAMPLES]>,
    playing: Vec<Vec<i16>>,
    cursor: usize,
    music: usize,
    hangs_up: bool,
    sequence: u16,
    timestamp: u32,
}

struct Floor {
    socket: UdpSocket,
    endpoint: Endpoint,
    legs: HashMap<SessionKey, Leg>,
    meeting: bool,
    music: Vec<i16>,
    sessions: Arc<AtomicUsize>,
}

impl Floor {
    fn new(socket: UdpSocket, sessions: Arc<AtomicUsize>) -> Floor {
        socket.set_nonblocking(true).unwrap();
        let config = EndpointConfig { trunks: TrunkTable::open(), ..EndpointConfig::default() };
        let endpoint = Endpoint::new(config, StdRng::from_rng(&mut rand::rng()));
        Floor { socket, endpoint, legs: HashMap::new(), meeting: false, music: babble(99, 20.0), sessions }
    }

    fn run(&mut self, stop: &AtomicBool) {
        let mut next = Instant::now() + FRAME;
        let mut buffer = vec![0; 65_535];
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
                let flow = Flow::udp(self.socket.local_addr().unwrap(), source);
                self.endpoint.handle_message(now, &flow, Bytes::copy_from_slice(&buffer[..length]));
            }
            self.endpoint.handle_timeout(now);
            while let Some(event) = self.endpoint.poll_event() {
                self.take(now, event);
            }
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.socket.send_to(&transmit.bytes, transmit.flow.remote).unwrap();
            }
            self.sessions.store(self.endpoint.counts().sessions, Ordering::Relaxed);
            while next <= now {
                self.tick(now, &mut buffer);
                next += FRAME;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn take(&mut self, now: Instant, event: SipEvent) {
        match event {
            SipEvent::Incoming { session, call } => {
                let command = match call.called.as_str() {
                    "403" => Command::Reject { session, refusal: Refusal::Forbidden },
                    "180" => Command::Ring { session },
                    _ => {
                        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
                        rtp.set_nonblocking(true).unwrap();
                        let media = LocalMedia {
                            rtp: rtp.local_addr().unwrap(),
                            codecs: Law::ALL.map(Codec::from).to_vec(),
                            telephone_event: true,
                            direction: Direction::SendRecv,
                        };
                        let leg = Leg {
                            rtp,
                            media: None,
                            keys: String::new(),
                            last_event: None,
                            said: None,
                            playing: vec![babble(1, 2.0)],
                            cursor: 0,
                            music: 24_000,
                            hangs_up: false,
                            sequence: 0,
                            timestamp: u32::MAX - 20_000,
                        };
                        self.legs.insert(session, leg);
                        Command::Accept { session, media }
                    }
                };
                self.endpoint.handle_command(now, command).unwrap();
            }
            SipEvent::MediaAgreed { session, media } => self.legs.get_mut(&session).unwrap().media = Some(media),
            SipEvent::InfoDigit { session, digit, .. } => self.press(session, digit),
            SipEvent::Ended { session, .. } => {
                self.legs.remove(&session);
            }
            _ => {}
        }
    }

    fn press(&mut self, session: SessionKey, digit: Digit) {
        let Some(leg) = self.legs.get_mut(&session) else { return };
        leg.keys.push(digit.expose());
        if leg.keys == "9" {
            (leg.playing, leg.cursor, leg.hangs_up) = (vec![babble(2, 2.0)], 0, true);
        }
        if leg.keys == "*80909#" {
            self.meeting = true;
            let chime = [tone(512.0, 0.2, 4_000.0), tone(640.0, 0.25, 3_000.0)].concat();
            for leg in self.legs.values_mut() {
                (leg.playing, leg.cursor) = (vec![chime.clone()], 0);
            }
        }
    }

    fn tick(&mut self, now: Instant, buffer: &mut [u8]) {
        let mut pressed = Vec::new();
        for (session, leg) in &mut self.legs {
            leg.said = None;
            while let Ok((length, _)) = leg.rtp.recv_from(buffer) {
                let rtp = RtpPacket::parse(&buffer[..length]).unwrap();
                if rtp.payload_type < 96 {
                    let law = if rtp.payload_type == 0 { Law::Mu } else { Law::A };
                    let mut frame = [0; FRAME_SAMPLES];
                    g711::decode_into(law, rtp.payload, &mut frame);
                    leg.said = Some(frame);
                } else if leg.last_event != Some(rtp.timestamp) {
                    leg.last_event = Some(rtp.timestamp);
                    pressed.push((*session, TelephoneEvent::parse(rtp.payload).unwrap().digit().unwrap()));
                }
            }
        }
        for (session, digit) in pressed {
            self.press(session, digit);
        }
        let said: Vec<_> = self.legs.iter().filter_map(|(session, leg)| Some((*session, leg.said?))).collect();
        let mut finished = Vec::new();
        for (session, leg) in &mut self.legs {
            let mut frame = [0i16; FRAME_SAMPLES];
            for sample in &mut frame {
                while leg.playing.first().is_some_and(|sound| leg.cursor >= sound.len()) {
                    leg.playing.remove(0);
                    leg.cursor = 0;
                    if leg.hangs_up {
                        finished.push(*session);
                    }
                }
                if let Some(sound) = leg.playing.first() {
                    *sample = sound[leg.cursor];
                    leg.cursor += 1;
                } else if !self.meeting {
                    *sample = self.music[leg.music % self.music.len()];
                    leg.music += 1;
                }
            }
            if self.meeting {
                for (speaker, voice) in &said {
                    if speaker != session {
                        frame.iter_mut().zip(voice).for_each(|(sum, sample)| *sum = sum.saturating_add(*sample / 4));
                    }
                }
            }
            leg.send(&frame);
        }
        for session in finished {
            let _ = self.endpoint.handle_command(now, Command::HangUp { session, reason: HangUpReason::Normal });
        }
    }
}

impl Leg {
    fn send(&mut self, frame: &[i16; FRAME_SAMPLES]) {
        self.timestamp = self.timestamp.wrapping_add(160);
        let Some(media) = self.media.as_ref().filter(|media| media.direction.sends()) else { return };
        let mut packet = [0u8; HEADER_BYTES + FRAME_SAMPLES];
        let header = RtpHeader {
            payload_type: media.payload_type,
            marker: false,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: 77,
        };
        header.write(packet.first_chunk_mut().unwrap());
        g711::encode_into(media.codec.law().unwrap(), frame, &mut packet[HEADER_BYTES..]);
        self.sequence = self.sequence.wrapping_add(1);
        let _ = self.rtp.send_to(&packet, media.remote_rtp);
    }
}
