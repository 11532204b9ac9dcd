//! Lines of a message's head (RFC 3261 section 7.3.1, 25.1): where they end, how they fold. [`parse`](super::parse) and
//! [`framing`](super::framing) both cut with these functions, so that no message has one length for the stream and another
//! for the parser (RFC 4475 section 3.3.9: that is how requests are smuggled).
//!
//! A line ends with CRLF. A CR or LF alone ends nothing and is refused by `parse`.

use bytes::Bytes;

use super::header_name::HeaderName;
use super::scan::{cut, find, has_line_break, is_token, number, piece, trim};

/// What ends a head: the CRLF of the last header line and an empty line.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The length of the head, the empty line included, or `None` where it has not ended yet. `scanned` bytes were looked at
/// before without finding the end.
pub(super) fn head_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    let from = scanned.saturating_sub(HEAD_END.len() - 1);
    let at = bytes.get(from..)?.windows(HEAD_END.len()).position(|window| window == HEAD_END)?;
    Some(from + at + HEAD_END.len())
}

/// The logical line that `bytes` begin with (folds included, without the CRLF that ends it), and what follows it. `None`
/// where no CRLF comes.
pub(super) fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + find(bytes.get(from..)?, b'\r')?;
        match bytes.get(at + 1..)? {
            // An empty line ends the head and is never continued.
            [b'\n', b' ' | b'\t', ..] if at > 0 => from = at + 2,
            [b'\n', rest @ ..] => return Some((bytes.get(..at)?, rest)),
            _ => from = at + 1,
        }
    }
}

/// Name and value of a header line, the value with its folds and blanks. `None` where it has no colon, or its name is no
/// token.
pub(super) fn split_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = cut(line, colon);
    let name = trim(name);
    // A line that begins with a blank would be a continuation of nothing.
    (is_token(name) && line.first().is_some_and(|byte| !b" \t".contains(byte))).then_some((name, value))
}

/// The value on one line without blanks around it: each fold becomes one SP. `None` where a CR or LF stands alone.
pub(super) fn unfold(whole: &Bytes, value: &[u8]) -> Option<Bytes> {
    if !has_line_break(value) {
        return Some(piece(whole, trim(value)));
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        match rest {
            [b'\r', b'\n', b' ' | b'\t', tail @ ..] => {
                let kept = trim_end(&out).len();
                out.truncate(kept);
                out.push(b' ');
                let blanks = tail.iter().take_while(|byte| b" \t".contains(byte)).count();
                rest = tail.get(blanks..).unwrap_or_default();
            }
            [b'\r' | b'\n', ..] => return None,
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
            [] => return Some(Bytes::copy_from_slice(trim(&out))),
        }
    }
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// What is wrong with a message's Content-Length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LengthFault {
    Malformed,
    Different,
}

/// What the Content-Length lines, unfolded, say together. `None` where there is none. Saying the same twice is accepted.
pub(super) fn content_length<'a>(values: impl Iterator<Item = &'a Bytes>) -> Result<Option<usize>, LengthFault> {
    let mut length = None;
    for value in values {
        let value = number(value).ok_or(LengthFault::Malformed)?;
        if length.is_some_and(|length| length != value) {
            return Err(LengthFault::Different);
        }
        length = Some(value);
    }
    Ok(length)
}

/// The values of the Content-Length lines of a head; a value that can't be unfolded comes as an empty one, which is no
/// number.
pub(super) fn content_length_lines(head: &[u8]) -> Vec<Bytes> {
    let mut values = Vec::new();
    let mut rest = head;
    while let Some((line, tail)) = next_line(rest) {
        rest = tail;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = split_header(line)
            && HeaderName::find(name) == Some(HeaderName::ContentLength)
        {
            let value = Bytes::copy_from_slice(value);
            values.push(unfold(&value, &value).unwrap_or_default());
        }
    }
    values
}
