//! What a run came to: for people as text, for machines as one JSON document. No typed digit is in either.

use std::fmt;

use serde::Serialize;

use super::impairment::PathCounts;

/// A stall that is worth a line: longer than a jitter buffer bridges without being heard.
const STALL_TOLD_MS: u64 = 60;

/// All fixtures of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub passed: bool,
    pub fixtures: Vec<FixtureReport>,
}

/// One fixture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FixtureReport {
    pub name: String,
    /// The file.
    pub path: String,
    pub title: String,
    pub covers: Vec<String>,
    pub passed: bool,
    /// How long the scene took.
    pub seconds: f64,
    /// The longest that this tool was kept from its work: by so much keys and packets went out late, and no server can
    /// be blamed for it.
    pub largest_stall_ms: u64,
    /// The first expectation that failed.
    pub failure: Option<FailureReport>,
    pub timeline: Vec<TimelineEntry>,
    pub callers: Vec<CallerReport>,
    /// The same timeline as text.
    #[serde(skip)]
    pub story: String,
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureReport {
    pub caller: String,
    /// Line in the fixture.
    pub line: Option<usize>,
    pub at_s: f64,
    pub expected: String,
    pub found: String,
    /// What he heard in his whole call, of everything that is known: the answer to "what was it instead?".
    pub heard: Vec<String>,
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEntry {
    pub at_s: f64,
    pub caller: String,
    /// `does`, `hears`, `call` or `fails`.
    pub kind: &'static str,
    pub what: String,
}

/// One caller's call in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallerReport {
    pub name: String,
    pub answered_at_s: Option<f64>,
    pub ended_at_s: Option<f64>,
    pub ended: Option<String>,
    pub codec: Option<String>,
    pub packets_sent: u64,
    pub packets_received: u64,
    pub packets_lost: u64,
    pub packets_late: u64,
    pub packets_strange: u64,
    /// The longest time between two packets.
    pub largest_gap_ms: u64,
    pub rtcp_received: u64,
    /// What the network did to his packets, where it was told to.
    pub impaired: Option<ImpairmentReport>,
    /// The file with what he heard.
    pub recording: Option<String>,
}

/// A network that was made bad.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImpairmentReport {
    /// As `--impair` takes it: the same again.
    pub by: String,
    pub to_server: Option<PathCounts>,
    pub from_server: Option<PathCounts>,
}

impl fmt::Display for FixtureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.title)?;
        f.write_str(&self.story)?;
        for caller in &self.callers {
            write!(
                f,
                "          {}: {} packets sent, {} received, {} lost, largest gap {} ms",
                caller.name, caller.packets_sent, caller.packets_received, caller.packets_lost, caller.largest_gap_ms
            )?;
            match &caller.recording {
                Some(recording) => writeln!(f, ", heard: {recording}")?,
                None => writeln!(f)?,
            }
            if let Some(impaired) = &caller.impaired {
                writeln!(f, "          {}: impaired by {}", caller.name, impaired.by)?;
                let ways = [("to the server", impaired.to_server), ("from the server", impaired.from_server)];
                for (way, counts) in ways.into_iter().filter_map(|(way, counts)| Some((way, counts?))) {
                    writeln!(f, "          {}: {way}, {counts}", caller.name)?;
                }
            }
        }
        if self.largest_stall_ms >= STALL_TOLD_MS {
            writeln!(
                f,
                "          this machine stood still for up to {} ms; callers were late by that",
                self.largest_stall_ms
            )?;
        }
        match &self.failure {
            None => writeln!(f, "passed in {:.1} s", self.seconds),
            Some(failure) => {
                writeln!(f, "FAILED after {:.1} s", self.seconds)?;
                write!(f, "  {}", self.path)?;
                if let Some(line) = failure.line {
                    write!(f, ":{line}")?;
                }
                writeln!(f, ": {} at {:.3} s", failure.caller, failure.at_s)?;
                writeln!(f, "  expected: {}", failure.expected)?;
                writeln!(f, "  found:    {}", failure.found)?;
                for heard in &failure.heard {
                    writeln!(f, "  heard:    {heard}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fixture in &self.fixtures {
            writeln!(f, "{fixture}")?;
        }
        let failed: Vec<_> = self.fixtures.iter().filter(|each| !each.passed).map(|each| each.name.as_str()).collect();
        match failed.as_slice() {
            [] => writeln!(f, "{} passed", self.fixtures.len()),
            failed => writeln!(f, "{} of {} failed: {}", failed.len(), self.fixtures.len(), failed.join(", ")),
        }
    }
}
