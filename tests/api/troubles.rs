//! Two administrators at once, and a store that is away in the middle: clear words, the right status, nothing half done.

use anteroom::config::StoreUrl;
use anteroom::credentials::{Origin, Store};
use anteroom::words::answer::PinAnswer;
use anteroom::words::secret::Secret;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

use crate::client::Site;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Another program holds what every change needs. Who only looks is not kept from it.
enum Away {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

async fn nobody_writes(store: &StoreUrl) -> Away {
    match store {
        StoreUrl::Sqlite(path) => {
            let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            other.execute("BEGIN IMMEDIATE").await.unwrap();
            Away::Sqlite(other)
        }
        StoreUrl::Postgres(url) => {
            let mut other = PgConnection::connect(url.expose()).await.unwrap();
            other.execute("BEGIN").await.unwrap();
            other.execute("LOCK TABLE audit IN EXCLUSIVE MODE").await.unwrap();
            Away::Postgres(other)
        }
        StoreUrl::Memory => unreachable!("a server of the tests has a store that others reach"),
    }
}

impl Away {
    async fn ends(self) {
        match self {
            Away::Sqlite(mut other) => other.execute("ROLLBACK").await.map(drop).unwrap(),
            Away::Postgres(mut other) => other.execute("ROLLBACK").await.map(drop).unwrap(),
        }
    }
}

#[test]
fn two_who_reset_a_pin_at_once_get_a_pin_each_and_the_last_one_holds() {
    let site = Site::start("two-resets", &[]);
    let anna = site.enable("anna@example.com");
    // From a shell and from two programs, ten times over.
    let programs = [site.program("administrator", None), site.program("administrator", None)];
    let by_shell = || {
        let done = site.server.command(&["user", "reset-pin", "anna@example.com", "--json"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let shown: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        shown["pin"].as_str().unwrap().to_owned()
    };
    let pins: Vec<String> = std::thread::scope(|scope| {
        let over_http = programs.each_ref().map(|program| {
            scope.spawn(|| {
                let reset = || program.send("POST", "/users/anna@example.com/reset-pin", None);
                (0..5).map(|_| reset().json()["pin"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            })
        });
        let mut pins: Vec<String> = (0..2).map(|_| by_shell()).collect();
        pins.extend(over_http.into_iter().flat_map(|thread| thread.join().unwrap()));
        pins
    });
    let audit = site.administrator.get("/audit?search=user.reset-pin").json();
    assert_eq!(audit["items"].as_array().unwrap().len(), pins.len(), "each is audited");
    let holds = runtime().block_on(async {
        let store = Store::open(&site.server.store_config()).await.unwrap();
        for budget in ["budget_caller_pins", "budget_organizer_pins"] {
            let actor = anteroom::credentials::Actor::new("test", "test");
            // More tries than are allowed to anybody outside.
            store.set_setting(&actor, budget, "1000").await.unwrap();
        }
        let id = anna.conference_id.parse().unwrap();
        let conference = store.conference(&id).await.unwrap().unwrap().key;
        let mut holds = Vec::new();
        for pin in pins.iter().chain([&anna.pin]) {
            let answer = store.verify_pin(conference, &Secret::new(pin), &Origin::new("+49", "test")).await.unwrap();
            if answer == PinAnswer::Right {
                holds.push(pin.clone());
            }
        }
        holds
    });
    assert_eq!(holds.len(), 1, "one of them holds");
    assert!(pins.contains(&holds[0]), "and it is none from before");
}

#[test]
fn two_who_enable_the_same_user_at_once_make_one_user() {
    let site = Site::start("two-enables", &[]);
    let program = site.program("administrator", None);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let enable = || program.send("PUT", "/users/anna@example.com", None);
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(enable)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "one is shown the PIN");
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    let ids: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| answer.json()["conference_id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    let audit = site.administrator.get("/audit?search=anna@example.com").json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn a_store_that_is_away_in_the_middle_says_so_and_nothing_is_half_done() {
    let site = Site::start("store-away", &[]);
    let administrator = &site.administrator;
    let anna = site.enable("anna@example.com");
    let before = administrator.get("/users/anna@example.com").text;
    let audit = administrator.get("/audit?limit=1000").text;

    let runtime = runtime();
    let away = runtime.block_on(nobody_writes(&site.server.store_config().url));
    let number = json!({"number": "+49 30 1234567"});
    let requests = [
        ("POST", "/users/anna@example.com/reset-pin", None),
        ("POST", "/users/anna@example.com/reset-conference-id", None),
        ("PUT", "/users/bob@example.com", None),
        ("POST", "/numbers", Some(&number)),
    ];
    std::thread::scope(|scope| {
        for (method, path, body) in requests {
            scope.spawn(move || {
                let answer = administrator.send(method, path, body);
                answer.assert_problem(503, "store-away");
                assert_eq!(answer.header("retry-after"), "5");
            });
        }
        let csv = b"identity\ncleo@example.com\n".to_vec();
        let bulk = administrator.send_raw("POST", "/api/v1/users/bulk?action=enable", Some("text/csv"), csv);
        assert_eq!(bulk.status, 200, "{}", bulk.text);
        assert!(bulk.text.contains("\"failed\"") && bulk.text.contains("can't be used now"), "{}", bulk.text);
        // Who only looks needs nobody's lock.
        assert_eq!(administrator.get("/users").status, 200);
    });
    runtime.block_on(away.ends());

    assert_eq!(administrator.get("/users/anna@example.com").text, before);
    assert_eq!(administrator.get("/audit?limit=1000").text, audit, "what was not done is not told as done");
    for nobody in ["bob@example.com", "cleo@example.com"] {
        administrator.get(&format!("/users/{nobody}")).assert_problem(404, "no-user");
    }
    // The same again works, without a restart.
    let reset = administrator.send("POST", "/users/anna@example.com/reset-pin", None);
    assert!(reset.status == 200 && reset.json()["pin"] != anna.pin.as_str(), "{}", reset.text);
}
