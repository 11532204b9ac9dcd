//! People who sign in: administrators, operators, and users who look after their own meetings. Not every user has an
//! account, and administrators need not be users.

use super::contract::{Actor, Identity, StoreError, Timestamp};
use super::database::query::read_columns;
use super::database::{Ask, Row, Transaction, sql};
use super::keys::AccountKey;
use super::rows::audit_entry;
use super::rows::common::{lowered, user_by_identity, write_audit};
use super::store::Store;
use crate::words::ids::UserKey;
use crate::words::secret::Secret;

/// The lock of who changes accounts: the last administrator is counted under it.
pub(super) const ACCOUNTS_LOCK: &str = "accounts";

const NAME_CHARS_MAX: usize = 128;

/// Short ones are guessed, whatever is in them (NIST SP 800-63B, section 5.1.1.2). Long ones are phrases.
pub const PASSWORD_CHARS_MIN: usize = 10;
pub const PASSWORD_CHARS_MAX: usize = 200;

/// What somebody may do. Each role may do all that those above it in this list may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees himself: his conference ID and numbers; plans meetings; starts his own.
    User,
    /// Looks at and acts on what goes on.
    Operator,
    Administrator,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::User, Role::Operator, Role::Administrator];

    pub fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        }
    }

    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

read_columns! {
    Role, String, |held| Role::from_name(&held);
}

/// Somebody who can sign in. His password is not among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub key: AccountKey,
    /// Lower case.
    pub name: String,
    pub role: Role,
    /// Whose meetings he looks after, where he is a user.
    pub user: Option<UserKey>,
    pub identity: Option<String>,
    pub created_at: Timestamp,
    pub disabled: bool,
    /// `None`: he has chosen none yet, and can't sign in.
    pub password_set_at: Option<Timestamp>,
}

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    pub name: String,
    pub role: Role,
    /// Must be there for [`Role::User`].
    pub user: Option<Identity>,
}

/// Which accounts a list shows, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    /// In the name.
    pub search: Option<String>,
    /// Begin after this name.
    pub after: Option<String>,
    pub limit: u32,
}

impl Store {
    pub async fn has_accounts(&self) -> Result<bool, StoreError> {
        Ok(self.database().optional(sql("SELECT account_key FROM accounts LIMIT 1")).await?.is_some())
    }

