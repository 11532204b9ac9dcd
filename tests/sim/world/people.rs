//! Everybody acts: callers, administrators, and who wishes them ill.

use super::*;

impl World {
    pub(super) fn step(&mut self, step: Step) {
        let Step { phone, action, .. } = step;
        let now = self.now;
        self.tell(|| format!("phone {phone} {action:?}"));
        if !matches!(action, Action::Ask | Action::GarbageSip | Action::WeatherDown(_)) {
            self.steady_since[phone] = now;
        }
        // Where the SDP names the address that the SIP comes from, nobody else is taken for him.
        let taken_in = action == Action::Stranger && self.phones[phone].plan.translated;
        if taken_in
            || matches!(
                action,
                Action::Hold { .. }
                    | Action::Resume
                    | Action::MoveAddress
                    | Action::Rebind
                    | Action::ReinviteWithoutOffer
                    | Action::GarbageRtp
                    | Action::LoseConnection
            )
        {
            self.keys.disturbed(&self.phones[phone].call_id, taken_in || action == Action::GarbageRtp);
            self.spoiled[phone] |= taken_in || action == Action::Rebind;
        }
        match action {
            Action::Dial => self.dial(phone),
            Action::Press { key, hold_ms } => self.phones[phone].press(key, hold_ms),
            Action::Talk => self.phones[phone].talking = true,
            Action::Hush => self.phones[phone].talking = false,
            Action::Hold { inactive } => {
                let direction = if inactive { Direction::Inactive } else { Direction::SendOnly };
                self.phones[phone].reinvite(now, direction);
            }
            Action::Resume => self.phones[phone].reinvite(now, Direction::Both),
            Action::MoveAddress => {
                if self.phones[phone].state == State::Up {
                    self.phones[phone].move_rtp(true);
                    let direction = self.phones[phone].direction;
                    self.phones[phone].reinvite(now, direction);
                }
            }
            Action::Rebind => self.phones[phone].move_rtp(false),
            Action::Ask => self.phones[phone].ask(now),
            Action::ReinviteWithoutOffer => self.phones[phone].reinvite_without_offer(now),
            Action::Cancel => self.phones[phone].cancel(now),
            Action::HangUp => self.phones[phone].hang_up(now),
            Action::Vanish => self.phones[phone].vanish(),
            Action::GarbageSip => self.garbage_sip(phone),
            Action::GarbageRtp => self.garbage_rtp(phone),
            Action::Stranger => self.stranger(phone),
            Action::LoseConnection => self.lose_connection(phone),
            Action::Weather(weather) => {
                self.up[phone].weather = weather;
                self.voice_up[phone].weather = weather;
                self.down[phone].weather = weather;
                self.keys.weather(&self.phones[phone].call_id, weather);
            }
            Action::WeatherDown(weather) => self.down[phone].weather = weather,
            Action::ResetPin { conference } => self.store.reset_pin(conference),
            Action::ResetConferenceId { conference } => self.store.reset_conference_id(conference),
            Action::Disable { conference } => self.store.disable(conference),
            Action::AllowAnonymous { conference, allowed } => self.store.allow_anonymous(conference, allowed),
            Action::AdmissionNeeded { conference, needed } => self.store.need_admission(conference, needed),
            Action::Store(mood) => self.store.mood = mood,
            Action::ClearBudgets => self.store.clear_budgets(),
            Action::BudgetLimit { budget, limit } => self.store.set_limit(budget, limit),
            Action::Stall { thread, ticks } => self.stall(thread, ticks),
            Action::Start { .. }
            | Action::AdmitAll { .. }
            | Action::AdmitOne { .. }
            | Action::Mute { .. }
            | Action::MuteAll { .. }
            | Action::Remove
            | Action::Lock { .. }
            | Action::End { .. }
            | Action::DropWaiting { .. } => self.live(phone, action),
            Action::Survey => self.media(PlaneCommand::Survey),
            Action::ShutDown { grace_s } => {
                self.shut_down = true;
                let now = self.instant();
                self.engine.handle_shutdown(now, Duration::from_secs(grace_s));
                self.settle();
            }
        }
        self.phone_speaks(phone);
    }

    /// What was to be played in time is torn; nothing else may suffer.
    pub(super) fn stall(&mut self, thread: usize, ticks: u64) {
        let left = &mut self.stalls[thread].0;
        *left = (*left).max(ticks);
        let (longest, until) = self.last_stall;
        let still = if self.model.tick < until { longest } else { 0 };
        self.last_stall = (still + ticks, self.model.tick + ticks + RECOVERY_TICKS);
        self.keys.tones_are_torn();
        let steady = self.now + (ticks + RECOVERY_TICKS) * TICK_US;
        self.steady_since.iter_mut().for_each(|since| *since = (*since).max(steady));
    }

