//! The mails to users: what each says, and with which facts. The built-in texts lie in `texts/`; an organization can put
//! its own in the place of each part.

use std::fmt;

use super::language;
pub use super::template::Place;
use super::template::{Filling, Template, TemplateError, escaped};
use crate::credentials::{MailKind, Number};
use crate::words::ids::ConferenceId;
use crate::words::secret::Secret;

/// One of the three texts of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Subject,
    Text,
    Html,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Subject, Part::Text, Part::Html];

    pub fn name(self) -> &'static str {
        match self {
            Part::Subject => "subject",
            Part::Text => "text",
            Part::Html => "html",
        }
    }

    pub fn named(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// By which the store has an organization's own text.
pub fn template_name(kind: MailKind, part: Part) -> String {
    format!("{}.{}", kind.name(), part.name())
}

/// The text that ships with the program.
pub fn built_in(kind: MailKind, part: Part) -> &'static str {
    match (kind, part) {
        (MailKind::Enabled, Part::Subject) => "Your telephone meetings: conference ID and PIN",
        (MailKind::Enabled, Part::Text) => include_str!("texts/enabled.txt"),
        (MailKind::Enabled, Part::Html) => include_str!("texts/enabled.html"),
        (MailKind::ConferenceIdChanged, Part::Subject) => "Your conference ID has changed",
        (MailKind::ConferenceIdChanged, Part::Text) => include_str!("texts/conference-id-changed.txt"),
        (MailKind::ConferenceIdChanged, Part::Html) => include_str!("texts/conference-id-changed.html"),
        (MailKind::PinReset, Part::Subject) => "Your new PIN for telephone meetings",
        (MailKind::PinReset, Part::Text) => include_str!("texts/pin-reset.txt"),
        (MailKind::PinReset, Part::Html) => include_str!("texts/pin-reset.html"),
        (MailKind::ConferenceInfo, Part::Subject) => "Your conference ID and the numbers to call",
        (MailKind::ConferenceInfo, Part::Text) => include_str!("texts/conference-info.txt"),
        (MailKind::ConferenceInfo, Part::Html) => include_str!("texts/conference-info.html"),
        (MailKind::Disabled, Part::Subject) => "Your telephone meetings were switched off",
        (MailKind::Disabled, Part::Text) => include_str!("texts/disabled.txt"),
        (MailKind::Disabled, Part::Html) => include_str!("texts/disabled.html"),
    }
}

/// What stands around an HTML part that is no whole document.
const FRAME: &str = include_str!("texts/frame.html");

/// The places that a part of a mail can have.
pub fn places(kind: MailKind, part: Part) -> Vec<Place> {
    let allowed = |place: &Place| match place {
        // A list of subjects is read over somebody's shoulder.
        Place::Pin => kind.has_pin() && part != Part::Subject,
        Place::Numbers => kind != MailKind::Disabled && part != Part::Subject,
        Place::ConferenceId => kind != MailKind::Disabled,
        Place::Name | Place::Identity | Place::Organization => true,
    };
    Place::ALL.into_iter().filter(allowed).collect()
}

/// Looks at a text for a part of a mail. A mail that is sent for a PIN must name it, in both its parts: it is the only
/// copy, and which part a reader sees is his program's choice.
pub fn check(kind: MailKind, part: Part, text: &str) -> Result<Template, TemplateError> {
    let template = Template::parse(text, &places(kind, part))?;
    if part == Part::Subject && text.trim_end().contains(char::is_control) {
        return Err(TemplateError::Lines);
    }
    let needed = match kind {
        MailKind::Enabled | MailKind::PinReset => &[Place::Pin, Place::ConferenceId][..],
        MailKind::ConferenceIdChanged | MailKind::ConferenceInfo => &[Place::ConferenceId],
        MailKind::Disabled => &[],
    };
    match needed.iter().find(|place| part != Part::Subject && !template.has(**place)) {
        Some(missing) => Err(TemplateError::Missing(*missing)),
        None => Ok(template),
    }
}

/// The templates of one mail.
#[derive(Debug, Clone)]
pub struct Letter {
    subject: Template,
    text: Template,
    html: Template,
}

/// What a mail tells.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Empty where none was given.
    pub name: &'a str,
    pub identity: &'a str,
    /// Empty where none was given.
    pub organization: &'a str,
    pub conference_id: Option<ConferenceId>,
    /// The one to name first, first.
    pub numbers: &'a [Number],
    pub pin: Option<&'a Secret>,
}

