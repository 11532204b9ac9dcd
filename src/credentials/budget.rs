//! Budgets: how many wrong entries who may make, across calls, restarts and machines.
//!
//! An attacker wants tries; or he wants the organizer to have none. The second is why no budget here is one number that
//! anybody can burn:
//!
//! | budget | counts wrong … | of one … | in | limit |
//! | --- | --- | --- | --- | --- |
//! | `caller-conference-ids` | conference IDs | caller and trunk | 1 h | 20 |
//! | `trunk-conference-ids` | conference IDs | trunk | 1 h | 300 |
//! | `caller-pins` | PINs | caller and trunk | 24 h | 20, for everybody |
//! | `organizer-pins` | PINs | organizer and trunk | 24 h | 50; 300 for a clean caller |
//! | `trunk-pins` | PINs | trunk | 24 h | 500; 3,000 for a clean caller |
//! | `same-pin` | the same PIN, on whatever meetings | PIN | 24 h | 20; 120 for a clean caller |
//!
//! - A **known** caller (number and trunk from which this organizer's PIN was right in the last 90 days) is stopped by his
//!   own `caller-pins` alone: nobody can burn a budget for him without calling from his number. Who does forge it still has
//!   20 tries a day.
//! - A **clean** caller has had at most one wrong PIN in 24 h: an organizer on a strange telephone, and also each line of
//!   an attacker, but that one only twice. A hundred lines that try day and night use up at most 50 + 2 · 100 tries of one
//!   organizer's 300: who dials in meanwhile is still let try. Only with hundreds of forged numbers, fresh ones each day,
//!   can a stranger's way be closed; the known callers', another trunk, and the administrator's start stay open.
//! - What it costs: at the worst 300 tries a day and trunk on one organizer, 0.3 % of the PINs of five digits. Shorter PINs
//!   have smaller budgets in proportion ([`organizer_limit`]).
//! - The window begins with the first wrong entry and ends by itself. A right entry is not counted. What is refused is not
//!   counted either, so the rows are bounded by the budgets themselves, whatever an attacker forges.
//! - A used-up `same-pin` is not shown to the caller: his entry is wrong, whatever it is. To say "too many tries" would
//!   tell him that others tried it; and the organizer who mistyped into it may type again.
//! - A used-up budget of conference IDs takes the further tries of a call away. A right one is found nevertheless.

use std::fmt;
use std::time::Duration;

use super::contract::{Origin, Timestamp};
use super::settings::Settings;
use crate::words::ids::UserKey;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Wrong PINs in the window with which a caller still counts as clean: everybody mistypes once.
pub const CLEAN_CALLER_WRONG_MAX: u32 = 1;

/// By how much a shared budget is larger for clean callers.
pub const CLEAN_CALLER_FACTOR: u32 = 6;

/// How long a number is known after a right PIN, and how many numbers of an organizer are kept.
pub const KNOWN_CALLER_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);
pub const KNOWN_CALLERS_MAX: u32 = 20;

/// The share of all PINs of a length that may be tried on one organizer in a window, as one in this many.
const PINS_PER_TRY: u64 = 2_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    CallerConferenceIds,
    TrunkConferenceIds,
    CallerPins,
    OrganizerPins,
    TrunkPins,
    SamePin,
}

impl Budget {
    pub const ALL: [Budget; 6] = [
        Budget::CallerConferenceIds,
        Budget::TrunkConferenceIds,
        Budget::CallerPins,
        Budget::OrganizerPins,
        Budget::TrunkPins,
        Budget::SamePin,
    ];

    /// Its name in rows, logs and lists.
    pub fn name(self) -> &'static str {
        match self {
            Budget::CallerConferenceIds => "caller-conference-ids",
            Budget::TrunkConferenceIds => "trunk-conference-ids",
            Budget::CallerPins => "caller-pins",
            Budget::OrganizerPins => "organizer-pins",
            Budget::TrunkPins => "trunk-pins",
            Budget::SamePin => "same-pin",
        }
    }

    pub fn from_name(name: &str) -> Option<Budget> {
        Budget::ALL.into_iter().find(|budget| budget.name() == name)
    }

    pub fn window(self) -> Duration {
        match self {
            Budget::CallerConferenceIds | Budget::TrunkConferenceIds => HOUR,
            _ => DAY,
        }
    }

    /// The limit for everybody, as the organization has it.
    pub fn limit(self, settings: &Settings) -> u32 {
        settings.budget(self)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One wrong entry to be counted on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub budget: Budget,
    /// Whose: readable (a number, a trunk), but for `same-pin`, which has a keyed hash.
    pub subject: String,
    /// For `organizer-pins`: so that it can be cleared by the organizer.
    pub organizer: Option<UserKey>,
    pub limit: u32,
}

/// One count, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetCount {
    pub budget: Budget,
    pub subject: String,
    pub organizer: Option<UserKey>,
    pub count: u32,
    pub ends_at: Timestamp,
}

