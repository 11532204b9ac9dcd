//! One user: what holds for him, and the pane of what can be done.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::flash::Flash;
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::sending::{self, MailFields, Sending};
use super::trouble::Trouble;
use super::visitor::{Administrators, Operators};
use super::{Confirmation, Console, optional, page, users, words};
use crate::admin::{NumberView, UserView};
use crate::credentials::settings::{lobby_policy_from, lobby_policy_name};
use crate::credentials::{Identity, StoreError, UserChange};
use crate::words::answer::LobbyPolicy;

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/users/{identity}", get(show))
        .route("/users/{identity}/settings", post(change))
        .route("/users/{identity}/reset-pin", post(reset_pin))
        .route("/users/{identity}/reset-conference-id", get(ask_reset_conference_id).post(reset_conference_id))
        .route("/users/{identity}/send-info", post(send_info))
        .route("/users/{identity}/disable", get(ask_disable).post(disable))
}

/// Where this user's page is.
pub fn path(identity: &str) -> String {
    format!("/users/{}", words::encoded(identity))
}

fn known(identity: &str) -> Result<Identity, Trouble> {
    identity.parse().map_err(|_| Trouble::nothing_here())
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    user: UserView,
    numbers: Vec<NumberView>,
    all_numbers: Vec<NumberView>,
    chosen_number: String,
    policies: [&'static str; 2],
    sending: Sending,
}

async fn show(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(identity): Path<String>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let administrator = visitor.administrator(&console.site);
    let user = administrator.show_user(&identity).await?;
    let numbers = administrator.numbers_of(&identity).await?.iter().map(NumberView::from).collect();
    let all_numbers = administrator.numbers().await?;
    let chosen_number = user.number.map(|key| key.to_string()).unwrap_or_default();
    let sending = Sending::of(&console).await?;
    let frame = console.frame(&visitor, Place::Users, &path(&user.identity)).await;
    let policies = [LobbyPolicy::Open, LobbyPolicy::WaitForAdmission].map(lobby_policy_name);
    page(&UserPage { frame, user, numbers, all_numbers, chosen_number, policies, sending })
}

#[derive(Debug, Deserialize)]
struct Settings {
    name: String,
    email: String,
    number: String,
    lobby_policy: String,
    /// A box that is not ticked is not sent.
    #[serde(default)]
    allow_anonymous_start: String,
}

async fn change(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
    Form(settings): Form<Settings>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let change = UserChange {
        name: Some(settings.name),
        email: Some(optional(&settings.email)),
        number: Some(settings.number.parse().ok()),
        allow_anonymous_start: Some(settings.allow_anonymous_start == "true"),
        lobby_policy: lobby_policy_from(&settings.lobby_policy),
    };
    let outcome = visitor.administrator(&console.site).change_user(&identity, &change).await;
    Ok(console.done(&visitor, &path(&identity.to_string()), outcome, |_| Flash::done("The settings are saved.")))
}

async fn reset_pin(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
    Form(fields): Form<MailFields>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let path = path(&identity.to_string());
    let outcome = visitor.administrator(&console.site).reset_pin(&identity, &fields.mail()).await;
    Ok(console.done(&visitor, &path, outcome, |new| {
        console.show_once(&visitor, &path, users::shown_pin(new, "The new PIN"));
        Flash::done("The PIN was reset. The old one does not work any more.")
    }))
}

async fn ask_reset_conference_id(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let user = visitor.administrator(&console.site).show_user(&identity).await?;
    let Some(id) = user.conference_id else { return Err(Trouble::from(StoreError::NotEnabled(identity))) };
    let path = path(&user.identity);
    let confirmation = Confirmation {
        title: "Reset the conference ID?".to_owned(),
        lines: vec![
            format!("{} gets a new conference ID; {} is refused from then on.", user.identity, words::grouped(&id)),
            "Invitations that name the old one lead nowhere: meetings that were arranged with it must be told the new \
             one. Meetings that were scheduled here have IDs of their own, and the PIN stays."
                .to_owned(),
        ],
        action: format!("{path}/reset-conference-id"),
        button: "Reset the conference ID",
        back: path,
        back_name: user.identity,
        sending: Some(Sending::of(&console).await?),
        mails: "the new conference ID and how to update meetings",
    };
    console.confirm(&visitor, Place::Users, confirmation).await
}

async fn reset_conference_id(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
    Form(fields): Form<MailFields>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let outcome = visitor.administrator(&console.site).reset_conference_id(&identity, &fields.mail()).await;
    Ok(console.done(&visitor, &path(&identity.to_string()), outcome, |changed| {
        let id = changed.user.conference_id.as_deref().map(words::grouped).unwrap_or_default();
        sending::told(&format!("The new conference ID is {id}. The old one is refused from now on."), &changed.mailed)
    }))
}

async fn send_info(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let outcome = visitor.administrator(&console.site).send_info(&identity, None).await;
    Ok(console.done(&visitor, &path(&identity.to_string()), outcome, |mailed| match mailed.mailed_to {
        Some(to) => Flash::done(format!("Conference ID and numbers go to {to}.")),
        None => Flash::refused(mailed.not_mailed.unwrap_or_default()),
    }))
}

async fn ask_disable(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
) -> Result<Response, Trouble> {
    let user = visitor.administrator(&console.site).show_user(&known(&identity)?).await?;
    let path = path(&user.identity);
    let confirmation = Confirmation {
        title: "Disable this user?".to_owned(),
        lines: vec![
            format!("The conference ID and the PIN of {} stop working at once, and for good.", user.identity),
            "Enabling again makes a new conference ID and a new PIN.".to_owned(),
        ],
        action: format!("{path}/disable"),
        button: "Disable",
        back: path,
        back_name: user.identity,
        sending: Some(Sending::of(&console).await?),
        mails: "that dial-in conferencing is off",
    };
    console.confirm(&visitor, Place::Users, confirmation).await
}

async fn disable(
    State(console): State<Console>,
    Administrators(visitor): Administrators,
    Path(identity): Path<String>,
    Form(fields): Form<MailFields>,
) -> Result<Response, Trouble> {
    let identity = known(&identity)?;
    let outcome = visitor.administrator(&console.site).disable_user(&identity, &fields.mail()).await;
    Ok(console.done(&visitor, &path(&identity.to_string()), outcome, |changed| {
        sending::told("The user is disabled.", &changed.mailed)
    }))
}
