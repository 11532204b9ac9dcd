//! Reading a message: what is accepted, what is refused, and with which status.
//!
//! Every fault is noted and reading goes on, so that a refused request is known as far as possible and can be answered.
//! The first fault in the order below decides; it is the order in which they would mislead the checks after them.
//!
//! ```text
//! not SIP at all                                    no answer
//! SIP/x.y other than 2.0                            505
//! larger than MESSAGE_BYTES_MAX, too many lines     513
//! head not ended, line without colon, lone CR or LF 400
//! Request-URI malformed, or with ?headers           400   (unknown scheme: accepted here, 416 later)
//! a mandatory header missing                        no answer possible: nothing to copy into it
//! a single-value header twice                       400
//! Via, From, To, Call-ID, CSeq, Max-Forwards        400
//! CSeq's method is another                          400
//! Contact, Record-Route of what starts a dialog     400
//! Content-Length malformed, different, too large    400
//! ```
//!
//! An ACK and a response are never answered. Whatever no check above names is carried along unread.

use bytes::Bytes;

use super::header_name::HeaderName;
use super::headers::{Header, Headers};
use super::lines::{self, LengthFault};
use super::message::{Message, Request, Response};
use super::method::Method;
use super::name_addr::NameAddr;
use super::scan::{ValueError, cut, number, piece, split, trim};
use super::uri::Uri;
use super::via::Via;

/// The largest UDP datagram; more than any message has a use for, so the bound for streams too.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Header lines in one message. The longest chain of proxies makes some 70 Via lines (Max-Forwards starts at 70).
pub const HEADER_LINES_MAX: usize = 128;

/// Lines of an ordinary INVITE, reserved at once: 1 KiB, the most that an allocator gives and takes back cheaply.
const HEADER_LINES_USUAL: usize = 16;

/// Headers that stand for one value and must not come twice (RFC 3261 section 7.3.1, RFC 4475 section 3.3.8).
const SINGLE: [HeaderName; 7] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentType,
    HeaderName::SessionExpires,
];

/// Headers that every message has (RFC 3261 section 8.1.1), but for Max-Forwards, which RFC 2543 did not know.
const MANDATORY: [HeaderName; 5] =
    [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];

/// Why a message was refused, for one line of the log. Quotes nothing of the message but names of headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line breaks: a keep-alive, not worth a word.
    #[error("only line breaks")]
    KeepAlive,
    #[error("not a SIP message")]
    NotSip,
    #[error("SIP version is not 2.0")]
    Version,
    #[error("message larger than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("more than {HEADER_LINES_MAX} header lines")]
    TooManyLines,
    #[error("no empty line after the headers")]
    HeadNotEnded,
    #[error("malformed header line")]
    HeaderLine,
    #[error("CR or LF alone in a line")]
    LoneLineBreak,
    #[error("malformed status line")]
    StatusLine,
    #[error("Request-URI: {0}")]
    RequestUri(ValueError),
    #[error("{0} is missing")]
    Missing(HeaderName),
    #[error("{0} is there more than once")]
    Repeated(HeaderName),
    #[error("{0}: {1}")]
    Header(HeaderName, ValueError),
    #[error("CSeq names another method")]
    CSeqMethod,
    #[error("malformed Content-Length")]
    ContentLength,
    #[error("two different Content-Lengths")]
    ContentLengths,
    #[error("Content-Length is larger than the body")]
    BodyCutShort,
}

impl Fault {
    /// What a request with this fault is answered with, where it is answered.
    fn status(&self) -> u16 {
        match self {
            Fault::Version => 505,
            Fault::TooLarge | Fault::TooManyLines => 513,
            _ => 400,
        }
    }
}

/// A message that was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault}")]
pub struct ParseError {
    pub fault: Fault,
    /// Where it is a request that still can be answered.
    pub answer: Option<Answer>,
}

/// How a refused request is answered, statelessly (RFC 4475 section 3.2.1); see [`Response::answering`].
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub request: Box<PartialRequest>,
}

/// A refused request as far as it was read. Via, From, To, Call-ID and CSeq are there, not all of them well-formed.
#[derive(Debug, Clone)]
pub struct PartialRequest {
    pub method: Method,
    pub headers: Headers,
}

