//! The meeting's rules one by one, and a reference model of who hears what beside thousands of meetings in any order.

mod any_order;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::roster::Seat;
use super::*;
use crate::words::answer::{Announcements, LobbyPolicy};
use crate::words::ids::CallKey;
use crate::words::prompt::Chime;

const ANNA: CallKey = CallKey(1);
const BEN: CallKey = CallKey(2);
const CARA: CallKey = CallKey(3);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The default: a PIN starts it, then it takes everybody in.
const BY_PIN: Rules =
    Rules { allow_anonymous_start: false, lobby_policy: LobbyPolicy::Open, announcements: Announcements::Tones };
const ANYBODY: Rules = Rules { allow_anonymous_start: true, ..BY_PIN };
const BY_ADMISSION: Rules = Rules { lobby_policy: LobbyPolicy::WaitForAdmission, ..BY_PIN };
const ANYBODY_BY_ADMISSION: Rules = Rules { allow_anonymous_start: true, ..BY_ADMISSION };

const UNLOCKED: WaitsFor = WaitsFor::Admission { locked: false };
const LOCKED: WaitsFor = WaitsFor::Admission { locked: true };

struct Scene {
    room: Room,
    rules: Rules,
    now: Instant,
}

impl Scene {
    fn new(rules: Rules) -> Scene {
        Scene::with(rules, Settings::default())
    }

    fn with(rules: Rules, settings: Settings) -> Scene {
        Scene { room: Room::new(Arc::new(settings)), rules, now: Instant::now() }
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.room.handle_input(self.now, input);
        self.effects()
    }

    fn arrive(&mut self, call: CallKey) -> Vec<Effect> {
        let rules = self.rules;
        self.tell(Input::Arrive { call, leader: false, rules })
    }

    fn arrive_as_leader(&mut self, call: CallKey) -> Vec<Effect> {
        let rules = self.rules;
        self.tell(Input::Arrive { call, leader: true, rules })
    }

    fn depart(&mut self, call: CallKey) -> Vec<Effect> {
        self.tell(Input::Depart { call })
    }

    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let end = self.now + time;
        while let Some(at) = self.room.poll_timeout().filter(|at| *at <= end) {
            self.room.handle_timeout(at);
        }
        self.now = end;
        self.effects()
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.room.poll_effect()).collect()
    }
}

fn admit(calls: &[CallKey]) -> Effect {
    Effect::Admit { calls: calls.into() }
}

fn wait(calls: &[CallKey], waits_for: WaitsFor) -> Effect {
    Effect::Wait { calls: calls.into(), waits_for }
}

fn ended(calls: &[CallKey], why: EndReason) -> Effect {
    Effect::Ended { calls: calls.into(), why }
}

const ENTRY: Effect = Effect::Chime(Chime::Entry);
const EXIT: Effect = Effect::Chime(Chime::Exit);

// ---- Starting -----------------------------------------------------------------------------------------------------

#[test]
fn the_right_pin_starts_the_meeting_for_the_whole_lobby_at_once() {
    let mut scene = Scene::new(BY_PIN);
    for call in [BEN, CARA, ANNA] {
        assert_eq!(scene.arrive(call), [wait(&[call], WaitsFor::Start)]);
        scene.pass(SECOND);
    }
    let started = Effect::Started { by: Starter::Leader(ANNA) };
    assert_eq!(scene.tell(Input::Authenticated { call: ANNA }), [started, admit(&[BEN, CARA, ANNA]), ENTRY]);
    assert_eq!(scene.tell(Input::Authenticated { call: ANNA }), []);
    assert_eq!(scene.room.roster().seat(ANNA), Some(Seat::In { leader: true }));
    assert_eq!((scene.room.participants(), scene.room.waiting()), (3, 0));
}

#[test]
fn a_later_caller_joins_at_once() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.arrive(BEN), [admit(&[BEN]), ENTRY]);
    assert_eq!(scene.arrive(BEN), [], "once is enough");
}

