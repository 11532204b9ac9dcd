//! Copies a whole store into an empty one: from SQLite to PostgreSQL when one machine is not enough any more, or back.
//! The copy is one transaction, and so is what it is read from: a copy that fails leaves an empty store, and what others
//! change meanwhile waits (SQLite) or stays behind (PostgreSQL).
//!
//! The server key is not in the store. The copy needs the same key file, and a store that knows another is refused.

use sqlx::AssertSqlSafe;

use super::contract::{OpenError, StoreError};
use super::database::{Ask, Database, Row, Sql, Transaction, Value, sql};
use super::store;
use crate::config::StoreUrl;

/// Rows that are read, and that are written, by one statement.
const READ_AT_ONCE: u32 = 1_000;
const WRITTEN_AT_ONCE: usize = 100;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Int,
    Text,
    Bool,
    Bytes,
}
use Held::{Bool, Bytes, Int, Text};

struct Table {
    name: &'static str,
    /// What orders its rows, and tells them apart: the first columns.
    key: usize,
    /// Whether the database gives the key: then it must go on after the highest that ever was.
    given: bool,
    columns: &'static [(&'static str, Held)],
}

/// In the order in which rows refer to each other. What is not among them, [`LEFT_BEHIND`], lasts hours at most.
const TABLES: &[Table] = &[
    Table {
        name: "numbers",
        key: 1,
        given: true,
        columns: &[("number_key", Int), ("number", Text), ("language", Text), ("label", Text), ("is_default", Bool)],
    },
    Table {
        name: "users",
        key: 1,
        given: true,
        columns: &[
            ("user_key", Int),
            ("identity", Text),
            ("name", Text),
            ("search_text", Text),
            ("enabled", Bool),
            ("allow_anonymous_start", Bool),
            ("lobby_policy", Text),
            ("created_at", Int),
            ("pin_hash", Text),
            ("pin_digits", Int),
            ("pin_set_at", Int),
            ("pin_generation", Int),
            ("email", Text),
            ("number", Int),
        ],
    },
    Table {
        name: "conferences",
        key: 1,
        given: true,
        columns: &[
            ("conference_key", Int),
            ("conference_id", Text),
            ("organizer", Int),
            ("personal", Bool),
            ("created_at", Int),
            ("subject", Text),
            ("starts_at", Int),
            ("ends_at", Int),
            ("expires_at", Int),
            ("revision", Int),
        ],
    },
    Table {
        name: "retired_conference_ids",
        key: 1,
        given: false,
        columns: &[("conference_id", Text), ("organizer", Int), ("retired_at", Int)],
    },
    Table { name: "settings", key: 1, given: false, columns: &[("key", Text), ("value", Text)] },
    Table { name: "mail_templates", key: 1, given: false, columns: &[("name", Text), ("body", Text)] },
    Table {
        name: "budgets",
        key: 2,
        given: false,
        columns: &[("budget", Text), ("subject", Text), ("organizer", Int), ("entries", Int), ("ends_at", Int)],
    },
    Table {
        name: "known_callers",
        key: 2,
        given: false,
        columns: &[("organizer", Int), ("caller", Text), ("right_at", Int)],
    },
    Table {
        name: "outbox",
        key: 1,
        given: true,
        columns: &[
            ("mail_key", Int),
            ("kind", Text),
            ("recipient", Text),
            ("user_key", Int),
            ("message_id", Text),
            ("sealed_pin", Bytes),
            ("state", Text),
            ("attempts", Int),
            ("unanswered", Int),
            ("next_at", Int),
            ("leased_to", Int),
            ("last_error", Text),
            ("created_at", Int),
            ("ended_at", Int),
        ],
    },
    Table {
        name: "accounts",
        key: 1,
        given: true,
        columns: &[
            ("account_key", Int),
            ("name", Text),
            ("role", Text),
            ("user_key", Int),
            ("created_at", Int),
            ("disabled", Bool),
            ("password_hash", Text),
            ("password_set_at", Int),
        ],
    },
    Table {
        name: "api_tokens",
        key: 1,
        given: true,
        columns: &[
            ("token_key", Int),
            ("token_hash", Text),
            ("label", Text),
            ("role", Text),
            ("user_key", Int),
            ("made_by", Text),
            ("created_at", Int),
            ("expires_at", Int),
            ("last_used_at", Int),
        ],
    },
    Table {
        name: "call_records",
        key: 1,
        given: true,
        columns: &[("record_key", Int), ("ended_at", Int), ("search_text", Text), ("record", Text)],
    },
    Table {
        name: "alerts",
        key: 1,
        given: true,
        columns: &[
            ("alert_key", Int),
            ("kind", Text),
            ("subject", Text),
            ("text", Text),
            ("count", Int),
            ("at", Int),
            ("last_at", Int),
            ("cleared_at", Int),
            ("cleared_by", Text),
        ],
    },
    Table {
        name: "audit",
        key: 1,
        given: true,
        columns: &[
            ("audit_key", Int),
            ("at", Int),
            ("who", Text),
            ("came_from", Text),
            ("action", Text),
            ("subject", Text),
            ("detail", Text),
        ],
    },
    Table { name: "facts", key: 1, given: false, columns: &[("name", Text), ("value", Text)] },
];

