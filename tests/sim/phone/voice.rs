//! Keys and voice: what a telephone sends each 20 ms.

use anteroom::words::media::Codec;

use super::*;

impl Phone {
    pub fn press(&mut self, key: char, hold_ms: u64) {
        if self.state == State::Up && self.queue.len() < 40 {
            self.queue.push_back((key, hold_ms.div_ceil(20)));
        }
    }

    pub fn is_pressing(&self) -> bool {
        self.pressing.is_some() || !self.queue.is_empty()
    }

    /// 20 ms pass; the packets that he sends.
    pub fn tick(&mut self, now: u64, packets: &mut Vec<Vec<u8>>) {
        if self.state != State::Up || self.server_rtp.is_none() {
            return;
        }
        self.begin_press(now);
        let sends = self.direction != Direction::Inactive;
        let (law, talking) = (self.law(), self.talking);
        let mut tones = None;
        let mut event = None;
        if let Some(pressing) = &mut self.pressing {
            pressing.elapsed += 1;
            let is_over = pressing.elapsed >= pressing.hold;
            let duration = pressing.elapsed.min(pressing.hold) as u16 * 160;
            match self.plan.keys {
                Keys::InBand | Keys::EventsAndTones if pressing.elapsed <= pressing.hold => {
                    tones = Some((pressing.key, (pressing.elapsed as usize - 1) * 160));
                }
                _ => {}
            }
            if matches!(self.plan.keys, Keys::Events | Keys::EventsAndTones) {
                let code = Digit::from_char(pressing.key).unwrap().event_code();
                let payload = TelephoneEvent { event: code, end: is_over, volume: 10, duration }.write();
                event = Some((pressing.started, payload));
            }
            if is_over {
                pressing.ends_left -= 1;
                if pressing.ends_left == 0 {
                    self.pressing = None;
                    self.gap = 3;
                }
            }
        } else {
            self.gap = self.gap.saturating_sub(1);
        }
        let by_event_alone = event.is_some() && self.plan.keys == Keys::Events;
        let quiet = !talking && tones.is_none();
        if sends && !by_event_alone && !(quiet && self.plan.suppresses_silence) {
            let codes = match tones {
                Some((key, from)) => sounds::key_tones(law, key, from),
                None if talking => *sounds::voice(self.number, law),
                None => [anteroom::wire::g711::silence(law); 160],
            };
            let timestamp = self.rtp_timestamp;
            packets.push(self.packet(Codec::from(law).payload_type(), false, timestamp, &codes));
        }
        if let Some((started, payload)) = event.filter(|_| sends) {
            let marker = started == self.rtp_timestamp;
            packets.push(self.packet(EVENT_TYPE, marker, started, &payload));
        }
        self.rtp_timestamp = self.rtp_timestamp.wrapping_add(160);
    }

    fn begin_press(&mut self, now: u64) {
        let is_free = self.pressing.is_none() && self.gap == 0 && !self.info_open;
        // Who is on hold has no line to press keys into.
        if !is_free || self.direction == Direction::Inactive {
            return;
        }
        let Some((key, hold)) = self.queue.pop_front() else { return };
        self.pressed.push(Pressed { at: now, key, void: false });
        let ends_left = if matches!(self.plan.keys, Keys::Events | Keys::EventsAndTones) { 3 } else { 1 };
        if self.plan.keys == Keys::Info {
            let body = format!("Signal={key}\r\nDuration={}\r\n", hold * 20);
            self.request(now, "INFO", "", &body, None);
            self.gap = hold + 3;
        } else {
            self.pressing = Some(Pressing { key, started: self.rtp_timestamp, elapsed: 0, hold, ends_left });
        }
    }

    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + payload.len());
        packet.extend([0x80, payload_type | u8::from(marker) << 7]);
        packet.extend(self.rtp_sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.rtp_sequence = self.rtp_sequence.wrapping_add(1);
        packet
    }
}