enum StartLine<'a> {
    Request { method: Method, uri: &'a [u8], is_version_2: bool },
    Response { status: u16, reason: &'a [u8] },
}

impl Message {
    /// Reads one datagram, or one message that [`framing`](super::framing) cut out of a stream. Octets after the body that
    /// Content-Length announces are ignored (RFC 3261 section 18.3).
    pub fn parse(bytes: &Bytes) -> Result<Message, ParseError> {
        let unanswered = |fault| ParseError { fault, answer: None };
        let line_breaks = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let bytes = bytes.slice(line_breaks..);
        if bytes.is_empty() {
            return Err(unanswered(Fault::KeepAlive));
        }
        let (line, rest) = lines::next_line(&bytes).ok_or_else(|| unanswered(Fault::NotSip))?;
        let start = start_line(line).map_err(unanswered)?;
        let size_fault = (bytes.len() > MESSAGE_BYTES_MAX).then_some(Fault::TooLarge);
        let (headers, after_head, line_fault) = header_lines(&bytes, rest);
        let fault = size_fault.or(line_fault);
        match start {
            StartLine::Request { method, uri, is_version_2 } => {
                let fault = if is_version_2 { fault } else { Some(Fault::Version) };
                let uri = piece(&bytes, uri);
                match checked_request(&method, &uri, &headers, &piece(&bytes, after_head), fault) {
                    Ok((uri, body)) => Ok(Message::Request(Request { method, uri, headers, body })),
                    Err(fault) => Err(ParseError { answer: answer(&fault, method, headers), fault }),
                }
            }
            StartLine::Response { status, reason } => {
                let body = match fault {
                    Some(fault) => Err(fault),
                    None => checked_headers(&headers, None).and_then(|()| body(&headers, &piece(&bytes, after_head))),
                };
                let body = body.map_err(unanswered)?;
                Ok(Message::Response(Response { status, reason: piece(&bytes, reason), headers, body }))
            }
        }
    }
}

/// `Method SP Request-URI SP SIP/2.0`, or `SIP/2.0 SP Status-Code SP Reason-Phrase`.
///
/// Blanks at the end are passed over (RFC 4475 section 3.1.2.10). All that lies between the first and the last SP is the
/// Request-URI, so that more blanks make that malformed (sections 3.1.2.8 and 3.1.2.9), and the request can be answered.
fn start_line(line: &[u8]) -> Result<StartLine<'_>, Fault> {
    if version(line).is_some() {
        let (version_text, rest) = cut(line, line.iter().position(|&byte| byte == b' ').ok_or(Fault::StatusLine)?);
        let (code, reason) = cut(rest, rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len()));
        let status = number(code).filter(|code| (100..700).contains(code)).ok_or(Fault::StatusLine)?;
        if version(version_text) != Some(b"2.0") {
            return Err(Fault::Version);
        }
        if code.len() != 3 || reason.iter().any(|byte| b"\r\n".contains(byte)) {
            return Err(Fault::StatusLine);
        }
        return Ok(StartLine::Response { status, reason });
    }
    let line = trim(line);
    let (method, rest) = cut(line, line.iter().position(|&byte| byte == b' ').ok_or(Fault::NotSip)?);
    let (uri, version_text) = cut(rest, rest.iter().rposition(|&byte| byte == b' ').ok_or(Fault::NotSip)?);
    let method = Method::parse(method).ok_or(Fault::NotSip)?;
    let version = version(version_text).ok_or(Fault::NotSip)?;
    let is_version = version.split(|&byte| byte == b'.').all(|part| number::<u64>(part).is_some());
    if !is_version {
        return Err(Fault::NotSip);
    }
    Ok(StartLine::Request { method, uri, is_version_2: version == b"2.0" })
}

/// What follows `SIP/`, in any case.
fn version(text: &[u8]) -> Option<&[u8]> {
    let (protocol, version) = text.split_at_checked(4)?;
    protocol.eq_ignore_ascii_case(b"SIP/").then_some(version)
}

/// Every header line that can be read, what follows the empty line, and the first fault. `text` is a slice of `whole`.
fn header_lines<'a>(whole: &Bytes, text: &'a [u8]) -> (Headers, &'a [u8], Option<Fault>) {
    let mut headers = Vec::with_capacity(HEADER_LINES_USUAL);
    let mut fault = None;
    let mut rest = text;
    let mut note = |found| {
        fault.get_or_insert(found);
    };
    let after_head = loop {
        let Some((line, tail)) = lines::next_line(rest) else {
            note(Fault::HeadNotEnded);
            break &[][..];
        };
        rest = tail;
        if line.is_empty() {
            break rest;
        }
        if headers.len() >= HEADER_LINES_MAX {
            note(Fault::TooManyLines);
            break &[][..];
        }
        let Some((name, value)) = lines::split_header(line) else {
            note(Fault::HeaderLine);
            continue;
        };
        let Some(value) = lines::unfold(whole, value) else {
            note(Fault::LoneLineBreak);
            continue;
        };
        let name = HeaderName::find(name).unwrap_or_else(|| HeaderName::Other(piece(whole, name)));
        headers.push(Header { name, value });
    };
    (Headers::from_lines(headers), after_head, fault)
}

