//! War dialling: a hundred lines try conference IDs and PINs for hours, by the store's clock. What they get is what the
//! budgets give, across calls, restarts and two servers on one store; and the organizer who dials in meanwhile starts his
//! meeting.
//!
//! The store is the real one. A line is a person with a redial key: what he does in how many seconds is written here.

#[path = "support/log.rs"]
mod log;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anteroom::config::Config;
use anteroom::credentials::{Actor, Clock, Enabled, Origin, Store, Timestamp, UserDetails};
use anteroom::words::answer::{ConferenceAnswer, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey};
use anteroom::words::secret::Secret;
use log::Log;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const LINES: usize = 100;
const HOUR: i64 = 3_600_000;

/// Dialling and "Welcome", a conference ID, the star, a PIN: as quickly as a machine does it, in milliseconds.
const DIAL: i64 = 6_000;
const ID: i64 = 3_000;
const PIN: i64 = 4_000;
/// Until the same line dials again.
const REDIAL: i64 = 60_000;
/// Who is told that he has no try left comes back after a while.
const PAUSE: i64 = 30 * 60_000;

/// And at a person's pace: the organizer, who may mistype once.
const ORGANIZER_DIALS: i64 = 12_000;
const ORGANIZER_ID: i64 = 7_000;
const ORGANIZER_PIN: i64 = 9_000;
const ORGANIZER_WITHIN: i64 = 60_000;

struct Organizer {
    conference_id: ConferenceId,
    conference: ConferenceKey,
    pin: Secret,
}

