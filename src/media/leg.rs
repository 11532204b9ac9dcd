//! One call's media: who is believed to be the caller and what he sends, what is heard of him ([`Voice`]), and what he hears
//! ([`Ear`]).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use crate::wire::rtcp::{REPORT_BYTES_MAX, ReceivedRtcp};
use crate::wire::rtp::RtpPacket;
use crate::words::ids::{CallKey, PlaybackKey};
use crate::words::media::{Codec, Content, Direction, FRAME_SAMPLES, LegStatistics, NegotiatedMedia};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;

use super::binding::{Admission, SourceBinding};
use super::dtmf::DtmfReceiver;
use super::ear::Ear;
use super::level::{self, Thresholds};
use super::mixer::{LastSample, Mixer};
use super::playout::{Arrival, Playout};
use super::received_frame::ReceivedFrame;
use super::receiver::{Continuity, Reception};
use super::sender::{PACKET_BYTES_MAX, Sender};
use super::source::Sounds;
use super::voice::{Incoming, Voice};
use super::{Background, LegSurvey};

/// What comes in place of voice while the caller is silent and his telephone sends none (RFC 3389).
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

/// The media side of one call. It belongs to one plane at a time, and moves between planes by value.
pub struct Leg {
    call: CallKey,
    media: Option<Agreed>,

    binding: SourceBinding,
    /// The caller has shown that he is there: by a packet, or by the ACK upon which he is played something. Until then
    /// nothing leaves for the address in his SDP; an INVITE with a forged source could point our voice at anybody.
    is_there: bool,
    reception: Reception,
    playout: Playout,
    dtmf: DtmfReceiver,
    voice: Voice,
    ear: Ear,
    refused: u64,
    late: u64,
    frames_without_packet: u32,
    muted: bool,
    sender: Sender,
}

/// What offer and answer agreed on, and what follows from it.
struct Agreed {
    media: NegotiatedMedia,
    thresholds: Thresholds,
}

/// What a datagram brought about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub digit: Option<Digit>,
    /// The address that the leg listens to from now on, and whether it is the SDP's.
    pub bound: Option<(SocketAddr, bool)>,
}

impl Leg {
    pub fn new(call: CallKey, random: &mut StdRng) -> Leg {
        Leg {
            call,
            media: None,
            binding: SourceBinding::default(),
            is_there: false,
            reception: Reception::default(),
            playout: Playout::default(),
            dtmf: DtmfReceiver::new(),
            voice: Voice::default(),
            ear: Ear::default(),
            refused: 0,
            late: 0,
            frames_without_packet: 0,
            muted: false,
            sender: Sender::new(random),
        }
    }

    pub fn call(&self) -> CallKey {
        self.call
    }

    pub fn background(&self) -> Background {
        self.ear.background()
    }

    /// The source that the leg listens to, once no other can take its place.
    pub fn settled_source(&self, now: Instant) -> Option<SocketAddr> {
        self.binding.settled(now)
    }

    /// Nothing is there for the frame that is due: what still waits in the socket should be read now.
    pub fn is_hungry(&self) -> bool {
        !self.playout.has_frame()
    }

    pub fn negotiate(&mut self, now: Instant, media: NegotiatedMedia, signalled_from: IpAddr, random: &mut StdRng) {
        if self.codec() != Some(media.codec) {
            // What waits to be played is coded otherwise.
            self.playout.negotiate(media.codec);
            self.voice.negotiate(media.codec);
            self.sender.negotiate(media.codec, random);
        }
        let heard = |media: &NegotiatedMedia| (media.codec, media.bits_per_second_max);
        if self.media.as_ref().map(|agreed| heard(&agreed.media)) != Some(heard(&media)) {
            self.ear.negotiate(&media);
        }
        if let Some((_, clock_rate)) = media.from_peer.events {
            self.dtmf.negotiate(clock_rate);
        }
        self.binding.negotiate(now, media.remote_rtp, signalled_from);
        self.frames_without_packet = 0;
        self.media = Some(Agreed { thresholds: Thresholds::of(media.codec), media });
    }

    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    pub fn handle_info_digit(&mut self, now: Instant, digit: Digit) -> Option<Digit> {
        self.dtmf.handle_info(now, digit)
    }

    // What the caller hears.

    /// What the caller hears when no prompts are played to him. A meeting comes to the front: prompts end for it.
    pub fn set_background(&mut self, background: Background) {
        if self.ear.set_background(background) {
            self.is_there = true;
            self.voice.leave();
        }
    }

