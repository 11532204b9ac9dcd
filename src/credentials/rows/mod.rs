//! The rows of users, conferences, PINs and counts. Every function is one transaction: all of it happens, or nothing
//! does. No rule lives here; the rules are in [`super::store`].
//!
//! | file | its idea |
//! | --- | --- |
//! | [`calls`] | what calls ask and leave behind: conferences, PINs to try, counts of wrong entries |
//! | [`users`] | enabling, disabling, changing |
//! | `common` | statements that several of them have in common |

pub mod calls;
pub(super) mod common;
pub mod users;

use std::fmt;

use super::budget::Charge;
use super::contract::{Actor, AuditEntry, Identity, StoreError, Timestamp, User};
use super::database::{Ask, Database, sql};
use crate::words::answer::LobbyPolicy;
use crate::words::ids::{ConferenceId, UserKey};
use common::write_audit;

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
    /// Empty: as it was, where he was here before.
    pub name: String,
    /// `None`: as it was.
    pub email: Option<String>,
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

/// See the module.
#[derive(Debug, Clone)]
pub struct Rows {
    pub(super) database: Database,
}

impl Rows {
    pub fn new(database: Database) -> Rows {
        Rows { database }
    }

    pub async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = (&self.database).all(sql("SELECT key, value FROM settings ORDER BY key")).await?;
        rows.iter().map(|row| Ok((row.get("key")?, row.get("value")?))).collect()
    }

    pub async fn put_setting(&self, key: &str, value: &str, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.database.change("settings").await?;
        let put = "INSERT INTO settings (key, value) VALUES ($1, $2)
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        transaction.execute(sql(put).bind(key).bind(value)).await?;
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await
    }

    /// Keeps a fact of the store itself, if it is not kept yet; what is kept is the answer.
    pub async fn keep_fact(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let mut transaction = self.database.change("facts").await?;
        let put = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        transaction.execute(sql(put).bind(name).bind(value)).await?;
        let kept = transaction.one(sql("SELECT value FROM facts WHERE name = $1").bind(name)).await?.get("value")?;
        transaction.commit().await?;
        Ok(kept)
    }

    pub async fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let row = (&self.database).optional(sql("SELECT value FROM facts WHERE name = $1").bind(name)).await?;
        row.map(|row| row.get("value")).transpose()
    }
}

/// An audit row, before it is written.
pub(super) fn audit_entry(
    at: Timestamp,
    actor: &Actor,
    action: &str,
    subject: impl ToString,
    detail: impl Into<String>,
) -> AuditEntry {
    let (action, subject) = (action.to_owned(), subject.to_string());
    AuditEntry { at, actor: actor.clone(), action, subject, detail: detail.into() }
}
