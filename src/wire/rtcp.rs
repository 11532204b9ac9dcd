//! RTCP (RFC 3550 section 6): the compound packet that each leg sends about every five seconds, and what is read from
//! the peer's.

use rtcp_types::{Bye, ReceiverReport, RtcpPacket, RtcpPacketParser, SenderReport};

/// Octets of the longest compound that [`Report::write`] makes: sender report with one block, CNAME, BYE.
pub const REPORT_BYTES_MAX: usize = 28 + 24 + (8 + 2 + CNAME_BYTES_MAX + 4) + 8;

const PACKET_TYPE_SENDER_REPORT: u8 = 200;
const PACKET_TYPE_RECEIVER_REPORT: u8 = 201;
const PACKET_TYPE_SOURCE_DESCRIPTION: u8 = 202;
const PACKET_TYPE_BYE: u8 = 203;
const ITEM_CNAME: u8 = 1; // section 6.5.1

/// A longer CNAME is cut.
pub const CNAME_BYTES_MAX: usize = 64;

/// What a sender says of what it sent (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Seconds since 1900 in the upper 32 bits, their fraction in the lower.
    pub ntp_timestamp: u64,
    /// The same instant on the RTP clock.
    pub rtp_timestamp: u32,
    pub packets: u32,
    /// Octets of payload, without headers and padding.
    pub octets: u32,
}

/// What a receiver says of one source (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative when there were more duplicates than losses. 24 bits on the wire.
    pub cumulative_lost: i32,
    pub extended_highest_sequence: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP timestamp of the last sender report received; 0 for none.
    pub last_sender_report: u32,
    /// Time since that sender report came, in 65,536ths of a second.
    pub delay_since_last_sender_report: u32,
}

/// One compound packet to send: a sender report (a receiver report where nothing was sent), CNAME, and at the end of
/// the call BYE.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    pub ssrc: u32,
    pub sender: Option<SenderInfo>,
    pub block: Option<ReportBlock>,
    pub cname: &'a str,
    pub bye: bool,
}

impl Report<'_> {
    /// Writes the compound and says how many octets it has. Allocates nothing (the builders of `rtcp-types` do), since
    /// it runs on the media threads.
    pub fn write(&self, out: &mut [u8; REPORT_BYTES_MAX]) -> usize {
        let mut compound = Compound { out, length: 0 };
        let blocks = u8::from(self.block.is_some());

        if let Some(sender) = &self.sender {
            compound.begin(PACKET_TYPE_SENDER_REPORT, blocks, self.ssrc, 20 + 24 * usize::from(blocks));
            compound.put(&sender.ntp_timestamp.to_be_bytes());
            compound.put(&sender.rtp_timestamp.to_be_bytes());
            compound.put(&sender.packets.to_be_bytes());
            compound.put(&sender.octets.to_be_bytes());
        } else {
            compound.begin(PACKET_TYPE_RECEIVER_REPORT, blocks, self.ssrc, 24 * usize::from(blocks));
        }
        if let Some(block) = &self.block {
            compound.put(&block.ssrc.to_be_bytes());
            compound.put(&[block.fraction_lost]);
            let [_, lost @ ..] =
                block.cumulative_lost.clamp(-CUMULATIVE_LOST_MAX - 1, CUMULATIVE_LOST_MAX).to_be_bytes();
            compound.put(&lost);
            compound.put(&block.extended_highest_sequence.to_be_bytes());
            compound.put(&block.jitter.to_be_bytes());
            compound.put(&block.last_sender_report.to_be_bytes());
            compound.put(&block.delay_since_last_sender_report.to_be_bytes());
        }

        let cname = self.cname.as_bytes();
        let cname = cname.get(..CNAME_BYTES_MAX).unwrap_or(cname);
        // One chunk: the item, its end (at least one zero octet), filled to a whole word (section 6.5).
        let item = 2 + cname.len();
        let padding = 4 - item % 4;
        compound.begin(PACKET_TYPE_SOURCE_DESCRIPTION, 1, self.ssrc, item + padding);
        compound.put(&[ITEM_CNAME, cname.len() as u8]);
        compound.put(cname);
        compound.put(&[0; 4][..padding]);

        if self.bye {
            compound.begin(PACKET_TYPE_BYE, 1, self.ssrc, 0);
        }
        compound.length
    }
}

/// The largest number of 24 bits with a sign. Section 6.4.1 and appendix A.3: the count stays there, it doesn't wrap.
const CUMULATIVE_LOST_MAX: i32 = 0x7F_FFFF;

/// A compound packet while it is written.
struct Compound<'a> {
    out: &'a mut [u8; REPORT_BYTES_MAX],
    length: usize,
}

