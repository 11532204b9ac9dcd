//! What somebody holds to show that he is let in: a session (a browser's cookie), a token (a program's), a link (used
//! once). Each is 256 random bits that are told once (or, for the first administrator's link, 128 that follow from the server
//! key); the store keeps their SHA-256 only. Nobody can try so many, so a slow hash would protect nothing.

use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use ring::digest::{SHA256, digest};

use super::accounts::{
    ACCOUNTS_LOCK, Account, NewAccount, Role, account, account_from, insert, put_password, user_for,
};
use super::contract::{Actor, Identity, StoreError, Timestamp};
use super::database::{Ask, Row, Transaction, sql};
use super::keys::{AccountKey, ApiTokenKey};
use super::rows::audit_entry;
use super::rows::common::write_audit;
use super::store::Store;
use crate::words::ids::UserKey;
use crate::words::secret::Secret;

/// A session ends after a working day, whatever happens in it.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// A session in which nothing happens.
pub const SESSION_IDLE: Duration = Duration::from_secs(60 * 60);

/// That a session is used is written this often: a page asks several times a second.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Browsers that one person is signed in with at once; one more ends the oldest.
const SESSIONS_PER_ACCOUNT: u32 = 20;

pub const TOKENS_MAX: u64 = 1_000;
const LABEL_CHARS_MAX: usize = 100;

/// A link that nobody used for a day was lost.
pub const LINK_LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// Who a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub account: Account,
    /// What pages of this session send back with every change. It follows from the session's secret, and the secret does
    /// not follow from it.
    pub csrf: String,
}

/// A program that may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub key: ApiTokenKey,
    pub label: String,
    pub role: Role,
    /// For [`Role::User`]: whose meetings.
    pub user: Option<UserKey>,
    pub identity: Option<String>,
    pub made_by: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// To some minutes.
    pub last_used_at: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    pub label: String,
    pub role: Role,
    /// Must be there for [`Role::User`].
    pub user: Option<Identity>,
    /// `None`: it holds until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// What a link lets its holder do, once, as its row names it: make the first account, while there is none; or choose the
/// password of an account.
const FIRST_ADMINISTRATOR: &str = "first-administrator";
const SET_PASSWORD: &str = "set-password";

