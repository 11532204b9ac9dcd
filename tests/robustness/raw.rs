//! SIP by hand, for what no library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anteroom::wire::sip::{HeaderName, Message, Response};
use bytes::Bytes;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::caller::SOON;
use super::support::Server;

/// A datagram socket somewhere on loopback.
pub struct Plug {
    socket: UdpSocket,
    pub address: SocketAddr,
    server: SocketAddr,
}

impl Plug {
    /// `source`: an address, with or without a port.
    pub fn new(source: &str, server: SocketAddr) -> Plug {
        let bind: SocketAddr = source.parse().unwrap_or_else(|_| SocketAddr::new(source.parse().unwrap(), 0));
        let socket = UdpSocket::bind(bind).unwrap_or_else(|error| panic!("{bind} must be free for this test: {error}"));
        let address = socket.local_addr().unwrap();
        Plug { socket, address, server }
    }

    /// To the server's SIP port.
    pub fn send(&self, message: impl AsRef<[u8]>) {
        self.send_to(message, self.server);
    }

    pub fn send_to(&self, message: impl AsRef<[u8]>, to: SocketAddr) {
        let sent = self.socket.send_to(message.as_ref(), to);
        // An earlier datagram to a closed port is told with the next one.
        assert!(sent.is_ok() || sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
    }

    pub fn receive(&self, within: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = [0; 65_535];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// Everything that has come.
    pub fn drain(&self) -> Vec<Vec<u8>> {
        self.socket.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 65_535];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        self.socket.set_nonblocking(false).unwrap();
        all
    }

    /// Waits for an answer with this Call-ID that `fits`, whatever else comes meanwhile.
    pub fn wait_for_answer(&self, call_id: &str, fits: impl Fn(u16) -> bool) -> Response {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no such answer for {call_id}");
            let Some(datagram) = self.receive(left) else { continue };
            if let Some(response) = response(&datagram)
                && header(&response, &HeaderName::CallId) == call_id
                && fits(response.status)
            {
                return response;
            }
        }
    }

    /// Asks whether the server is there, and so waits until it has dealt with everything sent before. `false` after
    /// `tries` unanswered questions: datagrams may be dropped in a flood.
    pub fn ping(&self, tries: usize) -> bool {
        (0..tries).any(|_| {
            let call_id = unique("ping");
            self.send(options(self.address, self.server, &call_id));
            let deadline = Instant::now() + Duration::from_secs(2);
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.receive(left) {
                    Some(datagram) if String::from_utf8_lossy(&datagram).contains(&call_id) => return true,
                    _ if left.is_zero() => return false,
                    _ => {}
                }
            }
        })
    }

    /// ACKs the 200 of an INVITE, and hangs up.
    pub fn acknowledge_and_leave(&self, ok: &Response) {
        self.send(in_dialog(ok, self.address, "ACK", 0));
        let bye = in_dialog(ok, self.address, "BYE", 1);
        self.send(&bye);
        self.wait_for_answer(&header(ok, &HeaderName::CallId), |status| status == 200);
    }
}

/// A TCP connection to the server's SIP port, from this address.
pub fn connect(source: &str, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    let source = SocketAddr::new(source.parse::<IpAddr>().unwrap(), 0);
    socket.bind(&SockAddr::from(source)).unwrap();
    socket.connect_timeout(&SockAddr::from(server), SOON).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    TcpStream::from(socket)
}

/// What a connection brings until it is closed, and how long that takes; at most `within`.
pub fn read_until_closed(stream: &mut TcpStream, within: Duration) -> (Vec<u8>, Option<Duration>) {
    let began = Instant::now();
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = within.saturating_sub(began.elapsed());
        if left.is_zero() {
            return (all, None);
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return (all, Some(began.elapsed())),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Closed while something of ours was unread.
            Err(_) => return (all, Some(began.elapsed())),
        }
    }
}

/// Sends over a connection that the server may close meanwhile.
pub fn write_some(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

/// A text that is in no other message.
pub fn unique(name: &str) -> String {
    format!("{name}-{:016x}", rand::random::<u64>())
}

pub fn options(from: SocketAddr, to: SocketAddr, call_id: &str) -> String {
    request("OPTIONS", "UDP", from, to, call_id, "")
}

/// An INVITE that offers PCMU and telephone-event at `rtp`.
pub fn invite(from: SocketAddr, to: SocketAddr, call_id: &str, rtp: SocketAddr) -> String {
    request("INVITE", "UDP", from, to, call_id, &offer(rtp))
}

pub fn offer(rtp: SocketAddr) -> String {
    let (address, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}

pub fn request(method: &str, transport: &str, from: SocketAddr, to: SocketAddr, call_id: &str, body: &str) -> String {
    let content_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:8000@{to} SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bK{call_id};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:tester@{from}>;tag=t{call_id}\r\nTo: <sip:8000@{to}>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:tester@{from}>\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request in the dialog that `ok` made, as far as the server needs it.
pub fn in_dialog(ok: &Response, from: SocketAddr, method: &str, sequence_after: u32) -> String {
    let text = |name| header(ok, &name);
    let sequence = ok.headers.cseq().unwrap().number + sequence_after;
    format!(
        "{method} sip:8000@anteroom SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {sequence} {method}\r\nContent-Length: 0\r\n\r\n",
        unique(method),
        text(HeaderName::From),
        text(HeaderName::To),
        text(HeaderName::CallId)
    )
}

/// 200 to a request of the server's.
pub fn ok_to(request: &[u8]) -> Option<String> {
    let Ok(Message::Request(request)) = Message::parse(&Bytes::copy_from_slice(request)) else { return None };
    Some(String::from_utf8(Response::answering(&request.headers, 200, None).write().to_vec()).unwrap())
}

pub fn response(datagram: &[u8]) -> Option<Response> {
    match Message::parse(&Bytes::copy_from_slice(datagram)) {
        Ok(Message::Response(response)) => Some(response),
        _ => None,
    }
}

/// The status of an answer, which may be as malformed as what it answers.
pub fn status(datagram: &[u8]) -> Option<u16> {
    let line = datagram.strip_prefix(b"SIP/2.0 ")?;
    std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
}

pub fn header(response: &Response, name: &HeaderName) -> String {
    String::from_utf8_lossy(response.headers.get(name).map_or(&b""[..], |value| value)).into_owned()
}

/// A whole call: the server answers it, sends voice, and lets it go again.
pub fn assert_takes_a_call(server: &Server, source: &str) {
    let caller = super::caller::Caller::call(server.sip, source);
    caller.wait_established();
    caller.wait_heard(10);
    caller.hang_up();
    caller.wait_ended(SOON);
}

/// Every call is gone, and its sockets with it.
pub fn assert_holds_no_call(server: &Server) {
    // The figures are brought up to date some times a second: the second change from now on is of now.
    for _ in 0..2 {
        let ticks = server.metric("anteroom_media_ticks_total");
        let deadline = Instant::now() + SOON;
        while server.metric("anteroom_media_ticks_total") == ticks {
            assert!(Instant::now() < deadline, "the figures stand still");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    server.wait_for_metric("anteroom_media_legs", 0.0, SOON);
}

/// Whatever panics in this server says so on standard error, which is the log.
pub fn assert_never_panicked(server: &mut Server) {
    assert!(server.is_alive());
    assert!(!server.log_text().contains("panicked"));
}