/// The Request-URI and the body of a request that has no fault.
fn checked_request(
    method: &Method,
    uri: &Bytes,
    headers: &Headers,
    after_head: &Bytes,
    fault: Option<Fault>,
) -> Result<(Uri, Bytes), Fault> {
    if let Some(fault) = fault {
        return Err(fault);
    }
    let uri = Uri::parse_bytes(uri).map_err(Fault::RequestUri)?;
    if uri.as_sip().is_some_and(|uri| uri.headers.is_some()) {
        // RFC 3261 section 19.1.1 forbids them here; RFC 4475 section 3.1.2.11 warns of obeying them.
        return Err(Fault::RequestUri(ValueError("headers are not allowed")));
    }
    checked_headers(headers, Some(method))?;
    Ok((uri, body(headers, after_head)?))
}

/// `method` is a request's; a response has the one of its CSeq.
fn checked_headers(headers: &Headers, method: Option<&Method>) -> Result<(), Fault> {
    let malformed = |name: HeaderName| move |error| Fault::Header(name, error);
    if let Some(name) = MANDATORY.iter().find(|name| !headers.contains(name)) {
        return Err(Fault::Missing(name.clone()));
    }
    if let Some(name) = SINGLE.iter().find(|name| headers.get_all(name).nth(1).is_some()) {
        return Err(Fault::Repeated(name.clone()));
    }
    for line in headers.get_all(&HeaderName::Via) {
        for value in split(line, b',') {
            Via::parse_bytes(&piece(line, trim(value))).map_err(malformed(HeaderName::Via))?;
        }
    }
    headers.from().map_err(malformed(HeaderName::From))?;
    headers.to().map_err(malformed(HeaderName::To))?;
    let call_id = headers.call_id().map_err(malformed(HeaderName::CallId))?;
    if call_id.is_empty() || call_id.iter().any(|byte| b" \t".contains(byte)) {
        return Err(Fault::Header(HeaderName::CallId, ValueError("not one word")));
    }
    headers.max_forwards().map_err(malformed(HeaderName::MaxForwards))?;
    let cseq = headers.cseq().map_err(malformed(HeaderName::CSeq))?;
    if method.is_some_and(|method| *method != cseq.method) {
        return Err(Fault::CSeqMethod);
    }
    if matches!(cseq.method, Method::Invite | Method::Update) {
        for name in [HeaderName::Contact, HeaderName::RecordRoute] {
            let values = headers.values(&name).filter(|value| *value != b"*");
            for value in values {
                NameAddr::parse(value).map_err(malformed(name.clone()))?;
            }
        }
    }
    Ok(())
}

fn body(headers: &Headers, after_head: &Bytes) -> Result<Bytes, Fault> {
    let announced =
        lines::content_length(headers.get_all(&HeaderName::ContentLength)).map_err(|fault| match fault {
            LengthFault::Malformed => Fault::ContentLength,
            LengthFault::Different => Fault::ContentLengths,
        })?;
    let length = announced.unwrap_or(after_head.len());
    if length > after_head.len() {
        return Err(Fault::BodyCutShort);
    }
    Ok(after_head.slice(..length))
}

