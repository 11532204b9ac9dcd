//! What empties the outbox: claims a mail, writes it, hands it to the mail server, and tells the store what became of it.
//!
//! ```text
//!  every 2 s ─▶ claim one ─▶ write ─▶ hand in ─┬─ taken ────────────▶ sent
//!                  ▲                            ├─ refused ──────────▶ given up, an alert
//!                  │                            ├─ not now ──────────▶ later: 1 min, 2, 4 … 1 h; after 3 days given up, an alert
//!                  └────────── until none ──────┴─ nobody told ──────▶ nothing: its lease runs out, and it is tried once more
//! ```

use std::sync::Arc;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use tokio::sync::watch;

use super::letter::{Facts, Letter, Written, template_name};
use super::smtp::{Connection, SendError, TAKEN_WITHIN};
use super::{numbers_for, sender};
use crate::config::MailConfig;
use crate::credentials::{
    ClaimedMail, Identity, MailFailure, MailKind, MailPage, MailState, Settings, Store, StoreError, Timestamp,
};

/// How often the outbox is looked at. Other processes write into it too.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a claimed mail is left to its server: longer than the longest conversation about one.
const LEASE: Duration = TAKEN_WITHIN.saturating_mul(2);

const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A mail server that is away for longer is not coming back, and an old PIN is better reset than sent.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Empties the outbox of a store.
#[derive(Debug)]
pub struct Worker {
    store: Arc<Store>,
    config: MailConfig,
}

impl Worker {
    pub fn new(store: Arc<Store>, config: MailConfig) -> Worker {
        Worker { store, config }
    }

