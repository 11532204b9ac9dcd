//! Session descriptions (RFC 8866): as much as the offer and answer of one voice stream needs (RFC 3264), read by `sdp-types`.
//!
//! All media sections are kept in their order, also those that are not ours, because an answer has one for each of the
//! offer's (RFC 3264 section 6). What a section does not need to be answered (keys, candidates, bandwidths) is not kept.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use bytes::Bytes;
use sdp_types::{Media, ParserError, Rtcp, RtpMap, Session};

use crate::words::media::Direction;

/// More streams than any offer to a telephone has; each one makes the answer longer.
const SECTIONS_MAX: usize = 16;

/// Formats in one section: a payload type has 7 bits.
const FORMATS_MAX: usize = 128;

/// The static payload types of voice (RFC 3551 table 4) that need no `rtpmap`.
const STATIC_PAYLOADS: [(u8, &str, u32); 7] = [
    (0, "PCMU", 8000),
    (3, "GSM", 8000),
    (4, "G723", 8000),
    (8, "PCMA", 8000),
    (9, "G722", 8000),
    (13, "CN", 8000),
    (18, "G729", 8000),
];

/// Why a description, or one section of it, can't be used. The text is for the Warning of a 488 and quotes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SdpError(pub String);

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    pub origin: Origin,
    pub sections: Vec<MediaSection>,
}

/// The `o=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Digits.
    pub session_id: String,
    /// Grows with each change of the description.
    pub version: u64,
    /// As it is written: an address of ours in what we write, perhaps a host name in what we read.
    pub address: String,
}

/// What the `m=` line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    Audio,
    /// `video`, `image`, …
    Other(String),
}

/// One payload type and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 127.
    pub payload_type: u8,
    /// As written; names are compared without case.
    pub encoding: String,
    /// Hz.
    pub clock_rate: u32,
    pub channels: u8,
    /// The text of `a=fmtp` without the payload type.
    pub fmtp: Option<String>,
}

impl Payload {
    pub fn new(payload_type: u8, encoding: &str, clock_rate: u32) -> Payload {
        Payload { payload_type, encoding: encoding.into(), clock_rate, channels: 1, fmtp: None }
    }

    /// Whether it is this encoding, with one channel.
    pub fn is(&self, encoding: &str, clock_rate: u32) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding) && self.clock_rate == clock_rate && self.channels == 1
    }
}

/// `a=rtcp` (RFC 3605).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpAttribute {
    pub port: u16,
    /// `None`: the section's own.
    pub address: Option<IpAddr>,
}

/// One `m=` line with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSection {
    pub kind: MediaKind,
    /// 0: refused, or switched off.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// As in the `m=` line.
    pub formats: Vec<String>,
    /// The formats of an RTP section that have a meaning, by `rtpmap` or by RFC 3551, in the order of the `m=` line.
    pub payloads: Vec<Payload>,
    /// From the section's `c=` line, or else the session's. `None` where there is none, and where it is a host name, a
    /// multicast or a broadcast address. `0.0.0.0` and `::` (hold as in RFC 2543) are given as they are.
    pub address: Option<IpAddr>,
    /// As the writer sees it: `sendonly` in an offer means that we only receive. From the section, or else the session.
    pub direction: Direction,
    pub ptime_ms: Option<u16>,
    pub rtcp: Option<RtcpAttribute>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
}

impl SessionDescription {
    /// Reads a description. Text that is not UTF-8 (names and subjects of old systems) does no harm; attributes that can't
    /// be understood are passed over; a line that is broken makes the whole unusable.
    pub fn parse(body: &[u8]) -> Result<SessionDescription, SdpError> {
        let text = String::from_utf8_lossy(body);
        let session = Session::parse(text.as_bytes()).map_err(|error| match error {
            ParserError::InvalidVersion(..) => SdpError("malformed SDP: version is not 0".into()),
            error => SdpError(format!("malformed SDP: {error}")),
        })?;
        if session.medias.len() > SECTIONS_MAX {
            return Err(SdpError(format!("more than {SECTIONS_MAX} media sections")));
        }
        let sections = session.medias.iter().map(|media| MediaSection::read(media, &session));
        Ok(SessionDescription {
            sections: sections.collect::<Result<_, _>>()?,
            origin: Origin {
                session_id: session.origin.sess_id,
                version: session.origin.sess_version,
                address: session.origin.unicast_address,
            },
        })
    }

