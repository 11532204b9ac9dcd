//! Mails that wait to be sent, written in the transaction of what they tell about: nobody is told of a change that did
//! not happen, and no change happens of which nobody is told.
//!
//! ```text
//!  reset_pin … ─▶ queued ──claim──▶ leased ──sent──▶ sent        (the sealed PIN is erased in the same statement)
//!                    ▲                │
//!                    ├──fails, later──┤
//!                    └─lease runs out─┴──fails for good, or nobody told its end twice──▶ given up   (erased too)
//! ```
//!
//! Several servers share one outbox; each mail is claimed by one. A server that dies with a mail in its hands may have
//! sent it: after its lease the mail is tried once more, and not again. So it comes at most twice, with one Message-ID.

use std::fmt;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use super::contract::{Actor, StoreError, Timestamp};
use super::database::query::read_columns;
use super::database::{Ask, Row, Transaction, sql};
use super::keys::MailKey;
use super::rows::audit_entry;
use super::rows::common::{lowered, write_audit};
use super::store::Store;
use crate::words::ids::UserKey;
use crate::words::secret::Secret;

/// Mails in the outbox, sent and given-up ones among them, are kept for this long.
pub const ENDED_MAIL_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The longest reason that is kept of a mail server's refusal, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// Why a mail was given up whose PIN was reset before it went out: nobody misses it.
pub const WITHDRAWN: &str = "withdrawn: this PIN does not hold any more";

/// What a mail tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailKind {
    /// Conference ID, numbers and PIN.
    Enabled,
    /// PIN, conference ID and numbers.
    PinReset,
    /// Conference ID and numbers, no PIN.
    ConferenceIdChanged,
    /// Conference ID and numbers, no PIN.
    ConferenceInfo,
    Disabled,
}

impl MailKind {
    pub const ALL: [MailKind; 5] = [
        MailKind::Enabled,
        MailKind::PinReset,
        MailKind::ConferenceIdChanged,
        MailKind::ConferenceInfo,
        MailKind::Disabled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            MailKind::Enabled => "enabled",
            MailKind::PinReset => "pin-reset",
            MailKind::ConferenceIdChanged => "conference-id-changed",
            MailKind::ConferenceInfo => "conference-info",
            MailKind::Disabled => "disabled",
        }
    }

    pub fn from_name(name: &str) -> Option<MailKind> {
        MailKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a PIN is in it.
    pub fn has_pin(self) -> bool {
        matches!(self, MailKind::Enabled | MailKind::PinReset)
    }
}

/// How far a mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailState {
    Queued,
    Sent,
    GivenUp,
}

impl MailState {
    pub fn name(self) -> &'static str {
        match self {
            MailState::Queued => "queued",
            MailState::Sent => "sent",
            MailState::GivenUp => "given-up",
        }
    }

    pub fn from_name(name: &str) -> Option<MailState> {
        [MailState::Queued, MailState::Sent, MailState::GivenUp].into_iter().find(|state| state.name() == name)
    }
}

read_columns! {
    MailKind, String, |held| MailKind::from_name(&held);
    MailState, String, |held| MailState::from_name(&held);
}

/// That a mail goes out with an operation, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailWish {
    pub to: String,
}

/// A mail to be written.
#[derive(Clone)]
pub struct NewMail {
    pub kind: MailKind,
    pub to: String,
    pub message_id: String,
    pub sealed_pin: Option<Vec<u8>>,
}

impl fmt::Debug for NewMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMail").field("kind", &self.kind).field("to", &self.to).finish_non_exhaustive()
    }
}

/// A mail as lists show it. Its text is made when it is sent; its PIN is not among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub key: MailKey,
    pub kind: MailKind,
    pub to: String,
    pub user: UserKey,
    pub identity: String,
    pub message_id: String,
    pub state: MailState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it is queued.
    pub next_at: Timestamp,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub ended_at: Option<Timestamp>,
}

/// A mail that this server is to send.
#[derive(Debug)]
pub struct ClaimedMail {
    pub mail: Mail,
    /// For the kinds that tell one.
    pub pin: Option<Secret>,
}

/// Which mails a list shows, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailPage {
    /// In the address or the user's identity.
    pub search: Option<String>,
    pub state: Option<MailState>,
    /// Begin below this key.
    pub before: Option<MailKey>,
    pub limit: u32,
}

/// What becomes of a mail that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFailure {
    TryAgain(Timestamp),
    GiveUp,
}