#[test]
fn the_first_caller_starts_a_meeting_that_needs_no_pin() {
    let mut scene = Scene::new(ANYBODY);
    let started = Effect::Started { by: Starter::Anonymous(BEN) };
    assert_eq!(scene.arrive(BEN), [started, admit(&[BEN]), ENTRY]);
    assert_eq!(scene.arrive(CARA), [admit(&[CARA]), ENTRY]);
}

#[test]
fn a_call_that_its_trunk_vouches_for_starts_it() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.pass(SECOND);
    let started = Effect::Started { by: Starter::Leader(ANNA) };
    assert_eq!(scene.arrive_as_leader(ANNA), [started, admit(&[BEN, ANNA]), ENTRY]);
}

#[test]
fn an_authenticated_user_starts_it_by_another_way() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    let by = Starter::User("anna@example.com".into());
    let input = Input::StartByUser { identity: "anna@example.com".into(), rules: BY_PIN };
    assert_eq!(scene.tell(input.clone()), [Effect::Started { by: by.clone() }, admit(&[BEN]), ENTRY]);
    assert_eq!(scene.tell(input.clone()), [], "it runs already");
    // Before anybody calls, too: then the first caller finds it started.
    let mut scene = Scene::new(BY_PIN);
    assert_eq!(scene.tell(input), [Effect::Started { by }]);
    assert!(!scene.room.is_vacant());
    assert_eq!(scene.arrive(BEN), [admit(&[BEN]), ENTRY]);
}

#[test]
fn the_organizer_allows_anonymous_starts_while_callers_wait() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.rules = ANYBODY;
    let started = Effect::Started { by: Starter::Anonymous(BEN) };
    assert_eq!(scene.arrive(CARA), [started, admit(&[BEN, CARA]), ENTRY], "nobody waits behind a newcomer");
}

#[test]
fn answers_about_callers_who_are_gone_change_nothing() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.arrive(ANNA);
    assert_eq!(scene.depart(ANNA), []);
    assert_eq!(scene.tell(Input::Authenticated { call: ANNA }), []);
    assert_eq!(scene.tell(Input::ToggleMute { call: ANNA }), []);
    assert_eq!(scene.depart(ANNA), []);
    assert!(!scene.room.is_started());
}

// ---- Admission ----------------------------------------------------------------------------------------------------

#[test]
fn where_each_caller_waits_for_admission() {
    let mut scene = Scene::new(BY_ADMISSION);
    scene.arrive(BEN);
    scene.pass(SECOND);
    scene.arrive(CARA);
    let started = Effect::Started { by: Starter::Leader(ANNA) };
    assert_eq!(scene.arrive_as_leader(ANNA), [started, admit(&[ANNA]), ENTRY, wait(&[BEN, CARA], UNLOCKED)]);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: Some(CARA) }), [admit(&[CARA]), ENTRY]);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: Some(CARA) }), []);
    assert_eq!(scene.arrive(CallKey(4)), [wait(&[CallKey(4)], UNLOCKED)]);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: None }), [admit(&[BEN, CallKey(4)]), ENTRY]);
}

#[test]
fn the_first_anonymous_caller_is_in_and_the_next_waits_for_him() {
    let mut scene = Scene::new(ANYBODY_BY_ADMISSION);
    assert_eq!(scene.arrive(BEN)[1..], [admit(&[BEN]), ENTRY]);
    assert_eq!(scene.arrive(CARA), [wait(&[CARA], UNLOCKED)]);
    let started = Effect::Started { by: Starter::Anonymous(CARA) };
    assert_eq!(scene.depart(BEN), [Effect::Over, started, admit(&[CARA]), ENTRY], "nobody is left who could admit her");
}

