//! The statements that several operations have in common, each in the operation's transaction; and what a row means.

use crate::credentials::budget::KNOWN_CALLERS_MAX;
use crate::credentials::contract::{AuditEntry, Identity, StoreError, Timestamp, User};
use crate::credentials::database::query::read_columns;
use crate::credentials::database::{Ask, Row, Transaction, sql};
use crate::credentials::settings::lobby_policy_from;
use crate::credentials::store::CONFERENCE_ID_RESTS;
use crate::words::answer::LobbyPolicy;
use crate::words::ids::{ConferenceId, UserKey};

read_columns! {
    LobbyPolicy, String, |held| lobby_policy_from(&held);
}

/// A row of `shown_users`.
pub(in crate::credentials) fn user_from(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        key: row.get("user_key")?,
        identity: row.get("identity")?,
        name: row.get("name")?,
        email: row.get("email")?,
        number: row.get("number")?,
        enabled: row.get("enabled")?,
        conference_id: row.get("conference_id")?,
        allow_anonymous_start: row.get("allow_anonymous_start")?,
        lobby_policy: row.get("lobby_policy")?,
        created_at: row.get("created_at")?,
        pin_set_at: row.get("pin_set_at")?,
    })
}

pub(in crate::credentials) async fn user_by_identity(
    ask: &mut impl Ask,
    identity: &Identity,
) -> Result<Option<User>, StoreError> {
    let row = ask.optional(sql("SELECT * FROM shown_users WHERE identity = $1").bind(identity)).await?;
    row.as_ref().map(user_from).transpose()
}

/// The lock of who changes a user.
pub(in crate::credentials) fn user_lock(identity: &Identity) -> String {
    format!("user {identity}")
}

/// An enabled user, or why nothing is changed.
pub(in crate::credentials) async fn enabled_user(
    transaction: &mut Transaction,
    identity: &Identity,
) -> Result<User, StoreError> {
    match user_by_identity(transaction, identity).await? {
        None => Err(StoreError::NoUser(identity.clone())),
        Some(user) if !user.enabled => Err(StoreError::NotEnabled(identity.clone())),
        Some(user) => Ok(user),
    }
}

pub(in crate::credentials) async fn write_audit(
    transaction: &mut Transaction,
    audit: &AuditEntry,
) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO audit (at, who, came_from, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(audit.at)
        .bind(&audit.actor.who)
        .bind(&audit.actor.from)
        .bind(&audit.action)
        .bind(&audit.subject)
        .bind(&audit.detail);
    transaction.execute(insert).await?;
    Ok(())
}

pub(in crate::credentials) async fn is_taken(
    transaction: &mut Transaction,
    id: &ConferenceId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let taken = sql("SELECT (SELECT count(*) FROM conferences WHERE conference_id = $1)
              + (SELECT count(*) FROM retired_conference_ids WHERE conference_id = $1 AND retired_at > $2) AS taken")
    .bind(id)
    .bind(now.before(CONFERENCE_ID_RESTS));
    Ok(transaction.one(taken).await?.get::<i64>("taken")? > 0)
}

/// Retires conference IDs of this organizer.
pub(super) async fn retire(
    transaction: &mut Transaction,
    organizer: UserKey,
    personal_only: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    // One that has rested may have been given to somebody again: it rests anew.
    let retire = sql("INSERT INTO retired_conference_ids (conference_id, organizer, retired_at)
         SELECT conference_id, organizer, $1 FROM conferences WHERE organizer = $2 AND (personal OR NOT $3)
         ON CONFLICT (conference_id) DO UPDATE SET organizer = excluded.organizer, retired_at = excluded.retired_at")
    .bind(now)
    .bind(organizer)
    .bind(personal_only);
    transaction.execute(retire).await?;
    Ok(())
}

pub(super) async fn forget_callers_and_counts(
    transaction: &mut Transaction,
    organizer: UserKey,
) -> Result<(), StoreError> {
    for text in ["DELETE FROM known_callers WHERE organizer = $1", "DELETE FROM budgets WHERE organizer = $1"] {
        transaction.execute(sql(text).bind(organizer)).await?;
    }
    Ok(())
}

pub(super) async fn remember_caller(
    transaction: &mut Transaction,
    organizer: UserKey,
    caller: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let remember = sql("INSERT INTO known_callers (organizer, caller, right_at) VALUES ($1, $2, $3)
         ON CONFLICT (organizer, caller) DO UPDATE SET right_at = excluded.right_at")
    .bind(organizer)
    .bind(caller)
    .bind(now);
    transaction.execute(remember).await?;
    let forget = sql("DELETE FROM known_callers WHERE organizer = $1 AND caller NOT IN
             (SELECT caller FROM known_callers WHERE organizer = $1 ORDER BY right_at DESC, caller LIMIT $2)")
    .bind(organizer)
    .bind(KNOWN_CALLERS_MAX);
    transaction.execute(forget).await?;
    Ok(())
}

/// What a search looks through: upper and lower case are one in all alphabets.
pub(in crate::credentials) fn search_text(parts: &[&str]) -> String {
    parts.join(" ").to_lowercase()
}

/// What is searched for in such a text.
pub(in crate::credentials) fn lowered(text: &str) -> String {
    search_text(&[text])
}
