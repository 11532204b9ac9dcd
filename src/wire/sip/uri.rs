//! URIs: `sip:` and `sips:` (RFC 3261 section 19.1), `tel:` (RFC 3966), and whatever else a header may name.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::params::Params;
use super::scan::{ValueError, cut, number, piece, trim, unescape};

/// Any URI. `Display` is for people and hides the password; [`Uri::to_bytes`] is for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` and `sips:`.
    Sip(SipUri),
    Tel(TelUri),
    /// A scheme that is not ours (416 as Request-URI).
    Other(OtherUri),
}

/// `sip:user:password@host:port;params?headers`. User, password and headers are as on the wire, escapes kept.
#[derive(Clone, PartialEq, Eq)]
pub struct SipUri {
    /// `sips:`.
    pub secure: bool,
    pub user: Option<Bytes>,
    pub password: Option<Bytes>,
    pub host: Host,
    pub port: Option<u16>,
    pub params: Params,
    /// What follows the `?`. Never turned into headers of a message: whoever sends the URI does not write ours.
    pub headers: Option<Bytes>,
}

/// `tel:+1-201-555-0123;phone-context=…`
#[derive(Clone, PartialEq, Eq)]
pub struct TelUri {
    /// With its `+` and visual separators, as it came.
    pub number: Bytes,
    pub params: Params,
}

/// A URI that is only carried along.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherUri {
    pub scheme: Bytes,
    /// All that follows the first `:`.
    pub rest: Bytes,
}

/// Where a URI or a Via points to.
#[derive(Clone, PartialEq, Eq)]
pub enum Host {
    Name(Bytes),
    V4(Ipv4Addr),
    /// Written in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub fn parse(text: &[u8]) -> Result<Host, ValueError> {
        Self::parse_in(&Bytes::copy_from_slice(text), text.len())
    }

    /// The host that the first `length` bytes of `whole` are.
    fn parse_in(whole: &Bytes, length: usize) -> Result<Host, ValueError> {
        let text = whole.get(..length).unwrap_or_default();
        if let [b'[', address @ .., b']'] = text {
            let address = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
            return address.map(Host::V6).ok_or(ValueError("malformed IPv6 address"));
        }
        // A name that starts with a digit is rare, and an address always does.
        if text.first().is_some_and(u8::is_ascii_digit)
            && let Some(address) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok())
        {
            return Ok(Host::V4(address));
        }
        // The underscore is in no host name of RFC 1123 and in many of the real world.
        let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        if text.is_empty() || !text.iter().all(is_name_byte) {
            return Err(ValueError("malformed host"));
        }
        Ok(Host::Name(piece(whole, text)))
    }

    /// `host` or `host:port`, where `text` is a slice of `whole`. Blanks around the colon are taken, as Via allows them.
    pub(super) fn parse_with_port(whole: &Bytes, text: &[u8]) -> Result<(Host, Option<u16>), ValueError> {
        let host_len = match text.first() {
            Some(b'[') => text.iter().position(|&byte| byte == b']').map_or(text.len(), |end| end + 1),
            _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(host_len);
        let host = trim(host);
        let host = Host::parse_in(&piece(whole, host), host.len())?;
        match trim(rest) {
            [] => Ok((host, None)),
            [b':', port @ ..] => {
                let port = number(trim(port)).ok_or(ValueError("malformed port"))?;
                Ok((host, Some(port)))
            }
            _ => Err(ValueError("malformed host")),
        }
    }

    /// The address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Host {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            Host::V4(address) => write!(f, "{address}"),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Uri {
    /// Reads a whole URI: no blanks, no angle brackets around it.
    pub fn parse(text: &[u8]) -> Result<Uri, ValueError> {
        Self::parse_bytes(&Bytes::copy_from_slice(text))
    }

    /// [`Uri::parse`] without a copy: the pieces share the memory of `whole`.
    pub fn parse_bytes(whole: &Bytes) -> Result<Uri, ValueError> {
        if whole.iter().any(|&byte| byte <= b' ' || byte == 0x7f || b"<>\"".contains(&byte)) {
            return Err(ValueError("a character that no URI may contain"));
        }
        let colon = whole.iter().position(|&byte| byte == b':').ok_or(ValueError("URI without a scheme"))?;
        let (scheme, rest) = cut(whole, colon);
        if scheme.eq_ignore_ascii_case(b"sip") {
            SipUri::parse(whole, rest, false).map(Uri::Sip)
        } else if scheme.eq_ignore_ascii_case(b"sips") {
            SipUri::parse(whole, rest, true).map(Uri::Sip)
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            TelUri::parse(whole, rest).map(Uri::Tel)
        } else {
            // RFC 3986 section 3.1.
            let is_scheme_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(is_scheme_byte) {
                return Err(ValueError("malformed URI scheme"));
            }
            Ok(Uri::Other(OtherUri { scheme: piece(whole, scheme), rest: piece(whole, rest) }))
        }
    }

    /// The user part without escapes, or the number of a `tel:` URI. Lossy, for showing and comparing.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            Uri::Sip(uri) => uri.user.as_ref()?,
            Uri::Tel(uri) => &uri.number,
            Uri::Other(_) => return None,
        };
        Some(match unescape(text) {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
        })
    }

    /// The SIP URI, where it is one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// For the wire.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Uri::Sip(uri) => uri.write_to(out, uri.password.as_deref()),
            Uri::Tel(uri) => {
                out.extend_from_slice(b"tel:");
                out.extend_from_slice(&uri.number);
                uri.params.write_to(out);
            }
            Uri::Other(uri) => {
                out.extend_from_slice(&uri.scheme);
                out.push(b':');
                out.extend_from_slice(&uri.rest);
            }
        }
    }

    /// For the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        self.write_to(&mut out);
        out.into()
    }
}