    /// The bytes for the wire. The session's `c=` line has the address of the first section in use (or the origin's), and
    /// a section has a line of its own only where it differs.
    pub fn write(&self) -> Bytes {
        let in_use = self.sections.iter().filter(|section| section.port != 0);
        let address = in_use.filter_map(|section| section.address).next().or_else(|| unicast(&self.origin.address));
        let Origin { session_id, version, address: origin } = &self.origin;
        let origin_type = origin.parse().map_or("IP4", address_type);
        let mut out = Lines(String::with_capacity(512));
        out.line(format_args!("v=0"));
        out.line(format_args!("o=- {session_id} {version} IN {origin_type} {origin}"));
        out.line(format_args!("s=-"));
        if let Some(address) = address {
            out.line(format_args!("c=IN {} {address}", address_type(address)));
        }
        out.line(format_args!("t=0 0"));
        for section in &self.sections {
            section.write(address, &mut out);
        }
        out.0.into()
    }
}

/// Lines on their way out. What would end a line early is left out of it, whoever chose the name.
struct Lines(String);

impl Lines {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing into memory can't fail.
        let _ = self.write_fmt(line);
        self.0.push_str("\r\n");
    }
}

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.split(['\0', '\r', '\n']));
        Ok(())
    }
}

impl MediaSection {
    /// A section of ours: `RTP/AVP`, packets of 20 ms.
    pub fn audio(rtp: SocketAddr, payloads: Vec<Payload>, direction: Direction) -> MediaSection {
        MediaSection {
            kind: MediaKind::Audio,
            port: rtp.port(),
            protocol: "RTP/AVP".into(),
            formats: payloads.iter().map(|payload| payload.payload_type.to_string()).collect(),
            payloads,
            address: Some(rtp.ip()),
            direction,
            ptime_ms: Some(20),
            rtcp: None,
            rtcp_mux: false,
        }
    }

    /// This section as an answer refuses it: the same kind, protocol and formats with port 0 (RFC 3264 section 6).
    pub fn refused(&self) -> MediaSection {
        MediaSection {
            kind: self.kind.clone(),
            port: 0,
            protocol: self.protocol.clone(),
            formats: self.formats.clone(),
            payloads: Vec::new(),
            address: None,
            direction: Direction::Inactive,
            ptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
        }
    }

    /// Where its RTP goes.
    pub fn rtp_address(&self) -> Result<SocketAddr, SdpError> {
        let address = self.unicast_address()?;
        if self.port == 0 {
            return Err(SdpError("the media port is 0".into()));
        }
        Ok(SocketAddr::new(address, self.port))
    }

    /// Where its RTCP goes, as long as it is not multiplexed with RTP: where `a=rtcp` says, or the port above RTP's.
    pub fn rtcp_address(&self) -> Result<SocketAddr, SdpError> {
        let (address, port) = match self.rtcp {
            Some(RtcpAttribute { port, address: Some(address) }) => (address, Some(port)),
            Some(RtcpAttribute { port, address: None }) => (self.unicast_address()?, Some(port)),
            None => (self.unicast_address()?, self.port.checked_add(1)),
        };
        match port {
            Some(port) if port != 0 => Ok(SocketAddr::new(address, port)),
            _ => Err(SdpError("no port for RTCP".into())),
        }
    }

    fn unicast_address(&self) -> Result<IpAddr, SdpError> {
        self.address.ok_or_else(|| SdpError("the connection address is missing or not a unicast IP address".into()))
    }

