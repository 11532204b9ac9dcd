//! What came to the callers in a measurement: how many packets of fifty a second, and the gaps between them. Counts can
//! be right while the voice breaks; the gaps tell.

use std::time::Duration;

use anteroom::words::media::FRAME;
use serde::Serialize;

use super::clock::{Stamp, milliseconds};

/// The width of a histogram's column, and the columns: gaps of up to two seconds.
const COLUMN: Duration = Duration::from_micros(100);
const COLUMNS: usize = 20_000;

/// A packet that comes this long after the one before is 20 ms late.
const LATE: Duration = Duration::from_millis(40);

/// A measurement that goes on.
pub struct Window {
    begins_at: Stamp,
    pub ends_at: Option<Stamp>,
    /// What came to each caller; `None`: he was not connected when it began.
    heard: Vec<Option<Heard>>,
    gaps: Vec<u64>,
    gap_max: Duration,
    late: u64,
}

/// What came to one caller.
#[derive(Clone, Copy, Default)]
struct Heard {
    packets: u64,
    /// When the first and the last came.
    from: Option<Stamp>,
    until: Option<Stamp>,
}

/// Its outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    pub seconds: f64,
    /// Packets a second, of the caller who got fewest and of all.
    pub packets_min: f64,
    pub packets_mean: f64,
    pub gap_ms_p999: f64,
    pub gap_ms_max: f64,
    /// Of the packets that were due between the first and the last of each caller, or up to the measurement's end where nothing
    /// came any more: how many came. (In ten seconds there are 499 to 501 ticks.)
    pub share: f64,
    /// Of all packets, the share that came more than 20 ms late.
    pub late_share: f64,
}

impl Window {
    pub fn new(begins_at: Stamp, measured: Vec<bool>) -> Window {
        let heard = measured.into_iter().map(|measured| measured.then(Heard::default)).collect();
        Window { begins_at, ends_at: None, heard, gaps: vec![0; COLUMNS], gap_max: Duration::ZERO, late: 0 }
    }

    /// A packet came.
    pub fn count(&mut self, caller: usize, at: Stamp) {
        let outside = at < self.begins_at || self.ends_at.is_some_and(|end| at >= end);
        let Some(Some(heard)) = self.heard.get_mut(caller) else {
            return;
        };
        if outside {
            return;
        }
        heard.packets += 1;
        heard.from.get_or_insert(at);
        if let Some(before) = heard.until.replace(at) {
            self.count_gap(at.since(before));
        }
    }

    fn count_gap(&mut self, gap: Duration) {
        let column = (gap.as_nanos() / COLUMN.as_nanos()) as usize;
        self.gaps[column.min(COLUMNS - 1)] += 1;
        self.gap_max = self.gap_max.max(gap);
        self.late += u64::from(gap > LATE);
    }

    pub fn delivery(mut self) -> Delivery {
        let ends_at = self.ends_at.unwrap_or_else(Stamp::now);
        let heard: Vec<Heard> = self.heard.iter().copied().flatten().collect();
        let mut due = 0.0;
        for one in &heard {
            let mut until = one.until.unwrap_or(self.begins_at);
            let silence = ends_at.since(until);
            if silence > LATE {
                // Who hears nothing any more has no gap that ends; the end of the measurement ends it.
                self.count_gap(silence);
                until = ends_at;
            }
            due += 1.0 + until.since(one.from.unwrap_or(self.begins_at)).as_secs_f64() / FRAME.as_secs_f64();
        }
        let seconds = ends_at.since(self.begins_at).as_secs_f64();
        let all: u64 = heard.iter().map(|one| one.packets).sum();
        let gaps: u64 = self.gaps.iter().sum();
        Delivery {
            seconds,
            packets_min: heard.iter().map(|one| one.packets).min().map_or(0.0, |min| min as f64 / seconds),
            packets_mean: all as f64 / seconds / heard.len().max(1) as f64,
            // A column's upper end may be above everything in it.
            gap_ms_p999: self.gap_below_which(0.999).min(milliseconds(self.gap_max)),
            gap_ms_max: milliseconds(self.gap_max),
            share: all as f64 / f64::max(due, 1.0),
            late_share: self.late as f64 / gaps.max(1) as f64,
        }
    }

    /// The upper end of the column in which this share of the gaps is reached, in milliseconds.
    fn gap_below_which(&self, share: f64) -> f64 {
        let all: u64 = self.gaps.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut counted = 0;
        let reached = self.gaps.iter().position(|gaps| {
            counted += gaps;
            counted >= wanted
        });
        reached.map_or(0.0, |column| (column + 1) as f64 * milliseconds(COLUMN))
    }
}

impl Delivery {
    /// Two measurements of the same thing as one: the worst of what must not happen, the mean of the rest.
    pub fn merged(all: &[Delivery]) -> Option<Delivery> {
        let first = all.first()?.clone();
        Some(all.iter().skip(1).fold(first, |one, other| {
            let (left, right) = (one.seconds, other.seconds);
            let mean = |of_one: f64, of_other: f64| (of_one * left + of_other * right) / (left + right);
            Delivery {
                seconds: left + right,
                packets_min: one.packets_min.min(other.packets_min),
                packets_mean: mean(one.packets_mean, other.packets_mean),
                gap_ms_p999: one.gap_ms_p999.max(other.gap_ms_p999),
                gap_ms_max: one.gap_ms_max.max(other.gap_ms_max),
                share: mean(one.share, other.share),
                late_share: mean(one.late_share, other.late_share),
            }
        }))
    }

    /// Of the packets that were due, the share that came in time.
    pub fn on_time(&self) -> f64 {
        self.share * (1.0 - self.late_share)
    }
}
