//! A text with places: `{{name}}`. An organization can replace the mails' texts, so a template is data: it can name the
//! places that there are and nothing else, and what is wrong with it is said when it is set, not when a mail is due.

use std::fmt;

use crate::words::secret::Secret;

/// A template is a letter, not a catalogue.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// What can stand in a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Name,
    Identity,
    Organization,
    ConferenceId,
    Numbers,
    Pin,
}

impl Place {
    pub const ALL: [Place; 6] =
        [Place::Name, Place::Identity, Place::Organization, Place::ConferenceId, Place::Numbers, Place::Pin];

    pub fn name(self) -> &'static str {
        match self {
            Place::Name => "name",
            Place::Identity => "identity",
            Place::Organization => "organization",
            Place::ConferenceId => "conference_id",
            Place::Numbers => "numbers",
            Place::Pin => "pin",
        }
    }

    fn named(name: &str) -> Option<Place> {
        Place::ALL.into_iter().find(|place| place.name() == name)
    }
}

/// What is wrong with a template: one line, with the line in which it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("line {line}: there is no {{{{{name}}}}}; there are {}", list(allowed))]
    NoSuchPlace { line: usize, name: String, allowed: Vec<Place> },
    #[error("line {line}: {{{{ is not closed by }}}}")]
    NotClosed { line: usize },
    #[error("{{{{{}}}}} is missing: this mail is sent for it", .0.name())]
    Missing(Place),
    #[error("a template has up to {TEMPLATE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is empty")]
    Empty,
    #[error("a subject is one line")]
    Lines,
}

fn list(places: &[Place]) -> String {
    places.iter().map(|place| format!("{{{{{}}}}}", place.name())).collect::<Vec<_>>().join(", ")
}

/// A template that was looked at and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

impl Template {
    /// `allowed`: the places that this mail knows.
    pub fn parse(text: &str, allowed: &[Place]) -> Result<Template, TemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLong);
        }
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let (mut pieces, mut rest, mut line) = (Vec::new(), text, 1_usize);
        while let Some((before, after)) = rest.split_once("{{") {
            line = line.saturating_add(before.matches('\n').count());
            let (name, after) = after.split_once("}}").ok_or(TemplateError::NotClosed { line })?;
            let place = Place::named(name.trim()).filter(|place| allowed.contains(place)).ok_or_else(|| {
                let name = name.trim().chars().filter(|c| !c.is_control()).take(40).collect();
                TemplateError::NoSuchPlace { line, name, allowed: allowed.to_vec() }
            })?;
            line = line.saturating_add(name.matches('\n').count());
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Place(place));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Template(pieces))
    }

    pub fn has(&self, place: Place) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    /// Puts a value in each place. It may be the text of a PIN's mail: it is handled as one.
    pub fn fill(&self, value: impl Fn(Place) -> Filling) -> Secret {
        let values = Place::ALL.map(|place| if self.has(place) { value(place) } else { Filling::default() });
        let of = |place: Place| Place::ALL.iter().position(|other| *other == place).and_then(|at| values.get(at));
        let parts = || {
            self.0.iter().map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Place(place) => of(*place).map_or("", |filling| filling.0.expose()),
            })
        };
        // Room first: a text that grows leaves copies of itself behind.
        let mut filled = String::with_capacity(parts().map(str::len).sum());
        filled.extend(parts());
        Secret::new(filled)
    }
}

/// What is put in a place.
#[derive(Default)]
pub struct Filling(Secret);

impl Filling {
    pub fn text(text: &str) -> Filling {
        Filling(Secret::new(text))
    }

    /// What means something to HTML is escaped.
    pub fn html(text: &str) -> Filling {
        Filling(Secret::new(escaped(text)))
    }

    /// HTML of our own making.
    pub fn markup(html: String) -> Filling {
        Filling(Secret::new(html))
    }
}

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filling(***)")
    }
}

/// `text` as HTML shows it, in an element or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len().saturating_mul(2));
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let template = Template::parse(text, &Place::ALL).unwrap();
        let secret = template.fill(|place| Filling::html(&format!("<{}>", place.name())));
        secret.expose().to_owned()
    }

    #[test]
    fn places_are_filled_and_nothing_else_is_touched() {
        assert_eq!(filled("{{name}} has { {{ pin }} } ä"), "&lt;name&gt; has { &lt;pin&gt; } ä");
        assert_eq!(filled("no place }} at all"), "no place }} at all");
        // What a value brings is not looked at again.
        let template = Template::parse("{{name}}{{name}}", &Place::ALL).unwrap();
        assert_eq!(template.fill(|_| Filling::text("{{pin}}")).expose(), "{{pin}}{{pin}}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let error = |text: &str| Template::parse(text, &[Place::Name, Place::Numbers]).unwrap_err().to_string();
        assert_eq!(error("a\nb {{pni}}"), "line 2: there is no {{pni}}; there are {{name}}, {{numbers}}");
        assert_eq!(error("{{pin}}"), "line 1: there is no {{pin}}; there are {{name}}, {{numbers}}");
        assert_eq!(error("{{name}}\n\n{{name"), "line 3: {{ is not closed by }}");
        assert_eq!(error(" \n"), "it is empty");
        assert_eq!(error(&"x".repeat(TEMPLATE_BYTES_MAX + 1)), "a template has up to 65536 bytes");
        assert_eq!(TemplateError::Missing(Place::Pin).to_string(), "{{pin}} is missing: this mail is sent for it");
        let long = error(&format!("{{{{{}\n}}}}", "x".repeat(5_000)));
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_no_value_breaks_out_of_its_place(text in ".{0,200}", value in "\\PC{0,40}") {
            if let Ok(template) = Template::parse(&text, &Place::ALL) {
                let _ = template.fill(|_| Filling::html(&value));
            }
            let html = escaped(&value);
            proptest::prop_assert!(!html.contains(['<', '>', '"', '\'']));
        }
    }
}