struct World {
    now: Arc<AtomicI64>,
    /// Servers on one store: each has opened it for itself.
    stores: Vec<Store>,
    config: Config,
    organizers: Vec<Organizer>,
    /// How often which answer was given to the lines.
    answers: HashMap<&'static str, u32>,
    /// When a PIN of theirs was looked at.
    tried_at: Vec<i64>,
    _folder: Option<Folder>,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `test` gets the warnings, as the operator reads them.
fn run(test: impl AsyncFnOnce(&Log)) {
    let warnings = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(warnings.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(test(&warnings)));
}

impl World {
    /// `servers`: so many on one file; none: one server with its store in memory.
    async fn new(name: &str, servers: usize, organizers: usize) -> World {
        let folder = (servers > 0).then(|| {
            let path = std::env::temp_dir().join(format!("anteroom-war-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        });
        let url = match &folder {
            Some(folder) => format!("store.url=sqlite:{}", folder.0.join("anteroom.db").display()),
            None => "store.url=memory:".to_owned(),
        };
        let mut world = World {
            now: Arc::new(AtomicI64::new(1_800_000_000_000)),
            stores: Vec::new(),
            config: Config::from_settings(&[url]).unwrap(),
            organizers: Vec::new(),
            answers: HashMap::new(),
            tried_at: Vec::new(),
            _folder: folder,
        };
        for _ in 0..servers.max(1) {
            let store = world.open().await;
            world.stores.push(store);
        }
        for number in 0..organizers {
            let identity = format!("user{number}@example.com").parse().unwrap();
            let enabled = world.stores[0]
                .enable_user(&Actor::new("test", "here"), &identity, &UserDetails::default(), None)
                .await
                .unwrap();
            let Enabled::New { user, pin } = enabled else { panic!("he is new") };
            let conference_id = user.conference_id.unwrap();
            let found = world.stores[0].find_conference(&conference_id, &origin("setup")).await.unwrap();
            let ConferenceAnswer::Found(conference) = found else { panic!("{found:?}") };
            world.organizers.push(Organizer { conference_id, conference: conference.key, pin });
        }
        world
    }

    async fn open(&self) -> Store {
        let now = self.now.clone();
        let clock = Clock::from_fn(move || Timestamp(now.load(Ordering::Relaxed)));
        Store::open(&self.config.store).await.unwrap().with_clock(clock)
    }

    /// Every server ends and starts again.
    async fn restart(&mut self) {
        for store in std::mem::take(&mut self.stores) {
            store.close().await;
            drop(store);
            let store = self.open().await;
            self.stores.push(store);
        }
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    fn set(&self, now: i64) {
        self.now.fetch_max(now, Ordering::Relaxed);
    }

    fn count(&mut self, answer: &'static str) {
        *self.answers.entry(answer).or_default() += 1;
    }

    fn of(&self, answer: &str) -> u32 {
        self.answers.get(answer).copied().unwrap_or(0)
    }

    /// One call of a line that tries conference IDs. When he dials again.
    async fn try_ids(&mut self, line: usize, random: &mut StdRng) -> i64 {
        let mut at = self.now() + DIAL;
        for _ in 0..3 {
            at += ID;
            let id: ConferenceId = format!("{:07}", random.random_range(1_000_000..10_000_000)).parse().unwrap();
            if self.organizers.iter().any(|organizer| organizer.conference_id == id) {
                continue;
            }
            let store = &self.stores[line % self.stores.len()];
            match store.find_conference(&id, &origin(&number(line))).await.unwrap() {
                ConferenceAnswer::Unknown => self.count("unknown"),
                ConferenceAnswer::UnknownAndOutOfTries => {
                    self.count("out of IDs");
                    // "That conference ID is not valid. Goodbye."
                    return at + REDIAL;
                }
                other => panic!("{other:?}"),
            }
        }
        at + REDIAL
    }

    /// One call of a line that tries PINs. When he dials again.
    async fn try_pins(&mut self, line: usize, caller: &str, entry: impl FnMut() -> (ConferenceKey, Secret)) -> i64 {
        let mut entry = entry;
        let mut at = self.now() + DIAL + ID;
        for _ in 0..3 {
            at += PIN;
            let (conference, pin) = entry();
            let store = &self.stores[line % self.stores.len()];
            match store.verify_pin(conference, &pin, &origin(caller)).await.unwrap() {
                PinAnswer::Right => {
                    self.count("right");
                    return at + PAUSE;
                }
                PinAnswer::Wrong => {
                    self.tried_at.push(self.now());
                    self.count("wrong");
                }
                PinAnswer::OutOfTries => {
                    self.count("out of PINs");
                    return at + PAUSE;
                }
                PinAnswer::Unavailable => panic!("the store is there"),
            }
        }
        at
    }

    /// The organizer dials in, from wherever: his meeting starts within a minute, also if his finger slips once.
    async fn organizer_starts(&self, which: usize, caller: &str, slips: bool) {
        let organizer = &self.organizers[which];
        let store = self.stores.last().unwrap();
        let mut took = ORGANIZER_DIALS + ORGANIZER_ID;
        let found = store.find_conference(&organizer.conference_id, &origin(caller)).await.unwrap();
        assert!(matches!(found, ConferenceAnswer::Found(_)), "a right ID is found whatever any budget says: {found:?}");
        if slips {
            took += ORGANIZER_PIN;
            let answer = store.verify_pin(organizer.conference, &other_than(&organizer.pin), &origin(caller)).await;
            assert_eq!(answer.unwrap(), PinAnswer::Wrong, "he may type again");
        }
        took += ORGANIZER_PIN;
        let answer = store.verify_pin(organizer.conference, &organizer.pin, &origin(caller)).await.unwrap();
        assert_eq!(answer, PinAnswer::Right, "{which} from {caller}, slips: {slips}");
        assert!(took <= ORGANIZER_WITHIN);
    }
}

fn number(line: usize) -> String {
    format!("+49301000{line:03}")
}

fn origin(caller: &str) -> Origin {
    Origin::new(caller, "carrier")
}

/// A PIN of the same length that is not this one.
fn other_than(pin: &Secret) -> Secret {
    Secret::new(pin.expose().bytes().map(|digit| char::from(b'0' + (digit - b'0' + 3) % 10)).collect::<String>())
}

/// The next line's turn, by the time at which it dials again.
fn next_line(dials_at: &[i64]) -> (usize, i64) {
    dials_at.iter().copied().enumerate().min_by_key(|&(line, at)| (at, line)).unwrap()
}

#[test]
fn a_hundred_lines_scan_conference_ids_for_three_hours() {
    run(async |warnings| {
        let mut world = World::new("scan", 0, 2).await;
        let mut random = StdRng::seed_from_u64(1);
        let begin = world.now();
        let mut dials_at = vec![begin; LINES];
        let mut organizer_at = begin + 10 * 60_000;
        while let (line, at) = next_line(&dials_at)
            && at < begin + 3 * HOUR
        {
            world.set(at);
            if at >= organizer_at {
                world.organizer_starts(0, "+4930777", random.random_bool(0.3)).await;
                // Somebody who waits is found his lobby too, from a line that scans.
                world.organizer_starts(1, "+4930778", false).await;
                organizer_at += 17 * 60_000;
            }
            dials_at[line] = world.try_ids(line, &mut random).await;
        }
        // 300 an hour on one trunk, whoever calls. Windows of an hour begin with the first wrong one.
        let (unknown, refused) = (world.of("unknown"), world.of("out of IDs"));
        println!("conference IDs: {unknown} looked up and unknown, {refused} refused a further try");
        assert!((600..=900).contains(&unknown), "{unknown}");
        assert!(refused > 10_000, "{refused}");
        let warnings = warnings.text();
        let lines: Vec<&str> = warnings.lines().collect();
        assert!((1..=4).contains(&lines.len()), "one line an hour, not ten thousand: {lines:#?}");
        assert!(lines.iter().all(|line| line.contains("trunk-conference-ids")), "{lines:#?}");
    });
}

#[test]
fn a_hundred_lines_try_pins_of_one_organizer_through_restarts_and_on_two_servers() {
    run(async |warnings| {
        let mut world = World::new("pins", 2, 1).await;
        let mut random = StdRng::seed_from_u64(2);
        // He has called from his own number before.
        world.organizer_starts(0, "+4930555", false).await;
        let begin = world.now();
        let mut dials_at = vec![begin; LINES];
        let (mut organizer_at, mut restart_at) = (begin + 5 * 60_000, begin + 50 * 60_000);
        let (conference, right) = (world.organizers[0].conference, world.organizers[0].pin.clone());
        let mut strangers = 0;
        while let (line, at) = next_line(&dials_at)
            && at < begin + 27 * HOUR
        {
            world.set(at);
            if at >= restart_at {
                world.restart().await;
                restart_at += 100 * 60_000;
            }
            if at >= organizer_at {
                world.organizer_starts(0, "+4930555", random.random_bool(0.5)).await;
                // From a telephone that nobody has seen, a new one each time; with a slip of his finger in some calls.
                strangers += 1;
                let slips = strangers % 4 == 0;
                world.organizer_starts(0, &format!("+4940{strangers}"), slips).await;
                organizer_at += 47 * 60_000;
            }
            let guess = || {
                let pin = loop {
                    let pin = Secret::new(format!("{:05}", random.random_range(0..100_000)));
                    if pin != right {
                        break pin;
                    }
                };
                (conference, pin)
            };
            dials_at[line] = world.try_pins(line, &number(line), guess).await;
        }
        let in_window = |from: i64, to: i64| world.tried_at.iter().filter(|&&at| at >= from && at < to).count();
        let (first, second) = (in_window(begin, begin + 24 * HOUR), in_window(begin + 24 * HOUR, begin + 27 * HOUR));
        println!("PINs: {first} looked at in 24 hours, {second} in the next 3; {} refused", world.of("out of PINs"));
        assert!((50..=250).contains(&first), "50, and two for each line: {first}");
        assert!(second <= 250, "{second}");
        assert_eq!(world.of("right"), 0);
        let warnings = warnings.text();
        let lines: Vec<&str> = warnings.lines().collect();
        assert!((1..=4).contains(&lines.len()), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("organizer-pins")), "{lines:#?}");
    });
}

#[test]
fn one_pin_sprayed_over_many_meetings_is_caught_before_it_hits() {
    run(async |warnings| {
        const MEETINGS: usize = 30;
        let mut world = World::new("spray", 0, MEETINGS).await;
        let begin = world.now();
        let victim = MEETINGS - 1;
        // The victim's own telephone is known.
        world.organizer_starts(victim, "+4930555", false).await;
        let sprayed = world.organizers[victim].pin.clone();
        let others: Vec<ConferenceKey> =
            (world.organizers[..victim].iter().filter(|of| of.pin != sprayed)).map(|of| of.conference).collect();
        let last = world.organizers[victim].conference;
        let mut random = StdRng::seed_from_u64(3);
        let mut dials_at = vec![begin; LINES];
        let mut tries = 0;
        while let (line, at) = next_line(&dials_at)
            && at < begin + 6 * HOUR
        {
            world.set(at);
            let spray = || {
                tries += 1;
                let is_late = tries > 200 && tries % 3 == 0;
                let conference = if is_late { last } else { *others.choose(&mut random).unwrap() };
                (conference, sprayed.clone())
            };
            dials_at[line] = world.try_pins(line, &number(line), spray).await;
        }
        println!("one PIN on {MEETINGS} meetings: {} tries, {} refused", world.of("wrong"), world.of("out of PINs"));
        assert_eq!(world.of("right"), 0, "when it came to the meeting that it opens, it was taken as wrong");
        let warnings = warnings.text();
        let lines: Vec<&str> = warnings.lines().collect();
        assert!(lines.iter().any(|line| line.contains("one PIN on many meetings")), "{lines:#?}");
        assert!(lines.len() <= 40, "{}", lines.len());
        assert!(!lines.iter().any(|line| line.contains(sprayed.expose())), "the PIN itself is told to nobody");
        // Whoever was sprayed starts his meeting: from any telephone, and the victim from his own.
        world.organizer_starts(0, "+4940123", true).await;
        world.organizer_starts(victim, "+4930555", true).await;
    });
}

#[test]
fn counts_hold_when_the_clock_is_set_back_an_hour() {
    run(async |_| {
        let world = World::new("clock", 0, 1).await;
        let organizer = &world.organizers[0];
        let wrong = other_than(&organizer.pin);
        let ask = async |store: &Store| store.verify_pin(organizer.conference, &wrong, &origin("+4930")).await.unwrap();
        for _ in 0..20 {
            assert_eq!(ask(&world.stores[0]).await, PinAnswer::Wrong);
        }
        assert_eq!(ask(&world.stores[0]).await, PinAnswer::OutOfTries);
        world.now.fetch_sub(HOUR, Ordering::Relaxed);
        assert_eq!(ask(&world.stores[0]).await, PinAnswer::OutOfTries, "no clock gives tries back");
        world.now.fetch_add(HOUR + 23 * HOUR, Ordering::Relaxed);
        assert_eq!(ask(&world.stores[0]).await, PinAnswer::OutOfTries);
        let day = i64::try_from(Duration::from_secs(24 * 3600).as_millis()).unwrap();
        world.now.fetch_add(day, Ordering::Relaxed);
        assert_eq!(ask(&world.stores[0]).await, PinAnswer::Wrong, "and no clock takes them for ever");
    });
}
