//! One leg, packet by packet.

use rand::SeedableRng;

use super::*;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader};
use crate::wire::telephone_event::TelephoneEvent;
use crate::words::media::{FRAME, FromPeer};

const EVENT_TYPE: u8 = 101;

/// A leg and its caller, who sends a packet in the middle of each frame.
struct Line {
    leg: Leg,
    caller: SocketAddr,
    begins: Instant,
    random: StdRng,
    sequence: u16,
    frame: ReceivedFrame,
}

impl Line {
    fn new(codec: Codec) -> Line {
        let mut random = StdRng::seed_from_u64(1);
        let mut line = Line {
            leg: Leg::new(CallKey(1), &mut random),
            caller: "192.0.2.9:4000".parse().unwrap(),
            begins: Instant::now(),
            random,
            sequence: 0,
            frame: ReceivedFrame::default(),
        };
        line.negotiate(line.media(codec));
        line
    }

    fn media(&self, codec: Codec) -> NegotiatedMedia {
        NegotiatedMedia {
            remote_rtp: self.caller,
            remote_rtcp: self.caller,
            codec,
            payload_type: codec.payload_type(),
            bits_per_second_max: None,
            telephone_event: Some(EVENT_TYPE),
            from_peer: FromPeer { voice: codec.payload_type(), events: Some((EVENT_TYPE, codec.clock_rate())) },
            direction: Direction::SendRecv,
        }
    }

    fn negotiate(&mut self, media: NegotiatedMedia) {
        self.leg.negotiate(self.begins, media, self.caller.ip(), &mut self.random);
    }

    /// A packet for the frame with this number.
    fn send(&mut self, frame: u32, payload_type: u8, timestamp: u32, payload: &[u8]) -> Received {
        self.sequence = self.sequence.wrapping_add(1);
        self.send_numbered(frame, payload_type, self.sequence, timestamp, payload)
    }

    fn send_numbered(
        &mut self,
        frame: u32,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        payload: &[u8],
    ) -> Received {
        let mut header = [0; HEADER_BYTES];
        RtpHeader { payload_type, marker: false, sequence, timestamp, ssrc: 7 }.write(&mut header);
        let due = self.due(frame);
        self.leg.handle_rtp(self.caller, due - FRAME / 2, due, &[&header[..], payload].concat())
    }

    fn listen(&mut self, frame: u32) {
        self.leg.listen(self.due(frame), &mut self.frame);
    }

    fn due(&self, frame: u32) -> Instant {
        self.begins + FRAME * (frame + 1)
    }
}

#[test]
fn a_peer_may_send_with_the_numbers_of_our_offer_or_of_his_answer() {
    let mut line = Line::new(Codec::Pcmu);
    let from_peer = FromPeer { voice: 111, events: Some((EVENT_TYPE, 8_000)) };
    let answered =
        NegotiatedMedia { payload_type: 96, telephone_event: Some(97), from_peer, ..line.media(Codec::Opus) };
    line.negotiate(answered);
    let key = |event| TelephoneEvent { event, end: false, volume: 10, duration: 160 }.write();
    assert_eq!(line.send(0, EVENT_TYPE, 0, &key(4)).digit, Digit::from_char('4'));
    assert_eq!(line.send(1, 97, 8_000, &key(2)).digit, Digit::from_char('2'));
    for (frame, payload_type) in [(2, 111), (3, 96)] {
        line.send(frame, payload_type, frame * 960, &[0x48, 1, 2]);
        assert!(!line.leg.is_hungry(), "{payload_type}");
        line.listen(frame);
    }
    let refused = line.leg.statistics().packets_refused;
    line.send(4, 98, 4 * 960, &[0x48, 1, 2]);
    assert_eq!(line.leg.statistics().packets_refused, refused + 1, "nothing that was agreed on");
}

#[test]
fn what_is_no_voice_is_counted() {
    let mut line = Line::new(Codec::Pcmu);
    line.send(0, 0, 0, &[0x80; 160]);
    assert_eq!(line.leg.statistics().packets_refused, 0);
    line.send(1, 0, 160, &[0x80; 2_000]);
    assert_eq!(line.leg.statistics().packets_refused, 1, "longer than any voice");
}