    pub fn play(&mut self, key: PlaybackKey, prompts: Box<[Prompt]>) {
        self.is_there = true;
        self.ear.play(key, prompts);
    }

    pub fn stop_playback(&mut self) {
        self.ear.stop_playback();
    }

    // What is heard of the caller.

    pub fn handle_rtp(
        &mut self,
        source: SocketAddr,
        received_at: Instant,
        next_tick_at: Instant,
        datagram: &[u8],
    ) -> Received {
        let mut received = Received::default();
        // A quick peer sends as soon as our 200 has left, a tick before its agreement is here. That is no stranger.
        let Some(Agreed { media, .. }) = &self.media else { return received };
        let Ok(packet) = RtpPacket::parse(datagram) else {
            self.refused += 1;
            return received;
        };
        let content = media.content_of(packet.payload_type);
        let is_voice = content == Some(Content::Voice);
        let is_noise = packet.payload_type == COMFORT_NOISE_PAYLOAD_TYPE;
        let is_event = content == Some(Content::Event);
        if self.binding.bound() != Some(source) {
            // Only what was agreed on may bind a source.
            let admission = if is_voice || is_event {
                self.binding.admit(received_at, source, packet.ssrc, packet.sequence)
            } else {
                Admission::Refused
            };
            match admission {
                Admission::Bound => {}
                Admission::NewlyBound { as_agreed } => {
                    self.is_there = true;
                    received.bound = Some((source, as_agreed));
                }
                Admission::OnTrial => return received,
                Admission::Refused => {
                    self.refused += 1;
                    return received;
                }
            }
        }
        if !media.direction.receives() {
            return received;
        }
        self.frames_without_packet = 0;
        match self.reception.count(packet.ssrc, packet.sequence) {
            Continuity::SameStream => {}
            Continuity::NewStream => {
                self.voice.begin_stream();
                self.playout.reset();
            }
            Continuity::Doubtful => return received,
        }
        if is_voice {
            self.reception.measure(received_at, packet.timestamp, media.codec.clock_rate());
            let (sequence, timestamp) = (packet.sequence, packet.timestamp);
            let arrival = self.playout.handle_packet(received_at, next_tick_at, sequence, timestamp, packet.payload);
            self.late += u64::from(arrival == Arrival::Late);
            self.refused += u64::from(arrival == Arrival::NotVoice);
        } else if is_event {
            self.playout.handle_other(packet.sequence);
            received.digit = self.dtmf.handle_event(received_at, &packet);
        } else if is_noise && media.codec.law().is_some() {
            self.playout.handle_comfort_noise(packet.sequence, packet.timestamp, packet.payload);
        } else {
            self.refused += 1;
        }
        received
    }

    pub fn handle_rtcp(&mut self, source: SocketAddr, received_at: Instant, datagram: &[u8]) {
        let Some(Agreed { media, .. }) = &self.media else { return };
        let peer = self.binding.destination().map(|address| address.ip());
        let believed = source == media.remote_rtcp || Some(source.ip()) == peer;
        if let (true, Ok(received)) = (believed, ReceivedRtcp::parse(datagram)) {
            self.reception.handle_rtcp(received_at, self.sender.ssrc(), &received);
        } else {
            self.refused += 1;
        }
    }

    /// 20 ms pass on the receiving side. `frame` is scratch space.
    pub fn listen(&mut self, now: Instant, frame: &mut ReceivedFrame) -> Option<Digit> {
        self.frames_without_packet = self.frames_without_packet.saturating_add(1);
        let Leg { media, voice, playout, dtmf, .. } = self;
        let Agreed { media, thresholds } = media.as_ref()?;
        let incoming = Incoming { codec: media.codec, thresholds, has_events: media.from_peer.events.is_some() };
        voice.listen(now, incoming, playout, dtmf, frame)
    }

    /// How loud the caller is, if he is to be heard in this frame. And whether he begins or ends to talk.
    ///
    /// Who is muted is not heard; nor is who put us on hold: what he sends then is his telephone system's music.
    pub fn asks_for_the_floor(&mut self, in_meeting: bool) -> (Option<f32>, Option<bool>) {
        let converses = self.media.as_ref().is_some_and(|agreed| agreed.media.direction == Direction::SendRecv);
        self.voice.asks_for_the_floor(!self.muted && converses && in_meeting)
    }

    /// Puts the caller's voice into the mix of his meeting, and says what its last sample was.
    pub fn put_into(&mut self, mixer: &mut Mixer) -> LastSample {
        self.voice.put_into(mixer)
    }

