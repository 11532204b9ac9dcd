//! What one caller hears, packet by packet, held against what he may hear.

use anteroom::words::media::Law;
use anteroom::words::prompt::Prompt;

use super::model::{CallModel, Mode, Model};
use super::sounds::{Codes, Frame, Heard, voices_in};

/// Frames in a row that may be a fade: several changes can follow each other at inhuman speed.
const FADES: u32 = 3;

/// So many frames a voice may be missing that must be heard: it is on its way, or the receiver begins anew.
const MISSING_MAX: u32 = 25;

/// One caller's ear.
#[derive(Debug, Default)]
pub struct Ear {
    last: Option<(u32, u16, u32)>,
    others: u32,
    silence: u32,
    /// Frames in a row with a voice that he may not hear, and with his own. One alone is the click of a key tone that loss
    /// has torn: it has a little of every frequency.
    foreign: u32,
    own: u32,
    /// Voices that are missing, by phone, and for how many frames.
    missing: [u32; 8],
    told: String,
    pub frames: u64,
}

/// What surrounds the packet.
pub struct Moment<'a> {
    pub heard: &'a Heard,
    pub model: &'a Model,
    pub phones: usize,
    /// Ticks that a change may take until it is heard.
    pub grace: u64,
    /// Phones whose voices have to be heard by whoever is in a meeting with them.
    pub speaking: u32,
}

impl Ear {
    /// Takes a packet that leaves for this caller. What is wrong with it, and what he hears where that is news.
    pub fn handle(&mut self, moment: &Moment<'_>, of: &CallModel, datagram: &[u8]) -> (Vec<String>, Option<String>) {
        let mut wrong = Vec::new();
        let (header, payload) = datagram.split_at(12);
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let timestamp = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if let Some((old_ssrc, old_sequence, old_timestamp)) = self.last.replace((ssrc, sequence, timestamp)) {
            if old_ssrc != ssrc || sequence != old_sequence.wrapping_add(1) {
                wrong.push(format!("packet {sequence} of {ssrc:x} follows {old_sequence} of {old_ssrc:x}"));
            }
            let ahead = timestamp.wrapping_sub(old_timestamp);
            if !ahead.is_multiple_of(160) || ahead == 0 || (header[1] & 0x80 == 0 && ahead != 160) {
                wrong.push(format!("the timestamp goes on by {ahead}"));
            }
        }
        let law = if header[1] & 0x7F == 8 { Law::A } else { Law::Mu };
        let codes: &Codes = payload.try_into().expect("a frame of 20 ms");
        let frame = moment.heard.classify(law, codes);
        self.frames += 1;
        let fresh = moment.model.tick <= of.mode_since + moment.grace;
        // In a meeting that is what there is to hear.
        let fades = frame == Frame::Other && of.mode != Mode::Meeting;
        self.others = if fades { self.others + 1 } else { 0 };
        self.silence = if frame == Frame::Silence { self.silence + 1 } else { 0 };
        let voices = match frame {
            Frame::Other => voices_in(law, codes, moment.phones),
            _ => 0,
        };
        let is_prompt_of_meeting =
            |prompt: Prompt| matches!(prompt, Prompt::YouAreMuted | Prompt::YouAreUnmuted) || fresh;
        let is_right = match (of.mode, frame) {
            _ if fresh => true,
            (Mode::Meeting, Frame::Music) => false,
            (Mode::Meeting, Frame::Prompt(prompt)) => is_prompt_of_meeting(prompt),
            (Mode::Meeting, Frame::Silence | Frame::Other) => true,
            (Mode::Lobby, Frame::Silence) => self.silence <= 1,
            (Mode::Lobby, Frame::Music) => true,
            (_, Frame::Music) => false,
            (_, Frame::Other) => self.others <= FADES && voices == 0,
            (_, Frame::Silence | Frame::Prompt(_)) => true,
        };
        if !is_right {
            wrong.push(format!("hears {frame:?} with voices {voices:b} and is {:?}", of.mode));
        }
        if !matches!(frame, Frame::Prompt(_)) {
            self.voices(moment, of, fresh, voices, &mut wrong);
        }
        let told = match frame {
            Frame::Other if of.mode == Mode::Meeting => format!("voices {voices:08b}"),
            Frame::Other => return (wrong, None),
            frame => format!("{frame:?}"),
        };
        let news = (told != self.told).then(|| told.clone());
        self.told = told;
        (wrong, news)
    }

    fn voices(&mut self, moment: &Moment<'_>, of: &CallModel, fresh: bool, voices: u32, wrong: &mut Vec<String>) {
        let meeting = of.meeting.filter(|_| of.mode == Mode::Meeting);
        let left = of.left.filter(|_| fresh).map(|(meeting, _)| meeting);
        let may = |meeting| moment.model.voices_of(meeting, moment.grace + 1);
        if voices != 0 {
            let allowed = meeting.map_or(0, may) | left.map_or(0, may);
            self.foreign = if voices & !allowed != 0 { self.foreign + 1 } else { 0 };
            if self.foreign > 1 {
                wrong.push(format!("hears voices {voices:08b}, and may hear {allowed:08b}"));
            }
            let is_there_twice = moment.model.calls.values().filter(|other| other.phone == of.phone).count() > 1;
            self.own = if voices & 1 << of.phone != 0 && !is_there_twice { self.own + 1 } else { 0 };
            if self.own > 1 {
                wrong.push("hears himself".into());
            }
        } else {
            (self.foreign, self.own) = (0, 0);
        }
        let Some(meeting) = meeting else {
            self.missing = [0; 8];
            return;
        };
        if moment.speaking == 0 {
            return;
        }
        for other in moment.model.calls.values().filter(|other| other.phone != of.phone) {
            let must = other.meeting == Some(meeting)
                && other.mode == Mode::Meeting
                && !other.muted
                && moment.speaking & 1 << other.phone != 0
                && moment.model.tick > other.mode_since + 100
                && moment.model.tick > other.muted_since + 100;
            let missing = &mut self.missing[other.phone];
            *missing = if must && voices & 1 << other.phone == 0 { *missing + 1 } else { 0 };
            if *missing == MISSING_MAX {
                wrong.push(format!("does not hear phone {}", other.phone));
            }
        }
    }
}
