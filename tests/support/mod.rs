//! A real server for tests: the binary itself, on loopback, on free ports, with a store of its own in a temporary folder.
//! It is stopped and its folder removed when the test lets go of it.
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod postgres;
mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anteroom::config::{Config, StoreConfig};

pub use program::anteroom;

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Where servers have their store: a file of their own, unless this variable says `postgresql`. Then it is a new database
/// in a cluster of the tests' own.
const STORE_VARIABLE: &str = "TESTS_ON";

pub fn on_postgres() -> bool {
    std::env::var(STORE_VARIABLE).is_ok_and(|place| place == "postgresql")
}

fn store_settings(folder: &Path) -> Vec<String> {
    if on_postgres() {
        let key = folder.join("anteroom.key");
        let url = postgres::new_database();
        vec![format!("store.url={}", url.expose()), format!("store.key_file={}", key.display())]
    } else {
        vec![format!("store.url=sqlite:{}", folder.join("anteroom.db").display())]
    }
}

/// An organizer whom the store has enabled.
#[derive(Clone)]
pub struct Organizer {
    pub identity: String,
    pub conference_id: String,
    pub pin: String,
}

/// A temporary folder, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("anteroom-{name}-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the server has written to its log so far.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    /// Also after a test has failed while it looked at them: its failure is to show them.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub struct Server {
    child: Child,
    folder: Folder,
    settings: Vec<String>,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    pub sip: SocketAddr,
    pub http: SocketAddr,
}

impl Server {
    /// Starts `anteroom serve` with these further settings (`key=value`), its log at the highest level.
    pub fn start(name: &str, settings: &[&str]) -> Server {
        Server::start_in(Folder::new(name), settings)
    }

