//! Callers on a plane, and what the network does to their packets.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anteroom::media::plane::Stream;
use anteroom::media::{Background, Plane, PlaneCommand, PlaneEvent, PlaneSettings, Sounds};
use anteroom::net::audio::{self, AudioSettings};
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use anteroom::wire::{g711, g722};
use anteroom::words::ids::{CallKey, MeetingKey};
use anteroom::words::media::{
    Codec, Direction, FRAME_SAMPLES, FromPeer, LegStatistics, NegotiatedMedia, WIDE_FRAME_SAMPLES,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// One tick, in microseconds.
const TICK: i64 = 20_000;
const MEETING: MeetingKey = MeetingKey(1);

/// A bridge with callers. Time is in microseconds since its beginning; tick `n` is due at `(n + 1) · 20 ms`.
pub struct Bridge {
    plane: Plane,
    start: Instant,
    ticks: i64,
    callers: Vec<Caller>,
    pub events: Vec<PlaneEvent>,
}

struct Caller {
    slot: usize,
    codec: Codec,
    address: SocketAddr,
    /// What is on its way: arrival, and the datagram. Earliest last.
    network: Vec<(i64, Vec<u8>)>,
    decoder: VoiceDecoder,
    heard: Vec<i16>,
    /// What comes to him is not decoded.
    is_deaf: bool,
    /// The codes of the last packet.
    codes: Vec<u8>,
}

pub fn sounds() -> Arc<Sounds> {
    static SOUNDS: OnceLock<Arc<Sounds>> = OnceLock::new();
    let load = || {
        let sounds = audio::load(&AudioSettings::default()).expect("the shipped sounds");
        sounds.encode(Codec::G722);
        sounds.encode(Codec::Opus);
        sounds
    };
    Arc::clone(SOUNDS.get_or_init(load))
}

impl Bridge {
    pub fn new() -> Bridge {
        let start = Instant::now();
        let plane = Plane::new(start, sounds(), PlaneSettings::default(), StdRng::seed_from_u64(1));
        Bridge { plane, start, ticks: 0, callers: Vec::new(), events: Vec::new() }
    }

    pub fn command(&mut self, command: PlaneCommand) {
        self.plane.handle_command(self.plane.next_tick_at(), command);
    }

    /// A caller who hears silence, and says nothing yet.
    pub fn call(&mut self, codec: Codec) -> usize {
        let number = self.callers.len();
        let call = key(number);
        let address = SocketAddr::from(([192, 0, 2, number as u8 + 1], 4_000));
        self.command(PlaneCommand::Open { call });
        self.negotiate(call, address, codec);
        self.background(number, Background::Silence);
        let slot = self.plane.slot_of(call).expect("the leg is open");
        self.callers.push(Caller {
            slot,
            codec,
            address,
            network: Vec::new(),
            decoder: VoiceDecoder::default(),
            heard: Vec::new(),
            is_deaf: false,
            codes: Vec::new(),
        });
        number
    }

    fn negotiate(&mut self, call: CallKey, address: SocketAddr, codec: Codec) {
        let media = NegotiatedMedia {
            remote_rtp: address,
            remote_rtcp: SocketAddr::new(address.ip(), 4_001),
            codec,
            payload_type: codec.payload_type(),
            bits_per_second_max: None,
            telephone_event: Some(101),
            from_peer: FromPeer { voice: codec.payload_type(), events: Some((101, codec.clock_rate())) },
            direction: Direction::SendRecv,
        };
        self.command(PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media: media.into() });
    }

    /// He speaks and hears another codec from now on, by re-INVITE; what he has heard until now is forgotten.
    pub fn renegotiate(&mut self, caller: usize, codec: Codec) {
        let address = self.callers[caller].address;
        self.negotiate(key(caller), address, codec);
        let caller = &mut self.callers[caller];
        (caller.codec, caller.decoder) = (codec, VoiceDecoder::default());
        caller.heard.clear();
    }

    pub fn background(&mut self, caller: usize, background: Background) {
        self.command(PlaneCommand::Background { call: key(caller), background });
    }

    pub fn admit(&mut self, callers: &[usize]) {
        self.command(PlaneCommand::Admit {
            meeting: MEETING,
            calls: callers.iter().map(|&number| key(number)).collect(),
        });
    }

    /// Lets a datagram arrive at a caller's port at this time, in microseconds from the beginning.
    pub fn queue(&mut self, caller: usize, arrives: i64, datagram: Vec<u8>) {
        let network = &mut self.callers[caller].network;
        let place = network.partition_point(|(at, _)| *at > arrives);
        network.insert(place, (arrives, datagram));
    }

    /// Each so many packets that are on the way come twice.
    pub fn double(&mut self, caller: usize, each: usize) {
        let network = &mut self.callers[caller].network;
        let again: Vec<_> = network.iter().step_by(each).map(|(at, datagram)| (at + 300, datagram.clone())).collect();
        network.extend(again);
        network.sort_by_key(|(arrives, _)| -arrives);
    }

    /// Lets a caller say this, from the next tick on. `path`: when a packet arrives, in microseconds after the caller's
    /// telephone has it whole; `None`: it is lost. His clock runs `fast_ppm` fast.
    pub fn say(&mut self, caller: usize, voice: &[i16], fast_ppm: i64, mut path: impl FnMut(i64) -> Option<i64>) {
        let from = self.ticks * TICK;
        // Whenever he begins to speak it is another stream.
        let ssrc = (self.ticks * 100) as u32 + caller as u32;
        let Some(Caller { codec, network, .. }) = self.callers.get_mut(caller) else { panic!("no caller {caller}") };
        for (number, codes) in (0i64..).zip(packets(*codec, voice)) {
            let whole_at = (number + 1) * TICK;
            let whole_at = from + whole_at - whole_at * fast_ppm / 1_000_000;
            let Some(delay) = path(number) else { continue };
            let numbers = (number as u16, number as u32 * codec.clock_rate() / 50, ssrc);
            let datagram = packet(codec.payload_type(), numbers, &codes);
            network.push((whole_at + delay, datagram));
        }
        network.sort_by_key(|(arrives, _)| -arrives);
    }

    pub fn run(&mut self, ticks: i64) {
        for _ in 0..ticks {
            let due = (self.ticks + 1) * TICK;
            for caller in &mut self.callers {
                while let Some((at, datagram)) = caller.network.pop_if(|(at, _)| *at <= due) {
                    let received_at = self.start + Duration::from_micros(at.max(0) as u64);
                    self.plane.handle_rtp(caller.slot, caller.address, received_at, &datagram);
                }
            }
            let callers = &mut self.callers;
            self.plane.tick(&mut |slot, stream, _, datagram| {
                let caller = callers.iter_mut().find(|caller| caller.slot == slot && stream == Stream::Rtp);
                let (Some(caller), Ok(packet)) = (caller, RtpPacket::parse(datagram)) else { return };
                if caller.is_deaf {
                    return;
                }
                caller.codes = packet.payload.to_vec();
                caller.heard.extend(caller.decoder.decoded(caller.codec, packet.payload));
            });
            while let Some(event) = self.plane.poll_event() {
                self.events.push(event);
            }
            self.ticks += 1;
        }
    }

    /// What the call record says of the caller's media. He hangs up for that.
    pub fn hang_up(&mut self, caller: usize) -> LegStatistics {
        self.command(PlaneCommand::Close { call: key(caller) });
        self.run(1);
        let of_call = |event: &PlaneEvent| match event {
            PlaneEvent::Closed { call, statistics } if *call == key(caller) => Some(*statistics),
            _ => None,
        };
        self.events.iter().find_map(of_call).expect("the leg is closed")
    }

    /// The payload of the last packet to the caller.
    pub fn codes(&self, caller: usize) -> &[u8] {
        &self.callers[caller].codes
    }

    /// What was heard until now is not needed any more.
    pub fn forget(&mut self) {
        self.callers.iter_mut().for_each(|caller| caller.heard.clear());
    }

    /// From now on nobody's telephone decodes what it gets.
    #[cfg(feature = "opus")]
    pub fn deaf(&mut self) {
        self.callers.iter_mut().for_each(|caller| caller.is_deaf = true);
    }

    /// Everything that the caller has heard since he called: 160 samples a tick, or 320.
    pub fn heard(&self, caller: usize) -> &[i16] {
        &self.callers[caller].heard
    }
}

