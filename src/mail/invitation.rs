//! What an organizer sends to the people whom he invites to a scheduled meeting: a text to paste, and a file for their
//! calendars (iCalendar, RFC 5545).

use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};
use jiff::tz::TimeZone;

use super::letter::{dialled, numbers_as_text};
use crate::credentials::{Number, ScheduledMeeting, Timestamp, User};

/// What an invitation tells.
#[derive(Debug)]
pub struct Invitation<'a> {
    pub meeting: &'a ScheduledMeeting,
    pub organizer: &'a User,
    /// The one to name first, first.
    pub numbers: &'a [Number],
}

impl Invitation<'_> {
    pub fn text(&self) -> String {
        let ScheduledMeeting { subject, starts_at, ends_at, .. } = self.meeting;
        let when = span(*starts_at, *ends_at);
        format!("{subject}\n{when}\nOrganizer: {}\n\n{}\n", self.organizer_name(), self.how_to_join())
    }

    /// For those who had the invitation.
    pub fn cancelled_text(&self) -> String {
        let ScheduledMeeting { subject, starts_at, ends_at, .. } = self.meeting;
        let when = span(*starts_at, *ends_at);
        let organizer = self.organizer_name();
        format!(
            "Cancelled: {subject}\n{when}\nOrganizer: {organizer}\n\nThis meeting was cancelled. Its conference ID is not valid \
             any more.\n"
        )
    }

    fn how_to_join(&self) -> String {
        format!(
            "Join by telephone:\n{}\n\nConference ID: {}\n\nCall one of these numbers and enter the conference ID. You wait \
             with music until the organizer starts the meeting.",
            numbers_as_text(self.numbers),
            dialled(self.meeting.conference_id)
        )
    }

    /// `METHOD:PUBLISH` (RFC 5546, 3.2.1): it is for whoever opens it, and names nobody who is to answer. A changed
    /// meeting has the same UID and a higher SEQUENCE, so that a calendar replaces what it has.
    pub fn calendar(&self, now: Timestamp) -> String {
        self.file("PUBLISH", EventStatus::Confirmed, self.meeting.revision, now)
    }

    /// Takes a cancelled meeting out of the calendars that have it (RFC 5546, 3.2.5).
    pub fn cancellation(&self, now: Timestamp) -> String {
        self.file("CANCEL", EventStatus::Cancelled, self.meeting.revision.saturating_add(1), now)
    }

    fn file(&self, method: &str, status: EventStatus, sequence: u32, now: Timestamp) -> String {
        let meeting = self.meeting;
        let mut event = Event::new();
        event.uid(&uid(meeting)).sequence(sequence).status(status);
        event.add_property("DTSTAMP", utc(now));
        event.add_property("DTSTART", utc(meeting.starts_at));
        event.add_property("DTEND", utc(meeting.ends_at));
        event.summary(&meeting.subject).description(&self.how_to_join());
        if let Some(number) = self.numbers.first() {
            event.location(&one_touch(number, meeting));
        }
        event.append_property(self.organizer_property());
        let mut calendar = Calendar::empty();
        calendar.append_property(Property::new("VERSION", "2.0"));
        calendar.append_property(Property::new("PRODID", "-//Anteroom//Anteroom//EN"));
        calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
        calendar.append_property(Property::new("METHOD", method));
        calendar.push(event);
        calendar.to_string()
    }

    fn organizer_property(&self) -> Property {
        // RFC 5546 wants an organizer, and RFC 5545 an address of him; `invalid:nomail` is what calendars write for none.
        let address =
            self.organizer.email.as_ref().map_or_else(|| "invalid:nomail".to_owned(), |to| format!("mailto:{to}"));
        let mut property = Property::new("ORGANIZER", address);
        // A double quote can't stand in a parameter, not even quoted (RFC 5545, 3.1).
        property.add_parameter("CN", &self.organizer_name().replace('"', "'"));
        property
    }

    fn organizer_name(&self) -> &str {
        let User { name, identity, .. } = self.organizer;
        if name.is_empty() { identity.as_str() } else { name }
    }
}

/// The same as long as the meeting is there, and nobody else's: none of it ever changes or comes again.
fn uid(meeting: &ScheduledMeeting) -> String {
    format!("{}-{}-{:x}@anteroom.invalid", meeting.key, meeting.conference_id, meeting.created_at.0)
}

/// What a telephone dials at one touch: the number, a pause for the answer, the conference ID.
fn one_touch(number: &Number, meeting: &ScheduledMeeting) -> String {
    format!("{},,{}#", number.number, meeting.conference_id)
}

