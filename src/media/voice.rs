//! What is heard of a caller: his voice, decoded where anybody might listen to it, without his keys, at the loudness of all others.

use std::time::Instant;

use crate::wire::g711;
use crate::words::media::{Codec, FRAME_SAMPLES, Law};
use crate::words::secret::Digit;

use super::concealment::Concealment;
use super::dtmf::{DtmfReceiver, FrameSighting};
use super::level::{self, TalkGate, Thresholds, Turn};
use super::loudness::{self, Loudness};
use super::mixer::{self, LastSample, Mixer, Samples, WideSamples};
use super::playout::Playout;
use super::received_frame::{ReceivedFrame, Run};
use super::resample::Upsampler;
use super::wide_voice::WideVoice;

/// What was agreed on of what comes.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    pub codec: Codec,
    pub thresholds: &'a Thresholds,
    /// The caller's telephone sends keys as events, and so not as tones.
    pub has_events: bool,
}

/// One caller's voice, frame by frame.
pub struct Voice {
    gate: TalkGate,
    concealment: Concealment,
    /// This frame at 8 kHz, and whether it is to be heard.
    samples: Samples,
    speaks: bool,
    spoke_last: bool,
    /// The frame before it, where a caller is heard one frame later than he speaks.
    before: Samples,
    spoke_before: bool,
    loudness: Loudness,
    /// It is in this frame's mix, multiplied by this at its end.
    mixed: bool,
    gain: f32,
    /// It was in the mix before this one, which has what is left of it, from this sample on.
    tail: Option<LastSample>,
    last: LastSample,
    turn: Turn,
    /// The largest peak since the last survey.
    loudest: u8,
    /// For those who hear 16 kHz where he has 8.
    upsampler: Upsampler,
    /// Where he has 16 kHz.
    wide: Option<Box<WideVoice>>,
}

impl Default for Voice {
    fn default() -> Voice {
        Voice {
            gate: TalkGate::default(),
            concealment: Concealment::default(),
            samples: [0; FRAME_SAMPLES],
            speaks: false,
            spoke_last: false,
            before: [0; FRAME_SAMPLES],
            spoke_before: false,
            loudness: Loudness::default(),
            mixed: false,
            gain: 0.0,
            tail: None,
            last: LastSample::default(),
            turn: Turn::default(),
            loudest: 0,
            upsampler: Upsampler::default(),
            wide: None,
        }
    }
}

impl Voice {
    /// What comes is in this codec from now on.
    pub fn negotiate(&mut self, codec: Codec) {
        self.wide = WideVoice::of(codec).map(Box::new);
    }

    /// Another stream begins, which can be in the middle of a word.
    pub fn begin_stream(&mut self) {
        self.spoke_last = true;
        if let Some(wide) = &mut self.wide {
            wide.begin_stream();
        }
    }

    /// He leaves what he was heard in.
    pub fn leave(&mut self) {
        self.tail = None;
        self.mixed = false;
    }