    fn read(media: &Media, session: &Session) -> Result<MediaSection, SdpError> {
        let formats: Vec<String> = media.fmt.split_ascii_whitespace().map(String::from).collect();
        if formats.len() > FORMATS_MAX {
            return Err(SdpError(format!("more than {FORMATS_MAX} formats in a media section")));
        }
        let is_rtp = media.proto.split('/').any(|part| part.eq_ignore_ascii_case("RTP"));
        let direction = media.attributes.iter().chain(&session.attributes).find_map(|attribute| {
            Some(match attribute.attribute.trim() {
                "sendrecv" => Direction::SendRecv,
                "sendonly" => Direction::SendOnly,
                "recvonly" => Direction::RecvOnly,
                "inactive" => Direction::Inactive,
                _ => return None,
            })
        });
        let connection = media.connections.first().or(session.connection.as_ref());
        Ok(MediaSection {
            kind: match media.media.as_str() {
                kind if kind.eq_ignore_ascii_case("audio") => MediaKind::Audio,
                kind => MediaKind::Other(kind.into()),
            },
            port: media.port,
            protocol: media.proto.clone(),
            payloads: if is_rtp { payloads(&formats, media) } else { Vec::new() },
            formats,
            address: connection.and_then(|connection| unicast(&connection.connection_address)),
            direction: direction.unwrap_or(Direction::SendRecv),
            ptime_ms: attributes(media, "ptime").find_map(|value| value.parse().ok()),
            rtcp: attributes(media, "rtcp").find_map(|value| Rtcp::from_str(value).ok()).map(|rtcp| RtcpAttribute {
                port: rtcp.port,
                address: rtcp.connection_address.as_deref().and_then(unicast),
            }),
            rtcp_mux: media.has_attribute("rtcp-mux"),
        })
    }

    fn write(&self, session_address: Option<IpAddr>, out: &mut Lines) {
        let kind = match &self.kind {
            MediaKind::Audio => "audio",
            MediaKind::Other(kind) => kind,
        };
        out.line(format_args!("m={kind} {} {} {}", self.port, self.protocol, self.formats.join(" ")));
        if let Some(address) = self.address.filter(|address| Some(*address) != session_address) {
            out.line(format_args!("c=IN {} {address}", address_type(address)));
        }
        for Payload { payload_type, encoding, clock_rate, channels, fmtp } in &self.payloads {
            match channels {
                1 => out.line(format_args!("a=rtpmap:{payload_type} {encoding}/{clock_rate}")),
                channels => out.line(format_args!("a=rtpmap:{payload_type} {encoding}/{clock_rate}/{channels}")),
            }
            if let Some(fmtp) = fmtp {
                out.line(format_args!("a=fmtp:{payload_type} {fmtp}"));
            }
        }
        if let Some(ptime_ms) = self.ptime_ms {
            out.line(format_args!("a=ptime:{ptime_ms}"));
        }
        if self.port != 0 {
            out.line(match self.direction {
                Direction::SendRecv => format_args!("a=sendrecv"),
                Direction::SendOnly => format_args!("a=sendonly"),
                Direction::RecvOnly => format_args!("a=recvonly"),
                Direction::Inactive => format_args!("a=inactive"),
            });
        }
        match self.rtcp {
            Some(RtcpAttribute { port, address: Some(address) }) => {
                out.line(format_args!("a=rtcp:{port} IN {} {address}", address_type(address)));
            }
            Some(RtcpAttribute { port, address: None }) => out.line(format_args!("a=rtcp:{port}")),
            None => {}
        }
        if self.rtcp_mux {
            out.line(format_args!("a=rtcp-mux"));
        }
    }
}

fn address_type(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

/// The values of all attributes of this name, without blanks at both ends.
fn attributes<'a>(media: &'a Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = media.attributes.iter().filter(move |attribute| attribute.attribute == name);
    named.filter_map(|attribute| attribute.value.as_deref()).map(str::trim)
}

