//! Header names: case-insensitive, with their compact forms (RFC 3261 section 7.3.3 and 20).

use std::fmt;

use bytes::Bytes;

/// The longest name in the table below; anything longer is an unknown name.
const KNOWN_NAME_BYTES_MAX: usize = 24;

macro_rules! header_names {
    ($($name:ident = $canonical:literal, $($lower:literal)|+;)+) => {
        /// The name of a header line. Known names are one value each, whatever their case or form on the wire.
        #[derive(Clone)]
        pub enum HeaderName {
            $(#[doc = $canonical] $name,)+
            /// A name that is not in the table, as it came. Compared without case.
            Other(Bytes),
        }

        impl HeaderName {
            /// Every known name.
            pub const KNOWN: &[HeaderName] = &[$(HeaderName::$name),+];

            /// The name as it is written.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(HeaderName::$name => $canonical.as_bytes(),)+
                    HeaderName::Other(name) => name,
                }
            }

            /// The known name that these lower-case letters are, as full or compact form.
            fn known(lower: &[u8]) -> Option<HeaderName> {
                match lower {
                    $($($lower)|+ => Some(HeaderName::$name),)+
                    _ => None,
                }
            }
        }
    };
}

header_names! {
    Accept = "Accept", b"accept";
    AcceptEncoding = "Accept-Encoding", b"accept-encoding";
    AcceptLanguage = "Accept-Language", b"accept-language";
    Allow = "Allow", b"allow";
    AllowEvents = "Allow-Events", b"allow-events" | b"u";
    Authorization = "Authorization", b"authorization";
    CallId = "Call-ID", b"call-id" | b"i";
    CallInfo = "Call-Info", b"call-info";
    Contact = "Contact", b"contact" | b"m";
    ContentDisposition = "Content-Disposition", b"content-disposition";
    ContentEncoding = "Content-Encoding", b"content-encoding" | b"e";
    ContentLength = "Content-Length", b"content-length" | b"l";
    ContentType = "Content-Type", b"content-type" | b"c";
    CSeq = "CSeq", b"cseq";
    Date = "Date", b"date";
    Diversion = "Diversion", b"diversion";
    Event = "Event", b"event" | b"o";
    Expires = "Expires", b"expires";
    From = "From", b"from" | b"f";
    HistoryInfo = "History-Info", b"history-info";
    InfoPackage = "Info-Package", b"info-package";
    MaxForwards = "Max-Forwards", b"max-forwards";
    MimeVersion = "MIME-Version", b"mime-version";
    MinExpires = "Min-Expires", b"min-expires";
    MinSe = "Min-SE", b"min-se";
    Organization = "Organization", b"organization";
    PAssertedIdentity = "P-Asserted-Identity", b"p-asserted-identity";
    PPreferredIdentity = "P-Preferred-Identity", b"p-preferred-identity";
    Privacy = "Privacy", b"privacy";
    ProxyAuthenticate = "Proxy-Authenticate", b"proxy-authenticate";
    ProxyAuthorization = "Proxy-Authorization", b"proxy-authorization";
    ProxyRequire = "Proxy-Require", b"proxy-require";
    RAck = "RAck", b"rack";
    Reason = "Reason", b"reason";
    RecordRoute = "Record-Route", b"record-route";
    RecvInfo = "Recv-Info", b"recv-info";
    ReferTo = "Refer-To", b"refer-to" | b"r";
    ReferredBy = "Referred-By", b"referred-by" | b"b";
    RemotePartyId = "Remote-Party-ID", b"remote-party-id";
    Replaces = "Replaces", b"replaces";
    Require = "Require", b"require";
    RetryAfter = "Retry-After", b"retry-after";
    Route = "Route", b"route";
    RSeq = "RSeq", b"rseq";
    Server = "Server", b"server";
    SessionExpires = "Session-Expires", b"session-expires" | b"x";
    Subject = "Subject", b"subject" | b"s";
    Supported = "Supported", b"supported" | b"k";
    Timestamp = "Timestamp", b"timestamp";
    To = "To", b"to" | b"t";
    Unsupported = "Unsupported", b"unsupported";
    UserAgent = "User-Agent", b"user-agent";
    Via = "Via", b"via" | b"v";
    Warning = "Warning", b"warning";
    WwwAuthenticate = "WWW-Authenticate", b"www-authenticate";
}

impl HeaderName {
    /// The known name, or `Other` with a copy of these bytes.
    pub fn new(name: &[u8]) -> HeaderName {
        Self::find(name).unwrap_or_else(|| HeaderName::Other(Bytes::copy_from_slice(name)))
    }

    /// The known name, in its full or compact form and any case.
    pub(super) fn find(name: &[u8]) -> Option<HeaderName> {
        let mut lower = [0; KNOWN_NAME_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        Self::known(lower)
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &HeaderName) -> bool {
        match (self, other) {
            (HeaderName::Other(a), HeaderName::Other(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for name in HeaderName::KNOWN {
            let written = name.as_bytes();
            assert!(written.len() <= KNOWN_NAME_BYTES_MAX, "{name} does not fit the buffer");
            assert_eq!(HeaderName::find(written).as_ref(), Some(name));
            assert_eq!(HeaderName::find(&written.to_ascii_uppercase()).as_ref(), Some(name));
            assert_eq!(HeaderName::find(&written.to_ascii_lowercase()).as_ref(), Some(name));
        }
    }

    #[test]
    fn compact_forms_are_those_of_the_registry() {
        // IANA, "SIP Parameters: Header Fields", the compact forms of what is in the table.
        let compact = "b:Referred-By c:Content-Type e:Content-Encoding f:From i:Call-ID k:Supported l:Content-Length \
                       m:Contact o:Event r:Refer-To s:Subject t:To u:Allow-Events v:Via x:Session-Expires";
        for entry in compact.split_whitespace() {
            let (short, long) = entry.split_once(':').unwrap();
            assert_eq!(HeaderName::new(short.as_bytes()), HeaderName::new(long.as_bytes()), "{entry}");
            assert_eq!(HeaderName::new(short.as_bytes()).as_bytes(), long.as_bytes());
        }
    }

    #[test]
    fn unknown_names_keep_their_bytes_and_compare_without_case() {
        let name = HeaderName::new(b"X-Thing");
        assert_eq!(name.as_bytes(), b"X-Thing");
        assert_eq!(name, HeaderName::new(b"x-tHING"));
        assert_ne!(name, HeaderName::Via);
        assert_ne!(name, HeaderName::new(b"X-Thin"));
        let long = [b'a'; 4096];
        assert_eq!(HeaderName::new(&long).as_bytes(), long);
    }
}
