//! SIP messages, their streams, and SDP.

use anteroom::wire::sdp::SessionDescription;
use anteroom::wire::sip::framing::{Frame, Framing, FramingError};
use anteroom::wire::sip::{Fault, Message, Method, NameAddr, ParseError, Response, Uri, Via};
use bytes::Bytes;

/// A message is read and can be looked at, written, and read again the same; or it is refused, and can be answered.
pub fn message(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    match Message::parse(&bytes) {
        Ok(message) => {
            look_at_all(&message);
            let written = message.write();
            let again = Message::parse(&written).expect("what is written can be read");
            assert_eq!(again.write(), written);
        }
        Err(ParseError { fault, answer: Some(answer) }) => {
            assert!(fault != Fault::NotSip && answer.request.method != Method::Ack);
            let answered = Response::answering(&answer.request.headers, answer.status, Some("t")).write();
            assert!(answered.len() <= bytes.len() + 128, "an answer of {} bytes to {}", answered.len(), bytes.len());
        }
        Err(_) => {}
    }
    let _ = (Uri::parse(&bytes), Via::parse(&bytes), NameAddr::parse(&bytes));
}

/// Everything that may be asked of a message that the parser took.
fn look_at_all(message: &Message) {
    let headers = message.headers();
    headers.top_via().expect("checked by the parser");
    headers.from().expect("checked by the parser");
    headers.to().expect("checked by the parser");
    headers.call_id().expect("checked by the parser");
    headers.cseq().expect("checked by the parser");
    headers.max_forwards().expect("checked by the parser");
    let _ = (headers.content_type(), headers.session_expires(), headers.min_se());
    let _ = (headers.contact(), headers.record_routes());
    let _ = format!("{message:?}");
    description(body(message));
}

fn body(message: &Message) -> &Bytes {
    match message {
        Message::Request(request) => &request.body,
        Message::Response(response) => &response.body,
    }
}

/// A stream gives the same messages however it is cut, and each ends for the parser where it was cut.
pub fn stream(bytes: &[u8]) {
    let whole = messages_of(bytes, bytes.len().max(1));
    let step = usize::from(bytes.last().copied().unwrap_or(0)) % 61 + 1;
    assert_eq!(messages_of(bytes, step), whole, "in steps of {step}");
    for bytes in whole.0 {
        if let Ok(message) = Message::parse(&bytes) {
            let body = body(&message);
            assert!(bytes.ends_with(body));
            assert!(bytes[..bytes.len() - body.len()].ends_with(b"\r\n\r\n"));
        }
    }
}

/// All messages of a stream that comes in steps of so many bytes, and the error that ends it.
fn messages_of(stream: &[u8], step: usize) -> (Vec<Bytes>, Option<FramingError>) {
    let (mut framing, mut messages, mut buffer) = (Framing::default(), Vec::new(), Vec::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            let taken = match framing.next(&buffer) {
                Err(error) => return (messages, Some(error)),
                Ok(Frame::Incomplete) => break,
                Ok(Frame::Skip(length) | Frame::Ping(length)) => length,
                Ok(Frame::Message(length)) => {
                    messages.push(Bytes::copy_from_slice(&buffer[..length]));
                    length
                }
            };
            buffer.drain(..taken);
        }
    }
    (messages, None)
}

/// A description that is read can be looked at and written, and what is written reads and writes the same.
pub fn description(bytes: &[u8]) {
    let Ok(description) = SessionDescription::parse(bytes) else { return };
    for section in &description.sections {
        let _ = (section.rtp_address(), section.rtcp_address(), section.refused());
    }
    let written = description.write();
    let again = SessionDescription::parse(&written).expect("what is written can be read");
    assert_eq!(again.write(), written);
}
