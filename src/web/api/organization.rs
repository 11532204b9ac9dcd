//! What the organization has decided, and what is counted against callers: settings, budgets.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::Administrators;
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, identity};
use crate::admin::{BudgetView, SettingView};
use crate::credentials::ClearBudgets;

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(settings))
        .routes(routes!(set_setting))
        .routes(routes!(budgets))
        .routes(routes!(clear_budgets))
}

/// Every setting, with what holds where nothing was set.
#[utoipa::path(get, path = "/settings", tag = "organization", operation_id = "list_settings", responses(
    (status = 200, description = "All of them", body = Listed<SettingView>), Refusals))]
async fn settings(
    State(site): State<Site>,
    Administrators(principal): Administrators,
) -> Result<Json<Listed<SettingView>>, Problem> {
    Ok(Json(Listed::whole(principal.administrator(&site).settings().await?)))
}

/// A setting's value, as it is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingBody {
    #[schema(example = "6")]
    value: String,
}

/// Sets one; done twice it changes nothing more.
#[utoipa::path(put, path = "/settings/{key}", tag = "organization", operation_id = "set_setting",
    params(("key" = String, Path, description = "Such as pin_length")),
    request_body = SettingBody,
    responses((status = 200, description = "As it is now", body = SettingView), Refusals))]
async fn set_setting(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(key): Path<String>,
    Json(body): Json<SettingBody>,
) -> Result<Json<SettingView>, Problem> {
    let set = principal.administrator(&site).set_setting(&key, &body.value).await?;
    let set = set.into_iter().next();
    set.map(Json).ok_or_else(|| Problem::invalid("there is no such setting"))
}

/// The counts of wrong entries that stand, the fullest first.
#[utoipa::path(get, path = "/budgets", tag = "organization", operation_id = "list_budgets", responses(
    (status = 200, description = "All of them", body = Listed<BudgetView>), Refusals))]
async fn budgets(
    State(site): State<Site>,
    Administrators(principal): Administrators,
) -> Result<Json<Listed<BudgetView>>, Problem> {
    Ok(Json(Listed::whole(principal.administrator(&site).budgets().await?)))
}

/// Which counts to clear: exactly one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum ClearBody {
    /// Those of this user's meetings.
    Organizer(String),
    /// Those of this subject, as the list shows it.
    Subject(String),
    /// Every one.
    All(bool),
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
struct Cleared {
    cleared: u64,
}

/// Clears counts, so that who was refused may try again.
#[utoipa::path(post, path = "/budgets/clear", tag = "organization", operation_id = "clear_budgets",
    request_body = ClearBody,
    responses((status = 200, description = "Cleared", body = Cleared), Refusals))]
async fn clear_budgets(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Json(body): Json<ClearBody>,
) -> Result<Json<Cleared>, Problem> {
    let administrator = principal.administrator(&site);
    let cleared = match &body {
        ClearBody::Organizer(who) => administrator.clear_budgets(ClearBudgets::Organizer(&identity(who)?)).await?,
        ClearBody::Subject(subject) => administrator.clear_budgets(ClearBudgets::Subject(subject)).await?,
        ClearBody::All(true) => administrator.clear_budgets(ClearBudgets::All).await?,
        ClearBody::All(false) => return Err(Problem::invalid("all: write true, or name an organizer or a subject")),
    };
    Ok(Json(Cleared { cleared }))
}
