//! Dial-in numbers.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::{Administrators, Principal};
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path};
use crate::admin::{NumberChange, NumberView};
use crate::credentials::{NewNumber, NumberKey};

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove))
}

/// The numbers by which callers reach this organization, the default one first.
#[utoipa::path(get, path = "/numbers", tag = "numbers", operation_id = "list_numbers", responses(
    (status = 200, description = "All of them", body = Listed<NumberView>), Refusals))]
async fn list(State(site): State<Site>, principal: Principal) -> Result<Json<Listed<NumberView>>, Problem> {
    Ok(Json(Listed::whole(principal.administrator(&site).numbers().await?)))
}

/// A number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumberBody {
    #[schema(example = "+49 30 1234567")]
    number: String,
    /// RFC 5646. Not there: English.
    #[schema(example = "de")]
    language: Option<String>,
    #[schema(example = "Berlin")]
    label: Option<String>,
    /// The one that is named first. The first number is it, whatever stands here.
    default: Option<bool>,
}

/// Adds a number.
#[utoipa::path(post, path = "/numbers", tag = "numbers", operation_id = "add_number",
    request_body = NumberBody,
    responses((status = 201, description = "Added", body = NumberView), Refusals))]
async fn add(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Json(body): Json<NumberBody>,
) -> Result<(StatusCode, Json<NumberView>), Problem> {
    let new = NewNumber {
        number: body.number,
        language: body.language.unwrap_or_else(|| "en".to_owned()),
        label: body.label.unwrap_or_default(),
        is_default: body.default.unwrap_or(false),
    };
    Ok((StatusCode::CREATED, Json(principal.administrator(&site).add_number(&new).await?)))
}

/// What of a number is to change. What is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumberChangeBody {
    number: Option<String>,
    language: Option<String>,
    label: Option<String>,
    /// True: it is the one that is named first from now on.
    default: Option<bool>,
}

/// Changes a number.
#[utoipa::path(patch, path = "/numbers/{key}", tag = "numbers", operation_id = "change_number",
    params(("key" = u64, Path, description = "As the list has it")),
    request_body = NumberChangeBody,
    responses((status = 200, description = "As it is now", body = NumberView), Refusals))]
async fn change(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(key): Path<u64>,
    Json(body): Json<NumberChangeBody>,
) -> Result<Json<NumberView>, Problem> {
    let change = NumberChange {
        number: body.number,
        language: body.language,
        label: body.label,
        default: body.default.unwrap_or(false),
    };
    Ok(Json(principal.administrator(&site).change_number(NumberKey(key), &change).await?))
}

/// Removes a number. Users who named it name the default one from then on.
#[utoipa::path(delete, path = "/numbers/{key}", tag = "numbers", operation_id = "remove_number",
    params(("key" = u64, Path, description = "As the list has it")),
    responses((status = 200, description = "As it was", body = NumberView), Refusals))]
async fn remove(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(key): Path<u64>,
) -> Result<Json<NumberView>, Problem> {
    Ok(Json(principal.administrator(&site).remove_number(NumberKey(key)).await?))
}
