//! What keeps the server from starting. The operator reads one line that says what to do, and the exit status tells a
//! script which kind it is: 2 for what he wrote, 1 for what the machine would not do.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::support::{Folder, anteroom};

/// The settings that every start here begins with: nothing of the machine's is touched.
fn base(folder: &Path) -> Vec<String> {
    [
        "sip.listen=127.80.0.1:0".to_owned(),
        "http.listen=127.80.0.1:0".to_owned(),
        format!("store.url=sqlite:{}", folder.join("anteroom.db").display()),
    ]
    .to_vec()
}

/// The line that a start ends with, and its exit status. Backtraces are asked for, so that one would be seen.
fn refusal(folder: &Path, arguments: &[&str], settings: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut all = base(folder);
    all.extend(settings.iter().map(|&setting| setting.to_owned()));
    let mut command = anteroom(folder, &all);
    command.args(arguments).arg("serve").envs(environment.iter().copied()).env("RUST_BACKTRACE", "full");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it runs with {arguments:?} {settings:?}: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let what = format!("{arguments:?} {settings:?}: {errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{what}");
    assert_eq!(errors.lines().count(), 1, "{what}");
    assert!(errors.starts_with("anteroom: ") && errors.ends_with('\n') && errors.len() < 1_200, "{what}");
    for never in ["panicked", "backtrace", "RUST_", "Error {", "Err(", "Os {", "src/"] {
        assert!(!errors.contains(never), "{what}");
    }
    (output.status.code().unwrap(), errors)
}

/// Exit status and what the line must have in it: the key or file that it is about, and what to do.
fn assert_refused(folder: &Path, code: i32, settings: &[&str], parts: &[&str]) {
    let (is, line) = refusal(folder, &[], settings, &[]);
    assert_eq!(is, code, "{line}");
    for part in parts {
        assert!(line.contains(part), "no {part:?} in: {line}");
    }
}

#[test]
fn wrong_keys_and_values_are_named_with_their_place_and_what_is_right() {
    let folder = Folder::new("mistakes-config");
    let path = folder.path();
    for (setting, parts) in [
        ("sip.lisen=127.0.0.1:5060", &["sip.lisen", "--set", "did you mean sip.listen?"][..]),
        ("colour=blue", &["colour", "the keys are", "sip.listen"]),
        ("sip.listen=localhost", &["sip.listen", "such as 0.0.0.0:5060"]),
        ("sip.trunks=carrier", &["sip.trunks", "name = "]),
        ("sip.trunks=[{name=\"a\"}]", &["sip.trunks", "from"]),
        ("sip.trunks=[{name=\"a\",from=[\"10.0.0.0/99\"]}]", &["sip.trunks", "from"]),
        ("rtp.ports=29999-20000", &["rtp.ports", "20000-29999"]),
        ("rtp.ports=80-90", &["rtp.ports", "from 1024"]),
        ("limits.calls=-1", &["limits.calls", "a number from 1"]),
        ("limits.calls=many", &["limits.calls", "a number from 1"]),
        ("log.level=loud", &["log.level", "trace"]),
        ("log.format=xml", &["log.format", "text or json"]),
        ("media.silence_s=0", &["media.silence_s", "seconds"]),
        ("media.talkers=1", &["media.talkers", "2 to 16"]),
        ("attendant.pin_tries=1000", &["attendant.pin_tries", "1 to 10"]),
        ("store.url=mysql://db", &["store.url", "sqlite:PATH"]),
        ("store.url=postgres://anna@db:port/x", &["store.url", "postgres://USER@HOST/DATABASE"]),
        ("http.listen=8080", &["http.listen", "127.0.0.1:8080"]),
        ("no-value", &["--set", "KEY=VALUE"]),
    ] {
        assert_refused(path, 2, &[setting], parts);
    }
    let file = |text: &str, parts: &[&str]| {
        fs::write(path.join("own.toml"), text).unwrap();
        let (code, line) = refusal(path, &["--config", "own.toml"], &[], &[]);
        assert_eq!(code, 2, "{line}");
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    };
    file("[limits]\n\ncalls = \"some\"\n", &["own.toml:3", "limits.calls", "a number"]);
    file("[sip]\nlisten = [\"0.0.0.0:5060\"\n[log]\n", &["own.toml:"]);
    file("[sip]\nport = 5060\n", &["own.toml:2", "sip.port"]);
    file("\u{0}\u{1}", &["own.toml:1"]);
    fs::write(path.join("own.toml"), [0xFF, 0xFE, 0x80]).unwrap();
    assert_eq!(refusal(path, &["--config", "own.toml"], &[], &[]).0, 2);
    let (code, line) = refusal(path, &["--config", "nowhere.toml"], &[], &[]);
    assert!(code == 2 && line.contains("nowhere.toml"), "{line}");
    let (code, line) = refusal(path, &["--config", "."], &[], &[]);
    assert!(code == 2 && line.contains("can't be read"), "{line}");
    let (code, line) = refusal(path, &[], &[], &[("ANTEROOM_LIMITS__CALLS", "0")]);
    assert!(code == 2 && line.contains("environment variable ANTEROOM_LIMITS__CALLS"), "{line}");
    let (code, line) = refusal(path, &[], &[], &[("ANTEROOM_LIMIT__CALLS", "5")]);
    assert!(code == 2 && line.contains("did you mean limits.calls?"), "{line}");
    assert!(!path.join("anteroom.db").exists(), "nothing was made before the configuration was right");
}

