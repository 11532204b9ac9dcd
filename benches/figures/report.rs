//! The figures as a table for people, and as one JSON document.

use std::fmt;

use serde::Serialize;

use super::callers::Measured;
use super::process::Machine;

/// Everything that one run found.
#[derive(Debug, Serialize)]
pub struct Report {
    pub command: String,
    pub machine: Machine,
    pub load_1_min_at_end: f64,
    pub seconds: f64,
    pub sections: Vec<Section>,
}

/// What belongs together.
#[derive(Debug, Default, Serialize)]
pub struct Section {
    pub title: String,
    pub figures: Vec<Figure>,
    /// What has to be known to read the figures, and what went wrong.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    pub goal: Option<Goal>,
    pub reached: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_reached_by(self, value: f64) -> bool {
        match self {
            Goal::AtMost(limit) => value <= limit,
            Goal::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(limit) => write!(f, "≤ {limit}"),
            Goal::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

impl Section {
    pub fn new(title: impl Into<String>) -> Section {
        Section { title: title.into(), ..Section::default() }
    }

    pub fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: Option<Goal>) {
        let reached = goal.map(|goal| goal.is_reached_by(value));
        self.figures.push(Figure { what: what.into(), value, unit, goal, reached });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// What every measurement of calls tells besides its cost. The goals are the server's, not the floor's.
    pub fn delivery(&mut self, measured: &Measured, has_goals: bool) {
        let goal = |goal| has_goals.then_some(goal);
        let delivery = &measured.delivery;
        self.figure("packets to each caller, mean", delivery.packets_mean, "/s", None);
        self.figure("packets to the caller who got fewest", delivery.packets_min, "/s", None);
        self.figure("packets that came, of those due", 100.0 * delivery.share, "%", None);
        self.figure("packets that came in time", 100.0 * delivery.on_time(), "%", goal(Goal::AtLeast(99.9)));
        self.figure("gap between packets, 99.9th percentile", delivery.gap_ms_p999, "ms", None);
        self.figure("gap between packets, largest", delivery.gap_ms_max, "ms", goal(Goal::AtMost(40.0)));
        self.figure("machine busy with server and generator", 100.0 * measured.machine_busy, "%", None);
        self.figure("the generator itself", measured.generator_cpu_ms, "ms/call-s", None);
        let own = measured.lateness;
        if delivery.share < FULL_SHARE {
            self.note(
                "fewer packets than 50 a second were handled: the costs, and the ratio, are those of fewer packets",
            );
        }
        if measured.generator_lost > 0 || own.frames_skipped > 0 {
            self.note(format!(
                "the generator lost {} packets and left out {} frames of its own: it was a bottleneck",
                measured.generator_lost, own.frames_skipped
            ));
        }
        if own.slots_late * 1000 > own.slots {
            self.note(format!(
                "the generator began {:.1} % of its milliseconds more than 5 ms late ({:.0} ms at most): the machine is crowded",
                100.0 * own.slots_late as f64 / own.slots as f64,
                own.late_ms_max
            ));
        }
    }
}

/// Below this, costs for each second of a call can't be compared.
const FULL_SHARE: f64 = 0.99;

const WHAT_WIDTH: usize = 56;
const UNIT_WIDTH: usize = 9;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(f, "{}", self.command)?;
        writeln!(f, "{} × {}, Linux {}", machine.cores, machine.processor, machine.kernel)?;
        writeln!(
            f,
            "load (1 min) {:.2} before, {:.2} after; the run took {:.0} s",
            machine.load_1_min, self.load_1_min_at_end, self.seconds
        )?;
        self.sections.iter().try_for_each(|section| write!(f, "\n{section}"))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for figure in &self.figures {
            write!(f, "  {:<WHAT_WIDTH$} {:>10} {}", figure.what, rounded(figure.value), figure.unit)?;
            let gap = UNIT_WIDTH.saturating_sub(figure.unit.chars().count());
            match (figure.goal, figure.reached) {
                (Some(goal), Some(true)) => writeln!(f, "{:gap$} goal {goal}: reached", "")?,
                (Some(goal), _) => writeln!(f, "{:gap$} goal {goal}: MISSED", "")?,
                (None, _) => writeln!(f)?,
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  ({note})"))
    }
}

/// Three digits that count.
fn rounded(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 1000.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
