//! Numbers, scheduled meetings, mails, people who sign in, records, alerts, live requests.

use std::time::Duration;

use anteroom::credentials::{
    AccountPage, AlertPage, AuditPage, CallRecordPage, LiveDeed, LiveRequestState, MailFailure, MailKind, MailPage,
    MailState, MeetingChange, MeetingPage, MeetingPlan, NewAccount, NewApiToken, NewNumber, Origin, Role, Store,
    StoredCall, Timestamp, UserChange,
};
use anteroom::words::answer::{ConferenceAnswer, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey};
use anteroom::words::secret::Secret;

use super::{DAY, HOUR, Place, admin, enable, identity, refused, wish};

crate::stories! {
    numbers_have_one_default
    the_configuration_seeds_the_numbers_once
    a_scheduled_meeting_is_reached_until_it_expires
    meetings_are_listed_in_order_and_by_pages
    a_change_and_its_mail_are_one
    a_mail_is_claimed_by_one_and_comes_at_most_twice
    people_sign_in_and_out
    links_work_once
    a_first_link_holds_while_nobody_can_sign_in
    tokens_are_told_once
    the_last_administrator_stays
    records_and_alerts
    live_requests_reach_the_server_that_has_the_meeting
    a_server_learns_which_of_its_meetings_have_another_id_or_none
    settings_and_mail_texts
    the_audit_is_paged_and_searched
}

fn number(text: &str, language: &str, is_default: bool) -> NewNumber {
    NewNumber { number: text.to_owned(), language: language.to_owned(), label: String::new(), is_default }
}

async fn numbers(store: &Store) -> Vec<(String, bool)> {
    store.numbers().await.unwrap().into_iter().map(|number| (number.number, number.is_default)).collect()
}

async fn numbers_have_one_default(place: Place) {
    let store = place.store().await;
    let berlin = store.add_number(&admin(), &number("+49  30 1234567", "de", false)).await.unwrap();
    assert!(berlin.is_default, "the first one");
    assert_eq!(berlin.number, "+49 30 1234567");
    let london = store.add_number(&admin(), &number("+44 20 7946 0000", "en-GB", true)).await.unwrap();
    assert_eq!(numbers(&store).await, [("+44 20 7946 0000".to_owned(), true), ("+49 30 1234567".to_owned(), false)]);
    refused(store.add_number(&admin(), &number("+49 30 1234567", "de", false)).await, "is there already");
    for wrong in ["", "12", "not a number", "+49 30 x", &"1".repeat(21)] {
        refused(store.add_number(&admin(), &number(wrong, "de", false)).await, "3 to 20 digits");
    }
    for wrong in ["", "x", "e n", "en-", "1-2"] {
        refused(store.add_number(&admin(), &number("+1 555 0100", wrong, false)).await, "such as en");
    }

    let (anna, _) = enable(&store, "anna@example.com", None).await;
    let change = UserChange { number: Some(Some(london.key)), ..UserChange::default() };
    assert_eq!(store.change_user(&admin(), &anna.identity, &change).await.unwrap().number, Some(london.key));
    let changed = store.change_number(&admin(), london.key, &number("+44 20 7946 0001", "en", false)).await.unwrap();
    assert!(changed.is_default, "there is always one");
    store.remove_number(&admin(), london.key).await.unwrap();
    assert_eq!(store.user(&anna.identity).await.unwrap().number, None, "the default one, from then on");
    assert_eq!(numbers(&store).await, [("+49 30 1234567".to_owned(), true)]);
    refused(store.remove_number(&admin(), london.key).await, "no number");
    refused(store.change_user(&admin(), &anna.identity, &change).await, "no such number");
    let actions: Vec<_> = store.audit(&AuditPage::newest(9)).await.unwrap().into_iter().map(|l| l.action).collect();
    assert_eq!(actions, ["number.remove", "number.set", "user.set", "user.enable", "number.add", "number.add"]);
}

async fn the_configuration_seeds_the_numbers_once(place: Place) {
    let (store, other) = (place.store().await, place.store().await);
    let seed = [number("+1 555 0100", "en", false), number("+1 555 0101", "en", true)];
    let (one, two) = tokio::join!(store.seed_numbers(&seed), other.seed_numbers(&seed));
    one.unwrap();
    two.unwrap();
    assert_eq!(numbers(&store).await, [("+1 555 0101".to_owned(), true), ("+1 555 0100".to_owned(), false)]);
    for number in store.numbers().await.unwrap() {
        store.remove_number(&admin(), number.key).await.unwrap();
    }
    store.seed_numbers(&seed).await.unwrap();
    assert_eq!(numbers(&store).await, [], "who removed them all has none");
}

