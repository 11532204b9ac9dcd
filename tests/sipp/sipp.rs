//! Runs SIPp with a scenario of `scenarios/` against the server under test.
//!
//! The scenarios are plain SIPp and can be played by hand (`sipp -sf tests/sipp/scenarios/call.xml -key rtp_port 40000 …`),
//! except for those with a part between `<!-- for each row -->` and `<!-- end -->`: the test repeats it, and puts its
//! rows' values in place of `{name}`. SIPp has loops, but no tables.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Folder, Server};

/// SIPp ends itself after this long, as failed. The longest scenario waits 32 s for a BYE.
const LONGEST: Duration = Duration::from_secs(60);

const ROWS_BEGIN: &str = "<!-- for each row -->";
const ROWS_END: &str = "<!-- end -->";

/// One row of a scenario's table: names and values.
pub type Row<'a> = &'a [(&'a str, &'a str)];

/// What SIPp is going to do.
pub struct Sipp {
    scenario: String,
    target: String,
    rows: Vec<Vec<(String, String)>>,
    arguments: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Sipp {
    pub fn new(server: &Server, scenario: &str) -> Sipp {
        Sipp {
            scenario: scenario.to_owned(),
            target: server.sip.to_string(),
            rows: Vec::new(),
            arguments: Vec::new(),
            files: Vec::new(),
        }
        .with(&["-i", "127.0.0.1"])
    }

    pub fn tcp(self) -> Sipp {
        self.with(&["-t", "t1"])
    }

    /// So many calls, each second so many. Otherwise it is one.
    pub fn calls(self, calls: usize, per_second: usize) -> Sipp {
        self.with(&["-m", &calls.to_string(), "-r", &per_second.to_string(), "-l", &calls.to_string()])
    }

    /// How long the scenario's pauses without a length of their own are.
    pub fn lasting(self, time: Duration) -> Sipp {
        self.with(&["-d", &time.as_millis().to_string()])
    }

    /// `[name]` in the scenario.
    pub fn key(self, name: &str, value: &str) -> Sipp {
        self.with(&["-key", name, value])
    }

    pub fn row(mut self, row: Row<'_>) -> Sipp {
        self.rows.push(row.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        self
    }

    /// A file that the scenario names.
    pub fn file(mut self, name: &str, content: Vec<u8>) -> Sipp {
        self.files.push((name.to_owned(), content));
        self
    }

    fn with(mut self, arguments: &[&str]) -> Sipp {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub fn start(self) -> Running {
        let folder = Folder::new(&format!("sipp-{}", self.scenario));
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp/scenarios");
        let scenario = fs::read_to_string(scenarios.join(format!("{}.xml", self.scenario))).unwrap();
        fs::write(folder.path().join("scenario.xml"), with_rows(&scenario, &self.rows)).unwrap();
        for (name, content) in &self.files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let ear = Ear::open();
        let screen = File::create(folder.path().join("screen.log")).unwrap();
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).args([&self.target, "-sf", "scenario.xml", "-nostdin"]);
        if !self.arguments.iter().any(|argument| argument == "-m") {
            command.args(["-m", "1"]);
        }
        command.args(["-key", "rtp_port", &ear.port().to_string()]).args(&self.arguments);
        command.args(["-timeout", &format!("{}s", LONGEST.as_secs()), "-timeout_error"]);
        command.args(["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]);
        let output = screen.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(output).stderr(screen).spawn();
        let child = child.expect("sipp starts (Debian: sip-tester)");
        Running { scenario: self.scenario, child, folder, ear }
    }

    /// Plays the scenario to its end, which must be a good one.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }
}

/// The scenario with its table's part once for each row.
fn with_rows(scenario: &str, rows: &[Vec<(String, String)>]) -> String {
    let Some((before, rest)) = scenario.split_once(ROWS_BEGIN) else { return scenario.to_owned() };
    let (part, after) = rest.split_once(ROWS_END).expect("the part for each row has an end");
    assert!(!rows.is_empty(), "the scenario wants rows");
    let mut text = before.to_owned();
    for (number, row) in rows.iter().enumerate() {
        let mut part = part.replace("{number}", &number.to_string());
        for (name, value) in row {
            part = part.replace(&format!("{{{name}}}"), value);
        }
        text.push_str(&part);
    }
    text.push_str(after);
    text
}

/// A SIPp that plays. It is killed when the test lets go of it.
pub struct Running {
    scenario: String,
    child: Child,
    folder: Folder,
    pub ear: Ear,
}

impl Running {
    pub fn finish(mut self) -> Outcome {
        let deadline = Instant::now() + LONGEST + Duration::from_secs(5);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "sipp {} does not end", self.scenario);
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let (messages, errors) = (text("messages.log"), text("errors.log"));
        assert!(status.success(), "sipp {}: {status}\n{errors}\n{}\n{messages}", self.scenario, text("screen.log"));
        Outcome { messages: parse_messages(&messages), rtp_packets: self.ear.heard() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What SIPp has sent and received.
pub struct Outcome {
    messages: Vec<Message>,
    /// What came to `[rtp_port]`.
    pub rtp_packets: usize,
}

struct Message {
    sent: bool,
    text: String,
}

impl Outcome {
    /// How often a request of this method was sent.
    pub fn sent(&self, method: &str) -> usize {
        let line = format!("{method} sip:");
        self.messages.iter().filter(|message| message.sent && message.text.starts_with(&line)).count()
    }

    /// What was received with this status for this method.
    pub fn answers(&self, status: u16, method: &str) -> Vec<&str> {
        let line = format!("SIP/2.0 {status} ");
        let received = self.messages.iter().filter(|message| !message.sent).map(|message| message.text.as_str());
        received.filter(|text| text.starts_with(&line) && cseq_method(text) == Some(method)).collect()
    }
}

fn cseq_method(message: &str) -> Option<&str> {
    message.lines().find_map(|line| line.strip_prefix("CSeq:"))?.split_whitespace().nth(1)
}

/// SIPp writes each message below a ruler with the time and a line that says which way it went.
fn parse_messages(log: &str) -> Vec<Message> {
    let of_block = |block: &str| {
        let (head, text) = block.split_once("\n\n")?;
        let sent = head.contains("message sent");
        (sent || head.contains("message received")).then(|| Message { sent, text: text.trim_end().to_owned() })
    };
    log.split("-----------------------------------------------").filter_map(of_block).collect()
}

/// Listens at a port pair for RTP, and remembers when each packet came.
pub struct Ear {
    rtp: UdpSocket,
    /// Held so that nobody else gets our RTCP.
    _rtcp: UdpSocket,
    arrivals: Arc<Mutex<Vec<Instant>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    pub fn open() -> Ear {
        let (rtp, rtcp) = loop {
            let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = rtp.local_addr().unwrap().port();
            if port.is_multiple_of(2)
                && let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1))
            {
                break (rtp, rtcp);
            }
        };
        rtp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (arrivals, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (rtp, arrivals, over) = (rtp.try_clone().unwrap(), arrivals.clone(), over.clone());
            std::thread::spawn(move || {
                let mut packet = [0; 2048];
                while !over.load(Ordering::Relaxed) {
                    if rtp.recv(&mut packet).is_ok() {
                        arrivals.lock().unwrap().push(Instant::now());
                    }
                }
            })
        };
        Ear { rtp, _rtcp: rtcp, arrivals, over, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.rtp.local_addr().unwrap().port()
    }

    /// Packets so far.
    pub fn heard(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