    /// Works until the sender of `ends` is gone.
    pub async fn run(self, mut ends: watch::Receiver<()>) {
        if self.config.smtp.is_none() {
            self.say_that_mails_wait().await;
            return;
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut store_was_there = true;
        loop {
            tokio::select! {
                _ = ends.changed() => return,
                _ = look.tick() => {}
            }
            let turn = self.turn().await;
            // Once when it goes, not every two seconds.
            if let (Err(error), true) = (&turn, store_was_there) {
                tracing::warn!(%error, "the outbox can't be looked at");
            }
            store_was_there = turn.is_ok();
        }
    }

    async fn say_that_mails_wait(&self) {
        let waiting = MailPage { state: Some(MailState::Queued), limit: 1, ..MailPage::default() };
        match self.store.outbox(&waiting).await {
            Ok(mails) if mails.is_empty() => {}
            Ok(_) => tracing::warn!("mails wait in the outbox, and no mail server is configured (mail.smtp)"),
            Err(error) => tracing::warn!(%error, "the outbox can't be looked at"),
        }
    }

    /// Sends what is due; how many mails went out.
    ///
    /// # Errors
    /// The store can't be used. What was claimed is tried again after its lease.
    pub async fn turn(&self) -> Result<u32, StoreError> {
        let Some(server) = &self.config.smtp else { return Ok(0) };
        let mut connection: Option<Connection> = None;
        let mut sent = 0_u32;
        while let Some(claimed) = self.store.claim_mails(1, LEASE).await?.pop() {
            let settings = self.store.settings().await?;
            let outcome = match self.written(&claimed, &settings).await? {
                Ok(message) => {
                    let open = match connection.take() {
                        Some(open) => Ok(open),
                        None => Connection::open(&self.config, server).await,
                    };
                    match open {
                        Ok(mut open) => {
                            let outcome = open.send(&message).await;
                            if !matches!(outcome, Err(SendError::NoService(_) | SendError::Unanswered(_))) {
                                connection = Some(open);
                            }
                            outcome
                        }
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            };
            let no_service = matches!(outcome, Err(SendError::NoService(_)));
            sent = sent.saturating_add(u32::from(outcome.is_ok()));
            self.settle(&claimed, outcome).await?;
            if no_service {
                break;
            }
        }
        if let Some(connection) = connection {
            connection.close().await;
        }
        Ok(sent)
    }

    /// Tells the store, and whoever looks after it.
    async fn settle(&self, claimed: &ClaimedMail, outcome: Result<(), SendError>) -> Result<(), StoreError> {
        let mail = &claimed.mail;
        let (key, kind, user) = (mail.key, mail.kind.name(), &mail.identity);
        let error = match outcome {
            Ok(()) => {
                tracing::info!(mail = %key, kind, user, "a mail was sent");
                return self.store.mail_sent(key).await;
            }
            Err(error) => error,
        };
        // A server that repeats the text of a mail in its answer must not bring a PIN into the store or the log.
        let repeats = claimed.pin.as_ref().is_some_and(|pin| error.to_string().contains(pin.expose()));
        let why =
            if repeats { "the mail server refused it, and repeated its text".to_owned() } else { error.to_string() };
        let now = self.store.now();
        let too_old = now >= mail.created_at.after(GIVE_UP_AFTER);
        match error {
            SendError::Unanswered(_) => {
                tracing::warn!(mail = %key, kind, user, why, "nobody told whether a mail was taken: it is tried once more");
                Ok(())
            }
            SendError::NoService(_) | SendError::Later(_) if !too_old => {
                let next = now.after(wait_after(mail.attempts));
                tracing::warn!(mail = %key, kind, user, why, next = %next, "a mail could not be sent yet");
                self.store.mail_failed(key, &why, MailFailure::TryAgain(next)).await
            }
            _ => {
                tracing::warn!(mail = %key, kind, user, why, "a mail was given up");
                let text = format!("the mail {kind} for {user} to {} was given up: {why}", mail.to);
                // First: a server that ends in between tells it twice rather than never.
                self.store.raise_alert("mail-given-up", &format!("{kind} for {user}"), &text).await?;
                self.store.mail_failed(key, &why, MailFailure::GiveUp).await
            }
        }
    }

    /// The mail as it goes out, or why it does not.
    async fn written(
        &self,
        claimed: &ClaimedMail,
        settings: &Settings,
    ) -> Result<Result<Message, SendError>, StoreError> {
        let ClaimedMail { mail, pin } = claimed;
        let Ok(identity) = mail.identity.parse::<Identity>() else {
            return Ok(Err(SendError::Refused("its user has no identity".to_owned())));
        };
        let user = self.store.user(&identity).await?;
        if !user.enabled && mail.kind != MailKind::Disabled {
            return Ok(Err(SendError::Refused(format!("{identity} was disabled since"))));
        }
        let numbers = numbers_for(&user, self.store.numbers().await?);
        let texts = self.store.mail_templates().await?;
        let own = |part| {
            let name = template_name(mail.kind, part);
            texts.iter().find(|(other, _)| *other == name).map(|(_, text)| text.clone())
        };
        let letter = match Letter::new(mail.kind, own) {
            Ok(letter) => letter,
            Err(error) => return Ok(Err(SendError::Refused(error.to_string()))),
        };
        let written = letter.write(&Facts {
            name: &user.name,
            identity: identity.as_str(),
            organization: &settings.organization,
            conference_id: user.conference_id,
            numbers: &numbers,
            pin: pin.as_ref(),
        });
        let Some(from) = sender(settings, &self.config) else {
            return Ok(Err(SendError::Later("no sender is set: settings set mail_from ADDRESS".to_owned())));
        };
        let message = message(&mail.to, (&settings.mail_from_name, from), &mail.message_id, mail.created_at, &written);
        Ok(message.map_err(SendError::Refused))
    }
}

/// One minute, two, four … an hour.
fn wait_after(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

/// As it goes over the wire: a text and an HTML part, of which the reader sees one (RFC 2046, 5.1.4).
fn message(
    to: &str,
    (from_name, from): (&str, &str),
    message_id: &str,
    at: Timestamp,
    written: &Written,
) -> Result<Message, String> {
    let address =
        |text: &str, what: &str| text.parse::<Address>().map_err(|_| format!("{what} {text} is no mail address"));
    let name = Some(from_name.to_owned()).filter(|name| !name.is_empty());
    let from = Mailbox::new(name, address(from, "the sender (setting mail_from)")?);
    let to = Mailbox::new(None, address(to, "the recipient")?);
    let written_at = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or_default());
    // RFC 3834, 5: no machine answers to it that somebody is on holiday.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let parts = MultiPart::alternative_plain_html(written.text.expose().to_owned(), written.html.expose().to_owned());
    Message::builder()
        .from(from)
        .to(to)
        .subject(written.subject.clone())
        .message_id(Some(message_id.to_owned()))
        .date(written_at)
        .raw_header(automatic)
        .multipart(parts)
        .map_err(|error| format!("the mail can't be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour() {
        let minutes: Vec<_> = (1..=9).map(|attempts| wait_after(attempts).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }
}
