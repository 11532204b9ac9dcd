//! Enabling and disabling users, and giving them PINs and conference IDs.

use super::contract::{Actor, Enabled, Identity, Page, StoreError, User, UserChange, UserDetails};
use super::database::{Ask, sql};
use super::outbox::{self, MailKind, MailWish};
use super::pin;
use super::rows::common::{enabled_user, user_from, user_lock, write_audit};
use super::rows::{Enabling, NewPin, NewUser, audit_entry};
use super::settings::lobby_policy_name;
use super::store::{CONFERENCE_ID_DRAWS, Store};
use crate::words::ids::{ConferenceId, UserKey};
use crate::words::secret::Secret;

impl Store {
    /// Gives a user a conference ID and a PIN. Enabling twice changes nothing. Who was disabled comes back with his
    /// settings, and with a new ID and PIN.
    /// The mail that is wished for tells conference ID, numbers and PIN.
    pub async fn enable_user(
        &self,
        actor: &Actor,
        identity: &Identity,
        details: &UserDetails,
        mail: Option<&MailWish>,
    ) -> Result<Enabled, StoreError> {
        if let Some(user) = self.rows().user(identity).await?.filter(|user| user.enabled) {
            return Ok(Enabled::Already { user });
        }
        let settings = self.settings().await?;
        for _ in 0..CONFERENCE_ID_DRAWS {
            let conference_id = pin::generate_conference_id()?;
            let pin = pin::generate_pin(settings.pin_length, identity, &conference_id)?;
            let new = NewUser {
                identity: identity.clone(),
                name: details.name.trim().to_owned(),
                email: details.email.clone(),
                conference_id,
                pin: self.hashed(&pin).await?,
                allow_anonymous_start: settings.allow_anonymous_start,
                lobby_policy: settings.lobby_policy,
            };
            let detail = format!("conference ID {conference_id}{}", mailed(mail));
            let audit = audit_entry(self.now(), actor, "user.enable", identity, detail);
            let mail = self.new_mail(MailKind::Enabled, mail, Some(&pin))?;
            match self.rows().enable(&new, &audit, mail.as_ref()).await? {
                Enabling::New(user) => return Ok(Enabled::New { user, pin }),
                Enabling::Already(user) => return Ok(Enabled::Already { user }),
                Enabling::ConferenceIdTaken => {}
            }
        }
        Err(StoreError::NoFreeConferenceId(CONFERENCE_ID_DRAWS))
    }

    /// His conference ID is refused at once, and his PIN is forgotten.
    pub async fn disable_user(
        &self,
        actor: &Actor,
        identity: &Identity,
        mail: Option<&MailWish>,
    ) -> Result<User, StoreError> {
        let audit = audit_entry(self.now(), actor, "user.disable", identity, mailed(mail).trim_start());
        let mail = self.new_mail(MailKind::Disabled, mail, None)?;
        self.rows().disable(identity, &audit, mail.as_ref()).await
    }

    pub async fn change_user(
        &self,
        actor: &Actor,
        identity: &Identity,
        change: &UserChange,
    ) -> Result<User, StoreError> {
        let mut detail = Vec::new();
        detail.extend(change.name.as_ref().map(|name| format!("name={name}")));
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
        detail.extend(change.email.as_ref().map(|email| format!("email={}", or_none(email.clone()))));
        detail.extend(change.number.map(|number| format!("number={}", or_none(number.map(|key| key.to_string())))));
        detail.extend(change.allow_anonymous_start.map(|allow| format!("allow_anonymous_start={allow}")));
        detail.extend(change.lobby_policy.map(|policy| format!("lobby_policy={}", lobby_policy_name(policy))));
        let audit = audit_entry(self.now(), actor, "user.set", identity, detail.join(" "));
        self.rows().change_user(identity, change, &audit).await
    }

