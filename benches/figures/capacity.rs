//! How many calls this machine holds, the generator on the same machine: more and more callers, until not every packet is
//! there in time.

use std::time::Duration;

use super::callers::Measured;
use super::report::{Goal, Section};
use super::waiting::Bridge;
use super::{Outcome, progress};

/// More callers each time.
const STEP: usize = 250;

/// Of the packets that are due, the share that must come, and not more than 20 ms late.
const HELD: f64 = 0.999;

/// Where it is less, it is looked at so often before it is believed: other programs have their moments, too.
const TRIES: usize = 3;

/// A step's callers hear each other by then.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

impl Bridge {
    /// A lobby that grows, then a meeting that does.
    pub fn capacity(&mut self, sections: &mut Vec<Section>) -> Outcome<()> {
        for (what, is_meeting, goal) in [("lobby", false, 3000.0), ("meeting", true, 2500.0)] {
            let mut section = Section::new(format!("One {what} that grows"));
            let held = self.grow(what, is_meeting, &mut section)?;
            let figure = "calls that get 99.9 % of their packets in time";
            section.figure(figure, held as f64, "", Some(Goal::AtLeast(goal)));
            sections.push(section);
            self.empty();
        }
        Ok(())
    }

    fn grow(&mut self, what: &str, is_meeting: bool, section: &mut Section) -> Outcome<usize> {
        let mut held = 0;
        while held + STEP < self.callers.fleet.len() {
            let calls = held + STEP;
            progress(&format!("a {what} of {calls}"));
            if is_meeting && held > 0 {
                self.send_to_lobby(0, held..calls)?;
                self.callers.run_for(SETTLED_AFTER);
            } else {
                self.fill_lobby(held..calls)?;
            }
            if is_meeting && held == 0 {
                self.start_meeting(0..calls)?;
                self.callers.fleet.stop_listening(0..calls);
                (0..super::waiting::TALKERS).for_each(|talker| self.callers.fleet.speak(talker, 0.3 * talker as f64));
            }
            if !self.holds(calls, section)? {
                break;
            }
            held = calls;
        }
        Ok(held)
    }

    fn holds(&mut self, calls: usize, section: &mut Section) -> Outcome<bool> {
        for _ in 0..TRIES {
            self.callers.run_for(self.plan.warm_up);
            let measured = self.callers.measure(&self.server.process()?, calls, self.plan.measure)?;
            section.note(step(calls, &measured));
            if measured.delivery.on_time() >= HELD {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn step(calls: usize, measured: &Measured) -> String {
    let delivery = &measured.delivery;
    let mut step = format!(
        "{calls} calls: {:.2} % of the packets in time, 99.9 % of the gaps up to {:.0} ms, the largest {:.0}; machine {:.0} % busy, \
         server {:.3} and generator {:.3} ms/call-s",
        100.0 * delivery.on_time(),
        delivery.gap_ms_p999,
        delivery.gap_ms_max,
        100.0 * measured.machine_busy,
        measured.cpu_ms,
        measured.generator_cpu_ms,
    );
    let (lost, skipped) = (measured.generator_lost, measured.lateness.frames_skipped);
    if lost > 0 || skipped > 0 {
        step += &format!("; the generator lost {lost} packets and left out {skipped} of its frames");
    }
    step
}
