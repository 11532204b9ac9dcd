//! SIP over TCP: a listener, and one task a connection that frames what comes and writes what goes.
//!
//! ```text
//!   peer ── bytes ──▶ SipCodec ── whole messages ──▶ engine
//!   peer ◀─ bytes ─── bounded queue ◀── Transmit ─── engine
//! ```
//! A peer that sends half a message, or one byte a second, is closed at a deadline; one that doesn't read is closed when
//! its queue is full.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Decoder;

use super::sip_connections::Connections;
use super::sip_inputs::{Offered, SipSender};
use super::sip_sources::Standing;
use super::sip_stream::{SipCodec, StreamItem};
use super::sip_transport::canonical;
use crate::sip::Flow;
use crate::words::limits;

/// A write that does not end by then ends the connection.
const WRITE: Duration = Duration::from_secs(10);

/// A connection on which nothing came for so long is closed. Session timers refresh calls at 15 minutes, and trunks that
/// keep a connection open send keep-alives far more often (RFC 5626 section 4.4.1).
const IDLE: Duration = Duration::from_secs(45 * 60);

/// A message for which there is no room now is offered again after this.
const WAITS: Duration = Duration::from_millis(10);

/// After the last that can be read: for the answers to what was read before.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Accepts until the server ends. Its connections end with it.
pub(super) async fn accept(listener: TcpListener, connections: Arc<Connections>, inputs: SipSender) {
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
        let standing = inputs.standing(remote);
        let Some((connection, queued)) = connections.enter(remote.ip(), standing) else { continue };
        let (connections, inputs) = (connections.clone(), inputs.clone());
        tasks.spawn(async move {
            let peer = Peer { remote, standing, connection, inputs: &inputs, connections: &connections };
            peer.serve(stream, queued).await;
            connections.leave(connection);
            inputs.connection_lost(connection).await;
        });
    }
}

/// One connection, and where its messages go.
struct Peer<'a> {
    remote: SocketAddr,
    standing: Standing,
    connection: u64,
    inputs: &'a SipSender,
    connections: &'a Connections,
}

impl Peer<'_> {
    async fn serve(&self, stream: TcpStream, queued: mpsc::Receiver<Bytes>) {
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let flow = Flow::tcp(canonical(local), self.remote, self.connection);
        let (reader, writer) = stream.into_split();
        // A keep-alive ping is answered on the same connection, in turn with the messages.
        let (pongs, pong_requests) = mpsc::channel(1);
        let read = async {
            let has_spoken = self.read(reader, flow, pongs).await;
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
    async fn read(&self, mut reader: OwnedReadHalf, flow: Flow, pongs: mpsc::Sender<()>) -> bool {
        let mut codec = SipCodec::default();
        let mut buffer = BytesMut::new();
        let mut deadline = Instant::now() + limits::TCP_FIRST_MESSAGE;
        let mut has_spoken = false;
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(StreamItem::Message(bytes))) => {
                    has_spoken = true;
                    deadline = Instant::now() + IDLE;
                    self.connections.heard(self.connection);
                    if !self.bring(flow, bytes).await {
                        return has_spoken;
                    }
                    continue;
                }
                Ok(Some(StreamItem::KeepAlivePing)) => {
                    // A sign of life, from a peer that has shown that it speaks SIP; line breaks alone show nothing.
                    if has_spoken {
                        deadline = Instant::now() + IDLE;
                        self.connections.heard(self.connection);
                    }
                    let _ = pongs.try_send(());
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(remote = %self.remote, %error, "SIP TCP connection closed: its stream can't be framed");
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

    /// Brings a message to the engine. A trunk that sends too much waits, and stops sending when its window is full: over
    /// TCP nothing is repeated. A stranger is closed. `false`: the connection is to end.
    async fn bring(&self, flow: Flow, bytes: Bytes) -> bool {
        if self.standing == Standing::Stranger {
            let Some(standing) = self.inputs.judge(self.remote, &bytes) else { return false };
            return self.inputs.offer_datagram(standing, flow, &bytes) == Offered::Taken;
        }
        while !self.inputs.may_pass(self.remote, &bytes) {
            tokio::time::sleep(WAITS).await;
        }
        loop {
            match self.inputs.offer(self.standing, flow, bytes.clone()) {
                Offered::Taken => return true,
                Offered::Behind => tokio::time::sleep(WAITS).await,
                Offered::Closed => return false,
            }
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