impl Store {
    pub async fn outbox(&self, page: &MailPage) -> Result<Vec<Mail>, StoreError> {
        let list = sql("SELECT * FROM shown_mails
              WHERE mail_key < $1 AND ($2 IS NULL OR state = $2)
                AND ($3 IS NULL OR instr(lower(recipient), $3) > 0 OR instr(identity, $3) > 0)
              ORDER BY mail_key DESC LIMIT $4")
        .bind(page.before.map_or(u64::MAX, |key| key.0))
        .bind(page.state.map(MailState::name))
        .bind(page.search.as_deref().map(lowered))
        .bind(page.limit);
        self.database().all(list).await?.iter().map(mail_from).collect()
    }

    /// One mail.
    pub async fn mail(&self, key: MailKey) -> Result<Mail, StoreError> {
        let row = self.database().optional(sql("SELECT * FROM shown_mails WHERE mail_key = $1").bind(key)).await?;
        row.as_ref().map(mail_from).transpose()?.ok_or_else(|| no_mail(key))
    }

    /// Takes mails whose turn has come, for this long. Who takes them sends them and tells the end by [`Store::mail_sent`]
    /// or [`Store::mail_failed`]; a lease that runs out without it is taken again, once.
    pub async fn claim_mails(&self, limit: u32, lease: Duration) -> Result<Vec<ClaimedMail>, StoreError> {
        let now = self.now();
        let due = sql("SELECT mail_key FROM outbox WHERE state = 'queued' AND next_at <= $1 LIMIT 1").bind(now);
        // Looked at often, and mostly empty: nothing is written then.
        if self.database().optional(due).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.database().change("outbox").await?;
        let give_up = sql("UPDATE outbox SET state = 'given-up', sealed_pin = NULL, leased_to = NULL, ended_at = $1,
                     last_error = 'twice nobody told whether it was sent: it may have arrived'
              WHERE state = 'queued' AND leased_to <= $1 AND unanswered >= 1")
        .bind(now);
        transaction.execute(give_up).await?;
        let due =
            sql("SELECT m.*, o.sealed_pin, o.leased_to FROM outbox o JOIN shown_mails m ON m.mail_key = o.mail_key
              WHERE o.state = 'queued' AND o.next_at <= $1 AND (o.leased_to IS NULL OR o.leased_to <= $1)
              ORDER BY o.next_at, o.mail_key LIMIT $2")
            .bind(now)
            .bind(limit);
        let mut claimed = Vec::new();
        for row in transaction.all(due).await? {
            let mail = mail_from(&row)?;
            let pin = match row.get::<Option<Vec<u8>>>("sealed_pin")? {
                Some(sealed) => self.seal().open(&sealed, &belongs_to(&mail.message_id, &mail.to)),
                None => None,
            };
            if mail.kind.has_pin() && pin.is_none() {
                let why = "its PIN was sealed under another server key: reset the PIN again";
                end(&mut transaction, mail.key, MailState::GivenUp, Some(why), now).await?;
                continue;
            }
            let lease = sql("UPDATE outbox SET attempts = attempts + 1, unanswered = unanswered + $2, leased_to = $3
                  WHERE mail_key = $1")
            .bind(mail.key)
            .bind(u32::from(row.get::<Option<Timestamp>>("leased_to")?.is_some()))
            .bind(now.after(lease));
            transaction.execute(lease).await?;
            claimed.push(ClaimedMail { mail: Mail { attempts: mail.attempts.saturating_add(1), ..mail }, pin });
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    /// It went out. Its PIN is erased.
    pub async fn mail_sent(&self, key: MailKey) -> Result<(), StoreError> {
        let mut transaction = self.database().change("outbox").await?;
        end(&mut transaction, key, MailState::Sent, None, self.now()).await?;
        transaction.commit().await
    }

    /// It did not go out, and that is certain. Given up, its PIN is erased.
    pub async fn mail_failed(&self, key: MailKey, error: &str, then: MailFailure) -> Result<(), StoreError> {
        let error: String = error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARS_MAX).collect();
        let mut transaction = self.database().change("outbox").await?;
        match then {
            MailFailure::GiveUp => {
                end(&mut transaction, key, MailState::GivenUp, Some(&error), self.now()).await?;
            }
            MailFailure::TryAgain(at) => {
                let again = sql("UPDATE outbox SET next_at = $2, last_error = $3, leased_to = NULL
                      WHERE mail_key = $1 AND state = 'queued'")
                .bind(key)
                .bind(at)
                .bind(&error);
                transaction.execute(again).await?;
            }
        }
        transaction.commit().await
    }

    /// Tries a mail again now. One whose PIN is erased can't be sent any more.
    pub async fn retry_mail(&self, actor: &Actor, key: MailKey) -> Result<Mail, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change("outbox").await?;
        let row = transaction.optional(sql("SELECT * FROM shown_mails WHERE mail_key = $1").bind(key)).await?;
        let mail = row.as_ref().map(mail_from).transpose()?.ok_or_else(|| no_mail(key))?;
        match mail.state {
            MailState::Sent => return Err(StoreError::Conflict(format!("mail {key} was sent already"))),
            MailState::GivenUp if mail.kind.has_pin() => {
                return Err(StoreError::Conflict(format!(
                    "the PIN of mail {key} is erased: reset the PIN of {} to send a new one",
                    mail.identity
                )));
            }
            _ => {}
        }
        // One that is being sent in this moment is not sent twice for it.
        let again = sql("UPDATE outbox SET state = 'queued', next_at = $2, unanswered = 0, ended_at = NULL
              WHERE mail_key = $1")
        .bind(key)
        .bind(now);
        transaction.execute(again).await?;
        let audit =
            audit_entry(now, actor, "mail.retry", &mail.identity, format!("{} to {}", mail.kind.name(), mail.to));
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        self.mail(key).await
    }

    /// A mail of this kind, its PIN sealed to it.
    pub(super) fn new_mail(
        &self,
        kind: MailKind,
        wish: Option<&MailWish>,
        pin: Option<&Secret>,
    ) -> Result<Option<NewMail>, StoreError> {
        let Some(MailWish { to }) = wish else { return Ok(None) };
        let message_id = message_id()?;
        let sealed_pin = pin.map(|pin| self.seal().seal(pin, &belongs_to(&message_id, to))).transpose()?;
        Ok(Some(NewMail { kind, to: to.clone(), message_id, sealed_pin }))
    }
}

/// What a seal is bound to: this mail, to this address.
fn belongs_to(message_id: &str, to: &str) -> String {
    format!("{message_id} {to}")
}

/// Never given twice, and telling nothing. `invalid` (RFC 2606): it is a name, nobody's machine.
fn message_id() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("the operating system gives no random numbers: {error}")))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("<{hex}@anteroom.invalid>"))
}

fn no_mail(key: MailKey) -> StoreError {
    StoreError::NotThere { what: "mail", name: key.to_string() }
}

fn mail_from(row: &Row) -> Result<Mail, StoreError> {
    Ok(Mail {
        key: row.get("mail_key")?,
        kind: row.get("kind")?,
        to: row.get("recipient")?,
        user: row.get("user_key")?,
        identity: row.get("identity")?,
        message_id: row.get("message_id")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next_at: row.get("next_at")?,
        last_error: row.get("last_error")?,
        created_at: row.get("created_at")?,
        ended_at: row.get("ended_at")?,
    })
}

async fn end(
    transaction: &mut Transaction,
    key: MailKey,
    state: MailState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let end = sql("UPDATE outbox SET state = $2, last_error = $3, ended_at = $4, sealed_pin = NULL, leased_to = NULL
          WHERE mail_key = $1 AND state = 'queued'")
    .bind(key)
    .bind(state.name())
    .bind(error)
    .bind(now);
    transaction.execute(end).await?;
    Ok(())
}

/// Puts a mail into the outbox, in the transaction of what it tells about.
pub(super) async fn write(
    transaction: &mut Transaction,
    mail: &NewMail,
    user: UserKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert =
        sql("INSERT INTO outbox (kind, recipient, user_key, message_id, sealed_pin, state, attempts, unanswered,
                              next_at, created_at)
          VALUES ($1, $2, $3, $4, $5, 'queued', 0, 0, $6, $6)")
        .bind(mail.kind.name())
        .bind(&mail.to)
        .bind(user)
        .bind(&mail.message_id)
        .bind(mail.sealed_pin.clone())
        .bind(now);
    transaction.execute(insert).await?;
    Ok(())
}

/// Mails that still wait with a PIN of this user are not sent any more: it is not his PIN now.
pub(super) async fn withdraw_pins(
    transaction: &mut Transaction,
    user: UserKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    let withdraw = sql("UPDATE outbox SET state = 'given-up', sealed_pin = NULL, leased_to = NULL, ended_at = $2,
                 last_error = $3
          WHERE user_key = $1 AND state = 'queued' AND sealed_pin IS NOT NULL")
    .bind(user)
    .bind(now)
    .bind(WITHDRAWN);
    transaction.execute(withdraw).await?;
    Ok(())
}
