//! Live meetings over HTTP, with callers on real lines: what is told of them as it happens, and what is done to them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::caller::{Caller, Dial, SOON};
use crate::client::{Client, PASSWORD, Site};
use crate::support::Organizer;

/// Who stays on the line without `*` is in the lobby at once.
const NO_QUESTION: &str = "attendant.organizer_question_s=0.2";

/// A listener to `/api/v1/events`.
struct Events {
    told: Receiver<(String, Value)>,
    status: u16,
    head: String,
}

impl Events {
    fn of(client: &Client) -> Events {
        let address = client.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let mut request = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        if let Some(cookie) = &client.cookie {
            request += &format!("Cookie: {cookie}\r\n");
        }
        if let Some(token) = &client.token {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let (sender, told) = channel();
        std::thread::spawn(move || {
            let mut kind = String::new();
            for line in lines {
                if let Some(name) = line.strip_prefix("event: ") {
                    kind = name.to_owned();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let _ = sender.send((kind.clone(), serde_json::from_str(data).unwrap()));
                }
            }
        });
        Events { told, status, head: head.join("\n").to_ascii_lowercase() }
    }

    #[track_caller]
    fn any(&self) -> Value {
        let (name, data) = self.told.recv_timeout(SOON).expect("an event comes");
        assert_eq!(data["kind"], name, "{data}");
        data
    }

    /// Waits for the next event of this kind; what comes before it is passed over.
    #[track_caller]
    fn next(&self, kind: &str) -> Value {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            let event = self.any();
            if event["kind"] == kind {
                return event;
            }
        }
        panic!("{kind} never came");
    }

    fn wait_end(&self) {
        let deadline = Instant::now() + SOON;
        loop {
            match self.told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the stream goes on"),
            }
        }
    }
}

/// A caller who has dialled the conference ID.
fn dialled(site: &Site, from: &str, to: &Organizer) -> Caller {
    let caller = Caller::dial(site.server.sip, Dial { from: from.to_owned(), ..Dial::from("127.0.0.1") });
    caller.wait_established();
    caller.press(&to.conference_id);
    caller
}

/// Looks until what goes on is as wanted.
fn wait_live(client: &Client, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let live = client.get("/live").json();
        if is(&live) {
            return live;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}: {live:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn call_of<'a>(live: &'a Value, caller: &str) -> &'a Value {
    let calls = live["meetings"][0]["calls"].as_array().unwrap_or_else(|| panic!("no meeting: {live:#}"));
    calls.iter().find(|call| call["caller"] == caller).unwrap_or_else(|| panic!("no {caller} in {live:#}"))
}

#[test]
fn the_way_of_a_call_is_told_as_it_happens() {
    let site = Site::start("events", &[NO_QUESTION]);
    let anna = site.enable("anna@example.com");
    let operator = site.program("operator", None);
    let events = Events::of(&operator);
    assert_eq!(events.status, 200, "{}", events.head);
    assert!(events.head.contains("content-type: text/event-stream"), "{}", events.head);
    assert!(events.head.contains("cache-control: no-"), "{}", events.head);

    let ben = dialled(&site, "+4930555", &anna);
    let call = events.next("call_arrived")["call"].clone();
    let meeting = events.next("meeting_opened")["meeting"].clone();
    let waits = events.next("call_waits");
    assert_eq!((&waits["call"], &waits["meeting"]), (&call, &meeting));
    assert!(!waits.to_string().contains("555"), "nothing that would have to be masked");
    let started = operator.send("POST", &format!("/meetings/{}/start", anna.conference_id), None);
    assert_eq!((started.status, &started.json()["calls"]), (200, &json!(1)), "{}", started.text);
    events.next("meeting_started");
    assert_eq!(events.next("call_entered_meeting")["call"], call);
    ben.talk(true);
    assert_eq!(events.next("call_talks")["meeting"], meeting);
    ben.talk(false);
    events.next("call_fell_silent");
    ben.hang_up();
    let (mut ended, mut closed) = (false, false);
    while !(ended && closed) {
        let event = events.any();
        assert_eq!(event["meeting"], meeting, "{event}");
        ended |= event["kind"] == "call_ended" && event["call"] == call;
        closed |= event["kind"] == "meeting_closed";
    }
}

