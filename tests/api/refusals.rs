//! Wrong requests: each gets a problem that says what is wrong, and changes nothing.

use serde_json::json;

use crate::client::{Client, Site};

#[test]
fn wrong_bodies_queries_paths_and_methods() {
    let site = Site::start("refusals", &[]);
    let administrator = &site.administrator;
    let raw = |content: Option<&str>, body: &str| {
        administrator.send_raw("PUT", "/api/v1/users/bob@example.com", content, body.as_bytes().to_vec())
    };
    let json_type = Some("application/json");
    raw(json_type, "{").assert_problem(400, "json");
    raw(json_type, "{\"name\": ").assert_problem(400, "json");
    raw(json_type, r#"{"name": 1}"#).assert_problem(422, "invalid");
    raw(json_type, r#"{"nmae": "Bob"}"#).assert_problem(422, "invalid");
    raw(json_type, "\"text\"").assert_problem(422, "invalid");
    raw(Some("text/plain"), "{}").assert_problem(415, "media-type");
    raw(json_type, &format!("{{\"name\": {}", "[".repeat(60_000))).assert_problem(422, "invalid");
    raw(json_type, &"x".repeat(70_000)).assert_problem(413, "body");

    for (path, status, kind) in [
        ("/users?limit=0", 422, "invalid"),
        ("/users?limit=1001", 422, "invalid"),
        ("/users?limit=many", 400, "query"),
        ("/users?lmit=5", 400, "query"),
        ("/users/a%20b", 422, "invalid"),
        ("/users/%ff", 400, "path"),
        ("/users/nobody@example.com", 404, "no-user"),
        ("/nothing", 404, "nothing-here"),
        ("/audit?limit=0", 422, "invalid"),
    ] {
        administrator.get(path).assert_problem(status, kind);
    }
    administrator.send("DELETE", "/users", None).assert_problem(405, "method");
    administrator.send("PUT", "/settings/pin_length", Some(&json!({"value": "3"}))).assert_problem(422, "setting");
    administrator.send("PUT", "/settings/pin_length", Some(&json!({"value": "13"}))).assert_problem(422, "setting");
    administrator.send("PUT", "/settings/nothing", Some(&json!({"value": "1"}))).assert_problem(422, "setting");
    administrator.send("POST", "/live/meeting-7/admit", None).assert_problem(404, "gone");
    administrator.send("POST", "/live/7up/admit", None).assert_problem(422, "invalid");
    administrator.send("POST", "/live/calls/call-7/mute", None).assert_problem(404, "gone");
    administrator.get("/users/bob@example.com").assert_problem(404, "no-user");
}

#[test]
fn every_answer_tells_the_browser_what_to_refuse() {
    let site = Site::start("headers", &[]);
    let nobody = Client::new(&site.server);
    let answers = [
        site.administrator.get("/users"),
        nobody.get("/users"),
        nobody.send_raw("GET", "/nothing", None, Vec::new()),
        nobody.send_raw("GET", "/healthz", None, Vec::new()),
        site.administrator.send("PUT", "/users/a@example.com", None),
    ];
    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(answer.header("strict-transport-security").is_empty(), "only over TLS");
    }
}

#[test]
fn lists_come_in_pages_and_enabling_twice_changes_nothing() {
    let site = Site::start("paging", &[]);
    for number in 0..7 {
        site.enable(&format!("user{number}@example.com"));
    }
    let (mut path, mut seen) = ("/users?limit=3".to_owned(), Vec::new());
    loop {
        let page = site.administrator.get(&path).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|user| user["identity"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/users?limit=3&after={next}");
    }
    // The example organizer of a first start is among them.
    let users: Vec<_> = seen.iter().filter(|identity| identity.starts_with("user")).collect();
    assert_eq!(users.len(), 7);
    assert!(seen.is_sorted(), "{seen:?}");

    let found = site.administrator.get("/users?search=USER3").json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let before = site.administrator.get("/users/user3@example.com").text;
    let again = site.administrator.send("PUT", "/users/user3@example.com", Some(&json!({"name": "Other"})));
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(site.administrator.get("/users/user3@example.com").text, before);
}
