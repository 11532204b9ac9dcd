//! Whether a mail goes out with an operation, and to whom. It is decided before anything is done: a PIN that nobody gets
//! would be worse than no reset.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use crate::credentials::{Identity, MailWish};
use crate::mail;

/// What is wished for with an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// `None`: as the settings say.
    pub send: Option<bool>,
    /// Instead of the user's own address.
    pub to: Option<String>,
}

/// What becomes of the mail to the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mailed {
    /// The address; the mail is in the outbox.
    pub mailed_to: Option<String>,
    /// Why none goes out.
    pub not_mailed: Option<String>,
}

impl Mailed {
    pub(super) fn of(wish: Result<MailWish, String>) -> Mailed {
        match wish {
            Ok(wish) => Mailed { mailed_to: Some(wish.to), not_mailed: None },
            Err(why) => Mailed::not(why),
        }
    }

    pub(super) fn not(why: impl Into<String>) -> Mailed {
        Mailed { mailed_to: None, not_mailed: Some(why.into()) }
    }
}

impl Administrator<'_> {
    /// The mail that goes out, or why none does. `own`: the user's address.
    ///
    /// # Errors
    /// A mail was asked for, and can't be sent.
    pub(super) async fn decide_mail(
        &self,
        mail: &Mail,
        identity: &Identity,
        own: Option<&str>,
    ) -> Result<Result<MailWish, String>, AdminError> {
        let to = mail.to.as_deref().map(checked_address).transpose()?;
        let asked = match (mail.send, &to) {
            (Some(false), Some(_)) => return Err(AdminError::MailContradiction),
            (Some(false), None) => return Ok(Err("no mail was wanted".to_owned())),
            (Some(true), _) | (None, Some(_)) => true,
            (None, None) => false,
        };
        let settings = self.store().settings().await?;
        if !asked && !settings.auto_send_email {
            return Ok(Err("mail does not go out by itself (setting auto_send_email)".to_owned()));
        }
        let config = self.mail_config();
        let obstacle = if config.is_none_or(|config| config.smtp.is_none()) {
            Some(AdminError::NoMailServer)
        } else if config.is_none_or(|config| mail::sender(&settings, config).is_none()) {
            Some(AdminError::NoSender)
        } else {
            None
        };
        match (obstacle, to.or_else(|| own.map(str::to_owned))) {
            (None, Some(to)) => Ok(Ok(MailWish { to })),
            (Some(obstacle), _) if asked => Err(obstacle),
            (None, None) if asked => Err(AdminError::NoAddress(identity.clone())),
            (Some(obstacle), _) => Ok(Err(obstacle.to_string())),
            (None, None) => Ok(Err(AdminError::NoAddress(identity.clone()).to_string())),
        }
    }
}

pub(super) fn checked_address(text: &str) -> Result<String, AdminError> {
    let text = text.trim();
    if mail::is_address(text) { Ok(text.to_owned()) } else { Err(AdminError::Address) }
}