fn plan(place: &Place, subject: &str, starts_in: Duration) -> MeetingPlan {
    let starts_at = place.clock.now().after(starts_in);
    MeetingPlan { subject: subject.to_owned(), starts_at, ends_at: starts_at.after(HOUR) }
}

async fn finds(store: &Store, id: &ConferenceId) -> Option<ConferenceKey> {
    match store.find_conference(id, &Origin::new("+1", "carrier")).await.unwrap() {
        ConferenceAnswer::Found(conference) => Some(conference.key),
        _ => None,
    }
}

async fn a_scheduled_meeting_is_reached_until_it_expires(place: Place) {
    let store = place.store().await;
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    let meeting = store.schedule_meeting(&admin(), &anna.identity, &plan(&place, " Budget ", DAY)).await.unwrap();
    assert_ne!(Some(meeting.conference_id), anna.conference_id);
    assert_eq!((meeting.subject.as_str(), meeting.organizer, meeting.revision), ("Budget", anna.key, 0));
    assert_eq!(finds(&store, &meeting.conference_id).await, Some(meeting.key));
    let origin = Origin::new("+1", "carrier");
    assert_eq!(store.verify_pin(meeting.key, &pin, &origin).await.unwrap(), PinAnswer::Right, "its organizer's PIN");
    assert_eq!(store.meeting_by_id(&meeting.conference_id).await.unwrap(), meeting);

    let change = MeetingChange { ends_at: Some(meeting.ends_at.after(HOUR)), ..MeetingChange::default() };
    let later = store.change_meeting(&admin(), meeting.key, &change).await.unwrap();
    assert_eq!((later.revision, later.starts_at, later.conference_id), (1, meeting.starts_at, meeting.conference_id));
    let wrong = MeetingChange { ends_at: Some(meeting.starts_at), ..MeetingChange::default() };
    refused(store.change_meeting(&admin(), meeting.key, &wrong).await, "ends after it starts");
    refused(store.schedule_meeting(&admin(), &anna.identity, &plan(&place, "", DAY)).await, "a subject");
    refused(store.schedule_meeting(&admin(), &anna.identity, &plan(&place, "x", 3_000 * DAY)).await, "five years");
    let past = MeetingPlan { subject: "x".into(), starts_at: Timestamp(0), ends_at: Timestamp(1) };
    refused(store.schedule_meeting(&admin(), &anna.identity, &past).await, "over already");
    refused(
        store.schedule_meeting(&admin(), &identity("nobody@example.com"), &plan(&place, "x", DAY)).await,
        "no user",
    );

    let second = store.schedule_meeting(&admin(), &anna.identity, &plan(&place, "Other", DAY)).await.unwrap();
    store.cancel_meeting(&admin(), second.key).await.unwrap();
    assert_eq!(finds(&store, &second.conference_id).await, None, "at once");
    refused(store.cancel_meeting(&admin(), second.key).await, "no scheduled meeting");

    place.clock.advance(DAY + 2 * HOUR + 59 * DAY);
    assert!(finds(&store, &meeting.conference_id).await.is_some(), "people come late");
    place.clock.advance(DAY);
    assert_eq!(finds(&store, &meeting.conference_id).await, None);
    refused(store.meeting_by_id(&meeting.conference_id).await, "no scheduled meeting");
    assert!(store.tidy().await.unwrap() > 0);
    assert_eq!(finds(&store, &meeting.conference_id).await, None);
    assert!(finds(&store, &anna.conference_id.unwrap()).await.is_some(), "his own one stays");
}

