//! What arrives at a real mail server, as Python's own e-mail package reads it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anteroom::admin::Mail;
use anteroom::config::{MailTls, SmtpServer};
use anteroom::credentials::AuditPage;
use serde_json::Value;

use crate::desk::{Desk, folder, id, nobody_s_port, plain};
use crate::peer::{Certificates, MailServer};
use crate::support::Server;

const DIALLED: &str = "+49 30 1234567  Berlin (German)";

fn text<'a>(mail: &'a Value, part: &str) -> &'a str {
    mail[part].as_str().unwrap_or_else(|| panic!("no {part} in {mail}"))
}

fn spaced(id: &str) -> String {
    format!("{} {} {}#", &id[..3], &id[3..6], &id[6..])
}

#[tokio::test]
#[ignore = "needs aiosmtpd (PyPI) and openssl; tests/run installs and runs it"]
async fn each_of_the_five_mails_says_what_it_must_and_a_pin_is_only_where_it_belongs() {
    let files = folder("certificates");
    let certificates = Certificates::make(&files);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let server = MailServer::start(&[
        "--tls",
        "starttls",
        "--certificate",
        &path(&certificates.certificate),
        "--key",
        &path(&certificates.key),
        "--user",
        "anteroom",
        "--password",
        "open sesame",
    ]);
    let password = files.join("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut config = plain(server.port);
    config.smtp = Some(SmtpServer { host: "localhost".to_owned(), port: server.port });
    config.tls = MailTls::StartTls;
    (config.user, config.password_file) = (Some("anteroom".to_owned()), Some(password.clone()));
    config.ca_file = Some(certificates.authority.clone());

    let desk = Desk::new("five", config).await;
    let (administrator, worker) = (desk.administrator(), desk.worker());
    let bob = id("bob@example.com");
    let mut message_ids = Vec::new();
    let mut arrives = async |kind: &str| {
        assert_eq!(worker.turn().await.unwrap(), 1, "{kind}: {:?}", desk.outbox().await);
        let mail = server.next();
        assert_eq!(mail["type"], "multipart/alternative", "{kind}");
        assert_eq!(mail["parts"], serde_json::json!(["text/plain", "text/html"]));
        assert_eq!(mail["defects"], serde_json::json!([]));
        assert_eq!(mail["sender"], "anteroom@example.com");
        assert_eq!(mail["from"], "Anteroom <anteroom@example.com>");
        assert_eq!(mail["auto_submitted"], "auto-generated");
        assert_eq!((&mail["tls"], &mail["signed_in"]), (&true.into(), &true.into()));
        for part in ["text", "html"] {
            assert!(text(&mail, part).contains("Bärbel"), "{mail}");
        }
        assert!(text(&mail, "text").contains("Example & Söhne") && text(&mail, "html").contains("Example &amp; Söhne"));
        message_ids.push(mail["message_id"].clone());
        mail
    };

    let new = desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    let pin = new.pin.expose();
    let mail = arrives("enabled").await;
    assert_eq!(mail["to"], "bob@example.com");
    for part in ["text", "html"] {
        let text = text(&mail, part);
        assert!(text.contains(pin) && text.contains(&spaced(&new.conference_id)), "{text}");
        assert!(text.contains("+49 30 1234567") && text.contains("Berlin (German)"), "{text}");
    }
    assert!(!text(&mail, "subject").contains(pin));

    let reset =
        administrator.reset_pin(&bob, &Mail { send: None, to: Some("b@example.org".to_owned()) }).await.unwrap();
    let mail = arrives("pin-reset").await;
    assert_eq!((&mail["to"], &mail["recipients"]), (&"b@example.org".into(), &serde_json::json!(["b@example.org"])));
    for part in ["text", "html"] {
        let text = text(&mail, part);
        assert!(text.contains(reset.pin.expose()) && !text.contains(pin) && text.contains(&spaced(&new.conference_id)));
    }

    let no_pin = |mail: &Value| {
        let all = mail.to_string();
        assert!(!all.contains(pin) && !all.contains(reset.pin.expose()), "{all}");
    };
    let changed = administrator.reset_conference_id(&bob, &Mail::default()).await.unwrap();
    let conference_id = changed.user.conference_id.unwrap();
    let mail = arrives("conference-id-changed").await;
    no_pin(&mail);
    let body = text(&mail, "text");
    assert!(body.contains(&spaced(&conference_id)) && !body.contains(&spaced(&new.conference_id)), "{body}");
    assert!(body.contains(DIALLED) && body.contains("Open the meeting in your calendar"), "{body}");

    administrator.send_info(&bob, None).await.unwrap();
    let mail = arrives("conference-info").await;
    no_pin(&mail);
    assert!(text(&mail, "text").contains(&spaced(&conference_id)) && text(&mail, "text").contains(DIALLED));

    administrator.disable_user(&bob, &Mail::default()).await.unwrap();
    let mail = arrives("disabled").await;
    no_pin(&mail);
    assert!(text(&mail, "text").contains("were switched off"));

    message_ids.sort_by_key(ToString::to_string);
    message_ids.dedup();
    assert_eq!(message_ids.len(), 5);
    assert_eq!(worker.turn().await.unwrap(), 0);
    assert!(server.rest().is_empty());
    for pin in [pin, reset.pin.expose(), "open sesame"] {
        assert!(!desk.files_have(pin));
    }
    let audit = format!("{:?} {:?}", administrator.audit(&AuditPage::newest(100)).await, desk.outbox().await);
    assert!(!audit.contains(pin) && !audit.contains(reset.pin.expose()));
    let _ = std::fs::remove_dir_all(files);
}

#[tokio::test]
#[ignore = "needs aiosmtpd (PyPI) and openssl; tests/run installs and runs it"]
async fn no_mail_goes_where_it_is_not_known_who_listens() {
    let files = folder("tls");
    let certificates = Certificates::make(&files);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&certificates.certificate), path(&certificates.key));
    let server = MailServer::start(&["--tls", "tls", "--certificate", &certificate, "--key", &key]);
    let mut config = plain(server.port);
    config.tls = MailTls::Tls;
    let mut desk = Desk::new("tls", config).await;
    desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    // An authority that nobody knows.
    assert_eq!(desk.worker().turn().await.unwrap(), 0);
    let why = desk.outbox().await[0].last_error.clone().unwrap();
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    // A server that has no TLS at all, where it is wanted.
    let naked = MailServer::start(&[]);
    desk.mail.smtp = plain(naked.port).smtp;
    desk.mail.tls = MailTls::StartTls;
    desk.pass(Duration::from_secs(60));
    assert_eq!(desk.worker().turn().await.unwrap(), 0);
    assert!(desk.outbox().await[0].last_error.as_ref().unwrap().contains("STARTTLS"));
    // A sign-in that fails.
    let strict = MailServer::start(&[
        "--tls",
        "starttls",
        "--certificate",
        &certificate,
        "--key",
        &key,
        "--user",
        "anteroom",
        "--password",
        "right",
    ]);
    let password = files.join("password");
    std::fs::write(&password, "wrong").unwrap();
    desk.mail.smtp = plain(strict.port).smtp;
    (desk.mail.user, desk.mail.password_file) = (Some("anteroom".to_owned()), Some(password.clone()));
    desk.mail.ca_file = Some(certificates.authority.clone());
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    desk.pass(Duration::from_secs(2 * 60));
    assert_eq!(desk.worker().turn().await.unwrap(), 0);
    assert!(desk.outbox().await[0].last_error.as_ref().unwrap().contains("chmod 600"));
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    desk.pass(Duration::from_secs(4 * 60));
    assert_eq!(desk.worker().turn().await.unwrap(), 0);
    let why = desk.outbox().await[0].last_error.clone().unwrap();
    assert!(why.contains("the sign-in as anteroom failed") && !why.contains("wrong"), "{why}");
    assert!(server.rest().is_empty() && naked.rest().is_empty() && strict.rest().is_empty());

    // All was right but the authority: with it the mail arrives.
    desk.mail.smtp = plain(server.port).smtp;
    (desk.mail.tls, desk.mail.user, desk.mail.password_file) = (MailTls::Tls, None, None);
    desk.pass(Duration::from_secs(8 * 60));
    assert_eq!(desk.worker().turn().await.unwrap(), 1);
    assert_eq!(server.next()["tls"], true);
    let _ = std::fs::remove_dir_all(files);
}