#[test]
fn a_port_in_use_is_named_with_its_transport_and_its_key() {
    let folder = Folder::new("mistakes-ports");
    let udp = UdpSocket::bind("127.80.0.2:0").unwrap();
    let address = udp.local_addr().unwrap();
    assert_refused(
        folder.path(),
        1,
        &[&format!("sip.listen={address}")],
        &["sip.listen", "UDP", &address.to_string(), "--set"],
    );
    let tcp = TcpListener::bind("127.80.0.3:0").unwrap();
    let address = tcp.local_addr().unwrap();
    assert_refused(
        folder.path(),
        1,
        &[&format!("sip.listen={address}")],
        &["sip.listen", "TCP", &address.to_string(), "--set"],
    );
    assert_refused(
        folder.path(),
        1,
        &[&format!("http.listen={address}")],
        &["http.listen", &address.to_string(), "--set"],
    );
    // An address of another machine.
    assert_refused(folder.path(), 1, &["sip.listen=192.0.2.1:5060"], &["sip.listen", "192.0.2.1:5060"]);
    assert_refused(folder.path(), 1, &["http.listen=192.0.2.1:8080"], &["http.listen", "192.0.2.1:8080"]);
}

#[test]
fn a_store_that_cannot_be_opened_is_named() {
    let folder = Folder::new("mistakes-store");
    let path = folder.path();
    let store = |name: &str| format!("store.url=sqlite:{}", path.join(name).display());
    fs::create_dir(path.join("folder.db")).unwrap();
    fs::write(path.join("text.db"), "this has never been a database, and it is longer than a header".repeat(40))
        .unwrap();
    assert_refused(path, 1, &[&store("no/such/folder/a.db")], &["no/such/folder/a.db", "store.url"]);
    assert_refused(path, 1, &[&store("folder.db")], &["folder.db", "store.url"]);
    assert_refused(path, 1, &[&store("text.db")], &["text.db", "store.url"]);
    assert_refused(path, 1, &["store.url=sqlite:/proc/anteroom.db"], &["/proc/anteroom.db", "store.url"]);
}

