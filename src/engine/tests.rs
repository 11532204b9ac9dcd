//! Whole calls through the engine, under virtual time: a caller's endpoint on the other side, and a shell that does what
//! it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Counts, Engine, EngineSettings, Output};
use crate::attendant::Question;
use crate::media::{Background, PlaneCommand, PlaneEvent};
use crate::sip::{
    Command, EndReason, Endpoint, EndpointConfig, Flow, HangUpReason, LocalMedia, OutgoingInvite, SipEvent, Transmit,
    Transport, Trunk, TrunkTable,
};
use crate::words::answer::{Announcements, Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use crate::words::event::{CallFact, CallRecord, EndCause, Event, MeetingFact, Reached, StartedBy};
use crate::words::ids::{CallKey, ConferenceId, ConferenceKey, LookupKey, PlaybackKey, SessionKey, UserKey};
use crate::words::media::{Codec, DigitMethod, Direction, LegStatistics};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;

pub(super) const CONFERENCE_ID: &str = "1234567";
const PIN: &str = "86420";

/// How long each prompt takes in this world.
const PROMPT: Duration = Duration::from_millis(1500);

fn conference() -> Conference {
    Conference {
        key: ConferenceKey(1),
        organizer: UserKey(1),
        organizer_identity: "anna@example.com".into(),
        allow_anonymous_start: false,
        lobby_policy: LobbyPolicy::Open,
        announcements: Announcements::default(),
    }
}

/// What a leg hears, as the media plane would have it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) background: Option<Background>,
    pub(super) prompts: Vec<Prompt>,
    pub(super) playing: Option<(PlaybackKey, Instant)>,
}

