//! What goes on now: all meetings, and one meeting with its lobby beside it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};

use super::flash::Flash;
use super::form::{Form, Nothing};
use super::frame::{Frame, Place};
use super::person::Person;
use super::trouble::Trouble;
use super::visitor::{Operators, Visitor};
use super::{Confirmation, Console, page, words};
use crate::admin::live::{LiveCallState, LiveDoneView, LiveEventKind, LiveMeeting};
use crate::engine::LiveCommand;
use crate::words::ids::{CallKey, MeetingKey};

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/live", get(all))
        .route("/live/{meeting}", get(one))
        .route("/live/{meeting}/start", post(start))
        .route("/live/{meeting}/end", get(ask_end).post(end))
        .route("/live/{meeting}/{what}", post(act_on_meeting))
        .route("/live/{meeting}/calls/{call}/{what}", post(act_on_call))
}

/// After what a live page looks again: everything that happens, and that it has missed something.
pub fn kinds() -> String {
    use LiveEventKind as Kind;
    const KINDS: [LiveEventKind; 17] = [
        Kind::CallArrived,
        Kind::CallWaits,
        Kind::CallAwaitsAdmission,
        Kind::CallEnteredMeeting,
        Kind::CallBecameLeader,
        Kind::CallMuted,
        Kind::CallUnmuted,
        Kind::CallTalks,
        Kind::CallFellSilent,
        Kind::CallEnded,
        Kind::MeetingOpened,
        Kind::MeetingStarted,
        Kind::MeetingLocked,
        Kind::MeetingUnlocked,
        Kind::MeetingEnded,
        Kind::MeetingOver,
        Kind::MeetingClosed,
    ];
    KINDS.map(Kind::name).join(" ") + " missed"
}

/// A meeting as the pages show it.
pub struct Shown {
    pub key: String,
    pub organizer: String,
    pub conference_id: String,
    pub started: bool,
    pub locked: bool,
    /// RFC 3339: script counts from there.
    pub since: String,
    pub started_at: Option<String>,
    pub in_lobby: usize,
    pub in_meeting: usize,
}

impl Shown {
    pub fn new(of: &LiveMeeting, now: Timestamp) -> Shown {
        Shown {
            key: of.key.to_string(),
            organizer: of.organizer.clone(),
            conference_id: of.conference_id.clone(),
            started: of.started,
            locked: of.locked,
            since: ago(now, of.open_seconds),
            started_at: of.started_seconds.map(|seconds| ago(now, seconds)),
            in_lobby: of.waiting,
            in_meeting: of.in_meeting,
        }
    }
}

/// The moment so many seconds ago.
pub fn ago(now: Timestamp, seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    now.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    frame: Frame,
    meetings: Vec<Shown>,
    entering: Vec<Person>,
    now: Timestamp,
}

async fn all(State(console): State<Console>, Operators(visitor): Operators) -> Result<Response, Trouble> {
    let now = Timestamp::now();
    let snapshot = visitor.administrator(&console.site).live(&console.site.live).await?;
    let meetings = snapshot.meetings.iter().map(|of| Shown::new(of, now)).collect();
    let entering = snapshot.attendants.iter().map(|call| Person::new(call, now)).collect();
    let frame = console.frame(&visitor, Place::Live, "/live").await;
    page(&LivePage { frame, meetings, entering, now })
}

#[derive(Template)]
#[template(path = "live_meeting.html")]
struct MeetingPage {
    frame: Frame,
    meeting: Shown,
    lobby: Vec<Person>,
    inside: Vec<Person>,
    now: Timestamp,
}

fn path(meeting: MeetingKey) -> String {
    format!("/live/{meeting}")
}

async fn one(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(key): Path<String>,
) -> Result<Response, Trouble> {
    let key = meeting_key(&key)?;
    let now = Timestamp::now();
    let snapshot = visitor.administrator(&console.site).live(&console.site.live).await?;
    let Some(meeting) = snapshot.meeting(key) else {
        return Ok(console.say(&visitor, "/live", Flash::note("This meeting is over: nobody is left in it.")));
    };
    let (inside, lobby): (Vec<_>, Vec<_>) =
        meeting.calls.iter().partition(|call| call.state == LiveCallState::InMeeting);
    let people = |calls: Vec<&_>| calls.into_iter().map(|call| Person::new(call, now)).collect();
    let frame = console.frame(&visitor, Place::Live, &path(key)).await;
    page(&MeetingPage { frame, meeting: Shown::new(meeting, now), lobby: people(lobby), inside: people(inside), now })
}

