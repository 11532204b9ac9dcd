//! The store of one organization's credentials: opening it, and what concerns the organization as a whole. What callers
//! ask is in [`super::calls`], what is done with users in [`super::users`]; each further idea has its own file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::budget::{BudgetCount, Clear};
use super::contract::{Actor, Clock, Identity, OpenError, StoreError, Timestamp};
use super::database::{Ask, Database, Row, postgres, sql, sqlite};
use super::hashing::PinHasher;
use super::keys::AuditKey;
use super::rows::common::{lowered, write_audit};
use super::rows::{Rows, audit_entry};
use super::sealing::OutboxSeal;
use super::server_key::ServerKey;
use super::settings::Settings;
use crate::config::{StoreConfig, StoreUrl};

/// A conference ID that was given back is given to nobody for this long: an old invitation must not lead into a
/// stranger's meeting.
pub const CONFERENCE_ID_RESTS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// New conference IDs that are tried before giving up. With a million users one in nine is taken.
pub(super) const CONFERENCE_ID_DRAWS: u32 = 50;

/// A mail text of an organization, at most: some pages.
const TEMPLATE_BYTES: usize = 64 * 1024;
const TEMPLATE_NAME_CHARS: usize = 64;

/// The fact by which a store knows its key again.
pub(super) const KEY_CHECK: &str = "server-key-check";

/// The credentials of one organization. Many servers and command lines may use the same at once.
#[derive(Debug)]
pub struct Store {
    rows: Rows,
    hasher: PinHasher,
    seal: OutboxSeal,
    clock: Clock,
}

impl Store {
    /// Opens what the configuration names. The embedded store and its key are made where there are none.
    pub async fn open(config: &StoreConfig) -> Result<Store, OpenError> {
        let key_file = match (&config.url, &config.key_file) {
            (StoreUrl::Memory, _) => return Store::in_memory(Clock::system()).await,
            (_, Some(key_file)) => key_file.clone(),
            (StoreUrl::Sqlite(path), None) => path.with_extension("key"),
            (StoreUrl::Postgres(_), None) => return Err(OpenError::NoKeyFile),
        };
        let (database, name) = open_database(&config.url).await?;
        Store::keyed(Rows::new(database), &name, &key_file).await
    }

    /// A store that is gone with the process: for trials and tests.
    pub async fn in_memory(clock: Clock) -> Result<Store, OpenError> {
        let (database, _) = open_database(&StoreUrl::Memory).await?;
        Store::with_rows(Rows::new(database), ServerKey::generate()?, clock)
    }

    fn with_rows(rows: Rows, key: ServerKey, clock: Clock) -> Result<Store, OpenError> {
        Ok(Store { rows, seal: OutboxSeal::new(&key)?, hasher: PinHasher::new(key)?, clock })
    }