#[test]
fn a_lock_keeps_out_all_but_the_organizer() {
    let mut scene = Scene::new(BY_PIN);
    assert_eq!(scene.tell(Input::Lock)[..], [Effect::Vacant], "what does not run can't be locked");
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.tell(Input::Lock), [Effect::Locked(true)]);
    assert_eq!(scene.tell(Input::Lock), []);
    assert_eq!(scene.arrive(BEN), [wait(&[BEN], LOCKED)]);
    assert_eq!(scene.arrive(CARA), [wait(&[CARA], LOCKED)]);
    assert_eq!(scene.tell(Input::Authenticated { call: CARA }), [admit(&[CARA]), ENTRY]);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: None }), [admit(&[BEN]), ENTRY]);
    assert_eq!(scene.arrive(CallKey(4)), [wait(&[CallKey(4)], LOCKED)]);
    assert_eq!(scene.tell(Input::Unlock), [Effect::Locked(false), admit(&[CallKey(4)]), ENTRY]);
}

#[test]
fn nobody_is_admitted_to_a_meeting_that_has_not_started() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: None }), []);
    assert_eq!(scene.tell(Input::AdmitWaiting { call: Some(BEN) }), []);
}

#[test]
fn a_full_meeting_turns_all_away_but_its_leader() {
    let mut scene = Scene::with(BY_PIN, Settings { seats: 2, ..Settings::default() });
    scene.arrive(BEN);
    scene.arrive(CARA);
    assert_eq!(scene.arrive(CallKey(4)), [Effect::Full { call: CallKey(4) }]);
    assert_eq!(scene.arrive_as_leader(ANNA)[1..], [admit(&[ANNA, BEN, CARA]), ENTRY]);
    scene.depart(BEN);
    assert_eq!(scene.arrive(BEN), [Effect::Full { call: BEN }], "two are in");
    scene.depart(CARA);
    assert_eq!(scene.arrive(BEN), [admit(&[BEN]), ENTRY]);
}

// ---- Being there --------------------------------------------------------------------------------------------------

#[test]
fn muted_by_himself_or_by_another() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    assert_eq!(scene.tell(Input::ToggleMute { call: BEN }), [], "in the lobby nobody hears him anyway");
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.tell(Input::ToggleMute { call: BEN }), [Effect::Muted { call: BEN, muted: true }]);
    assert_eq!(scene.tell(Input::SetMuted { call: BEN, muted: true }), []);
    assert_eq!(scene.tell(Input::ToggleMute { call: BEN }), [Effect::Muted { call: BEN, muted: false }]);
    assert_eq!(scene.tell(Input::SetMuted { call: BEN, muted: true }), [Effect::Muted { call: BEN, muted: true }]);
}

// ---- Waiting ------------------------------------------------------------------------------------------------------

#[test]
fn a_word_of_patience_each_minute_and_after_an_hour_no_more() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    for _ in 1..60 {
        assert_eq!(scene.pass(MINUTE - SECOND), []);
        assert_eq!(scene.pass(SECOND), [Effect::Patience { call: BEN }]);
    }
    assert_eq!(scene.pass(MINUTE), [Effect::LobbyTimedOut { call: BEN }, Effect::Vacant], "and no word on top");
    assert_eq!(scene.room.poll_timeout(), None);
    assert_eq!(scene.depart(BEN), [Effect::Vacant]);
}

#[test]
fn after_a_stall_one_word_of_patience_is_enough() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.now += 10 * MINUTE;
    scene.room.handle_timeout(scene.now);
    assert_eq!(scene.effects(), [Effect::Patience { call: BEN }]);
    assert_eq!(scene.room.next_timer(), Some((scene.now + MINUTE, Timer::Patience(BEN))));
}

#[test]
fn patience_of_zero_is_no_patience_at_all() {
    let mut scene = Scene::with(BY_PIN, Settings { patience: Duration::ZERO, ..Settings::default() });
    scene.arrive(BEN);
    assert_eq!(scene.pass(61 * MINUTE), [Effect::LobbyTimedOut { call: BEN }, Effect::Vacant]);
}

#[test]
fn no_alarm_of_the_lobby_follows_anybody_into_the_meeting() {
    let mut scene = Scene::new(ANYBODY);
    scene.arrive(BEN);
    assert_eq!(scene.room.poll_timeout(), None);
    assert_eq!(scene.pass(24 * 60 * MINUTE), []);
}

