//! From what a request brings to who asks.
//!
//! A browser sends the cookie of its session with every request, also with one that another site's page has made it send.
//! Three things keep such a page out: the cookie is SameSite=Strict; a browser says where a request comes from
//! (Sec-Fetch-Site), and another site's change is refused; and every change brings back the session's own token, which
//! only our pages know. In the API that is a header, checked here; in the console's forms a field, checked by the form.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use subtle::ConstantTimeEq;

use super::super::Site;
use super::super::problem::Problem;
use super::sign_in::Client;
use super::{Principal, SignedInBy};
use crate::words::secret::Secret;

/// What brings a session's token back to the API.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Puts the [`Principal`] into the request, where it brings one that holds.
pub async fn identify(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = Client::of(&site, &parts.extensions, &parts.headers);
    match principal(&site, client, &parts.method, parts.uri.path(), &parts.headers).await {
        Ok(Some(principal)) => {
            parts.extensions.insert(principal);
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    parts.extensions.insert(client);
    next.run(Request::from_parts(parts, body)).await
}

/// Who he is now who began to read with these headers. `None`: he has signed out, or may not any more.
///
/// # Errors
/// His token holds no more; or the store is away.
pub async fn who_reads(site: &Site, client: Client, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
    principal(site, client, &Method::GET, "", headers).await
}

async fn principal(
    site: &Site,
    client: Client,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<Principal>, Problem> {
    let from = client.address.to_string();
    // A program's token is sent on purpose: no page makes a browser send it.
    if let Some(token) = bearer(headers) {
        let token = site.store.token(&token).await?.ok_or_else(Problem::not_signed_in)?;
        let who = format!("token {}", token.label);
        return Ok(Some(Principal { who, role: token.role, user: token.user, by: SignedInBy::Token, from }));
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_our_page(headers) {
        return Err(refused("this came from another site's page: nothing was done"));
    }
    let Some(secret) = session_secret(client, headers) else { return Ok(None) };
    let Some(session) = site.store.session(&secret).await? else { return Ok(None) };
    if changes && path.starts_with("/api/") {
        let given = headers.get(&CSRF_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
        if !bool::from(given.ct_eq(session.csrf.as_bytes())) {
            return Err(refused("a change by a session needs its token in the header X-CSRF-Token"));
        }
    }
    let by = SignedInBy::Session { csrf: session.csrf };
    let account = session.account;
    Ok(Some(Principal { who: account.name, role: account.role, user: account.user, by, from }))
}

fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "csrf", why)
}

/// The session's secret, where the request brings one.
pub fn session_secret(client: Client, headers: &HeaderMap) -> Option<Secret> {
    let jar = CookieJar::from_headers(headers);
    jar.get(client.cookie_name()).map(|cookie| Secret::new(cookie.value())).filter(|secret| !secret.is_empty())
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim()))
}

/// W3C Fetch Metadata. `none`: the person himself (address bar, bookmark). Without the header it is an old browser or a
/// program, and the token decides.
fn is_our_page(headers: &HeaderMap) -> bool {
    headers.get(&FETCH_SITE).is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}