#[test]
fn a_key_file_that_is_no_secret_or_no_key_is_refused() {
    let folder = Folder::new("mistakes-key");
    let path = folder.path();
    let key = path.join("the.key");
    let setting = format!("store.key_file={}", key.display());
    let write = |text: &str, mode: u32| {
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    };
    let good = "0123456789abcdef".repeat(4);
    for mode in [0o644, 0o640, 0o660, 0o604] {
        write(&good, mode);
        assert_refused(path, 1, &[&setting], &["the.key", &format!("{mode:04o}"), "chmod 600"]);
    }
    for text in ["", "secret", &good[1..], &"z".repeat(64), &"0".repeat(5_000)] {
        write(text, 0o600);
        let (code, line) = refusal(path, &[], &[&setting], &[]);
        assert!(code == 1 && line.contains("the.key"), "{line}");
        assert!(text.is_empty() || text.len() == 6 || !line.contains(text), "a key in a message: {line}");
    }
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    assert_refused(path, 1, &[&setting], &["the.key"]);
    let nowhere = format!("store.key_file={}", path.join("no/such/folder/k").display());
    assert_refused(path, 1, &[&nowhere], &["no/such/folder/k"]);
}

/// Another key than the store was made with would let no PIN be right any more: said at the start, not to each organizer.
#[test]
fn the_key_of_another_store_is_refused() {
    let folder = Folder::new("mistakes-other-key");
    let path = folder.path();
    let enabled = anteroom(path, &base(path)).args(["user", "enable", "anna@example.com"]).output().unwrap();
    assert!(enabled.status.success());
    fs::write(path.join("anteroom.key"), "0123456789abcdef".repeat(4)).unwrap();
    assert_refused(path, 1, &[], &["anteroom.key"]);
    fs::remove_file(path.join("anteroom.key")).unwrap();
    assert_refused(path, 1, &[], &["anteroom.key"]);
}

#[test]
fn missing_and_odd_sounds_are_named_with_what_is_wrong() {
    let folder = Folder::new("mistakes-audio");
    let path = folder.path();
    let place = |name: &str| path.join(name).display().to_string();
    let spec = |channels, sample_rate| hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let wav = |name: &str, spec| {
        let mut writer = hound::WavWriter::create(path.join(name), spec).unwrap();
        (0..1_600).for_each(|_| writer.write_sample(0i16).unwrap());
        writer.finalize().unwrap();
    };
    fs::create_dir_all(path.join("prompts")).unwrap();
    assert_refused(path, 1, &[&format!("audio.hold={}", place("none.wav"))], &["none.wav"]);
    assert_refused(path, 1, &[&format!("audio.hold={}", place("prompts"))], &["prompts"]);
    assert_refused(path, 1, &[&format!("audio.prompts={}", place("nowhere"))], &["nowhere"]);
    assert_refused(path, 1, &[&format!("audio.prompts={}", place("prompts"))], &["audio.prompts", "welcome.wav"]);
    assert_refused(path, 1, &[&format!("audio.tones={}", place("prompts"))], &["audio.tones", "entry.wav"]);
    fs::write(path.join("text.wav"), "no sound").unwrap();
    assert_refused(path, 1, &[&format!("audio.hold={}", place("text.wav"))], &["text.wav"]);
    wav("stereo.wav", spec(2, 44_100));
    assert_refused(
        path,
        1,
        &[&format!("audio.hold={}", place("stereo.wav"))],
        &["stereo.wav", "2 channels", "44100 Hz", "8000"],
    );
    wav("prompts/welcome.wav", spec(1, 22_050));
    assert_refused(path, 1, &[&format!("audio.prompts={}", place("prompts"))], &["welcome.wav", "22050 Hz", "16000"]);
    wav("cut.wav", spec(1, 8_000));
    let whole = fs::read(path.join("cut.wav")).unwrap();
    fs::write(path.join("cut.wav"), &whole[..whole.len() / 2]).unwrap();
    assert_refused(path, 1, &[&format!("audio.hold={}", place("cut.wav"))], &["cut.wav"]);
}

#[test]
fn a_file_of_records_that_cannot_be_opened_is_named() {
    let folder = Folder::new("mistakes-records");
    let path = folder.path();
    let records = |name: &str| format!("records.file={}", path.join(name).display());
    assert_refused(path, 1, &[&records("no/folder/calls.jsonl")], &["records.file", "no/folder/calls.jsonl"]);
    assert_refused(path, 1, &[&records(".")], &["records.file"]);
}
