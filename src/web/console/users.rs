//! The list of users, and enabling one.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::flash::{Flash, Shown, sentence};
use super::form::Form;
use super::frame::{Frame, Place};
use super::paging::{self, Turns};
use super::sending::{self, MailFields, Sending};
use super::trouble::Trouble;
use super::visitor::{Administrators, Operators, Visitor};
use super::{Console, optional, page, user, words};
use crate::admin::{AdminError, EnabledView, NewPinView, NumberView, UserView};
use crate::credentials::{Identity, Page, UserChange, UserDetails};
use crate::words::secret::Secret;

pub fn routes() -> Router<Console> {
    Router::new().route("/users", get(list)).route("/users/new", get(new).post(enable))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    search: String,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    search: String,
    counted: String,
    users: Vec<UserView>,
    next: Option<String>,
    first: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let search = asked.search.trim().to_owned();
    let wanted = optional(&search);
    let administrator = visitor.administrator(&console.site);
    let count = administrator.count_users(wanted.as_deref(), true).await?;
    let rows = Page { search: wanted, after: asked.after.clone(), limit: paging::ASKED, disabled: true };
    let mut users = administrator.list_users(&rows).await?;
    let Turns { next, first } =
        paging::turn(&mut users, "/users", &search, "after", asked.after.is_none(), |user| user.identity.clone());
    let counted = words::counted(usize::try_from(count).unwrap_or(usize::MAX), "user");
    let frame = console.frame(&visitor, Place::Users, "/users").await;
    page(&UsersPage { frame, search, counted, users, next, first })
}

/// What was typed, so that a refused form need not be typed again.
#[derive(Debug, Default, Deserialize)]
struct NewUser {
    identity: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    send: String,
    #[serde(default)]
    send_to: String,
}

#[derive(Template)]
#[template(path = "user_new.html")]
struct NewUserPage {
    frame: Frame,
    typed: NewUser,
    numbers: Vec<NumberView>,
    sending: Sending,
}

async fn new(State(console): State<Console>, Administrators(visitor): Administrators) -> Result<Response, Trouble> {
    new_page(&console, &visitor, NewUser::default(), None).await
}

async fn new_page(
    console: &Console,
    visitor: &Visitor,
    typed: NewUser,
    refused: Option<String>,
) -> Result<Response, Trouble> {
    let numbers = visitor.administrator(&console.site).numbers().await?;
    let sending = Sending::of(console).await?;
    let mut frame = console.frame(visitor, Place::Users, "/users/new").await;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    frame.flashes.extend(refused.map(Flash::refused));
    Ok((status, page(&NewUserPage { frame, typed, numbers, sending })?).into_response())
}

async fn enable(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Form(typed): Form<NewUser>,
) -> Result<Response, Trouble> {
    match enabled(&console, &visitor, &typed).await {
        Ok((identity, EnabledView::New(new))) => {
            let path = user::path(&identity);
            console.show_once(&visitor, &path, shown_pin(new, "The PIN"));
            Ok(console.say(&visitor, &path, Flash::done("The user is enabled.")))
        }
        Ok((identity, EnabledView::Already(_))) => {
            let flash = Flash::note("This user was enabled before. Nothing was changed.");
            Ok(console.say(&visitor, &user::path(&identity), flash))
        }
        Err(error) => new_page(&console, &visitor, typed, Some(error.to_string())).await,
    }
}

async fn enabled(console: &Console, visitor: &Visitor, typed: &NewUser) -> Result<(String, EnabledView), AdminError> {
    let administrator = visitor.administrator(&console.site);
    let identity: Identity = typed.identity.trim().parse()?;
    let details = UserDetails { name: typed.name.clone(), email: optional(&typed.email) };
    let mail = MailFields { send: typed.send.clone(), send_to: typed.send_to.clone() }.mail();
    let enabled = administrator.enable_user(&identity, &details, &mail).await?;
    if let (EnabledView::New(_), Ok(number)) = (&enabled, typed.number.parse()) {
        let change = UserChange { number: Some(Some(number)), ..UserChange::default() };
        administrator.change_user(&identity, &change).await?;
    }
    Ok((identity.to_string(), enabled))
}

/// A PIN for its one showing, with what to do with it.
pub fn shown_pin(new: NewPinView, title: &str) -> Shown {
    let steps = vec![
        format!("This is the only time it is shown. {}", sending::of_pin(&new.mailed)),
        sentence(&format!("it belongs to conference ID {}", words::grouped(&new.conference_id))),
    ];
    Shown { title: title.to_owned(), secret: Secret::new(new.pin.expose()), steps }
}
