//! `/api/v1`: the operations of [`crate::admin`] as JSON over HTTP.
//!
//! | file | its idea |
//! | --- | --- |
//! | [`extract`] | what a request brings, refused with a problem where it is not what it should be |
//! | [`describe`] | what all operations have in common in the description: pages, problems, sign-in |
//! | [`session`], [`accounts`] | one's own sign-in; those of others, and programs |
//! | [`users`], [`bulk`], [`numbers`], [`meetings`], [`live`], [`organization`], [`mail_texts`], [`watch`] | the operations |
//!
//! The description (OpenAPI 3.1) at `/api/openapi.json` is made from the routes themselves, see [`routes`].

pub mod accounts;
pub mod bulk;
pub mod describe;
pub mod extract;
pub mod live;
pub mod mail_texts;
pub mod meetings;
pub mod numbers;
pub mod organization;
pub mod session;
pub mod users;
pub mod watch;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Site;
use super::auth::Principal;

/// Everything below `/api`.
pub fn router() -> Router<Site> {
    let (routes, _) = routes().split_for_parts();
    routes.route("/api/openapi.json", get(description))
}

/// Every route with its description, from one place.
fn routes() -> OpenApiRouter<Site> {
    let v1 = OpenApiRouter::new()
        .merge(session::routes())
        .merge(users::routes())
        .merge(bulk::routes())
        .merge(numbers::routes())
        .merge(meetings::routes())
        .merge(live::routes())
        .merge(organization::routes())
        .merge(mail_texts::routes())
        .merge(watch::routes())
        .merge(accounts::routes());
    OpenApiRouter::with_openapi(describe::Description::openapi()).nest("/api/v1", v1)
}

/// The description does not change while the process lives.
static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| {
    let description = routes().into_openapi();
    // Plain structs with text keys: they always become JSON.
    description.to_json().unwrap_or_default().into()
});

async fn description(_: Principal) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.clone())
}
