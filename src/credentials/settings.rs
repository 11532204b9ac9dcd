//! What an organization decides while servers run. It lies in the store, so that every server and command line has the
//! same; what holds for one process only is configuration ([`crate::config`]).

use super::budget::Budget;
use super::contract::StoreError;
use super::pin::{PIN_DIGITS_MAX, PIN_DIGITS_MIN};
use crate::words::answer::{Announcements, LobbyPolicy};

/// All settings. The default is what holds where nothing was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Digits of PINs made from now on; those that exist stay.
    pub pin_length: usize,
    /// Whether mail goes out by itself, where nothing else is said with an operation.
    pub auto_send_email: bool,
    /// How mails name the organization. Empty: not at all.
    pub organization: String,
    /// Where mails come from. `None`: as each server's configuration says.
    pub mail_from: Option<String>,
    pub mail_from_name: String,
    /// Console and API show callers' numbers without their last digits.
    pub mask_callers: bool,
    /// How long a caller waits in a lobby. `None`: as each server's configuration says.
    pub lobby_timeout_min: Option<u32>,
    pub announcements: Announcements,
    /// For users who are enabled from now on.
    pub allow_anonymous_start: bool,
    /// For users who are enabled from now on.
    pub lobby_policy: LobbyPolicy,
    /// In the order of [`Budget::ALL`].
    budgets: [u32; Budget::ALL.len()],
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pin_length: 5,
            auto_send_email: true,
            organization: String::new(),
            mail_from: None,
            mail_from_name: String::new(),
            mask_callers: false,
            lobby_timeout_min: None,
            announcements: Announcements::Tones,
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
            budgets: Budget::ALL.map(|budget| match budget {
                Budget::CallerConferenceIds => 20,
                Budget::TrunkConferenceIds => 300,
                Budget::CallerPins => 20,
                Budget::OrganizerPins => 50,
                Budget::TrunkPins => 500,
                Budget::SamePin => 20,
            }),
        }
    }
}

/// Every key, in the order in which lists show it.
pub const KEYS: [&str; 16] = [
    "pin_length",
    "auto_send_email",
    "organization",
    "mail_from",
    "mail_from_name",
    "mask_callers",
    "lobby_timeout_min",
    "announcements",
    "allow_anonymous_start",
    "lobby_policy",
    "budget_caller_conference_ids",
    "budget_trunk_conference_ids",
    "budget_caller_pins",
    "budget_organizer_pins",
    "budget_trunk_pins",
    "budget_same_pin",
];

/// What leaves it to each server's configuration.
const AUTO: &str = "auto";

/// A day: nobody waits longer.
const LOBBY_TIMEOUT_MIN_MAX: u32 = 24 * 60;

const NAME_CHARS_MAX: usize = 100;

/// `budget_caller_pins` of `caller-pins`.
fn budget_of(key: &str) -> Option<Budget> {
    Budget::from_name(&key.strip_prefix("budget_")?.replace('_', "-"))
}

impl Settings {
    /// From the store's rows. What is not among them has its default; a row that this version does not know is left
    /// alone, for another version wrote it.
    pub fn from_rows(rows: &[(String, String)]) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in rows {
            // A value that does not read was written by another version: the default holds.
            let _ = settings.set(key, value);
        }
        settings
    }

    pub fn budget(&self, budget: Budget) -> u32 {
        let index = Budget::ALL.iter().position(|other| *other == budget).unwrap_or_default();
        self.budgets.get(index).copied().unwrap_or_default()
    }

    /// Takes one value in.
    ///
    /// # Errors
    /// What is allowed for this key, or which keys there are.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let value = value.trim();
        let refuse = |allowed: &str| Err(StoreError::Setting(format!("{key}: write {allowed}")));
        match key {
            "pin_length" => match value.parse() {
                Ok(digits @ PIN_DIGITS_MIN..=PIN_DIGITS_MAX) => self.pin_length = digits,
                _ => return refuse(&format!("a number from {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX}")),
            },
            "auto_send_email" => match value.parse() {
                Ok(send) => self.auto_send_email = send,
                Err(_) => return refuse("true or false"),
            },
            "organization" | "mail_from_name" => {
                if value.chars().count() > NAME_CHARS_MAX || value.contains(char::is_control) {
                    return refuse(&format!("up to {NAME_CHARS_MAX} characters, and no line breaks"));
                }
                let place = if key == "organization" { &mut self.organization } else { &mut self.mail_from_name };
                value.clone_into(place);
            }
            "mail_from" => match value {
                AUTO => self.mail_from = None,
                address if address.parse::<lettre::Address>().is_ok() => self.mail_from = Some(address.to_owned()),
                _ => return refuse("an e-mail address, or auto for what each server's configuration says"),
            },
            "mask_callers" => match value.parse() {
                Ok(mask) => self.mask_callers = mask,
                Err(_) => return refuse("true or false"),
            },
            "lobby_timeout_min" => match (value, value.parse()) {
                (AUTO, _) => self.lobby_timeout_min = None,
                (_, Ok(minutes @ 1..=LOBBY_TIMEOUT_MIN_MAX)) => self.lobby_timeout_min = Some(minutes),
                _ => {
                    return refuse(&format!(
                        "minutes from 1 to {LOBBY_TIMEOUT_MIN_MAX}, or auto for what each server's configuration says"
                    ));
                }
            },
            "announcements" => match value {
                "tones" => self.announcements = Announcements::Tones,
                "off" => self.announcements = Announcements::Off,
                _ => return refuse("tones or off"),
            },
            "allow_anonymous_start" => match value.parse() {
                Ok(allow) => self.allow_anonymous_start = allow,
                Err(_) => return refuse("true or false"),
            },
            "lobby_policy" => match lobby_policy_from(value) {
                Some(policy) => self.lobby_policy = policy,
                None => return refuse("open or wait-for-admission"),
            },
            _ => {
                let Some(budget) = budget_of(key) else {
                    let keys = KEYS.join(", ");
                    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
                    return Err(StoreError::Setting(format!("there is no setting {shown}; there are {keys}")));
                };
                let place = Budget::ALL.iter().position(|other| *other == budget);
                match (value.parse(), place.and_then(|index| self.budgets.get_mut(index))) {
                    (Ok(limit @ 1..=100_000), Some(place)) => *place = limit,
                    _ => return refuse("a number from 1 to 100000"),
                }
            }
        }
        Ok(())
    }

    /// The value of one key, as it is written. `None`: there is no such key.
    pub fn get(&self, key: &str) -> Option<String> {
        Some(match key {
            "pin_length" => self.pin_length.to_string(),
            "auto_send_email" => self.auto_send_email.to_string(),
            "organization" => self.organization.clone(),
            "mail_from" => self.mail_from.clone().unwrap_or_else(|| AUTO.to_owned()),
            "mail_from_name" => self.mail_from_name.clone(),
            "mask_callers" => self.mask_callers.to_string(),
            "lobby_timeout_min" => {
                self.lobby_timeout_min.map_or_else(|| AUTO.to_owned(), |minutes| minutes.to_string())
            }
            "announcements" => match self.announcements {
                Announcements::Tones => "tones".to_owned(),
                Announcements::Off => "off".to_owned(),
            },
            "allow_anonymous_start" => self.allow_anonymous_start.to_string(),
            "lobby_policy" => lobby_policy_name(self.lobby_policy).to_owned(),
            _ => self.budget(budget_of(key)?).to_string(),
        })
    }
}

