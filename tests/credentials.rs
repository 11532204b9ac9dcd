//! The story of the credential store, told on SQLite and on PostgreSQL: whatever holds on one must hold on both.

#[path = "store/postgres.rs"]
mod postgres;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use anteroom::config::{StoreConfig, StoreUrl};
use anteroom::credentials::budget::{Budget, Charge};
use anteroom::credentials::database::{self, sqlite};
use anteroom::credentials::rows::{Change, Enabling, NewPin, NewUser, RightPin, Rows};
use anteroom::credentials::{
    Actor, AuditEntry, AuditLine, AuditPage, ClearBudgets, Clock, Enabled, Identity, OpenError, Origin, Page, Store,
    StoreError, Timestamp, User, UserChange, UserDetails,
};
use anteroom::words::answer::{Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey};
use anteroom::words::secret::Secret;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock that a test sets.
#[derive(Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> TestClock {
        TestClock(Arc::new(AtomicI64::new(1_700_000_000_000)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let now = self.0.clone();
        Clock::from_fn(move || Timestamp(now.load(Ordering::SeqCst)))
    }
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("anteroom-credentials-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn config(&self) -> StoreConfig {
        StoreConfig { url: StoreUrl::Sqlite(self.0.join("anteroom.db")), key_file: None }
    }

    async fn store(&self, clock: &TestClock) -> Store {
        Store::open(&self.config()).await.unwrap().with_clock(clock.clock())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The databases that a story is told on.
#[derive(Clone, Copy)]
enum On {
    Sqlite,
    Postgres,
}

/// Tells the same story to a store in each place.
async fn on_each_store<F: Future<Output = ()>>(on: On, story: impl Fn(Store, TestClock) -> F) {
    let (folder, clock) = (Folder::new(), TestClock::new());
    match on {
        On::Sqlite => {
            story(folder.store(&clock).await, clock).await;
            let clock = TestClock::new();
            story(Store::in_memory(clock.clock()).await.unwrap(), clock).await;
        }
        On::Postgres => {
            let config = postgres::config(&folder.0);
            story(Store::open(&config).await.unwrap().with_clock(clock.clock()), clock).await;
        }
    }
}

/// The same for what only the rows themselves can be asked.
async fn on_all_rows<F: Future<Output = ()>>(on: On, story: impl Fn(Rows) -> F) {
    match on {
        On::Sqlite => {
            let folder = Folder::new();
            story(Rows::new(sqlite::open(&folder.0.join("anteroom.db")).await.unwrap())).await;
            story(Rows::new(sqlite::in_memory().await.unwrap())).await;
        }
        On::Postgres => {
            let url = postgres::new_database();
            story(Rows::new(database::postgres::open(&url).await.unwrap())).await;
        }
    }
}

/// Each story becomes two tests.
macro_rules! stories {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::On::Sqlite).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
                async fn $name() {
                    super::$name(super::On::Postgres).await;
                }
            )*
        }
    };
}

stories! {
    a_user_comes_goes_and_comes_back
    a_reset_pin_works_at_once_and_for_its_owner_only
    the_length_setting_is_for_pins_made_later
    a_new_conference_id_takes_over_and_the_pin_stays
    lists_are_in_order_searched_and_paged
    wrong_conference_ids_use_up_tries_and_a_right_one_is_always_found
    a_caller_with_no_tries_left_is_not_even_looked_at
    an_organizer_under_attack_gets_through
    withheld_numbers_are_one_caller_and_never_a_known_one
    one_pin_on_many_meetings_is_taken_as_wrong
    many_at_once_get_no_more_tries_than_one
    retired_conference_ids_rest_for_ninety_days
    a_pin_that_was_reset_while_it_was_checked_is_not_right
}

fn admin() -> Actor {
    Actor::new("anna (uid 1000)", "test")
}

fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

async fn enable(store: &Store, name: &str) -> (User, Secret) {
    match store.enable_user(&admin(), &identity(name), &UserDetails::default(), None).await.unwrap() {
        Enabled::New { user, pin } => (user, pin),
        Enabled::Already { user } => panic!("{} was enabled before", user.identity),
    }
}

fn from(caller: &str) -> Origin {
    Origin::new(caller, "carrier")
}

