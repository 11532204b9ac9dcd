//! What is shown once is found nowhere afterwards: not in an answer or a page, not in the log, the call records or the
//! figures, and not in the store.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::caller::{Caller, SOON};
use crate::client::{Answer, Client, PASSWORD, Site};
use crate::postbox::Postbox;

const ANNA: &str = "/users/anna@example.com";

/// He hears first that his entry is not valid.
const BREATH: Duration = Duration::from_millis(1_200);

/// A page of the console.
fn page(browser: &Client, path: &str) -> Answer {
    let answer = browser.send_raw("GET", path, None, Vec::new());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer
}

/// What the page shows this one time, from its own element: among all that a page holds, the token of its forms too can
/// have twelve digits in a row.
fn shown_once(text: &str) -> Option<String> {
    let (_, element) = text.split_once("id=\"once-value\"")?;
    let (_, value) = element.split_once('>')?;
    value.split_once('<').map(|(value, _)| value.to_owned())
}

fn wait_for_mail(postbox: &Postbox, pin: &str) {
    let patience = Instant::now() + SOON;
    while !postbox.mails().iter().any(|mail| mail.contains(pin)) {
        assert!(Instant::now() < patience, "no mail with this PIN in {:?}", postbox.mails());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_outbox(administrator: &Client, is: impl Fn(&[Value]) -> bool) {
    let patience = Instant::now() + SOON;
    loop {
        let outbox = administrator.get("/outbox").json();
        if is(outbox["items"].as_array().unwrap()) {
            return;
        }
        assert!(Instant::now() < patience, "{outbox}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_pin_is_found_nowhere_after_its_one_showing() {
    let postbox = Postbox::open();
    let smtp = format!("mail.smtp=127.0.0.1:{}", postbox.port);
    let site = Site::start("secrets", &[&smtp, "mail.tls=none", "mail.from=anteroom@example.com"]);
    let administrator = &site.administrator;
    // Twelve digits: no key, port or time stamp has so many, and none of them is hit by chance.
    let set = administrator.send("PUT", "/settings/pin_length", Some(&json!({"value": "12"})));
    assert_eq!(set.status, 200, "{}", set.text);

    // Four PINs, each made in another way. The first two go out by mail, the third waits in the outbox.
    let body = json!({"email": "anna@example.com"});
    let enabled = administrator.send("PUT", ANNA, Some(&body));
    assert_eq!(enabled.status, 201, "{}", enabled.text);
    let text = |answer: &Answer, key: &str| answer.json()[key].as_str().unwrap().to_owned();
    let (conference_id, first) = (text(&enabled, "conference_id"), text(&enabled, "pin"));
    wait_for_mail(&postbox, &first);
    let second = text(&administrator.send("POST", &format!("{ANNA}/reset-pin"), None), "pin");
    wait_for_mail(&postbox, &second);
    wait_for_outbox(administrator, |mails| mails.len() == 2 && mails.iter().all(|mail| mail["state"] == "sent"));
    let typed = bad_and_good_entries(&site, &conference_id, &second);
    postbox.close();
    let form = format!("csrf={}", administrator.csrf.as_ref().unwrap()).into_bytes();
    let reset =
        administrator.send_raw("POST", &format!("{ANNA}/reset-pin"), Some("application/x-www-form-urlencoded"), form);
    assert_eq!(reset.status, 303, "{}", reset.text);
    let third = shown_once(&page(administrator, ANNA).text).expect("the page shows it once");
    assert!(page(administrator, ANNA).text.contains("***********"));
    let output = site.server.command(&["user", "reset-pin", "anna@example.com", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fourth = shown["pin"].as_str().unwrap().to_owned();
    wait_for_outbox(administrator, |mails| mails.iter().any(|mail| mail["last_error"].is_string()));
    assert!(!postbox.mails().iter().any(|mail| mail.contains(&third) || mail.contains(&fourth)));

    // And what else is told once.
    let made = administrator.send("POST", "/tokens", Some(&json!({"label": "x", "role": "operator"})));
    let token = text(&made, "secret");
    let made = administrator.send("POST", "/accounts", Some(&json!({"name": "oscar", "role": "operator"})));
    let link = text(&made, "link");
    let cookie = administrator.cookie.as_ref().unwrap().split_once('=').unwrap().1.to_owned();
    // A page's forms carry its csrf token; the API's answers and everything that is kept don't.
    let csrf = administrator.csrf.clone().unwrap();

    let pins = [("PIN 1", &first), ("PIN 2", &second), ("PIN 3", &third), ("PIN 4", &fourth), ("wrong PIN", &typed)];
    assert!(pins.iter().all(|(_, pin)| pin.len() == 12 && pin.bytes().all(|digit| digit.is_ascii_digit())));
    let password = PASSWORD.to_owned();
    let others = [("token", &token), ("link", &link), ("cookie", &cookie), ("password", &password)];
    for (place, text) in places(&site) {
        for (name, secret) in pins.into_iter().chain(others) {
            assert!(!text.contains(secret.as_str()), "the {name} is in {place}");
        }
        assert!(place.starts_with("page ") || !text.contains(&csrf), "the csrf token is in {place}");
    }
    assert_eq!(administrator.get(ANNA).json()["pin"], "***********");
    site.server.assert_keys_unlogged(&[&first, &second, &third, &fourth, &typed]);
}

/// A caller types a wrong PIN and the right one, and hangs up. The wrong one.
fn bad_and_good_entries(site: &Site, conference_id: &str, pin: &str) -> String {
    let wrong: String = pin.bytes().map(|digit| char::from(b'0' + (digit - b'0' + 3) % 10)).collect();
    let caller = Caller::call(site.server.sip, "127.0.0.1");
    caller.wait_established();
    caller.press(conference_id);
    site.server.wait_for_line("is asked whether this is the organizer", SOON);
    caller.press(&format!("*{wrong}#"));
    site.server.wait_for_line("entered a wrong PIN", SOON);
    std::thread::sleep(BREATH);
    caller.press(&format!("{pin}#"));
    site.server.wait_for_line("entered the right PIN", SOON);
    caller.hang_up();
    site.server.wait_for_records(1, SOON);
    wrong
}

/// Everything that somebody could look into, by name.
fn places(site: &Site) -> Vec<(String, String)> {
    let (server, administrator) = (&site.server, &site.administrator);
    let mut places =
        vec![("the log".to_owned(), server.log_text()), ("the figures".to_owned(), server.get("/metrics").1)];
    for path in [
        "/users",
        "/users?disabled=true",
        ANNA,
        "/audit",
        "/settings",
        "/budgets",
        "/accounts",
        "/accounts/oscar",
        "/tokens",
        "/live",
        "/calls",
        "/alerts?cleared=true",
        "/outbox",
        "/numbers",
        "/meetings",
        "/mail-texts",
    ] {
        let answer = administrator.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        places.push((format!("answer {path}"), answer.text));
    }
    for path in ["/", "/users", ANNA, "/audit", "/outbox", "/settings", "/accounts", "/numbers", "/meetings", "/live"] {
        places.push((format!("page {path}"), page(administrator, path).text));
    }
    for command in [["user", "list"], ["user", "show"], ["audit", ""], ["outbox", "list"], ["budget", "list"]] {
        let mut arguments: Vec<_> = command.into_iter().filter(|word| !word.is_empty()).collect();
        arguments.extend((command[1] == "show").then_some("anna@example.com"));
        let output = server.command(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        places.push((format!("the shell: {arguments:?}"), String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    for entry in std::fs::read_dir(server.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            places.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    if let Some(dump) = server.dump_of_database() {
        places.push(("the database".to_owned(), dump));
    }
    let in_store = |place: &str| place.ends_with(".db") || place.ends_with(".db-wal") || place == "the database";
    assert!(places.iter().any(|(place, text)| in_store(place) && text.contains("anna@example.com")));
    places
}
