//! What happened, in the order of its time: the story that a tester reads.

use std::fmt;
use std::time::Duration;

/// One line of the story. It holds no typed digit: whoever writes here says how many keys, never which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the scene began.
    pub at: Duration,
    /// Whose line it is.
    pub caller: String,
    pub kind: Kind,
    pub text: String,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The caller did something.
    Does,
    /// He heard something begin or end.
    Hears,
    /// Something happened to his call.
    Call,
    /// An expectation failed.
    Fails,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Does => "does",
            Kind::Hears => "hears",
            Kind::Call => "call",
            Kind::Fails => "fails",
        }
    }
}

/// All that happened in one scene. Entries may come late (what was heard is known later); they are shown in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    entries: Vec<Entry>,
}

impl Timeline {
    pub fn push(&mut self, entry: Entry) {
        let behind = self.entries.iter().rposition(|known| known.at <= entry.at);
        self.entries.insert(behind.map_or(0, |place| place.saturating_add(1)), entry);
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// ```text
///   0.000  Anna    dials 8000
///   0.012  Anna  · answered: PCMU, telephone-event 101
///   0.031  Anna  ♪ hears prompt:welcome
/// ```
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.entries.iter().map(|entry| entry.caller.chars().count()).max().unwrap_or(0);
        for entry in &self.entries {
            let mark = match entry.kind {
                Kind::Does => ' ',
                Kind::Hears => '♪',
                Kind::Call => '·',
                Kind::Fails => '✗',
            };
            writeln!(f, "{:8.3}  {:width$} {mark} {}", entry.at.as_secs_f64(), entry.caller, entry.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_late_stands_where_it_happened() {
        let mut timeline = Timeline::default();
        for (at, caller, kind, text) in [
            (0, "Anna", Kind::Does, "dials"),
            (900, "Guest 1", Kind::Does, "presses * by info"),
            (30, "Anna", Kind::Hears, "hears prompt:welcome"),
            (900, "Anna", Kind::Call, "ended by the server (bye)"),
        ] {
            let entry = Entry { at: Duration::from_millis(at), caller: caller.into(), kind, text: text.into() };
            timeline.push(entry);
        }
        let shown = timeline.to_string();
        assert_eq!(
            shown,
            "   0.000  Anna      dials\n   0.030  Anna    ♪ hears prompt:welcome\n   \
             0.900  Guest 1   presses * by info\n   0.900  Anna    · ended by the server (bye)\n"
        );
    }
}
