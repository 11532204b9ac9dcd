//! A running server, seen and steered from outside while real callers are on the line: the library's own server in this
//! process, telephones over loopback.

#[path = "support/caller.rs"]
mod caller;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom::admin::Administrator;
use anteroom::admin::live::{LiveAction, LiveCall, LiveCallState, LiveEvent, LiveEventKind, LiveSnapshot};
use anteroom::config::Config;
use anteroom::credentials::{Actor, AuditPage, CallRecordPage, Enabled, Store, UserDetails};
use anteroom::engine::{LiveCommand, LiveRefusal};
use anteroom::server::live::LiveError;
use anteroom::server::{self, RunningServer};
use anteroom::wire::g711;
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader};
use anteroom::words::ids::{CallKey, ConferenceId};
use anteroom::words::media::{FRAME, Law};
use tokio::sync::broadcast;

use caller::{Caller, Dial, SOON};

struct World {
    server: RunningServer,
    store: Arc<Store>,
    conference_id: ConferenceId,
}

impl World {
    async fn start(ports: &str) -> World {
        let ports = format!("rtp.ports={ports}");
        let settings = ["sip.listen=127.0.0.1:0", "http.listen=off", "store.url=memory:", "media.threads=2", &ports];
        let config = Config::from_settings(&settings).unwrap();
        let store = Arc::new(Store::open(&config.store).await.unwrap());
        let identity = "anna@example.com".parse().unwrap();
        let enabled =
            store.enable_user(&Actor::new("test", "loopback"), &identity, &UserDetails::default(), None).await.unwrap();
        let Enabled::New { user, .. } = enabled else { panic!("she is new") };
        let server = server::start(&config, store.clone(), Some(store.clone())).await.unwrap();
        World { server, store, conference_id: user.conference_id.unwrap() }
    }

    fn administrator(&self) -> Administrator<'_> {
        Administrator::new(&self.store, Actor::new("operator", "test"))
    }

    fn sip(&self) -> SocketAddr {
        self.server.sip_addresses()[0]
    }

    async fn snapshot(&self) -> Arc<LiveSnapshot> {
        self.server.live().snapshot().await.unwrap()
    }

    /// Looks until it is as wanted.
    async fn wait_until(&self, what: &str, is: impl Fn(&LiveSnapshot) -> bool) -> Arc<LiveSnapshot> {
        let deadline = Instant::now() + SOON;
        loop {
            let snapshot = self.snapshot().await;
            if is(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < deadline, "waited in vain for: {what}: {snapshot:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A caller who has entered the conference ID. (His own thread carries the call on.)
    async fn caller(&self, speaks: bool) -> Caller {
        let (sip, id) = (self.sip(), self.conference_id);
        tokio::task::spawn_blocking(move || {
            let caller = Caller::dial(sip, Dial { speaks, ..Dial::from("127.0.0.1") });
            caller.wait_established();
            caller.press(id.as_str());
            caller
        })
        .await
        .unwrap()
    }
}

async fn next_of(events: &mut broadcast::Receiver<LiveEvent>, kind: LiveEventKind) -> LiveEvent {
    let wanted = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.kind == kind {
                return event;
            }
        }
    };
    tokio::time::timeout(SOON, wanted).await.unwrap_or_else(|_| panic!("{kind:?} never came"))
}

fn only_call(snapshot: &LiveSnapshot) -> &LiveCall {
    let [meeting] = &snapshot.meetings[..] else { panic!("{snapshot:#?}") };
    let [call] = &meeting.calls[..] else { panic!("{snapshot:#?}") };
    call
}