#[test]
fn who_awaits_admission_is_told_and_timed_like_the_others() {
    let mut scene = Scene::new(BY_ADMISSION);
    scene.arrive_as_leader(ANNA);
    scene.arrive(BEN);
    assert_eq!(scene.pass(MINUTE), [Effect::Patience { call: BEN }]);
    assert!(scene.pass(59 * MINUTE).contains(&Effect::LobbyTimedOut { call: BEN }));
    assert!(scene.room.is_started());
}

// ---- Leaving and ending -------------------------------------------------------------------------------------------

#[test]
fn who_leaves_is_heard_to_leave() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.depart(BEN), [EXIT]);
    assert_eq!(scene.depart(ANNA), [Effect::Over, Effect::Vacant]);
}

#[test]
fn the_leader_leaves_and_the_meeting_goes_on_for_ninety_minutes() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.pass(180 * MINUTE), [], "as long as the leader likes");
    assert_eq!(scene.depart(ANNA), [EXIT]);
    assert_eq!(scene.pass(89 * MINUTE), []);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.room.poll_timeout(), None, "she is back");
    scene.depart(ANNA);
    assert_eq!(scene.room.next_timer().map(|(_, timer)| timer), Some(Timer::NobodyAuthenticated));
    assert_eq!(scene.pass(90 * MINUTE), [ended(&[BEN], EndReason::NobodyAuthenticated), Effect::Vacant]);
}

#[test]
fn two_leaders_and_one_of_them_stays() {
    let mut scene = Scene::with(BY_PIN, Settings { leader_leaves: LeaderLeaves::BackToLobby, ..Settings::default() });
    scene.arrive_as_leader(ANNA);
    scene.arrive_as_leader(BEN);
    assert_eq!(scene.depart(ANNA), [EXIT]);
    assert_eq!(scene.room.poll_timeout(), None);
}

#[test]
fn a_meeting_that_needs_no_leader_has_no_such_end() {
    let mut scene = Scene::new(ANYBODY);
    scene.arrive(BEN);
    scene.arrive_as_leader(ANNA);
    scene.depart(ANNA);
    assert_eq!(scene.room.poll_timeout(), None);
}

#[test]
fn a_meeting_that_a_user_started_and_nobody_comes_to() {
    let mut scene = Scene::new(ANYBODY);
    let start = Input::StartByUser { identity: "anna@example.com".into(), rules: ANYBODY };
    scene.tell(start.clone());
    assert_eq!(scene.pass(15 * MINUTE), [Effect::Over, Effect::Vacant]);
    assert!(!scene.room.is_started());
    // Who waits to be admitted, and is not, waits for a start again.
    let mut scene = Scene::new(BY_ADMISSION);
    scene.tell(Input::StartByUser { identity: "anna@example.com".into(), rules: BY_ADMISSION });
    assert_eq!(scene.arrive(BEN), [wait(&[BEN], UNLOCKED)]);
    let effects = scene.pass(15 * MINUTE);
    assert!(effects.ends_with(&[Effect::Over, wait(&[BEN], WaitsFor::Start)]), "{effects:?}");
    // Whoever comes in time keeps it open.
    let mut scene = Scene::new(ANYBODY);
    scene.tell(start);
    scene.pass(14 * MINUTE);
    scene.arrive(BEN);
    assert_eq!(scene.room.poll_timeout(), None);
}

#[test]
fn all_but_the_leaders_are_muted_and_unmuted() {
    let mut scene = Scene::new(ANYBODY);
    scene.arrive(BEN);
    scene.arrive(CARA);
    scene.arrive_as_leader(ANNA);
    scene.tell(Input::ToggleMute { call: BEN });
    let muted = |call, muted| Effect::Muted { call, muted };
    assert_eq!(
        scene.tell(Input::ToggleAllMuted),
        [muted(CARA, true), Effect::AllMuted { muted: true, changed: 1 }],
        "one who spoke is enough to mute all"
    );
    assert_eq!(scene.tell(Input::SetAllMuted { muted: true }), []);
    let unmuted = [muted(BEN, false), muted(CARA, false), Effect::AllMuted { muted: false, changed: 2 }];
    assert_eq!(scene.tell(Input::ToggleAllMuted), unmuted);
}

