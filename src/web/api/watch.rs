//! What happened: the audit, and the mails in the outbox.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::Administrators;
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, Query, limit};
use crate::admin::{AuditView, MailView};
use crate::credentials::{AuditKey, AuditPage, MailKey, MailPage, MailState};

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(audit)).routes(routes!(outbox)).routes(routes!(retry_mail))
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// In who, action, subject or detail.
    search: Option<String>,
    /// `next` of the page before.
    after: Option<u64>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Who did what to whom, when and from where: the newest first.
#[utoipa::path(get, path = "/audit", tag = "what happened", operation_id = "list_audit", params(AuditQuery), responses(
    (status = 200, description = "One page", body = Listed<AuditView>), Refusals))]
async fn audit(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Listed<AuditView>>, Problem> {
    let limit = limit(query.limit)?;
    let page = AuditPage { search: query.search, before: query.after.map(AuditKey), limit: limit.saturating_add(1) };
    let lines = principal.administrator(&site).audit(&page).await?;
    Ok(Json(Listed::from_one_more(lines, limit, |line| line.key.to_string())))
}

/// Which mails.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OutboxQuery {
    /// In the address or the user's identity.
    search: Option<String>,
    /// `queued`, `sent` or `given-up`.
    state: Option<String>,
    /// `next` of the page before.
    after: Option<u64>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Mails that wait, were sent, or were given up: the newest first.
#[utoipa::path(get, path = "/outbox", tag = "what happened", operation_id = "list_outbox", params(OutboxQuery),
    responses((status = 200, description = "One page", body = Listed<MailView>), Refusals))]
async fn outbox(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Query(query): Query<OutboxQuery>,
) -> Result<Json<Listed<MailView>>, Problem> {
    let limit = limit(query.limit)?;
    let state = |name: String| {
        MailState::from_name(&name).ok_or_else(|| Problem::invalid("state: write queued, sent or given-up"))
    };
    let page = MailPage {
        search: query.search,
        state: query.state.map(state).transpose()?,
        before: query.after.map(MailKey),
        limit: limit.saturating_add(1),
    };
    let mails = principal.administrator(&site).outbox(&page).await?;
    Ok(Json(Listed::from_one_more(mails, limit, |mail| mail.key.to_string())))
}

/// Tries a mail again now. One whose PIN is erased can't be sent any more.
#[utoipa::path(post, path = "/outbox/{key}/retry", tag = "what happened", operation_id = "retry_mail",
    params(("key" = u64, Path, description = "As the list has it")),
    responses((status = 200, description = "It waits to be sent", body = MailView), Refusals))]
async fn retry_mail(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Path(key): Path<u64>,
) -> Result<Json<MailView>, Problem> {
    Ok(Json(principal.administrator(&site).retry_mail(MailKey(key)).await?))
}
