//! The administrator's command line, as he has it: the binary itself, in a folder of its own.

#[path = "support/caller.rs"]
mod caller;
#[path = "support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use caller::{Caller, SOON};
use support::Server;

/// A folder to work in, gone with the test.
struct Desk(PathBuf);

impl Desk {
    fn new() -> Desk {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("anteroom-cli-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Desk(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        command.current_dir(&self.0).args(arguments).env_clear().env("USER", "anna");
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().unwrap())
    }

    /// The JSON document of a command that must work.
    fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// The one line of a command that must not work.
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{arguments:?}");
        if code == 1 {
            assert_eq!(done.stderr.lines().filter(|line| !line.starts_with("note:")).count(), 1, "{}", done.stderr);
        }
        done.stderr
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

const MASK: &str = "***********";

#[test]
fn a_user_from_enabling_to_disabling() {
    let desk = Desk::new();
    let first = desk.run(&["user", "enable", "Anna@Example.com", "--name", "Anna A."]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let words: Vec<_> = first.stdout.split_whitespace().collect();
    let ["identity", "anna@example.com", "conference_id", id, "pin", pin] = words[..] else {
        panic!("{}", first.stdout)
    };
    assert!(id.len() == 7 && pin.len() == 5);
    assert!(first.stderr.contains("a new one is made") && first.stderr.contains("shown this once"), "{}", first.stderr);

    let twice = desk.run(&["user", "enable", "anna@example.com"]);
    assert_eq!(twice.code, 0);
    assert!(
        twice.stderr.contains("nothing changed") && twice.stdout.contains(MASK),
        "{}{}",
        twice.stdout,
        twice.stderr
    );
    assert!(twice.stdout.contains(id));

    let shown = desk.json(&["user", "show", "anna@example.com"]);
    assert_eq!(shown["conference_id"], id);
    assert_eq!(shown["pin"], MASK);
    assert_eq!(shown["name"], "Anna A.");
    assert_eq!(shown["allow_anonymous_start"], false);

    let set = desk.json(&[
        "user",
        "set",
        "anna@example.com",
        "--allow-anonymous-start",
        "true",
        "--lobby-policy",
        "wait-for-admission",
    ]);
    assert_eq!((&set["allow_anonymous_start"], &set["lobby_policy"]), (&true.into(), &"wait-for-admission".into()));

    let reset = desk.json(&["user", "reset-pin", "anna@example.com", "--send-email", "false"]);
    assert_eq!(reset["conference_id"], id);
    assert_eq!(reset["pin"].as_str().unwrap().len(), 5);
    let moved = desk.json(&["user", "reset-conference-id", "anna@example.com"]);
    assert_ne!(moved["conference_id"], id);
    assert_eq!(moved["pin"], MASK);

    let listed = desk.json(&["user", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["pin"], MASK);
    let text = desk.run(&["user", "list"]).stdout;
    assert!(text.starts_with("IDENTITY") && text.contains(MASK) && text.contains("anybody"), "{text}");

    let gone = desk.json(&["user", "disable", "anna@example.com"]);
    assert_eq!((&gone["enabled"], &gone["conference_id"], &gone["pin"]), (&false.into(), &Value::Null, &Value::Null));
    assert_eq!(desk.json(&["user", "list"]), Value::Array(vec![]));
    assert_eq!(desk.json(&["user", "list", "--all"]).as_array().unwrap().len(), 1);

    let audit = desk.json(&["audit"]);
    let actions: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = ["user.disable", "user.reset-conference-id", "user.reset-pin", "user.set", "user.enable"];
    assert_eq!(actions, expected);
    assert!(audit[0]["who"].as_str().unwrap().starts_with("anna (uid "), "{audit}");
    assert!(audit[0]["from"].as_str().unwrap().starts_with("command line on "));
    let everything = desk.run(&["audit", "--json"]).stdout;
    assert!(!everything.contains(&format!("\"{pin}\"")));
}

#[test]
fn what_is_refused_says_why_in_one_line() {
    let desk = Desk::new();
    desk.json(&["user", "enable", "anna@example.com"]);
    let before = desk.json(&["audit"]);
    for arguments in [
        &["user", "reset-pin", "anna@example.com", "--send-email", "true"][..],
        &["user", "reset-pin", "anna@example.com", "--send-email-to", "a@example.org"],
        &["user", "enable", "bob@example.com", "--send-email", "true"],
        &["user", "reset-conference-id", "anna@example.com", "--send-email", "true"],
        &["user", "disable", "anna@example.com", "--send-email", "true"],
        &["user", "send-info", "anna@example.com"],
    ] {
        assert!(desk.refused(1, arguments).contains("no mail server is configured (mail.smtp)"), "{arguments:?}");
    }
    assert_eq!(desk.json(&["audit"]), before, "and nothing was done");
    for arguments in [
        &["user", "show", "nobody@example.com"][..],
        &["user", "reset-pin", "nobody@example.com"],
        &["user", "disable", "nobody@example.com"],
        &["user", "set", "nobody@example.com", "--name", "N"],
    ] {
        assert_eq!(desk.refused(1, arguments), "anteroom: there is no user nobody@example.com\n");
    }
    for length in ["3", "13", "five", ""] {
        assert!(desk.refused(1, &["settings", "set", "pin_length", length]).contains("from 4 to 12"), "{length}");
    }
    assert!(desk.refused(1, &["settings", "set", "pin_lenght", "6"]).contains("pin_length"));
    assert!(desk.refused(1, &["user", "list", "--set", "store.url=memory:"]).contains("memory"));
}

#[test]
fn wrong_usage_is_exit_2() {
    let desk = Desk::new();
    for arguments in [
        &[][..],
        &["users"],
        &["user", "enable"],
        &["user", "enable", "two words"],
        &["user", "set", "anna@example.com", "--allow-anonymous-start", "maybe"],
        &["user", "set", "anna@example.com"],
        &["budget", "clear"],
        &["budget", "clear", "--all", "--subject", "x"],
        &["user", "list", "--set", "sip.lisen=1"],
        &["user", "list", "--set", "limits.calls"],
        &["user", "list", "--config", "missing.toml"],
        &["serve", "--set", "rtp.ports=1-2"],
    ] {
        assert!(!desk.refused(2, arguments).is_empty(), "{arguments:?}");
    }
    assert_eq!(
        desk.refused(2, &["user", "list", "--set", "log.format=xml"]),
        "anteroom: log.format (--set): write text or json\n"
    );
    assert_eq!(std::fs::read_dir(&desk.0).unwrap().count(), 0, "and nothing was made");
    assert_eq!(desk.run(&["--help"]).code, 0);
    assert!(desk.run(&["--version"]).stdout.starts_with("anteroom "));
}

#[test]
fn file_environment_and_flag_say_where_the_store_is() {
    let desk = Desk::new();
    std::fs::create_dir(desk.0.join("config")).unwrap();
    std::fs::write(desk.0.join("config/anteroom.toml"), "[store]\nurl = \"sqlite:file.db\"\n").unwrap();
    desk.json(&["settings", "show"]);
    assert!(desk.0.join("file.db").exists() && desk.0.join("file.key").exists());

    let by_environment = |arguments: &[&str]| {
        let output = desk.command(arguments).env("ANTEROOM_STORE__URL", "sqlite:environment.db").output().unwrap();
        assert!(output.status.success());
    };
    by_environment(&["settings", "show"]);
    assert!(desk.0.join("environment.db").exists());
    by_environment(&["--set", "store.url=sqlite:flag.db", "settings", "show"]);
    assert!(desk.0.join("flag.db").exists());
    std::fs::write(desk.0.join("other.toml"), "[store]\nurl = \"sqlite:other.db\"\nkey_file = \"k\"\n").unwrap();
    desk.json(&["settings", "show", "--config", "other.toml"]);
    assert!(desk.0.join("other.db").exists() && desk.0.join("k").exists());

    std::fs::write(desk.0.join("other.toml"), "[sip]\n\nlisten = true\n").unwrap();
    let error = desk.refused(2, &["settings", "show", "--config", "other.toml"]);
    assert!(error.starts_with("anteroom: sip.listen (other.toml:3): write "), "{error}");
}

#[test]
fn settings_hold() {
    let desk = Desk::new();
    let value = |settings: &Value, key: &str| {
        let found = settings.as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap();
        found["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(value(&desk.json(&["settings", "show"]), "pin_length"), "5");
    assert_eq!(value(&desk.json(&["settings", "set", "pin_length", "8"]), "pin_length"), "8");
    assert_eq!(desk.json(&["user", "enable", "anna@example.com"])["pin"].as_str().unwrap().len(), 8);
    let text = desk.run(&["settings", "show"]).stdout;
    assert!(text.lines().any(|line| line.split_whitespace().eq(["pin_length", "8", "5"])), "{text}");
    assert_eq!(desk.json(&["budget", "list"]), Value::Array(vec![]));
    assert_eq!(desk.json(&["budget", "clear", "--organizer", "anna@example.com"])["cleared"], 0);
}

#[test]
fn numbers_are_named_in_the_order_in_which_this_user_needs_them() {
    let desk = Desk::new();
    let added = desk.json(&["number", "add", "+49 30 1234567", "--language", "de", "--label", "Berlin"]);
    assert_eq!((&added[0]["default"], &added[0]["language_name"]), (&true.into(), &"German".into()));
    desk.json(&["number", "add", "+1 212 5550100", "--label", "New York"]);
    desk.json(&["user", "enable", "anna@example.com"]);
    let numbers = |shown: &Value| {
        let numbers = shown["numbers"].as_array().unwrap().iter().map(|number| number["number"].as_str().unwrap());
        numbers.map(str::to_owned).collect::<Vec<_>>()
    };
    let show = || desk.json(&["user", "show", "anna@example.com"]);
    assert_eq!(numbers(&show()), ["+49 30 1234567", "+1 212 5550100"]);
    desk.json(&["user", "set", "anna@example.com", "--number", "+1-212-555-0100", "--email", "anna@example.com"]);
    assert_eq!(numbers(&show()), ["+1 212 5550100", "+49 30 1234567"]);
    assert_eq!(show()["email"], "anna@example.com");
    desk.json(&["user", "set", "anna@example.com", "--number", "default", "--email", "none"]);
    assert_eq!((numbers(&show())[0].as_str(), &show()["email"]), ("+49 30 1234567", &Value::Null));

    desk.json(&["number", "set", "+1 212 5550100", "--default", "--label", "Manhattan"]);
    let list = desk.json(&["number", "list"]);
    assert_eq!(
        (&list[0]["label"], &list[0]["default"], &list[1]["default"]),
        (&"Manhattan".into(), &true.into(), &false.into())
    );
    let text = desk.run(&["user", "show", "anna@example.com"]).stdout;
    assert!(text.contains("Manhattan") && text.contains("German"), "{text}");
    let key = list[1]["key"].to_string();
    assert_eq!(desk.json(&["number", "remove", &key])[0]["label"], "Berlin");
    assert_eq!(desk.json(&["number", "list"]).as_array().unwrap().len(), 1);
    assert!(desk.refused(1, &["number", "remove", "+49 30 1234567"]).contains("there is no dial-in number"));
    assert!(desk.refused(1, &["number", "add", "my number"]).contains("a dial-in number has 3 to 20 digits"));
    assert!(desk.refused(1, &["user", "set", "anna@example.com", "--email", "anna"]).contains("an e-mail address"));
}

#[test]
fn a_meeting_is_planned_invited_to_changed_and_cancelled() {
    let desk = Desk::new();
    desk.json(&["number", "add", "+49 30 1234567", "--language", "de", "--label", "Berlin"]);
    desk.json(&["user", "enable", "anna@example.com", "--name", "Anna"]);
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let starts = tomorrow.strftime("%Y-%m-%dT%H:00+00:00").to_string();
    let plan = ["meeting", "schedule", "anna@example.com", "--subject", "Plans", "--starts", &starts];
    let planned = desk.json(&[&plan[..], &["--minutes", "90"]].concat());
    let id = planned["conference_id"].as_str().unwrap();
    assert_eq!((&planned["organizer"], &planned["subject"]), (&"anna@example.com".into(), &"Plans".into()));
    assert_ne!(id, desk.json(&["user", "show", "anna@example.com"])["conference_id"]);
    assert_eq!(desk.json(&["meeting", "list", "--organizer", "anna@example.com"])[0], planned);
    assert_eq!(desk.json(&["meeting", "show", id]), planned);

    let text = desk.run(&["meeting", "invitation", id]).stdout;
    let dialled = format!("Conference ID: {} {} {}#", &id[..3], &id[3..6], &id[6..]);
    assert!(text.starts_with("Plans\n") && text.contains(&dialled) && text.contains("Berlin (German)"), "{text}");
    let file = desk.run(&["meeting", "invitation", id, "--calendar"]).stdout;
    assert!(file.starts_with("BEGIN:VCALENDAR\r\n") && file.contains("\r\nSEQUENCE:0\r\n"), "{file}");
    let moved = desk.json(&["meeting", "change", id, "--subject", "Other plans"]);
    assert_eq!((&moved["subject"], &moved["revision"]), (&"Other plans".into(), &1.into()));
    let file = desk.run(&["meeting", "cancel", id, "--calendar"]).stdout;
    assert!(file.contains("\r\nMETHOD:CANCEL\r\n") && file.contains("\r\nSEQUENCE:2\r\n"), "{file}");
    assert_eq!(desk.json(&["meeting", "list"]), Value::Array(vec![]));

    for (arguments, says) in [
        (&["--minutes", "0"][..], "0 is not in"),
        (&["--ends", "yesterday"], "a time is written like"),
        (&[], "--ends"),
    ] {
        let error = desk.refused(2, &[&plan[..], arguments].concat());
        assert!(error.contains(says), "{error}");
    }
    assert!(desk.refused(1, &[&plan[..], &["--ends", "2020-01-01T00:00Z"]].concat()).contains("ends after it starts"));
    assert!(desk.refused(1, &["meeting", "show", id]).contains(&format!("there is no scheduled meeting {id}")));
}

#[test]
fn a_list_is_worked_through_and_broken_lines_are_named() {
    let desk = Desk::new();
    let csv = "identity,name\nanna@example.com,Anna\ntwo words,X\nbob@example.com,Bob\n";
    std::fs::write(desk.0.join("users.csv"), csv).unwrap();
    let done = desk.run(&["user", "bulk", "enable", "users.csv", "--json"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("1 of 3 lines failed; the others are done"), "{}", done.stderr);
    let lines: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&lines[0]["outcome"], &lines[0]["line"]), (&"enabled".into(), &2.into()));
    assert_eq!(lines[0]["pin"].as_str().unwrap().len(), 5);
    assert_eq!(
        (&lines[1]["outcome"], &lines[1]["line"], &lines[1]["pin"]),
        (&"failed".into(), &3.into(), &Value::Null)
    );
    assert_eq!(desk.json(&["user", "list"]).as_array().unwrap().len(), 2);

    std::fs::write(desk.0.join("users.csv"), "identity\nanna@example.com\nbob@example.com\n").unwrap();
    let reset = desk.run(&["user", "bulk", "reset-pin", "users.csv"]);
    assert_eq!(reset.code, 0, "{}", reset.stderr);
    assert_eq!(reset.stdout.matches("PIN reset").count(), 2, "{}", reset.stdout);
    assert!(desk.refused(1, &["user", "bulk", "enable", "missing.csv"]).contains("missing.csv: No such file"));
    std::fs::write(desk.0.join("users.csv"), "anna@example.com\n").unwrap();
    assert!(desk.refused(1, &["user", "bulk", "enable", "users.csv"]).contains("has a column \"anna@example.com\""));
}

#[test]
fn people_and_programs_are_let_in_and_out() {
    let desk = Desk::new();
    let added = desk.json(&["account", "add", "anna", "--role", "administrator"]);
    assert_eq!(
        (&added["name"], &added["role"], &added["password_set_at"]),
        (&"anna".into(), &"administrator".into(), &Value::Null)
    );
    assert!(added["link"].as_str().unwrap().len() >= 32);
    assert_ne!(desk.json(&["account", "link", "anna"])["link"], added["link"]);
    assert!(desk.refused(1, &["account", "add", "bob", "--role", "user"]).contains("user"));
    assert!(desk.refused(1, &["account", "link", "nobody"]).contains("there is no account nobody"));
    assert!(desk.refused(1, &["account", "set", "anna", "--role", "operator"]).contains("the last administrator"));
    desk.json(&["account", "add", "bob", "--role", "administrator"]);
    assert_eq!(desk.json(&["account", "set", "anna", "--role", "operator"])[0]["role"], "operator");
    assert!(desk.refused(1, &["account", "disable", "bob"]).contains("the last administrator"));

    let made = desk.json(&["token", "create", "a program", "--role", "operator", "--expires", "2099-01-01T00:00Z"]);
    let secret = made["secret"].as_str().unwrap();
    let listed = desk.json(&["token", "list"]);
    assert_eq!((&listed[0]["label"], &listed[0]["expires_at"]), (&"a program".into(), &"2099-01-01T00:00:00Z".into()));
    let everything = format!("{listed} {}", desk.json(&["audit"]));
    assert!(!everything.contains(secret) && !everything.contains(added["link"].as_str().unwrap()));
    desk.json(&["token", "revoke", &made["key"].to_string()]);
    assert_eq!(desk.json(&["token", "list"]), Value::Array(vec![]));
}

#[test]
fn mails_wait_in_the_outbox_and_their_texts_can_be_replaced() {
    let desk = Desk::new();
    let server = ["--set", "mail.smtp=localhost:25", "--set", "mail.tls=none", "--set", "mail.from=a@example.com"];
    let with_mail = |arguments: &[&str]| desk.run(&[arguments, &server[..]].concat());
    let enabled = with_mail(&["user", "enable", "anna@example.com", "--email", "anna@example.org"]);
    assert!(enabled.stderr.contains("A mail with it to anna@example.org is on its way."), "{}", enabled.stderr);
    let mails = desk.json(&["outbox", "list", "--state", "queued"]);
    assert_eq!((&mails[0]["mail"], &mails[0]["to"]), (&"enabled".into(), &"anna@example.org".into()));
    let key = mails[0]["key"].to_string();
    assert_eq!(desk.json(&["outbox", "retry", &key])[0]["state"], "queued");
    assert!(desk.refused(1, &["outbox", "retry", "99"]).contains("there is no mail 99"));

    desk.json(&["settings", "set", "auto_send_email", "false"]);
    let reset = with_mail(&["user", "reset-pin", "anna@example.com"]);
    assert!(reset.stderr.contains("no mail goes out") && reset.stderr.contains("Pass it on"), "{}", reset.stderr);
    assert_eq!(desk.json(&["outbox", "list", "--state", "queued"]), Value::Array(vec![]));

    assert_eq!(desk.json(&["settings", "mail-texts"]).as_array().unwrap().len(), 15);
    std::fs::write(desk.0.join("own.txt"), "New PIN of {{name}}: {{pin}}, for {{conference_id}}\n").unwrap();
    desk.json(&["settings", "mail-text", "pin-reset", "text", "--from", "own.txt"]);
    let shown = desk.run(&["settings", "mail-text", "pin-reset", "text"]).stdout;
    assert_eq!(shown, "New PIN of {{name}}: {{pin}}, for {{conference_id}}\n");
    std::fs::write(desk.0.join("own.txt"), "{{pin}} {{nmae}}").unwrap();
    let error = desk.refused(1, &["settings", "mail-text", "pin-reset", "text", "--from", "own.txt"]);
    assert!(error.contains("the mail's text: line 1: there is no {{nmae}}"), "{error}");
    assert_eq!(desk.json(&["settings", "mail-text", "pin-reset", "text", "--built-in"])["own"], false);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.json(&["user", "enable", "anna@example.com"]);
    std::fs::set_permissions(desk.0.join("anteroom.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = desk.refused(1, &["user", "reset-pin", "anna@example.com"]);
    assert!(error.contains("anteroom.key") && error.contains("chmod 600"), "{error}");
}

/// The JSON document of a command on a server's store that must work.
fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let done = Done::from(server.command(&[arguments, &["--json"]].concat()));
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// A caller who has dialled the conference ID.
fn dialled(server: &Server, conference_id: &str) -> Caller {
    let caller = Caller::call(server.sip, "127.0.0.1");
    caller.wait_established();
    caller.press(conference_id);
    caller
}

#[test]
fn a_shell_acts_on_the_meetings_of_a_running_server() {
    let server = Server::start("shell-live", &["attendant.organizer_question_s=0.2"]);
    let anna = server.enable("anna@example.com");
    let id = anna.conference_id.as_str();
    let act = |action: &str| json_of(&server, &["meeting", action, id])["done"].as_str().unwrap().to_owned();
    let refused = |arguments: &[&str]| {
        let done = Done::from(server.command(arguments));
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{arguments:?}: {}", done.stderr);
        done.stderr
    };
    let waiting = |callers: f64| server.wait_for_metric("anteroom_callers_waiting", callers, SOON);
    let within = |callers: f64| server.wait_for_metric("anteroom_callers_in_meetings", callers, SOON);

    assert!(refused(&["meeting", "lock", id]).contains(&format!("no meeting of {id} goes on")));
    let ben = dialled(&server, id);
    waiting(1.0);
    ben.wait_sound();
    assert!(refused(&["meeting", "lock", id]).contains("has not started; start it first"));
    let started = Done::from(server.command(&["meeting", "start", id]));
    assert_eq!((started.code, started.stdout.as_str()), (0, format!("{id}: started; 1 call let in\n").as_str()));
    within(1.0);
    ben.wait_silence();
    let cara = dialled(&server, id);
    within(2.0);
    ben.wait_silence();
    cara.talk(true);
    ben.wait_sound();

    assert_eq!(act("mute"), "2 calls muted");
    ben.wait_silence();
    assert_eq!(act("unmute"), "2 calls unmuted");
    ben.wait_sound();
    assert_eq!(act("lock"), "locked");
    assert_eq!(act("lock"), "it was locked already");
    let dora = dialled(&server, id);
    waiting(1.0);
    assert_eq!(act("admit"), "1 call let in");
    within(3.0);
    assert_eq!(act("unlock"), "unlocked");
    assert_eq!(act("start"), "it runs already");
    assert_eq!(act("end"), "ended; 3 calls let go");
    for caller in [&ben, &cara, &dora] {
        caller.wait_ended(SOON);
    }
    assert!(refused(&["meeting", "end", "0000000"]).contains("there is no conference ID 0000000"));

    // Who did it stands in the audit, and what became of the calls in their records.
    let audit = json_of(&server, &["audit", "--search", "meeting.live"]);
    let newest = &audit[0];
    assert_eq!(newest["subject"], id);
    assert_eq!(newest["detail"], format!("asked for: end {id}; organizer anna@example.com"));
    assert!(newest["from"].as_str().unwrap().starts_with("command line on "), "{newest}");
    server.wait_for_records(3, SOON);
    let calls = || json_of(&server, &["calls", "--search", id]);
    let deadline = std::time::Instant::now() + SOON;
    while calls().as_array().unwrap().len() < 3 {
        assert!(std::time::Instant::now() < deadline, "{}", calls());
    }
    let all = calls();
    assert!(all[0]["key"].as_u64() > all[1]["key"].as_u64(), "the newest first: {all}");
    assert_eq!((&all[0]["record"]["from"], &all[0]["record"]["ended"]), (&"caller".into(), &"meeting_ended".into()));
    let below = json_of(&server, &["calls", "--before", &all[0]["key"].to_string(), "--limit", "1"]);
    assert_eq!(below, Value::Array(vec![all[1].clone()]));
    json_of(&server, &["settings", "set", "mask_callers", "true"]);
    assert_eq!(calls()[0]["record"]["from"], "•••ler");
    let text = Done::from(server.command(&["calls"])).stdout;
    assert!(text.contains("•••ler") && text.contains("the meeting ended") && !text.contains("caller"), "{text}");
}

#[test]
fn without_a_server_a_shell_is_told_so_and_nothing_happens_later() {
    let desk = Desk::new();
    let enabled = desk.json(&["user", "enable", "anna@example.com"]);
    let id = enabled["conference_id"].as_str().unwrap();
    let error = desk.refused(1, &["meeting", "start", id]);
    assert!(error.contains("no server has taken it within 10 s") && error.contains("anteroom serve"), "{error}");
    assert_eq!(desk.json(&["calls"]), Value::Array(vec![]));
    assert!(desk.run(&["calls"]).stdout.contains("no calls have ended"));
    assert!(desk.run(&["alert", "list"]).stdout.contains("nothing to look at"));
    assert!(desk.refused(1, &["alert", "clear", "7"]).contains("there is no alert 7"));
}
