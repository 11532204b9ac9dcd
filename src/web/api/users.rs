//! The people who may hold meetings.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::{Administrators, Operators, Principal, Role};
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, Query, identity, limit};
use crate::admin::{ChangedUserView, EnabledView, Mail, Mailed, NewPinView, UserView};
use crate::credentials::settings::lobby_policy_from;
use crate::credentials::{Page, UserChange, UserDetails};

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, enable, change))
        .routes(routes!(disable))
        .routes(routes!(reset_pin))
        .routes(routes!(reset_conference_id))
        .routes(routes!(send_info))
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsersQuery {
    /// In the identity, the name or the conference ID, upper or lower case.
    search: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// Also those who are disabled.
    #[serde(default)]
    disabled: bool,
}

/// Users, in the order of their identities.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "list_users", params(UsersQuery), responses(
    (status = 200, description = "One page", body = Listed<UserView>), Refusals))]
async fn list(
    State(site): State<Site>,
    Operators(principal): Operators,
    Query(query): Query<UsersQuery>,
) -> Result<Json<Listed<UserView>>, Problem> {
    let limit = limit(query.limit)?;
    let page =
        Page { search: query.search, after: query.after, limit: limit.saturating_add(1), disabled: query.disabled };
    let users = principal.administrator(&site).list_users(&page).await?;
    Ok(Json(Listed::from_one_more(users, limit, |user| user.identity.clone())))
}

/// One user. Role user: himself only.
#[utoipa::path(get, path = "/users/{identity}", tag = "users", operation_id = "show_user",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    responses((status = 200, description = "The user, the PIN masked", body = UserView), Refusals))]
async fn show(
    State(site): State<Site>,
    principal: Principal,
    Path(who): Path<String>,
) -> Result<Json<UserView>, Problem> {
    let who = identity(&who)?;
    if principal.role < Role::Operator {
        // The same refusal whether there is such a user or not: who may not ask is told nothing.
        let himself = match principal.user {
            Some(key) => site.store.user(&who).await.is_ok_and(|user| user.key == key),
            None => false,
        };
        if !himself {
            principal.require(Role::Operator)?;
        }
    }
    Ok(Json(principal.administrator(&site).show_user(&who).await?))
}

/// What a new user gets, and whether he is told by e-mail.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnableBody {
    /// The name that people read.
    name: Option<String>,
    /// Where mails to this user go.
    #[schema(example = "anna@example.com")]
    email: Option<String>,
    /// Not there: as the settings say.
    send_email: Option<bool>,
    /// Instead of the user's own address.
    send_email_to: Option<String>,
}

/// Whether the user is told by e-mail.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailBody {
    /// Not there: as the settings say.
    send_email: Option<bool>,
    /// Instead of the user's own address.
    send_email_to: Option<String>,
}

impl From<MailBody> for Mail {
    fn from(body: MailBody) -> Mail {
        Mail { send: body.send_email, to: body.send_email_to }
    }
}

/// Gives a user a conference ID and a PIN. Done twice it changes nothing, and answers with the user as he is.
#[utoipa::path(put, path = "/users/{identity}", tag = "users", operation_id = "enable_user",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = Option<EnableBody>,
    responses(
        (status = 201, description = "Enabled now: the one time that the PIN is shown", body = NewPinView),
        (status = 200, description = "Enabled before; nothing changed", body = UserView),
        Refusals))]
async fn enable(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    body: Option<Json<EnableBody>>,
) -> Result<Response, Problem> {
    let Json(body) = body.unwrap_or_default();
    let mail = Mail { send: body.send_email, to: body.send_email_to };
    let details = UserDetails { name: body.name.unwrap_or_default(), email: body.email };
    let enabled = principal.administrator(&site).enable_user(&identity(&who)?, &details, &mail).await?;
    Ok(match enabled {
        EnabledView::New(new) => (StatusCode::CREATED, Json(new)).into_response(),
        EnabledView::Already(user) => Json(user).into_response(),
    })
}

