//! The media threads: ticks, stalls, what leaves for whom, and what they tell.

use super::*;

impl World {
    pub(super) fn has_media(&self) -> bool {
        !self.legs.is_empty() || self.inboxes.iter().any(|inbox| !inbox.is_empty())
    }

    /// While there was no leg no tick was run: the planes go on at the present.
    pub(super) fn wake_media(&mut self) {
        if self.has_media() || self.next_tick >= self.now {
            return;
        }
        let behind = (self.now - self.next_tick).div_ceil(TICK_US);
        for (station, stall) in self.stations.iter_mut().zip(&mut self.stalls) {
            let (_, owed) = std::mem::take(stall);
            station.parts().0.skip((behind + owed) as u32);
        }
        self.next_tick += behind * TICK_US;
        self.model.tick += behind;
    }

    pub(super) fn tick(&mut self) {
        self.next_tick += TICK_US;
        self.model.tick += 1;
        let mut sent: Vec<(u16, Stream, SocketAddr, Vec<u8>)> = Vec::new();
        let mut events = Vec::new();
        let first = self.dice.between(0, self.stations.len() as u64 - 1) as usize;
        for number in 0..self.stations.len() {
            let number = (number + first) % self.stations.len();
            if let (left @ 1.., owed) = self.stalls[number] {
                self.stalls[number] = (left - 1, owed + 1);
                continue;
            }
            let owed = std::mem::take(&mut self.stalls[number].1);
            if owed > CATCH_UP_TICKS {
                self.stations[number].parts().0.skip(owed as u32);
            } else {
                (0..owed).for_each(|_| self.tick_station(number, &mut sent, &mut events));
            }
            self.tick_station(number, &mut sent, &mut events);
        }
        self.outcome.call_seconds += self.legs.len() as f64 * 0.02;
        let speaking = self.who_must_be_heard();
        for (port, stream, destination, datagram) in sent {
            self.heard(port, stream, destination, &datagram, speaking);
        }
        for event in events {
            self.media_event(event);
        }
    }

    pub(super) fn tick_station(
        &mut self,
        number: usize,
        sent: &mut Vec<(u16, Stream, SocketAddr, Vec<u8>)>,
        events: &mut Vec<PlaneEvent>,
    ) {
        let now = self.instant();
        let base = self.base;
        let room = self.plan.settings.thread_room;
        let mut mine = std::mem::take(&mut self.inboxes[number]);
        let World { stations, inboxes, sockets, .. } = self;
        let station = &mut stations[number];
        let mut bring = |to: usize, message: Message<u16>| {
            if inboxes[to].len() >= room {
                return Err(message);
            }
            inboxes[to].push_back(message);
            Ok(())
        };
        for message in mine.drain(..) {
            station.handle(now, message, &mut bring);
        }
        station.retry_moves(now, &mut bring);
        let (plane, places) = station.parts();
        for (slot, place) in places.iter().enumerate() {
            let Some(socket) = place.and_then(|port| sockets.get_mut(&port)) else { continue };
            for Datagram { at, source, bytes } in socket.drain(..) {
                plane.handle_rtp(slot, source, base + Duration::from_micros(at), &bytes);
            }
        }
        let closed = plane.tick(&mut |slot, stream, destination, datagram| {
            if let Some(Some(port)) = places.get(slot) {
                sent.push((*port, stream, destination, datagram.to_vec()));
            }
        });
        while let Some(event) = plane.poll_event() {
            events.push(event);
        }
        if closed > 0 {
            station.drop_sockets_of_closed();
        }
        if station.plane().events_dropped() > 0 || station.commands_lost() > 0 {
            self.wrong(format!("station {number} has dropped events or commands"));
        }
    }

    /// The phones that speak so clearly that whoever is in a meeting with them must hear them.
    pub(super) fn who_must_be_heard(&self) -> u32 {
        let clear = |phone: &&Phone| {
            let number = phone.number;
            let calls = self.model.calls.values().filter(|of| of.phone == number && of.mode != Mode::Gone).count();
            phone.state == State::Up
                && phone.talking
                && phone.direction == Direction::Both
                && self.voice_up[number].weather.is_clear()
                && self.now > self.steady_since[number] + 2_000_000
                && !self.spoiled[number]
                && calls == 1
        };
        self.phones.iter().filter(clear).fold(0, |bits, phone| bits | 1 << phone.number)
    }

    pub(super) fn heard(&mut self, port: u16, stream: Stream, destination: SocketAddr, datagram: &[u8], speaking: u32) {
        let Some(&(call, phone)) = self.port_calls.get(&port) else {
            return self.wrong(format!("a packet leaves port {port}, which is nobody's"));
        };
        let addresses = &self.phones[phone].addresses;
        let is_rtcp_of = |address: &SocketAddr| address.ip() == destination.ip();
        let is_right = match stream {
            Stream::Rtp => addresses.contains(&destination),
            Stream::Rtcp => addresses.iter().any(is_rtcp_of),
        };
        if !is_right && !self.spoiled[phone] {
            return self.wrong(format!("{call} of phone {phone}: a packet goes to {destination}"));
        }
        if stream == Stream::Rtcp {
            return;
        }
        let (longest, until) = self.last_stall;
        let grace = if self.plan.settings.planes > 1 { 4 } else { 1 };
        let grace = if self.model.tick < until { grace + longest + CATCH_UP_TICKS } else { grace };
        let moment = Moment { heard: &self.heard, model: &self.model, phones: self.phones.len(), grace, speaking };
        let (Some(ear), Some(of)) = (self.ears.get_mut(&call), self.model.calls.get(&call)) else { return };
        let (wrong, news) = ear.handle(&moment, of, datagram);
        if let Some(news) = news {
            self.tell(|| format!("{call} hears {news}"));
        }
        for what in wrong {
            self.wrong(format!("{call} (phone {phone}) {what}"));
        }
    }

    pub(super) fn media_event(&mut self, event: PlaneEvent) {
        match &event {
            PlaneEvent::Digit { call, digit, method } => {
                self.tell(|| format!("{call} pressed {} ({method:?})", digit.expose()));
                self.keys.digit(*call, digit.expose());
                self.model.digit(*call, digit.expose());
            }
            PlaneEvent::Closed { call, .. } => self.leg_closed(*call),
            PlaneEvent::PlaybackFinished { .. }
            | PlaneEvent::SourceBound { .. }
            | PlaneEvent::Talking { .. }
            | PlaneEvent::Survey { .. }
            | PlaneEvent::MediaSilent { .. } => {}
        }
        let now = self.instant();
        self.engine.handle_media(now, event);
        self.settle();
    }

    pub(super) fn leg_closed(&mut self, call: CallKey) {
        let Some((port, phone)) = self.legs.remove(&call) else {
            return self.wrong(format!("{call} has no leg, and it closed"));
        };
        self.port_calls.remove(&port);
        self.sockets.remove(&port);
        self.free_ports.push_back(port);
        self.router.closed(call);
        self.ears.remove(&call);
        let of = &self.phones[phone];
        if self.keys.name_of(call) == Some(&of.call_id) {
            self.keys.ends(&of.call_id, &of.pressed);
        }
        self.outcome.keys += self.keys.pressed(call) as u64;
        if let Some(what) = self.keys.check(call) {
            self.wrong(what);
        }
    }
}