    pub fn start_in(folder: Folder, settings: &[&str]) -> Server {
        Server::start_with(folder, settings, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(folder: Folder, settings: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut all = vec![
            "sip.listen=127.0.0.1:0".to_owned(),
            "http.listen=127.0.0.1:0".to_owned(),
            format!("records.file={}", folder.path().join("calls.jsonl").display()),
            "log.format=json".to_owned(),
            "log.level=trace".to_owned(),
            format!("rtp.ports={}", rtp_ports()),
        ];
        if !settings.iter().any(|setting| setting.starts_with("store.url=")) {
            all.extend(store_settings(folder.path()));
        }
        all.extend(settings.iter().map(|&setting| setting.to_owned()));
        let mut command = anteroom(folder.path(), &all);
        command.envs(environment.iter().copied());
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let reader = {
            let log = log.clone();
            std::thread::spawn(move || {
                let other = log.clone();
                let stdout = std::thread::spawn(move || collect(output, &other));
                collect(errors, &log);
                let _ = stdout.join();
            })
        };
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut server = Server { child, folder, settings: all, log, reader: Some(reader), sip: any, http: any };
        let ready = server.wait_for_line("the server is ready", START);
        let line: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let field =
            |name: &str| line["fields"][name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}")).to_owned();
        server.sip = field("sip").parse().unwrap();
        server.http = field("http").parse().unwrap();
        server
    }

    /// Runs another `anteroom` command on the same store, while the server runs.
    pub fn command(&self, arguments: &[&str]) -> Output {
        anteroom(self.folder.path(), &self.settings).args(arguments).output().unwrap()
    }

    /// Starts a second server on the same store, where that has to be refused: its exit code and what it said.
    pub fn refused_start(&self) -> Output {
        let mut command = anteroom(self.folder.path(), &self.settings);
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut second = command.spawn().unwrap();
        let deadline = Instant::now() + START;
        while second.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = second.kill();
                panic!("it was not refused: {:?}", second.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        second.wait_with_output().unwrap()
    }

    /// Enables an organizer through the command line.
    pub fn enable(&self, identity: &str) -> Organizer {
        let output = self.command(&["user", "enable", identity, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        Organizer { identity: identity.to_owned(), conference_id: text("conference_id"), pin: text("pin") }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its store lies, for a test that looks into it.
    pub fn store_config(&self) -> StoreConfig {
        let of_the_store: Vec<&String> = self.settings.iter().filter(|setting| setting.starts_with("store.")).collect();
        Config::from_settings(&of_the_store).unwrap().store
    }

    /// Everything in its database as text, where that is PostgreSQL. (A file is in its folder.)
    pub fn dump_of_database(&self) -> Option<String> {
        let url = self.settings.iter().rev().find_map(|setting| setting.strip_prefix("store.url=postgres:"));
        url.map(|url| postgres::dump(&format!("postgres:{url}")))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything logged so far, lines joined.
    pub fn log_text(&self) -> String {
        self.log.lines().join("\n")
    }

    /// Waits for a log line that contains `part`, also one that is there already, and returns it.
    pub fn wait_for_line(&self, part: &str, within: Duration) -> String {
        self.wait_for_lines(part, 1, within).remove(0)
    }

    /// Waits until `count` log lines contain `part`.
    pub fn wait_for_lines(&self, part: &str, count: usize, within: Duration) -> Vec<String> {
        let deadline = Instant::now() + within;
        let mut lines = self.log.lines();
        loop {
            let found: Vec<String> = lines.iter().filter(|line| line.contains(part)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "only {} of {count} lines with {part:?} in:\n{}", found.len(), lines.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The call records written so far.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.path().join("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until so many call records are written, and returns all.
    pub fn wait_for_records(&self, count: usize, within: Duration) -> Vec<serde_json::Value> {
        let deadline = Instant::now() + within;
        loop {
            // The last line may be half written.
            let text = fs::read_to_string(self.folder.path().join("calls.jsonl")).unwrap_or_default();
            let records: Vec<_> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            if records.len() >= count {
                return records;
            }
            assert!(Instant::now() < deadline, "only {} of {count} call records:\n{text}", records.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing that was typed is in the log: none of `secrets`, and no single key.
    pub fn assert_keys_unlogged(&self, secrets: &[&str]) {
        // Where a key would stand, in words of ours, of SIP INFO, or of a `Debug` output.
        const BEFORE_A_KEY: [&str; 6] = ["digit", "signal=", "signal:", "dtmf", "pressed", "typed"];
        for line in self.log_text().lines() {
            assert!(!secrets.iter().any(|secret| line.contains(secret)), "a secret is in the log: {line}");
            let lower = line.to_ascii_lowercase();
            for (word, after) in BEFORE_A_KEY
                .iter()
                .flat_map(|&word| lower.match_indices(word))
                .map(|(at, word)| (word, &lower[at + word.len()..]))
            {
                let next = after.trim_start_matches(|character: char| " \":=([{'\\".contains(character));
                let names_key = next.starts_with(|character: char| character.is_ascii_digit() || character == '#');
                assert!(!names_key, "a key seems to stand behind {word:?} in the log: {line}");
            }
        }
    }

    /// GET of a page of the server's HTTP side: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// One figure of `/metrics`, 0 where it is not there yet.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a figure of `/metrics` is `value`.
    pub fn wait_for_metric(&self, name: &str, value: f64, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let is = self.metric(name);
            if (is - value).abs() < f64::EPSILON {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {is}, not {value}, after {within:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL: the process is gone at whatever it was. What it left behind.
    pub fn kill(mut self) -> Folder {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::mem::replace(&mut self.folder, Folder::new("killed"))
    }

    /// Changes a limit of the running process by util-linux' `prlimit`, such as `--nofile=64`.
    pub fn limit(&self, limit: &str) {
        let status = Command::new("prlimit").args(["--pid", &self.pid().to_string(), limit]).status().unwrap();
        assert!(status.success(), "prlimit {limit}");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Waits for the end of the process and returns its exit code.
    pub fn wait(&mut self, within: Duration) -> i32 {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                if let Some(reader) = self.reader.take() {
                    let _ = reader.join();
                }
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the server has not ended after {within:?}:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("---- the server's log ----\n{}", self.log_text());
        }
    }
}

/// A range of RTP ports for one server: servers that run at the same time, also those of other test processes, rarely
/// share one. All lie below the ports that the operating system gives to clients (32768 as a rule).
fn rtp_ports() -> String {
    const FIRST: u32 = 10_000;
    const RANGES: u32 = 20;
    const PORTS: u32 = 500;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % RANGES;
    let first = FIRST + range * PORTS;
    format!("{first}-{}", first + PORTS - 1)
}

fn collect(output: impl Read, log: &Log) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { return };
        log.lines().push(line);
        log.grown.notify_all();
    }
}
