//! Messages as values, and their writing.

use std::fmt;

use bytes::Bytes;

use super::header_name::HeaderName;
use super::headers::Headers;
use super::method::Method;
use super::scan::is_param_byte;
use super::status::reason_phrase;
use super::uri::Uri;

/// One SIP message. Read with [`Message::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Request(Request),
    Response(Response),
}

/// A request. `Debug` shows neither header values nor the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: Headers,
    pub body: Bytes,
}

/// A response. `Debug` shows neither header values nor the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699 in what was parsed.
    pub status: u16,
    /// The reason phrase as it came; it may be empty, and need not be UTF-8.
    pub reason: Bytes,
    pub headers: Headers,
    pub body: Bytes,
}

impl Message {
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// The bytes for the wire. Content-Length is the body's length, whatever the headers say.
    pub fn write(&self) -> Bytes {
        match self {
            Message::Request(request) => request.write(),
            Message::Response(response) => response.write(),
        }
    }
}

impl Request {
    /// The bytes for the wire. Content-Length is the body's length, whatever the headers say.
    pub fn write(&self) -> Bytes {
        let mut out = Vec::with_capacity(capacity(&self.headers, &self.body));
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        self.uri.write_to(&mut out);
        out.extend_from_slice(b" SIP/2.0\r\n");
        write_rest(&self.headers, &self.body, &mut out);
        out.into()
    }
}

impl Response {
    /// A response with what RFC 3261 section 8.2.6.2 copies from the request: every Via, From, To, Call-ID and CSeq. Of a
    /// header that came twice the first is taken. `to_tag` is added to a To that has no tag, also to one that can't be
    /// parsed: what is sent back is otherwise byte for byte what came.
    pub fn answering(request: &Headers, status: u16, to_tag: Option<&str>) -> Response {
        let mut headers = Headers::with_capacity(12);
        for via in request.get_all(&HeaderName::Via) {
            headers.push(HeaderName::Via, via.clone());
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            let Some(value) = request.get(&name) else { continue };
            let tag = to_tag.filter(|_| name == HeaderName::To && request.to().map_or(true, |to| to.tag().is_none()));
            match tag {
                Some(tag) => {
                    let tag = tag.bytes().filter(|&byte| is_param_byte(byte));
                    let value: Vec<u8> = value.iter().copied().chain(*b";tag=").chain(tag).collect();
                    headers.push(name, value);
                }
                None => headers.push(name, value.clone()),
            }
        }
        Response { status, reason: Bytes::from_static(reason_phrase(status).as_bytes()), headers, body: Bytes::new() }
    }

    /// The bytes for the wire. Content-Length is the body's length, whatever the headers say.
    pub fn write(&self) -> Bytes {
        let mut out = Vec::with_capacity(capacity(&self.headers, &self.body));
        out.extend_from_slice(format!("SIP/2.0 {:03} ", self.status).as_bytes());
        out.extend(self.reason.iter().filter(|byte| !b"\r\n".contains(byte)));
        out.extend_from_slice(b"\r\n");
        write_rest(&self.headers, &self.body, &mut out);
        out.into()
    }
}

/// Enough for the message in nearly every case, so that it is written into one allocation.
fn capacity(headers: &Headers, body: &Bytes) -> usize {
    let lines: usize = headers.iter().map(|header| header.name.as_bytes().len() + header.value.len() + 4).sum();
    128 + lines + body.len()
}

/// Header lines, the empty line and the body. Content-Length stands where the first of its name stood, or at the end.
fn write_rest(headers: &Headers, body: &Bytes, out: &mut Vec<u8>) {
    let content_length = format!("Content-Length: {}\r\n", body.len());
    let mut is_written = false;
    for header in headers.iter() {
        if header.name == HeaderName::ContentLength {
            if !is_written {
                out.extend_from_slice(content_length.as_bytes());
                is_written = true;
            }
            continue;
        }
        out.extend_from_slice(header.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(&header.value);
        out.extend_from_slice(b"\r\n");
    }
    if !is_written {
        out.extend_from_slice(content_length.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} + {} bytes", self.method, self.uri, self.headers, self.body.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = String::from_utf8_lossy(&self.reason);
        write!(f, "{} {reason} {:?} + {} bytes", self.status, self.headers, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[(HeaderName, &str)], body: &'static [u8]) -> Request {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(name.clone(), value.to_string());
        }
        let uri = Uri::parse(b"sip:a@b").unwrap();
        Request { method: Method::Info, uri, headers, body: Bytes::from_static(body) }
    }

    #[test]
    fn content_length_is_the_truth() {
        let lines = [(HeaderName::ContentLength, "99"), (HeaderName::Subject, "x"), (HeaderName::ContentLength, "1")];
        let written = request(&lines, b"abc").write();
        assert_eq!(written, "INFO sip:a@b SIP/2.0\r\nContent-Length: 3\r\nSubject: x\r\n\r\nabc");
        let written = request(&[(HeaderName::Subject, "")], b"").write();
        assert_eq!(written, "INFO sip:a@b SIP/2.0\r\nSubject: \r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn debug_shows_no_body() {
        let shown = format!("{:?}", request(&[(HeaderName::ContentType, "application/dtmf")], b"8642"));
        assert_eq!(shown, "INFO sip:a@b [Content-Type] + 4 bytes");
    }

    #[test]
    fn a_response_copies_and_tags() {
        let lines = [
            (HeaderName::From, "<sip:a@b>;tag=1"),
            (HeaderName::Via, "SIP/2.0/UDP one, SIP/2.0/UDP two"),
            (HeaderName::Via, "SIP/2.0/UDP three"),
            (HeaderName::To, "sip:c@d;x=\"y\""),
            (HeaderName::To, "<sip:second@d>"),
            (HeaderName::CallId, "id"),
            (HeaderName::CSeq, "1 INFO"),
            (HeaderName::Route, "<sip:r>"),
        ];
        let response = Response::answering(&request(&lines, b"").headers, 481, Some("ours\r\n;x"));
        assert_eq!(
            response.write(),
            "SIP/2.0 481 Call/Transaction Does Not Exist\r\nVia: SIP/2.0/UDP one, SIP/2.0/UDP two\r\n\
             Via: SIP/2.0/UDP three\r\nFrom: <sip:a@b>;tag=1\r\nTo: sip:c@d;x=\"y\";tag=oursx\r\nCall-ID: id\r\n\
             CSeq: 1 INFO\r\nContent-Length: 0\r\n\r\n"
        );
        let tagged = request(&[(HeaderName::To, "<sip:c@d>;tag=theirs")], b"");
        let response = Response::answering(&tagged.headers, 200, Some("ours"));
        assert_eq!(response.headers.get(&HeaderName::To).unwrap(), "<sip:c@d>;tag=theirs");
        let broken = request(&[(HeaderName::To, "\"c <sip:c@d>")], b"");
        let response = Response::answering(&broken.headers, 400, Some("ours"));
        assert_eq!(response.headers.get(&HeaderName::To).unwrap(), "\"c <sip:c@d>;tag=ours");
    }
}