/// An RTP packet; `numbers`: sequence, timestamp and SSRC.
pub fn packet(payload_type: u8, numbers: (u16, u32, u32), payload: &[u8]) -> Vec<u8> {
    let (sequence, timestamp, ssrc) = numbers;
    let mut header = [0; HEADER_BYTES];
    RtpHeader { payload_type, marker: false, sequence, timestamp, ssrc }.write(&mut header);
    [&header, payload].concat()
}

/// Samples at 8 kHz, or 16 for a codec that has so many.
pub fn encoded(codec: Codec, samples: &[i16]) -> Vec<u8> {
    let Some(law) = codec.law() else {
        let mut codes = vec![0; samples.len() / 2];
        g722::Encoder::default().encode(samples, &mut codes);
        return codes;
    };
    samples.iter().map(|&sample| g711::encode(law, sample)).collect()
}

/// The same in packets of 20 ms.
fn packets(codec: Codec, samples: &[i16]) -> Vec<Vec<u8>> {
    #[cfg(feature = "opus")]
    if codec == Codec::Opus {
        return super::opus::packets(samples);
    }
    encoded(codec, samples).chunks_exact(FRAME_SAMPLES).map(<[u8]>::to_vec).collect()
}

/// What a telephone's loudspeaker hangs on.
#[derive(Default)]
pub struct VoiceDecoder {
    g722: g722::Decoder,
    #[cfg(feature = "opus")]
    opus: Option<anteroom::wire::opus::Decoder>,
}

