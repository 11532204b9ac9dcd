//! The operations, each audited with who did it and from where.

use super::view::{AuditView, BudgetView, EnabledView, NewPinView, SettingView, ShownOnce, UserView};
use crate::credentials::{
    Actor, AuditPage, ClearBudgets, Enabled, Identity, Page, Store, StoreError, User, UserChange, UserDetails,
};
use crate::server::live::LiveError;
use crate::words::ids::ConferenceId;
use crate::words::secret::Secret;

/// The longest name of a user, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Why an operation was refused or failed. One line each; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("there is no conference ID {0}")]
    NoConference(ConferenceId),
    #[error("a name has up to {NAME_CHARS_MAX} characters, and no line breaks")]
    Name,
    #[error("nothing to change was given")]
    NothingToChange,
    #[error("this version sends no e-mail: pass the PIN on yourself, and leave --send-email and --send-email-to out")]
    NoEmail,
    #[error("this version sends no e-mail: `anteroom user show {0}` has what to pass on")]
    NoEmailOfInfo(Identity),
}

/// Whether a mail is wished for with an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// `None`: as the settings say.
    pub send: Option<bool>,
    /// Instead of the user's own address.
    pub to: Option<String>,
}

impl Mail {
    /// Refused before anything is done: a PIN that nobody gets would be worse than no reset.
    fn refuse_if_wished(&self) -> Result<(), AdminError> {
        if self.send == Some(true) || (self.send.is_none() && self.to.is_some()) {
            Err(AdminError::NoEmail)
        } else {
            Ok(())
        }
    }
}

/// Somebody who administers.
#[derive(Debug)]
pub struct Administrator<'a> {
    store: &'a Store,
    actor: Actor,
}

impl<'a> Administrator<'a> {
    pub fn new(store: &'a Store, actor: Actor) -> Administrator<'a> {
        Administrator { store, actor }
    }

    pub(super) fn store(&self) -> &Store {
        self.store
    }

    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Gives a user a conference ID and a PIN.
    pub async fn enable_user(&self, identity: &Identity, name: &str, mail: &Mail) -> Result<EnabledView, AdminError> {
        mail.refuse_if_wished()?;
        let name = checked_name(name)?;
        Ok(match self.store.enable_user(&self.actor, identity, &UserDetails { name, email: None }, None).await? {
            Enabled::New { user, pin } => EnabledView::New(new_pin_view(&user, pin)),
            Enabled::Already { user } => EnabledView::Already(UserView::from(&user)),
        })
    }

    pub async fn list_users(&self, page: &Page) -> Result<Vec<UserView>, AdminError> {
        Ok(self.store.users(page).await?.iter().map(UserView::from).collect())
    }

    pub async fn show_user(&self, identity: &Identity) -> Result<UserView, AdminError> {
        Ok(UserView::from(&self.store.user(identity).await?))
    }

    pub async fn disable_user(&self, identity: &Identity) -> Result<UserView, AdminError> {
        Ok(UserView::from(&self.store.disable_user(&self.actor, identity, None).await?))
    }

    pub async fn change_user(&self, identity: &Identity, change: &UserChange) -> Result<UserView, AdminError> {
        if *change == UserChange::default() {
            return Err(AdminError::NothingToChange);
        }
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let change = UserChange { name, ..change.clone() };
        Ok(UserView::from(&self.store.change_user(&self.actor, identity, &change).await?))
    }

    pub async fn reset_pin(&self, identity: &Identity, mail: &Mail) -> Result<NewPinView, AdminError> {
        mail.refuse_if_wished()?;
        let (user, pin) = self.store.reset_pin(&self.actor, identity, None).await?;
        Ok(new_pin_view(&user, pin))
    }

    pub async fn reset_conference_id(&self, identity: &Identity) -> Result<UserView, AdminError> {
        Ok(UserView::from(&self.store.reset_conference_id(&self.actor, identity, None).await?))
    }

    /// Conference ID and numbers by mail, never the PIN.
    pub async fn send_info(&self, identity: &Identity) -> Result<(), AdminError> {
        let user = self.store.user(identity).await?;
        Err(AdminError::NoEmailOfInfo(user.identity))
    }

    pub async fn settings(&self) -> Result<Vec<SettingView>, AdminError> {
        Ok(SettingView::all(&self.store.settings().await?))
    }

    /// Sets one; how it stands now.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<Vec<SettingView>, AdminError> {
        let settings = self.store.set_setting(&self.actor, key, value).await?;
        Ok(SettingView::all(&settings).into_iter().filter(|setting| setting.key == key).collect())
    }

