//! The store that machines share.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres, Transaction};
use tokio::time::timeout;

use super::migrations::{self, Dialect};
use super::query::one_line;
use super::{Database, PATIENCE, Pools};
use crate::credentials::contract::StoreError;
use crate::words::secret::Secret;

/// Connections of one server, at most: PostgreSQL allows 100 in all where nobody changed it.
const READERS: u32 = 4;
const COUNTERS: u32 = 2;
const CHANGERS: u32 = 2;

/// A statement that takes longer, or a transaction whose process went silent, is given up by the database: one machine
/// that hangs must not hold up the others.
const STATEMENT_MAX: &str = "10s";

/// A database that has not given up by then either has been cut off without a word: its machine hangs, or the network
/// lost the way. TCP alone would wait for a quarter of an hour.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// Connects, and brings the tables up to date. The password comes with the URL, from `PGPASSWORD` or from `~/.pgpass`. The
/// error says why not, in one line without it.
pub async fn open(url: &Secret) -> Result<Database, String> {
    let options = options(url)?;
    let pool = |size, durable: &str| {
        let options = options.clone().options([("synchronous_commit", durable)]);
        PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(PATIENCE)
            // One whose database does not answer any more would keep its place in the pool for as long as TCP waits.
            .after_release(|connection, _| {
                Box::pin(async move {
                    match timeout(PATIENCE, connection.ping()).await {
                        Ok(answered) => answered.map(|()| true),
                        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .connect_lazy_with(options)
    };
    let pools = Pools { reads: pool(READERS, "on"), counts: pool(COUNTERS, "off"), changes: pool(CHANGERS, "on") };
    // sqlx takes a lock on the database meanwhile: of two that start at once one waits.
    migrations::migrator(Dialect::Postgres).run(&pools.changes).await.map_err(|error| migrations::explain(&error))?;
    Ok(Database::Postgres(pools))
}

/// What the database answers, or that it does not.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let silent = || StoreError::Unavailable(format!("PostgreSQL has not answered for {} s", ANSWER_WITHIN.as_secs()));
    Ok(timeout(ANSWER_WITHIN, asked).await.map_err(|_| silent())??)
}

/// Whether this names a PostgreSQL database.
pub fn is_url(url: &Secret) -> bool {
    options(url).is_ok()
}

/// Host and database, for people: without name and password.
pub fn name(url: &Secret) -> String {
    match options(url) {
        Ok(options) => {
            let database = options.get_database().unwrap_or_else(|| options.get_username());
            match options.get_socket() {
                Some(socket) => format!("postgres {} {database}", socket.display()),
                None => format!("postgres {}:{} {database}", options.get_host(), options.get_port()),
            }
        }
        Err(_) => "postgres".to_owned(),
    }
}

fn options(url: &Secret) -> Result<PgConnectOptions, String> {
    let options = PgConnectOptions::from_str(url.expose()).map_err(|error| one_line(&error))?;
    Ok(options
        .application_name("anteroom")
        .options([
            ("lock_timeout", format!("{}ms", PATIENCE.as_millis()).as_str()),
            ("statement_timeout", STATEMENT_MAX),
            ("idle_in_transaction_session_timeout", STATEMENT_MAX),
        ])
        .disable_statement_logging())
}

/// Begins a transaction that holds these locks until it ends. Taken in order, so that no two wait for each other.
pub(super) async fn begin(pool: &PgPool, locks: &[String]) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let mut locks: Vec<_> = locks.iter().collect();
    locks.sort_unstable();
    for lock in locks {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(lock)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction)
}