    /// What was agreed on, once something was.
    pub fn codec(&self) -> Option<Codec> {
        self.media.as_ref().map(|agreed| agreed.media.codec)
    }

    /// For how many frames nothing came that should have.
    pub fn frames_without_packet(&self) -> u32 {
        let expects = self.media.as_ref().is_some_and(|agreed| agreed.media.direction.receives());
        if expects { self.frames_without_packet } else { 0 }
    }

    // What leaves.

    /// The packet that is due, how long it is and where it goes; and the playback that has ended. `mixer`: of the meeting that is
    /// the leg's background.
    pub fn speak(
        &mut self,
        sounds: &Sounds,
        mixer: Option<&mut Mixer>,
        packet: &mut [u8; PACKET_BYTES_MAX],
    ) -> (Option<(usize, SocketAddr)>, Option<PlaybackKey>) {
        let Some(Agreed { media, .. }) = &self.media else { return (None, None) };
        let sends = media.direction.sends() && self.is_there;
        let destination = self.binding.destination().filter(|address| sends && !address.ip().is_unspecified());
        let mut scratch = [0; FRAME_SAMPLES];
        let sends = destination.is_some();
        let heard = self.ear.frame(media.codec, sounds, mixer, &self.voice, sends, &mut scratch);
        let destination = destination.filter(|_| !heard.codes.is_empty());
        let sent = destination.map(|to| (self.sender.packet(media.payload_type, heard.codes, packet), to));
        if sent.is_none() {
            self.sender.pause(1);
        }
        (sent, heard.finished)
    }

    /// The RTCP report that is due, how long it is and where it goes.
    pub fn report(
        &mut self,
        now: Instant,
        clock: Duration,
        random: &mut StdRng,
        out: &mut [u8; REPORT_BYTES_MAX],
    ) -> Option<(usize, SocketAddr)> {
        if self.media.is_none() || !self.sender.report_is_due(now, random) {
            return None;
        }
        self.write_report(now, clock, false, out)
    }

    /// The last RTCP packet: a report and BYE.
    pub fn farewell(
        &mut self,
        now: Instant,
        clock: Duration,
        out: &mut [u8; REPORT_BYTES_MAX],
    ) -> Option<(usize, SocketAddr)> {
        self.write_report(now, clock, true, out)
    }

    fn write_report(
        &mut self,
        now: Instant,
        clock: Duration,
        bye: bool,
        out: &mut [u8; REPORT_BYTES_MAX],
    ) -> Option<(usize, SocketAddr)> {
        let destination = self.rtcp_destination()?;
        let block = self.reception.report(now);
        Some((self.sender.report(clock, block, bye, out), destination))
    }

    /// As agreed; but behind address translation the SDP's address leads nowhere, and the port above RTP's is the best
    /// guess (RFC 3550 section 11).
    fn rtcp_destination(&self) -> Option<SocketAddr> {
        let Agreed { media, .. } = self.media.as_ref().filter(|_| self.is_there)?;
        let destination = match self.binding.bound() {
            Some(bound) if !self.binding.is_as_agreed() => SocketAddr::new(bound.ip(), bound.port().checked_add(1)?),
            _ => media.remote_rtcp,
        };
        (!destination.ip().is_unspecified()).then_some(destination)
    }

    /// Frames that were neither played nor heard, after a stall of the media thread.
    pub fn skip(&mut self, frames: u32) {
        self.playout.skip(frames);
        self.sender.pause(frames);
    }

    /// How the leg does, and what was loudest since the last time.
    pub fn survey(&mut self) -> LegSurvey {
        let codec = self.codec().unwrap_or(Codec::Pcmu);
        LegSurvey {
            call: self.call,
            level_db: level::decibels(codec, self.voice.take_loudest()),
            delay_ms: self.playout.delay_ms(),
            statistics: self.statistics(),
        }
    }

    pub fn statistics(&self) -> LegStatistics {
        let (jitter_ms, jitter_ms_max) = self.reception.jitter_ms();
        LegStatistics {
            packets_received: self.reception.received(),
            packets_sent: self.sender.packets(),
            packets_lost: self.reception.lost(),
            packets_late: self.late,
            packets_refused: self.refused,
            jitter_ms,
            jitter_ms_max,
            delay_ms_max: self.playout.delay_ms_max(),
            reported_lost: self.reception.reported_lost(),
            codec: self.codec(),
        }
    }
}

#[cfg(test)]
#[path = "tests/leg.rs"]
mod tests;