/// People sign in again, links are made again, and a live request is seconds old.
#[cfg(test)]
const LEFT_BEHIND: &[&str] = &["sessions", "links", "live_requests"];

/// How many rows of a table are copied so far.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    pub table: &'static str,
    pub rows: u64,
    /// Of so many.
    pub of: u64,
}

/// Copies everything from one store into another, which must be empty. `progress` is told each [`READ_AT_ONCE`] rows.
/// The answer has each table when it was done.
pub async fn copy(from: &StoreUrl, to: &StoreUrl, mut progress: impl FnMut(&Copied)) -> Result<Vec<Copied>, OpenError> {
    if from == to {
        return Err(StoreError::Invalid("a store can't be copied into itself: name another".to_owned()).into());
    }
    let (source, _) = store::open_database(from).await?;
    let (target, target_name) = store::open_database(to).await?;
    let copied = copy_rows(&source, &target, &target_name, &mut progress).await;
    source.close().await;
    target.close().await;
    Ok(copied?)
}

async fn copy_rows(
    source: &Database,
    target: &Database,
    target_name: &str,
    progress: &mut impl FnMut(&Copied),
) -> Result<Vec<Copied>, StoreError> {
    let mut read = source.count(&[]).await?;
    if let Transaction::Postgres(_) = read {
        read.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")).await?;
    }
    let mut write = target.change("copy").await?;
    refuse_if_used(&mut read, &mut write, target_name).await?;
    write.execute(sql("DELETE FROM facts")).await?;
    let mut all = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let of = count(&mut read, table.name).await?;
        let told = |rows: u64| progress(&Copied { table: table.name, rows, of });
        let rows = copy_table(table, &mut read, &mut write, told).await?;
        let there = count(&mut write, table.name).await?;
        if there != of || rows != of {
            return Err(StoreError::Unavailable(format!(
                "{} has {of} rows, {rows} were read, and {there} are in the copy: nothing was copied",
                table.name
            )));
        }
        if table.given {
            hand_on_highest_key(table, &mut read, &mut write).await?;
        }
        all.push(Copied { table: table.name, rows, of });
    }
    write.commit().await?;
    Ok(all)
}

/// Another store's rows are not mixed with these; and its PINs belong to its own key.
async fn refuse_if_used(read: &mut Transaction, write: &mut Transaction, name: &str) -> Result<(), StoreError> {
    for table in TABLES.iter().filter(|table| table.name != "facts") {
        if count(write, table.name).await? > 0 {
            return Err(StoreError::Conflict(format!(
                "{name} is in use: it has rows in its table {}; copy into an empty database",
                table.name
            )));
        }
    }
    let key = || sql("SELECT value FROM facts WHERE name = $1").bind(store::KEY_CHECK);
    let value = |row: Option<Row>| row.map(|row| row.get::<String>("value")).transpose();
    let (ours, theirs) = (value(read.optional(key()).await?)?, value(write.optional(key()).await?)?);
    if theirs.is_some() && ours != theirs {
        return Err(StoreError::Conflict(format!(
            "{name} was opened with another server key: copy into an empty database, and use the same store.key_file"
        )));
    }
    Ok(())
}

/// Names of tables and columns are ours, above: the texts that are made of them are safe.
fn made(text: String) -> Sql {
    sql(AssertSqlSafe(text))
}

async fn count(ask: &mut impl Ask, table: &str) -> Result<u64, StoreError> {
    ask.one(made(format!("SELECT count(*) AS rows FROM {table}"))).await?.get("rows")
}

