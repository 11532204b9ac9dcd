//! Offer and answer (RFC 3264), as far as one voice stream needs it.
//!
//! ```text
//!   INVITE with offer ──> check_offer            INVITE without  ──>
//!             answer  <── LocalDescription::answer        offer  <── LocalDescription::offer
//!                                                 ACK with answer ──> LocalDescription::take_answer
//! ```
//!
//! One audio m-line is taken: RTP/AVP, the first that fits. All others are refused with port 0, in their place. The answer
//! has one codec, the first of the offer's that is ours, so that nobody changes codecs in mid-call, and telephone-event.
//!
//! Of what Opus has parameters for (RFC 7587 section 6.1) `maxaveragebitrate` is followed; the others say what we send in any case
//! (one channel, no silence suppression), or what does no harm (in-band FEC to whoever does not use it).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use super::command::LocalMedia;
use crate::wire::opus;
use crate::wire::sdp::{MediaKind, MediaSection, Origin, Payload, SdpError, SessionDescription};
use crate::words::media::{Codec, Direction, FromPeer, NegotiatedMedia};

/// The payload type of telephone-event in offers of ours: any dynamic one; this is what everybody takes.
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// The sixteen keys of RFC 4733 section 3.2.
const EVENT_PARAMETERS: &str = "0-15";

const EVENT_ENCODING: &str = "telephone-event";

/// What may come in place of voice in silence (RFC 3389), under its own payload type only: it is never sent from here.
const COMFORT_NOISE: (u8, &str, u32) = (13, "CN", 8000);

/// Hz, as most of the codecs beside it (RFC 4733 section 2.1). With Opus, which has 48,000, many telephones have no other.
const EVENT_CLOCK_RATE: u32 = 8000;

/// What we hear and send of Opus, and that we use what it tells of lost packets.
const OPUS_PARAMETERS: &str = "maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1";

const PROTOCOL: &str = "RTP/AVP";

/// Why a description can't be agreed to: the code and text of a Warning (RFC 3261 section 20.43).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Unacceptable {
    pub code: u16,
    pub why: String,
}

impl Unacceptable {
    fn new(code: u16, why: impl Into<String>) -> Unacceptable {
        Unacceptable { code, why: why.into() }
    }

    /// 399, "miscellaneous": the description could not be read.
    pub fn malformed(error: SdpError) -> Unacceptable {
        Unacceptable::new(399, error.to_string())
    }

    fn address(error: SdpError) -> Unacceptable {
        Unacceptable::new(301, error.to_string())
    }
}

/// Our description of the session: what its `o=` line counts, and what was said last.
#[derive(Debug, Clone)]
pub(super) struct LocalDescription {
    session_id: u64,
    last: Option<SessionDescription>,
    /// Which m-line is the voice.
    voice: usize,
    // RFC 3264 section 8.3.2: a payload type keeps its meaning for the whole session.
    /// Payload type and clock of telephone-event.
    event: (u8, u32),
    opus_payload_type: u8,
}

/// What an m-line of the peer's comes to.
struct Fit {
    codec: Codec,
    payload: Payload,
    event: Option<(u8, u32)>,
    comfort_noise: bool,
    remote_rtp: SocketAddr,
    remote_rtcp: SocketAddr,
    direction: Direction,
}

/// Whether the offer can become a call at all, before anything is known of our side but its codecs. Gives the address that
/// the peer wants its voice at.
pub(super) fn check_offer(offer: &SessionDescription, codecs: &[Codec]) -> Result<IpAddr, Unacceptable> {
    let (_, fit) = first_fit(offer, |section| fit(section, codecs))?;
    Ok(fit.remote_rtp.ip())
}

