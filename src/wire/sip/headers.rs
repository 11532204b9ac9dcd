//! The ordered list of header lines, and typed access to the headers that nearly every element needs.

use std::fmt;

use bytes::Bytes;

use super::header_name::HeaderName;
use super::name_addr::NameAddr;
use super::scan::{ValueError, has_line_break, number, piece, split, trim};
use super::values::{CSeq, MediaType, SessionExpires, delta_seconds};
use super::via::Via;

/// One header line: unfolded, without blanks at both ends, otherwise as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    pub value: Bytes,
}

/// Header lines in the order of the message. `Debug` shows the names only: values may hold what no log may.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    pub const fn new() -> Headers {
        Headers(Vec::new())
    }

    pub fn with_capacity(lines: usize) -> Headers {
        Headers(Vec::with_capacity(lines))
    }

    pub(super) fn from_lines(lines: Vec<Header>) -> Headers {
        Headers(lines)
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&Bytes> {
        self.0.iter().find(|header| header.name == *name).map(|header| &header.value)
    }

    /// The value of each line of this name.
    pub fn get_all<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a Bytes> + use<'a> {
        let name = name.clone();
        self.0.iter().filter(move |header| header.name == name).map(|header| &header.value)
    }

    /// The values of all lines of this name, cut at commas (not those in quotes or `<…>`), without blanks around them.
    /// Empty ones are left out. For headers whose grammar is a list; not for From, To, Date or Warning texts.
    pub fn values<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.get_all(name).flat_map(|line| split(line, b',')).map(trim).filter(|value| !value.is_empty())
    }

    /// [`Headers::values`] as handles to the same memory.
    fn shared_values<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = Bytes> + use<'a> {
        self.get_all(name).flat_map(|line| {
            split(line, b',').map(trim).filter(|value| !value.is_empty()).map(|value| piece(line, value))
        })
    }

    /// Whether one of the comma-separated values is this token: an option tag in Require, a method in Allow.
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    pub fn contains(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// Adds a line at the end. CR and LF in the value become spaces: a value can't start a line of its own.
    pub fn push(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.push(Header { name, value: one_line(value.into()) });
    }

    /// Replaces the first of the comma-separated values of the first line of this name, and keeps the others.
    pub fn set_first_value(&mut self, name: &HeaderName, value: &[u8]) {
        let Some(header) = self.0.iter_mut().find(|header| header.name == *name) else {
            return;
        };
        let first_len = split(&header.value, b',').next().map_or(0, <[u8]>::len);
        let mut line = value.to_vec();
        line.extend_from_slice(header.value.get(first_len..).unwrap_or_default());
        header.value = one_line(line.into());
    }

    /// Takes out every line of this name, and says how many there were.
    pub fn remove(&mut self, name: &HeaderName) -> usize {
        let before = self.0.len();
        self.0.retain(|header| header.name != *name);
        before - self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Typed access. After [`Message::parse`](super::Message::parse) the headers marked with ✓ are known to be well-formed.
impl Headers {
    /// The first Via: the hop that sent this message, or, in a response, ours. ✓
    pub fn top_via(&self) -> Result<Via, ValueError> {
        let value = self.shared_values(&HeaderName::Via).next().ok_or(ValueError("Via is missing"))?;
        Via::parse_bytes(&value)
    }

    /// ✓
    pub fn from(&self) -> Result<NameAddr, ValueError> {
        NameAddr::parse_bytes(self.get(&HeaderName::From).ok_or(ValueError("From is missing"))?)
    }

    /// ✓
    pub fn to(&self) -> Result<NameAddr, ValueError> {
        NameAddr::parse_bytes(self.get(&HeaderName::To).ok_or(ValueError("To is missing"))?)
    }

    /// ✓
    pub fn call_id(&self) -> Result<&Bytes, ValueError> {
        self.get(&HeaderName::CallId).ok_or(ValueError("Call-ID is missing"))
    }

    /// ✓
    pub fn cseq(&self) -> Result<CSeq, ValueError> {
        CSeq::parse(self.get(&HeaderName::CSeq).ok_or(ValueError("CSeq is missing"))?)
    }

    /// `None` where it is missing, as from an element of RFC 2543. ✓
    pub fn max_forwards(&self) -> Result<Option<u8>, ValueError> {
        let Some(text) = self.get(&HeaderName::MaxForwards) else {
            return Ok(None);
        };
        number(text).map(Some).ok_or(ValueError("malformed Max-Forwards"))
    }

    /// The first Contact; `None` where it is missing or `*`. ✓ in an INVITE, an UPDATE, and the responses to them
    pub fn contact(&self) -> Result<Option<NameAddr>, ValueError> {
        match self.shared_values(&HeaderName::Contact).next() {
            Some(value) if value != "*" => NameAddr::parse_bytes(&value).map(Some),
            _ => Ok(None),
        }
    }

    /// The Record-Route values from the top. ✓ in an INVITE and the responses to it
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, ValueError> {
        self.shared_values(&HeaderName::RecordRoute).map(|value| NameAddr::parse_bytes(&value)).collect()
    }

    /// `None` where it is missing.
    pub fn content_type(&self) -> Result<Option<MediaType>, ValueError> {
        self.get(&HeaderName::ContentType).map(|text| MediaType::parse(text)).transpose()
    }

    /// `None` where it is missing.
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, ValueError> {
        self.get(&HeaderName::SessionExpires).map(|text| SessionExpires::parse(text)).transpose()
    }

    /// `None` where it is missing. Seconds.
    pub fn min_se(&self) -> Result<Option<u32>, ValueError> {
        let Some(text) = self.get(&HeaderName::MinSe) else {
            return Ok(None);
        };
        delta_seconds(text).map(Some).ok_or(ValueError("malformed Min-SE"))
    }
}

fn one_line(value: Bytes) -> Bytes {
    if !has_line_break(&value) {
        return value;
    }
    value.iter().map(|&byte| if b"\r\n".contains(&byte) { b' ' } else { byte }).collect()
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(HeaderName::new(name.as_bytes()), value.to_string());
        }
        headers
    }

    fn lines(headers: &Headers) -> Vec<String> {
        headers.iter().map(|header| format!("{}: {}", header.name, String::from_utf8_lossy(&header.value))).collect()
    }

    #[test]
    fn lists_over_several_lines() {
        let headers = headers(&[
            ("Require", "a, \tb"),
            ("Contact", "\"x, y\" <sip:a@b?x=c,d>, <sip:e@f>"),
            ("Require", ""),
            ("require", "c,,d"),
        ]);
        let values: Vec<_> = headers.values(&HeaderName::Require).collect();
        assert_eq!(values, [b"a", b"b", b"c", b"d"]);
        assert_eq!(headers.values(&HeaderName::Contact).count(), 2);
        assert_eq!(headers.get_all(&HeaderName::Require).count(), 3);
        assert!(headers.has_token(&HeaderName::Require, "D") && !headers.has_token(&HeaderName::Require, "e"));
        assert_eq!(headers.contact().unwrap().unwrap().display.unwrap(), "x, y");
    }

    #[test]
    fn every_line_of_a_name_is_taken_out() {
        let mut all = headers(&[("X-A", "1"), ("X-B", "2"), ("x-a", "3")]);
        assert_eq!(all.remove(&HeaderName::new(b"X-a")), 2);
        assert_eq!(lines(&all), ["X-B: 2"]);
    }

    #[test]
    fn the_first_value_of_a_list_is_replaced() {
        let mut all = headers(&[("Via", "SIP/2.0/UDP a, SIP/2.0/UDP b"), ("Via", "SIP/2.0/UDP c")]);
        all.set_first_value(&HeaderName::Via, b"SIP/2.0/UDP a;received=192.0.2.1");
        assert_eq!(lines(&all), ["Via: SIP/2.0/UDP a;received=192.0.2.1, SIP/2.0/UDP b", "Via: SIP/2.0/UDP c"]);
        all.set_first_value(&HeaderName::To, b"x");
        assert_eq!(lines(&all).len(), 2);
    }

    #[test]
    fn a_value_can_not_start_a_line() {
        let all = headers(&[("Subject", "a\r\nVia: b")]);
        assert_eq!(lines(&all), ["Subject: a  Via: b"]);
    }

    #[test]
    fn debug_shows_no_value() {
        let all = headers(&[("Authorization", "Digest secret"), ("To", "<sip:a:secret@b>")]);
        assert_eq!(format!("{all:?}"), "[Authorization, To]");
    }
}
