//! The torture messages of RFC 4475 and RFC 5118 through the parser, as datagrams and as a stream. (`tests/fuzzing` has
//! them mutated.)

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anteroom::wire::sdp::SessionDescription;
use anteroom::wire::sip::framing::{Frame, Framing, FramingError};
use anteroom::wire::sip::{HeaderName, Message, Method, NameAddr, ParseError, Request, Response, Uri, Via};
use bytes::Bytes;

/// Name without `.dat`, content, and the index's regular expression.
struct Torture {
    name: String,
    bytes: Bytes,
    accepted: String,
}

fn torture() -> Vec<Torture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut all = Vec::new();
    for folder in ["rfc4475", "rfc5118"] {
        let index = std::fs::read_to_string(root.join(folder).join("index.tsv")).unwrap();
        for row in index.lines().skip(1) {
            let columns: Vec<&str> = row.split('\t').collect();
            let path: PathBuf = root.join(folder).join(columns[0]);
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into();
            all.push(Torture { name: columns[0].replace(".dat", ""), bytes, accepted: columns[5].into() });
        }
    }
    all
}

fn message(name: &str) -> Bytes {
    torture().into_iter().find(|torture| torture.name == name).unwrap_or_else(|| panic!("no {name}")).bytes
}

fn request(name: &str) -> Request {
    match Message::parse(&message(name)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

/// What the parser says to each message that it does not take: the status of the answer (0 for none) and the fault.
const REFUSED: &[(&str, u16, &str)] = &[
    ("badinv01", 400, "Via: malformed Via"),
    ("clerr", 400, "Content-Length is larger than the body"),
    ("ncl", 400, "malformed Content-Length"),
    ("scalar02", 400, "Max-Forwards: malformed Max-Forwards"),
    ("scalarlg", 0, "CSeq: CSeq number malformed or too large"),
    ("quotbal", 400, "To: unbalanced quote"),
    ("ltgtruri", 400, "Request-URI: a character that no URI may contain"),
    ("lwsruri", 400, "Request-URI: a character that no URI may contain"),
    ("lwsstart", 400, "Request-URI: a character that no URI may contain"),
    ("escruri", 400, "Request-URI: headers are not allowed"),
    ("baddn", 400, "no empty line after the headers"),
    ("badvers", 505, "SIP version is not 2.0"),
    ("mismatch01", 400, "CSeq names another method"),
    ("mismatch02", 400, "CSeq names another method"),
    ("bigcode", 0, "malformed status line"),
    ("insuf", 0, "From is missing"),
    ("multi01", 400, "From is there more than once"),
    ("mcl01", 400, "two different Content-Lengths"),
    ("ipv6-bad", 400, "Request-URI: malformed port"),
    ("ipv6-bug-abnf-3-colons", 400, "Request-URI: malformed IPv6 address"),
    ("ipv6-in-sdp", 400, "Content-Length is larger than the body"),
];

#[test]
fn every_message_is_taken_or_refused_as_the_index_allows() {
    let all = torture();
    assert_eq!(all.len(), 64);
    let refused: HashMap<&str, (u16, &str)> =
        REFUSED.iter().map(|(name, status, why)| (*name, (*status, *why))).collect();
    let mut wrong = Vec::new();
    for Torture { name, bytes, accepted } in &all {
        let found = match Message::parse(bytes) {
            Ok(_) => None,
            Err(ParseError { fault, answer }) => Some((answer.map_or(0, |answer| answer.status), fault.to_string())),
        };
        let expected = refused.get(name.as_str()).map(|(status, why)| (*status, why.to_string()));
        if found != expected {
            wrong.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
        let is_allowed = match &found {
            None => true,
            Some((0, _)) => accepted.contains("none"),
            // The index speaks of the message as it was meant; as it is printed, its Content-Length lies.
            Some((400, _)) if all.iter().any(|other| other.name == format!("{name}.fixcl")) => true,
            // The index writes these as whole alternatives.
            Some((status, _)) => accepted.contains(&status.to_string()),
        };
        if !is_allowed {
            wrong.push(format!("{name}: {found:?}, but the index allows {accepted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_refused_request_can_be_answered_with_what_it_said() {
    for Torture { name, bytes, .. } in torture() {
        let Err(ParseError { answer: Some(answer), .. }) = Message::parse(&bytes) else {
            continue;
        };
        let response = Response::answering(&answer.request.headers, answer.status, Some("ours"));
        for header in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            assert!(response.headers.contains(&header), "{name}: {header}");
        }
        let written = response.write();
        assert!(written.len() <= bytes.len() + 128, "{name}: an answer of {} bytes to {}", written.len(), bytes.len());
    }
}

#[test]
fn what_is_written_reads_the_same() {
    for Torture { name, bytes, .. } in torture() {
        let Ok(first) = Message::parse(&bytes) else { continue };
        let written = first.write();
        let second = Message::parse(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written, second.write(), "{name}");
        let without_length = |message: &Message| {
            let mut headers = message.headers().clone();
            headers.remove(&HeaderName::ContentLength);
            headers
        };
        assert!(without_length(&first) == without_length(&second), "{name}");
    }
}

#[test]
fn a_short_tortuous_invite() {
    let invite = request("wsinv");
    assert_eq!(invite.method, Method::Invite);
    assert_eq!(invite.headers.to().unwrap().tag().unwrap(), "1918181833n");
    let from = invite.headers.from().unwrap();
    assert_eq!(from.display.as_deref(), Some(&br#"J Rosenberg \""#[..]));
    assert_eq!(from.tag().unwrap(), "98asjd8");
    assert_eq!(invite.headers.max_forwards().unwrap(), Some(68));
    assert_eq!(invite.headers.cseq().unwrap().number, 9);
    let vias: Vec<Via> = invite.headers.values(&HeaderName::Via).map(|via| Via::parse(via).unwrap()).collect();
    let hops: Vec<String> = vias.iter().map(|via| format!("{via}")).collect();
    assert_eq!(
        hops,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
        ]
    );
    assert_eq!(invite.headers.top_via().unwrap().unique_branch(), None);
    let contact = invite.headers.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some(&br#"Quoted string """#[..]));
    assert_eq!(contact.params.get("newparam").unwrap(), "newvalue");
    assert!(contact.params.has("secondparam"));
    assert_eq!(contact.params.get("q").unwrap(), "0.33");
    assert_eq!(invite.headers.get(&HeaderName::Subject).unwrap(), "");
    let unknown = HeaderName::new(b"newfangledheader");
    assert_eq!(invite.headers.get(&unknown).unwrap(), "newfangled value continued newfangled value");
    let route = NameAddr::parse(invite.headers.get(&HeaderName::Route).unwrap()).unwrap();
    assert!(route.uri.as_sip().unwrap().params.has("lr"));
    assert_eq!(invite.body.len(), 150);
}

#[test]
fn a_wide_range_of_valid_characters() {
    let odd = request("intmeth");
    assert_eq!(odd.method, Method::Other("!interesting-Method0123456789_*+`.%indeed'~".into()));
    assert_eq!(odd.headers.to().unwrap().display.as_deref(), Some(&b"BEL:\x07 NUL:\0 DEL:\x7f"[..]));
    assert_eq!(odd.headers.from().unwrap().tag().unwrap(), "_token~1'+`*%!-.");
    let extension = HeaderName::new(b"extensionHeader-!.%*+_`'~");
    assert_eq!(odd.headers.get(&extension).unwrap(), "\u{feff}大停電");
}

#[test]
fn escapes_are_left_alone_where_they_mean_nothing() {
    assert_eq!(request("esc02").method, Method::Other("RE%47IST%45R".into()));
    assert_eq!(request("esc02").headers.get_all(&HeaderName::Contact).count(), 2);
    let escaped = request("esc01");
    assert!(!escaped.uri.as_sip().unwrap().secure);
    assert_eq!(escaped.uri.user().unwrap(), "sips:user@example.com");
    assert_eq!(escaped.headers.to().unwrap().uri.user().unwrap(), "user");
    let nulls = request("escnull");
    let users: Vec<String> = nulls
        .headers
        .values(&HeaderName::Contact)
        .map(|value| NameAddr::parse(value).unwrap().uri.user().unwrap().into_owned())
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert_eq!(request("semiuri").uri.user().unwrap(), "user;par=u@example.net");
}

#[test]
fn parameters_belong_to_the_header_or_to_the_uri() {
    let contact = |name: &str| request(name).headers.contact().unwrap().unwrap();
    assert!(contact("cparam01").params.has("unknownparam"));
    assert!(!contact("cparam02").params.has("unknownparam"));
    assert!(contact("cparam02").uri.as_sip().unwrap().params.has("unknownparam"));
    assert!(contact("regescrt").uri.as_sip().unwrap().headers.is_some());
    assert!(request("regbadct").headers.contact().is_err());
}

#[test]
fn uris_of_other_schemes_are_for_the_endpoint_to_refuse() {
    for name in ["unkscm", "novelsc"] {
        assert!(matches!(request(name).uri, Uri::Other(_)), "{name}");
    }
    assert!(matches!(request("unksm2").headers.to().unwrap().uri, Uri::Other(_)));
}

#[test]
fn the_old_standard_is_understood() {
    let invite = request("inv2543");
    assert_eq!(invite.headers.from().unwrap().tag(), None);
    assert_eq!(invite.headers.top_via().unwrap().branch(), None);
    assert_eq!(invite.headers.max_forwards().unwrap(), None);
    assert!(SessionDescription::parse(&invite.body).is_ok());
}

#[test]
fn ipv6_in_all_its_places() {
    let sip = |name: &str| request(name).uri.as_sip().unwrap().clone();
    assert_eq!(
        (sip("port-ambiguous").host.to_string(), sip("port-ambiguous").port),
        ("[2001:db8::10:5070]".into(), None)
    );
    assert_eq!(sip("port-unambiguous").port, Some(5070));
    let received = [("with", "[2001:db8::9:255]"), ("no", "2001:db8::9:255")];
    for (delim, received) in received {
        let via = request(&format!("via-received-param-{delim}-delim")).headers.top_via().unwrap();
        assert_eq!(via.params.get("received").unwrap(), received);
    }
    let mixed = SessionDescription::parse(&request("mult-ip-in-sdp.fixcl").body).unwrap();
    assert_eq!(mixed.sections[0].rtp_address().unwrap(), "192.0.2.1:22334".parse().unwrap());
    assert_eq!(mixed.sections[1].rtp_address().unwrap(), "[2001:db8::1]:6024".parse().unwrap());
    let mapped = SessionDescription::parse(&request("ipv4-mapped-ipv6.fixcl").body).unwrap();
    assert_eq!(mapped.sections[0].rtp_address().unwrap(), "192.0.2.2:6000".parse().unwrap());
    assert_eq!(mapped.sections[0].payloads[0].encoding, "G726-32");
    let plain = SessionDescription::parse(&request("ipv6-in-sdp.fixcl").body).unwrap();
    assert_eq!(plain.sections[0].rtp_address().unwrap(), "[2001:db8::20]:6000".parse().unwrap());
}

#[test]
fn datagrams_end_where_content_length_says() {
    let first = request("dblreq");
    assert_eq!((first.method, first.body.len()), (Method::Register, 0));
}

/// All messages of a stream that holds `bytes`, and the error that ends it.
fn stream(mut bytes: &[u8]) -> (Vec<Bytes>, Option<FramingError>) {
    let mut framing = Framing::default();
    let mut messages = Vec::new();
    loop {
        let taken = match framing.next(bytes) {
            Err(error) => return (messages, Some(error)),
            Ok(Frame::Incomplete) => return (messages, None),
            Ok(Frame::Skip(length) | Frame::Ping(length)) => length,
            Ok(Frame::Message(length)) => {
                messages.push(Bytes::copy_from_slice(&bytes[..length]));
                length
            }
        };
        bytes = &bytes[taken..];
    }
}

#[test]
fn streams_are_cut_where_datagrams_end_or_not_at_all() {
    let methods = |name: &str| -> Vec<Method> {
        let requests = stream(&message(name)).0;
        let requests = requests.iter().map(|bytes| match Message::parse(bytes) {
            Ok(Message::Request(request)) => request.method,
            other => panic!("{name}: {other:?}"),
        });
        requests.collect()
    };
    // The INVITE's body is one octet longer than it says ("m =video"), so a stray letter follows it.
    assert_eq!(methods("dblreq"), [Method::Register, Method::Invite]);
    assert_eq!(methods("wsinv"), [Method::Invite]);
    assert_eq!(methods("longreq"), [Method::Invite]);
    assert_eq!(methods("mpart01"), [Method::Message]);
    assert_eq!(methods("clerr"), []);
    assert_eq!(stream(&message("ncl")), (vec![], Some(FramingError::ContentLength)));
    assert_eq!(stream(&message("mcl01")), (vec![], Some(FramingError::ContentLengths)));
    assert_eq!(stream(&message("inv2543")), (vec![], Some(FramingError::NoContentLength)));
    for Torture { name, bytes, .. } in torture() {
        let Ok(parsed) = Message::parse(&bytes) else { continue };
        if !parsed.headers().contains(&HeaderName::ContentLength) {
            continue;
        }
        let first = stream(&bytes).0.into_iter().next().unwrap_or_else(|| panic!("{name}: nothing in the stream"));
        assert!(Message::parse(&first).unwrap() == parsed, "{name}: the stream gives another message");
    }
}
