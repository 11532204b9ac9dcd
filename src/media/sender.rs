//! The RTP and RTCP that leaves a leg.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::wire::opus;
use crate::wire::rtcp::{REPORT_BYTES_MAX, Report, ReportBlock, SenderInfo};
use crate::wire::rtp::{HEADER_BYTES, RtpHeader};
use crate::words::media::{Codec, FRAME};

/// The longest packet of voice: the RTP header and 20 ms.
pub const PACKET_BYTES_MAX: usize = HEADER_BYTES + opus::SENT_BYTES_MAX;

/// RTCP goes out each 5 s, give or take a half (RFC 3550 section 6.2 and 6.3.1), so that the legs of a large meeting don't
/// all report in the same tick.
const REPORT_INTERVAL_MS: std::ops::Range<u64> = 2_500..7_500;

/// Makes a leg's packets.
#[derive(Debug)]
pub struct Sender {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// How far the RTP clock goes in 20 ms.
    steps_per_frame: u32,
    /// The next packet is the first after a pause (RFC 3551 section 4.1).
    marker: bool,
    /// Under this SSRC (RFC 3550 section 6.4.1).
    packets: u32,
    octets: u32,
    /// Under those before.
    packets_before: u64,
    next_report_at: Option<Instant>,
    cname: [u8; CNAME_BYTES],
}

const CNAME_BYTES: usize = 16;

impl Sender {
    /// SSRC, first sequence number and first timestamp are random (RFC 3550 section 5.1), and so is the CNAME, anew for
    /// each call (RFC 7022 section 4.2): it must not tell which calls are one caller's.
    pub fn new(random: &mut StdRng) -> Sender {
        let mut cname = [0; CNAME_BYTES];
        random.fill_bytes(&mut cname);
        for octet in &mut cname {
            *octet = b'a' + *octet % 16;
        }
        Sender {
            ssrc: random.random(),
            sequence: random.random(),
            timestamp: random.random(),
            steps_per_frame: steps_per_frame(Codec::Pcmu),
            marker: true,
            packets: 0,
            octets: 0,
            packets_before: 0,
            next_report_at: None,
            cname,
        }
    }

    /// What is sent is in this codec from now on. Where its clock goes otherwise than the one before, a new stream begins:
    /// one SSRC has one clock (RFC 7160 section 4).
    pub fn negotiate(&mut self, codec: Codec, random: &mut StdRng) {
        let steps_per_frame = steps_per_frame(codec);
        if steps_per_frame != self.steps_per_frame && self.packets > 0 {
            let next_report_at = self.next_report_at;
            *self = Sender { packets_before: self.packets(), next_report_at, cname: self.cname, ..Sender::new(random) };
        }
        self.steps_per_frame = steps_per_frame;
    }

    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// All that were sent.
    pub fn packets(&self) -> u64 {
        self.packets_before + u64::from(self.packets)
    }

    /// The next packet, and 20 ms pass. How many octets of `out` it has.
    #[inline]
    pub fn packet(&mut self, payload_type: u8, codes: &[u8], out: &mut [u8; PACKET_BYTES_MAX]) -> usize {
        let header = RtpHeader {
            payload_type,
            marker: self.marker,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        if let Some((head, payload)) = out.split_first_chunk_mut() {
            header.write(head);
            if let Some(payload) = payload.get_mut(..codes.len()) {
                payload.copy_from_slice(codes);
            }
        }
        self.marker = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.steps_per_frame);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(codes.len() as u32);
        HEADER_BYTES + codes.len()
    }

    /// Time passes without packets.
    pub fn pause(&mut self, frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(frames.wrapping_mul(self.steps_per_frame));
        self.marker = true;
    }

    /// Whether a report is due. It says so once, and settles when the next one is.
    #[inline]
    pub fn report_is_due(&mut self, now: Instant, random: &mut StdRng) -> bool {
        let due = self.next_report_at.is_some_and(|at| now >= at);
        if due || self.next_report_at.is_none() {
            self.next_report_at = Some(now + Duration::from_millis(random.random_range(REPORT_INTERVAL_MS)));
        }
        due
    }

    /// A compound packet: how many octets of `out` it has. `clock` is the time since some fixed moment of the past, which
    /// stands for the wall clock where none is known (RFC 3550 section 6.4.1).
    pub fn report(
        &self,
        clock: Duration,
        block: Option<ReportBlock>,
        bye: bool,
        out: &mut [u8; REPORT_BYTES_MAX],
    ) -> usize {
        let fraction = (u64::from(clock.subsec_nanos()) << 32) / 1_000_000_000;
        let sender = SenderInfo {
            // With the high bit of the seconds clear, as the RFC asks for such a clock.
            ntp_timestamp: (clock.as_secs() & 0x7FFF_FFFF) << 32 | fraction,
            rtp_timestamp: self.timestamp,
            packets: self.packets,
            octets: self.octets,
        };
        let sender = (self.packets > 0).then_some(sender);
        let cname = std::str::from_utf8(&self.cname).unwrap_or_default();
        Report { ssrc: self.ssrc, sender, block, cname, bye }.write(out)
    }
}