impl LocalDescription {
    pub fn new(random: &mut StdRng) -> LocalDescription {
        // RFC 8866 section 5.2 wants it numeric and unique; 2⁶² and below, since some peers keep it in a signed number.
        let session_id = random.random::<u64>() >> 2;
        LocalDescription {
            session_id,
            last: None,
            voice: 0,
            event: (EVENT_PAYLOAD_TYPE, EVENT_CLOCK_RATE),
            opus_payload_type: Codec::Opus.payload_type(),
        }
    }

    /// An offer of everything we have.
    pub fn offer(&mut self, local: &LocalMedia) -> Bytes {
        let mut payloads: Vec<Payload> = local.codecs.iter().map(|&codec| self.voice_payload(codec)).collect();
        if local.telephone_event {
            let (payload_type, clock_rate) = self.event;
            payloads.push(event_payload(payload_type, clock_rate));
        }
        let voice = section(local, payloads, local.direction);
        let mut sections = self.last.as_ref().map_or_else(Vec::new, |last| last.sections.clone());
        match sections.get_mut(self.voice) {
            Some(place) => *place = voice.clone(),
            None => {
                self.voice = sections.len();
                sections.push(voice.clone());
            }
        }
        self.say(local, sections)
    }

    /// What a 2xx to an INVITE says: the answer to its offer, or an offer of ours where it has none.
    pub fn answer_or_offer(
        &mut self,
        offer: Option<&SessionDescription>,
        local: &LocalMedia,
    ) -> Result<(Bytes, Option<NegotiatedMedia>), Unacceptable> {
        match offer {
            Some(offer) => self.answer(offer, local).map(|(answer, media)| (answer, Some(media))),
            None => Ok((self.offer(local), None)),
        }
    }

