//! One run: the real engine and the real planes, a shell that is nothing but queues, and everybody around them. Time is a
//! number of microseconds.
//!
//! | file | its idea |
//! | --- | --- |
//! | this one | the run: what happens when, and what must be left in the end |
//! | [`people`] | everybody acts |
//! | [`shell`] | what the engine wants done is done |
//! | [`media`] | the media threads |

mod media;
mod people;
mod shell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom::attendant::{self, Question};
use anteroom::credentials::contract::Origin;
use anteroom::engine::{self, Counts, Engine, EngineSettings, LiveCommand, Output};
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
use super::plan::{Action, Keys, LeaderLeaves, Mood, Plan, Step};
use super::sounds::Heard;
use super::store::{Answer, Store};

const TICK_US: u64 = 20_000;

/// After the last telephone has hung up: the time in which everything has to be gone. A vanished caller's session timer
/// (100 s), his BYE (32 s), a lobby that times out.
const QUIET_US: u64 = 400_000_000;

/// What the kernel keeps for one socket.
const SOCKET_DATAGRAMS: usize = 300;

/// Ticks that a media thread makes up for after a stall; more of them it leaves out.
const CATCH_UP_TICKS: u64 = 3;

/// After a stall, how many ticks the ears go easy on what they hear.
const RECOVERY_TICKS: u64 = 50;

enum What {
    Step(Step),
    Tick(usize),
    Timer(usize),
    SipUp { flow: Flow, bytes: Bytes },
    SipDown { phone: usize, bytes: Bytes },
    Rtp { port: u16, source: SocketAddr, bytes: Vec<u8> },
    Answer { call: CallKey, lookup: LookupKey, question: Question, origin: Origin, given: Option<Answer> },
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
    /// Ticks for which a station still gets no processor, and those that it owes.
    stalls: Vec<(u64, u64)>,
    /// The length of the last stall, and when it is forgotten.
    last_stall: (u64, u64),
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
            // Every phone's voice is held against what may be heard: so all of them have the floor.
            let settings = PlaneSettings { media_silent_after: silent_after, talkers: 8 };
            Plane::new(base, heard.sounds.clone(), settings, random)
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
            stalls: vec![(0, 0); settings.planes],
            last_stall: (0, 0),
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
            store: Store::new(&plan.conferences, settings.budgets),
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
            What::Answer { call, lookup, question, origin, given } => {
                let answer = given.unwrap_or_else(|| self.store.answer(&question, &origin));
                let wrong = std::mem::take(&mut self.store.wrong);
                wrong.into_iter().for_each(|what| self.wrong(what));
                let now = self.instant();
                let is_awaited = self.model.awaits(call, lookup);
                match answer {
                    Answer::Conference(answer) => {
                        self.model.conference_answer(call, lookup, &answer);
                        self.engine.handle_conference_answer(now, call, lookup, answer);
                    }
                    Answer::Pin(answer) => {
                        self.model.pin_answer(call, lookup, answer);
                        self.engine.handle_pin_answer(now, call, lookup, answer);
                    }
                }
                if self.settle() > 0 && !is_awaited {
                    self.wrong(format!("an answer that {call} does not wait for has an effect"));
                }
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
