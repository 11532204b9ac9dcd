//! The callers' voices: RTP of up to some thousand callers from one thread.
//!
//! A server knows a call by the port that a packet comes to, so callers may share sockets: fifty of them are a *group*
//! with one socket. A group speaks in one of the twenty milliseconds of a frame, all its packets in one system call, and
//! reads ten milliseconds later. Groups are spread over the frame, as callers are.
//!
//! ```text
//!  slot (1 ms)   0   1   2  …  10  11  …  19 │ 0   1
//!  group 0       send          read          │ send
//!  group 1           send          read      │     send
//! ```
//!
//! Everything that speaks to the callers is on loopback, so that the port that a packet comes from names its call.

use std::collections::HashSet;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::Range;

use anteroom::wire::g711;
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader};
use anteroom::words::media::{Codec, FRAME_SAMPLES};

use super::batch::{Inbox, Outbox, stamped_pair};
use super::clock::Stamp;
use super::delivery::{Delivery, Window};
use super::keys::Typing;
use super::sounds::{HoldMusic, SPOKEN, speech};
use super::{Outcome, wrong};

/// Callers with one socket.
const GROUP: usize = 50;

/// Slots of a frame.
pub const SLOTS: u64 = 20;

/// A group reads this long after it spoke.
const READ_AFTER: u64 = SLOTS / 2;

/// Music for this many frames: he is in the lobby.
const FRAMES_OF_MUSIC: u32 = 10;

/// What a silent caller sends.
fn silence(codec: Codec) -> u8 {
    codec.law().map_or(G722_SILENCE, g711::silence)
}

/// What an encoder at rest makes of silence.
const G722_SILENCE: u8 = 0xFA;

pub struct Fleet {
    groups: Vec<Group>,
    streams: Vec<Stream>,
    /// The stream that each port speaks to.
    by_port: Vec<Option<usize>>,
    window: Option<Window>,
    speech: [Vec<u8>; SPOKEN.len()],
    music: HoldMusic,
    inbox: Inbox,
    outbox: Outbox,
    /// Packets that the kernel did not take.
    pub unsent: u64,
}

struct Group {
    rtp: UdpSocket,
    address: SocketAddrV4,
    /// Never read: reports fall on the floor, but do not come back as unreachable.
    _rtcp: UdpSocket,
    streams: Range<usize>,
}

/// One caller's way in and out.
struct Stream {
    remote: Option<SocketAddrV4>,
    mouth: Mouth,
    ears: Ears,
}

struct Mouth {
    codec: Codec,
    packet: [u8; HEADER_BYTES + FRAME_SAMPLES],
    header: RtpHeader,
    /// Where in the speech; `None`: silence.
    speaks_from: Option<usize>,
    typing: Typing,
    event_payload_type: u8,
    last_key_at: Option<Stamp>,
}

#[derive(Default)]
struct Ears {
    /// Looks what it is that is heard.
    listens: bool,
    frames_of_music: u32,
    /// The first packet that was no music after there had been some.
    other_at: Option<Stamp>,
}

