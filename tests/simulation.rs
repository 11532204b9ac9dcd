//! Everything that a caller, an administrator, a network or a store does, by the thousand, under virtual time, from a seed.
//!
//! ```text
//!                         plan (seed → settings, phones, steps)
//!                                     │
//!   phone ──SIP, RTP──► network ──► world: engine, planes, ports, queues ──► model: who may be where
//!     ▲                               │      ▲                          └──► ear: who hears whom
//!     └───────────── network ◄────────┘      └── store (slow, away, twice)
//! ```
//!
//! | command | what it does |
//! | --- | --- |
//! | `cargo test --test simulation` | the corpus, and some hundred seeds |
//! | `SIM_SEEDS=100000 cargo test --release --test simulation many_seeds` | the long run |
//! | `tests/mutations` | breaks vital lines one by one, and shows which property notices |
//! | `SIM_SEED=17 cargo test --test simulation one_seed -- --nocapture` | one run, told; where it fails, made smaller first |

mod sim;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sim::plan::{Action, LeaderLeaves, Plan, Step};
use sim::sounds::Heard;
use sim::story::{Story, quiet_plan};
use sim::world::{Outcome, World};

/// Seeds that failed once. As soon as [`Plan::roll`] throws its dice otherwise they are other plans: what must be told for
/// ever is a story in `tests/stories`, or a unit test beside the line that was wrong.
const CORPUS: &[u64] = &[17, 1746, 4948, 7875, 8901, 14344, 18978, 20021, 27041, 37733];

const SEEDS: u64 = 300;

fn heard(prompt_ms: u64) -> Arc<Heard> {
    thread_local! {
        static MADE: RefCell<BTreeMap<u64, Arc<Heard>>> = const { RefCell::new(BTreeMap::new()) };
    }
    MADE.with_borrow_mut(|made| made.entry(prompt_ms).or_insert_with(|| Arc::new(Heard::new(prompt_ms))).clone())
}

fn run(plan: &Plan, record: bool) -> Outcome {
    let heard = heard(plan.settings.prompt_ms);
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(plan, heard, record).run()));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome { failure: Some(format!("panic: {}", text.unwrap_or_default())), ..Outcome::default() }
    })
}

