//! RTP packets (RFC 3550 section 5.1), read and written in place.

use std::fmt;

use rtp_rs::RtpReader;

/// The fixed header, which is all that we ever send in front of a payload.
pub const HEADER_BYTES: usize = 12;

/// One received packet. The payload is without header extension and padding, and borrowed from the datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    /// In units of the payload's RTP clock.
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

/// The datagram is not an RTP packet of version 2, or says that it is longer than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RTP packet")]
pub struct NotRtp;

impl<'a> RtpPacket<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<RtpPacket<'a>, NotRtp> {
        let reader = RtpReader::new(datagram).map_err(|_| NotRtp)?;
        Ok(RtpPacket {
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            sequence: u16::from(reader.sequence_number()),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: reader.payload(),
        })
    }
}

/// Without the payload, which can be a typed key.
impl fmt::Debug for RtpPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RtpPacket");
        shown.field("payload_type", &self.payload_type).field("marker", &self.marker);
        shown.field("sequence", &self.sequence).field("timestamp", &self.timestamp).field("ssrc", &self.ssrc);
        shown.field("payload_bytes", &self.payload.len()).finish()
    }
}

/// The header of one packet to send: no padding, no extension, no contributing sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// 0 to 127.
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes the header into the first octets of a packet's buffer; the payload goes behind it.
    #[inline]
    pub fn write(&self, out: &mut [u8; HEADER_BYTES]) {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        *out =
            [VERSION_2, u8::from(self.marker) << 7 | self.payload_type & 0x7F, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
    }
}

const VERSION_2: u8 = 2 << 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(header: RtpHeader, payload: &[u8]) -> Vec<u8> {
        let mut out = [0; HEADER_BYTES];
        header.write(&mut out);
        [&out[..], payload].concat()
    }

    const HEADER: RtpHeader =
        RtpHeader { payload_type: 101, marker: true, sequence: 0xFFFE, timestamp: 0x8001_0203, ssrc: 0xDEAD_BEEF };

    #[test]
    fn what_is_written_is_read() {
        for (payload_type, marker) in [(0, false), (8, true), (127, false)] {
            let header = RtpHeader { payload_type, marker, ..HEADER };
            let bytes = packet(header, &[1, 2, 3]);
            let read = RtpPacket::parse(&bytes).unwrap();
            assert_eq!((read.payload_type, read.marker), (payload_type, marker));
            assert_eq!((read.sequence, read.timestamp, read.ssrc), (header.sequence, header.timestamp, header.ssrc));
            assert_eq!(read.payload, [1, 2, 3]);
        }
    }

    #[test]
    fn the_octets_are_those_of_the_rfc() {
        assert_eq!(packet(HEADER, &[]), [0x80, 0xE5, 0xFF, 0xFE, 0x80, 1, 2, 3, 0xDE, 0xAD, 0xBE, 0xEF]);
    }

    #[test]
    fn a_payload_type_of_eight_bits_does_not_become_a_marker() {
        let bytes = packet(RtpHeader { payload_type: 0xFF, marker: false, ..HEADER }, &[]);
        assert!(!RtpPacket::parse(&bytes).unwrap().marker);
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_not_payload() {
        let mut bytes = packet(HEADER, &[]);
        bytes[0] |= 0x20 | 0x10 | 2; // padding, extension, two contributing sources
        bytes.extend([0; 8]);
        bytes.extend([0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        bytes.extend([42, 43]);
        bytes.extend([0, 0, 3]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload, [42, 43]);
    }

    #[test]
    fn what_lies_about_its_length_is_refused() {
        let whole = packet(HEADER, &[0; 4]);
        for length in 0..HEADER_BYTES {
            assert_eq!(RtpPacket::parse(&whole[..length]), Err(NotRtp));
        }
        let with = |flags: u8, last: u8| {
            let mut bytes = whole.clone();
            bytes[0] = flags;
            bytes[15] = last;
            RtpPacket::parse(&bytes).map(|packet| packet.payload.len())
        };
        assert_eq!(with(0x80, 0), Ok(4));
        assert_eq!(with(0x40, 0), Err(NotRtp), "version 1");
        assert_eq!(with(0x82, 0), Err(NotRtp), "two contributing sources in four octets");
        assert_eq!(with(0x90, 0), Ok(0), "an empty extension");
        assert_eq!(with(0x90, 1), Err(NotRtp), "an extension behind the end");
        assert_eq!(with(0xA0, 4), Ok(0), "nothing but padding");
        assert_eq!(with(0xA0, 5), Err(NotRtp), "more padding than payload");
        assert_eq!(with(0xA0, 0), Err(NotRtp), "padding of no octets");
    }

    #[test]
    fn no_octets_make_it_panic() {
        use rand::{Rng, RngExt, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        for _ in 0..100_000 {
            let mut bytes = [0; 64];
            let length = random.random_range(0..=bytes.len());
            random.fill_bytes(&mut bytes);
            bytes[0] = 0x80 | bytes[0] & 0x3F;
            if let Ok(packet) = RtpPacket::parse(&bytes[..length]) {
                assert!(packet.payload.len() <= length - HEADER_BYTES);
            }
        }
    }
}
