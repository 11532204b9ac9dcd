//! Rows in memory: gone with the process. For trials, the demonstration and tests, and the plainest statement of what the
//! other backends must do.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};

use super::backend::{Answer, Backend, Change, Enabling, Judge, KeptPin, NewPin, NewUser, RightPin};
use super::budget::{self, Budget, BudgetCount, Charge, Clear, KNOWN_CALLERS_MAX};
use super::contract::{AuditEntry, Identity, Page, Timestamp, User, UserChange};
use super::store::CONFERENCE_ID_RESTS;
use crate::words::answer::{Announcements, Conference};
use crate::words::ids::{ConferenceId, ConferenceKey, UserKey};

/// Lines of the audit that are kept here; a process that lives long must not grow by them.
const AUDIT_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    /// By identity, so that lists come in its order.
    users: BTreeMap<Identity, UserRow>,
    conferences: HashMap<ConferenceId, ConferenceRow>,
    retired: HashMap<ConferenceId, Timestamp>,
    settings: BTreeMap<String, String>,
    budgets: BTreeMap<(Budget, String), BudgetCount>,
    known_callers: HashMap<(UserKey, String), Timestamp>,
    audit: Vec<AuditEntry>,
    facts: BTreeMap<String, String>,
    /// Keys are never used again.
    last_key: u64,
}

#[derive(Debug)]
struct UserRow {
    user: User,
    pin: Option<NewPin>,
    generation: i64,
}

#[derive(Debug, Clone)]
struct ConferenceRow {
    key: ConferenceKey,
    organizer: Identity,
}

impl MemoryBackend {
    pub fn new() -> MemoryBackend {
        MemoryBackend::default()
    }

    /// A panic elsewhere leaves whole rows behind: each function changes them only when nothing can go wrong any more.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One transaction: the rows are locked while it runs, and it never waits.
fn at_once<'a, T: Send + 'a>(work: impl FnOnce() -> T + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move { Ok(work()) })
}

impl Rows {
    fn next_key(&mut self) -> u64 {
        self.last_key = self.last_key.saturating_add(1);
        self.last_key
    }

    fn is_taken(&self, id: &ConferenceId, now: Timestamp) -> bool {
        let rests = |at: &Timestamp| *at > now.before(CONFERENCE_ID_RESTS);
        self.conferences.contains_key(id) || self.retired.get(id).is_some_and(rests)
    }

    fn write_audit(&mut self, audit: &AuditEntry) {
        if self.audit.len() >= AUDIT_MAX {
            self.audit.remove(0);
        }
        self.audit.push(audit.clone());
    }

    fn forget_callers_and_counts(&mut self, organizer: UserKey) {
        self.known_callers.retain(|(user, _), _| *user != organizer);
        self.budgets.retain(|_, count| count.organizer != Some(organizer));
    }

    fn remember_caller(&mut self, organizer: UserKey, caller: &str, now: Timestamp) {
        self.known_callers.insert((organizer, caller.to_owned()), now);
        let of_his = |(user, _): &(UserKey, String)| *user == organizer;
        let known = u32::try_from(self.known_callers.keys().filter(|key| of_his(key)).count()).unwrap_or(u32::MAX);
        if known > KNOWN_CALLERS_MAX {
            let oldest = self.known_callers.iter().filter(|(key, _)| of_his(key)).min_by_key(|(_, at)| **at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.known_callers.remove(&key);
            }
        }
    }

    /// Changes an enabled user and writes the audit, or says why not.
    fn change(&mut self, identity: &Identity, audit: &AuditEntry, change: impl FnOnce(&mut UserRow)) -> Change {
        let Some(row) = self.users.get_mut(identity) else {
            return Change::NoUser;
        };
        if !row.user.enabled {
            return Change::NotEnabled;
        }
        change(row);
        let user = row.user.clone();
        self.write_audit(audit);
        Change::Done(user)
    }
}