    pub async fn accounts(&self, page: &AccountPage) -> Result<Vec<Account>, StoreError> {
        let list = sql("SELECT a.*, u.identity FROM accounts a LEFT JOIN users u ON u.user_key = a.user_key
              WHERE a.name > $1 AND ($2 IS NULL OR instr(a.name, $2) > 0)
              ORDER BY a.name LIMIT $3")
        .bind(page.after.as_deref().unwrap_or_default())
        .bind(page.search.as_deref().map(lowered))
        .bind(page.limit);
        self.database().all(list).await?.iter().map(account_from).collect()
    }

    pub async fn account(&self, key: AccountKey) -> Result<Account, StoreError> {
        account(&mut self.database(), key).await
    }

    /// By the name with which somebody signs in.
    pub async fn account_by_name(&self, name: &str) -> Result<Account, StoreError> {
        let name = plain_name(name);
        by_name(&mut self.database(), &name).await?.ok_or_else(|| {
            let shown = name.chars().filter(|c| !c.is_control()).take(64).collect();
            StoreError::NotThere { what: "account", name: shown }
        })
    }

    /// Makes an account without a password: a link lets its owner choose one.
    pub async fn add_account(&self, actor: &Actor, new: &NewAccount) -> Result<Account, StoreError> {
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let account = insert(&mut transaction, new, self.now()).await?;
        let audit = audit_entry(self.now(), actor, "account.add", &account.name, account.role.name());
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(account)
    }

    /// Another role; whoever is signed in has it from the next request on.
    pub async fn change_role(&self, actor: &Actor, key: AccountKey, role: Role) -> Result<Account, StoreError> {
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let before = account(&mut transaction, key).await?;
        if role == Role::User && before.user.is_none() {
            return Err(StoreError::Conflict(format!("{} belongs to no user: role user needs one", before.name)));
        }
        if before.role != role {
            let update = sql("UPDATE accounts SET role = $2 WHERE account_key = $1").bind(key).bind(role.name());
            transaction.execute(update).await?;
            refuse_without_administrator(&mut transaction).await?;
            let detail = format!("from {} to {}", before.role.name(), role.name());
            write_audit(&mut transaction, &audit_entry(self.now(), actor, "account.role", &before.name, detail))
                .await?;
        }
        let after = account(&mut transaction, key).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Nobody signs in to it any more, and whoever is signed in is not any more; or they can again.
    pub async fn disable_account(&self, actor: &Actor, key: AccountKey, disabled: bool) -> Result<Account, StoreError> {
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let before = account(&mut transaction, key).await?;
        if before.disabled != disabled {
            let update = sql("UPDATE accounts SET disabled = $2 WHERE account_key = $1").bind(key).bind(disabled);
            transaction.execute(update).await?;
            transaction.execute(sql("DELETE FROM sessions WHERE account_key = $1").bind(key)).await?;
            transaction.execute(sql("DELETE FROM links WHERE account_key = $1").bind(key)).await?;
            refuse_without_administrator(&mut transaction).await?;
            let action = if disabled { "account.disable" } else { "account.enable" };
            write_audit(&mut transaction, &audit_entry(self.now(), actor, action, &before.name, "")).await?;
        }
        transaction.commit().await?;
        Ok(Account { disabled, ..before })
    }

    /// Whose password this is. `None`: nobody's, and it takes the same time whether there is such a name.
    pub async fn verify_password(&self, name: &str, password: &Secret) -> Result<Option<Account>, StoreError> {
        let find = sql("SELECT a.*, u.identity FROM accounts a LEFT JOIN users u ON u.user_key = a.user_key
                        WHERE a.name = $1")
        .bind(plain_name(name));
        let row = self.database().optional(find).await?;
        let hash: Option<String> = row.as_ref().map(|row| row.get("password_hash")).transpose()?.flatten();
        // Longer ones can't be right, and are not worth hashing.
        let password = if password.len() > 4 * PASSWORD_CHARS_MAX { Secret::default() } else { password.clone() };
        let right = match &hash {
            Some(hash) => self.hasher().verify(&password, hash).await?,
            None => {
                self.hasher().verify_nothing(&password).await?;
                false
            }
        };
        let account = row.as_ref().filter(|_| right).map(account_from).transpose()?;
        Ok(account.filter(|account| !account.disabled))
    }

    /// A new password. Whoever is signed in to the account is not any more.
    pub async fn set_password(&self, actor: &Actor, key: AccountKey, password: &Secret) -> Result<Account, StoreError> {
        let name = self.account(key).await?.name;
        let hash = self.hashed_password(&name, password).await?;
        let mut transaction = self.database().change(ACCOUNTS_LOCK).await?;
        let account = put_password(&mut transaction, key, &hash, self.now()).await?;
        write_audit(&mut transaction, &audit_entry(self.now(), actor, "account.password", &name, "")).await?;
        transaction.commit().await?;
        Ok(account)
    }

    pub(super) async fn hashed_password(&self, name: &str, password: &Secret) -> Result<String, StoreError> {
        let chars = password.expose().chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
            return Err(StoreError::Invalid(format!(
                "a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
            )));
        }
        let lower = password.expose().to_lowercase();
        let first = lower.chars().next();
        if lower == plain_name(name) || lower.chars().all(|c| Some(c) == first) {
            return Err(StoreError::Invalid(
                "this password is too easy: choose some words that belong to nobody".to_owned(),
            ));
        }
        self.hasher().hash(password).await
    }
}

pub(super) async fn account(ask: &mut impl Ask, key: AccountKey) -> Result<Account, StoreError> {
    let find = sql("SELECT a.*, u.identity FROM accounts a LEFT JOIN users u ON u.user_key = a.user_key
                    WHERE a.account_key = $1")
    .bind(key);
    let row = ask.optional(find).await?;
    let row = row.ok_or_else(|| StoreError::NotThere { what: "account", name: key.to_string() })?;
    account_from(&row)
}

async fn by_name(ask: &mut impl Ask, name: &str) -> Result<Option<Account>, StoreError> {
    let find = sql("SELECT a.*, u.identity FROM accounts a LEFT JOIN users u ON u.user_key = a.user_key
                    WHERE a.name = $1")
    .bind(name);
    ask.optional(find).await?.as_ref().map(account_from).transpose()
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    new: &NewAccount,
    now: Timestamp,
) -> Result<Account, StoreError> {
    let name = plain_name(&new.name);
    let wrong = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"'\\".contains(c);
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(wrong) {
        return Err(StoreError::Invalid(format!(
            "a sign-in's name has 1 to {NAME_CHARS_MAX} characters, no spaces, no commas or quotes"
        )));
    }
    if by_name(transaction, &name).await?.is_some() {
        return Err(StoreError::Conflict(format!("there is an account {name} already")));
    }
    let user = user_for(transaction, new.role, new.user.as_ref()).await?;
    let insert = sql("INSERT INTO accounts (name, role, user_key, created_at, disabled)
          VALUES ($1, $2, $3, $4, FALSE) RETURNING account_key")
    .bind(&name)
    .bind(new.role.name())
    .bind(user)
    .bind(now);
    let key = transaction.one(insert).await?.get("account_key")?;
    account(transaction, key).await
}

/// For which user a sign-in or a token of this role is to be.
pub(super) async fn user_for(
    transaction: &mut Transaction,
    role: Role,
    user: Option<&Identity>,
) -> Result<Option<UserKey>, StoreError> {
    match user {
        Some(identity) => {
            let user = user_by_identity(transaction, identity).await?;
            Ok(Some(user.ok_or_else(|| StoreError::NoUser(identity.clone()))?.key))
        }
        None if role == Role::User => {
            Err(StoreError::Invalid("role user needs a user: say whose meetings it is for".to_owned()))
        }
        None => Ok(None),
    }
}

/// Whoever knew the old password, and every link to choose one, is out.
pub(super) async fn put_password(
    transaction: &mut Transaction,
    key: AccountKey,
    hash: &str,
    now: Timestamp,
) -> Result<Account, StoreError> {
    let update = sql("UPDATE accounts SET password_hash = $2, password_set_at = $3 WHERE account_key = $1")
        .bind(key)
        .bind(hash)
        .bind(now);
    transaction.execute(update).await?;
    transaction.execute(sql("DELETE FROM sessions WHERE account_key = $1").bind(key)).await?;
    transaction.execute(sql("DELETE FROM links WHERE account_key = $1").bind(key)).await?;
    account(transaction, key).await
}

/// To be asked in the transaction that may have taken the last one.
async fn refuse_without_administrator(transaction: &mut Transaction) -> Result<(), StoreError> {
    let left = sql("SELECT count(*) AS administrators FROM accounts WHERE role = 'administrator' AND NOT disabled");
    if transaction.one(left).await?.get::<u64>("administrators")? == 0 {
        return Err(StoreError::Conflict("this is the last administrator: make another one first".to_owned()));
    }
    Ok(())
}

pub(super) fn account_from(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        key: row.get("account_key")?,
        name: row.get("name")?,
        role: row.get("role")?,
        user: row.get("user_key")?,
        identity: row.get("identity")?,
        created_at: row.get("created_at")?,
        disabled: row.get("disabled")?,
        password_set_at: row.get("password_set_at")?,
    })
}

fn plain_name(name: &str) -> String {
    name.trim().to_lowercase()
}
