//! Rows in SQLite or PostgreSQL, by one SQL text.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`query`] | a statement with its values, and what a row holds, whichever database it goes to |
//! | [`sqlite`] | the embedded store: one file, or memory |
//! | [`postgres`] | the store that machines share |
//! | [`migrations`] | the tables, from one source |
//!
//! Where the two differ:
//!
//! | | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | writers | one at a time (`BEGIN IMMEDIATE`) | one at a time for each of the locks that [`Database::change`] names |
//! | readers | never wait (write-ahead log) | never wait |
//! | a change | is on the disk before it is told | the same |
//! | a count | survives a killed process | survives a killed server; losing a second of them with the mains is no attack |
//! | lost connection | there is none | found before a statement is sent, and made anew |
//! | no answer | after 4 s, where another one writes | after 4 s for a connection, 12 s for an answer |
//!
//! In memory there is one connection: who holds a transaction must not ask the [`Database`] beside it.

pub mod migrations;
pub mod postgres;
pub mod query;
pub mod sqlite;

use std::time::Duration;

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use super::contract::StoreError;
pub use query::{Ask, Row, Sql, Value, damaged, sql};

/// How long one process waits for another's transaction, or for a database that is away. The caller's patience is 5 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// One database, by connections of three kinds: what reads must not wait behind what writes, and what callers do must
/// not wait behind administrators.
#[derive(Debug, Clone)]
pub struct Pools<P> {
    pub(super) reads: P,
    pub(super) counts: P,
    pub(super) changes: P,
}

/// A place for rows.
#[derive(Debug, Clone)]
pub enum Database {
    Sqlite(Pools<SqlitePool>),
    Postgres(Pools<PgPool>),
}

/// Several statements of which all happen, or none: dropped without [`Transaction::commit`] nothing was done.
#[derive(Debug)]
pub enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Database {
    /// For what an administrator does. Transactions that name the same lock happen one after the other.
    pub async fn change(&self, lock: &str) -> Result<Transaction, StoreError> {
        self.begin(|pools| &pools.changes, |pools| &pools.changes, &[lock.to_owned()]).await
    }

    /// For what callers leave behind. Transactions that have a lock in common happen one after the other.
    pub async fn count(&self, locks: &[String]) -> Result<Transaction, StoreError> {
        self.begin(|pools| &pools.counts, |pools| &pools.counts, locks).await
    }

    async fn begin(
        &self,
        sqlite: impl Fn(&Pools<SqlitePool>) -> &SqlitePool,
        postgres: impl Fn(&Pools<PgPool>) -> &PgPool,
        locks: &[String],
    ) -> Result<Transaction, StoreError> {
        match self {
            // Begun as a writer, it never finds out too late that another one wrote in between.
            Database::Sqlite(pools) => Ok(Transaction::Sqlite(sqlite(pools).begin_with("BEGIN IMMEDIATE").await?)),
            Database::Postgres(pools) => {
                let begun = async {
                    match postgres::begin(postgres(pools), locks).await {
                        // The connection was lost between the look at it and its use: nothing was done yet.
                        Err(sqlx::Error::Io(_)) => postgres::begin(postgres(pools), locks).await,
                        begun => begun,
                    }
                };
                Ok(Transaction::Postgres(postgres::answered(begun).await?))
            }
        }
    }

    /// Nothing is asked any more; everything is on the disk.
    pub async fn close(&self) {
        match self {
            Database::Sqlite(pools) => {
                for pool in [&pools.reads, &pools.counts, &pools.changes] {
                    pool.close().await;
                }
            }
            Database::Postgres(pools) => {
                for pool in [&pools.reads, &pools.counts, &pools.changes] {
                    pool.close().await;
                }
            }
        }
    }
}

impl Transaction {
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Transaction::Sqlite(transaction) => transaction.commit().await?,
            Transaction::Postgres(transaction) => postgres::answered(transaction.commit()).await?,
        }
        Ok(())
    }
}
