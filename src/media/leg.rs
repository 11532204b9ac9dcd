//! One call's media: what is heard of the caller, and what the caller hears.
//!
//! What a leg plays is its *background* (silence, hold music, or its meeting) unless prompts are played in front of it.
//! Wherever one follows the other in the middle of a sound, the two are faded into each other over one frame.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use crate::wire::g711;
use crate::wire::rtcp::{REPORT_BYTES_MAX, ReceivedRtcp};
use crate::wire::rtp::RtpPacket;
use crate::words::ids::{CallKey, PlaybackKey};
use crate::words::media::{Codec, Direction, FRAME_SAMPLES, LegStatistics, NegotiatedMedia};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;

use super::binding::{Admission, SourceBinding};
use super::concealment::Concealment;
use super::dtmf::{DtmfReceiver, FrameSighting};
use super::level::{self, TalkGate, Thresholds, Turn};
use super::loudness::{self, Loudness};
use super::mixer::{self, Codes, Mixer, Samples};
use super::playout::{Arrival, Playout, ReceivedFrame};
use super::receiver::{Continuity, Reception};
use super::sender::{PACKET_BYTES, Sender};
use super::source::{Playlist, Sounds};
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
    gate: TalkGate,
    concealment: Concealment,
    dtmf: DtmfReceiver,
    refused: u64,
    late: u64,
    frames_without_packet: u32,
    muted: bool,
    /// This frame of the caller's voice, and whether it is to be heard.
    voice: Samples,
    speaks: bool,
    spoke_last: bool,
    loudness: Loudness,
    /// It is in this frame's mix, multiplied by this at its end.
    mixed: bool,
    gain: f32,
    /// It was in the mix before this one, which has what is left of it, from this sample on.
    tail: Option<i16>,
    last_mixed: i16,
    turn: Turn,
    /// The largest peak since the last survey.
    loudest: u8,
    /// The frame before it, where a leg is heard one frame later than it speaks.
    before: Samples,
    spoke_before: bool,

    background: Background,
    playback: Option<Playback>,
    music_cursor: usize,
    /// What the caller heard last, when the next frame is from another source.
    fade_from: Option<FadeFrom>,
    sender: Sender,
}

/// What offer and answer agreed on, and what follows from it.
struct Agreed {
    media: NegotiatedMedia,
    thresholds: Thresholds,
}

struct Playback {
    key: PlaybackKey,
    playlist: Playlist,
}

