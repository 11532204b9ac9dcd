//! The keys of the rows that the shell knows beside users and conferences. A key is never used again.

use super::contract::Timestamp;
use super::database::Value;
use super::database::query::read_columns;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub u64);

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    std::fmt::Display::fmt(&self.0, f)
                }
            }

            impl std::str::FromStr for $name {
                type Err = std::num::ParseIntError;

                fn from_str(text: &str) -> Result<$name, Self::Err> {
                    text.parse().map($name)
                }
            }

            impl From<$name> for Value {
                fn from(key: $name) -> Value {
                    Value::from(key.0)
                }
            }

            impl From<Option<$name>> for Value {
                fn from(key: Option<$name>) -> Value {
                    Value::from(key.map(|key| key.0))
                }
            }

            read_columns! {
                $name, u64, |held| Some($name(held));
            }
        )*
    };
}

keys! {
    /// A dial-in number.
    NumberKey;
    /// A mail in the outbox.
    MailKey;
    /// A line of the audit.
    AuditKey;
    /// Somebody who signs in.
    AccountKey;
    /// A program's token.
    ApiTokenKey;
    /// The record of a call.
    CallRecordKey;
    /// An alert.
    AlertKey;
    /// What a command line wants done to a live meeting.
    LiveRequestKey;
}

/// Where the next page of a list begins that is in the order of a time: after this time and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: Timestamp,
    pub key: u64,
}

/// For people and programs to hand back as it is: `1700000000000-17`.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at.0, self.key)
    }
}

/// The text was not a cursor that a list gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no place in the list: hand back what the list gave as the next")]
pub struct NotACursor;

impl std::str::FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Cursor, NotACursor> {
        let (at, key) = text.rsplit_once('-').ok_or(NotACursor)?;
        let at = at.parse().map_err(|_| NotACursor)?;
        Ok(Cursor { at: Timestamp(at), key: key.parse().map_err(|_| NotACursor)? })
    }
}
