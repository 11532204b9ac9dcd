//! Layer 4: everything over HTTP. One port serves the console, the API, `/healthz` and `/metrics`.
//!
//! ```text
//!  connection ─▶ listener ─▶ [TLS] ─▶ secure headers, time-out, body limit, panic catch
//!                                            │
//!                  /healthz  /metrics ◀──────┤  (no sign-in; /metrics by setting)
//!                                            ▼
//!                                     auth::identify      cookie or bearer token ─▶ Principal; CSRF
//!                                            │
//!                        /api/v1/… ◀─────────┴─────────▶ console pages
//!                             │                                │
//!                             └──▶ admin::Administrator ◀──────┘     the same operations for both
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`listener`] | connections: how many, how long they may take, TLS, a graceful end |
//! | [`tls`] | certificate and key, as files |
//! | [`peer`] | who is at the other end, also behind a proxy |
//! | [`headers`] | what every answer tells the browser to refuse |
//! | [`auth`] | who signs in, how, and what he may do |
//! | [`problem`] | an error as RFC 9457 has it, and which status belongs to which |
//! | [`api`] | `/api/v1` and its description |
//! | [`console`] | the pages for people |
//!
//! Nothing is served without sign-in but `/healthz`, `/metrics` where it is wanted, and the page to sign in. A secret is
//! never in a URL, for URLs are written down everywhere.

pub mod api;
pub mod auth;
pub mod console;
pub mod headers;
pub mod listener;
pub mod peer;
pub mod problem;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::config::MailConfig;
use crate::credentials::Store;
use crate::server::live::Live;
use crate::sip::Network;
use api::bulk::BULKS_AT_ONCE;
use auth::sign_in::SIGN_INS_AT_ONCE;
use auth::tries::SignInTries;
use console::trouble::Trouble;
use problem::Problem;

/// The largest body of a request, unless a route says otherwise: no form and no JSON of ours comes near it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// From the head of a request to the head of its answer. The slowest operations hash a few times.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Listeners to live events at once: a few for each person who looks on.
const STREAMS: usize = 128;

/// What routes work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Site {
    pub store: Arc<Store>,
    pub live: Live,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: `http.trusted_proxies`.
    pub trusted_proxies: Arc<[Network]>,
    /// By which this server sends mails.
    pub mail: Arc<MailConfig>,
    /// Places for listeners to live events.
    streams: Arc<Semaphore>,
    /// How often who has tried a password.
    tries: Arc<SignInTries>,
    /// Places for passwords that are checked.
    sign_ins: Arc<Semaphore>,
    /// Places for lists of users that are worked through.
    bulks: Arc<Semaphore>,
}

impl Site {
    pub fn new(store: Arc<Store>, live: Live, trusted_proxies: &[Network]) -> Site {
        Site {
            store,
            live,
            trusted_proxies: trusted_proxies.into(),
            mail: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            tries: Arc::default(),
            sign_ins: Arc::new(Semaphore::new(SIGN_INS_AT_ONCE)),
            bulks: Arc::new(Semaphore::new(BULKS_AT_ONCE)),
        }
    }

    #[must_use]
    pub fn with_mail(self, mail: &MailConfig) -> Site {
        Site { mail: Arc::new(mail.clone()), ..self }
    }
}

/// The whole site: API and console behind sign-in.
pub fn router(site: Site) -> Router {
    Router::new()
        .merge(api::router())
        .merge(console::router(site.clone()))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(site.clone(), auth::identify))
        .with_state(site)
}

/// What every page has, whoever asks for it: to be laid around all of them.
pub fn guarded(pages: Router, trusted_proxies: Arc<[Network]>) -> Router {
    pages
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_WITHIN))
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(middleware::from_fn_with_state(trusted_proxies, headers::secure))
}

/// For a program a problem, for a person a page.
async fn nothing_here(address: Uri) -> Response {
    if address.path().starts_with("/api/") {
        let detail = "there is nothing at this address";
        Problem::new(StatusCode::NOT_FOUND, "nothing-here", detail).into_response()
    } else {
        Trouble::nothing_here().into_response()
    }
}

async fn not_that_way(address: Uri) -> Response {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this address does not take this method");
    if address.path().starts_with("/api/") { problem.into_response() } else { Trouble::from(problem).into_response() }
}
