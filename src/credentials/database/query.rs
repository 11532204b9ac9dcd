//! A statement with its values, and what a row holds. The statements are written so that SQLite and PostgreSQL both take
//! them (`$1`, `ON CONFLICT`, `RETURNING`); here is what carries them to either.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlSafeStr, SqlStr};

use super::{Database, Transaction, postgres};
use crate::credentials::contract::{Identity, StoreError, Timestamp};
use crate::words::ids::{ConferenceId, ConferenceKey, UserKey};

/// A statement, and the values that go into it.
#[must_use = "a statement does nothing before it is asked"]
#[derive(Debug, Clone)]
pub struct Sql {
    text: SqlStr,
    values: Vec<Value>,
}

/// A statement without its values yet.
pub fn sql(text: impl SqlSafeStr) -> Sql {
    Sql { text: text.into_sql_str(), values: Vec::new() }
}

impl Sql {
    /// The next of `$1`, `$2`, …
    pub fn bind(mut self, value: impl Into<Value>) -> Sql {
        self.values.push(value.into());
        self
    }
}

/// What a column can hold. PostgreSQL wants to know the type of what is not there too.
#[derive(Clone)]
pub enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

/// Values are not for logs: hashes and sealed PINs are among them.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(…)")
    }
}

macro_rules! values {
    ($($from:ty => $kind:ident($value:ident => $into:expr);)*) => {
        $(
            impl From<$from> for Value {
                fn from($value: $from) -> Value {
                    Value::$kind(Some($into))
                }
            }

            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Value {
                    Value::$kind(value.map(|$value| $into))
                }
            }
        )*
    };
}

values! {
    i64 => Int(value => value);
    u32 => Int(value => i64::from(value));
    // Keys come from the database, and are far below.
    u64 => Int(value => i64::try_from(value).unwrap_or(i64::MAX));
    Timestamp => Int(value => value.0);
    UserKey => Int(value => i64::try_from(value.0).unwrap_or(i64::MAX));
    ConferenceKey => Int(value => i64::try_from(value.0).unwrap_or(i64::MAX));
    bool => Bool(value => value);
    &str => Text(value => value.to_owned());
    String => Text(value => value);
    &String => Text(value => value.clone());
    &Identity => Text(value => value.as_str().to_owned());
    &ConferenceId => Text(value => value.as_str().to_owned());
    Vec<u8> => Bytes(value => value);
    &[u8] => Bytes(value => value.to_vec());
}

/// One row of an answer.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// What stands in this column.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, StoreError> {
        T::from_column(self, column)
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    fn from_column(row: &Row, column: &str) -> Result<Self, StoreError>;
}

macro_rules! plain_columns {
    ($($type:ty),*) => {
        $(
            impl FromColumn for $type {
                fn from_column(row: &Row, column: &str) -> Result<Self, StoreError> {
                    Ok(match row {
                        Row::Sqlite(row) => row.try_get(column)?,
                        Row::Postgres(row) => row.try_get(column)?,
                    })
                }
            }

            impl FromColumn for Option<$type> {
                fn from_column(row: &Row, column: &str) -> Result<Self, StoreError> {
                    Ok(match row {
                        Row::Sqlite(row) => row.try_get(column)?,
                        Row::Postgres(row) => row.try_get(column)?,
                    })
                }
            }
        )*
    };
}

plain_columns!(i64, bool, String, Vec<u8>);

/// Columns that hold more than their type says; the text or number must be one that we wrote.
macro_rules! read_columns {
    ($($type:ty, $held:ty, $read:expr;)*) => {
        $(
            impl $crate::credentials::database::query::FromColumn for $type {
                fn from_column(row: &$crate::credentials::database::Row, column: &str) -> Result<Self, $crate::credentials::StoreError> {
                    let read: fn($held) -> Option<$type> = $read;
                    read(row.get(column)?).ok_or_else(|| $crate::credentials::database::damaged(column))
                }
            }

            impl $crate::credentials::database::query::FromColumn for Option<$type> {
                fn from_column(row: &$crate::credentials::database::Row, column: &str) -> Result<Self, $crate::credentials::StoreError> {
                    let read: fn($held) -> Option<$type> = $read;
                    let held: Option<$held> = row.get(column)?;
                    held.map(|held| read(held).ok_or_else(|| $crate::credentials::database::damaged(column))).transpose()
                }
            }
        )*
    };
}
pub(crate) use read_columns;

read_columns! {
    u64, i64, |held| u64::try_from(held).ok();
    u32, i64, |held| u32::try_from(held).ok();
    Timestamp, i64, |held| Some(Timestamp(held));
    UserKey, u64, |held| Some(UserKey(held));
    ConferenceKey, u64, |held| Some(ConferenceKey(held));
    Identity, String, |held| held.parse().ok();
    ConferenceId, String, |held| held.parse().ok();
}

/// What can be asked: the database itself, or a transaction.
pub trait Ask {
    /// All rows of the answer.
    fn all(&mut self, sql: Sql) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// How many rows were changed.
    fn execute(&mut self, sql: Sql) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The first row.
    fn optional(&mut self, sql: Sql) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        let rows = self.all(sql);
        async move { Ok(rows.await?.into_iter().next()) }
    }

    /// The first row of an answer that always has one.
    fn one(&mut self, sql: Sql) -> impl Future<Output = Result<Row, StoreError>> + Send {
        let row = self.optional(sql);
        async move { row.await?.ok_or_else(|| damaged("a row that was just written is not there")) }
    }
}

macro_rules! with_values {
    ($sql:expr) => {{
        let Sql { text, values } = $sql;
        let mut query = sqlx::query(text);
        for value in values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Ask for &Database {
    async fn all(&mut self, sql: Sql) -> Result<Vec<Row>, StoreError> {
        match self {
            Database::Sqlite(pools) => {
                let rows = with_values!(sql).fetch_all(&pools.reads).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Database::Postgres(pools) => {
                let asked = async {
                    match with_values!(sql.clone()).fetch_all(&pools.reads).await {
                        // The connection was lost meanwhile; a question can be asked twice.
                        Err(sqlx::Error::Io(_)) => with_values!(sql).fetch_all(&pools.reads).await,
                        rows => rows,
                    }
                };
                Ok(postgres::answered(asked).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    async fn execute(&mut self, sql: Sql) -> Result<u64, StoreError> {
        Ok(match self {
            Database::Sqlite(pools) => with_values!(sql).execute(&pools.changes).await?.rows_affected(),
            Database::Postgres(pools) => {
                postgres::answered(with_values!(sql).execute(&pools.changes)).await?.rows_affected()
            }
        })
    }
}

impl Ask for Transaction {
    async fn all(&mut self, sql: Sql) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Transaction::Sqlite(transaction) => {
                let rows = with_values!(sql).fetch_all(&mut **transaction).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Transaction::Postgres(transaction) => {
                let rows = postgres::answered(with_values!(sql).fetch_all(&mut **transaction)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    async fn execute(&mut self, sql: Sql) -> Result<u64, StoreError> {
        Ok(match self {
            Transaction::Sqlite(transaction) => with_values!(sql).execute(&mut **transaction).await?.rows_affected(),
            Transaction::Postgres(transaction) => {
                postgres::answered(with_values!(sql).execute(&mut **transaction)).await?.rows_affected()
            }
        })
    }
}

pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        StoreError::Unavailable(one_line(&error))
    }
}

/// A row that can't be what we wrote.
pub fn damaged(what: &str) -> StoreError {
    StoreError::Unavailable(format!("it is damaged: {what}"))
}
