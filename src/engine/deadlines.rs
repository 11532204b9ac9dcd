//! Whose timer is next. Calls and rooms keep their own timers and tell only the earliest; here it is found without
//! asking all of them.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use crate::words::ids::{CallKey, MeetingKey};

/// Who has timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Call(CallKey),
    Room(MeetingKey),
    /// The end of the grace time of a shutdown.
    Shutdown,
}

/// At most one deadline per owner, ordered by time.
#[derive(Debug, Default)]
pub struct Deadlines {
    order: BTreeSet<(Instant, Owner)>,
    of: HashMap<Owner, Instant>,
}

impl Deadlines {
    /// Replaces the owner's deadline; `None` removes it.
    pub fn set(&mut self, owner: Owner, at: Option<Instant>) {
        if self.of.get(&owner).copied() == at {
            return;
        }
        if let Some(old) = self.of.remove(&owner) {
            self.order.remove(&(old, owner));
        }
        if let Some(at) = at {
            self.of.insert(owner, at);
            self.order.insert((at, owner));
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes out one owner whose time has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<Owner> {
        let &(at, owner) = self.order.first().filter(|&&(at, _)| at <= now)?;
        self.order.remove(&(at, owner));
        self.of.remove(&owner);
        Some(owner)
    }

    pub fn len(&self) -> usize {
        self.of.len()
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_is_first_and_a_new_one_replaces_the_old() {
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        let (first, second) = (Owner::Call(CallKey(1)), Owner::Room(MeetingKey(1)));
        let mut deadlines = Deadlines::default();
        deadlines.set(first, Some(after(5)));
        deadlines.set(second, Some(after(3)));
        deadlines.set(first, Some(after(1)));
        assert_eq!(deadlines.next(), Some(after(1)));
        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.pop_due(after(4)), Some(first));
        assert_eq!(deadlines.pop_due(after(4)), Some(second));
        assert!(deadlines.is_empty());
        deadlines.set(first, Some(after(9)));
        deadlines.set(first, None);
        assert_eq!(deadlines.next(), None);
    }
}
