//! An organization with a store, an administrator, and a clock that the test turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use anteroom::admin::{Administrator, EnabledView, Mail, MailView, NewPinView};
use anteroom::config::{MailConfig, MailTls, SmtpServer, StoreConfig, StoreUrl};
use anteroom::credentials::{Actor, Clock, Identity, MailPage, NewNumber, Store, Timestamp, UserDetails};
use anteroom::mail::Worker;

pub struct Desk {
    pub folder: PathBuf,
    pub store: Arc<Store>,
    pub mail: MailConfig,
    clock: Arc<AtomicI64>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A mail server on this machine, without TLS.
pub fn plain(port: u16) -> MailConfig {
    MailConfig {
        smtp: Some(SmtpServer { host: "127.0.0.1".to_owned(), port }),
        tls: MailTls::Off,
        from: Some("anteroom@example.com".to_owned()),
        user: None,
        password_file: None,
        ca_file: None,
    }
}

/// A port at which nobody listens: it was free a moment ago.
pub fn nobody_s_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("anteroom-mail-{name}-{}-{next}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl Desk {
    pub async fn new(name: &str, mail: MailConfig) -> Desk {
        let folder = folder(name);
        let clock = Arc::new(AtomicI64::new(1_795_510_800_000));
        let told = clock.clone();
        let config = StoreConfig { url: StoreUrl::Sqlite(folder.join("anteroom.db")), key_file: None };
        let store = Store::open(&config).await.unwrap();
        let store = store.with_clock(Clock::from_fn(move || Timestamp(told.load(Ordering::SeqCst))));
        let desk = Desk { folder, store: Arc::new(store), mail, clock };
        let administrator = desk.administrator();
        // A PIN of 12 digits stands nowhere by chance.
        for (key, value) in [("pin_length", "12"), ("organization", "Example & Söhne"), ("mail_from_name", "Anteroom")]
        {
            administrator.set_setting(key, value).await.unwrap();
        }
        let number = NewNumber {
            number: "+49 30 1234567".to_owned(),
            language: "de".to_owned(),
            label: "Berlin".to_owned(),
            is_default: true,
        };
        administrator.add_number(&number).await.unwrap();
        desk
    }

    pub fn administrator(&self) -> Administrator<'_> {
        Administrator::new(&self.store, Actor::new("anna", "test")).with_mail(&self.mail)
    }

    pub fn worker(&self) -> Worker {
        Worker::new(self.store.clone(), self.mail.clone())
    }

    pub fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn enable(&self, identity: &str, email: &str, mail: &Mail) -> NewPinView {
        let details = UserDetails { name: "Bärbel".to_owned(), email: Some(email.to_owned()) };
        match self.administrator().enable_user(&id(identity), &details, mail).await.unwrap() {
            EnabledView::New(new) => new,
            EnabledView::Already(_) => panic!("{identity} is enabled already"),
        }
    }

    /// The newest first.
    pub async fn outbox(&self) -> Vec<MailView> {
        self.administrator().outbox(&MailPage { limit: 100, ..MailPage::default() }).await.unwrap()
    }

    /// Whether this stands in any file of the store, its write-ahead log among them.
    pub fn files_have(&self, text: &str) -> bool {
        let files = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let of_the_store =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("anteroom.db"));
        let mut looked_at = 0;
        let found = files.filter(|path| of_the_store(path)).any(|path| {
            looked_at += 1;
            std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
        });
        assert!(looked_at > 0, "there are no files in {}", self.folder.display());
        found
    }
}

pub fn id(identity: &str) -> Identity {
    identity.parse().unwrap()
}