    /// The answer to an offer, and what it comes to. Nothing changes where the offer is not acceptable.
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
        local: &LocalMedia,
    ) -> Result<(Bytes, NegotiatedMedia), Unacceptable> {
        let fits = |section: &MediaSection| {
            let fit = fit(section, &local.codecs)?;
            if !is_same_family(fit.remote_rtp.ip(), local.rtp.ip()) {
                return Err(Unacceptable::new(300, "the address family is not the one we speak"));
            }
            Ok(fit)
        };
        // The m-line that carries the voice keeps carrying it while it can.
        let kept = self.last.as_ref().and_then(|_| offer.sections.get(self.voice)).and_then(|voice| fits(voice).ok());
        let (voice, fit) = match kept {
            Some(fit) => (self.voice, fit),
            None => first_fit(offer, fits)?,
        };
        let media = negotiated(&fit, local);
        let parameters = parameters(fit.codec);
        let mut payloads = vec![Payload { fmtp: parameters, ..fit.payload.clone() }];
        if let Some((payload_type, clock_rate)) = fit.event.filter(|_| local.telephone_event) {
            payloads.push(event_payload(payload_type, clock_rate));
            self.event = (payload_type, clock_rate);
        }
        self.keep_payload_types(&offer.sections, &fit);
        if fit.comfort_noise {
            let (payload_type, encoding, clock_rate) = COMFORT_NOISE;
            payloads.push(Payload::new(payload_type, encoding, clock_rate));
        }
        self.voice = voice;
        let sections = offer.sections.iter().enumerate();
        let sections = sections
            .map(|(at, offered)| match at == voice {
                true => section(local, payloads.clone(), media.direction),
                false => offered.refused(),
            })
            .collect();
        Ok((self.say(local, sections), media))
    }

    /// What the peer has said of payload types that we might offer.
    fn keep_payload_types(&mut self, sections: &[MediaSection], fit: &Fit) {
        if fit.codec == Codec::Opus {
            self.opus_payload_type = fit.payload.payload_type;
            return;
        }
        let is_taken = |payload_type: u8| {
            let mut said = sections.iter().flat_map(|section| &section.payloads);
            said.any(|payload| payload.payload_type == payload_type && codec_of(payload, &[Codec::Opus]).is_none())
        };
        if is_taken(self.opus_payload_type) || self.opus_payload_type == self.event.0 {
            let free = (96..=127).rev().find(|&payload_type| !is_taken(payload_type) && payload_type != self.event.0);
            self.opus_payload_type = free.unwrap_or(self.opus_payload_type);
        }
    }

    fn voice_payload(&self, codec: Codec) -> Payload {
        let payload_type = if codec == Codec::Opus { self.opus_payload_type } else { codec.payload_type() };
        let payload = Payload::new(payload_type, codec.name(), codec.clock_rate());
        Payload { channels: codec.channels(), fmtp: parameters(codec), ..payload }
    }

    /// What the answer to our last offer comes to.
    pub fn take_answer(
        &self,
        answer: &SessionDescription,
        local: &LocalMedia,
    ) -> Result<NegotiatedMedia, Unacceptable> {
        let no_answer = || Unacceptable::new(304, "the answer has no m-line for our voice");
        let mut voice = answer.sections.get(self.voice).ok_or_else(no_answer)?.clone();
        // Of several codecs the peer sends the one that our offer has first (RFC 3264 section 6.1), whatever order his answer has.
        let place = |payload: &Payload| local.codecs.iter().position(|&ours| codec_of(payload, &[ours]).is_some());
        voice.payloads.sort_by_key(|payload| place(payload).unwrap_or(usize::MAX));
        let fit = fit(&voice, &local.codecs)?;
        if !is_same_family(fit.remote_rtp.ip(), local.rtp.ip()) {
            return Err(Unacceptable::new(300, "the answer's address family is not ours"));
        }
        let media = negotiated(&fit, local);
        // As our offer had them.
        let from_peer = FromPeer {
            voice: self.voice_payload(fit.codec).payload_type,
            events: media.from_peer.events.map(|_| self.event),
        };
        Ok(NegotiatedMedia { from_peer, ..media })
    }

    /// What was said last, once more: the refresh of a session changes nothing.
    pub fn repeat(&self) -> Option<Bytes> {
        self.last.as_ref().map(SessionDescription::write)
    }

    /// RFC 3264 section 8: the version counts up by one whenever anything else has changed.
    fn say(&mut self, local: &LocalMedia, sections: Vec<MediaSection>) -> Bytes {
        let version = match &self.last {
            Some(last) if last.sections == sections => last.origin.version,
            Some(last) => last.origin.version.saturating_add(1),
            None => 1,
        };
        let address = local.rtp.ip().to_canonical().to_string();
        let origin = Origin { session_id: self.session_id.to_string(), version, address };
        let description = SessionDescription { origin, sections };
        let written = description.write();
        self.last = Some(description);
        written
    }
}

/// What we say of a codec of ours.
fn parameters(codec: Codec) -> Option<String> {
    (codec == Codec::Opus).then(|| OPUS_PARAMETERS.to_owned())
}

fn event_payload(payload_type: u8, clock_rate: u32) -> Payload {
    Payload { fmtp: Some(EVENT_PARAMETERS.to_owned()), ..Payload::new(payload_type, EVENT_ENCODING, clock_rate) }
}

/// Our m-line.
fn section(local: &LocalMedia, payloads: Vec<Payload>, direction: Direction) -> MediaSection {
    let rtp = SocketAddr::new(local.rtp.ip().to_canonical(), local.rtp.port());
    MediaSection::audio(rtp, payloads, direction)
}

/// The first m-line that fits, or what is wrong with the first that is nearly one.
fn first_fit(
    offer: &SessionDescription,
    fits: impl Fn(&MediaSection) -> Result<Fit, Unacceptable>,
) -> Result<(usize, Fit), Unacceptable> {
    let mut wrong = None;
    for (at, section) in offer.sections.iter().enumerate().filter(|(_, section)| section.kind == MediaKind::Audio) {
        match fits(section) {
            Ok(fit) => return Ok((at, fit)),
            Err(error) => {
                wrong.get_or_insert(error);
            }
        }
    }
    Err(wrong.unwrap_or_else(|| Unacceptable::new(304, "no audio is offered")))
}

