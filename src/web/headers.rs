//! What every answer tells the browser to refuse: scripts and styles that are not ours, being framed, being guessed at,
//! telling others where it came from, and keeping what it was shown.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::peer::Peer;
use crate::sip::Network;

/// Everything comes from here, and nothing stands in the page itself: a text that slips through unescaped runs nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Once seen over TLS, never without it again, for a year (RFC 6797).
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Lays the headers around every answer. What a route has said about keeping its answer (assets may be kept) holds;
/// everything else is kept nowhere.
pub async fn secure(State(trusted_proxies): State<Arc<[Network]>>, request: Request, next: Next) -> Response {
    let secure = Peer::of(request.extensions()).is_secure(request.headers(), &trusted_proxies);
    let mut response = next.run(request).await;
    lay(response.headers_mut(), secure);
    response
}

fn lay(headers: &mut HeaderMap, secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT_SECURITY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_nowhere_unless_its_route_says_so() {
        let mut headers = HeaderMap::new();
        lay(&mut headers, false);
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("strict-transport-security"), "not without TLS");
        assert!(!headers["content-security-policy"].to_str().unwrap().contains("unsafe"));

        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        lay(&mut headers, true);
        assert_eq!(headers["cache-control"], "max-age=60");
        assert!(headers.contains_key("strict-transport-security"));
    }
}