/// What each format of the `m=` line means. An `rtpmap` counts before RFC 3551.
fn payloads(formats: &[String], media: &Media) -> Vec<Payload> {
    // No more of each than there can be formats, so that a body full of them costs no more than one that is meant.
    let rtpmap = attributes(media, "rtpmap").filter_map(|value| RtpMap::from_str(value).ok());
    let maps: Vec<RtpMap> = rtpmap.take(FORMATS_MAX).collect();
    let fmtp = attributes(media, "fmtp").filter_map(|value| value.split_once(' '));
    let parameters: Vec<(&str, &str)> = fmtp.take(FORMATS_MAX).collect();
    let payload = |format: &String| {
        let payload_type = format.parse().ok().filter(|payload_type| *payload_type < 128)?;
        let mut payload = match maps.iter().find(|map| map.payload_type == payload_type) {
            Some(map) => Payload {
                channels: map.encoding_params.as_deref().map_or(Some(1), |text| text.trim().parse().ok())?,
                ..Payload::new(payload_type, map.encoding_name.trim(), map.clock_rate)
            },
            None => {
                let (_, encoding, clock_rate) = STATIC_PAYLOADS.iter().find(|entry| entry.0 == payload_type)?;
                Payload::new(payload_type, encoding, *clock_rate)
            }
        };
        let fmtp = parameters.iter().find(|(fmtp_format, _)| fmtp_format == format);
        payload.fmtp = fmtp.map(|(_, text)| text.trim().to_owned());
        Some(payload)
    };
    formats.iter().filter_map(payload).collect()
}