/// Whether we can speak what this m-line says, and how.
fn fit(section: &MediaSection, codecs: &[Codec]) -> Result<Fit, Unacceptable> {
    if section.kind != MediaKind::Audio {
        return Err(Unacceptable::new(304, "the m-line is not audio"));
    }
    if section.port == 0 {
        return Err(Unacceptable::new(304, "the audio is switched off"));
    }
    if !section.protocol.eq_ignore_ascii_case(PROTOCOL) {
        return Err(Unacceptable::new(302, format!("only {PROTOCOL} is spoken here, not {}", section.protocol)));
    }
    let common = section.payloads.iter().find_map(|payload| Some((codec_of(payload, codecs)?, payload.clone())));
    let Some((codec, payload)) = common else {
        let ours: Vec<&str> = codecs.iter().map(|codec| codec.name()).collect();
        return Err(Unacceptable::new(305, format!("no codec in common: we speak {}", ours.join(", "))));
    };
    let event_at = |clock_rate: u32| {
        let event = section.payloads.iter().find(|offered| offered.is(EVENT_ENCODING, clock_rate))?;
        Some((event.payload_type, clock_rate))
    };
    let (noise_type, noise, noise_rate) = COMFORT_NOISE;
    let is_noise = |offered: &Payload| offered.payload_type == noise_type && offered.is(noise, noise_rate);
    let remote_rtp = section.rtp_address().map_err(Unacceptable::address)?;
    let above = SocketAddr::new(remote_rtp.ip(), remote_rtp.port().saturating_add(1));
    // RFC 2543's hold: an unspecified address receives nothing.
    let peer_hears = section.direction.receives() && !remote_rtp.ip().is_unspecified();
    Ok(Fit {
        codec,
        payload,
        event: event_at(codec.clock_rate()).or_else(|| event_at(EVENT_CLOCK_RATE)),
        // RFC 3389's noise is told in the terms of an 8 kHz codec.
        comfort_noise: codec.law().is_some() && section.payloads.iter().any(is_noise),
        remote_rtp,
        remote_rtcp: section.rtcp_address().unwrap_or(above),
        direction: direction(peer_hears, section.direction.sends()),
    })
}

fn codec_of(payload: &Payload, codecs: &[Codec]) -> Option<Codec> {
    codecs.iter().copied().find(|codec| {
        let same = payload.encoding.eq_ignore_ascii_case(codec.name()) && payload.clock_rate == codec.clock_rate();
        same && payload.channels == codec.channels()
    })
}

/// The most that the peer wants of us (RFC 7587 section 6.1).
fn bits_per_second_max(payload: &Payload) -> Option<u32> {
    let parameters = payload.fmtp.as_deref()?.split(';');
    let mut wanted = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, bits) = wanted.find(|(name, _)| name.trim().eq_ignore_ascii_case("maxaveragebitrate"))?;
    Some(bits.trim().parse::<u32>().ok()?.max(opus::BITS_PER_SECOND_MIN))
}

/// What both sides want; `fit` has the peer's wish seen from us.
fn negotiated(fit: &Fit, local: &LocalMedia) -> NegotiatedMedia {
    let events = fit.event.filter(|_| local.telephone_event);
    NegotiatedMedia {
        remote_rtp: fit.remote_rtp,
        remote_rtcp: fit.remote_rtcp,
        codec: fit.codec,
        payload_type: fit.payload.payload_type,
        bits_per_second_max: bits_per_second_max(&fit.payload).filter(|_| fit.codec == Codec::Opus),
        telephone_event: events.map(|(payload_type, _)| payload_type),
        from_peer: FromPeer { voice: fit.payload.payload_type, events },
        direction: direction(
            fit.direction.sends() && local.direction.sends(),
            fit.direction.receives() && local.direction.receives(),
        ),
    }
}