fn steps_per_frame(codec: Codec) -> u32 {
    codec.clock_rate() / 1_000 * FRAME.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::ReceivedRtcp;
    use crate::wire::rtp::RtpPacket;
    use rand::SeedableRng;

    #[test]
    fn sequence_and_timestamp_go_on_and_the_marker_begins_each_talkspurt() {
        let mut sender = Sender::new(&mut StdRng::seed_from_u64(3));
        sender.sequence = 65_535;
        sender.timestamp = u32::MAX - 100;
        let mut out = [0; PACKET_BYTES_MAX];
        let mut seen = Vec::new();
        for step in 0..4 {
            if step == 2 {
                sender.pause(3);
            }
            let length = sender.packet(8, &[step; 160], &mut out);
            let packet = RtpPacket::parse(&out[..length]).unwrap();
            assert_eq!((packet.payload_type, packet.payload), (8, &[step; 160][..]));
            seen.push((packet.sequence, packet.timestamp.wrapping_sub(u32::MAX - 100), packet.marker));
        }
        assert_eq!(seen, [(65_535, 0, true), (0, 160, false), (1, 800, true), (2, 960, false)]);
    }

    #[test]
    fn another_clock_is_another_stream() {
        let mut random = StdRng::seed_from_u64(3);
        let mut sender = Sender::new(&mut random);
        let cname = sender.cname;
        let mut out = [0; PACKET_BYTES_MAX];
        let mut send = |sender: &mut Sender| {
            let length = sender.packet(0, &[0; 160], &mut out);
            let packet = RtpPacket::parse(&out[..length]).unwrap();
            (packet.ssrc, packet.timestamp, packet.marker)
        };
        sender.negotiate(Codec::Opus, &mut random);
        let (agreed, ..) = send(&mut sender);
        sender.negotiate(Codec::Opus, &mut random);
        assert_eq!(send(&mut sender).0, agreed);
        sender.negotiate(Codec::Pcma, &mut random);
        let (ssrc, first, marker) = send(&mut sender);
        assert!(ssrc != agreed && marker);
        // G.722 has the clock of G.711 (RFC 3551 section 4.5.2).
        sender.negotiate(Codec::G722, &mut random);
        assert_eq!(send(&mut sender), (ssrc, first.wrapping_add(160), false));
        let mut out = [0; REPORT_BYTES_MAX];
        let length = sender.report(Duration::ZERO, None, false, &mut out);
        let report = ReceivedRtcp::parse(&out[..length]).unwrap();
        assert_eq!((report.ssrc, report.sender.unwrap().packets), (ssrc, 2));
        assert_eq!((sender.packets(), sender.cname), (4, cname));
    }

    #[test]
    fn reports_come_about_each_five_seconds_and_not_all_at_once() {
        let start = Instant::now();
        let mut random = StdRng::seed_from_u64(1);
        let mut due = Vec::new();
        for _ in 0..20 {
            let mut sender = Sender::new(&mut random);
            let times: Vec<u64> = (0..3_000)
                .map(|tick| tick * 20)
                .filter(|&at| sender.report_is_due(start + Duration::from_millis(at), &mut random))
                .collect();
            assert!((8..=24).contains(&times.len()), "{times:?}");
            assert!(times.windows(2).all(|pair| (2_500..7_520).contains(&(pair[1] - pair[0]))));
            due.push(times[0]);
        }
        due.dedup();
        assert!(due.len() > 10);
    }

    #[test]
    fn a_report_tells_what_was_sent() {
        let mut sender = Sender::new(&mut StdRng::seed_from_u64(3));
        let mut out = [0; REPORT_BYTES_MAX];
        let length = sender.report(Duration::from_millis(1500), None, false, &mut out);
        assert_eq!(ReceivedRtcp::parse(&out[..length]).unwrap().sender, None, "a receiver report");
        sender.packet(0, &[0; 160], &mut [0; PACKET_BYTES_MAX]);
        let length = sender.report(Duration::from_millis(1500), None, true, &mut out);
        let report = ReceivedRtcp::parse(&out[..length]).unwrap();
        let told = report.sender.unwrap();
        assert_eq!((told.packets, told.octets, told.rtp_timestamp), (1, 160, sender.timestamp));
        assert_eq!(told.ntp_timestamp, 0x0000_0001_8000_0000);
        assert!(report.bye && report.ssrc == sender.ssrc());
    }
}
