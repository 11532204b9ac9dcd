//! How people sign in: the first administrator, cookies, CSRF, wrong tries, links, the end.

use serde_json::json;

use crate::client::{Client, PASSWORD, Site, first_link};
use crate::support::Server;

#[test]
fn the_first_administrator_comes_from_the_printed_link_and_it_works_once() {
    let server = Server::start("first-administrator", &[]);
    let link = first_link(&server);
    let browser = Client::new(&server);
    let make = |link: &str, password: &str| {
        let body = json!({"link": link, "name": "anna", "password": password});
        browser.send("POST", "/first-administrator", Some(&body))
    };
    make(&"0".repeat(64), PASSWORD).assert_problem(422, "invalid");
    // A password that can't be taken does not use the link up.
    for easy in ["short", "aaaaaaaaaaaaaaaa"] {
        make(&link, easy).assert_problem(422, "invalid");
    }
    let made = make(&link, PASSWORD);
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.json()["role"], "administrator");
    make(&link, PASSWORD).assert_problem(422, "invalid");

    let cookie = made.header("set-cookie");
    for flag in ["anteroom=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{flag} in {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    let session = browser.signed_in(&made).get("/session");
    assert_eq!(session.json()["who"], "anna");
    // Only the link was for the terminal: no line of the log has it.
    let printed = server.log_text().lines().filter(|line| line.contains(&link)).count();
    assert_eq!(printed, 1, "the link stands on the terminal and nowhere else");
}

#[test]
fn a_session_changes_nothing_without_its_token_or_from_another_site() {
    let site = Site::start("csrf", &[]);
    let signed_in = &site.administrator;
    let enable = |client: &Client| client.send("PUT", "/users/bob@example.com", None);

    enable(&Client { csrf: None, ..signed_in.clone() }).assert_problem(403, "csrf");
    enable(&Client { csrf: Some("0".repeat(64)), ..signed_in.clone() }).assert_problem(403, "csrf");
    enable(&signed_in.with("sec-fetch-site", "cross-site")).assert_problem(403, "csrf");
    enable(&signed_in.with("sec-fetch-site", "same-site")).assert_problem(403, "csrf");
    // Reading needs no token.
    assert_eq!(Client { csrf: None, ..signed_in.clone() }.get("/users").status, 200);
    assert_eq!(enable(&signed_in.with("sec-fetch-site", "same-origin")).status, 201);
}

#[test]
fn signing_in_and_out() {
    let site = Site::start("sign-in", &[]);
    let browser = Client::new(&site.server);
    let sign_in = |name: &str, password: &str| {
        browser.send("POST", "/session", Some(&json!({"name": name, "password": password})))
    };
    let wrong_password = sign_in("admin", "not the password");
    let wrong_name = sign_in("nobody", PASSWORD);
    wrong_password.assert_problem(401, "wrong-sign-in");
    assert_eq!(wrong_password.text, wrong_name.text, "which of the two was wrong is not told");

    let first = browser.signed_in(&sign_in(" ADMIN ", PASSWORD));
    let second = browser.signed_in(&sign_in("admin", PASSWORD));
    assert_ne!(first.cookie, second.cookie);
    assert_ne!(first.csrf, second.csrf);
    let out = first.send("DELETE", "/session", None);
    assert_eq!(out.status, 204, "{}", out.text);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    first.get("/session").assert_problem(401, "not-signed-in");
    assert_eq!(second.get("/session").status, 200);

    // Another password ends every other session.
    let wrong = json!({"old": "not the password", "new": "another good one"});
    second.send("PUT", "/session/password", Some(&wrong)).assert_problem(403, "wrong-password");
    let body = json!({"old": PASSWORD, "new": "another good one"});
    let third = second.signed_in(&second.send("PUT", "/session/password", Some(&body)));
    second.get("/session").assert_problem(401, "not-signed-in");
    site.administrator.get("/session").assert_problem(401, "not-signed-in");
    assert_eq!(third.get("/session").status, 200);
    sign_in("admin", PASSWORD).assert_problem(401, "wrong-sign-in");
}

