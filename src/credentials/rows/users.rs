//! Enabling, disabling and changing users; and the lists of them.

use super::common::{
    enabled_user, forget_callers_and_counts, is_taken, lowered, retire, search_text, user_by_identity, user_from,
    user_lock, write_audit,
};
use super::{Enabling, NewPin, NewUser, Rows};
use crate::credentials::contract::{AuditEntry, Identity, Page, StoreError, User, UserChange};
use crate::credentials::database::{Ask, Transaction, damaged, sql};
use crate::credentials::outbox::{self, NewMail};
use crate::credentials::settings::lobby_policy_name;
use crate::words::ids::{ConferenceId, UserKey};

impl Rows {
    pub async fn user(&self, identity: &Identity) -> Result<Option<User>, StoreError> {
        user_by_identity(&mut &self.database, identity).await
    }

    pub async fn users(&self, page: &Page) -> Result<Vec<User>, StoreError> {
        // First whom it is about, by what is looked through alone; then these few with all they have.
        let list = sql("SELECT * FROM shown_users WHERE user_key IN
                (SELECT user_key FROM users
                 WHERE (enabled OR $1) AND identity > $2 AND ($3 IS NULL OR instr(search_text, $3) > 0)
                 ORDER BY identity LIMIT $4)
              ORDER BY identity")
        .bind(page.disabled)
        // No identity is empty: all come after it.
        .bind(page.after.as_deref().unwrap_or(""))
        .bind(page.search.as_deref().map(lowered))
        .bind(page.limit);
        (&self.database).all(list).await?.iter().map(user_from).collect()
    }

    /// How many users the list has in all, page or not.
    pub async fn count_users(&self, search: Option<&str>, disabled: bool) -> Result<u64, StoreError> {
        let count = sql("SELECT count(*) AS users FROM users
              WHERE (enabled OR $1) AND ($2 IS NULL OR instr(search_text, $2) > 0)")
        .bind(disabled)
        .bind(search.map(lowered));
        (&self.database).one(count).await?.get("users")
    }

    /// Whether there ever was a user.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        Ok((&self.database).optional(sql("SELECT user_key FROM users LIMIT 1")).await?.is_some())
    }

    /// Digits of the user's PIN and its hash. `None`: no such user, or disabled.
    pub async fn kept_pin(&self, organizer: UserKey) -> Result<Option<(String, u32)>, StoreError> {
        let read = sql("SELECT pin_hash, pin_digits FROM users WHERE user_key = $1 AND enabled").bind(organizer);
        let Some(row) = (&self.database).optional(read).await? else { return Ok(None) };
        Ok(Some((row.get("pin_hash")?, row.get("pin_digits")?)))
    }

    pub async fn enable(
        &self,
        new: &NewUser,
        audit: &AuditEntry,
        mail: Option<&NewMail>,
    ) -> Result<Enabling, StoreError> {
        let mut transaction = self.database.change(&user_lock(&new.identity)).await?;
        let before = user_by_identity(&mut transaction, &new.identity).await?;
        if let Some(user) = before.clone().filter(|user| user.enabled) {
            return Ok(Enabling::Already(user));
        }
        if is_taken(&mut transaction, &new.conference_id, audit.at).await? {
            return Ok(Enabling::ConferenceIdTaken);
        }
        let name = match &before {
            Some(user) if new.name.is_empty() => &user.name,
            _ => &new.name,
        };
        // Who comes back keeps what he was allowed; the defaults are for who is new.
        let insert =
            sql("INSERT INTO users (identity, name, search_text, enabled, allow_anonymous_start, lobby_policy,
                                created_at, pin_hash, pin_digits, pin_set_at, pin_generation, email)
             VALUES ($1, $2, $3, TRUE, $4, $5, $6, $7, $8, $6, 1, $9)
             ON CONFLICT (identity) DO UPDATE SET
                 name = excluded.name, search_text = excluded.search_text, enabled = TRUE,
                 pin_hash = excluded.pin_hash, pin_digits = excluded.pin_digits, pin_set_at = excluded.pin_set_at,
                 pin_generation = users.pin_generation + 1, email = coalesce(excluded.email, users.email)
             RETURNING user_key")
            .bind(&new.identity)
            .bind(name)
            .bind(search_text(&[new.identity.as_str(), name, new.conference_id.as_str()]))
            .bind(new.allow_anonymous_start)
            .bind(lobby_policy_name(new.lobby_policy))
            .bind(audit.at)
            .bind(&new.pin.hash)
            .bind(new.pin.digits)
            .bind(new.email.as_deref());
        let organizer: UserKey = transaction.one(insert).await?.get("user_key")?;
        let give = sql("INSERT INTO conferences (conference_id, organizer, personal, created_at)
                        VALUES ($1, $2, TRUE, $3) ON CONFLICT (conference_id) DO NOTHING")
        .bind(&new.conference_id)
        .bind(organizer)
        .bind(audit.at);
        if transaction.execute(give).await? == 0 {
            // Another server gave it to somebody in this moment.
            return Ok(Enabling::ConferenceIdTaken);
        }
        write_audit(&mut transaction, audit).await?;
        if let Some(mail) = mail {
            outbox::write(&mut transaction, mail, organizer, audit.at).await?;
        }
        let user = user_by_identity(&mut transaction, &new.identity).await?;
        transaction.commit().await?;
        user.map(Enabling::New).ok_or_else(|| damaged("a new user is not there"))
    }

    /// Retires his conference IDs, and forgets his PIN, his known callers and his counts.
    pub async fn disable(
        &self,
        identity: &Identity,
        audit: &AuditEntry,
        mail: Option<&NewMail>,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.change(&user_lock(identity)).await?;
        let user = enabled_user(&mut transaction, identity).await?;
        retire(&mut transaction, user.key, false, audit.at).await?;
        forget_callers_and_counts(&mut transaction, user.key).await?;
        outbox::withdraw_pins(&mut transaction, user.key, audit.at).await?;
        for text in [
            "DELETE FROM conferences WHERE organizer = $1",
            "UPDATE users SET enabled = FALSE, pin_hash = NULL, pin_digits = NULL, pin_set_at = NULL
             WHERE user_key = $1",
        ] {
            transaction.execute(sql(text).bind(user.key)).await?;
        }
        put_search_text(&mut transaction, &user, None).await?;
        finish(transaction, &user, audit, mail).await
    }

    pub async fn change_user(
        &self,
        identity: &Identity,
        change: &UserChange,
        audit: &AuditEntry,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.change(&user_lock(identity)).await?;
        let user = enabled_user(&mut transaction, identity).await?;
        if let Some(Some(number)) = change.number {
            let find = sql("SELECT number_key FROM numbers WHERE number_key = $1").bind(number);
            if transaction.optional(find).await?.is_none() {
                return Err(StoreError::NotThere { what: "such number for", name: identity.to_string() });
            }
        }
        let name = change.name.as_ref().unwrap_or(&user.name);
        let conference_id = user.conference_id.as_ref().map_or("", ConferenceId::as_str);
        let update = sql("UPDATE users SET name = $2, search_text = $3, allow_anonymous_start = $4, lobby_policy = $5,
                                          email = $6, number = $7
             WHERE user_key = $1")
        .bind(user.key)
        .bind(name)
        .bind(search_text(&[identity.as_str(), name, conference_id]))
        .bind(change.allow_anonymous_start.unwrap_or(user.allow_anonymous_start))
        .bind(lobby_policy_name(change.lobby_policy.unwrap_or(user.lobby_policy)))
        .bind(change.email.as_ref().unwrap_or(&user.email).as_deref())
        .bind(change.number.unwrap_or(user.number));
        transaction.execute(update).await?;
        finish(transaction, &user, audit, None).await
    }

    /// Forgets his known callers and his counts too: what was guessed or given away is worth nothing any more.
    pub async fn replace_pin(
        &self,
        identity: &Identity,
        pin: &NewPin,
        audit: &AuditEntry,
        mail: Option<&NewMail>,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.change(&user_lock(identity)).await?;
        let user = enabled_user(&mut transaction, identity).await?;
        let update = sql("UPDATE users SET pin_hash = $2, pin_digits = $3, pin_set_at = $4,
                                          pin_generation = pin_generation + 1
             WHERE user_key = $1")
        .bind(user.key)
        .bind(&pin.hash)
        .bind(pin.digits)
        .bind(audit.at);
        transaction.execute(update).await?;
        forget_callers_and_counts(&mut transaction, user.key).await?;
        // A mail that still waits would bring a PIN that is wrong already.
        outbox::withdraw_pins(&mut transaction, user.key, audit.at).await?;
        finish(transaction, &user, audit, mail).await
    }

    /// Retires the old one; `audit` is told which that was. `None`: the new one is taken, and nothing was done.
    pub async fn replace_conference_id(
        &self,
        identity: &Identity,
        id: ConferenceId,
        audit: &AuditEntry,
        mail: Option<&NewMail>,
    ) -> Result<Option<User>, StoreError> {
        let mut transaction = self.database.change(&user_lock(identity)).await?;
        let user = enabled_user(&mut transaction, identity).await?;
        if is_taken(&mut transaction, &id, audit.at).await? {
            return Ok(None);
        }
        retire(&mut transaction, user.key, true, audit.at).await?;
        let update =
            sql("UPDATE conferences SET conference_id = $2 WHERE organizer = $1 AND personal").bind(user.key).bind(&id);
        transaction.execute(update).await?;
        put_search_text(&mut transaction, &user, Some(&id)).await?;
        let old = user.conference_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let detail = format!("from {old} to {id} {}", audit.detail).trim_end().to_owned();
        finish(transaction, &user, &AuditEntry { detail, ..audit.clone() }, mail).await.map(Some)
    }
}

/// By what he is found from now on: identity, name and this conference ID.
async fn put_search_text(
    transaction: &mut Transaction,
    user: &User,
    conference_id: Option<&ConferenceId>,
) -> Result<(), StoreError> {
    let text = search_text(&[user.identity.as_str(), &user.name, conference_id.map_or("", ConferenceId::as_str)]);
    let update = sql("UPDATE users SET search_text = $2 WHERE user_key = $1").bind(user.key).bind(text);
    transaction.execute(update).await?;
    Ok(())
}

/// What every change to a user ends with: its line in the audit and its mail are there with it, or nothing is.
async fn finish(
    mut transaction: Transaction,
    user: &User,
    audit: &AuditEntry,
    mail: Option<&NewMail>,
) -> Result<User, StoreError> {
    write_audit(&mut transaction, audit).await?;
    if let Some(mail) = mail {
        outbox::write(&mut transaction, mail, user.key, audit.at).await?;
    }
    let after = user_by_identity(&mut transaction, &user.identity).await?;
    transaction.commit().await?;
    after.ok_or_else(|| damaged("a user that was just changed is not there"))
}