impl Backend for MemoryBackend {
    fn find_conference(&self, id: ConferenceId) -> Answer<'_, Option<Conference>> {
        at_once(move || {
            let rows = self.rows();
            let conference = rows.conferences.get(&id)?;
            let user = &rows.users.get(&conference.organizer)?.user;
            Some(Conference {
                key: conference.key,
                organizer: user.key,
                organizer_identity: user.identity.to_string(),
                allow_anonymous_start: user.allow_anonymous_start,
                lobby_policy: user.lobby_policy,
                announcements: Announcements::default(),
            })
        })
    }

    fn find_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        caller: &'a str,
        known_since: Timestamp,
    ) -> Answer<'a, Option<KeptPin>> {
        at_once(move || {
            let rows = self.rows();
            let conference = rows.conferences.values().find(|row| row.key == conference)?;
            let row = rows.users.get(&conference.organizer)?;
            let pin = row.pin.as_ref()?;
            let known = rows.known_callers.get(&(row.user.key, caller.to_owned()));
            Some(KeptPin {
                organizer: row.user.key,
                organizer_identity: row.user.identity.to_string(),
                hash: pin.hash.clone(),
                digits: pin.digits,
                generation: row.generation,
                known_caller: known.is_some_and(|at| *at > known_since),
            })
        })
    }

    fn charge<'a>(&'a self, now: Timestamp, charges: &'a [Charge], judge: &'a Judge<'a>) -> Answer<'a, Vec<u32>> {
        at_once(move || {
            let mut rows = self.rows();
            rows.budgets.retain(|_, row| budget::standing(row.budget, row.count, row.ends_at, now) > 0);
            let key = |charge: &Charge| (charge.budget, charge.subject.clone());
            let counts: Vec<u32> =
                charges.iter().map(|charge| rows.budgets.get(&key(charge)).map_or(0, |row| row.count)).collect();
            if judge(&counts) {
                for charge in charges {
                    let row = rows.budgets.entry(key(charge)).or_insert_with(|| BudgetCount {
                        budget: charge.budget,
                        subject: charge.subject.clone(),
                        organizer: charge.organizer,
                        count: 0,
                        ends_at: now.after(charge.budget.window()),
                    });
                    row.count = row.count.saturating_add(1);
                }
            }
            counts
        })
    }

    fn pin_was_right<'a>(&'a self, now: Timestamp, right: &'a RightPin<'a>) -> Answer<'a, bool> {
        at_once(move || {
            let mut rows = self.rows();
            let holds = |row: &UserRow| {
                row.user.key == right.organizer && row.generation == right.generation && row.pin.is_some()
            };
            if !rows.users.values().any(holds) {
                return false;
            }
            for charge in right.charges {
                if let Some(row) = rows.budgets.get_mut(&(charge.budget, charge.subject.clone())) {
                    row.count = row.count.saturating_sub(1);
                }
            }
            rows.budgets.retain(|_, row| row.count > 0);
            if let Some(caller) = right.caller {
                rows.remember_caller(right.organizer, caller, now);
            }
            true
        })
    }

    fn user<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<User>> {
        at_once(move || self.rows().users.get(identity).map(|row| row.user.clone()))
    }

    fn users<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<User>> {
        at_once(move || {
            let search = page.search.as_deref().map(str::to_lowercase);
            let found = |user: &User| {
                search.as_deref().is_none_or(|search| {
                    user.identity.as_str().contains(search)
                        || user.name.to_lowercase().contains(search)
                        || user.conference_id.is_some_and(|id| id.as_str().contains(search))
                })
            };
            let after = |user: &User| page.after.as_deref().is_none_or(|after| user.identity.as_str() > after);
            let rows = self.rows();
            let users = rows.users.values().map(|row| &row.user);
            let shown = users.filter(|user| (user.enabled || page.disabled) && after(user) && found(user));
            shown.take(usize::try_from(page.limit).unwrap_or(usize::MAX)).cloned().collect()
        })
    }

    fn has_users(&self) -> Answer<'_, bool> {
        at_once(|| !self.rows().users.is_empty())
    }

    fn kept_pin<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<(String, u32)>> {
        at_once(move || {
            let rows = self.rows();
            let pin = rows.users.get(identity)?.pin.as_ref()?;
            Some((pin.hash.clone(), pin.digits))
        })
    }

    fn enable<'a>(&'a self, new: &'a NewUser, audit: &'a AuditEntry) -> Answer<'a, Enabling> {
        at_once(move || {
            let mut rows = self.rows();
            let before = rows.users.get(&new.identity).map(|row| row.user.clone());
            if let Some(user) = before.clone().filter(|user| user.enabled) {
                return Enabling::Already(user);
            }
            if rows.is_taken(&new.conference_id, audit.at) {
                return Enabling::ConferenceIdTaken;
            }
            let conference = ConferenceRow { key: ConferenceKey(rows.next_key()), organizer: new.identity.clone() };
            let mut user = before.unwrap_or_else(|| User {
                key: UserKey(rows.next_key()),
                identity: new.identity.clone(),
                name: String::new(),
                enabled: true,
                conference_id: None,
                allow_anonymous_start: new.allow_anonymous_start,
                lobby_policy: new.lobby_policy,
                created_at: audit.at,
                pin_set_at: None,
            });
            if !new.name.is_empty() {
                user.name.clone_from(&new.name);
            }
            user.enabled = true;
            user.conference_id = Some(new.conference_id);
            user.pin_set_at = Some(audit.at);
            let generation = rows.users.get(&new.identity).map_or(0, |row| row.generation).saturating_add(1);
            let row = UserRow { user: user.clone(), pin: Some(new.pin.clone()), generation };
            rows.users.insert(new.identity.clone(), row);
            rows.retired.remove(&new.conference_id);
            rows.conferences.insert(new.conference_id, conference);
            rows.write_audit(audit);
            Enabling::New(user)
        })
    }

    fn disable<'a>(&'a self, identity: &'a Identity, audit: &'a AuditEntry) -> Answer<'a, Change> {
        at_once(move || {
            let mut rows = self.rows();
            let change = rows.change(identity, audit, |row| {
                row.user.enabled = false;
                row.user.conference_id = None;
                row.user.pin_set_at = None;
                row.pin = None;
            });
            if let Change::Done(user) = &change {
                rows.forget_callers_and_counts(user.key);
                let Rows { conferences, retired, .. } = &mut *rows;
                conferences.retain(|id, conference| {
                    let keep = conference.organizer != *identity;
                    if !keep {
                        retired.insert(*id, audit.at);
                    }
                    keep
                });
            }
            change
        })
    }

    fn change_user<'a>(
        &'a self,
        identity: &'a Identity,
        change: &'a UserChange,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change> {
        at_once(move || {
            self.rows().change(identity, audit, |row| {
                if let Some(name) = &change.name {
                    row.user.name.clone_from(name);
                }
                row.user.allow_anonymous_start = change.allow_anonymous_start.unwrap_or(row.user.allow_anonymous_start);
                row.user.lobby_policy = change.lobby_policy.unwrap_or(row.user.lobby_policy);
            })
        })
    }

    fn replace_pin<'a>(&'a self, identity: &'a Identity, pin: &'a NewPin, audit: &'a AuditEntry) -> Answer<'a, Change> {
        at_once(move || {
            let mut rows = self.rows();
            let change = rows.change(identity, audit, |row| {
                row.pin = Some(pin.clone());
                row.generation = row.generation.saturating_add(1);
                row.user.pin_set_at = Some(audit.at);
            });
            if let Change::Done(user) = &change {
                rows.forget_callers_and_counts(user.key);
            }
            change
        })
    }

    fn replace_conference_id<'a>(
        &'a self,
        identity: &'a Identity,
        id: ConferenceId,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change> {
        at_once(move || {
            let mut rows = self.rows();
            let before = rows.users.get(identity).and_then(|row| row.user.conference_id);
            if before.is_some() && rows.is_taken(&id, audit.at) {
                return Change::ConferenceIdTaken;
            }
            let change = rows.change(identity, audit, |row| row.user.conference_id = Some(id));
            if let (Change::Done(_), Some(before)) = (&change, before) {
                if let Some(conference) = rows.conferences.remove(&before) {
                    rows.conferences.insert(id, conference);
                }
                rows.retired.remove(&id);
                rows.retired.insert(before, audit.at);
            }
            change
        })
    }

    fn settings(&self) -> Answer<'_, Vec<(String, String)>> {
        at_once(|| self.rows().settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn put_setting<'a>(&'a self, key: &'a str, value: &'a str, audit: &'a AuditEntry) -> Answer<'a, ()> {
        at_once(move || {
            let mut rows = self.rows();
            rows.settings.insert(key.to_owned(), value.to_owned());
            rows.write_audit(audit);
        })
    }

    fn budgets(&self, now: Timestamp) -> Answer<'_, Vec<BudgetCount>> {
        at_once(move || {
            let rows = self.rows();
            let stands = |row: &&BudgetCount| budget::standing(row.budget, row.count, row.ends_at, now) > 0;
            rows.budgets.values().filter(stands).cloned().collect()
        })
    }

    fn clear_budgets<'a>(&'a self, clear: Clear<'a>, audit: &'a AuditEntry) -> Answer<'a, u64> {
        at_once(move || {
            let mut rows = self.rows();
            let before = rows.budgets.len();
            rows.budgets.retain(|_, row| match clear {
                Clear::All => false,
                Clear::Organizer(organizer) => row.organizer != Some(organizer),
                Clear::Subject(subject) => row.subject != subject,
            });
            rows.write_audit(audit);
            u64::try_from(before.saturating_sub(rows.budgets.len())).unwrap_or(u64::MAX)
        })
    }

    fn audit(&self, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        at_once(move || self.rows().audit.iter().rev().take(limit).cloned().collect())
    }

    fn keep_fact<'a>(&'a self, name: &'a str, value: &'a str) -> Answer<'a, String> {
        at_once(move || self.rows().facts.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }

    fn fact<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>> {
        at_once(move || self.rows().facts.get(name).cloned())
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}
