//! Key presses → one entry: a conference ID, a PIN.
//!
//! An entry ends at its last possible digit, at `#`, or by a pause. People press `#` whether it is needed or not, and keys
//! bounce; so what comes right behind an entry that ended without `#` still belongs to it:
//!
//! ```text
//!  1 2 3 4 5 6 7 │ #            the pound key that the prompt asked for: swallowed within 2 s
//!  1 2 3 3 4 5 6 │ 7 #          one key bounced: the seventh digit came early, the eighth is no new entry
//!  1 2 3 4 5 6 7 │ * 8 6 4 2    a key with another meaning: counts at once
//!                └ complete
//! ```

use std::time::{Duration, Instant};

use crate::words::secret::{Digit, Secret};

/// How patient a [`Collector`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// Nothing for so long after a digit ends the entry.
    pub between_digits: Duration,
    /// A `#` that comes within this time after an entry which ended without it is swallowed.
    pub swallow_pound: Duration,
    /// A digit that comes within this time after the last possible one is swallowed.
    pub overrun: Duration,
}

/// What a key press did to the entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Pressed {
    /// It was typed, the entry goes on.
    Typing,
    /// `*`: what was typed is forgotten.
    Cleared,
    /// The entry is complete.
    Complete(Secret),
    /// `#` with nothing typed before it.
    Nothing,
    /// A key that is in no entry (`A` to `D`).
    Meaningless,
}

/// Collects one entry after the other.
#[derive(Debug)]
pub struct Collector {
    pauses: Pauses,
    /// The entry is complete with so many digits.
    digits_max: usize,
    typed: Secret,
    last_digit_at: Option<Instant>,
    tail: Option<Tail>,
}

/// An entry has just ended, and not by `#`.
#[derive(Debug, Clone, Copy)]
struct Tail {
    pound_until: Instant,
    /// It ended at its last possible digit.
    digits_until: Option<Instant>,
}

impl Collector {
    pub fn new(pauses: Pauses) -> Collector {
        Collector { pauses, digits_max: 0, typed: Secret::default(), last_digit_at: None, tail: None }
    }

    /// A new entry of up to `digits_max` digits begins. What still belongs to the one before stays known.
    pub fn begin(&mut self, digits_max: usize) {
        self.digits_max = digits_max;
        self.forget();
    }

    /// What was typed is forgotten.
    pub fn clear(&mut self) {
        self.forget();
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// Whether this key press only trails the entry before, and nobody is to take notice of it. Ask this about every key
    /// press before all else: it also learns here that the entry before is over.
    pub fn swallows(&mut self, now: Instant, key: Digit) -> bool {
        let Some(tail) = self.tail.take() else { return false };
        if key == Digit::POUND {
            return now <= tail.pound_until;
        }
        let trails = key.is_decimal() && tail.digits_until.is_some_and(|until| now <= until);
        if trails {
            self.tail = Some(self.tail_after_last_digit(now));
        }
        trails
    }

    /// A key press for the entry.
    pub fn handle_digit(&mut self, now: Instant, key: Digit) -> Pressed {
        if key == Digit::STAR {
            self.forget();
            return Pressed::Cleared;
        }
        if key == Digit::POUND {
            return if self.typed.is_empty() { Pressed::Nothing } else { Pressed::Complete(self.take()) };
        }
        if !key.is_decimal() {
            return Pressed::Meaningless;
        }
        if self.typed.is_empty() {
            // The whole room at once: growth would leave copies behind (see `Secret::push`).
            self.typed = Secret::with_capacity(self.digits_max);
        }
        self.typed.push(key);
        self.last_digit_at = Some(now);
        if self.typed.len() < self.digits_max {
            return Pressed::Typing;
        }
        self.tail = Some(self.tail_after_last_digit(now));
        Pressed::Complete(self.take())
    }

    /// When the pause after the last digit ends the entry.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last_digit_at.map(|at| at + self.pauses.between_digits)
    }

    /// The pause has ended the entry: what was typed.
    pub fn end_by_pause(&mut self, now: Instant) -> Secret {
        self.tail = Some(Tail { pound_until: now + self.pauses.swallow_pound, digits_until: None });
        self.take()
    }

    fn tail_after_last_digit(&self, now: Instant) -> Tail {
        Tail { pound_until: now + self.pauses.swallow_pound, digits_until: Some(now + self.pauses.overrun) }
    }

    fn take(&mut self) -> Secret {
        self.last_digit_at = None;
        std::mem::take(&mut self.typed)
    }