/// How the store of this world behaves.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum StoreMood {
    Answers,
    Silent,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) engine: Engine,
    pub(super) callers: Endpoint,
    pub(super) legs: BTreeMap<CallKey, Heard>,
    pub(super) store: StoreMood,
    pub(super) conference: Conference,
    /// Legs are opened only when the test says so.
    pub(super) hold_legs: bool,
    /// No ACK arrives any more until the test says so.
    pub(super) hold_acks: bool,
    pub(super) held_acks: Vec<Transmit>,
    pub(super) wanted_legs: VecDeque<(CallKey, IpAddr)>,
    pub(super) questions: Vec<(CallKey, LookupKey, Question)>,
    pub(super) facts: Vec<(CallKey, CallFact)>,
    pub(super) meeting_facts: Vec<MeetingFact>,
    pub(super) refused: Vec<Option<u16>>,
    pub(super) records: Vec<CallRecord>,
    pub(super) admits: Vec<Vec<CallKey>>,
    pub(super) ended: Vec<(SessionKey, EndReason)>,
    pub(super) next_port: u16,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut EngineSettings)) -> World {
        let mut settings = EngineSettings::default();
        let network = "127.0.0.0/8".parse().unwrap();
        settings.sip.trunks =
            TrunkTable::new(vec![Trunk { name: "carrier".into(), from: vec![network], vouches: true, calls: None }]);
        change(&mut settings);
        World {
            now: Instant::now(),
            engine: Engine::new(settings, StdRng::seed_from_u64(1)),
            callers: Endpoint::new(EndpointConfig::default(), StdRng::seed_from_u64(2)),
            legs: BTreeMap::new(),
            store: StoreMood::Answers,
            conference: conference(),
            hold_legs: false,
            hold_acks: false,
            held_acks: Vec::new(),
            wanted_legs: VecDeque::new(),
            questions: Vec::new(),
            facts: Vec::new(),
            meeting_facts: Vec::new(),
            refused: Vec::new(),
            records: Vec::new(),
            admits: Vec::new(),
            ended: Vec::new(),
            next_port: 20_000,
        }
    }

    pub(super) fn dial_as(&mut self, asserted_identity: Option<&str>) -> SessionKey {
        let caller: SocketAddr = "127.0.0.1:5070".parse().unwrap();
        let server: SocketAddr = "127.0.0.1:5060".parse().unwrap();
        let media = LocalMedia {
            rtp: "127.0.0.1:40000".parse().unwrap(),
            codecs: vec![Codec::Pcmu],
            telephone_event: true,
            direction: Direction::SendRecv,
        };
        let invite = OutgoingInvite {
            flow: Flow { transport: Transport::Udp, local: caller, remote: server, connection: 0 },
            target: "sip:8000@127.0.0.1".into(),
            from: "sip:+4930123@127.0.0.1".into(),
            from_display: None,
            asserted_identity: asserted_identity.map(str::to_owned),
            media,
            offer: true,
            headers: Vec::new(),
        };
        let session = self.callers.invite(self.now, invite).unwrap();
        self.settle();
        session
    }

    /// Dials, and returns the server's key of the call.
    pub(super) fn dial(&mut self) -> (SessionKey, CallKey) {
        let session = self.dial_as(None);
        (session, *self.legs.keys().last().unwrap())
    }

    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(sent) = self.callers.poll_transmit() {
                quiet = false;
                if self.hold_acks && sent.bytes.starts_with(b"ACK ") {
                    self.held_acks.push(sent);
                    continue;
                }
                self.engine.handle_message(self.now, &turned(sent.flow), sent.bytes);
            }
            while let Some(sent) = self.engine.poll_transmit() {
                quiet = false;
                self.callers.handle_message(self.now, &turned(sent.flow), sent.bytes);
            }
            while let Some(event) = self.callers.poll_event() {
                quiet = false;
                if let SipEvent::Ended { session, reason } = event {
                    self.ended.push((session, reason));
                }
            }
            while let Some(output) = self.engine.poll_output() {
                quiet = false;
                self.carry_out(output);
            }
            if quiet {
                return;
            }
        }
    }

    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::OpenLeg { call, address, peer: _ } => {
                self.wanted_legs.push_back((call, address));
                if !self.hold_legs {
                    self.open_legs();
                }
            }
            Output::Media(command) => self.media(command),
            Output::Lookup { call, lookup, question, origin } => {
                assert_eq!((origin.caller.as_str(), &*origin.trunk), ("+4930123", "carrier"));
                self.questions.push((call, lookup, question));
                if self.store == StoreMood::Answers {
                    self.answer_questions();
                }
            }
            Output::Event(event) => match event {
                Event::Call { call, fact } => self.facts.push((call, fact)),
                Event::Meeting { fact, .. } => self.meeting_facts.push(fact),
                Event::RequestRefused { status, .. } => self.refused.push(status),
                Event::CallEnded(record) => self.records.push(*record),
                Event::CallArrived { .. } => {}
            },
        }
    }

    pub(super) fn open_legs(&mut self) {
        while let Some((call, address)) = self.wanted_legs.pop_front() {
            self.next_port += 2;
            self.legs.insert(call, Heard::default());
            self.engine.handle_leg_opened(self.now, call, Ok(SocketAddr::new(address, self.next_port)));
        }
    }

    pub(super) fn answer_questions(&mut self) {
        for (call, lookup, question) in std::mem::take(&mut self.questions) {
            match question {
                Question::Conference { id } => {
                    let known = id.as_str() == CONFERENCE_ID;
                    let found = ConferenceAnswer::Found(self.conference.clone());
                    let answer = if known { found } else { ConferenceAnswer::Unknown };
                    self.engine.handle_conference_answer(self.now, call, lookup, answer);
                }
                Question::Pin { pin, .. } => {
                    let answer = if pin.expose() == PIN { PinAnswer::Right } else { PinAnswer::Wrong };
                    self.engine.handle_pin_answer(self.now, call, lookup, answer);
                }
            }
        }
    }

    pub(super) fn media(&mut self, command: PlaneCommand) {
        match command {
            PlaneCommand::Background { call, background } => {
                self.legs.get_mut(&call).unwrap().background = Some(background);
            }
            PlaneCommand::Play { call, playback, prompts } => {
                let ends = self.now + PROMPT * u32::try_from(prompts.len()).unwrap();
                let leg = self.legs.get_mut(&call).unwrap();
                leg.prompts.extend(prompts.iter());
                leg.playing = Some((playback, ends));
            }
            PlaneCommand::StopPlayback { call } => self.legs.get_mut(&call).unwrap().playing = None,
            PlaneCommand::Admit { meeting, calls } => {
                for call in &calls {
                    let leg = self.legs.get_mut(call).unwrap();
                    leg.background = Some(Background::Meeting(meeting));
                    leg.playing = None;
                }
                self.admits.push(calls.to_vec());
            }
            PlaneCommand::Close { call } => {
                assert!(self.legs.remove(&call).is_some(), "{call} is closed twice");
                let statistics = LegStatistics { packets_received: 50, ..LegStatistics::default() };
                self.engine.handle_media(self.now, PlaneEvent::Closed { call, statistics });
            }
            _ => {}
        }
    }

    /// Lets time pass, stopping at every timer and at the end of every prompt.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let prompts = self.legs.values().filter_map(|leg| leg.playing.map(|(_, ends)| ends)).min();
            let timers = [self.engine.poll_timeout(), self.callers.poll_timeout(), prompts];
            let Some(next) = timers.into_iter().flatten().min().filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            self.engine.handle_timeout(self.now);
            self.callers.handle_timeout(self.now);
            let over: Vec<(CallKey, PlaybackKey)> = (self.legs.iter())
                .filter_map(|(&call, leg)| {
                    leg.playing.filter(|&(_, ends)| ends <= self.now).map(|(key, _)| (call, key))
                })
                .collect();
            for (call, playback) in over {
                self.legs.get_mut(&call).unwrap().playing = None;
                self.engine.handle_media(self.now, PlaneEvent::PlaybackFinished { call, playback });
            }
            self.settle();
        }
        self.now = end;
    }

    pub(super) fn press(&mut self, call: CallKey, keys: &str) {
        for key in keys.chars() {
            let digit = Digit::from_char(key).unwrap();
            self.engine.handle_media(self.now, PlaneEvent::Digit { call, digit, method: DigitMethod::Event });
            self.settle();
            self.pass(Duration::from_millis(200));
        }
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub(super) fn hang_up(&mut self, session: SessionKey) {
        let command = Command::HangUp { session, reason: HangUpReason::Normal };
        self.callers.handle_command(self.now, command).unwrap();
        self.settle();
    }

    pub(super) fn told(&self, call: CallKey, wanted: impl Fn(&CallFact) -> bool) -> bool {
        self.facts.iter().any(|(of, fact)| *of == call && wanted(fact))
    }

    pub(super) fn is_in_meeting(&self, call: CallKey) -> bool {
        matches!(self.legs[&call].background, Some(Background::Meeting(_)))
    }

    /// After everybody has hung up: nothing is left, and every call has its record.
    pub(super) fn assert_all_freed(&mut self, calls: usize) {
        self.seconds(120);
        assert_eq!(self.engine.counts(), Counts::default());
        assert_eq!(self.records.len(), calls);
        assert!(self.legs.is_empty());
    }
}

