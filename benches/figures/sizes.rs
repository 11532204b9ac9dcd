//! Meetings of several sizes, each caller in one of them: what they cost depends on how many share a mix. Each has the floor
//! measured just before it: a shared machine is not as fast one minute as it was the minute before.

use std::ops::Range;
use std::time::Duration;

use anteroom::words::media::Codec;

use super::callers::Measured;
use super::report::{Goal, Section};
use super::waiting::{Bridge, measure_floor};
use super::{Outcome, progress, wrong};

/// For all meetings to start: one after the other has its PIN checked.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

const ORGANIZERS_APART: Duration = Duration::from_millis(120);

/// Who comes to another sound with G.722 has an encoder of his own for three seconds at most, and then shares one.
const ENCODERS_JOIN_WITHIN: Duration = Duration::from_millis(3_500);

/// Meetings of one size.
struct Size {
    callers: usize,
    talkers: usize,
    codecs: Codecs,
    goal: f64,
}

/// What the callers speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Codecs {
    Mu,
    /// µ-law, and every third A-law.
    TwoLaws,
    /// G.722.
    Wide,
    /// µ-law, and every third G.722.
    Mixed,
}

impl Codecs {
    fn of(self, caller: usize) -> Codec {
        match (self, caller % 3 == 2) {
            (Codecs::TwoLaws, true) => Codec::Pcma,
            (Codecs::Wide, _) | (Codecs::Mixed, true) => Codec::G722,
            (Codecs::Mu | Codecs::TwoLaws | Codecs::Mixed, _) => Codec::Pcmu,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Codecs::Mu => "",
            Codecs::TwoLaws => ", a third on A-law",
            Codecs::Wide => ", on G.722",
            Codecs::Mixed => ", a third on G.722",
        }
    }
}

impl Bridge {
    /// The same number of callers in meetings of 4, 50, 200 and all of them.
    pub fn sizes(&mut self, sections: &mut Vec<Section>) -> Outcome<()> {
        let calls = self.plan.calls;
        let large = |callers| Size { callers, talkers: 3, codecs: Codecs::Mu, goal: 2.0 };
        let small = |codecs| Size { callers: 4, talkers: 2, codecs, goal: 3.0 };
        let mut sizes = vec![small(Codecs::Mu)];
        sizes.extend([50, 200].into_iter().filter(|size| *size < calls).map(large));
        sizes.push(large(calls));
        let others = [Codecs::TwoLaws, Codecs::Mixed, Codecs::Wide];
        sizes.extend(others.map(|codecs| Size { codecs, ..large(calls) }));
        sizes.push(small(Codecs::Wide));
        self.server.enable_more(calls / 4)?;
        sections.push(self.wide_lobby()?);
        for size in sizes {
            sections.push(self.size(&size)?);
        }
        Ok(())
    }

    fn size(&mut self, size: &Size) -> Outcome<Section> {
        let meetings = self.plan.calls / size.callers;
        let codecs = size.codecs.name();
        let title = match meetings {
            1 => format!("A meeting of {}: {} speak{codecs}", size.callers, size.talkers),
            _ => format!("{meetings} meetings of {}: {} speak in each{codecs}", size.callers, size.talkers),
        };
        progress(&title);
        let floor = measure_floor(&mut self.callers, &self.plan)?;
        let everybody = 0..meetings * size.callers;
        self.speak(everybody.clone(), size.codecs);
        let measured = self.meet(size, meetings, everybody.clone());
        self.empty();
        self.speak(everybody, Codecs::Mu);
        let measured = measured?;
        let mut section = Section::new(title);
        section.figure("CPU of one caller", measured.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", measured.cpu_ms / floor.cpu_ms, "×", Some(Goal::AtMost(size.goal)));
        section.delivery(&measured, true);
        section.floor_before(&floor);
        Ok(section)
    }

    fn speak(&mut self, callers: Range<usize>, codecs: Codecs) {
        callers.for_each(|caller| self.callers.fleet.set_codec(caller, codecs.of(caller)));
    }

    /// Callers with G.722 wait.
    fn wide_lobby(&mut self) -> Outcome<Section> {
        let everybody = 0..self.plan.calls;
        let title = format!("The lobby: {} waiting callers{}", self.plan.calls, Codecs::Wide.name());
        progress(&title);
        let floor = measure_floor(&mut self.callers, &self.plan)?;
        self.speak(everybody.clone(), Codecs::Wide);
        self.fill_lobby(everybody.clone())?;
        self.callers.run_for(self.plan.warm_up.max(ENCODERS_JOIN_WITHIN));
        let measured = self.callers.measure(&self.server.process()?, everybody.len(), self.plan.measure)?;
        self.empty();
        self.speak(everybody, Codecs::Mu);
        let mut section = Section::new(title);
        section.figure("CPU of one waiting caller", measured.cpu_ms, "ms/call-s", None);
        section.figure("  in floors", measured.cpu_ms / floor.cpu_ms, "×", Some(Goal::AtMost(1.5)));
        section.delivery(&measured, true);
        section.floor_before(&floor);
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
            // No faster than PINs can be checked: who waits five seconds for it is told that it can't be done now.
            self.callers.run_for(ORGANIZERS_APART);
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
        let has_g722 = matches!(size.codecs, Codecs::Wide | Codecs::Mixed);
        let joined = if has_g722 { ENCODERS_JOIN_WITHIN } else { Duration::ZERO };
        self.callers.run_for(self.plan.warm_up.max(joined));
        self.callers.measure(&self.server.process()?, everybody.len(), self.plan.measure)
    }
}

impl Section {
    fn floor_before(&mut self, floor: &Measured) {
        self.note(format!("the floor just before: {:.3} ms/call-s", floor.cpu_ms));
    }
}
