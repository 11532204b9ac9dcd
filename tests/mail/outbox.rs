//! What waits in the outbox, what is refused before anything is done, and how long is tried.

use std::time::Duration;

use anteroom::admin::{AdminError, Mail};
use anteroom::config::Config;
use anteroom::credentials::AlertPage;

use crate::desk::{Desk, id, nobody_s_port, plain};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn wish(send: Option<bool>, to: Option<&str>) -> Mail {
    Mail { send, to: to.map(str::to_owned) }
}

#[tokio::test]
async fn without_a_mail_server_nothing_is_promised_and_what_is_asked_for_is_refused_before_it_is_done() {
    let desk = Desk::new("none", Config::default().mail).await;
    let new = desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    assert_eq!(new.mailed.mailed_to, None);
    assert!(new.mailed.not_mailed.as_ref().unwrap().contains("mail.smtp"), "{new:?}");
    let administrator = desk.administrator();
    let bob = id("bob@example.com");
    let before = administrator.show_user(&bob).await.unwrap();
    for mail in [wish(Some(true), None), wish(None, Some("b@example.org")), wish(Some(true), Some("b@example.org"))] {
        assert_eq!(administrator.reset_pin(&bob, &mail).await.unwrap_err(), AdminError::NoMailServer);
        assert_eq!(administrator.reset_conference_id(&bob, &mail).await.unwrap_err(), AdminError::NoMailServer);
        assert_eq!(administrator.disable_user(&bob, &mail).await.unwrap_err(), AdminError::NoMailServer);
    }
    assert_eq!(administrator.send_info(&bob, None).await.unwrap_err(), AdminError::NoMailServer);
    assert_eq!(administrator.show_user(&bob).await.unwrap(), before);
    assert!(desk.outbox().await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_is_said() {
    let mut desk = Desk::new("wishes", plain(25)).await;
    desk.enable("bob@example.com", "bob@example.com", &wish(Some(false), None)).await;
    let bob = id("bob@example.com");
    {
        let administrator = desk.administrator();
        let refused = async |mail: Mail| administrator.reset_pin(&bob, &mail).await.unwrap_err();
        assert_eq!(refused(wish(Some(false), Some("b@example.org"))).await, AdminError::MailContradiction);
        for address in ["bob", "bob@", "a@b\r\nBcc: c@d", &format!("{}@example.com", "x".repeat(250))] {
            assert_eq!(refused(wish(None, Some(address))).await, AdminError::Address, "{address}");
        }
        let change = anteroom::credentials::UserChange { email: Some(None), ..Default::default() };
        administrator.change_user(&bob, &change).await.unwrap();
        assert_eq!(refused(wish(Some(true), None)).await, AdminError::NoAddress(bob.clone()));
        let unasked = administrator.reset_pin(&bob, &Mail::default()).await.unwrap();
        assert!(unasked.mailed.not_mailed.unwrap().contains("has no e-mail address"));
    }
    desk.mail.from = None;
    let administrator = desk.administrator();
    let mail = wish(Some(true), Some("b@example.org"));
    assert_eq!(administrator.reset_pin(&bob, &mail).await.unwrap_err(), AdminError::NoSender);
    administrator.set_setting("mail_from", "meetings@example.com").await.unwrap();
    assert_eq!(administrator.reset_pin(&bob, &mail).await.unwrap().mailed.mailed_to.as_deref(), Some("b@example.org"));
}

#[tokio::test]
async fn automatic_mail_is_on_until_it_is_switched_off_and_then_goes_out_only_when_asked_for() {
    let desk = Desk::new("automatic", plain(25)).await;
    let administrator = desk.administrator();
    let bob = id("bob@example.com");
    let new = desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    assert_eq!(new.mailed.mailed_to.as_deref(), Some("bob@example.com"));
    assert_eq!(desk.outbox().await.len(), 1);

    administrator.set_setting("auto_send_email", "false").await.unwrap();
    let reset = administrator.reset_pin(&bob, &Mail::default()).await.unwrap();
    assert!(reset.mailed.not_mailed.unwrap().contains("auto_send_email"));
    administrator.reset_conference_id(&bob, &Mail::default()).await.unwrap();
    let queued = async || {
        let mails = desk.outbox().await;
        let queued = mails.iter().filter(|mail| mail.state == "queued");
        queued.map(|mail| format!("{} {}", mail.mail, mail.to)).collect::<Vec<_>>()
    };
    assert!(queued().await.is_empty(), "the mail with the PIN that does not hold any more is withdrawn");

    administrator.reset_pin(&bob, &wish(Some(true), None)).await.unwrap();
    administrator.reset_conference_id(&bob, &wish(None, Some("b@example.org"))).await.unwrap();
    administrator.send_info(&bob, None).await.unwrap();
    assert_eq!(
        queued().await,
        ["conference-info bob@example.com", "conference-id-changed b@example.org", "pin-reset bob@example.com"]
    );
}

#[tokio::test]
async fn a_server_that_stays_away_is_tried_less_and_less_and_after_three_days_the_mail_is_given_up() {
    let desk = Desk::new("away", plain(nobody_s_port())).await;
    let new = desk.enable("bob@example.com", "bob@example.com", &Mail::default()).await;
    let pin = new.pin.expose().to_owned();
    assert!(!desk.files_have(&pin), "sealed while it waits");
    let worker = desk.worker();
    assert_eq!(worker.turn().await.unwrap(), 0);
    let waits = desk.outbox().await;
    assert_eq!((waits[0].state, waits[0].attempts), ("queued", 1));
    assert!(waits[0].last_error.as_ref().unwrap().contains("127.0.0.1"), "{waits:?}");
    // Its turn comes only after a minute.
    assert_eq!(worker.turn().await.unwrap(), 0);
    assert_eq!(desk.outbox().await[0].attempts, 1);

    for _ in 0..3 * 24 * 6 {
        desk.pass(Duration::from_secs(10 * 60));
        worker.turn().await.unwrap();
    }
    let tried = desk.outbox().await[0].attempts;
    assert!((60..=80).contains(&tried), "1, 2, 4 … 60 minutes, then each hour of three days: {tried}");
    desk.pass(DAY / 12);
    worker.turn().await.unwrap();
    let given_up = &desk.outbox().await[0];
    assert_eq!(given_up.state, "given-up", "{given_up:?}");
    let alerts = desk.administrator().alerts(&AlertPage { limit: 9, ..AlertPage::default() }).await.unwrap();
    assert_eq!(alerts.len(), 1, "one, however often it was tried: {alerts:?}");
    assert_eq!((alerts[0].kind.as_str(), alerts[0].subject.as_str()), ("mail-given-up", "enabled for bob@example.com"));
    let text = &alerts[0].text;
    assert!(text.contains("to bob@example.com was given up: ") && !text.contains(&pin), "{text}");
    assert!(!desk.files_have(&pin));
    let error = desk.administrator().retry_mail(anteroom::credentials::MailKey(given_up.key)).await.unwrap_err();
    assert!(error.to_string().contains("reset the PIN"), "{error}");
}

#[tokio::test]
async fn a_list_does_what_it_can_and_says_of_each_line_what_became_of_it() {
    use anteroom::admin::{BulkAction, BulkList, BulkOutcome};
    let desk = Desk::new("bulk", plain(25)).await;
    desk.enable("old@example.com", "old@example.com", &wish(Some(false), None)).await;
    let csv = "identity,name,email,send_email_to\n\
               anna@example.com,Anna,anna@example.com,\n\
               two words,X,,\n\
               old@example.com,Old,,\n\
               bob@example.com,Bob,no address,\n\
               cleo@example.com,Cleo,,assistant@example.com\n\
               dora@example.com,Dora,,\n";
    let mut told = Vec::new();
    let list = BulkList::read(csv.as_bytes()).unwrap();
    let lines = desk.administrator().bulk(list, BulkAction::Enable, None, |done| told.push(done)).await;
    let outcomes: Vec<_> = lines.iter().map(|line| (line.line, line.outcome, line.pin.is_some())).collect();
    assert_eq!(
        outcomes,
        [
            (2, BulkOutcome::Enabled, true),
            (3, BulkOutcome::Failed, false),
            (4, BulkOutcome::AlreadyEnabled, false),
            (5, BulkOutcome::Failed, false),
            (6, BulkOutcome::Enabled, true),
            (7, BulkOutcome::Enabled, true),
        ]
    );
    assert_eq!(told, [1, 2, 3, 4, 5, 6]);
    assert!(lines[3].error.as_ref().unwrap().contains("e-mail address"));
    assert_eq!(lines[4].mailed.mailed_to.as_deref(), Some("assistant@example.com"));
    assert!(lines[5].mailed.not_mailed.as_ref().unwrap().contains("has no e-mail address"));
    let unknown = desk.administrator().show_user(&id("bob@example.com")).await;
    assert!(unknown.is_err(), "nothing of a broken line is done");

    let again = BulkList::read(b"identity\nanna@example.com\nnobody@example.com\n").unwrap();
    let lines = desk.administrator().bulk(again, BulkAction::ResetPin, Some(false), |_| {}).await;
    assert_eq!((lines[0].outcome, lines[1].outcome), (BulkOutcome::PinReset, BulkOutcome::Failed));
    assert!(lines[1].error.as_ref().unwrap().contains("there is no user nobody@example.com"));
}

#[tokio::test]
async fn an_organization_s_own_texts_are_looked_at_when_they_are_set() {
    use anteroom::admin::mail_kind;
    use anteroom::mail::Part;
    let desk = Desk::new("texts", plain(25)).await;
    let administrator = desk.administrator();
    assert_eq!(administrator.mail_texts().await.unwrap().len(), 15);
    let reset = mail_kind("pin-reset").unwrap();
    let refused = administrator.set_mail_text(reset, Part::Text, Some("{{pni}}")).await.unwrap_err().to_string();
    assert!(refused.starts_with("the mail's text: line 1: there is no {{pni}}; there are {{name}}, "), "{refused}");
    assert!(administrator.set_mail_text(reset, Part::Text, Some("no PIN {{conference_id}}")).await.is_err());
    let set = administrator.set_mail_text(reset, Part::Text, Some("{{pin}} {{conference_id}}")).await.unwrap();
    assert!(set.own && administrator.mail_text(reset, Part::Text).await.unwrap() == set);
    let back = administrator.set_mail_text(reset, Part::Text, None).await.unwrap();
    assert!(!back.own && back.text.contains("you have a new PIN"));
    assert!(mail_kind("pin").unwrap_err().to_string().contains("there are enabled, pin-reset, "));
}
