//! The pages before the sign-in, and the way out: signing in, the first administrator, choosing a password by a link.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

use super::flash::sentence;
use super::form::{Form, Nothing, unreadable};
use super::trouble::Trouble;
use super::{Console, page};
use crate::credentials::accounts::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};
use crate::web::auth::Principal;
use crate::web::auth::identify::session_secret;
use crate::web::auth::sign_in::{self, Begun, Client};
use crate::web::problem::Problem;
use crate::words::secret::Secret;

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/sign-in", get(ask).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/first-administrator", get(ask_first).post(first))
        .route("/set-password", get(ask_password).post(set_password))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    name: String,
    refused: Option<String>,
    nobody_yet: bool,
}

async fn ask(State(console): State<Console>, principal: Option<Extension<Principal>>) -> Result<Response, Trouble> {
    if principal.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    ask_page(&console, String::new(), None).await
}

async fn ask_page(console: &Console, name: String, refused: Option<&Problem>) -> Result<Response, Trouble> {
    let nobody_yet = !console.site.store.has_accounts().await?;
    let status = refused.map_or(StatusCode::OK, Problem::status);
    let refused = refused.map(|problem| sentence(problem.detail()));
    Ok((status, page(&SignInPage { name, refused, nobody_yet })?).into_response())
}

/// A form of somebody who has no sign-in yet, and so no token: where it came from was looked at before.
type Typed<T> = Result<axum::Form<T>, axum::extract::rejection::FormRejection>;

fn typed<T>(form: Typed<T>) -> Result<T, Trouble> {
    form.map(|axum::Form(typed)| typed).map_err(|rejection| unreadable(rejection.status()))
}

#[derive(Deserialize)]
struct NamePassword {
    name: String,
    password: String,
}

async fn sign_in(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    form: Typed<NamePassword>,
) -> Result<Response, Trouble> {
    let NamePassword { name, password } = typed(form)?;
    let begun = sign_in::sign_in(&console.site, client, &name, &Secret::new(password)).await;
    match begun {
        Ok(begun) => {
            if let Some(before) = session_secret(client, &headers) {
                sign_in::sign_out(&console.site, &before).await?;
            }
            Ok(entered(begun))
        }
        Err(problem) => ask_page(&console, name, Some(&problem)).await,
    }
}

fn entered(begun: Begun) -> Response {
    (CookieJar::new().add(begun.cookie), Redirect::to("/")).into_response()
}

async fn sign_out(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    if let Some(secret) = session_secret(client, &headers) {
        sign_in::sign_out(&console.site, &secret).await?;
    }
    Ok((CookieJar::new().add(client.no_cookie()), Redirect::to("/sign-in")).into_response())
}

#[derive(Template)]
#[template(path = "set_password.html")]
struct SetPasswordPage {
    first: bool,
    action: &'static str,
    name: String,
    refused: Option<String>,
    password_chars_min: usize,
    password_chars_max: usize,
}

const FIRST: &str = "/first-administrator";
const SET_PASSWORD: &str = "/set-password";

fn password_page(action: &'static str, name: String, refused: Option<&Problem>) -> Result<Response, Trouble> {
    let status = refused.map_or(StatusCode::OK, Problem::status);
    let refused = refused.map(|problem| sentence(problem.detail()));
    let template = SetPasswordPage {
        first: action == FIRST,
        action,
        name,
        refused,
        password_chars_min: PASSWORD_CHARS_MIN,
        password_chars_max: PASSWORD_CHARS_MAX,
    };
    Ok((status, page(&template)?).into_response())
}

async fn ask_first() -> Result<Response, Trouble> {
    password_page(FIRST, String::new(), None)
}

async fn ask_password() -> Result<Response, Trouble> {
    password_page(SET_PASSWORD, String::new(), None)
}

#[derive(Deserialize)]
struct LinkPassword {
    link: String,
    #[serde(default)]
    name: String,
    password: String,
    again: String,
}

/// # Errors
/// He typed two different ones.
fn twice_the_same(typed: &LinkPassword) -> Result<Secret, Problem> {
    let (password, again) = (Secret::new(&*typed.password), Secret::new(&*typed.again));
    if password == again { Ok(password) } else { Err(Problem::invalid("the two passwords are not the same")) }
}

async fn first(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    form: Typed<LinkPassword>,
) -> Result<Response, Trouble> {
    let typed = typed(form)?;
    let link = Secret::new(typed.link.trim());
    let begun = match twice_the_same(&typed) {
        Ok(password) => sign_in::first_administrator(&console.site, client, &link, &typed.name, &password).await,
        Err(problem) => Err(problem),
    };
    match begun {
        Ok(begun) => Ok(entered(begun)),
        Err(problem) => password_page(FIRST, typed.name, Some(&problem)),
    }
}

async fn set_password(
    State(console): State<Console>,
    Extension(client): Extension<Client>,
    form: Typed<LinkPassword>,
) -> Result<Response, Trouble> {
    let typed = typed(form)?;
    let link = Secret::new(typed.link.trim());
    let begun = match twice_the_same(&typed) {
        Ok(password) => sign_in::set_password_by_link(&console.site, client, &link, &password).await,
        Err(problem) => Err(problem),
    };
    match begun {
        Ok(begun) => Ok(entered(begun)),
        Err(problem) => password_page(SET_PASSWORD, typed.name, Some(&problem)),
    }
}
