//! What is shown. A view is what stands in a list, in JSON and on a page; there is no secret in any of them but
//! [`ShownOnce`].

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::mailing::Mailed;
use super::watch::masked_subject;
use crate::credentials::budget::{Budget, BudgetCount};
use crate::credentials::settings::{KEYS, lobby_policy_name};
use crate::credentials::{Settings, User};
use crate::words::secret::{MASK, Secret};

/// A user, his PIN masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserView {
    pub identity: String,
    pub name: String,
    /// Where his mails go.
    pub email: Option<String>,
    /// The key of the dial-in number that his mails and invitations name first; none: the default one.
    pub number: Option<u64>,
    pub enabled: bool,
    pub conference_id: Option<String>,
    /// [`MASK`] where there is one.
    pub pin: Option<&'static str>,
    pub pin_set_at: Option<String>,
    pub allow_anonymous_start: bool,
    pub lobby_policy: &'static str,
    pub created_at: String,
}

impl From<&User> for UserView {
    fn from(user: &User) -> UserView {
        UserView {
            identity: user.identity.to_string(),
            name: user.name.clone(),
            email: user.email.clone(),
            number: user.number.map(|key| key.0),
            enabled: user.enabled,
            conference_id: user.conference_id.map(|id| id.to_string()),
            pin: user.pin_set_at.map(|_| MASK),
            pin_set_at: user.pin_set_at.map(|at| at.to_string()),
            allow_anonymous_start: user.allow_anonymous_start,
            lobby_policy: lobby_policy_name(user.lobby_policy),
            created_at: user.created_at.to_string(),
        }
    }
}

/// A PIN on its way to the one showing.
pub struct ShownOnce(Secret);

impl ShownOnce {
    pub(super) fn new(pin: Secret) -> ShownOnce {
        ShownOnce(pin)
    }

    /// For the person who made it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for ShownOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownOnce(***)")
    }
}

impl Serialize for ShownOnce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl PartialSchema for ShownOnce {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

impl ToSchema for ShownOnce {}

/// What enabling and resetting a PIN answer: the only view with a PIN, beside a line of a bulk list.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewPinView {
    pub identity: String,
    pub conference_id: String,
    pub pin: ShownOnce,
    #[serde(flatten)]
    pub mailed: Mailed,
}

/// A user who was changed, and what becomes of the mail that tells him.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedUserView {
    #[serde(flatten)]
    pub user: UserView,
    #[serde(flatten)]
    pub mailed: Mailed,
}

/// What enabling answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EnabledView {
    New(NewPinView),
    /// He was enabled before, and nothing changed.
    Already(UserView),
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SettingView {
    pub key: &'static str,
    pub value: String,
    /// What holds where nothing was set.
    pub default: String,
}

impl SettingView {
    pub(super) fn all(settings: &Settings) -> Vec<SettingView> {
        let default = Settings::default();
        let of = |settings: &Settings, key| settings.get(key).unwrap_or_default();
        KEYS.iter().map(|key| SettingView { key, value: of(settings, key), default: of(&default, key) }).collect()
    }
}

/// A count of wrong entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetView {
    pub budget: &'static str,
    pub subject: String,
    pub count: u32,
    /// For everybody; clean callers have more, see [`crate::credentials::budget`].
    pub limit: u32,
    pub ends_at: String,
}

impl BudgetView {
    pub(super) fn new(count: &BudgetCount, settings: &Settings) -> BudgetView {
        BudgetView {
            budget: count.budget.name(),
            subject: if settings.mask_callers {
                masked_subject(count.budget.name(), &count.subject)
            } else {
                count.subject.clone()
            },
            count: count.count,
            limit: Budget::limit(count.budget, settings),
            ends_at: count.ends_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_pin_is_in_the_json_and_nowhere_else() {
        let view = NewPinView {
            identity: "anna@example.com".to_owned(),
            conference_id: "1234567".to_owned(),
            pin: ShownOnce::new(Secret::new("86420")),
            mailed: Mailed::not("no mail was wanted"),
        };
        let json = serde_json::to_string(&view).unwrap();
        let begins = r#"{"identity":"anna@example.com","conference_id":"1234567","pin":"86420","mailed_to":null,"#;
        assert!(json.starts_with(begins), "{json}");
        assert!(!format!("{view:?}").contains("86420"));
    }
}