impl SipUri {
    /// `rest` is what follows the scheme, a slice of `whole`.
    ///
    /// The first `@` ends the user part: neither parameters nor headers may contain one, while a user part may contain
    /// `;`, `?`, `,` and `/` (RFC 4475 section 3.1.1.2).
    fn parse(whole: &Bytes, rest: &[u8], secure: bool) -> Result<SipUri, ValueError> {
        let (user_info, rest) = match rest.iter().position(|&byte| byte == b'@') {
            Some(at) => cut(rest, at),
            None => (&[][..], rest),
        };
        let (user, password) = match user_info.iter().position(|&byte| byte == b':') {
            Some(at) => {
                let (user, password) = cut(user_info, at);
                (user, Some(piece(whole, password)))
            }
            None => (user_info, None),
        };
        let (rest, headers) = match rest.iter().position(|&byte| byte == b'?') {
            Some(at) => {
                let (rest, headers) = cut(rest, at);
                (rest, Some(piece(whole, headers)))
            }
            None => (rest, None),
        };
        let (host_port, params) = match rest.iter().position(|&byte| byte == b';') {
            Some(at) => cut(rest, at),
            None => (rest, &[][..]),
        };
        let (host, port) = Host::parse_with_port(whole, host_port)?;
        Ok(SipUri {
            secure,
            // `sip:@host`, which gateways send for a withheld number, names no user.
            user: (!user.is_empty()).then(|| piece(whole, user)),
            password: password.filter(|_| !user.is_empty()),
            host,
            port,
            params: Params::parse(whole, params)?,
            headers,
        })
    }

    fn write_to(&self, out: &mut Vec<u8>, password: Option<&[u8]>) {
        out.extend_from_slice(if self.secure { b"sips:" } else { b"sip:" });
        if let Some(user) = &self.user {
            out.extend_from_slice(user);
            if let Some(password) = password {
                out.push(b':');
                out.extend_from_slice(password);
            }
            out.push(b'@');
        }
        out.extend_from_slice(self.host.to_string().as_bytes());
        if let Some(port) = self.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        self.params.write_to(out);
        if let Some(headers) = &self.headers {
            out.push(b'?');
            out.extend_from_slice(headers);
        }
    }
}

impl TelUri {
    fn parse(whole: &Bytes, rest: &[u8]) -> Result<TelUri, ValueError> {
        let (number, params) = match rest.iter().position(|&byte| byte == b';') {
            Some(at) => cut(rest, at),
            None => (rest, &[][..]),
        };
        // phonedigit-hex, "+" and visual separators of RFC 3966 section 3; escapes are taken too.
        let is_number_byte = |byte: &u8| byte.is_ascii_hexdigit() || b"+*#-.()%".contains(byte);
        if number.is_empty() || !number.iter().all(is_number_byte) {
            return Err(ValueError("malformed telephone number"));
        }
        Ok(TelUri { number: piece(whole, number), params: Params::parse(whole, params)? })
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write_to(&mut text, self.password.as_ref().map(|_| &b"***"[..]));
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => fmt::Display::fmt(uri, f),
            Uri::Tel(_) | Uri::Other(_) => f.write_str(&String::from_utf8_lossy(&self.to_bytes())),
        }
    }
}

impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for TelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tel:{}{}", String::from_utf8_lossy(&self.number), self.params)
    }
}

impl fmt::Debug for OtherUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", String::from_utf8_lossy(&self.scheme), String::from_utf8_lossy(&self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> SipUri {
        match Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}")) {
            Uri::Sip(uri) => uri,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn all_parts_of_a_sip_uri() {
        let uri = sip("SIPS:anna:secret@Example.com:5061;transport=tcp;lr?Subject=x");
        assert!(uri.secure);
        assert_eq!(uri.user.as_deref(), Some(&b"anna"[..]));
        assert_eq!(uri.host, Host::Name("Example.com".into()));
        assert_eq!(uri.port, Some(5061));
        assert_eq!(uri.params.get("transport").unwrap(), "tcp");
        assert!(uri.params.has("lr"));
        assert_eq!(uri.headers.as_deref(), Some(&b"Subject=x"[..]));
        let whole = Uri::Sip(uri.clone());
        assert_eq!(whole.to_bytes(), "sips:anna:secret@Example.com:5061;transport=tcp;lr?Subject=x");
        for shown in [format!("{uri:?}"), format!("{uri}"), format!("{whole:?}"), format!("{whole}")] {
            assert!(!shown.contains("secret") && shown.contains("anna"), "{shown}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(sip("sip:192.0.2.1:5070").host, Host::V4(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(sip("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(sip("sip:[2001:db8::10]:5070").port, Some(5070));
        assert_eq!(sip("sip:[::ffff:192.0.2.2]").host.to_string(), "[::ffff:192.0.2.2]");
        assert_eq!(sip("sip:1.2.3.4.example.com").host.to_string(), "1.2.3.4.example.com");
        assert_eq!(sip("sip:@192.0.2.1").user, None);
        for bad in [
            "sip:",
            "sip:2001:db8::10",
            "sip:user@[2001:db8:::192.0.2.1]",
            "sip:[::1",
            "sip:[::1]5060",
            "sip:host:",
            "sip:host:65536",
            "sip:host:-1",
            "sip:a@b@c",
            "sip:ho st",
            "<sip:host>",
            "host",
            ":host",
            "sip:ho\"st",
            "sip:höst",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn user_parts_with_reserved_characters() {
        let uri = sip("sip:user;par=u%40example.net@example.com");
        assert_eq!(Uri::Sip(uri).user().unwrap(), "user;par=u@example.net");
        let uri = sip("sip:sips%3Auser%40example.com@example.net");
        assert!(!uri.secure);
        assert_eq!(Uri::Sip(uri).user().unwrap(), "sips:user@example.com");
        let odd = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
        let uri = sip(odd);
        assert_eq!(uri.user.as_deref(), Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
        assert_eq!(Uri::Sip(uri).to_bytes(), odd);
        assert_eq!(Uri::Sip(sip("sip:*6#@host")).user().unwrap(), "*6#");
    }

    #[test]
    fn telephone_numbers() {
        let Uri::Tel(uri) = Uri::parse(b"tel:+1-201-555-0123;phone-context=example.com").unwrap() else { panic!() };
        assert_eq!(uri.params.get("phone-context").unwrap(), "example.com");
        assert_eq!(Uri::Tel(uri).to_bytes(), "tel:+1-201-555-0123;phone-context=example.com");
        assert!(Uri::parse(b"tel:").is_err());
        assert!(Uri::parse(b"tel:anna@example.com").is_err());
    }

    #[test]
    fn other_schemes_are_carried_along() {
        for text in ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002", "http://a/?b"] {
            let uri = Uri::parse(text.as_bytes()).unwrap();
            assert!(matches!(uri, Uri::Other(_)), "{text}");
            assert_eq!(uri.to_bytes(), text);
            assert_eq!(uri.user(), None);
        }
        assert!(Uri::parse(b"1x:y").is_err());
    }
}
