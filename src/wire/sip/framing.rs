//! Messages in a byte stream (RFC 3261 section 18.3) and the keep-alives between them (RFC 5626 section 4.4.1).
//!
//! ```text
//! … CRLF CRLF │ INVITE … CRLF CRLF body │ CRLF │ BYE … CRLF CRLF │ …
//!   ping        message: head + Content-Length   skipped  message
//! ```
//!
//! Where a message ends can be known only from a Content-Length that is there, is one number, and is said once or always
//! the same. Otherwise the framing is lost, and there is nothing to do but to close the connection.

use super::lines::{LengthFault, content_length, content_length_lines, head_len};
use super::parse::MESSAGE_BYTES_MAX;

/// A head without a body is seldom above 4 KiB; a peer that never ends one is not let further than this.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What a peer that sends a ping gets back.
pub const PONG: &[u8] = b"\r\n";

/// The first thing in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Not all there yet.
    Incomplete,
    /// Line breaks that mean nothing, also a pong: this many bytes.
    Skip(usize),
    /// A double CRLF, to be answered with [`PONG`]: this many bytes.
    Ping(usize),
    /// One message of this many bytes.
    Message(usize),
}

/// Why the connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("what comes is not SIP")]
    NotSip,
    #[error("a head of more than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    #[error("a message of more than {MESSAGE_BYTES_MAX} bytes")]
    MessageTooLarge,
    #[error("a message without Content-Length")]
    NoContentLength,
    #[error("a malformed Content-Length")]
    ContentLength,
    #[error("two different Content-Lengths")]
    ContentLengths,
}

/// Finds frames, one after the other. The caller takes the bytes of each frame out of its buffer before it asks again.
#[derive(Debug, Default)]
pub struct Framing {
    /// Bytes of the buffer in which no end of a head was found.
    scanned: usize,
    /// Length of the message at the front, once its head is there.
    message_len: Option<usize>,
}

impl Framing {
    /// Looks at the front of `buffer`, which holds all that has come and was not taken. Work is bounded by what is new.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Frame, FramingError> {
        let message_len = match self.message_len {
            Some(length) => length,
            None => match buffer {
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(Frame::Incomplete),
                [b'\r', b'\n', b'\r', b'\n', ..] => return Ok(Frame::Ping(4)),
                [b'\r', b'\n', ..] => return Ok(Frame::Skip(2)),
                // Every start line begins with a token; what does not (a TLS hello, say) will never become one.
                [first, ..] if !super::scan::is_token(&[*first]) => return Err(FramingError::NotSip),
                _ => match self.head(buffer)? {
                    Some(length) => length,
                    None => return Ok(Frame::Incomplete),
                },
            },
        };
        self.message_len = Some(message_len);
        if buffer.len() < message_len {
            return Ok(Frame::Incomplete);
        }
        *self = Framing::default();
        Ok(Frame::Message(message_len))
    }

    /// Whether a message has begun and is not complete: what a read time-out looks at.
    pub fn is_inside_message(&self) -> bool {
        self.scanned > 0 || self.message_len.is_some()
    }

    /// The length of the whole message, once its head is complete.
    fn head(&mut self, buffer: &[u8]) -> Result<Option<usize>, FramingError> {
        let head_len = head_len(buffer, self.scanned);
        self.scanned = buffer.len();
        if head_len.unwrap_or(buffer.len()) > HEAD_BYTES_MAX {
            return Err(FramingError::HeadTooLarge);
        }
        let Some(head_len) = head_len else { return Ok(None) };
        let values = content_length_lines(buffer.get(..head_len).unwrap_or_default());
        let body_len = content_length(values.iter())
            .map_err(|fault| match fault {
                LengthFault::Malformed => FramingError::ContentLength,
                LengthFault::Different => FramingError::ContentLengths,
            })?
            .ok_or(FramingError::NoContentLength)?;
        match head_len.checked_add(body_len) {
            Some(length) if length <= MESSAGE_BYTES_MAX => Ok(Some(length)),
            _ => Err(FramingError::MessageTooLarge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the stream in pieces of `step` bytes, and says what came out.
    fn frames(stream: &[u8], step: usize) -> Vec<Result<Vec<u8>, FramingError>> {
        let mut framing = Framing::default();
        let mut buffer = Vec::new();
        let mut out = Vec::new();
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                let taken = match framing.next(&buffer) {
                    Ok(Frame::Incomplete) => break,
                    Ok(Frame::Skip(length)) => length,
                    Ok(Frame::Ping(length)) => {
                        out.push(Ok(b"ping".to_vec()));
                        length
                    }
                    Ok(Frame::Message(length)) => {
                        out.push(Ok(buffer[..length].to_vec()));
                        length
                    }
                    Err(error) => {
                        out.push(Err(error));
                        return out;
                    }
                };
                buffer.drain(..taken);
            }
        }
        out
    }

    fn error(stream: &str) -> FramingError {
        frames(stream.as_bytes(), 1000).pop().unwrap().unwrap_err()
    }

    #[test]
    fn every_way_of_cutting_the_stream_gives_the_same_messages() {
        let first = b"A sip:x SIP/2.0\r\nContent-Length :\r\n 5\r\nX: y\r\n\r\n\r\n\r\n!";
        let second = b"B sip:x SIP/2.0\r\nl: 0\r\nL: 0\r\n\r\n";
        let stream = [b"\r\n\r\n\r\n", &first[..], second, b"\r\n", second, b"\r\n\r\n"].concat();
        let expected = [b"ping".to_vec(), first.to_vec(), second.to_vec(), second.to_vec(), b"ping".to_vec()].map(Ok);
        for step in 1..=stream.len() {
            assert_eq!(frames(&stream, step), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn lengths_that_lie_lose_the_frame() {
        assert_eq!(error("A sip:x SIP/2.0\r\nX: y\r\n\r\n"), FramingError::NoContentLength);
        assert_eq!(error("A sip:x SIP/2.0\r\nl: -1\r\n\r\n"), FramingError::ContentLength);
        assert_eq!(error("A sip:x SIP/2.0\r\nl: 5, 5\r\n\r\n"), FramingError::ContentLength);
        assert_eq!(error("A sip:x SIP/2.0\r\nl: 5\nX: 5\r\n\r\n"), FramingError::ContentLength);
        assert_eq!(error("A sip:x SIP/2.0\r\nl: 5\r\nContent-Length: 6\r\n\r\n"), FramingError::ContentLengths);
        assert_eq!(error("A sip:x SIP/2.0\r\nl: 65535\r\n\r\n"), FramingError::MessageTooLarge);
        assert_eq!(error(&format!("A sip:x SIP/2.0\r\nl: {}\r\n\r\n", u64::MAX)), FramingError::MessageTooLarge);
        assert_eq!(error(&format!("A sip:x SIP/2.0\r\nl: 1{}\r\n\r\n", u64::MAX)), FramingError::ContentLength);
    }

    #[test]
    fn what_can_not_be_sip_is_refused_at_once() {
        assert_eq!(error("\x16\x03\x01"), FramingError::NotSip);
        assert_eq!(error("\r\n\x00"), FramingError::NotSip);
        assert_eq!(error(" INVITE"), FramingError::NotSip);
        assert_eq!(error(&"a".repeat(HEAD_BYTES_MAX + 1)), FramingError::HeadTooLarge);
        let long_head = format!("A sip:x SIP/2.0\r\nX: {}\r\nl: 0\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(error(&long_head), FramingError::HeadTooLarge);
    }
}
