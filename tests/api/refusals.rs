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
    administrator.send("POST", "/numbers", Some(&json!({"number": "my number"}))).assert_problem(422, "invalid");
    administrator.send("DELETE", "/numbers/77", None).assert_problem(404, "not-there");
    administrator.send("POST", "/alerts/77/clear", None).assert_problem(404, "not-there");
    administrator.send("POST", "/outbox/77/retry", None).assert_problem(404, "not-there");
    for path in ["reset-pin", "reset-conference-id", "disable", "send-info"] {
        let nobody = administrator.send("POST", &format!("/users/nobody@example.com/{path}"), None);
        nobody.assert_problem(404, "no-user");
    }
    administrator.send("POST", "/live/meeting-7/admit", None).assert_problem(404, "gone");
    administrator.send("POST", "/live/7up/admit", None).assert_problem(422, "invalid");
    administrator.send("POST", "/live/calls/call-7/mute", None).assert_problem(404, "gone");
    administrator.get("/users/bob@example.com").assert_problem(404, "no-user");
}

#[test]
fn what_is_asked_for_and_can_t_be_done_now_is_a_conflict_and_changes_nothing() {
    let site = Site::start("conflicts", &[]);
    let administrator = &site.administrator;
    site.enable("anna@example.com");
    let before = administrator.get("/audit").text;
    let user = |path: &str, body: serde_json::Value| {
        administrator.send("POST", &format!("/users/anna@example.com/{path}"), Some(&body))
    };
    for path in ["reset-pin", "reset-conference-id", "disable"] {
        user(path, json!({"send_email": true})).assert_problem(409, "no-mail");
        let both = json!({"send_email": false, "send_email_to": "a@example.com"});
        user(path, both).assert_problem(422, "invalid");
    }
    user("send-info", json!({})).assert_problem(409, "no-mail");
    let unknown = json!({"number": "+1 555"});
    administrator.send("PATCH", "/users/anna@example.com", Some(&unknown)).assert_problem(404, "not-there");
    administrator.send("PATCH", "/users/anna@example.com", Some(&json!({}))).assert_problem(422, "invalid");
    administrator.send("PATCH", "/accounts/admin", Some(&json!({"role": "user"}))).assert_problem(409, "conflict");
    administrator.send("PATCH", "/accounts/admin", Some(&json!({"role": "king"}))).assert_problem(422, "invalid");
    administrator.send("PATCH", "/accounts/nobody", Some(&json!({"role": "user"}))).assert_problem(404, "not-there");
    let past = json!({"organizer": "anna@example.com", "subject": "x", "starts_at": "2090-01-02T00:00:00Z",
                      "ends_at": "2090-01-01T00:00:00Z"});
    administrator.send("POST", "/meetings", Some(&past)).assert_problem(422, "invalid");
    assert_eq!(administrator.get("/audit").text, before);
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
fn a_list_is_worked_through_line_by_line_and_a_broken_line_costs_nobody_else() {
    let site = Site::start("bulk", &[]);
    let send = |query: &str, csv: &str| {
        let path = format!("/api/v1/users/bulk?{query}");
        site.administrator.send_raw("POST", &path, Some("text/csv"), csv.as_bytes().to_vec())
    };
    let csv = "identity,name\nanna@example.com,Anna\nnot an identity,x\nbob@example.com,Bob\n";
    let answer = send("action=enable", csv);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let lines: Vec<serde_json::Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let results: Vec<_> = lines.iter().filter(|line| line["line"].is_u64()).collect();
    let outcomes: Vec<_> = results.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["enabled", "failed", "enabled"], "{}", answer.text);
    assert_eq!(lines.iter().filter_map(|line| line["done"].as_u64()).max(), Some(3), "{}", answer.text);
    assert_eq!(results[1]["line"], 3);
    assert!(results[0]["pin"].is_string() && results[1]["error"].is_string(), "{}", answer.text);
    assert_eq!(site.administrator.get("/users/bob@example.com").status, 200);

    send("action=delete", csv).assert_problem(422, "invalid");
    send("action=enable", "no heading\n").assert_problem(422, "invalid");
    send("", csv).assert_problem(400, "query");
    // Larger than any form, and taken.
    let long = "identity\n".to_owned() + &"\n".repeat(200_000);
    assert_eq!(send("action=enable", &long).status, 200);
}
