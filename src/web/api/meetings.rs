//! Scheduled meetings, their invitations, and the start of a meeting by somebody who has signed in.
//!
//! A user sees, plans and starts his own ones only; what is another's is, for him, not there.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Site;
use super::super::auth::{Principal, Role};
use super::super::problem::Problem;
use super::describe::{Listed, Refusals};
use super::extract::{Json, Path, Query, identity, limit};
use crate::admin::live::LiveDoneView;
use crate::admin::{AdminError, InvitationView, MeetingView, moment};
use crate::credentials::{Identity, MeetingChange, MeetingPage, MeetingPlan, StoreError, Timestamp};
use crate::words::ids::ConferenceId;

pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list, schedule))
        .routes(routes!(show, change, cancel))
        .routes(routes!(invitation))
        .routes(routes!(calendar))
        .routes(routes!(start))
}

/// Which meetings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MeetingsQuery {
    /// Those of this user only. A user sees his own ones only, whatever stands here.
    organizer: Option<String>,
    /// Those that end at this time or later (RFC 3339).
    from: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Meetings that have not expired, in the order in which they start.
#[utoipa::path(get, path = "/meetings", tag = "meetings", operation_id = "list_meetings", params(MeetingsQuery),
    responses((status = 200, description = "One page", body = Listed<MeetingView>), Refusals))]
async fn list(
    State(site): State<Site>,
    principal: Principal,
    Query(query): Query<MeetingsQuery>,
) -> Result<Json<Listed<MeetingView>>, Problem> {
    let organizer = match own_identity(&site, &principal).await? {
        Some(own) => Some(own),
        None => query.organizer.as_deref().map(identity).transpose()?,
    };
    let after = query.after.map(|after| after.parse()).transpose();
    let page = MeetingPage {
        organizer: None,
        from: query.from.as_deref().map(|from| time("from", from)).transpose()?,
        after: after.map_err(|error| Problem::invalid(format!("after: {error}")))?,
        limit: limit(query.limit)?,
    };
    let page = principal.administrator(&site).scheduled_meetings(organizer.as_ref(), &page).await?;
    Ok(Json(Listed { items: page.meetings, next: page.next }))
}

/// What is planned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// Not there: who asks, where he is a user.
    #[schema(example = "anna@example.com")]
    organizer: Option<String>,
    #[schema(example = "Planning", min_length = 1, max_length = 200)]
    subject: String,
    /// RFC 3339.
    #[schema(example = "2030-01-15T09:00:00Z")]
    starts_at: String,
    #[schema(example = "2030-01-15T10:00:00Z")]
    ends_at: String,
}

/// Plans a meeting, with a conference ID of its own. Its organizer's PIN starts it.
#[utoipa::path(post, path = "/meetings", tag = "meetings", operation_id = "schedule_meeting",
    request_body = PlanBody,
    responses((status = 201, description = "Planned", body = MeetingView), Refusals))]
async fn schedule(
    State(site): State<Site>,
    principal: Principal,
    Json(body): Json<PlanBody>,
) -> Result<(StatusCode, Json<MeetingView>), Problem> {
    let own = own_identity(&site, &principal).await?;
    let asked = body.organizer.as_deref().map(identity).transpose()?;
    let organizer = match (own, asked) {
        (Some(own), Some(asked)) if own != asked => {
            return Err(Problem::new(StatusCode::FORBIDDEN, "not-allowed", "you can plan meetings of your own only"));
        }
        (Some(own), _) => own,
        (None, Some(asked)) => {
            // An operator looks and acts on what goes on; he plans nothing for others.
            principal.require(Role::Administrator)?;
            asked
        }
        (None, None) => match principal.user {
            Some(key) => identity_of(&site, key).await?,
            None => return Err(Problem::invalid("organizer: say whose meeting it is")),
        },
    };
    let plan = MeetingPlan {
        subject: body.subject,
        starts_at: time("starts_at", &body.starts_at)?,
        ends_at: time("ends_at", &body.ends_at)?,
    };
    Ok((StatusCode::CREATED, Json(principal.administrator(&site).schedule_meeting(&organizer, &plan).await?)))
}

/// One meeting.
#[utoipa::path(get, path = "/meetings/{conference_id}", tag = "meetings", operation_id = "show_meeting",
    params(("conference_id" = String, Path, description = "Seven digits")),
    responses((status = 200, description = "As it is planned", body = MeetingView), Refusals))]
async fn show(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<MeetingView>, Problem> {
    let id = conference_id(&id)?;
    Ok(Json(his_meeting(&site, &principal, &id).await?))
}

/// What of a plan is to change. What is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplanBody {
    #[schema(min_length = 1, max_length = 200)]
    subject: Option<String>,
    /// RFC 3339.
    starts_at: Option<String>,
    ends_at: Option<String>,
}

/// Changes a plan. The conference ID stays.
#[utoipa::path(patch, path = "/meetings/{conference_id}", tag = "meetings", operation_id = "change_meeting",
    params(("conference_id" = String, Path, description = "Seven digits")),
    request_body = ReplanBody,
    responses((status = 200, description = "As it is planned now", body = MeetingView), Refusals))]
