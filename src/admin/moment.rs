//! Points in time as people and programs write them.

use crate::credentials::Timestamp;

/// The text was no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-11-24T09:00+01:00 (2026-11-24T09:00 without an offset is UTC)")]
pub struct NotAMoment;

/// RFC 3339, also without seconds, with a space for the T, or without an offset: then it is UTC.
pub fn parse(text: &str) -> Result<Timestamp, NotAMoment> {
    let text = text.trim();
    let with_offset = text.parse::<jiff::Timestamp>().ok();
    let at = with_offset.or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    at.map(|at| Timestamp(at.as_millisecond())).ok_or(NotAMoment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_an_offset() {
        let nine = Timestamp(1_795_510_800_000);
        for text in [
            "2026-11-24T09:00:00Z",
            "2026-11-24T10:00+01:00",
            "2026-11-24 09:00Z",
            "2026-11-24T09:00",
            " 2026-11-24 09:00:00 ",
        ] {
            assert_eq!(parse(text), Ok(nine), "{text}");
        }
        for text in ["", "tomorrow", "2026-13-24T09:00", "09:00", "2026-11-24T25:00Z", "99999-01-01T00:00Z"] {
            assert_eq!(parse(text), Err(NotAMoment), "{text}");
        }
    }
}
