//! The texts of mails.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::Administrators;
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path};
use crate::admin::{MailTextView, mail_kind};
use crate::credentials::MailKind;
use crate::mail::letter::Part;

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, replace, restore))
}

/// Every text of every mail: the organization's own, or the built-in one.
#[utoipa::path(get, path = "/mail-texts", tag = "organization", operation_id = "list_mail_texts", responses(
    (status = 200, description = "All of them", body = Listed<MailTextView>), Refusals))]
async fn list(
    State(site): State<Site>,
    Administrators(principal): Administrators,
) -> Result<Json<Listed<MailTextView>>, Problem> {
    Ok(Json(Listed::whole(principal.administrator(&site).mail_texts().await?)))
}

/// One text.
#[utoipa::path(get, path = "/mail-texts/{mail}/{part}", tag = "organization", operation_id = "show_mail_text",
    params(("mail" = String, Path, description = "Such as pin-reset"), ("part" = String, Path, description = "subject, text or html")),
    responses((status = 200, description = "As it is sent", body = MailTextView), Refusals))]
async fn show(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(which): Path<(String, String)>,
) -> Result<Json<MailTextView>, Problem> {
    let (kind, part) = named(&which)?;
    Ok(Json(principal.administrator(&site).mail_text(kind, part).await?))
}

/// A text of the organization's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailTextBody {
    /// With places such as `{{conference_id}}`; which there are, the list says.
    text: String,
}

/// Puts a text of the organization's own in the place of the built-in one.
#[utoipa::path(put, path = "/mail-texts/{mail}/{part}", tag = "organization", operation_id = "replace_mail_text",
    params(("mail" = String, Path, description = "Such as pin-reset"), ("part" = String, Path, description = "subject, text or html")),
    request_body = MailTextBody,
    responses((status = 200, description = "As it is sent from now on", body = MailTextView), Refusals))]
async fn replace(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(which): Path<(String, String)>,
    Json(body): Json<MailTextBody>,
) -> Result<Json<MailTextView>, Problem> {
    let (kind, part) = named(&which)?;
    Ok(Json(principal.administrator(&site).set_mail_text(kind, part, Some(&body.text)).await?))
}

/// Takes the built-in text back.
#[utoipa::path(delete, path = "/mail-texts/{mail}/{part}", tag = "organization", operation_id = "restore_mail_text",
    params(("mail" = String, Path, description = "Such as pin-reset"), ("part" = String, Path, description = "subject, text or html")),
    responses((status = 200, description = "As it is sent from now on", body = MailTextView), Refusals))]
async fn restore(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(which): Path<(String, String)>,
) -> Result<Json<MailTextView>, Problem> {
    let (kind, part) = named(&which)?;
    Ok(Json(principal.administrator(&site).set_mail_text(kind, part, None).await?))
}

fn named((mail, part): &(String, String)) -> Result<(MailKind, Part), Problem> {
    let part = Part::named(part).ok_or_else(|| Problem::invalid("part: write subject, text or html"))?;
    Ok((mail_kind(mail)?, part))
}