/// Sequence numbers go on with each key's packets, and half of all numbers can lie between two of voice.
#[test]
fn half_the_numbers_between_two_packets_stop_nobody() {
    let mut line = Line::new(Codec::Pcmu);
    line.send_numbered(0, 0, 0, 0, &[0x80; 160]);
    line.listen(0);
    for number in 1..=10 {
        line.send_numbered(1, EVENT_TYPE, number * 2_999, 160, &[5, 0x80 | 10, 0, 160]);
    }
    line.send_numbered(1, 0, 32_768, 160, &[0x80; 160]);
    line.listen(1);
}

#[cfg(feature = "opus")]
mod with_opus {
    use super::*;
    use crate::wire::opus::{Decoder, Encoder};

    fn sounds() -> Sounds {
        let rising: Vec<i16> = (0..16_000).map(|at| ((at * at / 50) % 9_000) as i16 - 4_500).collect();
        let sounds = Sounds::new(|_| vec![0; 160], |_| vec![0; 160], &rising);
        sounds.encode(Codec::Opus);
        sounds
    }

    /// The payload that is due.
    fn spoken(leg: &mut Leg, sounds: &Sounds) -> Vec<u8> {
        let mut out = [0; PACKET_BYTES_MAX];
        let (length, _) = leg.speak(sounds, None, &mut out).0.unwrap();
        out[HEADER_BYTES..length].to_vec()
    }

    #[test]
    fn who_wants_less_in_the_middle_of_the_call_gets_less() {
        let mut line = Line::new(Codec::Opus);
        let sounds = sounds();
        line.leg.set_background(Background::Music);
        let bits_per_second =
            |line: &mut Line| (0..100).map(|_| spoken(&mut line.leg, &sounds).len()).sum::<usize>() * 4;
        let all = bits_per_second(&mut line);
        line.negotiate(NegotiatedMedia { bits_per_second_max: Some(12_000), ..line.media(Codec::Opus) });
        let less = bits_per_second(&mut line);
        assert!(all > 30_000 && less < 15_000, "{all}, then {less}");
    }

    #[test]
    fn silence_is_encoded_once_for_all() {
        let sounds = sounds();
        let mut line = Line::new(Codec::Opus);
        line.leg.set_background(Background::Music);
        (0..3).for_each(|_| drop(spoken(&mut line.leg, &sounds)));
        line.leg.set_background(Background::Silence);
        let mut decoder = Decoder::new().unwrap();
        for frame in 0..50 {
            let packet = spoken(&mut line.leg, &sounds);
            let mut heard = [0; 320];
            decoder.decode(&packet, &mut heard);
            // The first fades the music out.
            if frame > 0 {
                assert_eq!(Some(&packet[..]), sounds.opus_silence());
            }
            assert!(frame < 4 || heard.iter().all(|sample: &i16| sample.abs() < 3));
        }
    }

    /// A caller hums with pauses, and presses a key, or not. How long his voice waits 4 s later.
    fn delay_ms(presses: bool) -> u32 {
        let mut line = Line::new(Codec::Opus);
        let mut encoder = Encoder::for_voice(40_000).unwrap();
        for frame in 0..400u32 {
            if presses && (200..206).contains(&frame) {
                let duration = (frame as u16 - 199) * 960;
                let key = TelephoneEvent { event: 5, end: frame == 205, volume: 10, duration };
                line.send(frame, EVENT_TYPE, 200 * 960, &key.write());
            } else {
                let loud = if frame % 50 < 35 { 6_000.0 } else { 0.0 };
                let voice: Vec<i16> = (0..320).map(|at| (loud * (at as f32 * 0.1).sin()) as i16).collect();
                let mut packet = [0; 400];
                let length = encoder.encode(&voice, &mut packet);
                line.send(frame, 111, frame * 960, &packet[..length]);
            }
            line.listen(frame);
        }
        line.leg.survey().delay_ms
    }

    #[test]
    fn a_key_is_no_loss_that_voice_waits_longer_for() {
        let without = delay_ms(false);
        assert!(delay_ms(true) < without + 15);
    }
}
