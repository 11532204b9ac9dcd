//! Who may what: each operation of the description, asked by nobody and by each role.

use serde_json::Value;

use crate::client::{Client, Site};

/// The least role that each operation is for. `anybody`: without sign-in.
const OPERATIONS: &[(&str, &str)] = &[
    ("sign_in", "anybody"),
    ("first_administrator", "anybody"),
    ("set_password", "anybody"),
    ("show_session", "user"),
    ("sign_out", "user"),
    ("show_user", "operator"),
    ("list_users", "operator"),
    ("live", "operator"),
    ("events", "operator"),
    ("list_calls", "operator"),
    ("list_alerts", "operator"),
    ("clear_alert", "operator"),
    ("admit", "operator"),
    ("lock", "operator"),
    ("unlock", "operator"),
    ("mute_all", "operator"),
    ("unmute_all", "operator"),
    ("end", "operator"),
    ("mute", "operator"),
    ("unmute", "operator"),
    ("remove", "operator"),
    ("list_numbers", "user"),
    ("list_meetings", "user"),
    ("schedule_meeting", "user"),
    ("show_meeting", "user"),
    ("change_meeting", "user"),
    ("cancel_meeting", "user"),
    ("invitation", "user"),
    ("calendar", "user"),
    ("start_meeting", "user"),
    ("change_password", "session"),
    ("bulk", "administrator"),
    ("list_mail_texts", "administrator"),
    ("show_mail_text", "administrator"),
    ("replace_mail_text", "administrator"),
    ("restore_mail_text", "administrator"),
    ("add_number", "administrator"),
    ("change_number", "administrator"),
    ("remove_number", "administrator"),
    ("list_outbox", "administrator"),
    ("retry_mail", "administrator"),
    ("enable_user", "administrator"),
    ("change_user", "administrator"),
    ("disable_user", "administrator"),
    ("reset_pin", "administrator"),
    ("reset_conference_id", "administrator"),
    ("send_info", "administrator"),
    ("list_settings", "administrator"),
    ("set_setting", "administrator"),
    ("list_budgets", "administrator"),
    ("clear_budgets", "administrator"),
    ("list_audit", "administrator"),
    ("list_accounts", "administrator"),
    ("add_account", "administrator"),
    ("show_account", "administrator"),
    ("change_account", "administrator"),
    ("make_link", "administrator"),
    ("list_tokens", "administrator"),
    ("make_token", "administrator"),
    ("revoke_token", "administrator"),
];

#[test]
fn each_operation_is_for_its_role_and_refused_to_those_below() {
    let site = Site::start("roles", &[]);
    site.enable("anna@example.com");
    let description = site.administrator.send_raw("GET", "/api/openapi.json", None, Vec::new());
    assert_eq!(description.status, 200);
    let description = description.json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));

    let askers = [
        ("anybody", Client::new(&site.server)),
        ("user", site.program("user", Some("anna@example.com"))),
        ("operator", site.program("operator", None)),
        ("administrator", site.program("administrator", None)),
    ];
    let rank = |role: &str| askers.iter().position(|(name, _)| *name == role);
    let mut described = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            described.push(name.to_owned());
            let least = OPERATIONS.iter().find(|(other, _)| *other == name);
            let (_, least) = least.unwrap_or_else(|| panic!("say in OPERATIONS for whom {name} is"));
            assert_answers_described(operation, name);
            if name == "events" {
                continue; // A stream that does not end: see below.
            }
            // Somebody whom there is not, so that nothing happens where it is allowed.
            let path = path
                .replace("{identity}", "nobody@example.com")
                .replace("{meeting}", "meeting-99")
                .replace("{call}", "call-99")
                .replace("{conference_id}", "0000000")
                .replace("{key}", "99999")
                .replace("{name}", "nobody");
            for (role, client) in &askers {
                // A body that is none: whoever may not is refused before it is read.
                let (content, body) = match method.as_str() {
                    "get" | "delete" => (None, Vec::new()),
                    _ => (Some("application/json"), b"?".to_vec()),
                };
                let answer = client.send_raw(&method.to_uppercase(), &path, content, body);
                let status = answer.status;
                let what = format!("{name} asked by {role}: {status} {}", answer.text);
                assert!(status < 500, "{what}");
                match (rank(least), rank(role)) {
                    _ if *role == "anybody" && *least != "anybody" => assert_eq!(status, 401, "{what}"),
                    (Some(least), Some(rank)) if rank < least => assert_eq!(status, 403, "{what}"),
                    _ => assert!(status != 401 && status != 403 || *least == "session", "{what}"),
                }
            }
        }
    }
    for (name, _) in OPERATIONS {
        assert!(described.iter().any(|other| other == name), "{name} is not described");
    }
}

