//! The embedded store's files: its key, what is no store, a first start.

use std::path::Path;

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::credentials::{OpenError, Store};
use anteroom::words::answer::PinAnswer;
use anteroom::words::secret::Secret;

use super::{Folder, admin, enable, key_of, try_pin};

async fn open(folder: &Folder) -> Store {
    Store::open(&folder.embedded()).await.unwrap()
}

#[tokio::test]
async fn no_pin_is_anywhere_in_the_files() {
    let folder = Folder::new();
    let store = open(&folder).await;
    // Twelve digits: five may stand somewhere by chance.
    store.set_setting(&admin(), "pin_length", "12").await.unwrap();
    let (anna, first) = enable(&store, "anna@example.com", None).await;
    let key = key_of(&store, &anna).await;
    let typed = Secret::new("864209753186");
    try_pin(&store, key, &typed, "+1").await;
    try_pin(&store, key, &first, "+1").await;
    let (_, second) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    try_pin(&store, key, &second, "+1").await;
    let searched = |when: &str| {
        let mut files = 0;
        for entry in std::fs::read_dir(&folder.0).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for pin in [&first, &second, &typed] {
                let found = bytes.windows(12).any(|window| window == pin.expose().as_bytes());
                assert!(!found, "{} {when}", path.display());
            }
            files += 1;
        }
        files
    };
    assert!(searched("while it is open") >= 3, "database, log and key");
    store.close().await;
    searched("closed");
    let shown = format!("{store:?} {:?}", store.budgets().await);
    assert!(!shown.contains(second.expose()));
}

async fn open_error(folder: &Folder) -> String {
    let error = Store::open(&folder.embedded()).await.unwrap_err().to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

#[tokio::test]
async fn the_key_belongs_to_the_store() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = Folder::new();
    let store = open(&folder).await;
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    store.close().await;
    let (key, database) = (folder.0.join("anteroom.key"), folder.0.join("anteroom.db"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&key), mode(&database)), (0o600, 0o600));

    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = open_error(&folder).await;
    assert!(error.contains("anteroom.key") && error.contains("restore it"), "{error}");
    assert!(!key.exists(), "no other key is made for a store that has one");

    std::fs::write(&key, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(open_error(&folder).await.contains("is not the key of"));

    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open_error(&folder).await.contains("chmod 600"));

    let elsewhere = folder.0.join("elsewhere.key");
    std::fs::rename(&key, &elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = StoreConfig { key_file: Some(elsewhere), ..folder.embedded() };
    let store = Store::open(&config).await.unwrap();
    assert_eq!(try_pin(&store, key_of(&store, &anna).await, &pin, "+1").await, PinAnswer::Right);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_its_name() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("anteroom.db")).unwrap();
    assert!(open_error(&folder).await.contains("anteroom.db"));

    let folder = Folder::new();
    std::fs::write(folder.0.join("anteroom.db"), "this is no database, but long enough to look into".repeat(50))
        .unwrap();
    assert!(open_error(&folder).await.contains("anteroom.db"));

    let folder = Folder::new();
    let config = StoreConfig { url: StoreUrl::Sqlite(folder.0.join("missing/anteroom.db")), key_file: None };
    assert!(matches!(Store::open(&config).await, Err(OpenError::Database { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_by_four_at_once() {
    let folder = Folder::new();
    let stores: Vec<_> = (0..4)
        .map(|_| {
            let config = folder.embedded();
            tokio::spawn(async move { Store::open(&config).await })
        })
        .collect();
    let mut opened = Vec::new();
    for store in stores {
        opened.push(store.await.unwrap().unwrap());
    }
    let (anna, pin) = enable(&opened[0], "anna@example.com", None).await;
    for store in &opened {
        assert_eq!(try_pin(store, key_of(store, &anna).await, &pin, "+1").await, PinAnswer::Right);
    }
}

#[tokio::test]
async fn a_newer_store_and_a_changed_audit_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    enable(&store, "anna@example.com", None).await;
    store.close().await;
    let url = format!("sqlite:{}", folder.0.join("anteroom.db").display());
    let database = sqlx::SqlitePool::connect(&url).await.unwrap();
    for sql in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
        let error = sqlx::query(sql).execute(&database).await.unwrap_err().to_string();
        assert!(error.contains("the audit is never"), "{error}");
    }
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'future', TRUE, x'00', 0)",
    )
    .execute(&database)
    .await
    .unwrap();
    database.close().await;
    assert!(open_error(&folder).await.contains("newer version"));
}