fn turned(flow: Flow) -> Flow {
    Flow { local: flow.remote, remote: flow.local, ..flow }
}

#[test]
fn the_lobby_waits_with_music_and_the_pin_takes_all_of_it_in_at_once() {
    let mut world = World::new(|_| {});
    let (first, waiting) = world.dial();
    let (second, also_waiting) = world.dial();
    for call in [waiting, also_waiting] {
        world.press(call, CONFERENCE_ID);
        world.seconds(10);
        assert_eq!(world.legs[&call].background, Some(Background::Music));
        assert!(world.legs[&call].prompts.contains(&Prompt::PleaseWaitForOrganizer));
        assert!(world.told(call, |fact| matches!(fact, CallFact::WaitsForStart { .. })));
    }
    let (third, organizer) = world.dial();
    world.press(organizer, CONFERENCE_ID);
    world.press(organizer, "*");
    world.press(organizer, PIN);
    assert!(world.admits.is_empty());
    world.press(organizer, "#");
    let mut admitted = world.admits.remove(0);
    admitted.sort();
    assert_eq!(admitted, [waiting, also_waiting, organizer], "one command takes all of them in");
    assert!(world.told(organizer, |fact| matches!(fact, CallFact::EnteredMeeting { leader: true, .. })));
    let started = MeetingFact::Started { by: StartedBy::LeaderPin, admitted: 3 };
    assert!(world.meeting_facts.contains(&started), "{:?}", world.meeting_facts);
    for call in [waiting, also_waiting, organizer] {
        assert!(world.is_in_meeting(call));
    }
    for session in [first, second, third] {
        world.hang_up(session);
    }
    world.assert_all_freed(3);
    let record = &world.records[0];
    assert_eq!((record.reached, &record.end), (Reached::Meeting, &EndCause::CallerHungUp));
    assert_eq!(record.conference_id, CONFERENCE_ID.parse::<ConferenceId>().ok());
    assert_eq!(record.organizer.as_deref(), Some("anna@example.com"));
    assert_eq!(record.statistics.packets_received, 50);
    assert_eq!(world.meeting_facts.last(), Some(&MeetingFact::Closed));
}

