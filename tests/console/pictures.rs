//! The README's two pictures, taken from the console itself. They go to a temporary folder, and into the repository with
//! `ANTEROOM_PICTURES=src/web/console/pictures cargo test --test console -- --ignored pictures`.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::browser::Browser;
use super::support::{Server, anteroom};
use super::{ANNA, sign_in, sign_in_as_first_administrator};

/// What the README may weigh for each.
const PICTURE_BYTES_MAX: usize = 150 * 1024;

/// Text stays legible at the README's width.
const WIDTH: u32 = 1180;
const HEIGHT: u32 = 690;

/// Callers who are ended with the test.
struct Callers(Child);

impl Drop for Callers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn callers(server: &Server, conference_id: &str, pin: &str) -> Callers {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/meeting.toml");
    let child = anteroom(server.folder(), &["rtp.ports=20000-20400".to_owned()])
        .env("ANTEROOM_VAR_PIN", pin)
        .env("ANTEROOM_VAR_CONFERENCE_ID", conference_id)
        .args(["replay", fixture.to_str().unwrap(), "--to", &format!("sip:8000@{}", server.sip)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Callers(child)
}

async fn take(browser: &Browser, name: &str) {
    let picture = browser.page.screenshot().await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"), "{name} is no picture");
    assert!(picture.len() < PICTURE_BYTES_MAX, "{name} has {} bytes", picture.len());
    let folder =
        std::env::var_os("ANTEROOM_PICTURES").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    std::fs::write(folder.join(name), picture).unwrap();
}

#[tokio::test]
#[ignore = "needs chromedriver (Debian: chromium chromium-driver); tests/run installs and runs it"]
async fn the_pictures_of_the_readme() {
    let server = Server::start("console-pictures", &[]);
    let run = |arguments: &[&str]| {
        let output = server.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let anna = server.enable(ANNA);
    run(&["user", "set", ANNA, "--name", "Anna Berg", "--email", ANNA, "--lobby-policy", "wait-for-admission"]);
    run(&["number", "add", "+49 30 1234567", "--language", "de", "--label", "Berlin"]);
    run(&["number", "add", "+44 20 7946 0000", "--language", "en", "--label", "London"]);

    // The user, whose PIN nobody sees, and what can be done.
    let browser = Browser::start_sized(server.http, WIDTH, HEIGHT).await;
    sign_in_as_first_administrator(&server, &browser).await;
    browser.go(&format!("/users/{ANNA}")).await;
    browser.wait_for_text("+44 20 7946 0000").await;
    assert_eq!(browser.find("#pin").await.text().await.unwrap(), "***********");
    assert!(!browser.page.source().await.unwrap().contains(&anna.pin));
    take(&browser, "user.png").await;
    browser.close().await;

    // Her meeting: she talks, two wait.
    let browser = Browser::start_sized(server.http, WIDTH, HEIGHT).await;
    sign_in(&browser, "root@example.com").await;
    let _callers = callers(&server, &anna.conference_id, &anna.pin);
    browser.go("/live").await;
    browser.press(ANNA).await;
    for seen in ["2 callers", "Organizer", "Talks", "Admit all (2)", "Updates by itself", "Jitter"] {
        browser.wait_for_text(seen).await;
    }
    // Long enough for losses and levels to be figures.
    for line in ["Waits for 1", "Loss 0.0 %", "−"] {
        browser.wait_for_text(line).await;
    }
    take(&browser, "live.png").await;
    browser.close().await;
}