/// A sound that ends before it is over.
enum FadeFrom {
    /// There was none, or it had ended.
    Nothing,
    Music,
    Prompt(Playlist),
    Meeting,
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
            gate: TalkGate::default(),
            concealment: Concealment::default(),
            dtmf: DtmfReceiver::new(),
            refused: 0,
            late: 0,
            frames_without_packet: 0,
            muted: false,
            voice: [0; FRAME_SAMPLES],
            speaks: false,
            spoke_last: false,
            loudness: Loudness::default(),
            mixed: false,
            gain: 0.0,
            tail: None,
            last_mixed: 0,
            turn: Turn::default(),
            loudest: 0,
            before: [0; FRAME_SAMPLES],
            spoke_before: false,
            background: Background::Silence,
            playback: None,
            music_cursor: 0,
            fade_from: None,
            sender: Sender::new(random),
        }
    }

    pub fn call(&self) -> CallKey {
        self.call
    }

    pub fn background(&self) -> Background {
        self.background
    }

    /// The source that the leg listens to, once no other can take its place.
    pub fn settled_source(&self, now: Instant) -> Option<SocketAddr> {
        self.binding.settled(now)
    }

    /// Nothing is there for the frame that is due: what still waits in the socket should be read now.
    pub fn is_hungry(&self) -> bool {
        !self.playout.has_frame()
    }

    pub fn negotiate(&mut self, now: Instant, media: NegotiatedMedia, signalled_from: IpAddr) {
        let codec_before = self.media.as_ref().map(|agreed| agreed.media.codec);
        if codec_before != Some(media.codec) {
            // What waits to be played is coded otherwise.
            self.playout.reset();
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
        if matches!(background, Background::Meeting(_)) {
            self.stop_playback();
        }
        if background == self.background {
            return;
        }
        self.is_there = true;
        self.tail = None;
        self.mixed = false;
        if self.playback.is_none() {
            self.begin_fade();
        }
        self.background = background;
    }

    pub fn play(&mut self, key: PlaybackKey, prompts: Box<[Prompt]>) {
        self.begin_fade();
        self.is_there = true;
        self.playback = Some(Playback { key, playlist: Playlist::new(prompts) });
    }

    pub fn stop_playback(&mut self) {
        if self.playback.is_some() {
            self.begin_fade();
            self.playback = None;
        }
    }

    /// What is heard now is about to be replaced. Of several changes between two frames only the first was heard.
    fn begin_fade(&mut self) {
        let Leg { playback, background, fade_from, .. } = self;
        fade_from.get_or_insert_with(|| match (playback.take(), background) {
            (Some(playback), _) => FadeFrom::Prompt(playback.playlist),
            (None, Background::Silence) => FadeFrom::Nothing,
            (None, Background::Music) => FadeFrom::Music,
            (None, Background::Meeting(_)) => FadeFrom::Meeting,
        });
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
        let is_voice = packet.payload_type == media.payload_type;
        let is_noise = packet.payload_type == COMFORT_NOISE_PAYLOAD_TYPE;
        let is_event = Some(packet.payload_type) == media.telephone_event;
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
                // It can begin in the middle of a word.
                self.spoke_last = true;
                self.playout.reset();
            }
            Continuity::Doubtful => return received,
        }
        if is_voice {
            self.reception.measure(received_at, packet.timestamp, media.codec.clock_rate());
            let (sequence, timestamp) = (packet.sequence, packet.timestamp);
            let arrival = self.playout.handle_packet(received_at, next_tick_at, sequence, timestamp, packet.payload);
            self.late += u64::from(arrival == Arrival::Late);
        } else if is_event {
            received.digit = self.dtmf.handle_event(received_at, &packet);
        } else if is_noise {
            self.playout.handle_comfort_noise(packet.sequence, packet.timestamp, packet.payload);
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
    ///
    /// Below the gate nothing is decoded, which is most of the time and for most callers. Above it voice is decoded for
    /// the tone detector even while nobody listens.
    pub fn listen(&mut self, now: Instant, frame: &mut ReceivedFrame) -> Option<Digit> {
        self.frames_without_packet = self.frames_without_packet.saturating_add(1);
        let spoke_before = std::mem::take(&mut self.spoke_before);
        // Before the first frame of a stream nothing is known: what was set when it began stays.
        self.spoke_last |= std::mem::take(&mut self.speaks);
        let Agreed { media, thresholds } = self.media.as_ref()?;
        if !self.playout.pull(media.codec, thresholds, frame) {
            return None;
        }
        self.loudest = self.loudest.max(frame.peak);
        let passes = self.gate.passes(thresholds, frame.peak);
        let mut sighting = FrameSighting::default();
        if passes {
            decode(media.codec, frame, &mut self.concealment, &mut self.voice);
            if self.playout.should_be_shortened(|| self.concealment.repeats_itself()) {
                let mut next = [0; FRAME_SAMPLES];
                self.playout.pull_one_more(media.codec, thresholds, frame);
                decode(media.codec, frame, &mut self.concealment, &mut next);
                shorten(&mut self.voice, &next);
            }
            sighting = self.dtmf.handle_frame(now, &self.voice);
        } else {
            self.concealment.quiet();
        }
        let clean = passes && !sighting.blank;
        if media.telephone_event.is_some() {
            self.speaks = clean;
        } else {
            // Nobody takes the key tones out of this peer's voice. The detector needs some milliseconds of a tone, and
            // those can be the end of a frame: so a frame is let through when the next one has turned out to be clean.
            std::mem::swap(&mut self.voice, &mut self.before);
            self.speaks = spoke_before && !sighting.blank;
            self.spoke_before = clean;
        }
        sighting.pressed
    }

    /// How loud the caller is, if he is to be heard in this frame. And whether he begins or ends to talk.
    ///
    /// Who is muted is not heard; nor is who put us on hold: what he sends then is his telephone system's music.
    pub fn asks_for_the_floor(&mut self, in_meeting: bool) -> (Option<f32>, Option<bool>) {
        let converses = self.media.as_ref().is_some_and(|agreed| agreed.media.direction == Direction::SendRecv);
        let asks = self.speaks && !self.muted && converses && in_meeting;
        if asks {
            self.loudness.heard(&self.voice);
        }
        self.tail = None;
        if std::mem::take(&mut self.mixed) {
            self.tail = Some(self.last_mixed);
        } else {
            // Who comes in in the middle of a word is faded in; a word's own beginning is not touched.
            self.gain = if self.spoke_last { 0.0 } else { self.loudness.gain() };
        }
        self.spoke_last = false;
        (asks.then(|| self.loudness.level()), self.turn.frame(asks))
    }

    /// Puts the caller's voice into the mix of his meeting, and says what its last sample was.
    pub fn put_into(&mut self, mixer: &mut Mixer) -> i16 {
        let gain = self.loudness.gain();
        loudness::amplify(&mut self.voice, std::mem::replace(&mut self.gain, gain), gain);
        mixer.add(&self.voice);
        self.mixed = true;
        self.tail = None;
        self.last_mixed = self.voice.last().copied().unwrap_or(0);
        self.last_mixed
    }

    /// What of this frame's mix is the caller's own, and is not for his ears.
    fn own_part(&self) -> Option<Samples> {
        if self.mixed { Some(self.voice) } else { self.tail.map(mixer::tail) }
    }

    /// For how many frames nothing came that should have.
    pub fn frames_without_packet(&self) -> u32 {
        let expects = self.media.as_ref().is_some_and(|agreed| agreed.media.direction.receives());
        if expects { self.frames_without_packet } else { 0 }
    }

    // What leaves.

    /// The packet that is due, and where it goes. `mixer`: of the meeting that is the leg's background.
    pub fn speak(
        &mut self,
        sounds: &Sounds,
        mut mixer: Option<&mut Mixer>,
        packet: &mut [u8; PACKET_BYTES],
    ) -> (Option<SocketAddr>, Option<PlaybackKey>) {
        let Some(Agreed { media, .. }) = &self.media else { return (None, None) };
        let (codec, payload_type, sends) = (media.codec, media.payload_type, media.direction.sends());
        let mut finished = None;
        let mut own = [0; FRAME_SAMPLES];

        let mut codes = None;
        if let Some(playback) = &mut self.playback {
            codes = playback.playlist.frame(sounds, codec);
            if codes.is_none() {
                finished = Some(playback.key);
                self.playback = None;
                self.fade_from.get_or_insert(FadeFrom::Nothing);
            }
        }
        // Before the background's own cursor moves: the fade may need the frame that would have come.
        let fading = self.fade_from.take().map(|from| self.fading_frame(from, sounds, mixer.as_deref(), codec));
        let codes = match (codes, self.background, &mut mixer) {
            (Some(prompt), _, _) => prompt,
            (None, Background::Music, _) => sounds.music_frame(codec, &mut self.music_cursor).unwrap_or(silence(codec)),
            (None, Background::Meeting(_), Some(mixer)) => match self.own_part() {
                None => mixer.shared_codes(codec),
                Some(own_part) => {
                    let mut others = [0; FRAME_SAMPLES];
                    mixer.without(&own_part, &mut others);
                    g711::encode_into(codec, &others, &mut own);
                    &own
                }
            },
            (None, Background::Silence | Background::Meeting(_), _) => silence(codec),
        };
        let sends = sends && self.is_there;
        let destination = self.binding.destination().filter(|address| sends && !address.ip().is_unspecified());
        if destination.is_none() {
            self.sender.pause(1);
        } else if let Some(old) = fading {
            self.sender.packet(payload_type, &faded(codec, &old, codes), packet);
        } else {
            self.sender.packet(payload_type, codes, packet);
        }
        (destination, finished)
    }

    /// The next frame of what is being faded out.
    fn fading_frame(&mut self, from: FadeFrom, sounds: &Sounds, mixer: Option<&Mixer>, codec: Codec) -> Samples {
        let mut samples = [0; FRAME_SAMPLES];
        let codes = match from {
            FadeFrom::Nothing => None,
            FadeFrom::Music => sounds.music_frame(codec, &mut self.music_cursor),
            FadeFrom::Prompt(mut playlist) => playlist.frame(sounds, codec),
            FadeFrom::Meeting => {
                match (mixer, self.own_part()) {
                    (Some(mixer), Some(own_part)) => mixer.without(&own_part, &mut samples),
                    (Some(mixer), None) => samples = *mixer.shared(),
                    (None, _) => {}
                }
                None
            }
        };
        if let Some(codes) = codes {
            g711::decode_into(codec, codes, &mut samples);
        }
        samples
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
        let codec = self.media.as_ref().map_or(Codec::Pcmu, |agreed| agreed.media.codec);
        let loudest = std::mem::take(&mut self.loudest);
        LegSurvey {
            call: self.call,
            level_db: level::decibels(codec, loudest),
            delay_ms: self.playout.delay_ms(),
            statistics: self.statistics(),
        }
    }

    pub fn statistics(&self) -> LegStatistics {
        let clock_rate = self.media.as_ref().map_or(8000, |agreed| agreed.media.codec.clock_rate());
        let milliseconds = |steps: f32| steps * 1000.0 / clock_rate as f32;
        let (jitter, jitter_max) = self.reception.jitter();
        LegStatistics {
            packets_received: self.reception.received(),
            packets_sent: u64::from(self.sender.packets()),
            packets_lost: self.reception.lost(),
            packets_late: self.late,
            packets_refused: self.refused,
            jitter_ms: milliseconds(jitter),
            jitter_ms_max: milliseconds(jitter_max),
            delay_ms_max: self.playout.delay_ms_max(),
            reported_lost: self.reception.reported_lost(),
            codec: self.media.as_ref().map(|agreed| agreed.media.codec),
        }
    }
}

