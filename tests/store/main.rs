//! The store, told on SQLite and on PostgreSQL: whatever holds on one must hold on both.
//!
//! | file | its idea |
//! | --- | --- |
//! | `users` | users come and go; their PINs and conference IDs with them |
//! | `counts` | what callers try, and how many wrong entries they get |
//! | `administration` | numbers, planned meetings, mails, accounts, sign-ins, call records, alerts |
//! | `upkeep` | checked, copied into another database; 50,000 users |
//! | `files` | what only the embedded store has: files |
//! | `shared` | what only a store has that machines share |
//! | `servers` | real servers with callers on such a store |

#[path = "../support/caller.rs"]
mod caller;
#[path = "../support/mod.rs"]
mod support;

mod administration;
mod counts;
mod files;
mod servers;
mod shared;
mod upkeep;
mod users;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::credentials::database::{self, Database};
use anteroom::credentials::rows::Rows;
use anteroom::credentials::{
    Actor, Clock, Enabled, Identity, MailWish, Origin, Store, StoreError, Timestamp, User, UserDetails,
};
use anteroom::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey};
use anteroom::words::secret::Secret;
use support::postgres;

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
        StoreConfig { key_file: Some(self.0.join("server.key")), ..self.embedded() }
    }

    /// As a first start has it: the key beside the store.
    fn embedded(&self) -> StoreConfig {
        StoreConfig { url: StoreUrl::Sqlite(self.0.join("anteroom.db")), key_file: None }
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
    on: On,
    /// Gone with the place.
    folder: Folder,
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
        Place { on: self, folder, config, clock: TestClock::new() }
    }
}

impl Place {
    async fn store(&self) -> Store {
        Store::open(&self.config).await.unwrap().with_clock(self.clock.clock())
    }

    /// What lies below a store: for what no store does.
    async fn database(&self) -> Database {
        match &self.config.url {
            StoreUrl::Sqlite(path) => database::sqlite::open(path).await.unwrap(),
            StoreUrl::Postgres(url) => database::postgres::open(url).await.unwrap(),
            StoreUrl::Memory => panic!("a story is told on a store that others can open too"),
        }
    }

    /// For a server on this store.
    fn settings(&self) -> [String; 2] {
        let url = match &self.config.url {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.expose().to_owned(),
            StoreUrl::Memory => "memory:".to_owned(),
        };
        let key = self.config.key_file.as_ref().unwrap();
        [format!("store.url={url}"), format!("store.key_file={}", key.display())]
    }
}

/// The same story again in a store in memory, where the place is SQLite's.
async fn on_each_store<F: Future<Output = ()>>(place: Place, story: impl Fn(Store, TestClock) -> F) {
    story(place.store().await, place.clock.clone()).await;
    if place.on == On::Sqlite {
        let clock = TestClock::new();
        story(Store::in_memory(clock.clock()).await.unwrap(), clock).await;
    }
}

/// For what only the rows themselves can be asked.
async fn on_all_rows<F: Future<Output = ()>>(place: Place, story: impl Fn(Rows) -> F) {
    story(Rows::new(place.database().await)).await;
    if place.on == On::Sqlite {
        story(Rows::new(database::sqlite::in_memory().await.unwrap())).await;
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

fn from(caller: &str) -> Origin {
    Origin::new(caller, "carrier")
}

async fn find(store: &Store, id: ConferenceId) -> Option<Conference> {
    match store.find_conference(&id, &from("+1")).await.unwrap() {
        ConferenceAnswer::Found(conference) => Some(conference),
        _ => None,
    }
}

async fn key_of(store: &Store, user: &User) -> ConferenceKey {
    find(store, user.conference_id.unwrap()).await.unwrap().key
}

/// A PIN of the same length that is not this one.
fn not(pin: &Secret) -> Secret {
    let changed = pin.expose().replace(|c| c != '9', "9");
    Secret::new(if changed == pin.expose() { changed.replace('9', "8") } else { changed })
}

async fn try_pin(store: &Store, key: ConferenceKey, pin: &Secret, caller: &str) -> PinAnswer {
    store.verify_pin(key, pin, &from(caller)).await.unwrap()
}
