//! What each role sees: a user his own conference, an operator what goes on.

use super::browser::Browser;
use super::support::Server;
use super::{ANNA, NARROW, PASSWORD, WIDE, sign_in, sign_in_as_first_administrator, wait_until_in};

const OPERATOR: &str = "olga@example.com";

/// Adds a sign-in and chooses its password by the link that is shown once. Nobody is signed in afterwards.
async fn add_person(browser: &Browser, name: &str, role: &str, user: &str) {
    browser.go("/accounts").await;
    browser.press_on("details:has(#account-name) summary").await;
    browser.fill("#account-name", name).await;
    browser.choose("#account-role", role).await;
    if !user.is_empty() {
        browser.fill("#account-user", user).await;
    }
    browser.press("Add").await;
    browser.wait_for_text("chooses a password").await;
    let link = browser.find("#once-value").await.text().await.unwrap();
    let code = link.split_once('#').expect("the secret stands behind the #, which no server sees").1.to_owned();
    browser.go("/#menu").await;
    browser.press_on(".leave").await;
    browser.wait_for_path("/sign-in").await;
    browser.go(&format!("/set-password#{code}")).await;
    browser.assert_fits().await;
    browser.fill("#password", PASSWORD).await;
    browser.fill("#again", PASSWORD).await;
    browser.press("Save the password").await;
    wait_until_in(browser, name).await;
}

/// What a form of this page's sign-in gets when it is sent there.
async fn status_of_post(browser: &Browser, path: &str) -> serde_json::Value {
    let script = format!(
        "const ask = new XMLHttpRequest(); ask.open('POST', '{path}', false); \
         ask.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded'); \
         ask.send('csrf=' + document.querySelector('[name=csrf]').value); return ask.status"
    );
    browser.run(&script).await
}

async fn menu(browser: &Browser) -> serde_json::Value {
    browser.run("return [...document.querySelectorAll('nav.menu li a')].map((a) => a.getAttribute('href'))").await
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn a_user_sees_his_own_conference_and_cant_reset_his_pin() {
    let server = Server::start("console-user", &[]);
    let browser = Browser::start(server.http, NARROW).await;
    sign_in_as_first_administrator(&server, &browser).await;
    let anna = server.enable(ANNA);
    let other = server.enable("bob@example.com");
    add_person(&browser, "anna.signs.in", "user", ANNA).await;

    browser.wait_for_path("/me").await;
    browser.assert_fits().await;
    let id = browser.find("#conference-id").await.text().await.unwrap();
    assert_eq!(id.replace(' ', ""), anna.conference_id);
    let page = browser.text().await;
    assert!(page.contains("***********") && page.contains("ask your administrator"), "{page}");
    assert!(!page.contains("Reset"), "{page}");
    assert_eq!(menu(&browser).await, serde_json::json!(["/me"]));

    // Whatever he asks for.
    for path in [&format!("/users/{ANNA}/reset-pin"), "/users/bob@example.com/reset-pin", "/settings", "/accounts"] {
        assert_eq!(status_of_post(&browser, path).await, 403, "{path}");
    }
    for path in ["/", "/users", "/live", "/calls", "/alerts", "/audit", "/outbox", "/settings", "/accounts"] {
        browser.go(path).await;
        if path == "/" {
            browser.wait_for_path("/me").await;
        } else {
            browser.wait_for_text("This is not for you").await;
            browser.assert_fits().await;
        }
    }
    let audit = server.command(&["audit", "--json"]);
    let lines = String::from_utf8_lossy(&audit.stdout);
    assert!(lines.contains("user.enable") && !lines.contains("user.reset-pin"), "a PIN was reset: {lines}");

    // He schedules a meeting of his own, and has its invitation.
    browser.go("/me").await;
    browser.press("Schedule a meeting").await;
    browser.wait_for_path("/me/meetings/new").await;
    browser.assert_fits().await;
    browser.fill("#subject", "Plans for spring").await;
    browser.run("document.getElementById('starts').value = '2030-03-01T09:00'").await;
    browser.run("document.getElementById('ends').value = '2030-03-01T10:00'").await;
    browser.press("Schedule").await;
    browser.wait_for_text("The meeting is scheduled").await;
    browser.assert_fits().await;
    let meeting = browser.find("#conference-id").await.text().await.unwrap();
    let invitation = browser.find("#invitation").await.text().await.unwrap();
    assert!(invitation.contains(&meeting) && !invitation.contains(&anna.pin), "{invitation}");
    assert_ne!(meeting.replace(' ', ""), other.conference_id);
    browser.go("/me").await;
    browser.wait_for_text("Plans for spring").await;

    // Out, by the telephone's menu.
    browser.press_on(".open-menu").await;
    browser.press_on(".leave").await;
    browser.wait_for_path("/sign-in").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn an_operator_looks_and_another_role_shows_more() {
    let server = Server::start("console-operator", &[]);
    let browser = Browser::start(server.http, WIDE).await;
    sign_in_as_first_administrator(&server, &browser).await;
    server.enable(ANNA);
    add_person(&browser, OPERATOR, "operator", "").await;

    let places = menu(&browser).await.to_string();
    assert!(places.contains("/live") && places.contains("/alerts"), "{places}");
    assert!(!places.contains("/settings") && !places.contains("/accounts"), "{places}");
    for path in ["/settings", "/settings/mail-texts", "/accounts", "/users/new", "/users/bulk", "/meetings/new"] {
        browser.go(path).await;
        browser.wait_for_text("This is not for you").await;
    }
    browser.go(&format!("/users/{ANNA}")).await;
    browser.wait_for_text("***********").await;
    assert!(!browser.text().await.contains("Reset PIN"), "an operator is offered a reset");
    for path in [&format!("/users/{ANNA}/reset-pin"), &format!("/users/{ANNA}/disable"), "/settings", "/tokens"] {
        assert_eq!(status_of_post(&browser, path).await, 403, "{path}");
    }

    // Made an administrator, she is one at her next page.
    browser.press_on(".leave").await;
    browser.wait_for_path("/sign-in").await;
    sign_in(&browser, "root@example.com").await;
    browser.go("/accounts").await;
    let form = format!("form[action='/accounts/{OPERATOR}/role']");
    browser.choose(&format!("{form} select"), "administrator").await;
    browser.press_on(&format!("{form} button")).await;
    browser.wait_for_text("has the role Administrator from now on").await;
    browser.press_on(".leave").await;
    browser.wait_for_path("/sign-in").await;
    sign_in(&browser, OPERATOR).await;
    browser.go("/settings").await;
    browser.wait_for_text("Digits of a PIN").await;

    // A token is shown once, and revoked after a question.
    browser.go("/accounts").await;
    browser.press_on("details:has(#token-label) summary").await;
    browser.fill("#token-label", "Wallboard").await;
    browser.press("Make").await;
    browser.wait_for_text("The token is made").await;
    let token = browser.find("#once-value").await.text().await.unwrap();
    assert!(token.len() >= 32, "{token:?} is no token");
    browser.page.refresh().await.unwrap();
    browser.wait_for_text("Wallboard").await;
    assert!(!browser.page.source().await.unwrap().contains(&token), "a reload shows the token again");
    browser.press("Revoke…").await;
    browser.wait_for_text("Revoke this token?").await;
    browser.press("Revoke the token").await;
    browser.wait_for_text("Wallboard does not work any more").await;
    browser.close().await;
}