#[test]
fn a_stream_ends_with_the_right_to_hear_it() {
    let site = Site::start("events-end", &[]);
    let administrator = &site.administrator;
    let sign_in = |name: &str| {
        let made = administrator.send("POST", "/accounts", Some(&json!({"name": name, "role": "operator"})));
        let link = made.json()["link"].as_str().unwrap().to_owned();
        let browser = Client::new(&site.server);
        browser.signed_in(&browser.send("POST", "/set-password", Some(&json!({"link": link, "password": PASSWORD}))))
    };
    let leaves = sign_in("leaves");
    let disabled = sign_in("disabled");
    let program = site.program("operator", None);
    let streams = [&leaves, &disabled, &program].map(Events::of);
    let stays = Events::of(administrator);
    assert!(streams.iter().all(|stream| stream.status == 200));
    assert_eq!(leaves.send("DELETE", "/session", None).status, 204);
    let disable = json!({"disabled": true});
    assert_eq!(administrator.send("PATCH", "/accounts/disabled", Some(&disable)).status, 200);
    let key = administrator.get("/tokens").json()["items"][0]["key"].to_string();
    assert_eq!(administrator.send("DELETE", &format!("/tokens/{key}"), None).status, 200);
    streams.iter().for_each(Events::wait_end);
    for gone in [&leaves, &disabled, &program] {
        assert_eq!(Events::of(gone).status, 401);
    }
    assert_eq!(Events::of(&site.program("user", Some(&site.enable("bob@example.com").identity))).status, 403);
    assert_eq!(stays.told.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty), "it goes on");
}

#[test]
fn there_are_only_so_many_streams() {
    let site = Site::start("events-many", &[]);
    let operator = site.program("operator", None);
    let streams: Vec<TcpStream> = (0..128)
        .map(|_| {
            let mut stream = TcpStream::connect(site.server.http).unwrap();
            let token = operator.token.as_ref().unwrap();
            let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            // Its place is taken once its answer has begun.
            stream.peek(&mut [0]).unwrap();
            stream
        })
        .collect();
    let refused = operator.get("/events");
    refused.assert_problem(503, "busy");
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(operator.get("/live").status, 200, "everything else goes on");
    drop(streams);
}

