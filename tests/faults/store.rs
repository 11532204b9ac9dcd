//! The store does not take what is written. Calls go on, nobody is let in unchecked, and once it is there again the same
//! call goes on to the right PIN.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::caller::{Caller, SOON};
use super::support::Server;
use super::{A_MOMENT, assert_goes_on, assert_organizer_starts, caller_of, wait_until_in_lobby};

/// What is told of a store that does not answer: to the operator in the log, to the caller in "we can't check your entry".
const NO_ANSWER: &str = "the credential store did not answer";

/// The organizer gives the right PIN while the store can't write, and again when it can.
fn the_right_pin_waits_for_the_store(server: &Server, fault: impl FnOnce(), mend: impl FnOnce()) -> (Caller, Caller) {
    let organizer = server.enable("anna@example.com");
    let ben = caller_of(server, "ben", &organizer);
    wait_until_in_lobby(server, 1);
    let anna = caller_of(server, "anna", &organizer);
    server.wait_for_lines("is asked whether this is the organizer", 2, SOON);
    fault();
    anna.press(&format!("*{}#", organizer.pin));
    server.wait_for_line(NO_ANSWER, SOON);
    assert_goes_on(&ben);
    assert_goes_on(&anna);
    assert!(!server.log_text().contains("is in the meeting"), "nobody is let in unchecked");
    assert_eq!(server.get("/healthz").0, 200, "calls go on: it is no reason to kill the server");
    // Who only waits needs nothing of the store but a look.
    let cara = caller_of(server, "cara", &organizer);
    server.wait_for_lines("entered a conference ID that exists", 3, SOON);
    mend();
    std::thread::sleep(A_MOMENT);
    anna.press(&format!("{}#", organizer.pin));
    server.wait_for_lines("is in the meeting", 3, SOON);
    assert_goes_on(&cara);
    (ben, anna)
}

#[test]
fn a_locked_store_costs_nobody_his_call_and_lets_nobody_in() {
    let server = Server::start("locked", &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let path = server.folder().join("anteroom.db");
    let mut other = runtime.block_on(SqliteConnectOptions::new().filename(&path).connect()).unwrap();
    let lock = std::cell::RefCell::new(&mut other);
    let calls = the_right_pin_waits_for_the_store(
        &server,
        || {
            runtime.block_on(lock.borrow_mut().execute("BEGIN IMMEDIATE")).unwrap();
            // The shell's command says so too, in one line, and has changed nothing.
            let output = server.command(&["user", "reset-pin", "anna@example.com"]);
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
            assert!(errors.contains("the credential store can't be used now"), "{errors}");
        },
        || {
            runtime.block_on(lock.borrow_mut().execute("ROLLBACK")).unwrap();
        },
    );
    drop(calls);
}

/// A file that may not grow stands for a disk that is full; the one needs no root.
#[test]
fn a_full_disk_costs_nobody_his_call_and_lets_nobody_in() {
    let mut server = Server::start("full", &[]);
    let calls = the_right_pin_waits_for_the_store(
        &server,
        || server.limit("--fsize=4096:"),
        || server.limit("--fsize=unlimited:"),
    );
    assert!(server.is_alive());
    drop(calls);
    // The calls' records are there as well, whatever the disk took meanwhile.
    server.wait_for_records(3, SOON);
}

/// One who runs it has read the key, and goes on; whoever starts says why he can't.
#[test]
fn a_key_that_can_not_be_read_is_missed_at_the_next_start_and_not_before() {
    let server = Server::start("keyless", &[]);
    let organizer = server.enable("anna@example.com");
    let key = server.folder().join("anteroom.key");
    let kept = fs::read(&key).unwrap();
    let mode = |mode: u32| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let faults: [(&str, &dyn Fn(), &str); 5] = [
        ("gone", &|| fs::remove_file(&key).unwrap(), "restore it"),
        ("another's", &|| fs::write(&key, "07".repeat(32)).unwrap(), "restore the one that belongs to it"),
        ("half of it", &|| fs::write(&key, &kept[..20]).unwrap(), "restore it"),
        ("a folder", &|| fs::create_dir(&key).unwrap(), "it is no key file"),
        ("open to all", &|| mode(0o644), "run chmod 600"),
    ];
    for (number, (name, fault, told)) in faults.into_iter().enumerate() {
        if name == "a folder" {
            fs::remove_file(&key).unwrap();
        }
        fault();
        let left = fs::read(&key).ok();
        for output in [server.refused_start(), server.command(&["user", "reset-pin", "anna@example.com"])] {
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{name}: {errors}");
            assert!(errors.contains("anteroom.key") && errors.contains(told), "{name}: {errors}");
        }
        // The server that runs goes on; and not even now is another key made in the place of this.
        drop(assert_organizer_starts(&server, &organizer, number));
        assert_eq!(fs::read(&key).ok(), left, "{name}");
        // The copy is all that is needed.
        let _ = fs::remove_dir(&key);
        fs::write(&key, &kept).unwrap();
        mode(0o600);
        assert!(server.command(&["user", "list"]).status.success());
    }
    assert!(server.command(&["user", "reset-pin", "anna@example.com"]).status.success());
}
