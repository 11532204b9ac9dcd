//! The administrator's command line, as he has it: the binary itself, in a folder of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

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
        &["user", "send-info", "anna@example.com"],
        &["settings", "set", "auto_send_email", "true"],
    ] {
        assert!(desk.refused(1, arguments).contains("sends no e-mail"), "{arguments:?}");
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
    assert!(desk.refused(1, &["settings", "set", "pin_length", "13"]).contains("from 4 to 12"));
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
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.json(&["user", "enable", "anna@example.com"]);
    std::fs::set_permissions(desk.0.join("anteroom.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = desk.refused(1, &["user", "reset-pin", "anna@example.com"]);
    assert!(error.contains("anteroom.key") && error.contains("chmod 600"), "{error}");
}