/// Decodes a frame and fills its holes: what was lost is concealed, what was never sent is silence.
fn decode(codec: Codec, frame: &ReceivedFrame, concealment: &mut Concealment, voice: &mut Samples) {
    g711::decode_into(codec, &frame.codes, voice);
    let mut at = 0;
    for gap in frame.gaps() {
        if let Some(heard) = voice.get_mut(at..gap.start).filter(|heard| !heard.is_empty()) {
            concealment.heard(heard);
        }
        at = gap.start + gap.length;
        let Some(missing) = voice.get_mut(gap.start..at) else { continue };
        if gap.lost {
            concealment.conceal(missing);
        } else {
            missing.fill(0);
            concealment.heard(missing);
        }
    }
    if let Some(heard) = voice.get_mut(at..).filter(|heard| !heard.is_empty()) {
        concealment.heard(heard);
    }
}

/// Makes one frame of two: where they are most alike within 10 ms the first is faded into the second.
fn shorten(voice: &mut Samples, next: &Samples) {
    const FADE: usize = FRAME_SAMPLES / 2;
    let difference = |&from: &usize| -> i64 {
        let pairs = voice.iter().zip(next).skip(from).take(FADE);
        pairs.map(|(&a, &b)| (i64::from(a) - i64::from(b)).pow(2)).sum()
    };
    let from = (0..=FRAME_SAMPLES - FADE).step_by(4).min_by_key(difference).unwrap_or(0);
    for (at, (sample, &next)) in voice.iter_mut().zip(next).enumerate().skip(from) {
        let weight = ((at - from) as f32 + 0.5).min(FADE as f32) / FADE as f32;
        *sample = (f32::from(*sample) * (1.0 - weight) + f32::from(next) * weight) as i16;
    }
}

/// A frame of silence.
fn silence(codec: Codec) -> &'static Codes {
    const PCMU: Codes = [g711::silence(Codec::Pcmu); FRAME_SAMPLES];
    const PCMA: Codes = [g711::silence(Codec::Pcma); FRAME_SAMPLES];
    match codec {
        Codec::Pcmu => &PCMU,
        Codec::Pcma => &PCMA,
    }
}

/// One frame in which `old` goes out and `new` comes in.
fn faded(codec: Codec, old: &Samples, new: &Codes) -> Codes {
    let mut frame = [0; FRAME_SAMPLES];
    for (at, ((out, &old), &new)) in frame.iter_mut().zip(old).zip(new).enumerate() {
        let weight = (at as i32 * 2 + 1) * 256 / (2 * FRAME_SAMPLES as i32);
        let sample = i32::from(old) * (256 - weight) + i32::from(g711::decode(codec, new)) * weight;
        *out = g711::encode(codec, (sample >> 8) as i16);
    }
    frame
}