/// The count that still holds at `now`: none once its window has ended. An end that lies more than two windows ahead was
/// written by a clock that went wrong since, and does not hold either; a clock set back by less loses no count.
pub fn standing(budget: Budget, count: u32, ends_at: Timestamp, now: Timestamp) -> u32 {
    let window = i64::try_from(budget.window().as_millis()).unwrap_or(i64::MAX);
    let believable = ends_at.0 <= now.0.saturating_add(window.saturating_mul(2));
    if ends_at > now && believable { count } else { 0 }
}

/// Which counts are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clear<'a> {
    All,
    Organizer(UserKey),
    /// All with this subject, as the list shows it.
    Subject(&'a str),
}

/// Whether a PIN is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Check,
    /// It is not, and counts as wrong: this same PIN was tried on too many meetings.
    TakenAsWrong,
    /// It is not, and is not counted: no tries left.
    Refuse(Budget),
}

/// In the place of a number that nobody told us.
pub const WITHHELD: &str = "withheld";

/// The subject of a caller: with his trunk, for a number means nothing without who brought it.
pub fn caller_subject(origin: &Origin) -> String {
    let caller = if origin.caller().is_empty() { WITHHELD } else { origin.caller() };
    format!("{caller} by {}", origin.trunk())
}

/// What a wrong conference ID counts on.
pub fn conference_id_charges(origin: &Origin, settings: &Settings) -> Vec<Charge> {
    let charge = |budget: Budget, subject| Charge { budget, subject, organizer: None, limit: budget.limit(settings) };
    vec![
        charge(Budget::CallerConferenceIds, caller_subject(origin)),
        charge(Budget::TrunkConferenceIds, origin.trunk().to_owned()),
    ]
}

/// Whether a call that typed a wrong conference ID may try another.
pub fn judge_conference_id(charges: &[Charge], counts: &[u32]) -> bool {
    charges.iter().zip(counts).all(|(charge, count)| *count < charge.limit)
}

/// Whose PIN is tried, by whom.
#[derive(Debug, Clone, Copy)]
pub struct PinTry<'a> {
    pub organizer: UserKey,
    pub organizer_identity: &'a str,
    /// Digits of the organizer's PIN.
    pub digits: u32,
    pub origin: &'a Origin,
    /// The PIN's keyed hash.
    pub fingerprint: &'a str,
}

/// What a wrong PIN counts on. The caller's own comes first.
pub fn pin_charges(entry: &PinTry<'_>, settings: &Settings) -> Vec<Charge> {
    let trunk = entry.origin.trunk();
    let charge = |budget: Budget, subject| Charge { budget, subject, organizer: None, limit: budget.limit(settings) };
    let organizer = Charge {
        budget: Budget::OrganizerPins,
        subject: format!("{} by {trunk}", entry.organizer_identity),
        organizer: Some(entry.organizer),
        limit: organizer_limit(settings, entry.digits),
    };
    vec![
        charge(Budget::CallerPins, caller_subject(entry.origin)),
        organizer,
        charge(Budget::TrunkPins, trunk.to_owned()),
        charge(Budget::SamePin, entry.fingerprint.to_owned()),
    ]
}

/// The limit of one organizer: never more than one in 2,000 of the PINs of his length, so that a PIN of four digits is not
/// ten times as easy to hit.
pub fn organizer_limit(settings: &Settings, digits: u32) -> u32 {
    let share = 10_u64.saturating_pow(digits) / PINS_PER_TRY;
    let share = u32::try_from(share).unwrap_or(u32::MAX).max(1);
    Budget::OrganizerPins.limit(settings).min(share)
}