    fn forget(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses {
        between_digits: Duration::from_secs(5),
        swallow_pound: Duration::from_secs(2),
        overrun: Duration::from_secs(1),
    };

    fn key(name: char) -> Digit {
        Digit::from_char(name).unwrap()
    }

    /// Presses keys 200 ms apart and tells what became of each: `.` typing, `c` cleared, `[1234567]` complete, `0` nothing
    /// typed, `?` meaningless, `-` swallowed.
    struct Hand {
        collector: Collector,
        now: Instant,
    }

    impl Hand {
        fn new(digits_max: usize) -> Hand {
            let mut collector = Collector::new(PAUSES);
            collector.begin(digits_max);
            Hand { collector, now: Instant::now() }
        }

        fn press(&mut self, keys: &str) -> String {
            let mut told = String::new();
            for name in keys.chars() {
                self.pause(200);
                if self.collector.swallows(self.now, key(name)) {
                    told.push('-');
                    continue;
                }
                match self.collector.handle_digit(self.now, key(name)) {
                    Pressed::Typing => told.push('.'),
                    Pressed::Cleared => told.push('c'),
                    Pressed::Complete(entry) => told.push_str(&format!("[{}]", entry.expose())),
                    Pressed::Nothing => told.push('0'),
                    Pressed::Meaningless => told.push('?'),
                }
            }
            told
        }

        fn pause(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }
    }

    #[test]
    fn complete_at_the_last_digit_or_at_pound() {
        assert_eq!(Hand::new(7).press("1234567"), "......[1234567]");
        assert_eq!(Hand::new(12).press("86421#"), ".....[86421]");
        assert_eq!(Hand::new(7).press("#"), "0");
    }

    #[test]
    fn the_pound_that_follows_is_swallowed_once_and_for_two_seconds() {
        assert_eq!(Hand::new(7).press("1234567##"), "......[1234567]-0");
        let mut hand = Hand::new(7);
        hand.press("1234567");
        hand.pause(1_800);
        assert_eq!(hand.press("#"), "-");
        let mut hand = Hand::new(7);
        hand.press("1234567");
        hand.pause(1_801);
        assert_eq!(hand.press("#"), "0");
    }

    #[test]
    fn a_pound_that_ended_an_entry_leaves_no_tail() {
        assert_eq!(Hand::new(12).press("86421##"), ".....[86421]0");
        assert_eq!(Hand::new(7).press("123#4"), "...[123].");
    }

    #[test]
    fn a_bounced_key_is_no_new_entry() {
        assert_eq!(Hand::new(7).press("12334567#"), "......[1233456]--");
        // The tail reaches as long as the keys come quickly.
        assert_eq!(Hand::new(7).press("1234567890123#1"), "......[1234567]-------.");
        let mut hand = Hand::new(7);
        hand.press("1234567");
        hand.pause(900);
        assert_eq!(hand.press("1"), ".", "after a second it is a new entry");
    }

    #[test]
    fn a_key_with_another_meaning_ends_the_tail() {
        assert_eq!(Hand::new(7).press("1234567*#"), "......[1234567]c0");
        assert_eq!(Hand::new(7).press("1234567*1#"), "......[1234567]c.[1]");
    }

    #[test]
    fn star_clears_and_letters_mean_nothing() {
        assert_eq!(Hand::new(7).press("12*3A4#"), "..c.?.[34]");
    }

    #[test]
    fn a_pause_ends_the_entry_and_a_late_pound_is_swallowed() {
        let mut hand = Hand::new(12);
        assert_eq!(hand.collector.poll_timeout(), None);
        hand.press("8642");
        assert_eq!(hand.collector.poll_timeout(), Some(hand.now + PAUSES.between_digits));
        hand.now += PAUSES.between_digits;
        assert_eq!(hand.collector.end_by_pause(hand.now).expose(), "8642");
        assert_eq!(hand.collector.poll_timeout(), None);
        assert_eq!(hand.press("#"), "-");
        assert_eq!(hand.press("#"), "0");
        // A digit after a pause is a new entry, however soon.
        hand.press("8");
        hand.now += PAUSES.between_digits;
        hand.collector.end_by_pause(hand.now);
        assert_eq!(hand.press("7"), ".");
    }

    #[test]
    fn a_new_entry_starts_empty_and_keeps_the_tail_of_the_last() {
        let mut hand = Hand::new(7);
        hand.press("1234567");
        hand.collector.begin(12);
        assert!(hand.collector.is_empty());
        assert_eq!(hand.press("#86421#"), "-.....[86421]");
    }

    #[test]
    fn nothing_typed_is_printed() {
        let mut hand = Hand::new(12);
        hand.press("864299");
        let shown = format!("{:?}", hand.collector);
        assert!(shown.contains("Secret(***)"), "{shown}");
        assert_eq!(format!("{:?}", Pressed::Complete(Secret::new("8642"))), "Complete(Secret(***))");
    }
}
