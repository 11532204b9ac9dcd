//! The console in a real browser, as people use it: Debian's Chromium against the real server.

#[path = "../support/caller.rs"]
mod caller;
#[path = "../support/mod.rs"]
mod support;

mod browser;
mod pictures;
mod roles;
mod watching;

use std::time::Duration;

use browser::Browser;
use caller::Caller;
use support::Server;

const ANNA: &str = "anna@example.com";
const PASSWORD: &str = "seven wooden boats at dawn";
const SOON: Duration = Duration::from_secs(30);

/// A wide screen, and a telephone.
const WIDE: u32 = 1280;
const NARROW: u32 = 390;

/// Every page of the menu.
const PAGES: [&str; 11] = [
    "/",
    "/live",
    "/users",
    "/meetings",
    "/numbers",
    "/calls",
    "/alerts",
    "/audit",
    "/outbox",
    "/settings",
    "/accounts",
];

/// The one-time link that the server printed, behind the `#`.
fn one_time_link(server: &Server) -> String {
    let line = server.wait_for_line("/first-administrator#", SOON);
    let code = line.split_once("/first-administrator#").unwrap().1;
    code.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Opens the link, makes the first administrator, and signs in.
async fn sign_in_as_first_administrator(server: &Server, browser: &Browser) {
    let code = one_time_link(server);
    browser.go(&format!("/first-administrator#{code}")).await;
    browser.fill("#name", "root@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.fill("#again", PASSWORD).await;
    browser.press("Make the first sign-in").await;
    browser.wait_for_path("/").await;
    browser.wait_for_text("Overview").await;
}

/// Signs in with the password of everybody in these tests.
async fn sign_in(browser: &Browser, name: &str) {
    browser.go("/sign-in").await;
    browser.fill("#name", name).await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    wait_until_in(browser, name).await;
}

/// The menu, which a telephone hides, says who is signed in.
async fn wait_until_in(browser: &Browser, name: &str) {
    browser.find(".menu .me").await;
    let who = browser.run("return document.querySelector('.menu .me').textContent").await;
    assert!(who.as_str().is_some_and(|who| who.contains(name)), "{who} is signed in, not {name}");
}

/// What the page shows this one time.
async fn shown_pin(browser: &Browser) -> String {
    let pin = browser.find("#once-value").await.text().await.unwrap();
    assert!(pin.len() == 5 && pin.chars().all(|c| c.is_ascii_digit()), "{pin:?} is no PIN");
    pin
}

/// Whether these digits stand there as a number of their own, not as part of one or as a port behind its address.
fn stands_in(log: &str, pin: &str) -> bool {
    log.match_indices(pin).any(|(at, _)| {
        let (before, after) = (&log.as_bytes()[..at], &log.as_bytes()[at + pin.len()..]);
        let is_port = matches!(before, [.., digit, b':'] if digit.is_ascii_digit());
        let is_part = before.last().is_some_and(u8::is_ascii_digit) || after.first().is_some_and(u8::is_ascii_digit);
        !is_port && !is_part
    })
}

async fn page_source(browser: &Browser) -> String {
    browser.page.source().await.unwrap()
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn an_administrators_first_day() {
    let server = Server::start("console-first-day", &[]);
    let browser = Browser::start(server.http, WIDE).await;

    // Nothing is shown without sign-in.
    browser.go("/users").await;
    browser.wait_for_path("/sign-in").await;

    sign_in_as_first_administrator(&server, &browser).await;

    // The link worked once.
    browser.go(&format!("/first-administrator#{}", one_time_link(&server))).await;
    browser.fill("#name", "second@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.fill("#again", PASSWORD).await;
    browser.press("Make the first sign-in").await;
    browser.wait_for_text("This link holds no more").await;

    // Enable: the PIN is shown, and after a reload it is not.
    browser.go("/users").await;
    browser.press("Enable a user").await;
    browser.fill("#identity", ANNA).await;
    browser.fill("#name", "Anna Berg").await;
    browser.press("Enable").await;
    browser.wait_for_path(&format!("/users/{ANNA}")).await;
    let first = shown_pin(&browser).await;
    let old_id = browser.find("#conference-id").await.text().await.unwrap();
    browser.page.refresh().await.unwrap();
    browser.wait_for_text("***********").await;
    assert!(!browser.has("#once-value").await);
    assert!(!page_source(&browser).await.contains(&first));

    // Reset the PIN: another one, also once.
    browser.press("Reset PIN").await;
    browser.wait_for_text("The PIN was reset").await;
    let second = shown_pin(&browser).await;
    assert_ne!(first, second);
    browser.page.refresh().await.unwrap();
    browser.wait_for_text("***********").await;
    assert!(!page_source(&browser).await.contains(&second));

    // And whoever goes on from it finds it no more on the way back.
    browser.press("Reset PIN").await;
    browser.wait_for_text("The PIN was reset").await;
    let third = shown_pin(&browser).await;
    browser.press("Users").await;
    browser.wait_for_path("/users").await;
    browser.page.back().await.unwrap();
    browser.wait_for_path(&format!("/users/{ANNA}")).await;
    browser.wait_for_text("***********").await;
    assert!(!page_source(&browser).await.contains(&third), "going back shows the PIN again");
    for pin in [&first, &second, &third] {
        assert!(!stands_in(&server.log_text(), pin), "a PIN is in the log");
    }

    // Reset the conference ID: only after it was confirmed.
    browser.go(&format!("/users/{ANNA}")).await;
    browser.press("Reset conference ID").await;
    browser.wait_for_path(&format!("/users/{ANNA}/reset-conference-id")).await;
    browser.press("Cancel").await;
    browser.wait_for_path(&format!("/users/{ANNA}")).await;
    assert_eq!(browser.find("#conference-id").await.text().await.unwrap(), old_id);
    browser.press("Reset conference ID").await;
    browser.wait_for_path(&format!("/users/{ANNA}/reset-conference-id")).await;
    browser.press("Reset the conference ID").await;
    browser.wait_for_text("The new conference ID is").await;
    assert_ne!(browser.find("#conference-id").await.text().await.unwrap(), old_id);

    // All of it is in the audit, with who did it.
    browser.go("/audit").await;
    for done in ["Enabled the user", "Reset the PIN", "Reset the conference ID", "root@example.com"] {
        browser.wait_for_text(done).await;
    }

    // Sign out: no page is left, also not behind the back button.
    browser.press_on(".leave").await;
    browser.wait_for_path("/sign-in").await;
    browser.page.back().await.unwrap();
    browser.wait_for_path("/sign-in").await;
    browser.go(&format!("/users/{ANNA}")).await;
    browser.wait_for_path("/sign-in").await;

    // And in again, with the right password only.
    browser.fill("#name", "root@example.com").await;
    browser.fill("#password", "another password").await;
    browser.press("Sign in").await;
    browser.wait_for_text("wrong").await;
    browser.fill("#name", "root@example.com").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.wait_for_path("/").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn a_call_waits_is_started_admitted_muted_and_removed() {
    let server = Server::start("console-live", &[]);
    let browser = Browser::start(server.http, WIDE).await;
    sign_in_as_first_administrator(&server, &browser).await;
    let organizer = server.enable(ANNA);

    // The page is open before anybody calls, and is never reloaded by hand.
    browser.go("/live").await;
    browser.wait_for_text("No meeting has callers").await;
    let first = Caller::call(server.sip, "127.0.0.1");
    first.wait_established();
    first.press(&format!("{}#", organizer.conference_id));
    browser.wait_for_text("Waits for its organizer").await;
    browser.press(ANNA).await;
    browser.wait_for_text("1 caller").await;
    browser.wait_for_text("G.711").await;

    // Started from here, without a PIN.
    browser.press("Start the meeting").await;
    browser.wait_for_text("The meeting runs").await;
    browser.wait_for_text("Nobody waits").await;
    assert!(server.log_text().contains("root@example.com"), "the log does not say who started it");

    // Locked, a second one waits to be let in, and is.
    browser.press("Lock").await;
    browser.wait_for_text("The meeting is locked").await;
    let second = Caller::call(server.sip, "127.0.0.1");
    second.wait_established();
    second.press(&format!("{}#", organizer.conference_id));
    browser.wait_for_text("Waits to be let in").await;
    browser.press("Admit").await;
    browser.wait_for_text("2 callers").await;
    browser.wait_for_text("Nobody waits").await;

    browser.press("Mute").await;
    browser.wait_for_text("Muted").await;
    browser.press("Remove").await;
    first.wait_ended(SOON);

    browser.press("End for all").await;
    browser.press("End it for all").await;
    browser.wait_for_text("The meeting was ended for all").await;
    second.wait_ended(SOON);

    // Why each ended is in the calls, in words.
    browser.go("/calls").await;
    for why in ["The caller was removed from the meeting", "The meeting ended"] {
        let mut tries = 0;
        while !browser.text().await.contains(why) {
            tries += 1;
            assert!(tries < 100, "no {why:?} in:\n{}", browser.text().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
            browser.page.refresh().await.unwrap();
        }
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn every_page_fits_a_telephone() {
    let server = Server::start("console-narrow", &[]);
    let browser = Browser::start(server.http, NARROW).await;
    sign_in_as_first_administrator(&server, &browser).await;
    // Something long everywhere.
    let long = "a.very.long.name.that.somebody.really.has@a.department.of.a.large.organization.example.com";
    server.enable(long);
    let organizer = server.enable(ANNA);
    let caller = Caller::call(server.sip, "127.0.0.1");
    caller.wait_established();
    caller.press(&format!("{}#", organizer.conference_id));
    browser.go("/live").await;
    browser.wait_for_text(ANNA).await;
    let meeting = browser.find("main tbody a").await.attr("href").await.unwrap().unwrap();

    let user = format!("/users/{long}");
    let more = ["/users/new", "/users/bulk", "/meetings/new", &user, &meeting, "/first-administrator", "/no-such-page"];
    for path in PAGES.iter().chain(&more) {
        browser.go(path).await;
        assert_eq!(browser.run("return innerWidth").await, NARROW);
        browser.assert_fits().await;
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn every_page_is_reached_by_keyboard() {
    const TAB: char = '\u{E004}';
    const ENTER: char = '\u{E007}';
    let server = Server::start("console-keys", &[]);
    let browser = Browser::start(server.http, WIDE).await;
    sign_in_as_first_administrator(&server, &browser).await;
    for path in PAGES {
        let mut seen = Vec::new();
        loop {
            browser.key(TAB).await;
            let at = browser
                .run(
                    "const e = document.activeElement; return [e.getAttribute('href'), e.matches(':focus-visible') \
                      && getComputedStyle(e).outlineStyle !== 'none']",
                )
                .await;
            if at[0] == path && !seen.is_empty() {
                assert_eq!(at[1], true, "nobody sees that the focus is on {path}");
                break;
            }
            seen.push(at[0].clone());
            assert!(seen.len() < 40, "{path} is not among {seen:?}");
        }
        browser.key(ENTER).await;
        browser.wait_for_path(path).await;
        // The first stop leads past the menu.
        browser.key(TAB).await;
        assert_eq!(browser.run("return document.activeElement.getAttribute('href')").await, "#content");
    }
    browser.close().await;
}
