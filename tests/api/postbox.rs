//! A mail server of the tests' own, which takes what it is handed until it is closed. (The one in `tests/mail` is a real
//! one; here it is enough that mails arrive, or don't.)

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
struct Inside {
    mails: Mutex<Vec<String>>,
    closed: AtomicBool,
}

pub struct Postbox {
    inside: Arc<Inside>,
    pub port: u16,
}

impl Postbox {
    pub fn open() -> Postbox {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inside = Arc::new(Inside::default());
        let box_of_thread = inside.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up in the middle is of no concern here.
                let _ = box_of_thread.talk(&stream);
            }
        });
        Postbox { inside, port }
    }

    /// From now on nothing is taken: 451, try again.
    pub fn close(&self) {
        self.inside.closed.store(true, Ordering::SeqCst);
    }

    /// What arrived, as text whose lines nobody has broken.
    pub fn mails(&self) -> Vec<String> {
        self.inside.mails.lock().unwrap().iter().map(|mail| mail.replace("=\r\n", "")).collect()
    }
}

impl Inside {
    fn talk(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.write_all(b"220 postbox ESMTP\r\n")?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
            let answer: &[u8] = match verb.as_str() {
                "RCPT" if self.closed.load(Ordering::SeqCst) => b"451 4.3.0 not now\r\n",
                "DATA" => {
                    stream.write_all(b"354 go on\r\n")?;
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") && lines.read_line(&mut mail)? > 0 {}
                    self.mails.lock().unwrap().push(mail);
                    b"250 taken\r\n"
                }
                "QUIT" => return stream.write_all(b"221 bye\r\n"),
                _ => b"250 fine\r\n",
            };
            stream.write_all(answer)?;
        }
    }
}