#[test]
fn keys_that_are_faster_than_the_ack_count() {
    let mut world = World::new(|_| {});
    world.hold_acks = true;
    let (_, call) = world.dial();
    world.press(call, CONFERENCE_ID);
    assert!(world.questions.is_empty() && !world.told(call, |fact| matches!(fact, CallFact::Established)));
    world.hold_acks = false;
    for ack in std::mem::take(&mut world.held_acks) {
        world.engine.handle_message(world.now, &turned(ack.flow), ack.bytes);
    }
    world.settle();
    assert!(world.told(call, |fact| matches!(fact, CallFact::ConferenceFound { .. })), "{:?}", world.facts);
}

#[test]
fn three_conference_ids_that_lead_nowhere_end_the_call() {
    let mut world = World::new(|_| {});
    let (session, call) = world.dial();
    for _ in 0..3 {
        world.press(call, "7654321");
        world.seconds(4);
    }
    world.seconds(5);
    assert_eq!(world.ended, [(session, EndReason::RemoteBye)]);
    world.assert_all_freed(1);
    assert_eq!(world.records[0].end, EndCause::ConferenceTriesUsedUp);
    assert_eq!(world.records[0].conference_id, None);
}

#[test]
fn a_call_more_than_the_limit_gets_503_and_an_explanation() {
    let mut world = World::new(|settings| settings.calls = 1);
    let (first, _) = world.dial();
    let second = world.dial_as(None);
    assert!(matches!(world.ended[..], [(session, EndReason::Refused { status: 503, .. })] if session == second));
    assert_eq!(world.refused, [Some(503)]);
    world.hang_up(first);
    world.assert_all_freed(1);
}

#[test]
fn no_free_port_is_a_503_with_a_record_that_says_so() {
    let mut world = World::new(|_| {});
    world.hold_legs = true;
    let session = world.dial_as(None);
    let (call, _) = world.wanted_legs.pop_front().unwrap();
    world.engine.handle_leg_opened(world.now, call, Err("every port is taken".into()));
    world.settle();
    assert!(matches!(world.ended[..], [(of, EndReason::Refused { status: 503, .. })] if of == session));
    world.assert_all_freed(1);
    assert_eq!(world.records[0].end, EndCause::Refused { status: 503, why: "every port is taken".into() });
}

