//! The server that is measured: the binary itself, on loopback, on free ports, with a store of its own in a temporary
//! folder. Its log goes where a service's log goes, to a file, at the level that it has by default.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::plan::Plan;
use super::process::Process;
use super::program::anteroom;
use super::sounds::write_short_prompts;
use super::{Outcome, wrong};

const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(5);

/// Ports of its calls: below those that the kernel gives to sockets that ask for none.
const RTP_PORTS: &str = "10000-29999";

pub struct Server {
    child: Child,
    folder: PathBuf,
    settings: Vec<String>,
    keep: bool,
    pub sip: SocketAddr,
    pub organizers: Vec<Organizer>,
}

/// Who can start the meeting.
pub struct Organizer {
    pub conference_id: String,
    pub pin: String,
}

impl Server {
    /// Starts one that takes this many calls, and enables an organizer.
    pub fn start(name: &str, calls: usize, plan: &Plan) -> Outcome<Server> {
        let folder = std::env::temp_dir().join(format!("anteroom-figures-{name}-{}", std::process::id()));
        let prompts = folder.join("prompts");
        write_short_prompts(&prompts)?;
        let mut settings = vec![
            "sip.listen=127.0.0.1:0".to_owned(),
            "http.listen=off".to_owned(),
            format!("store.url=sqlite:{}", folder.join("anteroom.db").display()),
            format!("records.file={}", folder.join("calls.jsonl").display()),
            "log.format=json".to_owned(),
            format!("rtp.ports={RTP_PORTS}"),
            format!("limits.calls={calls}"),
            // What is measured is what can be had, not what is allowed.
            "limits.calls_per_second=100000".to_owned(),
            format!("limits.meeting_participants={calls}"),
            format!("audio.prompts={}", prompts.display()),
            "attendant.organizer_question_s=0.5".to_owned(),
            // No word of patience falls into a measurement.
            "meeting.patience_s=3600".to_owned(),
            "shutdown.grace_s=0".to_owned(),
        ];
        settings.extend(plan.settings.iter().cloned());
        let log = folder.join("log.jsonl");
        let mut command = anteroom(&folder, &settings);
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn()?;
        let sip = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, folder, settings, keep: plan.keep, sip, organizers: Vec::new() };
        server.sip = server.wait_until_ready(&log)?;
        server.enable_more(1)?;
        Ok(server)
    }

    pub fn process(&self) -> Outcome<Process> {
        Process::new(self.child.id())
    }

    /// Returns the address that SIP listens on.
    fn wait_until_ready(&mut self, log: &Path) -> Outcome<SocketAddr> {
        let deadline = Instant::now() + START;
        loop {
            let text = std::fs::read_to_string(log)?;
            if let Some(line) = text.lines().find(|line| line.contains("the server is ready")) {
                let line: Value = serde_json::from_str(line)?;
                let sip = line["fields"]["sip"].as_str().ok_or_else(|| wrong("the ready line names no SIP address"))?;
                return Ok(sip.parse()?);
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(wrong(&format!("the server did not start:\n{text}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until there are so many organizers.
    pub fn enable_more(&mut self, organizers: usize) -> Outcome<()> {
        let new = self.organizers.len()..organizers;
        let lines: String = new.map(|number| format!("organizer-{number}@figures.example\n")).collect();
        let list = self.folder.join("organizers.csv");
        std::fs::write(&list, format!("identity\n{lines}"))?;
        let mut command = anteroom(&self.folder, &self.settings);
        let output = command.args(["user", "bulk", "enable", "organizers.csv", "--json"]).output()?;
        if !output.status.success() {
            return Err(wrong(&String::from_utf8_lossy(&output.stderr)));
        }
        let answer: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        for line in answer {
            let text =
                |key: &str| line[key].as_str().map(str::to_owned).ok_or_else(|| wrong("user bulk lacks a field"));
            self.organizers.push(Organizer { conference_id: text("conference_id")?, pin: text("pin")? });
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.keep {
            eprintln!("… log and call records are in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
