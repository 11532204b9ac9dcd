//! What a server sees of itself that somebody should look at, as alerts in the store: calls turned away for want of room,
//! calls without ports, messages dropped. Thousands of the same are one alert, which is written at once and then once a
//! minute while it goes on: a flood must not become a flood of writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::observe::measures::ShellCounts;
use crate::sip::Shed;

/// The same is told again after this at the earliest.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// One alert to be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub kind: &'static str,
    /// What of the kind; the same again counts up the alert that is open.
    pub what: &'static str,
    /// For people: how often it happened, and what to do.
    pub text: String,
    /// Of such events since the server has started.
    count: u64,
}

/// What was told, and when.
#[derive(Debug, Default)]
pub struct Warnings {
    told: BTreeMap<&'static str, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    count: u64,
    at: Instant,
}

impl Warnings {
    /// What is to be told now. It is due until [`Warnings::told`] says that it was.
    pub fn due(&self, now: Instant, counts: &ShellCounts) -> Vec<Warning> {
        let shed = |why: Shed| counts.refusals.shed.get(&why).copied().unwrap_or(0);
        let turned_away = "calls turned away with 503";
        [
            ("overload", "calls", shed(Shed::Calls), turned_away, "limits.calls or rtp.ports allow no more at once"),
            ("overload", "trunk-calls", shed(Shed::TrunkCalls), turned_away, "their trunk has as many as sip.trunks[].calls allows"),
            (
                "overload",
                "calls-per-second",
                shed(Shed::CallsPerSecond),
                turned_away,
                "more came in a second than limits.calls_per_second allows",
            ),
            ("overload", "unacknowledged", shed(Shed::Unacknowledged), turned_away, "too many from there were never acknowledged"),
            ("overload", "tables", shed(Shed::Tables), turned_away, "too many calls and transactions are remembered"),
            ("overload", "inputs", counts.sip_received_dropped, "SIP messages dropped", "they came faster than they are read"),
            (
                "ports-used-up",
                "rtp",
                counts.legs_refused,
                "calls turned away with 503",
                "no RTP ports could be opened for them; the server's log says why: see rtp.ports and the limit of open files",
            ),
        ]
        .into_iter()
        .filter_map(|(kind, what, count, happened, why)| {
            let told = self.told.get(what);
            let new = count.saturating_sub(told.map_or(0, |told| told.count));
            let rests = told.is_some_and(|told| now.saturating_duration_since(told.at) < AGAIN_AFTER);
            let text = format!("{happened}: {new}; {why}");
            (new > 0 && !rests).then_some(Warning { kind, what, text, count })
        })
        .collect()
    }

    /// It is in the store.
    pub fn told(&mut self, now: Instant, warning: &Warning) {
        self.told.insert(warning.what, Told { count: warning.count, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_at_once_and_then_once_a_minute() {
        let mut warnings = Warnings::default();
        let mut counts = ShellCounts::default();
        let begin = Instant::now();
        assert_eq!(warnings.due(begin, &counts), []);
        let mut raised = Vec::new();
        for second in 0..180 {
            let now = begin + Duration::from_secs(second);
            *counts.refusals.shed.entry(Shed::CallsPerSecond).or_default() += 500;
            counts.refusals.shed.insert(Shed::Draining, second);
            for warning in warnings.due(now, &counts) {
                warnings.told(now, &warning);
                raised.push((second, warning.what, warning.text));
            }
        }
        let why = "more came in a second than limits.calls_per_second allows";
        let text = |calls: u64| format!("calls turned away with 503: {calls}; {why}");
        let what = "calls-per-second";
        assert_eq!(raised, [(0, what, text(500)), (60, what, text(30_000)), (120, what, text(30_000))]);
    }

    #[test]
    fn what_the_store_did_not_take_stays_due_and_each_thing_is_told_by_itself() {
        let mut warnings = Warnings::default();
        let mut counts = ShellCounts { legs_refused: 1, ..ShellCounts::default() };
        let now = Instant::now();
        let first = warnings.due(now, &counts);
        assert_eq!((first.len(), first[0].kind), (1, "ports-used-up"));
        assert_eq!(warnings.due(now, &counts), first, "the store was away");
        warnings.told(now, &first[0]);
        assert_eq!(warnings.due(now + 2 * AGAIN_AFTER, &counts), [], "nothing new has happened");
        counts.sip_received_dropped = 7;
        let second = warnings.due(now, &counts);
        assert_eq!((second.len(), second[0].what), (1, "inputs"));
    }
}
