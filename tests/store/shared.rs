//! What only a store has that machines share.

use std::time::{Duration, Instant};

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::credentials::database::{self, Ask, sql};
use anteroom::credentials::{AuditPage, OpenError, Origin, Store, StoreError};
use anteroom::words::answer::{ConferenceAnswer, PinAnswer};

use super::postgres::{Cluster, PASSWORD, shared};
use super::{Folder, On, admin, enable};

/// The other server sees on its next question what the first one did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn on_postgres_what_one_server_resets_the_other_sees() {
    let place = On::Postgres.place();
    let (one, two) = (place.store().await, place.store().await);
    let (anna, first) = enable(&one, "anna@example.com", None).await;
    let origin = Origin::new("+1", "carrier");
    let find = async |store: &Store, id| store.find_conference(&id, &origin).await.unwrap();
    let ConferenceAnswer::Found(conference) = find(&two, anna.conference_id.unwrap()).await else { panic!() };
    assert_eq!(two.verify_pin(conference.key, &first, &origin).await.unwrap(), PinAnswer::Right);

    // Ten administrators at once, on both: ten PINs, the last one holds, all are audited.
    let actor = admin();
    let resets = (0..10).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        store.reset_pin(&actor, &anna.identity, None)
    });
    let pins = futures_util::future::join_all(resets).await;
    let mut right = 0;
    let mut different = std::collections::HashSet::new();
    for (number, reset) in pins.into_iter().enumerate() {
        let (_, pin) = reset.unwrap();
        different.insert(pin.expose().to_owned());
        let caller = Origin::new(&format!("+2{number}"), "carrier");
        right += u32::from(one.verify_pin(conference.key, &pin, &caller).await.unwrap() == PinAnswer::Right);
    }
    assert_eq!(
        usize::try_from(right).unwrap(),
        11 - different.len(),
        "one, but for two PINs that are the same by chance"
    );
    let audit = two.audit(&AuditPage::newest(50)).await.unwrap();
    assert_eq!(audit.iter().filter(|line| line.action == "user.reset-pin").count(), 10);

    two.reset_conference_id(&admin(), &anna.identity, None).await.unwrap();
    assert!(!matches!(find(&one, anna.conference_id.unwrap()).await, ConferenceAnswer::Found(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn on_postgres_a_lost_connection_is_made_anew() {
    let place = On::Postgres.place();
    let store = place.store().await;
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    let StoreUrl::Postgres(url) = &place.config.url else { panic!() };
    let name = url.expose().split("localhost/").nth(1).unwrap().split('?').next().unwrap();
    for _ in 0..5 {
        let kill = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'");
        assert!(shared().psql(&kill).unwrap().parse::<u32>().unwrap() > 0);
        let origin = Origin::new("+1", "carrier");
        let found = store.find_conference(&anna.conference_id.unwrap(), &origin).await.unwrap();
        let ConferenceAnswer::Found(conference) = found else { panic!() };
        assert_eq!(store.verify_pin(conference.key, &pin, &origin).await.unwrap(), PinAnswer::Right);
        store.set_setting(&admin(), "budget_same_pin", "7").await.unwrap();
    }
}

/// Clear words while it is away, and nothing lost when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn on_postgres_a_database_that_was_away_comes_back() {
    let mut cluster = Cluster::start();
    let folder = Folder::new();
    let config =
        StoreConfig { url: StoreUrl::Postgres(cluster.new_database()), key_file: Some(folder.0.join("server.key")) };
    let store = Store::open(&config).await.unwrap();
    let (anna, _) = enable(&store, "anna@example.com", None).await;
    cluster.kill();
    let error = store.reset_pin(&admin(), &anna.identity, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains(PASSWORD) && !error.to_string().contains('\n'), "{error}");
    cluster.revive();
    let (_, pin) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    let origin = Origin::new("+1", "carrier");
    let found = store.find_conference(&anna.conference_id.unwrap(), &origin).await.unwrap();
    let ConferenceAnswer::Found(conference) = found else { panic!() };
    assert_eq!(store.verify_pin(conference.key, &pin, &origin).await.unwrap(), PinAnswer::Right);
    assert_eq!(store.audit(&AuditPage::newest(9)).await.unwrap().len(), 2, "the refused reset left nothing");
}

/// Its machine hangs in the middle of every question: each is given up, and no connection is lost to the pool by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn on_postgres_a_database_that_falls_silent_is_not_waited_for() {
    let cluster = Cluster::start();
    let folder = Folder::new();
    let config =
        StoreConfig { url: StoreUrl::Postgres(cluster.new_database()), key_file: Some(folder.0.join("server.key")) };
    let store = Store::open(&config).await.unwrap();
    let (anna, _) = enable(&store, "anna@example.com", None).await;
    let StoreUrl::Postgres(url) = &config.url else { panic!() };
    let database = database::postgres::open(url).await.unwrap();
    let slow = || async { (&database).all(sql("SELECT CAST(pg_sleep(5) AS TEXT)")).await };
    // More than the pool has connections.
    let asked = futures_util::future::join_all((0..6).map(|_| slow()));
    let (answers, _) = tokio::join!(asked, async {
        let busy = "SELECT count(*) FROM pg_stat_activity
                    WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep%'";
        while cluster.psql(busy).unwrap() != "4" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cluster.freeze();
        let error = store.reset_pin(&admin(), &anna.identity, None).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    });
    for answer in answers {
        let error = answer.err().expect("a frozen database answers nothing").to_string();
        assert!(error.contains("can't be used now") && !error.contains('\n'), "{error}");
    }
    cluster.thaw_for_new_connections();
    let patience = Instant::now() + Duration::from_secs(20);
    while let Err(error) = (&database).one(sql("SELECT count(*) AS users FROM users")).await {
        assert!(Instant::now() < patience, "silent connections keep their places: {error}");
    }
    cluster.thaw();
    store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    assert_eq!(store.audit(&AuditPage::newest(9)).await.unwrap().len(), 2, "the refused reset left nothing");
    for answer in futures_util::future::join_all((0..4).map(|_| slow())).await {
        assert_eq!(answer.unwrap().len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn on_postgres_the_key_is_named_and_the_password_is_not() {
    let place = On::Postgres.place();
    let without = StoreConfig { key_file: None, ..place.config.clone() };
    let error = Store::open(&without).await.unwrap_err();
    assert!(matches!(error, OpenError::NoKeyFile) && error.to_string().contains("store.key_file"), "{error}");
    let store = place.store().await;
    let shown = format!("{store:?} {:?}", place.config);
    assert!(!shown.contains(PASSWORD), "{shown}");
    store.close().await;

    let StoreUrl::Postgres(url) = &place.config.url else { panic!() };
    let nowhere = url.expose().replace("test_", "nowhere_");
    let config =
        StoreConfig { url: StoreUrl::Postgres(anteroom::words::secret::Secret::new(nowhere)), ..place.config.clone() };
    let error = Store::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("nowhere_") && !error.contains(PASSWORD) && !error.contains('\n'), "{error}");

    let other = Folder::new();
    let config = StoreConfig { key_file: Some(other.0.join("other.key")), ..place.config.clone() };
    let error = Store::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("restore it from its copy") && !error.contains(PASSWORD), "{error}");
}