async fn change(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
    Json(body): Json<ReplanBody>,
) -> Result<Json<MeetingView>, Problem> {
    let id = conference_id(&id)?;
    may_plan(&site, &principal, &id).await?;
    let change = MeetingChange {
        subject: body.subject,
        starts_at: body.starts_at.as_deref().map(|text| time("starts_at", text)).transpose()?,
        ends_at: body.ends_at.as_deref().map(|text| time("ends_at", text)).transpose()?,
    };
    Ok(Json(principal.administrator(&site).change_meeting(&id, &change).await?))
}

/// Cancels a meeting: its conference ID is refused at once. The answer takes it out of calendars.
#[utoipa::path(delete, path = "/meetings/{conference_id}", tag = "meetings", operation_id = "cancel_meeting",
    params(("conference_id" = String, Path, description = "Seven digits")),
    responses((status = 200, description = "Cancelled; what to send to the invited", body = InvitationView), Refusals))]
async fn cancel(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<InvitationView>, Problem> {
    let id = conference_id(&id)?;
    may_plan(&site, &principal, &id).await?;
    Ok(Json(principal.administrator(&site).cancel_meeting(&id).await?))
}

/// What the organizer sends to the people whom he invites.
#[utoipa::path(get, path = "/meetings/{conference_id}/invitation", tag = "meetings", operation_id = "invitation",
    params(("conference_id" = String, Path, description = "Seven digits")),
    responses((status = 200, description = "Text and calendar file", body = InvitationView), Refusals))]
async fn invitation(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<InvitationView>, Problem> {
    let id = conference_id(&id)?;
    his_meeting(&site, &principal, &id).await?;
    Ok(Json(principal.administrator(&site).invitation(&id).await?))
}

/// The invitation as a calendar file (RFC 5545).
#[utoipa::path(get, path = "/meetings/{conference_id}/invitation.ics", tag = "meetings", operation_id = "calendar",
    params(("conference_id" = String, Path, description = "Seven digits")),
    responses((status = 200, description = "The file", body = String, content_type = "text/calendar"), Refusals))]
async fn calendar(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let id = conference_id(&id)?;
    his_meeting(&site, &principal, &id).await?;
    let invitation = principal.administrator(&site).invitation(&id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"meeting-{id}.ics\"")),
    ];
    Ok((headers, invitation.calendar))
}

/// Starts the meeting of this conference ID, a user's own or a scheduled one, without a PIN; also before anybody calls. A
/// user starts his own ones.
#[utoipa::path(post, path = "/meetings/{conference_id}/start", tag = "meetings", operation_id = "start_meeting",
    params(("conference_id" = String, Path, description = "Seven digits")),
    responses((status = 200, description = "It has started, or had before", body = LiveDoneView), Refusals))]
async fn start(
    State(site): State<Site>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<LiveDoneView>, Problem> {
    let id = conference_id(&id)?;
    if principal.role < Role::Operator {
        let conference = site.store.conference(&id).await?;
        let his = conference.is_some_and(|conference| Some(conference.organizer) == principal.user);
        if !his {
            return Err(AdminError::NoConference(id).into());
        }
    }
    Ok(Json(principal.administrator(&site).start_meeting(&site.live, &id).await?))
}

/// The meeting, where he may see it: that there is one of somebody else's is not told.
async fn his_meeting(site: &Site, principal: &Principal, id: &ConferenceId) -> Result<MeetingView, Problem> {
    let meeting = match principal.administrator(site).scheduled_meeting(id).await {
        Err(AdminError::Store(StoreError::NotThere { .. })) => return Err(AdminError::NoConference(*id).into()),
        meeting => meeting?,
    };
    match own_identity(site, principal).await? {
        Some(own) if own.as_str() != meeting.organizer => Err(AdminError::NoConference(*id).into()),
        _ => Ok(meeting),
    }
}

/// Whether he may change this plan: administrators, and whose meeting it is.
async fn may_plan(site: &Site, principal: &Principal, id: &ConferenceId) -> Result<(), Problem> {
    let meeting = his_meeting(site, principal, id).await?;
    let his = match principal.user {
        Some(key) => identity_of(site, key).await?.as_str() == meeting.organizer,
        None => false,
    };
    if his { Ok(()) } else { principal.require(Role::Administrator) }
}

/// Whose meetings alone somebody of role user may see. `None`: everybody's.
async fn own_identity(site: &Site, principal: &Principal) -> Result<Option<Identity>, Problem> {
    match principal.user {
        _ if principal.role >= Role::Operator => Ok(None),
        Some(key) => Ok(Some(identity_of(site, key).await?)),
        None => Err(Problem::new(StatusCode::FORBIDDEN, "not-allowed", "this sign-in belongs to no user")),
    }
}

async fn identity_of(site: &Site, key: crate::words::ids::UserKey) -> Result<Identity, Problem> {
    Ok(site.store.user_by_key(key).await?.identity)
}

fn conference_id(text: &str) -> Result<ConferenceId, Problem> {
    text.parse().map_err(|_| Problem::invalid("a conference ID has seven digits"))
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    moment::parse(text).map_err(|error| Problem::invalid(format!("{name}: {error}")))
}
