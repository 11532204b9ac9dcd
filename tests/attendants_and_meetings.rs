//! Attendants and meetings wired together as the engine does it, under virtual time: callers who type, hang up and wait in
//! any order, a store that is quick, slow or away. What each one hears is worked out from the effects alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use anteroom::attendant::{self, Attendant, Question};
use anteroom::meeting::{self, LeaderLeaves, Room};
use anteroom::words::answer::{Announcements, Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::ids::{CallKey, ConferenceId, ConferenceKey, LookupKey, PlaybackKey, UserKey};
use anteroom::words::prompt::Prompt;
use anteroom::words::secret::Digit;

const IDS: [&str; 3] = ["1000001", "1000002", "1000003"];
const PIN: &str = "86421";
const PROMPT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Sound {
    #[default]
    Silence,
    Music,
    Meeting(ConferenceKey),
}

struct Caller {
    attendant: Attendant,
    background: Sound,
    playing: Option<(PlaybackKey, Instant, Box<[Prompt]>)>,
    room: Option<ConferenceKey>,
    keys: VecDeque<(Instant, char)>,
    hangs_up_at: Instant,
    knows_pin: bool,
    gone: bool,
}

enum Owner {
    Call(CallKey),
    Room(ConferenceKey),
}

struct World {
    now: Instant,
    random: StdRng,
    conferences: Vec<Conference>,
    callers: BTreeMap<CallKey, Caller>,
    rooms: BTreeMap<ConferenceKey, Room>,
    answers: Vec<(Instant, CallKey, LookupKey, Question)>,
    unsettled: VecDeque<Owner>,
    settings: Arc<meeting::Settings>,
    right_pins: BTreeMap<ConferenceKey, u32>,
    starts: u32,
    admitted: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let conferences = (0..IDS.len() as u64)
            .map(|n| Conference {
                key: ConferenceKey(n),
                organizer: UserKey(n),
                organizer_identity: format!("user{n}@example.com"),
                allow_anonymous_start: n == 1,
                lobby_policy: if n == 2 { LobbyPolicy::WaitForAdmission } else { LobbyPolicy::Open },
                announcements: Announcements::Tones,
            })
            .collect();
        let leader_leaves =
            [LeaderLeaves::GoesOn, LeaderLeaves::BackToLobby, LeaderLeaves::EndsAfter(Duration::from_secs(30))]
                [random.random_range(0..3)];
        World {
            now: Instant::now(),
            random,
            conferences,
            callers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            answers: Vec::new(),
            unsettled: VecDeque::new(),
            settings: Arc::new(meeting::Settings {
                seats: 12,
                lobby_timeout: Duration::from_secs(300),
                leader_leaves,
                ..meeting::Settings::default()
            }),
            right_pins: BTreeMap::new(),
            starts: 0,
            admitted: 0,
        }
    }

    fn call(&mut self, key: u64) {
        let mut at = self.now;
        let knows_pin = self.random.random_range(0..4) == 0;
        let mut typed = String::new();
        if self.random.random_range(0..6) == 0 {
            typed += "0000000";
        }
        typed += IDS[self.random.random_range(0..3)];
        if self.random.random_range(0..3) > 0 {
            typed.push('#');
        }
        if knows_pin {
            if self.random.random_range(0..4) == 0 {
                typed += "*99999#";
            } else {
                typed += "*";
            }
            typed += PIN;
            typed.push('#');
        }
        for _ in 0..self.random.random_range(0..6) {
            typed += ["*6", "*7", "*8", "**", "*", "5", "*86421#"][self.random.random_range(0..7)];
        }
        let keys = typed
            .chars()
            .map(|key| {
                at += Duration::from_millis(match self.random.random_range(0..12) {
                    0 => self.random.random_range(0..12_000),
                    _ => self.random.random_range(100..600),
                });
                (at, key)
            })
            .collect();
        let vouched = (self.random.random_range(0..12) == 0).then(|| "user0@example.com".to_owned());
        let caller = Caller {
            attendant: Attendant::new(CallKey(key), vouched, Arc::default()),
            background: Sound::Silence,
            playing: None,
            room: None,
            keys,
            hangs_up_at: self.now + Duration::from_millis(self.random.random_range(1_000..240_000)),
            knows_pin,
            gone: false,
        };
        self.callers.insert(CallKey(key), caller);
        self.tell(CallKey(key), attendant::Input::Answered);
    }

    fn tell(&mut self, call: CallKey, input: attendant::Input) {
        if let Some(caller) = self.callers.get_mut(&call).filter(|caller| !caller.gone) {
            caller.attendant.handle_input(self.now, input);
            self.unsettled.push_back(Owner::Call(call));
        }
    }

    fn tell_room(&mut self, key: ConferenceKey, input: meeting::Input) {
        if let Some(room) = self.rooms.get_mut(&key) {
            room.handle_input(self.now, input);
            self.unsettled.push_back(Owner::Room(key));
        }
    }

    fn settle(&mut self) {
        while let Some(owner) = self.unsettled.pop_front() {
            match owner {
                Owner::Call(call) => {
                    while let Some(effect) =
                        self.callers.get_mut(&call).and_then(|caller| caller.attendant.poll_effect())
                    {
                        self.attendant_effect(call, effect);
                    }
                }
                Owner::Room(key) => {
                    while let Some(effect) = self.rooms.get_mut(&key).and_then(Room::poll_effect) {
                        self.room_effect(key, effect);
                    }
                }
            }
        }
        self.check();
    }

    fn attendant_effect(&mut self, call: CallKey, effect: attendant::Effect) {
        use attendant::Effect;
        let now = self.now;
        let caller = self.callers.get_mut(&call).unwrap();
        if caller.gone {
            return;
        }
        match effect {
            Effect::Play { playback, prompts } => {
                if let Sound::Meeting(_) = caller.background {
                    assert!(matches!(*prompts, [Prompt::YouAreMuted | Prompt::YouAreUnmuted]), "{prompts:?}");
                }
                caller.playing = Some((playback, now + PROMPT * prompts.len() as u32, prompts));
            }
            Effect::StopPlayback => caller.playing = None,
            Effect::Background(attendant::Background::Silence) => caller.background = Sound::Silence,
            Effect::Background(attendant::Background::Music) => caller.background = Sound::Music,
            Effect::Lookup { lookup, question } => {
                let delay = match self.random.random_range(0..10) {
                    0 => self.random.random_range(0..9_000),
                    1 => self.random.random_range(0..2_000),
                    _ => self.random.random_range(0..60),
                };
                self.answers.push((now + Duration::from_millis(delay), call, lookup, question));
            }
            Effect::Arrive { conference, leader } => {
                caller.room = Some(conference.key);
                if leader {
                    *self.right_pins.entry(conference.key).or_default() += 1;
                }
                let settings = self.settings.clone();
                self.rooms.entry(conference.key).or_insert_with(|| Room::new(settings));
                self.tell_room(conference.key, meeting::Input::Arrive { call, leader, rules: (&conference).into() });
            }
            Effect::Authenticated { conference } => {
                assert!(caller.knows_pin || self.right_pins.contains_key(&conference));
                *self.right_pins.entry(conference).or_default() += 1;
                self.tell_room(conference, meeting::Input::Authenticated { call });
            }
            Effect::Command(command) => {
                use attendant::keypad::Command;
                let Some(key) = caller.room else { return };
                let Some(room) = self.rooms.get(&key) else { return };
                let input = match command {
                    Command::ToggleMute => meeting::Input::ToggleMute { call },
                    Command::ToggleLock if room.is_locked() => meeting::Input::Unlock,
                    Command::ToggleLock => meeting::Input::Lock,
                    Command::AdmitWaiting => meeting::Input::AdmitWaiting { call: None },
                    Command::EndMeeting => meeting::Input::End,
                    _ => return,
                };
                self.tell_room(key, input);
            }
            Effect::HangUp(_) => self.hang_up(call),
            Effect::Note(_) => {}
        }
    }

    fn room_effect(&mut self, key: ConferenceKey, effect: meeting::Effect) {
        use meeting::Effect;
        match effect {
            Effect::Started { by } => {
                self.starts += 1;
                match by {
                    meeting::Starter::Leader(_) => assert!(self.right_pins.contains_key(&key)),
                    meeting::Starter::Anonymous(_) => assert!(self.conferences[key.0 as usize].allow_anonymous_start),
                    meeting::Starter::User(_) => unreachable!("nobody does"),
                }
            }
            Effect::Admit { calls } => {
                for call in &calls {
                    if let Some(caller) = self.callers.get_mut(call) {
                        caller.background = Sound::Meeting(key);
                        caller.playing = None;
                    }
                }
                for call in calls {
                    self.admitted += 1;
                    self.tell(call, attendant::Input::Admitted);
                }
            }
            Effect::Wait { calls, waits_for } => {
                let waits_for = match waits_for {
                    meeting::WaitsFor::Start => attendant::WaitsFor::Start,
                    meeting::WaitsFor::Admission { locked } => attendant::WaitsFor::Admission { locked },
                };
                for call in calls {
                    self.tell(call, attendant::Input::Waits(waits_for));
                }
            }
            Effect::Full { call } => {
                self.callers.get_mut(&call).unwrap().room = None;
                self.tell(call, attendant::Input::MeetingFull);
            }
            Effect::Patience { call } => self.tell(call, attendant::Input::Patience),
            Effect::LobbyTimedOut { call } => {
                self.callers.get_mut(&call).unwrap().room = None;
                self.tell(call, attendant::Input::LobbyTimedOut);
            }
            Effect::Muted { call, muted } => self.tell(call, attendant::Input::Muted(muted)),
            Effect::Ended { calls, .. } => {
                for call in calls {
                    self.callers.get_mut(&call).unwrap().room = None;
                    self.tell(call, attendant::Input::MeetingEnded);
                }
            }
            Effect::Vacant => drop(self.rooms.remove(&key)),
            Effect::Chime(_) | Effect::Locked(_) | Effect::AllMuted { .. } | Effect::Over => {}
        }
    }

    fn hang_up(&mut self, call: CallKey) {
        let Some(caller) = self.callers.get_mut(&call).filter(|caller| !caller.gone) else { return };
        caller.gone = true;
        caller.background = Sound::Silence;
        caller.playing = None;
        if let Some(key) = caller.room.take() {
            self.tell_room(key, meeting::Input::Depart { call });
        }
    }

    /// What holds whenever everything has been carried out.
    fn check(&self) {
        let mut in_rooms = 0;
        for (key, room) in &self.rooms {
            for call in room.roster().who_is_in() {
                assert!(room.is_started());
                assert_eq!(self.callers[&call].background, Sound::Meeting(*key), "{call} hears the meeting he is in");
                in_rooms += 1;
            }
            for call in room.roster().who_waits() {
                let caller = &self.callers[&call];
                assert!(!matches!(caller.background, Sound::Meeting(_)), "{call} waits and hears a meeting");
                assert!(
                    !room.is_started()
                        || room.is_locked()
                        || self.conferences[key.0 as usize].lobby_policy != LobbyPolicy::Open,
                    "{call} is left behind"
                );
            }
        }
        let hear = self.callers.values().filter(|caller| matches!(caller.background, Sound::Meeting(_))).count();
        assert_eq!(hear, in_rooms, "nobody hears a meeting that he is not in");
    }

    fn next(&self) -> Option<Instant> {
        let callers = self.callers.values().filter(|caller| !caller.gone).flat_map(|caller| {
            [
                caller.attendant.poll_timeout(),
                caller.playing.as_ref().map(|(_, at, _)| *at),
                caller.keys.front().map(|(at, _)| *at),
                Some(caller.hangs_up_at),
            ]
        });
        let rooms = self.rooms.values().map(Room::poll_timeout);
        let answers = self.answers.iter().map(|(at, ..)| Some(*at));
        callers.chain(rooms).chain(answers).flatten().min()
    }

    /// One thing that is due.
    fn step(&mut self) {
        let now = self.now;
        let due_answer = self.answers.iter().position(|(at, ..)| *at <= now);
        if let Some(index) = due_answer {
            let (_, call, lookup, question) = self.answers.swap_remove(index);
            let away = self.random.random_range(0..20) == 0;
            let input = match question {
                _ if away && matches!(question, Question::Conference { .. }) => {
                    attendant::Input::Conference(lookup, ConferenceAnswer::Unavailable)
                }
                Question::Conference { id } => {
                    let found = IDS.iter().position(|known| id == known.parse::<ConferenceId>().unwrap());
                    let answer = found
                        .map_or(ConferenceAnswer::Unknown, |n| ConferenceAnswer::Found(self.conferences[n].clone()));
                    attendant::Input::Conference(lookup, answer)
                }
                Question::Pin { pin, .. } => {
                    let right = pin.expose() == PIN;
                    let answer = match (away, right) {
                        (true, _) => PinAnswer::Unavailable,
                        (_, true) => PinAnswer::Right,
                        _ => PinAnswer::Wrong,
                    };
                    if let Some(caller) = self.callers.get_mut(&call).filter(|_| right && !away) {
                        caller.knows_pin = true;
                    }
                    attendant::Input::Pin(lookup, answer)
                }
            };
            return self.tell(call, input);
        }
        for (key, room) in &mut self.rooms {
            if room.poll_timeout().is_some_and(|at| at <= now) {
                room.handle_timeout(now);
                return self.unsettled.push_back(Owner::Room(*key));
            }
        }
        let keys: Vec<CallKey> = self.callers.keys().copied().collect();
        for call in keys {
            let caller = self.callers.get_mut(&call).unwrap();
            if caller.gone {
                continue;
            }
            if caller.hangs_up_at <= now {
                return self.hang_up(call);
            }
            if caller.keys.front().is_some_and(|(at, _)| *at <= now) {
                let (_, key) = caller.keys.pop_front().unwrap();
                return self.tell(call, attendant::Input::Digit(Digit::from_char(key).unwrap()));
            }
            if caller.playing.as_ref().is_some_and(|(_, at, _)| *at <= now) {
                let (playback, ..) = caller.playing.take().unwrap();
                return self.tell(call, attendant::Input::PlaybackFinished(playback));
            }
            if caller.attendant.poll_timeout().is_some_and(|at| at <= now) {
                caller.attendant.handle_timeout(now);
                return self.unsettled.push_back(Owner::Call(call));
            }
        }
    }
}

#[test]
fn nobody_is_left_behind_and_nobody_hears_what_he_must_not() {
    let (mut starts, mut admitted) = (0, 0);
    for seed in 0..1_500 {
        let mut world = World::new(seed);
        for key in 1..=world.random.random_range(2..16) {
            world.call(key);
            world.settle();
            let pause = Duration::from_millis(world.random.random_range(0..20_000));
            let end = world.now + pause;
            while let Some(at) = world.next().filter(|at| *at <= end) {
                world.now = world.now.max(at);
                world.step();
                // Now and then several inputs pile up before the engine carries out their effects.
                if world.random.random_range(0..4) > 0 {
                    world.settle();
                }
            }
            world.now = end;
        }
        while let Some(at) = world.next() {
            world.now = world.now.max(at);
            world.step();
            if world.random.random_range(0..4) > 0 {
                world.settle();
            }
        }
        world.settle();
        assert!(world.callers.values().all(|caller| caller.gone), "every call ends");
        assert!(world.rooms.is_empty(), "and leaves nothing behind");
        starts += world.starts;
        admitted += world.admitted;
    }
    assert!(starts > 1_000 && admitted > 5_000, "{starts} starts, {admitted} admitted");
}
