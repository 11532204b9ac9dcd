//! The administrators' side of the store, told on SQLite and on PostgreSQL; and what only a shared store has.

mod administration;
mod postgres;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::credentials::{
    Actor, Clock, Enabled, Identity, MailWish, Store, StoreError, Timestamp, User, UserDetails,
};
use anteroom::words::secret::Secret;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock that a test sets.
#[derive(Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> TestClock {
        TestClock(Arc::new(AtomicI64::new(1_700_000_000_000)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::from_fn(move || clock.now())
    }
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("anteroom-store-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn sqlite(&self) -> StoreConfig {
        StoreConfig { url: StoreUrl::Sqlite(self.0.join("anteroom.db")), key_file: Some(self.0.join("server.key")) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where a story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Sqlite,
    Postgres,
}

/// A place with a store in it, for as many servers as a story needs.
struct Place {
    /// Gone with the place.
    _folder: Folder,
    config: StoreConfig,
    clock: TestClock,
}

impl On {
    fn place(self) -> Place {
        let folder = Folder::new();
        let config = match self {
            On::Sqlite => folder.sqlite(),
            On::Postgres => postgres::config(&folder.0),
        };
        Place { _folder: folder, config, clock: TestClock::new() }
    }
}

impl Place {
    async fn store(&self) -> Store {
        Store::open(&self.config).await.unwrap().with_clock(self.clock.clock())
    }
}

/// Each story becomes two tests.
#[macro_export]
macro_rules! stories {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::On::Sqlite.place()).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
                async fn $name() {
                    super::$name($crate::On::Postgres.place()).await;
                }
            )*
        }
    };
}

fn admin() -> Actor {
    Actor::new("anna (uid 1000)", "test")
}

fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

fn wish(to: &str) -> MailWish {
    MailWish { to: to.to_owned() }
}

async fn enable(store: &Store, name: &str, mail: Option<&MailWish>) -> (User, Secret) {
    match store.enable_user(&admin(), &identity(name), &UserDetails::default(), mail).await.unwrap() {
        Enabled::New { user, pin } => (user, pin),
        Enabled::Already { user } => panic!("{} was enabled before", user.identity),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>, says: &str) {
    let error = answer.unwrap_err();
    assert!(!matches!(error, StoreError::Unavailable(_)), "{error}");
    let error = error.to_string();
    assert!(error.contains(says) && !error.contains('\n'), "{error}");
}