/// The address, where one peer can be reached at it. An IPv4 address in IPv6 clothes is taken out of them, so that it is
/// the one that its packets come from.
fn unicast(text: &str) -> Option<IpAddr> {
    let address = IpAddr::from_str(text).ok()?.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (!address.is_multicast() && !is_broadcast).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> SessionDescription {
        SessionDescription::parse(lines.join("\r\n").as_bytes()).unwrap()
    }

    fn with_session(lines: &[&str]) -> SessionDescription {
        let session = ["v=0", "o=- 1 2 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"];
        parse(&[&session[..], lines, &[""]].concat())
    }

    #[test]
    fn a_softphone_offer() {
        let offer = with_session(&[
            "a=sendonly",
            "m=audio 49170 RTP/AVP 8 0 101 96 77",
            "a=rtpmap:8 pcma/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:101 0-16",
            "a=ptime:30",
            "a=rtcp:53020 IN IP4 192.0.2.7",
            "a=rtcp-mux",
            "m=video 51372 RTP/AVP 31",
            "c=IN IP6 2001:db8::1",
            "a=inactive",
            "m=image 0 udptl t38",
        ]);
        assert_eq!(offer.origin, Origin { session_id: "1".into(), version: 2, address: "192.0.2.1".into() });
        let [audio, video, image] = &offer.sections[..] else { panic!("{offer:?}") };
        assert_eq!(audio.kind, MediaKind::Audio);
        assert_eq!(audio.formats, ["8", "0", "101", "96", "77"]);
        let names: Vec<_> =
            audio.payloads.iter().map(|payload| (payload.payload_type, &payload.encoding[..])).collect();
        assert_eq!(names, [(8, "pcma"), (0, "PCMU"), (101, "telephone-event"), (96, "opus")]);
        assert!(audio.payloads[0].is("PCMA", 8000) && !audio.payloads[3].is("opus", 48000));
        assert_eq!(audio.payloads[2].fmtp.as_deref(), Some("0-16"));
        assert_eq!(audio.direction, Direction::SendOnly);
        assert_eq!((audio.ptime_ms, audio.rtcp_mux), (Some(30), true));
        assert_eq!(audio.rtp_address().unwrap(), "192.0.2.1:49170".parse().unwrap());
        assert_eq!(audio.rtcp_address().unwrap(), "192.0.2.7:53020".parse().unwrap());
        assert_eq!(video.direction, Direction::Inactive);
        assert_eq!(video.rtp_address().unwrap(), "[2001:db8::1]:51372".parse().unwrap());
        assert_eq!(video.rtcp_address().unwrap().port(), 51373);
        assert_eq!(image.kind, MediaKind::Other("image".into()));
        assert_eq!((image.port, &image.protocol[..], &image.formats[..]), (0, "udptl", &["t38".to_string()][..]));
    }

    #[test]
    fn addresses_that_can_not_be_used() {
        let bad = ["host.example.com", "224.2.1.1/127", "224.2.1.1", "255.255.255.255", "ff02::1", "192.0.2.1/3"];
        for address in bad {
            let line = format!("c=IN IP4 {address}");
            let offer = with_session(&["m=audio 4000 RTP/AVP 0", &line]);
            assert_eq!(offer.sections[0].address, None, "{address}");
            assert!(offer.sections[0].rtp_address().is_err() && offer.sections[0].rtcp_address().is_err());
        }
        let held = with_session(&["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"]);
        assert_eq!(held.sections[0].rtp_address().unwrap(), "0.0.0.0:4000".parse().unwrap());
        let mapped = with_session(&["m=audio 4000 RTP/AVP 0", "c=IN IP6 ::ffff:192.0.2.2"]);
        assert_eq!(mapped.sections[0].rtp_address().unwrap(), "192.0.2.2:4000".parse().unwrap());
        let last = with_session(&["m=audio 65535 RTP/AVP 0"]);
        assert!(last.sections[0].rtp_address().is_ok() && last.sections[0].rtcp_address().is_err());
        assert!(with_session(&["m=audio 0 RTP/AVP 0"]).sections[0].rtp_address().is_err());
        let none = parse(&["v=0", "o=- 1 2 IN IP4 192.0.2.1", "s=-", "t=0 0", "m=audio 4000 RTP/AVP 0", ""]);
        assert!(none.sections[0].rtp_address().is_err());
    }

    #[test]
    fn lenient_where_it_does_no_harm() {
        let body = b"v=0\no=caf\xe9 1 2 IN IP4 192.0.2.1\ns=\nt=0 0\nc=IN IP4 192.0.2.1 \nm=audio 4000 RTP/AVP 0  8 \n\
                     a=rtpmap:0  PCMU/8000 \na=rtpmap:nonsense\na=rtcp:many\nx=unknown\n";
        let offer = SessionDescription::parse(body).unwrap();
        assert_eq!(offer.sections[0].payloads, [Payload::new(0, "PCMU", 8000), Payload::new(8, "PCMA", 8000)]);
        assert_eq!(offer.sections[0].rtcp, None);
    }

    #[test]
    fn malformed_and_oversized_ones_are_refused() {
        let sections = format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(SECTIONS_MAX + 1));
        let formats = format!("v=0\r\nm=audio 1 RTP/AVP{}\r\n", " 0".repeat(FORMATS_MAX + 1));
        for bad in
            ["", "hello", "v=1\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio 70000 RTP/AVP 0\r\n", &sections, &formats]
        {
            assert!(SessionDescription::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_as_we_write_it() {
        let offer =
            with_session(&["m=video 51372 RTP/SAVP 31 32", "m=audio 49170 RTP/AVP 0 101", "a=rtpmap:101 x/8000"]);
        let event = Payload { fmtp: Some("0-15".into()), ..Payload::new(101, "telephone-event", 8000) };
        let rtp = "198.51.100.1:20000".parse().unwrap();
        let answer = SessionDescription {
            origin: Origin { session_id: "77".into(), version: 3, address: "198.51.100.1".into() },
            sections: vec![
                offer.sections[0].refused(),
                MediaSection::audio(rtp, vec![Payload::new(0, "PCMU", 8000), event], Direction::RecvOnly),
            ],
        };
        let written = answer.write();
        assert_eq!(
            std::str::from_utf8(&written).unwrap(),
            "v=0\r\no=- 77 3 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
             m=video 0 RTP/SAVP 31 32\r\nm=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=recvonly\r\n"
        );
    }

    #[test]
    fn what_a_peer_chose_makes_no_line_of_its_own() {
        let mut refused = with_session(&["m=video 51372 RTP/SAVP 31"]).sections[0].refused();
        refused.protocol = "RTP\r\na=x\0\n".into();
        let origin = Origin { session_id: "77".into(), version: 3, address: "192.0.2.1".into() };
        let written = SessionDescription { origin, sections: vec![refused] }.write();
        assert!(written.ends_with(b"t=0 0\r\nm=video 0 RTPa=x 31\r\n"), "{written:?}");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let offer = with_session(&[
            "m=audio 4000 RTP/AVP 0 96",
            "c=IN IP6 2001:db8::1",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1",
            "a=rtcp:4009 IN IP6 2001:db8::2",
            "a=sendonly",
            "m=audio 4002 RTP/AVP 8",
            "a=rtcp:4007",
            "a=rtcp-mux",
        ]);
        let again = SessionDescription::parse(&offer.write()).unwrap();
        // Static payload types get their rtpmap when they are written; their meaning is the same.
        assert_eq!(again, offer);
    }
}
