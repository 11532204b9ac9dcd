//! Scheduled meetings: everybody's for administrators and operators, one's own for a user. One set of pages at two places.

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::flash::Flash;
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::trouble::Trouble;
use super::visitor::{Operators, Visitor};
use super::{Confirmation, Console, address, page, words};
use crate::admin::{AdminError, MeetingView, moment};
use crate::credentials::{Identity, MeetingPage, MeetingPlan};
use crate::web::auth::Role;
use crate::words::ids::ConferenceId;

const ROWS: u32 = 50;

pub fn routes() -> Router<Console> {
    Router::new().route("/meetings", get(list)).merge(at("/meetings")).merge(at(OWN))
}

fn at(base: &str) -> Router<Console> {
    Router::new()
        .route(&format!("{base}/new"), get(new).post(schedule))
        .route(&format!("{base}/{{id}}"), get(show))
        .route(&format!("{base}/{{id}}/invitation.ics"), get(calendar))
        .route(&format!("{base}/{{id}}/start"), post(start))
        .route(&format!("{base}/{{id}}/cancel"), get(ask_cancel).post(cancel))
}

/// Where one's own meetings are.
const OWN: &str = "/me/meetings";

/// Whose meetings a page is about, and who looks at it.
struct Scope {
    visitor: Visitor,
    /// What the addresses begin with.
    base: &'static str,
    /// Where the list is.
    list: &'static str,
    place: Place,
    /// `Some`: his only.
    organizer: Option<Identity>,
}

impl FromRequestParts<Console> for Scope {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Scope, Trouble> {
        let visitor = Visitor::from_request_parts(parts, console).await?;
        if parts.uri.path().starts_with(OWN) {
            let organizer = Some(visitor.identity(&console.site).await?);
            Ok(Scope { visitor, base: OWN, list: "/me", place: Place::Me, organizer })
        } else {
            visitor.principal.require(Role::Operator)?;
            Ok(Scope { visitor, base: "/meetings", list: "/meetings", place: Place::Meetings, organizer: None })
        }
    }
}

impl Scope {
    /// Operators look, and start what is there; they schedule nothing.
    fn may_change(&self) -> Result<(), Trouble> {
        match self.organizer {
            Some(_) => Ok(()),
            None => Ok(self.visitor.principal.require(Role::Administrator)?),
        }
    }