impl Compound<'_> {
    /// The header of one packet and the source it is from; `rest` octets of contents follow, a multiple of four.
    fn begin(&mut self, packet_type: u8, count: u8, ssrc: u32, rest: usize) {
        let words_minus_one = (4 + rest) / 4;
        let [high, low] = (words_minus_one as u16).to_be_bytes();
        self.put(&[2 << 6 | count, packet_type, high, low]);
        self.put(&ssrc.to_be_bytes());
    }

    fn put(&mut self, octets: &[u8]) {
        let end = self.length + octets.len();
        if let Some(place) = self.out.get_mut(self.length..end) {
            place.copy_from_slice(octets);
            self.length = end;
        }
    }
}

/// Report blocks kept of one received compound. Our peer hears one source: us.
pub const REPORT_BLOCKS_MAX: usize = 4;

/// What matters to us in a received compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceivedRtcp {
    /// Who sent it.
    pub ssrc: u32,
    pub sender: Option<SenderInfo>,
    blocks: [ReportBlock; REPORT_BLOCKS_MAX],
    block_count: usize,
    /// The source leaves.
    pub bye: bool,
}

/// The datagram is not an RTCP compound packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RTCP packet")]
pub struct NotRtcp;

impl ReceivedRtcp {
    /// Reads a compound packet, or a single report (RFC 5506). A packet of a type that doesn't matter here is passed
    /// over; one that can't be read ends the reading, and what came before it counts.
    pub fn parse(datagram: &[u8]) -> Result<ReceivedRtcp, NotRtcp> {
        let mut received = ReceivedRtcp::default();
        let mut known_source = false;
        let mut rest = datagram;
        while let Some((packet, behind)) = split_packet(rest) {
            rest = behind;
            let [_, packet_type, ..] = *packet else { break };
            let ssrc = match packet_type {
                SenderReport::PACKET_TYPE => {
                    let Ok(report) = SenderReport::parse(packet) else { break };
                    received.sender = Some(SenderInfo {
                        ntp_timestamp: report.ntp_timestamp(),
                        rtp_timestamp: report.rtp_timestamp(),
                        packets: report.packet_count(),
                        octets: report.octet_count(),
                    });
                    received.keep_blocks(report.report_blocks());
                    Some(report.ssrc())
                }
                ReceiverReport::PACKET_TYPE => {
                    let Ok(report) = ReceiverReport::parse(packet) else {
                        break;
                    };
                    received.keep_blocks(report.report_blocks());
                    Some(report.ssrc())
                }
                Bye::PACKET_TYPE => {
                    let Ok(bye) = Bye::parse(packet) else { break };
                    received.bye = true;
                    bye.ssrcs().next()
                }
                // SDES, APP, feedback and what is to come (RFC 5761 section 4): nothing that matters here, but RTCP.
                192..=223 => packet.get(4..8).and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes),
                _ => None,
            };
            if let (Some(ssrc), false) = (ssrc, known_source) {
                received.ssrc = ssrc;
                known_source = true;
            }
        }
        if known_source { Ok(received) } else { Err(NotRtcp) }
    }

    fn keep_blocks<'a>(&mut self, blocks: impl Iterator<Item = rtcp_types::ReportBlock<'a>>) {
        for block in blocks {
            let Some(place) = self.blocks.get_mut(self.block_count) else {
                return;
            };
            *place = ReportBlock {
                ssrc: block.ssrc(),
                fraction_lost: block.fraction_lost(),
                // From 24 bits with a sign to 32.
                cumulative_lost: ((block.cumulative_lost() << 8) as i32) >> 8,
                extended_highest_sequence: block.extended_sequence_number(),
                jitter: block.interarrival_jitter(),
                last_sender_report: block.last_sender_report_timestamp(),
                delay_since_last_sender_report: block.delay_since_last_sender_report_timestamp(),
            };
            self.block_count += 1;
        }
    }

    pub fn blocks(&self) -> &[ReportBlock] {
        self.blocks.get(..self.block_count).unwrap_or_default()
    }

    /// What the peer says of the source `ssrc`: its view of what we sent.
    pub fn block_about(&self, ssrc: u32) -> Option<&ReportBlock> {
        self.blocks().iter().find(|block| block.ssrc == ssrc)
    }
}