impl VoiceDecoder {
    fn decoded(&mut self, codec: Codec, codes: &[u8]) -> Vec<i16> {
        match codec {
            Codec::Pcmu | Codec::Pcma => {
                let law = codec.law().unwrap();
                codes.iter().map(|&code| g711::decode(law, code)).collect()
            }
            Codec::G722 => {
                let mut samples = vec![0; 2 * codes.len()];
                self.g722.decode(codes, &mut samples);
                samples
            }
            #[cfg(feature = "opus")]
            Codec::Opus => super::opus::decoded(&mut self.opus, codes),
            #[cfg(not(feature = "opus"))]
            Codec::Opus => unreachable!("it is not built in"),
        }
    }
}

/// What coding and decoding leaves of some samples.
pub fn coded(codec: Codec, samples: &[i16]) -> Vec<i16> {
    let mut decoder = VoiceDecoder::default();
    packets(codec, samples).iter().flat_map(|packet| decoder.decoded(codec, packet)).collect()
}

pub fn key(caller: usize) -> CallKey {
    CallKey(caller as u64 + 1)
}

/// What one caller hears of what another says, in a meeting of the two; its first sample is that of the first tick after the
/// speaker's telephone began to record.
pub fn through_the_bridge(voice: &[i16], codecs: [Codec; 2], path: impl FnMut(i64) -> Option<i64>) -> Vec<i16> {
    let mut bridge = Bridge::new();
    let (speaker, listener) = (bridge.call(codecs[0]), bridge.call(codecs[1]));
    bridge.admit(&[speaker, listener]);
    bridge.say(speaker, voice, 0, path);
    let frame = if codecs[0].is_wide() { WIDE_FRAME_SAMPLES } else { FRAME_SAMPLES };
    bridge.run((voice.len() / frame) as i64 + 20);
    bridge.heard(listener).to_vec()
}