fn meeting_key(text: &str) -> Result<MeetingKey, Trouble> {
    text.parse().map_err(|_| Trouble::nothing_here())
}

fn call_key(text: &str) -> Result<CallKey, Trouble> {
    text.parse().map_err(|_| Trouble::nothing_here())
}

/// Does it, and goes back to the meeting's page with what came of it.
async fn act(
    console: &Console,
    visitor: &Visitor,
    meeting: MeetingKey,
    command: LiveCommand,
    done: fn(LiveDoneView) -> String,
) -> Response {
    let outcome = visitor.administrator(&console.site).act_live(&console.site.live, command).await;
    console.done(visitor, &path(meeting), outcome, |view| {
        if view.already { Flash::note("It was so already.") } else { Flash::done(done(view)) }
    })
}

async fn start(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(key): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let key = meeting_key(&key)?;
    let administrator = visitor.administrator(&console.site);
    let snapshot = administrator.live(&console.site.live).await?;
    let id = snapshot.meeting(key).and_then(|of| of.conference_id.parse().ok()).ok_or_else(Trouble::nothing_here)?;
    let outcome = administrator.start_meeting(&console.site.live, &id).await;
    Ok(console.done(&visitor, &path(key), outcome, |view| {
        Flash::done(format!("The meeting runs. Let in: {}.", words::counted(view.calls, "caller")))
    }))
}

async fn act_on_meeting(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path((key, what)): Path<(String, String)>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let meeting = meeting_key(&key)?;
    let (command, done): (_, fn(LiveDoneView) -> String) = match what.as_str() {
        "admit" => (LiveCommand::Admit { meeting, call: None }, |view| {
            format!("Let in: {}.", words::counted(view.calls, "caller"))
        }),
        "lock" => (LiveCommand::Lock { meeting, locked: true }, |_| {
            "The meeting is locked: new callers wait in the lobby.".to_owned()
        }),
        "unlock" => (LiveCommand::Lock { meeting, locked: false }, |_| "The meeting is open again.".to_owned()),
        _ => return Err(Trouble::nothing_here()),
    };
    Ok(act(&console, &visitor, meeting, command, done).await)
}

async fn act_on_call(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path((key, call, what)): Path<(String, String, String)>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let (meeting, call) = (meeting_key(&key)?, call_key(&call)?);
    let (command, done): (_, fn(LiveDoneView) -> String) = match what.as_str() {
        "admit" => (LiveCommand::Admit { meeting, call: Some(call) }, |_| "The caller is let in.".to_owned()),
        "mute" => (LiveCommand::Mute { call, muted: true }, |_| "The caller is muted.".to_owned()),
        "unmute" => (LiveCommand::Mute { call, muted: false }, |_| "The caller is heard again.".to_owned()),
        "remove" => (LiveCommand::Remove { call }, |_| "The caller is removed.".to_owned()),
        _ => return Err(Trouble::nothing_here()),
    };
    Ok(act(&console, &visitor, meeting, command, done).await)
}

async fn ask_end(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(key): Path<String>,
) -> Result<Response, Trouble> {
    let meeting = meeting_key(&key)?;
    let confirmation = Confirmation {
        title: "End the meeting for all?".to_owned(),
        lines: vec!["Everybody in the meeting and in its lobby hears “Goodbye”, and is hung up.".to_owned()],
        action: format!("{}/end", path(meeting)),
        button: "End it for all",
        back: path(meeting),
        back_name: "The meeting".to_owned(),
        sending: None,
        mails: "",
    };
    console.confirm(&visitor, Place::Live, confirmation).await
}

async fn end(
    State(console): State<Console>,
    Operators(visitor): Operators,
    Path(key): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let meeting = meeting_key(&key)?;
    let administrator = visitor.administrator(&console.site);
    let outcome = administrator.act_live(&console.site.live, LiveCommand::End { meeting }).await;
    Ok(console.done(&visitor, "/live", outcome, |_| Flash::done("The meeting was ended for all.")))
}
