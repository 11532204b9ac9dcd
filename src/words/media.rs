//! What a call's media is: the codec, who may send, and where to. Agreed by `sip`, carried out by `media`.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The length of one frame, and the distance between two packets of a call.
pub const FRAME: Duration = Duration::from_millis(20);

/// Samples in one frame at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;

/// Samples in one frame at 16 kHz.
pub const WIDE_FRAME_SAMPLES: usize = 2 * FRAME_SAMPLES;

/// The two ways in which G.711 codes a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

impl Law {
    pub const ALL: [Law; 2] = [Law::Mu, Law::A];

    /// Dense index, for tables with one entry per law.
    pub fn index(self) -> usize {
        match self {
            Law::Mu => 0,
            Law::A => 1,
        }
    }
}

impl From<Law> for Codec {
    fn from(law: Law) -> Codec {
        match law {
            Law::Mu => Codec::Pcmu,
            Law::A => Codec::Pcma,
        }
    }
}

/// How voice is coded on the wire. G.711 and G.722 have 160 octets in a frame of 20 ms, an octet for each step of an RTP clock of
/// 8 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, payload type 0 (RFC 3551).
    Pcmu,
    /// G.711 A-law, payload type 8 (RFC 3551).
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9 (RFC 3551): voice up to 7 kHz.
    G722,
    /// Opus (RFC 6716, RFC 7587), at 16 kHz here. Only where the program was built with it
    /// ([`opus::IS_BUILT_IN`](crate::wire::opus::IS_BUILT_IN)).
    Opus,
}

impl Codec {
    pub const ALL: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

    /// What we offer and take where nothing else is set, best first. Not Opus, which costs two to three times as much as G.711.
    pub const PREFERRED: [Codec; 3] = [Codec::G722, Codec::Pcmu, Codec::Pcma];

    /// The law of G.711. `None`: it is not G.711.
    pub fn law(self) -> Option<Law> {
        match self {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::G722 | Codec::Opus => None,
        }
    }

    /// Whether its voice has 16,000 samples a second, not 8,000.
    pub fn is_wide(self) -> bool {
        matches!(self, Codec::G722 | Codec::Opus)
    }

    /// The codec of this encoding name, in whatever case.
    pub fn named(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The encoding name of RFC 3551, table 4, or RFC 7587.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The payload type under which we offer it: the static one of RFC 3551, table 4; for Opus, which has none, what browsers
    /// have made a habit.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => 111,
        }
    }

    /// RTP clock rate in Hz. G.722 has 16,000 samples a second and by an old mistake a clock of 8,000 (RFC 3551 section 4.5.2);
    /// Opus has one of 48,000 at whatever rate it codes (RFC 7587 section 4.1).
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            Codec::Opus => 48_000,
        }
    }

    /// The channels in its `rtpmap`. Opus always says two, and says in each packet how many there are (RFC 7587 section 7).
    pub fn channels(self) -> u8 {
        if self == Codec::Opus { 2 } else { 1 }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which way media flows, seen from us (RFC 3264 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// What offer and answer agreed on for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedMedia {
    /// Where the peer's SDP says that RTP goes. An unspecified address (`0.0.0.0`, the hold of RFC 2543) comes with
    /// `direction` already without sending.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes: `a=rtcp` (RFC 3605), or the port above RTP's.
    pub remote_rtcp: SocketAddr,
    pub codec: Codec,
    /// The payload type of `codec` that the peer asked for.
    pub payload_type: u8,
    /// The most that the peer wants of a codec that leaves it to us.
    pub bits_per_second_max: Option<u32>,
    /// The payload type of `telephone-event` (RFC 4733), where it was agreed on.
    pub telephone_event: Option<u8>,
    pub from_peer: FromPeer,
    pub direction: Direction,
}

impl NegotiatedMedia {
    /// What the peer sends with this payload type. The types of our own description come first; those of his are taken, too,
    /// where they can mean nothing else, since not everybody who chooses numbers of his own sends with ours.
    pub fn content_of(&self, payload_type: u8) -> Option<Content> {
        let FromPeer { voice, events } = self.from_peer;
        if payload_type == voice {
            Some(Content::Voice)
        } else if events.is_some_and(|(event, _)| payload_type == event) {
            Some(Content::Event)
        } else if payload_type == self.payload_type {
            Some(Content::Voice)
        } else {
            (self.telephone_event == Some(payload_type)).then_some(Content::Event)
        }
    }
}

/// What is in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// In the codec that was agreed on.
    Voice,
    /// A `telephone-event`.
    Event,
}

/// What the peer's packets have: the payload types of our own description, which are others than his where he has answered an
/// offer of ours with numbers of his own (RFC 3264 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromPeer {
    pub voice: u8,
    /// The payload type of `telephone-event`, and its clock in Hz, which with Opus can be another than the voice's.
    pub events: Option<(u8, u32)>,
}

/// The way a key press reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigitMethod {
    /// RFC 4733 telephone-event.
    Event,
    /// SIP INFO, `application/dtmf-relay` or `application/dtmf`.
    Info,
    /// Tones in the voice.
    InBand,
}

/// What one leg's media was like, for the call record. Zeroes where nothing was received.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LegStatistics {
    pub packets_received: u64,
    pub packets_sent: u64,
    /// Expected by sequence number and never seen (RFC 3550 appendix A.3).
    pub packets_lost: u64,
    /// Came after their frame was played.
    pub packets_late: u64,
    /// From another source than the one bound, not RTP at all, or nothing that was agreed on: of another payload type, or
    /// too short or too long for voice.
    pub packets_refused: u64,
    /// Interarrival jitter at the end and its highest value (RFC 3550 section 6.4.1), in milliseconds.
    pub jitter_ms: f32,
    pub jitter_ms_max: f32,
    /// The longest delay of the jitter buffer, in milliseconds.
    pub delay_ms_max: u32,
    /// What the peer's last receiver report says that it lost of ours, where it sent one.
    pub reported_lost: Option<i32>,
    pub codec: Option<Codec>,
}
