//! `"Display" <uri>;params`: From, To, Contact, Route, Record-Route, P-Asserted-Identity, Diversion (RFC 3261 section 20.10).

use std::fmt;

use bytes::Bytes;

use super::params::Params;
use super::scan::{ValueError, cut, is_token_byte, piece, quoted_len, trim, unquote, write_quoted};
use super::uri::Uri;

/// One address. `Display` is for people and hides a URI's password; [`NameAddr::to_bytes`] is for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Without quotes and escapes; not always UTF-8. `None` where it is missing or empty.
    pub display: Option<Bytes>,
    pub uri: Uri,
    /// The header's own parameters, which follow the `>`.
    pub params: Params,
}

impl NameAddr {
    pub fn new(uri: Uri) -> NameAddr {
        NameAddr { display: None, uri, params: Params::new() }
    }

    /// Reads one address, in either form.
    pub fn parse(text: &[u8]) -> Result<NameAddr, ValueError> {
        Self::parse_bytes(&Bytes::copy_from_slice(text))
    }

    /// [`NameAddr::parse`] without a copy: the pieces share the memory of `whole`.
    ///
    /// More liberal than the grammar in two ways that RFC 4475 allows: an unquoted display name may be any text
    /// (section 3.1.2.15), and blanks may stand within `<` and `>` (section 3.1.2.14).
    pub fn parse_bytes(whole: &Bytes) -> Result<NameAddr, ValueError> {
        let text = trim(whole);
        let (display, rest) = if text.first() == Some(&b'"') {
            let length = quoted_len(text).ok_or(ValueError("unbalanced quote"))?;
            let (quoted, rest) = text.split_at(length);
            (unquote(whole, quoted), trim(rest))
        } else if let Some(at) = text.iter().position(|&byte| byte == b'<') {
            let (display, rest) = text.split_at(at);
            (piece(whole, trim(display)), rest)
        } else {
            return Self::parse_without_brackets(whole, text);
        };
        let bracketed = rest.strip_prefix(b"<").ok_or(ValueError("no < after the display name"))?;
        let end = bracketed.iter().position(|&byte| byte == b'>').ok_or(ValueError("< without >"))?;
        let (uri, rest) = cut(bracketed, end);
        let params = match trim(rest) {
            [] => &[][..],
            [b';', params @ ..] => params,
            _ => return Err(ValueError("text after >")),
        };
        Ok(NameAddr {
            display: (!display.is_empty()).then_some(display),
            uri: Uri::parse_bytes(&piece(whole, trim(uri)))?,
            params: Params::parse(whole, params)?,
        })
    }

    /// Without brackets every parameter is the header's, and a URI with `?` or `,` is not allowed.
    fn parse_without_brackets(whole: &Bytes, text: &[u8]) -> Result<NameAddr, ValueError> {
        let (uri, params) = match text.iter().position(|&byte| byte == b';') {
            Some(at) => cut(text, at),
            None => (text, &[][..]),
        };
        if uri.iter().any(|byte| b"?,".contains(byte)) {
            return Err(ValueError("URI with ? or , outside < >"));
        }
        let uri = Uri::parse_bytes(&piece(whole, trim(uri)))?;
        Ok(NameAddr { display: None, uri, params: Params::parse(whole, params)? })
    }

    /// The tag of From or To. Missing in a request that starts a dialog (To), and from elements of RFC 2543.
    pub fn tag(&self) -> Option<&Bytes> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// For building.
    pub fn with_tag(mut self, tag: impl Into<Bytes>) -> NameAddr {
        self.params.set("tag", Some(tag));
        self
    }

    /// For building: the name is quoted when it is written.
    pub fn with_display(mut self, name: &str) -> NameAddr {
        self.display = (!name.is_empty()).then(|| Bytes::copy_from_slice(name.as_bytes()));
        self
    }

    /// For the wire, always with `<` and `>`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if let Some(display) = &self.display {
            if display.iter().copied().all(is_token_byte) {
                out.extend_from_slice(display);
            } else {
                write_quoted(display, out);
            }
            out.push(b' ');
        }
        out.push(b'<');
        self.uri.write_to(out);
        out.push(b'>');
        self.params.write_to(out);
    }

    /// For the wire, always with `<` and `>`.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(96);
        self.write_to(&mut out);
        out.into()
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{:?} ", String::from_utf8_lossy(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn both_forms() {
        let address = parse("\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com> ; tag = 98asjd8");
        assert_eq!(address.display.as_deref(), Some(&br#"J Rosenberg \""#[..]));
        assert_eq!(address.tag().unwrap(), "98asjd8");
        assert_eq!(address.to_bytes(), r#""J Rosenberg \\\"" <sip:jdrosen@example.com>;tag=98asjd8"#);

        let address = parse("sip:caller@example.net;tag=2234923");
        assert_eq!(address.tag().unwrap(), "2234923");
        assert_eq!(address.to_bytes(), "<sip:caller@example.net>;tag=2234923");

        let address = parse("<sip:gw.example.net;unknownparam>");
        assert_eq!(address.params, Params::new());
        assert!(address.uri.as_sip().unwrap().params.has("unknownparam"));
    }

    #[test]
    fn what_the_torture_messages_want_read() {
        assert_eq!(parse("caller<sip:caller@example.com>;tag=323").display.unwrap(), "caller");
        assert_eq!(parse("Bell, Alexander <sip:a@example.com>;tag=43").display.unwrap(), "Bell, Alexander");
        assert_eq!(parse("\"Watson, Thomas\" < sip:t@example.org >").uri.to_bytes(), "sip:t@example.org");
        assert_eq!(parse("\"\" <sip:a@b>").display, None);
        assert!(matches!(parse("<http://www.example.com>;tag=3234233").uri, Uri::Other(_)));
        let odd = parse(
            "token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440},;\";tag=_token~1'+`*%!-.",
        );
        assert_eq!(odd.tag().unwrap(), "_token~1'+`*%!-.");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_carried_through() {
        let text = b"\"Caf\xe9 NUL:\\\0\" <sip:a@b>;tag=1";
        let address = NameAddr::parse(text).unwrap();
        assert_eq!(address.display.as_deref(), Some(&b"Caf\xe9 NUL:\0"[..]));
        assert_eq!(&address.to_bytes()[..], text);
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "\"a\" sip:a@b",
            "<sip:a@b",
            "sip:a@b>",
            "<sip:a@b>x",
            "<sip:a@b>;a b",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<>",
            "anna",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_can_not_break_out_of_its_quotes() {
        let address = NameAddr::new(parse("sip:a@b").uri).with_display("x\"\r\nVia: y").with_tag("t");
        assert_eq!(address.to_bytes(), "\"x\\\"  Via: y\" <sip:a@b>;tag=t");
    }
}
