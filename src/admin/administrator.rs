//! Who administers, and why something is refused.

use std::time::Duration;

use super::bulk::BulkError;
use super::moment::NotAMoment;
use crate::config::MailConfig;
use crate::credentials::{Actor, Identity, NotAnIdentity, Store, StoreError};
use crate::mail::template::TemplateError;
use crate::server::live::LiveError;
use crate::words::ids::ConferenceId;

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
    #[error("{0}")]
    Refused(String),
    #[error("no server has taken it within {} s, and none will: does one run on this store (anteroom serve)?", .0.as_secs())]
    NoServer(Duration),
    #[error("a server has taken it, and has not told what came of it within {} s: look whether it was done", .0.as_secs())]
    NotTold(Duration),
    #[error(transparent)]
    Identity(#[from] NotAnIdentity),
    #[error(transparent)]
    Moment(#[from] NotAMoment),
    #[error(transparent)]
    Bulk(#[from] BulkError),
    #[error("the mail's {part}: {error}")]
    Template { part: &'static str, error: TemplateError },
    #[error("a name has up to {NAME_CHARS_MAX} characters, and no line breaks")]
    Name,
    #[error("an e-mail address is written like anna@example.com")]
    Address,
    #[error("nothing to change was given")]
    NothingToChange,
    #[error("an address for the mail was given, and that none is to be sent: leave one of them out")]
    MailContradiction,
    #[error("no mail server is configured (mail.smtp): pass on yourself what the user needs")]
    NoMailServer,
    #[error("it is not set whom mails are from (setting mail_from): pass on yourself what the user needs")]
    NoSender,
    #[error("{0} has no e-mail address: give one, or pass on yourself what the user needs")]
    NoAddress(Identity),
    #[error("there is no {what} {name}")]
    NotThere { what: &'static str, name: String },
}

/// Somebody who administers.
#[derive(Debug)]
pub struct Administrator<'a> {
    store: &'a Store,
    actor: Actor,
    mail: Option<&'a MailConfig>,
}

impl<'a> Administrator<'a> {
    /// One who can't send mails: [`Administrator::with_mail`].
    pub fn new(store: &'a Store, actor: Actor) -> Administrator<'a> {
        Administrator { store, actor, mail: None }
    }

    /// The configuration by which servers send mails: where it names no server, none are promised.
    #[must_use]
    pub fn with_mail(self, mail: &'a MailConfig) -> Administrator<'a> {
        Administrator { mail: Some(mail), ..self }
    }

    pub(super) fn store(&self) -> &Store {
        self.store
    }

    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(super) fn mail_config(&self) -> Option<&MailConfig> {
        self.mail
    }
}

pub(super) fn checked_name(name: &str) -> Result<String, AdminError> {
    let name = name.trim();
    let fits = name.chars().count() <= NAME_CHARS_MAX && !name.contains(char::is_control);
    fits.then(|| name.to_owned()).ok_or(AdminError::Name)
}
