//! How values read on a page: times, spans, conference IDs, counts.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `22 Nov 2026, 04:56 UTC`; script tells it in the reader's own time zone.
pub fn moment(at: impl Display) -> String {
    let text = at.to_string();
    text.parse::<Timestamp>()
        .map_or_else(|_| text.clone(), |at| at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M UTC").to_string())
}

/// From then until now: `42 s`, `3 min 5 s`, `1 h 12 min`.
pub fn span(at: &str, now: &Timestamp) -> String {
    at.parse::<Timestamp>().map_or_else(|_| String::new(), |at| seconds(now.duration_since(at).as_secs().max(0)))
}

/// A length of time.
pub fn seconds(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{hours} h {} min", minutes % 60)
    }
}

/// A conference ID as it is read out: `123 456 7`.
pub fn grouped(conference_id: &str) -> String {
    let digits: Vec<char> = conference_id.chars().collect();
    digits.chunks(3).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// `1 call`, `2 calls`.
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A text as one part of an address (RFC 3986, section 2.3: only what is unreserved stays as it is).
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

/// What somebody who signs in is.
pub fn role(role: &str) -> &str {
    match role {
        "administrator" => "Administrator",
        "operator" => "Operator",
        "user" => "User",
        other => other,
    }
}

/// What happens to those who call when a meeting has started.
pub fn lobby_policy(policy: &str) -> &str {
    match policy {
        "open" => "Join at once",
        "wait-for-admission" => "Wait until they are let in",
        other => other,
    }
}

/// A codec as people know it.
pub fn codec(name: Option<&str>) -> &str {
    match name {
        Some("PCMA") => "G.711 A-law",
        Some("PCMU") => "G.711 µ-law",
        Some(other) => other,
        None => "No audio",
    }
}

/// What a mail is about.
pub fn mail_kind(kind: &str) -> &str {
    match kind {
        "enabled" => "Enabled, with the PIN",
        "pin-reset" => "New PIN",
        "conference-id-changed" => "New conference ID",
        "conference-info" => "Conference info",
        "disabled" => "Disabled",
        other => other,
    }
}

/// A part of a mail.
pub fn mail_part(part: &str) -> &str {
    match part {
        "subject" => "Subject",
        "text" => "Plain text",
        "html" => "HTML",
        other => other,
    }
}

/// What a budget counts.
pub fn budget(budget: &str) -> &str {
    match budget {
        "caller-conference-ids" => "Wrong conference IDs of this caller",
        "trunk-conference-ids" => "Wrong conference IDs from this trunk",
        "caller-pins" => "Wrong PINs of this caller",
        "organizer-pins" => "Wrong PINs for this organizer",
        "trunk-pins" => "Wrong PINs from this trunk",
        "same-pin" => "One PIN tried on many meetings",
        other => other,
    }
}

/// What somebody did, as the audit names it.
pub fn action(action: &str) -> &str {
    match action {
        "user.enable" => "Enabled the user",
        "user.disable" => "Disabled the user",
        "user.set" => "Changed the user's settings",
        "user.reset-pin" => "Reset the PIN",
        "user.reset-conference-id" => "Reset the conference ID",
        "user.send-info" => "Sent conference info",
        "number.add" => "Added a dial-in number",
        "number.set" => "Changed a dial-in number",
        "number.default" => "Made a number the default",
        "number.remove" => "Removed a dial-in number",
        "meeting.schedule" => "Scheduled a meeting",
        "meeting.change" => "Changed a meeting",
        "meeting.cancel" => "Cancelled a meeting",
        "meeting.live" => "Acted on a live meeting",
        "settings.set" => "Changed a setting",
        "mail-template.set" => "Changed a text of mails",
        "budget.clear" => "Cleared a count of wrong entries",
        "account.add" => "Added a sign-in",
        "account.role" => "Changed a role",
        "account.disable" => "Disabled a sign-in",
        "account.enable" => "Enabled a sign-in",
        "account.password" => "Chose a password",
        "link.make" => "Made a one-time link",
        "link.show" => "Showed the first administrator's link",
        "token.make" => "Made a token",
        "token.revoke" => "Revoked a token",
        "alert.clear" => "Cleared an alert",
        "mail.retry" => "Tried a mail again",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!(moment("2026-11-22T04:56:01Z"), "22 Nov 2026, 04:56 UTC");
        assert_eq!(moment("not a time"), "not a time");
        let now: Timestamp = "2026-11-22T05:00:00Z".parse().unwrap();
        assert_eq!(span("2026-11-22T04:59:18Z", &now), "42 s");
        assert_eq!(span("2026-11-22T04:56:55Z", &now), "3 min 5 s");
        assert_eq!(span("2026-11-22T03:48:00Z", &now), "1 h 12 min");
        // A browser's or another server's clock may run ahead.
        assert_eq!(span("2026-11-22T05:00:09Z", &now), "0 s");
    }

    #[test]
    fn a_conference_id_reads_in_threes() {
        assert_eq!(grouped("1234567"), "123 456 7");
        assert_eq!(grouped(""), "");
        assert_eq!((counted(1, "call"), counted(0, "call")), ("1 call".to_owned(), "0 calls".to_owned()));
    }
}
