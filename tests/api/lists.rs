//! Lists come in pages that add up to the whole, whatever they are of.

use serde_json::{Value, json};

use crate::client::Site;

/// All rows of a list, page by page.
fn all(site: &Site, path: &str, limit: usize) -> Vec<Value> {
    let join = if path.contains('?') { '&' } else { '?' };
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = site.administrator.get(&format!("{path}{join}limit={limit}{after}"));
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        let page = page.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{page}");
        rows.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        assert_eq!(items.len(), limit, "only the last page is short: {page}");
        assert!(rows.len() < 1_000, "{path} has no end");
        after = format!("&after={next}");
    }
}

#[test]
fn pages_add_up_to_the_whole_list() {
    let site = Site::start("lists", &[]);
    let administrator = &site.administrator;
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    for number in 0..5_i64 {
        let user = format!("user{number}@example.com");
        site.enable(&user);
        let account = json!({"name": format!("account{number}"), "role": "operator"});
        assert_eq!(administrator.send("POST", "/accounts", Some(&account)).status, 201);
        // Some of them begin at the same time.
        let starts_at = tomorrow + jiff::SignedDuration::from_hours(number / 2);
        let (starts_at, ends_at) =
            (starts_at.to_string(), (starts_at + jiff::SignedDuration::from_hours(1)).to_string());
        let plan = json!({"organizer": user, "subject": "Plans", "starts_at": starts_at, "ends_at": ends_at});
        assert_eq!(administrator.send("POST", "/meetings", Some(&plan)).status, 201);
    }
    for (path, at_least) in [
        ("/users", 5),
        ("/users?search=EXAMPLE", 5),
        ("/users?disabled=true", 5),
        ("/accounts", 6),
        ("/accounts?search=account", 5),
        ("/meetings", 5),
        ("/meetings?organizer=user1@example.com", 1),
        ("/audit", 15),
        ("/audit?search=user.enable", 5),
        ("/alerts", 0),
        ("/calls", 0),
        ("/outbox", 0),
    ] {
        let whole = all(&site, path, 1_000);
        assert!(whole.len() >= at_least, "{path}: {whole:?}");
        for limit in [1, 2, whole.len().max(1)] {
            assert_eq!(all(&site, path, limit), whole, "{path} by {limit}");
        }
    }
    let meetings = all(&site, "/meetings", 2);
    assert!(meetings.is_sorted_by_key(|meeting| meeting["starts_at"].as_str().unwrap().to_owned()));
}

#[test]
fn what_is_done_twice_is_done_once() {
    let site = Site::start("twice", &[]);
    let administrator = &site.administrator;
    site.enable("anna@example.com");
    let lines = || all(&site, "/audit", 1_000).len();
    let same = |method: &str, path: &str, body: Option<&Value>| {
        let first = administrator.send(method, path, body);
        assert!((200..300).contains(&first.status), "{path}: {}", first.text);
        let before = lines();
        let second = administrator.send(method, path, body);
        assert_eq!(second.status, 200, "{path}: {}", second.text);
        assert_eq!(lines(), before, "{path} did something the second time");
        (first, second)
    };
    // The PIN is shown to the one who was first, and the mail would go out once.
    let (first, second) = same("PUT", "/users/bob@example.com", Some(&json!({"name": "Bob"})));
    assert!(first.status == 201 && first.json()["pin"].is_string(), "{}", first.text);
    assert_eq!(second.json()["pin"], "***********");
    assert_eq!(second.json()["conference_id"], first.json()["conference_id"]);
    administrator.send("POST", "/accounts", Some(&json!({"name": "oscar", "role": "operator"})));
    same("PATCH", "/accounts/oscar", Some(&json!({"role": "administrator"})));
    same("PATCH", "/accounts/oscar", Some(&json!({"disabled": true})));
    // What can't be done twice says so.
    assert_eq!(administrator.send("POST", "/users/bob@example.com/disable", None).status, 200);
    administrator.send("POST", "/users/bob@example.com/disable", None).assert_problem(409, "not-enabled");
    administrator.send("POST", "/users/bob@example.com/reset-pin", None).assert_problem(409, "not-enabled");
    administrator
        .send("POST", "/accounts", Some(&json!({"name": "oscar", "role": "operator"})))
        .assert_problem(409, "conflict");
}
