//! One run: the real engine and the real planes, a shell that is nothing but queues, and everybody around them. Time is a
//! number of microseconds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom::attendant::{self, Question};
use anteroom::engine::{Counts, Engine, EngineSettings, LiveCommand, Output};
use anteroom::media::plane::Stream;
use anteroom::media::station::Message;
use anteroom::media::{Plane, PlaneCommand, PlaneEvent, PlaneSettings, Router, Station};
use anteroom::meeting;
use anteroom::sip::{EndpointConfig, Flow, Transmit, Trunk, TrunkTable};
use anteroom::wire::sip::{self, Method};
use anteroom::words::event::Event;
use anteroom::words::ids::{CallKey, LookupKey};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::dice::Dice;
use super::ear::{Ear, Moment};
use super::keys::KeyBook;
use super::model::{Mode, Model};
use super::network::Path;
use super::phone::{Direction, Phone, SERVER, State};
use super::plan::{Action, LeaderLeaves, Mood, Plan, Step};
use super::sounds::Heard;
use super::store::{Answer, Store};

const TICK_US: u64 = 20_000;

/// After the last telephone has hung up: the time in which everything has to be gone. A vanished caller's session timer
/// (100 s), his BYE (32 s), a lobby that times out.
const QUIET_US: u64 = 400_000_000;

/// What the kernel keeps for one socket.
const SOCKET_DATAGRAMS: usize = 300;

enum What {
    Step(Step),
    Tick(usize),
    Timer(usize),
    SipUp { flow: Flow, bytes: Bytes },
    SipDown { phone: usize, bytes: Bytes },
    Rtp { port: u16, source: SocketAddr, bytes: Vec<u8> },
    Answer { call: CallKey, lookup: LookupKey, question: Question, given: Option<Answer> },
    End,
}

struct Datagram {
    at: u64,
    source: SocketAddr,
    bytes: Vec<u8>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was wrong first, and when.
    pub failure: Option<String>,
    pub transcript: String,
    pub call_seconds: f64,
    pub calls: u64,
    pub meetings: u64,
    pub admitted: u64,
    pub keys: u64,
}

pub struct World {
    plan: Plan,
    base: Instant,
    now: u64,
    engine: Engine,
    router: Router,
    stations: Vec<Station<u16>>,
    inboxes: Vec<VecDeque<Message<u16>>>,
    next_tick: u64,
    sockets: BTreeMap<u16, VecDeque<Datagram>>,
    free_ports: VecDeque<u16>,
    legs: BTreeMap<CallKey, (u16, usize)>,
    /// Whose leg a port is.
    port_calls: BTreeMap<u16, (CallKey, usize)>,
    ears: BTreeMap<CallKey, Ear>,
    phones: Vec<Phone>,
    up: Vec<Path>,
    voice_up: Vec<Path>,
    down: Vec<Path>,
    ticking: Vec<bool>,
    /// Since when nothing has disturbed what this phone says.
    steady_since: Vec<u64>,
    /// Somebody else may have taken this phone's place, or its address changed behind everybody's back.
    spoiled: Vec<bool>,
    connections: u64,
    store: Store,
    model: Model,
    keys: KeyBook,
    heard: Arc<Heard>,
    queue: BTreeMap<(u64, u64), What>,
    queued: u64,
    dice: Dice,
    /// INVITEs that came to the server, by branch, and the final answers that they got.
    invites: BTreeMap<String, BTreeSet<u16>>,
    has_ended: bool,
    shut_down: bool,
    record: bool,
    outcome: Outcome,
}

