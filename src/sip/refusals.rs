//! Requests that were refused: all are counted, few are told.

use std::collections::BTreeMap;
use std::time::Instant;

use super::event::RefusedRequest;
use super::load::Shed;
use super::telling::Telling;

/// What is alike for whoever reads the log. (A status is one of ours: there are some twenty.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Its source is in no trunk.
    Stranger,
    /// It can't be read.
    Unreadable,
    Shed(Shed),
    Status(u16),
}

/// How many requests were refused, for `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// By the status of the answer; `None` where none was sent.
    pub by_status: BTreeMap<Option<u16>, u64>,
    /// New INVITEs of trunks for which there was no room.
    pub shed: BTreeMap<Shed, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Refused {
    pub counts: Refusals,
    telling: Telling<Kind>,
}

impl Refused {
    /// Counts one, and gives what is to be told of it. `describe` is only asked where something is.
    pub fn note(
        &mut self,
        now: Instant,
        kind: Kind,
        status: Option<u16>,
        describe: impl FnOnce() -> RefusedRequest,
    ) -> Option<RefusedRequest> {
        let count = |count: &mut u64| *count = count.saturating_add(1);
        count(self.counts.by_status.entry(status).or_default());
        if let Kind::Shed(why) = kind {
            count(self.counts.shed.entry(why).or_default());
        }
        let suppressed = self.telling.tell(now, kind)?;
        Some(RefusedRequest { status, suppressed, ..describe() })
    }
}
