//! What every part of the endpoint may add to: messages, events and deadlines.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event::SipEvent;
use super::flow::{Flow, Transmit};
use super::timers::{Timer, TimerKey, TimerQueue};

/// The timing of RFC 3261 table 4.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub t1: Duration,
    pub t2: Duration,
    pub t4: Duration,
}

impl Timing {
    /// 64·T1: how long anything is tried.
    pub fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// The next distance of a retransmission that doubles up to T2.
    pub fn backed_off(&self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2)
    }
}

#[derive(Debug)]
pub(super) struct Outbox {
    pub timing: Timing,
    pub timers: TimerQueue,
    pub transmits: VecDeque<Transmit>,
    pub events: VecDeque<SipEvent>,
}

impl Outbox {
    pub fn new(timing: Timing) -> Outbox {
        Outbox { timing, timers: TimerQueue::default(), transmits: VecDeque::new(), events: VecDeque::new() }
    }

    pub fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push_back(Transmit { flow, bytes });
    }

    pub fn event(&mut self, event: SipEvent) {
        self.events.push_back(event);
    }

    pub fn set(&mut self, now: Instant, after: Duration, timer: Timer) -> Option<TimerKey> {
        Some(self.timers.set(now + after, timer))
    }

    /// For what is forgotten then, and can as well be forgotten a little later.
    pub fn set_in_row(&mut self, now: Instant, after: Duration, timer: Timer) -> Option<TimerKey> {
        Some(self.timers.set_in_row(now + after, timer))
    }
}