async fn meetings_are_listed_in_order_and_by_pages(place: Place) {
    let store = place.store().await;
    let (anna, _) = enable(&store, "anna@example.com", None).await;
    let (bob, _) = enable(&store, "bob@example.com", None).await;
    for (who, subject, starts_in) in [(&anna, "c", 3), (&bob, "a", 1), (&anna, "b", 2), (&bob, "b too", 2)] {
        store.schedule_meeting(&admin(), &who.identity, &plan(&place, subject, starts_in * DAY)).await.unwrap();
    }
    let list = async |page: MeetingPage| -> Vec<String> {
        store.meetings(&page).await.unwrap().into_iter().map(|meeting| meeting.subject).collect()
    };
    let page = MeetingPage { limit: 10, ..MeetingPage::default() };
    assert_eq!(list(page.clone()).await, ["a", "b", "b too", "c"]);
    assert_eq!(list(MeetingPage { organizer: Some(anna.key), ..page.clone() }).await, ["b", "c"]);
    let from = Some(place.clock.now().after(2 * DAY + HOUR));
    assert_eq!(list(MeetingPage { from, ..page.clone() }).await, ["b", "b too", "c"]);
    let first = store.meetings(&MeetingPage { limit: 2, ..page.clone() }).await.unwrap();
    let after = first.last().unwrap().cursor().to_string().parse().ok();
    assert_eq!(list(MeetingPage { after, ..page.clone() }).await, ["b too", "c"]);
    store.disable_user(&admin(), &anna.identity, None).await.unwrap();
    assert_eq!(list(page).await, ["a", "b too"], "his meetings go with him");
}

async fn mails(store: &Store) -> Vec<(MailKind, MailState)> {
    let mails = store.outbox(&MailPage { limit: 50, ..MailPage::default() }).await.unwrap();
    mails.into_iter().map(|mail| (mail.kind, mail.state)).collect()
}

async fn a_change_and_its_mail_are_one(place: Place) {
    use MailKind::*;
    use MailState::*;
    let store = place.store().await;
    let to = wish("Anna@example.com");
    let (anna, first) = enable(&store, "anna@example.com", Some(&to)).await;
    assert_eq!(mails(&store).await, [(Enabled, Queued)]);
    let again = store.enable_user(&admin(), &anna.identity, &Default::default(), Some(&to)).await.unwrap();
    assert!(matches!(again, anteroom::credentials::Enabled::Already { .. }));
    assert_eq!(mails(&store).await.len(), 1, "nothing happened, so nobody is told");

    let (_, second) = store.reset_pin(&admin(), &anna.identity, Some(&to)).await.unwrap();
    store.reset_conference_id(&admin(), &anna.identity, Some(&to)).await.unwrap();
    store.send_info(&admin(), &anna.identity, &to).await.unwrap();
    let all = [(ConferenceInfo, Queued), (ConferenceIdChanged, Queued), (PinReset, Queued), (Enabled, GivenUp)];
    assert_eq!(mails(&store).await, all, "a PIN that does not hold any more is not sent");

    let claimed = store.claim_mails(10, HOUR).await.unwrap();
    let pins: Vec<_> = claimed.iter().map(|claimed| (claimed.mail.kind, claimed.pin.clone())).collect();
    assert_eq!(pins, [(PinReset, Some(second.clone())), (ConferenceIdChanged, None), (ConferenceInfo, None)]);
    assert_eq!(
        (claimed[0].mail.to.as_str(), claimed[0].mail.identity.as_str()),
        ("Anna@example.com", "anna@example.com")
    );
    let shown = format!("{claimed:?}");
    assert!(!shown.contains(second.expose()) && !shown.contains(first.expose()));
    store.mail_sent(claimed[0].mail.key).await.unwrap();
    refused(store.retry_mail(&admin(), claimed[0].mail.key).await, "sent already");

    store.reset_pin(&admin(), &anna.identity, Some(&to)).await.unwrap();
    store.disable_user(&admin(), &anna.identity, Some(&to)).await.unwrap();
    let all = mails(&store).await;
    assert_eq!(all[..2], [(Disabled, Queued), (PinReset, GivenUp)]);
    let page = MailPage { search: Some("ANNA@".into()), state: Some(GivenUp), limit: 9, before: None };
    let given_up = store.outbox(&page).await.unwrap();
    assert_eq!(given_up.len(), 2);
    refused(store.retry_mail(&admin(), given_up[0].key).await, "reset the PIN");
    refused(store.send_info(&admin(), &anna.identity, &to).await, "is disabled");

    let audit = store.audit(&AuditPage::newest(50)).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "user.reset-pin" && line.detail == "mail to Anna@example.com"));
    let audit = format!("{audit:?}");
    assert!(!audit.contains(&format!(" {}", second.expose())));
}

