//! What callers try: conference IDs and PINs, right and wrong, and how many of the wrong ones they get.

use std::sync::Arc;

use anteroom::credentials::budget::{Budget, Charge};
use anteroom::credentials::rows::{NewPin, NewUser, RightPin};
use anteroom::credentials::{AuditEntry, AuditPage, ClearBudgets, Origin, Store, StoreError, Timestamp};
use anteroom::words::answer::{ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey};
use anteroom::words::secret::Secret;

use super::{
    DAY, HOUR, On, Place, admin, enable, find, from, identity, key_of, not, on_all_rows, on_each_store, try_pin,
};

crate::stories! {
    wrong_conference_ids_use_up_tries_and_a_right_one_is_always_found
    a_caller_with_no_tries_left_is_not_even_looked_at
    an_organizer_under_attack_gets_through
    withheld_numbers_are_one_caller_and_never_a_known_one
    one_pin_on_many_meetings_is_taken_as_wrong
    many_at_once_get_no_more_tries_than_one
    a_pin_that_was_reset_while_it_was_checked_is_not_right
}

async fn wrong_conference_ids_use_up_tries_and_a_right_one_is_always_found(place: Place) {
    on_each_store(place, |store, clock| async move {
        let (anna, _) = enable(&store, "anna@example.com", None).await;
        store.set_setting(&admin(), "budget_caller_conference_ids", "3").await.unwrap();
        store.set_setting(&admin(), "budget_trunk_conference_ids", "5").await.unwrap();
        let right = anna.conference_id.unwrap();
        let wrong: ConferenceId = if right.as_str() == "1111111" { "2222222" } else { "1111111" }.parse().unwrap();
        let ask = async |id: ConferenceId, caller: &str| store.find_conference(&id, &from(caller)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(ask(wrong, "+1").await, ConferenceAnswer::Unknown);
        }
        assert_eq!(ask(wrong, "+1").await, ConferenceAnswer::UnknownAndOutOfTries);
        assert!(matches!(ask(right, "+1").await, ConferenceAnswer::Found(_)));
        // Another caller of this trunk has what the trunk has left; what was refused was not counted.
        assert_eq!(ask(wrong, "+2").await, ConferenceAnswer::Unknown);
        assert_eq!(ask(wrong, "+3").await, ConferenceAnswer::Unknown);
        assert_eq!(ask(wrong, "+4").await, ConferenceAnswer::UnknownAndOutOfTries);
        assert!(matches!(ask(right, "+4").await, ConferenceAnswer::Found(_)));
        let other_trunk = Origin::new("+1", "other");
        assert_eq!(store.find_conference(&wrong, &other_trunk).await.unwrap(), ConferenceAnswer::Unknown);
        clock.advance(HOUR);
        assert_eq!(ask(wrong, "+1").await, ConferenceAnswer::Unknown);
    })
    .await;
}

async fn a_caller_with_no_tries_left_is_not_even_looked_at(place: Place) {
    on_each_store(place, |store, clock| async move {
        let (anna, pin) = enable(&store, "anna@example.com", None).await;
        let key = key_of(&store, &anna).await;
        store.set_setting(&admin(), "budget_caller_pins", "3").await.unwrap();
        for _ in 0..3 {
            assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right, "right ones are not counted");
        }
        for _ in 0..3 {
            assert_eq!(try_pin(&store, key, &not(&pin), "+1").await, PinAnswer::Wrong);
        }
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::OutOfTries);
        assert_eq!(try_pin(&store, key, &pin, "+2").await, PinAnswer::Right, "another caller is not touched");
        assert_eq!(store.verify_pin(key, &pin, &Origin::new("+1", "other")).await.unwrap(), PinAnswer::Right);

        let counts = store.budgets().await.unwrap();
        let caller = counts.iter().find(|count| count.budget == Budget::CallerPins).unwrap();
        assert_eq!((caller.subject.as_str(), caller.count), ("+1 by carrier", 3));
        assert_eq!(store.clear_budgets(&admin(), ClearBudgets::Subject("+1 by carrier")).await.unwrap(), 1);
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right);
        assert_eq!(store.audit(&AuditPage::newest(1)).await.unwrap()[0].action, "budget.clear");

        for _ in 0..3 {
            try_pin(&store, key, &not(&pin), "+1").await;
        }
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::OutOfTries);
        clock.advance(DAY);
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right, "the window ends by itself");
        assert_eq!(store.budgets().await.unwrap(), []);
    })
    .await;
}

