//! One caller's telephone: a SIP endpoint with a socket of its own, and two for RTP and RTCP. It takes no decisions; the
//! script does.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::caller::Ended;
use super::fixture::{Ending, Line};
use super::impairment::ImpairedPath;
use super::listener::Listener;
use super::mouth::Mouth;
use super::target::Target;
use crate::sip::{
    Command, EndReason, Endpoint, EndpointConfig, Flow, HangUpReason, LocalMedia, OutgoingInvite, SipEvent, TrunkTable,
};
use crate::wire::sip::framing::{Frame, Framing, PONG};
use crate::words::ids::SessionKey;
use crate::words::media::{Direction, NegotiatedMedia};

/// The largest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// Attempts to find two neighbouring free ports.
const PORT_ATTEMPTS: usize = 50;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Datagrams that are read from one socket before the others have their turn.
const BATCH: usize = 64;

/// What happened at the telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneEvent {
    Progress {
        status: u16,
    },
    Media(NegotiatedMedia),
    Answered,
    ReinviteAnswered {
        status: u16,
    },
    Ended(Ended),
    /// Something can't be sent.
    Trouble(String),
}

/// How SIP messages go.
enum Signalling {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, received: BytesMut, framing: Framing, unsent: BytesMut },
}

/// What the network does to a telephone's RTP, each way.
#[derive(Debug, Default)]
pub struct Network {
    pub to_server: Option<ImpairedPath>,
    pub from_server: Option<ImpairedPath>,
}

/// One telephone, calling.
pub struct Phone {
    endpoint: Endpoint,
    signalling: Signalling,
    flow: Flow,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    session: SessionKey,
    local: LocalMedia,
    remote_rtp: Option<SocketAddr>,
    pub network: Network,
    pub mouth: Mouth,
    pub listener: Listener,
    pub rtp_sent: u64,
    pub rtcp_received: u64,
    events: Vec<PhoneEvent>,
}

impl Phone {
    /// Opens the sockets and sends the INVITE.
    pub fn call(
        now: Instant,
        target: &Target,
        line: &Line,
        mouth: Mouth,
        network: Network,
        random: &mut StdRng,
    ) -> Result<Phone, String> {
        let source = line.source.unwrap_or(unspecified(target.address));
        let tcp = line.tcp || target.tcp;
        let (signalling, local) = if tcp { open_tcp(source, target.address) } else { open_udp(source, target.address) }
            .map_err(|error| format!("calling {} from {source}: {error}", target.address))?;
        let (rtp, rtcp) = open_media(local.ip()).map_err(|error| format!("no sockets for media: {error}"))?;
        let rtp_address = rtp.local_addr().map_err(|error| error.to_string())?;
        let flow = if tcp { Flow::tcp(local, target.address, 1) } else { Flow::udp(local, target.address) };
        let mut endpoint = Endpoint::new(
            EndpointConfig {
                // Nobody but the server knows the port; what it sends is answered.
                trunks: TrunkTable::open(),
                server_header: Some(concat!("Anteroom replay/", env!("CARGO_PKG_VERSION")).to_owned()),
                ..EndpointConfig::default()
            },
            StdRng::from_rng(random),
        );
        let media = LocalMedia {
            rtp: rtp_address,
            codecs: line.codecs.clone(),
            telephone_event: line.telephone_event,
            direction: Direction::SendRecv,
        };
        let from =
            if line.from.contains(':') { line.from.clone() } else { format!("sip:{}@{}", line.from, host(local)) };
        let call = OutgoingInvite {
            flow,
            target: target.uri(line.to.as_deref()),
            from,
            from_display: line.display.clone(),
            asserted_identity: line.asserted_identity.as_ref().map(|identity| with_scheme(identity)),
            media: media.clone(),
            offer: line.offer,
            headers: Vec::new(),
        };
        let session = endpoint.invite(now, call).map_err(|error| error.to_string())?;
        let mut phone = Phone {
            endpoint,
            signalling,
            flow,
            rtp,
            rtcp,
            session,
            local: media,
            remote_rtp: None,
            network,
            mouth,
            listener: Listener::new(),
            rtp_sent: 0,
            rtcp_received: 0,
            events: Vec::new(),
        };
        phone.transmit();
        Ok(phone)
    }

    /// The sockets on which something may come.
    pub fn sockets(&self) -> [BorrowedFd<'_>; 3] {
        let signalling = match &self.signalling {
            Signalling::Udp(socket) => socket.as_fd(),
            Signalling::Tcp { stream, .. } => stream.as_fd(),
        };
        [signalling, self.rtp.as_fd(), self.rtcp.as_fd()]
    }