async fn a_mail_is_claimed_by_one_and_comes_at_most_twice(place: Place) {
    let (store, other) = (place.store().await, place.store().await);
    for number in 0..20 {
        enable(&store, &format!("user-{number}@example.com"), Some(&wish("a@example.com"))).await;
    }
    let minute = Duration::from_secs(60);
    let (one, two) = tokio::join!(store.claim_mails(20, minute), other.claim_mails(20, minute));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.len() + two.len(), 20, "each once");
    let mut claimed: Vec<_> = one.iter().chain(&two).map(|claimed| claimed.mail.key).collect();
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 20);
    assert!(store.claim_mails(20, minute).await.unwrap().is_empty());

    // Sent; failed for now; failed for good; and one whose server died with it in its hands.
    let [sent, later, never, lost] = claimed[..4] else { panic!() };
    store.mail_sent(sent).await.unwrap();
    store
        .mail_failed(later, "451 busy\r\ntry later", MailFailure::TryAgain(place.clock.now().after(HOUR)))
        .await
        .unwrap();
    store.mail_failed(never, "550 no such user", MailFailure::GiveUp).await.unwrap();
    for key in &claimed[4..] {
        store.mail_sent(*key).await.unwrap();
    }
    place.clock.advance(minute);
    let again = other.claim_mails(20, minute).await.unwrap();
    assert_eq!(again.iter().map(|claimed| claimed.mail.key).collect::<Vec<_>>(), [lost]);
    assert!(again[0].pin.is_some() && again[0].mail.attempts == 2);
    place.clock.advance(minute);
    assert!(store.claim_mails(20, minute).await.unwrap().is_empty(), "twice, and not again");
    let lost = store.mail(lost).await.unwrap();
    assert!(lost.state == MailState::GivenUp && lost.last_error.unwrap().contains("may have arrived"));

    let never = store.mail(never).await.unwrap();
    assert_eq!((never.state, never.last_error.as_deref()), (MailState::GivenUp, Some("550 no such user")));
    let waiting = store.mail(later).await.unwrap();
    assert_eq!(waiting.last_error.as_deref(), Some("451 busy  try later"), "one line");
    assert_eq!(store.retry_mail(&admin(), later).await.unwrap().next_at, place.clock.now());
    let claimed = store.claim_mails(20, minute).await.unwrap();
    assert_eq!(claimed.len(), 1);
    place.clock.advance(100 * DAY);
    assert!(store.tidy().await.unwrap() >= 18);
}

const PASSWORD: &str = "correct horse battery";

fn new(name: &str, role: Role, user: Option<&str>) -> NewAccount {
    NewAccount { name: name.to_owned(), role, user: user.map(identity) }
}

async fn account(store: &Store, name: &str, role: Role) -> anteroom::credentials::Account {
    let account = store.add_account(&admin(), &new(name, role, None)).await.unwrap();
    store.set_password(&admin(), account.key, &Secret::new(PASSWORD)).await.unwrap()
}

