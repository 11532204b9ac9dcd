//! Who is here, and where: waiting in the lobby, or in the meeting. Keeps its counts and the lobby's alarms, so that
//! nothing has to look through three thousand callers to answer a question.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::interface::Timer;
use crate::words::ids::CallKey;

/// The callers of one room.
#[derive(Debug, Default)]
pub struct Roster {
    people: BTreeMap<CallKey, Person>,
    participants: usize,
    leaders: usize,
    /// Who waits, the longest wait first.
    waiting: BTreeSet<(Instant, CallKey)>,
    alarms: BTreeSet<(Instant, Timer)>,
}

#[derive(Debug)]
struct Person {
    place: Place,
    muted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting { since: Instant, patience_at: Option<Instant>, timeout_at: Instant },
    In { leader: bool },
}

/// Where somebody was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    Waiting,
    In { leader: bool },
}

impl Roster {
    /// How many are here.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// How many are in the meeting.
    pub fn participants(&self) -> usize {
        self.participants
    }

    /// How many of those are leaders.
    pub fn leaders(&self) -> usize {
        self.leaders
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn contains(&self, call: CallKey) -> bool {
        self.people.contains_key(&call)
    }

    /// Where this caller is.
    pub fn seat(&self, call: CallKey) -> Option<Seat> {
        self.people.get(&call).map(|person| person.place.seat())
    }

    /// Since when this caller waits, where he does.
    pub fn waits_since(&self, call: CallKey) -> Option<Instant> {
        match self.people.get(&call)?.place {
            Place::Waiting { since, .. } => Some(since),
            Place::In { .. } => None,
        }
    }

    /// All that wait, the longest wait first.
    pub fn who_waits(&self) -> Vec<CallKey> {
        self.waiting.iter().map(|(_, call)| *call).collect()
    }

    /// Who has waited longest.
    pub fn longest_waiting(&self) -> Option<CallKey> {
        self.waiting.first().map(|(_, call)| *call)
    }

    /// All that are in the meeting.
    pub fn who_is_in(&self) -> Vec<CallKey> {
        let is_in = |(call, person): (&CallKey, &Person)| matches!(person.place, Place::In { .. }).then_some(*call);
        self.people.iter().filter_map(is_in).collect()
    }

    /// All that are in and lead not, and whether they are muted.
    pub fn who_may_be_muted(&self) -> impl Iterator<Item = (CallKey, bool)> {
        self.people
            .iter()
            .filter(|(_, person)| person.place == Place::In { leader: false })
            .map(|(&call, person)| (call, person.muted))
    }

    /// He waits from now on: a newcomer, or one who was in. Who waits already goes on waiting.
    pub fn wait(&mut self, now: Instant, call: CallKey, patience: Option<Duration>, timeout: Duration) {
        let muted = match self.people.get(&call) {
            Some(Person { place: Place::Waiting { .. }, .. }) => return,
            Some(person) => person.muted,
            None => false,
        };
        self.remove(call);
        let (patience_at, timeout_at) = (patience.map(|after| now + after), now + timeout);
        let place = Place::Waiting { since: now, patience_at, timeout_at };
        self.people.insert(call, Person { place, muted });
        self.waiting.insert((now, call));
        self.alarms.extend(patience_at.map(|at| (at, Timer::Patience(call))));
        self.alarms.insert((timeout_at, Timer::LobbyTimeout(call)));
    }

    /// He is in from now on. `false`: he does not wait here.
    pub fn let_in(&mut self, call: CallKey) -> bool {
        let Some(person) = self.people.get_mut(&call) else {
            return false;
        };
        let Place::Waiting { .. } = person.place else {
            return false;
        };
        let waited = std::mem::replace(&mut person.place, Place::In { leader: false });
        self.forget_wait(call, waited);
        self.participants += 1;
        true
    }

    /// He leads from now on. `false`: he is not in, or leads already.
    pub fn make_leader(&mut self, call: CallKey) -> bool {
        match self.people.get_mut(&call).map(|person| &mut person.place) {
            Some(Place::In { leader }) if !*leader => {
                *leader = true;
                self.leaders += 1;
                true
            }
            _ => false,
        }
    }

    /// Mutes or unmutes him. `false`: he is not here, or was so already.
    pub fn mute(&mut self, call: CallKey, muted: bool) -> bool {
        self.people.get_mut(&call).is_some_and(|person| std::mem::replace(&mut person.muted, muted) != muted)
    }

    pub fn is_muted(&self, call: CallKey) -> bool {
        self.people.get(&call).is_some_and(|person| person.muted)
    }

    /// He is gone. Where he was, if he was here.
    pub fn remove(&mut self, call: CallKey) -> Option<Seat> {
        let place = self.people.remove(&call)?.place;
        match place {
            Place::Waiting { .. } => self.forget_wait(call, place),
            Place::In { leader } => {
                self.participants -= 1;
                self.leaders -= usize::from(leader);
            }
        }
        Some(place.seat())
    }

    /// All are gone. Who they were.
    pub fn clear(&mut self) -> Vec<CallKey> {
        std::mem::take(self).people.into_keys().collect()
    }

    /// The lobby's next alarm.
    pub fn next_alarm(&self) -> Option<(Instant, Timer)> {
        self.alarms.first().copied()
    }

    /// He has had his word of patience; when the next is due.
    pub fn snooze(&mut self, call: CallKey, next: Option<Instant>) {
        let Some(Person { place: Place::Waiting { patience_at, .. }, .. }) = self.people.get_mut(&call) else {
            return;
        };
        let before = std::mem::replace(patience_at, next);
        if let Some(before) = before {
            self.alarms.remove(&(before, Timer::Patience(call)));
        }
        self.alarms.extend(next.map(|at| (at, Timer::Patience(call))));
    }

    /// The lobby lets people wait for this long, counted from when each of them came.
    pub fn set_lobby_timeout(&mut self, timeout: Duration) {
        for (&call, person) in &mut self.people {
            if let Place::Waiting { since, timeout_at, .. } = &mut person.place {
                self.alarms.remove(&(*timeout_at, Timer::LobbyTimeout(call)));
                *timeout_at = *since + timeout;
                self.alarms.insert((*timeout_at, Timer::LobbyTimeout(call)));
            }
        }
    }

    fn forget_wait(&mut self, call: CallKey, place: Place) {
        if let Place::Waiting { since, patience_at, timeout_at } = place {
            self.waiting.remove(&(since, call));
            if let Some(at) = patience_at {
                self.alarms.remove(&(at, Timer::Patience(call)));
            }
            self.alarms.remove(&(timeout_at, Timer::LobbyTimeout(call)));
        }
    }
}

impl Place {
    fn seat(self) -> Seat {
        match self {
            Place::Waiting { .. } => Seat::Waiting,
            Place::In { leader } => Seat::In { leader },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const PATIENCE: Option<Duration> = Some(MINUTE);
    const TIMEOUT: Duration = Duration::from_secs(3600);
    const ANNA: CallKey = CallKey(1);
    const BEN: CallKey = CallKey(2);

    #[test]
    fn a_seat_from_the_lobby_to_the_door() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.wait(start, ANNA, PATIENCE, TIMEOUT);
        assert_eq!(roster.seat(ANNA), Some(Seat::Waiting));
        assert_eq!(roster.next_alarm(), Some((start + MINUTE, Timer::Patience(ANNA))));
        assert!(!roster.make_leader(ANNA), "nobody leads from the lobby");
        assert!(roster.let_in(ANNA));
        assert!(!roster.let_in(ANNA));
        assert_eq!(roster.next_alarm(), None, "who is in has no alarm of the lobby");
        assert!(roster.make_leader(ANNA));
        assert!(!roster.make_leader(ANNA));
        assert_eq!((roster.participants(), roster.leaders(), roster.waiting()), (1, 1, 0));
        assert_eq!(roster.remove(ANNA), Some(Seat::In { leader: true }));
        assert_eq!(roster.remove(ANNA), None);
        assert_eq!((roster.participants(), roster.leaders(), roster.len()), (0, 0, 0));
    }

    #[test]
    fn the_longest_wait_comes_first_and_waiting_again_changes_nothing() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.wait(start, BEN, PATIENCE, TIMEOUT);
        roster.wait(start + MINUTE, ANNA, PATIENCE, TIMEOUT);
        roster.wait(start + TIMEOUT, BEN, PATIENCE, TIMEOUT);
        assert_eq!(roster.who_waits(), [BEN, ANNA]);
        roster.let_in(BEN);
        roster.wait(start + TIMEOUT, BEN, PATIENCE, TIMEOUT);
        assert_eq!(roster.who_waits(), [ANNA, BEN], "back from the meeting the wait begins anew");
        assert_eq!(roster.participants(), 0);
    }

    #[test]
    fn a_word_of_patience_is_due_again() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.wait(start, ANNA, PATIENCE, TIMEOUT);
        roster.snooze(ANNA, Some(start + 2 * MINUTE));
        assert_eq!(roster.next_alarm(), Some((start + 2 * MINUTE, Timer::Patience(ANNA))));
        roster.snooze(ANNA, None);
        assert_eq!(roster.next_alarm(), Some((start + TIMEOUT, Timer::LobbyTimeout(ANNA))));
        roster.remove(ANNA);
        assert_eq!(roster.next_alarm(), None);
    }

    #[test]
    fn muted_stays_muted_on_the_way_back_to_the_lobby() {
        let start = Instant::now();
        let mut roster = Roster::default();
        roster.wait(start, ANNA, PATIENCE, TIMEOUT);
        roster.let_in(ANNA);
        assert!(roster.mute(ANNA, true));
        assert!(!roster.mute(ANNA, true));
        roster.wait(start, ANNA, PATIENCE, TIMEOUT);
        assert!(roster.is_muted(ANNA));
        assert!(!roster.mute(BEN, true), "not here");
    }
}
