//! Meetings of several sizes, each caller in one of them: what they cost depends on how many share a mix.

use std::ops::Range;
use std::time::Duration;

use anteroom::words::media::Codec;

use super::callers::Measured;
use super::report::{Goal, Section};
use super::waiting::{Bridge, Floors};
use super::{Outcome, progress, wrong};

/// For all meetings to start: one after the other has its PIN checked.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// Meetings of one size.
struct Size {
    callers: usize,
    talkers: usize,
    /// Every third caller speaks A-law.
    two_laws: bool,
    goal: f64,
}

impl Bridge {
    /// The same number of callers in meetings of 4, 50, 200 and all of them.
    pub fn sizes(&mut self, floors: &Floors, sections: &mut Vec<Section>) -> Outcome<()> {
        let calls = self.plan.calls;
        let large = |callers| Size { callers, talkers: 3, two_laws: false, goal: 2.0 };
        let small = Size { callers: 4, talkers: 2, two_laws: false, goal: 3.0 };
        let mut sizes = vec![small];
        sizes.extend([50, 200].into_iter().filter(|size| *size < calls).map(large));
        sizes.extend([large(calls), Size { two_laws: true, ..large(calls) }]);
        self.server.enable_more(calls / 4)?;
        for size in sizes {
            sections.push(self.size(&size, floors)?);
        }
        Ok(())
    }

    fn size(&mut self, size: &Size, floors: &Floors) -> Outcome<Section> {
        let meetings = self.plan.calls / size.callers;
        let laws = if size.two_laws { ", a third on A-law" } else { "" };
        let title = match meetings {
            1 => format!("A meeting of {}: {} speak{laws}", size.callers, size.talkers),
            _ => format!("{meetings} meetings of {}: {} speak in each{laws}", size.callers, size.talkers),
        };
        progress(&title);
        let everybody = 0..meetings * size.callers;
        for caller in everybody.clone() {
            let codec = if size.two_laws && caller % 3 == 2 { Codec::Pcma } else { Codec::Pcmu };
            self.callers.fleet.set_codec(caller, codec);
        }
        let measured = self.meet(size, meetings, everybody.clone());
        self.empty();
        everybody.clone().for_each(|caller| self.callers.fleet.set_codec(caller, Codec::Pcmu));
        let measured = measured?;
        let mut section = Section::new(title);
        section.figure("CPU of one caller", measured.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", measured.cpu_ms / floors.cpu_ms(), "×", Some(Goal::AtMost(size.goal)));
        section.delivery(&measured, true);
        Ok(section)
    }

    /// The last caller of each meeting is its organizer: he calls when the others wait.
    fn meet(&mut self, size: &Size, meetings: usize, everybody: Range<usize>) -> Outcome<Measured> {
        let members = |meeting: usize| meeting * size.callers..(meeting + 1) * size.callers - 1;
        for meeting in 0..meetings {
            self.send_to_lobby(meeting, members(meeting))?;
        }
        let waiting: Vec<usize> = (0..meetings).flat_map(members).collect();
        self.wait_for_music(&waiting)?;
        for meeting in 0..meetings {
            self.call_organizer(meeting, members(meeting).end)?;
        }
        let started = |caller: &usize, all: &super::callers::Callers| all.fleet.music_ended_at(*caller).is_some();
        if !self.callers.run_until(STARTS_WITHIN, |all| waiting.iter().all(|caller| started(caller, all))) {
            let left = waiting.iter().filter(|caller| !started(caller, &self.callers)).count();
            return Err(wrong(&format!("{left} of {} callers still wait for their meeting", waiting.len())));
        }
        self.callers.fleet.stop_listening(everybody.clone());
        for meeting in 0..meetings {
            for (talker, caller) in members(meeting).take(size.talkers).enumerate() {
                let from = (talker as f64 + meeting as f64 / meetings as f64) / size.talkers as f64;
                self.callers.fleet.speak(caller, from);
            }
        }
        self.callers.run_for(self.plan.warm_up);
        self.callers.measure(&self.server.process()?, everybody.len(), self.plan.measure)
    }
}
