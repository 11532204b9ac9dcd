//! What an entry costs in time: nothing that a caller could learn from. The time is his own: from when he lets go of the
//! last key until he hears something.

use std::time::{Duration, Instant};

use super::caller::Caller;
use super::support::{Organizer, Server};

const PAIRS: usize = 8;

/// A caller's ear is no finer than this: how long it takes a person to say that one was later than the other.
const STEP: Duration = Duration::from_millis(100);

/// From the last key to the answer.
fn answered_after(caller: &Caller, keys: &str) -> Duration {
    let (before, last) = keys.split_at(keys.len() - 1);
    // Any key ends the prompt.
    caller.press(before);
    caller.wait_silence();
    caller.press(last);
    let begin = Instant::now();
    caller.wait_sound();
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Both of each pair at the same moment, so that a busy machine is as busy for one as for the other.
fn pairs(
    count: usize,
    one: impl Fn(usize) -> Duration + Sync,
    other: impl Fn(usize) -> Duration + Sync,
) -> [Duration; 2] {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| one(number));
            let second = other(number);
            (first.join().unwrap(), second)
        });
        ones.push(first);
        others.push(second);
    }
    println!("{ones:?}\n{others:?}");
    [median(ones), median(others)]
}

fn assert_alike([one, other]: [Duration; 2]) {
    println!("medians {one:?} and {other:?}");
    assert!(one.abs_diff(other) < STEP, "{one:?} and {other:?} can be told apart");
}

fn unknown_id(organizer: &Organizer) -> String {
    let mut id = organizer.conference_id.clone().into_bytes();
    id[3] = if id[3] == b'9' { b'0' } else { id[3] + 1 };
    String::from_utf8(id).unwrap()
}

#[test]
fn a_wrong_conference_id_and_a_right_one_are_answered_alike() {
    let server =
        Server::start("alike", &["sip.listen=127.57.0.1:0", "sip.trunks=[{name=\"c\", from=[\"127.57.0.0/24\"]}]"]);
    let organizer = server.enable("anna@example.com");
    let unknown = unknown_id(&organizer);
    let enter = |source: &str, id: &str| {
        let caller = Caller::call(server.sip, source);
        caller.wait_established();
        caller.wait_sound();
        let time = answered_after(&caller, id);
        caller.hang_up();
        time
    };
    let right = |_| enter("127.57.0.2", &organizer.conference_id);
    let wrong = |_| enter("127.57.0.3", &unknown);
    assert_alike(pairs(PAIRS, right, wrong));
}

/// Four right digits and a wrong one, and five that have nothing in common with the PIN.
#[test]
fn a_pin_that_is_nearly_right_is_answered_as_one_that_is_not() {
    let server =
        Server::start("near", &["sip.listen=127.58.0.1:0", "sip.trunks=[{name=\"c\", from=[\"127.58.0.0/24\"]}]"]);
    let organizer = server.enable("anna@example.com");
    let other = |digit: char| char::from(b'0' + (digit as u8 - b'0' + 5) % 10);
    let (but_one, last) = organizer.pin.split_at(organizer.pin.len() - 1);
    let near: String = but_one.chars().chain(last.chars().map(other)).chain(['#']).collect();
    let far: String = organizer.pin.chars().map(other).chain(['#']).collect();
    let enter = |source: &str, pin: &str| {
        let caller = Caller::call(server.sip, source);
        caller.wait_established();
        caller.wait_sound();
        caller.press(&organizer.conference_id);
        caller.wait_sound();
        caller.press("*");
        let time = answered_after(&caller, pin);
        caller.hang_up();
        time
    };
    assert_alike(pairs(PAIRS, |_| enter("127.58.0.2", &near), |_| enter("127.58.0.3", &far)));
}