/// Leaves out what the failure does not need: halves first, then ever smaller pieces.
fn shrunk(plan: &Plan) -> Plan {
    let fails = |plan: &Plan| run(plan, false).failure.is_some();
    let mut plan = plan.clone();
    let mut size = plan.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < plan.steps.len() {
            let mut smaller = plan.clone();
            smaller.steps.drain(at..(at + size).min(plan.steps.len()));
            if fails(&smaller) {
                plan = smaller;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    plan
}

fn report(seed: u64) -> String {
    let plan = shrunk(&Plan::roll(seed));
    let outcome = run(&plan, true);
    format!(
        "{plan}\n\n{}\nseed {seed}: {}\nSIM_SEED={seed} cargo test --test simulation one_seed -- --nocapture\n",
        outcome.transcript,
        outcome.failure.unwrap_or_default()
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs all these on all cores, and says what they came to.
fn run_all(seeds: impl Iterator<Item = u64>) {
    let seeds: Vec<u64> = seeds.collect();
    let (next, failed) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let begun = Instant::now();
    // After so many that failed the others are left out.
    let failures = number("SIM_FAILURES").unwrap_or(10) as usize;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut sum = Outcome::default();
        while failed.lock().unwrap().len() < failures {
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) else { break };
            let outcome = run(&Plan::roll(seed), false);
            if let Some(failure) = outcome.failure {
                failed.lock().unwrap().insert(seed, failure);
            }
            sum.call_seconds += outcome.call_seconds;
            sum.calls += outcome.calls;
            sum.meetings += outcome.meetings;
            sum.admitted += outcome.admitted;
            sum.keys += outcome.keys;
        }
        sum
    };
    let sums: Vec<Outcome> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let failed = failed.into_inner().unwrap();
    if let Some((&seed, _)) = failed.first_key_value() {
        let all: String = failed.iter().map(|(seed, failure)| format!("seed {seed}: {failure}\n")).collect();
        // Who wants to know of one alone does not ask why.
        let told = if failures > 1 { report(seed) } else { String::new() };
        panic!("{told}\n{all}");
    }
    let sum = |of: fn(&Outcome) -> u64| sums.iter().map(of).sum::<u64>();
    let call_seconds: f64 = sums.iter().map(|sum| sum.call_seconds).sum();
    let elapsed = begun.elapsed().as_secs_f64();
    println!(
        "{} seeds in {elapsed:.1} s: {} calls, {} meetings started, {} admitted, {} keys, {call_seconds:.0} call-seconds \
         ({:.0} for each second of each of {threads} threads)",
        seeds.len(),
        sum(|sum| sum.calls),
        sum(|sum| sum.meetings),
        sum(|sum| sum.admitted),
        sum(|sum| sum.keys),
        call_seconds / elapsed / threads as f64
    );
}

#[test]
fn seeds_that_failed_once() {
    run_all(CORPUS.iter().copied());
}

#[test]
fn many_seeds() {
    let first = number("SIM_FIRST").unwrap_or(0);
    run_all(first..first + number("SIM_SEEDS").unwrap_or(SEEDS));
}

#[test]
fn one_seed() {
    let seed = number("SIM_SEED").unwrap_or(1);
    let outcome = run(&Plan::roll(seed), true);
    assert!(outcome.failure.is_none(), "{}", report(seed));
    println!("{}\n\n{}", Plan::roll(seed), outcome.transcript);
}

/// `tests/stories`: each beside what came of it. `STORIES=write` writes that anew, for a person to read.
#[test]
fn the_stories_are_told_as_they_stand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 9);
    for file in files {
        let story = Story::parse(&fs::read_to_string(&file).unwrap());
        let outcome = run(&story.plan, true);
        let told = story.tell(&outcome.transcript);
        assert!(outcome.failure.is_none(), "{}: {:?}\n{told}", file.display(), outcome.failure);
        if std::env::var("STORIES").is_ok_and(|what| what == "write") {
            fs::write(&file, format!("{}---\n{told}", story.told)).unwrap();
        } else {
            assert!(story.expected == told, "{} is told otherwise now:\n{told}", file.display());
        }
    }
}

/// A leader and two participants, in every order of coming and of going, by every rule.
#[test]
fn in_every_order_nobody_is_left_behind() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let rules = [LeaderLeaves::GoesOn, LeaderLeaves::BackToLobby, LeaderLeaves::EndsAfterS(2)];
    let mut started = 0;
    for (rule, anonymous, admission) in
        rules.into_iter().flat_map(|rule| [(rule, false, false), (rule, true, false), (rule, false, true)])
    {
        for (come, go) in ORDERS.iter().flat_map(|come| ORDERS.iter().map(move |go| (come, go))) {
            let mut plan = quiet_plan(rule);
            plan.conferences[0].anonymous_start = anonymous;
            plan.conferences[0].admission_needed = admission;
            (0..3).for_each(|_| _ = plan.add_phone());
            for (turn, &phone) in come.iter().enumerate() {
                let at_ms = 3_000 * turn as u64;
                plan.steps.push(Step { at_ms, phone, action: Action::Dial });
                plan.steps.push(Step { at_ms: at_ms + 500, phone, action: Action::Talk });
                let at_ms = plan.enter(at_ms + 600, phone, "1234567");
                if phone == 0 {
                    plan.enter(at_ms + 300, phone, "*86420#");
                }
            }
            for (turn, &phone) in go.iter().enumerate() {
                plan.steps.push(Step { at_ms: 16_000 + 3_000 * turn as u64, phone, action: Action::HangUp });
            }
            plan.steps.sort_by_key(|step| step.at_ms);
            plan.end_ms = 26_000;
            let outcome = run(&plan, true);
            assert!(outcome.failure.is_none(), "{plan}\n{}\n{:?}", outcome.transcript, outcome.failure);
            started += outcome.meetings;
        }
    }
    assert!(started >= 9 * 36, "{started} meetings started");
}

#[test]
fn the_same_seed_tells_the_same_story_byte_for_byte() {
    for seed in 0..20 {
        let plan = Plan::roll(seed);
        let (first, second) = (run(&plan, true).transcript, run(&plan, true).transcript);
        assert!(first == second, "seed {seed} tells two stories");
        assert!(first.len() > 100);
    }
}