/// How a lobby policy is written.
pub fn lobby_policy_name(policy: LobbyPolicy) -> &'static str {
    match policy {
        LobbyPolicy::Open => "open",
        LobbyPolicy::WaitForAdmission => "wait-for-admission",
    }
}

pub fn lobby_policy_from(name: &str) -> Option<LobbyPolicy> {
    match name {
        "open" => Some(LobbyPolicy::Open),
        "wait-for-admission" => Some(LobbyPolicy::WaitForAdmission),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_what_it_shows() {
        let mut settings = Settings::default();
        for key in KEYS {
            let value = settings.get(key).unwrap();
            settings.set(key, &value).unwrap();
        }
        assert_eq!(settings, Settings::default());
        assert_eq!(KEYS.iter().filter(|key| budget_of(key).is_some()).count(), Budget::ALL.len());
    }

    #[test]
    fn what_is_set_is_had() {
        let mut settings = Settings::default();
        for (key, value) in [
            ("pin_length", "12"),
            ("announcements", "off"),
            ("allow_anonymous_start", "true"),
            ("lobby_policy", "wait-for-admission"),
            ("budget_same_pin", "7"),
            ("auto_send_email", "false"),
            ("organization", "Example & Söhne"),
            ("mail_from", "meetings@example.com"),
            ("mail_from", "auto"),
            ("lobby_timeout_min", "15"),
            ("lobby_timeout_min", "auto"),
            ("mask_callers", "true"),
        ] {
            settings.set(key, value).unwrap();
            assert_eq!(settings.get(key).as_deref(), Some(value));
        }
        assert_eq!(settings.budget(Budget::SamePin), 7);
        assert_eq!(settings.budget(Budget::TrunkPins), 500);
    }

    #[test]
    fn wrong_values_say_what_is_allowed_and_change_nothing() {
        let mut settings = Settings::default();
        for (key, value, says) in [
            ("pin_length", "3", "from 4 to 12"),
            ("pin_length", "13", "from 4 to 12"),
            ("pin_length", "five", "from 4 to 12"),
            ("auto_send_email", "yes", "true or false"),
            ("mail_from", "anna", "an e-mail address"),
            ("organization", "two\nlines", "no line breaks"),
            ("lobby_timeout_min", "0", "minutes from 1 to 1440"),
            ("lobby_timeout_min", "1441", "minutes from 1 to 1440"),
            ("mask_callers", "", "true or false"),
            ("announcements", "loud", "tones or off"),
            ("lobby_policy", "", "wait-for-admission"),
            ("budget_caller_pins", "0", "from 1 to 100000"),
            ("budget_nothing", "1", "there is no setting"),
            ("pin_lenght", "5", "pin_length"),
        ] {
            let error = settings.set(key, value).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn rows_of_another_version_are_passed_over() {
        let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let settings =
            Settings::from_rows(&[row("from_the_future", "x"), row("pin_length", "99"), row("pin_length", "8")]);
        assert_eq!(settings, Settings { pin_length: 8, ..Settings::default() });
    }
}