/// Whether this PIN is looked at, by the counts before it.
pub fn judge_pin(charges: &[Charge], counts: &[u32], known: bool) -> Verdict {
    let count = |budget| {
        let of_it = |(charge, _): &(&Charge, &u32)| charge.budget == budget;
        charges.iter().zip(counts).find(of_it).map(|(charge, count)| (charge.limit, *count))
    };
    let caller_wrong = match count(Budget::CallerPins) {
        Some((limit, wrong)) if wrong < limit => wrong,
        _ => return Verdict::Refuse(Budget::CallerPins),
    };
    if known {
        return Verdict::Check;
    }
    let factor = if caller_wrong <= CLEAN_CALLER_WRONG_MAX { CLEAN_CALLER_FACTOR } else { 1 };
    let used_up = |budget| count(budget).is_none_or(|(limit, count)| count >= limit.saturating_mul(factor));
    if used_up(Budget::OrganizerPins) {
        Verdict::Refuse(Budget::OrganizerPins)
    } else if used_up(Budget::TrunkPins) {
        Verdict::Refuse(Budget::TrunkPins)
    } else if used_up(Budget::SamePin) {
        Verdict::TakenAsWrong
    } else {
        Verdict::Check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin_try(origin: &Origin) -> PinTry<'_> {
        PinTry { organizer: UserKey(1), organizer_identity: "anna@example.com", digits: 5, origin, fingerprint: "f" }
    }

    fn judge(caller: u32, organizer: u32, trunk: u32, same: u32, known: bool) -> Verdict {
        let origin = Origin::new("+4930", "carrier");
        let charges = pin_charges(&pin_try(&origin), &Settings::default());
        judge_pin(&charges, &[caller, organizer, trunk, same], known)
    }

    #[test]
    fn a_caller_with_nothing_left_is_refused_even_if_known() {
        assert_eq!(judge(19, 0, 0, 0, false), Verdict::Check);
        assert_eq!(judge(20, 0, 0, 0, false), Verdict::Refuse(Budget::CallerPins));
        assert_eq!(judge(20, 0, 0, 0, true), Verdict::Refuse(Budget::CallerPins));
    }

    #[test]
    fn a_burnt_organizer_is_open_to_clean_and_to_known_callers() {
        assert_eq!(judge(2, 49, 0, 0, false), Verdict::Check);
        assert_eq!(judge(2, 50, 0, 0, false), Verdict::Refuse(Budget::OrganizerPins));
        assert_eq!(judge(1, 50, 0, 0, false), Verdict::Check);
        assert_eq!(judge(1, 299, 0, 0, false), Verdict::Check);
        assert_eq!(judge(0, 300, 0, 0, false), Verdict::Refuse(Budget::OrganizerPins));
        assert_eq!(judge(2, 300, 0, 0, true), Verdict::Check);
        assert_eq!(judge(2, 0, 500, 0, false), Verdict::Refuse(Budget::TrunkPins));
        assert_eq!(judge(0, 0, 2_999, 0, false), Verdict::Check);
        assert_eq!(judge(0, 0, 3_000, 0, true), Verdict::Check);
    }

    #[test]
    fn one_pin_on_many_meetings_is_taken_as_wrong() {
        assert_eq!(judge(2, 0, 0, 20, false), Verdict::TakenAsWrong);
        assert_eq!(judge(0, 0, 0, 119, false), Verdict::Check);
        assert_eq!(judge(0, 0, 0, 120, false), Verdict::TakenAsWrong);
        assert_eq!(judge(0, 0, 0, 120, true), Verdict::Check);
        assert_eq!(judge(2, 50, 0, 20, false), Verdict::Refuse(Budget::OrganizerPins));
    }

    /// The promise of the module's text, with every line as greedy as it can be.
    #[test]
    fn a_hundred_lines_leave_the_organizer_a_try() {
        let settings = Settings::default();
        let (mut organizer, mut trunk) = (0, 0);
        let mut lines = [0_u32; 100];
        for _ in 0..1_000 {
            for (number, wrong) in lines.iter_mut().enumerate() {
                let origin = Origin::new(&format!("+49{number}"), "carrier");
                let charges = pin_charges(&pin_try(&origin), &settings);
                if judge_pin(&charges, &[*wrong, organizer, trunk, 0], false) == Verdict::Check {
                    *wrong += 1;
                    organizer += 1;
                    trunk += 1;
                }
            }
        }
        assert!((200..=250).contains(&organizer), "{organizer}");
        assert_eq!(judge(0, organizer, trunk, 0, false), Verdict::Check);
        assert_eq!(judge(1, organizer, trunk, 0, false), Verdict::Check, "and one slip of his finger is forgiven");
    }

    #[test]
    fn short_pins_have_small_budgets() {
        let limits: Vec<_> = [4, 5, 6, 12].map(|digits| organizer_limit(&Settings::default(), digits)).into();
        assert_eq!(limits, [5, 50, 50, 50]);
    }

    #[test]
    fn conference_ids_stop_at_either_limit() {
        let charges = conference_id_charges(&Origin::new("", "carrier"), &Settings::default());
        assert_eq!(charges[0].subject, "withheld by carrier");
        assert!(judge_conference_id(&charges, &[19, 299]));
        assert!(!judge_conference_id(&charges, &[20, 0]));
        assert!(!judge_conference_id(&charges, &[0, 300]));
    }

    #[test]
    fn windows_end_and_survive_a_clock_that_is_set_back() {
        let (minute, hour) = (60_000, 3_600_000);
        let ends_at = Timestamp(10 * hour);
        let standing = |now| standing(Budget::CallerConferenceIds, 7, ends_at, Timestamp(now));
        assert_eq!(standing(9 * hour + minute), 7);
        assert_eq!(standing(10 * hour), 0);
        assert_eq!(standing(8 * hour), 7, "set back an hour at the window's beginning");
        assert_eq!(standing(7 * hour), 0, "the clock was ahead when this was written");
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for budget in Budget::ALL {
            assert_eq!(Budget::from_name(budget.name()), Some(budget));
        }
    }
}