#[test]
fn another_lobby_time_out_holds_for_those_who_wait_already() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.pass(10 * MINUTE);
    let settings = Settings { lobby_timeout: 12 * MINUTE, ..Settings::default() };
    scene.room.handle_settings(Arc::new(settings));
    let effects = scene.pass(3 * MINUTE);
    assert!(effects.contains(&Effect::LobbyTimedOut { call: BEN }), "{effects:?}");
}

#[test]
fn back_to_the_lobby_until_a_leader_comes() {
    let mut scene = Scene::with(BY_PIN, Settings { leader_leaves: LeaderLeaves::BackToLobby, ..Settings::default() });
    scene.arrive(BEN);
    scene.arrive(CARA);
    scene.arrive_as_leader(ANNA);
    scene.pass(50 * MINUTE);
    assert_eq!(scene.depart(ANNA), [Effect::Over, wait(&[BEN, CARA], WaitsFor::Start)]);
    assert!(!scene.pass(59 * MINUTE).contains(&Effect::LobbyTimedOut { call: BEN }), "the wait begins anew");
    assert_eq!(scene.arrive_as_leader(ANNA)[1..], [admit(&[BEN, CARA, ANNA]), ENTRY]);
    // Where nobody needs a leader there is no lobby to go back to.
    let mut scene = Scene::with(ANYBODY, Settings { leader_leaves: LeaderLeaves::BackToLobby, ..Settings::default() });
    scene.arrive(BEN);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.depart(ANNA), [EXIT]);
}

#[test]
fn a_time_of_grace_in_which_the_leader_can_return() {
    let settings = Settings { leader_leaves: LeaderLeaves::EndsAfter(5 * MINUTE), ..Settings::default() };
    let mut scene = Scene::with(BY_PIN, settings);
    scene.arrive(BEN);
    scene.arrive_as_leader(ANNA);
    scene.depart(ANNA);
    assert_eq!(scene.pass(4 * MINUTE), []);
    scene.arrive_as_leader(ANNA);
    assert_eq!(scene.pass(10 * MINUTE), []);
    scene.depart(ANNA);
    assert_eq!(scene.pass(5 * MINUTE), [ended(&[BEN], EndReason::LeaderLeft), Effect::Vacant]);
}

#[test]
fn the_last_one_leaves_and_who_waits_waits_for_a_start() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive_as_leader(ANNA);
    scene.tell(Input::Lock);
    scene.arrive(BEN);
    assert_eq!(scene.depart(ANNA), [Effect::Over, wait(&[BEN], WaitsFor::Start)]);
    assert!(!scene.room.is_locked(), "the next meeting is not locked");
    assert_eq!(scene.arrive_as_leader(ANNA)[1..], [admit(&[ANNA, BEN]), ENTRY]);
}

#[test]
fn an_end_for_all() {
    let mut scene = Scene::new(BY_ADMISSION);
    scene.arrive_as_leader(ANNA);
    scene.arrive(BEN);
    assert_eq!(scene.tell(Input::End), [ended(&[ANNA, BEN], EndReason::Ended), Effect::Vacant]);
    assert_eq!(scene.room.poll_timeout(), None);
    assert_eq!(scene.arrive(CARA), [wait(&[CARA], WaitsFor::Start)], "who calls then comes to a new meeting");
}

#[test]
fn a_room_that_is_taken_again_before_anybody_looked_is_not_vacant() {
    let mut scene = Scene::new(BY_PIN);
    scene.arrive(BEN);
    scene.room.handle_input(scene.now, Input::Depart { call: BEN });
    assert_eq!(scene.arrive(CARA), [wait(&[CARA], WaitsFor::Start)]);
}

#[test]
fn announcements_off_is_a_meeting_without_chimes() {
    let mut scene = Scene::new(Rules { announcements: Announcements::Off, ..ANYBODY });
    let effects = [scene.arrive(ANNA), scene.arrive(BEN), scene.depart(BEN)].concat();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Chime(_))), "{effects:?}");
}