#[test]
fn a_caller_who_gives_up_while_his_ports_are_bound_leaves_nothing_behind() {
    let mut world = World::new(|_| {});
    world.hold_legs = true;
    let session = world.dial_as(None);
    world.callers.handle_command(world.now, Command::Cancel { session }).unwrap();
    world.settle();
    world.open_legs();
    world.settle();
    world.assert_all_freed(1);
    assert_eq!(world.records[0].end, EndCause::CallerCancelled);
}

#[test]
fn an_answer_that_comes_after_the_caller_has_gone_falls_on_the_floor() {
    let mut world = World::new(|_| {});
    world.store = StoreMood::Silent;
    let (session, call) = world.dial();
    world.press(call, CONFERENCE_ID);
    world.seconds(10);
    assert!(world.told(call, |fact| *fact == CallFact::StoreSlow));
    assert!(world.told(call, |fact| *fact == CallFact::StoreUnavailable));
    assert!(world.legs[&call].prompts.contains(&Prompt::CannotCheck));
    assert!(world.ended.is_empty(), "he keeps his place");
    world.hang_up(session);
    world.answer_questions();
    world.settle();
    assert!(world.admits.is_empty());
    world.assert_all_freed(1);
}

#[test]
fn a_call_that_its_trunk_vouches_for_starts_the_meeting() {
    let mut world = World::new(|_| {});
    let (waiter, waiting) = world.dial();
    world.press(waiting, CONFERENCE_ID);
    world.seconds(10);
    let session = world.dial_as(Some("sip:anna@example.com"));
    let organizer = *world.legs.keys().last().unwrap();
    world.press(organizer, CONFERENCE_ID);
    assert!(world.is_in_meeting(organizer) && world.is_in_meeting(waiting));
    let started = MeetingFact::Started { by: StartedBy::VouchedCall, admitted: 2 };
    assert!(world.meeting_facts.contains(&started), "{:?}", world.meeting_facts);
    assert!(!world.told(organizer, |fact| *fact == CallFact::PinAsked));
    world.hang_up(session);
    world.hang_up(waiter);
    world.assert_all_freed(2);
}

#[test]
fn a_meeting_that_needs_no_pin_asks_nobody() {
    let mut world = World::new(|_| {});
    world.conference.allow_anonymous_start = true;
    let (session, call) = world.dial();
    world.press(call, CONFERENCE_ID);
    assert!(world.is_in_meeting(call));
    assert!(!world.told(call, |fact| matches!(fact, CallFact::OrganizerAsked | CallFact::PinAsked)));
    world.hang_up(session);
    world.assert_all_freed(1);
}

#[test]
fn a_shutdown_refuses_new_calls_lets_the_others_go_on_and_then_hangs_up() {
    let mut world = World::new(|_| {});
    let (first, _) = world.dial();
    world.engine.handle_shutdown(world.now, Duration::from_secs(30));
    world.settle();
    let second = world.dial_as(None);
    assert!(matches!(world.ended[..], [(of, EndReason::Refused { status: 503, .. })] if of == second));
    world.seconds(29);
    assert_eq!(world.ended.len(), 1);
    world.seconds(2);
    assert_eq!(world.ended.last(), Some(&(first, EndReason::RemoteBye)));
    world.assert_all_freed(1);
    assert_eq!(world.records[0].end, EndCause::ShuttingDown);
}

#[test]
fn a_caller_of_whom_nothing_is_heard_any_more_is_hung_up() {
    let mut world = World::new(|_| {});
    let (session, call) = world.dial();
    world.engine.handle_media(world.now, PlaneEvent::MediaSilent { call });
    world.settle();
    assert_eq!(world.ended, [(session, EndReason::RemoteBye)]);
    world.assert_all_freed(1);
    assert_eq!(world.records[0].end, EndCause::MediaSilent);
}
