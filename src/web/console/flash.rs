//! What an operation has to say on the page that follows it. It waits in memory, for one session and one page, is shown
//! once, and is forgotten after a minute.
//!
//! A new PIN travels this way too: the form's answer is a redirect, so that a reload neither resets again nor shows it
//! again, and no address, cookie or row ever holds it. Where another server answers the next request it is not shown;
//! the administrator then resets once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::words::secret::Secret;

/// How long it waits for its page.
const WAIT: Duration = Duration::from_secs(60);
/// How many may wait: far more than people who press buttons in one minute; above it the oldest is forgotten.
const WAITING_MAX: usize = 1_000;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Done,
    Refused,
    Note,
}

impl Kind {
    /// The icon's name, and the style's.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Done => "done",
            Kind::Refused => "refused",
            Kind::Note => "note",
        }
    }

    pub fn is_refusal(self) -> bool {
        self == Kind::Refused
    }
}

/// One line for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub kind: Kind,
    pub text: String,
}

impl Flash {
    pub fn done(text: impl Into<String>) -> Flash {
        Flash { kind: Kind::Done, text: text.into() }
    }

    pub fn refused(text: impl ToString) -> Flash {
        Flash { kind: Kind::Refused, text: sentence(&text.to_string()) }
    }

    pub fn note(text: impl Into<String>) -> Flash {
        Flash { kind: Kind::Note, text: text.into() }
    }
}

/// An error's one line as a sentence.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let begun: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if begun.ends_with(['.', '!', '?']) { begun } else { begun + "." }
}

/// A secret that a page shows this one time.
#[derive(Debug)]
pub struct Shown {
    pub title: String,
    pub secret: Secret,
    /// What to do with it.
    pub steps: Vec<String>,
}

impl Shown {
    /// A link or a token, not a PIN.
    pub fn is_long(&self) -> bool {
        self.secret.expose().len() > 16
    }
}

/// What a page takes.
#[derive(Debug, Default)]
pub struct Left {
    pub flashes: Vec<Flash>,
    pub shown: Option<Shown>,
}

struct Waiting {
    since: Instant,
    left: Left,
}

/// What waits for its page, by session and path.
#[derive(Default)]
pub struct Flashes {
    waiting: Mutex<HashMap<(String, String), Waiting>>,
}

impl Flashes {
    /// Leaves a line for the next showing of `path` to this session.
    pub fn leave(&self, session: &str, path: &str, flash: Flash) {
        self.put(session, path, |left| left.flashes.push(flash));
    }

    /// Leaves a secret for the next showing of `path` to this session, and nobody else.
    pub fn show_once(&self, session: &str, path: &str, shown: Shown) {
        self.put(session, path, |left| left.shown = Some(shown));
    }

    /// Takes what waits; a second time there is nothing.
    pub fn take(&self, session: &str, path: &str) -> Left {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut waiting);
        waiting.remove(&(session.to_owned(), path.to_owned())).map(|waiting| waiting.left).unwrap_or_default()
    }

    fn put(&self, session: &str, path: &str, change: impl FnOnce(&mut Left)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut waiting);
        if waiting.len() >= WAITING_MAX {
            let oldest = waiting.iter().min_by_key(|(_, waiting)| waiting.since).map(|(key, _)| key.clone());
            oldest.map(|key| waiting.remove(&key));
        }
        let key = (session.to_owned(), path.to_owned());
        let entry = waiting.entry(key).or_insert_with(|| Waiting { since: Instant::now(), left: Left::default() });
        entry.since = Instant::now();
        change(&mut entry.left);
    }
}

fn forget_old(waiting: &mut HashMap<(String, String), Waiting>) {
    waiting.retain(|_, waiting| waiting.since.elapsed() < WAIT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_is_for_one_session_one_page_and_one_time() {
        let flashes = Flashes::default();
        flashes.leave("a", "/users", Flash::done("It is done."));
        assert!(flashes.take("b", "/users").flashes.is_empty());
        assert!(flashes.take("a", "/numbers").flashes.is_empty());
        assert_eq!(flashes.take("a", "/users").flashes, [Flash::done("It is done.")]);
        assert!(flashes.take("a", "/users").flashes.is_empty());
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        assert_eq!(Flash::refused("nobody is called bob").text, "Nobody is called bob.");
    }

    #[test]
    fn no_more_wait_than_may() {
        let flashes = Flashes::default();
        for session in 0..WAITING_MAX + 5 {
            flashes.leave(&session.to_string(), "/", Flash::note("x"));
        }
        assert_eq!(flashes.waiting.lock().unwrap().len(), WAITING_MAX);
    }
}
