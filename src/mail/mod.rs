//! Layer 4: what people get by mail: conference IDs, numbers, PINs, and invitations to scheduled meetings.
//!
//! ```text
//!  an operation ─▶ store: outbox row, in its own transaction ─▶ worker ─▶ letter (texts, facts) ─▶ smtp ─▶ mail server
//!                        │ a PIN in it is sealed                   │
//!                        └──────── erased when sent or given up ◀──┘
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`letter`] | the five mails to users: what each says, with which facts; `texts/` has the built-in texts |
//! | [`template`] | a text with `{{places}}`, which an organization can replace |
//! | [`language`] | names of languages |
//! | [`invitation`] | text and calendar file for a scheduled meeting |
//! | [`worker`] | empties the outbox: tries, waits, gives up |
//! | [`smtp`] | one conversation with a mail server |
//!
//! Invariants: a mail's text is made when it is sent, so it tells what holds then. A PIN goes from the seal into the mail
//! and nowhere else: no log, error or row has it. A mail has one Message-ID from its first try to its last, and is handed
//! over at most twice.

pub mod invitation;
pub mod language;
pub mod letter;
pub mod smtp;
pub mod template;
pub mod worker;

pub use invitation::Invitation;
pub use letter::Part;
pub use worker::Worker;

use crate::config::MailConfig;
use crate::credentials::{Number, Settings, User};

/// Whom mails are from: as the organization says, or as this server's configuration does.
pub fn sender<'a>(settings: &'a Settings, config: &'a MailConfig) -> Option<&'a str> {
    settings.mail_from.as_deref().or(config.from.as_deref())
}

/// The numbers as this user's mails and invitations name them: his own one first, then the default one, then the others.
pub fn numbers_for(user: &User, mut numbers: Vec<Number>) -> Vec<Number> {
    numbers.sort_by_key(|number| (user.number != Some(number.key), !number.is_default));
    numbers
}

/// Whether mail can be sent to this address.
pub fn is_address(text: &str) -> bool {
    // RFC 5321, 4.5.3.1.3: a path has 256 octets, two of them the angle brackets.
    text.len() <= 254 && text.parse::<lettre::Address>().is_ok()
}
