//! What the machine does to the running server: it is killed, its store is locked, its disk is full, its key is gone, its
//! files and ports are used up, its clock is set back. The binary itself, with real callers on the line; each fault has its
//! answer here and in the README's part for operators.
//!
//! | file | what happens |
//! | --- | --- |
//! | [`kill`] | SIGKILL at random points, with calls, resets and counts under way |
//! | [`store`] | the store locked, and a disk that takes nothing more; a key that can't be read |
//! | [`resources`] | no file descriptor left, no port left |
//! | [`clock`] | the wall clock set back an hour |

#[path = "../support/caller.rs"]
mod caller;
#[path = "../support/mod.rs"]
mod support;

mod clock;
mod kill;
mod resources;
mod store;

use std::time::Duration;

use caller::{Caller, Dial, SOON};
use support::{Organizer, Server};

/// Someone from this address, on the line and with the conference ID entered.
fn caller_of(server: &Server, name: &str, organizer: &Organizer) -> Caller {
    let caller = Caller::dial(server.sip, Dial { from: name.to_owned(), ..Dial::from("127.0.0.1") });
    caller.wait_established();
    caller.press(&organizer.conference_id);
    caller
}

/// He waits with music, and the packets go on coming.
fn assert_goes_on(caller: &Caller) {
    caller.wait_heard(25);
    assert!(!caller.has_ended());
}

fn wait_until_in_lobby(server: &Server, callers: usize) {
    server.wait_for_lines("waits in the lobby for the meeting to start", callers, SOON);
}

/// A wrong PIN for this organizer, of the same length.
fn wrong_pin(organizer: &Organizer) -> String {
    let other = |digit: u8| char::from(b'0' + (digit - b'0' + 3) % 10);
    organizer.pin.bytes().map(other).collect()
}

/// The counts of one budget, as the command line lists them.
fn counted(server: &Server, budget: &str) -> Vec<(String, u64)> {
    let output = server.command(&["budget", "list", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let of_it = list.iter().filter(|count| count["budget"] == budget);
    of_it.map(|count| (count["subject"].as_str().unwrap().to_owned(), count["count"].as_u64().unwrap())).collect()
}

/// Whatever happened: the organizer calls, gives the PIN, and the meeting starts with those who wait.
fn assert_organizer_starts(server: &Server, organizer: &Organizer, already: usize) -> Caller {
    let anna = caller_of(server, "anna", organizer);
    server.wait_for_line("is asked whether this is the organizer", SOON);
    anna.press(&format!("*{}#", organizer.pin));
    server.wait_for_lines("is in the meeting", already + 1, SOON);
    anna
}

/// The prompts are long; keys interrupt them.
const A_MOMENT: Duration = Duration::from_millis(300);