/// An ACK is never answered (RFC 3261 section 17.1.1.2), nor is what has not all of the headers that an answer copies.
fn answer(fault: &Fault, method: Method, headers: Headers) -> Option<Answer> {
    let can_answer = method != Method::Ack && MANDATORY.iter().all(|name| headers.contains(name));
    can_answer.then(|| Answer { status: fault.status(), request: Box::new(PartialRequest { method, headers }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
                           Call-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";

    fn parse(text: impl AsRef<[u8]>) -> Result<Message, ParseError> {
        Message::parse(&Bytes::copy_from_slice(text.as_ref()))
    }

    fn request(start: &str, headers: &str, body: &str) -> Result<Request, ParseError> {
        parse(format!("{start}\r\n{headers}\r\n{body}")).map(|message| match message {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        })
    }

    fn options(headers: &str) -> Result<Request, ParseError> {
        request("OPTIONS sip:c@d SIP/2.0", headers, "")
    }

    /// The fault, and the status of the answer.
    fn fault<T: std::fmt::Debug>(result: Result<T, ParseError>) -> (String, Option<u16>) {
        let error = result.unwrap_err();
        (error.to_string(), error.answer.map(|answer| answer.status))
    }

    #[test]
    fn folded_lines_and_compact_names() {
        let headers = HEADERS.replace("Via:", "v :").replace("To: ", "t\t:\r\n  \t").replace("1 OPT", "1\r\n\tOPT");
        let request = options(&format!("{headers}s: a \r\n \r\n b\r\n")).unwrap();
        assert_eq!(request.headers.to().unwrap().uri.user().unwrap(), "c");
        assert_eq!(request.headers.get(&HeaderName::Subject).unwrap(), "a b");
        assert_eq!(request.headers.cseq().unwrap().method, Method::Options);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_carried_through() {
        let text =
            [b"OPTIONS sip:c@d SIP/2.0\r\nSubject: caf\xe9\0\r\n", HEADERS.as_bytes(), b"X-\x7f: 1\r\n\r\n"].concat();
        assert_eq!(fault(parse(text)), ("malformed header line".into(), Some(400)));
        let text = [b"OPTIONS sip:c@d SIP/2.0\r\nSubject: caf\xe9\0\r\n", HEADERS.as_bytes(), b"\r\n"].concat();
        let written = parse(text).unwrap().write();
        assert!(written.windows(7).any(|window| window == b" caf\xe9\0\r"));
    }

    #[test]
    fn start_lines_that_are_answered() {
        let start = |line: &str| fault(request(line, HEADERS, ""));
        assert_eq!(start("OPTIONS sip:c@d SIP/7.0"), ("SIP version is not 2.0".into(), Some(505)));
        for line in
            ["OPTIONS  sip:c@d SIP/2.0", "OPTIONS <sip:c@d> SIP/2.0", "OPTIONS sip:c@d; lr SIP/2.0", "OPTIONS  SIP/2.0"]
        {
            assert_eq!(start(line).1, Some(400), "{line}");
        }
        assert_eq!(start("OPTIONS sip:c@d?Route=x SIP/2.0").1, Some(400));
        assert!(request("OPTIONS sip:c@d sip/2.0 \t", HEADERS, "").is_ok());
        assert!(request("OPTIONS odd:thing SIP/2.0", HEADERS, "").is_ok());
    }

    #[test]
    fn what_is_not_sip_is_not_answered() {
        for start in [
            "GET / HTTP/1.1",
            "OPTIONS sip:c@d",
            "OPTIONS",
            "",
            "OPTIONS sip:c@d SIP/x",
            "OPT\u{7f} sip:c@d SIP/2.0",
            " ",
        ] {
            assert_eq!(fault(request(start, HEADERS, "")).1, None, "{start:?}");
        }
        assert_eq!(parse("\r\n\r\n").unwrap_err().fault, Fault::KeepAlive);
        assert_eq!(parse("").unwrap_err().fault, Fault::KeepAlive);
        assert_eq!(parse([0; 4]).unwrap_err().fault, Fault::NotSip);
    }

    #[test]
    fn mandatory_and_single_headers() {
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let rest: String = HEADERS.split_inclusive('\n').filter(|line| !line.starts_with(name)).collect();
            assert_eq!(fault(options(&rest)), (format!("{name} is missing"), None));
        }
        for line in HEADERS.split_inclusive('\n').skip(1) {
            let (text, status) = fault(options(&format!("{HEADERS}{line}")));
            assert!(text.contains("more than once") && status == Some(400), "{line}: {text}");
        }
    }

    #[test]
    fn malformed_values_are_named() {
        for (good, bad, text) in [
            ("UDP h;", "UDP h;;,;,,;", "Via: malformed Via"),
            ("<sip:a@b>", "\"a <sip:a@b>", "From: unbalanced quote"),
            ("<sip:c@d>", "sip:c@d?x", "To: URI with ? or , outside < >"),
            ("ID: x", "ID: x y", "Call-ID: not one word"),
            ("1 OPTIONS", "4294967296 OPTIONS", "CSeq: CSeq number malformed or too large"),
            ("1 OPTIONS", "1 INVITE", "CSeq names another method"),
            ("70", "256", "Max-Forwards: malformed Max-Forwards"),
            ("70", "70\r\nno colon", "malformed header line"),
            ("70", "70\nX: y", "CR or LF alone in a line"),
            ("70", "70\r\nX: y\rz", "CR or LF alone in a line"),
        ] {
            assert_eq!(fault(options(&HEADERS.replace(good, bad))), (text.into(), Some(400)), "{bad}");
        }
    }

    #[test]
    fn dialog_headers_of_an_invite() {
        let headers = HEADERS.replace("OPTIONS", "INVITE");
        let invite = |more: &str| request("INVITE sip:c@d SIP/2.0", &format!("{headers}{more}"), "");
        assert!(invite("Contact: <sip:a@b>, *\r\nRecord-Route: <sip:p;lr>,<sip:q;lr>\r\n").is_ok());
        assert_eq!(fault(invite("Contact: <sip:a@b\r\n")), ("Contact: < without >".into(), Some(400)));
        assert_eq!(fault(invite("Record-Route: sip\r\n")).1, Some(400));
        assert!(options(&format!("{HEADERS}Contact: <sip:a@b\r\n")).is_ok());
    }

    #[test]
    fn content_length() {
        let body = |headers: &str| request("OPTIONS sip:c@d SIP/2.0", &format!("{HEADERS}{headers}"), "12345");
        assert_eq!(body("").unwrap().body, "12345");
        assert_eq!(body("l: 3\r\nContent-Length: 003\r\n").unwrap().body, "123");
        assert_eq!(fault(body("l: 6\r\n")), ("Content-Length is larger than the body".into(), Some(400)));
        assert_eq!(fault(body("l: 3\r\nl: 4\r\n")), ("two different Content-Lengths".into(), Some(400)));
        for bad in ["-1", "", "3 3", "3,3", "18446744073709551616", "0x3"] {
            assert_eq!(fault(body(&format!("l: {bad}\r\n"))), ("malformed Content-Length".into(), Some(400)), "{bad}");
        }
    }

    #[test]
    fn bounds() {
        let lines = |count: usize| options(&format!("{HEADERS}{}", "X-Y: z\r\n".repeat(count)));
        assert!(lines(HEADER_LINES_MAX - 6).is_ok());
        assert_eq!(fault(lines(HEADER_LINES_MAX - 5)), ("more than 128 header lines".into(), Some(513)));
        let body = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(fault(request("OPTIONS sip:c@d SIP/2.0", HEADERS, &body)).1, Some(513));
    }

    #[test]
    fn a_cut_head_is_refused_and_answered_where_it_can_be() {
        let whole = format!("OPTIONS sip:c@d SIP/2.0\r\n{HEADERS}\r\n");
        for length in 0..whole.len() {
            let error = parse(&whole[..length]).unwrap_err();
            let has_all = whole[..length].contains("CSeq: 1 OPTIONS\r\n");
            assert_eq!(error.answer.is_some(), has_all, "{error} after {length} bytes");
        }
    }

    #[test]
    fn an_ack_is_never_answered() {
        let headers = HEADERS.replace("OPTIONS", "ACK");
        assert!(request("ACK sip:c@d SIP/2.0", &headers, "").is_ok());
        assert_eq!(fault(request("ACK sip:c@d SIP/3.0", &headers, "")).1, None);
        assert_eq!(fault(request("ACK sip:c@d SIP/2.0", &format!("{headers}l: 9\r\n"), "")).1, None);
    }

    #[test]
    fn responses() {
        let response = |start: &str| parse(format!("{start}\r\n{HEADERS}\r\n"));
        let Message::Response(ringing) = response("SIP/2.0 180 Es klingelt \u{1f514}").unwrap() else { panic!() };
        assert_eq!((ringing.status, &ringing.reason[..]), (180, "Es klingelt \u{1f514}".as_bytes()));
        for start in ["SIP/2.0 200 ", "SIP/2.0 200", "sip/2.0 699 x"] {
            assert!(response(start).is_ok(), "{start}");
        }
        for start in [
            "SIP/2.0 4294967301 x",
            "SIP/2.0 99 x",
            "SIP/2.0 700 x",
            "SIP/2.0 0200 x",
            "SIP/2.0 -20 x",
            "SIP/2.1 200 x",
        ] {
            assert_eq!(fault(response(start)).1, None, "{start}");
        }
        assert_eq!(fault(parse("SIP/2.0 200 OK\r\nVia: x\r\n\r\n")).1, None);
    }

    #[test]
    fn an_answer_is_built_from_what_was_read() {
        let headers = HEADERS.replace("<sip:c@d>", "\"c <sip:c@d>");
        let answer = options(&headers).unwrap_err().answer.unwrap();
        assert_eq!(answer.request.method, Method::Options);
        let response = Response::answering(&answer.request.headers, answer.status, Some("t"));
        assert!(response.write().starts_with(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"));
    }
}