#[test]
fn wrong_tries_of_one_account_come_to_an_end_and_the_owner_still_gets_in() {
    // One trusted proxy, so that the test can be many addresses.
    let site = Site::start("tries", &["http.trusted_proxies=127.0.0.1"]);
    let from = |address: &str| Client::new(&site.server).with("x-forwarded-for", address);
    let sign_in = |address: &str, password: &str| {
        from(address).send("POST", "/session", Some(&json!({"name": "admin", "password": password})))
    };
    assert_eq!(sign_in("192.0.2.1", PASSWORD).status, 200);
    let mut refused = 0;
    for last in 1..=12 {
        refused += u32::from(sign_in(&format!("198.51.100.{last}"), "not the password").status == 429);
    }
    assert_eq!(refused, 2);
    let answer = sign_in("198.51.100.99", PASSWORD);
    answer.assert_problem(429, "too-many-tries");
    let again: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&again), "{again}");
    assert_eq!(sign_in("192.0.2.1", PASSWORD).status, 200, "strangers lock nobody out");
}

#[test]
fn an_account_begins_with_a_link_and_ends_at_once() {
    let site = Site::start("accounts", &[]);
    let administrator = &site.administrator;
    let made = administrator.send("POST", "/accounts", Some(&json!({"name": "oscar", "role": "operator"})));
    assert_eq!(made.status, 201, "{}", made.text);
    let first = made.json()["link"].as_str().unwrap().to_owned();
    let second = administrator.send("POST", "/accounts/oscar/link", None).json()["link"].as_str().unwrap().to_owned();
    let browser = Client::new(&site.server);
    let choose = |link: &str| browser.send("POST", "/set-password", Some(&json!({"link": link, "password": PASSWORD})));
    choose(&first).assert_problem(422, "invalid");
    let chosen = choose(&second);
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    choose(&second).assert_problem(422, "invalid");

    let oscar = browser.signed_in(&chosen);
    assert_eq!(oscar.get("/live").status, 200);
    oscar.get("/settings").assert_problem(403, "not-allowed");
    // A new role holds from the next request on, and so does its end.
    let role = administrator.send("PATCH", "/accounts/oscar", Some(&json!({"role": "administrator"})));
    assert_eq!(role.status, 200, "{}", role.text);
    assert_eq!(oscar.get("/settings").status, 200);
    assert_eq!(administrator.send("PATCH", "/accounts/oscar", Some(&json!({"disabled": true}))).status, 200);
    oscar.get("/session").assert_problem(401, "not-signed-in");
    browser
        .send("POST", "/session", Some(&json!({"name": "oscar", "password": PASSWORD})))
        .assert_problem(401, "wrong-sign-in");
    // Nobody can take the last administrator away.
    for body in [json!({"disabled": true}), json!({"role": "operator"})] {
        administrator.send("PATCH", "/accounts/admin", Some(&body)).assert_problem(409, "conflict");
    }
}

#[test]
fn behind_tls_the_cookie_is_for_it_alone() {
    let site = Site::start("behind-tls", &["http.trusted_proxies=127.0.0.1"]);
    let body = json!({"name": "admin", "password": PASSWORD});
    let answer = Client::new(&site.server).with("x-forwarded-proto", "https").send("POST", "/session", Some(&body));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-anteroom=") && cookie.contains("Secure"), "{cookie}");
    assert!(answer.header("strict-transport-security").contains("max-age="));
    // Nobody else's word for it counts.
    let plain = Site::start("not-behind-tls", &[]);
    let answer = Client::new(&plain.server).with("x-forwarded-proto", "https").send("POST", "/session", Some(&body));
    assert!(!answer.header("set-cookie").contains("Secure"));
}