/// A mail ready to be sent. Its texts may hold a PIN.
pub struct Written {
    pub subject: String,
    pub text: Secret,
    pub html: Secret,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Letter {
    /// `own`: the organization's own text for a part, where it has one. What was right when it was set and is not any
    /// more (another version wrote it) gives way to the built-in text.
    pub fn new(kind: MailKind, own: impl Fn(Part) -> Option<String>) -> Result<Letter, TemplateError> {
        let template = |part| {
            let own = own(part).and_then(|text| check(kind, part, &text).ok());
            own.map_or_else(|| check(kind, part, built_in(kind, part)), Ok)
        };
        Ok(Letter { subject: template(Part::Subject)?, text: template(Part::Text)?, html: template(Part::Html)? })
    }

    pub fn write(&self, facts: &Facts<'_>) -> Written {
        let subject = self.subject.fill(|place| Filling::text(&facts.value(place)));
        let text = self.text.fill(|place| match (place, facts.pin) {
            (Place::Pin, Some(pin)) => Filling::text(pin.expose()),
            _ => Filling::text(&facts.value(place)),
        });
        let html = self.html.fill(|place| match (place, facts.pin) {
            (Place::Pin, Some(pin)) => Filling::html(pin.expose()),
            (Place::Numbers, _) => Filling::markup(numbers_as_html(facts.numbers)),
            _ => Filling::html(&facts.value(place)),
        });
        // One line, whatever a name brings.
        let subject = subject.expose().split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned();
        Written { subject, text, html: framed(html) }
    }
}

/// An HTML part that is no whole document gets the frame around it.
fn framed(html: Secret) -> Secret {
    let begins = html.expose().trim_start().get(..9).unwrap_or_default().to_ascii_lowercase();
    if begins.starts_with("<!doctype") || begins.starts_with("<html") {
        return html;
    }
    let (before, after) = FRAME.split_once("{{body}}").unwrap_or(("", ""));
    let mut whole = String::with_capacity(FRAME.len().saturating_add(html.len()));
    whole.push_str(before);
    whole.push_str(html.expose().trim_end());
    whole.push_str(after);
    Secret::new(whole)
}

impl Facts<'_> {
    /// As plain text. The PIN is not among them: it never becomes a bare text here.
    fn value(&self, place: Place) -> String {
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        match place {
            Place::Name => or(self.name, self.identity),
            Place::Identity => self.identity.to_owned(),
            Place::Organization => or(self.organization, "Your administrator"),
            Place::ConferenceId => self.conference_id.map_or_else(|| "none".to_owned(), dialled),
            Place::Numbers => numbers_as_text(self.numbers),
            Place::Pin => String::new(),
        }
    }
}

/// As it is dialled: `123 456 7#`.
pub fn dialled(id: ConferenceId) -> String {
    format!("{}#", id.spaced())
}

/// Where there are no numbers, who is to be asked.
const NO_NUMBERS: &str = "Ask your administrator which number to call.";

