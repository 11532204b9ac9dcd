//! Rows in one SQLite file: the embedded store. Servers and command lines use it at the same time.
//!
//! - Write-ahead logging: readers never wait for a writer. Writers wait for each other up to `BUSY_MAX`.
//! - A transaction that writes begins as a writer (`BEGIN IMMEDIATE`), so that it never finds out too late that another one
//!   wrote in between.
//! - What an administrator did is on the disk before he is told. A count of wrong entries is safe from a killed process,
//!   and that is enough: losing a second of counts with the mains is no attack.
//! - The SQL is what PostgreSQL understands as well (`$1`, `ON CONFLICT`, `RETURNING`), but for `write`.

mod statements;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row, Sqlite, Transaction};

use super::backend::{Answer, Backend, Change, Enabling, Judge, KeptPin, NewPin, NewUser, RightPin};
use super::budget::{self, Budget, BudgetCount, Charge, Clear};
use super::contract::{Actor, AuditEntry, Identity, OpenError, Page, StoreError, Timestamp, User, UserChange};
use super::settings::lobby_policy_name;
use crate::words::answer::{Announcements, Conference};
use crate::words::ids::{ConferenceId, ConferenceKey, UserKey};
use statements::{
    changed, count_of, damaged, enabled_user, forget_callers_and_counts, is_taken, key_from, key_to, like_pattern,
    one_line, policy_from, remember_caller, retire, search_text, user_by_identity, user_from, write_audit,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long one process waits for another's transaction. Each takes milliseconds; the caller's patience is 5 s.
const BUSY_MAX: Duration = Duration::from_secs(4);

/// Readers at once. A read takes some tens of microseconds.
const READERS: u32 = 4;

/// Two processes that open a new store at once can't both lay its tables; the one that comes second tries again.
const MIGRATION_TRIES: u32 = 5;
const MIGRATION_PAUSE: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub struct SqliteBackend {
    reads: SqlitePool,
    /// Each one connection: writers would only wait for each other.
    counts: SqlitePool,
    changes: SqlitePool,
}

impl SqliteBackend {
    /// Opens the file, or makes it with mode 0600, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<SqliteBackend, OpenError> {
        let refuse = |why: String| OpenError::Database { path: path.to_owned(), why };
        // SQLite gives its two companions (-wal, -shm) the mode of the database.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|error| refuse(error.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(BUSY_MAX)
            .foreign_keys(true)
            .disable_statement_logging();
        let pool = |size, options: SqliteConnectOptions| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(BUSY_MAX)
                .test_before_acquire(false)
                .connect_lazy_with(options)
        };
        let backend = SqliteBackend {
            reads: pool(READERS, options.clone().synchronous(SqliteSynchronous::Normal)),
            counts: pool(1, options.clone().synchronous(SqliteSynchronous::Normal)),
            changes: pool(1, options.synchronous(SqliteSynchronous::Full)),
        };
        backend.migrate().await.map_err(refuse)?;
        Ok(backend)
    }

    async fn migrate(&self) -> Result<(), String> {
        let mut tries = 0;
        loop {
            tries += 1;
            match MIGRATIONS.run(&self.changes).await {
                Ok(()) => return Ok(()),
                Err(MigrateError::VersionMissing(_)) => {
                    return Err("a newer version of anteroom has used it; use that one".to_owned());
                }
                Err(MigrateError::VersionMismatch(version)) => {
                    return Err(format!("its tables are not those of this version (migration {version} differs)"));
                }
                Err(error) if tries >= MIGRATION_TRIES => return Err(one_line(&error)),
                Err(_) => tokio::time::sleep(MIGRATION_PAUSE).await,
            }
        }
    }
}

