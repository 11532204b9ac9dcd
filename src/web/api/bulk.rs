//! Many users at once, from a CSV file.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::Administrators;
use super::super::problem::Problem;
use super::describe::Refusals;
use super::extract::Query;
use crate::admin::{BULK_BYTES_MAX, BulkAction, BulkLine, BulkList};

/// Lists that one server works through at once: each takes hashing from the callers' PINs.
pub const BULKS_AT_ONCE: usize = 2;

/// Lines on their way to a slow reader.
const LINES_AHEAD: usize = 64;

pub fn routes() -> OpenApiRouter<Site> {
    // One byte more than is taken, so that the operation itself says what is too large.
    let limit = DefaultBodyLimit::max(BULK_BYTES_MAX.saturating_add(1));
    OpenApiRouter::new().routes(routes!(bulk)).layer(limit)
}

/// What is done to each line.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BulkQuery {
    /// `enable` or `reset-pin`.
    action: String,
    /// Whether each user is told by e-mail. Not there: as the settings say.
    send_email: Option<bool>,
}

/// How far it is.
#[derive(Debug, Serialize)]
struct Progress {
    done: usize,
    of: usize,
}

/// Enables the users of a CSV file, or resets their PINs. The first line names the columns: `identity`, and where wanted
/// `name`, `email`, `send_email_to`. The answer is one JSON object a line: progress (`done`, `of`), then each line's result
/// with the new PIN, shown this once. A broken line is reported, and the others are done. It goes on when the reader goes
/// away.
#[utoipa::path(post, path = "/users/bulk", tag = "users", operation_id = "bulk", params(BulkQuery),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "One result a line", body = BulkLine, content_type = "application/x-ndjson"),
        Refusals))]
async fn bulk(
    State(site): State<Site>,
    Administrators(principal): Administrators,
    Query(query): Query<BulkQuery>,
    csv: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Problem> {
    let action = match query.action.as_str() {
        "enable" => BulkAction::Enable,
        "reset-pin" => BulkAction::ResetPin,
        _ => return Err(Problem::invalid("action: write enable or reset-pin")),
    };
    let csv = csv.map_err(|rejection| Problem::new(rejection.status(), "body", rejection.body_text()))?;
    let list = BulkList::read(&csv).map_err(|error| Problem::invalid(error.to_string()))?;
    let Ok(place) = site.bulks.clone().try_acquire_owned() else {
        let detail = "other lists are being worked through: wait for their end";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).again_after(30));
    };
    let (lines, answer) = mpsc::channel::<Bytes>(LINES_AHEAD);
    tokio::spawn(async move {
        let _place = place;
        let administrator = principal.administrator(&site);
        let of = list.len();
        // Progress that a slow reader misses is told by the next.
        let progress = |done| {
            let _ = lines.try_send(json_line(&Progress { done, of }));
        };
        for result in administrator.bulk(list, action, query.send_email, progress).await {
            if lines.send(json_line(&result)).await.is_err() {
                break;
            }
        }
    });
    let stream = futures_util::stream::unfold(answer, async |mut answer| {
        let line = answer.recv().await?;
        Some((Ok::<Bytes, Infallible>(line), answer))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response())
}

fn json_line(value: &impl Serialize) -> Bytes {
    // Plain structs with text keys: they always become JSON.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
