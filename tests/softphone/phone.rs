//! One person's baresip, without sound hardware: his voice is a tone out of a file, and his telephone records what he
//! hears. It is commanded by its control socket, and stopped when the test lets go of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::listening::{RATE_HZ, Recording, tone};
use crate::support::{Folder, Server};

/// How long baresip may take for its own things on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// His voice lasts this long; then baresip would hang up. No test takes as long.
const VOICE: Duration = Duration::from_secs(90);

pub struct Phone {
    name: String,
    child: Child,
    folder: Folder,
    control: TcpStream,
    received: Vec<u8>,
    events: Vec<serde_json::Value>,
    server: SocketAddr,
}

impl Phone {
    /// A telephone whose owner hums this tone as long as he is on the line. His keys travel as RFC 4733 events.
    pub fn start(server: &Server, name: &str, voice_hz: f64, codec: &str) -> Phone {
        let folder = Folder::new(&format!("phone-{name}"));
        // baresip says nowhere which port it took, so it is told one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let voice = folder.path().join("voice.wav");
        // As baresip lists them by name, rate and channels; and what it wants a file to have.
        let (listed, rate_hz, channels) = match codec {
            "G722" => ("G722/16000/1", 2 * RATE_HZ, 1),
            "opus" => ("opus/48000/2", 6 * RATE_HZ, 2),
            g711 => (g711, RATE_HZ, 1),
        };
        write_voice(&voice, voice_hz, rate_hz, channels);
        fs::write(folder.path().join("config"), configuration(folder.path(), &voice, port)).unwrap();
        let account = format!("<sip:{name}@127.0.0.1>;regint=0;audio_codecs={listed}\n");
        fs::write(folder.path().join("accounts"), account).unwrap();
        fs::write(folder.path().join("contacts"), "").unwrap();
        let output = fs::File::create(folder.path().join("output.log")).unwrap();
        let mut command = Command::new("baresip");
        command.arg("-4").arg("-f").arg(folder.path()).current_dir(folder.path()).stdin(Stdio::null());
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn();
        let child = child.expect("baresip starts (Debian: baresip-core)");
        let control = connect(port);
        control.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (received, events) = (Vec::new(), Vec::new());
        Phone { name: name.to_owned(), child, folder, control, received, events, server: server.sip }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn dial(&mut self) {
        let target = format!("sip:8000@{}", self.server);
        self.command("dial", &target);
        self.wait_for("CALL_ESTABLISHED");
    }

    /// Presses these keys, one after the other.
    pub fn press(&mut self, keys: &str) {
        self.command("sndcode", keys);
    }

    pub fn hold(&mut self) {
        self.command("hold", "");
    }

    pub fn resume(&mut self) {
        self.command("resume", "");
    }

    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// Waits until the call is over, whoever ended it, and returns what was heard.
    pub fn heard(mut self) -> Recording {
        self.wait_for("CALL_CLOSED");
        self.command("quit", "");
        let deadline = Instant::now() + SOON;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{}'s baresip does not end", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
        let recording = Recording::read(&self.recorded());
        if let Some(keep) = std::env::var_os("SOFTPHONE_RECORDINGS") {
            fs::create_dir_all(&keep).unwrap();
            fs::copy(self.recorded(), Path::new(&keep).join(format!("{}.wav", self.name))).unwrap();
        }
        recording
    }

    /// `dump-…-dec.wav`, with the time in its name.
    fn recorded(&self) -> PathBuf {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let mut recordings: Vec<PathBuf> =
            files.filter(|path| path.to_str().is_some_and(|path| path.ends_with("-dec.wav"))).collect();
        assert_eq!(recordings.len(), 1, "{recordings:?}\n{}", self.output());
        recordings.remove(0)
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default()
    }

    /// A netstring of JSON: `{"command":"dial",…}`, and its response.
    fn command(&mut self, command: &str, parameters: &str) {
        let token = command;
        let message = serde_json::json!({ "command": command, "params": parameters, "token": token }).to_string();
        write!(self.control, "{}:{message},", message.len()).unwrap();
        let response = self.wait(command, |message| message["token"] == token);
        assert_eq!(response["ok"], true, "{} can't {command}: {response}", self.name);
    }

    fn wait_for(&mut self, event: &str) {
        self.wait(event, |message| message["type"] == event);
    }

    /// Takes the first message that fits, also one that came before.
    fn wait(&mut self, what: &str, fits: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let deadline = Instant::now() + SOON + SOON;
        loop {
            if let Some(at) = self.events.iter().position(&fits) {
                return self.events.remove(at);
            }
            assert!(Instant::now() < deadline, "{}: no {what}\n{}", self.name, self.output());
            let mut bytes = [0; 4096];
            match self.control.read(&mut bytes) {
                // baresip may be gone before it has answered to "quit".
                Ok(0) if what == "quit" => return serde_json::json!({ "ok": true }),
                Ok(0) => panic!("{}'s baresip is gone, before {what}\n{}", self.name, self.output()),
                Ok(count) => self.received.extend(&bytes[..count]),
                Err(_) => {}
            }
            while let Some(message) = take_netstring(&mut self.received) {
                self.events.push(serde_json::from_slice(&message).unwrap());
            }
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {}'s baresip ----\n{}", self.name, self.output());
        }
    }
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + SOON;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "baresip takes no commands: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `5:hello,` from the front of `bytes`, once it is there as a whole.
fn take_netstring(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).unwrap().parse().unwrap();
    let end = colon + 1 + length;
    if bytes.len() <= end {
        return None;
    }
    let message = bytes[colon + 1..end].to_vec();
    bytes.drain(..=end);
    Some(message)
}

fn write_voice(path: &Path, voice_hz: f64, rate_hz: u32, channels: u16) {
    let spec =
        hound::WavSpec { channels, sample_rate: rate_hz, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    for sample in tone(voice_hz, rate_hz, VOICE) {
        for _ in 0..channels {
            file.write_sample(sample).unwrap();
        }
    }
    file.finalize().unwrap();
}

/// Only what is needed is loaded; nothing asks for sound hardware, a terminal or a network beyond loopback. What is heard
/// goes into aubridge, where nobody takes it; sndfile writes it down on the way.
fn configuration(folder: &Path, voice: &Path, control_port: u16) -> String {
    let (folder, voice) = (folder.display(), voice.display());
    let modules = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"];
    let modules = modules.iter().find(|path| Path::new(path).is_dir()).expect("baresip's modules are installed");
    format!(
        "sip_listen 127.0.0.1:0
net_interface 127.0.0.1
module_path {modules}
module g711.so
module g722.so
module opus.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
audio_source aufile,{voice}
audio_player aubridge,heard
audio_alert aubridge,alert
snd_path {folder}
ctrl_tcp_listen 127.0.0.1:{control_port}
ringback_disabled yes
call_max_calls 1
jitter_buffer_delay 2-10
"
    )
}
