//! SIP over a byte stream as a [`tokio_util::codec`]: `Framed::new(tcp_stream, SipCodec::default())` is a stream of
//! messages and pings, and a sink for messages. All of the thinking is in [`framing`](crate::wire::sip::framing).
//!
//! The codec knows no time. Who reads from it closes a connection on which a message has begun and does not come to its
//! end (RFC 4475 section 3.1.2.2), and any connection after an error: where the next message would start is then unknown.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::wire::sip::framing::{Frame, Framing, FramingError};

/// What comes over the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// One whole message, not looked into yet. It has memory of its own, so keeping it does not keep the read buffer.
    Message(Bytes),
    /// The peer wants to know whether we are there: send [`PONG`](crate::wire::sip::framing::PONG) (RFC 5626 section 4.4.1).
    KeepAlivePing,
}

/// Why the connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum SipStreamError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("the connection ended within a message")]
    CutShort,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct SipCodec {
    framing: Framing,
}

impl SipCodec {
    /// Whether a message has begun and is not complete: what a read time-out looks at.
    pub fn is_inside_message(&self) -> bool {
        self.framing.is_inside_message()
    }
}

impl Decoder for SipCodec {
    type Item = StreamItem;
    type Error = SipStreamError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<StreamItem>, SipStreamError> {
        loop {
            match self.framing.next(buffer)? {
                Frame::Incomplete => return Ok(None),
                Frame::Skip(length) => buffer.advance(length),
                Frame::Ping(length) => {
                    buffer.advance(length);
                    return Ok(Some(StreamItem::KeepAlivePing));
                }
                Frame::Message(length) => {
                    let message = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                    buffer.advance(length);
                    return Ok(Some(StreamItem::Message(message)));
                }
            }
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<StreamItem>, SipStreamError> {
        if let Some(item) = self.decode(buffer)? {
            return Ok(Some(item));
        }
        if buffer.iter().all(|byte| b"\r\n".contains(byte)) {
            buffer.clear();
            return Ok(None);
        }
        Err(SipStreamError::CutShort)
    }
}

impl Encoder<Bytes> for SipCodec {
    type Error = SipStreamError;

    /// A message as [`Message::write`](crate::wire::sip::Message::write) made it, or a pong.
    fn encode(&mut self, bytes: Bytes, buffer: &mut BytesMut) -> Result<(), SipStreamError> {
        buffer.extend_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::AsyncWriteExt;
    use tokio_util::codec::Framed;

    use super::*;
    use crate::wire::sip::framing::PONG;

    const ONE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";
    const TWO: &[u8] = b"BYE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

    #[tokio::test]
    async fn messages_and_pings_come_out_whole_whatever_the_reads() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let sent = [b"\r\n", ONE, TWO, b"\r\n", ONE, b"\r\n\r\n\r\n"].concat();
        tokio::spawn(async move {
            for byte in sent {
                peer.write_all(&[byte]).await.unwrap();
            }
        });
        let mut stream = Framed::new(ours, SipCodec::default());
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            items.push(item.unwrap());
        }
        let message = |bytes: &'static [u8]| StreamItem::Message(Bytes::from_static(bytes));
        assert_eq!(items, [message(ONE), message(TWO), message(ONE), StreamItem::KeepAlivePing]);
        assert!(!stream.codec().is_inside_message());
    }

    #[tokio::test]
    async fn what_is_sent_is_what_comes() {
        let (left, right) = tokio::io::duplex(4096);
        let mut left = Framed::new(left, SipCodec::default());
        let mut right = Framed::new(right, SipCodec::default());
        left.send(Bytes::from_static(ONE)).await.unwrap();
        left.send(Bytes::from_static(PONG)).await.unwrap();
        left.send(Bytes::from_static(TWO)).await.unwrap();
        assert_eq!(right.next().await.unwrap().unwrap(), StreamItem::Message(Bytes::from_static(ONE)));
        assert_eq!(right.next().await.unwrap().unwrap(), StreamItem::Message(Bytes::from_static(TWO)));
    }

    #[test]
    fn an_end_within_a_message_is_an_error() {
        for length in 1..ONE.len() {
            let mut codec = SipCodec::default();
            let mut buffer = BytesMut::from(ONE.get(..length).unwrap());
            assert!(codec.decode(&mut buffer).unwrap().is_none());
            assert!(codec.is_inside_message());
            assert!(matches!(codec.decode_eof(&mut buffer), Err(SipStreamError::CutShort)), "after {length} bytes");
        }
        let mut buffer = BytesMut::from(&b"\r\n\r"[..]);
        assert!(SipCodec::default().decode_eof(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_lost_frame_is_an_error() {
        let mut buffer = BytesMut::from(&b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"[..]);
        let error = SipCodec::default().decode(&mut buffer).unwrap_err();
        assert!(matches!(error, SipStreamError::Framing(FramingError::NoContentLength)), "{error}");
    }
}