/// The first packet of a compound, by the length that it states, and what follows it.
fn split_packet(compound: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[flags, _, high, low, ..] = compound else {
        return None;
    };
    if flags >> 6 != 2 {
        return None;
    }
    let octets = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
    compound.split_at_checked(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtcp_types::{Compound, Packet};

    const SENDER: SenderInfo = SenderInfo {
        ntp_timestamp: 0xE9A1_0203_8000_0000,
        rtp_timestamp: 0xFFFF_FFF0,
        packets: 1234,
        octets: 1234 * 160,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 0xCAFE,
        fraction_lost: 13,
        cumulative_lost: 77,
        extended_highest_sequence: 0x0002_FFFF,
        jitter: 24,
        last_sender_report: 0x0203_8000,
        delay_since_last_sender_report: 65536 * 4,
    };

    fn written(report: Report<'_>) -> Vec<u8> {
        let mut out = [0xAA; REPORT_BYTES_MAX];
        let length = report.write(&mut out);
        out[..length].to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        for sender in [None, Some(SENDER)] {
            for block in [None, Some(BLOCK)] {
                for bye in [false, true] {
                    let bytes = written(Report { ssrc: 99, sender, block, cname: "a1b2c3", bye });
                    let read = ReceivedRtcp::parse(&bytes).unwrap();
                    assert_eq!((read.ssrc, read.sender, read.bye), (99, sender, bye));
                    assert_eq!(read.blocks(), block.as_slice());
                    assert_eq!(read.block_about(0xCAFE), block.as_ref());
                    assert_eq!(read.block_about(1), None);
                }
            }
        }
    }

    /// The crate's own reader, which is stricter than ours, takes each length of CNAME.
    #[test]
    fn the_compound_is_well_formed() {
        for length in 0..=CNAME_BYTES_MAX + 3 {
            let cname = "c".repeat(length);
            let report = Report { ssrc: 7, sender: Some(SENDER), block: Some(BLOCK), cname: &cname, bye: true };
            let bytes = written(report);
            let packets: Vec<Packet<'_>> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
            let [Packet::Sr(_), Packet::Sdes(sdes), Packet::Bye(_)] = &packets[..] else { panic!("{packets:?}") };
            let chunk = sdes.chunks().next().unwrap();
            assert_eq!(chunk.ssrc(), 7);
            let item = chunk.items().next().unwrap();
            assert_eq!((item.type_(), item.value().len()), (ITEM_CNAME, length.min(CNAME_BYTES_MAX)));
        }
    }

    #[test]
    fn losses_have_a_sign_and_an_end() {
        for (lost, stored) in
            [(-3, -3), (0x7F_FFFF, 0x7F_FFFF), (0x80_0000, 0x7F_FFFF), (i32::MIN, -0x80_0000), (i32::MAX, 0x7F_FFFF)]
        {
            let block = ReportBlock { cumulative_lost: lost, ..BLOCK };
            let bytes = written(Report { ssrc: 1, sender: None, block: Some(block), cname: "", bye: false });
            assert_eq!(ReceivedRtcp::parse(&bytes).unwrap().blocks()[0].cumulative_lost, stored);
        }
    }

    #[test]
    fn more_blocks_than_kept_are_passed_over() {
        let mut bytes = vec![0x80 | 31, 201, 0, 1 + 6 * 31, 0, 0, 0, 5];
        for number in 0..31 {
            bytes.extend([0, 0, 0, number]);
            bytes.extend([0; 20]);
        }
        let read = ReceivedRtcp::parse(&bytes).unwrap();
        assert_eq!(read.blocks().len(), REPORT_BLOCKS_MAX);
        assert_eq!(read.block_about(3).unwrap().ssrc, 3);
        assert_eq!(read.block_about(4), None);
    }

    /// As baresip sends it when a call begins, to open the way through address translation.
    #[test]
    fn a_packet_of_another_type_alone_is_rtcp() {
        let app = [0x80, 204, 0, 3, 0, 0, 0, 9, b'P', b'I', b'N', b'G', b'P', b'O', b'N', b'G'];
        let read = ReceivedRtcp::parse(&app).unwrap();
        assert_eq!((read.ssrc, read.sender, read.bye, read.blocks()), (9, None, false, &[][..]));
        let mut rtp = app;
        rtp[1] = 96;
        assert_eq!(ReceivedRtcp::parse(&rtp), Err(NotRtcp));
    }

    #[test]
    fn what_is_not_rtcp_is_refused() {
        let whole = written(Report { ssrc: 1, sender: Some(SENDER), block: Some(BLOCK), cname: "x", bye: false });
        for length in 0..28 + 24 {
            assert_eq!(ReceivedRtcp::parse(&whole[..length]), Err(NotRtcp), "{length} octets");
        }
        let mut rtp = whole.clone();
        rtp[1] = 0; // PCMU
        assert_eq!(ReceivedRtcp::parse(&rtp[..52]), Err(NotRtcp));
        let mut old = whole;
        old[0] = 0x41;
        assert_eq!(ReceivedRtcp::parse(&old), Err(NotRtcp));
    }

    #[test]
    fn no_octets_make_it_panic() {
        use rand::{Rng, RngExt, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        for _ in 0..100_000 {
            let mut bytes = [0; 128];
            random.fill_bytes(&mut bytes);
            let length = random.random_range(0..=bytes.len());
            bytes[0] = 0x80 | bytes[0] & 0x3F;
            bytes[1] = 200 + bytes[1] % 8;
            bytes[2] = 0;
            bytes[3] %= 24;
            let _ = ReceivedRtcp::parse(&bytes[..length]);
        }
    }
}
