//! The small typed header values.

use std::fmt;

use bytes::Bytes;

use super::method::Method;
use super::params::Params;
use super::scan::{ValueError, cut, is_token, number, piece, trim, write_quoted};

/// CSeq (RFC 3261 section 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

impl CSeq {
    pub fn parse(text: &[u8]) -> Result<CSeq, ValueError> {
        let text = trim(text);
        let blank = text.iter().position(|byte| b" \t".contains(byte)).ok_or(ValueError("malformed CSeq"))?;
        let (sequence, method) = cut(text, blank);
        Ok(CSeq {
            number: number(sequence).ok_or(ValueError("CSeq number malformed or too large"))?,
            method: Method::parse(trim(method)).ok_or(ValueError("malformed CSeq"))?,
        })
    }

    /// For the wire.
    pub fn to_bytes(&self) -> Bytes {
        self.to_string().into()
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Content-Type and the values of Accept: `type/subtype;params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    pub kind: Bytes,
    pub subtype: Bytes,
    pub params: Params,
}

impl MediaType {
    pub fn parse(text: &[u8]) -> Result<MediaType, ValueError> {
        let whole = Bytes::copy_from_slice(text);
        let (range, params) = match whole.iter().position(|&byte| byte == b';') {
            Some(at) => cut(&whole, at),
            None => (&whole[..], &[][..]),
        };
        let slash = range.iter().position(|&byte| byte == b'/').ok_or(ValueError("malformed media type"))?;
        let (kind, subtype) = cut(range, slash);
        let (kind, subtype) = (trim(kind), trim(subtype));
        if !is_token(kind) || !is_token(subtype) {
            return Err(ValueError("malformed media type"));
        }
        Ok(MediaType {
            kind: piece(&whole, kind),
            subtype: piece(&whole, subtype),
            params: Params::parse(&whole, params)?,
        })
    }

    /// Whether it is `name`, as in `application/sdp`. Case and parameters do not matter.
    pub fn is(&self, name: &str) -> bool {
        name.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind.as_bytes()) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
        })
    }

    /// Whether an Accept header's range lets `name` in: `*/*`, `application/*`, or itself.
    pub fn admits(&self, name: &str) -> bool {
        let Some((kind, _)) = name.split_once('/') else {
            return false;
        };
        match (&self.kind[..], &self.subtype[..]) {
            (b"*", b"*") => true,
            (range, b"*") => range.eq_ignore_ascii_case(kind.as_bytes()),
            _ => self.is(name),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, subtype) = (String::from_utf8_lossy(&self.kind), String::from_utf8_lossy(&self.subtype));
        write!(f, "{kind}/{subtype}{}", self.params)
    }
}

/// Who sends the refresh of a session timer (RFC 4028 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    Uac,
    Uas,
}

/// Session-Expires (RFC 4028 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    pub interval_s: u32,
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    pub fn parse(text: &[u8]) -> Result<SessionExpires, ValueError> {
        let whole = Bytes::copy_from_slice(text);
        let (interval, params) = match whole.iter().position(|&byte| byte == b';') {
            Some(at) => cut(&whole, at),
            None => (&whole[..], &[][..]),
        };
        let interval_s = delta_seconds(trim(interval)).ok_or(ValueError("malformed Session-Expires"))?;
        let refresher = match Params::parse(&whole, params)?.get("refresher") {
            Some(value) if value.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(value) if value.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            Some(_) => return Err(ValueError("malformed refresher")),
            None => None,
        };
        Ok(SessionExpires { interval_s, refresher })
    }

    /// For the wire.
    pub fn to_bytes(&self) -> Bytes {
        self.to_string().into()
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.interval_s.to_string())?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// Warning (RFC 3261 section 20.43): why something was refused, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Three digits, such as 305 (incompatible media format) or 399 (miscellaneous).
    pub code: u16,
    /// Who says so: a host, or a token that stands for it.
    pub agent: String,
    pub text: String,
}

impl Warning {
    /// For the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = format!("{:03} {} ", self.code, self.agent).into_bytes();
        write_quoted(self.text.as_bytes(), &mut out);
        out.into()
    }
}

/// The seconds of Expires, Min-SE and Retry-After, before any comment or parameter. A number that is too large is taken as
/// the largest: what it asks for is "very long" (RFC 4475 section 3.1.2.4). `None` where there is no number.
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    let text = trim(text);
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits);
    let ends = matches!(rest.first(), None | Some(b' ' | b'\t' | b';' | b'('));
    (!digits.is_empty() && ends).then(|| number(digits).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq() {
        let cseq = CSeq::parse(b"0009   INVITE").unwrap();
        assert_eq!((cseq.number, &cseq.method), (9, &Method::Invite));
        assert_eq!(cseq.to_bytes(), "9 INVITE");
        for bad in ["36893488147419103232 REGISTER", "-1 INVITE", "INVITE", "1", "1 ", "1 A B", "", "4294967296 ACK"] {
            assert!(CSeq::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn media_types() {
        let sdp = MediaType::parse(b"Application/SDP ; charset=utf-8").unwrap();
        assert!(sdp.is("application/sdp") && !sdp.is("application/dtmf"));
        for (range, admits) in
            [("*/*", true), ("application/*", true), ("application/sdp;q=0.5", true), ("text/*", false)]
        {
            assert_eq!(MediaType::parse(range.as_bytes()).unwrap().admits("application/sdp"), admits, "{range}");
        }
        for bad in ["", "application", "application/", "/sdp", "a b/c"] {
            assert!(MediaType::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn session_expires() {
        let value = SessionExpires::parse(b"1800 ; refresher=UAS;x=y").unwrap();
        assert_eq!(value, SessionExpires { interval_s: 1800, refresher: Some(Refresher::Uas) });
        assert_eq!(value.to_bytes(), "1800;refresher=uas");
        assert_eq!(SessionExpires::parse(b"90").unwrap().refresher, None);
        assert!(SessionExpires::parse(b"90;refresher=me").is_err());
        assert!(SessionExpires::parse(b"soon").is_err());
    }

    #[test]
    fn delta_seconds_are_clamped() {
        assert_eq!(delta_seconds(b"120"), Some(120));
        assert_eq!(delta_seconds(b"120 (I'm in a meeting)"), Some(120));
        assert_eq!(delta_seconds(b"90;lr"), Some(90));
        assert_eq!(delta_seconds(b"949302838503028349304023988"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"-1"), None);
        assert_eq!(delta_seconds(b"12x"), None);
    }

    #[test]
    fn warnings_are_quoted() {
        let warning = Warning { code: 305, agent: "anteroom".into(), text: "no \"common\" codec".into() };
        assert_eq!(warning.to_bytes(), r#"305 anteroom "no \"common\" codec""#);
    }
}