async fn an_organizer_under_attack_gets_through(place: Place) {
    on_each_store(place, |store, clock| async move {
        let (anna, pin) = enable(&store, "anna@example.com", None).await;
        let key = key_of(&store, &anna).await;
        store.set_setting(&admin(), "budget_organizer_pins", "5").await.unwrap();
        assert_eq!(try_pin(&store, key, &pin, "+49 30 1").await, PinAnswer::Right);
        clock.advance(30 * DAY);

        // Ten lines, each as often as it may: 5 for all, and beyond it one for each that has tried at most once.
        let mut looked_at = 0;
        for _ in 0..5 {
            for line in 0..10 {
                let answer = try_pin(&store, key, &not(&pin), &format!("+1 555 {line}")).await;
                looked_at += i32::from(answer == PinAnswer::Wrong);
            }
        }
        assert_eq!(looked_at, 20, "each line twice");
        assert_eq!(try_pin(&store, key, &pin, "+1 555 0").await, PinAnswer::OutOfTries);
        assert_eq!(try_pin(&store, key, &pin, "+49 30 1").await, PinAnswer::Right, "from where she called before");
        assert_eq!(
            try_pin(&store, key, &not(&pin), "+49 171 9").await,
            PinAnswer::Wrong,
            "a slip on a strange telephone"
        );
        assert_eq!(try_pin(&store, key, &pin, "+49 171 9").await, PinAnswer::Right);

        // Numbers without end close the way for strangers, by this trunk, and for nobody else.
        for line in 0..20 {
            try_pin(&store, key, &not(&pin), &format!("+7 {line}")).await;
        }
        assert_eq!(try_pin(&store, key, &pin, "+49 40 5").await, PinAnswer::OutOfTries);
        assert_eq!(try_pin(&store, key, &pin, "+49 30 1").await, PinAnswer::Right);
        assert_eq!(store.verify_pin(key, &pin, &Origin::new("+49 40 5", "other")).await.unwrap(), PinAnswer::Right);
        assert_eq!(store.clear_budgets(&admin(), ClearBudgets::Organizer(&anna.identity)).await.unwrap(), 1);
        assert_eq!(try_pin(&store, key, &pin, "+49 40 5").await, PinAnswer::Right);

        // Who called long ago is a stranger again.
        clock.advance(91 * DAY);
        store.set_setting(&admin(), "budget_organizer_pins", "1").await.unwrap();
        for line in 0..6 {
            try_pin(&store, key, &not(&pin), &format!("+8 {line}")).await;
        }
        assert_eq!(try_pin(&store, key, &pin, "+49 30 1").await, PinAnswer::OutOfTries);
        // A reset makes what was tried worthless.
        let (_, new) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
        assert_eq!(try_pin(&store, key, &new, "+49 30 1").await, PinAnswer::Right);
    })
    .await;
}

async fn withheld_numbers_are_one_caller_and_never_a_known_one(place: Place) {
    on_each_store(place, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com", None).await;
        let key = key_of(&store, &anna).await;
        store.set_setting(&admin(), "budget_organizer_pins", "2").await.unwrap();
        assert_eq!(try_pin(&store, key, &pin, "Anonymous").await, PinAnswer::Right);
        for withheld in ["", "anonymous", "Unknown"] {
            try_pin(&store, key, &not(&pin), withheld).await;
        }
        assert_eq!(try_pin(&store, key, &pin, "anonymous").await, PinAnswer::OutOfTries);
    })
    .await;
}

async fn one_pin_on_many_meetings_is_taken_as_wrong(place: Place) {
    on_each_store(place, |store, _| async move {
        store.set_setting(&admin(), "budget_same_pin", "3").await.unwrap();
        let (last, pin) = enable(&store, "last@example.com", None).await;
        let last = key_of(&store, &last).await;
        assert_eq!(try_pin(&store, last, &pin, "+49 30 1").await, PinAnswer::Right);
        for number in 0..3 {
            let (victim, other) = enable(&store, &format!("victim-{number}@example.com"), None).await;
            if other != pin {
                assert_eq!(try_pin(&store, key_of(&store, &victim).await, &pin, "+1").await, PinAnswer::Wrong);
            }
        }
        assert_eq!(try_pin(&store, last, &pin, "+1").await, PinAnswer::Wrong, "right, but not looked at, and not told");
        assert_eq!(try_pin(&store, last, &pin, "+49 30 1").await, PinAnswer::Right, "known");
        assert_eq!(try_pin(&store, last, &pin, "+49 40 2").await, PinAnswer::Right, "clean");
        let counts = store.budgets().await.unwrap();
        let same = counts.iter().find(|count| count.budget == Budget::SamePin).unwrap();
        assert_eq!(same.count, 4);
        assert!(counts.iter().all(|count| count.budget != Budget::SamePin || !count.subject.contains(pin.expose())));
    })
    .await;
}

/// Forty tries at once, by turns on these stores; how many of them were looked at.
async fn tries_at_once(stores: &[Arc<Store>], key: ConferenceKey, wrong: &Secret) -> usize {
    let tries: Vec<_> = (0..40)
        .map(|number| {
            let (store, wrong) = (stores[number % stores.len()].clone(), wrong.clone());
            tokio::spawn(async move { try_pin(&store, key, &wrong, "+1").await })
        })
        .collect();
    let mut looked_at = 0;
    for answer in tries {
        looked_at += usize::from(answer.await.unwrap() == PinAnswer::Wrong);
    }
    looked_at
}