    /// Reads what has come. `scene_now` is the scene's clock at `now`.
    pub fn receive(&mut self, now: Instant, scene_now: Duration, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.rtp.recv_from(buffer) {
                Ok((length, _)) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    match &mut self.network.from_server {
                        None => self.listener.handle_packet(scene_now, packet),
                        Some(path) => path.handle_packet(scene_now, packet.to_owned()),
                    }
                }
                Err(_) => break,
            }
        }
        self.deliver(scene_now);
        while self.rtcp.recv_from(buffer).is_ok() {
            self.rtcp_received = self.rtcp_received.saturating_add(1);
        }
        self.receive_signalling(now, buffer);
        self.transmit();
    }

    /// The next 20 ms: sends them, and does what SIP's timers want.
    pub fn tick(&mut self, now: Instant, scene_now: Duration) {
        self.mouth.tick();
        while let Some(packet) = self.mouth.poll_packet() {
            match &mut self.network.to_server {
                None => self.send_rtp(&packet),
                Some(path) => path.handle_packet(scene_now, packet),
            }
        }
        self.deliver(scene_now);
        while let Some(info) = self.mouth.poll_info() {
            let content_type = info.content_type.to_owned();
            self.command(now, Command::Info { session: self.session, content_type, body: info.body });
        }
        self.listener.handle_tick(scene_now);
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.transmit();
    }

    /// When the network has something to deliver, by the scene's clock.
    pub fn delivers_at(&self) -> Option<Duration> {
        let paths = [&self.network.to_server, &self.network.from_server];
        paths.into_iter().flatten().filter_map(ImpairedPath::poll_timeout).min()
    }

    pub fn hang_up(&mut self, now: Instant) {
        // The session may have ended in this very moment: then there is nothing to hang up.
        let command = Command::HangUp { session: self.session, reason: HangUpReason::Normal };
        let _ = self.endpoint.handle_command(now, command);
        self.transmit();
    }

    pub fn cancel(&mut self, now: Instant) {
        self.command(now, Command::Cancel { session: self.session });
    }

    pub fn reinvite(&mut self, now: Instant, direction: Direction) {
        self.local.direction = direction;
        self.command(now, Command::Reinvite { session: self.session, media: self.local.clone() });
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self, scene_now: Duration) -> Vec<PhoneEvent> {
        while let Some(event) = self.endpoint.poll_event() {
            if let Some(event) = self.translate(event, scene_now) {
                self.events.push(event);
            }
        }
        std::mem::take(&mut self.events)
    }

    /// Whether nothing is left to be sent again: the goodbye was answered.
    pub fn is_quiet(&self) -> bool {
        self.endpoint.counts().sessions == 0
    }

    /// Lets through what has come to the end of its impaired way.
    fn deliver(&mut self, scene_now: Duration) {
        while let Some(packet) = self.network.to_server.as_mut().and_then(|path| path.poll_packet(scene_now)) {
            self.send_rtp(&packet);
        }
        while let Some(packet) = self.network.from_server.as_mut().and_then(|path| path.poll_packet(scene_now)) {
            self.listener.handle_packet(scene_now, &packet);
        }
    }

    fn send_rtp(&mut self, packet: &[u8]) {
        if let Some(remote) = self.remote_rtp {
            // Lost like any datagram if the socket is full or nobody listens.
            let _ = self.rtp.send_to(packet, remote);
            self.rtp_sent = self.rtp_sent.saturating_add(1);
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        if let Err(error) = self.endpoint.handle_command(now, command) {
            self.events.push(PhoneEvent::Trouble(error.to_string()));
        }
        self.transmit();
    }

    fn translate(&mut self, event: SipEvent, scene_now: Duration) -> Option<PhoneEvent> {
        match event {
            SipEvent::Progress { status, .. } => Some(PhoneEvent::Progress { status }),
            SipEvent::MediaAgreed { media, .. } => {
                self.remote_rtp = Some(media.remote_rtp);
                self.mouth.negotiate(&media);
                self.listener.negotiate(scene_now, media.codec, media.payload_type);
                Some(PhoneEvent::Media(media))
            }
            SipEvent::Established { .. } => Some(PhoneEvent::Answered),
            SipEvent::ReinviteAnswered { status, .. } => Some(PhoneEvent::ReinviteAnswered { status }),
            SipEvent::Ended { reason, .. } => Some(PhoneEvent::Ended(ended(reason))),
            SipEvent::Incoming { .. }
            | SipEvent::InfoDigit { .. }
            | SipEvent::OptionsAnswered { .. }
            | SipEvent::Refused(_) => None,
        }
    }

    fn receive_signalling(&mut self, now: Instant, buffer: &mut [u8]) {
        let mut messages: Vec<Bytes> = Vec::new();
        let mut lost = None;
        match &mut self.signalling {
            Signalling::Udp(socket) => {
                for _ in 0..BATCH {
                    let Ok((length, source)) = socket.recv_from(buffer) else { break };
                    // Answers and requests come from the server that was called, and from nobody else.
                    if source == self.flow.remote {
                        messages.push(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()));
                    }
                }
            }
            Signalling::Tcp { stream, received, framing, unsent } => {
                match stream.read(buffer) {
                    Ok(0) => lost = Some("the server closed the connection".to_owned()),
                    Ok(length) => received.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => lost = Some(error.to_string()),
                }
                loop {
                    match framing.next(received) {
                        Ok(Frame::Message(length)) => messages.push(received.split_to(length).freeze()),
                        Ok(Frame::Skip(length)) => drop(received.split_to(length)),
                        Ok(Frame::Ping(length)) => {
                            drop(received.split_to(length));
                            unsent.extend_from_slice(PONG);
                        }
                        Ok(Frame::Incomplete) => break,
                        Err(error) => {
                            lost = Some(error.to_string());
                            break;
                        }
                    }
                }
            }
        }
        for message in messages {
            self.endpoint.handle_message(now, &self.flow, message);
        }
        if lost.is_some() {
            self.endpoint.handle_flow_lost(now, self.flow.connection);
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            match &mut self.signalling {
                Signalling::Udp(socket) => {
                    // What is lost here is sent again by the transaction.
                    let _ = socket.send_to(&transmit.bytes, transmit.flow.remote);
                }
                Signalling::Tcp { unsent, .. } => unsent.extend_from_slice(&transmit.bytes),
            }
        }
        if let Signalling::Tcp { stream, unsent, .. } = &mut self.signalling {
            while !unsent.is_empty() {
                match stream.write(unsent) {
                    Ok(length) if length > 0 => drop(unsent.split_to(length.min(unsent.len()))),
                    _ => break,
                }
            }
        }
    }
}