async fn people_sign_in_and_out(place: Place) {
    let store = place.store().await;
    assert!(!store.has_accounts().await.unwrap());
    let olga = account(&store, "Olga@example.com", Role::Operator).await;
    assert_eq!(olga.name, "olga@example.com");
    let verify = async |name: &str, password: &str| {
        store.verify_password(name, &Secret::new(password)).await.unwrap().map(|account| account.key)
    };
    assert_eq!(verify("OLGA@example.com ", PASSWORD).await, Some(olga.key));
    assert_eq!(verify("olga@example.com", "correct horse").await, None);
    assert_eq!(verify("nobody@example.com", PASSWORD).await, None);
    assert_eq!(verify("olga@example.com", &"x".repeat(100_000)).await, None);
    refused(store.set_password(&admin(), olga.key, &Secret::new("short")).await, "10 to 200");
    refused(store.add_account(&admin(), &new("otto@example.com", Role::User, None)).await, "role user needs a user");
    refused(store.add_account(&admin(), &new("OLGA@example.com", Role::Operator, None)).await, "already");
    refused(store.add_account(&admin(), &new("two words", Role::Operator, None)).await, "no spaces");

    let token = store.open_session(olga.key, "192.0.2.1").await.unwrap();
    let signed_in = store.session(&token).await.unwrap().unwrap();
    assert_eq!(signed_in.account, olga);
    assert_eq!(signed_in.csrf, store.session(&token).await.unwrap().unwrap().csrf);
    assert_ne!(signed_in.csrf, token.expose());
    assert!(store.session(&Secret::new(&signed_in.csrf)).await.unwrap().is_none(), "the form's word opens nothing");
    store.change_role(&admin(), olga.key, Role::Administrator).await.unwrap();
    assert_eq!(store.session(&token).await.unwrap().unwrap().account.role, Role::Administrator, "at once");
    assert!(store.has_accounts().await.unwrap());

    // Used now and then it lasts 12 hours; unused, one.
    for _ in 0..23 {
        place.clock.advance(HOUR / 2);
        assert!(store.session(&token).await.unwrap().is_some());
    }
    place.clock.advance(HOUR / 2);
    assert!(store.session(&token).await.unwrap().is_none());
    let token = store.open_session(olga.key, "192.0.2.1").await.unwrap();
    place.clock.advance(HOUR);
    assert!(store.session(&token).await.unwrap().is_none());

    let open = async || store.open_session(olga.key, "192.0.2.1").await.unwrap();
    let (one, two) = (open().await, open().await);
    store.close_session(&one).await.unwrap();
    assert!(store.session(&one).await.unwrap().is_none() && store.session(&two).await.unwrap().is_some());
    store.set_password(&admin(), olga.key, &Secret::new("another password")).await.unwrap();
    assert!(store.session(&two).await.unwrap().is_none(), "a new password signs him out");
    let three = open().await;
    account(&store, "root@example.com", Role::Administrator).await;
    store.disable_account(&admin(), olga.key, true).await.unwrap();
    assert!(store.session(&three).await.unwrap().is_none());
    assert_eq!(verify("olga@example.com", "another password").await, None);
    store.disable_account(&admin(), olga.key, false).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..21 {
        place.clock.advance(Duration::from_secs(1));
        tokens.push(open().await);
    }
    assert!(store.session(&tokens[0]).await.unwrap().is_none(), "twenty at once");
    assert!(store.session(&tokens[1]).await.unwrap().is_some());
    let names = store.accounts(&AccountPage { search: None, after: None, limit: 9 }).await.unwrap();
    assert_eq!(
        names.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(),
        ["olga@example.com", "root@example.com"]
    );
}

async fn links_work_once(place: Place) {
    let (store, other) = (place.store().await, place.store().await);
    // Two servers start at once on an empty store: both print the same link, and it goes on to hold.
    let actor = admin();
    let (first, second) = tokio::join!(store.first_link(&actor), other.first_link(&actor));
    let (link, ends) = first.unwrap().unwrap();
    assert_eq!(second.unwrap().unwrap(), (link.clone(), ends));
    assert_eq!(ends, place.clock.now().after(DAY));
    place.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(other.first_link(&admin()).await.unwrap().unwrap(), (link.clone(), ends));
    place.clock.advance(Duration::from_secs(1));
    let old = link;
    let (link, ends) = other.first_link(&admin()).await.unwrap().unwrap();
    assert!(link != old && ends == place.clock.now().after(DAY));
    let (password, from) = (Secret::new(PASSWORD), "192.0.2.1");
    refused(store.first_administrator(&link, "root", &Secret::new("short"), from).await, "10 to 200");
    for wrong in [&old, &Secret::new("x")] {
        refused(store.first_administrator(wrong, "root", &password, from).await, "ask for a new one");
    }
    let (one, two) = tokio::join!(
        store.first_administrator(&link, "root", &password, from),
        other.first_administrator(&link, "mallory", &password, from)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "one administrator comes of it");
    assert_eq!(one.or(two).unwrap().role, Role::Administrator);
    refused(store.first_administrator(&link, "mallory", &password, from).await, "or was used");
    assert_eq!(store.first_link(&admin()).await.unwrap(), None);

    let (anna, _) = enable(&store, "anna@example.com", None).await;
    let user = new("anna@example.com", Role::User, Some("anna@example.com"));
    let account = store.add_account(&admin(), &user).await.unwrap();
    assert_eq!((account.user, account.identity.as_deref()), (Some(anna.key), Some("anna@example.com")));
    let old = store.make_link(&admin(), account.key).await.unwrap();
    let link = store.make_link(&admin(), account.key).await.unwrap();
    refused(store.set_password_by_link(&old, &password, from).await, "ask for a new one");
    place.clock.advance(DAY);
    refused(store.set_password_by_link(&link, &password, from).await, "ask for a new one");
    let link = store.make_link(&admin(), account.key).await.unwrap();
    assert_eq!(store.set_password_by_link(&link, &password, from).await.unwrap().key, account.key);
    assert_eq!(store.verify_password("anna@example.com", &password).await.unwrap().unwrap().key, account.key);
    refused(store.set_password_by_link(&link, &password, from).await, "or was used");
}