/// Says something for so many frames: a tone that is no key.
async fn talk(caller: &Caller, frames: u16) {
    let samples: Vec<i16> = (0..160).map(|at| (6000.0 * (at as f32 * 0.3).sin()) as i16).collect();
    for frame in 0..frames {
        let mut header = [0; HEADER_BYTES];
        let timestamp = u32::from(frame) * 160;
        RtpHeader { payload_type: 0, marker: frame == 0, sequence: frame, timestamp, ssrc: 4711 }.write(&mut header);
        let codes = samples.iter().map(|&sample| g711::encode(Law::Mu, sample));
        caller.send_datagram(header.into_iter().chain(codes).collect());
        tokio::time::sleep(FRAME).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_is_seen_started_heard_muted_and_ended_from_outside() {
    let world = World::start("21000-21099").await;
    let live = world.server.live();
    let mut events = live.subscribe();
    let ben = world.caller(false).await;
    next_of(&mut events, LiveEventKind::CallArrived).await;
    let waits = next_of(&mut events, LiveEventKind::CallWaits).await;
    let snapshot = world.wait_until("he waits", |snapshot| snapshot.waiting == 1).await;
    let call = only_call(&snapshot);
    assert_eq!((Some(call.key), call.state), (waits.call, LiveCallState::WaitsForStart));
    assert_eq!((call.caller.as_str(), call.called.as_str(), call.codec), ("caller", "8000", Some("PCMU")));
    assert_eq!(snapshot.masked().meetings[0].calls[0].caller, "•••ler");
    let meeting = snapshot.meetings[0].key;
    assert!(!snapshot.meetings[0].started && snapshot.meetings[0].organizer == "anna@example.com");

    let administrator = world.administrator();
    let done = administrator.start_meeting(live, &world.conference_id).await.unwrap();
    assert_eq!((done.meeting, done.calls, done.already), (Some(meeting), 1, false));
    let snapshot = world.snapshot().await;
    assert_eq!(only_call(&snapshot).state, LiveCallState::InMeeting, "what was done is seen at once");
    assert!(snapshot.meetings[0].started_seconds.is_some());

    talk(&ben, 25).await;
    let talks = next_of(&mut events, LiveEventKind::CallTalks).await;
    assert_eq!((talks.call, talks.meeting), (Some(call.key), Some(meeting)));
    let snapshot = world.snapshot().await;
    let level = only_call(&snapshot).level_db.unwrap();
    assert!((-20..=-8).contains(&level), "{level} dB");
    next_of(&mut events, LiveEventKind::CallFellSilent).await;

    let mute = |muted| LiveCommand::Mute { call: call.key, muted };
    administrator.act_live(live, mute(true)).await.unwrap();
    next_of(&mut events, LiveEventKind::CallMuted).await;
    assert!(only_call(&*world.snapshot().await).muted);
    assert!(administrator.act_live(live, mute(true)).await.unwrap().already);
    let nobody = CallKey(4_711);
    let refused = live.command("test", LiveCommand::Remove { call: nobody }).await;
    assert_eq!(refused, Err(LiveError::Refused(LiveRefusal::NoCall(nobody))));

    administrator.act_live(live, LiveCommand::End { meeting }).await.unwrap();
    next_of(&mut events, LiveEventKind::MeetingClosed).await;
    tokio::task::spawn_blocking(move || ben.wait_ended(SOON)).await.unwrap();
    world.wait_until("all is over", |snapshot| snapshot.calls == 0 && snapshot.meetings.is_empty()).await;
    let live = live.clone();
    world.server.stop().await;
    assert_eq!(live.snapshot().await, Err(LiveError::NoAnswer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_is_open_before_anybody_calls_asks_nobody_for_a_pin() {
    let world = World::start("21100-21199").await;
    let live = world.server.live();
    let administrator = world.administrator();
    administrator.start_meeting(live, &world.conference_id).await.unwrap();
    let snapshot = world.snapshot().await;
    assert!(snapshot.meetings[0].started && snapshot.meetings[0].calls.is_empty(), "{snapshot:#?}");
    let ben = world.caller(true).await;
    world.wait_until("he is in", |snapshot| snapshot.in_meetings == 1).await;
    let meeting = snapshot.meetings[0].key;
    administrator.act_live(live, LiveCommand::Lock { meeting, locked: true }).await.unwrap();
    let cara = world.caller(true).await;
    let snapshot = world.wait_until("she waits at the lock", |snapshot| snapshot.waiting == 1).await;
    let waiting = &snapshot.meetings[0].calls[1];
    assert_eq!(waiting.state, LiveCallState::AwaitsAdmission);
    administrator.act_live(live, LiveCommand::Admit { meeting, call: Some(waiting.key) }).await.unwrap();
    administrator.act_live(live, LiveCommand::Remove { call: waiting.key }).await.unwrap();
    tokio::task::spawn_blocking(move || cara.wait_ended(SOON)).await.unwrap();

    // The same from a shell, which meets the server in the store.
    assert_eq!(administrator.ask_live(LiveAction::Unlock, world.conference_id).await.unwrap(), "unlocked");
    assert_eq!(administrator.ask_live(LiveAction::Unlock, world.conference_id).await.unwrap(), "it was not locked");
    let unknown = administrator.start_meeting(live, &"0000000".parse().unwrap()).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no conference ID 0000000");
    assert_eq!(administrator.ask_live(LiveAction::End, world.conference_id).await.unwrap(), "ended; 1 call let go");
    assert_eq!(
        administrator.ask_live(LiveAction::Start, world.conference_id).await.unwrap(),
        "started; no calls let in",
        "a meeting that no server has is started by any of them"
    );
    tokio::task::spawn_blocking(move || ben.wait_ended(SOON)).await.unwrap();
    world.wait_until("all are gone", |snapshot| snapshot.calls == 0).await;

    // Who did what is in the audit; and the calls are kept, the last one too.
    let audit = world.store.audit(&AuditPage::newest(100)).await.unwrap();
    let live: Vec<&str> =
        audit.iter().filter(|line| line.action == "meeting.live").map(|line| line.detail.as_str()).collect();
    let asked = format!("asked for: end {}; organizer anna@example.com", world.conference_id);
    assert!(live.contains(&asked.as_str()), "{live:?}");
    let removed = live.iter().find(|is| is.starts_with("remove call-")).unwrap();
    assert!(removed.ends_with("; caller caller; organizer anna@example.com"), "{removed}");
    let subjects = audit.iter().filter(|line| line.action == "meeting.live").map(|line| line.subject.as_str());
    assert!(subjects.into_iter().all(|subject| subject == world.conference_id.as_str()), "{audit:?}");
    let store = world.store.clone();
    world.server.stop().await;
    let calls = store.call_records(&CallRecordPage { search: None, before: None, limit: 10 }).await.unwrap();
    assert_eq!(calls.len(), 2);
    let removed = CallRecordPage { search: Some("removed".to_owned()), before: None, limit: 10 };
    assert_eq!(store.call_records(&removed).await.unwrap().len(), 1);
}