/// Every operation says what it answers, its problems among it.
fn assert_answers_described(operation: &Value, name: &str) {
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
    for status in ["400", "401", "403", "404", "422", "503"] {
        let content = &responses[status]["content"]["application/problem+json"];
        assert!(content.is_object(), "{name} does not describe {status}");
    }
    assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
}

#[test]
fn nobody_is_served_anything_but_health() {
    let site = Site::start("nobody", &["http.metrics=false"]);
    let nobody = Client::new(&site.server);
    let get = |path: &str| nobody.send_raw("GET", path, None, Vec::new()).status;
    assert_eq!(get("/healthz"), 200);
    assert_eq!(get("/metrics"), 404);
    assert_eq!(get("/api/openapi.json"), 401);
    assert_eq!(get("/api/v1/events"), 401);
    let forged = Client { token: Some("anteroom_".to_owned() + &"0".repeat(64)), ..nobody.clone() };
    forged.get("/session").assert_problem(401, "not-signed-in");
    let forged = Client { cookie: Some("anteroom=".to_owned() + &"0".repeat(64)), ..nobody };
    forged.get("/session").assert_problem(401, "not-signed-in");
}

#[test]
fn a_user_sees_himself_and_nobody_else() {
    let site = Site::start("himself", &[]);
    let anna = site.enable("anna@example.com");
    site.enable("bob@example.com");
    let program = site.program("user", Some("anna@example.com"));
    assert_eq!(program.get("/users/anna@example.com").json()["conference_id"], anna.conference_id.as_str());
    // The same refusal for whom there is and whom there is not.
    let there = program.get("/users/bob@example.com");
    let not_there = program.get("/users/nobody@example.com");
    there.assert_problem(403, "not-allowed");
    assert_eq!(there.text, not_there.text);
    program.send("POST", "/users/anna@example.com/reset-pin", None).assert_problem(403, "not-allowed");
}

#[test]
fn a_token_ends_when_it_is_revoked() {
    let site = Site::start("tokens", &[]);
    let program = site.program("operator", None);
    assert_eq!(program.get("/session").json()["role"], "operator");
    let tokens = site.administrator.get("/tokens").json();
    let key = tokens["items"][0]["key"].as_u64().unwrap();
    assert!(!tokens.to_string().contains("anteroom_"), "a token is shown once");
    assert_eq!(site.administrator.send("DELETE", &format!("/tokens/{key}"), None).status, 200);
    program.get("/session").assert_problem(401, "not-signed-in");
}

#[test]
fn a_user_plans_and_starts_his_own_meetings_and_nobody_elses() {
    let site = Site::start("own-meetings", &[]);
    let anna = site.enable("anna@example.com");
    let bob = site.enable("bob@example.com");
    let program = site.program("user", Some("anna@example.com"));
    let plan = |organizer: Option<&str>| {
        let body = serde_json::json!({
            "organizer": organizer,
            "subject": "Planning",
            "starts_at": "2027-01-15T09:00:00Z",
            "ends_at": "2027-01-15T10:00:00+00:00",
        });
        program.send("POST", "/meetings", Some(&body))
    };
    let planned = plan(None);
    assert_eq!(planned.status, 201, "{}", planned.text);
    assert_eq!(planned.json()["organizer"], "anna@example.com");
    let id = planned.json()["conference_id"].as_str().unwrap().to_owned();
    plan(Some("bob@example.com")).assert_problem(403, "not-allowed");

    let calendar = program.get(&format!("/meetings/{id}/invitation.ics"));
    assert!(calendar.header("content-type").starts_with("text/calendar"), "{}", calendar.text);
    assert!(calendar.text.starts_with("BEGIN:VCALENDAR"), "{}", calendar.text);
    assert_eq!(program.get("/meetings").json()["items"].as_array().unwrap().len(), 1);

    // Another's meeting is not there for him; his own start without a PIN, and before anybody calls.
    let other = site.program("user", Some("bob@example.com"));
    other.get(&format!("/meetings/{id}")).assert_problem(404, "no-conference");
    other.send("DELETE", &format!("/meetings/{id}"), None).assert_problem(404, "no-conference");
    other.send("POST", &format!("/meetings/{id}/start"), None).assert_problem(404, "no-conference");
    assert!(other.get("/meetings").json()["items"].as_array().unwrap().is_empty());
    for his in [&id, &anna.conference_id] {
        let started = program.send("POST", &format!("/meetings/{his}/start"), None);
        assert_eq!(started.status, 200, "{}", started.text);
    }
    program.send("POST", &format!("/meetings/{}/start", bob.conference_id), None).assert_problem(404, "no-conference");
    let live = site.administrator.get("/live").json();
    let started: Vec<_> = live["meetings"].as_array().unwrap().iter().map(|of| of["started"] == true).collect();
    assert_eq!(started, [true, true], "{live}");
    assert_eq!(program.send("DELETE", &format!("/meetings/{id}"), None).status, 200);
    program.get(&format!("/meetings/{id}")).assert_problem(404, "no-conference");
}