async fn a_first_link_holds_while_nobody_can_sign_in(place: Place) {
    let store = place.store().await;
    let (link, _) = store.first_link(&admin()).await.unwrap().unwrap();
    store.add_account(&admin(), &new("olga", Role::Operator, None)).await.unwrap();
    let made = store.first_administrator(&link, "mallory", &Secret::new(PASSWORD), "192.0.2.1").await;
    refused(made, "an administrator already");
}

async fn tokens_are_told_once(place: Place) {
    let store = place.store().await;
    let make = async |label: &str, role: Role, expires_at: Option<Timestamp>| {
        let new = NewApiToken { label: label.to_owned(), role, user: None, expires_at };
        store.make_token(&admin(), &new).await
    };
    let expires = Some(place.clock.now().after(DAY));
    let (token, secret) = make("Backup", Role::Operator, expires).await.unwrap();
    assert!(secret.expose().starts_with("anteroom_"));
    assert_eq!(store.token(&secret).await.unwrap().unwrap().key, token.key);
    assert!(store.token(&Secret::new("anteroom_x")).await.unwrap().is_none());
    let listed = store.tokens().await.unwrap();
    assert_eq!(listed[0].last_used_at, Some(place.clock.now()));
    assert!(!format!("{listed:?} {:?}", store.audit(&AuditPage::newest(9)).await).contains(&secret.expose()[20..]));
    place.clock.advance(DAY);
    assert!(store.token(&secret).await.unwrap().is_none(), "expired");
    let (token, secret) = make("Sync", Role::Administrator, None).await.unwrap();
    store.revoke_token(&admin(), token.key).await.unwrap();
    assert!(store.token(&secret).await.unwrap().is_none(), "revoked");
    refused(store.revoke_token(&admin(), token.key).await, "no token");
    refused(make(" ", Role::Operator, None).await, "label");
    refused(make("x", Role::User, None).await, "role user needs");
    refused(make("x", Role::Operator, Some(Timestamp(0))).await, "must lie ahead");
}

async fn the_last_administrator_stays(place: Place) {
    let store = place.store().await;
    let one = account(&store, "one@example.com", Role::Administrator).await;
    refused(store.disable_account(&admin(), one.key, true).await, "last administrator");
    refused(store.change_role(&admin(), one.key, Role::Operator).await, "last administrator");
    let two = account(&store, "two@example.com", Role::Administrator).await;
    let other = place.store().await;
    let actor = admin();
    let (a, b) =
        tokio::join!(store.disable_account(&actor, one.key, true), other.disable_account(&actor, two.key, true));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "not both at once either: {a:?} {b:?}");
}