/// What an end means to a fixture.
fn ended(reason: EndReason) -> Ended {
    match reason {
        EndReason::RemoteBye => Ended::ByServer(Ending::Bye),
        EndReason::Refused { status, .. } => Ended::ByServer(Ending::Status(status)),
        EndReason::NoAnswer => Ended::ByServer(Ending::NoAnswer),
        EndReason::Cancelled => Ended::ByServer(Ending::Cancelled),
        EndReason::LocalBye => Ended::ByCaller,
        other => Ended::Otherwise(other.to_string()),
    }
}

fn unspecified(like: SocketAddr) -> IpAddr {
    match like {
        SocketAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn with_scheme(identity: &str) -> String {
    if identity.contains(':') { identity.to_owned() } else { format!("sip:{identity}") }
}

fn open_udp(source: IpAddr, remote: SocketAddr) -> std::io::Result<(Signalling, SocketAddr)> {
    // Connecting a socket of this kind sends nothing, but shows the address by which the server is reached.
    let probe = UdpSocket::bind((source, 0))?;
    probe.connect(remote)?;
    let socket = UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    Ok((Signalling::Udp(socket), local))
}

fn open_tcp(source: IpAddr, remote: SocketAddr) -> std::io::Result<(Signalling, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    socket.connect_timeout(&SockAddr::from(remote), CONNECT_WITHIN)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let stream = TcpStream::from(socket);
    let local = stream.local_addr()?;
    let signalling =
        Signalling::Tcp { stream, received: BytesMut::new(), framing: Framing::default(), unsent: BytesMut::new() };
    Ok((signalling, local))
}

/// RTP on an even port, RTCP on the next one (RFC 3550 section 11).
fn open_media(address: IpAddr) -> std::io::Result<(UdpSocket, UdpSocket)> {
    let mut last_error = std::io::Error::from(ErrorKind::AddrInUse);
    let mut spare = Vec::new();
    for _ in 0..PORT_ATTEMPTS {
        let rtp = UdpSocket::bind((address, 0))?;
        let port = rtp.local_addr()?.port();
        let odd = port.checked_add(1).filter(|_| port % 2 == 0);
        match odd.map(|odd| UdpSocket::bind((address, odd))) {
            Some(Ok(rtcp)) => {
                rtp.set_nonblocking(true)?;
                rtcp.set_nonblocking(true)?;
                return Ok((rtp, rtcp));
            }
            Some(Err(error)) => last_error = error,
            None => {}
        }
        // Kept meanwhile, so that the system gives another one.
        spare.push(rtp);
    }
    Err(last_error)
}

/// Room for one datagram.
pub fn receive_buffer() -> Vec<u8> {
    vec![0; DATAGRAM_BYTES]
}

/// A source of numbers that nobody can guess, for tags and Call-IDs.
pub fn system_random() -> Result<StdRng, String> {
    StdRng::try_from_rng(&mut rand::rngs::SysRng).map_err(|error| format!("no random numbers from the system: {error}"))
}
