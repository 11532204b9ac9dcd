//! Makes one digit of one key press that arrives in several ways.
//!
//! A gateway may send a press as a telephone-event, leave its tone in the voice, and send a SIP INFO besides; each comes
//! with a delay of its own:
//!
//! ```text
//!  key 5    ▇▇▇▇    ▇▇▇▇
//!  event     E       E           → "5" "5", the first sighting of each press
//!  tone         T       T        → known: the oldest press that no tone was seen of yet
//!  INFO              I       I   → known
//! ```
//!
//! So sightings are matched in order, each method's first to the first press, its second to the second. And the better
//! method counts: where an event has told of a press, a second tone is a piece of it (a lost packet tears tones), not
//! another press. What a method alone sees is taken as it is.

use std::time::{Duration, Instant};

use crate::words::media::DigitMethod;
use crate::words::secret::Digit;

/// How long after a press was last seen another way may still tell of it, in the media: a jitter buffer (200 ms at
/// most), the tone detector (60 ms), and a gateway that finds the tone first and makes an event of it (100 ms).
const MEDIA_WINDOW: Duration = Duration::from_millis(400);

/// The same for SIP INFO: it may be sent at the key's end, go another way, and be sent again after 500 ms (RFC 3261, T1).
const INFO_WINDOW: Duration = Duration::from_millis(1000);

/// Presses that are remembered: more than can be made in [`INFO_WINDOW`].
const PRESSES: usize = 16;

/// Merges the sightings of one leg.
#[derive(Default)]
pub struct DigitMerger {
    /// The last presses, in a ring.
    presses: [Option<Press>; PRESSES],
    next: usize,
}

#[derive(Clone, Copy)]
struct Press {
    digit: Digit,
    seen_by: Methods,
    last_seen: Instant,
}

impl DigitMerger {
    /// Takes a press as one method saw it. `Some` when no other way has told of this press.
    pub fn handle(&mut self, now: Instant, method: DigitMethod, digit: Digit) -> Option<Digit> {
        let mut known = false;
        for press in self.oldest_first().filter(|press| press.digit == digit && press.can_be_seen(now, method)) {
            if !press.seen_by.contains(method) {
                press.seen_by.insert(method);
                press.last_seen = press.last_seen.max(now);
                return None;
            }
            known |= press.seen_by.has_better_than(method);
        }
        if known {
            return None;
        }
        if let Some(place) = self.presses.get_mut(self.next) {
            *place = Some(Press { digit, seen_by: Methods::only(method), last_seen: now });
        }
        self.next = (self.next + 1) % PRESSES;
        Some(digit)
    }

    /// The key is still down, as one method sees it: what another way tells belongs to this press for longer.
    pub fn held(&mut self, now: Instant, method: DigitMethod, digit: Digit) {
        let same = |press: &&mut Press| press.digit == digit && press.seen_by.contains(method);
        if let Some(newest) = self.oldest_first().filter(same).last() {
            newest.last_seen = newest.last_seen.max(now);
        }
    }

    fn oldest_first(&mut self) -> impl Iterator<Item = &mut Press> {
        let (newer, older) = self.presses.split_at_mut(self.next.min(PRESSES));
        older.iter_mut().chain(newer).flatten()
    }
}

impl Press {
    /// Can `method` tell of this press as late as `now`?
    fn can_be_seen(&self, now: Instant, method: DigitMethod) -> bool {
        let window = if method == DigitMethod::Info { INFO_WINDOW } else { MEDIA_WINDOW };
        now.saturating_duration_since(self.last_seen) <= window
    }
}

/// A set of methods.
#[derive(Clone, Copy)]
struct Methods([bool; 3]);

impl Methods {
    fn only(method: DigitMethod) -> Methods {
        let mut methods = Methods([false; 3]);
        methods.insert(method);
        methods
    }

    fn insert(&mut self, method: DigitMethod) {
        if let Some(place) = self.0.get_mut(rank(method)) {
            *place = true;
        }
    }

    fn contains(self, method: DigitMethod) -> bool {
        self.0.get(rank(method)) == Some(&true)
    }

    fn has_better_than(self, method: DigitMethod) -> bool {
        self.0.iter().skip(rank(method) + 1).any(|&seen| seen)
    }
}

