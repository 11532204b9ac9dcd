//! What a message carries: nothing, a session description, or a description among other parts.

use bytes::Bytes;

use crate::wire::sip::{HeaderName, Headers, MediaType};

/// The bodies we read in an INVITE or UPDATE, for an Accept header.
pub(super) const ACCEPTED: &str = "application/sdp, multipart/mixed";

const SDP: &str = "application/sdp";

/// Parts of a multipart body that are looked at. Gateways send two or three: SDP, ISUP, a location.
const PARTS_MAX: usize = 16;

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// 415 with Accept.
    MediaType,
    /// 415 with Accept-Encoding.
    Encoding,
    /// 400: a body, and no word about what it is.
    NoContentType,
    /// 400.
    Multipart,
}

/// The session description in a message, where there is one.
pub(super) fn session_description(headers: &Headers, body: &Bytes) -> Result<Option<Bytes>, BodyFault> {
    if body.is_empty() {
        return Ok(None);
    }
    if headers.values(&HeaderName::ContentEncoding).any(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(BodyFault::Encoding);
    }
    let media_type = match headers.content_type() {
        Ok(Some(media_type)) => media_type,
        Ok(None) => return Err(BodyFault::NoContentType),
        Err(_) => return Err(BodyFault::MediaType),
    };
    if media_type.is(SDP) {
        Ok(Some(body.clone()))
    } else if media_type.kind.eq_ignore_ascii_case(b"multipart") {
        in_parts(&media_type, body)
    } else if is_optional(headers) {
        Ok(None)
    } else {
        Err(BodyFault::MediaType)
    }
}

/// Content-Disposition's `handling=optional` (RFC 3261 section 20.11): whoever does not know the type passes it over.
fn is_optional(headers: &Headers) -> bool {
    headers.get(&HeaderName::ContentDisposition).is_some_and(|value| {
        value.split(|&byte| byte == b';').skip(1).any(|param| {
            let param: Vec<u8> = param.iter().filter(|byte| !b" \t\"".contains(byte)).copied().collect();
            param.eq_ignore_ascii_case(b"handling=optional")
        })
    })
}

/// The first description among the parts (RFC 2046 section 5.1). What the other parts ask for is passed over, as gateways
/// expect of whoever can't read their ISUP.
fn in_parts(media_type: &MediaType, body: &Bytes) -> Result<Option<Bytes>, BodyFault> {
    let boundary = media_type.params.get("boundary").ok_or(BodyFault::Multipart)?;
    let boundary = boundary.strip_prefix(b"\"").and_then(|quoted| quoted.strip_suffix(b"\"")).unwrap_or(boundary);
    if boundary.is_empty() {
        return Err(BodyFault::Multipart);
    }
    let delimiter: Vec<u8> = b"\r\n--".iter().chain(boundary).copied().collect();
    // The first delimiter may stand at the very beginning, without a line break before it.
    let mut rest = match body.strip_prefix(delimiter.get(2..).unwrap_or_default()) {
        Some(rest) => rest,
        None => after(body, &delimiter).ok_or(BodyFault::Multipart)?,
    };
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        let part_end = find(rest, &delimiter).ok_or(BodyFault::Multipart)?;
        let (part, tail) = rest.split_at(part_end);
        if let Some(content) = description_of_part(part) {
            return Ok(Some(body.slice_ref(content)));
        }
        rest = tail.get(delimiter.len()..).unwrap_or_default();
    }
    Err(BodyFault::Multipart)
}

/// The content of a part whose Content-Type is SDP. `part` begins behind its delimiter, before that line's end.
fn description_of_part(part: &[u8]) -> Option<&[u8]> {
    let head_end = find(part, b"\r\n\r\n")?;
    let (head, content) = part.split_at(head_end);
    let is_description = head.split(|&byte| byte == b'\n').any(|line| {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let name = halves.next().unwrap_or_default().trim_ascii();
        let is_type = name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c");
        is_type && halves.next().is_some_and(|value| MediaType::parse(value.trim_ascii()).is_ok_and(|it| it.is(SDP)))
    });
    content.get(4..).filter(|_| is_description)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn after<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, wanted)?.saturating_add(wanted.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(name.clone(), *value);
        }
        headers
    }

    fn read(lines: &[(HeaderName, &'static str)], body: &'static str) -> Result<Option<Bytes>, BodyFault> {
        session_description(&headers(lines), &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_plain_description_and_none() {
        let sdp = [(HeaderName::ContentType, "Application/SDP;charset=utf-8")];
        assert_eq!(read(&sdp, "v=0\r\n"), Ok(Some("v=0\r\n".into())));
        assert_eq!(read(&sdp, ""), Ok(None));
        assert_eq!(read(&[], ""), Ok(None));
        assert_eq!(read(&[], "v=0\r\n"), Err(BodyFault::NoContentType));
    }

    #[test]
    fn what_is_not_read_is_refused_unless_it_is_optional() {
        let kind = (HeaderName::ContentType, "text/plain");
        assert_eq!(read(std::slice::from_ref(&kind), "x"), Err(BodyFault::MediaType));
        let optional = (HeaderName::ContentDisposition, "render; Handling = \"optional\"");
        assert_eq!(read(&[kind.clone(), optional], "x"), Ok(None));
        let required = (HeaderName::ContentDisposition, "render;handling=required");
        assert_eq!(read(&[kind, required], "x"), Err(BodyFault::MediaType));
        let packed = [(HeaderName::ContentType, "application/sdp"), (HeaderName::ContentEncoding, "gzip")];
        assert_eq!(read(&packed, "x"), Err(BodyFault::Encoding));
    }

    #[test]
    fn a_description_among_parts() {
        let mixed = [(HeaderName::ContentType, "multipart/mixed;boundary=\"unique-1\"")];
        let body = "--unique-1\r\nContent-Type: application/ISUP;version=x\r\nContent-Disposition: signal\r\n\r\n\x01\x02\r\n\
                    --unique-1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--unique-1--\r\n";
        assert_eq!(read(&mixed, body), Ok(Some("v=0\r\ns=-\r\n".into())));
        let preamble = "to be ignored\r\n--unique-1\r\nc: application/sdp\r\n\r\nv=0\r\n--unique-1--";
        assert_eq!(read(&mixed, preamble), Ok(Some("v=0".into())));
        assert_eq!(read(&mixed, "--unique-1\r\n\r\nno type\r\n--unique-1--"), Ok(None));
        for broken in ["--unique-1\r\nContent-Type: application/sdp\r\n\r\nv=0", "v=0", "--other\r\n\r\n--other--"] {
            assert_eq!(read(&mixed, broken), Err(BodyFault::Multipart), "{broken}");
        }
        let nameless = [(HeaderName::ContentType, "multipart/mixed")];
        assert_eq!(read(&nameless, "--x\r\n\r\n--x--"), Err(BodyFault::Multipart));
    }
}
