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
    /// Packets of each caller; `None`: he was not connected when it began.
    packets: Vec<Option<u64>>,
    gaps: Vec<u64>,
    gap_max: Duration,
    late: u64,
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
    /// Of all packets, the share that came more than 20 ms late.
    pub late_share: f64,
}

impl Window {
    pub fn new(begins_at: Stamp, measured: Vec<bool>) -> Window {
        let packets = measured.into_iter().map(|measured| measured.then_some(0)).collect();
        Window { begins_at, ends_at: None, packets, gaps: vec![0; COLUMNS], gap_max: Duration::ZERO, late: 0 }
    }

    /// A packet came; `before`: when the one before it had come.
    pub fn count(&mut self, caller: usize, at: Stamp, before: Option<Stamp>) {
        let outside = at < self.begins_at || self.ends_at.is_some_and(|end| at >= end);
        let Some(Some(packets)) = self.packets.get_mut(caller) else {
            return;
        };
        if outside {
            return;
        }
        *packets += 1;
        if let Some(before) = before.filter(|before| *before >= self.begins_at) {
            self.count_gap(at.since(before));
        }
    }

    fn count_gap(&mut self, gap: Duration) {
        let column = (gap.as_nanos() / COLUMN.as_nanos()) as usize;
        self.gaps[column.min(COLUMNS - 1)] += 1;
        self.gap_max = self.gap_max.max(gap);
        self.late += u64::from(gap > LATE);
    }

    /// `last_heard`: of each caller.
    pub fn delivery(mut self, last_heard: impl Iterator<Item = Option<Stamp>>) -> Delivery {
        let ends_at = self.ends_at.unwrap_or_else(Stamp::now);
        let silences: Vec<Duration> = last_heard
            .zip(&self.packets)
            .filter(|(_, packets)| packets.is_some())
            .map(|(heard_at, _)| ends_at.since(heard_at.unwrap_or(self.begins_at)))
            .collect();
        // Who hears nothing at all has no gap that ends; the end of the measurement ends it.
        silences.into_iter().filter(|silence| *silence > LATE).for_each(|silence| self.count_gap(silence));

        let seconds = ends_at.since(self.begins_at).as_secs_f64();
        let packets: Vec<u64> = self.packets.iter().copied().flatten().collect();
        let all: u64 = packets.iter().sum();
        let gaps: u64 = self.gaps.iter().sum();
        Delivery {
            seconds,
            packets_min: packets.iter().min().map_or(0.0, |min| *min as f64 / seconds),
            packets_mean: all as f64 / seconds / packets.len().max(1) as f64,
            // A column's upper end may be above everything in it.
            gap_ms_p999: self.gap_below_which(0.999).min(milliseconds(self.gap_max)),
            gap_ms_max: milliseconds(self.gap_max),
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
                late_share: mean(one.late_share, other.late_share),
            }
        }))
    }

    /// Packets that came, of 50 a second to each.
    pub fn share(&self) -> f64 {
        self.packets_mean * FRAME.as_secs_f64()
    }
}