/// Begins a transaction that writes. The one place where SQLite is not PostgreSQL.
async fn write(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, StoreError> {
    Ok(pool.begin_with("BEGIN IMMEDIATE").await?)
}

impl Backend for SqliteBackend {
    fn find_conference(&self, id: ConferenceId) -> Answer<'_, Option<Conference>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT c.conference_key, u.user_key, u.identity, u.allow_anonymous_start, u.lobby_policy
                 FROM conferences c JOIN users u ON u.user_key = c.organizer
                 WHERE c.conference_id = $1 AND u.enabled",
            )
            .bind(id.as_str())
            .fetch_optional(&self.reads)
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Conference {
                key: ConferenceKey(key_from(&row, "conference_key")?),
                organizer: UserKey(key_from(&row, "user_key")?),
                organizer_identity: row.try_get("identity")?,
                allow_anonymous_start: row.try_get("allow_anonymous_start")?,
                lobby_policy: policy_from(&row)?,
                announcements: Announcements::default(),
            }))
        })
    }

    fn find_pin<'a>(
        &'a self,
        conference: ConferenceKey,
        caller: &'a str,
        known_since: Timestamp,
    ) -> Answer<'a, Option<KeptPin>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT u.user_key, u.identity, u.pin_hash, u.pin_digits, u.pin_generation,
                        (SELECT count(*) FROM known_callers k
                         WHERE k.organizer = u.user_key AND k.caller = $2 AND k.right_at > $3) AS known
                 FROM conferences c JOIN users u ON u.user_key = c.organizer
                 WHERE c.conference_key = $1 AND u.enabled",
            )
            .bind(key_to(conference.0))
            .bind(caller)
            .bind(known_since.0)
            .fetch_optional(&self.reads)
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(KeptPin {
                organizer: UserKey(key_from(&row, "user_key")?),
                organizer_identity: row.try_get("identity")?,
                hash: row.try_get("pin_hash")?,
                digits: u32::try_from(row.try_get::<i64, _>("pin_digits")?).map_err(|_| damaged("pin_digits"))?,
                generation: row.try_get("pin_generation")?,
                known_caller: row.try_get::<i64, _>("known")? > 0,
            }))
        })
    }

    fn charge<'a>(&'a self, now: Timestamp, charges: &'a [Charge], judge: &'a Judge<'a>) -> Answer<'a, Vec<u32>> {
        Box::pin(async move {
            let mut transaction = write(&self.counts).await?;
            let mut counts = Vec::with_capacity(charges.len());
            for charge in charges {
                counts.push(count_of(&mut transaction, charge, now).await?);
            }
            if judge(&counts) {
                sqlx::query("DELETE FROM budgets WHERE ends_at <= $1").bind(now.0).execute(&mut *transaction).await?;
                for (charge, before) in charges.iter().zip(&counts) {
                    let ends_at = now.after(charge.budget.window());
                    // A row whose count does not stand any more begins anew.
                    let sql = if *before == 0 {
                        "INSERT INTO budgets (budget, subject, organizer, entries, ends_at) VALUES ($1, $2, $3, 1, $4)
                         ON CONFLICT (budget, subject) DO UPDATE SET entries = 1, ends_at = excluded.ends_at"
                    } else {
                        "INSERT INTO budgets (budget, subject, organizer, entries, ends_at) VALUES ($1, $2, $3, 1, $4)
                         ON CONFLICT (budget, subject) DO UPDATE SET entries = budgets.entries + 1"
                    };
                    sqlx::query(sql)
                        .bind(charge.budget.name())
                        .bind(&charge.subject)
                        .bind(charge.organizer.map(|organizer| key_to(organizer.0)))
                        .bind(ends_at.0)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
            }
            Ok(counts)
        })
    }

    fn pin_was_right<'a>(&'a self, now: Timestamp, right: &'a RightPin<'a>) -> Answer<'a, bool> {
        Box::pin(async move {
            let mut transaction = write(&self.counts).await?;
            let holds: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM users WHERE user_key = $1 AND pin_generation = $2 AND enabled",
            )
            .bind(key_to(right.organizer.0))
            .bind(right.generation)
            .fetch_one(&mut *transaction)
            .await?;
            if holds == 0 {
                return Ok(false);
            }
            for charge in right.charges {
                for sql in [
                    "UPDATE budgets SET entries = entries - 1 WHERE budget = $1 AND subject = $2 AND entries > 0",
                    "DELETE FROM budgets WHERE budget = $1 AND subject = $2 AND entries <= 0",
                ] {
                    let query = sqlx::query(sql).bind(charge.budget.name()).bind(&charge.subject);
                    query.execute(&mut *transaction).await?;
                }
            }
            if let Some(caller) = right.caller {
                remember_caller(&mut transaction, right.organizer, caller, now).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
    }

    fn user<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<User>> {
        Box::pin(async move {
            let mut connection = self.reads.acquire().await?;
            user_by_identity(&mut connection, identity).await
        })
    }

    fn users<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<User>> {
        Box::pin(async move {
            let pattern = page.search.as_deref().map(like_pattern);
            let rows = sqlx::query(
                r"SELECT * FROM shown_users
                  WHERE (enabled OR $1) AND identity > $2
                    AND ($3 IS NULL OR search_text LIKE $3 ESCAPE '\' OR conference_id LIKE $3 ESCAPE '\')
                  ORDER BY identity LIMIT $4",
            )
            .bind(page.disabled)
            // No identity is empty: all come after it.
            .bind(page.after.as_deref().unwrap_or(""))
            .bind(pattern)
            .bind(i64::from(page.limit))
            .fetch_all(&self.reads)
            .await?;
            rows.iter().map(user_from).collect()
        })
    }

    fn has_users(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let row = sqlx::query("SELECT 1 FROM users LIMIT 1").fetch_optional(&self.reads).await?;
            Ok(row.is_some())
        })
    }

    fn kept_pin<'a>(&'a self, identity: &'a Identity) -> Answer<'a, Option<(String, u32)>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT pin_hash, pin_digits FROM users WHERE identity = $1 AND enabled")
                .bind(identity.as_str())
                .fetch_optional(&self.reads)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let digits = u32::try_from(row.try_get::<i64, _>("pin_digits")?).map_err(|_| damaged("pin_digits"))?;
            Ok(Some((row.try_get("pin_hash")?, digits)))
        })
    }

    fn enable<'a>(&'a self, new: &'a NewUser, audit: &'a AuditEntry) -> Answer<'a, Enabling> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let before = user_by_identity(&mut transaction, &new.identity).await?;
            if let Some(user) = before.clone().filter(|user| user.enabled) {
                return Ok(Enabling::Already(user));
            }
            if is_taken(&mut transaction, &new.conference_id, audit.at).await? {
                return Ok(Enabling::ConferenceIdTaken);
            }
            let name = match &before {
                Some(user) if new.name.is_empty() => &user.name,
                _ => &new.name,
            };
            // Who comes back keeps what he was allowed; the defaults are for who is new.
            let organizer: i64 = sqlx::query_scalar(
                "INSERT INTO users (identity, name, search_text, enabled, allow_anonymous_start, lobby_policy,
                                    created_at, pin_hash, pin_digits, pin_set_at, pin_generation)
                 VALUES ($1, $2, $3, TRUE, $4, $5, $6, $7, $8, $6, 1)
                 ON CONFLICT (identity) DO UPDATE SET
                     name = excluded.name, search_text = excluded.search_text, enabled = TRUE,
                     pin_hash = excluded.pin_hash, pin_digits = excluded.pin_digits, pin_set_at = excluded.pin_set_at,
                     pin_generation = users.pin_generation + 1
                 RETURNING user_key",
            )
            .bind(new.identity.as_str())
            .bind(name)
            .bind(search_text(&new.identity, name))
            .bind(new.allow_anonymous_start)
            .bind(lobby_policy_name(new.lobby_policy))
            .bind(audit.at.0)
            .bind(&new.pin.hash)
            .bind(i64::from(new.pin.digits))
            .fetch_one(&mut *transaction)
            .await?;
            sqlx::query(
                "INSERT INTO conferences (conference_id, organizer, personal, created_at) VALUES ($1, $2, TRUE, $3)",
            )
            .bind(new.conference_id.as_str())
            .bind(organizer)
            .bind(audit.at.0)
            .execute(&mut *transaction)
            .await?;
            write_audit(&mut transaction, audit).await?;
            let user = user_by_identity(&mut transaction, &new.identity).await?;
            transaction.commit().await?;
            user.map(Enabling::New).ok_or_else(|| damaged("a new user is not there"))
        })
    }

    fn disable<'a>(&'a self, identity: &'a Identity, audit: &'a AuditEntry) -> Answer<'a, Change> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let user = match enabled_user(&mut transaction, identity).await? {
                Ok(user) => user,
                Err(refused) => return Ok(refused),
            };
            retire(&mut transaction, user.key, false, audit.at).await?;
            forget_callers_and_counts(&mut transaction, user.key).await?;
            for sql in [
                "DELETE FROM conferences WHERE organizer = $1",
                "UPDATE users SET enabled = FALSE, pin_hash = NULL, pin_digits = NULL, pin_set_at = NULL
                 WHERE user_key = $1",
            ] {
                sqlx::query(sql).bind(key_to(user.key.0)).execute(&mut *transaction).await?;
            }
            write_audit(&mut transaction, audit).await?;
            let change = changed(&mut transaction, identity).await?;
            transaction.commit().await?;
            Ok(change)
        })
    }

    fn change_user<'a>(
        &'a self,
        identity: &'a Identity,
        change: &'a UserChange,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let user = match enabled_user(&mut transaction, identity).await? {
                Ok(user) => user,
                Err(refused) => return Ok(refused),
            };
            let name = change.name.as_ref().unwrap_or(&user.name);
            sqlx::query(
                "UPDATE users SET name = $2, search_text = $3, allow_anonymous_start = $4, lobby_policy = $5
                 WHERE user_key = $1",
            )
            .bind(key_to(user.key.0))
            .bind(name)
            .bind(search_text(identity, name))
            .bind(change.allow_anonymous_start.unwrap_or(user.allow_anonymous_start))
            .bind(lobby_policy_name(change.lobby_policy.unwrap_or(user.lobby_policy)))
            .execute(&mut *transaction)
            .await?;
            write_audit(&mut transaction, audit).await?;
            let change = changed(&mut transaction, identity).await?;
            transaction.commit().await?;
            Ok(change)
        })
    }

    fn replace_pin<'a>(&'a self, identity: &'a Identity, pin: &'a NewPin, audit: &'a AuditEntry) -> Answer<'a, Change> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let user = match enabled_user(&mut transaction, identity).await? {
                Ok(user) => user,
                Err(refused) => return Ok(refused),
            };
            sqlx::query(
                "UPDATE users SET pin_hash = $2, pin_digits = $3, pin_set_at = $4, pin_generation = pin_generation + 1
                 WHERE user_key = $1",
            )
            .bind(key_to(user.key.0))
            .bind(&pin.hash)
            .bind(i64::from(pin.digits))
            .bind(audit.at.0)
            .execute(&mut *transaction)
            .await?;
            forget_callers_and_counts(&mut transaction, user.key).await?;
            write_audit(&mut transaction, audit).await?;
            let change = changed(&mut transaction, identity).await?;
            transaction.commit().await?;
            Ok(change)
        })
    }

    fn replace_conference_id<'a>(
        &'a self,
        identity: &'a Identity,
        id: ConferenceId,
        audit: &'a AuditEntry,
    ) -> Answer<'a, Change> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let user = match enabled_user(&mut transaction, identity).await? {
                Ok(user) => user,
                Err(refused) => return Ok(refused),
            };
            if is_taken(&mut transaction, &id, audit.at).await? {
                return Ok(Change::ConferenceIdTaken);
            }
            retire(&mut transaction, user.key, true, audit.at).await?;
            sqlx::query("UPDATE conferences SET conference_id = $2 WHERE organizer = $1 AND personal")
                .bind(key_to(user.key.0))
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            write_audit(&mut transaction, audit).await?;
            let change = changed(&mut transaction, identity).await?;
            transaction.commit().await?;
            Ok(change)
        })
    }

    fn settings(&self) -> Answer<'_, Vec<(String, String)>> {
        Box::pin(async move {
            Ok(sqlx::query_as("SELECT key, value FROM settings ORDER BY key").fetch_all(&self.reads).await?)
        })
    }

    fn put_setting<'a>(&'a self, key: &'a str, value: &'a str, audit: &'a AuditEntry) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            sqlx::query(
                "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await?;
            write_audit(&mut transaction, audit).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    fn budgets(&self, now: Timestamp) -> Answer<'_, Vec<BudgetCount>> {
        Box::pin(async move {
            let rows =
                sqlx::query("SELECT budget, subject, organizer, entries, ends_at FROM budgets WHERE entries > 0")
                    .fetch_all(&self.reads)
                    .await?;
            let mut counts = Vec::with_capacity(rows.len());
            for row in rows {
                // A budget of another version's is not shown.
                let Some(budget) = Budget::from_name(row.try_get("budget")?) else {
                    continue;
                };
                let count = BudgetCount {
                    budget,
                    subject: row.try_get("subject")?,
                    organizer: row
                        .try_get::<Option<i64>, _>("organizer")?
                        .and_then(|key| u64::try_from(key).ok().map(UserKey)),
                    count: u32::try_from(row.try_get::<i64, _>("entries")?).unwrap_or(u32::MAX),
                    ends_at: Timestamp(row.try_get("ends_at")?),
                };
                if budget::standing(budget, count.count, count.ends_at, now) > 0 {
                    counts.push(count);
                }
            }
            Ok(counts)
        })
    }

    fn clear_budgets<'a>(&'a self, clear: Clear<'a>, audit: &'a AuditEntry) -> Answer<'a, u64> {
        Box::pin(async move {
            let mut transaction = write(&self.changes).await?;
            let query = match clear {
                Clear::All => sqlx::query("DELETE FROM budgets"),
                Clear::Organizer(key) => sqlx::query("DELETE FROM budgets WHERE organizer = $1").bind(key_to(key.0)),
                Clear::Subject(subject) => sqlx::query("DELETE FROM budgets WHERE subject = $1").bind(subject),
            };
            let cleared = query.execute(&mut *transaction).await?.rows_affected();
            write_audit(&mut transaction, audit).await?;
            transaction.commit().await?;
            Ok(cleared)
        })
    }

    fn audit(&self, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        Box::pin(async move {
            let rows = sqlx::query(
                "SELECT at, who, came_from, action, subject, detail FROM audit ORDER BY audit_key DESC LIMIT $1",
            )
            .bind(i64::from(limit))
            .fetch_all(&self.reads)
            .await?;
            let entry = |row: &SqliteRow| -> Result<AuditEntry, StoreError> {
                Ok(AuditEntry {
                    at: Timestamp(row.try_get("at")?),
                    actor: Actor { who: row.try_get("who")?, from: row.try_get("came_from")? },
                    action: row.try_get("action")?,
                    subject: row.try_get("subject")?,
                    detail: row.try_get("detail")?,
                })
            };
            rows.iter().map(entry).collect()
        })
    }

    fn keep_fact<'a>(&'a self, name: &'a str, value: &'a str) -> Answer<'a, String> {
        Box::pin(async move {
            sqlx::query("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .bind(value)
                .execute(&self.changes)
                .await?;
            let query = sqlx::query_scalar("SELECT value FROM facts WHERE name = $1").bind(name);
            Ok(query.fetch_one(&self.changes).await?)
        })
    }

    fn fact<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let query = sqlx::query_scalar("SELECT value FROM facts WHERE name = $1").bind(name);
            Ok(query.fetch_optional(&self.reads).await?)
        })
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            for pool in [&self.reads, &self.counts, &self.changes] {
                pool.close().await;
            }
        })
    }
}
