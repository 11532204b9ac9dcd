//! What happened, as the pages tell it: alerts and counts of wrong entries, callers' numbers masked where the settings say so.

use super::browser::Browser;
use super::caller::{Caller, Dial};
use super::support::Server;
use super::{ANNA, SOON, WIDE, sign_in_as_first_administrator};

const NUMBER: &str = "+493012345678";
const MASKED: &str = "••••••••••678";

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn somebody_guesses_and_his_number_is_masked() {
    let server = Server::start("console-guess", &[]);
    let browser = Browser::start(server.http, WIDE).await;
    sign_in_as_first_administrator(&server, &browser).await;
    let anna = server.enable(ANNA);
    for (key, value) in [("mask_callers", "true"), ("budget_caller_conference_ids", "2")] {
        assert!(server.command(&["settings", "set", key, value]).status.success());
    }
    browser.go("/alerts").await;
    browser.wait_for_text("All is quiet").await;

    // The overview is open while he calls, and is not reloaded.
    browser.go("/").await;
    browser.wait_for_text("Nobody is on the phone").await;
    let caller = Caller::dial(server.sip, Dial { from: NUMBER.to_owned(), ..Dial::from("127.0.0.1") });
    caller.wait_established();
    browser.wait_for_text("1\non the phone now").await;
    // Whatever the store made up for Anna, these two are not hers.
    let wrong = ["1111111", "2222222"].map(|id| if id == anna.conference_id { "3333333" } else { id });
    for (tries, id) in wrong.into_iter().enumerate() {
        caller.press(&format!("{id}#"));
        server.wait_for_lines("entered a conference ID that leads nowhere", tries + 1, SOON);
    }
    browser.go("/live").await;
    browser.wait_for_text(MASKED).await;
    caller.press(&format!("{}#", anna.conference_id));
    browser.wait_for_text("Waits for its organizer").await;
    caller.hang_up();
    server.wait_for_records(1, SOON);

    // The number is nowhere, and who looks still sees what happened.
    for (path, text) in [("/alerts", "Wrong conference IDs of this caller"), ("/calls", "The caller hung up")] {
        browser.go(path).await;
        let mut tries = 0;
        while !browser.text().await.contains(text) {
            tries += 1;
            assert!(tries < 100, "no {text:?} in:\n{}", browser.text().await);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            browser.page.refresh().await.unwrap();
        }
        browser.wait_for_text(MASKED).await;
        assert!(!browser.page.source().await.unwrap().contains(NUMBER), "{path} has the caller's number");
    }

    browser.go("/alerts").await;
    browser.wait_for_text("Used up").await;
    assert!(browser.text().await.contains("1\nnot cleared") || browser.has(".menu .count").await);
    browser.press_on("form[action$='/clear'][action^='/alerts/']:not([action*='budgets']) button").await;
    browser.wait_for_text("The alert is cleared").await;
    assert!(!browser.has(".menu .count").await, "the menu still counts a cleared alert");
    // Both counts: of the caller, whose subject is masked, and of his trunk.
    for _ in 0..2 {
        browser.press_on("form[action='/alerts/budgets/clear'] button").await;
        browser.wait_for_text("The count is cleared").await;
    }
    browser.wait_for_text("No wrong entry counts").await;
    browser.close().await;
}
