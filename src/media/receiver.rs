//! What is counted about the peer's stream, for RTCP and for the call record.

use std::time::Instant;

use crate::wire::rtcp::{ReceivedRtcp, ReportBlock};

/// A jump of more than this forwards, or of more than `MISORDER_MAX` backwards, is a sender that restarted (RFC 3550
/// appendix A.1).
const DROPOUT_MAX: u16 = 3_000;
const MISORDER_MAX: u16 = 100;

/// How a packet belongs to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    SameStream,
    /// Another SSRC, or the sender restarted: what was kept of the old stream is void.
    NewStream,
    /// Its sequence number fits nowhere. If the next one follows it, the sender has restarted; until then it is nothing.
    Doubtful,
}

/// What is counted of the peer's stream (RFC 3550 section 6.4.1 and appendix A).
#[derive(Debug, Default)]
pub struct Reception {
    source: Option<CountedSource>,
    /// Of sources that were replaced.
    lost_before: u64,
    received_before: u64,
    jitter_ms_max: f32,
    last_sender_report: Option<(u32, Instant)>,
    /// Of our packets, as the peer's last report says.
    reported_lost: Option<i32>,
}

#[derive(Debug)]
struct CountedSource {
    ssrc: u32,
    base_sequence: u32,
    highest_sequence: u16,
    cycles: u32,
    /// After a jump: the sequence number that would prove a restart.
    restart_at: Option<u16>,
    received: u64,
    jitter_ms: f32,
    /// The last packet of voice.
    last: Option<LastVoice>,
    reported_expected: u64,
    reported_received: u64,
}

#[derive(Debug, Clone, Copy)]
struct LastVoice {
    received_at: Instant,
    timestamp: u32,
    clock_rate: u32,
}

impl CountedSource {
    fn new(ssrc: u32, sequence: u16) -> CountedSource {
        CountedSource {
            ssrc,
            base_sequence: u32::from(sequence),
            highest_sequence: sequence,
            cycles: 0,
            restart_at: None,
            received: 0,
            jitter_ms: 0.0,
            last: None,
            reported_expected: 0,
            reported_received: 0,
        }
    }

    fn extended_highest(&self) -> u32 {
        (self.cycles << 16) | u32::from(self.highest_sequence)
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended_highest().wrapping_sub(self.base_sequence)) + 1
    }

    fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }
}

impl Reception {
    /// Counts a packet of the bound source.
    pub fn count(&mut self, ssrc: u32, sequence: u16) -> Continuity {
        let same = self.source.as_mut().filter(|source| source.ssrc == ssrc);
        let Some(source) = same else {
            self.begin(ssrc, sequence);
            return Continuity::NewStream;
        };
        let ahead = sequence.wrapping_sub(source.highest_sequence);
        if ahead < DROPOUT_MAX {
            if sequence < source.highest_sequence {
                source.cycles = source.cycles.wrapping_add(1);
            }
            source.highest_sequence = sequence;
        } else if ahead < u16::MAX - MISORDER_MAX {
            if source.restart_at == Some(sequence) {
                self.begin(ssrc, sequence);
                return Continuity::NewStream;
            }
            source.restart_at = Some(sequence.wrapping_add(1));
            return Continuity::Doubtful;
        }
        source.received += 1;
        Continuity::SameStream
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) {
        let (lost, received) = (self.lost(), self.received());
        self.lost_before = lost;
        self.received_before = received;
        self.last_sender_report = None;
        let mut source = CountedSource::new(ssrc, sequence);
        source.received = 1;
        self.source = Some(source);
    }

    /// Measures the interarrival jitter at a packet of voice (appendix A.8). `clock_rate` in Hz: another one than before
    /// counts from another time (RFC 7160 section 4), so that the two packets tell nothing of the network.
    pub fn measure(&mut self, received_at: Instant, timestamp: u32, clock_rate: u32) {
        let Some(source) = &mut self.source else { return };
        if let Some(last) = source.last.filter(|last| last.clock_rate == clock_rate) {
            let apart = if received_at >= last.received_at {
                (received_at - last.received_at).as_secs_f32()
            } else {
                -(last.received_at - received_at).as_secs_f32()
            };
            let sent_apart = timestamp.wrapping_sub(last.timestamp) as i32;
            let difference_ms = (apart - sent_apart as f32 / clock_rate as f32).abs() * 1_000.0;
            // A pause of more than some seconds is a sender that stopped its clock, not a network that held packets.
            if difference_ms < 4_000.0 {
                source.jitter_ms += (difference_ms - source.jitter_ms) / 16.0;
                self.jitter_ms_max = self.jitter_ms_max.max(source.jitter_ms);
            }
        }
        source.last = Some(LastVoice { received_at, timestamp, clock_rate });
    }

    pub fn received(&self) -> u64 {
        self.received_before + self.source.as_ref().map_or(0, |source| source.received)
    }

    pub fn lost(&self) -> u64 {
        self.lost_before + self.source.as_ref().map_or(0, |source| source.lost().max(0) as u64)
    }

    /// Now, and at its highest.
    pub fn jitter_ms(&self) -> (f32, f32) {
        (self.source.as_ref().map_or(0.0, |source| source.jitter_ms), self.jitter_ms_max)
    }

    pub fn reported_lost(&self) -> Option<i32> {
        self.reported_lost
    }

