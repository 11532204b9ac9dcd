//! The wall clock in nanoseconds: the kernel stamps received packets with it, so everything that is compared with such a
//! stamp is told by it too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    pub fn now() -> Stamp {
        Stamp::from_duration(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    pub fn from_duration(since_1970: Duration) -> Stamp {
        Stamp(u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Zero where `earlier` is later.
    pub fn since(self, earlier: Stamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
