//! The store as a whole: checked, copied into another database, and quick with many users in it.

use std::time::Instant;

use anteroom::config::StoreConfig;
use anteroom::credentials::copy::copy;
use anteroom::credentials::database::{Ask, sql};
use anteroom::credentials::{AuditPage, MailPage, NewNumber, Origin, Page, Store};
use anteroom::words::answer::{ConferenceAnswer, PinAnswer};

use super::caller::SOON;
use super::support::Server;
use super::{Folder, On, Place, admin, enable, identity, wish};

crate::stories! {
    a_store_is_whole
}

async fn a_store_is_whole(place: Place) {
    let store = place.store().await;
    enable(&store, "anna@example.com", None).await;
    enable(&store, "bob@example.com", None).await;
    store.disable_user(&admin(), &identity("bob@example.com"), None).await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    let database = place.database().await;
    (&database).execute(sql("UPDATE users SET search_text = identity")).await.unwrap();
    let findings = store.check().await.unwrap();
    assert_eq!(findings[0].to_string(), "1 users who are not found by their conference ID: anna@example.com");
    (&database).execute(sql("DELETE FROM conferences")).await.unwrap();
    (&database).execute(sql("UPDATE users SET pin_hash = 'x' WHERE enabled")).await.unwrap();
    let findings: Vec<String> = store.check().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        findings,
        [
            "1 enabled users without a conference ID of their own: anna@example.com",
            "1 users whose PIN is no argon2id hash: anna@example.com"
        ]
    );
}

/// A story's store goes from one database to the other and back, and everything holds there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (Debian: postgresql); tests/run installs and runs it"]
async fn a_copy_on_postgres_and_back_is_the_same_store() {
    let sqlite = On::Sqlite.place();
    let store = sqlite.store().await;
    let number =
        NewNumber { number: "+49 30 1234".into(), language: "de".into(), label: "Köln".into(), is_default: true };
    store.add_number(&admin(), &number).await.unwrap();
    let (anna, pin) = enable(&store, "anna@example.com", Some(&wish("anna@example.com"))).await;
    for user in 0..120 {
        enable(&store, &format!("user-{user:03}@example.com"), None).await;
    }
    let gone = enable(&store, "zoe@example.com", None).await.0;
    let origin = Origin::new("+49 30 9", "carrier");
    let key = async |store: &Store| match store.find_conference(&anna.conference_id.unwrap(), &origin).await.unwrap() {
        ConferenceAnswer::Found(conference) => conference.key,
        _ => panic!(),
    };
    store.verify_pin(key(&store).await, &pin, &origin).await.unwrap();
    let before = store.audit(&AuditPage::newest(500)).await.unwrap();
    store.close().await;

    let shared = StoreConfig { url: On::Postgres.place().config.url, key_file: sqlite.config.key_file.clone() };
    let mut told = Vec::new();
    let copied = copy(&sqlite.config.url, &shared.url, |copied| told.push(copied.clone())).await.unwrap();
    told.retain(|copied| copied.rows == copied.of);
    assert_eq!(copied, told);
    assert!(copied.iter().any(|copied| copied.table == "users" && copied.rows == 122), "{copied:?}");
    let there = Store::open(&shared).await.unwrap().with_clock(sqlite.clock.clock());
    assert_eq!(there.check().await.unwrap(), []);
    assert_eq!(there.user(&anna.identity).await.unwrap(), anna);
    assert_eq!(there.verify_pin(key(&there).await, &pin, &origin).await.unwrap(), PinAnswer::Right);
    assert_eq!(there.audit(&AuditPage::newest(500)).await.unwrap(), before);
    assert_eq!(there.numbers().await.unwrap()[0].label, "Köln");
    let mails = there.claim_mails(9, super::HOUR).await.unwrap();
    assert_eq!(mails[0].pin.as_ref(), Some(&pin), "the PIN that waits in the outbox too");
    let (new, _) = enable(&there, "new@example.com", None).await;
    assert!(new.key > gone.key, "no key is used again");
    there.close().await;

    let again = copy(&sqlite.config.url, &shared.url, |_| ()).await.unwrap_err().to_string();
    assert!(again.contains("is in use") && again.contains("empty database"), "{again}");
    let folder = Folder::new();
    let back = StoreConfig { url: folder.sqlite().url, key_file: sqlite.config.key_file.clone() };
    copy(&shared.url, &back.url, |_| ()).await.unwrap();
    let store = Store::open(&back).await.unwrap().with_clock(sqlite.clock.clock());
    assert_eq!(store.verify_pin(key(&store).await, &pin, &origin).await.unwrap(), PinAnswer::Right);
    assert_eq!(store.outbox(&MailPage { limit: 9, ..MailPage::default() }).await.unwrap().len(), 1);
    assert!(enable(&store, "newer@example.com", None).await.0.key > new.key);
    let other = On::Sqlite.place();
    other.store().await.close().await;
    let refused = copy(&back.url, &other.config.url, |_| ()).await.unwrap_err().to_string();
    assert!(refused.contains("another server key"), "{refused}");
}

const MANY: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
    INSERT INTO users (identity, name, search_text, enabled, allow_anonymous_start, lobby_policy, created_at, pin_hash,
                       pin_digits, pin_set_at, pin_generation)
    SELECT 'person-' || (i * 7919 % 50021) || '@department-' || (i % 97) || '.example.com',
           'Ada Lovelace ' || i, 'person-' || (i * 7919 % 50021) || '@department-' || (i % 97) || '.example.com ada lovelace ' || i,
           TRUE, FALSE, 'open', 0, '$argon2id$x', 5, 0, 1 FROM n";
