//! Which of many like things are told. The first ones of each kind are, line by line, since each may be somebody's
//! trouble; in a flood it is one line a minute, with the number of those that were passed over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// More of one kind in a minute is a flood.
const FLOOD: u64 = 20;

/// The kinds are few, and the code names them: the table needs no bound of its own.
#[derive(Debug)]
pub struct Telling<K> {
    kinds: BTreeMap<K, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    since: Instant,
    seen: u64,
    is_flood: bool,
    passed_over: u64,
}

impl<K> Default for Telling<K> {
    fn default() -> Telling<K> {
        Telling { kinds: BTreeMap::new() }
    }
}

impl<K: Ord> Telling<K> {
    /// Whether this one is to be told, and how many like it were passed over before.
    pub fn tell(&mut self, now: Instant, kind: K) -> Option<u64> {
        let fresh = Told { since: now, seen: 0, is_flood: false, passed_over: 0 };
        let told = self.kinds.entry(kind).or_insert(fresh);
        let passed = now.saturating_duration_since(told.since);
        if passed >= WINDOW {
            told.is_flood = told.seen > FLOOD && passed < WINDOW.saturating_mul(2);
            (told.since, told.seen) = (now, 0);
        }
        told.seen = told.seen.saturating_add(1);
        if told.seen <= if told.is_flood { 1 } else { FLOOD } {
            return Some(std::mem::take(&mut told.passed_over));
        }
        told.passed_over = told.passed_over.saturating_add(1);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_and_nothing_is_lost_from_the_count() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let mut lines = Vec::new();
        // A hundred a second for five minutes.
        for number in 0..30_000_u64 {
            let now = start + Duration::from_millis(number * 10);
            lines.extend(telling.tell(now, "a"));
        }
        assert_eq!(lines.len(), 20 + 4, "{lines:?}");
        assert_eq!(&lines[20..], [5_980, 5_999, 5_999, 5_999]);
        assert_eq!(telling.tell(start, "b"), Some(0), "another kind");
        let later = start + Duration::from_secs(3_600);
        assert_eq!(telling.tell(later, "a"), Some(5_999));
        let rare: Vec<_> = (1..100).map(|minute| telling.tell(later + WINDOW * minute / 10, "a")).collect();
        assert!(rare.iter().all(|told| *told == Some(0)), "ten a minute are no flood: {rare:?}");
    }
}
