//! Users: enabling and disabling, PINs and conference IDs.

use super::administrator::{AdminError, Administrator, checked_name};
use super::mailing::{Mail, Mailed, checked_address};
use super::view::{ChangedUserView, EnabledView, NewPinView, ShownOnce, UserView};
use crate::credentials::{Enabled, Identity, MailWish, Number, Page, User, UserChange, UserDetails};
use crate::mail::numbers_for;
use crate::words::secret::Secret;

impl Administrator<'_> {
    /// Gives a user a conference ID and a PIN.
    pub async fn enable_user(
        &self,
        identity: &Identity,
        details: &UserDetails,
        mail: &Mail,
    ) -> Result<EnabledView, AdminError> {
        let name = checked_name(&details.name)?;
        let email = details.email.as_deref().map(checked_address).transpose()?;
        let known = self.known_user(identity).await?;
        let own = email.clone().or_else(|| known.and_then(|user| user.email));
        let wish = self.decide_mail(mail, identity, own.as_deref()).await?;
        let details = UserDetails { name, email };
        Ok(match self.store().enable_user(self.actor(), identity, &details, wish.as_ref().ok()).await? {
            Enabled::New { user, pin } => EnabledView::New(new_pin_view(&user, pin, wish)),
            Enabled::Already { user } => EnabledView::Already(UserView::from(&user)),
        })
    }

    /// `None`: there never was one.
    async fn known_user(&self, identity: &Identity) -> Result<Option<User>, AdminError> {
        match self.store().user(identity).await {
            Ok(user) => Ok(Some(user)),
            Err(crate::credentials::StoreError::NoUser(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn list_users(&self, page: &Page) -> Result<Vec<UserView>, AdminError> {
        Ok(self.store().users(page).await?.iter().map(UserView::from).collect())
    }

    pub async fn count_users(&self, search: Option<&str>, disabled: bool) -> Result<u64, AdminError> {
        Ok(self.store().count_users(search, disabled).await?)
    }

    pub async fn show_user(&self, identity: &Identity) -> Result<UserView, AdminError> {
        Ok(UserView::from(&self.store().user(identity).await?))
    }

    /// The numbers by which this user's meetings are reached, the one to name first, first.
    pub async fn numbers_of(&self, identity: &Identity) -> Result<Vec<Number>, AdminError> {
        let user = self.store().user(identity).await?;
        Ok(numbers_for(&user, self.store().numbers().await?))
    }

    /// His conference IDs are refused at once.
    pub async fn disable_user(&self, identity: &Identity, mail: &Mail) -> Result<ChangedUserView, AdminError> {
        let wish = self.decide_mail_to(identity, mail).await?;
        let user = self.store().disable_user(self.actor(), identity, wish.as_ref().ok()).await?;
        Ok(ChangedUserView { user: UserView::from(&user), mailed: Mailed::of(wish) })
    }

    pub async fn change_user(&self, identity: &Identity, change: &UserChange) -> Result<UserView, AdminError> {
        if *change == UserChange::default() {
            return Err(AdminError::NothingToChange);
        }
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let email = match &change.email {
            Some(Some(email)) => Some(Some(checked_address(email)?)),
            other => other.clone(),
        };
        let change = UserChange { name, email, ..change.clone() };
        Ok(UserView::from(&self.store().change_user(self.actor(), identity, &change).await?))
    }

    /// A new PIN; the old one is wrong from this moment.
    pub async fn reset_pin(&self, identity: &Identity, mail: &Mail) -> Result<NewPinView, AdminError> {
        let wish = self.decide_mail_to(identity, mail).await?;
        let (user, pin) = self.store().reset_pin(self.actor(), identity, wish.as_ref().ok()).await?;
        Ok(new_pin_view(&user, pin, wish))
    }

    /// A new conference ID; the old one is refused from this moment. The PIN stays.
    pub async fn reset_conference_id(&self, identity: &Identity, mail: &Mail) -> Result<ChangedUserView, AdminError> {
        let wish = self.decide_mail_to(identity, mail).await?;
        let user = self.store().reset_conference_id(self.actor(), identity, wish.as_ref().ok()).await?;
        Ok(ChangedUserView { user: UserView::from(&user), mailed: Mailed::of(wish) })
    }

    /// Conference ID and numbers by mail, never the PIN. `to`: instead of the user's own address.
    pub async fn send_info(&self, identity: &Identity, to: Option<&str>) -> Result<Mailed, AdminError> {
        let asked = Mail { send: Some(true), to: to.map(str::to_owned) };
        // Asked for, it is a wish or an error.
        match self.decide_mail_to(identity, &asked).await? {
            Ok(wish) => {
                self.store().send_info(self.actor(), identity, &wish).await?;
                Ok(Mailed::of(Ok(wish)))
            }
            Err(why) => Ok(Mailed::not(why)),
        }
    }

    async fn decide_mail_to(&self, identity: &Identity, mail: &Mail) -> Result<Result<MailWish, String>, AdminError> {
        let user = self.store().user(identity).await?;
        self.decide_mail(mail, identity, user.email.as_deref()).await
    }
}

fn new_pin_view(user: &User, pin: Secret, wish: Result<MailWish, String>) -> NewPinView {
    NewPinView {
        identity: user.identity.to_string(),
        // Whoever has a PIN has a conference ID: both come and go in one transaction.
        conference_id: user.conference_id.map(|id| id.to_string()).unwrap_or_default(),
        pin: ShownOnce::new(pin),
        mailed: Mailed::of(wish),
    }
}
