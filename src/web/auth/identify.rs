//! From what a request brings to who asks.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::super::Site;

/// Puts the [`Principal`](super::Principal) into the request, where it brings one. There are no accounts yet, so nobody is
/// signed in.
pub async fn identify(State(_site): State<Site>, request: Request, next: Next) -> Response {
    next.run(request).await
}