impl World {
    pub fn new(plan: &Plan, heard: Arc<Heard>, record: bool) -> World {
        let settings = &plan.settings;
        let base = Instant::now();
        let network = "192.0.2.0/24".parse().unwrap();
        let trunk = Trunk { name: "carrier".into(), from: vec![network], vouches: true, calls: None };
        let leader_leaves = match settings.leader_leaves {
            LeaderLeaves::GoesOn => meeting::LeaderLeaves::GoesOn,
            LeaderLeaves::BackToLobby => meeting::LeaderLeaves::BackToLobby,
            LeaderLeaves::EndsAfterS(s) => meeting::LeaderLeaves::EndsAfter(Duration::from_secs(s)),
        };
        let engine = EngineSettings {
            sip: EndpointConfig {
                trunks: TrunkTable::new(vec![trunk]),
                session_expires: Some(Duration::from_secs(100)),
                ..EndpointConfig::default()
            },
            attendant: Arc::new(attendant::Settings::default()),
            meeting: Arc::new(meeting::Settings {
                seats: settings.seats,
                lobby_timeout: Duration::from_secs(settings.lobby_timeout_s),
                patience: Duration::from_secs(settings.patience_s),
                nobody_authenticated: Duration::from_secs(settings.nobody_authenticated_s),
                leader_leaves,
                nobody_came: Duration::from_secs(settings.nobody_came_s),
            }),
            calls: settings.calls,
            ..EngineSettings::default()
        };
        let plane = |number: usize| {
            let silent_after = Duration::from_secs(settings.media_silent_s);
            let random = StdRng::seed_from_u64(plan.seed ^ (number as u64 + 1) << 32);
            Plane::new(base, heard.sounds.clone(), PlaneSettings { media_silent_after: silent_after }, random)
        };
        let phones: Vec<Phone> =
            plan.phones.iter().enumerate().map(|(number, plan)| Phone::new(number, plan.clone())).collect();
        let paths = |of: u64| (0..phones.len() as u64).map(|phone| Path::new(plan.seed, of + phone)).collect();
        let mut world = World {
            base,
            now: 0,
            engine: Engine::new(engine, StdRng::seed_from_u64(plan.seed)),
            router: Router::new(settings.planes),
            stations: (0..settings.planes).map(|number| Station::new(plane(number))).collect(),
            inboxes: (0..settings.planes).map(|_| VecDeque::new()).collect(),
            next_tick: TICK_US,
            sockets: BTreeMap::new(),
            free_ports: (0..settings.port_pairs as u16).map(|pair| 20_000 + 2 * pair).collect(),
            legs: BTreeMap::new(),
            port_calls: BTreeMap::new(),
            ears: BTreeMap::new(),
            up: paths(100),
            voice_up: paths(200),
            down: paths(300),
            ticking: vec![false; phones.len()],
            steady_since: vec![0; phones.len()],
            spoiled: vec![false; phones.len()],
            connections: 0,
            phones,
            store: Store::new(&plan.conferences),
            model: Model::default(),
            keys: KeyBook::default(),
            heard,
            queue: BTreeMap::new(),
            queued: 0,
            dice: Dice::new(plan.seed, 2),
            invites: BTreeMap::new(),
            has_ended: false,
            shut_down: false,
            record,
            outcome: Outcome::default(),
            plan: plan.clone(),
        };
        for step in plan.steps.clone() {
            world.at(step.at_ms * 1_000, What::Step(step));
        }
        world.at(plan.end_ms * 1_000, What::End);
        world
    }

