//! The words of the credential store: who asks, about whom, and what can go wrong.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::keys::NumberKey;
use crate::words::answer::LobbyPolicy;
use crate::words::ids::{ConferenceId, UserKey};
use crate::words::limits::CALLER_TEXT_BYTES;
use crate::words::secret::Secret;

/// Milliseconds since 1970-01-01 UTC, as every row has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This much earlier.
    pub fn before(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(milliseconds(duration)))
    }

    /// This much later.
    pub fn after(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds(duration)))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// The wall clock, or a test's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Clock {
        Clock::from_fn(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp(milliseconds(since))
        })
    }

    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Where a caller's entry comes from: the number he calls from, as his trunk tells it, and the trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    caller: String,
    trunk: String,
}

impl Origin {
    /// Spelling does not make another caller: `+49 30 1234` and `+4930-1234` are one.
    pub fn new(caller: &str, trunk: &str) -> Origin {
        let mut plain = String::new();
        for c in caller.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '-' | '.' | '(' | ')'))
        {
            if plain.len().saturating_add(c.len_utf8()) > CALLER_TEXT_BYTES {
                break;
            }
            plain.extend(c.to_lowercase());
        }
        const WITHHELD: [&str; 6] = ["anonymous", "unknown", "unavailable", "restricted", "private", "withheld"];
        if WITHHELD.contains(&plain.as_str()) {
            plain.clear();
        }
        Origin { caller: plain, trunk: trunk.to_owned() }
    }

    /// Empty where the number is withheld: all such callers of a trunk are one, there is nothing to tell them apart by.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    pub fn trunk(&self) -> &str {
        &self.trunk
    }
}

/// Who administers, and from where: for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub who: String,
    pub from: String,
}

impl Actor {
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Actor {
        Actor { who: who.into(), from: from.into() }
    }
}

/// What a user is called: `anna@example.com`, or another name without spaces. Lower case, so that a trunk's assertion and
/// an administrator's spelling meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an identity is a name such as anna@example.com: up to 128 characters, no spaces, no commas or quotes")]
pub struct NotAnIdentity;

impl Identity {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    /// `sip:anna@example.com` is `anna@example.com`.
    fn from_str(text: &str) -> Result<Identity, NotAnIdentity> {
        let text = text.trim().to_lowercase();
        let text = text.strip_prefix("sips:").or_else(|| text.strip_prefix("sip:")).unwrap_or(&text);
        let fits = (1..=128).contains(&text.chars().count());
        let refused = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"'\\".contains(c);
        if fits && !text.contains(refused) && !text.starts_with('-') {
            Ok(Identity(text.to_owned()))
        } else {
            Err(NotAnIdentity)
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user as the store has him. His PIN is not among it: nobody can show what is kept only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub key: UserKey,
    pub identity: Identity,
    /// Empty where none was given.
    pub name: String,
    /// Where his mails go.
    pub email: Option<String>,
    /// The number that his mails and invitations name. `None`: the default one.
    pub number: Option<NumberKey>,
    pub enabled: bool,
    /// His own one. `None` while he is disabled.
    pub conference_id: Option<ConferenceId>,
    pub allow_anonymous_start: bool,
    pub lobby_policy: LobbyPolicy,
    pub created_at: Timestamp,
    /// When his PIN was made. `None` while he is disabled.
    pub pin_set_at: Option<Timestamp>,
}

/// What of a user is to change. `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    pub name: Option<String>,
    /// `Some(None)` forgets it.
    pub email: Option<Option<String>>,
    /// `Some(None)`: the default one.
    pub number: Option<Option<NumberKey>>,
    pub allow_anonymous_start: Option<bool>,
    pub lobby_policy: Option<LobbyPolicy>,
}

/// What is told of a user when he is enabled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDetails {
    /// Empty: as it was, where he was here before.
    pub name: String,
    /// `None`: as it was.
    pub email: Option<String>,
}

/// What enabling did.
#[derive(Debug)]
pub enum Enabled {
    /// The one time that this PIN is shown.
    New { user: User, pin: Secret },
    /// He was enabled before; nothing changed.
    Already { user: User },
}

/// Which users a list shows, in the order of their identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the identity, the name or the conference ID, upper or lower case.
    pub search: Option<String>,
    /// Begin after this identity.
    pub after: Option<String>,
    pub limit: u32,
    /// Also those who are disabled.
    pub disabled: bool,
}

impl Default for Page {
    fn default() -> Page {
        Page { search: None, after: None, limit: 100, disabled: false }
    }
}

/// One line of the audit. There is no secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub actor: Actor,
    /// `user.reset-pin`, `settings.set`, …
    pub action: String,
    /// On whom or what.
    pub subject: String,
    pub detail: String,
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Away, locked, full, damaged: it may work later, and nothing was changed.
    #[error("the credential store can't be used now: {0}")]
    Unavailable(String),
    #[error("there is no user {0}")]
    NoUser(Identity),
    #[error("{0} is disabled; enable the user first")]
    NotEnabled(Identity),
    #[error(
        "no free conference ID was found in {0} tries: there are 9,000,000 in all, and retired ones rest for 90 days"
    )]
    NoFreeConferenceId(u32),
    #[error("{0}")]
    Setting(String),
    #[error("there is no {what} {name}")]
    NotThere { what: &'static str, name: String },
    /// As things stand it can't be done.
    #[error("{0}")]
    Conflict(String),
    /// What was given can't be taken.
    #[error("{0}")]
    Invalid(String),
}

/// Why the store can't be opened. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store.url: the store {path} can't be opened: {why} (choose another with --set store.url=sqlite:PATH)")]
    Database { path: PathBuf, why: String },
    #[error("store.url: the store {name} can't be opened: {why}")]
    Shared { name: String, why: String },
    #[error("the server key {path} can't be used: {why}")]
    Key { path: PathBuf, why: String },
    #[error(
        "store.key_file is missing: a store that machines share has no folder for its server key; name the same key file \
         on each of them (the first one makes it; copy it to the others), such as --set store.key_file=/etc/anteroom/anteroom.key"
    )]
    NoKeyFile,
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_however_his_number_is_written() {
        let origin = |caller: &str| Origin::new(caller, "carrier");
        assert_eq!(origin("+49 30 1234"), origin("+49 (30) 12-34"));
        assert_eq!(origin("Anonymous"), origin(""));
        assert_ne!(origin("+49301234"), origin("+49301235"));
        assert_ne!(origin("1"), Origin::new("1", "other"));
        assert!(origin(&"x".repeat(10_000)).caller().len() <= CALLER_TEXT_BYTES);
    }

    #[test]
    fn identities() {
        let identity = |text: &str| text.parse::<Identity>().map(|identity| identity.to_string());
        assert_eq!(identity(" Anna@Example.com").as_deref(), Ok("anna@example.com"));
        assert_eq!(identity("sip:anna@example.com").as_deref(), Ok("anna@example.com"));
        for wrong in ["", "  ", "a b", "a,b", "a\"b", "--json", "a\nb", &"x".repeat(129)] {
            assert_eq!(identity(wrong), Err(NotAnIdentity), "{wrong:?}");
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(1_700_000_000_999).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), format!("{} ms", i64::MAX));
    }
}
