//! A reference model of who hears what, beside thousands of meetings in any order.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Who may hear whom, written down as plainly as possible: a list and the rules, no effects, no timers.
struct Model {
    settings: Settings,
    rules: Rules,
    started: bool,
    locked: bool,
    here: Vec<Here>,
    leaderless_since: Option<Instant>,
    empty_since: Option<Instant>,
    leader_left_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Here {
    call: CallKey,
    is_in: bool,
    leader: bool,
    since: Instant,
}

impl Model {
    fn handle(&mut self, now: Instant, input: &Input) {
        let was_led = self.is_led();
        match *input {
            Input::Arrive { call, leader, rules } if self.find(call).is_none() => {
                self.rules = rules;
                if leader || self.here.len() < self.settings.seats {
                    self.here.push(Here { call, is_in: leader, leader, since: now });
                    self.started |= leader;
                }
            }
            Input::Authenticated { call } => {
                if let Some(here) = self.find(call) {
                    here.is_in = true;
                    here.leader = true;
                    self.started = true;
                }
            }
            Input::Depart { call } => {
                let was_in = self.find(call).is_some_and(|here| here.is_in);
                self.here.retain(|here| here.call != call);
                let to_lobby = self.settings.leader_leaves == LeaderLeaves::BackToLobby
                    && was_led
                    && !self.is_led()
                    && !self.rules.allow_anonymous_start;
                if was_in && (to_lobby || !self.here.iter().any(|here| here.is_in)) {
                    self.started = false;
                    self.locked = false;
                    for here in self.here.iter_mut().filter(|here| here.is_in) {
                        here.is_in = false;
                        here.since = now;
                    }
                } else if was_led && !self.is_led() {
                    self.leader_left_at = Some(now);
                }
            }
            Input::StartByUser { rules, .. } => {
                self.rules = rules;
                self.started = true;
            }
            Input::Lock | Input::Unlock if self.started => self.locked = *input == Input::Lock,
            Input::AdmitWaiting { call } if self.started => {
                for here in &mut self.here {
                    here.is_in |= call.is_none_or(|call| call == here.call);
                }
            }
            Input::End => self.end(),
            _ => {}
        }
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        let first = self.here.iter_mut().min_by_key(|here| (here.since, here.call));
        if let Some(first) = first.filter(|_| !self.started && self.rules.allow_anonymous_start) {
            first.is_in = true;
            self.started = true;
        }
        if self.started && !self.locked && self.rules.lobby_policy == LobbyPolicy::Open {
            self.here.iter_mut().for_each(|here| here.is_in = true);
        }
        let nobody_in = !self.here.iter().any(|here| here.is_in);
        if !self.started || self.is_led() || self.rules.allow_anonymous_start {
            self.leaderless_since = None;
        } else {
            self.leaderless_since = self.leaderless_since.or(Some(now));
        }
        self.empty_since = (self.started && nobody_in).then(|| self.empty_since.unwrap_or(now));
        if !self.started || self.is_led() {
            self.leader_left_at = None;
        }
    }

    fn pass(&mut self, now: Instant) {
        let settings = &self.settings;
        self.here.retain(|here| here.is_in || now < here.since + settings.lobby_timeout);
        let is_over = |since: Option<Instant>, limit: Duration| since.is_some_and(|since| now >= since + limit);
        let grace = match settings.leader_leaves {
            LeaderLeaves::EndsAfter(grace) => is_over(self.leader_left_at, grace),
            _ => false,
        };
        if grace || is_over(self.leaderless_since, settings.nobody_authenticated) {
            self.end();
        } else if is_over(self.empty_since, settings.nobody_came) {
            self.started = false;
            self.locked = false;
            self.settle(now);
        }
    }

    fn end(&mut self) {
        self.here.clear();
        self.started = false;
        self.locked = false;
        self.leaderless_since = None;
        self.empty_since = None;
        self.leader_left_at = None;
    }

    fn find(&mut self, call: CallKey) -> Option<&mut Here> {
        self.here.iter_mut().find(|here| here.call == call)
    }

