//! The mail server that the tests send to: `server.py`, in the virtual environment that `tests/run` makes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// How long a mail may take on a busy machine.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

pub struct MailServer {
    child: Child,
    mails: Receiver<Value>,
    pub port: u16,
}

impl MailServer {
    pub fn start(options: &[&str]) -> MailServer {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/test-venv/bin/python"))
            .arg(root.join("tests/mail/server.py"))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/run makes target/test-venv with aiosmtpd");
        let (sender, mails) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let ready: Value = mails.recv_timeout(ARRIVES_WITHIN).unwrap();
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
        MailServer { child, mails, port }
    }

    pub fn next(&self) -> Value {
        self.mails.recv_timeout(ARRIVES_WITHIN).expect("a mail arrives")
    }

    /// Everything that has arrived and was not looked at.
    pub fn rest(&self) -> Vec<Value> {
        self.mails.try_iter().collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority, and a certificate for this machine from it.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path) -> Certificates {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let openssl = |arguments: &str| {
            let arguments =
                arguments.split(' ').map(|word| word.strip_prefix('@').map_or_else(|| word.to_owned(), path));
            let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        std::fs::write(
            folder.join("leaf.ext"),
            "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        )
        .unwrap();
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch";
        openssl(&format!("req -x509 {new_key} -days 2 -subj /CN=Test-CA -keyout @ca.key -out @ca.pem"));
        openssl(&format!("req {new_key} -subj /CN=localhost -keyout @leaf.key -out @leaf.csr"));
        openssl(
            "x509 -req -in @leaf.csr -CA @ca.pem -CAkey @ca.key -CAcreateserial -days 2 -extfile @leaf.ext -out @leaf.pem",
        );
        Certificates {
            authority: folder.join("ca.pem"),
            certificate: folder.join("leaf.pem"),
            key: folder.join("leaf.key"),
        }
    }
}