#[tokio::test]
#[ignore = "needs aiosmtpd (PyPI); tests/run installs and runs it"]
async fn a_server_that_was_away_for_an_hour_gets_the_mail_once_and_the_pin_is_gone() {
    let port = nobody_s_port();
    let desk = Desk::new("hour", plain(port)).await;
    let new = desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    let pin = new.pin.expose();
    let worker = desk.worker();
    for _ in 0..60 {
        assert_eq!(worker.turn().await.unwrap(), 0);
        desk.pass(Duration::from_secs(60));
    }
    assert!(!desk.files_have(pin));
    let server = MailServer::start(&["--port", &port.to_string()]);
    let mut sent = 0;
    for _ in 0..60 {
        sent += worker.turn().await.unwrap();
        desk.pass(Duration::from_secs(60));
    }
    assert_eq!(sent, 1);
    assert!(text(&server.next(), "text").contains(pin));
    assert!(server.rest().is_empty());
    let mail = &desk.outbox().await[0];
    assert_eq!(mail.state, "sent");
    assert!((6..=9).contains(&mail.attempts), "{mail:?}");
    assert!(!desk.files_have(pin));
}

#[tokio::test]
#[ignore = "needs aiosmtpd (PyPI); tests/run installs and runs it"]
async fn refusals_are_told_apart_and_nothing_is_handed_over_more_than_twice() {
    let server = MailServer::start(&[]);
    let desk = Desk::new("refusals", plain(server.port)).await;
    let worker = desk.worker();
    let mut pins = Vec::new();
    for name in ["refused", "later", "repeats", "good"] {
        let address = format!("{name}@example.com");
        pins.push(desk.enable(&address, &address, &Mail::default()).await);
    }
    assert_eq!(worker.turn().await.unwrap(), 1, "one bad address keeps no other mail from going out");
    let mails = desk.outbox().await;
    let state = |name: &str| {
        let mail = mails.iter().find(|mail| mail.to.starts_with(name)).unwrap();
        (mail.state, mail.last_error.clone().unwrap_or_default())
    };
    assert_eq!(state("good").0, "sent");
    assert_eq!(state("later").0, "queued");
    assert!(state("refused").0 == "given-up" && state("refused").1.contains("550"), "{mails:?}");
    assert!(state("repeats").0 == "given-up" && state("repeats").1.contains("repeated its text"), "{mails:?}");
    for new in &pins {
        assert!(!desk.files_have(new.pin.expose()));
    }

    // Taken without an answer: after its lease it comes once more, with the same Message-ID, and never again.
    desk.administrator().disable_user(&id("later@example.com"), &Mail { send: Some(false), to: None }).await.unwrap();
    server.rest();
    desk.enable("silent@example.com", "silent@example.com", &Mail::default()).await;
    for _ in 0..100 {
        worker.turn().await.unwrap();
        desk.pass(Duration::from_secs(5 * 60));
    }
    let arrived = server.rest();
    assert_eq!(arrived.len(), 2, "{arrived:?}");
    assert_eq!(arrived[0]["message_id"], arrived[1]["message_id"]);
    assert_eq!(desk.outbox().await[0].state, "given-up");
}

#[test]
#[ignore = "needs aiosmtpd (PyPI); tests/run installs and runs it"]
fn a_running_server_sends_what_the_command_line_asks_for() {
    let mails = MailServer::start(&[]);
    let smtp = format!("mail.smtp=127.0.0.1:{}", mails.port);
    let server = Server::start("mail", &[&smtp, "mail.tls=none", "mail.from=anteroom@example.com"]);
    let output = server.command(&["user", "enable", "bob@example.com", "--email", "bob@example.com", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pin = shown["pin"].as_str().unwrap();
    assert_eq!(shown["mailed_to"], "bob@example.com");
    let mail = mails.next();
    assert!(text(&mail, "text").contains(pin));
    server.wait_for_line("a mail was sent", Duration::from_secs(30));
    server.assert_keys_unlogged(&[pin]);
    let output = server.command(&["outbox", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&listed[0]["state"], &listed[0]["to"]), (&"sent".into(), &"bob@example.com".into()));
}