    /// A meeting of this scope; another's is as unknown as none.
    async fn meeting(&self, console: &Console, id: &str) -> Result<(ConferenceId, MeetingView), Trouble> {
        let id = id.parse::<ConferenceId>().map_err(|_| Trouble::nothing_here())?;
        let meeting = self.visitor.administrator(&console.site).scheduled_meeting(&id).await?;
        match &self.organizer {
            Some(organizer) if organizer.to_string() != meeting.organizer => Err(Trouble::nothing_here()),
            _ => Ok((id, meeting)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "meetings.html")]
struct MeetingsPage {
    frame: Frame,
    meetings: Vec<MeetingView>,
    next: Option<String>,
    first: Option<String>,
}

async fn list(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let rows = MeetingPage {
        after: asked.after.as_deref().map(str::parse).transpose().map_err(|_| Trouble::nothing_here())?,
        limit: ROWS,
        ..MeetingPage::default()
    };
    let view = visitor.administrator(&console.site).scheduled_meetings(None, &rows).await?;
    let next = view.next.map(|next| address("/meetings", &[("after", &next)]));
    let first = asked.after.map(|_| "/meetings".to_owned());
    let frame = console.frame(&visitor, Place::Meetings, "/meetings").await;
    page(&MeetingsPage { frame, meetings: view.meetings, next, first })
}

/// What was typed, so that a refused form need not be typed again. Times are the reader's own; the hidden fields, which
/// script fills in, say them in UTC.
#[derive(Debug, Default, Deserialize)]
struct Typed {
    #[serde(default)]
    organizer: String,
    subject: String,
    starts: String,
    ends: String,
    #[serde(default)]
    starts_utc: String,
    #[serde(default)]
    ends_utc: String,
}

#[derive(Template)]
#[template(path = "meeting_new.html")]
struct NewPage {
    frame: Frame,
    typed: Typed,
    base: &'static str,
    list: &'static str,
    asks_organizer: bool,
}

async fn new(State(console): State<Console>, scope: Scope) -> Result<Response, Trouble> {
    scope.may_change()?;
    new_page(&console, &scope, Typed::default(), None).await
}

async fn new_page(
    console: &Console,
    scope: &Scope,
    typed: Typed,
    refused: Option<String>,
) -> Result<Response, Trouble> {
    let mut frame = console.frame(&scope.visitor, scope.place, &format!("{}/new", scope.base)).await;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    frame.flashes.extend(refused.map(Flash::refused));
    let asks_organizer = scope.organizer.is_none();
    let html = page(&NewPage { frame, typed, base: scope.base, list: scope.list, asks_organizer })?;
    Ok((status, html).into_response())
}

async fn schedule(State(console): State<Console>, scope: Scope, Form(typed): Form<Typed>) -> Result<Response, Trouble> {
    scope.may_change()?;
    match scheduled(&console, &scope, &typed).await {
        Ok(meeting) => {
            let path = format!("{}/{}", scope.base, meeting.conference_id);
            let flash = Flash::done("The meeting is scheduled. Copy its invitation to those who come.");
            Ok(console.say(&scope.visitor, &path, flash))
        }
        Err(error) => new_page(&console, &scope, typed, Some(error.to_string())).await,
    }
}

async fn scheduled(console: &Console, scope: &Scope, typed: &Typed) -> Result<MeetingView, AdminError> {
    let organizer = match &scope.organizer {
        Some(organizer) => organizer.clone(),
        None => typed.organizer.trim().parse()?,
    };
    let time = |utc: &str, local: &str| moment::parse(if utc.is_empty() { local } else { utc });
    let plan = MeetingPlan {
        subject: typed.subject.clone(),
        starts_at: time(&typed.starts_utc, &typed.starts)?,
        ends_at: time(&typed.ends_utc, &typed.ends)?,
    };
    scope.visitor.administrator(&console.site).schedule_meeting(&organizer, &plan).await
}

#[derive(Template)]
#[template(path = "meeting.html")]
struct MeetingShown {
    frame: Frame,
    meeting: MeetingView,
    invitation: String,
    base: &'static str,
    list: &'static str,
    may_change: bool,
}

async fn show(State(console): State<Console>, scope: Scope, Path(id): Path<String>) -> Result<Response, Trouble> {
    let (id, meeting) = scope.meeting(&console, &id).await?;
    let invitation = scope.visitor.administrator(&console.site).invitation(&id).await?.text;
    let frame = console.frame(&scope.visitor, scope.place, &format!("{}/{id}", scope.base)).await;
    let may_change = scope.may_change().is_ok();
    page(&MeetingShown { frame, meeting, invitation, base: scope.base, list: scope.list, may_change })
}

async fn calendar(State(console): State<Console>, scope: Scope, Path(id): Path<String>) -> Result<Response, Trouble> {
    let (id, _) = scope.meeting(&console, &id).await?;
    let invitation = scope.visitor.administrator(&console.site).invitation(&id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"meeting-{id}.ics\"")),
    ];
    Ok((headers, invitation.calendar).into_response())
}

async fn start(
    State(console): State<Console>,
    scope: Scope,
    Path(id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let (id, _) = scope.meeting(&console, &id).await?;
    let outcome = scope.visitor.administrator(&console.site).start_meeting(&console.site.live, &id).await;
    Ok(console.done(&scope.visitor, &format!("{}/{id}", scope.base), outcome, |_| {
        Flash::done("The meeting runs. Callers join it without a PIN.")
    }))
}

async fn ask_cancel(State(console): State<Console>, scope: Scope, Path(id): Path<String>) -> Result<Response, Trouble> {
    scope.may_change()?;
    let (id, meeting) = scope.meeting(&console, &id).await?;
    let path = format!("{}/{id}", scope.base);
    let confirmation = Confirmation {
        title: "Cancel this meeting?".to_owned(),
        lines: vec![format!(
            "{}: its conference ID {} is refused from then on. Tell those whom you have invited.",
            meeting.subject,
            words::grouped(&meeting.conference_id)
        )],
        action: format!("{path}/cancel"),
        button: "Cancel the meeting",
        back: path,
        back_name: meeting.subject,
        sending: None,
        mails: "",
    };
    console.confirm(&scope.visitor, scope.place, confirmation).await
}

async fn cancel(
    State(console): State<Console>,
    scope: Scope,
    Path(id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    scope.may_change()?;
    let (id, meeting) = scope.meeting(&console, &id).await?;
    let outcome = scope.visitor.administrator(&console.site).cancel_meeting(&id).await;
    Ok(console.done(&scope.visitor, scope.list, outcome, |_| Flash::done(format!("{} is cancelled.", meeting.subject))))
}