    pub async fn budgets(&self) -> Result<Vec<BudgetView>, AdminError> {
        let settings = self.store.settings().await?;
        Ok(self.store.budgets().await?.iter().map(|count| BudgetView::new(count, &settings)).collect())
    }

    /// How many counts were cleared.
    pub async fn clear_budgets(&self, clear: ClearBudgets<'_>) -> Result<u64, AdminError> {
        Ok(self.store.clear_budgets(&self.actor, clear).await?)
    }

    /// The newest lines first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditView>, AdminError> {
        Ok(self.store.audit(&AuditPage::newest(limit)).await?.into_iter().map(AuditView::from).collect())
    }
}

fn new_pin_view(user: &User, pin: Secret) -> NewPinView {
    NewPinView {
        identity: user.identity.to_string(),
        // Whoever has a PIN has a conference ID: both come and go in one transaction.
        conference_id: user.conference_id.map(|id| id.to_string()).unwrap_or_default(),
        pin: ShownOnce::new(pin),
    }
}

fn checked_name(name: &str) -> Result<String, AdminError> {
    let name = name.trim();
    let fits = name.chars().count() <= NAME_CHARS_MAX && !name.contains(char::is_control);
    fits.then(|| name.to_owned()).ok_or(AdminError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Clock;

    async fn store() -> Store {
        Store::in_memory(Clock::system()).await.unwrap()
    }

    #[tokio::test]
    async fn a_wish_for_mail_is_refused_before_anything_happens() {
        let store = store().await;
        let administrator = Administrator::new(&store, Actor::new("anna", "test"));
        let bob: Identity = "bob@example.com".parse().unwrap();
        let enabled = administrator.enable_user(&bob, "Bob", &Mail::default()).await.unwrap();
        assert!(matches!(enabled, EnabledView::New(_)));
        let before = store.audit(&AuditPage::newest(10)).await.unwrap();
        for mail in [
            Mail { send: Some(true), to: None },
            Mail { send: Some(true), to: Some("bob@example.org".to_owned()) },
            Mail { send: None, to: Some("bob@example.org".to_owned()) },
        ] {
            assert_eq!(administrator.reset_pin(&bob, &mail).await.unwrap_err(), AdminError::NoEmail);
            assert_eq!(administrator.enable_user(&bob, "", &mail).await.unwrap_err(), AdminError::NoEmail);
        }
        assert_eq!(administrator.send_info(&bob).await.unwrap_err(), AdminError::NoEmailOfInfo(bob.clone()));
        assert_eq!(store.audit(&AuditPage::newest(10)).await.unwrap(), before);
        administrator.reset_pin(&bob, &Mail { send: Some(false), to: None }).await.unwrap();
    }

    #[tokio::test]
    async fn names_are_checked_and_nothing_is_no_change() {
        let store = store().await;
        let administrator = Administrator::new(&store, Actor::new("anna", "test"));
        let bob: Identity = "bob@example.com".parse().unwrap();
        for name in ["line\nbreak", &"x".repeat(201)] {
            assert_eq!(administrator.enable_user(&bob, name, &Mail::default()).await.unwrap_err(), AdminError::Name);
        }
        assert_eq!(
            administrator.change_user(&bob, &UserChange::default()).await.unwrap_err(),
            AdminError::NothingToChange
        );
    }
}