    /// Somebody at a console, who sees what goes on.
    pub(super) fn live(&mut self, phone: usize, action: Action) {
        let meeting = |conference: usize| {
            let (conference, _) = self.store.conference(conference);
            self.engine.meetings().find(|of| of.conference == conference.key).map(|of| of.key)
        };
        let call = self.model.calls.iter().rev().find(|(_, of)| of.phone == phone).map(|(&call, _)| call);
        let command = match action {
            Action::Start { conference } => {
                let by = self.store.organizer(conference);
                let (conference, conference_id) = self.store.conference(conference);
                Some(LiveCommand::Start { conference, conference_id, by })
            }
            Action::AdmitAll { conference } => {
                meeting(conference).map(|meeting| LiveCommand::Admit { meeting, call: None })
            }
            Action::AdmitOne { conference } => meeting(conference).map(|meeting| LiveCommand::Admit { meeting, call }),
            Action::Mute { muted } => call.map(|call| LiveCommand::Mute { call, muted }),
            Action::MuteAll { conference, muted } => {
                meeting(conference).map(|meeting| LiveCommand::MuteAll { meeting, muted })
            }
            Action::Remove => call.map(|call| LiveCommand::Remove { call }),
            Action::Lock { conference, locked } => {
                meeting(conference).map(|meeting| LiveCommand::Lock { meeting, locked })
            }
            Action::End { conference } => meeting(conference).map(|meeting| LiveCommand::End { meeting }),
            Action::DropWaiting { conference } => {
                Some(LiveCommand::DropWaiting { conference: self.store.conference(conference).0.key })
            }
            _ => None,
        };
        let Some(command) = command else { return };
        self.model.live(&command);
        let now = self.instant();
        let done = self.engine.handle_live(now, command.clone());
        self.tell(|| format!("console: {command}: {done:?}"));
        self.settle();
        if let (LiveCommand::Start { .. }, Ok(done)) = (&command, &done) {
            let started = self.engine.meetings().find(|of| Some(of.key) == done.meeting);
            if started.is_none_or(|of| of.started_at.is_none()) {
                self.wrong(format!("{command} is done, and it does not run"));
            }
        }
    }

    pub(super) fn dial(&mut self, phone: usize) {
        if !matches!(self.phones[phone].state, State::Idle | State::Over | State::Gone) {
            return;
        }
        self.keys.ends(&self.phones[phone].call_id, &self.phones[phone].pressed);
        self.connections += 1;
        self.spoiled[phone] = false;
        self.phones[phone].connection = self.connections;
        let asserted = self.plan.phones[phone].asserted.map(|conference| self.store.organizer(conference));
        self.phones[phone].dial(self.now, asserted.as_deref());
        let Phone { call_id, plan, .. } = &self.phones[phone];
        // His answer to our offer is in the ACK: as long as that is missing there is no media.
        let weather = self.voice_up[phone].weather;
        let late_answer = !plan.offers && (plan.no_ack || weather.loss_percent > 0.0);
        self.keys.begins(call_id, plan.keys, weather, self.phones[phone].is_learned_by_keys());
        if late_answer {
            self.keys.disturbed(call_id, false);
        }
        if !self.ticking[phone] {
            self.ticking[phone] = true;
            let phase = self.phones[phone].plan.phase_us;
            let first = (self.now / TICK_US + 1) * TICK_US + phase;
            self.at(first, What::Tick(phone));
        }
    }

    pub(super) fn flow(&self, phone: usize) -> Flow {
        let Phone { sip, connection, plan, .. } = &self.phones[phone];
        let server = SERVER.parse().unwrap();
        if plan.tcp { Flow::tcp(server, *sip, *connection) } else { Flow::udp(server, *sip) }
    }

    /// What a telephone has to say goes on its way, and its next timer is noted.
    pub(super) fn phone_speaks(&mut self, phone: usize) {
        for text in self.phones[phone].take_out() {
            self.tell(|| format!("phone {phone} ──► {}", first_line(text.as_bytes())));
            self.sip_up(phone, text.into());
        }
        if let Some(at) = self.phones[phone].next_timeout() {
            let at = at.max(self.now + 1);
            self.at(at, What::Timer(phone));
        }
    }

