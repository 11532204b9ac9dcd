//! What callers and administrators can ask of the credentials, and every rule in it. Where the rows lie is the backend's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, Change, Enabling, NewPin, NewUser, RightPin};
use super::budget::{self, Budget, BudgetCount, Charge, Clear, PinTry, Verdict};
use super::contract::{
    Actor, AuditEntry, Clock, Enabled, Identity, OpenError, Origin, Page, StoreError, User, UserChange,
};
use super::hashing::PinHasher;
use super::memory::MemoryBackend;
use super::pin;
use super::server_key::ServerKey;
use super::settings::{Settings, lobby_policy_name};
use super::sqlite::SqliteBackend;
use crate::config::{StoreConfig, StoreUrl};
use crate::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use crate::words::ids::{ConferenceId, ConferenceKey};
use crate::words::secret::Secret;

/// A conference ID that was given back is given to nobody for this long: an old invitation must not lead into a
/// stranger's meeting.
pub const CONFERENCE_ID_RESTS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// New conference IDs that are tried before giving up. With a million users one in nine is taken.
const CONFERENCE_ID_DRAWS: u32 = 50;

/// The fact by which a store knows its key again.
const KEY_CHECK: &str = "server-key-check";

/// The credentials of one organization. Many servers and command lines may use the same at once.
#[derive(Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    hasher: PinHasher,
    clock: Clock,
}

impl Store {
    /// Opens what the configuration names. The embedded store and its key are made where there are none.
    pub async fn open(config: &StoreConfig) -> Result<Store, OpenError> {
        let path = match &config.url {
            StoreUrl::Memory => return Store::in_memory(Clock::system()),
            StoreUrl::Sqlite(path) => path,
        };
        let key_file = config.key_file.clone().unwrap_or_else(|| path.with_extension("key"));
        let backend: Arc<dyn Backend> = Arc::new(SqliteBackend::open(path).await?);
        let hasher = Store::keyed(&*backend, path, &key_file).await?;
        Ok(Store { backend, hasher, clock: Clock::system() })
    }

    /// A store that is gone with the process: for trials and tests.
    pub fn in_memory(clock: Clock) -> Result<Store, OpenError> {
        Store::with_backend(Arc::new(MemoryBackend::new()), ServerKey::generate()?, clock)
    }

    /// A store on any backend.
    pub fn with_backend(backend: Arc<dyn Backend>, key: ServerKey, clock: Clock) -> Result<Store, OpenError> {
        Ok(Store { backend, hasher: PinHasher::new(key)?, clock })
    }