impl Store {
    // ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Begins a session; its secret, told this once.
    pub async fn open_session(&self, account: AccountKey, from: &str) -> Result<Secret, StoreError> {
        let now = self.now();
        let secret = new_secret("")?;
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let over = sql("DELETE FROM sessions WHERE opened_at <= $1 OR seen_at <= $2")
            .bind(now.before(SESSION_LASTS))
            .bind(now.before(SESSION_IDLE));
        transaction.execute(over).await?;
        let oldest = sql("DELETE FROM sessions WHERE account_key = $1 AND session_hash NOT IN
                (SELECT session_hash FROM sessions WHERE account_key = $1 ORDER BY opened_at DESC, session_hash LIMIT $2)")
        .bind(account)
        .bind(SESSIONS_PER_ACCOUNT.saturating_sub(1));
        transaction.execute(oldest).await?;
        let insert = sql("INSERT INTO sessions (session_hash, account_key, came_from, opened_at, seen_at)
              VALUES ($1, $2, $3, $4, $4)")
        .bind(hashed(&secret))
        .bind(account)
        .bind(from)
        .bind(now);
        transaction.execute(insert).await?;
        transaction.commit().await?;
        Ok(secret)
    }

    /// Who this session is. `None`: it is none, or over.
    pub async fn session(&self, secret: &Secret) -> Result<Option<SignedIn>, StoreError> {
        let now = self.now();
        let find = sql("SELECT s.seen_at, a.*, u.identity FROM sessions s
              JOIN accounts a ON a.account_key = s.account_key LEFT JOIN users u ON u.user_key = a.user_key
              WHERE s.session_hash = $1 AND s.opened_at > $2 AND s.seen_at > $3 AND NOT a.disabled")
        .bind(hashed(secret))
        .bind(now.before(SESSION_LASTS))
        .bind(now.before(SESSION_IDLE));
        let Some(row) = self.database().optional(find).await? else { return Ok(None) };
        if row.get::<Timestamp>("seen_at")? <= now.before(SEEN_EVERY) {
            let seen = sql("UPDATE sessions SET seen_at = $2 WHERE session_hash = $1").bind(hashed(secret)).bind(now);
            self.database().execute(seen).await?;
        }
        let csrf = hex(&[b"csrf ", secret.expose().as_bytes()].concat());
        Ok(Some(SignedIn { account: account_from(&row)?, csrf }))
    }

    /// Signs out.
    pub async fn close_session(&self, secret: &Secret) -> Result<(), StoreError> {
        self.database().execute(sql("DELETE FROM sessions WHERE session_hash = $1").bind(hashed(secret))).await?;
        Ok(())
    }

    // ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A token for a program; its secret, told this once.
    pub async fn make_token(&self, actor: &Actor, new: &NewApiToken) -> Result<(ApiToken, Secret), StoreError> {
        let now = self.now();
        let label = new.label.trim();
        if label.is_empty() || label.chars().count() > LABEL_CHARS_MAX || label.contains(char::is_control) {
            return Err(StoreError::Invalid(format!("a token's label has 1 to {LABEL_CHARS_MAX} characters")));
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(StoreError::Invalid(
                "this token would have expired already: its end must lie ahead".to_owned(),
            ));
        }
        let secret = new_secret("anteroom_")?;
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let count = transaction.one(sql("SELECT count(*) AS tokens FROM api_tokens")).await?;
        if count.get::<u64>("tokens")? >= TOKENS_MAX {
            return Err(StoreError::Conflict(format!("there are {TOKENS_MAX} tokens: revoke some first")));
        }
        let user = user_for(&mut transaction, new.role, new.user.as_ref()).await?;
        let insert = sql("INSERT INTO api_tokens (token_hash, label, role, user_key, made_by, created_at, expires_at)
              VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING token_key")
        .bind(hashed(&secret))
        .bind(label)
        .bind(new.role.name())
        .bind(user)
        .bind(&actor.who)
        .bind(now)
        .bind(new.expires_at);
        let key: ApiTokenKey = transaction.one(insert).await?.get("token_key")?;
        let token = token_of(&mut transaction, key).await?;
        write_audit(&mut transaction, &audit_entry(now, actor, "token.make", label, new.role.name())).await?;
        transaction.commit().await?;
        Ok((token, secret))
    }

    /// All of them, the newest first. There are [`TOKENS_MAX`] at most.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let list = sql("SELECT t.*, u.identity FROM api_tokens t LEFT JOIN users u ON u.user_key = t.user_key
              ORDER BY token_key DESC");
        self.database().all(list).await?.iter().map(token_from).collect()
    }

    /// It holds no more from this moment.
    pub async fn revoke_token(&self, actor: &Actor, key: ApiTokenKey) -> Result<ApiToken, StoreError> {
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let token = token_of(&mut transaction, key).await?;
        transaction.execute(sql("DELETE FROM api_tokens WHERE token_key = $1").bind(key)).await?;
        write_audit(&mut transaction, &audit_entry(self.now(), actor, "token.revoke", &token.label, "")).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Which program this is. `None`: none, or not any more.
    pub async fn token(&self, secret: &Secret) -> Result<Option<ApiToken>, StoreError> {
        let now = self.now();
        let find = sql("SELECT t.*, u.identity FROM api_tokens t LEFT JOIN users u ON u.user_key = t.user_key
              WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)")
        .bind(hashed(secret))
        .bind(now);
        let Some(row) = self.database().optional(find).await? else { return Ok(None) };
        let token = token_from(&row)?;
        if token.last_used_at.is_none_or(|at| at <= now.before(SEEN_EVERY)) {
            let used = sql("UPDATE api_tokens SET last_used_at = $2 WHERE token_key = $1").bind(token.key).bind(now);
            self.database().execute(used).await?;
        }
        Ok(Some(token))
    }

    // ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// The link that makes the first administrator, and until when it holds. `None`: there is an account already.
    ///
    /// It follows from the server key and its end. So each server that starts on this store tells the same link, and none
    /// takes back what another one has printed.
    pub async fn first_link(&self, actor: &Actor) -> Result<Option<(Secret, Timestamp)>, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        if transaction.optional(sql("SELECT account_key FROM accounts LIMIT 1")).await?.is_some() {
            return Ok(None);
        }
        let open = sql("SELECT expires_at FROM links WHERE purpose = $1 AND expires_at > $2");
        let open = transaction.optional(open.bind(FIRST_ADMINISTRATOR).bind(now)).await?;
        let (action, ends) = match open {
            Some(row) => ("link.show", row.get("expires_at")?),
            None => ("link.make", now.after(LINK_LASTS)),
        };
        let secret = Secret::new(self.hasher().fingerprint("first link", &ends.0.to_string())?);
        if action == "link.make" {
            let replaced = sql("DELETE FROM links WHERE purpose = $1").bind(FIRST_ADMINISTRATOR);
            transaction.execute(replaced).await?;
            put_link(&mut transaction, &secret, FIRST_ADMINISTRATOR, None, ends).await?;
        }
        let audit = audit_entry(now, actor, action, "first administrator", FIRST_ADMINISTRATOR);
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(Some((secret, ends)))
    }

    /// A link by which somebody chooses the password of this account, once, within a day; its secret, told this once. It
    /// replaces the one before.
    pub async fn make_link(&self, actor: &Actor, key: AccountKey) -> Result<Secret, StoreError> {
        let now = self.now();
        let secret = new_secret("")?;
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let account = account(&mut transaction, key).await?;
        let replaced = sql("DELETE FROM links WHERE expires_at <= $1 OR account_key = $2").bind(now).bind(key);
        transaction.execute(replaced).await?;
        put_link(&mut transaction, &secret, SET_PASSWORD, Some(key), now.after(LINK_LASTS)).await?;
        write_audit(&mut transaction, &audit_entry(now, actor, "link.make", account.name, SET_PASSWORD)).await?;
        transaction.commit().await?;
        Ok(secret)
    }

    /// Makes the first account, an administrator's, with its password. The link is used up.
    pub async fn first_administrator(
        &self,
        link: &Secret,
        name: &str,
        password: &Secret,
        from: &str,
    ) -> Result<Account, StoreError> {
        // Looked at first, so that nobody without one makes us hash.
        self.open_link(&mut self.database(), link, FIRST_ADMINISTRATOR).await?;
        let hash = self.hashed_password(name, password).await?;
        let now = self.now();
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        self.open_link(&mut transaction, link, FIRST_ADMINISTRATOR).await?;
        if transaction.optional(sql("SELECT account_key FROM accounts LIMIT 1")).await?.is_some() {
            return Err(StoreError::Conflict("there is an administrator already: ask for an account".to_owned()));
        }
        let new = NewAccount { name: name.to_owned(), role: Role::Administrator, user: None };
        let made = insert(&mut transaction, &new, now).await?;
        transaction.execute(sql("DELETE FROM links WHERE purpose = $1").bind(FIRST_ADMINISTRATOR)).await?;
        let made = put_password(&mut transaction, made.key, &hash, now).await?;
        let actor = Actor::new(&made.name, from);
        write_audit(&mut transaction, &audit_entry(now, &actor, "account.add", &made.name, "first administrator"))
            .await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Sets the password of the account whose link this is. The link is used up.
    pub async fn set_password_by_link(
        &self,
        link: &Secret,
        password: &Secret,
        from: &str,
    ) -> Result<Account, StoreError> {
        let key = self.open_link(&mut self.database(), link, SET_PASSWORD).await?.ok_or_else(no_link)?;
        let hash = self.hashed_password(&self.account(key).await?.name, password).await?;
        let now = self.now();
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        self.open_link(&mut transaction, link, SET_PASSWORD).await?;
        let account = put_password(&mut transaction, key, &hash, now).await?;
        if account.disabled {
            return Err(no_link());
        }
        let actor = Actor::new(&account.name, from);
        write_audit(&mut transaction, &audit_entry(now, &actor, "account.password", &account.name, "by link")).await?;
        transaction.commit().await?;
        Ok(account)
    }

    /// The account of this link, where it has one.
    async fn open_link(
        &self,
        ask: &mut impl Ask,
        link: &Secret,
        purpose: &str,
    ) -> Result<Option<AccountKey>, StoreError> {
        let find = sql("SELECT account_key FROM links WHERE link_hash = $1 AND purpose = $2 AND expires_at > $3")
            .bind(hashed(link))
            .bind(purpose)
            .bind(self.now());
        ask.optional(find).await?.ok_or_else(no_link)?.get("account_key")
    }
}

/// Of a link only its hash is kept.
async fn put_link(
    transaction: &mut Transaction,
    link: &Secret,
    purpose: &str,
    account: Option<AccountKey>,
    ends: Timestamp,
) -> Result<(), StoreError> {
    let insert = sql("INSERT INTO links (link_hash, purpose, account_key, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(hashed(link))
        .bind(purpose)
        .bind(account)
        .bind(ends);
    transaction.execute(insert).await?;
    Ok(())
}

fn no_link() -> StoreError {
    StoreError::Invalid("this link holds no more, or was used: ask for a new one".to_owned())
}

async fn token_of(ask: &mut impl Ask, key: ApiTokenKey) -> Result<ApiToken, StoreError> {
    let find = sql("SELECT t.*, u.identity FROM api_tokens t LEFT JOIN users u ON u.user_key = t.user_key
          WHERE t.token_key = $1")
    .bind(key);
    let row = ask.optional(find).await?;
    token_from(&row.ok_or_else(|| StoreError::NotThere { what: "token", name: key.to_string() })?)
}

fn token_from(row: &Row) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        key: row.get("token_key")?,
        label: row.get("label")?,
        role: row.get("role")?,
        user: row.get("user_key")?,
        identity: row.get("identity")?,
        made_by: row.get("made_by")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}

/// 256 random bits as text. The prefix lets scanners for leaked secrets know it.
fn new_secret(prefix: &str) -> Result<Secret, StoreError> {
    let mut bytes = [0_u8; 32];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("the operating system gives no random numbers: {error}")))?;
    let mut text = prefix.to_owned();
    text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
    Ok(Secret::new(text))
}

fn hashed(secret: &Secret) -> String {
    hex(secret.expose().as_bytes())
}

/// SHA-256 as text.
fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
