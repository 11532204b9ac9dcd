//! What a place for rows must do. Every function is one transaction: all of it happens, or nothing does. No rule lives
//! here; the rules are in [`super::store`], and a backend can be written by who knows only its database.

use std::fmt;
use std::pin::Pin;

use super::budget::{BudgetCount, Charge, Clear};
use super::contract::{AuditEntry, Identity, Page, StoreError, Timestamp, User, UserChange};
use crate::words::answer::{Conference, LobbyPolicy};
use crate::words::ids::{ConferenceId, ConferenceKey, UserKey};

/// What a backend answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A PIN as it is kept, with what is needed to try it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPin {
    pub organizer: UserKey,
    pub organizer_identity: String,
    /// A PHC text.
    pub hash: String,
    pub digits: u32,
    /// Goes up with each reset: what was checked is still what holds.
    pub generation: i64,
    /// The caller gave this organizer's PIN rightly not long ago.
    pub known_caller: bool,
}

impl fmt::Debug for KeptPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptPin").field("organizer", &self.organizer).finish_non_exhaustive()
    }
}

/// A new PIN, hashed.
#[derive(Clone)]
pub struct NewPin {
    pub hash: String,
    pub digits: u32,
}

impl fmt::Debug for NewPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPin").finish_non_exhaustive()
    }
}

/// A user to be enabled.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub identity: Identity,
    pub name: String,
    pub conference_id: ConferenceId,
    pub pin: NewPin,
    pub allow_anonymous_start: bool,
    pub lobby_policy: LobbyPolicy,
}

/// What became of enabling.
#[derive(Debug)]
pub enum Enabling {
    New(User),
    Already(User),
    /// In use, or retired less than [`super::store::CONFERENCE_ID_RESTS`] ago. Nothing was done.
    ConferenceIdTaken,
}

/// What became of a change to one user. In all cases but the first nothing was done.
#[derive(Debug)]
pub enum Change {
    Done(User),
    NoUser,
    NotEnabled,
    ConferenceIdTaken,
}

/// A right PIN: what is to be undone and remembered.
#[derive(Debug)]
pub struct RightPin<'a> {
    pub organizer: UserKey,
    pub generation: i64,
    /// Taken before the PIN was looked at; given back.
    pub charges: &'a [Charge],
    /// The caller to be known from now on. `None`: withheld.
    pub caller: Option<&'a str>,
}

/// Whether a charge is taken, by the counts before it, in the order of the charges.
pub type Judge<'a> = dyn Fn(&[u32]) -> bool + Send + Sync + 'a;

/// A place for the store's rows.
pub trait Backend: fmt::Debug + Send + Sync {
    fn find_conference(&self, id: ConferenceId) -> Answer<'_, Option<Conference>>;

    /// The PIN that starts this conference. `known_since`: a right PIN of this caller before that does not count any more.
    fn find_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        caller: &'a str,
        known_since: Timestamp,
    ) -> Answer<'a, Option<KeptPin>>;

    /// Reads the counts of all charges, and adds one to each if the judge says so; in one transaction, so that of many at
    /// once each sees the others'. The counts before are the answer. Counts whose window has ended are thrown away.
    fn charge<'a>(&'a self, now: Timestamp, charges: &'a [Charge], judge: &'a Judge<'a>) -> Answer<'a, Vec<u32>>;

    /// Gives the charges back and remembers the caller, if the PIN's generation still is the one that was checked;
    /// otherwise false, and nothing is done.
    fn pin_was_right<'a>(&'a self, now: Timestamp, right: &'a RightPin<'a>) -> Answer<'a, bool>;

    fn user<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<User>>;
    fn users<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<User>>;
    /// Whether there ever was a user.
    fn has_users(&self) -> Answer<'_, bool>;
    /// Digits of the user's PIN and its hash. `None`: no such user, or disabled.
    fn kept_pin<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<(String, u32)>>;

    fn enable<'a>(&'a self, user: &'a NewUser, audit: &'a AuditEntry) -> Answer<'a, Enabling>;
    /// Retires his conference IDs, and forgets his PIN, his known callers and his counts.
    fn disable<'a>(&'a self, identity: &'a Identity, audit: &'a AuditEntry) -> Answer<'a, Change>;
    fn change_user<'a>(
        &'a self,
        identity: &'a Identity,
        change: &'a UserChange,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change>;
    /// Forgets his known callers and his counts too: what was guessed or given away is worth nothing any more.
    fn replace_pin<'a>(&'a self, identity: &'a Identity, pin: &'a NewPin, audit: &'a AuditEntry) -> Answer<'a, Change>;
    /// Retires the old one.
    fn replace_conference_id<'a>(
        &'a self,
        identity: &'a Identity,
        id: ConferenceId,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change>;

    fn settings(&self) -> Answer<'_, Vec<(String, String)>>;
    fn put_setting<'a>(&'a self, key: &'a str, value: &'a str, audit: &'a AuditEntry) -> Answer<'a, ()>;

    fn budgets(&self, now: Timestamp) -> Answer<'_, Vec<BudgetCount>>;
    /// How many counts were cleared.
    fn clear_budgets<'a>(&'a self, clear: Clear<'a>, audit: &'a AuditEntry) -> Answer<'a, u64>;

    /// The newest first.
    fn audit(&self, limit: u32) -> Answer<'_, Vec<AuditEntry>>;

    /// Keeps a fact of the store itself, if it is not kept yet; what is kept is the answer.
    fn keep_fact<'a>(&'a self, name: &'a str, value: &'a str) -> Answer<'a, String>;
    fn fact<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>>;

    /// Nothing is asked any more.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
