//! `/healthz` for whoever watches the process, `/metrics` for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

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

/// The pages; `/metrics` only where it is wanted.
pub fn router<S: Status>(status: Arc<S>, measures: Arc<Measures>, show_metrics: bool) -> Router {
    let mut pages = Router::new().route("/healthz", get(healthz::<S>));
    if show_metrics {
        pages = pages.route("/metrics", get(metrics_page::<S>));
    }
    pages.with_state(Pages { status, measures })
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