const THEIR_IDS: &str = "INSERT INTO conferences (conference_id, organizer, personal, created_at)
    SELECT CAST(1000000 + user_key * 97 AS TEXT), user_key, TRUE, 0 FROM users";

const FOUND_BY_THEM: &str =
    "UPDATE users SET search_text = search_text || ' ' || CAST(1000000 + user_key * 97 AS TEXT)";

/// Median and worst of this many.
const TIMES: usize = 20;

fn measured(what: &str, limit_ms: f64, mut once: impl FnMut()) {
    once();
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let begun = Instant::now();
            once();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[TIMES / 2], times[TIMES - 1]);
    let judged = if median < limit_ms { "" } else { "   MISSED" };
    println!("  {what:34} {median:7.1} {worst:7.1}   goal {limit_ms:3.0}{judged}");
}

/// Pages and searches, as somebody asks for them: the list, what it is searched for, and how many rows come.
const ASKED: [(&str, f64, &str, &str, usize); 7] = [
    ("first page", 100.0, "", "", 50),
    ("a page in the middle", 100.0, "", "person-3", 50),
    ("search: in the middle of many names", 200.0, "ovelac", "", 50),
    ("search: few", 200.0, "LOVELACE 4999", "", 11),
    ("search: an identity", 200.0, "person-7919@", "", 1),
    ("search: a conference ID", 200.0, "2940000", "", 1),
    ("search: nobody", 200.0, "grace hopper", "", 0),
];

/// 50,000 users: what a page and a search take, through the store and through a real server. The issue wants less than 100
/// and 200 ms. It is a measurement: a busy machine makes it slow, and nothing fails.
fn fifty_thousand_users(on: On) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let place = on.place();
    let store = runtime.block_on(async {
        let store = place.store().await;
        let database = place.database().await;
        (&database).execute(sql(MANY)).await.unwrap();
        (&database).execute(sql(THEIR_IDS)).await.unwrap();
        (&database).execute(sql(FOUND_BY_THEM)).await.unwrap();
        if on == On::Postgres {
            // What its own housekeeping does within a minute of so many new rows.
            (&database).execute(sql("VACUUM ANALYZE users")).await.unwrap();
        }
        database.close().await;
        store
    });
    println!("{on:?}: 50,000 users; median and worst of {TIMES}, in ms");
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    for (what, goal, search, after, rows) in ASKED {
        let page = Page { search: some(search), after: some(after), limit: 50, disabled: false };
        measured(what, goal, || assert_eq!(runtime.block_on(store.users(&page)).unwrap().len(), rows, "{what}"));
    }
    measured("count of a search", 200.0, || {
        assert_eq!(runtime.block_on(store.count_users(Some("department-1."), false)).unwrap(), 516);
    });

    let settings = place.settings();
    let server = Server::start("fifty-thousand", &settings.iter().map(String::as_str).collect::<Vec<_>>());
    let browser = Browser::first_administrator(&server);
    for (what, goal, search, after, rows) in ASKED {
        let query = format!("limit=50&search={}&after={after}", search.replace(' ', "%20").replace('@', "%40"));
        let query = if search.is_empty() { query.replace("&search=", "") } else { query };
        let query = if after.is_empty() { query.replace("&after=", "") } else { query };
        measured(&format!("API, {what}"), goal, || {
            let page: serde_json::Value =
                serde_json::from_str(&browser.get(&format!("/api/v1/users?{query}"))).unwrap();
            assert_eq!(page["items"].as_array().unwrap().len(), rows, "{what}");
        });
        let path = format!("/users?{}", query.replace("limit=50&", "").replace("limit=50", ""));
        measured(&format!("console, {what}"), goal, || {
            let shown = browser.get(&path).matches("@department-").count();
            assert!((shown > 0) == (rows > 0), "{what}: {shown} rows");
        });
    }
}

/// Somebody who has signed in.
struct Browser {
    base: String,
    cookie: String,
    agent: ureq::Agent,
}

impl Browser {
    fn first_administrator(server: &Server) -> Browser {
        let link = server.wait_for_line("/first-administrator#", SOON);
        let link = link.split_once('#').unwrap().1.trim();
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(SOON)).build().into();
        let base = format!("http://{}", server.http);
        let body = serde_json::json!({"link": link, "name": "admin", "password": "correct horse battery staple"});
        let answer = agent.post(format!("{base}/api/v1/first-administrator")).send_json(&body).unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Browser { base, cookie, agent }
    }

    fn get(&self, path: &str) -> String {
        let asked = self.agent.get(format!("{}{path}", self.base)).header("cookie", &self.cookie).call();
        asked.unwrap().body_mut().read_to_string().unwrap()
    }
}

#[test]
#[ignore = "measures: cargo test --release --test store fifty_thousand -- --ignored --nocapture --test-threads 1"]
fn fifty_thousand_users_in_sqlite() {
    fifty_thousand_users(On::Sqlite);
}

#[test]
#[ignore = "measures, and needs PostgreSQL (Debian: postgresql)"]
fn fifty_thousand_users_in_postgresql() {
    fifty_thousand_users(On::Postgres);
}
