//! All deadlines of the endpoint in one ordered queue, so that "what is due?" and "when next?" cost O(log n).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::transaction::{ClientKey, ClientTimer, ServerTimer, TransactionNumber};
use crate::words::ids::SessionKey;

/// How far apart the rows of deadlines are. A call leaves two transactions behind, which nobody misses 64·T1 later: at some
/// hundred calls a second their ends would be most of what one wakes up for.
const ROW: Duration = Duration::from_millis(250);

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Server { transaction: TransactionNumber, timer: ServerTimer },
    Client { transaction: ClientKey, timer: ClientTimer },
    Session { session: SessionKey, timer: SessionTimer },
}

/// The deadlines of a session, beside those of its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTimer {
    /// UAS: nobody answered the call in all this time.
    Unanswered,
    /// UAC: nothing was heard of the called side in all this time (as a proxy's timer C, RFC 3261 section 16.6).
    Proceeding,
    /// The 200 is sent once more (RFC 3261 section 13.3.1.4).
    ResendOk,
    /// 64·T1 after a 200 without ACK.
    GiveUpOk,
    /// We refresh the session (RFC 4028 section 10).
    Refresh,
    /// Nobody refreshed it (RFC 4028 section 10).
    Expire,
}

/// A pending deadline, by which it can be cancelled. Cancelling one that has passed does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey {
    at: Instant,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    queue: BTreeMap<TimerKey, Timer>,
    last_number: u64,
    /// Of the first deadline that came in a row.
    first_row: Option<Instant>,
}

impl TimerQueue {
    pub fn set(&mut self, at: Instant, timer: Timer) -> TimerKey {
        self.last_number = self.last_number.wrapping_add(1);
        let key = TimerKey { at, number: self.last_number };
        self.queue.insert(key, timer);
        key
    }

    /// A deadline at which something is forgotten, no sooner than `at` and not much later: those of a moment come in a row,
    /// for which one wakes up once.
    pub fn set_in_row(&mut self, at: Instant, timer: Timer) -> TimerKey {
        let first = *self.first_row.get_or_insert(at);
        let rows = at.saturating_duration_since(first).as_nanos().div_ceil(ROW.as_nanos());
        let row = first.checked_add(ROW.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX)));
        self.set(row.map_or(at, |row| row.max(at)), timer)
    }

    pub fn cancel(&mut self, slot: &mut Option<TimerKey>) {
        if let Some(key) = slot.take() {
            self.queue.remove(&key);
        }
    }

    /// The earliest deadline and what it is for.
    pub fn next(&self) -> Option<(Instant, Timer)> {
        self.queue.first_key_value().map(|(key, timer)| (key.at, *timer))
    }

    /// Takes the earliest deadline out if it has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn timer(session: u64) -> Timer {
        Timer::Session { session: SessionKey(session), timer: SessionTimer::Expire }
    }

    #[test]
    fn deadlines_come_in_order_and_those_of_one_instant_in_the_order_they_were_set() {
        let start = Instant::now();
        let mut queue = TimerQueue::default();
        let at = |ms| start + Duration::from_millis(ms);
        queue.set(at(30), timer(1));
        queue.set(at(10), timer(2));
        let mut gone = Some(queue.set(at(10), timer(3)));
        queue.set(at(10), timer(4));
        queue.cancel(&mut gone);
        assert_eq!(gone, None);
        assert_eq!(queue.next(), Some((at(10), timer(2))));
        assert_eq!(queue.pop_due(at(9)), None);
        assert_eq!(queue.pop_due(at(20)), Some(timer(2)));
        assert_eq!(queue.pop_due(at(20)), Some(timer(4)));
        assert_eq!(queue.pop_due(at(20)), None);
        assert_eq!((queue.len(), queue.next()), (1, Some((at(30), timer(1)))));
    }

    #[test]
    fn deadlines_in_a_row_come_together_and_none_too_soon() {
        let start = Instant::now();
        let mut queue = TimerQueue::default();
        let at = |ms| start + Duration::from_millis(ms);
        for ms in [1_000, 1_001, 1_249, 1_250, 1_251, 900] {
            queue.set_in_row(at(ms), timer(ms));
        }
        let due = |queue: &mut TimerQueue, ms| std::iter::from_fn(|| queue.pop_due(at(ms))).count();
        assert_eq!(due(&mut queue, 999), 0);
        assert_eq!(due(&mut queue, 1_249), 2, "the first, and one that lies before all rows");
        assert_eq!(due(&mut queue, 1_250), 3);
        assert_eq!(queue.next(), Some((at(1_500), timer(1_251))));
        // Ten days later the rows still are where they were.
        let late = 864_000_000;
        queue.set_in_row(at(late + 1), timer(7));
        assert_eq!(due(&mut queue, late + 249), 1);
        assert_eq!(queue.next(), Some((at(late + 250), timer(7))));
    }
}