/// A line each: `  +49 30 123456   Berlin (German)`.
pub fn numbers_as_text(numbers: &[Number]) -> String {
    if numbers.is_empty() {
        return format!("  {NO_NUMBERS}");
    }
    let width = numbers.iter().map(|number| number.number.chars().count()).max().unwrap_or(0);
    let line = |number: &Number| format!("  {:width$}  {}", number.number, described(number)).trim_end().to_owned();
    numbers.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn numbers_as_html(numbers: &[Number]) -> String {
    if numbers.is_empty() {
        return format!("<p>{NO_NUMBERS}</p>");
    }
    let row = |number: &Number| {
        // Telephones dial a `tel:` link at a touch (RFC 3966).
        let tel: String = number.number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        let (shown, described) = (escaped(&number.number), escaped(&described(number)));
        format!("<tr><td><a href=\"tel:{tel}\">{shown}</a></td><td>{described}</td></tr>\n")
    };
    format!("<table class=\"numbers\">\n{}</table>", numbers.iter().map(row).collect::<String>())
}

/// `Berlin (German)`.
fn described(number: &Number) -> String {
    let language = language::name(&number.language);
    match (number.label.trim(), language) {
        ("", language) => language.to_owned(),
        (label, "") => label.to_owned(),
        (label, language) => format!("{label} ({language})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::NumberKey;

    const PIN: &str = "80642";

    fn numbers() -> Vec<Number> {
        let number = |key, number: &str, language: &str, label: &str| Number {
            key: NumberKey(key),
            number: number.to_owned(),
            language: language.to_owned(),
            label: label.to_owned(),
            is_default: key == 1,
        };
        vec![number(1, "+49 30 123456", "de", "Berlin"), number(2, "+1 (212) 555-0100", "en-US", "")]
    }

    fn written(kind: MailKind, own: impl Fn(Part) -> Option<String>) -> Written {
        let (numbers, pin) = (numbers(), Secret::new(PIN));
        let facts = Facts {
            name: "Änna <b>",
            identity: "anna@example.com",
            organization: "Example & Söhne",
            conference_id: Some("1234567".parse().unwrap()),
            numbers: &numbers,
            pin: Some(&pin).filter(|_| kind.has_pin()),
        };
        Letter::new(kind, own).unwrap().write(&facts)
    }

    #[test]
    fn every_built_in_text_is_right_and_says_what_it_must() {
        for kind in MailKind::ALL {
            for part in Part::ALL {
                check(kind, part, built_in(kind, part)).unwrap_or_else(|error| panic!("{kind:?} {part:?}: {error}"));
            }
            let Written { subject, text, html } = written(kind, |_| None);
            let (text, html) = (text.expose(), html.expose());
            assert!(text.contains("Änna <b>") && text.contains("Example & Söhne"), "{text}");
            assert!(html.contains("Änna &lt;b&gt;") && html.contains("Example &amp; Söhne"), "{html}");
            assert!(html.starts_with("<!doctype html>") && !html.contains("{{"), "{html}");
            assert_eq!(text.contains(PIN), kind.has_pin());
            assert_eq!(html.contains(PIN), kind.has_pin());
            assert!(!subject.contains(PIN) && !subject.contains('\n'));
            let tells_how = kind != MailKind::Disabled;
            assert_eq!(
                text.contains("123 456 7#") && text.contains("+49 30 123456      Berlin (German)"),
                tells_how,
                "{text}"
            );
            assert_eq!(html.contains("href=\"tel:+12125550100\"") && html.contains("123 456 7#"), tells_how, "{html}");
        }
    }

    #[test]
    fn an_organization_s_own_text_takes_the_place_of_a_part() {
        let own = |part| match part {
            Part::Subject => Some("{{organization}}: {{conference_id}}\r\nBcc: all@example.com".to_owned()),
            Part::Html => Some("<HTML><p title=\"{{name}}\">{{pin}} {{conference_id}}".to_owned()),
            Part::Text => None,
        };
        let mail = written(MailKind::PinReset, own);
        assert_eq!(mail.subject, built_in(MailKind::PinReset, Part::Subject), "two lines are no subject");
        assert_eq!(mail.html.expose(), "<HTML><p title=\"Änna &lt;b&gt;\">80642 123 456 7#");
        assert!(mail.text.expose().contains("new PIN"));
        let fragment =
            written(MailKind::PinReset, |part| (part == Part::Html).then(|| "<p>{{pin}} {{conference_id}}".into()));
        assert!(fragment.html.expose().contains("<body>\n<p>80642 123 456 7#\n</body>"));
    }

    #[test]
    fn a_pin_stands_only_in_the_mails_that_are_sent_for_it() {
        let error = |kind, part, text: &str| check(kind, part, text).unwrap_err().to_string();
        for kind in [MailKind::ConferenceIdChanged, MailKind::ConferenceInfo, MailKind::Disabled] {
            assert!(error(kind, Part::Text, "{{conference_id}} {{pin}}").contains("there is no {{"), "{kind:?}");
        }
        assert!(error(MailKind::PinReset, Part::Subject, "{{pin}}").contains("there is no {{pin}}"));
        assert_eq!(
            error(MailKind::Enabled, Part::Html, "<p>{{conference_id}}"),
            "{{pin}} is missing: this mail is sent for it"
        );
        assert!(error(MailKind::ConferenceInfo, Part::Text, "{{numbers}}").contains("{{conference_id}} is missing"));
        assert_eq!(error(MailKind::Enabled, Part::Subject, "a\nb"), "a subject is one line");
    }

    #[test]
    fn what_is_not_there_is_said_in_words() {
        let facts = Facts {
            name: "",
            identity: "anna@example.com",
            organization: "",
            conference_id: None,
            numbers: &[],
            pin: None,
        };
        let mail = Letter::new(MailKind::ConferenceInfo, |_| None).unwrap().write(&facts);
        let text = mail.text.expose();
        assert!(
            text.contains("Hello anna@example.com,") && text.contains("Ask your administrator which number to call.")
        );
        assert!(text.trim_end().ends_with("Your administrator"), "{text}");
        assert!(!format!("{mail:?}").contains("Hello"));
    }
}
