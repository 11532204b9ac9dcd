//! What happened: the audit, the mails in the outbox, alerts, and calls that have ended.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::{Administrators, Operators};
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, Query, limit};
use crate::admin::{AlertView, AuditView, EndedCallView, MailView};
use crate::credentials::{
    AlertKey, AlertPage, AuditKey, AuditPage, CallRecordKey, CallRecordPage, MailKey, MailPage, MailState,
};

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(calls))
        .routes(routes!(alerts))
        .routes(routes!(clear_alert))
        .routes(routes!(audit))
        .routes(routes!(outbox))
        .routes(routes!(retry_mail))
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

/// Which calls.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    /// In the caller's number, the conference ID, the organizer or why it ended.
    search: Option<String>,
    /// `next` of the page before.
    after: Option<u64>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Calls that have ended: the newest first.
#[utoipa::path(get, path = "/calls", tag = "what happened", operation_id = "list_calls", params(CallsQuery), responses(
    (status = 200, description = "One page", body = Listed<EndedCallView>), Refusals))]
async fn calls(
    State(site): State<Site>,
    Operators(principal): Operators,
    Query(query): Query<CallsQuery>,
) -> Result<Json<Listed<EndedCallView>>, Problem> {
    let limit = limit(query.limit)?;
    let page =
        CallRecordPage { search: query.search, before: query.after.map(CallRecordKey), limit: limit.saturating_add(1) };
    let calls = principal.administrator(&site).ended_calls(&page).await?;
    Ok(Json(Listed::from_one_more(calls, limit, |call| call.key.to_string())))
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AlertsQuery {
    /// Also those that somebody cleared.
    #[serde(default)]
    cleared: bool,
    /// `next` of the page before.
    after: Option<u64>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// What somebody should look at: the newest first.
#[utoipa::path(get, path = "/alerts", tag = "what happened", operation_id = "list_alerts", params(AlertsQuery),
    responses((status = 200, description = "One page", body = Listed<AlertView>), Refusals))]
async fn alerts(
    State(site): State<Site>,
    Operators(principal): Operators,
    Query(query): Query<AlertsQuery>,
) -> Result<Json<Listed<AlertView>>, Problem> {
    let limit = limit(query.limit)?;
    let page = AlertPage { cleared: query.cleared, before: query.after.map(AlertKey), limit: limit.saturating_add(1) };
    let alerts = principal.administrator(&site).alerts(&page).await?;
    Ok(Json(Listed::from_one_more(alerts, limit, |alert| alert.key.to_string())))
}

/// Says that somebody has seen it. Twice changes nothing.
#[utoipa::path(post, path = "/alerts/{key}/clear", tag = "what happened", operation_id = "clear_alert",
    params(("key" = u64, Path, description = "As the list has it")),
    responses((status = 200, description = "As it is now", body = AlertView), Refusals))]
async fn clear_alert(
    State(site): State<Site>,
    Operators(principal): Operators,
    Path(key): Path<u64>,
) -> Result<Json<AlertView>, Problem> {
    Ok(Json(principal.administrator(&site).clear_alert(AlertKey(key)).await?))
}