    /// Takes the frame that is due. `frame` is scratch space.
    ///
    /// Below the gate nothing is decoded, which is most of the time and for most callers. Above it voice is decoded for
    /// the tone detector even while nobody listens.
    pub fn listen(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        playout: &mut Playout,
        dtmf: &mut DtmfReceiver,
        frame: &mut ReceivedFrame,
    ) -> Option<Digit> {
        let spoke_before = std::mem::take(&mut self.spoke_before);
        // Before the first frame of a stream nothing is known: what was set when it began stays.
        self.spoke_last |= std::mem::take(&mut self.speaks);
        if !playout.pull(incoming.thresholds, frame) {
            return None;
        }
        let mut peak = frame.peak;
        let decoded_before = self.wide.as_ref().is_some_and(|wide| wide.is_decoded_first(self.gate.is_open()));
        if decoded_before {
            self.decode(incoming, playout, frame);
            let samples = self.wide.as_ref().map_or(&self.samples[..], |wide| wide.samples());
            let loudest = samples.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0);
            peak = peak.max(level::magnitude_of(loudest));
            playout.decoded(incoming.thresholds.is_quiet(peak));
        }
        self.loudest = self.loudest.max(peak);
        let passes = self.gate.passes(incoming.thresholds, peak);
        let mut sighting = FrameSighting::default();
        if passes {
            if !decoded_before {
                self.decode(incoming, playout, frame);
            }
            sighting = dtmf.handle_frame(now, &self.samples);
        } else if !decoded_before {
            self.concealment.quiet();
            if let Some(wide) = &mut self.wide {
                wide.quiet(frame);
            }
        }
        let clean = passes && !sighting.blank;
        if incoming.has_events {
            self.speaks = clean;
        } else {
            // Nobody takes the key tones out of this peer's voice. The detector needs some milliseconds of a tone, and
            // those can be the end of a frame: so a frame is let through when the next one has turned out to be clean.
            std::mem::swap(&mut self.samples, &mut self.before);
            if let Some(wide) = &mut self.wide {
                wide.hold_back();
            }
            self.speaks = spoke_before && !sighting.blank;
            self.spoke_before = clean;
        }
        sighting.pressed
    }

    fn decode(&mut self, incoming: Incoming<'_>, playout: &mut Playout, frame: &mut ReceivedFrame) {
        let Incoming { codec, thresholds, .. } = incoming;
        let Voice { samples, concealment, wide, .. } = self;
        match (codec.law(), wide) {
            (Some(law), _) => {
                decode(law, frame, concealment, samples);
                if playout.should_be_shortened(|| concealment.repeats_itself()) {
                    let mut next = [0; FRAME_SAMPLES];
                    playout.pull_one_more(thresholds, frame);
                    decode(law, frame, concealment, &mut next);
                    shorten(samples, &next);
                }
            }
            (None, Some(wide)) => {
                wide.decode(frame);
                if playout.should_be_shortened(|| wide.repeats_itself()) {
                    let mut first = *wide.samples();
                    playout.pull_one_more(thresholds, frame);
                    wide.decode(frame);
                    shorten(&mut first, wide.samples());
                    *wide.samples_mut() = first;
                }
                *samples = wide.narrow();
            }
            (None, None) => {}
        }
    }

    /// How loud the caller is, if he is to be heard in this frame. And whether he begins or ends to talk. `may_be_heard`: he is
    /// in a meeting, and not muted.
    pub fn asks_for_the_floor(&mut self, may_be_heard: bool) -> (Option<f32>, Option<bool>) {
        let asks = self.speaks && may_be_heard;
        if asks {
            self.loudness.heard(&self.samples);
        }
        self.tail = None;
        if std::mem::take(&mut self.mixed) {
            self.tail = Some(self.last);
        } else {
            // Who comes in in the middle of a word is faded in; a word's own beginning is not touched.
            self.gain = if self.spoke_last { 0.0 } else { self.loudness.gain() };
            self.upsampler = Upsampler::default();
        }
        self.spoke_last = false;
        (asks.then(|| self.loudness.level()), self.turn.frame(asks))
    }

    /// Puts the voice into the mix of a meeting, and says what its last sample was.
    pub fn put_into(&mut self, mixer: &mut Mixer) -> LastSample {
        let gain = self.loudness.gain();
        let before = std::mem::replace(&mut self.gain, gain);
        loudness::amplify(&mut self.samples, before, gain);
        mixer.add(&self.samples);
        let last = self.samples.last().copied().unwrap_or(0);
        self.last = LastSample { narrow: last, wide: last };
        if mixer.is_wide() {
            let upsampled;
            let samples = match &mut self.wide {
                Some(wide) => {
                    loudness::amplify(wide.samples_mut(), before, gain);
                    wide.samples()
                }
                None => {
                    upsampled = self.upsampler.frame(&self.samples);
                    &upsampled
                }
            };
            mixer.add_wide(samples);
            self.last.wide = samples.last().copied().unwrap_or(0);
        }
        self.mixed = true;
        self.tail = None;
        self.last
    }

    /// What of this frame's mix at 8 kHz is the caller's own, and is not for his ears.
    pub fn own_part(&self) -> Option<Samples> {
        if self.mixed { Some(self.samples) } else { self.tail.map(|last| mixer::tail(last.narrow)) }
    }

    /// The same at 16 kHz, of a caller who has that.
    pub fn own_wide_part(&self) -> Option<WideSamples> {
        let mixed = self.wide.as_ref().filter(|_| self.mixed).map(|wide| *wide.samples());
        mixed.or_else(|| self.tail.map(|last| mixer::tail(last.wide)))
    }

    /// The largest peak since the last time.
    pub fn take_loudest(&mut self) -> u8 {
        std::mem::take(&mut self.loudest)
    }
}

/// Decodes a frame and fills its holes: what was lost is concealed, what was never sent is silence.
fn decode(law: Law, frame: &ReceivedFrame, concealment: &mut Concealment, voice: &mut Samples) {
    g711::decode_into(law, &frame.codes, voice);
    for Run { begin, end, next, lost } in frame.runs() {
        if let Some(heard) = voice.get_mut(begin..end).filter(|heard| !heard.is_empty()) {
            concealment.heard(heard);
        }
        let Some(missing) = voice.get_mut(end..next).filter(|missing| !missing.is_empty()) else { continue };
        if lost {
            concealment.conceal(missing);
        } else {
            missing.fill(0);
            concealment.heard(missing);
        }
    }
}

/// Makes one frame of two: where they are most alike within 10 ms the first is faded into the second.
fn shorten<const N: usize>(voice: &mut [i16; N], next: &[i16; N]) {
    let fade = N / 2;
    let difference = |&from: &usize| -> i64 {
        let pairs = voice.iter().zip(next).skip(from).take(fade);
        pairs.map(|(&a, &b)| (i64::from(a) - i64::from(b)).pow(2)).sum()
    };
    let from = (0..=N - fade).step_by(4).min_by_key(difference).unwrap_or(0);
    for (at, (sample, &next)) in voice.iter_mut().zip(next).enumerate().skip(from) {
        let weight = ((at - from) as f32 + 0.5).min(fade as f32) / fade as f32;
        *sample = (f32::from(*sample) * (1.0 - weight) + f32::from(next) * weight) as i16;
    }
}
