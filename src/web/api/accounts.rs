//! People who sign in, and programs.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::{Administrators, Role};
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, Query, identity, limit};
use crate::admin::accounts::{AccountLinkView, AccountView, NewTokenView, TokenView};
use crate::credentials::{AccountPage, ApiTokenKey, NewAccount, NewApiToken, Timestamp};

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change))
        .routes(routes!(link))
        .routes(routes!(tokens, make_token))
        .routes(routes!(revoke_token))
}

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccountsQuery {
    /// In the name.
    search: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// People who can sign in, in the order of their names.
#[utoipa::path(get, path = "/accounts", tag = "accounts", operation_id = "list_accounts", params(AccountsQuery),
    responses((status = 200, description = "One page", body = Listed<AccountView>), Refusals))]
async fn list(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Listed<AccountView>>, Problem> {
    let limit = limit(query.limit)?;
    let page = AccountPage { search: query.search, after: query.after, limit: limit.saturating_add(1) };
    let accounts = principal.administrator(&site).accounts(&page).await?;
    Ok(Json(Listed::from_one_more(accounts, limit, |account| account.name.clone())))
}

/// Somebody who is to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    #[schema(example = "anna", min_length = 1, max_length = 128)]
    name: String,
    /// `administrator`, `operator` or `user`.
    #[schema(example = "operator")]
    role: String,
    /// Whose meetings he looks after. Must be there for role user.
    #[schema(example = "anna@example.com")]
    user: Option<String>,
}

/// Makes an account, and a link by which its owner chooses a password.
#[utoipa::path(post, path = "/accounts", tag = "accounts", operation_id = "add_account",
    request_body = AccountBody,
    responses((status = 201, description = "The one time that the link is shown", body = AccountLinkView), Refusals))]
async fn add(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Json(body): Json<AccountBody>,
) -> Result<(StatusCode, Json<AccountLinkView>), Problem> {
    let user = body.user.as_deref().map(identity).transpose()?;
    let new = NewAccount { name: body.name, role: role(&body.role)?, user };
    Ok((StatusCode::CREATED, Json(principal.administrator(&site).add_account(&new).await?)))
}

/// One account.
#[utoipa::path(get, path = "/accounts/{name}", tag = "accounts", operation_id = "show_account",
    params(("name" = String, Path, description = "With which he signs in")),
    responses((status = 200, description = "The account", body = AccountView), Refusals))]
async fn show(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(name): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(principal.administrator(&site).account(&name).await?))
}

/// What of an account is to change. What is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountChangeBody {
    /// `administrator`, `operator` or `user`.
    role: Option<String>,
    /// True: nobody signs in to it any more, and whoever is signed in is out.
    disabled: Option<bool>,
}

/// Changes an account. The last administrator stays one.
#[utoipa::path(patch, path = "/accounts/{name}", tag = "accounts", operation_id = "change_account",
    params(("name" = String, Path, description = "With which he signs in")),
    request_body = AccountChangeBody,
    responses((status = 200, description = "As it is now", body = AccountView), Refusals))]
async fn change(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(name): Path<String>,
    Json(body): Json<AccountChangeBody>,
) -> Result<Json<AccountView>, Problem> {
    let administrator = principal.administrator(&site);
    let changed = match (body.role.as_deref().map(role).transpose()?, body.disabled) {
        (None, None) => return Err(Problem::invalid("nothing to change was given")),
        // One thing at a time: each is done or refused as a whole.
        (Some(_), Some(_)) => return Err(Problem::invalid("change role or disabled, one at a time")),
        (Some(role), None) => administrator.change_role(&name, role).await?,
        (None, Some(disabled)) => administrator.disable_account(&name, disabled).await?,
    };
    Ok(Json(changed))
}

/// Makes another link to choose a password. The links before it hold no more.
#[utoipa::path(post, path = "/accounts/{name}/link", tag = "accounts", operation_id = "make_link",
    params(("name" = String, Path, description = "With which he signs in")),
    responses((status = 200, description = "The one time that the link is shown", body = AccountLinkView), Refusals))]
async fn link(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(name): Path<String>,
) -> Result<Json<AccountLinkView>, Problem> {
    Ok(Json(principal.administrator(&site).account_link(&name).await?))
}

/// Programs that may use the API, the newest first.
#[utoipa::path(get, path = "/tokens", tag = "accounts", operation_id = "list_tokens", responses(
    (status = 200, description = "All of them", body = Listed<TokenView>), Refusals))]
async fn tokens(
    State(site): State<Site>,
    Administrators(principal): Administrators,
) -> Result<Json<Listed<TokenView>>, Problem> {
    Ok(Json(Listed::whole(principal.administrator(&site).tokens().await?)))
}

/// A program that is to use the API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    #[schema(example = "booking system", min_length = 1, max_length = 100)]
    label: String,
    /// `administrator`, `operator` or `user`.
    #[schema(example = "operator")]
    role: String,
    /// Whose meetings. Must be there for role user.
    user: Option<String>,
    /// RFC 3339. Not there: it holds until it is revoked.
    #[schema(example = "2030-01-01T00:00:00Z")]
    expires_at: Option<String>,
}

/// Makes a token for a program.
#[utoipa::path(post, path = "/tokens", tag = "accounts", operation_id = "make_token",
    request_body = TokenBody,
    responses((status = 201, description = "The one time that the token is shown", body = NewTokenView), Refusals))]
async fn make_token(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Json(body): Json<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), Problem> {
    let new = NewApiToken {
        label: body.label,
        role: role(&body.role)?,
        user: body.user.as_deref().map(identity).transpose()?,
        expires_at: body.expires_at.as_deref().map(time).transpose()?,
    };
    Ok((StatusCode::CREATED, Json(principal.administrator(&site).make_token(&new).await?)))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/tokens/{key}", tag = "accounts", operation_id = "revoke_token",
    params(("key" = u64, Path, description = "As the list has it")),
    responses((status = 200, description = "As it was", body = TokenView), Refusals))]
async fn revoke_token(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(key): Path<u64>,
) -> Result<Json<TokenView>, Problem> {
    Ok(Json(principal.administrator(&site).revoke_token(ApiTokenKey(key)).await?))
}

fn role(name: &str) -> Result<Role, Problem> {
    Role::from_name(name.trim()).ok_or_else(|| Problem::invalid("role: write administrator, operator or user"))
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    let at: Result<jiff::Timestamp, _> = text.trim().parse();
    at.map(|at| Timestamp(at.as_millisecond()))
        .map_err(|_| Problem::invalid("expires_at: write a time such as 2030-01-01T00:00:00Z"))
}