    /// Takes what the peer's RTCP says of itself and of us.
    pub fn handle_rtcp(&mut self, now: Instant, our_ssrc: u32, received: &ReceivedRtcp) {
        if let Some(sender) = received.sender.filter(|_| self.source.as_ref().is_some_and(|s| s.ssrc == received.ssrc))
        {
            // The middle 32 bits of the NTP timestamp (section 6.4.1, LSR).
            self.last_sender_report = Some(((sender.ntp_timestamp >> 16) as u32, now));
        }
        if let Some(block) = received.block_about(our_ssrc) {
            self.reported_lost = Some(block.cumulative_lost);
        }
    }

    /// What our next report says of the peer; `None` before its first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let last_sender_report = self.last_sender_report;
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_since = expected.saturating_sub(source.reported_expected);
        let received_since = source.received.saturating_sub(source.reported_received);
        source.reported_expected = expected;
        source.reported_received = source.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction_lost = (lost_since * 256).checked_div(expected_since).unwrap_or(0).min(255) as u8;
        let (last_sender_report, delay) = match last_sender_report {
            Some((stamp, at)) => (stamp, (now.saturating_duration_since(at).as_secs_f64() * 65_536.0) as u32),
            None => (0, 0),
        };
        let steps_per_ms = source.last.map_or(0.0, |last| last.clock_rate as f32 / 1_000.0);
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost,
            cumulative_lost: source.lost().clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            extended_highest_sequence: source.extended_highest(),
            jitter: (source.jitter_ms * steps_per_ms) as u32,
            last_sender_report,
            delay_since_last_sender_report: delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn losses_are_counted_across_the_wrap_and_over_changed_sources() {
        let mut reception = Reception::default();
        assert_eq!(reception.count(1, 65_530), Continuity::NewStream);
        for sequence in [65_531, 65_532, 65_534, 65_533, 65_533, 0, 1, 5] {
            assert_eq!(reception.count(1, sequence), Continuity::SameStream);
        }
        // 65,530 to 5 is 12 packets; 9 came, one of them twice.
        assert_eq!((reception.received(), reception.lost()), (9, 3));
        let block = reception.report(Instant::now()).unwrap();
        assert_eq!(block.extended_highest_sequence, 65_536 + 5);
        assert_eq!((block.cumulative_lost, block.fraction_lost), (3, 64));
        assert_eq!(reception.count(2, 100), Continuity::NewStream);
        assert_eq!(reception.count(2, 102), Continuity::SameStream);
        assert_eq!((reception.received(), reception.lost()), (11, 4));
    }

    #[test]
    fn a_restarted_sender_is_a_new_stream_at_its_second_packet() {
        let mut reception = Reception::default();
        for sequence in 0..10 {
            reception.count(7, sequence);
        }
        let expected = [
            (30_000, Continuity::Doubtful),
            (10, Continuity::SameStream),
            (40_000, Continuity::Doubtful),
            (40_001, Continuity::NewStream),
            (40_002, Continuity::SameStream),
        ];
        for (sequence, continuity) in expected {
            assert_eq!(reception.count(7, sequence), continuity, "{sequence}");
        }
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn jitter_is_that_of_appendix_a_8() {
        let start = Instant::now();
        let mut reception = Reception::default();
        reception.count(1, 0);
        for number in 0..1000u32 {
            let late = if number % 2 == 0 { 0 } else { 4 };
            reception.measure(start + Duration::from_millis(u64::from(number * 20 + late)), number * 160, 8000);
        }
        let (jitter_ms, highest_ms) = reception.jitter_ms();
        // Every interval is 4 ms off, 32 steps.
        assert!((jitter_ms - 4.0).abs() < 0.05 && highest_ms <= 4.1, "{jitter_ms}");
        assert!((31..=32).contains(&reception.report(start).unwrap().jitter));
    }

    #[test]
    fn another_clock_is_no_jitter() {
        let start = Instant::now();
        let mut reception = Reception::default();
        reception.count(1, 0);
        for number in 0..100u32 {
            let (timestamp, clock_rate) = if number < 50 { (number * 160, 8_000) } else { (number * 960, 48_000) };
            reception.measure(start + Duration::from_millis(u64::from(number * 20)), timestamp, clock_rate);
        }
        assert!(reception.jitter_ms().1 < 0.01, "{:?}", reception.jitter_ms());
    }

    #[test]
    fn a_sender_report_is_answered_with_its_stamp_and_age() {
        let start = Instant::now();
        let mut reception = Reception::default();
        reception.count(5, 1);
        let mut octets = [0; crate::wire::rtcp::REPORT_BYTES_MAX];
        let sender = crate::wire::rtcp::SenderInfo { ntp_timestamp: 0x0102_0304_0506_0708, ..Default::default() };
        let lost = ReportBlock { ssrc: 99, cumulative_lost: 17, ..Default::default() };
        let report =
            crate::wire::rtcp::Report { ssrc: 5, sender: Some(sender), block: Some(lost), cname: "x", bye: false };
        let length = report.write(&mut octets);
        reception.handle_rtcp(start, 99, &ReceivedRtcp::parse(&octets[..length]).unwrap());
        let block = reception.report(start + Duration::from_millis(500)).unwrap();
        assert_eq!(block.last_sender_report, 0x0304_0506);
        assert_eq!(block.delay_since_last_sender_report, 32_768);
        assert_eq!(reception.reported_lost(), Some(17));
    }
}
