//! What goes on at this moment: meetings with their lobbies, and what is done about them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::sign_in::Client;
use super::super::auth::{Operators, Role, identify};
use super::super::problem::Problem;
use super::describe::Refusals;
use super::extract::{Json, Path};
use crate::admin::live::{LiveDoneView, LiveEvent, LiveSnapshot};
use crate::engine::LiveCommand;
use crate::words::ids::{CallKey, MeetingKey};

/// A stream ends after this, and its listener connects again.
const STREAM_LASTS: Duration = Duration::from_secs(5 * 60);

/// How often it is looked whether the listener may still listen: soon enough for somebody who signs another out, and a
/// small part of what a store answers, with as many listeners as there may be.
const RIGHT_EVERY: Duration = Duration::from_secs(2);

/// A sign of life, so that proxies keep a quiet stream.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(events))
        .routes(routes!(admit))
        .routes(routes!(lock))
        .routes(routes!(unlock))
        .routes(routes!(mute_all))
        .routes(routes!(unmute_all))
        .routes(routes!(end))
        .routes(routes!(mute))
        .routes(routes!(unmute))
        .routes(routes!(remove))
}

/// Everything that goes on: meetings with their lobbies, and who is at the attendant. Callers' numbers are masked where the
/// settings say so.
#[utoipa::path(get, path = "/live", tag = "live", operation_id = "live", responses(
    (status = 200, description = "At this moment", body = LiveSnapshot), Refusals))]
async fn live(State(site): State<Site>, Operators(operator): Operators) -> Result<Json<Arc<LiveSnapshot>>, Problem> {
    Ok(Json(operator.administrator(&site).live(&site.live).await?))
}

/// What happens live, as server-sent events: each has the kind as its name, and meeting and call as data. `missed` says that
/// the reader was too slow, and is to look at everything again. The stream ends from time to time, connect again; and when
/// its listener has signed out or may not listen any more.
#[utoipa::path(get, path = "/events", tag = "live", operation_id = "events", responses(
    (status = 200, description = "Until the connection ends", body = LiveEvent, content_type = "text/event-stream"),
    Refusals))]
async fn events(
    State(site): State<Site>,
    _: Operators,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Ok(place) = site.streams.clone().try_acquire_owned() else {
        let detail = "too many listen to events already";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).again_after(30));
    };
    let begins = Instant::now();
    let stream = EventStream {
        events: site.live.subscribe(),
        until: begins + STREAM_LASTS,
        look_at: begins + RIGHT_EVERY,
        site,
        client,
        headers,
        _place: place,
    };
    let stream = futures_util::stream::unfold(stream, EventStream::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)))
}

struct EventStream {
    events: Receiver<LiveEvent>,
    until: Instant,
    /// When it is looked again whether he may listen who does.
    look_at: Instant,
    site: Site,
    client: Client,
    /// By which he showed who he is.
    headers: HeaderMap,
    /// One of so many streams at once.
    _place: OwnedSemaphorePermit,
}

impl EventStream {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, EventStream)> {
        let event = loop {
            match timeout_at(self.until.min(self.look_at), self.events.recv()).await {
                Ok(Ok(event)) => break Event::default().event(event.kind.name()).json_data(event).ok()?,
                Ok(Err(RecvError::Lagged(_))) => break Event::default().event("missed").data("{}"),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) if Instant::now() >= self.until || !self.may_listen().await => return None,
                Err(_) => self.look_at = Instant::now() + RIGHT_EVERY,
            }
        };
        Some((Ok(event), self))
    }

    /// A store that is away has taken nobody's right.
    async fn may_listen(&self) -> bool {
        match identify::who_reads(&self.site, self.client, &self.headers).await {
            Ok(who) => who.is_some_and(|who| who.role >= Role::Operator),
            Err(problem) => problem.status() != StatusCode::UNAUTHORIZED,
        }
    }
}

/// Whom to let in.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdmitBody {
    /// Not there: all who wait.
    #[schema(example = "call-17")]
    call: Option<String>,
}

/// Lets one caller in, or all who wait.
#[utoipa::path(post, path = "/live/{meeting}/admit", tag = "live", operation_id = "admit",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    request_body = Option<AdmitBody>,
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn admit(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
    body: Option<Json<AdmitBody>>,
) -> Result<Json<LiveDoneView>, Problem> {
    let Json(body) = body.unwrap_or_default();
    let call = body.call.as_deref().map(call_key).transpose()?;
    act(&site, operator, LiveCommand::Admit { meeting: meeting_key(&meeting)?, call }).await
}

/// Lets nobody in any more.
#[utoipa::path(post, path = "/live/{meeting}/lock", tag = "live", operation_id = "lock",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn lock(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::Lock { meeting: meeting_key(&meeting)?, locked: true }).await
}

/// Lets callers in again, as the lobby policy says.
#[utoipa::path(post, path = "/live/{meeting}/unlock", tag = "live", operation_id = "unlock",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn unlock(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::Lock { meeting: meeting_key(&meeting)?, locked: false }).await
}

/// Mutes all but the leaders.
#[utoipa::path(post, path = "/live/{meeting}/mute", tag = "live", operation_id = "mute_all",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn mute_all(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::MuteAll { meeting: meeting_key(&meeting)?, muted: true }).await
}

/// Unmutes all.
#[utoipa::path(post, path = "/live/{meeting}/unmute", tag = "live", operation_id = "unmute_all",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn unmute_all(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::MuteAll { meeting: meeting_key(&meeting)?, muted: false }).await
}

/// Ends the meeting for all, its lobby included.
#[utoipa::path(post, path = "/live/{meeting}/end", tag = "live", operation_id = "end",
    params(("meeting" = String, Path, description = "Such as meeting-3")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn end(
    State(site): State<Site>,
    operator: Operators,
    Path(meeting): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::End { meeting: meeting_key(&meeting)? }).await
}

/// Mutes one caller.
#[utoipa::path(post, path = "/live/calls/{call}/mute", tag = "live", operation_id = "mute",
    params(("call" = String, Path, description = "Such as call-17")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn mute(
    State(site): State<Site>,
    operator: Operators,
    Path(call): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::Mute { call: call_key(&call)?, muted: true }).await
}

/// Unmutes one caller.
#[utoipa::path(post, path = "/live/calls/{call}/unmute", tag = "live", operation_id = "unmute",
    params(("call" = String, Path, description = "Such as call-17")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn unmute(
    State(site): State<Site>,
    operator: Operators,
    Path(call): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::Mute { call: call_key(&call)?, muted: false }).await
}

/// Says goodbye to one caller and hangs up.
#[utoipa::path(post, path = "/live/calls/{call}/remove", tag = "live", operation_id = "remove",
    params(("call" = String, Path, description = "Such as call-17")),
    responses((status = 200, description = "Done", body = LiveDoneView), Refusals))]
async fn remove(
    State(site): State<Site>,
    operator: Operators,
    Path(call): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    act(&site, operator, LiveCommand::Remove { call: call_key(&call)? }).await
}

async fn act(site: &Site, Operators(operator): Operators, command: LiveCommand) -> Result<Json<LiveDoneView>, Problem> {
    Ok(Json(operator.administrator(site).act_live(&site.live, command).await?))
}

fn meeting_key(text: &str) -> Result<MeetingKey, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("meeting: {error}")))
}

fn call_key(text: &str) -> Result<CallKey, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("call: {error}")))
}
