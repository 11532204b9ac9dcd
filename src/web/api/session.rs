//! A person's own sign-in.

use std::fmt;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::identify::session_secret;
use super::super::auth::sign_in::{self, Begun, Client};
use super::super::auth::{Principal, Role, SignedInBy};
use super::super::problem::Problem;
use super::describe::Refusals;
use super::extract::Json;
use crate::words::secret::Secret;

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(show, begin, end))
        .routes(routes!(change_password))
        .routes(routes!(first_administrator))
        .routes(routes!(set_password))
}

/// A secret in a body.
struct Typed(Secret);

impl<'de> Deserialize<'de> for Typed {
    /// An error tells what was expected, never what was there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Typed, D::Error> {
        String::deserialize(deserializer)
            .map(|text| Typed(Secret::new(text)))
            .map_err(|_| serde::de::Error::custom("write a text"))
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    who: String,
    /// `administrator`, `operator` or `user`.
    #[schema(example = "administrator")]
    role: &'static str,
    /// The user whose meetings he looks after, where there is one.
    user: Option<String>,
    /// To be sent with every change as `X-CSRF-Token`. A program with a token needs none.
    csrf: Option<String>,
}

impl SessionView {
    fn of(begun: &Begun) -> SessionView {
        SessionView {
            who: begun.account.name.clone(),
            role: begun.account.role.name(),
            user: begun.account.identity.clone(),
            csrf: Some(begun.csrf.clone()),
        }
    }
}

/// Who asks.
#[utoipa::path(get, path = "/session", tag = "session", operation_id = "show_session", responses(
    (status = 200, description = "Who is signed in", body = SessionView), Refusals))]
async fn show(State(site): State<Site>, principal: Principal) -> Result<Json<SessionView>, Problem> {
    let user = match principal.user {
        Some(key) => Some(site.store.user_by_key(key).await?.identity.to_string()),
        None => None,
    };
    let csrf = match principal.by {
        SignedInBy::Session { csrf } => Some(csrf),
        SignedInBy::Token => None,
    };
    Ok(Json(SessionView { who: principal.who, role: Role::name(principal.role), user, csrf }))
}

/// A name and its password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    #[schema(example = "anna")]
    name: String,
    #[schema(value_type = String, format = Password)]
    password: Typed,
}

/// Signs a person in. The session is in the cookie; programs use a token instead.
#[utoipa::path(post, path = "/session", tag = "session", operation_id = "sign_in", security(()),
    request_body = SignInBody,
    responses((status = 200, description = "Signed in", body = SessionView), Refusals))]
async fn begin(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Json(body): Json<SignInBody>,
) -> Result<(CookieJar, Json<SessionView>), Problem> {
    let begun = sign_in::sign_in(&site, client, &body.name, &body.password.0).await?;
    if let Some(before) = session_secret(client, &headers) {
        sign_in::sign_out(&site, &before).await?;
    }
    Ok(answer(begun))
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "session", operation_id = "sign_out", responses(
    (status = 204, description = "Signed out"), Refusals))]
async fn end(
    State(site): State<Site>,
    _: Principal,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<(StatusCode, CookieJar), Problem> {
    if let Some(secret) = session_secret(client, &headers) {
        sign_in::sign_out(&site, &secret).await?;
    }
    Ok((StatusCode::NO_CONTENT, CookieJar::new().add(client.no_cookie())))
}

/// The old password and the new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    #[schema(value_type = String, format = Password)]
    old: Typed,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 200)]
    new: Typed,
}

/// Chooses another password. Every other session of this sign-in ends.
#[utoipa::path(put, path = "/session/password", tag = "session", operation_id = "change_password",
    request_body = PasswordBody,
    responses((status = 200, description = "Changed; a new session has begun", body = SessionView), Refusals))]
async fn change_password(
    State(site): State<Site>,
    principal: Principal,
    Extension(client): Extension<Client>,
    Json(body): Json<PasswordBody>,
) -> Result<(CookieJar, Json<SessionView>), Problem> {
    if principal.by == SignedInBy::Token {
        return Err(Problem::new(StatusCode::FORBIDDEN, "not-allowed", "a token has no password"));
    }
    let begun = sign_in::change_password(&site, client, &principal.who, &body.old.0, &body.new.0).await?;
    Ok(answer(begun))
}

/// The link of the first start, and who the administrator is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstBody {
    /// What stands behind the `#` of the address that the server printed.
    #[schema(value_type = String, format = Password)]
    link: Typed,
    #[schema(example = "anna")]
    name: String,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 200)]
    password: Typed,
}

/// Makes the first administrator, once.
#[utoipa::path(post, path = "/first-administrator", tag = "session", operation_id = "first_administrator", security(()),
    request_body = FirstBody,
    responses((status = 200, description = "Made, and signed in", body = SessionView), Refusals))]
async fn first_administrator(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    Json(body): Json<FirstBody>,
) -> Result<(CookieJar, Json<SessionView>), Problem> {
    let begun = sign_in::first_administrator(&site, client, &body.link.0, &body.name, &body.password.0).await?;
    Ok(answer(begun))
}

/// A link to choose a password, and the password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetPasswordBody {
    #[schema(value_type = String, format = Password)]
    link: Typed,
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 200)]
    password: Typed,
}

/// Chooses a password by a link that an administrator has given out.
#[utoipa::path(post, path = "/set-password", tag = "session", operation_id = "set_password", security(()),
    request_body = SetPasswordBody,
    responses((status = 200, description = "Set, and signed in", body = SessionView), Refusals))]
async fn set_password(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    Json(body): Json<SetPasswordBody>,
) -> Result<(CookieJar, Json<SessionView>), Problem> {
    Ok(answer(sign_in::set_password_by_link(&site, client, &body.link.0, &body.password.0).await?))
}

fn answer(begun: Begun) -> (CookieJar, Json<SessionView>) {
    let view = SessionView::of(&begun);
    (CookieJar::new().add(begun.cookie), Json(view))
}
