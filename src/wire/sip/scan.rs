//! Character classes (RFC 3261 section 25.1) and the few cuts that every header value shares. Values are already unfolded:
//! the only white space in them is SP and HTAB.

use std::borrow::Cow;

use bytes::Bytes;

/// What is wrong with one header value or URI. The text names the fault and never quotes the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub &'static str);

/// token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = value.is_ascii_alphanumeric()
            || matches!(value, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// Whether a token may contain it.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// One or more token bytes.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// What an unquoted parameter may be made of, in a header or a URI: everything that is visible and ends nothing. That is
/// more than the grammar allows (token, host or paramchar), because tags like `a==` and raw eight-bit text are met.
pub(super) fn is_param_byte(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | 0x7f | b';' | b',' | b'<' | b'>' | b'"')
}

/// Without the SP and HTAB at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Where the byte first stands. Goes by chunks that the compiler compares at once: heads are searched for CR with it.
pub(super) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    const CHUNK: usize = 32;
    let mut at = 0;
    for chunk in text.chunks(CHUNK) {
        if chunk.iter().fold(false, |found, &byte| found | (byte == wanted)) {
            return chunk.iter().position(|&byte| byte == wanted).map(|offset| at + offset);
        }
        at += CHUNK;
    }
    None
}

/// Whether a CR or LF is in it.
pub(super) fn has_line_break(text: &[u8]) -> bool {
    text.iter().fold(false, |found, &byte| found | (byte == b'\r') | (byte == b'\n'))
}

/// What lies before and after the byte at `at`.
pub(super) fn cut(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (head, tail) = text.split_at(at.min(text.len()));
    (head, tail.get(1..).unwrap_or_default())
}

/// `part`, which is a slice of `whole`, as a handle to the same memory; a copy where it is not. (`Bytes::slice_ref` would
/// panic there.)
pub(super) fn piece(whole: &Bytes, part: &[u8]) -> Bytes {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => whole.slice(start..end),
        _ => Bytes::copy_from_slice(part),
    }
}

/// The length of the quoted string that `text` begins with, both quotes included; `None` where it does not end.
pub(super) fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next()?;
            }
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The content of a quoted string with its quotes, each `\x` replaced by `x`.
pub(super) fn unquote(whole: &Bytes, quoted: &[u8]) -> Bytes {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains(&b'\\') {
        return piece(whole, inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        text.push(if byte == b'\\' { *bytes.next().unwrap_or(&byte) } else { byte });
    }
    text.into()
}

/// `text` as a quoted string. Control characters become quoted pairs; CR and LF, which even those can't carry, spaces.
pub(super) fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'\r' | b'\n' => out.push(b' '),
            b'"' | b'\\' | 0..b' ' | 0x7f => out.extend([b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Cuts at each `separator` that stands neither in a quoted string nor in `<…>`. A quote or bracket that never closes
/// takes the rest of the text.
pub(super) fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if byte == separator {
                let (head, tail) = cut(text, at);
                rest = Some(tail);
                return Some(head);
            }
            let tail = text.get(at..).unwrap_or_default();
            at += match byte {
                b'"' => quoted_len(tail).unwrap_or(tail.len()),
                b'<' => tail.iter().position(|&byte| byte == b'>').map_or(tail.len(), |end| end + 1),
                _ => 1,
            };
        }
        rest = None;
        Some(text)
    })
}

/// One or more digits as a number; `None` for anything else and for a number that does not fit.
pub(super) fn number<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    T::try_from(value).ok()
}

/// With each `%41` replaced by the byte it stands for (RFC 3261 section 19.1.2); a `%` that no two hex digits follow stays.
pub(super) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, hex(text.get(at + 1)), hex(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, separator: u8) -> Vec<String> {
        split(text.as_bytes(), separator).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn separators_in_quotes_and_brackets_do_not_cut() {
        assert_eq!(parts(r#"a,"b,\",c",<d,e>,f"#, b','), ["a", r#""b,\",c""#, "<d,e>", "f"]);
        assert_eq!(parts("", b','), [""]);
        assert_eq!(parts("a,", b','), ["a", ""]);
        assert_eq!(parts("\"a,b", b','), ["\"a,b"]);
        assert_eq!(parts("<a,b", b','), ["<a,b"]);
        assert_eq!(parts("\"a\\", b','), ["\"a\\"]);
    }

    #[test]
    fn numbers_do_not_overflow() {
        assert_eq!(number::<u32>(b"4294967295"), Some(u32::MAX));
        assert_eq!(number::<u32>(b"4294967296"), None);
        assert_eq!(number::<u64>(b"18446744073709551616"), None);
        assert_eq!(number::<u8>(b"0068"), Some(68));
        for bad in ["", "-1", "+1", "1 ", "0x1"] {
            assert_eq!(number::<u32>(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn escapes_are_undone_once_and_bad_ones_stay() {
        assert_eq!(&*unescape(b"%75se%72"), b"user");
        assert_eq!(&*unescape(b"v%61lue%25%34%31"), b"value%41");
        assert_eq!(&*unescape(b"%00%zz%4"), b"\0%zz%4");
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        for text in [&b""[..], b"J Rosenberg \\\"", b"NUL:\0 DEL:\x7f BEL:\x07", b"caf\xe9"] {
            let mut quoted = Vec::new();
            write_quoted(text, &mut quoted);
            assert_eq!(quoted_len(&quoted), Some(quoted.len()));
            let quoted = Bytes::from(quoted);
            assert_eq!(unquote(&quoted, &quoted), text);
        }
    }

    #[test]
    fn a_piece_shares_memory_or_is_a_copy() {
        let whole = Bytes::from_static(b"abcdef");
        assert_eq!(piece(&whole, &whole[2..4]).as_ptr(), whole[2..].as_ptr());
        assert_eq!(piece(&whole, &whole[6..]), "");
        assert_eq!(piece(&whole.slice(2..3), &whole[2..4]), "cd");
        assert_eq!(piece(&whole.slice(2..3), &whole[..1]), "a");
    }

    #[test]
    fn trimming_takes_blanks_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim(b""), b"");
    }
}