    /// The same store, by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Store {
        Store { clock, ..self }
    }

    /// Finds the key that belongs to this database. A key is made only for a database that never had one: another key
    /// would make every PIN in it wrong.
    async fn keyed(rows: Rows, name: &str, key_file: &Path) -> Result<Store, OpenError> {
        let refuse = |why: String| OpenError::Key { path: PathBuf::from(key_file), why };
        let key = match rows.fact(KEY_CHECK).await? {
            None => ServerKey::load_or_create(key_file)?,
            Some(_) => ServerKey::load(key_file)?.ok_or_else(|| {
                refuse(format!(
                    "it is not there, and the PINs in {name} can't be checked without it: restore it from its copy, or \
                     name it as store.key_file"
                ))
            })?,
        };
        let store = Store::with_rows(rows, key, Clock::system())?;
        let check = store.hasher.fingerprint("key check", "")?;
        if store.rows.keep_fact(KEY_CHECK, &check).await? != check {
            return Err(refuse(format!("it is not the key of {name}: restore the one that belongs to it")));
        }
        Ok(store)
    }

    /// Brings everything to the disk and lets go of the files. Dropping the store does so too, a little later.
    pub async fn close(&self) {
        self.rows.database.close().await;
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn database(&self) -> &Database {
        &self.rows.database
    }

    pub(super) fn hasher(&self) -> &PinHasher {
        &self.hasher
    }

    pub(super) fn seal(&self) -> &OutboxSeal {
        &self.seal
    }

    /// The time, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn settings(&self) -> Result<Settings, StoreError> {
        Ok(Settings::from_rows(&self.rows.settings().await?))
    }

    /// Sets one of [`super::settings::KEYS`]; the settings as they are now.
    pub async fn set_setting(&self, actor: &Actor, key: &str, value: &str) -> Result<Settings, StoreError> {
        let mut settings = self.settings().await?;
        settings.set(key, value)?;
        let written = settings.get(key).unwrap_or_default();
        let audit = audit_entry(self.now(), actor, "settings.set", key, &written);
        self.rows.put_setting(key, &written, &audit).await?;
        Ok(settings)
    }

    /// The organization's own mail texts, by their names.
    pub async fn mail_templates(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.database().all(sql("SELECT name, body FROM mail_templates ORDER BY name")).await?;
        rows.iter().map(|row| Ok((row.get("name")?, row.get("body")?))).collect()
    }

    /// Replaces a mail text; `None` takes the built-in one back.
    pub async fn set_mail_template(&self, actor: &Actor, name: &str, body: Option<&str>) -> Result<(), StoreError> {
        if name.chars().count() > TEMPLATE_NAME_CHARS || body.is_some_and(|body| body.len() > TEMPLATE_BYTES) {
            return Err(StoreError::Invalid(format!("a mail text has {TEMPLATE_BYTES} bytes at most")));
        }
        let mut transaction = self.database().change("mail templates").await?;
        transaction.execute(sql("DELETE FROM mail_templates WHERE name = $1").bind(name)).await?;
        if let Some(body) = body {
            let insert = sql("INSERT INTO mail_templates (name, body) VALUES ($1, $2)").bind(name).bind(body);
            transaction.execute(insert).await?;
        }
        let detail = if body.is_some() { "replaced" } else { "built-in again" };
        write_audit(&mut transaction, &audit_entry(self.now(), actor, "mail-template.set", name, detail)).await?;
        transaction.commit().await
    }

    /// The counts of wrong entries that stand, the fullest first. No PIN can be read in them.
    pub async fn budgets(&self) -> Result<Vec<BudgetCount>, StoreError> {
        let mut counts = self.rows.budgets(self.now()).await?;
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (a.budget, &a.subject).cmp(&(b.budget, &b.subject))));
        Ok(counts)
    }

    /// Clears counts; how many there were.
    pub async fn clear_budgets(&self, actor: &Actor, clear: ClearBudgets<'_>) -> Result<u64, StoreError> {
        let (clear, subject) = match clear {
            ClearBudgets::All => (Clear::All, "all".to_owned()),
            ClearBudgets::Organizer(identity) => {
                (Clear::Organizer(self.user(identity).await?.key), format!("organizer {identity}"))
            }
            ClearBudgets::Subject(subject) => (Clear::Subject(subject), subject.to_owned()),
        };
        let audit = audit_entry(self.now(), actor, "budget.clear", &subject, "");
        self.rows.clear_budgets(clear, &audit).await
    }

    /// The audit, the newest lines first.
    pub async fn audit(&self, page: &AuditPage) -> Result<Vec<AuditLine>, StoreError> {
        let list = sql("SELECT * FROM audit
              WHERE audit_key < $1
                AND ($2 IS NULL OR instr(lower(who || ' ' || action || ' ' || subject || ' ' || detail), $2) > 0)
              ORDER BY audit_key DESC LIMIT $3")
        .bind(page.before.map_or(u64::MAX, |key| key.0))
        .bind(page.search.as_deref().map(lowered))
        .bind(page.limit);
        let line = |row: &Row| {
            Ok(AuditLine {
                key: row.get("audit_key")?,
                at: row.get("at")?,
                actor: Actor { who: row.get("who")?, from: row.get("came_from")? },
                action: row.get("action")?,
                subject: row.get("subject")?,
                detail: row.get("detail")?,
            })
        };
        self.database().all(list).await?.iter().map(line).collect()
    }
}

/// One line of the audit, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    pub key: AuditKey,
    pub at: Timestamp,
    pub actor: Actor,
    /// `user.reset-pin`, `settings.set`, …
    pub action: String,
    /// On whom or what.
    pub subject: String,
    pub detail: String,
}

/// Which lines of the audit a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// In who, action, subject or detail.
    pub search: Option<String>,
    /// Begin below this line.
    pub before: Option<AuditKey>,
    pub limit: u32,
}

impl AuditPage {
    /// The newest lines.
    pub fn newest(limit: u32) -> AuditPage {
        AuditPage { search: None, before: None, limit }
    }
}

/// Opens the place for rows that is named, its tables up to date; and what to call it before people.
pub(super) async fn open_database(url: &StoreUrl) -> Result<(Database, String), OpenError> {
    match url {
        StoreUrl::Memory => {
            let refuse = |why| OpenError::Database { path: PathBuf::from("memory:"), why };
            Ok((sqlite::in_memory().await.map_err(refuse)?, "memory:".to_owned()))
        }
        StoreUrl::Sqlite(path) => {
            let refuse = |why| OpenError::Database { path: path.clone(), why };
            Ok((sqlite::open(path).await.map_err(refuse)?, path.display().to_string()))
        }
        StoreUrl::Postgres(url) => {
            let name = postgres::name(url);
            match postgres::open(url).await {
                Ok(database) => Ok((database, name)),
                Err(why) => Err(OpenError::Shared { name, why }),
            }
        }
    }
}

/// What [`Store::clear_budgets`] clears.
#[derive(Debug, Clone, Copy)]
pub enum ClearBudgets<'a> {
    All,
    Organizer(&'a Identity),
    /// As the list of budgets shows it.
    Subject(&'a str),
}
