//! SIP over TCP: a listener, and one task a connection that frames what comes and writes what goes.
//!
//! ```text
//!   peer ── bytes ──▶ SipCodec ── whole messages ──▶ engine
//!   peer ◀─ bytes ─── bounded queue ◀── Transmit ─── engine
//! ```
//! A peer that sends half a message, or one byte a second, is closed at a deadline; one that doesn't read is closed when
//! its queue is full.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Decoder;

use super::sip_stream::{SipCodec, StreamItem};
use super::sip_transport::{Drops, SipInput, canonical, has_room_for};
use crate::sip::{Flow, Transport};
use crate::words::limits;

/// Messages that wait for a peer that reads slowly.
const QUEUED_MESSAGES: usize = 64;

/// A write that does not end by then ends the connection.
const WRITE: Duration = Duration::from_secs(10);

/// A connection on which nothing came for so long is closed. Session timers refresh calls at 15 minutes, and trunks that
/// keep a connection open send keep-alives far more often (RFC 5626 section 4.4.1).
const IDLE: Duration = Duration::from_secs(45 * 60);

/// A large message that the engine has no room for now is offered to it again after this.
const ENGINE_BEHIND: Duration = Duration::from_millis(10);

/// After the last that can be read: for the answers to what was read before.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// The open connections by number.
pub struct Connections {
    open: Mutex<Open>,
    next: AtomicU64,
    drops: Arc<Drops>,
}

#[derive(Default)]
struct Open {
    queues: HashMap<u64, mpsc::Sender<Bytes>>,
    per_address: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(drops: Arc<Drops>) -> Connections {
        Connections { open: Mutex::default(), next: AtomicU64::new(1), drops }
    }

    /// Queues a message. `false` where the connection is gone or its peer does not read.
    pub(super) fn send(&self, connection: u64, bytes: Bytes) -> bool {
        let mut open = self.lock();
        let Some(queue) = open.queues.get(&connection) else { return false };
        let taken = queue.try_send(bytes).is_ok();
        if !taken {
            // Without its queue the connection's writer ends, and with it the connection.
            open.queues.remove(&connection);
        }
        taken
    }

    /// Takes a place for a new connection, or `None` where a limit is reached.
    fn enter(&self, address: IpAddr) -> Option<(u64, mpsc::Receiver<Bytes>)> {
        let mut open = self.lock();
        let total: usize = open.per_address.values().sum();
        let from_there = open.per_address.get(&address).copied().unwrap_or(0);
        if total >= limits::TCP_CONNECTIONS || from_there >= limits::TCP_CONNECTIONS_PER_ADDRESS {
            self.drops.connections.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        let (queue, queued) = mpsc::channel(QUEUED_MESSAGES);
        open.queues.insert(connection, queue);
        *open.per_address.entry(address).or_default() += 1;
        Some((connection, queued))
    }

    fn leave(&self, connection: u64, address: IpAddr) {
        let mut open = self.lock();
        open.queues.remove(&connection);
        if let Some(count) = open.per_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.per_address.remove(&address);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Accepts until the server ends. Its connections end with it.
pub(super) async fn accept(listener: TcpListener, connections: Arc<Connections>, inputs: mpsc::Sender<SipInput>) {
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: wait for some to come back instead of spinning.
                tracing::warn!(%error, "a SIP TCP connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let remote = canonical(remote);
        let Some((connection, queued)) = connections.enter(remote.ip()) else { continue };
        let (connections, inputs) = (connections.clone(), inputs.clone());
        tasks.spawn(async move {
            serve(stream, remote, connection, queued, &inputs).await;
            connections.leave(connection, remote.ip());
            let _ = inputs.send(SipInput::ConnectionLost { connection }).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    connection: u64,
    queued: mpsc::Receiver<Bytes>,
    inputs: &mpsc::Sender<SipInput>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let flow = Flow { transport: Transport::Tcp, local: canonical(local), remote, connection };
    let (reader, writer) = stream.into_split();
    // A keep-alive ping is answered on the same connection, in turn with the messages.
    let (pongs, pong_requests) = mpsc::channel(1);
    let read = async {
        let has_spoken = read(reader, flow, inputs, pongs).await;
        if has_spoken {
            // What came whole before the end still gets its answer.
            tokio::time::sleep(LAST_ANSWERS).await;
        }
    };
    tokio::select! {
        () = read => {}
        () = write(writer, queued, pong_requests) => {}
    }
}

/// Until the peer ends, or is to be ended. Whether a message came from it.
async fn read(mut reader: OwnedReadHalf, flow: Flow, inputs: &mpsc::Sender<SipInput>, pongs: mpsc::Sender<()>) -> bool {
    let mut codec = SipCodec::default();
    let mut buffer = BytesMut::new();
    let mut deadline = Instant::now() + limits::TCP_FIRST_MESSAGE;
    let mut has_spoken = false;
    loop {
        match codec.decode(&mut buffer) {
            Ok(Some(StreamItem::Message(bytes))) => {
                has_spoken = true;
                deadline = Instant::now() + IDLE;
                while !has_room_for(inputs, bytes.len()) {
                    tokio::time::sleep(ENGINE_BEHIND).await;
                }
                if inputs.send(SipInput::Message { flow, bytes }).await.is_err() {
                    return has_spoken;
                }
                continue;
            }
            Ok(Some(StreamItem::KeepAlivePing)) => {
                // A sign of life, from a peer that has shown that it speaks SIP; line breaks alone show nothing.
                if has_spoken {
                    deadline = Instant::now() + IDLE;
                }
                let _ = pongs.try_send(());
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::info!(remote = %flow.remote, %error, "SIP TCP connection closed: its stream can't be framed");
                return has_spoken;
            }
        }
        // Not for a line break, which is half a ping, or what some peers send instead of one.
        if codec.is_inside_message() {
            deadline = deadline.min(Instant::now() + limits::TCP_MESSAGE_COMPLETE);
        }
        match timeout_at(deadline, reader.read_buf(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => return has_spoken,
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut queued: mpsc::Receiver<Bytes>, mut pongs: mpsc::Receiver<()>) {
    loop {
        let bytes = tokio::select! {
            message = queued.recv() => match message {
                Some(bytes) => bytes,
                None => return,
            },
            // RFC 5626 section 4.4.1: a double CRLF is answered by a single one.
            Some(()) = pongs.recv() => Bytes::from_static(b"\r\n"),
        };
        match timeout(WRITE, writer.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}