/// How well a method counts presses. Events number them by timestamp; an INFO is one message; tones are what is left of
/// them after loss and noise.
fn rank(method: DigitMethod) -> usize {
    match method {
        DigitMethod::InBand => 0,
        DigitMethod::Info => 1,
        DigitMethod::Event => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigitMethod::{Event, InBand, Info};
    use proptest::prelude::*;

    /// Sightings as (ms, method, key), in any order; the keys that come of them in order of time.
    fn merged(mut sightings: Vec<(u64, DigitMethod, char)>) -> String {
        sightings.sort_by_key(|&(at, ..)| at);
        let (start, mut merger) = (Instant::now(), DigitMerger::default());
        let digit = |(at, method, key): (u64, DigitMethod, char)| {
            merger.handle(start + Duration::from_millis(at), method, Digit::from_char(key).unwrap())
        };
        sightings.into_iter().filter_map(digit).map(Digit::expose).collect()
    }

    #[test]
    fn one_press_in_three_ways_is_one_digit() {
        assert_eq!(merged(vec![(20, Event, '5'), (80, InBand, '5'), (300, Info, '5')]), "5");
        assert_eq!(merged(vec![(20, Info, '5'), (80, Event, '5'), (300, InBand, '5')]), "5");
        assert_eq!(merged(vec![(40, InBand, '5'), (300, Event, '5'), (900, Info, '5')]), "5");
    }

    #[test]
    fn two_presses_of_a_key_are_two_digits_by_each_way_alone() {
        for method in [Event, InBand, Info] {
            assert_eq!(merged(vec![(0, method, '5'), (100, method, '5')]), "55");
        }
    }

    #[test]
    fn a_tone_that_loss_has_torn_is_still_the_events_press() {
        assert_eq!(merged(vec![(20, Event, '5'), (60, InBand, '5'), (150, InBand, '5')]), "5");
        assert_eq!(merged(vec![(20, InBand, '5'), (60, Event, '5'), (150, InBand, '5')]), "5");
    }

    #[test]
    fn a_press_that_the_better_way_lost_is_not_lost() {
        assert_eq!(merged(vec![(0, Event, '1'), (60, InBand, '1'), (260, InBand, '2')]), "12");
        assert_eq!(merged(vec![(0, Event, '1'), (600, InBand, '1')]), "11");
    }

    #[test]
    fn a_held_key_can_be_told_of_late() {
        let (start, key) = (Instant::now(), Digit::POUND);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut merger = DigitMerger::default();
        assert_eq!(merger.handle(at(0), Event, key), Some(key));
        for ms in (0..5000).step_by(50) {
            merger.held(at(ms), Event, key);
        }
        assert_eq!(merger.handle(at(3000), InBand, key), None);
        assert_eq!(merger.handle(at(5600), Info, key), None, "sent when the key went up");
        assert_eq!(merger.handle(at(7000), Info, key), Some(key), "another press");
    }

    #[test]
    fn time_that_stands_still_or_goes_back_is_harmless() {
        assert_eq!(merged(vec![(0, Event, '1'); 40]), "1".repeat(40));
        let (now, key) = (Instant::now() + Duration::from_secs(10), Digit::STAR);
        let mut merger = DigitMerger::default();
        assert_eq!(merger.handle(now, Event, key), Some(key));
        assert_eq!(merger.handle(now - Duration::from_secs(5), InBand, key), None);
    }

    proptest! {
        /// Presses at least 100 ms apart, each told of by the same methods, each method with a delay of its own and
        /// some jitter: what comes out is what was typed.
        #[test]
        fn one_digit_per_press(
            keys in prop::collection::vec((prop::sample::select(vec!['1', '2', '#']), 100..500u64), 1..40),
            ways in prop::sample::subsequence(vec![Event, InBand, Info], 1..=3),
            delays in prop::array::uniform3(0..200u64),
            jitter in prop::collection::vec(0..30u64, 120),
        ) {
            let (mut at, mut sightings, mut typed) = (0, Vec::new(), String::new());
            let mut jitter = jitter.into_iter().cycle();
            for (key, pause) in keys {
                for &way in &ways {
                    sightings.push((at + delays[rank(way)] + jitter.next().unwrap_or(0), way, key));
                }
                typed.push(key);
                at += pause;
            }
            // Which press came first can't be told when one way is late: the number of each key can.
            let mut found: Vec<char> = merged(sightings).chars().collect();
            let mut wanted: Vec<char> = typed.chars().collect();
            if ways.len() > 1 {
                found.sort_unstable();
                wanted.sort_unstable();
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
