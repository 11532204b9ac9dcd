//! What is shown once is found nowhere afterwards: not in an answer, not in the log, not in the store.

use serde_json::json;

use crate::client::{PASSWORD, Site};

#[test]
fn a_pin_is_found_nowhere_after_its_one_showing() {
    let site = Site::start("secrets", &[]);
    let administrator = &site.administrator;
    // Twelve digits: no key, port or time stamp has so many.
    let set = administrator.send("PUT", "/settings/pin_length", Some(&json!({"value": "12"})));
    assert_eq!(set.status, 200, "{}", set.text);
    let anna = site.enable("anna@example.com");
    let reset = administrator.send("POST", "/users/anna@example.com/reset-pin", None);
    let second = reset.json()["pin"].as_str().unwrap().to_owned();
    assert_eq!(second.len(), 12);
    assert_ne!(second, anna.pin);
    let made = administrator.send("POST", "/tokens", Some(&json!({"label": "x", "role": "operator"})));
    let token = made.json()["secret"].as_str().unwrap().to_owned();
    let made = administrator.send("POST", "/accounts", Some(&json!({"name": "oscar", "role": "operator"})));
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let cookie = administrator.cookie.as_ref().unwrap().split_once('=').unwrap().1.to_owned();
    let csrf = administrator.csrf.clone().unwrap();

    let mut places = vec![("the log".to_owned(), site.server.log_text())];
    for path in [
        "/users",
        "/users?disabled=true",
        "/users/anna@example.com",
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
        places.push((path.to_owned(), answer.text));
    }
    for entry in std::fs::read_dir(site.server.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            places.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    assert!(places.iter().any(|(place, text)| place.contains(".db") && text.contains("anna@example.com")));
    for secret in [&anna.pin, &second, &token, &link, &cookie, &csrf, &PASSWORD.to_owned()] {
        for (place, text) in &places {
            assert!(!text.contains(secret.as_str()), "a secret is in {place}");
        }
    }
    let shown = administrator.get("/users/anna@example.com").json();
    assert_eq!(shown["pin"], "***********");
}