    pub(super) fn sip_up(&mut self, phone: usize, bytes: Bytes) {
        let flow = self.flow(phone);
        if self.phones[phone].plan.tcp {
            let at = self.up[phone].stream(self.now);
            return self.at(at, What::SipUp { flow, bytes });
        }
        for at in self.up[phone].datagram(self.now).into_iter().flatten() {
            self.at(at, What::SipUp { flow, bytes: bytes.clone() });
        }
    }

    pub(super) fn phone_tick(&mut self, phone: usize) {
        let mut packets = Vec::new();
        let of = &mut self.phones[phone];
        of.tick(self.now, &mut packets);
        if of.is_pressing() {
            self.steady_since[phone] = self.now;
        }
        let (source, server) = (of.rtp, of.server_rtp);
        let stops = matches!(of.state, State::Over | State::Gone | State::Idle);
        let silent = self.voice_up[phone].weather.silent_up;
        for bytes in packets {
            let Some(server) = server.filter(|_| !silent) else { continue };
            let [first, second] = self.voice_up[phone].datagram(self.now);
            let port = server.port();
            if let Some(at) = second {
                self.at(at, What::Rtp { port, source, bytes: bytes.clone() });
            }
            if let Some(at) = first {
                self.at(at, What::Rtp { port, source, bytes });
            }
        }
        self.phone_speaks_if_it_has_to(phone);
        if stops {
            self.ticking[phone] = false;
        } else {
            self.at(self.now + TICK_US, What::Tick(phone));
        }
    }

    pub(super) fn phone_speaks_if_it_has_to(&mut self, phone: usize) {
        // An INFO begins with the tick.
        if self.phones[phone].plan.keys == Keys::Info {
            self.phone_speaks(phone);
        }
    }

    pub(super) fn garbage_sip(&mut self, phone: usize) {
        let text =
            format!("INVITE sip:8000@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=y\r\nCall-ID: {phone}\r\n\r\n");
        let mut bytes = text.into_bytes();
        for _ in 0..self.dice.between(0, 6) {
            let at = self.dice.between(0, bytes.len() as u64 - 1) as usize;
            bytes[at] = self.dice.next() as u8;
        }
        let flow = self.flow(phone);
        let at = self.now + 1_000;
        self.at(at, What::SipUp { flow, bytes: bytes.into() });
        // A request of nobody's in his own dialog's name.
        let stray = format!(
            "BYE sip:8000@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKstray{}\r\n\
             From: <sip:x@y>;tag=no\r\nTo: <sip:8000@198.51.100.1>;tag=none\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\n\
             Content-Length: 0\r\n\r\n",
            self.now, self.phones[phone].call_id
        );
        self.at(at + 1, What::SipUp { flow, bytes: stray.into() });
    }

    pub(super) fn garbage_rtp(&mut self, phone: usize) {
        let Some(server) = self.phones[phone].server_rtp else { return };
        let source = self.phones[phone].rtp;
        for number in 0..10 {
            let length = self.dice.between(0, 200) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| self.dice.next() as u8).collect();
            if number % 2 == 0 && length > 1 {
                (bytes[0], bytes[1]) = (0x80, [0, 8, 101][number % 3]);
            }
            // Noise would be a voice, also where chance alone makes a packet of it.
            if bytes.len() > 12 && bytes[0] >> 6 == 2 && matches!(bytes[1] & 0x7F, 0 | 8) {
                let quiet = anteroom::wire::g711::silence(self.phones[phone].law());
                bytes.iter_mut().skip(12).for_each(|octet| *octet = quiet);
            }
            self.at(self.now + 500 * number as u64, What::Rtp { port: server.port(), source, bytes });
        }
    }

    /// Half a second of voice from an address that nobody named.
    pub(super) fn stranger(&mut self, phone: usize) {
        let Some(server) = self.phones[phone].server_rtp else { return };
        let source = "203.0.113.66:6666".parse().unwrap();
        for number in 0..25u16 {
            let mut bytes = vec![0x80, 0];
            bytes.extend(number.to_be_bytes());
            bytes.extend((u32::from(number) * 160).to_be_bytes());
            bytes.extend([6, 6, 6, 6]);
            bytes.extend([0x10; 160]);
            self.at(self.now + u64::from(number) * TICK_US, What::Rtp { port: server.port(), source, bytes });
        }
    }

    pub(super) fn lose_connection(&mut self, phone: usize) {
        if !self.phones[phone].plan.tcp {
            return;
        }
        let old = self.phones[phone].connection;
        self.connections += 1;
        self.phones[phone].connection = self.connections;
        let now = self.instant();
        self.engine.handle_connection_lost(now, old);
        self.settle();
    }
}
