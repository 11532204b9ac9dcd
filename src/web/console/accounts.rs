//! Who may sign in, and the tokens of programs.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, http::header};
use serde::Deserialize;

use super::flash::{Flash, Shown};
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::Administrators;
use super::{Confirmation, Console, optional, page, words};
use crate::admin::{AccountLinkView, AccountView, AdminError, TokenView};
use crate::credentials::{AccountPage, ApiTokenKey, Identity, NewAccount, NewApiToken, Role, StoreError};
use crate::web::auth::sign_in::Client;
use crate::words::secret::Secret;

const PATH: &str = "/accounts";

/// Rows of a page: an organization has few who administer; more are found by the API.
const ROWS: u32 = 500;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Days after which a token ends; what is offered, and what is taken.
const DAYS_MAX: u32 = 3_650;

pub fn routes() -> Router<Console> {
    Router::new()
        .route(PATH, get(list).post(add))
        .route("/accounts/{name}/link", post(link))
        .route("/accounts/{name}/role", post(change_role))
        .route("/accounts/{name}/disable", post(disable))
        .route("/accounts/{name}/enable", post(enable))
        .route("/tokens", post(make_token))
        .route("/tokens/{key}/revoke", get(ask_revoke_token).post(revoke_token))
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    accounts: Vec<AccountView>,
    tokens: Vec<TokenView>,
}

async fn list(State(console): State<Console>, Administrators(visitor): Administrators) -> Result<Response, Trouble> {
    let administrator = visitor.administrator(&console.site);
    let accounts = administrator.accounts(&AccountPage { search: None, after: None, limit: ROWS }).await?;
    let tokens = administrator.tokens().await?;
    let frame = console.frame(&visitor, Place::Accounts, PATH).await;
    page(&AccountsPage { frame, accounts, tokens })
}

#[derive(Debug, Deserialize)]
struct NewPerson {
    name: String,
    role: String,
    #[serde(default)]
    user: String,
}

fn role(name: &str) -> Result<Role, AdminError> {
    Role::from_name(name).ok_or_else(|| StoreError::Invalid("choose a role".to_owned()).into())
}

fn user(identity: &str) -> Result<Option<Identity>, AdminError> {
    Ok(optional(identity).map(|identity| identity.parse()).transpose()?)
}

/// The link for its one showing, with the address that people use for this server.
fn shown_link(made: &AccountLinkView, client: Client, headers: &HeaderMap) -> Shown {
    let scheme = if client.secure { "https" } else { "http" };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Shown {
        title: format!("The link for {} to choose a password", made.account.name),
        secret: Secret::new(format!("{scheme}://{host}/set-password#{}", made.link.expose())),
        steps: vec![
            "This is the only time it is shown. It works once, within a day; whoever has it can sign in.".to_owned(),
        ],
    }
}

async fn add(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Form(typed): Form<NewPerson>,
) -> Result<Response, Trouble> {
    let added = async {
        let new = NewAccount { name: typed.name.clone(), role: role(&typed.role)?, user: user(&typed.user)? };
        visitor.administrator(&console.site).add_account(&new).await
    };
    Ok(console.done(&visitor, PATH, added.await, |made| {
        console.show_once(&visitor, PATH, shown_link(&made, client, &headers));
        Flash::done(format!("{} is added. With the link below the person chooses a password.", made.account.name))
    }))
}

#[derive(Debug, Deserialize)]
struct NewRole {
    role: String,
}

async fn change_role(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(name): Path<String>,
    Form(typed): Form<NewRole>,
) -> Result<Response, Trouble> {
    let changed = async { visitor.administrator(&console.site).change_role(&name, role(&typed.role)?).await };
    Ok(console.done(&visitor, PATH, changed.await, |account| {
        Flash::done(format!("{} has the role {} from now on.", account.name, words::role(account.role)))
    }))
}

async fn link(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(name): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).account_link(&name).await;
    Ok(console.done(&visitor, PATH, outcome, |made| {
        console.show_once(&visitor, PATH, shown_link(&made, client, &headers));
        Flash::done("A new link is made; earlier ones for this person don't work any more.")
    }))
}

async fn disable(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(name): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).disable_account(&name, true).await;
    Ok(console
        .done(&visitor, PATH, outcome, |account| Flash::done(format!("{} can't sign in any more.", account.name))))
}

async fn enable(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(name): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).disable_account(&name, false).await;
    Ok(console.done(&visitor, PATH, outcome, |account| Flash::done(format!("{} can sign in again.", account.name))))
}

#[derive(Debug, Deserialize)]
struct NewToken {
    label: String,
    role: String,
    #[serde(default)]
    user: String,
    days: String,
}

async fn make_token(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(typed): Form<NewToken>,
) -> Result<Response, Trouble> {
    let administrator = visitor.administrator(&console.site);
    let made = async {
        let days: u32 = typed.days.parse().unwrap_or_default();
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(StoreError::Invalid(format!("a token holds for 1 to {DAYS_MAX} days")).into());
        }
        let new = NewApiToken {
            label: typed.label.clone(),
            role: role(&typed.role)?,
            user: user(&typed.user)?,
            expires_at: Some(console.site.store.now().after(DAY.saturating_mul(days))),
        };
        administrator.make_token(&new).await
    };
    Ok(console.done(&visitor, PATH, made.await, |made| {
        let shown = Shown {
            title: format!("The token {}", made.token.label),
            secret: Secret::new(made.secret.expose()),
            steps: vec![
                "This is the only time it is shown. Put it where the program keeps its secrets.".to_owned(),
                "The program sends it with each request, as “Authorization: Bearer …”.".to_owned(),
            ],
        };
        console.show_once(&visitor, PATH, shown);
        Flash::done("The token is made.")
    }))
}

async fn ask_revoke_token(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<u64>,
) -> Result<Response, Trouble> {
    let tokens = visitor.administrator(&console.site).tokens().await?;
    let token = tokens.into_iter().find(|token| token.key == key).ok_or_else(Trouble::nothing_here)?;
    let confirmation = Confirmation {
        title: "Revoke this token?".to_owned(),
        lines: vec![format!(
            "Whatever program uses “{}” is refused from its next request on. It can't be taken back: the program would \
             need a new token.",
            token.label
        )],
        action: format!("/tokens/{key}/revoke"),
        button: "Revoke the token",
        back: PATH.to_owned(),
        back_name: "Sign-ins".to_owned(),
        sending: None,
        mails: "",
    };
    console.confirm(&visitor, Place::Accounts, confirmation).await
}

async fn revoke_token(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(key): Path<u64>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let outcome = visitor.administrator(&console.site).revoke_token(ApiTokenKey(key)).await;
    Ok(console.done(&visitor, PATH, outcome, |token| Flash::done(format!("{} does not work any more.", token.label))))
}