/// `20261123T090000Z` (RFC 5545, 3.3.5).
fn utc(at: Timestamp) -> String {
    civil(at).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `Monday, 23 November 2026, 09:00 to 10:00 UTC`.
fn span(from: Timestamp, to: Timestamp) -> String {
    let (from, to) = (civil(from), civil(to));
    let begins = from.strftime("%A, %-d %B %Y, %H:%M");
    if from.date() == to.date() {
        format!("{begins} to {} UTC", to.strftime("%H:%M"))
    } else {
        format!("{begins} to {} UTC", to.strftime("%A, %-d %B %Y, %H:%M"))
    }
}

fn civil(at: Timestamp) -> jiff::Zoned {
    // The store takes no meeting beyond the years that there are.
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::NumberKey;
    use crate::words::answer::LobbyPolicy;
    use crate::words::ids::{ConferenceKey, UserKey};

    fn meeting() -> ScheduledMeeting {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        ScheduledMeeting {
            key: ConferenceKey(7),
            conference_id: "1234567".parse().unwrap(),
            organizer: UserKey(1),
            organizer_identity: "anna@example.com".to_owned(),
            subject: "Plans; for, all\\".to_owned(),
            starts_at: at("2026-11-23T09:00:00Z"),
            ends_at: at("2026-11-23T10:30:00Z"),
            expires_at: at("2027-01-22T10:30:00Z"),
            created_at: at("2026-11-22T05:00:00Z"),
            revision: 2,
        }
    }

    fn organizer() -> User {
        User {
            key: UserKey(1),
            identity: "anna@example.com".parse().unwrap(),
            name: "Anna \"A\", Example".to_owned(),
            email: Some("anna@example.com".to_owned()),
            number: None,
            enabled: true,
            conference_id: None,
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
            created_at: Timestamp(0),
            pin_set_at: None,
        }
    }

    fn numbers() -> Vec<Number> {
        vec![Number {
            key: NumberKey(1),
            number: "+49 30 123456".to_owned(),
            language: "de".to_owned(),
            label: "Berlin".to_owned(),
            is_default: true,
        }]
    }

    /// Long lines go on after a line break and a space (RFC 5545, 3.1).
    fn lines(file: &str) -> Vec<String> {
        file.replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn the_text_says_when_and_how() {
        let (meeting, organizer, numbers) = (meeting(), organizer(), numbers());
        let text = Invitation { meeting: &meeting, organizer: &organizer, numbers: &numbers }.text();
        let begins = "Plans; for, all\\\nMonday, 23 November 2026, 09:00 to 10:30 UTC\nOrganizer: Anna \"A\", Example\n\n\
                      Join by telephone:\n  +49 30 123456  Berlin (German)\n\nConference ID: 123 456 7#\n";
        assert!(text.starts_with(begins), "{text}");
        let overnight = span(meeting.starts_at, Timestamp(meeting.ends_at.0 + 86_400_000));
        assert_eq!(overnight, "Monday, 23 November 2026, 09:00 to Tuesday, 24 November 2026, 10:30 UTC");
    }

    #[test]
    fn the_calendar_file_is_one_event_that_later_ones_replace() {
        let (meeting, organizer, numbers) = (meeting(), organizer(), numbers());
        let invitation = Invitation { meeting: &meeting, organizer: &organizer, numbers: &numbers };
        let now = Timestamp(meeting.created_at.0 + 1_000);
        let file = invitation.calendar(now);
        assert!(file.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{file}");
        let lines = lines(&file);
        for line in [
            "METHOD:PUBLISH",
            "VERSION:2.0",
            "DTSTAMP:20261122T050001Z",
            "DTSTART:20261123T090000Z",
            "DTEND:20261123T103000Z",
            "SEQUENCE:2",
            "STATUS:CONFIRMED",
            "SUMMARY:Plans\\; for\\, all\\\\",
            "LOCATION:+49 30 123456\\,\\,1234567#",
            "ORGANIZER;CN=\"Anna 'A', Example\":mailto:anna@example.com",
        ] {
            assert!(lines.iter().any(|other| other == line), "{line} in\n{lines:#?}");
        }
        let of = |name: &str, lines: &[String]| lines.iter().find(|line| line.starts_with(name)).unwrap().clone();
        assert!(of("DESCRIPTION:", &lines).contains("Conference ID: 123 456 7#"));
        assert_eq!(lines.iter().filter(|line| line.starts_with("BEGIN:")).count(), 2);

        let cancelled = super::tests::lines(&invitation.cancellation(now));
        assert_eq!(of("UID:", &cancelled), of("UID:", &lines));
        for line in ["METHOD:CANCEL", "STATUS:CANCELLED", "SEQUENCE:3"] {
            assert!(cancelled.iter().any(|other| other == line), "{line} in\n{cancelled:#?}");
        }
    }
}