fn direction(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

/// An unspecified address is nowhere, and so of any family.
fn is_same_family(peer: IpAddr, ours: IpAddr) -> bool {
    peer.is_unspecified() || peer.to_canonical().is_ipv4() == ours.to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn local(rtp: &str) -> LocalMedia {
        LocalMedia {
            rtp: rtp.parse().unwrap(),
            codecs: Codec::ALL.to_vec(),
            telephone_event: true,
            direction: Direction::SendRecv,
        }
    }

    fn offer(address: &str, media: &str) -> SessionDescription {
        let family = if address.contains(':') { "IP6" } else { "IP4" };
        let text =
            format!("v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n{media}");
        SessionDescription::parse(text.as_bytes()).unwrap()
    }

    fn description() -> LocalDescription {
        LocalDescription::new(&mut StdRng::seed_from_u64(1))
    }

    fn answered(offer: &SessionDescription, local: &LocalMedia) -> Result<NegotiatedMedia, Unacceptable> {
        description().answer(offer, local).map(|(_, media)| media)
    }

    #[test]
    fn the_order_of_the_offer_decides() {
        let ours = local("192.0.2.1:20000");
        for (formats, codec) in
            [("0 8", Codec::Pcmu), ("8 0", Codec::Pcma), ("18 8 9 0", Codec::Pcma), ("9 8", Codec::G722)]
        {
            let offer = offer("192.0.2.9", &format!("m=audio 4000 RTP/AVP {formats}\r\n"));
            assert_eq!(answered(&offer, &ours).unwrap().codec, codec, "{formats}");
        }
        let only_ulaw = LocalMedia { codecs: vec![Codec::Pcmu], ..ours };
        let offer = offer("192.0.2.9", "m=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 pcmu/8000\r\n");
        let media = answered(&offer, &only_ulaw).unwrap();
        assert_eq!((media.codec, media.payload_type), (Codec::Pcmu, 96), "a payload type of the offer's choice");
    }

    #[test]
    fn opus_is_agreed_on_with_its_parameters() {
        let ours = local("192.0.2.1:20000");
        let offered = |lines: &str| offer("192.0.2.9", &format!("m=audio 4000 RTP/AVP 96 0 97 98\r\n{lines}"));
        let both = "a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\n";
        let with = |parameters: &str| offered(&format!("a=rtpmap:96 OPUS/48000/2\r\n{parameters}{both}"));
        let (text, media) = description().answer(&with("a=fmtp:96 stereo=1;useinbandfec=1\r\n"), &ours).unwrap();
        assert_eq!((media.codec, media.payload_type, media.bits_per_second_max), (Codec::Opus, 96, None));
        assert_eq!(media.telephone_event, Some(98), "of the voice's clock");
        let text = String::from_utf8_lossy(&text);
        for line in ["m=audio 20000 RTP/AVP 96 98", "a=rtpmap:96 OPUS/48000/2", "a=rtpmap:98 telephone-event/48000"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(text.contains(&format!("a=fmtp:96 {OPUS_PARAMETERS}")), "{text}");

        for (parameters, bits) in [("maxaveragebitrate=20000", 20_000), ("stereo=0; MaxAverageBitrate = 500", 6_000)] {
            let media = answered(&with(&format!("a=fmtp:96 {parameters}\r\n")), &ours).unwrap();
            assert_eq!(media.bits_per_second_max, Some(bits), "{parameters}");
        }
        let only = offered("a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n");
        assert_eq!(
            answered(&only, &ours).unwrap().telephone_event,
            Some(97),
            "of another clock, where there is no other"
        );
        let mono = offered("a=rtpmap:96 opus/48000\r\n");
        assert_eq!(answered(&mono, &ours).unwrap().codec, Codec::Pcmu, "no such rtpmap (RFC 7587 section 7)");
        let without = LocalMedia { codecs: Codec::PREFERRED.to_vec(), ..ours.clone() };
        assert_eq!(answered(&with(""), &without).unwrap().codec, Codec::Pcmu);

        let offer = description().offer(&LocalMedia { codecs: vec![Codec::Opus, Codec::Pcmu], ..ours });
        let offer = SessionDescription::parse(&offer).unwrap();
        let opus = &offer.sections[0].payloads[0];
        assert_eq!((opus.payload_type, opus.channels), (111, 2));
    }

    #[test]
    fn telephone_event_is_agreed_on_where_both_have_it() {
        let ours = local("192.0.2.1:20000");
        let with = |line: &str| offer("192.0.2.9", &format!("m=audio 4000 RTP/AVP 0 97 98\r\n{line}"));
        let agreed = |line: &str, ours: &LocalMedia| answered(&with(line), ours).unwrap().telephone_event;
        assert_eq!(agreed("a=rtpmap:97 telephone-event/8000\r\n", &ours), Some(97));
        let both = "a=rtpmap:97 telephone-event/48000\r\na=rtpmap:98 TELEPHONE-EVENT/8000\r\n";
        assert_eq!(agreed(both, &ours), Some(98), "the one with the voice's clock");
        assert_eq!(agreed("", &ours), None);
        let without = LocalMedia { telephone_event: false, ..ours };
        assert_eq!(agreed("a=rtpmap:97 telephone-event/8000\r\n", &without), None);
    }

    #[test]
    fn comfort_noise_is_taken_from_whoever_offers_it() {
        let ours = local("192.0.2.1:20000");
        let has_noise = |formats: &str| {
            let (text, _) =
                description().answer(&offer("192.0.2.9", &format!("m=audio 4000 RTP/AVP {formats}")), &ours).unwrap();
            let answer = SessionDescription::parse(&text).unwrap();
            answer.sections[0].payloads.iter().any(|payload| payload.payload_type == 13 && payload.is("CN", 8000))
        };
        assert!(has_noise("8 13 0\r\n"));
        assert!(!has_noise("8 0\r\n"));
        assert!(!has_noise("9 13 8\r\n"), "G.722 has none");
        assert!(!has_noise("8 97\r\na=rtpmap:97 CN/16000\r\n"), "of another clock");
    }

    #[test]
    fn the_stream_of_our_family_is_taken() {
        // RFC 4091: the same voice by two families.
        let both = offer(
            "2001:db8::9",
            "m=audio 4000 RTP/AVP 0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\na=rtcp:5009\r\n",
        );
        let fourth = answered(&both, &local("192.0.2.1:20000")).unwrap();
        assert_eq!(fourth.remote_rtp, "192.0.2.9:5000".parse().unwrap());
        assert_eq!(fourth.remote_rtcp, "192.0.2.9:5009".parse().unwrap());
        let sixth = answered(&both, &local("[2001:db8::1]:20000")).unwrap();
        assert_eq!(sixth.remote_rtp, "[2001:db8::9]:4000".parse().unwrap());
        let only = offer("2001:db8::9", "m=audio 4000 RTP/AVP 0\r\n");
        assert_eq!(answered(&only, &local("192.0.2.1:20000")).unwrap_err().code, 300);
        let (text, _) = description().answer(&only, &local("[2001:db8::1]:20000")).unwrap();
        assert!(String::from_utf8_lossy(&text).contains("c=IN IP6 2001:db8::1\r\n"));
    }

    #[test]
    fn our_wish_and_theirs() {
        use Direction::*;
        let cases = [
            (SendRecv, "sendrecv", SendRecv),
            (SendRecv, "sendonly", RecvOnly),
            (SendOnly, "sendrecv", SendOnly),
            (SendOnly, "sendonly", Inactive),
            (SendOnly, "recvonly", SendOnly),
            (RecvOnly, "recvonly", Inactive),
            (Inactive, "sendrecv", Inactive),
        ];
        for (ours, theirs, expected) in cases {
            let ours = LocalMedia { direction: ours, ..local("192.0.2.1:20000") };
            let offer = offer("192.0.2.9", &format!("m=audio 4000 RTP/AVP 0\r\na={theirs}\r\n"));
            assert_eq!(answered(&offer, &ours).unwrap().direction, expected, "{:?} {theirs}", ours.direction);
        }
    }

    #[test]
    fn what_we_wrote_can_be_read_and_answered() {
        let mut ours = description();
        let mut theirs = description();
        let (near, far) = (local("192.0.2.1:20000"), local("192.0.2.9:4000"));
        let offer = SessionDescription::parse(&ours.offer(&near)).unwrap();
        assert_eq!(offer.sections[0].ptime_ms, Some(20));
        let (answer, at_far) = theirs.answer(&offer, &far).unwrap();
        let at_near = ours.take_answer(&SessionDescription::parse(&answer).unwrap(), &near).unwrap();
        assert_eq!((at_near.remote_rtp, at_far.remote_rtp), (far.rtp, near.rtp));
        assert_eq!((at_near.codec, at_near.telephone_event), (at_far.codec, at_far.telephone_event));
        assert_eq!(ours.repeat().unwrap(), offer.write());
        let again = SessionDescription::parse(&ours.offer(&near)).unwrap();
        assert_eq!(again, offer, "nothing has changed, not even the version");
    }

    #[test]
    fn the_peer_sends_with_the_payload_types_of_our_offer() {
        let ours = LocalMedia { codecs: vec![Codec::Opus, Codec::Pcmu], ..local("192.0.2.1:20000") };
        let mut description = description();
        description.offer(&ours);
        let answer = offer(
            "192.0.2.9",
            "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n",
        );
        let media = description.take_answer(&answer, &ours).unwrap();
        assert_eq!((media.codec, media.payload_type), (Codec::Opus, 96), "to the peer");
        assert_eq!(media.telephone_event, Some(97), "to the peer");
        assert_eq!(media.from_peer, FromPeer { voice: 111, events: Some((101, 8_000)) });
    }

    #[test]
    fn a_payload_type_keeps_its_clock() {
        let ours = LocalMedia { codecs: vec![Codec::Opus, Codec::Pcmu], ..local("192.0.2.1:20000") };
        let mut description = description();
        let theirs = offer(
            "192.0.2.9",
            "m=audio 4000 RTP/AVP 96 98\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:98 telephone-event/48000\r\n",
        );
        description.answer(&theirs, &ours).unwrap();
        let again = SessionDescription::parse(&description.offer(&ours)).unwrap();
        let event = again.sections[0].payloads.iter().find(|payload| payload.payload_type == 98).unwrap();
        assert_eq!((event.encoding.as_str(), event.clock_rate), ("telephone-event", 48_000));
    }

    #[test]
    fn no_payload_type_stands_for_two() {
        let ours = LocalMedia { codecs: vec![Codec::Opus, Codec::Pcmu], ..local("192.0.2.1:20000") };
        let mut description = description();
        let theirs = offer("192.0.2.9", "m=audio 4000 RTP/AVP 0 111\r\na=rtpmap:111 telephone-event/8000\r\n");
        description.answer(&theirs, &ours).unwrap();
        let text = description.offer(&ours);
        let text = String::from_utf8_lossy(&text);
        assert_eq!(text.matches("a=rtpmap:111 ").count(), 1, "{text}");
    }

    #[test]
    fn of_several_codecs_in_an_answer_the_peer_sends_our_first() {
        let ours = LocalMedia { codecs: Codec::PREFERRED.to_vec(), ..local("192.0.2.1:20000") };
        let mut description = description();
        description.offer(&ours);
        let media = description.take_answer(&offer("192.0.2.9", "m=audio 4000 RTP/AVP 0 9\r\n"), &ours).unwrap();
        assert_eq!(media.codec, Codec::G722, "RFC 3264 section 6.1");
    }
}
