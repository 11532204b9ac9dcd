//! The engine's shell: what it wants sent, opened, asked and told is carried out, by queues alone.

use super::*;

impl World {
    /// Returns how much that was.
    pub(super) fn settle(&mut self) -> usize {
        let mut done = 0;
        loop {
            while let Some(transmit) = self.engine.poll_transmit() {
                self.transmit(transmit);
                done += 1;
            }
            let Some(output) = self.engine.poll_output() else { break };
            self.carry_out(output);
            done += 1;
        }
        self.model.step_is_over(self.engine.counts(), self.engine.calls());
        let counts = self.engine.counts();
        let settings = &self.plan.settings;
        if counts.calls > settings.calls || counts.transactions > 2_000 || counts.timers > 2_000 {
            self.wrong(format!("too much of something: {counts:?}"));
        }
        done
    }

    pub(super) fn transmit(&mut self, transmit: Transmit) {
        let Transmit { flow, bytes } = transmit;
        let Some(phone) = self.phones.iter().position(|phone| phone.sip == flow.remote) else {
            return self.wrong(format!("a message to nobody: {}", first_line(&bytes)));
        };
        self.tell(|| format!("phone {phone} ◄── {}", first_line(&bytes)));
        self.note_answer(&bytes);
        if flow.connection != 0 {
            if flow.connection == self.phones[phone].connection {
                let at = self.down[phone].stream(self.now);
                self.at(at, What::SipDown { phone, bytes });
            }
            return;
        }
        for at in self.down[phone].datagram(self.now).into_iter().flatten() {
            self.at(at, What::SipDown { phone, bytes: bytes.clone() });
        }
    }

    pub(super) fn note_answer(&mut self, bytes: &Bytes) {
        let Ok(sip::Message::Response(response)) = sip::Message::parse(bytes) else { return };
        let (Ok(via), Ok(cseq)) = (response.headers.top_via(), response.headers.cseq()) else { return };
        if cseq.method != Method::Invite || response.status < 200 {
            return;
        }
        let branch = String::from_utf8_lossy(via.branch().map_or(b"", |branch| &branch[..])).into_owned();
        if let Some(finals) = self.invites.get_mut(&branch) {
            finals.insert(response.status);
            if finals.len() > 1 {
                let finals = finals.clone();
                self.wrong(format!("INVITE {branch} has the final answers {finals:?}"));
            }
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::OpenLeg { call, address, peer: _ } => self.open_leg(call, SocketAddr::new(address, 0)),
            Output::Media(command) => self.media(command),
            Output::Lookup { call, lookup, question, origin } => self.ask(call, lookup, question, &origin),
            Output::Event(event) => {
                if let Event::CallArrived { call, caller } = &event {
                    let phone = self.phones.iter().position(|phone| phone.sip.ip() == caller.source.ip()).unwrap();
                    let asserted = self.plan.phones[phone].asserted.map(|conference| self.store.organizer(conference));
                    self.model.call_arrived(*call, phone, asserted);
                    self.keys.is_call(*call, &caller.sip_call_id);
                    self.outcome.calls += 1;
                }
                self.tell_event(&event);
                self.model.event(&event);
            }
        }
    }

    pub(super) fn tell_event(&mut self, event: &Event) {
        match event {
            Event::CallArrived { call, caller } => {
                self.tell(|| format!("{call} is {} of {}", caller.sip_call_id, caller.source));
            }
            Event::RequestRefused { method, status, why, .. } => {
                self.tell(|| format!("refused: {method} {status:?} {why}"));
            }
            Event::Call { call, fact } => self.tell(|| format!("{call} {fact:?}")),
            Event::Meeting { meeting, fact } => self.tell(|| format!("{meeting} {fact:?}")),
            Event::CallEnded(record) => {
                let statistics = record.statistics;
                self.tell(|| format!("{} ended: {:?}, {statistics:?}", record.call, record.end));
            }
        }
    }

    pub(super) fn open_leg(&mut self, call: CallKey, address: SocketAddr) {
        let opened = match self.free_ports.pop_front() {
            Some(port) => {
                self.sockets.insert(port, VecDeque::new());
                let phone = self.model.calls[&call].phone;
                self.wake_media();
                self.legs.insert(call, (port, phone));
                self.port_calls.insert(port, (call, phone));
                self.ears.insert(call, Ear::default());
                let station = self.router.open(call);
                self.inboxes[station].push_back(Message::Open { call, sockets: port });
                Ok(SocketAddr::new(address.ip(), port))
            }
            None => Err("every port is taken".to_owned()),
        };
        let now = self.instant();
        self.engine.handle_leg_opened(now, call, opened);
    }

    pub(super) fn media(&mut self, command: PlaneCommand) {
        match &command {
            PlaneCommand::Gather { call, meeting } => self.model.gathered(*call, *meeting),
            PlaneCommand::Play { call, prompts, .. } => self.model.played(*call, prompts),
            PlaneCommand::Close { call } => {
                self.model.closed(*call);
                let (now, call) = (self.now, *call);
                self.keys.closes(call, now);
            }
            _ => {}
        }
        self.wake_media();
        let World { router, inboxes, .. } = self;
        router.route(command, &mut |station, message| inboxes[station].push_back(message));
    }

    pub(super) fn ask(&mut self, call: CallKey, lookup: LookupKey, question: Question, origin: &engine::Origin) {
        let number = self.model.calls.get(&call).map(|of| format!("+493010{}", of.phone));
        if number.as_ref() != Some(&origin.caller) || &*origin.trunk != "carrier" {
            self.wrong(format!("{call} asks the store as {origin:?}"));
        }
        let origin = Origin::new(&origin.caller, &origin.trunk);
        self.model.asked(call, lookup, matches!(question, Question::Pin { .. }));
        let answer = |world: &mut World, after_ms: u64, given: Option<Answer>| {
            let at = world.now + after_ms * 1_000;
            let (question, origin) = (question.clone(), origin.clone());
            world.at(at, What::Answer { call, lookup, question, origin, given });
        };
        let quick = self.dice.between(1, 40);
        match self.store.mood {
            Mood::Quick | Mood::ReadOnly => answer(self, quick, None),
            Mood::Slow { ms } => answer(self, ms, None),
            Mood::Away => answer(self, quick, Some(Store::unavailable(&question))),
            Mood::Silent => {}
            Mood::Twice { ms } => {
                answer(self, quick, None);
                answer(self, quick + ms, None);
            }
        }
    }
}
