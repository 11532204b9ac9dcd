//! The statements that several operations have in common, each on the connection of the operation's transaction; and what
//! a row means.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::credentials::backend::Change;
use crate::credentials::budget::{self, Charge, KNOWN_CALLERS_MAX};
use crate::credentials::contract::{AuditEntry, Identity, StoreError, Timestamp, User};
use crate::credentials::settings::lobby_policy_from;
use crate::credentials::store::CONFERENCE_ID_RESTS;
use crate::words::answer::LobbyPolicy;
use crate::words::ids::{ConferenceId, UserKey};

pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        StoreError::Unavailable(one_line(&error))
    }
}

/// A row that can't be what we wrote.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Unavailable(format!("it is damaged: {what}"))
}

pub(super) fn key_from(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| damaged(column))
}

/// A key as a row has it.
pub(super) fn key_to(key: u64) -> i64 {
    // Keys come from the database, and are far below.
    i64::try_from(key).unwrap_or(i64::MAX)
}

pub(super) fn policy_from(row: &SqliteRow) -> Result<LobbyPolicy, StoreError> {
    lobby_policy_from(row.try_get("lobby_policy")?).ok_or_else(|| damaged("lobby_policy"))
}

pub(super) fn user_from(row: &SqliteRow) -> Result<User, StoreError> {
    let id: Option<&str> = row.try_get("conference_id")?;
    Ok(User {
        key: UserKey(key_from(row, "user_key")?),
        identity: row.try_get::<&str, _>("identity")?.parse().map_err(|_| damaged("identity"))?,
        name: row.try_get("name")?,
        enabled: row.try_get("enabled")?,
        conference_id: id.map(|id| id.parse().map_err(|_| damaged("conference_id"))).transpose()?,
        allow_anonymous_start: row.try_get("allow_anonymous_start")?,
        lobby_policy: policy_from(row)?,
        created_at: Timestamp(row.try_get("created_at")?),
        pin_set_at: row.try_get::<Option<i64>, _>("pin_set_at")?.map(Timestamp),
    })
}

pub(super) async fn user_by_identity(
    connection: &mut SqliteConnection,
    identity: &Identity,
) -> Result<Option<User>, StoreError> {
    let row = sqlx::query("SELECT * FROM shown_users WHERE identity = $1")
        .bind(identity.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(user_from).transpose()
}

/// An enabled user, or why nothing is changed.
pub(super) async fn enabled_user(
    connection: &mut SqliteConnection,
    identity: &Identity,
) -> Result<Result<User, Change>, StoreError> {
    Ok(match user_by_identity(connection, identity).await? {
        None => Err(Change::NoUser),
        Some(user) if !user.enabled => Err(Change::NotEnabled),
        Some(user) => Ok(user),
    })
}

/// The user as he is after a change, in the same transaction.
pub(super) async fn changed(connection: &mut SqliteConnection, identity: &Identity) -> Result<Change, StoreError> {
    let user = user_by_identity(connection, identity).await?;
    Ok(user.map_or(Change::NoUser, Change::Done))
}

pub(super) async fn write_audit(connection: &mut SqliteConnection, audit: &AuditEntry) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, who, came_from, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(audit.at.0)
        .bind(&audit.actor.who)
        .bind(&audit.actor.from)
        .bind(&audit.action)
        .bind(&audit.subject)
        .bind(&audit.detail)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn is_taken(
    connection: &mut SqliteConnection,
    id: &ConferenceId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let taken: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM conferences WHERE conference_id = $1)
              + (SELECT count(*) FROM retired_conference_ids WHERE conference_id = $1 AND retired_at > $2)",
    )
    .bind(id.as_str())
    .bind(now.before(CONFERENCE_ID_RESTS).0)
    .fetch_one(connection)
    .await?;
    Ok(taken > 0)
}

/// Retires conference IDs of this organizer; those that have rested are forgotten.
pub(super) async fn retire(
    connection: &mut SqliteConnection,
    organizer: UserKey,
    personal_only: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM retired_conference_ids WHERE retired_at <= $1")
        .bind(now.before(CONFERENCE_ID_RESTS).0)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO retired_conference_ids (conference_id, organizer, retired_at)
         SELECT conference_id, organizer, $1 FROM conferences WHERE organizer = $2 AND (personal OR NOT $3)",
    )
    .bind(now.0)
    .bind(key_to(organizer.0))
    .bind(personal_only)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn forget_callers_and_counts(
    connection: &mut SqliteConnection,
    organizer: UserKey,
) -> Result<(), StoreError> {
    for sql in ["DELETE FROM known_callers WHERE organizer = $1", "DELETE FROM budgets WHERE organizer = $1"] {
        sqlx::query(sql).bind(key_to(organizer.0)).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn remember_caller(
    connection: &mut SqliteConnection,
    organizer: UserKey,
    caller: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO known_callers (organizer, caller, right_at) VALUES ($1, $2, $3)
         ON CONFLICT (organizer, caller) DO UPDATE SET right_at = excluded.right_at",
    )
    .bind(key_to(organizer.0))
    .bind(caller)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM known_callers WHERE organizer = $1 AND caller NOT IN
             (SELECT caller FROM known_callers WHERE organizer = $1 ORDER BY right_at DESC, caller LIMIT $2)",
    )
    .bind(key_to(organizer.0))
    .bind(i64::from(KNOWN_CALLERS_MAX))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn count_of(
    connection: &mut SqliteConnection,
    charge: &Charge,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let row = sqlx::query("SELECT entries, ends_at FROM budgets WHERE budget = $1 AND subject = $2")
        .bind(charge.budget.name())
        .bind(&charge.subject)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(0) };
    let count = u32::try_from(row.try_get::<i64, _>("entries")?).unwrap_or(u32::MAX);
    Ok(budget::standing(charge.budget, count, Timestamp(row.try_get("ends_at")?), now))
}

pub(super) fn search_text(identity: &Identity, name: &str) -> String {
    format!("{identity} {}", name.to_lowercase())
}

/// A pattern that finds the text anywhere; its own `%` and `_` mean themselves.
pub(super) fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