/// What is to change. What is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// The name that people read.
    name: Option<String>,
    /// Whether the first caller starts the meeting, without a PIN.
    allow_anonymous_start: Option<bool>,
    /// Who is let into a started meeting: `open` or `wait-for-admission`.
    lobby_policy: Option<String>,
    /// Where mails to this user go; empty: nowhere.
    #[schema(example = "anna@example.com")]
    email: Option<String>,
    /// The dial-in number that his mails and invitations name first, or its key; empty: the default one.
    #[schema(example = "+49 30 1234567")]
    number: Option<String>,
}

/// Changes what holds for a user's meetings.
#[utoipa::path(patch, path = "/users/{identity}", tag = "users", operation_id = "change_user",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = ChangeBody,
    responses((status = 200, description = "As he is now", body = UserView), Refusals))]
async fn change(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    Json(body): Json<ChangeBody>,
) -> Result<Json<UserView>, Problem> {
    let policy = |name: String| {
        lobby_policy_from(&name).ok_or_else(|| Problem::invalid("lobby_policy: write open or wait-for-admission"))
    };
    let administrator = principal.administrator(&site);
    let number = match body.number.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(number) => Some(Some(administrator.number(number).await?.key)),
    };
    let change = UserChange {
        name: body.name,
        email: body.email.map(|email| Some(email).filter(|email| !email.is_empty())),
        number,
        allow_anonymous_start: body.allow_anonymous_start,
        lobby_policy: body.lobby_policy.map(policy).transpose()?,
    };
    Ok(Json(administrator.change_user(&identity(&who)?, &change).await?))
}

/// Refuses his conference ID and PIN from now on.
#[utoipa::path(post, path = "/users/{identity}/disable", tag = "users", operation_id = "disable_user",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = Option<MailBody>,
    responses((status = 200, description = "As he is now", body = ChangedUserView), Refusals))]
async fn disable(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    mail: Option<Json<MailBody>>,
) -> Result<Json<ChangedUserView>, Problem> {
    let Json(mail) = mail.unwrap_or_default();
    Ok(Json(principal.administrator(&site).disable_user(&identity(&who)?, &mail.into()).await?))
}

/// Makes a new PIN; the old one is wrong from now on.
#[utoipa::path(post, path = "/users/{identity}/reset-pin", tag = "users", operation_id = "reset_pin",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = Option<MailBody>,
    responses((status = 200, description = "The one time that the new PIN is shown", body = NewPinView), Refusals))]
async fn reset_pin(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    mail: Option<Json<MailBody>>,
) -> Result<Json<NewPinView>, Problem> {
    let Json(mail) = mail.unwrap_or_default();
    Ok(Json(principal.administrator(&site).reset_pin(&identity(&who)?, &mail.into()).await?))
}

/// Makes a new conference ID; the old one is refused from now on.
#[utoipa::path(post, path = "/users/{identity}/reset-conference-id", tag = "users",
    operation_id = "reset_conference_id",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = Option<MailBody>,
    responses((status = 200, description = "With the new conference ID", body = ChangedUserView), Refusals))]
async fn reset_conference_id(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    mail: Option<Json<MailBody>>,
) -> Result<Json<ChangedUserView>, Problem> {
    let Json(mail) = mail.unwrap_or_default();
    Ok(Json(principal.administrator(&site).reset_conference_id(&identity(&who)?, &mail.into()).await?))
}

/// Where it goes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SendInfoBody {
    /// Instead of the user's own address.
    send_email_to: Option<String>,
}

/// Sends conference ID and numbers by e-mail, never the PIN.
#[utoipa::path(post, path = "/users/{identity}/send-info", tag = "users", operation_id = "send_info",
    params(("identity" = String, Path, description = "Such as anna@example.com")),
    request_body = Option<SendInfoBody>,
    responses((status = 200, description = "It is in the outbox", body = Mailed), Refusals))]
async fn send_info(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(who): Path<String>,
    body: Option<Json<SendInfoBody>>,
) -> Result<Json<Mailed>, Problem> {
    let Json(body) = body.unwrap_or_default();
    let to = body.send_email_to.as_deref();
    Ok(Json(principal.administrator(&site).send_info(&identity(&who)?, to).await?))
}