    /// Runs until nothing is left, or something is wrong.
    pub fn run(mut self) -> Outcome {
        let end = self.plan.end_ms * 1_000 + QUIET_US;
        while self.model.wrong.is_empty() {
            let queued = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let timer = self.engine.poll_timeout().map(|at| self.us(at));
            if timer.is_some_and(|at| at < self.now) {
                self.wrong(format!("a timer lies in the past: {timer:?}"));
            }
            let tick = self.has_media().then_some(self.next_tick);
            let Some(next) = [queued, timer, tick].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if queued == Some(next) {
                let (_, what) = self.queue.pop_first().unwrap();
                self.happen(what);
            } else if timer == Some(next) {
                let now = self.instant();
                self.engine.handle_timeout(now);
                self.settle();
                if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                    self.wrong("a timer is still due after its time-out".into());
                }
            } else {
                self.tick();
            }
        }
        self.look_at_what_is_left();
        let failure = self.model.wrong.first().cloned();
        self.outcome.failure = failure.map(|what| format!("{:.3} s: {what}", self.now as f64 / 1e6));
        self.outcome.meetings = self.model.meetings_started;
        self.outcome.admitted = self.model.admitted;
        self.outcome
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.now)
    }

    fn us(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_nanos().div_ceil(1_000) as u64
    }

    fn at(&mut self, at: u64, what: What) {
        self.queued += 1;
        self.queue.insert((at, self.queued), what);
    }

    fn wrong(&mut self, what: String) {
        self.tell(|| format!("WRONG: {what}"));
        self.model.wrong.push(what);
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.record {
            let _ = writeln!(self.outcome.transcript, "{:>10.3}  {}", self.now as f64 / 1e6, line());
        }
    }

    // ---- Everybody acts -------------------------------------------------------------------------------------------

    fn happen(&mut self, what: What) {
        match what {
            What::Step(step) => self.step(step),
            What::Tick(phone) => self.phone_tick(phone),
            What::Timer(phone) => {
                self.phones[phone].handle_timeout(self.now);
                self.phone_speaks(phone);
            }
            What::SipUp { flow, bytes } => {
                if let Ok(sip::Message::Request(request)) = sip::Message::parse(&bytes)
                    && request.method == Method::Invite
                    && let Ok(via) = request.headers.top_via()
                    && !self.shut_down
                {
                    let branch = String::from_utf8_lossy(via.branch().unwrap()).into_owned();
                    if branch.starts_with("z9hG4bK-") {
                        self.invites.entry(branch).or_default();
                    }
                }
                let now = self.instant();
                self.engine.handle_message(now, &flow, bytes);
                self.settle();
            }
            What::SipDown { phone, bytes } => {
                self.phones[phone].handle_message(self.now, &bytes);
                self.phone_speaks(phone);
            }
            What::Rtp { port, source, bytes } => {
                let at = self.now;
                if let Some(socket) = self.sockets.get_mut(&port).filter(|socket| socket.len() < SOCKET_DATAGRAMS) {
                    socket.push_back(Datagram { at, source, bytes });
                }
            }
            What::Answer { call, lookup, question, given } => {
                let answer = given.unwrap_or_else(|| self.store.answer(&question));
                let now = self.instant();
                match answer {
                    Answer::Conference(answer) => {
                        if let anteroom::words::answer::ConferenceAnswer::Found(conference) = &answer {
                            self.model.conference_found(call, conference);
                        }
                        self.engine.handle_conference_answer(now, call, lookup, answer);
                    }
                    Answer::Pin(answer) => {
                        self.model.pin_answer(call, lookup, answer);
                        self.engine.handle_pin_answer(now, call, lookup, answer);
                    }
                }
                self.settle();
            }
            What::End => {
                self.has_ended = true;
                for phone in 0..self.phones.len() {
                    self.phones[phone].hang_up(self.now);
                    self.phone_speaks(phone);
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        let Step { phone, action, .. } = step;
        let now = self.now;
        self.tell(|| format!("phone {phone} {action:?}"));
        if !matches!(action, Action::Ask | Action::GarbageSip) {
            self.steady_since[phone] = now;
        }
        if matches!(
            action,
            Action::Hold { .. }
                | Action::Resume
                | Action::MoveAddress
                | Action::Rebind
                | Action::ReinviteWithoutOffer
                | Action::GarbageRtp
                | Action::Stranger
                | Action::LoseConnection
        ) {
            let spoils = matches!(action, Action::GarbageRtp | Action::Stranger);
            self.keys.disturbed(&self.phones[phone].call_id, spoils);
            self.spoiled[phone] |= matches!(action, Action::Rebind | Action::Stranger);
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
            Action::ResetPin { conference } => self.store.reset_pin(conference),
            Action::ResetConferenceId { conference } => self.store.reset_conference_id(conference),
            Action::Disable { conference } => self.store.disable(conference),
            Action::AllowAnonymous { conference, allowed } => self.store.allow_anonymous(conference, allowed),
            Action::AdmissionNeeded { conference, needed } => self.store.need_admission(conference, needed),
            Action::Store(mood) => self.store.mood = mood,
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

    /// Somebody at a console, who sees what goes on.
    fn live(&mut self, phone: usize, action: Action) {
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

    fn dial(&mut self, phone: usize) {
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

    fn flow(&self, phone: usize) -> Flow {
        let Phone { sip, connection, plan, .. } = &self.phones[phone];
        let server = SERVER.parse().unwrap();
        if plan.tcp { Flow::tcp(server, *sip, *connection) } else { Flow::udp(server, *sip) }
    }

    /// What a telephone has to say goes on its way, and its next timer is noted.
    fn phone_speaks(&mut self, phone: usize) {
        for text in self.phones[phone].take_out() {
            self.tell(|| format!("phone {phone} ──► {}", first_line(text.as_bytes())));
            self.sip_up(phone, text.into());
        }
        if let Some(at) = self.phones[phone].next_timeout() {
            let at = at.max(self.now + 1);
            self.at(at, What::Timer(phone));
        }
    }

    fn sip_up(&mut self, phone: usize, bytes: Bytes) {
        let flow = self.flow(phone);
        if self.phones[phone].plan.tcp {
            let at = self.up[phone].stream(self.now);
            return self.at(at, What::SipUp { flow, bytes });
        }
        for at in self.up[phone].datagram(self.now).into_iter().flatten() {
            self.at(at, What::SipUp { flow, bytes: bytes.clone() });
        }
    }

    fn phone_tick(&mut self, phone: usize) {
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

    fn phone_speaks_if_it_has_to(&mut self, phone: usize) {
        // An INFO begins with the tick.
        if self.phones[phone].plan.keys == super::plan::Keys::Info {
            self.phone_speaks(phone);
        }
    }

    fn garbage_sip(&mut self, phone: usize) {
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

    fn garbage_rtp(&mut self, phone: usize) {
        let Some(server) = self.phones[phone].server_rtp else { return };
        let source = self.phones[phone].rtp;
        for number in 0..10 {
            let length = self.dice.between(0, 200) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| self.dice.next() as u8).collect();
            if number % 2 == 0 && length > 1 {
                (bytes[0], bytes[1]) = (0x80, [0, 8, 101][number % 3]);
                // Noise would be a voice.
                let quiet = anteroom::wire::g711::silence(self.phones[phone].codec());
                bytes.iter_mut().skip(12).for_each(|octet| *octet = quiet);
            }
            self.at(self.now + 500 * number as u64, What::Rtp { port: server.port(), source, bytes });
        }
    }

    /// Half a second of voice from an address that nobody named.
    fn stranger(&mut self, phone: usize) {
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

    fn lose_connection(&mut self, phone: usize) {
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

    // ---- The shell ------------------------------------------------------------------------------------------------

    fn settle(&mut self) {
        loop {
            while let Some(transmit) = self.engine.poll_transmit() {
                self.transmit(transmit);
            }
            let Some(output) = self.engine.poll_output() else { break };
            self.carry_out(output);
        }
        self.model.step_is_over(self.engine.counts(), self.engine.calls());
        let counts = self.engine.counts();
        let settings = &self.plan.settings;
        if counts.calls > settings.calls || counts.transactions > 2_000 || counts.timers > 2_000 {
            self.wrong(format!("too much of something: {counts:?}"));
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
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

    fn note_answer(&mut self, bytes: &Bytes) {
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

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::OpenLeg { call, address, peer: _ } => self.open_leg(call, SocketAddr::new(address, 0)),
            Output::Media(command) => self.media(command),
            Output::Lookup { call, lookup, question, origin: _ } => self.ask(call, lookup, question),
            Output::Event(event) => {
                if let Event::CallArrived { call, caller, .. } = &event {
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

    fn tell_event(&mut self, event: &Event) {
        match event {
            Event::CallArrived { call, caller, .. } => {
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

    fn open_leg(&mut self, call: CallKey, address: SocketAddr) {
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

    fn media(&mut self, command: PlaneCommand) {
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

    fn ask(&mut self, call: CallKey, lookup: LookupKey, question: Question) {
        self.model.asked(call, lookup, matches!(question, Question::Pin { .. }));
        let answer = |world: &mut World, after_ms: u64, given: Option<Answer>| {
            let at = world.now + after_ms * 1_000;
            world.at(at, What::Answer { call, lookup, question: question.clone(), given });
        };
        let quick = self.dice.between(1, 40);
        match self.store.mood {
            Mood::Quick => answer(self, quick, None),
            Mood::Slow { ms } => answer(self, ms, None),
            Mood::Away => answer(self, quick, Some(Store::unavailable(&question))),
            Mood::Silent => {}
            Mood::Twice { ms } => {
                answer(self, quick, None);
                answer(self, quick + ms, None);
            }
        }
    }

    // ---- Media ----------------------------------------------------------------------------------------------------

    fn has_media(&self) -> bool {
        !self.legs.is_empty() || self.inboxes.iter().any(|inbox| !inbox.is_empty())
    }

    /// While there was no leg no tick was run: the planes go on at the present.
    fn wake_media(&mut self) {
        if self.has_media() || self.next_tick >= self.now {
            return;
        }
        let behind = (self.now - self.next_tick).div_ceil(TICK_US);
        for station in &mut self.stations {
            station.parts().0.skip(behind as u32);
        }
        self.next_tick += behind * TICK_US;
        self.model.tick += behind;
    }

    fn tick(&mut self) {
        self.next_tick += TICK_US;
        self.model.tick += 1;
        let mut sent: Vec<(u16, Stream, SocketAddr, Vec<u8>)> = Vec::new();
        let mut events = Vec::new();
        let first = self.dice.between(0, self.stations.len() as u64 - 1) as usize;
        for number in 0..self.stations.len() {
            let number = (number + first) % self.stations.len();
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

    fn tick_station(
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
    fn who_must_be_heard(&self) -> u32 {
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

    fn heard(&mut self, port: u16, stream: Stream, destination: SocketAddr, datagram: &[u8], speaking: u32) {
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
        let grace = if self.plan.settings.planes > 1 { 4 } else { 1 };
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

    fn media_event(&mut self, event: PlaneEvent) {
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

    fn leg_closed(&mut self, call: CallKey) {
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

    fn look_at_what_is_left(&mut self) {
        if !self.model.wrong.is_empty() {
            return;
        }
        if !self.has_ended {
            return self.wrong("the run stood still before its end".into());
        }
        let counts = self.engine.counts();
        let legs: usize = self.stations.iter().map(|station| station.plane().legs() + station.held()).sum();
        if counts != Counts::default() || legs > 0 || self.router.booked() != (0, 0) {
            self.wrong(format!("something is left: {counts:?}, {legs} legs, {:?} booked", self.router.booked()));
        }
        if self.engine.poll_timeout().is_some() {
            self.wrong("a timer is left".into());
        }
        if self.free_ports.len() != self.plan.settings.port_pairs || !self.sockets.is_empty() {
            self.wrong(format!("{} ports are free", self.free_ports.len()));
        }
        if let Some((branch, finals)) = self.invites.iter().find(|(_, finals)| finals.len() != 1) {
            let what = format!("INVITE {branch} has the final answers {finals:?}");
            self.wrong(what);
        }
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