async fn copy_table(
    table: &Table,
    read: &mut Transaction,
    write: &mut Transaction,
    mut progress: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let names: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let (columns, keys) = (names.join(", "), names.iter().take(table.key).copied().collect::<Vec<_>>().join(", "));
    let places = |count: usize| (1..=count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let first = format!("SELECT {columns} FROM {} ORDER BY {keys} LIMIT {READ_AT_ONCE}", table.name);
    let next = format!(
        "SELECT {columns} FROM {} WHERE ({keys}) > ({}) ORDER BY {keys} LIMIT {READ_AT_ONCE}",
        table.name,
        places(table.key)
    );
    let mut copied = 0_u64;
    let mut page = made(first);
    loop {
        let rows = read.all(page).await?;
        let mut last = Vec::new();
        for rows in rows.chunks(WRITTEN_AT_ONCE) {
            let mut groups = Vec::with_capacity(rows.len());
            for row in 0..rows.len() {
                let base = row.saturating_mul(names.len());
                let group: Vec<_> = (1..=names.len()).map(|place| format!("${}", base.saturating_add(place))).collect();
                groups.push(format!("({})", group.join(", ")));
            }
            let mut insert = made(format!("INSERT INTO {} ({columns}) VALUES {}", table.name, groups.join(", ")));
            for row in rows {
                last.clear();
                for (name, held) in table.columns {
                    let value = held.value(row, name)?;
                    if last.len() < table.key {
                        last.push(value.clone());
                    }
                    insert = insert.bind(value);
                }
            }
            copied = copied.saturating_add(write.execute(insert).await?);
        }
        if copied == 0 || !rows.is_empty() {
            progress(copied);
        }
        if rows.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX) {
            return Ok(copied);
        }
        page = last.into_iter().fold(made(next.clone()), Sql::bind);
    }
}

impl Held {
    fn value(self, row: &Row, column: &str) -> Result<Value, StoreError> {
        Ok(match self {
            Int => Value::Int(row.get(column)?),
            Text => Value::Text(row.get(column)?),
            Bool => Value::Bool(row.get(column)?),
            Bytes => Value::Bytes(row.get(column)?),
        })
    }
}

/// A key is never used again, in the copy neither: also not that of a row that is gone.
async fn hand_on_highest_key(table: &Table, read: &mut Transaction, write: &mut Transaction) -> Result<(), StoreError> {
    let Some((key, _)) = table.columns.first() else { return Ok(()) };
    let highest = match read {
        Transaction::Sqlite(_) => sql("SELECT seq FROM sqlite_sequence WHERE name = $1").bind(table.name),
        Transaction::Postgres(_) => sql("SELECT last_value AS seq FROM pg_sequences
              WHERE schemaname = current_schema() AND sequencename = $1 AND last_value IS NOT NULL")
        .bind(format!("{}_{key}_seq", table.name)),
    };
    let Some(row) = read.optional(highest).await? else { return Ok(()) };
    let highest: i64 = row.get("seq")?;
    match write {
        Transaction::Sqlite(_) => {
            write.execute(sql("DELETE FROM sqlite_sequence WHERE name = $1").bind(table.name)).await?;
            let put = sql("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)").bind(table.name).bind(highest);
            write.execute(put).await?;
        }
        Transaction::Postgres(_) => {
            let put =
                sql("SELECT setval(pg_get_serial_sequence($1, $2), $3)").bind(table.name).bind(*key).bind(highest);
            write.execute(put).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::database::sqlite;

    /// What a later migration adds is copied too, or somebody says here why not.
    #[tokio::test]
    async fn every_table_and_every_column_is_copied() {
        let database = sqlite::in_memory().await.unwrap();
        let mut ask = &database;
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%'";
        let mut there: Vec<String> = Vec::new();
        for row in ask.all(sql(tables)).await.unwrap() {
            there.push(row.get("name").unwrap());
        }
        let mut known: Vec<_> = TABLES.iter().map(|table| table.name).chain(LEFT_BEHIND.iter().copied()).collect();
        there.sort();
        known.sort_unstable();
        assert_eq!(there, known);
        for table in TABLES {
            let columns = sql("SELECT name FROM pragma_table_info($1) ORDER BY name").bind(table.name);
            let rows = ask.all(columns).await.unwrap();
            let there: Vec<String> = rows.iter().map(|row| row.get("name").unwrap()).collect();
            let mut known: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
            known.sort_unstable();
            assert_eq!(there, known, "{}", table.name);
        }
    }
}
