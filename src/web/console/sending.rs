//! The part of a form that asks whether a mail goes out, and what a page says of the mail afterwards.

use serde::Deserialize;

use super::Console;
use super::flash::Flash;
use super::trouble::Trouble;
use crate::admin::{Mail, Mailed};

/// What the form shows.
#[derive(Debug)]
pub struct Sending {
    pub by_default: String,
}

impl Sending {
    pub async fn of(console: &Console) -> Result<Sending, Trouble> {
        let by_default = if console.site.store.settings().await?.auto_send_email {
            "As the settings say: send it"
        } else {
            "As the settings say: send nothing"
        };
        Ok(Sending { by_default: by_default.to_owned() })
    }
}

/// What the form brings back.
#[derive(Debug, Default, Deserialize)]
pub struct MailFields {
    /// `true`, `false`, or nothing: as the settings say.
    #[serde(default)]
    pub send: String,
    #[serde(default)]
    pub send_to: String,
}

impl MailFields {
    pub fn mail(&self) -> Mail {
        let to = self.send_to.trim();
        Mail { send: self.send.parse().ok(), to: (!to.is_empty()).then(|| to.to_owned()) }
    }
}

/// What became of a mail that has a PIN in it, for the one who sees that PIN now.
pub fn of_pin(mailed: &Mailed) -> String {
    match (&mailed.mailed_to, &mailed.not_mailed) {
        (Some(to), _) => format!("It also goes to {to} by e-mail."),
        (None, Some(why)) => format!("Pass it on now. No mail goes out: {why}."),
        (None, None) => "Pass it on now.".to_owned(),
    }
}

/// What became of a mail, after what was done.
pub fn told(done: &str, mailed: &Mailed) -> Flash {
    match (&mailed.mailed_to, &mailed.not_mailed) {
        (Some(to), _) => Flash::done(format!("{done} A mail goes to {to}.")),
        (None, Some(why)) => Flash::done(format!("{done} No mail goes out: {why}.")),
        (None, None) => Flash::done(done),
    }
}
