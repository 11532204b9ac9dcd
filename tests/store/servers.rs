//! Real servers on one store, and callers on the line: what one server does the other one knows, and a database that goes
//! away costs nobody his call.

use std::process::Output;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use anteroom::words::secret::Secret;

use super::caller::{Caller, Dial, SOON};
use super::support::postgres::{Cluster, PASSWORD, ask, new_database};
use super::support::{Folder, Organizer, Server};

/// Two servers each with callers: this many of the suite at once are enough for two cores.
const AT_ONCE: usize = 2;

/// One store for several servers, with the one key file that each of them is given.
struct SharedStore {
    key: Folder,
    url: Secret,
}

impl SharedStore {
    fn new(url: Secret) -> SharedStore {
        SharedStore { key: Folder::new("shared-key"), url }
    }

    fn settings(&self) -> Vec<String> {
        let key = self.key.path().join("server.key");
        vec![format!("store.url={}", self.url.expose()), format!("store.key_file={}", key.display())]
    }

    fn server(&self, name: &str) -> Server {
        let settings = self.settings();
        Server::start(name, &settings.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A place among the tests that run at once; free again when it is let go.
struct Turn;

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

impl Turn {
    fn take() -> Turn {
        let mut running = RUNNING.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while *running >= AT_ONCE {
            running = RUNNING.1.wait(running).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *running += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) -= 1;
        RUNNING.1.notify_one();
    }
}

fn caller_of(server: &Server, name: &str, conference_id: &str) -> Caller {
    let caller = Caller::dial(server.sip, Dial { from: name.to_owned(), ..Dial::from("127.0.0.1") });
    caller.wait_established();
    caller.press(conference_id);
    caller
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn new_pin(output: &Output) -> String {
    json(output)["pin"].as_str().unwrap().to_owned()
}

fn other_pin(pin: &str) -> String {
    pin.bytes().map(|digit| char::from(b'0' + (digit - b'0' + 3) % 10)).collect()
}

/// He has heard that his PIN is not valid, and is asked again.
const BREATH: Duration = Duration::from_millis(1_200);

fn post(server: &Server, path: &str, body: &serde_json::Value) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(SOON)).build();
    let agent: ureq::Agent = config.into();
    let url = format!("http://{}/api/v1{path}", server.http);
    agent.post(&url).send_json(body).unwrap().status().as_u16()
}

/// Both begin on an empty store in the same moment: each tells the truth about the one link that there is.
#[test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
fn on_postgres_two_servers_that_start_at_once_tell_the_same_link() {
    let _turn = Turn::take();
    let store = SharedStore::new(new_database());
    let (one, two) = std::thread::scope(|scope| {
        let two = scope.spawn(|| store.server("second"));
        (store.server("first"), two.join().unwrap())
    });
    let link = |server: &Server| {
        let line = server.wait_for_line("/first-administrator#", SOON);
        line.split_once('#').unwrap().1.trim().to_owned()
    };
    assert_eq!(link(&one), link(&two));
    let body = |name: &str| serde_json::json!({"link": link(&one), "name": name, "password": "correct horse battery"});
    assert_eq!(post(&two, "/first-administrator", &body("anna")), 200);
    assert_eq!(
        post(&one, "/first-administrator", &body("mallory")),
        422,
        "it has been used, whichever server is asked"
    );
    let sign_in = serde_json::json!({"name": "anna", "password": "correct horse battery"});
    assert_eq!(post(&one, "/session", &sign_in), 200);
    // Another start has no link to tell.
    let three = store.server("third");
    three.wait_for_line("the server is ready", SOON);
    assert_eq!(three.get("/healthz").0, 200);
    assert!(!three.log_text().contains("/first-administrator#"));
}

/// What is reset by one server's shell, the next digit on the other server knows.
#[test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
fn on_postgres_a_reset_at_one_server_holds_for_the_next_digit_at_the_other() {
    let _turn = Turn::take();
    let store = SharedStore::new(new_database());
    let (one, two) = (store.server("one"), store.server("two"));
    // Long ones stand in no log by chance, as a port or a part of a second.
    assert!(one.command(&["settings", "set", "pin_length", "12"]).status.success());
    let Organizer { conference_id, pin: first, .. } = one.enable("anna@example.com");
    let anna = caller_of(&two, "anna", &conference_id);
    two.wait_for_line("is asked whether this is the organizer", SOON);

    // Two administrators in the same moment, one at each machine: two PINs, one of which holds.
    let reset = |server: &Server| new_pin(&server.command(&["user", "reset-pin", "anna@example.com", "--json"]));
    let (second, third) = std::thread::scope(|scope| {
        let third = scope.spawn(|| reset(&two));
        (reset(&one), third.join().unwrap())
    });
    let audit = json(&two.command(&["audit", "--json"])).to_string();
    assert_eq!(audit.matches("user.reset-pin").count(), 2, "{audit}");
    assert!(!audit.contains(PASSWORD));

    anna.press(&format!("*{first}#"));
    two.wait_for_line("entered a wrong PIN", SOON);
    std::thread::sleep(BREATH);
    anna.press(&format!("{second}#"));
    // Either the second or the third was the later one.
    let (wrong, right) = ("entered a wrong PIN", "entered the right PIN");
    let deadline = std::time::Instant::now() + SOON;
    let second_holds = loop {
        let log = two.log_text();
        match (log.matches(wrong).count(), log.matches(right).count()) {
            (1, 1) => break true,
            (2, 0) => break false,
            _ => assert!(std::time::Instant::now() < deadline, "{log}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !second_holds {
        std::thread::sleep(BREATH);
        anna.press(&format!("{third}#"));
    }
    two.wait_for_line("is in the meeting", SOON);
    let late = caller_of(&one, "anna", &conference_id);
    one.wait_for_line("is asked whether this is the organizer", SOON);
    late.press(&format!("*{}#", if second_holds { &third } else { &second }));
    one.wait_for_line(wrong, SOON);

    // The old conference ID is refused at once, at both; the new one leads on.
    let new = json(&one.command(&["user", "reset-conference-id", "anna@example.com", "--json"]));
    let new = new["conference_id"].as_str().unwrap().to_owned();
    let ben = caller_of(&two, "ben", &conference_id);
    two.wait_for_line("entered a conference ID that leads nowhere", SOON);
    std::thread::sleep(BREATH);
    ben.press(&new);
    two.wait_for_lines("entered a conference ID that exists", 2, SOON);
    one.assert_keys_unlogged(&[&first, &second, &third]);
    two.assert_keys_unlogged(&[&first, &second, &third]);
}

/// A caller who goes to the other server brings his wrong entries with him.
#[test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
fn on_postgres_wrong_entries_count_across_servers() {
    let _turn = Turn::take();
    let store = SharedStore::new(new_database());
    let (one, two) = (store.server("one"), store.server("two"));
    let Organizer { conference_id, pin, .. } = one.enable("anna@example.com");
    json(&two.command(&["settings", "set", "budget_caller_pins", "4", "--json"]));
    for server in [&one, &two] {
        let mallory = caller_of(server, "mallory", &conference_id);
        server.wait_for_line("is asked whether this is the organizer", SOON);
        mallory.press("*");
        for tries in 1..=2 {
            mallory.press(&format!("{}#", other_pin(&pin)));
            server.wait_for_lines("entered a wrong PIN", tries, SOON);
            std::thread::sleep(BREATH);
        }
    }
    let counts = json(&one.command(&["budget", "list", "--json"]));
    let count = counts.as_array().unwrap().iter().find(|count| count["budget"] == "caller-pins").unwrap();
    assert_eq!(count["count"], 4, "{counts}");
    for (server, had) in [(&one, 1), (&two, 1)] {
        let mallory = caller_of(server, "mallory", &conference_id);
        server.wait_for_lines("is asked whether this is the organizer", had + 1, SOON);
        mallory.press(&format!("*{pin}#"));
        server.wait_for_line("has no further try of a PIN", SOON);
        assert!(!server.log_text().contains("entered the right PIN"));
    }
    // Cleared by one, and somebody else was never kept out.
    let anna = caller_of(&two, "anna", &conference_id);
    two.wait_for_lines("is asked whether this is the organizer", 3, SOON);
    anna.press(&format!("*{pin}#"));
    two.wait_for_line("is in the meeting", SOON);
    json(&two.command(&["budget", "clear", "--organizer", "anna@example.com", "--json"]));
    json(&two.command(&["budget", "clear", "--all", "--json"]));
    let mallory = caller_of(&one, "mallory", &conference_id);
    one.wait_for_lines("is asked whether this is the organizer", 3, SOON);
    mallory.press(&format!("*{pin}#"));
    one.wait_for_line("entered the right PIN", SOON);
}

/// From the file of one machine to the database of several, by the shell: then the same caller has the same conference ID
/// and PIN.
#[test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
fn on_postgres_a_server_goes_on_with_the_copy_of_a_file() {
    let _turn = Turn::take();
    let mut embedded = Server::start("embedded", &[]);
    let anna = embedded.enable("anna@example.com");
    embedded.terminate();
    assert_eq!(embedded.wait(SOON), 0);
    let from = format!("sqlite:{}", embedded.folder().join("anteroom.db").display());
    let store = SharedStore::new(new_database());
    std::fs::copy(embedded.folder().join("anteroom.key"), store.key.path().join("server.key")).unwrap();
    let nowhere = embedded.command(&["store", "copy", &from.replace("anteroom.db", "nothing.db"), store.url.expose()]);
    let errors = String::from_utf8(nowhere.stderr).unwrap();
    assert_eq!((nowhere.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("nothing.db"), "{errors}");

    let copied = embedded.command(&["store", "copy", &from, store.url.expose(), "--json"]);
    let progress = String::from_utf8_lossy(&copied.stderr).into_owned();
    assert!(progress.contains("users: 2 of 2 rows") && !progress.contains(PASSWORD), "{progress}");
    let users = json(&copied).as_array().unwrap().iter().find(|copied| copied["table"] == "users").cloned();
    assert_eq!(users.unwrap()["rows"], 2, "the example of a first start too");
    let again = embedded.command(&["store", "copy", &from, store.url.expose()]);
    let errors = String::from_utf8(again.stderr).unwrap();
    assert_eq!((again.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("is in use") && !errors.contains(PASSWORD), "{errors}");

    let server = store.server("copied");
    assert_eq!(json(&server.command(&["store", "check", "--json"])), serde_json::json!([]));
    assert_eq!(json(&server.command(&["store", "migrate", "--json"])), true);
    let caller = caller_of(&server, "anna", &anna.conference_id);
    server.wait_for_line("is asked whether this is the organizer", SOON);
    caller.press(&format!("*{}#", anna.pin));
    server.wait_for_line("is in the meeting", SOON);
    let next = server.enable("ben@example.com");
    assert_ne!(next.conference_id, anna.conference_id);
}

/// The database dies with its machine, and comes back. Nobody loses his call or place, nobody is let in unchecked, and
/// nothing has to be started again.
#[test]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
fn on_postgres_a_database_that_goes_away_costs_nobody_his_call() {
    const NO_ANSWER: &str = "the credential store did not answer";
    let _turn = Turn::take();
    let mut cluster = Cluster::start();
    let store = SharedStore::new(cluster.new_database());
    let server = store.server("away");
    let anna = server.enable("anna@example.com");
    let zoe = server.enable("zoe@example.com");
    let ben = caller_of(&server, "ben", &anna.conference_id);
    server.wait_for_line("waits in the lobby", SOON);
    let caller = caller_of(&server, "anna", &anna.conference_id);
    server.wait_for_lines("is asked whether this is the organizer", 2, SOON);
    let leader = caller_of(&server, "zoe", &zoe.conference_id);
    server.wait_for_lines("is asked whether this is the organizer", 3, SOON);
    leader.press(&format!("*{}#", zoe.pin));
    server.wait_for_line("is in the meeting", SOON);

    cluster.kill();
    caller.press(&format!("*{}#", anna.pin));
    server.wait_for_line(NO_ANSWER, SOON);
    let late = caller_of(&server, "late", &anna.conference_id);
    server.wait_for_lines(NO_ANSWER, 2, SOON);
    let later = caller_of(&server, "later", &anna.conference_id);
    server.wait_for_lines(NO_ANSWER, 3, SOON);
    for call in [&ben, &caller, &leader, &late, &later] {
        call.wait_heard(25);
        assert!(!call.has_ended());
    }
    assert_eq!(server.log_text().matches("is in the meeting").count(), 1, "nobody is let in unchecked");
    assert_eq!(server.get("/healthz").0, 200, "calls go on: it is no reason to kill the server");
    let output = server.command(&["user", "reset-pin", "anna@example.com"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("postgres") && !errors.contains(PASSWORD), "{errors}");

    later.hang_up();
    server.wait_for_records(1, SOON);
    cluster.revive();
    caller.press(&format!("{}#", anna.pin));
    server.wait_for_lines("is in the meeting", 3, SOON);
    late.press(&anna.conference_id);
    server.wait_for_lines("is in the meeting", 4, SOON);
    server.wait_for_line("the store answers again", SOON);
    // The reset that could not be done has left nothing; the next one is whole.
    let audit = json(&server.command(&["audit", "--json"])).to_string();
    assert!(!audit.contains("user.reset-pin"), "{audit}");
    new_pin(&server.command(&["user", "reset-pin", "anna@example.com", "--json"]));
    // A call that ended meanwhile is in the store too.
    drop((ben, caller, leader, late));
    server.wait_for_records(5, SOON);
    let deadline = std::time::Instant::now() + SOON;
    while ask(&store.url, "SELECT count(*) FROM call_records") != "5" {
        assert!(std::time::Instant::now() < deadline, "the records of five calls");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.assert_keys_unlogged(&[&anna.pin, &zoe.pin, PASSWORD]);
}
