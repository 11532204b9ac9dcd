//! The floor: a bare program that does only what nobody can leave out. For each call one connected UDP socket, and every
//! 20 ms one receive and one send of 172 octets, by absolute deadline.
//!
//! The benchmark starts itself a second time for it, so that its cost is that of a process, as the server's is. The two
//! speak over the child's standard input and output:
//!
//! ```text
//!  parent                                     child
//!    ── the address of each call's peer ────▶   binds and connects one socket for each
//!    ◀── the address of each socket ─────────
//!                                               receives and sends
//!    ── end of input ────────────────────────▶  ends
//! ```

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{SocketAddrV4, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anteroom::words::media::{FRAME, FRAME_SAMPLES};

use super::process::Process;
use super::{Outcome, wrong};

/// RTP header and one frame of G.711.
const PACKET_BYTES: usize = 12 + FRAME_SAMPLES;

/// The subcommand by which the benchmark knows that it is the child.
pub const SUBCOMMAND: &str = "floor-child";

/// A floor that runs, until it is dropped.
pub struct Floor {
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    /// The socket of each call.
    pub addresses: Vec<SocketAddrV4>,
}

impl Floor {
    /// One call for each peer.
    pub fn start(peers: &[SocketAddrV4]) -> Outcome<Floor> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut floor = Floor { child, input, addresses: Vec::new() };
        let input = floor.input.as_mut().ok_or_else(|| wrong("the floor has no input"))?;
        let list: Vec<String> = peers.iter().map(ToString::to_string).collect();
        writeln!(input, "{}", list.join(" "))?;
        let mut line = String::new();
        BufReader::new(output.ok_or_else(|| wrong("the floor has no output"))?).read_line(&mut line)?;
        floor.addresses = addresses(&line)?;
        if floor.addresses.len() != peers.len() {
            return Err(wrong("the floor could not open its sockets"));
        }
        Ok(floor)
    }

    pub fn process(&self) -> Outcome<Process> {
        Process::new(self.child.id())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn addresses(line: &str) -> Outcome<Vec<SocketAddrV4>> {
    line.split_whitespace().map(|address| Ok(address.parse()?)).collect()
}

/// The child.
pub fn run() -> Outcome<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let mut sockets = Vec::new();
    for peer in addresses(&line)? {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(peer)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    {
        let mut output = BufWriter::new(std::io::stdout());
        for socket in &sockets {
            write!(output, "{} ", socket.local_addr()?)?;
        }
        writeln!(output)?;
        output.flush()?;
    }
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    receive_and_send(&sockets)
}

fn receive_and_send(sockets: &[UdpSocket]) -> ! {
    let packet = [0xFF; PACKET_BYTES];
    let mut received = [0; 2 * PACKET_BYTES];
    let mut deadline = Instant::now();
    loop {
        for socket in sockets {
            // Nothing there, or a peer that is gone: the next packet is due all the same.
            let _ = socket.recv(&mut received);
            let _ = socket.send(&packet);
        }
        deadline += FRAME;
        sleep_until(deadline);
    }
}

pub fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}