async fn find(store: &Store, id: ConferenceId) -> Option<Conference> {
    match store.find_conference(&id, &from("+1")).await.unwrap() {
        ConferenceAnswer::Found(conference) => Some(conference),
        _ => None,
    }
}

async fn key_of(store: &Store, user: &User) -> ConferenceKey {
    find(store, user.conference_id.unwrap()).await.unwrap().key
}

/// A PIN of the same length that is not this one.
fn not(pin: &Secret) -> Secret {
    let changed = pin.expose().replace(|c| c != '9', "9");
    Secret::new(if changed == pin.expose() { changed.replace('9', "8") } else { changed })
}

async fn try_pin(store: &Store, key: ConferenceKey, pin: &Secret, caller: &str) -> PinAnswer {
    store.verify_pin(key, pin, &from(caller)).await.unwrap()
}

async fn a_user_comes_goes_and_comes_back(on: On) {
    on_each_store(on, |store, clock| async move {
        assert!(!store.has_users().await.unwrap());
        let (user, pin) = enable(&store, "Anna@Example.com").await;
        let first_id = user.conference_id.unwrap();
        assert_eq!(user.identity.as_str(), "anna@example.com");
        assert_eq!(pin.len(), 5);
        assert!(user.enabled && !user.allow_anonymous_start && user.lobby_policy == LobbyPolicy::Open);

        let conference = find(&store, first_id).await.unwrap();
        assert_eq!(conference.organizer, user.key);
        assert_eq!(conference.organizer_identity, "anna@example.com");
        assert_eq!(try_pin(&store, conference.key, &pin, "+1").await, PinAnswer::Right);
        assert_eq!(try_pin(&store, conference.key, &not(&pin), "+1").await, PinAnswer::Wrong);

        // Twice changes nothing, and is no line in the audit.
        let other = UserDetails { name: "Another Name".to_owned(), email: None };
        let again = store.enable_user(&admin(), &user.identity, &other, None).await.unwrap();
        assert!(matches!(again, Enabled::Already { user: same } if same == user));
        assert_eq!(store.audit(&AuditPage::newest(10)).await.unwrap().len(), 1);

        let change = UserChange {
            name: Some("Anna Ångström".to_owned()),
            allow_anonymous_start: Some(true),
            lobby_policy: Some(LobbyPolicy::WaitForAdmission),
            ..UserChange::default()
        };
        let changed = store.change_user(&admin(), &user.identity, &change).await.unwrap();
        assert_eq!(changed.name, "Anna Ångström");
        let conference = find(&store, first_id).await.unwrap();
        assert!(conference.allow_anonymous_start && conference.lobby_policy == LobbyPolicy::WaitForAdmission);

        clock.advance(HOUR);
        let disabled = store.disable_user(&admin(), &user.identity, None).await.unwrap();
        assert!(!disabled.enabled && disabled.conference_id.is_none() && disabled.pin_set_at.is_none());
        assert_eq!(find(&store, first_id).await, None, "refused at once");
        assert_eq!(
            try_pin(&store, conference.key, &pin, "+1").await,
            PinAnswer::Wrong,
            "whoever is still on the line too"
        );
        assert_eq!(
            store.reset_pin(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert_eq!(
            store.reset_conference_id(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert_eq!(
            store.disable_user(&admin(), &user.identity, None).await.unwrap_err(),
            StoreError::NotEnabled(user.identity.clone())
        );
        assert!(store.has_users().await.unwrap(), "he was there once");

        // Back, with a new ID and PIN, and what he was allowed.
        let (back, new_pin) = enable(&store, "anna@example.com").await;
        assert_eq!((back.key, back.name.as_str()), (user.key, "Anna Ångström"));
        assert!(back.allow_anonymous_start);
        assert_ne!(back.conference_id.unwrap(), first_id);
        let key = key_of(&store, &back).await;
        assert_ne!(key, conference.key, "a conference key is never used again");
        assert_eq!(try_pin(&store, key, &new_pin, "+1").await, PinAnswer::Right);

        let nobody = identity("nobody@example.com");
        assert_eq!(store.user(&nobody).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.reset_pin(&admin(), &nobody, None).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.disable_user(&admin(), &nobody, None).await.unwrap_err(), StoreError::NoUser(nobody.clone()));
        assert_eq!(store.change_user(&admin(), &nobody, &change).await.unwrap_err(), StoreError::NoUser(nobody));

        let audit: Vec<_> =
            store.audit(&AuditPage::newest(10)).await.unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(audit, ["user.enable", "user.disable", "user.set", "user.enable"]);
        assert_eq!(store.audit(&AuditPage::newest(1)).await.unwrap().len(), 1);
    })
    .await;
}

async fn a_reset_pin_works_at_once_and_for_its_owner_only(on: On) {
    on_each_store(on, |store, _| async move {
        let (anna, annas) = enable(&store, "anna@example.com").await;
        let (bob, bobs) = enable(&store, "bob@example.com").await;
        let (anna_key, bob_key) = (key_of(&store, &anna).await, key_of(&store, &bob).await);
        let (after, new) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
        assert_eq!(after.conference_id, anna.conference_id);
        assert_eq!(try_pin(&store, anna_key, &new, "+1").await, PinAnswer::Right);
        if annas != new {
            assert_eq!(try_pin(&store, anna_key, &annas, "+1").await, PinAnswer::Wrong);
        }
        if bobs != new {
            assert_eq!(try_pin(&store, bob_key, &new, "+1").await, PinAnswer::Wrong, "of another user");
        }
        assert_eq!(try_pin(&store, bob_key, &bobs, "+1").await, PinAnswer::Right);

        // Two administrators at once: two PINs, the last one holds, both are audited.
        let actor = admin();
        let (one, two) =
            tokio::join!(store.reset_pin(&actor, &bob.identity, None), store.reset_pin(&actor, &bob.identity, None));
        let (one, two) = (one.unwrap().1, two.unwrap().1);
        let right = [try_pin(&store, bob_key, &one, "+2").await, try_pin(&store, bob_key, &two, "+2").await];
        let rights = right.iter().filter(|answer| **answer == PinAnswer::Right).count();
        assert_eq!(rights, if one == two { 2 } else { 1 });
        let resets = |entries: Vec<AuditLine>| entries.iter().filter(|e| e.action == "user.reset-pin").count();
        assert_eq!(resets(store.audit(&AuditPage::newest(10)).await.unwrap()), 3);
    })
    .await;
}

async fn the_length_setting_is_for_pins_made_later(on: On) {
    on_each_store(on, |store, _| async move {
        let (anna, short) = enable(&store, "anna@example.com").await;
        for wrong in ["3", "13", "x"] {
            assert!(matches!(store.set_setting(&admin(), "pin_length", wrong).await, Err(StoreError::Setting(_))));
        }
        store.set_setting(&admin(), "pin_length", "12").await.unwrap();
        store.set_setting(&admin(), "allow_anonymous_start", "true").await.unwrap();
        assert_eq!(store.settings().await.unwrap().pin_length, 12);
        assert_eq!(try_pin(&store, key_of(&store, &anna).await, &short, "+1").await, PinAnswer::Right);
        let (bob, long) = enable(&store, "bob@example.com").await;
        assert_eq!(long.len(), 12);
        assert!(bob.allow_anonymous_start && !store.user(&anna.identity).await.unwrap().allow_anonymous_start);
        assert_eq!(store.reset_pin(&admin(), &anna.identity, None).await.unwrap().1.len(), 12);
        let audit = store.audit(&AuditPage::newest(1)).await.unwrap();
        assert_eq!(audit[0].actor, admin());
        let set = store
            .audit(&AuditPage::newest(10))
            .await
            .unwrap()
            .into_iter()
            .find(|entry| entry.subject == "pin_length")
            .unwrap();
        assert_eq!((set.action.as_str(), set.detail.as_str()), ("settings.set", "12"));
    })
    .await;
}

async fn a_new_conference_id_takes_over_and_the_pin_stays(on: On) {
    on_each_store(on, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com").await;
        let key = key_of(&store, &anna).await;
        let after = store.reset_conference_id(&admin(), &anna.identity, None).await.unwrap();
        let (old, new) = (anna.conference_id.unwrap(), after.conference_id.unwrap());
        assert_ne!(old, new);
        assert_eq!(find(&store, old).await, None);
        assert_eq!(find(&store, new).await.unwrap().key, key, "a running meeting stays the same");
        assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::Right);
        let audit = &store.audit(&AuditPage::newest(1)).await.unwrap()[0];
        assert_eq!(audit.detail, format!("from {old} to {new}"));
    })
    .await;
}

async fn lists_are_in_order_searched_and_paged(on: On) {
    on_each_store(on, |store, _| async move {
        for name in ["carl@example.com", "anna@example.com", "b_b@example.com", "bxb@example.com"] {
            enable(&store, name).await;
        }
        let change = UserChange { name: Some("ÄNNE Test".to_owned()), ..UserChange::default() };
        store.change_user(&admin(), &identity("carl@example.com"), &change).await.unwrap();
        let bxb = store.disable_user(&admin(), &identity("bxb@example.com"), None).await.unwrap();
        let list = async |page: Page| -> Vec<String> {
            let users = store.users(&page).await.unwrap();
            users.iter().map(|user| user.identity.as_str().split('@').next().unwrap().to_owned()).collect()
        };
        let page = Page::default;
        assert_eq!(list(page()).await, ["anna", "b_b", "carl"]);
        assert_eq!(list(Page { disabled: true, ..page() }).await, ["anna", "b_b", "bxb", "carl"]);
        assert_eq!(list(Page { limit: 2, ..page() }).await, ["anna", "b_b"]);
        let after = Page { after: Some("b_b@example.com".to_owned()), limit: 2, ..page() };
        assert_eq!(list(after).await, ["carl"]);
        let search = |text: &str| Page { search: Some(text.to_owned()), disabled: true, ..page() };
        assert_eq!(list(search("änne")).await, ["carl"], "in all alphabets");
        assert_eq!(list(search("ANNA@")).await, ["anna"]);
        assert_eq!(list(search("b_b")).await, ["b_b"], "an underscore means itself");
        assert_eq!(list(search("%")).await, Vec::<String>::new());
        let anna = store.user(&identity("anna@example.com")).await.unwrap();
        assert_eq!(list(search(anna.conference_id.unwrap().as_str())).await, ["anna"]);
        assert!(!bxb.enabled);
    })
    .await;
}

async fn wrong_conference_ids_use_up_tries_and_a_right_one_is_always_found(on: On) {
    on_each_store(on, |store, clock| async move {
        let (anna, _) = enable(&store, "anna@example.com").await;
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

async fn a_caller_with_no_tries_left_is_not_even_looked_at(on: On) {
    on_each_store(on, |store, clock| async move {
        let (anna, pin) = enable(&store, "anna@example.com").await;
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

async fn an_organizer_under_attack_gets_through(on: On) {
    on_each_store(on, |store, clock| async move {
        let (anna, pin) = enable(&store, "anna@example.com").await;
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

async fn withheld_numbers_are_one_caller_and_never_a_known_one(on: On) {
    on_each_store(on, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com").await;
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

async fn one_pin_on_many_meetings_is_taken_as_wrong(on: On) {
    on_each_store(on, |store, _| async move {
        store.set_setting(&admin(), "budget_same_pin", "3").await.unwrap();
        let (last, pin) = enable(&store, "last@example.com").await;
        let last = key_of(&store, &last).await;
        assert_eq!(try_pin(&store, last, &pin, "+49 30 1").await, PinAnswer::Right);
        for number in 0..3 {
            let (victim, other) = enable(&store, &format!("victim-{number}@example.com")).await;
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

async fn many_at_once_get_no_more_tries_than_one(on: On) {
    on_each_store(on, |store, _| async move {
        let (anna, pin) = enable(&store, "anna@example.com").await;
        let key = key_of(&store, &anna).await;
        assert_eq!(tries_at_once(&[Arc::new(store)], key, &not(&pin)).await, 20, "the caller's budget, exactly");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_by_two_processes() {
    let (folder, clock) = (Folder::new(), TestClock::new());
    let stores = [Arc::new(folder.store(&clock).await), Arc::new(folder.store(&clock).await)];
    let (anna, pin) = enable(&stores[0], "anna@example.com").await;
    let key = key_of(&stores[0], &anna).await;
    assert_eq!(tries_at_once(&stores, key, &not(&pin)).await, 20);
}

async fn retired_conference_ids_rest_for_ninety_days(on: On) {
    on_all_rows(on, |rows| async move {
        let user = |name: &str, id: &str| NewUser {
            identity: identity(name),
            name: String::new(),
            email: None,
            conference_id: id.parse().unwrap(),
            pin: NewPin { hash: "$none".to_owned(), digits: 5 },
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
        };
        let audit = |day: u32| AuditEntry {
            at: Timestamp(0).after(day * DAY),
            actor: admin(),
            action: "test".to_owned(),
            subject: String::new(),
            detail: String::new(),
        };
        let enable = async |name: &str, id: &str, day: u32| {
            !matches!(rows.enable(&user(name, id), &audit(day), None).await.unwrap(), Enabling::ConferenceIdTaken)
        };
        assert!(enable("anna", "1000001", 1).await);
        assert!(!enable("bob", "1000001", 1).await, "in use");
        assert!(enable("bob", "1000002", 1).await);
        rows.replace_conference_id(&identity("anna"), "1000003".parse().unwrap(), &audit(1), None).await.unwrap();
        rows.disable(&identity("bob"), &audit(2), None).await.unwrap();
        assert!(!enable("carl", "1000001", 90).await, "given back on the first day");
        assert!(!enable("carl", "1000002", 91).await, "given back on the second");
        let taken = rows.replace_conference_id(&identity("anna"), "1000002".parse().unwrap(), &audit(91), None).await;
        assert!(matches!(taken.unwrap(), Change::ConferenceIdTaken));
        assert!(
            rows.find_conference("1000003".parse().unwrap(), Timestamp(0)).await.unwrap().is_some(),
            "nothing half"
        );
        assert!(enable("carl", "1000001", 91).await);
        // And round again: an ID can be given back twice.
        rows.disable(&identity("carl"), &audit(92), None).await.unwrap();
        assert!(!enable("dora", "1000001", 181).await);
        assert!(enable("dora", "1000001", 182).await);
    })
    .await;
}

async fn a_pin_that_was_reset_while_it_was_checked_is_not_right(on: On) {
    on_all_rows(on, |rows| async move {
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
    let (folder, clock) = (Folder::new(), TestClock::new());
    let store = folder.store(&clock).await;
    let (anna, pin) = enable(&store, "anna@example.com").await;
    let key = key_of(&store, &anna).await;
    store.set_setting(&admin(), "budget_caller_pins", "4").await.unwrap();
    let second = folder.store(&clock).await;
    assert_eq!(try_pin(&second, key, &pin, "+9").await, PinAnswer::Right, "the same key");
    for _ in 0..2 {
        try_pin(&store, key, &not(&pin), "+1").await;
        try_pin(&second, key, &not(&pin), "+1").await;
    }
    assert_eq!(try_pin(&store, key, &pin, "+1").await, PinAnswer::OutOfTries);
    assert_eq!(try_pin(&second, key, &pin, "+1").await, PinAnswer::OutOfTries);
    drop(store);
    second.close().await;

    let again = folder.store(&clock).await;
    assert_eq!(try_pin(&again, key, &pin, "+1").await, PinAnswer::OutOfTries);
    let other = folder.store(&clock).await;
    let (_, new) = other.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    assert_eq!(try_pin(&again, key, &new, "+2").await, PinAnswer::Right, "what one resets the other sees");
}

#[tokio::test]
async fn a_store_that_can_only_be_read_still_leads_into_the_lobby() {
    let (folder, clock) = (Folder::new(), TestClock::new());
    let store = folder.store(&clock).await;
    let (anna, pin) = enable(&store, "anna@example.com").await;
    let key = key_of(&store, &anna).await;
    // Another process holds the writer's lock and does not let go.
    let url = format!("sqlite:{}", folder.0.join("anteroom.db").display());
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

#[tokio::test]
async fn no_pin_is_anywhere_in_the_files() {
    let (folder, clock) = (Folder::new(), TestClock::new());
    let store = folder.store(&clock).await;
    // Twelve digits: five may stand somewhere by chance.
    store.set_setting(&admin(), "pin_length", "12").await.unwrap();
    let (anna, first) = enable(&store, "anna@example.com").await;
    let key = key_of(&store, &anna).await;
    let typed = Secret::new("864209753186");
    try_pin(&store, key, &typed, "+1").await;
    try_pin(&store, key, &first, "+1").await;
    let (_, second) = store.reset_pin(&admin(), &anna.identity, None).await.unwrap();
    try_pin(&store, key, &second, "+1").await;
    let searched = |when: &str| {
        let mut files = 0;
        for entry in std::fs::read_dir(&folder.0).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for pin in [&first, &second, &typed] {
                let found = bytes.windows(12).any(|window| window == pin.expose().as_bytes());
                assert!(!found, "{} {when}", path.display());
            }
            files += 1;
        }
        files
    };
    assert!(searched("while it is open") >= 3, "database, log and key");
    store.close().await;
    searched("closed");
    let shown = format!("{store:?} {:?}", store.budgets().await);
    assert!(!shown.contains(second.expose()));
}

async fn open_error(folder: &Folder) -> String {
    let error = Store::open(&folder.config()).await.unwrap_err().to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

#[tokio::test]
async fn the_key_belongs_to_the_store() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (folder, clock) = (Folder::new(), TestClock::new());
    let store = folder.store(&clock).await;
    let (anna, pin) = enable(&store, "anna@example.com").await;
    store.close().await;
    let (key, database) = (folder.0.join("anteroom.key"), folder.0.join("anteroom.db"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&key), mode(&database)), (0o600, 0o600));

    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = open_error(&folder).await;
    assert!(error.contains("anteroom.key") && error.contains("restore it"), "{error}");
    assert!(!key.exists(), "no other key is made for a store that has one");

    std::fs::write(&key, "0".repeat(64)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(open_error(&folder).await.contains("is not the key of"));

    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open_error(&folder).await.contains("chmod 600"));

    let elsewhere = folder.0.join("elsewhere.key");
    std::fs::rename(&key, &elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = StoreConfig { key_file: Some(elsewhere), ..folder.config() };
    let store = Store::open(&config).await.unwrap();
    assert_eq!(try_pin(&store, key_of(&store, &anna).await, &pin, "+1").await, PinAnswer::Right);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_its_name() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("anteroom.db")).unwrap();
    assert!(open_error(&folder).await.contains("anteroom.db"));

    let folder = Folder::new();
    std::fs::write(folder.0.join("anteroom.db"), "this is no database, but long enough to look into".repeat(50))
        .unwrap();
    assert!(open_error(&folder).await.contains("anteroom.db"));

    let folder = Folder::new();
    let config = StoreConfig { url: StoreUrl::Sqlite(folder.0.join("missing/anteroom.db")), key_file: None };
    assert!(matches!(Store::open(&config).await, Err(OpenError::Database { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_by_four_at_once() {
    let folder = Folder::new();
    let stores: Vec<_> = (0..4)
        .map(|_| {
            let config = folder.config();
            tokio::spawn(async move { Store::open(&config).await })
        })
        .collect();
    let mut opened = Vec::new();
    for store in stores {
        opened.push(store.await.unwrap().unwrap());
    }
    let (anna, pin) = enable(&opened[0], "anna@example.com").await;
    for store in &opened {
        assert_eq!(try_pin(store, key_of(store, &anna).await, &pin, "+1").await, PinAnswer::Right);
    }
}

#[tokio::test]
async fn a_newer_store_and_a_changed_audit_are_refused() {
    let (folder, clock) = (Folder::new(), TestClock::new());
    let store = folder.store(&clock).await;
    enable(&store, "anna@example.com").await;
    store.close().await;
    let url = format!("sqlite:{}", folder.0.join("anteroom.db").display());
    let database = sqlx::SqlitePool::connect(&url).await.unwrap();
    for sql in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
        let error = sqlx::query(sql).execute(&database).await.unwrap_err().to_string();
        assert!(error.contains("the audit is never"), "{error}");
    }
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'future', TRUE, x'00', 0)",
    )
    .execute(&database)
    .await
    .unwrap();
    database.close().await;
    assert!(open_error(&folder).await.contains("newer version"));
}