    /// The one time that the new PIN is shown. The old one is wrong from this moment.
    pub async fn reset_pin(
        &self,
        actor: &Actor,
        identity: &Identity,
        mail: Option<&MailWish>,
    ) -> Result<(User, Secret), StoreError> {
        let user = self.user(identity).await?;
        let Some(conference_id) = user.conference_id else {
            return Err(StoreError::NotEnabled(identity.clone()));
        };
        let pin = pin::generate_pin(self.settings().await?.pin_length, identity, &conference_id)?;
        let hashed = self.hashed(&pin).await?;
        let audit = audit_entry(self.now(), actor, "user.reset-pin", identity, mailed(mail).trim_start());
        let mail = self.new_mail(MailKind::PinReset, mail, Some(&pin))?;
        let user = self.rows().replace_pin(identity, &hashed, &audit, mail.as_ref()).await?;
        Ok((user, pin))
    }

    /// A new conference ID; the old one is refused from this moment. The PIN stays.
    pub async fn reset_conference_id(
        &self,
        actor: &Actor,
        identity: &Identity,
        mail: Option<&MailWish>,
    ) -> Result<User, StoreError> {
        let before = self.user(identity).await?;
        for _ in 0..CONFERENCE_ID_DRAWS {
            let id = pin::generate_conference_id()?;
            if self.gives_away_pin(before.key, &id).await? {
                continue;
            }
            let audit = audit_entry(self.now(), actor, "user.reset-conference-id", identity, mailed(mail).trim_start());
            let mail = self.new_mail(MailKind::ConferenceIdChanged, mail, None)?;
            if let Some(user) = self.rows().replace_conference_id(identity, id, &audit, mail.as_ref()).await? {
                return Ok(user);
            }
        }
        Err(StoreError::NoFreeConferenceId(CONFERENCE_ID_DRAWS))
    }

    /// A mail with his conference ID and the numbers, never the PIN.
    pub async fn send_info(&self, actor: &Actor, identity: &Identity, mail: &MailWish) -> Result<User, StoreError> {
        let audit = audit_entry(self.now(), actor, "user.send-info", identity, mailed(Some(mail)).trim_start());
        let new = self.new_mail(MailKind::ConferenceInfo, Some(mail), None)?;
        let mut transaction = self.database().change(&user_lock(identity)).await?;
        let user = enabled_user(&mut transaction, identity).await?;
        write_audit(&mut transaction, &audit).await?;
        if let Some(new) = new {
            outbox::write(&mut transaction, &new, user.key, audit.at).await?;
        }
        transaction.commit().await?;
        Ok(user)
    }

    /// Whether the user's PIN, of which only the hash is known, stands in this conference ID.
    pub(super) async fn gives_away_pin(&self, organizer: UserKey, id: &ConferenceId) -> Result<bool, StoreError> {
        let Some((hash, digits)) = self.rows().kept_pin(organizer).await? else {
            return Ok(false);
        };
        for part in pin::parts(id, usize::try_from(digits).unwrap_or(usize::MAX)) {
            if self.hasher().verify(&part, &hash).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub async fn user(&self, identity: &Identity) -> Result<User, StoreError> {
        self.rows().user(identity).await?.ok_or_else(|| StoreError::NoUser(identity.clone()))
    }

    pub async fn user_by_key(&self, key: UserKey) -> Result<User, StoreError> {
        let row = self.database().optional(sql("SELECT * FROM shown_users WHERE user_key = $1").bind(key)).await?;
        let user = row.as_ref().map(user_from).transpose()?;
        user.ok_or_else(|| StoreError::NotThere { what: "user with key", name: key.to_string() })
    }

    pub async fn users(&self, page: &Page) -> Result<Vec<User>, StoreError> {
        self.rows().users(page).await
    }

    /// How many users a list has in all.
    pub async fn count_users(&self, search: Option<&str>, disabled: bool) -> Result<u64, StoreError> {
        self.rows().count_users(search, disabled).await
    }

    /// Whether there ever was a user, also one who is disabled now.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        self.rows().has_users().await
    }

    async fn hashed(&self, pin: &Secret) -> Result<NewPin, StoreError> {
        let hash = self.hasher().hash(pin).await?;
        Ok(NewPin { hash, digits: u32::try_from(pin.len()).unwrap_or(u32::MAX) })
    }
}

/// For the audit: where a mail goes.
fn mailed(mail: Option<&MailWish>) -> String {
    mail.map_or_else(String::new, |mail| format!(" mail to {}", mail.to))
}
