//! Points of the callers' scripts that others wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fixture::MarkReference;

/// Every caller sets these without being told: when the call is answered,
pub const ANSWERED: &str = "answered";
/// when his steps are done,
pub const DONE: &str = "done";
/// and when the call is over.
pub const ENDED: &str = "ended";

/// Which caller reached what, and when first.
#[derive(Debug, Default)]
pub struct Marks {
    reached: BTreeMap<(usize, String), Duration>,
}

impl Marks {
    pub fn set(&mut self, caller: usize, name: &str, now: Duration) {
        self.reached.entry((caller, name.to_owned())).or_insert(now);
    }

    /// When the last of all who are meant reached it.
    pub fn reached(&self, mark: &MarkReference) -> Option<Duration> {
        let mut last = Duration::ZERO;
        for caller in &mark.callers {
            last = last.max(*self.reached.get(&(*caller, mark.name.clone()))?);
        }
        Some(last)
    }
}
