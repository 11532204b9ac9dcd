//! SIGKILL at random points. Afterwards the store is whole, no count that a caller was told of is lost, and a reset is
//! either done with its line in the audit or not done at all.
//!
//! `ANTEROOM_KILLS=100 cargo test --test faults kill` is the long run, which `tests/run` does.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row};

use super::caller::{Caller, Dial};
use super::support::{Folder, Organizer, Server, anteroom};
use super::{assert_organizer_starts, counted, wrong_pin};

/// Callers in each round, each of one organizer, so that no organizer's budget is used up by the long run.
const CALLERS: usize = 4;

/// From the call to the answer of a wrong PIN takes this long and less: keys at a human's pace.
const ROUND: Duration = Duration::from_millis(3_500);

/// A restart takes this long at most. (Of all restarts half must do with less: a busy machine delays one.)
const RESTART: Duration = Duration::from_secs(3);

/// The store as it lies on the disk: whole, and how often the user's PIN was made and audited.
fn look_into(store: &Path, identity: &str) -> (i64, i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(store).busy_timeout(Duration::from_secs(20));
        let mut connection = options.connect().await.unwrap();
        let check = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        assert_eq!(check.get::<String, _>(0), "ok");
        let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await.unwrap();
        assert!(broken.is_empty(), "rows that lead nowhere");
        let made = "SELECT pin_generation, (SELECT COUNT(*) FROM audit WHERE subject = identity AND action IN \
                    ('user.enable', 'user.reset-pin')) FROM users WHERE identity = ?";
        let row = sqlx::query(made).bind(identity).fetch_one(&mut connection).await.unwrap();
        (row.get(0), row.get(1))
    })
}

/// Dials, enters the conference ID, says that he is the organizer, and a wrong PIN; until the server is gone.
fn try_a_wrong_pin(sip: std::net::SocketAddr, name: String, organizer: &Organizer) -> Caller {
    let caller = Caller::dial(sip, Dial { from: name, ..Dial::from("127.0.0.1") });
    let keys = format!("{}*{}#", organizer.conference_id, wrong_pin(organizer));
    caller.press_soon(&keys);
    caller
}

#[test]
fn killed_at_any_moment_the_store_is_whole_and_no_count_is_lost() {
    let rounds = std::env::var("ANTEROOM_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let seed = 20_261_122;
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::start_in(Folder::new("kill"), &[]);
    let organizers: Vec<Organizer> =
        (0..CALLERS).map(|number| server.enable(&format!("anna{number}@example.com"))).collect();
    let target = "bob@example.com";
    server.enable(target);
    let store = server.folder().join("anteroom.db");
    let (first_generation, first_audit) = look_into(&store, target);
    let mut told_wrong = 0;
    let mut resets_shown = 0;
    let mut restarts = Vec::new();
    for round in 0..rounds {
        let begin = Instant::now();
        let callers: Vec<Caller> = (organizers.iter().enumerate())
            .map(|(number, organizer)| try_a_wrong_pin(server.sip, format!("c{round}x{number}"), organizer))
            .collect();
        let kill_at = begin + random.random_range(Duration::ZERO..ROUND);
        let reset_at = begin + random.random_range(Duration::ZERO..ROUND);
        sleep_until(reset_at.min(kill_at));
        // The shell's reset is a process of its own: in every second round it is killed too.
        let mut reset = anteroom(server.folder(), &[format!("store.url=sqlite:{}", store.display())])
            .args(["user", "reset-pin", target, "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        if round % 2 == 0 {
            std::thread::sleep(random.random_range(Duration::ZERO..Duration::from_millis(150)));
            let _ = reset.kill();
        }
        resets_shown += i64::from(reset.wait().unwrap().success());
        sleep_until(kill_at);
        // What a caller was told stands in the log: the line is written after the answer.
        told_wrong += server.log_text().matches("entered a wrong PIN").count() as u64;
        let folder = server.kill();
        // Each repeats his BYE for a while into the void.
        for caller in callers {
            std::thread::spawn(move || drop(caller));
        }
        let (generation, audited) = look_into(&store, target);
        assert_eq!(generation - first_generation, audited - first_audit, "seed {seed}, round {round}: half a reset");
        assert!(audited - first_audit >= resets_shown, "seed {seed}, round {round}: a PIN was shown and is not there");
        let before = Instant::now();
        server = Server::start_in(folder, &[]);
        restarts.push(before.elapsed());
        let sum = |budget| counted(&server, budget).iter().map(|(_, count)| count).sum::<u64>();
        let (caller, organizer, trunk) = (sum("caller-pins"), sum("organizer-pins"), sum("trunk-pins"));
        assert!(caller >= told_wrong, "seed {seed}, round {round}: {caller} counted, {told_wrong} told");
        assert!(caller <= (round + 1) * CALLERS as u64, "more than were tried");
        assert_eq!((organizer, trunk), (caller, caller), "seed {seed}, round {round}: one entry, one transaction");
    }
    restarts.sort();
    let (median, worst) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    println!("{rounds} kills: {told_wrong} wrong PINs told and kept, {resets_shown} resets shown and kept;");
    println!("restart to ready: median {median:?}, worst {worst:?}");
    assert!(median < RESTART, "{restarts:?}");
    assert!(rounds < 20 || told_wrong > 0, "the kills were all too early");
    drop(assert_organizer_starts(&server, &organizers[0], 0));
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}