    fn is_led(&self) -> bool {
        self.here.iter().any(|here| here.leader)
    }

    /// What each caller hears.
    fn sounds(&self) -> BTreeMap<CallKey, Sound> {
        let waits_for = if self.started { WaitsFor::Admission { locked: self.locked } } else { WaitsFor::Start };
        let sound = |here: &Here| {
            if here.is_in { Sound::Meeting } else { Sound::Music(waits_for) }
        };
        self.here.iter().map(|here| (here.call, sound(here))).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    /// Hold music, and what he was told that he waits for.
    Music(WaitsFor),
    /// The others.
    Meeting,
}

/// What the engine and the media make of the effects.
#[derive(Default)]
struct Ears {
    sounds: BTreeMap<CallKey, Sound>,
    vacant: bool,
}

impl Ears {
    fn hear(&mut self, effect: Effect, input: Option<&Input>, rules: Rules) {
        self.vacant = false;
        match effect {
            Effect::Started { by } => {
                let is_lawful = match (&by, input) {
                    (Starter::Leader(who), Some(Input::Authenticated { call })) => who == call,
                    (Starter::Leader(who), Some(Input::Arrive { call, leader: true, .. })) => who == call,
                    (Starter::User(_), Some(Input::StartByUser { .. })) => true,
                    (Starter::Anonymous(_), _) => rules.allow_anonymous_start,
                    _ => false,
                };
                assert!(is_lawful, "{by:?} by {input:?}");
                assert!(self.sounds.values().all(|sound| *sound != Sound::Meeting), "it ran already");
            }
            Effect::Admit { calls } => {
                assert!(!calls.is_empty());
                for call in calls {
                    assert_ne!(self.sounds.insert(call, Sound::Meeting), Some(Sound::Meeting), "{call} was in");
                }
            }
            Effect::Wait { calls, waits_for } => {
                assert!(!calls.is_empty());
                for call in calls {
                    let before = self.sounds.insert(call, Sound::Music(waits_for));
                    assert_ne!(before, Some(Sound::Music(waits_for)), "{call} was told already");
                }
            }
            Effect::Full { call } => assert!(!self.sounds.contains_key(&call)),
            Effect::Chime(_) => assert!(self.sounds.values().any(|sound| *sound == Sound::Meeting), "into the void"),
            Effect::Patience { call } => assert!(matches!(self.sounds[&call], Sound::Music(_))),
            Effect::LobbyTimedOut { call } => {
                assert!(matches!(self.sounds.remove(&call), Some(Sound::Music(_))));
            }
            Effect::Muted { call, .. } => assert_eq!(self.sounds[&call], Sound::Meeting),
            Effect::Locked(_) | Effect::AllMuted { .. } => {}
            Effect::Ended { calls, .. } => {
                let here: Vec<CallKey> = std::mem::take(&mut self.sounds).into_keys().collect();
                assert_eq!(*calls, *here, "it ends for all");
            }
            Effect::Over => {}
            Effect::Vacant => {
                assert!(self.sounds.is_empty());
                self.vacant = true;
            }
        }
    }
}

#[test]
fn everybody_hears_what_the_model_says_whatever_the_order() {
    let mut reached = BTreeMap::<&str, u32>::new();
    for seed in 0..6_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let settings = Settings {
            seats: random.random_range(2..9),
            leader_leaves: [LeaderLeaves::GoesOn, LeaderLeaves::BackToLobby, LeaderLeaves::EndsAfter(20 * MINUTE)]
                [random.random_range(0..3)],
            ..Settings::default()
        };
        let all_rules = [BY_PIN, ANYBODY, BY_ADMISSION, ANYBODY_BY_ADMISSION];
        let mut rules = all_rules[random.random_range(0..4)];
        let mut now = Instant::now();
        let mut room = Room::new(Arc::new(settings.clone()));
        let mut ears = Ears::default();
        let mut model = Model {
            settings,
            rules: Rules::default(),
            started: false,
            locked: false,
            here: Vec::new(),
            leaderless_since: None,
            empty_since: None,
            leader_left_at: None,
        };
        for _ in 0..random.random_range(10..120) {
            // Time passes: to the next alarm, or a little.
            let end = now + SECOND * random.random_range(0..900);
            while let Some(at) = room.poll_timeout().filter(|at| *at <= end) {
                assert!(at > now, "what was due is done");
                now = at;
                room.handle_timeout(now);
                model.pass(now);
                while let Some(effect) = room.poll_effect() {
                    *reached.entry(name(&effect)).or_default() += 1;
                    ears.hear(effect, None, model.rules);
                }
                assert_eq!(ears.sounds, model.sounds());
            }
            now = end;
            model.pass(now);
            assert_eq!(ears.sounds, model.sounds(), "nothing happens but at its time");

            let call = CallKey(random.random_range(1..12));
            if random.random_range(0..20) == 0 {
                rules = all_rules[random.random_range(0..4)];
            }
            let input = match random.random_range(0..20) {
                0..8 => Input::Arrive { call, leader: random.random_range(0..10) == 0, rules },
                8..10 => Input::Authenticated { call },
                10..14 => Input::Depart { call },
                14 if random.random_range(0..3) == 0 => Input::ToggleAllMuted,
                14 => Input::ToggleMute { call },
                15 => Input::SetMuted { call, muted: random.random_range(0..2) == 0 },
                16 => [Input::Lock, Input::Unlock][random.random_range(0..2)].clone(),
                17 => Input::AdmitWaiting { call: [Some(call), None][random.random_range(0..2)] },
                18 if random.random_range(0..4) == 0 => Input::StartByUser { identity: "anna".into(), rules },
                19 if random.random_range(0..10) == 0 => Input::End,
                _ => Input::Unlock,
            };
            room.handle_input(now, input.clone());
            model.handle(now, &input);
            if let Input::Depart { call } = input {
                ears.sounds.remove(&call);
            }
            while let Some(effect) = room.poll_effect() {
                *reached.entry(name(&effect)).or_default() += 1;
                ears.hear(effect, Some(&input), model.rules);
            }
            assert_eq!(ears.sounds, model.sounds(), "seed {seed}: after {input:?}");
            let is_in = |sound: &&Sound| **sound == Sound::Meeting;
            assert_eq!(room.participants(), ears.sounds.values().filter(is_in).count());
            assert_eq!(room.waiting(), ears.sounds.len() - room.participants());
            assert_eq!((room.is_started(), room.is_locked()), (model.started, model.locked));
            assert_eq!(ears.vacant, room.is_vacant(), "seed {seed}: a room is dropped when nobody needs it");
        }
        // Everybody hangs up: nothing is left, not even an alarm.
        for call in 1..12 {
            room.handle_input(now, Input::Depart { call: CallKey(call) });
        }
        while let Some(effect) = room.poll_effect() {
            if effect == Effect::Vacant {
                assert_eq!(room.poll_timeout(), None);
            }
        }
        assert!(room.is_vacant() || room.participants() == 0, "only a user's own start is left");
    }
    let names =
        ["Started", "Admit", "Wait", "Full", "Chime", "Patience", "TimedOut", "Muted", "Locked", "Ended", "Over"];
    assert!(names.iter().all(|name| reached.get(name).is_some_and(|count| *count > 100)), "{reached:?}");
}

fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Started { .. } => "Started",
        Effect::Admit { .. } => "Admit",
        Effect::Wait { .. } => "Wait",
        Effect::Full { .. } => "Full",
        Effect::Chime(_) => "Chime",
        Effect::Patience { .. } => "Patience",
        Effect::LobbyTimedOut { .. } => "TimedOut",
        Effect::Muted { .. } => "Muted",
        Effect::AllMuted { .. } => "AllMuted",
        Effect::Locked(_) => "Locked",
        Effect::Ended { .. } => "Ended",
        Effect::Over => "Over",
        Effect::Vacant => "Vacant",
    }
}
