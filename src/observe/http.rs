//! `/healthz` for whoever watches the process, `/metrics` for Prometheus.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::measures::{Measures, ShellCounts};

/// How the server is, from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// New calls are refused; what goes on goes on.
    Draining,
    /// A media thread or the engine does not answer.
    Stuck,
}

/// What the pages read.
pub trait Status: Send + Sync + 'static {
    fn health(&self) -> Health;
    fn counts(&self) -> ShellCounts;
}

struct Pages<S> {
    status: Arc<S>,
    measures: Arc<Measures>,
}

impl<S> Clone for Pages<S> {
    fn clone(&self) -> Self {
        Pages { status: self.status.clone(), measures: self.measures.clone() }
    }
}

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

/// Serves until `ended` is ready; `/metrics` only where it is wanted.
pub async fn serve<S: Status>(
    listener: TcpListener,
    status: Arc<S>,
    measures: Arc<Measures>,
    show_metrics: bool,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    let mut pages = Router::new().route("/healthz", get(healthz::<S>));
    if show_metrics {
        pages = pages.route("/metrics", get(metrics_page::<S>));
    }
    let pages = pages.with_state(Pages { status, measures });
    if let Err(error) = axum::serve(listener, pages).with_graceful_shutdown(ended).await {
        tracing::error!(%error, "the HTTP server ended");
    }
}

async fn healthz<S: Status>(State(pages): State<Pages<S>>) -> impl IntoResponse {
    match pages.status.health() {
        Health::Ready => (StatusCode::OK, "ok\n"),
        Health::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining: new calls are refused\n"),
        Health::Stuck => (StatusCode::SERVICE_UNAVAILABLE, "stuck: the engine does not answer\n"),
    }
}

async fn metrics_page<S: Status>(State(pages): State<Pages<S>>) -> impl IntoResponse {
    let text = pages.measures.render(&pages.status.counts());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