async fn many_at_once_get_no_more_tries_than_one(place: Place) {
    on_each_store(place, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com", None).await;
        let key = key_of(&store, &anna).await;
        assert_eq!(tries_at_once(&[Arc::new(store)], key, &not(&pin)).await, 20, "the caller's budget, exactly");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_by_two_processes() {
    let place = On::Sqlite.place();
    let stores = [Arc::new(place.store().await), Arc::new(place.store().await)];
    let (anna, pin) = enable(&stores[0], "anna@example.com", None).await;
    let key = key_of(&stores[0], &anna).await;
    assert_eq!(tries_at_once(&stores, key, &not(&pin)).await, 20);
}

async fn a_pin_that_was_reset_while_it_was_checked_is_not_right(place: Place) {
    on_all_rows(place, |rows| async move {
        let anna = identity("anna");
        let pin = |hash: &str| NewPin { hash: hash.to_owned(), digits: 5 };
        let user = NewUser {
            identity: anna.clone(),
            name: String::new(),
            email: None,
            conference_id: "1000001".parse().unwrap(),
            pin: pin("$old"),
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
        };
        let audit = AuditEntry {
            at: Timestamp(0),
            actor: admin(),
            action: String::new(),
            subject: String::new(),
            detail: String::new(),
        };
        rows.enable(&user, &audit, None).await.unwrap();
        let key = rows.find_conference("1000001".parse().unwrap(), Timestamp(0)).await.unwrap().unwrap().key;
        let kept = async || rows.find_pin(key, "+1", Timestamp(0)).await.unwrap();
        let before = kept().await.unwrap();
        let charge = Charge { budget: Budget::CallerPins, subject: "+1".to_owned(), organizer: None, limit: 20 };
        let charges = [charge];
        let now = Timestamp(1_000);
        assert_eq!(rows.charge(now, &charges, &|_| true).await.unwrap(), [0]);
        rows.replace_pin(&anna, &pin("$new"), &audit, None).await.unwrap();
        let right = RightPin {
            organizer: before.organizer,
            generation: before.generation,
            charges: &charges,
            caller: Some("+1"),
        };
        assert!(!rows.pin_was_right(now, &right).await.unwrap());
        assert_eq!(rows.charge(now, &charges, &|_| false).await.unwrap(), [1], "and it stays counted");
        let after = kept().await.unwrap();
        assert_eq!(after.hash, "$new");
        assert!(!after.known_caller);
        let right = RightPin { generation: after.generation, ..right };
        assert!(rows.pin_was_right(now, &right).await.unwrap());
        assert_eq!(rows.charge(now, &charges, &|_| false).await.unwrap(), [0], "given back");
        assert!(kept().await.unwrap().known_caller);

        rows.disable(&anna, &audit, None).await.unwrap();
        assert!(!rows.pin_was_right(now, &right).await.unwrap());
        assert!(kept().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_restart_and_a_second_process_reset_nothing() {
    let place = On::Sqlite.place();
    let store = place.store().await;
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    let key = key_of(&store, &anna).await;
    store.set_setting(&admin(), "budget_caller_pins", "4").await.unwrap();
    let second = place.store().await;
    assert_eq!(try_pin(&second, key, &pin, "+9").await, PinAnswer::Right, "the same key");
    for _ in 0..2 {
        try_pin(&store, key, &not(&pin), "+1").await;
        try_pin(&second, key, &not(&pin), "+1").await;
    }
    assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::OutOfTries);
    assert_eq!(try_pin(&second, key, &pin, "+1").await, PinAnswer::OutOfTries);
    drop(store);
    second.close().await;

    let again = place.store().await;
    assert_eq!(try_pin(&again, key, &pin, "+1").await, PinAnswer::OutOfTries);
    let other = place.store().await;
    let (_, new) = other.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    assert_eq!(try_pin(&again, key, &new, "+2").await, PinAnswer::Right, "what one resets the other sees");
}

#[tokio::test]
async fn a_store_that_can_only_be_read_still_leads_into_the_lobby() {
    let place = On::Sqlite.place();
    let store = place.store().await;
    let (anna, pin) = enable(&store, "anna@example.com", None).await;
    let key = key_of(&store, &anna).await;
    // Another process holds the writer's lock and does not let go.
    let url = format!("sqlite:{}", place.folder.0.join("anteroom.db").display());
    let blocker = sqlx::SqlitePool::connect(&url).await.unwrap();
    let held = blocker.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(find(&store, anna.conference_id.unwrap()).await.is_some());
    let (actor, origin) = (admin(), from("+1"));
    let (answer, disabled) =
        tokio::join!(store.verify_pin(key, &pin, &origin), store.disable_user(&actor, &anna.identity, None));
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "nothing is admitted uncounted: {answer:?}");
    assert!(matches!(disabled, Err(StoreError::Unavailable(_))));
    drop(held);
    assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right);
}