#[test]
fn a_meeting_is_run_over_the_api() {
    let site = Site::start("api-live", &[NO_QUESTION]);
    let anna = site.enable("anna@example.com");
    let policy = json!({"lobby_policy": "wait-for-admission"});
    assert_eq!(site.administrator.send("PATCH", "/users/anna@example.com", Some(&policy)).status, 200);
    let operator = site.program("operator", None);
    let act = |path: &str, body: Option<&Value>| {
        let answer = operator.send("POST", path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    };

    let ben = dialled(&site, "+4930555111", &anna);
    let live = wait_live(&operator, "ben waits", |live| live["waiting"] == 1);
    let meeting = live["meetings"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(call_of(&live, "+4930555111")["state"], "waits_for_start");
    operator.send("POST", &format!("/live/{meeting}/admit"), None).assert_problem(409, "not-now");
    ben.wait_sound();

    // As an authenticated user, without a PIN. Once is enough.
    let hers = site.program("user", Some("anna@example.com"));
    let start = || hers.send("POST", &format!("/meetings/{}/start", anna.conference_id), None).json();
    assert_eq!(start()["already"], false);
    assert_eq!(start(), json!({"meeting": meeting, "calls": 0, "already": true}));
    // Her policy lets nobody in by himself.
    assert_eq!(call_of(&operator.get("/live").json(), "+4930555111")["state"], "awaits_admission");
    assert_eq!(act(&format!("/live/{meeting}/admit"), None)["calls"], 1);
    ben.wait_silence();

    let cara = dialled(&site, "+4930555222", &anna);
    let dora = dialled(&site, "+4930555333", &anna);
    let live = wait_live(&operator, "both wait to be let in", |live| live["waiting"] == 2);
    let cara_key = call_of(&live, "+4930555222")["key"].clone();
    assert_eq!(call_of(&live, "+4930555222")["state"], "awaits_admission");
    cara.talk(true);
    ben.wait_silence();
    assert_eq!(act(&format!("/live/{meeting}/admit"), Some(&json!({"call": cara_key})))["calls"], 1);
    let live = wait_live(&operator, "one is in", |live| live["in_meetings"] == 2);
    assert_eq!(call_of(&live, "+4930555333")["state"], "awaits_admission", "the other one still waits");
    ben.wait_sound();

    // Muted he is not heard, and says so; unmuted he is.
    let cara_path = format!("/live/calls/{}", cara_key.as_str().unwrap());
    assert_eq!(act(&format!("{cara_path}/mute"), None)["already"], false);
    assert_eq!(act(&format!("{cara_path}/mute"), None)["already"], true);
    ben.wait_silence();
    assert_eq!(call_of(&operator.get("/live").json(), "+4930555222")["muted"], true);
    act(&format!("{cara_path}/unmute"), None);
    ben.wait_sound();
    assert_eq!(act(&format!("/live/{meeting}/mute"), None)["calls"], 2);
    ben.wait_silence();
    assert_eq!(act(&format!("/live/{meeting}/unmute"), None)["calls"], 2);
    ben.wait_sound();

    act(&format!("{cara_path}/remove"), None);
    cara.wait_ended(SOON);
    ben.wait_silence();
    operator.send("POST", &format!("{cara_path}/mute"), None).assert_problem(404, "gone");

    act(&format!("/live/{meeting}/lock"), None);
    assert_eq!(operator.get("/live").json()["meetings"][0]["locked"], true);
    // The console's button does the same, and is told of in the same way.
    let form = format!("csrf={}", site.administrator.csrf.as_ref().unwrap()).into_bytes();
    let content = Some("application/x-www-form-urlencoded");
    let unlocked = site.administrator.send_raw("POST", &format!("/live/{meeting}/unlock"), content, form);
    assert_eq!(unlocked.status, 303, "{}", unlocked.text);
    assert_eq!(operator.get("/live").json()["meetings"][0]["locked"], false);
    assert_eq!(act(&format!("/live/{meeting}/end"), None)["calls"], 2);
    ben.wait_ended(SOON);
    dora.wait_ended(SOON);
    wait_live(&operator, "nothing goes on", |live| live["calls"] == 0 && live["meetings"] == json!([]));
    operator.send("POST", &format!("/live/{meeting}/end"), None).assert_problem(404, "gone");

    // Each of it is in the audit: who, from where, what, on whom, once.
    let lines = site.administrator.get("/audit?search=meeting.live&limit=100").json();
    let told: Vec<(&str, &str, &str, &str)> = lines["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|line| {
            let of = |name: &str| line[name].as_str().unwrap();
            (of("who"), of("from"), of("subject"), of("detail"))
        })
        .collect();
    let cara_key = cara_key.as_str().unwrap();
    let of_cara = "; caller +4930555222; organizer anna@example.com";
    let of_all = "; organizer anna@example.com";
    let id = &anna.conference_id;
    let expected = [
        format!("start conference {id} for token test user{of_all}"),
        format!("start conference {id} for token test user{of_all}"),
        format!("admit all who wait to {meeting}{of_all}"),
        format!("admit {cara_key} to {meeting}{of_cara}"),
        format!("mute {cara_key}{of_cara}"),
        format!("mute {cara_key}{of_cara}"),
        format!("unmute {cara_key}{of_cara}"),
        format!("mute all in {meeting}{of_all}"),
        format!("unmute all in {meeting}{of_all}"),
        format!("remove {cara_key}{of_cara}"),
        format!("lock {meeting}{of_all}"),
        format!("unlock {meeting}{of_all}"),
        format!("end {meeting}{of_all}"),
    ];
    assert_eq!(told.iter().map(|line| line.3).collect::<Vec<_>>(), expected);
    assert!(told.iter().all(|line| line.1 == "127.0.0.1" && line.2 == id.as_str()), "{told:?}");
    let who: Vec<&str> = told[2..].iter().map(|line| line.0).filter(|who| *who != "token test operator").collect();
    assert_eq!(who, ["admin"], "who unlocked it at the console: {told:?}");

    // The calls are kept, and shown with masked numbers where that is set.
    let ended = || operator.get(&format!("/calls?search={id}")).json()["items"].clone();
    let deadline = Instant::now() + SOON;
    while ended().as_array().unwrap().len() < 3 {
        assert!(Instant::now() < deadline, "{:#}", ended());
        std::thread::sleep(Duration::from_millis(50));
    }
    let causes: Vec<Value> = ended().as_array().unwrap().iter().map(|call| call["record"]["ended"].clone()).collect();
    assert_eq!(causes.iter().filter(|cause| **cause == "removed").count(), 1, "{causes:?}");
    let masks = json!({"value": "true"});
    assert_eq!(site.administrator.send("PUT", "/settings/mask_callers", Some(&masks)).status, 200);
    assert!(!ended().to_string().contains("+4930555"), "{:#}", ended());
    let erin = dialled(&site, "+4930555444", &anna);
    let live = wait_live(&operator, "erin waits", |live| live["waiting"] == 1);
    assert_eq!(live["meetings"][0]["calls"][0]["caller"], "••••••••444");
    drop(erin);
}

#[test]
fn who_waits_for_somebody_who_is_disabled_is_let_go_and_a_new_id_sends_nobody_away() {
    let site = Site::start("withdrawn", &[NO_QUESTION]);
    let (anna, bob) = (site.enable("anna@example.com"), site.enable("bob@example.com"));
    let administrator = &site.administrator;
    let ben = dialled(&site, "ben", &anna);
    wait_live(administrator, "ben waits", |live| live["waiting"] == 1);

    // Another ID: he keeps his place, the meeting goes by its new name, and the new ID leads into it.
    let reset = administrator.send("POST", "/users/anna@example.com/reset-conference-id", None);
    let new_id = reset.json()["conference_id"].as_str().unwrap().to_owned();
    assert_ne!(new_id, anna.conference_id);
    let renumbered = |live: &Value| live["meetings"][0]["conference_id"] == new_id.as_str();
    let live = wait_live(administrator, "the new ID is shown", renumbered);
    assert_eq!((&live["waiting"], live["meetings"].as_array().unwrap().len()), (&json!(1), 1));
    administrator
        .send("POST", &format!("/meetings/{}/start", anna.conference_id), None)
        .assert_problem(404, "no-conference");
    let started = administrator.send("POST", &format!("/meetings/{new_id}/start"), None);
    assert_eq!(started.json()["calls"], 1, "{}", started.text);

    // Disabled: her meeting that goes on goes on; who waits for bob is told goodbye, and his record says why.
    let cara = dialled(&site, "cara", &bob);
    wait_live(administrator, "cara waits", |live| live["waiting"] == 1);
    for user in ["anna", "bob"] {
        let disabled = administrator.send("POST", &format!("/users/{user}@example.com/disable"), None);
        assert_eq!(disabled.status, 200, "{}", disabled.text);
    }
    cara.wait_ended(SOON);
    let records = site.server.wait_for_records(1, SOON);
    assert_eq!((&records[0]["from"], &records[0]["ended"]), (&json!("cara"), &json!("meeting_ended")));
    assert_eq!(records[0]["why"], "the meeting ended: it was cancelled, or its organizer was disabled");
    let live = administrator.get("/live").json();
    assert_eq!((&live["in_meetings"], &live["waiting"]), (&json!(1), &json!(0)), "{live:#}");
    assert!(!ben.has_ended());
    // So it is with a planned meeting that is cancelled.
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let ends_at = tomorrow + jiff::SignedDuration::from_hours(1);
    let cleo = site.enable("cleo@example.com");
    let plan = json!({"organizer": cleo.identity, "subject": "Plans", "starts_at": tomorrow.to_string(),
                      "ends_at": ends_at.to_string()});
    let planned = administrator.send("POST", "/meetings", Some(&plan));
    assert_eq!(planned.status, 201, "{}", planned.text);
    let conference_id = planned.json()["conference_id"].as_str().unwrap().to_owned();
    let dora = dialled(&site, "dora", &Organizer { conference_id: conference_id.clone(), ..cleo });
    wait_live(administrator, "dora waits", |live| live["waiting"] == 1);
    assert_eq!(administrator.send("DELETE", &format!("/meetings/{conference_id}"), None).status, 200);
    dora.wait_ended(SOON);
    // Whoever dials now is told that the ID leads nowhere.
    let late = dialled(&site, "late", &bob);
    site.server.wait_for_line("entered a conference ID that leads nowhere", SOON);
    drop(late);
}
