//! What the organization decides, each setting with what it does and its bounds.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::Administrators;
use super::{Console, page};
use crate::admin::SettingView;

pub fn routes() -> Router<Console> {
    Router::new().route("/settings", get(show).post(set))
}

/// How a setting reads, and where it stands.
struct About {
    key: &'static str,
    group: &'static str,
    title: &'static str,
    explanation: &'static str,
    bounds: &'static str,
    /// Empty: it is typed.
    choices: &'static [(&'static str, &'static str)],
}

const ON_OFF: &[(&str, &str)] = &[("true", "On"), ("false", "Off")];

const fn about(
    key: &'static str,
    group: &'static str,
    title: &'static str,
    explanation: &'static str,
    bounds: &'static str,
    choices: &'static [(&'static str, &'static str)],
) -> About {
    About { key, group, title, explanation, bounds, choices }
}

const PINS: &str = "PINs and wrong entries";
const MEETINGS: &str = "Lobby and meetings";
const MAIL: &str = "E-mail";
const SHOWN: &str = "What is shown";
const OTHER: &str = "Others";

/// In the order of the page.
const ABOUT: &[About] = &[
    about(
        "pin_length",
        PINS,
        "Digits of a PIN",
        "Holds for PINs made from now on; those that exist stay as they are.",
        "4 to 12",
        &[],
    ),
    about(
        "budget_caller_conference_ids",
        PINS,
        "Wrong conference IDs of one caller",
        "So many unknown conference IDs may one caller enter across his calls, before more are refused for a time.",
        "1 to 100,000",
        &[],
    ),
    about(
        "budget_trunk_conference_ids",
        PINS,
        "Wrong conference IDs from one trunk",
        "The same over all callers of a trunk, against those who change their number with each call.",
        "1 to 100,000",
        &[],
    ),
    about(
        "budget_caller_pins",
        PINS,
        "Wrong PINs of one caller",
        "So many wrong PINs may one caller enter across his calls.",
        "1 to 100,000",
        &[],
    ),
    about(
        "budget_organizer_pins",
        PINS,
        "Wrong PINs for one organizer",
        "Over all callers. The lobby stays open to everybody, and you can start the meeting from here.",
        "1 to 100,000",
        &[],
    ),
    about(
        "budget_trunk_pins",
        PINS,
        "Wrong PINs from one trunk",
        "Over all callers and organizers of a trunk.",
        "1 to 100,000",
        &[],
    ),
    about(
        "budget_same_pin",
        PINS,
        "The same PIN tried on many meetings",
        "Against somebody who tries one likely PIN everywhere.",
        "1 to 100,000",
        &[],
    ),
    about(
        "allow_anonymous_start",
        MEETINGS,
        "Callers may start a meeting",
        "For users who are enabled from now on: the first caller starts the meeting, and nobody is asked for a PIN.",
        "",
        ON_OFF,
    ),
    about(
        "lobby_policy",
        MEETINGS,
        "Later callers",
        "For users who are enabled from now on: what happens to those who call when the meeting has started.",
        "",
        &[("open", "Join at once"), ("wait-for-admission", "Wait until they are let in")],
    ),
    about(
        "lobby_timeout_min",
        MEETINGS,
        "Longest wait in a lobby, in minutes",
        "Whoever has waited that long hears “Goodbye” and is hung up.",
        "1 to 1,440, or auto: as each server's configuration says",
        &[],
    ),
    about(
        "announcements",
        MEETINGS,
        "Who comes and goes",
        "What those in a meeting hear when somebody enters or leaves it.",
        "",
        &[("tones", "A tone"), ("off", "Nothing")],
    ),
    about(
        "auto_send_email",
        MAIL,
        "Send mails by itself",
        "Conference ID and PIN go to the user as soon as they are made. Off: you pass them on, or ask for a mail each time.",
        "",
        ON_OFF,
    ),
    about(
        "mail_from",
        MAIL,
        "Mails are from",
        "The address in “From” of every mail.",
        "An e-mail address, or auto: as each server's configuration says",
        &[],
    ),
    about("mail_from_name", MAIL, "Name of the sender", "Stands beside that address.", "", &[]),
    about("organization", MAIL, "Name of the organization", "As mails and invitations name it.", "", &[]),
    about(
        "mask_callers",
        SHOWN,
        "Hide callers' numbers",
        "Console and API show the last three digits only. Logs, call records and the audit keep the whole number.",
        "",
        ON_OFF,
    ),
];

struct Setting {
    key: &'static str,
    title: &'static str,
    explanation: &'static str,
    value: String,
    bounds: String,
    choices: &'static [(&'static str, &'static str)],
    is_number: bool,
}

struct Group {
    name: &'static str,
    settings: Vec<Setting>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    groups: Vec<Group>,
}

/// All that the store knows, also what this page has no words for.
fn groups(settings: &[SettingView]) -> Vec<Group> {
    let words_of = |key: &str| ABOUT.iter().find(|about| about.key == key);
    let mut groups: Vec<Group> =
        [MEETINGS, MAIL, SHOWN, PINS, OTHER].into_iter().map(|name| Group { name, settings: Vec::new() }).collect();
    let known = ABOUT.iter().filter_map(|about| settings.iter().find(|setting| setting.key == about.key));
    let unknown = settings.iter().filter(|setting| words_of(setting.key).is_none());
    for view in known.chain(unknown) {
        let about = words_of(view.key);
        let choices = about.map_or(&[][..], |about| about.choices);
        let named =
            |value: &str| choices.iter().find(|(of, _)| *of == value).map_or(value, |(_, text)| text).to_owned();
        let default = match view.default.as_str() {
            "" => String::new(),
            default => format!("By default: {}", named(default)),
        };
        let bounds = about.map_or("", |about| about.bounds);
        let separator = if bounds.is_empty() || default.is_empty() { "" } else { ". " };
        let setting = Setting {
            key: view.key,
            title: about.map_or(view.key, |about| about.title),
            explanation: about.map_or("", |about| about.explanation),
            value: view.value.clone(),
            bounds: format!("{bounds}{separator}{default}"),
            choices,
            is_number: view.default.parse::<u64>().is_ok(),
        };
        let name = about.map_or(OTHER, |about| about.group);
        if let Some(group) = groups.iter_mut().find(|group| group.name == name) {
            group.settings.push(setting);
        }
    }
    groups.retain(|group| !group.settings.is_empty());
    groups
}

async fn show(State(console): State<Console>, Administrators(visitor): Administrators) -> Result<Response, Trouble> {
    let settings = visitor.administrator(&console.site).settings().await?;
    let frame = console.frame(&visitor, Place::Settings, "/settings").await;
    page(&SettingsPage { frame, groups: groups(&settings) })
}

#[derive(Debug, Deserialize)]
struct Set {
    key: String,
    value: String,
}

async fn set(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(set): Form<Set>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).set_setting(&set.key, &set.value).await;
    let title = ABOUT.iter().find(|about| about.key == set.key).map_or(set.key.as_str(), |about| about.title);
    // The error names the setting by its key; this page has a title for it.
    let outcome = outcome.map_err(|error| error.to_string().replacen(&set.key, title, 1));
    Ok(console.done(&visitor, "/settings", outcome, |_| Flash::done(format!("Saved: {title}."))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::settings::KEYS;

    #[test]
    fn every_setting_has_its_words() {
        for key in KEYS {
            assert!(ABOUT.iter().any(|about| about.key == key), "{key} has no words on the settings page");
        }
        assert!(ABOUT.iter().all(|about| KEYS.contains(&about.key)), "words for a setting that there is not");
    }
}
