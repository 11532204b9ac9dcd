//! Key presses out of a packet capture: the telephone-events of somebody's real telephone, played again as they came,
//! with their gaps, losses and repetitions.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::capture::{NotACapture, datagrams};
use crate::wire::rtp::RtpPacket;
use crate::wire::telephone_event::TelephoneEvent;

/// The largest capture that is read.
const FILE_BYTES: u64 = 64 << 20;

/// RFC 4733 needs a dynamic payload type.
const DYNAMIC_PAYLOAD_TYPE: u8 = 96;

/// One packet, placed relative to the first one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordedPacket {
    pub at: Duration,
    /// Distance in sequence numbers from the first packet: gaps are what was lost.
    pub sequence_offset: u16,
    pub timestamp_offset: u32,
    pub marker: bool,
    pub event: TelephoneEvent,
}

/// The telephone-events of one RTP stream. `Debug` and `Display` say how many, not which.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvents {
    packets: Vec<RecordedPacket>,
}

/// Why a file gives no key presses.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    #[error("too large for a recording of key presses")]
    TooLarge,
    #[error(transparent)]
    Capture(#[from] NotACapture),
    #[error("no telephone-event of a key in it")]
    Nothing,
}

impl RecordedEvents {
    pub fn read(path: &Path) -> Result<RecordedEvents, RecordedError> {
        if std::fs::metadata(path)?.len() > FILE_BYTES {
            return Err(RecordedError::TooLarge);
        }
        RecordedEvents::from_capture(&std::fs::read(path)?)
    }

    /// The first RTP stream (by SSRC) that carries keys, and all its telephone-events.
    pub fn from_capture(capture: &[u8]) -> Result<RecordedEvents, RecordedError> {
        let mut stream: Option<(u32, u8, u16, u32, Duration)> = None;
        let mut packets = Vec::new();
        for captured in datagrams(capture)? {
            let Ok(rtp) = RtpPacket::parse(captured.payload) else { continue };
            let is_event = rtp.payload_type >= DYNAMIC_PAYLOAD_TYPE && rtp.payload.len() == TelephoneEvent::BYTES;
            let Some(event) = TelephoneEvent::parse(rtp.payload).filter(|event| is_event && event.digit().is_some())
            else {
                continue;
            };
            let (ssrc, payload_type, sequence, timestamp, begin) =
                *stream.get_or_insert((rtp.ssrc, rtp.payload_type, rtp.sequence, rtp.timestamp, captured.at));
            if (rtp.ssrc, rtp.payload_type) == (ssrc, payload_type) {
                packets.push(RecordedPacket {
                    at: captured.at.saturating_sub(begin),
                    sequence_offset: rtp.sequence.wrapping_sub(sequence),
                    timestamp_offset: rtp.timestamp.wrapping_sub(timestamp),
                    marker: rtp.marker,
                    event,
                });
            }
        }
        if packets.is_empty() { Err(RecordedError::Nothing) } else { Ok(RecordedEvents { packets }) }
    }

    pub fn packets(&self) -> &[RecordedPacket] {
        &self.packets
    }

    /// Key presses: different RTP timestamps.
    pub fn presses(&self) -> usize {
        let mut timestamps: Vec<_> = self.packets.iter().map(|packet| packet.timestamp_offset).collect();
        timestamps.sort_unstable();
        timestamps.dedup();
        timestamps.len()
    }
}

impl fmt::Display for RecordedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys in {} packets", self.presses(), self.packets.len())
    }
}

impl fmt::Debug for RecordedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::capture::tests::{ethernet_udp, pcap_of};
    use super::*;
    use crate::wire::rtp::{HEADER_BYTES, RtpHeader};

    fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
        let mut header = [0; HEADER_BYTES];
        RtpHeader { payload_type, marker: false, sequence, timestamp, ssrc }.write(&mut header);
        ethernet_udp(&[&header[..], payload].concat())
    }

    fn event(code: u8, end: bool, duration: u16) -> [u8; 4] {
        TelephoneEvent { event: code, end, volume: 10, duration }.write()
    }

    #[test]
    fn one_streams_events_are_taken_with_gaps_and_times() {
        let voice = [0xFF; 160];
        let capture = pcap_of(&[
            (0, rtp(0, 65_533, 1_000, 7, &voice)),
            (20_000, rtp(101, 65_534, 1_160, 7, &event(4, false, 160))),
            (25_000, rtp(101, 9, 0, 8, &event(5, false, 160))), // the other direction
            (40_000, rtp(101, 65_535, 1_160, 7, &event(4, false, 320))),
            // 0 was lost
            (80_000, rtp(101, 1, 1_160, 7, &event(4, true, 480))),
            (180_000, rtp(101, 6, 2_440, 7, &event(4, false, 160))),
            (200_000, rtp(101, 7, 2_440, 7, &event(66, false, 160))), // no key: a modem's flash
        ]);
        let events = RecordedEvents::from_capture(&capture).unwrap();
        let offsets: Vec<_> = events.packets().iter().map(|p| (p.at.as_millis(), p.sequence_offset)).collect();
        assert_eq!(offsets, [(0, 0), (20, 1), (60, 3), (160, 8)]);
        assert_eq!(events.packets()[3].timestamp_offset, 1_280);
        assert_eq!(events.presses(), 2);
        assert_eq!(format!("{events} {events:?}"), "2 keys in 4 packets 2 keys in 4 packets");
    }

    #[test]
    fn a_capture_without_keys_says_so() {
        let capture = pcap_of(&[(0, rtp(0, 1, 0, 7, &[0xFF; 160]))]);
        assert!(matches!(RecordedEvents::from_capture(&capture), Err(RecordedError::Nothing)));
    }
}
