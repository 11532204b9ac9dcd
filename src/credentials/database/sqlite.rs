//! The embedded store: one SQLite file that servers and command lines use at the same time, or memory.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::migrations::{self, Dialect};
use super::query::one_line;
use super::{Database, PATIENCE, Pools};

/// Readers at once. A read takes some tens of microseconds.
const READERS: u32 = 4;

/// Two processes that open a new store at once can't both lay its tables; the one that comes second tries again.
const MIGRATION_TRIES: u32 = 5;
const MIGRATION_PAUSE: Duration = Duration::from_millis(200);

/// Opens the file, or makes it with mode 0600, and brings its tables up to date. The error says why not, in one line.
pub async fn open(path: &Path) -> Result<Database, String> {
    // SQLite gives its two companions (-wal, -shm) the mode of the database.
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|error| error.to_string())?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(PATIENCE)
        .foreign_keys(true)
        .disable_statement_logging();
    let pool = |size, options: SqliteConnectOptions| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            // A commit that the disk refused leaves the connection in a transaction that is none: it would begin no other
            // one, with the disk long mended.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_lazy_with(options)
    };
    let pools = Pools {
        reads: pool(READERS, options.clone().synchronous(SqliteSynchronous::Normal)),
        // Each one connection: writers would only wait for each other.
        counts: pool(1, options.clone().synchronous(SqliteSynchronous::Normal)),
        changes: pool(1, options.synchronous(SqliteSynchronous::Full)),
    };
    migrate(&pools.changes).await?;
    Ok(Database::Sqlite(pools))
}

/// A database that is gone with the process. It lives as long as its one connection, which is therefore never let go.
pub async fn in_memory() -> Result<Database, String> {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(|error| one_line(&error))?;
    migrate(&pool).await?;
    Ok(Database::Sqlite(Pools { reads: pool.clone(), counts: pool.clone(), changes: pool }))
}

async fn migrate(pool: &SqlitePool) -> Result<(), String> {
    let migrator = migrations::migrator(Dialect::Sqlite);
    let mut tries = 0;
    loop {
        tries += 1;
        match migrator.run(pool).await {
            Ok(()) => return Ok(()),
            Err(error @ (MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_))) => {
                return Err(migrations::explain(&error));
            }
            Err(error) if tries >= MIGRATION_TRIES => return Err(migrations::explain(&error)),
            Err(_) => tokio::time::sleep(MIGRATION_PAUSE).await,
        }
    }
}