    /// The same store, by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Store {
        Store { clock, ..self }
    }

    /// Finds the key that belongs to this database. A key is made only for a database that never had one: another key
    /// would make every PIN in it wrong.
    async fn keyed(backend: &dyn Backend, database: &Path, key_file: &Path) -> Result<PinHasher, OpenError> {
        let refuse = |why: String| OpenError::Key { path: PathBuf::from(key_file), why };
        let kept = backend.fact(KEY_CHECK).await?;
        let key = match &kept {
            None => ServerKey::load_or_create(key_file)?,
            Some(_) => ServerKey::load(key_file)?.ok_or_else(|| {
                refuse(format!(
                    "it is not there, and the PINs in {} can't be checked without it: restore it from its copy, or name \
                     it as store.key_file",
                    database.display()
                ))
            })?,
        };
        let hasher = PinHasher::new(key)?;
        let check = hasher.fingerprint("key check", "")?;
        if backend.keep_fact(KEY_CHECK, &check).await? != check {
            return Err(refuse(format!(
                "it is not the key of {}: restore the one that belongs to it",
                database.display()
            )));
        }
        Ok(hasher)
    }

    /// Brings everything to the disk and lets go of the files. Dropping the store does so too, a little later.
    pub async fn close(&self) {
        self.backend.close().await;
    }

    // ── what callers ask ────────────────────────────────────────────────────────────────────────────────────────────

    /// What does this conference ID lead to? A wrong one is counted; a right one is found whatever the counts are, and
    /// needs nothing to be written.
    pub async fn find_conference(&self, id: &ConferenceId, origin: &Origin) -> Result<ConferenceAnswer, StoreError> {
        let settings = self.settings().await?;
        if let Some(conference) = self.backend.find_conference(*id).await? {
            return Ok(ConferenceAnswer::Found(Conference { announcements: settings.announcements, ..conference }));
        }
        let charges = budget::conference_id_charges(origin, &settings);
        let judge = |counts: &[u32]| budget::judge_conference_id(&charges, counts);
        let counts = self.backend.charge(self.clock.now(), &charges, &judge).await?;
        if judge(&counts) {
            alert_used_up(&charges, &counts);
            Ok(ConferenceAnswer::Unknown)
        } else {
            Ok(ConferenceAnswer::UnknownAndOutOfTries)
        }
    }

    /// What this conference ID leads to, for somebody who has signed in: nothing is counted.
    pub async fn conference(&self, id: &ConferenceId) -> Result<Option<Conference>, StoreError> {
        let settings = self.settings().await?;
        let found = self.backend.find_conference(*id).await?;
        Ok(found.map(|conference| Conference { announcements: settings.announcements, ..conference }))
    }

    /// Does this PIN start this meeting?
    ///
    /// ```text
    ///  charge all budgets ──refused──▶ OutOfTries            (counted first: many at once get no more tries than one)
    ///        │
    ///  argon2, always, also where there is nothing to check  (right, wrong and unknown take the same time)
    ///        │ right
    ///  still the PIN that holds? give the charges back       (a reset in between wins)
    /// ```
    pub async fn verify_pin(
        &self,
        conference: ConferenceKey,
        pin: &Secret,
        origin: &Origin,
    ) -> Result<PinAnswer, StoreError> {
        let now = self.clock.now();
        let settings = self.settings().await?;
        let caller = budget::caller_subject(origin);
        let Some(kept) = self.backend.find_pin(conference, &caller, now.before(budget::KNOWN_CALLER_FOR)).await? else {
            self.hasher.verify_nothing(pin).await?;
            return Ok(PinAnswer::Wrong);
        };
        let fingerprint = self.hasher.fingerprint("pin", pin.expose())?;
        let entry = PinTry {
            organizer: kept.organizer,
            organizer_identity: &kept.organizer_identity,
            digits: kept.digits,
            origin,
            fingerprint: &fingerprint,
        };
        let charges = budget::pin_charges(&entry, &settings);
        let verdict = |counts: &[u32]| budget::judge_pin(&charges, counts, kept.known_caller);
        let take = |counts: &[u32]| !matches!(verdict(counts), Verdict::Refuse(_));
        let counts = self.backend.charge(now, &charges, &take).await?;
        let verdict = verdict(&counts);
        if let Verdict::Refuse(_) = verdict {
            return Ok(PinAnswer::OutOfTries);
        }
        let matches = self.hasher.verify(pin, &kept.hash).await?;
        if matches && verdict == Verdict::Check {
            let known = Some(caller.as_str()).filter(|_| !origin.caller().is_empty());
            let right =
                RightPin { organizer: kept.organizer, generation: kept.generation, charges: &charges, caller: known };
            if self.backend.pin_was_right(self.clock.now(), &right).await? {
                return Ok(PinAnswer::Right);
            }
        }
        alert_used_up(&charges, &counts);
        Ok(PinAnswer::Wrong)
    }

    // ── what administrators ask ─────────────────────────────────────────────────────────────────────────────────────

    /// Gives a user a conference ID and a PIN. Enabling twice changes nothing. Who was disabled comes back with his
    /// settings, and with a new ID and PIN.
    pub async fn enable_user(&self, actor: &Actor, identity: &Identity, name: &str) -> Result<Enabled, StoreError> {
        if let Some(user) = self.backend.user(identity).await?.filter(|user| user.enabled) {
            return Ok(Enabled::Already { user });
        }
        let settings = self.settings().await?;
        for _ in 0..CONFERENCE_ID_DRAWS {
            let conference_id = pin::generate_conference_id()?;
            let pin = pin::generate_pin(settings.pin_length, identity, &conference_id)?;
            let new = NewUser {
                identity: identity.clone(),
                name: name.trim().to_owned(),
                conference_id,
                pin: self.hashed(&pin).await?,
                allow_anonymous_start: settings.allow_anonymous_start,
                lobby_policy: settings.lobby_policy,
            };
            let audit = self.audit_entry(actor, "user.enable", identity, format!("conference ID {conference_id}"));
            match self.backend.enable(&new, &audit).await? {
                Enabling::New(user) => return Ok(Enabled::New { user, pin }),
                Enabling::Already(user) => return Ok(Enabled::Already { user }),
                Enabling::ConferenceIdTaken => {}
            }
        }
        Err(StoreError::NoFreeConferenceId(CONFERENCE_ID_DRAWS))
    }

    /// His conference ID is refused at once, and his PIN is forgotten.
    pub async fn disable_user(&self, actor: &Actor, identity: &Identity) -> Result<User, StoreError> {
        let audit = self.audit_entry(actor, "user.disable", identity, String::new());
        done(identity, self.backend.disable(identity, &audit).await?)
    }

    pub async fn change_user(
        &self,
        actor: &Actor,
        identity: &Identity,
        change: &UserChange,
    ) -> Result<User, StoreError> {
        let mut detail = Vec::new();
        detail.extend(change.name.as_ref().map(|name| format!("name={name}")));
        detail.extend(change.allow_anonymous_start.map(|allow| format!("allow_anonymous_start={allow}")));
        detail.extend(change.lobby_policy.map(|policy| format!("lobby_policy={}", lobby_policy_name(policy))));
        let audit = self.audit_entry(actor, "user.set", identity, detail.join(" "));
        done(identity, self.backend.change_user(identity, change, &audit).await?)
    }

    /// The one time that the new PIN is shown. The old one is wrong from this moment.
    pub async fn reset_pin(&self, actor: &Actor, identity: &Identity) -> Result<(User, Secret), StoreError> {
        let user = self.user(identity).await?;
        let Some(conference_id) = user.conference_id else {
            return Err(StoreError::NotEnabled(identity.clone()));
        };
        let pin = pin::generate_pin(self.settings().await?.pin_length, identity, &conference_id)?;
        let hashed = self.hashed(&pin).await?;
        let audit = self.audit_entry(actor, "user.reset-pin", identity, String::new());
        let user = done(identity, self.backend.replace_pin(identity, &hashed, &audit).await?)?;
        Ok((user, pin))
    }

    /// A new conference ID; the old one is refused from this moment. The PIN stays.
    pub async fn reset_conference_id(&self, actor: &Actor, identity: &Identity) -> Result<User, StoreError> {
        let before = self.user(identity).await?;
        for _ in 0..CONFERENCE_ID_DRAWS {
            let id = pin::generate_conference_id()?;
            if self.gives_away_pin(identity, &id).await? {
                continue;
            }
            let old = before.conference_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
            let audit = self.audit_entry(actor, "user.reset-conference-id", identity, format!("from {old} to {id}"));
            match self.backend.replace_conference_id(identity, id, &audit).await? {
                Change::ConferenceIdTaken => {}
                change => return done(identity, change),
            }
        }
        Err(StoreError::NoFreeConferenceId(CONFERENCE_ID_DRAWS))
    }

    /// Whether the user's PIN, of which only the hash is known, stands in this conference ID.
    async fn gives_away_pin(&self, identity: &Identity, id: &ConferenceId) -> Result<bool, StoreError> {
        let Some((hash, digits)) = self.backend.kept_pin(identity).await? else {
            return Ok(false);
        };
        for part in pin::parts(id, usize::try_from(digits).unwrap_or(usize::MAX)) {
            if self.hasher.verify(&part, &hash).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub async fn user(&self, identity: &Identity) -> Result<User, StoreError> {
        self.backend.user(identity).await?.ok_or_else(|| StoreError::NoUser(identity.clone()))
    }

    pub async fn users(&self, page: &Page) -> Result<Vec<User>, StoreError> {
        self.backend.users(page).await
    }

    /// Whether there ever was a user, also one who is disabled now.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        self.backend.has_users().await
    }

    pub async fn settings(&self) -> Result<Settings, StoreError> {
        Ok(Settings::from_rows(&self.backend.settings().await?))
    }

    /// Sets one of [`super::settings::KEYS`]; the settings as they are now.
    pub async fn set_setting(&self, actor: &Actor, key: &str, value: &str) -> Result<Settings, StoreError> {
        let mut settings = self.settings().await?;
        settings.set(key, value)?;
        let written = settings.get(key).unwrap_or_default();
        let audit = self.audit_entry(actor, "settings.set", key, written.clone());
        self.backend.put_setting(key, &written, &audit).await?;
        Ok(settings)
    }

    /// The counts of wrong entries that stand, the fullest first. No PIN can be read in them.
    pub async fn budgets(&self) -> Result<Vec<BudgetCount>, StoreError> {
        let mut counts = self.backend.budgets(self.clock.now()).await?;
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
        let audit = self.audit_entry(actor, "budget.clear", &subject, String::new());
        self.backend.clear_budgets(clear, &audit).await
    }

    /// The newest lines of the audit.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.backend.audit(limit).await
    }

    async fn hashed(&self, pin: &Secret) -> Result<NewPin, StoreError> {
        let hash = self.hasher.hash(pin).await?;
        Ok(NewPin { hash, digits: u32::try_from(pin.len()).unwrap_or(u32::MAX) })
    }

    fn audit_entry(&self, actor: &Actor, action: &str, subject: impl ToString, detail: String) -> AuditEntry {
        let (action, subject) = (action.to_owned(), subject.to_string());
        AuditEntry { at: self.clock.now(), actor: actor.clone(), action, subject, detail }
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

fn done(identity: &Identity, change: Change) -> Result<User, StoreError> {
    match change {
        Change::Done(user) => Ok(user),
        Change::NoUser => Err(StoreError::NoUser(identity.clone())),
        Change::NotEnabled => Err(StoreError::NotEnabled(identity.clone())),
        Change::ConferenceIdTaken => Err(StoreError::NoFreeConferenceId(1)),
    }
}

/// One line at the moment in which a budget becomes used up, not one for each try after it.
fn alert_used_up(charges: &[Charge], counts_before: &[u32]) {
    for (charge, before) in charges.iter().zip(counts_before) {
        if before.saturating_add(1) == charge.limit {
            let subject = if charge.budget == Budget::SamePin { "one PIN on many meetings" } else { &charge.subject };
            tracing::warn!(budget = %charge.budget, subject, limit = charge.limit, "a budget of wrong entries is used up");
        }
    }
}