impl Fleet {
    pub fn new(callers: usize) -> Outcome<Fleet> {
        let mut groups = Vec::new();
        for first in (0..callers).step_by(GROUP) {
            let (rtp, rtcp) = stamped_pair()?;
            let SocketAddr::V4(address) = rtp.local_addr()? else {
                return Err(wrong("not an IPv4 socket"));
            };
            groups.push(Group { rtp, address, _rtcp: rtcp, streams: first..(first + GROUP).min(callers) });
        }
        Ok(Fleet {
            groups,
            streams: (0..callers).map(Stream::new).collect(),
            by_port: vec![None; 1 << 16],
            window: None,
            speech: speech()?,
            music: HoldMusic::load()?,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            unsent: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// What the caller speaks from his next call on.
    pub fn set_codec(&mut self, caller: usize, codec: Codec) {
        let mouth = &mut self.streams[caller].mouth;
        mouth.codec = codec;
        mouth.header.payload_type = codec.payload_type();
    }

    pub fn codec(&self, caller: usize) -> Codec {
        self.streams[caller].mouth.codec
    }

    /// Where this caller wants to be sent to.
    pub fn address(&self, caller: usize) -> SocketAddrV4 {
        self.groups[caller / GROUP].address
    }

    /// Our own ports.
    pub fn ports(&self) -> HashSet<u16> {
        self.groups.iter().map(|group| group.address.port()).collect()
    }

    /// From now on the caller speaks to this address.
    pub fn connect(&mut self, caller: usize, remote: SocketAddrV4, event_payload_type: Option<u8>) {
        self.disconnect(caller);
        self.by_port[usize::from(remote.port())] = Some(caller);
        let stream = &mut self.streams[caller];
        stream.remote = Some(remote);
        stream.ears = Ears { listens: stream.ears.listens, ..Ears::default() };
        stream.mouth.event_payload_type = event_payload_type.unwrap_or_default();
    }

    pub fn disconnect(&mut self, caller: usize) {
        let stream = &mut self.streams[caller];
        stream.mouth.typing = Typing::default();
        stream.mouth.speaks_from = None;
        if let Some(remote) = stream.remote.take() {
            let heard = &mut self.by_port[usize::from(remote.port())];
            if *heard == Some(caller) {
                *heard = None;
            }
        }
    }

    pub fn type_keys(&mut self, caller: usize, typing: Typing) {
        self.streams[caller].mouth.typing = typing;
    }

    /// When the caller's last key began.
    pub fn last_key_at(&self, caller: usize) -> Option<Stamp> {
        self.streams[caller].mouth.last_key_at
    }

    /// Speaks from now on, from that share (0 to 1) of the recording.
    pub fn speak(&mut self, caller: usize, from: f64) {
        self.streams[caller].mouth.speaks_from = Some((self.speech[0].len() as f64 * from) as usize);
    }

    /// Says nothing more.
    pub fn be_silent(&mut self, caller: usize) {
        self.streams[caller].mouth.speaks_from = None;
    }

    /// These callers look out for the hold music, and for its end.
    pub fn listen(&mut self, callers: Range<usize>) {
        for stream in &mut self.streams[callers] {
            stream.ears = Ears { listens: true, ..Ears::default() };
        }
    }

    pub fn stop_listening(&mut self, callers: Range<usize>) {
        for stream in &mut self.streams[callers] {
            stream.ears.listens = false;
        }
    }

    pub fn hears_music(&self, caller: usize) -> bool {
        self.streams[caller].ears.frames_of_music >= FRAMES_OF_MUSIC
    }

    /// When the caller first heard something else than music.
    pub fn music_ended_at(&self, caller: usize) -> Option<Stamp> {
        self.streams[caller].ears.other_at
    }

    /// Counts what comes to every caller who is connected now.
    pub fn open_window(&mut self) {
        let measured = self.streams.iter().map(|stream| stream.remote.is_some()).collect();
        self.window = Some(Window::new(Stamp::now(), measured));
    }

    pub fn close_window(&mut self) -> Option<Delivery> {
        if let Some(window) = &mut self.window {
            window.ends_at = Some(Stamp::now());
        }
        for group in 0..self.groups.len() {
            self.read(group);
        }
        self.window.take().map(Window::delivery)
    }

    /// Does what this slot's groups have to do.
    pub fn run_slot(&mut self, slot: u64) {
        for group in 0..self.groups.len() {
            let phase = (slot + SLOTS - group as u64 % SLOTS) % SLOTS;
            match phase {
                0 => self.send(group),
                READ_AFTER => self.read(group),
                _ => {}
            }
        }
    }

    fn send(&mut self, group: usize) {
        let group = &self.groups[group];
        let speech = &self.speech;
        let now = Stamp::now();
        let speaking = self.streams[group.streams.clone()].iter_mut();
        let packets: Vec<(SocketAddrV4, &[u8])> =
            speaking.filter_map(|stream| Some((stream.remote?, stream.mouth.packet(speech, now)))).collect();
        self.unsent += self.outbox.send(&group.rtp, &packets) as u64;
    }

    fn read(&mut self, group: usize) {
        let (streams, by_port, window, music) = (&mut self.streams, &self.by_port, &mut self.window, &self.music);
        self.inbox.drain(&self.groups[group].rtp, |source, at, packet| {
            let caller = source.and_then(|source| by_port[usize::from(source.port())]);
            let Some(caller) = caller else { return };
            let ears = &mut streams[caller].ears;
            if let Some(window) = window {
                window.count(caller, at);
            }
            if ears.listens {
                ears.listen(at, packet.get(HEADER_BYTES..).unwrap_or_default(), music);
            }
        });
    }
}

impl Stream {
    fn new(caller: usize) -> Stream {
        // Nobody's numbers begin alike. 2654435761 is 2^32 divided by the golden ratio: neighbours land far apart.
        let spread = (caller as u32 + 1).wrapping_mul(2_654_435_761);
        let header = RtpHeader {
            payload_type: Codec::Pcmu.payload_type(),
            marker: false,
            sequence: (spread >> 16) as u16,
            timestamp: spread.rotate_left(7),
            ssrc: spread,
        };
        let mouth = Mouth {
            codec: Codec::Pcmu,
            packet: [0; HEADER_BYTES + FRAME_SAMPLES],
            header,
            speaks_from: None,
            typing: Typing::default(),
            event_payload_type: 0,
            last_key_at: None,
        };
        Stream { remote: None, mouth, ears: Ears::default() }
    }
}

impl Mouth {
    /// The packet of this frame.
    fn packet(&mut self, speech: &[Vec<u8>], now: Stamp) -> &[u8] {
        let speech = &speech[self.codec as usize];
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        if let Some(key) = self.typing.next(self.header.timestamp) {
            if key.begins {
                self.last_key_at = Some(now);
            }
            let header = RtpHeader {
                payload_type: self.event_payload_type,
                marker: key.begins,
                timestamp: key.rtp_timestamp,
                ..self.header
            };
            return self.write(header, &key.payload);
        }
        match self.speaks_from {
            Some(from) => {
                let from = if from + FRAME_SAMPLES <= speech.len() { from } else { 0 };
                self.speaks_from = Some(from + FRAME_SAMPLES);
                self.write(self.header, &speech[from..from + FRAME_SAMPLES])
            }
            None => self.write(self.header, &[silence(self.codec); FRAME_SAMPLES]),
        }
    }

    fn write(&mut self, header: RtpHeader, payload: &[u8]) -> &[u8] {
        let bytes = HEADER_BYTES + payload.len();
        if let Some(first) = self.packet.first_chunk_mut() {
            header.write(first);
        }
        self.packet[HEADER_BYTES..bytes].copy_from_slice(payload);
        &self.packet[..bytes]
    }
}

impl Ears {
    fn listen(&mut self, at: Stamp, frame: &[u8], music: &HoldMusic) {
        if music.has(frame) {
            self.frames_of_music += 1;
        } else if self.frames_of_music < FRAMES_OF_MUSIC {
            self.frames_of_music = 0;
        } else if self.other_at.is_none() {
            self.other_at = Some(at);
        }
    }
}
