//! Connections: each has its task, and there are only so many. Whoever connects and says nothing, or says it too slowly,
//! is let go.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::peer::Peer;

/// Connections at once. Each takes a file and some 30 KiB; a browser opens up to six. More wait in the system's own queue.
const CONNECTIONS: usize = 512;

/// For a TLS handshake, and from the begin of a connection, or the end of an answer, to the end of the next request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of a request's head, and of a buffer.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long answers that are under way may take when the server ends.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// A failed `accept` (no more files): some time for others to end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The HTTP port can't be had.
#[derive(Debug, thiserror::Error)]
#[error("http.listen: {address} can't be bound: {source} (choose another with --set http.listen=ADDRESS:PORT)")]
pub struct HttpBindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Binds the port; with port 0 the listener tells which one it got.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpBindError> {
    TcpListener::bind(address).await.map_err(|source| HttpBindError { address, source })
}

/// Serves until `ended` is ready.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, pages: Router, ended: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (lives, ends) = watch::channel(());
    let mut ended = std::pin::pin!(ended);
    loop {
        let place = tokio::select! {
            () = &mut ended => break,
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = &mut ended => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be taken");
                sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (tls, pages, ends) = (tls.clone(), pages.clone(), ends.clone());
        tokio::spawn(async move {
            let _place = place;
            connection(stream, address, tls, pages, ends).await;
        });
    }
    drop(lives);
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    pages: Router,
    ends: watch::Receiver<()>,
) {
    // Answers are written whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, Peer::new(address, false), pages, ends).await,
        Some(tls) => match timeout(HEAD_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, Peer::new(address, true), pages, ends).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
        },
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer, pages: Router, mut ends: watch::Receiver<()>) {
    let pages = TowerToHyperService::<Router>::new(pages);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        answer(&pages, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let over = tokio::select! {
        over = &mut connection => over,
        _ = ends.changed() => {
            connection.as_mut().graceful_shutdown();
            timeout(FINISH_WITHIN, &mut connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = over {
        tracing::trace!(%error, "an HTTP connection broke");
    }
}

/// Pages can't fail: what goes wrong in them is an answer too.
fn answer(
    pages: &TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, std::convert::Infallible>> + use<> {
    pages.call(request)
}