async fn records_and_alerts(place: Place) {
    let store = place.store().await;
    let call = |caller: &str, organizer: Option<&str>| StoredCall {
        ended_at: place.clock.now(),
        caller: caller.to_owned(),
        conference_id: Some("1234567".to_owned()),
        organizer: organizer.map(str::to_owned),
        cause: "hung-up".to_owned(),
        record: format!("{{\"from\":\"{caller}\"}}"),
    };
    store.add_call_records(&[call("+49301", Some("Anna@example.com")), call("+49302", None)]).await.unwrap();
    let list = async |search: Option<&str>, before| {
        let page = CallRecordPage { search: search.map(str::to_owned), before, limit: 10 };
        store.call_records(&page).await.unwrap()
    };
    let all = list(None, None).await;
    assert_eq!(
        all.iter().map(|call| call.record.as_str()).collect::<Vec<_>>(),
        ["{\"from\":\"+49302\"}", "{\"from\":\"+49301\"}"]
    );
    assert_eq!(list(Some("ANNA"), None).await, all[1..]);
    assert_eq!(list(None, Some(all[0].key)).await, all[1..]);
    place.clock.advance(91 * DAY);
    store.tidy().await.unwrap();
    assert!(list(None, None).await.is_empty());

    // Wrong PINs use a budget up: one alert, however many tries follow.
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    store.set_setting(&admin(), "budget_caller_pins", "3").await.unwrap();
    let key = finds(&store, &anna.conference_id.unwrap()).await.unwrap();
    let wrong = Secret::new(if pin.expose().starts_with('9') { "11112" } else { "99998" });
    for _ in 0..6 {
        store.verify_pin(key, &wrong, &Origin::new("+7", "carrier")).await.unwrap();
    }
    let open = store.alerts(&AlertPage { limit: 9, ..AlertPage::default() }).await.unwrap();
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!((open[0].kind.as_str(), open[0].count), ("budget-used-up", 1));
    assert!(open[0].subject.contains("+7 by carrier") && !open[0].text.contains(wrong.expose()));
    store.raise_alert("test", "disk", "full").await.unwrap();
    store.raise_alert("test", "disk", "fuller").await.unwrap();
    assert_eq!(store.open_alerts().await.unwrap(), 2);
    let newest = &store.alerts(&AlertPage { limit: 1, ..AlertPage::default() }).await.unwrap()[0];
    assert_eq!((newest.count, newest.text.as_str()), (2, "fuller"));
    assert!(store.clear_alert(&admin(), newest.key).await.unwrap().cleared_by.is_some());
    store.clear_alert(&admin(), newest.key).await.unwrap();
    store.raise_alert("test", "disk", "again").await.unwrap();
    let all = store.alerts(&AlertPage { cleared: true, before: None, limit: 9 }).await.unwrap();
    assert_eq!(all.iter().map(|alert| alert.count).collect::<Vec<_>>(), [1, 2, 1], "a cleared one is over");
    let clears = store.audit(&AuditPage::newest(9)).await.unwrap();
    assert_eq!(clears.iter().filter(|line| line.action == "alert.clear").count(), 1, "once");
}

async fn live_requests_reach_the_server_that_has_the_meeting(place: Place) {
    let deed = |detail: &str| LiveDeed { subject: "1234567".to_owned(), detail: detail.to_owned() };
    let (store, other) = (place.store().await, place.store().await);
    let (here, nowhere) = (ConferenceKey(7), ConferenceKey(8));
    let key = store.post_live_request(&admin(), "lock", here, &deed("lock")).await.unwrap();
    assert_eq!(store.live_request(key).await.unwrap(), LiveRequestState::Waits);
    assert!(other.take_live_requests("b", &[]).await.unwrap().is_empty(), "it has not this meeting");
    let (one, two) = (place.store().await, place.store().await);
    let hosted = [here];
    let (one, two) = tokio::join!(one.take_live_requests("a", &hosted), two.take_live_requests("c", &hosted));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.len() + two.len(), 1, "one server takes it");
    let taken = one.iter().chain(&two).next().unwrap();
    assert_eq!((taken.key, taken.action.as_str(), taken.conference, &taken.actor), (key, "lock", here, &admin()));
    assert_eq!(store.live_request(key).await.unwrap(), LiveRequestState::Taken);
    store.finish_live_request(key, Err("nobody is in it")).await.unwrap();
    assert_eq!(store.live_request(key).await.unwrap(), LiveRequestState::Failed("nobody is in it".to_owned()));

    let key = store.post_live_request(&admin(), "start", nowhere, &deed("start")).await.unwrap();
    assert!(other.take_live_requests("b", &[here]).await.unwrap().is_empty());
    place.clock.advance(Duration::from_secs(2));
    assert_eq!(other.take_live_requests("b", &[here]).await.unwrap().len(), 1, "none has it: any may");
    store.finish_live_request(key, Ok("started")).await.unwrap();
    assert_eq!(store.live_request(key).await.unwrap(), LiveRequestState::Done("started".to_owned()));
    assert!(!store.withdraw_live_request(key).await.unwrap(), "it is taken");
    store.post_live_request(&admin(), "start", nowhere, &deed("start")).await.unwrap();
    place.clock.advance(Duration::from_secs(31));
    assert!(other.take_live_requests("b", &[nowhere]).await.unwrap().is_empty(), "who asked has gone");

    let key = store.post_live_request(&admin(), "lock", here, &deed("lock")).await.unwrap();
    assert!(store.withdraw_live_request(key).await.unwrap());
    assert!(other.take_live_requests("b", &hosted).await.unwrap().is_empty(), "who asked waits no longer");
    let audit = store.audit(&AuditPage::newest(1)).await.unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].detail.as_str()), ("meeting.live", "lock"), "it was asked for");
}

