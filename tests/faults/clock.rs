//! The wall clock is set back an hour while calls go on. Debian's faketime stands between the server and its clock.

use std::fs;
use std::path::PathBuf;

use super::caller::SOON;
use super::support::{Folder, Server};
use super::{assert_goes_on, assert_organizer_starts, caller_of, counted, wait_until_in_lobby, wrong_pin};

fn faketime() -> PathBuf {
    let library = "faketime/libfaketime.so.1";
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let found = folders.iter().map(|folder| PathBuf::from(folder).join(library)).find(|path| path.exists());
    found.expect("Debian's package faketime is installed")
}

#[test]
#[ignore = "needs libfaketime (Debian: faketime); tests/run installs and runs it"]
fn a_clock_set_back_an_hour_loses_no_count_and_no_call() {
    let folder = Folder::new("clock");
    let shift = folder.path().join("shift");
    fs::write(&shift, "+0\n").unwrap();
    let (library, file) = (faketime().display().to_string(), shift.display().to_string());
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        // Timers of calls go by the monotonic clock, which nobody can set.
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let server = Server::start_with(folder, &[], &environment);
    let organizer = server.enable("anna@example.com");
    let ben = caller_of(&server, "ben", &organizer);
    wait_until_in_lobby(&server, 1);
    let stranger = caller_of(&server, "stranger", &organizer);
    stranger.press(&format!("*{}#", wrong_pin(&organizer)));
    server.wait_for_lines("entered a wrong PIN", 1, SOON);
    fs::write(&shift, "-3600\n").unwrap();
    std::thread::sleep(super::A_MOMENT);
    stranger.press(&format!("{}#", wrong_pin(&organizer)));
    server.wait_for_lines("entered a wrong PIN", 2, SOON);
    let counts = counted(&server, "caller-pins");
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 2, "none is lost: {counts:?}");
    assert_goes_on(&ben);
    let anna = assert_organizer_starts(&server, &organizer, 2);
    stranger.hang_up();
    drop((ben, anna, stranger));
    for record in server.wait_for_records(3, SOON) {
        let talked = record["talked_s"].as_f64().unwrap();
        assert!((0.0..120.0).contains(&talked), "a call is as long as it was: {record}");
    }
}