async fn a_server_learns_which_of_its_meetings_have_another_id_or_none(place: Place) {
    let (store, other) = (place.store().await, place.store().await);
    let (anna, _) = enable(&store, "anna@example.com", None).await;
    let (bob, _) = enable(&store, "bob@example.com", None).await;
    let planned = store.schedule_meeting(&admin(), &bob.identity, &plan(&place, "Budget", DAY)).await.unwrap();
    let key = async |id: ConferenceId| store.conference(&id).await.unwrap().unwrap().key;
    let hers = key(anna.conference_id.unwrap()).await;
    let his = key(bob.conference_id.unwrap()).await;
    // More than go into one statement, most of them nobody's.
    let mut hosted: Vec<ConferenceKey> = (1_000..1_250).map(ConferenceKey).collect();
    hosted.extend([hers, his, planned.key]);
    let found = other.conference_ids(&hosted).await.unwrap();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [hers, his, planned.key]);
    assert_eq!(found[&planned.key], planned.conference_id);

    let anna = store.reset_conference_id(&admin(), &anna.identity, None).await.unwrap();
    assert_eq!(other.conference_ids(&hosted).await.unwrap()[&hers], anna.conference_id.unwrap());
    store.cancel_meeting(&admin(), planned.key).await.unwrap();
    assert_eq!(other.conference_ids(&hosted).await.unwrap().len(), 2);
    store.disable_user(&admin(), &bob.identity, None).await.unwrap();
    assert_eq!(other.conference_ids(&hosted).await.unwrap().into_keys().collect::<Vec<_>>(), [hers]);
    // Enabled again he has a conference of his own, and those who wait for the old one wait in vain all the same.
    enable(&store, "bob@example.com", None).await;
    assert_eq!(other.conference_ids(&hosted).await.unwrap().into_keys().collect::<Vec<_>>(), [hers]);
    assert!(other.conference_ids(&[]).await.unwrap().is_empty());
}

async fn settings_and_mail_texts(place: Place) {
    let (store, other) = (place.store().await, place.store().await);
    assert!(store.settings().await.unwrap().auto_send_email);
    store.set_setting(&admin(), "organization", "Example & Söhne").await.unwrap();
    store.set_setting(&admin(), "lobby_timeout_min", "15").await.unwrap();
    let seen = other.settings().await.unwrap();
    assert_eq!((seen.organization.as_str(), seen.lobby_timeout_min), ("Example & Söhne", Some(15)));
    store.set_mail_template(&admin(), "enabled.subject", Some("Willkommen")).await.unwrap();
    store.set_mail_template(&admin(), "enabled.subject", Some("Welcome")).await.unwrap();
    assert_eq!(other.mail_templates().await.unwrap(), [("enabled.subject".to_owned(), "Welcome".to_owned())]);
    store.set_mail_template(&admin(), "enabled.subject", None).await.unwrap();
    assert_eq!(other.mail_templates().await.unwrap(), []);
    refused(store.set_mail_template(&admin(), "x", Some(&"x".repeat(70_000))).await, "bytes at most");
}

async fn the_audit_is_paged_and_searched(place: Place) {
    let store = place.store().await;
    for value in 1..=5 {
        store.set_setting(&admin(), "budget_same_pin", &value.to_string()).await.unwrap();
    }
    enable(&store, "anna@example.com", None).await;
    let all = store.audit(&AuditPage::newest(10)).await.unwrap();
    assert_eq!(all.len(), 6);
    let page = |search: Option<&str>, before, limit| AuditPage { search: search.map(str::to_owned), before, limit };
    assert_eq!(store.audit(&page(None, Some(all[1].key), 2)).await.unwrap(), all[2..4]);
    assert_eq!(store.audit(&page(Some("ANNA@"), None, 9)).await.unwrap(), all[..1]);
    assert_eq!(store.audit(&page(Some("Settings.Set"), Some(all[1].key), 9)).await.unwrap(), all[2..]);
    assert!(store.audit(&page(Some("%"), None, 9)).await.unwrap().is_empty());
}
